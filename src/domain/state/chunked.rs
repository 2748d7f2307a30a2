//! An ordered map in shared pieces: a copy of it shares every piece until one of the two changes there. So a snapshot, a
//! trial or a state of the past costs a copy of what changes meanwhile, not of a pool with a million seats.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// A piece grows to so many bytes of entries, which is what a change copies at most where a copy shares the piece; few in
/// tests, whose maps are small.
const PIECE_BYTES: usize = if cfg!(test) { 64 } else { 2048 };
/// A piece takes room for so many entries more at once.
const ROOM_ENTRIES: usize = 8;

type Piece<K, V> = Arc<Vec<(K, V)>>;

/// The map. Each piece stands under a key that is not above its first one, and above every key of the piece before.
#[derive(Debug, Clone)]
pub struct Chunked<K, V> {
    pieces: BTreeMap<K, Piece<K, V>>,
    len: usize,
}

impl<K, V> Default for Chunked<K, V> {
    fn default() -> Self {
        Self { pieces: BTreeMap::new(), len: 0 }
    }
}

/// However the entries are cut into pieces.
impl<K: PartialEq, V: PartialEq> PartialEq for Chunked<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Chunked<K, V> {}

impl<K, V> Chunked<K, V> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.pieces.values().flat_map(|piece| piece.iter()).map(|(key, value)| (key, value))
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord + Clone, V: Clone> Chunked<K, V> {
    const PIECE_ENTRIES: usize = {
        let entries = PIECE_BYTES / size_of::<(K, V)>();
        if entries < 2 { 2 } else { entries }
    };

    fn piece(&self, key: &K) -> Option<&Piece<K, V>> {
        self.pieces.range(..=key).next_back().map(|(_, piece)| piece)
    }

    fn piece_mut(&mut self, key: &K) -> Option<&mut Piece<K, V>> {
        self.pieces.range_mut(..=key).next_back().map(|(_, piece)| piece)
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let piece = self.piece(key)?;
        let at = find(piece, key).ok()?;
        piece.get(at).map(|(_, value)| value)
    }

    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let piece = self.piece_mut(key)?;
        let at = find(piece, key).ok()?;
        Arc::make_mut(piece).get_mut(at).map(|(_, value)| value)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(&key) {
            return Some(std::mem::replace(old, value));
        }
        self.put(key, value);
        None
    }

    /// What is there, or the default, which is put there.
    pub fn get_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        if !self.contains_key(&key) {
            self.put(key.clone(), V::default());
        }
        self.get_mut(&key).expect("it was just put there")
    }

    /// Puts in what is not there.
    fn put(&mut self, key: K, value: V) {
        self.len += 1;
        let Some((under, piece)) = self.pieces.range_mut(..=&key).next_back() else {
            // before every other, or the first of all
            match self.pieces.pop_first() {
                Some((under, piece)) if piece.len() >= Self::PIECE_ENTRIES => {
                    self.pieces.insert(under, piece);
                    self.pieces.insert(key.clone(), Arc::new(vec![(key, value)]));
                }
                Some((_, mut piece)) => {
                    put_at(&mut piece, 0, (key.clone(), value));
                    self.pieces.insert(key, piece);
                }
                None => {
                    self.pieces.insert(key.clone(), Arc::new(vec![(key, value)]));
                }
            }
            return;
        };
        let at = find(piece, &key).unwrap_or_else(|at| at);
        if piece.len() < Self::PIECE_ENTRIES {
            put_at(piece, at, (key, value));
        } else if at == piece.len() {
            // ids grow: what was full stays full, and a new piece begins
            self.pieces.insert(key.clone(), Arc::new(vec![(key, value)]));
        } else {
            let under = under.clone();
            let half = Arc::make_mut(piece).split_off(Self::PIECE_ENTRIES / 2);
            if let Some((first, _)) = half.first() {
                self.pieces.insert(first.clone(), Arc::new(half));
            }
            let under = self.pieces.range(..=&key).next_back().map_or(under, |(under, _)| under.clone());
            if let Some(piece) = self.pieces.get_mut(&under) {
                let at = find(piece, &key).unwrap_or_else(|at| at);
                put_at(piece, at, (key, value));
            }
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (under, piece) = self.pieces.range_mut(..=key).next_back()?;
        let at = find(piece, key).ok()?;
        let piece = Arc::make_mut(piece);
        let (_, value) = piece.remove(at);
        if piece.is_empty() {
            let under = under.clone();
            self.pieces.remove(&under);
        }
        self.len -= 1;
        Some(value)
    }

    pub fn retain(&mut self, mut is_kept: impl FnMut(&K, &V) -> bool) {
        let gone: Vec<K> =
            self.iter().filter(|(key, value)| !is_kept(key, value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// The part between two keys, in their order.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> impl Iterator<Item = (&K, &V)> + use<'_, R, K, V> {
        let of = |key: &K| {
            self.pieces.range(..=key).next_back().map_or(Bound::Unbounded, |(under, _)| Bound::Included(under))
        };
        let from = match range.start_bound() {
            Bound::Included(start) | Bound::Excluded(start) => of(start),
            Bound::Unbounded => Bound::Unbounded,
        };
        let pieces = self.pieces.range((from, Bound::Unbounded));
        pieces
            .flat_map(|(_, piece)| piece.iter())
            .map(|(key, value)| (key, value))
            .skip_while({
                let start = range.start_bound().map(Clone::clone);
                move |(key, _)| match &start {
                    Bound::Included(start) => *key < start,
                    Bound::Excluded(start) => *key <= start,
                    Bound::Unbounded => false,
                }
            })
            .take_while(move |(key, _)| match range.end_bound() {
                Bound::Included(end) => *key <= end,
                Bound::Excluded(end) => *key < end,
                Bound::Unbounded => true,
            })
    }
}

/// At its place, with room for a few more.
fn put_at<K: Clone, V: Clone>(piece: &mut Piece<K, V>, at: usize, entry: (K, V)) {
    let piece = Arc::make_mut(piece);
    if piece.len() == piece.capacity() {
        piece.reserve_exact(ROOM_ENTRIES);
    }
    piece.insert(at, entry);
}

fn find<K: Ord, V>(piece: &[(K, V)], key: &K) -> Result<usize, usize> {
    // ids grow, so that what is new most often goes to the end
    match piece.last() {
        Some((last, _)) if last < key => Err(piece.len()),
        _ => piece.binary_search_by(|(known, _)| known.cmp(key)),
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Chunked<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut map = Self::default();
        for (key, value) in all {
            map.insert(key, value);
        }
        map
    }
}

/// As any ordered map.
impl<K: Serialize, V: Serialize> Serialize for Chunked<K, V> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.len))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>, V: Clone + Deserialize<'de>> Deserialize<'de> for Chunked<K, V> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Ord + Clone + Deserialize<'de>, V: Clone + Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Chunked<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ordered map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = Chunked::default();
                while let Some((key, value)) = entries.next_entry()? {
                    map.insert(key, value);
                }
                Ok(map)
            }
        }
        d.deserialize_map(Entries(PhantomData))
    }
}

/// An ordered set in shared pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkedSet<K>(Chunked<K, ()>);

impl<K> Default for ChunkedSet<K> {
    fn default() -> Self {
        Self(Chunked::default())
    }
}

impl<K> ChunkedSet<K> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.0.keys()
    }
}

impl<K: Ord + Clone> ChunkedSet<K> {
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Whether it is new.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Whether it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }

    pub fn range<R: RangeBounds<K>>(&self, range: R) -> impl Iterator<Item = &K> + use<'_, R, K> {
        self.0.range(range).map(|(key, ())| key)
    }
}

/// As any ordered set.
impl<K: Serialize> Serialize for ChunkedSet<K> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut keys = s.serialize_seq(Some(self.len()))?;
        for key in self.iter() {
            keys.serialize_element(key)?;
        }
        keys.end()
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>> Deserialize<'de> for ChunkedSet<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Keys<K>(PhantomData<K>);
        impl<'de, K: Ord + Clone + Deserialize<'de>> Visitor<'de> for Keys<K> {
            type Value = ChunkedSet<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ordered set")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<Self::Value, A::Error> {
                let mut set = ChunkedSet::default();
                while let Some(key) = keys.next_element()? {
                    set.insert(key);
                }
                Ok(set)
            }
        }
        d.deserialize_seq(Keys(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{DeviceId, Holder, UserId};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn holder() -> impl Strategy<Value = Holder> {
        (any::<bool>(), 0..300u32)
            .prop_map(|(is_user, id)| if is_user { UserId(id).into() } else { DeviceId(id).into() })
    }

    proptest! {
        #[test]
        fn it_is_the_map_that_the_library_has(
            steps in prop::collection::vec((holder(), 0..4u8, any::<u8>()), 1..400),
            (from, to) in (holder(), holder()),
        ) {
            let (mut map, mut plain) = (Chunked::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (key, what, value) in steps {
                match what {
                    0 | 1 => prop_assert_eq!(map.insert(key, value), plain.insert(key, value)),
                    2 => prop_assert_eq!(map.remove(&key), plain.remove(&key)),
                    _ => {
                        copies.push((map.clone(), plain.clone()));
                        if let Some(at) = map.get_mut(&key) { *at = value; }
                        if let Some(at) = plain.get_mut(&key) { *at = value; }
                    }
                }
                prop_assert_eq!((map.get(&key), map.contains_key(&key), map.len()), (plain.get(&key), plain.contains_key(&key), plain.len()));
            }
            copies.push((map, plain));
            for (map, plain) in copies {
                prop_assert!(map.iter().eq(plain.iter()), "a copy is what it was");
                prop_assert!(map.range(from..).eq(plain.range(from..)));
                prop_assert!(map.range((Bound::Excluded(from), Bound::Unbounded)).eq(plain.range((Bound::Excluded(from), Bound::Unbounded))));
                if from <= to {
                    prop_assert!(map.range(from..=to).eq(plain.range(from..=to)));
                    prop_assert!(map.range(from..to).eq(plain.range(from..to)));
                } else {
                    prop_assert_eq!(map.range(from..to).count(), 0);
                }
            }
        }

        #[test]
        fn it_is_written_and_read_as_the_library_writes_its_own(entries in prop::collection::btree_map(0..9_000u64, any::<u8>(), 0..80)) {
            let written = serde_json::to_string(&entries).unwrap();
            let map: Chunked<u64, u8> = entries.iter().map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(serde_json::to_string(&map).unwrap(), written.clone());
            prop_assert_eq!(serde_json::from_str::<Chunked<u64, u8>>(&written).unwrap(), map);
            let keys: BTreeSet<u64> = entries.keys().copied().collect();
            let written = serde_json::to_string(&keys).unwrap();
            let set: ChunkedSet<u64> = serde_json::from_str(&written).unwrap();
            prop_assert!(set.iter().eq(keys.iter()));
            prop_assert_eq!(serde_json::to_string(&set).unwrap(), written);
        }
    }
}

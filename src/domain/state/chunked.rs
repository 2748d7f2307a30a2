//! An ordered map in shared pieces: a copy of it shares every piece until one of the two changes there. So a snapshot, a
//! trial or a state of the past costs a copy of what changes meanwhile, not of a pool with a million seats.

mod filling;
mod piece;
mod search;

use filling::Filling;
pub(super) use piece::Around;
use piece::Piece;
pub use search::Key;
use search::search;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// A piece grows to so many bytes of entries, which is what a change copies at most where a copy shares the piece; few in
/// tests, whose maps are small.
const PIECE_BYTES: usize = if cfg!(test) { 64 } else { 1024 };

/// The map. Each piece stands under a key that is not above its first one, and above every key of the piece before.
#[derive(Debug, Clone)]
pub struct Chunked<K, V> {
    unders: Vec<K>,
    pieces: Vec<Arc<Piece<K, V>>>,
    len: usize,
}

impl<K, V> Default for Chunked<K, V> {
    fn default() -> Self {
        Self { unders: Vec::new(), pieces: Vec::new(), len: 0 }
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
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Key, V: Clone> Chunked<K, V> {
    const PIECE_ENTRIES: usize = {
        let entries = PIECE_BYTES / size_of::<(K, V)>();
        if entries < 2 { 2 } else { entries }
    };

    /// The only piece that could have a key.
    fn place(&self, key: &K) -> Option<usize> {
        let (first, last) = (self.unders.first()?, self.unders.last()?);
        if last <= key {
            return self.unders.len().checked_sub(1);
        }
        match search(&self.unders, first.number(), last.number(), key) {
            Ok(at) => Some(at),
            Err(at) => at.checked_sub(1),
        }
    }

    /// Where a key stands in a piece, or would.
    fn find(&self, place: usize, key: &K) -> Result<usize, usize> {
        let keys = self.pieces.get(place).map(|piece| piece.keys.as_slice()).unwrap_or_default();
        let from = self.unders.get(place).map_or(0, Key::number);
        let to = match (self.unders.get(place + 1), keys.last()) {
            (Some(next), _) => next.number(),
            // ids grow, so that what is new most often goes to the end
            (None, Some(last)) if last < key => return Err(keys.len()),
            (None, Some(last)) => last.number(),
            (None, None) => return Err(0),
        };
        search(keys, from, to, key)
    }

    /// In which piece a key stands, and where in it.
    fn found(&self, key: &K) -> Option<(usize, usize)> {
        let place = self.place(key)?;
        Some((place, self.find(place, key).ok()?))
    }

    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let (place, at) = self.found(key)?;
        self.pieces.get(place)?.values.get(at)
    }

    /// The entries among which a key is or would be put. Nothing of them is read for that.
    #[must_use]
    pub fn around(&self, key: &K) -> Around<'_, K, V> {
        // before every other: into the first piece
        let place = self.place(key).unwrap_or(0);
        let from = self.unders.get(place).map_or(0, Key::number);
        let to = self.unders.get(place + 1).map_or(from, Key::number);
        let (width, far) = (to.saturating_sub(from), key.number().saturating_sub(from));
        Around { piece: self.pieces.get(place).map(Arc::as_ref), width, far }
    }

    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.found(key).is_some()
    }

    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (place, at) = self.found(key)?;
        Arc::make_mut(self.pieces.get_mut(place)?).values.get_mut(at)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.pieces.is_empty() {
            self.begin_piece(0, key, value);
            return None;
        }
        // before every other: into the first piece
        let place = self.place(&key).unwrap_or(0);
        match self.find(place, &key) {
            Ok(at) => {
                let old = Arc::make_mut(self.pieces.get_mut(place)?).values.get_mut(at)?;
                Some(std::mem::replace(old, value))
            }
            Err(at) => {
                self.put(place, at, key, value);
                None
            }
        }
    }

    fn begin_piece(&mut self, place: usize, key: K, value: V) {
        self.len += 1;
        self.unders.insert(place, key.clone());
        self.pieces.insert(place, Arc::new(Piece { keys: vec![key], values: vec![value] }));
    }

    /// Puts in what is not there: into a piece, at its place there.
    fn put(&mut self, place: usize, at: usize, key: K, value: V) {
        let (Some(under), Some(piece)) = (self.unders.get_mut(place), self.pieces.get_mut(place)) else { return };
        let is_full = piece.keys.len() >= Self::PIECE_ENTRIES;
        if is_full && at == piece.keys.len() {
            // ids grow: what was full stays full, and a new piece begins
            return self.begin_piece(place + 1, key, value);
        }
        if let Some(first) = piece.keys.first().filter(|_| is_full && at == 0) {
            under.clone_from(first);
            return self.begin_piece(place, key, value);
        }
        let piece = Arc::make_mut(piece);
        self.len += 1;
        if !is_full {
            if key < *under {
                *under = key.clone();
            }
            return piece.put(at, key, value);
        }
        let mut half = piece.split();
        match at.checked_sub(piece.keys.len()) {
            Some(at) if at > 0 => half.put(at, key, value),
            Some(_) | None => piece.put(at, key, value),
        }
        if let Some(under) = half.keys.first() {
            self.unders.insert(place + 1, under.clone());
            self.pieces.insert(place + 1, Arc::new(half));
        }
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (place, at) = self.found(key)?;
        let piece = Arc::make_mut(self.pieces.get_mut(place)?);
        piece.keys.remove(at);
        let value = piece.values.remove(at);
        if piece.keys.is_empty() {
            self.unders.remove(place);
            self.pieces.remove(place);
        }
        self.len -= 1;
        Some(value)
    }

    pub fn pop_first(&mut self) -> Option<(K, V)> {
        let key = self.keys().next()?.clone();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    pub fn retain(&mut self, mut is_kept: impl FnMut(&K, &V) -> bool) {
        let gone: Vec<K> =
            self.iter().filter(|(key, value)| !is_kept(key, value)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Where the keys from this one on begin, or those behind it: in which piece, and where in it.
    fn begin(&self, key: &K, is_behind: bool) -> (usize, usize) {
        let place = self.place(key).unwrap_or(0);
        let at = match self.find(place, key) {
            Ok(at) => at + usize::from(is_behind),
            Err(at) => at,
        };
        (place, at)
    }

    /// How many keys are before this one; of whole pieces their lengths alone are read.
    #[must_use]
    pub fn rank(&self, key: &K) -> usize {
        let (place, at) = self.begin(key, false);
        self.pieces.iter().take(place).map(|piece| piece.keys.len()).sum::<usize>() + at
    }

    /// The part between two keys, in their order.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> impl Iterator<Item = (&K, &V)> + use<'_, R, K, V> {
        let (place, at) = match range.start_bound() {
            Bound::Included(start) => self.begin(start, false),
            Bound::Excluded(start) => self.begin(start, true),
            Bound::Unbounded => (0, 0),
        };
        let first = self.pieces.get(place).into_iter().flat_map(move |piece| piece.iter_from(at));
        let rest = self.pieces.get(place + 1..).unwrap_or_default();
        first.chain(rest.iter().flat_map(|piece| piece.iter())).take_while(move |(key, _)| match range.end_bound() {
            Bound::Included(end) => *key <= end,
            Bound::Excluded(end) => *key < end,
            Bound::Unbounded => true,
        })
    }
}

impl<K: Key, V: Clone> FromIterator<(K, V)> for Chunked<K, V> {
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

impl<'de, K: Key + Deserialize<'de>, V: Clone + Deserialize<'de>> Deserialize<'de> for Chunked<K, V> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Key + Deserialize<'de>, V: Clone + Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = Chunked<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ordered map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut filling = Filling::of(entries.size_hint());
                while let Some((key, value)) = entries.next_entry()? {
                    filling.push(key, value);
                }
                Ok(filling.finish())
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

impl<K: Key> ChunkedSet<K> {
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// As of the map.
    #[must_use]
    pub fn around(&self, key: &K) -> Around<'_, K, ()> {
        self.0.around(key)
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

impl<'de, K: Key + Deserialize<'de>> Deserialize<'de> for ChunkedSet<K> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Keys<K>(PhantomData<K>);
        impl<'de, K: Key + Deserialize<'de>> Visitor<'de> for Keys<K> {
            type Value = ChunkedSet<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an ordered set")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut keys: A) -> Result<Self::Value, A::Error> {
                let mut filling = Filling::of(keys.size_hint());
                while let Some(key) = keys.next_element()? {
                    filling.push(key, ());
                }
                Ok(ChunkedSet(filling.finish()))
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
    use std::collections::{BTreeMap, BTreeSet};

    fn holder() -> impl Strategy<Value = Holder> {
        (any::<bool>(), 0..300u32)
            .prop_map(|(is_user, id)| if is_user { UserId(id).into() } else { DeviceId(id).into() })
    }

    proptest! {
        #[test]
        fn it_is_the_map_that_the_library_has(
            steps in prop::collection::vec((holder(), 0..9u8, any::<u8>()), 1..400),
            (from, to) in (holder(), holder()),
        ) {
            let (mut map, mut plain) = (Chunked::default(), BTreeMap::new());
            let mut copies = Vec::new();
            for (key, what, value) in steps {
                match what {
                    0..=3 => prop_assert_eq!(map.insert(key, value), plain.insert(key, value)),
                    4 | 5 => prop_assert_eq!(map.remove(&key), plain.remove(&key)),
                    6 => prop_assert_eq!(map.pop_first(), plain.pop_first()),
                    _ => {
                        copies.push((map.clone(), plain.clone()));
                        if let Some(at) = map.get_mut(&key) { *at = value; }
                        if let Some(at) = plain.get_mut(&key) { *at = value; }
                    }
                }
                let around = map.around(&key);
                prop_assert!(around.len() <= map.len() && around.values().count() == around.len());
                prop_assert!(plain.get(&key).is_none_or(|value| around.values().any(|near| near == value)));
                let numbers: BTreeSet<u64> = map.keys().map(Key::number).collect();
                prop_assert!(around.numbers().all(|number| numbers.contains(&number)));
                prop_assert_eq!(around.numbers().count() == 0, map.is_empty());
                prop_assert_eq!(around.is_empty(), map.is_empty());
                prop_assert_eq!((map.get(&key), map.contains_key(&key), map.len()), (plain.get(&key), plain.contains_key(&key), plain.len()));
            }
            copies.push((map, plain));
            for (map, plain) in copies {
                prop_assert!(map.iter().eq(plain.iter()), "a copy is what it was");
                prop_assert!(map.range(from..).eq(plain.range(from..)));
                prop_assert_eq!(map.rank(&from), plain.range(..from).count());
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

//! A list by dense ids in shared pieces: a copy of it shares every piece until one of the two changes there. What is put on
//! it is never taken off, but for the end of a copy. What is large, or has lists of its own, lies in it behind an `Arc`: a
//! change of one then copies a piece of pointers, and not its neighbours.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeSeq, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Entries in a piece, which is what a change copies at most where a copy shares the piece; few in tests, whose lists are
/// short.
const PIECE_ENTRIES: usize = if cfg!(test) { 4 } else { 64 };

/// The list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dense<T> {
    /// All but the last one are full.
    pieces: Vec<Arc<Vec<T>>>,
}

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Self { pieces: Vec::new() }
    }
}

impl<T> Dense<T> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE_ENTRIES + last.len())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    #[must_use]
    pub fn get(&self, at: usize) -> Option<&T> {
        self.pieces.get(at / PIECE_ENTRIES)?.get(at % PIECE_ENTRIES)
    }

    /// Where an entry lies, if it has a piece. Nothing of the piece is read for that.
    #[must_use]
    pub fn slot(&self, at: usize) -> Option<Slot<'_, T>> {
        let piece = self.pieces.get(at / PIECE_ENTRIES)?;
        Some(Slot { piece, at: at % PIECE_ENTRIES })
    }

    /// In order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// In order, from a place on.
    pub fn iter_from(&self, at: usize) -> impl Iterator<Item = &T> {
        let pieces = self.pieces.get(at / PIECE_ENTRIES..).unwrap_or_default();
        pieces.iter().flat_map(|piece| piece.iter()).skip(at % PIECE_ENTRIES)
    }

    /// How many at the beginning fulfil something that none does behind them.
    pub fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let whole = self.pieces.partition_point(|piece| piece.last().is_some_and(&is_before));
        match self.pieces.get(whole) {
            Some(piece) => whole * PIECE_ENTRIES + piece.partition_point(is_before),
            None => self.len(),
        }
    }
}

/// An entry's place, of which nothing was read yet.
#[derive(Debug)]
pub struct Slot<'d, T> {
    piece: &'d Vec<T>,
    at: usize,
}

impl<'d, T> Slot<'d, T> {
    /// How many lie in the piece.
    #[must_use]
    pub fn neighbours(&self) -> usize {
        self.piece.len()
    }

    #[must_use]
    pub fn entry(&self) -> Option<&'d T> {
        self.piece.get(self.at)
    }
}

impl<T: Clone> Dense<T> {
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        Arc::make_mut(self.pieces.get_mut(at / PIECE_ENTRIES)?).get_mut(at % PIECE_ENTRIES)
    }

    pub fn push(&mut self, entry: T) {
        match self.pieces.last_mut().filter(|last| last.len() < PIECE_ENTRIES) {
            Some(last) => Arc::make_mut(last).push(entry),
            None => self.pieces.push(Arc::new(vec![entry])),
        }
    }

    /// Puts the same entry at the end until there are so many. Whole pieces of it are one and the same.
    pub fn grow_to(&mut self, count: usize, entry: &T) {
        while self.len() < count && !self.len().is_multiple_of(PIECE_ENTRIES) {
            self.push(entry.clone());
        }
        let missing = count.saturating_sub(self.len());
        let (whole, rest) = (missing / PIECE_ENTRIES, missing % PIECE_ENTRIES);
        let piece_of = |entries: usize| Arc::new(vec![entry.clone(); entries]);
        if whole > 0 {
            self.pieces.resize(self.pieces.len() + whole, piece_of(PIECE_ENTRIES));
        }
        if rest > 0 {
            self.pieces.push(piece_of(rest));
        }
    }

    /// The first so many.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let mut pieces = self.pieces.get(..count.div_ceil(PIECE_ENTRIES)).unwrap_or(&self.pieces).to_vec();
        if count < self.len()
            && !count.is_multiple_of(PIECE_ENTRIES)
            && let Some(last) = pieces.last_mut()
        {
            *last = Arc::new(last.iter().take(count % PIECE_ENTRIES).cloned().collect());
        }
        Self { pieces }
    }
}

impl<T: Clone> FromIterator<T> for Dense<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut list = Self::default();
        all.into_iter().for_each(|entry| list.push(entry));
        list
    }
}

/// As any list.
impl<T: Serialize> Serialize for Dense<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut list = s.serialize_seq(Some(self.len()))?;
        for entry in self.iter() {
            list.serialize_element(entry)?;
        }
        list.end()
    }
}

impl<'de, T: Clone + Deserialize<'de>> Deserialize<'de> for Dense<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Clone + Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Dense<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut list = Dense::default();
                let mut left = entries.size_hint().unwrap_or(0);
                let mut piece = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    if piece.is_empty() {
                        // a length that was told is believed for one piece
                        piece = Vec::with_capacity(left.clamp(1, PIECE_ENTRIES));
                    }
                    left = left.saturating_sub(1);
                    piece.push(entry);
                    if piece.len() == PIECE_ENTRIES {
                        list.pieces.push(Arc::new(std::mem::take(&mut piece)));
                    }
                }
                if !piece.is_empty() {
                    list.pieces.push(Arc::new(piece));
                }
                Ok(list)
            }
        }
        d.deserialize_seq(Entries(PhantomData))
    }
}

#[cfg(test)]
impl<T> Dense<T> {
    /// How many pieces two lists do not share.
    pub(super) fn pieces_apart(&self, other: &Self) -> usize {
        let shared = self.pieces.iter().zip(&other.pieces).filter(|(one, two)| Arc::ptr_eq(one, two)).count();
        self.pieces.len().max(other.pieces.len()) - shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_list_that_the_library_has(entries in prop::collection::vec(any::<u16>(), 0..40), at in 0..45usize, changed in any::<u16>()) {
            let mut list: Dense<u16> = entries.iter().copied().collect();
            let mut plain = entries.clone();
            let copy = list.clone();
            if let Some(entry) = list.get_mut(at) { *entry = changed; }
            if let Some(entry) = plain.get_mut(at) { *entry = changed; }
            list.push(7);
            plain.push(7);
            prop_assert!(copy.iter().eq(entries.iter()), "a copy is what it was");
            prop_assert_eq!((list.len(), list.is_empty(), list.get(at), copy.is_empty()), (plain.len(), false, plain.get(at), entries.is_empty()));
            prop_assert!(list.iter_from(at).eq(plain.iter().skip(at)));
            prop_assert!(list.iter().rev().eq(plain.iter().rev()));
            prop_assert_eq!(list.slot(at).and_then(|slot| slot.entry()), plain.get(at));
            prop_assert!(list.first(at).iter().eq(plain.iter().take(at)));
            prop_assert_eq!(list.first(at).len(), at.min(plain.len()));
            let mut grown = list.first(at);
            grown.push(9);
            prop_assert!(grown.iter().eq(plain.iter().take(at).chain([&9])), "it goes on from there");
            let (mut filled, mut longer) = (list.clone(), plain.clone());
            filled.grow_to(at, &changed);
            longer.resize(at.max(plain.len()), changed);
            prop_assert!(filled.iter().eq(longer.iter()));
            if let Some(entry) = filled.get_mut(at / 2) { *entry = 11; }
            if let Some(entry) = longer.get_mut(at / 2) { *entry = 11; }
            filled.push(13);
            longer.push(13);
            prop_assert_eq!(filled.len(), longer.len());
            prop_assert!(filled.iter().eq(longer.iter()), "what was filled in is changed each by itself");
            plain.sort_unstable();
            let list: Dense<u16> = plain.iter().copied().collect();
            prop_assert_eq!(list.partition_point(|entry| *entry < changed), plain.partition_point(|entry| *entry < changed));
            let written = serde_json::to_string(&plain).unwrap();
            prop_assert_eq!(serde_json::to_string(&list).unwrap(), written.clone());
            prop_assert_eq!(serde_json::from_str::<Dense<u16>>(&written).unwrap(), list);
        }
    }
}

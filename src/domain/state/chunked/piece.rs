//! Some neighbouring entries of a map, and what is looked at of them before they are needed. Not here: which ones they are.

use super::search::{Key, read_by_search};

/// A piece takes room for so many entries more at once.
const ROOM_ENTRIES: usize = 8;

/// Keys and values apart, so that a search goes through few lines of memory.
#[derive(Debug, Clone)]
pub(super) struct Piece<K, V> {
    pub(super) keys: Vec<K>,
    pub(super) values: Vec<V>,
}

impl<K, V> Piece<K, V> {
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.keys.iter().zip(&self.values)
    }

    pub(super) fn iter_from(&self, at: usize) -> impl Iterator<Item = (&K, &V)> {
        let (keys, values) = (self.keys.get(at..).unwrap_or_default(), self.values.get(at..).unwrap_or_default());
        keys.iter().zip(values)
    }

    /// At its place, with room for a few more.
    pub(super) fn put(&mut self, at: usize, key: K, value: V) {
        if self.keys.len() == self.keys.capacity() {
            self.keys.reserve_exact(ROOM_ENTRIES);
        }
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(ROOM_ENTRIES);
        }
        self.keys.insert(at, key);
        self.values.insert(at, value);
    }

    /// Its second half.
    pub(super) fn split(&mut self) -> Self {
        let middle = self.keys.len() / 2;
        Self { keys: self.keys.split_off(middle), values: self.values.split_off(middle) }
    }
}

/// Some neighbouring entries of a map.
#[derive(Debug)]
pub struct Around<'m, K, V> {
    pub(super) piece: Option<&'m Piece<K, V>>,
    /// How far the key they are around is behind where they begin, and how far the next ones are.
    pub(super) far: u64,
    pub(super) width: u64,
}

impl<K: Key, V> Around<'_, K, V> {
    /// The numbers of some keys: of one in each line of memory that a search reads.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let keys = self.piece.map(|piece| piece.keys.as_slice()).unwrap_or_default();
        read_by_search(keys, self.width, self.far).map(Key::number)
    }
}

impl<K, V> Around<'_, K, V> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.piece.map_or(0, |piece| piece.keys.len() & piece.values.len())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.piece.into_iter().flat_map(|piece| &piece.values)
    }
}

//! A map while it is being read. Not here: how one is changed afterwards.

use super::{Chunked, Key, Piece};
use std::sync::Arc;

/// Room is taken for so many pieces at most on the strength of a length that was told.
const PIECES_AHEAD_MAX: usize = 4096;

/// A map that is being read. Its keys come in their order, so that each piece is made once, of the size that it stays;
/// where one does not, it is put where it belongs.
pub(super) struct Filling<K, V> {
    map: Chunked<K, V>,
    last: Piece<K, V>,
    /// How many more are said to come, which is believed for one piece.
    left: usize,
}

impl<K: Key, V: Clone> Filling<K, V> {
    pub(super) fn of(entries: Option<usize>) -> Self {
        let left = entries.unwrap_or(0);
        let pieces = left.div_ceil(Chunked::<K, V>::PIECE_ENTRIES).min(PIECES_AHEAD_MAX);
        let map = Chunked { unders: Vec::with_capacity(pieces), pieces: Vec::with_capacity(pieces), len: 0 };
        Self { map, last: Piece { keys: Vec::new(), values: Vec::new() }, left }
    }

    pub(super) fn push(&mut self, key: K, value: V) {
        if self.last.keys.len() == Chunked::<K, V>::PIECE_ENTRIES {
            self.end_piece();
        }
        if self.last.keys.is_empty() {
            let room = self.left.clamp(1, Chunked::<K, V>::PIECE_ENTRIES);
            self.last = Piece { keys: Vec::with_capacity(room), values: Vec::with_capacity(room) };
        }
        self.left = self.left.saturating_sub(1);
        let before = self.last.keys.last().or_else(|| self.map.pieces.last().and_then(|piece| piece.keys.last()));
        if before.is_none_or(|before| *before < key) {
            self.last.keys.push(key);
            self.last.values.push(value);
        } else {
            self.end_piece();
            self.map.insert(key, value);
        }
    }

    fn end_piece(&mut self) {
        let piece = std::mem::replace(&mut self.last, Piece { keys: Vec::new(), values: Vec::new() });
        if let Some(first) = piece.keys.first() {
            self.map.len += piece.keys.len();
            self.map.unders.push(first.clone());
            self.map.pieces.push(Arc::new(piece));
        }
    }

    pub(super) fn finish(mut self) -> Chunked<K, V> {
        self.end_piece();
        self.map
    }
}

//! Look-ups by keyed hashes. They are spread evenly, so where one stands can be told but for a few places, and a look-up
//! touches fewer lines of a piece, each of which is far away in memory and waited for. Not here: what is true of keys in general.

use super::Chunked;
use crate::domain::personal::Blind;

impl<V> Chunked<Blind, V> {
    /// As [`Chunked::get`] says it.
    #[must_use]
    pub fn look_up(&self, key: &Blind) -> Option<&V> {
        let place = match search(&self.unders, 0, u64::MAX, key) {
            Ok(at) => at,
            Err(at) => at.checked_sub(1)?,
        };
        let (from, piece) = (self.unders.get(place)?, self.pieces.get(place)?);
        let to = self.unders.get(place + 1).map_or(u64::MAX, in_front);
        let at = search(&piece.keys, in_front(from), to, key).ok()?;
        piece.values.get(at)
    }
}

/// A hash's first bytes.
fn in_front(Blind(bytes): &Blind) -> u64 {
    bytes.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// Where one of so many is that are spread evenly over a width: in 32 bits, which divide quickly.
fn guessed(many: usize, width: u64, far: u64) -> usize {
    let shift = width.leading_zeros().min(63);
    let (width, far) = ((width << shift) >> 32, (far.min(width) << shift) >> 32);
    let most = many.saturating_sub(1);
    usize::try_from(far * (most as u64 & 0xffff_ffff) / width.max(1)).map_or(most, |at| at.min(most))
}

/// As a binary search says it, of hashes that begin between two numbers: outwards from where an even spread would have the
/// key. However they are spread, it is found.
fn search(keys: &[Blind], from: u64, to: u64, key: &Blind) -> Result<usize, usize> {
    let is_behind = |at: usize| keys.get(at).is_some_and(|other| other > key);
    let guess = guessed(keys.len(), to.saturating_sub(from), in_front(key).saturating_sub(from));
    let (mut low, mut high, mut step) = (0, keys.len(), 1);
    if is_behind(guess) {
        high = guess;
        while step <= high && is_behind(high - step) {
            high -= step;
            step *= 2;
        }
        low = high.saturating_sub(step);
    } else if guess < high {
        low = guess;
        while low + step < high && !is_behind(low + step) {
            low += step;
            step *= 2;
        }
        high = high.min(low + step);
    }
    let found = keys.get(low..high).unwrap_or_default().binary_search(key);
    found.map(|at| low + at).map_err(|at| low + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Some spread evenly, some close together, with neighbours that differ in their last byte alone.
    fn blind() -> impl Strategy<Value = Blind> {
        let close = (any::<u8>(), any::<u8>()).prop_map(|(front, end)| {
            let mut bytes = [front % 4 * 85; 16];
            bytes[15] = end;
            Blind(bytes)
        });
        prop_oneof![any::<[u8; 16]>().prop_map(Blind), close]
    }

    proptest! {
        #[test]
        fn whatever_is_there_is_found_and_nothing_else(
            entries in prop::collection::btree_map(blind(), any::<u32>(), 0..200),
            asked in prop::collection::vec(blind(), 50),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
        ) {
            let mut plain: BTreeMap<Blind, u32> = entries;
            let mut map: Chunked<Blind, u32> = plain.iter().rev().map(|(key, value)| (*key, *value)).collect();
            let keys: Vec<Blind> = plain.keys().copied().collect();
            for index in gone.iter().filter(|_| !keys.is_empty()) {
                prop_assert_eq!(map.remove(index.get(&keys)), plain.remove(index.get(&keys)));
            }
            for key in keys.iter().chain(&asked) {
                prop_assert_eq!(map.look_up(key), plain.get(key));
            }
            let left: Vec<Blind> = plain.into_keys().collect();
            for key in keys.iter().chain(&asked) {
                prop_assert_eq!(search(&left, 0, u64::MAX, key), left.binary_search(key));
                prop_assert_eq!(search(&left, 7 << 60, 8 << 60, key), left.binary_search(key));
            }
        }
    }
}

//! What no run holds yet: positions by key, and those of seats by pool, so that a pool's can be gone through.

use super::run::Entry;
use super::{Key, POOL_BITS, SEATS};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::RangeInclusive;

type Map<V> = HashMap<Key, Vec<V>, foldhash::quality::RandomState>;

/// In the order in which they came, which is the order of positions.
#[derive(Clone, Default)]
pub(super) struct Table {
    by_key: Map<u64>,
    /// By tenant and pool.
    seats: Map<(u64, u64)>,
}

fn pool_of((tenant, code): Key) -> Key {
    (tenant, code >> POOL_BITS)
}

impl Table {
    pub(super) fn push(&mut self, key: Key, position: u64) {
        if key.1 >= SEATS {
            self.seats.entry(pool_of(key)).or_default().push((key.1, position));
        } else {
            self.by_key.entry(key).or_default().push(position);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.values().map(Vec::len).sum::<usize>() + self.seats.values().map(Vec::len).sum::<usize>()
    }

    /// The positions of a key.
    pub(super) fn get(&self, key: Key) -> Cow<'_, [u64]> {
        if key.1 < SEATS {
            return Cow::Borrowed(self.by_key.get(&key).map_or(&[], Vec::as_slice));
        }
        let of_pool = self.seats.get(&pool_of(key)).map_or(&[][..], Vec::as_slice);
        of_pool.iter().filter(|(code, _)| *code == key.1).map(|(_, position)| *position).collect()
    }

    /// Goes through the keys of a range, in no order.
    pub(super) fn scan(&self, keys: &RangeInclusive<Key>, mut each: impl FnMut(Key, u64)) {
        let (first, last) = (keys.start(), keys.end());
        if first.1 >= SEATS && pool_of(*first) == pool_of(*last) {
            for (code, position) in self.seats.get(&pool_of(*first)).into_iter().flatten() {
                if keys.contains(&(first.0, *code)) {
                    each((first.0, *code), *position);
                }
            }
            return;
        }
        for (key, positions) in self.by_key.iter().filter(|(key, _)| keys.contains(key)) {
            positions.iter().for_each(|position| each(*key, *position));
        }
    }

    /// What came later, behind it.
    pub(super) fn append(&mut self, newer: Self) {
        for (key, positions) in newer.by_key {
            self.by_key.entry(key).or_default().extend(positions);
        }
        for (pool, seats) in newer.seats {
            self.seats.entry(pool).or_default().extend(seats);
        }
    }

    pub(super) fn sorted(&self) -> Vec<Entry> {
        let by_key = self.by_key.iter().flat_map(|(key, positions)| positions.iter().map(|at| (*key, *at)));
        let seats = self
            .seats
            .iter()
            .flat_map(|((tenant, _), seats)| seats.iter().map(|(code, position)| ((*tenant, *code), *position)));
        let mut entries: Vec<Entry> = by_key.chain(seats).collect();
        entries.sort_unstable();
        entries
    }
}

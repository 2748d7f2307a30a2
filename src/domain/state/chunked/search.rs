//! Finding a key among many. Ids are given in order and hashes are spread evenly, so where one of them stands can be told but
//! for a few places, and a search touches fewer lines of memory, each of which is far away and waited for. Not here: what is
//! done at that place.

use crate::domain::ids::{AssignmentId, DeviceId, Holder, UserId};
use crate::domain::personal::Blind;
use crate::domain::state::{InstallKey, ReadKey, RefusalKey};

/// What entries stand in the order of.
pub trait Key: Ord + Clone {
    /// Whether there are as many in one part of their numbers as in another, more or less.
    const IS_SPREAD: bool = true;

    /// A number that does not fall while the keys grow.
    fn number(&self) -> u64;
}

impl Key for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl Key for AssignmentId {
    fn number(&self) -> u64 {
        self.0.into()
    }
}

impl Key for Holder {
    fn number(&self) -> u64 {
        self.rank()
    }
}

impl Key for InstallKey {
    fn number(&self) -> u64 {
        self.device.0.into()
    }
}

impl Key for (UserId, DeviceId) {
    fn number(&self) -> u64 {
        self.0.0.into()
    }
}

/// By its first bytes.
impl Key for Blind {
    fn number(&self) -> u64 {
        self.0.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }
}

macro_rules! not_spread {
    ($($key:ty),*) => {$(
        impl Key for $key {
            const IS_SPREAD: bool = false;

            fn number(&self) -> u64 {
                0
            }
        }
    )*};
}

not_spread!(String, RefusalKey, ReadKey);

/// What comes from memory at once.
const LINE_BYTES: usize = 64;
/// Among keys that take less a binary search touches as few lines; few in tests, whose maps are small.
const GUESSED_AMONG_BYTES: usize = if cfg!(test) { LINE_BYTES / 2 } else { 8 * LINE_BYTES };
/// So many places from a guess are looked at first, half a line, then twice as many, and so on.
const fn first_step<K>() -> usize {
    let step = LINE_BYTES / 2 / size_of::<K>();
    if step == 0 { 1 } else { step }
}
/// Who is farther away is not where an even spread would have it, and a binary search finds it as quickly.
const LAST_STEP: usize = 64;

fn is_guessed_among<K: Key>(keys: &[K]) -> bool {
    K::IS_SPREAD && size_of_val(keys) >= GUESSED_AMONG_BYTES
}

/// Where one of so many is that are spread evenly over a width: in 32 bits, which divide quickly.
fn guessed(many: usize, width: u64, far: u64) -> usize {
    let shift = width.leading_zeros().min(63);
    let (width, far) = ((width << shift) >> 32, (far.min(width) << shift) >> 32);
    let most = many.saturating_sub(1);
    usize::try_from(far * (most as u64 & 0xffff_ffff) / width.max(1)).map_or(most, |at| at.min(most))
}

/// As a binary search says it, of keys whose numbers are between two, or nearly: outwards from where an even spread would have
/// the key. However they are spread, it is found.
pub(super) fn search<K: Key>(keys: &[K], from: u64, to: u64, key: &K) -> Result<usize, usize> {
    if !is_guessed_among(keys) {
        return keys.binary_search(key);
    }
    let is_behind = |at: usize| keys.get(at).is_some_and(|other| other > key);
    let guess = guessed(keys.len(), to.saturating_sub(from), key.number().saturating_sub(from));
    let (mut low, mut high, mut step) = (0, keys.len(), first_step::<K>());
    if is_behind(guess) {
        high = guess;
        while step <= high.min(LAST_STEP) && is_behind(high - step) {
            high -= step;
            step *= 2;
        }
        low = if step > LAST_STEP { 0 } else { high.saturating_sub(step) };
    } else if guess < high {
        low = guess;
        while step <= LAST_STEP && low + step < high && !is_behind(low + step) {
            low += step;
            step *= 2;
        }
        high = if step > LAST_STEP { high } else { high.min(low + step) };
    }
    let found = keys.get(low..high).unwrap_or_default().binary_search(key);
    found.map(|at| low + at).map_err(|at| low + at)
}

/// Some of the keys that a search reads, one in each line of memory or more; the key is so far behind where they begin, and their
/// numbers have such a width.
pub(super) fn read_by_search<K: Key>(keys: &[K], width: u64, far: u64) -> impl Iterator<Item = &K> {
    let (from, to) = if is_guessed_among(keys) {
        let guess = guessed(keys.len(), width, far);
        (guess.saturating_sub(first_step::<K>()), (guess + first_step::<K>() + 1).min(keys.len()))
    } else {
        (0, keys.len())
    };
    let read = keys.get(from..to).unwrap_or_default();
    read.iter().step_by((LINE_BYTES / size_of::<K>()).max(1)).chain(keys.last())
}

#[cfg(test)]
mod tests {
    use super::super::Chunked;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Some spread evenly, some close together, with neighbours that differ in their last byte alone.
    fn blind() -> impl Strategy<Value = Blind> + Clone {
        let close = (any::<u8>(), any::<u8>()).prop_map(|(front, end)| {
            let mut bytes = [front % 4 * 85; 16];
            bytes[15] = end;
            Blind(bytes)
        });
        prop_oneof![any::<[u8; 16]>().prop_map(Blind), close]
    }

    /// Ids as they are given, some of them far away, of one kind and of both.
    fn holder() -> impl Strategy<Value = Holder> + Clone {
        (any::<bool>(), prop_oneof![0..40_u32, 0..4_000_u32, any::<u32>()])
            .prop_map(|(is_user, id)| if is_user { UserId(id).into() } else { DeviceId(id).into() })
    }

    fn install() -> impl Strategy<Value = InstallKey> + Clone {
        (0..40_u32, prop::option::of(0..4_u32))
            .prop_map(|(device, user)| InstallKey { device: DeviceId(device), user: user.map(UserId) })
    }

    /// Of few people, some of whom have many.
    fn of_user() -> impl Strategy<Value = (UserId, DeviceId)> + Clone {
        (prop_oneof![Just(7), 0..20_u32], 0..60_u32).prop_map(|(user, device)| (UserId(user), DeviceId(device)))
    }

    /// What is there, who is asked for besides, and what goes of it.
    type Life<K> = (BTreeMap<K, u32>, Vec<K>, Vec<prop::sample::Index>);

    fn life<K: Key + std::fmt::Debug>(key: impl Strategy<Value = K> + Clone) -> impl Strategy<Value = Life<K>> {
        let entries = prop::collection::btree_map(key.clone(), any::<u32>(), 0..200);
        (entries, prop::collection::vec(key, 50), prop::collection::vec(any::<prop::sample::Index>(), 0..50))
    }

    /// Whatever is there is found, and nothing else, however it came there and what went.
    fn holds<K: Key + std::fmt::Debug>(
        (mut plain, asked, gone): Life<K>,
        (from, to): (u64, u64),
    ) -> Result<(), TestCaseError> {
        let mut map: Chunked<K, u32> = plain.iter().rev().map(|(key, value)| (key.clone(), *value)).collect();
        let keys: Vec<K> = plain.keys().cloned().collect();
        for index in gone.iter().filter(|_| !keys.is_empty()) {
            prop_assert_eq!(map.remove(index.get(&keys)), plain.remove(index.get(&keys)));
        }
        prop_assert!(keys.is_sorted_by_key(Key::number), "a number does not fall while the keys grow");
        for key in keys.iter().chain(&asked) {
            prop_assert_eq!(map.get(key), plain.get(key));
            prop_assert_eq!(map.contains_key(key), plain.contains_key(key));
        }
        let left: Vec<K> = plain.into_keys().collect();
        for key in keys.iter().chain(&asked) {
            prop_assert_eq!(search(&left, 0, u64::MAX, key), left.binary_search(key));
            prop_assert_eq!(search(&left, from, to, key), left.binary_search(key));
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn hashes_are_found(life in life(blind())) {
            holds(life, (7 << 60, 8 << 60))?;
        }

        #[test]
        fn holders_are_found(life in life(holder())) {
            holds(life, (20, 40))?;
        }

        #[test]
        fn pairs_are_found(life in life(of_user())) {
            holds(life, (7, 7))?;
        }

        #[test]
        fn a_key_is_found_however_far_it_is_from_the_guess(
            gaps in prop::collection::vec(prop_oneof![9 => 1..3_u64, 1 => Just(1 << 40)], 0..1500),
            asked in prop::collection::vec(any::<prop::sample::Index>(), 50),
        ) {
            let keys: Vec<u64> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let last = keys.last().copied().unwrap_or_default();
            for index in asked.iter().filter(|_| !keys.is_empty()) {
                let key = *index.get(&keys);
                for key in [key - 1, key, key + 1] {
                    prop_assert_eq!(search(&keys, 0, last, &key), keys.binary_search(&key));
                }
            }
        }

        #[test]
        fn installs_are_found(life in life(install())) {
            holds(life, (0, 39))?;
        }
    }
}

//! The steps of a chunk to which none comes any more, as bits. Steps come at random, so the distances between them are best told as
//! Golomb and Rice do: the high part as so many ones, the low part as it is. The same of what a step does, which is one of a
//! few kinds. Not here: what a step is.
//!
//! ```text
//! k:u8 c:u8 kinds:u8 kind:u8 ...   then bits, the lowest of a byte first. For each step
//! distance   Rice k: a number of ones, a zero, and the k lowest bits; or MANY ones, and 64 bits
//! kind       which of the kinds, the most frequent one first: Rice c. If that is ANYHOW, then 8 bits, one for each count that
//!            changed, and for each of them by how much, zigzag: 7 bits say how many bits follow
//! ```

use super::{ANYHOW, Change, zigzag};

/// So many ones are none of a high part.
const MANY: u32 = 24;

/// Packs steps, each how many positions farther, and what it does.
pub(super) fn pack(steps: &[(u64, Change)]) -> Vec<u8> {
    let kinds = kinds(steps);
    let place = |change: &Change| {
        let kind = kind_of(change);
        kinds.iter().position(|known| *known == kind).map_or(0, |place| place as u64)
    };
    let k = best(steps.iter().map(|(farther, _)| *farther));
    let c = best(steps.iter().map(|(_, change)| place(change)));
    let mut bits = Bits { bytes: vec![k, c, u8::try_from(kinds.len() - 1).expect("a kind is a byte")], filled: 8 };
    bits.bytes.extend_from_slice(&kinds);
    for (farther, change) in steps {
        bits.put_rice(*farther, k);
        bits.put_rice(place(change), c);
        if let Change::Anyhow { mask, by } = change {
            bits.put(u64::from(*mask), 8);
            for by in by.iter().filter(|by| **by != 0) {
                let by = zigzag(*by);
                let length = u64::BITS - by.leading_zeros();
                bits.put(length.into(), 7);
                bits.put(by, length);
            }
        }
    }
    bits.bytes.shrink_to_fit();
    bits.bytes
}

fn kind_of(change: &Change) -> u8 {
    match change {
        Change::ByOne(code) => *code,
        Change::Anyhow { .. } => ANYHOW,
    }
}

/// Those that there are, the most frequent one first.
fn kinds(steps: &[(u64, Change)]) -> Vec<u8> {
    let mut all: Vec<u8> = steps.iter().map(|(_, change)| kind_of(change)).collect();
    all.sort_unstable();
    let mut counted: Vec<(usize, u8)> = Vec::new();
    for of_kind in all.chunk_by(|a, b| a == b) {
        counted.extend(of_kind.first().map(|kind| (of_kind.len(), *kind)));
    }
    counted.sort_by_key(|(count, kind)| (std::cmp::Reverse(*count), *kind));
    let kinds: Vec<u8> = counted.into_iter().map(|(_, kind)| kind).collect();
    if kinds.is_empty() { vec![ANYHOW] } else { kinds }
}

/// How many low bits tell these numbers in the fewest bits.
fn best(numbers: impl Iterator<Item = u64> + Clone) -> u8 {
    let cost = |low: &u8| numbers.clone().map(|number| cost(number, *low)).sum::<u64>();
    (0..=40).min_by_key(cost).unwrap_or(0)
}

fn cost(number: u64, low: u8) -> u64 {
    let high = number >> low;
    if high >= u64::from(MANY) { u64::from(MANY) + 64 } else { high + 1 + u64::from(low) }
}

struct Bits {
    bytes: Vec<u8>,
    /// Of the last byte.
    filled: u32,
}

impl Bits {
    fn put(&mut self, mut value: u64, mut count: u32) {
        while count > 0 {
            if self.filled == 8 {
                self.bytes.push(0);
                self.filled = 0;
            }
            let now = count.min(8 - self.filled);
            let part = value.to_le_bytes()[0] & (0xff >> (8 - now));
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << self.filled;
            }
            self.filled += now;
            count -= now;
            value = value.checked_shr(now).unwrap_or(0);
        }
    }

    fn put_rice(&mut self, number: u64, low: u8) {
        match u32::try_from(number >> low) {
            Ok(high) if high < MANY => {
                self.put((1 << high) - 1, high + 1);
                self.put(number & ((1 << low) - 1), low.into());
            }
            Ok(_) | Err(_) => {
                self.put((1 << MANY) - 1, MANY);
                self.put(number, 64);
            }
        }
    }
}

/// The steps again. What is none ends it.
pub(super) struct Unpacking<'b> {
    left: u32,
    k: u8,
    c: u8,
    kinds: &'b [u8],
    rest: &'b [u8],
    /// Bits that were taken out of the bytes before, the next one the lowest.
    ahead: u64,
    count: u32,
}

impl<'b> Unpacking<'b> {
    pub(super) fn of(bytes: &'b [u8], steps: u32) -> Self {
        let parts = bytes.split_first_chunk::<3>().and_then(|([k, c, more], rest)| {
            let (kinds, rest) = rest.split_at_checked(usize::from(*more) + 1)?;
            Some((*k, *c, kinds, rest))
        });
        let (left, (k, c, kinds, rest)) = parts.map_or((0, (0, 0, bytes, bytes)), |parts| (steps, parts));
        Self { left, k, c, kinds, rest, ahead: 0, count: 0 }
    }

    /// Has 56 bits ahead, or all that are left.
    fn fill(&mut self) {
        while self.count <= 56
            && let Some((byte, rest)) = self.rest.split_first()
        {
            self.ahead |= u64::from(*byte) << self.count;
            self.count += 8;
            self.rest = rest;
        }
    }

    fn take(&mut self, count: u32) -> Option<u64> {
        if count > 56 {
            return Some(self.take(32)? | self.take(count - 32)? << 32);
        }
        self.fill();
        let taken = self.ahead & ((1 << count) - 1);
        self.count = self.count.checked_sub(count)?;
        self.ahead >>= count;
        Some(taken)
    }

    fn take_rice(&mut self, low: u8) -> Option<u64> {
        self.fill();
        let high = self.ahead.trailing_ones().min(MANY);
        if high == MANY {
            self.take(MANY)?;
            return self.take(64);
        }
        self.take(high + 1)?;
        Some(u64::from(high) << low.min(63) | self.take(low.into())?)
    }

    fn take_change(&mut self) -> Option<Change> {
        let place = usize::try_from(self.take_rice(self.c)?).ok()?;
        let kind = *self.kinds.get(place)?;
        if kind != ANYHOW {
            return Some(Change::ByOne(kind));
        }
        let mask = u8::try_from(self.take(8)?).ok()?;
        Change::anyhow(mask, || {
            let length = u32::try_from(self.take(7)?).ok()?;
            if length > u64::BITS { None } else { self.take(length) }
        })
    }
}

impl Iterator for Unpacking<'_> {
    type Item = (u64, Change);

    fn next(&mut self) -> Option<(u64, Change)> {
        self.left = self.left.checked_sub(1)?;
        Some((self.take_rice(self.k)?, self.take_change()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn change() -> impl Strategy<Value = Change> {
        let by = prop_oneof![3 => Just(0_i64), 2 => -3..3_i64, 1 => any::<i64>()];
        let anyhow = prop::array::uniform8(by).prop_map(|by| {
            let mask = (0..8).zip(by).fold(0, |mask, (place, by)| mask | u8::from(by != 0) << place);
            Change::Anyhow { mask, by }
        });
        let by_one = any::<u8>().prop_filter("a code of its own", |code| *code != ANYHOW).prop_map(Change::ByOne);
        prop_oneof![3 => prop::sample::select(&[Change::ByOne(0x11), Change::ByOne(0x20)]), 1 => by_one, 1 => anyhow]
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, Change)>> {
        let farther = prop_oneof![5 => 0..400_u64, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => Just(0)];
        prop::collection::vec((farther, change()), 0..300)
    }

    proptest! {
        #[test]
        fn steps_come_back_as_they_were(steps in steps()) {
            let bytes = pack(&steps);
            prop_assert_eq!(Unpacking::of(&bytes, u32::try_from(steps.len()).unwrap()).collect::<Vec<_>>(), steps);
        }

        #[test]
        fn of_any_bytes_steps_come_out_and_an_end(bytes in prop::collection::vec(any::<u8>(), 0..80), steps in 0..2000_u32) {
            prop_assert!(Unpacking::of(&bytes, steps).count() <= steps as usize);
        }
    }

    #[test]
    fn a_step_at_random_takes_a_byte_and_a_half() {
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        // one of 200 pools at each event: how long until it is this one's turn
        let mut farther = || (1..).take_while(|_| random() % 200 != 0).last().unwrap_or(0) + 1;
        let steps: Vec<(u64, Change)> =
            (0..1024_u64).map(|n| (farther(), Change::ByOne(if n % 2 == 0 { 0x20 } else { 0x31 }))).collect();
        assert!(pack(&steps).len() < 1024 * 3 / 2, "{} bytes", pack(&steps).len());
    }
}

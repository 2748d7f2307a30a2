//! The steps of a chunk to which none comes any more, as bits. Steps come at random, so the distances between them are best told as
//! Golomb and Rice do: the high part as so many ones, the low part as it is. The same of what a step does, which is one of a
//! few kinds, some of which follow close upon others. Not here: what a step is.
//!
//! ```text
//! c:u8 kinds - 1:u8 (kind:u8 k:u8) ...   then bits, the lowest of a byte first. For each step
//! kind       which of the kinds, the most frequent one first, in Rice's way with c: so many ones as its high part says, a zero,
//!            and the c lowest bits; or MANY ones, and 64 bits
//! distance   the same with the kind's k
//! by         if the kind is ANYHOW: 8 bits, one for each count that changed, and for each of them by how much, zigzag: 7 bits
//!            say how many bits follow
//! ```

use super::{ANYHOW, Change, zigzag};

/// So many ones are none of a high part.
const MANY: u32 = 24;

/// Packs steps, each how many positions farther, and what it does.
pub(super) fn pack(steps: &[(u64, Change)]) -> Vec<u8> {
    let kinds = kinds(steps);
    let place = |change: &Change| {
        let kind = kind_of(change);
        kinds.iter().position(|[known, _]| *known == kind).unwrap_or(0)
    };
    let c = best(steps.iter().map(|(_, change)| place(change) as u64));
    let mut bits = Bits { bytes: vec![c, u8::try_from(kinds.len() - 1).expect("a kind is a byte")], filled: 8 };
    bits.bytes.extend(kinds.as_flattened());
    for (farther, change) in steps {
        let place = place(change);
        let k = kinds.get(place).map_or(0, |[_, k]| *k);
        bits.put_rice(place as u64, c);
        bits.put_rice(*farther, k);
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

/// Those that there are, the most frequent one first, each with how many low bits tell how far its steps are from the one before.
fn kinds(steps: &[(u64, Change)]) -> Vec<[u8; 2]> {
    let mut all: Vec<(u8, u64)> = steps.iter().map(|(farther, change)| (kind_of(change), *farther)).collect();
    all.sort_unstable();
    let mut of_kinds: Vec<&[(u8, u64)]> = all.chunk_by(|(a, _), (b, _)| a == b).collect();
    of_kinds.sort_by_key(|steps| std::cmp::Reverse(steps.len()));
    let kind = |steps: &&[(u8, u64)]| {
        let (kind, _) = steps.first()?;
        Some([*kind, best(steps.iter().map(|(_, farther)| *farther))])
    };
    let kinds: Vec<[u8; 2]> = of_kinds.iter().filter_map(kind).collect();
    if kinds.is_empty() { vec![[ANYHOW, 0]] } else { kinds }
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
    c: u8,
    kinds: &'b [[u8; 2]],
    rest: &'b [u8],
    /// Bits that were taken out of the bytes before, the next one the lowest.
    ahead: u64,
    count: u32,
}

impl<'b> Unpacking<'b> {
    pub(super) fn of(bytes: &'b [u8], steps: u32) -> Self {
        let parts = bytes.split_first_chunk::<2>().and_then(|([c, more], rest)| {
            let (kinds, rest) = rest.split_at_checked(2 * (usize::from(*more) + 1))?;
            Some((*c, kinds.as_chunks::<2>().0, rest))
        });
        let (left, (c, kinds, rest)) = parts.map_or((0, (0, [].as_slice(), bytes)), |parts| (steps, parts));
        Self { left, c, kinds, rest, ahead: 0, count: 0 }
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

    fn take_step(&mut self) -> Option<(u64, Change)> {
        let place = usize::try_from(self.take_rice(self.c)?).ok()?;
        let [kind, k] = *self.kinds.get(place)?;
        let farther = self.take_rice(k)?;
        if kind != ANYHOW {
            return Some((farther, Change::ByOne(kind)));
        }
        let mask = u8::try_from(self.take(8)?).ok()?;
        let change = Change::anyhow(mask, || {
            let length = u32::try_from(self.take(7)?).ok()?;
            if length > u64::BITS { None } else { self.take(length) }
        });
        Some((farther, change?))
    }
}

impl Iterator for Unpacking<'_> {
    type Item = (u64, Change);

    fn next(&mut self) -> Option<(u64, Change)> {
        self.left = self.left.checked_sub(1)?;
        self.take_step()
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
    fn a_step_takes_a_byte() {
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            seed >> 33
        };
        // one of 200 pools at each command, which makes two events: how long until it is this one's turn
        let mut farther = || (1..).take_while(|_| random() % 200 != 0).last().unwrap_or(0) * 2 + 1;
        let grant_and_install = |_| [(farther(), Change::ByOne(0x22)), (1, Change::ByOne(0xaa))];
        let steps: Vec<(u64, Change)> = (0..512).flat_map(grant_and_install).collect();
        assert!(pack(&steps).len() <= 1024, "{} bytes", pack(&steps).len());
    }
}

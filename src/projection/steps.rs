//! Counts in steps: how many events farther, and which counts went up or down. So they are told at any position, in two or
//! three bytes a step. Not here: what is counted.
//!
//! ```text
//! step   positions since the step before:varint, then one byte: two nibbles, each twice the place of a count, plus one if
//!        it went down by one; the same nibble twice where one count changed. Or ANYHOW, which would be one count up and
//!        down: then a bit for each count that changed and, for each of them, by how much (zigzag varint)
//! ```

use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(super) type Counts = [u64; 8];

/// So many steps are in a chunk; few in tests, whose histories are short.
const STEPS_MAX: u32 = if cfg!(test) { 16 } else { 1024 };
const ANYHOW: u8 = 0x10;

/// Counts that were noted at some positions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Steps {
    chunks: Vec<Arc<Chunk>>,
    now: Counts,
}

impl Steps {
    pub(super) fn now(&self) -> &Counts {
        &self.now
    }

    /// Notes what they are from a position on, that is behind those of all steps before.
    pub(super) fn push(&mut self, position: u64, after: Counts) {
        if self.chunks.last().is_none_or(|chunk| chunk.steps >= STEPS_MAX) {
            if let Some(full) = self.chunks.last_mut() {
                Arc::make_mut(full).close();
            }
            self.chunks.push(Arc::new(Chunk::new(position, self.now)));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            Arc::make_mut(chunk).push(position, &self.now, &after);
        }
        self.now = after;
    }

    /// What they were just after a position, and where they were noted last; `None` before the first step.
    pub(super) fn at(&self, position: u64) -> Option<(u64, Counts)> {
        let count = self.chunks.partition_point(|chunk| chunk.first <= position);
        self.chunks.get(count.checked_sub(1)?).map(|chunk| chunk.at(position))
    }
}

/// Some steps in a row, with the counts before the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Chunk {
    /// Where the first step is.
    first: u64,
    steps: u32,
    last: u64,
    before: Counts,
    bytes: Vec<u8>,
}

impl Chunk {
    fn new(first: u64, before: Counts) -> Self {
        Self { first, steps: 0, last: first, before, bytes: Vec::new() }
    }

    fn push(&mut self, position: u64, before: &Counts, after: &Counts) {
        put(&mut self.bytes, position - self.last);
        self.last = position;
        self.steps += 1;
        let changes = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after);
        let by = |(place, (before, after)): (usize, (&u64, &u64))| (place, after.wrapping_sub(*before).cast_signed());
        let changes: Vec<(usize, i64)> = changes.map(by).collect();
        let nibble = |place: usize, by: i64| u8::try_from(place).unwrap_or(0) << 1 | u8::from(by < 0);
        match changes.as_slice() {
            [(place, by @ (-1 | 1))] => self.bytes.push(nibble(*place, *by) * 0x11),
            [(a, by_a @ (-1 | 1)), (b, by_b @ (-1 | 1))] => {
                self.bytes.push(nibble(*a, *by_a) | nibble(*b, *by_b) << 4);
            }
            any => {
                self.bytes.push(ANYHOW);
                self.bytes.push(any.iter().fold(0, |mask, (place, _)| mask | 1 << place));
                for (_, by) in any {
                    put(&mut self.bytes, (by << 1 ^ by >> 63).cast_unsigned());
                }
            }
        }
    }

    /// No step comes to it any more.
    fn close(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// The last step up to a position that is not before the first one, and the counts after it.
    fn at(&self, position: u64) -> (u64, Counts) {
        let (mut counts, mut at, mut rest) = (self.before, self.first, self.bytes.as_slice());
        while let Some(farther) = take(&mut rest) {
            if at + farther > position {
                break;
            }
            at += farther;
            step(&mut counts, &mut rest);
        }
        (at, counts)
    }
}

fn step(counts: &mut Counts, rest: &mut &[u8]) -> Option<()> {
    let (code, behind) = rest.split_first()?;
    *rest = behind;
    let mut add = |place: usize, by: i64| {
        if let Some(count) = counts.get_mut(place) {
            *count = count.wrapping_add(by.cast_unsigned());
        }
    };
    if *code == ANYHOW {
        let (mask, behind) = rest.split_first()?;
        *rest = behind;
        for place in (0..8).filter(|place| mask >> place & 1 == 1) {
            let by = take(rest)?;
            add(place, (by >> 1).cast_signed() ^ -(by & 1).cast_signed());
        }
        return Some(());
    }
    let one = |nibble: u8| (usize::from(nibble >> 1), if nibble & 1 == 1 { -1 } else { 1 });
    let (first, second) = (code & 0x0f, code >> 4);
    let (place, by) = one(first);
    add(place, by);
    if second != first {
        let (place, by) = one(second);
        add(place, by);
    }
    Some(())
}

fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;

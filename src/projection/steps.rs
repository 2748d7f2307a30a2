//! Counts in steps: how many events farther, and which counts went up or down. So they are told at any position, in two or
//! three bytes a step where more may come, and in half of that behind (`packed`), which need not stay in memory: it never changes
//! and may lie in an [`Archive`]. Not here: what is counted.
//!
//! ```text
//! step   positions since the step before:varint, then one byte: two nibbles, each twice the place of a count, plus one if
//!        it went down by one; the same nibble twice where one count changed. Or ANYHOW, which would be one count up and
//!        down: then a bit for each count that changed and, for each of them, by how much (zigzag varint)
//! archived   how many steps, the counts before the first one: varints; then the steps, packed
//! ```

mod packed;

use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;

pub(super) type Counts = [u64; 8];

/// So many steps are in a chunk; few in tests, whose histories are short.
const STEPS_MAX: u32 = if cfg!(test) { 4 } else { 1024 };
const ANYHOW: u8 = 0x10;

/// Keeps bytes that never change, each by a number of its own.
pub trait Archive {
    /// Nothing where they can't be read: whoever asks is told of that elsewhere.
    fn read(&self, at: u64) -> Vec<u8>;
    /// What was read is none of what was put.
    fn is_useless(&self);
}

/// The archive of those of which nothing was ever archived.
pub(super) struct Nowhere;

impl Archive for Nowhere {
    fn read(&self, _at: u64) -> Vec<u8> {
        Vec::new()
    }

    fn is_useless(&self) {}
}

/// A chunk that lies in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Archived {
    /// Where its first step is.
    first: u64,
    at: u64,
}

/// Counts that were noted at some positions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Steps {
    archived: Vec<Archived>,
    /// Behind those.
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
    pub(super) fn at(&self, position: u64, archive: &dyn Archive) -> Option<(u64, Counts)> {
        let count = self.chunks.partition_point(|chunk| chunk.first <= position);
        if let Some(last) = count.checked_sub(1) {
            return self.chunks.get(last).map(|chunk| chunk.at(position));
        }
        let count = self.archived.partition_point(|chunk| chunk.first <= position);
        let archived = self.archived.get(count.checked_sub(1)?)?;
        Some(archived.read(archive)?.at(position))
    }

    /// Every step from a position on, with the counts after it.
    pub(super) fn since<'s>(
        &'s self,
        first: u64,
        archive: &'s dyn Archive,
    ) -> impl Iterator<Item = (u64, Counts)> + 's {
        let skipped = self.chunks.partition_point(|chunk| chunk.first <= first);
        let before = if skipped > 0 { self.archived.len() } else { self.archived_before(first) };
        let archived = self.archived.get(before..).unwrap_or_default();
        let rest = self.chunks.get(skipped.saturating_sub(1)..).unwrap_or_default();
        let archived = archived.iter().filter_map(|chunk| chunk.read(archive)).flat_map(Chunk::into_each);
        archived.chain(rest.iter().flat_map(|chunk| chunk.each())).skip_while(move |(position, _)| *position < first)
    }

    /// So many archived chunks end before a position.
    fn archived_before(&self, position: u64) -> usize {
        self.archived.partition_point(|chunk| chunk.first <= position).saturating_sub(1)
    }

    /// Where the steps of the chunk begin that has the last one up to a position.
    pub(super) fn chunk_before(&self, position: u64) -> Option<u64> {
        let count = self.chunks.partition_point(|chunk| chunk.first <= position);
        match count.checked_sub(1) {
            Some(last) => self.chunks.get(last).map(|chunk| chunk.first),
            None => self.archived.get(self.archived_before(position)).map(|chunk| chunk.first),
        }
        .filter(|first| *first <= position)
    }

    /// Gives away every chunk to which no step comes any more; what it is known by then is for [`Self::let_go`].
    ///
    /// # Errors
    /// What whoever takes them said.
    pub(super) fn archive(&self, put: &mut Put<'_>) -> io::Result<Vec<Archived>> {
        let is_over = |chunk: &&Arc<Chunk>| matches!(chunk.kept, Kept::Packed(_));
        let over = self.chunks.iter().take_while(is_over);
        over.map(|chunk| Ok(Archived { first: chunk.first, at: put(&chunk.text())? })).collect()
    }

    /// Lets go of chunks that were archived: its own, or those of a copy that was taken of it since the last ones.
    pub(super) fn let_go(&mut self, archived: &[Archived]) {
        let are_first = self.chunks.len() >= archived.len()
            && self.chunks.iter().zip(archived).all(|(chunk, archived)| chunk.first == archived.first);
        assert!(are_first, "what was archived are the first chunks in memory");
        self.chunks.drain(..archived.len());
        self.archived.extend_from_slice(archived);
    }

    /// By what an archive knows them.
    pub(super) fn archived(&self) -> impl Iterator<Item = u64> + '_ {
        self.archived.iter().map(|archived| archived.at)
    }
}

/// Takes bytes and says what they are known by.
pub type Put<'p> = dyn FnMut(&[u8]) -> io::Result<u64> + 'p;

impl Archived {
    fn read(self, archive: &dyn Archive) -> Option<Chunk> {
        let chunk = Chunk::of_text(self.first, &archive.read(self.at));
        if chunk.is_none() {
            archive.is_useless();
        }
        chunk
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
    kept: Kept,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Kept {
    Open(Vec<u8>),
    /// No step comes to it any more.
    Packed(Vec<u8>),
}

/// What a step does to the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// One count or two, each by one.
    ByOne(u8),
    Anyhow {
        /// A bit for each that changed.
        mask: u8,
        by: [i64; 8],
    },
}

impl Chunk {
    fn new(first: u64, before: Counts) -> Self {
        Self { first, steps: 0, last: first, before, kept: Kept::Open(Vec::new()) }
    }

    fn push(&mut self, position: u64, before: &Counts, after: &Counts) {
        if let Kept::Open(bytes) = &mut self.kept {
            put(bytes, position - self.last);
            Change::between(before, after).put(bytes);
        }
        self.last = position;
        self.steps += 1;
    }

    fn close(&mut self) {
        if let Kept::Open(bytes) = &self.kept {
            self.kept = Kept::Packed(packed::pack(&opened(bytes).collect::<Vec<_>>()));
        }
    }

    /// As an archive keeps one to which no step comes any more.
    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        put(&mut text, self.steps.into());
        self.before.iter().for_each(|count| put(&mut text, *count));
        if let Kept::Packed(bytes) = &self.kept {
            text.extend_from_slice(bytes);
        }
        text
    }

    fn of_text(first: u64, text: &[u8]) -> Option<Self> {
        let mut rest = text;
        let steps = take(&mut rest)?.try_into().ok()?;
        let mut before = Counts::default();
        for count in &mut before {
            *count = take(&mut rest)?;
        }
        // where its last step is only who adds one has to know
        Some(Self { first, steps, last: first, before, kept: Kept::Packed(rest.to_vec()) })
    }

    /// The last step up to a position that is not before the first one, and the counts after it.
    fn at(&self, position: u64) -> (u64, Counts) {
        match &self.kept {
            Kept::Open(bytes) => self.after(position, opened(bytes)),
            Kept::Packed(bytes) => self.after(position, packed::Unpacking::of(bytes, self.steps)),
        }
    }

    fn after(&self, position: u64, steps: impl Iterator<Item = (u64, Change)>) -> (u64, Counts) {
        let (mut counts, mut at) = (self.before, self.first);
        for (farther, change) in steps {
            if farther > position.saturating_sub(at) {
                break;
            }
            at += farther;
            change.apply(&mut counts);
        }
        (at, counts)
    }

    fn each(&self) -> Box<dyn Iterator<Item = (u64, Counts)> + '_> {
        match &self.kept {
            Kept::Open(bytes) => Box::new(self.counted(opened(bytes))),
            Kept::Packed(bytes) => Box::new(self.counted(packed::Unpacking::of(bytes, self.steps))),
        }
    }

    fn into_each(self) -> impl Iterator<Item = (u64, Counts)> {
        self.each().collect::<Vec<_>>().into_iter()
    }

    fn counted<'s>(
        &'s self,
        steps: impl Iterator<Item = (u64, Change)> + 's,
    ) -> impl Iterator<Item = (u64, Counts)> + 's {
        let (mut counts, mut at) = (self.before, self.first);
        steps.map(move |(farther, change)| {
            at += farther;
            change.apply(&mut counts);
            (at, counts)
        })
    }
}

impl Change {
    fn between(before: &Counts, after: &Counts) -> Self {
        let mut by = [0; 8];
        let mut mask = 0;
        for (place, (by, (before, after))) in by.iter_mut().zip(before.iter().zip(after)).enumerate() {
            *by = after.wrapping_sub(*before).cast_signed();
            mask |= u8::from(*by != 0) << place;
        }
        let mut changed = (0..).zip(by).filter(|(_, by)| *by != 0);
        let nibble = |place: u8, by: i64| place << 1 | u8::from(by < 0);
        match (changed.next(), changed.next(), changed.next()) {
            (Some((place, by @ (-1 | 1))), None, None) => Self::ByOne(nibble(place, by) * 0x11),
            (Some((a, by_a @ (-1 | 1))), Some((b, by_b @ (-1 | 1))), None) => {
                Self::ByOne(nibble(a, by_a) | nibble(b, by_b) << 4)
            }
            (_, _, _) => Self::Anyhow { mask, by },
        }
    }

    fn apply(self, counts: &mut Counts) {
        let mut add = |place: usize, by: i64| {
            if let Some(count) = counts.get_mut(place) {
                *count = count.wrapping_add(by.cast_unsigned());
            }
        };
        match self {
            Self::ByOne(code) => {
                let one = |nibble: u8| (usize::from(nibble >> 1), if nibble & 1 == 1 { -1 } else { 1 });
                let (first, second) = (code & 0x0f, code >> 4);
                let (place, by) = one(first);
                add(place, by);
                if second != first {
                    let (place, by) = one(second);
                    add(place, by);
                }
            }
            Self::Anyhow { by, .. } => by.into_iter().enumerate().for_each(|(place, by)| add(place, by)),
        }
    }

    fn put(self, bytes: &mut Vec<u8>) {
        match self {
            Self::ByOne(code) => bytes.push(code),
            Self::Anyhow { mask, by } => {
                bytes.extend([ANYHOW, mask]);
                by.into_iter().filter(|by| *by != 0).for_each(|by| put(bytes, zigzag(by)));
            }
        }
    }

    fn take(rest: &mut &[u8]) -> Option<Self> {
        let (code, behind) = rest.split_first()?;
        *rest = behind;
        if *code != ANYHOW {
            return Some(Self::ByOne(*code));
        }
        let (mask, behind) = rest.split_first()?;
        *rest = behind;
        Self::anyhow(*mask, || take(rest))
    }

    /// With what comes next for each count that changed.
    fn anyhow(mask: u8, mut next: impl FnMut() -> Option<u64>) -> Option<Self> {
        let mut by = [0; 8];
        for (place, by) in by.iter_mut().enumerate() {
            if mask >> place & 1 == 1 {
                *by = unzigzag(next()?);
            }
        }
        Some(Self::Anyhow { mask, by })
    }
}

/// The steps of a chunk to which more may come: each how many positions farther, and what it does.
fn opened(bytes: &[u8]) -> impl Iterator<Item = (u64, Change)> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || Some((take(&mut rest)?, Change::take(&mut rest)?)))
}

fn zigzag(by: i64) -> u64 {
    (by << 1 ^ by >> 63).cast_unsigned()
}

fn unzigzag(by: u64) -> i64 {
    (by >> 1).cast_signed() ^ -(by & 1).cast_signed()
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

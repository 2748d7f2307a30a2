//! What a run of subjects holds: a key and a position an entry, each told by what it adds to the one before.
//!
//! ```text
//! block  count:u16, then varints: 0 for another key, tenant - previous tenant,
//!        code (- previous code, if the tenant is the same), position; or position - previous position, which is not 0
//!        for a seat, what stands as its position is 32 times that with the number of what was done; for what came late,
//!        16 times that with how late; for a pool, a user or a device 4 times, and for an actor 32 times that with how many
//!        events that follow it directly are told of as well
//! tail   tenant:u32 code:u64 position:u64 of the first entry of each block
//! ```

use super::{Key, position_in};
use crate::log::bytes::{Take, put_varint};
use crate::log::runs::{self, BODY_BYTES, Run as _, RunFile, RunWriter, merged};
use std::collections::BTreeMap;
use std::io;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::path::Path;

/// A subject of a tenant and one of its positions.
pub(super) type Entry = (Key, u64);

const COUNT_BYTES: usize = 2;
/// Four varints, the longest that there are.
const ENTRY_BYTES_MAX: usize = 1 + 5 + 10 + 10;
const FENCE_BYTES: usize = 20;

/// Keys that are looked for, in order.
pub(super) struct Wanted<'k>(pub(super) &'k [Key]);

impl Wanted<'_> {
    /// Whether a key is one of them; asked in order, and broken off behind the last one.
    pub(super) fn has(&mut self, key: Key) -> ControlFlow<(), bool> {
        loop {
            match self.0.split_first() {
                None => return ControlFlow::Break(()),
                Some((first, rest)) if *first < key => self.0 = rest,
                Some((first, _)) => return ControlFlow::Continue(*first == key),
            }
        }
    }
}

pub(super) struct Run {
    file: RunFile,
    /// The first entry of each block.
    fences: Vec<Entry>,
    /// A position that each tenant reaches in this run at least.
    reached: BTreeMap<u32, u64>,
}

fn reached(fences: &[Entry]) -> BTreeMap<u32, u64> {
    let mut reached = BTreeMap::new();
    for ((tenant, code), stamp) in fences {
        let at: &mut u64 = reached.entry(*tenant).or_default();
        *at = position_in(*code, *stamp).max(*at);
    }
    reached
}

impl Run {
    /// Adds a key's positions within a range, in the order asked for, until there are `max`.
    pub(super) fn positions(
        &self,
        key: Key,
        range: &Range<u64>,
        max: usize,
        newest_first: bool,
        found: &mut Vec<u64>,
    ) -> io::Result<()> {
        let first = self.fences.partition_point(|fence| *fence <= (key, range.start)).saturating_sub(1);
        let end = self.fences.partition_point(|fence| *fence < (key, range.end)).max(first);
        for step in 0..end - first {
            if found.len() >= max {
                break;
            }
            let block = if newest_first { end - 1 - step } else { first + step };
            let before = found.len();
            self.each_entry(block, |of, position| {
                if (of, position) >= (key, range.end) || (!newest_first && found.len() == max) {
                    return ControlFlow::Break(());
                }
                if (of, position) >= (key, range.start) {
                    found.push(position);
                }
                ControlFlow::Continue(())
            })?;
            if newest_first && let Some(of_block) = found.get_mut(before..) {
                of_block.reverse();
                found.truncate(max);
            }
        }
        Ok(())
    }

    /// The entries of a block in their order, until there is enough.
    fn each_entry(&self, block: usize, each: impl FnMut(Key, u64) -> ControlFlow<()>) -> io::Result<()> {
        let body = self.file.block(block)?;
        each_entry_in(&body, each).ok_or_else(|| self.file.damaged(&format!("block {block} can't be read")))
    }

    /// A position that a tenant reaches in this run at least; the runs behind it begin later.
    pub(super) fn reaches(&self, tenant: u32) -> Option<u64> {
        self.reached.get(&tenant).copied()
    }

    /// Hands out the entries of a range of keys below a stamp, in order, until `max` keys had one.
    pub(super) fn scan(
        &self,
        keys: &RangeInclusive<Key>,
        end: u64,
        max: usize,
        mut each: impl FnMut(Key, u64),
    ) -> io::Result<()> {
        let first = self.fences.partition_point(|(key, _)| key < keys.start()).saturating_sub(1);
        let behind = self.fences.partition_point(|(key, _)| key <= keys.end());
        let (mut last, mut count, mut is_enough) = (None, 0, false);
        for block in first..behind {
            self.each_entry(block, |key, position| {
                is_enough = key > *keys.end() || (count == max && last != Some(key));
                if is_enough {
                    return ControlFlow::Break(());
                }
                if key >= *keys.start() && position < end {
                    count += usize::from(last != Some(key));
                    last = Some(key);
                    each(key, position);
                }
                ControlFlow::Continue(())
            })?;
            if is_enough {
                break;
            }
        }
        Ok(())
    }

    /// Hands out the entries of these keys, which ascend, below a stamp, in order. Each block is read once.
    pub(super) fn scan_each(&self, keys: &[Key], end: u64, mut each: impl FnMut(Key, u64)) -> io::Result<()> {
        let (mut rest, mut next) = (keys, 0);
        // a run of groups that were about nothing has no block
        while let Some(first) = rest.first().filter(|_| next < self.fences.len()) {
            let block = self.fences.partition_point(|(key, _)| key < first).saturating_sub(1).max(next);
            next = block + 1;
            let behind = self.fences.get(next).map(|(key, _)| *key);
            // what begins in the block behind may have begun in this one
            let last = behind.map_or(rest.len(), |behind| rest.partition_point(|key| *key <= behind));
            let mut wanted = Wanted(rest.get(..last).unwrap_or_default());
            self.each_entry(block, |key, position| {
                if wanted.has(key)? && position < end {
                    each(key, position);
                }
                ControlFlow::Continue(())
            })?;
            let Some(behind) = behind else { break };
            rest = rest.get(rest.partition_point(|key| *key < behind)..).unwrap_or_default();
        }
        Ok(())
    }
}

impl runs::Run for Run {
    type Entry = Entry;

    const MAGIC: &[u8; 8] = b"SLSUBJ06";

    fn open(file: RunFile, tail: &[u8]) -> Option<Self> {
        let mut take = Take(tail);
        let mut fences = Vec::with_capacity(tail.len() / FENCE_BYTES);
        while !take.is_empty() {
            let tenant = u32::from_be_bytes(*take.array()?);
            let code = u64::from_be_bytes(*take.array()?);
            fences.push(((tenant, code), u64::from_be_bytes(*take.array()?)));
        }
        let reached = reached(&fences);
        (fences.len() == file.blocks).then_some(Self { file, fences, reached })
    }

    fn file(&self) -> &RunFile {
        &self.file
    }

    fn block(&self, block: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.each_entry(block, |key, position| {
            entries.push((key, position));
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    fn merge(folder: &Path, left: &Self, right: &Self) -> io::Result<Self> {
        write(folder, left.file.first_group, right.file.last_group, merged(left, right))
    }
}

/// `None` where the bytes, as far as they are looked at, are none that [`write()`] wrote.
fn each_entry_in(body: &[u8], mut each: impl FnMut(Key, u64) -> ControlFlow<()>) -> Option<()> {
    let mut take = Take(body);
    let count = u16::from_be_bytes(*take.array()?);
    let (mut key, mut position): Entry = ((0, 0), 0);
    for _ in 0..count {
        let step = take.varint()?;
        if step == 0 {
            let tenants = take.varint_u32()?;
            let code = take.varint()?;
            key = if tenants == 0 { (key.0, key.1.checked_add(code)?) } else { (key.0.checked_add(tenants)?, code) };
            position = take.varint()?;
        } else {
            position = position.checked_add(step)?;
        }
        if each(key, position).is_break() {
            break;
        }
    }
    Some(())
}

/// Writes a run from sorted entries, each of which is there once.
pub(super) fn write(
    folder: &Path,
    first_group: u64,
    last_group: u64,
    sorted: impl Iterator<Item = io::Result<Entry>>,
) -> io::Result<Run> {
    let mut out = RunWriter::create(folder, Run::MAGIC, first_group, last_group)?;
    let (mut fences, mut entries) = (Vec::new(), 0);
    let mut block = Block::default();
    for entry in sorted {
        let entry = entry?;
        if block.is_full() {
            block.close(&mut out)?;
        }
        if block.count == 0 {
            fences.push(entry);
        }
        block.push(entry);
        entries += 1;
    }
    if block.count > 0 {
        block.close(&mut out)?;
    }
    let mut tail = Vec::with_capacity(fences.len() * FENCE_BYTES);
    for ((tenant, code), position) in &fences {
        tail.extend_from_slice(&tenant.to_be_bytes());
        tail.extend_from_slice(&code.to_be_bytes());
        tail.extend_from_slice(&position.to_be_bytes());
    }
    let reached = reached(&fences);
    Ok(Run { file: out.finish(entries, &tail)?, fences, reached })
}

#[derive(Default)]
struct Block {
    body: Vec<u8>,
    count: u16,
    last: Entry,
}

impl Block {
    fn is_full(&self) -> bool {
        self.body.len() + ENTRY_BYTES_MAX > BODY_BYTES
    }

    fn push(&mut self, (key, position): Entry) {
        if self.count == 0 {
            self.body.resize(COUNT_BYTES, 0);
            self.last = Entry::default();
        }
        let (last_key, last_position) = self.last;
        assert!(self.count == 0 || self.last < (key, position), "a run's entries ascend");
        if key == last_key && self.count > 0 {
            put_varint(&mut self.body, position - last_position);
        } else {
            put_varint(&mut self.body, 0);
            put_varint(&mut self.body, u64::from(key.0 - last_key.0));
            put_varint(&mut self.body, if key.0 == last_key.0 { key.1 - last_key.1 } else { key.1 });
            put_varint(&mut self.body, position);
        }
        self.last = (key, position);
        self.count += 1;
    }

    fn close(&mut self, out: &mut RunWriter) -> io::Result<()> {
        let count = std::mem::take(&mut self.count).to_be_bytes();
        self.body.get_mut(..COUNT_BYTES).expect("a block begins with its count").copy_from_slice(&count);
        out.block(&mut self.body)
    }
}

//! What a run of subjects holds: a key and a position an entry, each told by what it adds to the one before.
//!
//! ```text
//! block  count:u16, then varints: 0 for another key, tenant - previous tenant,
//!        code (- previous code, if the tenant is the same), position; or position - previous position, which is not 0
//!        for a seat, what stands as its position is 32 times that with the number of what was done
//! tail   tenant:u32 code:u64 position:u64 of the first entry of each block
//! ```

use super::{Key, position_in};
use crate::log::bytes::{Take, put_varint};
use crate::log::runs::{self, BODY_BYTES, Run as _, RunFile, RunWriter, merged};
use std::collections::BTreeMap;
use std::io;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

/// A subject of a tenant and one of its positions.
pub(super) type Entry = (Key, u64);

const COUNT_BYTES: usize = 2;
/// Four varints, the longest that there are.
const ENTRY_BYTES_MAX: usize = 1 + 5 + 10 + 10;
const FENCE_BYTES: usize = 20;

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
            let mut within = self.block(block)?;
            within.retain(|(of, position)| *of == key && range.contains(position));
            let positions = within.iter().map(|(_, position)| *position);
            let wanted = max - found.len();
            if newest_first {
                found.extend(positions.rev().take(wanted));
            } else {
                found.extend(positions.take(wanted));
            }
        }
        Ok(())
    }
}

impl Run {
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
        let (mut last, mut count) = (None, 0);
        for block in first..behind {
            for (key, position) in self.block(block)? {
                if !keys.contains(&key) || position >= end {
                    continue;
                }
                if last != Some(key) {
                    if count == max {
                        return Ok(());
                    }
                    (last, count) = (Some(key), count + 1);
                }
                each(key, position);
            }
        }
        Ok(())
    }
}

impl runs::Run for Run {
    type Entry = Entry;

    const MAGIC: &[u8; 8] = b"SLSUBJ04";

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
        let body = self.file.block(block)?;
        read_block(&body).ok_or_else(|| self.file.damaged(&format!("block {block} can't be read")))
    }

    fn merge(folder: &Path, left: &Self, right: &Self) -> io::Result<Self> {
        write(folder, left.file.first_group, right.file.last_group, merged(left, right))
    }
}

/// `None` where the bytes are none that [`write()`] wrote.
fn read_block(body: &[u8]) -> Option<Vec<Entry>> {
    let mut take = Take(body);
    let count = u16::from_be_bytes(*take.array()?);
    let mut entries = Vec::with_capacity(usize::from(count));
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
        entries.push((key, position));
    }
    Some(entries)
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

//! What a run of receipts holds: entries of one length, and in the tail what finds them.
//!
//! ```text
//! block  entries of 40 bytes (tenant:u32 id:16 first_position:u64 records:u32 hash:u64)
//! tail   the first tenant and id of each block, 20 bytes each; the filter's 64-bit words, little-endian
//! ```

use super::filter::Filter;
use super::{Receipt, ReceiptKey};
use crate::log::bytes::size;
use crate::log::runs::{self, BODY_BYTES, Run as _, RunFile, RunWriter, merged};
use std::io;
use std::path::Path;

const ENTRY_BYTES: usize = 40;
const ENTRIES_PER_BLOCK: usize = BODY_BYTES / ENTRY_BYTES;
const FENCE_BYTES: usize = 20;

pub(super) struct Run {
    file: RunFile,
    fences: Vec<ReceiptKey>,
    filter: Filter,
}

impl Run {
    pub(super) fn get(&self, key: ReceiptKey) -> io::Result<Option<Receipt>> {
        if !self.filter.may_hold(key) {
            return Ok(None);
        }
        let Some(block) = self.fences.partition_point(|fence| *fence <= key).checked_sub(1) else {
            return Ok(None);
        };
        let entries = self.block(block)?;
        Ok(entries
            .binary_search_by_key(&key, |(key, _)| *key)
            .ok()
            .and_then(|at| entries.get(at))
            .map(|(_, receipt)| *receipt))
    }
}

impl runs::Run for Run {
    type Entry = (ReceiptKey, Receipt);

    const MAGIC: &[u8; 8] = b"SLRCPT02";

    fn open(file: RunFile, tail: &[u8]) -> Option<Self> {
        let (fences, filter) = tail.split_at_checked(file.blocks.checked_mul(FENCE_BYTES)?)?;
        let is_whole = filter.len() as u64 == Filter::bytes_for(file.entries)
            && file.blocks == size(file.entries).div_ceil(ENTRIES_PER_BLOCK);
        let fences = fences.as_chunks::<FENCE_BYTES>().0.iter().map(|fence| {
            let (tenant, id) = fence.split_first_chunk::<4>().expect("20 bytes");
            (u32::from_be_bytes(*tenant), id.try_into().expect("16 bytes"))
        });
        is_whole.then(|| Self { file, fences: fences.collect(), filter: Filter::from_bytes(filter) })
    }

    fn file(&self) -> &RunFile {
        &self.file
    }

    fn block(&self, block: usize) -> io::Result<Vec<Self::Entry>> {
        let body = self.file.block(block)?;
        let before = block as u64 * ENTRIES_PER_BLOCK as u64;
        let count = size(self.file.entries.saturating_sub(before)).min(ENTRIES_PER_BLOCK);
        Ok(body.chunks_exact(ENTRY_BYTES).take(count).map(entry).collect())
    }

    /// An id is in one of them only.
    fn merge(folder: &Path, left: &Self, right: &Self) -> io::Result<Self> {
        let (first, last) = (left.file.first_group, right.file.last_group);
        write(folder, first, last, left.file.entries + right.file.entries, merged(left, right))
    }
}

fn entry(bytes: &[u8]) -> (ReceiptKey, Receipt) {
    let (tenant, rest) = bytes.split_first_chunk::<4>().expect("40 bytes");
    let (id, rest) = rest.split_first_chunk::<16>().expect("36 bytes");
    let (first, rest) = rest.split_first_chunk::<8>().expect("20 bytes");
    let (records, rest) = rest.split_first_chunk::<4>().expect("12 bytes");
    let (hash, _) = rest.split_first_chunk::<8>().expect("8 bytes");
    let receipt = Receipt {
        first_position: u64::from_be_bytes(*first),
        records: u32::from_be_bytes(*records),
        content_hash: u64::from_be_bytes(*hash),
    };
    ((u32::from_be_bytes(*tenant), *id), receipt)
}

pub(super) fn bytes_of((tenant, id): ReceiptKey, receipt: Receipt) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    let parts: [&[u8]; 5] = [
        &tenant.to_be_bytes(),
        &id,
        &receipt.first_position.to_be_bytes(),
        &receipt.records.to_be_bytes(),
        &receipt.content_hash.to_be_bytes(),
    ];
    let all = parts.into_iter().flatten();
    bytes.iter_mut().zip(all).for_each(|(place, byte)| *place = *byte);
    bytes
}

/// Writes a run from sorted entries.
pub(super) fn write(
    folder: &Path,
    first_group: u64,
    last_group: u64,
    entries: u64,
    sorted: impl Iterator<Item = io::Result<(ReceiptKey, Receipt)>>,
) -> io::Result<Run> {
    let mut out = RunWriter::create(folder, Run::MAGIC, first_group, last_group)?;
    let (mut filter, mut fences) = (Filter::for_entries(entries), Vec::new());
    let mut block: Vec<u8> = Vec::with_capacity(BODY_BYTES);
    for item in sorted {
        let (key, receipt) = item?;
        if block.is_empty() {
            fences.push(key);
        }
        filter.insert(key);
        block.extend_from_slice(&bytes_of(key, receipt));
        if block.len() == ENTRIES_PER_BLOCK * ENTRY_BYTES {
            out.block(&mut block)?;
        }
    }
    if !block.is_empty() {
        out.block(&mut block)?;
    }
    let mut tail: Vec<u8> =
        fences.iter().flat_map(|(tenant, id)| tenant.to_be_bytes().into_iter().chain(*id)).collect();
    tail.extend_from_slice(&filter.to_bytes());
    Ok(Run { file: out.finish(entries, &tail)?, fences, filter })
}

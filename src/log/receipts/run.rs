//! One sorted run in a file: a header, blocks of entries each with its checksum, and the filter. Written aside, synced
//! and renamed; never changed afterwards.
//!
//! ```text
//! header 4096   "SLRCPT01" first_group:u64 last_group:u64 entries:u64 crc32:4, zeros
//! block  4096   entries of 40 bytes (tenant:u32 id:16 first_position:u64 records:u32 hash:u64), zeros, crc32:4
//! fences        the first tenant and id of each block, 20 bytes each
//! filter        64-bit words, little-endian; then a crc32 over fences and filter
//! ```

use super::filter::Filter;
use super::{Receipt, ReceiptKey, Tally};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"SLRCPT01";
const BLOCK_BYTES: usize = 4096;
const ENTRY_BYTES: usize = 40;
const ENTRIES_PER_BLOCK: usize = (BLOCK_BYTES - 4) / ENTRY_BYTES;
const FENCE_BYTES: usize = 20;

pub(super) struct Run {
    path: PathBuf,
    file: File,
    pub(super) first_group: u64,
    pub(super) last_group: u64,
    entries: u64,
    fences: Vec<ReceiptKey>,
    filter: Filter,
}

impl Run {
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

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

    fn block(&self, block: usize) -> io::Result<Vec<(ReceiptKey, Receipt)>> {
        let mut bytes = [0; BLOCK_BYTES];
        self.file.read_exact_at(&mut bytes, ((block + 1) * BLOCK_BYTES) as u64)?;
        let (body, crc) = bytes.split_at(BLOCK_BYTES - 4);
        if crc != crc32fast::hash(body).to_be_bytes() {
            return Err(damaged(&self.path, &format!("block {block} is not what was written")));
        }
        let before = block as u64 * ENTRIES_PER_BLOCK as u64;
        let count = usize::try_from(self.entries - before).unwrap_or(usize::MAX).min(ENTRIES_PER_BLOCK);
        Ok(body.chunks_exact(ENTRY_BYTES).take(count).map(entry).collect())
    }

    fn iter(self: &Arc<Self>) -> impl Iterator<Item = io::Result<(ReceiptKey, Receipt)>> + use<> {
        let run = Arc::clone(self);
        (0..self.fences.len()).flat_map(move |block| match run.block(block) {
            Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    pub(super) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Takes a damaged run out of the way, so that the next start makes the index anew.
    pub(super) fn spoil(&self) {
        if let Err(error) = std::fs::rename(&self.path, self.path.with_extension("damaged")) {
            tracing::error!(%error, path = %self.path.display(), "a damaged run could not be set aside");
        }
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

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

fn path_of(folder: &Path, first_group: u64, last_group: u64) -> PathBuf {
    folder.join(format!("{first_group:020}-{last_group:020}.run"))
}

/// Writes a run from sorted entries.
pub(super) fn write(
    folder: &Path,
    first_group: u64,
    last_group: u64,
    entries: u64,
    sorted: impl Iterator<Item = io::Result<(ReceiptKey, Receipt)>>,
) -> io::Result<Run> {
    let path = path_of(folder, first_group, last_group);
    let aside = path.with_extension("new");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&aside)?;
    let mut out = BufWriter::new(&file);
    let mut header = [0; BLOCK_BYTES];
    let mut head = Vec::with_capacity(36);
    head.extend_from_slice(MAGIC);
    for number in [first_group, last_group, entries] {
        head.extend_from_slice(&number.to_be_bytes());
    }
    let crc = crc32fast::hash(&head).to_be_bytes();
    head.extend_from_slice(&crc);
    header.get_mut(..head.len()).expect("a header fits into its block").copy_from_slice(&head);
    out.write_all(&header)?;
    let (mut filter, mut fences) = (Filter::for_entries(entries), Vec::new());
    let mut block: Vec<u8> = Vec::with_capacity(BLOCK_BYTES);
    for item in sorted {
        let (key, receipt) = item?;
        if block.is_empty() {
            fences.push(key);
        }
        filter.insert(key);
        block.extend_from_slice(&bytes_of(key, receipt));
        if block.len() == ENTRIES_PER_BLOCK * ENTRY_BYTES {
            write_block(&mut out, &mut block)?;
        }
    }
    if !block.is_empty() {
        write_block(&mut out, &mut block)?;
    }
    let mut tail: Vec<u8> =
        fences.iter().flat_map(|(tenant, id)| tenant.to_be_bytes().into_iter().chain(*id)).collect();
    tail.extend_from_slice(&filter.to_bytes());
    out.write_all(&tail)?;
    out.write_all(&crc32fast::hash(&tail).to_be_bytes())?;
    out.flush()?;
    drop(out);
    file.sync_all()?;
    std::fs::rename(&aside, &path)?;
    File::open(folder)?.sync_all()?;
    Ok(Run { path, file, first_group, last_group, entries, fences, filter })
}

fn write_block(out: &mut impl Write, block: &mut Vec<u8>) -> io::Result<()> {
    block.resize(BLOCK_BYTES - 4, 0);
    out.write_all(block)?;
    out.write_all(&crc32fast::hash(block).to_be_bytes())?;
    block.clear();
    Ok(())
}

/// One run of two neighbours. An id is in one of them only.
pub(super) fn merge(folder: &Path, left: &Arc<Run>, right: &Arc<Run>) -> io::Result<Run> {
    let (mut a, mut b) = (left.iter().peekable(), right.iter().peekable());
    let merged = std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(Ok((x, _))), Some(Ok((y, _)))) => {
            if x <= y {
                a.next()
            } else {
                b.next()
            }
        }
        (Some(_), None | Some(Ok(_))) => a.next(),
        (None | Some(Ok(_)), Some(_)) => b.next(),
        (Some(Err(_)), Some(Err(_))) => a.next(),
        (None, None) => None,
    });
    write(folder, left.first_group, right.last_group, left.entries + right.entries, merged)
}

/// The runs of a folder in their order; `None` if one is damaged or missing. What a kill left over is removed.
pub(super) fn open_all(folder: &Path) -> io::Result<Option<Vec<Run>>> {
    let mut paths = Vec::new();
    for found in std::fs::read_dir(folder)? {
        let path = found?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("run") => paths.push(path),
            Some("new") => std::fs::remove_file(&path)?,
            Some("damaged") => return Ok(None),
            Some(_) | None => {}
        }
    }
    paths.sort();
    let mut runs: Vec<Run> = Vec::new();
    for path in paths {
        let run = match open(&path) {
            Ok(run) => run,
            Err(error) => {
                tracing::warn!(%error, "a run of the index of command ids can't be used");
                return Ok(None);
            }
        };
        // A kill between a merge and the removal of what was merged leaves runs that a longer one holds already.
        runs.retain(|known| {
            let is_held = run.first_group <= known.first_group && known.last_group <= run.last_group;
            !is_held || known.remove().is_err()
        });
        match runs.last() {
            Some(last) if last.first_group <= run.first_group && run.last_group <= last.last_group => run.remove()?,
            Some(last) if last.last_group + 1 != run.first_group => return Ok(None),
            None if run.first_group != 1 => return Ok(None),
            Some(_) | None => runs.push(run),
        }
    }
    Ok(Some(runs))
}

pub(super) fn remove_all(folder: &Path) -> io::Result<()> {
    for found in std::fs::read_dir(folder)? {
        std::fs::remove_file(found?.path())?;
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<Run> {
    let file = File::open(path)?;
    let mut header = [0; BLOCK_BYTES];
    file.read_exact_at(&mut header, 0)?;
    let number = |at: usize| {
        u64::from_be_bytes(header.get(at..at + 8).and_then(|b| b.try_into().ok()).expect("within the header"))
    };
    let is_ours = header.get(..8) == Some(&MAGIC[..])
        && header.get(32..36) == Some(&crc32fast::hash(header.get(..32).expect("within the header")).to_be_bytes()[..])
        && header.iter().skip(36).all(|byte| *byte == 0);
    if !is_ours {
        return Err(damaged(path, "its header is not what was written"));
    }
    let (first_group, last_group, entries) = (number(8), number(16), number(24));
    let blocks = entries.div_ceil(ENTRIES_PER_BLOCK as u64);
    let fence_bytes = blocks * FENCE_BYTES as u64;
    let filter_bytes = Filter::bytes_for(entries);
    let tail_at = (blocks + 1) * BLOCK_BYTES as u64;
    if file.metadata()?.len() != tail_at + fence_bytes + filter_bytes + 4 {
        return Err(damaged(path, "its length is not what its header says"));
    }
    let mut tail = vec![0; usize::try_from(fence_bytes + filter_bytes + 4).expect("a tail fits into memory")];
    file.read_exact_at(&mut tail, tail_at)?;
    let (tail, crc) = tail.split_at(tail.len() - 4);
    if crc != crc32fast::hash(tail).to_be_bytes() {
        return Err(damaged(path, "its filter is not what was written"));
    }
    let (fences, filter) = tail.split_at(usize::try_from(fence_bytes).expect("fences fit into memory"));
    let fences = fences.chunks_exact(FENCE_BYTES).map(|fence| {
        let (tenant, id) = fence.split_first_chunk::<4>().expect("20 bytes");
        (u32::from_be_bytes(*tenant), id.try_into().expect("16 bytes"))
    });
    Ok(Run {
        path: path.to_owned(),
        first_group,
        last_group,
        entries,
        fences: fences.collect(),
        filter: Filter::from_bytes(filter),
        file,
    })
}

/// Reads everything: the last group that is covered and the tally of the entries, or the first bad place.
pub(super) fn verify_all(folder: &Path) -> io::Result<Result<(u64, Tally), String>> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|found| found.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "run"));
    let mut runs: Vec<Run> = Vec::new();
    for path in paths {
        match open(&path) {
            Ok(run) => runs.push(run),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    runs.sort_by_key(|run| (run.first_group, std::cmp::Reverse(run.last_group)));
    let (mut covered, mut tally) = (0, Tally::default());
    for run in runs {
        if run.last_group <= covered {
            continue; // merged into a longer one already
        }
        if run.first_group != covered + 1 {
            let missing = format!("groups {} to {}", covered + 1, run.first_group - 1);
            return Ok(Err(format!("{}: the run of {missing} before it is missing", run.path.display())));
        }
        covered = run.last_group;
        for block in 0..run.fences.len() {
            match run.block(block) {
                Ok(entries) => entries.into_iter().for_each(|(key, receipt)| tally.add(key, receipt)),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    }
    Ok(Ok((covered, tally)))
}

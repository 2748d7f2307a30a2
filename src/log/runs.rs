//! Sorted runs: what indexes with an entry per event are kept in. A run is a file that covers the groups of a stretch of
//! the log and is never changed; runs of neighbouring stretches are merged into one. Not here: what an entry is.
//!
//! ```text
//! header 4096   magic:8 first_group:u64 last_group:u64 entries:u64 blocks:u64 tail_bytes:u64 crc32:4, zeros
//! block  4096   entries, zeros, crc32:4
//! tail          what finds a block in memory, crc32:4
//! ```
//! Numbers are big-endian. Runs are caches: one that is missing or not what was written costs a fold of the log.

use super::aside::{Aside, HALF};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BLOCK_BYTES: usize = 4096;
const HEAD_BYTES: usize = 48;
/// What of a block is the index's own.
pub(super) const BODY_BYTES: usize = BLOCK_BYTES - 4;
/// More runs than these are merged.
pub(super) const RUNS_MAX: usize = 8;

/// What an index makes of a run's file.
pub(super) trait Run: Sized {
    type Entry: Ord;
    const MAGIC: &[u8; 8];
    /// `None` when the tail is not one of this index.
    fn open(file: RunFile, tail: &[u8]) -> Option<Self>;
    fn file(&self) -> &RunFile;
    /// The entries of a block, checked.
    fn block(&self, block: usize) -> io::Result<Vec<Self::Entry>>;
    /// Both runs in one.
    fn merge(folder: &Path, left: &Self, right: &Self) -> io::Result<Self>;
}

pub(super) struct RunFile {
    path: PathBuf,
    file: File,
    pub(super) first_group: u64,
    pub(super) last_group: u64,
    pub(super) entries: u64,
    pub(super) blocks: usize,
}

impl RunFile {
    /// A block's entries and the zeros behind them.
    pub(super) fn block(&self, block: usize) -> io::Result<[u8; BODY_BYTES]> {
        let mut bytes = [0; BLOCK_BYTES];
        self.file.read_exact_at(&mut bytes, (block as u64 + 1) * BLOCK_BYTES as u64)?;
        let (body, crc) = bytes.split_first_chunk::<BODY_BYTES>().expect("a block is longer than its body");
        if crc != crc32fast::hash(body).to_be_bytes() {
            return Err(self.damaged(&format!("block {block} is not what was written")));
        }
        Ok(*body)
    }

    pub(super) fn damaged(&self, what: &str) -> io::Error {
        damaged(&self.path, what)
    }

    fn bytes(&self) -> u64 {
        (self.blocks as u64 + 1) * BLOCK_BYTES as u64
    }

    fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Takes a damaged run out of the way, so that the next start makes the index anew.
    pub(super) fn spoil(&self) {
        if let Err(error) = std::fs::rename(&self.path, self.path.with_extension("damaged")) {
            tracing::error!(%error, path = %self.path.display(), "a damaged run could not be set aside");
        }
    }

    /// The run of a path and its tail.
    fn open(path: &Path, magic: &[u8; 8]) -> io::Result<(Self, Vec<u8>)> {
        let file = File::open(path)?;
        let mut header = [0; BLOCK_BYTES];
        file.read_exact_at(&mut header, 0)?;
        let (head, rest) = header.split_first_chunk::<HEAD_BYTES>().expect("a head is shorter than a block");
        let (crc, zeros) = rest.split_first_chunk::<4>().expect("a crc is shorter than the rest of a block");
        let (stated, numbers) = head.split_first_chunk::<8>().expect("a head begins with its magic");
        if *crc != crc32fast::hash(head).to_be_bytes() || zeros.iter().any(|byte| *byte != 0) {
            return Err(damaged(path, "its header is not what was written"));
        }
        if stated != magic {
            let what = format!("{}: it is of another version of the program", path.display());
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number));
        let mut next = || numbers.next().expect("a head has five numbers");
        let (first_group, last_group, entries, blocks, tail_bytes) = (next(), next(), next(), next(), next());
        let tail_at = blocks.saturating_add(1).saturating_mul(BLOCK_BYTES as u64);
        if file.metadata()?.len() != tail_at.saturating_add(tail_bytes).saturating_add(4) {
            return Err(damaged(path, "its length is not what its header says"));
        }
        let too_long = |_| damaged(path, "its header says more than fits into memory");
        let mut tail = vec![0; usize::try_from(tail_bytes).map_err(too_long)?];
        file.read_exact_at(&mut tail, tail_at)?;
        let mut crc = [0; 4];
        file.read_exact_at(&mut crc, tail_at + tail_bytes)?;
        if crc != crc32fast::hash(&tail).to_be_bytes() {
            return Err(damaged(path, "its tail is not what was written"));
        }
        let blocks = usize::try_from(blocks).map_err(too_long)?;
        Ok((Self { path: path.to_owned(), file, first_group, last_group, entries, blocks }, tail))
    }
}

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

fn open<R: Run>(path: &Path) -> io::Result<R> {
    let (file, tail) = RunFile::open(path, R::MAGIC)?;
    R::open(file, &tail).ok_or_else(|| damaged(path, "its tail does not fit its blocks"))
}

/// A run on its way to disk: aside, synced, and only then under its name.
pub(super) struct RunWriter {
    folder: PathBuf,
    magic: [u8; 8],
    path: PathBuf,
    aside: Aside,
    out: BufWriter<File>,
    first_group: u64,
    last_group: u64,
    blocks: usize,
}

impl RunWriter {
    pub(super) fn create(folder: &Path, magic: &[u8; 8], first_group: u64, last_group: u64) -> io::Result<Self> {
        let path = folder.join(format!("{first_group:020}-{last_group:020}.run"));
        let aside = Aside::of(&path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(aside.path())?;
        let mut out = BufWriter::with_capacity(1 << 16, file);
        out.write_all(&[0; BLOCK_BYTES])?;
        Ok(Self { folder: folder.to_owned(), magic: *magic, path, aside, out, first_group, last_group, blocks: 0 })
    }

    /// Writes what the buffer holds as a block, and empties it.
    pub(super) fn block(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        assert!(body.len() <= BODY_BYTES, "a block's entries fit into it");
        body.resize(BODY_BYTES, 0);
        self.out.write_all(body)?;
        self.out.write_all(&crc32fast::hash(body).to_be_bytes())?;
        self.blocks += 1;
        body.clear();
        Ok(())
    }

    pub(super) fn finish(self, entries: u64, tail: &[u8]) -> io::Result<RunFile> {
        let Self { folder, magic, path, aside, mut out, first_group, last_group, blocks } = self;
        out.write_all(tail)?;
        out.write_all(&crc32fast::hash(tail).to_be_bytes())?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut head = magic.to_vec();
        for number in [first_group, last_group, entries, blocks as u64, tail.len() as u64] {
            head.extend_from_slice(&number.to_be_bytes());
        }
        let crc = crc32fast::hash(&head).to_be_bytes();
        head.extend_from_slice(&crc);
        file.write_all_at(&head, 0)?;
        file.sync_all()?;
        aside.rename(&path)?;
        File::open(folder)?.sync_all()?;
        Ok(RunFile { path, file, first_group, last_group, entries, blocks })
    }
}

/// The runs of a folder in their order, up to `last_group` of the log. If one is damaged, missing, or of another log,
/// all of them go, and nothing is covered.
pub(super) fn open_or_clear<R: Run>(folder: &Path, last_group: u64, index: &str) -> io::Result<Arc<[Arc<R>]>> {
    std::fs::create_dir_all(folder)?;
    let runs = open_all::<R>(folder)?;
    if let Some(runs) = runs.filter(|runs| runs.last().is_none_or(|run| run.file().last_group <= last_group)) {
        return Ok(runs.into_iter().map(Arc::new).collect());
    }
    tracing::warn!(index, "the index can't be used; it is made anew from the log");
    for found in std::fs::read_dir(folder)? {
        std::fs::remove_file(found?.path())?;
    }
    Ok(Arc::default())
}

/// `None` if a run is damaged or missing. What a kill left over is removed.
fn open_all<R: Run>(folder: &Path) -> io::Result<Option<Vec<R>>> {
    let mut paths = Vec::new();
    for found in std::fs::read_dir(folder)? {
        let path = found?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("run") => paths.push(path),
            Some(HALF) => std::fs::remove_file(&path)?,
            Some("damaged") => return Ok(None),
            Some(_) | None => {}
        }
    }
    paths.sort();
    let mut runs: Vec<R> = Vec::new();
    for path in paths {
        let run = match open::<R>(&path) {
            Ok(run) => run,
            Err(error) => {
                tracing::warn!(%error, "a run of an index can't be used");
                return Ok(None);
            }
        };
        let stretch = |run: &R| (run.file().first_group, run.file().last_group);
        let (first, last) = stretch(&run);
        // A kill between a merge and the removal of what was merged leaves runs that a longer one holds already.
        runs.retain(|known| {
            let (known_first, known_last) = stretch(known);
            !(first <= known_first && known_last <= last) || known.file().remove().is_err()
        });
        match runs.last().map(stretch) {
            Some((known_first, known_last)) if known_first <= first && last <= known_last => run.file().remove()?,
            Some((_, known_last)) if known_last + 1 != first => return Ok(None),
            None if first != 1 => return Ok(None),
            Some(_) | None => runs.push(run),
        }
    }
    Ok(Some(runs))
}

/// The runs with a new one behind them, the cheapest neighbours merged while there are too many. Where that fails the
/// runs stand unmerged: damage is for who reads.
pub(super) fn grown<R: Run>(folder: &Path, runs: &[Arc<R>], fresh: R) -> Vec<Arc<R>> {
    let mut runs = runs.to_vec();
    runs.push(Arc::new(fresh));
    while runs.len() > RUNS_MAX {
        let pairs = runs.windows(2).map(|pair| pair.iter().map(|run| run.file().entries).sum::<u64>());
        let at = pairs.enumerate().min_by_key(|(_, entries)| *entries).map_or(0, |(at, _)| at);
        let (Some(left), Some(right)) = (runs.get(at).cloned(), runs.get(at + 1).cloned()) else { break };
        match R::merge(folder, &left, &right) {
            Ok(merged) => {
                runs.splice(at..at + 2, [Arc::new(merged)]);
                for old in [left, right] {
                    if let Err(error) = old.file().remove() {
                        tracing::warn!(%error, "a merged run stays until the next start");
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "two runs of an index could not be merged");
                break;
            }
        }
    }
    runs
}

/// About how much of the disk is written when a run of so many bytes comes behind these: with it, the neighbours that become one.
pub(super) fn bytes_to_write<R: Run>(runs: &[Arc<R>], fresh: u64) -> u64 {
    let sizes: Vec<u64> = runs.iter().map(|run| run.file().bytes()).chain([fresh]).collect();
    let is_merged = sizes.len() > RUNS_MAX;
    let merged = sizes.windows(2).map(|pair| pair.iter().sum::<u64>()).min().filter(|_| is_merged);
    fresh + merged.unwrap_or(0)
}

/// All entries of two runs in their order; errors come as soon as they stand first.
pub(super) fn merged<R: Run>(left: &R, right: &R) -> impl Iterator<Item = io::Result<R::Entry>> {
    let (mut a, mut b) = (entries(left).peekable(), entries(right).peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(Ok(x)), Some(Ok(y))) => {
            if x <= y {
                a.next()
            } else {
                b.next()
            }
        }
        (Some(Err(_)), _) | (Some(_), None) => a.next(),
        (_, Some(_)) => b.next(),
        (None, None) => None,
    })
}

fn entries<R: Run>(run: &R) -> impl Iterator<Item = io::Result<R::Entry>> {
    (0..run.file().blocks).flat_map(|block| match run.block(block) {
        Ok(entries) => entries.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    })
}

/// What runs hold, in figures that a history can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub entries: u64,
    /// A sum of hashes: equal for the same entries in any order.
    pub sum: u128,
}

impl Tally {
    pub(super) fn add_entry(&mut self, bytes: &[u8]) {
        let hash = Sha256::digest(bytes);
        let half = hash.first_chunk::<16>().expect("a SHA-256 has 32 bytes");
        self.entries += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(*half));
    }
}

/// Reads every entry of every run of a folder and changes nothing: the last group that is covered, or the first bad
/// place in words.
pub(super) fn verify_all<R: Run>(folder: &Path, each: &mut dyn FnMut(R::Entry)) -> io::Result<Result<u64, String>> {
    if !folder.exists() {
        return Ok(Ok(0));
    }
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|found| found.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "run"));
    let mut runs: Vec<R> = Vec::new();
    for path in paths {
        match open(&path) {
            Ok(run) => runs.push(run),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return Err(error),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    runs.sort_by_key(|run| (run.file().first_group, std::cmp::Reverse(run.file().last_group)));
    let mut covered = 0;
    for run in runs {
        let RunFile { first_group, last_group, path, .. } = run.file();
        if *last_group <= covered {
            continue; // merged into a longer one already
        }
        if *first_group != covered + 1 {
            let missing = format!("groups {} to {}", covered + 1, first_group - 1);
            return Ok(Err(format!("{}: the run of {missing} before it is missing", path.display())));
        }
        covered = *last_group;
        let mut found = 0;
        for entry in entries(&run) {
            match entry {
                Ok(entry) => each(entry),
                Err(error) => return Ok(Err(error.to_string())),
            }
            found += 1;
        }
        if found != run.file().entries {
            return Ok(Err(format!("{}: not as many entries as its header says", path.display())));
        }
    }
    Ok(Ok(covered))
}

//! Snapshots: caches of everything that is folded from the log, so that a start need not fold the whole history. Written
//! aside, synced and renamed; used only if whole, of this program's schema, and of the chain that the journal has.
//!
//! ```text
//! "SLSNAP01" schema:u32 group:u64 tenants:u32 { tenant:u32 next_position:u64 chain:32 }* payload sha256:32
//! ```
//! Numbers are big-endian; the hash covers everything before it.

use super::Head;
use super::aside::{Aside, HALF};
use super::panics::caught;
use crossbeam_channel::{Receiver, Sender, bounded};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"SLSNAP01";
pub(super) const FOLDER: &str = "snapshots";

/// Where in the log a snapshot was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMeta {
    pub schema: u32,
    pub group: u64,
    pub heads: BTreeMap<u32, Head>,
}

/// Writes a snapshot, and removes of the older ones what `retained.rs` says. Blocking.
///
/// # Errors
/// When the disk says no; older snapshots stand then, and nothing of this one.
pub fn write(
    dir: &Path,
    meta: &SnapshotMeta,
    payload: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let folder = dir.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:020}.snapshot", meta.group));
    let aside = Aside::of(&path);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(aside.path())?;
    let mut out = Hashing { out: BufWriter::new(&file), hash: Sha256::new() };
    out.write_all(MAGIC)?;
    out.write_all(&meta.schema.to_be_bytes())?;
    out.write_all(&meta.group.to_be_bytes())?;
    out.write_all(&u32::try_from(meta.heads.len()).map_err(io::Error::other)?.to_be_bytes())?;
    for (tenant, head) in &meta.heads {
        out.write_all(&tenant.to_be_bytes())?;
        out.write_all(&head.next_position.to_be_bytes())?;
        out.write_all(&head.chain)?;
    }
    payload(&mut out)?;
    let Hashing { mut out, hash } = out;
    out.write_all(&hash.finalize())?;
    out.flush()?;
    drop(out);
    file.sync_all()?;
    aside.rename(&path)?;
    File::open(&folder)?.sync_all()?;
    super::retained::thin(dir, meta.schema)?;
    Ok(path)
}

/// The snapshots of a folder, oldest first. What a kill left half written is removed.
///
/// # Errors
/// When the folder can't be read.
pub fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = entries(dir)?;
    for half in paths.extract_if(.., |path| path.extension().is_some_and(|extension| extension == HALF)) {
        std::fs::remove_file(half)?;
    }
    Ok(only_whole(paths))
}

/// The same, and nothing is removed: for who must not change the folder.
///
/// # Errors
/// When the folder can't be read.
pub fn look(dir: &Path) -> io::Result<Vec<PathBuf>> {
    entries(dir).map(only_whole)
}

/// Removes all of them, durably: what they point to goes.
///
/// # Errors
/// When the folder can't be read or written.
pub(super) fn remove_all(dir: &Path) -> io::Result<()> {
    let all = list(dir)?;
    all.iter().try_for_each(std::fs::remove_file)?;
    if all.is_empty() { Ok(()) } else { File::open(dir.join(FOLDER))?.sync_all() }
}

/// What the newest one takes of the disk; nothing where there is none, or it can't be told.
#[must_use]
pub fn newest_bytes(dir: &Path) -> u64 {
    let newest = look(dir).ok().and_then(|mut paths| paths.pop());
    newest.and_then(|path| std::fs::metadata(path).ok()).map_or(0, |about| about.len())
}

fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(dir.join(FOLDER)) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn only_whole(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "snapshot"));
    paths.sort();
    paths
}

/// Checks a snapshot's hash and reads what it says of itself.
///
/// # Errors
/// When it can't be read or is not what was written.
pub fn check(path: &Path) -> io::Result<SnapshotMeta> {
    let mut hashed = Hashed::open(path)?;
    let mut block = Vec::new();
    while hashed.next(&mut block)? {}
    if !hashed.finish()? {
        return Err(damaged(path));
    }
    head(path)
}

/// What a snapshot says of itself. Nothing of it was checked.
///
/// # Errors
/// When it can't be read.
pub fn head(path: &Path) -> io::Result<SnapshotMeta> {
    read_head(&mut BufReader::with_capacity(4 << 10, File::open(path)?))
}

/// Reads a snapshot once. A thread beside reads and hashes it, while `take` makes something of what stands behind the head:
/// of bytes that may be anything, since their hash is known only at the end. What it made is given out if the hash is right.
///
/// # Errors
/// When it can't be read or is not what was written, and what `take` said.
pub fn read<T>(
    path: &Path,
    take: impl FnOnce(&SnapshotMeta, &mut Payload) -> io::Result<T>,
) -> io::Result<(SnapshotMeta, T)> {
    let mut hashed = Hashed::open(path)?;
    std::thread::scope(|scope| {
        let (give, blocks) = bounded(BLOCKS_AHEAD_MAX);
        let (spent, empty) = bounded(BLOCKS_AHEAD_MAX);
        let hash = move || {
            let mut block = Vec::new();
            while hashed.next(&mut block)? {
                // whoever takes may have stopped; the hash is wanted anyway
                if give.send(block).is_ok() {
                    block = empty.try_recv().unwrap_or_default();
                } else {
                    block = Vec::new();
                }
            }
            drop(give);
            hashed.finish()
        };
        let hashing = std::thread::Builder::new().name("hash".into()).spawn_scoped(scope, hash)?;
        let taken = caught(|| {
            let mut payload = Payload { blocks, spent, block: Vec::new(), at: 0 };
            let meta = read_head(&mut payload)?;
            let taken = take(&meta, &mut payload)?;
            Ok((meta, taken))
        });
        let is_whole = hashing.join().unwrap_or_else(|_| Err(io::Error::other("hashing it panicked")))?;
        if !is_whole {
            return Err(damaged(path));
        }
        taken.map_err(io::Error::other)?
    })
}

/// A snapshot is read in blocks of so many bytes, so many of which wait for whoever takes them.
const BLOCK_BYTES: u64 = 256 << 10;
const BLOCKS_AHEAD_MAX: usize = 4;

/// What stands behind a snapshot's head, block by block.
pub struct Payload {
    blocks: Receiver<Vec<u8>>,
    spent: Sender<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
}

impl Payload {
    /// Puts the next block in the place of one that was read; nothing behind the last.
    pub fn next(&mut self, into: &mut Vec<u8>) {
        let (block, at) = (std::mem::take(&mut self.block), std::mem::take(&mut self.at));
        if at < block.len() {
            *into = block;
            into.drain(..at);
            return;
        }
        let old = std::mem::replace(into, self.blocks.recv().unwrap_or_default());
        let _enough_are_there = self.spent.try_send(old);
    }
}

impl Read for Payload {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            (self.block, self.at) = (self.blocks.recv().unwrap_or_default(), 0);
        }
        let got = self.block.get(self.at..).unwrap_or_default().read(into)?;
        self.at += got;
        Ok(got)
    }
}

/// A snapshot's bytes as they are hashed, without the hash that it states.
struct Hashed {
    file: File,
    left: u64,
    hash: Sha256,
}

impl Hashed {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let left = file.metadata()?.len().checked_sub(32).ok_or_else(|| damaged(path))?;
        Ok(Self { file, left, hash: Sha256::new() })
    }

    /// Puts the next block in the place of another; `false` behind the last.
    fn next(&mut self, block: &mut Vec<u8>) -> io::Result<bool> {
        block.clear();
        let wanted = self.left.min(BLOCK_BYTES);
        // room for the whole block at once, so that no byte is looked for behind it
        block.reserve_exact(usize::try_from(wanted).map_err(io::Error::other)?);
        if (&mut self.file).take(wanted).read_to_end(block)? as u64 != wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= wanted;
        self.hash.update(&*block);
        Ok(wanted > 0)
    }

    /// Whether the hash that stands behind everything is that of everything.
    fn finish(mut self) -> io::Result<bool> {
        Ok(read_array::<32>(&mut self.file)? == <[u8; 32]>::from(self.hash.finalize()))
    }
}

fn read_head(file: &mut impl Read) -> io::Result<SnapshotMeta> {
    if read_array::<8>(file)? != *MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin as a snapshot"));
    }
    let schema = u32::from_be_bytes(read_array(file)?);
    let group = u64::from_be_bytes(read_array(file)?);
    let tenants = u32::from_be_bytes(read_array(file)?);
    let mut heads = BTreeMap::new();
    for _ in 0..tenants {
        let tenant = u32::from_be_bytes(read_array(file)?);
        let next_position = u64::from_be_bytes(read_array(file)?);
        heads.insert(tenant, Head { next_position, chain: read_array(file)? });
    }
    Ok(SnapshotMeta { schema, group, heads })
}

fn read_array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the snapshot {} is not what was written", path.display()))
}

struct Hashing<W> {
    out: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(group: u64) -> SnapshotMeta {
        SnapshotMeta { schema: 1, group, heads: BTreeMap::from([(0, Head { next_position: 7, chain: [3; 32] })]) }
    }

    #[test]
    fn a_snapshot_comes_back_whole_and_any_flipped_bit_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(dir.path(), &meta(5), &mut |out| out.write_all(b"everything")).unwrap();
        assert_eq!(check(&path).unwrap(), meta(5));
        let all = |_: &SnapshotMeta, payload: &mut Payload| {
            let mut all = Vec::new();
            payload.read_to_end(&mut all).map(|_| all)
        };
        assert_eq!(read(&path, all).unwrap(), (meta(5), b"everything".to_vec()));
        assert_eq!(head(&path).unwrap(), meta(5));
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 16;
            std::fs::write(&path, bad).unwrap();
            assert!(check(&path).is_err() && read(&path, all).is_err(), "byte {at}");
            assert!(read(&path, |_, _| Ok(())).is_err(), "whatever was made of it: byte {at}");
        }
        std::fs::write(&path, whole).unwrap();
        assert!(read::<()>(&path, |_, _| Err(io::Error::other("no such contents"))).is_err());
        assert!(read::<()>(&path, |_, _| panic!("no such contents at all")).is_err());
    }

    #[test]
    fn a_payload_of_many_blocks_comes_whole_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let contents: Vec<u8> = (0..3 * BLOCK_BYTES + 11).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let path = write(dir.path(), &meta(5), &mut |out| out.write_all(&contents)).unwrap();
        let blocks = |_: &SnapshotMeta, payload: &mut Payload| {
            let (mut all, mut block) = (Vec::new(), Vec::new());
            loop {
                payload.next(&mut block);
                if block.is_empty() {
                    return Ok(all);
                }
                all.extend_from_slice(&block);
            }
        };
        assert!(read(&path, blocks).unwrap().1 == contents);
    }

    #[test]
    fn the_two_newest_are_kept_and_half_written_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        for group in [5, 60, 700] {
            write(dir.path(), &meta(group), &mut |out| out.write_all(b"x")).unwrap();
        }
        std::fs::write(dir.path().join(FOLDER).join("9.new"), b"half").unwrap();
        let groups: Vec<u64> = list(dir.path()).unwrap().iter().map(|path| check(path).unwrap().group).collect();
        assert_eq!(groups, [60, 700]);
        assert_eq!(std::fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 2);
    }
}

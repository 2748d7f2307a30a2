//! Snapshots: caches of everything that is folded from the log, so that a start need not fold the whole history. Written
//! aside, synced and renamed; used only if whole, of this program's schema, and of the chain that the journal has.
//!
//! ```text
//! "SLSNAP01" schema:u32 group:u64 tenants:u32 { tenant:u32 next_position:u64 chain:32 }* payload sha256:32
//! ```
//! Numbers are big-endian; the hash covers everything before it.

use super::Head;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"SLSNAP01";
const FOLDER: &str = "snapshots";

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
/// When the disk says no; older snapshots stand then.
pub fn write(
    dir: &Path,
    meta: &SnapshotMeta,
    payload: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let folder = dir.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:020}.snapshot", meta.group));
    let aside = path.with_extension("new");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&aside)?;
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
    std::fs::rename(&aside, &path)?;
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
    for half in paths.extract_if(.., |path| path.extension().is_some_and(|extension| extension == "new")) {
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
    let length = std::fs::metadata(path)?.len().checked_sub(32).ok_or_else(|| damaged(path))?;
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut hash = Sha256::new();
    io::copy(&mut (&mut file).take(length), &mut HashOnly(&mut hash))?;
    let mut stated = [0; 32];
    file.read_exact(&mut stated)?;
    if stated != <[u8; 32]>::from(hash.finalize()) {
        return Err(damaged(path));
    }
    open(path).map(|(meta, _)| meta)
}

/// A snapshot's payload, behind its head. The caller has checked it.
///
/// # Errors
/// When it can't be read.
pub fn open(path: &Path) -> io::Result<(SnapshotMeta, impl Read + use<>)> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    if read::<8>(&mut file)? != *MAGIC {
        return Err(damaged(path));
    }
    let schema = u32::from_be_bytes(read(&mut file)?);
    let group = u64::from_be_bytes(read(&mut file)?);
    let tenants = u32::from_be_bytes(read(&mut file)?);
    let mut heads = BTreeMap::new();
    for _ in 0..tenants {
        let tenant = u32::from_be_bytes(read(&mut file)?);
        let next_position = u64::from_be_bytes(read(&mut file)?);
        heads.insert(tenant, Head { next_position, chain: read(&mut file)? });
    }
    Ok((SnapshotMeta { schema, group, heads }, file))
}

fn read<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
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

struct HashOnly<'a>(&'a mut Sha256);

impl Write for HashOnly<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
        let mut payload = [0; 10];
        open(&path).unwrap().1.read_exact(&mut payload).unwrap();
        assert_eq!(&payload, b"everything");
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 16;
            std::fs::write(&path, bad).unwrap();
            assert!(check(&path).is_err(), "byte {at}");
        }
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

//! What of a snapshot never changes any more: bytes in one file, which only grows, each known by where it lies and by a part of its
//! checksum. So they are neither in memory nor written again with every snapshot. A cache as snapshots are: where it is damaged, it
//! and they go at the next start, and the log is folded anew. Not here: what the bytes are.
//!
//! ```text
//! "SLARCH01"   entry: length:u32, bytes, crc32:4 of where it lies (u64) and of everything before
//! known by     checksum mod 2^24 << 40 | where it lies
//! ```
//! Numbers are big-endian. What a kill left behind the last entry nobody points to. What points into another archive than this
//! one meets another checksum.

use super::bytes::wide;
use super::snapshot;
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The folder, within the data folder.
pub(super) const FOLDER: &str = "archive";
const NAME: &str = "1.archive";
const MAGIC: &[u8; 8] = b"SLARCH01";
/// One look takes so much; few entries are longer.
const LOOK_BYTES: usize = 2048;
const ENTRY_BYTES_MAX: u32 = 1 << 24;
/// What an entry takes beside its bytes.
pub const AROUND_BYTES: usize = 4 + 4;
const PLACE_BITS: u32 = 40;

/// Takes bytes and says what they are known by.
pub type Put<'p> = dyn FnMut(&[u8]) -> io::Result<u64> + 'p;

/// Of one service, which alone adds to it.
pub struct Archive {
    path: PathBuf,
    file: File,
    /// Where the next entry goes.
    end: Mutex<u64>,
    is_whole: AtomicBool,
}

impl Archive {
    /// Opens that of a data folder; `None` where there is none that can be used.
    #[must_use]
    pub fn open(dir: &Path) -> Option<Self> {
        let path = dir.join(FOLDER).join(NAME);
        let opened = OpenOptions::new().read(true).write(true).open(&path).and_then(|file| {
            check_magic(&file, &path)?;
            let end = Mutex::new(file.metadata()?.len());
            Ok(Self { path, file, end, is_whole: AtomicBool::new(true) })
        });
        opened
            .inspect_err(|error| {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, "the archive can't be used; it is made anew from the log");
                }
            })
            .ok()
    }

    /// Begins an empty one. No snapshot stays that may point into another.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn begin(dir: &Path) -> io::Result<Self> {
        let folder = dir.join(FOLDER);
        let path = folder.join(NAME);
        snapshot::remove_all(dir)?;
        std::fs::create_dir_all(&folder)?;
        for old in std::fs::read_dir(&folder)? {
            std::fs::remove_file(old?.path())?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(MAGIC, 0)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self { path, file, end: Mutex::new(wide(MAGIC.len())), is_whole: AtomicBool::new(true) })
    }

    /// What is put by some work, all of it or nothing. It is durable when this answers.
    ///
    /// # Errors
    /// What the work said, or when the disk says no; nothing was added then.
    pub fn all_or_nothing<T>(&self, work: impl FnOnce(&mut Put<'_>) -> io::Result<T>) -> io::Result<T> {
        let before = *self.end.lock();
        let done = work(&mut |bytes| self.put(bytes)).and_then(|done| self.file.sync_data().map(|()| done));
        if done.is_err() {
            *self.end.lock() = before;
            if let Err(error) = self.file.set_len(before) {
                tracing::warn!(%error, "what was put into the archive in vain stays there until more is put");
            }
        }
        done
    }

    /// Adds bytes and says what they are known by.
    fn put(&self, bytes: &[u8]) -> io::Result<u64> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= ENTRY_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("it is too long for an archive"))?;
        if !self.is_whole() {
            return Err(damaged(&self.path, "it is made anew at the next start"));
        }
        let mut end = self.end.lock();
        let at = *end;
        if at >> PLACE_BITS != 0 {
            return Err(io::Error::other("the archive is full"));
        }
        let mut entry = length.to_be_bytes().to_vec();
        entry.extend_from_slice(bytes);
        let crc = crc_of(at, &entry);
        entry.extend_from_slice(&crc.to_be_bytes());
        self.file.write_all_at(&entry, at)?;
        *end += wide(entry.len());
        Ok(known_by(at, crc))
    }

    /// `None` where it is not what was put: the archive is made anew at the next start then.
    #[must_use]
    pub fn get(&self, known_by: u64) -> Option<Vec<u8>> {
        if !self.is_whole() {
            return None;
        }
        read(&self.file, &self.path, known_by).inspect_err(|error| self.give_up(error)).ok()
    }

    /// Takes it out of the way, so that the next start makes it anew.
    fn give_up(&self, error: &io::Error) {
        tracing::error!(%error, "the archive can't be read; what needs it fails until a restart, which makes it anew");
        if self.is_whole.swap(false, Ordering::Relaxed)
            && let Err(error) = std::fs::rename(&self.path, self.path.with_extension("damaged"))
        {
            tracing::error!(%error, path = %self.path.display(), "a damaged archive could not be set aside");
        }
    }

    /// As when a damaged entry was met.
    #[cfg(test)]
    pub(crate) fn let_rot(&self) {
        self.give_up(&damaged(&self.path, "as a test wants it"));
    }

    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Relaxed)
    }
}

fn check_magic(file: &File, path: &Path) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) if magic == *MAGIC => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(()) | Err(_) => Err(damaged(path, "it does not begin as an archive")),
    }
}

fn crc_of(at: u64, entry: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&at.to_be_bytes());
    crc.update(entry);
    crc.finalize()
}

fn known_by(at: u64, crc: u32) -> u64 {
    u64::from(crc) << PLACE_BITS | at
}

fn read(file: &File, path: &Path, of: u64) -> io::Result<Vec<u8>> {
    let at = of & ((1 << PLACE_BITS) - 1);
    let no_such = || damaged(path, &format!("what lies at {at} is not what was written"));
    let mut entry = vec![0; LOOK_BYTES];
    let mut filled = 0;
    loop {
        let rest = entry.get_mut(filled..).unwrap_or_default();
        match file.read_at(rest, at + wide(filled)) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        let Some(length) = entry.first_chunk::<4>().filter(|_| filled >= 4).copied().map(u32::from_be_bytes) else {
            continue;
        };
        let wanted = AROUND_BYTES + length.min(ENTRY_BYTES_MAX) as usize;
        if filled >= wanted {
            break;
        }
        entry.resize(wanted.max(LOOK_BYTES), 0);
    }
    let length = entry.first_chunk::<4>().copied().map_or(0, u32::from_be_bytes);
    let whole = entry.get(..filled).unwrap_or_default();
    let text = whole.get(..4 + length.min(ENTRY_BYTES_MAX) as usize).ok_or_else(no_such)?;
    let stated = whole.get(text.len()..text.len() + 4).ok_or_else(no_such)?;
    let crc = crc_of(at, text);
    if stated != crc.to_be_bytes() || known_by(at, crc) != of {
        return Err(no_such());
    }
    text.get(4..).map(<[u8]>::to_vec).ok_or_else(no_such)
}

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

/// Reads what is known by these and changes nothing. Blocking.
///
/// # Errors
/// When one of them is not what was put, or the file can't be read.
pub fn verify(dir: &Path, known: impl IntoIterator<Item = u64>) -> io::Result<()> {
    let path = dir.join(FOLDER).join(NAME);
    let mut known = known.into_iter().peekable();
    if known.peek().is_none() {
        return Ok(());
    }
    let file = File::open(&path)?;
    check_magic(&file, &path)?;
    known.try_for_each(|known_by| read(&file, &path, known_by).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::snapshot::SnapshotMeta;
    use std::collections::BTreeMap;

    fn put(archive: &Archive, text: &[u8]) -> u64 {
        archive.all_or_nothing(|put| put(text)).unwrap()
    }

    fn at(known_by: u64) -> usize {
        usize::try_from(known_by & ((1 << PLACE_BITS) - 1)).unwrap()
    }

    fn with_some() -> (tempfile::TempDir, Archive, Vec<(u64, Vec<u8>)>) {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::begin(dir.path()).unwrap();
        let lengths = [0, 1, 300, LOOK_BYTES - AROUND_BYTES, LOOK_BYTES - AROUND_BYTES + 1, 100_000, 5];
        let texts = lengths.map(|length| (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<u8>>());
        let known = texts.into_iter().map(|text| (put(&archive, &text), text)).collect();
        (dir, archive, known)
    }

    #[test]
    fn what_was_put_comes_back_also_from_the_next_start_and_behind_what_a_kill_left() {
        let (dir, archive, known) = with_some();
        known.iter().for_each(|(of, text)| assert_eq!(archive.get(*of).as_ref(), Some(text)));
        drop(archive);
        let path = dir.path().join(FOLDER).join(NAME);
        let mut half = std::fs::read(&path).unwrap();
        half.extend([0, 0, 1, 0, 7]);
        std::fs::write(&path, half).unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let of = put(&archive, b"behind it");
        assert_eq!(archive.get(of).unwrap(), b"behind it");
        known.iter().for_each(|(of, text)| assert_eq!(archive.get(*of).as_ref(), Some(text)));
        verify(dir.path(), known.iter().map(|(of, _)| *of)).unwrap();
    }

    #[test]
    fn what_is_put_in_vain_leaves_nothing() {
        let (dir, archive, known) = with_some();
        let bytes = || std::fs::metadata(dir.path().join(FOLDER).join(NAME)).unwrap().len();
        let before = bytes();
        let failed = archive.all_or_nothing(|put| {
            put(&[7; 5000])?;
            put(b"and more")?;
            Err::<(), _>(io::Error::other("no more"))
        });
        assert_eq!((failed.unwrap_err().to_string().as_str(), bytes()), ("no more", before));
        let of = put(&archive, b"in its place");
        assert_eq!((archive.get(of).unwrap(), at(of) as u64), (b"in its place".to_vec(), before));
        known.iter().for_each(|(of, text)| assert_eq!(archive.get(*of).as_ref(), Some(text)));
    }

    #[test]
    fn a_flipped_bit_is_noticed_and_one_that_is_begun_anew_is_without_the_snapshots() {
        for fault in [0, 5] {
            let (dir, archive, known) = with_some();
            let meta = SnapshotMeta { schema: 1, group: 5, heads: BTreeMap::new() };
            snapshot::write(dir.path(), &meta, &mut |out| out.write_all(b"points into it")).unwrap();
            let path = dir.path().join(FOLDER).join(NAME);
            let (of, text) = &known[fault];
            let whole = std::fs::read(&path).unwrap();
            for byte in (0..AROUND_BYTES + text.len()).step_by(if text.len() > 1000 { 997 } else { 1 }) {
                let mut bad = whole.clone();
                bad[at(*of) + byte] ^= 4;
                std::fs::write(&path, bad).unwrap();
                assert!(verify(dir.path(), [*of]).is_err(), "byte {byte}");
            }
            assert!(archive.get(*of).is_none() && !archive.is_whole());
            assert!(archive.get(known[1].0).is_none(), "nothing more is believed of it");
            assert!(archive.all_or_nothing(|put| put(b"more")).is_err());
            drop(archive);
            assert!(Archive::open(dir.path()).is_none());
            assert_eq!(snapshot::list(dir.path()).unwrap().len(), 1);
            let anew = Archive::begin(dir.path()).unwrap();
            assert!(snapshot::list(dir.path()).unwrap().is_empty());
            assert_eq!(std::fs::read_dir(dir.path().join(FOLDER)).unwrap().count(), 1, "what was set aside is gone");
            assert!(anew.is_whole() && anew.get(known[2].0).is_none());
        }
    }

    #[test]
    fn nothing_is_known_by_another_number_also_where_an_entry_of_another_archive_lies() {
        let (dir, archive, known) = with_some();
        let first = known[0].0;
        for of in [0, first + 1, first ^ 1 << PLACE_BITS, u64::from(u32::MAX), u64::MAX] {
            assert!(verify(dir.path(), [of]).is_err(), "{of}");
        }
        verify(dir.path(), []).unwrap();
        drop(archive);
        let archive = Archive::begin(dir.path()).unwrap();
        let other = put(&archive, b"what lies there now");
        assert_eq!(at(other), at(first));
        assert!(archive.get(other).is_some() && archive.get(first).is_none());
        std::fs::write(dir.path().join(FOLDER).join(NAME), b"something").unwrap();
        assert!(verify(dir.path(), [other]).is_err() && Archive::open(dir.path()).is_none());
    }
}

//! What of a snapshot never changes any more: bytes in one file, which only grows, each known by where it lies. So they are neither
//! in memory nor written again with every snapshot. A cache as snapshots are: where it is damaged, it and they go at the next
//! start, and the log is folded anew. Not here: what the bytes are.
//!
//! ```text
//! "SLARCH01"   entry: length:u32, bytes, crc32:4 of where it lies (u64) and of everything before
//! ```
//! Numbers are big-endian. What a kill left behind the last entry nobody points to.

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
const AROUND_BYTES: usize = 4 + 4;

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
    /// Opens that of a data folder, or begins one.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FOLDER).join(NAME);
        match open(&path) {
            Ok(file) => {
                let end = Mutex::new(file.metadata()?.len());
                Ok(Self { path, file, end, is_whole: AtomicBool::new(true) })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::begin(dir),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(%error, "the archive can't be used; it is made anew from the log");
                Self::begin(dir)
            }
            Err(error) => Err(error),
        }
    }

    /// Begins an empty one. No snapshot stays that may point into another.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn begin(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FOLDER).join(NAME);
        snapshot::remove_all(dir)?;
        std::fs::create_dir_all(dir.join(FOLDER))?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(MAGIC, 0)?;
        file.sync_all()?;
        File::open(dir.join(FOLDER))?.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(Self { path, file, end: Mutex::new(wide(MAGIC.len())), is_whole: AtomicBool::new(true) })
    }

    /// Adds bytes and says what they are known by. They are durable behind [`Self::sync`].
    ///
    /// # Errors
    /// When the disk says no; nothing was added then.
    pub fn put(&self, bytes: &[u8]) -> io::Result<u64> {
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= ENTRY_BYTES_MAX);
        let length = length.ok_or_else(|| io::Error::other("it is too long for an archive"))?;
        if !self.is_whole() {
            return Err(damaged(&self.path, "it is made anew at the next start"));
        }
        let mut end = self.end.lock();
        let at = *end;
        let mut entry = length.to_be_bytes().to_vec();
        entry.extend_from_slice(bytes);
        entry.extend_from_slice(&crc_of(at, &entry));
        self.file.write_all_at(&entry, at)?;
        *end += wide(entry.len());
        Ok(at)
    }

    /// # Errors
    /// When the disk says no.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// `None` where it is not what was put: the archive is made anew at the next start then.
    #[must_use]
    pub fn get(&self, at: u64) -> Option<Vec<u8>> {
        if !self.is_whole() {
            return None;
        }
        match read(&self.file, &self.path, at) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                tracing::error!(%error, "the archive can't be read; what needs it fails until a restart, which makes it anew");
                if self.is_whole.swap(false, Ordering::Relaxed)
                    && let Err(error) = std::fs::rename(&self.path, self.path.with_extension("damaged"))
                {
                    tracing::error!(%error, path = %self.path.display(), "a damaged archive could not be set aside");
                }
                None
            }
        }
    }

    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Relaxed)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    check_magic(&file, path)?;
    Ok(file)
}

fn check_magic(file: &File, path: &Path) -> io::Result<()> {
    let mut magic = [0; MAGIC.len()];
    match file.read_exact_at(&mut magic, 0) {
        Ok(()) if magic == *MAGIC => Ok(()),
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(()) | Err(_) => Err(damaged(path, "it does not begin as an archive")),
    }
}

fn crc_of(at: u64, entry: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&at.to_be_bytes());
    crc.update(entry);
    crc.finalize().to_be_bytes()
}

fn read(file: &File, path: &Path, at: u64) -> io::Result<Vec<u8>> {
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
    let crc = whole.get(text.len()..text.len() + 4).ok_or_else(no_such)?;
    if crc != crc_of(at, text) {
        return Err(no_such());
    }
    text.get(4..).map(<[u8]>::to_vec).ok_or_else(no_such)
}

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

/// Reads what is known by these and changes nothing: how many there are, or the first bad one in words. Blocking.
///
/// # Errors
/// When the file can't be read.
pub fn verify(dir: &Path, known: impl IntoIterator<Item = u64>) -> io::Result<Result<u64, String>> {
    let path = dir.join(FOLDER).join(NAME);
    let mut known = known.into_iter().peekable();
    if known.peek().is_none() {
        return Ok(Ok(0));
    }
    let file = File::open(&path)?;
    let mut count = 0;
    let read = check_magic(&file, &path).and_then(|()| {
        known.try_for_each(|at| {
            count += 1;
            read(&file, &path, at).map(|_| ())
        })
    });
    match read {
        Ok(()) => Ok(Ok(count)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::snapshot::SnapshotMeta;
    use std::collections::BTreeMap;

    fn with_some() -> (tempfile::TempDir, Archive, Vec<(u64, Vec<u8>)>) {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let lengths = [0, 1, 300, LOOK_BYTES - AROUND_BYTES, LOOK_BYTES - AROUND_BYTES + 1, 100_000, 5];
        let texts = lengths.map(|length| (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect::<Vec<u8>>());
        let put = texts.into_iter().map(|text| (archive.put(&text).unwrap(), text)).collect();
        (dir, archive, put)
    }

    #[test]
    fn what_was_put_comes_back_also_from_the_next_start_and_behind_what_a_kill_left() {
        let (dir, archive, put) = with_some();
        archive.sync().unwrap();
        put.iter().for_each(|(at, text)| assert_eq!(archive.get(*at).as_ref(), Some(text)));
        drop(archive);
        let path = dir.path().join(FOLDER).join(NAME);
        let mut half = std::fs::read(&path).unwrap();
        half.extend([0, 0, 1, 0, 7]);
        std::fs::write(&path, half).unwrap();
        let archive = Archive::open(dir.path()).unwrap();
        let at = archive.put(b"behind it").unwrap();
        assert_eq!(archive.get(at).unwrap(), b"behind it");
        put.iter().for_each(|(at, text)| assert_eq!(archive.get(*at).as_ref(), Some(text)));
        assert_eq!(verify(dir.path(), put.iter().map(|(at, _)| *at)).unwrap(), Ok(7));
    }

    #[test]
    fn a_flipped_bit_is_noticed_and_the_next_start_begins_anew_without_the_snapshots() {
        for at_fault in [0, 5] {
            let (dir, archive, put) = with_some();
            let meta = SnapshotMeta { schema: 1, group: 5, heads: BTreeMap::new() };
            snapshot::write(dir.path(), &meta, &mut |out| out.write_all(b"points into it")).unwrap();
            let path = dir.path().join(FOLDER).join(NAME);
            let (at, text) = &put[at_fault];
            let whole = std::fs::read(&path).unwrap();
            for byte in (0..AROUND_BYTES + text.len()).step_by(if text.len() > 1000 { 997 } else { 1 }) {
                let mut bad = whole.clone();
                bad[usize::try_from(*at).unwrap() + byte] ^= 4;
                std::fs::write(&path, bad).unwrap();
                assert!(verify(dir.path(), [*at]).unwrap().is_err(), "byte {byte}");
            }
            assert!(archive.get(*at).is_none() && !archive.is_whole());
            assert!(archive.get(put[1].0).is_none(), "nothing more is believed of it");
            drop(archive);
            assert_eq!(snapshot::list(dir.path()).unwrap().len(), 1);
            let anew = Archive::open(dir.path()).unwrap();
            assert!(anew.is_whole() && snapshot::list(dir.path()).unwrap().is_empty());
            assert!(anew.get(put[2].0).is_none());
        }
    }

    #[test]
    fn nothing_lies_where_nothing_was_put() {
        let (dir, archive, put) = with_some();
        let first = put[0].0;
        for at in [0, first + 1, u64::from(u32::MAX), u64::MAX] {
            assert!(!matches!(verify(dir.path(), [at]), Ok(Ok(_))), "{at}");
        }
        assert_eq!(verify(dir.path(), []).unwrap(), Ok(0));
        assert!(archive.is_whole());
        drop(archive);
        std::fs::write(dir.path().join(FOLDER).join(NAME), b"something").unwrap();
        assert!(verify(dir.path(), [first]).unwrap().is_err());
        assert!(Archive::open(dir.path()).unwrap().get(first).is_none());
    }
}

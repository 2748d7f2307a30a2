//! The only file that knows sled. It is the log that is read; what it may be trusted with, and why so little, is in
//! `ops/decisions/0001` and `design.md` §3 and §4. Not here: what goes in (`feeder.rs`), or judging it (`recovery/`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::packed::{Packer, unpacked};
use super::panics::caught;
use super::read_log::{Entry, Key, ReadLog, ReadLogError, ReadLogPlace, Seeing};
use super::sync_file_range;

const FOLDER: &str = "sled";
const ASIDE: &str = "sled.aside-";
/// Counts the openings that did not come back, so that a file that kills the process is not opened for ever.
const OPENING: &str = "sled.opening";
const OPENINGS_FAILED_MAX: usize = 2;
const LOCK_TRIES_MAX: u32 = 100;
/// So many values are gone through by an opening in some hundredths of a second.
const UNSETTLED_MAX: usize = if cfg!(test) { 16 } else { 4096 };
/// A long one counts once more for each so many bytes.
const UNSETTLED_BYTES: usize = 4096;
/// And so many in a tenth of a second.
const MUCH_UNSETTLED: usize = 4 * UNSETTLED_MAX;

pub(crate) struct SledPlace {
    top: PathBuf,
    cache_bytes: u64,
    /// Values that were put since the last opening, long ones several times.
    unsettled: Arc<AtomicUsize>,
}

impl SledPlace {
    pub(crate) fn new(top: &Path, cache_bytes: u64) -> SledPlace {
        SledPlace { top: top.to_path_buf(), cache_bytes, unsettled: Arc::default() }
    }

    /// Once it is closed, opens it and closes it again if much was put. Nobody but an opening notes down where pages lie, and the
    /// next one goes through everything that was put behind such a note: that is the longest part of a start, and a stop has time.
    pub(crate) fn settle(&self) {
        if self.unsettled.load(Ordering::Relaxed) < UNSETTLED_MAX {
            return;
        }
        if let Err(error) = self.open() {
            tracing::warn!(%error, "sled was not opened once more; the next start takes longer");
        }
    }

    /// The next opening takes longer for what was put.
    pub(crate) fn has_much_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed) >= MUCH_UNSETTLED
    }

    fn folder(&self) -> PathBuf {
        self.top.join(FOLDER)
    }

    fn aside(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![];
        for entry in fs::read_dir(&self.top)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(ASIDE) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// A half-written snapshot would block the opening for ever.
    fn remove_half_snapshots(&self) -> io::Result<()> {
        let entries = match fs::read_dir(self.folder()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn open_database(&self) -> Result<(::sled::Db, ::sled::Tree), ReadLogError> {
        let config = || ::sled::Config::new().path(self.folder()).cache_capacity(self.cache_bytes).flush_every_ms(None);
        let mut tries = 0;
        loop {
            let opened = guarded(|| {
                let db = config().open()?;
                let tree = db.open_tree("log")?;
                Ok((db, tree))
            });
            match opened {
                // a database that this process has just closed lets go of its lock a moment later
                Err(ReadLogError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock && tries < LOCK_TRIES_MAX => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => return other,
            }
        }
    }
}

impl ReadLogPlace for SledPlace {
    fn exists(&self) -> io::Result<bool> {
        self.folder().try_exists()
    }

    fn open(&self) -> Result<Arc<dyn ReadLog>, ReadLogError> {
        let is_new = !self.exists().map_err(ReadLogError::Io)?;
        if !is_new && !self.folder().is_dir() {
            return Err(ReadLogError::Broken("there is no folder in its place".into()));
        }
        self.remove_half_snapshots().map_err(ReadLogError::Io)?;
        let marker = self.top.join(OPENING);
        let failed = fs::read(&marker).map_or(0, |tries| tries.len());
        if !is_new && failed >= OPENINGS_FAILED_MAX {
            fs::remove_file(&marker).map_err(ReadLogError::Io)?;
            return Err(ReadLogError::Broken(format!("{failed} starts in a row ended while they were opening it")));
        }
        fs::write(&marker, vec![b'x'; failed + 1]).map_err(ReadLogError::Io)?;
        let opened = self.open_database();
        fs::remove_file(&marker).map_err(ReadLogError::Io)?;
        let (db, tree) = opened?;
        let data = File::open(self.folder().join("db")).map_err(ReadLogError::Io)?;
        self.unsettled.store(0, Ordering::Relaxed);
        let unsettled = Arc::clone(&self.unsettled);
        let log = SledLog { db, tree, data, folder: self.folder(), packer: Mutex::default(), unsettled };
        if is_new {
            log.flush()?;
            log.sync()?;
            let synced = ["conf", "db", "blobs", ""].iter().try_for_each(|name| {
                let path = if name.is_empty() { self.folder() } else { self.folder().join(name) };
                File::open(path)?.sync_all()
            });
            synced.and_then(|()| File::open(&self.top)?.sync_all()).map_err(ReadLogError::Io)?;
        }
        Ok(Arc::new(log))
    }

    fn set_aside(&self) -> io::Result<String> {
        let taken = self.aside()?;
        if let Some(kept) = taken.first() {
            // what stands there now is a rebuild that did not end; on a full disk a copy per attempt would eat the rest
            remove(&self.folder())?;
            return Ok(kept.display().to_string());
        }
        let free = self.top.join(format!("{ASIDE}1"));
        fs::rename(self.folder(), &free)?;
        File::open(&self.top)?.sync_all()?;
        Ok(free.display().to_string())
    }

    fn remove_aside(&self) -> io::Result<()> {
        for path in self.aside()? {
            remove(&path)?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

struct SledLog {
    db: ::sled::Db,
    tree: ::sled::Tree,
    /// A handle of our own on sled's data file, to sync it with.
    data: File,
    folder: PathBuf,
    packer: Mutex<Packer>,
    unsettled: Arc<AtomicUsize>,
}

impl ReadLog for SledLog {
    fn change(&self, puts: &[(Key, &[u8])], removes: &[Key]) -> Result<(), ReadLogError> {
        let mut batch = ::sled::Batch::default();
        for key in removes {
            batch.remove(key.as_slice());
        }
        let mut unsettled = puts.len() + removes.len();
        let mut packer = self.packer.lock();
        for (key, value) in puts {
            let packed = packer.pack(value);
            unsettled += packed.len() / UNSETTLED_BYTES;
            batch.insert(key.as_slice(), packed);
        }
        drop(packer);
        self.unsettled.fetch_add(unsettled, Ordering::Relaxed);
        guarded(|| self.tree.apply_batch(batch))
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, ReadLogError> {
        guarded(|| Ok(self.tree.get(key)?.map(|value| unpacked(&value, &mut vec![]).to_vec())))
    }

    fn scan(&self, from: &Key, to: &Key, visit: &mut Seeing<'_>) -> Result<(), ReadLogError> {
        guarded(|| {
            let mut room = vec![];
            for entry in self.tree.range(from.as_slice()..to.as_slice()) {
                let (key, value) = entry?;
                if visit(&key, unpacked(&value, &mut room)).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn last_before(&self, key: &Key) -> Result<Option<Entry>, ReadLogError> {
        let found = guarded(|| self.tree.get_lt(key.as_slice()))?;
        Ok(found.map(|(key, value)| (key.to_vec(), unpacked(&value, &mut vec![]).to_vec())))
    }

    fn flush(&self) -> Result<(), ReadLogError> {
        guarded(|| self.db.flush().map(|_| ()))
    }

    fn sync(&self) -> Result<(), ReadLogError> {
        self.data.sync_data().map_err(ReadLogError::Io)?;
        match fs::read_dir(self.folder.join("blobs")).map_err(ReadLogError::Io)?.next() {
            None => Ok(()),
            Some(_) => Err(ReadLogError::Broken("it put a value into blobs/, where nothing is durable".into())),
        }
    }

    fn self_test(&self) -> Result<(), ReadLogError> {
        let before = sync_file_range::calls();
        guarded(|| {
            let times = self.db.get("self-test")?.map_or(0, |value| value.first().copied().unwrap_or(0));
            self.db.insert("self-test", vec![times.wrapping_add(1)])?;
            self.db.flush().map(|_| ())
        })?;
        if sync_file_range::calls() == before {
            return Err(ReadLogError::NotDurable("a flush did not reach our sync_file_range".into()));
        }
        Ok(())
    }
}

/// Runs sled with its panics caught and kept off the screen: to it a damaged file is a reason to panic, to us to rebuild.
fn guarded<T>(work: impl FnOnce() -> ::sled::Result<T>) -> Result<T, ReadLogError> {
    match caught(work) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(judged(error)),
        Err(why) => Err(ReadLogError::Broken(format!("sled gave up: {why}"))),
    }
}

fn judged(error: ::sled::Error) -> ReadLogError {
    let text = error.to_string();
    let ::sled::Error::Io(error) = error else { return ReadLogError::Broken(text) };
    if text.contains("could not acquire lock") {
        ReadLogError::Io(io::Error::new(io::ErrorKind::WouldBlock, error))
    } else if is_the_disks(&error) {
        ReadLogError::Io(error)
    } else {
        ReadLogError::Broken(text)
    }
}

/// Whether an I/O error is the machine's (no room, no permission, a bad device) and not one that damaged content causes.
fn is_the_disks(error: &io::Error) -> bool {
    let of_content = [libc::ENOENT, libc::EINVAL, libc::ENOTDIR, libc::EISDIR, libc::EEXIST];
    code_of(error).is_some_and(|code| !of_content.contains(&code))
}

/// What failed on sled's own threads it hands on as a copy, and as a copy of that: there the system's code is text.
fn code_of(error: &io::Error) -> Option<i32> {
    error.raw_os_error().or_else(|| {
        let text = error.to_string();
        let (_, code) = text.split_once("Os { code: ")?;
        code.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_or_broken_is_no_damage_however_sled_hands_it_on() {
        let given = |code| ::sled::Error::Io(io::Error::from_raw_os_error(code));
        let is_broken = |error| matches!(judged(error), ReadLogError::Broken(_));
        for code in [libc::ENOSPC, libc::EIO, libc::EDQUOT, libc::EMFILE] {
            for error in [given(code), given(code).clone(), given(code).clone().clone()] {
                assert!(!is_broken(error.clone()), "{error:?}");
            }
        }
        for error in
            [given(libc::EINVAL), given(libc::EINVAL).clone(), ::sled::Error::Io(io::ErrorKind::UnexpectedEof.into())]
        {
            assert!(is_broken(error.clone()), "{error:?}");
        }
        assert!(is_broken(::sled::Error::Corruption { at: None, bt: () }));
    }

    #[test]
    fn settling_notes_down_what_was_put_since_the_last_opening() {
        let dir = tempfile::tempdir().unwrap();
        let place = SledPlace::new(dir.path(), 1 << 20);
        let notes = || {
            let names = fs::read_dir(place.folder()).unwrap().map(|found| found.unwrap().file_name());
            let mut notes: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("snap.")).collect();
            notes.sort();
            notes
        };
        let key = |at: u64| super::super::read_log::key(1, at);
        let log = place.open().unwrap();
        let put = |ats: std::ops::Range<u64>| {
            ats.for_each(|at| log.change(&[(key(at), &at.to_be_bytes())], &[]).unwrap());
        };
        let before = notes();
        let some = UNSETTLED_MAX as u64;
        put(0..some);
        log.flush().unwrap();
        drop(log);
        assert_eq!(notes(), before, "a database that is closed notes nothing down");
        place.settle();
        let after = notes();
        assert_ne!(after, before);
        place.settle();
        assert_eq!(notes(), after, "nothing was put since");
        let log = place.open().unwrap();
        assert!((0..some).all(|at| log.get(&key(at)).unwrap().is_some_and(|value| value == at.to_be_bytes())));
    }
}

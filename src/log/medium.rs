//! What the log needs of a disk: a small trait, and its implementation on real files. The other implementation, in
//! memory and failing on demand, is `memory/`. Not here: what the files mean.
//!
//! Names are relative to the data folder, with `/` between folder and file. Nothing is durable before `sync` of the
//! file and, for a new or renamed name, `sync_folder` of its folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::bytes::wide;
use super::error::is_no_descriptor;

/// The folder that holds everything else, as a name.
pub(crate) const TOP: &str = "";

pub(crate) trait Medium: Send + Sync {
    /// Makes a folder that may exist already. The top folder's parent is synced with it.
    fn create_folder(&self, name: &str) -> io::Result<()>;
    /// The names of the files in a folder, without the folder, sorted. A folder that is not there has none.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes a new empty file, over an old one of the name.
    fn create(&self, name: &str) -> io::Result<Box<dyn MediumFile>>;
    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn sync_folder(&self, name: &str) -> io::Result<()>;
    /// How much may still be written, by the file system's own account.
    fn free_bytes(&self) -> io::Result<u64>;
    /// The place of a name, for people.
    fn describe(&self, name: &str) -> String;
}

pub(crate) trait MediumFile: Send + Sync {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Reads up to the end of the buffer or of the file, and says how much that was.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    fn len(&self) -> io::Result<u64>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
}

/// The whole content of a file, or `None` if there is no such file.
pub(crate) fn read_file(medium: &dyn Medium, name: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match medium.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    let got = file.read_at(0, &mut bytes)?;
    bytes.truncate(got);
    Ok(Some(bytes))
}

/// Writes a small file so that it is there whole or not at all: aside, sync, rename, sync of the folder.
pub(crate) fn write_whole(medium: &dyn Medium, folder: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = format!("{name}{ASIDE}");
    let file = medium.create(&aside)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    medium.rename(&aside, name)?;
    medium.sync_folder(folder)
}

/// For so long, about ten seconds, a file descriptor is waited for.
const DESCRIPTOR_TRIES_MAX: u32 = 100;
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(100);

/// Does what needs a file descriptor before it does anything else, and waits for one where all are taken.
pub(crate) fn with_descriptor<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut tries = 0;
    loop {
        match work() {
            Err(error) if is_no_descriptor(&error) && tries < DESCRIPTOR_TRIES_MAX => {
                if tries == 0 {
                    tracing::warn!(%error, "the journal waits for a file descriptor");
                }
                tries += 1;
                std::thread::sleep(DESCRIPTOR_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// The ending of a file that is not whole yet. Whatever has it at a start was left by a cut and goes.
pub(crate) const ASIDE: &str = ".tmp";

/// Real files below a data folder.
pub(crate) struct FileMedium {
    top: PathBuf,
}

impl FileMedium {
    pub(crate) fn new(top: &Path) -> FileMedium {
        FileMedium { top: top.to_path_buf() }
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.top.clone() } else { self.top.join(name) }
    }
}

impl Medium for FileMedium {
    fn create_folder(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let was_there = path.is_dir();
        fs::create_dir_all(&path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match File::open(parent).and_then(|parent| parent.sync_all()) {
            // somebody else made the folder for us, in a place that we may not look at
            Err(error) if was_there && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            outcome => outcome,
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(error),
        };
        let mut names = vec![];
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn MediumFile>> {
        let path = self.path(name);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            // what is only read (a mounted backup, `verify` under another account) need not be writable
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
                File::open(&path)?
            }
            other => other?,
        };
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.top)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn describe(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

struct RealFile(File);

impl MediumFile for RealFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + wide(done)) {
                Ok(0) => break,
                Ok(got) => done += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        (&self.0).flush()?;
        self.0.sync_data()
    }
}

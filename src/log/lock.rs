//! The lock on a data folder: one seatledger per folder. Not here: asking whether one runs there (`replay.rs`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::error::OpenError;
use super::medium::{FileMedium, Medium, TOP};

/// Held by everybody who writes in the folder. It goes with its last share, and with the process, however that ends.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "held for its lock")] File);

impl FolderLock {
    /// Takes a data folder for this process, and makes it if it is not there. Comes before anything is made in it.
    ///
    /// # Errors
    /// When another process has it, or the disk said no.
    pub fn take(dir: &Path) -> Result<Arc<FolderLock>, OpenError> {
        FileMedium::new(dir).create_folder(TOP).map_err(|error| OpenError::folder(dir, error))?;
        let path = dir.join("LOCK");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(OpenError::io(format!("opening {}", path.display())))?;
        match file.try_lock() {
            Ok(()) => {
                // for people
                let noted = file.set_len(0).and_then(|()| (&file).write_all(std::process::id().to_string().as_bytes()));
                noted.map_err(OpenError::io(format!("writing {}", path.display())))?;
                Ok(Arc::new(FolderLock(file)))
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { dir: dir.display().to_string() }),
            Err(TryLockError::Error(error)) => {
                Err(OpenError::Io { doing: format!("locking {}", path.display()), error })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_wrong_is_said_to_be_that_and_no_disk_is_blamed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for wrong in [file.clone(), file.join("below"), Path::new("/proc/nothing").to_path_buf()] {
            let said = FolderLock::take(&wrong).map(drop).unwrap_err().to_string();
            let place = wrong.display().to_string();
            assert!(said.starts_with(&place) && said.contains("can't be a data folder"), "{said}");
            assert!(!said.contains("acknowledged"), "{said}");
        }
    }
}

//! A cache on its way to its name: written beside it, and gone where it does not come so far. Half of one is of no use to
//! anybody, and what it takes of a disk that is nearly full the journal needs. Not here: what is in it.

use std::io;
use std::path::{Path, PathBuf};

/// The ending of such a file's name. What has it at a start was left by a kill.
pub(super) const HALF: &str = "new";

/// Dropped before it has its name, it takes the file away.
pub(super) struct Aside(Option<PathBuf>);

impl Aside {
    /// The place beside this path.
    pub(super) fn of(path: &Path) -> Self {
        Self(Some(path.with_extension(HALF)))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().expect("it has no name before it is given one")
    }

    /// # Errors
    /// When the disk says no; the file is gone then.
    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        std::fs::rename(self.path(), to)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let Some(path) = self.0.take() else { return };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "half of a cache stays until the next start");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

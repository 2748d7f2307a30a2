//! The file `restored.json`: a restore leaves it, and the next start records what it says in the first event of every
//! tenant, then removes it. And what a restore leaves that did not end. Not here: the event.

use super::error::OpenError;
use super::medium::{FileMedium, Medium, TOP, read_file, write_whole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

const NAME: &str = "restored.json";
/// The folder in which a restore has its files until all of them are checked.
pub const RESTORING: &str = "restoring";

/// A log that goes on from a copy of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredMark {
    #[serde(with = "hex::serde")]
    pub log_id_before: [u8; 16],
    #[serde(with = "hex::serde")]
    pub log_id: [u8; 16],
    /// The next position of every tenant at the restore: where the event belongs.
    pub heads: BTreeMap<u32, u64>,
}

impl RestoredMark {
    /// # Errors
    /// When the disk says no.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        write_whole(&FileMedium::new(dir), TOP, NAME, &serde_json::to_vec(self).map_err(io::Error::other)?)
    }

    /// `None` where there was no restore, or it was recorded already.
    ///
    /// # Errors
    /// When there is such a file and it can't be read.
    pub fn read(dir: &Path) -> io::Result<Option<Self>> {
        let bytes = read_file(&FileMedium::new(dir), NAME)?;
        bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other)).transpose()
    }

    /// # Errors
    /// When the disk says no.
    pub fn remove(dir: &Path) -> io::Result<()> {
        let medium = FileMedium::new(dir);
        medium.remove(NAME)?;
        medium.sync_folder(TOP)
    }
}

/// That no restore left a folder half made. One that is not ready would be made anew beside what was restored, and be empty.
///
/// # Errors
/// When one did.
pub fn refuse_half_restored(dir: &Path) -> Result<(), OpenError> {
    match [RESTORING, NAME].iter().find(|name| dir.join(name).exists()) {
        Some(found) => Err(OpenError::HalfRestored { dir: dir.display().to_string(), found: (*found).to_owned() }),
        None => Ok(()),
    }
}

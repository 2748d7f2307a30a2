//! Counts of the past that do not stay in memory: read where the writer archived them. Not here: what they count.

use super::{Ledger, ReadError};
use crate::log::archive::Archive;
use crate::projection::steps;
use std::cell::Cell;

/// For one question. What could not be read counts as nothing until [`Self::checked`] says so.
pub struct Past<'l> {
    archive: &'l Archive,
    is_read: Cell<bool>,
}

impl Ledger {
    /// The counts of the past. Looking at them blocks.
    #[must_use]
    pub fn past(&self) -> Past<'_> {
        Past { archive: self.0.writer.archive(), is_read: Cell::new(true) }
    }

    /// Whether no damage was met in what was archived. Until a start makes it anew, no counts of the past are read there.
    #[must_use]
    pub fn is_archive_whole(&self) -> bool {
        self.0.writer.archive().is_whole()
    }
}

impl Past<'_> {
    /// What was made of it, if all of it could be read.
    ///
    /// # Errors
    /// When something could not.
    pub fn checked<T>(&self, made: T) -> Result<T, ReadError> {
        if self.is_read.get() {
            return Ok(made);
        }
        Err(ReadError::Log("the archive of counts is damaged and will be made anew at the next start".into()))
    }
}

impl steps::Archive for Past<'_> {
    fn read(&self, at: u64) -> Vec<u8> {
        let bytes = self.archive.get(at);
        if bytes.is_none() {
            self.is_useless();
        }
        bytes.unwrap_or_default()
    }

    fn is_useless(&self) {
        self.is_read.set(false);
    }
}

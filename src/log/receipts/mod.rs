//! Where the first answer to a command id stands: tenant and id to the command's records.
//!
//! What is new is in memory; the rest lies in sorted runs on disk, found through a filter of about ten bits an entry, so
//! that memory does not grow with the number of receipts beyond it. Runs are caches: a damaged one is set aside and made
//! anew from the log at the next start, and until then no command with an id is judged.

mod filter;
mod run;

pub use super::runs::Tally;

use super::runs::{self, Run as _};
use parking_lot::RwLock;
use run::Run;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a command's records are, and what was asked under its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Receipt {
    pub first_position: u64,
    pub records: u32,
    pub content_hash: u64,
}

/// A tenant and the 16 bytes that an id has in the index.
pub type ReceiptKey = (u32, [u8; 16]);

/// Receipts in memory.
pub type Table = HashMap<ReceiptKey, Receipt, foldhash::quality::RandomState>;

/// The index can't say whether an id was used: a run is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index of command ids is damaged and will be made anew at the next start")]
pub struct NotWhole;

/// The folder of the runs, within the data folder.
pub(super) const FOLDER: &str = "receipts";
/// What one takes in a run, with its share of what finds it.
const ENTRY_BYTES_GUESS: u64 = 48;

/// Clones are one index: the writer's, and those of who reads beside it.
#[derive(Clone)]
pub struct Receipts {
    held: Arc<RwLock<Held>>,
    folder: PathBuf,
}

struct Held {
    fresh: Table,
    /// On its way into a run.
    flushing: Option<Arc<Table>>,
    runs: Arc<[Arc<Run>]>,
    is_whole: bool,
}

/// A table that waits to be written as a run, with what it takes to do so on another thread.
pub struct Flush {
    table: Arc<Table>,
    runs: Arc<[Arc<Run>]>,
    folder: PathBuf,
    first_group: u64,
    last_group: u64,
}

/// What a flush made: the runs that now stand.
pub struct Flushed(Vec<Arc<Run>>);

impl Receipts {
    /// Opens the runs in a data folder, whose log ends with `last_group`. They cover the log up to
    /// [`Self::covered_group`]; the caller inserts the rest.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn open(dir: &Path, last_group: u64) -> io::Result<Self> {
        let folder = dir.join(FOLDER);
        let runs = runs::open_or_clear(&folder, last_group, "of command ids")?;
        let held = Held { fresh: Table::default(), flushing: None, runs, is_whole: true };
        Ok(Self { held: Arc::new(RwLock::new(held)), folder })
    }

    /// The newest group whose receipts are on disk.
    #[must_use]
    pub fn covered_group(&self) -> u64 {
        self.held.read().covered_group()
    }

    /// # Errors
    /// When a run that may hold the entry can't be read.
    pub fn get(&self, key: ReceiptKey) -> Result<Option<Receipt>, NotWhole> {
        let runs = {
            let held = self.held.read();
            if let Some(receipt) = held.fresh.get(&key).or_else(|| held.flushing.as_ref()?.get(&key)) {
                return Ok(Some(*receipt));
            }
            if !held.is_whole {
                return Err(NotWhole);
            }
            Arc::clone(&held.runs)
        };
        for run in runs.iter().rev() {
            match run.get(key) {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => {
                    tracing::error!(%error, "a run of the index of command ids can't be read; commands with an id are refused until a restart, which makes it anew");
                    run.file().spoil();
                    self.held.write().is_whole = false;
                    return Err(NotWhole);
                }
            }
        }
        Ok(None)
    }

    /// What is durable.
    pub fn insert(&self, receipts: impl IntoIterator<Item = (ReceiptKey, Receipt)>) {
        self.held.write().fresh.extend(receipts);
    }

    /// Entries in memory that no run holds yet.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.held.read().fresh.len()
    }

    #[must_use]
    pub fn len(&self) -> u64 {
        let held = self.held.read();
        let in_memory = held.fresh.len() + held.flushing.as_ref().map_or(0, |table| table.len());
        in_memory as u64 + held.runs.iter().map(|run| run.file().entries).sum::<u64>()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.held.read().is_whole
    }

    /// As when a damaged run was met.
    #[cfg(test)]
    pub(crate) fn let_rot(&self) {
        self.held.write().is_whole = false;
    }

    /// About how much a flush would write.
    #[must_use]
    pub fn flush_bytes(&self) -> u64 {
        let held = self.held.read();
        runs::bytes_to_write(&held.runs, held.fresh.len() as u64 * ENTRY_BYTES_GUESS)
    }

    /// Takes what is in memory for a run that covers the log up to `last_group`. `None` while another flush runs.
    pub fn begin_flush(&self, last_group: u64) -> Option<Flush> {
        let mut held = self.held.write();
        if held.flushing.is_some() || last_group <= held.covered_group() {
            return None;
        }
        let table = Arc::new(std::mem::take(&mut held.fresh));
        held.flushing = Some(Arc::clone(&table));
        let first_group = held.covered_group() + 1;
        Some(Flush { table, runs: Arc::clone(&held.runs), folder: self.folder.clone(), first_group, last_group })
    }

    /// The flush is on disk, or failed: then its entries go back into memory.
    pub fn end_flush(&self, flushed: Option<Flushed>) {
        let mut held = self.held.write();
        let table = held.flushing.take();
        match flushed {
            Some(Flushed(runs)) => held.runs = runs.into(),
            None => {
                held.fresh.extend(table.iter().flat_map(|table| table.iter().map(|(key, receipt)| (*key, *receipt))))
            }
        }
    }
}

impl Held {
    fn covered_group(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.file().last_group)
    }
}

impl Flush {
    /// Writes the run, and merges runs where there are many. Blocking; on any thread.
    ///
    /// # Errors
    /// When the disk says no; the folder holds what it held then.
    pub fn run(self) -> io::Result<Flushed> {
        let mut entries: Vec<(ReceiptKey, Receipt)> =
            self.table.iter().map(|(key, receipt)| (*key, *receipt)).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        let fresh = run::write(
            &self.folder,
            self.first_group,
            self.last_group,
            entries.len() as u64,
            entries.into_iter().map(Ok),
        )?;
        Ok(Flushed(runs::grown(&self.folder, &self.runs, fresh)))
    }
}

impl Tally {
    pub fn add(&mut self, key: ReceiptKey, receipt: Receipt) {
        self.add_entry(&run::bytes_of(key, receipt));
    }
}

/// Reads every entry of every run and changes nothing: the last group that is covered, and the tally of the entries; or
/// the first bad place in words. Blocking.
///
/// # Errors
/// When the folder can't be read.
pub fn verify(dir: &Path) -> io::Result<Result<(u64, Tally), String>> {
    let mut tally = Tally::default();
    let covered = runs::verify_all::<Run>(&dir.join(FOLDER), &mut |(key, receipt)| tally.add(key, receipt))?;
    Ok(covered.map(|covered| (covered, tally)))
}

#[cfg(test)]
mod tests;

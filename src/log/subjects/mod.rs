//! Where the events about a subject stand: tenant and subject to positions, in order.
//!
//! What is new is in memory; the rest lies in sorted runs on disk, like the receipts. Runs are caches: a damaged one is
//! set aside and made anew from the log at the next start.

mod run;
mod table;

pub use super::runs::Tally;

use super::runs::{self, Run as _};
use crate::domain::command::Actor;
use crate::domain::event::Recorded;
use crate::domain::ids::{DeviceId, Holder, TenantId, UserId};
use crate::domain::subject::{Subject, name_subjects, subjects_of};
use parking_lot::RwLock;
use run::Run;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use table::{Look, Table};

/// The index can't say where a subject's events are: a run is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the index of subjects is damaged and will be made anew at the next start")]
pub struct NotWhole;

/// A tenant and the number that stands for a subject in the index.
type Key = (u32, u64);

/// The folder of the runs, within the data folder.
const FOLDER: &str = "subjects";

/// Who a code of a seat or of somebody's own facts names.
fn holder_of(code: u64) -> Holder {
    let id = u32::try_from(code & u64::from(u32::MAX)).expect("the lower half of a code");
    if code >> 32 & 1 == 0 { Holder::User(UserId(id)) } else { Holder::Device(DeviceId(id)) }
}

/// Clones are one index: the writer's, and those of who reads beside it.
#[derive(Clone)]
pub struct Subjects {
    held: Arc<RwLock<Held>>,
    folder: PathBuf,
}

struct Held {
    fresh: Table,
    /// Positions in `fresh`, over all keys.
    fresh_entries: usize,
    /// On its way into a run.
    flushing: Option<Arc<Table>>,
    runs: Arc<[Arc<Run>]>,
    /// Once it is not, nothing more is taken: the next start makes everything anew.
    is_whole: bool,
    named: Vec<Subject>,
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

/// The codes of seats: of one pool together, its users by their ids and then its devices.
const SEATS: u64 = 1 << 63;
const POOL_BITS: u32 = 33;
/// Seats of a pool beyond so many are not told apart from each other; no tenant has as many.
const POOL_MAX: u64 = (1 << 30) - 1;

/// By kind, then by id; stands in files.
fn code(subject: Subject) -> u64 {
    let (kind, id) = match subject {
        Subject::Pool(pool) => (0, pool.0),
        Subject::User(user) => (1, user.0),
        Subject::Device(device) => (2, device.0),
        Subject::Group(group) => (3, group.0),
        Subject::Assignment(assignment) => (4, assignment.0),
        Subject::Actor(Actor::Ledger) => (5, 0),
        Subject::Actor(Actor::Root) => (5, 1),
        Subject::Actor(Actor::Token(token)) => (6, token.0),
        Subject::Refusals => (7, 0),
        Subject::Type(event_type) => (8, u32::from(event_type.number())),
        Subject::Review(review) => (9, review.0),
        Subject::Late(lateness) => (10, u32::from(lateness.number())),
        Subject::Own(Holder::User(user)) => (20, user.0),
        Subject::Own(Holder::Device(device)) => (21, device.0),
        Subject::Seat(pool, holder) => {
            let (is_device, id) = match holder {
                Holder::User(user) => (0, user.0),
                Holder::Device(device) => (1, device.0),
            };
            return SEATS | u64::from(pool.0).min(POOL_MAX) << POOL_BITS | is_device << 32 | u64::from(id);
        }
    };
    kind << 32 | u64::from(id)
}

impl Subjects {
    /// Opens the runs in a data folder, whose log ends with `last_group`. They cover the log up to
    /// [`Self::covered_group`]; the caller hands over the rest.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn open(dir: &Path, last_group: u64) -> io::Result<Self> {
        let folder = dir.join(FOLDER);
        let runs = runs::open_or_clear(&folder, last_group, "of subjects")?;
        let held =
            Held { fresh: Table::default(), fresh_entries: 0, flushing: None, runs, is_whole: true, named: Vec::new() };
        Ok(Self { held: Arc::new(RwLock::new(held)), folder })
    }

    /// The newest group whose events are found through runs.
    #[must_use]
    pub fn covered_group(&self) -> u64 {
        self.held.read().covered_group()
    }

    /// Positions in memory that no run holds yet, over all subjects.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.held.read().fresh_entries
    }

    /// Takes durable events in their order.
    pub fn take(&self, records: &[(TenantId, Recorded)]) {
        let held = &mut *self.held.write();
        if !held.is_whole {
            return;
        }
        for (tenant, recorded) in records {
            name_subjects(recorded, &mut held.named);
            held.fresh_entries += held.named.len();
            for subject in &held.named {
                held.fresh.push((tenant.0, code(*subject)), recorded.position);
            }
        }
    }

    /// Positions within `range` of events about a subject, at most `max`: the first ones in ascending order, or the last
    /// ones in descending order. Blocking.
    ///
    /// # Errors
    /// When a run that may hold some can't be read.
    pub fn positions(
        &self,
        tenant: TenantId,
        subject: Subject,
        range: Range<u64>,
        max: usize,
        newest_first: bool,
    ) -> Result<Vec<u64>, NotWhole> {
        let key = (tenant.0, code(subject));
        // Positions ascend from the oldest run to the newest, from there to what is on its way, and to what is fresh.
        let mut in_memory = Vec::new();
        let (mut look, runs) = {
            let held = self.held.read();
            if !held.is_whole {
                return Err(NotWhole);
            }
            (held.look(&(key..=key)), Arc::clone(&held.runs))
        };
        look.positions(key, &range, max, newest_first, &mut in_memory);
        let (mut found, behind) = if newest_first { (in_memory, Vec::new()) } else { (Vec::new(), in_memory) };
        for at in 0..runs.len() {
            let at = if newest_first { runs.len() - 1 - at } else { at };
            let Some(run) = runs.get(at).filter(|_| found.len() < max) else { break };
            if let Err(error) = run.positions(key, &range, max, newest_first, &mut found) {
                tracing::error!(%error, "a run of the index of subjects can't be read; it is made anew at the next start");
                self.give_up(run);
                return Err(NotWhole);
            }
        }
        let wanted = max.saturating_sub(found.len());
        found.extend(behind.into_iter().take(wanted));
        Ok(found)
    }

    /// Of the subjects from `first` to `last`, both of the same pool's seats or of the same kind's own facts: those with a
    /// position up to `last_position`, at most so many, in their order, each with all these positions. Blocking.
    ///
    /// # Errors
    /// When a run that may hold some can't be read.
    pub fn scan(
        &self,
        tenant: TenantId,
        (first, last): (Subject, Subject),
        last_position: u64,
        max: usize,
    ) -> Result<Vec<(Holder, Vec<u64>)>, NotWhole> {
        let keys = (tenant.0, code(first))..=(tenant.0, code(last));
        let mut found: BTreeMap<Key, BTreeSet<u64>> = BTreeMap::new();
        let (mut look, runs) = {
            let held = self.held.read();
            if !held.is_whole {
                return Err(NotWhole);
            }
            (held.look(&keys), Arc::clone(&held.runs))
        };
        look.scan(&keys, |key, position| {
            if position <= last_position {
                found.entry(key).or_default().insert(position);
            }
        });
        for run in runs.iter() {
            let read = run.scan(&keys, last_position, max, |key, position| {
                found.entry(key).or_default().insert(position);
            });
            if let Err(error) = read {
                tracing::error!(%error, "a run of the index of subjects can't be read; it is made anew at the next start");
                self.give_up(run);
                return Err(NotWhole);
            }
            if run.reaches(tenant.0).is_some_and(|reached| reached >= last_position) {
                break;
            }
        }
        let in_order = found.into_iter().take(max);
        Ok(in_order.map(|((_, code), positions)| (holder_of(code), positions.into_iter().collect())).collect())
    }

    fn give_up(&self, run: &Run) {
        run.file().spoil();
        let mut held = self.held.write();
        held.is_whole = false;
        held.fresh = Table::default();
        held.fresh_entries = 0;
    }

    /// Takes what is in memory for a run that covers the log up to `last_group`. `None` while another flush runs.
    pub fn begin_flush(&self, last_group: u64) -> Option<Flush> {
        let mut held = self.held.write();
        if held.flushing.is_some() || !held.is_whole || last_group <= held.covered_group() {
            return None;
        }
        let table = Arc::new(std::mem::take(&mut held.fresh));
        held.fresh_entries = 0;
        held.flushing = Some(Arc::clone(&table));
        let first_group = held.covered_group() + 1;
        Some(Flush { table, runs: Arc::clone(&held.runs), folder: self.folder.clone(), first_group, last_group })
    }

    /// The flush is on disk, or failed: then its entries go back into memory.
    pub fn end_flush(&self, flushed: Option<Flushed>) {
        let mut held = self.held.write();
        let Some(table) = held.flushing.take() else { return };
        match flushed {
            Some(Flushed(runs)) => held.runs = runs.into(),
            None => {
                held.fresh_entries += table.len();
                let mut older = Table::clone(&table);
                older.append(std::mem::take(&mut held.fresh));
                held.fresh = older;
            }
        }
    }
}

impl Held {
    /// What of these keys is in memory, and may be searched without the lock.
    fn look(&self, keys: &RangeInclusive<Key>) -> Look {
        let mut look = Look::default();
        for table in [self.flushing.as_deref(), Some(&self.fresh)].into_iter().flatten() {
            table.look(keys, &mut look);
        }
        look
    }

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
        let entries = self.table.sorted().into_iter().map(Ok);
        let fresh = run::write(&self.folder, self.first_group, self.last_group, entries)?;
        Ok(Flushed(runs::grown(&self.folder, &self.runs, fresh)))
    }
}

impl Tally {
    /// What an event adds to the index.
    pub fn add_subjects_of(&mut self, tenant: TenantId, recorded: &Recorded) {
        for subject in subjects_of(recorded) {
            self.add_position((tenant.0, code(subject)), recorded.position);
        }
    }

    fn add_position(&mut self, (tenant, code): Key, position: u64) {
        let mut bytes = tenant.to_be_bytes().to_vec();
        bytes.extend_from_slice(&code.to_be_bytes());
        bytes.extend_from_slice(&position.to_be_bytes());
        self.add_entry(&bytes);
    }
}

/// Reads every entry of every run and changes nothing: the last group that is covered, and the tally of the entries; or
/// the first bad place in words. Blocking.
///
/// # Errors
/// When the folder can't be read.
pub fn verify(dir: &Path) -> io::Result<Result<(u64, Tally), String>> {
    let mut tally = Tally::default();
    let covered = runs::verify_all::<Run>(&dir.join(FOLDER), &mut |(key, at)| tally.add_position(key, at))?;
    Ok(covered.map(|covered| (covered, tally)))
}

/// Adds what lies in the range, in the order asked for, until there are `max`.
fn take_within(sorted: &[u64], range: &Range<u64>, max: usize, newest_first: bool, found: &mut Vec<u64>) {
    let begin = sorted.partition_point(|position| *position < range.start);
    let end = sorted.partition_point(|position| *position < range.end).max(begin);
    let within = sorted.get(begin..end).unwrap_or_default().iter().copied();
    let wanted = max.saturating_sub(found.len());
    if newest_first { found.extend(within.rev().take(wanted)) } else { found.extend(within.take(wanted)) }
}

#[cfg(test)]
mod tests;

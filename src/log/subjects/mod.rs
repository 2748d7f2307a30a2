//! Where the events about a subject stand: tenant and subject to positions, in order.
//!
//! What is new is in memory; the rest lies in sorted runs on disk, like the receipts. Runs are caches: a damaged one is
//! set aside and made anew from the log at the next start.

mod code;
mod naming;
mod order;
mod run;
mod table;

pub use super::runs::Tally;

use super::runs::{self, Run as _};
use crate::domain::event::Recorded;
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::placing::{LateStep, Lateness};
use crate::domain::seat_step::SeatStep;
use crate::domain::subject::{Subject, subjects_of};
use code::{
    Marks, code, first_stamp, held_in, holder_in_seat, last_pool, late_in, position_in, row_in, row_max, stamp,
    steps_in,
};
use naming::Naming;
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
pub(super) const FOLDER: &str = "subjects";
/// What a subject and a position of it take in a run, with their share of what finds them.
const ENTRY_BYTES_GUESS: u64 = 32;

/// What is done to a seat at a position.
pub type Step = (u64, SeatStep);

/// What was done to a holder's seat of a pool, in order.
pub type SeatSteps = ((PoolId, Holder), Vec<Step>);

/// Clones are one index: the writer's, and those of who reads beside it.
#[derive(Clone)]
pub struct Subjects {
    held: Arc<RwLock<Held>>,
    folder: PathBuf,
}

struct Held {
    fresh: Table,
    /// On its way into a run.
    flushing: Option<Arc<Table>>,
    runs: Arc<[Arc<Run>]>,
    /// Once it is not, nothing more is taken: the next start makes everything anew.
    is_whole: bool,
    naming: Naming,
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

impl Subjects {
    /// Opens the runs in a data folder, whose log ends with `last_group`. They cover the log up to
    /// [`Self::covered_group`]; the caller hands over the rest.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn open(dir: &Path, last_group: u64) -> io::Result<Self> {
        let folder = dir.join(FOLDER);
        let runs = runs::open_or_clear(&folder, last_group, "of subjects")?;
        let held = Held { fresh: Table::default(), flushing: None, runs, is_whole: true, naming: Naming::default() };
        Ok(Self { held: Arc::new(RwLock::new(held)), folder })
    }

    /// The newest group whose events are found through runs.
    #[must_use]
    pub fn covered_group(&self) -> u64 {
        self.held.read().covered_group()
    }

    /// Entries in memory that no run holds yet, over all subjects.
    #[must_use]
    pub fn fresh(&self) -> usize {
        self.held.read().fresh.len()
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

    /// Takes durable events in their order.
    pub fn take(&self, records: &[(TenantId, Recorded)]) {
        let held = &mut *self.held.write();
        if !held.is_whole {
            return;
        }
        held.naming.take(records, &mut held.fresh);
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
        let code = code(subject);
        // rows that begin before the range may reach into it, and as many may end before it does
        let before = row_max(code) - 1;
        let from = range.start.saturating_sub(before)..range.end;
        let more = if newest_first { 0 } else { super::bytes::size(before) };
        let found = self.stamps((tenant.0, code), &from, max.saturating_add(more), newest_first)?;
        let mut positions = Vec::new();
        for stamp in found {
            let row = row_in(code, stamp);
            let row = row.start.max(range.start)..row.end.min(range.end);
            if newest_first {
                positions.extend(row.rev())
            } else {
                positions.extend(row)
            }
            if positions.len() >= max {
                break;
            }
        }
        positions.truncate(max);
        Ok(positions)
    }

    /// Positions within `range` of facts that came late by a step, of one pool or of all, with how late; the first ones in
    /// ascending order. Blocking.
    ///
    /// # Errors
    /// When a run that may hold some can't be read.
    pub fn late(
        &self,
        tenant: TenantId,
        (pool, step): (Option<PoolId>, LateStep),
        range: &Range<u64>,
        max: usize,
    ) -> Result<Vec<(u64, Lateness)>, NotWhole> {
        let code = code(pool.map_or(Subject::Late(step), |pool| Subject::LateOf(pool, step)));
        let found = self.stamps((tenant.0, code), range, max, false)?;
        found.into_iter().map(|stamp| late_in(code, step, stamp).ok_or(NotWhole)).collect()
    }

    /// What stands for the events of a key within a range of positions.
    fn stamps(&self, key: Key, range: &Range<u64>, max: usize, newest_first: bool) -> Result<Vec<u64>, NotWhole> {
        let range = first_stamp(key.1, range.start)..first_stamp(key.1, range.end);
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
                self.give_up(run, &error);
                return Err(NotWhole);
            }
        }
        let wanted = max.saturating_sub(found.len());
        found.extend(behind.into_iter().take(wanted));
        Ok(found)
    }

    /// Holders from one to another with steps about their seats of a pool up to a position, at most so many, in their order.
    /// Blocking.
    ///
    /// # Errors
    /// When a run that may hold some can't be read.
    pub fn seats(
        &self,
        tenant: TenantId,
        pool: PoolId,
        (first, last): (Holder, Holder),
        last_position: u64,
        max: usize,
    ) -> Result<Vec<(Holder, Vec<Step>)>, NotWhole> {
        let between = (Subject::Seat(pool, first), Subject::Seat(pool, last));
        let found = self.scan(tenant, between, last_position, max)?;
        let of_holder = |of: &[(Key, u64)]| Some((holder_in_seat(of.first()?.0.1), steps_in(of)?));
        found.chunk_by(|a, b| a.0 == b.0).map(|of| of_holder(of).ok_or(NotWhole)).collect()
    }

    /// The steps up to a position about these holders' seats of these pools, each as it was asked for; nothing of those who
    /// had none. Blocking.
    ///
    /// # Errors
    /// As [`Self::seats`].
    pub fn seats_of(
        &self,
        tenant: TenantId,
        of: &BTreeSet<(PoolId, Holder)>,
        last_position: u64,
    ) -> Result<Vec<SeatSteps>, NotWhole> {
        let by_code = |(pool, holder): &(PoolId, Holder)| (code(Subject::Seat(*pool, *holder)), (*pool, *holder));
        let asked: BTreeMap<u64, (PoolId, Holder)> = of.iter().map(by_code).collect();
        let found = self.scan_each(tenant, asked.keys().copied(), last_position)?;
        let of_seat = |of: &[(Key, u64)]| Some((*asked.get(&of.first()?.0.1)?, steps_in(of)?));
        found.chunk_by(|a, b| a.0 == b.0).map(|of| of_seat(of).ok_or(NotWhole)).collect()
    }

    /// The same of the pools of each holder from one to another, who are of one kind.
    ///
    /// # Errors
    /// As [`Self::seats`].
    pub fn held(
        &self,
        tenant: TenantId,
        (first, last): (Holder, Holder),
        last_position: u64,
    ) -> Result<Vec<(Holder, PoolId, Vec<Step>)>, NotWhole> {
        let between = (Subject::Held(first, PoolId(0)), Subject::Held(last, last_pool()));
        let found = self.scan(tenant, between, last_position, usize::MAX)?;
        let of_pool = |of: &[(Key, u64)]| {
            let (holder, pool) = held_in(of.first()?.0.1)?;
            Some((holder, pool, steps_in(of)?))
        };
        found.chunk_by(|a, b| a.0 == b.0).map(|of| of_pool(of).ok_or(NotWhole)).collect()
    }

    /// Where events say what these are and belong to; nothing of those of whom nothing is said.
    ///
    /// # Errors
    /// As [`Self::seats`].
    pub fn own_facts(
        &self,
        tenant: TenantId,
        of: &BTreeSet<Holder>,
        last_position: u64,
    ) -> Result<Vec<(Holder, Vec<u64>)>, NotWhole> {
        let asked: BTreeMap<u64, Holder> = of.iter().map(|holder| (code(Subject::Own(*holder)), *holder)).collect();
        let found = self.scan_each(tenant, asked.keys().copied(), last_position)?;
        let of_holder = |of: &[(Key, u64)]| {
            Some((*asked.get(&of.first()?.0.1)?, of.iter().map(|(_, position)| *position).collect()))
        };
        found.chunk_by(|a, b| a.0 == b.0).map(|of| of_holder(of).ok_or(NotWhole)).collect()
    }

    /// Of the codes from one subject's to another's, those with a position up to `last_position`, at most so many, in their
    /// order, each with all these positions as they are stamped.
    fn scan(
        &self,
        tenant: TenantId,
        (first, last): (Subject, Subject),
        last_position: u64,
        max: usize,
    ) -> Result<Vec<(Key, u64)>, NotWhole> {
        let keys: RangeInclusive<Key> = (tenant.0, code(first))..=(tenant.0, code(last));
        let mut found = self.gather(
            &keys,
            last_position,
            |look, each| look.scan(&keys, each),
            |run, end, each| run.scan(&keys, end, max, each),
        )?;
        let past_max = found.chunk_by(|a, b| a.0 == b.0).take(max).map(<[_]>::len).sum();
        found.truncate(past_max);
        Ok(found)
    }

    /// The same of these codes of one kind, which ascend.
    fn scan_each(
        &self,
        tenant: TenantId,
        codes: impl Iterator<Item = u64>,
        last_position: u64,
    ) -> Result<Vec<(Key, u64)>, NotWhole> {
        let keys: Vec<Key> = codes.map(|code| (tenant.0, code)).collect();
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return Ok(Vec::new()) };
        self.gather(
            &(*first..=*last),
            last_position,
            |look, each| look.scan_each(&keys, each),
            |run, end, each| run.scan_each(&keys, end, each),
        )
    }

    /// What memory and runs hold up to a position of some keys that lie between two of one kind, in order.
    fn gather(
        &self,
        between: &RangeInclusive<Key>,
        last_position: u64,
        from_memory: impl Fn(&mut Look, &mut dyn FnMut(Key, u64)),
        from_run: impl Fn(&Run, u64, &mut dyn FnMut(Key, u64)) -> io::Result<()>,
    ) -> Result<Vec<(Key, u64)>, NotWhole> {
        let end = first_stamp(between.start().1, last_position.saturating_add(1));
        let mut found: Vec<(Key, u64)> = Vec::new();
        let (mut look, runs) = {
            let held = self.held.read();
            if !held.is_whole {
                return Err(NotWhole);
            }
            (held.look(between), Arc::clone(&held.runs))
        };
        for run in runs.iter() {
            if let Err(error) = from_run(run, end, &mut |key, stamp| found.push((key, stamp))) {
                self.give_up(run, &error);
                return Err(NotWhole);
            }
            if run.reaches(between.start().0).is_some_and(|reached| reached >= last_position) {
                break;
            }
        }
        from_memory(&mut look, &mut |key, stamp| {
            if stamp < end {
                found.push((key, stamp));
            }
        });
        // of ordered stretches
        found.sort();
        Ok(found)
    }

    fn give_up(&self, run: &Run, error: &io::Error) {
        tracing::error!(%error, "a run of the index of subjects can't be read; what needs it fails until a restart, which makes it anew");
        run.file().spoil();
        let mut held = self.held.write();
        held.is_whole = false;
        held.fresh = Table::default();
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
        if held.flushing.is_some() || !held.is_whole || last_group <= held.covered_group() {
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
        let Some(table) = held.flushing.take() else { return };
        match flushed {
            Some(Flushed(runs)) => held.runs = runs.into(),
            None => {
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
        let marks = Marks::of(recorded);
        for subject in subjects_of(recorded) {
            let code = code(subject);
            self.add_position((tenant.0, code), stamp(code, recorded.position, marks));
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
    let covered = runs::verify_all::<Run>(&dir.join(FOLDER), &mut |(key, at)| {
        if row_max(key.1) > 1 {
            row_in(key.1, at).for_each(|position| tally.add_position(key, first_stamp(key.1, position)));
        } else {
            tally.add_position(key, at);
        }
    })?;
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

//! The history folded from nothing, for people: what every figure is at the end, at a position, or at an instant. Reads
//! the journal only and changes nothing; beside a running service it reads up to the last checkpoint. A whole history is also
//! hashed into its trees.

pub use super::fold::To;
use super::fold::{Misfit, decoded, fold_records, name_of};
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::state::{LOOK_AHEAD, Tenant};
use crate::log::record::{self, RecordError};
use crate::log::{
    Checkpointed, OpenError, Progress, ReplayEnd, ReplayedFrame, ReplayedGroup, checkpointed, replay_groups,
    replay_groups_beside_service,
};
use crate::merkle::{Hash, Peaks};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// What to fold.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// One tenant's slug, or everything.
    pub tenant: Option<String>,
    pub to: To,
    /// A service runs on the folder: what is behind its last checkpoint is left alone.
    pub is_beside_service: bool,
}

/// One tenant at the end of its replay.
#[derive(Debug, Clone)]
pub struct Replayed {
    pub tenant: TenantId,
    pub state: Tenant,
    /// What `GET /digest` says of the same position.
    pub digest: [u8; 32],
    /// The root of the tree over all records, if all were folded: what signed heads of that size name.
    pub root: Option<Hash>,
}

/// Why a history could not be folded.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error("the history of tenant {tenant} stops at position {position}: {what}")]
    Misfit { tenant: String, position: u64, what: String },
    #[error(
        "the records of tenant number {tenant} up to group {group} do not hash to the tree that the checkpoint there names: one of them, or the manifest, was changed"
    )]
    OtherTree { tenant: u32, group: u64 },
    #[error("there is no tenant {0}")]
    NoTenant(String),
    #[error("position {position} has not been reached: the last one of {tenant} is {last}")]
    NotReached { tenant: String, position: u64, last: u64 },
}

/// Folds the journal of a folder. The caller keeps a service from starting meanwhile ([`crate::log::hold_still`]), or says
/// that one runs.
///
/// # Errors
/// See [`ReplayError`]; nothing was changed.
pub fn replay(dir: &Path, options: &ReplayOptions, progress: &dyn Progress) -> Result<Vec<Replayed>, ReplayError> {
    let mut trees = (options.to == To::End).then(Trees::default);
    let read_groups: ReadGroups = if options.is_beside_service { replay_groups_beside_service } else { replay_groups };
    let checkpointed = checkpointed(dir)?;
    let mut states: BTreeMap<u32, Tenant> = BTreeMap::new();
    std::thread::scope(|scope| {
        let (give, read) = bounded(BATCHES_AHEAD_MAX);
        let (give_back, spent) = bounded(BATCHES_AHEAD_MAX);
        let trees = trees.as_mut();
        let reading = scope.spawn(move || read_ahead(dir, read_groups, &give, &spent, trees, &checkpointed, progress));
        // whoever stops here lets go of the batches, and the reading ends
        let folded = read.into_iter().try_for_each(|mut batch| {
            fold(&mut states, &mut batch, options)?;
            let _enough_are_there = give_back.try_send(batch);
            Ok(())
        });
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        folded.and(read)
    })?;
    let mut found = vec![];
    for (tenant, state) in states.into_iter().filter(|(_, state)| state.next_position > 0) {
        if options.tenant.as_ref().is_some_and(|slug| *slug != state.slug) {
            continue;
        }
        let last = state.next_position - 1;
        if let To::Position(position) = options.to
            && position > last
        {
            return Err(ReplayError::NotReached { tenant: state.slug, position, last });
        }
        let digest = record::digest(&state);
        let root = trees.as_ref().and_then(|trees| trees.0.get(&tenant)).map(Peaks::root);
        found.push(Replayed { tenant: TenantId(tenant), state, digest, root });
    }
    match &options.tenant {
        Some(slug) if found.is_empty() => Err(ReplayError::NoTenant(slug.clone())),
        Some(_) | None => Ok(found),
    }
}

/// So many records are read ahead of the fold in one batch, and so many batches; few, so that they stay near the processors.
const BATCH_RECORDS: usize = 256;
const BATCHES_AHEAD_MAX: usize = 3;

/// Records in the order of the journal, read.
#[derive(Default)]
struct Batch {
    frames: Vec<Frame>,
    records: Vec<Result<Recorded, RecordError>>,
}

/// How many of a batch's records are of one frame.
struct Frame {
    tenant: u32,
    first_position: u64,
    records: usize,
}

/// Every tenant's tree, as far as it was read.
#[derive(Default)]
struct Trees(BTreeMap<u32, Peaks>);

impl Trees {
    fn take(&mut self, frame: &ReplayedFrame<'_>) {
        self.0.entry(frame.tenant).or_default().extend(frame.records, |_, _, _| {});
    }

    /// A tenant whose tree is not the one of the checkpoint, just after that group.
    fn other_than(&self, checkpointed: &Checkpointed) -> Option<u32> {
        let differs = |tenant: &&u32| self.0.get(tenant) != checkpointed.trees.get(tenant);
        self.0.keys().chain(checkpointed.trees.keys()).find(differs).copied()
    }
}

type ReadGroups = fn(&Path, u64, &mut dyn FnMut(ReplayedGroup<'_>) -> ControlFlow<()>) -> Result<ReplayEnd, OpenError>;

/// Checks, reads and hashes the journal on a thread of its own, so that the fold does nothing else. Batches that were folded come back.
fn read_ahead(
    dir: &Path,
    read_groups: ReadGroups,
    give: &Sender<Batch>,
    spent: &Receiver<Batch>,
    mut trees: Option<&mut Trees>,
    checkpointed: &Checkpointed,
    progress: &dyn Progress,
) -> Result<(), ReplayError> {
    let mut batch = Batch::default();
    let mut other = None;
    let ended = read_groups(dir, 1, &mut |group| {
        if group.number.is_multiple_of(4096) {
            progress.step("folding the history", group.number, checkpointed.group.max(group.number));
        }
        if let Some(trees) = trees.as_mut() {
            group.frames().for_each(|frame| trees.take(&frame));
            if group.number == checkpointed.group {
                other = trees.other_than(checkpointed);
            }
        }
        if other.is_some() {
            return ControlFlow::Break(());
        }
        for frame in group.frames() {
            let (tenant, first_position, before) = (frame.tenant, frame.first_position, batch.records.len());
            batch.records.extend(decoded(frame));
            batch.frames.push(Frame { tenant, first_position, records: batch.records.len() - before });
            if batch.records.len() >= BATCH_RECORDS {
                let full = std::mem::replace(&mut batch, spent.try_recv().unwrap_or_default());
                if give.send(full).is_err() {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    });
    // also what stands before a bad place; whoever folds may have stopped
    let _gone = give.send(batch);
    ended?;
    other.map_or(Ok(()), |tenant| Err(ReplayError::OtherTree { tenant, group: checkpointed.group }))
}

/// Folds a batch, and leaves it empty.
fn fold(states: &mut BTreeMap<u32, Tenant>, batch: &mut Batch, options: &ReplayOptions) -> Result<(), ReplayError> {
    let mut records = batch.records.as_slice();
    for frame in &batch.frames {
        let (of_frame, rest) = records.split_at_checked(frame.records).expect("a batch holds its frames' records");
        records = rest;
        fold_frame(states, frame, of_frame, options)?;
    }
    batch.frames.clear();
    batch.records.clear();
    Ok(())
}

fn fold_frame(
    states: &mut BTreeMap<u32, Tenant>,
    frame: &Frame,
    records: &[Result<Recorded, RecordError>],
    options: &ReplayOptions,
) -> Result<(), ReplayError> {
    let Frame { tenant, first_position, .. } = *frame;
    let state = states.entry(tenant).or_default();
    let is_wanted = state.next_position == first_position
        && (state.slug.is_empty() || options.tenant.as_ref().is_none_or(|slug| *slug == state.slug));
    if !is_wanted {
        return Ok(()); // another tenant's, or behind the last position that counts
    }
    for next in records.chunks(LOOK_AHEAD) {
        state.look_ahead(next.iter().flatten().map(|recorded| &recorded.event));
        match fold_records(state, state.next_position, next.iter().map(Result::as_ref), options.to, &mut |_| Ok(())) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => break,
            Err(Misfit { position, what }) => {
                return Err(ReplayError::Misfit { tenant: name_of(tenant, state), position, what });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

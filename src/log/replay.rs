//! Reading the journal of a folder as groups, for a start from a snapshot, a replay from nothing, and the check of a
//! snapshot. Not here: the checks themselves (`scan.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::error::OpenError;
use super::frame::Head;
use super::group::ReplayedGroup;
use super::medium::{FileMedium, Medium};
use super::recovery::{checked_segments, reaches, read_anchor};
use super::scan::{Extent, read_groups};
use crate::merkle::Peaks;

/// Where a replay ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayEnd {
    /// The last whole group of the journal, or the one at which the callback stopped.
    pub last_group: u64,
}

/// Hands out the groups from `from_group` on in their order, over all tenants, each checked: checksums, chain hashes,
/// links, numbers. Reads only, from the journal only, to its end: the caller sees that nobody writes it ([`hold_still`]).
/// An error names the first bad place, or that the journal ends before the last checkpoint; the groups before it were
/// handed out.
pub fn replay_groups(
    dir: &Path,
    from_group: u64,
    each: &mut dyn FnMut(ReplayedGroup<'_>) -> ControlFlow<()>,
) -> Result<ReplayEnd, OpenError> {
    replay_on(&FileMedium::new(dir), from_group, u64::MAX, each)
}

/// The same beside a running service, up to its last checkpoint: the end of a journal that somebody is writing can't be
/// told from damage.
pub fn replay_groups_beside_service(
    dir: &Path,
    from_group: u64,
    each: &mut dyn FnMut(ReplayedGroup<'_>) -> ControlFlow<()>,
) -> Result<ReplayEnd, OpenError> {
    let medium = FileMedium::new(dir);
    let to = read_anchor(&medium)?.manifest.group;
    replay_on(&medium, from_group, to, each)
}

pub(crate) fn replay_on(
    medium: &dyn Medium,
    from_group: u64,
    to_group: u64,
    each: &mut dyn FnMut(ReplayedGroup<'_>) -> ControlFlow<()>,
) -> Result<ReplayEnd, OpenError> {
    let anchored = read_anchor(medium)?;
    let segments = checked_segments(medium, &anchored)?;
    let extent = Extent { from: from_group.max(1), to: to_group };
    let mut is_stopped = false;
    let end = read_groups(medium, &segments, extent, &mut |visit| {
        let flow = each(ReplayedGroup::new(visit.found.number, visit.bytes, &visit.found.frames));
        is_stopped = flow.is_break();
        Ok(flow)
    })?;
    if !is_stopped {
        reaches(medium, anchored.group.min(to_group), end.last_group)?;
    }
    Ok(ReplayEnd { last_group: end.last_group })
}

/// While this is held, no service starts on the folder.
#[derive(Debug)]
pub struct Still(#[expect(dead_code, reason = "held for its lock")] Option<File>);

/// Keeps a service from starting on a stopped folder; `None` if one is running there. Changes nothing in the folder.
///
/// # Errors
/// When the folder's lock can't be read.
pub fn hold_still(dir: &Path) -> io::Result<Option<Still>> {
    let file = match File::open(dir.join("LOCK")) {
        Ok(file) => file,
        // whoever serves from a folder has made that file
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Still(None))),
        Err(error) => return Err(error),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(Still(Some(file)))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What the last finished checkpoint covers: how far a walk of the folder goes at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpointed {
    pub group: u64,
    /// Every tenant's tree just after that group.
    pub trees: BTreeMap<u32, Peaks>,
}

/// Reads what the last finished checkpoint covers.
///
/// # Errors
/// When the anchor can't be read.
pub fn checkpointed(dir: &Path) -> Result<Checkpointed, OpenError> {
    let manifest = read_anchor(&FileMedium::new(dir))?.manifest;
    let trees = manifest.tenants.into_iter().map(|(tenant, mark)| (tenant, mark.tree)).collect();
    Ok(Checkpointed { group: manifest.group, trees })
}

/// Whether these were all tenants' heads after `group`, by the journal, where the others are those of now. A frame names the
/// chain before it: so of every tenant that has gone on since, the first frame behind that group is looked at, and nothing behind
/// those: a tenant whose head is the same now has none there, or its chain would be another.
pub fn stood_at(
    dir: &Path,
    group: u64,
    heads: &BTreeMap<u32, Head>,
    now: &BTreeMap<u32, Head>,
) -> Result<bool, OpenError> {
    if heads.keys().any(|tenant| !now.contains_key(tenant)) {
        return Ok(false);
    }
    let mut unseen: BTreeSet<u32> = now.keys().copied().filter(|tenant| now.get(tenant) != heads.get(tenant)).collect();
    let mut seen = BTreeSet::new();
    let mut is_theirs = true;
    // what a snapshot says of itself may be anything
    let end = replay_groups(dir, group.saturating_add(1), &mut |next| {
        for frame in next.frames().filter(|frame| seen.insert(frame.tenant)) {
            let before = Head { next_position: frame.first_position, chain: frame.previous };
            let stood = heads.get(&frame.tenant).copied().unwrap_or_default();
            is_theirs &= unseen.remove(&frame.tenant) && before == stood;
        }
        if unseen.is_empty() || !is_theirs { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(is_theirs && unseen.is_empty() && end.last_group >= group)
}

//! Reading the journal of a folder as groups, for a start from a snapshot, a replay from nothing, and the check of a
//! snapshot. Not here: the checks themselves (`scan.rs`).

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::error::OpenError;
use super::frame::{Body, Head};
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

/// Every tenant's head after `group`, from the journal; `None` if the journal does not reach that group. Reads from that
/// group to the end: a frame names the chain before it, and a tenant without a later frame stands where it ended.
pub fn chain_at(dir: &Path, group: u64) -> Result<Option<BTreeMap<u32, Head>>, OpenError> {
    let medium = FileMedium::new(dir);
    let anchored = read_anchor(&medium)?;
    let segments = checked_segments(&medium, &anchored)?;
    let covered = &anchored.manifest;
    // the manifest knows every tenant at its own group; between the two groups frames say what changed
    let mut after: BTreeMap<u32, Head> = BTreeMap::new();
    let mut before: BTreeMap<u32, Head> = BTreeMap::new();
    let mut until: BTreeMap<u32, Head> = super::recovery::heads_of(&covered.tenants);
    let extent = Extent { from: group.min(covered.group) + 1, to: u64::MAX };
    let end = read_groups(&medium, &segments, extent, &mut |visit| {
        for span in &visit.found.frames {
            if visit.found.number <= group {
                after.insert(span.tenant, span.head_after);
            } else if let Some(body) = Body::parse(span.body(visit.bytes)) {
                let head = Head { next_position: body.first_position, chain: *body.previous };
                before.entry(span.tenant).or_insert(head);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if end.last_group < group {
        return Ok(None);
    }
    until.extend(after);
    until.extend(before);
    until.retain(|_, head| *head != Head::default());
    Ok(Some(until))
}

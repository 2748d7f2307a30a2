//! The checkpoint: sled flushed and synced, then a manifest that says what is covered, then the older anchor slot. Only
//! the finished checkpoint counts. Not here: when (`feeder.rs`).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::anchor::Anchor;
use super::error::{is_no_descriptor, is_no_room};
use super::group::EncodedGroup;
use super::manifest::{DroppedEntry, LiveEntry, Manifest, TenantMark, remove_others};
use super::medium::Medium;
use super::read_log::{ReadLog, ReadLogError};
use super::trees::Trees;

/// What a checkpoint covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// The last group that is covered.
    pub group: u64,
    pub manifest: u64,
}

/// Why a checkpoint was not made. The last finished one stays in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckpointError {
    /// What the medium holds of the new one is not known.
    #[error("{0}")]
    Failed(io::Error),
    /// No file descriptor, or no room for the manifest, which nothing names yet: it can be tried again.
    #[error("{0}")]
    Postponed(io::Error),
    /// Sled's files are not what it wrote.
    #[error("{0}")]
    SledBroken(String),
}

impl From<CheckpointError> for io::Error {
    fn from(error: CheckpointError) -> io::Error {
        match error {
            CheckpointError::Failed(error) | CheckpointError::Postponed(error) => error,
            CheckpointError::SledBroken(why) => io::Error::other(why),
        }
    }
}

/// Follows what sled has been given, and writes checkpoints of it.
pub(crate) struct Checkpointer {
    pub(crate) anchor: Anchor,
    pub(crate) manifest: u64,
    pub(crate) log_id: [u8; 16],
    /// The last group that sled has been given, and where each tenant stood then.
    pub(crate) group: u64,
    pub(crate) marks: BTreeMap<u32, TenantMark>,
    pub(crate) dropped: Vec<DroppedEntry>,
    /// The same trees as the marks have, to be asked.
    pub(crate) trees: Arc<Trees>,
}

impl Checkpointer {
    /// Notes that sled has been given this group.
    pub(crate) fn note(&mut self, group: &EncodedGroup) {
        assert_eq!(group.number, self.group + 1, "sled is given one group after the other");
        for frame in &group.frames {
            let mark = self.marks.entry(frame.tenant).or_default();
            self.trees.grow(frame.tenant, group.body(frame).records(), &mut mark.tree);
            mark.head = frame.head_after;
            assert_eq!(mark.tree.leaves(), mark.head.next_position, "a leaf for every position");
        }
        self.group = group.number;
    }

    /// Runs the steps in order. An error is fatal, unless it says otherwise.
    pub(crate) fn run(
        &mut self,
        medium: &dyn Medium,
        read_log: &dyn ReadLog,
        live: Vec<LiveEntry>,
    ) -> Result<CheckpointInfo, CheckpointError> {
        read_log.flush().map_err(|error| of_sled("flushing sled", error, Again::Never))?;
        read_log.sync().map_err(|error| of_sled("syncing sled", error, Again::WithDescriptor))?;
        let manifest = Manifest {
            number: self.manifest + 1,
            log_id: self.log_id,
            group: self.group,
            live,
            dropped: self.dropped.clone(),
            tenants: self.marks.clone(),
        };
        let hash = manifest.write(medium).map_err(|error| failed("writing the manifest", error, Again::WithRoom))?;
        self.anchor
            .advance(medium, self.group, manifest.number, hash, self.log_id)
            .map_err(|error| failed("writing the anchor", error, Again::WithDescriptor))?;
        self.manifest = manifest.number;
        let kept: Vec<u64> = self.anchor.newest_first().iter().map(|slot| slot.manifest).collect();
        if let Err(error) = remove_others(medium, &kept) {
            tracing::warn!(%error, "an old manifest could not be removed");
        }
        Ok(CheckpointInfo { group: self.group, manifest: self.manifest })
    }
}

/// When a step may be tried again.
#[derive(Clone, Copy)]
enum Again {
    /// Sled remembers that a write of its own failed.
    Never,
    /// The step begins by opening a file.
    WithDescriptor,
    /// Likewise, and it writes that file as a whole.
    WithRoom,
}

fn of_sled(step: &str, error: ReadLogError, again: Again) -> CheckpointError {
    match error {
        ReadLogError::Broken(why) => CheckpointError::SledBroken(format!("{step}: {why}")),
        error @ (ReadLogError::Io(_) | ReadLogError::NotDurable(_)) => failed(step, error.into(), again),
    }
}

fn failed(step: &str, error: io::Error, again: Again) -> CheckpointError {
    let is_postponed = match again {
        Again::Never => false,
        Again::WithDescriptor => is_no_descriptor(&error),
        Again::WithRoom => is_no_descriptor(&error) || is_no_room(&error),
    };
    let error = at(step, &error);
    if is_postponed { CheckpointError::Postponed(error) } else { CheckpointError::Failed(error) }
}

/// The step that failed, with the kind of the error kept: a full disk has its own advice.
fn at(step: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{step}: {error}"))
}

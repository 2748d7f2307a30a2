//! The checkpoint: sled flushed and synced, then a manifest that says what is covered, then the older anchor slot. Only
//! the finished checkpoint counts. Not here: when (`feeder.rs`).

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::anchor::Anchor;
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
    /// Sled's files are not what it wrote.
    #[error("{0}")]
    SledBroken(String),
}

impl From<CheckpointError> for io::Error {
    fn from(error: CheckpointError) -> io::Error {
        match error {
            CheckpointError::Failed(error) => error,
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

    /// Runs the steps in order. An error is fatal.
    pub(crate) fn run(
        &mut self,
        medium: &dyn Medium,
        read_log: &dyn ReadLog,
        live: Vec<LiveEntry>,
    ) -> Result<CheckpointInfo, CheckpointError> {
        read_log.flush().map_err(|error| of_sled("flushing sled", error))?;
        read_log.sync().map_err(|error| of_sled("syncing sled", error))?;
        let manifest = Manifest {
            number: self.manifest + 1,
            log_id: self.log_id,
            group: self.group,
            live,
            dropped: self.dropped.clone(),
            tenants: self.marks.clone(),
        };
        let hash = manifest.write(medium).map_err(|error| failed("writing the manifest", error))?;
        self.anchor
            .advance(medium, self.group, manifest.number, hash, self.log_id)
            .map_err(|error| failed("writing the anchor", error))?;
        self.manifest = manifest.number;
        let kept: Vec<u64> = self.anchor.newest_first().iter().map(|slot| slot.manifest).collect();
        if let Err(error) = remove_others(medium, &kept) {
            tracing::warn!(%error, "an old manifest could not be removed");
        }
        Ok(CheckpointInfo { group: self.group, manifest: self.manifest })
    }
}

fn of_sled(step: &str, error: ReadLogError) -> CheckpointError {
    match error {
        ReadLogError::Broken(why) => CheckpointError::SledBroken(format!("{step}: {why}")),
        error @ (ReadLogError::Io(_) | ReadLogError::NotDurable(_)) => failed(step, error.into()),
    }
}

fn failed(step: &str, error: io::Error) -> CheckpointError {
    CheckpointError::Failed(at(step, &error))
}

/// The step that failed, with the kind of the error kept: a full disk has its own advice.
fn at(step: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{step}: {error}"))
}

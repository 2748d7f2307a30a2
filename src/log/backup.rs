//! What a consistent backup of the log consists of: small files by content, segments by the length that counts. sled, the
//! lock and what was put aside are not in it; a start makes sled anew. Not here: packing, or the vault's keys.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::anchor::ANCHOR;
use super::error::OpenError;
use super::manifest::{is_manifest, manifest_name};
use super::medium::{FileMedium, Medium, read_file};
use super::ready::{self, READY};
use super::recovery::{checked_segments, read_anchor};
use super::scan::{Extent, read_groups};
use super::segment::{JOURNAL, segment_id, segment_name};
use super::shared::Shared;

/// What to copy. The small files are as they were when the plan was made; the segments only grow behind the given
/// lengths, so they may be copied at leisure while the service goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupPlan {
    pub log_id: [u8; 16],
    /// The last group that the backup holds.
    pub last_group: u64,
    /// Names relative to the data folder, and contents.
    pub small: Vec<(String, Vec<u8>)>,
    pub segments: Vec<BackupSegment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSegment {
    /// Relative to the data folder.
    pub name: String,
    pub path: PathBuf,
    /// How many bytes from the beginning to copy.
    pub bytes: u64,
}

/// The plan for a stopped folder. (Of a running service: [`super::LogReader::backup_files`].)
pub fn backup_files(dir: &Path) -> Result<BackupPlan, OpenError> {
    let medium = FileMedium::new(dir);
    let small = small_files(&medium)?;
    let anchored = read_anchor(&medium)?;
    let segments = checked_segments(&medium, &anchored)?;
    let extent = Extent { from: anchored.manifest.group, to: u64::MAX };
    let end = read_groups(&medium, &segments, extent, &mut |_| Ok(ControlFlow::Continue(())))?;
    let ids: Vec<u32> = segments.iter().map(|segment| segment.header.id).collect();
    plan(&medium, dir, small, &ids, end.end, end.last_group)
}

/// The plan for a running log.
pub(crate) fn backup_of(shared: &Shared, dir: &Path) -> Result<BackupPlan, OpenError> {
    // the anchor before the segments: what it covers is in them, whatever is appended meanwhile
    let small = {
        let _no_checkpoint_now = shared.checkpointing.lock();
        small_files(shared.medium.as_ref())?
    };
    let (files, last_group) = {
        let files = shared.files.lock();
        (files.clone(), files.live_group)
    };
    let ids: Vec<u32> = files.segments.iter().map(|entry| entry.id).collect();
    plan(shared.medium.as_ref(), dir, small, &ids, files.live_end, last_group)
}

/// Whether a backup's log may hold a file of this name.
#[must_use]
pub fn is_in_backups(name: &str) -> bool {
    let segment = name.strip_prefix(JOURNAL).and_then(|rest| rest.strip_prefix('/'));
    [READY, ANCHOR].contains(&name) || is_manifest(name) || segment.is_some_and(|file| segment_id(file).is_some())
}

fn small_files(medium: &dyn Medium) -> Result<Vec<(String, Vec<u8>)>, OpenError> {
    let slots = read_anchor(medium)?.anchor.newest_first();
    let mut names = vec![READY.to_owned(), ANCHOR.to_owned()];
    for slot in slots {
        let name = manifest_name(slot.manifest);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut small = vec![];
    for name in names {
        let bytes = read_file(medium, &name).map_err(OpenError::io(format!("reading {name}")))?;
        small.extend(bytes.map(|bytes| (name, bytes)));
    }
    Ok(small)
}

fn plan(
    medium: &dyn Medium,
    dir: &Path,
    small: Vec<(String, Vec<u8>)>,
    ids: &[u32],
    live_end: u64,
    last_group: u64,
) -> Result<BackupPlan, OpenError> {
    let mut segments = vec![];
    for (at, id) in ids.iter().enumerate() {
        let name = segment_name(*id);
        let len =
            medium.open(&name).and_then(|file| file.len()).map_err(OpenError::io(format!("looking at {name}")))?;
        let bytes = if at + 1 == ids.len() { live_end } else { len };
        segments.push(BackupSegment { path: dir.join(&name), name, bytes });
    }
    let log_id = ready::log_id(medium)?.ok_or_else(|| OpenError::corrupt(medium.describe(READY), "it is missing"))?;
    Ok(BackupPlan { log_id, last_group, small, segments })
}

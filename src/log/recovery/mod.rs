//! Opening a data folder: what is there is checked against what must be there, the end of the journal is made durable
//! once more, sled is brought up to it or made anew, and only then is anything served. Refuses where acknowledged
//! records are missing. Not here: the files' formats.

mod create;
mod end;
mod read_log;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::anchor::{ANCHOR, Anchor, Slot};
use super::aside::HALF;
use super::bytes::wide;
use super::checkpoint::{CheckpointError, Checkpointer};
use super::doubt::{self, DOUBT};
use super::error::OpenError;
use super::frame::Head;
use super::group::EncodedGroup;
use super::journal::LiveSegment;
use super::manifest::{LiveEntry, Manifest, TenantMark, manifest_name, remove_others};
use super::medium::{ASIDE, Medium, TOP, read_file};
use super::read_log::{ReadLog, ReadLogPlace};
use super::ready::{self, READY};
use super::scan::{self, Extent, JournalEnd, Links, Segment, read_groups};
use super::segment::JOURNAL;
use super::trees::Trees;
use super::{LogOptions, Progress, receipts, snapshot, subjects};
use sha2::{Digest, Sha256};

/// What opening found and did, for the start's log line and for metrics.
#[derive(Clone, Debug, Default)]
pub struct OpenReport {
    /// The folder was made by this start.
    pub fresh: bool,
    pub log_id: [u8; 16],
    pub last_group: u64,
    /// Groups behind the newest finished checkpoint, which were written into a fresh segment.
    pub groups_replayed: u64,
    /// Bytes behind the last whole group: a group that was being written and never acknowledged.
    pub torn: Option<TornEnd>,
    /// The anchor slot that could not be read, which is normal after a cut.
    pub bad_anchor_slot: Option<u8>,
    /// The newest slot's manifest could not be read, and the older slot was used.
    pub bad_manifest: Option<String>,
    /// Why sled was made anew from the journal, if it was.
    pub sled_rebuilt: Option<String>,
    /// Frames that sled lacked and was given, and frames of broken chain that were taken out of it.
    pub sled_frames_fed: u64,
    pub sled_frames_removed: u64,
    /// Records behind the snapshot, or the other caches, that were folded.
    pub records_folded: u64,
    pub took: Took,
}

/// How long a start's steps took, one behind the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// The journal's end and sled, and the look at whose log it is.
    pub log: Duration,
    /// The indexes, and what was left to wait for of the snapshot, which is read beside the log, with others where that was not it.
    pub snapshot: Duration,
    /// What stands behind it.
    pub fold: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornEnd {
    pub segment: String,
    pub offset: u64,
    pub bytes: u64,
    /// Where a copy of them is kept.
    pub put_aside: String,
}

/// Everything that the running log begins with.
pub(crate) struct Opened {
    pub(crate) read_log: Arc<dyn ReadLog>,
    pub(crate) live: LiveSegment,
    pub(crate) total_bytes: u64,
    pub(crate) entries: Vec<LiveEntry>,
    pub(crate) heads: BTreeMap<u32, Head>,
    pub(crate) checkpointer: Checkpointer,
    pub(crate) report: OpenReport,
}

/// What the anchor says, with the manifest that goes with it.
pub(crate) struct Anchored {
    pub(crate) anchor: Anchor,
    pub(crate) manifest: Manifest,
    /// The greatest group that any valid slot covers: the journal must reach it.
    pub(crate) group: u64,
    pub(crate) bad_manifest: Option<String>,
}

pub(crate) fn open(
    medium: &Arc<dyn Medium>,
    place: &dyn ReadLogPlace,
    options: &LogOptions,
    progress: &dyn Progress,
) -> Result<Opened, OpenError> {
    let disk = medium.as_ref();
    let mut report = OpenReport::default();
    // nothing in the folder of another version is ours to remove
    let mut log_id = ready::log_id(disk)?;
    remove_leftovers(disk).map_err(OpenError::io("removing what a cut left behind"))?;
    if log_id.is_none() {
        create::refuse_if_lived_in(disk)?;
        create::create(disk, place, options).map_err(OpenError::io("making the data folder"))?;
        report.fresh = true;
        log_id = ready::log_id(disk)?;
    }
    let log_id = log_id.ok_or_else(|| OpenError::corrupt(disk.describe(READY), "it is missing"))?;
    report.log_id = log_id;

    let anchored = read_anchor(disk)?;
    report.bad_anchor_slot = anchored.anchor.bad_slot();
    report.bad_manifest.clone_from(&anchored.bad_manifest);

    let segments = checked_segments(disk, &anchored)?;
    let (tail, end) = read_tail(disk, &segments, &anchored)?;
    report.last_group = end.last_group;
    report.groups_replayed = wide(tail.len());

    let plan = read_log::look(disk, place, &anchored.manifest, &tail, &end)?;
    let fresh = end::make_durable(disk, &segments, &anchored.manifest, &tail, &end, options, log_id, &mut report)?;
    let mut segments = segments;
    segments.extend(fresh.segment);
    let read_log = read_log::bring_up(disk, place, plan, &segments, &anchored.manifest, &end, progress, &mut report)?;

    let entries: Vec<LiveEntry> =
        segments.iter().map(|s| LiveEntry { id: s.header.id, first_group: s.header.first_group }).collect();
    let mut checkpointer = Checkpointer {
        anchor: anchored.anchor,
        manifest: highest_manifest(disk, &anchored)?,
        log_id,
        group: anchored.manifest.group,
        trees: Trees::new(Arc::clone(medium), &anchored.manifest.tenants),
        marks: anchored.manifest.tenants,
        dropped: anchored.manifest.dropped,
    };
    tail.iter().for_each(|group| checkpointer.note(group));
    let is_new = report.groups_replayed > 0 || report.bad_anchor_slot.is_some() || report.bad_manifest.is_some();
    if is_new || report.sled_rebuilt.is_some() || report.torn.is_some() {
        checkpointer.run(disk, read_log.as_ref(), entries.clone()).map_err(|error| {
            if let CheckpointError::SledBroken(why) = &error {
                note_doubt(disk, why);
            }
            OpenError::Io { doing: "the checkpoint of the start".into(), error: error.into() }
        })?;
    }
    if report.sled_rebuilt.is_some()
        && let Err(error) = doubt::settle(disk)
    {
        tracing::warn!(%error, "the note that sled was damaged could not be removed; the next start makes it anew again");
    }
    if let Err(error) = place.remove_aside() {
        tracing::warn!(%error, "a sled that was set aside could not be removed");
    }
    let total_bytes = fresh.total_bytes;
    Ok(Opened { read_log, live: fresh.live, total_bytes, entries, heads: end.links.heads, checkpointer, report })
}

/// For the next start, where this one ends before sled is made anew.
fn note_doubt(medium: &dyn Medium, why: &str) {
    if let Err(error) = doubt::note(medium, why) {
        tracing::warn!(%error, "that sled is damaged could not be noted");
    }
}

fn remove_leftovers(medium: &dyn Medium) -> std::io::Result<()> {
    for folder in [TOP, JOURNAL, end::TORN] {
        for file in medium.list(folder)?.iter().filter(|file| file.ends_with(ASIDE)) {
            let is_ours = !folder.is_empty()
                || [READY, ANCHOR, DOUBT].iter().any(|n| file.starts_with(n))
                || file.starts_with("manifest-");
            if is_ours {
                medium.remove(&if folder.is_empty() { file.clone() } else { format!("{folder}/{file}") })?;
            }
        }
    }
    // what they take may be all that there was of the disk, and opening needs some
    for folder in [snapshot::FOLDER, receipts::FOLDER, subjects::FOLDER] {
        for file in medium.list(folder)?.iter().filter(|file| file.rsplit_once('.').is_some_and(|(_, end)| end == HALF))
        {
            medium.remove(&format!("{folder}/{file}"))?;
        }
    }
    Ok(())
}

/// The newest slot whose manifest is whole, and the greatest group that any slot covers.
pub(crate) fn read_anchor(medium: &dyn Medium) -> Result<Anchored, OpenError> {
    let no_anchor = |what: String| OpenError::NoAnchor { file: medium.describe(ANCHOR), what };
    let anchor = Anchor::read(medium)
        .map_err(OpenError::io("reading the anchor"))?
        .ok_or_else(|| no_anchor("the file is not there".into()))?;
    let slots = anchor.newest_first();
    let group =
        slots.iter().map(|slot| slot.group).max().ok_or_else(|| no_anchor("neither slot can be read".into()))?;
    let mut bad_manifest = None;
    for slot in &slots {
        match read_manifest(medium, slot)? {
            Ok(manifest) => return Ok(Anchored { anchor, manifest, group, bad_manifest }),
            Err(what) => bad_manifest = bad_manifest.or(Some(what)),
        }
    }
    let what = bad_manifest.unwrap_or_default();
    Err(OpenError::corrupt(what, "the manifests of both anchor slots are missing or changed"))
}

/// The manifest that a slot names, or the name of the file that is not it.
pub(crate) fn read_manifest(medium: &dyn Medium, slot: &Slot) -> Result<Result<Manifest, String>, OpenError> {
    let name = manifest_name(slot.manifest);
    let bytes = read_file(medium, &name).map_err(OpenError::io(format!("reading {name}")))?;
    let manifest = bytes
        .filter(|bytes| <[u8; 32]>::from(Sha256::digest(bytes)) == slot.manifest_hash)
        .and_then(|bytes| Manifest::decode(&bytes))
        .filter(|manifest| manifest.group == slot.group);
    Ok(manifest.ok_or_else(|| medium.describe(&name)))
}

/// The number from which manifests go on: above every one that exists, so that no name is used for two contents while
/// a slot may name it.
fn highest_manifest(medium: &dyn Medium, anchored: &Anchored) -> Result<u64, OpenError> {
    let slots = anchored.anchor.newest_first();
    let kept: Vec<u64> = slots.iter().map(|slot| slot.manifest).collect();
    remove_others(medium, &kept).map_err(OpenError::io("removing old manifests"))?;
    Ok(kept.iter().copied().max().unwrap_or(0))
}

/// The segments, none of which may be missing.
pub(crate) fn checked_segments(medium: &dyn Medium, anchored: &Anchored) -> Result<Vec<Segment>, OpenError> {
    let segments = scan::segments(medium)?;
    let manifest = &anchored.manifest;
    let first = manifest.dropped.iter().map(|entry| entry.id).max().unwrap_or(0) + 1;
    let on_disk = segments.first().map_or(u32::MAX, |segment| segment.header.id);
    let is_dropped = |id: u32| manifest.dropped.iter().any(|entry| entry.id == id);
    if segments.is_empty() || on_disk > first {
        let until =
            if segments.is_empty() { manifest.live.last().map_or(first, |entry| entry.id) + 1 } else { on_disk };
        return Err(scan::missing(first..until));
    }
    for entry in manifest.live.iter().filter(|entry| !is_dropped(entry.id)) {
        match segments.iter().find(|segment| segment.header.id == entry.id) {
            None => return Err(scan::missing(entry.id..entry.id + 1)),
            Some(segment) if segment.header.first_group != entry.first_group => {
                let what = format!(
                    "it begins with group {}, but the manifest says {}",
                    segment.header.first_group, entry.first_group
                );
                return Err(OpenError::corrupt(medium.describe(&segment.name), what));
            }
            Some(_) => {}
        }
    }
    Ok(segments)
}

/// Reads what is behind the checkpoint into memory and checks that the journal reaches and agrees with it.
fn read_tail(
    medium: &dyn Medium,
    segments: &[Segment],
    anchored: &Anchored,
) -> Result<(Vec<Arc<EncodedGroup>>, JournalEnd), OpenError> {
    let manifest = &anchored.manifest;
    let mut tail = vec![];
    // from the covered group itself on, so that the segment that holds it is read
    let mut end = read_groups(medium, segments, Extent { from: manifest.group, to: u64::MAX }, &mut |visit| {
        if visit.found.number > manifest.group {
            tail.push(Arc::new(end::copy(&visit)));
        }
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    reaches(medium, anchored.group, end.last_group)?;
    let mut links = Links { heads: heads_of(&manifest.tenants), is_complete: true };
    for group in &tail {
        for frame in &group.frames {
            links.take(&group.body(frame)).map_err(|what| {
                let what = format!("group {} does not continue the last checkpoint: {what}", group.number);
                OpenError::corrupt(medium.describe(JOURNAL), what)
            })?;
        }
    }
    if let Some((tenant, _)) = end.links.heads.iter().find(|(tenant, head)| links.heads.get(tenant) != Some(head)) {
        let what = format!("the chain of tenant {tenant} is not the one that the last checkpoint names");
        return Err(OpenError::corrupt(medium.describe(JOURNAL), what));
    }
    end.links = links;
    Ok((tail, end))
}

/// Refuses a journal that ends before what the anchor says was written.
pub(crate) fn reaches(medium: &dyn Medium, anchored_group: u64, last_group: u64) -> Result<(), OpenError> {
    if last_group >= anchored_group {
        return Ok(());
    }
    let missing = format!("the anchor says that groups up to {anchored_group} were written, the journal ends before");
    Err(lost_tail(medium, missing, last_group))
}

pub(crate) fn heads_of(marks: &BTreeMap<u32, TenantMark>) -> BTreeMap<u32, Head> {
    marks.iter().map(|(tenant, mark)| (*tenant, mark.head)).collect()
}

pub(crate) fn lost_tail(medium: &dyn Medium, missing: String, journal_group: u64) -> OpenError {
    OpenError::LostTail { dir: medium.describe(TOP), missing, journal_group }
}

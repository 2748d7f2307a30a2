//! Walking the whole log, byte for byte: `READY`, both anchor slots and their manifests, every segment, every frame, every
//! chain, the tree heads, and sled against the journal. Reads only: a stopped folder's sled is opened as a copy, since
//! opening it would overwrite the evidence. Not here: what a record says; the caller sees every group go by.

mod trees;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Progress;
use super::anchor::{ANCHOR, Anchor};
use super::bytes::wide;
use super::error::{Damage, OpenError};
use super::frame::{Body, Head};
use super::group::{FrameSpan, ReplayedGroup};
use super::manifest::{Manifest, TenantMark, manifest_name};
use super::medium::{FileMedium, Medium};
use super::read_log::{ReadLog, ReadLogError, ReadLogPlace, key, split_key, tenants};
use super::ready::{self, READY};
use super::recovery::{Anchored, checked_segments, read_anchor, read_manifest};
use super::scan::{Extent, Segment, Visit, read_groups};
use super::sled::SledPlace;
use trees::WalkedTrees;

/// How often the small files beside a running service are looked at before they are believed to be damaged.
const LOOKS_MAX: u32 = 5;

/// Sees every whole group in its order.
pub type EachGroup<'e> = dyn FnMut(&ReplayedGroup<'_>) -> ControlFlow<()> + 'e;

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WalkReport {
    pub log_id: Option<[u8; 16]>,
    pub groups: u64,
    pub frames: u64,
    pub records: u64,
    pub last_group: u64,
    /// What the newest finished checkpoint covers.
    pub anchor_group: u64,
    /// Where every tenant stands at the end of the walk: its head, and the root of its tree.
    pub tenants: BTreeMap<u32, (Head, [u8; 32])>,
    /// Places in the copy of record that are not as they were written, the first one first. Any of them is a reason not
    /// to trust the folder.
    pub damages: Vec<Damage>,
    /// The anchor slot that can't be read: a cut spoils the one that was being written, anything else is rot.
    pub bad_anchor_slot: Option<u8>,
    /// The same for sled, which costs a rebuild and nothing else.
    pub sled_damages: Vec<Damage>,
    /// How many of sled's frames were compared and found equal.
    pub sled_frames_equal: u64,
    /// Frames behind the last checkpoint that sled has not got yet; the next start gives them to it.
    pub sled_frames_lacking: u64,
    /// Full tiles on disk that are those of the records, and full tiles that are not on disk, or that a cut left unwritten.
    pub tiles_equal: u64,
    pub tiles_lacking: u64,
    /// Tiles that are not, which costs making them anew and nothing else.
    pub tile_damages: Vec<Damage>,
    /// Last signed heads that the log contains.
    pub heads_contained: u64,
    /// The same of heads that lie elsewhere in the folder: cosigned ones, those that were stamped, those that hand over.
    pub heads_aside_contained: u64,
    /// Those that it does not, or that can't be read.
    pub head_damages: Vec<Damage>,
    /// What is worth saying and no damage: a torn end, an anchor slot that a cut spoiled, a sled that was not looked at.
    pub notes: Vec<String>,
}

impl WalkReport {
    /// Whether every byte that counts is what was written.
    pub fn is_whole(&self) -> bool {
        [&self.damages, &self.sled_damages, &self.tile_damages, &self.head_damages].iter().all(|found| found.is_empty())
    }
}

/// Walks the log of a folder beside a running service: as far as its last checkpoint, and without sled.
pub fn walk_beside_service(dir: &Path, progress: &dyn Progress, each: &mut EachGroup<'_>) -> WalkReport {
    let medium = FileMedium::new(dir);
    let mut report = WalkReport::default();
    if let Some(baseline) = baseline_beside_service(&medium, &mut report) {
        let to = baseline.anchored.manifest.group;
        walk_on(&medium, baseline, None, to, progress, each, &mut report);
    }
    report
}

/// Walks the log of a stopped folder, which the caller keeps from being served ([`super::hold_still`]).
pub fn walk(dir: &Path, progress: &dyn Progress, each: &mut EachGroup<'_>) -> WalkReport {
    let medium = FileMedium::new(dir);
    let mut report = WalkReport::default();
    let scratch = tempfile::tempdir();
    let read_log = match &scratch {
        Ok(scratch) => open_copy(dir, scratch.path(), &mut report),
        Err(error) => {
            report.notes.push(format!("sled was not looked at: there is no room for a copy: {error}"));
            None
        }
    };
    if let Some(baseline) = baseline(&medium, &mut report) {
        walk_on(&medium, baseline, read_log.as_deref(), u64::MAX, progress, each, &mut report);
    }
    report
}

/// Looks again when a checkpoint of the service came in between.
fn baseline_beside_service(medium: &dyn Medium, report: &mut WalkReport) -> Option<Baseline> {
    let mut found = None;
    for _ in 0..LOOKS_MAX {
        *report = WalkReport::default();
        let note = "a service is running on this folder: walked up to its last checkpoint, without sled";
        report.notes.push(note.into());
        found = baseline(medium, report);
        if found.is_some() && report.damages.is_empty() && report.bad_anchor_slot.is_none() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    found
}

fn open_copy(dir: &Path, scratch: &Path, report: &mut WalkReport) -> Option<Arc<dyn ReadLog>> {
    if !dir.join("sled").is_dir() {
        report.notes.push("there is no sled folder; the next start makes it anew".into());
        return None;
    }
    if let Err(error) = copy_folder(&dir.join("sled"), &scratch.join("sled")) {
        report.notes.push(format!("sled was not looked at: it could not be copied: {error}"));
        return None;
    }
    match SledPlace::new(scratch, 64 << 20).open() {
        Ok(read_log) => Some(read_log),
        Err(error) => {
            report.sled_damages.push(of_sled(format!("it can't be opened: {error}")));
            None
        }
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// What a walk compares the journal with, read at its beginning.
pub(crate) struct Baseline {
    manifests: Vec<Manifest>,
    anchored: Anchored,
    segments: Vec<Segment>,
}

/// Looks at the small files. `None` if the journal can't be walked; the report says why.
pub(crate) fn baseline(medium: &dyn Medium, report: &mut WalkReport) -> Option<Baseline> {
    match ready::log_id(medium) {
        Ok(Some(log_id)) => report.log_id = Some(log_id),
        Ok(None) => report.damages.push(of(medium, READY, "it is missing")),
        Err(OpenError::Corrupt(damage)) => report.damages.push(damage),
        Err(error) => report.damages.push(of(medium, READY, &error.to_string())),
    }
    let manifests = manifests(medium, report);
    report.anchor_group = manifests.iter().map(|manifest| manifest.group).max().unwrap_or(0);
    let anchored = match read_anchor(medium) {
        Ok(anchored) => anchored,
        Err(error) => {
            report.damages.push(damage_of(error));
            return None;
        }
    };
    match checked_segments(medium, &anchored) {
        Ok(segments) => Some(Baseline { manifests, anchored, segments }),
        Err(error) => {
            report.damages.push(damage_of(error));
            None
        }
    }
}

/// The walk itself, on any medium. Groups behind `to` are left alone; `u64::MAX` goes to the end.
pub(crate) fn walk_on(
    medium: &dyn Medium,
    baseline: Baseline,
    read_log: Option<&dyn ReadLog>,
    to: u64,
    progress: &dyn Progress,
    each: &mut EachGroup<'_>,
    report: &mut WalkReport,
) {
    let Baseline { manifests, anchored, segments } = baseline;
    let trees = WalkedTrees::new(medium, report);
    let mut walk = Walk { medium, read_log, manifests, marks: BTreeMap::new(), trees, report };
    let total = if to == u64::MAX { anchored.group } else { to };
    let ended = read_groups(medium, &segments, Extent { from: 1, to }, &mut |visit| {
        walk.visit(&visit);
        let number = visit.found.number;
        if number.is_multiple_of(4_096) {
            progress.step("walking the log", number, total.max(number));
        }
        Ok(each(&ReplayedGroup::new(number, visit.bytes, &visit.found.frames)))
    });
    let mut is_to_end = true;
    match ended {
        Ok(end) => {
            walk.report.last_group = end.last_group;
            let is_short = end.last_group < anchored.group.min(to);
            match end.torn {
                Some(torn) if is_short => walk.report.damages.push(torn.place),
                Some(torn) => {
                    let note = format!(
                        "{} bytes behind the last group belong to a group that was never acknowledged",
                        torn.bytes.len()
                    );
                    walk.report.notes.push(note);
                }
                None => {}
            }
            if is_short {
                let what = format!("it ends with group {}, and the anchor says {}", end.last_group, anchored.group);
                walk.report.damages.push(of(medium, super::segment::JOURNAL, &what));
            }
        }
        Err(error) => {
            is_to_end = false;
            walk.report.damages.push(damage_of(error));
        }
    }
    if is_to_end && to == u64::MAX {
        walk.look_for_more_in_sled();
    }
    let marks = std::mem::take(&mut walk.marks);
    let Walk { trees, report, .. } = walk;
    trees.end(is_to_end && to == u64::MAX, report);
    report.tenants = marks.into_iter().map(|(tenant, mark)| (tenant, (mark.head, mark.tree.root()))).collect();
}

/// The manifests of both slots, each looked at.
fn manifests(medium: &dyn Medium, report: &mut WalkReport) -> Vec<Manifest> {
    let anchor = match Anchor::read(medium) {
        Ok(Some(anchor)) => anchor,
        Ok(None) | Err(_) => return vec![], // said by `read_anchor`
    };
    if let Some(slot) = anchor.bad_slot() {
        report.bad_anchor_slot = Some(slot);
        let place = medium.describe(ANCHOR);
        report.notes.push(format!("slot {slot} of {place} can't be read; after a cut that is normal, else it is rot"));
    }
    let mut manifests: Vec<Manifest> = vec![];
    for slot in anchor.newest_first() {
        match read_manifest(medium, &slot) {
            Ok(Ok(manifest)) if manifests.contains(&manifest) => {}
            Ok(Ok(manifest)) => manifests.push(manifest),
            Ok(Err(_)) => {
                let what = "it is missing or not the one that the anchor names";
                report.damages.push(of(medium, &manifest_name(slot.manifest), what));
            }
            Err(error) => report.damages.push(damage_of(error)),
        }
    }
    manifests
}

struct Walk<'a> {
    medium: &'a dyn Medium,
    read_log: Option<&'a dyn ReadLog>,
    manifests: Vec<Manifest>,
    marks: BTreeMap<u32, TenantMark>,
    trees: WalkedTrees<'a>,
    report: &'a mut WalkReport,
}

/// One damaged sled is enough to know; a list of a million frames helps nobody.
const SLED_DAMAGES_MAX: usize = 20;

impl Walk<'_> {
    fn visit(&mut self, visit: &Visit<'_>) {
        self.report.groups += 1;
        for span in &visit.found.frames {
            let bytes = span.body(visit.bytes);
            let Some(body) = Body::parse(bytes) else { continue };
            self.report.frames += 1;
            self.report.records += u64::from(body.count);
            let mark = self.marks.entry(body.tenant).or_default();
            self.trees.take(body.tenant, body.records(), &mut mark.tree, self.report);
            mark.head = body.head();
            self.compare_with_sled(span, bytes, visit.found.number);
        }
        for manifest in &self.manifests {
            if manifest.group == visit.found.number && manifest.tenants != self.marks {
                let differs = |tenant: &&u32| manifest.tenants.get(tenant) != self.marks.get(tenant);
                let tenant = manifest.tenants.keys().chain(self.marks.keys()).find(differs).copied();
                let position = tenant.and_then(|t| self.marks.get(&t)).map(|mark| mark.head.next_position);
                let what = "its positions, chains or tree heads are not those of the journal".to_owned();
                let file = self.medium.describe(&manifest_name(manifest.number));
                let group = Some(manifest.group);
                self.report.damages.push(Damage { file, what, tenant, position, group, offset: None });
            }
        }
    }

    fn compare_with_sled(&mut self, span: &FrameSpan, body: &[u8], group: u64) {
        let Some(read_log) = self.read_log else { return };
        match read_log.get(&key(span.tenant, span.first_position)) {
            Ok(Some(value)) if value == body => self.report.sled_frames_equal += 1,
            Ok(None) if group > self.report.anchor_group => self.report.sled_frames_lacking += 1,
            Ok(None) => self.sled_damage(span.tenant, span.first_position, "a frame is missing"),
            Ok(Some(_)) => self.sled_damage(span.tenant, span.first_position, "a frame is not the journal's"),
            Err(error) => {
                self.sled_damage(span.tenant, span.first_position, &format!("a frame can't be read: {error}"));
                self.read_log = None;
            }
        }
    }

    /// Sled's frames must follow each other and end where the journal does: so there is none that the journal lacks.
    fn look_for_more_in_sled(&mut self) {
        let Some(read_log) = self.read_log else { return };
        let heads: BTreeMap<u32, u64> = self.marks.iter().map(|(t, mark)| (*t, mark.head.next_position)).collect();
        let mut more = vec![];
        let looked = (|| -> Result<(), ReadLogError> {
            for tenant in tenants(read_log)? {
                let end = tenant.checked_add(1).map_or([0xff; 12], |next| key(next, 0));
                let head = heads.get(&tenant).copied().unwrap_or(0);
                let mut expected = 0;
                read_log.scan(&key(tenant, 0), &end, &mut |found, value| {
                    let first = split_key(found).map_or(u64::MAX, |(_, first)| first);
                    let next = Body::parse(value).map_or(first, |body| body.end_position());
                    if next > head || first < expected {
                        more.push((tenant, first));
                    }
                    expected = next;
                    ControlFlow::Continue(())
                })?;
            }
            Ok(())
        })();
        for (tenant, first) in more {
            self.sled_damage(tenant, first, "it holds a frame that the journal does not");
        }
        if let Err(error) = looked {
            self.report.sled_damages.push(of_sled(format!("it can't be read: {error}")));
        }
    }

    fn sled_damage(&mut self, tenant: u32, position: u64, what: &str) {
        if self.report.sled_damages.len() < SLED_DAMAGES_MAX {
            let damage = Damage { tenant: Some(tenant), position: Some(position), ..of_sled(what.into()) };
            self.report.sled_damages.push(damage);
        }
    }
}

fn of(medium: &dyn Medium, name: &str, what: &str) -> Damage {
    Damage { file: medium.describe(name), what: what.into(), ..Damage::default() }
}

fn of_sled(what: String) -> Damage {
    Damage { file: "the read log (folder sled)".into(), what, ..Damage::default() }
}

fn damage_of(error: OpenError) -> Damage {
    if let OpenError::Corrupt(damage) = error {
        return damage;
    }
    Damage { file: "the data folder".into(), what: error.to_string(), ..Damage::default() }
}

/// How much of sled a walk looked at, in words for a person.
impl WalkReport {
    pub fn sled_words(&self) -> String {
        match (self.sled_damages.len(), self.sled_frames_lacking) {
            (0, 0) => format!("sled: {} frames equal to the journal's", self.sled_frames_equal),
            (0, lacking) => {
                format!("sled: {} frames equal, {lacking} of the newest still to come", self.sled_frames_equal)
            }
            (damages, _) => format!(
                "sled: {} of its frames are damaged, and no record is lost; once a read of them or the scrub has noted that, the next start makes it anew",
                wide(damages)
            ),
        }
    }
}

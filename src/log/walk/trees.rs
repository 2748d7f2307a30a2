//! The trees during a walk: every tile that is kept on disk is compared with the records, and every signed head with the
//! tree as it was at its size. Not here: signatures (`ledger::evidence`), or what a service does about it.

use std::collections::BTreeMap;

use super::super::error::Damage;
use super::super::frame::Records;
use super::super::medium::{Medium, read_file};
use super::super::trees::{Full, Growing, TileName};
use super::{WalkReport, of};
use crate::merkle::{Checkpoint, Hash, Note, Peaks, parse_round, tile_bytes};

const HEADS: &str = "heads";
/// Among them, those of many tenants in one file.
const ROUND: &str = "round-";
/// Heads that hand over from one key of the log to the next.
const ROTATIONS: &str = "rotations";
/// The last heads that enough witnesses have cosigned.
const COSIGNED: &str = "cosigned";
/// Below it a folder for each tenant, with the heads that were set aside to be stamped.
const TIMESTAMPS: &str = "timestamps";
const SET_ASIDE: &str = ".checkpoint";
/// A disk writes no less at once.
const SECTOR_BYTES: usize = 512;
/// Tiles that are listed; a list of thousands helps nobody.
const TILE_DAMAGES_MAX: usize = 20;

pub(super) struct WalkedTrees<'m> {
    medium: &'m dyn Medium,
    growing: BTreeMap<u32, Growing>,
    /// Heads that the walk has not come to: by tenant and size, the files and the root in them.
    heads: BTreeMap<u32, BTreeMap<u64, Vec<(String, Hash)>>>,
}

impl<'m> WalkedTrees<'m> {
    pub(super) fn new(medium: &'m dyn Medium, report: &mut WalkReport) -> Self {
        let mut walked = Self { medium, growing: BTreeMap::new(), heads: BTreeMap::new() };
        for folder in [HEADS, ROTATIONS, COSIGNED] {
            for name in medium.list(folder).unwrap_or_default() {
                if name.starts_with(ROUND) && !name.ends_with(".tmp") {
                    walked.expect_round(format!("{folder}/{name}"), report);
                    continue;
                }
                // a head that hands over has its size behind the tenant
                let tenant = name.split('-').next().unwrap_or_default().parse::<u32>();
                if let (Ok(tenant), false) = (tenant, name.ends_with(".tmp")) {
                    walked.expect(tenant, format!("{folder}/{name}"), report);
                }
            }
        }
        walked
    }

    /// A file that holds heads of many tenants.
    fn expect_round(&mut self, name: String, report: &mut WalkReport) {
        let Some(bytes) = self.listed(&name) else { return };
        let notes = match parse_round(&bytes) {
            Ok(notes) => notes,
            Err(error) => {
                let what = format!("it is not the round of heads that was written: {error}");
                return report.head_damages.push(of(self.medium, &name, &what));
            }
        };
        for (tenant, note) in notes {
            self.expect_head(tenant, name.clone(), note.text.parse().ok(), report);
        }
    }

    /// A file that holds a head, which the walk is to come to.
    fn expect(&mut self, tenant: u32, name: String, report: &mut WalkReport) {
        let Some(bytes) = self.listed(&name) else { return };
        let head = Note::parse(&bytes).ok().and_then(|note| note.text.parse::<Checkpoint>().ok());
        self.expect_head(tenant, name, head, report);
    }

    /// What is in a file that was listed; nothing where it can't be read. `None` if a service has put a newer one in its
    /// place meanwhile.
    fn listed(&self, name: &str) -> Option<Vec<u8>> {
        read_file(self.medium, name).unwrap_or_else(|_| Some(vec![]))
    }

    fn expect_head(&mut self, tenant: u32, name: String, head: Option<Checkpoint>, report: &mut WalkReport) {
        match head {
            Some(head) => {
                self.heads.entry(tenant).or_default().entry(head.size).or_default().push((name, head.root));
            }
            None => {
                let place = of(self.medium, &name, "it is not the signed head that was written");
                report.head_damages.push(Damage { tenant: Some(tenant), ..place });
            }
        }
    }

    /// The heads of a tenant that were set aside, once it is known that there is such a tenant.
    fn expect_set_aside(&mut self, tenant: u32, report: &mut WalkReport) {
        let folder = format!("{TIMESTAMPS}/{tenant}");
        for name in self.medium.list(&folder).unwrap_or_default() {
            if name.ends_with(SET_ASIDE) {
                self.expect(tenant, format!("{folder}/{name}"), report);
            }
        }
    }

    /// Takes a tenant's next records, and copies what its tree came to.
    pub(super) fn take(&mut self, tenant: u32, records: Records<'_>, into: &mut Peaks, report: &mut WalkReport) {
        if !self.growing.contains_key(&tenant) {
            self.expect_set_aside(tenant, report);
        }
        let growing = self.growing.entry(tenant).or_default();
        let mut heads = self.heads.get_mut(&tenant);
        let (mut records, mut full) = (records, vec![]);
        loop {
            let before = growing.peaks.leaves();
            let next = heads.as_ref().and_then(|heads| heads.range(before + 1..).next());
            let many = next.map_or(usize::MAX, |(size, _)| usize::try_from(size - before).unwrap_or(usize::MAX));
            growing.extend(records.by_ref().take(many), &mut full);
            let size = growing.peaks.leaves();
            if size == before {
                break;
            }
            let Some(reached) = heads.as_mut().and_then(|heads| heads.remove(&size)) else { continue };
            for (name, root) in reached {
                if growing.peaks.root() == root {
                    report.heads_contained += u64::from(name.starts_with(HEADS));
                    report.heads_aside_contained += u64::from(!name.starts_with(HEADS));
                    continue;
                }
                let what =
                    format!("it names another root for {size} records than the log has: one of them was changed");
                let place = of(self.medium, &name, &what);
                report.head_damages.push(Damage { tenant: Some(tenant), position: size.checked_sub(1), ..place });
            }
        }
        into.clone_from(&growing.peaks);
        full.iter().for_each(|tile| self.compare(tenant, tile, report));
    }

    fn compare(&self, tenant: u32, tile: &Full, report: &mut WalkReport) {
        let name = TileName { tenant, level: tile.level, index: tile.index };
        if !name.has_file() {
            return;
        }
        let name = name.file();
        let expected = tile_bytes(&tile.hashes);
        match read_file(self.medium, &name) {
            Ok(Some(bytes)) if bytes == expected => report.tiles_equal += 1,
            Ok(Some(bytes)) if is_cut_off(&bytes, &expected) => report.tiles_lacking += 1,
            Ok(None) => report.tiles_lacking += 1,
            Ok(Some(_)) | Err(_) => {
                if report.tile_damages.len() < TILE_DAMAGES_MAX {
                    let what = "it is not the tile of these records; it is made anew when it is asked for";
                    report.tile_damages.push(Damage { tenant: Some(tenant), ..of(self.medium, &name, what) });
                }
            }
        }
    }

    /// What the walk has not come to; `is_to_end` if it came to the end of the log.
    pub(super) fn end(self, is_to_end: bool, report: &mut WalkReport) {
        let each = |(tenant, heads): (u32, BTreeMap<u64, Vec<(String, Hash)>>)| {
            heads.into_iter().flat_map(move |(size, files)| files.into_iter().map(move |file| (tenant, size, file.0)))
        };
        for (tenant, size, name) in self.heads.into_iter().flat_map(each) {
            let found = self.growing.get(&tenant).map_or(0, |growing| growing.peaks.leaves());
            if is_to_end {
                let what = format!("it was signed over {size} records, and the log has {found}: its end is missing");
                let place = of(self.medium, &name, &what);
                report.head_damages.push(Damage { tenant: Some(tenant), position: Some(found), ..place });
            } else {
                report.notes.push(format!("{} is ahead of what was walked: not compared", self.medium.describe(&name)));
            }
        }
    }
}

/// Whether a file is what a power cut may leave of a tile, which nobody synced: shorter, or with zeros where something was
/// to come. That is normal and no rot.
fn is_cut_off(bytes: &[u8], expected: &[u8]) -> bool {
    let is_left = |(left, whole): (&[u8], &[u8])| left.iter().all(|byte| *byte == 0) || whole.starts_with(left);
    bytes.len() <= expected.len() && bytes.chunks(SECTOR_BYTES).zip(expected.chunks(SECTOR_BYTES)).all(is_left)
}

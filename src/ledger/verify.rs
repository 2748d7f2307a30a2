//! The whole data folder, looked at byte by byte and compared: the log with its own checksums, chains, anchor, manifests
//! and tree heads; the history with the laws; keys, receipts and snapshots with the history. Changes nothing. Not here:
//! the walk itself (`log`), and what is printed (`cli`).

mod kept;
mod keys;

pub use kept::Kept;
pub use keys::check_keys;

use super::evidence::{Owner, look_at_handovers, look_at_signed};
use super::fold::{To, fold_frame, name_of};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::TenantId;
use crate::domain::personal::Personal;
use crate::domain::state::{Tenant, Token};
use crate::log::receipts::{self, Receipt, Tally};
use crate::log::subjects;
use crate::log::writer::SNAPSHOT_SCHEMA;
use crate::log::{
    Damage, Head, Progress, ReplayedGroup, WalkReport, archive, record, snapshot, walk, walk_beside_service,
};
use crate::projection::View;
use crate::vault::{KEYS_FILE, KeyFileReport, MasterKeySource, OpenSealError, Vault};
use kept::KeptHeads;
use keys::look_at_keys;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What a verification saw.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    pub log: WalkReport,
    pub tenants: Vec<VerifiedTenant>,
    /// `None` where there is no key file yet.
    pub keys: Option<KeyFileReport>,
    /// Whether keys and seals were opened, or only their checksums looked at.
    pub are_seals_opened: bool,
    /// Command ids in the index on disk, each of them compared with the history.
    pub receipts: u64,
    /// Positions in the index of subjects on disk, each of them compared with the history.
    pub positions: u64,
    /// Signatures of witnesses under heads, each of them good.
    pub cosignatures: u64,
    /// Timestamps over heads that were set aside, each of them as it was signed.
    pub timestamps: u64,
    /// Snapshots that are equal to the history.
    pub snapshots: u64,
    /// Heads that were kept elsewhere, and that the log contains.
    pub kept_contained: u64,
    /// Everything that is not as it was written or not as the rest says, what counts most first.
    pub findings: Vec<Damage>,
    pub notes: Vec<String>,
}

/// One tenant at the end of the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTenant {
    pub slug: String,
    pub events: u64,
    pub seats_held: u64,
    pub pools: usize,
    pub digest: [u8; 32],
    pub tree_head: [u8; 32],
    pub tokens: Vec<Token>,
}

impl Verification {
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies a data folder. Without a master key the keys' checksums are looked at and no seal is opened. Whether one can be had and
/// fits, [`check_keys`] says before. The caller keeps
/// a service from starting meanwhile ([`crate::log::hold_still`]); beside a running one (`is_beside_service`) everything
/// is compared up to the last checkpoint.
#[must_use]
pub fn verify(
    dir: &Path,
    master_key: Option<&MasterKeySource>,
    is_beside_service: bool,
    progress: &dyn Progress,
) -> Verification {
    verify_against(&[], dir, master_key, is_beside_service, progress)
}

/// The same, and that the log contains the heads that were kept elsewhere. One that is ahead of a running service's last
/// checkpoint is a finding: nobody has seen that the log contains it.
#[must_use]
pub fn verify_against(
    kept: &[Kept],
    dir: &Path,
    master_key: Option<&MasterKeySource>,
    is_beside_service: bool,
    progress: &dyn Progress,
) -> Verification {
    let mut found = Verification::default();
    let (mut keys, mut indexes, mut caches) = (vec![], vec![], vec![]);
    let vault = look_at_keys(dir, master_key, &mut found, &mut keys);
    let mut look_at =
        |folder, read: ReadIndex| look_at_index(dir, folder, read, is_beside_service, (&mut found.notes, &mut indexes));
    let receipts = look_at("receipts", receipts::verify);
    let positions = look_at("subjects", subjects::verify);
    let snapshots = look_at_snapshots(dir, &mut found.notes, &mut caches);
    let mut history = History {
        vault: vault.as_ref(),
        receipts,
        positions,
        snapshots: snapshots.iter().map(|(_, meta)| (meta.group, None)).collect(),
        subjects: Subjects { known: found.keys.map_or(0, |keys| keys.subjects), ..Subjects::default() },
        ..History::default()
    };
    let mut kept = KeptHeads::new(kept);
    let walk = if is_beside_service { walk_beside_service } else { walk };
    found.log = walk(dir, progress, &mut |group| {
        history.take(group);
        group.frames().for_each(|frame| kept.take(frame.tenant, frame.records));
        ControlFlow::Continue(())
    });
    let is_walked = found.log.damages.is_empty() && history.misfits.is_empty();
    found.notes.extend(found.log.notes.iter().filter(|note| !note.starts_with("slot ")).cloned());
    found.findings.append(&mut found.log.damages.clone());
    found.findings.extend(found.log.bad_anchor_slot.map(|slot| {
        Damage {
            file: dir.join("anchor").display().to_string(),
            offset: Some(u64::from(slot) * 4096),
            what:
                "this slot can't be read. If the power failed while it was written that is normal: start the service \
               once and verify again. Else it is rot"
                    .into(),
            ..Damage::default()
        }
    }));
    found.findings.extend(found.log.head_damages.iter().cloned());
    history.look_at_signed(dir, is_beside_service, &mut found);
    history.look_at_handovers(dir, &mut found);
    kept.end(&history.states, is_walked, is_beside_service, &mut found);
    history.end(dir, is_beside_service, &mut found, &mut keys);
    found.findings.append(&mut keys);
    for (folder, what, index) in
        [("receipts", "command ids", history.receipts), ("subjects", "positions of subjects", history.positions)]
    {
        let covered_group = index.covered_group;
        if covered_group > found.log.last_group {
            if is_walked && !is_beside_service {
                let what =
                    format!("it covers groups up to {covered_group}, the log ends with {}", found.log.last_group);
                indexes.push(damage(&dir.join(folder), what));
            } else {
                found.notes.push(format!("the index of {what} is ahead of what was walked: not compared"));
            }
        } else if is_walked && index.on_disk != index.in_history {
            let what = format!(
                "its entries are not the {what} of the history. It is a cache: move this folder away while the service is \
                 stopped, and the next start makes it anew"
            );
            indexes.push(damage(&dir.join(folder), what));
        } else if folder == "receipts" {
            found.receipts = index.on_disk.entries;
        } else {
            found.positions = index.on_disk.entries;
        }
    }
    let mut archived = BTreeSet::new();
    for (path, meta) in &snapshots {
        match history.snapshots.get(&meta.group).and_then(Option::as_ref) {
            None if is_walked && !is_beside_service => {
                let what = format!("it was taken at group {}, the log ends with {}", meta.group, found.log.last_group);
                caches.push(damage(path, what));
            }
            None => found.notes.push(format!("{} is ahead of what was walked: not compared", path.display())),
            Some(Moment { heads, .. }) if *heads != meta.heads => {
                caches.push(damage(path, "it was taken of another history than the journal's".into()));
            }
            Some(Moment { digests, .. }) => match look_into(path, &mut archived) {
                Ok(stored) if stored == *digests => found.snapshots += 1,
                Ok(_) => caches.push(damage(path, "its states are not those of the history".into())),
                Err(error) => caches.push(damage(path, format!("it can't be read: {error}"))),
            },
        }
    }
    caches.extend(look_at_archive(dir, archived));
    found.findings.append(&mut indexes);
    found.findings.append(&mut caches);
    found.findings.extend(found.log.sled_damages.iter().chain(&found.log.tile_damages).cloned());
    found
}

fn damage(file: &Path, what: String) -> Damage {
    Damage { file: file.display().to_string(), what, ..Damage::default() }
}

/// An index on disk and what the history says should be in it.
#[derive(Clone, Copy, Default)]
struct Index {
    /// The group up to which it goes.
    covered_group: u64,
    on_disk: Tally,
    in_history: Tally,
}

type ReadIndex = fn(&Path) -> std::io::Result<Result<(u64, Tally), String>>;

fn look_at_index(
    dir: &Path,
    folder: &str,
    read: ReadIndex,
    is_beside_service: bool,
    (notes, findings): (&mut Vec<String>, &mut Vec<Damage>),
) -> Index {
    let mut looks = if is_beside_service { 5 } else { 1 };
    loop {
        looks -= 1;
        let why = match read(dir) {
            Ok(Ok((covered_group, on_disk))) => return Index { covered_group, on_disk, ..Index::default() },
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                notes.push(format!("{error}: not compared; the next start makes its index anew"));
                return Index::default();
            }
            Ok(Err(what)) => what,
            Err(error) => error.to_string(),
        };
        // a service may have merged two runs while they were read
        if looks == 0 {
            let what = format!(
                "{why}. It is a cache: move this folder away while the service is stopped, and the next start makes it anew"
            );
            findings.push(damage(&dir.join(folder), what));
            return Index::default();
        }
    }
}

fn look_at_snapshots(
    dir: &Path,
    notes: &mut Vec<String>,
    findings: &mut Vec<Damage>,
) -> Vec<(PathBuf, snapshot::SnapshotMeta)> {
    let paths = snapshot::look(dir).unwrap_or_else(|error| {
        findings.push(damage(&dir.join("snapshots"), format!("it can't be listed: {error}")));
        vec![]
    });
    let mut usable = vec![];
    for path in paths {
        match snapshot::check(&path) {
            Ok(meta) if meta.schema == SNAPSHOT_SCHEMA => usable.push((path, meta)),
            Ok(_) => notes.push(format!("{} is of another version of the program: not compared", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {} // a newer one came meanwhile
            Err(_) => {
                let what = "it is not what was written. It is a cache: an older one or the log takes its place";
                findings.push(damage(&path, what.into()));
            }
        }
    }
    usable
}

/// The digests of a snapshot's states, and what it knows to be archived.
fn look_into(path: &Path, archived: &mut BTreeSet<u64>) -> std::io::Result<Vec<[u8; 32]>> {
    let (_, views) = snapshot::read(path, |_, payload| record::decode_cache::<Vec<View>>(payload))?;
    archived.extend(views.iter().flat_map(View::archived));
    Ok(views.iter().map(|view| record::digest(&view.state)).collect())
}

/// Reads what the snapshots point to.
fn look_at_archive(dir: &Path, archived: BTreeSet<u64>) -> Option<Damage> {
    let error = archive::verify(dir, archived).err()?;
    let what = format!(
        "{error}. It is a cache: move this folder away while the service is stopped, and the next start makes it anew from the log"
    );
    Some(damage(&dir.join("archive"), what))
}

/// Every tenant at one group.
struct Moment {
    heads: BTreeMap<u32, Head>,
    digests: Vec<[u8; 32]>,
}

/// The history as it goes by.
#[derive(Default)]
struct History<'v> {
    vault: Option<&'v Vault>,
    states: BTreeMap<u32, Tenant>,
    heads: BTreeMap<u32, Head>,
    misfits: BTreeMap<u32, Damage>,
    receipts: Index,
    positions: Index,
    snapshots: BTreeMap<u64, Option<Moment>>,
    subjects: Subjects,
}

/// Which keys the history needs.
#[derive(Default)]
struct Subjects {
    /// How many there were before the walk.
    known: u64,
    needed: u64,
    /// The first one that was looked for in vain, with the place that named it.
    missing: Option<(u64, u32, u64)>,
}

/// The records of one command, while they go by.
#[derive(Clone)]
struct Command {
    tenant: u32,
    id: String,
    receipt: Receipt,
}

impl History<'_> {
    fn take(&mut self, group: &ReplayedGroup<'_>) {
        let mut command: Option<Command> = None;
        let has_receipts = group.number <= self.receipts.covered_group;
        let has_positions = group.number <= self.positions.covered_group;
        for frame in group.frames() {
            let tenant = frame.tenant;
            let next_position = frame.first_position + u64::from(frame.count);
            self.heads.insert(tenant, Head { next_position, chain: frame.chain });
            if self.misfits.contains_key(&tenant) {
                continue;
            }
            let state = self.states.entry(tenant).or_default();
            let (vault, subjects) = (self.vault, &mut self.subjects);
            let (receipts, positions) = (&mut self.receipts.in_history, &mut self.positions.in_history);
            let folded = fold_frame(state, frame, To::End, &mut |recorded| {
                if has_receipts {
                    count(tenant, recorded, &mut command, receipts);
                }
                if has_positions {
                    positions.add_subjects_of(TenantId(tenant), recorded);
                }
                subjects.look_at(vault, tenant, recorded)
            });
            if let Err(misfit) = folded {
                let what = format!("tenant {}: {}", name_of(tenant, state), misfit.what);
                let file = "the history".to_owned();
                let (group, position) = (Some(group.number), Some(misfit.position));
                self.misfits.insert(tenant, Damage { file, offset: None, group, tenant: Some(tenant), position, what });
            }
        }
        if let Some(last) = command {
            self.receipts.in_history.add((last.tenant, record::command_key(&last.id)), last.receipt);
        }
        if let Some(moment) = self.snapshots.get_mut(&group.number) {
            let digests = self.states.values().map(record::digest).collect();
            *moment = Some(Moment { heads: self.heads.clone(), digests });
        }
    }

    /// What was signed must be so still.
    fn look_at_signed(&self, dir: &Path, is_beside_service: bool, found: &mut Verification) {
        let owners: Vec<Owner<'_>> = self
            .states
            .iter()
            .map(|(tenant, state)| Owner {
                tenant: TenantId(*tenant),
                slug: &state.slug,
                log_keys: &state.log_keys,
                events: state.next_position,
            })
            .collect();
        let signed = look_at_signed(dir, found.log.log_id.as_ref(), &owners, is_beside_service);
        (found.cosignatures, found.timestamps) = (signed.cosignatures, signed.timestamps);
        found.findings.extend(signed.findings);
        found.notes.extend(signed.notes);
    }

    /// What hands over from one key of the log to the next must be there once it was signed.
    fn look_at_handovers(&self, dir: &Path, found: &mut Verification) {
        let Some(log_id) = found.log.log_id else { return };
        for (tenant, state) in &self.states {
            for (file, what) in look_at_handovers(dir, TenantId(*tenant), &log_id, &state.log_keys) {
                match what {
                    Ok(note) => found.notes.push(format!("tenant {}: {note}", name_of(*tenant, state))),
                    Err(what) => found.findings.push(Damage { tenant: Some(*tenant), ..damage(&file, what) }),
                }
            }
        }
    }

    fn end(&mut self, dir: &Path, is_beside_service: bool, found: &mut Verification, keys: &mut Vec<Damage>) {
        found.findings.extend(std::mem::take(&mut self.misfits).into_values());
        for (tenant, state) in &self.states {
            let position = state.next_position.checked_sub(1);
            // the state behind a misfit is half folded; what is wrong there was said
            let is_folded = self.heads.get(tenant).is_some_and(|head| head.next_position == state.next_position);
            if let Some(broken) = state.broken_law().filter(|_| is_folded) {
                let (file, what) = ("the history".to_owned(), format!("tenant {}: {broken}", name_of(*tenant, state)));
                found.findings.push(Damage { file, what, tenant: Some(*tenant), position, group: None, offset: None });
            }
            found.tenants.push(VerifiedTenant {
                slug: name_of(*tenant, state),
                events: state.next_position,
                seats_held: state.seats_held,
                pools: state.pools.len(),
                digest: record::digest(state),
                tree_head: found.log.tenants.get(tenant).map_or([0; 32], |(_, root)| *root),
                tokens: state.tokens.clone(),
            });
        }
        let mut known = found.keys.map(|keys| keys.subjects);
        if is_beside_service && known.is_some_and(|known| known < self.subjects.needed) {
            // keys are durable before the events that use them, so a second look finds them
            known = Vault::inspect_wrapped(dir).ok().map(|keys| keys.subjects);
        }
        let is_damage_said = known.is_none() && !keys.is_empty();
        if self.subjects.needed > known.unwrap_or(0) && !is_damage_said {
            let (subject, tenant, position) = self.subjects.missing.unwrap_or_default();
            let what = format!(
                "it holds {} keys, and the history needs {}. The first that is missing is subject {subject}'s",
                known.unwrap_or(0),
                self.subjects.needed
            );
            let mut gap = damage(&dir.join(KEYS_FILE), what);
            (gap.tenant, gap.position) = (Some(tenant), Some(position));
            keys.push(gap);
        }
    }
}

/// A command's records stand together, in one group.
fn count(tenant: u32, recorded: &Recorded, command: &mut Option<Command>, receipts: &mut Tally) {
    let id = recorded.envelope.command_id.as_ref();
    match command {
        Some(open) if open.tenant == tenant && Some(&open.id) == id => open.receipt.records += 1,
        _ => {
            if let Some(done) = command.take() {
                receipts.add((done.tenant, record::command_key(&done.id)), done.receipt);
            }
            *command = id.map(|id| {
                let (first_position, content_hash) = (recorded.position, recorded.envelope.content_hash);
                Command { tenant, id: id.clone(), receipt: Receipt { first_position, records: 1, content_hash } }
            });
        }
    }
}

impl Subjects {
    fn look_at(&mut self, vault: Option<&Vault>, tenant: u32, recorded: &Recorded) -> Result<(), String> {
        let Some(personal) = personal_of(&recorded.event) else { return Ok(()) };
        let subject = personal.subject;
        self.needed = self.needed.max(subject.0 + 1);
        if subject.0 >= self.known {
            self.missing = self.missing.or(Some((subject.0, tenant, recorded.position)));
            return Ok(());
        }
        match vault.map(|vault| vault.open_seal(subject, &personal.sealed)) {
            Some(Err(OpenSealError::Damaged)) => {
                Err(format!("the seal of subject {} does not open with its key", subject.0))
            }
            Some(Ok(_) | Err(OpenSealError::Erased)) | None => Ok(()),
        }
    }
}

fn personal_of(event: &Event) -> Option<&Personal> {
    if let Event::UserAdded { profile, .. } | Event::UserChanged { profile, .. } = event {
        return Some(profile);
    }
    if let Event::DeviceAdded { names, .. } | Event::DeviceChanged { names, .. } = event {
        return Some(names);
    }
    None
}

#[cfg(test)]
mod tests;

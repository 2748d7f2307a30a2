//! Looking at everything that was signed and lies in a data folder, which nobody opens for it: `heads/`, `cosigned/` and
//! `timestamps/`. Each head must be signed by the key that signs heads of its size, each cosignature by a witness that was asked,
//! each timestamp be over the head beside it; and what the rest of the folder tells of must be there. Not here: whether the log
//! contains the heads (`log::walk`), and heads that hand over (`rotation.rs`).

use super::cosigned::{COSIGNED, WITNESS_KEYS, read_witness_keys};
use super::heads::{self, HEADS, tenants_with_heads};
use super::key::NEXTS;
use super::rotation::{has_handover, of_this_log};
use super::rounds::{self, rounds_in};
use super::timestamp::{CHECKPOINT, Kept, RESPONSE, TIMESTAMPS, check_kept, kept_in, tenants_in};
use super::{LOG_KEY_FILE, LogKeySource};
use crate::domain::ids::TenantId;
use crate::domain::state::LogKeyRotation;
use crate::log::Damage;
use crate::merkle::{Checkpoint, KeyKind, Note, Signer, VerifierKey, parse_round};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A tenant as its history says.
#[derive(Debug, Clone, Copy)]
pub(in crate::ledger) struct Owner<'s> {
    pub(in crate::ledger) tenant: TenantId,
    pub(in crate::ledger) slug: &'s str,
    pub(in crate::ledger) log_keys: &'s [LogKeyRotation],
    pub(in crate::ledger) events: u64,
}

/// What was seen.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Signed {
    /// Signatures of witnesses that are good.
    pub(in crate::ledger) cosignatures: u64,
    /// Timestamps that are over the head beside them, and as they were signed.
    pub(in crate::ledger) timestamps: u64,
    pub(in crate::ledger) findings: Vec<Damage>,
    pub(in crate::ledger) notes: Vec<String>,
}

/// A key, the sizes that it signs, and how it is known.
struct Span {
    key: VerifierKey,
    from_size: u64,
    to_size: Option<u64>,
    said: String,
}

struct Look<'s> {
    dir: &'s Path,
    log_id: String,
    owners: BTreeMap<u32, Owner<'s>>,
    /// The key of today, where it is in the folder.
    today: Option<VerifierKey>,
    /// `None` where the list is not there, or is damaged.
    witnesses: Option<Vec<VerifierKey>>,
    is_list_missed: bool,
    unchecked: u64,
    is_beside_service: bool,
    /// Tenants that have a head and no history: of a service that goes on, they are behind what was walked.
    ahead: BTreeSet<u32>,
    seen: Signed,
}

/// Looks at all of it. `log_id` as `READY` says it: without one nothing can be told. Beside a service the heads may be ahead of
/// the history that the owners are of.
pub(in crate::ledger) fn look_at_signed(
    dir: &Path,
    log_id: Option<&[u8; 16]>,
    owners: &[Owner<'_>],
    is_beside_service: bool,
) -> Signed {
    let Some(log_id) = log_id else { return Signed::default() };
    let owners = owners.iter().map(|owner| (owner.tenant.0, *owner)).collect();
    let mut look = Look {
        dir,
        log_id: hex::encode(log_id),
        owners,
        today: None,
        witnesses: None,
        is_list_missed: false,
        unchecked: 0,
        is_beside_service,
        ahead: BTreeSet::new(),
        seen: Signed::default(),
    };
    look.read_keys();
    let (newest, witnessed) = look.heads();
    let mut told = look.cosigned(&newest);
    let without = witnessed.iter().filter(|tenant| !told.contains_key(tenant)).count();
    if without > 0 {
        let note = format!(
            "{COSIGNED} has no head of {without} of the tenants whose last heads witnesses have signed: no quorum is asked for, \
             none was reached, or it was taken away"
        );
        look.seen.notes.push(note);
    }
    look.timestamps(&mut told);
    look.missing(&newest, &told);
    look.end()
}

impl<'s> Look<'s> {
    fn find(&mut self, file: &Path, what: impl Into<String>) {
        let damage = Damage { file: file.display().to_string(), what: what.into(), ..Damage::default() };
        self.seen.findings.push(damage);
    }

    /// With the tenant, and the position of the last record that the head covers.
    fn find_at(&mut self, file: &Path, tenant: u32, size: u64, what: impl Into<String>) {
        self.find(file, what);
        if let Some(last) = self.seen.findings.last_mut() {
            (last.tenant, last.position) = (Some(tenant), size.checked_sub(1));
        }
    }

    fn read_keys(&mut self) {
        let (dir, key) = (self.dir, self.dir.join(LOG_KEY_FILE));
        if key.exists() {
            let secret = LogKeySource::DataFolder.load(dir);
            let today = secret.and_then(|secret| {
                let signer = Signer::new(LOG_KEY_FILE, &secret).map_err(|error| error.to_string())?;
                Ok(signer.verifier_key(KeyKind::Plain))
            });
            match today {
                Ok(today) => self.today = Some(today),
                Err(what) => self.find(&key, what),
            }
        }
        let is_changing = NEXTS.iter().any(|next| dir.join(format!("{LOG_KEY_FILE}{next}")).exists());
        let rotated = self.owners.values().filter_map(|owner| of_this_log(owner.log_keys, &self.log_id).last());
        if let (Some(today), Some(last)) = (&self.today, rotated.max_by_key(|last| last.position))
            && !is_changing
            && last.new_key.parse::<VerifierKey>().is_ok_and(|named| named.public_key() != today.public_key())
        {
            let what = format!("it is not the key that the history names at position {}", last.position);
            self.find(&key, what);
        }
        let list = dir.join(COSIGNED).join(WITNESS_KEYS);
        match read_witness_keys(&list) {
            Ok(keys) => self.witnesses = keys,
            Err(error) => self.find(&list, format!("it is not the list of witnesses' keys that was written: {error}")),
        }
    }

    fn listed(&mut self, folder: &Path) -> Vec<u32> {
        tenants_with_heads(folder).unwrap_or_else(|error| {
            self.find(folder, format!("it can't be listed: {error}"));
            vec![]
        })
    }

    /// The newest head of each tenant, and which of them a witness has signed.
    fn heads(&mut self) -> (BTreeMap<u32, u64>, Vec<u32>) {
        let folder = self.dir.join(HEADS);
        let (mut newest, mut witnessed) = (BTreeMap::new(), vec![]);
        for tenant in self.listed(&folder) {
            let before = self.seen.cosignatures;
            let Some(head) = self.head(tenant, &folder.join(tenant.to_string())) else { continue };
            newest.insert(tenant, head.size);
            if self.seen.cosignatures > before {
                witnessed.push(tenant);
            }
        }
        let rounds = rounds_in(&folder).unwrap_or_default().into_iter().map(|(_, path)| path);
        for path in rounds {
            // what is no round is named with the heads that the log does not contain
            let notes = rounds::read(&path).ok().and_then(|bytes| parse_round(&bytes).ok()).unwrap_or_default();
            for (tenant, note) in notes {
                let Some(head) = self.note(tenant, &path, note) else { continue };
                let size = newest.entry(tenant).or_default();
                *size = head.size.max(*size);
            }
        }
        (newest, witnessed)
    }

    /// What says that a tenant had a head: the file, and how many records it covers.
    fn cosigned(&mut self, newest: &BTreeMap<u32, u64>) -> BTreeMap<u32, (PathBuf, u64)> {
        let folder = self.dir.join(COSIGNED);
        let mut told = BTreeMap::new();
        for tenant in self.listed(&folder) {
            let path = folder.join(tenant.to_string());
            let before = self.seen.cosignatures;
            let Some(head) = self.head(tenant, &path) else { continue };
            if self.witnesses.is_some() && self.seen.cosignatures == before {
                self.find_at(&path, tenant, head.size, "no witness that was asked has signed it");
            }
            if newest.get(&tenant).is_some_and(|newest| *newest < head.size) {
                let note = format!(
                    "{} is of {} records, and {HEADS}/{tenant} is older: after a cut that is normal, else it was put back",
                    path.display(),
                    head.size
                );
                self.seen.notes.push(note);
            }
            told.insert(tenant, (path, head.size));
        }
        told
    }

    fn timestamps(&mut self, told: &mut BTreeMap<u32, (PathBuf, u64)>) {
        let folder = self.dir.join(TIMESTAMPS);
        let tenants = tenants_in(&folder).unwrap_or_else(|error| {
            self.find(&folder, format!("it can't be listed: {error}"));
            vec![]
        });
        let mut waiting = 0_u64;
        for tenant in tenants {
            let folder = folder.join(tenant.to_string());
            let days = kept_in(&folder).unwrap_or_else(|error| {
                self.find(&folder, format!("it can't be listed: {error}"));
                BTreeMap::new()
            });
            let mut last_size = 0;
            for (date, kept) in days {
                let [note, response] = [CHECKPOINT, RESPONSE].map(|kind| folder.join(format!("{date}.{kind}")));
                if !kept.has_note {
                    let what = "it is missing, and the timestamp over it is there";
                    self.find_at(&note, tenant, 0, what);
                    continue;
                }
                let head = self.head(tenant, &note);
                if let Some(head) = &head {
                    if head.size <= last_size {
                        let what = format!("it is of {} records, and an earlier day's is of {last_size}", head.size);
                        self.find_at(&note, tenant, head.size, what);
                    }
                    last_size = head.size;
                    told.entry(tenant).or_insert_with(|| (note.clone(), head.size));
                }
                waiting += u64::from(!kept.has_response);
                self.timestamp(tenant, &note, &response, &kept, head.map_or(0, |head| head.size));
            }
        }
        if waiting > 0 {
            self.seen.notes.push(format!("{waiting} heads in {TIMESTAMPS} have no timestamp yet"));
        }
    }

    fn timestamp(&mut self, tenant: u32, note: &Path, response: &Path, kept: &Kept, size: u64) {
        if !kept.has_response {
            return;
        }
        let read = heads::read_bytes(note).and_then(|note| Ok((note, heads::read_bytes(response)?)));
        match read.map_err(|error| error.to_string()).and_then(|(note, response)| {
            check_kept(&response, &note, None)
                .map_err(|error| format!("it is no timestamp of the head beside it: {error}"))
        }) {
            Ok(_) => self.seen.timestamps += 1,
            Err(what) => self.find_at(response, tenant, size, what),
        }
    }

    /// Looks at one note. `None` where it is none.
    fn head(&mut self, tenant: u32, path: &Path) -> Option<Checkpoint> {
        // what is no note is named with the heads that the log does not contain
        let note = fs::read(path).ok().and_then(|bytes| Note::parse(&bytes).ok())?;
        self.note(tenant, path, note)
    }

    fn note(&mut self, tenant: u32, path: &Path, note: Note) -> Option<Checkpoint> {
        let head: Checkpoint = note.text.parse().ok()?;
        let owner = match self.owners.get(&tenant).copied() {
            Some(owner) => owner,
            None if self.is_beside_service => {
                self.ahead.insert(tenant);
                // of what came so late the key is today's
                Owner { tenant: TenantId(tenant), slug: "", log_keys: &[], events: 0 }
            }
            None => {
                self.find_at(path, tenant, head.size, "the history knows no such tenant");
                return Some(head);
            }
        };
        let mut parts = head.origin.rsplit('/');
        let (slug, log_id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if log_id != self.log_id || (slug != owner.slug && !owner.slug.is_empty()) {
            self.find_at(path, tenant, head.size, format!("it is a head of {}", head.origin));
            return Some(head);
        }
        let spans = match self.spans(&owner) {
            Ok(spans) => spans,
            Err(what) => {
                self.find_at(path, tenant, head.size, what);
                return Some(head);
            }
        };
        let in_force: Vec<&Span> = spans.iter().filter(|span| span.signs(head.size)).collect();
        let named: Vec<VerifierKey> = in_force.iter().filter_map(|span| span.key.named(&head.origin).ok()).collect();
        if named.is_empty() {
            self.unchecked += 1;
        } else if let Err(error) = note.open(&named) {
            let said: Vec<&str> = in_force.iter().map(|span| span.said.as_str()).collect();
            self.find_at(
                path,
                tenant,
                head.size,
                format!("its signature is not that of {}: {error}", said.join(" or of ")),
            );
        }
        self.cosignatures(tenant, path, &head, &note, &named);
        Some(head)
    }

    fn cosignatures(&mut self, tenant: u32, path: &Path, head: &Checkpoint, note: &Note, logs: &[VerifierKey]) {
        let others = note.signatures.iter().filter(|signature| {
            !logs.iter().any(|key| key.is_named_by(signature)) && (!logs.is_empty() || signature.name != head.origin)
        });
        for signature in others {
            let Some(witnesses) = &self.witnesses else {
                self.is_list_missed = true;
                return;
            };
            let known = witnesses.iter().find(|key| key.is_named_by(signature));
            let what = match known.map(|key| key.check(&note.text, signature)) {
                Some(Ok(_)) => {
                    self.seen.cosignatures += 1;
                    continue;
                }
                Some(Err(error)) => format!("the cosignature of {}: {error}", signature.name),
                None => format!("a signature of {} is of no key of {COSIGNED}/{WITNESS_KEYS}", signature.name),
            };
            self.find_at(path, tenant, head.size, what);
        }
    }

    /// The keys of a tenant, oldest first.
    fn spans(&self, owner: &Owner<'_>) -> Result<Vec<Span>, String> {
        let (mut spans, mut from_size) = (vec![], 0);
        let mut today = self.today.clone().map(|key| (key, LOG_KEY_FILE.to_owned()));
        for rotation in of_this_log(owner.log_keys, &self.log_id) {
            let parse = |key: &str| {
                let bad = |error| format!("the key that position {} names: {error}", rotation.position);
                key.parse::<VerifierKey>().map_err(bad)
            };
            let to_size = rotation.position + 1;
            if let Some(key) = &rotation.old_key {
                let said = format!("the key up to position {}", rotation.position);
                spans.push(Span { key: parse(key)?, from_size, to_size: Some(to_size), said });
            }
            from_size = to_size;
            today = Some((parse(&rotation.new_key)?, format!("the key of position {}", rotation.position)));
        }
        spans.extend(today.map(|(key, said)| Span { key, from_size, to_size: None, said }));
        Ok(spans)
    }

    /// Tenants without any head.
    fn missing(&mut self, newest: &BTreeMap<u32, u64>, told: &BTreeMap<u32, (PathBuf, u64)>) {
        let heads = self.dir.join(HEADS);
        let without: Vec<Owner<'_>> = self
            .owners
            .values()
            .filter(|owner| owner.events > 0 && !newest.contains_key(&owner.tenant.0))
            .filter(|owner| !heads.join(owner.tenant.0.to_string()).exists())
            .copied()
            .collect();
        let mut untold = vec![];
        for owner in without {
            let tenant = owner.tenant.0;
            let handover = of_this_log(owner.log_keys, &self.log_id)
                .map(|rotation| rotation.position + 1)
                .find(|size| has_handover(self.dir, owner.tenant, *size));
            let by = told.get(&tenant).map(|(path, size)| (path.display().to_string(), *size));
            let by =
                by.or_else(|| handover.map(|size| (format!("the change of the key at position {}", size - 1), size)));
            match by {
                Some((by, size)) => {
                    let what = format!("it is missing, and {by} tells of a head over {size} records");
                    self.find_at(&heads.join(tenant.to_string()), tenant, size, what);
                }
                None => untold.push(owner.slug),
            }
        }
        if let Some(first) = untold.first().filter(|_| self.today.is_some() || !newest.is_empty()) {
            let note = format!(
                "{HEADS} has no head of {} of the tenants, the first of them {first}: nothing in the folder shows whether their \
                 histories were shortened",
                untold.len()
            );
            self.seen.notes.push(note);
        }
    }

    fn end(mut self) -> Signed {
        if self.is_list_missed && self.seen.findings.iter().all(|finding| !finding.file.ends_with(WITNESS_KEYS)) {
            let list = self.dir.join(COSIGNED).join(WITNESS_KEYS);
            self.find(&list, "it is missing, and witnesses have signed heads: without their keys nobody can tell");
        }
        if !self.ahead.is_empty() {
            let note = format!("tenants with signed heads that are ahead of what was walked: {}", self.ahead.len());
            self.seen.notes.push(note);
        }
        if self.unchecked > 0 {
            let why = if self.today.is_none() { LOG_KEY_FILE } else { "the key that signed them" };
            let note =
                format!("{why} is not in the folder: the signatures of {} heads were not checked", self.unchecked);
            self.seen.notes.push(note);
        }
        self.seen
    }
}

impl Span {
    fn signs(&self, size: u64) -> bool {
        size >= self.from_size && self.to_size.is_none_or(|to| size <= to)
    }
}

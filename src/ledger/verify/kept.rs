//! Heads that were kept elsewhere, by an auditor or a witness: the log of the folder must contain them. What the folder
//! holds can all be older than it was, or written anew by who has its keys; a head that lies elsewhere tells. Not here:
//! the heads that lie in the folder (`log::walk`, `ledger::evidence`).

use super::{Damage, Verification};
use crate::domain::state::Tenant;
use crate::log::{LogOptions, Records};
use crate::merkle::{Checkpoint, CheckpointError, Hash, NOTE_BYTES_MAX, Note, NoteError, Peaks, empty_root};
use std::collections::BTreeMap;

/// A head that was kept. Its signature is not looked at: who kept it has done so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where it lies, as findings name it.
    name: String,
    head: Checkpoint,
}

impl Kept {
    /// The head in a signed note, as `GET /log/checkpoint` answers it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(name: &str, note: &[u8]) -> Result<Self, CheckpointError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong.into());
        }
        Ok(Self { name: name.to_owned(), head: Note::parse(note)?.text.parse()? })
    }

    fn damage(&self, what: String, tenant: Option<u32>, position: Option<u64>) -> Damage {
        Damage { file: self.name.clone(), what, tenant, position, ..Damage::default() }
    }
}

/// The roots that the records have at the sizes of the heads that were kept.
pub(super) struct KeptHeads<'k> {
    kept: &'k [Kept],
    peaks: BTreeMap<u32, Peaks>,
    roots: BTreeMap<(u32, u64), Hash>,
}

impl<'k> KeptHeads<'k> {
    pub(super) fn new(kept: &'k [Kept]) -> Self {
        Self { kept, peaks: BTreeMap::new(), roots: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, tenant: u32, records: Records<'_>) {
        if self.kept.is_empty() {
            return;
        }
        let peaks = self.peaks.entry(tenant).or_default();
        let mut records = records.peekable();
        while records.peek().is_some() {
            // up to the next size that somebody kept
            let sizes = self.kept.iter().map(|kept| kept.head.size);
            let next = sizes.filter(|size| *size > peaks.leaves()).min().unwrap_or(u64::MAX);
            let ahead = usize::try_from(next - peaks.leaves()).unwrap_or(usize::MAX);
            peaks.extend(records.by_ref().take(ahead), |_, _, _| {});
            if peaks.leaves() == next {
                self.roots.insert((tenant, next), peaks.root());
            }
        }
    }

    /// Compares. What could not be compared beside a service is no success: a folder that was put back looks the same. Where
    /// the walk was stopped by damage, which is a finding of its own, it is a note.
    pub(super) fn end(
        self,
        states: &BTreeMap<u32, Tenant>,
        is_walked: bool,
        is_beside_service: bool,
        found: &mut Verification,
    ) {
        for kept in self.kept {
            let Checkpoint { origin, size, root, .. } = &kept.head;
            let mut parts = origin.rsplit('/');
            let (slug, log_id) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let ours = found.log.log_id.map(hex::encode).unwrap_or_default();
            if log_id != ours {
                let what = format!("it was kept of the log {log_id}, and this is the log {ours}");
                found.findings.push(kept.damage(what, None, None));
                continue;
            }
            let tenant = states.iter().find(|(_, state)| state.slug == slug).map(|(tenant, _)| *tenant);
            let records = tenant.and_then(|tenant| self.peaks.get(&tenant)).map_or(0, Peaks::leaves);
            let there = tenant.and_then(|tenant| self.roots.get(&(tenant, *size)).copied());
            match there.or((*size == 0).then(empty_root)) {
                Some(there) if there == *root => found.kept_contained += 1,
                Some(_) => {
                    let what = format!(
                        "it was kept over {size} records, and those of the log have another root: one of them was changed"
                    );
                    found.findings.push(kept.damage(what, tenant, size.checked_sub(1)));
                }
                None if is_walked && is_beside_service => {
                    let what = format!(
                        "it was kept over {size} records, and the last checkpoint of the service that runs on this folder covers \
                         {records}: it could not be compared. A checkpoint comes every {} seconds while something is written, \
                         unless checkpoint_seconds says otherwise: verify again after that, or stop the service and verify. If \
                         it stays so, an older folder was put back",
                        LogOptions::new("").checkpoint_seconds
                    );
                    found.findings.push(kept.damage(what, tenant, None));
                }
                None if is_walked => {
                    let what = format!(
                        "it was kept over {size} records, and the log has {records}: its end is missing, as when an older \
                         folder is put back"
                    );
                    found.findings.push(kept.damage(what, tenant, Some(records)));
                }
                None => found.notes.push(format!("{} is ahead of what was walked: not compared", kept.name)),
            }
        }
    }
}

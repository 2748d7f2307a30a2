//! Erased names at a start: keys that a cut left behind are destroyed, and where the keys are newer than the log, as after a
//! restore with those of a later backup, the log hears whose names are gone. Not here: judging an erasure.

use super::origin::{Noted, Notes};
use super::start::StartError;
use crate::domain::event::Event;
use crate::domain::ids::{SubjectId, TenantId};
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::log::Log;
use crate::vault::Vault;

/// So many are told of in one group.
const ERASED_IN_A_GROUP_MAX: usize = 10_000;

/// What the history says of subjects: how many, from the first on, were given a name, and who of them was erased.
pub(super) fn subjects_in(tenants: &[Tenant]) -> (u64, Vec<SubjectId>) {
    let (mut used, mut erased) = (0, Vec::new());
    for (_, stored) in tenants.iter().flat_map(|tenant| tenant.names.holders()) {
        let subject = stored.personal.subject;
        used = used.max(subject.0 + 1);
        if stored.is_erased() {
            erased.push(subject);
        }
    }
    (used, erased)
}

/// Records of whom the keys are gone and the log does not know it yet.
pub(super) fn note_erased(
    vault: &Vault,
    log: &mut Log,
    tenants: &mut [Tenant],
    now: Time,
) -> Result<Vec<Noted>, StartError> {
    let mut all = Vec::new();
    if vault.erasures() == 0 {
        return Ok(all);
    }
    for (tenant, state) in (0..).map(TenantId).zip(tenants) {
        let events: Vec<Event> = state
            .names
            .holders()
            .filter(|(_, stored)| !stored.is_erased() && vault.is_erased(stored.personal.subject))
            .map(|(holder, stored)| Event::NamesErased { holder, subject: stored.personal.subject })
            .collect();
        for part in events.chunks(ERASED_IN_A_GROUP_MAX) {
            let mut notes = Notes::default();
            for event in part {
                notes.add(tenant, state, event.clone(), now).map_err(StartError::Erased)?;
            }
            all.extend(notes.append(log).map_err(StartError::Erased)?);
        }
    }
    Ok(all)
}

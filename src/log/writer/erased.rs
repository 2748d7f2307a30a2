//! Erased names at a start: keys that a cut left behind are destroyed, and where the keys are newer than the log, as after a
//! restore with those of a later backup, the log hears whose names are gone. Not here: judging an erasure.

use super::origin::Noted;
use super::start::StartError;
use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{SubjectId, TenantId};
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::log::{Group, Log, record};
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
            let (mut group, mut noted, mut bytes) = (Group::new(), vec![], vec![]);
            for event in part {
                let envelope = Envelope {
                    recorded_at: now.max(state.last_recorded_at),
                    occurred_at: None,
                    actor: Actor::Ledger,
                    door: Door::Cli,
                    command_id: None,
                    content_hash: 0,
                    reason: None,
                };
                bytes.clear();
                record::encode(&envelope, event, &mut bytes).map_err(|error| StartError::Erased(error.to_string()))?;
                group.push(tenant.0, &bytes);
                let recorded = Recorded { position: state.next_position, envelope, event: event.clone() };
                state.evolve(&recorded.event, &recorded.meta());
                noted.push((tenant, recorded));
            }
            let committed = log.append(&group).map_err(|error| StartError::Erased(error.to_string()))?;
            all.push((committed.group, noted));
        }
    }
    Ok(all)
}

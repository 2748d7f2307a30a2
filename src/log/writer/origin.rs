//! The first events of a log that goes on from a backup: each tenant hears that this is not the log it was in before.
//! Not here: the restore, which left a file that asks for them.

use super::start::StartError;
use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::TenantId;
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::log::{Group, Log, RestoredMark, record};
use std::path::Path;

/// The group that says so, with its records.
pub(super) type Noted = (u64, Vec<(TenantId, Recorded)>);

/// Records what a restore has left to be recorded, once: a tenant whose stream went on since has heard of it.
pub(super) fn note_restore(
    dir: &Path,
    log: &mut Log,
    tenants: &mut [Tenant],
    now: Time,
) -> Result<Option<Noted>, StartError> {
    let failed = |error: std::io::Error| StartError::Restored(error.to_string());
    let Some(mark) = RestoredMark::read(dir).map_err(failed)? else { return Ok(None) };
    let (mut group, mut noted, mut bytes) = (Group::new(), vec![], vec![]);
    for (tenant, state) in (0..).map(TenantId).zip(tenants) {
        if mark.heads.get(&tenant.0) != Some(&state.next_position) {
            continue;
        }
        let envelope = Envelope {
            recorded_at: now.max(state.last_recorded_at),
            occurred_at: None,
            actor: Actor::Ledger,
            door: Door::Cli,
            command_id: None,
            content_hash: 0,
            reason: None,
        };
        let (log_id_before, log_id) = (hex::encode(mark.log_id_before), hex::encode(mark.log_id));
        let event = Event::LogRestored { log_id_before, log_id };
        bytes.clear();
        record::encode(&envelope, &event, &mut bytes).map_err(|error| StartError::Restored(error.to_string()))?;
        group.push(tenant.0, &bytes);
        let recorded = Recorded { position: state.next_position, envelope, event };
        state.evolve(&recorded.event, &recorded.meta());
        noted.push((tenant, recorded));
    }
    let committed = if group.is_empty() {
        None
    } else {
        Some(log.append(&group).map_err(|error| StartError::Restored(error.to_string()))?.group)
    };
    RestoredMark::remove(dir).map_err(failed)?;
    Ok(committed.map(|group| (group, noted)))
}

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
    let mut notes = Notes::default();
    for (tenant, state) in (0..).map(TenantId).zip(tenants) {
        if mark.heads.get(&tenant.0) != Some(&state.next_position) {
            continue;
        }
        let (log_id_before, log_id) = (hex::encode(mark.log_id_before), hex::encode(mark.log_id));
        notes.add(tenant, state, Event::LogRestored { log_id_before, log_id }, now).map_err(StartError::Restored)?;
    }
    let noted = notes.append(log).map_err(StartError::Restored)?;
    RestoredMark::remove(dir).map_err(failed)?;
    Ok(noted)
}

/// What the ledger itself has to record at a start, before anybody asks anything of it.
#[derive(Default)]
pub(super) struct Notes {
    group: Group,
    noted: Vec<(TenantId, Recorded)>,
    bytes: Vec<u8>,
}

impl Notes {
    /// # Errors
    /// In words, when it does not fit into a record.
    pub(super) fn add(&mut self, tenant: TenantId, state: &mut Tenant, event: Event, now: Time) -> Result<(), String> {
        let envelope = Envelope {
            recorded_at: now.max(state.last_recorded_at),
            occurred_at: None,
            actor: Actor::Ledger,
            door: Door::Cli,
            command_id: None,
            content_hash: 0,
            reason: None,
        };
        self.bytes.clear();
        record::encode(&envelope, &event, &mut self.bytes).map_err(|error| error.to_string())?;
        self.group.push(tenant.0, &self.bytes);
        let recorded = Recorded { position: state.next_position, envelope, event };
        state.evolve(&recorded.event, &recorded.meta());
        self.noted.push((tenant, recorded));
        Ok(())
    }

    /// Durable when this returns; nothing where there is nothing to say.
    ///
    /// # Errors
    /// In words, when the log takes nothing.
    pub(super) fn append(self, log: &mut Log) -> Result<Option<Noted>, String> {
        if self.noted.is_empty() {
            return Ok(None);
        }
        let committed = log.append(&self.group).map_err(|error| error.to_string())?;
        Ok(Some((committed.group, self.noted)))
    }
}

//! The words in which a test says what a connector does: a sync that takes a while. Not here: whole inventories (`steps`).

use super::scenario::{Step, holder};
use super::steps::{Kind, command, observed, synced};
use crate::domain::command::{Command, Intake, Inventory, InventoryItem, Observation, SyncEnd, SyncPart};
use crate::domain::facts::SyncSeats;
use crate::domain::ids::{PoolId, SyncId};
use crate::domain::state::{SyncState, Tenant};

impl Step {
    /// What a connector tells of the sync that runs, if one does.
    pub(super) fn of_what_runs(mut self, tenant: &Tenant) -> Self {
        let running = tenant.syncs.iter().find(|sync| sync.state == SyncState::Running);
        if let Some(running) = running {
            match &mut self.intake {
                Intake::Observation(Observation::EndSync { sync, .. }) => *sync = running.id,
                Intake::Observation(Observation::Inventory(Inventory { part: Some(part), .. })) => {
                    part.sync = running.id
                }
                Intake::Command(_) | Intake::Observation(_) => {}
            }
        }
        self
    }
}

/// A connector begins a sync, as `begun(kind, is_full)`.
pub(super) fn begun(kind: Kind, is_full: bool) -> Step {
    begun_so(kind, is_full, false)
}

/// The same, or one that only looks.
pub(super) fn begun_so(kind: Kind, is_full: bool, is_dry_run: bool) -> Step {
    command(Command::StartSync { provider: kind.provider(), is_full, is_dry_run, is_connected: true })
}

/// It has read everything: these items, and of what it did not see the second time these pools and seats of `office`.
pub(super) fn read(kind: Kind, items: Vec<InventoryItem>, gone: &[PoolId], lost: &[&str]) -> Step {
    let Intake::Observation(Observation::Inventory(whole)) = synced(kind, items).intake else { unreachable!() };
    let lost = lost.iter().map(|name| (PoolId(0), holder(name))).collect();
    let part = Some(SyncPart { sync: SyncId(1), unsupported: vec![], gone: gone.to_vec(), lost });
    observed(Observation::Inventory(Inventory { part, ..whole }))
}

pub(super) fn ended_sync(end: SyncEnd) -> Step {
    observed(Observation::EndSync { sync: SyncId(1), end })
}

pub(super) fn ended_well() -> Step {
    ended_sync(SyncEnd::Completed { seats: SyncSeats { seen: 5, foreign: 1, lost: 2 } })
}

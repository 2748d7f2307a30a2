//! What a sync's change of a pool's details does to coverage: which devices are eligible, and who may hold. Not here: when the
//! sync carries it out (`inventory`).

use super::Judge;
use super::settle::{Ending, Reach};
use crate::domain::command::InventoryItem;
use crate::domain::event::Event;
use crate::domain::facts::ReleaseCause;
use crate::domain::ids::{Holder, PoolId, SyncId};
use std::collections::BTreeSet;

/// What a sync has changed of coverage so far.
#[derive(Default)]
pub(super) struct CoverageChanges {
    /// Whom it may have covered or uncovered, with what covered them before.
    pub(super) reaches: Vec<Reach>,
    /// Their seats that end with it, once the brake has judged them.
    uncovered: Vec<Ending>,
}

impl Judge<'_> {
    pub(super) fn change_details(&mut self, pool: PoolId, item: &InventoryItem, changes: &mut CoverageChanges) {
        let (details, price) = (item.details.clone(), item.price.clone());
        let covers_alike = self.tenant.pool(pool).details.covers_as(&details);
        let reaches = if covers_alike { Vec::new() } else { self.pool_reaches(pool) };
        self.emit(Event::PoolDetailsChanged { pool, details, price });
        changes.uncovered.extend(self.coverage_endings(&reaches, ReleaseCause::Ineligible));
        changes.reaches.extend(reaches);
    }

    /// Everyone whom the assignments of a pool could cover, whatever its details say: their members, and the people of devices
    /// among them.
    fn pool_reaches(&self, pool: PoolId) -> Vec<Reach> {
        let entry = self.tenant.pool(pool);
        let mut pairs: Vec<(PoolId, Holder)> = Vec::new();
        for assignment in entry.assignments.iter().map(|id| self.tenant.assignment(*id)) {
            for member in self.members(assignment) {
                pairs.push((pool, member));
                if let Holder::Device(device) = member {
                    pairs.extend(self.people_on(pool, device).map(|user| (pool, Holder::User(user))));
                }
            }
        }
        self.reaches(pairs)
    }

    /// What the sync ends beside `lost`, each seat once: what it has uncovered, and what an older one did and the brake holds.
    /// A complete sync makes that hold moot, and no difference will tell of those seats again.
    pub(super) fn add_uncovered(&self, lost: &mut Vec<Ending>, sync: SyncId, changes: &CoverageChanges) {
        let mut known: BTreeSet<_> = lost.iter().map(|ending| (ending.pool, ending.holder)).collect();
        let held_before = self.uncovered_and_held(sync);
        let uncovered = changes.uncovered.iter().copied().chain(held_before);
        lost.extend(uncovered.filter(|ending| known.insert((ending.pool, ending.holder))));
    }

    fn uncovered_and_held(&self, sync: SyncId) -> Vec<Ending> {
        let of_sync = |id: SyncId| self.tenant.syncs.get(id.index());
        let Some(provider) = of_sync(sync).filter(|sync| sync.is_full).map(|sync| sync.provider) else {
            return Vec::new();
        };
        let is_of_provider = |id: SyncId| of_sync(id).is_some_and(|sync| sync.provider == provider);
        let held = self.tenant.held.values().filter(|held| held.sync.is_some_and(is_of_provider));
        let endings = held.flat_map(|held| self.tenant.seats_held_by(held));
        let uncovered = endings.filter(|(_, _, cause)| *cause == ReleaseCause::Ineligible);
        uncovered.map(|(pool, holder, cause)| Ending { pool, holder, cause }).collect()
    }
}

//! A provider's inventory: what is listed, how much is owned, what is gone.

use super::details::CoverageChanges;
use super::settle::{Brake, Ending};
use super::{Judge, LIST_ENTRIES_MAX, Ruling, Verdict};
use crate::domain::command::{Envelope, Inventory, InventoryItem};
use crate::domain::event::Event;
use crate::domain::facts::{
    CapacityCause, DequeueCause, DistributionPolicy, DriftKind, DriftResolution, GrantCause, Intent, ItemSkipReason,
    Owned, PoolState, SyncCounts,
};
use crate::domain::ids::{DriftId, HeldId, Holder, PoolId, SyncId};
use crate::domain::key::{PoolKey, Provider};
use crate::domain::rejection::Rejection;
use crate::domain::state::Pool;
use std::collections::BTreeSet;

/// What a pass has found so far.
#[derive(Default)]
struct Tally {
    listed: u32,
    changed: u32,
    delisted: u32,
    skipped: u32,
    unchanged: u32,
    coverage: CoverageChanges,
    /// Pools that were known and are listed still.
    seen: Vec<PoolId>,
}

/// Bytes of package descriptions in one event.
const PACKAGE_BYTES_MAX: usize = 4096;

impl Judge<'_> {
    pub(super) fn inventory(&mut self, inventory: &Inventory) -> Ruling {
        let mut keys = BTreeSet::new();
        for (place, item) in (0_u32..).zip(&inventory.items) {
            if !keys.insert(&item.key) {
                return Err(Rejection::InventoryRepeatsKey { place });
            }
        }
        match &inventory.part {
            // what goes on was let begin
            Some(part) => self.guard_awaits_items(part.sync)?,
            None => self.guard_syncing(inventory.provider)?,
        }
        let part = inventory.part.as_ref().and_then(|part| self.tenant.syncs.get(part.sync.index()));
        if part.map_or(inventory.is_dry_run, |sync| sync.is_dry_run) {
            self.dry_run(inventory);
        } else {
            self.sync(inventory, &keys);
        }
        Ok(Verdict::Done)
    }

    /// What a pass would do, counted on a copy. What it would leave out is named to who declared it; a connector looks so by
    /// itself again and again.
    fn dry_run(&mut self, inventory: &Inventory) {
        let mut copy = self.tenant.clone();
        if let Some(sync) = inventory.part.as_ref().and_then(|part| copy.syncs.get_mut(part.sync.index())) {
            sync.is_dry_run = false;
        }
        let real = Inventory { is_dry_run: false, ..inventory.clone() };
        let envelope = Envelope {
            recorded_at: self.now,
            occurred_at: None,
            actor: self.actor,
            door: crate::domain::command::Door::Sync,
            command_id: None,
            content_hash: 0,
            reason: None,
        };
        let intake = crate::domain::command::Intake::Observation(crate::domain::command::Observation::Inventory(real));
        let judged = super::decide(&mut copy, &intake, &envelope, None);
        if inventory.part.is_none() {
            self.start(inventory);
        }
        let is_told = |event: &Event| {
            matches!(event, Event::SyncCompleted { .. } | Event::SyncItemsTaken { .. })
                || inventory.part.is_none() && matches!(event, Event::ItemSkipped { .. })
        };
        for event in judged.events.into_iter().filter(is_told) {
            self.emit(event);
        }
    }

    fn start(&mut self, inventory: &Inventory) -> SyncId {
        let sync = SyncId::at(self.tenant.syncs.len());
        self.emit(Event::SyncStarted {
            sync,
            provider: inventory.provider,
            is_full: inventory.is_complete,
            is_dry_run: inventory.is_dry_run,
            language: inventory.language.clone(),
        });
        sync
    }

    fn sync(&mut self, inventory: &Inventory, keys: &BTreeSet<&PoolKey>) {
        let held_before: u64 = self.tenant.pools_of(inventory.provider).map(|pool| pool.held()).sum();
        let sync = match &inventory.part {
            Some(part) => part.sync,
            None => self.start(inventory),
        };
        let mut tally = Tally::default();
        for item in &inventory.items {
            if item.is_encrypted {
                tally.skipped += 1;
                self.emit(Event::ItemSkipped { sync, key: item.key.clone(), reason: ItemSkipReason::EncryptedPackage });
            } else {
                self.take_item(item, inventory, &mut tally);
            }
        }
        for key in inventory.part.iter().flat_map(|part| &part.unsupported) {
            tally.skipped += 1;
            self.emit(Event::ItemSkipped { sync, key: key.clone(), reason: ItemSkipReason::UnsupportedType });
        }
        let gone: Vec<PoolId> = match &inventory.part {
            Some(part) => {
                let known: BTreeSet<_> =
                    part.gone.iter().filter(|pool| pool.index() < self.tenant.pools.len()).collect();
                known.into_iter().copied().collect()
            }
            None if inventory.is_complete => {
                let gone = |pool: &&Pool| !keys.contains(&pool.key);
                self.tenant.pools_of(inventory.provider).filter(gone).map(|pool| pool.id).collect()
            }
            None => Vec::new(),
        };
        self.settle_refunds(&gone);
        let missing: BTreeSet<PoolId> =
            gone.into_iter().filter(|pool| self.tenant.pool(*pool).state != PoolState::Removed).collect();
        let started = self.tenant.syncs.get(sync.index()).map_or(0, |sync| sync.started_position);
        let mut lost = inventory.part.as_ref().map_or(Vec::new(), |part| self.lost_endings(&part.lost, started));
        self.add_uncovered(&mut lost, sync, &tally.coverage);
        self.conclude(sync, inventory.provider, &missing, &lost, held_before, &mut tally);
        let Tally { listed, changed, delisted, skipped, unchanged, coverage, seen } = tally;
        self.settle_beginnings(&coverage.reaches, GrantCause::Coverage);
        let counts = SyncCounts { listed, changed, delisted, skipped, unchanged, pages: inventory.pages };
        if inventory.part.is_some() {
            self.emit(Event::SyncItemsTaken { sync, counts });
        } else {
            let named = if inventory.is_complete { &[] } else { seen.as_slice() };
            for part in named.chunks(LIST_ENTRIES_MAX) {
                self.emit(Event::PoolsSeen { sync, pools: part.to_vec() });
            }
            self.complete(sync, counts, inventory.is_complete);
        }
    }

    pub(super) fn complete(&mut self, sync: SyncId, counts: SyncCounts, is_full: bool) {
        let provider = self.tenant.syncs.get(sync.index()).map(|sync| sync.provider);
        if let Some(provider) = provider.filter(|_| is_full) {
            self.compare_used(provider);
        }
        let SyncCounts { listed, changed, delisted, skipped, unchanged, pages } = counts;
        self.emit(Event::SyncCompleted { sync, listed, changed, delisted, skipped, unchanged, pages });
    }

    /// Removals and automatic reclaims, unless together they trip the brake.
    fn conclude(
        &mut self,
        sync: SyncId,
        provider: Provider,
        missing: &BTreeSet<PoolId>,
        lost: &[Ending],
        held_before: u64,
        tally: &mut Tally,
    ) {
        let listed: Vec<PoolId> =
            self.tenant.pools_of(provider).map(|pool| pool.id).filter(|id| !missing.contains(id)).collect();
        // what is lost makes room
        let reclaims = self.automatic_reclaims(listed, Some(sync), lost);
        let stranded: u64 = missing.iter().map(|pool| self.tenant.pool(*pool).held()).sum();
        // seats of a pool that is missing go with it
        let beside = lost.iter().filter(|ending| !missing.contains(&ending.pool)).count() + reclaims.len();
        let ending = stranded + beside as u64;
        if (stranded > 0 || !lost.is_empty()) && self.crosses(ending, held_before) {
            let held = HeldId(self.tenant.held_next);
            for pool in missing {
                self.emit(Event::RemovalHeld { held, sync, pool: *pool });
            }
            self.hold_as(held, Some(sync), lost.iter().chain(&reclaims));
            return;
        }
        self.end_seats(lost, Brake::Off);
        for pool in missing {
            tally.delisted += 1;
            self.delist(*pool, CapacityCause::Delisted);
        }
        self.end_seats(&reclaims, Brake::Automatic { sync: Some(sync), seats_held: held_before });
    }

    /// What two complete syncs in a row show to be used otherwise than here is a drift, until one agrees again.
    fn compare_used(&mut self, provider: Provider) {
        let known = |pool: &Pool| (pool.id, pool.differs_on_used(), pool.used_differs, pool.used_drift);
        // of a suspended pool nothing was read
        let read = self.tenant.pools_of(provider).filter(|pool| pool.state == PoolState::Active);
        let pools: Vec<_> = read.map(known).collect();
        for (pool, differs, times_before, drift) in pools {
            match drift {
                None if differs && times_before > 0 => {
                    let entry = self.tenant.pool(pool);
                    let (before, after) = (entry.held(), entry.store_used.unwrap_or(0));
                    let (before, after) = (Owned::Count(before), Owned::Count(after));
                    let drift = DriftId::at(self.tenant.drifts.len());
                    self.emit(Event::DriftFound { drift, pool, kind: DriftKind::StoreUsed, before, after });
                }
                Some(drift) if !differs => {
                    self.emit(Event::DriftResolved { drift, resolution: DriftResolution::Agreed });
                }
                None | Some(_) => {}
            }
        }
    }

    /// An app leaves the inventory: nobody waits for it any more; its seats stay counted until their holders lose them.
    pub(super) fn delist(&mut self, pool: PoolId, cause: CapacityCause) {
        let waiting: Vec<Holder> = self.tenant.pool(pool).queued.keys().copied().collect();
        for holder in waiting {
            self.emit(Event::Dequeued { pool, holder, cause: DequeueCause::Removed });
        }
        self.emit(Event::PoolDelisted { pool, cause });
    }

    fn take_item(&mut self, item: &InventoryItem, inventory: &Inventory, tally: &mut Tally) {
        let (language, is_complete) = (inventory.language.as_str(), inventory.is_complete);
        let ended = item.ends_on.is_some_and(|day| day.end() <= self.now);
        let owned = if ended { Owned::Count(0) } else { item.owned };
        let before = self.facts.len();
        let Some(pool) = self.tenant.pool_keys.get(&item.key) else {
            self.list(item, language, owned, tally);
            tally.listed += 1;
            return;
        };
        let is_back = self.tenant.pool(pool).state == PoolState::Removed;
        if is_back && self.lags_behind_refund(pool, owned, is_complete) {
            tally.unchanged += 1;
            return;
        }
        tally.seen.push(pool);
        if is_back {
            self.emit(Event::PoolRelisted { pool });
        }
        self.take_details(pool, item, language, tally);
        self.take_capacity(pool, owned, ended, is_complete);
        self.take_distribution(pool, item.distribution_policy);
        if let Some(used) = item.store_used.filter(|used| self.tenant.pool(pool).store_used != Some(*used)) {
            self.emit(Event::StoreUsedStated { pool, used });
        }
        if is_back {
            self.provide_again(pool);
        }
        self.serve_queue(pool);
        if self.facts.len() > before {
            tally.changed += 1;
        } else {
            tally.unchanged += 1;
        }
    }

    /// An app is back: whoever must have it is granted or queued, as one who joins.
    fn provide_again(&mut self, pool: PoolId) {
        let required: Vec<_> = self.tenant.assignments_with(pool, Intent::Required).cloned().collect();
        for assignment in required {
            for holder in self.candidates(&assignment).holders {
                if self.tenant.coverage(pool, holder).is_required {
                    self.provide(pool, holder, GrantCause::Coverage);
                }
            }
        }
    }

    fn list(&mut self, item: &InventoryItem, language: &str, owned: Owned, tally: &mut Tally) {
        let pool = PoolId::at(self.tenant.pools.len());
        self.emit(Event::PoolListed {
            pool,
            key: Box::new(item.key.clone()),
            details: item.details.clone(),
            owned,
            distribution_policy: item.distribution_policy,
            price: item.price.clone(),
        });
        self.take_details(pool, item, language, tally);
        if let Some(used) = item.store_used {
            self.emit(Event::StoreUsedStated { pool, used });
        }
    }

    fn take_details(&mut self, pool: PoolId, item: &InventoryItem, language: &str, tally: &mut Tally) {
        let entry = self.tenant.pool(pool);
        let name_differs =
            entry.names.get(language).is_none_or(|known| known.name != item.name || known.publisher != item.publisher);
        let details_differ = entry.details != item.details || entry.price != item.price;
        let packages_differ = entry.packages != item.packages;
        let visibility_differs = entry.is_private_store_visible != item.is_private_store_visible;
        let end_differs = entry.ends_on != item.ends_on;
        if details_differ {
            self.change_details(pool, item, &mut tally.coverage);
        }
        if name_differs {
            let (name, publisher) = (item.name.clone(), item.publisher.clone());
            self.emit(Event::PoolNamed { pool, language: language.to_owned(), name, publisher });
        }
        if packages_differ {
            self.take_packages(pool, &item.packages);
        }
        if visibility_differs {
            self.emit(Event::PrivateStoreVisibilityChanged { pool, is_visible: item.is_private_store_visible });
        }
        if end_differs {
            self.emit(Event::EntitlementDated { pool, ends_on: item.ends_on });
        }
    }

    fn take_packages(&mut self, pool: PoolId, packages: &[String]) {
        let mut part = Vec::new();
        let (mut bytes, mut is_first) = (0, true);
        for package in packages {
            if bytes + package.len() > PACKAGE_BYTES_MAX && !part.is_empty() {
                self.emit(Event::PackagesListed { pool, is_first, packages: std::mem::take(&mut part) });
                (bytes, is_first) = (0, false);
            }
            bytes += package.len();
            part.push(package.clone());
        }
        if !part.is_empty() || is_first {
            self.emit(Event::PackagesListed { pool, is_first, packages: part });
        }
    }

    /// A store that does not show a pool at all has no refund of it left to show: what it lists later is a purchase.
    fn settle_refunds(&mut self, gone: &[PoolId]) {
        for pool in gone.iter().copied() {
            if self.tenant.pool(pool).refund_lag.is_some() {
                self.emit(Event::RefundSettled { pool });
            }
        }
    }

    /// A store that may not show a refund yet is not believed in a rise until two complete syncs in a row state the same.
    fn lags_behind_refund(&mut self, pool: PoolId, stated: Owned, is_complete: bool) -> bool {
        let entry = self.tenant.pool(pool);
        if !entry.may_lag_behind_refund(stated) {
            return false;
        }
        if is_complete && entry.refund_lag.is_some_and(|lag| lag.seen == Some(stated)) {
            return false;
        }
        if is_complete {
            self.emit(Event::RefundLagSeen { pool, stated });
        }
        true
    }

    fn take_capacity(&mut self, pool: PoolId, owned: Owned, has_ended: bool, is_complete: bool) {
        let entry = self.tenant.pool(pool);
        let (before, lag) = (entry.owned, entry.refund_lag);
        if owned == before {
            if lag.is_some() {
                self.emit(Event::RefundSettled { pool });
            }
            return;
        }
        if self.lags_behind_refund(pool, owned, is_complete) {
            return;
        }
        let denies_refund = lag.is_some_and(|lag| lag.is_denied_by(before, owned));
        let falls = match (before, owned) {
            (Owned::Count(before), Owned::Count(now)) => now < before,
            (Owned::Unlimited, Owned::Count(_)) => true,
            (Owned::Count(_) | Owned::Unlimited, Owned::Unlimited) => false,
        };
        let cause = match (has_ended, denies_refund, falls) {
            (true, _, _) => CapacityCause::Expired,
            (false, true, _) | (false, false, true) => CapacityCause::Unexplained,
            (false, false, false) => CapacityCause::Purchase,
        };
        self.emit(Event::CapacityChanged { pool, owned, cause });
        if cause == CapacityCause::Unexplained {
            let drift = DriftId::at(self.tenant.drifts.len());
            let kind = if denies_refund { DriftKind::RefundNotSeen } else { DriftKind::OwnedFell };
            self.emit(Event::DriftFound { drift, pool, kind, before, after: owned });
        }
    }

    fn take_distribution(&mut self, pool: PoolId, distribution_policy: DistributionPolicy) {
        if self.tenant.pool(pool).distribution_policy != distribution_policy {
            self.emit(Event::DistributionPolicyChanged { pool, distribution_policy });
        }
    }
}

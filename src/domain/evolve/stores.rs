//! Store accounts, syncs, pools and their figures, drift, refunds.

use super::later;
use crate::domain::event::Event;
use crate::domain::facts::{
    AppPrice, CapacityCause, DistributionPolicy, DriftKind, EndsOn, Owned, PoolDetails, PoolState, SyncCounts,
};
use crate::domain::ids::{PoolId, SyncId};
use crate::domain::key::PoolKey;
use crate::domain::state::{
    Chunked, ChunkedSet, Drift, Meta, Pool, PoolName, RefundLag, StoreAccount, Sync, SyncState, Tenant,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Tenant {
    #[expect(clippy::too_many_lines, reason = "one arm a fact, each a few lines")]
    #[expect(clippy::wildcard_enum_match_arm, reason = "`evolve` names every event and sends only these here")]
    pub(super) fn evolve_store(&mut self, event: &Event, meta: &Meta) {
        match event {
            Event::StoreAccountLinked { provider, account_id, settings } => {
                let account = StoreAccount {
                    account_id: account_id.clone(),
                    settings: settings.clone(),
                    units: BTreeSet::new(),
                    since: meta.recorded_at,
                    etag: meta.position,
                };
                assert!(self.accounts.insert(*provider, account).is_none(), "a linked account is never swapped");
            }
            Event::StoreAccountChanged { provider, settings } => {
                let account = self.accounts.get_mut(provider).expect("an account is changed after it was linked");
                account.settings.clone_from(settings);
                account.etag = meta.position;
            }
            Event::StoreUnitLinked { provider, unit } => {
                let account = self.accounts.get_mut(provider).expect("a unit is linked after its account");
                assert!(account.units.insert(unit.clone()), "the unit {unit} is linked once");
            }
            Event::SyncStarted { sync, provider, is_full, is_dry_run, language } => {
                assert_eq!(sync.index(), self.syncs.len(), "{sync} is out of order");
                self.syncs.push(Sync {
                    id: *sync,
                    provider: *provider,
                    is_full: *is_full,
                    is_dry_run: *is_dry_run,
                    language: language.clone(),
                    state: SyncState::Running,
                    started_at: meta.recorded_at,
                    started_position: meta.position,
                    ended_at: None,
                    ended_position: None,
                    counts: SyncCounts::default(),
                    items_position: None,
                    seats_position: None,
                    seats: None,
                    failure: None,
                });
            }
            Event::SyncCompleted { sync, listed, changed, delisted, skipped, unchanged, pages } => {
                let entry = self.syncs.get_mut(sync.index()).expect("a sync ends after it was started");
                entry.state = SyncState::Completed;
                entry.ended_at = Some(meta.recorded_at);
                entry.ended_position = Some(meta.position);
                entry.counts = SyncCounts {
                    listed: *listed,
                    changed: *changed,
                    delisted: *delisted,
                    skipped: *skipped,
                    unchanged: *unchanged,
                    pages: *pages,
                };
                if !entry.is_dry_run {
                    self.synced(*sync, meta);
                }
            }
            Event::SyncFailed { sync, reason } => {
                let entry = self.syncs.get_mut(sync.index()).expect("a sync ends after it was started");
                entry.state = SyncState::Failed;
                entry.ended_at = Some(meta.recorded_at);
                entry.ended_position = Some(meta.position);
                entry.failure = Some(reason.clone());
            }
            Event::SyncItemsTaken { sync, counts } => {
                let entry = self.syncs.get_mut(sync.index()).expect("a sync goes on after it was started");
                entry.counts = *counts;
                entry.items_position = Some(meta.position);
            }
            Event::PoolsSeen { sync: _, pools } => {
                for pool in pools {
                    self.pool_mut(*pool).store_seen_at = Some(meta.recorded_at);
                }
            }
            Event::SyncSeatsCompared { sync, seats } => {
                let entry = self.syncs.get_mut(sync.index()).expect("a sync goes on after it was started");
                entry.seats = Some(*seats);
                entry.seats_position = Some(meta.position);
            }
            Event::ItemSkipped { .. } | Event::OfflineLicenseIssued { .. } => {}
            Event::PoolListed { pool, key, details, owned, distribution_policy, price } => {
                self.listed(*pool, key, details, *owned, *distribution_policy, price.as_ref(), meta);
            }
            Event::PoolDetailsChanged { pool, details, price } => {
                let entry = self.touch(*pool, meta);
                entry.details = details.clone();
                entry.price.clone_from(price);
            }
            Event::PoolNamed { pool, language, name, publisher } => {
                let named = PoolName { name: name.clone(), publisher: publisher.clone() };
                self.touch(*pool, meta).names.insert(language.clone(), named);
            }
            Event::PackagesListed { pool, is_first, packages } => {
                let entry = self.touch(*pool, meta);
                if *is_first {
                    entry.packages.clear();
                }
                entry.packages.extend(packages.iter().cloned());
            }
            Event::PrivateStoreVisibilityChanged { pool, is_visible } => {
                self.touch(*pool, meta).is_private_store_visible = *is_visible;
            }
            Event::EntitlementDated { pool, ends_on } => self.dated(*pool, *ends_on, meta),
            Event::CapacityChanged { pool, owned, cause } => self.capacity_changed(*pool, *owned, *cause, meta),
            Event::RefundLagSeen { pool, stated } => {
                let entry = self.pool_mut(*pool);
                if let Some(lag) = &mut entry.refund_lag {
                    lag.seen = Some(*stated);
                }
            }
            Event::RefundSettled { pool } => self.pool_mut(*pool).refund_lag = None,
            Event::DistributionPolicyChanged { pool, distribution_policy } => {
                self.touch(*pool, meta).distribution_policy = *distribution_policy;
                self.note_free(*pool, meta.position);
            }
            Event::PoolDelisted { pool, cause: _ } => {
                let entry = self.touch(*pool, meta);
                entry.state = PoolState::Removed;
                entry.owned = Owned::Count(0);
                let ends_on = entry.ends_on.take();
                if let Some(day) = ends_on {
                    self.entitlement_ends.remove(&(day.end(), *pool));
                }
            }
            Event::PoolRelisted { pool } | Event::PoolResumed { pool } => {
                self.touch(*pool, meta).state = PoolState::Active
            }
            Event::PoolSuspended { pool } => self.touch(*pool, meta).state = PoolState::Suspended,
            Event::ServingPaused { pool } => self.touch(*pool, meta).is_serving_paused = true,
            Event::ServingResumed { pool } => self.touch(*pool, meta).is_serving_paused = false,
            Event::StoreUsedStated { pool, used } => {
                let entry = self.pool_mut(*pool);
                entry.store_used = Some(*used);
                entry.store_seen_at = Some(meta.recorded_at);
            }
            Event::PoolPolicyChanged { pool, policy } => {
                let entry = self.touch(*pool, meta);
                if entry.policy.reservation_timeout_days != policy.reservation_timeout_days {
                    entry.policy_since = later(entry.policy_since, meta.recorded_at);
                }
                entry.policy = *policy;
                entry.next_timeout = None;
            }
            Event::DriftFound { drift, pool, kind, before, after } => {
                assert_eq!(drift.index(), self.drifts.len(), "{drift} is out of order");
                if *kind == DriftKind::StoreUsed {
                    self.pool_mut(*pool).used_drift = Some(*drift);
                }
                self.drifts.push(Drift {
                    id: *drift,
                    pool: *pool,
                    kind: *kind,
                    before: *before,
                    after: *after,
                    found_at: meta.recorded_at,
                    found_position: meta.position,
                    resolution: None,
                    resolved_at: None,
                });
            }
            Event::DriftResolved { drift, resolution } => {
                let entry = self.drifts.get_mut(drift.index()).expect("a drift is resolved after it was found");
                entry.resolution = Some(*resolution);
                entry.resolved_at = Some(meta.recorded_at);
                let (pool, kind) = (entry.pool, entry.kind);
                if kind == DriftKind::StoreUsed {
                    self.pool_mut(pool).used_drift = None;
                }
            }
            Event::RefundRecorded { pool, order, quantity: _, ordered_on: _, amount: _, explains: _ } => {
                let entry = self.pool_mut(*pool);
                entry.etag = meta.position;
                assert!(self.orders_refunded.insert(order.clone()), "order {order} was refunded twice");
            }
            other => unreachable!("not about a store: {other:?}"),
        }
    }

    /// A complete pass is what two of them can agree on, and what makes an older held one moot. Pools that are suspended were
    /// left out of it.
    fn synced(&mut self, sync: SyncId, meta: &Meta) {
        let entry = self.syncs.get(sync.index()).expect("a sync ends after it was started");
        let (provider, is_full, is_of_all) = (entry.provider, entry.is_full, entry.is_of_all());
        for pool in &mut self.pools {
            if is_of_all && pool.key.provider() == provider && pool.state == PoolState::Active {
                let pool = Arc::make_mut(pool);
                pool.store_seen_at = Some(meta.recorded_at);
                if is_full {
                    pool.used_differs = if pool.differs_on_used() { pool.used_differs + 1 } else { 0 };
                }
            }
        }
        if is_full {
            let syncs = &self.syncs;
            let is_of_provider = |older: SyncId| syncs.get(older.index()).is_some_and(|sync| sync.provider == provider);
            self.held.retain(|_, held| !held.sync.is_some_and(|older| older != sync && is_of_provider(older)));
        }
    }

    fn touch(&mut self, pool: PoolId, meta: &Meta) -> &mut Pool {
        let entry = self.pool_mut(pool);
        entry.etag = meta.position;
        entry
    }

    fn dated(&mut self, pool: PoolId, ends_on: EndsOn, meta: &Meta) {
        let before = std::mem::replace(&mut self.touch(pool, meta).ends_on, ends_on);
        if let Some(day) = before {
            self.entitlement_ends.remove(&(day.end(), pool));
        }
        if let Some(day) = ends_on {
            self.entitlement_ends.insert((day.end(), pool));
        }
    }

    fn capacity_changed(&mut self, pool: PoolId, owned: Owned, cause: CapacityCause, meta: &Meta) {
        let entry = self.touch(pool, meta);
        let before = std::mem::replace(&mut entry.owned, owned);
        entry.refund_lag = match cause {
            CapacityCause::Refund => {
                Some(RefundLag { before: entry.refund_lag.map_or(before, |lag| lag.before), seen: None })
            }
            CapacityCause::Purchase
            | CapacityCause::Transfer
            | CapacityCause::Expired
            | CapacityCause::Unexplained
            | CapacityCause::Delisted => None,
        };
        if cause == CapacityCause::Expired {
            let ends_on = entry.ends_on;
            if let Some(day) = ends_on {
                self.entitlement_ends.remove(&(day.end(), pool));
            }
        }
        self.note_free(pool, meta.position);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    fn listed(
        &mut self,
        pool: PoolId,
        key: &PoolKey,
        details: &PoolDetails,
        owned: Owned,
        distribution_policy: DistributionPolicy,
        price: Option<&AppPrice>,
        meta: &Meta,
    ) {
        assert_eq!(pool.index(), self.pools.len(), "{pool} is out of order");
        assert!(self.pool_keys.insert(key.clone(), pool).is_none(), "{key} is listed twice");
        self.pools.push(Arc::new(Pool {
            id: pool,
            key: key.clone(),
            details: details.clone(),
            price: price.cloned(),
            names: BTreeMap::new(),
            packages: Vec::new(),
            is_private_store_visible: true,
            owned,
            distribution_policy,
            ends_on: None,
            state: PoolState::Active,
            policy: Pool::default_policy(details),
            policy_since: meta.recorded_at,
            etag: meta.position,
            seats: Chunked::default(),
            reserved: 0,
            in_use: 0,
            releasing: 0,
            foreign: 0,
            queue: Chunked::default(),
            queued: Chunked::default(),
            places_kept: Chunked::default(),
            regrants: BTreeMap::new(),
            is_serving_paused: false,
            installs: Chunked::default(),
            installs_by_user: ChunkedSet::default(),
            unlicensed: 0,
            assignments: ChunkedSet::default(),
            refused: 0,
            changed: 0,
            last_free_position: 0,
            store_used: None,
            store_seen_at: Some(meta.recorded_at),
            refund_lag: None,
            used_differs: 0,
            used_drift: None,
            next_timeout: None,
        }));
        self.note_free(pool, meta.position);
    }
}

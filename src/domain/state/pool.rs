//! One counted stock of seats: what is owned, who holds, who waits, what is installed.

use super::chunked::{Chunked, ChunkedSet};
use super::seat::{Seat, SeatState};
use crate::domain::facts::{
    AppPrice, DeficitPolicy, DistributionPolicy, EndsOn, HeldBy, KeepOrRelease, Owned, Policy, PoolDetails, PoolState,
};
use crate::domain::ids::{AssignmentId, DeviceId, DriftId, Holder, PoolId, UserId};
use crate::domain::key::PoolKey;
use crate::domain::rejection::Figures;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A place in a queue: the position of the event that queued the holder.
pub type QueuePlace = u64;

/// An app present on a device, for one user or (`None`) for all of its users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstallKey {
    pub device: DeviceId,
    pub user: Option<UserId>,
}

/// What is known of an install.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    pub since: Time,
    pub since_position: u64,
    /// Whose seat it uses; `None` is an unlicensed install.
    pub seat: Option<Holder>,
}

/// What a pool is called in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolName {
    pub name: String,
    pub publisher: Option<String>,
}

/// One counted stock of seats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pool {
    pub id: PoolId,
    pub key: PoolKey,
    pub details: PoolDetails,
    pub price: Option<AppPrice>,
    pub names: BTreeMap<String, PoolName>,
    pub packages: Vec<String>,
    pub is_private_store_visible: bool,
    /// As the provider states it; zero once the entitlement has ended or the pool is removed.
    pub owned: Owned,
    pub distribution_policy: DistributionPolicy,
    pub ends_on: EndsOn,
    pub state: PoolState,
    pub policy: Policy,
    /// When the present timeout was set: reservations count from there at the earliest.
    pub policy_since: Time,
    pub etag: u64,
    pub seats: Chunked<Holder, Seat>,
    pub reserved: u64,
    pub in_use: u64,
    pub releasing: u64,
    pub foreign: u64,
    pub queue: Chunked<QueuePlace, Holder>,
    pub queued: Chunked<Holder, QueuePlace>,
    /// Where in the queue those were whose seats came from there, until the provider confirms them: where they go back to if it
    /// refuses.
    pub places_kept: Chunked<Holder, QueuePlace>,
    /// Releasing seats that are wanted again after their release was sent, in order of the wish.
    pub regrants: BTreeMap<QueuePlace, Holder>,
    /// The provider said "not enough": nobody is served until the next complete sync.
    pub is_serving_paused: bool,
    pub installs: Chunked<InstallKey, Install>,
    /// The per-user installs, by their users.
    pub installs_by_user: ChunkedSet<(UserId, DeviceId)>,
    pub unlicensed: u64,
    pub assignments: ChunkedSet<AssignmentId>,
    pub refused: u64,
    /// The last position after which a grant would have found a seat.
    pub last_free_position: u64,
    pub store_used: Option<u64>,
    pub store_seen_at: Option<Time>,
    pub refund_lag: Option<RefundLag>,
    /// Complete syncs in a row after which the store and the ledger differed on what is used, and the drift they found.
    pub used_differs: u32,
    pub used_drift: Option<DriftId>,
    /// The last position that changed this pool in what a rule reads. Like the next one a cache.
    #[serde(skip)]
    pub changed: u64,
    /// No reservation can time out before this instant. A cache: left out of snapshots and digests.
    #[serde(skip)]
    pub next_timeout: Option<Time>,
}

/// A refund was recorded before the store showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundLag {
    /// What was owned before it, and before any other that the store has yet to show.
    pub before: Owned,
    /// What the last complete sync stated instead.
    pub seen: Option<Owned>,
}

impl RefundLag {
    /// Whether a store that states this, and means it, has not taken all of the refund: more than there was before it is a
    /// purchase.
    #[must_use]
    pub fn is_denied_by(self, owned: Owned, stated: Owned) -> bool {
        match (owned, stated, self.before) {
            (Owned::Count(owned), Owned::Count(stated), Owned::Count(before)) => stated > owned && stated <= before,
            (Owned::Count(_) | Owned::Unlimited, stated, before) => stated == before,
        }
    }
}

impl Pool {
    /// Whether a store that states this may have a refund yet to show: whatever else it counts, it is more than is owned here.
    #[must_use]
    pub fn may_lag_behind_refund(&self, stated: Owned) -> bool {
        let rises = match (self.owned, stated) {
            (Owned::Count(owned), Owned::Count(stated)) => stated > owned,
            (Owned::Count(_), Owned::Unlimited) => true,
            (Owned::Unlimited, Owned::Count(_) | Owned::Unlimited) => false,
        };
        rises && self.refund_lag.is_some()
    }

    #[must_use]
    pub fn held(&self) -> u64 {
        self.reserved + self.in_use + self.releasing + self.foreign
    }

    /// The cap, where there is one: a restricted pool with a number.
    #[must_use]
    pub fn cap(&self) -> Option<u64> {
        match (self.distribution_policy, self.owned) {
            (DistributionPolicy::Restricted, Owned::Count(owned)) => Some(owned),
            (DistributionPolicy::Restricted, Owned::Unlimited)
            | (DistributionPolicy::Open, Owned::Count(_) | Owned::Unlimited) => None,
        }
    }

    /// Law 1, from the side of the rules: a grant may be appended.
    #[must_use]
    pub fn has_free_seat(&self) -> bool {
        self.cap().is_none_or(|cap| self.held() < cap)
    }

    /// Seats that a grant could take; `Unlimited` where there is no cap.
    #[must_use]
    pub fn free(&self) -> Owned {
        self.cap().map_or(Owned::Unlimited, |cap| Owned::Count(cap.saturating_sub(self.held())))
    }

    /// By how much a capped pool is above its cap.
    #[must_use]
    pub fn over_by(&self) -> u64 {
        self.cap().map_or(0, |cap| self.held().saturating_sub(cap))
    }

    /// Whether waiting holders may be given seats now.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.state == PoolState::Active && !self.is_serving_paused
    }

    /// How many would be served before a holder, who waits already or would come last.
    #[must_use]
    pub fn waiting_before(&self, holder: Holder) -> u64 {
        if !self.is_serving() {
            return 0;
        }
        let before = self.queued.get(&holder).map(|place| self.queue.rank(place));
        before.unwrap_or(self.queued.len()) as u64
    }

    #[must_use]
    pub fn is_user_only(&self) -> bool {
        self.details.held_by == HeldBy::User
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        let owned = self.cap().map_or(Owned::Unlimited, Owned::Count);
        Figures { owned, held: self.held(), queued: self.queued.len() as u64 }
    }

    /// What an uninstall from a retired device does.
    #[must_use]
    pub fn on_device_retirement(&self) -> KeepOrRelease {
        self.policy.on_device_retirement.unwrap_or(self.policy.on_uninstall)
    }

    /// The policy of a pool that nobody has set one for.
    #[must_use]
    pub fn default_policy(details: &PoolDetails) -> Policy {
        Policy {
            on_uninstall: details.on_uninstall,
            untargeted: KeepOrRelease::Keep,
            deficit: DeficitPolicy::Plan,
            on_device_retirement: None,
            reservation_timeout_days: None,
        }
    }

    /// Whether a seat can be taken from its holder by a command.
    #[must_use]
    pub fn is_revocable(&self, seat: &Seat) -> bool {
        !self.details.is_irrevocable && seat.state != SeatState::Foreign
    }

    /// What the provider says is used is not what is held here.
    #[must_use]
    pub fn differs_on_used(&self) -> bool {
        self.store_used.is_some_and(|used| used != self.held())
    }

    /// The installs that a seat of this holder would license.
    #[must_use]
    pub fn installs_of(&self, holder: Holder) -> Vec<InstallKey> {
        match holder {
            Holder::User(user) => self.devices_of(user).map(|device| InstallKey { device, user: Some(user) }).collect(),
            Holder::Device(device) => self.installs_on(device),
        }
    }

    /// The devices on which a user has a per-user install.
    pub fn devices_of(&self, user: UserId) -> impl Iterator<Item = DeviceId> + '_ {
        let all = (user, DeviceId(0))..=(user, DeviceId(u32::MAX));
        self.installs_by_user.range(all).map(|(_, device)| *device)
    }

    /// Every install on one device.
    #[must_use]
    pub fn installs_on(&self, device: DeviceId) -> Vec<InstallKey> {
        let first = InstallKey { device, user: None };
        let last = InstallKey { device, user: Some(UserId(u32::MAX)) };
        self.installs.range(first..=last).map(|(key, _)| *key).collect()
    }

    #[must_use]
    pub fn is_installed_on(&self, device: DeviceId) -> bool {
        let first = InstallKey { device, user: None };
        self.installs.range(first..).next().is_some_and(|(key, _)| key.device == device)
    }

    /// Whether an install without a seat is on record that a seat of this holder would license.
    #[must_use]
    pub fn has_unlicensed_install_of(&self, holder: Holder) -> bool {
        self.installs_of(holder).iter().any(|key| self.installs.get(key).is_some_and(|i| i.seat.is_none()))
    }

    /// Of the pool what its etag stands for and reads show: nobody who holds or waits, no packages, no counts, nothing that
    /// changes without the etag.
    #[must_use]
    pub fn without_holders(&self) -> Self {
        Self {
            id: self.id,
            key: self.key.clone(),
            details: self.details.clone(),
            price: self.price.clone(),
            names: self.names.clone(),
            packages: Vec::new(),
            is_private_store_visible: self.is_private_store_visible,
            owned: self.owned,
            distribution_policy: self.distribution_policy,
            ends_on: self.ends_on,
            state: self.state,
            policy: self.policy,
            policy_since: self.policy_since,
            etag: self.etag,
            seats: Chunked::default(),
            reserved: 0,
            in_use: 0,
            releasing: 0,
            foreign: 0,
            queue: Chunked::default(),
            queued: Chunked::default(),
            places_kept: Chunked::default(),
            regrants: BTreeMap::new(),
            is_serving_paused: self.is_serving_paused,
            installs: Chunked::default(),
            installs_by_user: ChunkedSet::default(),
            unlicensed: 0,
            assignments: ChunkedSet::default(),
            refused: 0,
            last_free_position: 0,
            store_used: None,
            store_seen_at: None,
            refund_lag: None,
            used_differs: 0,
            used_drift: None,
            changed: 0,
            next_timeout: None,
        }
    }

    /// Free of charge, as far as the provider says.
    #[must_use]
    pub fn is_free_of_charge(&self) -> bool {
        self.price.as_ref().is_some_and(|price| price.minor_units == 0)
    }

    /// Whoever is wanted again waits for it no more. A walk over all who are: only for a seat that is flagged.
    pub(in crate::domain) fn forget_regrant(&mut self, holder: Holder) {
        self.regrants.retain(|_, waiting| *waiting != holder);
    }

    pub(in crate::domain) fn count_mut(&mut self, state: SeatState) -> &mut u64 {
        match state {
            SeatState::Reserved => &mut self.reserved,
            SeatState::InUse => &mut self.in_use,
            SeatState::Releasing => &mut self.releasing,
            SeatState::Foreign => &mut self.foreign,
        }
    }
}

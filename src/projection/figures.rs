//! A pool's counts, as reads show them, and a fold that needs nothing but the pool's own events: what explains a number,
//! and what draws it over time. Not here: rules; the history is taken as it is.

use crate::domain::event::Event;
use crate::domain::facts::{DistributionPolicy, Owned};
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::rejection::RejectionClass;
use crate::domain::state::{InstallKey, Pool, SeatState};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The counts of a pool at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub owned: Owned,
    pub held: u64,
    pub reserved: u64,
    pub in_use: u64,
    pub releasing: u64,
    pub foreign: u64,
    pub free: Owned,
    pub over_by: u64,
    pub queued: u64,
    pub installed: u64,
    pub unlicensed: u64,
    pub refused: u64,
}

impl Figures {
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        Self {
            owned: pool.owned,
            held: pool.held(),
            reserved: pool.reserved,
            in_use: pool.in_use,
            releasing: pool.releasing,
            foreign: pool.foreign,
            free: pool.free(),
            over_by: pool.over_by(),
            queued: pool.queued.len() as u64,
            installed: pool.installs.len() as u64,
            unlicensed: pool.unlicensed,
            refused: pool.refused,
        }
    }

    /// From what is owned and may be given away, and counts: of the seats in each state, then of who waits, of installs,
    /// those without a license, and refusals.
    pub(super) fn counted(owned: Owned, distribution_policy: DistributionPolicy, counts: [u64; 8]) -> Self {
        let [reserved, in_use, releasing, foreign, queued, installed, unlicensed, refused] = counts;
        let held = reserved + in_use + releasing + foreign;
        let cap = match (distribution_policy, owned) {
            (DistributionPolicy::Restricted, Owned::Count(owned)) => Some(owned),
            (DistributionPolicy::Restricted, Owned::Unlimited)
            | (DistributionPolicy::Open, Owned::Count(_) | Owned::Unlimited) => None,
        };
        Self {
            owned,
            held,
            reserved,
            in_use,
            releasing,
            foreign,
            free: cap.map_or(Owned::Unlimited, |cap| Owned::Count(cap.saturating_sub(held))),
            over_by: cap.map_or(0, |cap| held.saturating_sub(cap)),
            queued,
            installed,
            unlicensed,
            refused,
        }
    }
}

/// Who would hold the seat of an install.
pub(super) fn holder_of(key: InstallKey) -> Holder {
    key.user.map_or(Holder::Device(key.device), Holder::User)
}

/// As [`PoolFigures::holders_without_seat`], of a pool at hand.
#[must_use]
pub fn holders_without_seat(pool: &Pool) -> u64 {
    if pool.unlicensed == 0 {
        return 0;
    }
    let unlicensed = pool.installs.iter().filter(|(_, install)| install.seat.is_none());
    let stranded = unlicensed
        .map(|(key, _)| holder_of(*key))
        .filter(|holder| !pool.seats.contains_key(holder) && !pool.queued.contains_key(holder));
    stranded.collect::<BTreeSet<_>>().len() as u64
}

/// One pool's counts, folded from its own events. What is not of this pool changes nothing.
#[derive(Debug, Clone)]
pub struct PoolFigures {
    pool: PoolId,
    owned: Owned,
    distribution_policy: DistributionPolicy,
    seats: BTreeMap<Holder, SeatState>,
    /// How many seats are in each state, in the order of [`SeatState`].
    counts: [u64; 4],
    queued: BTreeSet<Holder>,
    installs: BTreeMap<InstallKey, Option<Holder>>,
    devices_of: BTreeMap<UserId, BTreeSet<DeviceId>>,
    unlicensed: u64,
    refused: u64,
    /// A license that is named is none while the seat is not in use: in hindsight an install may be known before its seat.
    is_in_hindsight: bool,
}

impl PoolFigures {
    #[must_use]
    pub fn new(pool: PoolId) -> Self {
        Self {
            pool,
            owned: Owned::Count(0),
            distribution_policy: DistributionPolicy::Restricted,
            seats: BTreeMap::new(),
            counts: [0; 4],
            queued: BTreeSet::new(),
            installs: BTreeMap::new(),
            devices_of: BTreeMap::new(),
            unlicensed: 0,
            refused: 0,
            is_in_hindsight: false,
        }
    }

    /// Of events of which some became known later: they follow each other about one seat and about one install, and not
    /// between them.
    #[must_use]
    pub fn in_hindsight(pool: PoolId) -> Self {
        Self { is_in_hindsight: true, ..Self::new(pool) }
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        let [reserved, in_use, releasing, foreign] = self.counts;
        let (queued, installed) = (self.queued.len() as u64, self.installs.len() as u64);
        let counts = [reserved, in_use, releasing, foreign, queued, installed, self.unlicensed, self.refused];
        Figures::counted(self.owned, self.distribution_policy, counts)
    }

    #[must_use]
    pub fn is_queued(&self, holder: Holder) -> bool {
        self.queued.contains(&holder)
    }

    /// The state of a holder's seat.
    #[must_use]
    pub fn seat(&self, holder: Holder) -> Option<SeatState> {
        self.seats.get(&holder).copied()
    }

    /// Holders with an install that no seat licenses, who neither hold a seat nor wait for one.
    #[must_use]
    pub fn holders_without_seat(&self) -> u64 {
        let unlicensed = self.installs.iter().filter(|(_, seat)| seat.is_none()).map(|(key, _)| holder_of(*key));
        let stranded = unlicensed.filter(|holder| !self.seats.contains_key(holder) && !self.queued.contains(holder));
        stranded.collect::<BTreeSet<_>>().len() as u64
    }

    /// Takes one fact.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::PoolListed { pool, owned, distribution_policy, .. } if self.is(*pool) => {
                self.owned = *owned;
                self.distribution_policy = *distribution_policy;
            }
            Event::CapacityChanged { pool, owned, .. } if self.is(*pool) => self.owned = *owned,
            Event::DistributionPolicyChanged { pool, distribution_policy } if self.is(*pool) => {
                self.distribution_policy = *distribution_policy;
            }
            Event::PoolDelisted { pool, .. } if self.is(*pool) => self.owned = Owned::Count(0),

            Event::SeatGranted { pool, holder, in_use, .. } | Event::ForeignSeatAdopted { pool, holder, in_use }
                if self.is(*pool) =>
            {
                self.queued.remove(holder);
                self.enter(*holder, if *in_use { SeatState::InUse } else { SeatState::Reserved });
                if *in_use {
                    self.attach_installs(*holder);
                }
            }
            Event::SeatTaken { pool, holder } if self.is(*pool) => self.enter(*holder, SeatState::InUse),
            Event::SeatIdle { pool, holder } if self.is(*pool) => {
                if self.is_in_hindsight {
                    self.orphan_installs(*holder);
                }
                self.enter(*holder, SeatState::Reserved);
            }
            Event::SeatReleasing { pool, holder, .. } if self.is(*pool) => {
                self.enter(*holder, SeatState::Releasing);
                self.orphan_installs(*holder);
            }
            Event::SeatReleaseRefused { pool, holder } | Event::SeatTakenBack { pool, holder } if self.is(*pool) => {
                let is_installed = self.installs_of(*holder).any(|key| self.installs.get(&key) == Some(&None));
                self.enter(*holder, if is_installed { SeatState::InUse } else { SeatState::Reserved });
                self.attach_installs(*holder);
            }
            Event::SeatReleased { pool, holder, .. } if self.is(*pool) => {
                self.orphan_installs(*holder);
                if let Some(state) = self.seats.remove(holder) {
                    *self.count_mut(state) -= 1;
                }
            }
            Event::ForeignSeatSeen { pool, holder } if self.is(*pool) => self.enter(*holder, SeatState::Foreign),
            Event::Queued { pool, holder } | Event::Requeued { pool, holder, .. } if self.is(*pool) => {
                self.queued.insert(*holder);
            }
            Event::Dequeued { pool, holder, .. } if self.is(*pool) => {
                self.queued.remove(holder);
            }

            Event::Installed { pool, device, user, seat, .. } if self.is(*pool) => {
                let seat = seat.filter(|seat| self.may_license(*seat));
                self.installs.insert(InstallKey { device: *device, user: *user }, seat);
                self.unlicensed += u64::from(seat.is_none());
                if let Some(user) = user {
                    self.devices_of.entry(*user).or_default().insert(*device);
                }
            }
            Event::InstallLicensed { pool, device, user, seat } if self.is(*pool) => {
                let key = InstallKey { device: *device, user: *user };
                if self.is_in_hindsight && self.may_license(*seat) {
                    let before = self.installs.insert(key, Some(*seat));
                    self.unlicensed -= u64::from(before == Some(None));
                } else if !self.is_in_hindsight {
                    self.license(key, *seat);
                }
            }
            Event::Uninstalled { pool, device, user } if self.is(*pool) => {
                let was = self.installs.remove(&InstallKey { device: *device, user: *user });
                self.unlicensed -= u64::from(was == Some(None));
                if let Some(devices) = user.as_ref().and_then(|user| self.devices_of.get_mut(user)) {
                    devices.remove(device);
                }
            }

            Event::CommandRefused { pool: Some(pool), rejection, .. }
            | Event::BatchRefused { pool: Some(pool), rejection, .. }
                if self.is(*pool) =>
            {
                // the receipt of a command that named nothing real or made no sense is no refusal
                self.refused += u64::from(rejection.class() == RejectionClass::Conflict);
            }
            Event::RefusalsCounted { pool: Some(pool), count, .. } if self.is(*pool) => self.refused += count,

            // of another pool
            Event::PoolListed { .. }
            | Event::CapacityChanged { .. }
            | Event::DistributionPolicyChanged { .. }
            | Event::PoolDelisted { .. }
            | Event::SeatGranted { .. }
            | Event::ForeignSeatAdopted { .. }
            | Event::SeatTaken { .. }
            | Event::SeatIdle { .. }
            | Event::SeatReleasing { .. }
            | Event::SeatReleaseRefused { .. }
            | Event::SeatTakenBack { .. }
            | Event::SeatReleased { .. }
            | Event::ForeignSeatSeen { .. }
            | Event::Queued { .. }
            | Event::Requeued { .. }
            | Event::Dequeued { .. }
            | Event::Installed { .. }
            | Event::InstallLicensed { .. }
            | Event::Uninstalled { .. }
            | Event::CommandRefused { .. }
            | Event::BatchRefused { .. }
            | Event::RefusalsCounted { .. }
            // changes no count of any pool
            | Event::TenantCreated { .. }
            | Event::TenantRenamed { .. }
            | Event::SettingsChanged { .. }
            | Event::TokenIssued { .. }
            | Event::TokenRevoked { .. }
            | Event::StoreAccountLinked { .. }
            | Event::StoreAccountChanged { .. }
            | Event::StoreUnitLinked { .. }
            | Event::ToolActivated { .. }
            | Event::ToolDeactivated { .. }
            | Event::SyncStarted { .. }
            | Event::SyncCompleted { .. }
            | Event::SyncItemsTaken { .. }
            | Event::PoolsSeen { .. }
            | Event::SyncSeatsCompared { .. }
            | Event::SyncFailed { .. }
            | Event::ItemSkipped { .. }
            | Event::PoolDetailsChanged { .. }
            | Event::PoolNamed { .. }
            | Event::PackagesListed { .. }
            | Event::PrivateStoreVisibilityChanged { .. }
            | Event::EntitlementDated { .. }
            | Event::RefundLagSeen { .. }
            | Event::RefundSettled { .. }
            | Event::PoolRelisted { .. }
            | Event::PoolSuspended { .. }
            | Event::PoolResumed { .. }
            | Event::ServingPaused { .. }
            | Event::ServingResumed { .. }
            | Event::StoreUsedStated { .. }
            | Event::PoolPolicyChanged { .. }
            | Event::DriftFound { .. }
            | Event::DriftResolved { .. }
            | Event::UserAdded { .. }
            | Event::UserChanged { .. }
            | Event::UserDeparted { .. }
            | Event::SeatsKept { .. }
            | Event::GraceEnded { .. }
            | Event::UserReturned { .. }
            | Event::SeatsOffered { .. }
            | Event::DeviceAdded { .. }
            | Event::DeviceChanged { .. }
            | Event::DeviceReincarnated { .. }
            | Event::DeviceRetired { .. }
            | Event::DeviceReturned { .. }
            | Event::NamesErased { .. }
            | Event::GroupAdded { .. }
            | Event::MembersAdded { .. }
            | Event::MembersRemoved { .. }
            | Event::GroupDeleted { .. }
            | Event::EndingsHeld { .. }
            | Event::RemovalHeld { .. }
            | Event::EndingsConfirmed { .. }
            | Event::AssignmentMade { .. }
            | Event::AssignmentEnded { .. }
            | Event::MembersSkipped { .. }
            | Event::SeatReleaseSent { .. }
            | Event::RegrantFlagged { .. }
            | Event::SeatConfirmed { .. }
            | Event::LapseEnded { .. }
            | Event::RefundRecorded { .. }
            | Event::OfflineLicenseIssued { .. }
            | Event::CommandUnchanged { .. }
            | Event::LogRestored { .. }
            | Event::LogKeyRotated { .. }
            | Event::ReportRead { .. }
            | Event::ReviewOpened { .. }
            | Event::ReviewDecided { .. }
            | Event::ReviewClosed { .. }
            | Event::ReviewCarriedOut { .. }
            | Event::ReviewEnded { .. }
            | Event::ReviewCancelled { .. } => {}
        }
    }

    fn is(&self, pool: PoolId) -> bool {
        self.pool == pool
    }

    fn count_mut(&mut self, state: SeatState) -> &mut u64 {
        let [reserved, in_use, releasing, foreign] = &mut self.counts;
        match state {
            SeatState::Reserved => reserved,
            SeatState::InUse => in_use,
            SeatState::Releasing => releasing,
            SeatState::Foreign => foreign,
        }
    }

    fn enter(&mut self, holder: Holder, to: SeatState) {
        if let Some(before) = self.seats.insert(holder, to) {
            *self.count_mut(before) -= 1;
        }
        *self.count_mut(to) += 1;
    }

    /// The installs that a seat of this holder would license.
    fn installs_of(&self, holder: Holder) -> impl Iterator<Item = InstallKey> + use<> {
        let keys: Vec<_> = match holder {
            Holder::User(user) => {
                let devices = self.devices_of.get(&user).into_iter().flatten();
                devices.map(|device| InstallKey { device: *device, user: Some(user) }).collect()
            }
            Holder::Device(device) => {
                let (first, last) = (None, Some(UserId(u32::MAX)));
                let range = InstallKey { device, user: first }..=InstallKey { device, user: last };
                self.installs.range(range).map(|(key, _)| *key).collect()
            }
        };
        keys.into_iter()
    }

    fn may_license(&self, holder: Holder) -> bool {
        !self.is_in_hindsight || self.seats.get(&holder) == Some(&SeatState::InUse)
    }

    fn license(&mut self, key: InstallKey, holder: Holder) {
        if let Some(seat) = self.installs.get_mut(&key).filter(|seat| seat.is_none()) {
            *seat = Some(holder);
            self.unlicensed -= 1;
        }
    }

    fn attach_installs(&mut self, holder: Holder) {
        for key in self.installs_of(holder) {
            self.license(key, holder);
        }
    }

    fn orphan_installs(&mut self, holder: Holder) {
        for key in self.installs_of(holder) {
            if let Some(seat) = self.installs.get_mut(&key).filter(|seat| **seat == Some(holder)) {
                *seat = None;
                self.unlicensed += 1;
            }
        }
    }
}

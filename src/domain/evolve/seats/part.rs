//! Facts into a part of a state: some holders, what they hold and which groups they are in. Such a part is for questions alone; no
//! rule reads it. Whoever calls hands over every fact about these holders in their order, with every pool in its place. What
//! stands there of anybody else is there for its place alone, so nothing that `evolve` asserts between things is asserted here.

use crate::domain::event::{Event, Target};
use crate::domain::facts::{DeviceFacts, GroupKind, Join};
use crate::domain::ids::{DeviceId, GroupId, Holder, PoolId, UserId};
use crate::domain::state::{
    Assignment, ByPool, Device, Flat, Group, Install, InstallKey, Links, Membership, Meta, Seat, SeatState, Tenant,
    User,
};
use crate::domain::time::Time;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whom a part tells of.
#[derive(Debug, Clone, Default)]
pub struct Told {
    pub holders: BTreeSet<Holder>,
    /// Those of them who were put in their places as they are ([`Tenant::place_still`]): of what they are and belong to, no fact
    /// is taken.
    pub still: BTreeSet<Holder>,
}

/// From whichever state the seat is in: of those who are there for others' sake not everything is told.
const ANY: [SeatState; 4] = [SeatState::Reserved, SeatState::InUse, SeatState::Releasing, SeatState::Foreign];

impl Tenant {
    /// Takes a fact that names one of the holders at least; `is_confirmed` says of a grant that nobody need be asked.
    ///
    /// # Panics
    /// When facts about a holder are left out.
    #[expect(clippy::too_many_lines, reason = "one arm a fact, each a few lines")]
    pub fn evolve_part(&mut self, event: &Event, meta: &Meta, told: &Told, is_confirmed: bool) {
        let is_told = |holder: Holder| told.holders.contains(&holder);
        let is_moved = |holder: Holder| is_told(holder) && !told.still.contains(&holder);
        match event {
            Event::UserAdded { user, profile } if is_moved((*user).into()) => {
                self.place_user(*user);
                self.names.place_user(*user);
                self.names.learn_user(*user, profile);
                let added = User { id: *user, etag: meta.position, since: meta.recorded_at, ..nobody() };
                *self.user_mut(*user) = added;
            }
            Event::UserChanged { user, .. }
            | Event::UserDeparted { user, .. }
            | Event::GraceEnded { user }
            | Event::UserReturned { user }
            | Event::SeatsOffered { user, .. }
                if is_moved((*user).into()) =>
            {
                self.evolve_directory(event, meta);
            }
            Event::DeviceAdded { device, names, facts, primary_user } if is_moved((*device).into()) => {
                self.place_device(*device);
                self.names.place_device(*device);
                self.names.learn_device(*device, names);
                let (facts, primary_user) = (facts.clone(), *primary_user);
                let (id, etag, since) = (*device, meta.position, meta.recorded_at);
                *self.device_mut(*device) = Device { id, facts, primary_user, etag, since, ..no_device() };
                if let Some(user) = primary_user {
                    self.place_user(user);
                }
                self.move_device(*device, None, primary_user);
            }
            Event::DeviceChanged { device, primary_user, .. } if is_moved((*device).into()) => {
                if let Some(user) = primary_user {
                    self.place_user(*user);
                }
                self.evolve_directory(event, meta);
            }
            Event::DeviceReincarnated { device } | Event::DeviceRetired { device } | Event::DeviceReturned { device }
                if is_moved((*device).into()) =>
            {
                self.evolve_directory(event, meta);
            }
            Event::NamesErased { holder, .. } if is_moved(*holder) => self.evolve_directory(event, meta),
            Event::MembersAdded { group, members } => {
                self.place_group(*group);
                for member in members.iter().copied().filter(|member| is_moved(*member)) {
                    self.group_mut(*group).members.join(member);
                    self.links_mut(member).groups.insert(*group);
                }
            }
            Event::MembersRemoved { group, members } => {
                self.place_group(*group);
                for member in members.iter().copied().filter(|member| is_moved(*member)) {
                    self.group_mut(*group).members.leave(member);
                    self.links_mut(member).groups.remove(group);
                }
            }

            Event::SeatGranted { pool, holder, cause: _, in_use } if is_told(*holder) => {
                self.leave_queue(*pool, *holder);
                self.lapse(*pool, *holder, false);
                let state = if *in_use { SeatState::InUse } else { SeatState::Reserved };
                self.insert_seat(*pool, *holder, Seat::new(state, meta.position, meta.recorded_at, is_confirmed));
                if *in_use {
                    self.attach_installs(*pool, *holder);
                }
                self.offer_taken(*pool, *holder);
            }
            Event::SeatTaken { pool, holder } if is_told(*holder) => {
                self.enter(*pool, *holder, &ANY, SeatState::InUse, meta);
            }
            Event::SeatIdle { pool, holder } if is_told(*holder) => {
                self.enter(*pool, *holder, &ANY, SeatState::Reserved, meta);
            }
            Event::SeatReleasing { pool, holder, cause, lapsed } if is_told(*holder) => {
                self.enter(*pool, *holder, &ANY, SeatState::Releasing, meta);
                self.begin_release(*pool, *holder, *cause, *lapsed);
            }
            Event::SeatReleased { pool, holder, cause: _, lapsed } if is_told(*holder) => {
                self.released(*pool, *holder, *lapsed);
            }
            Event::ForeignSeatAdopted { pool, holder, in_use } if is_told(*holder) => {
                self.adopted(*pool, *holder, *in_use, meta);
            }
            Event::SeatReleaseSent { holder, .. }
            | Event::SeatReleaseRefused { holder, .. }
            | Event::SeatTakenBack { holder, .. }
            | Event::RegrantFlagged { holder, .. }
            | Event::SeatConfirmed { holder, .. }
            | Event::ForeignSeatSeen { holder, .. }
            | Event::LapseEnded { holder, .. }
            | Event::Queued { holder, .. }
            | Event::Requeued { holder, .. }
            | Event::Dequeued { holder, .. }
                if is_told(*holder) =>
            {
                self.evolve_seat(event, meta);
            }

            Event::Installed { pool, device, user, seat, is_report: _ } => {
                self.place_device(*device);
                if let Some(user) = user {
                    self.place_user(*user);
                }
                let key = InstallKey { device: *device, user: *user };
                self.installed(*pool, key, None, meta);
                if let Some(seat) = seat {
                    self.license_as_told(*pool, key, *seat);
                }
            }
            Event::InstallLicensed { pool, device, user, seat } => {
                self.license_as_told(*pool, InstallKey { device: *device, user: *user }, *seat);
            }
            Event::Uninstalled { pool, device, user } => {
                let key = InstallKey { device: *device, user: *user };
                self.unlicense_of_others(*pool, key);
                self.uninstalled(*pool, key);
            }

            // of somebody who is there for the place alone
            Event::UserAdded { .. }
            | Event::UserChanged { .. }
            | Event::UserDeparted { .. }
            | Event::GraceEnded { .. }
            | Event::UserReturned { .. }
            | Event::SeatsOffered { .. }
            | Event::DeviceAdded { .. }
            | Event::DeviceChanged { .. }
            | Event::DeviceReincarnated { .. }
            | Event::DeviceRetired { .. }
            | Event::DeviceReturned { .. }
            | Event::NamesErased { .. }
            | Event::SeatGranted { .. }
            | Event::SeatTaken { .. }
            | Event::SeatIdle { .. }
            | Event::SeatReleasing { .. }
            | Event::SeatReleased { .. }
            | Event::ForeignSeatAdopted { .. }
            | Event::SeatReleaseSent { .. }
            | Event::SeatReleaseRefused { .. }
            | Event::SeatTakenBack { .. }
            | Event::RegrantFlagged { .. }
            | Event::SeatConfirmed { .. }
            | Event::ForeignSeatSeen { .. }
            | Event::LapseEnded { .. }
            | Event::Queued { .. }
            | Event::Requeued { .. }
            | Event::Dequeued { .. }
            // changes nothing that is told of a holder
            | Event::TenantCreated { .. }
            | Event::TenantRenamed { .. }
            | Event::SettingsChanged { .. }
            | Event::TokenIssued { .. }
            | Event::TokenRevoked { .. }
            | Event::ToolActivated { .. }
            | Event::ToolDeactivated { .. }
            | Event::StoreAccountLinked { .. }
            | Event::StoreAccountChanged { .. }
            | Event::StoreUnitLinked { .. }
            | Event::SyncStarted { .. }
            | Event::SyncCompleted { .. }
            | Event::SyncItemsTaken { .. }
            | Event::PoolsSeen { .. }
            | Event::SyncSeatsCompared { .. }
            | Event::SyncFailed { .. }
            | Event::ItemSkipped { .. }
            | Event::PoolListed { .. }
            | Event::PoolDetailsChanged { .. }
            | Event::PoolNamed { .. }
            | Event::PackagesListed { .. }
            | Event::PrivateStoreVisibilityChanged { .. }
            | Event::EntitlementDated { .. }
            | Event::CapacityChanged { .. }
            | Event::RefundLagSeen { .. }
            | Event::RefundSettled { .. }
            | Event::DistributionPolicyChanged { .. }
            | Event::PoolDelisted { .. }
            | Event::PoolRelisted { .. }
            | Event::PoolResumed { .. }
            | Event::PoolSuspended { .. }
            | Event::ServingPaused { .. }
            | Event::ServingResumed { .. }
            | Event::StoreUsedStated { .. }
            | Event::PoolPolicyChanged { .. }
            | Event::DriftFound { .. }
            | Event::DriftResolved { .. }
            | Event::RefundRecorded { .. }
            | Event::OfflineLicenseIssued { .. }
            | Event::SeatsKept { .. }
            | Event::GroupAdded { .. }
            | Event::GroupDeleted { .. }
            | Event::EndingsHeld { .. }
            | Event::RemovalHeld { .. }
            | Event::EndingsConfirmed { .. }
            | Event::AssignmentMade { .. }
            | Event::AssignmentEnded { .. }
            | Event::MembersSkipped { .. }
            | Event::CommandRefused { .. }
            | Event::BatchRefused { .. }
            | Event::RefusalsCounted { .. }
            | Event::CommandUnchanged { .. }
            | Event::ReportRead { .. }
            | Event::LogRestored { .. }
            | Event::LogKeyRotated { .. }
            | Event::ReviewOpened { .. }
            | Event::ReviewDecided { .. }
            | Event::ReviewClosed { .. }
            | Event::ReviewCarriedOut { .. }
            | Event::ReviewEnded { .. }
            | Event::ReviewCancelled { .. } => {}
        }
    }

    /// Puts a holder in its place who is and belongs to the same in another state, without what hangs on it there.
    pub fn place_still(&mut self, other: &Tenant, holder: Holder) {
        let groups = &other.links(holder).groups;
        let links = Links { groups: groups.clone(), ..Links::default() };
        match holder {
            Holder::User(id) => {
                self.place_user(id);
                self.names.place_user(id);
                self.names.copy_user(id, &other.names);
                let now = other.user(id);
                let (devices, remembered, offered) = (now.devices.clone(), now.remembered.clone(), now.offered.clone());
                let User { departed, etag, since, .. } = *now;
                devices.iter().for_each(|device| self.place_device(*device));
                *self.user_mut(id) = User { id, links, devices, departed, remembered, offered, etag, since };
            }
            Holder::Device(id) => {
                self.place_device(id);
                self.names.place_device(id);
                self.names.copy_device(id, &other.names);
                let now = other.device(id);
                let facts = now.facts.clone();
                let Device { primary_user, is_retired, incarnation, etag, since, .. } = *now;
                *self.device_mut(id) = Device { id, links, facts, primary_user, is_retired, incarnation, etag, since };
            }
        }
        for group in groups {
            self.place_group(*group);
            self.group_mut(*group).members.join(holder);
        }
    }

    /// Puts a holder in its place of whom nothing is told but what hangs on it.
    pub fn place_anybody(&mut self, holder: Holder) {
        match holder {
            Holder::User(user) => self.place_user(user),
            Holder::Device(device) => self.place_device(device),
        }
    }

    /// Hangs devices that were put in their places on whose they are, once every fact was taken.
    pub fn hang_still(&mut self, still: &BTreeSet<Holder>) {
        for holder in still {
            let Holder::Device(device) = *holder else { continue };
            if let Some(user) = self.device(device).primary_user {
                self.place_user(user);
                self.user_mut(user).devices.insert(device);
            }
        }
    }

    /// Puts a seat in its place of which the state and the grant alone are known; everything else that is told of a seat is not
    /// right.
    ///
    /// # Panics
    /// When the holder is in no place, or has a seat of the pool there.
    pub fn place_seat(&mut self, pool: PoolId, holder: Holder, state: SeatState, granted_at: u64) {
        self.insert_seat(pool, holder, Seat::new(state, granted_at, Time(0), true));
    }

    /// Puts a living assignment in its place; the list of all of them is the caller's.
    pub fn place_assignment(&mut self, assignment: &Assignment) {
        let id = assignment.id;
        self.pool_mut(assignment.pool).assignments.insert(id);
        match assignment.target {
            Target::User(user) => {
                self.place_user(user);
                self.links_mut(user.into()).assignments.insert(assignment.pool, id);
            }
            Target::Device(device) => {
                self.place_device(device);
                self.links_mut(device.into()).assignments.insert(assignment.pool, id);
            }
            Target::Group { group, exclude } => {
                self.place_group(group);
                self.group_mut(group).targeted_by.insert(assignment.pool, id);
                if let Some(exclude) = exclude {
                    self.place_group(exclude);
                    self.group_mut(exclude).excluded_by.insert(assignment.pool, id);
                }
            }
        }
    }

    fn place_group(&mut self, group: GroupId) {
        if self.groups.len() <= group.index() {
            self.groups.grow_to(group.index() + 1, &Arc::new(no_group()));
        }
    }

    fn place_user(&mut self, user: UserId) {
        if self.users.len() <= user.index() {
            self.users.grow_to(user.index() + 1, &Arc::new(nobody()));
        }
    }

    fn place_device(&mut self, device: DeviceId) {
        if self.devices.len() <= device.index() {
            self.devices.grow_to(device.index() + 1, &Arc::new(no_device()));
        }
    }

    /// As the fact says, also where the seat is somebody's of whom nothing is told.
    fn license_as_told(&mut self, pool: PoolId, key: InstallKey, holder: Holder) {
        self.unlicense_of_others(pool, key);
        let entry = self.pool_mut(pool);
        let install = entry.installs.get_mut(&key).expect("an install is licensed after it was seen");
        if install.seat.replace(holder).is_none() {
            entry.unlicensed -= 1;
            if let Some(seat) = entry.seats.get_mut(&holder) {
                seat.installs += 1;
            }
        }
    }

    fn unlicense_of_others(&mut self, pool: PoolId, key: InstallKey) {
        let entry = self.pool_mut(pool);
        let Install { seat, .. } = entry.installs.get_mut(&key).expect("an install is licensed after it was seen");
        if seat.take_if(|holder| !entry.seats.contains_key(holder)).is_some() {
            entry.unlicensed += 1;
        }
    }
}

fn nobody() -> User {
    User {
        id: UserId(u32::MAX),
        links: Links::default(),
        devices: Flat::default(),
        departed: None,
        remembered: Flat::default(),
        offered: Flat::default(),
        etag: 0,
        since: Time(0),
    }
}

fn no_device() -> Device {
    let facts = DeviceFacts {
        platform: String::new(),
        join: Join::None,
        is_enrolled: false,
        os_build: None,
        has_serial: false,
    };
    Device {
        id: DeviceId(u32::MAX),
        links: Links::default(),
        facts,
        primary_user: None,
        is_retired: false,
        incarnation: 0,
        etag: 0,
        since: Time(0),
    }
}

fn no_group() -> Group {
    Group {
        id: GroupId(u32::MAX),
        external_id: String::new(),
        kind: GroupKind::Users,
        is_deleted: false,
        members: Membership::default(),
        targeted_by: ByPool::default(),
        excluded_by: ByPool::default(),
        etag: 0,
    }
}

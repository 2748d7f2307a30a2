//! Devices: enrolled, changed, wiped, retired.

use super::settle::{Brake, Ending, Reach, each_seat_once};
use super::{Judge, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::{DeviceRef, UserRef};
use crate::domain::event::Event;
use crate::domain::facts::{DequeueCause, DeviceFacts, ReleaseCause};
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::personal::{AliasKind, Blind, Personal};
use crate::domain::rejection::Rejection;
use crate::domain::state::{InstallKey, Pool, Seat, SeatState};
use std::collections::BTreeSet;

impl Judge<'_> {
    /// `identity` is the hash of the device id that the tool gives the device today: another one under the same serial
    /// number is a new incarnation.
    pub(super) fn put_device(
        &mut self,
        device: DeviceRef,
        names: &Personal,
        identity: Option<Blind>,
        facts: &DeviceFacts,
        primary_user: Option<UserRef>,
    ) -> Ruling {
        let primary_user = primary_user.map(|user| self.user_id(user)).transpose()?;
        let existing = self.known_device(device, names)?;
        let Some(id) = existing else {
            self.precondition_of_new()?;
            let device = DeviceId::at(self.tenant.devices.len());
            self.emit(Event::DeviceAdded { device, names: names.clone(), facts: facts.clone(), primary_user });
            return Ok(Verdict::Done);
        };
        let entry = self.tenant.device(id);
        self.precondition(entry.etag)?;
        self.must_have_names(id.into())?;
        let stored = self.tenant.names.device_names(id);
        let is_same_name = stored.is_some_and(|stored| stored.personal.sealed == names.sealed);
        let before = stored.and_then(|stored| stored.aliases.iter().find(|alias| alias.kind == AliasKind::DeviceId));
        let is_reborn = identity.zip(before).is_some_and(|(now, before)| now != before.blind);
        let is_back = entry.is_retired;
        if is_same_name && !is_back && entry.facts == *facts && entry.primary_user == primary_user {
            return Ok(Verdict::Unchanged(About::Device(id)));
        }
        let reaches = self.reaches_of_change(id, facts, primary_user, is_reborn);
        self.emit(Event::DeviceChanged { device: id, names: names.clone(), facts: facts.clone(), primary_user });
        if is_back {
            self.emit(Event::DeviceReturned { device: id });
        } else if is_reborn {
            self.emit(Event::DeviceReincarnated { device: id });
            self.wipe(id);
        }
        self.settle(&reaches, ReleaseCause::Uncovered, Brake::Directory);
        Ok(Verdict::Done)
    }

    /// The device that is meant, by what it is called in the path or by its own names.
    fn known_device(&self, device: DeviceRef, names: &Personal) -> Result<Option<DeviceId>, Rejection> {
        let asked = match (self.device_id(device), device) {
            (Ok(id), _) => Some(id),
            (Err(_), DeviceRef::Name { .. }) => None,
            (Err(rejection), DeviceRef::Id(_)) => return Err(rejection),
        };
        let owner = |kind: AliasKind| {
            let alias = names.aliases.iter().find(|alias| alias.kind == kind)?;
            match kind {
                AliasKind::Serial => self.tenant.names.device_by_serial(alias.blind),
                AliasKind::DeviceId => self.tenant.names.device_by_device_id(alias.blind),
                AliasKind::UserName => None,
            }
        };
        let (by_serial, by_device_id) = (owner(AliasKind::Serial), owner(AliasKind::DeviceId));
        let known = by_serial.or(asked).or(by_device_id);
        let is_another = |other: Option<DeviceId>| other.is_some() && other != known;
        if is_another(by_device_id) || is_another(asked) {
            return Err(Rejection::DeviceNameTaken);
        }
        Ok(known)
    }

    /// Whose device it is, and who has a pool's app on it.
    pub(super) fn people_on(&self, pool: PoolId, device: DeviceId) -> impl Iterator<Item = UserId> {
        let installers = self.tenant.pool(pool).installs_on(device).into_iter().filter_map(|key| key.user);
        self.tenant.device(device).primary_user.into_iter().chain(installers)
    }

    /// Everyone whose coverage may change when this becomes known of a device. One that stays with its user and on which apps
    /// stay changes nothing in a pool for which it is as eligible as before.
    pub(super) fn reaches_of_change(
        &self,
        device: DeviceId,
        facts: &DeviceFacts,
        next_user: Option<UserId>,
        is_wiped: bool,
    ) -> Vec<Reach> {
        let entry = self.tenant.device(device);
        let stays = !entry.is_retired && !is_wiped && entry.primary_user == next_user;
        let may_change = |pool: &Pool| !stays || !self.tenant.is_eligible_alike(pool, &entry.facts, facts);
        self.device_reaches(device, next_user, may_change)
    }

    /// Everyone whose coverage may hang on a device in some of the pools: itself, and where assignments that it is in the target
    /// of go to users, its people before and after and whoever has the app on it. Of its people there may be one with thousands
    /// of devices, so that nobody is asked about in vain.
    pub(super) fn device_reaches(
        &self,
        device: DeviceId,
        next_user: Option<UserId>,
        is_of_some: impl Fn(&Pool) -> bool,
    ) -> Vec<Reach> {
        let mut pairs: Vec<(PoolId, Holder)> = Vec::new();
        let pools = self.pools_around(Holder::Device(device));
        for pool in pools.into_iter().filter(|pool| is_of_some(self.tenant.pool(*pool))) {
            pairs.push((pool, Holder::Device(device)));
            if self.tenant.reaches_people_of(pool, device) {
                let people: BTreeSet<UserId> = self.people_on(pool, device).chain(next_user).collect();
                pairs.extend(people.into_iter().map(|user| (pool, Holder::User(user))));
            }
        }
        self.reaches(pairs)
    }

    /// A wiped device has no installs any more; its seats stay. Whom that leaves uncovered is settled by whoever calls.
    fn wipe(&mut self, device: DeviceId) {
        for (pool, key) in self.installs_on(device) {
            if let Some(holder) = self.take_off(pool, key) {
                self.emit(Event::SeatIdle { pool, holder });
            }
        }
    }

    fn installs_on(&self, device: DeviceId) -> Vec<(PoolId, InstallKey)> {
        let pools = &self.tenant.device(device).links.installed;
        pools
            .iter()
            .flat_map(|pool| self.tenant.pool(*pool).installs_on(device).into_iter().map(|key| (*pool, key)))
            .collect()
    }

    pub(super) fn retire(&mut self, device: DeviceRef) -> Ruling {
        let device = self.device_id(device)?;
        self.precondition(self.tenant.device(device).etag)?;
        if self.tenant.device(device).is_retired {
            return Ok(Verdict::Unchanged(About::Device(device)));
        }
        let endings = self.retire_device(device);
        self.end_seats(&each_seat_once(endings), Brake::Directory);
        Ok(Verdict::Done)
    }

    /// The device and its installs go. What ends with them is the caller's to end, as one change before the brake: its own
    /// seats, those that had their last install on it, and what people lose who were reached through it.
    #[must_use]
    pub(super) fn retire_device(&mut self, device: DeviceId) -> Vec<Ending> {
        let holder = Holder::Device(device);
        let mut of_people = self.device_reaches(device, None, |_| true);
        of_people.retain(|reach| reach.holder != holder);
        self.emit(Event::DeviceRetired { device });
        self.wait_no_more(holder, DequeueCause::Uncovered);
        let is_ours = |pool: &PoolId| {
            let entry = self.tenant.pool(*pool);
            let is_revocable = |seat: &Seat| entry.is_revocable(seat) && seat.state != SeatState::Releasing;
            entry.seats.get(&holder).is_some_and(is_revocable)
        };
        let own = self.tenant.device(device).links.seats.iter().copied().filter(is_ours);
        let cause = ReleaseCause::DeviceRetired;
        let mut endings: Vec<Ending> = own.map(|pool| Ending { pool, holder, cause }).collect();
        for (pool, key) in self.installs_on(device) {
            let on_last = self.tenant.pool(pool).on_device_retirement();
            match self.take_off(pool, key) {
                Some(holder) if self.tenant.outlives_installs(pool, holder, on_last) => {
                    self.emit(Event::SeatIdle { pool, holder });
                }
                Some(holder) => endings.push(Ending { pool, holder, cause }),
                None => {}
            }
        }
        endings.extend(self.coverage_endings(&of_people, ReleaseCause::Uncovered));
        endings
    }
}

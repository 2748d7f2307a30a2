//! Facts about seats and installs that became known after the instant that a state is of, laid over it. Such a state is for
//! questions alone: no rule reads it, nothing is appended because of it. Each seat and each install goes through its own facts
//! in order, so what `evolve` asserts of one of them holds here too. What it asserts between things does not: the cap may be
//! exceeded, and an install may be known before the seat that licenses it.

use crate::domain::event::Event;
use crate::domain::facts::{DeviceFacts, Join};
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::placing::Chain;
use crate::domain::state::{Device, Flat, InstallKey, Links, Meta, Seat, SeatMark, SeatState, Tenant, User};
use std::sync::Arc;

/// From whichever state the seat is in.
const ANY: [SeatState; 4] = [SeatState::Reserved, SeatState::InUse, SeatState::Releasing, SeatState::Foreign];

impl Tenant {
    /// Takes a fact of a later position about a seat or an install; its time is the one at which it is placed. What it says
    /// of a pool that was not listed yet is left out. A holder or a device that was not known yet is added with its id alone.
    /// Queues, lapses but for those of seats that go, reviews and the brake's window stay what they were.
    ///
    /// # Panics
    /// When the fact does not follow what was taken about the same seat or install before it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "`Chain::of` names every event and lets only these through")]
    pub fn evolve_late(&mut self, event: &Event, meta: &Meta) {
        self.waiting = None;
        let (pool, holders) = match Chain::of(event) {
            Some(Chain::Seat { pool, holder }) => (pool, [Some(holder), None]),
            Some(Chain::Install { pool, device, user }) => {
                (pool, [Some(Holder::Device(device)), user.map(Holder::User)])
            }
            None => return,
        };
        if pool.index() >= self.pools.len() {
            return;
        }
        for holder in holders.into_iter().flatten() {
            self.admit(holder, meta);
        }
        match event {
            Event::SeatGranted { pool, holder, cause: _, in_use } => self.granted_late(*pool, *holder, *in_use, meta),
            Event::SeatTaken { pool, holder } => self.enter(*pool, *holder, &ANY, SeatState::InUse, meta),
            Event::SeatIdle { pool, holder } => {
                self.orphan_installs(*pool, *holder);
                self.enter(*pool, *holder, &ANY, SeatState::Reserved, meta);
            }
            Event::SeatReleasing { pool, holder, cause, lapsed } => {
                self.enter(*pool, *holder, &ANY, SeatState::Releasing, meta);
                self.orphan_installs(*pool, *holder);
                self.lapse(*pool, *holder, *lapsed);
                let seat = self.seat_mut(*pool, *holder);
                seat.release_cause = Some(*cause);
                seat.mark(SeatMark::ReleaseSent, false);
                seat.mark(SeatMark::ReleaseRefused, false);
            }
            Event::SeatReleased { pool, holder, cause: _, lapsed } => self.released(*pool, *holder, *lapsed),
            Event::ForeignSeatAdopted { pool, holder, in_use } => {
                let to = if *in_use { SeatState::InUse } else { SeatState::Reserved };
                self.enter(*pool, *holder, &ANY, to, meta);
                self.seat_mut(*pool, *holder).granted_at = meta.position;
                self.leave_queue(*pool, *holder);
                self.lapse(*pool, *holder, false);
                self.offer_taken(*pool, *holder);
                if *in_use {
                    self.attach_installs(*pool, *holder);
                }
            }
            Event::Installed { pool, device, user, seat, is_report: _ } => {
                let key = InstallKey { device: *device, user: *user };
                self.installed(*pool, key, None, meta);
                if let Some(seat) = seat {
                    self.license_if_in_use(*pool, key, *seat);
                }
            }
            Event::InstallLicensed { pool, device, user, seat } => {
                self.license_if_in_use(*pool, InstallKey { device: *device, user: *user }, *seat);
            }
            Event::SeatReleaseSent { .. }
            | Event::SeatReleaseRefused { .. }
            | Event::SeatTakenBack { .. }
            | Event::RegrantFlagged { .. }
            | Event::SeatConfirmed { .. }
            | Event::ForeignSeatSeen { .. }
            | Event::Uninstalled { .. } => self.evolve_seat(event, meta),
            other => unreachable!("in no chain: {other:?}"),
        }
    }

    /// As a grant, whatever is owned.
    fn granted_late(&mut self, pool: PoolId, holder: Holder, in_use: bool, meta: &Meta) {
        let entry = self.pool(pool);
        let is_confirmed = !entry.details.is_confirmed_by_provider;
        self.leave_queue(pool, holder);
        self.lapse(pool, holder, false);
        let state = if in_use { SeatState::InUse } else { SeatState::Reserved };
        self.insert_seat(pool, holder, Seat::new(state, meta.position, meta.recorded_at, is_confirmed));
        if in_use {
            self.attach_installs(pool, holder);
        }
        self.offer_taken(pool, holder);
    }

    /// An install is licensed by the seat that was named last, if that one is in use then.
    fn license_if_in_use(&mut self, pool: PoolId, key: InstallKey, holder: Holder) {
        let entry = self.pool_mut(pool);
        if entry.seats.get(&holder).is_none_or(|seat| seat.state != SeatState::InUse) {
            return;
        }
        let install = entry.installs.get_mut(&key).expect("an install is licensed after it was seen");
        if let Some(before) = install.seat.take_if(|before| *before != holder) {
            entry.unlicensed += 1;
            if let Some(seat) = entry.seats.get_mut(&before) {
                seat.installs -= 1;
            }
        }
        self.license_install(pool, key, holder);
    }

    /// Somebody of whom nothing else was known then.
    fn admit(&mut self, holder: Holder, meta: &Meta) {
        match holder {
            Holder::User(user) => {
                while self.users.len() <= user.index() {
                    self.users.push(Arc::new(User {
                        id: UserId::at(self.users.len()),
                        links: Links::default(),
                        devices: Flat::default(),
                        departed: None,
                        remembered: Flat::default(),
                        offered: Flat::default(),
                        etag: meta.position,
                        since: meta.recorded_at,
                    }));
                }
            }
            Holder::Device(device) => {
                while self.devices.len() <= device.index() {
                    let facts = DeviceFacts {
                        platform: String::new(),
                        join: Join::None,
                        is_enrolled: false,
                        os_build: None,
                        has_serial: false,
                    };
                    self.devices.push(Arc::new(Device {
                        id: DeviceId::at(self.devices.len()),
                        links: Links::default(),
                        facts,
                        primary_user: None,
                        is_retired: false,
                        incarnation: 0,
                        etag: meta.position,
                        since: meta.recorded_at,
                    }));
                }
            }
        }
    }
}

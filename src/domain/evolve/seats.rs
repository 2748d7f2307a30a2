//! Seats, queues and installs: where laws 1 and 2 are asserted.

mod late;
mod part;

pub use part::Told;

use super::reviews::Parting;
use crate::domain::event::Event;
use crate::domain::facts::ReleaseCause;
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::state::{Install, InstallKey, Meta, Pool, RecentEnding, Seat, SeatMark, SeatState, Tenant};
use crate::domain::time::HOUR_MICROS;

impl Tenant {
    #[expect(clippy::wildcard_enum_match_arm, reason = "`evolve` names every event and sends only these here")]
    pub(super) fn evolve_seat(&mut self, event: &Event, meta: &Meta) {
        match event {
            Event::SeatGranted { pool, holder, cause: _, in_use } => self.granted(*pool, *holder, *in_use, meta),
            Event::SeatTaken { pool, holder } => {
                self.enter(*pool, *holder, &[SeatState::Reserved], SeatState::InUse, meta)
            }
            Event::SeatIdle { pool, holder } => {
                self.enter(*pool, *holder, &[SeatState::InUse], SeatState::Reserved, meta)
            }
            Event::SeatReleasing { pool, holder, cause, lapsed } => {
                self.note_ending(*cause, meta);
                self.settle_in_reviews(*pool, *holder, Parting::Releasing(*cause), meta);
                self.enter(*pool, *holder, &[SeatState::Reserved, SeatState::InUse], SeatState::Releasing, meta);
                self.begin_release(*pool, *holder, *cause, *lapsed);
            }
            Event::SeatReleaseSent { pool, holder } => {
                let seat = self.seat_mut(*pool, *holder);
                assert_eq!(seat.state, SeatState::Releasing, "a release is sent for a releasing seat");
                seat.mark(SeatMark::ReleaseSent, true);
            }
            Event::SeatReleaseRefused { pool, holder } => {
                self.take_back(*pool, *holder, meta);
                self.seat_mut(*pool, *holder).mark(SeatMark::ReleaseRefused, true);
            }
            Event::SeatTakenBack { pool, holder } => {
                let is_sent = self.seat(*pool, *holder).is(SeatMark::ReleaseSent);
                assert!(!is_sent, "a release that was sent can't be taken back");
                self.take_back(*pool, *holder, meta);
            }
            Event::RegrantFlagged { pool, holder } => {
                let seat = self.seat_mut(*pool, *holder);
                assert_eq!(seat.state, SeatState::Releasing, "only a releasing seat is regranted");
                seat.mark(SeatMark::RegrantWanted, true);
                self.pool_mut(*pool).regrants.insert(meta.position, *holder);
                self.lapse(*pool, *holder, false);
            }
            Event::SeatReleased { pool, holder, cause, lapsed } => {
                if self.seat(*pool, *holder).state != SeatState::Releasing {
                    self.note_ending(*cause, meta);
                }
                self.settle_in_reviews(*pool, *holder, Parting::Released(*cause), meta);
                self.released(*pool, *holder, *lapsed);
                self.note_free(*pool, meta.position);
            }
            Event::SeatConfirmed { pool, holder } => {
                let seat = self.seat_mut(*pool, *holder);
                seat.mark(SeatMark::Confirmed, true);
                if seat.state == SeatState::Reserved {
                    seat.since = meta.recorded_at;
                }
                self.forget_place(*pool, *holder);
            }
            Event::ForeignSeatSeen { pool, holder } => {
                self.insert_seat(*pool, *holder, Seat::new(SeatState::Foreign, meta.position, meta.recorded_at, true));
            }
            Event::ForeignSeatAdopted { pool, holder, in_use } => {
                self.settle_in_reviews(*pool, *holder, Parting::Adopted, meta);
                self.adopted(*pool, *holder, *in_use, meta);
            }
            Event::LapseEnded { pool, holder } => self.lapse(*pool, *holder, false),
            Event::Queued { pool, holder } => self.queue(*pool, *holder, meta.position),
            Event::Requeued { pool, holder, place } => self.queue(*pool, *holder, *place),
            Event::Dequeued { pool, holder, cause: _ } => {
                assert!(self.leave_queue(*pool, *holder), "{holder} was not queued");
            }
            Event::Installed { pool, device, user, seat, is_report: _ } => {
                self.installed(*pool, InstallKey { device: *device, user: *user }, *seat, meta);
            }
            Event::InstallLicensed { pool, device, user, seat } => {
                self.license_install(*pool, InstallKey { device: *device, user: *user }, *seat);
            }
            Event::Uninstalled { pool, device, user } => {
                self.uninstalled(*pool, InstallKey { device: *device, user: *user })
            }
            other => unreachable!("not about seats: {other:?}"),
        }
    }

    /// The brake's window: seats that directory changes ended within the last hour.
    fn note_ending(&mut self, cause: ReleaseCause, meta: &Meta) {
        if !cause.is_counted_by_the_brake() {
            return;
        }
        let hour_ago = meta.recorded_at.0 - HOUR_MICROS;
        while self.recent_endings.front().is_some_and(|ending| ending.at.0 <= hour_ago) {
            self.recent_endings.pop_front();
        }
        match self.recent_endings.back_mut() {
            Some(last) if last.at == meta.recorded_at => last.seats_ended += 1,
            Some(_) | None => {
                let ending = RecentEnding { at: meta.recorded_at, seats_ended: 1, seats_held_before: self.seats_held };
                self.recent_endings.push_back(ending);
            }
        }
    }

    pub(super) fn seat(&self, pool: PoolId, holder: Holder) -> &Seat {
        self.pool(pool).seats.get(&holder).expect("the fact is about a seat that is held")
    }

    fn seat_mut(&mut self, pool: PoolId, holder: Holder) -> &mut Seat {
        self.pool_mut(pool).seats.get_mut(&holder).expect("the fact is about a seat that is held")
    }

    fn insert_seat(&mut self, pool: PoolId, holder: Holder, seat: Seat) -> &mut Pool {
        self.links_mut(holder).seats.insert(pool);
        self.seats_held += 1;
        let entry = self.pool_mut(pool);
        *entry.count_mut(seat.state) += 1;
        assert!(entry.seats.insert(holder, seat).is_none(), "{holder} held a seat of {pool} already");
        entry
    }

    /// Law 1, from the side of the facts.
    fn granted(&mut self, pool: PoolId, holder: Holder, in_use: bool, meta: &Meta) {
        let entry = self.pool(pool);
        assert!(entry.has_free_seat(), "over-allocated: {pool} holds {} of {:?}", entry.held(), entry.owned);
        let is_confirmed = !entry.details.is_confirmed_by_provider;
        let place = entry.queued.get(&holder).copied();
        self.leave_queue(pool, holder);
        self.lapse(pool, holder, false);
        let state = if in_use { SeatState::InUse } else { SeatState::Reserved };
        let seat = Seat::new(state, meta.position, meta.recorded_at, is_confirmed);
        let entry = self.insert_seat(pool, holder, seat);
        entry.last_free_position = meta.position;
        if let Some(place) = place.filter(|_| !is_confirmed) {
            entry.places_kept.insert(holder, place);
        }
        if in_use {
            self.attach_installs(pool, holder);
        }
        self.offer_taken(pool, holder);
    }

    fn adopted(&mut self, pool: PoolId, holder: Holder, in_use: bool, meta: &Meta) {
        let to = if in_use { SeatState::InUse } else { SeatState::Reserved };
        self.enter(pool, holder, &[SeatState::Foreign], to, meta);
        self.seat_mut(pool, holder).granted_at = meta.position;
        self.leave_queue(pool, holder);
        self.lapse(pool, holder, false);
        self.offer_taken(pool, holder);
        if in_use {
            self.attach_installs(pool, holder);
        }
    }

    /// What goes with a seat that begins to go.
    fn begin_release(&mut self, pool: PoolId, holder: Holder, cause: ReleaseCause, lapsed: bool) {
        self.orphan_installs(pool, holder);
        self.lapse(pool, holder, lapsed);
        let seat = self.seat_mut(pool, holder);
        seat.release_cause = Some(cause);
        seat.mark(SeatMark::ReleaseSent, false);
        seat.mark(SeatMark::ReleaseRefused, false);
    }

    /// Where a holder waited who would not go back there any more.
    fn forget_place(&mut self, pool: PoolId, holder: Holder) {
        if self.pool(pool).places_kept.contains_key(&holder) {
            self.pool_mut(pool).places_kept.remove(&holder);
        }
    }

    fn offer_taken(&mut self, pool: PoolId, holder: Holder) {
        match holder {
            Holder::User(user) if self.user(user).offered.contains(&pool) => {
                self.user_mut(user).offered.remove(&pool);
            }
            Holder::User(_) | Holder::Device(_) => {}
        }
    }

    fn enter(&mut self, pool: PoolId, holder: Holder, from: &[SeatState], to: SeatState, meta: &Meta) {
        let entry = self.pool_mut(pool);
        let seat = entry.seats.get_mut(&holder).expect("the fact is about a seat that is held");
        let before = seat.state;
        assert!(from.contains(&before), "{holder} in {pool}: no way from {before:?} to {to:?}");
        seat.state = to;
        seat.since = meta.recorded_at;
        seat.since_position = meta.position;
        *entry.count_mut(before) -= 1;
        *entry.count_mut(to) += 1;
    }

    fn take_back(&mut self, pool: PoolId, holder: Holder, meta: &Meta) {
        let has_install = self.pool(pool).has_unlicensed_install_of(holder);
        let to = if has_install { SeatState::InUse } else { SeatState::Reserved };
        self.enter(pool, holder, &[SeatState::Releasing], to, meta);
        let seat = self.seat_mut(pool, holder);
        let was_wanted = seat.is(SeatMark::RegrantWanted);
        seat.mark(SeatMark::RegrantWanted, false);
        seat.mark(SeatMark::ReleaseSent, false);
        seat.release_cause = None;
        if was_wanted {
            self.pool_mut(pool).forget_regrant(holder);
        }
        self.lapse(pool, holder, false);
        self.offer_taken(pool, holder);
        if has_install {
            self.attach_installs(pool, holder);
        }
    }

    fn released(&mut self, pool: PoolId, holder: Holder, lapsed: bool) {
        self.orphan_installs(pool, holder);
        let entry = self.pool_mut(pool);
        let seat = entry.seats.remove(&holder).expect("a seat is released from its holder");
        *entry.count_mut(seat.state) -= 1;
        if seat.is(SeatMark::RegrantWanted) {
            entry.forget_regrant(holder);
        }
        self.forget_place(pool, holder);
        self.links_mut(holder).seats.remove(&pool);
        self.seats_held -= 1;
        if lapsed {
            self.lapse(pool, holder, true);
        }
    }

    fn lapse(&mut self, pool: PoolId, holder: Holder, lapsed: bool) {
        let is_changed = if lapsed {
            self.links_mut(holder).lapsed.insert(pool)
        } else {
            self.is_lapsed(pool, holder) && self.links_mut(holder).lapsed.remove(&pool)
        };
        if is_changed {
            // a rule reads it with the pool
            self.pool_mut(pool);
        }
    }

    fn queue(&mut self, pool: PoolId, holder: Holder, place: u64) {
        let entry = self.pool_mut(pool);
        assert!(!entry.seats.contains_key(&holder), "{holder} holds a seat of {pool} and is queued");
        assert!(entry.queued.insert(holder, place).is_none(), "{holder} is queued twice for {pool}");
        assert!(entry.queue.insert(place, holder).is_none(), "two holders at place {place} of {pool}");
        self.lapse(pool, holder, false);
        self.links_mut(holder).queued.insert(pool);
    }

    fn leave_queue(&mut self, pool: PoolId, holder: Holder) -> bool {
        if !self.pool(pool).queued.contains_key(&holder) {
            return false;
        }
        let entry = self.pool_mut(pool);
        if let Some(place) = entry.queued.remove(&holder) {
            entry.queue.remove(&place);
        }
        self.links_mut(holder).queued.remove(&pool);
        true
    }

    fn installed(&mut self, pool: PoolId, key: InstallKey, seat: Option<Holder>, meta: &Meta) {
        let install = Install { since: meta.recorded_at, since_position: meta.position, seat: None };
        let entry = self.pool_mut(pool);
        assert!(entry.installs.insert(key, install).is_none(), "{pool} is installed twice on {}", key.device);
        entry.unlicensed += 1;
        if let Some(user) = key.user {
            entry.installs_by_user.insert((user, key.device));
            self.user_mut(user).links.installed.insert(pool);
        }
        self.device_mut(key.device).links.installed.insert(pool);
        if let Some(seat) = seat {
            self.license_install(pool, key, seat);
        }
    }

    fn license_install(&mut self, pool: PoolId, key: InstallKey, holder: Holder) {
        let entry = self.pool_mut(pool);
        let install = entry.installs.get_mut(&key).expect("an install is licensed after it was seen");
        if install.seat == Some(holder) {
            return;
        }
        assert!(install.seat.is_none(), "an install uses one seat");
        install.seat = Some(holder);
        entry.unlicensed -= 1;
        let seat = entry.seats.get_mut(&holder).expect("an install is licensed by a seat that is held");
        assert_eq!(seat.state, SeatState::InUse, "an install is licensed by a seat in use");
        seat.installs += 1;
    }

    /// A seat that comes into use takes the installs that waited for one.
    fn attach_installs(&mut self, pool: PoolId, holder: Holder) {
        for key in self.pool(pool).installs_of(holder) {
            if self.pool(pool).installs.get(&key).is_some_and(|install| install.seat.is_none()) {
                self.license_install(pool, key, holder);
            }
        }
    }

    /// Installs whose seat goes stay on record as unlicensed.
    fn orphan_installs(&mut self, pool: PoolId, holder: Holder) {
        if self.seat(pool, holder).installs == 0 {
            return;
        }
        for key in self.pool(pool).installs_of(holder) {
            let entry = self.pool_mut(pool);
            if let Some(install) = entry.installs.get_mut(&key).filter(|install| install.seat == Some(holder)) {
                install.seat = None;
                entry.unlicensed += 1;
            }
        }
        self.seat_mut(pool, holder).installs = 0;
    }

    pub(super) fn uninstalled(&mut self, pool: PoolId, key: InstallKey) {
        let entry = self.pool_mut(pool);
        let install = entry.installs.remove(&key).expect("an uninstall follows an install");
        match install.seat {
            Some(holder) => entry.seats.get_mut(&holder).expect("a license is a held seat").installs -= 1,
            None => entry.unlicensed -= 1,
        }
        if let Some(user) = key.user {
            self.unlink_user_install(pool, key.device, user);
        }
        if !self.pool(pool).is_installed_on(key.device) {
            self.device_mut(key.device).links.installed.remove(&pool);
        }
    }

    fn unlink_user_install(&mut self, pool: PoolId, device: DeviceId, user: UserId) {
        let entry = self.pool_mut(pool);
        entry.installs_by_user.remove(&(user, device));
        if entry.devices_of(user).next().is_none() {
            self.user_mut(user).links.installed.remove(&pool);
        }
    }
}

//! Installs and uninstalls, asked for or reported.

use super::settle::Brake;
use super::{Judge, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::{DeviceRef, PoolRef, UserRef};
use crate::domain::event::Event;
use crate::domain::facts::{GrantCause, PoolState, ReleaseCause};
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::rejection::Rejection;
use crate::domain::state::{InstallKey, Seat, SeatMark, SeatState};

/// How an install comes by its seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum License {
    /// The holder has one already.
    Held(Holder),
    /// The holder's seat is on its way out, and covered again.
    TakenBack(Holder),
    /// A free seat is taken for the holder.
    Granted(Holder),
}

impl Judge<'_> {
    pub(super) fn install(
        &mut self,
        pool: &PoolRef,
        device: DeviceRef,
        user: Option<UserRef>,
        is_report: bool,
    ) -> Ruling {
        let pool = self.pool_id(pool)?;
        let device = self.device_id(device)?;
        let user = user.map(|user| self.user_id(user)).transpose()?;
        self.about.holder = Some(user.map_or(Holder::Device(device), Holder::User));
        if user.is_none() && self.tenant.pool(pool).is_user_only() {
            return Err(Rejection::AllUsersNotAllowed);
        }
        let key = InstallKey { device, user };
        let known = self.tenant.pool(pool).installs.get(&key).map(|install| install.seat);
        if let Some(Some(_)) = known {
            return Ok(Verdict::Unchanged(About::Install { pool, device, user }));
        }
        match self.license_for(pool, device, user) {
            Ok(license) => self.install_licensed(pool, key, license, known.is_some(), is_report),
            Err(_) if is_report && known.is_some() => {
                return Ok(Verdict::Unchanged(About::Install { pool, device, user }));
            }
            Err(_) if is_report => self.install_unlicensed(pool, key),
            Err(rejection) => return Err(rejection),
        }
        Ok(Verdict::Done)
    }

    /// Which seat an install would use: a held device seat, a held user seat, device coverage, user coverage.
    fn license_for(&mut self, pool: PoolId, device: DeviceId, user: Option<UserId>) -> Result<License, Rejection> {
        let entry = self.tenant.pool(pool);
        let machine = self.tenant.device(device);
        if machine.is_retired {
            return Err(Rejection::DeviceRetired);
        }
        let of_device = Some(Holder::Device(device))
            .filter(|_| !entry.is_user_only() && self.tenant.is_eligible(entry, &machine.facts, true));
        let of_user = user.map(Holder::User).filter(|_| self.tenant.is_eligible(entry, &machine.facts, false));
        if of_device.is_none() && of_user.is_none() {
            return Err(Rejection::DeviceNotEligible);
        }
        for holder in of_device.into_iter().chain(of_user) {
            match entry.seats.get(&holder).map(|seat| seat.state) {
                Some(SeatState::Reserved | SeatState::InUse | SeatState::Foreign) => return Ok(License::Held(holder)),
                Some(SeatState::Releasing) | None => {}
            }
        }
        let holder = self.covered_holder(pool, device, user).ok_or(Rejection::NotAssigned)?;
        match entry.state {
            PoolState::Active => {}
            PoolState::Suspended => return Err(Rejection::PoolSuspended),
            PoolState::Removed => return Err(Rejection::PoolRemoved),
        }
        match entry.seats.get(&holder) {
            Some(seat) if !seat.is(SeatMark::ReleaseSent) => Ok(License::TakenBack(holder)),
            None if entry.has_free_seat() && entry.is_serving() => Ok(License::Granted(holder)),
            Some(_) | None => Err(self.no_seat_for(pool, holder)),
        }
    }

    /// Who would be given a seat for an install: across kinds required prevails, then what is available to the user.
    fn covered_holder(&self, pool: PoolId, device: DeviceId, user: Option<UserId>) -> Option<Holder> {
        let is_user_only = self.tenant.pool(pool).is_user_only();
        let by_device = if is_user_only {
            self.tenant.coverage_of_device(pool, device)
        } else {
            self.tenant.coverage(pool, Holder::Device(device))
        };
        let by_user = user.map(|user| self.tenant.coverage(pool, Holder::User(user))).unwrap_or_default();
        let is_departed = user.is_some_and(|user| self.tenant.user(user).departed.is_some());
        let user_objects = by_user.is_to_be_uninstalled() && !by_device.is_required;
        if by_device.is_covered() && !user_objects {
            if !is_user_only {
                return Some(Holder::Device(device));
            }
            if !is_departed {
                return user.map(Holder::User);
            }
        }
        by_user.is_covered().then_some(user.map(Holder::User)).flatten()
    }

    fn install_licensed(&mut self, pool: PoolId, key: InstallKey, license: License, is_known: bool, is_report: bool) {
        let holder = match license {
            License::Held(holder) | License::TakenBack(holder) | License::Granted(holder) => holder,
        };
        match license {
            License::Held(_) => match self.tenant.pool(pool).seats.get(&holder).map(|seat| seat.state) {
                Some(SeatState::Reserved) => self.emit(Event::SeatTaken { pool, holder }),
                Some(SeatState::Foreign) => {
                    self.bring(pool, holder, true, |in_use| Event::ForeignSeatAdopted { pool, holder, in_use });
                }
                Some(SeatState::InUse | SeatState::Releasing) | None => {}
            },
            License::TakenBack(_) => {
                self.emit(Event::SeatTakenBack { pool, holder });
                if self.tenant.pool(pool).seats.get(&holder).is_some_and(|seat| seat.state == SeatState::Reserved) {
                    self.emit(Event::SeatTaken { pool, holder });
                }
            }
            License::Granted(_) => self.grant(pool, holder, GrantCause::Install),
        }
        let InstallKey { device, user } = key;
        if is_known {
            self.emit(Event::InstallLicensed { pool, device, user, seat: holder });
        } else {
            self.emit(Event::Installed { pool, device, user, seat: Some(holder), is_report });
        }
    }

    fn install_unlicensed(&mut self, pool: PoolId, key: InstallKey) {
        let InstallKey { device, user } = key;
        let reaches = self.reaches(user.map(|user| (pool, Holder::User(user))));
        self.emit(Event::Installed { pool, device, user, seat: None, is_report: true });
        // On a device that must have the app, whoever has it is wanted from now on.
        self.settle(&reaches, ReleaseCause::Uncovered, Brake::Off);
    }

    pub(super) fn uninstall(&mut self, pool: &PoolRef, device: DeviceRef, user: Option<UserRef>) -> Ruling {
        let pool = self.pool_id(pool)?;
        let device = self.device_id(device)?;
        let user = user.map(|user| self.user_on_record(user)).transpose()?;
        let key = InstallKey { device, user };
        if !self.tenant.pool(pool).installs.contains_key(&key) {
            return Ok(Verdict::Unchanged(About::Install { pool, device, user }));
        }
        let on_last = self.tenant.pool(pool).policy.on_uninstall;
        let reaches = self.reaches(user.map(|user| (pool, Holder::User(user))));
        match self.take_off(pool, key) {
            Some(holder) if self.tenant.outlives_installs(pool, holder, on_last) => {
                self.emit(Event::SeatIdle { pool, holder })
            }
            Some(holder) => {
                self.release(pool, holder, ReleaseCause::Uninstalled);
                self.license_by_people(pool, holder);
                self.serve_queue(pool);
            }
            None => {}
        }
        self.settle(&reaches, ReleaseCause::Uncovered, Brake::Off);
        Ok(Verdict::Done)
    }

    /// Takes an install off the record. Whose seat had no other: that seat is the caller's to end or to leave idle.
    #[must_use]
    pub(super) fn take_off(&mut self, pool: PoolId, key: InstallKey) -> Option<Holder> {
        let InstallKey { device, user } = key;
        let seat = self.tenant.pool(pool).installs.get(&key).and_then(|install| install.seat);
        self.emit(Event::Uninstalled { pool, device, user });
        seat.filter(|holder| self.tenant.pool(pool).seats.get(holder).is_some_and(Seat::is_unused))
    }
}

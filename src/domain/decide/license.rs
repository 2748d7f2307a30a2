//! Which installs a seat licenses that comes to its holder, and what becomes of those that a device's seat leaves behind. Not here:
//! which seat a new install uses (`install`).

use super::Judge;
use crate::domain::event::Event;
use crate::domain::ids::{DeviceId, Holder, PoolId};
use crate::domain::state::{InstallKey, Pool, SeatState};

impl Judge<'_> {
    /// A seat comes to its holder: into use if an install asks for it or waits for one. The fact says so of every install that
    /// waits; where some may have none, those that may are named one by one.
    pub(super) fn bring(&mut self, pool: PoolId, holder: Holder, is_asked_for: bool, fact: impl FnOnce(bool) -> Event) {
        let entry = self.tenant.pool(pool);
        let mut waiting = entry.installs_of(holder);
        waiting.retain(|key| is_unlicensed(entry, *key));
        let count = waiting.len();
        waiting.retain(|key| self.may_license(entry, key.device, holder));
        let in_use = is_asked_for || !waiting.is_empty();
        let takes_all = waiting.len() == count;
        self.emit(fact(in_use && takes_all));
        if in_use && !takes_all {
            self.emit(Event::SeatTaken { pool, holder });
            for InstallKey { device, user } in waiting {
                self.emit(Event::InstallLicensed { pool, device, user, seat: holder });
            }
        }
    }

    /// As for an install that is asked for: none on a device that is retired, or that may not carry the app.
    fn may_license(&self, pool: &Pool, device: DeviceId, holder: Holder) -> bool {
        let device = self.tenant.device(device);
        let is_device_seat = matches!(holder, Holder::Device(_));
        !device.is_retired && self.tenant.is_eligible(pool, &device.facts, is_device_seat)
    }

    /// A device's seat has gone: people who have the app on it use a seat that they hold themselves.
    pub(super) fn license_by_people(&mut self, pool: PoolId, holder: Holder) {
        let Holder::Device(device) = holder else { return };
        for key in self.tenant.pool(pool).installs_on(device) {
            let Some(user) = key.user else { continue };
            let (entry, seat) = (self.tenant.pool(pool), Holder::User(user));
            if !is_unlicensed(entry, key) || !self.may_license(entry, device, seat) {
                continue;
            }
            match entry.seats.get(&seat).map(|seat| seat.state) {
                Some(SeatState::Reserved) => self.emit(Event::SeatTaken { pool, holder: seat }),
                Some(SeatState::InUse) => {}
                Some(SeatState::Releasing | SeatState::Foreign) | None => continue,
            }
            self.emit(Event::InstallLicensed { pool, device, user: Some(user), seat });
        }
    }
}

fn is_unlicensed(pool: &Pool, key: InstallKey) -> bool {
    pool.installs.get(&key).is_some_and(|install| install.seat.is_none())
}

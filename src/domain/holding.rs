//! What the brake holds back, as far as it would still end: a seat that was given up otherwise, or whose holder is wanted again,
//! waits for nobody's word. Not here: when the brake holds something (`decide`).

use super::facts::{KeepOrRelease, PoolState, ReleaseCause};
use super::ids::{Holder, PoolId};
use super::state::{HeldEndings, Seat, SeatState, Tenant};

impl Tenant {
    /// Whether a person's word would still end something of it.
    #[must_use]
    pub fn still_waits(&self, held: &HeldEndings) -> bool {
        self.removals_held(held).next().is_some() || self.seats_held_by(held).next().is_some()
    }

    /// Pools that would still be removed.
    pub fn removals_held<'a>(&'a self, held: &'a HeldEndings) -> impl Iterator<Item = PoolId> + 'a {
        held.removals.iter().copied().filter(|pool| self.pool(*pool).state != PoolState::Removed)
    }

    /// Seats that would still end, in the order in which they were held.
    pub fn seats_held_by<'a>(
        &'a self,
        held: &'a HeldEndings,
    ) -> impl Iterator<Item = (PoolId, Holder, ReleaseCause)> + 'a {
        let seats = held.seats.iter().copied();
        seats.filter(|(pool, holder, cause)| self.still_ends(held, *pool, *holder, *cause))
    }

    /// Whether one of these is so now, and not for another grant than the one that was judged.
    #[must_use]
    pub fn still_ends(&self, held: &HeldEndings, pool: PoolId, holder: Holder, cause: ReleaseCause) -> bool {
        if matches!(cause, ReleaseCause::Lost | ReleaseCause::EndedAtStore) {
            return self.lost_cause(pool, holder, held.position) == Some(cause);
        }
        let entry = self.pool(pool);
        let is_ours =
            |seat: &&Seat| entry.is_revocable(seat) && matches!(seat.state, SeatState::Reserved | SeatState::InUse);
        let Some(seat) = entry.seats.get(&holder).filter(is_ours) else {
            return false;
        };
        match cause {
            ReleaseCause::Departed => match holder {
                Holder::User(user) => self.user(user).departed.is_some_and(|departed| departed.grace_until.is_none()),
                Holder::Device(_) => false,
            },
            ReleaseCause::DeficitPlan => entry.over_by() > entry.releasing,
            ReleaseCause::Uncovered | ReleaseCause::Ineligible | ReleaseCause::Unassigned => {
                !self.is_in_grace(holder) && !self.coverage(pool, holder).is_covered()
            }
            ReleaseCause::DeviceRetired => match holder {
                // idle ever since, and not by another grant
                Holder::User(_) => {
                    seat.state == SeatState::Reserved
                        && seat.since_position < held.position
                        && !self.outlives_installs(pool, holder, entry.on_device_retirement())
                }
                Holder::Device(device) => self.device(device).is_retired,
            },
            ReleaseCause::Uninstalled
            | ReleaseCause::TimedOut
            | ReleaseCause::Reclaimed
            | ReleaseCause::RefusedByProvider
            | ReleaseCause::NotEnoughAtProvider
            | ReleaseCause::Lost
            | ReleaseCause::EndedAtStore
            | ReleaseCause::Reviewed => true,
        }
    }

    /// Why a seat ends that its store does not show: one of ours, or a foreign one, that is as it was when the store was read. One
    /// that was given at this position or later is another seat than the one that was missed.
    #[must_use]
    pub fn lost_cause(&self, pool: PoolId, holder: Holder, before: u64) -> Option<ReleaseCause> {
        let pool = self.pools.get(pool.index())?;
        let seat = pool.seats.get(&holder).filter(|seat| seat.granted_at < before)?;
        match seat.state {
            SeatState::Foreign => Some(ReleaseCause::EndedAtStore),
            SeatState::Reserved | SeatState::InUse if seat.is_confirmed && !pool.details.is_irrevocable => {
                Some(ReleaseCause::Lost)
            }
            SeatState::Reserved | SeatState::InUse | SeatState::Releasing => None,
        }
    }

    /// Whether a seat stays with its holder when its last install goes.
    #[must_use]
    pub fn outlives_installs(&self, pool: PoolId, holder: Holder, on_last: KeepOrRelease) -> bool {
        let entry = self.pool(pool);
        if entry.seats.get(&holder).is_none_or(|seat| !entry.is_revocable(seat)) {
            return true;
        }
        match on_last {
            KeepOrRelease::Release => false,
            KeepOrRelease::Keep => self.coverage(pool, holder).is_covered() || self.is_in_grace(holder),
        }
    }

    /// Departed, and the seats stay for a while.
    #[must_use]
    pub fn is_in_grace(&self, holder: Holder) -> bool {
        match holder {
            Holder::User(user) => self.user(user).is_in_grace(),
            Holder::Device(_) => false,
        }
    }
}

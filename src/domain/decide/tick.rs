//! What time itself brings about: graces end, entitlements end, reservations time out, reviews end.

use super::settle::Brake;
use super::{Judge, Verdict};
use crate::domain::asked::About;
use crate::domain::event::Event;
use crate::domain::facts::{CapacityCause, Owned, PoolState, ReleaseCause};
use crate::domain::ids::{Holder, PoolId, UserId};
use crate::domain::key::Provider;
use crate::domain::state::{Pool, Seat, SeatState};
use crate::domain::time::Time;

/// A tick begins with nothing more once it has made so many facts: the next one, a moment later, goes on, and others get their
/// turn between. What lasts long comes to its end, and only then is it the turn of what stands behind it: nothing that a tick
/// has ended falls due again within a day.
pub const TICK_FACTS_MAX: usize = 4000;
/// Entitlements that end at once are ended in one tick: the brake judges what they take back as a whole.
const ENTITLEMENTS_MAX: usize = 10_000;

impl Judge<'_> {
    pub(super) fn tick(&mut self) -> Verdict {
        self.end_graces();
        self.end_entitlements();
        self.time_out_reservations();
        self.end_reviews();
        self.done_or(About::Tenant)
    }

    /// So many facts may still be made in this tick.
    pub(super) fn left_of_tick(&self) -> usize {
        TICK_FACTS_MAX.saturating_sub(self.facts.len())
    }

    fn end_graces(&mut self) {
        let now = self.now;
        let due: Vec<UserId> = self
            .tenant
            .graces
            .iter()
            .take_while(|(until, _)| *until <= now)
            .take(TICK_FACTS_MAX)
            .map(|(_, user)| *user)
            .collect();
        for user in due {
            if self.left_of_tick() == 0 {
                return;
            }
            self.emit(Event::GraceEnded { user });
            let endings = self.departure_endings(user);
            self.end_seats(&endings, Brake::Departure);
        }
    }

    fn end_entitlements(&mut self) {
        if self.left_of_tick() == 0 {
            return;
        }
        let now = self.now;
        let due: Vec<PoolId> = self
            .tenant
            .entitlement_ends
            .iter()
            .take_while(|(end, _)| *end <= now)
            .take(ENTITLEMENTS_MAX)
            .map(|(_, pool)| *pool)
            .collect();
        for pool in &due {
            self.emit(Event::CapacityChanged { pool: *pool, owned: Owned::Count(0), cause: CapacityCause::Expired });
        }
        for provider in Provider::ALL {
            let of_provider: Vec<PoolId> =
                due.iter().copied().filter(|pool| self.tenant.pool(*pool).key.provider() == provider).collect();
            self.reclaim_deficits(of_provider, None);
        }
    }

    fn time_out_reservations(&mut self) {
        for id in 0..self.tenant.pools.len() {
            if self.left_of_tick() == 0 {
                return;
            }
            let pool = PoolId::at(id);
            if may_time_out(self.tenant.pool(pool), self.now) {
                self.time_out_in(pool);
            }
        }
    }

    fn time_out_in(&mut self, pool: PoolId) {
        let entry = self.tenant.pool(pool);
        let Some(days) = entry.policy.reservation_timeout_days else {
            return;
        };
        let left = self.left_of_tick();
        let mut due: Vec<Holder> = Vec::new();
        let mut next: Time = self.now.plus_days(days);
        for (holder, seat) in entry.seats.iter() {
            let Some(at) = times_out_at(entry, seat, days) else { continue };
            if at > self.now {
                next = next.min(at);
            } else if due.len() < left {
                due.push(*holder);
            } else {
                next = self.now;
                break;
            }
        }
        for holder in &due {
            self.release(pool, *holder, ReleaseCause::TimedOut);
        }
        self.serve_queue(pool);
        self.tenant.pool_mut(pool).next_timeout = Some(next);
    }
}

fn may_time_out(pool: &Pool, now: Time) -> bool {
    pool.policy.reservation_timeout_days.is_some()
        && pool.reserved > 0
        && !pool.details.is_irrevocable
        && pool.state != PoolState::Removed
        && pool.next_timeout.is_none_or(|at| at <= now)
}

/// From the last entry into `reserved`, or from the policy where that is younger; not while unconfirmed.
fn times_out_at(pool: &Pool, seat: &Seat, days: u32) -> Option<Time> {
    (seat.state == SeatState::Reserved && seat.is_confirmed())
        .then(|| seat.since.max(pool.policy_since).plus_days(days))
}

impl crate::domain::state::Tenant {
    /// Whether a tick at this instant could have anything to do.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.graces.first().is_some_and(|(until, _)| *until <= now)
            || self.entitlement_ends.first().is_some_and(|(end, _)| *end <= now)
            || self.has_review_due(now)
            || self.pools.iter().any(|pool| may_time_out(pool, now))
    }
}

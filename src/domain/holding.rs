//! What the brake holds back, as far as it would still end: a seat that was given up otherwise, or whose holder is wanted again,
//! waits for nobody's word. Not here: when the brake holds something (`decide`).

use super::facts::{KeepOrRelease, PoolState, ReleaseCause};
use super::ids::{HeldId, Holder, PoolId, UserId};
use super::state::{HeldEndings, Seat, SeatState, Tenant};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the brake holds of the directory's changes, by seat, with how much of each hold would still end: nobody confirms a hold
/// that has come to nothing, so it stays, and must cost nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    seats: BTreeMap<(PoolId, Holder), Vec<(HeldId, ReleaseCause)>>,
    /// Only of holds that still wait.
    counts: BTreeMap<HeldId, u64>,
}

impl Tenant {
    /// Whether a person's word would still end something of it.
    #[must_use]
    pub fn still_waits(&self, held: &HeldEndings) -> bool {
        match self.counted_of(held) {
            Some(seats) => seats > 0,
            None => self.removals_held(held).next().is_some() || self.seats_held_by(held).next().is_some(),
        }
    }

    /// How many seats would still end, where that is counted.
    #[must_use]
    pub fn counted_of(&self, held: &HeldEndings) -> Option<u64> {
        let waiting = self.waiting.as_ref().filter(|_| held.is_of_the_directory())?;
        Some(waiting.counts.get(&held.id).copied().unwrap_or(0))
    }

    /// Whether anything of the directory waits for a person's word.
    pub(super) fn directory_waits(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        match &self.waiting {
            Some(waiting) => debug_assert_eq!(waiting.counts, self.count_waiting().counts),
            None => self.waiting = Some(Arc::new(self.count_waiting())),
        }
        self.waiting.as_ref().is_some_and(|waiting| !waiting.counts.is_empty())
    }

    pub(super) fn count_waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for held in self.held.values().filter(|held| held.is_of_the_directory()) {
            for (pool, holder, cause) in held.seats.iter().copied() {
                waiting.seats.entry((pool, holder)).or_default().push((held.id, cause));
            }
            let still = self.seats_held_by(held).count() as u64;
            if still > 0 {
                waiting.counts.insert(held.id, still);
            }
        }
        waiting
    }

    /// A seat that may change: what of it would end is counted no more, until `count_waiting_at`.
    pub(super) fn uncount_waiting(&mut self, pool: PoolId, holder: Holder) {
        let holds = self.holds_that_end(pool, holder);
        let Some(waiting) = self.waiting.as_mut().filter(|_| !holds.is_empty()) else { return };
        let counts = &mut Arc::make_mut(waiting).counts;
        for held in holds {
            let is_last = counts.get_mut(&held).is_some_and(|count| {
                *count -= 1;
                *count == 0
            });
            if is_last {
                counts.remove(&held);
            }
        }
    }

    pub(super) fn count_waiting_at(&mut self, pool: PoolId, holder: Holder) {
        let holds = self.holds_that_end(pool, holder);
        let Some(waiting) = self.waiting.as_mut().filter(|_| !holds.is_empty()) else { return };
        let counts = &mut Arc::make_mut(waiting).counts;
        for held in holds {
            *counts.entry(held).or_default() += 1;
        }
    }

    /// The holds of which this seat would still end; one stands here for each time that it was held.
    fn holds_that_end(&self, pool: PoolId, holder: Holder) -> Vec<HeldId> {
        let held = self.waiting.iter().filter_map(|waiting| waiting.seats.get(&(pool, holder))).flatten();
        let still_ends = |(held, cause): &&(HeldId, ReleaseCause)| {
            self.held.get(held).is_some_and(|held| self.still_ends(held, pool, holder, *cause))
        };
        held.filter(still_ends).map(|(held, _)| *held).collect()
    }

    /// What was held just now; the first of it begins the count, so that who reads finds one.
    pub(super) fn add_waiting(&mut self, held: HeldId, seats: &[(PoolId, Holder)], cause: ReleaseCause) {
        let Some(entry) = self.held.get(&held).filter(|held| held.is_of_the_directory()) else { return };
        let still_ends = |(pool, holder): &&(PoolId, Holder)| self.still_ends(entry, *pool, *holder, cause);
        let still = seats.iter().filter(still_ends).count() as u64;
        let Some(waiting) = &mut self.waiting else {
            self.waiting = Some(Arc::new(self.count_waiting()));
            return;
        };
        let waiting = Arc::make_mut(waiting);
        for seat in seats {
            waiting.seats.entry(*seat).or_default().push((held, cause));
        }
        if still > 0 {
            *waiting.counts.entry(held).or_default() += still;
        }
    }

    /// A pool has changed as a whole: what is held of it is to be counted anew.
    pub(super) fn forget_waiting_of(&mut self, pool: PoolId) {
        let from = (pool, Holder::User(UserId(0)));
        let next = self.waiting.as_ref().and_then(|waiting| waiting.seats.range(from..).next());
        if next.is_some_and(|((of, _), _)| *of == pool) {
            self.waiting = None;
        }
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
            SeatState::Reserved | SeatState::InUse if seat.is_confirmed() && !pool.details.is_irrevocable => {
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

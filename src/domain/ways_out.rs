//! The ways out of a shortage: how many seats of a pool each would free, whoever gets them. Counted seat by seat when the pool is
//! first asked for, and kept from then on: one that is sold out is asked for again and again, between other changes. Not here:
//! what keeps the counts right (`evolve`), and who comes before whoever was refused (`decide`).

use super::facts::KeepOrRelease;
use super::ids::{Holder, PoolId};
use super::state::{Pool, Seat, SeatState, Tenant};

/// What each way out would free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WaysOut {
    /// The last change of the pool that these counts know of.
    pub as_of: u64,
    pub uninstall_would_free: u64,
    pub narrow_would_free: u64,
}

impl WaysOut {
    pub(super) fn add(&mut self, other: Self) {
        self.uninstall_would_free += other.uninstall_would_free;
        self.narrow_would_free += other.narrow_would_free;
    }

    /// `None` where that is no part of it.
    pub(super) fn without(self, part: Self) -> Option<Self> {
        Some(Self {
            as_of: self.as_of,
            uninstall_would_free: self.uninstall_would_free.checked_sub(part.uninstall_would_free)?,
            narrow_would_free: self.narrow_would_free.checked_sub(part.narrow_would_free)?,
        })
    }
}

impl Tenant {
    /// Counted anew only where the pool has changed as a whole.
    pub(super) fn ways_out(&mut self, pool: PoolId) -> WaysOut {
        if let Some(known) = self.known_ways_out(pool) {
            debug_assert_eq!(known, self.count_ways_out(pool), "{pool}");
            return known;
        }
        let counted = self.count_ways_out(pool);
        self.ways_out_counted.insert(pool, counted);
        counted
    }

    /// As they were counted, where that still holds.
    pub(super) fn known_ways_out(&self, pool: PoolId) -> Option<WaysOut> {
        self.ways_out_counted.get(&pool).copied().filter(|counted| counted.as_of == self.pool(pool).changed)
    }

    pub(super) fn count_ways_out(&self, pool: PoolId) -> WaysOut {
        let entry = self.pool(pool);
        let mut counted = WaysOut { as_of: entry.changed, ..WaysOut::default() };
        for (holder, seat) in entry.seats.iter() {
            counted.add(self.ways_out_of(entry, *holder, seat));
        }
        counted
    }

    /// Of one holder's seat, if there is one.
    pub(super) fn ways_out_at(&self, pool: PoolId, holder: Holder) -> WaysOut {
        let entry = self.pool(pool);
        entry.seats.get(&holder).map_or(WaysOut::default(), |seat| self.ways_out_of(entry, holder, seat))
    }

    fn ways_out_of(&self, pool: &Pool, holder: Holder, seat: &Seat) -> WaysOut {
        let uninstalls = pool.policy.on_uninstall == KeepOrRelease::Release;
        // a seat that nothing targets is not freed by targeting less
        let narrows = pool.policy.untargeted == KeepOrRelease::Release;
        let is_covered = || self.coverage(pool.id, holder).is_covered();
        let (by_uninstall, by_narrowing) = match seat.state {
            SeatState::Reserved | SeatState::InUse if !pool.is_revocable(seat) => (false, false),
            SeatState::Reserved => (false, is_covered()),
            SeatState::InUse if uninstalls && !narrows => (true, false),
            SeatState::InUse => {
                let outlives = self.outlives_installs(pool.id, holder, pool.policy.on_uninstall);
                (!outlives, narrows && is_covered())
            }
            SeatState::Releasing | SeatState::Foreign => (false, false),
        };
        WaysOut {
            as_of: pool.changed,
            uninstall_would_free: u64::from(by_uninstall),
            narrow_would_free: u64::from(by_narrowing),
        }
    }
}

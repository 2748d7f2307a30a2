//! The ordered plan for getting a pool back under its cap.

use super::ids::{Holder, PoolId};
use super::state::{Pool, Seat, SeatState, Tenant};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Which kind of seat goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanRank {
    DepartedInGrace,
    ReservedUntargeted,
    InUseUntargeted,
    Reserved,
    InUse,
}

/// Seats to take, in order, and what that can't reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeficitPlan {
    pub seats: Vec<(Holder, PlanRank)>,
    pub uncovered_by: u64,
}

impl Tenant {
    /// As many seats as `over_by - releasing`; within a rank the newest grant goes first. Foreign and irrevocable seats
    /// are never in it.
    #[must_use]
    pub fn deficit_plan(&self, id: PoolId) -> DeficitPlan {
        self.deficit_plan_beside(id, &BTreeSet::new())
    }

    /// The same where these of its seats, none of which is releasing, are to go anyway.
    #[must_use]
    pub fn deficit_plan_beside(&self, id: PoolId, going: &BTreeSet<Holder>) -> DeficitPlan {
        let pool = self.pool(id);
        let wanted = pool.over_by().saturating_sub(pool.releasing + going.len() as u64);
        let mut ranked: Vec<_> = if wanted == 0 { Vec::new() } else { self.ranked_seats(pool) };
        ranked.retain(|(_, _, holder)| !going.contains(holder));
        ranked.sort_by_key(|(rank, granted_at, _)| (*rank, std::cmp::Reverse(*granted_at)));
        let reach = usize::try_from(wanted).unwrap_or(usize::MAX).min(ranked.len());
        ranked.truncate(reach);
        let seats: Vec<_> = ranked.into_iter().map(|(rank, _, holder)| (holder, rank)).collect();
        let uncovered_by = wanted - seats.len() as u64;
        DeficitPlan { seats, uncovered_by }
    }

    fn ranked_seats(&self, pool: &Pool) -> Vec<(PlanRank, u64, Holder)> {
        let ranked = |(holder, seat): (&Holder, &Seat)| {
            let rank = self.plan_rank(pool, *holder, seat)?;
            pool.is_revocable(seat).then_some((rank, seat.granted_at, *holder))
        };
        pool.seats.iter().filter_map(ranked).collect()
    }

    fn plan_rank(&self, pool: &Pool, holder: Holder, seat: &Seat) -> Option<PlanRank> {
        if let Holder::User(user) = holder
            && self.user(user).is_in_grace()
            && matches!(seat.state, SeatState::Reserved | SeatState::InUse)
        {
            return Some(PlanRank::DepartedInGrace);
        }
        let is_covered = self.coverage(pool.id, holder).is_covered();
        match (seat.state, is_covered) {
            (SeatState::Reserved, false) => Some(PlanRank::ReservedUntargeted),
            (SeatState::InUse, false) => Some(PlanRank::InUseUntargeted),
            (SeatState::Reserved, true) => Some(PlanRank::Reserved),
            (SeatState::InUse, true) => Some(PlanRank::InUse),
            (SeatState::Releasing | SeatState::Foreign, _) => None,
        }
    }
}

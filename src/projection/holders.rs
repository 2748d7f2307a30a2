//! Who holds a pool's seats, folded from the pool's own events, or from one holder's: since when, granted where, and
//! whether the app was ever used under the seat. Not here: who else is covered or waits.

use super::figures::PoolFigures;
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{Holder, PoolId};
use crate::domain::placing::Chain;
use crate::domain::state::{Pool, Seat, SeatState};
use crate::domain::time::Time;
use std::collections::BTreeMap;

/// One seat, as far as its events tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldSeat {
    pub state: SeatState,
    /// Where it was granted, adopted, or first seen.
    pub granted_position: u64,
    /// When and where it entered its state; a reservation that the provider confirms begins with that.
    pub since: Time,
    pub since_position: u64,
    /// Whether it was in use at any moment since the grant; `None` where only the history can tell.
    pub was_in_use: Option<bool>,
}

impl HeldSeat {
    /// As a state shows it.
    #[must_use]
    pub fn of(seat: &Seat) -> Self {
        let was_in_use = match seat.state {
            SeatState::InUse => Some(true),
            SeatState::Reserved | SeatState::Releasing | SeatState::Foreign => {
                (seat.since_position == seat.granted_at).then_some(false)
            }
        };
        Self {
            state: seat.state,
            granted_position: seat.granted_at,
            since: seat.since,
            since_position: seat.since_position,
            was_in_use,
        }
    }

    /// The positions that prove it.
    #[must_use]
    pub fn evidence(&self) -> Vec<u64> {
        let mut positions = vec![self.granted_position, self.since_position];
        positions.dedup();
        positions
    }
}

/// Every seat of a pool from a holder on, as a state shows it.
pub fn seats_from(pool: &Pool, after: Option<Holder>) -> impl Iterator<Item = (Holder, HeldSeat)> + '_ {
    let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    pool.seats.range((from, std::ops::Bound::Unbounded)).map(|(holder, seat)| (*holder, HeldSeat::of(seat)))
}

/// The fold.
#[derive(Debug, Clone)]
pub struct Holders {
    pool: PoolId,
    figures: PoolFigures,
    seats: BTreeMap<Holder, HeldSeat>,
}

impl Holders {
    #[must_use]
    pub fn new(pool: PoolId) -> Self {
        Self { pool, figures: PoolFigures::new(pool), seats: BTreeMap::new() }
    }

    #[must_use]
    pub fn seats(&self) -> &BTreeMap<Holder, HeldSeat> {
        &self.seats
    }

    #[must_use]
    pub fn figures(&self) -> &PoolFigures {
        &self.figures
    }

    /// Takes one fact; what is of another pool changes nothing.
    pub fn take(&mut self, recorded: &Recorded) {
        self.figures.take(&recorded.event);
        let Some((pool, holder)) = seat_of(&recorded.event) else { return };
        if pool != self.pool {
            return;
        }
        let (position, at) = (recorded.position, recorded.envelope.recorded_at);
        let Some(state) = self.figures.seat(holder) else {
            self.seats.remove(&holder);
            return;
        };
        let is_in_use = state == SeatState::InUse;
        let fresh = HeldSeat {
            state,
            granted_position: position,
            since: at,
            since_position: position,
            was_in_use: Some(is_in_use),
        };
        let seat = self.seats.entry(holder).or_insert(fresh);
        if seat.state != state {
            (seat.state, seat.since, seat.since_position) = (state, at, position);
            seat.was_in_use = Some(seat.was_in_use == Some(true) || is_in_use);
        }
        if matches!(recorded.event, Event::ForeignSeatAdopted { .. }) {
            *seat = fresh;
        }
        if matches!(recorded.event, Event::SeatConfirmed { .. }) && state == SeatState::Reserved {
            seat.since = at;
        }
    }
}

/// The seat that an event is about.
#[must_use]
pub fn seat_of(event: &Event) -> Option<(PoolId, Holder)> {
    match Chain::of(event)? {
        Chain::Seat { pool, holder } => Some((pool, holder)),
        Chain::Install { .. } => None,
    }
}

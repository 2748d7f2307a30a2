//! What an access review does to each of its seats, and the list of them. Not here: who may decide what when
//! (`decide/review.rs`).

use super::facts::KeepOrRelease;
use super::ids::{DeviceId, Holder, PoolId, UserId};
use super::state::{Pool, Review, Seat, SeatState, Settled, Tenant};
use serde::Serialize;
use std::ops::Bound;

/// A frozen seat: still held, or how it ended.
#[derive(Debug, Clone, Copy)]
pub struct ReviewSeat<'a> {
    pub pool: PoolId,
    pub holder: Holder,
    pub now: Standing<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    Held(&'a Seat),
    Settled(&'a Settled),
}

/// Why a seat that is held stays, or goes, at the end of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    Decided,
    /// Nobody decided: the review's rule.
    Undecided,
    /// It was to be released, and counts for good.
    Irrevocable,
    /// It was to be released, and was not granted here.
    Foreign,
    /// It was to be released, and is on its way back for another cause.
    Releasing,
}

/// What the end of a review does to one seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    pub is_released: bool,
    pub why: Why,
}

impl Review {
    /// What the end does to a seat as it is now.
    #[must_use]
    pub fn fate_of(&self, pool: &Pool, holder: Holder, seat: &Seat) -> Fate {
        let decided = self.decisions.get(&(pool.id, holder)).map(|decided| decided.decision);
        let why = if decided.is_some() { Why::Decided } else { Why::Undecided };
        match decided.unwrap_or(self.undecided_rule) {
            KeepOrRelease::Keep => Fate { is_released: false, why },
            KeepOrRelease::Release if seat.state == SeatState::Foreign => {
                Fate { is_released: false, why: Why::Foreign }
            }
            KeepOrRelease::Release if pool.details.is_irrevocable => Fate { is_released: false, why: Why::Irrevocable },
            KeepOrRelease::Release if seat.state == SeatState::Releasing => {
                Fate { is_released: false, why: Why::Releasing }
            }
            KeepOrRelease::Release => Fate { is_released: true, why },
        }
    }
}

impl Tenant {
    /// One seat of a review that is under way; `None` where it was not frozen.
    #[must_use]
    pub fn seat_of_review<'a>(&'a self, review: &'a Review, pool: PoolId, holder: Holder) -> Option<ReviewSeat<'a>> {
        if !review.pools.contains(&pool) {
            return None;
        }
        let now = match review.settled.get(&(pool, holder)) {
            Some(settled) => Standing::Settled(settled),
            None => Standing::Held(self.pool(pool).seats.get(&holder).filter(|seat| review.froze(seat))?),
        };
        Some(ReviewSeat { pool, holder, now })
    }

    /// The frozen seats of a review that is under way, by pool and holder; behind a seat, if one is given.
    pub fn seats_of_review<'a>(
        &'a self,
        review: &'a Review,
        after: Option<(PoolId, Holder)>,
    ) -> impl Iterator<Item = ReviewSeat<'a>> + 'a {
        let first = after.map_or(Bound::Unbounded, |(pool, _)| Bound::Included(pool));
        review.pools.range((first, Bound::Unbounded)).flat_map(move |pool| {
            let from = match after {
                Some((of, holder)) if of == *pool => Bound::Excluded(holder),
                Some(_) | None => Bound::Unbounded,
            };
            self.seats_of_pool(review, *pool, from)
        })
    }

    /// Two sorted lists as one: seats that are held, and those that were settled meanwhile.
    fn seats_of_pool<'a>(
        &'a self,
        review: &'a Review,
        pool: PoolId,
        from: Bound<Holder>,
    ) -> impl Iterator<Item = ReviewSeat<'a>> + 'a {
        let seats = self.pool(pool).seats.range((from, Bound::Unbounded));
        let is_frozen =
            move |holder: Holder, seat: &Seat| review.froze(seat) && !review.settled.contains_key(&(pool, holder));
        let mut held = seats.filter(move |(holder, seat)| is_frozen(**holder, seat)).peekable();
        let place = |holder: Holder| (pool, holder);
        let first = from.map(place);
        let settled = review.settled.range((
            if from == Bound::Unbounded { Bound::Included((pool, FIRST_HOLDER)) } else { first },
            Bound::Included((pool, LAST_HOLDER)),
        ));
        let mut settled = settled.peekable();
        std::iter::from_fn(move || {
            let is_held_next = match (held.peek(), settled.peek()) {
                (Some((holder, _)), Some(((_, other), _))) => *holder < other,
                (Some(_), None) => true,
                (None, Some(_) | None) => false,
            };
            if is_held_next {
                held.next().map(|(holder, seat)| ReviewSeat { pool, holder: *holder, now: Standing::Held(seat) })
            } else {
                settled.next().map(|((_, holder), settled)| ReviewSeat {
                    pool,
                    holder: *holder,
                    now: Standing::Settled(settled),
                })
            }
        })
    }
}

/// Users stand before devices.
const FIRST_HOLDER: Holder = Holder::User(UserId(0));
const LAST_HOLDER: Holder = Holder::Device(DeviceId(u32::MAX));

//! The course of every pool, in steps of many events: what was owned and held at each mark, and the extremes between two.
//! A question about the past folds the events behind one mark and no others; what lies between two marks is skipped where
//! its extremes say that it holds nothing. The entries grow by one with each [`MARK_EVENTS`] events about a pool.

use super::change::Change;
use crate::domain::event::Recorded;
use crate::domain::facts::{AppPrice, DistributionPolicy, Owned, PoolState};
use crate::domain::ids::PoolId;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// So many events about a pool lie between two of its marks; few in tests, whose histories are short.
pub const MARK_EVENTS: u32 = if cfg!(test) { 16 } else { 1024 };

/// What a pool owns and how much of it is held, just after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    pub owned: Owned,
    pub distribution_policy: DistributionPolicy,
    pub state: PoolState,
    pub held: u64,
    /// Refusals so far, with their repeats.
    pub refused: u64,
    /// Grants so far.
    pub granted: u64,
    /// Those of them for which no seat was free. The rules let none come about.
    pub granted_above_cap: u64,
    /// Where owned or the distribution policy was set last.
    pub owned_position: u64,
    /// Where held changed last; `None` while no seat was ever held.
    pub held_position: Option<u64>,
}

impl Course {
    /// Of a pool that is new.
    #[must_use]
    pub fn listed(owned: Owned, distribution_policy: DistributionPolicy, position: u64) -> Self {
        Self {
            owned,
            distribution_policy,
            state: PoolState::Active,
            held: 0,
            refused: 0,
            granted: 0,
            granted_above_cap: 0,
            owned_position: position,
            held_position: None,
        }
    }

    /// As [`crate::domain::state::Pool::cap`].
    #[must_use]
    pub fn cap(&self) -> Option<u64> {
        match (self.distribution_policy, self.owned) {
            (DistributionPolicy::Restricted, Owned::Count(owned)) => Some(owned),
            (DistributionPolicy::Restricted, Owned::Unlimited)
            | (DistributionPolicy::Open, Owned::Count(_) | Owned::Unlimited) => None,
        }
    }

    #[must_use]
    pub fn free(&self) -> Owned {
        self.cap().map_or(Owned::Unlimited, |cap| Owned::Count(cap.saturating_sub(self.held)))
    }

    #[must_use]
    pub fn over_by(&self) -> u64 {
        self.cap().map_or(0, |cap| self.held.saturating_sub(cap))
    }

    /// Every seat of a capped pool is held, and there are some.
    #[must_use]
    pub fn is_sold_out(&self) -> bool {
        self.held > 0 && self.cap().is_some_and(|cap| self.held >= cap)
    }

    /// Takes what an event changed.
    pub fn take(&mut self, change: Change<'_>, position: u64) {
        match change {
            Change::Listed { owned, distribution_policy, .. } => {
                *self = Self::listed(owned, distribution_policy, position);
            }
            Change::Owned(owned) => (self.owned, self.owned_position) = (owned, position),
            Change::DistributionPolicy(policy) => {
                (self.distribution_policy, self.owned_position) = (policy, position);
            }
            Change::State(state) => self.state = state,
            Change::Removed => {
                self.state = PoolState::Removed;
                (self.owned, self.owned_position) = (Owned::Count(0), position);
            }
            Change::Granted => {
                self.granted += 1;
                self.granted_above_cap += u64::from(self.cap().is_some_and(|cap| self.held >= cap));
                (self.held, self.held_position) = (self.held + 1, Some(position));
            }
            Change::Seen => (self.held, self.held_position) = (self.held + 1, Some(position)),
            Change::Given => (self.held, self.held_position) = (self.held.saturating_sub(1), Some(position)),
            Change::Refused(count) => self.refused += count,
            Change::Price(_) | Change::Other => {}
        }
    }
}

/// The most that was held, and where that was reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    pub held: u64,
    pub position: u64,
    pub at: Time,
    /// Owned at that moment.
    pub owned: Owned,
}

/// What was true after at least one of some events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Extremes {
    pub peak: Peak,
    pub owned_min: Owned,
    pub was_over: bool,
    pub was_within: bool,
    pub was_sold_out: bool,
    pub was_not_sold_out: bool,
}

impl Extremes {
    #[must_use]
    pub fn of(course: &Course, position: u64, at: Time) -> Self {
        let (is_over, is_sold_out) = (course.over_by() > 0, course.is_sold_out());
        Self {
            peak: Peak { held: course.held, position, at, owned: course.owned },
            owned_min: course.owned,
            was_over: is_over,
            was_within: !is_over,
            was_sold_out: is_sold_out,
            was_not_sold_out: !is_sold_out,
        }
    }

    /// With what came later.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        Self {
            peak: if later.peak.held > self.peak.held { later.peak } else { self.peak },
            owned_min: lower(self.owned_min, later.owned_min),
            was_over: self.was_over || later.was_over,
            was_within: self.was_within || later.was_within,
            was_sold_out: self.was_sold_out || later.was_sold_out,
            was_not_sold_out: self.was_not_sold_out || later.was_not_sold_out,
        }
    }
}

fn lower(a: Owned, b: Owned) -> Owned {
    match (a, b) {
        (Owned::Count(a), Owned::Count(b)) => Owned::Count(a.min(b)),
        (Owned::Count(count), Owned::Unlimited) | (Owned::Unlimited, Owned::Count(count)) => Owned::Count(count),
        (Owned::Unlimited, Owned::Unlimited) => Owned::Unlimited,
    }
}

/// A place from which a course goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    /// The first position behind it that is about the pool.
    first: u64,
    /// Just before that; `None` before the pool was listed.
    before: Option<Course>,
    /// Of everything up to the next mark.
    extremes: Option<Extremes>,
}

/// What lies between two marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The last one has no end: it goes on.
    pub positions: Range<u64>,
    pub before: Option<Course>,
    /// `None` where it is not over yet, so that more may come to it.
    pub extremes: Option<Extremes>,
}

/// The course of one pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolCourse {
    pub now: Course,
    marks: Vec<Mark>,
    events_since_mark: u32,
    /// Each price, from the position on that set it.
    prices: Vec<(u64, Option<AppPrice>)>,
}

impl PoolCourse {
    /// Where the pool was listed.
    #[must_use]
    pub fn listed_position(&self) -> u64 {
        self.marks.first().map_or(u64::MAX, |mark| mark.first)
    }

    /// The listed price just after a position, and where it was set.
    #[must_use]
    pub fn price_at(&self, position: u64) -> Option<(u64, &AppPrice)> {
        let count = self.prices.partition_point(|(since, _)| *since <= position);
        let (since, price) = self.prices.get(count.checked_sub(1)?)?;
        price.as_ref().map(|price| (*since, price))
    }

    /// Every stretch that has a part in these positions, in order; the first one begins at or before them.
    #[must_use]
    pub fn stretches(&self, positions: &Range<u64>) -> Vec<Stretch> {
        let skipped = self.marks.partition_point(|mark| mark.first <= positions.start).saturating_sub(1);
        let rest = self.marks.get(skipped..).unwrap_or_default();
        let of = |(at, mark): (usize, &Mark)| {
            let next = rest.get(at + 1).map(|mark| mark.first);
            Stretch {
                positions: mark.first..next.unwrap_or(u64::MAX),
                before: mark.before,
                extremes: next.and(mark.extremes),
            }
        };
        rest.iter().enumerate().map(of).take_while(|stretch| stretch.positions.start < positions.end).collect()
    }

    fn take(&mut self, change: Change<'_>, recorded: &Recorded) {
        let position = recorded.position;
        if self.events_since_mark >= MARK_EVENTS {
            self.marks.push(Mark { first: position, before: Some(self.now), extremes: None });
            self.events_since_mark = 0;
        }
        self.events_since_mark += 1;
        self.now.take(change, position);
        if let Change::Price(price) = change
            && self.prices.last().map(|(_, last)| last.as_ref()) != Some(price)
        {
            self.prices.push((position, price.cloned()));
        }
        let seen = Extremes::of(&self.now, position, recorded.envelope.recorded_at);
        if let Some(mark) = self.marks.last_mut() {
            mark.extremes = Some(mark.extremes.map_or(seen, |before| before.and(seen)));
        }
    }
}

/// By pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Courses(Vec<Arc<PoolCourse>>);

impl Courses {
    #[must_use]
    pub fn pool(&self, pool: PoolId) -> Option<&Arc<PoolCourse>> {
        self.0.get(pool.index())
    }

    /// How many pools were listed by a position: those with the lowest ids.
    #[must_use]
    pub fn listed_by(&self, position: u64) -> usize {
        self.0.partition_point(|course| course.listed_position() <= position)
    }

    pub(super) fn take(&mut self, recorded: &Recorded) {
        let Some((pool, change)) = Change::of(&recorded.event) else { return };
        if let Change::Listed { owned, distribution_policy, price } = change {
            assert_eq!(pool.index(), self.0.len(), "{pool} is listed out of order");
            self.0.push(Arc::new(PoolCourse {
                now: Course::listed(owned, distribution_policy, recorded.position),
                marks: vec![Mark { first: recorded.position, before: None, extremes: None }],
                events_since_mark: 0,
                prices: vec![(recorded.position, price.cloned())],
            }));
        }
        if let Some(course) = self.0.get_mut(pool.index()) {
            Arc::make_mut(course).take(change, recorded);
        }
    }
}

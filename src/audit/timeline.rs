//! Owned, held and free over time, for one pool: a point where one of them changed, or a day's last word and its peak.

mod placed;

pub use placed::{PlacedKey, placed_days, placed_points};

use super::tally;
use crate::domain::event::Recorded;
use crate::domain::facts::Owned;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::time::{Day, Time};
use crate::ledger::{Ledger, Past, ReadError};
use crate::projection::figures::Figures;
use crate::projection::tallies::Tally;
use std::ops::ControlFlow;

/// The times of so many changes are read at once.
const READ_CHANGES_MAX: usize = 512;

/// The counts just after one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub position: u64,
    pub recorded_at: Time,
    /// Where the event is placed, in a timeline as it was known later.
    pub placed_at: Option<Time>,
    pub owned: Owned,
    pub held: u64,
    pub free: Owned,
}

/// The counts at the end of a day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayPoint {
    pub day: Day,
    /// Of the last event that changed anything, on this day or before it.
    pub position: u64,
    pub owned: Owned,
    pub held: u64,
    pub free: Owned,
    /// The most that was held at any moment of the day.
    pub held_max: u64,
}

/// So much of a timeline, and where the rest begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    pub points: Vec<T>,
    pub next_after: Option<C>,
}

/// One point per event up to `to` that changed owned, held or free, from behind position `after` on. Blocking.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn points(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    to: u64,
    after: Option<u64>,
    limit: usize,
) -> Result<Page<Point, u64>, ReadError> {
    let Some(tally) = tally(ledger, tenant, pool, to)? else {
        return Ok(Page { points: Vec::new(), next_after: None });
    };
    let past = ledger.past();
    let mut changes = changes(&tally, after.map_or(0, |after| after.saturating_add(1)), to, &past);
    let page: Vec<(u64, Figures)> = changes.by_ref().take(limit).collect();
    let is_more = past.checked(changes.next().is_some())?;
    let positions: Vec<u64> = page.iter().map(|(position, _)| *position).collect();
    let events = ledger.facts_at(tenant, &positions)?;
    let point = |(recorded, (position, figures)): (&Recorded, &(u64, Figures))| {
        let Figures { owned, held, free, .. } = *figures;
        let recorded_at = recorded.envelope.recorded_at;
        Point { position: *position, recorded_at, placed_at: None, owned, held, free }
    };
    let points: Vec<Point> = events.iter().zip(&page).map(point).collect();
    let next_after = points.last().filter(|_| is_more).map(|point| point.position);
    Ok(Page { points, next_after })
}

/// One point per UTC day from the first on which the pool is known to `last`, days without events included, from behind
/// the day `after` on. Blocking.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn days(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    to: u64,
    last: Day,
    after: Option<Day>,
    limit: usize,
) -> Result<Page<DayPoint, Day>, ReadError> {
    let mut days = Days { points: Vec::new(), current: None, after, limit, is_more: false };
    let Some(tally) = tally(ledger, tenant, pool, to)? else { return Ok(days.until(last)) };
    let first = after.map_or(Ok(0), |after| recorded_by(ledger, tenant, after, to))?;
    let past = ledger.past();
    days.current = after.zip(first.checked_sub(1)).and_then(|(day, last)| {
        let Figures { owned, held, free, .. } = tally.figures_at(last, &past)?;
        let position = tally.changed_last(last, shown, &past)?;
        Some(DayPoint { day, position, owned, held, free, held_max: held })
    });
    let mut changes = changes(&tally, first, to, &past);
    loop {
        let some: Vec<(u64, Figures)> = past.checked(changes.by_ref().take(READ_CHANGES_MAX).collect())?;
        let positions: Vec<u64> = some.iter().map(|(position, _)| *position).collect();
        let events = ledger.facts_at(tenant, &positions)?;
        let mut flows = events.iter().zip(&some).map(|(recorded, (position, figures))| {
            let Figures { owned, held, free, .. } = *figures;
            days.take(recorded.envelope.recorded_at.day(), *position, owned, held, free)
        });
        let is_enough = flows.any(|flow| flow.is_break());
        if is_enough || some.len() < READ_CHANGES_MAX {
            return Ok(days.until(last));
        }
    }
}

struct Days {
    points: Vec<DayPoint>,
    current: Option<DayPoint>,
    after: Option<Day>,
    limit: usize,
    is_more: bool,
}

impl Days {
    fn take(&mut self, day: Day, position: u64, owned: Owned, held: u64, free: Owned) -> ControlFlow<()> {
        // what was held when the day began counts for its peak as well
        let begun = match self.current {
            Some(current) if current.day == day => current.held_max,
            Some(current) => {
                self.close_until(current, day);
                current.held
            }
            None => 0,
        };
        let held_max = held.max(begun);
        self.current = Some(DayPoint { day, position, owned, held, free, held_max });
        if self.is_more { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn until(mut self, last: Day) -> Page<DayPoint, Day> {
        if let Some(current) = self.current {
            self.close_until(current, Day(last.0.saturating_add(1)));
        }
        let next_after = self.points.last().filter(|_| self.is_more).map(|point| point.day);
        Page { points: self.points, next_after }
    }

    /// The current day is over, and so is every day before `next`.
    fn close_until(&mut self, current: DayPoint, next: Day) {
        let first = self.after.map_or(current.day.0, |after| current.day.0.max(after.0.saturating_add(1)));
        for day in (first..next.0).map(Day) {
            if self.points.len() >= self.limit {
                self.is_more = true;
                return;
            }
            let held_max = if day == current.day { current.held_max } else { current.held };
            self.points.push(DayPoint { day, held_max, ..current });
        }
    }
}

fn shown(figures: &Figures) -> (Owned, u64, Owned) {
    (figures.owned, figures.held, figures.free)
}

/// Where owned, held or free changed within these positions, both included, with the figures just after that.
fn changes<'t>(tally: &'t Tally, first: u64, to: u64, past: &'t Past<'_>) -> impl Iterator<Item = (u64, Figures)> + 't {
    let mut now = first.checked_sub(1).and_then(|before| tally.figures_at(before, past)).map(|before| shown(&before));
    let until = tally.figures_from(first, past).take_while(move |(position, _)| *position <= to);
    until.filter(move |(_, figures)| {
        let after = Some(shown(figures));
        std::mem::replace(&mut now, after) != after
    })
}

/// How many of the positions up to `to` were recorded by the end of a day.
fn recorded_by(ledger: &Ledger, tenant: TenantId, day: Day, to: u64) -> Result<u64, ReadError> {
    let (mut low, mut high) = (0, to.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let recorded = ledger.events(tenant, middle, 1)?.pop().ok_or(ReadError::NotReached(middle))?;
        if recorded.envelope.recorded_at.day() <= day {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

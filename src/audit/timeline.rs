//! Owned, held and free over time, for one pool: a point where one of them changed, or a day's last word and its peak.

mod placed;

pub use placed::{PlacedKey, placed_days, placed_points};

use super::each_pool_event;
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::Owned;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::time::{Day, Time};
use crate::ledger::{Ledger, ReadError};
use crate::projection::figures::{Figures, PoolFigures};
use std::ops::ControlFlow;

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
    let mut points: Vec<Point> = Vec::new();
    let mut is_more = false;
    each_change(ledger, tenant, pool, to, |recorded, figures| {
        if after.is_some_and(|after| recorded.position <= after) {
            return ControlFlow::Continue(());
        }
        if points.len() >= limit {
            is_more = true;
            return ControlFlow::Break(());
        }
        let Figures { owned, held, free, .. } = *figures;
        points.push(Point {
            position: recorded.position,
            recorded_at: recorded.envelope.recorded_at,
            placed_at: None,
            owned,
            held,
            free,
        });
        ControlFlow::Continue(())
    })?;
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
    each_change(ledger, tenant, pool, to, |recorded, figures| {
        let Figures { owned, held, free, .. } = *figures;
        days.take(recorded.envelope.recorded_at.day(), recorded.position, owned, held, free)
    })?;
    Ok(days.until(last))
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

fn each_change(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    to: u64,
    mut each: impl FnMut(&Recorded, &Figures) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut fold = PoolFigures::new(pool);
    let mut shown = None;
    each_pool_event(ledger, tenant, pool, to, |recorded| {
        fold.take(&recorded.event);
        let figures = fold.figures();
        let now = Some((figures.owned, figures.held, figures.free));
        let is_known =
            shown.is_some() || matches!(recorded.event, Event::PoolListed { pool: listed, .. } if listed == pool);
        if !is_known || shown == now {
            return ControlFlow::Continue(());
        }
        shown = now;
        each(recorded, &figures)
    })
}

//! The same of a pool as it was known later: every event that counts at the moment, at the time where it is placed. So the
//! counts of an earlier instant stand where they would stand in an answer of that instant, known as far.

use super::{DayPoint, Days, Page, Point};
use crate::audit::hindsight::{Moment, each_pool_event_at};
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::Owned;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::placing::{Chain, told_at};
use crate::domain::time::{Day, Time};
use crate::ledger::{Ledger, ReadError};
use crate::projection::change::Change;
use crate::projection::courses::Course;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

/// The place of an event in such a timeline: time, then position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlacedKey(Time, u64);

impl fmt::Display for PlacedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.0, self.1)
    }
}

impl FromStr for PlacedKey {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (time, position) = text.split_once(':').unwrap_or((text, ""));
        Ok(Self(Time(time.parse()?), position.parse()?))
    }
}

/// One event's part in it.
struct Step {
    key: PlacedKey,
    recorded_at: Time,
    counts: Counts,
}

#[derive(Clone, Copy)]
enum Counts {
    /// The pool's terms, just after the event.
    Terms(Course),
    Taken,
    Given,
}

/// As [`super::points`], from behind a key on. Blocking, for as long as reading the pool's events takes.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn placed_points(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    moment: Moment,
    after: Option<PlacedKey>,
    limit: usize,
) -> Result<Page<Point, PlacedKey>, ReadError> {
    let mut found = Page { points: Vec::new(), next_after: None };
    let mut last = None;
    each_change(steps(ledger, tenant, pool, moment)?, |step, course| {
        if after.is_some_and(|after| step.key <= after) {
            return ControlFlow::Continue(());
        }
        if found.points.len() >= limit {
            found.next_after = last;
            return ControlFlow::Break(());
        }
        last = Some(step.key);
        found.points.push(Point {
            position: step.key.1,
            recorded_at: step.recorded_at,
            placed_at: Some(step.key.0),
            owned: course.owned,
            held: course.held,
            free: course.free(),
        });
        ControlFlow::Continue(())
    });
    Ok(found)
}

/// As [`super::days`], to `last` or the day of the last event, whichever is later. Blocking, for as long as reading the
/// pool's events takes.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn placed_days(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    moment: Moment,
    last: Day,
    after: Option<Day>,
    limit: usize,
) -> Result<Page<DayPoint, Day>, ReadError> {
    let mut days = Days { points: Vec::new(), current: None, after, limit, is_more: false };
    let steps = steps(ledger, tenant, pool, moment)?;
    let last = steps.last().map_or(last, |step| last.max(step.key.0.day()));
    each_change(steps, |step, course| {
        days.take(step.key.0.day(), step.key.1, course.owned, course.held, course.free())
    });
    Ok(days.until(last))
}

/// Every event that changed owned, held or free, in the order in which they are placed. What is placed before the pool was
/// listed counts from then on.
fn steps(ledger: &Ledger, tenant: TenantId, pool: PoolId, moment: Moment) -> Result<Vec<Step>, ReadError> {
    let mut chains: BTreeMap<Chain, Time> = BTreeMap::new();
    let mut terms: Option<(Time, Course)> = None;
    let mut steps = Vec::new();
    each_pool_event_at(ledger, tenant, pool, moment, |recorded| {
        let recorded_at = recorded.envelope.recorded_at;
        let placed_at = Chain::of(&recorded.event).map_or(recorded_at, |chain| {
            let latest = chains.entry(chain).or_insert(Time(i64::MIN));
            *latest = told_at(recorded).max(*latest);
            *latest
        });
        if let Some(counts) = counts(recorded, pool, &mut terms) {
            let listed_at = terms.map_or(recorded_at, |(listed_at, _)| listed_at);
            let key = PlacedKey(placed_at.max(listed_at), recorded.position);
            steps.push(Step { key, recorded_at, counts });
        }
        ControlFlow::Continue(())
    })?;
    steps.sort_unstable_by_key(|step| step.key);
    Ok(steps)
}

/// What an event does to the counts; `terms` is when the pool was listed, and what it owns.
fn counts(recorded: &Recorded, pool: PoolId, terms: &mut Option<(Time, Course)>) -> Option<Counts> {
    let (of, change) = Change::of(&recorded.event)?;
    if of != pool {
        return None;
    }
    if let Event::PoolListed { owned, distribution_policy, .. } = &recorded.event {
        let listed = Course::listed(*owned, *distribution_policy, recorded.position);
        *terms = Some((recorded.envelope.recorded_at, listed));
        return Some(Counts::Terms(listed));
    }
    match change {
        Change::Granted | Change::Seen => return Some(Counts::Taken),
        Change::Given => return Some(Counts::Given),
        Change::Listed { .. }
        | Change::Owned(_)
        | Change::DistributionPolicy(_)
        | Change::Price(_)
        | Change::State(_)
        | Change::Removed
        | Change::Refused(_)
        | Change::Other => {}
    }
    let (_, course) = terms.as_mut()?;
    let before = (course.owned, course.distribution_policy);
    course.take(change, recorded.position);
    (before != (course.owned, course.distribution_policy)).then_some(Counts::Terms(*course))
}

fn each_change(steps: Vec<Step>, mut each: impl FnMut(&Step, &Course) -> ControlFlow<()>) {
    let mut course: Option<Course> = None;
    let mut shown: Option<(Owned, u64, Owned)> = None;
    for step in steps {
        match (&mut course, step.counts) {
            (None, Counts::Terms(listed)) => course = Some(listed),
            (Some(course), Counts::Terms(terms)) => {
                (course.owned, course.distribution_policy) = (terms.owned, terms.distribution_policy);
            }
            (Some(course), Counts::Taken) => course.held += 1,
            (Some(course), Counts::Given) => course.held = course.held.saturating_sub(1),
            (None, Counts::Taken | Counts::Given) => {}
        }
        let Some(course) = &course else { continue };
        let now = Some((course.owned, course.held, course.free()));
        if shown != now {
            shown = now;
            if each(&step, course).is_break() {
                return;
            }
        }
    }
}

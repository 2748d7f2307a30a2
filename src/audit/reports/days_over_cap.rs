//! The days on which more seats were held than owned.

use super::courses::{Condition, Part, at, evidence, walk};
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Label, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::audit::as_of::{AsOfError, At};
use crate::domain::report::ReportName;
use crate::domain::time::{Day, Time};
use crate::projection::courses::Course;
use std::ops::ControlFlow;

pub(super) const REPORT: Report = Report {
    name: ReportName::DaysOverCap,
    about: "Each day in UTC on which a pool was above its cap for any time, with the most by which it was.",
    parameters: &[may(Asking::From), may(Asking::To), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("day", "In UTC"),
    column("over_by_max", "The most by which it was above its cap on this day"),
    column("owned_then", "Seats owned when that was first so"),
    column("held_then", "Seats held then"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let done = out.after.filter(|after| after.0 == pool);
        // a pool that was passed whole has no more days
        if done.is_some_and(|after| after.2 > 0) {
            continue;
        }
        let (first, since) = match done.and_then(|after| i32::try_from(after.1).ok()) {
            Some(ordinal) => begins_at(source, Day(ordinal.saturating_add(DAYS_FROM)).end())?,
            None => (asked.first, asked.since),
        };
        if since > source.until {
            continue;
        }
        let mut days = Days { label: &label, out, now: since, worst: None };
        let start = first.checked_sub(1).map(|before| at(source, &label, before)).transpose()?.flatten();
        let (mut course, mut is_enough) = (start, false);
        walk(
            source,
            &label,
            first..source.position + 1,
            |stretch, extremes| Condition::Over.matters_in(stretch, extremes),
            &mut |part| {
                let Part::Step(step) = part else { return ControlFlow::Continue(()) };
                let flow = days.until(step.recorded.envelope.recorded_at, course);
                course = step.after;
                is_enough = flow.is_break();
                flow
            },
        )?;
        if is_enough || days.until(source.until, course).is_break() || days.told().is_break() {
            break;
        }
        if out.looked(source.worked(), Key(pool, u64::from(u32::MAX), 1)).is_break() {
            break;
        }
    }
    Ok(())
}

/// Days before 1970 have numbers too.
const DAYS_FROM: i32 = -1_000_000;

fn ordinal(day: Day) -> u64 {
    u64::try_from(i64::from(day.0) - i64::from(DAYS_FROM)).unwrap_or(0)
}

/// The first position that was recorded at an instant or later.
fn begins_at(source: &Source<'_>, instant: Time) -> Result<(u64, Time), ReportError> {
    match At::Time(Time(instant.0 - 1)).position(source.ledger, source.tenant) {
        Ok(before) => Ok((before + 1, instant)),
        Err(AsOfError::BeforeFirst { .. }) => Ok((0, instant)),
        Err(AsOfError::InFuture { .. }) => Ok((source.position + 1, instant)),
        Err(error @ AsOfError::Read(_)) => Err(error.into()),
    }
}

fn over(course: Option<Course>) -> Option<Course> {
    course.filter(|course| course.over_by() > 0)
}

fn worse(one: Option<Course>, other: Option<Course>) -> Option<Course> {
    let by = |course: Option<Course>| course.map_or(0, |course| course.over_by());
    if by(other) > by(one) { other } else { one }
}

/// The days as they go by.
struct Days<'a, 'o> {
    label: &'a Label,
    out: &'a mut Output<'o>,
    now: Time,
    /// The worst of the day that is not over yet.
    worst: Option<Course>,
}

impl Days<'_, '_> {
    /// Time goes on to an instant with the pool as it is; the days that end on the way are told. What lasts no time is nothing:
    /// a period that ends at midnight has nothing of the next day.
    fn until(&mut self, then: Time, course: Option<Course>) -> ControlFlow<()> {
        while self.now < then {
            self.worst = worse(self.worst, over(course));
            let end = self.now.day().end();
            if then < end {
                self.now = then;
                break;
            }
            self.told()?;
            self.now = if over(course).is_some() { end } else { then };
        }
        ControlFlow::Continue(())
    }

    fn told(&mut self) -> ControlFlow<()> {
        let Some(course) = self.worst.take() else { return ControlFlow::Continue(()) };
        let day = self.now.day();
        let cells = vec![
            Cell::id(self.label.pool),
            Cell::id(&self.label.key),
            Cell::Day(day),
            Cell::Count(course.over_by()),
            Cell::Owned(course.owned),
            Cell::Count(course.held),
            Cell::evidence(evidence(&course)),
        ];
        self.out.row(Key(self.label.pool.0.into(), ordinal(day), 0), cells)
    }
}

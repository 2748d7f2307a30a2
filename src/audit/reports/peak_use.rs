//! The most that was held of each pool in a period.

use super::courses::{Part, at, extremes_at_start, walk};
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Label, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::domain::report::ReportName;
use crate::projection::courses::{Course, Extremes};
use std::ops::ControlFlow;

pub(super) const REPORT: Report = Report {
    name: ReportName::PeakUse,
    about: "The most seats that were held at any moment of a period, and when that was first so.",
    parameters: &[may(Asking::From), may(Asking::To), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("held_at_start", "Seats held when the period began; empty for a pool that was listed in it"),
    column("held_max", "The most that were held at any moment of it"),
    column("held_max_at", "When that was first so"),
    column("owned_then", "Seats owned at that moment, or unlimited"),
    column("held_at_end", "Seats held when it ended"),
    column("owned_min", "The fewest that were owned at any moment of it"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    for label in source.pools(asked, out.after.map_or(0, |after| after.0.saturating_add(1))) {
        let label = label?;
        let key = Key(label.pool.0.into(), 0, 0);
        let Some((start, Extremes { peak, owned_min, .. })) = peak(source, &label, asked)? else { continue };
        let Some(end) = at(source, &label, source.position)? else { continue };
        let cells = vec![
            Cell::id(label.pool),
            Cell::id(&label.key),
            Cell::or_nothing(start, |course| Cell::Count(course.held)),
            Cell::Count(peak.held),
            Cell::Time(peak.at),
            Cell::Owned(peak.owned),
            Cell::Count(end.held),
            Cell::Owned(owned_min),
            Cell::evidence([peak.position]),
        ];
        if out.row(key, cells).is_break() || out.looked(source.worked(), key).is_break() {
            break;
        }
    }
    Ok(())
}

/// Where a pool stood when the period began, and the extremes of the period; nothing for a pool that was listed behind it.
pub(in crate::audit) fn peak(
    source: &Source<'_>,
    label: &Label,
    asked: &Asked,
) -> Result<Option<(Option<Course>, Extremes)>, ReportError> {
    let start = asked.first.checked_sub(1).map(|before| at(source, label, before)).transpose()?.flatten();
    let mut seen: Option<Extremes> = start.map(|course| extremes_at_start(&course, asked.since));
    walk(source, label, asked.first..source.position + 1, |_, _| false, &mut |part| {
        let part = match part {
            Part::Passed(extremes) => Some(extremes),
            Part::Step(step) => step
                .after
                .map(|course| Extremes::of(&course, step.recorded.position, step.recorded.envelope.recorded_at)),
        };
        seen = match (seen, part) {
            (Some(before), Some(later)) => Some(before.and(later)),
            (before, later) => before.or(later),
        };
        ControlFlow::Continue(())
    })?;
    Ok(seen.map(|extremes| (start, extremes)))
}

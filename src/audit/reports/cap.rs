//! Whether the cap held: of each pool the most that was held, the least that was owned, what was refused, and every time
//! during which more was held than owned. All of it can be counted again from the events alone.

use super::courses::{Condition, at};
use super::intervals::intervals;
use super::peak_use::peak;
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::audit::events::data_of;
use crate::domain::report::ReportName;

pub(super) const REPORT: Report = Report {
    name: ReportName::Cap,
    about: "For each pool the most that was held and the fewest that were owned in a period, what was refused, and each time \
            during which more was held than owned, with what began it.",
    parameters: &[may(Asking::From), may(Asking::To), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    column("what", "pool: the whole period; over: a time above the cap"),
    POOL,
    POOL_KEY,
    column("held_max", "Of a pool: the most that was held at any moment of the period"),
    column("held_max_at", "Of a pool: when that was first so"),
    column("owned_min", "Of a pool: the fewest that were owned at any moment of the period"),
    column("refusals", "Of a pool: refusals that rules made in the period, with their repeats"),
    column("began_at", "Of a time: when it began; it may lie before the period"),
    column("began_by", "Of a time: the event that began it"),
    column("cause", "Of a time: why, where that event says it"),
    column("ended_at", "Of a time: when it ended; empty where it goes on"),
    column("seconds", "Of a time: how long, from when it began, also before the period, up to the period's end"),
    column("over_by_max", "Of a time: the most by which the pool was above its cap within the period"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let told = out.after.filter(|after| after.0 == pool);
        if told.is_none() {
            let Some((start, extremes)) = peak(source, &label, asked)? else { continue };
            let Some(end) = at(source, &label, source.position)? else { continue };
            let refusals = end.refused - start.map_or(0, |course| course.refused);
            let mut cells = vec![Cell::Word("pool"), Cell::id(label.pool), Cell::id(&label.key)];
            cells.extend([
                Cell::Count(extremes.peak.held),
                Cell::Time(extremes.peak.at),
                Cell::Owned(extremes.owned_min),
            ]);
            cells.push(Cell::Count(refusals));
            cells.extend(std::iter::repeat_n(Cell::Nothing, 6));
            cells.push(Cell::evidence([extremes.peak.position]));
            let key = Key(pool, 0, 0);
            if out.row(key, cells).is_break() || out.looked(source.worked(), key).is_break() {
                return Ok(());
            }
        }
        // what began before the last row is told
        let first = told.map_or(asked.first, |after| asked.first.max(after.2.saturating_add(1)));
        if first > source.position {
            continue;
        }
        let mut is_enough = false;
        intervals(source, &label, Condition::Over, first..source.position + 1, &mut |interval| {
            let (ended_position, ended_at) = interval.ended.unzip();
            let micros = ended_at.unwrap_or(source.until).0 - interval.began_at.0;
            let data = data_of(&interval.began_by);
            let cause = data.get("cause").and_then(serde_json::Value::as_str);
            let mut cells = vec![Cell::Word("over"), Cell::id(label.pool), Cell::id(&label.key)];
            cells.extend(std::iter::repeat_n(Cell::Nothing, 4));
            cells.extend([
                Cell::Time(interval.began_at),
                Cell::Word(interval.began_by.type_name()),
                Cell::or_nothing(cause, |cause| Cell::Text(cause.to_owned())),
                Cell::or_nothing(ended_at, Cell::Time),
                Cell::Count(u64::try_from(micros / 1_000_000).unwrap_or(0)),
                Cell::Count(interval.worst.over_by()),
                Cell::evidence([interval.began_position].into_iter().chain(ended_position)),
            ]);
            let flow = out.row(Key(pool, 1, interval.began_position), cells);
            is_enough = flow.is_break();
            flow
        })?;
        if is_enough || out.looked(source.worked(), Key(pool, 1, u64::MAX)).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

//! When every seat of a pool was held: how often, for whom, how long.

use super::courses::Condition;
use super::intervals::intervals;
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::domain::report::ReportName;

pub(super) const REPORT: Report = Report {
    name: ReportName::SellOuts,
    about: "Each time during which every seat of a capped pool was held: from the event that took the last one to the event \
            that gave one back, and who waited meanwhile.",
    parameters: &[may(Asking::From), may(Asking::To), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("began_at", "When the last seat was taken, or the capacity fell to what was held"),
    column("last_seat_to", "Who took the last seat; empty where the capacity fell"),
    column("ended_at", "When a seat was free again; empty while none is"),
    column("seconds", "How long, from when it began, also before the period, up to the period's end"),
    column("over_by_max", "The most by which the pool was above its cap meanwhile, within the period"),
    column("waiting_count", "Holders who were queued or refused meanwhile"),
    column("waiting", "The first of them, at most 20"),
    column("refused", "Refusals for lack of a seat that were recorded meanwhile"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        // what began before the last row is told
        let done = out.after.filter(|after| after.0 == pool);
        let first = done.map_or(asked.first, |after| asked.first.max(after.1.saturating_add(1)));
        if first > source.position {
            continue;
        }
        let mut is_enough = false;
        intervals(source, &label, Condition::SoldOut, first..source.position + 1, &mut |interval| {
            let (ended_position, ended_at) = interval.ended.unzip();
            let micros = ended_at.unwrap_or(source.until).0 - interval.began_at.0;
            let cells = vec![
                Cell::id(label.pool),
                Cell::id(&label.key),
                Cell::Time(interval.began_at),
                Cell::or_nothing(interval.begun_by_seat_of(), Cell::id),
                Cell::or_nothing(ended_at, Cell::Time),
                Cell::Count(u64::try_from(micros / 1_000_000).unwrap_or(0)),
                Cell::Count(interval.worst.over_by()),
                Cell::Count(interval.waiting_count),
                Cell::Texts(interval.waiting.iter().map(ToString::to_string).collect()),
                Cell::Count(interval.refused),
                Cell::evidence([interval.began_position].into_iter().chain(ended_position)),
            ];
            let flow = out.row(Key(pool, interval.began_position, 0), cells);
            is_enough = flow.is_break();
            flow
        })?;
        if is_enough || out.looked(source.worked(), Key(pool, u64::MAX, 0)).is_break() {
            break;
        }
    }
    Ok(())
}

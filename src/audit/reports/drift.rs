//! Differences between the store and the ledger that nothing has explained.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::facts::Owned;
use crate::domain::report::ReportName;
use crate::domain::subject::Subject;
use crate::domain::time::DAY_MICROS;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub(super) const REPORT: Report = Report {
    name: ReportName::Drift,
    about: "Differences between what a store says and what the ledger says that no refund explains and no later sync has \
            settled.",
    parameters: &[may(Asking::AsOf), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    column("drift", "The drift's id"),
    POOL,
    POOL_KEY,
    column("kind", "owned_fell, refund_not_seen or store_used"),
    column("ledger", "What the ledger said"),
    column("store", "What the store said"),
    column("difference", "store less ledger; empty where either is unlimited"),
    column("found_at", "When two complete syncs had agreed on it"),
    column("days", "Whole days since then"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let everything = 0..source.position + 1;
    let mut resolved = BTreeSet::new();
    source.each_event(Subject::Type(EventType::DriftResolved), everything.clone(), |recorded| {
        if let Event::DriftResolved { drift, .. } = &recorded.event {
            resolved.insert(*drift);
        }
        ControlFlow::Continue(())
    })?;
    let mut found = Vec::new();
    source.each_event(Subject::Type(EventType::DriftFound), everything, |recorded| {
        if let Event::DriftFound { drift, pool, kind, before, after } = &recorded.event
            && !resolved.contains(drift)
            && asked.pool.is_none_or(|asked| asked == *pool)
        {
            let at = recorded.envelope.recorded_at;
            found.push((*drift, *pool, *kind, *before, *after, at, recorded.position));
        }
        ControlFlow::Continue(())
    })?;
    for (drift, pool, kind, before, after, at, position) in found {
        let Some(label) = source.label(pool)? else { continue };
        let difference = match (before, after) {
            (Owned::Count(before), Owned::Count(after)) => {
                i64::try_from(i128::from(after) - i128::from(before)).map_or(Cell::Nothing, Cell::Difference)
            }
            (Owned::Count(_) | Owned::Unlimited, Owned::Unlimited) | (Owned::Unlimited, Owned::Count(_)) => {
                Cell::Nothing
            }
        };
        let cells = vec![
            Cell::id(drift),
            Cell::id(pool),
            Cell::id(&label.key),
            Cell::word(&kind),
            Cell::Owned(before),
            Cell::Owned(after),
            difference,
            Cell::Time(at),
            Cell::Count(u64::try_from((source.until.0 - at.0) / DAY_MICROS).unwrap_or(0)),
            Cell::evidence([position]),
        ];
        if out.row(Key(position, 0, 0), cells).is_break() {
            break;
        }
    }
    Ok(())
}

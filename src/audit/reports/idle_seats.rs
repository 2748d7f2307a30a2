//! Seats that are reserved and were never used.

use super::holders::seats;
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Label, Output, POOL, POOL_KEY, Report, ReportError, Source, column,
    may, must,
};
use crate::domain::ids::Holder;
use crate::domain::report::ReportName;
use crate::domain::state::SeatState;
use crate::domain::subject::Subject;
use crate::domain::time::{DAY_MICROS, Time};
use crate::projection::View;
use crate::projection::holders::{HeldSeat, Holders, seats_from};
use std::ops::ControlFlow;
use std::sync::Arc;

pub(super) const REPORT: Report = Report {
    name: ReportName::IdleSeats,
    about: "Seats that have been reserved for so many days and under which the app was never in use since they were granted.",
    parameters: &[must(Asking::Days), may(Asking::AsOf), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("holder", "The user or the device"),
    column("reserved_since", "When it was reserved last"),
    column("days", "Whole days since then"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let days = i64::from(asked.days.unwrap_or(0));
    let latest = Time(source.until.0.saturating_sub(days.saturating_mul(DAY_MICROS)));
    let view = source.view_unless_one_pool(asked)?;
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let after = out.after.filter(|after| after.0 == pool).and_then(Key::holder);
        for (holder, seat) in of_pool(source, view.as_ref(), &label, after)? {
            let key = Key::of_holder(pool, holder);
            let is_old = seat.state == SeatState::Reserved && seat.since <= latest;
            if is_old && !was_in_use(source, &label, holder, &seat)? {
                let days = (source.until.0 - seat.since.0) / DAY_MICROS;
                let cells = vec![
                    Cell::id(label.pool),
                    Cell::id(&label.key),
                    Cell::id(holder),
                    Cell::Time(seat.since),
                    Cell::Count(u64::try_from(days).unwrap_or(0)),
                    Cell::evidence(seat.evidence()),
                ];
                if out.row(key, cells).is_break() {
                    return Ok(());
                }
            }
            if out.looked(source.worked(), key).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn of_pool<'v>(
    source: &Source<'_>,
    view: Option<&'v Arc<View>>,
    label: &Label,
    after: Option<Holder>,
) -> Result<Box<dyn Iterator<Item = (Holder, HeldSeat)> + 'v>, ReportError> {
    Ok(match view {
        Some(view) => Box::new(seats_from(view.state.pool(label.pool), after)),
        None => Box::new(seats(source, label, after)?.0.into_iter()),
    })
}

/// What the state of a seat does not say, the holder's own events do.
fn was_in_use(source: &Source<'_>, label: &Label, holder: Holder, seat: &HeldSeat) -> Result<bool, ReportError> {
    if let Some(known) = seat.was_in_use {
        return Ok(known);
    }
    let mut fold = Holders::new(label.pool);
    source.each_event(Subject::from(holder), 0..source.position + 1, |recorded| {
        fold.take(recorded);
        ControlFlow::Continue(())
    })?;
    Ok(fold.seats().get(&holder).and_then(|seat| seat.was_in_use).unwrap_or(false))
}

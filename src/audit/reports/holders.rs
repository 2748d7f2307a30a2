//! Who held an app at a point.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may, must,
};
use crate::domain::ids::Holder;
use crate::domain::report::ReportName;
use crate::projection::View;
use crate::projection::holders::{HeldSeat, seats_from};

pub(super) const REPORT: Report = Report {
    name: ReportName::Holders,
    about: "Who held a seat of the pool, in which state and since when.",
    parameters: &[must(Asking::Pool), may(Asking::AsOf), may(Asking::AsKnownAt)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("holder", "The user or the device"),
    column("state", "reserved, in_use, releasing or foreign"),
    column("since", "When it entered this state"),
    column("granted_position", "Where it was granted, adopted or first seen"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let Some(label) = source.pools(asked, 0).next().transpose()? else { return Ok(()) };
    let (pool, mut after) = (label.pool.0.into(), out.after.and_then(Key::holder));
    loop {
        let (seats, is_all) = seats(source, &label, after, out.limit())?;
        let Some((last, _)) = seats.last().copied() else { return Ok(()) };
        after = Some(last);
        for (holder, seat) in seats {
            let cells = vec![
                Cell::id(label.pool),
                Cell::id(&label.key),
                Cell::id(holder),
                Cell::word(&seat.state),
                Cell::Time(source.placed_since(label.pool, holder, &seat)?),
                Cell::Count(seat.granted_position),
                Cell::evidence(seat.evidence()),
            ];
            if out.row(Key::of_holder(pool, holder), cells).is_break() {
                return Ok(());
            }
        }
        if is_all || out.looked(SEATS_WORK, Key::of_holder(pool, last)).is_break() {
            return Ok(());
        }
    }
}

/// Looking so many of them up is as much work as reading so many events.
const SEATS_WORK: u64 = 5000;
/// So many seats are copied from a state at once.
const SEATS_AT_ONCE: usize = if cfg!(test) { 3 } else { 1001 };

/// The next seats behind a holder, and whether they are all that there are: of the past so many as are wanted.
fn seats(
    source: &Source<'_>,
    label: &super::Label,
    after: Option<Holder>,
    limit: Option<usize>,
) -> Result<(Vec<(Holder, HeldSeat)>, bool), ReportError> {
    let some = |view: &View| -> Vec<_> { seats_from(view.state.pool(label.pool), after).take(SEATS_AT_ONCE).collect() };
    if let Some(view) = source.at_hand() {
        return Ok((some(&view), false));
    }
    let published = source.ledger.read(source.tenant, |view| {
        let is_same = view.state.next_position == source.position + 1;
        is_same.then(|| some(view))
    })?;
    if let Some(seats) = published {
        return Ok((seats, false));
    }
    let limit = limit.unwrap_or(SEATS_AT_ONCE);
    let part = source.seats_behind(label.pool, after, limit)?;
    let seats: Vec<_> = seats_from(part.state.pool(label.pool), after).take(limit.saturating_add(1)).collect();
    let is_all = seats.len() <= limit;
    Ok((seats, is_all))
}

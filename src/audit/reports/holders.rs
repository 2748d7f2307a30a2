//! Who held an app at a point.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may, must,
};
use crate::domain::ids::Holder;
use crate::domain::report::ReportName;
use crate::domain::subject::Subject;
use crate::projection::View;
use crate::projection::holders::{HeldSeat, Holders, seats_from};
use std::ops::{Bound, ControlFlow};

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
        let Some((last, _)) = seats.last() else { return Ok(()) };
        after = Some(*last);
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
        if is_all {
            return Ok(());
        }
    }
}

/// So many seats are copied from a state at once.
const SEATS_AT_ONCE: usize = 1001;

/// The next seats behind a holder, and whether they are all that there are: some of them where the state is at hand or a page
/// is wanted, else all.
pub(super) fn seats(
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
    if let Some(limit) = limit {
        let part = source.seats_behind(label.pool, after, limit)?;
        let seats: Vec<_> = seats_from(part.state.pool(label.pool), after).take(limit.saturating_add(1)).collect();
        let is_all = seats.len() <= limit;
        return Ok((seats, is_all));
    }
    if !source.is_plain() {
        let view = source.view()?;
        return Ok((some(&view), false));
    }
    let mut fold = Holders::new(label.pool);
    source.each_event(Subject::Pool(label.pool), 0..source.position + 1, |recorded| {
        fold.take(recorded);
        ControlFlow::Continue(())
    })?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    Ok((fold.seats().range((from, Bound::Unbounded)).map(|(holder, seat)| (*holder, *seat)).collect(), true))
}

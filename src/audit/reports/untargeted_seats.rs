//! Seats whose holders no assignment covers.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Label, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::domain::ids::Holder;
use crate::domain::report::ReportName;
use crate::domain::state::SeatState;
use crate::projection::View;
use crate::projection::holders::{HeldSeat, seats_from};
use std::ops::ControlFlow;
use std::sync::Arc;

pub(super) const REPORT: Report = Report {
    name: ReportName::UntargetedSeats,
    about: "Seats that were granted here and whose holders no assignment covers any more, or ever did.",
    parameters: &[may(Asking::AsOf), may(Asking::AsKnownAt), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("holder", "The user or the device"),
    column("state", "reserved or in_use"),
    column("since", "When it entered this state"),
    column("policy", "What the pool does with a seat when its coverage ends: keep or release"),
    EVIDENCE,
];

/// So many seats are told at once where no state is at hand.
const SEATS_AT_ONCE: usize = if cfg!(test) { 3 } else { 256 };
/// So many are looked over at once for whether all of them are covered: of each that is as much work as of so many of a state.
const COVERED_AT_ONCE_MAX: usize = if cfg!(test) { 8 } else { 2048 };
const COVERED_WORK: u64 = 3;
/// And so many where something came late about one of them.
const LATE_AT_ONCE: usize = if cfg!(test) { 2 } else { 4 };
/// In a key: no holder of the pool.
const NO_HOLDER: u64 = 2;
/// Then a seat is as much work as so many of a state: its events are read, and those that say who covers its holder.
const SEAT_WORK: u64 = 200;

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let is_in_parts = source.is_told_in_parts()?;
    let whole = if is_in_parts { None } else { Some(source.view()?) };
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let mut after = out.after.filter(|after| after.0 == pool).and_then(Key::holder);
        let mut at_once = SEATS_AT_ONCE;
        loop {
            let mut count = if is_in_parts { SEATS_AT_ONCE } else { usize::MAX };
            if is_in_parts {
                let covered = source.covered_behind(label.pool, after, at_once);
                let is_moved = covered.last != after;
                if is_moved || covered.is_end {
                    // of a pool without seats nothing is left behind this
                    let up_to = covered.last.map_or(Key(pool, NO_HOLDER, 0), |last| Key::of_holder(pool, last));
                    if out.looked(COVERED_WORK * at_once as u64, up_to).is_break() {
                        return Ok(());
                    }
                }
                if covered.is_end {
                    break;
                }
                after = covered.last;
                if is_moved && !covered.is_late {
                    at_once = (at_once * 2).min(COVERED_AT_ONCE_MAX);
                    continue;
                }
                if covered.is_late {
                    count = LATE_AT_ONCE;
                } else {
                    at_once = SEATS_AT_ONCE;
                }
            }
            let some = match &whole {
                Some(whole) => Arc::clone(whole),
                None => source.seats_behind(label.pool, after, count)?,
            };
            let work = if is_in_parts { SEAT_WORK } else { 1 };
            let seats: Vec<_> = seats_from(some.state.pool(label.pool), after).take(count).collect();
            let is_last = seats.len() < count;
            for (holder, seat) in seats {
                if row(source, &label, &some, (holder, &seat), out)?.is_break()
                    || out.looked(work, Key::of_holder(pool, holder)).is_break()
                {
                    return Ok(());
                }
                after = Some(holder);
            }
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

fn row(
    source: &Source<'_>,
    label: &Label,
    view: &View,
    (holder, seat): (Holder, &HeldSeat),
    out: &mut Output<'_>,
) -> Result<ControlFlow<()>, ReportError> {
    let is_ours = matches!(seat.state, SeatState::Reserved | SeatState::InUse);
    if !is_ours || view.state.coverage(label.pool, holder).is_covered() {
        return Ok(ControlFlow::Continue(()));
    }
    let cells = vec![
        Cell::id(label.pool),
        Cell::id(&label.key),
        Cell::id(holder),
        Cell::word(&seat.state),
        Cell::Time(source.placed_since(label.pool, holder, seat)?),
        Cell::word(&view.state.pool(label.pool).policy.untargeted),
        Cell::evidence(seat.evidence()),
    ];
    Ok(out.row(Key::of_holder(label.pool.0.into(), holder), cells))
}

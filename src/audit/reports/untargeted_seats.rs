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
/// In a key: behind every holder of the pool.
const NO_HOLDER: u64 = 2;
/// Then a seat is as much work as so many of a state: its events are read, and those that say who covers its holder.
const SEAT_WORK: u64 = 200;

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let whole = if source.is_told_in_parts()? { None } else { Some(source.view()?) };
    let first = out.after.map_or(0, |after| after.0 + u64::from(after.1 == NO_HOLDER));
    for label in source.pools(asked, first) {
        let label = label?;
        let after = out.after.filter(|after| after.0 == u64::from(label.pool.0)).and_then(Key::holder);
        let flow = match &whole {
            Some(whole) => seats(source, &label, whole, (after, usize::MAX), out)?.map_continue(|_| ()),
            None => in_parts(source, &label, after, out)?,
        };
        if flow.is_break() {
            break;
        }
    }
    Ok(())
}

/// Skips the stretches in which everybody is covered.
fn in_parts(
    source: &Source<'_>,
    label: &Label,
    mut after: Option<Holder>,
    out: &mut Output<'_>,
) -> Result<ControlFlow<()>, ReportError> {
    let pool = u64::from(label.pool.0);
    let mut at_once = SEATS_AT_ONCE;
    loop {
        let covered = source.covered_behind(label.pool, after, at_once);
        for holder in covered.late {
            let some = source.seat_of(label.pool, holder)?;
            let found = seats_from(some.state.pool(label.pool), None).find(|(found, _)| *found == holder);
            let flow = found.map(|(_, seat)| row(source, label, &some, (holder, &seat), out)).transpose()?;
            if flow.is_some_and(|flow| flow.is_break())
                || out.looked(SEAT_WORK, Key::of_holder(pool, holder)).is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        if covered.is_end {
            let up_to = Key(pool, NO_HOLDER, 0);
            return Ok(out.looked(COVERED_WORK * at_once as u64, up_to));
        }
        if let Some(last) = covered.last.filter(|last| Some(*last) != after)
            && out.looked(COVERED_WORK * at_once as u64, Key::of_holder(pool, last)).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        after = covered.last;
        if !covered.is_broken {
            at_once = (at_once * 2).min(COVERED_AT_ONCE_MAX);
            continue;
        }
        at_once = SEATS_AT_ONCE;
        let some = source.seats_behind(label.pool, after, SEATS_AT_ONCE)?;
        match seats(source, label, &some, (after, SEATS_AT_ONCE), out)? {
            ControlFlow::Break(()) => return Ok(ControlFlow::Break(())),
            ControlFlow::Continue((_, told)) if told < SEATS_AT_ONCE => return Ok(ControlFlow::Continue(())),
            ControlFlow::Continue((last, _)) => after = last,
        }
    }
}

/// So many of the seats behind a holder; answers the last of them and how many there were.
fn seats(
    source: &Source<'_>,
    label: &Label,
    view: &View,
    (mut after, count): (Option<Holder>, usize),
    out: &mut Output<'_>,
) -> Result<ControlFlow<(), (Option<Holder>, usize)>, ReportError> {
    let work = if count == usize::MAX { 1 } else { SEAT_WORK };
    let mut told = 0;
    for (holder, seat) in seats_from(view.state.pool(label.pool), after).take(count) {
        let key = Key::of_holder(label.pool.0.into(), holder);
        if row(source, label, view, (holder, &seat), out)?.is_break() || out.looked(work, key).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        (after, told) = (Some(holder), told + 1);
    }
    Ok(ControlFlow::Continue((after, told)))
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

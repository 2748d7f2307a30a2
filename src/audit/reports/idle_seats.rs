//! Seats that are reserved and were never used.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Label, Output, POOL, POOL_KEY, Report, ReportError, Source, column,
    may, must,
};
use crate::audit::as_of::{AsOfError, At};
use crate::audit::part::seats::behind;
use crate::domain::ids::{DeviceId, Holder};
use crate::domain::report::ReportName;
use crate::domain::seat_step::{SeatStep, Standing};
use crate::domain::state::SeatState;
use crate::domain::subject::Subject;
use crate::domain::time::{DAY_MICROS, Time};
use crate::ledger::{ReadError, Step};
use crate::projection::holders::{HeldSeat, Holders, seats_from};
use std::ops::ControlFlow;

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

/// So many holders are looked up at once.
const HOLDERS_AT_ONCE: usize = if cfg!(test) { 3 } else { 4096 };

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let days = i64::from(asked.days.unwrap_or(0));
    let latest = Time(source.until.0.saturating_sub(days.saturating_mul(DAY_MICROS)));
    if source.is_told_in_parts()? {
        return read_by_steps(source, asked, latest, out);
    }
    let view = source.view()?;
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let after = out.after.filter(|after| after.0 == pool).and_then(Key::holder);
        for (holder, seat) in seats_from(view.state.pool(label.pool), after) {
            let key = Key::of_holder(pool, holder);
            let is_old = seat.state == SeatState::Reserved && seat.since <= latest;
            if is_old
                && !was_in_use(source, &label, holder, &seat)?
                && row(source, &label, (holder, &seat), out).is_break()
            {
                return Ok(());
            }
            if out.looked(source.worked(), key).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn row(
    source: &Source<'_>,
    label: &Label,
    (holder, seat): (Holder, &HeldSeat),
    out: &mut Output<'_>,
) -> ControlFlow<()> {
    let days = (source.until.0 - seat.since.0) / DAY_MICROS;
    let cells = vec![
        Cell::id(label.pool),
        Cell::id(&label.key),
        Cell::id(holder),
        Cell::Time(seat.since),
        Cell::Count(u64::try_from(days).unwrap_or(0)),
        Cell::evidence(seat.evidence()),
    ];
    out.row(Key::of_holder(label.pool.0.into(), holder), cells)
}

/// By what the index says was done to each seat: of those that are not idle nothing is read.
fn read_by_steps(source: &Source<'_>, asked: &Asked, latest: Time, out: &mut Output<'_>) -> Result<(), ReportError> {
    let latest_position = match At::Time(latest).position(source.ledger, source.tenant) {
        Ok(position) => position,
        Err(AsOfError::BeforeFirst { .. }) => return Ok(()),
        Err(AsOfError::InFuture { .. }) => source.position,
        Err(error @ AsOfError::Read(_)) => return Err(error.into()),
    };
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let mut next = behind(out.after.filter(|after| after.0 == pool).and_then(Key::holder));
        while let Some(first) = next {
            let between = (first, Holder::Device(DeviceId(u32::MAX)));
            let (ledger, tenant) = (source.ledger, source.tenant);
            let found = ledger.seats_between(tenant, label.pool, between, source.position, HOLDERS_AT_ONCE)?;
            next = found.last().filter(|_| found.len() == HOLDERS_AT_ONCE).and_then(|(last, _)| behind(Some(*last)));
            for (holder, steps) in found {
                if let Some(seat) = idle(source, &label, holder, &steps, (latest, latest_position))?
                    && row(source, &label, (holder, &seat), out).is_break()
                {
                    return Ok(());
                }
                let work = source.worked() + steps.len() as u64;
                if out.looked(work, Key::of_holder(pool, holder)).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// A seat that has been reserved since then and was never in use.
fn idle(
    source: &Source<'_>,
    label: &Label,
    holder: Holder,
    steps: &[Step],
    (latest, latest_position): (Time, u64),
) -> Result<Option<HeldSeat>, ReportError> {
    let is_begin = |step: SeatStep| step.takes_offer() && !step.is_taken_back();
    let begin = steps.iter().rposition(|(_, step)| is_begin(*step) || *step == SeatStep::Seen);
    let (Some(tenure), true) = (begin.and_then(|begin| steps.get(begin..)), Standing::after(steps).holds_seat) else {
        return Ok(None);
    };
    if tenure.iter().any(|(_, step)| step.is_taken_back()) {
        // whether that brought it into use is told by its installs
        let mut fold = Holders::new(label.pool);
        let positions: Vec<u64> = steps.iter().map(|(position, _)| *position).collect();
        for recorded in source.ledger.events_at(source.tenant, &positions)? {
            source.work.set(source.work.get() + 1);
            fold.take(&recorded);
        }
        let seat = fold.seats().get(&holder).copied();
        let is_idle = |seat: &HeldSeat| {
            seat.state == SeatState::Reserved && seat.since <= latest && seat.was_in_use == Some(false)
        };
        return Ok(seat.filter(is_idle));
    }
    let (mut granted_position, mut is_reserved) = (0, false);
    let mut since_event = 0;
    for (position, step) in tenure {
        match step {
            SeatStep::Granted | SeatStep::Adopted => {
                (granted_position, since_event, is_reserved) = (*position, *position, true);
            }
            SeatStep::Confirmed => since_event = *position,
            SeatStep::GrantedInUse
            | SeatStep::AdoptedInUse
            | SeatStep::Seen
            | SeatStep::Taken
            | SeatStep::Releasing
            | SeatStep::ReleasingLapsed => return Ok(None),
            SeatStep::Idle
            | SeatStep::ReleaseSent
            | SeatStep::ReleaseRefused
            | SeatStep::TakenBack
            | SeatStep::RegrantFlagged
            | SeatStep::Released
            | SeatStep::ReleasedLapsed
            | SeatStep::LapseEnded
            | SeatStep::Queued
            | SeatStep::Requeued
            | SeatStep::Dequeued
            | SeatStep::Installed
            | SeatStep::Licensed
            | SeatStep::Uninstalled => {}
        }
    }
    if !is_reserved || since_event > latest_position {
        return Ok(None);
    }
    source.work.set(source.work.get() + 1);
    let since = source.ledger.events(source.tenant, since_event, 1)?.pop();
    let since = since.ok_or(ReadError::NotReached(since_event))?.envelope.recorded_at;
    let state = SeatState::Reserved;
    let was_in_use = Some(false);
    Ok(Some(HeldSeat { state, granted_position, since, since_position: granted_position, was_in_use }))
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

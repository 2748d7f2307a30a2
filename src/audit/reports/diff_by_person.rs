//! What changed between two points, holder by holder.

use super::between::changes;
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may, must,
};
use crate::audit::each_event;
use crate::domain::ids::{DeviceId, Holder, UserId};
use crate::domain::report::ReportName;
use crate::domain::subject::Subject;
use crate::projection::holders::seat_of;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub(super) const REPORT: Report = Report {
    name: ReportName::DiffByPerson,
    about: "What changed between two points for each user and device: how many seats it held, and each seat that came, went \
            or is in another state.",
    parameters: &[must(Asking::FromPoint), must(Asking::ToPoint), may(Asking::Pool), may(Asking::User)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    column("what", "person: how many seats; seat: one seat"),
    column("holder", "The user or the device"),
    POOL,
    POOL_KEY,
    column("state_before", "Of a seat: its state at the first point; empty where there was none"),
    column("state_after", "Of a seat: its state at the second point; empty where there is none"),
    column("changed_by", "Of a seat: the last event that changed it"),
    column("cause", "Of a seat: why, where that event says it"),
    column("cause_position", "Of a seat: where that event stands"),
    column("held_before", "Of a person: seats held at the first point"),
    column("held_after", "Of a person: seats held at the second point"),
    EVIDENCE,
];

/// A shorter range is read whole; in a longer one each holder is looked up. Few in tests, whose histories are short.
const READ_WHOLE_MAX: u64 = if cfg!(test) { 300 } else { 50_000 };

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let range = asked.first..source.position + 1;
    let whole = if asked.user.is_none() && range.end.saturating_sub(range.start) <= READ_WHOLE_MAX {
        Some(touched(source, asked)?)
    } else {
        None
    };
    let (users, devices) =
        source.ledger.read(source.tenant, |view| (view.state.users.len(), view.state.devices.len()))?;
    let all = (0..users).map(|at| Holder::User(UserId::at(at)));
    let all = all.chain((0..devices).map(|at| Holder::Device(DeviceId::at(at))));
    let holders: Box<dyn Iterator<Item = Holder>> = match (asked.user, whole) {
        (Some(user), _) => Box::new(std::iter::once(Holder::User(user))),
        (None, Some(touched)) => Box::new(touched.into_iter()),
        (None, None) => Box::new(all),
    };
    for holder in holders {
        let last = key(holder, u64::MAX);
        if out.after.is_some_and(|after| last <= after) {
            continue;
        }
        let has_events =
            !source.ledger.positions(source.tenant, Subject::from(holder), range.clone(), 1, false)?.is_empty();
        if has_events {
            let found = changes(source, holder, asked.pool, asked.first)?;
            let person = [Cell::Count(found.held_before), Cell::Count(found.held_after)];
            let evidence = Cell::evidence(found.seats.iter().map(|change| change.by.position));
            if !found.seats.is_empty() && out.row(key(holder, 0), of_person(holder, person, evidence)).is_break() {
                return Ok(());
            }
            for change in found.seats {
                let Some(label) = source.label(change.pool)? else { continue };
                let [was, is] = change.states();
                let [by, cause, position] = change.cause();
                let mut cells = vec![Cell::Word("seat"), Cell::id(holder), Cell::id(change.pool), Cell::id(&label.key)];
                cells.extend([was, is, by, cause, position, Cell::Nothing, Cell::Nothing]);
                cells.push(Cell::evidence(change.evidence()));
                if out.row(key(holder, u64::from(change.pool.0) + 1), cells).is_break() {
                    return Ok(());
                }
            }
        }
        if out.looked(source.worked(), last).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

fn of_person(holder: Holder, held: [Cell; 2], evidence: Cell) -> Vec<Cell> {
    let mut cells = vec![Cell::Word("person"), Cell::id(holder)];
    cells.extend(std::iter::repeat_n(Cell::Nothing, 7));
    cells.extend(held);
    cells.push(evidence);
    cells
}

/// By holder, then the person's own row, then the pools.
fn key(holder: Holder, pool: u64) -> Key {
    let Key(_, kind, id) = Key::of_holder(0, holder);
    Key(kind, id, pool)
}

/// Whose seats an event of the range is about.
fn touched(source: &Source<'_>, asked: &Asked) -> Result<BTreeSet<Holder>, ReportError> {
    let mut holders = BTreeSet::new();
    if asked.first <= source.position {
        each_event(source.ledger, source.tenant, asked.first, source.position, |recorded| {
            holders.extend(seat_of(&recorded.event).map(|(_, holder)| holder));
            ControlFlow::Continue(())
        })?;
    }
    Ok(holders)
}

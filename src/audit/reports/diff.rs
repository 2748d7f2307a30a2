//! What changed between two points, pool by pool.

use super::between::changes;
use super::courses::{at, evidence};
use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Label, Output, POOL, POOL_KEY, Report, ReportError, Source, column,
    may, must,
};
use crate::domain::ids::Holder;
use crate::domain::report::ReportName;
use crate::domain::subject::Subject;
use crate::projection::courses::Course;
use crate::projection::holders::seat_of;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub(super) const REPORT: Report = Report {
    name: ReportName::Diff,
    about: "What changed between two points: a row for each pool whose figures are others, and one for each seat that came, \
            went or is in another state.",
    parameters: &[must(Asking::FromPoint), must(Asking::ToPoint), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    column("what", "pool: figures; seat: one seat"),
    POOL,
    POOL_KEY,
    column("holder", "Of a seat: the user or the device"),
    column("state_before", "Of a seat: its state at the first point; empty where there was none"),
    column("state_after", "Of a seat: its state at the second point; empty where there is none"),
    column("changed_by", "Of a seat: the last event that changed it"),
    column("cause", "Of a seat: why, where that event says it"),
    column("cause_position", "Of a seat: where that event stands"),
    column("owned_before", "Of a pool: seats owned at the first point; empty where it was not listed yet"),
    column("owned_after", "Of a pool: seats owned at the second point"),
    column("held_before", "Of a pool: seats held at the first point"),
    column("held_after", "Of a pool: seats held at the second point"),
    column("free_before", "Of a pool: seats free at the first point"),
    column("free_after", "Of a pool: seats free at the second point"),
    column("over_by_before", "Of a pool: seats held above the cap at the first point"),
    column("over_by_after", "Of a pool: seats held above the cap at the second point"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let before = asked.first.checked_sub(1).map(|before| at(source, &label, before)).transpose()?.flatten();
        let Some(after) = at(source, &label, source.position)? else { continue };
        let key = Key(pool, 0, 0);
        if figures(before.as_ref()) != figures(Some(&after)) {
            let cells = pool_cells(&label, before.as_ref(), &after, asked.first);
            if out.row(key, cells).is_break() {
                return Ok(());
            }
        }
        // without an event about it nothing of it changed
        let mut holders = BTreeSet::new();
        source.each_event(Subject::Pool(label.pool), asked.first..source.position + 1, |recorded| {
            holders.extend(seat_of(&recorded.event).map(|(_, holder)| holder));
            ControlFlow::Continue(())
        })?;
        if out.looked(source.worked(), key).is_break() {
            return Ok(());
        }
        let told = out.after.filter(|after| after.0 == pool);
        for holder in holders {
            let key = seat_key(pool, holder);
            if told.is_some_and(|told| key <= told) {
                continue;
            }
            let found = changes(source, holder, Some(label.pool), asked.first)?;
            for change in found.seats {
                let [was, is] = change.states();
                let [by, cause, position] = change.cause();
                let mut cells = vec![Cell::Word("seat"), Cell::id(label.pool), Cell::id(&label.key), Cell::id(holder)];
                cells.extend([was, is, by, cause, position]);
                cells.extend(std::iter::repeat_n(Cell::Nothing, 8));
                cells.push(Cell::evidence(change.evidence()));
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

/// Behind the row of the pool.
fn seat_key(pool: u64, holder: Holder) -> Key {
    let Key(pool, kind, id) = Key::of_holder(pool, holder);
    Key(pool, kind + 1, id)
}

fn figures(course: Option<&Course>) -> Option<(crate::domain::facts::Owned, Option<u64>, u64)> {
    course.map(|course| (course.owned, course.cap(), course.held))
}

fn pool_cells(label: &Label, before: Option<&Course>, after: &Course, first: u64) -> Vec<Cell> {
    let was = |cell: fn(&Course) -> Cell| Cell::or_nothing(before, cell);
    let owned = |course: &Course| Cell::Owned(course.owned);
    let held = |course: &Course| Cell::Count(course.held);
    let free = |course: &Course| Cell::Owned(course.free());
    let over_by = |course: &Course| Cell::Count(course.over_by());
    let mut cells = vec![Cell::Word("pool"), Cell::id(label.pool), Cell::id(&label.key)];
    cells.extend(std::iter::repeat_n(Cell::Nothing, 6));
    cells.extend([was(owned), owned(after), was(held), held(after)]);
    cells.extend([was(free), free(after), was(over_by), over_by(after)]);
    cells.push(Cell::evidence(evidence(after).filter(|position| *position >= first)));
    cells
}

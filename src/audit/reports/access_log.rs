//! Who read which report.

use super::{Asked, Asking, Cell, Column, EVIDENCE, Key, Output, Report, ReportError, Source, column, may};
use crate::audit::sentence::actor_name;
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::report::ReportName;
use crate::ledger::{EventQuery, PAGE_EVENTS_MAX};

pub(super) const REPORT: Report = Report {
    name: ReportName::AccessLog,
    about: "Who read which report, when, and what it was asked with. The same read by the same actor within an hour is told \
            once.",
    parameters: &[may(Asking::From), may(Asking::To), may(Asking::Pool), may(Asking::User)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    column("read_at", "When it was read"),
    column("actor", "Who read it: root or a token's id"),
    column("door", "Through which door"),
    column("report", "The report's name"),
    column("position", "The last position that the answer spoke of; for now, the head when it was asked for"),
    column("as_of", "The point that was asked for; empty for now"),
    column("from", "The first position of the period that was asked for"),
    column("to", "Its last position"),
    column("pool", "The pool that was asked for"),
    column("user", "The user who was asked for"),
    column("days", "The number of days that was asked for"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let mut query = EventQuery {
        from: asked.first.max(out.after.map_or(0, |after| after.0.saturating_add(1))),
        to: Some(source.position + 1),
        types: vec![EventType::ReportRead],
        pool: asked.pool,
        user: asked.user,
        limit: PAGE_EVENTS_MAX,
        ..EventQuery::default()
    };
    loop {
        let page = source.ledger.query(source.tenant, &query)?;
        for recorded in page.events {
            let Event::ReportRead { report, asked, position } = recorded.event else { continue };
            let cells = vec![
                Cell::Time(recorded.envelope.recorded_at),
                Cell::Text(actor_name(recorded.envelope.actor)),
                Cell::word(&recorded.envelope.door),
                Cell::Word(report.name()),
                Cell::Count(position),
                Cell::or_nothing(asked.as_of, Cell::Count),
                Cell::or_nothing(asked.from, Cell::Count),
                Cell::or_nothing(asked.to, Cell::Count),
                Cell::or_nothing(asked.pool, Cell::id),
                Cell::or_nothing(asked.user, Cell::id),
                Cell::or_nothing(asked.days, |days| Cell::Count(days.into())),
                Cell::evidence([recorded.position]),
            ];
            if out.row(Key(recorded.position, 0, 0), cells).is_break() {
                return Ok(());
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        query.from = next;
        let looked = Key(next.saturating_sub(1), 0, 0);
        if out.looked(PAGE_EVENTS_MAX as u64, looked).is_break() {
            return Ok(());
        }
    }
}

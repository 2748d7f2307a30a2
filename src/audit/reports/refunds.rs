//! What was given back for money.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::audit::sentence::actor_name;
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::report::ReportName;
use crate::ledger::{EventQuery, PAGE_EVENTS_MAX};

pub(super) const REPORT: Report = Report {
    name: ReportName::Refunds,
    about: "Every refund with its order, its seats and its amount.",
    parameters: &[may(Asking::From), may(Asking::To), may(Asking::Pool)],
    columns: COLUMNS,
    read,
};

const COLUMNS: &[Column] = &[
    POOL,
    POOL_KEY,
    column("recorded_at", "When it was recorded"),
    column("order", "The order's number"),
    column("quantity", "Seats given back"),
    column("ordered_on", "The day of the order"),
    column("currency", "Of the amount"),
    column("amount", "What was given back, in the smallest unit of the currency"),
    column("actor", "Who recorded it: root, ledger or a token's id"),
    column("explains", "The drift that it explains"),
    EVIDENCE,
];

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let mut query = EventQuery {
        from: asked.first.max(out.after.map_or(0, |after| after.0.saturating_add(1))),
        to: Some(source.position + 1),
        types: vec![EventType::RefundRecorded],
        pool: asked.pool,
        limit: PAGE_EVENTS_MAX,
        ..EventQuery::default()
    };
    loop {
        let page = source.ledger.query(source.tenant, &query)?;
        for recorded in page.events {
            let Event::RefundRecorded { pool, order, quantity, ordered_on, amount, explains } = recorded.event else {
                continue;
            };
            let Some(label) = source.label(pool)? else { continue };
            let cells = vec![
                Cell::id(pool),
                Cell::id(&label.key),
                Cell::Time(recorded.envelope.recorded_at),
                Cell::Text(order),
                Cell::Count(quantity),
                Cell::Day(ordered_on),
                Cell::Text(amount.currency),
                Cell::Count(amount.minor_units),
                Cell::Text(actor_name(recorded.envelope.actor)),
                Cell::or_nothing(explains, Cell::id),
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

//! The same for what stands in single events: refunds, drift, who read what.

use super::naive::{Look, Naive, Rows, evidence, maybe, text, word};
use crate::audit::reports::Cell;
use crate::domain::event::Event;
use crate::domain::facts::Owned;
use crate::domain::time::DAY_MICROS;

impl Naive {
    pub(super) fn refunds(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let mut rows = Rows::new();
        for recorded in self.events.iter().take(look.at + 1).skip(first) {
            let Event::RefundRecorded { pool, order, quantity, ordered_on, amount, explains } = &recorded.event else {
                continue;
            };
            if look.asked.pool.is_some_and(|asked| asked != *pool) {
                continue;
            }
            rows.push(vec![
                text(pool),
                text(&self.views[look.at].state.pool(*pool).key),
                Cell::Time(recorded.envelope.recorded_at),
                text(order),
                Cell::Count(*quantity),
                Cell::Day(*ordered_on),
                text(&amount.currency),
                Cell::Count(amount.minor_units),
                text("token_0"),
                maybe(*explains, text),
                evidence([usize::try_from(recorded.position).unwrap()]),
            ]);
        }
        rows
    }

    pub(super) fn access_log(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let mut rows = Rows::new();
        for recorded in self.events.iter().take(look.at + 1).skip(first) {
            let Event::ReportRead { report, asked, position } = &recorded.event else { continue };
            let is_of = |wanted: Option<String>, is: Option<String>| wanted.is_none() || wanted == is;
            if !is_of(look.asked.pool.map(|pool| pool.to_string()), asked.pool.map(|pool| pool.to_string()))
                || !is_of(look.asked.user.map(|user| user.to_string()), asked.user.map(|user| user.to_string()))
            {
                continue;
            }
            rows.push(vec![
                Cell::Time(recorded.envelope.recorded_at),
                text("token_0"),
                text("http"),
                Cell::Word(report.name()),
                Cell::Count(*position),
                maybe(asked.as_of, Cell::Count),
                maybe(asked.from, Cell::Count),
                maybe(asked.to, Cell::Count),
                maybe(asked.pool, text),
                maybe(asked.user, text),
                maybe(asked.days, |days| Cell::Count(u64::from(days))),
                evidence([usize::try_from(recorded.position).unwrap()]),
            ]);
        }
        rows
    }

    pub(super) fn drift(&self, look: &Look) -> Rows {
        let state = &self.views[look.at].state;
        let open = state.drifts.iter().filter(|drift| drift.resolution.is_none());
        let of_pool = open.filter(|drift| look.asked.pool.is_none_or(|asked| asked == drift.pool));
        let row = |drift: &crate::domain::state::Drift| {
            let difference = match (drift.before, drift.after) {
                (Owned::Count(before), Owned::Count(after)) => Cell::Difference(after as i64 - before as i64),
                _ => Cell::Nothing,
            };
            vec![
                text(drift.id),
                text(drift.pool),
                text(&state.pool(drift.pool).key),
                word(&drift.kind),
                Cell::Owned(drift.before),
                Cell::Owned(drift.after),
                difference,
                Cell::Time(drift.found_at),
                Cell::Count(u64::try_from((look.until.0 - drift.found_at.0) / DAY_MICROS).unwrap()),
                evidence([usize::try_from(drift.found_position).unwrap()]),
            ]
        };
        of_pool.map(row).collect()
    }
}

//! Seats whose holders no assignment covers.

use super::{
    Asked, Asking, Cell, Column, EVIDENCE, Key, Output, POOL, POOL_KEY, Report, ReportError, Source, column, may,
};
use crate::domain::report::ReportName;
use crate::domain::state::SeatState;
use crate::projection::holders::seats_from;

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

fn read(source: &Source<'_>, asked: &Asked, out: &mut Output<'_>) -> Result<(), ReportError> {
    let view = source.view()?;
    for label in source.pools(asked, out.after.map_or(0, |after| after.0)) {
        let label = label?;
        let pool = u64::from(label.pool.0);
        let held = view.state.pool(label.pool);
        let after = out.after.filter(|after| after.0 == pool).and_then(Key::holder);
        for (holder, seat) in seats_from(held, after) {
            let key = Key::of_holder(pool, holder);
            let is_ours = matches!(seat.state, SeatState::Reserved | SeatState::InUse);
            if is_ours && !view.state.coverage(label.pool, holder).is_covered() {
                let cells = vec![
                    Cell::id(label.pool),
                    Cell::id(&label.key),
                    Cell::id(holder),
                    Cell::word(&seat.state),
                    Cell::Time(source.placed_since(label.pool, holder, &seat)?),
                    Cell::word(&held.policy.untargeted),
                    Cell::evidence(seat.evidence()),
                ];
                if out.row(key, cells).is_break() {
                    return Ok(());
                }
            }
            if out.looked(1, key).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

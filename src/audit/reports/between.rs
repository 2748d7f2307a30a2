//! One holder's seats at two points, and what changed them between. Not here: in which order holders are looked at.

use super::source::Source;
use super::{Cell, ReportError};
use crate::audit::events::data_of;
use crate::domain::event::Recorded;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::subject::Subject;
use crate::projection::change::Change;
use crate::projection::holders::{HeldSeat, Holders, seat_of};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Of those events that changed a seat between the points, the last ones prove it.
const EVIDENCE_MAX: usize = 50;

/// A seat that is not the same at both points.
#[derive(Debug, Clone)]
pub(super) struct SeatChange {
    pub(super) pool: PoolId,
    pub(super) before: Option<HeldSeat>,
    pub(super) after: Option<HeldSeat>,
    /// The last event that changed it.
    pub(super) by: Recorded,
    positions: Vec<u64>,
}

impl SeatChange {
    pub(super) fn states(&self) -> [Cell; 2] {
        [self.before, self.after].map(|seat| Cell::or_nothing(seat, |seat| Cell::word(&seat.state)))
    }

    /// What changed it last, why, and where.
    pub(super) fn cause(&self) -> [Cell; 3] {
        let data = data_of(&self.by.event);
        let cause = data.get("cause").and_then(serde_json::Value::as_str);
        [
            Cell::Word(self.by.event.type_name()),
            Cell::or_nothing(cause, |cause| Cell::Text(cause.to_owned())),
            Cell::Count(self.by.position),
        ]
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = u64> + '_ {
        self.positions.iter().copied()
    }
}

/// What a holder held at both points, and what of it changed.
pub(super) struct Changes {
    pub(super) seats: Vec<SeatChange>,
    pub(super) held_before: u64,
    pub(super) held_after: u64,
}

#[derive(Default)]
struct Touched {
    fold: Option<Holders>,
    before: Option<HeldSeat>,
    by: Option<Recorded>,
    positions: Vec<u64>,
}

/// Compares a holder's seats just before position `first` with those at the end, in one pool or in all of them.
pub(super) fn changes(
    source: &Source<'_>,
    holder: Holder,
    only: Option<PoolId>,
    first: u64,
) -> Result<Changes, ReportError> {
    let mut pools: BTreeMap<PoolId, Touched> = BTreeMap::new();
    source.each_event(Subject::from(holder), 0..source.position + 1, |recorded| {
        let Some((pool, _)) = Change::of(&recorded.event) else { return ControlFlow::Continue(()) };
        if only.is_some_and(|only| only != pool) {
            return ControlFlow::Continue(());
        }
        let touched = pools.entry(pool).or_default();
        let fold = touched.fold.get_or_insert_with(|| Holders::new(pool));
        let was = fold.seats().get(&holder).copied();
        fold.take(recorded);
        let is = fold.seats().get(&holder).copied();
        if recorded.position < first {
            touched.before = is;
        } else if identity(was) != identity(is) && seat_of(&recorded.event).is_some_and(|(_, whose)| whose == holder) {
            touched.positions.push(recorded.position);
            touched.by = Some(recorded.clone());
        }
        ControlFlow::Continue(())
    })?;
    let mut found = Changes { seats: Vec::new(), held_before: 0, held_after: 0 };
    for (pool, Touched { fold, before, by, mut positions }) in pools {
        let after = fold.and_then(|fold| fold.seats().get(&holder).copied());
        found.held_before += u64::from(before.is_some());
        found.held_after += u64::from(after.is_some());
        let Some(by) = by.filter(|_| identity(before) != identity(after)) else { continue };
        let skipped = positions.len().saturating_sub(EVIDENCE_MAX);
        positions.drain(..skipped);
        found.seats.push(SeatChange { pool, before, after, by, positions });
    }
    Ok(found)
}

/// What makes a seat another one: its state, and where it was granted.
fn identity(seat: Option<HeldSeat>) -> Option<(crate::domain::state::SeatState, u64)> {
    seat.map(|seat| (seat.state, seat.granted_position))
}

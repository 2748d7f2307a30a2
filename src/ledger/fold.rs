//! A tenant's history folded from nothing, record by record, out of the journal alone: no snapshot, no vault, no
//! projection. A record that can't be read, and one that breaks a law, is a place in words and no panic.

use crate::domain::event::Recorded;
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::log::ReplayedFrame;
use crate::log::panics::caught;
use crate::log::record::{self, RecordError};
use std::borrow::Borrow;
use std::ops::ControlFlow;

/// How far a history is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum To {
    #[default]
    End,
    /// This position is the last one that counts.
    Position(u64),
    /// Everything that was recorded up to this instant.
    Time(Time),
}

impl To {
    fn is_beyond(self, recorded: &Recorded) -> bool {
        match self {
            Self::End => false,
            Self::Position(last) => recorded.position > last,
            Self::Time(last) => recorded.envelope.recorded_at > last,
        }
    }
}

/// Where a history stops making sense, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) position: u64,
    pub(super) what: String,
}

/// Folds a frame's records into the tenant's state; `Break` when the rest is beyond `to`. `seen` is told of every record
/// before it is folded, and may object to it.
pub(super) fn fold_frame(
    state: &mut Tenant,
    frame: ReplayedFrame<'_>,
    to: To,
    seen: &mut dyn FnMut(&Recorded) -> Result<(), String>,
) -> Result<ControlFlow<()>, Misfit> {
    fold_records(state, frame.first_position, decoded(frame), to, seen)
}

/// A frame's records, each as far as it can be read.
pub(super) fn decoded(frame: ReplayedFrame<'_>) -> impl Iterator<Item = Result<Recorded, RecordError>> {
    (frame.first_position..).zip(frame.records).map(|(position, bytes)| record::decode(position, bytes))
}

/// As [`fold_frame`], of records that were read before.
pub(super) fn fold_records<R: Borrow<Recorded>, E: Borrow<RecordError>>(
    state: &mut Tenant,
    first_position: u64,
    records: impl Iterator<Item = Result<R, E>>,
    to: To,
    seen: &mut dyn FnMut(&Recorded) -> Result<(), String>,
) -> Result<ControlFlow<()>, Misfit> {
    let mut at = first_position;
    let outcome = caught(|| {
        for (position, recorded) in (first_position..).zip(records) {
            at = position;
            let recorded = recorded.map_err(|error| format!("its record can't be read: {}", error.borrow()))?;
            let recorded = recorded.borrow();
            if to.is_beyond(recorded) {
                return Ok(ControlFlow::Break(()));
            }
            seen(recorded)?;
            state.evolve(&recorded.event, &recorded.meta());
        }
        Ok(ControlFlow::Continue(()))
    });
    match outcome {
        Ok(Ok(flow)) => Ok(flow),
        Ok(Err(what)) => Err(Misfit { position: at, what }),
        Err(panic) => Err(Misfit { position: at, what: format!("its record breaks a law: {panic}") }),
    }
}

/// A tenant's name for people: its slug, or its number before its first event was read.
pub(super) fn name_of(tenant: u32, state: &Tenant) -> String {
    if state.slug.is_empty() { format!("number {tenant}") } else { state.slug.clone() }
}

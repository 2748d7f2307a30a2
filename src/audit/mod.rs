//! Questions about the past and about what would be: states as they were, trials, the events behind a number. Everything
//! here is a fold of the log through the ledger's door; nothing here writes to it.

pub mod as_of;
pub mod simulate;

#[cfg(test)]
mod tests;

use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::ledger::{Ledger, ReadError};
use std::ops::ControlFlow;

/// So many events are in memory at once while a history is read.
const READ_EVENTS_MAX: usize = 4096;

/// Hands out the events of positions `from` to `to`, both included, in order, until the callback has enough. Blocking.
fn each_event(
    ledger: &Ledger,
    tenant: TenantId,
    from: u64,
    to: u64,
    mut each: impl FnMut(Recorded) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut next = from;
    while next <= to {
        let wanted = usize::try_from((to - next).saturating_add(1)).unwrap_or(usize::MAX).min(READ_EVENTS_MAX);
        let events = ledger.events(tenant, next, wanted)?;
        let Some(last) = events.last() else { return Err(ReadError::NotReached(next)) };
        next = last.position + 1;
        for recorded in events {
            if each(recorded).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

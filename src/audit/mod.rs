//! Questions about the past and about what would be: states as they were, trials, the events behind a number. Everything
//! here is a fold of the log through the ledger's door; nothing here writes to it.

pub mod as_of;
pub mod bundle;
pub mod certificate;
pub mod columns;
pub mod events;
pub mod explain;
pub mod export;
pub mod hindsight;
pub mod import;
#[cfg(feature = "parquet")]
mod parquet;
pub mod part;
pub mod reports;
pub mod sentence;
mod shelf;
pub mod simulate;
pub mod story;
pub mod timeline;
pub mod why_not;

#[cfg(test)]
mod tests;

use crate::domain::event::Recorded;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::subject::Subject;
use crate::ledger::{Ledger, ReadError};
use crate::projection::tallies::Tally;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

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

/// A pool's figures of all positions up to `to`, and of some behind it; `None` where it is not listed yet.
fn tally(ledger: &Ledger, tenant: TenantId, pool: PoolId, to: u64) -> Result<Option<Arc<Tally>>, ReadError> {
    if to > ledger.head(tenant)? {
        return Err(ReadError::NotReached(to));
    }
    ledger.read(tenant, |view| view.tallies.pool(pool).cloned())
}

/// The events up to position `to` that are about one pool, in order, until the callback has enough. Blocking.
fn each_pool_event(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    to: u64,
    each: impl FnMut(&Recorded) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    each_event_about(ledger, tenant, Subject::Pool(pool), 0..to.saturating_add(1), each)
}

/// The events within some positions that are about one subject, in order, until the callback has enough. Blocking.
fn each_event_about(
    ledger: &Ledger,
    tenant: TenantId,
    subject: Subject,
    range: Range<u64>,
    mut each: impl FnMut(&Recorded) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let last = range.end.saturating_sub(1);
    if last > ledger.head(tenant)? {
        return Err(ReadError::NotReached(last));
    }
    let mut next = range.start;
    loop {
        let positions = ledger.positions(tenant, subject, next..range.end, READ_EVENTS_MAX, false)?;
        let Some(last) = positions.last() else { return Ok(()) };
        next = last + 1;
        for recorded in ledger.events_at(tenant, &positions)? {
            if each(&recorded).is_break() {
                return Ok(());
            }
        }
    }
}

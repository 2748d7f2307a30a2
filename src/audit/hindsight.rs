//! An instant as it was known later: the state of its position, and over it the facts about seats and installs that were
//! recorded behind that position and are placed at the instant or before it (`domain::placing`). Found by how late they were,
//! so that what is read grows with what came late and not with what came since. Everything here is blocking.

mod late;

pub use late::{Late, LateFacts, late};

use super::as_of::{AsOf, AsOfError, At};
use super::each_pool_event;
use super::part::{Wanted, part_in_hindsight};
use crate::domain::event::Recorded;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::placing::{Chain, told_at};
use crate::domain::time::Time;
use crate::ledger::{Ledger, ReadError, Step};
use crate::projection::View;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// So many of the last facts of a chain are read at first, which most often say enough, and at most at once.
const FEW: usize = 2;
const CHUNK: usize = 256;

/// What is looked at: an instant, and how much of the log may tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Moment {
    /// The last position that counts by itself.
    pub position: u64,
    /// Where it was asked how the instant was known.
    pub known: Option<Known>,
}

/// Up to where the log is known of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Known {
    /// The last position that is known of; never below the moment's.
    pub position: u64,
    /// What is placed before this counts, though it was recorded behind the moment's position.
    pub before: Time,
}

impl Moment {
    #[must_use]
    pub fn at(position: u64) -> Self {
        Self { position, known: None }
    }

    /// What the log up to `known` says of the instant; without an instant, of the last one that it knows. An instant behind
    /// what is known is that last one as well.
    ///
    /// # Errors
    /// When the history does not reach that far, or begins later.
    pub fn of(ledger: &Ledger, tenant: TenantId, as_of: Option<At>, known: Option<u64>) -> Result<Self, AsOfError> {
        let position = as_of.map_or_else(|| Ok(ledger.head(tenant)?), |at| at.position(ledger, tenant))?;
        let Some(known) = known else { return Ok(Self::at(position)) };
        let before = match as_of {
            Some(At::Time(time)) => Time(time.0.saturating_add(1)),
            Some(At::Position(_)) | None => {
                let found = ledger.events(tenant, position.min(known), 1)?.pop();
                found.ok_or(ReadError::NotReached(position))?.envelope.recorded_at
            }
        };
        Ok(Self { position: position.min(known), known: Some(Known { position: known, before }) })
    }
}

impl AsOf {
    /// The tenant at a moment, at least what is wanted of it: `state.next_position` is the moment's position plus one. Seats and installs that are known of
    /// by what came late have the time at which that is placed.
    ///
    /// # Errors
    /// When there is no such tenant or position, or the log can't be read.
    pub fn moment(
        &self,
        ledger: &Ledger,
        tenant: TenantId,
        moment: Moment,
        wanted: &Wanted,
    ) -> Result<Arc<View>, AsOfError> {
        let erasures = ledger.erasures();
        let at = At::Position(moment.position);
        if moment.known.is_none() {
            return self.part_at(ledger, tenant, at, wanted);
        }
        if !wanted.is_about_seats() {
            return Ok(Arc::new(self.part_at(ledger, tenant, at, wanted)?.in_hindsight()));
        }
        if let Some(view) = self.looked_back.at_hand(ledger, tenant, moment) {
            return Ok(view);
        }
        if *wanted != Wanted::Everything {
            let only = wanted.pool(ledger, tenant)?.map(|pool| BTreeSet::from([pool]));
            let mut facts = LateFacts::of(ledger, tenant, moment, only)?;
            if facts.are_none() {
                // what was recorded by then may be placed earlier
                return Ok(Arc::new(self.part_at(ledger, tenant, at, wanted)?.in_hindsight()));
            }
            match part_in_hindsight(ledger, tenant, moment.position, wanted, &mut facts) {
                Ok(Some(view)) => return Ok(Arc::new(view)),
                Ok(None) => {}
                Err(error) => self.part_failed(&error),
            }
        }
        let mut view = self.view_at(ledger, tenant, at)?.in_hindsight();
        for Late { recorded, placed_at } in late(ledger, tenant, moment, None)? {
            view.take_late(&recorded, placed_at);
        }
        let view = Arc::new(view);
        self.looked_back.keep(tenant, moment, erasures, Arc::clone(&view));
        Ok(view)
    }
}

/// The events about a pool that count at a moment, in the order of their positions, until the callback has enough.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub(super) fn each_pool_event_at(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    moment: Moment,
    mut each: impl FnMut(&Recorded) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut flow = ControlFlow::Continue(());
    each_pool_event(ledger, tenant, pool, moment.position, |recorded| {
        flow = each(recorded);
        flow
    })?;
    if flow.is_break() {
        return Ok(());
    }
    for Late { recorded, .. } in late(ledger, tenant, moment, Some(pool))? {
        if each(&recorded).is_break() {
            break;
        }
    }
    Ok(())
}

/// Where in time the last fact of a chain up to a position is placed; `None` where there is none.
///
/// # Errors
/// When there is no such tenant, or the log can't be read.
pub fn placed_by(ledger: &Ledger, tenant: TenantId, chain: Chain, position: u64) -> Result<Option<Time>, ReadError> {
    let (pool, holder) = chain.told_of();
    let steps = ledger.seats_between(tenant, pool, (holder, holder), position, 1)?.pop();
    placed_last(ledger, tenant, chain, &steps.map(|(_, steps)| steps).unwrap_or_default())
}

/// The same of these steps, among which are all that tell of it.
fn placed_last(ledger: &Ledger, tenant: TenantId, chain: Chain, steps: &[Step]) -> Result<Option<Time>, ReadError> {
    let is_install = matches!(chain, Chain::Install { .. });
    let of_it = steps.iter().filter(|(_, step)| step.is_of_an_install() == is_install);
    let of_it: Vec<u64> = of_it.rev().map(|(at, _)| *at).collect();
    let (mut latest, mut rest, mut count) = (None, of_it.as_slice(), FEW);
    while !rest.is_empty() {
        let (some, behind) = rest.split_at(count.min(rest.len()));
        (rest, count) = (behind, (count * 4).min(CHUNK));
        for recorded in ledger.facts_at(tenant, some)? {
            // nothing before it can be placed later
            if latest.is_some_and(|latest| recorded.envelope.recorded_at <= latest) {
                return Ok(latest);
            }
            if Chain::of(&recorded.event) == Some(chain) {
                latest = latest.max(Some(told_at(&recorded)));
                if latest >= Some(recorded.envelope.recorded_at) {
                    return Ok(latest);
                }
            }
        }
    }
    Ok(latest)
}

/// The time of a state that was entered at a position, as it stands in a view of a moment: where its fact is placed. A time
/// that is not the one at which the fact was recorded is such a one already, or of another fact.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn placed_since(
    ledger: &Ledger,
    tenant: TenantId,
    chain: Chain,
    since: Time,
    position: u64,
) -> Result<Time, ReadError> {
    let recorded = ledger.events(tenant, position, 1)?.pop().ok_or(ReadError::NotReached(position))?;
    if recorded.envelope.recorded_at != since || told_at(&recorded) == since {
        return Ok(since);
    }
    Ok(placed_by(ledger, tenant, chain, position)?.unwrap_or(since))
}

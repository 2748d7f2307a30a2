//! The part of a tenant that is about some of a pool's seats, in which state they are and since which grant, as the index says
//! it, with who is covered. Of the events about seats none is read but those that say on which device an app is.

use super::holders::{assignments, fold};
use super::pile::Pile;
use super::seats::{EVENTS_MAX, Reader, behind};
use super::{Listed, bare};
use crate::domain::evolve::Told;
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::seat_step::{SeatStep, seat_after, telling};
use crate::domain::state::SeatState;
use crate::ledger::{Ledger, ReadError, Step};
use crate::projection::View;
use std::collections::BTreeMap;

/// For who asks what it takes to get a pool back under its cap; `None` where it takes more, or where the index does not say in
/// which state a seat is.
pub(super) fn seats(ledger: &Ledger, at: (TenantId, u64), pool: PoolId) -> Result<Option<View>, ReadError> {
    told(ledger, at, pool, (None, usize::MAX), None)
}

/// Seats behind a holder, so many, for who asks whether they are ours and covered: one that was taken back is reserved or in use,
/// and is told as the latter. `None` where it takes more.
pub(in crate::audit) fn coverage(
    ledger: &Ledger,
    at: (TenantId, u64),
    pool: PoolId,
    some: (Option<Holder>, usize),
) -> Result<Option<View>, ReadError> {
    told(ledger, at, pool, some, Some((SeatState::InUse, 0)))
}

fn told(
    ledger: &Ledger,
    (tenant, position): (TenantId, u64),
    pool: PoolId,
    (after, count): (Option<Holder>, usize),
    taken_back: Option<(SeatState, u64)>,
) -> Result<Option<View>, ReadError> {
    let listed = Listed::by(ledger, tenant, position)?;
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = listed.terms(position);
    let Some(terms) = view.state.pools.get(pool.index()) else { return Ok(Some(view)) };
    // who is covered by an install on somebody's device
    let is_by_installs = terms.is_user_only();
    let pile = Pile::new(ledger, tenant, EVENTS_MAX).without_names();
    let mut reader = Reader::new(ledger, (tenant, position), pool, pile);
    let mut held: BTreeMap<Holder, (SeatState, u64)> = BTreeMap::new();
    let (mut is_told, mut installs) = (true, Vec::new());
    reader.each(behind(after), |holder, steps, _| {
        let seat = seat_after(steps).or(taken_back.map(Some).ok_or(()));
        is_told = seat.is_ok();
        if let Ok(Some(seat)) = seat {
            held.insert(holder, seat);
            if is_by_installs {
                installs.extend(installs_in(steps));
            }
        }
        is_told && held.len() < count
    })?;
    if !is_told || !reader.pile.add(installs)? {
        return Ok(None);
    }
    let mut holders = held.keys().copied().collect();
    let Some(near) = reader.near(&holders, &mut view.state)? else { return Ok(None) };
    holders.extend(near);
    let told = Told { holders, still: reader.still };
    fold(&mut view.state, reader.pile.events(), &told, &listed);
    view.state.next_position = position.saturating_add(1);
    for (holder, (state, granted_at)) in held {
        view.state.place_seat(pool, holder, state, granted_at);
    }
    assignments(ledger, tenant, position, &told.holders, &mut view.state)?;
    Ok(Some(view))
}

/// Where it is told on which devices the app is.
fn installs_in(steps: &[Step]) -> impl Iterator<Item = u64> {
    let telling = telling(steps);
    let is_of_a_device = |step: SeatStep| matches!(step, SeatStep::Installed | SeatStep::Uninstalled);
    let tells = move |(at, step): &&Step| is_of_a_device(*step) && telling.binary_search(at).is_ok();
    steps.iter().filter(tells).map(|(at, _)| *at)
}

//! A part of a tenant as it was known later: the part, told of besides whom what came late touches, with that laid over it. Of
//! a pool's counts it is counted what that changes. Not here: which facts these are (`hindsight/late.rs`).

use super::super::hindsight::{Late, LateFacts};
use super::holders::fold;
use super::pile::Pile;
use super::seats::Of;
use super::{Listed, Wanted, holders, is_told, of_pool, part, people, pool_of, small};
use crate::domain::event::{Event, Recorded};
use crate::domain::evolve::Told;
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::seat_step::telling;
use crate::domain::state::Tenant;
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use crate::projection::apps::Apps;
use crate::projection::figures::Figures;
use std::collections::BTreeSet;
use std::sync::Arc;

/// For more of them the whole state is made.
const COUNTED_EVENTS_MAX: usize = 65_536;
/// Of so many pools what came late is looked for in the index one by one.
const POOLS_FEW: usize = 4;

/// The part of a tenant just after a position, with what came late laid over it; `None` where only the whole state will do.
pub(in crate::audit) fn part_in_hindsight(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    wanted: &Wanted,
    late: &mut LateFacts<'_>,
) -> Result<Option<View>, ReadError> {
    let found = match wanted {
        Wanted::Everything | Wanted::ReviewSeats { .. } => return Ok(None),
        Wanted::Tenant
        | Wanted::Syncs
        | Wanted::Held
        | Wanted::Reviews
        | Wanted::Assignments
        | Wanted::Assignment(_)
        | Wanted::Groups { .. }
        | Wanted::Group(_) => return Ok(part(ledger, tenant, position, wanted)?.map(|view| view.in_hindsight())),
        Wanted::Users { from, limit } => {
            let found = people::users(ledger, tenant, position, (*from, *limit), Some(late))?;
            return Ok(found.map(|view| view.in_hindsight()));
        }
        Wanted::Devices { from, limit } => {
            let found = people::devices(ledger, tenant, position, (*from, *limit), Some(late))?;
            return Ok(found.map(|view| view.in_hindsight()));
        }
        Wanted::Pools | Wanted::Pool(_) | Wanted::Apps { .. } | Wanted::App(_) => {
            return counted(ledger, tenant, position, wanted, late);
        }
        Wanted::DeficitPlan(pool) => {
            let counted = counted(ledger, tenant, position, &Wanted::Pool(pool.clone()), late)?;
            let Some(view) = counted else { return Ok(None) };
            let found = pool_of(ledger, tenant, pool)?.and_then(|pool| view.state.pools.get(pool.index()));
            if found.is_none_or(|pool| pool.over_by() <= pool.releasing) {
                return Ok(Some(view));
            }
            of_pool(ledger, tenant, position, pool, &Of::Seats(None, usize::MAX), Some(late))?
        }
        Wanted::Holder(holder) => holders::holder(ledger, tenant, position, *holder, Some(late))?,
        Wanted::Seat(pool, asked) => {
            let Some(holder) = holders::candidate(ledger, tenant, *asked)? else { return Ok(None) };
            let view = of_pool(ledger, tenant, position, pool, &Of::One(holder), Some(late))?;
            view.filter(|view| is_told(view, *asked, holder))
        }
        Wanted::Seats { pool, after, limit } => {
            of_pool(ledger, tenant, position, pool, &Of::Seats(*after, *limit), Some(late))?
        }
        Wanted::Queue { pool, after, limit } => {
            of_pool(ledger, tenant, position, pool, &Of::Queue(*after, *limit), Some(late))?
        }
        Wanted::Installs { pool, from, limit } => {
            of_pool(ledger, tenant, position, pool, &Of::Installs(*from, *limit), Some(late))?
        }
    };
    let Some(view) = found else { return Ok(None) };
    let mut view = view.in_hindsight();
    for Late { recorded, placed_at } in late.found() {
        view.take_late(recorded, *placed_at);
    }
    Ok(Some(view))
}

/// Pools with their counts.
fn counted(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    wanted: &Wanted,
    late: &mut LateFacts<'_>,
) -> Result<Option<View>, ReadError> {
    let Some(view) = part(ledger, tenant, position, wanted)? else { return Ok(None) };
    let mut view = view.in_hindsight();
    let pools: BTreeSet<PoolId> = match wanted {
        Wanted::App(app) => small::pools_of_app(&Apps::of(&view.state.pools), *app).into_iter().collect(),
        Wanted::Apps { from, count } => {
            small::pools_of_apps(&Apps::of(&view.state.pools), *from, *count).into_iter().collect()
        }
        Wanted::Everything
        | Wanted::Tenant
        | Wanted::Syncs
        | Wanted::Held
        | Wanted::Reviews
        | Wanted::ReviewSeats { .. }
        | Wanted::Assignments
        | Wanted::Groups { .. }
        | Wanted::Group(_)
        | Wanted::Pool(_)
        | Wanted::Pools
        | Wanted::DeficitPlan(_)
        | Wanted::Holder(_)
        | Wanted::Seat(..)
        | Wanted::Assignment(_)
        | Wanted::Seats { .. }
        | Wanted::Queue { .. }
        | Wanted::Installs { .. }
        | Wanted::Users { .. }
        | Wanted::Devices { .. } => view.counted.keys().copied().collect(),
    };
    let is_narrower = pools.len() <= POOLS_FEW && !late.is_only_of(&pools);
    let mut of_few = is_narrower.then(|| late.only_of(&pools)).transpose()?;
    let late = of_few.as_mut().unwrap_or(late);
    late.look_at(&late.places())?;
    let mut touched: BTreeSet<(PoolId, Holder)> = BTreeSet::new();
    for (pool, holders) in late.found().filter_map(|late| Some((late.pool()?, late.holders()))) {
        touched.extend(holders.into_iter().map(|holder| (pool, holder)));
    }
    touched.retain(|(pool, _)| pools.contains(pool));
    let Some(changes) = changes(ledger, (tenant, position), touched, late)? else { return Ok(None) };
    for (pool, [before, after]) in changes {
        recount(&mut view, pool, &before, &after);
    }
    Ok(Some(view))
}

/// Of each pool the counts before and after.
type Changes = Vec<(PoolId, [Figures; 2])>;

/// The counts of pools, as far as they are about some of their holders and whoever has to do with them, before and after what
/// came late is laid over; `None` where it takes more.
fn changes(
    ledger: &Ledger,
    (tenant, position): (TenantId, u64),
    mut of: BTreeSet<(PoolId, Holder)>,
    late: &LateFacts<'_>,
) -> Result<Option<Changes>, ReadError> {
    let mut pile = Pile::new(ledger, tenant, COUNTED_EVENTS_MAX).without_names();
    let told = |of: &BTreeSet<(PoolId, Holder)>| {
        let found = late.steps_by_then(of)?;
        Ok::<_, ReadError>(found.into_iter().flat_map(|steps| telling(&steps)))
    };
    if !pile.add(told(&of)?)? {
        return Ok(None);
    }
    let others = sharing(&of, pile.events());
    if !pile.add(told(&others)?)? {
        return Ok(None);
    }
    let pools: BTreeSet<PoolId> = of.iter().map(|(pool, _)| *pool).collect();
    of.extend(others);
    let all: BTreeSet<Holder> = of.into_iter().map(|(_, holder)| holder).collect();
    let listed = Listed::by(ledger, tenant, position)?;
    let mut view = View { state: Tenant { pools: listed.terms(position), ..Tenant::default() }, ..View::default() };
    all.iter().for_each(|holder| view.state.place_anybody(*holder));
    fold(&mut view.state, pile.events(), &Told { holders: all, still: BTreeSet::new() }, &listed);
    let before: Vec<Figures> = pools.iter().map(|pool| Figures::of(view.state.pool(*pool))).collect();
    for Late { recorded, placed_at } in
        late.found().filter(|late| late.pool().is_some_and(|pool| pools.contains(&pool)))
    {
        view.take_late(recorded, *placed_at);
    }
    let both = |(pool, before): (PoolId, Figures)| (pool, [before, Figures::of(view.state.pool(pool))]);
    Ok(Some(pools.iter().copied().zip(before).map(both).collect()))
}

/// Of the installs of some holders in pools, whose they are or on which devices, as far as these are not among them.
fn sharing<'e>(
    of: &BTreeSet<(PoolId, Holder)>,
    events: impl Iterator<Item = &'e Recorded>,
) -> BTreeSet<(PoolId, Holder)> {
    let mut others = BTreeSet::new();
    for recorded in events {
        if let Event::Installed { pool, device, user: Some(user), .. } = &recorded.event {
            let both: [(PoolId, Holder); 2] = [(*pool, (*device).into()), (*pool, (*user).into())];
            if both.iter().any(|one| of.contains(one)) {
                others.extend(both.into_iter().filter(|one| !of.contains(one)));
            }
        }
    }
    others
}

/// What came late changes the counts of a pool by what it changes those of the holders whom it touches.
fn recount(view: &mut View, id: PoolId, before: &Figures, after: &Figures) {
    let Some(counted) = view.counted.get(&id).copied() else { return };
    let Some(pool) = view.state.pools.get_mut(id.index()).map(Arc::make_mut) else { return };
    let moved = |count: u64, of: fn(&Figures) -> u64| (count + of(after)).saturating_sub(of(before));
    pool.reserved = moved(pool.reserved, |figures| figures.reserved);
    pool.in_use = moved(pool.in_use, |figures| figures.in_use);
    pool.releasing = moved(pool.releasing, |figures| figures.releasing);
    pool.foreign = moved(pool.foreign, |figures| figures.foreign);
    pool.unlicensed = moved(pool.unlicensed, |figures| figures.unlicensed);
    let queued = moved(counted.queued, |figures| figures.queued);
    let installed = moved(counted.installed, |figures| figures.installed);
    view.counted.insert(id, Figures { queued, installed, ..Figures::of(pool) });
}

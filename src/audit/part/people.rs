//! The part of a tenant that is about some users, or some devices, in the order in which they were first known: what they are
//! and belong to from the events that say it, what hangs on them from the steps that the index keeps.

use super::super::hindsight::LateFacts;
use super::holders::{fold, others_of};
use super::pile::Pile;
use super::seats::place_still;
use super::{Listed, as_of, bare, made_by};
use crate::domain::event::{Event, Recorded, Target};
use crate::domain::evolve::Told;
use crate::domain::ids::{DeviceId, Holder, PoolId, TenantId, UserId};
use crate::domain::seat_step::{SeatStep, Standing};
use crate::domain::state::{Links, Tenant};
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// For more of them the whole state is made.
const EVENTS_MAX: usize = 16_384;

/// The users from a place on, one more than `limit`; `None` where it takes more.
pub(super) fn users(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    (from, limit): (usize, usize),
    late: Option<&mut LateFacts<'_>>,
) -> Result<Option<View>, ReadError> {
    let id = |at: usize| Holder::User(UserId(u32::try_from(at).unwrap_or(u32::MAX)));
    people(ledger, tenant, position, (id(from), id(from.saturating_add(limit))), late)
}

/// The same of devices.
pub(super) fn devices(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    (from, limit): (usize, usize),
    late: Option<&mut LateFacts<'_>>,
) -> Result<Option<View>, ReadError> {
    let id = |at: usize| Holder::Device(DeviceId(u32::try_from(at).unwrap_or(u32::MAX)));
    people(ledger, tenant, position, (id(from), id(from.saturating_add(limit))), late)
}

fn people(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    between: (Holder, Holder),
    late: Option<&mut LateFacts<'_>>,
) -> Result<Option<View>, ReadError> {
    let listed = Listed::by(ledger, tenant, position)?;
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = listed.terms(position);
    let mut folding =
        Folding { ledger, tenant, position, pile: Pile::new(ledger, tenant, EVENTS_MAX), told: Told::default() };
    let all = ledger.read(tenant, |now| known(&now.state, between))?;
    if !folding.place(&all, &mut view.state)? {
        return Ok(None);
    }
    let chosen = folding.told.holders.clone();
    // of a user's devices it is told whose they are
    let is_devices = |other: &Holder| matches!(other, Holder::Device(_));
    let mut near: BTreeSet<Holder> = BTreeSet::new();
    near.extend(others_of(&chosen, folding.pile.events()).into_values().flatten().filter(is_devices));
    for holder in &chosen {
        if let Holder::User(user) = holder
            && folding.told.still.contains(holder)
        {
            near.extend(view.state.user(*user).devices.iter().map(|device| Holder::Device(*device)));
        }
    }
    near.retain(|other| !chosen.contains(other));
    if !folding.place(&near, &mut view.state)? {
        return Ok(None);
    }
    let Folding { pile, told, .. } = folding;
    fold(&mut view.state, pile.events(), &told, &listed);
    view.state.next_position = position.saturating_add(1);
    let until = late.as_deref().map_or(position, LateFacts::last_place);
    let mut held = ledger.held_between(tenant, between, until)?;
    held.retain(|(holder, ..)| chosen.contains(holder));
    if let Some(late) = late {
        let steps = held.iter().flat_map(|(.., steps)| steps);
        late.look_at(&steps.map(|(at, _)| *at).filter(|at| late.may_stand_at(*at)).collect())?;
        // a step of what is known later is a step like any other
        held.iter_mut().for_each(|(.., steps)| steps.retain(|(at, _)| *at <= position || late.counts_at(*at)));
    }
    for (holder, pool, steps) in held {
        hang(&mut view.state, (holder, pool), &steps, (&told, &pile));
    }
    view.state.assignments = made_by(ledger, tenant, position)?;
    target(&mut view.state, position, &chosen);
    Ok(Some(view))
}

/// Those of a stretch who are known today.
fn known(now: &Tenant, (first, last): (Holder, Holder)) -> BTreeSet<Holder> {
    let ids = |first: u32, last: u32, count: usize| first..=last.min(u32::try_from(count).unwrap_or(u32::MAX));
    match (first, last) {
        (Holder::User(first), Holder::User(last)) => {
            ids(first.0, last.0, now.users.len()).map(|id| Holder::User(UserId(id))).collect()
        }
        (Holder::Device(first), Holder::Device(last)) => {
            ids(first.0, last.0, now.devices.len()).map(|id| Holder::Device(DeviceId(id))).collect()
        }
        (Holder::User(_), Holder::Device(_)) | (Holder::Device(_), Holder::User(_)) => BTreeSet::new(),
    }
}

/// Who is told of, and the events that tell it.
struct Folding<'l> {
    ledger: &'l Ledger,
    tenant: TenantId,
    position: u64,
    pile: Pile<'l>,
    told: Told,
}

impl Folding<'_> {
    /// As they are today, or by the events that say what they were; whoever was not there yet is left out.
    fn place(&mut self, of: &BTreeSet<Holder>, state: &mut Tenant) -> Result<bool, ReadError> {
        let moved = place_still(self.ledger, (self.tenant, self.position), of, state)?;
        self.told.still.extend(of.difference(&moved));
        self.told.holders.extend(of.difference(&moved));
        let own = self.ledger.own_facts_of(self.tenant, &moved, self.position)?;
        self.told.holders.extend(own.iter().map(|(holder, _)| *holder));
        self.pile.add(own.into_iter().flat_map(|(_, positions)| positions))
    }
}

fn links(state: &mut Tenant, holder: Holder) -> Option<&mut Links> {
    match holder {
        Holder::User(user) => state.users.get_mut(user.index()).map(|user| &mut Arc::make_mut(user).links),
        Holder::Device(device) => state.devices.get_mut(device.index()).map(|device| &mut Arc::make_mut(device).links),
    }
}

fn hang(
    state: &mut Tenant,
    (holder, pool): (Holder, PoolId),
    steps: &[(u64, SeatStep)],
    (told, pile): (&Told, &Pile<'_>),
) {
    let standing = Standing::after(steps);
    let Some(links) = links(state, holder) else { return };
    let hangs = [
        (standing.holds_seat, &mut links.seats),
        (standing.is_queued, &mut links.queued),
        (standing.is_lapsed, &mut links.lapsed),
        (standing.installs > 0, &mut links.installed),
    ];
    for (is_there, pools) in hangs {
        if is_there {
            pools.insert(pool);
        }
    }
    if told.still.contains(&holder) {
        return;
    }
    let Holder::User(id) = holder else { return };
    let Some(user) = state.users.get_mut(id.index()).filter(|user| user.offered.contains(&pool)) else { return };
    let is_offer = |recorded: &&Recorded| matches!(&recorded.event, Event::SeatsOffered { user, pools } if *user == id && pools.contains(&pool));
    let offered_at = pile.events().filter(is_offer).map(|recorded| recorded.position).last();
    if steps.iter().any(|(at, step)| step.takes_offer() && Some(*at) > offered_at) {
        Arc::make_mut(user).offered.remove(&pool);
    }
}

/// The living assignments to one of them alone.
fn target(state: &mut Tenant, position: u64, chosen: &BTreeSet<Holder>) {
    let mut to: BTreeMap<Holder, Vec<_>> = BTreeMap::new();
    for made in state.assignments.iter() {
        let holder = match made.target {
            Target::User(user) => Holder::User(user),
            Target::Device(device) => Holder::Device(device),
            Target::Group { .. } => continue,
        };
        if chosen.contains(&holder) && !as_of(made, position).is_ended {
            to.entry(holder).or_default().push((made.pool, made.id));
        }
    }
    for (holder, assignments) in to {
        if let Some(links) = links(state, holder) {
            for (pool, assignment) in assignments {
                links.assignments.insert(pool, assignment);
            }
        }
    }
}

//! The part of a tenant that is about one holder: folded from the events that name it, and from those of the devices or people
//! whose seats its installs may use. A lifetime of them is read, and nothing of anybody else.

use super::super::hindsight::LateFacts;
use super::pile::Pile;
use super::{Listed, as_of, bare, made_by};
use crate::domain::command::{DeviceRef, HolderRef, UserRef};
use crate::domain::event::{Event, Recorded, Target};
use crate::domain::evolve::Told;
use crate::domain::ids::{GroupId, Holder, PoolId, TenantId};
use crate::domain::state::{Assignment, Tenant};
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use std::collections::{BTreeMap, BTreeSet};

/// Of a holder with a longer history the whole state is made.
const EVENTS_MAX: usize = 4096;
/// The same where so many others have to do with it.
pub(super) const OTHERS_MAX: usize = 32;

/// The part that is about a holder, or about nobody where there was none of this id; `None` where it takes more. Of whom something
/// became known later is told besides: it is for the caller to lay it over.
pub(super) fn holder(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    asked: HolderRef,
    mut late: Option<&mut LateFacts<'_>>,
) -> Result<Option<View>, ReadError> {
    let Some(holder) = candidate(ledger, tenant, asked)? else { return Ok(None) };
    let mut pile = Pile::new(ledger, tenant, EVENTS_MAX);
    let mut holders = BTreeSet::new();
    let mut touched = BTreeSet::from([holder]);
    while !touched.is_empty() {
        let mut places = BTreeSet::new();
        let mut add = |of: &BTreeSet<Holder>, pile: &mut Pile<'_>| {
            for holder in of {
                let until = 0..position.saturating_add(1);
                if !pile.add(ledger.positions(tenant, (*holder).into(), until, EVENTS_MAX + 1, false)?)? {
                    return Ok(false);
                }
                if let Some(late) = late.as_deref() {
                    places.extend(late.places_about((*holder).into())?);
                }
            }
            Ok::<_, ReadError>(true)
        };
        if !add(&touched, &mut pile)? {
            return Ok(None);
        }
        let mut others = others_of(&touched, pile.events()).into_values().flatten().collect::<BTreeSet<_>>();
        holders.extend(touched);
        others.retain(|other| !holders.contains(other));
        if holders.len() + others.len() > OTHERS_MAX + 1 || !add(&others, &mut pile)? {
            return Ok(None);
        }
        holders.extend(others);
        touched = late.as_deref_mut().map_or_else(|| Ok(BTreeSet::new()), |late| late.look_at(&places))?;
        touched.retain(|holder| !holders.contains(holder));
    }
    let told = Told { holders, ..Told::default() };
    let listed = Listed::by(ledger, tenant, position)?;
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = listed.terms(position);
    fold(&mut view.state, pile.events(), &told, &listed);
    view.state.next_position = position.saturating_add(1);
    assignments(ledger, tenant, position, &told.holders, &mut view.state)?;
    // a name that was somebody else's then
    Ok(is_named(&view.state, asked, holder).then_some(view))
}

/// Takes the events about some holders, in order.
pub(super) fn fold<'e>(state: &mut Tenant, events: impl Iterator<Item = &'e Recorded>, told: &Told, listed: &Listed) {
    for recorded in events {
        let pool = granted_in(&recorded.event);
        let is_confirmed = pool.is_none_or(|pool| listed.is_confirmed(pool, recorded.position));
        state.evolve_part(&recorded.event, &recorded.meta(), told, is_confirmed);
    }
    state.hang_still(&told.still);
}

/// Who that is today. A name was nobody else's at any time at which it was theirs.
pub(super) fn candidate(ledger: &Ledger, tenant: TenantId, asked: HolderRef) -> Result<Option<Holder>, ReadError> {
    ledger.read(tenant, |view| match asked {
        HolderRef::User(UserRef::Id(user)) => Some(Holder::User(user)),
        HolderRef::User(UserRef::Name(name)) => view.state.names.user(name).map(Holder::User),
        HolderRef::Device(DeviceRef::Id(device)) => Some(Holder::Device(device)),
        HolderRef::Device(DeviceRef::Name { serial, .. }) => {
            view.state.names.device_by_serial(serial).map(Holder::Device)
        }
    })
}

pub(super) fn is_named(state: &Tenant, asked: HolderRef, holder: Holder) -> bool {
    match asked {
        HolderRef::User(UserRef::Id(_)) | HolderRef::Device(DeviceRef::Id(_)) => true,
        HolderRef::User(UserRef::Name(name)) => state.names.user(name).map(Holder::User) == Some(holder),
        HolderRef::Device(DeviceRef::Name { serial, .. }) => {
            state.names.device_by_serial(serial).map(Holder::Device) == Some(holder)
        }
    }
}

/// A user's devices, also former ones, and those with an app of theirs; a device's people, as far as they have an app on it.
pub(super) fn others_of<'e>(
    of: &BTreeSet<Holder>,
    events: impl Iterator<Item = &'e Recorded>,
) -> BTreeMap<Holder, BTreeSet<Holder>> {
    let mut found: BTreeMap<Holder, BTreeSet<Holder>> = BTreeMap::new();
    let mut add = |of_it: Holder, other: Holder| {
        if of.contains(&of_it) {
            found.entry(of_it).or_default().insert(other);
        }
    };
    for recorded in events {
        if let Event::DeviceAdded { device, primary_user: Some(user), .. }
        | Event::DeviceChanged { device, primary_user: Some(user), .. } = &recorded.event
        {
            add((*user).into(), (*device).into());
        }
        if let Event::Installed { device, user: Some(user), .. } = &recorded.event {
            add((*user).into(), (*device).into());
            add((*device).into(), (*user).into());
        }
    }
    found
}

fn granted_in(event: &Event) -> Option<PoolId> {
    if let Event::SeatGranted { pool, .. } = event { Some(*pool) } else { None }
}

/// Puts the living assignments in place that reach one of the holders, by themselves or by a group.
pub(super) fn assignments(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    holders: &BTreeSet<Holder>,
    state: &mut Tenant,
) -> Result<(), ReadError> {
    let is_known = |holder: &&Holder| match holder {
        Holder::User(user) => user.index() < state.users.len(),
        Holder::Device(device) => device.index() < state.devices.len(),
    };
    let groups: BTreeSet<GroupId> =
        holders.iter().filter(is_known).flat_map(|holder| state.links(*holder).groups.iter().copied()).collect();
    let reaches = |assignment: &Assignment| match assignment.target {
        Target::User(user) => holders.contains(&Holder::User(user)),
        Target::Device(device) => holders.contains(&Holder::Device(device)),
        Target::Group { group, .. } => groups.contains(&group),
    };
    let made = made_by(ledger, tenant, position)?;
    for living in made.iter().map(|made| as_of(made, position)).filter(|made| !made.is_ended && reaches(made)) {
        state.place_assignment(&living);
    }
    state.assignments = made;
    Ok(())
}

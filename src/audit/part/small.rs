//! The parts of a tenant that are about small things: looked up in what is published, with what the chronicle says of them.
//! Of the log no more is read than what tells of what is held back, of the packages of a page of apps, and of the members of
//! one group.

use super::{Listed, Only, as_of, bare, made_by, pools};
use crate::domain::command::GroupRef;
use crate::domain::event::{Event, Recorded, Target};
use crate::domain::ids::{AppId, GroupId, PoolId, TenantId};
use crate::domain::state::{Membership, Tenant};
use crate::domain::subject::Subject;
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use crate::projection::apps::Apps;
use crate::projection::chronicle::{held_from, syncs_at};
use std::sync::Arc;

/// For the members of a group with a longer history the whole state is made.
const MEMBERSHIP_EVENTS_MAX: usize = if cfg!(test) { 24 } else { 16_384 };

/// What the tenant is called, who may ask it, and whom it buys from.
pub(super) fn tenant(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<View, ReadError> {
    let mut view = bare(ledger, tenant, position)?;
    ledger.read(tenant, |now| {
        view.state.tokens = now.chronicle.tokens_at(position);
        view.state.accounts = now.chronicle.accounts_at(position);
        view.state.tools = now.chronicle.tools_at(position);
    })?;
    Ok(view)
}

/// Syncs, what differed, and what is held back.
pub(super) fn syncs(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<View, ReadError> {
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = Listed::by(ledger, tenant, position)?.terms(position);
    let held = ledger.read(tenant, |now| {
        view.state.syncs = syncs_at(position, &now.state.syncs);
        view.state.drifts = now.chronicle.drifts_at(position, &now.state.drifts);
        now.chronicle.held_at(position)
    })?;
    for (id, told_at) in held {
        view.state.held.extend(held_from(id, &ledger.events_at(tenant, &told_at)?).map(|held| (id, Arc::new(held))));
    }
    Ok(view)
}

/// Reviews without what was decided and without what ended before they did.
pub(super) fn reviews(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<View, ReadError> {
    let mut view = bare(ledger, tenant, position)?;
    view.state.reviews = ledger.read(tenant, |now| {
        let opened = now.state.reviews.iter().map_while(|review| now.chronicle.review_at(position, review));
        opened.map(Arc::new).collect()
    })?;
    Ok(view)
}

/// All assignments; a pool knows its living ones.
pub(super) fn assignments(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<View, ReadError> {
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = Listed::by(ledger, tenant, position)?.terms(position);
    view.state.pool_keys = view.state.pools.iter().map(|pool| (pool.key.clone(), pool.id)).collect();
    let made = made_by(ledger, tenant, position)?;
    view.state.assignments = made.iter().map(|made| as_of(made, position)).collect();
    for living in view.state.assignments.iter().filter(|made| !made.is_ended) {
        if let Some(pool) = view.state.pools.get_mut(living.pool.index()) {
            Arc::make_mut(pool).assignments.insert(living.id);
        }
    }
    Ok(view)
}

/// Every pool, those of one app, or of some from one on, with what is contained in them.
pub(super) fn apps(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    shown: impl FnOnce(&Apps) -> Vec<PoolId>,
) -> Result<View, ReadError> {
    let mut view = pools(ledger, tenant, position, Only::All)?;
    let shown = shown(&Apps::of(&view.state.pools));
    for id in shown {
        let listed_at = ledger.read(tenant, |now| now.chronicle.packages_at(id, position))?;
        let packages = ledger.events_at(tenant, &listed_at)?.into_iter().flat_map(packages_in).collect();
        if let Some(pool) = view.state.pools.get_mut(id.index()) {
            Arc::make_mut(pool).packages = packages;
        }
    }
    Ok(view)
}

fn packages_in(recorded: Recorded) -> Vec<String> {
    if let Event::PackagesListed { packages, .. } = recorded.event { packages } else { Vec::new() }
}

/// The pools of an app, also by an id that has merged into an older one.
pub(super) fn pools_of_app(apps: &Apps, app: AppId) -> Vec<PoolId> {
    apps.entry(app).map(|entry| apps.pools(entry).to_vec()).unwrap_or_default()
}

/// Those of some apps from one on.
pub(super) fn pools_of_apps(apps: &Apps, from: AppId, count: usize) -> Vec<PoolId> {
    apps.iter_from(from).take(count).flat_map(|(_, pools)| pools.iter().copied()).collect()
}

/// Every group without its members; of those that lived, some from a place on have their etag and are counted.
pub(super) fn groups(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    (from, count): (usize, usize),
) -> Result<View, ReadError> {
    let mut view = bare(ledger, tenant, position)?;
    ledger.read(tenant, |now| {
        let by_then = now.chronicle.groups_by(position);
        let then = now.state.groups.iter().take(by_then).map(|group| now.chronicle.group_at(position, group));
        view.state.groups = then.map(Arc::new).collect();
        let living = view.state.groups.iter_from(from).filter(|group| !group.is_deleted);
        for id in living.take(count).map(|group| group.id).collect::<Vec<_>>() {
            if let Some((etag, count)) = now.chronicle.members_at(position, id)
                && let Some(group) = view.state.groups.get_mut(id.index())
            {
                Arc::make_mut(group).etag = etag;
                view.members_counted.insert(id, count);
            }
        }
    })?;
    target(&mut view.state, ledger, tenant, position)?;
    Ok(view)
}

/// Which living assignments target or exclude each group.
fn target(state: &mut Tenant, ledger: &Ledger, tenant: TenantId, position: u64) -> Result<(), ReadError> {
    let made = made_by(ledger, tenant, position)?;
    for made in made.iter().filter(|made| !made.is_ended || made.etag > position) {
        let Target::Group { group, exclude } = made.target else { continue };
        if let Some(group) = state.groups.get_mut(group.index()) {
            Arc::make_mut(group).targeted_by.insert(made.pool, made.id);
        }
        if let Some(group) = exclude.and_then(|exclude| state.groups.get_mut(exclude.index())) {
            Arc::make_mut(group).excluded_by.insert(made.pool, made.id);
        }
    }
    Ok(())
}

/// The groups, and the members of one; `None` where its history is long.
pub(super) fn group(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    asked: &GroupRef,
) -> Result<Option<View>, ReadError> {
    let mut view = groups(ledger, tenant, position, (0, 0))?;
    let living = view.state.groups.iter().filter(|group| !group.is_deleted);
    view.state.group_names = living.map(|group| (group.external_id.clone(), group.id)).collect();
    let id = match asked {
        GroupRef::Id(id) => Some(*id),
        GroupRef::Name(name) => view.state.group_names.get(name).copied(),
    };
    let Some(group) = id.and_then(|id| view.state.groups.get_mut(id.index())) else { return Ok(Some(view)) };
    let id = group.id;
    // since then nobody joined and nobody left
    let same = ledger.read(tenant, |now| {
        let now = now.state.groups.get(id.index())?;
        (now.etag <= position).then(|| (now.etag, now.members.clone()))
    })?;
    let (etag, members) = match same {
        Some(same) => same,
        None => match members(ledger, tenant, position, id)? {
            Some(members) => {
                let noted = ledger.read(tenant, |now| now.chronicle.members_at(position, id))?;
                (noted.map_or(0, |(etag, _)| etag), members)
            }
            None => return Ok(None),
        },
    };
    let group = Arc::make_mut(group);
    (group.etag, group.members) = (etag, members);
    Ok(Some(view))
}

fn members(ledger: &Ledger, tenant: TenantId, position: u64, group: GroupId) -> Result<Option<Membership>, ReadError> {
    let until = 0..position.saturating_add(1);
    let positions = ledger.positions(tenant, Subject::Group(group), until, MEMBERSHIP_EVENTS_MAX + 1, false)?;
    if positions.len() > MEMBERSHIP_EVENTS_MAX {
        return Ok(None);
    }
    let mut members = Membership::default();
    for recorded in ledger.events_at(tenant, &positions)? {
        members.take(group, &recorded.event);
    }
    Ok(Some(members))
}

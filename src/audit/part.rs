//! A part of a tenant as it was: a view that holds what one question looks at and nothing else, from what is published and
//! from few events. Whoever asks says what that is; where it can't be told from little, there is no part and the whole
//! state is made (`as_of.rs`). Not here: questions.

mod deficit;
mod holders;
mod later;
mod people;
mod pile;
mod reviews;
pub(in crate::audit) mod seats;
mod small;

pub(super) use deficit::coverage;
pub(super) use later::part_in_hindsight;

use super::hindsight::LateFacts;
use crate::domain::command::{GroupRef, HolderRef, PoolRef};
use crate::domain::ids::{AppId, AssignmentId, DeviceId, Holder, PoolId, ReviewId, TenantId};
use crate::domain::state::{Assignment, Dense, Pool, QueuePlace, Tenant};
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use crate::projection::tallies::{Passes, Tally};
use seats::Of;
use std::sync::Arc;

/// What a question looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wanted {
    #[default]
    Everything,
    /// What the tenant is called, its settings, tokens, store accounts and tools.
    Tenant,
    /// Syncs, drift, and what was held back.
    Syncs,
    /// Syncs, and what is held back as far as it would still end.
    Held,
    /// Reviews, without what was decided seat by seat.
    Reviews,
    /// Some of the seats of a review that is under way: those behind one, and one more than so many.
    ReviewSeats { review: ReviewId, after: Option<(PoolId, Holder)>, limit: usize },
    /// Every assignment.
    Assignments,
    /// Some apps with their pools, from one on.
    Apps { from: AppId, count: usize },
    /// One app with its pools, if there is one of this id.
    App(AppId),
    /// The groups; some of those that live, from a place on, with how many members they have.
    Groups { from: usize, count: usize },
    /// One group with its members, if there is one of this id or name.
    Group(GroupRef),
    /// One pool without its holders, if there is one of this id or key.
    Pool(PoolRef),
    /// Every pool without its holders.
    Pools,
    /// What it would take to get a pool back under its cap.
    DeficitPlan(PoolRef),
    /// One user or device, if there is one of this name: what is known of it, what it holds and waits for, its installs.
    Holder(HolderRef),
    /// The same, in a pool that is asked for by its key or id.
    Seat(PoolRef, HolderRef),
    /// One assignment, if there is one.
    Assignment(AssignmentId),
    /// Seats of a pool in the order of their holders: those behind one, and one more than so many.
    Seats { pool: PoolRef, after: Option<Holder>, limit: usize },
    /// Who waits for a seat of a pool: those behind a place, and one more than so many.
    Queue { pool: PoolRef, after: Option<QueuePlace>, limit: usize },
    /// Where a pool's app is installed: from a device on, and one more than so many.
    Installs { pool: PoolRef, from: DeviceId, limit: usize },
    /// The users from a place on, one more than so many.
    Users { from: usize, limit: usize },
    /// The devices from a place on, one more than so many.
    Devices { from: usize, limit: usize },
}

impl Wanted {
    /// The same of a page of a list.
    #[must_use]
    pub fn on_page(&self, after: Option<&str>, limit: usize) -> Self {
        match self {
            Self::Seats { pool, .. } => {
                Self::Seats { pool: pool.clone(), after: after.and_then(|after| after.parse().ok()), limit }
            }
            // how the list writes its cursors
            Self::Queue { pool, .. } => {
                let place = after.and_then(|after| after.split_once(':')?.0.parse().ok());
                Self::Queue { pool: pool.clone(), after: place, limit }
            }
            Self::Installs { pool, .. } => {
                let device = after.and_then(|after| after.split_once(' ')?.0.parse().ok());
                Self::Installs { pool: pool.clone(), from: device.unwrap_or(DeviceId(0)), limit }
            }
            Self::Users { .. } => Self::Users { from: behind(after), limit },
            Self::Devices { .. } => Self::Devices { from: behind(after), limit },
            Self::Groups { .. } => Self::Groups { from: behind(after), count: limit },
            Self::Apps { .. } => {
                let after = after.and_then(|after| after.parse::<AppId>().ok());
                Self::Apps { from: after.map_or(AppId(0), |after| AppId(after.0.saturating_add(1))), count: limit }
            }
            Self::Everything
            | Self::Tenant
            | Self::Syncs
            | Self::Held
            | Self::Reviews
            | Self::ReviewSeats { .. }
            | Self::Assignments
            | Self::App(_)
            | Self::Group(_)
            | Self::Pool(_)
            | Self::Pools
            | Self::DeficitPlan(_)
            | Self::Holder(_)
            | Self::Seat(..)
            | Self::Assignment(_) => self.clone(),
        }
    }
}

impl Wanted {
    /// The pool, if there is one and nothing of others is told.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub(super) fn pool(&self, ledger: &Ledger, tenant: TenantId) -> Result<Option<PoolId>, ReadError> {
        match self {
            Self::Pool(pool)
            | Self::DeficitPlan(pool)
            | Self::Seat(pool, _)
            | Self::Seats { pool, .. }
            | Self::Queue { pool, .. }
            | Self::Installs { pool, .. } => pool_of(ledger, tenant, pool),
            Self::Everything
            | Self::Tenant
            | Self::Syncs
            | Self::Held
            | Self::Reviews
            | Self::ReviewSeats { .. }
            | Self::Assignments
            | Self::Assignment(_)
            | Self::Apps { .. }
            | Self::App(_)
            | Self::Groups { .. }
            | Self::Group(_)
            | Self::Pools
            | Self::Holder(_)
            | Self::Users { .. }
            | Self::Devices { .. } => Ok(None),
        }
    }

    /// Whether seats and installs, which alone may be known of later, are looked at.
    #[must_use]
    pub fn is_about_seats(&self) -> bool {
        match self {
            Self::Tenant
            | Self::Syncs
            | Self::Reviews
            | Self::Assignments
            | Self::Assignment(_)
            | Self::Groups { .. }
            | Self::Group(_) => false,
            Self::Everything
            | Self::Held
            | Self::Apps { .. }
            | Self::App(_)
            | Self::Pool(_)
            | Self::Pools
            | Self::DeficitPlan(_)
            | Self::Holder(_)
            | Self::Seat(..)
            | Self::ReviewSeats { .. }
            | Self::Seats { .. }
            | Self::Queue { .. }
            | Self::Installs { .. }
            | Self::Users { .. }
            | Self::Devices { .. } => true,
        }
    }
}

/// The place behind one in a list of dense ids.
fn behind(after: Option<&str>) -> usize {
    after.and_then(|after| after.parse::<usize>().ok()).map_or(0, |after| after.saturating_add(1))
}

/// The part of a tenant just after a position; `None` where only the whole state will do.
pub(super) fn part(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    wanted: &Wanted,
) -> Result<Option<View>, ReadError> {
    match wanted {
        Wanted::Everything => Ok(None),
        Wanted::Tenant => small::tenant(ledger, tenant, position).map(Some),
        Wanted::Syncs => small::syncs(ledger, tenant, position).map(Some),
        // whether a seat would still end hangs on everything
        Wanted::Held => Ok(Some(small::syncs(ledger, tenant, position)?).filter(|view| view.state.held.is_empty())),
        Wanted::Reviews => small::reviews(ledger, tenant, position).map(Some),
        Wanted::ReviewSeats { review, after, limit } => {
            reviews::seats(ledger, tenant, position, *review, (*after, *limit))
        }
        Wanted::Assignments => small::assignments(ledger, tenant, position).map(Some),
        Wanted::Apps { from, count } => {
            small::apps(ledger, tenant, position, |apps| small::pools_of_apps(apps, *from, *count)).map(Some)
        }
        Wanted::App(app) => small::apps(ledger, tenant, position, |apps| small::pools_of_app(apps, *app)).map(Some),
        Wanted::Groups { from, count } => small::groups(ledger, tenant, position, (*from, *count)).map(Some),
        Wanted::Group(group) => small::group(ledger, tenant, position, group),
        Wanted::Pool(pool) => {
            let only = Only::One(pool_of(ledger, tenant, pool)?);
            pools(ledger, tenant, position, only).map(Some)
        }
        Wanted::Pools => pools(ledger, tenant, position, Only::All).map(Some),
        Wanted::DeficitPlan(pool) => {
            let only = pool_of(ledger, tenant, pool)?;
            let view = pools(ledger, tenant, position, Only::One(only))?;
            let found = only.and_then(|pool| view.state.pools.get(pool.index()));
            if found.is_none_or(|pool| pool.over_by() <= pool.releasing) {
                return Ok(Some(view));
            }
            // any of its seats may have to go
            let Some(only) = only else { return Ok(Some(view)) };
            match deficit::seats(ledger, (tenant, position), only)? {
                Some(view) => Ok(Some(named(view, only))),
                None => of_pool(ledger, tenant, position, pool, &Of::Seats(None, usize::MAX), None),
            }
        }
        Wanted::Holder(holder) => holders::holder(ledger, tenant, position, *holder, None),
        Wanted::Seat(pool, asked) => {
            let Some(holder) = holders::candidate(ledger, tenant, *asked)? else { return Ok(None) };
            let view = of_pool(ledger, tenant, position, pool, &Of::One(holder), None)?;
            Ok(view.filter(|view| is_told(view, *asked, holder)))
        }
        Wanted::Seats { pool, after, limit } => {
            of_pool(ledger, tenant, position, pool, &Of::Seats(*after, *limit), None)
        }
        Wanted::Queue { pool, after, limit } => {
            of_pool(ledger, tenant, position, pool, &Of::Queue(*after, *limit), None)
        }
        Wanted::Installs { pool, from, limit } => {
            of_pool(ledger, tenant, position, pool, &Of::Installs(*from, *limit), None)
        }
        Wanted::Users { from, limit } => people::users(ledger, tenant, position, (*from, *limit), None),
        Wanted::Devices { from, limit } => people::devices(ledger, tenant, position, (*from, *limit), None),
        Wanted::Assignment(assignment) => {
            let mut view = bare(ledger, tenant, position)?;
            view.state.pools = Listed::by(ledger, tenant, position)?.terms(position);
            view.state.assignments = made_by(ledger, tenant, position)?;
            if let Some(made) = view.state.assignments.get_mut(assignment.index()) {
                *made = as_of(made, position);
            }
            Ok(Some(view))
        }
    }
}

fn of_pool(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    pool: &PoolRef,
    of: &Of,
    late: Option<&mut LateFacts<'_>>,
) -> Result<Option<View>, ReadError> {
    let Some(pool) = pool_of(ledger, tenant, pool)? else { return bare(ledger, tenant, position).map(Some) };
    let found = seats::seats(ledger, (tenant, position), pool, of, late)?;
    Ok(found.map(|view| named(view, pool)))
}

/// The pool was not listed, or the holder bore the name that is asked for.
fn is_told(view: &View, asked: HolderRef, holder: Holder) -> bool {
    view.state.pools.is_empty() || holders::is_named(&view.state, asked, holder)
}

/// Lets a pool be found by its key, if it is there.
fn named(mut view: View, pool: PoolId) -> View {
    if let Some(pool) = view.state.pools.get(pool.index()).map(Arc::clone) {
        view.state.pool_keys.insert(pool.key.clone(), pool.id);
    }
    view
}

#[derive(Clone, Copy)]
enum Only {
    All,
    /// Which of them, if there is any such pool today.
    One(Option<PoolId>),
}

/// A pool has its key for ever.
fn pool_of(ledger: &Ledger, tenant: TenantId, pool: &PoolRef) -> Result<Option<PoolId>, ReadError> {
    match pool {
        PoolRef::Id(pool) => Ok(Some(*pool)),
        PoolRef::Key(key) => ledger.read(tenant, |view| view.state.pool_keys.get(key)),
    }
}

/// The pools that were listed by a position, with all that is known of them today.
struct Listed {
    tallies: Vec<Arc<Tally>>,
    passes: Passes,
}

impl Listed {
    fn by(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<Self, ReadError> {
        ledger.read(tenant, |view| Self {
            tallies: view.tallies.listed_by(position).to_vec(),
            passes: Passes::of(&view.state.syncs),
        })
    }

    /// Each in its place, without its holders and without its counts.
    fn terms(&self, position: u64) -> Vec<Arc<Pool>> {
        self.tallies.iter().filter_map(|tally| tally.terms_at(position).map(Arc::clone)).collect()
    }

    /// Nobody need be asked whether a grant of that position stands.
    fn is_confirmed(&self, pool: PoolId, position: u64) -> bool {
        let terms = self.tallies.get(pool.index()).and_then(|tally| tally.terms_at(position));
        terms.is_none_or(|terms| !terms.details.is_confirmed_by_provider)
    }
}

fn pools(ledger: &Ledger, tenant: TenantId, position: u64, only: Only) -> Result<View, ReadError> {
    let Listed { tallies, passes } = Listed::by(ledger, tenant, position)?;
    let (mut view, past) = (bare(ledger, tenant, position)?, ledger.past());
    for (at, tally) in tallies.iter().enumerate() {
        let is_wanted = match only {
            Only::All => true,
            Only::One(pool) => pool == Some(PoolId::at(at)),
        };
        let Some(terms) = tally.terms_at(position) else { break };
        let wanted = if is_wanted { past.checked(tally.at(position, &passes, &past))? } else { None };
        match wanted {
            Some((pool, figures)) => {
                view.counted.insert(pool.id, figures);
                view.state.pool_keys.insert(pool.key.clone(), pool.id);
                view.state.pools.push(Arc::new(pool));
            }
            // it only takes its place
            None => view.state.pools.push(Arc::clone(terms)),
        }
    }
    Ok(view)
}

/// The assignments that were made by a position, as they are today.
fn made_by(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<Dense<Assignment>, ReadError> {
    ledger.read(tenant, |view| {
        let all = &view.state.assignments;
        all.first(all.partition_point(|assignment| assignment.made_at <= position))
    })
}

/// An assignment is made and ends, and its etag says where.
fn as_of(assignment: &Assignment, position: u64) -> Assignment {
    if assignment.etag <= position {
        return assignment.clone();
    }
    Assignment { is_ended: false, etag: assignment.made_at, ..assignment.clone() }
}

/// A view of nothing but the tenant itself, at a position.
fn bare(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<View, ReadError> {
    let now = ledger.read(tenant, |now| {
        let (name, settings) = (now.chronicle.name_at(position)?, now.chronicle.settings_at(position)?);
        let (slug, created_at) = (now.state.slug.clone(), now.state.created_at);
        Some(Tenant { slug, name, created_at, settings, ..Tenant::default() })
    })?;
    let last = ledger.events(tenant, position, 1)?.pop();
    let (Some(now), Some(last)) = (now, last) else { return Err(ReadError::NotReached(position)) };
    let (next_position, last_recorded_at) = (position.saturating_add(1), last.envelope.recorded_at);
    Ok(View { state: Tenant { next_position, last_recorded_at, ..now }, ..View::default() })
}

//! A part of a tenant as it was: a view that holds what one question looks at and nothing else, from what is published and
//! from few events. Whoever asks says what that is; where it can't be told from little, there is no part and the whole
//! state is made (`as_of.rs`). Not here: questions.

use crate::domain::command::PoolRef;
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::facts::Settings;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::state::Tenant;
use crate::domain::subject::Subject;
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use crate::projection::tallies::{Passes, Tally};
use std::sync::Arc;

/// What a question looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Wanted {
    #[default]
    Everything,
    /// One pool without its holders, if there is one of this id or key.
    Pool(PoolRef),
    /// Every pool without its holders.
    Pools,
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
        Wanted::Pool(PoolRef::Id(pool)) => pools(ledger, tenant, position, Only::One(Some(*pool))).map(Some),
        Wanted::Pool(PoolRef::Key(key)) => {
            let pool = ledger.read(tenant, |view| view.state.pool_keys.get(key).copied())?;
            pools(ledger, tenant, position, Only::One(pool)).map(Some)
        }
        Wanted::Pools => pools(ledger, tenant, position, Only::All).map(Some),
    }
}

#[derive(Clone, Copy)]
enum Only {
    All,
    /// Which of them, if there is any such pool today.
    One(Option<PoolId>),
}

fn pools(ledger: &Ledger, tenant: TenantId, position: u64, only: Only) -> Result<View, ReadError> {
    let (tallies, passes): (Vec<Arc<Tally>>, Passes) =
        ledger.read(tenant, |view| (view.tallies.listed_by(position).to_vec(), Passes::of(&view.state.syncs)))?;
    let mut view = bare(ledger, tenant, position)?;
    for (at, tally) in tallies.iter().enumerate() {
        let is_wanted = match only {
            Only::All => true,
            Only::One(pool) => pool == Some(PoolId::at(at)),
        };
        let Some(terms) = tally.terms_at(position) else { break };
        match tally.at(position, &passes).filter(|_| is_wanted) {
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

/// A view of nothing, at a position.
fn bare(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<View, ReadError> {
    let state = Tenant {
        next_position: position.saturating_add(1),
        settings: settings(ledger, tenant, position)?,
        ..Tenant::default()
    };
    Ok(View { state, ..View::default() })
}

fn settings(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<Settings, ReadError> {
    let changed = Subject::Type(EventType::SettingsChanged);
    let changed = ledger.positions(tenant, changed, 0..position.saturating_add(1), 1, true)?;
    // the first event brings the first ones
    let set_at = changed.first().copied().unwrap_or(0);
    match ledger.events_at(tenant, &[set_at])?.pop().map(|recorded| recorded.event) {
        Some(Event::SettingsChanged { settings } | Event::TenantCreated { settings, .. }) => Ok(settings),
        Some(_) | None => Err(ReadError::Log(format!("position {set_at} sets nothing"))),
    }
}

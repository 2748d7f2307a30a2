//! The history folded from nothing, for people: what every figure is at the end, at a position, or at an instant. Reads
//! the journal only and changes nothing; beside a running service it reads up to the last checkpoint.

pub use super::fold::To;
use super::fold::{fold_frame, name_of};
use crate::domain::ids::TenantId;
use crate::domain::state::Tenant;
use crate::log::{OpenError, Progress, checkpointed_group, record, replay_groups};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// What to fold.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// One tenant's slug, or everything.
    pub tenant: Option<String>,
    pub to: To,
}

/// One tenant at the end of its replay.
#[derive(Debug, Clone)]
pub struct Replayed {
    pub tenant: TenantId,
    pub state: Tenant,
    /// What `GET /digest` says of the same position.
    pub digest: [u8; 32],
}

/// Why a history could not be folded.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error("the history of tenant {tenant} stops at position {position}: {what}")]
    Misfit { tenant: String, position: u64, what: String },
    #[error("there is no tenant {0}")]
    NoTenant(String),
    #[error("position {position} has not been reached: the last one of {tenant} is {last}")]
    NotReached { tenant: String, position: u64, last: u64 },
}

/// Folds the journal of a folder.
///
/// # Errors
/// See [`ReplayError`]; nothing was changed.
pub fn replay(dir: &Path, options: &ReplayOptions, progress: &dyn Progress) -> Result<Vec<Replayed>, ReplayError> {
    let total = checkpointed_group(dir)?;
    let mut states: BTreeMap<u32, Tenant> = BTreeMap::new();
    let mut error = None;
    replay_groups(dir, 1, &mut |group| {
        if group.number.is_multiple_of(4096) {
            progress.step("folding the history", group.number, total.max(group.number));
        }
        for frame in group.frames() {
            let tenant = frame.tenant;
            let state = states.entry(tenant).or_default();
            let is_wanted = state.next_position == frame.first_position
                && (state.slug.is_empty() || options.tenant.as_ref().is_none_or(|slug| *slug == state.slug));
            if !is_wanted {
                continue; // another tenant's, or behind the last position that counts
            }
            if let Err(misfit) = fold_frame(state, frame, options.to, &mut |_| Ok(())) {
                let (tenant, position, what) = (name_of(tenant, state), misfit.position, misfit.what);
                error = Some(ReplayError::Misfit { tenant, position, what });
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = error {
        return Err(error);
    }
    let mut found = vec![];
    for (tenant, state) in states.into_iter().filter(|(_, state)| state.next_position > 0) {
        if options.tenant.as_ref().is_some_and(|slug| *slug != state.slug) {
            continue;
        }
        let last = state.next_position - 1;
        if let To::Position(position) = options.to
            && position > last
        {
            return Err(ReplayError::NotReached { tenant: state.slug, position, last });
        }
        let digest = record::digest(&state);
        found.push(Replayed { tenant: TenantId(tenant), state, digest });
    }
    match &options.tenant {
        Some(slug) if found.is_empty() => Err(ReplayError::NoTenant(slug.clone())),
        Some(_) | None => Ok(found),
    }
}

#[cfg(test)]
mod tests;

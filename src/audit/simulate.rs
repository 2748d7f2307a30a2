//! What would happen: commands judged by the same judge on a copy of the state. Nothing is written, no key is made, and
//! command ids are not looked up: a trial answers as if each were asked for the first time.

use crate::domain::answer::Answer;
use crate::domain::command::Envelope;
use crate::domain::decide::decide;
use crate::domain::ids::{PoolId, TenantId};
use crate::domain::state::Pool;
use crate::ledger::{Ledger, ReadError, Submission};
use crate::projection::figures::Figures;
use serde::Serialize;
use std::sync::Arc;

/// So many commands may be tried at once.
pub const SUBMISSIONS_MAX: usize = 1000;

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulation {
    /// The last durable position that the trial starts from.
    pub position: u64,
    /// One per submission, in order; a refusal is in [`Answer::rejection`].
    pub answers: Vec<Box<Answer>>,
    /// Every pool that the trial touched, in order of ids.
    pub pools: Vec<PoolOutlook>,
}

/// A pool before and after a trial; `before` is `None` for one that the trial listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PoolOutlook {
    pub pool: PoolId,
    pub before: Option<Figures>,
    pub after: Figures,
}

/// Why there was no trial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{0} commands are too many for one trial; at most {SUBMISSIONS_MAX} are taken")]
    TooMany(usize),
}

/// Judges the submissions in their order, each on what its predecessors left. Blocking, and a copy of a state in memory: whoever
/// calls bounds how many there are at once.
///
/// # Errors
/// When there is no such tenant, or too much is asked at once.
///
/// # Panics
/// Where the judge finds its copy broken: the same commands would stop the service.
pub fn simulate(ledger: &Ledger, tenant: TenantId, submissions: Vec<Submission>) -> Result<Simulation, SimulateError> {
    if submissions.len() > SUBMISSIONS_MAX {
        return Err(SimulateError::TooMany(submissions.len()));
    }
    let mut state = ledger.copy(tenant)?;
    let (position, before) = (state.next_position.saturating_sub(1), state.pools.clone());
    let now = ledger.clock().now();
    let mut answers = Vec::with_capacity(submissions.len());
    for submission in submissions {
        let Submission { actor, door, command_id, content_hash, occurred_at, reason, if_match, ask } = submission;
        let envelope = Envelope { recorded_at: now, occurred_at, actor, door, command_id, content_hash, reason };
        let intake = ledger.trial_intake(tenant, &state, ask);
        answers.push(decide(&mut state, &intake, &envelope, if_match).answer());
    }
    // a pool that was written to is no longer the one that both copies shared
    let is_touched = |pool: &&Arc<Pool>| !before.get(pool.id.index()).is_some_and(|was| Arc::ptr_eq(was, pool));
    let outlook = |pool: &Arc<Pool>| PoolOutlook {
        pool: pool.id,
        before: before.get(pool.id.index()).map(|was| Figures::of(was)),
        after: Figures::of(pool),
    };
    let pools = state.pools.iter().filter(is_touched).map(outlook).collect();
    Ok(Simulation { position, answers, pools })
}

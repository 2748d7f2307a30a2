//! What questions read: pure folds of the history, taken after it is durable. A rule never reads one.

pub mod apps;
pub mod change;
pub mod courses;
pub mod figures;
pub mod holders;
pub mod holdings;
pub mod refusals;
pub mod tallies;

use crate::domain::event::Recorded;
use crate::domain::ids::PoolId;
use crate::domain::state::{Pool, Tenant};
use figures::Figures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that can be asked of one tenant at one position.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct View {
    pub state: Tenant,
    pub refusal_repeats: refusals::RefusalRepeats,
    pub courses: courses::Courses,
    pub tallies: tallies::Tallies,
    /// Of a part of a view alone, whose pools are without their holders.
    #[serde(skip)]
    pub counted: BTreeMap<PoolId, Figures>,
}

impl View {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one durable event.
    pub fn take(&mut self, recorded: &Recorded) {
        self.state.evolve(&recorded.event, &recorded.meta());
        self.refusal_repeats.take(&recorded.event);
        self.courses.take(recorded);
        self.tallies.take(recorded, &self.state);
    }

    /// A pool's counts.
    #[must_use]
    pub fn figures(&self, pool: &Pool) -> Figures {
        self.counted.get(&pool.id).copied().unwrap_or_else(|| Figures::of(pool))
    }
}

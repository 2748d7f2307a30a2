//! What questions read: pure folds of the history, taken after it is durable. A rule never reads one.

pub mod apps;
pub mod change;
pub mod courses;
pub mod figures;
pub mod holders;
pub mod holdings;
pub mod refusals;

use crate::domain::event::Recorded;
use crate::domain::state::Tenant;
use serde::{Deserialize, Serialize};

/// Everything that can be asked of one tenant at one position.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct View {
    pub state: Tenant,
    pub refusal_repeats: refusals::RefusalRepeats,
    pub courses: courses::Courses,
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
    }
}

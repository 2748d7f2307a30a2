//! How often a refusal was met again: equal refusals are counted, not recorded one by one (rules §3, law 8).

use crate::domain::event::Event;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of each refusal that was repeated, by the position that it is recorded at, how often. As many entries as there are
/// refusals with a count; those that happened once take none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRepeats(BTreeMap<u64, u64>);

impl RefusalRepeats {
    pub(super) fn take(&mut self, event: &Event) {
        if let Event::RefusalsCounted { position, count, .. } = event {
            *self.0.entry(*position).or_default() += count;
        }
    }

    /// Repeats of the refusal at this position, itself not counted.
    #[must_use]
    pub fn of(&self, position: u64) -> u64 {
        self.0.get(&position).copied().unwrap_or(0)
    }
}

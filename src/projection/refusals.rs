//! How often a refusal was met again: equal refusals are counted, not recorded one by one (rules §3, law 8).

use crate::domain::event::{Event, Recorded};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of each refusal that was repeated, by the position that it is recorded at: how often, up to each event that counted.
/// As many entries as there are such events; refusals that happened once take none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRepeats(BTreeMap<u64, Vec<(u64, u64)>>);

impl RefusalRepeats {
    pub(super) fn take(&mut self, recorded: &Recorded) {
        if let Event::RefusalsCounted { position, count, .. } = &recorded.event {
            let counted = self.0.entry(*position).or_default();
            let before = counted.last().map_or(0, |(_, times)| *times);
            counted.push((recorded.position, before + count));
        }
    }

    /// Repeats of the refusal at this position that were counted by another one, itself not counted.
    #[must_use]
    pub fn of(&self, position: u64, by: u64) -> u64 {
        let counted = self.0.get(&position).map(Vec::as_slice).unwrap_or_default();
        let known = counted.partition_point(|(at, _)| *at <= by);
        known.checked_sub(1).and_then(|last| counted.get(last)).map_or(0, |(_, times)| *times)
    }
}

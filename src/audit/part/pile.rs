//! The events that a part is folded from, each read once.

use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::ledger::{Ledger, ReadError};
use std::collections::BTreeMap;

/// By position.
pub(super) struct Pile<'l> {
    ledger: &'l Ledger,
    tenant: TenantId,
    events: BTreeMap<u64, Recorded>,
    max: usize,
    has_names: bool,
}

impl<'l> Pile<'l> {
    pub(super) fn new(ledger: &'l Ledger, tenant: TenantId, max: usize) -> Self {
        Self { ledger, tenant, events: BTreeMap::new(), max, has_names: true }
    }

    /// For a part in which nobody is looked up by a name.
    pub(super) fn without_names(self) -> Self {
        Self { has_names: false, ..self }
    }

    /// Reads what is not there yet; `false`, and nothing is read, where that makes too many.
    pub(super) fn add(&mut self, positions: impl IntoIterator<Item = u64>) -> Result<bool, ReadError> {
        let mut missing: Vec<u64> = positions.into_iter().filter(|at| !self.events.contains_key(at)).collect();
        missing.sort_unstable();
        missing.dedup();
        if self.events.len() + missing.len() > self.max {
            return Ok(false);
        }
        let read = if self.has_names {
            self.ledger.events_at(self.tenant, &missing)?
        } else {
            self.ledger.facts_at(self.tenant, &missing)?
        };
        self.events.extend(read.into_iter().map(|recorded| (recorded.position, recorded)));
        Ok(true)
    }

    /// In order.
    pub(super) fn events(&self) -> impl Iterator<Item = &Recorded> {
        self.events.values()
    }
}

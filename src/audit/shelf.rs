//! Views of the past that were asked for last, over all tenants. Not here: making one.

use crate::domain::ids::TenantId;
use crate::ledger::Ledger;
use crate::projection::View;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// So many views at hand; the newest in use is last. By an old one names could be found that were erased since, so an erasure puts
/// an end to all that were begun before it.
pub(super) struct Shelf<K, const MAX: usize>(Mutex<VecDeque<Kept<K>>>);

struct Kept<K> {
    tenant: TenantId,
    at: K,
    erasures: u64,
    view: Arc<View>,
}

impl<K, const MAX: usize> Default for Shelf<K, MAX> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + PartialEq, const MAX: usize> Shelf<K, MAX> {
    pub(super) fn at_hand(&self, ledger: &Ledger, tenant: TenantId, at: K) -> Option<Arc<View>> {
        let erasures = ledger.erasures();
        let mut views = self.0.lock();
        views.retain(|kept| kept.erasures == erasures);
        let place = views.iter().position(|kept| kept.tenant == tenant && kept.at == at)?;
        let found = views.remove(place)?;
        let view = Arc::clone(&found.view);
        views.push_back(found);
        Some(view)
    }

    /// `erasures` is from before the view was begun.
    pub(super) fn keep(&self, tenant: TenantId, at: K, erasures: u64, view: Arc<View>) {
        let mut views = self.0.lock();
        views.push_back(Kept { tenant, at, erasures, view });
        while views.len() > MAX {
            views.pop_front();
        }
    }
}

impl<const MAX: usize> Shelf<u64, MAX> {
    /// Of the positions up to one, the last that is at hand.
    pub(super) fn nearest(&self, tenant: TenantId, position: u64, erasures: u64) -> Option<Arc<View>> {
        let views = self.0.lock();
        let before =
            views.iter().filter(|kept| kept.tenant == tenant && kept.at <= position && kept.erasures == erasures);
        before.max_by_key(|kept| kept.at).map(|kept| Arc::clone(&kept.view))
    }
}

//! Places for what goes on long: so many at once, and for one tenant no more than a share of them, so that nobody takes them from
//! everybody. Not here: what is done at one.

use super::problem::Problem;
use crate::domain::ids::TenantId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// For event streams: each is a connection and a page of events.
pub(super) const STREAMS: Bounds = Bounds { all: 256, of_one_max: 64, kept: 0, what: "event streams" };
/// For exports and backups: each has a thread.
pub(super) const EXPORTS: Bounds = Bounds { all: 8, of_one_max: 2, kept: 1, what: "exports" };
/// For those who wait to look back: each is a task.
pub(super) const WAITING: Bounds = Bounds { all: 4096, of_one_max: 512, kept: 0, what: "reads of the past" };
/// For those who wait for a long look at what is so now: each is a task.
pub(super) const LONG: Bounds = Bounds { all: 4096, of_one_max: 512, kept: 0, what: "long reads" };
/// Who found none may ask again after so long.
const RETRY_S: u64 = 5;

/// How many there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    all: usize,
    pub(super) of_one_max: usize,
    /// Of all of them, those that are no tenant's, but the service's own: a backup finds one however many exports there are.
    kept: usize,
    what: &'static str,
}

/// Places of one kind.
pub(super) struct Places {
    bounds: Bounds,
    /// By whose they are; the service's own are nobody's.
    taken: Mutex<BTreeMap<Option<TenantId>, usize>>,
}

/// One place, until it is dropped.
pub(super) struct OnePlace {
    places: Arc<Places>,
    of: Option<TenantId>,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, taken: Mutex::default() })
    }

    /// # Errors
    /// When all are taken, or all that one tenant may have.
    pub(super) fn take(self: &Arc<Self>, of: Option<TenantId>) -> Result<OnePlace, Problem> {
        let Bounds { all, of_one_max, kept, what } = self.bounds;
        let refused = |whose: &str| {
            let detail = format!("as many {what}{whose} as may be are under way");
            Err(Problem::new("overloaded", detail).retry_after(RETRY_S))
        };
        let mut taken = self.taken.lock();
        let count = |of| taken.get(&of).copied().unwrap_or(0);
        let (ours, sum) = (count(None), taken.values().sum::<usize>());
        if sum >= all || (of.is_some() && sum - ours >= all - kept) {
            return refused("");
        }
        if of.is_some() && count(of) >= of_one_max {
            return refused(" of one tenant");
        }
        *taken.entry(of).or_default() += 1;
        Ok(OnePlace { places: Arc::clone(self), of })
    }
}

impl Drop for OnePlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_has_a_share_and_the_service_its_own() {
        let places = Places::new(EXPORTS);
        let of = |tenant: u32| places.take(Some(TenantId(tenant)));
        let mut held: Vec<OnePlace> = [1, 1, 2, 2, 3].map(|tenant| of(tenant).unwrap()).into();
        for tenant in [1, 2] {
            assert_eq!(of(tenant).err().unwrap().detail(), "as many exports of one tenant as may be are under way");
        }
        held.extend([of(3).unwrap(), of(4).unwrap()]);
        assert_eq!(of(5).err().unwrap().detail(), "as many exports as may be are under way");
        let backup = places.take(None).unwrap();
        assert!(places.take(None).is_err() && of(5).is_err());
        drop(held.remove(0));
        assert!(of(5).is_ok(), "what ends leaves its place");
        drop((held, backup));
        assert!(places.taken.lock().is_empty());
        let backups: Vec<_> = std::iter::from_fn(|| places.take(None).ok()).collect();
        assert_eq!(backups.len(), 8);
    }

    #[test]
    fn a_quarter_of_the_streams_is_one_tenants() {
        let places = Places::new(STREAMS);
        let mut held = vec![];
        for tenant in 0..4 {
            held.extend(std::iter::from_fn(|| places.take(Some(TenantId(tenant))).ok()));
            assert_eq!(held.len(), 64 * (tenant as usize + 1));
        }
        assert!(places.take(Some(TenantId(4))).is_err());
    }
}

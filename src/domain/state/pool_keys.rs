//! Pools by what their provider calls them. Asked for by every command that names its pool so, and written as the ordered map that
//! digests and snapshots have always had. Not here: pools.

use crate::domain::ids::PoolId;
use crate::domain::key::PoolKey;
use foldhash::quality::RandomState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

/// Copies share it until one of them changes.
#[derive(Clone, Default)]
pub struct PoolKeys(Arc<Keys>);

/// The same twice. Keys are long texts, and many begin alike: compared one after the other on the way through a tree they
/// cost six times what one hash does.
#[derive(Clone, Default)]
struct Keys {
    in_order: BTreeMap<PoolKey, PoolId>,
    by_hash: HashMap<PoolKey, PoolId, RandomState>,
}

impl PoolKeys {
    #[must_use]
    pub fn get(&self, key: &PoolKey) -> Option<PoolId> {
        self.0.by_hash.get(key).copied()
    }

    /// The pool that had this key before.
    pub fn insert(&mut self, key: PoolKey, pool: PoolId) -> Option<PoolId> {
        let keys = Arc::make_mut(&mut self.0);
        keys.by_hash.insert(key.clone(), pool);
        keys.in_order.insert(key, pool)
    }
}

impl FromIterator<(PoolKey, PoolId)> for PoolKeys {
    fn from_iter<I: IntoIterator<Item = (PoolKey, PoolId)>>(keys: I) -> Self {
        let in_order: BTreeMap<PoolKey, PoolId> = keys.into_iter().collect();
        let by_hash = in_order.iter().map(|(key, pool)| (key.clone(), *pool)).collect();
        Self(Arc::new(Keys { in_order, by_hash }))
    }
}

/// In order, so that equal ones look equal.
impl fmt::Debug for PoolKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.in_order.fmt(f)
    }
}

impl PartialEq for PoolKeys {
    fn eq(&self, other: &Self) -> bool {
        self.0.in_order == other.0.in_order
    }
}

impl Eq for PoolKeys {}

impl Serialize for PoolKeys {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.in_order.serialize(s)
    }
}

impl<'de> Deserialize<'de> for PoolKeys {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(d).map(|keys: BTreeMap<PoolKey, PoolId>| keys.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was_and_the_later_pool_is_found() {
        let key = |n: u32| PoolKey::Declared { sku: format!("app{n}") };
        let mut keys = PoolKeys::default();
        (0..40).for_each(|n| assert_eq!(keys.insert(key(n), PoolId(n)), None));
        let before = keys.clone();
        assert_eq!(keys.insert(key(3), PoolId(99)), Some(PoolId(3)));
        assert_eq!((before.get(&key(3)), keys.get(&key(3))), (Some(PoolId(3)), Some(PoolId(99))));
        assert_eq!((keys.get(&key(39)), keys.get(&key(40))), (Some(PoolId(39)), None));
        assert!(keys != before && before == (0..40).map(|n| (key(n), PoolId(n))).collect());
    }
}

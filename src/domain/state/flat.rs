//! Small ordered sets that lie flat in a list: what hangs on one person, one device or one group. A rule that asks about
//! one pool finds that pool's assignments side by side, and looks at no others.

use crate::domain::ids::{AssignmentId, PoolId};
use serde::{Deserialize, Serialize};
use std::ops::RangeBounds;

/// An ordered set. Putting something in moves what stands behind it, so that it is for hundreds of entries, not for
/// thousands; ids grow, and what is new most often goes to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Flat<K>(Vec<K>);

impl<K> Default for Flat<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Flat<K> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    #[must_use]
    pub fn first(&self) -> Option<&K> {
        self.0.first()
    }

    #[must_use]
    pub fn last(&self) -> Option<&K> {
        self.0.last()
    }

    /// In order.
    pub fn iter(&self) -> std::slice::Iter<'_, K> {
        self.0.iter()
    }
}

impl<K: Ord> Flat<K> {
    fn find(&self, key: &K) -> Result<usize, usize> {
        match self.0.last() {
            Some(last) if last < key => Err(self.0.len()),
            _ => self.0.binary_search(key),
        }
    }

    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// Whether it is new.
    pub fn insert(&mut self, key: K) -> bool {
        let place = self.find(&key);
        if let Err(at) = place {
            self.0.insert(at, key);
        }
        place.is_err()
    }

    /// Whether it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        let place = self.find(key);
        if let Ok(at) = place {
            self.0.remove(at);
        }
        place.is_ok()
    }

    /// The part between two keys, in order.
    pub fn range<R: RangeBounds<K>>(&self, range: R) -> impl Iterator<Item = &K> + use<'_, R, K> {
        let begin = self.0.partition_point(|key| is_before(&range, key));
        self.0.iter().skip(begin).take_while(move |key| range.contains(key))
    }
}

fn is_before<K: Ord>(range: &impl RangeBounds<K>, key: &K) -> bool {
    match range.start_bound() {
        std::ops::Bound::Included(start) => key < start,
        std::ops::Bound::Excluded(start) => key <= start,
        std::ops::Bound::Unbounded => false,
    }
}

impl<'a, K: Ord + Copy + 'a> Extend<&'a K> for Flat<K> {
    fn extend<I: IntoIterator<Item = &'a K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(*key);
        }
    }
}

impl<K: Ord> FromIterator<K> for Flat<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::default();
        for key in keys {
            set.insert(key);
        }
        set
    }
}

impl<'a, K> IntoIterator for &'a Flat<K> {
    type Item = &'a K;
    type IntoIter = std::slice::Iter<'a, K>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K> IntoIterator for Flat<K> {
    type Item = K;
    type IntoIter = std::vec::IntoIter<K>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Assignments by the pool that they are of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByPool(Flat<(PoolId, AssignmentId)>);

impl ByPool {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one pool, oldest first.
    pub fn of(&self, pool: PoolId) -> impl Iterator<Item = AssignmentId> + '_ {
        let all = (pool, AssignmentId(0))..=(pool, AssignmentId(u32::MAX));
        self.0.range(all).map(|(_, assignment)| *assignment)
    }

    /// In order of the pools.
    pub fn iter(&self) -> impl Iterator<Item = (PoolId, AssignmentId)> + '_ {
        self.0.iter().copied()
    }

    /// The pool of each, in order; once for each assignment.
    pub fn pools(&self) -> impl Iterator<Item = PoolId> + '_ {
        self.0.iter().map(|(pool, _)| *pool)
    }

    /// The last of those pools.
    #[must_use]
    pub fn last_pool(&self) -> Option<&PoolId> {
        self.0.last().map(|(pool, _)| pool)
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn oldest_first(&self) -> Vec<AssignmentId> {
        let mut all: Vec<AssignmentId> = self.0.iter().map(|(_, assignment)| *assignment).collect();
        all.sort_unstable();
        all
    }

    pub fn insert(&mut self, pool: PoolId, assignment: AssignmentId) {
        self.0.insert((pool, assignment));
    }

    pub(in crate::domain) fn remove(&mut self, pool: PoolId, assignment: AssignmentId) {
        self.0.remove(&(pool, assignment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_the_set_that_the_library_has(steps in prop::collection::vec((any::<bool>(), 0..40u8), 0..200), (from, to) in (0..40u8, 0..40u8)) {
            let (mut flat, mut plain) = (Flat::default(), BTreeSet::new());
            for (is_new, key) in steps {
                if is_new {
                    prop_assert_eq!(flat.insert(key), plain.insert(key));
                } else {
                    prop_assert_eq!(flat.remove(&key), plain.remove(&key));
                }
                prop_assert_eq!((flat.len(), flat.is_empty(), flat.contains(&key)), (plain.len(), plain.is_empty(), plain.contains(&key)));
            }
            prop_assert!(flat.iter().eq(plain.iter()));
            prop_assert!(flat.range(from..).eq(plain.range(from..)));
            if from <= to {
                prop_assert!(flat.range(from..=to).eq(plain.range(from..=to)));
            }
            prop_assert_eq!(serde_json::to_string(&flat).unwrap(), serde_json::to_string(&plain).unwrap());
        }

        #[test]
        fn a_pool_s_assignments_are_those_that_were_put_under_it(pairs in prop::collection::vec((0..4u32, 0..60u32), 0..60)) {
            let mut all = ByPool::default();
            for (pool, assignment) in &pairs {
                all.insert(PoolId(*pool), AssignmentId(*assignment));
            }
            for pool in 0..5 {
                let of: BTreeSet<u32> = pairs.iter().filter(|(of, _)| *of == pool).map(|(_, assignment)| *assignment).collect();
                prop_assert!(all.of(PoolId(pool)).map(|assignment| assignment.0).eq(of));
            }
            let mut ids: Vec<u32> = pairs.iter().copied().collect::<BTreeSet<_>>().into_iter().map(|(_, assignment)| assignment).collect();
            ids.sort_unstable();
            prop_assert!(all.oldest_first().into_iter().map(|assignment| assignment.0).eq(ids));
            for (pool, assignment) in &pairs {
                all.remove(PoolId(*pool), AssignmentId(*assignment));
            }
            prop_assert!(all.is_empty());
        }
    }
}

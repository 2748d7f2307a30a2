//! What an administrator sees as one app: the pools that belong together. A view over the pools, never a counted thing.
//!
//! Pools of one provider belong together when they are of one related set, of one Microsoft product, or of one Apple unit
//! and app; of a declared inventory also an online and an offline item that have name and publisher in common. An entry has
//! the id of its oldest pool, so that of entries which merge the older id stays.

use super::View;
use crate::domain::event::Event;
use crate::domain::ids::{AppId, PoolId};
use crate::domain::key::{LicenseType, PoolKey, Provider};
use crate::domain::state::Pool;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

#[cfg(test)]
mod tests;

/// What pools of one app have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Bond<'s> {
    RelatedSet(Provider, &'s str),
    Product(&'s str),
    Adam {
        unit: &'s str,
        adam: &'s str,
    },
    /// The first online item of a name goes with the first offline one, the second with the second.
    Named(Name<'s>, u32),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'s> {
    language: &'s str,
    name: &'s str,
    publisher: Option<&'s str>,
}

/// The entries of the view.
#[derive(Debug, PartialEq, Eq)]
pub struct Apps {
    /// By pool: the entry that it is in.
    entries: Vec<AppId>,
    pools: BTreeMap<AppId, Vec<PoolId>>,
}

impl Apps {
    #[must_use]
    pub fn of(all: &[Arc<Pool>]) -> Self {
        let mut forest = Forest((0..all.len()).collect());
        let mut bonds: BTreeMap<Bond<'_>, usize> = BTreeMap::new();
        let mut seen: BTreeMap<(Name<'_>, LicenseType), u32> = BTreeMap::new();
        for (index, pool) in all.iter().enumerate() {
            for bond in bonds_of(pool, &mut seen) {
                let first = *bonds.entry(bond).or_insert(index);
                forest.join(first, index);
            }
        }
        let entries: Vec<_> = (0..all.len()).map(|index| AppId::at(forest.oldest(index))).collect();
        let mut pools: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            pools.entry(*entry).or_default().push(PoolId::at(index));
        }
        Self { entries, pools }
    }

    /// The entry that an id stands for: itself, or the older one it has merged into.
    #[must_use]
    pub fn entry(&self, app: AppId) -> Option<AppId> {
        self.entries.get(app.index()).copied()
    }

    /// The pools of an entry, oldest first.
    #[must_use]
    pub fn pools(&self, app: AppId) -> &[PoolId] {
        self.pools.get(&app).map_or(&[], Vec::as_slice)
    }

    /// Entries from an id on, with their pools.
    pub fn iter_from(&self, app: AppId) -> impl Iterator<Item = (AppId, &[PoolId])> {
        self.pools.range(app..).map(|(app, pools)| (*app, pools.as_slice()))
    }
}

/// The entries as they were grouped last, until an event changes them; copies of a view share them so long.
#[derive(Debug, Clone, Default)]
pub struct Grouped(Arc<OnceLock<Apps>>);

impl Grouped {
    pub(super) fn take(&mut self, event: &Event) {
        // what else [`bonds_of`] reads of a pool never changes
        if let Event::PoolListed { .. } | Event::PoolNamed { .. } | Event::PoolDetailsChanged { .. } = event {
            match Arc::get_mut(&mut self.0) {
                Some(kept) => drop(kept.take()),
                None => *self = Self::default(),
            }
        }
    }
}

/// Pools that nobody has grouped since they changed: taken out of a view, so that nobody waits for it meanwhile.
pub struct Ungrouped {
    grouped: Grouped,
    pools: Vec<Arc<Pool>>,
}

impl Ungrouped {
    /// For the view that they were taken out of, and for its copies.
    pub fn group(self) {
        self.grouped.0.get_or_init(|| Apps::of(&self.pools));
    }
}

impl View {
    /// Grouped now, if nobody has done so.
    pub fn apps(&self) -> &Apps {
        self.grouped.0.get_or_init(|| Apps::of(&self.state.pools))
    }

    /// What [`Self::apps`] would have to group.
    #[must_use]
    pub fn ungrouped(&self) -> Option<Ungrouped> {
        (!self.is_grouped()).then(|| Ungrouped { grouped: self.grouped.clone(), pools: self.state.pools.clone() })
    }

    #[must_use]
    pub fn is_grouped(&self) -> bool {
        self.grouped.0.get().is_some()
    }
}

fn bonds_of<'s>(pool: &'s Pool, seen: &mut BTreeMap<(Name<'s>, LicenseType), u32>) -> Vec<Bond<'s>> {
    let set = pool.details.related_set.as_deref();
    let mut bonds: Vec<_> = set.map(|set| Bond::RelatedSet(pool.key.provider(), set)).into_iter().collect();
    match &pool.key {
        PoolKey::Microsoft { product_id, .. } => bonds.push(Bond::Product(product_id)),
        PoolKey::Apple { unit_id, adam_id, .. } => bonds.push(Bond::Adam { unit: unit_id, adam: adam_id }),
        PoolKey::Declared { .. } => bonds.extend(pool.names.iter().map(|(language, named)| {
            let name = Name { language, name: &named.name, publisher: named.publisher.as_deref() };
            let count = seen.entry((name, pool.details.license_type)).or_default();
            *count += 1;
            Bond::Named(name, *count)
        })),
    }
    bonds
}

/// Sets of places, each known by its lowest.
struct Forest(Vec<usize>);

impl Forest {
    fn oldest(&mut self, place: usize) -> usize {
        let mut at = place;
        while let Some(above) = self.0.get(at).copied().filter(|above| *above != at) {
            at = above;
        }
        if let Some(entry) = self.0.get_mut(place) {
            *entry = at;
        }
        at
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.oldest(one), self.oldest(other));
        if let Some(entry) = self.0.get_mut(one.max(other)) {
            *entry = one.min(other);
        }
    }
}

//! The store as it is on its own side: its catalogue, what one tenant has bought of it, who sits where, and what every
//! tool did. Pure but for the clock: a call in, an answer out, and nobody waits here.
//!
//! Not here: how any of it is said over HTTP (`api`, `desk`), and who may ask (`gate`).

mod catalogue;
mod orders;
mod people;
mod seats;

pub use catalogue::{AlternateId, Localized, Package, Product, Sku};
pub(in crate::store::simulator::microsoft) use catalogue::{is_product_id, is_sku_id};
pub use orders::{DeskRefusal, Order, Purchase};
pub use people::User;
pub(in crate::store::simulator::microsoft) use people::is_upn;
pub use seats::{SeatRefusal, SeatShown};

use super::super::clock::SimulatorClock;
use super::super::journal::Journal;
use crate::domain::facts::DistributionPolicy;
use crate::domain::key::LicenseType;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub(super) const PRODUCTS_MAX: usize = 20_000;
pub(super) const ENTRIES_MAX: usize = 20_000;
pub(super) const USERS_MAX: usize = 1_000_000;
pub(super) const SEATS_MAX: usize = 2_000_000;
pub(super) const ORDERS_MAX: usize = 200_000;
/// In the journal, who ended a seat that no tool asked for.
const STORE: &str = "store";

/// What every further call names: both parts, with the SKU's leading zeros.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ProductKey {
    pub product_id: String,
    pub sku_id: String,
}

impl std::fmt::Display for ProductKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.product_id, self.sku_id)
    }
}

/// One counted stock: on-line and offline licenses of one product are two.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct EntryKey {
    #[serde(flatten)]
    pub product: ProductKey,
    pub license_type: LicenseType,
}

/// A line of the inventory.
#[derive(Debug, Clone)]
pub struct Entry {
    pub capacity: i64,
    pub policy: DistributionPolicy,
    pub is_removed: bool,
    /// Taken out so thoroughly that `IncludeRemoved` does not show it either.
    pub is_purged: bool,
    pub last_modified: Time,
    /// By the lower-cased UPN.
    seats: BTreeMap<String, Seat>,
    /// What the figure of free seats was before the last seat was given or taken, for a store that lags.
    free_before: i64,
}

#[derive(Debug, Clone)]
struct Seat {
    upn: String,
    since: Time,
    by: String,
}

impl Entry {
    #[must_use]
    pub fn used(&self) -> i64 {
        i64::try_from(self.seats.len()).unwrap_or(i64::MAX)
    }

    /// Below zero where more is used than owned.
    #[must_use]
    pub fn unassigned(&self) -> i64 {
        self.capacity.saturating_sub(self.used())
    }

    /// As the inventory says it: never below zero, and one step late where the store lags.
    #[must_use]
    pub fn available(&self, is_stale: bool) -> i64 {
        if is_stale { self.free_before } else { self.unassigned() }.max(0)
    }

    #[must_use]
    pub fn is_listed(&self) -> bool {
        !self.is_removed && !self.is_purged
    }
}

/// The two sayings of what `lastModified` follows. The documents contradict each other, so both can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModifiedBy {
    pub seats: bool,
    pub details: bool,
}

/// All that one tenant's store knows.
pub struct Market {
    clock: SimulatorClock,
    modified_by: ModifiedBy,
    products: BTreeMap<String, Product>,
    entries: BTreeMap<EntryKey, Entry>,
    users: BTreeMap<String, User>,
    /// Where a UPN sits, by its lower-cased form.
    sits: BTreeMap<String, BTreeSet<EntryKey>>,
    seats: usize,
    orders: Vec<Order>,
    journal: Journal,
}

impl Market {
    pub(super) fn new(clock: SimulatorClock) -> Self {
        Self {
            clock,
            modified_by: ModifiedBy { seats: true, details: true },
            products: BTreeMap::new(),
            entries: BTreeMap::new(),
            users: BTreeMap::new(),
            sits: BTreeMap::new(),
            seats: 0,
            orders: Vec::new(),
            journal: Journal::default(),
        }
    }

    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    pub fn follow(&mut self, modified_by: ModifiedBy) {
        self.modified_by = modified_by;
    }

    #[must_use]
    pub fn entry(&self, key: &EntryKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Every line from `after` on in the inventory's order, the removed ones among them.
    pub(super) fn entries_after(&self, after: Option<&EntryKey>) -> impl Iterator<Item = (&EntryKey, &Entry)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        self.entries.range::<EntryKey, _>((from, Unbounded))
    }

    /// Owned and in the inventory, as one license or the other.
    pub(super) fn owns(&self, product: &ProductKey, license_type: LicenseType) -> bool {
        let key = EntryKey { product: product.clone(), license_type };
        self.entries.get(&key).is_some_and(Entry::is_listed)
    }

    /// Every assign and reclaim in order, with what it did.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

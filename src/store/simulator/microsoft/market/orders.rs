//! The order desk: purchases, refunds under the store's own rules, and what happens to an inventory without any order.

use super::super::super::journal::Deed;
use super::{ENTRIES_MAX, Entry, EntryKey, Market, ORDERS_MAX, STORE};
use crate::domain::facts::DistributionPolicy;
use crate::domain::key::LicenseType;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A paid order from its day to the 29th day after it: 1 June to 30 June.
const REFUND_DAYS: i32 = 30;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purchase {
    pub product_id: String,
    pub sku_id: String,
    pub license_type: LicenseType,
    pub quantity: i64,
    pub is_paid: bool,
    #[serde(default = "restricted")]
    pub distribution_policy: DistributionPolicy,
}

fn restricted() -> DistributionPolicy {
    DistributionPolicy::Restricted
}

/// What the portal shows of an order. The management-tool API shows none of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    pub number: String,
    #[serde(flatten)]
    pub key: EntryKey,
    pub quantity: i64,
    pub is_paid: bool,
    pub placed_at: Time,
    pub is_refunded: bool,
}

/// Why the desk does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeskRefusal {
    #[error("{0}")]
    Wrong(&'static str),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("the simulator holds no more {0}")]
    Full(&'static str),
    #[error("that user name is taken")]
    NameTaken,
    #[error("the order was refunded before")]
    AlreadyRefunded,
    /// Seats are to be reclaimed first.
    #[error("the order is of {quantity} seats and {unassigned} are unassigned")]
    SeatsAssigned { quantity: i64, unassigned: i64 },
    #[error("a paid order is refunded within 30 days, its own day included")]
    TooLate,
}

impl Market {
    /// Buys seats; the first purchase puts the line into the inventory.
    ///
    /// # Errors
    /// When the catalogue has no such SKU, or the quantity is none.
    pub fn purchase(&mut self, purchase: Purchase) -> Result<Order, DeskRefusal> {
        let Purchase { product_id, sku_id, license_type, quantity, is_paid, distribution_policy } = purchase;
        let key = EntryKey { product: super::ProductKey { product_id, sku_id }, license_type };
        if quantity < 1 {
            return Err(DeskRefusal::Wrong("a quantity is 1 or more"));
        }
        if self.sku(&key.product).is_none() {
            return Err(DeskRefusal::NotFound("SKU"));
        }
        if self.orders.len() >= ORDERS_MAX {
            return Err(DeskRefusal::Full("orders"));
        }
        if !self.entries.contains_key(&key) && self.entries.len() >= ENTRIES_MAX {
            return Err(DeskRefusal::Full("inventory lines"));
        }
        let now = self.now();
        let entry = self.entries.entry(key.clone()).or_insert_with(|| Entry {
            capacity: 0,
            policy: distribution_policy,
            is_removed: false,
            is_purged: false,
            last_modified: now,
            seats: BTreeMap::new(),
            free_before: 0,
        });
        entry.free_before = entry.unassigned();
        entry.capacity = entry.capacity.saturating_add(quantity);
        if !entry.is_listed() {
            entry.is_removed = false;
            entry.is_purged = false;
            entry.policy = distribution_policy;
        }
        entry.last_modified = now;
        let number = format!("{:010}", 2_600_000_000_u64 + self.orders.len() as u64);
        let order = Order { number, key, quantity, is_paid, placed_at: now, is_refunded: false };
        self.orders.push(order.clone());
        Ok(order)
    }

    /// Refunds one whole order, as the portal would.
    ///
    /// # Errors
    /// When one of the store's three rules forbids it, and when the order was refunded before.
    pub fn refund(&mut self, number: &str) -> Result<Order, DeskRefusal> {
        let now = self.now();
        let order = self.orders.iter_mut().find(|o| o.number == number).ok_or(DeskRefusal::NotFound("order"))?;
        let entry = self.entries.get_mut(&order.key).ok_or(DeskRefusal::NotFound("inventory line"))?;
        if order.is_refunded {
            return Err(DeskRefusal::AlreadyRefunded);
        }
        let unassigned = entry.unassigned();
        if unassigned < order.quantity || (!order.is_paid && entry.used() > 0) {
            return Err(DeskRefusal::SeatsAssigned { quantity: order.quantity, unassigned });
        }
        if order.is_paid && now.day().0 - order.placed_at.day().0 >= REFUND_DAYS {
            return Err(DeskRefusal::TooLate);
        }
        order.is_refunded = true;
        entry.free_before = unassigned;
        entry.capacity = if order.is_paid { entry.capacity.saturating_sub(order.quantity) } else { 0 };
        entry.is_removed = entry.capacity <= 0;
        entry.last_modified = now;
        Ok(order.clone())
    }

    /// An adjustment on the store's side that no order stands behind: it may leave more used than owned.
    ///
    /// # Errors
    /// When the inventory has no such line.
    pub fn adjust(&mut self, key: &EntryKey, capacity: i64) -> Result<(), DeskRefusal> {
        if capacity < 0 {
            return Err(DeskRefusal::Wrong("a capacity is 0 or more"));
        }
        self.change(key, |entry| {
            entry.free_before = entry.unassigned();
            entry.capacity = capacity;
        })
    }

    /// # Errors
    /// When the inventory has no such line.
    pub fn change_policy(&mut self, key: &EntryKey, policy: DistributionPolicy) -> Result<(), DeskRefusal> {
        self.change(key, |entry| entry.policy = policy)
    }

    /// Takes a line out of the inventory whatever is assigned; its seats end with it. Purged, it is in no list at all.
    ///
    /// # Errors
    /// When the inventory has no such line.
    pub fn remove(&mut self, key: &EntryKey, is_purged: bool) -> Result<(), DeskRefusal> {
        let mut gone = vec![];
        self.change(key, |entry| {
            entry.is_removed = true;
            entry.is_purged = is_purged;
            entry.capacity = 0;
            entry.free_before = 0;
            gone = std::mem::take(&mut entry.seats).into_keys().collect();
        })?;
        self.seats -= gone.len();
        for name in gone {
            self.stands_up(&name, key);
            self.note(Deed::Released, STORE, &key.product, &name, "removed");
        }
        Ok(())
    }

    fn change(&mut self, key: &EntryKey, how: impl FnOnce(&mut Entry)) -> Result<(), DeskRefusal> {
        let now = self.now();
        let entry = self.entries.get_mut(key).ok_or(DeskRefusal::NotFound("inventory line"))?;
        how(entry);
        entry.last_modified = now;
        Ok(())
    }

    #[must_use]
    pub fn orders(&self) -> &[Order] {
        &self.orders
    }
}

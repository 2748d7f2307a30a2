//! One reading of a unit, turned into inventory items and seats. The conversion is pure. Not here: paging (`lists`).

use super::super::terms::{Pass, PassAsked, PassProgress, SeatAtStore, StoreHolder, Trouble};
use super::client::AppleClient;
use super::lists::{AssignmentsAsked, ListTrouble, Listed};
use super::subscriptions::skipped;
use super::wire::{Asset, AssetKey, Assignment, UNLIMITED};
use crate::domain::command::InventoryItem;
use crate::domain::facts::{DistributionPolicy, HeldBy, InstalledBy, KeepOrRelease, Owned, PoolDetails};
use crate::domain::key::{LicenseType, PoolKey};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

const TYPE_CHARS_MAX: usize = 60;

/// What an asset is to a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    App,
    Book,
}

impl AppleClient {
    /// Reads assets and assignments. Asked for changes alone, it still reads all assets, for their figures are of now; of the
    /// assignments it reads what was added, and says that it is not complete.
    ///
    /// # Errors
    /// When a page can't be read: what was read until then is nothing.
    pub async fn pass(&self, asked: &PassAsked, progress: &PassProgress) -> Result<Pass, Trouble> {
        let count = |counter: &std::sync::atomic::AtomicU64, records: usize| {
            progress.page();
            counter.fetch_add(u64::try_from(records).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        let assets = self.assets(|records| count(&progress.items, records)).await?;
        let subscriptions = match self.subscriptions(|_| ()).await {
            Err(trouble) if !trouble.shuts_the_account() => {
                // they are named as skipped, and nothing else hangs on them
                tracing::warn!(%trouble, "a unit's subscriptions can't be read, and are not named");
                vec![]
            }
            read => read?,
        };
        let since = asked.since.clone().filter(|_| !asked.is_full);
        let is_delta = since.is_some();
        let told = |records| count(&progress.seats, records);
        let wanted = AssignmentsAsked { since_version: since, ..AssignmentsAsked::default() };
        let (assignments, is_complete) = match self.assignments(&wanted, told).await {
            Ok(listed) => (listed, !is_delta),
            // the version is too old: the whole list says more
            Err(ListTrouble::StaleVersion) => (self.assignments(&AssignmentsAsked::default(), told).await?, true),
            Err(ListTrouble::Trouble(trouble)) => return Err(trouble),
        };
        let unit = self.unit_id().ok_or_else(|| Trouble::Malformed("no answer names the unit".into()))?;
        let mut pass = pass_of(&unit, &self.settings().names, assets, assignments, is_complete);
        pass.unsupported.extend(subscriptions.iter().map(|it| skipped(&unit, it)));
        Ok(pass)
    }
}

fn pass_of(
    unit: &str,
    names: &BTreeMap<String, String>,
    assets: Listed<Asset>,
    assignments: Listed<Assignment>,
    is_complete: bool,
) -> Pass {
    let pages = assets.pages.saturating_add(assignments.pages);
    // of two readings of one asset the later counts
    let assets: BTreeMap<AssetKey, Asset> =
        assets.records.into_iter().map(|asset| (asset.key.clone(), asset)).collect();
    let (mut items, mut unsupported) = (vec![], vec![]);
    for asset in assets.values() {
        let key = pool_key(unit, &asset.key);
        match kind(&asset.product_type) {
            Some(kind) => items.push(item(key, kind, asset, names)),
            None => unsupported.push((key, asset.product_type.chars().take(TYPE_CHARS_MAX).collect())),
        }
    }
    let is_taken = |key: &AssetKey| assets.get(key).is_some_and(|asset| kind(&asset.product_type).is_some());
    let seats: BTreeSet<(AssetKey, StoreHolder)> = assignments
        .records
        .into_iter()
        .filter(|assignment| is_taken(&assignment.key))
        .filter_map(|assignment| holder(&assignment).map(|holder| (assignment.key, holder)))
        .collect();
    let seats = seats.into_iter().map(|(key, holder)| SeatAtStore { pool: pool_key(unit, &key), holder, since: None });
    let undescribed = BTreeSet::new();
    Pass { items, unsupported, undescribed, seats: seats.collect(), pages, is_complete, next: assignments.version }
}

pub(super) fn pool_key(unit: &str, key: &AssetKey) -> PoolKey {
    PoolKey::Apple { unit_id: unit.to_owned(), adam_id: key.adam_id.clone(), pricing_param: key.pricing_param.clone() }
}

/// Exactly one of the two; what names neither or both is no seat.
pub(super) fn holder(assignment: &Assignment) -> Option<StoreHolder> {
    match (&assignment.client_user_id, &assignment.serial_number) {
        (Some(user), None) => Some(StoreHolder::User(user.clone())),
        (None, Some(serial)) => Some(StoreHolder::Device(serial.clone())),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn kind(product_type: &str) -> Option<Kind> {
    if product_type.eq_ignore_ascii_case("book") {
        Some(Kind::Book)
    } else if product_type.eq_ignore_ascii_case("app") || product_type.is_empty() {
        Some(Kind::App)
    } else {
        None
    }
}

fn item(key: PoolKey, kind: Kind, asset: &Asset, names: &BTreeMap<String, String>) -> InventoryItem {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let owned = if asset.total_count == UNLIMITED {
        Owned::Unlimited
    } else {
        Owned::Count(count(asset.total_count.saturating_sub(asset.retired_count.max(0))))
    };
    let is_irrevocable = kind == Kind::Book || asset.revocable == Some(false);
    let held_by = if kind == Kind::App && asset.device_assignable { HeldBy::UserOrDevice } else { HeldBy::User };
    let adam_id = &asset.key.adam_id;
    InventoryItem {
        key,
        details: PoolDetails {
            license_type: LicenseType::Online,
            installed_by: InstalledBy::Store,
            held_by,
            is_confirmed_by_provider: true,
            is_irrevocable,
            requires_windows_1511: false,
            requires_eligible_device: true,
            on_uninstall: KeepOrRelease::Keep,
            related_set: None,
        },
        name: names.get(adam_id).unwrap_or(adam_id).clone(),
        publisher: None,
        owned,
        distribution_policy: DistributionPolicy::Restricted,
        price: None,
        is_encrypted: false,
        packages: vec![],
        is_private_store_visible: true,
        ends_on: None,
        store_used: Some(count(asset.assigned_count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn listed<R: serde::de::DeserializeOwned>(records: Value) -> Listed<R> {
        Listed { records: serde_json::from_value(records).expect("records"), pages: 1, version: Some("v1".into()) }
    }

    fn pass(assets: Value, assignments: Value) -> Pass {
        let names = BTreeMap::from([("2".to_owned(), "Pages".to_owned())]);
        pass_of("unit", &names, listed(assets), listed(assignments), true)
    }

    #[test]
    fn figures_and_kinds_become_what_the_ledger_counts() {
        let read = pass(
            json!([
                {"adamId": "1", "pricingParam": "STDQ", "productType": "App", "totalCount": 10, "retiredCount": 3,
                 "assignedCount": 4, "deviceAssignable": true, "revocable": true},
                {"adamId": "2", "productType": "app", "totalCount": 2_147_483_647, "revocable": true},
                {"adamId": "2", "pricingParam": "PLUS", "productType": "App", "totalCount": 1, "revocable": false,
                 "deviceAssignable": true},
                {"adamId": "3", "productType": "Book", "totalCount": 5, "deviceAssignable": true, "revocable": true},
                {"adamId": "4", "productType": "Film", "totalCount": 1},
                {"adamId": "5", "productType": "App", "totalCount": 2, "retiredCount": 9},
            ]),
            json!([]),
        );
        let rows: Vec<_> = read
            .items
            .iter()
            .map(|item| {
                let details = &item.details;
                (item.key.to_string(), item.name.as_str(), item.owned, details.is_irrevocable, details.held_by)
            })
            .collect();
        use HeldBy::{User, UserOrDevice};
        let row = |key: &str, name, owned, fixed, held_by| (key.to_owned(), name, owned, fixed, held_by);
        let expected = [
            row("apple:unit:1:STDQ", "1", Owned::Count(7), false, UserOrDevice),
            row("apple:unit:2:PLUS", "Pages", Owned::Count(1), true, UserOrDevice),
            row("apple:unit:2:STDQ", "Pages", Owned::Unlimited, false, User),
            row("apple:unit:3:STDQ", "3", Owned::Count(5), true, User),
            row("apple:unit:5:STDQ", "5", Owned::Count(0), false, User),
        ];
        assert_eq!(rows, expected);
        let film = PoolKey::Apple { unit_id: "unit".into(), adam_id: "4".into(), pricing_param: "STDQ".into() };
        assert_eq!(read.unsupported, [(film, "Film".to_owned())]);
        assert_eq!((read.items[0].store_used, read.next.as_deref(), read.pages), (Some(4), Some("v1"), 2));
    }

    #[test]
    fn a_seat_that_pages_show_twice_is_one_and_what_names_nobody_is_none() {
        let read = pass(
            json!([{"adamId": "1", "totalCount": 10}, {"adamId": "1", "totalCount": 11}]),
            json!([
                {"adamId": "1", "clientUserId": "ada"},
                {"adamId": 1, "pricingParam": "STDQ", "clientUserId": "ada"},
                {"adamId": "1", "serialNumber": "C02"},
                {"adamId": "1"},
                {"adamId": "9", "clientUserId": "ada"},
            ]),
        );
        let holders: Vec<_> = read.seats.iter().map(|seat| seat.holder.clone()).collect();
        assert_eq!(holders, [StoreHolder::User("ada".into()), StoreHolder::Device("C02".into())]);
        assert_eq!(read.items.iter().map(|item| item.owned).collect::<Vec<_>>(), [Owned::Count(11)]);
    }
}

//! Get Inventory.

use super::super::Inside;
use super::super::market::{Entry, EntryKey, ProductKey};
use super::super::paging::{Drift, List};
use super::super::query::{self, InventoryAsked};
use super::{written_key, written_time};
use crate::domain::facts::DistributionPolicy;
use crate::domain::key::LicenseType;
use crate::store::simulator::faults::Fault;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

const OPERATION: &str = "inventory";

pub(super) async fn list(State(inside): State<Arc<Inside>>, headers: HeaderMap, uri: Uri) -> Response {
    let call = |_tool: &str| {
        let asked = query::inventory(&uri)?;
        let what = format!(
            "inventory {:?} {} {} {}",
            asked.modified_since, asked.has_online, asked.has_offline, asked.has_removed
        );
        let list = List { seed: inside.seed, what: &what };
        let last = list.last(asked.page.token.as_deref())?.and_then(|text| key(&text));
        let faults = &inside.switches.faults;
        let drift = Drift::draw(faults, OPERATION, last.is_none());
        let is_stale = faults.strikes(OPERATION, Fault::StaleFigures);
        let market = inside.market.lock();
        let line = |(key, entry): (&EntryKey, &Entry)| (key.to_string(), written(key, entry, is_stale));
        let behind = market.entries_after(last.as_ref()).filter(|(key, entry)| is_asked(&asked, key, entry)).map(line);
        let before = last.as_ref().and_then(|last| market.entry(last).map(|entry| line((last, entry))));
        let page = list.page(inside.page_size(asked.page.size), behind, before, drift);
        Ok(super::with(json!({"inventoryEntries": page.things}), "continuationToken", page.token))
    };
    inside.answer(OPERATION, &headers, call).await
}

fn is_asked(asked: &InventoryAsked, key: &EntryKey, entry: &Entry) -> bool {
    let has_type = match key.license_type {
        LicenseType::Online => asked.has_online,
        LicenseType::Offline => asked.has_offline,
    };
    let is_new = asked.modified_since.is_none_or(|since| entry.last_modified >= since);
    has_type && is_new && !entry.is_purged && (asked.has_removed || !entry.is_removed)
}

fn written(key: &EntryKey, entry: &Entry, is_stale: bool) -> Value {
    json!({
        "productKey": written_key(&key.product),
        "seatCapacity": entry.capacity,
        "availableSeats": entry.available(is_stale),
        "lastModified": written_time(entry.last_modified),
        "licenseType": match key.license_type {
            LicenseType::Online => "Online",
            LicenseType::Offline => "Offline",
        },
        "distributionPolicy": match entry.policy {
            DistributionPolicy::Open => "Open",
            DistributionPolicy::Restricted => "Restricted",
        },
        "status": if entry.is_removed { "Removed" } else { "Active" },
    })
}

/// As a continuation token names a line.
impl std::fmt::Display for EntryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.license_type {
            LicenseType::Online => "online",
            LicenseType::Offline => "offline",
        };
        write!(f, "{}/{kind}", self.product)
    }
}

pub(super) fn key(text: &str) -> Option<EntryKey> {
    let (rest, kind) = text.rsplit_once('/')?;
    let (product_id, sku_id) = rest.split_once('/')?;
    let license_type = if kind == "online" { LicenseType::Online } else { LicenseType::Offline };
    Some(EntryKey { product: ProductKey { product_id: product_id.into(), sku_id: sku_id.into() }, license_type })
}

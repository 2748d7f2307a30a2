//! Which pools a declared inventory changed, as its sync's own events have it. What can be read of pools does not have all that an
//! inventory can change of them.

use crate::cli::client::{CallError, Client, encode};
use serde_json::Value;
use std::collections::BTreeSet;

/// What an item can change of a pool; what becomes of seats follows from it.
const TYPES: [&str; 10] = [
    "pool_listed",
    "pool_relisted",
    "pool_delisted",
    "pool_details_changed",
    "pool_named",
    "packages_listed",
    "private_store_visibility_changed",
    "entitlement_dated",
    "capacity_changed",
    "distribution_policy_changed",
];

/// An inventory that was taken: its sync, and the ids of the pools that it changed.
pub(crate) struct Taken {
    pub(crate) sync: Value,
    pub(crate) changed: BTreeSet<String>,
}

/// The sync that an inventory was; `answer` is that of `POST /inventory`, `tenant` the path of the tenant.
pub(crate) async fn sync_of(client: &Client, tenant: &str, answer: &Value) -> Result<Value, CallError> {
    let sync = answer.get("sync").and_then(Value::as_str);
    let sync = sync.ok_or_else(|| CallError::Unreadable("POST /inventory named no sync".into()))?;
    client.get(&format!("{tenant}/syncs/{}", encode(sync))).await
}

/// `answer` is that of `POST /inventory`, `tenant` the path of the tenant.
pub(crate) async fn taken(client: &Client, tenant: &str, answer: &Value) -> Result<Taken, CallError> {
    let sync = sync_of(client, tenant, answer).await?;
    let position = |name: &str| sync.get(name).and_then(Value::as_u64);
    let (Some(from), Some(to)) = (position("started_position"), position("ended_position")) else {
        return Err(CallError::Unreadable("a declared inventory was taken, and its sync has not ended".into()));
    };
    let events = client.list(&format!("{tenant}/events?from={from}&to={to}&type={}", TYPES.join(","))).await?;
    let pool = |event: &Value| event.pointer("/data/pool").and_then(Value::as_str).map(str::to_owned);
    let changed = events.iter().filter_map(pool).collect();
    Ok(Taken { sync, changed })
}

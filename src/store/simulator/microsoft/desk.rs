//! The back door, below `/simulator/`: the order desk, the directory, what other tools do, and what a test wants to see. It
//! speaks JSON in names of ours, asks for no token and never fails by a fault. Not here: what any of it means (`market`).

use super::Inside;
use super::api::Casing;
use super::gate::Tool;
use super::market::{DeskRefusal, EntryKey, ModifiedBy, Product, ProductKey, Purchase, SeatRefusal, SeatShown};
use crate::domain::facts::DistributionPolicy;
use crate::domain::key::LicenseType;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const USERS_MAX: usize = 20_000;
const ENTRIES_MAX: usize = 10_000;

type Inner = State<Arc<Inside>>;

pub(super) fn router(inside: Arc<Inside>) -> Router {
    Router::new()
        .route("/simulator/products", post(sell))
        .route("/simulator/purchases", post(purchase))
        .route("/simulator/refunds", post(refund))
        .route("/simulator/orders", get(orders))
        .route("/simulator/inventory", get(inventory).post(change))
        .route("/simulator/users", post(hire))
        .route("/simulator/users/rename", post(rename))
        .route("/simulator/users/delete", post(delete))
        .route("/simulator/seats", get(seats))
        .route("/simulator/seats/assign", post(assign))
        .route("/simulator/seats/reclaim", post(reclaim))
        .route("/simulator/journal", get(journal))
        .route("/simulator/tools", post(register))
        .route("/simulator/tools/activation", post(activate))
        .route("/simulator/tokens/expire", post(expire))
        .route("/simulator/tokens/lifetime", post(lifetime))
        .route("/simulator/answers", post(answers))
        .with_state(inside)
}

impl IntoResponse for DeskRefusal {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::NameTaken | Self::AlreadyRefunded | Self::SeatsAssigned { .. } | Self::TooLate => {
                StatusCode::CONFLICT
            }
        };
        (status, Json(json!({"reason": self.to_string()}))).into_response()
    }
}

fn done(outcome: Result<(), DeskRefusal>) -> Response {
    outcome.map_or_else(DeskRefusal::into_response, |()| StatusCode::NO_CONTENT.into_response())
}

fn made<T: Serialize>(outcome: Result<T, DeskRefusal>) -> Response {
    outcome.map_or_else(DeskRefusal::into_response, |made| (StatusCode::CREATED, Json(made)).into_response())
}

async fn sell(State(inside): Inner, Json(product): Json<Product>) -> Response {
    done(inside.market.lock().sell(product))
}

async fn purchase(State(inside): Inner, Json(purchase): Json<Purchase>) -> Response {
    made(inside.market.lock().purchase(purchase))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refund {
    order: String,
}

async fn refund(State(inside): Inner, Json(refund): Json<Refund>) -> Response {
    made(inside.market.lock().refund(&refund.order))
}

async fn orders(State(inside): Inner) -> Response {
    Json(json!({"orders": inside.market.lock().orders()})).into_response()
}

/// A line, and what is to become of it; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineChange {
    product_id: String,
    sku_id: String,
    license_type: LicenseType,
    capacity: Option<i64>,
    distribution_policy: Option<DistributionPolicy>,
    removed: Option<Removal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Removal {
    /// Listed as removed to who asks for such.
    Listed,
    /// In no list at all.
    Purged,
}

async fn change(State(inside): Inner, Json(change): Json<LineChange>) -> Response {
    let LineChange { product_id, sku_id, license_type, capacity, distribution_policy, removed } = change;
    let key = EntryKey { product: ProductKey { product_id, sku_id }, license_type };
    let mut market = inside.market.lock();
    let capacity = capacity.map_or(Ok(()), |capacity| market.adjust(&key, capacity));
    let policy =
        capacity.and_then(|()| distribution_policy.map_or(Ok(()), |policy| market.change_policy(&key, policy)));
    done(policy.and_then(|()| match removed {
        Some(Removal::Listed) => market.remove(&key, false),
        Some(Removal::Purged) => market.remove(&key, true),
        None => Ok(()),
    }))
}

async fn inventory(State(inside): Inner) -> Response {
    let market = inside.market.lock();
    let line = |(key, entry): (&EntryKey, &super::market::Entry)| {
        json!({
            "product_id": key.product.product_id, "sku_id": key.product.sku_id, "license_type": key.license_type,
            "capacity": entry.capacity, "used": entry.used(), "distribution_policy": entry.policy,
            "is_removed": entry.is_removed, "is_purged": entry.is_purged, "last_modified": entry.last_modified,
        })
    };
    Json(json!({"lines": market.entries_after(None).map(line).collect::<Vec<_>>()})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hire {
    users: Vec<String>,
    /// The store knows them only after so long.
    #[serde(default)]
    lag_seconds: u64,
}

async fn hire(State(inside): Inner, Json(hire): Json<Hire>) -> Response {
    if hire.users.len() > USERS_MAX {
        return DeskRefusal::Wrong("at most 20,000 users at once").into_response();
    }
    let (mut market, lag) = (inside.market.lock(), Duration::from_secs(hire.lag_seconds));
    done(hire.users.iter().try_for_each(|upn| market.hire(upn, lag)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rename {
    from: String,
    to: String,
}

async fn rename(State(inside): Inner, Json(rename): Json<Rename>) -> Response {
    done(inside.market.lock().rename(&rename.from, &rename.to))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    upn: String,
    #[serde(default)]
    keeps_seats: bool,
}

async fn delete(State(inside): Inner, Json(delete): Json<Delete>) -> Response {
    done(inside.market.lock().delete(&delete.upn, delete.keeps_seats))
}

/// What another tool does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatAct {
    tool: String,
    product_id: String,
    sku_id: String,
    upn: String,
}

async fn assign(State(inside): Inner, Json(act): Json<SeatAct>) -> Response {
    let key = ProductKey { product_id: act.product_id, sku_id: act.sku_id };
    seat(inside.market.lock().assign(&act.tool, &key, &act.upn))
}

async fn reclaim(State(inside): Inner, Json(act): Json<SeatAct>) -> Response {
    let key = ProductKey { product_id: act.product_id, sku_id: act.sku_id };
    seat(inside.market.lock().reclaim(&act.tool, &key, &act.upn))
}

fn seat(outcome: Result<SeatShown, SeatRefusal>) -> Response {
    match outcome {
        Ok(seat) => Json(seat).into_response(),
        Err(refusal) => (StatusCode::CONFLICT, Json(json!({"reason": refusal.to_string()}))).into_response(),
    }
}

/// Every seat there is, so that a ledger can be compared with it seat by seat.
async fn seats(State(inside): Inner) -> Response {
    let seats = inside.market.lock().all_seats();
    Json(json!({"seats": seats})).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    #[serde(default)]
    from: u64,
}

async fn journal(State(inside): Inner, Query(From { from }): Query<From>) -> Response {
    let market = inside.market.lock();
    let journal = market.journal();
    Json(json!({"written": journal.written(), "entries": journal.from(from, ENTRIES_MAX)})).into_response()
}

async fn register(State(inside): Inner, Json(tool): Json<Tool>) -> Response {
    let is_in = inside.gate.lock().register(tool);
    done(if is_in { Ok(()) } else { Err(DeskRefusal::Full("tools")) })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Activation {
    client_id: String,
    is_active: bool,
}

async fn activate(State(inside): Inner, Json(wanted): Json<Activation>) -> Response {
    let is_known = inside.gate.lock().activate(&wanted.client_id, wanted.is_active);
    done(if is_known { Ok(()) } else { Err(DeskRefusal::NotFound("tool")) })
}

async fn expire(State(inside): Inner) -> Response {
    let now = inside.switches.clock.now();
    inside.gate.lock().expire_tokens(now);
    StatusCode::NO_CONTENT.into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifetime {
    seconds: u64,
}

async fn lifetime(State(inside): Inner, Json(lifetime): Json<Lifetime>) -> Response {
    inside.gate.lock().set_lifetime(Duration::from_secs(lifetime.seconds));
    StatusCode::NO_CONTENT.into_response()
}

/// How the store answers where its documents contradict each other; what is left out stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    casing: Option<Casing>,
    modified_by: Option<ModifiedBy>,
}

async fn answers(State(inside): Inner, Json(answers): Json<Answers>) -> Response {
    if let Some(casing) = answers.casing {
        *inside.casing.lock() = casing;
    }
    if let Some(modified_by) = answers.modified_by {
        inside.market.lock().follow(modified_by);
    }
    StatusCode::NO_CONTENT.into_response()
}

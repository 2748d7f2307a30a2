//! The desk over HTTP, below `/simulator`: orders in, and dumps that a test compares with. Not here: what an order does.

use super::desk::{self, Order};
use super::{NoticeCounts, Shared};
use crate::store::simulator::journal::Entry;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type World = State<Arc<Shared>>;

/// Of the journal in one answer.
const ENTRIES_MAX: usize = 100_000;

/// `POST /simulator/orders`, `GET /simulator/units`, `/units/{uid}/assets`, `/units/{uid}/assignments`, `/journal?from=`,
/// `/notifications`.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/simulator/orders", post(order))
        .route("/simulator/units", get(units))
        .route("/simulator/units/{uid}/assets", get(assets))
        .route("/simulator/units/{uid}/assignments", get(assignments))
        .route("/simulator/journal", get(journal))
        .route("/simulator/notifications", get(notifications))
}

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    from: u64,
}

#[derive(Serialize)]
struct JournalSeen {
    written: u64,
    entries: Vec<Entry>,
}

fn answer<T: Serialize>(said: Result<T, String>, otherwise: StatusCode) -> Response {
    match said {
        Ok(said) => Json(said).into_response(),
        Err(why) => (otherwise, why).into_response(),
    }
}

async fn order(State(shared): World, Json(order): Json<Order>) -> Response {
    answer(desk::place(&shared, order), StatusCode::BAD_REQUEST)
}

async fn units(State(shared): World) -> Response {
    Json(desk::units(&shared)).into_response()
}

async fn assets(State(shared): World, Path(uid): Path<String>) -> Response {
    answer(desk::assets(&shared, &uid), StatusCode::NOT_FOUND)
}

async fn assignments(State(shared): World, Path(uid): Path<String>) -> Response {
    answer(desk::assignments(&shared, &uid), StatusCode::NOT_FOUND)
}

async fn journal(State(shared): World, Query(From { from }): Query<From>) -> Response {
    let world = shared.locked();
    let entries = world.journal.from(from, ENTRIES_MAX);
    Json(JournalSeen { written: world.journal.written(), entries }).into_response()
}

async fn notifications(State(shared): World) -> Json<NoticeCounts> {
    Json(shared.locked().outbox.counts())
}

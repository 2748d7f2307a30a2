//! Servers that speak as the stores really do, for demos and tests: strict in what they take, and as unreliable as they are
//! told to be.
//!
//! Here: what the simulators of all stores share - the listener that can cut a connection (`listener`), faults by a seed and
//! by switches (`faults`), a clock that can be advanced (`clock`), the journal of grants (`journal`), and the switches of
//! these over HTTP. Not here: our own clients; a simulator is written from the protocol and knows nothing of them.

pub mod apple;
pub mod clock;
pub mod faults;
pub mod journal;
pub mod listener;
pub mod microsoft;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clock::SimulatorClock;
use faults::{Fault, FaultRates, Faults, Shot};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Of a request's body, in any simulator.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Years that a clock is advanced by at once.
const ADVANCE_SECONDS_MAX: u64 = 10 * 366 * 86_400;

/// What every simulator can be told while it runs.
#[derive(Clone)]
pub struct Switches {
    pub faults: Arc<Faults>,
    pub clock: SimulatorClock,
}

/// `PUT /simulator/faults`: `{"seed": 7, "per_mille": {"cut-after": 20}}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsWanted {
    seed: Option<u64>,
    #[serde(default)]
    per_mille: FaultRates,
}

#[derive(Debug, Serialize)]
struct FaultsSeen {
    per_mille: FaultRates,
    /// How often each has struck since the start.
    struck: std::collections::BTreeMap<Fault, u64>,
    waiting: Vec<Shot>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

impl Switches {
    /// The switches over HTTP: `GET`, `PUT` and `DELETE /simulator/faults`, `POST /simulator/faults/next`,
    /// `GET /simulator/clock`, `POST /simulator/clock/advance`. They never fail by a fault.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/simulator/faults", get(seen).put(rates).delete(off))
            .route("/simulator/faults/next", post(next))
            .route("/simulator/clock", get(now))
            .route("/simulator/clock/advance", post(advance))
            .with_state(self.clone())
    }
}

async fn seen(State(switches): State<Switches>) -> Response {
    let faults = &switches.faults;
    let seen = FaultsSeen { per_mille: faults.rates(), struck: faults.struck(), waiting: faults.waiting() };
    axum::Json(seen).into_response()
}

async fn rates(State(switches): State<Switches>, axum::Json(wanted): axum::Json<FaultsWanted>) -> StatusCode {
    switches.faults.set(wanted.seed, wanted.per_mille);
    StatusCode::NO_CONTENT
}

async fn off(State(switches): State<Switches>) -> StatusCode {
    switches.faults.off();
    StatusCode::NO_CONTENT
}

async fn next(State(switches): State<Switches>, axum::Json(shot): axum::Json<Shot>) -> Response {
    match switches.faults.next(shot) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => (StatusCode::BAD_REQUEST, why).into_response(),
    }
}

async fn now(State(switches): State<Switches>) -> Response {
    axum::Json(serde_json::json!({ "now": switches.clock.now() })).into_response()
}

async fn advance(State(switches): State<Switches>, axum::Json(by): axum::Json<Advance>) -> Response {
    if by.seconds > ADVANCE_SECONDS_MAX {
        return (StatusCode::BAD_REQUEST, format!("at most {ADVANCE_SECONDS_MAX} seconds at once")).into_response();
    }
    let now = switches.clock.advance(Duration::from_secs(by.seconds));
    axum::Json(serde_json::json!({ "now": now })).into_response()
}

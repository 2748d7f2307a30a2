//! What HTTP alone costs here: an axum handler that parses the same JSON and answers as much, in a process of its own.

use super::super::exit::{Failure, Finished};
use super::super::output;
use axum::Router;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;

#[derive(Deserialize)]
struct Assign {
    pool: String,
    target: Target,
    intent: String,
}

#[derive(Deserialize)]
struct Target {
    user: String,
}

async fn noop(headers: HeaderMap, axum::Json(assign): axum::Json<Assign>) -> Response {
    let is_known = headers.contains_key("authorization");
    let size = assign.pool.len() + assign.target.user.len() + assign.intent.len();
    let body = format!(
        "{{\"assignment\":\"assignment_{size}\",\"position\":{size},\"queued\":0,\"reserved\":1,\"skipped\":[],\"status\":\"{is_known}\"}}"
    );
    ([("content-type", "application/json"), ("seatledger-position", "1")], body).into_response()
}

/// Serves until it is killed.
pub(super) async fn serve() -> Result<Finished, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.map_err(|error| Failure::File(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| Failure::File(error.to_string()))?;
    output::line(&format!("listening on http://{address}"))?;
    let router = Router::new().route("/noop", post(noop));
    axum::serve(listener, router).await.map_err(|error| Failure::File(error.to_string()))?;
    Ok(Finished::Well)
}

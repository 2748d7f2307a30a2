//! What stands around every call: its id, the time that it may take, and what is said when it breaks. One layer, because
//! each costs every call. Not here: who asks, and what for.

use super::problem::Problem;
use super::request_id::{self, Source};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// What all calls share.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) ids: Source,
    /// What streams is through with its head by then.
    pub(super) request_max: Duration,
}

pub(super) async fn frame(State(frame): State<Frame>, request: Request, next: Next) -> Response {
    let id = frame.ids.id_of(&request);
    let id_header = HeaderValue::from_str(&id);
    let mut response = request_id::under(id, answer(frame.request_max, request, next)).await;
    let headers = response.headers_mut();
    if let Ok(id) = id_header {
        headers.insert(request_id::HEADER, id);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
    response
}

async fn answer(request_max: Duration, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(request_max, next.run(request));
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::new("request-too-slow", "the call did not end within its time").into_response(),
        Err(_) => Problem::internal(&"a handler panicked").into_response(),
    }
}

//! What stands around every call: its id, the time that it may take, and what is said when it breaks. One layer, because
//! each costs every call. Not here: who asks, and what for.

use super::alarm::{Alarm, Until};
use super::listener::Answer;
use super::problem::Problem;
use super::request_id::{self, RequestId, Source};
use crate::clock::monotonic;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use futures::future::{Either, select};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

/// What all calls share.
pub(super) struct Frame {
    pub(super) ids: Source,
    /// What streams is through with its head by then.
    pub(super) request_max: Duration,
}

impl Frame {
    /// What the client sent, or a new one.
    pub(super) fn id_of(&self, headers: &HeaderMap) -> RequestId {
        self.ids.id_of(headers)
    }

    /// The answer to a request of this id.
    pub(super) async fn around(
        &self,
        id: RequestId,
        alarm: &Alarm,
        answer: Pin<&mut impl Future<Output = Answer>>,
    ) -> Answer {
        let end = alarm.until(monotonic() + self.request_max);
        let mut response = request_id::under(id, within(end, answer)).await;
        let is_unavailable = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(id.as_str()) {
            headers.insert(request_id::HEADER, id);
        }
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if is_unavailable {
            headers.entry(header::RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
        }
        Ok(response)
    }
}

async fn within(end: Until, answer: Pin<&mut impl Future<Output = Answer>>) -> Response {
    match select(AssertUnwindSafe(answer).catch_unwind(), end).await {
        Either::Left((Ok(Ok(response)), _)) => response,
        Either::Left((Ok(Err(never)), _)) => match never {},
        Either::Left((Err(_), _)) => Problem::internal(&"a handler panicked").into_response(),
        Either::Right(((), _)) => {
            Problem::new("request-too-slow", "the call did not end within its time").into_response()
        }
    }
}

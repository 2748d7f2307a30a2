//! What stands around every call: its id, the time that it may take, and what is said when it breaks. One layer, because
//! each costs every call. Not here: who asks, and what for.

use super::alarm::{Alarm, Until};
use super::arrival::Arrival;
use super::inputs;
use super::listener::Answer;
use super::problem::Problem;
use super::reply::Reply;
use super::request_id::{self, RequestId, Source};
use crate::clock::monotonic;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
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
    pub(super) fn id_of(&self, sent: Option<&[u8]>) -> RequestId {
        self.ids.id_of(sent)
    }

    /// The answer to a request of this id, without what is put on it outside (`straight/written.rs`).
    pub(super) fn around_straight(
        &self,
        id: RequestId,
        end: Until,
        answer: Pin<&mut impl Future<Output = Result<Reply, Problem>>>,
    ) -> impl Future<Output = Reply> {
        request_id::under(id, async {
            match within(end, answer, too_slow).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(problem)) | Err(problem) => problem.into_reply(),
            }
        })
    }

    /// The answer to a request of this id, whose body arrives meanwhile.
    pub(super) async fn around(
        &self,
        id: RequestId,
        arrival: &Arrival,
        alarm: &Alarm,
        answer: Pin<&mut impl Future<Output = Answer>>,
    ) -> Answer {
        let end = alarm.until(monotonic() + self.request_max);
        let late = || if arrival.is_awaited() { inputs::too_late() } else { too_slow() };
        let answered = request_id::under(id, async {
            match within(end, answer, late).await {
                Ok(answered) => answered,
                Err(problem) => Ok(problem.into_response()),
            }
        });
        let Ok(mut response) = answered.await;
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

/// What comes of it by then, or what is said when it is too late.
async fn within<T>(
    end: Until,
    answer: Pin<&mut impl Future<Output = T>>,
    late: impl FnOnce() -> Problem,
) -> Result<T, Problem> {
    match select(AssertUnwindSafe(answer).catch_unwind(), end).await {
        Either::Left((Ok(answered), _)) => Ok(answered),
        Either::Left((Err(_), _)) => Err(Problem::internal(&"a handler panicked")),
        Either::Right(((), _)) => Err(late()),
    }
}

fn too_slow() -> Problem {
    Problem::new("request-too-slow", "the call did not end within its time")
}

//! One id per request: taken from the client where it sends a sane one, made here otherwise; in the answer, in every
//! problem and in every line that the request leaves in the log.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::Instrument;

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers.
pub(super) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Where ids of this process begin, so that two starts do not share one.
#[derive(Clone)]
pub(super) struct Source(std::sync::Arc<(u64, AtomicU64)>);

impl Source {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids of two starts may meet; they are for reading, not for trust.
        let _unseeded = getrandom::fill(&mut seed);
        Self(std::sync::Arc::new((u64::from_le_bytes(seed) >> 16, AtomicU64::new(0))))
    }

    fn next(&self) -> String {
        format!("{:012x}-{}", self.0.0, self.0.1.fetch_add(1, Ordering::Relaxed))
    }
}

fn is_sane(text: &str) -> bool {
    (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

pub(super) async fn layer(
    axum::extract::State(source): axum::extract::State<Source>,
    request: Request,
    next: Next,
) -> Response {
    let sent = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_sane(text));
    let id = sent.map_or_else(|| source.next(), str::to_owned);
    let span = tracing::info_span!("request", request_id = %id);
    let header = HeaderValue::from_str(&id);
    let mut response = CURRENT.scope(id, next.run(request)).instrument(span).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

//! One id per request: taken from the client where it sends a sane one, made here otherwise; in the answer, in every
//! problem and in every line that the request leaves in the log.

use axum::extract::Request;
use axum::http::HeaderName;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers.
#[must_use]
pub fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Answers under this id.
pub(super) fn under<F: Future>(id: String, answer: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(id, answer)
}

/// Where ids of this process begin, so that two starts do not share one.
#[derive(Clone)]
pub(super) struct Source(std::sync::Arc<(String, AtomicU64)>);

impl Source {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids of two starts may meet; they are for reading, not for trust.
        let _unseeded = getrandom::fill(&mut seed);
        let start = format!("{:012x}-", u64::from_le_bytes(seed) >> 16);
        Self(std::sync::Arc::new((start, AtomicU64::new(0))))
    }

    /// What the client sent, or a new one.
    pub(super) fn id_of(&self, request: &Request) -> String {
        let sent = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).filter(|text| is_sane(text));
        sent.map_or_else(|| self.next(), str::to_owned)
    }

    fn next(&self) -> String {
        let (start, next) = &*self.0;
        let mut id = String::with_capacity(LENGTH_MAX);
        id.push_str(start);
        let number = next.fetch_add(1, Ordering::Relaxed);
        write!(id, "{number}").expect("a string takes all of it");
        id
    }
}

fn is_sane(text: &str) -> bool {
    (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

//! One id per request: taken from the client where it sends a sane one, made here otherwise; in the answer, in every
//! problem and in every line that the request leaves in the log.

use axum::http::HeaderName;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// As text of at most 64 plain characters, held where it is: every request has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestId {
    bytes: [u8; LENGTH_MAX],
    length: usize,
}

impl RequestId {
    pub(super) fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// What is longer is cut off.
    fn written(write: impl FnOnce(&mut &mut [u8])) -> Self {
        let mut bytes = [0; LENGTH_MAX];
        let mut rest = bytes.as_mut_slice();
        write(&mut rest);
        let length = LENGTH_MAX - rest.len();
        Self { bytes, length }
    }
}

/// The id of the request that this task answers.
#[must_use]
pub fn current() -> Option<String> {
    CURRENT.try_with(|id| id.as_str().to_owned()).ok()
}

/// The same without a copy; nothing at all where there is no request.
pub(super) fn with_current<R>(with: impl FnOnce(&str) -> R) -> R {
    let id = CURRENT.try_with(|id| *id).ok();
    with(id.as_ref().map_or("", RequestId::as_str))
}

/// Answers under this id.
pub(super) fn under<F: Future>(id: RequestId, answer: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(id, answer)
}

/// Says something under this id.
pub(super) fn now<R>(id: RequestId, say: impl FnOnce() -> R) -> R {
    CURRENT.sync_scope(id, say)
}

/// Answers under the id of the request that this task answers, on whatever other task.
pub(super) fn carried<F: Future>(answer: F) -> impl Future<Output = F::Output> {
    let id = CURRENT.try_with(|id| *id).ok();
    async move {
        match id {
            Some(id) => under(id, answer).await,
            None => answer.await,
        }
    }
}

/// Where ids of this process begin, so that two starts do not share one.
pub(super) struct Source {
    start: String,
    next: AtomicU64,
}

impl Source {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Without randomness ids of two starts may meet; they are for reading, not for trust.
        let _unseeded = getrandom::fill(&mut seed);
        Self { start: format!("{:012x}-", u64::from_le_bytes(seed) >> 16), next: AtomicU64::new(0) }
    }

    /// What the client sent, or a new one.
    pub(super) fn id_of(&self, sent: Option<&[u8]>) -> RequestId {
        let sent = sent.filter(|text| is_sane(text));
        let number = || self.next.fetch_add(1, Ordering::Relaxed);
        RequestId::written(|out| {
            let written = match sent {
                Some(sent) => out.write_all(sent),
                None => write!(out, "{}{}", self.start, number()),
            };
            written.expect("both are shorter than the longest id");
        })
    }
}

fn is_sane(text: &[u8]) -> bool {
    (1..=LENGTH_MAX).contains(&text.len()) && text.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(b))
}

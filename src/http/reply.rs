//! An answer that is whole: what the calls that come by the thousand answer with, and every problem. It becomes a response of
//! the library, or is written to a connection as it is (`straight/`). Not here: what stands around every answer (`frame.rs`).

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

pub(super) const POSITION: HeaderName = HeaderName::from_static("seatledger-position");
/// Stands on an answer that was given before: the command was judged then, and is not done twice.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
pub(super) const JSON: &str = "application/json";
pub(super) const PROBLEM: &str = "application/problem+json";
/// Tells a caller without a good token what is asked for.
pub(super) const BEARER: &str = "Bearer realm=\"seatledger\"";
/// What an answer has of headers, with what the frame and the connection put there.
const HEADERS_GUESS: usize = 8;

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) position: Option<u64>,
    pub(super) content_type: &'static str,
    pub(super) etag: Option<u64>,
    pub(super) is_repeat: bool,
    pub(super) retry_after_s: Option<u64>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// JSON that speaks of a position.
    pub(super) fn at(status: StatusCode, position: u64, body: Vec<u8>) -> Self {
        Self::of(status, Some(position), JSON, body)
    }

    pub(super) fn of(status: StatusCode, position: Option<u64>, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, position, content_type, etag: None, is_repeat: false, retry_after_s: None, body }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.reserve(HEADERS_GUESS);
        if let Some(position) = self.position {
            headers.insert(POSITION, HeaderValue::from(position));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some(etag) = self.etag.and_then(|etag| format!("\"{etag}\"").parse().ok()) {
            headers.insert(header::ETAG, etag);
        }
        if self.is_repeat {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(BEARER));
        }
        // the rest of the request is read as nothing else (RFC 9110, 15.5.9)
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

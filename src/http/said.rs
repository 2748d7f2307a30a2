//! What a request says in its head, as far as the calls that come by the thousand ask: found in one pass, each header as it
//! stands there; and which heads have no one reading. Not here: what any of it means.

use super::door::KEY;
use super::problem::Problem;
use super::request_id;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Version, header};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Said<'r> {
    pub(super) authorization: Option<&'r [u8]>,
    pub(super) content_type: Option<&'r [u8]>,
    pub(super) key: Option<&'r [u8]>,
    pub(super) if_match: Option<&'r [u8]>,
    pub(super) if_none_match: Option<&'r [u8]>,
    pub(super) request_id: Option<&'r [u8]>,
}

impl<'r> Said<'r> {
    pub(super) fn of(headers: &'r HeaderMap) -> Self {
        let said = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
        Self {
            authorization: said(header::AUTHORIZATION),
            content_type: said(header::CONTENT_TYPE),
            key: said(KEY),
            if_match: said(header::IF_MATCH),
            if_none_match: said(header::IF_NONE_MATCH),
            request_id: said(request_id::HEADER),
        }
    }
}

/// What is wrong with a head that is whole and is not to be acted on. Of two headers that decide whose call it is and what
/// becomes of it, somebody on the way may have read the other one.
pub(super) fn unclear(version: Version, headers: &HeaderMap) -> Option<Problem> {
    let once = [header::HOST, header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_MATCH, KEY];
    if let Some(twice) = once.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        return Some(Problem::unreadable(format!("the header {twice} was sent more than once")));
    }
    let detail = match headers.get(header::HOST) {
        // RFC 9112, 3.2
        None if version == Version::HTTP_11 => "the request has no Host header, which HTTP/1.1 asks for",
        Some(host) if !is_host(host) => "the Host header is not a host, or a host and a port",
        Some(_) | None => return None,
    };
    Some(Problem::unreadable(detail))
}

/// Of a target that names no host it is empty.
fn is_host(value: &HeaderValue) -> bool {
    let is_plain = |authority: Authority| !authority.as_str().contains('@');
    value.is_empty() || Authority::try_from(value.as_bytes()).is_ok_and(is_plain)
}

/// A header that is text: what is not plain ASCII is none.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    // without a way out in the middle, so that many bytes are looked at at once
    let is_plain = value.iter().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~' | b'\t'));
    if is_plain { std::str::from_utf8(value).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_text_where_the_library_says_so() {
        for byte in 0..=u8::MAX {
            let bytes = [b'a', byte];
            let Ok(value) = HeaderValue::from_bytes(&bytes) else { continue };
            assert_eq!(text(&bytes), value.to_str().ok(), "{byte}");
        }
    }

    fn said_of(version: Version, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(*name, HeaderValue::from_static(value));
        }
        unclear(version, &all).map(|problem| problem.detail().to_owned())
    }

    #[test]
    fn what_decides_is_said_once() {
        let host = ("host", "ledger.example:8080");
        for name in ["host", "authorization", "content-type", "if-match", "idempotency-key"] {
            let said = said_of(Version::HTTP_11, &[host, (name, "a"), ("Accept", "b"), (name, "a")]);
            assert_eq!(said, Some(format!("the header {name} was sent more than once")));
        }
        let twice = [host, ("if-none-match", "\"1\""), ("if-none-match", "\"2\""), ("accept", "a"), ("accept", "b")];
        assert_eq!(said_of(Version::HTTP_11, &twice), None, "a list, or nothing that we decide by");
    }

    #[test]
    fn a_host_is_asked_for_and_read() {
        for host in ["ledger", "ledger.example:8080", "127.0.0.1:1", "[::1]:8080", ""] {
            assert_eq!(said_of(Version::HTTP_11, &[("host", host)]), None, "{host}");
        }
        for host in ["a b", "a/b", "me@ledger", "[::1", "a, b"] {
            assert!(said_of(Version::HTTP_11, &[("host", host)]).is_some(), "{host}");
        }
        assert!(said_of(Version::HTTP_11, &[]).is_some());
        assert_eq!(said_of(Version::HTTP_10, &[]), None);
    }
}

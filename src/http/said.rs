//! What a request says in its head, as far as the calls that come by the thousand ask: found in one pass, each header as it
//! stands there. Of a header that comes twice the first counts, as everywhere. Not here: what any of it means.

use super::door::KEY;
use super::request_id;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

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

    #[test]
    fn the_first_of_two_counts() {
        let mut headers = HeaderMap::new();
        headers.append("if-match", HeaderValue::from_static("\"1\""));
        headers.append("If-Match", HeaderValue::from_static("\"2\""));
        assert_eq!(Said::of(&headers), Said { if_match: Some(b"\"1\""), ..Said::default() });
    }
}

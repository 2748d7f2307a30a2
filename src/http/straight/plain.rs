//! Which requests are plain: those of which there is one reading. HTTP/1.1, a target of ours without anything escaped, one
//! `Host`, a length that is digits, and nothing that speaks of the connection or of the body's coding. All others are doubtful,
//! also those that a lenient reader would take: hyper reads them, or refuses them. What is plain here, hyper reads alike; a
//! test asks both. Not here: what a call means.

use super::Missing;
use super::inbox::BYTES_MAX;
use crate::http::front::{self, Call};
use crate::http::said::Said;
use axum::http::Method;
use httparse::{Header, ParserConfig, Request, Status};
use std::mem::MaybeUninit;

/// Clients send some ten.
const HEADERS_MAX: usize = 32;

#[derive(Debug)]
pub(super) enum Look<'r> {
    Plain(Plain<'r>),
    /// So far it may be plain; and it fits.
    Unfinished(Missing),
    Doubtful,
}

/// A plain request, whole.
#[derive(Debug)]
pub(in crate::http) struct Plain<'r> {
    pub(in crate::http) call: Call<'r>,
    pub(in crate::http) tenant: &'r str,
    pub(in crate::http) said: Said<'r>,
    pub(in crate::http) body: &'r [u8],
    /// Of the whole request.
    pub(super) bytes: usize,
}

/// Looks at what a connection has sent since the last request.
pub(super) fn look(sent: &[u8], body_bytes_max: usize) -> Look<'_> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let Ok(head) = head(sent, &mut headers) else { return Look::Doubtful };
    let Some((request, head_bytes)) = head else {
        return if sent.len() < BYTES_MAX { Look::Unfinished(Missing::Head) } else { Look::Doubtful };
    };
    let Some((call, tenant, said, body_bytes)) = read(&request) else { return Look::Doubtful };
    let bytes = head_bytes + body_bytes;
    if has_bare_line_end(sent.get(..head_bytes).unwrap_or_default()) || body_bytes > body_bytes_max || bytes > BYTES_MAX
    {
        return Look::Doubtful;
    }
    match sent.get(head_bytes..bytes) {
        Some(body) => Look::Plain(Plain { call, tenant, said, body, bytes }),
        None => Look::Unfinished(Missing::Body),
    }
}

/// Of a request whose body is missing.
pub(super) fn request_id(sent: &[u8]) -> Option<&[u8]> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let (request, _) = head(sent, &mut headers).ok()??;
    let (_, _, said, _) = read(&request)?;
    said.request_id
}

struct Doubtful;

/// The head, once all of it is there.
fn head<'h, 'r>(
    sent: &'r [u8],
    headers: &'h mut [MaybeUninit<Header<'r>>; HEADERS_MAX],
) -> Result<Option<(Request<'h, 'r>, usize)>, Doubtful> {
    // what comes before a method is skipped by who is lenient
    if !matches!(sent.first(), None | Some(b'P' | b'G')) {
        return Err(Doubtful);
    }
    let mut request = Request::new(&mut []);
    match ParserConfig::default().parse_request_with_uninit_headers(&mut request, sent, headers) {
        Ok(Status::Complete(bytes)) => Ok(Some((request, bytes))),
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(Doubtful),
    }
}

/// What it asks, what it says, and how long its body is.
fn read<'r>(request: &Request<'_, 'r>) -> Option<(Call<'r>, &'r str, Said<'r>, usize)> {
    let method = match request.method? {
        "POST" => Method::POST,
        "GET" => Method::GET,
        _ => return None,
    };
    let path = request.path.filter(|path| path.bytes().all(is_plain_in_a_path))?;
    if request.version != Some(1) {
        return None;
    }
    let (call, tenant) = front::call(&method, path, false)?;
    let (said, length) = said(request.headers)?;
    match (method, length) {
        (Method::POST, Some(length)) => Some((call, tenant, said, length)),
        (Method::GET, None | Some(0)) => Some((call, tenant, said, 0)),
        _ => None,
    }
}

/// What stands for itself in a path: nothing that is escaped, ends the path or is not ASCII.
fn is_plain_in_a_path(byte: u8) -> bool {
    matches!(byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b':' | b'-' | b'_' | b'.' | b'~' | b'@' | b'!' | b'$' | b'&'
        | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// One pass over the headers; by the length of a name, since few have the same.
fn said<'r>(headers: &[Header<'r>]) -> Option<(Said<'r>, Option<usize>)> {
    let (mut said, mut length, mut hosts) = (Said::default(), None, 0);
    for Header { name, value } in headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let place = match name.len() {
            4 if is("host") => {
                hosts += 1;
                continue;
            }
            10 if is("connection") && !value.eq_ignore_ascii_case(b"keep-alive") => return None,
            14 if is("content-length") => {
                if length.replace(digits(value)?).is_some() {
                    return None;
                }
                continue;
            }
            2 if is("te") => return None,
            6 if is("expect") => return None,
            7 if is("upgrade") || is("trailer") => return None,
            17 if is("transfer-encoding") => return None,
            8 if is("if-match") => &mut said.if_match,
            12 if is("content-type") => &mut said.content_type,
            12 if is("x-request-id") => &mut said.request_id,
            13 if is("authorization") => &mut said.authorization,
            13 if is("if-none-match") => &mut said.if_none_match,
            15 if is("idempotency-key") => &mut said.key,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    (hosts == 1).then_some((said, length))
}

/// A number written in the one way, of at most five digits.
fn digits(value: &[u8]) -> Option<usize> {
    let is_plain = matches!(value, [b'0'..=b'9'] | [b'1'..=b'9', _, ..]) && value.len() <= 5;
    if !is_plain {
        return None;
    }
    value.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + usize::from(digit - b'0')))
}

/// A line that ends without a carriage return: some read it as an end, some don't.
fn has_bare_line_end(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    // without a way out in the middle, so that many bytes are looked at at once
    pairs.fold(false, |is_bare, (before, byte)| is_bare | ((*byte == b'\n') & (*before != b'\r')))
}

//! An answer as bytes: what hyper and the frame would have made of it, the same headers and no others. Not here: what it says.

use super::date;
use crate::http::fields::digits;
use crate::http::reply::{BEARER, Reply};
use axum::http::StatusCode;

/// What the frame puts on every answer, of which none has an opinion of its own; and the end of the header before.
const FRAME: &[u8] = b"\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n";

const HEAD_BYTES_GUESS: usize = 512;

/// Puts it behind what is there. `id` is the request's; after the last answer the connection is closed.
pub(super) fn put(out: &mut Vec<u8>, reply: &Reply, id: &str, is_last: bool) {
    let status = reply.status;
    out.reserve(HEAD_BYTES_GUESS + reply.body.len());
    line(out, &[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", status.canonical_reason().unwrap_or("").as_bytes()]);
    if let Some(position) = reply.position {
        number(out, b"seatledger-position: ", position, b"\r\n");
    }
    line(out, &[b"content-type: ", reply.content_type.as_bytes()]);
    if let Some(etag) = reply.etag {
        number(out, b"etag: \"", etag, b"\"\r\n");
    }
    if reply.is_repeat {
        out.extend_from_slice(b"idempotent-replayed: true\r\n");
    }
    let retry_after_s = reply.retry_after_s.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
    if let Some(seconds) = retry_after_s {
        number(out, b"retry-after: ", seconds, b"\r\n");
    }
    if status == StatusCode::UNAUTHORIZED {
        line(out, &[b"www-authenticate: ", BEARER.as_bytes()]);
    }
    out.extend_from_slice(b"x-request-id: ");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(FRAME);
    if is_last {
        out.extend_from_slice(b"connection: close\r\n");
    }
    number(out, b"content-length: ", reply.body.len() as u64, b"\r\n");
    out.extend_from_slice(b"date: ");
    date::put(out);
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&reply.body);
}

fn line(out: &mut Vec<u8>, words: &[&[u8]]) {
    words.iter().for_each(|word| out.extend_from_slice(word));
    out.extend_from_slice(b"\r\n");
}

fn number(out: &mut Vec<u8>, before: &[u8], number: u64, behind: &[u8]) {
    out.extend_from_slice(before);
    digits(out, number);
    out.extend_from_slice(behind);
}

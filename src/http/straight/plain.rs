//! Which requests are plain: those of which there is one reading. HTTP/1.1, a target of ours without anything escaped, one
//! `Host` that is a name, nothing that is read twice, a length that is digits, and nothing that speaks of the connection or of
//! the body's coding. All others are doubtful, also those that a lenient reader would take: hyper reads them, or refuses them.
//! What is plain here, hyper reads alike; `tests/alike.rs` asks both. Not here: what a call means.

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
    Begun,
    /// All but the end of its body is there.
    WithoutBody(Said<'r>),
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
        return if sent.len() < BYTES_MAX { Look::Begun } else { Look::Doubtful };
    };
    let Some((call, tenant, said, body_bytes)) = read(&request) else { return Look::Doubtful };
    let bytes = head_bytes + body_bytes;
    if has_bare_line_end(sent.get(..head_bytes).unwrap_or_default()) || body_bytes > body_bytes_max || bytes > BYTES_MAX
    {
        return Look::Doubtful;
    }
    match sent.get(head_bytes..bytes) {
        Some(body) => Look::Plain(Plain { call, tenant, said, body, bytes }),
        None => Look::WithoutBody(said),
    }
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
    let path = request.path.filter(|path| is_plain_path(path))?;
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

/// Of what stands for itself: nothing that is escaped, ends the path or is not ASCII.
fn is_plain_path(path: &str) -> bool {
    // without a way out in the middle, so that many bytes are looked at at once
    path.bytes().fold(true, |is_plain, byte| {
        is_plain & matches!(byte, b'!' | b'$' | b'&'..=b';' | b'=' | b'@'..=b'Z' | b'_' | b'a'..=b'z' | b'~')
    })
}

/// One pass over the headers; by the length of a name, since few have the same.
fn said<'r>(headers: &[Header<'r>]) -> Option<(Said<'r>, Option<usize>)> {
    let (mut said, mut length, mut hosts) = (Said::default(), None, 0);
    for Header { name, value } in headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let place = match name.len() {
            4 if is("host") && is_plain_host(value) => {
                hosts += 1;
                continue;
            }
            4 if is("host") => return None,
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
            13 if is("if-none-match") => &mut said.if_none_match,
            13 if is("authorization") => &mut said.authorization,
            15 if is("idempotency-key") => &mut said.key,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    (hosts == 1).then_some((said, length))
}

/// A name, and a port where there is one.
fn is_plain_host(value: &[u8]) -> bool {
    let mut parts = value.splitn(2, |byte| *byte == b':');
    let (name, port) = (parts.next().unwrap_or_default(), parts.next());
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name.iter().all(is_name) && port.is_none_or(|port| digits(port).is_some())
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

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 2000;

    fn seen(sent: &str) -> String {
        match look(sent.as_bytes(), MAX) {
            Look::Plain(Plain { call, tenant, body, bytes, .. }) => {
                format!("{call:?} {tenant} {} of {bytes}", String::from_utf8_lossy(body))
            }
            Look::Begun => "begun".to_owned(),
            Look::WithoutBody(_) => "without body".to_owned(),
            Look::Doubtful => "doubtful".to_owned(),
        }
    }

    fn with(headers: &str) -> String {
        seen(&format!("POST /v1/tenants/a/installs HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{{}}"))
    }

    #[test]
    fn what_clients_send_is_plain() {
        assert_eq!(with("content-length: 2"), "Command(Install) a {} of 70");
        assert_eq!(with("Content-Length: 2\r\nConnection: Keep-Alive\r\nAccept: */*"), "Command(Install) a {} of 107");
        assert_eq!(with("content-length: 0"), "Command(Install) a  of 68");
        let pool = "GET /v1/tenants/b.c/pools/declared:d HTTP/1.1\r\nhost: my_x.y-z:8080\r\nX-Request-Id: 1\r\n\r\n";
        assert_eq!(seen(pool), format!("Pool(\"declared:d\") b.c  of {}", pool.len()));
        let Look::Plain(plain) = look(pool.as_bytes(), MAX) else { panic!("it is plain") };
        assert_eq!(plain.said, Said { request_id: Some(b"1"), ..Said::default() });
        assert_eq!(seen(&format!("{pool}GET")), seen(pool), "what comes behind is another one");
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for() {
        let whole = "POST /v1/tenants/a/installs HTTP/1.1\r\nHost: x\r\ncontent-length: 2\r\n\r\n{}";
        for end in 0..whole.len() {
            let missing = if end < whole.len() - 2 { "begun" } else { "without body" };
            assert_eq!(seen(&whole[..end]), missing, "{end}");
        }
    }

    #[test]
    fn nothing_that_could_be_read_in_two_ways_is_plain() {
        for headers in [
            "",
            "content-length: 2\r\ncontent-length: 2",
            "content-length: 2, 2",
            "content-length: +2",
            "content-length: 02",
            "content-length: 2x",
            "content-length:",
            "content-length: 2001",
            "content-length: 18446744073709551618",
            "content-length : 2",
            "content-length: 2\r\nHost: y",
            "content-length: 2\r\nHost: y z",
            "content-length: 2\r\nAuthorization: a\r\nAuthorization: a",
            "content-length: 2\r\nIf-Match: a\r\nif-match: b",
            "content-length: 2\r\nConnection: close",
            "content-length: 2\r\nConnection: keep-alive, upgrade",
            "content-length: 2\r\nExpect: 100-continue",
            "content-length: 2\r\nTransfer-Encoding: chunked",
            "content-length: 2\r\ntransfer-encoding: identity",
            "content-length: 2\r\nUpgrade: h2c",
            "content-length: 2\r\nTE: trailers",
            "content-length: 2\r\nTrailer: x",
            "content-length: 2\r\nX: a\r\n b",
            "content-length: 2\nX: a",
            "content-length: 2\r\nX: a\0b",
            "content-length: 2\r\nX y: a",
        ] {
            assert_eq!(with(headers), "doubtful", "{headers:?}");
        }
        let many: String = (0..HEADERS_MAX).map(|at| format!("X-{at}: x\r\n")).collect();
        assert_eq!(with(&format!("{many}content-length: 2")), "doubtful");
        for line in [
            "PUT /v1/tenants/a HTTP/1.1",
            "POST /v1/tenants/a/installs HTTP/1.0",
            "POST /v1/tenants/a/installs?x HTTP/1.1",
            "POST /v1/tenants/a%62/installs HTTP/1.1",
            "POST /v1/tenants/\u{e4}/installs HTTP/1.1",
            "POST /v1/tenants/a\"b/installs HTTP/1.1",
            "POST http://x/v1/tenants/a/installs HTTP/1.1",
            "POST  /v1/tenants/a/installs HTTP/1.1",
            "\r\nPOST /v1/tenants/a/installs HTTP/1.1",
            "GET /v1/tenants/a/pools/b HTTP/1.1",
            "GET /livez HTTP/1.1",
        ] {
            assert_eq!(seen(&format!("{line}\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}")), "doubtful", "{line:?}");
        }
        for host in [
            "",
            "Host:\r\n",
            "Host: me@x\r\n",
            "Host: x/y\r\n",
            "Host: [::1]\r\n",
            "Host: x:y\r\n",
            "Host: x:1:2\r\n",
            "Host: x y\r\nHost: x\r\n",
        ] {
            let pool = format!("GET /v1/tenants/a/pools/b HTTP/1.1\r\n{host}\r\n");
            assert_eq!(seen(&pool), "doubtful", "{host:?}");
        }
        assert_eq!(seen(&"P".repeat(BYTES_MAX - 1)), "begun");
        assert_eq!(seen(&"P".repeat(BYTES_MAX)), "doubtful", "it does not fit");
    }
}

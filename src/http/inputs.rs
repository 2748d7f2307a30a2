//! What a request brings, bounded before it is parsed, with every refusal a problem that names the place. Not here: what
//! it means.

use super::Service;
use super::plainly::{self, Plainly};
use super::problem::Problem;
use super::room::Taken;
use super::said::{self, Said};
use axum::body::{Bytes, HttpBody};
use axum::extract::{self, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// The parts of a path, decoded.
pub(super) struct Places<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Places<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(extract::Path(found)) => Ok(Self(found)),
            Err(error) => Err(Problem::unreadable(format!("the path: {}", error.body_text()))),
        }
    }
}

/// The query, or a part of it: which names a read knows is asked of all of them together (`parameters.rs`).
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(extract::Query(found)) => Ok(Self(found)),
            Err(error) => Err(Problem::new("invalid-query", error.body_text())),
        }
    }
}

/// A body that is said to be JSON, not yet read.
pub(super) struct Body(pub(super) Bytes);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl FromRequest<Arc<Service>> for Body {
    type Rejection = Problem;
    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        Self::of(&parts.headers, body, service).await
    }
}

impl Body {
    pub(super) async fn of<B>(headers: &HeaderMap, body: B, service: &Service) -> Result<Self, Problem>
    where
        B: HttpBody<Data = Bytes>,
    {
        let bytes = whole(headers, body, service.limits.body_bytes_max).await?;
        said_to_be_json(&Said::of(headers), bytes).map(Self)
    }

    /// Its fields.
    pub(super) fn fields(&self) -> Result<Map<String, Value>, Problem> {
        fields(&self.0)
    }
}

/// Of a large body: values that are small take up to a hundred times their bytes in memory.
const VALUES_MAX: usize = 1_000_000;

/// At least as many values as a body has, counted before any is read.
pub(super) fn few_enough(body: &[u8]) -> Result<(), Problem> {
    let (mut values, mut is_in_text, mut is_escaped) = (0, false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_text => is_escaped = true,
            b'"' => is_in_text = !is_in_text,
            b',' | b'[' | b'{' if !is_in_text => values += 1,
            _ => {}
        }
    }
    if values <= VALUES_MAX {
        return Ok(());
    }
    Err(Problem::new("too-large", format!("the body has more than {VALUES_MAX} values")).with("values_max", VALUES_MAX))
}

/// A body that is whole, unless it is said to be something else.
pub(super) fn said_to_be_json<B: AsRef<[u8]>>(said: &Said<'_>, body: B) -> Result<B, Problem> {
    if said.content_type.is_some_and(|kind| !is_json_type(kind)) && !body.as_ref().is_empty() {
        return Err(Problem::new("unsupported-media-type", "this call reads application/json"));
    }
    Ok(body)
}

/// The fields of a body: it is one object; nothing at all counts as an empty one.
pub(super) fn fields(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    let body = unmarked(body);
    if body.is_empty() {
        return Ok(Map::new());
    }
    object(body, "body")
}

/// A body without the mark that some editors put in front of UTF-8.
pub(super) fn unmarked(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// The fields of an object that stands somewhere.
pub(super) fn object(text: &[u8], what: &str) -> Result<Map<String, Value>, Problem> {
    match plainly::value(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Problem::unreadable(format!("the {what} is JSON, but no object"))),
        Err(why) => Err(Problem::unreadable(format!("the {what} can't be read: {why}"))),
    }
}

/// A body of any kind, whole.
pub(super) async fn read(request: Request, bytes_max: usize) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    whole(&parts.headers, body, bytes_max).await
}

/// A body that may be large, whole, with the room that it takes: to be held for as long as anything that was made of it is.
/// Whether the caller may send it is asked before.
pub(super) async fn read_large(request: Request, service: &Service) -> Result<(Bytes, Taken), Problem> {
    let (limits, mut taken) = (service.limits, service.bulk_room.nothing());
    let (parts, body) = request.into_parts();
    let room = Some((&mut taken, limits.pause_max));
    let bytes = in_room(&parts.headers, body, limits.bulk_bytes_max, room).await?;
    Ok((bytes, taken))
}

async fn whole<B: HttpBody<Data = Bytes>>(headers: &HeaderMap, body: B, bytes_max: usize) -> Result<Bytes, Problem> {
    in_room(headers, body, bytes_max, None).await
}

/// Most bodies come in one piece, which is taken as it is. What is to have room waits for it before it is kept, and has only so
/// long between two pieces: others may want that room.
async fn in_room<B: HttpBody<Data = Bytes>>(
    headers: &HeaderMap,
    body: B,
    bytes_max: usize,
    mut room: Option<(&mut Taken, Duration)>,
) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new("too-large", format!("the body is larger than {bytes_max} bytes")).with("bytes_max", bytes_max);
    let declared = declared_bytes(headers).unwrap_or(0);
    if declared > bytes_max {
        return Err(too_large());
    }
    let mut body = pin!(body);
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    while !body.is_end_stream() {
        let frame = match &room {
            Some((_, pause_max)) => tokio::time::timeout(*pause_max, body.frame()).await.map_err(|_| too_late())?,
            None => body.frame().await,
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|_| Problem::unreadable("the body broke off"))?;
        let Ok(piece) = frame.into_data() else { continue };
        let before = first.len().max(all.len());
        if piece.len() > bytes_max.saturating_sub(before) {
            return Err(too_large());
        }
        if let Some((taken, _)) = &mut room {
            taken.hold(before + piece.len()).await?;
        }
        if first.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.reserve_exact(declared.max(first.len() + piece.len()));
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// The rest of a body is not waited for any longer.
pub(super) fn too_late() -> Problem {
    Problem::new("request-timeout", "the body did not arrive in time")
}

/// How long the body is, where its sender says so.
fn declared_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| is_json_type(kind.as_bytes()))
}

fn is_json_type(kind: &[u8]) -> bool {
    kind == b"application/json"
        || media_type_of(kind).is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"))
}

/// The media type without its parameters, in small letters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<String> {
    media_type_of(headers.get(header::CONTENT_TYPE)?.as_bytes())
}

fn media_type_of(kind: &[u8]) -> Option<String> {
    Some(said::text(kind)?.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
}

/// Fields into the shape that a call reads; an error names the place.
pub(super) fn shaped<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Plainly(Value::Object(fields))).map_err(|error| {
        let place = error.path().to_string();
        let what = error.into_inner().to_string();
        if place == "." {
            Problem::unreadable(what)
        } else {
            Problem::unreadable(format!("{place}: {what}")).with("field", place)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_body_has_so_many_values_and_what_stands_in_text_is_none() {
        let of = |values: usize| format!(r#"["\",[{{\\"{}"#, ",0".repeat(values - 1));
        assert!(few_enough(of(VALUES_MAX).as_bytes()).is_ok());
        assert_eq!(few_enough(of(VALUES_MAX + 1).as_bytes()).unwrap_err().to_json()["values_max"], VALUES_MAX);
    }
}

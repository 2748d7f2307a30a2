//! The way of a command through HTTP: who asks, under which key and precondition, read, submitted, answered. Not here:
//! what the fields mean (`wire`), what an answer says (`answers.rs`).

use super::Service;
use super::answers;
use super::auth::Caller;
use super::inputs::Body;
use super::problem::Problem;
use super::request_id;
use super::wire::Wire;
use super::wire::kind::Kind;
use crate::domain::answer::Status;
use crate::domain::command::Door as Through;
use crate::ledger::{Outcome, Submission, SubmitError};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use std::sync::Arc;

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Stands on an answer that was given before: the command was judged then, and is not done twice.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
pub(super) const KEY_CHARS_MAX: usize = 64;

/// A caller with a command.
pub(super) struct Door {
    pub(super) caller: Caller,
    pub(super) key: Option<String>,
    pub(super) if_match: Option<u64>,
}

impl FromRequestParts<Arc<Service>> for Door {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, service).await?;
        let key = parts.headers.get(KEY).map(|value| value.to_str().unwrap_or("")).map(checked_key).transpose()?;
        let if_match = if_match(&parts.headers)?;
        Ok(Self { caller, key, if_match })
    }
}

/// 1 to 64 printable ASCII characters, kept as given.
pub(super) fn checked_key(text: &str) -> Result<String, Problem> {
    let is_key = (1..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
    if is_key {
        return Ok(text.to_owned());
    }
    Err(Problem::new("idempotency-key-invalid", "an id of a command is 1 to 64 printable ASCII characters"))
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or("").trim();
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    tag.map(Some).ok_or_else(|| Problem::unreadable("If-Match is one ETag as this service gave it, as in \"42\""))
}

impl Door {
    /// Judges a single call; `path` are the fields that stand in its path.
    pub(super) async fn command<const N: usize>(
        self,
        kind: Kind,
        path: [(&str, String); N],
        Body(mut fields): Body,
    ) -> Result<Response, Problem> {
        self.caller.must_be(kind.roles())?;
        for (name, value) in path {
            if fields.contains_key(name) {
                let unknown = format!("unknown field `{name}`: it stands in the path");
                return Err(Problem::unreadable(unknown).with("field", name));
            }
            fields.insert(name.to_owned(), Value::String(value));
        }
        let Self { caller, key, if_match } = self;
        let wire = Wire::read(&caller, kind, fields)?;
        let members = wire.members.clone();
        let submission = submission(&caller, wire, key, if_match, Through::Http);
        let judged = caller.service.ledger.submit(caller.tenant, submission).await;
        let outcome = noted(kind, judged)?;
        let status =
            if outcome.answer.is_created && kind.makes_something() { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = match answers::of(&caller, kind, &outcome, &members).await {
            Ok(body) => answered(status, outcome.position, body),
            Err(problem) => problem.into_response(),
        };
        if outcome.is_repeat {
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

/// Everything about a command that the door knows.
pub(super) fn submission(
    caller: &Caller,
    wire: Wire,
    command_id: Option<String>,
    if_match: Option<u64>,
    door: Through,
) -> Submission {
    Submission {
        actor: caller.actor,
        door,
        command_id,
        content_hash: wire.content_hash,
        occurred_at: wire.occurred_at,
        reason: wire.reason,
        if_match,
        ask: wire.ask,
    }
}

/// Counts a judgement, and leaves its line in the log.
pub(super) fn noted(kind: Kind, judged: Result<Outcome, SubmitError>) -> Result<Outcome, SubmitError> {
    let outcome = match &judged {
        Ok(Outcome { is_repeat: true, .. }) => "repeat",
        Ok(Outcome { answer, .. }) => match answer.status {
            Status::Done => "done",
            Status::Unchanged => "unchanged",
            Status::Refused => "refused",
        },
        Err(_) => "error",
    };
    metrics::counter!("seatledger_commands_total", "type" => kind.name(), "outcome" => outcome).increment(1);
    match &judged {
        Ok(judged) => {
            let rule = judged.answer.rejection.as_ref().map(crate::domain::rejection::Rejection::name);
            tracing::info!(target: "seatledger::command", request_id = request_id::current(), command = kind.name(), outcome, rule, position = judged.position, "judged");
        }
        Err(error) => {
            tracing::warn!(target: "seatledger::command", request_id = request_id::current(), command = kind.name(), %error, "not judged");
        }
    }
    judged
}

/// An answer with the position that it speaks of, in the header and in the body.
pub(super) fn answered(status: StatusCode, position: u64, mut body: Map<String, Value>) -> Response {
    body.insert("position".into(), position.into());
    let headers = [("seatledger-position", position.to_string()), ("content-type", "application/json".to_owned())];
    (status, headers, Value::Object(body).to_string()).into_response()
}

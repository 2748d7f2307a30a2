//! The way of a command through HTTP: who asks, under which key and precondition, read, submitted, answered. Not here:
//! what the fields mean (`wire`), what an answer says (`answers.rs`).

use super::Service;
use super::answers;
use super::answers::quick::{self, Beside};
use super::auth::Caller;
use super::inputs::{self, Body};
use super::problem::Problem;
use super::reply::Reply;
use super::request_id;
use super::said::{self, Said};
use super::wire::Wire;
use super::wire::kind::Kind;
use crate::domain::answer::Status;
use crate::domain::command::{Door as Through, IfMatch};
use crate::ledger::{Outcome, Submission, SubmitError};
use crate::telemetry::Judged;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use std::sync::{Arc, LazyLock};

pub(super) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const KEY_CHARS_MAX: usize = 64;
const ANSWER_BYTES_GUESS: usize = 192;

/// A caller with a command.
pub(super) struct Door {
    pub(super) caller: Caller,
    pub(super) key: Option<String>,
    pub(super) if_match: Option<IfMatch>,
}

impl FromRequestParts<Arc<Service>> for Door {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Problem> {
        Self::of(Caller::from_request_parts(parts, service).await?, &Said::of(&parts.headers))
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

fn if_match(said: &Said<'_>) -> Result<Option<IfMatch>, Problem> {
    let Some(value) = said.if_match else { return Ok(None) };
    let text = said::text(value).unwrap_or("").trim();
    if text == "*" {
        return Ok(Some(IfMatch::Any));
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    tag.map(|tag| Some(IfMatch::Tag(tag)))
        .ok_or_else(|| Problem::unreadable("If-Match is one ETag as this service gave it, as in \"42\""))
}

/// A condition that can't be judged is not met.
fn no_etag() -> Problem {
    let detail = "If-Match: what this call is about has no ETag that it could be compared with";
    Problem::unreadable(detail).with("header", "If-Match")
}

/// It would have to hold for a change to be made, and no change is judged by it.
fn none_match() -> Problem {
    let detail = "If-None-Match: nothing is changed under this condition; If-Match is one where there is an ETag";
    Problem::unreadable(detail).with("header", "If-None-Match")
}

/// For the calls that change something and are no command of a tenant's door.
pub(super) fn without_condition(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::IF_NONE_MATCH) {
        return Err(none_match());
    }
    if headers.contains_key(header::IF_MATCH) { Err(no_etag()) } else { Ok(()) }
}

/// For the calls whose answer can't be given a second time: a key would promise it.
pub(super) fn without_key(headers: &HeaderMap, why: &str) -> Result<(), Problem> {
    if headers.contains_key(KEY) {
        let detail = format!("{why}, so this call takes no idempotency key");
        return Err(Problem::new("idempotency-key-invalid", detail));
    }
    Ok(())
}

impl Door {
    pub(super) fn of(caller: Caller, said: &Said<'_>) -> Result<Self, Problem> {
        let key = said.key.map(|value| said::text(value).unwrap_or("")).map(checked_key).transpose()?;
        if said.if_none_match.is_some() {
            return Err(none_match());
        }
        let if_match = if_match(said)?;
        Ok(Self { caller, key, if_match })
    }

    /// Judges a single call; `path` are the fields that stand in its path.
    pub(super) async fn command<const N: usize>(
        self,
        kind: Kind,
        path: [(&str, String); N],
        body: Body,
    ) -> Result<Response, Problem> {
        self.judged(kind, path, &body.0).await.map(IntoResponse::into_response)
    }

    /// The same, not yet a response.
    pub(super) async fn judged<const N: usize>(
        self,
        kind: Kind,
        path: [(&str, String); N],
        body: &[u8],
    ) -> Result<Reply, Problem> {
        let wire = self.read(kind, path, body)?;
        self.submitted(kind, wire).await
    }

    /// Judges a call that can't be cut into parts, and so has room for as much as many commands have.
    pub(super) async fn large_command<const N: usize>(
        self,
        kind: Kind,
        path: [(&'static str, String); N],
        request: Request,
    ) -> Result<Response, Problem> {
        self.caller.must_be(kind.roles())?;
        let headers = request.headers().clone();
        let service = Arc::clone(&self.caller.service);
        let (body, _room) = inputs::read_large(request, &service).await?;
        let body = inputs::said_to_be_json(&Said::of(&headers), body)?;
        let (door, wire) = if body.len() > service.limits.body_bytes_max {
            inputs::few_enough(&body)?;
            // for long enough to keep others from their turn
            let read = move || self.read(kind, path, &body).map(|wire| (self, wire));
            tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))??
        } else {
            let wire = self.read(kind, path, &body)?;
            (self, wire)
        };
        door.submitted(kind, wire).await.map(IntoResponse::into_response)
    }

    async fn submitted(self, kind: Kind, wire: Wire) -> Result<Reply, Problem> {
        let Self { caller, key, if_match } = self;
        if if_match.is_some() && !kind.has_etag() {
            return Err(no_etag());
        }
        caller.must_be_good()?;
        let members = wire.members.clone();
        let submission = submission(&caller, wire, key, if_match, Through::Http);
        let judged = caller.service.ledger.submit(caller.tenant, submission).await;
        let outcome = Tally::default().note(kind, judged, false)?;
        let status =
            if outcome.answer.is_created && kind.makes_something() { StatusCode::CREATED } else { StatusCode::OK };
        let beside = Beside { position: Some(outcome.position), list: None };
        let mut body = Vec::with_capacity(ANSWER_BYTES_GUESS);
        let mut reply = if quick::write(&mut body, kind, &outcome.answer, beside) {
            Reply::at(status, outcome.position, body)
        } else {
            match answers::of(&caller, kind, &outcome, &members).await {
                Ok(body) => answered(status, outcome.position, body),
                Err(problem) => problem.into_reply(),
            }
        };
        reply.is_repeat = outcome.is_repeat;
        Ok(reply)
    }

    fn read<const N: usize>(&self, kind: Kind, path: [(&str, String); N], body: &[u8]) -> Result<Wire, Problem> {
        let is_repeatable = self.key.is_some();
        if let Some(wire) = Wire::of_bytes(&self.caller, kind, body, is_repeatable) {
            self.caller.must_be(kind.roles())?;
            return Ok(wire);
        }
        let mut fields = inputs::fields(body)?;
        self.caller.must_be(kind.roles())?;
        for (name, value) in path {
            if fields.contains_key(name) {
                let unknown = format!("unknown field `{name}`: it stands in the path");
                return Err(Problem::unreadable(unknown).with("field", name));
            }
            fields.insert(name.to_owned(), Value::String(value));
        }
        Wire::read(&self.caller, kind, fields, is_repeatable)
    }
}

/// Everything about a command that the door knows.
pub(super) fn submission(
    caller: &Caller,
    wire: Wire,
    command_id: Option<String>,
    if_match: Option<IfMatch>,
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

/// How judgements end, for metrics and the log.
const OUTCOMES: [&str; 5] = ["done", "unchanged", "refused", "repeat", "error"];

/// Of each kind of command, so that counting one is an addition and not a search by name.
static COUNTERS: LazyLock<Vec<[metrics::Counter; OUTCOMES.len()]>> = LazyLock::new(|| {
    let of = |kind: &str| {
        let kind = kind.to_owned();
        OUTCOMES
            .map(|outcome| metrics::counter!("seatledger_commands_total", "type" => kind.clone(), "outcome" => outcome))
    };
    Kind::ALL.iter().map(|kind| of(kind.name())).collect()
});

/// Judgements of one call by how they ended.
#[derive(Default)]
pub(super) struct Tally([u64; OUTCOMES.len()]);

impl Tally {
    /// Counts a judgement, and leaves its line in the log: a call of its own at `info`, one of many at `debug`.
    pub(super) fn note(
        &mut self,
        kind: Kind,
        judged: Result<Outcome, SubmitError>,
        is_one_of_many: bool,
    ) -> Result<Outcome, SubmitError> {
        let ended = match &judged {
            Ok(Outcome { is_repeat: true, .. }) => 3,
            Ok(Outcome { answer, .. }) => match answer.status {
                Status::Done => 0,
                Status::Unchanged => 1,
                Status::Refused => 2,
            },
            Err(_) => 4,
        };
        if let Some(count) = self.0.get_mut(ended) {
            *count += 1;
        }
        if let Some(counter) = COUNTERS.get(kind as usize).and_then(|counters| counters.get(ended)) {
            counter.increment(1);
        }
        let outcome = OUTCOMES.get(ended).copied().unwrap_or_default();
        let rule = judged.as_ref().ok().and_then(|judged| Some(judged.answer.rejection.as_ref()?.name()));
        match &judged {
            Ok(Outcome { position, .. }) if is_one_of_many => {
                tracing::debug!(target: "seatledger::command", command = kind.name(), outcome, rule, position, "judged");
            }
            Ok(Outcome { position, .. }) => {
                let judged = Judged { command: kind.name(), outcome, rule, position: *position };
                request_id::with_current(|id| judged.say(id));
            }
            Err(error) => {
                tracing::warn!(target: "seatledger::command", command = kind.name(), %error, "not judged");
            }
        }
        judged
    }

    /// The line of a call of many commands.
    pub(super) fn say(&self, position: u64) {
        let [done, unchanged, refused, repeats, errors] = self.0;
        tracing::info!(target: "seatledger::command", done, unchanged, refused, repeats, errors, position, "judged many");
    }
}

/// An answer with the position that it speaks of, in the header and in the body.
pub(super) fn answered(status: StatusCode, position: u64, mut body: Map<String, Value>) -> Reply {
    body.insert("position".into(), position.into());
    Reply::at(status, position, Value::Object(body).to_string().into_bytes())
}

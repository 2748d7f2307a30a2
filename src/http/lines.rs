//! Many commands in one body: an array or NDJSON, each line read for itself, and one result a line on the way out. Not here:
//! what a command's fields mean (`wire`), how a good answer looks (`answers.rs`), who judges (`routes/commands.rs`).

use super::Service;
use super::answers;
use super::answers::quick::{Beside, InList};
use super::auth::Caller;
use super::door::{KEY, KEY_CHARS_MAX, checked_key, submission, without_condition};
use super::inputs;
use super::problem::Problem;
use super::room::Taken;
use super::wire::kind::Kind;
use super::wire::{Wire, quick};
use crate::domain::command::Door as Through;
use crate::ledger::{Outcome, Submission};
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// Commands in one call.
pub(super) const COMMANDS_MAX: usize = 10_000;

/// How the commands are written, and their results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Array,
    Ndjson,
}

/// A call of many commands whose body has not been asked for: it takes no room.
pub(super) struct UnreadLines {
    form: Form,
    key: Option<String>,
    request: Request,
}

/// A body of commands, whole, not yet read.
pub(super) struct Lines {
    pub(super) form: Form,
    bytes: Bytes,
    /// The call's own key: a line without an id takes it, with the line's place behind it.
    key: Option<String>,
    line_bytes_max: usize,
    /// Held for as long as anything that was made of the body is.
    room: Taken,
}

/// One line of many: its command is with the judge, or it goes no further.
pub(super) struct Line {
    pub(super) id: Option<String>,
    pub(super) read: Result<Asked, Problem>,
}

/// What of a command its answer has to know.
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) members: Vec<String>,
}

/// A body of commands, read.
pub(super) struct Read {
    /// Every line in its order.
    pub(super) lines: Vec<Line>,
    /// The commands of those that could be read, in the same order.
    pub(super) runs: Vec<Vec<Submission>>,
    /// To be held until the answer is made.
    _room: Taken,
}

impl FromRequest<Arc<Service>> for UnreadLines {
    type Rejection = Problem;
    async fn from_request(request: Request, _service: &Arc<Service>) -> Result<Self, Problem> {
        without_condition(request.headers())?;
        let form = match inputs::media_type(request.headers()).as_deref() {
            None => Form::Array,
            Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => Form::Ndjson,
            Some(_) if inputs::is_json(request.headers()) => Form::Array,
            Some(_) => {
                let detail = "commands are read as application/json or application/x-ndjson";
                return Err(Problem::new("unsupported-media-type", detail));
            }
        };
        let key = request.headers().get(KEY).map(|value| value.to_str().unwrap_or("")).map(checked_key).transpose()?;
        if key.as_ref().is_some_and(|key| key.len() + "#9999".len() > KEY_CHARS_MAX) {
            let detail =
                "the key of many commands has at most 59 characters: each takes its place behind it, as in #17";
            return Err(Problem::new("idempotency-key-invalid", detail));
        }
        Ok(Self { form, key, request })
    }
}

impl UnreadLines {
    /// Its body, for a caller who may send it.
    pub(super) async fn whole(self, service: &Service) -> Result<Lines, Problem> {
        let Self { form, key, request } = self;
        let (bytes, room) = inputs::read_large(request, service).await?;
        Ok(Lines { form, bytes, key, line_bytes_max: service.limits.body_bytes_max, room })
    }
}

impl Lines {
    /// Reads every line. What is wrong with one of them is that one's; the rest goes on, in runs of so many commands at most.
    /// Blocking, some milliseconds for thousands. `may` says whether the caller may send such a command.
    pub(super) fn read(
        self,
        caller: &Caller,
        run_max: usize,
        may: impl Fn(Kind) -> Result<(), Problem>,
    ) -> Result<Read, Problem> {
        let texts: Vec<&[u8]> = match self.form {
            Form::Array => array(inputs::unmarked(&self.bytes))?,
            Form::Ndjson => {
                let lines = inputs::unmarked(&self.bytes).split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                lines.filter(|line| !line.is_empty()).take(COMMANDS_MAX + 1).collect()
            }
        };
        if texts.len() > COMMANDS_MAX {
            let detail = format!("a call has at most {COMMANDS_MAX} commands");
            return Err(Problem::new("too-large", detail).with("commands_max", COMMANDS_MAX));
        }
        let (mut lines, mut runs) = (Vec::with_capacity(texts.len()), Vec::<Vec<Submission>>::new());
        for (place, text) in texts.iter().enumerate() {
            let (id, read) = self.line(caller, place, text, &may);
            let read = read.map(|mut wire| {
                let asked = Asked { kind: wire.kind, members: std::mem::take(&mut wire.members) };
                let submission = submission(caller, wire, id.clone(), None, Through::Bulk);
                match runs.last_mut().filter(|run| run.len() < run_max) {
                    Some(run) => run.push(submission),
                    None => {
                        let mut run = Vec::with_capacity(run_max.min(texts.len() - place));
                        run.push(submission);
                        runs.push(run);
                    }
                }
                asked
            });
            lines.push(Line { id, read });
        }
        Ok(Read { lines, runs, _room: self.room })
    }

    fn line(
        &self,
        caller: &Caller,
        place: usize,
        text: &[u8],
        may: &impl Fn(Kind) -> Result<(), Problem>,
    ) -> (Option<String>, Result<Wire, Problem>) {
        if let Some((id, wire)) = self.quick_line(caller, place, text, may) {
            return (id, Ok(wire));
        }
        let mut fields = match self.fields(text) {
            Ok(fields) => fields,
            Err(problem) => return (None, Err(problem)),
        };
        let id = match fields.remove("id") {
            None | Some(Value::Null) => Ok(self.key.as_ref().map(|key| format!("{key}#{place}"))),
            Some(Value::String(id)) => checked_key(&id).map(Some),
            Some(_) => Err(Problem::unreadable("id: the id of a command is a string").with("field", "id")),
        };
        let id = match id {
            Ok(id) => id,
            Err(problem) => return (None, Err(problem)),
        };
        let read = kind_of(&mut fields).and_then(|kind| {
            may(kind)?;
            Wire::read(caller, kind, fields, id.is_some())
        });
        (id, read)
    }

    /// A line as most are; whatever is wrong with any other is found on the long way.
    fn quick_line(
        &self,
        caller: &Caller,
        place: usize,
        text: &[u8],
        may: &impl Fn(Kind) -> Result<(), Problem>,
    ) -> Option<(Option<String>, Wire)> {
        let fields = quick::fields(text).filter(|_| text.len() <= self.line_bytes_max)?;
        let kind = Kind::of_bulk(fields.kind?).filter(|kind| quick::may_be(*kind) && may(*kind).is_ok())?;
        let id = match fields.id {
            Some(id) => Some(checked_key(id).ok()?),
            None => self.key.as_ref().map(|key| format!("{key}#{place}")),
        };
        let wire = Wire::of_fields(caller, kind, &fields, id.is_some())?;
        Some((id, wire))
    }

    fn fields(&self, text: &[u8]) -> Result<Map<String, Value>, Problem> {
        if text.len() > self.line_bytes_max {
            let detail = format!("the command is larger than {} bytes", self.line_bytes_max);
            return Err(Problem::new("too-large", detail).with("bytes_max", self.line_bytes_max));
        }
        inputs::object(text, "command")
    }
}

fn kind_of(fields: &mut Map<String, Value>) -> Result<Kind, Problem> {
    match fields.remove("type") {
        Some(Value::String(name)) => Kind::of_bulk(&name).ok_or_else(|| {
            let shown: String = name.chars().take(64).filter(|c| !c.is_control()).collect();
            Problem::unreadable(format!("type: no command is called `{shown}` here")).with("field", "type")
        }),
        Some(_) => Err(Problem::unreadable("type: the type of a command is a string").with("field", "type")),
        None => Err(Problem::unreadable("missing field `type`").with("field", "type")),
    }
}

/// The commands of an array, or of an object that has them under `commands`; one more than there may be at most.
fn array(bytes: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        commands: Raw<'a>,
    }
    let raw = if bytes.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<Wrapped<'_>>(bytes).map(|wrapped| wrapped.commands)
    } else {
        serde_json::from_slice(bytes)
    };
    let Raw(texts) = raw.map_err(|error| Problem::unreadable(format!("the body is no array of commands: {error}")))?;
    Ok(texts.into_iter().map(|text| text.get().as_bytes()).collect())
}

/// The values of an array as they were written, one more than a call may have at most.
pub(super) struct Raw<'a>(pub(super) Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Texts<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Texts<'a> {
            type Value = Raw<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of commands")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw<'a>, A::Error> {
                let mut texts = Vec::new();
                while texts.len() <= COMMANDS_MAX {
                    match seq.next_element()? {
                        Some(text) => texts.push(text),
                        None => return Ok(Raw(texts)),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Raw(texts))
            }
        }
        d.deserialize_seq(Texts(std::marker::PhantomData))
    }
}

/// Results, in the order of the commands.
pub(super) struct Results {
    form: Form,
    out: Vec<u8>,
}

impl Results {
    pub(super) fn new(form: Form) -> Self {
        let out = if form == Form::Array { b"{\"results\":[".to_vec() } else { Vec::new() };
        Self { form, out }
    }

    /// A command that was judged at the outcome's position, or tried there.
    pub(super) fn judged(
        &mut self,
        id: Option<String>,
        kind: Kind,
        outcome: &Outcome,
        is_recorded: bool,
        members: &[String],
    ) {
        let Outcome { position, answer, is_repeat } = outcome;
        let list = InList { id: id.as_deref(), is_repeat: *is_repeat };
        let beside = Beside { position: is_recorded.then_some(*position), list: Some(list) };
        self.begin();
        if answers::quick::write(&mut self.out, kind, answer, beside) {
            return self.end();
        }
        let (mut body, problem) = match &answer.rejection {
            Some(rejection) => (refusal(), answers::refused(rejection, *position, members).to_json()),
            None => (answers::said(kind, answer), Value::Null),
        };
        if *is_repeat {
            body.insert("repeated".to_owned(), true.into());
        }
        self.add(id, body, is_recorded.then_some(*position), problem);
    }

    /// A command that was not judged.
    pub(super) fn refused(&mut self, id: Option<String>, problem: &Problem) {
        self.begin();
        self.add(id, refusal(), None, problem.to_json());
    }

    fn begin(&mut self) {
        if self.form == Form::Array && !self.out.ends_with(b"[") {
            self.out.push(b',');
        }
    }

    fn end(&mut self) {
        if self.form == Form::Ndjson {
            self.out.push(b'\n');
        }
    }

    fn add(&mut self, id: Option<String>, mut body: Map<String, Value>, position: Option<u64>, problem: Value) {
        body.insert("id".to_owned(), id.into());
        body.insert("position".to_owned(), position.into());
        body.insert("problem".to_owned(), problem);
        self.out.extend_from_slice(Value::Object(body).to_string().as_bytes());
        self.end();
    }

    /// The body, and what it is. `rest` stands beside the results of an array.
    pub(super) fn finish(mut self, rest: &Map<String, Value>) -> ([(header::HeaderName, &'static str); 1], Vec<u8>) {
        let media_type = match self.form {
            Form::Ndjson => "application/x-ndjson",
            Form::Array => {
                self.out.push(b']');
                for (name, value) in rest {
                    self.out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
                }
                self.out.push(b'}');
                "application/json"
            }
        };
        ([(header::CONTENT_TYPE, media_type)], self.out)
    }
}

fn refusal() -> Map<String, Value> {
    Map::from_iter([("status".to_owned(), Value::from("refused"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_in_an_array_or_under_their_name() {
        for text in [r#"[{"type":"a"}, 7]"#, r#" {"commands":[{"type":"a"}, 7]}"#] {
            assert_eq!(array(text.as_bytes()).unwrap(), [&br#"{"type":"a"}"#[..], b"7"], "{text}");
        }
        for bad in ["", "7", "{}", "[1", r#"{"commands":[],"more":1}"#, r#"{"commands":{}}"#] {
            assert_eq!(array(bad.as_bytes()).unwrap_err().to_json()["type"], "/problems/unreadable-request", "{bad}");
        }
    }

    #[test]
    fn a_list_without_end_is_kept_no_longer_than_it_takes_to_refuse_it() {
        let text = format!("[0{}]", ",0".repeat(3 * COMMANDS_MAX));
        assert_eq!(array(text.as_bytes()).unwrap().len(), COMMANDS_MAX + 1);
    }

    #[test]
    fn results_stand_in_order_in_the_form_of_the_commands() {
        let written = |form| {
            let mut results = Results::new(form);
            for id in ["a", "b"] {
                results.refused(Some(id.to_owned()), &Problem::unreadable("no"));
            }
            let rest = Map::from_iter([("position".to_owned(), Value::from(7))]);
            String::from_utf8(results.finish(&rest).1).unwrap()
        };
        let array: Value = serde_json::from_str(&written(Form::Array)).unwrap();
        assert_eq!(array["position"], 7);
        assert_eq!(array["results"][1]["id"], "b");
        let lines: Vec<Value> = written(Form::Ndjson).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, *array["results"].as_array().unwrap());
    }
}

//! What a reviewer sends: many decisions in one body, as JSON or as the spreadsheet that was given out, and a receipt for
//! each row. Not here: what a sheet looks like (`sheet.rs`), who judges (`routes/reviews.rs`).

use super::Service;
use super::auth::Caller;
use super::door::{KEY, KEY_CHARS_MAX, checked_key, without_condition};
use super::inputs;
use super::lines::{COMMANDS_MAX, Raw};
use super::problem::Problem;
use super::room::Taken;
use super::sheet;
use super::wire::Wire;
use super::wire::kind::Kind;
use crate::domain::ids::ReviewId;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
}

/// A call of many decisions whose body has not been asked for: it takes no room.
pub(super) struct UnreadDecisions {
    form: Form,
    key: Option<String>,
    request: Request,
}

/// A body of decisions, whole, not yet read.
pub(super) struct Decisions {
    form: Form,
    bytes: Bytes,
    /// The call's own key: each row takes it, with its number behind it.
    key: Option<String>,
    /// Held for as long as anything that was made of the body is.
    room: Taken,
}

/// What a row says, or what is wrong with it.
type Fields = Result<Map<String, Value>, Problem>;

/// One row, as it was named.
pub(super) struct Row {
    pub(super) id: Option<String>,
    pub(super) pool: String,
    pub(super) holder: String,
    /// `None`: the row leaves the seat as it is.
    pub(super) read: Result<Option<Wire>, Problem>,
}

impl FromRequest<Arc<Service>> for UnreadDecisions {
    type Rejection = Problem;
    async fn from_request(request: Request, _service: &Arc<Service>) -> Result<Self, Problem> {
        without_condition(request.headers())?;
        let form = match inputs::media_type(request.headers()).as_deref() {
            None => Form::Json,
            Some("text/csv") => Form::Csv,
            Some(_) if inputs::is_json(request.headers()) => Form::Json,
            Some(_) => {
                let detail = "decisions are read as application/json or text/csv";
                return Err(Problem::new("unsupported-media-type", detail));
            }
        };
        let key = request.headers().get(KEY).map(|value| value.to_str().unwrap_or("")).map(checked_key).transpose()?;
        if key.as_ref().is_some_and(|key| key.len() + "#100000".len() > KEY_CHARS_MAX) {
            let detail = "the key of many decisions has at most 57 characters: each takes its row behind it, as in #17";
            return Err(Problem::new("idempotency-key-invalid", detail));
        }
        Ok(Self { form, key, request })
    }
}

impl UnreadDecisions {
    /// Its body, for a caller who may send it.
    pub(super) async fn whole(self, service: &Service) -> Result<Decisions, Problem> {
        let Self { form, key, request } = self;
        let (bytes, room) = inputs::read_large(request, service).await?;
        Ok(Decisions { form, bytes, key, room })
    }
}

impl Decisions {
    /// Reads every row. What is wrong with one of them is that one's. Blocking. The room is to be held until the answer is
    /// made.
    pub(super) fn read(self, caller: &Caller, review: ReviewId) -> Result<(Vec<Row>, Taken), Problem> {
        let rows: Vec<Fields> = match self.form {
            Form::Json => json(inputs::unmarked(&self.bytes))?,
            Form::Csv => sheet::read(&self.bytes)?.into_iter().map(|row| row.map(|row| row.fields())).collect(),
        };
        let leaves_blanks = self.form == Form::Csv;
        let row = |(place, row): (usize, Fields)| {
            let id = self.key.as_ref().map(|key| format!("{key}#{}", place + 1));
            let mut fields = match row {
                Ok(fields) => fields,
                Err(problem) => return Row { id, pool: String::new(), holder: String::new(), read: Err(problem) },
            };
            let named = |name: &str| fields.get(name).and_then(Value::as_str).map(shown).unwrap_or_default();
            let (pool, holder) = (named("pool"), named("holder"));
            if leaves_blanks && fields.get("decision").and_then(Value::as_str) == Some("") {
                return Row { id, pool, holder, read: Ok(None) };
            }
            let read = match fields.insert("review".to_owned(), review.to_string().into()) {
                Some(_) => Err(Problem::unreadable("unknown field `review`: it stands in the path")),
                None => Wire::read(caller, Kind::DecideReview, fields, id.is_some()).map(Some),
            };
            Row { id, pool, holder, read }
        };
        Ok((rows.into_iter().enumerate().map(row).collect(), self.room))
    }
}

/// What a row said, as far as it fits into a receipt.
fn shown(text: &str) -> String {
    text.chars().take(512).collect()
}

/// The rows of an array, or of an object that has them under `decisions`.
fn json(bytes: &[u8]) -> Result<Vec<Fields>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        decisions: Raw<'a>,
    }
    let raw = if bytes.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<Wrapped<'_>>(bytes).map(|wrapped| wrapped.decisions)
    } else {
        serde_json::from_slice(bytes)
    };
    let Raw(texts) = raw.map_err(|error| Problem::unreadable(format!("the body is no array of decisions: {error}")))?;
    if texts.len() > COMMANDS_MAX {
        let detail = format!("a call has at most {COMMANDS_MAX} decisions; a CSV may have {}", sheet::ROWS_MAX);
        return Err(Problem::new("too-large", detail).with("rows_max", COMMANDS_MAX));
    }
    Ok(texts.into_iter().map(|text| inputs::object(text.get().as_bytes(), "decision")).collect())
}

//! A history as a file: CloudEvents 1.0, one JSON object a line, which an import reads back; or CSV for a spreadsheet.
//! Written in batches from any position on, so that a broken transfer goes on where it stopped; lines of JSON end with a line that
//! says so (`end`).

pub(super) mod end;

use super::columns;
use super::each_event;
use super::events::EventView;
use crate::domain::command::Envelope;
use crate::domain::event::Recorded;
use crate::domain::event_type::EventType;
use crate::domain::ids::TenantId;
use crate::domain::subject::Subject;
use crate::ledger::{Ledger, ReadError};
use end::End;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::str::FromStr;

/// What a history is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Ndjson,
    Csv,
    Parquet,
}

impl Format {
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => columns::MEDIA_TYPE,
        }
    }

    /// As in `format=`, and behind a file's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            "parquet" => Ok(Self::Parquet),
            _ => Err("there is no such format; use ndjson, csv or parquet".into()),
        }
    }
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("writing the export failed: {0}")]
    Write(#[from] io::Error),
}

/// The version of the extension attributes below, and of `data`.
pub(super) const EVENT_TYPE_PREFIX: &str = "seatledger.";

/// One line of an export. Extension attributes are in lower case without separators, as CloudEvents wants them;
/// positions are text, because its integers end at 2^31.
#[derive(Debug, Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: &'a str,
    datacontenttype: &'static str,
    position: String,
    eventversion: u8,
    actor: &'a str,
    door: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurredat: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commandid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contenthash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    data: &'a serde_json::Map<String, Value>,
}

/// Writes the events of positions `from` to `to`, both included, and answers with the position behind the last one. In a frame a
/// CSV begins with its header, and NDJSON has one more line at its end, which says what was written. Blocking.
///
/// # Errors
/// When there is no such tenant or position, the log can't be read, or the output takes no more.
pub fn export(
    ledger: &Ledger,
    tenant: TenantId,
    from: u64,
    to: u64,
    format: Format,
    is_framed: bool,
    out: &mut (dyn Write + Send),
) -> Result<u64, ExportError> {
    if format == Format::Parquet {
        let next = columns::events(ledger, tenant, from, to, out)?;
        out.flush()?;
        return Ok(next);
    }
    let slug = ledger.read(tenant, |view| view.state.slug.clone())?;
    let erased = ledger.positions(tenant, Subject::Type(EventType::NamesErased), 0..u64::MAX, 1, true)?;
    let erased_at = erased.first().copied();
    let mut line = Vec::new();
    let mut failure = None;
    let mut next = from;
    let mut lines = Sha256::new();
    if format == Format::Csv && is_framed {
        csv_line(&mut line, &COLUMNS.map(str::to_owned))?;
        out.write_all(&line)?;
    }
    each_event(ledger, tenant, from, to, |mut recorded| {
        let view = EventView::of(ledger, &recorded);
        // another vault can't take off our mask: whoever may read the names may have the plain one. By it erased names could be
        // guessed, and which commands spoke of them nobody knows
        let Envelope { command_id, content_hash, .. } = &mut recorded.envelope;
        let is_told = erased_at.is_none_or(|erased_at| recorded.position > erased_at);
        *content_hash = if is_told { ledger.masked(tenant, command_id.as_deref(), *content_hash) } else { 0 };
        line.clear();
        let written = match format {
            Format::Ndjson => ndjson_line(&mut line, &slug, &recorded, &view),
            Format::Csv | Format::Parquet => csv_line(&mut line, &csv_cells(&view)),
        };
        match written.and_then(|()| out.write_all(&line)) {
            Ok(()) => {
                lines.update(&line);
                next = recorded.position + 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    if let Some(error) = failure {
        return Err(error.into());
    }
    if format == Format::Ndjson && is_framed {
        out.write_all(&End::of(from, next, lines).line(&slug)?)?;
    }
    out.flush()?;
    Ok(next)
}

/// No event makes a longer line: a record's byte becomes at most some twenty, as of a holder in a list, and a record has 5,900.
pub(super) const LINE_BYTES_MAX: usize = 256 << 10;

pub(super) fn ndjson_line(line: &mut Vec<u8>, slug: &str, recorded: &Recorded, view: &EventView) -> io::Result<()> {
    let id = view.command_id.as_deref();
    let event = CloudEvent {
        specversion: "1.0",
        id: format!("{slug}/{}", view.position),
        source: format!("/v1/tenants/{slug}"),
        kind: format!("{EVENT_TYPE_PREFIX}{}", view.kind),
        time: &view.recorded_at,
        datacontenttype: "application/json",
        position: view.position.to_string(),
        eventversion: view.version,
        actor: &view.actor,
        door: &view.door,
        occurredat: view.occurred_at.as_deref(),
        commandid: id,
        contenthash: id.map(|_| format!("{:016x}", recorded.envelope.content_hash)),
        reason: view.reason.as_deref(),
        data: &view.data,
    };
    serde_json::to_writer(&mut *line, &event)?;
    line.push(b'\n');
    Ok(())
}

/// Of a file of columns.
pub(super) const COLUMNS: [&str; 16] = [
    "position",
    "recorded_at",
    "occurred_at",
    "type",
    "version",
    "actor",
    "door",
    "command_id",
    "reason",
    "pool",
    "holder",
    "user",
    "device",
    "group",
    "assignment",
    "data",
];

fn csv_cells(view: &EventView) -> [String; 16] {
    let part = |name: &str| view.data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    [
        view.position.to_string(),
        view.recorded_at.clone(),
        view.occurred_at.clone().unwrap_or_default(),
        view.kind.clone(),
        view.version.to_string(),
        view.actor.clone(),
        view.door.clone(),
        defused(view.command_id.as_deref()),
        defused(view.reason.as_deref()),
        part("pool"),
        part("holder"),
        part("user"),
        part("device"),
        part("group"),
        part("assignment"),
        Value::Object(view.data.clone()).to_string(),
    ]
}

/// A spreadsheet takes a cell that begins so for a formula; an apostrophe in front makes it text.
pub(crate) fn defused(cell: Option<&str>) -> String {
    let cell = cell.unwrap_or_default();
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{cell}") } else { cell.to_owned() }
}

fn csv_line(line: &mut Vec<u8>, cells: &[String; 16]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(line);
    writer.write_record(cells).map_err(io::Error::other)?;
    writer.flush()
}

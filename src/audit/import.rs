//! An export back into an empty ledger: every event as it was, with its times, actors, doors, command ids, content hashes
//! and reasons; names sealed under new keys. A history that breaks a law, has a gap or says something unknown is refused,
//! with the position at which it does, and so is one that was cut: an export closes with a line that says where it ends. Tokens
//! come without their secrets: they are on record, and open nothing.
//!
//! The ledger is one that nobody else uses yet, in a folder that is thrown away when this fails.

use super::events::{HASH, NAMES, PROFILE, SUBJECT, data_of};
use super::export::end::End;
use super::export::{EVENT_TYPE_PREFIX, LINE_BYTES_MAX};
use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::ids::TenantId;
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::domain::state::{Meta, Tenant};
use crate::domain::time::Time;
use crate::ledger::{Ledger, PastCommand, PastEvent, PastNames, Progress, RECORD_VERSION, ReadError, SubmitError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use std::io::{self, BufRead, Read as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// So many events go into the log at once, and what is left of the last one's command.
const BATCH_EVENTS: usize = 4096;
/// A command that left more is none of ours: it could not be taken at once.
const COMMAND_EVENTS_MAX: usize = 1_000_000;
/// UTF-8's.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Command ids end here.
const COMMAND_ID_BYTES_MAX: usize = 64;

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub slug: String,
    pub events: u64,
    /// Of the state; the same as that of the ledger which was exported, at the same position.
    pub digest: [u8; 32],
}

/// Why an export was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the ledger is not empty: an import makes a new one")]
    NotEmpty,
    #[error("the export holds no event")]
    Nothing,
    #[error(
        "line {line}: it was cut off: after {events} events the last line is missing, which says where it ends (make the export \
         again, over HTTP with end=true, or go on with --from {events} behind its last whole line)"
    )]
    Cut { line: u64, events: u64 },
    #[error("line {line}: {what}")]
    Unreadable { line: u64, what: String },
    #[error("position {position} can't be part of a history: {what}")]
    Broken { position: u64, what: String },
    #[error("reading the export failed: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// One line, as `export` writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: Time,
    datacontenttype: String,
    position: String,
    eventversion: u8,
    actor: String,
    door: Door,
    occurredat: Option<Time>,
    commandid: Option<String>,
    contenthash: Option<String>,
    reason: Option<String>,
    data: Map<String, Value>,
}

/// Takes a whole history. Blocking; nobody else may use the ledger meanwhile, and its clock must stand still before the
/// first event, or timers would write between the events.
///
/// # Errors
/// See [`ImportError`]; the data folder is to be thrown away then.
pub fn import(ledger: &Ledger, source: &mut dyn BufRead, progress: &dyn Progress) -> Result<Imported, ImportError> {
    if !ledger.tenants().is_empty() {
        return Err(ImportError::NotEmpty);
    }
    let tenant = TenantId(0);
    let mut checked = Checked::default();
    let mut part = Part::default();
    let mut batch: Vec<PastCommand> = Vec::new();
    let mut batch_events = 0;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let cut = ImportError::Cut { line, events: checked.state.next_position };
        if source.take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut text)? == 0 {
            if part.is_open {
                return Err(cut);
            }
            break;
        }
        // where no part is open yet: what editors and shells put before and behind a text
        if !part.is_open {
            if text.starts_with(BYTE_ORDER_MARK) {
                text.drain(..BYTE_ORDER_MARK.len());
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
        }
        let unreadable = |what| ImportError::Unreadable { line, what };
        if text.len() == LINE_BYTES_MAX {
            return Err(unreadable(format!("it is longer than {LINE_BYTES_MAX} bytes")));
        }
        let position = checked.state.next_position;
        let parsed: Line = match serde_json::from_slice(&text) {
            Ok(parsed) => parsed,
            Err(error) => match End::read(&text, &checked.state.slug) {
                Some(end) => {
                    part.ends(&end, position).map_err(unreadable)?;
                    continue;
                }
                None if !text.ends_with(b"\n") => return Err(cut),
                None => return Err(unreadable(error.to_string())),
            },
        };
        part.goes_on(&text);
        let (envelope, past) = parsed.read(position, &checked.state.slug).map_err(unreadable)?;
        checked.take(&envelope, &past.event)?;
        let is_same_command =
            envelope.command_id.is_some() && batch.last().is_some_and(|last| last.envelope == envelope);
        if !is_same_command {
            if batch_events >= BATCH_EVENTS {
                ledger.take_over(tenant, std::mem::take(&mut batch))?;
                progress.step("importing", checked.state.next_position, checked.state.next_position);
                batch_events = 0;
            }
            checked.begins(&envelope)?;
            batch.push(PastCommand { envelope, events: Vec::new() });
        }
        if let Some(command) = batch.last_mut() {
            if command.events.len() >= COMMAND_EVENTS_MAX {
                let what = format!("its command has more than {COMMAND_EVENTS_MAX} events");
                return Err(ImportError::Broken { position, what });
            }
            command.events.push(past);
        }
        batch_events += 1;
    }
    let last = checked.state.next_position.checked_sub(1).ok_or(ImportError::Nothing)?;
    if let Some(what) = checked.state.broken_law() {
        return Err(ImportError::Broken { position: last, what });
    }
    ledger.take_over(tenant, batch)?;
    let (_, digest) = ledger.digest(tenant)?;
    Ok(Imported { slug: checked.state.slug, events: last + 1, digest })
}

/// The lines since the beginning, or since the last line that said that an export ends: exports of one history stand one behind
/// the other where it was taken in parts.
#[derive(Default)]
struct Part {
    from: u64,
    lines: Sha256,
    is_open: bool,
}

impl Part {
    fn goes_on(&mut self, line: &[u8]) {
        self.lines.update(line);
        self.is_open = true;
    }

    /// Where a transfer broke off and went on in the same file, the sum is of what came then: its beginning can't be told, and
    /// the positions alone, each of which is there, say that it is whole.
    fn ends(&mut self, end: &End, position: u64) -> Result<(), String> {
        let End { from, next_position, .. } = *end;
        if next_position != position || from > position || from < self.from {
            return Err(format!(
                "it says that positions {from} to {next_position} end here, where {position} should follow those before it"
            ));
        }
        let lines = std::mem::take(&mut self.lines);
        if from == self.from && End::of(from, position, lines) != *end {
            return Err(format!(
                "the lines of positions {from} to {position} are not those that were exported: another SHA-256"
            ));
        }
        *self = Self { from: position, lines: Sha256::new(), is_open: false };
        Ok(())
    }
}

/// The history so far, folded aside.
#[derive(Default)]
struct Checked {
    state: Tenant,
    command_ids: HashSet<String>,
}

impl Checked {
    /// Folds one event, or says which law it breaks.
    fn take(&mut self, envelope: &Envelope, event: &Event) -> Result<(), ImportError> {
        let position = self.state.next_position;
        let broken = |what: String| ImportError::Broken { position, what };
        if matches!(event, Event::TenantCreated { .. }) != (position == 0) {
            return Err(broken("a tenant is created once, by its first event".into()));
        }
        if envelope.recorded_at < Time(0) {
            return Err(broken("it was recorded before 1970".into()));
        }
        let meta = Meta { position, recorded_at: envelope.recorded_at, actor: envelope.actor };
        let fold = AssertUnwindSafe(|| self.state.evolve(event, &meta));
        catch_unwind(fold).map_err(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            broken(said.unwrap_or_else(|| "it breaks a law".into()))
        })
    }

    /// A command's records stand together, and its id is used once.
    fn begins(&mut self, envelope: &Envelope) -> Result<(), ImportError> {
        match &envelope.command_id {
            Some(id) if !self.command_ids.insert(id.clone()) => {
                let position = self.state.next_position.saturating_sub(1);
                Err(ImportError::Broken { position, what: format!("command id {id:?} was used before") })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Line {
    fn read(self, expected: u64, slug: &str) -> Result<(Envelope, PastEvent), String> {
        if self.position.parse() != Ok(expected) {
            return Err(format!("position {expected} is missing: found {:?}", self.position));
        }
        let (event, names) = self.fact()?;
        let slug = if let Event::TenantCreated { slug, .. } = &event { slug } else { slug };
        let is_ours = self.specversion == "1.0"
            && self.datacontenttype == "application/json"
            && self.id == format!("{slug}/{expected}")
            && self.source == format!("/v1/tenants/{slug}");
        if !is_ours {
            return Err(format!(
                "specversion, id, source or datacontenttype is not that of an event of tenant {slug:?}"
            ));
        }
        if self.eventversion != RECORD_VERSION {
            return Err(format!("event version {} is not one that this program reads", self.eventversion));
        }
        let content_hash = match (&self.commandid, &self.contenthash) {
            (None, None) => 0,
            (Some(id), Some(hash)) if hash.len() == 16 => {
                let is_printable = id.bytes().all(|byte| (b' '..=b'~').contains(&byte));
                if id.is_empty() || id.len() > COMMAND_ID_BYTES_MAX || !is_printable {
                    return Err("commandid is not 1 to 64 printable characters".into());
                }
                u64::from_str_radix(hash, 16).map_err(|_| "contenthash is not 16 hexadecimal digits".to_owned())?
            }
            _ => return Err("commandid and contenthash (16 hexadecimal digits) come together".into()),
        };
        let envelope = Envelope {
            recorded_at: self.time,
            occurred_at: self.occurredat,
            actor: actor(&self.actor)?,
            door: self.door,
            command_id: self.commandid,
            content_hash,
            reason: self.reason,
        };
        Ok((envelope, PastEvent { event, names }))
    }

    /// The fact, and beside it the names that an export opened.
    fn fact(&self) -> Result<(Event, PastNames), String> {
        let name = self.kind.strip_prefix(EVENT_TYPE_PREFIX).unwrap_or_default();
        let kind: EventType = name.parse().map_err(|_| format!("type {:?} is unknown", self.kind))?;
        let mut data = self.data.clone();
        let mut sealed = |place: &str| {
            data.insert(place.into(), json!({"subject": 0, "sealed": ""}))
                .ok_or_else(|| format!("{place} is missing (null where it was erased)"))
        };
        let names = if matches!(kind, EventType::UserAdded | EventType::UserChanged) {
            PastNames::User(exactly::<Option<UserProfile>>(sealed(PROFILE)?)?)
        } else if matches!(kind, EventType::DeviceAdded | EventType::DeviceChanged) {
            PastNames::Device(exactly::<Option<DeviceNames>>(sealed(NAMES)?)?)
        } else {
            PastNames::NotPersonal
        };
        if kind == EventType::TokenIssued {
            data.insert(HASH.into(), json!([0_u8; 32].as_slice()));
        }
        if kind == EventType::NamesErased {
            data.insert(SUBJECT.into(), json!(0));
        }
        let event: Event =
            serde_json::from_value(json!({ name: &data })).map_err(|error| format!("data of {name}: {error}"))?;
        if data_of(&event) != data {
            return Err(format!("data of {name} says more than this program reads, or in another form"));
        }
        Ok((event, names))
    }
}

/// Reads a value that must say nothing else.
fn exactly<T: DeserializeOwned + Serialize>(value: Value) -> Result<T, String> {
    // what was not understood may be a name: it is not repeated
    let read: T = T::deserialize(&value).map_err(|_| "the names are not in the form of an export".to_owned())?;
    if serde_json::to_value(&read).ok().as_ref() != Some(&value) {
        return Err("the names say more than this program reads".into());
    }
    Ok(read)
}

fn actor(text: &str) -> Result<Actor, String> {
    match text {
        "root" => Ok(Actor::Root),
        "ledger" => Ok(Actor::Ledger),
        token => token.parse().map(Actor::Token).map_err(|_| format!("{token:?} is no actor")),
    }
}

//! How an event looks outside: ids and figures as they were recorded, personal names opened where their key exists, and
//! neither sealed bytes nor hashes of credentials.

use super::sentence::{actor_name, word};
use crate::domain::event::{Event, Recorded};
use crate::ledger::{Ledger, RECORD_VERSION};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One fact, for whoever may read all of its tenant.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EventView {
    pub position: u64,
    /// What kind of fact it is
    #[serde(rename = "type")]
    #[schema(example = "seat_granted")]
    pub kind: String,
    /// The version of the record's form
    pub version: u8,
    #[schema(format = DateTime)]
    pub recorded_at: String,
    #[schema(format = DateTime)]
    pub occurred_at: Option<String>,
    /// `root`, `ledger` or a token's id
    #[schema(example = "token_3")]
    pub actor: String,
    #[schema(example = "http")]
    pub door: String,
    pub command_id: Option<String>,
    pub reason: Option<String>,
    /// What the fact says; personal names are null once they are erased
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

impl EventView {
    /// Opens the names in it. Not for a log or an error message.
    #[must_use]
    pub fn of(ledger: &Ledger, recorded: &Recorded) -> Self {
        let mut view = Self::closed(recorded);
        if let Event::UserAdded { profile, .. } | Event::UserChanged { profile, .. } = &recorded.event {
            view.data.insert(PROFILE.into(), opened(ledger.user_profile(profile)));
        }
        if let Event::DeviceAdded { names, .. } | Event::DeviceChanged { names, .. } = &recorded.event {
            view.data.insert(NAMES.into(), opened(ledger.device_names(names)));
        }
        view
    }

    /// The same without any key: every name is null.
    pub(super) fn closed(recorded: &Recorded) -> Self {
        let envelope = &recorded.envelope;
        let mut data = data_of(&recorded.event);
        for name in [PROFILE, NAMES] {
            data.entry(name).and_modify(|sealed| *sealed = Value::Null);
        }
        if let Event::TokenIssued { .. } = &recorded.event {
            data.remove(HASH);
        }
        if let Event::NamesErased { .. } = &recorded.event {
            data.remove(SUBJECT);
        }
        Self {
            position: recorded.position,
            kind: recorded.event.type_name().into(),
            version: RECORD_VERSION,
            recorded_at: envelope.recorded_at.to_string(),
            occurred_at: envelope.occurred_at.map(|time| time.to_string()),
            actor: actor_name(envelope.actor),
            door: word(&envelope.door),
            command_id: envelope.command_id.clone(),
            reason: envelope.reason.clone(),
            data,
        }
    }
}

pub(super) const PROFILE: &str = "profile";
pub(super) const NAMES: &str = "names";
pub(super) const HASH: &str = "hash";
/// Whose key it was means nothing beside another vault.
pub(super) const SUBJECT: &str = "subject";

fn opened(names: Option<impl Serialize>) -> Value {
    names.and_then(|names| serde_json::to_value(names).ok()).unwrap_or(Value::Null)
}

/// The fields of a fact, without the word around them that says which one it is.
pub(super) fn data_of(event: &Event) -> Map<String, Value> {
    let tagged = serde_json::to_value(event).expect("facts are plain data with text keys");
    let Value::Object(tagged) = tagged else { return Map::new() };
    let Some((_, Value::Object(fields))) = tagged.into_iter().next() else { return Map::new() };
    fields
}

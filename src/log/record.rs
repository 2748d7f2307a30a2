//! One event with its envelope as bytes: the only file that knows bincode, so that leaving it is a change to this file.
//!
//! `schemas/log-format.md` describes the bytes for programs in other languages; `schemas/events/` holds golden ones. The
//! bytes that are stored are the ones that are hashed: nothing is ever encoded again to be compared.

use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::{Event, Recorded};
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::{BufWriter, Read, Write};

/// The version of every record written today; the first byte of each.
pub const RECORD_VERSION: u8 = 1;

/// A record is never longer; `decide` cuts lists so that none would be.
const DECODED_BYTES_MAX: usize = super::RECORD_BYTES_MAX;

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("a record without bytes")]
    Empty,
    #[error("record version {0} is not one that this program reads")]
    Version(u8),
    #[error("not a record: {0}")]
    Malformed(String),
    #[error("{0} bytes behind the end of the record")]
    Trailing(usize),
    #[error("a record of {0} bytes is longer than the log takes")]
    TooLong(usize),
}

#[derive(Serialize)]
struct Wire<'a> {
    recorded_at: i64,
    occurred_at: Option<i64>,
    actor: Actor,
    door: Door,
    command: Option<WireCommand<'a>>,
    reason: Option<&'a str>,
    event: &'a Event,
}

#[derive(Serialize)]
struct WireCommand<'a> {
    id: WireId<'a>,
    content_hash: [u8; 8],
}

/// A UUID in its usual form takes its 16 bytes, any other id its text.
#[derive(Serialize)]
enum WireId<'a> {
    Uuid([u8; 16]),
    Text(&'a str),
}

#[derive(Deserialize)]
#[serde(rename = "Record")]
struct OwnedWire {
    recorded_at: i64,
    occurred_at: Option<i64>,
    actor: Actor,
    door: Door,
    command: Option<OwnedCommand>,
    reason: Option<String>,
    event: Event,
}

#[derive(Deserialize)]
#[serde(rename = "Command")]
struct OwnedCommand {
    id: OwnedId,
    content_hash: [u8; 8],
}

#[derive(Deserialize)]
#[serde(rename = "CommandId")]
enum OwnedId {
    Uuid([u8; 16]),
    Text(String),
}

/// Appends the record to a buffer.
pub fn encode(envelope: &Envelope, event: &Event, into: &mut Vec<u8>) -> Result<(), RecordError> {
    let start = into.len();
    let wire = Wire {
        recorded_at: envelope.recorded_at.0,
        occurred_at: envelope.occurred_at.map(|at| at.0),
        actor: envelope.actor,
        door: envelope.door,
        command: envelope.command_id.as_deref().map(|id| WireCommand {
            id: uuid_bytes(id).map_or(WireId::Text(id), WireId::Uuid),
            content_hash: envelope.content_hash.to_be_bytes(),
        }),
        reason: envelope.reason.as_deref(),
        event,
    };
    into.push(RECORD_VERSION);
    bincode::serde::encode_into_std_write(&wire, into, bincode::config::standard())
        .map_err(|error| RecordError::Malformed(error.to_string()))?;
    let length = into.len() - start;
    if length > super::RECORD_BYTES_MAX {
        into.truncate(start);
        return Err(RecordError::TooLong(length));
    }
    Ok(())
}

/// Reads a record back. Hashes of outside names are not in it: the vault finds them by opening the seals.
pub fn decode(position: u64, bytes: &[u8]) -> Result<Recorded, RecordError> {
    let (version, body) = bytes.split_first().ok_or(RecordError::Empty)?;
    if *version != RECORD_VERSION {
        return Err(RecordError::Version(*version));
    }
    let config = bincode::config::standard().with_limit::<DECODED_BYTES_MAX>();
    let (wire, used): (OwnedWire, usize) =
        bincode::serde::decode_from_slice(body, config).map_err(|error| RecordError::Malformed(error.to_string()))?;
    if used != body.len() {
        return Err(RecordError::Trailing(body.len() - used));
    }
    let (command_id, content_hash) = match wire.command {
        Some(command) => (Some(command.id.into_text()), u64::from_be_bytes(command.content_hash)),
        None => (None, 0),
    };
    let envelope = Envelope {
        recorded_at: Time(wire.recorded_at),
        occurred_at: wire.occurred_at.map(Time),
        actor: wire.actor,
        door: wire.door,
        command_id,
        content_hash,
        reason: wire.reason,
    };
    Ok(Recorded { position, envelope, event: wire.event })
}

impl OwnedId {
    fn into_text(self) -> String {
        match self {
            Self::Uuid(bytes) => uuid_text(bytes),
            Self::Text(text) => text,
        }
    }
}

/// Which entry of the receipts index an id belongs to: a UUID's own bytes, or the first half of a hash.
#[must_use]
pub fn command_key(id: &str) -> [u8; 16] {
    uuid_bytes(id).unwrap_or_else(|| {
        let mut key = [0; 16];
        key.copy_from_slice(Sha256::digest(id.as_bytes()).get(..16).expect("a SHA-256 has 32 bytes"));
        key
    })
}

/// The bytes of a UUID in its canonical form: lower case, with hyphens. Every other spelling is text, so that an id comes
/// back as it was given.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut uuid = [0; 16];
    let mut filled = 0;
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let slot: &mut u8 = uuid.get_mut(filled / 2)?;
        *slot = (*slot << 4) | digit;
        filled += 1;
    }
    Some(uuid)
}

fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = hex::encode(bytes);
    for place in [8, 13, 18, 23] {
        text.insert(place, '-');
    }
    text
}

/// The digest of a tenant's state: ids and figures, no outside name, so that an erasure leaves it as it was.
#[must_use]
pub fn digest(tenant: &Tenant) -> [u8; 32] {
    let mut hasher = HashWriter(Sha256::new());
    encode_cache(&tenant.without_names(), &mut hasher)
        .expect("a state of plain data encodes, and a hasher takes every byte");
    hasher.0.finalize().into()
}

struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A cache's contents as bytes: for snapshots, whose file has its own hash.
pub fn encode_cache<T: Serialize>(value: &T, into: &mut impl Write) -> std::io::Result<()> {
    // most numbers are a byte or two: each would be a call of a hash or a file
    let mut gathered = BufWriter::with_capacity(64 << 10, into);
    bincode::serde::encode_into_std_write(value, &mut gathered, bincode::config::standard())
        .map_err(std::io::Error::other)?;
    gathered.flush()
}

/// Reads a cache's contents back, from bytes whose hash was checked.
pub fn decode_cache<T: DeserializeOwned>(from: &mut impl Read) -> std::io::Result<T> {
    bincode::serde::decode_from_std_read(from, bincode::config::standard()).map_err(std::io::Error::other)
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::facts::GrantCause;
    use crate::domain::ids::{Holder, PoolId, UserId};

    fn envelope(id: Option<&str>) -> Envelope {
        Envelope {
            recorded_at: Time(1_790_000_000_000_000),
            occurred_at: None,
            actor: Actor::Root,
            door: Door::Http,
            command_id: id.map(str::to_owned),
            content_hash: if id.is_some() { 7 } else { 0 },
            reason: None,
        }
    }

    fn granted() -> Event {
        Event::SeatGranted {
            pool: PoolId(3),
            holder: Holder::User(UserId(4711)),
            cause: GrantCause::Assignment,
            in_use: false,
        }
    }

    #[test]
    fn a_record_comes_back_as_it_went_in() {
        for id in [
            None,
            Some("x"),
            Some("0b7e2c1a-0000-4000-8000-00000000abcd"),
            Some("0B7E2C1A-0000-4000-8000-00000000ABCD"),
        ] {
            let mut bytes = Vec::new();
            encode(&envelope(id), &granted(), &mut bytes).unwrap();
            let back = decode(9, &bytes).unwrap();
            assert_eq!(back, Recorded { position: 9, envelope: envelope(id), event: granted() });
        }
    }

    #[test]
    fn a_common_record_with_a_uuid_is_at_most_54_bytes() {
        let mut bytes = Vec::new();
        encode(&envelope(Some("0b7e2c1a-0000-4000-8000-00000000abcd")), &granted(), &mut bytes).unwrap();
        assert!(bytes.len() <= 54, "{} bytes", bytes.len());
    }

    #[test]
    fn bytes_behind_a_record_and_a_hostile_length_are_refused() {
        let mut bytes = Vec::new();
        encode(&envelope(None), &granted(), &mut bytes).unwrap();
        bytes.push(0);
        assert_eq!(decode(0, &bytes), Err(RecordError::Trailing(1)));
        let hostile = [&[RECORD_VERSION, 0, 0, 0, 0, 0, 1][..], &[0xfd; 9]].concat();
        assert!(matches!(decode(0, &hostile), Err(RecordError::Malformed(_))));
        assert_eq!(decode(0, &[9]), Err(RecordError::Version(9)));
    }
}

//! One event with its envelope as bytes: the only file that knows bincode, so that leaving it is a change to this file. What
//! is read by the million, and written by the million without being recorded, goes through `record/read.rs` and
//! `record/write.rs`, which know the same bytes.
//!
//! `schemas/log-format.md` describes the bytes for programs in other languages; `schemas/events/` holds golden ones. The
//! bytes that are stored are the ones that are hashed: nothing is ever encoded again to be compared.

use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::{Event, Recorded};
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::log::snapshot::Payload;
use crossbeam_channel::bounded;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io;

mod flaw;
mod read;
mod write;

/// The version of every record written today; the first byte of each.
pub const RECORD_VERSION: u8 = 1;

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

/// A record's fields in their order.
#[cfg(test)]
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
    if body.len() > super::RECORD_BYTES_MAX {
        return Err(RecordError::TooLong(bytes.len()));
    }
    let mut source = read::Slice(body);
    let recorded = read_recorded(position, &mut source).map_err(|flaw| RecordError::Malformed(flaw.to_string()))?;
    if !source.0.is_empty() {
        return Err(RecordError::Trailing(source.0.len()));
    }
    Ok(recorded)
}

/// The fields of `OwnedWire` in their order, each put where it stays.
fn read_recorded(position: u64, source: &mut read::Slice<'_>) -> Result<Recorded, flaw::Flaw> {
    let recorded_at = Time(read::read(source)?);
    let occurred_at = read::read::<Option<i64>, _>(source)?.map(Time);
    let (actor, door) = (read::read(source)?, read::read(source)?);
    let (command_id, content_hash) = match read::read::<Option<OwnedCommand>, _>(source)? {
        Some(command) => (Some(command.id.into_text()), u64::from_be_bytes(command.content_hash)),
        None => (None, 0),
    };
    let reason = read::read(source)?;
    let envelope = Envelope { recorded_at, occurred_at, actor, door, command_id, content_hash, reason };
    Ok(Recorded { position, envelope, event: read::read(source)? })
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

/// The digest of a tenant's state: ids and figures, no outside name, so that an erasure leaves it as it was. What is hashed
/// of a large one is hashed on a thread beside.
///
/// # Panics
/// If no thread can be had.
#[must_use]
pub fn digest(tenant: &Tenant) -> [u8; 32] {
    let tenant = tenant.without_names();
    std::thread::scope(|scope| {
        let (mut hasher, mut beside) = (Sha256::new(), None);
        let encoded = encode_in_blocks(&tenant, BLOCK_BYTES, &mut |block| {
            if block.len() < BLOCK_BYTES / 2 && beside.is_none() {
                hasher.update(&*block);
                block.clear();
                return Ok(());
            }
            let (give, _) = beside.get_or_insert_with(|| {
                let (give, blocks) = bounded::<Vec<u8>>(BLOCKS_AHEAD_MAX);
                let mut hasher = std::mem::take(&mut hasher);
                let hash = move || {
                    blocks.into_iter().for_each(|block| hasher.update(block));
                    hasher
                };
                (give, scope.spawn(hash))
            });
            give.send(std::mem::take(block)).map_err(io::Error::other)
        });
        encoded.expect("a state of plain data encodes, and a hasher takes every byte");
        if let Some((give, hashing)) = beside {
            drop(give);
            hasher = hashing.join().expect("hashing does not panic");
        }
        hasher.finalize().into()
    })
}

/// What is hashed beside goes there in blocks of so many bytes, so many of which wait.
const BLOCK_BYTES: usize = 256 << 10;
const BLOCKS_AHEAD_MAX: usize = 4;

/// A cache's contents as bytes, for snapshots, whose file has its own hash.
///
/// # Errors
/// What whoever takes them said.
pub fn encode_cache<T: Serialize + ?Sized>(value: &T, into: &mut dyn io::Write) -> io::Result<()> {
    let mut away = |block: &mut Vec<u8>| {
        into.write_all(block)?;
        block.clear();
        Ok(())
    };
    encode_in_blocks(value, 64 << 10, &mut away)
}

/// Each call takes a block and leaves it empty.
fn encode_in_blocks<T: Serialize + ?Sized>(
    value: &T,
    block_bytes: usize,
    away: &mut impl FnMut(&mut Vec<u8>) -> io::Result<()>,
) -> io::Result<()> {
    let mut gathered = write::Gathered::new(block_bytes, away);
    write::write(value, &mut gathered)?;
    Ok(gathered.finish()?)
}

/// Reads a cache's contents back. The hash of the bytes need not be known yet: whoever reads believes what comes of them when
/// it is.
///
/// # Errors
/// When the bytes are no such contents.
pub fn decode_cache<T: DeserializeOwned>(payload: &mut Payload) -> io::Result<T> {
    Ok(read::read(&mut read::Blocks::new(|block| payload.next(block)))?)
}

#[cfg(test)]
mod both;
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

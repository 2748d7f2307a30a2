//! The keys of one log, one after the other: which heads each of them signs, and how who trusts one of them comes to
//! trust the next. Not here: where the list is published, and secrets.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::key::{KeyKind, VerifierKey};
use super::note::{Note, NoteError};

/// A list of more keys is not read.
pub const LOG_KEYS_MAX: usize = 1024;
/// Before the two keys in the text of a head that hands over.
const KEY_CHANGE: &str = "key-change";

/// A key and the heads that it signs: those over at least `from_size` and at most `to_size` records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub key: VerifierKey,
    pub from_size: u64,
    /// `None` for the key of today.
    pub to_size: Option<u64>,
    /// The head over `to_size` records that names this key and the next, signed by both. `None` for the key of today, and
    /// where this key was lost before it could sign.
    pub handover: Option<String>,
}

/// The keys of a log, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKeys(Vec<KeyRange>);

/// Why a list of keys is none, or a head is not signed as the list says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    #[error("a list of a log's keys has at least one and at most {LOG_KEYS_MAX}")]
    Count,
    #[error("key {0} of the list signs heads from a size on that is not behind those of the key before it")]
    Order(usize),
    #[error("only the last key of the list has no end")]
    NoEnd,
    #[error("key {0} of the list is a witness's or of another log")]
    NotOfTheLog(usize),
    #[error("the key that is trusted is not in the list")]
    NotListed,
    #[error("what should hand over from key {place} of the list to the next does not: {error}")]
    Handover { place: usize, error: HandoverError },
    #[error("what hands over from key {0} of the list to the next is no head over as many records as the key signs")]
    HandoverSize(usize),
    #[error("the head over {size} records is signed with a key that signs heads {} only", span(*.from_size, *.to_size))]
    NotInForce { size: u64, from_size: u64, to_size: Option<u64> },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Why a note hands over from no key to another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    #[error("it is not signed by both: {0}")]
    NotSigned(#[from] CheckpointError),
    /// Anybody can make one of any head.
    #[error(
        "it names no keys, so it is a head like any other, under which anybody can sign. Programs wrote it so before heads that \
         hand over named keys: who trusts the key before that change has to be given the one behind it"
    )]
    NamesNone,
    #[error("it names other keys")]
    NamesOthers,
}

/// The line behind the root in the text of a head that hands over from one key to another. No other head of a log has it, so the
/// old key says by it alone which key comes next.
#[must_use]
pub fn key_change(old: &VerifierKey, new: &VerifierKey) -> String {
    format!("{KEY_CHANGE} {old} {new}")
}

/// The head in a note by which one key hands over to another: it names the two, and both have signed it.
///
/// # Errors
/// When it is none.
pub fn open_handover(note: &[u8], old: &VerifierKey, new: &VerifierKey) -> Result<(Checkpoint, Note), HandoverError> {
    let (head, note) = Checkpoint::open(note, old)?;
    note.open(std::slice::from_ref(new)).map_err(CheckpointError::from)?;
    if head.extensions.is_empty() {
        return Err(HandoverError::NamesNone);
    }
    if head.extensions == [key_change(old, new)] { Ok((head, note)) } else { Err(HandoverError::NamesOthers) }
}

fn span(from: u64, to: Option<u64>) -> String {
    to.map_or_else(|| format!("over {from} records and more"), |to| format!("over {from} to {to} records"))
}

impl LogKeys {
    /// # Errors
    /// When the ranges do not follow each other.
    pub fn new(ranges: Vec<KeyRange>) -> Result<Self, KeysError> {
        let log = ranges.first().filter(|_| ranges.len() <= LOG_KEYS_MAX).ok_or(KeysError::Count)?.key.name();
        let mut next_from = 0;
        for (place, range) in ranges.iter().enumerate() {
            if range.key.kind() != KeyKind::Plain || suffix(range.key.name()) != suffix(log) {
                return Err(KeysError::NotOfTheLog(place));
            }
            if range.from_size < next_from || range.to_size.is_some_and(|to| to < range.from_size) {
                return Err(KeysError::Order(place));
            }
            if range.to_size.is_none() != (place + 1 == ranges.len()) {
                return Err(KeysError::NoEnd);
            }
            next_from = range.to_size.unwrap_or(range.from_size);
        }
        Ok(Self(ranges))
    }

    /// One key for all heads, for who knows nothing of others.
    #[must_use]
    pub fn only(key: VerifierKey) -> Self {
        Self(vec![KeyRange { key, from_size: 0, to_size: None, handover: None }])
    }

    #[must_use]
    pub fn ranges(&self) -> &[KeyRange] {
        &self.0
    }

    /// What the key that somebody trusts vouches for: itself, and every key before and behind it to which heads lead that
    /// name two of them and that both have signed. What was handed over without the old key's signature is left out.
    ///
    /// # Errors
    /// When the key is not in the list, or a handover in it is not what it should be.
    pub fn trusted_from(&self, trusted: &VerifierKey) -> Result<Self, KeysError> {
        let (mut run, mut is_found) = (vec![], false);
        for (place, range) in self.0.iter().enumerate() {
            run.push(range.clone());
            is_found |= range.key == *trusted;
            let leads_on = self.0.get(place + 1).map_or(Ok(false), |next| range.hands_over(place, next))?;
            if is_found && !leads_on {
                return Ok(Self(run));
            }
            if !leads_on {
                run.clear();
            }
        }
        Err(KeysError::NotListed)
    }

    /// The checkpoint in a note that a key of the list has signed, in the range that it signs.
    ///
    /// # Errors
    /// When it is no checkpoint of the log, or signed by none of these keys while it was in force.
    pub fn open(&self, note: &[u8]) -> Result<(Checkpoint, Note), KeysError> {
        let mut refused = None;
        for range in &self.0 {
            match Checkpoint::open(note, &range.key) {
                Ok((checkpoint, note)) if range.signs(checkpoint.size) => return Ok((checkpoint, note)),
                Ok((checkpoint, _)) => {
                    let (from_size, to_size) = (range.from_size, range.to_size);
                    refused = Some(KeysError::NotInForce { size: checkpoint.size, from_size, to_size });
                }
                Err(CheckpointError::Note(NoteError::NoKnownKey)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused.unwrap_or(CheckpointError::Note(NoteError::NoKnownKey).into()))
    }
}

/// Log id and tenant: the name before them may have been changed.
fn suffix(name: &str) -> &str {
    let mut slashes = name.rmatch_indices('/').map(|(at, _)| at);
    let _before_the_tenant = slashes.next();
    slashes.next().and_then(|at| name.get(at..)).unwrap_or(name)
}

impl KeyRange {
    fn signs(&self, size: u64) -> bool {
        size >= self.from_size && self.to_size.is_none_or(|to| size <= to)
    }

    /// Whether the next key is vouched for by this one, and this one by the next.
    fn hands_over(&self, place: usize, next: &Self) -> Result<bool, KeysError> {
        let Some(handover) = &self.handover else { return Ok(false) };
        // the log may have another name by now, and the next key with it
        let next_key = next.key.named(self.key.name()).map_err(|_| KeysError::NotOfTheLog(place))?;
        let opened = open_handover(handover.as_bytes(), &self.key, &next_key);
        let (head, _) = opened.map_err(|error| KeysError::Handover { place, error })?;
        if Some(head.size) == self.to_size { Ok(true) } else { Err(KeysError::HandoverSize(place)) }
    }
}

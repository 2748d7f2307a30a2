//! Checking a bundle with nothing but the file and the log's verifier key: every byte of the tar, the signed head, every proof,
//! and that the words say what the records say. One proof and one event are in memory at a time, beside the words.

use super::read::Files;
use super::{
    ABOUT, About, BUNDLE_EVENTS_MAX, CHECKPOINT, EVENTS, EVENTS_BYTES_MAX, FORMAT, KEYS, README, SCHEMAS, VERSION,
    proof_name, readme,
};
use crate::audit::events::{EventView, NAMES, PROFILE};
use crate::audit::export::{LINE_BYTES_MAX, ndjson_line};
use crate::domain::event::Recorded;
use crate::ledger::decode_record;
use crate::merkle::{
    Checkpoint, CheckpointError, KeyKind, NOTE_BYTES_MAX, Note, PROOF_FILE_BYTES_MAX, ProofError, ProofFile,
    ProofFileError, VerifierKey, check_inclusion, leaf,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read;

const SMALL_BYTES_MAX: usize = 64 << 10;
const SCHEMA_BYTES_MAX: usize = 4 << 20;

/// Why a bundle is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("the file can't be read: {0}")]
    Io(String),
    #[error("the file ends before {0}")]
    CutOff(String),
    #[error("{0} is missing")]
    Missing(String),
    #[error("{found} stands where {expected} should be")]
    OtherFile { expected: String, found: String },
    #[error("{file}: {what}")]
    Tar { file: String, what: String },
    #[error("{0} is not what SHA256SUMS says")]
    Sum(String),
    #[error("something stands behind the end of the bundle")]
    Behind,
    #[error("{0} is not the one that version {VERSION} of this program puts there, and {ABOUT} says that it did")]
    Replaced(String),
    #[error("{ABOUT}: {0}")]
    About(String),
    #[error("{KEYS}: line {0} is no verifier key")]
    Keys(usize),
    #[error("no key is given, and the bundle has none of the log {0}")]
    NoKey(String),
    #[error("{CHECKPOINT}: {0}")]
    Checkpoint(#[from] CheckpointError),
    #[error("{CHECKPOINT} is of {found} records, and {ABOUT} says {said}")]
    Size { said: u64, found: u64 },
    #[error("{EVENTS} has {found} lines, and {ABOUT} says {said}")]
    Count { said: u64, found: usize },
    #[error("{EVENTS}, line {line}: {what}")]
    Event { line: usize, what: String },
    #[error("{file}: {error}")]
    ProofFile { file: String, error: ProofFileError },
    #[error("{file}: {error}")]
    Proof { file: String, error: ProofError },
    #[error("{file} is of position {found}")]
    OtherPosition { file: String, found: u64 },
    #[error("{0} has another head than {CHECKPOINT}")]
    OtherHead(String),
    #[error("{file}: {what}")]
    Record { file: String, what: String },
}

/// What a good bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBundle {
    pub about: About,
    /// The names of the known witnesses that have cosigned the head.
    pub witnesses: Vec<String>,
    /// The names of others that have, by keys that stand in the bundle alone: anybody can put such keys there.
    pub claimed_witnesses: Vec<String>,
    /// The key stood in the bundle alone: that the log is whose it says, nobody has shown.
    pub is_key_its_own: bool,
    /// What stands in it beside the evidence, to be read or run, and is not what this program puts there: another version made the
    /// bundle, or somebody who says so.
    pub other_files: Vec<String>,
}

/// Checks a bundle whole. `keys` are verifier keys of logs and witnesses that were had from elsewhere; without one of a log,
/// that in the bundle is taken. Blocking.
///
/// # Errors
/// The first thing that is not as it must be.
pub fn verify(
    from: &mut dyn Read,
    keys: &[VerifierKey],
    progress: &dyn Fn(u64, u64),
) -> Result<VerifiedBundle, BundleError> {
    let mut files = Files::of(from);
    let about: About = serde_json::from_slice(&files.next(ABOUT, SMALL_BYTES_MAX)?)
        .map_err(|error| BundleError::About(error.to_string()))?;
    if about.format != FORMAT {
        return Err(BundleError::About(format!("format {} is not one that this program reads", about.format)));
    }
    if about.events > BUNDLE_EVENTS_MAX as u64 {
        return Err(BundleError::About(format!("a bundle has at most {BUNDLE_EVENTS_MAX} events")));
    }
    let read_first = files.next(README, SMALL_BYTES_MAX)?;
    let note = files.next(CHECKPOINT, NOTE_BYTES_MAX)?;
    let inside = keys_of(&files.next(KEYS, SMALL_BYTES_MAX)?)?;
    let is_log = |key: &&VerifierKey| key.kind() == KeyKind::Plain;
    let is_key_its_own = !keys.iter().any(|key| is_log(&key));
    let logs: Vec<&VerifierKey> = if is_key_its_own { &inside } else { keys }.iter().filter(is_log).collect();
    let (head, signed) = head_of(&note, &about, &logs)?;
    let witnesses = cosigners(&signed, keys.iter());
    let claimed_witnesses = cosigners(&signed, inside.iter().filter(|key| !keys.contains(key)));
    let lines = files.next(EVENTS, EVENTS_BYTES_MAX)?;
    let lines = lines_of(&lines, &about)?;
    let mut before = None;
    for (number, line) in (1..).zip(&lines) {
        let wrong = |what: String| BundleError::Event { line: number, what };
        if line.len() > LINE_BYTES_MAX {
            return Err(wrong(format!("it is longer than {LINE_BYTES_MAX} bytes")));
        }
        let said: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let position = said.get("position").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
        let position = position.filter(|position| before.is_none_or(|before| *position > before));
        let position = position.ok_or_else(|| wrong("its position is none that follows the one before".into()))?;
        before = Some(position);
        let recorded = proven(&mut files, position, &head, &note)?;
        compare(&about.log, &recorded, line, said).map_err(wrong)?;
        progress(number as u64, about.events);
    }
    let mut other_files = Vec::new();
    let mut compare_ours = |name: &str, found: &[u8], ours: &str| {
        if found == ours.as_bytes() {
            return Ok(());
        }
        other_files.push(name.to_owned());
        if about.version == VERSION { Err(BundleError::Replaced(name.to_owned())) } else { Ok(()) }
    };
    compare_ours(README, &read_first, &readme(&about))?;
    for (name, ours) in SCHEMAS {
        compare_ours(name, &files.next(name, SCHEMA_BYTES_MAX)?, ours)?;
    }
    files.end()?;
    Ok(VerifiedBundle { about, witnesses, claimed_witnesses, is_key_its_own, other_files })
}

fn keys_of(bytes: &[u8]) -> Result<Vec<VerifierKey>, BundleError> {
    let text = String::from_utf8_lossy(bytes);
    (1..).zip(text.lines()).map(|(number, line)| line.parse().map_err(|_| BundleError::Keys(number))).collect()
}

/// The head that a known log has signed.
fn head_of(note: &[u8], about: &About, logs: &[&VerifierKey]) -> Result<(Checkpoint, Note), BundleError> {
    let named = logs.iter().filter(|key| key.name() == about.log);
    let (mut opened, mut failed) = (None, None);
    for key in named {
        match Checkpoint::open(note, key) {
            Ok(head) => opened = Some(head),
            Err(error) => failed = Some(error),
        }
    }
    let (head, note) = match (opened, failed) {
        (Some(opened), _) => opened,
        (None, Some(error)) => return Err(error.into()),
        (None, None) => return Err(BundleError::NoKey(about.log.clone())),
    };
    if head.size != about.size {
        return Err(BundleError::Size { said: about.size, found: head.size });
    }
    Ok((head, note))
}

/// The names of those of these witnesses that have cosigned the head.
fn cosigners<'k>(note: &Note, keys: impl Iterator<Item = &'k VerifierKey>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for witness in keys.filter(|key| key.kind() == KeyKind::Cosigner) {
        let signed = note.signatures.iter().find(|signature| witness.is_named_by(signature));
        if signed.is_some_and(|signature| witness.check(&note.text, signature).is_ok()) {
            names.insert(witness.name().to_owned());
        }
    }
    names.into_iter().collect()
}

fn lines_of<'l>(bytes: &'l [u8], about: &About) -> Result<Vec<&'l str>, BundleError> {
    let text = std::str::from_utf8(bytes).map_err(|_| BundleError::Event { line: 1, what: "it is no text".into() })?;
    // counted first: a list of empty lines takes far more memory than they do
    let found = text.split_inclusive('\n').count();
    if found as u64 != about.events {
        return Err(BundleError::Count { said: about.events, found });
    }
    Ok(text.split_inclusive('\n').collect())
}

/// The record of a position, if the head covers it there.
fn proven(files: &mut Files<'_>, position: u64, head: &Checkpoint, note: &[u8]) -> Result<Recorded, BundleError> {
    let file = proof_name(position);
    let bytes = files.next(&file, PROOF_FILE_BYTES_MAX)?;
    let proof = ProofFile::parse(&bytes).map_err(|error| BundleError::ProofFile { file: file.clone(), error })?;
    if proof.index != position {
        return Err(BundleError::OtherPosition { file, found: proof.index });
    }
    if proof.checkpoint.as_bytes() != note {
        return Err(BundleError::OtherHead(file));
    }
    let Some(record) = proof.extra.as_deref() else {
        return Err(BundleError::ProofFile { file, error: ProofFileError::NoRecord });
    };
    let checked = check_inclusion(&leaf(record), position, head.size, &proof.path, &head.root);
    checked.map_err(|error| BundleError::Proof { file: file.clone(), error })?;
    decode_record(position, record).map_err(|error| BundleError::Record { file, what: error.to_string() })
}

/// Whether a line says the record in the words of an export, to the byte. Names are as they are said: the record has them
/// sealed.
fn compare(log: &str, recorded: &Recorded, line: &str, said: Value) -> Result<(), String> {
    let slug = log.rsplit('/').next().unwrap_or_default();
    let mut view = EventView::closed(recorded);
    for name in [PROFILE, NAMES] {
        if let (Some(place), Some(opened)) = (view.data.get_mut(name), said.get("data").and_then(|data| data.get(name)))
        {
            if !opened.is_null() && !opened.is_object() {
                return Err(format!("data.{name} is neither null nor an object"));
            }
            *place = opened.clone();
        }
    }
    let mut expected = Vec::new();
    ndjson_line(&mut expected, slug, recorded, &view).map_err(|error| error.to_string())?;
    if expected == line.as_bytes() {
        return Ok(());
    }
    let expected: Value = serde_json::from_slice(&expected).map_err(|error| error.to_string())?;
    let place = first_difference(&said, &expected).unwrap_or_else(|| "the way in which it is written".to_owned());
    Err(format!("{place} is not what the record at position {} says", recorded.position))
}

/// Where two values differ, by the names on the way.
fn first_difference(said: &Value, expected: &Value) -> Option<String> {
    let (Value::Object(said), Value::Object(expected)) = (said, expected) else {
        return (said != expected).then(String::new);
    };
    let names = said.keys().chain(expected.keys().filter(|name| !said.contains_key(*name)));
    names.into_iter().find_map(|name| {
        let inner =
            first_difference(said.get(name).unwrap_or(&Value::Null), expected.get(name).unwrap_or(&Value::Null));
        let inner = inner.or_else(|| (said.contains_key(name) != expected.contains_key(name)).then(String::new))?;
        Some(if inner.is_empty() { name.clone() } else { format!("{name}.{inner}") })
    })
}

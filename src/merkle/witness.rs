//! What a log asks of a witness (C2SP tlog-witness, `add-checkpoint`), and how a witness judges it: it cosigns one history
//! per log, and refuses every fork of it. Not here: what a witness remembers, and HTTP.

use super::check::{ProofError, check_consistency};
use super::checkpoint::{Checkpoint, CheckpointError, decode_hash};
use super::hash::{Hash, empty_root};
use super::key::VerifierKey;
use super::note::{NOTE_BYTES_MAX, Note, NoteError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// The format allows no more.
const HASHES_MAX: usize = 63;
/// A larger request is not read.
pub const SUBMISSION_BYTES_MAX: usize = NOTE_BYTES_MAX + (4 << 10);

/// A head to cosign, with the proof that it goes on from what the witness cosigned last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The size that the witness cosigned last, 0 for none.
    pub old: u64,
    pub path: Vec<Hash>,
    /// The signed checkpoint, as it is.
    pub checkpoint: String,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a request is a line with the old size, up to 63 lines of a proof, an empty line, and a checkpoint: {0}")]
    Unreadable(&'static str),
    #[error("the checkpoint can't be read: {0}")]
    Checkpoint(CheckpointError),
    #[error("no log of the name {0} is known here")]
    UnknownLog(String),
    #[error("the checkpoint is not signed by the log: {0}")]
    NotSigned(NoteError),
    #[error("the log has signed with a newer key since, {0}")]
    OldKey(String),
    #[error("the old size {old} is above the new one, {new}")]
    Backwards { old: u64, new: u64 },
    /// The client may ask again from there.
    #[error("the last size that was cosigned here is {0}")]
    OtherSize(u64),
    /// Two roots for one size: the log shows different histories to different people.
    #[error("another root was cosigned here for {size} records: {cosigned}")]
    Fork { size: u64, cosigned: String },
    #[error("it does not go on from what was cosigned here: {0}")]
    NotConsistent(ProofError),
}

impl Refusal {
    /// The status that the format wants.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unreadable(_) | Self::Checkpoint(_) | Self::Backwards { .. } => 400,
            Self::NotSigned(_) | Self::OldKey(_) => 403,
            Self::UnknownLog(_) => 404,
            Self::OtherSize(_) | Self::Fork { .. } => 409,
            Self::NotConsistent(_) => 422,
        }
    }
}

/// The last head that a witness has cosigned of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
    /// The place, among the keys that are known of the log, of the newest one that has signed the head. An older one is not
    /// gone back to.
    pub key: Option<usize>,
}

impl Submission {
    /// # Errors
    /// When the bytes are no such request.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > SUBMISSION_BYTES_MAX {
            return Err(Refusal::Unreadable("it is too long"));
        }
        std::str::from_utf8(bytes).map_err(|_| Refusal::Unreadable("it is no text"))?.parse()
    }

    /// Which log it speaks of, by its own word.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.checkpoint.lines().next().unwrap_or_default()
    }

    /// Judges the head: `known` are the keys of logs, the newest of each last; `last` is what was cosigned last for this
    /// origin. The note that is answered has one line of each known key that has signed, and none of anybody else: what
    /// a witness keeps is not for strangers to fill.
    ///
    /// # Errors
    /// Why it is not to be cosigned.
    pub fn judge(&self, known: &[VerifierKey], last: Option<&Cosigned>) -> Result<(Cosigned, Note), Refusal> {
        let mut note = Note::parse(self.checkpoint.as_bytes()).map_err(|error| Refusal::Checkpoint(error.into()))?;
        let checkpoint: Checkpoint = note.text.parse().map_err(Refusal::Checkpoint)?;
        let keys: Vec<VerifierKey> = known.iter().filter(|key| key.name() == checkpoint.origin).cloned().collect();
        if keys.is_empty() {
            return Err(Refusal::UnknownLog(checkpoint.origin));
        }
        let newest = newest_signer(&keys, &note).map_err(Refusal::NotSigned)?;
        if let Some(newer) = last.and_then(|last| last.key).filter(|last| newest.is_none_or(|newest| newest < *last)) {
            return Err(Refusal::OldKey(keys.get(newer).map(ToString::to_string).unwrap_or_default()));
        }
        if self.old > checkpoint.size {
            return Err(Refusal::Backwards { old: self.old, new: checkpoint.size });
        }
        let (size, root) = last.map_or((0, empty_root()), |last| (last.size, last.root));
        if self.old != size {
            return Err(Refusal::OtherSize(size));
        }
        if size == checkpoint.size && root != checkpoint.root {
            return Err(Refusal::Fork { size, cosigned: STANDARD.encode(root) });
        }
        check_consistency(size, checkpoint.size, &self.path, &root, &checkpoint.root)
            .map_err(Refusal::NotConsistent)?;
        let line_of = |key: &VerifierKey| note.signatures.iter().find(|line| key.is_named_by(line)).cloned();
        note.signatures = keys.iter().filter_map(line_of).collect();
        let Checkpoint { origin, size, root, .. } = checkpoint;
        Ok((Cosigned { origin, size, root, key: newest }, note))
    }
}

impl Cosigned {
    /// What a note says that was cosigned before, by the keys of logs that are known now. A key that is not known any more
    /// says nothing.
    ///
    /// # Errors
    /// When it is no checkpoint.
    pub fn of(note: &Note, known: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let Checkpoint { origin, size, root, .. } = note.text.parse()?;
        let keys: Vec<VerifierKey> = known.iter().filter(|key| key.name() == origin).cloned().collect();
        let key = newest_signer(&keys, note).unwrap_or(None);
        Ok(Self { origin, size, root, key })
    }
}

/// The place of the last of these keys that has signed.
fn newest_signer(keys: &[VerifierKey], note: &Note) -> Result<Option<usize>, NoteError> {
    let signed = note.open(keys)?;
    Ok(keys.iter().rposition(|key| signed.iter().any(|(signer, _)| *signer == key)))
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for Submission {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(Refusal::Unreadable("there is no empty line"))?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).unwrap_or_default();
        let number: u64 = old.parse().map_err(|_| Refusal::Unreadable("the old size is no number"))?;
        if number.to_string() != old {
            return Err(Refusal::Unreadable("the old size has zeros or a sign before it"));
        }
        let mut path = vec![];
        for line in lines {
            let hash = decode_hash(line).filter(|_| path.len() < HASHES_MAX);
            path.push(hash.ok_or(Refusal::Unreadable("a line of the proof is not base64 of a hash, or one too many"))?);
        }
        Ok(Self { old: number, path, checkpoint: checkpoint.to_owned() })
    }
}

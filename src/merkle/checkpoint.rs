//! A checkpoint (C2SP tlog-checkpoint): which log, how many leaves, which root; the text of a note that the log signs.
//! Not here: when one is signed.

use super::hash::Hash;
use super::key::{Signer, VerifierKey};
use super::note::{NOTE_BYTES_MAX, Note, NoteError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// A tree head of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log, as a key's name is written.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    pub root: Hash,
    /// Lines behind the three. Of ours, only a head that hands over to another key has one.
    pub extensions: Vec<String>,
}

/// Why bytes are no checkpoint of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("a checkpoint has three lines, an origin, a size and a root, and perhaps more that are not empty")]
    Lines,
    #[error("the size of a tree is a number without leading zeros, below 2^64")]
    Size,
    #[error("a root is base64 of 32 bytes")]
    Root,
    #[error("it is of {found} and not of {expected}")]
    Origin { expected: String, found: String },
}

impl Checkpoint {
    #[must_use]
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extensions: vec![] }
    }

    #[must_use]
    pub fn signed(&self, signer: &Signer) -> Note {
        let text = self.to_string();
        let signatures = vec![signer.sign(&text)];
        Note { text, signatures }
    }

    /// The checkpoint in a note that the log's key has signed; a log is called like its key.
    ///
    /// # Errors
    /// When it is no note, not signed by the key, no checkpoint, or one of another log.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<(Self, Note), CheckpointError> {
        let note = Note::parse(note)?;
        note.open(std::slice::from_ref(key))?;
        let checkpoint: Self = note.text.parse()?;
        if checkpoint.origin != key.name() {
            return Err(CheckpointError::Origin { expected: key.name().to_owned(), found: checkpoint.origin });
        }
        Ok((checkpoint, note))
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong.into());
        }
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?.split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else { return Err(CheckpointError::Lines) };
        if lines.iter().any(|line| line.is_empty()) {
            return Err(CheckpointError::Lines);
        }
        let number = size.parse().map_err(|_| CheckpointError::Size)?;
        let root = decode_hash(root).ok_or(CheckpointError::Root)?;
        let extensions = extensions.iter().map(|line| (*line).to_owned()).collect();
        let checkpoint = Self { origin: (*origin).to_owned(), size: number, root, extensions };
        // one way to write a number: no sign, no zeros before it
        if number.to_string() == *size { Ok(checkpoint) } else { Err(CheckpointError::Size) }
    }
}

/// A hash in base64, the only way to write it.
pub(super) fn decode_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

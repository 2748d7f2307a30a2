//! A proof in a file (C2SP tlog-proof): where a record stands, the way up to the root, and the signed head; with the
//! record beside it, so that who has the file and the log's verifier key needs nothing else. Not here: making proofs.

use super::check::{HASHES_MAX, ProofError, check_inclusion};
use super::checkpoint::{Checkpoint, CheckpointError, decode_hash};
use super::hash::{Hash, leaf};
use super::key::VerifierKey;
use super::note::NOTE_BYTES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Of a record of 65,535 bytes, a note and a path, with room.
pub const PROOF_FILE_BYTES_MAX: usize = NOTE_BYTES_MAX + (128 << 10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// What stands beside the proof and is not covered by it as such: here the record's bytes, whose hash is.
    pub extra: Option<Vec<u8>>,
    pub index: u64,
    /// From the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as it is.
    pub checkpoint: String,
}

/// Why a file proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    #[error("a proof of more than {PROOF_FILE_BYTES_MAX} bytes is not read")]
    TooLong,
    #[error("a proof is text that begins with the line {FIRST_LINE}")]
    Header,
    #[error("the line behind extra is not base64")]
    Extra,
    #[error("there is no line with the index, a number without leading zeros")]
    Index,
    #[error("line {0} of the path is not base64 of a hash, or one too many")]
    Path(usize),
    #[error("there is no empty line with a checkpoint behind it")]
    NoCheckpoint,
    #[error("the record is not in the file")]
    NoRecord,
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl ProofFile {
    /// # Errors
    /// What is wrong with the bytes; whether they prove anything, [`Self::check`] says.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        if bytes.len() > PROOF_FILE_BYTES_MAX {
            return Err(ProofFileError::TooLong);
        }
        std::str::from_utf8(bytes).map_err(|_| ProofFileError::Header)?.parse()
    }

    /// Checks the signature of the log, and that the record in the file is in its tree. Answers the record, its position
    /// is `index`, and the head.
    ///
    /// # Errors
    /// Why it is not shown.
    pub fn check(&self, key: &VerifierKey) -> Result<(&[u8], Checkpoint), ProofFileError> {
        let (checkpoint, _) = Checkpoint::open(self.checkpoint.as_bytes(), key)?;
        Ok((self.check_in(&checkpoint)?, checkpoint))
    }

    /// Checks that the record in the file is in the tree of this head, whoever signed it. Answers the record.
    ///
    /// # Errors
    /// Why it is not shown.
    pub fn check_in(&self, head: &Checkpoint) -> Result<&[u8], ProofFileError> {
        let record = self.extra.as_deref().ok_or(ProofFileError::NoRecord)?;
        check_inclusion(&leaf(record), self.index, head.size, &self.path, &head.root)?;
        Ok(record)
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for ProofFile {
    type Err = ProofFileError;

    fn from_str(text: &str) -> Result<Self, ProofFileError> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofFileError::NoCheckpoint)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofFileError::Header);
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.and_then(|line| line.strip_prefix("extra ")).map(|encoded| STANDARD.decode(encoded));
        let extra = extra.transpose().map_err(|_| ProofFileError::Extra)?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(ProofFileError::Index)?;
        let number: u64 = index.parse().map_err(|_| ProofFileError::Index)?;
        if number.to_string() != index {
            return Err(ProofFileError::Index);
        }
        let mut path = vec![];
        for (at, line) in (1..).zip(lines) {
            let hash = decode_hash(line).filter(|_| at <= HASHES_MAX);
            path.push(hash.ok_or(ProofFileError::Path(at))?);
        }
        Ok(Self { extra, index: number, path, checkpoint: checkpoint.to_owned() })
    }
}

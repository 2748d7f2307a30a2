//! A certificate: what a log swears about a period, signed, so that anybody can count it again from the records alone.
//!
//! ```text
//! reports ──▶ make ──sign──▶ the file ──▶ parse ──▶ compare ◀── fold ◀── records ◀── tiles
//! ```
//!
//! Here: its lines, and how they are written and read. `make.rs` fills them from the marks that reports read; `fold.rs` counts
//! the records one by one and shares nothing with that; `verify.rs` holds one against the other.

mod figures;
mod fold;
mod make;
mod verify;

pub use figures::{Difference, Over, PoolFigures};
pub use make::{CertificateError, certificate};
pub use verify::{Bundles, TilesError, Verified, VerifyError, verify};

use crate::domain::ids::PoolId;
use crate::domain::time::Time;
use crate::merkle::Hash;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One end of the period: the tree of all records before it, or up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many records.
    pub size: u64,
    /// Base64, as in a checkpoint.
    pub root: String,
    /// When the last of them was recorded; nothing of no records.
    pub recorded_at: Option<Time>,
}

/// The first line: which log, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The origin of the log's heads.
    pub log: String,
    /// Just before the period.
    pub from: Head,
    /// At its end.
    pub to: Head,
    /// The proof that the second head goes on from the first (RFC 9162 section 2.1.4).
    pub consistency: Vec<String>,
    /// The second head as the log signed it.
    pub checkpoint: String,
    /// The only pool that it speaks of; without it, of all.
    pub pool: Option<PoolId>,
    /// How many pools it speaks of.
    pub pools: u64,
    /// How often one of them was above its cap.
    pub times_over: u64,
}

/// Everything that a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub scope: Scope,
    /// In the order of their ids.
    pub pools: Vec<PoolFigures>,
}

/// What is wrong with the lines of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the certificate: {what}")]
pub struct Malformed {
    pub line: usize,
    pub what: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Pool(PoolFigures),
    Over(Over),
}

impl Certificate {
    /// One JSON object a line.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let mut text = json_line(&self.scope);
        for pool in &self.pools {
            text += &json_line(pool);
            pool.over.iter().for_each(|over| text += &json_line(over));
        }
        text
    }

    /// Reads what [`Self::to_lines`] writes, and nothing else.
    ///
    /// # Errors
    /// The first line that is another.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut lines = (2..).zip(text.lines());
        let wrong = |line: usize, what: &str| Malformed { line, what: what.to_owned() };
        let (_, first) = lines.next().ok_or_else(|| wrong(2, "it is missing"))?;
        let scope = serde_json::from_str(first).map_err(|error| wrong(2, &error.to_string()))?;
        let mut certificate = Self { scope, pools: vec![] };
        for (number, line) in lines {
            let read: Line = serde_json::from_str(line)
                .map_err(|_| wrong(number, "it is neither a pool's figures nor a time above the cap"))?;
            match (read, certificate.pools.last_mut()) {
                (Line::Pool(pool), last) if last.as_ref().is_none_or(|last| last.pool < pool.pool) => {
                    certificate.pools.push(pool);
                }
                (Line::Over(over), Some(last)) if last.pool == over.pool => last.over.push(over),
                (Line::Pool(_) | Line::Over(_), _) => return Err(wrong(number, "it stands behind another pool")),
            }
        }
        let written = certificate.to_lines();
        if written == text {
            return Ok(certificate);
        }
        let other = written.lines().zip(text.lines()).position(|(written, found)| written != found);
        Err(wrong(other.map_or(2, |at| at + 2), "it is written in another way than certificates are"))
    }
}

fn json_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("figures are plain data with text keys") + "\n"
}

fn encoded(hash: &Hash) -> String {
    STANDARD.encode(hash)
}

fn decoded(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

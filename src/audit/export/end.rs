//! The last line of an export as lines: up to where the lines before it go, and their sum. A file without it was cut, and
//! nobody can tell otherwise, since every position is a good place to end. Not here: the other lines, and CSV, which has none.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io;

/// No type of an event: those have no second dot.
const TYPE: &str = "seatledger.export.ended";

/// Positions `from` to `next_position`, without the latter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::audit) struct End {
    pub(in crate::audit) from: u64,
    pub(in crate::audit) next_position: u64,
    /// Of their lines, each with its line feed, in hexadecimal digits.
    pub(in crate::audit) sha256: String,
}

/// A CloudEvent too, so that whoever reads such lines reads this one.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    datacontenttype: String,
    data: End,
}

impl End {
    pub(in crate::audit) fn of(from: u64, next_position: u64, lines: Sha256) -> Self {
        Self { from, next_position, sha256: hex::encode(lines.finalize()) }
    }

    pub(in crate::audit) fn line(&self, slug: &str) -> io::Result<Vec<u8>> {
        let line = Line {
            specversion: "1.0".into(),
            id: format!("{slug}/{}-{}", self.from, self.next_position),
            source: format!("/v1/tenants/{slug}/export/events"),
            kind: TYPE.into(),
            datacontenttype: "application/json".into(),
            data: self.clone(),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        Ok(text)
    }

    /// What a line says that is no event; `None` where it is no end either, or one of another tenant.
    pub(in crate::audit) fn read(text: &[u8], slug: &str) -> Option<Self> {
        let end = serde_json::from_slice::<Line>(text).ok()?.data;
        let line = end.line(slug).ok()?;
        (line.trim_ascii_end() == text.trim_ascii_end()).then_some(end)
    }
}

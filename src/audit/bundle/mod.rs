//! An evidence bundle: chosen events in one file that needs nothing else, neither the service nor us. A tar, as a backup is:
//!
//! ```text
//! bundle.json  README.txt  checkpoint  keys  events.ndjson  proofs/<position>.tlog-proof ...  schemas/...  SHA256SUMS
//! ```
//!
//! A proof has the record as it is stored; a line of `events.ndjson` says it in words, with the names that whoever asked may
//! see. Here: what stands where, and the bounds. `write.rs` makes a bundle, `read.rs` takes its tar apart to the last byte,
//! `verify.rs` believes nothing of it.

mod read;
mod verify;
mod write;

pub use verify::{BundleError, VerifiedBundle, verify};
pub use write::{GatherError, Gathered, gather};

use serde::{Deserialize, Serialize};

/// A bundle has no more events; few in tests, whose histories are short.
pub const BUNDLE_EVENTS_MAX: usize = if cfg!(test) { 250 } else { 10_000 };
/// Nor are their lines longer together.
pub const EVENTS_BYTES_MAX: usize = 64 << 20;
/// Changes when an older program could not check the bundle.
const FORMAT: u32 = 1;
/// Of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const ABOUT: &str = "bundle.json";
const README: &str = "README.txt";
const CHECKPOINT: &str = "checkpoint";
const KEYS: &str = "keys";
const EVENTS: &str = "events.ndjson";
const SUMS: &str = "SHA256SUMS";

/// What a reader in another language needs, as it is published.
const SCHEMAS: [(&str, &str); 3] = [
    ("schemas/log-format.md", include_str!("../../../schemas/log-format.md")),
    ("schemas/events/v1/types.json", include_str!("../../../schemas/events/v1/types.json")),
    ("schemas/reader/seatledger_log.py", include_str!("../../../schemas/reader/seatledger_log.py")),
];

/// The content of `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    pub format: u32,
    /// The program that wrote it.
    pub version: String,
    /// The origin of the log's heads.
    pub log: String,
    /// How many records the head in `checkpoint` covers.
    pub size: u64,
    /// How many events are in the file.
    pub events: u64,
}

fn proof_name(position: u64) -> String {
    format!("proofs/{position}.tlog-proof")
}

/// The only header that a file of this name and length has. `None` if no bundle has such a file.
fn header(name: &str, bytes: u64) -> Option<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).ok()?;
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Some(header)
}

fn readme(about: &About) -> String {
    let About { log, size, events, .. } = about;
    format!(
        "{events} events of the log {log}, each with its record as it is stored and the proof that it is one of the\n\
         {size} records under the signed head in `checkpoint`. Nothing else is needed to check them, and not who gave you this.\n\
         \n\
         Check everything that is here:\n\
         \n\
         \x20   seatledger verify-bundle FILE --key KEY\n\
         \n\
         or, but for the signature, with Python alone and no program of ours (after tar xf FILE):\n\
         \n\
         \x20   python3 schemas/reader/seatledger_log.py bundle FILE\n\
         \n\
         The first compares the reader and this text with its own; before you run the second alone, take the reader from elsewhere.\n\
         \n\
         KEY is the log's verifier key, which you have from elsewhere; `keys` is a copy, and those of witnesses. Any tool for\n\
         C2SP signed-note and tlog-proof files checks `checkpoint` and `proofs/` too.\n\
         \n\
         events.ndjson  the events in words (CloudEvents 1.0). Names of people and devices are sealed in the records: in words\n\
         \x20              they stand as the service opened them, and null once a person is erased. No proof covers them.\n\
         proofs/        by position: the record and its way to the root (C2SP tlog-proof, the record as extra)\n\
         schemas/       the bytes of a record, its types, and a reader\n\
         SHA256SUMS     of every file before it; sha256sum -c reads it\n"
    )
}

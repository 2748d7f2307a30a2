//! The tree over a tenant's records, and everything by which a stranger checks it: RFC 6962 hashes, inclusion and
//! consistency proofs, and the C2SP formats for tiles, signed heads and proofs in a file.
//!
//! ```text
//! records ──leaf──▶ Peaks (grows, tells the root) ──▶ Checkpoint ──sign──▶ Note
//!                     └─ whole subtrees ─▶ tiles ─▶ Nodes ─▶ proofs ─▶ ProofFile
//! ```
//!
//! What makes proofs and what checks them share nothing but the two hash functions, so that one can't hide a mistake of
//! the other. Everything that checks or parses is bounded and refuses hostile input by name.
//!
//! **Absent on purpose:** files, threads, time, randomness, and any knowledge of what a record says.

mod check;
mod checkpoint;
mod hash;
mod key;
mod keys;
mod note;
mod pair;
mod peaks;
mod policy;
mod proof_file;
mod prove;
mod round;
mod statement;
#[cfg(test)]
mod tests;
mod tile;
mod witness;

pub use check::{HASHES_MAX, ProofError, check_consistency, check_inclusion};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::{Hash, empty_root, leaf, node, subtree_root};
pub use key::{KeyError, KeyKind, Signer, VerifierKey, is_key_name};
pub use keys::{HandoverError, KeyRange, KeysError, LOG_KEYS_MAX, LogKeys, key_change, open_handover};
pub use note::{NOTE_BYTES_MAX, Note, NoteError, SIGNATURES_MAX, Signature};
pub use peaks::Peaks;
pub use policy::{POLICY_BYTES_MAX, Policy, PolicyError, Unmet};
pub use proof_file::{PROOF_FILE_BYTES_MAX, ProofFile, ProofFileError};
pub use prove::{Nodes, consistency, inclusion, root_at};
pub use round::{ROUND_BYTES_MAX, RoundError, parse_round, round_text};
pub use statement::{
    CERTIFICATE_BYTES_MAX, CERTIFICATE_TITLE, StatementError, certificate_key, open_certificate, sign_certificate,
};
pub use tile::{
    BundleError, TILE_HEIGHT, TILE_WIDTH, TileAddress, TileError, TileKind, entries_in_bundle, put_into_bundle,
    tile_bytes, tile_hashes,
};
pub use witness::{Cosigned, Refusal, SUBMISSION_BYTES_MAX, Submission};

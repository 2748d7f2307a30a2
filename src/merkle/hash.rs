//! The two hash functions of RFC 6962 section 2.1 and what follows from them at once. Not here: trees that grow.

use sha2::{Digest, Sha256};

/// SHA-256 of a leaf or of an inner node.
pub type Hash = [u8; 32];

/// The hash of a leaf: of a record's bytes as they are stored.
#[must_use]
pub fn leaf(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// The hash of an inner node.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of a tree without leaves.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root over hashes of one level whose number is a power of two. `None` for any other number.
#[must_use]
pub fn subtree_root(hashes: &[Hash]) -> Option<Hash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut level = hashes.to_vec();
    while level.len() > 1 {
        level = level
            .chunks_exact(2)
            .filter_map(|pair| <&[Hash; 2]>::try_from(pair).ok())
            .map(|[l, r]| node(l, r))
            .collect();
    }
    level.first().copied()
}

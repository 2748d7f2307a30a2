//! Checking proofs, as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say it: with nothing but the proof, two sizes and two
//! hashes. Bounded, and without a panic on whatever is given. Not here: making one.

use super::hash::{Hash, empty_root, node};

/// More hashes than this no proof has: a tree of fewer than 2^64 leaves is at most 64 high.
pub const HASHES_MAX: usize = 65;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("leaf {index} is not in a tree of {size} leaves")]
    OutOfRange { index: u64, size: u64 },
    #[error("a tree of {from} leaves can't have grown into one of {to}")]
    Backwards { from: u64, to: u64 },
    #[error("the proof has {found} hashes, which is not what these sizes need")]
    WrongLength { found: usize },
    #[error("the proof leads to another root")]
    WrongRoot,
    #[error("the proof leads to another old root")]
    WrongOldRoot,
}

/// Whether `leaf` is leaf `index` of the tree of `size` leaves with this root.
///
/// # Errors
/// Why it is not shown.
pub fn check_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let wrong_length = ProofError::WrongLength { found: path.len() };
    if path.len() > HASHES_MAX {
        return Err(wrong_length);
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return Err(wrong_length);
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Whether the tree of `to` leaves with `new_root` begins with the tree of `from` leaves with `old_root`.
///
/// # Errors
/// Why it is not shown.
pub fn check_consistency(
    from: u64,
    to: u64,
    path: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if from > to {
        return Err(ProofError::Backwards { from, to });
    }
    let wrong_length = ProofError::WrongLength { found: path.len() };
    if path.len() > HASHES_MAX {
        return Err(wrong_length);
    }
    if from == 0 && *old_root != empty_root() {
        return Err(ProofError::WrongOldRoot);
    }
    if from == 0 || from == to {
        return match (path.is_empty(), from == 0 || old_root == new_root) {
            (false, _) => Err(wrong_length),
            (true, false) => Err(ProofError::WrongRoot),
            (true, true) => Ok(()),
        };
    }
    let (mut at, mut last) = (from - 1, to - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // the old tree, where it is one full subtree, begins the proof unsaid
    let (seed, rest) = match path.split_first() {
        _ if from.is_power_of_two() => (old_root, path),
        Some((first, rest)) => (first, rest),
        None => return Err(wrong_length),
    };
    let (mut old, mut new) = (*seed, *seed);
    for hash in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if at & 1 == 1 || at == last {
            old = node(hash, &old);
            new = node(hash, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node(&new, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old != *old_root {
        return Err(ProofError::WrongOldRoot);
    }
    if new == *new_root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

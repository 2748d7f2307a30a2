//! Making proofs from the roots of full subtrees, wherever they come from. Written after the recursive definitions of
//! RFC 6962 section 2.1. Not here: checking one (`check.rs`, which must not look here).

use super::hash::{Hash, empty_root, node};

/// Gives the roots of full subtrees.
pub trait Nodes {
    type Error;

    /// The root of the full subtree of `2^height` leaves that begins with leaf `index * 2^height`. Asked for such
    /// subtrees only as end within the tree.
    ///
    /// # Errors
    /// When it can't be had.
    fn node(&self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The greatest power of two below `leaves`, as its exponent; `leaves` is at least 2.
fn split(leaves: u64) -> u32 {
    (leaves - 1).ilog2()
}

/// The root over the leaves `begin..end`, which are at least one and begin at a multiple of their number's power of two.
fn range<N: Nodes>(nodes: &N, begin: u64, end: u64) -> Result<Hash, N::Error> {
    let leaves = end - begin;
    if leaves.is_power_of_two() {
        let height = leaves.ilog2();
        return nodes.node(height, begin >> height);
    }
    let height = split(leaves);
    let left = nodes.node(height, begin >> height)?;
    Ok(node(&left, &range(nodes, begin + (1 << height), end)?))
}

/// The root of the tree when it had `size` leaves.
///
/// # Errors
/// When a node can't be had.
pub fn root_at<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(empty_root()) } else { range(nodes, 0, size) }
}

/// The proof that leaf `index` is in the tree of `size` leaves: `PATH(index, D[size])`, from the leaf's sibling up.
///
/// # Errors
/// When a node can't be had.
///
/// # Panics
/// If the leaf is not in that tree.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    assert!(index < size, "leaf {index} of {size}");
    let (mut begin, mut end) = (0, size);
    let mut path = vec![];
    while end - begin > 1 {
        let middle = begin + (1 << split(end - begin));
        if index < middle {
            path.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range(nodes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `to` leaves goes on from that of `from`: `PROOF(from, D[to])`. Empty where there is
/// nothing to prove: from no leaves, or to the same size.
///
/// # Errors
/// When a node can't be had.
///
/// # Panics
/// If `from` is above `to`.
pub fn consistency<N: Nodes>(nodes: &N, from: u64, to: u64) -> Result<Vec<Hash>, N::Error> {
    assert!(from <= to, "from {from} to {to}");
    if from == 0 || from == to {
        return Ok(vec![]);
    }
    let (mut begin, mut end) = (0, to);
    let mut path = vec![];
    // down to the subtree that ends with the old tree's last leaf
    while end != from {
        let middle = begin + (1 << split(end - begin));
        if from <= middle {
            path.push(range(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(range(nodes, begin, middle)?);
            begin = middle;
        }
    }
    // where that is the old tree itself, whoever checks knows its root
    if begin != 0 {
        path.push(range(nodes, begin, end)?);
    }
    path.reverse();
    Ok(path)
}

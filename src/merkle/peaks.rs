//! The tree as little of it as is needed to grow and to tell its root: one hash per full subtree. The log keeps it in
//! its manifests, so that a checkpoint can be compared with a replay. Not here: anything about a leaf that is not new.

use super::hash::{Hash, empty_root, leaf, node};

/// The full subtrees of a tree of `leaves` leaves, the largest first: one for every bit that is set in `leaves`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    leaves: u64,
    peaks: Vec<Hash>,
}

impl Peaks {
    /// `None` if there is not one hash for every bit that is set in `leaves`.
    #[must_use]
    pub fn from_parts(leaves: u64, peaks: Vec<Hash>) -> Option<Peaks> {
        (u32::try_from(peaks.len()).ok()? == leaves.count_ones()).then_some(Peaks { leaves, peaks })
    }

    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Takes the next record.
    pub fn push(&mut self, record: &[u8]) {
        self.grow(leaf(record), |_, _| {});
    }

    /// Takes the hash of the next leaf. `whole` hears of every subtree that becomes full by it, the leaf itself first:
    /// how high it is, and its root.
    ///
    /// # Panics
    /// Never: there is a peak for every bit that is set.
    pub fn grow(&mut self, leaf: Hash, mut whole: impl FnMut(u32, &Hash)) {
        let mut hash = leaf;
        whole(0, &hash);
        for height in 1..=self.leaves.trailing_ones() {
            let left = self.peaks.pop().expect("a peak for every set bit");
            hash = node(&left, &hash);
            whole(height, &hash);
        }
        self.peaks.push(hash);
        self.leaves += 1;
    }

    /// The tree head: of no leaves, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.peaks.iter().rev();
        match from_right.next() {
            None => empty_root(),
            Some(last) => from_right.fold(*last, |right, left| node(left, &right)),
        }
    }

    /// The full subtrees: how high each is, the how manieth of its height, and its root; the largest first.
    pub fn subtrees(&self) -> impl Iterator<Item = (u32, u64, &Hash)> {
        let heights = (0..64).rev().filter(|height| self.leaves >> height & 1 == 1);
        heights.zip(&self.peaks).map(|(height, hash)| (height, (self.leaves >> height) - 1, hash))
    }
}

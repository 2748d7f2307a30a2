//! The tree as little of it as is needed to grow and to tell its root: one hash per full subtree. The log keeps it in
//! its manifests, so that a checkpoint can be compared with a replay. Not here: anything about a leaf that is not new.

use super::hash::{Hash, empty_root, leaves, node, parents};

/// So many records are hashed at once: their hashes stay near the processor.
const AT_ONCE: usize = 512;

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
        self.extend(std::iter::once(record), |_, _, _| {});
    }

    /// Takes the next records. `whole` hears of the subtrees that become full by them, the leaves themselves first: how high
    /// they are, the how manieth of that height the first one is, and the roots of it and those behind it.
    pub fn extend<'r>(&mut self, records: impl Iterator<Item = &'r [u8]>, mut whole: impl FnMut(u32, u64, &[Hash])) {
        let mut records = records;
        loop {
            let hashes = leaves(records.by_ref().take(AT_ONCE));
            if hashes.is_empty() {
                return;
            }
            self.grow(hashes, &mut whole);
        }
    }

    /// Level by level, so that most nodes have another one beside them to be hashed with.
    fn grow(&mut self, mut level: Vec<Hash>, whole: &mut impl FnMut(u32, u64, &[Hash])) {
        let before = self.leaves;
        self.leaves += level.len() as u64;
        let mut edge: Vec<Hash> = Vec::new();
        for height in 0.. {
            if level.is_empty() {
                break;
            }
            whole(height, before >> height, &level);
            if before >> height & 1 == 1 {
                level.insert(0, self.peaks.pop().expect("a peak for every set bit"));
            }
            if !level.len().is_multiple_of(2) {
                edge.extend(level.last());
            }
            level = parents(&level);
        }
        self.peaks.extend(edge.into_iter().rev());
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

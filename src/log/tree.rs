//! The RFC 6962 tree of one tenant, as little of it as is needed to grow and to tell its root: one hash per full
//! subtree. The log keeps it in its manifests, so that a checkpoint can be compared with a replay. Not here: proofs,
//! tiles, signatures (`merkle/`), or what a leaf says.

use sha2::{Digest, Sha256};

/// The full subtrees of a tree of `leaves` leaves, the largest first: one for every bit that is set in `leaves`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peaks {
    leaves: u64,
    peaks: Vec<[u8; 32]>,
}

impl Peaks {
    pub(crate) fn from_parts(leaves: u64, peaks: Vec<[u8; 32]>) -> Option<Peaks> {
        (u32::try_from(peaks.len()).ok()? == leaves.count_ones()).then_some(Peaks { leaves, peaks })
    }

    pub(crate) fn leaves(&self) -> u64 {
        self.leaves
    }

    pub(crate) fn peaks(&self) -> &[[u8; 32]] {
        &self.peaks
    }

    pub(crate) fn push(&mut self, record: &[u8]) {
        let mut hash: [u8; 32] = Sha256::new().chain_update([0]).chain_update(record).finalize().into();
        for _ in 0..self.leaves.trailing_ones() {
            let left = self.peaks.pop().expect("a peak for every set bit");
            hash = node(&left, &hash);
        }
        self.peaks.push(hash);
        self.leaves += 1;
    }

    /// The tree head: of no leaves, the hash of nothing.
    pub(crate) fn root(&self) -> [u8; 32] {
        let mut from_right = self.peaks.iter().rev();
        match from_right.next() {
            None => Sha256::digest([]).into(),
            Some(last) => from_right.fold(*last, |right, left| node(left, &right)),
        }
    }
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in RFC 6962 section 2.1, word by word.
    fn by_definition(records: &[Vec<u8>]) -> [u8; 32] {
        match records {
            [] => Sha256::digest([]).into(),
            [one] => Sha256::new().chain_update([0]).chain_update(one).finalize().into(),
            many => {
                let k = (many.len().next_power_of_two()) / 2;
                node(&by_definition(&many[..k]), &by_definition(&many[k..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition_at_every_size() {
        let records: Vec<Vec<u8>> = (0..70u8).map(|n| vec![n; usize::from(n % 5)]).collect();
        let mut peaks = Peaks::default();
        for size in 0..records.len() {
            assert_eq!(peaks.root(), by_definition(&records[..size]), "{size} leaves");
            assert_eq!(Peaks::from_parts(peaks.leaves(), peaks.peaks().to_vec()), Some(peaks.clone()));
            peaks.push(&records[size]);
        }
    }
}

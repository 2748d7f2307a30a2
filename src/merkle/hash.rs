//! The two hash functions of RFC 6962 section 2.1 and what follows from them at once. Not here: trees that grow.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// SHA-256 of a leaf or of an inner node.
pub type Hash = [u8; 32];

const BLOCK_BYTES: usize = 64;
/// A block ends with one bit and the length of everything, in bits.
const END_BYTES: usize = 9;
/// What SHA-256 begins with (FIPS 180-4, 5.3.3).
const BEGINNING: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The hash of a leaf: of a record's bytes as they are stored.
#[must_use]
pub fn leaf(record: &[u8]) -> Hash {
    one_block([0], record).unwrap_or_else(|| Sha256::new().chain_update([0]).chain_update(record).finalize().into())
}

/// The hash of an inner node.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = [[0; BLOCK_BYTES]; 2];
    let bytes = blocks.as_flattened_mut();
    put(bytes, [&[1], left, right]);
    of_blocks(&blocks)
}

/// The hash of what fits into a block: most records do, and the buffers of [`Digest`] take a sixth of what hashing one takes.
fn one_block(first: [u8; 1], rest: &[u8]) -> Option<Hash> {
    let mut block = [[0; BLOCK_BYTES]];
    (rest.len() + 1 + END_BYTES <= BLOCK_BYTES).then(|| {
        put(block.as_flattened_mut(), [&first, rest, &[]]);
        of_blocks(&block)
    })
}

/// Fills blocks with what is hashed, and its end; it fits into them.
#[inline]
fn put(bytes: &mut [u8], parts: [&[u8]; 3]) {
    let bits = parts.iter().map(|part| part.len() as u64 * 8).sum::<u64>().to_be_bytes();
    if let Some(last) = bytes.last_chunk_mut::<8>() {
        *last = bits;
    }
    let mut rest = bytes;
    for part in parts.into_iter().chain([[0x80].as_slice()]) {
        let (into, behind) = rest.split_at_mut(part.len());
        into.copy_from_slice(part);
        rest = behind;
    }
}

fn of_blocks(blocks: &[[u8; BLOCK_BYTES]]) -> Hash {
    let mut state = BEGINNING;
    compress256(&mut state, blocks);
    let mut hash = [0; 32];
    hash.as_chunks_mut::<4>().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
    hash
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hashes_are_those_of_the_library(record in prop::collection::vec(any::<u8>(), 0..200), left: Hash, right: Hash) {
            let theirs: Hash = Sha256::digest([&[0], record.as_slice()].concat()).into();
            prop_assert_eq!(leaf(&record), theirs);
            let theirs: Hash = Sha256::digest([[1].as_slice(), &left, &right].concat()).into();
            prop_assert_eq!(node(&left, &right), theirs);
        }
    }

    #[test]
    fn records_around_the_end_of_a_block_are_hashed_as_the_library_does() {
        for length in 0..130 {
            let record = vec![7; length];
            let theirs: Hash = Sha256::digest([&[0], record.as_slice()].concat()).into();
            assert_eq!(leaf(&record), theirs, "{length} bytes");
        }
    }
}

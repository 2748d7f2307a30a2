//! The two hash functions of RFC 6962 section 2.1 and what follows from them at once. Not here: trees that grow.

use super::pair::{Block, State, one, two};
use sha2::{Digest, Sha256};

/// SHA-256 of a leaf or of an inner node.
pub type Hash = [u8; 32];

const BLOCK_BYTES: usize = 64;
/// A block ends with one bit and the length of everything, in bits.
const END_BYTES: usize = 9;

/// The hash of a leaf: of a record's bytes as they are stored.
#[must_use]
pub fn leaf(record: &[u8]) -> Hash {
    match blocks_of_leaf(record) {
        1 => of_blocks(&blocks::<1>([&[0], record, &[]])),
        2 => of_blocks(&blocks::<2>([&[0], record, &[]])),
        _ => Sha256::new().chain_update([0]).chain_update(record).finalize().into(),
    }
}

/// The hashes of leaves in their order, two at once where they are as long.
pub(super) fn leaves<'r>(records: impl Iterator<Item = &'r [u8]>) -> Vec<Hash> {
    let mut hashes = Vec::with_capacity(records.size_hint().0);
    let (mut short, mut long) = (Waiting::<1>(None), Waiting::<2>(None));
    for record in records {
        let at = hashes.len();
        hashes.push([0; 32]);
        match blocks_of_leaf(record) {
            1 => short.take(at, blocks([&[0], record, &[]]), &mut hashes),
            2 => long.take(at, blocks([&[0], record, &[]]), &mut hashes),
            _ => put_at(&mut hashes, at, leaf(record)),
        }
    }
    short.end(&mut hashes);
    long.end(&mut hashes);
    hashes
}

/// A message that waits for another one of as many blocks, and where its hash is to stand.
struct Waiting<const BLOCKS: usize>(Option<(usize, [Block; BLOCKS])>);

impl<const BLOCKS: usize> Waiting<BLOCKS> {
    #[inline]
    fn take(&mut self, at: usize, message: [Block; BLOCKS], hashes: &mut [Hash]) {
        let Some((before, waited)) = self.0.take() else {
            self.0 = Some((at, message));
            return;
        };
        let [first, second] = of_both(&waited, &message);
        put_at(hashes, before, first);
        put_at(hashes, at, second);
    }

    fn end(self, hashes: &mut [Hash]) {
        if let Some((at, message)) = self.0 {
            put_at(hashes, at, of_blocks(&message));
        }
    }
}

fn put_at(hashes: &mut [Hash], at: usize, hash: Hash) {
    if let Some(place) = hashes.get_mut(at) {
        *place = hash;
    }
}

/// The hash of an inner node.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    of_blocks(&blocks::<2>([&[1], left, right]))
}

/// The nodes above neighbours, two at once. A last hash without a neighbour has none.
pub(super) fn parents(level: &[Hash]) -> Vec<Hash> {
    let mut nodes = Vec::with_capacity(level.len() / 2);
    let (fours, rest) = level.as_chunks::<4>();
    for [a, b, c, d] in fours {
        nodes.extend(of_both(&blocks::<2>([&[1], a, b]), &blocks::<2>([&[1], c, d])));
    }
    nodes.extend(rest.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right)));
    nodes
}

/// How many blocks a leaf takes with its end.
fn blocks_of_leaf(record: &[u8]) -> usize {
    (1 + record.len() + END_BYTES).div_ceil(BLOCK_BYTES)
}

/// A message with its end, which fits into the blocks: the buffers of [`Digest`] take a sixth of what hashing one takes.
#[inline]
fn blocks<const BLOCKS: usize>(parts: [&[u8]; 3]) -> [Block; BLOCKS] {
    let mut blocks = [[0; BLOCK_BYTES]; BLOCKS];
    put(blocks.as_flattened_mut(), parts);
    blocks
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

fn of_blocks(blocks: &[Block]) -> Hash {
    in_bytes(one(blocks))
}

#[inline]
fn of_both<const BLOCKS: usize>(first: &[Block; BLOCKS], second: &[Block; BLOCKS]) -> [Hash; 2] {
    two([first, second]).map_or_else(|| [of_blocks(first), of_blocks(second)], |both| both.map(in_bytes))
}

fn in_bytes(state: State) -> Hash {
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
        level = parents(&level);
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

        #[test]
        fn many_at_once_are_each_what_it_is_alone(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..140), 0..40)) {
            let one_by_one: Vec<Hash> = records.iter().map(|record| leaf(record)).collect();
            let hashes = leaves(records.iter().map(Vec::as_slice));
            prop_assert_eq!(&hashes, &one_by_one);
            let nodes: Vec<Hash> = hashes.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right)).collect();
            prop_assert_eq!(parents(&hashes), nodes);
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

//! A Bloom filter of about ten bits an entry: says "surely not" for 99 of 100 ids that were never used.

use super::ReceiptKey;

const BITS_PER_ENTRY: u64 = 10;
const PROBES: u64 = 7;

pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    pub(super) fn for_entries(entries: u64) -> Self {
        let words = usize::try_from((entries * BITS_PER_ENTRY).div_ceil(64).max(1)).expect("a filter fits into memory");
        Self { words: vec![0; words] }
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            words: bytes
                .chunks_exact(8)
                .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("exact chunks")))
                .collect(),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub(super) fn bytes_for(entries: u64) -> u64 {
        (entries * BITS_PER_ENTRY).div_ceil(64).max(1) * 8
    }

    pub(super) fn insert(&mut self, key: ReceiptKey) {
        for bit in self.probes(key) {
            if let Some(word) = self.words.get_mut(bit / 64) {
                *word |= 1 << (bit % 64);
            }
        }
    }

    pub(super) fn may_hold(&self, key: ReceiptKey) -> bool {
        self.probes(key).all(|bit| self.words.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0))
    }

    /// Ids are UUIDs or hashes: mixed once more, since a client may make its UUIDs in order.
    fn probes(&self, (tenant, id): ReceiptKey) -> impl Iterator<Item = usize> + use<> {
        let half = |range: std::ops::Range<usize>| {
            u64::from_le_bytes(id.get(range).and_then(|half| half.try_into().ok()).expect("an id has two halves"))
        };
        let a = mix(half(0..8) ^ mix(u64::from(tenant)));
        let b = mix(half(8..16) ^ a) | 1;
        let bits = self.words.len() as u64 * 64;
        (0..PROBES).map(move |probe| {
            usize::try_from(a.wrapping_add(probe.wrapping_mul(b)) % bits).expect("a bit of the filter")
        })
    }
}

/// The finalizer of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

//! Two SHA-256 at once, with the processor's own instructions: each of them waits for the one before it, so that a second
//! hash beside the first costs little. The one unsafe line of the tree is the step to these instructions, behind the
//! question whether they are there, and whether they say what the library says. Not here: what is hashed.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x, _mm_setzero_si128,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
};

use sha2::block_api::compress256;
#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

pub(super) type Block = [u8; 64];
pub(super) type State = [u32; 8];

/// What SHA-256 begins with (FIPS 180-4, 5.3.3).
const BEGINNING: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Hashes a message that is filled to its end, by the library.
pub(super) fn one(message: &[Block]) -> State {
    let mut state = BEGINNING;
    compress256(&mut state, message);
    state
}

/// Hashes two messages of so many blocks, filled to their ends. `None` where the processor has no instructions
/// for it, or they said something else than the library.
#[cfg(target_arch = "x86_64")]
pub(super) fn two<const BLOCKS: usize>(messages: [&[Block; BLOCKS]; 2]) -> Option<[State; 2]> {
    TRUSTED.map(|instructions| instructions.both(messages))
}

/// Trusted by this process once they have said of two messages what the library says.
#[cfg(target_arch = "x86_64")]
static TRUSTED: LazyLock<Option<Instructions>> =
    LazyLock::new(|| Instructions::found().filter(|instructions| instructions.are_right()));

/// There is one only where the processor has all of them.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Instructions(());

#[cfg(target_arch = "x86_64")]
impl Instructions {
    fn found() -> Option<Self> {
        let are_there =
            is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3");
        are_there.then_some(Self(()))
    }

    fn both<const BLOCKS: usize>(self, messages: [&[Block; BLOCKS]; 2]) -> [State; 2] {
        #[expect(unsafe_code, reason = "there is no safe way to instructions that not every processor has")]
        // SAFETY: the features that the function is compiled with were found, else there were no `self`.
        unsafe {
            with_instructions(messages)
        }
    }

    fn are_right(self) -> bool {
        let messages = [[*b"what two hashes at once say must be what one by one would do...."; 2], [[0x5a; 64]; 2]];
        let [first, second] = &messages;
        self.both([first, second]) == messages.map(|message| one(&message))
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn two<const BLOCKS: usize>(_messages: [&[Block; BLOCKS]; 2]) -> Option<[State; 2]> {
    None
}

/// The constants of the rounds, four by four (FIPS 180-4, 4.2.2); the first sixteen rounds take the message as it is.
#[cfg(target_arch = "x86_64")]
const ROUNDS: [[[u32; 4]; 4]; 4] = [
    [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    ],
    [
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    ],
    [
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    ],
    [
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ],
];

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn four([a, b, c, d]: [u32; 4]) -> __m128i {
    _mm_set_epi32(d.cast_signed(), c.cast_signed(), b.cast_signed(), a.cast_signed())
}

/// Four words of a message, which stand there with their highest byte first.
#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "ssse3")]
fn words([low, high]: [&[u8; 8]; 2]) -> __m128i {
    let bytes = _mm_set_epi64x(i64::from_le_bytes(*high), i64::from_le_bytes(*low));
    _mm_shuffle_epi8(bytes, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "ssse3")]
fn block_words(block: &Block) -> [__m128i; 4] {
    let mut found = [_mm_setzero_si128(); 4];
    for (into, [low, high]) in found.iter_mut().zip(block.as_chunks::<8>().0.as_chunks::<2>().0) {
        *into = words([low, high]);
    }
    found
}

/// One message's hash on its way, in the order that the instructions want.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Lane {
    abef: __m128i,
    cdgh: __m128i,
    /// The sixteen newest words of the schedule, those first whose turn is next.
    words: [__m128i; 4],
}

#[cfg(target_arch = "x86_64")]
impl Lane {
    #[inline]
    #[target_feature(enable = "sha,sse2")]
    fn four_rounds(self, constants: [u32; 4]) -> Self {
        let Self { abef, cdgh, words: [now, next, third, fourth] } = self;
        let sum = _mm_add_epi32(now, four(constants));
        let cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
        let abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
        Self { abef, cdgh, words: [next, third, fourth, now] }
    }

    /// Four words further.
    #[inline]
    #[target_feature(enable = "sha,ssse3")]
    fn scheduled(self) -> Self {
        let [first, second, third, fourth] = self.words;
        let sum = _mm_add_epi32(_mm_sha256msg1_epu32(first, second), _mm_alignr_epi8(fourth, third, 4));
        Self { words: [_mm_sha256msg2_epu32(sum, fourth), second, third, fourth], ..self }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn plus(self, before: Self) -> Self {
        let (abef, cdgh) = (_mm_add_epi32(self.abef, before.abef), _mm_add_epi32(self.cdgh, before.cdgh));
        Self { abef, cdgh, ..self }
    }

    #[inline]
    #[target_feature(enable = "sse4.1")]
    fn state(self) -> State {
        let Self { abef, cdgh, .. } = self;
        [
            _mm_extract_epi32(abef, 3),
            _mm_extract_epi32(abef, 2),
            _mm_extract_epi32(cdgh, 3),
            _mm_extract_epi32(cdgh, 2),
            _mm_extract_epi32(abef, 1),
            _mm_extract_epi32(abef, 0),
            _mm_extract_epi32(cdgh, 1),
            _mm_extract_epi32(cdgh, 0),
        ]
        .map(i32::cast_unsigned)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sha,sse4.1,ssse3")]
fn with_instructions<const BLOCKS: usize>([first, second]: [&[Block; BLOCKS]; 2]) -> [State; 2] {
    let [a, b, c, d, e, f, g, h] = BEGINNING;
    let begun = Lane { abef: four([f, e, b, a]), cdgh: four([h, g, d, c]), words: [_mm_setzero_si128(); 4] };
    let (mut left, mut right) = (begun, begun);
    let [beginning, rest @ ..] = ROUNDS;
    for (ours, theirs) in first.iter().zip(second) {
        let (left_before, right_before) = (left, right);
        (left.words, right.words) = (block_words(ours), block_words(theirs));
        for constants in beginning {
            (left, right) = (left.four_rounds(constants), right.four_rounds(constants));
        }
        for sixteen in rest {
            for constants in sixteen {
                left = left.scheduled().four_rounds(constants);
                right = right.scheduled().four_rounds(constants);
            }
        }
        (left, right) = (left.plus(left_before), right.plus(right_before));
    }
    [left.state(), right.state()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> impl Strategy<Value = Block> {
        prop::collection::vec(any::<u8>(), 64).prop_map(|bytes| bytes.try_into().expect("64 bytes"))
    }

    proptest! {
        #[test]
        fn two_at_once_are_what_the_library_says_of_each(blocks in prop::array::uniform4(block())) {
            let [a, b, c, d] = blocks;
            if let Some(both) = two([&[a], &[b]]) {
                prop_assert_eq!(both, [one(&[a]), one(&[b])]);
            }
            if let Some(both) = two([&[a, b], &[c, d]]) {
                prop_assert_eq!(both, [one(&[a, b]), one(&[c, d])]);
            }
            // they are not distrusted where they are there
            #[cfg(target_arch = "x86_64")]
            prop_assert_eq!(two([&[a], &[b]]).is_some(), Instructions::found().is_some());
        }
    }
}

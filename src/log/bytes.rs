//! Reading and writing the integers of the log's formats: little-endian fixed ones, and LEB128 varints in their one
//! shortest form. Not here: what any of them means.

/// Takes fields off the front of a slice. Every method answers `None` where the slice is too short or the form is not
/// the one we write, so outside bytes can never panic.
#[derive(Clone, Copy)]
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(|b| u16::from_le_bytes(*b))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(|b| u32::from_le_bytes(*b))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(|b| u64::from_le_bytes(*b))
    }

    /// A LEB128 number of at most ten bytes. A longer way to write the same number is refused: one number, one form.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<u64> {
        // most are short
        if let [byte @ 0..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(u64::from(*byte));
        }
        self.long_varint()
    }

    /// Of two bytes or more: up to eight at once, where there are as many.
    fn long_varint(&mut self) -> Option<u64> {
        const GOES_ON: u64 = 0x8080_8080_8080_8080;
        let Some((eight, _)) = self.0.split_first_chunk::<8>() else { return self.slow_varint() };
        let eight = u64::from_le_bytes(*eight);
        let ends = !eight & GOES_ON;
        if ends == 0 {
            return self.slow_varint();
        }
        let bits = ends.trailing_zeros() + 1;
        // seven bits of each byte, two, four and eight bytes moved together
        let bytes = eight & u64::MAX >> (64 - bits) & !GOES_ON;
        let pairs = bytes & 0x007f_007f_007f_007f | (bytes & 0x7f00_7f00_7f00_7f00) >> 1;
        let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
        let value = fours & 0x0000_0000_0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4;
        self.bytes(size(u64::from(bits / 8)))?;
        let is_shortest = bits == 8 || value >> (bits / 8 * 7 - 7) != 0;
        is_shortest.then_some(value)
    }

    fn slow_varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for at in 0..10u32 {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return None;
            }
            value |= bits << (7 * at);
            if byte & 0x80 == 0 {
                return (byte != 0 || at == 0).then_some(value);
            }
        }
        None
    }

    pub(crate) fn varint_u32(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(crate) fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f).to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    into.push(value.to_le_bytes()[0]);
}

/// How many bytes `put_varint` writes for this number.
pub(crate) fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros();
    size(u64::from(bits.div_ceil(7)))
}

/// A length that a file or format gave us, as a length in memory.
pub(crate) fn size(count: u64) -> usize {
    usize::try_from(count).expect("this program runs on 64-bit machines only")
}

/// A length in memory, as a length in a file.
pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).expect("a length in memory fits in 64 bits")
}

/// Pads with zeros to `block - 4` bytes and closes with the CRC32 of all of them.
pub(crate) fn close_block(bytes: &mut Vec<u8>, block: usize) {
    assert!(bytes.len() <= block - 4, "a block of {block} bytes can't hold {} bytes", bytes.len());
    bytes.resize(block - 4, 0);
    let crc = crc32fast::hash(bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
}

/// The content of a block that `close_block` closed, or `None` if a bit of it is wrong.
pub(crate) fn open_block(bytes: &[u8]) -> Option<Take<'_>> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*crc)).then_some(Take(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_form_and_comes_back_from_it() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = vec![];
            put_varint(&mut bytes, value);
            assert_eq!(bytes.len(), varint_len(value), "{value}");
            let mut take = Take(&bytes);
            assert_eq!(take.varint(), Some(value));
            assert!(take.is_empty());
        }
        // with bytes behind it and without, each number of bits, from both ends of it
        for (bits, behind) in (0..64).flat_map(|bits| [0, 1, 3, 8, 9].map(|behind| (bits, behind))) {
            for value in [1 << bits, u64::MAX >> (63 - bits), (1 << bits) | 0x55] {
                let mut bytes = vec![];
                put_varint(&mut bytes, value);
                let len = bytes.len();
                bytes.resize(len + behind, 0xff);
                let mut take = Take(&bytes);
                assert_eq!((take.varint(), take.0.len()), (Some(value), behind), "{value}, {behind} bytes behind it");
                // the same number in a byte more
                bytes.truncate(len);
                *bytes.last_mut().unwrap() |= 0x80;
                bytes.resize(len + 1, 0);
                bytes.resize(len + 1 + behind, 0xff);
                assert_eq!(Take(&bytes).varint(), None, "an overlong {value}");
            }
        }
        assert_eq!(Take(&[0x80, 0x00]).varint(), None, "an overlong zero");
        assert_eq!(Take(&[0xff; 10]).varint(), None, "more than 64 bits");
        assert_eq!(Take(&[0x80]).varint(), None, "cut short");
    }

    #[test]
    fn a_block_with_a_flipped_bit_is_not_opened() {
        let mut block = b"content".to_vec();
        close_block(&mut block, 64);
        assert_eq!(open_block(&block).and_then(|mut t| t.array::<7>().copied()), Some(*b"content"));
        for bit in 0..64 * 8 {
            let mut rotten = block.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert!(open_block(&rotten).is_none(), "bit {bit}");
        }
    }
}

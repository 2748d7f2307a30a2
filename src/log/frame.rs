//! The frame: records of one tenant in one commit group, at most 6 KiB, with what is needed to trust it on its own.
//! `schemas/log-format.md` has the byte table. Not here: groups, segments, or what a record says.
//!
//! ```text
//! journal: length u16 | crc32 u32 | segment u32 | BODY          sled: BODY
//! BODY:    flags u8 | tenant | group | first position | count | part | parts (varints) | previous chain 32 | records | chain 32
//! ```

use sha2::{Digest, Sha256};

use super::bytes::{Take, put_varint, varint_len, wide};

/// The most that one frame may take in the journal.
pub(crate) const FRAME_BYTES_MAX: usize = 6 * 1024;
/// The most that one record may take.
pub const RECORD_BYTES_MAX: usize = 5_900;
/// Length, checksum and segment id, which sled's value leaves out.
pub(crate) const JOURNAL_HEAD_BYTES: usize = 10;
/// Flags, six varints at their longest, two hashes.
const BODY_OVERHEAD_MAX: usize = 1 + 5 + 10 + 10 + 5 + 5 + 5 + 64;
/// What the records of one frame may take together, each with its length before it.
pub(crate) const RECORDS_BYTES_MAX: usize = FRAME_BYTES_MAX - JOURNAL_HEAD_BYTES - BODY_OVERHEAD_MAX;
const FLAG_LAST: u8 = 1;

/// The end of a tenant's stream: where the next record goes, and the hash over all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Head {
    pub next_position: u64,
    pub chain: [u8; 32],
}

/// A frame's body, read and found whole: canonical form, every record within its bounds, its chain hash right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    pub(crate) is_last: bool,
    pub(crate) tenant: u32,
    pub(crate) group: u64,
    pub(crate) first_position: u64,
    pub(crate) count: u32,
    pub(crate) part: u32,
    pub(crate) parts: u32,
    pub(crate) previous: &'a [u8; 32],
    pub(crate) records: &'a [u8],
    pub(crate) chain: &'a [u8; 32],
}

impl<'a> Body<'a> {
    /// Reads the fields; `None` where they have no form that we write. Does not recompute the chain hash.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Body<'a>> {
        let mut take = Take(bytes);
        let flags = take.u8()?;
        let tenant = take.varint_u32()?;
        let group = take.varint()?;
        let first_position = take.varint()?;
        let count = take.varint_u32()?;
        let part = take.varint_u32()?;
        let parts = take.varint_u32()?;
        let previous = take.array::<32>()?;
        let (records, chain) = take.0.split_last_chunk::<32>()?;
        let body = Body {
            is_last: flags == FLAG_LAST,
            tenant,
            group,
            first_position,
            count,
            part,
            parts,
            previous,
            records,
            chain,
        };
        let is_formed = flags <= FLAG_LAST
            && count > 0
            && part >= 1
            && part <= parts
            && body.is_last == (part == parts)
            && first_position.checked_add(u64::from(count)).is_some();
        (is_formed && Records(records).is_whole(count)).then_some(body)
    }

    /// As [`Body::parse`], and the chain hash is that of the content.
    pub(crate) fn verified(bytes: &'a [u8]) -> Option<Body<'a>> {
        let body = Body::parse(bytes)?;
        (chain_hash(body.previous, body.tenant, body.first_position, body.count, body.records) == *body.chain)
            .then_some(body)
    }

    pub(crate) fn end_position(&self) -> u64 {
        self.first_position + u64::from(self.count)
    }

    /// Where the tenant's stream stands after this frame.
    pub(crate) fn head(&self) -> Head {
        Head { next_position: self.end_position(), chain: *self.chain }
    }

    /// Whether this frame is the next one after `head`.
    pub(crate) fn follows(&self, head: &Head) -> bool {
        self.first_position == head.next_position && *self.previous == head.chain
    }

    pub(crate) fn records(&self) -> Records<'a> {
        Records(self.records)
    }
}

/// The records of a frame, in order. Each is a varint length and so many bytes.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a>(pub(crate) &'a [u8]);

impl Records<'_> {
    fn is_whole(self, count: u32) -> bool {
        let mut take = Take(self.0);
        for _ in 0..count {
            let is_record = take
                .varint()
                .filter(|len| *len <= wide(RECORD_BYTES_MAX))
                .is_some_and(|len| usize::try_from(len).ok().and_then(|len| take.bytes(len)).is_some());
            if !is_record {
                return false;
            }
        }
        take.is_empty()
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mut take = Take(self.0);
        let len = usize::try_from(take.varint()?).ok()?;
        let record = take.bytes(len)?;
        self.0 = take.0;
        Some(record)
    }
}

/// SHA-256 over previous chain, tenant u32 LE, first position u64 LE, count u32 LE, and the records as they stand.
pub(crate) fn chain_hash(previous: &[u8; 32], tenant: u32, first: u64, count: u32, records: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(tenant.to_le_bytes());
    hash.update(first.to_le_bytes());
    hash.update(count.to_le_bytes());
    hash.update(records);
    hash.finalize().into()
}

/// What a record takes inside a frame.
pub(crate) fn record_bytes(record: usize) -> usize {
    varint_len(wide(record)) + record
}

/// A frame to be written: all but the journal head, which is known only when the segment is.
pub(crate) struct Draft {
    pub(crate) tenant: u32,
    pub(crate) group: u64,
    pub(crate) head: Head,
    pub(crate) count: u32,
    pub(crate) part: u32,
    pub(crate) parts: u32,
}

impl Draft {
    /// Appends the frame with an empty journal head, and says where the tenant's stream stands after it.
    pub(crate) fn write<'r>(&self, records: impl Iterator<Item = &'r [u8]>, into: &mut Vec<u8>) -> Head {
        into.extend_from_slice(&[0; JOURNAL_HEAD_BYTES]);
        into.push(if self.part == self.parts { FLAG_LAST } else { 0 });
        put_varint(into, u64::from(self.tenant));
        put_varint(into, self.group);
        put_varint(into, self.head.next_position);
        put_varint(into, u64::from(self.count));
        put_varint(into, u64::from(self.part));
        put_varint(into, u64::from(self.parts));
        into.extend_from_slice(&self.head.chain);
        let start = into.len();
        for record in records {
            put_varint(into, wide(record.len()));
            into.extend_from_slice(record);
        }
        let records = into.get(start..).unwrap_or_default();
        let chain = chain_hash(&self.head.chain, self.tenant, self.head.next_position, self.count, records);
        into.extend_from_slice(&chain);
        Head { next_position: self.head.next_position + u64::from(self.count), chain }
    }
}

/// Checksums frames of one segment: the hasher has taken the segment's salt already.
#[derive(Clone)]
pub(crate) struct Sealer {
    salted: crc32fast::Hasher,
    segment: u32,
}

impl Sealer {
    pub(crate) fn new(segment: u32, salt: &[u8; 16]) -> Sealer {
        let mut salted = crc32fast::Hasher::new();
        salted.update(salt);
        Sealer { salted, segment }
    }

    fn crc(&self, length: [u8; 2], rest: &[u8]) -> u32 {
        let mut hasher = self.salted.clone();
        hasher.update(&length);
        hasher.update(rest);
        hasher.finalize()
    }

    /// Fills in the journal head of a frame that [`Draft::write`] or an older segment left.
    pub(crate) fn seal(&self, frame: &mut [u8]) {
        assert!(frame.len() <= FRAME_BYTES_MAX, "a frame of {} bytes", frame.len());
        let length = u16::try_from(frame.len()).expect("6 KiB fit in 16 bits").to_le_bytes();
        let (head, _) = frame.split_first_chunk_mut::<JOURNAL_HEAD_BYTES>().expect("a frame has its head");
        let [l0, l1, c0, c1, c2, c3, s0, s1, s2, s3] = head;
        [*s0, *s1, *s2, *s3] = self.segment.to_le_bytes();
        [*l0, *l1] = length;
        [*c0, *c1, *c2, *c3] = [0; 4];
        let crc = self.crc(length, frame.get(6..).unwrap_or_default()).to_le_bytes();
        frame.get_mut(2..6).expect("a frame has its head").copy_from_slice(&crc);
    }

    /// The frame that starts the slice, if its length, segment and checksum are right: all its bytes, and its body.
    pub(crate) fn open<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], Body<'a>)> {
        let mut take = Take(bytes);
        let length = take.u16()?;
        let frame = bytes.get(..usize::from(length))?;
        let crc = take.u32()?;
        let segment = take.u32()?;
        let is_ours = segment == self.segment && usize::from(length) <= FRAME_BYTES_MAX;
        if !is_ours || self.crc(length.to_le_bytes(), frame.get(6..)?) != crc {
            return None;
        }
        Some((frame, Body::parse(frame.get(JOURNAL_HEAD_BYTES..)?)?))
    }

    /// What a damaged frame at the start of the slice says of itself, checksum aside. Good for a message only.
    pub(crate) fn guess(bytes: &[u8]) -> Option<(u32, u64)> {
        let length = usize::from(Take(bytes).u16()?);
        let body = bytes.get(JOURNAL_HEAD_BYTES..length.max(JOURNAL_HEAD_BYTES))?;
        let mut take = Take(body);
        take.u8()?;
        let tenant = take.varint_u32()?;
        take.varint()?;
        Some((tenant, take.varint()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = vec![];
        let head = Head { next_position: 300, chain: [7; 32] };
        let draft = Draft { tenant: 3, group: 99, head, count: 2, part: 1, parts: 1 };
        draft.write([b"first".as_slice(), b"second"].into_iter(), &mut bytes);
        Sealer::new(5, &[9; 16]).seal(&mut bytes);
        bytes
    }

    #[test]
    fn a_frame_comes_back_as_it_was_written() {
        let bytes = sample();
        let (frame, body) = Sealer::new(5, &[9; 16]).open(&bytes).expect("a whole frame");
        assert_eq!(frame.len(), bytes.len());
        assert_eq!((body.tenant, body.group, body.first_position, body.count), (3, 99, 300, 2));
        assert_eq!(body.records().collect::<Vec<_>>(), [b"first".as_slice(), b"second"]);
        assert!(Body::verified(&bytes[JOURNAL_HEAD_BYTES..]).is_some());
        assert!(body.follows(&Head { next_position: 300, chain: [7; 32] }));
    }

    #[test]
    fn a_flipped_bit_anywhere_spoils_the_frame() {
        let bytes = sample();
        for bit in 0..bytes.len() * 8 {
            let mut rotten = bytes.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert!(Sealer::new(5, &[9; 16]).open(&rotten).is_none(), "bit {bit}");
        }
        assert!(Sealer::new(6, &[9; 16]).open(&bytes).is_none(), "of another segment");
        assert!(Sealer::new(5, &[8; 16]).open(&bytes).is_none(), "of an older life of the segment");
    }

    #[test]
    fn a_lone_small_record_costs_at_most_90_bytes_of_frame() {
        let mut bytes = vec![];
        let head = Head { next_position: 1_000_000, chain: [7; 32] };
        Draft { tenant: 3, group: 900_000, head, count: 1, part: 1, parts: 1 }
            .write([[0u8; 54].as_slice()].into_iter(), &mut bytes);
        assert!(bytes.len() <= 54 + 90, "{}", bytes.len());
    }

    #[test]
    fn the_longest_record_fits_into_a_frame() {
        assert!(record_bytes(RECORD_BYTES_MAX) <= RECORDS_BYTES_MAX);
    }
}

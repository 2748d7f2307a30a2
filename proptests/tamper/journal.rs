//! The journal's frames as `schemas/log-format.md` has them, and how a hand that knows the format seals them anew. Not
//! here: anything of ours.

use sha2::{Digest as _, Sha256};
use std::ops::Range;

const HEADER_BYTES: usize = 512;
/// Length, checksum, segment.
const HEAD_BYTES: usize = 10;

/// One frame of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) at: Range<usize>,
    pub(crate) is_last: bool,
    pub(crate) tenant: u64,
    first_position: u64,
    count: u64,
    /// Where its previous chain begins.
    previous: usize,
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

/// All frames of a segment, up to the first zeros.
pub(crate) fn frames(segment: &[u8]) -> Vec<Frame> {
    let (mut frames, mut at) = (vec![], HEADER_BYTES);
    while let Some([low, high]) = segment.get(at..at + 2) {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        if length == 0 {
            break;
        }
        let is_last = segment[at + HEAD_BYTES] == 1;
        let mut field = at + HEAD_BYTES + 1;
        let [tenant, _group, first_position, count, _part, _parts] = [(); 6].map(|()| varint(segment, &mut field));
        frames.push(Frame { at: at..at + length, is_last, tenant, first_position, count, previous: field });
        at += length;
    }
    frames
}

/// The bytes of each whole group.
pub(crate) fn groups(frames: &[Frame]) -> Vec<Range<usize>> {
    let (mut groups, mut start) = (vec![], None);
    for frame in frames {
        let from = *start.get_or_insert(frame.at.start);
        if frame.is_last {
            groups.push(from..frame.at.end);
            start = None;
        }
    }
    groups
}

impl Frame {
    fn body(&self) -> Range<usize> {
        self.previous + 32..self.at.end - 32
    }

    /// Its records, each with its length before it.
    pub(crate) fn records(&self, segment: &[u8]) -> Vec<Range<usize>> {
        let (mut records, mut at) = (vec![], self.body().start);
        while at < self.body().end {
            let start = at;
            let length = varint(segment, &mut at);
            at += usize::try_from(length).expect("a record is small");
            records.push(start..at);
        }
        records
    }

    /// The same without their lengths: what is hashed into the tree.
    pub(crate) fn payloads(&self, segment: &[u8]) -> Vec<Range<usize>> {
        let behind_length = |record: Range<usize>| {
            let mut at = record.start;
            varint(segment, &mut at);
            at..record.end
        };
        self.records(segment).into_iter().map(behind_length).collect()
    }

    pub(crate) fn chain(&self, segment: &[u8]) -> [u8; 32] {
        segment[self.at.end - 32..self.at.end].try_into().expect("32 bytes")
    }

    /// Makes its chain follow from `previous` and its checksum right, and answers its chain.
    pub(crate) fn seal(&self, segment: &mut [u8], previous: [u8; 32]) -> [u8; 32] {
        segment[self.previous..self.previous + 32].copy_from_slice(&previous);
        let mut hash = Sha256::new();
        hash.update(previous);
        hash.update(u32::try_from(self.tenant).expect("a tenant").to_le_bytes());
        hash.update(self.first_position.to_le_bytes());
        hash.update(u32::try_from(self.count).expect("a count").to_le_bytes());
        hash.update(&segment[self.body()]);
        let chain: [u8; 32] = hash.finalize().into();
        segment[self.at.end - 32..self.at.end].copy_from_slice(&chain);
        self.checksum(segment);
        chain
    }

    pub(crate) fn previous(&self, segment: &[u8]) -> [u8; 32] {
        segment[self.previous..self.previous + 32].try_into().expect("32 bytes")
    }

    pub(crate) fn checksum(&self, segment: &mut [u8]) {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&segment[24..40]);
        crc.update(&segment[self.at.start..self.at.start + 2]);
        crc.update(&segment[self.at.start + 6..self.at.end]);
        let crc = crc.finalize().to_le_bytes();
        segment[self.at.start + 2..self.at.start + 6].copy_from_slice(&crc);
    }
}

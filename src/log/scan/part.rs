//! As much of a segment as is needed to find its next group. A whole segment would be cleared, read and gone through in memory
//! that is far from the processor by then. Not here: what a group must say.

use std::io;

use super::super::bytes::{size, wide};
use super::super::frame::Sealer;
use super::super::medium::MediumFile;
use super::super::segment::{FoundGroup, find_group, is_zero};

/// So many bytes are read at once; few in tests, whose segments are short.
const PART_BYTES: usize = if cfg!(test) { 7 << 10 } else { 1 << 20 };

/// The bytes of a segment from an offset on, as far as they were read.
#[derive(Default)]
pub(super) struct Part {
    file: Option<Box<dyn MediumFile>>,
    file_len: u64,
    offset: u64,
    bytes: Vec<u8>,
}

impl Part {
    /// Goes on with another segment, of which nothing is read yet.
    pub(super) fn begin(&mut self, file: Box<dyn MediumFile>) -> io::Result<()> {
        (self.file_len, self.offset) = (file.len()?, 0);
        self.bytes.clear();
        self.file = Some(file);
        Ok(())
    }

    pub(super) fn file_len(&self) -> u64 {
        self.file_len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in the segment a place in the bytes is.
    pub(super) fn offset_of(&self, place: usize) -> u64 {
        self.offset + wide(place)
    }

    /// Finds the whole group that starts at an offset, as [`find_group`] does in all of the segment. Offsets grow from call to call.
    pub(super) fn find_group(&mut self, at: u64, sealer: &Sealer, found: &mut FoundGroup) -> io::Result<bool> {
        loop {
            if find_group(&self.bytes, size(at - self.offset), sealer, found) {
                return Ok(true);
            }
            // a group begins with the length of a frame
            let is_none = self.bytes.get(size(at - self.offset)..).and_then(|rest| rest.get(..2)).is_some_and(is_zero);
            if is_none || self.is_to_the_end() {
                return Ok(false);
            }
            // what was read may end within the group; where a part does not hold it, the rest may
            let enough = if at == self.offset && !self.bytes.is_empty() { usize::MAX } else { PART_BYTES };
            self.read(at, enough)?;
        }
    }

    /// Everything from an offset on that is not before what was read.
    pub(super) fn rest_from(&mut self, at: u64) -> io::Result<&[u8]> {
        if !self.is_to_the_end() {
            self.read(at, usize::MAX)?;
        }
        Ok(self.bytes.get(size(at - self.offset)..).unwrap_or_default())
    }

    /// Whether there is nothing from an offset on. Where there is, it can be had by [`Self::rest_from`].
    pub(super) fn is_zero_from(&mut self, at: u64) -> io::Result<bool> {
        let mut next = at;
        while is_zero(self.bytes.get(size(next - self.offset)..).unwrap_or_default()) {
            if self.is_to_the_end() {
                return Ok(true);
            }
            next = next.max(self.offset_of(self.bytes.len()));
            self.read(next, PART_BYTES)?;
        }
        self.read(at, usize::MAX)?;
        Ok(false)
    }

    fn is_to_the_end(&self) -> bool {
        self.offset_of(self.bytes.len()) >= self.file_len
    }

    fn read(&mut self, at: u64, enough: usize) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        self.bytes.resize(size(self.file_len.saturating_sub(at)).min(enough), 0);
        let got = file.read_at(at, &mut self.bytes)?;
        self.offset = at;
        if got < self.bytes.len() {
            // it was cut off meanwhile
            self.file_len = at + wide(got);
            self.bytes.truncate(got);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::group::{Encoder, Group};
    use super::super::super::medium::Medium as _;
    use super::super::super::memory::{Faults, MemoryDisk};
    use super::super::super::segment::{HEADER_BYTES, used_end};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Groups one behind the other, and where each begins.
    fn written(groups: &[Vec<usize>], sealer: &Sealer) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut begins) = (vec![7; HEADER_BYTES], Vec::new());
        for (number, records) in (1..).zip(groups) {
            let mut group = Group::new();
            records.iter().for_each(|length| group.push(3, &vec![1; *length]));
            let mut encoder = Encoder::default();
            encoder.encode(&group, number, &BTreeMap::new());
            encoder.seal(sealer);
            begins.push(bytes.len());
            bytes.extend_from_slice(&encoder.bytes);
        }
        begins.push(bytes.len());
        (bytes, begins)
    }

    proptest! {
        #[test]
        fn groups_are_found_as_in_the_whole_segment_however_long_they_are(
            // of up to six parts
            groups in prop::collection::vec(prop::collection::vec(0..5_000_usize, 1..10), 0..8),
            // zeros, and most often something behind them
            zeros in 0..20_000_usize,
            behind in prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..20_000)],
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let sealer = Sealer::new(1, &[9; 16]);
            let (mut whole, begins) = written(&groups, &sealer);
            whole.resize(whole.len() + zeros, 0);
            whole.extend_from_slice(&behind);
            let disk = MemoryDisk::new(Faults::default());
            let file = disk.create("segment").unwrap();
            file.write_at(0, &whole).unwrap();
            let mut part = Part::default();
            part.begin(disk.open("segment").unwrap()).unwrap();
            if let Some(cut) = cut {
                // once its length is known
                whole.truncate(cut.index(whole.len()));
                file.set_len(wide(whole.len())).unwrap();
            }
            let (mut here, mut there) = (FoundGroup::default(), FoundGroup::default());
            let mut at = HEADER_BYTES;
            while find_group(&whole, at, &sealer, &mut there) {
                prop_assert!(begins.contains(&at));
                prop_assert!(part.find_group(wide(at), &sealer, &mut here).unwrap());
                prop_assert_eq!((here.number, part.offset_of(here.end)), (there.number, wide(there.end)));
                prop_assert_eq!(here.frames.len(), there.frames.len());
                for (mine, other) in here.frames.iter().zip(&there.frames) {
                    prop_assert_eq!(mine.body(part.bytes()), other.body(&whole));
                }
                at = there.end;
            }
            prop_assert!(!part.find_group(wide(at), &sealer, &mut here).unwrap());
            let rest = whole.get(at..).unwrap_or_default();
            prop_assert_eq!(part.is_zero_from(wide(at)).unwrap(), used_end(rest) == 0);
            if used_end(rest) > 0 {
                prop_assert_eq!(part.rest_from(wide(at)).unwrap(), rest);
            }
            prop_assert_eq!(part.file_len(), wide(whole.len().max(HEADER_BYTES)));
        }
    }
}

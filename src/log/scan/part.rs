//! As much of a segment as is needed to find its next group. A whole segment would be cleared, read and gone through in memory
//! that is far from the processor by then. Not here: what a group must say.

use std::io;

use super::super::bytes::{size, wide};
use super::super::frame::Sealer;
use super::super::medium::MediumFile;
use super::super::segment::{FoundGroup, find_group};

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
            if self.is_to_the_end() {
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

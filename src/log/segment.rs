//! One journal segment: its name, its header, and how groups are found in its bytes. Not here: which segments belong
//! together (`scan.rs`), or writing groups (`journal.rs`).

use std::io;

use super::bytes::{Take, close_block, open_block, wide};
use super::frame::Sealer;
use super::group::FrameSpan;
use super::medium::{ASIDE, Medium, MediumFile, with_descriptor};

pub(crate) const JOURNAL: &str = "journal";
/// The header is a block of its own, so that no torn write of a group can touch it.
pub(crate) const HEADER_BYTES: usize = 512;
const MAGIC: &[u8; 8] = b"SLSEGMT1";
/// The least that a segment is made for.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 1 << 20;
const ZEROS: &[u8] = &[0; 256 * 1024];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: u32,
    pub(crate) salt: [u8; 16],
    pub(crate) first_group: u64,
    pub(crate) log_id: [u8; 16],
}

impl SegmentHeader {
    pub(crate) fn new(id: u32, first_group: u64, log_id: [u8; 16]) -> io::Result<SegmentHeader> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        Ok(SegmentHeader { id, salt, first_group, log_id })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.id.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.first_group.to_le_bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.log_id);
        close_block(&mut bytes, HEADER_BYTES);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        let mut take: Take<'_> = open_block(bytes.get(..HEADER_BYTES)?)?;
        if take.array()? != MAGIC {
            return None;
        }
        let id = take.u32()?;
        take.u32()?;
        let first_group = take.u64()?;
        Some(SegmentHeader { id, first_group, salt: *take.array()?, log_id: *take.array()? })
    }

    pub(crate) fn sealer(&self) -> Sealer {
        Sealer::new(self.id, &self.salt)
    }
}

pub(crate) fn segment_name(id: u32) -> String {
    format!("{JOURNAL}/{id:010}.segment")
}

/// The id in the name of a segment's file, or `None` if it is some other file.
pub(crate) fn segment_id(file: &str) -> Option<u32> {
    let digits = file.strip_suffix(".segment")?;
    (digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// A segment made ahead of need: zeros on the medium, under a name that means nothing yet.
pub(crate) struct Prepared {
    pub(crate) file: Box<dyn MediumFile>,
    pub(crate) name: String,
    pub(crate) len: u64,
}

impl Prepared {
    /// Makes the file. `label` keeps files apart that are made at the same time.
    pub(crate) fn make(medium: &dyn Medium, label: &str, len: u64) -> io::Result<Prepared> {
        let name = format!("{JOURNAL}/prepared-{label}{ASIDE}");
        let file = medium.create(&name)?;
        let made = fill_with_zeros(file.as_ref(), 0, len).and_then(|()| file.sync());
        match made {
            Ok(()) => Ok(Prepared { file, name, len }),
            Err(error) => {
                // a full disk stays as full as it was; if this fails too, the next start takes it away
                medium.remove(&name).ok();
                Err(error)
            }
        }
    }

    /// Gives it header and name: header, sync, rename, sync of the folder. Only then may a group go in.
    pub(crate) fn commission(self, medium: &dyn Medium, header: &SegmentHeader) -> io::Result<Box<dyn MediumFile>> {
        self.file.write_at(0, &header.encode())?;
        self.file.sync()?;
        medium.rename(&self.name, &segment_name(header.id))?;
        with_descriptor(|| medium.sync_folder(JOURNAL))?;
        Ok(self.file)
    }
}

fn fill_with_zeros(file: &dyn MediumFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let chunk = ZEROS.get(..super::bytes::size((to - at).min(wide(ZEROS.len())))).unwrap_or(ZEROS);
        file.write_at(at, chunk)?;
        at += wide(chunk.len());
        if at.is_multiple_of(4 << 20) {
            file.sync()?; // in steps, so that a commit at the same time never waits for 64 MiB
        }
    }
    Ok(())
}

/// A whole group found in a segment's bytes.
#[derive(Default)]
pub(crate) struct FoundGroup {
    pub(crate) number: u64,
    pub(crate) frames: Vec<FrameSpan>,
    pub(crate) end: usize,
}

/// Finds the group that starts at `start`: all its parts, in order, each with its checksum right. Whether its chain
/// hashes are right, and continue what was before, is looked at by who links groups (`scan.rs`).
/// `false` means there is no whole group; `found` is scratch space then.
pub(crate) fn find_group(bytes: &[u8], start: usize, sealer: &Sealer, found: &mut FoundGroup) -> bool {
    found.frames.clear();
    let mut at = start;
    let mut part = 1;
    loop {
        let Some((frame, body)) = bytes.get(at..).and_then(|rest| sealer.open(rest)) else { return false };
        if part == 1 {
            found.number = body.group;
        }
        if body.group != found.number || body.part != part {
            return false;
        }
        let end = at + frame.len();
        found.frames.push(FrameSpan::of(&body, at..end));
        at = end;
        if body.is_last {
            found.end = at;
            return true;
        }
        part += 1;
    }
}

/// The first valid frame of this segment at or behind `from` for which `wanted` holds, wherever it starts.
pub(crate) fn find_frame(
    bytes: &[u8],
    from: usize,
    sealer: &Sealer,
    wanted: impl Fn(&super::frame::Body<'_>) -> bool,
) -> Option<FrameSpan> {
    let mut at = from;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // long runs of zeros are the normal case; a frame's first byte may be zero, its second is not, or the reverse
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros > 1 {
            at += zeros - 1;
            if zeros == rest.len() {
                return None;
            }
        }
        let rest = bytes.get(at..).unwrap_or_default();
        if let Some((frame, body)) = sealer.open(rest)
            && wanted(&body)
        {
            return Some(FrameSpan::of(&body, at..at + frame.len()));
        }
        at += 1;
    }
    None
}

/// Whether there is nothing in it.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(ZEROS.len()).all(|chunk| ZEROS.starts_with(chunk))
}

/// Where the last byte that is not zero ends.
pub(crate) fn used_end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_a_flipped_bit_spoils_it() {
        let header = SegmentHeader { id: 7, salt: [3; 16], first_group: 99, log_id: [5; 16] };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for bit in 0..bytes.len() * 8 {
            let mut rotten = bytes.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&rotten), None, "bit {bit}");
        }
    }

    #[test]
    fn only_names_that_we_give_are_segments() {
        assert_eq!(segment_name(12), "journal/0000000012.segment");
        assert_eq!(segment_id("0000000012.segment"), Some(12));
        for other in ["12.segment", "prepared-1.tmp", "0000000012.segment.bak", "+000000012.segment"] {
            assert_eq!(segment_id(other), None, "{other}");
        }
    }
}

//! The end of the journal at a start: the torn part is put aside, and the groups behind the last checkpoint are written
//! once more into a fresh segment, because after a kill they may be in the page cache only. Not here: judging what is
//! torn (`scan.rs`).

use super::super::LogOptions;
use super::super::bytes::wide;
use super::super::error::OpenError;
use super::super::group::EncodedGroup;
use super::super::journal::{LiveSegment, segment_bytes};
use super::super::manifest::Manifest;
use super::super::medium::{Medium, write_whole};
use super::super::scan::{JournalEnd, Segment, Visit};
use super::super::segment::{HEADER_BYTES, Prepared, SegmentHeader, segment_name};
use super::{OpenReport, TornEnd};
use std::sync::Arc;

pub(crate) const TORN: &str = "torn";

/// So many bytes a fresh segment takes besides at most: a start waits until they are zeros on the disk, and with the first group
/// a thread makes the next segment.
const FRESH_BYTES: u64 = 8 << 20;

/// The segment to go on with.
pub(crate) struct End {
    pub(crate) live: LiveSegment,
    /// Set if it is a new one.
    pub(crate) segment: Option<Segment>,
    pub(crate) total_bytes: u64,
}

/// A group out of a segment's bytes, as it will be needed again.
pub(crate) fn copy(visit: &Visit<'_>) -> EncodedGroup {
    let start = visit.found.frames.first().map_or(visit.found.end, |frame| frame.at.start);
    let mut frames = visit.found.frames.clone();
    for frame in &mut frames {
        frame.at = frame.at.start - start..frame.at.end - start;
    }
    let bytes = visit.bytes.get(start..visit.found.end).unwrap_or_default().into();
    EncodedGroup { number: visit.found.number, bytes, frames }
}

#[expect(clippy::too_many_arguments, reason = "everything that a start has found so far")]
pub(crate) fn make_durable(
    medium: &dyn Medium,
    segments: &[Segment],
    manifest: &Manifest,
    tail: &[Arc<EncodedGroup>],
    end: &JournalEnd,
    options: &LogOptions,
    log_id: [u8; 16],
    report: &mut OpenReport,
) -> Result<End, OpenError> {
    let last = segments.last().ok_or_else(|| super::scan::missing(1..2))?;
    let mut total_bytes = 0;
    for segment in segments {
        let len = medium.open(&segment.name).and_then(|file| file.len());
        total_bytes += len.map_err(OpenError::io(format!("looking at {}", segment.name)))?;
    }
    if let Some(torn) = &end.torn {
        let name = format!("{TORN}/{:010}-{}", last.header.id, torn.offset);
        medium
            .create_folder(TORN)
            .and_then(|()| write_whole(medium, TORN, &name, &torn.bytes))
            .map_err(OpenError::io("putting the torn end of the journal aside"))?;
        report.torn = Some(TornEnd {
            segment: medium.describe(&last.name),
            offset: torn.offset,
            bytes: wide(torn.bytes.len()),
            put_aside: medium.describe(&name),
        });
    }
    if tail.is_empty() && end.torn.is_none() {
        let file = medium.open(&last.name).map_err(OpenError::io("opening the last segment"))?;
        let live = LiveSegment { header: last.header.clone(), file, offset: end.end, len: end.file_len };
        return Ok(End { live, segment: None, total_bytes });
    }
    let rewrite = || -> std::io::Result<End> {
        let tail_bytes: u64 = tail.iter().map(|group| wide(group.bytes.len())).sum();
        let used = wide(HEADER_BYTES) + tail_bytes;
        let len = segment_bytes(total_bytes, options.segment_bytes).min(used + FRESH_BYTES).max(used);
        let header = SegmentHeader::new(last.header.id + 1, manifest.group + 1, log_id)?;
        let prepared = Prepared::make(medium, "rewritten", len)?;
        let sealer = header.sealer();
        let mut offset = wide(HEADER_BYTES);
        for group in tail {
            let mut bytes = group.bytes.to_vec();
            for frame in &group.frames {
                sealer.seal(bytes.get_mut(frame.at.clone()).expect("a span lies within its bytes"));
            }
            prepared.file.write_at(offset, &bytes)?;
            offset += wide(bytes.len());
        }
        let file = prepared.commission(medium, &header)?;
        let segment = Segment { name: segment_name(header.id), header: header.clone(), void_from: u64::MAX };
        Ok(End { live: LiveSegment { header, file, offset, len }, segment: Some(segment), total_bytes })
    };
    let fresh = rewrite().map_err(OpenError::io("writing the end of the journal into a fresh segment"))?;
    // the old segment takes no more groups; the zeros it was given ahead are only a waste of room
    let cut = medium.open(&last.name).and_then(|file| file.set_len(end.end));
    cut.map_err(OpenError::io(format!("cutting the unused end of {}", last.name)))?;
    Ok(fresh)
}

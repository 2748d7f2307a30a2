//! Reading the journal as one sequence of groups over all its segments, with every check that its bytes allow. Used by
//! opening, replay, rebuilding sled, and `verify`. Not here: writing, and how much of a segment is in memory (`scan/part.rs`).

mod part;

use std::collections::BTreeMap;
use std::io;
use std::ops::{ControlFlow, Range};

use super::bytes::wide;
use super::error::{Damage, OpenError};
use super::frame::{Body, Head, Sealer};
use super::group::FrameSpan;
use super::medium::{Medium, read_file};
use super::segment::{
    FoundGroup, HEADER_BYTES, JOURNAL, SegmentHeader, find_frame, segment_id, segment_name, used_end,
};
use part::Part;

/// A segment on the medium and which of its groups count.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    /// The first group of this segment that a later segment holds in its place; from there on it is void.
    pub(crate) void_from: u64,
}

impl Segment {
    pub(crate) fn is_void(&self) -> bool {
        self.header.first_group >= self.void_from
    }
}

/// Lists the segments and reads their headers. Ids must follow each other without a hole.
pub(crate) fn segments(medium: &dyn Medium) -> Result<Vec<Segment>, OpenError> {
    let files = medium.list(JOURNAL).map_err(OpenError::io("listing the journal's folder"))?;
    let mut segments: Vec<Segment> = vec![];
    for id in files.iter().filter_map(|file| segment_id(file)) {
        let name = segment_name(id);
        if let Some(before) = segments.last().filter(|before| before.header.id + 1 != id) {
            return Err(missing(before.header.id + 1..id));
        }
        let header = read_header(medium, &name)?;
        if header.id != id {
            return Err(OpenError::corrupt(medium.describe(&name), format!("its header says segment {}", header.id)));
        }
        segments.push(Segment { header, name, void_from: u64::MAX });
    }
    let mut void_from = u64::MAX;
    for segment in segments.iter_mut().rev() {
        segment.void_from = void_from;
        void_from = void_from.min(segment.header.first_group);
    }
    Ok(segments)
}

pub(crate) fn missing(ids: Range<u32>) -> OpenError {
    let names: Vec<String> = ids.clone().take(5).map(segment_name).collect();
    let more = ids.len().saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let verb = if ids.len() == 1 { "is" } else { "are" };
    OpenError::MissingSegment { missing: format!("{}{more} {verb}", names.join(", ")) }
}

pub(crate) fn read_header(medium: &dyn Medium, name: &str) -> Result<SegmentHeader, OpenError> {
    let mut bytes = [0; HEADER_BYTES];
    medium
        .open(name)
        .and_then(|file| file.read_at(0, &mut bytes))
        .map_err(OpenError::io(format!("reading {}", medium.describe(name))))?;
    SegmentHeader::decode(&bytes).ok_or_else(|| OpenError::corrupt(medium.describe(name), "its header is not whole"))
}

/// Where each tenant's stream stands while groups go by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    pub(crate) heads: BTreeMap<u32, Head>,
    /// Whether a tenant that is not in `heads` must begin with position 0. False when reading begins in the middle.
    pub(crate) is_complete: bool,
}

impl Links {
    /// Takes the tenant's next frame, if it is one.
    pub(crate) fn take(&mut self, body: &Body<'_>) -> Result<(), String> {
        match self.heads.get(&body.tenant) {
            Some(head) if !body.follows(head) => {
                return Err(if body.first_position == head.next_position {
                    "its chain does not continue the frame before it".into()
                } else {
                    format!("position {} follows position {}", body.first_position, head.next_position)
                });
            }
            None if self.is_complete && !body.follows(&Head::default()) => {
                return Err("the tenant's stream does not begin at its beginning".into());
            }
            _ => {}
        }
        self.heads.insert(body.tenant, body.head());
        Ok(())
    }
}

/// A whole, linked group as it goes by: where its frames lie in some bytes of its segment.
pub(crate) struct Visit<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) found: &'a FoundGroup,
}

/// Bytes behind the last whole group that are not zero: never acknowledged, unless a checkpoint covers them.
#[derive(Clone, Debug)]
pub(crate) struct Torn {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    /// The first of them that is not what was written, if they were whole once.
    pub(crate) place: Damage,
}

/// Where the journal ends.
#[derive(Debug, Default)]
pub(crate) struct JournalEnd {
    pub(crate) last_group: u64,
    pub(crate) links: Links,
    /// Of the last segment: the end of its last group, the length of its file, and what is torn behind.
    pub(crate) end: u64,
    pub(crate) file_len: u64,
    pub(crate) torn: Option<Torn>,
}

/// What part of the journal to read.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Groups before this one are read only as far as they share a segment with it, and not visited.
    pub(crate) from: u64,
    /// The last group to visit. `u64::MAX` reads to the end and looks at what is torn there.
    pub(crate) to: u64,
}

type Visitor<'v> = dyn FnMut(Visit<'_>) -> Result<ControlFlow<()>, OpenError> + 'v;

/// Reads the groups of `extent` in order, checking numbers, checksums, chain hashes and links.
pub(crate) fn read_groups(
    medium: &dyn Medium,
    segments: &[Segment],
    extent: Extent,
    visit: &mut Visitor<'_>,
) -> Result<JournalEnd, OpenError> {
    let live: Vec<&Segment> = segments.iter().filter(|segment| !segment.is_void()).collect();
    let start = live.iter().rposition(|s| s.header.first_group <= extent.from.max(1)).unwrap_or(0);
    let mut end = JournalEnd::default();
    let (mut found, mut part) = (FoundGroup::default(), Part::default());
    for (index, segment) in live.iter().enumerate().skip(start) {
        if index == start {
            end.last_group = segment.header.first_group.saturating_sub(1);
            end.links.is_complete = segment.header.first_group == 1;
        } else if segment.header.first_group != end.last_group + 1 {
            let what = format!(
                "it begins with group {}, but the segments before it end with group {}",
                segment.header.first_group, end.last_group
            );
            return Err(OpenError::corrupt(medium.describe(&segment.name), what));
        }
        let begun = medium.open(&segment.name).and_then(|file| part.begin(file));
        begun.map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                return missing(segment.header.id..segment.header.id + 1);
            }
            unread(medium, segment)(error)
        })?;
        let mut reading = Reading { medium, segment, part: &mut part, sealer: segment.header.sealer() };
        if reading.run(extent, &mut end, &mut found, visit)?.is_break() {
            return Ok(end);
        }
    }
    Ok(end)
}

fn unread(medium: &dyn Medium, segment: &Segment) -> impl FnOnce(io::Error) -> OpenError {
    OpenError::io(format!("reading {}", medium.describe(&segment.name)))
}

struct Reading<'a> {
    medium: &'a dyn Medium,
    segment: &'a Segment,
    part: &'a mut Part,
    sealer: Sealer,
}

impl Reading<'_> {
    fn run(
        &mut self,
        extent: Extent,
        end: &mut JournalEnd,
        found: &mut FoundGroup,
        visit: &mut Visitor<'_>,
    ) -> Result<ControlFlow<()>, OpenError> {
        let is_last = self.segment.void_from == u64::MAX;
        let mut at = wide(HEADER_BYTES);
        loop {
            end.end = at;
            end.file_len = self.part.file_len();
            if end.last_group >= extent.to {
                return Ok(ControlFlow::Break(()));
            }
            if end.last_group + 1 == self.segment.void_from {
                return Ok(ControlFlow::Continue(()));
            }
            let is_whole = self.part.find_group(at, &self.sealer, found).map_err(unread(self.medium, self.segment))?;
            // by what was read, where it ends before what was said of it
            end.file_len = self.part.file_len();
            if !is_whole {
                if !is_last {
                    return Err(self.damaged(at, end, "a group is not whole, and later ones follow it"));
                }
                end.torn = self.torn(at, end)?;
                end.file_len = self.part.file_len();
                return Ok(ControlFlow::Continue(()));
            }
            if found.number != end.last_group + 1 {
                let what = format!("group {} stands where group {} belongs", found.number, end.last_group + 1);
                return Err(self.damaged(at, end, &what));
            }
            for frame in &found.frames {
                let linked = match Body::verified(frame.body(self.part.bytes())) {
                    Some(body) => end.links.take(&body),
                    None => Err("a chain hash is not that of its records".into()),
                };
                linked.map_err(|what| self.damaged_frame(frame, end, &what))?;
            }
            end.last_group = found.number;
            at = self.part.offset_of(found.end);
            if found.number >= extent.from && visit(Visit { bytes: self.part.bytes(), found })?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }

    /// Judges what stands behind the last whole group G of the journal: a valid frame of a group beyond G+1 can only
    /// have been written after G+1 was acknowledged, so G+1 was whole once. Everything else is a torn end.
    fn torn(&mut self, at: u64, end: &JournalEnd) -> Result<Option<Torn>, OpenError> {
        if self.part.is_zero_from(at).map_err(unread(self.medium, self.segment))? {
            return Ok(None);
        }
        let rest = self.part.rest_from(at).map_err(unread(self.medium, self.segment))?;
        let used = rest.get(..used_end(rest)).unwrap_or_default();
        if find_frame(rest, 0, &self.sealer, |body| body.group > end.last_group + 1).is_some() {
            return Err(self.damaged(at, end, "a group is not whole, and a later one follows it"));
        }
        let bytes = used.to_vec();
        let place = self.place_of(at, end, "a group is not whole, and a checkpoint covers it")?;
        Ok(Some(Torn { offset: at, bytes, place }))
    }

    fn damaged_frame(&self, frame: &FrameSpan, end: &JournalEnd, what: &str) -> OpenError {
        OpenError::Corrupt(Damage {
            file: self.medium.describe(&self.segment.name),
            offset: Some(self.part.offset_of(frame.at.start)),
            group: Some(end.last_group + 1),
            tenant: Some(frame.tenant),
            position: Some(end.links.heads.get(&frame.tenant).map_or(frame.first_position, |h| h.next_position)),
            what: what.into(),
        })
    }

    /// Names the damage at `at` as exactly as the bytes allow: the frames of the broken group that are whole still
    /// advance their tenants; the first one that is not says who it was, or the next whole one shows the gap.
    fn damaged(&mut self, at: u64, end: &JournalEnd, what: &str) -> OpenError {
        self.place_of(at, end, what).map_or_else(|error| error, OpenError::Corrupt)
    }

    fn place_of(&mut self, at: u64, end: &JournalEnd, what: &str) -> Result<Damage, OpenError> {
        let rest = self.part.rest_from(at).map_err(unread(self.medium, self.segment))?;
        let mut heads = end.links.heads.clone();
        let mut bad = 0;
        while let Some((frame, body)) = rest.get(bad..).and_then(|rest| self.sealer.open(rest)) {
            if body.group != end.last_group + 1 {
                break;
            }
            heads.insert(body.tenant, body.head());
            bad += frame.len();
        }
        let next_of = |tenant: u32| heads.get(&tenant).map_or(0, |head| head.next_position);
        let guess = rest
            .get(bad..)
            .and_then(Sealer::guess)
            .filter(|(tenant, first)| heads.contains_key(tenant) && next_of(*tenant) == *first);
        let gap = || {
            let after = |body: &Body<'_>| body.first_position > next_of(body.tenant);
            find_frame(rest, bad, &self.sealer, after).map(|span| (span.tenant, next_of(span.tenant)))
        };
        let place = guess.or_else(gap);
        Ok(Damage {
            file: self.medium.describe(&self.segment.name),
            offset: Some(at + wide(bad)),
            group: Some(end.last_group + 1),
            tenant: place.map(|(tenant, _)| tenant),
            position: place.map(|(_, position)| position),
            what: what.into(),
        })
    }
}

/// Whether any segment holds a frame that can be read, for the judgement that a first start was cut.
pub(crate) fn holds_a_frame(medium: &dyn Medium) -> Result<bool, OpenError> {
    let files = medium.list(JOURNAL).map_err(OpenError::io("listing the journal's folder"))?;
    for id in files.iter().filter_map(|file| segment_id(file)) {
        let name = segment_name(id);
        let bytes = read_file(medium, &name)
            .map_err(OpenError::io(format!("reading {}", medium.describe(&name))))?
            .unwrap_or_default();
        if let Some(header) = SegmentHeader::decode(&bytes)
            && find_frame(&bytes, HEADER_BYTES, &header.sealer(), |_| true).is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

//! A commit group: first as the writer hands it over (`Group`), then as frames ready for the journal (`Encoder`), then
//! as what became durable (`EncodedGroup`), which memory, sled and replay share. Not here: any I/O.

use std::collections::BTreeMap;
use std::ops::Range;

use super::bytes::wide;
use super::frame::{
    Body, Draft, Head, JOURNAL_HEAD_BYTES, RECORD_BYTES_MAX, RECORDS_BYTES_MAX, Records, Sealer, record_bytes,
};

/// Records on their way into the log: a buffer that its owner clears and uses again. A tenant's records keep the order
/// in which they were pushed; the log gives them their positions when it appends.
#[derive(Default)]
pub struct Group {
    data: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    tenant: u32,
    at: Range<usize>,
}

impl Group {
    pub fn new() -> Group {
        Group::default()
    }

    pub fn clear(&mut self) {
        self.data.clear();
        self.entries.clear();
    }

    /// Adds a record behind the others of its tenant.
    ///
    /// # Panics
    /// If the record is longer than [`RECORD_BYTES_MAX`]: whoever makes records splits larger facts.
    pub fn push(&mut self, tenant: u32, record: &[u8]) {
        assert!(record.len() <= RECORD_BYTES_MAX, "a record of {} bytes", record.len());
        let start = self.data.len();
        self.data.extend_from_slice(record);
        self.entries.push(Entry { tenant, at: start..self.data.len() });
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the records take together.
    pub fn bytes(&self) -> usize {
        self.data.len()
    }

    /// How many records there are; what [`Self::truncate`] takes.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes back the newest records: a batch that must be whole was refused.
    pub fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
        self.data.truncate(self.entries.last().map_or(0, |entry| entry.at.end));
    }

    /// How many records there are.
    pub fn records(&self) -> usize {
        self.entries.len()
    }

    fn record(&self, entry: usize) -> &[u8] {
        self.entries.get(entry).and_then(|e| self.data.get(e.at.clone())).expect("entries point into the data")
    }
}

/// Where a frame lies in its group's bytes, with what is asked most often.
#[derive(Clone, Debug)]
pub(crate) struct FrameSpan {
    pub(crate) tenant: u32,
    pub(crate) first_position: u64,
    /// The whole frame with its journal head.
    pub(crate) at: Range<usize>,
    pub(crate) head_after: Head,
}

impl FrameSpan {
    pub(crate) fn of(body: &Body<'_>, at: Range<usize>) -> FrameSpan {
        FrameSpan { tenant: body.tenant, first_position: body.first_position, at, head_after: body.head() }
    }

    /// The frame's body within the bytes that the span was made for.
    pub(crate) fn body<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.at.start + JOURNAL_HEAD_BYTES..self.at.end).expect("a span lies within its bytes")
    }
}

/// A group that is durable in the journal, shared by the memory window and the feeder of sled.
pub(crate) struct EncodedGroup {
    pub(crate) number: u64,
    pub(crate) bytes: Box<[u8]>,
    pub(crate) frames: Vec<FrameSpan>,
}

impl EncodedGroup {
    pub(crate) fn body(&self, frame: &FrameSpan) -> Body<'_> {
        Body::parse(frame.body(&self.bytes)).expect("what was encoded or checked can be read")
    }
}

/// A group as replay hands it out.
pub struct ReplayedGroup<'a> {
    pub number: u64,
    bytes: &'a [u8],
    frames: &'a [FrameSpan],
}

/// Records of one tenant in one group: the first has `first_position`, the others follow it.
pub struct ReplayedFrame<'a> {
    pub tenant: u32,
    pub first_position: u64,
    pub count: u32,
    /// The tenant's chain before and after these records.
    pub previous: [u8; 32],
    pub chain: [u8; 32],
    pub records: Records<'a>,
}

impl<'a> ReplayedGroup<'a> {
    pub(crate) fn new(number: u64, bytes: &'a [u8], frames: &'a [FrameSpan]) -> ReplayedGroup<'a> {
        ReplayedGroup { number, bytes, frames }
    }

    /// The group's frames in the order in which they stand in the journal: by tenant, each tenant's by position.
    pub fn frames(&self) -> impl Iterator<Item = ReplayedFrame<'a>> {
        let bytes = self.bytes;
        self.frames.iter().map(move |span| {
            let body = Body::parse(span.body(bytes)).expect("a replayed frame was checked");
            ReplayedFrame {
                tenant: body.tenant,
                first_position: body.first_position,
                count: body.count,
                previous: *body.previous,
                chain: *body.chain,
                records: body.records(),
            }
        })
    }
}

/// Turns groups into frames, in buffers that are used again.
#[derive(Default)]
pub(crate) struct Encoder {
    order: Vec<usize>,
    cuts: Vec<Cut>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: Vec<FrameSpan>,
}

struct Cut {
    tenant: u32,
    entries: Range<usize>,
}

impl Encoder {
    /// Lays out the frames of `group` behind `heads`, without the journal heads, which [`Encoder::seal`] fills in.
    pub(crate) fn encode(&mut self, group: &Group, number: u64, heads: &BTreeMap<u32, Head>) {
        self.order.clear();
        self.order.extend(0..group.entries.len());
        let tenant_of = |entry: usize| group.entries.get(entry).map(|e| e.tenant);
        self.order.sort_by_key(|entry| tenant_of(*entry)); // stable: a tenant's records keep their order
        self.cut(group);
        self.bytes.clear();
        self.frames.clear();
        let parts = u32::try_from(self.cuts.len()).expect("a group has fewer than 2^32 frames");
        let mut head = Head::default();
        let mut tenant_before = None;
        for (part, cut) in (1..).zip(&self.cuts) {
            if tenant_before != Some(cut.tenant) {
                head = heads.get(&cut.tenant).copied().unwrap_or_default();
                tenant_before = Some(cut.tenant);
            }
            let count = u32::try_from(cut.entries.len()).expect("a frame has fewer than 2^32 records");
            let draft = Draft { tenant: cut.tenant, group: number, head, count, part, parts };
            let first_position = head.next_position;
            let start = self.bytes.len();
            let entries = self.order.get(cut.entries.clone()).unwrap_or_default();
            head = draft.write(entries.iter().map(|entry| group.record(*entry)), &mut self.bytes);
            let at = start..self.bytes.len();
            self.frames.push(FrameSpan { tenant: cut.tenant, first_position, at, head_after: head });
        }
    }

    /// Decides which records share a frame: of one tenant, and within the frame's bound.
    fn cut(&mut self, group: &Group) {
        self.cuts.clear();
        let mut room = 0;
        for (at, entry) in self.order.iter().enumerate() {
            let Some(entry) = group.entries.get(*entry) else { continue };
            let needed = record_bytes(entry.at.len());
            match self.cuts.last_mut() {
                Some(cut) if cut.tenant == entry.tenant && needed <= room => {
                    cut.entries.end = at + 1;
                    room -= needed;
                }
                _ => {
                    self.cuts.push(Cut { tenant: entry.tenant, entries: at..at + 1 });
                    room = RECORDS_BYTES_MAX - needed;
                }
            }
        }
    }

    pub(crate) fn seal(&mut self, sealer: &Sealer) {
        for frame in &self.frames {
            sealer.seal(self.bytes.get_mut(frame.at.clone()).expect("a span lies within its bytes"));
        }
    }

    /// A copy of the group for its readers; the buffers stay for the next one.
    pub(crate) fn share(&self, number: u64) -> EncodedGroup {
        EncodedGroup { number, bytes: self.bytes.as_slice().into(), frames: self.frames.clone() }
    }

    pub(crate) fn len(&self) -> u64 {
        wide(self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenants_records_keep_their_order_and_large_groups_are_cut_into_frames() {
        let mut group = Group::new();
        for n in 0..40u32 {
            group.push(n % 2, &vec![u8::try_from(n).expect("small"); 1_000]);
        }
        let heads = BTreeMap::from([(1, Head { next_position: 10, chain: [1; 32] })]);
        let mut encoder = Encoder::default();
        encoder.encode(&group, 7, &heads);
        encoder.seal(&Sealer::new(1, &[0; 16]));
        let shared = encoder.share(7);
        let mut heads = BTreeMap::from([(0, Head::default()), (1, Head { next_position: 10, chain: [1; 32] })]);
        let mut seen: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for (index, frame) in shared.frames.iter().enumerate() {
            let body = shared.body(frame);
            assert!(frame.at.len() <= super::super::frame::FRAME_BYTES_MAX);
            assert_eq!(usize::try_from(body.part).expect("small"), index + 1);
            assert_eq!(body.is_last, index + 1 == shared.frames.len());
            let head = heads.get_mut(&body.tenant).expect("two tenants");
            assert!(body.follows(head), "frames of a tenant are linked");
            *head = body.head();
            seen.entry(body.tenant).or_default().extend(body.records().map(|r| r[0]));
        }
        assert_eq!(seen[&0], (0..40).step_by(2).collect::<Vec<u8>>());
        assert_eq!(seen[&1], (1..40).step_by(2).collect::<Vec<u8>>());
        assert_eq!(heads[&1].next_position, 30);
    }
}

//! Writing the journal: one write and one sync per group, and the change to the next segment, which a thread of its own
//! has filled with zeros ahead of need. Not here: reading it back (`scan.rs`), or what follows a commit (`feeder.rs`).

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::bytes::wide;
use super::error::is_no_room;
use super::frame::Sealer;
use super::group::Encoder;
use super::medium::{Medium, MediumFile, with_descriptor};
use super::segment::{HEADER_BYTES, Prepared, SEGMENT_BYTES_MIN, SegmentHeader};

pub(crate) enum JournalError {
    /// Nothing was written, because there is no room for a new segment.
    NoRoom(io::Error),
    /// A write or a sync failed: what is on the medium is not known.
    Fatal { doing: &'static str, error: io::Error },
}

impl JournalError {
    fn fatal(doing: &'static str) -> impl FnOnce(io::Error) -> JournalError {
        move |error| JournalError::Fatal { doing, error }
    }
}

/// The segment that groups go into.
pub(crate) struct LiveSegment {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Box<dyn MediumFile>,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

pub(crate) struct Journal {
    medium: Arc<dyn Medium>,
    live: LiveSegment,
    sealer: Sealer,
    segment_bytes_max: u64,
    /// What all segments hold together; small ledgers get small segments.
    total_bytes: u64,
    preparer: Preparer,
}

/// Where a group came to lie.
pub(crate) struct Place {
    pub(crate) segment: u32,
    pub(crate) end: u64,
    /// Set if the group is the first of a new segment.
    pub(crate) is_new_segment: bool,
}

impl Journal {
    pub(crate) fn new(medium: Arc<dyn Medium>, live: LiveSegment, segment_bytes_max: u64, total_bytes: u64) -> Journal {
        let sealer = live.header.sealer();
        let preparer = Preparer::start(Arc::clone(&medium));
        Journal { medium, live, sealer, segment_bytes_max, total_bytes, preparer }
    }

    /// Makes the encoded group durable: write, sync. The segment is changed first if the group does not fit.
    pub(crate) fn commit(&mut self, group: &mut Encoder, number: u64) -> Result<Place, JournalError> {
        let is_new_segment = self.live.offset + group.len() > self.live.len;
        if is_new_segment {
            self.rotate(group.len(), number)?;
        }
        group.seal(&self.sealer);
        self.live.file.write_at(self.live.offset, &group.bytes).map_err(JournalError::fatal("writing a group"))?;
        self.live.file.sync().map_err(JournalError::fatal("syncing the journal"))?;
        self.live.offset += group.len();
        self.total_bytes += group.len();
        // not before the first group: a start has other things to do
        self.order_next();
        Ok(Place { segment: self.live.header.id, end: self.live.offset, is_new_segment })
    }

    fn rotate(&mut self, group_bytes: u64, first_group: u64) -> Result<(), JournalError> {
        let needed = group_bytes + wide(HEADER_BYTES);
        let prepared = match self.preparer.take() {
            Some(Ok(prepared)) if prepared.len >= needed => Ok(prepared),
            Some(Ok(short)) => {
                self.medium.remove(&short.name).map_err(JournalError::fatal("removing a short segment"))?;
                with_descriptor(|| Prepared::make(self.medium.as_ref(), "large", needed))
            }
            Some(Err(_)) | None => {
                let len = needed.max(segment_bytes(self.total_bytes, self.segment_bytes_max));
                with_descriptor(|| Prepared::make(self.medium.as_ref(), "late", len))
            }
        };
        let prepared = prepared.map_err(|error| {
            if is_no_room(&error) {
                JournalError::NoRoom(error)
            } else {
                JournalError::Fatal { doing: "preparing a segment", error }
            }
        })?;
        let header = SegmentHeader::new(self.live.header.id + 1, first_group, self.live.header.log_id)
            .map_err(JournalError::fatal("drawing a salt"))?;
        let len = prepared.len;
        let file = prepared
            .commission(self.medium.as_ref(), &header)
            .map_err(JournalError::fatal("changing to the next segment"))?;
        self.sealer = header.sealer();
        self.live = LiveSegment { header, file, offset: wide(HEADER_BYTES), len };
        Ok(())
    }

    fn order_next(&mut self) {
        self.preparer.order(segment_bytes(self.total_bytes, self.segment_bytes_max));
    }
}

#[cfg(test)]
impl Journal {
    pub(crate) fn live_segment(&self) -> u32 {
        self.live.header.id
    }
}

/// How large the next segment is made: as large as everything before it, within bounds.
pub(crate) fn segment_bytes(total_bytes: u64, max: u64) -> u64 {
    total_bytes.next_power_of_two().clamp(SEGMENT_BYTES_MIN.min(max), max)
}

/// The thread that fills the next segment with zeros. At most one is ordered or waiting at a time.
struct Preparer {
    orders: Option<Sender<u64>>,
    made: Receiver<io::Result<Prepared>>,
    is_ordered: bool,
    thread: Option<JoinHandle<()>>,
}

impl Preparer {
    fn start(medium: Arc<dyn Medium>) -> Preparer {
        let (orders, ordered) = bounded::<u64>(1);
        let (give, made) = bounded(1);
        let work = move || {
            for len in ordered {
                if give.send(Prepared::make(medium.as_ref(), "next", len)).is_err() {
                    return;
                }
            }
        };
        // without the thread segments are made when they are needed: slower, not wrong
        let thread = std::thread::Builder::new().name("journal-prepare".into()).spawn(work).ok();
        Preparer { orders: thread.is_some().then_some(orders), made, is_ordered: false, thread }
    }

    /// Unless one was ordered already.
    fn order(&mut self, len: u64) {
        if let Some(orders) = self.orders.as_ref().filter(|_| !self.is_ordered) {
            self.is_ordered = orders.try_send(len).is_ok();
        }
    }

    /// Waits for what was ordered. `None` if nothing was.
    fn take(&mut self) -> Option<io::Result<Prepared>> {
        if !std::mem::take(&mut self.is_ordered) {
            return None;
        }
        self.made.recv().ok()
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

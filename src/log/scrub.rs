//! The scrub: while the service goes on, the whole log is walked now and then, so that what rots where nobody reads is found
//! while there is a backup without it. Not here: the walk itself (`walk.rs`).

use std::io;
use std::ops::ControlFlow;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::NoProgress;
use super::bytes::wide;
use super::error::Damage;
use super::panics::Fallen;
use super::reader::LogReader;
use super::walk::WalkReport;
use crate::clock::monotonic;

/// So long a walk works at once.
const SLICE: Duration = Duration::from_millis(10);
/// And then rests so many times as long: it takes a tenth of a core at most.
const RESTS: u32 = 9;
/// A service that is started anew every day has its log walked, too.
const FIRST_AFTER: Duration = Duration::from_secs(600);
/// So many places are named in the service's log.
const NAMED_MAX: usize = 20;

/// What the walks since the start found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    pub walks: u64,
    /// Places that are not as they were written, by the last walk.
    pub damages: u64,
}

/// The thread that walks. It ends when it is closed, or dropped.
#[derive(Debug)]
pub struct Scrubber {
    stop: Sender<()>,
    thread: JoinHandle<()>,
    fallen: Fallen,
}

impl Scrubber {
    /// `None` where it is to be every nothing, which is never.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(reader: &LogReader, every: Duration) -> io::Result<Option<Scrubber>> {
        if every == Duration::ZERO {
            return Ok(None);
        }
        let (stop, stopped) = bounded(1);
        let (reader, fallen) = (reader.clone(), Fallen::default());
        let standing = fallen.standing("walks the whole log");
        let run = move || {
            let _standing = standing;
            let mut wait = every.min(FIRST_AFTER);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(wait) {
                scrub(&reader, &stopped);
                wait = every;
            }
        };
        let thread = Builder::new().name("log-scrub".into()).spawn(run)?;
        Ok(Some(Scrubber { stop, thread, fallen }))
    }

    /// Whether it panicked.
    #[must_use]
    pub fn is_fallen(&self) -> bool {
        self.fallen.is_so()
    }

    /// Ends a walk that is under way. Blocking.
    pub fn close(self) {
        drop(self.stop);
        // one that panicked has ended, too
        let _ended = self.thread.join();
    }
}

fn scrub(reader: &LogReader, stopped: &Receiver<()>) {
    let begun = monotonic();
    // what is written meanwhile can look wrong once: damage is what a second walk finds as well
    let walked =
        walk(reader, stopped).and_then(|found| if found.is_whole() { Some(found) } else { walk(reader, stopped) });
    let Some(report) = walked else { return };
    let WalkReport { damages, sled_damages, tile_damages, head_damages, groups, records, .. } = report;
    if let Some(damage) = sled_damages.first() {
        reader.doubt_sled(&damage.to_string());
    }
    let found: Vec<Damage> = [damages, sled_damages, tile_damages, head_damages].concat();
    for damage in found.iter().take(NAMED_MAX) {
        tracing::error!(%damage, "the log is damaged; seatledger verify on the stopped folder says more");
    }
    reader.note_scrub(wide(found.len()));
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(groups, records, damages = found.len(), elapsed_ms, "the whole log was walked");
}

/// One walk at the pace of a scrub. `None`: it was stopped.
fn walk(reader: &LogReader, stopped: &Receiver<()>) -> Option<WalkReport> {
    let (mut slice, mut is_stopped) = (monotonic(), false);
    let report = reader.scrub(&NoProgress, &mut |_| {
        let worked = slice.elapsed();
        if worked < SLICE {
            return ControlFlow::Continue(());
        }
        is_stopped = !matches!(stopped.recv_timeout(worked * RESTS), Err(RecvTimeoutError::Timeout));
        slice = monotonic();
        if is_stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (!is_stopped).then_some(report)
}

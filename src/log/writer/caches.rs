//! Snapshots and receipt runs, written beside the writer from copies that it hands over between two groups. They are
//! caches: what goes wrong with them is said, and costs time at the next start, nothing else.

use crate::log::receipts::{Flush, Flushed};
use crate::log::record;
use crate::log::snapshot::{self, SnapshotMeta};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Serialize;
use std::path::PathBuf;

/// Changes with every change of what is folded: a snapshot of another schema is not read.
pub const SCHEMA: u32 = 1;

/// A snapshot is taken when so many records were appended since the last one.
const RECORDS_BETWEEN: u64 = 100_000;

/// What one round made.
struct Done {
    flushed: Option<Flushed>,
}

/// At most one round at a time.
pub(super) struct Caches {
    dir: PathBuf,
    records_since: u64,
    running: Option<Receiver<Done>>,
}

impl Caches {
    pub(super) fn new(dir: PathBuf, records_since: u64) -> Self {
        Self { dir, records_since, running: None }
    }

    pub(super) fn count(&mut self, records: usize) {
        self.records_since += records as u64;
    }

    pub(super) fn is_due(&self) -> bool {
        self.running.is_none() && self.records_since >= RECORDS_BETWEEN
    }

    pub(super) fn has_news(&self) -> bool {
        self.records_since > 0
    }

    /// Starts a round; its outcome is asked for with [`Self::finished`].
    pub(super) fn begin<C: Serialize + Send + 'static>(&mut self, meta: SnapshotMeta, copy: C, flush: Option<Flush>) {
        self.records_since = 0;
        let (done, running) = bounded(1);
        let dir = self.dir.clone();
        let round = move || run(&dir, &meta, &copy, flush, &done);
        match std::thread::Builder::new().name("snapshot".into()).spawn(round) {
            Ok(_detached) => self.running = Some(running),
            Err(error) => tracing::warn!(%error, "no thread for a snapshot; the next one will be tried later"),
        }
    }

    /// The outcome of a round that ended: the inner value is for the receipts.
    pub(super) fn finished(&mut self, wait: bool) -> Option<Option<Flushed>> {
        let running = self.running.as_ref()?;
        let done = if wait { running.recv().ok() } else { running.try_recv().ok() };
        if done.is_none() && !wait {
            return None;
        }
        self.running = None;
        Some(done.and_then(|done| done.flushed))
    }
}

fn run<C: Serialize>(dir: &std::path::Path, meta: &SnapshotMeta, copy: &C, flush: Option<Flush>, done: &Sender<Done>) {
    let flushed = flush.and_then(|flush| match flush.run() {
        Ok(flushed) => Some(flushed),
        Err(error) => {
            tracing::warn!(%error, "the index of command ids could not be written; it stays in memory");
            None
        }
    });
    let written = snapshot::write(dir, meta, &mut |mut out| record::encode_cache(copy, &mut out));
    match written {
        Ok(path) => tracing::debug!(path = %path.display(), group = meta.group, "a snapshot was written"),
        Err(error) => tracing::warn!(%error, "a snapshot could not be written; the next start takes longer"),
    }
    // The writer may have stopped waiting.
    let _gone = done.send(Done { flushed });
}

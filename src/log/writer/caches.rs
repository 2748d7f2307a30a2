//! Snapshots and the runs of the indexes, written beside the writer from copies that it hands over between two groups, each on a
//! thread of its own: what a start folds lies behind the last snapshot, so none waits for runs that are being merged. They are
//! caches: what goes wrong with them is said, and costs time at the next start, nothing else. So they take of the disk only what
//! lies above its floor: what is below is the journal's.

use crate::clock::monotonic;
use crate::log::archive::{AROUND_BYTES, Archive, Put};
use crate::log::receipts::{self, Receipts};
use crate::log::record;
use crate::log::snapshot::{self, SnapshotMeta};
use crate::log::subjects::{self, Subjects};
use crossbeam_channel::{Receiver, TryRecvError, bounded};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Changes with every change of what is folded: a snapshot of another schema is not read.
pub const SCHEMA: u32 = 22;

/// A snapshot is taken when so many records were appended since the last one; few in tests, whose histories are short.
const RECORDS_BETWEEN: u64 = if cfg!(test) { 1000 } else { 100_000 };
/// And at least so many times as long after one as it took: what one costs grows with the state, and must not become a growing
/// share of everything.
const REST_SNAPSHOTS: u32 = 10;
/// The indexes alone earlier, when one holds so many entries in memory: a command has some dozen, some records name thousands
/// of members.
pub(super) const ENTRIES_IN_MEMORY: usize = 500_000;
/// But never at once again, when a flush failed.
const RECORDS_BETWEEN_MIN: u64 = RECORDS_BETWEEN / 20;
/// Once nothing was written for so long, a rest as long as the snapshot took is enough: a kill then finds less behind it.
const IDLE: Duration = Duration::from_secs(1);
/// What there is no room for is tried again after so long.
const NO_ROOM_REST: Duration = Duration::from_secs(60);

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// And the indexes, unless they are on their way.
    Snapshot,
    Indexes,
}

/// What of the indexes goes to disk at once.
pub(super) struct Flush {
    receipts: Option<receipts::Flush>,
    subjects: Option<subjects::Flush>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Flushed {
    receipts: Option<receipts::Flushed>,
    subjects: Option<subjects::Flushed>,
}

impl Flush {
    /// Takes what the indexes hold in memory, up to a group.
    pub(super) fn of(receipts: &Receipts, subjects: &Subjects, group: u64) -> Self {
        Self { receipts: receipts.begin_flush(group), subjects: subjects.begin_flush(group) }
    }

    /// Blocking.
    pub(super) fn run(self) -> Flushed {
        let receipts = self.receipts.map(receipts::Flush::run).transpose();
        let subjects = self.subjects.map(subjects::Flush::run).transpose();
        Flushed {
            receipts: receipts.inspect_err(|error| said(error, "of command ids")).ok().flatten(),
            subjects: subjects.inspect_err(|error| said(error, "of subjects")).ok().flatten(),
        }
    }
}

impl Flushed {
    pub(super) fn hand_over(self, receipts: &Receipts, subjects: &Subjects) {
        receipts.end_flush(self.receipts);
        subjects.end_flush(self.subjects);
    }
}

fn said(error: &std::io::Error, index: &str) {
    tracing::warn!(%error, index, "an index could not be written; it stays in memory");
}

/// What came of a snapshot: what of it was archived, for the audience to let go of, and how long it took.
type Taken<G> = (Option<G>, Duration);

/// What a snapshot is made of.
pub(super) struct Taking<C, G> {
    pub(super) meta: SnapshotMeta,
    pub(super) copy: C,
    /// Gives away of a copy what never changes any more.
    pub(super) archived: fn(&mut C, &mut Put<'_>) -> io::Result<G>,
    pub(super) archive: Arc<Archive>,
    /// Whatever it turns out to be, it has at most so many.
    pub(super) bytes_max: u64,
}

/// At most one snapshot at a time, and one flush.
pub(super) struct Caches<G> {
    dir: PathBuf,
    records_since: u64,
    /// The same since the last flush.
    records_since_flush: u64,
    indexes: Option<Receiver<Flushed>>,
    /// What of the disk is the flush's that runs.
    indexes_bytes: u64,
    snapshot: Option<Receiver<Taken<G>>>,
    /// The same of the snapshot, as far as it can be told.
    snapshot_bytes: u64,
    /// No snapshot before then, while something is written.
    rests_until: Instant,
    /// Nor before then, while nothing is.
    rests_at_least_until: Instant,
    /// Nor before then in any case.
    has_no_room_until: Instant,
    /// When something was written last.
    counted_at: Instant,
}

impl<G: Send + 'static> Caches<G> {
    pub(super) fn new(dir: PathBuf, records_since: u64) -> Self {
        let now = monotonic();
        Self {
            dir,
            records_since,
            records_since_flush: records_since,
            indexes: None,
            indexes_bytes: 0,
            snapshot: None,
            snapshot_bytes: 0,
            rests_until: now,
            rests_at_least_until: now,
            has_no_room_until: now,
            counted_at: now,
        }
    }

    pub(super) fn count(&mut self, records: usize) {
        self.records_since += records as u64;
        self.records_since_flush += records as u64;
        self.counted_at = monotonic();
    }

    pub(super) fn due(&self, entries_in_memory: usize) -> Option<Due> {
        if self.snapshot.is_none() && self.records_since >= RECORDS_BETWEEN {
            let now = monotonic();
            let is_idle = now.duration_since(self.counted_at) >= IDLE;
            let rests_until = if is_idle { self.rests_at_least_until } else { self.rests_until };
            if now >= rests_until && now >= self.has_no_room_until {
                return Some(Due::Snapshot);
            }
        }
        let is_full = entries_in_memory >= ENTRIES_IN_MEMORY && self.records_since_flush >= RECORDS_BETWEEN_MIN;
        (is_full && !self.is_flushing()).then_some(Due::Indexes)
    }

    pub(super) fn is_flushing(&self) -> bool {
        self.indexes.is_some()
    }

    /// What of the disk is promised to what runs.
    pub(super) fn promised_bytes(&self) -> u64 {
        let of = |is_running, bytes| if is_running { bytes } else { 0 };
        of(self.indexes.is_some(), self.indexes_bytes).saturating_add(of(self.snapshot.is_some(), self.snapshot_bytes))
    }

    /// Whether what is due leaves the disk's floor alone, as far as it can be told: the next snapshot is about as large as the last
    /// one, and the indexes write so much. What does not is put off.
    pub(super) fn has_room(&mut self, due: Due, index_bytes: u64, bytes_above_floor: u64) -> bool {
        let last = match due {
            Due::Snapshot => snapshot::newest_bytes(&self.dir),
            Due::Indexes => 0,
        };
        let of_snapshot = last.saturating_add(last / 2);
        let needed = of_snapshot.saturating_add(index_bytes);
        if needed <= bytes_above_floor {
            self.snapshot_bytes = if due == Due::Snapshot { of_snapshot } else { self.snapshot_bytes };
            self.indexes_bytes = if self.is_flushing() { self.indexes_bytes } else { index_bytes };
            return true;
        }
        tracing::warn!(needed, bytes_above_floor, "no room for a snapshot and indexes above the floor of the disk");
        self.records_since_flush = 0;
        self.has_no_room_until = monotonic() + NO_ROOM_REST;
        false
    }

    pub(super) fn has_news(&self) -> bool {
        self.records_since > 0
    }

    /// Starts a flush, of which [`Self::flushed`] is asked.
    pub(super) fn begin_flush(&mut self, flush: Flush) {
        self.records_since_flush = 0;
        self.indexes = Some(beside("indexes", move || flush.run()));
    }

    /// Starts a snapshot, beside which something is dropped that takes long to; [`Self::archived`] is asked of it.
    pub(super) fn begin_snapshot<C, D>(&mut self, taking: Taking<C, G>, dropped: D)
    where
        C: Serialize + Send + 'static,
        D: Send + 'static,
    {
        self.records_since = 0;
        let dir = self.dir.clone();
        self.snapshot = Some(beside("snapshot", move || {
            let begun = monotonic();
            drop(dropped);
            let gone = taking.write(&dir);
            (gone, begun.elapsed())
        }));
    }

    /// What a flush made that ended.
    pub(super) fn flushed(&mut self, wait: bool) -> Option<Flushed> {
        ended(&mut self.indexes, wait).map(Option::unwrap_or_default)
    }

    /// What was archived by a snapshot that ended; the rest begins then.
    pub(super) fn archived(&mut self, wait: bool) -> Option<G> {
        let (gone, took) = ended(&mut self.snapshot, wait)??;
        let now = monotonic();
        (self.rests_until, self.rests_at_least_until) = (now + took * REST_SNAPSHOTS, now + took);
        gone
    }
}

/// Works on a thread of its own; what comes of it, if something does, is asked of [`ended()`].
fn beside<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (done, running) = bounded(1);
    // the writer may have stopped waiting
    let run = move || done.send(work()).unwrap_or_default();
    if let Err(error) = std::thread::Builder::new().name(name.into()).spawn(run) {
        tracing::warn!(%error, "no thread for a snapshot or an index; the next one will be tried later");
    }
    running
}

/// What came of work that ended: nothing where it panicked, or had no thread.
fn ended<T>(running: &mut Option<Receiver<T>>, wait: bool) -> Option<Option<T>> {
    let asked = running.as_ref()?;
    let done = match if wait { asked.recv().map_err(TryRecvError::from) } else { asked.try_recv() } {
        Err(TryRecvError::Empty) => return None,
        ended => ended.ok(),
    };
    *running = None;
    Some(done)
}

impl<C: Serialize, G> Taking<C, G> {
    /// What was archived of it. Where the snapshot itself fails, that is archived all the same: the audience lets go of it, and
    /// the next snapshot points there.
    fn write(mut self, dir: &Path) -> Option<G> {
        let mut left = self.bytes_max;
        let archived = self.archive.all_or_nothing(|put| {
            (self.archived)(&mut self.copy, &mut |bytes| {
                left = left.checked_sub((bytes.len() + AROUND_BYTES) as u64).ok_or_else(below_floor)?;
                put(bytes)
            })
        });
        let gone = match archived {
            Ok(gone) => gone,
            Err(error) => {
                tracing::warn!(%error, "counts of the past could not be archived; they stay in memory, and there is no snapshot");
                return None;
            }
        };
        let copy = self.copy;
        let written =
            snapshot::write(dir, &self.meta, &mut |out| record::encode_cache(&copy, &mut Within { out, left }));
        match written {
            Ok(path) => tracing::debug!(path = %path.display(), group = self.meta.group, "a snapshot was written"),
            Err(error) => tracing::warn!(%error, "a snapshot could not be written; the next start takes longer"),
        }
        Some(gone)
    }
}

fn below_floor() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "it would go below the disk's floor")
}

/// Takes no more than there is room for.
struct Within<'w> {
    out: &'w mut dyn Write,
    left: u64,
}

impl Write for Within<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(below_floor)?;
        self.out.write_all(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A snapshot of something, of which nothing is archived.
    fn begin<C, D>(caches: &mut Caches<u64>, group: u64, copy: C, bytes_max: u64, dropped: D)
    where
        C: Serialize + Send + 'static,
        D: Send + 'static,
    {
        let archive = Arc::new(Archive::open(&caches.dir).unwrap_or_else(|| Archive::begin(&caches.dir).unwrap()));
        let meta = SnapshotMeta { schema: SCHEMA, group, heads: BTreeMap::new() };
        caches.begin_snapshot(Taking { meta, copy, archived: |_, _| Ok(0), archive, bytes_max }, dropped);
    }

    fn wait(caches: &mut Caches<u64>) {
        caches.archived(true);
        assert!(caches.snapshot.is_none());
    }

    #[test]
    fn full_indexes_are_flushed_without_a_snapshot_which_stays_due() {
        let dir = tempfile::tempdir().unwrap();
        let mut caches = Caches::<u64>::new(dir.path().to_owned(), 0);
        let nothing = || Flush { receipts: None, subjects: None };
        let snapshots = || snapshot::list(dir.path()).unwrap().len();
        caches.count(40);
        assert_eq!(caches.due(ENTRIES_IN_MEMORY), None, "a round that failed is not tried at once again");
        caches.count(20);
        assert_eq!((caches.due(ENTRIES_IN_MEMORY - 1), caches.due(ENTRIES_IN_MEMORY)), (None, Some(Due::Indexes)));
        caches.count(900);
        caches.begin_flush(nothing());
        assert_eq!(caches.due(ENTRIES_IN_MEMORY), None, "one flush at a time");
        assert!(caches.flushed(true).is_some());
        assert_eq!((snapshots(), caches.due(ENTRIES_IN_MEMORY)), (0, None));
        caches.count(40);
        assert_eq!(caches.due(0), Some(Due::Snapshot), "1,000 records since the last one");
        begin(&mut caches, 7, (), u64::MAX, ());
        wait(&mut caches);
        assert_eq!((snapshots(), caches.due(0), caches.has_news()), (1, None, false));
    }

    #[test]
    fn a_rest_is_short_while_nothing_is_written_unless_there_is_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut caches = Caches::<u64>::new(dir.path().to_owned(), 0);
        caches.rests_until = monotonic() + Duration::from_secs(600);
        caches.count(1000);
        assert_eq!(caches.due(0), None);
        caches.counted_at = monotonic().checked_sub(IDLE).unwrap();
        assert_eq!(caches.due(0), Some(Due::Snapshot));
        caches.rests_at_least_until = caches.rests_until;
        assert_eq!(caches.due(0), None);
        caches.rests_at_least_until = caches.counted_at;
        caches.has_no_room_until = monotonic() + Duration::from_secs(600);
        assert_eq!(caches.due(0), None);
    }

    #[test]
    fn a_round_that_would_go_below_the_floor_is_put_off_and_what_does_not_fit_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut caches = Caches::<u64>::new(dir.path().to_owned(), 1000);
        let files = || std::fs::read_dir(dir.path().join("snapshots")).unwrap().count();
        let copy = vec!["of everything".to_owned(); 20_000];
        assert!(caches.has_room(Due::Snapshot, 0, 0), "nobody knows how large the first one is");
        begin(&mut caches, 7, copy.clone(), 100_000, ());
        wait(&mut caches);
        assert_eq!(files(), 0, "neither the snapshot nor a half of it");
        begin(&mut caches, 7, copy, u64::MAX, ());
        wait(&mut caches);
        assert_eq!(files(), 1);
        let bytes = snapshot::newest_bytes(dir.path());
        assert!(bytes > 200_000, "{bytes}");
        caches.rests_until = monotonic();
        caches.count(1000);
        assert_eq!(caches.due(0), Some(Due::Snapshot));
        assert!(caches.has_room(Due::Snapshot, 1000, bytes + bytes / 2 + 1000));
        assert!(caches.has_room(Due::Indexes, 1000, 1000));
        assert!(!caches.has_room(Due::Snapshot, 1000, bytes + bytes / 2 + 999));
        assert_eq!(caches.due(ENTRIES_IN_MEMORY), None, "not at once again");
        assert!(caches.has_news());
    }

    /// Holds up who drops it, until it is let go.
    struct Slow(Receiver<()>);
    impl Drop for Slow {
        fn drop(&mut self) {
            let _let_go = self.0.recv();
        }
    }

    #[test]
    fn neither_a_snapshot_nor_a_flush_waits_for_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut caches = Caches::<u64>::new(dir.path().to_owned(), 1000);
        let (let_go, slow) = bounded::<()>(1);
        assert_eq!(caches.due(0), Some(Due::Snapshot));
        assert!(caches.has_room(Due::Snapshot, 700, 700));
        assert_eq!(caches.promised_bytes(), 0, "nothing runs");
        begin(&mut caches, 7, (), u64::MAX, Slow(slow));
        caches.count(1000);
        assert!(caches.archived(false).is_none() && caches.snapshot.is_some());
        assert_eq!(
            (caches.due(0), caches.due(ENTRIES_IN_MEMORY)),
            (None, Some(Due::Indexes)),
            "one snapshot at a time"
        );
        drop(let_go);
        wait(&mut caches);
        caches.rests_until = monotonic();
        let (let_go, slow) = bounded::<()>(1);
        caches.indexes = Some(beside("indexes", move || {
            drop(Slow(slow));
            Flushed::default()
        }));
        assert!(caches.flushed(false).is_none() && caches.is_flushing());
        assert_eq!(caches.promised_bytes(), 700);
        assert_eq!(caches.due(ENTRIES_IN_MEMORY), Some(Due::Snapshot), "whatever the indexes do");
        begin(&mut caches, 8, (), u64::MAX, ());
        wait(&mut caches);
        assert!(caches.is_flushing());
        drop(let_go);
        assert!(caches.flushed(true).is_some() && !caches.is_flushing());
        assert_eq!(caches.promised_bytes(), 0);
    }

    #[test]
    fn one_that_panics_has_ended_and_the_next_one_comes() {
        struct Panics;
        impl Drop for Panics {
            fn drop(&mut self) {
                panic!("as a test wants it");
            }
        }
        let dir = tempfile::tempdir().unwrap();
        let mut caches = Caches::<u64>::new(dir.path().to_owned(), 0);
        begin(&mut caches, 7, (), 0, Panics);
        let end = monotonic() + std::time::Duration::from_secs(60);
        while caches.archived(false).is_none() && caches.snapshot.is_some() {
            assert!(monotonic() < end, "it is heard of");
            std::thread::yield_now();
        }
        caches.count(1000);
        assert_eq!(caches.due(0), Some(Due::Snapshot));
        caches.indexes = Some(beside("indexes", || panic!("as a test wants it")));
        assert!(caches.flushed(true).is_some_and(|flushed| flushed.receipts.is_none() && flushed.subjects.is_none()));
    }

    #[test]
    fn what_is_archived_is_heard_of_also_where_the_snapshot_fails_and_nothing_where_archiving_does() {
        let dir = tempfile::tempdir().unwrap();
        let mut caches = Caches::<u64>::new(dir.path().to_owned(), 0);
        let archive = Arc::new(Archive::begin(dir.path()).unwrap());
        let mut take = |bytes_max| {
            let meta = SnapshotMeta { schema: SCHEMA, group: 7, heads: BTreeMap::new() };
            let copy = vec![7_u8; 1000];
            let archived = |copy: &mut Vec<u8>, put: &mut Put<'_>| {
                let at = put(copy)?;
                copy.truncate(500);
                Ok(at)
            };
            caches.begin_snapshot(Taking { meta, copy, archived, archive: Arc::clone(&archive), bytes_max }, ());
            caches.archived(true)
        };
        assert_eq!((take(1007), snapshot::list(dir.path()).unwrap().len()), (None, 0));
        let first = take(1008).unwrap();
        assert_eq!((archive.get(first), snapshot::list(dir.path()).unwrap().len()), (Some(vec![7; 1000]), 0));
        let second = take(2000).unwrap();
        assert_eq!((archive.get(second), snapshot::list(dir.path()).unwrap().len()), (Some(vec![7; 1000]), 1));
        assert!(second > first);
    }
}

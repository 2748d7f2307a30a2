//! The durable log: records in, records out, and nothing acknowledged ever lost.
//!
//! ```text
//! Group ──append──▶ journal (one write, one fdatasync: durable) ──▶ memory window ──▶ readers
//!                                                              └──▶ feeder thread ──▶ sled ──▶ checkpoint, anchor
//! ```
//!
//! Here: what the rest of the house may use of it. The journal is the copy of record, sled is what is read and can be
//! made anew, the anchor says how far the journal must reach. `design.md` §4 says why; `schemas/log-format.md` has the
//! bytes. **Absent on purpose:** what a record says (`record.rs` alone knows), any clock, any retry after a failed write.

mod anchor;
pub mod archive;
mod aside;
mod backup;
mod bytes;
mod checkpoint;
mod doubt;
mod error;
mod feeder;
mod frame;
mod group;
mod journal;
mod lock;
mod manifest;
mod medium;
#[cfg(test)]
mod memory;
mod packed;
pub mod panics;
mod read_log;
mod reader;
mod ready;
pub mod receipts;
pub mod record;
mod recovery;
mod replay;
mod restored;
mod retained;
mod runs;
mod scan;
mod scrub;
mod segment;
mod shared;
mod sled;
pub mod snapshot;
mod stopped;
pub mod subjects;
pub mod submission;
mod sync_file_range;
mod trees;
mod walk;
mod window;
pub mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use group::Encoder;
use journal::{Journal, JournalError};
use medium::{FileMedium, Medium};
#[cfg(test)]
use read_log::ReadLogPlace;
use recovery::Opened;
use shared::{Files, Shared};
use window::Window;

pub use backup::{BackupPlan, BackupSegment, backup_files, is_in_backups};
pub use checkpoint::CheckpointInfo;
pub use error::{AppendError, Damage, OpenError, ReadError, Room};
pub use frame::{Head, RECORD_BYTES_MAX, Records};
pub use group::{Group, ReplayedFrame, ReplayedGroup};
pub use lock::FolderLock;
pub use reader::LogReader;
pub use ready::{check_version, log_id_in, start_new_origin};
pub use recovery::{OpenReport, Took, TornEnd};
pub use replay::{
    Checkpointed, ReplayEnd, Still, checkpointed, hold_still, replay_groups, replay_groups_beside_service, stood_at,
};
pub use restored::{RESTORING, RestoredMark, refuse_half_restored};
pub use scrub::{Scrubbed, Scrubber};
pub use stopped::say_last_words_by;
pub use trees::Tree;
pub use walk::{EachGroup, WalkReport, walk, walk_beside_service};

/// How the process ends when the log can't go on: whatever was not acknowledged may be lost, and a start finds out.
pub const EXIT_LOG_STOPPED: u8 = 70;

/// Hears of work that may take longer than a second: rebuilding sled, walking the log.
pub trait Progress: Send + Sync {
    fn step(&self, what: &str, done: u64, total: u64);
}

/// Nobody is watching.
pub struct NoProgress;

impl Progress for NoProgress {
    fn step(&self, _what: &str, _done: u64, _total: u64) {}
}

#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The data folder.
    pub dir: PathBuf,
    /// The most that a journal segment is made for; a small ledger gets smaller ones.
    pub segment_bytes: u64,
    /// Below this much free space the disk is [`Room::Low`], below a quarter of it there is [`Room::None`].
    pub disk_floor_bytes: u64,
    pub sled_cache_bytes: u64,
    /// How much of the newest log stays in memory for readers, beside what sled does not have yet.
    pub memory_bytes: u64,
    /// A checkpoint is made when so much was appended, or after so long if anything was.
    pub checkpoint_bytes: u64,
    pub checkpoint_seconds: u32,
    /// The whole log is walked so often; 0 is never.
    pub scrub_seconds: u64,
}

impl LogOptions {
    pub fn new(dir: impl Into<PathBuf>) -> LogOptions {
        LogOptions {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            disk_floor_bytes: 256 << 20,
            sled_cache_bytes: 16 << 20,
            memory_bytes: 8 << 20,
            checkpoint_bytes: 32 << 20,
            checkpoint_seconds: 30,
            scrub_seconds: 0,
        }
    }
}

/// A group that is on stable storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub group: u64,
    /// What it took in the journal.
    pub bytes: u64,
    /// Where each of its tenants stands now.
    pub heads: Vec<(u32, Head)>,
}

/// The log, for one to append at a time.
pub struct Log {
    // the feeder goes before the lock on the folder
    feeder: feeder::Feeder,
    journal: Journal,
    shared: Arc<Shared>,
    encoder: Encoder,
    heads: BTreeMap<u32, Head>,
    last_group: u64,
    log_id: [u8; 16],
    /// Where the log lies on real files.
    sled: Option<Arc<self::sled::SledPlace>>,
    _lock: Option<Arc<FolderLock>>,
}

impl Log {
    /// Opens the log in a folder that is locked for us, or makes it there. Takes as long as the tail behind the last
    /// checkpoint is, or, if sled has to be made anew, as the whole journal is.
    pub fn open_locked(
        options: LogOptions,
        lock: Arc<FolderLock>,
        progress: &dyn Progress,
    ) -> Result<(Log, OpenReport), OpenError> {
        let medium: Arc<dyn Medium> = Arc::new(FileMedium::new(&options.dir));
        let place = Arc::new(self::sled::SledPlace::new(&options.dir, options.sled_cache_bytes));
        let opened = recovery::open(&medium, place.as_ref(), &options, progress)?;
        let (mut log, report) = Log::of(opened, medium, Some(place), &options)?;
        log._lock = Some(lock);
        Ok((log, report))
    }

    /// The same for a test that has nothing but a log in its folder.
    #[cfg(test)]
    pub(crate) fn open(options: LogOptions, progress: &dyn Progress) -> Result<(Log, OpenReport), OpenError> {
        let lock = FolderLock::take(&options.dir)?;
        Log::open_locked(options, lock, progress)
    }

    /// The same on any medium and any read log.
    #[cfg(test)]
    pub(crate) fn open_on(
        medium: Arc<dyn Medium>,
        place: &dyn ReadLogPlace,
        options: &LogOptions,
        progress: &dyn Progress,
    ) -> Result<(Log, OpenReport), OpenError> {
        let opened = recovery::open(&medium, place, options, progress)?;
        Log::of(opened, medium, None, options)
    }

    fn of(
        opened: Opened,
        medium: Arc<dyn Medium>,
        sled: Option<Arc<self::sled::SledPlace>>,
        options: &LogOptions,
    ) -> Result<(Log, OpenReport), OpenError> {
        let Opened { read_log, live, total_bytes, entries, heads, checkpointer, report } = opened;
        let window = Window::new(heads.clone(), report.last_group, options.memory_bytes);
        let files = Files { segments: entries, live_end: live.offset, live_group: report.last_group };
        let trees = Arc::clone(&checkpointer.trees);
        let (floor, dir) = (options.disk_floor_bytes, options.dir.clone());
        let shared = Shared::new(Arc::clone(&medium), read_log, window, trees, files, floor, dir);
        let pace =
            feeder::Pace { checkpoint_bytes: options.checkpoint_bytes, checkpoint_seconds: options.checkpoint_seconds };
        let feeder = feeder::Feeder::start(Arc::clone(&shared), checkpointer, pace, sled.clone())
            .map_err(OpenError::io("starting the thread that feeds sled"))?;
        let journal = Journal::new(medium, live, options.segment_bytes, total_bytes);
        let log = Log {
            feeder,
            journal,
            shared,
            encoder: Encoder::default(),
            heads,
            last_group: report.last_group,
            log_id: report.log_id,
            sled,
            _lock: None,
        };
        Ok((log, report))
    }

    pub fn head(&self, tenant: u32) -> Head {
        self.heads.get(&tenant).copied().unwrap_or_default()
    }

    pub fn heads(&self) -> BTreeMap<u32, Head> {
        self.heads.clone()
    }

    pub fn last_group(&self) -> u64 {
        self.last_group
    }

    pub fn log_id(&self) -> [u8; 16] {
        self.log_id
    }

    /// Makes the group durable: one write, one `fdatasync`. When this answers `Ok`, readers see it and every one of its
    /// records may be acknowledged. After [`AppendError::Fatal`] nothing can be appended any more.
    ///
    /// # Panics
    /// If the group is empty: a group number stands for something.
    pub fn append(&mut self, group: &Group) -> Result<Committed, AppendError> {
        assert!(!group.is_empty(), "an empty group has nothing to commit");
        self.shared.wait_for_room();
        // behind the wait, which a log that stops ends
        if let Some(why) = self.shared.failure() {
            return Err(AppendError::Fatal(why.to_owned()));
        }
        let number = self.last_group + 1;
        self.encoder.encode(group, number, &self.heads);
        let place = self.journal.commit(&mut self.encoder, number).map_err(|error| self.stopped(error))?;
        self.last_group = number;
        {
            let mut files = self.shared.files.lock();
            if place.is_new_segment {
                files.segments.push(manifest::LiveEntry { id: place.segment, first_group: number });
            }
            files.live_end = place.end;
            files.live_group = number;
        }
        let group = Arc::new(self.encoder.share(number));
        let mut heads: Vec<(u32, Head)> = Vec::with_capacity(1);
        for frame in &group.frames {
            match heads.last_mut() {
                Some((tenant, head)) if *tenant == frame.tenant => *head = frame.head_after,
                _ => heads.push((frame.tenant, frame.head_after)),
            }
        }
        self.heads.extend(heads.iter().copied());
        let bytes = bytes::wide(group.bytes.len());
        self.shared.publish(&group);
        self.feeder.feed(group);
        Ok(Committed { group: number, bytes, heads })
    }

    fn stopped(&self, error: JournalError) -> AppendError {
        match error {
            JournalError::NoRoom(error) => {
                self.shared.look_at_disk();
                tracing::error!(%error, "there is no room for a new journal segment");
                AppendError::DiskLow { free_bytes: self.shared.free_bytes() }
            }
            JournalError::Fatal { doing, error } => {
                let why = format!("{doing} failed: {error}");
                self.shared.fail(why.clone());
                AppendError::Fatal(why)
            }
        }
    }

    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// Why the log stopped, if it did: also when that happened behind the last append.
    pub fn failure(&self) -> Option<&str> {
        self.shared.failure()
    }

    #[cfg(test)]
    fn journal_segment(&self) -> u32 {
        self.journal.live_segment()
    }

    /// Asks for a checkpoint soon.
    pub fn request_checkpoint(&mut self) {
        self.feeder.request_checkpoint();
    }

    /// Makes a checkpoint that covers everything appended so far, and waits for it.
    pub fn checkpoint_now(&mut self) -> Result<CheckpointInfo, String> {
        self.feeder.checkpoint()
    }

    /// Gives sled the rest, checkpoints, and lets go of its share of the folder's lock. An error leaves the folder as a
    /// kill would: whole, and the next start takes a little longer.
    pub fn close(mut self) -> Result<(), AppendError> {
        let outcome = self.last_checkpoint();
        self.feeder.stop();
        self.shared.close_read_log();
        if let Some(sled) = self.sled.as_ref().filter(|_| outcome.is_ok()) {
            sled.settle();
        }
        outcome
    }

    /// There is none after it that could make up for it.
    fn last_checkpoint(&mut self) -> Result<(), AppendError> {
        self.checkpoint_now().map(|_| ()).map_err(|why| {
            if self.shared.failure().is_none() {
                self.shared.fail(why.clone());
            }
            AppendError::Fatal(why)
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.feeder.stop();
        self.shared.close_read_log();
    }
}

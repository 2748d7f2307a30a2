//! What the appending thread, the feeder and all readers share: the memory window, the read log, and whether the log has
//! stopped. Not here: the threads themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};

use super::doubt;
use super::error::Room;
use super::frame::Head;
use super::group::EncodedGroup;
use super::manifest::LiveEntry;
use super::medium::{Medium, TOP};
use super::panics::caught;
use super::read_log::{ReadLog, ReadLogError, ReadLogPlace};
use super::scrub::Scrubbed;
use super::stopped::Stopped;
use super::trees::Trees;
use super::window::Window;

/// How far sled may fall behind the journal before appending waits for it.
const UNFED_BYTES_MAX: u64 = 64 << 20;

pub(crate) struct Shared {
    pub(crate) medium: Arc<dyn Medium>,
    pub(crate) window: Mutex<Window>,
    pub(crate) trees: Arc<Trees>,
    is_fed: Condvar,
    /// Gone once the log is closed, so that a reader left over does not keep sled open.
    read_log: RwLock<Option<Arc<dyn ReadLog>>>,
    pub(crate) failure: Stopped,
    free_bytes: AtomicU64,
    disk_floor_bytes: u64,
    pub(crate) files: Mutex<Files>,
    /// Held while the anchor and its manifests change.
    pub(crate) checkpointing: Mutex<()>,
    /// Where the data folder is, for who copies files.
    pub(crate) dir: PathBuf,
    /// Reads that sled could not answer and the journal had to.
    pub(crate) reads_from_journal: AtomicU64,
    /// The next start has been told that sled is damaged.
    is_sled_doubted: AtomicBool,
    pub(crate) scrubbed: Mutex<Scrubbed>,
}

/// The journal's files as far as they are durable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) segments: Vec<LiveEntry>,
    /// The end of the last durable group in the last segment.
    pub(crate) live_end: u64,
    pub(crate) live_group: u64,
}

fn is_held(log: Option<&Arc<dyn ReadLog>>) -> bool {
    log.is_some_and(|log| Arc::strong_count(log) > 1)
}

impl Shared {
    pub(crate) fn new(
        medium: Arc<dyn Medium>,
        read_log: Arc<dyn ReadLog>,
        window: Window,
        trees: Arc<Trees>,
        files: Files,
        disk_floor_bytes: u64,
        dir: PathBuf,
    ) -> Arc<Shared> {
        let shared = Shared {
            medium,
            window: Mutex::new(window),
            trees,
            is_fed: Condvar::new(),
            read_log: RwLock::new(Some(read_log)),
            failure: Stopped::default(),
            free_bytes: AtomicU64::new(u64::MAX),
            disk_floor_bytes,
            files: Mutex::new(files),
            checkpointing: Mutex::new(()),
            dir,
            reads_from_journal: AtomicU64::new(0),
            is_sled_doubted: AtomicBool::new(false),
            scrubbed: Mutex::default(),
        };
        shared.look_at_disk();
        Arc::new(shared)
    }

    /// Stops the log for good. The first reason is the one that counts.
    pub(crate) fn fail(&self, why: String) {
        tracing::error!(%why, "the log stopped");
        self.failure.set(why).ok();
        // whoever has just seen no failure is waiting once this lock can be had, and hears of it
        drop(self.window.lock());
        self.is_fed.notify_all();
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Sled is not what was put into it: the next start is to make it anew. Saying so once is enough.
    pub(crate) fn doubt_sled(&self, why: &str) {
        if self.is_sled_doubted.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::error!(why, "sled is damaged; the next start makes it anew");
        if let Err(error) = doubt::note(self.medium.as_ref(), why) {
            tracing::warn!(%error, "the next start could not be told that sled is damaged");
            self.is_sled_doubted.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn read_log(&self) -> Option<Arc<dyn ReadLog>> {
        self.read_log.read().clone()
    }

    /// Whether somebody reads from sled just now.
    pub(crate) fn is_read_log_held(&self) -> bool {
        is_held(self.read_log.read().as_ref())
    }

    /// Closes sled and opens it again, which notes down where its pages lie. Readers wait; while one holds it, it is left as it is,
    /// and `false` said. Where opening fails there is none, until another try.
    pub(crate) fn reopen_read_log(&self, place: &dyn ReadLogPlace) -> Result<bool, ReadLogError> {
        let mut held = self.read_log.write();
        if is_held(held.as_ref()) {
            return Ok(false);
        }
        caught(|| drop(held.take()))
            .map_err(|why| ReadLogError::Broken(format!("sled gave up while closing: {why}")))?;
        *held = Some(place.open()?);
        Ok(true)
    }

    pub(crate) fn close_read_log(&self) {
        *self.read_log.write() = None;
    }

    pub(crate) fn heads(&self) -> BTreeMap<u32, Head> {
        self.window.lock().heads().clone()
    }

    /// Makes a durable group visible to readers.
    pub(crate) fn publish(&self, group: &Arc<EncodedGroup>) {
        self.window.lock().add(group);
    }

    pub(crate) fn fed(&self, up_to: u64) {
        self.window.lock().fed(up_to);
        self.is_fed.notify_all();
    }

    /// Waits while sled is too far behind. Memory would grow without bound otherwise.
    pub(crate) fn wait_for_room(&self) {
        let mut window = self.window.lock();
        while window.unfed_bytes() > UNFED_BYTES_MAX && self.failure().is_none() {
            self.is_fed.wait(&mut window);
        }
    }

    /// Asks the file system how much room is left. Called now and then; everybody else looks at the figure.
    pub(crate) fn look_at_disk(&self) {
        match self.medium.free_bytes() {
            Ok(free) => self.free_bytes.store(free, Ordering::Relaxed),
            Err(error) => tracing::warn!(%error, place = self.medium.describe(TOP), "free disk space is not known"),
        }
    }

    pub(crate) fn free_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_above_floor(&self) -> u64 {
        self.free_bytes().saturating_sub(self.disk_floor_bytes)
    }

    pub(crate) fn room(&self) -> Room {
        match self.free_bytes() {
            free if free < self.disk_floor_bytes / 4 => Room::None,
            free if free < self.disk_floor_bytes => Room::Low,
            _ => Room::Ample,
        }
    }
}

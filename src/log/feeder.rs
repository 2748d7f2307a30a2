//! The thread that gives sled what is durable in the journal, and checkpoints. It may lag; it never leads. Not here:
//! making anything durable that was not.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, select, tick};

use super::bytes::wide;
use super::checkpoint::{CheckpointError, CheckpointInfo, Checkpointer};
use super::error::Room;
use super::group::EncodedGroup;
use super::read_log::{Key, ReadLogError, key};
use super::shared::Shared;
use super::sled::SledPlace;
use super::trees::Trees;
use crate::clock::monotonic;

/// Groups that may wait; what bounds memory is the byte count in `Shared::wait_for_room`.
const QUEUE_GROUPS_MAX: usize = 16_384;
/// What is given to sled at once.
const BATCH_BYTES_MAX: u64 = 1 << 20;
/// How long a group waits for others to be given to sled with: each change wakes all of sled's threads and has it sync twice,
/// beside a lone caller's own sync. Reads take what is not in sled yet from memory, and whoever waits for a tree ends it. The
/// feeder sleeps through it, so that a group does not wake it either.
const LINGER: Duration = Duration::from_millis(100);
/// Sled is opened anew once it was given no more than so many bytes in each of so many seconds.
const QUIET_BYTES: u64 = 64 << 10;
const QUIET_SECONDS: u32 = if cfg!(test) { 1 } else { 5 };
/// But not sooner behind the last time: readers of old events wait for it.
const REOPENED_REST: Duration = Duration::from_secs(600);
/// Tries to open sled again, a second apart, before the log gives up.
const REOPENINGS_MAX: u32 = 10;
/// How much may be appended before the free space is looked at again.
const DISK_LOOK_BYTES: u64 = 1 << 20;

type Answer = Sender<Result<CheckpointInfo, String>>;

enum Order {
    Feed(Arc<EncodedGroup>),
    Checkpoint(Option<Answer>),
}

pub(crate) struct Feeder {
    orders: Option<Sender<Order>>,
    trees: Arc<Trees>,
    thread: Option<JoinHandle<()>>,
}

/// When a checkpoint comes by itself.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) checkpoint_bytes: u64,
    pub(crate) checkpoint_seconds: u32,
}

impl Feeder {
    /// Where sled lies is known only if it may be opened anew.
    pub(crate) fn start(
        shared: Arc<Shared>,
        checkpointer: Checkpointer,
        pace: Pace,
        sled: Option<Arc<SledPlace>>,
    ) -> std::io::Result<Feeder> {
        let (orders, queue) = bounded(QUEUE_GROUPS_MAX);
        let trees = Arc::clone(&shared.trees);
        let mut work = Work {
            shared,
            checkpointer,
            pace,
            sled,
            bytes_since: 0,
            bytes_unlooked: 0,
            bytes_this_second: 0,
            seconds_since: 0,
            seconds_quiet: 0,
            reopened_at: None,
            is_owed: false,
        };
        let thread = std::thread::Builder::new().name("log-feeder".into()).spawn(move || work.run(&queue))?;
        Ok(Feeder { orders: Some(orders), trees, thread: Some(thread) })
    }

    /// Queues a durable group. Waits only when sled is thousands of groups behind.
    pub(crate) fn feed(&self, group: Arc<EncodedGroup>) {
        if let Some(orders) = &self.orders {
            orders.send(Order::Feed(group)).ok(); // a feeder that has gone left its reason in `Shared`
        }
    }

    pub(crate) fn request_checkpoint(&self) {
        if let Some(orders) = &self.orders {
            orders.try_send(Order::Checkpoint(None)).ok(); // a full queue brings a checkpoint by itself
        }
    }

    /// Waits for a checkpoint of everything that was queued before.
    pub(crate) fn checkpoint(&self) -> Result<CheckpointInfo, String> {
        let (answer, answered) = bounded(1);
        let orders = self.orders.as_ref().ok_or("the log is closed")?;
        orders.send(Order::Checkpoint(Some(answer))).map_err(|_| "the log has stopped")?;
        self.trees.hurry();
        answered.recv().map_err(|_| "the log has stopped")?
    }

    /// Lets the thread work off its queue and end.
    pub(crate) fn stop(&mut self) {
        self.orders = None;
        self.trees.hurry();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Work {
    shared: Arc<Shared>,
    checkpointer: Checkpointer,
    pace: Pace,
    sled: Option<Arc<SledPlace>>,
    bytes_since: u64,
    bytes_unlooked: u64,
    bytes_this_second: u64,
    seconds_since: u32,
    seconds_quiet: u32,
    reopened_at: Option<Instant>,
    /// The last one could not be made yet.
    is_owed: bool,
}

impl Work {
    fn run(&mut self, queue: &Receiver<Order>) {
        let _ends_the_log = FailOnPanic(Arc::clone(&self.shared));
        let seconds = tick(Duration::from_secs(1));
        loop {
            let order = select! {
                recv(queue) -> order => match order {
                    Ok(order) => order,
                    Err(_) => return,
                },
                recv(seconds) -> _ => {
                    self.second_passed();
                    continue;
                }
            };
            self.take(order, queue);
        }
    }

    fn take(&mut self, first: Order, queue: &Receiver<Order>) {
        let mut batch = vec![];
        let mut bytes = 0;
        let mut next = Some(first);
        let mut checkpoint = None;
        let mut has_lingered = false;
        while let Some(order) = next {
            match order {
                Order::Feed(group) => {
                    bytes += wide(group.bytes.len());
                    batch.push(group);
                }
                Order::Checkpoint(answer) => {
                    checkpoint = Some(answer);
                    break;
                }
            }
            if bytes >= BATCH_BYTES_MAX {
                break;
            }
            next = match queue.try_recv() {
                // where the log is being closed no more come
                Err(TryRecvError::Empty) if !has_lingered => {
                    self.shared.trees.linger(LINGER);
                    has_lingered = true;
                    queue.try_recv().ok()
                }
                order => order.ok(),
            };
        }
        self.feed(&batch, bytes);
        match checkpoint {
            Some(Some(answer)) => {
                answer.send(self.checkpoint()).ok();
            }
            Some(None) => {
                self.checkpoint().ok();
            }
            None if self.bytes_since >= self.pace.checkpoint_bytes => self.checkpoint_by_itself(),
            None => {}
        }
    }

    fn feed(&mut self, batch: &[Arc<EncodedGroup>], bytes: u64) {
        let Some(last) = batch.last() else { return };
        if self.shared.failure().is_some() {
            return;
        }
        let Some(read_log) = self.shared.read_log() else { return };
        let puts: Vec<(Key, &[u8])> = batch.iter().flat_map(|group| entries(group)).collect();
        if let Err(error) = read_log.change(&puts, &[]) {
            // what was acknowledged is in the journal
            if let ReadLogError::Broken(why) = &error {
                self.shared.doubt_sled(why);
            }
            self.shared.fail(format!("sled did not take what the journal holds: {error}"));
            return;
        }
        for group in batch {
            self.checkpointer.note(group);
        }
        self.checkpointer.trees.grown();
        self.shared.fed(last.number);
        self.bytes_since += bytes;
        self.bytes_unlooked += bytes;
        self.bytes_this_second += bytes;
        if self.bytes_unlooked >= DISK_LOOK_BYTES {
            self.bytes_unlooked = 0;
            self.shared.look_at_disk();
        }
    }

    fn second_passed(&mut self) {
        self.shared.look_at_disk();
        self.seconds_since += 1;
        if self.is_owed || self.bytes_since > 0 && self.seconds_since >= self.pace.checkpoint_seconds {
            self.checkpoint_by_itself();
        }
        let is_quiet = std::mem::take(&mut self.bytes_this_second) <= QUIET_BYTES;
        self.seconds_quiet = if is_quiet { self.seconds_quiet + 1 } else { 0 };
        if self.seconds_quiet >= QUIET_SECONDS {
            self.settle_sled();
        }
    }

    /// Nobody but an opening notes down where sled's pages lie, and a start behind a kill goes through everything that was put
    /// since. So where much was, sled is opened anew while little is written; what is appended meanwhile waits in memory.
    fn settle_sled(&mut self) {
        let Some(sled) = self.sled.clone().filter(|sled| sled.has_much_unsettled()) else { return };
        let rests = self.reopened_at.is_some_and(|at| at.elapsed() < REOPENED_REST);
        if rests || self.shared.is_read_log_held() || self.shared.room() != Room::Ample {
            return;
        }
        // not at once again where somebody takes hold of it meanwhile
        self.seconds_quiet = 0;
        if self.bytes_since > 0 && self.checkpoint().is_err() {
            return;
        }
        for tries in 1.. {
            match self.shared.reopen_read_log(sled.as_ref()) {
                Ok(is_opened) => {
                    self.reopened_at = is_opened.then(monotonic).or(self.reopened_at);
                    return;
                }
                Err(ReadLogError::Io(error)) if tries < REOPENINGS_MAX => {
                    tracing::warn!(%error, "sled could not be opened again; it is tried again in a second");
                    std::thread::sleep(Duration::from_secs(1));
                }
                Err(error) => {
                    if let ReadLogError::Broken(why) = &error {
                        self.shared.doubt_sled(why);
                    }
                    self.shared.fail(format!("sled could not be opened again: {error}"));
                    return;
                }
            }
        }
    }

    /// Not where the room that is left is for one segment and for opening sled: a write of sled's that fails ends the log.
    fn checkpoint_by_itself(&mut self) {
        if self.shared.room() != Room::None {
            self.checkpoint().ok();
        }
    }

    fn checkpoint(&mut self) -> Result<CheckpointInfo, String> {
        if let Some(why) = self.shared.failure() {
            return Err(why.to_owned());
        }
        let read_log = self.shared.read_log().ok_or("the log is closed")?;
        let live = self.shared.files.lock().segments.clone();
        self.bytes_since = 0;
        self.seconds_since = 0;
        let _files_change = self.shared.checkpointing.lock();
        match self.checkpointer.run(self.shared.medium.as_ref(), read_log.as_ref(), live) {
            Ok(made) => {
                self.is_owed = false;
                Ok(made)
            }
            Err(CheckpointError::Postponed(error)) => {
                let why = format!("the checkpoint could not be made yet: {error}");
                if !std::mem::replace(&mut self.is_owed, true) {
                    tracing::warn!("{why}; it is tried again every second");
                }
                Err(why)
            }
            Err(error @ (CheckpointError::Failed(_) | CheckpointError::SledBroken(_))) => {
                if let CheckpointError::SledBroken(why) = &error {
                    self.shared.doubt_sled(why);
                }
                let why = format!("the checkpoint failed: {error}");
                self.shared.fail(why.clone());
                Err(why)
            }
        }
    }
}

/// A group's frames as sled keeps them: everything but what belongs to the segment.
pub(crate) fn entries(group: &EncodedGroup) -> impl Iterator<Item = (Key, &[u8])> {
    group.frames.iter().map(|frame| (key(frame.tenant, frame.first_position), frame.body(&group.bytes)))
}

struct FailOnPanic(Arc<Shared>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("the thread that feeds sled panicked".into());
        }
    }
}

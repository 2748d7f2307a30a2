//! One thread owns the state. It takes whatever waits, judges each command against the state its predecessors left,
//! appends all their events in one group with one sync, publishes, and only then answers. So a command never sees a
//! state that is about to change, nobody is told "yes" before the fact is on disk, and everyone who waited shares one
//! sync. A large group goes on by a thread of its own from where it is to become durable (`commit.rs`); whoever is judged
//! meanwhile is answered behind it. A batch that is not all or nothing is judged part by part (`batches.rs`): others come between.
//!
//! A failed append ends the process: memory is ahead of the disk, and only a replay knows by how much.

mod ahead;
mod alone;
mod batches;
mod bench;
mod caches;
mod commit;
mod draft;
mod erased;
mod judge;
mod origin;
mod queue;
mod start;
mod subjects;
mod whole;

use super::archive::{Archive, Put};
use super::receipts::Receipts;
use super::snapshot::SnapshotMeta;
use super::stopped::end_process;
use super::subjects::Subjects;
use super::submission::{PastCommand, Submission, SubmitError};
use super::{LogReader, Room};
use crate::clock::{Clock, monotonic};
use crate::domain::command::{Actor, Door};
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::state::{LOOK_AHEAD, Tenant};
use alone::{Alone, NotAlone};
use batches::Batch;
use bench::Bench;
use caches::{Caches, Due, Taking};
use commit::Behind;
use draft::Owed;
use queue::{Jobs, Refused, Waiting};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

pub use ahead::Ahead;
pub use caches::SCHEMA as SNAPSHOT_SCHEMA;
pub use judge::{Repeat, Verdict};
pub use start::{Look, StartError, StartOptions, start};
pub use subjects::trial_intake;

/// Jobs that may wait for the writer; more are turned away as busy.
pub const QUEUE_JOBS_MAX: usize = 16_384;
/// A group takes no further job once it holds so many commands or bytes of records.
const GROUP_COMMANDS_MAX: usize = 1024;
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Timers are looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// And so soon again where one has not ended all that was due.
const TICK_GOES_ON: Duration = Duration::from_millis(50);

/// One thing for the writer to do.
pub enum Job {
    CreateTenant {
        actor: Actor,
        door: Door,
        slug: String,
        name: String,
        reply: Reply<(TenantId, Verdict)>,
    },
    Submit {
        tenant: TenantId,
        submission: Box<Submission>,
        reply: Reply<Verdict>,
    },
    SubmitAll {
        tenant: TenantId,
        batch: Vec<Submission>,
        is_atomic: bool,
        reply: oneshot::Sender<Vec<Result<Verdict, SubmitError>>>,
    },
    /// The past of another log, into the tenant or as the next new one. Answers with the next position.
    TakeOver {
        tenant: TenantId,
        past: Vec<PastCommand>,
        reply: Reply<u64>,
    },
    /// Answers whether something is left for the next one.
    Tick {
        reply: oneshot::Sender<bool>,
    },
    Checkpoint {
        reply: oneshot::Sender<Result<(), String>>,
    },
    Stop {
        reply: oneshot::Sender<()>,
    },
}

pub type Reply<T> = oneshot::Sender<Result<T, SubmitError>>;

/// Takes every group after it is durable and before anyone is answered.
pub trait Audience: Send {
    /// Everything it holds, at a durable group: what a snapshot is made of.
    type Copy: Serialize + DeserializeOwned + Send + 'static;
    /// What of a copy was archived.
    type Gone: Send + 'static;

    fn take(&mut self, group: u64, records: &[(TenantId, Recorded)]);
    fn copy(&self) -> Self::Copy;
    /// Takes over a copy.
    fn restore(&mut self, copy: Self::Copy);
    /// Gives away of a copy what never changes any more, by what it is known then, and lets go of it.
    ///
    /// # Errors
    /// What whoever takes it said; nothing is let go of then.
    fn archive(copy: &mut Self::Copy, put: &mut Put<'_>) -> io::Result<Self::Gone>;
    /// Lets go of what was archived of the last copy.
    fn let_go(&mut self, gone: Self::Gone);
    /// The state of each tenant, to judge by. It shares what it is made of with the audience until one of the two changes it.
    fn states(&self) -> Vec<Tenant>;
}

/// What metrics and readiness say of the writer.
#[derive(Default)]
pub struct Gauges {
    pub commands: AtomicU64,
    pub groups: AtomicU64,
    pub group_commands_max: AtomicU64,
    pub sync_micros: AtomicU64,
    pub last_sync_micros: AtomicU64,
    pub waiting: AtomicUsize,
    pub receipts: AtomicU64,
    pub is_stopped: std::sync::atomic::AtomicBool,
}

/// The way to the writer: bounded, and never blocking its callers.
#[derive(Clone)]
pub struct WriterHandle {
    jobs: Jobs<Job>,
    place: Arc<dyn Alone>,
    reader: LogReader,
    receipts: Receipts,
    subjects: Subjects,
    archive: Arc<Archive>,
    gauges: Arc<Gauges>,
}

impl WriterHandle {
    /// # Errors
    /// `Busy` when the queue is full, `Stopped` when the writer is gone.
    pub fn send(&self, job: Job) -> Result<(), SubmitError> {
        let batch = if let Job::SubmitAll { batch, .. } = &job { Some(batch.len()) } else { None };
        // those that the writer goes on with wait in no queue
        if batch.is_some() && self.gauges.waiting.load(Ordering::Relaxed) >= QUEUE_JOBS_MAX {
            return Err(SubmitError::Busy);
        }
        let weight = batch.unwrap_or(1);
        self.gauges.waiting.fetch_add(1, Ordering::Relaxed);
        self.jobs.put(job, weight).map_err(|refused| {
            self.gauges.waiting.fetch_sub(1, Ordering::Relaxed);
            match refused {
                Refused::Full => SubmitError::Busy,
                Refused::Gone => SubmitError::Stopped,
            }
        })
    }

    /// Judges a small command at once where nobody else asks for anything: then there is no thread to be woken twice. Blocking,
    /// one sync, only while syncs are fast. Gives the submission back where it has to go the way of all others.
    ///
    /// # Errors
    /// The submission, unjudged.
    pub fn judge_alone(
        &self,
        tenant: TenantId,
        submission: Box<Submission>,
    ) -> Result<Result<Verdict, SubmitError>, Box<Submission>> {
        if self.place.may_be_alone() && self.jobs.is_idle() && alone::is_small(&submission) {
            self.place.judge(tenant, submission).map_err(|NotAlone(submission)| submission)
        } else {
            Err(submission)
        }
    }

    /// Who asks next is not alone, for a while.
    pub fn in_company(&self) {
        self.place.in_company();
    }

    #[cfg(test)]
    pub(crate) fn company_until_micros(&self) -> u64 {
        self.place.company_until_micros()
    }

    #[must_use]
    pub fn reader(&self) -> &LogReader {
        &self.reader
    }

    #[must_use]
    pub fn receipts(&self) -> &Receipts {
        &self.receipts
    }

    #[must_use]
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    #[must_use]
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    #[must_use]
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }
}

/// The judge, with what is behind it.
struct Writer<A: Audience> {
    behind: Behind<A>,
    reader: LogReader,
    bench: Bench,
    subjects: Subjects,
    clock: Clock,
    caches: Caches<A::Gone>,
    archive: Arc<Archive>,
    gauges: Arc<Gauges>,
}

/// How the writer stands when it has judged what was there.
#[derive(Default)]
struct Standing {
    /// So many were sent on their way to an answer.
    answered: usize,
    /// They are still on it.
    is_busy: bool,
    /// Of a batch there is something left to judge.
    has_rest: bool,
    /// No more fit into the group that waits for them.
    is_full: bool,
    stopping: Option<oneshot::Sender<()>>,
}

impl<A: Audience> Writer<A> {
    /// Takes what waits and judges it, and sends the group on its way if none is.
    fn round(&mut self, jobs: &mut Waiting<Job>, next_tick: &mut Instant) -> Standing {
        let mut stopping = None;
        // many others leave room for batches that wait
        let commands_max = if self.bench.batches.is_empty() { GROUP_COMMANDS_MAX } else { GROUP_COMMANDS_MAX / 2 };
        for at in 0_usize.. {
            if stopping.is_some() || self.bench.is_full() || self.bench.draft.commands >= commands_max {
                break;
            }
            if at.is_multiple_of(LOOK_AHEAD) {
                self.look_ahead(jobs);
            }
            let Some(job) = jobs.next() else { break };
            self.take(job, &mut stopping);
        }
        self.judge_batches();
        if monotonic() >= *next_tick {
            let is_left = self.tick();
            *next_tick = monotonic() + if is_left { TICK_GOES_ON } else { TICK };
        }
        if stopping.is_some() && self.reader.room() != Room::None {
            self.bench.flush_counts(self.clock.now());
        }
        let mut answered = 0;
        self.behind.look();
        if !self.behind.is_busy() && !self.bench.draft.is_clear() {
            answered = self.bench.draft.owed.len();
            self.pass_on();
        }
        self.look_after_caches();
        let (is_busy, is_full) = (self.behind.is_busy(), self.bench.is_full());
        Standing { answered, is_busy, has_rest: !self.bench.batches.is_empty(), is_full, stopping }
    }

    fn judge_batches(&mut self) {
        let (end, now, room) = (monotonic() + batches::TURN, self.clock.now(), self.reader.room());
        let done = self.bench.judge_batches(batches::COMMANDS_MAX, end, now, room);
        self.gauges.waiting.fetch_sub(done, Ordering::Relaxed);
    }

    /// Sends what was judged on its way; no other group is on it.
    fn pass_on(&mut self) {
        let draft = self.bench.seal(self.behind.spare());
        self.caches.count(draft.records.len());
        self.behind.pass_on(draft);
    }

    /// All that was judged is durable, and everyone who waited has heard it.
    fn settle(&mut self) {
        self.behind.settle();
        if !self.bench.draft.is_clear() {
            self.pass_on();
            self.behind.settle();
        }
    }

    /// At what the next jobs that are one command are about, of the tenant that is the first one's.
    fn look_ahead(&self, jobs: &mut Waiting<Job>) {
        let single = |job| {
            if let &Job::Submit { tenant, ref submission, .. } = job { Some((tenant, &**submission)) } else { None }
        };
        let mut ahead = jobs.ahead().take(LOOK_AHEAD).map_while(single).peekable();
        if let Some((first, _)) = ahead.peek().copied() {
            self.bench
                .look_ahead(first, ahead.filter(|(tenant, _)| *tenant == first).map(|(_, submission)| submission));
        }
    }

    fn take(&mut self, job: Job, stopping: &mut Option<oneshot::Sender<()>>) {
        self.gauges.waiting.fetch_sub(1, Ordering::Relaxed);
        let now = self.clock.now();
        let room = self.reader.room();
        match job {
            Job::CreateTenant { actor, door, slug, name, reply } => {
                let judged = if room != Room::Ample {
                    Err(SubmitError::DiskLow)
                } else {
                    self.bench.create_tenant(actor, door, &slug, &name, now)
                };
                self.bench.draft.owed.push(Owed::Tenant(reply, judged));
            }
            Job::Submit { tenant, submission, reply } => {
                let judged = self.bench.judge(tenant, *submission, now, room);
                self.bench.draft.owed.push(Owed::One(reply, judged));
            }
            Job::SubmitAll { tenant, batch, is_atomic: true, reply } => {
                // it may have to read what was judged before
                self.behind.settle();
                let (now, room) = (self.clock.now(), self.reader.room());
                let judged = self.bench.judge_whole(&self.reader, tenant, batch, now, room);
                self.bench.draft.owed.push(Owed::All(reply, judged));
            }
            Job::SubmitAll { tenant, batch, is_atomic: false, reply } => {
                // it still waits
                self.gauges.waiting.fetch_add(1, Ordering::Relaxed);
                self.bench.batches.push_back(Batch::new(tenant, batch, reply));
            }
            Job::TakeOver { tenant, past, reply } => {
                let taken =
                    if room != Room::Ample { Err(SubmitError::DiskLow) } else { self.bench.take_over(tenant, past) };
                self.settle();
                let _gone = reply.send(taken);
            }
            Job::Tick { reply } => {
                let is_left = self.tick();
                self.bench.draft.owed.push(Owed::Ticked(reply, is_left));
            }
            Job::Checkpoint { reply } => {
                self.settle();
                let made = self.behind.committer().log.checkpoint_now().map(|_| ());
                let _gone = reply.send(made);
            }
            Job::Stop { reply } => *stopping = Some(reply),
        }
    }

    /// `true` where something is left for the next one.
    fn tick(&mut self) -> bool {
        let room = self.reader.room();
        let may_run = self.clock.check_for_jump().is_none() && room == Room::Ample;
        room != Room::None && self.bench.tick(self.clock.now(), may_run)
    }

    /// Between two groups: takes over what was made beside, and starts what is due.
    fn look_after_caches(&mut self) {
        self.take_over_caches(false);
        if let Some(due) = self.caches.due(self.subjects.fresh())
            && self.has_room_for_caches(due)
        {
            self.settle();
            self.begin_caches(due);
        }
    }

    fn take_over_caches(&mut self, wait: bool) {
        if let Some(flushed) = self.caches.flushed(wait) {
            flushed.hand_over(self.bench.receipts(), &self.subjects);
        }
        if let Some(gone) = self.caches.archived(wait) {
            self.behind.committer().audience.let_go(gone);
        }
    }

    /// Above the disk's floor, and not promised to what runs.
    fn bytes_for_caches(&self) -> u64 {
        self.reader.bytes_above_floor().saturating_sub(self.caches.promised_bytes())
    }

    fn has_room_for_caches(&mut self, due: Due) -> bool {
        let index_bytes = self.bench.receipts().flush_bytes().saturating_add(self.subjects.flush_bytes());
        self.caches.has_room(due, index_bytes, self.bytes_for_caches())
    }

    /// Nothing is on its way to the disk, or about to be.
    fn begin_caches(&mut self, due: Due) {
        let index_bytes = self.bench.receipts().flush_bytes().saturating_add(self.subjects.flush_bytes());
        let bytes_max = self.bytes_for_caches().saturating_sub(index_bytes);
        let committer = self.behind.committer();
        let group = committer.log.last_group();
        if !self.caches.is_flushing() {
            self.caches.begin_flush(caches::Flush::of(self.bench.receipts(), &self.subjects, group));
        }
        match due {
            Due::Indexes => {}
            Due::Snapshot => {
                // the same as its own, and no second time in memory
                let own = self.bench.adopt(committer.audience.states());
                let meta = SnapshotMeta { schema: caches::SCHEMA, group, heads: committer.log.heads() };
                let (copy, archive) = (committer.audience.copy(), Arc::clone(&self.archive));
                let taking = Taking { meta, copy, archived: A::archive, archive, bytes_max };
                self.caches.begin_snapshot(taking, own);
            }
        }
    }

    fn close(mut self, reply: Option<oneshot::Sender<()>>) {
        self.bench.leave_batches();
        self.settle();
        self.gauges.is_stopped.store(true, Ordering::SeqCst);
        self.take_over_caches(true);
        if self.caches.has_news() && self.has_room_for_caches(Due::Snapshot) {
            self.begin_caches(Due::Snapshot);
            self.take_over_caches(true);
        }
        let Some(committer) = self.behind.stop() else { broken() };
        if let Err(error) = committer.log.close() {
            tracing::error!(%error, "the last checkpoint failed; the journal is whole and the next start goes on from it");
        }
        if let Some(reply) = reply {
            let _gone = reply.send(());
        }
    }
}

/// The state is ahead of the disk, and nobody knows by how much.
fn broken() -> ! {
    end_process("the writer found its state broken and stopped; nothing more is acknowledged")
}

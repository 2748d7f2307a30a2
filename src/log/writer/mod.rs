//! One thread owns the state. It takes whatever waits, judges each command against the state its predecessors left,
//! appends all their events in one group with one sync, publishes, and only then answers. So a command never sees a
//! state that is about to change, nobody is told "yes" before the fact is on disk, and everyone who waited shares one
//! sync.
//!
//! A failed append ends the process: memory is ahead of the disk, and only a replay knows by how much.

mod ahead;
mod alone;
mod bench;
mod caches;
mod judge;
mod origin;
mod queue;
mod start;
mod subjects;
mod whole;

use super::receipts::Receipts;
use super::snapshot::SnapshotMeta;
use super::subjects::Subjects;
use super::submission::{PastCommand, Submission, SubmitError};
use super::{AppendError, Log, LogReader, Room};
use crate::clock::{Clock, monotonic};
use crate::domain::command::{Actor, Door};
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::state::{LOOK_AHEAD, Tenant};
use alone::{Alone, NotAlone};
use bench::{Bench, Judgement};
use caches::{Caches, Round};
use queue::{Jobs, Refused, Waiting};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

pub use ahead::Ahead;
pub use caches::SCHEMA as SNAPSHOT_SCHEMA;
pub use judge::Verdict;
pub use start::{Look, StartError, StartOptions, start};
pub use subjects::trial_intake;

/// Jobs that may wait for the writer; more are turned away as busy.
pub const QUEUE_JOBS_MAX: usize = 16_384;
/// A group takes no further job once it holds so many commands or bytes of records.
const GROUP_COMMANDS_MAX: usize = 1024;
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Timers are looked at this often.
const TICK: Duration = Duration::from_secs(1);

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
    /// A copy of a tenant's durable state.
    Fork {
        tenant: TenantId,
        reply: oneshot::Sender<Option<Tenant>>,
    },
    /// Copies of everything, at a durable group: for a snapshot.
    ForkAll {
        reply: oneshot::Sender<(u64, Vec<Tenant>)>,
    },
    Tick {
        reply: oneshot::Sender<()>,
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

    fn take(&mut self, group: u64, records: &[(TenantId, Recorded)]);
    fn copy(&self) -> Self::Copy;
    /// Takes over a copy.
    fn restore(&mut self, copy: Self::Copy);
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
    gauges: Arc<Gauges>,
}

impl WriterHandle {
    /// # Errors
    /// `Busy` when the queue is full, `Stopped` when the writer is gone.
    pub fn send(&self, job: Job) -> Result<(), SubmitError> {
        self.gauges.waiting.fetch_add(1, Ordering::Relaxed);
        self.jobs.put(job).map_err(|refused| {
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
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }
}

/// The loop.
struct Writer<A> {
    log: Log,
    reader: LogReader,
    bench: Bench,
    subjects: Subjects,
    audience: A,
    clock: Clock,
    caches: Caches,
    gauges: Arc<Gauges>,
}

/// What is owed once the group is durable.
enum Owed {
    Tenant(Reply<(TenantId, Verdict)>, Result<(TenantId, Judgement), SubmitError>),
    One(Reply<Verdict>, Result<Judgement, SubmitError>),
    All(oneshot::Sender<Vec<Result<Verdict, SubmitError>>>, Vec<Result<Judgement, SubmitError>>),
    Ticked(oneshot::Sender<()>),
}

impl<A: Audience> Writer<A> {
    /// Takes what waits and judges it, makes it durable and answers; says how many were answered, and whether to stop.
    fn round(
        &mut self,
        jobs: &mut Waiting<Job>,
        owed: &mut Vec<Owed>,
        next_tick: &mut Instant,
    ) -> (usize, Option<oneshot::Sender<()>>) {
        let mut stopping = None;
        for at in 0_usize.. {
            let is_full = self.bench.commands() >= GROUP_COMMANDS_MAX || self.bench.bytes() >= GROUP_BYTES_MAX;
            if stopping.is_some() || is_full {
                break;
            }
            if at.is_multiple_of(LOOK_AHEAD) {
                self.look_ahead(jobs);
            }
            let Some(job) = jobs.next() else { break };
            self.take(job, owed, &mut stopping);
        }
        if monotonic() >= *next_tick {
            self.tick();
            *next_tick = monotonic() + TICK;
        }
        if stopping.is_some() && self.log.room() != Room::None {
            self.bench.flush_counts(self.clock.now());
        }
        self.commit();
        let answered = owed.len();
        self.answer(owed);
        self.look_after_caches();
        (answered, stopping)
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

    fn take(&mut self, job: Job, owed: &mut Vec<Owed>, stopping: &mut Option<oneshot::Sender<()>>) {
        self.gauges.waiting.fetch_sub(1, Ordering::Relaxed);
        let now = self.clock.now();
        let room = self.log.room();
        match job {
            Job::CreateTenant { actor, door, slug, name, reply } => {
                let judged = if room != Room::Ample {
                    Err(SubmitError::DiskLow)
                } else {
                    self.bench.create_tenant(actor, door, &slug, &name, now)
                };
                owed.push(Owed::Tenant(reply, judged));
            }
            Job::Submit { tenant, submission, reply } => {
                let judged = self.bench.judge(tenant, *submission, now, room);
                owed.push(Owed::One(reply, judged));
            }
            Job::SubmitAll { tenant, batch, is_atomic, reply } => {
                let judged = if is_atomic {
                    self.bench.judge_whole(&self.reader, tenant, batch, now, room)
                } else {
                    self.bench.judge_each(tenant, batch, now, room)
                };
                owed.push(Owed::All(reply, judged));
            }
            Job::TakeOver { tenant, past, reply } => {
                let taken =
                    if room != Room::Ample { Err(SubmitError::DiskLow) } else { self.bench.take_over(tenant, past) };
                self.commit();
                self.answer(owed);
                let _gone = reply.send(taken);
            }
            Job::Fork { tenant, reply } => {
                self.commit();
                self.answer(owed);
                // A caller that went away needs no copy.
                let _gone = reply.send(self.bench.tenant(tenant).cloned());
            }
            Job::ForkAll { reply } => {
                self.commit();
                self.answer(owed);
                let _gone = reply.send((self.log.last_group(), self.bench.tenants().to_vec()));
            }
            Job::Tick { reply } => {
                self.tick();
                owed.push(Owed::Ticked(reply));
            }
            Job::Checkpoint { reply } => {
                self.commit();
                self.answer(owed);
                let made = self.log.checkpoint_now().map(|_| ()).map_err(|error| error.to_string());
                let _gone = reply.send(made);
            }
            Job::Stop { reply } => *stopping = Some(reply),
        }
    }

    fn tick(&mut self) {
        let room = self.log.room();
        let may_run = self.clock.check_for_jump().is_none() && room == Room::Ample;
        if room != Room::None {
            self.bench.tick(self.clock.now(), may_run);
        }
    }

    /// Makes what was judged durable, or ends the process.
    fn commit(&mut self) {
        if self.bench.is_clear() {
            return;
        }
        if let Err(error) = self.bench.sync_subjects() {
            self.fail(&format!("a subject's key could not be made durable: {error}"));
        }
        if !self.bench.group().is_empty() {
            let begun = monotonic();
            match self.log.append(self.bench.group()) {
                Ok(committed) => {
                    let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.gauges.groups.fetch_add(1, Ordering::Relaxed);
                    self.gauges.sync_micros.fetch_add(micros, Ordering::Relaxed);
                    self.gauges.last_sync_micros.store(micros, Ordering::Relaxed);
                    metrics::histogram!("seatledger_group_sync_seconds").record(begun.elapsed().as_secs_f64());
                    // before the audience, which says how far a reader may ask
                    self.subjects.take(self.bench.records());
                    self.audience.take(committed.group, self.bench.records());
                    self.caches.count(self.bench.records().len());
                }
                Err(AppendError::DiskLow { free_bytes }) => {
                    self.fail(&format!("the disk is full: {free_bytes} bytes are left"))
                }
                Err(AppendError::Fatal(why)) => self.fail(&why),
            }
        }
        let commands = self.bench.commands() as u64;
        self.gauges.commands.fetch_add(commands, Ordering::Relaxed);
        self.gauges.group_commands_max.fetch_max(commands, Ordering::Relaxed);
        metrics::histogram!("seatledger_group_commands").record(self.bench.commands() as f64);
        self.bench.keep_receipts();
        self.gauges.receipts.store(self.bench.receipts().len(), Ordering::Relaxed);
        self.bench.clear();
    }

    /// Everyone who waited hears it now. A caller that went away has its answer in the log.
    fn answer(&mut self, owed: &mut Vec<Owed>) {
        for one in owed.drain(..) {
            match one {
                Owed::Tenant(reply, judged) => {
                    let _gone = reply.send(judged.map(|(tenant, judgement)| (tenant, judgement.into_verdict())));
                }
                Owed::One(reply, judged) => {
                    let _gone = reply.send(judged.map(Judgement::into_verdict));
                }
                Owed::All(reply, all) => {
                    let _gone = reply.send(all.into_iter().map(|judged| judged.map(Judgement::into_verdict)).collect());
                }
                Owed::Ticked(reply) => {
                    let _gone = reply.send(());
                }
            }
        }
    }

    fn fail(&self, why: &str) -> ! {
        self.gauges.is_stopped.store(true, Ordering::SeqCst);
        tracing::error!(why, "the log has stopped; nothing more is acknowledged, the process ends");
        eprintln!("seatledger: the log has stopped: {why}");
        std::process::exit(super::EXIT_LOG_STOPPED)
    }

    /// Between two groups: takes over what the last round made, and starts the next one.
    fn look_after_caches(&mut self) {
        if let Some(flushed) = self.caches.finished(false) {
            flushed.hand_over(self.bench.receipts(), &self.subjects);
        }
        if let Some(round) = self.caches.due(self.subjects.fresh()) {
            self.begin_caches(round);
        }
    }

    fn begin_caches(&mut self, round: Round) {
        let flush = caches::Flush::of(self.bench.receipts(), &self.subjects, self.log.last_group());
        match round {
            Round::Indexes => self.caches.begin::<A::Copy, ()>(flush, None, ()),
            Round::All => {
                let (group, heads) = (self.log.last_group(), self.log.heads());
                // the same as its own, and no second time in memory
                let own = self.bench.adopt(self.audience.states());
                let meta = SnapshotMeta { schema: caches::SCHEMA, group, heads };
                self.caches.begin(flush, Some((meta, self.audience.copy())), own);
            }
        }
    }

    fn close(mut self, reply: Option<oneshot::Sender<()>>) {
        self.gauges.is_stopped.store(true, Ordering::SeqCst);
        if let Some(flushed) = self.caches.finished(true) {
            flushed.hand_over(self.bench.receipts(), &self.subjects);
        }
        if self.caches.has_news() {
            self.begin_caches(Round::All);
            let _at_the_end = self.caches.finished(true);
        }
        if let Err(error) = self.log.close() {
            tracing::error!(%error, "the last checkpoint failed; the journal is whole and the next start goes on from it");
        }
        if let Some(reply) = reply {
            let _gone = reply.send(());
        }
    }
}

/// The state is ahead of the disk, and nobody knows by how much.
fn broken() -> ! {
    eprintln!("seatledger: the writer found its state broken and stopped; nothing more is acknowledged");
    std::process::exit(super::EXIT_LOG_STOPPED)
}

//! A command that is alone: judged, made durable and answered on its caller's own thread. Waking the writer's thread and being
//! woken by it takes about as long as a sync, and there is nobody to share a group with. Not here: how a group is judged.

use super::draft::Judgement;
use super::queue::Waiting;
use super::{Audience, Job, Standing, TICK, Verdict, Writer};
use crate::clock::monotonic;
use crate::domain::command::{Command, Intake, TargetRef};
use crate::domain::ids::TenantId;
use crate::log::submission::{Ask, Submission, SubmitError};
use parking_lot::Mutex;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So many groups in a row were of one command before the next caller may be the writer.
const GROUPS_OF_ONE: u32 = 16;
/// And syncs are so fast: whoever waits for one keeps a thread that serves others.
const SYNC_MICROS_MAX: u64 = 1000;

/// While a group is on its way, the thread is woken for so many commands, not for each.
const COMMANDS_AT_ONCE: usize = 16;

/// Nobody is alone for so long after somebody else asked for something, whatever it was: a read that comes during a sync would
/// wait for it where the threads that answer are busy.
const COMPANY: Duration = Duration::from_millis(100);

/// Where the writer is between two groups. Whoever holds the lock is the writer: its thread, or a caller that is alone.
pub(super) struct Place<A: Audience> {
    writer: Mutex<Option<Writer<A>>>,
    groups_of_one: AtomicU32,
    opened: Instant,
    /// Until so long after `opened` nobody is alone.
    company_until_micros: AtomicU64,
}

/// A submission that is not judged here and goes the way of all others.
pub(super) struct NotAlone(pub(super) Box<Submission>);

/// The place, to those who don't know the audience.
pub(super) trait Alone: Send + Sync {
    fn may_be_alone(&self) -> bool;

    /// Somebody else asked for something.
    fn in_company(&self);

    fn company_until_micros(&self) -> u64;

    /// Judges and answers. Blocking: one sync.
    fn judge(&self, tenant: TenantId, submission: Box<Submission>) -> Result<Result<Verdict, SubmitError>, NotAlone>;
}

impl<A: Audience> Place<A> {
    pub(super) fn new(writer: Writer<A>) -> Self {
        let company_until_micros = AtomicU64::new(0);
        Self {
            writer: Mutex::new(Some(writer)),
            groups_of_one: AtomicU32::new(0),
            opened: monotonic(),
            company_until_micros,
        }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The writer's thread: a group whenever something waits, until it is told to stop or nobody is left to ask.
    pub(super) fn run(&self, mut jobs: Waiting<Job>) {
        let mut next_tick = monotonic() + TICK;
        let (mut standing, mut expected) = (Standing::default(), 0);
        while standing.stopping.is_none() {
            if standing.is_busy {
                if standing.is_full {
                    jobs.wait_for_news(usize::MAX, next_tick);
                } else if !standing.has_rest && !jobs.has_taken() {
                    jobs.wait_for_news(COMMANDS_AT_ONCE, next_tick);
                }
            } else if !standing.is_full && !standing.has_rest && !jobs.wait(expected, next_tick) {
                break;
            }
            let tick = next_tick;
            let mut place = self.writer.lock();
            let Some(writer) = place.as_mut() else { return };
            if standing.is_busy && writer.is_at_rest() {
                // those who have just heard their answer are waited for as behind any other group
                standing.is_busy = false;
                continue;
            }
            // with the place held: a caller that is alone must not go on from what is broken
            let round = std::panic::catch_unwind(AssertUnwindSafe(|| writer.round(&mut jobs, &mut next_tick)));
            standing = round.unwrap_or_else(|_| super::broken());
            if standing.answered > 1 {
                self.groups_of_one.store(0, Ordering::Relaxed);
            } else if standing.answered == 1 {
                self.groups_of_one.fetch_add(1, Ordering::Relaxed);
            }
            // most of those who hear their answer now ask again at once, but the disk need not be idle until all of them have
            if standing.answered > 0 || tick != next_tick {
                expected = standing.answered / 4;
            }
        }
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            writer.close(standing.stopping);
        }
    }
}

impl<A: Audience> Alone for Place<A> {
    fn may_be_alone(&self) -> bool {
        self.groups_of_one.load(Ordering::Relaxed) >= GROUPS_OF_ONE && self.micros() >= self.company_until_micros()
    }

    fn company_until_micros(&self) -> u64 {
        self.company_until_micros.load(Ordering::Relaxed)
    }

    fn in_company(&self) {
        let until = self.micros().saturating_add(u64::try_from(COMPANY.as_micros()).unwrap_or(u64::MAX));
        self.company_until_micros.store(until, Ordering::Relaxed);
    }

    fn judge(&self, tenant: TenantId, submission: Box<Submission>) -> Result<Result<Verdict, SubmitError>, NotAlone> {
        let Some(mut place) = self.writer.try_lock() else { return Err(NotAlone(submission)) };
        let Some(writer) = place.as_mut() else { return Err(NotAlone(submission)) };
        if !writer.is_fast() || !writer.is_at_rest() {
            return Err(NotAlone(submission));
        }
        let judged = std::panic::catch_unwind(AssertUnwindSafe(|| writer.judge_alone(tenant, *submission)));
        Ok(judged.unwrap_or_else(|_| super::broken()))
    }
}

impl<A: Audience> Writer<A> {
    fn is_fast(&self) -> bool {
        self.gauges.last_sync_micros.load(Ordering::Relaxed) <= SYNC_MICROS_MAX
    }

    /// Nobody waits for anything that was taken up.
    fn is_at_rest(&mut self) -> bool {
        self.behind.look();
        !self.behind.is_busy() && self.bench.draft.is_clear() && self.bench.batches.is_empty()
    }

    /// A whole group.
    fn judge_alone(&mut self, tenant: TenantId, submission: Submission) -> Result<Verdict, SubmitError> {
        let (now, room) = (self.clock.now(), self.reader.room());
        let judged = self.bench.judge(tenant, submission, now, room);
        self.settle();
        judged.map(Judgement::into_verdict)
    }
}

/// What touches one person and one device at most, so that its caller's thread is soon there for others again.
pub(super) fn is_small(submission: &Submission) -> bool {
    matches!(
        &submission.ask,
        Ask::Intake(Intake::Command(
            Command::Assign { target: TargetRef::User(_) | TargetRef::Device(_), .. }
                | Command::Install { .. }
                | Command::Uninstall { .. }
        ))
    )
}

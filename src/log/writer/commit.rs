//! The second half of the writer: makes a group durable, publishes it, and only then answers. On a thread of its own where the
//! group is large, so that the next one is judged meanwhile; small ones are not worth a thread being woken. At most one group
//! is on its way, and groups keep their order. Not here: judging.

use super::draft::Draft;
use super::queue::News;
use super::{Audience, Gauges};
use crate::clock::monotonic;
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{SubjectId, TenantId};
use crate::log::receipts::Receipts;
use crate::log::stopped::end_process;
use crate::log::subjects::Subjects;
use crate::log::{AppendError, Log};
use crate::vault::Vault;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

/// A group of fewer commands is made durable by whoever judged it: another thread costs more than it takes over.
const COMMANDS_TO_PASS_ON: usize = if cfg!(test) { 8 } else { 128 };

/// The log, and everyone who hears of a group before its callers do.
pub(super) struct Committer<A> {
    pub(super) log: Log,
    pub(super) audience: A,
    pub(super) subjects: Subjects,
    pub(super) receipts: Receipts,
    pub(super) vault: Arc<Vault>,
    pub(super) gauges: Arc<Gauges>,
}

impl<A: Audience> Committer<A> {
    /// Makes what was judged durable, or ends the process; then everyone who waited hears it.
    fn commit(&mut self, draft: &mut Draft) {
        if draft.has_new_subjects
            && let Err(error) = self.vault.sync()
        {
            self.fail(&format!("a subject's key could not be made durable: {error}"));
        }
        if !draft.group.is_empty() {
            self.append(draft);
        }
        if draft.has_erasures {
            self.erase(draft);
        }
        if draft.commands > 0 {
            let commands = draft.commands as u64;
            self.gauges.commands.fetch_add(commands, Ordering::Relaxed);
            self.gauges.group_commands_max.fetch_max(commands, Ordering::Relaxed);
            metrics::histogram!("seatledger_group_commands").record(draft.commands as f64);
        }
        if !draft.receipts.is_empty() {
            self.receipts.insert(draft.receipts.iter().map(|(key, receipt)| (*key, *receipt)));
            self.gauges.receipts.store(self.receipts.len(), Ordering::Relaxed);
        }
        draft.answer();
        draft.clear();
    }

    /// Behind the record, so that no key goes of which nobody can tell why; a cut between the two is made good at the next start.
    fn erase(&self, draft: &Draft) {
        let erased = |(_, recorded): &(TenantId, Recorded)| {
            if let Event::NamesErased { subject, .. } = recorded.event { Some(subject) } else { None }
        };
        let subjects: Vec<SubjectId> = draft.records.iter().filter_map(erased).collect();
        if let Err(error) = self.vault.erase(&subjects) {
            self.fail(&format!("the key of an erased subject could not be destroyed: {error}"));
        }
    }

    fn append(&mut self, draft: &Draft) {
        let begun = monotonic();
        match self.log.append(&draft.group) {
            Ok(committed) => {
                let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                self.gauges.groups.fetch_add(1, Ordering::Relaxed);
                self.gauges.sync_micros.fetch_add(micros, Ordering::Relaxed);
                self.gauges.last_sync_micros.store(micros, Ordering::Relaxed);
                metrics::histogram!("seatledger_group_sync_seconds").record(begun.elapsed().as_secs_f64());
                self.tell(committed.group, &draft.records);
            }
            Err(AppendError::DiskLow { free_bytes }) => {
                self.fail(&format!("the disk is full: {free_bytes} bytes are left"))
            }
            Err(AppendError::Fatal(why)) => self.fail(&why),
        }
    }

    /// The index before the audience, which says how far a reader may ask.
    pub(super) fn tell(&mut self, group: u64, records: &[(TenantId, Recorded)]) {
        self.subjects.take(records);
        self.audience.take(group, records);
    }

    fn fail(&self, why: &str) -> ! {
        self.gauges.is_stopped.store(true, Ordering::SeqCst);
        tracing::error!(why, "the log has stopped; nothing more is acknowledged, the process ends");
        end_process(&format!("the log has stopped: {why}"))
    }
}

/// The way to the disk, as the judge sees it.
pub(super) struct Behind<A> {
    committer: Arc<Mutex<Committer<A>>>,
    /// Let go before the thread is waited for.
    give: Option<Sender<Draft>>,
    given_back: Receiver<Draft>,
    thread: Option<JoinHandle<()>>,
    is_busy: bool,
    spare: Draft,
}

impl<A: Audience + 'static> Behind<A> {
    /// `news` is told of every group that has become durable on the other thread.
    pub(super) fn start(committer: Committer<A>, news: News) -> io::Result<Self> {
        let committer = Arc::new(Mutex::new(committer));
        let (give, given) = bounded::<Draft>(1);
        let (give_back, given_back) = bounded(1);
        let committing = Arc::clone(&committer);
        let run = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                for mut draft in given {
                    committing.lock().commit(&mut draft);
                    // a judge that is gone waits for the thread
                    let _gone = give_back.send(draft);
                    news.tell();
                }
            }));
            if outcome.is_err() {
                super::broken();
            }
        };
        let thread = std::thread::Builder::new().name("commit".into()).spawn(run)?;
        let spare = Draft::default();
        Ok(Self { committer, give: Some(give), given_back, thread: Some(thread), is_busy: false, spare })
    }
}

impl<A: Audience> Behind<A> {
    /// Whether a group is on its way, so that the next one has to wait.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Looks whether it still is.
    pub(super) fn look(&mut self) {
        if let Ok(draft) = self.given_back.try_recv() {
            self.spare = draft;
            self.is_busy = false;
        }
    }

    /// Waits for the group that is on its way.
    pub(super) fn settle(&mut self) {
        if self.is_busy {
            match self.given_back.recv() {
                Ok(draft) => self.spare = draft,
                Err(_) => super::broken(),
            }
            self.is_busy = false;
        }
    }

    /// An empty draft with the room of an earlier one.
    pub(super) fn spare(&mut self) -> Draft {
        std::mem::take(&mut self.spare)
    }

    /// Sends a group on its way. None is on it.
    pub(super) fn pass_on(&mut self, mut draft: Draft) {
        match &self.give {
            Some(give) if draft.commands >= COMMANDS_TO_PASS_ON => {
                self.is_busy = true;
                if give.send(draft).is_err() {
                    super::broken();
                }
            }
            Some(_) | None => {
                self.committer.lock().commit(&mut draft);
                self.spare = draft;
            }
        }
    }

    /// The log and its audience. Waits for the group that is on its way.
    pub(super) fn committer(&mut self) -> MutexGuard<'_, Committer<A>> {
        self.settle();
        self.committer.lock()
    }

    /// The same for good.
    pub(super) fn stop(mut self) -> Option<Committer<A>> {
        self.settle();
        self.give = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        Arc::into_inner(self.committer).map(Mutex::into_inner)
    }
}

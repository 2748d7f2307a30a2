//! The only door: submit, observe, read. HTTP, CLI and store workers hold a [`Ledger`] and nothing below it.

pub mod backup;
pub mod evidence;
mod fold;
mod kept;
mod past;
pub mod replay;
pub mod restore;
mod sealed;
mod shelf;
mod trial;
pub mod verify;

pub use crate::clock::Clock;
pub use crate::log::record::{RECORD_VERSION, RecordError, decode as decode_record};
pub use crate::log::subjects::{SeatSteps, Step};
pub use crate::log::submission::{Ask, Outcome, PastCommand, PastEvent, PastNames, Submission, SubmitError};
pub use crate::log::{LogOptions, NoProgress, OpenReport, Progress, TornEnd};
pub use crate::vault::{MasterKeySource, VaultError};
pub use evidence::{LogKeySource, Rotation, Signing, Witnessing};
pub use past::Past;
pub use search::{EventPage, EventQuery, PAGE_EVENTS_MAX};

use crate::clock::{Jump, monotonic};
use crate::domain::answer::Answer;
use crate::domain::command::{Actor, Door};
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::key::Provider;
use crate::domain::state::Tenant;
use crate::log::receipts::Receipt;
use crate::log::record;
use crate::log::writer::{Ahead, Job, Repeat, StartError, StartOptions, Verdict, WriterHandle, start};
use crate::log::{FolderLock, LogReader, Scrubbed, Scrubber, log_id_in, refuse_half_restored};
use crate::projection::View;
use crate::vault::{KEYS_FILE, Vault, reveal};
use evidence::{Evidence, HeadsError};
use parking_lot::Mutex;
use shelf::Shelf;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("there is no such tenant")]
    TenantNotFound,
    #[error("position {0} has not been reached")]
    NotReached(u64),
    #[error("the log could not be read: {0}")]
    Log(String),
    #[error("no head could be signed: {0}")]
    NotSigned(String),
}

/// Why the ledger did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenLedgerError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Heads(#[from] HeadsError),
}

pub struct LedgerOptions {
    pub log: LogOptions,
    pub master_key: MasterKeySource,
    pub clock: Clock,
    pub signing: Signing,
}

/// How the service is, for readiness and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub is_stopped: bool,
    pub is_disk_low: bool,
    /// On the file system of the data folder, as of a moment ago.
    pub disk_free_bytes: u64,
    pub jump: Option<Jump>,
    pub is_clock_manual: bool,
    pub jobs_waiting: usize,
    pub commands: u64,
    pub groups: u64,
    pub group_commands_max: u64,
    pub sync_micros: u64,
    pub receipts: u64,
    /// Since the start; more than none means that sled is damaged.
    pub reads_from_journal: u64,
    pub scrubbed: Scrubbed,
    /// The thread that signs heads panicked.
    pub is_signing_fallen: bool,
    /// The thread that walks the whole log now and then did.
    pub is_scrub_fallen: bool,
}

/// Cheap to clone; all clones are one ledger.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    writer: WriterHandle,
    shelf: Arc<Shelf>,
    evidence: Evidence,
    vault: Arc<Vault>,
    clock: Clock,
    dir: PathBuf,
    report: OpenReport,
    scrubber: Mutex<Option<Scrubber>>,
    /// Held while a state is copied for a trial.
    copying: Mutex<()>,
}

impl Ledger {
    /// Opens a data folder, or makes it, and folds its history. Blocking.
    ///
    /// # Errors
    /// When the folder can't be served; nothing that was acknowledged was changed then.
    pub fn open(options: LedgerOptions, progress: &dyn Progress) -> Result<Self, OpenLedgerError> {
        let LedgerOptions { log, master_key, clock, signing } = options;
        let scrub_every = Duration::from_secs(log.scrub_seconds);
        let dir = log.dir.clone();
        // whoever has not got the folder makes nothing in it, least of all keys
        let lock = FolderLock::take(&dir).map_err(StartError::Log)?;
        // keys are made before a log is. New ones beside an old log open nothing, and would be taken for the right ones
        if log_id_in(&dir).map_err(StartError::Log)?.is_none() {
            refuse_half_restored(&dir).map_err(StartError::Log)?;
        } else if !dir.join(KEYS_FILE).exists() {
            let what = "it is missing, and the folder holds a log".into();
            return Err(VaultError::Damaged { path: dir.join(KEYS_FILE), what }.into());
        }
        let ahead = Ahead::begin(&dir);
        let vault = Arc::new(Vault::open(&dir, &master_key)?);
        signing.check()?;
        let shelf = Arc::new(Shelf::default());
        let options = StartOptions { log, lock: Arc::clone(&lock), clock: clock.clone(), vault: Arc::clone(&vault) };
        let mut desk = None;
        let mut look = |reader: &LogReader, report: &OpenReport| {
            let found = evidence::Unsettled::open(&dir, &signing, &report.log_id, reader.clone());
            desk = Some(found.map_err(|error| StartError::Refused(Box::new(error)))?);
            Ok(())
        };
        let (writer, report) = start(options, ahead, Arc::clone(&shelf), &mut look, progress)?;
        let heads = desk.expect("the log was looked at").settle(&dir, &signing, &shelf, &writer)?;
        let evidence = Evidence::start(&dir, heads, &signing, Arc::clone(&shelf), lock)?;
        let scrubber = Mutex::new(Scrubber::start(writer.reader(), scrub_every).map_err(StartError::Thread)?);
        let copying = Mutex::default();
        Ok(Self(Arc::new(Inner { writer, shelf, evidence, vault, clock, dir, report, scrubber, copying })))
    }

    /// What opening found.
    #[must_use]
    pub fn open_report(&self) -> &OpenReport {
        &self.0.report
    }

    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        &self.0.dir
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    #[must_use]
    pub fn tenant(&self, slug: &str) -> Option<TenantId> {
        self.0.shelf.slugs.read().get(slug).copied()
    }

    /// In the order in which they were created.
    #[must_use]
    pub fn tenants(&self) -> Vec<(TenantId, String)> {
        let mut tenants: Vec<_> = self.0.shelf.slugs.read().iter().map(|(slug, id)| (*id, slug.clone())).collect();
        tenants.sort();
        tenants
    }

    /// Creates a tenant, or renames the one of this slug.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn create_tenant(
        &self,
        actor: Actor,
        door: Door,
        slug: &str,
        name: &str,
    ) -> Result<(TenantId, Outcome), SubmitError> {
        let (reply, answer) = oneshot::channel();
        self.0.writer.send(Job::CreateTenant { actor, door, slug: slug.to_owned(), name: name.to_owned(), reply })?;
        let (tenant, verdict) = answer.await.map_err(|_| SubmitError::Stopped)??;
        self.outcome(tenant, verdict).await.map(|outcome| (tenant, outcome))
    }

    /// Judges one command. When this answers, whatever it says is on stable storage.
    ///
    /// # Errors
    /// See [`SubmitError`]; a refusal by a rule is an [`Outcome`].
    pub async fn submit(&self, tenant: TenantId, mut submission: Submission) -> Result<Outcome, SubmitError> {
        submission.content_hash = self.masked(tenant, submission.command_id.as_deref(), submission.content_hash);
        let verdict = match self.0.writer.judge_alone(tenant, Box::new(submission)) {
            Ok(judged) => judged?,
            Err(submission) => {
                let (reply, answer) = oneshot::channel();
                self.0.writer.send(Job::Submit { tenant, submission, reply })?;
                answer.await.map_err(|_| SubmitError::Stopped)??
            }
        };
        self.outcome(tenant, verdict).await
    }

    /// Somebody asks for something while, or soon after, somebody else does: for a while no caller's thread waits for a sync.
    pub fn in_company(&self) {
        self.0.writer.in_company();
    }

    #[cfg(test)]
    pub(crate) fn company_until_micros(&self) -> u64 {
        self.0.writer.company_until_micros()
    }

    /// Judges a batch in its order: one that is all or nothing within one group, another part by part, with others' commands
    /// between.
    ///
    /// # Errors
    /// Of the whole batch; each command has its own besides.
    pub async fn submit_all(
        &self,
        tenant: TenantId,
        mut batch: Vec<Submission>,
        is_atomic: bool,
    ) -> Result<Vec<Result<Outcome, SubmitError>>, SubmitError> {
        for submission in &mut batch {
            submission.content_hash = self.masked(tenant, submission.command_id.as_deref(), submission.content_hash);
        }
        let (reply, answer) = oneshot::channel();
        self.0.writer.send(Job::SubmitAll { tenant, batch, is_atomic, reply })?;
        let verdicts = answer.await.map_err(|_| SubmitError::Stopped)?;
        let mut outcomes = Vec::with_capacity(verdicts.len());
        for verdict in verdicts {
            outcomes.push(match verdict {
                Ok(verdict) => self.outcome(tenant, verdict).await,
                Err(error) => Err(error),
            });
        }
        Ok(outcomes)
    }

    async fn outcome(&self, tenant: TenantId, verdict: Verdict) -> Result<Outcome, SubmitError> {
        match verdict {
            Verdict::Judged { position, answer } => Ok(Outcome { position, answer, is_repeat: false }),
            Verdict::Repeat(repeat) => {
                let ledger = self.clone();
                let read = tokio::task::spawn_blocking(move || ledger.first_answer(tenant, &repeat));
                read.await.map_err(|_| SubmitError::Stopped)?
            }
        }
    }

    /// The answer that was given first, read from the command's own records.
    fn first_answer(&self, tenant: TenantId, repeat: &Repeat) -> Result<Outcome, SubmitError> {
        let Receipt { first_position, records, .. } = repeat.receipt;
        let events = self.events(tenant, first_position, records as usize).map_err(|error| {
            tracing::error!(%error, "the records of an earlier command could not be read");
            SubmitError::Stopped
        })?;
        if events.iter().any(|recorded| recorded.envelope.command_id.as_ref() != Some(&repeat.command_id)) {
            return Err(SubmitError::IdReused);
        }
        let position = events.last().map_or(first_position, |last| last.position);
        let answer = Answer::of(events.iter().map(|recorded| &recorded.event));
        Ok(Outcome { position, answer, is_repeat: true })
    }

    /// Looks at a tenant's view under a short lock; it shows durable positions only.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn read<R>(&self, tenant: TenantId, look: impl FnOnce(&View) -> R) -> Result<R, ReadError> {
        let desk = self.0.shelf.desk(tenant)?;
        let view = desk.view.read();
        Ok(look(&view))
    }

    /// The last durable position.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn head(&self, tenant: TenantId) -> Result<u64, ReadError> {
        Ok(*self.0.shelf.desk(tenant)?.head.borrow())
    }

    /// Hears of every new durable position.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn follow(&self, tenant: TenantId) -> Result<watch::Receiver<u64>, ReadError> {
        Ok(self.0.shelf.desk(tenant)?.head.subscribe())
    }

    /// Waits until a position is readable; `false` if it was not within `wait`.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub async fn reach(&self, tenant: TenantId, position: u64, wait: Duration) -> Result<bool, ReadError> {
        let mut head = self.follow(tenant)?;
        let reached = tokio::time::timeout(wait, head.wait_for(|at| *at >= position)).await;
        Ok(matches!(reached, Ok(Ok(_))))
    }

    /// Durable events from a position on, at most so many. Blocking.
    ///
    /// # Errors
    /// When there is no such tenant, or its records can't be read.
    pub fn events(&self, tenant: TenantId, from: u64, max_records: usize) -> Result<Vec<Recorded>, ReadError> {
        self.0.shelf.desk(tenant)?;
        let mut events = Vec::new();
        let mut next = from;
        while events.len() < max_records {
            let wanted = (max_records - events.len()).clamp(1, READ_BYTES_MAX / RECORD_BYTES_GUESS);
            let read = self.0.writer.reader().read(tenant.0, next, wanted * RECORD_BYTES_GUESS);
            let records = read.map_err(|error| ReadError::Log(error.to_string()))?;
            if records.is_empty() {
                break;
            }
            for (position, bytes) in records.into_iter().take(max_records - events.len()) {
                let decoded = record::decode(position, &bytes)
                    .map_err(|error| ReadError::Log(format!("position {position}: {error}")));
                let mut recorded = decoded?;
                reveal(&self.0.vault, tenant.0, &mut recorded.event);
                next = position + 1;
                events.push(recorded);
            }
        }
        Ok(events)
    }

    /// Takes a part of another log's history as it is, into an empty ledger: what comes next, with everything that it says
    /// of itself. Blocking. Whoever calls has folded it before and keeps commands whole; after an error the data folder is
    /// to be thrown away.
    ///
    /// # Errors
    /// When the writer is busy or gone, or a record is larger than the log takes.
    pub fn take_over(&self, tenant: TenantId, mut past: Vec<PastCommand>) -> Result<u64, SubmitError> {
        for PastCommand { envelope, .. } in &mut past {
            envelope.content_hash = self.masked(tenant, envelope.command_id.as_deref(), envelope.content_hash);
        }
        let (reply, answer) = oneshot::channel();
        self.0.writer.send(Job::TakeOver { tenant, past, reply })?;
        answer.blocking_recv().map_err(|_| SubmitError::Stopped)?
    }

    /// Whether another tenant's account is this one, or has this unit, as far as is recorded now.
    #[must_use]
    pub fn is_linked_elsewhere(&self, tenant: TenantId, provider: Provider, name: &str) -> bool {
        let is_theirs =
            |view: &View| view.state.accounts.get(&provider).is_some_and(|account| account.has(provider, name));
        let others = self.tenants().into_iter().map(|(other, _)| other).filter(|other| *other != tenant);
        others.into_iter().any(|other| self.read(other, is_theirs).unwrap_or(false))
    }

    /// The digest of a tenant's state and the position that it speaks of. Blocking, a moment for a large tenant.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn digest(&self, tenant: TenantId) -> Result<(u64, [u8; 32]), ReadError> {
        let state = self.read(tenant, |view| view.state.without_names())?;
        Ok((state.next_position.saturating_sub(1), record::digest(&state)))
    }

    /// The same of a state at hand, as of one of the past. Blocking.
    #[must_use]
    pub fn digest_of(&self, state: &Tenant) -> (u64, [u8; 32]) {
        (state.next_position.saturating_sub(1), record::digest(&state.without_names()))
    }

    /// Runs what is due now, after a manual clock was advanced.
    pub async fn tick(&self) {
        loop {
            let (reply, done) = oneshot::channel();
            if self.0.writer.send(Job::Tick { reply }).is_err() || !done.await.unwrap_or(false) {
                return;
            }
        }
    }

    /// Makes sled catch up and the anchor name it.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn checkpoint(&self) -> Result<(), String> {
        let (reply, done) = oneshot::channel();
        self.0.writer.send(Job::Checkpoint { reply }).map_err(|error| error.to_string())?;
        done.await.map_err(|_| SubmitError::Stopped.to_string())?
    }

    /// Why the log stopped, if it did, also where nobody asked for anything or it was being closed.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.0.writer.reader().failure()
    }

    /// Ends when the log stops, with the reason: nothing more is acknowledged, and the process is to end.
    pub async fn stopped(&self) -> String {
        self.0.writer.reader().stopped().await
    }

    #[must_use]
    pub fn health(&self) -> Health {
        let gauges = self.0.writer.gauges();
        Health {
            is_stopped: gauges.is_stopped.load(Ordering::Relaxed) || self.failure().is_some(),
            is_disk_low: self.0.writer.reader().is_disk_low(),
            disk_free_bytes: self.0.writer.reader().free_bytes(),
            jump: self.0.clock.jumped(),
            is_clock_manual: self.0.clock.is_manual(),
            jobs_waiting: gauges.waiting.load(Ordering::Relaxed),
            commands: gauges.commands.load(Ordering::Relaxed),
            groups: gauges.groups.load(Ordering::Relaxed),
            group_commands_max: gauges.group_commands_max.load(Ordering::Relaxed),
            sync_micros: gauges.sync_micros.load(Ordering::Relaxed),
            receipts: gauges.receipts.load(Ordering::Relaxed),
            reads_from_journal: self.0.writer.reader().reads_from_journal(),
            scrubbed: self.0.writer.reader().scrubbed(),
            is_signing_fallen: self.0.evidence.is_signing_fallen(),
            is_scrub_fallen: self.0.scrubber.lock().as_ref().is_some_and(Scrubber::is_fallen),
        }
    }

    /// Takes no new work, drains what waits but for the rest of long batches, checkpoints, and lets go of the folder.
    pub async fn stop(&self) {
        let begun = monotonic();
        let scrubber = self.0.scrubber.lock().take();
        if let Some(scrubber) = scrubber {
            aside(move || scrubber.close()).await;
        }
        if let Some(done) = self.ask_to_stop().await {
            let _gone = done.await;
            let ledger = self.clone();
            aside(move || ledger.0.evidence.close()).await;
        }
        tracing::info!(
            elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the log is closed"
        );
    }

    /// Behind everything that waits, as soon as there is a place for it. `None`: the writer has ended already.
    async fn ask_to_stop(&self) -> Option<oneshot::Receiver<()>> {
        loop {
            let (reply, done) = oneshot::channel();
            match self.0.writer.send(Job::Stop { reply }) {
                Ok(()) => return Some(done),
                Err(SubmitError::Busy) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(_) => return None,
            }
        }
    }
}

/// Does what blocks on a thread of its own: those of the runtime may all be taken, and a stop does not wait for one.
async fn aside(work: impl FnOnce() + Send + 'static) {
    let (reply, done) = oneshot::channel();
    let run = move || {
        work();
        let _gone = reply.send(());
    };
    match std::thread::Builder::new().name("closing".into()).spawn(run) {
        // one that panicked has ended, too
        Ok(_) => drop(done.await),
        Err(error) => tracing::warn!(%error, "no thread to close a part of the log; the next start finds it as it is"),
    }
}

/// One look into the log reads at most so much.
const READ_BYTES_MAX: usize = 4 << 20;
/// A common record's size, to turn a number of records into bytes to read.
const RECORD_BYTES_GUESS: usize = 96;

mod search;
#[cfg(test)]
mod tests;

//! Bringing the writer up: the log is opened, the history folded into states, and the thread started.

use super::ahead::Ahead;
use super::alone::Place;
use super::bench::Bench;
use super::caches::{Caches, ENTRIES_IN_MEMORY, Flush};
use super::commit::{Behind, Committer};
use super::erased::{note_erased, subjects_in};
use super::origin::note_restore;
use super::queue::queue;
use super::{Audience, Gauges, QUEUE_JOBS_MAX, Writer, WriterHandle};
use crate::clock::{Clock, monotonic};
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::log::archive::Archive;
use crate::log::receipts::{Receipt, Receipts};
use crate::log::record::{self, RecordError};
use crate::log::snapshot::{self, SnapshotMeta};
use crate::log::subjects::Subjects;
use crate::log::{
    FolderLock, Log, LogOptions, LogReader, OpenError, OpenReport, Progress, ReplayedGroup, Took, replay_groups,
    stood_at,
};
use crate::vault::{Vault, VaultError, reveal};
use crossbeam_channel::{Sender, bounded};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Why the writer did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error(
        "position {position} of tenant {tenant} can't be read: {error}. The log was written by another version, or is damaged; run `seatledger verify`"
    )]
    Record { tenant: u32, position: u64, error: RecordError },
    #[error("reading or clearing the caches in the data folder failed: {0}")]
    Caches(std::io::Error),
    #[error("noting in the log that it was restored from a backup failed: {0}")]
    Restored(String),
    #[error("noting in the log whose names are erased failed: {0}")]
    Erased(String),
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Whoever starts it found that the log is not the one that it should be.
    #[error(transparent)]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
}

pub struct StartOptions {
    pub log: LogOptions,
    pub lock: Arc<FolderLock>,
    pub clock: Clock,
    pub vault: Arc<Vault>,
}

/// Looks at the log before anything is done with it, and may refuse it.
pub type Look<'l> = dyn FnMut(&LogReader, &OpenReport) -> Result<(), StartError> + 'l;

/// Opens the log, lets `look` judge it, folds it from the newest snapshot on, and starts the thread.
///
/// # Errors
/// When the log can't be opened or a record can't be read; nothing was changed then.
pub fn start<A: Audience + 'static>(
    options: StartOptions,
    ahead: Ahead<A::Copy>,
    mut audience: A,
    look: &mut Look<'_>,
    progress: &dyn Progress,
) -> Result<(WriterHandle, OpenReport), StartError> {
    let StartOptions { log, lock, clock, vault } = options;
    let dir = log.dir.clone();
    let begun = monotonic();
    let (mut log, mut report) = Log::open_locked(log, lock, progress)?;
    look(&log.reader(), &report)?;
    let opened = monotonic();
    let receipts = Receipts::open(&dir, log.last_group()).map_err(StartError::Caches)?;
    let subjects = Subjects::open(&dir, log.last_group()).map_err(StartError::Caches)?;
    let archive = Archive::open(&dir);
    // a snapshot points into the archive
    let snapshot_group = if archive.is_some() { restore(&dir, &log, ahead, &mut audience)? } else { 0 };
    let restored_at = monotonic();
    let mut fold = Fold {
        snapshot_group,
        receipts_group: receipts.covered_group(),
        subjects_group: subjects.covered_group(),
        receipts: receipts.clone(),
        subjects: subjects.clone(),
        vault: Arc::clone(&vault),
        records: 0,
        in_memory_max: ENTRIES_IN_MEMORY,
        error: None,
    };
    fold.run(&dir, log.last_group(), &mut audience, progress)?;
    report.records_folded = fold.records;
    report.took = Took { log: opened - begun, snapshot: restored_at - opened, fold: restored_at.elapsed() };
    let archive = match archive.filter(|_| snapshot_group > 0) {
        Some(archive) => archive,
        // nobody points into what there was
        None => Archive::begin(&dir).map_err(StartError::Caches)?,
    };
    let archive = Arc::new(archive);
    let mut tenants = audience.states();
    let (subjects_used, erased) = subjects_in(&tenants);
    vault.settle(subjects_used, &erased)?;
    if let Some(newest) = tenants.iter().map(|tenant| tenant.last_recorded_at).max() {
        clock.start_after(newest);
    }
    let restored = note_restore(&dir, &mut log, &mut tenants, clock.now())?;
    let erased = note_erased(&vault, &mut log, &mut tenants, clock.now())?;
    let (jobs, waiting) = queue(QUEUE_JOBS_MAX);
    let gauges = Arc::new(Gauges::default());
    let reader = log.reader();
    let mut committer = Committer {
        log,
        audience,
        subjects: subjects.clone(),
        receipts: receipts.clone(),
        vault: Arc::clone(&vault),
        gauges: Arc::clone(&gauges),
    };
    for (group, noted) in restored.into_iter().chain(erased) {
        fold.records += noted.len() as u64;
        committer.tell(group, &noted);
    }
    let writer = Writer {
        behind: Behind::start(committer, waiting.news()).map_err(StartError::Thread)?,
        reader: reader.clone(),
        bench: Bench::new(tenants, receipts.clone(), vault, clock.clone()),
        subjects: subjects.clone(),
        clock,
        caches: Caches::new(dir, fold.records),
        archive: Arc::clone(&archive),
        gauges: Arc::clone(&gauges),
    };
    let place = Arc::new(Place::new(writer));
    let handle = WriterHandle { jobs, place: place.clone(), reader, receipts, subjects, archive, gauges };
    let run = move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| place.run(waiting)));
        if outcome.is_err() {
            super::broken();
        }
    };
    std::thread::Builder::new().name("writer".into()).spawn(run).map_err(StartError::Thread)?;
    Ok((handle, report))
}

/// The newest snapshot that is whole, of this schema, and of the journal's chain; every other is passed over in words.
fn restore<A: Audience>(dir: &Path, log: &Log, mut ahead: Ahead<A::Copy>, audience: &mut A) -> Result<u64, StartError> {
    let now = log.heads();
    let is_of_chain = |meta: &SnapshotMeta| match meta.group == log.last_group() {
        true => Ok(meta.heads == now),
        false => stood_at(dir, meta.group, &meta.heads, &now),
    };
    // looked at while the snapshot is being read
    let mut looked = ahead.head().map(|meta| is_of_chain(&meta).map(|is_ours| (meta, is_ours))).transpose()?;
    for path in snapshot::list(dir).map_err(StartError::Caches)?.into_iter().rev() {
        let found = ahead.found(&path);
        let is_ours = match &found {
            Ok(Some((meta, _))) => match looked.take_if(|(seen, _)| seen == meta) {
                Some((_, is_ours)) => is_ours,
                None => is_of_chain(meta)?,
            },
            Ok(None) | Err(_) => false,
        };
        match found {
            Ok(Some((meta, copy))) if is_ours => {
                audience.restore(copy);
                return Ok(meta.group);
            }
            Ok(Some(_) | None) => {
                tracing::warn!(path = %path.display(), "a snapshot is of another log or another version; it is not used")
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a snapshot is damaged; an older one or the log is used")
            }
        }
    }
    Ok(0)
}

type Records = Vec<(TenantId, Recorded)>;

struct Fold {
    snapshot_group: u64,
    receipts_group: u64,
    subjects_group: u64,
    /// What any of the caches did not hold.
    records: u64,
    in_memory_max: usize,
    receipts: Receipts,
    subjects: Subjects,
    vault: Arc<Vault>,
    error: Option<StartError>,
}

/// So many groups are read ahead of the audience.
const GROUPS_AHEAD_MAX: usize = 4;

impl Fold {
    /// Takes what the caches lack. The log is read and the indexes are filled on a thread beside the audience.
    fn run(
        &mut self,
        dir: &Path,
        last: u64,
        audience: &mut impl Audience,
        progress: &dyn Progress,
    ) -> Result<(), StartError> {
        let from = self.snapshot_group.min(self.receipts_group).min(self.subjects_group) + 1;
        // what the caches hold was checked when the log was opened
        if from > last {
            return Ok(());
        }
        let (give, given) = bounded(GROUPS_AHEAD_MAX);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let give = give;
                replay_groups(dir, from, &mut |group| {
                    if group.number % 4096 == 0 {
                        progress.step("folding the history", group.number, last);
                    }
                    let flow = self.take(&group, &give);
                    // nothing stands behind it, which opening has seen
                    if group.number < last { flow } else { ControlFlow::Break(()) }
                })
            });
            given.into_iter().for_each(|(group, records): (u64, Records)| audience.take(group, &records));
            reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        self.error.take().map_or(Ok(()), Err)
    }

    fn take(&mut self, group: &ReplayedGroup<'_>, give: &Sender<(u64, Records)>) -> ControlFlow<()> {
        let mut records = Records::new();
        for frame in group.frames() {
            let tenant = TenantId(frame.tenant);
            for (position, bytes) in (frame.first_position..).zip(frame.records) {
                match record::decode(position, bytes) {
                    Ok(mut recorded) => {
                        reveal(&self.vault, tenant.0, &mut recorded.event);
                        records.push((tenant, recorded));
                    }
                    Err(error) => {
                        self.error = Some(StartError::Record { tenant: tenant.0, position, error });
                        return ControlFlow::Break(());
                    }
                }
            }
        }
        if group.number > self.subjects_group {
            self.subjects.take(&records);
        }
        if group.number > self.receipts_group {
            self.take_receipts(&records);
        }
        self.records += records.len() as u64;
        if self.in_memory() >= self.in_memory_max {
            Flush::of(&self.receipts, &self.subjects, group.number).run().hand_over(&self.receipts, &self.subjects);
            // where the disk says no, memory has to do
            self.in_memory_max = ENTRIES_IN_MEMORY.max(self.in_memory() * 2);
        }
        if group.number <= self.snapshot_group {
            return ControlFlow::Continue(());
        }
        // an audience that is gone has panicked, which is heard of there
        if give.send((group.number, records)).is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn in_memory(&self) -> usize {
        self.receipts.fresh().max(self.subjects.fresh())
    }

    /// A command's records stand together.
    fn take_receipts(&mut self, records: &[(TenantId, Recorded)]) {
        for command in
            records.chunk_by(|(a, first), (b, next)| a == b && first.envelope.command_id == next.envelope.command_id)
        {
            let Some((tenant, first)) = command.first() else { continue };
            if let Some(id) = &first.envelope.command_id {
                let receipt = Receipt {
                    first_position: first.position,
                    records: u32::try_from(command.len()).unwrap_or(u32::MAX),
                    content_hash: first.envelope.content_hash,
                };
                self.receipts.insert([((tenant.0, record::command_key(id)), receipt)]);
            }
        }
    }
}

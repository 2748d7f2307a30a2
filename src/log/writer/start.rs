//! Bringing the writer up: the log is opened, the history folded into states, and the thread started.

use super::bench::Bench;
use super::{Audience, Gauges, QUEUE_JOBS_MAX, Writer, WriterHandle};
use crate::clock::Clock;
use crate::domain::event::Recorded;
use crate::domain::ids::TenantId;
use crate::domain::state::Tenant;
use crate::log::receipts::{Receipt, Receipts};
use crate::log::record::{self, RecordError};
use crate::log::{Log, LogOptions, OpenError, OpenReport, Progress, ReplayedGroup, replay_groups};
use crate::vault::{Vault, reveal};
use std::ops::ControlFlow;
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
    #[error("the writer's thread could not be started: {0}")]
    Thread(std::io::Error),
}

pub struct StartOptions {
    pub log: LogOptions,
    pub clock: Clock,
    pub vault: Arc<Vault>,
}

/// Opens the log, folds it, and starts the thread.
///
/// # Errors
/// When the log can't be opened or a record can't be read; nothing was changed then.
pub fn start<A: Audience + 'static>(
    options: StartOptions,
    mut audience: A,
    progress: &dyn Progress,
) -> Result<(WriterHandle, OpenReport), StartError> {
    let StartOptions { log, clock, vault } = options;
    let dir = log.dir.clone();
    let (log, report) = Log::open(log, progress)?;
    let mut fold = Fold { tenants: Vec::new(), receipts: Receipts::default(), vault: Arc::clone(&vault), error: None };
    let last = log.last_group();
    replay_groups(&dir, 1, &mut |group| {
        if group.number % 4096 == 0 {
            progress.step("folding the history", group.number, last);
        }
        fold.take(&group, &mut audience)
    })?;
    if let Some(error) = fold.error {
        return Err(error);
    }
    if let Some(newest) = fold.tenants.iter().map(|tenant| tenant.last_recorded_at).max() {
        clock.start_after(newest);
    }
    let (jobs, waiting) = crossbeam_channel::bounded(QUEUE_JOBS_MAX);
    let gauges = Arc::new(Gauges::default());
    let handle = WriterHandle { jobs, reader: log.reader(), gauges: Arc::clone(&gauges) };
    let bench = Bench::new(fold.tenants, fold.receipts, vault);
    let writer = Writer { log, bench, audience, clock, jobs: waiting, gauges };
    let run = move || {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run()));
        if outcome.is_err() {
            eprintln!("seatledger: the writer found its state broken and stopped; nothing more is acknowledged");
            std::process::exit(crate::log::EXIT_LOG_STOPPED);
        }
    };
    std::thread::Builder::new().name("writer".into()).spawn(run).map_err(StartError::Thread)?;
    Ok((handle, report))
}

struct Fold {
    tenants: Vec<Tenant>,
    receipts: Receipts,
    vault: Arc<Vault>,
    error: Option<StartError>,
}

impl Fold {
    fn take(&mut self, group: &ReplayedGroup<'_>, audience: &mut impl Audience) -> ControlFlow<()> {
        let mut records: Vec<(TenantId, Recorded)> = Vec::new();
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
        for (tenant, recorded) in &records {
            while self.tenants.len() <= tenant.index() {
                self.tenants.push(Tenant::default());
            }
            if let Some(state) = self.tenants.get_mut(tenant.index()) {
                state.evolve(&recorded.event, &recorded.meta());
            }
        }
        self.take_receipts(&records);
        audience.take(group.number, &records);
        ControlFlow::Continue(())
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
                self.receipts.insert(tenant.0, record::command_key(id), receipt);
            }
        }
    }
}

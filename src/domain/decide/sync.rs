//! Syncs of a connector, which take a while: begun, gone on with as items and seats come in, ended. Not here: what an
//! inventory says (`inventory`), and what the store says of single seats (`provider`).

use super::settle::Ending;
use super::{Judge, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::SyncEnd;
use crate::domain::event::Event;
use crate::domain::ids::{Holder, PoolId, SyncId};
use crate::domain::key::Provider;
use crate::domain::rejection::Rejection;
use crate::domain::state::SyncState;
use std::collections::BTreeSet;

impl Judge<'_> {
    pub(super) fn guard_syncing(&self, provider: Provider) -> Result<(), Rejection> {
        if provider != Provider::Declared && !self.tenant.accounts.contains_key(&provider) {
            return Err(Rejection::StoreAccountNotLinked);
        }
        if !self.tenant.settings.sync_enabled {
            return Err(Rejection::SyncDisabled);
        }
        Ok(())
    }

    /// One at a time for each account. Asked for again while one runs that does as much, it is that one.
    pub(super) fn start_sync(
        &mut self,
        provider: Provider,
        is_full: bool,
        is_dry_run: bool,
        is_connected: bool,
    ) -> Ruling {
        self.guard_syncing(provider)?;
        if !is_connected {
            return Err(Rejection::ConnectorNotRunning);
        }
        if let Some(running) = self.tenant.running_sync(provider) {
            if running.is_dry_run == is_dry_run && (running.is_full || !is_full) {
                return Ok(Verdict::Unchanged(About::Sync(running.id)));
            }
            return Err(Rejection::SyncRunning { sync: running.id });
        }
        let sync = SyncId::at(self.tenant.syncs.len());
        let language = self.tenant.settings.language.clone();
        self.emit(Event::SyncStarted { sync, provider, is_full, is_dry_run, language });
        Ok(Verdict::Done)
    }

    pub(super) fn guard_running(&self, sync: SyncId) -> Result<(), Rejection> {
        let found = self.tenant.syncs.get(sync.index()).ok_or(Rejection::SyncNotFound)?;
        if found.state == SyncState::Running { Ok(()) } else { Err(Rejection::SyncNotFound) }
    }

    /// A sync takes its items once.
    pub(super) fn guard_awaits_items(&self, sync: SyncId) -> Result<(), Rejection> {
        self.guard_running(sync)?;
        let is_awaiting = self.tenant.syncs.get(sync.index()).is_some_and(|sync| sync.items_position.is_none());
        if is_awaiting { Ok(()) } else { Err(Rejection::SyncNotFound) }
    }

    /// Seats that a store did not show, and that were given before it was read.
    pub(super) fn lost_endings(&self, lost: &[(PoolId, Holder)], before: u64) -> Vec<Ending> {
        let ending = |(pool, holder): (PoolId, Holder)| {
            let cause = self.tenant.lost_cause(pool, holder, before)?;
            Some(Ending { pool, holder, cause })
        };
        // named twice, it goes once
        let lost: BTreeSet<_> = lost.iter().copied().collect();
        lost.into_iter().filter_map(ending).collect()
    }

    pub(super) fn end_sync(&mut self, sync: SyncId, end: &SyncEnd) -> Ruling {
        self.guard_running(sync)?;
        let found = self.tenant.syncs.get(sync.index()).ok_or(Rejection::SyncNotFound)?;
        let (provider, counts) = (found.provider, found.counts);
        let (is_full, is_dry_run) = (found.is_full, found.is_dry_run);
        match end {
            SyncEnd::Failed { reason } => self.emit(Event::SyncFailed { sync, reason: reason.clone() }),
            SyncEnd::Completed { seats } => {
                if is_full {
                    self.emit(Event::SyncSeatsCompared { sync, seats: *seats });
                }
                if !is_dry_run {
                    // what the seats that it showed leave pools owing, beside what its items left
                    let pools: Vec<PoolId> = self.tenant.pools_of(provider).map(|pool| pool.id).collect();
                    self.reclaim_deficits(pools, Some(sync));
                }
                self.complete(sync, counts, is_full && !is_dry_run);
                if is_full && !is_dry_run {
                    self.serve_again(provider);
                }
            }
        }
        Ok(Verdict::Done)
    }

    /// Pools that waited after "not enough" are served again.
    fn serve_again(&mut self, provider: Provider) {
        let paused = self.tenant.pools_of(provider).filter(|pool| pool.is_serving_paused);
        let paused: Vec<PoolId> = paused.map(|pool| pool.id).collect();
        for pool in paused {
            self.emit(Event::ServingResumed { pool });
            self.serve_queue(pool);
        }
    }
}

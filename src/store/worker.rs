//! The worker of one store account: runs its syncs, one at a time, and carries reservations and releases to the store until
//! it has answered. Not here: who starts it (`desk`), what a pass tells (`compare`, `sync`).

mod asking;
mod reading;

use super::compare::Remembered;
use super::connector::Connector;
use super::names::OldNames;
use super::submit::{Teller, Untold};
use super::sync::{Taking, take};
use super::terms::{Pass, PassAsked, PassProgress, Request, Settled, Sought, StoreHolder, Trouble};
use super::worklist::{Backlog, Worklist, sought};
use crate::clock::monotonic;
use crate::domain::command::{Command, Observation, ProviderReport, SyncEnd};
use crate::domain::event::Event;
use crate::domain::facts::PoolState;
use crate::domain::ids::{Holder, PoolId, SyncId};
use crate::domain::key::{PoolKey, Provider};
use crate::domain::state::Sync;
use asking::Asked;
use parking_lot::Mutex;
use reading::{accounts, ended, read_all};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Seats that are asked for in one go; a connector parts them as its store wants.
const SETTLE_MAX: usize = 1000;
const EVENTS_MAX: usize = 4096;
/// A store that turned us away is asked again so often whether it does still.
const TROUBLE_WAIT: Duration = Duration::from_secs(30);
/// After "not enough" the store is read again: the more often it says so in a row, the later.
const REREAD_WAIT_MIN: Duration = Duration::from_secs(5);
const REREAD_WAIT_MAX: Duration = Duration::from_secs(600);

/// What can be seen of a worker while it works.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub backlog: Backlog,
    /// Why the store can't be written to now.
    pub trouble: Option<Trouble>,
    pub token_expires_at: Option<crate::domain::time::Time>,
    /// The pass that runs.
    pub progress: Option<(SyncId, Arc<PassProgress>)>,
}

/// One account, to its worker.
pub struct Post {
    pub provider: Provider,
    pub account_id: String,
    pub connectors: Vec<Arc<dyn Connector>>,
    pub standing: Arc<Mutex<Standing>>,
    /// A sync that ran when nobody was at this post: nobody goes on with it.
    pub left: Option<SyncId>,
    /// Somebody wants the worker to look: a notification has come.
    pub wake: Arc<Notify>,
    /// A sync is begun by itself so often; never where it is zero.
    pub sync_every: Duration,
    pub stop: CancellationToken,
}

type Passing = JoinHandle<Result<Pass, Trouble>>;

struct Worker {
    post: Post,
    teller: Teller,
    list: Worklist,
    next_event: u64,
    remembered: Remembered,
    old_names: OldNames,
    /// Version or time for the next incremental pass.
    since: Option<String>,
    has_read: bool,
    passing: Option<(Sync, u64, Passing)>,
    next_sync: Option<Instant>,
    not_before: Instant,
    reread_wait: Duration,
}

/// Works until it is told to stop or the ledger takes nothing more.
pub async fn run(teller: Teller, post: Post) {
    let now = monotonic();
    let next_sync = (post.sync_every > Duration::ZERO).then(|| now + Duration::from_secs(1));
    let mut worker = Worker {
        post,
        teller,
        list: Worklist::default(),
        next_event: 0,
        remembered: Remembered::default(),
        old_names: OldNames::new(),
        since: None,
        has_read: false,
        passing: None,
        next_sync,
        not_before: now,
        reread_wait: REREAD_WAIT_MIN,
    };
    if let Err(untold) = worker.work().await {
        tracing::warn!(provider = worker.post.provider.name(), %untold, "the worker of a store account ends");
    }
    if let Some((_, _, passing)) = worker.passing {
        passing.abort();
    }
}

impl Worker {
    async fn work(&mut self) -> Result<(), Untold> {
        let mut head = self.teller.ledger.follow(self.teller.tenant)?;
        self.begin().await?;
        loop {
            self.catch_up().await?;
            self.begin_pass().await?;
            let stop = self.post.stop.clone();
            // what was sent by then is looked for by whoever comes next
            tokio::select! {
                confirmed = self.confirm() => confirmed?,
                () = stop.cancelled() => return Ok(()),
            }
            self.tell();
            let next = self.next_look();
            let (stop, wake) = (self.post.stop.clone(), Arc::clone(&self.post.wake));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = wake.notified() => self.next_sync = Some(monotonic()),
                () = tokio::time::sleep_until(next.into()) => {}
                changed = head.changed() => changed.map_err(|_| Untold::Stopped("it is closed".into()))?,
                read = ended(&mut self.passing) => self.end_pass(read).await?,
            }
        }
    }

    /// What a worker before this one left: syncs that nobody goes on with, seats that wait.
    async fn begin(&mut self) -> Result<(), Untold> {
        let provider = self.post.provider;
        if let Some(sync) = self.post.left {
            self.fail(sync, "the service was stopped, or its settings changed, while it ran".to_owned()).await?;
        }
        let now = monotonic();
        let (head, pools) = self.teller.read(|view| {
            let pools: Vec<_> = view.state.pools_of(provider).cloned().collect();
            (view.state.next_position, pools)
        })?;
        self.list.fill(pools.iter(), now);
        self.next_event = head;
        Ok(())
    }

    fn next_look(&self) -> Instant {
        let idle = monotonic() + Duration::from_secs(60);
        let is_shut = self.post.standing.lock().trouble.as_ref().is_some_and(Trouble::shuts_the_account);
        let due = match (is_shut, self.may_confirm()) {
            (true, _) => Some(self.not_before),
            (false, true) => self.list.next_due().map(|due| due.max(self.not_before)),
            (false, false) => None,
        };
        let sync = self.next_sync.filter(|_| self.passing.is_none());
        [due, sync].into_iter().flatten().fold(idle, Instant::min)
    }

    /// Notes what was recorded about seats since the last look.
    async fn catch_up(&mut self) -> Result<(), Untold> {
        loop {
            let (ledger, tenant, from) = (self.teller.ledger.clone(), self.teller.tenant, self.next_event);
            let read = move || Ok(ledger.events(tenant, from, EVENTS_MAX)?);
            // beyond its head the view does not know yet what the log has
            let head = self.teller.ledger.head(self.teller.tenant)?;
            let mut events = self.teller.blocking(read).await?;
            events.retain(|recorded| recorded.position <= head);
            let Some(last) = events.last() else { return Ok(()) };
            self.next_event = last.position + 1;
            let now = monotonic();
            let (teller, list) = (&self.teller, &mut self.list);
            teller.read(|view| {
                for recorded in &events {
                    if let Some((pool, holder)) = seat_of(&recorded.event) {
                        list.note(&view.state, pool, holder, now);
                    }
                }
            })?;
        }
    }

    /// Begins the sync that was asked for, or that is due.
    async fn begin_pass(&mut self) -> Result<(), Untold> {
        if self.passing.is_some() {
            return Ok(());
        }
        let provider = self.post.provider;
        let now = monotonic();
        if self.next_sync.is_some_and(|due| due <= now) {
            self.next_sync = (self.post.sync_every > Duration::ZERO).then(|| now + self.post.sync_every);
            let start = Command::StartSync { provider, is_full: true, is_dry_run: false, is_connected: true };
            self.teller.command(start).await?;
        }
        let running = self.teller.read(|view| view.state.running_sync(provider).cloned())?;
        let Some(sync) = running else { return Ok(()) };
        let begun_at = self.teller.read(|view| view.state.next_position)?;
        let asked = PassAsked {
            is_full: sync.is_full,
            since: self.since.clone(),
            language: sync.language.clone(),
            rereads_details: sync.is_full,
        };
        let progress = PassProgress::new();
        self.post.standing.lock().progress = Some((sync.id, Arc::clone(&progress)));
        let (connectors, account) = (self.post.connectors.clone(), self.post.account_id.clone());
        let standing = Arc::clone(&self.post.standing);
        let passing = tokio::spawn(async move { read_all(&connectors, &account, &asked, &progress, &standing).await });
        self.passing = Some((sync, begun_at, passing));
        Ok(())
    }

    async fn end_pass(&mut self, (sync, begun_at, read): (Sync, u64, Result<Pass, Trouble>)) -> Result<(), Untold> {
        self.passing = None;
        self.post.standing.lock().progress = None;
        match read {
            Ok(mut pass) => {
                pass.is_complete &= sync.is_full;
                self.trouble_is(None).await?;
                // also what a run before this one left suspended
                self.turn_pools(PoolState::Suspended, ProviderReport::Resumed).await?;
                let (next, is_complete, is_dry_run, id) =
                    (pass.next.clone(), pass.is_complete, sync.is_dry_run, sync.id);
                let taking = Taking {
                    teller: &self.teller,
                    provider: self.post.provider,
                    connectors: self.post.connectors.clone(),
                    sync,
                    begun_at,
                };
                let taken = match take(taking, pass, self.remembered.clone(), self.old_names.clone()).await {
                    Ok(taken) => taken,
                    Err(Untold::Refused(reason)) => return self.fail(id, reason).await,
                    Err(untold @ Untold::Stopped(_)) => return Err(untold),
                };
                // what only looks concludes nothing
                if !is_dry_run {
                    self.remembered = taken.remembered;
                    self.since = next;
                }
                self.old_names = taken.old_names;
                self.has_read |= is_complete;
                self.list.hurry(monotonic());
            }
            Err(trouble) => {
                self.fail(sync.id, trouble.to_string()).await?;
                self.trouble_is(Some(trouble)).await?;
            }
        }
        Ok(())
    }

    async fn fail(&self, sync: SyncId, reason: String) -> Result<(), Untold> {
        self.teller.observe(Observation::EndSync { sync, end: SyncEnd::Failed { reason } }).await.map(drop)
    }

    /// A name of old is known only once the store was read.
    fn may_confirm(&self) -> bool {
        self.has_read || self.post.provider != Provider::AppleBusiness
    }

    /// Asks the store for what is due, and tells the ledger what it said.
    async fn confirm(&mut self) -> Result<(), Untold> {
        let now = monotonic();
        if now < self.not_before {
            return Ok(());
        }
        let had_trouble = self.post.standing.lock().trouble.clone();
        if had_trouble.as_ref().is_some_and(Trouble::shuts_the_account) {
            let account = accounts(&self.post.connectors, &self.post.account_id).await;
            self.trouble_is(account.err()).await?;
            if self.post.standing.lock().trouble.is_some() {
                return Ok(());
            }
        }
        if !self.may_confirm() {
            return Ok(());
        }
        // whatever passes is over until it is met again
        self.post.standing.lock().trouble = None;
        let due = self.list.due(now, SETTLE_MAX);
        if due.is_empty() {
            return Ok(());
        }
        let mut asked = self.requests(due).await?;
        self.look_first(&mut asked).await?;
        let releases = asked.iter().filter(|one| one.request.sought == Sought::Release);
        let sent = releases.map(|one| (one.pool, ProviderReport::ReleaseSent { holder: one.holder })).collect();
        self.teller.report_all(sent).await?;
        // what was taken back meanwhile is not sent
        let (teller, before) = (&self.teller, asked);
        let asked: Vec<Asked> = teller.read(|view| {
            let is_still = |one: &Asked| {
                let pool = view.state.pools.get(one.pool.index());
                pool.and_then(|pool| sought(pool, one.holder)) == Some(one.request.sought)
            };
            before.into_iter().filter(is_still).collect()
        })?;
        self.settle(asked).await
    }

    async fn settle(&mut self, asked: Vec<Asked>) -> Result<(), Untold> {
        let mut by_connector: Vec<Vec<Asked>> = self.post.connectors.iter().map(|_| Vec::new()).collect();
        for one in asked {
            let place = self.post.connectors.iter().position(|connector| connector.has(&one.request.pool));
            match place.and_then(|place| by_connector.get_mut(place)) {
                Some(list) => list.push(one),
                None => self.list.postpone(one.pool, one.holder, one.is_unknown, monotonic(), jitter()),
            }
        }
        let mut worst = None;
        for (connector, asked) in self.post.connectors.clone().into_iter().zip(by_connector) {
            if asked.is_empty() {
                continue;
            }
            let places: BTreeMap<_, _> = asked
                .iter()
                .map(|one| ((one.request.pool.clone(), one.request.holder.clone()), (one.pool, one.holder)))
                .collect();
            let settled = connector.settle(asked.into_iter().map(|one| one.request).collect()).await;
            worst = self.take_settled(&places, settled).await?.or(worst);
        }
        match worst {
            Some(trouble) => self.trouble_is(Some(trouble)).await,
            None => Ok(()),
        }
    }

    async fn take_settled(
        &mut self,
        places: &BTreeMap<(PoolKey, StoreHolder), (PoolId, Holder)>,
        settled: Vec<(Request, Settled)>,
    ) -> Result<Option<Trouble>, Untold> {
        let mut reports = Vec::with_capacity(settled.len());
        let mut trouble = None;
        let now = monotonic();
        for (request, settled) in settled {
            let Some((pool, holder)) = places.get(&(request.pool.clone(), request.holder.clone())).copied() else {
                continue;
            };
            let report = match settled {
                Settled::Granted => {
                    self.reread_wait = REREAD_WAIT_MIN;
                    self.old_names.insert((pool, holder), request.holder.clone());
                    ProviderReport::GrantConfirmed { holder }
                }
                Settled::NotEnough => {
                    let soon = now + self.reread_wait;
                    self.reread_wait = (self.reread_wait * 2).min(REREAD_WAIT_MAX);
                    self.next_sync = Some(self.next_sync.map_or(soon, |due| due.min(soon)));
                    ProviderReport::GrantRefused { holder, not_enough: true }
                }
                Settled::Refused(why) => {
                    tracing::info!(%pool, %holder, why, "the store refuses a grant");
                    ProviderReport::GrantRefused { holder, not_enough: false }
                }
                Settled::Released => {
                    self.old_names.remove(&(pool, holder));
                    ProviderReport::ReleaseConfirmed { holder }
                }
                Settled::ReleaseRefused(why) => {
                    tracing::info!(%pool, %holder, why, "the store keeps a seat");
                    ProviderReport::ReleaseRefused { holder }
                }
                Settled::Unknown(why) => {
                    tracing::debug!(%pool, %holder, why, "the store's answer is not known");
                    self.list.postpone(pool, holder, true, now, jitter());
                    continue;
                }
                Settled::NotSent(why) => {
                    self.list.postpone(pool, holder, false, now, jitter());
                    // a no to one seat, as to a holder whom the store will know in a minute, says nothing of the others
                    if !matches!(why, Trouble::Refused { .. }) {
                        trouble = Some(why);
                    }
                    continue;
                }
            };
            reports.push((pool, report));
        }
        self.teller.report_all(reports).await?;
        Ok(trouble)
    }

    /// A store that turns us away for good is written to no more: its pools are suspended until it lets us in again.
    async fn trouble_is(&mut self, trouble: Option<Trouble>) -> Result<(), Untold> {
        let now = monotonic();
        let before = self.post.standing.lock().trouble.clone();
        let shuts = |trouble: &Option<Trouble>| trouble.as_ref().is_some_and(Trouble::shuts_the_account);
        if shuts(&before) && trouble.is_some() && !shuts(&trouble) {
            // that the store can't be reached does not open the account
            self.not_before = now + TROUBLE_WAIT;
            return Ok(());
        }
        match &trouble {
            Some(Trouble::Throttled { retry_after_seconds }) => {
                let wait = Duration::from_secs(retry_after_seconds.unwrap_or(1).min(3600));
                self.not_before = now + wait;
                self.list.hold_until(now + wait);
            }
            Some(trouble) if trouble.shuts_the_account() => self.not_before = now + TROUBLE_WAIT,
            Some(_) => self.not_before = now + Duration::from_secs(1),
            // whoever waited to be let in waits no longer; what the store asked to wait is waited for
            None if shuts(&before) => self.not_before = now,
            None => {}
        }
        if let Some(trouble) = trouble.as_ref().filter(|_| before.is_none()) {
            tracing::warn!(provider = self.post.provider.name(), %trouble, "the store can't be written to");
        }
        let turned = (shuts(&before), shuts(&trouble));
        self.post.standing.lock().trouble = trouble;
        match turned {
            (false, true) => self.turn_pools(PoolState::Active, ProviderReport::Suspended).await,
            (true, false) => self.turn_pools(PoolState::Suspended, ProviderReport::Resumed).await,
            (false, false) | (true, true) => Ok(()),
        }
    }

    async fn turn_pools(&self, from: PoolState, report: ProviderReport) -> Result<(), Untold> {
        let (provider, connectors) = (self.post.provider, self.post.connectors.clone());
        let pools: Vec<PoolId> = self.teller.read(|view| {
            let pools = view.state.pools_of(provider).filter(|pool| pool.state == from);
            pools.filter(|pool| connectors.iter().any(|one| one.has(&pool.key))).map(|pool| pool.id).collect()
        })?;
        self.teller.report_all(pools.into_iter().map(|pool| (pool, report)).collect()).await
    }

    fn tell(&self) {
        self.post.standing.lock().backlog = self.list.backlog(monotonic());
    }
}

fn jitter() -> f64 {
    let mut byte = [0_u8; 1];
    // without random bytes everybody waits alike
    let _none = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

fn seat_of(event: &Event) -> Option<(PoolId, Holder)> {
    if let Event::SeatGranted { pool, holder, .. }
    | Event::SeatReleasing { pool, holder, .. }
    | Event::SeatReleased { pool, holder, .. }
    | Event::SeatReleaseRefused { pool, holder }
    | Event::SeatTakenBack { pool, holder }
    | Event::SeatConfirmed { pool, holder }
    | Event::ForeignSeatAdopted { pool, holder, .. } = event
    {
        return Some((*pool, *holder));
    }
    None
}

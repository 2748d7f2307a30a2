//! The worker of one store account: runs its syncs, one at a time, and carries reservations and releases to the store until
//! it has answered. Not here: who starts it (`desk`), what a pass tells (`compare`, `sync`).

mod reading;

use super::compare::Remembered;
use super::connector::Connector;
use super::names::{Directory, OldNames};
use super::submit::{Gone, Teller};
use super::sync::{IsOurs, Taking, take};
use super::terms::{Pass, PassAsked, PassProgress, Request, Settled, Sought, StoreHolder, Trouble};
use super::worklist::{Backlog, Waiting, Worklist, sought};
use crate::clock::monotonic;
use crate::domain::command::{Command, Observation, ProviderReport, SyncEnd};
use crate::domain::event::Event;
use crate::domain::facts::PoolState;
use crate::domain::ids::{Holder, PoolId, SyncId};
use crate::domain::key::{PoolKey, Provider};
use crate::domain::state::Sync;
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
/// After "not enough" the store is read again, and not more often than this.
const REREAD_WAIT: Duration = Duration::from_secs(5);

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
    };
    if let Err(Gone(why)) = worker.work().await {
        tracing::warn!(provider = worker.post.provider.name(), why, "the worker of a store account ends");
    }
    if let Some((_, _, passing)) = worker.passing {
        passing.abort();
    }
}

impl Worker {
    async fn work(&mut self) -> Result<(), Gone> {
        let mut head = self.teller.ledger.follow(self.teller.tenant)?;
        self.begin().await?;
        loop {
            self.catch_up().await?;
            self.begin_pass().await?;
            self.confirm().await?;
            self.tell();
            let next = self.next_look();
            let (stop, wake) = (self.post.stop.clone(), Arc::clone(&self.post.wake));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = wake.notified() => self.next_sync = Some(monotonic()),
                () = tokio::time::sleep_until(next.into()) => {}
                changed = head.changed() => changed.map_err(|_| Gone("the ledger has stopped".into()))?,
                read = ended(&mut self.passing) => self.end_pass(read).await?,
            }
        }
    }

    /// What a worker before this one left: syncs that nobody goes on with, seats that wait.
    async fn begin(&mut self) -> Result<(), Gone> {
        let provider = self.post.provider;
        if let Some(sync) = self.post.left {
            let reason = "the service was stopped, or its settings changed, while it ran".to_owned();
            self.teller.observe(Observation::EndSync { sync, end: SyncEnd::Failed { reason } }).await?;
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
        let due = self.list.next_due().map(|due| due.max(self.not_before));
        let due = if self.post.standing.lock().trouble.is_some() { Some(self.not_before) } else { due };
        let sync = self.next_sync.filter(|_| self.passing.is_none());
        [due, sync].into_iter().flatten().fold(idle, Instant::min)
    }

    /// Notes what was recorded about seats since the last look.
    async fn catch_up(&mut self) -> Result<(), Gone> {
        loop {
            let (ledger, tenant, from) = (self.teller.ledger.clone(), self.teller.tenant, self.next_event);
            let read = move || Ok(ledger.events(tenant, from, EVENTS_MAX)?);
            let events = self.teller.blocking(read).await?;
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
    async fn begin_pass(&mut self) -> Result<(), Gone> {
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

    async fn end_pass(&mut self, (sync, begun_at, read): (Sync, u64, Result<Pass, Trouble>)) -> Result<(), Gone> {
        self.passing = None;
        self.post.standing.lock().progress = None;
        match read {
            Ok(pass) => {
                self.trouble_is(None).await?;
                self.turn_pools(PoolState::Suspended, ProviderReport::Resumed).await?;
                let next = pass.next.clone();
                let connectors = self.post.connectors.clone();
                let is_ours: IsOurs = Arc::new(move |key: &PoolKey| connectors.iter().any(|one| one.has(key)));
                let (is_full, is_dry_run) = (pass.is_complete, sync.is_dry_run);
                let taking = Taking { teller: &self.teller, provider: self.post.provider, sync, begun_at, is_ours };
                let (before, names) = (std::mem::take(&mut self.remembered), std::mem::take(&mut self.old_names));
                let kept = is_dry_run.then(|| before.clone());
                let taken = take(taking, pass, before, names).await?;
                // what only looks concludes nothing
                self.remembered = kept.unwrap_or(taken.remembered);
                self.old_names = taken.old_names;
                self.since = next;
                self.has_read |= is_full;
            }
            Err(trouble) => {
                let reason = trouble.to_string();
                self.teller.observe(Observation::EndSync { sync: sync.id, end: SyncEnd::Failed { reason } }).await?;
                self.trouble_is(Some(trouble)).await?;
            }
        }
        Ok(())
    }

    /// Asks the store for what is due, and tells the ledger what it said.
    async fn confirm(&mut self) -> Result<(), Gone> {
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
        // a name of old is known only once the store was read
        if !self.has_read && self.post.provider == Provider::AppleBusiness {
            return Ok(());
        }
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

    async fn settle(&mut self, asked: Vec<Asked>) -> Result<(), Gone> {
        let mut by_connector: Vec<Vec<Asked>> = self.post.connectors.iter().map(|_| Vec::new()).collect();
        for one in asked {
            let place = self.post.connectors.iter().position(|connector| connector.has(&one.request.pool));
            match place.and_then(|place| by_connector.get_mut(place)) {
                Some(list) => list.push(one),
                None => self.list.postpone(one.pool, one.holder, one.is_unknown, monotonic(), jitter()),
            }
        }
        for (connector, asked) in self.post.connectors.clone().into_iter().zip(by_connector) {
            if asked.is_empty() {
                continue;
            }
            let places: BTreeMap<_, _> = asked
                .iter()
                .map(|one| ((one.request.pool.clone(), one.request.holder.clone()), (one.pool, one.holder)))
                .collect();
            let settled = connector.settle(asked.into_iter().map(|one| one.request).collect()).await;
            self.take_settled(&places, settled).await?;
        }
        Ok(())
    }

    async fn take_settled(
        &mut self,
        places: &BTreeMap<(PoolKey, StoreHolder), (PoolId, Holder)>,
        settled: Vec<(Request, Settled)>,
    ) -> Result<(), Gone> {
        let mut reports = Vec::with_capacity(settled.len());
        let mut trouble = None;
        let now = monotonic();
        for (request, settled) in settled {
            let Some((pool, holder)) = places.get(&(request.pool.clone(), request.holder.clone())).copied() else {
                continue;
            };
            let report = match settled {
                Settled::Granted => ProviderReport::GrantConfirmed { holder },
                Settled::NotEnough => {
                    let soon = now + REREAD_WAIT;
                    self.next_sync = Some(self.next_sync.map_or(soon, |due| due.min(soon)));
                    ProviderReport::GrantRefused { holder, not_enough: true }
                }
                Settled::Refused(why) => {
                    tracing::info!(%pool, %holder, why, "the store refuses a grant");
                    ProviderReport::GrantRefused { holder, not_enough: false }
                }
                Settled::Released => ProviderReport::ReleaseConfirmed { holder },
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
        self.trouble_is(trouble).await
    }

    /// What may have happened is looked up before it is asked again: a seat that is there is not asked for twice.
    async fn look_first(&mut self, asked: &mut Vec<Asked>) -> Result<(), Gone> {
        let (unknown, rest): (Vec<_>, Vec<_>) = std::mem::take(asked).into_iter().partition(|one| one.is_unknown);
        *asked = rest;
        let mut reports = Vec::new();
        for one in unknown {
            let connector = self.post.connectors.iter().find(|connector| connector.has(&one.request.pool)).cloned();
            let Some(connector) = connector else { continue };
            let (holder, sought) = (one.holder, one.request.sought);
            match (connector.look(&one.request.pool, &one.request.holder).await, sought) {
                (Ok(true), Sought::Grant) => reports.push((one.pool, ProviderReport::GrantConfirmed { holder })),
                (Ok(false), Sought::Release) => reports.push((one.pool, ProviderReport::ReleaseConfirmed { holder })),
                (Ok(false), Sought::Grant) | (Ok(true), Sought::Release) => asked.push(one),
                (Err(trouble), _) => {
                    self.list.postpone(one.pool, holder, true, monotonic(), jitter());
                    self.trouble_is(Some(trouble)).await?;
                    break;
                }
            }
        }
        self.teller.report_all(reports).await
    }

    /// Puts what is due into the store's words. Who has no name any more can't be asked for.
    async fn requests(&mut self, due: Vec<(PoolId, Holder, Waiting)>) -> Result<Vec<Asked>, Gone> {
        let (ledger, tenant) = (self.teller.ledger.clone(), self.teller.tenant);
        let old = self.old_names.clone();
        let make = move || {
            // names are opened outside of the lock
            let stored = ledger.read(tenant, |view| {
                let names = |holder: Holder| match holder {
                    Holder::User(user) => view.state.names.user_profile(user).cloned(),
                    Holder::Device(device) => view.state.names.device_names(device).cloned(),
                };
                let key = |pool: PoolId| Some(view.state.pools.get(pool.index())?.key.clone());
                let one = |(pool, holder, waiting): (PoolId, Holder, Waiting)| {
                    (pool, holder, waiting, key(pool), names(holder))
                };
                due.into_iter().map(one).collect::<Vec<_>>()
            })?;
            let mut asked = Vec::with_capacity(stored.len());
            let mut nameless = Vec::new();
            for (pool, holder, waiting, key, names) in stored {
                let (name, email) =
                    names.map_or((None, None), |names| Directory::open(&ledger, holder, &names.personal));
                let name = old.get(&(pool, holder)).cloned().or(name);
                match (key, name) {
                    (Some(key), Some(name)) => asked.push(Asked {
                        pool,
                        holder,
                        is_unknown: waiting.is_unknown,
                        request: Request { pool: key, holder: name, sought: waiting.sought, email },
                    }),
                    (None, _) | (_, None) => nameless.push((pool, holder)),
                }
            }
            Ok((asked, nameless))
        };
        let (asked, nameless) = self.teller.blocking(make).await?;
        for (pool, holder) in nameless {
            tracing::warn!(%pool, %holder, "the store can't be asked about a holder without a name");
            self.list.postpone(pool, holder, false, monotonic(), jitter());
        }
        Ok(asked)
    }

    /// A store that turns us away for good is written to no more: its pools are suspended until it lets us in again.
    async fn trouble_is(&mut self, trouble: Option<Trouble>) -> Result<(), Gone> {
        let before = std::mem::replace(&mut self.post.standing.lock().trouble, trouble.clone());
        let is_shut = |trouble: &Option<Trouble>| trouble.as_ref().is_some_and(Trouble::shuts_the_account);
        let now = monotonic();
        match &trouble {
            Some(Trouble::Throttled { retry_after_seconds }) => {
                let wait = Duration::from_secs(retry_after_seconds.unwrap_or(1).min(3600));
                self.not_before = now + wait;
                self.list.hold_until(now + wait);
            }
            Some(trouble) if trouble.shuts_the_account() => self.not_before = now + TROUBLE_WAIT,
            Some(_) => self.not_before = now + Duration::from_secs(1),
            None => {}
        }
        if is_shut(&before) == is_shut(&trouble) && (is_shut(&trouble) || before.is_none()) {
            return Ok(());
        }
        if let Some(trouble) = &trouble {
            tracing::warn!(provider = self.post.provider.name(), %trouble, "the store can't be written to");
        }
        if is_shut(&trouble) {
            self.turn_pools(PoolState::Active, ProviderReport::Suspended).await
        } else {
            self.turn_pools(PoolState::Suspended, ProviderReport::Resumed).await
        }
    }

    async fn turn_pools(&self, from: PoolState, report: ProviderReport) -> Result<(), Gone> {
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

/// A seat that is asked for, with its place in the ledger.
struct Asked {
    pool: PoolId,
    holder: Holder,
    is_unknown: bool,
    request: Request,
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

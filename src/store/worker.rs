//! The worker of one store account: runs its syncs, one at a time, and carries reservations and releases to the store until
//! it has answered. Not here: who starts it (`desk`), what a pass tells (`compare`, `sync`).

mod asking;
mod carrying;
mod confirming;
mod reading;
mod units;

use super::compare::{Read, Remembered};
use super::connector::Connector;
use super::names::OldNames;
use super::submit::{Teller, Untold};
use super::sync::{Taking, take};
use super::terms::{PassAsked, PassProgress, Trouble};
use super::worklist::{Backlog, Worklist};
use crate::clock::monotonic;
use crate::domain::command::{Command, Observation, SyncEnd};
use crate::domain::event::Event;
use crate::domain::ids::{Holder, PoolId, SyncId};
use crate::domain::key::Provider;
use crate::domain::state::Sync;
use crate::domain::time::Time;
use carrying::{Errands, carried};
use parking_lot::Mutex;
use reading::{Looked, Reading, ended, looked};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use units::Unit;

const EVENTS_MAX: usize = 4096;
/// After "not enough" the store is read again: the more often it says so in a row, the later.
const REREAD_WAIT_MIN: Duration = Duration::from_secs(5);
const REREAD_WAIT_MAX: Duration = Duration::from_secs(600);
/// A pass that was begun by itself and came to nothing is begun again, later each time.
const AGAIN_WAIT_MIN: Duration = Duration::from_secs(5);
const AGAIN_WAIT_MAX: Duration = Duration::from_secs(600);
/// Where nothing is synced by itself somebody may be about to ask for a sync.
const NAMES_WAIT: Duration = Duration::from_secs(30);

/// What can be seen of a worker while it works.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    pub backlog: Backlog,
    /// At Microsoft one, which has no name.
    pub units: Vec<UnitStanding>,
    /// What was recorded up to here is among the backlog, unless the store has answered it.
    pub followed_to: u64,
    /// The pass that runs.
    pub progress: Option<(SyncId, Arc<PassProgress>)>,
}

/// How one unit of an account stands.
#[derive(Debug, Clone, Default)]
pub struct UnitStanding {
    /// As the store calls it, once it has said so.
    pub unit: Option<String>,
    /// Why the store can't be written to now.
    pub trouble: Option<Trouble>,
    pub token_expires_at: Option<Time>,
    /// Why the store does not tell of changes by itself, though it was to.
    pub untold: Option<String>,
}

impl UnitStanding {
    /// Whether a person has to do something before anything more is written.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.trouble.as_ref().is_some_and(Trouble::shuts_the_account)
    }
}

impl Standing {
    /// Whether none of its units can be written to until a person has done something.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        !self.units.is_empty() && self.units.iter().all(UnitStanding::is_shut)
    }

    /// What is wrong, with the unit's name where there are several; what only a person can help with comes first.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let troubled = || self.units.iter().filter(|unit| unit.trouble.is_some());
        let unit = troubled().find(|unit| unit.is_shut()).or_else(|| troubled().next())?;
        let trouble = unit.trouble.as_ref()?;
        Some(match &unit.unit {
            Some(name) if self.units.len() > 1 => format!("unit {name}: {trouble}"),
            Some(_) | None => trouble.to_string(),
        })
    }
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
    /// And no sooner than so long after the last one of them, whatever the store tells.
    pub sync_pause: Duration,
    /// So far from each other are two passes that agree on what is gone.
    pub agree_after: Duration,
    pub stop: CancellationToken,
}

type Passing = JoinHandle<Reading>;

struct Worker {
    post: Post,
    teller: Teller,
    units: Vec<Unit>,
    /// Units that the tenant has pools of and nobody has credentials for.
    orphans: Vec<String>,
    list: Worklist,
    /// Pools whose seats can't be settled now.
    closed: BTreeSet<PoolId>,
    next_event: u64,
    remembered: Remembered,
    old_names: OldNames,
    /// Version or time for the next incremental pass.
    since: Option<String>,
    passing: Option<(Sync, u64, Passing)>,
    pass_began: Instant,
    looking: Option<JoinHandle<Looked>>,
    errands: Errands,
    next_sync: Option<Instant>,
    /// When a unit is read that was not yet, and of which nothing is settled before: where nothing is synced by itself, too.
    next_names: Option<Instant>,
    /// Of a pass that was begun by itself and runs: whether it is only for names.
    by_itself: Option<bool>,
    again_wait: Duration,
    /// When the last sync was begun by itself.
    self_begun: Option<Instant>,
    reread_wait: Duration,
}

/// Works until it is told to stop, or the ledger takes nothing more, which it answers in words.
pub async fn run(teller: Teller, post: Post) -> Option<String> {
    let now = monotonic();
    let next_sync = (post.sync_every > Duration::ZERO).then(|| now + Duration::from_secs(1));
    let has_read = post.provider != Provider::AppleBusiness;
    let units = post.connectors.iter().map(|connector| Unit::new(Arc::clone(connector), has_read, now)).collect();
    let mut worker = Worker {
        post,
        teller,
        units,
        orphans: vec![],
        list: Worklist::default(),
        closed: BTreeSet::new(),
        next_event: 0,
        remembered: Remembered::default(),
        old_names: OldNames::new(),
        since: None,
        passing: None,
        pass_began: now,
        looking: None,
        errands: Errands::new(),
        next_sync,
        next_names: None,
        by_itself: None,
        again_wait: AGAIN_WAIT_MIN,
        self_begun: None,
        reread_wait: REREAD_WAIT_MIN,
    };
    let ended = worker.work().await;
    if let Some((_, _, passing)) = worker.passing {
        passing.abort();
    }
    if let Some(looking) = worker.looking {
        looking.abort();
    }
    // what was sent by then is looked for by whoever comes next, and not while it is being sent
    worker.errands.shutdown().await;
    ended.err().map(|untold| untold.to_string())
}

impl Worker {
    async fn work(&mut self) -> Result<(), Untold> {
        let mut head = self.teller.ledger.follow(self.teller.tenant)?;
        self.begin().await?;
        loop {
            self.catch_up().await?;
            self.begin_pass().await?;
            self.begin_look();
            let now = monotonic();
            self.end_troubles(now);
            self.closed = self.closed_pools(now)?;
            self.begin_errands().await?;
            self.tell();
            let next = self.next_look();
            let (stop, wake) = (self.post.stop.clone(), Arc::clone(&self.post.wake));
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = wake.notified() => self.next_sync = Some(monotonic()),
                () = tokio::time::sleep_until(next.into()) => {}
                changed = head.changed() => changed.map_err(|_| Untold::Stopped("it is closed".into()))?,
                carried = carried(&mut self.errands) => self.end_errand(carried?).await?,
                read = ended(&mut self.passing) => self.end_pass(read).await?,
                looked = looked(&mut self.looking) => {
                    self.looking = None;
                    self.take_looks(looked).await?;
                }
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
        let now = monotonic();
        let idle = now + Duration::from_secs(60);
        let pass = [self.sync_due(), self.next_names].into_iter().flatten().min().filter(|_| self.passing.is_none());
        let due = [self.list.next_due(&self.closed), self.next_of_units(now), pass];
        due.into_iter().flatten().fold(idle, Instant::min)
    }

    /// When the next sync begins by itself: a store that tells of every change is not read for every one.
    fn sync_due(&self) -> Option<Instant> {
        let soonest = self.self_begun.map(|begun| begun + self.post.sync_pause);
        self.next_sync.map(|due| soonest.map_or(due, |soonest| due.max(soonest)))
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
            let (now, provider) = (monotonic(), self.post.provider);
            let (teller, list) = (&self.teller, &mut self.list);
            teller.read(|view| {
                for recorded in &events {
                    if let Some((pool, holder)) = seat_of(&recorded.event) {
                        list.note(&view.state, provider, pool, holder, now);
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
        let is_enabled = self.teller.read(|view| view.state.settings.sync_enabled)?;
        if is_enabled {
            self.want_names(now);
        }
        let is_due = |next: Option<Instant>| next.is_some_and(|due| due <= now);
        let is_sync_due = is_due(self.sync_due());
        if is_sync_due || is_due(self.next_names) {
            if is_sync_due {
                self.next_sync = (self.post.sync_every > Duration::ZERO).then(|| now + self.post.sync_every);
            }
            self.next_names = None;
            // where syncs are off it would be refused each time, and each refusal be recorded
            if is_enabled {
                (self.self_begun, self.by_itself) = (Some(now), Some(!is_sync_due));
                let start =
                    Command::StartSync { provider, is_full: true, is_dry_run: !is_sync_due, is_connected: true };
                self.teller.command(start).await?;
            }
        }
        let running = self.teller.read(|view| view.state.running_sync(provider).cloned())?;
        let Some(sync) = running else {
            // one that was to begin could not
            self.begin_again();
            return Ok(());
        };
        let begun_at = self.teller.read(|view| view.state.next_position)?;
        let asked = PassAsked {
            is_full: sync.is_full,
            since: self.since.clone(),
            language: sync.language.clone(),
            rereads_details: sync.is_full,
        };
        let progress = PassProgress::new();
        self.post.standing.lock().progress = Some((sync.id, Arc::clone(&progress)));
        // it begins with a look of its own
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
        self.pass_began = now;
        let passing = self.begin_reading(asked, progress);
        self.passing = Some((sync, begun_at, passing));
        Ok(())
    }

    async fn end_pass(&mut self, (sync, begun_at, reading): (Sync, u64, Reading)) -> Result<(), Untold> {
        self.passing = None;
        self.post.standing.lock().progress = None;
        let Reading { looked, pass } = reading;
        let (mut pass, read) = match pass {
            Ok(read) => read,
            Err(trouble) => {
                self.fail(sync.id, trouble.to_string()).await?;
                self.begin_again();
                return self.take_looks(looked).await;
            }
        };
        // also what a run before this one left suspended goes on
        self.take_looks(looked).await?;
        pass.is_complete &= sync.is_full;
        let (next, is_complete, is_dry_run, id) = (pass.next.clone(), pass.is_complete, sync.is_dry_run, sync.id);
        let connectors = self.connectors().into_iter().enumerate().filter(|(place, _)| read.contains(place));
        let taking = Taking {
            teller: &self.teller,
            provider: self.post.provider,
            connectors: connectors.map(|(_, connector)| connector).collect(),
            sync,
            read: Read { begun_at, began: self.pass_began, ended: monotonic(), agree_after: self.post.agree_after },
        };
        let taken = match take(taking, pass, self.remembered.clone(), self.old_names.clone()).await {
            Ok(taken) => taken,
            Err(Untold::Refused(reason)) => {
                self.begin_again();
                return self.fail(id, reason).await;
            }
            Err(untold @ Untold::Stopped(_)) => return Err(untold),
        };
        self.by_itself = None;
        // what only looks concludes nothing
        if !is_dry_run {
            self.remembered = taken.remembered;
            self.since = next;
        }
        self.old_names = taken.old_names;
        for (_, unit) in self.units.iter_mut().enumerate().filter(|(place, _)| read.contains(place)) {
            unit.has_read |= is_complete;
        }
        // one that a pass left out is not asked for pass after pass
        let is_unread = self.units.iter().any(Unit::is_unread);
        self.again_wait = if is_unread { (self.again_wait * 2).min(AGAIN_WAIT_MAX) } else { AGAIN_WAIT_MIN };
        self.list.hurry(monotonic());
        Ok(())
    }

    /// A unit that lets us in and was not read waits for no regular sync. Where there are such, that is the next one.
    fn want_names(&mut self, now: Instant) {
        if !self.units.iter().any(Unit::is_unread) {
            self.next_names = None;
        } else if self.post.sync_every > Duration::ZERO {
            let soon = now + self.again_wait;
            self.next_sync = Some(self.next_sync.map_or(soon, |due| due.min(soon)));
        } else {
            self.next_names.get_or_insert(now + NAMES_WAIT);
        }
    }

    /// What a pass was begun for is still wanted when it came to nothing.
    fn begin_again(&mut self) {
        let Some(is_for_names) = self.by_itself.take() else { return };
        let soon = monotonic() + self.again_wait.mul_f64(0.5 + jitter() / 2.0);
        self.again_wait = (self.again_wait * 2).min(AGAIN_WAIT_MAX);
        let next = if is_for_names { &mut self.next_names } else { &mut self.next_sync };
        *next = Some(next.map_or(soon, |due| due.min(soon)));
    }

    async fn fail(&self, sync: SyncId, reason: String) -> Result<(), Untold> {
        self.teller.observe(Observation::EndSync { sync, end: SyncEnd::Failed { reason } }).await.map(drop)
    }

    fn tell(&self) {
        let mut standing = self.post.standing.lock();
        standing.backlog = self.list.backlog(monotonic());
        standing.units = self.standings();
        standing.followed_to = self.next_event.saturating_sub(1);
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

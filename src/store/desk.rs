//! All store accounts of all tenants: which are connected, and the worker of each. Not here: what a worker does.

use super::connect::{self, Opening};
use super::connector::{Connector, NotTold, Told};
use super::credentials::{CredentialSource, Credentials, GivenBy};
use super::submit::Teller;
use super::worker::{self, Post, Standing, UnitStanding};
use crate::clock::monotonic;
use crate::domain::command::{Observation, SyncEnd};
use crate::domain::ids::TenantId;
use crate::domain::key::Provider;
use crate::ledger::Ledger;
use futures::{StreamExt as _, stream};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Accounts are looked for so often; a new one is told of at once.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A worker that ended by itself rests so long, and twice as long each time.
const REST_MIN: Duration = LOOK_EVERY;
const REST_MAX: Duration = Duration::from_secs(300);
/// Accounts looked at in one go.
const LOOKS_PARALLEL: usize = 16;
/// What a command said is taken as it is so long, while it works and while it does not.
const SAID_WELL_MAX: Duration = Duration::from_secs(300);
const SAID_ILL_MAX: Duration = Duration::from_secs(30);
/// The providers whose stores can be asked.
const ASKED: [Provider; 2] = [Provider::MicrosoftStore, Provider::AppleBusiness];

/// A tenant's account.
type Place = (TenantId, Provider);
/// What a source of credentials has for one.
type Loaded = Result<Option<Credentials>, String>;

/// Makes a client that can ask at a URL. The error is in words.
pub type MakeClient = Box<dyn Fn(&str) -> Result<reqwest::Client, String> + Send + Sync>;

pub struct StoreOptions {
    pub credentials: CredentialSource,
    pub client: MakeClient,
    /// Where besides the stores' own addresses an account's settings may lead.
    pub urls: Vec<String>,
    /// A sync is begun by itself so often; never where it is zero.
    pub sync_every: Duration,
    pub sync_pause: Duration,
    /// So far from each other are two passes that agree on what is gone.
    pub agree_after: Duration,
}

/// Cheap to clone; all clones are one desk.
#[derive(Clone)]
pub struct Stores(Arc<Inner>);

struct Inner {
    ledger: Ledger,
    options: StoreOptions,
    accounts: Mutex<BTreeMap<Place, Open>>,
    /// One account's credentials are kept at a time.
    keeping: Mutex<()>,
    /// An account is opened by one at a time, from what is on disk at that moment; none waits for another's credentials.
    opening: Mutex<BTreeMap<Place, Arc<tokio::sync::Mutex<()>>>>,
    /// What the command for credentials said last, and when.
    said: Mutex<BTreeMap<Place, (Instant, Loaded)>>,
}

/// An account that is linked, as the desk last saw it.
struct Open {
    settings: String,
    account_id: String,
    credentials: Option<Credentials>,
    standing: Arc<Mutex<Standing>>,
    wake: Arc<Notify>,
    connectors: Vec<Arc<dyn Connector>>,
    worker: Option<(JoinHandle<Option<String>>, CancellationToken)>,
    begun_at: Instant,
    /// Its worker has ended by itself, lately.
    rest: Option<Rest>,
    /// Why it has no worker.
    problem: Option<String>,
}

/// Of a worker that the ledger took nothing more from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rest {
    reason: String,
    /// Until there is room on the disk again, and no longer.
    is_for_room: bool,
    wait: Duration,
    until: Instant,
}

impl Rest {
    fn after(before: Option<&Self>, reason: String, is_for_room: bool, now: Instant) -> Self {
        let wait = before.map_or(REST_MIN, |before| before.wait.saturating_mul(2).min(REST_MAX));
        Self { reason, is_for_room, wait, until: now + wait }
    }

    fn is_over(&self, is_disk_low: bool, now: Instant) -> bool {
        if self.is_for_room { !is_disk_low } else { self.until <= now }
    }
}

/// What is to be seen of an account from outside.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub is_connected: bool,
    pub problem: Option<String>,
    /// Why its worker rests, which goes on by itself.
    pub rests: Option<String>,
    pub standing: Standing,
}

impl Stores {
    #[must_use]
    pub fn new(ledger: Ledger, options: StoreOptions) -> Self {
        let (accounts, keeping) = (Mutex::new(BTreeMap::new()), Mutex::new(()));
        let (opening, said) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeMap::new()));
        Self(Arc::new(Inner { ledger, options, accounts, keeping, opening, said }))
    }

    /// Whether an account has a worker, so that a sync that is begun goes on.
    #[must_use]
    pub fn is_connected(&self, tenant: TenantId, provider: Provider) -> bool {
        self.seen(tenant, provider).is_some_and(|seen| seen.is_connected)
    }

    #[must_use]
    pub fn seen(&self, tenant: TenantId, provider: Provider) -> Option<Seen> {
        let accounts = self.0.accounts.lock();
        let open = accounts.get(&(tenant, provider))?;
        let is_connected = open.worker.as_ref().is_some_and(|(worker, _)| !worker.is_finished());
        let rests = open.rest.as_ref().filter(|_| !is_connected).map(|rest| rest.reason.clone());
        Some(Seen { is_connected, problem: open.problem.clone(), rests, standing: open.standing.lock().clone() })
    }

    /// Of all accounts, for metrics and readiness.
    #[must_use]
    pub fn all(&self) -> Vec<(TenantId, Provider, Seen)> {
        let keys: Vec<_> = self.0.accounts.lock().keys().copied().collect();
        keys.into_iter()
            .filter_map(|(tenant, provider)| Some((tenant, provider, self.seen(tenant, provider)?)))
            .collect()
    }

    /// Takes a notification of a store. Whoever does not have the secret learns nothing, not even whether there is an account.
    ///
    /// # Errors
    /// When it does not come from the store, or can't be read.
    pub fn hear(
        &self,
        tenant: TenantId,
        provider: Provider,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Result<(), NotTold> {
        let accounts = self.0.accounts.lock();
        let open = accounts.get(&(tenant, provider)).ok_or(NotTold::Unauthorized)?;
        // each unit knows its own secret, and none hears for another
        let mut heard = open.connectors.iter().map(|one| one.hear(authorization, body));
        let is_for_somebody = |told: &Result<Told, NotTold>| *told != Err(NotTold::Unauthorized);
        if heard.find(is_for_somebody).unwrap_or(Err(NotTold::Unauthorized))? == Told::ReadAgain {
            open.wake.notify_one();
        }
        Ok(())
    }

    /// Keeps credentials that were given, unless a repeat brought them, and has the account opened anew with what is kept.
    ///
    /// # Errors
    /// In words, when the disk refuses.
    pub async fn keep(
        &self,
        tenant: TenantId,
        provider: Provider,
        credentials: Credentials,
        by: GivenBy,
    ) -> Result<(), String> {
        let slug = self.slug(tenant)?;
        let desk = self.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let _one = desk.0.keeping.lock();
            desk.0.options.credentials.keep(&slug, provider, &credentials, by)
        });
        kept.await
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("the credentials can't be kept: {error}"))?;
        self.look_at(tenant, provider).await;
        Ok(())
    }

    /// Settings were changed, or an account was linked: its worker is started, or another one in its place.
    pub async fn look_at(&self, tenant: TenantId, provider: Provider) {
        self.look(tenant, provider, true).await;
    }

    async fn look(&self, tenant: TenantId, provider: Provider, is_changed: bool) {
        let desk = self.clone();
        // it goes on where whoever asked has gone away: half of it would leave two workers
        let looked = tokio::spawn(async move {
            let opening = Arc::clone(desk.0.opening.lock().entry((tenant, provider)).or_default());
            let _one = opening.lock().await;
            if is_changed {
                // also what was asked before the change and came after it
                desk.0.said.lock().remove(&(tenant, provider));
            }
            if let Some(found) = desk.load(tenant, provider).await {
                desk.open(tenant, provider, found).await;
                desk.end_what_nobody_runs(tenant, provider).await;
            }
        });
        let _done = looked.await;
    }

    /// A sync of an account without a worker would run for ever.
    async fn end_what_nobody_runs(&self, tenant: TenantId, provider: Provider) {
        // who rests goes on with it, or ends it
        let is_nobodys = |seen: &Seen| !seen.is_connected && seen.rests.is_none();
        let Some(reason) = self.seen(tenant, provider).filter(is_nobodys).and_then(|seen| seen.problem) else {
            return;
        };
        let teller = Teller { ledger: self.0.ledger.clone(), tenant };
        let running = teller.read(|view| view.state.running_sync(provider).map(|sync| sync.id));
        if let Ok(Some(sync)) = running
            && let Err(untold) = teller.observe(Observation::EndSync { sync, end: SyncEnd::Failed { reason } }).await
        {
            tracing::warn!(%sync, %untold, "a sync that nobody runs can't be ended");
        }
    }

    /// Opens every linked account, so that whoever asks for a sync finds a connector there.
    pub async fn open_all(&self) {
        let looks = stream::iter(self.linked());
        looks.for_each_concurrent(LOOKS_PARALLEL, |(tenant, provider)| self.look(tenant, provider, false)).await;
    }

    /// Opens accounts and keeps them open, until it is told to stop; then waits for what was begun.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            self.open_all().await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        let workers: Vec<_> = self.0.accounts.lock().values_mut().filter_map(|open| open.worker.take()).collect();
        for (_, stop) in &workers {
            stop.cancel();
        }
        for (worker, _) in workers {
            let _ended = worker.await;
        }
    }

    fn slug(&self, tenant: TenantId) -> Result<String, String> {
        self.0.ledger.read(tenant, |view| view.state.slug.clone()).map_err(|error| error.to_string())
    }

    fn linked(&self) -> Vec<(TenantId, Provider)> {
        let is_linked = |tenant: TenantId, provider: Provider| {
            self.0.ledger.read(tenant, |view| view.state.accounts.contains_key(&provider)).unwrap_or(false)
        };
        let tenants = self.0.ledger.tenants();
        let pairs = tenants.into_iter().flat_map(|(tenant, _)| ASKED.map(|provider| (tenant, provider)));
        pairs.filter(|(tenant, provider)| is_linked(*tenant, *provider)).collect()
    }

    /// What the log and the credentials say of an account.
    async fn load(&self, tenant: TenantId, provider: Provider) -> Option<Found> {
        let look = |view: &crate::projection::View| {
            let account = view.state.accounts.get(&provider)?;
            Some((view.state.slug.clone(), account.account_id.clone(), account.settings.clone()))
        };
        let (slug, account_id, settings) = self.0.ledger.read(tenant, look).ok()??;
        let credentials = self.credentials(tenant, &slug, provider).await;
        Some(Found { account_id, settings, credentials })
    }

    /// A command is not run at every look, and more seldom while what it said works.
    async fn credentials(&self, tenant: TenantId, slug: &str, provider: Provider) -> Loaded {
        let (place, source) = ((tenant, provider), &self.0.options.credentials);
        let is_shut = |seen: &Seen| seen.standing.units.iter().any(UnitStanding::is_shut);
        let is_well = self.seen(tenant, provider).is_some_and(|seen| seen.is_connected && !is_shut(&seen));
        let said = self.0.said.lock().get(&place).cloned();
        if let Some((at, said)) = said {
            let good_for = if is_well && said.is_ok() { SAID_WELL_MAX } else { SAID_ILL_MAX };
            if at.elapsed() < good_for {
                return said;
            }
        }
        let loaded = source.load(slug, provider).await;
        if source.command.is_some() {
            self.0.said.lock().insert(place, (monotonic(), loaded.clone()));
        }
        loaded
    }

    /// A worker that has ended by itself rests before another is begun.
    async fn note_end(&self, tenant: TenantId, provider: Provider) {
        let ended = {
            let mut accounts = self.0.accounts.lock();
            let open = accounts.get_mut(&(tenant, provider));
            open.and_then(|open| open.worker.take_if(|(worker, _)| worker.is_finished()))
        };
        let Some((worker, _)) = ended else { return };
        let Some(reason) = worker.await.unwrap_or_else(|error| Some(error.to_string())) else { return };
        let (is_disk_low, now) = (self.0.ledger.health().is_disk_low, monotonic());
        let mut accounts = self.0.accounts.lock();
        let Some(open) = accounts.get_mut(&(tenant, provider)) else { return };
        let before = open.rest.take().filter(|_| now.duration_since(open.begun_at) < REST_MAX);
        if before.as_ref().is_none_or(|before| before.reason != reason) {
            tracing::warn!(
                tenant = tenant.0,
                provider = provider.name(),
                reason,
                "the worker of a store account rests"
            );
        }
        open.problem = Some(format!("its connector rests: {reason}"));
        open.rest = Some(Rest::after(before.as_ref(), reason, is_disk_low, now));
    }

    async fn open(&self, tenant: TenantId, provider: Provider, found: Found) {
        self.note_end(tenant, provider).await;
        let Found { account_id, settings, credentials } = found;
        let rest = {
            let accounts = self.0.accounts.lock();
            let open = accounts.get(&(tenant, provider)).filter(|open| open.settings == settings);
            let open = open.filter(|open| credentials.as_ref().is_ok_and(|given| *given == open.credentials));
            open.and_then(|open| open.rest.clone())
        };
        if rest.as_ref().is_some_and(|rest| !rest.is_over(self.0.ledger.health().is_disk_low, monotonic())) {
            return;
        }
        if let Err(error) = &credentials {
            // a source that fails for a moment is no reason to stop what works
            let mut accounts = self.0.accounts.lock();
            if let Some(open) = accounts.get_mut(&(tenant, provider)).filter(|open| open.settings == settings)
                && open.worker.as_ref().is_some_and(|(worker, _)| !worker.is_finished())
            {
                open.problem = Some(error.clone());
                return;
            }
        }
        let (credentials, problem) = match credentials {
            Ok(Some(credentials)) => (Some(credentials), None),
            Ok(None) => (None, Some("no credentials are given".to_owned())),
            Err(error) => (None, Some(error)),
        };
        let old = {
            let mut accounts = self.0.accounts.lock();
            let is_same = accounts.get(&(tenant, provider)).is_some_and(|open| {
                let works = open.worker.as_ref().is_some_and(|(worker, _)| !worker.is_finished());
                open.settings == settings && open.credentials == credentials && works == credentials.is_some()
            });
            if is_same {
                if let Some(open) = accounts.get_mut(&(tenant, provider)) {
                    open.problem = problem;
                }
                return;
            }
            accounts.get_mut(&(tenant, provider)).and_then(|open| open.worker.take())
        };
        if let Some((worker, stop)) = old {
            stop.cancel();
            let _ended = worker.await;
        }
        let standing = Arc::new(Mutex::new(Standing::default()));
        let wake = Arc::new(Notify::new());
        let mut open = Open {
            settings,
            account_id,
            credentials,
            standing: Arc::clone(&standing),
            wake: Arc::clone(&wake),
            connectors: vec![],
            worker: None,
            begun_at: monotonic(),
            rest,
            problem,
        };
        let installation = format!("seatledger-{}", hex::encode(self.0.ledger.open_report().log_id));
        let made = open.credentials.as_ref().map(|credentials| {
            let opening = Opening {
                provider,
                account_id: &open.account_id,
                settings: &open.settings,
                credentials,
                installation: &installation,
                urls: &self.0.options.urls,
            };
            connect::connectors(&opening, &self.0.options.client)
        });
        match made {
            Some(Ok(connectors)) => {
                open.connectors.clone_from(&connectors);
                let stop = CancellationToken::new();
                // while there is no worker, none is begun
                let running = self.0.ledger.read(tenant, |view| view.state.running_sync(provider).map(|sync| sync.id));
                let post = Post {
                    left: running.ok().flatten(),
                    provider,
                    account_id: open.account_id.clone(),
                    connectors,
                    standing,
                    wake,
                    sync_every: self.0.options.sync_every,
                    sync_pause: self.0.options.sync_pause,
                    agree_after: self.0.options.agree_after,
                    stop: stop.clone(),
                };
                let teller = Teller { ledger: self.0.ledger.clone(), tenant };
                open.worker = Some((tokio::spawn(worker::run(teller, post)), stop));
                tracing::info!(tenant = tenant.0, provider = provider.name(), "a store account is connected");
            }
            Some(Err(error)) => open.problem = Some(error),
            None => {}
        }
        self.0.accounts.lock().insert((tenant, provider), open);
    }
}

/// What the log and the credentials say of an account.
struct Found {
    account_id: String,
    settings: String,
    credentials: Loaded,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::domain::time::Time;
    use crate::ledger::{LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing};

    #[tokio::test]
    async fn a_command_is_not_run_at_every_look_and_keeps_no_other_account_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let options = LedgerOptions {
            log: LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir.path()) },
            master_key: MasterKeySource::DataFolder,
            clock: Clock::manual(Time(1_790_000_000_000_000)),
            signing: Signing::default(),
        };
        let ledger = Ledger::open(options, &NoProgress).unwrap();
        let script = r#"echo "$1" >> "$0"; echo '{"client_secret": "hush"}'"#;
        let runs = dir.path().join("runs");
        let command = ["sh".to_owned(), "-c".into(), script.into(), runs.display().to_string()].to_vec();
        let credentials = CredentialSource { folder: dir.path().join("kept"), given: None, command: Some(command) };
        let client = Box::new(|_: &str| Err("nobody is asked".to_owned()));
        let zero = Duration::ZERO;
        let options =
            StoreOptions { credentials, client, urls: vec![], sync_every: zero, sync_pause: zero, agree_after: zero };
        let stores = Stores::new(ledger, options);
        let provider = Provider::MicrosoftStore;
        for _ in 0..3 {
            assert!(stores.credentials(TenantId(1), "good", provider).await.is_ok_and(|found| found.is_some()));
        }
        assert_eq!(std::fs::read_to_string(&runs).unwrap(), "good\n");
        stores.look_at(TenantId(1), provider).await;
        assert!(stores.0.said.lock().is_empty(), "what was said before a change counts no more");
        // somebody else is waited for
        let waiting = Arc::clone(stores.0.opening.lock().entry((TenantId(2), provider)).or_default());
        let _slow = waiting.lock().await;
        let looked = tokio::time::timeout(Duration::from_secs(5), stores.look_at(TenantId(1), provider)).await;
        assert_eq!(looked, Ok(()));
    }

    #[test]
    fn a_worker_rests_longer_each_time_and_no_longer_than_five_minutes_or_until_there_is_room() {
        let now = monotonic();
        let mut rest = Rest::after(None, "stopped".into(), false, now);
        for seconds in [5, 10, 20, 40, 80, 160, 300, 300] {
            assert_eq!(rest.until, now + Duration::from_secs(seconds));
            assert!(!rest.is_over(false, now) && rest.is_over(true, rest.until));
            rest = Rest::after(Some(&rest), "stopped".into(), false, now);
        }
        let for_room = Rest::after(Some(&rest), "no room".into(), true, now);
        assert!(!for_room.is_over(true, for_room.until) && for_room.is_over(false, now));
    }
}

//! Apple's App and Book Management API v2 as its documents describe it, with an order desk behind it.
//!
//! ```text
//! request ─▶ entry (faults, method, token, body) ─▶ lists | writes | subscriptions | config ─▶ World
//!                                                        │ queue             ▲ run_due, a while later
//!                                                        └──▶ event ─────────┘──▶ notice ─▶ the tool
//! ```
//!
//! Here: the running server, what it is started with and how it is told what to do (`AppleSimulator`). Not here: our
//! client. Where the documents are silent the simulator does what this folder's comments say, and a client must not rely on
//! it.

mod config;
mod desk;
mod desk_routes;
mod entry;
mod event;
mod limits;
mod lists;
mod notice;
mod refusal;
mod subscriptions;
mod token;
mod world;
mod writes;

pub use desk::{NewAsset, NewToken, NewUnit, Order, Placed, SeatOfTitle, UnitSeen};
pub use limits::Limits;
pub use notice::NoticeCounts;
pub use subscriptions::desk::SubscriptionChange;
pub use world::{Asset, AssetId, Holder, MdmInfo, ProductType, UNLIMITED};

use super::clock::SimulatorClock;
use super::faults::{FaultRates, Faults};
use super::journal::{Entry, Journal};
use super::listener::Listening;
use super::{BODY_BYTES_MAX, Switches};
use crate::clock::Clock;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::any;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use world::World;

/// How long a server with nothing to do waits before it looks again.
const TICK: Duration = Duration::from_millis(5);

/// By the simulator's clock.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// From the call to the event's effect.
    pub event_delay: Duration,
    /// How long a stuck event is `PENDING`.
    pub stuck: Duration,
    pub notification_late: Duration,
    pub first_retry: Duration,
    pub second_retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            event_delay: Duration::from_millis(50),
            stuck: Duration::from_secs(15 * 60),
            notification_late: Duration::from_secs(2),
            first_retry: Duration::from_secs(60),
            second_retry: Duration::from_secs(180),
        }
    }
}

/// What a simulator is started with.
pub struct Options {
    pub listen: SocketAddr,
    /// Of ids, tokens and faults.
    pub seed: u64,
    /// A manual one stands still: then `timing.event_delay` has to be zero, or the clock be advanced.
    pub clock: Clock,
    pub faults: FaultRates,
    /// Of every call.
    pub latency: Duration,
    pub timing: Timing,
    pub page_size: usize,
    /// `false` takes notification URLs on this machine without TLS too.
    pub demands_https: bool,
    /// Who delivers notifications; without one, none can be delivered.
    pub client: Option<reqwest::Client>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            clock: Clock::system(),
            faults: FaultRates::new(),
            latency: Duration::ZERO,
            timing: Timing::default(),
            page_size: 1000,
            demands_https: false,
            client: None,
        }
    }
}

struct Shared {
    world: Mutex<World>,
    faults: Arc<Faults>,
    clock: SimulatorClock,
    timing: Timing,
    demands_https: bool,
    client: Option<reqwest::Client>,
    /// Lists that are being read, by the token that reads.
    reading: Mutex<BTreeMap<String, usize>>,
}

impl Shared {
    /// The world as it is now: what is due has happened.
    fn locked(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock();
        event::run_due(self, &mut world);
        subscriptions::desk::end_periods(self, &mut world);
        world
    }
}

/// A running server; it stops when this is dropped.
pub struct AppleSimulator {
    shared: Arc<Shared>,
    listening: Listening,
    delivery: AbortHandle,
}

impl Drop for AppleSimulator {
    fn drop(&mut self) {
        self.delivery.abort();
    }
}

impl AppleSimulator {
    /// # Errors
    /// When the address can't be listened at.
    pub async fn start(options: Options) -> io::Result<Self> {
        let world = World {
            units: BTreeMap::new(),
            events: BTreeMap::new(),
            event_order: VecDeque::new(),
            due: BTreeMap::new(),
            periods: BTreeSet::new(),
            outbox: notice::Outbox::default(),
            journal: Journal::default(),
            limits: Limits::default(),
            page_size: options.page_size.max(1),
            seed: options.seed,
            made: 0,
        };
        let faults = Arc::new(Faults::new(options.seed, options.faults));
        faults.set_latency(options.latency);
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            faults: Arc::clone(&faults),
            clock: SimulatorClock::new(options.clock),
            timing: options.timing,
            demands_https: options.demands_https,
            client: options.client,
            reading: Mutex::default(),
        });
        let switches = Switches { faults, clock: shared.clock.clone() };
        let router = Router::new()
            .route("/mdm/v2/{*path}", any(entry::answer))
            .merge(desk_routes::router())
            .with_state(Arc::clone(&shared))
            .merge(switches.router())
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
        let listening = Listening::start(options.listen, router).await?;
        let at_work = Arc::clone(&shared);
        let delivery = tokio::spawn(async move {
            loop {
                if !notice::deliver(&at_work).await {
                    tokio::time::sleep(TICK).await;
                }
            }
        });
        Ok(Self { shared, listening, delivery: delivery.abort_handle() })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// What stands before `/service/config` and the rest.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/mdm/v2", self.listening.url())
    }

    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    #[must_use]
    pub fn clock(&self) -> &SimulatorClock {
        &self.shared.clock
    }

    /// Does at once what an organization, another tool or Apple does behind the protocol.
    ///
    /// # Errors
    /// In words, when the order makes no sense.
    pub fn place(&self, order: Order) -> Result<Placed, String> {
        desk::place(&self.shared, order)
    }

    /// Every unit, as the back door shows it.
    #[must_use]
    pub fn units(&self) -> Vec<UnitSeen> {
        desk::units(&self.shared)
    }

    /// Every license that is assigned in a unit, in the order of assignment.
    ///
    /// # Errors
    /// When there is no such unit.
    pub fn assignments(&self, uid: &str) -> Result<Vec<SeatOfTitle>, String> {
        desk::assignments(&self.shared, uid)
    }

    /// What a unit owns.
    ///
    /// # Errors
    /// When there is no such unit.
    pub fn assets(&self, uid: &str) -> Result<Vec<Asset>, String> {
        desk::assets(&self.shared, uid)
    }

    /// Everything that became of seats, from a number on.
    #[must_use]
    pub fn journal(&self, from: u64, at_most: usize) -> Vec<Entry> {
        self.shared.locked().journal.from(from, at_most)
    }

    #[must_use]
    pub fn notices(&self) -> NoticeCounts {
        self.shared.locked().outbox.counts()
    }
}

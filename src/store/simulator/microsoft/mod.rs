//! A server that speaks as the Microsoft Store for Business did: the management-tool API whole, the directory's token
//! endpoints before it, and an order desk behind it. It is written from the protocol's documents and knows no client; it
//! refuses whatever they do not allow. No live service is left to compare it with.
//!
//! Where the documents are silent it does the following. A repeated assign answers the seat that is there. Exhaustion is 409
//! with the reason `NoSeatsAvailable`, in bulk the same reason for the user. Products of one `packageSetId` are a related
//! set. An encrypted package says so by its format. A tool that the store has not activated gets 403.
//!
//! Calls, as faults name them: `token`, `inventory`, `product`, `localized`, `offline-license`, `packages`, `package`,
//! `seats`, `seat`, `assign`, `reclaim`, `bulk`, `user-seats`.
//!
//! Here: the running server and its parts. Not here: our client (`store::microsoft`).

mod api;
mod desk;
mod gate;
mod market;
mod oauth;
mod paging;
mod query;
mod refusal;

pub use api::Casing;
pub use gate::{AUDIENCE, Gate, Tool};
pub use market::{
    AlternateId, DeskRefusal, Entry, EntryKey, Localized, Market, ModifiedBy, Order, Package, Product, ProductKey,
    Purchase, SeatRefusal, SeatShown, Sku, User,
};

use super::clock::SimulatorClock;
use super::faults::{FaultRates, Faults};
use super::listener::Listening;
use super::{BODY_BYTES_MAX, Switches};
use crate::clock::Clock;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a directory gives a token by default.
const TOKEN_LIFE: Duration = Duration::from_secs(3599);

/// What a simulated store starts with.
#[derive(Clone)]
pub struct MicrosoftOptions {
    pub listen: SocketAddr,
    pub tenant: String,
    pub tools: Vec<Tool>,
    pub token_life: Duration,
    pub seed: u64,
    pub faults: FaultRates,
    pub clock: Clock,
}

impl MicrosoftOptions {
    /// One tenant, `contoso.example`, with two tools that the store has activated: `seatledger` and `intune`. Their
    /// secrets are known to everybody.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        let tool = |id: &str| Tool {
            client_id: id.to_owned(),
            client_secret: format!("the-simulated-secret-of-{id}"),
            is_active: true,
        };
        Self {
            listen,
            tenant: "contoso.example".into(),
            tools: vec![tool("seatledger"), tool("intune")],
            token_life: TOKEN_LIFE,
            seed: 0,
            faults: FaultRates::new(),
            clock: Clock::system(),
        }
    }
}

/// What all handlers share.
struct Inside {
    market: Mutex<Market>,
    gate: Mutex<Gate>,
    casing: Mutex<Casing>,
    /// What a page holds at most, whatever is asked.
    page_max: AtomicUsize,
    switches: Switches,
    seed: u64,
}

impl Inside {
    fn page_size(&self, asked: usize) -> usize {
        asked.min(self.page_max.load(Ordering::Relaxed))
    }
}

/// A running store. Dropped, it stops and forgets everything.
pub struct MicrosoftSimulator {
    inside: Arc<Inside>,
    listening: Listening,
}

impl MicrosoftSimulator {
    /// # Errors
    /// When the address can't be listened at.
    pub async fn start(options: MicrosoftOptions) -> io::Result<Self> {
        let clock = SimulatorClock::new(options.clock);
        let switches = Switches { faults: Arc::new(Faults::new(options.seed, options.faults)), clock: clock.clone() };
        let gate = Gate::new(options.tenant, options.seed, options.token_life, options.tools);
        let inside = Arc::new(Inside {
            market: Mutex::new(Market::new(clock)),
            gate: Mutex::new(gate),
            casing: Mutex::new(Casing::Camel),
            page_max: AtomicUsize::new(usize::MAX),
            switches,
            seed: options.seed,
        });
        let router = Router::new()
            .merge(api::router(Arc::clone(&inside)))
            .merge(oauth::router(Arc::clone(&inside)))
            .merge(desk::router(Arc::clone(&inside)))
            .merge(inside.switches.router())
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
        let listening = Listening::start(options.listen, router).await?;
        Ok(Self { inside, listening })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Before `/V1`, and before `/{tenant}/oauth2`.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.url()
    }

    /// The store from inside: the order desk, the directory, the journal. No call is answered while it is held.
    pub fn market(&self) -> MutexGuard<'_, Market> {
        self.inside.market.lock()
    }

    /// The tools and their tokens. No call is answered while it is held.
    pub fn gate(&self) -> MutexGuard<'_, Gate> {
        self.inside.gate.lock()
    }

    #[must_use]
    pub fn switches(&self) -> &Switches {
        &self.inside.switches
    }

    pub fn set_casing(&self, casing: Casing) {
        *self.inside.casing.lock() = casing;
    }

    /// From now on no page holds more, whatever is asked: that more follows is for the continuation token to say.
    pub fn set_page_max(&self, size: usize) {
        self.inside.page_max.store(size.max(1), Ordering::Relaxed);
    }
}

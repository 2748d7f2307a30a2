//! What every store's connector takes and gives, in words of ours. Not here: how one store says it (`microsoft`, `apple`).

use crate::domain::command::InventoryItem;
use crate::domain::key::PoolKey;
use crate::domain::personal::normalized_user_name;
use crate::domain::time::Time;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A holder by the name that the store has for it. Personal: it is never logged, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreHolder {
    /// Microsoft: a UPN. Apple: a `clientUserId`.
    User(String),
    /// Apple: a serial number.
    Device(String),
}

impl StoreHolder {
    /// To compare by: user names are told apart without regard to case.
    #[must_use]
    pub fn normalized(&self) -> Self {
        match self {
            Self::User(name) => Self::User(normalized_user_name(name)),
            Self::Device(serial) => Self::Device(serial.clone()),
        }
    }
}

impl std::fmt::Debug for StoreHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User(_) => "User(..)",
            Self::Device(_) => "Device(..)",
        })
    }
}

/// A seat that the store shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatAtStore {
    pub pool: PoolKey,
    pub holder: StoreHolder,
    /// Where the store says when it was given.
    pub since: Option<Time>,
}

/// Whom the store takes us for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the tenant is linked to for good: at Apple the unit's `uId`; Microsoft does not say, and it is what was given.
    pub account_id: Option<String>,
    /// Names another tool that has taken the account over, where the store tells.
    pub taken_over_by: Option<String>,
    pub token_expires_at: Option<Time>,
}

/// What a pass is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassAsked {
    /// The whole inventory and every seat; otherwise what changed since `since`, where the store can tell.
    pub is_full: bool,
    /// What the last pass gave back as `Pass::next`.
    pub since: Option<String>,
    /// Names are read in this language, as `en-US`.
    pub language: String,
    /// What is read of packages and names is asked for again even where the store says that nothing changed.
    pub rereads_details: bool,
}

/// One reading of the store, from its first page to its last. A pass that broke off is an error and not a short pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// With what is known of each: a pool that can't be taken (an encrypted package) is among them and says so. No key
    /// stands here twice.
    pub items: Vec<InventoryItem>,
    /// What the store lists and the ledger has no word for, as `unsupported-type`.
    pub unsupported: Vec<(PoolKey, String)>,
    /// Of which only the figures and the seats could be read: names, packages and the set of these items are placeholders.
    pub undescribed: BTreeSet<PoolKey>,
    /// Every seat of the pools in `items` that have any; no (pool, holder) stands here twice.
    pub seats: Vec<SeatAtStore>,
    pub pages: u32,
    /// Whether all there is was read. Only then may anything be concluded from what is missing.
    pub is_complete: bool,
    /// For the next pass: a time or a version.
    pub next: Option<String>,
}

/// How far a pass is, for whoever waits for it.
#[derive(Debug, Default)]
pub struct PassProgress {
    pub pages: AtomicU64,
    pub items: AtomicU64,
    pub seats: AtomicU64,
}

impl PassProgress {
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub fn page(&self) {
        self.pages.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the store is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sought {
    Grant,
    Release,
}

/// One seat to be granted or given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub pool: PoolKey,
    pub holder: StoreHolder,
    pub sought: Sought,
    /// Apple makes a user before it grants to one.
    pub email: Option<String>,
    /// A release: what else the store may call the holder, who was renamed since the grant and of whose new name the store may
    /// not have heard. Nobody else is called so today.
    pub old_names: Vec<StoreHolder>,
    /// A run before this one may have asked for the seat, and the store may still be at it.
    pub is_from_before: bool,
}

impl Request {
    /// With nothing known beside it.
    #[must_use]
    pub fn new(pool: PoolKey, holder: StoreHolder, sought: Sought) -> Self {
        Self { pool, holder, sought, email: None, old_names: vec![], is_from_before: false }
    }
}

/// What became of a request. Whoever can't tell says `Unknown` and never guesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The seat is there, given now or before.
    Granted,
    /// The store has no seat left.
    NotEnough,
    /// The store will not give this holder a seat here.
    Refused(String),
    /// The seat is gone, or was never there.
    Released,
    /// The store keeps the seat, as that of a book.
    ReleaseRefused(String),
    /// It may have happened: the answer was lost, or the store is still at it. A read will tell.
    Unknown(String),
    /// Nothing has happened: the request did not leave, or was turned back whole, and may be sent again later.
    NotSent(Trouble),
}

/// Why a store could not be asked. No variant holds a secret, nor a holder's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("the store does not accept the credentials: {0}")]
    Credentials(String),
    #[error("another tool has taken the account over: {0}")]
    TakenOver(String),
    #[error("the store asks to wait")]
    Throttled { retry_after_seconds: Option<u64> },
    #[error("the store can't be reached: {0}")]
    Unreachable(String),
    #[error("the store answered with what can't be read: {0}")]
    Malformed(String),
    #[error("the store answered {status}: {words}")]
    Refused { status: u16, words: String },
}

impl Trouble {
    /// Whether nothing more is to be written to the account until a person has done something: others are about one call.
    #[must_use]
    pub fn shuts_the_account(&self) -> bool {
        match self {
            Self::Credentials(_) | Self::TakenOver(_) => true,
            Self::Throttled { .. } | Self::Unreachable(_) | Self::Malformed(_) | Self::Refused { .. } => false,
        }
    }

    /// Whether the store itself seems to be down, which is over when something gets through to it and not with time.
    #[must_use]
    pub fn is_of_the_store(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Malformed(_) => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Throttled { .. } | Self::Credentials(_) | Self::TakenOver(_) => false,
        }
    }

    /// Whether the same may be asked again after a while, without a person doing something first.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Unreachable(_) | Self::Malformed(_) => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Credentials(_) | Self::TakenOver(_) => false,
        }
    }
}

//! What the engine asks of a store, whichever it is.

use super::terms::{Account, Pass, PassAsked, PassProgress, Request, Settled, StoreHolder, Trouble};
use crate::domain::key::PoolKey;
use futures::future::BoxFuture;

/// One account at a store, or one unit of it, with the credentials to act for it.
pub trait Connector: Send + Sync {
    /// Whom the store takes us for. Nothing is written.
    fn account(&self) -> BoxFuture<'_, Result<Account, Trouble>>;

    /// Tells the store what it should know of us: who we are, and where it may tell of changes. After `account`, and only where
    /// the account is found to be the one that was meant.
    fn enter(&self) -> BoxFuture<'_, Result<(), Trouble>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// What its store calls this unit, once it has said so; `None` also where a store has no units.
    fn unit(&self) -> Option<String> {
        None
    }

    /// Why the store does not tell of changes by itself, though it was to.
    fn untold(&self) -> Option<String> {
        None
    }

    /// Reads the store, from its first page to its last.
    fn pass<'a>(&'a self, asked: &'a PassAsked, progress: &'a PassProgress) -> BoxFuture<'a, Result<Pass, Trouble>>;

    /// Grants and takes back, as far as can be told. Every request comes back once.
    fn settle(&self, requests: Vec<Request>) -> BoxFuture<'_, Vec<(Request, Settled)>>;

    /// Whether the store shows this seat now.
    fn look<'a>(&'a self, pool: &'a PoolKey, holder: &'a StoreHolder) -> BoxFuture<'a, Result<bool, Trouble>>;

    /// Whether a pool is this one's to speak of.
    fn has(&self, pool: &PoolKey) -> bool;

    /// Takes what the store tells by itself. Whoever does not have this one's secret is `Unauthorized`, and so is everybody
    /// where the store tells nothing, or is not to.
    fn hear(&self, _authorization: Option<&str>, _body: &[u8]) -> Result<Told, NotTold> {
        Err(NotTold::Unauthorized)
    }
}

/// What a notification comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The store is to be read again.
    ReadAgain,
    /// Heard before, or nothing that is not found out otherwise.
    Nothing,
}

/// Why a notification is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTold {
    /// Whoever sent it does not have the secret.
    Unauthorized,
    /// It can't be read.
    Malformed,
}

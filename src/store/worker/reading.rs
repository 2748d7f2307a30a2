//! Reading an account: all of its units, after a look at whom the store takes us for. Not here: what becomes of a pass.

use super::{Passing, Standing};
use crate::domain::state::Sync;
use crate::store::connector::Connector;
use crate::store::terms::{Account, Pass, PassAsked, PassProgress, Trouble};
use parking_lot::Mutex;
use std::sync::Arc;

/// Waits for the pass that runs, for ever where none does.
pub(super) async fn ended(passing: &mut Option<(Sync, u64, Passing)>) -> (Sync, u64, Result<Pass, Trouble>) {
    match passing {
        None => std::future::pending().await,
        Some((sync, begun_at, pass)) => {
            let read = pass.await.unwrap_or_else(|error| Err(Trouble::Malformed(error.to_string())));
            (sync.clone(), *begun_at, read)
        }
    }
}

/// Whether the store takes us for whom the tenant is linked to.
pub(super) async fn accounts(connectors: &[Arc<dyn Connector>], linked: &str) -> Result<Vec<Account>, Trouble> {
    let mut accounts = Vec::with_capacity(connectors.len());
    for connector in connectors {
        let account = connector.account().await?;
        if let Some(other) = &account.taken_over_by {
            return Err(Trouble::TakenOver(other.clone()));
        }
        let is_there = |known: &Account| known.account_id.is_some() && known.account_id == account.account_id;
        if accounts.iter().any(is_there) {
            return Err(Trouble::Credentials("two of them are for the same unit".into()));
        }
        accounts.push(account);
    }
    let mut named = accounts.iter().filter_map(|account| account.account_id.as_deref()).peekable();
    if named.peek().is_some() && !named.any(|id| id == linked) {
        return Err(Trouble::Credentials("they are for another account than the one that is linked".into()));
    }
    Ok(accounts)
}

/// Reads all units of an account; one that can't be read fails the pass.
pub(super) async fn read_all(
    connectors: &[Arc<dyn Connector>],
    linked: &str,
    asked: &PassAsked,
    progress: &PassProgress,
    standing: &Mutex<Standing>,
) -> Result<Pass, Trouble> {
    let accounts = accounts(connectors, linked).await?;
    standing.lock().token_expires_at = accounts.iter().filter_map(|account| account.token_expires_at).min();
    let mut all: Option<Pass> = None;
    for connector in connectors {
        let pass = connector.pass(asked, progress).await?;
        all = Some(match all {
            None => pass,
            Some(mut all) => {
                all.items.extend(pass.items);
                all.unsupported.extend(pass.unsupported);
                all.seats.extend(pass.seats);
                all.pages = all.pages.saturating_add(pass.pages);
                all.is_complete &= pass.is_complete;
                // units have versions of their own, and one can't stand for all
                all.next = None;
                all
            }
        });
    }
    all.ok_or_else(|| Trouble::Credentials("none are given".into()))
}

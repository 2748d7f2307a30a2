//! Asking the store: of each unit whom it takes us for, and the whole of it in a pass. Not here: what becomes of an answer.

use super::units::units_known;
use super::{Passing, Worker};
use crate::clock::monotonic;
use crate::domain::key::Provider;
use crate::domain::state::Sync;
use crate::store::connector::Connector;
use crate::store::submit::Teller;
use crate::store::terms::{Account, Pass, PassAsked, PassProgress, Trouble};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Who asks, and for what.
struct Asking {
    teller: Teller,
    provider: Provider,
    /// The account that the tenant is linked to, which at Apple is a unit too.
    home: String,
    /// Units that the tenant has had anything of.
    known: BTreeSet<String>,
}

/// Of each unit, in their order.
pub(super) type Looked = Vec<Result<Account, Trouble>>;

/// What a pass over an account comes to.
pub(super) struct Reading {
    pub(super) looked: Looked,
    /// Of the units that let us in, which are told by their places; or why there is none.
    pub(super) pass: Result<(Pass, BTreeSet<usize>), Trouble>,
}

/// Waits for the pass that runs, for ever where none does.
pub(super) async fn ended(passing: &mut Option<(Sync, u64, Passing)>) -> (Sync, u64, Reading) {
    match passing {
        None => std::future::pending().await,
        Some((sync, begun_at, pass)) => {
            let failed = |error: tokio::task::JoinError| Reading {
                looked: vec![],
                pass: Err(Trouble::Malformed(error.to_string())),
            };
            (sync.clone(), *begun_at, pass.await.unwrap_or_else(failed))
        }
    }
}

/// Waits for the look that is under way, for ever where none is.
pub(super) async fn looked(looking: &mut Option<JoinHandle<Looked>>) -> Looked {
    match looking {
        None => std::future::pending().await,
        Some(look) => look.await.unwrap_or_default(),
    }
}

impl Worker {
    /// Asks of each unit whom the store takes us for, where that is not known.
    pub(super) fn begin_look(&mut self) {
        let now = monotonic();
        let is_due = self.units.iter().any(|unit| unit.look_at.is_some_and(|due| due <= now));
        if is_due && self.passing.is_none() && self.looking.is_none() {
            let (connectors, asking) = (self.connectors(), self.asking());
            self.looking = Some(tokio::spawn(async move { look(&connectors, &asking).await }));
        }
    }

    fn asking(&self) -> Asking {
        let (provider, home) = (self.post.provider, self.post.account_id.clone());
        // a tenant that is gone has none, and the worker will meet that
        let known = self.teller.read(|view| units_known(&view.state, &home)).unwrap_or_default();
        Asking { teller: self.teller.clone(), provider, home, known }
    }

    /// Reads all units that let us in.
    pub(super) fn begin_reading(&self, asked: PassAsked, progress: Arc<PassProgress>) -> Passing {
        let (connectors, asking) = (self.connectors(), self.asking());
        tokio::spawn(async move {
            let mut looked = look(&connectors, &asking).await;
            let pass = read(&connectors, &mut looked, &asked, &progress).await;
            Reading { looked, pass }
        })
    }
}

/// Whom the store takes us for, unit by unit. Each that lets us in, and is one that the tenant may have, is told who we are.
async fn look(connectors: &[Arc<dyn Connector>], asking: &Asking) -> Looked {
    let Asking { teller, provider, home, known } = asking;
    let mut looked = Vec::with_capacity(connectors.len());
    let mut seen = BTreeSet::new();
    for connector in connectors {
        let account = connector.account().await.and_then(|account| match &account.account_id {
            Some(unit) if !seen.insert(unit.clone()) => {
                Err(Trouble::Credentials("others that are given are for the same unit".into()))
            }
            Some(_) | None => Ok(account),
        });
        looked.push(account);
    }
    // a unit that is new to us comes with the one that the tenant is linked to
    let is_home_seen = seen.contains(home);
    for (connector, looked) in connectors.iter().zip(&mut looked) {
        let Ok(account) = &looked else { continue };
        let entered = match account {
            Account { account_id: Some(unit), .. } if !is_home_seen && !known.contains(unit) => {
                Err(Trouble::Credentials("they are for another account than the one that is linked".into()))
            }
            Account { taken_over_by: Some(other), .. } => Err(Trouble::TakenOver(other.clone())),
            Account { account_id: Some(unit), .. } => match teller.link_unit(*provider, unit).await {
                Ok(()) => connector.enter().await,
                Err(trouble) => Err(trouble),
            },
            Account { account_id: None, .. } => connector.enter().await,
        };
        if let Err(trouble) = entered {
            *looked = Err(trouble);
        }
    }
    looked
}

/// Reads the units that let us in. One that turns us away is left out; one that can't be read for another reason fails the pass.
async fn read(
    connectors: &[Arc<dyn Connector>],
    looked: &mut Looked,
    asked: &PassAsked,
    progress: &PassProgress,
) -> Result<(Pass, BTreeSet<usize>), Trouble> {
    let fails = |looked: &Result<Account, Trouble>| looked.as_ref().err().filter(|it| !it.shuts_the_account()).cloned();
    if let Some(trouble) = looked.iter().find_map(fails) {
        return Err(trouble);
    }
    let mut all: Option<Pass> = None;
    let mut read = BTreeSet::new();
    for (place, (connector, looked)) in connectors.iter().zip(looked.iter_mut()).enumerate() {
        if looked.is_err() {
            continue;
        }
        let pass = match connector.pass(asked, progress).await {
            Ok(pass) => pass,
            Err(trouble) => {
                *looked = Err(trouble.clone());
                if trouble.shuts_the_account() {
                    continue;
                }
                return Err(trouble);
            }
        };
        read.insert(place);
        all = Some(match all {
            None => pass,
            Some(mut all) => {
                all.items.extend(pass.items);
                all.unsupported.extend(pass.unsupported);
                all.undescribed.extend(pass.undescribed);
                all.seats.extend(pass.seats);
                all.pages = all.pages.saturating_add(pass.pages);
                all.is_complete &= pass.is_complete;
                all
            }
        });
    }
    let why = || looked.iter().find_map(|looked| looked.as_ref().err().cloned());
    let mut all = all.ok_or_else(|| why().unwrap_or_else(|| Trouble::Credentials("none are given".into())))?;
    if connectors.len() > 1 {
        // units have versions of their own, and one can't stand for all
        all.next = None;
    }
    Ok((all, read))
}

//! Carrying reservations and releases to the store, and its answers to the ledger. Not here: the words that the store is asked in
//! (`asking`), and when a seat is due (`worklist`).

use super::asking::Asked;
use super::{REREAD_WAIT_MAX, REREAD_WAIT_MIN, Worker, jitter};
use crate::clock::monotonic;
use crate::domain::command::ProviderReport;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::key::PoolKey;
use crate::store::submit::Untold;
use crate::store::terms::{Request, Settled, Sought, StoreHolder, Trouble};
use crate::store::worklist::sought;
use std::collections::BTreeMap;

/// Seats that are asked for in one go; a connector parts them as its store wants.
const SETTLE_MAX: usize = 1000;

impl Worker {
    /// Asks the store for what is due, and tells the ledger what it said.
    pub(super) async fn confirm(&mut self) -> Result<(), Untold> {
        let due = self.list.due(monotonic(), SETTLE_MAX, &self.closed);
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
        let mut by_unit: BTreeMap<usize, Vec<Asked>> = BTreeMap::new();
        for one in asked {
            match self.unit_of(&one.request.pool) {
                Some(unit) => by_unit.entry(unit).or_default().push(one),
                None => self.list.postpone(one.pool, one.holder, one.is_unknown, monotonic(), jitter()),
            }
        }
        for (at, asked) in by_unit {
            let Some(unit) = self.units.get(at) else { continue };
            let places: BTreeMap<_, _> = asked
                .iter()
                .map(|one| ((one.request.pool.clone(), one.request.holder.clone()), (one.pool, one.holder)))
                .collect();
            let settled = unit.connector.settle(asked.into_iter().map(|one| one.request).collect()).await;
            if let Some((pool, trouble)) = self.take_settled(at, &places, settled).await? {
                self.meet(at, pool, trouble).await?;
            }
        }
        Ok(())
    }

    async fn take_settled(
        &mut self,
        at: usize,
        places: &BTreeMap<(PoolKey, StoreHolder), (PoolId, Holder)>,
        settled: Vec<(Request, Settled)>,
    ) -> Result<Option<(PoolId, Trouble)>, Untold> {
        let mut reports = Vec::with_capacity(settled.len());
        let mut trouble = None;
        let now = monotonic();
        for (request, settled) in settled {
            let Some((pool, holder)) = places.get(&(request.pool.clone(), request.holder.clone())).copied() else {
                continue;
            };
            if let (Settled::Granted | Settled::Released, Some(unit)) = (&settled, self.units.get_mut(at)) {
                unit.has_written(pool);
            }
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
                        trouble = Some((pool, why));
                    }
                    continue;
                }
            };
            reports.push((pool, report));
        }
        self.teller.report_all(reports).await?;
        Ok(trouble)
    }
}

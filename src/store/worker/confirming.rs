//! Carrying reservations and releases to the store, and its answers to the ledger: unit by unit, none of which waits for another.
//! Not here: the words that the store is asked in (`asking`), the way there and back (`carrying`), and when a seat is due
//! (`worklist`).

use super::asking::Asked;
use super::carrying::{Answered, Carried, Errand};
use super::{REREAD_WAIT_MAX, REREAD_WAIT_MIN, Worker, jitter};
use crate::clock::monotonic;
use crate::domain::command::ProviderReport;
use crate::domain::ids::PoolId;
use crate::store::submit::Untold;
use crate::store::terms::{Settled, Trouble};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seats that are asked for in one go; a connector parts them as its store wants.
const SETTLE_MAX: usize = 1000;

impl Worker {
    /// Sends what is due on its way. The pools of a unit that is being asked are closed until it has answered, so that nobody
    /// asks for a seat while somebody does.
    pub(super) async fn begin_errands(&mut self) -> Result<(), Untold> {
        let due = self.list.due(monotonic(), SETTLE_MAX, &self.closed);
        if due.is_empty() {
            return Ok(());
        }
        let mut by_unit: BTreeMap<usize, Vec<Asked>> = BTreeMap::new();
        for one in self.requests(due).await? {
            match self.unit_of(&one.request.pool) {
                Some(unit) => by_unit.entry(unit).or_default().push(one),
                None => self.list.postpone(one.pool, one.holder, one.is_unknown, monotonic(), jitter()),
            }
        }
        for (at, asked) in by_unit {
            let Some(unit) = self.units.get_mut(at) else { continue };
            unit.is_asked = true;
            let (teller, connector) = (self.teller.clone(), Arc::clone(&unit.connector));
            self.errands.spawn(Errand { teller, connector, unit: at, asked }.run());
        }
        self.closed = self.closed_pools(monotonic())?;
        Ok(())
    }

    /// Tells the ledger what the store said.
    pub(super) async fn end_errand(&mut self, carried: Carried) -> Result<(), Untold> {
        let Carried { unit: at, answered, trouble } = carried;
        if let Some(unit) = self.units.get_mut(at) {
            unit.is_asked = false;
        }
        let met = self.take_answers(at, answered).await?;
        for (pool, trouble) in trouble.into_iter().chain(met) {
            self.meet(at, pool, trouble).await?;
        }
        Ok(())
    }

    async fn take_answers(&mut self, at: usize, answered: Vec<Answered>) -> Result<Option<(PoolId, Trouble)>, Untold> {
        let mut reports = Vec::with_capacity(answered.len());
        let mut trouble = None;
        let now = monotonic();
        for Answered { pool, holder, name, settled } in answered {
            if let (Settled::Granted | Settled::Released, Some(unit)) = (&settled, self.units.get_mut(at)) {
                unit.has_written(pool);
            }
            let report = match settled {
                Settled::Granted => {
                    self.reread_wait = REREAD_WAIT_MIN;
                    self.old_names.insert((pool, holder), name);
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
                    // a no to one seat, as to a holder whom the store will know in a minute, says nothing of the others; its
                    // words may name the holder
                    if let Trouble::Refused { status, .. } = why {
                        if self.list.is_news(pool, holder, status) {
                            tracing::warn!(%pool, %holder, status, "the store refuses a seat, which is asked for again");
                        }
                    } else {
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

//! One unit's seats on their way to the store and back: a task of its own, so that an answer that is long in coming keeps
//! nobody else from being asked. It knows nothing of the worker but what it was given. Not here: what is due (`asking`), and
//! what becomes of an answer (`confirming`).

use super::asking::Asked;
use crate::domain::command::ProviderReport;
use crate::domain::ids::{Holder, PoolId};
use crate::store::connector::Connector;
use crate::store::submit::{Teller, Untold};
use crate::store::terms::{Request, Settled, Sought, StoreHolder, Trouble};
use crate::store::worklist::sought;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::JoinSet;

/// What is asked of one unit in one go.
pub(super) struct Errand {
    pub(super) teller: Teller,
    pub(super) connector: Arc<dyn Connector>,
    /// The unit's place among those of the account.
    pub(super) unit: usize,
    pub(super) asked: Vec<Asked>,
}

/// A seat, the name under which it was asked for, and what became of it.
pub(super) struct Answered {
    pub(super) pool: PoolId,
    pub(super) holder: Holder,
    pub(super) name: StoreHolder,
    pub(super) settled: Settled,
}

/// What an errand comes to.
pub(super) struct Carried {
    pub(super) unit: usize,
    pub(super) answered: Vec<Answered>,
    /// Why the store did not say whether a seat of this pool is there.
    pub(super) trouble: Option<(PoolId, Trouble)>,
}

pub(super) type Errands = JoinSet<Result<Carried, Untold>>;

/// Waits for the errand that ends next, for ever where none is under way.
pub(super) async fn carried(errands: &mut Errands) -> Result<Carried, Untold> {
    match errands.join_next().await {
        None => std::future::pending().await,
        Some(ended) => ended.map_err(|error| Untold::Stopped(error.to_string()))?,
    }
}

impl Errand {
    /// Asks the store. Dropped in the midst of it, it leaves what whoever comes next looks for.
    pub(super) async fn run(mut self) -> Result<Carried, Untold> {
        let mut carried = Carried { unit: self.unit, answered: vec![], trouble: None };
        self.look_first(&mut carried).await?;
        let releases = self.asked.iter().filter(|one| one.request.sought == Sought::Release);
        let sent = releases.map(|one| (one.pool, ProviderReport::ReleaseSent { holder: one.holder })).collect();
        self.teller.report_all(sent).await?;
        // what was taken back meanwhile is not sent
        let asked = std::mem::take(&mut self.asked);
        let asked: Vec<Asked> = self.teller.read(|view| {
            let is_still = |one: &Asked| {
                let pool = view.state.pools.get(one.pool.index());
                pool.and_then(|pool| sought(pool, one.holder)) == Some(one.request.sought)
            };
            asked.into_iter().filter(is_still).collect()
        })?;
        if asked.is_empty() {
            return Ok(carried);
        }
        let place = |one: &Asked| ((one.request.pool.clone(), one.request.holder.clone()), (one.pool, one.holder));
        let places: BTreeMap<_, _> = asked.iter().map(place).collect();
        let settled = self.connector.settle(asked.into_iter().map(|one| one.request).collect()).await;
        carried.answered.extend(settled.into_iter().filter_map(|(request, settled)| {
            let Request { pool, holder: name, .. } = request;
            let (pool, holder) = places.get(&(pool, name.clone())).copied()?;
            Some(Answered { pool, holder, name, settled })
        }));
        Ok(carried)
    }

    /// What may have been granted is looked up before it is asked for again: a seat that is there is not asked for twice. A
    /// release is: that a seat is not there says nothing while the store may still be at a grant of it, which the connector
    /// knows and a look does not.
    async fn look_first(&mut self, carried: &mut Carried) -> Result<(), Untold> {
        let is_unknown = |one: &Asked| one.is_unknown && one.request.sought == Sought::Grant;
        let (unknown, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.asked).into_iter().partition(is_unknown);
        self.asked = rest;
        let mut reports = Vec::new();
        for one in unknown {
            let looked = match &carried.trouble {
                // another one would say the same
                Some((_, trouble)) => Err(trouble.clone()),
                None => self.connector.look(&one.request.pool, &one.request.holder).await,
            };
            match looked {
                Ok(true) => reports.push((one.pool, ProviderReport::GrantConfirmed { holder: one.holder })),
                Ok(false) => self.asked.push(one),
                Err(trouble) => {
                    let settled = Settled::Unknown(trouble.to_string());
                    let (pool, holder, name) = (one.pool, one.holder, one.request.holder);
                    carried.answered.push(Answered { pool, holder, name, settled });
                    carried.trouble.get_or_insert((pool, trouble));
                }
            }
        }
        self.teller.report_all(reports).await
    }
}

//! What is due, in the store's words; and a look at what may have happened before it is asked again. Not here: when it is due,
//! and what becomes of an answer.

use super::{Worker, jitter};
use crate::clock::monotonic;
use crate::domain::command::ProviderReport;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::key::Provider;
use crate::domain::state::Names;
use crate::store::names::{Directory, OldNames};
use crate::store::submit::Untold;
use crate::store::terms::{Request, Sought};
use crate::store::worklist::Waiting;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Who is called today as a holder was: the store has one name for both.
fn heir_of(names: &Names, holder: Holder) -> Option<Holder> {
    let heir = match holder {
        Holder::User(user) => {
            let aliases = &names.user_profile(user)?.aliases;
            aliases.iter().find_map(|alias| names.user(alias.blind)).map(Holder::User)
        }
        Holder::Device(device) => {
            let aliases = &names.device_names(device)?.aliases;
            aliases.iter().find_map(|alias| names.device_by_serial(alias.blind)).map(Holder::Device)
        }
    };
    heir.filter(|heir| *heir != holder)
}

/// A seat that is asked for, with its place in the ledger.
pub(super) struct Asked {
    pub(super) pool: PoolId,
    pub(super) holder: Holder,
    pub(super) is_unknown: bool,
    pub(super) request: Request,
}

impl Worker {
    /// What may have been granted is looked up before it is asked for again: a seat that is there is not asked for twice. A
    /// release is: that a seat is not there says nothing while the store may still be at a grant of it, which the connector
    /// knows and a look does not.
    pub(super) async fn look_first(&mut self, asked: &mut Vec<Asked>) -> Result<(), Untold> {
        let is_unknown = |one: &Asked| one.is_unknown && one.request.sought == Sought::Grant;
        let (unknown, rest): (Vec<_>, Vec<_>) = std::mem::take(asked).into_iter().partition(is_unknown);
        *asked = rest;
        let mut reports = Vec::new();
        let mut failed = BTreeSet::new();
        for one in unknown {
            let at = self.unit_of(&one.request.pool).filter(|at| !failed.contains(at));
            let Some((at, connector)) = at.and_then(|at| Some((at, Arc::clone(&self.units.get(at)?.connector)))) else {
                self.list.postpone(one.pool, one.holder, true, monotonic(), jitter());
                continue;
            };
            let holder = one.holder;
            match connector.look(&one.request.pool, &one.request.holder).await {
                Ok(true) => reports.push((one.pool, ProviderReport::GrantConfirmed { holder })),
                Ok(false) => asked.push(one),
                Err(trouble) => {
                    self.list.postpone(one.pool, holder, true, monotonic(), jitter());
                    self.meet(at, trouble).await?;
                    failed.insert(at);
                }
            }
        }
        self.teller.report_all(reports).await
    }

    /// Puts what is due into the store's words. Who has no name any more can't be asked for.
    pub(super) async fn requests(&mut self, due: Vec<(PoolId, Holder, Waiting)>) -> Result<Vec<Asked>, Untold> {
        let (ledger, tenant) = (self.teller.ledger.clone(), self.teller.tenant);
        let old = if self.post.provider == Provider::AppleBusiness { self.old_names.clone() } else { OldNames::new() };
        let releasing = self.list.releasing();
        let make = move || {
            // names are opened outside of the lock
            let (stored, heirs) = ledger.read(tenant, |view| {
                let names = |holder: Holder| match holder {
                    Holder::User(user) => view.state.names.user_profile(user).cloned(),
                    Holder::Device(device) => view.state.names.device_names(device).cloned(),
                };
                let key = |pool: PoolId| Some(view.state.pools.get(pool.index())?.key.clone());
                let one = |(pool, holder, waiting): (PoolId, Holder, Waiting)| {
                    (pool, holder, waiting, key(pool), names(holder))
                };
                let heir = |(pool, of): (PoolId, Holder)| Some((pool, heir_of(&view.state.names, of)?));
                let heirs: BTreeSet<_> = releasing.into_iter().filter_map(heir).collect();
                (due.into_iter().map(one).collect::<Vec<_>>(), heirs)
            })?;
            let mut asked = Vec::with_capacity(stored.len());
            let mut nameless = Vec::new();
            let mut taken = BTreeSet::new();
            for (pool, holder, waiting, key, names) in stored {
                let (name, email) =
                    names.map_or((None, None), |names| Directory::open(&ledger, holder, &names.personal));
                let name = old.get(&(pool, holder)).cloned().or(name);
                // two holders of one name, one after the other: the later one waits for the earlier
                let is_heir = heirs.contains(&(pool, holder));
                match (key, name) {
                    (Some(_), Some(name)) if is_heir || !taken.insert((pool, name.normalized())) => {
                        nameless.push((pool, holder));
                    }
                    (Some(key), Some(name)) => asked.push(Asked {
                        pool,
                        holder,
                        is_unknown: waiting.is_unknown,
                        request: Request {
                            email,
                            is_from_before: waiting.is_from_before,
                            ..Request::new(key, name, waiting.sought)
                        },
                    }),
                    (None, _) | (_, None) => nameless.push((pool, holder)),
                }
            }
            Ok((asked, nameless))
        };
        let (asked, nameless) = self.teller.blocking(make).await?;
        for (pool, holder) in nameless {
            tracing::debug!(%pool, %holder, "the store can't be asked about this holder now");
            self.list.postpone(pool, holder, false, monotonic(), jitter());
        }
        Ok(asked)
    }
}

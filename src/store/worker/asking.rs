//! What is due, in the store's words. Not here: when it is due, how it is asked (`carrying`), and what becomes of an answer.

use super::{Worker, jitter};
use crate::clock::monotonic;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::key::Provider;
use crate::domain::state::Names;
use crate::store::names::{Directory, OldNames, names_since};
use crate::store::submit::{Teller, Untold};
use crate::store::terms::{Request, Sought, StoreHolder};
use crate::store::worklist::Waiting;
use std::collections::BTreeSet;

/// Who is called today as a holder was: the store has one name for both.
fn heir_of(names: &Names, holder: Holder) -> Option<Holder> {
    let aliases = names.of(holder)?.aliases.iter();
    let heir = aliases.map(|alias| alias.blind).find_map(|blind| match holder {
        Holder::User(_) => names.user(blind).map(Holder::User),
        Holder::Device(_) => names.device_by_serial(blind).map(Holder::Device),
    });
    heir.filter(|heir| *heir != holder)
}

/// What the store may call a holder besides today's name: as it spelled the holder last, and as the holder was called since the
/// grant. Not what is somebody else's name by now.
fn old_names(
    teller: &Teller,
    holder: Holder,
    granted_at: u64,
    spelled: Option<StoreHolder>,
    today: &StoreHolder,
) -> Result<Vec<StoreHolder>, Untold> {
    let mut names: Vec<StoreHolder> = vec![];
    for name in spelled.into_iter().chain(names_since(&teller.ledger, teller.tenant, holder, granted_at)) {
        let is_known = [today].into_iter().chain(&names).any(|known| known.normalized() == name.normalized());
        if !is_known && teller.find(&name)?.is_none_or(|found| found == holder) {
            names.push(name);
        }
    }
    Ok(names)
}

/// A seat that is asked for, with its place in the ledger.
pub(super) struct Asked {
    pub(super) pool: PoolId,
    pub(super) holder: Holder,
    pub(super) is_unknown: bool,
    pub(super) request: Request,
}

impl Worker {
    /// Puts what is due into the store's words. Who has no name any more can't be asked for.
    pub(super) async fn requests(&mut self, due: Vec<(PoolId, Holder, Waiting)>) -> Result<Vec<Asked>, Untold> {
        let (teller, provider) = (self.teller.clone(), self.post.provider);
        let spelled = |(pool, holder, _): &(PoolId, Holder, Waiting)| {
            Some(((*pool, *holder), self.old_names.get(&(*pool, *holder))?.clone()))
        };
        let spelled: OldNames = due.iter().filter_map(spelled).collect();
        let releasing = self.list.releasing();
        let make = move || {
            let (ledger, tenant) = (&teller.ledger, teller.tenant);
            // names are opened outside of the lock
            let (stored, heirs) = ledger.read(tenant, |view| {
                let names = |holder: Holder| match holder {
                    Holder::User(user) => view.state.names.user_profile(user).cloned(),
                    Holder::Device(device) => view.state.names.device_names(device).cloned(),
                };
                let place = |pool: PoolId, holder: Holder| {
                    let pool = view.state.pools.get(pool.index())?;
                    Some((pool.key.clone(), pool.seats.get(&holder)?.granted_at))
                };
                let one = |(pool, holder, waiting): (PoolId, Holder, Waiting)| {
                    (pool, holder, waiting, place(pool, holder), names(holder))
                };
                let heir = |(pool, of): (PoolId, Holder)| Some((pool, heir_of(&view.state.names, of)?));
                let heirs: BTreeSet<_> = releasing.into_iter().filter_map(heir).collect();
                (due.into_iter().map(one).collect::<Vec<_>>(), heirs)
            })?;
            let mut asked = Vec::with_capacity(stored.len());
            let mut nameless = Vec::new();
            let mut taken = BTreeSet::new();
            for (pool, holder, waiting, place, names) in stored {
                let (name, email) =
                    names.map_or((None, None), |names| Directory::open(ledger, holder, &names.personal));
                let spelled = spelled.get(&(pool, holder)).cloned();
                // at Microsoft a name is the directory's, and today's is asked for
                let is_asked_so = provider == Provider::AppleBusiness;
                let name = spelled.clone().filter(|_| is_asked_so).or(name);
                // two holders of one name, one after the other: the later one waits for the earlier
                let is_heir = heirs.contains(&(pool, holder));
                match (place, name) {
                    (Some(_), Some(name)) if is_heir || !taken.insert((pool, name.normalized())) => {
                        nameless.push((pool, holder));
                    }
                    (Some((key, granted_at)), Some(name)) => {
                        let is_renamed_elsewhere = !is_asked_so && waiting.sought == Sought::Release;
                        let old_names = match is_renamed_elsewhere {
                            true => old_names(&teller, holder, granted_at, spelled, &name)?,
                            false => vec![],
                        };
                        let is_from_before = waiting.is_from_before;
                        let request = Request::new(key, name, waiting.sought);
                        let request = Request { email, old_names, is_from_before, ..request };
                        asked.push(Asked { pool, holder, is_unknown: waiting.is_unknown, request });
                    }
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

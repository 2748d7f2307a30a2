//! One sync: what a pass read becomes observations, in the order in which they can be judged. Not here: who starts one, and
//! how a store is read.

use super::compare::{self, Findings, Remembered};
use super::connector::Connector;
use super::names::{Directory, OldNames, forced};
use super::submit::{BATCH_MAX, Teller, Untold};
use super::terms::{Pass, SeatAtStore, StoreHolder};
use crate::domain::command::{Inventory, Observation, ProviderReport, SyncEnd, SyncPart};
use crate::domain::facts::{DeviceFacts, Join, SyncSeats};
use crate::domain::ids::{Holder, PoolId};
use crate::domain::key::{PoolKey, Provider};
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::domain::state::{Sync, Tenant};
use crate::ledger::Ask;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a sync needs to know of its account.
pub struct Taking<'a> {
    pub teller: &'a Teller,
    pub provider: Provider,
    pub sync: Sync,
    pub read: compare::Read,
    /// Of the units that were read.
    pub connectors: Vec<Arc<dyn Connector>>,
}

/// What stays of a sync for the next one.
pub struct Taken {
    pub remembered: Remembered,
    pub old_names: OldNames,
}

/// Tells the ledger what a pass read, and ends the sync.
pub async fn take(
    taking: Taking<'_>,
    mut pass: Pass,
    before: Remembered,
    old_names: OldNames,
) -> Result<Taken, Untold> {
    let Taking { teller, provider, sync, read, connectors } = taking;
    let id = sync.id;
    let (ledger, tenant) = (teller.ledger.clone(), teller.tenant);
    let language = sync.language.clone();
    let compared = teller.blocking(move || {
        let state = ledger.read(tenant, |view| view.state.clone())?;
        describe(&mut pass, &state, &language);
        let directory = Directory { ledger: &ledger, id: tenant, tenant: &state, old: &old_names };
        let is_ours = |key: &_| connectors.iter().any(|connector| connector.has(key));
        let found = compare::compare(&pass, &state, provider, is_ours, read, &before, &directory);
        let mut names = old_names.clone();
        // a complete pass says how each is spelled in the pools that it read
        names.retain(|(pool, _), _| {
            !pass.is_complete || !state.pools.get(pool.index()).is_some_and(|it| is_ours(&it.key))
        });
        Ok((pass, found, names))
    });
    let (pass, findings, mut old_names) = compared.await?;
    let Findings { gone, lost, seen, strangers, nameless, foreign, spelled, remembered } = findings;
    old_names.extend(spelled);
    let taken = Taken { remembered, old_names };
    let unsupported: BTreeSet<_> = pass.unsupported.into_iter().map(|(key, _)| key).collect();
    let seats = SyncSeats { seen: pass.seats.len() as u64, foreign, lost: lost.len() as u64 };
    let inventory = Inventory {
        provider,
        is_complete: pass.is_complete,
        is_dry_run: sync.is_dry_run,
        language: sync.language,
        pages: pass.pages,
        items: pass.items,
        part: Some(SyncPart { sync: id, unsupported: unsupported.into_iter().collect(), gone, lost }),
    };
    teller.observe(Observation::Inventory(inventory)).await?;
    if !sync.is_dry_run {
        let shown = seen.into_iter().chain(meet(teller, strangers).await?);
        let shown = shown.map(|(pool, holder)| (pool, ProviderReport::SeatSeen { holder }));
        teller.report_all(shown.chain(nameless).collect()).await?;
    }
    teller.observe(Observation::EndSync { sync: id, end: SyncEnd::Completed { seats } }).await?;
    Ok(taken)
}

/// What could not be read of a pool is as the ledger knows it. A pool that is new is left for a pass that says what it is.
fn describe(pass: &mut Pass, tenant: &Tenant, language: &str) {
    let pool_of = |key: &PoolKey| tenant.pools.get(tenant.pool_keys.get(key)?.index());
    let mut left = std::mem::take(&mut pass.undescribed);
    pass.items.retain(|item| !left.contains(&item.key) || pool_of(&item.key).is_some());
    for item in pass.items.iter_mut().filter(|item| left.contains(&item.key)) {
        let Some(pool) = pool_of(&item.key) else { continue };
        if let Some(known) = pool.names.get(language).or_else(|| pool.names.values().next()) {
            (item.name, item.publisher) = (known.name.clone(), known.publisher.clone());
        }
        item.packages.clone_from(&pool.packages);
        item.details.related_set.clone_from(&pool.details.related_set);
    }
    left.retain(|key| pool_of(key).is_none());
    pass.seats.retain(|seat| !left.contains(&seat.pool));
}

/// Holders whom the ledger does not know become known by the name that the store has for them.
async fn meet(teller: &Teller, strangers: Vec<SeatAtStore>) -> Result<Vec<(PoolId, Holder)>, Untold> {
    let mut met = Vec::with_capacity(strangers.len());
    for part in strangers.chunks(BATCH_MAX) {
        let mut unknown = BTreeMap::new();
        for seat in part {
            if teller.find(&seat.holder)?.is_none() {
                unknown.insert(seat.holder.normalized(), &seat.holder);
            }
        }
        let asks = unknown.values().map(|name| introduction(teller, name)).collect();
        teller.submit_all(asks).await?;
        for seat in part {
            let pool = teller.read(|view| view.state.pool_keys.get(&seat.pool))?;
            if let (Some(pool), Some(holder)) = (pool, teller.find(&seat.holder)?) {
                met.push((pool, holder));
            }
        }
    }
    Ok(met)
}

fn introduction(teller: &Teller, name: &StoreHolder) -> Ask {
    match name {
        StoreHolder::User(name) => Ask::PutUser {
            user: teller.ledger.user_ref(teller.tenant, &forced(name)),
            profile: UserProfile { user_name: name.clone(), ..UserProfile::default() },
        },
        StoreHolder::Device(serial) => Ask::PutDevice {
            device: teller.ledger.device_ref(teller.tenant, &forced(serial)),
            names: DeviceNames { serial: Some(serial.clone()), device_id: None },
            facts: DeviceFacts {
                platform: "unknown".into(),
                join: Join::None,
                is_enrolled: false,
                os_build: None,
                has_serial: true,
            },
            primary_user: None,
        },
    }
}

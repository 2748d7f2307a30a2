//! One sync: what a pass read becomes observations, in the order in which they can be judged. Not here: who starts one, and
//! how a store is read.

use super::compare::{self, Findings, Remembered};
use super::names::{Directory, OldNames};
use super::submit::{BATCH_MAX, Gone, Teller};
use super::terms::{Pass, SeatAtStore, StoreHolder};
use crate::domain::command::{
    Actor, Door, Envelope, Intake, Inventory, Observation, ProviderReport, SyncEnd, SyncPart,
};
use crate::domain::facts::{DeviceFacts, Join, SyncCounts, SyncSeats};
use crate::domain::ids::{Holder, PoolId, SyncId};
use crate::domain::key::{PoolKey, Provider};
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::domain::state::Sync;
use crate::ledger::Ask;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a sync needs to know of its account.
pub struct Taking<'a> {
    pub teller: &'a Teller,
    pub provider: Provider,
    pub sync: Sync,
    /// The position at which the pass began.
    pub begun_at: u64,
    pub is_ours: IsOurs,
}

/// Whether the connectors of an account speak of a pool.
pub type IsOurs = Arc<dyn Fn(&PoolKey) -> bool + Send + std::marker::Sync>;

/// What stays of a sync for the next one.
pub struct Taken {
    pub remembered: Remembered,
    pub old_names: OldNames,
}

/// Tells the ledger what a pass read, and ends the sync.
pub async fn take(taking: Taking<'_>, mut pass: Pass, before: Remembered, old_names: OldNames) -> Result<Taken, Gone> {
    let Taking { teller, provider, sync, begun_at, is_ours } = taking;
    let id = sync.id;
    let seen = pass.seats.len() as u64;
    let (findings, names) = {
        let (ledger, tenant) = (teller.ledger.clone(), teller.tenant);
        let (is_ours, mine) = (Arc::clone(&is_ours), pass.clone());
        teller
            .blocking(move || {
                let state = ledger.read(tenant, |view| view.state.clone())?;
                let directory = Directory { ledger: &ledger, id: tenant, tenant: &state, old: &old_names };
                let found =
                    compare::compare(&mine, &state, provider, |key| is_ours(key), begun_at, &before, &directory);
                let names = if mine.is_complete { found.spelled.clone() } else { old_names.clone() };
                Ok((found, names))
            })
            .await?
    };
    let Findings { gone, lost, seen: shown, strangers, foreign, spelled: _, remembered } = findings;
    let lost_count = lost.len() as u64;
    let inventory = Inventory {
        provider,
        is_complete: pass.is_complete,
        is_dry_run: false,
        language: sync.language.clone(),
        pages: pass.pages,
        items: std::mem::take(&mut pass.items),
        part: Some(SyncPart { sync: id, gone, lost }),
    };
    let seats = SyncSeats { seen, foreign, lost: lost_count };
    if sync.is_dry_run {
        let would_be = Some(would_be(teller, id, inventory).await?);
        teller.observe(Observation::EndSync { sync: id, end: SyncEnd::Completed { would_be, seats } }).await?;
        return Ok(Taken { remembered, old_names: names });
    }
    teller.observe(Observation::Inventory(inventory)).await?;
    let mut reports = shown;
    reports.extend(meet(teller, strangers).await?);
    let reports = reports.into_iter().map(|(pool, holder)| (pool, ProviderReport::SeatSeen { holder }));
    teller.report_all(reports.collect()).await?;
    teller.observe(Observation::EndSync { sync: id, end: SyncEnd::Completed { would_be: None, seats } }).await?;
    Ok(Taken { remembered, old_names: names })
}

/// What the inventory would change, counted on a copy.
async fn would_be(teller: &Teller, sync: SyncId, inventory: Inventory) -> Result<SyncCounts, Gone> {
    let mut copy = teller.ledger.fork(teller.tenant).await.map_err(Gone::from)?;
    let envelope = Envelope {
        recorded_at: teller.ledger.clock().now(),
        occurred_at: None,
        actor: Actor::Ledger,
        door: Door::Sync,
        command_id: None,
        content_hash: 0,
        reason: None,
    };
    let judge = move || {
        let intake = Intake::Observation(Observation::Inventory(inventory));
        let _judged = crate::domain::decide::decide(&mut copy, &intake, &envelope, None);
        Ok(copy.syncs.get(sync.index()).map(|sync| sync.counts).unwrap_or_default())
    };
    teller.blocking(judge).await
}

/// Holders whom the ledger does not know become known by the name that the store has for them.
async fn meet(teller: &Teller, strangers: Vec<SeatAtStore>) -> Result<Vec<(PoolId, Holder)>, Gone> {
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
            let pool = teller.read(|view| view.state.pool_keys.get(&seat.pool).copied())?;
            if let (Some(pool), Some(holder)) = (pool, teller.find(&seat.holder)?) {
                met.push((pool, holder));
            }
        }
    }
    Ok(met)
}

fn introduction(teller: &Teller, name: &StoreHolder) -> Ask {
    match name {
        StoreHolder::User(name) => {
            let profile = UserProfile { user_name: name.clone(), ..UserProfile::default() };
            Ask::PutUser { user: teller.ledger.user_ref(teller.tenant, &format!("name:{name}")), profile }
        }
        StoreHolder::Device(serial) => Ask::PutDevice {
            device: teller.ledger.device_ref(teller.tenant, &format!("name:{serial}")),
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

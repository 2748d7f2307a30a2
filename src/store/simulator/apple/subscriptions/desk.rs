//! Orders about subscriptions, the end of their periods, and what is told of either. Not here: what a change does to a unit.

use super::super::Shared;
use super::super::desk::unit;
use super::super::event;
use super::super::notice::{self, Notice};
use super::super::world::World;
use super::{AdamId, Modes, SUBSCRIPTIONS_MAX, Subscription, TOTAL_MAX};
use serde::Deserialize;
use serde_json::json;

const PERIOD_DAYS: u32 = 30;
const PERIOD_DAYS_MAX: u32 = 3660;

/// What can become of a subscription behind the protocol. Over HTTP it is `{"order": "subscription", "uid": ..., "adam_id": ...,
/// "change": {"buy": {...}}}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SubscriptionChange {
    /// More licenses of one that the unit has, or the first of a new one. Only once the tool has said that it supports them.
    Buy {
        parent_adam_id: u64,
        #[serde(default)]
        renewing: u32,
        #[serde(default)]
        expiring: u32,
        /// 30 where none is given; of the first purchase alone.
        period_days: Option<u32>,
    },
    /// So many renew no more: they go with the period.
    LetExpire {
        quantity: u32,
    },
    Pause {
        is_paused: bool,
    },
    Administer {
        client_user_id: String,
        is_admin: bool,
    },
    /// Has it by a group of the organization's own, or no more.
    GiveByGroup {
        client_user_id: String,
        is_member: bool,
    },
}

pub(in super::super) fn change(
    shared: &Shared,
    world: &mut World,
    uid: &str,
    id: AdamId,
    change: SubscriptionChange,
) -> Result<(), String> {
    let now = shared.clock.now();
    let it = &mut unit(world, uid)?.subscriptions;
    let missing = || format!("the unit {uid} has no subscription {id}");
    match change {
        SubscriptionChange::Buy { parent_adam_id, renewing, expiring, period_days } => {
            if it.is_supported != Some(true) {
                return Err("the unit's tool has not said that it supports subscriptions".into());
            }
            if it.owned.len() >= SUBSCRIPTIONS_MAX && !it.owned.contains_key(&id) {
                return Err(format!("{SUBSCRIPTIONS_MAX} subscriptions are enough"));
            }
            let days = period_days.unwrap_or(PERIOD_DAYS);
            if days == 0 || days > PERIOD_DAYS_MAX {
                return Err(format!("a period has 1 to {PERIOD_DAYS_MAX} days"));
            }
            let bought = it.owned.entry(id).or_insert_with(|| Subscription {
                parent_adam_id,
                is_paused: false,
                total: Modes::default(),
                period_ends: None,
                period_days: days,
            });
            if bought.parent_adam_id != parent_adam_id {
                return Err("it belongs to another app".into());
            }
            let total = Modes {
                renewing: bought.total.renewing.saturating_add(renewing),
                expiring: bought.total.expiring.saturating_add(expiring),
            };
            if total.sum() > TOTAL_MAX {
                return Err("so many can't be counted".into());
            }
            bought.total = total;
            if bought.period_ends.is_none() && total.sum() > 0 {
                let ends = now.plus_days(bought.period_days);
                bought.period_ends = Some(ends);
                world.periods.insert((ends, uid.to_owned(), id));
            }
            count(shared, world, uid, id);
        }
        SubscriptionChange::LetExpire { quantity } => {
            let total = &mut it.owned.get_mut(&id).ok_or_else(missing)?.total;
            total.renewing = total.renewing.checked_sub(quantity).ok_or("so many do not renew")?;
            total.expiring = total.expiring.saturating_add(quantity);
            count(shared, world, uid, id);
        }
        SubscriptionChange::Pause { is_paused } => it.owned.get_mut(&id).ok_or_else(missing)?.is_paused = is_paused,
        SubscriptionChange::Administer { client_user_id, is_admin } => {
            set(&mut it.admins, (id, client_user_id), is_admin);
        }
        SubscriptionChange::GiveByGroup { client_user_id, is_member } => {
            set(&mut it.by_group, (id, client_user_id), is_member);
        }
    }
    unit(world, uid)?.touch();
    Ok(())
}

fn set(of: &mut std::collections::BTreeSet<(AdamId, String)>, one: (AdamId, String), is_there: bool) {
    if is_there {
        of.insert(one);
    } else {
        of.remove(&one);
    }
}

/// Tells the unit's tool what there is now.
fn count(shared: &Shared, world: &mut World, uid: &str, id: AdamId) {
    let Some(unit) = world.units.get(uid) else { return };
    let Some(owned) = unit.subscriptions.owned.get(&id) else { return };
    let counts = unit.subscriptions.counts(id);
    let body = json!({
        "parentAdamId": owned.parent_adam_id, "adamId": id,
        "counts": { "available": counts.available, "total": counts.total },
    });
    notice::post(shared, world, uid, Notice { name: "SUBSCRIPTION_COUNT", body });
}

/// Ends every period that is over by now, each once for as often as it came round.
pub(in super::super) fn end_periods(shared: &Shared, world: &mut World) {
    let now = shared.clock.now();
    while let Some((ends, uid, id)) = world.periods.first().filter(|(ends, _, _)| *ends <= now).cloned() {
        world.periods.pop_first();
        let Some(unit) = world.units.get_mut(&uid) else { continue };
        let ended = unit.end_period(id, ends);
        if let Some(next) = unit.subscriptions.owned.get(&id).and_then(|it| it.period_ends) {
            world.periods.insert((next, uid.clone(), id));
        }
        for notice in event::notices_of_deferred(id, ended.deferred) {
            notice::post(shared, world, &uid, notice);
        }
        count(shared, world, &uid, id);
    }
}

//! The calls that change something: what can be judged at once is, and the rest becomes an event. A call that is turned back
//! has queued nothing. Not here: carrying events out.
//!
//! Where every user of an association is unknown the call is refused at once with 9609; where some are, those fail in the
//! event. An asset that the unit does not own is 9602.

use super::Shared;
use super::entry::Call;
use super::event::{self, Work};
use super::limits::Limits;
use super::refusal::Refusal;
use super::world::{AssetId, Holder, Unit, UserAsked, World};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

type Said = Map<String, Value>;
pub(super) const HOLDER_LENGTH_MAX: usize = 255;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Seats {
    #[serde(default)]
    assets: Vec<AssetAsked>,
    #[serde(default)]
    client_user_ids: Vec<String>,
    #[serde(default)]
    serial_numbers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssetAsked {
    adam_id: String,
    pricing_param: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Revoking {
    #[serde(default)]
    client_user_ids: Vec<String>,
    #[serde(default)]
    serial_numbers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Users {
    #[serde(default)]
    users: Vec<UserAsked>,
}

pub(super) fn queued(shared: &Shared, world: &mut World, uid: &str, work: Work) -> Said {
    let mut said = Map::new();
    said.insert("eventId".into(), json!(event::queue(shared, world, uid, work)));
    said
}

pub(super) fn twice<T: Ord>(of: &[T]) -> Vec<&T> {
    let mut seen = BTreeSet::new();
    of.iter().filter(|it| !seen.insert(*it)).collect()
}

/// The holders in the order in which they are served: users, then devices.
fn holders(users: &[String], devices: &[String], users_max: usize, devices_max: usize) -> Result<Vec<Holder>, Refusal> {
    if users.is_empty() && devices.is_empty() {
        return Err(Refusal::new(9719));
    }
    if users.len() > users_max {
        return Err(Refusal::new(9701));
    }
    if devices.len() > devices_max {
        return Err(Refusal::new(9702));
    }
    let (users_twice, devices_twice) = (twice(users), twice(devices));
    if !users_twice.is_empty() {
        return Err(Refusal::about(9704, json!({ "clientUserIds": users_twice })));
    }
    if !devices_twice.is_empty() {
        return Err(Refusal::about(9705, json!({ "serialNumbers": devices_twice })));
    }
    if users.iter().chain(devices).any(|id| id.is_empty() || id.len() > HOLDER_LENGTH_MAX) {
        return Err(Refusal::invalid("a client user ID or serial number is empty or too long"));
    }
    Ok(users.iter().cloned().map(Holder::User).chain(devices.iter().cloned().map(Holder::Device)).collect())
}

fn assets(asked: Vec<AssetAsked>, unit: &Unit, limits: &Limits) -> Result<Vec<AssetId>, Refusal> {
    if asked.is_empty() {
        return Err(Refusal::new(9718));
    }
    if asked.len() > limits.max_assets {
        return Err(Refusal::new(9700));
    }
    let mut ids: Vec<AssetId> = vec![];
    for AssetAsked { adam_id, pricing_param } in asked {
        let id = AssetId { adam_id, pricing_param: pricing_param.unwrap_or_else(|| "STDQ".into()) };
        if ids.contains(&id) {
            return Err(Refusal::about(9703, json!({ "assets": [id] })));
        }
        if !unit.assets.contains_key(&id) {
            return Err(Refusal::about(9602, json!({ "assets": [id], "reason": "the unit does not own it" })));
        }
        ids.push(id);
    }
    Ok(ids)
}

pub(super) fn associate(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    call.asked.finish()?;
    let asked: Seats = call.read()?;
    let mut world = shared.locked();
    let limits = world.limits;
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let holders =
        holders(&asked.client_user_ids, &asked.serial_numbers, limits.max_client_user_ids, limits.max_serial_numbers)?;
    let assets = assets(asked.assets, unit, &limits)?;
    if !asked.serial_numbers.is_empty() {
        only(&assets, 9707, |id| unit.assets.get(id).is_some_and(|asset| asset.is_device_assignable))?;
    }
    let unknown: Vec<&String> = asked.client_user_ids.iter().filter(|id| unit.active_user(id).is_none()).collect();
    if asked.serial_numbers.is_empty() && unknown.len() == asked.client_user_ids.len() {
        return Err(Refusal::about(9609, json!({ "clientUserIds": unknown })));
    }
    Ok(queued(shared, &mut world, &call.granted.uid, Work::Associate(assets, holders)))
}

pub(super) fn disassociate(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    call.asked.finish()?;
    let asked: Seats = call.read()?;
    let mut world = shared.locked();
    let limits = world.limits;
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let holders =
        holders(&asked.client_user_ids, &asked.serial_numbers, limits.max_client_user_ids, limits.max_serial_numbers)?;
    let assets = assets(asked.assets, unit, &limits)?;
    only(&assets, 9706, |id| unit.assets.get(id).is_some_and(|asset| asset.is_revocable))?;
    Ok(queued(shared, &mut world, &call.granted.uid, Work::Disassociate(assets, holders)))
}

fn only(assets: &[AssetId], number: u16, fits: impl Fn(&AssetId) -> bool) -> Result<(), Refusal> {
    let others: Vec<&AssetId> = assets.iter().filter(|id| !fits(id)).collect();
    if others.is_empty() { Ok(()) } else { Err(Refusal::about(number, json!({ "assets": others }))) }
}

pub(super) fn revoke(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    call.asked.finish()?;
    let asked: Revoking = call.read()?;
    let mut world = shared.locked();
    let (users_max, devices_max) = (world.limits.max_revoke_client_user_ids, world.limits.max_revoke_serial_numbers);
    let holders = holders(&asked.client_user_ids, &asked.serial_numbers, users_max, devices_max)?;
    Ok(queued(shared, &mut world, &call.granted.uid, Work::Revoke(holders)))
}

fn users(call: &Call, limits: &Limits) -> Result<Vec<UserAsked>, Refusal> {
    let Users { users } = call.read()?;
    if users.is_empty() {
        return Err(Refusal::new(9720));
    }
    if users.len() > limits.max_users {
        return Err(Refusal::new(9714));
    }
    let ids: Vec<String> = users.iter().map(|user| user.client_user_id.clone()).collect();
    let twice = twice(&ids);
    if !twice.is_empty() {
        return Err(Refusal::about(9715, json!({ "clientUserIds": twice })));
    }
    if ids.iter().any(|id| id.is_empty() || id.len() > HOLDER_LENGTH_MAX) {
        return Err(Refusal::invalid("a client user ID is empty or too long"));
    }
    let is_bad =
        |user: &&UserAsked| [&user.email, &user.managed_apple_id].into_iter().flatten().any(|it| !is_address(it));
    let bad: Vec<&String> = users.iter().filter(is_bad).map(|user| &user.client_user_id).collect();
    if !bad.is_empty() {
        return Err(Refusal::about(9717, json!({ "clientUserIds": bad })));
    }
    Ok(users)
}

fn is_address(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    text.len() <= 320
        && text.split_once('@').is_some_and(|(who, host)| is_part(who) && is_part(host) && !host.contains('@'))
}

pub(super) fn create_users(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    change_users(shared, call, Work::Create)
}

pub(super) fn update_users(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    change_users(shared, call, Work::Update)
}

pub(super) fn retire_users(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    change_users(shared, call, Work::Retire)
}

fn change_users(shared: &Shared, call: &Call, work: fn(Vec<UserAsked>) -> Work) -> Result<Said, Refusal> {
    call.asked.finish()?;
    let mut world = shared.locked();
    let users = users(call, &world.limits)?;
    Ok(queued(shared, &mut world, &call.granted.uid, work(users)))
}

pub(super) fn status(shared: &Shared, call: &mut Call) -> Result<Said, Refusal> {
    let id = call.asked.text("eventId")?.ok_or(Refusal::new(9708))?;
    call.asked.finish()?;
    let world = shared.locked();
    let event = world.events.get(&id).filter(|event| event.is_of(&call.granted.uid)).ok_or(Refusal::new(9708))?;
    Ok(event.status(shared.clock.now()))
}

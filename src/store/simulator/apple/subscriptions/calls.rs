//! The seven calls about subscriptions: three lists by cursor, two declarations, and two that become an event. Not here: what
//! they do to a unit.

use super::super::Shared;
use super::super::entry::{Asked, Call};
use super::super::event::Work;
use super::super::refusal::Refusal;
use super::super::world::Unit;
use super::super::writes::{HOLDER_LENGTH_MAX, queued, twice};
use super::AdamId;
use crate::domain::time::Time;
use crate::store::simulator::faults::{Fault, Faults};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

type Said = Map<String, Value>;
const CURSOR_BYTES_MAX: usize = 4096;

/// Where a page ends: the list with its query, and the last thing in it.
struct Cursor<'a> {
    list: &'a str,
}

impl Cursor<'_> {
    fn write(&self, last: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}\n{last}", self.list))
    }

    /// 9812 for one of another list, or of another query.
    fn read(&self, asked: &mut Asked) -> Result<Option<String>, Refusal> {
        let Some(text) = asked.text("cursor")? else { return Ok(None) };
        let wrong = || Refusal::new(9812);
        if text.len() > CURSOR_BYTES_MAX {
            return Err(wrong());
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let (list, last) = text.split_once('\n').ok_or_else(wrong)?;
        if list == self.list { Ok(Some(last.to_owned())) } else { Err(wrong()) }
    }

    /// One page of what comes in the order of its keys.
    fn page(
        &self,
        all: Vec<(String, Value)>,
        after: Option<&str>,
        size: usize,
        (faults, operation): (&Faults, &str),
        name: &str,
        unit: &Unit,
    ) -> Said {
        let mut from = after.map_or(0, |last| all.partition_point(|(key, _)| key.as_str() <= last));
        if after.is_some() && faults.strikes(operation, Fault::PageDrift) {
            // as if something before this page had come or gone since the last one
            from = if faults.below(operation, 2) == 0 { from.saturating_sub(1) } else { from + 1 };
        }
        let found: Vec<&(String, Value)> = all.iter().skip(from).take(size).collect();
        let mut said = Map::new();
        if let Some((last, _)) = found.last().filter(|_| from + found.len() < all.len()) {
            said.insert("nextCursor".into(), json!(self.write(last)));
        }
        said.insert(name.into(), found.into_iter().map(|(_, it)| it.clone()).collect());
        said.insert("versionId".into(), json!(unit.version_id()));
        said
    }
}

/// So that keys are in the order of numbers.
fn key(id: AdamId, rest: &str) -> String {
    format!("{id:020} {rest}")
}

fn adam_id(asked: &mut Asked, name: &str) -> Result<Option<AdamId>, Refusal> {
    let read = |text: String| text.parse().map_err(|_| Refusal::new(9813));
    asked.text(name)?.map(read).transpose()
}

fn date(time: Time) -> String {
    let text = time.to_string();
    text.split('T').next().unwrap_or(&text).to_owned()
}

pub(in super::super) fn list(shared: &Shared, call: &mut Call) -> Result<Said, Refusal> {
    let (parent, only) = (adam_id(&mut call.asked, "parentAdamId")?, adam_id(&mut call.asked, "adamId")?);
    let list = format!("subscriptions {parent:?} {only:?}");
    let cursor = Cursor { list: &list };
    let after = cursor.read(&mut call.asked)?;
    call.asked.finish()?;
    let world = shared.locked();
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let owned = &unit.subscriptions.owned;
    let asked = owned.iter().filter(|(id, it)| {
        only.is_none_or(|only| only == **id) && parent.is_none_or(|parent| parent == it.parent_adam_id)
    });
    let shown = asked.map(|(id, it)| {
        let counts = unit.subscriptions.counts(*id);
        let mut said = json!({
            "parentAdamId": it.parent_adam_id, "adamId": id, "status": it.status(), "counts": counts,
        });
        if let (Some(said), Some(ends)) = (said.as_object_mut(), it.period_ends) {
            said.insert("periodEndDate".into(), json!(date(ends)));
        }
        (key(*id, ""), said)
    });
    let faults = (&*shared.faults, "subscriptions");
    Ok(cursor.page(shown.collect(), after.as_deref(), world.page_size, faults, "subscriptions", unit))
}

pub(in super::super) fn assignments(shared: &Shared, call: &mut Call) -> Result<Said, Refusal> {
    let (parent, only) = (adam_id(&mut call.asked, "parentAdamId")?, adam_id(&mut call.asked, "adamId")?);
    let user = call.asked.text("clientUserId")?;
    let list = format!("assignments {parent:?} {only:?} {user:?}");
    let cursor = Cursor { list: &list };
    let after = cursor.read(&mut call.asked)?;
    call.asked.finish()?;
    let world = shared.locked();
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let is_below = |id: &AdamId| {
        parent.is_none_or(|parent| unit.subscriptions.owned.get(id).is_some_and(|it| it.parent_adam_id == parent))
    };
    let asked = unit.subscriptions.assigned.iter().filter(|((id, who), _)| {
        only.is_none_or(|only| only == *id) && user.as_ref().is_none_or(|user| user == who) && is_below(id)
    });
    let shown = asked.map(|((id, who), it)| {
        (key(*id, who), json!({ "adamId": id, "clientUserId": who, "renewing": it.is_renewing }))
    });
    let faults = (&*shared.faults, "subscription-assignments");
    Ok(cursor.page(shown.collect(), after.as_deref(), world.page_size, faults, "assignments", unit))
}

pub(in super::super) fn admins(shared: &Shared, call: &mut Call) -> Result<Said, Refusal> {
    let only = adam_id(&mut call.asked, "adamId")?;
    let user = call.asked.text("clientUserId")?;
    let with_state = call.asked.value::<bool>("includeUserState")?.unwrap_or(false);
    let list = format!("admins {only:?} {user:?} {with_state}");
    let cursor = Cursor { list: &list };
    let after = cursor.read(&mut call.asked)?;
    call.asked.finish()?;
    let world = shared.locked();
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let asked = unit
        .subscriptions
        .admins
        .iter()
        .filter(|(id, who)| only.is_none_or(|only| only == *id) && user.as_ref().is_none_or(|user| user == who));
    let shown = asked.map(|(id, who)| {
        let mut said = json!({ "adamId": id, "clientUserId": who });
        if let (Some(said), Some(user), true) = (said.as_object_mut(), unit.active_user(who), with_state) {
            said.insert("userStatus".into(), json!(user.status));
            if let Some(hash) = &user.id_hash {
                said.insert("idHash".into(), json!(hash));
            }
        }
        (key(*id, who), said)
    });
    let faults = (&*shared.faults, "subscription-admins");
    Ok(cursor.page(shown.collect(), after.as_deref(), world.page_size, faults, "admins", unit))
}

pub(in super::super) fn enable(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    declare(shared, call, true)
}

/// 9818 while the unit has a subscription, whatever is left of it.
pub(in super::super) fn disable(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    declare(shared, call, false)
}

fn declare(shared: &Shared, call: &Call, is_supported: bool) -> Result<Said, Refusal> {
    call.asked.finish()?;
    call.without_body()?;
    let mut world = shared.locked();
    let unit = world.units.get_mut(&call.granted.uid).ok_or(Refusal::new(9634))?;
    if !is_supported && !unit.subscriptions.owned.is_empty() {
        return Err(Refusal::new(9818));
    }
    unit.subscriptions.is_supported = Some(is_supported);
    let mut said = Map::new();
    said.insert("subscriptionManagement".into(), json!(if is_supported { "ENABLED" } else { "DISABLED" }));
    Ok(said)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Associating {
    #[serde(default)]
    adam_ids: Vec<AdamId>,
    #[serde(default)]
    client_user_ids: Vec<String>,
    renewing: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Disassociating {
    #[serde(default)]
    adam_ids: Vec<AdamId>,
    #[serde(default)]
    client_user_ids: Vec<String>,
    #[serde(default)]
    deferred: bool,
}

pub(in super::super) fn associate(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    let Associating { adam_ids, client_user_ids, renewing } = call.read()?;
    change(shared, call, (adam_ids, client_user_ids), |ids, users| {
        Work::Subscribe(ids, users, renewing.unwrap_or(true))
    })
}

pub(in super::super) fn disassociate(shared: &Shared, call: &Call) -> Result<Said, Refusal> {
    let Disassociating { adam_ids, client_user_ids, deferred } = call.read()?;
    change(shared, call, (adam_ids, client_user_ids), |ids, users| Work::Unsubscribe(ids, users, deferred))
}

fn change(
    shared: &Shared,
    call: &Call,
    (ids, users): (Vec<AdamId>, Vec<String>),
    work: impl FnOnce(Vec<AdamId>, Vec<String>) -> Work,
) -> Result<Said, Refusal> {
    call.asked.finish()?;
    let mut world = shared.locked();
    let limits = world.limits;
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    if ids.is_empty() {
        return Err(Refusal::new(9718));
    }
    if users.is_empty() {
        return Err(Refusal::new(9719));
    }
    if ids.len() > limits.max_subscriptions {
        return Err(Refusal::new(9700));
    }
    if users.len() > limits.max_subscription_client_user_ids {
        return Err(Refusal::new(9701));
    }
    let (ids_twice, users_twice) = (twice(&ids), twice(&users));
    if !ids_twice.is_empty() {
        return Err(Refusal::about(9703, json!({ "adamIds": ids_twice })));
    }
    if !users_twice.is_empty() {
        return Err(Refusal::about(9704, json!({ "clientUserIds": users_twice })));
    }
    if users.iter().any(|id| id.is_empty() || id.len() > HOLDER_LENGTH_MAX) {
        return Err(Refusal::invalid("a client user ID is empty or too long"));
    }
    let unknown: Vec<&AdamId> = ids.iter().filter(|id| !unit.subscriptions.owned.contains_key(id)).collect();
    if !unknown.is_empty() {
        return Err(Refusal::about(9813, json!({ "adamIds": unknown })));
    }
    Ok(queued(shared, &mut world, &call.granted.uid, work(ids, users)))
}

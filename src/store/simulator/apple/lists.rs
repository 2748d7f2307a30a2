//! The three lists: assets, assignments, users; page by page, as they are at the moment of each page. Not here: anything that
//! changes them.
//!
//! A page index that is just behind the last page gives an empty page, since the list may have become shorter meanwhile; one
//! further on is 9650.

use super::Shared;
use super::entry::{Asked, Call};
use super::refusal::Refusal;
use super::world::{Asset, AssetId, Holder, ProductType, UNLIMITED, Unit, User, UserStatus, World};
use crate::store::simulator::faults::{Fault, Faults};
use serde_json::{Map, Value, json};

type Said = Map<String, Value>;

/// Changes a version to one that is not good any more, where a fault says so.
fn age_versions(shared: &Shared, world: &mut World, uid: &str, operation: &str) {
    if shared.faults.strikes(operation, Fault::VersionInvalid)
        && let Some(unit) = world.units.get_mut(uid)
    {
        unit.epoch += 1;
    }
}

fn since(asked: &mut Asked, unit: &Unit) -> Result<Option<u64>, Refusal> {
    let read = |text: String| unit.read_version(&text).ok_or(Refusal::new(9721));
    asked.text("sinceVersionId")?.map(read).transpose()
}

/// One page of a list.
struct Paged<'w, T> {
    found: &'w [T],
    index: usize,
    next: Option<usize>,
    total: usize,
}

fn page<'w, T>(
    all: &'w [T],
    index: usize,
    size: usize,
    faults: &Faults,
    operation: &str,
) -> Result<Paged<'w, T>, Refusal> {
    let total = all.len().div_ceil(size).max(1);
    if index > total {
        return Err(Refusal::new(9650));
    }
    let mut from = index.saturating_mul(size);
    if index > 0 && faults.strikes(operation, Fault::PageDrift) {
        // as if something before this page had come or gone since the last one
        from = if faults.below(operation, 2) == 0 { from.saturating_sub(1) } else { from + 1 };
    }
    let found = all.get(from.min(all.len())..(from + size).min(all.len())).unwrap_or_default();
    let next = (index + 1 < total).then_some(index + 1);
    Ok(Paged { found, index, next, total })
}

impl<T> Paged<'_, T> {
    fn say(&self, name: &str, list: Vec<Value>, unit: &Unit) -> Said {
        let mut said = Map::new();
        said.insert("currentPageIndex".into(), json!(self.index));
        if let Some(next) = self.next {
            said.insert("nextPageIndex".into(), json!(next));
        }
        said.insert("size".into(), json!(list.len()));
        said.insert("totalPages".into(), json!(self.total));
        said.insert("versionId".into(), json!(unit.version_id()));
        said.insert(name.into(), Value::Array(list));
        said
    }
}

pub(super) fn assets(shared: &Shared, call: &mut Call) -> Result<Said, Refusal> {
    let mut world = shared.locked();
    age_versions(shared, &mut world, &call.granted.uid, "assets");
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let asked = &mut call.asked;
    let index = asked.page_index()?;
    let adam_id = asked.text("adamId")?;
    let product_type = asked.one_of("productType", &["App", "Book"])?.map(|text| text == "Book");
    let pricing = asked.one_of("pricingParam", &["STDQ", "PLUS"])?;
    let device_assignable = asked.value::<bool>("deviceAssignable")?;
    let revocable = asked.value::<bool>("revocable")?;
    let unlimited = asked.value::<bool>("unlimited")?;
    let assigned = (asked.value::<u32>("minAssignedCount")?, asked.value::<u32>("maxAssignedCount")?);
    let available = (asked.value::<u32>("minAvailableCount")?, asked.value::<u32>("maxAvailableCount")?);
    asked.finish()?;
    let is_within = |count: u32, (least, most): (Option<u32>, Option<u32>)| {
        least.is_none_or(|least| count >= least) && most.is_none_or(|most| count <= most)
    };
    let fits = |asset: &&Asset| {
        adam_id.as_ref().is_none_or(|id| *id == asset.id.adam_id)
            && pricing.as_ref().is_none_or(|it| *it == asset.id.pricing_param)
            && product_type.is_none_or(|is_book| is_book == (asset.product_type == ProductType::Book))
            && device_assignable.is_none_or(|it| it == asset.is_device_assignable)
            && revocable.is_none_or(|it| it == asset.is_revocable)
            && is_within(asset.assigned, assigned)
            && is_within(asset.available(), available)
            && (unlimited != Some(false) || !asset.is_unlimited)
    };
    let all: Vec<&Asset> = unit.assets.values().filter(fits).collect();
    let paged = page(&all, index, world.page_size, &shared.faults, "assets")?;
    let is_apart = unlimited == Some(true);
    let (without, counted): (Vec<&Asset>, Vec<&Asset>) =
        paged.found.iter().partition(|asset| is_apart && asset.is_unlimited);
    let mut said = paged.say("assets", counted.into_iter().map(|asset| shown(asset, true)).collect(), unit);
    if is_apart {
        said.insert("size".into(), json!(paged.found.len()));
        let without: Vec<Value> = without.into_iter().map(|asset| shown(asset, false)).collect();
        said.insert("unlimitedAssets".into(), Value::Array(without));
    }
    Ok(said)
}

fn shown(asset: &Asset, has_counts: bool) -> Value {
    let mut said = json!({
        "adamId": asset.id.adam_id,
        "pricingParam": asset.id.pricing_param,
        "productType": asset.product_type,
        "assignedCount": asset.assigned,
        "deviceAssignable": asset.is_device_assignable,
        "revocable": asset.is_revocable,
        "supportedPlatforms": asset.supported_platforms,
    });
    if let Some(said) = said.as_object_mut().filter(|_| has_counts) {
        said.insert("totalCount".into(), json!(if asset.is_unlimited { UNLIMITED } else { asset.total }));
        said.insert("availableCount".into(), json!(asset.available()));
        said.insert("retiredCount".into(), json!(asset.retired));
    }
    said
}

pub(super) fn assignments(shared: &Shared, call: &mut Call) -> Result<Said, Refusal> {
    let mut world = shared.locked();
    age_versions(shared, &mut world, &call.granted.uid, "assignments");
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let asked = &mut call.asked;
    let index = asked.page_index()?;
    let since = since(asked, unit)?;
    let adam_id = asked.text("adamId")?;
    let pricing = asked.one_of("pricingParam", &["STDQ", "PLUS"])?;
    let user = asked.text("clientUserId")?;
    let device = asked.text("serialNumber")?;
    let only_active = asked.value::<bool>("excludeInactiveUsers")?.unwrap_or(false);
    let with_state = asked.value::<bool>("includeUserState")?.unwrap_or(false);
    asked.finish()?;
    let whose = match (user, device) {
        (Some(_), Some(_)) => return Err(Refusal::invalid("one of clientUserId and serialNumber")),
        (Some(id), None) => Some(Holder::User(id)),
        (None, Some(serial)) => Some(Holder::Device(serial)),
        (None, None) => None,
    };
    let is_active = |holder: &Holder| match holder {
        Holder::User(id) => unit.active_user(id).is_some(),
        Holder::Device(_) => true,
    };
    let fits = |(asset, holder): &&(AssetId, Holder)| {
        adam_id.as_ref().is_none_or(|id| *id == asset.adam_id)
            && pricing.as_ref().is_none_or(|it| *it == asset.pricing_param)
            && whose.as_ref().is_none_or(|it| it == holder)
            && (!only_active || is_active(holder))
    };
    // what is asked of one holder or title is answered from where it is written
    let is_whole = whose.is_none() && adam_id.is_none() && since.is_none();
    let is_stale = is_whole && shared.faults.strikes("assignments", Fault::StaleList);
    let newest = if is_stale { unit.assignments.keys().next_back().copied().unwrap_or(0) } else { u64::MAX };
    let from = since.map_or(0, |it| it + 1);
    let all: Vec<&(AssetId, Holder)> =
        unit.assignments.range(from..newest.max(from)).map(|(_, it)| it).filter(fits).collect();
    let paged = page(&all, index, world.page_size, &shared.faults, "assignments")?;
    let list = paged.found.iter().map(|(asset, holder)| assignment(unit, asset, holder, with_state)).collect();
    Ok(paged.say("assignments", list, unit))
}

fn assignment(unit: &Unit, asset: &AssetId, holder: &Holder, with_state: bool) -> Value {
    let (name, id) = match holder {
        Holder::User(id) => ("clientUserId", id),
        Holder::Device(serial) => ("serialNumber", serial),
    };
    let mut said = json!({ "adamId": asset.adam_id, "pricingParam": asset.pricing_param, name: id });
    if let (Holder::User(id), Some(said), true) = (holder, said.as_object_mut(), with_state) {
        let user = unit.active_user(id);
        said.insert("userStatus".into(), json!(user.map_or(UserStatus::Retired, |user| user.status)));
        if let Some(hash) = user.and_then(|user| user.id_hash.as_ref()) {
            said.insert("idHash".into(), json!(hash));
        }
    }
    said
}

pub(super) fn users(shared: &Shared, call: &mut Call) -> Result<Said, Refusal> {
    let mut world = shared.locked();
    age_versions(shared, &mut world, &call.granted.uid, "users");
    let unit = world.units.get(&call.granted.uid).ok_or(Refusal::new(9634))?;
    let asked = &mut call.asked;
    let index = asked.page_index()?;
    let since = since(asked, unit)?;
    let id = asked.text("clientUserId")?;
    let only_active = asked.value::<bool>("activeOnly")?.unwrap_or(false);
    let no_retired = asked.one_of("includeRetired", &["0", "1"])?.is_some_and(|it| it == "0");
    asked.finish()?;
    let fits = |user: &&User| {
        id.as_ref().is_none_or(|id| *id == user.client_user_id)
            && since.is_none_or(|since| user.changed > since)
            && (user.status != UserStatus::Retired || !(only_active || no_retired))
    };
    let all: Vec<&User> = unit.users.iter().filter(fits).collect();
    let paged = page(&all, index, world.page_size, &shared.faults, "users")?;
    let list = paged.found.iter().map(|user| user_shown(user)).collect();
    Ok(paged.say("users", list, unit))
}

fn user_shown(user: &User) -> Value {
    let mut said = Map::new();
    said.insert("clientUserId".into(), json!(user.client_user_id));
    said.insert("status".into(), json!(user.status));
    let more = [("email", &user.email), ("idHash", &user.id_hash), ("inviteCode", &user.invite_code)];
    said.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?)))));
    Value::Object(said)
}

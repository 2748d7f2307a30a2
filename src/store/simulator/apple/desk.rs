//! The order desk and back door: what an organization, another tool or Apple itself does, at once and without the protocol.
//! Not here: how an order comes over HTTP.

use super::Shared;
use super::limits::Limits;
use super::notice::{self, Notice};
use super::subscriptions::desk::{self as subscriptions, SubscriptionChange};
use super::world::{
    ASSETS_MAX, Asset, AssetId, By, Holder, MdmInfo, ProductType, Token, UNITS_MAX, UNLIMITED, Unit, World,
};
use super::{event, token};
use crate::store::simulator::clock::later;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// One thing to be done. Over HTTP it is `{"order": "purchase", "uid": ..., ...}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    Unit(NewUnit),
    /// A content token of a unit.
    Token(NewToken),
    /// Every token of the unit that was made so far.
    RevokeTokens {
        uid: String,
    },
    ExpireTokens {
        uid: String,
    },
    Purchase(NewAsset),
    /// Lowers the total, below what is assigned too.
    Refund {
        uid: String,
        adam_id: String,
        pricing_param: Option<String>,
        quantity: u32,
    },
    /// Moves unassigned licenses to another unit.
    Transfer {
        from: String,
        to: String,
        adam_id: String,
        pricing_param: Option<String>,
        quantity: u32,
    },
    /// Licenses that are spent, and count no more.
    RetireLicenses {
        uid: String,
        adam_id: String,
        pricing_param: Option<String>,
        quantity: u32,
    },
    /// By another tool, at once; makes the user that it needs.
    Associate {
        uid: String,
        tool: String,
        adam_id: String,
        pricing_param: Option<String>,
        holder: Holder,
    },
    Disassociate {
        uid: String,
        tool: String,
        adam_id: String,
        pricing_param: Option<String>,
        holder: Holder,
    },
    /// Another tool says that the unit is its own; without any, nobody's.
    TakeOver {
        uid: String,
        mdm_info: Option<MdmInfo>,
    },
    /// From now on events fail for this holder with this number; without one, no more.
    Bar {
        uid: String,
        holder: Holder,
        number: Option<u16>,
    },
    AcceptInvitation {
        uid: String,
        client_user_id: String,
    },
    Limits(Limits),
    PageSize {
        size: usize,
    },
    /// Versions that were handed out are good no more.
    InvalidateVersions {
        uid: String,
    },
    Subscription {
        uid: String,
        adam_id: u64,
        change: SubscriptionChange,
    },
    /// Carries out every event that waits, and shows what became of it.
    FinishEvents,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewUnit {
    /// Made up where none is given.
    pub uid: Option<String>,
    pub name: String,
    pub org_name: String,
    /// Two letters.
    pub country: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    pub uid: String,
    #[serde(default)]
    pub is_read_only: bool,
    /// A year where none is given.
    pub expires_in_days: Option<u32>,
}

/// A purchase: of a title that the unit has, or of a new one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAsset {
    pub uid: String,
    /// Digits.
    pub adam_id: String,
    /// `STDQ` where none is given.
    pub pricing_param: Option<String>,
    pub quantity: u32,
    #[serde(default)]
    pub is_unlimited: bool,
    /// A book is neither device-assignable nor revocable.
    #[serde(default)]
    pub is_book: bool,
    #[serde(default = "yes")]
    pub is_device_assignable: bool,
}

fn yes() -> bool {
    true
}

impl NewAsset {
    /// An app of the usual price, for users and devices.
    #[must_use]
    pub fn app(uid: &str, adam_id: &str, quantity: u32) -> Self {
        let (uid, adam_id) = (uid.to_owned(), adam_id.to_owned());
        Self {
            uid,
            adam_id,
            pricing_param: None,
            quantity,
            is_unlimited: false,
            is_book: false,
            is_device_assignable: true,
        }
    }
}

/// What came of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Placed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The content token, to be sent as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset: Option<Asset>,
}

/// One assigned license.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SeatOfTitle {
    #[serde(flatten)]
    pub asset: AssetId,
    pub holder: Holder,
}

/// A unit, as the back door shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnitSeen {
    pub uid: String,
    pub name: String,
    pub mdm_info: Option<MdmInfo>,
    pub notification_url: Option<String>,
    pub notification_types: Vec<String>,
    pub tokens: usize,
    pub assets: usize,
    pub users: usize,
    pub assignments: usize,
}

fn title(adam_id: String, pricing_param: Option<String>) -> AssetId {
    AssetId { adam_id, pricing_param: pricing_param.unwrap_or_else(|| "STDQ".into()) }
}

pub(super) fn unit<'w>(world: &'w mut World, uid: &str) -> Result<&'w mut Unit, String> {
    world.units.get_mut(uid).ok_or_else(|| format!("there is no unit {uid}"))
}

fn owned<'w>(world: &'w mut World, uid: &str, id: &AssetId) -> Result<&'w mut Asset, String> {
    let asset = unit(world, uid)?.assets.get_mut(id);
    asset.ok_or_else(|| format!("the unit {uid} owns no {} at {}", id.adam_id, id.pricing_param))
}

pub(super) fn place(shared: &Shared, order: Order) -> Result<Placed, String> {
    let mut world = shared.locked();
    let world = &mut *world;
    let mut placed = Placed::default();
    match order {
        Order::Unit(new) => placed.uid = Some(new_unit(world, new)?),
        Order::Token(new) => placed.token = Some(new_token(shared, world, &new)?),
        Order::RevokeTokens { uid } => {
            unit(world, &uid)?.tokens.iter_mut().for_each(|token| token.is_revoked = true);
        }
        Order::ExpireTokens { uid } => {
            let now = shared.clock.now();
            unit(world, &uid)?.tokens.iter_mut().for_each(|token| token.expires_at = now);
        }
        Order::Purchase(new) => placed.asset = Some(purchase(shared, world, new)?),
        Order::Refund { uid, adam_id, pricing_param, quantity } => {
            let id = title(adam_id, pricing_param);
            lower(world, &uid, &id, quantity)?;
            count(shared, world, &uid, &id, -i64::from(quantity));
            placed.asset = Some(owned(world, &uid, &id)?.clone());
        }
        Order::Transfer { from, to, adam_id, pricing_param, quantity } => {
            placed.asset = Some(transfer(shared, world, (&from, &to), title(adam_id, pricing_param), quantity)?);
        }
        Order::RetireLicenses { uid, adam_id, pricing_param, quantity } => {
            let asset = owned(world, &uid, &title(adam_id, pricing_param))?;
            if asset.is_unlimited || asset.available() < quantity {
                return Err("so many are not unassigned".into());
            }
            asset.retired += quantity;
            placed.asset = Some(asset.clone());
        }
        Order::Associate { uid, tool, adam_id, pricing_param, holder } => {
            let id = title(adam_id, pricing_param);
            let (at, World { units, journal, .. }) = (shared.clock.now(), world);
            let unit = units.get_mut(&uid).ok_or("there is no such unit")?;
            if let Holder::User(client_user_id) = &holder
                && unit.active_user(client_user_id).is_none()
            {
                let asked = json!({ "clientUserId": client_user_id });
                let asked = serde_json::from_value(asked).map_err(|error| error.to_string())?;
                unit.create_user(&asked).map_err(|number| format!("Apple says {number}"))?;
            }
            let mut by = By { journal, at, who: &tool, event: "" };
            unit.associate(&id, &holder, &mut by).map_err(|number| format!("Apple says {number}"))?;
        }
        Order::Disassociate { uid, tool, adam_id, pricing_param, holder } => {
            let id = title(adam_id, pricing_param);
            let (at, World { units, journal, .. }) = (shared.clock.now(), world);
            let unit = units.get_mut(&uid).ok_or("there is no such unit")?;
            let mut by = By { journal, at, who: &tool, event: "" };
            unit.disassociate(&id, &holder, &mut by).map_err(|number| format!("Apple says {number}"))?;
        }
        Order::TakeOver { uid, mdm_info } => unit(world, &uid)?.config.mdm_info = mdm_info,
        Order::Bar { uid, holder, number } => {
            let barred = &mut unit(world, &uid)?.barred;
            match number {
                Some(number) => barred.insert(holder, number),
                None => barred.remove(&holder),
            };
        }
        Order::AcceptInvitation { uid, client_user_id } => {
            let accepted = unit(world, &uid)?.accept_invitation(&client_user_id);
            accepted.map_err(|number| format!("Apple says {number}"))?;
            let body = json!({ "associatedUsers": [{ "clientUserId": client_user_id }] });
            notice::post(shared, world, &uid, Notice { name: "USER_ASSOCIATED", body });
        }
        Order::Limits(limits) => world.limits = limits,
        Order::PageSize { size } => world.page_size = size.max(1),
        Order::InvalidateVersions { uid } => unit(world, &uid)?.epoch += 1,
        Order::Subscription { uid, adam_id, change } => subscriptions::change(shared, world, &uid, adam_id, change)?,
        Order::FinishEvents => event::finish_all(shared, world),
    }
    Ok(placed)
}

fn new_unit(world: &mut World, new: NewUnit) -> Result<String, String> {
    if world.units.len() >= UNITS_MAX {
        return Err(format!("{UNITS_MAX} units are enough"));
    }
    let uid = new.uid.unwrap_or_else(|| (2_049_025_000_431_439 + world.next()).to_string());
    if world.units.contains_key(&uid) || uid.is_empty() || uid.contains(['-', ':']) {
        return Err(format!("{uid:?} is taken or can't be a unit's id"));
    }
    let unit = Unit::new(uid.clone(), new.name, new.org_name, new.country.unwrap_or_else(|| "US".into()));
    world.units.insert(uid.clone(), unit);
    Ok(uid)
}

fn new_token(shared: &Shared, world: &mut World, new: &NewToken) -> Result<String, String> {
    let secret = format!("{}{}", world.uuid(), world.uuid());
    let days = new.expires_in_days.unwrap_or(365);
    let expires_at = later(shared.clock.now(), Duration::from_secs(u64::from(days) * 86_400));
    let token = Token { secret, expires_at, is_read_only: new.is_read_only, is_revoked: false };
    let unit = unit(world, &new.uid)?;
    let content = token::content(&token, &unit.org_name);
    unit.tokens.push(token);
    Ok(content)
}

fn purchase(shared: &Shared, world: &mut World, new: NewAsset) -> Result<Asset, String> {
    let id = title(new.adam_id, new.pricing_param);
    if id.adam_id.is_empty()
        || !id.adam_id.bytes().all(|byte| byte.is_ascii_digit())
        || !["STDQ", "PLUS"].contains(&id.pricing_param.as_str())
    {
        return Err("an adam id is digits, a pricing param STDQ or PLUS".into());
    }
    let unit = unit(world, &new.uid)?;
    if unit.assets.len() >= ASSETS_MAX {
        return Err(format!("{ASSETS_MAX} titles are enough"));
    }
    let asset = unit.assets.entry(id.clone()).or_insert_with(|| Asset {
        id: id.clone(),
        product_type: if new.is_book { ProductType::Book } else { ProductType::App },
        is_unlimited: new.is_unlimited,
        total: 0,
        assigned: 0,
        retired: 0,
        is_device_assignable: new.is_device_assignable && !new.is_book,
        is_revocable: !new.is_book,
        supported_platforms: vec!["iOS".into(), "macOS".into()],
    });
    let total = asset.total.checked_add(new.quantity).filter(|total| *total < UNLIMITED);
    asset.total = total.ok_or("so many can't be counted")?;
    let asset = asset.clone();
    unit.touch();
    count(shared, world, &new.uid, &id, i64::from(new.quantity));
    Ok(asset)
}

fn lower(world: &mut World, uid: &str, id: &AssetId, quantity: u32) -> Result<(), String> {
    let asset = owned(world, uid, id)?;
    asset.total = asset.total.checked_sub(quantity).ok_or("so many were never bought")?;
    unit(world, uid)?.touch();
    Ok(())
}

fn transfer(
    shared: &Shared,
    world: &mut World,
    (from, to): (&str, &str),
    id: AssetId,
    quantity: u32,
) -> Result<Asset, String> {
    unit(world, to)?;
    let there = owned(world, from, &id)?;
    if there.is_unlimited || there.available() < quantity || from == to {
        return Err("so many are not unassigned there".into());
    }
    let like = there.clone();
    lower(world, from, &id, quantity)?;
    count(shared, world, from, &id, -i64::from(quantity));
    let new = NewAsset {
        uid: to.to_owned(),
        adam_id: id.adam_id,
        pricing_param: Some(id.pricing_param),
        quantity,
        is_unlimited: false,
        is_book: like.product_type == ProductType::Book,
        is_device_assignable: like.is_device_assignable,
    };
    purchase(shared, world, new)
}

/// Tells the unit's tool that a count has changed.
fn count(shared: &Shared, world: &mut World, uid: &str, id: &AssetId, delta: i64) {
    let body = json!({ "adamId": id.adam_id, "pricingParam": id.pricing_param, "countDelta": delta });
    notice::post(shared, world, uid, Notice { name: "ASSET_COUNT", body });
}

pub(super) fn units(shared: &Shared) -> Vec<UnitSeen> {
    let seen = |unit: &Unit| UnitSeen {
        uid: unit.uid.clone(),
        name: unit.name.clone(),
        mdm_info: unit.config.mdm_info.clone(),
        notification_url: unit.config.notification_url.clone(),
        notification_types: unit.config.notification_types.clone(),
        tokens: unit.tokens.len(),
        assets: unit.assets.len(),
        users: unit.users.len(),
        assignments: unit.assignments.len(),
    };
    shared.locked().units.values().map(seen).collect()
}

pub(super) fn assignments(shared: &Shared, uid: &str) -> Result<Vec<SeatOfTitle>, String> {
    let mut world = shared.locked();
    let all = unit(&mut world, uid)?.assignments.values();
    Ok(all.map(|(asset, holder)| SeatOfTitle { asset: asset.clone(), holder: holder.clone() }).collect())
}

pub(super) fn assets(shared: &Shared, uid: &str) -> Result<Vec<Asset>, String> {
    Ok(unit(&mut shared.locked(), uid)?.assets.values().cloned().collect())
}

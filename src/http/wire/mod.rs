//! Commands as HTTP writes them, turned into what the ledger takes. A single call and a line of `POST /commands` come
//! through the same way: the call's path becomes fields, and [`Wire::read`] reads the fields. Not here: what is answered.

pub(crate) mod bodies;
mod inventory;
pub(crate) mod kind;
pub(in crate::http) mod quick;
pub(crate) mod text;
pub(crate) mod words;

use super::auth::Caller;
use super::inputs::shaped;
use super::problem::Problem;
use super::refs;
use crate::domain::command::{Command, HolderRef, Intake, NewReview, Observation, RefundOrder, TargetRef};
use crate::domain::facts::{AppPrice, Brake, DeviceFacts, GroupKind, PolicyPatch, SettingsPatch};
use crate::domain::ids::{DriftId, HeldId, ReviewId, SyncId, TokenId};
use crate::domain::key::Provider;
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::domain::time::Time;
use crate::ledger::Ask;
use crate::store::connect::check_settings;
use bodies::{
    Aside, AssignBody, DecisionBody, DepartureBody, DeviceBody, GroupBody, InstallBody, InventoryBody, MoneyBody,
    OfflineLicenseBody, PolicyBody, RefundBody, ReviewBody, SettingsBody, StoreAccountBody, SyncBody, TargetBody,
    ToolBody, UserBody,
};
use kind::Kind;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use text::{Comment, Label, Reference};

const DAYS_MAX: u32 = 3650;
const MEMBERS_MAX: usize = 200_000;
/// Of a store account.
const SETTINGS_BYTES_MAX: u64 = 2048;
/// With as many as these a record stays within its bound.
const REVIEW_POOLS_MAX: u64 = 200;
const REVIEWERS_MAX: u64 = 50;

/// One command, read.
pub(super) struct Wire {
    pub(super) kind: Kind,
    pub(super) ask: Ask,
    pub(super) occurred_at: Option<Time>,
    pub(super) reason: Option<String>,
    pub(super) content_hash: u64,
    /// The names that a list of members had, to say which were not known.
    pub(super) members: Vec<String>,
}

impl Wire {
    /// Reads a command's fields; those of the path stand among them. Without an id there is nothing to tell it from.
    pub(super) fn read(
        caller: &Caller,
        kind: Kind,
        mut fields: Map<String, Value>,
        is_repeatable: bool,
    ) -> Result<Self, Problem> {
        let content_hash = if is_repeatable { hash_of(kind, &fields) } else { 0 };
        let mut aside = Map::new();
        for name in ["occurred_at", "reason"] {
            aside.extend(fields.remove(name).map(|value| (name.to_owned(), value)));
        }
        let aside: Aside = shaped(aside)?;
        let (ask, members) = ask(caller, kind, fields)?;
        Ok(Self {
            kind,
            ask,
            occurred_at: aside.occurred_at,
            reason: aside.reason.map(|reason| reason.0),
            content_hash,
            members,
        })
    }
}

/// Fields are sorted by name, so that the same content has the same hash whatever the order it was written in.
fn hash_of(kind: Kind, fields: &impl Serialize) -> u64 {
    let text = serde_json::to_vec(&(kind, fields)).unwrap_or_default();
    let [a, b, c, d, e, f, g, h, ..]: [u8; 32] = Sha256::digest(&text).into();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// A field that a single call has in its path.
fn taken(fields: &mut Map<String, Value>, name: &str) -> Result<String, Problem> {
    match fields.remove(name) {
        Some(Value::String(text)) => serde_json::from_value::<Reference>(Value::String(text))
            .map(|reference| reference.0)
            .map_err(|error| Problem::meaningless(format!("{name}: {error}")).with("field", name)),
        Some(_) => Err(Problem::unreadable(format!("{name}: a reference is a string")).with("field", name)),
        None => Err(Problem::unreadable(format!("missing field `{name}`")).with("field", name)),
    }
}

/// No field is left that the call does not know.
fn nothing_else(fields: &Map<String, Value>) -> Result<(), Problem> {
    match fields.keys().next() {
        Some(name) => Err(Problem::unreadable(format!("unknown field `{name}`")).with("field", name.clone())),
        None => Ok(()),
    }
}

fn command(command: Command) -> (Ask, Vec<String>) {
    (Ask::Intake(Intake::Command(command)), Vec::new())
}

fn observation(observation: Observation) -> (Ask, Vec<String>) {
    (Ask::Intake(Intake::Observation(observation)), Vec::new())
}

#[expect(clippy::too_many_lines, reason = "one arm a kind of command")]
fn ask(caller: &Caller, kind: Kind, mut fields: Map<String, Value>) -> Result<(Ask, Vec<String>), Problem> {
    let f = &mut fields;
    Ok(match kind {
        Kind::Assign => {
            let AssignBody { pool, target, intent, mode, licensing } = shaped(fields)?;
            let (pool, target) = (refs::pool(&pool.0)?, target_of(caller, &target)?);
            command(Command::Assign { pool, target, intent, mode, licensing })
        }
        Kind::Unassign => {
            let assignment = refs::assignment(&taken(f, "assignment")?);
            nothing_else(f)?;
            command(Command::Unassign { assignment })
        }
        Kind::Install | Kind::Uninstall => {
            let body: InstallBody = shaped(fields)?;
            let (pool, device) = (refs::pool(&body.pool.0)?, caller.device(&body.device.0)?);
            let user = match (&body.user, body.all_users) {
                (Some(user), false) => Some(caller.user(&user.0)?),
                (None, true) => None,
                (Some(_), true) | (None, false) => {
                    return Err(Problem::meaningless("an install is of one user, or of all_users"));
                }
            };
            let is_report = body.report;
            command(if kind == Kind::Install {
                Command::Install { pool, device, user, is_report }
            } else {
                Command::Uninstall { pool, device, user, is_report }
            })
        }
        Kind::Depart => {
            let user = caller.user(&taken(f, "user")?)?;
            let DepartureBody { cause, retire_devices } = shaped(fields)?;
            observation(Observation::Depart { user, cause, retire_devices })
        }
        Kind::Return => {
            let user = caller.user(&taken(f, "user")?)?;
            nothing_else(f)?;
            observation(Observation::Return { user })
        }
        Kind::Refund => {
            let pool = refs::pool(&taken(f, "pool")?)?;
            let body: RefundBody = shaped(fields)?;
            let explains = body.explains.map(|drift| drift.0.parse().unwrap_or(DriftId(u32::MAX)));
            let (quantity, ordered_on) = (body.quantity, body.ordered_on);
            let amount = money(body.amount)?;
            command(Command::Refund(RefundOrder { pool, order: body.order.0, quantity, ordered_on, amount, explains }))
        }
        Kind::Erase => {
            let holder = caller.holder(&taken(f, "holder")?)?;
            nothing_else(f)?;
            command(Command::Erase { holder })
        }
        Kind::Reclaim | Kind::Adopt | Kind::Grant => {
            let (pool, holder) = (refs::pool(&taken(f, "pool")?)?, caller.holder(&taken(f, "holder")?)?);
            nothing_else(f)?;
            command(if kind == Kind::Reclaim {
                Command::Reclaim { pool, holder }
            } else if kind == Kind::Adopt {
                Command::Adopt { pool, holder }
            } else {
                Command::Grant { pool, holder }
            })
        }
        Kind::SetPolicy => {
            let pool = refs::pool(&taken(f, "pool")?)?;
            let body: PolicyBody = shaped(fields)?;
            if let Some(Some(days)) = body.reservation_timeout_days {
                within("reservation_timeout_days", u64::from(days), 1, u64::from(DAYS_MAX))?;
            }
            let patch = PolicyPatch {
                on_uninstall: body.on_uninstall,
                untargeted: body.untargeted,
                deficit: body.deficit,
                on_device_retirement: body.on_device_retirement,
                reservation_timeout_days: body.reservation_timeout_days,
            };
            command(Command::SetPolicy { pool, patch })
        }
        Kind::ResolveDeficit => {
            let pool = refs::pool(&taken(f, "pool")?)?;
            nothing_else(f)?;
            command(Command::ResolveDeficit { pool })
        }
        Kind::PutUser => {
            let user = caller.user(&taken(f, "user")?)?;
            let body: UserBody = shaped(fields)?;
            within("emails", body.emails.len() as u64, 0, 20)?;
            let plain = |label: Option<Label>| label.and_then(Label::text);
            let profile = UserProfile {
                user_name: body.user_name.0,
                external_id: plain(body.external_id),
                display_name: plain(body.display_name),
                emails: body.emails.into_iter().map(|email| email.0).collect(),
            };
            (Ask::PutUser { user, profile }, Vec::new())
        }
        Kind::PutGroup => {
            let group = refs::group(&taken(f, "group")?)?;
            let GroupBody { kind, members: named } = shaped(fields)?;
            if named.len() > MEMBERS_MAX {
                return Err(Problem::new("too-large", format!("a group has at most {MEMBERS_MAX} members")));
            }
            let members = named.iter().map(|member| member_of(caller, kind, &member.0)).collect::<Result<_, _>>()?;
            let named = named.into_iter().map(|member| member.0).collect();
            (Ask::Intake(Intake::Observation(Observation::PutGroup { group, kind, members })), named)
        }
        Kind::DeleteGroup => {
            let group = refs::group(&taken(f, "group")?)?;
            nothing_else(f)?;
            observation(Observation::DeleteGroup { group })
        }
        Kind::PutDevice => (put_device(caller, fields)?, Vec::new()),
        Kind::RetireDevice => {
            let device = caller.device(&taken(f, "device")?)?;
            nothing_else(f)?;
            observation(Observation::RetireDevice { device })
        }
        Kind::IssueOfflineLicense => {
            let pool = refs::pool(&taken(f, "pool")?)?;
            let OfflineLicenseBody { user, device } = shaped(fields)?;
            let holder = match (user, device) {
                (Some(user), None) => HolderRef::User(caller.user(&user.0)?),
                (None, Some(device)) => HolderRef::Device(caller.device(&device.0)?),
                (Some(_), Some(_)) | (None, None) => {
                    return Err(Problem::meaningless("an offline license is issued to a user or to a device"));
                }
            };
            command(Command::IssueOfflineLicense { pool, holder })
        }
        Kind::PutInventory => {
            let body: InventoryBody = shaped(fields)?;
            observation(Observation::Inventory(inventory::declared(caller, body)?))
        }
        Kind::ChangeSettings => command(Command::ChangeSettings { patch: settings(shaped(fields)?)? }),
        Kind::LinkStoreAccount => {
            let provider = provider(&taken(f, "provider")?)?;
            let StoreAccountBody { account_id, settings, credentials: _ } = shaped(fields)?;
            let settings = match settings {
                Some(settings) => account_settings(provider, settings)?,
                None => {
                    let known =
                        |view: &crate::projection::View| Some(view.state.accounts.get(&provider)?.settings.clone());
                    caller.service.ledger.read(caller.tenant, known)?.unwrap_or_else(|| "{}".into())
                }
            };
            let account_id = provider.account_name(&account_id.0);
            if account_id.is_empty() {
                return Err(Problem::meaningless("account_id names no account"));
            }
            command(Command::LinkStoreAccount { provider, account_id, settings, is_linked_elsewhere: false })
        }
        Kind::PutTool => {
            let tool = taken(f, "tool")?;
            let ToolBody { name } = shaped(fields)?;
            command(Command::ActivateTool { tool, name: name.0 })
        }
        Kind::DeleteTool => {
            let tool = taken(f, "tool")?;
            nothing_else(f)?;
            command(Command::DeactivateTool { tool })
        }
        Kind::StartSync => {
            let SyncBody { provider, full: is_full, dry_run: is_dry_run } = shaped(fields)?;
            let is_connected = caller.service.stores.is_connected(caller.tenant, provider);
            command(Command::StartSync { provider, is_full, is_dry_run, is_connected })
        }
        Kind::ConfirmSync => {
            let sync = taken(f, "sync")?.parse().unwrap_or(SyncId(u32::MAX));
            nothing_else(f)?;
            command(Command::ConfirmSync { sync })
        }
        Kind::ConfirmHeld => {
            let held = taken(f, "held")?.parse().unwrap_or(HeldId(u32::MAX));
            nothing_else(f)?;
            command(Command::ConfirmHeld { held })
        }
        Kind::OpenReview => command(Command::OpenReview(new_review(shaped(fields)?)?)),
        Kind::DecideReview => {
            let review = taken(f, "review")?.parse().unwrap_or(ReviewId(u32::MAX));
            caller.must_review(review)?;
            let DecisionBody { pool, holder, decision, comment } = shaped(fields)?;
            let (pool, holder) = (refs::pool(&pool.0)?, caller.holder(&holder.0)?);
            let comment = comment.and_then(Comment::text);
            command(Command::DecideReview { review, pool, holder, decision, comment })
        }
        Kind::EndReview | Kind::CancelReview => {
            let review = taken(f, "review")?.parse().unwrap_or(ReviewId(u32::MAX));
            nothing_else(f)?;
            command(if kind == Kind::EndReview {
                Command::EndReview { review }
            } else {
                Command::CancelReview { review }
            })
        }
        Kind::RevokeToken => {
            let token = taken(f, "token")?.parse().unwrap_or(TokenId(u32::MAX));
            nothing_else(f)?;
            command(Command::RevokeToken { token })
        }
    })
}

fn target_of(caller: &Caller, target: &TargetBody) -> Result<TargetRef, Problem> {
    match target {
        TargetBody { user: Some(user), device: None, group: None, exclude: None } => {
            Ok(TargetRef::User(caller.user(&user.0)?))
        }
        TargetBody { user: None, device: Some(device), group: None, exclude: None } => {
            Ok(TargetRef::Device(caller.device(&device.0)?))
        }
        TargetBody { user: None, device: None, group: Some(group), exclude } => {
            let exclude = exclude.as_ref().map(|exclude| refs::group(&exclude.0)).transpose()?;
            Ok(TargetRef::Group { group: refs::group(&group.0)?, exclude })
        }
        TargetBody { .. } => {
            Err(Problem::meaningless("a target is one user, one device or one group, and exclude goes with a group")
                .with("field", "target"))
        }
    }
}

/// In a group of one kind a member needs no prefix.
fn member_of(caller: &Caller, kind: GroupKind, text: &str) -> Result<HolderRef, Problem> {
    match (kind, text.strip_prefix("user:"), text.strip_prefix("device:")) {
        (_, Some(user), _) => caller.user(user).map(HolderRef::User),
        (_, _, Some(device)) => caller.device(device).map(HolderRef::Device),
        (GroupKind::Users, None, None) => caller.user(text).map(HolderRef::User),
        (GroupKind::Devices, None, None) => caller.device(text).map(HolderRef::Device),
        (GroupKind::Mixed, None, None) => caller.holder(text),
    }
}

fn put_device(caller: &Caller, mut fields: Map<String, Value>) -> Result<Ask, Problem> {
    let path = taken(&mut fields, "device")?;
    let body: DeviceBody = shaped(fields)?;
    let device = caller.device(&path)?;
    let mut names =
        DeviceNames { serial: body.serial.map(|serial| serial.0), device_id: body.device_id.map(|id| id.0) };
    if names.serial.is_none() && names.device_id.is_none() {
        // a device is known by something: by the name that the path calls it
        match path.strip_prefix("name:") {
            Some(name) => names.device_id = Some(name.trim_start().to_owned()),
            None if path.parse::<crate::domain::ids::DeviceId>().is_err() => names.device_id = Some(path.clone()),
            None => return Err(Problem::meaningless("a device has a serial or a device_id")),
        }
    }
    let facts = DeviceFacts {
        platform: body.platform.0,
        join: body.join,
        is_enrolled: body.enrolled,
        os_build: body.os_build,
        has_serial: names.serial.is_some(),
    };
    let primary_user = body.primary_user.map(|user| caller.user(&user.0)).transpose()?;
    Ok(Ask::PutDevice { device, names, facts, primary_user })
}

fn settings(body: SettingsBody) -> Result<SettingsPatch, Problem> {
    for (field, days) in
        [("departure_grace_days", body.departure_grace_days), ("return_window_days", body.return_window_days)]
    {
        within(field, u64::from(days.unwrap_or(0)), 0, u64::from(DAYS_MAX))?;
    }
    let language = body.language.map(|language| inventory::language(&language.0)).transpose()?;
    let brake = body.brake.map(|brake| Brake { share_percent: brake.share, at_least: brake.at_least });
    within("brake.share", u64::from(brake.map_or(0, |brake| brake.share_percent)), 0, 100)?;
    Ok(SettingsPatch {
        language,
        sync_enabled: body.sync_enabled,
        departure_grace_days: body.departure_grace_days,
        return_window_days: body.return_window_days,
        brake,
    })
}

fn new_review(body: ReviewBody) -> Result<NewReview, Problem> {
    let ReviewBody { name, pools, undecided, ends_at, reviewers } = body;
    within("pools", pools.len() as u64, 1, REVIEW_POOLS_MAX)?;
    within("reviewers", reviewers.len() as u64, 0, REVIEWERS_MAX)?;
    let pools = pools.iter().map(|pool| refs::pool(&pool.0)).collect::<Result<_, _>>()?;
    let reviewers = reviewers.iter().map(|token| token.0.parse().unwrap_or(TokenId(u32::MAX))).collect();
    Ok(NewReview { name: name.0, pools, undecided, ends_at, reviewers })
}

/// What is recorded stays for good: nothing gets there that the account's connector does not read.
fn account_settings(provider: Provider, settings: Map<String, Value>) -> Result<String, Problem> {
    let text = Value::Object(settings).to_string();
    within("settings", text.len() as u64, 0, SETTINGS_BYTES_MAX)?;
    let wrong = |said| Problem::unreadable(said).with("field", "settings");
    check_settings(provider, &text).map_err(wrong)?;
    Ok(text)
}

fn provider(text: &str) -> Result<Provider, Problem> {
    text.parse().map_err(|error: String| Problem::meaningless(error).with("field", "provider"))
}

fn money(body: MoneyBody) -> Result<AppPrice, Problem> {
    if body.currency.len() != 3 || !body.currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Problem::meaningless("a currency is three capital letters, as in EUR").with("field", "currency"));
    }
    Ok(AppPrice { currency: body.currency, minor_units: body.minor_units })
}

fn within(field: &str, value: u64, min: u64, max: u64) -> Result<(), Problem> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Problem::meaningless(format!("{field} is from {min} to {max}, not {value}")).with("field", field))
}

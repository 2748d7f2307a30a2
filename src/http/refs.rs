//! References as the outside writes them: the ledger's ids, or outside names. Not here: whether there is such a thing;
//! `decide` looks that up in the state it judges, reads in the state they show.

use super::auth::Caller;
use super::problem::Problem;
use crate::audit::hindsight::Moment;
use crate::audit::part::Wanted;
use crate::domain::command::{DeviceRef, GroupRef, HolderRef, PoolRef, UserRef};
use crate::domain::ids::{AssignmentId, DeviceId, GroupId, Holder, PoolId, UserId};
use crate::domain::key::PoolKey;
use crate::domain::state::{Group, Tenant};
use crate::projection::View;

/// Longer references name nothing.
pub(super) const REF_BYTES_MAX: usize = 1024;
/// In front of a name that could be taken for an id.
const FORCED: &str = "name:";

/// What a reference says: blanks around it, and behind `name:`, are no part of it.
fn bounded<'t>(field: &str, text: &'t str) -> Result<&'t str, Problem> {
    let text = text.trim();
    let wrong = |what: String| Err(Problem::meaningless(format!("{field} is {what}")).with("field", field));
    if text.is_empty() || text == FORCED {
        return wrong("empty".to_owned());
    }
    if text.len() <= REF_BYTES_MAX { Ok(text) } else { wrong(format!("longer than {REF_BYTES_MAX} bytes")) }
}

/// The name that a reference forces.
fn forced(text: &str) -> Option<&str> {
    text.strip_prefix(FORCED).map(str::trim_start)
}

/// What is no key is the key of no pool.
fn key(text: &str) -> Option<PoolKey> {
    match text.strip_prefix("declared:").map(str::trim_start) {
        Some("") => None,
        Some(sku) => Some(PoolKey::Declared { sku: sku.to_owned() }),
        None => text.parse().ok(),
    }
}

impl Caller {
    pub(super) fn user(&self, text: &str) -> Result<UserRef, Problem> {
        let text = bounded("user", text)?;
        Ok(self.service.ledger.user_ref(self.tenant, text))
    }

    pub(super) fn device(&self, text: &str) -> Result<DeviceRef, Problem> {
        let text = bounded("device", text)?;
        Ok(self.service.ledger.device_ref(self.tenant, text))
    }

    /// `user:<ref>` or `device:<ref>`; the ledger's own ids need no prefix.
    pub(super) fn holder(&self, text: &str) -> Result<HolderRef, Problem> {
        let text = bounded("holder", text)?;
        if let Some(user) = text.strip_prefix("user:") {
            return self.user(user).map(HolderRef::User);
        }
        if let Some(device) = text.strip_prefix("device:") {
            return self.device(device).map(HolderRef::Device);
        }
        match (text.parse(), text.parse()) {
            (Ok(user), _) => Ok(HolderRef::User(UserRef::Id(user))),
            (_, Ok(device)) => Ok(HolderRef::Device(DeviceRef::Id(device))),
            (Err(_), Err(_)) => {
                Err(Problem::meaningless("a holder is written user:<ref> or device:<ref>").with("field", "holder"))
            }
        }
    }

    /// What a reference means at a position, or now: an id means the same one always, a name who bore it then. Blocking.
    fn named_at<R>(
        &self,
        then: Option<u64>,
        holder: HolderRef,
        find: impl Fn(&Tenant) -> Result<R, Problem>,
    ) -> Result<R, Problem> {
        let Some(then) = then else { return self.service.ledger.read(self.tenant, |view| find(&view.state))? };
        let today = self.service.ledger.read(self.tenant, |view| {
            // of whom nothing was said since has the names of then
            let is_still = |holder: Holder| view.latest.is_still(holder, then);
            let names = &view.state.names;
            let is_same = match holder {
                HolderRef::User(UserRef::Id(_)) | HolderRef::Device(DeviceRef::Id(_)) => true,
                HolderRef::User(UserRef::Name(name)) => names.user(name).is_some_and(|user| is_still(user.into())),
                HolderRef::Device(DeviceRef::Name { serial, .. }) => {
                    names.device_by_serial(serial).is_some_and(|device| is_still(device.into()))
                }
            };
            is_same.then(|| find(&view.state))
        })?;
        match today {
            Some(found) => found,
            None => find(&self.view_of(Moment::at(then), &Wanted::Holder(holder))?.state),
        }
    }

    pub(super) fn user_at(&self, then: Option<u64>, text: &str) -> Result<UserId, Problem> {
        let user = self.user(text)?;
        self.named_at(then, HolderRef::User(user), |state| user_in(state, user))
    }

    pub(super) fn device_at(&self, then: Option<u64>, text: &str) -> Result<DeviceId, Problem> {
        let device = self.device(text)?;
        self.named_at(then, HolderRef::Device(device), |state| device_in(state, device))
    }

    pub(super) fn holder_at(&self, then: Option<u64>, holder: HolderRef) -> Result<Holder, Problem> {
        self.named_at(then, holder, |state| holder_in(state, holder))
    }
}

pub(super) fn group(text: &str) -> Result<GroupRef, Problem> {
    let text = bounded("group", text)?;
    Ok(match (forced(text), text.parse()) {
        (None, Ok(id)) => GroupRef::Id(id),
        (forced, _) => GroupRef::Name(forced.unwrap_or(text).to_owned()),
    })
}

pub(super) fn pool(text: &str) -> Result<PoolRef, Problem> {
    let text = bounded("pool", text)?;
    Ok(match (forced(text), text.parse()) {
        (None, Ok(id)) => PoolRef::Id(id),
        (forced, _) => key(forced.unwrap_or(text)).map_or(PoolRef::Id(PoolId(u32::MAX)), PoolRef::Key),
    })
}

pub(super) fn assignment(text: &str) -> AssignmentId {
    text.parse().unwrap_or(AssignmentId(u32::MAX))
}

/// What a reference names in a state that is read.
pub(super) fn pool_in(state: &Tenant, pool: &PoolRef) -> Result<PoolId, Problem> {
    let id = match pool {
        PoolRef::Id(id) => Some(*id).filter(|id| id.index() < state.pools.len()),
        PoolRef::Key(key) => state.pool_keys.get(key),
    };
    id.ok_or_else(|| Problem::new("pool-not-found", "no pool has this id or key"))
}

/// Also a deleted user, by id: history names them.
pub(super) fn user_in(state: &Tenant, user: UserRef) -> Result<UserId, Problem> {
    let id = match user {
        UserRef::Id(id) => Some(id).filter(|id| id.index() < state.users.len()),
        UserRef::Name(name) => state.names.user(name),
    };
    id.ok_or_else(|| Problem::new("user-not-found", "no user has this id or user name"))
}

pub(super) fn device_in(state: &Tenant, device: DeviceRef) -> Result<DeviceId, Problem> {
    let id = match device {
        DeviceRef::Id(id) => Some(id).filter(|id| id.index() < state.devices.len()),
        DeviceRef::Name { serial, device_id } => {
            state.names.device_by_serial(serial).or_else(|| state.names.device_by_device_id(device_id))
        }
    };
    id.ok_or_else(|| Problem::new("device-not-found", "no device has this id, serial number or device id"))
}

pub(super) fn group_in(state: &Tenant, group: &GroupRef) -> Result<GroupId, Problem> {
    let id = match group {
        GroupRef::Id(id) => Some(*id).filter(|id| id.index() < state.groups.len()),
        GroupRef::Name(name) => state.group_names.get(name).copied(),
    };
    id.ok_or_else(|| Problem::new("group-not-found", "no group has this id"))
}

/// A deleted group is as if it were not there.
pub(super) fn living_group_in<'s>(state: &'s Tenant, group: &GroupRef) -> Result<&'s Group, Problem> {
    let group = state.group(group_in(state, group)?);
    if group.is_deleted {
        return Err(Problem::new("group-not-found", "the group was deleted"));
    }
    Ok(group)
}

/// Also one who was not known yet, by id, of whom a seat or an install tells.
pub(super) fn user_told_of(view: &View, user: UserRef) -> Result<UserId, Problem> {
    let found = user_in(&view.state, user)?;
    let unknown = || Problem::new("user-not-found", "no user had this id then");
    if view.tells_of_user(found) { Ok(found) } else { Err(unknown()) }
}

pub(super) fn device_told_of(view: &View, device: DeviceRef) -> Result<DeviceId, Problem> {
    let found = device_in(&view.state, device)?;
    let unknown = || Problem::new("device-not-found", "no device had this id then");
    if view.tells_of_device(found) { Ok(found) } else { Err(unknown()) }
}

pub(super) fn holder_told_of(view: &View, holder: HolderRef) -> Result<Holder, Problem> {
    match holder {
        HolderRef::User(user) => user_told_of(view, user).map(Holder::User),
        HolderRef::Device(device) => device_told_of(view, device).map(Holder::Device),
    }
}

pub(super) fn holder_in(state: &Tenant, holder: HolderRef) -> Result<Holder, Problem> {
    match holder {
        HolderRef::User(user) => user_in(state, user).map(Holder::User),
        HolderRef::Device(device) => device_in(state, device).map(Holder::Device),
    }
}

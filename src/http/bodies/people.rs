//! People, devices and groups. Names are opened from their seals; where the person is erased they are null.

use crate::domain::event::Target;
use crate::domain::facts::{DepartureCause, GroupKind, Intent, Join, Licensing, Mode};
use crate::domain::ids::{AssignmentId, DeviceId, GroupId, Holder, PoolId, UserId};
use crate::domain::personal::Personal;
use crate::domain::state::{Assignment, Device, Group, Links, Tenant, User};
use crate::domain::time::Time;
use crate::http::wire::words;
use crate::ledger::Ledger;
use crate::projection::View;
use serde::Serialize;
use utoipa::ToSchema;

/// So many members stand in a group itself; its list has them all.
const MEMBERS_SHOWN_MAX: usize = 1000;

/// Something with names that are still sealed.
pub(in crate::http) struct Sealed<T> {
    body: T,
    names: Option<Personal>,
}

/// What hangs on a holder
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Links)]
struct LinksView {
    /// Pools of which a seat is held
    #[schema(value_type = Vec<String>)]
    seats: Vec<PoolId>,
    /// Pools in whose queue the holder waits
    #[schema(value_type = Vec<String>)]
    queued: Vec<PoolId>,
    /// Pools whose seat the holder lost and gets back by a grant, an install or a new assignment alone
    #[schema(value_type = Vec<String>)]
    lapsed: Vec<PoolId>,
    /// Pools whose app is installed for the user, or on the device
    #[schema(value_type = Vec<String>)]
    installed: Vec<PoolId>,
    #[schema(value_type = Vec<String>)]
    groups: Vec<GroupId>,
    /// Assignments to this holder alone
    #[schema(value_type = Vec<String>)]
    assignments: Vec<AssignmentId>,
}

impl LinksView {
    fn of(links: &Links) -> Self {
        Self {
            seats: links.seats.iter().copied().collect(),
            queued: links.queued.iter().copied().collect(),
            lapsed: links.lapsed.iter().copied().collect(),
            installed: links.installed.iter().copied().collect(),
            groups: links.groups.iter().copied().collect(),
            assignments: links.assignments.oldest_first(),
        }
    }
}

/// A person, whatever the directory calls them today
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(in crate::http) struct UserBody {
    #[schema(value_type = String)]
    id: UserId,
    /// Null once the person is erased, as are the other names
    user_name: Option<String>,
    external_id: Option<String>,
    display_name: Option<String>,
    emails: Vec<String>,
    /// Whether the names were erased, whatever instant is asked for
    erased: bool,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    departed: Option<DepartedView>,
    /// Pools whose seats a return offers; a grant takes them while they are free
    #[schema(value_type = Vec<String>)]
    offered: Vec<PoolId>,
    /// Devices whose primary user this is
    #[schema(value_type = Vec<String>)]
    devices: Vec<DeviceId>,
    #[serde(flatten)]
    links: LinksView,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

/// How and when a user left
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Departed)]
struct DepartedView {
    #[schema(value_type = words::DepartureCause)]
    cause: DepartureCause,
    #[schema(value_type = String, format = DateTime)]
    at: Time,
    /// Until when the seats stay
    #[schema(value_type = Option<String>, format = DateTime)]
    grace_until: Option<Time>,
}

impl UserBody {
    pub(in crate::http) fn of(state: &Tenant, user: &User) -> Sealed<Self> {
        let names = state.names.user_profile(user.id).map(|stored| stored.personal.clone());
        let departed = user.departed.map(|departed| DepartedView {
            cause: departed.cause,
            at: departed.at,
            grace_until: departed.grace_until,
        });
        let body = Self {
            id: user.id,
            user_name: None,
            external_id: None,
            display_name: None,
            emails: Vec::new(),
            erased: false,
            since: user.since,
            departed,
            offered: user.offered.iter().copied().collect(),
            devices: user.devices.iter().copied().collect(),
            links: LinksView::of(&user.links),
            position: None,
        };
        Sealed { body, names }
    }
}

impl Sealed<UserBody> {
    pub(in crate::http) fn open(self, ledger: &Ledger) -> UserBody {
        let Some(names) = self.names else { return self.body };
        let Some(profile) = ledger.user_profile(&names) else {
            return UserBody { erased: ledger.is_erased(&names), ..self.body };
        };
        UserBody {
            user_name: Some(profile.user_name),
            external_id: profile.external_id,
            display_name: profile.display_name,
            emails: profile.emails,
            ..self.body
        }
    }
}

/// A machine, through all its incarnations
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub(in crate::http) struct DeviceBody {
    #[schema(value_type = String)]
    id: DeviceId,
    serial: Option<String>,
    device_id: Option<String>,
    /// Whether the names were erased, whatever instant is asked for
    erased: bool,
    platform: String,
    #[schema(value_type = words::Join)]
    join: Join,
    enrolled: bool,
    os_build: Option<u32>,
    #[schema(value_type = Option<String>)]
    primary_user: Option<UserId>,
    retired: bool,
    /// Grows with each wipe and new enrolment under the same serial number
    incarnation: u32,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    #[serde(flatten)]
    links: LinksView,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

impl DeviceBody {
    pub(in crate::http) fn of(state: &Tenant, device: &Device) -> Sealed<Self> {
        let names = state.names.device_names(device.id).map(|stored| stored.personal.clone());
        let body = Self {
            id: device.id,
            serial: None,
            device_id: None,
            erased: false,
            platform: device.facts.platform.clone(),
            join: device.facts.join,
            enrolled: device.facts.is_enrolled,
            os_build: device.facts.os_build,
            primary_user: device.primary_user,
            retired: device.is_retired,
            incarnation: device.incarnation,
            since: device.since,
            links: LinksView::of(&device.links),
            position: None,
        };
        Sealed { body, names }
    }
}

impl Sealed<DeviceBody> {
    pub(in crate::http) fn open(self, ledger: &Ledger) -> DeviceBody {
        let Some(names) = self.names else { return self.body };
        let Some(names) = ledger.device_names(&names) else {
            return DeviceBody { erased: ledger.is_erased(&names), ..self.body };
        };
        DeviceBody { serial: names.serial, device_id: names.device_id, ..self.body }
    }
}

/// A set of users, of devices or of both
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Group)]
pub(in crate::http) struct GroupBody {
    #[schema(value_type = String)]
    id: GroupId,
    external_id: String,
    #[schema(value_type = words::GroupKind)]
    kind: GroupKind,
    members_count: u64,
    /// In the order in which they joined, at most 1000; not in lists of groups
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    members: Option<Vec<Holder>>,
    /// Living assignments that target this group
    #[schema(value_type = Vec<String>)]
    targeted_by: Vec<AssignmentId>,
    /// Living assignments that exclude this group
    #[schema(value_type = Vec<String>)]
    excluded_by: Vec<AssignmentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

impl GroupBody {
    pub(in crate::http) fn of(view: &View, group: &Group) -> Self {
        Self {
            id: group.id,
            external_id: group.external_id.clone(),
            kind: group.kind,
            members_count: view.members_count(group),
            members: None,
            targeted_by: group.targeted_by.oldest_first(),
            excluded_by: group.excluded_by.oldest_first(),
            position: None,
        }
    }

    pub(in crate::http) fn with_members(view: &View, group: &Group) -> Self {
        let members = group.members.iter().take(MEMBERS_SHOWN_MAX).collect();
        Self { members: Some(members), ..Self::of(view, group) }
    }
}

/// One member of a group
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(in crate::http) struct MemberBody {
    #[schema(value_type = String)]
    pub(in crate::http) holder: Holder,
}

/// An administrator's statement that a target should have an app
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assignment)]
pub(in crate::http) struct AssignmentBody {
    #[schema(value_type = String)]
    id: AssignmentId,
    #[schema(value_type = String)]
    pool: PoolId,
    pool_key: String,
    target: TargetView,
    #[schema(value_type = words::Intent)]
    intent: Intent,
    /// Of required assignments
    #[schema(value_type = Option<words::Mode>)]
    mode: Option<Mode>,
    #[schema(value_type = Option<words::Licensing>)]
    licensing: Option<Licensing>,
    ended: bool,
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    since_position: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

/// A user, a device, or a group, less those of another
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Target)]
pub(super) struct TargetView {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    user: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device: Option<DeviceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    group: Option<GroupId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    exclude: Option<GroupId>,
}

impl From<Target> for TargetView {
    fn from(target: Target) -> Self {
        match target {
            Target::User(user) => Self { user: Some(user), ..Self::default() },
            Target::Device(device) => Self { device: Some(device), ..Self::default() },
            Target::Group { group, exclude } => Self { group: Some(group), exclude, ..Self::default() },
        }
    }
}

impl AssignmentBody {
    pub(in crate::http) fn of(state: &Tenant, assignment: &Assignment) -> Self {
        let is_required = assignment.intent == Intent::Required;
        Self {
            id: assignment.id,
            pool: assignment.pool,
            pool_key: state.pool(assignment.pool).key.to_string(),
            target: assignment.target.into(),
            intent: assignment.intent,
            mode: is_required.then_some(assignment.mode),
            licensing: assignment.licensing,
            ended: assignment.is_ended,
            since: assignment.since,
            since_position: assignment.made_at,
            position: None,
        }
    }
}

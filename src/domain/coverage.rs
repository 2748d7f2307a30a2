//! Who is covered: which assignments reach a holder, and which intent prevails where several do (`domain.md` §3.3).
//!
//! A departed user and a retired device are covered by nothing. An exclusion counts only against members of its own
//! kind, which holds here by construction: a holder is looked up in the exclusion group as what it is.

use super::event::Target;
use super::facts::{DeviceFacts, Intent, Join, Licensing};
use super::ids::{AssignmentId, DeviceId, GroupId, Holder, PoolId, UserId};
use super::key::Provider;
use super::state::{Assignment, Pool, Tenant};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The first Windows 10 build that may carry a store app: version 1511.
pub const OS_BUILD_1511: u32 = 10_586;

/// So few assignments or devices are looked at faster than for; fewer in tests, which have few of either.
const FEW: usize = if cfg!(test) { 1 } else { 8 };

/// What was found of users with many devices, so that their devices are gone through once and not for each pool. Good while
/// nothing changes.
#[derive(Default)]
struct Known(BTreeMap<UserId, DeviceLinks>);

/// The groups that some devices are in, and the assignments that target one of them alone.
struct DeviceLinks {
    groups: BTreeSet<GroupId>,
    assignments: BTreeSet<(PoolId, AssignmentId)>,
}

/// The intents that reach a holder, before one prevails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    pub is_required: bool,
    pub is_available: bool,
    pub is_uninstall: bool,
}

impl Coverage {
    /// Required prevails over uninstall, uninstall over available.
    #[must_use]
    pub fn is_covered(self) -> bool {
        self.is_required || (self.is_available && !self.is_uninstall)
    }

    /// The intent to uninstall prevails.
    #[must_use]
    pub fn is_to_be_uninstalled(self) -> bool {
        self.is_uninstall && !self.is_required
    }

    /// What reaches a user directly, with what reaches it through a device: there an intent to uninstall does not
    /// prevail over what is available to the user.
    fn and_through_devices(self, devices: Self) -> Self {
        Self {
            is_required: self.is_required || devices.is_required,
            is_available: self.is_available || devices.is_available,
            is_uninstall: self.is_uninstall || (devices.is_uninstall && !self.is_available),
        }
    }

    fn add(&mut self, intent: Intent) {
        match intent {
            Intent::Required => self.is_required = true,
            Intent::Available => self.is_available = true,
            Intent::Uninstall => self.is_uninstall = true,
        }
    }
}

impl Tenant {
    /// Whether a device of which this is known may carry the apps of a pool, under a seat of its own or under a user's.
    #[must_use]
    pub fn is_eligible(&self, pool: &Pool, facts: &DeviceFacts, is_device_seat: bool) -> bool {
        let details = &pool.details;
        if details.requires_eligible_device && pool.key.provider() == Provider::AppleBusiness {
            return facts.is_enrolled && (!is_device_seat || facts.has_serial);
        }
        if details.requires_windows_1511 || details.requires_eligible_device {
            let is_joined = match facts.join {
                Join::Domain | Join::Entra | Join::Workplace => true,
                Join::None => false,
            };
            return is_joined && facts.os_build.is_some_and(|build| build >= OS_BUILD_1511);
        }
        true
    }

    /// Whether it may under just the same seats, whichever of the two is known of it.
    #[must_use]
    pub fn is_eligible_alike(&self, pool: &Pool, one: &DeviceFacts, other: &DeviceFacts) -> bool {
        let is_alike = |is_device_seat| {
            self.is_eligible(pool, one, is_device_seat) == self.is_eligible(pool, other, is_device_seat)
        };
        is_alike(true) && is_alike(false)
    }

    /// Whether an assignment's target holds this member, as what it is, now.
    #[must_use]
    pub fn target_holds(&self, assignment: &Assignment, member: Holder) -> bool {
        match (assignment.target, member) {
            (Target::User(user), Holder::User(member)) => user == member,
            (Target::Device(device), Holder::Device(member)) => device == member,
            (Target::User(_), Holder::Device(_)) | (Target::Device(_), Holder::User(_)) => false,
            (Target::Group { group, exclude }, member) => {
                self.group(group).members.contains(member)
                    && exclude.is_none_or(|exclude| !self.group(exclude).members.contains(member))
            }
        }
    }

    /// Whether the seats of an assignment's devices are held by people: user-only pools, and user licensing.
    #[must_use]
    pub fn seats_go_to_users(pool: &Pool, assignment: &Assignment) -> bool {
        pool.is_user_only() || assignment.licensing == Some(Licensing::User)
    }

    /// Whether they could be for any assignment of the pool: licensing is a choice with Apple alone.
    fn seats_may_go_to_users(pool: &Pool) -> bool {
        pool.is_user_only() || pool.key.provider() == Provider::AppleBusiness
    }

    /// Whether a device's people could lose or gain by a change of it: it is in the target of an assignment whose seats go to
    /// users.
    #[must_use]
    pub fn reaches_people_of(&self, pool: PoolId, device: DeviceId) -> bool {
        let pool = self.pool(pool);
        let goes_to_users = |id| Self::seats_go_to_users(pool, self.assignment(id));
        Self::seats_may_go_to_users(pool) && self.linked(pool, device.into()).any(goes_to_users)
    }

    /// Everything that reaches a holder in a pool.
    #[must_use]
    pub fn coverage(&self, pool: PoolId, holder: Holder) -> Coverage {
        self.coverage_knowing(pool, holder, &mut Known::default())
    }

    /// The same of many, in their order: it costs less than one by one where somebody with many devices is asked about in many
    /// pools.
    pub fn coverages(&self, of: impl IntoIterator<Item = (PoolId, Holder)>) -> impl Iterator<Item = Coverage> {
        let mut known = Known::default();
        of.into_iter().map(move |(pool, holder)| self.coverage_knowing(pool, holder, &mut known))
    }

    fn coverage_knowing(&self, pool: PoolId, holder: Holder, known: &mut Known) -> Coverage {
        match holder {
            Holder::User(user) => self.user_coverage(self.pool(pool), user, known),
            Holder::Device(device) => self.device_coverage(self.pool(pool), device),
        }
    }

    fn user_coverage(&self, pool: &Pool, user: UserId, known: &mut Known) -> Coverage {
        let (mut own, mut through_devices) = (Coverage::default(), Coverage::default());
        if self.user(user).departed.is_some() {
            return own;
        }
        self.each_near(pool, user.into(), known, |id| {
            let assignment = self.assignment(id);
            if self.target_holds(assignment, user.into()) {
                own.add(assignment.intent);
            } else if Self::seats_go_to_users(pool, assignment) && self.reaches_through_a_device(pool, assignment, user)
            {
                through_devices.add(assignment.intent);
            }
        });
        own.and_through_devices(through_devices)
    }

    /// A device target reaches its primary user, and whoever has the app installed on it. Of a group and a user's devices the
    /// fewer are gone through.
    fn reaches_through_a_device(&self, pool: &Pool, assignment: &Assignment, user: UserId) -> bool {
        let is_reached = |device| self.device_is_reached(pool, assignment, device);
        let own = &self.user(user).devices;
        let is_theirs =
            |device| own.contains(&device) || (pool.is_user_only() && pool.installs_by_user.contains(&(user, device)));
        match assignment.target {
            Target::User(_) => false,
            Target::Device(device) => is_theirs(device) && is_reached(device),
            Target::Group { group, .. } => {
                let members = &self.group(group).members;
                if members.len() < own.len() {
                    return members.devices().any(|device| is_theirs(device) && is_reached(device));
                }
                members.devices().next().is_some() && self.devices_for(pool, user).any(is_reached)
            }
        }
    }

    /// The devices through which a pool's seats could come to a user; of the user's own the newest first, since those before are
    /// the likelier to be retired.
    fn devices_for(&self, pool: &Pool, user: UserId) -> impl Iterator<Item = DeviceId> {
        let installed_on = pool.is_user_only().then(|| pool.devices_of(user)).into_iter().flatten();
        self.user(user).devices.iter().rev().copied().chain(installed_on)
    }

    fn device_is_reached(&self, pool: &Pool, assignment: &Assignment, device: DeviceId) -> bool {
        let entry = self.device(device);
        let is_device_seat = !Self::seats_go_to_users(pool, assignment);
        // of many devices that are looked through, the membership is what costs
        !entry.is_retired
            && self.is_eligible(pool, &entry.facts, is_device_seat)
            && self.target_holds(assignment, device.into())
    }

    fn device_coverage(&self, pool: &Pool, device: DeviceId) -> Coverage {
        let mut coverage = Coverage::default();
        self.each_near(pool, device.into(), &mut Known::default(), |id| {
            let assignment = self.assignment(id);
            if !Self::seats_go_to_users(pool, assignment) && self.device_is_reached(pool, assignment, device) {
                coverage.add(assignment.intent);
            }
        });
        coverage
    }

    /// What reaches a device itself, whoever would hold the seat: an install on it is covered by that.
    #[must_use]
    pub fn coverage_of_device(&self, pool: PoolId, device: DeviceId) -> Coverage {
        let pool = self.pool(pool);
        let mut coverage = Coverage::default();
        self.each_near(pool, device.into(), &mut Known::default(), |id| {
            let assignment = self.assignment(id);
            if self.device_is_reached(pool, assignment, device) {
                coverage.add(assignment.intent);
            }
        });
        coverage
    }

    /// The assignments that reach a holder, oldest first.
    #[must_use]
    pub fn assignments_of(&self, pool: PoolId, holder: Holder) -> Vec<AssignmentId> {
        let pool = self.pool(pool);
        let reached = |assignment: &Assignment| match holder {
            Holder::User(user) => {
                self.user(user).departed.is_none()
                    && (self.target_holds(assignment, holder)
                        || (Self::seats_go_to_users(pool, assignment)
                            && self.reaches_through_a_device(pool, assignment, user)))
            }
            Holder::Device(device) => {
                !Self::seats_go_to_users(pool, assignment) && self.device_is_reached(pool, assignment, device)
            }
        };
        let mut all = Vec::new();
        self.each_near(pool, holder, &mut Known::default(), |id| all.push(id));
        all.retain(|id| reached(self.assignment(*id)));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The assignments of a pool that could reach a holder, in no order, one twice at most: those that name it, its groups or
    /// its devices. What it costs does not grow with the pool.
    fn each_near(&self, pool: &Pool, holder: Holder, known: &mut Known, mut each: impl FnMut(AssignmentId)) {
        let has_few_devices = match holder {
            Holder::User(user) => self.user(user).devices.len() <= FEW,
            Holder::Device(_) => true,
        };
        if pool.assignments.len() <= FEW && has_few_devices {
            return pool.assignments.iter().copied().for_each(each);
        }
        self.linked(pool, holder).for_each(&mut each);
        if let Holder::User(user) = holder
            && self.devices_may_reach(pool, user)
        {
            self.linked_through_devices(pool, user, known).into_iter().for_each(each);
        }
    }

    /// Whether devices need be looked at for their user. Whoever has more of them than the pool has assignments is spared that
    /// where none of these is for devices and goes to users.
    fn devices_may_reach(&self, pool: &Pool, user: UserId) -> bool {
        let is_for_devices = |assignment: &Assignment| match assignment.target {
            Target::User(_) => false,
            Target::Device(_) => true,
            Target::Group { group, .. } => self.group(group).members.devices().next().is_some(),
        };
        let mut all = pool.assignments.iter().map(|id| self.assignment(*id));
        Self::seats_may_go_to_users(pool)
            && (self.user(user).devices.len() < pool.assignments.len()
                || all.any(|assignment| Self::seats_go_to_users(pool, assignment) && is_for_devices(assignment)))
    }

    /// Each once: of many devices most may be in one group.
    fn linked_through_devices(&self, pool: &Pool, user: UserId, known: &mut Known) -> Vec<AssignmentId> {
        let linked = |device: DeviceId| self.linked(pool, device.into());
        let own = &self.user(user).devices;
        let mut through: Vec<AssignmentId> = if own.len() <= FEW {
            own.iter().copied().flat_map(linked).collect()
        } else {
            let DeviceLinks { groups, assignments } =
                known.0.entry(user).or_insert_with(|| self.device_links(own.iter().copied()));
            let all = (pool.id, AssignmentId(0))..=(pool.id, AssignmentId(u32::MAX));
            let through_groups = groups.iter().flat_map(|group| self.group(*group).targeted_by.of(pool.id));
            assignments.range(all).map(|(_, assignment)| *assignment).chain(through_groups).collect()
        };
        if pool.is_user_only() {
            through.extend(pool.devices_of(user).flat_map(linked));
        }
        through.sort_unstable();
        through.dedup();
        through
    }

    fn device_links(&self, devices: impl Iterator<Item = DeviceId>) -> DeviceLinks {
        let (mut groups, mut assignments) = (Vec::new(), Vec::new());
        for device in devices.map(|device| self.device(device)).filter(|device| !device.is_retired) {
            groups.extend(device.links.groups.iter().copied());
            assignments.extend(device.links.assignments.iter());
        }
        DeviceLinks { groups: groups.into_iter().collect(), assignments: assignments.into_iter().collect() }
    }

    fn linked(&self, pool: &Pool, holder: Holder) -> impl Iterator<Item = AssignmentId> {
        let (links, pool) = (self.links(holder), pool.id);
        let through_groups = links.groups.iter().flat_map(move |group| self.group(*group).targeted_by.of(pool));
        links.assignments.of(pool).chain(through_groups)
    }

    /// Who would hold a seat for a member of a target: the user, the device, or the device's people.
    #[must_use]
    pub fn holders_for(&self, pool: &Pool, assignment: &Assignment, member: Holder) -> Vec<Holder> {
        let Holder::Device(device) = member else {
            return vec![member];
        };
        if !Self::seats_go_to_users(pool, assignment) {
            return vec![member];
        }
        let mut holders: Vec<Holder> = self.device(device).primary_user.map(Holder::User).into_iter().collect();
        if pool.is_user_only() {
            for key in pool.installs_on(device) {
                if let Some(user) = key.user.map(Holder::User).filter(|user| !holders.contains(user)) {
                    holders.push(user);
                }
            }
        }
        holders
    }
}

//! Who is covered: which assignments reach a holder, and which intent prevails where several do (`domain.md` §3.3).
//!
//! A departed user and a retired device are covered by nothing. An exclusion counts only against members of its own
//! kind, which holds here by construction: a holder is looked up in the exclusion group as what it is.

use super::event::Target;
use super::facts::{Intent, Join, Licensing};
use super::ids::{AssignmentId, DeviceId, Holder, PoolId, UserId};
use super::state::{Assignment, Device, Pool, Tenant};
use serde::{Deserialize, Serialize};

/// The first Windows 10 build that may carry a store app: version 1511.
pub const OS_BUILD_1511: u32 = 10_586;

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
    /// Whether a device may carry the apps of a pool, under a seat of its own or under a user's.
    #[must_use]
    pub fn is_eligible(&self, pool: &Pool, device: &Device, is_device_seat: bool) -> bool {
        let details = &pool.details;
        if details.requires_eligible_device && pool.key.provider() == super::key::Provider::AppleBusiness {
            return device.facts.is_enrolled && (!is_device_seat || device.facts.has_serial);
        }
        if details.requires_windows_1511 || details.requires_eligible_device {
            let is_joined = match device.facts.join {
                Join::Domain | Join::Entra | Join::Workplace => true,
                Join::None => false,
            };
            return is_joined && device.facts.os_build.is_some_and(|build| build >= OS_BUILD_1511);
        }
        true
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

    /// Everything that reaches a holder in a pool.
    #[must_use]
    pub fn coverage(&self, pool: PoolId, holder: Holder) -> Coverage {
        match holder {
            Holder::User(user) => self.user_coverage(self.pool(pool), user),
            Holder::Device(device) => self.device_coverage(self.pool(pool), device),
        }
    }

    fn user_coverage(&self, pool: &Pool, user: UserId) -> Coverage {
        let (mut own, mut through_devices) = (Coverage::default(), Coverage::default());
        if self.user(user).departed.is_some() {
            return own;
        }
        self.each_near(pool, user.into(), |id| {
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

    /// A device target reaches its primary user, and whoever has the app installed on it.
    fn reaches_through_a_device(&self, pool: &Pool, assignment: &Assignment, user: UserId) -> bool {
        let installed_on = pool.devices_of(user).filter(|_| pool.is_user_only());
        let mut devices = self.user(user).devices.iter().copied().chain(installed_on);
        devices.any(|device| self.device_is_reached(pool, assignment, device))
    }

    fn device_is_reached(&self, pool: &Pool, assignment: &Assignment, device: DeviceId) -> bool {
        let entry = self.device(device);
        let is_device_seat = !Self::seats_go_to_users(pool, assignment);
        !entry.is_retired
            && self.target_holds(assignment, device.into())
            && self.is_eligible(pool, entry, is_device_seat)
    }

    fn device_coverage(&self, pool: &Pool, device: DeviceId) -> Coverage {
        let mut coverage = Coverage::default();
        self.each_near(pool, device.into(), |id| {
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
        self.each_near(pool, device.into(), |id| {
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
        self.each_near(pool, holder, |id| all.push(id));
        all.retain(|id| reached(self.assignment(*id)));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The assignments of a pool that could reach a holder, in no order, one twice at most: those that name it, its groups or
    /// its devices. What it costs does not grow with the pool.
    fn each_near(&self, pool: &Pool, holder: Holder, mut each: impl FnMut(AssignmentId)) {
        /// So few are looked at faster than for.
        const FEW: usize = 8;
        if pool.assignments.len() <= FEW {
            return pool.assignments.iter().copied().for_each(each);
        }
        self.linked(pool, holder).for_each(&mut each);
        if let Holder::User(user) = holder {
            // of many devices most may be in one group
            let devices = self.user(user).devices.iter().copied().chain(pool.devices_of(user));
            let mut through: Vec<_> = devices.flat_map(|device| self.linked(pool, device.into())).collect();
            through.sort_unstable();
            through.dedup();
            through.into_iter().for_each(each);
        }
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

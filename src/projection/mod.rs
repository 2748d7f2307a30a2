//! What questions read: pure folds of the history, taken after it is durable. A rule never reads one.

pub mod apps;
pub mod change;
pub mod chronicle;
pub mod courses;
pub mod figures;
pub mod holders;
pub mod holdings;
pub mod latest;
pub mod refusals;
pub mod steps;
pub mod tallies;

use crate::domain::event::Recorded;
use crate::domain::ids::{DeviceId, GroupId, PoolId, UserId};
use crate::domain::state::{Group, Meta, Pool, Tenant};
use crate::domain::time::Time;
use figures::Figures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use steps::Put;

/// Everything that can be asked of one tenant at one position.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct View {
    pub state: Tenant,
    pub refusal_repeats: refusals::RefusalRepeats,
    pub courses: courses::Courses,
    pub tallies: tallies::Tallies,
    pub chronicle: Arc<chronicle::Chronicle>,
    pub latest: latest::Latest,
    #[serde(skip)]
    pub grouped: apps::Grouped,
    /// Of a part of a view alone, whose pools are without their holders.
    #[serde(skip)]
    pub counted: BTreeMap<PoolId, Figures>,
    /// The same of groups that are without their members.
    #[serde(skip)]
    pub members_counted: BTreeMap<GroupId, u64>,
    /// In a view of what became known later of its position's instant.
    #[serde(skip)]
    pub hindsight: Option<Hindsight>,
}

/// What became known later: laid over the seats and installs of a state, and over nothing else of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hindsight {
    /// So many users and devices were known at the instant itself.
    pub users: usize,
    pub devices: usize,
}

/// What of a view was archived.
pub struct Gone(Vec<tallies::Gone>);

impl View {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one durable event.
    pub fn take(&mut self, recorded: &Recorded) {
        self.latest.take(recorded, &self.state);
        self.state.evolve(&recorded.event, &recorded.meta());
        self.grouped.take(&recorded.event);
        self.refusal_repeats.take(recorded);
        self.courses.take(recorded);
        self.tallies.take(recorded, &self.state);
        if chronicle::Chronicle::is_told_by(recorded, &self.state) {
            Arc::make_mut(&mut self.chronicle).take(recorded, &self.state);
        }
    }

    /// Gives away what never changes any more, and lets go of it.
    ///
    /// # Errors
    /// What whoever takes it said; it stays where it was then.
    pub fn archive(&mut self, put: &mut Put<'_>) -> io::Result<Gone> {
        let gone = Gone(self.tallies.archive(put)?);
        self.let_go(&gone);
        Ok(gone)
    }

    /// Lets go of what was archived of a copy of it.
    pub fn let_go(&mut self, gone: &Gone) {
        self.tallies.let_go(&gone.0);
    }

    /// By what an archive knows what lies there of this view.
    pub fn archived(&self) -> impl Iterator<Item = u64> + '_ {
        self.tallies.archived()
    }

    /// A pool's counts.
    #[must_use]
    pub fn figures(&self, pool: &Pool) -> Figures {
        self.counted.get(&pool.id).copied().unwrap_or_else(|| Figures::of(pool))
    }

    /// How many members a group has.
    #[must_use]
    pub fn members_count(&self, group: &Group) -> u64 {
        self.members_counted.get(&group.id).copied().unwrap_or(group.members.len() as u64)
    }

    /// The same with room for what became known later.
    #[must_use]
    pub fn in_hindsight(&self) -> Self {
        let (users, devices) = (self.state.users.len(), self.state.devices.len());
        Self { hindsight: Some(Hindsight { users, devices }), ..self.clone() }
    }

    /// Takes a fact about a seat or an install that was recorded later and is placed at this time. Of the courses what they
    /// come to is right, and what lies between their marks is not.
    pub fn take_late(&mut self, recorded: &Recorded, placed_at: Time) {
        let meta = Meta { recorded_at: placed_at, ..recorded.meta() };
        self.state.evolve_late(&recorded.event, &meta);
        self.courses.take(recorded);
    }

    /// How many users were known at the instant.
    #[must_use]
    pub fn users_known(&self) -> usize {
        self.hindsight.map_or(self.state.users.len(), |hindsight| hindsight.users)
    }

    #[must_use]
    pub fn devices_known(&self) -> usize {
        self.hindsight.map_or(self.state.devices.len(), |hindsight| hindsight.devices)
    }

    /// Whether a user was known, or became known later by a seat or an install of this instant.
    #[must_use]
    pub fn tells_of_user(&self, user: UserId) -> bool {
        let later = |user: UserId| self.state.users.get(user.index()).is_some_and(|user| user.links.is_of_an_app());
        user.index() < self.users_known() || later(user)
    }

    #[must_use]
    pub fn tells_of_device(&self, device: DeviceId) -> bool {
        let later = |id: DeviceId| self.state.devices.get(id.index()).is_some_and(|found| found.links.is_of_an_app());
        device.index() < self.devices_known() || later(device)
    }
}

//! What rules read: the fold of one tenant's history, on dense ids. Entities stand behind `Arc`, so that a clone is
//! cheap and a batch that must be all or nothing, a simulation and a snapshot can work on one.
//!
//! Nothing here decides anything; `decide` reads it, `evolve` alone changes it.

mod chunked;
mod dense;
mod flat;
mod holder;
mod near;
mod pool;
mod pool_keys;
mod review;
mod tables;

pub use chunked::{Chunked, ChunkedSet};
pub use dense::Dense;
pub use flat::{ByPool, Flat};
pub use holder::{Assignment, Departed, Device, Group, Links, Membership, User};
pub use near::LOOK_AHEAD;
pub use pool::{Install, InstallKey, Pool, PoolName, QueuePlace, RefundLag, Seat, SeatState};
pub use pool_keys::PoolKeys;
pub use review::{Decision, Review, ReviewState, Settled, SettledBy};
pub use tables::{
    Drift, HeldEndings, LogKeyRotation, Names, ReadKey, Reads, RefusalKey, RefusalSeen, Refusals, StoreAccount,
    StoredNames, Sync, SyncState, Token, Tool,
};

use super::command::Actor;
use super::facts::Settings;
use super::holding::Waiting;
use super::ids::{AssignmentId, DeviceId, GroupId, HeldId, Holder, PoolId, ReviewId, UserId};
use super::key::Provider;
use super::time::Time;
use super::ways_out::WaysOut;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What `evolve` may know of an event besides the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    pub position: u64,
    pub recorded_at: Time,
    pub actor: Actor,
}

/// One organization's state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tenant {
    pub slug: String,
    pub name: String,
    pub created_at: Time,
    /// The position of the next event; so also the number of events.
    pub next_position: u64,
    pub last_recorded_at: Time,
    pub settings: Settings,
    pub tokens: Vec<Token>,
    pub accounts: BTreeMap<Provider, StoreAccount>,
    pub tools: BTreeMap<String, Tool>,
    pub pools: Vec<Arc<Pool>>,
    pub pool_keys: PoolKeys,
    pub users: Vec<Arc<User>>,
    pub devices: Vec<Arc<Device>>,
    pub groups: Vec<Arc<Group>>,
    pub group_names: BTreeMap<String, GroupId>,
    pub assignments: Dense<Assignment>,
    pub syncs: Vec<Sync>,
    pub drifts: Vec<Drift>,
    pub held: BTreeMap<HeldId, HeldEndings>,
    pub held_next: u32,
    /// Order numbers that were refunded.
    pub orders_refunded: BTreeSet<String>,
    pub graces: BTreeSet<(Time, UserId)>,
    pub entitlement_ends: BTreeSet<(Time, PoolId)>,
    /// Seats that directory changes ended within the last hour, with what was held before each change.
    pub recent_endings: VecDeque<RecentEnding>,
    pub seats_held: u64,
    pub refusals: Refusals,
    pub reads: Reads,
    pub reviews: Vec<Arc<Review>>,
    /// Pools that a review which has not ended is about.
    pub under_review: BTreeMap<PoolId, BTreeSet<ReviewId>>,
    pub review_ends: BTreeSet<(Time, ReviewId)>,
    /// Reviews whose decisions are being carried out, one after the other.
    pub reviews_closing: VecDeque<ReviewId>,
    /// Changes of the key that signs heads, of this log and of those before a restore or an import: a key's name tells.
    pub log_keys: Vec<LogKeyRotation>,
    /// The ways out of a shortage in pools that were asked for. Like the next one a cache, left out of snapshots and digests.
    #[serde(skip)]
    pub ways_out_counted: BTreeMap<PoolId, WaysOut>,
    /// What waits of the directory's holds, once it was asked.
    #[serde(skip)]
    pub waiting: Option<Arc<Waiting>>,
    /// Look-ups by outside name and sealed names: not part of the digest, so that an erasure leaves it as it was.
    pub names: Names,
}

/// One entry of the brake's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentEnding {
    pub at: Time,
    pub seats_ended: u64,
    pub seats_held_before: u64,
}

#[expect(
    clippy::indexing_slicing,
    reason = "an index comes from an id of this state, and nothing is ever taken out of these lists"
)]
impl Tenant {
    /// The same figures without any outside name, without what only the vault knows, and without hashes of secrets: what
    /// a digest is taken over, so that it is the same after an erasure and after an import.
    #[must_use]
    pub fn without_names(&self) -> Self {
        let tokens = self.tokens.iter().map(|token| Token { hash: [0; 32], ..token.clone() }).collect();
        Self { names: Names::default(), tokens, ..self.clone() }
    }

    /// # Panics
    /// If there is no such pool; ids come from the state itself.
    #[must_use]
    pub fn pool(&self, pool: PoolId) -> &Pool {
        &self.pools[pool.index()]
    }

    #[must_use]
    pub fn user(&self, user: UserId) -> &User {
        &self.users[user.index()]
    }

    #[must_use]
    pub fn device(&self, device: DeviceId) -> &Device {
        &self.devices[device.index()]
    }

    #[must_use]
    pub fn group(&self, group: GroupId) -> &Group {
        &self.groups[group.index()]
    }

    #[must_use]
    pub fn assignment(&self, assignment: AssignmentId) -> &Assignment {
        self.assignments.get(assignment.index()).expect("an assignment's id comes from this state")
    }

    #[must_use]
    pub fn review(&self, review: ReviewId) -> &Review {
        &self.reviews[review.index()]
    }

    /// What hangs on a holder, whichever kind it is.
    #[must_use]
    pub fn links(&self, holder: Holder) -> &Links {
        match holder {
            Holder::User(user) => &self.user(user).links,
            Holder::Device(device) => &self.device(device).links,
        }
    }

    pub(super) fn pool_mut(&mut self, pool: PoolId) -> &mut Pool {
        let changed = self.next_position;
        let pool = Arc::make_mut(&mut self.pools[pool.index()]);
        pool.changed = changed;
        pool
    }

    /// So many refusals more: no change of anything that a rule reads.
    pub(super) fn count_refusals(&mut self, pool: PoolId, refusals: u64) {
        Arc::make_mut(&mut self.pools[pool.index()]).refused += refusals;
    }

    pub(super) fn user_mut(&mut self, user: UserId) -> &mut User {
        Arc::make_mut(&mut self.users[user.index()])
    }

    pub(super) fn device_mut(&mut self, device: DeviceId) -> &mut Device {
        Arc::make_mut(&mut self.devices[device.index()])
    }

    pub(super) fn group_mut(&mut self, group: GroupId) -> &mut Group {
        Arc::make_mut(&mut self.groups[group.index()])
    }

    pub(super) fn assignment_mut(&mut self, assignment: AssignmentId) -> &mut Assignment {
        self.assignments.get_mut(assignment.index()).expect("an assignment's id comes from this state")
    }

    pub(super) fn review_mut(&mut self, review: ReviewId) -> &mut Review {
        Arc::make_mut(&mut self.reviews[review.index()])
    }

    pub(super) fn links_mut(&mut self, holder: Holder) -> &mut Links {
        match holder {
            Holder::User(user) => &mut Arc::make_mut(&mut self.users[user.index()]).links,
            Holder::Device(device) => &mut Arc::make_mut(&mut self.devices[device.index()]).links,
        }
    }

    /// The sync of a provider that has begun and not ended.
    #[must_use]
    pub fn running_sync(&self, provider: Provider) -> Option<&Sync> {
        self.syncs.iter().rev().find(|sync| sync.provider == provider && sync.state == SyncState::Running)
    }

    /// Pools of one provider, in the order in which they were listed.
    pub fn pools_of(&self, provider: Provider) -> impl Iterator<Item = &Pool> {
        self.pools.iter().map(Arc::as_ref).filter(move |pool| pool.key.provider() == provider)
    }
}

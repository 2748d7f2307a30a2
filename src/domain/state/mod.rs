//! What rules read: the fold of one tenant's history, on dense ids. Entities stand behind `Arc`, and whatever there are many
//! of lies in shared pieces, so that a clone is cheap and a batch that must be all or nothing, a simulation and a snapshot
//! can work on one.
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
mod seat;
mod tables;
#[cfg(test)]
mod tests;

pub use chunked::{Chunked, ChunkedSet, Key};
pub use dense::Dense;
pub use flat::{ByPool, Flat};
pub use holder::{Assignment, Departed, Device, Group, Links, Membership, User};
pub use near::LOOK_AHEAD;
pub use pool::{Install, InstallKey, Pool, PoolName, QueuePlace, RefundLag};
pub use pool_keys::PoolKeys;
pub use review::{Decision, Review, ReviewState, Settled, SettledBy};
pub use seat::{Seat, SeatMark, SeatState};
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
    pub users: Dense<Arc<User>>,
    pub devices: Dense<Arc<Device>>,
    pub groups: Dense<Arc<Group>>,
    pub group_names: Chunked<String, GroupId>,
    pub assignments: Dense<Assignment>,
    pub syncs: Dense<Sync>,
    pub drifts: Dense<Drift>,
    pub held: BTreeMap<HeldId, Arc<HeldEndings>>,
    pub held_next: u32,
    /// Order numbers that were refunded.
    pub orders_refunded: ChunkedSet<String>,
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
        Self {
            slug: self.slug.clone(),
            name: self.name.clone(),
            created_at: self.created_at,
            next_position: self.next_position,
            last_recorded_at: self.last_recorded_at,
            settings: self.settings.clone(),
            tokens: self.tokens.iter().map(|token| Token { hash: [0; 32], ..token.clone() }).collect(),
            accounts: self.accounts.clone(),
            tools: self.tools.clone(),
            pools: self.pools.clone(),
            pool_keys: self.pool_keys.clone(),
            users: self.users.clone(),
            devices: self.devices.clone(),
            groups: self.groups.clone(),
            group_names: self.group_names.clone(),
            assignments: self.assignments.clone(),
            syncs: self.syncs.clone(),
            drifts: self.drifts.clone(),
            held: self.held.clone(),
            held_next: self.held_next,
            orders_refunded: self.orders_refunded.clone(),
            graces: self.graces.clone(),
            entitlement_ends: self.entitlement_ends.clone(),
            recent_endings: self.recent_endings.clone(),
            seats_held: self.seats_held,
            refusals: self.refusals.clone(),
            reads: self.reads.clone(),
            reviews: self.reviews.clone(),
            under_review: self.under_review.clone(),
            review_ends: self.review_ends.clone(),
            reviews_closing: self.reviews_closing.clone(),
            log_keys: self.log_keys.clone(),
            ways_out_counted: self.ways_out_counted.clone(),
            waiting: self.waiting.clone(),
            names: Names::default(),
        }
    }

    /// # Panics
    /// If there is no such pool; ids come from the state itself.
    #[must_use]
    pub fn pool(&self, pool: PoolId) -> &Pool {
        &self.pools[pool.index()]
    }

    #[must_use]
    pub fn user(&self, user: UserId) -> &User {
        self.users.get(user.index()).expect("a user's id comes from this state")
    }

    #[must_use]
    pub fn device(&self, device: DeviceId) -> &Device {
        self.devices.get(device.index()).expect("a device's id comes from this state")
    }

    #[must_use]
    pub fn group(&self, group: GroupId) -> &Group {
        self.groups.get(group.index()).expect("a group's id comes from this state")
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

    /// Whether a holder who is covered lost the seat and does not get it back by itself.
    #[must_use]
    pub fn is_lapsed(&self, pool: PoolId, holder: Holder) -> bool {
        self.links(holder).lapsed.contains(&pool)
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
        own(&mut self.users, user.index())
    }

    pub(super) fn device_mut(&mut self, device: DeviceId) -> &mut Device {
        own(&mut self.devices, device.index())
    }

    pub(super) fn group_mut(&mut self, group: GroupId) -> &mut Group {
        own(&mut self.groups, group.index())
    }

    pub(super) fn assignment_mut(&mut self, assignment: AssignmentId) -> &mut Assignment {
        self.assignments.get_mut(assignment.index()).expect("an assignment's id comes from this state")
    }

    pub(super) fn review_mut(&mut self, review: ReviewId) -> &mut Review {
        Arc::make_mut(&mut self.reviews[review.index()])
    }

    pub(super) fn links_mut(&mut self, holder: Holder) -> &mut Links {
        match holder {
            Holder::User(user) => &mut own(&mut self.users, user.index()).links,
            Holder::Device(device) => &mut own(&mut self.devices, device.index()).links,
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

/// An entry that no copy of the state has any more.
fn own<T: Clone>(list: &mut Dense<Arc<T>>, at: usize) -> &mut T {
    Arc::make_mut(list.get_mut(at).expect("an id comes from the state whose list it is"))
}

//! Small things as they were just after any event: what the tenant is called, its settings, tokens, accounts and tools from
//! wherever they changed; where a drift was resolved, what is held back was told of and ended, packages were listed; how
//! many members a group had; how far a review was. All of it is taken from the state itself, just after the event. Not
//! here: pools (`tallies.rs`), people, devices, seats.

mod told;

use super::steps::{Nowhere, Steps};
use crate::domain::event::Recorded;
use crate::domain::facts::{Settings, SyncCounts};
use crate::domain::ids::{DriftId, GroupId, HeldId, PoolId, ReviewId, SyncId, TokenId};
use crate::domain::key::Provider;
use crate::domain::state::{
    ByPool, Dense, Drift, Group, HeldEndings, Membership, Review, ReviewState, StoreAccount, Sync, SyncState, Tenant,
    Token, Tool,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use told::Told;

/// Of each key what it was from a position on, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Dated<K: Ord, V>(BTreeMap<K, Vec<(u64, V)>>);

impl<K: Ord, V> Default for Dated<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V: Clone> Dated<K, V> {
    fn take(&mut self, key: K, position: u64, value: Option<&V>) {
        if let Some(value) = value {
            self.0.entry(key).or_default().push((position, value.clone()));
        }
    }

    /// Those that were there just after a position.
    fn at(&self, position: u64) -> impl Iterator<Item = (K, V)> + '_ {
        self.0.iter().filter_map(move |(key, versions)| {
            let count = versions.partition_point(|(since, _)| *since <= position);
            versions.get(count.checked_sub(1)?).map(|(_, value)| (key.clone(), value.clone()))
        })
    }
}

/// Where something that is held back was told of, and where it was over.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct HeldCourse {
    told_at: Vec<u64>,
    ended_at: Option<u64>,
}

/// A group from the event that added it on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct GroupCourse {
    added_at: u64,
    deleted_at: Option<u64>,
    /// The count of its members, noted wherever its etag moved.
    members: Steps,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Chronicle {
    names: Dated<(), String>,
    settings: Dated<(), Settings>,
    tokens: Dated<TokenId, Token>,
    accounts: Dated<Provider, StoreAccount>,
    tools: Dated<String, Tool>,
    drifts_resolved: BTreeMap<DriftId, u64>,
    held: BTreeMap<HeldId, HeldCourse>,
    /// Where packages were listed; whether that began the list anew.
    packages: BTreeMap<PoolId, Vec<(u64, bool)>>,
    groups: Vec<GroupCourse>,
    /// Seats, kept, released, undecided, gone, carried out: noted wherever the review's etag moved.
    reviews: Vec<Steps>,
}

impl Chronicle {
    /// Whether an event changes anything here.
    pub(super) fn is_told_by(recorded: &Recorded, state: &Tenant) -> bool {
        match Told::of(&recorded.event) {
            Told::Seats(pool) => state.under_review.contains_key(&pool),
            Told::Nothing => false,
            Told::Tenant
            | Told::Token(_)
            | Told::Account(_)
            | Told::Tool(_)
            | Told::Drift(_)
            | Told::Held(_)
            | Told::HeldIsOver
            | Told::Packages(..)
            | Told::GroupAdded(_)
            | Told::Members(_)
            | Told::GroupDeleted(_)
            | Told::Review(_) => true,
        }
    }

    /// Takes an event that the state has just taken.
    pub(super) fn take(&mut self, recorded: &Recorded, state: &Tenant) {
        let position = recorded.position;
        match Told::of(&recorded.event) {
            Told::Tenant => {
                self.names.take((), position, Some(&state.name));
                self.settings.take((), position, Some(&state.settings));
            }
            Told::Token(token) => self.tokens.take(token, position, state.tokens.get(token.index())),
            Told::Account(provider) => self.accounts.take(provider, position, state.accounts.get(&provider)),
            Told::Tool(tool) => self.tools.take(tool.to_owned(), position, state.tools.get(tool)),
            Told::Drift(drift) => {
                self.drifts_resolved.insert(drift, position);
            }
            Told::Held(held) => self.held.entry(held).or_default().told_at.push(position),
            Told::HeldIsOver => {
                let is_over = |held: &HeldId| !state.held.contains_key(held);
                for (_, course) in self.held.iter_mut().filter(|(held, _)| is_over(held)) {
                    course.ended_at.get_or_insert(position);
                }
            }
            Told::Packages(pool, is_first) => self.packages.entry(pool).or_default().push((position, is_first)),
            Told::GroupAdded(group) => {
                self.groups.push(GroupCourse { added_at: position, ..GroupCourse::default() });
                self.count_members(group, position, state);
            }
            Told::Members(group) => self.count_members(group, position, state),
            Told::GroupDeleted(group) => {
                self.count_members(group, position, state);
                if let Some(course) = self.groups.get_mut(group.index()) {
                    course.deleted_at = Some(position);
                }
            }
            Told::Review(review) => self.look_at_review(review, position, state),
            Told::Seats(pool) => {
                for review in state.under_review.get(&pool).into_iter().flatten() {
                    self.look_at_review(*review, position, state);
                }
            }
            Told::Nothing => {}
        }
    }

    fn count_members(&mut self, group: GroupId, position: u64, state: &Tenant) {
        if let Some(course) = self.groups.get_mut(group.index()) {
            course.members.push(position, [state.group(group).members.len() as u64, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    fn look_at_review(&mut self, review: ReviewId, position: u64, state: &Tenant) {
        let Some(now) = state.reviews.get(review.index()).filter(|now| now.etag == position) else { return };
        if self.reviews.len() == review.index() {
            self.reviews.push(Steps::default());
        }
        if let Some(steps) = self.reviews.get_mut(review.index()) {
            let Review { seats, kept, released, undecided, gone, carried_out, .. } = **now;
            steps.push(position, [seats, kept, released, undecided, gone, carried_out, 0, 0]);
        }
    }

    #[must_use]
    pub fn name_at(&self, position: u64) -> Option<String> {
        self.names.at(position).next().map(|(_, name)| name)
    }

    #[must_use]
    pub fn settings_at(&self, position: u64) -> Option<Settings> {
        self.settings.at(position).next().map(|(_, settings)| settings)
    }

    #[must_use]
    pub fn tokens_at(&self, position: u64) -> Vec<Token> {
        self.tokens.at(position).map(|(_, token)| token).collect()
    }

    #[must_use]
    pub fn accounts_at(&self, position: u64) -> BTreeMap<Provider, StoreAccount> {
        self.accounts.at(position).collect()
    }

    #[must_use]
    pub fn tools_at(&self, position: u64) -> BTreeMap<String, Tool> {
        self.tools.at(position).collect()
    }

    /// The drifts of a state as they were.
    #[must_use]
    pub fn drifts_at(&self, position: u64, drifts: &Dense<Drift>) -> Dense<Drift> {
        let found = drifts.iter().take_while(|drift| drift.found_position <= position);
        let then = found.map(|drift| match self.drifts_resolved.get(&drift.id) {
            Some(resolved) if *resolved <= position => drift.clone(),
            Some(_) | None => Drift { resolution: None, resolved_at: None, ..drift.clone() },
        });
        then.collect()
    }

    /// Of what was held back just after a position: where all of it was told by then.
    #[must_use]
    pub fn held_at(&self, position: u64) -> Vec<(HeldId, Vec<u64>)> {
        let was_held = |course: &HeldCourse| course.ended_at.is_none_or(|ended| ended > position);
        let told = |(held, course): (&HeldId, &HeldCourse)| {
            let told_at: Vec<u64> = course.told_at.iter().copied().filter(|told| *told <= position).collect();
            (!told_at.is_empty()).then_some((*held, told_at))
        };
        self.held.iter().filter(|(_, course)| was_held(course)).filter_map(told).collect()
    }

    /// Where the packages were told that a pool had just after a position.
    #[must_use]
    pub fn packages_at(&self, pool: PoolId, position: u64) -> Vec<u64> {
        let listed = self.packages.get(&pool).map(Vec::as_slice).unwrap_or_default();
        let count = listed.partition_point(|(at, _)| *at <= position);
        let listed = listed.get(..count).unwrap_or_default();
        let first = listed.iter().rposition(|(_, is_first)| *is_first).unwrap_or(0);
        listed.get(first..).unwrap_or_default().iter().map(|(at, _)| *at).collect()
    }

    /// How many groups there were just after a position, with those that were deleted.
    #[must_use]
    pub fn groups_by(&self, position: u64) -> usize {
        self.groups.partition_point(|course| course.added_at <= position)
    }

    /// Where a group's etag stood just after a position, and how many members it had.
    #[must_use]
    pub fn members_at(&self, position: u64, group: GroupId) -> Option<(u64, u64)> {
        let (etag, [count, ..]) = self.groups.get(group.index())?.members.at(position, &Nowhere)?;
        Some((etag, count))
    }

    /// A group as it was, without its members, what targets it, and its etag.
    #[must_use]
    pub fn group_at(&self, position: u64, now: &Group) -> Group {
        let deleted_at = self.groups.get(now.id.index()).and_then(|course| course.deleted_at);
        Group {
            id: now.id,
            external_id: now.external_id.clone(),
            kind: now.kind,
            is_deleted: deleted_at.is_some_and(|deleted| deleted <= position),
            members: Membership::default(),
            targeted_by: ByPool::default(),
            excluded_by: ByPool::default(),
            etag: 0,
        }
    }

    /// A review as it was, without its decisions and what ended before it did; `None` before it was opened.
    #[must_use]
    pub fn review_at(&self, position: u64, now: &Review) -> Option<Review> {
        let (etag, counts) = self.reviews.get(now.id.index())?.at(position, &Nowhere)?;
        let [seats, kept, released, undecided, gone, carried_out, ..] = counts;
        let is_past = |at: &(_, u64)| at.1 <= position;
        let (closed, ended) = (now.closed.filter(is_past), now.ended.filter(is_past));
        let state = match (closed, ended) {
            (_, Some(_)) => now.state,
            (Some(_), None) => ReviewState::Closing,
            (None, None) => ReviewState::Open,
        };
        Some(Review {
            id: now.id,
            name: now.name.clone(),
            pools: now.pools.clone(),
            undecided_rule: now.undecided_rule,
            ends_at: now.ends_at,
            reviewers: now.reviewers.clone(),
            state,
            opened_at: now.opened_at,
            since: now.since,
            closed,
            ended,
            etag,
            seats,
            kept,
            released,
            undecided,
            gone,
            carried_out,
            through: None,
            decisions: BTreeMap::new(),
            settled: BTreeMap::new(),
        })
    }
}

/// The syncs of a state as they were just after a position: a sync begins and ends, and says where.
#[must_use]
pub fn syncs_at(position: u64, syncs: &Dense<Sync>) -> Dense<Sync> {
    let then = |sync: &Sync| {
        let items_position = sync.items_position.filter(|told| *told <= position);
        let seats_position = sync.seats_position.filter(|told| *told <= position);
        let seats = sync.seats.filter(|_| seats_position.is_some());
        let told = Sync { items_position, seats_position, seats, ..sync.clone() };
        match sync.ended_position {
            Some(ended) if ended > position => Sync {
                state: SyncState::Running,
                ended_at: None,
                ended_position: None,
                counts: if items_position.is_some() { sync.counts } else { SyncCounts::default() },
                failure: None,
                ..told
            },
            Some(_) => told,
            None if items_position.is_none() => Sync { counts: SyncCounts::default(), ..told },
            None => told,
        }
    };
    syncs.iter().take_while(|sync| sync.started_position <= position).map(then).collect()
}

/// What was held back, from the events that told of it, in their order.
#[must_use]
pub fn held_from(id: HeldId, events: &[Recorded]) -> Option<HeldEndings> {
    let first = events.first()?;
    let (at, position) = (first.envelope.recorded_at, first.position);
    let mut held = HeldEndings { id, sync: None, at, position, seats: Vec::new(), removals: Vec::new() };
    for recorded in events {
        let sync: Option<SyncId> = told::held_in(&recorded.event, &mut held);
        if recorded.position == position {
            held.sync = sync;
        }
    }
    Some(held)
}

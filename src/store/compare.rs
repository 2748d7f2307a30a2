//! What a pass tells that the ledger does not know: from their inventory and our state to observations. Pure, and tested by
//! tables. Not here: how a pass is read, or how the observations are sent.

use super::terms::{Pass, SeatAtStore, StoreHolder};
use crate::domain::command::ProviderReport;
use crate::domain::facts::PoolState;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::key::{PoolKey, Provider};
use crate::domain::state::{Pool, Seat, SeatState, Tenant};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Finds holders by the names that a store has for them.
pub trait Names {
    /// What the store may call a holder: the name under which it last showed the seat, and the one of today. None where both
    /// are lost.
    fn of(&self, pool: PoolId, holder: Holder) -> Vec<StoreHolder>;
    /// What a holder was called since a position, today's name aside. Dear: asked only where the store shows somebody whom
    /// nobody is called today.
    fn since(&self, holder: Holder, position: u64) -> Vec<StoreHolder>;
    /// Who has this name now.
    fn holder(&self, name: &StoreHolder) -> Option<Holder>;
    /// Whether the ledger ever granted this seat.
    fn was_ours(&self, pool: PoolId, holder: Holder) -> bool;
}

/// When a pass was read.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// The position at which it began: what was granted later it may have missed.
    pub begun_at: u64,
    pub began: Instant,
    pub ended: Instant,
    /// Two passes that are not so far from each other may have read the same old copy of a list, and agree on nothing.
    pub agree_after: Duration,
}

impl Read {
    /// Whether what an earlier pass noticed is confirmed by this one.
    fn agrees(&self, noticed: Option<&Instant>) -> bool {
        noticed.is_some_and(|at| self.began.saturating_duration_since(*at) >= self.agree_after)
    }
}

/// What complete passes did not show, and what they showed of seats that the ledger gave back: what a later one has to
/// agree with before anything is concluded. Each with the end of the pass that noticed it first. Of this run alone: after a
/// restart one more pass is needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remembered {
    pub missing_pools: BTreeMap<PoolId, Instant>,
    /// With the position of the grant: one that was given anew is another seat.
    pub missing_seats: BTreeMap<(PoolId, Holder, u64), Instant>,
    pub ours_again: BTreeMap<(PoolId, Holder), Instant>,
}

impl Remembered {
    /// Of a pool that was not looked at.
    fn keep(&mut self, before: &Self, pool: PoolId) {
        self.missing_pools.extend(before.missing_pools.get_key_value(&pool));
        self.missing_seats.extend(before.missing_seats.iter().filter(|((id, _, _), _)| *id == pool));
        self.ours_again.extend(before.ours_again.iter().filter(|((id, _), _)| *id == pool));
    }
}

/// What there is to tell the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Pools that this and the pass before it do not list; of those removed already, whose refund the store has yet to show.
    pub gone: Vec<PoolId>,
    /// Seats that this and the pass before it do not show.
    pub lost: Vec<(PoolId, Holder)>,
    /// Seats that the ledger does not hold, or that it waits to see confirmed.
    pub seen: Vec<(PoolId, Holder)>,
    /// Seats of holders, or of pools, that the ledger has never met.
    pub strangers: Vec<SeatAtStore>,
    /// What this and the pass before it say of seats whose holders have no name any more, so that nobody can ask for them.
    pub nameless: Vec<(PoolId, ProviderReport)>,
    /// Seats at the store that the ledger does not hold; the strangers are among them.
    pub foreign: u64,
    /// How the store spells who holds a seat here.
    pub spelled: BTreeMap<(PoolId, Holder), StoreHolder>,
    /// For the next pass.
    pub remembered: Remembered,
}

/// Holds a pass against the state.
#[must_use]
pub fn compare(
    pass: &Pass,
    tenant: &Tenant,
    provider: Provider,
    is_ours: impl Fn(&PoolKey) -> bool,
    read: Read,
    before: &Remembered,
    names: &impl Names,
) -> Findings {
    let mut findings = Findings::default();
    let sealed = pass.items.iter().filter(|item| item.is_encrypted).map(|item| &item.key);
    let skipped: BTreeSet<&PoolKey> = sealed.chain(pass.unsupported.iter().map(|(key, _)| key)).collect();
    let listed: BTreeSet<&PoolKey> = pass.items.iter().map(|item| &item.key).chain(skipped.iter().copied()).collect();
    let mut shown: BTreeMap<&PoolKey, BTreeMap<StoreHolder, &StoreHolder>> = BTreeMap::new();
    for seat in &pass.seats {
        shown.entry(&seat.pool).or_default().insert(seat.holder.normalized(), &seat.holder);
    }
    // of a removed pool the ledger asks only whether the store has taken its refund in
    let is_asked = |pool: &&Pool| pool.state != PoolState::Removed || pool.refund_lag.is_some();
    for pool in tenant.pools_of(provider).filter(is_asked) {
        if !is_ours(&pool.key) {
            // of a unit that was not read: nothing is missing, and what was is so still
            findings.remembered.keep(before, pool.id);
            continue;
        }
        if !listed.contains(&pool.key) {
            let noticed = before.missing_pools.get(&pool.id);
            findings.remembered.missing_pools.insert(pool.id, *noticed.unwrap_or(&read.ended));
            if read.agrees(noticed) {
                findings.gone.push(pool.id);
            }
            continue;
        }
        if !pool.details.is_confirmed_by_provider || pool.state == PoolState::Removed {
            continue;
        }
        if skipped.contains(&pool.key) {
            // what is skipped has its seats unread, which says nothing of them
            shown.remove(&pool.key);
            findings.remembered.keep(before, pool.id);
            continue;
        }
        let mut unmatched = shown.remove(&pool.key).unwrap_or_default();
        for (holder, seat, found, is_named) in matched(pool, &mut unmatched, names) {
            findings.spelled.extend(found.map(|spelled| ((pool.id, holder), spelled.clone())));
            let (id, is_shown) = ((pool.id, holder, seat.granted_at), found.is_some());
            // what was granted since is not what the store showed, nor what it did not show
            let is_read = seat.granted_at < read.begun_at;
            let is_missing = !is_shown && is_read;
            let noticed = before.missing_seats.get(&id);
            let (since, was_missing) = (*noticed.unwrap_or(&read.ended), read.agrees(noticed));
            match (seat.state, seat.is_confirmed()) {
                (SeatState::Reserved | SeatState::InUse, false) if is_shown && is_read => {
                    findings.seen.push((pool.id, holder));
                }
                // nobody can ask for it, and it is none of those that the store shows by names of ours: it is gone, or counted
                // as the stranger's that the store shows
                (SeatState::Releasing, _) | (SeatState::Reserved | SeatState::InUse, false)
                    if is_missing && !is_named =>
                {
                    findings.remembered.missing_seats.insert(id, since);
                    let report = match seat.state {
                        SeatState::Releasing => ProviderReport::ReleaseConfirmed { holder },
                        SeatState::Reserved | SeatState::InUse | SeatState::Foreign => {
                            ProviderReport::GrantRefused { holder, not_enough: false }
                        }
                    };
                    findings.nameless.extend(was_missing.then_some((pool.id, report)));
                }
                // without a name nobody can say that it is missing
                (SeatState::Reserved | SeatState::InUse | SeatState::Foreign, true) if is_missing && is_named => {
                    findings.remembered.missing_seats.insert(id, since);
                    findings.lost.extend(was_missing.then_some((pool.id, holder)));
                }
                (SeatState::Reserved | SeatState::InUse | SeatState::Releasing | SeatState::Foreign, _) => {}
            }
        }
        for name in unmatched.into_values() {
            match names.holder(name) {
                Some(holder) if pool.seats.contains_key(&holder) => {}
                Some(holder) => {
                    findings.foreign += 1;
                    let noticed = before.ours_again.get(&(pool.id, holder));
                    if read.agrees(noticed) || !names.was_ours(pool.id, holder) {
                        findings.seen.push((pool.id, holder));
                    }
                    findings.remembered.ours_again.insert((pool.id, holder), *noticed.unwrap_or(&read.ended));
                }
                None => {
                    findings.foreign += 1;
                    let seat = SeatAtStore { pool: pool.key.clone(), holder: name.clone(), since: None };
                    findings.strangers.push(seat);
                }
            }
        }
    }
    for (pool, holders) in shown {
        findings.foreign += holders.len() as u64;
        let seat = |holder: &&StoreHolder| SeatAtStore { pool: pool.clone(), holder: (*holder).clone(), since: None };
        findings.strangers.extend(holders.values().map(seat));
    }
    if !pass.is_complete {
        // what was not read is not missing, and what was seen once is still seen once
        findings.gone.clear();
        findings.lost.clear();
        findings.nameless.clear();
        findings.remembered = before.clone();
        findings.spelled.clear();
    }
    findings
}

/// Each seat of a pool with how the store shows it, taken out of what the store shows, and whether its holder has a name.
/// A name is first that of who bears it today and was granted a seat by the store, then of who bore it when the store showed
/// one, and only then of who bore it at some time. Where today's bearer waits for the grant, the seat is still the former's.
fn matched<'p, 's>(
    pool: &'p Pool,
    shown: &mut BTreeMap<StoreHolder, &'s StoreHolder>,
    names: &impl Names,
) -> Vec<(Holder, &'p Seat, Option<&'s StoreHolder>, bool)> {
    let mut seats = Vec::with_capacity(pool.seats.len());
    for (holder, seat) in pool.seats.iter() {
        let called = names.of(pool.id, *holder);
        let is_another_s = |spelled: &StoreHolder| {
            let bearer = names.holder(spelled).filter(|bearer| bearer != holder);
            bearer.and_then(|bearer| pool.seats.get(&bearer)).is_some_and(|seat| seat.is_confirmed())
        };
        let found = called.iter().find_map(|name| {
            let name = name.normalized();
            shown.get(&name).filter(|spelled| !is_another_s(spelled))?;
            shown.remove(&name)
        });
        seats.push((*holder, seat, found, !called.is_empty()));
    }
    for (holder, _, found, _) in seats.iter_mut().filter(|(_, _, found, _)| found.is_none()) {
        if shown.is_empty() {
            break;
        }
        *found = names.of(pool.id, *holder).iter().find_map(|name| shown.remove(&name.normalized()));
    }
    for (holder, seat, found, is_named) in seats.iter_mut().filter(|(_, _, found, _)| found.is_none()) {
        if shown.is_empty() {
            break;
        }
        let called = names.since(*holder, seat.granted_at);
        *found = called.iter().find_map(|name| shown.remove(&name.normalized()));
        *is_named |= !called.is_empty();
    }
    seats
}

#[cfg(test)]
mod tests;

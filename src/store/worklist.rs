//! What the store still has to be asked for: reservations that it has not confirmed, seats that it has not taken back. The
//! ledger's state says which; here stands when each is due. Not here: asking.

use super::terms::Sought;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::key::Provider;
use crate::domain::state::{Pool, SeatState, Tenant};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const WAIT_MIN: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(300);

/// One seat that waits for the store's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub sought: Sought,
    pub since: Instant,
    pub due: Instant,
    pub attempts: u32,
    /// The last attempt may have had an effect: the store is looked at before it is asked again.
    pub is_unknown: bool,
    /// A run before this one may have asked for the seat, and has left no word of it.
    pub is_from_before: bool,
    /// The store's last no that was not an end of it, by its code.
    pub refused: Option<u16>,
}

/// How much waits, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    pub grants: u64,
    pub releases: u64,
    pub unknown: u64,
    pub oldest: Option<Duration>,
}

/// The seats of one account that wait.
#[derive(Debug, Default)]
pub struct Worklist {
    waiting: BTreeMap<(PoolId, Holder), Waiting>,
}

/// What the store has to be asked about a seat, by the state.
#[must_use]
pub fn sought(pool: &Pool, holder: Holder) -> Option<Sought> {
    if !pool.details.is_confirmed_by_provider {
        return None;
    }
    let seat = pool.seats.get(&holder)?;
    match seat.state {
        SeatState::Reserved | SeatState::InUse => (!seat.is_confirmed()).then_some(Sought::Grant),
        SeatState::Releasing => Some(Sought::Release),
        SeatState::Foreign => None,
    }
}

impl Worklist {
    /// Everything that waits in these pools, from the state.
    pub fn fill<'p>(&mut self, pools: impl Iterator<Item = &'p Pool>, now: Instant) {
        for pool in pools.filter(|pool| pool.details.is_confirmed_by_provider) {
            for (holder, seat) in pool.seats.iter() {
                self.look(pool, *holder, now);
                if let Some(waiting) = self.waiting.get_mut(&(pool.id, *holder)) {
                    waiting.is_from_before = !seat.is_confirmed();
                }
            }
        }
    }

    /// Something was recorded about a seat. Those of other providers are another list's.
    pub fn note(&mut self, tenant: &Tenant, provider: Provider, pool: PoolId, holder: Holder, now: Instant) {
        if let Some(pool) = tenant.pools.get(pool.index()).filter(|pool| pool.key.provider() == provider) {
            self.look(pool, holder, now);
        }
    }

    fn look(&mut self, pool: &Pool, holder: Holder, now: Instant) {
        let key = (pool.id, holder);
        match (sought(pool, holder), self.waiting.get(&key)) {
            (None, _) => {
                self.waiting.remove(&key);
            }
            (Some(sought), Some(known)) if known.sought == sought => {}
            (Some(sought), known) => {
                // what may come of it is the same, whatever is sought now
                let is_unknown = known.is_some_and(|known| known.is_unknown);
                let is_from_before = known.is_some_and(|known| known.is_from_before);
                let (due, since, refused) = (now, now, None);
                let waiting = Waiting { sought, since, due, attempts: 0, is_unknown, is_from_before, refused };
                self.waiting.insert(key, waiting);
            }
        }
    }

    /// At most `max` that are due in pools that are not closed, those that wait longest first.
    #[must_use]
    pub fn due(&self, now: Instant, max: usize, closed: &BTreeSet<PoolId>) -> Vec<(PoolId, Holder, Waiting)> {
        let open = self.waiting.iter().filter(|((pool, _), _)| !closed.contains(pool));
        let mut due: Vec<_> = open.filter(|(_, waiting)| waiting.due <= now).collect();
        due.sort_by_key(|(_, waiting)| waiting.due);
        due.into_iter().take(max).map(|((pool, holder), waiting)| (*pool, *holder, *waiting)).collect()
    }

    /// Seats that the store has not taken back yet, due or not.
    #[must_use]
    pub fn releasing(&self) -> Vec<(PoolId, Holder)> {
        let releasing = self.waiting.iter().filter(|(_, waiting)| waiting.sought == Sought::Release);
        releasing.map(|(place, _)| *place).collect()
    }

    #[must_use]
    pub fn next_due(&self, closed: &BTreeSet<PoolId>) -> Option<Instant> {
        let open = self.waiting.iter().filter(|((pool, _), _)| !closed.contains(pool));
        open.map(|(_, waiting)| waiting.due).min()
    }

    /// Asked in vain: once more after twice the time. `jitter` is drawn anew each time, from 0 to 1.
    pub fn postpone(&mut self, pool: PoolId, holder: Holder, is_unknown: bool, now: Instant, jitter: f64) {
        if let Some(waiting) = self.waiting.get_mut(&(pool, holder)) {
            let wait = WAIT_MIN.saturating_mul(1 << waiting.attempts.min(16)).min(WAIT_MAX);
            waiting.due = now + wait.mul_f64(0.5 + jitter / 2.0);
            waiting.attempts = waiting.attempts.saturating_add(1);
            waiting.is_unknown = is_unknown;
        }
    }

    /// The store said no to a seat that stays asked for. Whether it had not said the same before.
    pub fn is_news(&mut self, pool: PoolId, holder: Holder, code: u16) -> bool {
        self.waiting.get_mut(&(pool, holder)).is_some_and(|waiting| waiting.refused.replace(code) != Some(code))
    }

    /// The store has answered a whole reading: what was asked in vain is asked again at once.
    pub fn hurry(&mut self, now: Instant) {
        for waiting in self.waiting.values_mut() {
            waiting.due = waiting.due.min(now);
            waiting.attempts = 0;
        }
    }

    #[must_use]
    pub fn backlog(&self, now: Instant) -> Backlog {
        let mut backlog = Backlog::default();
        for waiting in self.waiting.values() {
            match waiting.sought {
                Sought::Grant => backlog.grants += 1,
                Sought::Release => backlog.releases += 1,
            }
            backlog.unknown += u64::from(waiting.is_unknown);
            backlog.oldest = backlog.oldest.max(Some(now.saturating_duration_since(waiting.since)));
        }
        backlog
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;

    fn list(count: u32, now: Instant) -> Worklist {
        let waiting = Waiting {
            sought: Sought::Grant,
            since: now,
            due: now,
            attempts: 0,
            is_unknown: false,
            is_from_before: false,
            refused: None,
        };
        Worklist { waiting: (0..count).map(|n| ((PoolId(1), Holder::User(UserId(n))), waiting)).collect() }
    }

    #[test]
    fn the_store_s_no_to_a_seat_is_news_once_for_each_reason() {
        let now = crate::clock::monotonic();
        let mut list = list(2, now);
        let (one, other) = (Holder::User(UserId(0)), Holder::User(UserId(1)));
        let mut said = |holder, code| list.is_news(PoolId(1), holder, code);
        assert!(said(one, 404) && !said(one, 404) && said(other, 404) && said(one, 400));
    }

    #[test]
    fn what_was_asked_in_vain_is_asked_again_later_and_later_and_never_later_than_five_minutes() {
        let now = crate::clock::monotonic();
        let mut list = list(2, now);
        let holder = Holder::User(UserId(0));
        let mut last = Duration::ZERO;
        for attempt in 0..40 {
            list.postpone(PoolId(1), holder, true, now, 1.0);
            let wait = list.waiting[&(PoolId(1), holder)].due - now;
            assert!(wait >= last && wait <= WAIT_MAX, "attempt {attempt}: {wait:?}");
            assert_eq!(list.due(now, 10, &BTreeSet::new()).len(), 1, "the other one does not wait for it");
            last = wait;
        }
        assert_eq!(last, WAIT_MAX);
        let backlog = list.backlog(now + Duration::from_secs(9));
        let oldest = Some(Duration::from_secs(9));
        assert_eq!(backlog, Backlog { grants: 2, releases: 0, unknown: 1, oldest });
    }

    #[test]
    fn what_waits_in_a_closed_pool_keeps_nobody_else_from_being_asked() {
        let now = crate::clock::monotonic();
        let mut list = list(3, now);
        let holder = Holder::User(UserId(7));
        let later =
            Waiting { due: now + Duration::from_secs(9), ..list.waiting[&(PoolId(1), Holder::User(UserId(0)))] };
        list.waiting.insert((PoolId(2), holder), later);
        let closed = BTreeSet::from([PoolId(1)]);
        assert!(list.due(now, 2, &closed).is_empty());
        assert_eq!(list.next_due(&closed), Some(later.due));
        assert_eq!(list.due(later.due, 2, &closed).len(), 1);
        list.hurry(now);
        assert_eq!(list.due(now, 2, &closed).len(), 1, "a store that was read whole is well again");
    }
}

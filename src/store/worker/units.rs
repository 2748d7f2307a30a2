//! The units of an account, each with credentials of its own: which of them the store lets us into, and what that means to
//! their pools. What is wrong with one says nothing of the others. Not here: how the store is asked (`reading`, `confirming`).

use super::reading::Looked;
use super::{UnitStanding, Worker};
use crate::clock::monotonic;
use crate::domain::command::ProviderReport;
use crate::domain::facts::PoolState;
use crate::domain::ids::PoolId;
use crate::domain::key::{PoolKey, Provider};
use crate::domain::state::Tenant;
use crate::domain::time::Time;
use crate::store::connector::Connector;
use crate::store::submit::Untold;
use crate::store::terms::Trouble;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A store that turned us away is asked again so often whether it does still.
const SHUT_WAIT: Duration = Duration::from_secs(30);
/// One that lets us in and turns a write away so soon after that is left shut longer, each time it does so.
const AGAIN_WITHIN: Duration = Duration::from_secs(600);
const SHUT_WAIT_MAX: Duration = Duration::from_secs(3600);
/// One that could not be asked is asked again so soon.
const LOOK_WAIT: Duration = Duration::from_secs(5);
const TROUBLE_WAIT: Duration = Duration::from_secs(1);
const THROTTLED_MAX: u64 = 3600;

pub(super) struct Unit {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) trouble: Option<Trouble>,
    token_expires_at: Option<Time>,
    /// Nothing is settled before.
    not_before: Instant,
    /// When it is to be looked at whom the store takes us for; none while that is known.
    pub(super) look_at: Option<Instant>,
    /// Whether the store has let us in since the start.
    was_let_in: bool,
    /// A holder's name of old is known only once the unit was read.
    pub(super) has_read: bool,
    /// Whether it is being asked for seats.
    pub(super) is_asked: bool,
    writes: Writes,
}

/// What becomes of writing to a unit that lets us in when it is asked whom it takes us for.
struct Writes {
    /// The pool in which a write was turned away last.
    turned_away: Option<PoolId>,
    /// When a look opened what that had shut.
    reopened_at: Option<Instant>,
    wait: Duration,
    /// Until then no look opens it.
    shut_until: Option<Instant>,
}

impl Unit {
    pub(super) fn new(connector: Arc<dyn Connector>, has_read: bool, now: Instant) -> Self {
        Self {
            connector,
            trouble: None,
            token_expires_at: None,
            not_before: now,
            look_at: Some(now),
            was_let_in: false,
            has_read,
            is_asked: false,
            writes: Writes { turned_away: None, reopened_at: None, wait: SHUT_WAIT, shut_until: None },
        }
    }

    pub(super) fn is_shut(&self) -> bool {
        self.trouble.as_ref().is_some_and(Trouble::shuts_the_account)
    }

    /// Whether it lets us in and waits to be read.
    pub(super) fn is_unread(&self) -> bool {
        self.was_let_in && !self.has_read && !self.is_shut()
    }

    /// Whether seats may be settled now.
    fn is_open(&self, now: Instant) -> bool {
        !self.is_shut() && self.has_read && self.not_before <= now
    }

    fn opens_at(&self, now: Instant) -> Option<Instant> {
        (!self.is_shut() && self.not_before > now).then_some(self.not_before)
    }

    /// The store has let us in, or has not.
    fn take(&mut self, trouble: Option<Trouble>, now: Instant) {
        let shut_until = self.writes.shut_until.filter(|until| *until > now);
        let look_again = Some(shut_until.map_or(now + SHUT_WAIT, |until| until.max(now + SHUT_WAIT)));
        match trouble {
            // a look is no write, and has been wrong before
            None if shut_until.is_some() => {}
            None => {
                if self.is_shut() && self.writes.turned_away.is_some() {
                    self.writes.reopened_at = Some(now);
                }
                (self.trouble, self.look_at, self.was_let_in) = (None, None, true);
            }
            Some(trouble) if trouble.shuts_the_account() => {
                self.look_at = look_again;
                self.trouble = Some(trouble);
            }
            // that the store can't be reached does not open what it has shut
            Some(_) if self.is_shut() => self.look_at = look_again,
            Some(trouble) => {
                let wait = match &trouble {
                    Trouble::Throttled { retry_after_seconds } => {
                        Duration::from_secs(retry_after_seconds.unwrap_or(1).min(THROTTLED_MAX))
                    }
                    Trouble::Credentials(_)
                    | Trouble::TakenOver(_)
                    | Trouble::Unreachable(_)
                    | Trouble::Malformed(_)
                    | Trouble::Refused { .. } => TROUBLE_WAIT,
                };
                self.not_before = now + wait;
                let soon = now + LOOK_WAIT;
                // whatever is asked for next may be long in coming; what could not be read is read again anyway
                let is_looked_at = self.has_read && trouble.is_of_the_store();
                self.look_at = self.look_at.map(|due| due.max(soon)).or(is_looked_at.then_some(soon));
                self.trouble = Some(trouble);
            }
        }
    }

    fn tell_of(&self, provider: Provider, trouble: &Trouble) {
        if self.trouble.is_none() {
            let (provider, unit) = (provider.name(), self.connector.unit());
            tracing::warn!(provider, unit, %trouble, "the store can't be written to");
        }
    }

    /// A call for a seat met trouble. What lets us in and then turns that away is opened by looks more and more seldom, or each of
    /// its pools would be suspended and resumed for ever.
    fn meet(&mut self, pool: PoolId, trouble: Trouble, now: Instant) {
        // what was under way when it was shut says nothing new
        let is_known = self.is_shut() && self.writes.turned_away.is_some();
        if trouble.shuts_the_account() && !is_known {
            let is_again = self.writes.reopened_at.is_some_and(|at| now.duration_since(at) < AGAIN_WITHIN);
            let wait = if is_again { (self.writes.wait * 2).min(SHUT_WAIT_MAX) } else { SHUT_WAIT };
            let shut_until = is_again.then(|| now + wait);
            self.writes = Writes { turned_away: Some(pool), reopened_at: None, wait, shut_until };
        }
        self.take(Some(trouble), now);
    }

    /// Whatever passes by itself is over after its time, until it is met again. Why the store could not be asked, or not be
    /// read, stands until it was.
    fn end_trouble(&mut self, now: Instant) {
        if self.has_read && !self.is_shut() && self.not_before <= now && self.look_at.is_none() {
            self.trouble = None;
        }
    }

    /// The store has done what was asked for in a pool. That it writes to others says nothing of one where it does not.
    pub(super) fn has_written(&mut self, pool: PoolId) {
        if self.was_let_in && !self.is_shut() {
            (self.trouble, self.look_at) = (None, None);
        }
        if self.writes.turned_away == Some(pool) {
            self.writes = Writes { turned_away: None, reopened_at: None, wait: SHUT_WAIT, shut_until: None };
        }
    }
}

impl Worker {
    pub(super) fn connectors(&self) -> Vec<Arc<dyn Connector>> {
        self.units.iter().map(|unit| Arc::clone(&unit.connector)).collect()
    }

    /// Whose pool it is.
    pub(super) fn unit_of(&self, key: &PoolKey) -> Option<usize> {
        self.units.iter().position(|unit| unit.connector.has(key))
    }

    /// What the store said of each unit when it was asked whom it takes us for.
    pub(super) async fn take_looks(&mut self, looked: Looked) -> Result<(), Untold> {
        for (at, looked) in looked.into_iter().enumerate() {
            let (expires_at, trouble) = match looked {
                Ok(account) => (account.token_expires_at, None),
                Err(trouble) => (None, Some(trouble)),
            };
            if let Some(unit) = self.units.get_mut(at) {
                unit.token_expires_at = expires_at.or(unit.token_expires_at);
            }
            self.note_trouble(at, trouble);
        }
        self.level_pools().await
    }

    /// What was met while a unit was asked for a seat in a pool.
    pub(super) async fn meet(&mut self, at: usize, pool: PoolId, trouble: Trouble) -> Result<(), Untold> {
        if let Some(unit) = self.units.get_mut(at) {
            unit.tell_of(self.post.provider, &trouble);
            unit.meet(pool, trouble, monotonic());
        }
        self.level_pools().await
    }

    fn note_trouble(&mut self, at: usize, trouble: Option<Trouble>) {
        let Some(unit) = self.units.get_mut(at) else { return };
        if let Some(trouble) = &trouble {
            unit.tell_of(self.post.provider, trouble);
        }
        unit.take(trouble, monotonic());
    }

    pub(super) fn end_troubles(&mut self, now: Instant) {
        self.units.iter_mut().for_each(|unit| unit.end_trouble(now));
    }

    /// Pools of a unit that turned us away, and of one that nobody has credentials for, are suspended; those of a unit that lets
    /// us in go on, also where a run before this one left them suspended.
    async fn level_pools(&mut self) -> Result<(), Untold> {
        let provider = self.post.provider;
        // one that has not said yet which it is may be anyone's
        let are_known = self.units.iter().all(|unit| unit.connector.unit().is_some() || unit.is_shut());
        let (units, home) = (&self.units, &self.post.account_id);
        let (reports, orphans): (Vec<(PoolId, ProviderReport)>, Vec<String>) = self.teller.read(|view| {
            let reports = view
                .state
                .pools_of(provider)
                .filter_map(|pool| {
                    let unit = units.iter().find(|unit| unit.connector.has(&pool.key));
                    let is_shut = unit.map_or(are_known, Unit::is_shut);
                    let report = match pool.state {
                        PoolState::Active if is_shut => ProviderReport::Suspended,
                        PoolState::Suspended if unit.is_some_and(|it| it.was_let_in && !is_shut) => {
                            ProviderReport::Resumed
                        }
                        PoolState::Active | PoolState::Suspended | PoolState::Removed => return None,
                    };
                    Some((pool.id, report))
                })
                .collect();
            let named: BTreeSet<String> = units.iter().filter_map(|unit| unit.connector.unit()).collect();
            let is_orphan = |unit: &String| are_known && provider == Provider::AppleBusiness && !named.contains(unit);
            (reports, units_known(&view.state, home).into_iter().filter(is_orphan).collect())
        })?;
        self.orphans = orphans;
        self.teller.report_all(reports).await
    }

    /// Pools whose seats can't be settled now.
    pub(super) fn closed_pools(&self, now: Instant) -> Result<BTreeSet<PoolId>, Untold> {
        let (provider, units) = (self.post.provider, &self.units);
        self.teller.read(|view| {
            let has = |key: &PoolKey, is_so: &dyn Fn(&Unit) -> bool| {
                units.iter().any(|unit| is_so(unit) && unit.connector.has(key))
            };
            let is_closed = |key: &PoolKey| has(key, &|unit| unit.is_asked) || !has(key, &|unit| unit.is_open(now));
            view.state.pools_of(provider).filter(|pool| is_closed(&pool.key)).map(|pool| pool.id).collect()
        })
    }

    /// When something is to be done of which nothing else says so.
    pub(super) fn next_of_units(&self, now: Instant) -> Option<Instant> {
        let is_free = self.passing.is_none() && self.looking.is_none();
        let looks = self.units.iter().filter(|_| is_free).filter_map(|unit| unit.look_at);
        looks.chain(self.units.iter().filter_map(|unit| unit.opens_at(now))).min()
    }

    pub(super) fn standings(&self) -> Vec<UnitStanding> {
        let seen = |unit: &Unit| UnitStanding {
            unit: unit.connector.unit(),
            trouble: unit.trouble.clone(),
            token_expires_at: unit.token_expires_at,
            untold: unit.connector.untold(),
        };
        let missing = |unit: &String| UnitStanding {
            unit: Some(unit.clone()),
            trouble: Some(Trouble::Credentials("none that the store accepts is given for this unit".into())),
            ..UnitStanding::default()
        };
        let mut standings: Vec<_> = self.units.iter().map(seen).collect();
        let mut unnamed = standings.iter_mut().filter(|standing| standing.unit.is_none());
        match (self.orphans.as_slice(), unnamed.next(), unnamed.next()) {
            // who is left must be it
            ([only], Some(standing), None) => standing.unit = Some(only.clone()),
            (orphans, _, _) => standings.extend(orphans.iter().map(missing)),
        }
        standings
    }
}

/// The units that a tenant has had anything of.
pub(super) fn units_known(tenant: &Tenant, home: &str) -> BTreeSet<String> {
    let of_pools = tenant.pools_of(Provider::AppleBusiness).filter_map(|pool| match &pool.key {
        PoolKey::Apple { unit_id, .. } => Some(unit_id.clone()),
        PoolKey::Microsoft { .. } | PoolKey::Declared { .. } => None,
    });
    let linked = tenant.accounts.get(&Provider::AppleBusiness).into_iter().flat_map(|account| account.units.clone());
    of_pools.chain(linked).chain([home.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::terms::{Account, Pass, PassAsked, PassProgress, Request, Settled, StoreHolder};
    use futures::future::{BoxFuture, pending};

    struct Silent;

    impl Connector for Silent {
        fn account(&self) -> BoxFuture<'_, Result<Account, Trouble>> {
            Box::pin(pending())
        }

        fn pass<'a>(&'a self, _: &'a PassAsked, _: &'a PassProgress) -> BoxFuture<'a, Result<Pass, Trouble>> {
            Box::pin(pending())
        }

        fn settle(&self, _: Vec<Request>) -> BoxFuture<'_, Vec<(Request, Settled)>> {
            Box::pin(pending())
        }

        fn look<'a>(&'a self, _: &'a PoolKey, _: &'a StoreHolder) -> BoxFuture<'a, Result<bool, Trouble>> {
            Box::pin(pending())
        }

        fn has(&self, _: &PoolKey) -> bool {
            true
        }
    }

    fn refused() -> Trouble {
        Trouble::Credentials("403".into())
    }

    /// How often the unit is opened in a day where each opening ends a second later, and what is done then.
    fn openings(unit: &mut Unit, mut now: Instant, done: impl Fn(&mut Unit)) -> usize {
        let end = now + Duration::from_secs(86_400);
        let mut openings = 0;
        while now < end {
            unit.take(None, now);
            if !unit.is_shut() {
                openings += 1;
                done(unit);
                unit.meet(PoolId(1), refused(), now + Duration::from_secs(1));
            }
            // syncs look too
            now += Duration::from_secs(5);
        }
        openings
    }

    #[test]
    fn what_lets_us_in_and_is_not_written_to_is_opened_more_and_more_seldom() {
        let now = monotonic();
        let mut unit = Unit::new(Arc::new(Silent), true, now);
        let seldom = openings(&mut unit, now, |unit| unit.has_written(PoolId(2)));
        assert!((24..40).contains(&seldom), "{seldom}");

        // a write where it was turned away, and it is as if it had never been
        let mut unit = Unit::new(Arc::new(Silent), true, now);
        assert!(openings(&mut unit, now, |unit| unit.has_written(PoolId(1))) > 10_000);

        // the first time whoever asks again is let in at once, and so is one who was turned away long after
        let mut unit = Unit::new(Arc::new(Silent), true, now);
        for later in [0, 3600, 7200] {
            let now = now + Duration::from_secs(later);
            unit.take(None, now);
            unit.meet(PoolId(1), refused(), now + AGAIN_WITHIN);
            assert_eq!(unit.look_at, Some(now + AGAIN_WITHIN + SHUT_WAIT));
            unit.take(None, now + AGAIN_WITHIN + Duration::from_secs(1));
            assert!(!unit.is_shut());
        }
    }

    #[test]
    fn a_store_that_is_down_is_said_to_be_until_something_gets_through() {
        let begun = monotonic();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let down = || Trouble::Unreachable("no connection".into());
        let let_in = || {
            let mut unit = Unit::new(Arc::new(Silent), true, begun);
            unit.take(None, begun);
            unit
        };
        let mut unit = let_in();
        unit.meet(PoolId(0), down(), begun);
        unit.end_trouble(after(600));
        assert_eq!(unit.trouble, Some(down()), "time alone brings it back to nobody");
        assert!(unit.is_open(after(1)), "which holds no retry back");
        assert_eq!(unit.look_at, Some(begun + LOOK_WAIT), "and it is looked at, whatever is asked for");
        unit.take(Some(down()), after(5));
        unit.end_trouble(after(7));
        assert_eq!(unit.trouble, Some(down()));
        unit.take(None, after(10));
        assert_eq!((&unit.trouble, unit.look_at), (&None, None));

        // a write is as good as a look
        unit.meet(PoolId(0), Trouble::Refused { status: 503, words: "down".into() }, after(11));
        unit.end_trouble(after(13));
        assert!(unit.trouble.is_some());
        unit.has_written(PoolId(1));
        assert_eq!((&unit.trouble, unit.look_at), (&None, None));

        // what is about one call, or says when it is over, is over by itself
        for trouble in [
            Trouble::Throttled { retry_after_seconds: Some(1) },
            Trouble::Refused { status: 400, words: "not this one".into() },
        ] {
            let mut unit = let_in();
            unit.meet(PoolId(0), trouble, begun);
            unit.end_trouble(begun);
            assert!(unit.trouble.is_some());
            unit.end_trouble(after(1));
            assert_eq!(unit.trouble, None);
        }

        // and a store that was never reached was not let in by a write of its neighbour
        let mut unit = Unit::new(Arc::new(Silent), true, begun);
        unit.take(Some(down()), begun);
        unit.has_written(PoolId(0));
        unit.end_trouble(after(60));
        assert_eq!(unit.trouble, Some(down()));
    }

    #[test]
    fn a_look_that_is_turned_away_opens_nothing_sooner() {
        let now = monotonic();
        let mut unit = Unit::new(Arc::new(Silent), true, now);
        for seconds in [0, 1, 2, 3] {
            unit.take(None, now + Duration::from_secs(seconds));
            unit.meet(PoolId(1), refused(), now + Duration::from_secs(seconds));
        }
        let until = unit.look_at;
        assert!(until > Some(now + SHUT_WAIT));
        unit.take(Some(refused()), now + Duration::from_secs(4));
        unit.take(Some(Trouble::Unreachable("no connection".into())), now + Duration::from_secs(5));
        unit.take(None, now + Duration::from_secs(36));
        assert!(unit.look_at == until && unit.is_shut());
        unit.take(None, until.expect("it is looked at again"));
        assert!(!unit.is_shut());
    }
}

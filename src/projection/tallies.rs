//! Every pool as it was just after any of its events, without its holders: what it is called, what is owned and what may be
//! done with it from wherever that changed, and its counts as steps of two or three bytes an event. So the figures of a
//! pool in the past are looked up, and nothing is folded for them. Not here: who holds what.

use super::change::Change;
use super::figures::{Figures, holder_of};
use super::steps::{Archive, Archived, Counts, Put, Steps};
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::PoolState;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::key::Provider;
use crate::domain::placing::Chain;
use crate::domain::state::{Dense, InstallKey, Pool, Sync, SyncState, Tenant};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// What the provider said of a pool, from a position on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stated {
    position: u64,
    used: Option<u64>,
    seen_at: Option<Time>,
}

/// One pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The pool without its holders, from each position on that changed its etag.
    terms: Vec<(u64, Arc<Pool>)>,
    /// By events that name the pool; that a sync of all pools saw it is told by [`Passes`].
    stated: Vec<Stated>,
    counts: Steps,
    /// Who has the app installed without a seat and does not wait for one.
    stranded: BTreeSet<Holder>,
    /// How many these were, and how many wanted a seat back that was being released.
    lacking: Steps,
}

/// By pool.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tallies(Vec<Arc<Tally>>);

impl Tallies {
    #[must_use]
    pub fn pool(&self, pool: PoolId) -> Option<&Arc<Tally>> {
        self.0.get(pool.index())
    }

    /// Those that were listed by a position: the ones with the lowest ids.
    #[must_use]
    pub fn listed_by(&self, position: u64) -> &[Arc<Tally>] {
        let count = self.0.partition_point(|tally| tally.listed_position() <= position);
        self.0.get(..count).unwrap_or_default()
    }

    /// Takes an event that the state has just taken.
    pub(super) fn take(&mut self, recorded: &Recorded, state: &Tenant) {
        if let Event::PoolsSeen { pools, .. } = &recorded.event {
            for id in pools {
                if let (Some(tally), Some(pool)) = (self.0.get_mut(id.index()), state.pools.get(id.index())) {
                    Arc::make_mut(tally).note_stated(recorded.position, pool);
                }
            }
        }
        let Some((id, _)) = Change::of(&recorded.event) else { return };
        let Some(pool) = state.pools.get(id.index()) else { return };
        if id.index() == self.0.len() {
            self.0.push(Arc::new(Tally::default()));
        }
        if let Some(tally) = self.0.get_mut(id.index()) {
            Arc::make_mut(tally).take(recorded, pool);
        }
    }
}

/// Which steps of a pool were archived.
pub(super) struct Gone {
    place: usize,
    counts: Vec<Archived>,
    lacking: Vec<Archived>,
}

impl Tallies {
    /// Gives away what never changes any more.
    pub(super) fn archive(&self, put: &mut Put<'_>) -> io::Result<Vec<Gone>> {
        let mut all = Vec::new();
        for (place, tally) in self.0.iter().enumerate() {
            let gone = Gone { place, counts: tally.counts.archive(put)?, lacking: tally.lacking.archive(put)? };
            if !gone.counts.is_empty() || !gone.lacking.is_empty() {
                all.push(gone);
            }
        }
        Ok(all)
    }

    /// Lets go of what was archived of it, or of a copy of it.
    pub(super) fn let_go(&mut self, gone: &[Gone]) {
        for Gone { place, counts, lacking } in gone {
            if let Some(tally) = self.0.get_mut(*place).map(Arc::make_mut) {
                tally.counts.let_go(counts);
                tally.lacking.let_go(lacking);
            }
        }
    }

    /// By what an archive knows what lies there.
    pub(super) fn archived(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|tally| tally.counts.archived().chain(tally.lacking.archived()))
    }
}

impl Tally {
    #[must_use]
    pub fn listed_position(&self) -> u64 {
        self.terms.first().map_or(u64::MAX, |(position, _)| *position)
    }

    /// The pool just after a position, without its holders and with no counts; `None` before it was listed.
    #[must_use]
    pub fn terms_at(&self, position: u64) -> Option<&Arc<Pool>> {
        let count = self.terms.partition_point(|(since, _)| *since <= position);
        self.terms.get(count.checked_sub(1)?).map(|(_, terms)| terms)
    }

    /// The same with everything that is shown of it, and with its counts.
    #[must_use]
    pub fn at(&self, position: u64, passes: &Passes, archive: &dyn Archive) -> Option<(Pool, Figures)> {
        let mut pool = Pool::clone(self.terms_at(position)?);
        let stated = self.stated.partition_point(|stated| stated.position <= position);
        let stated = stated.checked_sub(1).and_then(|at| self.stated.get(at));
        let was_read = |at| self.terms_at(at).is_some_and(|terms| terms.state == PoolState::Active);
        pool.store_used = stated.and_then(|stated| stated.used);
        let seen_by_a_pass = passes.last_until(position, pool.key.provider(), was_read);
        pool.store_seen_at = stated.and_then(|stated| stated.seen_at).max(seen_by_a_pass);
        let [reserved, in_use, releasing, foreign, queued, installed, unlicensed, refused] =
            self.counts_at(position, archive);
        (pool.reserved, pool.in_use, pool.releasing, pool.foreign) = (reserved, in_use, releasing, foreign);
        (pool.unlicensed, pool.refused) = (unlicensed, refused);
        let figures = Figures { queued, installed, ..Figures::of(&pool) };
        Some((pool, figures))
    }

    /// Its figures just after a position; `None` before it was listed.
    #[must_use]
    pub fn figures_at(&self, position: u64, archive: &dyn Archive) -> Option<Figures> {
        let terms = self.terms_at(position)?;
        Some(Figures::counted(terms.owned, terms.distribution_policy, self.counts_at(position, archive)))
    }

    /// Its figures wherever they or its terms changed, from a position on, in order.
    pub fn figures_from<'t>(
        &'t self,
        first: u64,
        archive: &'t dyn Archive,
    ) -> impl Iterator<Item = (u64, Figures)> + 't {
        let skipped = self.terms.partition_point(|(since, _)| *since < first);
        let mut terms = self.terms.get(skipped..).unwrap_or_default().iter().peekable();
        let mut counts = self.counts.since(first, archive).peekable();
        let before = first.checked_sub(1);
        let mut terms_now = before.and_then(|before| self.terms_at(before));
        let mut counts_now = before.map_or([0; 8], |before| self.counts_at(before, archive));
        std::iter::from_fn(move || {
            let next = [terms.peek().map(|(since, _)| *since), counts.peek().map(|(at, _)| *at)];
            let at = next.into_iter().flatten().min()?;
            if let Some((_, since_now)) = terms.next_if(|(since, _)| *since == at) {
                terms_now = Some(since_now);
            }
            if let Some((_, after)) = counts.next_if(|(step, _)| *step == at) {
                counts_now = after;
            }
            let terms = terms_now?;
            Some((at, Figures::counted(terms.owned, terms.distribution_policy, counts_now)))
        })
    }

    /// Where a part of its figures changed last, up to a position; `None` before it was listed. Looks back no farther than
    /// it has to.
    pub fn changed_last<T: PartialEq>(
        &self,
        position: u64,
        part: impl Fn(&Figures) -> T,
        archive: &dyn Archive,
    ) -> Option<u64> {
        let mut until = position;
        loop {
            let first = self.counts.chunk_before(until).unwrap_or(0);
            let mut shown =
                first.checked_sub(1).and_then(|before| self.figures_at(before, archive)).map(|before| part(&before));
            let mut last = None;
            for (at, figures) in self.figures_from(first, archive).take_while(|(at, _)| *at <= until) {
                let now = Some(part(&figures));
                if now != shown {
                    (shown, last) = (now, Some(at));
                }
            }
            if last.is_some() || first == 0 {
                return last;
            }
            until = first - 1;
        }
    }

    /// How many waited for a seat just after a position.
    #[must_use]
    pub fn queued_at(&self, position: u64, archive: &dyn Archive) -> u64 {
        let [.., queued, _, _, _] = self.counts_at(position, archive);
        queued
    }

    /// How many had the app installed without a seat, and did not wait for one, just after a position.
    #[must_use]
    pub fn without_seat_at(&self, position: u64, archive: &dyn Archive) -> u64 {
        self.lacking.at(position, archive).map_or(0, |(_, [without_seat, ..])| without_seat)
    }

    /// How many wanted a seat back that was being released, just after a position.
    #[must_use]
    pub fn regrants_at(&self, position: u64, archive: &dyn Archive) -> u64 {
        self.lacking.at(position, archive).map_or(0, |(_, [_, regrants, ..])| regrants)
    }

    fn counts_at(&self, position: u64, archive: &dyn Archive) -> Counts {
        self.counts.at(position, archive).map_or([0; 8], |(_, counts)| counts)
    }

    fn note_stated(&mut self, position: u64, pool: &Pool) {
        self.stated.push(Stated { position, used: pool.store_used, seen_at: pool.store_seen_at });
    }

    fn take(&mut self, recorded: &Recorded, pool: &Pool) {
        let position = recorded.position;
        if self.terms.last().is_none_or(|(_, terms)| terms.etag != pool.etag) {
            self.terms.push((position, Arc::new(pool.without_holders())));
        }
        if matches!(recorded.event, Event::PoolListed { .. } | Event::StoreUsedStated { .. }) {
            self.note_stated(position, pool);
        }
        self.look_for_stranded(recorded, pool);
        let lacking = [self.stranded.len() as u64, pool.regrants.len() as u64, 0, 0, 0, 0, 0, 0];
        if lacking != *self.lacking.now() {
            self.lacking.push(position, lacking);
        }
        let figures = Figures::of(pool);
        let Figures { reserved, in_use, releasing, foreign, queued, installed, unlicensed, refused, .. } = figures;
        let after = [reserved, in_use, releasing, foreign, queued, installed, unlicensed, refused];
        if after != *self.counts.now() {
            self.counts.push(position, after);
        }
    }
}

impl Tally {
    fn look_for_stranded(&mut self, recorded: &Recorded, pool: &Pool) {
        if pool.unlicensed == 0 && self.stranded.is_empty() {
            return;
        }
        for holder in touched(&recorded.event, pool) {
            if is_stranded(pool, holder) {
                self.stranded.insert(holder);
            } else {
                self.stranded.remove(&holder);
            }
        }
    }
}

/// Who may have a seat or a place now, or an install that is licensed or not, and had not before; or the other way.
fn touched(event: &Event, pool: &Pool) -> Vec<Holder> {
    let of_seat =
        if let Event::Queued { holder, .. } | Event::Requeued { holder, .. } | Event::Dequeued { holder, .. } = event {
            Some(*holder)
        } else {
            match Chain::of(event) {
                Some(Chain::Seat { holder, .. }) => Some(holder),
                Some(Chain::Install { device, user, .. }) => Some(holder_of(InstallKey { device, user })),
                None => None,
            }
        };
    let on_device = of_seat.into_iter().flat_map(|holder| pool.installs_of(holder)).map(holder_of);
    of_seat.into_iter().chain(on_device).collect()
}

fn is_stranded(pool: &Pool, holder: Holder) -> bool {
    let is_unlicensed = |key: &InstallKey| pool.installs.get(key).is_some_and(|install| install.seat.is_none());
    let mut unlicensed = pool.installs_of(holder).into_iter().filter(is_unlicensed);
    unlicensed.any(|key| holder_of(key) == holder)
        && !pool.seats.contains_key(&holder)
        && !pool.queued.contains_key(&holder)
}

/// Where passes over the whole of a provider's inventory ended, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Passes(Vec<(u64, Time, Provider)>);

impl Passes {
    #[must_use]
    pub fn of(syncs: &Dense<Sync>) -> Self {
        let ended =
            syncs.iter().filter(|sync| sync.state == SyncState::Completed && !sync.is_dry_run && sync.is_of_all());
        let mut ended: Vec<_> =
            ended.filter_map(|sync| Some((sync.ended_position?, sync.ended_at?, sync.provider))).collect();
        ended.sort_unstable_by_key(|(position, ..)| *position);
        Self(ended)
    }

    /// When the last one ended that read a pool: that was there, and not suspended.
    fn last_until(&self, position: u64, of: Provider, was_read: impl Fn(u64) -> bool) -> Option<Time> {
        let count = self.0.partition_point(|(ended, ..)| *ended <= position);
        let mut newest_first = self.0.get(..count).unwrap_or_default().iter().rev();
        newest_first.find(|(ended, _, provider)| *provider == of && was_read(*ended)).map(|(_, at, _)| *at)
    }
}

//! Which facts count at a moment though they were recorded behind its position. The index says where they may stand, by how
//! late they were; whoever looks at little takes of these places those that are about it, and only there events are read.

use super::{Moment, placed_last};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::placing::{Chain, LateStep, Lateness, told_at};
use crate::domain::subject::Subject;
use crate::domain::time::Time;
use crate::ledger::{Ledger, ReadError, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// So many positions are taken from the index, and events from the log, at once.
const CHUNK: usize = if cfg!(test) { 3 } else { 512 };
/// For more holders than these it is looked which facts by then can't be placed later than any that came late.
const HOLDERS_FEW: usize = if cfg!(test) { 2 } else { 16 };

/// A fact that counts at an instant before which it was not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Late {
    pub recorded: Recorded,
    pub placed_at: Time,
}

impl Late {
    /// The pool that it is about.
    #[must_use]
    pub fn pool(&self) -> Option<PoolId> {
        Chain::of(&self.recorded.event).map(Chain::pool)
    }

    /// Whose seats and installs it may change.
    pub(in crate::audit) fn holders(&self) -> Vec<Holder> {
        let mut holders = match Chain::of(&self.recorded.event) {
            Some(Chain::Seat { holder, .. }) => vec![holder],
            Some(Chain::Install { device, user, .. }) => {
                [Some(Holder::Device(device)), user.map(Holder::User)].into_iter().flatten().collect()
            }
            None => vec![],
        };
        if let Event::Installed { seat: Some(seat), .. } | Event::InstallLicensed { seat, .. } = &self.recorded.event {
            holders.push(*seat);
        }
        holders
    }
}

/// Where facts may stand that came late and count, and those of them that were looked at. All its methods block.
pub struct LateFacts<'l> {
    ledger: &'l Ledger,
    tenant: TenantId,
    moment: Moment,
    /// Behind the moment's position, up to what is known.
    behind: Range<u64>,
    /// What is placed before this counts.
    before: Time,
    /// So many pools were listed; of one that was not nothing is shown.
    pools: usize,
    /// Of these pools alone.
    only: Option<BTreeSet<PoolId>>,
    /// In order.
    places: Vec<u64>,
    /// When what stands at some positions was recorded: times ascend with them.
    times: BTreeMap<u64, Time>,
    judged: BTreeSet<Chain>,
    /// Of holders in pools who were looked at, the steps up to the moment.
    by_then: BTreeMap<(PoolId, Holder), Vec<Step>>,
    found: BTreeMap<u64, Late>,
}

impl<'l> LateFacts<'l> {
    /// Of a moment, about some pools or about all; of one that does not ask what was known later there are none.
    ///
    /// # Errors
    /// When there is no such tenant or position, or the log can't be read.
    pub fn of(
        ledger: &'l Ledger,
        tenant: TenantId,
        moment: Moment,
        only: Option<BTreeSet<PoolId>>,
    ) -> Result<Self, ReadError> {
        let (known, before) = moment.known.map_or((0, Time(i64::MIN)), |known| (known.position, known.before));
        let behind = moment.position.saturating_add(1)..known.saturating_add(1);
        let pools = ledger.read(tenant, |view| view.courses.listed_by(moment.position))?;
        let asked = only.as_ref().map_or(vec![None], |only| only.iter().copied().map(Some).collect());
        let (places, times, judged) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let (by_then, found) = (BTreeMap::new(), BTreeMap::new());
        let mut facts =
            Self { ledger, tenant, moment, behind, before, pools, only, places, times, judged, by_then, found };
        for (pool, step) in asked.into_iter().flat_map(|pool| LateStep::ALL.map(|step| (pool, step))) {
            facts.find(pool, step)?;
        }
        facts.places.sort_unstable();
        Ok(facts)
    }

    #[must_use]
    pub fn is_only_of(&self, pools: &BTreeSet<PoolId>) -> bool {
        self.only.as_ref() == Some(pools)
    }

    /// The same about some pools alone.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn only_of(&self, pools: &BTreeSet<PoolId>) -> Result<Self, ReadError> {
        Self::of(self.ledger, self.tenant, self.moment, Some(pools.clone()))
    }

    /// Takes the places of those that were so late, up to where whatever was recorded was not that late.
    fn find(&mut self, pool: Option<PoolId>, step: LateStep) -> Result<(), ReadError> {
        let mut next = self.behind.start;
        while next < self.behind.end {
            let within = next..self.behind.end;
            let mut late = self.ledger.late_facts(self.tenant, (pool, step), &within, CHUNK)?;
            let Some(last) = late.last().map(|(at, _)| *at) else { break };
            next = last + 1;
            late.sort_unstable_by_key(|(at, lateness)| (*lateness, *at));
            for of_part in late.chunk_by(|(_, one), (_, other)| one == other) {
                self.take_part(of_part)?;
            }
            if !self.is_recorded_before(last, self.end_of(step.micros_max()))? {
                break;
            }
        }
        Ok(())
    }

    /// What was recorded behind this was not late enough to count.
    fn end_of(&self, micros_max: i64) -> Time {
        Time(self.before.0.saturating_add(micros_max))
    }

    /// Of facts that were equally late, in their order, those that may count.
    fn take_part(&mut self, facts: &[(u64, Lateness)]) -> Result<(), ReadError> {
        let Some((last, lateness)) = facts.last() else { return Ok(()) };
        let end = self.end_of(lateness.micros_max());
        let (mut low, mut high) = (0, facts.len());
        if self.is_recorded_before(*last, end)? {
            low = high;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            let at = facts.get(middle).map_or(u64::MAX, |(at, _)| *at);
            if self.is_recorded_before(at, end)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.places.extend(facts.iter().take(low).map(|(at, _)| *at));
        Ok(())
    }

    fn is_recorded_before(&mut self, position: u64, end: Time) -> Result<bool, ReadError> {
        if self.times.range(position..).next().is_some_and(|(_, time)| *time < end) {
            return Ok(true);
        }
        if self.times.range(..=position).next_back().is_some_and(|(_, time)| *time >= end) {
            return Ok(false);
        }
        let found = self.ledger.facts_at(self.tenant, &[position])?.pop();
        let time = found.ok_or(ReadError::NotReached(position))?.envelope.recorded_at;
        self.times.insert(position, time);
        Ok(time < end)
    }

    /// Up to the moment, what stands before this was recorded at a time or before it.
    fn recorded_by(&mut self, time: Time) -> Result<u64, ReadError> {
        let (mut low, mut high) = (0, self.behind.start);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.is_recorded_before(middle, Time(time.0.saturating_add(1)))? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// No fact that came late can count.
    #[must_use]
    pub fn are_none(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether one may stand there.
    #[must_use]
    pub fn may_stand_at(&self, position: u64) -> bool {
        self.places.binary_search(&position).is_ok()
    }

    /// Behind this there is none.
    #[must_use]
    pub fn last_place(&self) -> u64 {
        self.places.last().copied().unwrap_or(self.moment.position)
    }

    /// Where one about a subject may stand.
    ///
    /// # Errors
    /// When there is no such tenant, or the index can't be read.
    pub fn places_about(&self, subject: Subject) -> Result<BTreeSet<u64>, ReadError> {
        if self.are_none() {
            return Ok(BTreeSet::new());
        }
        let within = self.behind.start..self.last_place().saturating_add(1);
        let about = self.ledger.positions(self.tenant, subject, within, usize::MAX, false)?;
        Ok(about.into_iter().filter(|at| self.may_stand_at(*at)).collect())
    }

    /// Every place.
    #[must_use]
    pub fn places(&self) -> BTreeSet<u64> {
        self.places.iter().copied().collect()
    }

    /// Looks which of the facts at some places count, with those that follow each other about the same seat or install: of
    /// each of these all places are given at once. Answers whose seats and installs they may change.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn look_at(&mut self, places: &BTreeSet<u64>) -> Result<BTreeSet<Holder>, ReadError> {
        let mut touched: BTreeMap<(PoolId, Holder), Touched> = BTreeMap::new();
        let places: Vec<u64> = places.iter().copied().collect();
        for chunk in places.chunks(CHUNK) {
            for recorded in self.ledger.facts_at(self.tenant, chunk)? {
                let Some(chain) = Chain::of(&recorded.event) else { continue };
                let is_shown = chain.pool().index() < self.pools && told_at(&recorded) < self.before;
                if is_shown && !self.judged.contains(&chain) {
                    let entry = touched.entry(chain.told_of()).or_default();
                    entry.open.insert(chain);
                    entry.candidates.insert(recorded.position, recorded);
                }
            }
        }
        let told_of = touched.keys().copied().collect();
        for (told_of, steps) in self.ledger.seats_of(self.tenant, &told_of, self.last_place())? {
            if let Some(of_it) = touched.get_mut(&told_of) {
                of_it.take(steps, self.behind.start);
            }
        }
        let unclear: Vec<u64> = touched.values().flat_map(Touched::unclear).collect();
        let mut others = BTreeMap::new();
        for chunk in unclear.chunks(CHUNK) {
            let read = self.ledger.facts_at(self.tenant, chunk)?;
            others.extend(read.into_iter().filter_map(|read| Some((read.position, Chain::of(&read.event)?))));
        }
        let earliest = touched.values().flat_map(|of_it| of_it.candidates.values()).map(told_at).min();
        let settled = match earliest.filter(|_| touched.len() > HOLDERS_FEW) {
            Some(earliest) => self.recorded_by(earliest)?,
            None => 0,
        };
        let mut holders = BTreeSet::new();
        for (told_of, mut of_it) in touched {
            self.judged.extend(&of_it.open);
            let by_then = std::mem::take(&mut of_it.by_then);
            for late in self.judge(of_it, &by_then, settled, &others)? {
                holders.extend(late.holders());
                self.found.insert(late.recorded.position, late);
            }
            self.by_then.insert(told_of, by_then);
        }
        Ok(holders)
    }

    /// The steps up to the moment about these holders' seats of these pools; nothing of those who had none.
    ///
    /// # Errors
    /// When the index can't be read.
    pub fn steps_by_then(&self, of: &BTreeSet<(PoolId, Holder)>) -> Result<Vec<Vec<Step>>, ReadError> {
        let at_hand = of.iter().filter_map(|one| self.by_then.get(one).cloned());
        let mut found: Vec<Vec<Step>> = at_hand.collect();
        let rest = of.iter().copied().filter(|one| !self.by_then.contains_key(one)).collect();
        let read = self.ledger.seats_of(self.tenant, &rest, self.moment.position)?;
        found.extend(read.into_iter().map(|(_, steps)| steps));
        Ok(found)
    }

    /// What was recorded before `settled` is placed no later than any of these facts; `others` are installs in whose chains
    /// none of them stand.
    fn judge(
        &self,
        of_it: Touched,
        by_then: &[Step],
        settled: u64,
        others: &BTreeMap<u64, Chain>,
    ) -> Result<Vec<Late>, ReadError> {
        let Touched { mut open, mut candidates, behind, .. } = of_it;
        let by_then = by_then.get(by_then.partition_point(|(at, _)| *at < settled)..).unwrap_or_default();
        let mut found = Vec::new();
        let mut placed: BTreeMap<Chain, Time> = BTreeMap::new();
        for (at, step) in behind {
            // nothing of a chain counts behind what does not
            let Some(recorded) = candidates.remove(&at) else {
                if step.is_of_a_seat() {
                    open.retain(|chain| !matches!(chain, Chain::Seat { .. }));
                } else if let Some(chain) = others.get(&at) {
                    open.remove(chain);
                }
                continue;
            };
            let Some(chain) = Chain::of(&recorded.event).filter(|chain| open.contains(chain)) else { continue };
            let before = match placed.get(&chain) {
                Some(before) => Some(*before),
                None => placed_last(self.ledger, self.tenant, chain, by_then)?,
            };
            let placed_at = before.map_or(told_at(&recorded), |before| told_at(&recorded).max(before));
            placed.insert(chain, placed_at);
            if placed_at < self.before {
                found.push(Late { recorded, placed_at });
            } else {
                open.remove(&chain);
            }
        }
        Ok(found)
    }

    /// Those that count of what was looked at, in the order of their positions.
    pub fn found(&self) -> impl Iterator<Item = &Late> {
        self.found.values()
    }

    #[must_use]
    pub fn counts_at(&self, position: u64) -> bool {
        self.found.contains_key(&position)
    }

    #[must_use]
    pub fn into_found(self) -> Vec<Late> {
        self.found.into_values().collect()
    }
}

/// Chains with late facts about one holder in a pool.
#[derive(Default)]
struct Touched {
    open: BTreeSet<Chain>,
    /// Those facts.
    candidates: BTreeMap<u64, Recorded>,
    by_then: Vec<Step>,
    /// Behind the moment's position, up to the last of those facts.
    behind: Vec<Step>,
}

impl Touched {
    fn take(&mut self, mut steps: Vec<Step>, first_behind: u64) {
        let last = self.candidates.last_key_value().map_or(0, |(at, _)| *at);
        steps.truncate(steps.partition_point(|(at, _)| *at <= last));
        self.behind = steps.split_off(steps.partition_point(|(at, _)| *at < first_behind));
        self.by_then = steps;
    }

    /// Where something is told of an install and it must be read of which.
    fn unclear(&self) -> Vec<u64> {
        if self.open.iter().all(|chain| matches!(chain, Chain::Seat { .. })) {
            return Vec::new();
        }
        let of_installs = self.behind.iter().filter(|(_, step)| step.is_of_an_install()).map(|(at, _)| *at);
        of_installs.filter(|at| !self.candidates.contains_key(at)).collect()
    }
}

/// The facts behind the moment's position that count at it, of one pool or of all, in the order of their positions.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn late(ledger: &Ledger, tenant: TenantId, moment: Moment, only: Option<PoolId>) -> Result<Vec<Late>, ReadError> {
    let mut facts = LateFacts::of(ledger, tenant, moment, only.map(|pool| BTreeSet::from([pool])))?;
    facts.look_at(&facts.places())?;
    Ok(facts.into_found())
}

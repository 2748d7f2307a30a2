//! Which facts count at a moment though they were recorded behind its position. The index says where they may stand, by how
//! late they were; whoever looks at little takes of these places those that are about it, and only there events are read.

use super::{Moment, placed_last};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{Holder, PoolId, TenantId};
use crate::domain::placing::{Chain, Lateness, told_at};
use crate::domain::subject::Subject;
use crate::domain::time::Time;
use crate::ledger::{Ledger, ReadError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// So many positions are taken from the index at once.
const CHUNK: usize = if cfg!(test) { 3 } else { 512 };

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
    /// In order.
    places: Vec<u64>,
    judged: BTreeSet<Chain>,
    found: BTreeMap<u64, Late>,
}

impl<'l> LateFacts<'l> {
    /// Of a moment; of one that does not ask what was known later there are none.
    ///
    /// # Errors
    /// When there is no such tenant or position, or the log can't be read.
    pub fn of(ledger: &'l Ledger, tenant: TenantId, moment: Moment) -> Result<Self, ReadError> {
        let (known, before) = moment.known.map_or((0, Time(i64::MIN)), |known| (known.position, known.before));
        let behind = moment.position.saturating_add(1)..known.saturating_add(1);
        let pools = ledger.read(tenant, |view| view.courses.listed_by(moment.position))?;
        let (judged, found) = (BTreeSet::new(), BTreeMap::new());
        let mut facts = Self { ledger, tenant, moment, behind, before, pools, places: Vec::new(), judged, found };
        for lateness in Lateness::ALL {
            facts.find(lateness)?;
        }
        facts.places.sort_unstable();
        Ok(facts)
    }

    /// Takes the places of those that were so late, up to where whatever was recorded was not that late.
    fn find(&mut self, lateness: Lateness) -> Result<(), ReadError> {
        let end = Time(self.before.0.saturating_add(lateness.micros_max()));
        let mut next = self.behind.start;
        while next < self.behind.end {
            let within = next..self.behind.end;
            let positions = self.ledger.positions(self.tenant, Subject::Late(lateness), within, CHUNK, false)?;
            let Some(last) = positions.last() else { break };
            next = last + 1;
            if self.recorded_at(*last)? < end {
                self.places.extend(positions);
                continue;
            }
            let (mut low, mut high) = (0, positions.len());
            while low < high {
                let middle = low + (high - low) / 2;
                let at = positions.get(middle).copied().unwrap_or(u64::MAX);
                if self.recorded_at(at)? < end {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            self.places.extend(positions.into_iter().take(low));
            break;
        }
        Ok(())
    }

    fn recorded_at(&self, position: u64) -> Result<Time, ReadError> {
        let found = self.ledger.facts_at(self.tenant, &[position])?.pop();
        Ok(found.ok_or(ReadError::NotReached(position))?.envelope.recorded_at)
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
                    entry.last = entry.last.max(recorded.position);
                }
            }
        }
        let mut holders = BTreeSet::new();
        for (told_of, of_it) in touched {
            self.judged.extend(&of_it.open);
            for late in self.judge(told_of, of_it)? {
                holders.extend(late.holders());
                self.found.insert(late.recorded.position, late);
            }
        }
        Ok(holders)
    }

    fn judge(&self, (pool, holder): (PoolId, Holder), of_it: Touched) -> Result<Vec<Late>, ReadError> {
        let Touched { mut open, last } = of_it;
        let (ledger, tenant) = (self.ledger, self.tenant);
        let steps = ledger.seats_between(tenant, pool, (holder, holder), last, 1)?.pop();
        let steps = steps.map(|(_, steps)| steps).unwrap_or_default();
        let (by_then, behind) = steps.split_at(steps.partition_point(|(at, _)| *at < self.behind.start));
        let mut found = Vec::new();
        let mut placed: BTreeMap<Chain, Time> = BTreeMap::new();
        for chunk in behind.chunks(CHUNK) {
            let positions: Vec<u64> = chunk.iter().map(|(at, _)| *at).collect();
            for recorded in ledger.facts_at(tenant, &positions)? {
                let Some(chain) = Chain::of(&recorded.event).filter(|chain| open.contains(chain)) else { continue };
                let before = match placed.get(&chain) {
                    Some(before) => Some(*before),
                    None => placed_last(ledger, tenant, chain, by_then)?,
                };
                let placed_at = before.map_or(told_at(&recorded), |before| told_at(&recorded).max(before));
                placed.insert(chain, placed_at);
                if placed_at < self.before {
                    found.push(Late { recorded, placed_at });
                } else {
                    // nothing of a chain counts behind what does not
                    open.remove(&chain);
                }
                if open.is_empty() {
                    return Ok(found);
                }
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
    /// Where the last of those facts stands.
    last: u64,
}

/// The facts behind the moment's position that count at it, of one pool or of all, in the order of their positions.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn late(ledger: &Ledger, tenant: TenantId, moment: Moment, only: Option<PoolId>) -> Result<Vec<Late>, ReadError> {
    let mut facts = LateFacts::of(ledger, tenant, moment)?;
    let places = match only {
        None => facts.places(),
        Some(pool) => facts.places_about(Subject::Pool(pool))?,
    };
    facts.look_at(&places)?;
    Ok(facts.into_found())
}

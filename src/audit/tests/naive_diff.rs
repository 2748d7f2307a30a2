//! The same for what changed between two states, and for whether the cap held.

use super::naive::{Look, Naive, Rows, evidence, field, maybe, text, word};
use crate::audit::reports::Cell;
use crate::domain::event::Event;
use crate::domain::event_type::EventType;
use crate::domain::ids::{Holder, PoolId};
use crate::domain::rejection::RejectionClass;
use crate::domain::state::{Pool, SeatState};
use crate::projection::figures::Figures;
use std::collections::{BTreeMap, BTreeSet};

type Seats = BTreeMap<(PoolId, Holder), (SeatState, u64)>;
/// A seat's cells from the states on, where it changed last, and its evidence.
type Changed = (Vec<Cell>, usize, Cell);

impl Naive {
    fn seats(&self, at: usize) -> Seats {
        let pools = self.views[at].state.pools.iter();
        let seats = pools.flat_map(|pool| pool.seats.iter().map(|(holder, seat)| ((pool.id, *holder), seat)));
        seats.map(|(key, seat)| (key, (seat.state, seat.granted_at))).collect()
    }

    /// The seats that are others, in order, each with its row's cells from the states on.
    fn changed_seats(&self, look: &Look) -> BTreeMap<(PoolId, Holder), Changed> {
        let first = usize::try_from(look.asked.first).unwrap();
        let course: Vec<Seats> = (first - 1..=look.at).map(|at| self.seats(at)).collect();
        let (before, after) = (course.first().unwrap(), course.last().unwrap());
        let mut found = BTreeMap::new();
        for key in before.keys().chain(after.keys()).copied().collect::<BTreeSet<_>>() {
            if before.get(&key) == after.get(&key) || look.asked.pool.is_some_and(|pool| pool != key.0) {
                continue;
            }
            let turns = course.windows(2).enumerate();
            let moved: Vec<usize> =
                turns.filter(|(_, pair)| pair[0].get(&key) != pair[1].get(&key)).map(|(at, _)| first + at).collect();
            let last = *moved.last().unwrap();
            let event = &self.events[last].event;
            let state = |seats: &Seats| maybe(seats.get(&key), |(state, _)| word(state));
            let cells = vec![
                state(before),
                state(after),
                Cell::Word(event.type_name()),
                maybe(field(event, "cause"), Cell::Text),
                Cell::Count(last as u64),
            ];
            let latest = moved.len().saturating_sub(50);
            found.insert(key, (cells, last, evidence(moved[latest..].iter().copied())));
        }
        found
    }

    pub(super) fn diff(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let seats = self.changed_seats(look);
        let mut rows = Rows::new();
        for pool in self.pools(look) {
            let figures = |pool: &Pool| (Figures::of(pool), pool.cap());
            let (was, is) = (self.pool(pool.id, first - 1).map(figures), figures(pool));
            let shown = |(figures, cap): (Figures, Option<u64>)| (figures.owned, figures.held, cap);
            if was.map(shown) != Some(shown(is)) {
                let mut cells = vec![Cell::Word("pool"), text(pool.id), text(&pool.key)];
                cells.extend(vec![Cell::Nothing; 6]);
                for cell in [
                    |f: Figures| Cell::Owned(f.owned),
                    |f: Figures| Cell::Count(f.held),
                    |f: Figures| Cell::Owned(f.free),
                    |f: Figures| Cell::Count(f.over_by),
                ] {
                    cells.extend([maybe(was, |(figures, _)| cell(figures)), cell(is.0)]);
                }
                cells.push(evidence(self.proof(pool.id, look.at).into_iter().filter(|at| *at >= first)));
                rows.push(cells);
            }
            for ((_, holder), (states, _, proof)) in seats.iter().filter(|((of, _), _)| *of == pool.id) {
                let mut cells = vec![Cell::Word("seat"), text(pool.id), text(&pool.key), text(holder)];
                cells.extend(states.clone());
                cells.extend(vec![Cell::Nothing; 8]);
                cells.push(proof.clone());
                rows.push(cells);
            }
        }
        rows
    }

    pub(super) fn diff_by_person(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let mut by_holder: BTreeMap<Holder, BTreeMap<PoolId, Changed>> = BTreeMap::new();
        for ((pool, holder), change) in self.changed_seats(look) {
            if look.asked.user.is_none_or(|user| Holder::User(user) == holder) {
                by_holder.entry(holder).or_default().insert(pool, change);
            }
        }
        let mut rows = Rows::new();
        for (holder, pools) in by_holder {
            let held = |at: usize| {
                let seats = self.seats(at);
                let is_asked = |pool: PoolId| look.asked.pool.is_none_or(|asked| asked == pool);
                Cell::Count(seats.keys().filter(|(pool, whose)| *whose == holder && is_asked(*pool)).count() as u64)
            };
            let mut cells = vec![Cell::Word("person"), text(holder)];
            cells.extend(vec![Cell::Nothing; 7]);
            cells.extend([held(first - 1), held(look.at)]);
            cells.push(evidence(pools.values().map(|(_, last, _)| *last)));
            rows.push(cells);
            for (pool, (states, _, proof)) in pools {
                let key = &self.pool(pool, look.at).unwrap().key;
                let mut cells = vec![Cell::Word("seat"), text(holder), text(pool), text(key)];
                cells.extend(states);
                cells.extend([Cell::Nothing, Cell::Nothing, proof]);
                rows.push(cells);
            }
        }
        rows
    }

    pub(super) fn cap(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let peaks = self.peak_use(look);
        let mut rows = Rows::new();
        for pool in self.pools(look) {
            let peak = peaks.iter().find(|row| row[0] == text(pool.id)).expect("a pool that is listed has a peak");
            let mut refusals = 0;
            for recorded in self.events.iter().take(look.at + 1).skip(first) {
                if field(&recorded.event, "pool") != Some(pool.id.to_string()) {
                    continue;
                }
                if let Event::RefusalsCounted { count, .. } = &recorded.event {
                    refusals += count;
                }
                if let Event::CommandRefused { rejection, .. } | Event::BatchRefused { rejection, .. } = &recorded.event
                {
                    refusals += u64::from(rejection.class() == RejectionClass::Conflict);
                }
            }
            let mut cells = vec![Cell::Word("pool"), text(pool.id), text(&pool.key), peak[3].clone(), peak[4].clone()];
            cells.extend([peak[7].clone(), Cell::Count(refusals)]);
            cells.extend(vec![Cell::Nothing; 6]);
            cells.push(peak[8].clone());
            rows.push(cells);

            let over = |at: usize| self.pool(pool.id, at).map_or(0, Pool::over_by);
            for began in (1..=look.at).filter(|at| over(*at) > 0 && over(at - 1) == 0) {
                let ended = (began..=look.at).find(|at| over(*at) == 0);
                if ended.is_some_and(|ended| ended < first) {
                    continue;
                }
                let worst = (began.max(first.saturating_sub(1))..=ended.unwrap_or(look.at)).map(over).max().unwrap();
                let event = &self.events[began].event;
                assert!(
                    [
                        EventType::CapacityChanged,
                        EventType::ForeignSeatSeen,
                        EventType::PoolDelisted,
                        EventType::DistributionPolicyChanged
                    ]
                    .contains(&event.event_type()),
                    "a grant broke the cap: {event:?}"
                );
                let end = ended.map_or(look.until, |at| self.time(at));
                let mut cells = vec![Cell::Word("over"), text(pool.id), text(&pool.key)];
                cells.extend(vec![Cell::Nothing; 4]);
                cells.extend([
                    Cell::Time(self.time(began)),
                    Cell::Word(event.type_name()),
                    maybe(field(event, "cause"), Cell::Text),
                    maybe(ended, |at| Cell::Time(self.time(at))),
                    Cell::Count(u64::try_from((end.0 - self.time(began).0) / 1_000_000).unwrap()),
                    Cell::Count(worst),
                    evidence([began].into_iter().chain(ended)),
                ]);
                rows.push(cells);
            }
        }
        rows
    }
}

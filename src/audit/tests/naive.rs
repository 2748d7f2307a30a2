//! The reports as anybody would write them who had all the time in the world: every state is kept, and every question walks
//! through all of them. Nothing of the reports' own ways is used here.

use crate::audit::reports::{Asked, Cell};
use crate::domain::event::{Event, Recorded, Target};
use crate::domain::event_type::EventType;
use crate::domain::facts::{AppPrice, Owned};
use crate::domain::ids::{Holder, PoolId, UserId};
use crate::domain::state::{Pool, Seat, SeatState};
use crate::domain::time::{DAY_MICROS, Day, Time};
use crate::projection::View;
use crate::projection::figures::Figures;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Rows = Vec<Vec<Cell>>;

/// A whole history, with the state after each of its events.
pub(super) struct Naive {
    pub(super) events: Vec<Recorded>,
    pub(super) views: Vec<View>,
    /// Where a seat was first in use, by pool, holder and grant.
    used: BTreeMap<(PoolId, Holder, u64), usize>,
}

/// What is looked at: states up to a place, a period from a place on.
pub(super) struct Look {
    pub(super) at: usize,
    pub(super) until: Time,
    pub(super) asked: Asked,
}

pub(super) fn text(value: impl std::fmt::Display) -> Cell {
    Cell::Text(value.to_string())
}

/// A word as serde writes it.
pub(super) fn word(value: &impl serde::Serialize) -> Cell {
    let Ok(Value::String(word)) = serde_json::to_value(value) else { panic!("no word") };
    Cell::Text(word)
}

pub(super) fn evidence(positions: impl IntoIterator<Item = usize>) -> Cell {
    Cell::Positions(positions.into_iter().collect::<BTreeSet<_>>().into_iter().map(|at| at as u64).collect())
}

fn proof_of(seat: &Seat) -> Cell {
    Cell::Positions(BTreeSet::from([seat.granted_at, seat.since_position]).into_iter().collect())
}

pub(super) fn maybe<T>(value: Option<T>, cell: impl Fn(T) -> Cell) -> Cell {
    value.map_or(Cell::Nothing, cell)
}

fn cost(seats: Owned, price: Option<&AppPrice>) -> Cell {
    match (seats, price) {
        (Owned::Count(seats), Some(price)) => Cell::Count(seats * price.minor_units),
        _ => Cell::Nothing,
    }
}

impl Naive {
    pub(super) fn of(events: Vec<Recorded>) -> Self {
        let (mut view, mut views, mut used) = (View::new(), Vec::new(), BTreeMap::new());
        for (at, recorded) in events.iter().enumerate() {
            view.take(recorded);
            for pool in &view.state.pools {
                for (holder, seat) in pool.seats.iter().filter(|(_, seat)| seat.state == SeatState::InUse) {
                    used.entry((pool.id, *holder, seat.granted_at)).or_insert(at);
                }
            }
            views.push(view.clone());
        }
        Self { events, views, used }
    }

    pub(super) fn time(&self, at: usize) -> Time {
        self.events[at].envelope.recorded_at
    }

    pub(super) fn pool(&self, pool: PoolId, at: usize) -> Option<&Pool> {
        self.views[at].state.pools.get(pool.index()).map(|pool| &**pool)
    }

    pub(super) fn pools<'a>(&'a self, look: &'a Look) -> impl Iterator<Item = &'a Pool> {
        let pools = self.views[look.at].state.pools.iter().map(|pool| &**pool);
        pools.filter(|pool| look.asked.pool.is_none_or(|asked| asked == pool.id))
    }

    /// The last place up to one where something was other than just before.
    fn changed<T: PartialEq>(&self, at: usize, what: impl Fn(usize) -> T) -> Option<usize> {
        (0..=at).rev().find(|place| place.checked_sub(1).is_none_or(|before| what(before) != what(*place)))
    }

    fn last_of(&self, pool: PoolId, at: usize, kinds: &[EventType]) -> Option<usize> {
        (0..=at).rev().find(|place| {
            let event = &self.events[*place].event;
            kinds.contains(&event.event_type()) && field(event, "pool") == Some(pool.to_string())
        })
    }

    /// Where what is owned was set last, where held changed last.
    pub(super) fn proof(&self, pool: PoolId, at: usize) -> Vec<usize> {
        use EventType::{CapacityChanged, DistributionPolicyChanged, PoolDelisted, PoolListed};
        let owned = self.last_of(pool, at, &[PoolListed, CapacityChanged, DistributionPolicyChanged, PoolDelisted]);
        let held = |place: usize| self.pool(pool, place).map_or(0, Pool::held);
        let moved = (1..=at).rev().find(|place| held(*place) != held(place - 1));
        owned.into_iter().chain(moved).collect()
    }

    fn priced(&self, pool: PoolId, at: usize) -> Option<usize> {
        let price = |place: usize| self.pool(pool, place).map(|pool| pool.price.clone());
        self.changed(at, price).filter(|_| self.pool(pool, at).is_some_and(|pool| pool.price.is_some()))
    }

    pub(super) fn license_position(&self, look: &Look) -> Rows {
        let row = |pool: &Pool| {
            let (figures, price) = (Figures::of(pool), pool.price.as_ref());
            vec![
                text(pool.id),
                text(&pool.key),
                word(&pool.state),
                word(&pool.distribution_policy),
                Cell::Owned(figures.owned),
                Cell::Count(figures.held),
                Cell::Owned(figures.free),
                Cell::Count(figures.over_by),
                maybe(price, |price| text(&price.currency)),
                maybe(price, |price| Cell::Count(price.minor_units)),
                cost(figures.owned, price),
                cost(Owned::Count(figures.held), price),
                cost(Owned::Count(figures.over_by), price),
                evidence(self.proof(pool.id, look.at).into_iter().chain(self.priced(pool.id, look.at))),
            ]
        };
        self.pools(look).map(row).collect()
    }

    pub(super) fn true_up(&self, look: &Look) -> Rows {
        let row = |pool: &Pool| {
            let price = pool.price.as_ref();
            let mut stranded = BTreeSet::new();
            for (key, _) in pool.installs.iter().filter(|(_, install)| install.seat.is_none()) {
                let holder = key.user.map_or(Holder::Device(key.device), Holder::User);
                if !pool.seats.contains_key(&holder) && !pool.queue.values().any(|waiting| *waiting == holder) {
                    stranded.insert(holder);
                }
            }
            let (queued, stranded) = (pool.queue.len() as i64, stranded.len() as i64);
            let (held, releasing) = (pool.held() as i64, pool.releasing as i64);
            let (buy, give) = match pool.cap() {
                Some(cap) => {
                    let cap = cap as i64;
                    let back = pool.regrants.len() as i64;
                    let needed = held - releasing + back + queued + stranded;
                    ((needed - cap).max(0), (cap - held - queued - stranded).max(0))
                }
                None => (0, 0),
            };
            let [buy, give] = [buy, give].map(|seats| u64::try_from(seats).unwrap());
            vec![
                text(pool.id),
                text(&pool.key),
                Cell::Owned(pool.owned),
                Cell::Count(pool.held()),
                Cell::Count(pool.releasing),
                Cell::Count(queued as u64),
                Cell::Count(stranded as u64),
                Cell::Count(buy),
                Cell::Count(give),
                maybe(price, |price| text(&price.currency)),
                maybe(price, |price| Cell::Count(price.minor_units)),
                cost(Owned::Count(buy), price),
                cost(Owned::Count(give), price),
                evidence(self.proof(pool.id, look.at).into_iter().chain(self.priced(pool.id, look.at))),
            ]
        };
        self.pools(look).map(row).collect()
    }

    pub(super) fn holders(&self, look: &Look) -> Rows {
        let seats = self.pools(look).flat_map(|pool| pool.seats.iter().map(move |seat| (pool, seat)));
        let row = |(pool, (holder, seat)): (&Pool, (&Holder, &Seat))| {
            vec![
                text(pool.id),
                text(&pool.key),
                text(holder),
                word(&seat.state),
                Cell::Time(seat.since),
                Cell::Count(seat.granted_at),
                proof_of(seat),
            ]
        };
        seats.map(row).collect()
    }

    pub(super) fn idle_seats(&self, look: &Look) -> Rows {
        let days = i64::from(look.asked.days.unwrap());
        let mut rows = Rows::new();
        for pool in self.pools(look) {
            for (holder, seat) in pool.seats.iter() {
                let was_used =
                    self.used.get(&(pool.id, *holder, seat.granted_at)).is_some_and(|place| *place <= look.at);
                let age = look.until.0 - seat.since.0;
                if seat.state == SeatState::Reserved && !was_used && age >= days * DAY_MICROS {
                    rows.push(vec![
                        text(pool.id),
                        text(&pool.key),
                        text(holder),
                        Cell::Time(seat.since),
                        Cell::Count(u64::try_from(age / DAY_MICROS).unwrap()),
                        proof_of(seat),
                    ]);
                }
            }
        }
        rows
    }

    pub(super) fn untargeted_seats(&self, look: &Look) -> Rows {
        let mut rows = Rows::new();
        for pool in self.pools(look) {
            for (holder, seat) in pool.seats.iter() {
                let is_ours = [SeatState::Reserved, SeatState::InUse].contains(&seat.state);
                if is_ours && !self.views[look.at].state.coverage(pool.id, *holder).is_covered() {
                    rows.push(vec![
                        text(pool.id),
                        text(&pool.key),
                        text(holder),
                        word(&seat.state),
                        Cell::Time(seat.since),
                        word(&pool.policy.untargeted),
                        proof_of(seat),
                    ]);
                }
            }
        }
        rows
    }

    pub(super) fn person(&self, look: &Look, user: UserId) -> Rows {
        let holder = Holder::User(user);
        let holds = |pool: PoolId, at: usize| {
            self.pool(pool, at).and_then(|pool| pool.seats.get(&holder)).map(|seat| seat.state)
        };
        let mut found = Vec::new();
        for pool in self.pools(look) {
            let mut began = None;
            for at in 1..=look.at {
                match (holds(pool.id, at - 1).is_some(), holds(pool.id, at).is_some()) {
                    (false, true) => began = Some(at),
                    (true, false) => found.push((began.take().unwrap(), Some(at), pool)),
                    (true, true) | (false, false) => {}
                }
            }
            found.extend(began.map(|began| (began, None, pool)));
        }
        found.sort_by_key(|(began, ..)| *began);
        let row = |(began, ended, pool): (usize, Option<usize>, &Pool)| {
            let last = ended.unwrap_or(look.at);
            let used = (began..=last).find(|at| holds(pool.id, *at) == Some(SeatState::InUse));
            let because = if let Event::SeatGranted { cause, .. } = &self.events[began].event {
                word(cause)
            } else {
                assert_eq!(self.events[began].event.type_name(), "foreign_seat_seen");
                Cell::Word("seen_at_store")
            };
            let gone = ended.map(|at| {
                let Event::SeatReleased { cause, .. } = &self.events[at].event else { panic!("{at} ended no seat") };
                word(cause)
            });
            let about = (began..=last).filter(|at| {
                let event = &self.events[*at].event;
                let name = event.type_name();
                let is_of_seat = name.contains("seat_") || name == "regrant_flagged";
                is_of_seat
                    && field(event, "pool") == Some(pool.id.to_string())
                    && field(event, "holder") == Some(holder.to_string())
            });
            let end = ended.map_or(look.until, |at| self.time(at));
            vec![
                text(user),
                text(pool.id),
                text(&pool.key),
                Cell::Time(self.time(began)),
                because,
                maybe(used, |at| Cell::Time(self.time(at))),
                maybe(ended, |at| Cell::Time(self.time(at))),
                gone.unwrap_or(Cell::Nothing),
                Cell::Count(u64::try_from((end.0 - self.time(began).0) / DAY_MICROS).unwrap()),
                evidence(about),
            ]
        };
        found.into_iter().map(row).collect()
    }

    pub(super) fn peak_use(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let mut rows = Rows::new();
        for pool in self.pools(look) {
            let before = first.checked_sub(1).and_then(|at| Some((at, self.pool(pool.id, at)?)));
            let mut best: Option<(usize, Time, &Pool)> = before.map(|(at, was)| {
                let place = self.proof(pool.id, at).pop().unwrap();
                (place, look.asked.since, was)
            });
            let mut owned_min = before.map(|(_, was)| was.owned);
            for at in first..=look.at {
                let Some(is) = self.pool(pool.id, at) else { continue };
                if best.is_none_or(|(_, _, best)| is.held() > best.held()) {
                    best = Some((at, self.time(at), is));
                }
                owned_min = match (owned_min, is.owned) {
                    (Some(Owned::Count(a)), Owned::Count(b)) => Some(Owned::Count(a.min(b))),
                    (Some(Owned::Count(a)), Owned::Unlimited) => Some(Owned::Count(a)),
                    (_, owned) => Some(owned),
                };
            }
            let Some((place, when, then)) = best else { continue };
            rows.push(vec![
                text(pool.id),
                text(&pool.key),
                maybe(before, |(_, was)| Cell::Count(was.held())),
                Cell::Count(then.held()),
                Cell::Time(when),
                Cell::Owned(then.owned),
                Cell::Count(pool.held()),
                Cell::Owned(owned_min.unwrap()),
                evidence([place]),
            ]);
        }
        rows
    }

    pub(super) fn days_over_cap(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let mut rows = Rows::new();
        for pool in self.pools(look) {
            for day in look.asked.since.day().0..=look.until.day().0 {
                let day = Day(day);
                let before = (0..=look.at).rev().find(|at| *at < first || self.time(*at) < day.start());
                let within = (first..=look.at).filter(|at| self.time(*at).day() == day);
                let begins = day.start().max(look.asked.since);
                let ends = day.end().min(look.until);
                let lasts = |at: &usize| {
                    let next = if *at < look.at { self.time(at + 1) } else { look.until };
                    self.time(*at).max(begins) < next.min(ends)
                };
                let states = before.into_iter().chain(within).filter(lasts);
                let mut worst: Option<(usize, &Pool)> = None;
                for (at, is) in states.filter_map(|at| Some((at, self.pool(pool.id, at)?))) {
                    if is.over_by() > worst.map_or(0, |(_, worst)| worst.over_by()) {
                        worst = Some((at, is));
                    }
                }
                let Some((at, is)) = worst else { continue };
                rows.push(vec![
                    text(pool.id),
                    text(&pool.key),
                    Cell::Day(day),
                    Cell::Count(is.over_by()),
                    Cell::Owned(is.owned),
                    Cell::Count(is.held()),
                    evidence(self.proof(pool.id, at)),
                ]);
            }
        }
        rows
    }

    /// A seat that went from one holder to the next within one command was not free.
    fn is_given_on(&self, freed: usize, granted: usize) -> bool {
        use crate::domain::facts::GrantCause::{Coverage, Queue, Regrant};
        matches!(self.events[granted].event, Event::SeatGranted { cause: Queue | Regrant | Coverage, .. })
            && (freed..granted).all(|at| self.events[at].envelope == self.events[granted].envelope)
    }

    pub(super) fn sell_outs(&self, look: &Look) -> Rows {
        let first = usize::try_from(look.asked.first).unwrap();
        let mut rows = Rows::new();
        for pool in self.pools(look) {
            let is_out = |at: usize| {
                let pool = self.pool(pool.id, at);
                pool.is_some_and(|pool| pool.held() > 0 && pool.cap().is_some_and(|cap| pool.held() >= cap))
            };
            let mut times: Vec<(usize, Option<usize>)> = Vec::new();
            for began in (1..=look.at).filter(|at| is_out(*at) && !is_out(at - 1)) {
                let ended = (began..=look.at).find(|at| !is_out(*at));
                let before = times.last().and_then(|(_, ended)| *ended);
                if before.is_some_and(|before| self.is_given_on(before, began)) {
                    times.last_mut().unwrap().1 = ended;
                } else {
                    times.push((began, ended));
                }
            }
            for (began, ended) in times {
                if ended.is_some_and(|ended| ended < first) {
                    continue;
                }
                let from = began.max(first.saturating_sub(1));
                let to = ended.unwrap_or(look.at);
                let worst = (from..=to).filter_map(|at| self.pool(pool.id, at)).map(Pool::over_by).max().unwrap();
                let queue = self.pool(pool.id, from).into_iter().flat_map(|pool| pool.queue.values());
                let (mut waiting, mut refused): (Vec<String>, _) = (queue.map(ToString::to_string).collect(), 0);
                for at in from + 1..=to {
                    let event = &self.events[at].event;
                    if !is_out(at) || field(event, "pool") != Some(pool.id.to_string()) {
                        continue;
                    }
                    let mut holder = field(event, "holder").filter(|_| event.type_name() == "queued");
                    if let Event::CommandRefused { rejection, target, .. }
                    | Event::BatchRefused { rejection, target, .. } = event
                        && rejection.is_for_lack_of_seats()
                    {
                        refused += 1;
                        holder = field(event, "holder").or(match target {
                            Some(Target::User(user)) => Some(Holder::User(*user).to_string()),
                            Some(Target::Device(device)) => Some(Holder::Device(*device).to_string()),
                            Some(Target::Group { .. }) | None => None,
                        });
                    }
                    waiting.extend(holder.filter(|holder| !waiting.contains(holder)));
                }
                let end = ended.map_or(look.until, |at| self.time(at));
                let seconds = (end.0 - self.time(began).0) / 1_000_000;
                rows.push(vec![
                    text(pool.id),
                    text(&pool.key),
                    Cell::Time(self.time(began)),
                    maybe(field(&self.events[began].event, "holder"), Cell::Text),
                    maybe(ended, |at| Cell::Time(self.time(at))),
                    Cell::Count(u64::try_from(seconds).unwrap()),
                    Cell::Count(worst),
                    Cell::Count(waiting.len() as u64),
                    Cell::Texts(waiting.into_iter().take(20).collect()),
                    Cell::Count(refused),
                    evidence([began].into_iter().chain(ended)),
                ]);
            }
        }
        rows
    }
}

/// A field of an event, as its JSON has it.
pub(super) fn field(event: &Event, name: &str) -> Option<String> {
    let tagged = serde_json::to_value(event).unwrap();
    let fields = tagged.as_object().unwrap().values().next().unwrap();
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

//! The part of a tenant that is about some of a pool's seats, places in its queue, or installs: which they are is told by the
//! index, and what they are by the few events that tell of what is still there, with what their holders are and belong to.

use super::super::hindsight::LateFacts;
use super::holders::{OTHERS_MAX, assignments, fold, others_of};
use super::pile::Pile;
use super::{Listed, bare};
use crate::domain::event::Event;
use crate::domain::evolve::Told;
use crate::domain::ids::{DeviceId, Holder, PoolId, TenantId, UserId};
use crate::domain::seat_step::{SeatStep, Standing, telling};
use crate::domain::state::{QueuePlace, Tenant};
use crate::ledger::{Ledger, ReadError, Step};
use crate::projection::View;
use std::collections::{BTreeMap, BTreeSet};

/// For a longer way the whole state is made.
pub(super) const EVENTS_MAX: usize = 16_384;
/// So many holders are looked up at once at first, and at most.
const BATCH: usize = 256;
const BATCH_MAX: usize = 16_384;

/// Of which holders a part tells.
pub(super) enum Of {
    /// One of them, also one without a seat.
    One(Holder),
    /// Those who hold a seat, behind one, and one more than so many.
    Seats(Option<Holder>, usize),
    /// Those who wait, behind a place, and one more than so many.
    Queue(Option<QueuePlace>, usize),
    /// Devices that have the app, from one on: one install more than so many, and those of the first device.
    Installs(DeviceId, usize),
}

/// `None` where it takes more. Those of whom something became known later are told of besides, and those whom that touches: it
/// is for the caller to lay it over.
pub(super) fn seats(
    ledger: &Ledger,
    (tenant, position): (TenantId, u64),
    pool: PoolId,
    of: &Of,
    mut late: Option<&mut LateFacts<'_>>,
) -> Result<Option<View>, ReadError> {
    let listed = Listed::by(ledger, tenant, position)?;
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = listed.terms(position);
    if pool.index() >= view.state.pools.len() {
        return Ok(Some(view));
    }
    let pile = Pile::new(ledger, tenant, EVENTS_MAX);
    let pile = match of {
        // who asks for one may name it
        Of::One(_) => pile,
        Of::Seats(..) | Of::Queue(..) | Of::Installs(..) => pile.without_names(),
    };
    let mut reader = Reader::new(ledger, (tenant, position), pool, pile);
    reader.until = late.as_deref().map_or(position, LateFacts::last_place);
    let chosen = match of {
        Of::One(holder) => reader.one(*holder)?,
        Of::Seats(after, limit) => reader.holding(*after, limit.saturating_add(1), late.as_deref())?,
        Of::Queue(after, limit) => reader.waiting(*after, limit.saturating_add(1), late.as_deref())?,
        Of::Installs(from, limit) => reader.carrying(*from, limit.saturating_add(1), late.as_deref())?,
    };
    if !reader.pile.add(chosen.values().flatten().copied())? {
        return Ok(None);
    }
    let chosen: BTreeSet<Holder> = chosen.into_keys().collect();
    let Some(mut holders) = reader.around(&chosen, &mut view.state)? else { return Ok(None) };
    if let Some(late) = &mut late
        && !reader.told_late(late, &mut holders, &mut view.state)?
    {
        return Ok(None);
    }
    let told = Told { holders, still: reader.still };
    fold(&mut view.state, reader.pile.events(), &told, &listed);
    view.state.next_position = position.saturating_add(1);
    assignments(ledger, tenant, position, &told.holders, &mut view.state)?;
    Ok(Some(view))
}

/// Who waited for a seat of a pool just after a position, in order.
pub(in crate::audit) fn queue(ledger: &Ledger, at: (TenantId, u64), pool: PoolId) -> Result<Vec<Holder>, ReadError> {
    let waiting = Reader::new(ledger, at, pool, Pile::new(ledger, at.0, 0)).queue(None)?;
    Ok(waiting.into_iter().map(|(_, (holder, ..))| holder).collect())
}

/// Who waits, the positions of the events that tell of it, and whether something may have come late of it.
type InQueue = (Holder, Vec<u64>, bool);

/// Holders, each with the positions of the events that tell what is there.
pub(super) type Chosen = BTreeMap<Holder, Vec<u64>>;

pub(super) struct Reader<'l> {
    pub(super) ledger: &'l Ledger,
    pub(super) tenant: TenantId,
    pub(super) position: u64,
    /// Up to where steps are looked up: behind the position what came late may stand.
    pub(super) until: u64,
    /// Where something stands behind the position about those who were looked up.
    behind: BTreeSet<u64>,
    pub(super) pool: PoolId,
    pub(super) pile: Pile<'l>,
    /// Who was put in place as it is today.
    pub(super) still: BTreeSet<Holder>,
}

/// Whether something may have come late of what stands behind the position: it is noted where.
fn touches(late: Option<&LateFacts<'_>>, behind: &[Step], places: &mut BTreeSet<u64>) -> bool {
    let Some(late) = late else { return false };
    let mut touches = false;
    for (at, _) in behind.iter().filter(|(at, _)| late.may_stand_at(*at)) {
        places.insert(*at);
        touches = true;
    }
    touches
}

impl<'l> Reader<'l> {
    pub(super) fn new(ledger: &'l Ledger, (tenant, position): (TenantId, u64), pool: PoolId, pile: Pile<'l>) -> Self {
        let (behind, still) = (BTreeSet::new(), BTreeSet::new());
        Self { ledger, tenant, position, until: position, behind, pool, pile, still }
    }
}

impl Reader<'_> {
    /// Goes through the holders from one on, until there is enough: with the steps up to the position, and those behind it.
    pub(super) fn each(
        &self,
        from: Option<Holder>,
        mut each: impl FnMut(Holder, &[Step], &[Step]) -> bool,
    ) -> Result<(), ReadError> {
        let (mut next, mut batch) = (from, BATCH);
        while let Some(first) = next {
            let between = (first, Holder::Device(DeviceId(u32::MAX)));
            let found = self.ledger.seats_between(self.tenant, self.pool, between, self.until, batch)?;
            next = found.last().filter(|_| found.len() == batch).and_then(|(last, _)| behind(Some(*last)));
            let is_enough = |(holder, steps): &(Holder, Vec<Step>)| {
                let (by_then, behind) = self.split(steps);
                !each(*holder, by_then, behind)
            };
            if found.iter().any(is_enough) {
                return Ok(());
            }
            batch = (batch * 2).min(BATCH_MAX);
        }
        Ok(())
    }

    fn split<'s>(&self, steps: &'s [Step]) -> (&'s [Step], &'s [Step]) {
        steps.split_at(steps.partition_point(|(at, _)| *at <= self.position))
    }

    fn one(&mut self, holder: Holder) -> Result<Chosen, ReadError> {
        let found = self.ledger.seats_between(self.tenant, self.pool, (holder, holder), self.until, 1)?;
        let steps = found.into_iter().next().map_or_else(Vec::new, |(_, steps)| steps);
        Ok(Chosen::from([(holder, self.take(&steps))]))
    }

    /// Notes what stands behind the position, and answers what tells of what is there.
    fn take(&mut self, steps: &[Step]) -> Vec<u64> {
        let (by_then, behind) = self.split(steps);
        let telling = telling(by_then);
        self.behind.extend(behind.iter().map(|(at, _)| *at));
        telling
    }

    // each of those of whom something may have come late may turn out to be none of those who are asked for, or one of them

    fn holding(
        &mut self,
        after: Option<Holder>,
        count: usize,
        late: Option<&LateFacts<'_>>,
    ) -> Result<Chosen, ReadError> {
        let (mut chosen, mut places, mut certain) = (Chosen::new(), BTreeSet::new(), 0);
        self.each(behind(after), |holder, steps, behind| {
            let (is_touched, holds_seat) = (touches(late, behind, &mut places), Standing::after(steps).holds_seat);
            if is_touched || holds_seat {
                chosen.insert(holder, telling(steps));
            }
            certain += usize::from(holds_seat && !is_touched);
            certain < count
        })?;
        self.behind.extend(places);
        Ok(chosen)
    }

    /// Everybody who waits, in order.
    fn queue(&mut self, late: Option<&LateFacts<'_>>) -> Result<Vec<(QueuePlace, InQueue)>, ReadError> {
        let tally = self.ledger.read(self.tenant, |now| now.tallies.pool(self.pool).cloned())?;
        let past = self.ledger.past();
        let queued = past.checked(tally.map_or(0, |tally| tally.queued_at(self.position, &past)))?;
        let (mut waiting, mut moved, mut places) = (Vec::new(), Vec::new(), BTreeSet::new());
        if queued > 0 {
            self.each(behind(None), |holder, steps, behind| {
                if Standing::after(steps).is_queued {
                    let is_entry = |step: SeatStep| matches!(step, SeatStep::Queued | SeatStep::Requeued);
                    let found = (holder, telling(steps), touches(late, behind, &mut places));
                    match steps.iter().rfind(|(_, step)| is_entry(*step)) {
                        Some((at, SeatStep::Requeued)) => moved.push((*at, found)),
                        Some((at, _)) => waiting.push((*at, found)),
                        None => {}
                    }
                }
                ((waiting.len() + moved.len()) as u64) < queued
            })?;
        }
        self.behind.extend(places);
        // whoever came back to an old place
        for (at, found) in moved {
            let event = self.ledger.events(self.tenant, at, 1)?.pop().map(|recorded| recorded.event);
            if let Some(Event::Requeued { place, .. }) = event {
                waiting.push((place, found));
            }
        }
        waiting.sort_unstable();
        Ok(waiting)
    }

    fn waiting(
        &mut self,
        after: Option<QueuePlace>,
        count: usize,
        late: Option<&LateFacts<'_>>,
    ) -> Result<Chosen, ReadError> {
        let waiting = self.queue(late)?;
        let mut certain = 0;
        let rest = waiting.into_iter().filter(|(place, ..)| after.is_none_or(|after| *place > after));
        let enough = rest.take_while(|(_, (.., is_touched))| {
            let is_wanted = certain < count;
            certain += usize::from(!is_touched);
            is_wanted
        });
        Ok(enough.map(|(_, (holder, telling, _))| (holder, telling)).collect())
    }

    fn carrying(&mut self, from: DeviceId, count: usize, late: Option<&LateFacts<'_>>) -> Result<Chosen, ReadError> {
        let (mut chosen, mut places, mut installs) = (Chosen::new(), BTreeSet::new(), 0);
        self.each(Some(from.into()), |holder, steps, behind| {
            let (is_touched, found) = (touches(late, behind, &mut places), Standing::after(steps).installs);
            if is_touched || found > 0 {
                chosen.insert(holder, telling(steps));
            }
            // what of the first device was on the page before is not known here
            if holder != Holder::Device(from) && !is_touched {
                installs += found as usize;
            }
            installs < count
        })?;
        self.behind.extend(places);
        Ok(chosen)
    }

    /// Of those who were looked up it is looked which facts came late; answers whom these touch besides.
    pub(super) fn touched(
        &mut self,
        late: &mut LateFacts<'_>,
        holders: &BTreeSet<Holder>,
    ) -> Result<BTreeSet<Holder>, ReadError> {
        let places = std::mem::take(&mut self.behind).into_iter().filter(|at| late.may_stand_at(*at)).collect();
        let mut touched = late.look_at(&places)?;
        touched.retain(|holder| !holders.contains(holder));
        Ok(touched)
    }

    /// Adds those whose seats and installs what came late may change, of these holders and of whoever is added; `false` where
    /// it takes more.
    fn told_late(
        &mut self,
        late: &mut LateFacts<'_>,
        holders: &mut BTreeSet<Holder>,
        state: &mut Tenant,
    ) -> Result<bool, ReadError> {
        loop {
            let touched = self.touched(late, holders)?;
            if touched.is_empty() {
                return Ok(true);
            }
            if !self.seats_of(&touched)? {
                return Ok(false);
            }
            let Some(around) = self.around(&touched, state)? else { return Ok(false) };
            holders.extend(around);
        }
    }

    /// These and everybody whose facts say something of their seats: put in place, or their events are noted.
    pub(super) fn around(
        &mut self,
        chosen: &BTreeSet<Holder>,
        state: &mut Tenant,
    ) -> Result<Option<BTreeSet<Holder>>, ReadError> {
        let Some(mut near) = self.near(chosen, state)? else { return Ok(None) };
        if !self.seats_of(&near)? {
            return Ok(None);
        }
        near.extend(chosen);
        Ok(Some(near))
    }

    /// Puts these in place with everybody else whose facts say something of their seats, who are answered; of whom that is not
    /// said by what is so today, their own events are noted.
    pub(super) fn near(
        &mut self,
        chosen: &BTreeSet<Holder>,
        state: &mut Tenant,
    ) -> Result<Option<BTreeSet<Holder>>, ReadError> {
        if !self.place(chosen, state)? {
            return Ok(None);
        }
        let mut others = others_of(chosen, self.pile.events());
        for holder in chosen.intersection(&self.still) {
            if let Holder::User(user) = *holder {
                let devices = state.user(user).devices.iter().map(|device| Holder::Device(*device));
                others.entry(*holder).or_default().extend(devices);
            }
        }
        if others.values().any(|others| others.len() > OTHERS_MAX) {
            return Ok(None);
        }
        let near = others.into_values().flatten().filter(|other| !chosen.contains(other)).collect();
        Ok(self.place(&near, state)?.then_some(near))
    }

    /// As they are today, where nothing was said of them since; of the others it is noted what was said.
    fn place(&mut self, of: &BTreeSet<Holder>, state: &mut Tenant) -> Result<bool, ReadError> {
        let moved = place_still(self.ledger, (self.tenant, self.position), of, state)?;
        self.still.extend(of.difference(&moved));
        self.own_facts(&moved)
    }

    fn own_facts(&mut self, of: &BTreeSet<Holder>) -> Result<bool, ReadError> {
        let found = self.ledger.own_facts_of(self.tenant, of, self.position)?;
        self.pile.add(found.into_iter().flat_map(|(_, positions)| positions))
    }

    pub(super) fn seats_of(&mut self, of: &BTreeSet<Holder>) -> Result<bool, ReadError> {
        let of = of.iter().map(|holder| (self.pool, *holder)).collect();
        let found = self.ledger.seats_of(self.tenant, &of, self.until)?;
        let telling: Vec<u64> = found.iter().flat_map(|(_, steps)| self.take(steps)).collect();
        self.pile.add(telling)
    }
}

/// Puts those in place who are today what they were just after a position; answers the others.
pub(super) fn place_still(
    ledger: &Ledger,
    (tenant, position): (TenantId, u64),
    of: &BTreeSet<Holder>,
    state: &mut Tenant,
) -> Result<BTreeSet<Holder>, ReadError> {
    ledger.read(tenant, |now| {
        let (still, moved): (Vec<Holder>, Vec<Holder>) =
            of.iter().partition(|holder| now.latest.is_still(**holder, position));
        still.into_iter().for_each(|holder| state.place_still(&now.state, holder));
        moved.into_iter().collect()
    })
}

/// The first holder behind one.
pub(in crate::audit) fn behind(after: Option<Holder>) -> Option<Holder> {
    match after {
        None => Some(Holder::User(UserId(0))),
        Some(Holder::User(user)) => {
            Some(user.0.checked_add(1).map_or(Holder::Device(DeviceId(0)), |id| Holder::User(UserId(id))))
        }
        Some(Holder::Device(device)) => device.0.checked_add(1).map(|id| Holder::Device(DeviceId(id))),
    }
}

//! The part of a tenant that is about some of a pool's seats, places in its queue, or installs: which they are is told by the
//! index, and what they are by the few events that tell of what is still there, with what their holders are and belong to.

use super::holders::{OTHERS_MAX, assignments, fold, others_of};
use super::pile::Pile;
use super::{Listed, bare};
use crate::domain::event::Event;
use crate::domain::evolve::Told;
use crate::domain::ids::{DeviceId, Holder, PoolId, TenantId, UserId};
use crate::domain::seat_step::{SeatStep, Standing, telling};
use crate::domain::state::{QueuePlace, Tenant};
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use std::collections::{BTreeMap, BTreeSet};

/// For a longer way the whole state is made.
pub(super) const EVENTS_MAX: usize = 16_384;
/// Those who are so near to each other are looked up in one go.
const GAP: u32 = 400;
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

/// `None` where it takes more. Those who are `touched` by what became known later are told of besides.
pub(super) fn seats(
    ledger: &Ledger,
    (tenant, position): (TenantId, u64),
    pool: PoolId,
    of: &Of,
    touched: &BTreeSet<Holder>,
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
    let mut reader = Reader { ledger, tenant, position, pool, pile, still: BTreeSet::new() };
    // each of the touched may turn out to be none of those who are asked for
    let count = |limit: &usize| limit.saturating_add(1).saturating_add(touched.len());
    let mut chosen = match of {
        Of::One(holder) => reader.one(*holder)?,
        Of::Seats(after, limit) => reader.holding(*after, count(limit))?,
        Of::Queue(after, limit) => reader.waiting(*after, count(limit))?,
        Of::Installs(from, limit) => reader.carrying(*from, count(limit))?,
    };
    if !reader.pile.add(chosen.values().flatten().copied())? || !reader.seats_of(touched)? {
        return Ok(None);
    }
    chosen.extend(touched.iter().map(|holder| (*holder, Vec::new())));
    let Some(holders) = reader.around(&chosen.into_keys().collect(), &mut view.state)? else { return Ok(None) };
    let told = Told { holders, still: reader.still };
    fold(&mut view.state, reader.pile.events(), &told, &listed);
    view.state.next_position = position.saturating_add(1);
    assignments(ledger, tenant, position, &told.holders, &mut view.state)?;
    Ok(Some(view))
}

/// Holders, each with the positions of the events that tell what is there.
pub(super) type Chosen = BTreeMap<Holder, Vec<u64>>;

pub(super) struct Reader<'l> {
    pub(super) ledger: &'l Ledger,
    pub(super) tenant: TenantId,
    pub(super) position: u64,
    pub(super) pool: PoolId,
    pub(super) pile: Pile<'l>,
    /// Who was put in place as it is today.
    pub(super) still: BTreeSet<Holder>,
}

impl Reader<'_> {
    /// Goes through the holders from one on, until there is enough.
    pub(super) fn each(
        &self,
        from: Option<Holder>,
        mut each: impl FnMut(Holder, &[(u64, SeatStep)]) -> bool,
    ) -> Result<(), ReadError> {
        let (mut next, mut batch) = (from, BATCH);
        while let Some(first) = next {
            let between = (first, Holder::Device(DeviceId(u32::MAX)));
            let found = self.ledger.seats_between(self.tenant, self.pool, between, self.position, batch)?;
            next = found.last().filter(|_| found.len() == batch).and_then(|(last, _)| behind(Some(*last)));
            if found.iter().any(|(holder, steps)| !each(*holder, steps)) {
                return Ok(());
            }
            batch = (batch * 2).min(BATCH_MAX);
        }
        Ok(())
    }

    fn one(&self, holder: Holder) -> Result<Chosen, ReadError> {
        let found = self.ledger.seats_between(self.tenant, self.pool, (holder, holder), self.position, 1)?;
        let steps = found.first().map(|(_, steps)| telling(steps));
        Ok(Chosen::from([(holder, steps.unwrap_or_default())]))
    }

    fn holding(&self, after: Option<Holder>, count: usize) -> Result<Chosen, ReadError> {
        let mut chosen = Chosen::new();
        self.each(behind(after), |holder, steps| {
            if Standing::after(steps).holds_seat {
                chosen.insert(holder, telling(steps));
            }
            chosen.len() < count
        })?;
        Ok(chosen)
    }

    fn waiting(&self, after: Option<QueuePlace>, count: usize) -> Result<Chosen, ReadError> {
        let queued = self.ledger.read(self.tenant, |now| {
            let tally = now.tallies.pool(self.pool);
            tally.map_or(0, |tally| tally.queued_at(self.position))
        })?;
        let (mut waiting, mut moved) = (Vec::new(), Vec::new());
        if queued > 0 {
            self.each(behind(None), |holder, steps| {
                if Standing::after(steps).is_queued {
                    let is_entry = |step: SeatStep| matches!(step, SeatStep::Queued | SeatStep::Requeued);
                    match steps.iter().rfind(|(_, step)| is_entry(*step)) {
                        Some((at, SeatStep::Requeued)) => moved.push((*at, holder, telling(steps))),
                        Some((at, _)) => waiting.push((*at, holder, telling(steps))),
                        None => {}
                    }
                }
                ((waiting.len() + moved.len()) as u64) < queued
            })?;
        }
        // whoever came back to an old place
        for (at, holder, telling) in moved {
            let event = self.ledger.events(self.tenant, at, 1)?.pop().map(|recorded| recorded.event);
            if let Some(Event::Requeued { place, .. }) = event {
                waiting.push((place, holder, telling));
            }
        }
        waiting.sort_unstable();
        let rest = waiting.into_iter().filter(|(place, ..)| after.is_none_or(|after| *place > after));
        Ok(rest.take(count).map(|(_, holder, telling)| (holder, telling)).collect())
    }

    fn carrying(&self, from: DeviceId, count: usize) -> Result<Chosen, ReadError> {
        let (mut chosen, mut installs) = (Chosen::new(), 0);
        self.each(Some(from.into()), |holder, steps| {
            let found = Standing::after(steps).installs;
            if found > 0 {
                chosen.insert(holder, telling(steps));
                // what of the first device was on the page before is not known here
                if holder != Holder::Device(from) {
                    installs += found as usize;
                }
            }
            installs < count
        })?;
        Ok(chosen)
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
        for between in stretches(of) {
            let found = self.ledger.own_facts_between(self.tenant, between, self.position)?;
            let wanted = found.into_iter().filter(|(holder, _)| of.contains(holder));
            if !self.pile.add(wanted.flat_map(|(_, positions)| positions))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn seats_of(&mut self, of: &BTreeSet<Holder>) -> Result<bool, ReadError> {
        for between in stretches(of) {
            let found = self.ledger.seats_between(self.tenant, self.pool, between, self.position, usize::MAX)?;
            let wanted = found.into_iter().filter(|(holder, _)| of.contains(holder));
            if !self.pile.add(wanted.flat_map(|(_, steps)| telling(&steps)))? {
                return Ok(false);
            }
        }
        Ok(true)
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

/// From one to another of each kind, without long gaps.
pub(super) fn stretches(of: &BTreeSet<Holder>) -> Vec<(Holder, Holder)> {
    let (users, devices): (Vec<Holder>, Vec<Holder>) = of.iter().partition(|one| matches!(one, Holder::User(_)));
    let near = users.chunk_by(are_near).chain(devices.chunk_by(are_near));
    near.filter_map(|near| Some((*near.first()?, *near.last()?))).collect()
}

fn are_near(a: &Holder, b: &Holder) -> bool {
    number(*b) - number(*a) <= GAP
}

fn number(holder: Holder) -> u32 {
    match holder {
        Holder::User(user) => user.0,
        Holder::Device(device) => device.0,
    }
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

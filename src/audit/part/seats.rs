//! The part of a tenant that is about some of a pool's seats, in the order of their holders: folded from the events about each
//! of these seats, and from what their holders are and belong to. Whoever does not hold one any more is passed over.

use super::holders::{OTHERS_MAX, assignments, fold, others};
use super::pile::Pile;
use super::{Listed, bare};
use crate::domain::event::Event;
use crate::domain::ids::{DeviceId, Holder, PoolId, TenantId, UserId};
use crate::domain::subject::Subject;
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use crate::projection::holders::seat_of;
use std::collections::BTreeSet;

/// For a longer way the whole state is made.
const EVENTS_MAX: usize = 16_384;
/// Those who are so near to each other are looked up in one go.
const GAP: u32 = 64;

/// The next seats behind a holder, one more than `limit` if there are so many; `None` where it takes more.
pub(super) fn seats(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    pool: PoolId,
    (after, limit): (Option<Holder>, usize),
) -> Result<Option<View>, ReadError> {
    let listed = Listed::by(ledger, tenant, position)?;
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = listed.terms(position);
    if pool.index() >= view.state.pools.len() {
        return Ok(Some(view));
    }
    let pile = Pile::new(ledger, tenant, EVENTS_MAX);
    let mut reader = Reader { ledger, tenant, position, pool, pile };
    let Some(holding) = reader.holding(after, limit.saturating_add(1))? else { return Ok(None) };
    let Some(holders) = reader.around(&holding)? else { return Ok(None) };
    fold(&mut view.state, reader.pile.events(), &holders, &listed);
    view.state.next_position = position.saturating_add(1);
    assignments(ledger, tenant, position, &holders, &mut view.state)?;
    Ok(Some(view))
}

struct Reader<'l> {
    ledger: &'l Ledger,
    tenant: TenantId,
    position: u64,
    pool: PoolId,
    pile: Pile<'l>,
}

impl Reader<'_> {
    /// Who holds a seat, in order, so many at most.
    fn holding(&mut self, after: Option<Holder>, count: usize) -> Result<Option<BTreeSet<Holder>>, ReadError> {
        let (mut holding, mut next) = (BTreeSet::new(), behind(after));
        while let Some(first) = next.filter(|_| holding.len() < count) {
            let batch = (count - holding.len()).max(32);
            let between = (first, Holder::Device(DeviceId(u32::MAX)));
            let found = self.ledger.seats_between(self.tenant, self.pool, between, self.position, batch)?;
            next = found.last().filter(|_| found.len() == batch).and_then(|(last, _)| behind(Some(*last)));
            if !self.pile.add(found.iter().flat_map(|(_, positions)| positions.iter().copied()))? {
                return Ok(None);
            }
            let held = found.into_iter().filter(|(holder, positions)| self.holds(*holder, positions));
            let held: Vec<Holder> = held.map(|(holder, _)| holder).take(count - holding.len()).collect();
            holding.extend(held);
        }
        Ok(Some(holding))
    }

    fn holds(&self, holder: Holder, positions: &[u64]) -> bool {
        let newest_first = positions.iter().rev().filter_map(|position| self.pile.at(*position));
        let mut of_seat = newest_first.filter(|recorded| seat_of(&recorded.event) == Some((self.pool, holder)));
        of_seat.next().is_some_and(|last| !matches!(last.event, Event::SeatReleased { .. }))
    }

    /// These and everybody whose facts say something of their seats, whose events are noted.
    fn around(&mut self, holding: &BTreeSet<Holder>) -> Result<Option<BTreeSet<Holder>>, ReadError> {
        // the app on a device is about the device, whoever installed it
        for device in holding.iter().filter(|holder| matches!(holder, Holder::Device(_))) {
            let until = 0..self.position.saturating_add(1);
            let found = self.ledger.positions(self.tenant, Subject::from(*device), until, EVENTS_MAX + 1, false)?;
            if !self.pile.add(found)? {
                return Ok(None);
            }
        }
        if !self.own_facts(holding)? {
            return Ok(None);
        }
        let mut near = BTreeSet::new();
        for holder in holding {
            let others = others(*holder, self.pile.events());
            if others.len() > OTHERS_MAX {
                return Ok(None);
            }
            near.extend(others.into_iter().filter(|other| !holding.contains(other)));
        }
        if !self.own_facts(&near)? || !self.seats_of(&near)? {
            return Ok(None);
        }
        near.extend(holding);
        Ok(Some(near))
    }

    fn own_facts(&mut self, of: &BTreeSet<Holder>) -> Result<bool, ReadError> {
        for between in stretches(of) {
            let found = self.ledger.own_facts_between(self.tenant, between, self.position)?;
            if !self.add(found, of)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn seats_of(&mut self, of: &BTreeSet<Holder>) -> Result<bool, ReadError> {
        for between in stretches(of) {
            let found = self.ledger.seats_between(self.tenant, self.pool, between, self.position, usize::MAX)?;
            if !self.add(found, of)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn add(&mut self, found: Vec<(Holder, Vec<u64>)>, of: &BTreeSet<Holder>) -> Result<bool, ReadError> {
        let wanted = found.into_iter().filter(|(holder, _)| of.contains(holder));
        self.pile.add(wanted.flat_map(|(_, positions)| positions))
    }
}

/// From one to another of each kind, without long gaps.
fn stretches(of: &BTreeSet<Holder>) -> Vec<(Holder, Holder)> {
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
fn behind(after: Option<Holder>) -> Option<Holder> {
    match after {
        None => Some(Holder::User(UserId(0))),
        Some(Holder::User(user)) => {
            Some(user.0.checked_add(1).map_or(Holder::Device(DeviceId(0)), |id| Holder::User(UserId(id))))
        }
        Some(Holder::Device(device)) => device.0.checked_add(1).map(|id| Holder::Device(DeviceId(id))),
    }
}

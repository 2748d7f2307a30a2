//! The part of a tenant that is about some of a pool's seats, in the order of their holders: folded from the events about each
//! of these seats, and from what their holders are and belong to. Whoever does not hold one any more is passed over.

use super::holders::{OTHERS_MAX, assignments, fold, others};
use super::{Listed, bare};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{DeviceId, Holder, PoolId, TenantId, UserId};
use crate::domain::subject::Subject;
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use crate::projection::holders::seat_of;
use std::collections::BTreeSet;

/// For a longer way the whole state is made.
const EVENTS_MAX: usize = 16_384;
/// Users so far from each other are looked up one by one.
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
    let mut reader = Reader { ledger, tenant, position, pool, positions: BTreeSet::new() };
    let Some(holding) = reader.holding(after, limit.saturating_add(1))? else { return Ok(None) };
    let Some(holders) = reader.around(&holding)? else { return Ok(None) };
    let events = ledger.events_at(tenant, &reader.positions.into_iter().collect::<Vec<_>>())?;
    fold(&mut view.state, &events, &holders, &listed);
    view.state.next_position = position.saturating_add(1);
    assignments(ledger, tenant, position, &holders, &mut view.state)?;
    Ok(Some(view))
}

struct Reader<'l> {
    ledger: &'l Ledger,
    tenant: TenantId,
    position: u64,
    pool: PoolId,
    /// What is to be folded.
    positions: BTreeSet<u64>,
}

impl Reader<'_> {
    /// Who holds a seat, in order, so many at most.
    fn holding(&mut self, after: Option<Holder>, count: usize) -> Result<Option<BTreeSet<Holder>>, ReadError> {
        let (mut holding, mut next, mut looked_at) = (BTreeSet::new(), behind(after), 0);
        while let Some(first) = next.filter(|_| holding.len() < count) {
            let batch = (count - holding.len()).max(32);
            let between = (first, Holder::Device(DeviceId(u32::MAX)));
            let found = self.ledger.seats_between(self.tenant, self.pool, between, self.position, batch)?;
            next = found.last().filter(|_| found.len() == batch).and_then(|(last, _)| behind(Some(*last)));
            let all: BTreeSet<u64> = found.iter().flat_map(|(_, positions)| positions.iter().copied()).collect();
            looked_at += all.len();
            if looked_at > EVENTS_MAX {
                return Ok(None);
            }
            let events = self.ledger.events_at(self.tenant, &all.into_iter().collect::<Vec<_>>())?;
            for (holder, positions) in found {
                if holding.len() < count && self.holds(holder, &events) {
                    holding.insert(holder);
                    self.positions.extend(positions);
                }
            }
        }
        Ok(Some(holding))
    }

    fn holds(&self, holder: Holder, events: &[Recorded]) -> bool {
        let mut of_seat = events.iter().rev().filter(|recorded| seat_of(&recorded.event) == Some((self.pool, holder)));
        of_seat.next().is_some_and(|last| !matches!(last.event, Event::SeatReleased { .. }))
    }

    /// These and everybody whose facts say something of their seats, whose events are noted.
    fn around(&mut self, holding: &BTreeSet<Holder>) -> Result<Option<BTreeSet<Holder>>, ReadError> {
        let mut holders = holding.clone();
        // the app on a device is about the device, whoever installed it
        for device in holding.iter().filter(|holder| matches!(holder, Holder::Device(_))) {
            let until = 0..self.position.saturating_add(1);
            let about = Subject::from(*device);
            self.positions.extend(self.ledger.positions(self.tenant, about, until, EVENTS_MAX, false)?);
        }
        self.own_facts(holding)?;
        if self.positions.len() > EVENTS_MAX {
            return Ok(None);
        }
        let known: Vec<u64> = self.positions.iter().copied().collect();
        let events = self.ledger.events_at(self.tenant, &known)?;
        let mut near = BTreeSet::new();
        for holder in holding {
            let others = others(*holder, &events);
            if others.len() > OTHERS_MAX {
                return Ok(None);
            }
            near.extend(others.into_iter().filter(|other| !holding.contains(other)));
        }
        self.own_facts(&near)?;
        for other in &near {
            let between = (*other, *other);
            let found = self.ledger.seats_between(self.tenant, self.pool, between, self.position, 1)?;
            self.positions.extend(found.into_iter().flat_map(|(_, positions)| positions));
        }
        holders.extend(near);
        Ok(Some(holders).filter(|_| self.positions.len() <= EVENTS_MAX))
    }

    fn own_facts(&mut self, of: &BTreeSet<Holder>) -> Result<(), ReadError> {
        let (users, devices): (Vec<Holder>, Vec<Holder>) = of.iter().partition(|one| matches!(one, Holder::User(_)));
        for kind in [users, devices] {
            let near = kind.chunk_by(|a, b| number(*b) - number(*a) <= GAP);
            for run in near {
                let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
                let found = self.ledger.own_facts_between(self.tenant, (*first, *last), self.position)?;
                let wanted = found.into_iter().filter(|(holder, _)| of.contains(holder));
                self.positions.extend(wanted.flat_map(|(_, positions)| positions));
            }
        }
        Ok(())
    }
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

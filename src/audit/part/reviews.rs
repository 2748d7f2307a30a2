//! The part of a tenant that is about some of a review's seats, by pool and holder: those that were held when it was opened, as
//! they are or as they ended since, with what was decided on each.

use super::holders::{assignments, fold};
use super::pile::Pile;
use super::seats::{Chosen, EVENTS_MAX, Reader, behind};
use super::{Listed, bare, small};
use crate::domain::event::{Event, Recorded};
use crate::domain::evolve::Told;
use crate::domain::facts::ReleaseCause;
use crate::domain::ids::{Holder, PoolId, ReviewId, TenantId};
use crate::domain::seat_step::{SeatStep, Standing, telling};
use crate::domain::state::{Decision, Review, ReviewState, SeatState, Settled, SettledBy, Tenant};
use crate::domain::subject::Subject;
use crate::ledger::{Ledger, ReadError, Step};
use crate::projection::View;
use crate::projection::holders::Holders;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Of a holder with more events since the review was opened the whole state is made.
const SINCE_MAX: usize = 4096;

/// The next seats behind one, one more than `limit` if there are so many; `None` where it takes more.
pub(super) fn seats(
    ledger: &Ledger,
    tenant: TenantId,
    position: u64,
    id: ReviewId,
    (after, limit): (Option<(PoolId, Holder)>, usize),
) -> Result<Option<View>, ReadError> {
    let all = small::reviews(ledger, tenant, position)?;
    let Some(review) = all.state.reviews.get(id.index()).map(|review| Review::clone(review)) else {
        return Ok(Some(all));
    };
    let reviews = all.state.reviews;
    let pile = Pile::new(ledger, tenant, EVENTS_MAX);
    let first = review.pools.first().copied().unwrap_or(PoolId(0));
    let reader = Reader::new(ledger, (tenant, position), first, pile);
    let mut frozen = Frozen { reader, review, decided_at: BTreeSet::new(), closings: closings(ledger, tenant)? };
    let decided = ledger.positions(tenant, Subject::Review(id), 0..position.saturating_add(1), usize::MAX, false)?;
    frozen.decided_at.extend(decided);
    let listed = Listed::by(ledger, tenant, position)?;
    let mut view = bare(ledger, tenant, position)?;
    view.state.pools = listed.terms(position);
    let count = limit.saturating_add(1);
    let Some(holders) = frozen.choose(after, count, &mut view.state)? else { return Ok(None) };
    let told = Told { holders, still: std::mem::take(&mut frozen.reader.still) };
    fold(&mut view.state, frozen.reader.pile.events(), &told, &listed);
    view.state.next_position = position.saturating_add(1);
    assignments(ledger, tenant, position, &told.holders, &mut view.state)?;
    view.state.reviews = reviews;
    if let Some(review) = view.state.reviews.get_mut(id.index()) {
        *review = Arc::new(frozen.review);
    }
    Ok(Some(view))
}

/// Of each review that was carried out: where that began, and where it ended.
fn closings(ledger: &Ledger, tenant: TenantId) -> Result<Vec<(u64, u64, ReviewId)>, ReadError> {
    ledger.read(tenant, |now| {
        let carried_out = now.state.reviews.iter().filter(|review| review.state != ReviewState::Cancelled);
        let closing = |review: &Arc<Review>| {
            let ended = review.ended.map_or(u64::MAX, |(_, ended)| ended);
            review.closed.map(|(_, closed)| (closed, ended, review.id))
        };
        carried_out.filter_map(closing).collect()
    })
}

struct Frozen<'l> {
    reader: Reader<'l>,
    review: Review,
    /// Where something of the review was said.
    decided_at: BTreeSet<u64>,
    closings: Vec<(u64, u64, ReviewId)>,
}

impl Frozen<'_> {
    /// So many seats at most, with everybody whose facts say something of them.
    fn choose(
        &mut self,
        after: Option<(PoolId, Holder)>,
        count: usize,
        state: &mut Tenant,
    ) -> Result<Option<BTreeSet<Holder>>, ReadError> {
        let (mut holders, mut left) = (BTreeSet::new(), count);
        for pool in self.review.pools.clone() {
            let behind_holder = match after {
                Some((of, _)) if pool < of => continue,
                Some((of, holder)) if pool == of => Some(holder),
                Some(_) | None => None,
            };
            if left == 0 {
                break;
            }
            self.reader.pool = pool;
            let found = self.of_pool(behind(behind_holder), left)?;
            left -= found.len();
            let chosen: Chosen = found.iter().map(|(holder, steps)| (*holder, telling(steps))).collect();
            if !self.reader.pile.add(chosen.values().flatten().copied())? {
                return Ok(None);
            }
            let Some(around) = self.reader.around(&chosen.into_keys().collect(), state)? else { return Ok(None) };
            holders.extend(around);
            for (holder, steps) in found {
                self.settle(pool, holder, &steps)?;
                if !self.decide(pool, holder)? {
                    return Ok(None);
                }
            }
        }
        Ok(Some(holders))
    }

    /// Who held a seat when the review was opened.
    fn of_pool(&self, from: Option<Holder>, count: usize) -> Result<Vec<(Holder, Vec<Step>)>, ReadError> {
        let mut found = Vec::new();
        self.reader.each(from, |holder, steps, _| {
            let before = steps.partition_point(|(at, _)| *at < self.review.opened_at);
            if Standing::after(steps.get(..before).unwrap_or_default()).holds_seat {
                found.push((holder, steps.to_vec()));
            }
            found.len() < count
        })?;
        Ok(found)
    }

    /// Notes how a seat ended, if it did.
    fn settle(&mut self, pool: PoolId, holder: Holder, steps: &[Step]) -> Result<(), ReadError> {
        let opened_at = self.review.opened_at;
        let ends = |step: SeatStep| {
            matches!(
                step,
                SeatStep::Releasing
                    | SeatStep::ReleasingLapsed
                    | SeatStep::Released
                    | SeatStep::ReleasedLapsed
                    | SeatStep::Adopted
                    | SeatStep::AdoptedInUse
            )
        };
        if !steps.iter().any(|(at, step)| *at > opened_at && ends(*step)) {
            return Ok(());
        }
        let positions: Vec<u64> = steps.iter().map(|(at, _)| *at).collect();
        let mut seats = Holders::new(pool);
        for recorded in self.reader.ledger.events_at(self.reader.tenant, &positions)? {
            let seat = seats.seats().get(&holder).filter(|seat| seat.granted_position < opened_at).copied();
            if let Some(seat) = seat.filter(|_| recorded.position > opened_at)
                && let Some(by) = self.ended_by(&recorded, holder, seat.state)
            {
                let (at, position) = (recorded.envelope.recorded_at, recorded.position);
                let (state, since, granted_at) = (seat.state, seat.since, seat.granted_position);
                let settled = Settled { by, at, position, state, since, granted_at };
                self.review.settled.insert((pool, holder), settled);
                return Ok(());
            }
            seats.take(&recorded);
        }
        Ok(())
    }

    fn ended_by(&self, recorded: &Recorded, of: Holder, state: SeatState) -> Option<SettledBy> {
        let is_by_this = |cause: ReleaseCause| {
            cause == ReleaseCause::Reviewed
                && state != SeatState::Releasing
                && self.at_work(recorded.position) == Some(self.review.id)
        };
        if let Event::SeatReleasing { holder, cause, .. } = &recorded.event {
            // for another cause it is still held
            return (*holder == of && is_by_this(*cause)).then_some(SettledBy::Review);
        }
        if let Event::SeatReleased { holder, cause, .. } = &recorded.event {
            let by = if is_by_this(*cause) { SettledBy::Review } else { SettledBy::Other(*cause) };
            return (*holder == of).then_some(by);
        }
        let Event::ForeignSeatAdopted { holder, .. } = &recorded.event else { return None };
        (*holder == of).then_some(SettledBy::Adoption)
    }

    /// Reviews are carried out one after the other.
    fn at_work(&self, position: u64) -> Option<ReviewId> {
        let under_way = self.closings.iter().filter(|(closed, ended, _)| *closed < position && position < *ended);
        under_way.min().map(|(_, _, review)| *review)
    }

    /// Notes what was said of a seat last; `false` where there is much to look through.
    fn decide(&mut self, pool: PoolId, holder: Holder) -> Result<bool, ReadError> {
        let Reader { ledger, tenant, position, .. } = self.reader;
        let since = self.review.opened_at..position.saturating_add(1);
        let about = ledger.positions(tenant, Subject::from(holder), since, SINCE_MAX + 1, true)?;
        if about.len() > SINCE_MAX {
            return Ok(false);
        }
        for at in about.into_iter().filter(|at| self.decided_at.contains(at)) {
            let Some(recorded) = ledger.events(tenant, at, 1)?.pop() else { continue };
            let Event::ReviewDecided { pool: of, decision, comment, .. } = recorded.event else { continue };
            if of == pool {
                let (by, at, position) = (recorded.envelope.actor, recorded.envelope.recorded_at, recorded.position);
                self.review.decisions.insert((pool, holder), Decision { decision, comment, by, at, position });
                break;
            }
        }
        Ok(true)
    }
}

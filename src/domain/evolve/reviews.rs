//! Access reviews: opened, decided, closed, over; and what becomes of their seats meanwhile. Here it is asserted that a
//! review releases nothing but what it froze and what was to be released.

use crate::domain::event::Event;
use crate::domain::facts::{KeepOrRelease, ReleaseCause};
use crate::domain::ids::{Holder, PoolId, ReviewId};
use crate::domain::state::{Decision, Meta, Review, ReviewState, SeatState, Settled, SettledBy, Tenant};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a seat stops being the one that was frozen, or begins to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parting {
    Releasing(ReleaseCause),
    Released(ReleaseCause),
    Adopted,
}

impl Tenant {
    #[expect(clippy::wildcard_enum_match_arm, reason = "`evolve` names every event and sends only these here")]
    pub(super) fn evolve_review(&mut self, event: &Event, meta: &Meta) {
        match event {
            Event::ReviewOpened { review, name, pools, undecided, ends_at, reviewers } => {
                assert_eq!(review.index(), self.reviews.len(), "{review} is out of order");
                let seats = pools.iter().map(|pool| self.pool(*pool).held()).sum();
                for pool in pools {
                    self.under_review.entry(*pool).or_default().insert(*review);
                }
                self.review_ends.extend(ends_at.map(|end| (end, *review)));
                self.reviews.push(Arc::new(Review {
                    id: *review,
                    name: name.clone(),
                    pools: pools.iter().copied().collect(),
                    undecided_rule: *undecided,
                    ends_at: *ends_at,
                    reviewers: reviewers.iter().copied().collect(),
                    state: ReviewState::Open,
                    opened_at: meta.position,
                    since: meta.recorded_at,
                    closed: None,
                    ended: None,
                    etag: meta.position,
                    seats,
                    kept: 0,
                    released: 0,
                    undecided: seats,
                    gone: 0,
                    carried_out: 0,
                    through: None,
                    decisions: BTreeMap::new(),
                    settled: BTreeMap::new(),
                }));
            }
            Event::ReviewDecided { review, pool, holder, decision, comment } => {
                let decided = Decision {
                    decision: *decision,
                    comment: comment.clone(),
                    by: meta.actor,
                    at: meta.recorded_at,
                    position: meta.position,
                };
                self.review_decided(*review, *pool, *holder, decided);
            }
            Event::ReviewClosed { review } => {
                self.leaves_open(*review, ReviewState::Closing, meta);
                self.reviews_closing.push_back(*review);
                let entry = self.review_mut(*review);
                *entry.count_mut(Some(entry.undecided_rule)) += entry.undecided;
                entry.undecided = 0;
            }
            Event::ReviewCarriedOut { review, pool, holder } => {
                assert_eq!(self.reviews_closing.front(), Some(review), "reviews are carried out one after the other");
                let entry = self.review_mut(*review);
                entry.through = Some((*pool, *holder));
                entry.etag = meta.position;
            }
            Event::ReviewEnded { review, kept, released, gone } => {
                assert_eq!(self.reviews_closing.pop_front(), Some(*review), "a review ends after it was closed");
                self.is_over(*review, meta);
                let entry = self.review_mut(*review);
                entry.state = ReviewState::Ended;
                (entry.kept, entry.released) = (*kept, *released);
                assert_eq!((entry.carried_out, entry.gone), (*released, *gone), "{review} released or lost others");
                assert_eq!(entry.seats, kept + released + gone, "{review} has other seats than it froze");
            }
            Event::ReviewCancelled { review } => {
                self.leaves_open(*review, ReviewState::Cancelled, meta);
                self.is_over(*review, meta);
            }
            other => unreachable!("not about reviews: {other:?}"),
        }
    }

    fn review_decided(&mut self, review: ReviewId, pool: PoolId, holder: Holder, decided: Decision) {
        let entry = self.review(review);
        assert_eq!(entry.state, ReviewState::Open, "{review} takes no decisions");
        let is_there = self.pool(pool).seats.get(&holder).is_some_and(|seat| entry.froze(seat));
        assert!(is_there && entry.pools.contains(&pool), "{review} did not freeze {holder} in {pool}");
        let entry = self.review_mut(review);
        let before = entry.wish_for(pool, holder);
        *entry.count_mut(before) -= 1;
        *entry.count_mut(Some(decided.decision)) += 1;
        entry.etag = decided.position;
        entry.decisions.insert((pool, holder), decided);
    }

    fn leaves_open(&mut self, review: ReviewId, to: ReviewState, meta: &Meta) {
        let entry = self.review_mut(review);
        assert_eq!(entry.state, ReviewState::Open, "{review} is not open any more");
        entry.state = to;
        entry.closed = Some((meta.recorded_at, meta.position));
        entry.etag = meta.position;
        let end = entry.ends_at.map(|end| (end, review));
        if let Some(end) = end {
            self.review_ends.remove(&end);
        }
    }

    fn is_over(&mut self, review: ReviewId, meta: &Meta) {
        let entry = self.review_mut(review);
        entry.ended = Some((meta.recorded_at, meta.position));
        entry.etag = meta.position;
        entry.decisions = BTreeMap::new();
        entry.settled = BTreeMap::new();
        let pools = entry.pools.clone();
        for pool in pools {
            let is_last = self.under_review.get_mut(&pool).is_some_and(|reviews| {
                reviews.remove(&review);
                reviews.is_empty()
            });
            if is_last {
                self.under_review.remove(&pool);
            }
        }
    }

    /// Writes down, in every review that is under way, that a seat which it froze ends. Called before the seat changes.
    pub(super) fn settle_in_reviews(&mut self, pool: PoolId, holder: Holder, parting: Parting, meta: &Meta) {
        let is_by_review = parting.is_by_review() && self.seat(pool, holder).state != SeatState::Releasing;
        let at_work = self.reviews_closing.front().copied().filter(|_| is_by_review);
        let reviews = self.under_review.get(&pool);
        if is_by_review {
            let is_its = at_work.is_some_and(|review| reviews.is_some_and(|reviews| reviews.contains(&review)));
            assert!(is_its, "{holder} in {pool}: released by a review that is not about it");
        }
        let Some(reviews) = reviews.cloned() else { return };
        let seat = self.seat(pool, holder).clone();
        if let Some(review) = at_work.map(|review| self.review(review)) {
            let is_meant = review.wish_for(pool, holder) == Some(KeepOrRelease::Release);
            let is_there = review.froze(&seat) && !review.settled.contains_key(&(pool, holder));
            assert!(is_meant && is_there, "{}: {holder} in {pool} is not one of its seats to release", review.id);
        }
        for id in reviews {
            let is_by_this = at_work == Some(id);
            let by = match parting {
                Parting::Releasing(_) | Parting::Released(_) if is_by_this => SettledBy::Review,
                // it is still held
                Parting::Releasing(_) => continue,
                Parting::Released(cause) => SettledBy::Other(cause),
                Parting::Adopted => SettledBy::Adoption,
            };
            let entry = self.review(id);
            if !entry.froze(&seat) || entry.settled.contains_key(&(pool, holder)) {
                continue;
            }
            let wish = entry.wish_for(pool, holder);
            let (at, position) = (meta.recorded_at, meta.position);
            let (state, since, granted_at) = (seat.state, seat.since, seat.granted_at);
            let entry = self.review_mut(id);
            entry.settled.insert((pool, holder), Settled { by, at, position, state, since, granted_at });
            entry.etag = meta.position;
            if is_by_this {
                entry.carried_out += 1;
            } else {
                *entry.count_mut(wish) -= 1;
                entry.gone += 1;
            }
        }
    }
}

impl Parting {
    fn is_by_review(self) -> bool {
        match self {
            Self::Releasing(cause) | Self::Released(cause) => cause == ReleaseCause::Reviewed,
            Self::Adopted => false,
        }
    }
}

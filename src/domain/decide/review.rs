//! Access reviews: opened over pools, decided seat by seat, carried out at their end, part by part. A review gives seats
//! back through the same function as `/reclaim`. Not here: what the end does to one seat (`domain/review.rs`), who may
//! call (the door knows its roles).

use super::{Judge, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::{HolderRef, NewReview, PoolRef};
use crate::domain::event::Event;
use crate::domain::facts::{KeepOrRelease, ReleaseCause, Role};
use crate::domain::ids::{Holder, PoolId, ReviewId, TokenId};
use crate::domain::rejection::Rejection;
use crate::domain::review::Standing;
use crate::domain::state::{Review, ReviewState, Tenant};
use crate::domain::time::Time;
use std::collections::BTreeSet;

/// Reviews under way at once: every seat that ends is looked up in those of its pool.
const REVIEWS_MAX: usize = 100;
/// So many seats are carried out at once, in a tick with what else it does; the next tick goes on, and others get their turn
/// between.
const PART_SEATS_MAX: usize = 4000;

impl Judge<'_> {
    pub(super) fn open_review(&mut self, new: &NewReview) -> Ruling {
        let pools = new.pools.iter().map(|pool| self.pool_id(pool)).collect::<Result<BTreeSet<PoolId>, _>>()?;
        self.about.pool = None;
        let reviewers: BTreeSet<TokenId> = new.reviewers.iter().copied().collect();
        for token in &reviewers {
            let found = self.tenant.tokens.get(token.index()).filter(|found| !found.is_revoked);
            match found.ok_or(Rejection::TokenNotFound)?.role {
                Role::Admin | Role::Operator | Role::Auditor => {}
                Role::Connector | Role::Directory => return Err(Rejection::ReviewerNotAllowed { token: *token }),
            }
        }
        if new.ends_at.is_some_and(|end| end <= self.now) {
            return Err(Rejection::EndsInPast);
        }
        if self.tenant.reviews.iter().filter(|review| review.is_under_way()).count() >= REVIEWS_MAX {
            return Err(Rejection::TooManyReviews);
        }
        self.emit(Event::ReviewOpened {
            review: ReviewId::at(self.tenant.reviews.len()),
            name: new.name.clone(),
            pools: pools.into_iter().collect(),
            undecided: new.undecided,
            ends_at: new.ends_at,
            reviewers: reviewers.into_iter().collect(),
        });
        Ok(Verdict::Done)
    }

    pub(super) fn decide_review(
        &mut self,
        review: ReviewId,
        pool: &PoolRef,
        holder: HolderRef,
        decision: KeepOrRelease,
        comment: Option<&str>,
    ) -> Ruling {
        self.open_one(review)?;
        let (pool, holder) = (self.pool_id(pool)?, self.holder_on_record(holder)?);
        let entry = self.tenant.review(review);
        let seat = self.tenant.seat_of_review(entry, pool, holder).ok_or(Rejection::SeatNotInReview)?;
        let is_same = entry
            .decisions
            .get(&(pool, holder))
            .is_some_and(|known| known.decision == decision && known.comment.as_deref() == comment);
        if is_same {
            return Ok(Verdict::Unchanged(About::Seat { pool, holder }));
        }
        if matches!(seat.now, Standing::Settled(_)) {
            return Err(Rejection::ReviewSeatGone);
        }
        let comment = comment.map(str::to_owned);
        self.emit(Event::ReviewDecided { review, pool, holder, decision, comment });
        Ok(Verdict::Done)
    }

    pub(super) fn end_review(&mut self, review: ReviewId) -> Ruling {
        let entry = self.known_review(review)?;
        self.precondition(entry.etag)?;
        match entry.state {
            ReviewState::Open => {}
            ReviewState::Closing | ReviewState::Ended => return Ok(Verdict::Unchanged(About::Review(review))),
            ReviewState::Cancelled => return Err(Rejection::ReviewNotOpen),
        }
        self.emit(Event::ReviewClosed { review });
        if self.tenant.reviews_closing.front() == Some(&review) {
            self.carry_out_a_part(review, PART_SEATS_MAX);
        }
        Ok(Verdict::Done)
    }

    pub(super) fn cancel_review(&mut self, review: ReviewId) -> Ruling {
        let entry = self.known_review(review)?;
        self.precondition(entry.etag)?;
        match entry.state {
            ReviewState::Open => {}
            ReviewState::Cancelled => return Ok(Verdict::Unchanged(About::Review(review))),
            ReviewState::Closing | ReviewState::Ended => return Err(Rejection::ReviewNotOpen),
        }
        self.emit(Event::ReviewCancelled { review });
        Ok(Verdict::Done)
    }

    /// What time does: reviews whose end has come are closed, and the first of those that are is carried on.
    pub(super) fn end_reviews(&mut self) {
        let due: Vec<ReviewId> =
            self.tenant.review_ends.iter().take_while(|(end, _)| *end <= self.now).map(|(_, review)| *review).collect();
        for review in due {
            self.emit(Event::ReviewClosed { review });
        }
        let seats = self.left_of_tick().min(PART_SEATS_MAX);
        if seats > 0
            && let Some(review) = self.tenant.reviews_closing.front().copied()
        {
            self.carry_out_a_part(review, seats);
        }
    }

    /// The next seats of a review that was closed, and its end behind the last of them.
    fn carry_out_a_part(&mut self, review: ReviewId, seats_max: usize) {
        let entry = self.tenant.review(review);
        let mut part: Vec<(PoolId, Holder, bool)> = Vec::new();
        for seat in self.tenant.seats_of_review(entry, entry.through).take(seats_max) {
            let is_released = match seat.now {
                Standing::Held(held) => entry.fate_of(self.tenant.pool(seat.pool), seat.holder, held).is_released,
                Standing::Settled(_) => false,
            };
            part.push((seat.pool, seat.holder, is_released));
        }
        let mut served = BTreeSet::new();
        for (pool, holder, _) in part.iter().copied().filter(|(_, _, is_released)| *is_released) {
            let is_taken = self.take_from(pool, holder, ReleaseCause::Reviewed);
            assert_eq!(is_taken, Ok(true), "{review}: {holder} in {pool} was to be released");
            served.insert(pool);
        }
        for pool in served {
            self.serve_queue(pool);
        }
        match part.last() {
            Some((pool, holder, _)) if part.len() == seats_max => {
                let (pool, holder) = (*pool, *holder);
                self.emit(Event::ReviewCarriedOut { review, pool, holder });
            }
            Some(_) | None => {
                let entry = self.tenant.review(review);
                let (released, gone) = (entry.carried_out, entry.gone);
                let kept = entry.seats - released - gone;
                self.emit(Event::ReviewEnded { review, kept, released, gone });
            }
        }
    }

    fn known_review(&self, review: ReviewId) -> Result<&Review, Rejection> {
        self.tenant.reviews.get(review.index()).map(AsRef::as_ref).ok_or(Rejection::ReviewNotFound)
    }

    fn open_one(&self, review: ReviewId) -> Result<(), Rejection> {
        match self.known_review(review)?.state {
            ReviewState::Open => Ok(()),
            ReviewState::Closing | ReviewState::Ended | ReviewState::Cancelled => Err(Rejection::ReviewNotOpen),
        }
    }
}

impl Tenant {
    /// Whether a review waits for its end, or for the rest of it.
    pub(super) fn has_review_due(&self, now: Time) -> bool {
        !self.reviews_closing.is_empty() || self.review_ends.first().is_some_and(|(end, _)| *end <= now)
    }
}

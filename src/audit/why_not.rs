//! Why a command was refused: what the pool's figures were at that moment, and which events had brought about what the
//! rule met. Not here: what the rule means in general (the problem's page says that).

use super::{each_event_about, each_pool_event};
use crate::domain::event::{Event, Recorded, Target};
use crate::domain::event_type::EventType;
use crate::domain::facts::Owned;
use crate::domain::ids::{Holder, PoolId, TenantId, UserId};
use crate::domain::rejection::{Rejection, RejectionClass};
use crate::domain::subject::Subject;
use crate::ledger::{EventQuery, Ledger, PAGE_EVENTS_MAX, ReadError};
use crate::projection::figures::{Figures, PoolFigures};
use std::ops::ControlFlow;

/// A refusal with what explains it.
#[derive(Debug, Clone, PartialEq)]
pub struct WhyNot {
    pub refusal: Recorded,
    pub rejection: Rejection,
    /// The pool's figures at the refusal's position. A batch that was undone had other ones in between: the refusal names
    /// them.
    pub figures: Option<Figures>,
    /// For lack of seats: the event that took the last free one, where none was free since.
    pub last_seat: Option<Recorded>,
    /// The event that brought about what the rule met: the departure, the suspension, the assignment that was there already.
    /// `None` where the history does not tell it for certain: what a batch that was undone had changed itself is not in it.
    pub because: Option<Recorded>,
}

/// `None` where the event of this position is no refusal by a rule. Blocking, for as long as the pool's events up to
/// there take to fold.
///
/// # Errors
/// When there is no such tenant or position, or the log can't be read.
pub fn why_not(ledger: &Ledger, tenant: TenantId, position: u64) -> Result<Option<WhyNot>, ReadError> {
    let refusal = ledger.events(tenant, position, 1)?.pop().ok_or(ReadError::NotReached(position))?;
    let (Event::CommandRefused { pool, holder, target, rejection, .. }
    | Event::BatchRefused { pool, holder, target, rejection, .. }) = &refusal.event
    else {
        return Ok(None);
    };
    if rejection.class() != RejectionClass::Conflict {
        return Ok(None);
    }
    let (pool, target, rejection) = (*pool, *target, rejection.clone());
    let user = user_of(*holder, target);
    let because = because(ledger, tenant, &refusal, &rejection, pool, target, user)?;
    let (figures, last_seat) = match pool {
        Some(pool) => {
            let (figures, last_seat) = shortage(ledger, tenant, pool, position)?;
            (Some(figures), last_seat.filter(|_| rejection.is_for_lack_of_seats()))
        }
        None => (None, None),
    };
    Ok(Some(WhyNot { refusal, rejection, figures, last_seat, because }))
}

fn user_of(holder: Option<Holder>, target: Option<Target>) -> Option<UserId> {
    match (holder, target) {
        (Some(Holder::User(user)), _) | (_, Some(Target::User(user))) => Some(user),
        (Some(Holder::Device(_)) | None, Some(Target::Device(_) | Target::Group { .. }) | None) => None,
    }
}

/// The pool at a position, and the event since which none of its seats was free.
fn shortage(
    ledger: &Ledger,
    tenant: TenantId,
    pool: PoolId,
    position: u64,
) -> Result<(Figures, Option<Recorded>), ReadError> {
    let mut fold = PoolFigures::new(pool);
    let (mut figures, mut last_seat) = (fold.figures(), None);
    each_pool_event(ledger, tenant, pool, position, |recorded| {
        fold.take(&recorded.event);
        let had_free = figures.free != Owned::Count(0);
        figures = fold.figures();
        if figures.free != Owned::Count(0) {
            last_seat = None;
        } else if had_free || matches!(recorded.event, Event::PoolListed { .. }) {
            last_seat = Some(recorded.clone());
        }
        ControlFlow::Continue(())
    })?;
    Ok((figures, last_seat))
}

/// The event that brought about what the rule met, where the history tells it for certain; `None` where a rule meets
/// figures, or what no index finds. A batch may have met what its own commands did: what was over before it is no cause.
fn because(
    ledger: &Ledger,
    tenant: TenantId,
    refusal: &Recorded,
    rejection: &Rejection,
    pool: Option<PoolId>,
    target: Option<Target>,
    user: Option<UserId>,
) -> Result<Option<Recorded>, ReadError> {
    // the newest of its kind, unless one that ends it is newer
    let in_force = |begins: EventType, ends: &[EventType], pool: Option<PoolId>, user: Option<UserId>| {
        if pool.is_none() && user.is_none() {
            return Ok(None);
        }
        let (to, types) = (Some(refusal.position), [&[begins], ends].concat());
        let query = EventQuery { to, types, pool, user, limit: 1, newest_first: true, ..EventQuery::default() };
        let newest = ledger.query(tenant, &query)?.events.into_iter().next();
        Ok(newest.filter(|recorded| recorded.event.event_type() == begins))
    };
    match rejection {
        Rejection::UserDeparted => in_force(EventType::UserDeparted, &[EventType::UserReturned], None, user),
        Rejection::PoolSuspended => {
            let ends = [EventType::PoolResumed, EventType::PoolDelisted, EventType::PoolRelisted];
            in_force(EventType::PoolSuspended, &ends, pool, None)
        }
        Rejection::PoolRemoved => in_force(EventType::PoolDelisted, &[EventType::PoolRelisted], pool, None),
        Rejection::AssignmentExists => match (pool, target) {
            (Some(pool), Some(target)) => made_before(ledger, tenant, refusal.position, pool, target),
            (_, _) => Ok(None),
        },
        Rejection::OrderAlreadyRefunded
        | Rejection::SyncDisabled
        | Rejection::StoreAccountAlreadyLinked
        | Rejection::NotAssigned
        | Rejection::TenantNotFound
        | Rejection::PoolNotFound
        | Rejection::UserNotFound
        | Rejection::DeviceNotFound
        | Rejection::GroupNotFound
        | Rejection::AssignmentNotFound
        | Rejection::SeatNotFound
        | Rejection::SyncNotFound
        | Rejection::HeldNotFound
        | Rejection::DriftNotFound
        | Rejection::TokenNotFound
        | Rejection::ToolNotFound
        | Rejection::PreconditionFailed { .. }
        | Rejection::UnknownMembers { .. }
        | Rejection::MemberKindMismatch { .. }
        | Rejection::ModeNotAllowed
        | Rejection::LicensingNotAllowed
        | Rejection::AllUsersNotAllowed
        | Rejection::HolderKindNotAllowed
        | Rejection::NameMismatch
        | Rejection::OrderedInFuture
        | Rejection::QuantityZero
        | Rejection::AmountNotZero
        | Rejection::NotAnOfflinePool
        | Rejection::DriftOfAnotherPool { .. }
        | Rejection::InventoryRepeatsKey { .. }
        | Rejection::TenantExists
        | Rejection::UserNameTaken
        | Rejection::DeviceNameTaken
        | Rejection::GroupKindFixed
        | Rejection::StoreAccountNotLinked
        | Rejection::ConnectorNotRunning
        | Rejection::SyncRunning { .. }
        | Rejection::NothingHeld
        | Rejection::DeviceRetired
        | Rejection::UserNotDeparted
        | Rejection::DeviceNotRetired
        | Rejection::NamesErased
        | Rejection::DeviceNotEligible
        | Rejection::SeatNotRevocable
        | Rejection::RefundWindowClosed
        | Rejection::DriftAlreadyResolved
        | Rejection::SeatsStillHeld { .. }
        | Rejection::RefundExceedsFreeSeats { .. }
        | Rejection::NotEnoughSeats { .. }
        | Rejection::NoSeatAvailable { .. }
        | Rejection::ReviewNotFound
        | Rejection::SeatNotInReview
        | Rejection::ReviewerNotAllowed { .. }
        | Rejection::EndsInPast
        | Rejection::TooManyReviews
        | Rejection::ReviewNotOpen
        | Rejection::ReviewSeatGone => Ok(None),
    }
}

/// The newest assignment of a pool for this very target, unless it has ended: only one at a time is in force.
fn made_before(
    ledger: &Ledger,
    tenant: TenantId,
    before: u64,
    pool: PoolId,
    of_target: Target,
) -> Result<Option<Recorded>, ReadError> {
    let (user, device, group) = match of_target {
        Target::User(user) => (Some(user), None, None),
        Target::Device(device) => (None, Some(device), None),
        Target::Group { group, .. } => (None, None, Some(group)),
    };
    let (to, types, limit) = (Some(before), vec![EventType::AssignmentMade], PAGE_EVENTS_MAX);
    let of_one = EventQuery { to, types, pool: Some(pool), user, device, group, limit, ..EventQuery::default() };
    let mut query = EventQuery { newest_first: true, ..of_one };
    loop {
        let page = ledger.query(tenant, &query)?;
        let is_it = |recorded: &Recorded| matches!(&recorded.event, Event::AssignmentMade { target, .. } if target.is_same(of_target));
        match (page.events.into_iter().find(is_it), page.next) {
            (None, Some(next)) => query.to = Some(next),
            (None, None) => return Ok(None),
            (Some(made), _) => return Ok((!has_ended(ledger, tenant, &made, before)?).then_some(made)),
        }
    }
}

/// Whether an assignment ended before a position.
fn has_ended(ledger: &Ledger, tenant: TenantId, made: &Recorded, before: u64) -> Result<bool, ReadError> {
    let Event::AssignmentMade { assignment, .. } = made.event else { return Ok(false) };
    let mut has_ended = false;
    each_event_about(ledger, tenant, Subject::Assignment(assignment), made.position..before, |recorded| {
        has_ended = matches!(recorded.event, Event::AssignmentEnded { .. });
        if has_ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(has_ended)
}

//! Access reviews and their seats. A seat's name is opened from its seal; where the person is erased it is null.

use crate::audit::sentence::actor_name;
use crate::domain::facts::{KeepOrRelease, ReleaseCause};
use crate::domain::ids::{AssignmentId, Holder, PoolId, ReviewId, TokenId};
use crate::domain::personal::Personal;
use crate::domain::review::{Fate, ReviewSeat, Standing, Why};
use crate::domain::state::{Pool, Review, ReviewState, SeatState, Settled, SettledBy, Tenant};
use crate::domain::time::Time;
use crate::http::wire::words;
use crate::ledger::Ledger;
use serde::Serialize;
use utoipa::ToSchema;

/// A look at who holds what, and whether they still should
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Review)]
pub(in crate::http) struct ReviewBody {
    #[schema(value_type = String)]
    id: ReviewId,
    name: String,
    #[schema(value_type = words::ReviewState)]
    state: ReviewState,
    #[schema(value_type = Vec<String>)]
    pools: Vec<PoolId>,
    /// What becomes of a seat that nobody decided on
    #[schema(value_type = words::KeepOrRelease)]
    undecided: KeepOrRelease,
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Time>,
    /// Without any, admins and operators decide
    #[schema(value_type = Vec<String>)]
    reviewers: Vec<TokenId>,
    /// The frozen seats are those that were held here
    opened_position: u64,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Time,
    /// When decisions ended
    #[schema(value_type = Option<String>, format = DateTime)]
    closed_at: Option<Time>,
    closed_position: Option<u64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Time>,
    ended_position: Option<u64>,
    progress: ProgressView,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

/// In seats; `seats` is the sum of the others at every position
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewProgress)]
struct ProgressView {
    /// Frozen when the review was opened
    seats: u64,
    /// While the review is open: decided so. At its end: those that stayed
    kept: u64,
    /// While the review is open: decided so. At its end: those that it took back, or asked the provider for
    released: u64,
    undecided: u64,
    /// Ended for another cause before the review did
    gone: u64,
}

impl ReviewBody {
    pub(in crate::http) fn of(review: &Review) -> Self {
        Self {
            id: review.id,
            name: review.name.clone(),
            state: review.state,
            pools: review.pools.iter().copied().collect(),
            undecided: review.undecided_rule,
            ends_at: review.ends_at,
            reviewers: review.reviewers.iter().copied().collect(),
            opened_position: review.opened_at,
            opened_at: review.since,
            closed_at: review.closed.map(|(at, _)| at),
            closed_position: review.closed.map(|(_, position)| position),
            ended_at: review.ended.map(|(at, _)| at),
            ended_position: review.ended.map(|(_, position)| position),
            progress: ProgressView {
                seats: review.seats,
                kept: review.kept,
                released: review.released,
                undecided: review.undecided,
                gone: review.gone,
            },
            position: None,
        }
    }
}

/// What the review did to a seat, or would do as things stand
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum ReviewOutcome {
    Kept,
    Released,
    Gone,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(in crate::http) enum ReviewReason {
    Review(Why),
    Other(ReleaseCause),
    Adopted(Adopted),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Adopted {
    Adopted,
}

/// One of the seats that were held when a review was opened
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReviewSeat)]
pub(in crate::http) struct ReviewSeatBody {
    #[schema(value_type = String)]
    pub(in crate::http) pool: PoolId,
    pub(in crate::http) pool_key: String,
    #[schema(value_type = String)]
    pub(in crate::http) holder: Holder,
    /// The user name, or the device's serial number or device id; null once the person is erased
    pub(in crate::http) name: Option<String>,
    /// For a seat that is gone: what it was
    #[schema(value_type = words::SeatState)]
    pub(in crate::http) state: SeatState,
    #[schema(value_type = String, format = DateTime)]
    pub(in crate::http) since: Time,
    pub(in crate::http) granted_position: u64,
    /// What reaches the holder
    #[schema(value_type = Vec<String>)]
    pub(in crate::http) assignments: Vec<AssignmentId>,
    /// Of the installs that are there, when the youngest came; null where there is none
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(in crate::http) last_install: Option<Time>,
    #[schema(value_type = Option<words::KeepOrRelease>)]
    pub(in crate::http) decision: Option<KeepOrRelease>,
    pub(in crate::http) comment: Option<String>,
    /// `root`, or a token's id
    pub(in crate::http) decided_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(in crate::http) decided_at: Option<Time>,
    pub(in crate::http) decided_position: Option<u64>,
    pub(in crate::http) outcome: ReviewOutcome,
    /// `decided`; `undecided`: by the review's rule; `irrevocable`, `foreign`, `releasing`: kept, because it can't be taken
    /// or is going already; for one that is gone why the seat ended, or `adopted`: it was foreign and is another seat now
    #[schema(value_type = String)]
    pub(in crate::http) reason: ReviewReason,
}

/// One whose name is still sealed.
pub(in crate::http) struct SealedSeat {
    body: ReviewSeatBody,
    names: Option<Personal>,
}

impl SealedSeat {
    pub(in crate::http) fn of(state: &Tenant, review: &Review, seat: ReviewSeat<'_>) -> Self {
        let ReviewSeat { pool, holder, now } = seat;
        let entry = state.pool(pool);
        let decided = review.decisions.get(&(pool, holder));
        let (outcome, reason) = ended_as(review, entry, holder, now);
        let (seat_state, since, granted_position) = match now {
            Standing::Held(seat) => (seat.state, seat.since, seat.granted_at),
            Standing::Settled(settled) => (settled.state, settled.since, settled.granted_at),
        };
        let installs = entry.installs_of(holder).into_iter();
        let body = ReviewSeatBody {
            pool,
            pool_key: entry.key.to_string(),
            holder,
            name: None,
            state: seat_state,
            since,
            granted_position,
            assignments: state.assignments_of(pool, holder),
            last_install: installs.filter_map(|key| entry.installs.get(&key)).map(|install| install.since).max(),
            decision: decided.map(|decided| decided.decision),
            comment: decided.and_then(|decided| decided.comment.clone()),
            decided_by: decided.map(|decided| actor_name(decided.by)),
            decided_at: decided.map(|decided| decided.at),
            decided_position: decided.map(|decided| decided.position),
            outcome,
            reason,
        };
        let stored = match holder {
            Holder::User(user) => state.names.user_profile(user),
            Holder::Device(device) => state.names.device_names(device),
        };
        Self { body, names: stored.map(|stored| stored.personal.clone()) }
    }

    pub(in crate::http) fn opened(self, ledger: &Ledger) -> ReviewSeatBody {
        let Self { body, names } = self;
        let name = names.and_then(|sealed| match body.holder {
            Holder::User(_) => ledger.user_profile(&sealed).map(|profile| profile.user_name),
            Holder::Device(_) => ledger.device_names(&sealed).and_then(|names| names.serial.or(names.device_id)),
        });
        ReviewSeatBody { name, ..body }
    }
}

fn ended_as(review: &Review, pool: &Pool, holder: Holder, now: Standing<'_>) -> (ReviewOutcome, ReviewReason) {
    match now {
        Standing::Held(seat) => match review.fate_of(pool, holder, seat) {
            Fate { is_released: true, why } => (ReviewOutcome::Released, ReviewReason::Review(why)),
            Fate { is_released: false, why } => (ReviewOutcome::Kept, ReviewReason::Review(why)),
        },
        Standing::Settled(Settled { by: SettledBy::Review, .. }) => {
            let is_decided = review.decisions.contains_key(&(pool.id, holder));
            let why = if is_decided { Why::Decided } else { Why::Undecided };
            (ReviewOutcome::Released, ReviewReason::Review(why))
        }
        Standing::Settled(Settled { by: SettledBy::Other(cause), .. }) => {
            (ReviewOutcome::Gone, ReviewReason::Other(*cause))
        }
        Standing::Settled(Settled { by: SettledBy::Adoption, .. }) => {
            (ReviewOutcome::Gone, ReviewReason::Adopted(Adopted::Adopted))
        }
    }
}

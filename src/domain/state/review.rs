//! Access reviews: which pools, who decides, what was decided, and what became of the seats that were frozen. The frozen
//! seats themselves are not copied: a seat is one of them if it is of a pool under review and was granted before the
//! review was opened. Only a seat that ends while the review waits for its end is written down, because nothing else
//! would know of it any more.

use crate::domain::command::Actor;
use crate::domain::facts::{KeepOrRelease, ReleaseCause};
use crate::domain::ids::{Holder, PoolId, ReviewId, TokenId};
use crate::domain::state::{Seat, SeatState};
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The life of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Decisions are taken.
    Open,
    /// They are being carried out.
    Closing,
    Ended,
    Cancelled,
}

/// What a reviewer said of one seat last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub decision: KeepOrRelease,
    pub comment: Option<String>,
    pub by: Actor,
    pub at: Time,
    pub position: u64,
}

/// By what a frozen seat ended before the review did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// By this review. Where the provider confirms releases, it was asked for.
    Review,
    Other(ReleaseCause),
    /// It was foreign and became ours: another grant.
    Adoption,
}

/// A frozen seat that ended, as it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub by: SettledBy,
    pub at: Time,
    pub position: u64,
    pub state: SeatState,
    pub since: Time,
    pub granted_at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub id: ReviewId,
    pub name: String,
    pub pools: BTreeSet<PoolId>,
    /// What becomes of a seat that nobody decided on.
    pub undecided_rule: KeepOrRelease,
    pub ends_at: Option<Time>,
    /// Empty: whoever may open a review decides.
    pub reviewers: BTreeSet<TokenId>,
    pub state: ReviewState,
    pub opened_at: u64,
    pub since: Time,
    /// When and where decisions ended: by closing or by cancelling.
    pub closed: Option<(Time, u64)>,
    pub ended: Option<(Time, u64)>,
    /// The last position that changed anything of it.
    pub etag: u64,
    /// Frozen. At every position `seats = kept + released + undecided + gone`: while it is open as decided so far, while
    /// it is closing as it will be carried out as far as is known, at the end as it was carried out.
    pub seats: u64,
    pub kept: u64,
    pub released: u64,
    pub undecided: u64,
    /// Ended for other causes before the review did.
    pub gone: u64,
    /// Seats that this review has released so far.
    pub carried_out: u64,
    /// Carried out up to this seat.
    pub through: Option<(PoolId, Holder)>,
    /// Both empty once the review is over: then the history has them, and the state as it was just before.
    pub decisions: BTreeMap<(PoolId, Holder), Decision>,
    pub settled: BTreeMap<(PoolId, Holder), Settled>,
}

impl Review {
    /// Decisions are taken or carried out.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        match self.state {
            ReviewState::Open | ReviewState::Closing => true,
            ReviewState::Ended | ReviewState::Cancelled => false,
        }
    }

    /// Whether this is the seat that the holder had when the review was opened.
    #[must_use]
    pub fn froze(&self, seat: &Seat) -> bool {
        seat.granted_at < self.opened_at
    }

    /// What is to become of a seat as far as people and the rule go: `None` where nobody has decided yet.
    #[must_use]
    pub fn wish_for(&self, pool: PoolId, holder: Holder) -> Option<KeepOrRelease> {
        let rule = match self.state {
            ReviewState::Open | ReviewState::Cancelled => None,
            ReviewState::Closing | ReviewState::Ended => Some(self.undecided_rule),
        };
        self.decisions.get(&(pool, holder)).map(|decided| decided.decision).or(rule)
    }

    pub(in crate::domain) fn count_mut(&mut self, wish: Option<KeepOrRelease>) -> &mut u64 {
        match wish {
            Some(KeepOrRelease::Keep) => &mut self.kept,
            Some(KeepOrRelease::Release) => &mut self.released,
            None => &mut self.undecided,
        }
    }
}

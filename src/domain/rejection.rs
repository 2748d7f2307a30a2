//! Every way in which a rule says no, with the figures that explain it. No personal text stands in any of them.

use super::facts::Owned;
use super::ids::{PoolId, SyncId, TokenId};
use serde::{Deserialize, Serialize};

/// A pool's figures at the moment of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    pub owned: Owned,
    pub held: u64,
    pub queued: u64,
}

impl Figures {
    /// Seats that a grant could take.
    #[must_use]
    pub fn free(&self) -> Owned {
        match self.owned {
            Owned::Count(owned) => Owned::Count(owned.saturating_sub(self.held)),
            Owned::Unlimited => Owned::Unlimited,
        }
    }
}

/// The ways out of a shortage, each with what it would free now for whoever was refused: those who wait ahead, and what the pool
/// is above its cap, come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedies {
    /// Uninstalling where an app is installed: seats in use that an uninstall would release.
    pub uninstall_would_free: u64,
    /// Narrowing the targets of this pool's assignments: seats that would lose their coverage and go.
    pub narrow_would_free: u64,
    /// Buying: seats missing, with those that would go to others first.
    pub buy_would_free: u64,
}

/// The position at which a tenant begins: nothing in it has this ETag.
pub const NO_ETAG: u64 = 0;

/// A rule said no. In the order in which a command is judged: what is named must exist, what is said must make sense,
/// the state must allow it, and a seat must be free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    // 404
    TenantNotFound,
    PoolNotFound,
    UserNotFound,
    DeviceNotFound,
    GroupNotFound,
    AssignmentNotFound,
    SeatNotFound,
    SyncNotFound,
    HeldNotFound,
    DriftNotFound,
    TokenNotFound,
    ToolNotFound,
    // 412
    PreconditionFailed {
        /// [`NO_ETAG`] where there is nothing.
        etag: u64,
    },
    // 422
    /// Places in the list as it was sent.
    UnknownMembers {
        places: Vec<u32>,
    },
    MemberKindMismatch {
        places: Vec<u32>,
    },
    ModeNotAllowed,
    LicensingNotAllowed,
    AllUsersNotAllowed,
    HolderKindNotAllowed,
    NameMismatch,
    OrderedInFuture,
    QuantityZero,
    AmountNotZero,
    NotAnOfflinePool,
    DriftOfAnotherPool {
        pool: PoolId,
    },
    InventoryRepeatsKey {
        place: u32,
    },
    // 409
    TenantExists,
    UserNameTaken,
    DeviceNameTaken,
    GroupKindFixed,
    StoreAccountAlreadyLinked,
    StoreAccountNotLinked,
    SyncDisabled,
    ConnectorNotRunning,
    NothingHeld,
    PoolRemoved,
    PoolSuspended,
    UserDeparted,
    DeviceRetired,
    AssignmentExists,
    DeviceNotEligible,
    NotAssigned,
    SeatNotRevocable,
    OrderAlreadyRefunded,
    RefundWindowClosed,
    DriftAlreadyResolved,
    SeatsStillHeld {
        held: u64,
    },
    RefundExceedsFreeSeats {
        quantity: u64,
        figures: Figures,
    },
    NotEnoughSeats {
        short_by: u64,
        figures: Figures,
        remedies: Remedies,
    },
    NoSeatAvailable {
        figures: Figures,
        remedies: Remedies,
    },
    // Variants are positional in the log: what came later stands here, whatever its class.
    // 404
    ReviewNotFound,
    SeatNotInReview,
    // 422
    ReviewerNotAllowed {
        token: TokenId,
    },
    EndsInPast,
    // 409
    TooManyReviews,
    ReviewNotOpen,
    ReviewSeatGone,
    /// Another sync of the account runs, and it does less than was asked.
    SyncRunning {
        sync: SyncId,
    },
    UserNotDeparted,
    DeviceNotRetired,
    NamesErased,
}

/// How a door should answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionClass {
    NotFound,
    Precondition,
    Meaningless,
    Conflict,
}

impl Rejection {
    /// The name of the rule, as clients know it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.row().1
    }

    #[must_use]
    pub fn class(&self) -> RejectionClass {
        self.row().0
    }

    /// Refused for lack of seats, so that a seat that comes free changes the answer.
    #[must_use]
    pub fn is_for_lack_of_seats(&self) -> bool {
        matches!(self, Self::NotEnoughSeats { .. } | Self::NoSeatAvailable { .. })
    }

    fn row(&self) -> (RejectionClass, &'static str) {
        use RejectionClass::{Conflict, Meaningless, NotFound, Precondition};
        match self {
            Self::TenantNotFound => (NotFound, "tenant-not-found"),
            Self::PoolNotFound => (NotFound, "pool-not-found"),
            Self::UserNotFound => (NotFound, "user-not-found"),
            Self::DeviceNotFound => (NotFound, "device-not-found"),
            Self::GroupNotFound => (NotFound, "group-not-found"),
            Self::AssignmentNotFound => (NotFound, "assignment-not-found"),
            Self::SeatNotFound => (NotFound, "seat-not-found"),
            Self::SyncNotFound => (NotFound, "sync-not-found"),
            Self::HeldNotFound => (NotFound, "held-not-found"),
            Self::DriftNotFound => (NotFound, "drift-not-found"),
            Self::TokenNotFound => (NotFound, "token-not-found"),
            Self::ToolNotFound => (NotFound, "tool-not-found"),
            Self::PreconditionFailed { .. } => (Precondition, "precondition-failed"),
            Self::UnknownMembers { .. } => (Meaningless, "unknown-members"),
            Self::MemberKindMismatch { .. } => (Meaningless, "member-kind-mismatch"),
            Self::ModeNotAllowed => (Meaningless, "mode-not-allowed"),
            Self::LicensingNotAllowed => (Meaningless, "licensing-not-allowed"),
            Self::AllUsersNotAllowed => (Meaningless, "all-users-not-allowed"),
            Self::HolderKindNotAllowed => (Meaningless, "holder-kind-not-allowed"),
            Self::NameMismatch => (Meaningless, "name-mismatch"),
            Self::OrderedInFuture => (Meaningless, "ordered-in-future"),
            Self::QuantityZero => (Meaningless, "quantity-zero"),
            Self::AmountNotZero => (Meaningless, "amount-not-zero"),
            Self::NotAnOfflinePool => (Meaningless, "not-an-offline-pool"),
            Self::DriftOfAnotherPool { .. } => (Meaningless, "drift-of-another-pool"),
            Self::InventoryRepeatsKey { .. } => (Meaningless, "inventory-repeats-key"),
            Self::TenantExists => (Conflict, "tenant-exists"),
            Self::UserNameTaken => (Conflict, "user-name-taken"),
            Self::DeviceNameTaken => (Conflict, "device-name-taken"),
            Self::GroupKindFixed => (Conflict, "group-kind-fixed"),
            Self::StoreAccountAlreadyLinked => (Conflict, "store-account-already-linked"),
            Self::StoreAccountNotLinked => (Conflict, "store-account-not-linked"),
            Self::SyncDisabled => (Conflict, "sync-disabled"),
            Self::ConnectorNotRunning => (Conflict, "connector-not-running"),
            Self::SyncRunning { .. } => (Conflict, "sync-running"),
            Self::NothingHeld => (Conflict, "nothing-held"),
            Self::PoolRemoved => (Conflict, "pool-removed"),
            Self::PoolSuspended => (Conflict, "pool-suspended"),
            Self::UserDeparted => (Conflict, "user-departed"),
            Self::DeviceRetired => (Conflict, "device-retired"),
            Self::AssignmentExists => (Conflict, "assignment-exists"),
            Self::DeviceNotEligible => (Conflict, "device-not-eligible"),
            Self::NotAssigned => (Conflict, "not-assigned"),
            Self::SeatNotRevocable => (Conflict, "seat-not-revocable"),
            Self::OrderAlreadyRefunded => (Conflict, "order-already-refunded"),
            Self::RefundWindowClosed => (Conflict, "refund-window-closed"),
            Self::DriftAlreadyResolved => (Conflict, "drift-already-resolved"),
            Self::SeatsStillHeld { .. } => (Conflict, "seats-still-held"),
            Self::RefundExceedsFreeSeats { .. } => (Conflict, "refund-exceeds-free-seats"),
            Self::NotEnoughSeats { .. } => (Conflict, "not-enough-seats"),
            Self::NoSeatAvailable { .. } => (Conflict, "no-seat-available"),
            Self::ReviewNotFound => (NotFound, "review-not-found"),
            Self::SeatNotInReview => (NotFound, "seat-not-in-review"),
            Self::ReviewerNotAllowed { .. } => (Meaningless, "reviewer-not-allowed"),
            Self::EndsInPast => (Meaningless, "ends-in-past"),
            Self::TooManyReviews => (Conflict, "too-many-reviews"),
            Self::ReviewNotOpen => (Conflict, "review-not-open"),
            Self::ReviewSeatGone => (Conflict, "review-seat-gone"),
            Self::UserNotDeparted => (Conflict, "user-not-departed"),
            Self::DeviceNotRetired => (Conflict, "device-not-retired"),
            Self::NamesErased => (Conflict, "names-erased"),
        }
    }
}

//! How HTTP says that something was refused or broke: RFC 9457. Here: the shape, and the one place where a rejection, an
//! error of the writer or of a read meets a status code. Not here: the texts of the pages (`problem_pages.rs`).

use super::problem_pages::{self, Page};
use super::reply::{PROBLEM, Reply};
use super::request_id;
use super::wire::text::OwnedWord;
use crate::audit::as_of::AsOfError;
use crate::audit::reports::ReportError;
use crate::domain::facts::Owned;
use crate::domain::rejection::{Figures, NO_ETAG, Rejection, Remedies};
use crate::ledger::{ReadError, SubmitError};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// One problem, on its way out.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    page: &'static Page,
    detail: String,
    position: Option<u64>,
    extra: Map<String, Value>,
    retry_after_s: Option<u64>,
}

/// What a problem looks like outside; for the published contract alone.
#[derive(Debug, serde::Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `/problems/<name>`: a page with the cause, the fix and an example
    #[serde(rename = "type")]
    #[schema(format = "uri-reference", examples("/problems/no-seat-available"))]
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) status: u16,
    pub(crate) detail: String,
    /// The position at which the command was judged
    pub(crate) position: Option<u64>,
    pub(crate) request_id: Option<String>,
    /// The pool's figures at that position, where seats are what is missing
    #[schema(value_type = Option<OwnedWord>)]
    pub(crate) owned: Option<Value>,
    pub(crate) held: Option<u64>,
    #[schema(value_type = Option<OwnedWord>)]
    pub(crate) free: Option<Value>,
    pub(crate) queued: Option<u64>,
    pub(crate) short_by: Option<u64>,
    pub(crate) remedies: Option<Vec<Remedy>>,
}

/// A way out of a shortage, with what it would free now; honest also when that is 0.
#[derive(Debug, serde::Serialize, ToSchema)]
pub(crate) struct Remedy {
    /// `uninstall`, `narrow_target` or `buy_more`
    pub(crate) action: &'static str,
    pub(crate) would_free: u64,
    pub(crate) detail: &'static str,
}

impl Problem {
    /// # Panics
    /// If there is no page of that name; a test opens every one.
    #[must_use]
    pub(crate) fn new(name: &str, detail: impl Into<String>) -> Self {
        let page = problem_pages::find(name).unwrap_or_else(|| panic!("no page says what {name} means"));
        Self { page, detail: detail.into(), position: None, extra: Map::new(), retry_after_s: None }
    }

    /// The request can't be read: what is wrong, and where.
    #[must_use]
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self::new("unreadable-request", detail)
    }

    /// The request reads well and means nothing.
    #[must_use]
    pub(crate) fn meaningless(detail: impl Into<String>) -> Self {
        Self::new("meaningless-request", detail)
    }

    #[must_use]
    pub(crate) fn internal(why: &dyn std::fmt::Display) -> Self {
        tracing::error!(%why, "a request could not be answered");
        Self::new("internal-error", "the service failed; its log names the cause under this request id")
    }

    #[must_use]
    pub(crate) fn at(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    #[must_use]
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(field.into(), value.into());
        self
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// For the log, where an answer that has begun can't say it any more.
    #[must_use]
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    #[must_use]
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    #[must_use]
    pub(crate) fn to_json(&self) -> Value {
        let mut body = self.extra.clone();
        body.insert("type".into(), format!("/problems/{}", self.page.name).into());
        body.insert("title".into(), self.page.title.into());
        body.insert("status".into(), self.page.status.into());
        body.insert("detail".into(), self.detail.clone().into());
        if let Some(position) = self.position {
            body.insert("position".into(), position.into());
        }
        if let Some(id) = request_id::current() {
            body.insert("request_id".into(), id.into());
        }
        Value::Object(body)
    }

    #[must_use]
    pub(super) fn into_reply(self) -> Reply {
        let body = self.to_json().to_string().into_bytes();
        Reply { retry_after_s: self.retry_after_s, ..Reply::of(self.status(), self.position, PROBLEM, body) }
    }

    /// How a command that was refused says so; `position` is where it was judged.
    #[must_use]
    pub(crate) fn of_rejection(rejection: &Rejection, position: u64) -> Self {
        let said = |detail: String| Self::new(rejection.name(), detail).at(position);
        match rejection {
            Rejection::NotEnoughSeats { short_by, figures, remedies } => {
                let detail = format!("{short_by} more seats are needed: {}", with_queue(figures));
                said(detail).with("short_by", *short_by).figures(figures).remedies(remedies)
            }
            Rejection::NoSeatAvailable { figures, remedies } => {
                let detail = format!("no seat is free: {}", with_queue(figures));
                said(detail).with("short_by", remedies.buy_would_free).figures(figures).remedies(remedies)
            }
            Rejection::RefundExceedsFreeSeats { quantity, figures } => {
                let detail = format!("{quantity} seats are to go back: {}", in_words(figures));
                said(detail).with("quantity", *quantity).figures(figures)
            }
            Rejection::SeatsStillHeld { held } => said(format!("{held} seats are still held")).with("held", *held),
            Rejection::PreconditionFailed { etag: NO_ETAG } => {
                said("there is nothing yet that If-Match could hold for".to_owned())
            }
            Rejection::PreconditionFailed { etag } => {
                said(format!("the resource is at \"{etag}\" by now")).with("etag", etag.to_string())
            }
            Rejection::UnknownMembers { places } => {
                said(format!("{} of the members are not known", places.len())).with("places", places.clone())
            }
            Rejection::MemberKindMismatch { places } => {
                said(format!("{} of the members are not of the group's kind", places.len()))
                    .with("places", places.clone())
            }
            Rejection::DriftOfAnotherPool { pool } => {
                said(format!("the drift is of {pool}")).with("pool", pool.to_string())
            }
            Rejection::InventoryRepeatsKey { place } => {
                said(format!("item {place} has the key of an earlier one")).with("place", *place)
            }
            Rejection::ReviewerNotAllowed { token } => {
                said(format!("{token} is for a program, and reviews are decided by people"))
                    .with("token", token.to_string())
            }
            Rejection::SyncRunning { sync } => {
                said(format!("{sync} of this account runs and does less than was asked")).with("sync", sync.to_string())
            }
            Rejection::TenantNotFound
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
            | Rejection::ModeNotAllowed
            | Rejection::LicensingNotAllowed
            | Rejection::AllUsersNotAllowed
            | Rejection::HolderKindNotAllowed
            | Rejection::NameMismatch
            | Rejection::OrderedInFuture
            | Rejection::QuantityZero
            | Rejection::AmountNotZero
            | Rejection::NotAnOfflinePool
            | Rejection::TenantExists
            | Rejection::UserNameTaken
            | Rejection::DeviceNameTaken
            | Rejection::GroupKindFixed
            | Rejection::StoreAccountAlreadyLinked
            | Rejection::StoreAccountNotLinked
            | Rejection::SyncDisabled
            | Rejection::ConnectorNotRunning
            | Rejection::NothingHeld
            | Rejection::PoolRemoved
            | Rejection::PoolSuspended
            | Rejection::UserDeparted
            | Rejection::DeviceRetired
            | Rejection::AssignmentExists
            | Rejection::DeviceNotEligible
            | Rejection::NotAssigned
            | Rejection::SeatNotRevocable
            | Rejection::OrderAlreadyRefunded
            | Rejection::RefundWindowClosed
            | Rejection::DriftAlreadyResolved
            | Rejection::ReviewNotFound
            | Rejection::SeatNotInReview
            | Rejection::EndsInPast
            | Rejection::TooManyReviews
            | Rejection::ReviewNotOpen
            | Rejection::ReviewSeatGone
            | Rejection::UserNotDeparted
            | Rejection::DeviceNotRetired
            | Rejection::NamesErased => {
                said(problem_pages::find(rejection.name()).map_or("", |page| page.cause).to_owned())
            }
        }
    }

    fn figures(self, figures: &Figures) -> Self {
        self.with("owned", owned_json(figures.owned))
            .with("held", figures.held)
            .with("free", owned_json(figures.free()))
            .with("queued", figures.queued)
    }

    fn remedies(self, remedies: &Remedies) -> Self {
        let remedies = [
            Remedy {
                action: "uninstall",
                would_free: remedies.uninstall_would_free,
                detail: "uninstall the app from devices: each seat whose last install goes comes back",
            },
            Remedy {
                action: "narrow_target",
                would_free: remedies.narrow_would_free,
                detail: "narrow the assignment's target, or exclude a group from it",
            },
            Remedy { action: "buy_more", would_free: remedies.buy_would_free, detail: "buy more seats, then sync" },
        ];
        self.with("remedies", json!(remedies))
    }
}

/// A count of seats as clients see it: a number, or the word `unlimited`.
#[must_use]
pub(crate) fn owned_json(owned: Owned) -> Value {
    match owned {
        Owned::Count(count) => count.into(),
        Owned::Unlimited => "unlimited".into(),
    }
}

fn in_words(figures: &Figures) -> String {
    let count = |owned: Owned| match owned {
        Owned::Count(count) => count.to_string(),
        Owned::Unlimited => "unlimited".into(),
    };
    format!("{} owned, {} held, {} free", count(figures.owned), figures.held, count(figures.free()))
}

fn with_queue(figures: &Figures) -> String {
    format!("{}, {} wait in the queue", in_words(figures), figures.queued)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_reply().into_response()
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let said = error.to_string();
        match error {
            SubmitError::TenantNotFound => Self::new("tenant-not-found", said),
            SubmitError::Busy => Self::new("queue-full", said).retry_after(1),
            SubmitError::Stopped => Self::new("log-stopped", said).retry_after(10),
            SubmitError::DiskLow => Self::new("disk-low", said).retry_after(60),
            SubmitError::ReceiptsNotWhole => Self::new("receipts-not-whole", said).retry_after(60),
            SubmitError::IdReused => Self::new("idempotency-key-reused", said),
            SubmitError::BatchRefused => Self::new("batch-refused", said),
            SubmitError::TooLarge(_) => Self::new("too-large", said),
            SubmitError::TenantExists => Self::new("tenant-exists", said),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let said = error.to_string();
        match error {
            ReadError::TenantNotFound => Self::new("tenant-not-found", said),
            ReadError::NotReached(_) => Self::new("position-not-reached", said),
            ReadError::NotSigned(_) => Self::new("head-not-signed", said).retry_after(5),
            ReadError::Log(_) => Self::internal(&said),
        }
    }
}

impl From<AsOfError> for Problem {
    fn from(error: AsOfError) -> Self {
        let said = error.to_string();
        match error {
            AsOfError::Read(error) => error.into(),
            AsOfError::BeforeFirst { .. } => Self::new("before-history", said),
            AsOfError::InFuture { .. } => Self::new("position-not-reached", said),
        }
    }
}

impl From<ReportError> for Problem {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::AsOf(error) => error.into(),
            ReportError::Read(error) => error.into(),
            ReportError::Write(error) => Self::internal(&error),
        }
    }
}

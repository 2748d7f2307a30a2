//! A tenant as it was: the fold of the log up to a position, from the nearest state that is at hand or was kept, with the few
//! that were asked for last kept at hand.

use super::each_event;
use super::hindsight::Moment;
use super::part::{Wanted, part};
use super::shelf::Shelf;
use crate::domain::ids::TenantId;
use crate::domain::time::Time;
use crate::ledger::{Ledger, ReadError};
use crate::projection::View;
use parking_lot::{Condvar, Mutex};
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// States kept at hand, over all tenants.
const VIEWS_MAX: usize = 6;
/// And of those that were looked back at.
const VIEWS_IN_HINDSIGHT_MAX: usize = 3;
/// Histories that are folded at the same time; who comes later waits.
const FOLDS_MAX: usize = 2;

/// Reading a kept state takes as long as folding about so many events.
const KEPT_GAIN: u64 = if cfg!(test) { 1 } else { 100_000 };

/// A position or a time is shorter.
const POINT_CHARS_MAX: usize = 64;

/// A point in a tenant's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Just after the event of this position.
    Position(u64),
    /// Just after the last event that was recorded at this time or before it.
    Time(Time),
}

/// A text that names no point in a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a position (0, 1, 2, ...) nor an RFC 3339 time (2026-11-24T19:00:00Z)")]
pub struct NotAPoint(String);

impl FromStr for At {
    type Err = NotAPoint;
    fn from_str(text: &str) -> Result<Self, NotAPoint> {
        let not_a_point = || NotAPoint(text.chars().take(POINT_CHARS_MAX).collect());
        if text.len() > POINT_CHARS_MAX {
            return Err(not_a_point());
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Position).map_err(|_| not_a_point());
        }
        text.parse().map(Self::Time).map_err(|_| not_a_point())
    }
}

/// Why there is no state of that point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AsOfError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the history begins at {first}; there is nothing before it")]
    BeforeFirst { first: Time },
    #[error("{asked} is in the future; it is {now}")]
    InFuture { asked: Time, now: Time },
}

impl At {
    /// The time of this point; that of a position is its event's. Blocking.
    ///
    /// # Errors
    /// When the history does not reach that far.
    pub fn time(self, ledger: &Ledger, tenant: TenantId) -> Result<Time, ReadError> {
        match self {
            Self::Time(time) => Ok(time),
            Self::Position(position) => {
                let events = ledger.events(tenant, position, 1)?;
                events.first().map(|event| event.envelope.recorded_at).ok_or(ReadError::NotReached(position))
            }
        }
    }

    /// The position of the last event that counts at this point. Blocking.
    ///
    /// # Errors
    /// When the history does not reach that far, or begins later.
    pub fn position(self, ledger: &Ledger, tenant: TenantId) -> Result<u64, AsOfError> {
        let head = ledger.head(tenant)?;
        match self {
            Self::Position(position) if position <= head => Ok(position),
            Self::Position(position) => Err(ReadError::NotReached(position).into()),
            Self::Time(asked) => {
                let now = ledger.clock().now();
                let recorded_at = |position| Self::Position(position).time(ledger, tenant);
                if asked > now.max(recorded_at(head)?) {
                    return Err(AsOfError::InFuture { asked, now });
                }
                let first = recorded_at(0)?;
                if asked < first {
                    return Err(AsOfError::BeforeFirst { first });
                }
                // the event at `low` counts, the one behind `high` does not
                let (mut low, mut high) = (0, head);
                while low < high {
                    let middle = low + (high - low).div_ceil(2);
                    if recorded_at(middle)? <= asked {
                        low = middle;
                    } else {
                        high = middle - 1;
                    }
                }
                Ok(low)
            }
        }
    }
}

/// The states that were asked for last. Cheap to share behind an `Arc`; all its methods block.
#[derive(Default)]
pub struct AsOf {
    views: Shelf<u64, VIEWS_MAX>,
    folding: Mutex<usize>,
    /// The same as they were known later.
    pub(super) looked_back: Shelf<Moment, VIEWS_IN_HINDSIGHT_MAX>,
    is_folded: Condvar,
    whole: AtomicU64,
    failed: AtomicU64,
}

impl AsOf {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The tenant just after that point: `state.next_position` is its position plus one. Blocking, for as long as the
    /// history behind the nearest state at hand takes to fold.
    ///
    /// # Errors
    /// When there is no such tenant or point, or the log can't be read.
    pub fn view_at(&self, ledger: &Ledger, tenant: TenantId, at: At) -> Result<Arc<View>, AsOfError> {
        let erasures = ledger.erasures();
        let position = at.position(ledger, tenant)?;
        if let Some(view) = self.at_hand(ledger, tenant, position) {
            return Ok(view);
        }
        let _turn = self.take_turn();
        // whoever folded while this one waited may have made it
        if let Some(view) = self.at_hand(ledger, tenant, position) {
            return Ok(view);
        }
        // what is published stands there most often
        let published =
            ledger.read(tenant, |view| (view.state.next_position == position + 1).then(|| View::clone(view)))?;
        let view = match published {
            Some(view) => Arc::new(view),
            None => Arc::new(self.fold(ledger, tenant, position, erasures)?),
        };
        self.views.keep(tenant, position, erasures, Arc::clone(&view));
        Ok(view)
    }

    /// As [`Self::view_at`] for who looks at what is wanted alone: a part, if it can be made from little. Blocking.
    ///
    /// # Errors
    /// As [`Self::view_at`].
    pub fn part_at(&self, ledger: &Ledger, tenant: TenantId, at: At, wanted: &Wanted) -> Result<Arc<View>, AsOfError> {
        let position = at.position(ledger, tenant)?;
        if let Some(view) = self.at_hand(ledger, tenant, position) {
            return Ok(view);
        }
        match part(ledger, tenant, position, wanted) {
            Ok(Some(view)) => return Ok(Arc::new(view)),
            Ok(None) => {}
            Err(error) => self.part_failed(&error),
        }
        self.view_at(ledger, tenant, At::Position(position))
    }

    pub(super) fn part_failed(&self, error: &ReadError) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%error, "a part of the past can't be told; the whole is folded");
    }

    /// How often a whole state was folded, and how often of these because the index could not tell a part.
    #[must_use]
    pub fn folds(&self) -> (u64, u64) {
        (self.whole.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }

    /// What is published now, kept at hand under its position. Blocking for as long as a copy of the state takes.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn published(&self, ledger: &Ledger, tenant: TenantId) -> Result<Arc<View>, ReadError> {
        let erasures = ledger.erasures();
        if let Some(view) = self.at_hand(ledger, tenant, ledger.head(tenant)?) {
            return Ok(view);
        }
        let view = Arc::new(ledger.read(tenant, View::clone)?);
        self.views.keep(tenant, view.state.next_position.saturating_sub(1), erasures, Arc::clone(&view));
        Ok(view)
    }

    fn fold(&self, ledger: &Ledger, tenant: TenantId, position: u64, erasures: u64) -> Result<View, AsOfError> {
        self.whole.fetch_add(1, Ordering::Relaxed);
        let nearest = self.views.nearest(tenant, position, erasures);
        let reached = nearest.as_ref().map_or(0, |view| view.state.next_position);
        let nearer = reached.saturating_add(KEPT_GAIN)..=position.saturating_add(1);
        let kept = if nearer.is_empty() { None } else { ledger.kept_view(tenant, &nearer) };
        let mut view = kept.unwrap_or_else(|| nearest.map_or_else(View::new, |view| View::clone(&view)));
        each_event(ledger, tenant, view.state.next_position, position, |recorded| {
            view.take(&recorded);
            ControlFlow::Continue(())
        })?;
        Ok(view)
    }

    /// The tenant just after that position, if it need not be made.
    pub(super) fn at_hand(&self, ledger: &Ledger, tenant: TenantId, position: u64) -> Option<Arc<View>> {
        self.views.at_hand(ledger, tenant, position)
    }

    fn take_turn(&self) -> Turn<'_> {
        let mut folding = self.folding.lock();
        while *folding >= FOLDS_MAX {
            self.is_folded.wait(&mut folding);
        }
        *folding += 1;
        Turn(self)
    }
}

/// Leave to fold; given back when it goes, also by a panic.
struct Turn<'a>(&'a AsOf);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.folding.lock() -= 1;
        self.0.is_folded.notify_one();
    }
}

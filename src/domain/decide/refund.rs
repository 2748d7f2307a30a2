//! Seats given back to the store by command.

use super::{Judge, Ruling, Verdict};
use crate::domain::command::RefundOrder;
use crate::domain::event::Event;
use crate::domain::facts::{CapacityCause, DriftKind, DriftResolution, Owned, PoolState};
use crate::domain::ids::{DriftId, PoolId};
use crate::domain::rejection::Rejection;
use crate::domain::state::Drift;

/// A paid order can be refunded on its own day and the 29 after it.
const REFUND_WINDOW_DAYS: i32 = 29;

impl Judge<'_> {
    pub(super) fn refund(&mut self, order: &RefundOrder) -> Ruling {
        let pool = self.pool_id(&order.pool)?;
        let drift = order.explains.map(|drift| self.drift_of(pool, drift)).transpose()?;
        let today = self.now.day();
        if order.ordered_on > today {
            return Err(Rejection::OrderedInFuture);
        }
        let is_free = self.tenant.pool(pool).is_free_of_charge();
        if order.quantity == 0 && !is_free {
            return Err(Rejection::QuantityZero);
        }
        if is_free && order.amount.minor_units != 0 {
            return Err(Rejection::AmountNotZero);
        }
        if self.tenant.orders_refunded.contains(&order.order) {
            return Err(Rejection::OrderAlreadyRefunded);
        }
        if let Some(drift) = drift {
            return self.explain_drift(pool, order, drift);
        }
        if self.tenant.pool(pool).state == PoolState::Removed {
            return Err(Rejection::PoolRemoved);
        }
        if is_free {
            return self.refund_free(pool, order);
        }
        // synced apps have no price: an order for nothing may be of a free one, which can be given back at any time
        let may_be_free = self.tenant.pool(pool).price.is_none() && order.amount.minor_units == 0;
        if today.0 - order.ordered_on.0 > REFUND_WINDOW_DAYS && !may_be_free {
            return Err(Rejection::RefundWindowClosed);
        }
        self.refund_paid(pool, order)
    }

    fn drift_of(&self, pool: PoolId, drift: DriftId) -> Result<DriftId, Rejection> {
        let entry = self.tenant.drifts.get(drift.index()).ok_or(Rejection::DriftNotFound)?;
        if entry.pool != pool {
            return Err(Rejection::DriftOfAnotherPool { pool: entry.pool });
        }
        Ok(drift)
    }

    /// A sync has shown the drop already: the refund says why, and changes nothing. It explains no more than the drop, but
    /// for a free app, whose refund may be of any quantity.
    fn explain_drift(&mut self, pool: PoolId, order: &RefundOrder, drift: DriftId) -> Ruling {
        let explained = self.tenant.drifts.get(drift.index()).ok_or(Rejection::DriftNotFound)?;
        if explained.resolution.is_some() {
            return Err(Rejection::DriftAlreadyResolved);
        }
        let entry = self.tenant.pool(pool);
        let is_within = match dropped(explained) {
            Owned::Count(0) => false,
            Owned::Count(seats) => order.quantity <= seats || entry.is_free_of_charge(),
            Owned::Unlimited => true,
        };
        if !is_within {
            return Err(Rejection::RefundExceedsFreeSeats { quantity: order.quantity, figures: entry.figures() });
        }
        self.record(pool, order);
        self.emit(Event::DriftResolved { drift, resolution: DriftResolution::Refund });
        Ok(Verdict::Done)
    }

    fn record(&mut self, pool: PoolId, order: &RefundOrder) {
        self.emit(Event::RefundRecorded {
            pool,
            order: order.order.clone(),
            quantity: order.quantity,
            ordered_on: order.ordered_on,
            amount: order.amount.clone(),
            explains: order.explains,
        });
    }

    /// The refund of a free app is of 0 and removes it.
    fn refund_free(&mut self, pool: PoolId, order: &RefundOrder) -> Ruling {
        let held = self.tenant.pool(pool).held();
        if held > 0 {
            return Err(Rejection::SeatsStillHeld { held });
        }
        self.record(pool, order);
        self.emit(Event::CapacityChanged { pool, owned: Owned::Count(0), cause: CapacityCause::Refund });
        self.delist(pool, CapacityCause::Refund);
        Ok(Verdict::Done)
    }

    fn refund_paid(&mut self, pool: PoolId, order: &RefundOrder) -> Ruling {
        let entry = self.tenant.pool(pool);
        let quantity = order.quantity;
        let exceeds = Rejection::RefundExceedsFreeSeats { quantity, figures: entry.figures() };
        let Owned::Count(owned) = entry.owned else {
            self.record(pool, order);
            return Ok(Verdict::Done);
        };
        let exceeds_free = match entry.free() {
            Owned::Count(free) => quantity > free,
            Owned::Unlimited => false,
        };
        if exceeds_free || quantity > owned {
            return Err(exceeds);
        }
        let left = owned - quantity;
        if left == 0 && entry.held() > 0 {
            return Err(Rejection::SeatsStillHeld { held: entry.held() });
        }
        self.record(pool, order);
        self.emit(Event::CapacityChanged { pool, owned: Owned::Count(left), cause: CapacityCause::Refund });
        if left == 0 {
            self.delist(pool, CapacityCause::Refund);
        }
        Ok(Verdict::Done)
    }
}

/// By how much a drift lowered what is owned: by nothing, unless it is a drop.
fn dropped(drift: &Drift) -> Owned {
    match (drift.kind, drift.before, drift.after) {
        (DriftKind::OwnedFell, Owned::Count(before), Owned::Count(after)) => Owned::Count(before.saturating_sub(after)),
        (DriftKind::OwnedFell, Owned::Unlimited, Owned::Count(_)) => Owned::Unlimited,
        (DriftKind::OwnedFell, _, Owned::Unlimited) | (DriftKind::RefundNotSeen | DriftKind::StoreUsed, _, _) => {
            Owned::Count(0)
        }
    }
}

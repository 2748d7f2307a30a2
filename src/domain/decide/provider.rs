//! What a provider that grants seats itself reports: confirmations, refusals, seats seen and seats missing.

use super::{Judge, Ruling};
use crate::domain::asked::About;
use crate::domain::command::{PoolRef, ProviderReport};
use crate::domain::event::Event;
use crate::domain::facts::{GrantCause, PoolState, ReleaseCause};
use crate::domain::ids::{Holder, PoolId};
use crate::domain::rejection::Rejection;
use crate::domain::state::{Seat, SeatMark, SeatState};

impl Judge<'_> {
    pub(super) fn provider_report(&mut self, pool: &PoolRef, report: ProviderReport) -> Ruling {
        let pool = self.pool_id(pool)?;
        if let ProviderReport::GrantConfirmed { holder }
        | ProviderReport::GrantRefused { holder, .. }
        | ProviderReport::ReleaseSent { holder }
        | ProviderReport::ReleaseConfirmed { holder }
        | ProviderReport::ReleaseRefused { holder }
        | ProviderReport::SeatSeen { holder }
        | ProviderReport::SeatAbsent { holder } = report
        {
            self.guard_known(holder)?;
        }
        match report {
            ProviderReport::GrantConfirmed { holder } => self.grant_confirmed(pool, holder),
            ProviderReport::GrantRefused { holder, not_enough } => self.grant_refused(pool, holder, not_enough),
            ProviderReport::ReleaseSent { holder } => self.release_sent(pool, holder),
            ProviderReport::ReleaseConfirmed { holder } => self.release_confirmed(pool, holder),
            ProviderReport::ReleaseRefused { holder } => {
                if self.state_of(pool, holder) == Some(SeatState::Releasing) {
                    self.emit(Event::SeatReleaseRefused { pool, holder });
                }
            }
            ProviderReport::SeatSeen { holder } => self.seat_seen(pool, holder),
            ProviderReport::SeatAbsent { holder } => self.seat_absent(pool, holder),
            ProviderReport::Suspended => {
                if self.tenant.pool(pool).state == PoolState::Active {
                    self.emit(Event::PoolSuspended { pool });
                }
            }
            ProviderReport::Resumed => {
                if self.tenant.pool(pool).state == PoolState::Suspended {
                    self.emit(Event::PoolResumed { pool });
                    self.serve_queue(pool);
                }
            }
        }
        Ok(self.done_or(About::Pool(pool)))
    }

    fn state_of(&self, pool: PoolId, holder: Holder) -> Option<SeatState> {
        self.tenant.pool(pool).seats.get(&holder).map(|seat| seat.state)
    }

    fn grant_confirmed(&mut self, pool: PoolId, holder: Holder) {
        if self.tenant.pool(pool).seats.get(&holder).is_some_and(|seat| !seat.is_confirmed()) {
            self.emit(Event::SeatConfirmed { pool, holder });
        }
    }

    /// A read settles what was left unknown. A seat that is not ours is foreign, unless its holder waits for one.
    fn seat_seen(&mut self, pool: PoolId, holder: Holder) {
        if self.state_of(pool, holder).is_some() {
            return self.grant_confirmed(pool, holder);
        }
        let was_queued = self.tenant.pool(pool).queued.contains_key(&holder);
        self.emit(Event::ForeignSeatSeen { pool, holder });
        if was_queued {
            self.bring(pool, holder, false, |in_use| Event::ForeignSeatAdopted { pool, holder, in_use });
        }
        // a sync that runs shows many: they are judged together at its end
        let provider = self.tenant.pool(pool).key.provider();
        if self.tenant.running_sync(provider).is_none() {
            self.reclaim_deficits([pool], None);
        }
    }

    fn grant_refused(&mut self, pool: PoolId, holder: Holder, not_enough: bool) {
        let Some(seat) = self.tenant.pool(pool).seats.get(&holder) else {
            return;
        };
        if seat.is_confirmed() || !matches!(seat.state, SeatState::Reserved | SeatState::InUse) {
            return;
        }
        let place = self.tenant.pool(pool).places_kept.get(&holder).copied().unwrap_or(seat.granted_at);
        let is_covered = self.tenant.coverage(pool, holder).is_covered();
        let cause = if not_enough { ReleaseCause::NotEnoughAtProvider } else { ReleaseCause::RefusedByProvider };
        if not_enough && !self.tenant.pool(pool).is_serving_paused {
            self.emit(Event::ServingPaused { pool });
        }
        self.emit(Event::SeatReleased { pool, holder, cause, lapsed: is_covered && !not_enough });
        self.license_by_people(pool, holder);
        let is_listed = self.tenant.pool(pool).state != PoolState::Removed;
        if not_enough && is_listed && self.tenant.coverage(pool, holder).is_required {
            self.requeue(pool, holder, place);
        }
        self.serve_queue(pool);
    }

    /// At this place, or at the nearest one before it that nobody has.
    fn requeue(&mut self, pool: PoolId, holder: Holder, place: u64) {
        let queue = &self.tenant.pool(pool).queue;
        match (0..=place).rev().find(|place| !queue.contains_key(place)) {
            Some(place) => self.emit(Event::Requeued { pool, holder, place }),
            None => self.emit(Event::Queued { pool, holder }),
        }
    }

    fn release_sent(&mut self, pool: PoolId, holder: Holder) {
        let is_waiting = |seat: &Seat| seat.state == SeatState::Releasing && !seat.is(SeatMark::ReleaseSent);
        if self.tenant.pool(pool).seats.get(&holder).is_some_and(is_waiting) {
            self.emit(Event::SeatReleaseSent { pool, holder });
        }
    }

    fn release_confirmed(&mut self, pool: PoolId, holder: Holder) {
        let Some(seat) = self.tenant.pool(pool).seats.get(&holder).filter(|seat| seat.state == SeatState::Releasing)
        else {
            return;
        };
        let cause = seat.release_cause.unwrap_or(ReleaseCause::Reclaimed);
        let is_flagged = seat.is(SeatMark::RegrantWanted);
        self.emit(Event::SeatReleased { pool, holder, cause, lapsed: false });
        if is_flagged && (self.is_offered(pool, holder) || self.tenant.coverage(pool, holder).is_covered()) {
            self.regrant(pool, holder);
        }
        self.serve_queue(pool);
    }

    /// On the same unit before the queue is served, or first in it.
    fn regrant(&mut self, pool: PoolId, holder: Holder) {
        let entry = self.tenant.pool(pool);
        if entry.has_free_seat() && entry.is_serving() {
            self.grant(pool, holder, GrantCause::Regrant);
            return;
        }
        if entry.state == PoolState::Removed {
            return;
        }
        let first = entry.queue.keys().next().copied();
        let place = first.map_or(self.tenant.next_position, |first| first.saturating_sub(1));
        self.requeue(pool, holder, place);
    }

    fn seat_absent(&mut self, pool: PoolId, holder: Holder) {
        let Some(seat) = self.tenant.pool(pool).seats.get(&holder) else {
            return;
        };
        let (state, is_confirmed) = (seat.state, seat.is_confirmed());
        match state {
            SeatState::Foreign => {
                self.emit(Event::SeatReleased { pool, holder, cause: ReleaseCause::EndedAtStore, lapsed: false });
            }
            SeatState::Reserved | SeatState::InUse
                if is_confirmed && !self.tenant.pool(pool).details.is_irrevocable =>
            {
                let lapsed = self.tenant.coverage(pool, holder).is_covered();
                self.emit(Event::SeatReleased { pool, holder, cause: ReleaseCause::Lost, lapsed });
                self.license_by_people(pool, holder);
            }
            SeatState::Releasing => return self.release_confirmed(pool, holder),
            SeatState::Reserved | SeatState::InUse => {}
        }
        self.serve_queue(pool);
    }

    /// A connector that names somebody the ledger never met is told so.
    fn guard_known(&self, holder: Holder) -> Result<(), Rejection> {
        match holder {
            Holder::User(user) if user.index() >= self.tenant.users.len() => Err(Rejection::UserNotFound),
            Holder::Device(device) if device.index() >= self.tenant.devices.len() => Err(Rejection::DeviceNotFound),
            Holder::User(_) | Holder::Device(_) => Ok(()),
        }
    }
}

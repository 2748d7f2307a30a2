//! Forgetting what somebody was called. Not here: destroying the key, which is the writer's once the fact is durable.

use super::{Judge, Ruling, Verdict};
use crate::domain::asked::About;
use crate::domain::command::HolderRef;
use crate::domain::event::Event;
use crate::domain::ids::Holder;
use crate::domain::rejection::Rejection;
use crate::domain::state::SeatState;

impl Judge<'_> {
    /// Only of who is gone, and not while a seat is still to be given back: the store that has it knows the holder by name.
    pub(super) fn erase(&mut self, holder: HolderRef) -> Ruling {
        let holder = self.holder_on_record(holder)?;
        let (etag, about, is_gone, refusal) = match holder {
            Holder::User(id) => {
                let user = self.tenant.user(id);
                (user.etag, About::User(id), user.departed.is_some(), Rejection::UserNotDeparted)
            }
            Holder::Device(id) => {
                let device = self.tenant.device(id);
                (device.etag, About::Device(id), device.is_retired, Rejection::DeviceNotRetired)
            }
        };
        self.precondition(etag)?;
        let Some(stored) = self.tenant.names.of(holder).filter(|stored| !stored.is_erased()) else {
            return Ok(Verdict::Unchanged(about));
        };
        let subject = stored.personal.subject;
        if !is_gone {
            return Err(refusal);
        }
        let is_to_go = |pool: &&_| {
            let entry = self.tenant.pool(**pool);
            let seat = entry.seats.get(&holder);
            seat.is_some_and(|seat| entry.is_revocable(seat) || seat.state == SeatState::Releasing)
        };
        let held = self.tenant.links(holder).seats.iter().filter(is_to_go).count() as u64;
        if held > 0 {
            return Err(Rejection::SeatsStillHeld { held });
        }
        self.emit(Event::NamesErased { holder, subject });
        Ok(Verdict::Done)
    }

    /// Nothing more is learned of whom somebody had erased.
    pub(super) fn must_have_names(&self, holder: Holder) -> Result<(), Rejection> {
        if self.tenant.names.is_erased(holder) { Err(Rejection::NamesErased) } else { Ok(()) }
    }
}

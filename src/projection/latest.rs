//! Where the last event stands that says what a user or a device is and belongs to. Who has none behind a position is and
//! belongs to the same today as then, so nothing of it need be read. Not here: what that is.

use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{Holder, PoolId, UserId};
use crate::domain::seat_step::SeatStep;
use crate::domain::state::Tenant;
use crate::domain::subject::each_own;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// By id.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latest {
    users: Arc<Vec<u64>>,
    devices: Arc<Vec<u64>>,
}

impl Latest {
    /// Takes an event that the state is about to take.
    pub(super) fn take(&mut self, recorded: &Recorded, before: &Tenant) {
        let position = recorded.position;
        each_own(&recorded.event, |holder| self.note(holder, position));
        // whose it is not any more
        if let Event::DeviceChanged { device, primary_user, .. } = &recorded.event
            && let Some(from) = before.devices.get(device.index()).and_then(|device| device.primary_user)
            && *primary_user != Some(from)
        {
            self.note(from.into(), position);
        }
        if let Some((pool, user)) = offer_taken(&recorded.event)
            && before.users.get(user.index()).is_some_and(|user| user.offered.contains(&pool))
        {
            self.note(user.into(), position);
        }
    }

    fn note(&mut self, holder: Holder, position: u64) {
        let (all, at) = match holder {
            Holder::User(user) => (&mut self.users, user.index()),
            Holder::Device(device) => (&mut self.devices, device.index()),
        };
        let all = Arc::make_mut(all);
        if all.len() <= at {
            all.resize(at + 1, u64::MAX);
        }
        if let Some(latest) = all.get_mut(at) {
            *latest = position;
        }
    }

    /// Whether a holder was there just after a position, and nothing was said of it since.
    #[must_use]
    pub fn is_still(&self, holder: Holder, position: u64) -> bool {
        let latest = match holder {
            Holder::User(user) => self.users.get(user.index()),
            Holder::Device(device) => self.devices.get(device.index()),
        };
        latest.is_some_and(|latest| *latest <= position)
    }
}

/// What a user is offered ends with any of these.
fn offer_taken(event: &Event) -> Option<(PoolId, UserId)> {
    SeatStep::of(event).filter(|step| step.takes_offer())?;
    if let Event::SeatGranted { pool, holder: Holder::User(user), .. }
    | Event::ForeignSeatAdopted { pool, holder: Holder::User(user), .. }
    | Event::SeatReleaseRefused { pool, holder: Holder::User(user) }
    | Event::SeatTakenBack { pool, holder: Holder::User(user) } = event
    {
        return Some((*pool, *user));
    }
    None
}

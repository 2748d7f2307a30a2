//! Looks ahead of a fold. A fold goes from one place far away in memory to the next and waits for each. Looked at a few events
//! before, one kind of place after the other, they are waited for together. Not here: anything that changes what a fold
//! comes to.

use super::chunked::Around;
use super::{Links, Seat, Tenant};
use crate::domain::event::{Event, Target};
use crate::domain::ids::Holder;
use std::hint::black_box;

/// So many events are looked ahead at once.
pub const LOOK_AHEAD_EVENTS: usize = 16;

impl Tenant {
    /// Looks at what the most frequent events are about to change, so that it is near when they do: of the first
    /// [`LOOK_AHEAD_EVENTS`] of them. Also where an event is one that no history has: nothing is asserted.
    pub fn look_ahead<'e>(&self, events: impl Iterator<Item = &'e Event>) {
        let mut seats: [Option<Around<'_, Holder, Seat>>; LOOK_AHEAD_EVENTS] = [const { None }; LOOK_AHEAD_EVENTS];
        let mut links: [Option<&Links>; LOOK_AHEAD_EVENTS] = [None; LOOK_AHEAD_EVENTS];
        for (event, (seats, links)) in events.zip(seats.iter_mut().zip(&mut links)) {
            if let Event::SeatGranted { pool, holder, .. } = event {
                *seats = self.pools.get(pool.index()).map(|pool| pool.seats.around(holder));
                *links = self.links_at(*holder);
            }
            if let Event::AssignmentMade { target: Target::User(user), .. } = event {
                *links = self.links_at((*user).into());
            }
        }
        let lengths = seats.iter().flatten().fold(0, |seen, seats| seen ^ seats.len());
        let lengths = links.iter().flatten().fold(lengths, |seen, links| seen ^ links.seats.len());
        let keys = seats.iter().flatten().map(|seats| seats.first_key().max(seats.last_key())).max();
        let granted = seats.iter().flatten().flat_map(Around::values);
        let granted = granted.fold(0, |seen, seat| seen ^ seat.granted_at);
        let last = links.iter().flatten().map(|links| links.seats.last().max(links.assignments.last_pool()));
        black_box((lengths, keys, granted, last.max()));
    }

    fn links_at(&self, holder: Holder) -> Option<&Links> {
        match holder {
            Holder::User(user) => self.users.get(user.index()).map(|user| &user.links),
            Holder::Device(device) => self.devices.get(device.index()).map(|device| &device.links),
        }
    }
}

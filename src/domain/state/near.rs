//! Looks ahead of a fold, and of who judges. Both go from one place far away in memory to the next and wait for each. Looked at
//! a few events or commands before, one kind of place after the other, they are waited for together. Not here: anything that
//! changes what comes of it.

use super::chunked::Around;
use super::{Links, Seat, Tenant};
use crate::domain::command::{Command, DeviceRef, PoolRef, TargetRef, UserRef};
use crate::domain::event::{Event, Target};
use crate::domain::ids::{Holder, PoolId};
use std::hint::black_box;

/// So many events, or commands, are looked ahead at once.
pub const LOOK_AHEAD: usize = 16;

impl Tenant {
    /// Looks at what the most frequent events are about to change, so that it is near when they do: of the first
    /// [`LOOK_AHEAD`] of them. Also where an event is one that no history has: nothing is asserted.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not looked at costs time and nothing else")]
    pub fn look_ahead<'e>(&self, events: impl Iterator<Item = &'e Event>) {
        self.look_at(events.map(|event| match event {
            Event::SeatGranted { pool, holder, .. } => (Some(*pool), Some(*holder)),
            Event::AssignmentMade { target: Target::User(user), .. } => (None, Some((*user).into())),
            _ => (None, None),
        }));
    }

    /// The same of the most frequent commands.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not looked at costs time and nothing else")]
    pub fn look_ahead_of<'c>(&self, commands: impl Iterator<Item = &'c Command>) {
        self.look_at(commands.map(|command| match command {
            Command::Assign { pool, target, .. } => (self.pool_at(pool), self.target_at(target)),
            Command::Install { pool, user: Some(user), .. } | Command::Uninstall { pool, user: Some(user), .. } => {
                (self.pool_at(pool), self.user_at(*user))
            }
            _ => (None, None),
        }));
    }

    fn pool_at(&self, pool: &PoolRef) -> Option<PoolId> {
        match pool {
            PoolRef::Id(pool) => Some(*pool),
            PoolRef::Key(key) => self.pool_keys.get(key).copied(),
        }
    }

    fn user_at(&self, user: UserRef) -> Option<Holder> {
        match user {
            UserRef::Id(user) => Some(user.into()),
            UserRef::Name(name) => self.names.user(name).map(Holder::User),
        }
    }

    fn target_at(&self, target: &TargetRef) -> Option<Holder> {
        match target {
            TargetRef::User(user) => self.user_at(*user),
            TargetRef::Device(DeviceRef::Id(device)) => Some((*device).into()),
            TargetRef::Device(DeviceRef::Name { .. }) | TargetRef::Group { .. } => None,
        }
    }

    fn look_at(&self, all: impl Iterator<Item = (Option<PoolId>, Option<Holder>)>) {
        let mut seats: [Option<Around<'_, Holder, Seat>>; LOOK_AHEAD] = [const { None }; LOOK_AHEAD];
        let mut links: [Option<&Links>; LOOK_AHEAD] = [None; LOOK_AHEAD];
        for ((pool, holder), (seats, links)) in all.zip(seats.iter_mut().zip(&mut links)) {
            let Some(holder) = holder else { continue };
            *seats = pool.and_then(|pool| self.pools.get(pool.index())).map(|pool| pool.seats.around(&holder));
            *links = self.links_at(holder);
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

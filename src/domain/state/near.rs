//! Looks ahead of a fold, and of who judges. Both go from one place far away in memory to the next and wait for each. Looked at
//! a few events or commands before, one kind of place after the other, they are waited for together. Not here: anything that
//! changes what comes of it.

use super::chunked::Around;
use super::dense::Slot;
use super::{Device, Install, InstallKey, Links, Seat, Tenant, User};
use crate::domain::command::{Command, DeviceRef, PoolRef, TargetRef, UserRef};
use crate::domain::event::{Event, Target};
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use std::hint::black_box;
use std::sync::Arc;

/// So many events, or commands, are looked ahead at once.
pub const LOOK_AHEAD: usize = 16;

/// What an event or a command is going to touch.
#[derive(Debug, Clone, Copy, Default)]
struct Touched {
    pool: Option<PoolId>,
    holder: Option<Holder>,
    /// Of an install.
    device: Option<DeviceId>,
}

impl Touched {
    fn seat(pool: PoolId, holder: Holder) -> Self {
        Self { pool: Some(pool), holder: Some(holder), device: None }
    }

    fn install(pool: Option<PoolId>, device: Option<DeviceId>, holder: Option<Holder>) -> Self {
        Self { pool, holder, device }
    }
}

/// Where that lies.
struct Places<'t> {
    pool: Option<PoolId>,
    seats: Option<Around<'t, Holder, Seat>>,
    installs: Option<Around<'t, InstallKey, Install>>,
    by_user: Option<Around<'t, (UserId, DeviceId), ()>>,
    entries: [Option<Entry<'t>>; 2],
    /// Known once the entries' pieces are near.
    links: [Option<&'t Links>; 2],
}

impl Places<'_> {
    const NONE: Self =
        Self { pool: None, seats: None, installs: None, by_user: None, entries: [const { None }; 2], links: [None; 2] };
}

/// Where a holder is kept.
enum Entry<'t> {
    User(Slot<'t, Arc<User>>),
    Device(Slot<'t, Arc<Device>>),
}

impl<'t> Entry<'t> {
    fn neighbours(&self) -> usize {
        match self {
            Self::User(slot) => slot.neighbours(),
            Self::Device(slot) => slot.neighbours(),
        }
    }

    fn links(&self) -> Option<&'t Links> {
        match self {
            Self::User(slot) => slot.entry().map(|user| &user.links),
            Self::Device(slot) => slot.entry().map(|device| &device.links),
        }
    }
}

impl Tenant {
    /// Looks at what the most frequent events are about to change, so that it is near when they do: of the first
    /// [`LOOK_AHEAD`] of them. Also where an event is one that no history has: nothing is asserted.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not looked at costs time and nothing else")]
    pub fn look_ahead<'e>(&self, events: impl Iterator<Item = &'e Event>) {
        self.look_at(events.map(|event| match event {
            Event::SeatGranted { pool, holder, .. }
            | Event::SeatTaken { pool, holder }
            | Event::SeatIdle { pool, holder }
            | Event::SeatReleasing { pool, holder, .. }
            | Event::SeatReleased { pool, holder, .. } => Touched::seat(*pool, *holder),
            Event::AssignmentMade { target: Target::User(user), .. } => {
                Touched { holder: Some((*user).into()), ..Touched::default() }
            }
            Event::Installed { pool, device, user, .. } | Event::Uninstalled { pool, device, user } => {
                Touched::install(Some(*pool), Some(*device), user.map(Holder::User))
            }
            _ => Touched::default(),
        }));
    }

    /// The same of the most frequent commands.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not looked at costs time and nothing else")]
    pub fn look_ahead_of<'c>(&self, commands: impl Iterator<Item = &'c Command>) {
        self.look_at(commands.map(|command| match command {
            Command::Assign { pool, target, .. } => {
                Touched { pool: self.pool_at(pool), holder: self.target_at(target), device: None }
            }
            Command::Install { pool, device, user, .. } | Command::Uninstall { pool, device, user, .. } => {
                let user = user.and_then(|user| self.user_at(user));
                Touched::install(self.pool_at(pool), self.device_at(device), user)
            }
            _ => Touched::default(),
        }));
    }

    fn pool_at(&self, pool: &PoolRef) -> Option<PoolId> {
        match pool {
            PoolRef::Id(pool) => Some(*pool),
            PoolRef::Key(key) => self.pool_keys.get(key),
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
            TargetRef::Device(device) => self.device_at(device).map(Holder::Device),
            TargetRef::Group { .. } => None,
        }
    }

    fn device_at(&self, device: &DeviceRef) -> Option<DeviceId> {
        match device {
            DeviceRef::Id(device) => Some(*device),
            DeviceRef::Name { .. } => None,
        }
    }

    fn look_at(&self, all: impl Iterator<Item = Touched>) {
        let mut places: [Places<'_>; LOOK_AHEAD] = [const { Places::NONE }; LOOK_AHEAD];
        for (touched, places) in all.zip(&mut places) {
            *places = self.places_of(touched);
        }
        let lengths = places.iter().flat_map(|places| &places.entries).flatten();
        let lengths = lengths.fold(0, |seen, entry| seen ^ entry.neighbours());
        for Places { entries, links, .. } in &mut places {
            *links = entries.each_ref().map(|entry| entry.as_ref().and_then(Entry::links));
        }
        let seats = || places.iter().filter_map(|places| places.seats.as_ref());
        let installs = || places.iter().filter_map(|places| places.installs.as_ref());
        let users = || places.iter().filter_map(|places| places.by_user.as_ref());
        let links = || places.iter().flat_map(|places| &places.links).flatten();
        let of_pools =
            places.iter().flat_map(|places| places.links.iter().flatten().zip(std::iter::repeat(places.pool)));
        let lengths = seats().fold(lengths, |seen, seats| seen ^ seats.len());
        let lengths = installs().fold(lengths, |seen, installs| seen ^ installs.len());
        let lengths = users().fold(lengths, |seen, users| seen ^ users.len());
        let lengths = links().fold(lengths, |seen, links| seen ^ links.seats.len());
        let keys = seats().flat_map(Around::numbers).chain(installs().flat_map(Around::numbers));
        let keys = keys.chain(users().flat_map(Around::numbers)).fold(0, |seen, number| seen ^ number);
        let granted = seats().flat_map(Around::values).fold(0, |seen, seat| seen ^ seat.granted_at);
        let since = installs().flat_map(Around::values).fold(0, |seen, install| seen ^ install.since_position);
        // both ends, which are all the lines of a short list
        let first = links().map(|links| links.seats.first().max(links.installed.first())).max();
        let last = links()
            .map(|links| links.seats.last().max(links.assignments.last_pool()).max(links.installed.last()))
            .max();
        // this one grows with every pool whose seat a holder ever lost: what a search reads of it
        let lapsed = of_pools.filter(|(links, pool)| pool.is_some_and(|pool| links.lapsed.contains(&pool))).count();
        black_box((lengths, keys, granted, since, first, last, lapsed));
    }

    fn places_of(&self, touched: Touched) -> Places<'_> {
        let Touched { pool, holder, device } = touched;
        let pool = pool.and_then(|pool| self.pools.get(pool.index()));
        let entries =
            [holder, device.map(Holder::Device)].map(|holder| holder.and_then(|holder| self.entry_of(holder)));
        let seats = pool.zip(holder).map(|(pool, holder)| pool.seats.around(&holder));
        let user = match holder {
            Some(Holder::User(user)) => Some(user),
            Some(Holder::Device(_)) | None => None,
        };
        let install = pool.zip(device);
        let installs = install.map(|(pool, device)| pool.installs.around(&InstallKey { device, user }));
        let by_user = install.zip(user).map(|((pool, device), user)| pool.installs_by_user.around(&(user, device)));
        Places { pool: touched.pool, seats, installs, by_user, entries, links: [None; 2] }
    }

    fn entry_of(&self, holder: Holder) -> Option<Entry<'_>> {
        match holder {
            Holder::User(user) => self.users.slot(user.index()).map(Entry::User),
            Holder::Device(device) => self.devices.slot(device.index()).map(Entry::Device),
        }
    }
}

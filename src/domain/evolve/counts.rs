//! Counts that rules ask for again and again are kept right rather than made anew: a fact changes them by no more than the seats
//! that it tells of, so what that costs does not grow with a pool or with what the brake holds. They are caches; a state that was
//! read has none until a rule asks.

use crate::domain::event::{Event, Target};
use crate::domain::ids::{Holder, PoolId};
use crate::domain::placing::Chain;
use crate::domain::state::Tenant;
use crate::domain::subject::each_own;

/// A fact that tells of more seats lets everything be counted anew, if a rule ever asks.
const SEATS_MAX: usize = 1024;

impl Tenant {
    /// Takes the seats that a fact may change out of the counts, to be put back as they are after it.
    pub(super) fn take_out_of_counts(&mut self, event: &Event) -> Vec<(PoolId, Holder)> {
        // as in every replay, but where the brake holds something
        if self.ways_out_counted.is_empty() && self.waiting.is_none() {
            return Vec::new();
        }
        let mut seats = self.seats_told_of(event);
        seats.sort_unstable();
        seats.dedup();
        if seats.len() > SEATS_MAX {
            self.ways_out_counted.clear();
            self.waiting = None;
            return Vec::new();
        }
        for (pool, holder) in seats.iter().copied() {
            self.uncount_waiting(pool, holder);
            let without = self.known_ways_out(pool).and_then(|known| known.without(self.ways_out_at(pool, holder)));
            match without {
                Some(counted) => drop(self.ways_out_counted.insert(pool, counted)),
                // what has become wrong stays so
                None => drop(self.ways_out_counted.remove(&pool)),
            }
        }
        seats
    }

    /// After the fact: also what it tells of as a whole.
    pub(super) fn put_back_into_counts(&mut self, seats: &[(PoolId, Holder)], event: &Event) {
        for (pool, holder) in seats.iter().copied() {
            self.count_waiting_at(pool, holder);
            // what is there still was right
            let Some(mut counted) = self.ways_out_counted.get(&pool).copied() else { continue };
            counted.as_of = self.pool(pool).changed;
            counted.add(self.ways_out_at(pool, holder));
            self.ways_out_counted.insert(pool, counted);
        }
        if let Event::PoolDetailsChanged { pool, .. }
        | Event::PoolPolicyChanged { pool, .. }
        | Event::AssignmentMade { pool, target: Target::Group { .. }, .. }
        | Event::AssignmentEnded { pool, target: Target::Group { .. }, .. } = event
        {
            self.forget_waiting_of(*pool);
        }
        if let Event::EndingsHeld { held, seats, cause, .. } = event {
            self.add_waiting(*held, seats, *cause);
        }
        if matches!(event, Event::EndingsConfirmed { .. }) {
            self.waiting = None;
        }
    }

    /// The seats of which a fact may change the state, or what covers them. Of a fact that is about a pool as a whole none: its
    /// pool has changed.
    fn seats_told_of(&self, event: &Event) -> Vec<(PoolId, Holder)> {
        let mut seats = Vec::new();
        match Chain::of(event) {
            Some(Chain::Seat { pool, holder }) => seats.push((pool, holder)),
            Some(Chain::Install { pool, device, user }) => {
                seats.push((pool, device.into()));
                seats.extend(user.map(|user| (pool, user.into())));
            }
            None => {}
        }
        if let Event::LapseEnded { pool, holder }
        | Event::Queued { pool, holder }
        | Event::Requeued { pool, holder, .. }
        | Event::Dequeued { pool, holder, .. } = event
        {
            seats.push((*pool, *holder));
        }
        if let Event::AssignmentMade { pool, target, .. } | Event::AssignmentEnded { pool, target, .. } = event {
            match *target {
                Target::User(user) => seats.push((*pool, user.into())),
                Target::Device(device) => {
                    seats.push((*pool, device.into()));
                    self.add_seats_around(device.into(), &mut seats);
                }
                Target::Group { .. } => {}
            }
        }
        each_own(event, |holder| self.add_seats_around(holder, &mut seats));
        seats
    }

    /// The seats of a holder, and those of people who may be covered through it: whose device it is, and who has installs on it.
    fn add_seats_around(&self, holder: Holder, seats: &mut Vec<(PoolId, Holder)>) {
        let device = match holder {
            Holder::User(user) => {
                let known = self.users.get(user.index());
                return seats.extend(known.into_iter().flat_map(|user| &user.links.seats).map(|pool| (*pool, holder)));
            }
            Holder::Device(device) => device,
        };
        let Some(entry) = self.devices.get(device.index()) else { return };
        seats.extend(entry.links.seats.iter().map(|pool| (*pool, holder)));
        if let Some(user) = entry.primary_user {
            self.add_seats_around(user.into(), seats);
        }
        for pool in &entry.links.installed {
            let people = self.pool(*pool).installs_on(device).into_iter().filter_map(|key| key.user);
            seats.extend(people.map(|user| (*pool, user.into())));
        }
    }
}

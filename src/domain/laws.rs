//! The laws as functions: recounted from the seats themselves, for tests, `verify` and the conservation metric. What
//! `evolve` asserts step by step is asked here of a whole state.

use super::facts::{DistributionPolicy, Owned};
use super::ids::Holder;
use super::review::{ReviewSeat, Standing};
use super::state::{Pool, Review, SeatState, Settled, SettledBy, Tenant};
use std::collections::BTreeMap;

impl Tenant {
    /// The first law that this state breaks, in words; `None` for a sound one.
    #[must_use]
    pub fn broken_law(&self) -> Option<String> {
        let held: u64 = self.pools.iter().map(|pool| pool.held()).sum();
        if held != self.seats_held {
            return Some(format!("the tenant counts {} seats held, its pools {held}", self.seats_held));
        }
        let broken = self.pools.iter().find_map(|pool| self.broken_law_of(pool));
        broken.or_else(|| self.reviews.iter().find_map(|review| self.broken_review(review)))
    }

    /// Every frozen seat is counted once, as what it is.
    fn broken_review(&self, review: &Review) -> Option<String> {
        let Review { id, seats, kept, released, undecided, gone, carried_out, .. } = review;
        if *seats != kept + released + undecided + gone {
            return Some(format!("{id}: {seats} seats are not {kept} + {released} + {undecided} + {gone}"));
        }
        let is_noted = |pool| self.under_review.get(pool).is_some_and(|reviews| reviews.contains(id));
        if review.pools.iter().any(|pool| is_noted(pool) != review.is_under_way()) {
            return Some(format!("{id} and its pools disagree on whether it is under way"));
        }
        if !review.is_under_way() {
            return None;
        }
        let mut counted = Review { kept: 0, released: 0, undecided: 0, gone: 0, carried_out: 0, ..review.clone() };
        for ReviewSeat { pool, holder, now } in self.seats_of_review(review, None) {
            match now {
                Standing::Held(_) => *counted.count_mut(review.wish_for(pool, holder)) += 1,
                Standing::Settled(Settled { by: SettledBy::Review, .. }) => {
                    counted.released += 1;
                    counted.carried_out += 1;
                }
                Standing::Settled(Settled { by: SettledBy::Other(_) | SettledBy::Adoption, .. }) => counted.gone += 1,
            }
        }
        let found = [counted.kept, counted.released, counted.undecided, counted.gone, counted.carried_out];
        let stated = [*kept, *released, *undecided, *gone, *carried_out];
        (found != stated).then(|| format!("{id} states {stated:?}, its seats are {found:?}"))
    }

    fn broken_law_of(&self, pool: &Pool) -> Option<String> {
        let id = pool.id;
        let count = |state: SeatState| pool.seats.values().filter(|seat| seat.state == state).count() as u64;
        let counted = [SeatState::Reserved, SeatState::InUse, SeatState::Releasing, SeatState::Foreign].map(count);
        let stated = [pool.reserved, pool.in_use, pool.releasing, pool.foreign];
        if counted != stated {
            return Some(format!("conservation: {id} states {stated:?}, its seats are {counted:?}"));
        }
        if let (DistributionPolicy::Restricted, Owned::Count(owned), Owned::Count(free)) =
            (pool.distribution_policy, pool.owned, pool.free())
            && owned + pool.over_by() != pool.held() + free
        {
            return Some(format!(
                "conservation: {id} owned {owned} + over {} != held {} + free {free}",
                pool.over_by(),
                pool.held()
            ));
        }
        if !pool.queued.is_empty() && pool.has_free_seat() && pool.is_serving() {
            return Some(format!("{id} has a free seat and {} holders wait", pool.queued.len()));
        }
        if pool.queue.len() != pool.queued.len() {
            return Some(format!("{id} has two queues: {} and {}", pool.queue.len(), pool.queued.len()));
        }
        let unlicensed = pool.installs.values().filter(|install| install.seat.is_none()).count() as u64;
        if unlicensed != pool.unlicensed {
            return Some(format!("{id} states {} unlicensed installs, there are {unlicensed}", pool.unlicensed));
        }
        let mut licensed: BTreeMap<Holder, usize> = BTreeMap::new();
        for holder in pool.installs.values().filter_map(|install| install.seat) {
            *licensed.entry(holder).or_default() += 1;
        }
        for (holder, seat) in pool.seats.iter() {
            let installs = licensed.get(holder).copied().unwrap_or(0);
            if installs != seat.installs as usize || (seat.state == SeatState::InUse) != (installs > 0) {
                return Some(format!(
                    "{id}: {holder} is {:?}, states {} installs, has {installs}",
                    seat.state, seat.installs
                ));
            }
            if !self.links(*holder).seats.contains(&id) {
                return Some(format!("{id}: {holder} does not know of its seat"));
            }
            if pool.queued.contains_key(holder) {
                return Some(format!("{id}: {holder} holds a seat and is queued"));
            }
        }
        self.stray_links(pool)
    }

    fn stray_links(&self, pool: &Pool) -> Option<String> {
        let users = self.users.iter().map(|user| (Holder::User(user.id), &user.links));
        let devices = self.devices.iter().map(|device| (Holder::Device(device.id), &device.links));
        users.chain(devices).find_map(|(holder, links)| {
            let agrees = links.seats.contains(&pool.id) == pool.seats.contains_key(&holder)
                && links.queued.contains(&pool.id) == pool.queued.contains_key(&holder);
            (!agrees).then(|| format!("{}: the links of {holder} disagree with the pool", pool.id))
        })
    }
}

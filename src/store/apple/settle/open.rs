//! Grants that the store may still be at: the answer was lost, or the event has not ended. One of them may give anew what was
//! taken back meanwhile. Of this run alone. Pure.

use super::group::{Batch, Seat};
use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

/// Beyond it the oldest are forgotten.
const CALLS_MAX: usize = 1000;

/// Until when a call has to be reckoned with.
#[derive(Debug)]
pub(super) enum Until {
    /// The end of this event.
    Ended(String),
    /// Nobody knows the event: its answer was lost.
    Past(Instant),
}

#[derive(Debug)]
struct OpenGrant {
    seats: BTreeSet<Seat>,
    until: Until,
}

/// Oldest first.
#[derive(Debug, Default)]
pub struct OpenGrants(VecDeque<OpenGrant>);

impl OpenGrants {
    pub(super) fn note(&mut self, batch: &Batch, until: Until) {
        self.0.push_back(OpenGrant { seats: batch.seats().collect(), until });
        if self.0.len() > CALLS_MAX {
            self.0.pop_front();
        }
    }

    /// Events that may give one of these seats.
    pub(super) fn events_of(&self, seats: &BTreeSet<Seat>) -> BTreeSet<String> {
        let event = |open: &OpenGrant| match &open.until {
            Until::Ended(event) if !open.seats.is_disjoint(seats) => Some(event.clone()),
            Until::Ended(_) | Until::Past(_) => None,
        };
        self.0.iter().filter_map(event).collect()
    }

    /// These events have ended, and what was to be waited for until now is past.
    pub(super) fn close(&mut self, ended: &BTreeSet<String>, now: Instant) {
        self.0.retain(|open| match &open.until {
            Until::Ended(event) => !ended.contains(event),
            Until::Past(at) => *at > now,
        });
    }

    pub(super) fn has(&self, seat: &Seat) -> bool {
        self.0.iter().any(|open| open.seats.contains(seat))
    }

    /// The store shows the seat: where one grant alone is open, it has been carried out.
    pub(in crate::store::apple) fn seen(&mut self, seat: &Seat) {
        let mut of_seat = self.0.iter_mut().filter(|open| open.seats.contains(seat));
        if let (Some(only), None) = (of_seat.next(), of_seat.next()) {
            only.seats.remove(seat);
        }
        self.0.retain(|open| !open.seats.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::AssetKey;
    use super::*;
    use crate::store::terms::StoreHolder;
    use std::time::Duration;

    fn seat(holder: &str) -> Seat {
        (AssetKey { adam_id: "1".into(), pricing_param: "STDQ".into() }, StoreHolder::User(holder.into()))
    }

    fn batch(holders: &[&str]) -> Batch {
        let (asset, _) = seat("");
        Batch { assets: vec![asset], holders: holders.iter().map(|id| StoreHolder::User((*id).into())).collect() }
    }

    #[test]
    fn a_grant_is_open_until_its_event_ends_its_time_is_past_or_its_seat_is_seen() {
        let now = crate::clock::monotonic();
        let mut open = OpenGrants::default();
        open.note(&batch(&["ada", "bob"]), Until::Ended("e1".into()));
        open.note(&batch(&["cyd"]), Until::Past(now + Duration::from_secs(9)));
        assert_eq!(open.events_of(&[seat("ada"), seat("cyd")].into()), ["e1".to_owned()].into());
        assert!(open.events_of(&[seat("cyd")].into()).is_empty());
        open.close(&BTreeSet::new(), now);
        assert!(["ada", "bob", "cyd"].iter().all(|id| open.has(&seat(id))) && !open.has(&seat("dee")));
        open.seen(&seat("ada"));
        assert!(!open.has(&seat("ada")) && open.has(&seat("bob")));
        open.close(&["e1".to_owned()].into(), now + Duration::from_secs(9));
        assert!(!open.has(&seat("bob")) && !open.has(&seat("cyd")));
    }

    #[test]
    fn of_two_open_grants_nobody_knows_which_one_is_seen() {
        let mut open = OpenGrants::default();
        for event in ["e1", "e2"] {
            open.note(&batch(&["ada"]), Until::Ended(event.into()));
        }
        open.seen(&seat("ada"));
        assert_eq!(open.events_of(&[seat("ada")].into()).len(), 2);
    }
}

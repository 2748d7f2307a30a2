//! Subscriptions of a unit: seats that renew or expire, who has one, and what the end of a period does to them.
//!
//! **Invariant:** `assigned + available = total`, renewing and expiring taken together.
//!
//! Here: what is owned and given, and what each change does to it. Not here: the calls (`calls`), the desk (`desk`).
//!
//! Apple's pages give the shapes. Not verified is what follows, and a client must not rely on it: an assignment takes any
//! license that is free, whichever mode it asks for (none free is 9816); one who has it keeps it, and the mode becomes the one
//! asked for last; a user who has not accepted the invitation gets 9814, one who has it by a group 9817; what is paused or has
//! no license is 9811; a deferred disassociation turns the assignment to expiring, and asking for it again takes that back. A
//! period ends so many days after the purchase and is shown by its date; then expiring licenses and assignments go, and of what
//! renews upon a license that did not the newest go. A retired user has none any more.

pub(super) mod calls;
pub(super) mod desk;

use super::world::{Failed, Holder, Unit, UserStatus};
use crate::domain::time::Time;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// In one unit.
pub(super) const SUBSCRIPTIONS_MAX: usize = 10_000;
const ASSIGNED_MAX: usize = 1_000_000;
/// Of all the licenses of one subscription.
const TOTAL_MAX: u32 = 1_000_000_000;

/// By `adamId`, which is a number here and a text for assets.
pub(super) type AdamId = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    Active,
    Inactive,
    Paused,
}

/// What is owned of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) parent_adam_id: AdamId,
    pub(super) is_paused: bool,
    pub(super) total: Modes,
    /// Only while there are licenses.
    pub(super) period_ends: Option<Time>,
    pub(super) period_days: u32,
}

impl Subscription {
    pub(super) fn status(&self) -> Status {
        match (self.total.sum(), self.is_paused) {
            (0, _) => Status::Inactive,
            (_, true) => Status::Paused,
            (_, false) => Status::Active,
        }
    }
}

/// How many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Modes {
    pub(super) renewing: u32,
    pub(super) expiring: u32,
}

impl Modes {
    pub(super) fn sum(self) -> u32 {
        self.renewing.saturating_add(self.expiring)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    pub(super) assigned: Modes,
    pub(super) available: Modes,
    pub(super) total: Modes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) is_renewing: bool,
    /// Of the change that gave it.
    number: u64,
    /// The event that asked for it to end with the period.
    deferred_by: Option<String>,
}

/// All of one unit.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// What the tool has declared; nothing at first.
    pub(super) is_supported: Option<bool>,
    pub(super) owned: BTreeMap<AdamId, Subscription>,
    pub(super) assigned: BTreeMap<(AdamId, String), Assigned>,
    pub(super) admins: BTreeSet<(AdamId, String)>,
    /// Who has it by a group of the organization's own.
    pub(super) by_group: BTreeSet<(AdamId, String)>,
}

impl Subscriptions {
    pub(super) fn users_of(&self, id: AdamId) -> impl Iterator<Item = (&String, &Assigned)> {
        let of = self.assigned.range((id, String::new())..).take_while(move |((it, _), _)| *it == id);
        of.map(|((_, user), assigned)| (user, assigned))
    }

    pub(super) fn counts(&self, id: AdamId) -> Counts {
        let mut assigned = Modes::default();
        for (_, one) in self.users_of(id) {
            if one.is_renewing {
                assigned.renewing += 1;
            } else {
                assigned.expiring += 1;
            }
        }
        let total = self.owned.get(&id).map(|it| it.total).unwrap_or_default();
        let free = total.sum().saturating_sub(assigned.sum());
        let expiring = total.expiring.saturating_sub(assigned.expiring).min(free);
        Counts { assigned, available: Modes { renewing: free - expiring, expiring }, total }
    }

    pub(super) fn is_renewing(&self, id: AdamId, user: &str) -> bool {
        self.assigned.get(&(id, user.to_owned())).is_some_and(|it| it.is_renewing)
    }

    fn end(&mut self, id: AdamId, user: &str) -> Option<Assigned> {
        self.assigned.remove(&(id, user.to_owned()))
    }

    pub(super) fn retire(&mut self, user: &str) {
        self.assigned.retain(|(_, who), _| who != user);
    }

    /// When the last of what an event deferred ends.
    pub(super) fn end_of_deferred(&self, event: &str) -> Option<Time> {
        let deferred = self.assigned.iter().filter(|(_, it)| it.deferred_by.as_deref() == Some(event));
        deferred.filter_map(|((id, _), _)| self.owned.get(id)?.period_ends).max()
    }
}

/// What the end of a period did.
pub(super) struct Ended {
    /// With the event that had asked for it.
    pub(super) deferred: Vec<(String, String)>,
}

impl Unit {
    /// Gives a seat of a subscription, or changes the mode of one that was given.
    pub(super) fn subscribe(&mut self, id: AdamId, user: &str, is_renewing: bool) -> Result<(), Failed> {
        if let Some(number) = self.barred.get(&Holder::User(user.to_owned())) {
            return Err(*number);
        }
        let status = self.subscriptions.owned.get(&id).map(Subscription::status).ok_or(9813_u16)?;
        if self.active_user(user).ok_or(9609_u16)?.status != UserStatus::Associated {
            return Err(9814);
        }
        let key = (id, user.to_owned());
        if self.subscriptions.by_group.contains(&key) {
            return Err(9817);
        }
        if let Some(assigned) = self.subscriptions.assigned.get_mut(&key) {
            (assigned.is_renewing, assigned.deferred_by) = (is_renewing, None);
            self.touch();
            return Ok(());
        }
        if status != Status::Active {
            return Err(9811);
        }
        let has_room = self.subscriptions.assigned.len() < ASSIGNED_MAX;
        if self.subscriptions.counts(id).available.sum() == 0 || !has_room {
            return Err(9816);
        }
        self.touch();
        self.subscriptions.assigned.insert(key, Assigned { is_renewing, number: self.version, deferred_by: None });
        Ok(())
    }

    /// Takes a seat back, at once or with the end of the period.
    pub(super) fn unsubscribe(&mut self, id: AdamId, user: &str, deferred_by: Option<&str>) -> Result<(), Failed> {
        if !self.subscriptions.owned.contains_key(&id) {
            return Err(9813);
        }
        let key = (id, user.to_owned());
        match (self.subscriptions.assigned.get_mut(&key), deferred_by) {
            (None, _) if self.subscriptions.by_group.contains(&key) => return Err(9817),
            (None, _) => return Err(9815),
            (Some(assigned), Some(event)) => {
                (assigned.is_renewing, assigned.deferred_by) = (false, Some(event.to_owned()));
            }
            (Some(_), None) => drop(self.subscriptions.end(id, user)),
        }
        self.touch();
        Ok(())
    }

    /// A period is over: what expires goes.
    pub(super) fn end_period(&mut self, id: AdamId, at: Time) -> Ended {
        let mut ended = Ended { deferred: vec![] };
        let Some(subscription) = self.subscriptions.owned.get_mut(&id) else { return ended };
        subscription.total.expiring = 0;
        let left = subscription.total.sum();
        subscription.period_ends = (left > 0).then(|| at.plus_days(subscription.period_days));
        let expiring = self.subscriptions.users_of(id).filter(|(_, one)| !one.is_renewing);
        let expiring: Vec<String> = expiring.map(|(user, _)| user.clone()).collect();
        let mut renewing: Vec<(u64, String)> = self
            .subscriptions
            .users_of(id)
            .filter(|(_, one)| one.is_renewing)
            .map(|(user, one)| (one.number, user.clone()))
            .collect();
        renewing.sort_unstable();
        let too_many = renewing.into_iter().skip(usize::try_from(left).unwrap_or(usize::MAX)).map(|(_, user)| user);
        for user in expiring.into_iter().chain(too_many) {
            let event = self.subscriptions.end(id, &user).and_then(|one| one.deferred_by);
            ended.deferred.extend(event.map(|event| (event, user)));
        }
        self.touch();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: AdamId = 12345;

    fn unit(renewing: u32, expiring: u32) -> Unit {
        let mut unit = Unit::new("u".into(), "n".into(), "o".into(), "DE".into());
        let total = Modes { renewing, expiring };
        let subscription = Subscription {
            parent_adam_id: 54321,
            is_paused: false,
            total,
            period_ends: Some(Time(9)),
            period_days: 30,
        };
        unit.subscriptions.owned.insert(APP, subscription);
        for name in ["ada", "bob", "cyd", "dee"] {
            let asked = serde_json::json!({ "clientUserId": name, "managedAppleId": format!("{name}@a.example") });
            unit.create_user(&serde_json::from_value(asked).expect("a user")).expect("made");
        }
        unit
    }

    fn figures(unit: &Unit) -> [u32; 6] {
        let Counts { assigned, available, total } = unit.subscriptions.counts(APP);
        assert_eq!(assigned.sum() + available.sum(), total.sum());
        [assigned.renewing, assigned.expiring, available.renewing, available.expiring, total.renewing, total.expiring]
    }

    #[test]
    fn any_free_license_is_given_and_the_sums_agree() {
        let mut unit = unit(1, 2);
        assert_eq!(unit.subscribe(APP, "ada", true), Ok(()));
        assert_eq!(figures(&unit), [1, 0, 0, 2, 1, 2]);
        assert_eq!(unit.subscribe(APP, "bob", true), Ok(()));
        assert_eq!(figures(&unit), [2, 0, 0, 1, 1, 2], "one that renews sits on a license that does not");
        assert_eq!(unit.subscribe(APP, "cyd", false), Ok(()));
        assert_eq!(unit.subscribe(APP, "dee", false), Err(9816));
        assert_eq!(unit.subscribe(APP, "bob", false), Ok(()), "who has it changes the mode");
        assert_eq!(figures(&unit), [1, 2, 0, 0, 1, 2]);
        assert_eq!(unit.subscribe(APP, "eve", true), Err(9609));
        assert_eq!(unit.unsubscribe(APP, "dee", None), Err(9815));
        assert_eq!(unit.unsubscribe(99, "ada", None), Err(9813));
    }

    #[test]
    fn with_a_period_goes_what_does_not_renew() {
        let mut unit = unit(2, 2);
        for (name, is_renewing) in [("ada", true), ("bob", true), ("cyd", true), ("dee", false)] {
            assert_eq!(unit.subscribe(APP, name, is_renewing), Ok(()));
        }
        assert_eq!(unit.unsubscribe(APP, "ada", Some("event")), Ok(()));
        assert_eq!(unit.subscriptions.end_of_deferred("event"), Some(Time(9)));
        assert_eq!(unit.end_period(APP, Time(9)).deferred, [("event".to_owned(), "ada".to_owned())]);
        let left: Vec<_> = unit.subscriptions.users_of(APP).map(|(user, _)| user.as_str()).collect();
        assert_eq!((figures(&unit), left), ([2, 0, 0, 0, 2, 0], vec!["bob", "cyd"]));
        unit.subscriptions.owned.get_mut(&APP).expect("it is there").total = Modes { renewing: 1, expiring: 1 };
        unit.end_period(APP, Time(10));
        let left: Vec<_> = unit.subscriptions.users_of(APP).map(|(user, _)| user.as_str()).collect();
        assert_eq!(left, ["bob"], "of two that renew upon one license the newer goes");
    }
}

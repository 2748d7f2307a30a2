//! One pool's seats, queue and installs.

use super::{Holder, Install, Intent, Target};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    pub(crate) owned: u64,
    pub(super) is_kept_on_uninstall: bool,
    /// By holder: whether it is in use, and the how-manieth grant it was.
    pub(crate) seats: BTreeMap<Holder, (bool, u64)>,
    pub(crate) queue: Vec<Holder>,
    pub(super) lapsed: BTreeSet<Holder>,
    /// Whose seat licenses it.
    pub(crate) installs: BTreeMap<Install, Option<Holder>>,
    pub(super) assignments: BTreeMap<Target, Intent>,
    /// Devices on which nothing is licensed.
    pub(super) retired: BTreeSet<u32>,
    pub(super) grants: u64,
}

impl Pool {
    pub(super) fn free(&self) -> u64 {
        self.owned.saturating_sub(self.seats.len() as u64)
    }

    pub(super) fn grant(&mut self, holder: Holder, by_install: bool) {
        self.queue.retain(|waiting| *waiting != holder);
        self.lapsed.remove(&holder);
        let mut in_use = by_install;
        let may_be = |device: &u32| !self.retired.contains(device);
        for ((device, user), seat) in self.installs.iter_mut().filter(|((on, _), seat)| seat.is_none() && may_be(on)) {
            if holder == Holder::Device(*device) || Some(holder) == user.map(Holder::User) {
                (*seat, in_use) = (Some(holder), true);
            }
        }
        self.grants += 1;
        assert!(self.seats.insert(holder, (in_use, self.grants)).is_none(), "one seat a holder");
    }

    pub(super) fn serve(&mut self) {
        while self.free() > 0 && !self.queue.is_empty() {
            self.grant(self.queue[0], false);
        }
    }

    pub(super) fn provide(&mut self, holder: Holder) {
        if self.seats.contains_key(&holder) || self.lapsed.contains(&holder) {
        } else if self.free() > 0 {
            self.grant(holder, false);
        } else if !self.queue.contains(&holder) {
            self.queue.push(holder);
        }
    }

    pub(super) fn release(&mut self, holder: Holder, lapses: bool) {
        self.seats.remove(&holder);
        self.installs.values_mut().filter(|seat| **seat == Some(holder)).for_each(|seat| *seat = None);
        if lapses {
            self.lapsed.insert(holder);
        }
    }

    /// Who holds a seat that licenses now what a device's seat has left behind.
    pub(super) fn license_by_people(&mut self, holder: Holder) -> Vec<Holder> {
        let mut users = vec![];
        for ((device, user), seat) in self.installs.iter_mut().filter(|(_, seat)| seat.is_none()) {
            let Some(user) = user.map(Holder::User).filter(|_| holder == Holder::Device(*device)) else { continue };
            if let Some((in_use, _)) = self.seats.get_mut(&user).filter(|_| !self.retired.contains(device)) {
                (*seat, *in_use) = (Some(user), true);
                users.push(user);
            }
        }
        users
    }
}

//! Who sits where: one seat for each pool and user, given and taken back once however often it is asked. Every asking
//! leaves a line in the journal with what it did, so that a seat given twice can be seen; holders stand there in lower case.

use super::super::super::journal::Deed;
use super::{EntryKey, Market, ProductKey, SEATS_MAX, Seat};
use crate::domain::facts::DistributionPolicy;
use crate::domain::key::LicenseType;
use crate::domain::time::Time;
use serde::Serialize;

/// A seat as the store shows it, and which tool gave it, which the store does not show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SeatShown {
    #[serde(flatten)]
    pub product: ProductKey,
    pub upn: String,
    pub since: Time,
    pub by: String,
}

/// Why a seat is not shown, given or taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeatRefusal {
    #[error("InventoryNotFound")]
    NoInventory,
    #[error("Not online")]
    NotOnline,
    #[error("UserNotFound")]
    NoUser,
    #[error("SeatNotFound")]
    NoSeat,
    #[error("NoSeatsAvailable")]
    NoSeatsAvailable { capacity: i64 },
    /// Of one user of several, by a fault.
    #[error("InternalError")]
    Failed,
}

impl Market {
    /// The line whose seats a call is about.
    fn seated(&self, product: &ProductKey) -> Result<EntryKey, SeatRefusal> {
        if self.owns(product, LicenseType::Online) {
            return Ok(EntryKey { product: product.clone(), license_type: LicenseType::Online });
        }
        if self.owns(product, LicenseType::Offline) {
            return Err(SeatRefusal::NotOnline);
        }
        Err(SeatRefusal::NoInventory)
    }

    /// Gives the user a seat; one who has it keeps it as it is.
    ///
    /// # Errors
    /// The store's own reasons.
    pub fn assign(&mut self, tool: &str, product: &ProductKey, upn: &str) -> Result<SeatShown, SeatRefusal> {
        let had = self.seat(product, upn).is_ok();
        let done = self.give(tool, product, upn);
        match &done {
            Ok(_) if had => self.note(Deed::GrantedAlready, tool, product, upn, ""),
            Ok(_) => self.note(Deed::Granted, tool, product, upn, ""),
            Err(refusal) => self.note(Deed::GrantRefused, tool, product, upn, &refusal.to_string()),
        }
        done
    }

    fn give(&mut self, tool: &str, product: &ProductKey, upn: &str) -> Result<SeatShown, SeatRefusal> {
        let key = self.seated(product)?;
        if !self.knows(upn) {
            return Err(SeatRefusal::NoUser);
        }
        let (now, name, follows) = (self.now(), upn.to_lowercase(), self.modified_by.seats);
        let upn = self.users.get(&name).map_or_else(|| upn.to_owned(), |user| user.upn.clone());
        let is_full = self.seats >= SEATS_MAX;
        let entry = self.entries.get_mut(&key).ok_or(SeatRefusal::NoInventory)?;
        if !entry.seats.contains_key(&name) {
            let is_capped = entry.policy == DistributionPolicy::Restricted;
            if is_full || (is_capped && entry.unassigned() <= 0) {
                return Err(SeatRefusal::NoSeatsAvailable { capacity: entry.capacity });
            }
            entry.free_before = entry.unassigned();
            entry.seats.insert(name.clone(), Seat { upn, since: now, by: tool.into() });
            if follows {
                entry.last_modified = now;
            }
            self.seats += 1;
            self.sits.entry(name.clone()).or_default().insert(key);
        }
        self.seat(product, &name)
    }

    /// Takes a seat back.
    ///
    /// # Errors
    /// The store's own reasons.
    pub fn reclaim(&mut self, tool: &str, product: &ProductKey, upn: &str) -> Result<SeatShown, SeatRefusal> {
        let found = self.seat(product, upn);
        if found.is_ok() {
            let (name, key) =
                (upn.to_lowercase(), EntryKey { product: product.clone(), license_type: LicenseType::Online });
            self.takes_back(&key, &name);
            self.stands_up(&name, &key);
        }
        match &found {
            Ok(_) => self.note(Deed::Released, tool, product, upn, ""),
            Err(SeatRefusal::NoSeat) => self.note(Deed::ReleasedAlready, tool, product, upn, ""),
            Err(refusal) => self.note(Deed::ReleaseRefused, tool, product, upn, &refusal.to_string()),
        }
        found
    }

    /// The seat of one user. A user who has left may still have one.
    ///
    /// # Errors
    /// The store's own reasons.
    pub fn seat(&self, product: &ProductKey, upn: &str) -> Result<SeatShown, SeatRefusal> {
        let key = self.seated(product)?;
        let entry = self.entries.get(&key).ok_or(SeatRefusal::NoInventory)?;
        match entry.seats.get(&upn.to_lowercase()) {
            Some(seat) => Ok(shown(product, seat)),
            None if self.knows(upn) => Err(SeatRefusal::NoSeat),
            None => Err(SeatRefusal::NoUser),
        }
    }

    /// The seats of a pool behind a user's name, in the order of names.
    pub(in crate::store::simulator::microsoft) fn seats_after(
        &self,
        product: &ProductKey,
        after: Option<&str>,
    ) -> Result<impl Iterator<Item = (&str, SeatShown)>, SeatRefusal> {
        use std::ops::Bound::{Excluded, Unbounded};
        let key = self.seated(product)?;
        let entry = self.entries.get(&key).ok_or(SeatRefusal::NoInventory)?;
        let seats = entry.seats.range::<str, _>((after.map_or(Unbounded, Excluded), Unbounded));
        let product = product.clone();
        Ok(seats.map(move |(name, seat)| (name.as_str(), shown(&product, seat))))
    }

    /// A user's seats behind a pool, in the inventory's order; `None` for one whom the store does not know.
    pub(in crate::store::simulator::microsoft) fn seats_of(
        &self,
        upn: &str,
        after: Option<&EntryKey>,
    ) -> Option<impl Iterator<Item = (&EntryKey, SeatShown)>> {
        let name = upn.to_lowercase();
        let places = self.sits.get(&name);
        if places.is_none() && !self.knows(upn) {
            return None;
        }
        let behind = places.into_iter().flatten().filter(move |key| after.is_none_or(|after| *key > after));
        Some(behind.filter_map(move |key| {
            let seat = self.entries.get(key)?.seats.get(&name)?;
            Some((key, shown(&key.product, seat)))
        }))
    }

    /// Every seat there is, by pool and name.
    #[must_use]
    pub fn all_seats(&self) -> Vec<SeatShown> {
        let of = |(key, entry): (&EntryKey, &super::Entry)| -> Vec<SeatShown> {
            entry.seats.values().map(|seat| shown(&key.product, seat)).collect()
        };
        self.entries.iter().flat_map(of).collect()
    }

    pub(super) fn takes_back(&mut self, key: &EntryKey, name: &str) {
        let (now, follows) = (self.now(), self.modified_by.seats);
        let Some(entry) = self.entries.get_mut(key) else { return };
        let free = entry.unassigned();
        if entry.seats.remove(name).is_some() {
            entry.free_before = free;
            self.seats -= 1;
            if follows {
                entry.last_modified = now;
            }
        }
    }

    pub(super) fn stands_up(&mut self, name: &str, key: &EntryKey) {
        if let Some(places) = self.sits.get_mut(name) {
            places.remove(key);
            if places.is_empty() {
                self.sits.remove(name);
            }
        }
    }

    pub(super) fn note(&mut self, deed: Deed, by: &str, product: &ProductKey, upn: &str, about: &str) {
        let at = self.now();
        self.journal.write(at, deed, product.to_string(), &upn.to_lowercase(), by, about);
    }
}

fn shown(product: &ProductKey, seat: &Seat) -> SeatShown {
    SeatShown { product: product.clone(), upn: seat.upn.clone(), since: seat.since, by: seat.by.clone() }
}

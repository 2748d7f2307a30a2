//! The tenant's directory as the store sees it: who is there, since when the store knows it, renames and departures.

use super::super::super::journal::Deed;
use super::orders::DeskRefusal;
use super::{Market, STORE, USERS_MAX};
use crate::domain::time::Time;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub upn: String,
    /// Until then the store does not know a user that the directory has.
    pub visible_from: Time,
}

/// One `@` with something on both sides, and no longer than a directory allows.
pub(in crate::store::simulator::microsoft) fn is_upn(text: &str) -> bool {
    let plain = text.len() <= 1024 && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
    let parts = text.split_once('@');
    plain && parts.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

impl Market {
    /// A new user of the directory, whom the store knows only after `lag`.
    ///
    /// # Errors
    /// When the name is none, or taken.
    pub fn hire(&mut self, upn: &str, lag: Duration) -> Result<(), DeskRefusal> {
        if !is_upn(upn) {
            return Err(DeskRefusal::Wrong("a user name is name@domain"));
        }
        let name = upn.to_lowercase();
        if self.users.contains_key(&name) {
            return Err(DeskRefusal::NameTaken);
        }
        if self.users.len() >= USERS_MAX {
            return Err(DeskRefusal::Full("users"));
        }
        let visible_from = self.clock.after(lag);
        self.users.insert(name, User { upn: upn.into(), visible_from });
        Ok(())
    }

    /// The seats stay with the person and are listed under the new name at once.
    ///
    /// # Errors
    /// When nobody has the old name, or somebody has the new one.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), DeskRefusal> {
        if !is_upn(to) {
            return Err(DeskRefusal::Wrong("a user name is name@domain"));
        }
        let (old, new) = (from.to_lowercase(), to.to_lowercase());
        let user = self.users.get(&old).cloned().ok_or(DeskRefusal::NotFound("user"))?;
        if old != new && (self.users.contains_key(&new) || self.sits.contains_key(&new)) {
            return Err(DeskRefusal::NameTaken);
        }
        self.users.remove(&old);
        self.users.insert(new.clone(), User { upn: to.into(), ..user });
        let places = self.sits.remove(&old).unwrap_or_default();
        for place in &places {
            let Some(entry) = self.entries.get_mut(place) else { continue };
            if let Some(mut seat) = entry.seats.remove(&old) {
                seat.upn = to.into();
                entry.seats.insert(new.clone(), seat);
                self.note(Deed::Released, STORE, &place.product, &old, "renamed");
                self.note(Deed::Granted, STORE, &place.product, &new, "renamed");
            }
        }
        if !places.is_empty() {
            self.sits.insert(new, places);
        }
        Ok(())
    }

    /// Takes a user out of the directory. The seats end, as a store that follows the directory would do it, or stay under
    /// the old name, as one that does not.
    ///
    /// # Errors
    /// When nobody has the name.
    pub fn delete(&mut self, upn: &str, keeps_seats: bool) -> Result<(), DeskRefusal> {
        let name = upn.to_lowercase();
        self.users.remove(&name).ok_or(DeskRefusal::NotFound("user"))?;
        if !keeps_seats {
            for place in self.sits.remove(&name).unwrap_or_default() {
                self.takes_back(&place, &name);
                self.note(Deed::Released, STORE, &place.product, &name, "deleted");
            }
        }
        Ok(())
    }

    /// Whether the store knows the user by now.
    pub(in crate::store::simulator::microsoft) fn knows(&self, upn: &str) -> bool {
        self.users.get(&upn.to_lowercase()).is_some_and(|user| user.visible_from <= self.now())
    }

    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len()
    }
}

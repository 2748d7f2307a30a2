//! Everything that ever became of a seat at a simulated store, in order: what the store itself can't be asked. A test reads
//! here whether a seat was granted twice. Not here: who holds what now.

use crate::domain::time::Time;
use serde::Serialize;
use std::collections::VecDeque;

/// Beyond it the oldest go, and are counted.
const ENTRIES_MAX: usize = 2_000_000;

/// What happened to one seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// The holder had no seat here, and has one now.
    Granted,
    /// Asked for a holder who has the seat: nothing changed.
    GrantedAlready,
    /// Asked, and refused for a reason of the store's.
    GrantRefused,
    /// The holder had the seat, and has none now.
    Released,
    /// Asked for a holder who has no seat: nothing changed.
    ReleasedAlready,
    ReleaseRefused,
}

/// One deed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// From 0 without gaps.
    pub number: u64,
    pub at: Time,
    pub deed: Deed,
    /// As the store writes it.
    pub pool: String,
    pub holder: String,
    /// Who asked: `api` for the protocol, else the name that the desk was given.
    pub by: String,
    /// The store's own number of the order, or its reason for refusing.
    pub about: String,
}

/// In order, the oldest first.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
    written: u64,
}

impl Journal {
    pub fn write(&mut self, at: Time, deed: Deed, pool: String, holder: &str, by: &str, about: &str) {
        let (holder, by, about) = (holder.to_owned(), by.to_owned(), about.to_owned());
        self.entries.push_back(Entry { number: self.written, at, deed, pool, holder, by, about });
        self.written += 1;
        if self.entries.len() > ENTRIES_MAX {
            self.entries.pop_front();
        }
    }

    /// From a number on; at most so many.
    #[must_use]
    pub fn from(&self, number: u64, at_most: usize) -> Vec<Entry> {
        let oldest = self.written - u64::try_from(self.entries.len()).unwrap_or(self.written);
        let skip = usize::try_from(number.saturating_sub(oldest)).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(at_most).cloned().collect()
    }

    /// How many were written, those that are gone included.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_read_from_any_number_on() {
        let mut journal = Journal::default();
        for holder in ["ada", "bob", "cyd"] {
            journal.write(Time(1), Deed::Granted, "p".into(), holder, "api", "");
        }
        let holders = |number, most| journal.from(number, most).into_iter().map(|e| e.holder).collect::<Vec<_>>();
        assert_eq!(holders(1, 9), ["bob", "cyd"]);
        assert_eq!(holders(0, 2), ["ada", "bob"]);
        assert!(holders(3, 9).is_empty());
        assert_eq!(journal.written(), 3);
    }
}

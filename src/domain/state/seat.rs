//! One license occupied by one holder. There are more of them than of anything else that is held in memory, so each is small.

use crate::domain::facts::ReleaseCause;
use crate::domain::time::Time;
use serde::{Deserialize, Serialize};

/// The four states in which a seat counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeatState {
    Reserved,
    InUse,
    Releasing,
    Foreign,
}

/// What is true of a seat or not, besides its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatMark {
    /// The provider has said yes, or need not be asked.
    Confirmed,
    /// Releasing only: the provider was asked.
    ReleaseSent,
    /// Releasing only: it is wanted again after that.
    RegrantWanted,
    /// The provider keeps the seat where it is.
    ReleaseRefused,
}

impl SeatMark {
    const fn bit(self) -> u8 {
        match self {
            Self::Confirmed => 1,
            Self::ReleaseSent => 1 << 1,
            Self::RegrantWanted => 1 << 2,
            Self::ReleaseRefused => 1 << 3,
        }
    }
}

/// One license occupied by one holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The position of the grant, or of the first sight of a foreign seat.
    pub granted_at: u64,
    /// When and where it entered its present state; a reservation that the provider confirms begins with that.
    pub since: Time,
    pub since_position: u64,
    /// Installs that this seat licenses.
    pub installs: u32,
    pub state: SeatState,
    /// Releasing only: why.
    pub release_cause: Option<ReleaseCause>,
    marks: u8,
}

// a million of them are held
const _: () = assert!(size_of::<Seat>() == 32, "a seat has grown");

impl Seat {
    /// A seat that begins at a fact of this position.
    #[must_use]
    pub fn new(state: SeatState, position: u64, since: Time, is_confirmed: bool) -> Self {
        let (granted_at, since_position) = (position, position);
        let mut seat = Self { granted_at, since, since_position, installs: 0, state, release_cause: None, marks: 0 };
        seat.mark(SeatMark::Confirmed, is_confirmed);
        seat
    }

    #[must_use]
    pub fn is(&self, mark: SeatMark) -> bool {
        self.marks & mark.bit() != 0
    }

    pub(in crate::domain) fn mark(&mut self, mark: SeatMark, is_so: bool) {
        self.marks = self.marks & !mark.bit() | if is_so { mark.bit() } else { 0 };
    }

    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.is(SeatMark::Confirmed)
    }

    /// In use, and its last install is gone: what a judgement has to settle before it ends.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.state == SeatState::InUse && self.installs == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_put_and_taken_by_itself() {
        let all = [SeatMark::Confirmed, SeatMark::ReleaseSent, SeatMark::RegrantWanted, SeatMark::ReleaseRefused];
        let mut seat = Seat::new(SeatState::Reserved, 7, Time(1), false);
        for (at, mark) in all.into_iter().enumerate() {
            assert!(all.into_iter().enumerate().all(|(other, mark)| seat.is(mark) == (other < at)), "{mark:?}");
            seat.mark(mark, true);
        }
        for (at, mark) in all.into_iter().enumerate() {
            seat.mark(mark, false);
            assert!(all.into_iter().enumerate().all(|(other, mark)| seat.is(mark) == (other > at)), "{mark:?}");
        }
    }
}

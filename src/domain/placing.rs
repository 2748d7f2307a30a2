//! Where a fact stands in time for who asks what is known of an instant: facts about a seat or an install by when they
//! occurred, where that was told and is earlier than they were recorded; every other fact by when it was recorded. A fact is
//! never placed before the one that stands before it about the same seat or install, so what is placed up to an instant is
//! for each of them a history that could have been. Not here: the order of the log, which is its positions and nothing else.

use super::event::{Event, Recorded};
use super::ids::{DeviceId, Holder, PoolId, UserId};
use super::subject::Subject;
use super::time::Time;

/// What facts follow each other about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    Seat { pool: PoolId, holder: Holder },
    Install { pool: PoolId, device: DeviceId, user: Option<UserId> },
}

impl Chain {
    /// A subject that all facts of the chain name, with few others: those of the same holder in the same pool.
    #[must_use]
    pub fn subject(self) -> Subject {
        let (pool, holder) = self.told_of();
        Subject::Seat(pool, holder)
    }

    /// The holder in a pool among whose steps are all of the chain.
    #[must_use]
    pub fn told_of(self) -> (PoolId, Holder) {
        match self {
            Self::Seat { pool, holder } => (pool, holder),
            Self::Install { pool, device, .. } => (pool, device.into()),
        }
    }

    #[must_use]
    pub fn pool(self) -> PoolId {
        match self {
            Self::Seat { pool, .. } | Self::Install { pool, .. } => pool,
        }
    }

    /// The seat or the install that an event is about.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::SeatGranted { pool, holder, .. }
            | Event::SeatTaken { pool, holder }
            | Event::SeatIdle { pool, holder }
            | Event::SeatReleasing { pool, holder, .. }
            | Event::SeatReleaseSent { pool, holder }
            | Event::SeatReleaseRefused { pool, holder }
            | Event::SeatTakenBack { pool, holder }
            | Event::RegrantFlagged { pool, holder }
            | Event::SeatReleased { pool, holder, .. }
            | Event::SeatConfirmed { pool, holder }
            | Event::ForeignSeatSeen { pool, holder }
            | Event::ForeignSeatAdopted { pool, holder, .. } => Some(Self::Seat { pool: *pool, holder: *holder }),

            Event::Installed { pool, device, user, .. }
            | Event::InstallLicensed { pool, device, user, .. }
            | Event::Uninstalled { pool, device, user } => {
                Some(Self::Install { pool: *pool, device: *device, user: *user })
            }

            Event::LapseEnded { .. }
            | Event::Queued { .. }
            | Event::Requeued { .. }
            | Event::Dequeued { .. }
            | Event::OfflineLicenseIssued { .. }
            | Event::PoolListed { .. }
            | Event::PoolDetailsChanged { .. }
            | Event::PoolNamed { .. }
            | Event::PackagesListed { .. }
            | Event::PrivateStoreVisibilityChanged { .. }
            | Event::EntitlementDated { .. }
            | Event::CapacityChanged { .. }
            | Event::RefundLagSeen { .. }
            | Event::RefundSettled { .. }
            | Event::DistributionPolicyChanged { .. }
            | Event::PoolDelisted { .. }
            | Event::PoolRelisted { .. }
            | Event::PoolSuspended { .. }
            | Event::PoolResumed { .. }
            | Event::ServingPaused { .. }
            | Event::ServingResumed { .. }
            | Event::StoreUsedStated { .. }
            | Event::PoolPolicyChanged { .. }
            | Event::DriftFound { .. }
            | Event::DriftResolved { .. }
            | Event::RefundRecorded { .. }
            | Event::AssignmentMade { .. }
            | Event::AssignmentEnded { .. }
            | Event::MembersSkipped { .. }
            | Event::CommandRefused { .. }
            | Event::BatchRefused { .. }
            | Event::RefusalsCounted { .. }
            | Event::CommandUnchanged { .. }
            | Event::TenantCreated { .. }
            | Event::TenantRenamed { .. }
            | Event::SettingsChanged { .. }
            | Event::TokenIssued { .. }
            | Event::TokenRevoked { .. }
            | Event::StoreAccountLinked { .. }
            | Event::StoreAccountChanged { .. }
            | Event::StoreUnitLinked { .. }
            | Event::ToolActivated { .. }
            | Event::ToolDeactivated { .. }
            | Event::SyncStarted { .. }
            | Event::SyncCompleted { .. }
            | Event::SyncItemsTaken { .. }
            | Event::PoolsSeen { .. }
            | Event::SyncSeatsCompared { .. }
            | Event::SyncFailed { .. }
            | Event::ItemSkipped { .. }
            | Event::UserAdded { .. }
            | Event::UserChanged { .. }
            | Event::UserDeparted { .. }
            | Event::SeatsKept { .. }
            | Event::GraceEnded { .. }
            | Event::UserReturned { .. }
            | Event::SeatsOffered { .. }
            | Event::DeviceAdded { .. }
            | Event::DeviceChanged { .. }
            | Event::DeviceReincarnated { .. }
            | Event::DeviceRetired { .. }
            | Event::DeviceReturned { .. }
            | Event::NamesErased { .. }
            | Event::GroupAdded { .. }
            | Event::MembersAdded { .. }
            | Event::MembersRemoved { .. }
            | Event::GroupDeleted { .. }
            | Event::EndingsHeld { .. }
            | Event::RemovalHeld { .. }
            | Event::EndingsConfirmed { .. }
            | Event::LogRestored { .. }
            | Event::LogKeyRotated { .. }
            | Event::ReportRead { .. }
            | Event::ReviewOpened { .. }
            | Event::ReviewDecided { .. }
            | Event::ReviewClosed { .. }
            | Event::ReviewCarriedOut { .. }
            | Event::ReviewEnded { .. }
            | Event::ReviewCancelled { .. } => None,
        }
    }
}

/// When the fact of a chain was so, as far as it says itself: a time that lies ahead of the ledger's own is none.
#[must_use]
pub fn told_at(recorded: &Recorded) -> Time {
    let recorded_at = recorded.envelope.recorded_at;
    recorded.envelope.occurred_at.map_or(recorded_at, |occurred| occurred.min(recorded_at))
}

/// How late a fact of a chain was recorded: a step, and which of its equal parts. So the few that can bear on an instant long
/// past are found without the many that were a minute late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lateness {
    pub step: LateStep,
    part: u8,
}

/// One of the steps of lateness, each four times as long as the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LateStep(u8);

impl LateStep {
    /// Less than a minute, about; and each step of four times as much, up to two years. The last has no end.
    pub const ALL: [Self; 13] = [
        Self(0),
        Self(1),
        Self(2),
        Self(3),
        Self(4),
        Self(5),
        Self(6),
        Self(7),
        Self(8),
        Self(9),
        Self(10),
        Self(11),
        Self(12),
    ];

    const FIRST_MICROS: i64 = 64_000_000;
    const LAST: Self = Self(12);

    /// Every fact of this step was recorded less than so long after it occurred.
    #[must_use]
    pub fn micros_max(self) -> i64 {
        if self == Self::LAST { i64::MAX } else { Self::FIRST_MICROS << (2 * u32::from(self.0)) }
    }

    /// And no fact less than so long.
    fn micros_min(self) -> i64 {
        self.0.checked_sub(1).map_or(0, |before| Self(before).micros_max())
    }

    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl Lateness {
    /// Of a step.
    pub const PARTS: u8 = 16;

    /// `None` for a fact that is placed where it was recorded, or stands in no chain.
    #[must_use]
    pub fn of(recorded: &Recorded) -> Option<Self> {
        let late = recorded.envelope.recorded_at.0.saturating_sub(told_at(recorded).0);
        if late <= 0 || Chain::of(&recorded.event).is_none() {
            return None;
        }
        let step = LateStep::ALL.into_iter().find(|step| late < step.micros_max()).unwrap_or(LateStep::LAST);
        let part = (0..Self::PARTS).find(|part| late < Self { step, part: *part }.micros_max());
        Some(Self { step, part: part.unwrap_or(Self::PARTS - 1) })
    }

    /// The part of a step that has this number.
    #[must_use]
    pub fn of_part(step: LateStep, part: u8) -> Option<Self> {
        (part < Self::PARTS).then_some(Self { step, part })
    }

    #[must_use]
    pub fn part(self) -> u8 {
        self.part
    }

    /// Every fact that is so late was recorded less than so long after it occurred.
    #[must_use]
    pub fn micros_max(self) -> i64 {
        let (min, max) = (self.step.micros_min(), self.step.micros_max());
        max - (max - min) / i64::from(Self::PARTS) * i64::from(Self::PARTS - 1 - self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Actor, Door, Envelope};
    use crate::domain::ids::UserId;

    fn recorded(occurred_at: Option<i64>, event: Event) -> Recorded {
        let envelope = Envelope {
            recorded_at: Time(1_000_000_000_000),
            occurred_at: occurred_at.map(Time),
            actor: Actor::Root,
            door: Door::Http,
            command_id: None,
            content_hash: 0,
            reason: None,
        };
        Recorded { position: 7, envelope, event }
    }

    #[test]
    fn what_is_told_of_the_future_is_placed_where_it_was_recorded() {
        let taken = || Event::SeatTaken { pool: PoolId(1), holder: Holder::User(UserId(2)) };
        let late = |occurred_at| Lateness::of(&recorded(occurred_at, taken())).map(|late| late.step.number());
        assert_eq!(late(None), None);
        assert_eq!(late(Some(1_000_000_000_000)), None);
        assert_eq!(late(Some(1_000_000_000_001)), None);
        assert_eq!(late(Some(999_999_999_999)), Some(0));
        assert_eq!(late(Some(1_000_000_000_000 - 64_000_000)), Some(1));
        assert_eq!(late(Some(i64::MIN)), Some(12));
        let of_a_queue = Event::Queued { pool: PoolId(1), holder: Holder::User(UserId(2)) };
        assert_eq!(Lateness::of(&recorded(Some(0), of_a_queue)), None);
    }

    #[test]
    fn every_step_of_lateness_ends_where_the_next_begins() {
        let ends: Vec<_> = LateStep::ALL.iter().map(|step| step.micros_max()).collect();
        assert!(ends.windows(2).all(|pair| pair[0] < pair[1]), "{ends:?}");
        assert_eq!(ends.last(), Some(&i64::MAX));
    }

    #[test]
    fn a_fact_is_less_late_than_its_part_of_a_step_ends() {
        let taken = || Event::SeatTaken { pool: PoolId(1), holder: Holder::User(UserId(2)) };
        let parts = LateStep::ALL.into_iter().flat_map(|step| (0..Lateness::PARTS).map(move |part| (step, part)));
        let parts: Vec<_> = parts.map(|(step, part)| Lateness::of_part(step, part).unwrap()).collect();
        assert_eq!(Lateness::of_part(LateStep::LAST, Lateness::PARTS), None);
        assert!(parts.windows(2).all(|pair| pair[0].micros_max() < pair[1].micros_max()), "{parts:?}");
        for lateness in parts {
            let late_by = |micros: i64| Lateness::of(&recorded(1_000_000_000_000_i64.checked_sub(micros), taken()));
            assert_eq!(late_by(lateness.micros_max() - 1), Some(lateness));
            assert!(late_by(lateness.micros_max()) > Some(lateness) || lateness.step == LateStep::LAST);
        }
    }
}

//! What an event does to a holder's seat of a pool, to the place in its queue, or to an install of its app: a small number that
//! stands beside the position in an index. So it is told without the events who holds, waits and has the app, and which
//! events tell the rest. Not here: the index.

use super::event::Event;
use super::state::SeatState;

/// In the order of their numbers, which stand in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatStep {
    /// A grant; the app is not in use.
    Granted,
    GrantedInUse,
    Taken,
    Idle,
    Releasing,
    ReleasingLapsed,
    ReleaseSent,
    ReleaseRefused,
    TakenBack,
    RegrantFlagged,
    Released,
    ReleasedLapsed,
    Confirmed,
    Seen,
    Adopted,
    AdoptedInUse,
    LapseEnded,
    Queued,
    Requeued,
    Dequeued,
    Installed,
    Licensed,
    Uninstalled,
}

/// What the steps of one holder in one pool come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub holds_seat: bool,
    pub is_queued: bool,
    pub is_lapsed: bool,
    /// Of a user on devices, of a device by everybody.
    pub installs: u32,
}

impl SeatStep {
    const ALL: [Self; 23] = [
        Self::Granted,
        Self::GrantedInUse,
        Self::Taken,
        Self::Idle,
        Self::Releasing,
        Self::ReleasingLapsed,
        Self::ReleaseSent,
        Self::ReleaseRefused,
        Self::TakenBack,
        Self::RegrantFlagged,
        Self::Released,
        Self::ReleasedLapsed,
        Self::Confirmed,
        Self::Seen,
        Self::Adopted,
        Self::AdoptedInUse,
        Self::LapseEnded,
        Self::Queued,
        Self::Requeued,
        Self::Dequeued,
        Self::Installed,
        Self::Licensed,
        Self::Uninstalled,
    ];

    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        Some(match event {
            Event::SeatGranted { in_use: false, .. } => Self::Granted,
            Event::SeatGranted { in_use: true, .. } => Self::GrantedInUse,
            Event::SeatTaken { .. } => Self::Taken,
            Event::SeatIdle { .. } => Self::Idle,
            Event::SeatReleasing { lapsed: false, .. } => Self::Releasing,
            Event::SeatReleasing { lapsed: true, .. } => Self::ReleasingLapsed,
            Event::SeatReleaseSent { .. } => Self::ReleaseSent,
            Event::SeatReleaseRefused { .. } => Self::ReleaseRefused,
            Event::SeatTakenBack { .. } => Self::TakenBack,
            Event::RegrantFlagged { .. } => Self::RegrantFlagged,
            Event::SeatReleased { lapsed: false, .. } => Self::Released,
            Event::SeatReleased { lapsed: true, .. } => Self::ReleasedLapsed,
            Event::SeatConfirmed { .. } => Self::Confirmed,
            Event::ForeignSeatSeen { .. } => Self::Seen,
            Event::ForeignSeatAdopted { in_use: false, .. } => Self::Adopted,
            Event::ForeignSeatAdopted { in_use: true, .. } => Self::AdoptedInUse,
            Event::LapseEnded { .. } => Self::LapseEnded,
            Event::Queued { .. } => Self::Queued,
            Event::Requeued { .. } => Self::Requeued,
            Event::Dequeued { .. } => Self::Dequeued,
            Event::Installed { .. } => Self::Installed,
            Event::InstallLicensed { .. } => Self::Licensed,
            Event::Uninstalled { .. } => Self::Uninstalled,

            Event::TenantCreated { .. }
            | Event::TenantRenamed { .. }
            | Event::SettingsChanged { .. }
            | Event::TokenIssued { .. }
            | Event::TokenRevoked { .. }
            | Event::ToolActivated { .. }
            | Event::ToolDeactivated { .. }
            | Event::StoreAccountLinked { .. }
            | Event::StoreAccountChanged { .. }
            | Event::StoreUnitLinked { .. }
            | Event::SyncStarted { .. }
            | Event::SyncCompleted { .. }
            | Event::SyncItemsTaken { .. }
            | Event::PoolsSeen { .. }
            | Event::SyncSeatsCompared { .. }
            | Event::SyncFailed { .. }
            | Event::ItemSkipped { .. }
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
            | Event::OfflineLicenseIssued { .. }
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
            | Event::AssignmentMade { .. }
            | Event::AssignmentEnded { .. }
            | Event::MembersSkipped { .. }
            | Event::CommandRefused { .. }
            | Event::BatchRefused { .. }
            | Event::RefusalsCounted { .. }
            | Event::ReportRead { .. }
            | Event::CommandUnchanged { .. }
            | Event::LogRestored { .. }
            | Event::LogKeyRotated { .. }
            | Event::ReviewOpened { .. }
            | Event::ReviewDecided { .. }
            | Event::ReviewClosed { .. }
            | Event::ReviewCarriedOut { .. }
            | Event::ReviewEnded { .. }
            | Event::ReviewCancelled { .. } => return None,
        })
    }

    fn begins_tenure(self) -> bool {
        matches!(self, Self::Granted | Self::GrantedInUse)
    }

    #[must_use]
    pub fn is_of_an_install(self) -> bool {
        matches!(self, Self::Installed | Self::Licensed | Self::Uninstalled)
    }

    /// Not of an install, and not of a place in a queue or of a lapse alone.
    #[must_use]
    pub fn is_of_a_seat(self) -> bool {
        let is_of_a_queue = matches!(self, Self::Queued | Self::Requeued | Self::Dequeued | Self::LapseEnded);
        !self.is_of_an_install() && !is_of_a_queue
    }

    /// A seat that is offered to somebody who came back is not offered any more.
    #[must_use]
    pub fn takes_offer(self) -> bool {
        self.is_taken_back() || matches!(self, Self::Granted | Self::GrantedInUse | Self::Adopted | Self::AdoptedInUse)
    }

    /// The seat is in the state that the installs ask for.
    #[must_use]
    pub fn is_taken_back(self) -> bool {
        matches!(self, Self::ReleaseRefused | Self::TakenBack)
    }
}

impl Standing {
    /// What steps in their order come to.
    #[must_use]
    pub fn after(steps: &[(u64, SeatStep)]) -> Self {
        let mut standing = Self::default();
        steps.iter().for_each(|(_, step)| standing.take(*step));
        standing
    }

    fn take(&mut self, step: SeatStep) {
        match step {
            SeatStep::Granted | SeatStep::GrantedInUse => {
                (self.holds_seat, self.is_queued, self.is_lapsed) = (true, false, false);
            }
            SeatStep::Adopted | SeatStep::AdoptedInUse => (self.is_queued, self.is_lapsed) = (false, false),
            SeatStep::Seen => self.holds_seat = true,
            SeatStep::Releasing
            | SeatStep::ReleaseRefused
            | SeatStep::TakenBack
            | SeatStep::RegrantFlagged
            | SeatStep::LapseEnded => self.is_lapsed = false,
            SeatStep::ReleasingLapsed => self.is_lapsed = true,
            SeatStep::Released => self.holds_seat = false,
            SeatStep::ReleasedLapsed => (self.holds_seat, self.is_lapsed) = (false, true),
            SeatStep::Queued | SeatStep::Requeued => (self.is_queued, self.is_lapsed) = (true, false),
            SeatStep::Dequeued => self.is_queued = false,
            SeatStep::Installed => self.installs += 1,
            SeatStep::Uninstalled => self.installs = self.installs.saturating_sub(1),
            SeatStep::Taken | SeatStep::Idle | SeatStep::ReleaseSent | SeatStep::Confirmed | SeatStep::Licensed => {}
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// The seat that the steps of one holder in one pool come to, in their order, and where it was granted, adopted or first seen.
///
/// # Errors
/// When it was taken back from its release last: whether it is in use since then is told by its installs alone.
pub fn seat_after(steps: &[(u64, SeatStep)]) -> Result<Option<(SeatState, u64)>, TakenBack> {
    let mut seat = None;
    let mut is_open = false;
    for (position, step) in steps {
        let state = match step {
            SeatStep::Granted | SeatStep::Adopted | SeatStep::Idle => SeatState::Reserved,
            SeatStep::GrantedInUse | SeatStep::AdoptedInUse | SeatStep::Taken => SeatState::InUse,
            SeatStep::Releasing | SeatStep::ReleasingLapsed => SeatState::Releasing,
            SeatStep::Seen => SeatState::Foreign,
            SeatStep::Released | SeatStep::ReleasedLapsed => {
                (seat, is_open) = (None, false);
                continue;
            }
            SeatStep::ReleaseRefused | SeatStep::TakenBack => {
                is_open = true;
                continue;
            }
            SeatStep::ReleaseSent
            | SeatStep::RegrantFlagged
            | SeatStep::Confirmed
            | SeatStep::LapseEnded
            | SeatStep::Queued
            | SeatStep::Requeued
            | SeatStep::Dequeued
            | SeatStep::Installed
            | SeatStep::Licensed
            | SeatStep::Uninstalled => continue,
        };
        let is_adopted = matches!(step, SeatStep::Adopted | SeatStep::AdoptedInUse);
        let granted_at = seat.filter(|_| !is_adopted).map_or(*position, |(_, granted_at)| granted_at);
        (seat, is_open) = (Some((state, granted_at)), false);
    }
    if is_open { Err(TakenBack) } else { Ok(seat) }
}

/// A seat of which steps alone do not tell in which state it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenBack;

/// Of the steps of one holder in one pool, in their order, those that tell what is there in the end: none before the holder
/// last had nothing there, of the installs none before there last were none, and of the ways between reserved and in use
/// none but the last.
#[must_use]
pub fn telling(steps: &[(u64, SeatStep)]) -> Vec<u64> {
    let (mut standing, mut begin, mut installs_begin) = (Standing::default(), 0, 0);
    for (at, (_, step)) in steps.iter().enumerate() {
        // with what begins here ends that the holder had lost a seat
        let ends_lapse = step.begins_tenure() || matches!(step, SeatStep::Queued | SeatStep::Requeued);
        if ends_lapse && (Standing { is_lapsed: false, ..standing }).is_nothing() {
            begin = at;
        }
        standing.take(*step);
        if standing.is_nothing() {
            begin = at + 1;
        }
        if standing.installs == 0 {
            installs_begin = at + 1;
        }
    }
    let rest = steps.get(begin..).unwrap_or_default();
    if rest.iter().any(|(_, step)| step.is_taken_back()) {
        return rest.iter().map(|(position, _)| *position).collect();
    }
    let is_way = |step: SeatStep| matches!(step, SeatStep::Taken | SeatStep::Idle);
    let last_way = rest.iter().rposition(|(_, step)| is_way(*step));
    let tells = |(at, (_, step)): &(usize, &(u64, SeatStep))| {
        let is_past_install = step.is_of_an_install() && begin + at < installs_begin;
        !is_past_install && (!is_way(*step) || Some(*at) == last_way)
    };
    rest.iter().enumerate().filter(tells).map(|(_, (position, _))| *position).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_that_of_its_step() {
        for (number, step) in (0_u8..).zip(SeatStep::ALL) {
            assert_eq!((step.number(), SeatStep::from_number(number)), (number, Some(step)));
        }
        assert_eq!(SeatStep::from_number(u8::try_from(SeatStep::ALL.len()).unwrap()), None);
    }

    #[test]
    fn a_seat_is_what_its_steps_come_to() {
        use SeatStep::{Adopted, Granted, Idle, Installed, Queued, Released, Releasing, Seen, Taken, TakenBack};
        let seat = |steps: &[SeatStep]| seat_after(&(0..).zip(steps.iter().copied()).collect::<Vec<_>>());
        assert_eq!(seat(&[]), Ok(None));
        assert_eq!(seat(&[Queued, Granted]), Ok(Some((SeatState::Reserved, 1))));
        assert_eq!(seat(&[Granted, Installed, Taken]), Ok(Some((SeatState::InUse, 0))));
        assert_eq!(seat(&[Granted, Taken, Idle]), Ok(Some((SeatState::Reserved, 0))));
        assert_eq!(seat(&[Granted, Releasing]), Ok(Some((SeatState::Releasing, 0))));
        assert_eq!(seat(&[Granted, Releasing, Released]), Ok(None));
        assert_eq!(seat(&[Seen]), Ok(Some((SeatState::Foreign, 0))));
        assert_eq!(seat(&[Seen, Adopted]), Ok(Some((SeatState::Reserved, 1))));
        assert_eq!(seat(&[Granted, Releasing, TakenBack]), Err(super::TakenBack));
        assert_eq!(seat(&[Granted, Releasing, TakenBack, Taken]), Ok(Some((SeatState::InUse, 0))));
        assert_eq!(seat(&[Granted, Releasing, TakenBack, Releasing, Released]), Ok(None));
    }

    #[test]
    fn what_was_over_before_tells_nothing() {
        use SeatStep::{GrantedInUse, Idle, Installed, Released, ReleasedLapsed, Taken, Uninstalled};
        let steps = |steps: &[SeatStep]| telling(&(0..).zip(steps.iter().copied()).collect::<Vec<_>>());
        assert_eq!(steps(&[GrantedInUse, Installed, Uninstalled, Released, GrantedInUse, Installed]), [4, 5]);
        assert_eq!(steps(&[GrantedInUse, Installed, Uninstalled, Idle, Taken, Installed, Uninstalled, Idle]), [0, 7]);
        assert_eq!(steps(&[GrantedInUse, Installed, Released]), [0, 1, 2], "the app is still there");
        assert_eq!(steps(&[GrantedInUse, Released]), [] as [u64; 0]);
        assert_eq!(steps(&[GrantedInUse, ReleasedLapsed, GrantedInUse, Installed]), [2, 3]);
        assert_eq!(steps(&[GrantedInUse, ReleasedLapsed, GrantedInUse, ReleasedLapsed]), [2, 3], "it is lapsed");
    }
}

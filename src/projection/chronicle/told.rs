//! Which small thing an event tells of. Not here: what becomes of it.

use crate::domain::event::Event;
use crate::domain::ids::{DriftId, GroupId, HeldId, PoolId, ReviewId, SyncId, TokenId};
use crate::domain::key::Provider;
use crate::domain::state::HeldEndings;

/// What is to be looked at after an event.
pub(super) enum Told<'e> {
    /// Its name or its settings.
    Tenant,
    Token(TokenId),
    Account(Provider),
    Tool(&'e str),
    /// A drift was resolved.
    Drift(DriftId),
    Held(HeldId),
    /// Something that was held back may be over.
    HeldIsOver,
    /// Whether the list of packages begins anew.
    Packages(PoolId, bool),
    GroupAdded(GroupId),
    Members(GroupId),
    GroupDeleted(GroupId),
    Review(ReviewId),
    /// A seat ended, or began to: reviews that are under way may say so.
    Seats(PoolId),
    Nothing,
}

impl<'e> Told<'e> {
    pub(super) fn of(event: &'e Event) -> Self {
        match event {
            Event::TenantCreated { .. } | Event::TenantRenamed { .. } | Event::SettingsChanged { .. } => Self::Tenant,
            Event::TokenIssued { token, .. } | Event::TokenRevoked { token } => Self::Token(*token),
            Event::StoreAccountLinked { provider, .. }
            | Event::StoreAccountChanged { provider, .. }
            | Event::StoreUnitLinked { provider, .. } => Self::Account(*provider),
            Event::ToolActivated { tool, .. } | Event::ToolDeactivated { tool } => Self::Tool(tool),
            Event::DriftResolved { drift, .. } => Self::Drift(*drift),
            Event::EndingsHeld { held, .. } | Event::RemovalHeld { held, .. } => Self::Held(*held),
            Event::EndingsConfirmed { .. } | Event::SyncCompleted { .. } => Self::HeldIsOver,
            Event::PackagesListed { pool, is_first, .. } => Self::Packages(*pool, *is_first),
            Event::GroupAdded { group, .. } => Self::GroupAdded(*group),
            Event::MembersAdded { group, .. } | Event::MembersRemoved { group, .. } => Self::Members(*group),
            Event::GroupDeleted { group } => Self::GroupDeleted(*group),
            Event::ReviewOpened { review, .. }
            | Event::ReviewDecided { review, .. }
            | Event::ReviewClosed { review }
            | Event::ReviewCarriedOut { review, .. }
            | Event::ReviewEnded { review, .. }
            | Event::ReviewCancelled { review } => Self::Review(*review),
            Event::SeatReleasing { pool, .. }
            | Event::SeatReleased { pool, .. }
            | Event::ForeignSeatAdopted { pool, .. } => Self::Seats(*pool),

            Event::SyncStarted { .. }
            | Event::SyncItemsTaken { .. }
            | Event::PoolsSeen { .. }
            | Event::SyncSeatsCompared { .. }
            | Event::SyncFailed { .. }
            | Event::ItemSkipped { .. }
            | Event::PoolListed { .. }
            | Event::PoolDetailsChanged { .. }
            | Event::PoolNamed { .. }
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
            | Event::AssignmentMade { .. }
            | Event::AssignmentEnded { .. }
            | Event::MembersSkipped { .. }
            | Event::SeatGranted { .. }
            | Event::SeatTaken { .. }
            | Event::SeatIdle { .. }
            | Event::SeatReleaseSent { .. }
            | Event::SeatReleaseRefused { .. }
            | Event::SeatTakenBack { .. }
            | Event::RegrantFlagged { .. }
            | Event::SeatConfirmed { .. }
            | Event::ForeignSeatSeen { .. }
            | Event::LapseEnded { .. }
            | Event::Queued { .. }
            | Event::Requeued { .. }
            | Event::Dequeued { .. }
            | Event::Installed { .. }
            | Event::InstallLicensed { .. }
            | Event::Uninstalled { .. }
            | Event::CommandRefused { .. }
            | Event::BatchRefused { .. }
            | Event::RefusalsCounted { .. }
            | Event::ReportRead { .. }
            | Event::CommandUnchanged { .. }
            | Event::LogRestored { .. }
            | Event::LogKeyRotated { .. } => Self::Nothing,
        }
    }
}

/// Adds what an event tells of something that is held back; gives the sync that it is held from.
pub(super) fn held_in(event: &Event, held: &mut HeldEndings) -> Option<SyncId> {
    if let Event::EndingsHeld { sync, cause, seats, .. } = event {
        held.seats.extend(seats.iter().map(|(pool, holder)| (*pool, *holder, *cause)));
        return *sync;
    }
    let Event::RemovalHeld { sync, pool, .. } = event else { return None };
    held.removals.push(*pool);
    Some(*sync)
}

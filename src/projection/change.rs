//! What a fact does to what a pool owns and how many seats of it are held: nothing else of it. Counts alone, so that a
//! course goes on from any known place without the seats before it.

use crate::domain::event::Event;
use crate::domain::facts::{AppPrice, DistributionPolicy, Owned, PoolState};
use crate::domain::ids::PoolId;
use crate::domain::rejection::RejectionClass;

/// One event's part in a pool's course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'e> {
    Listed {
        owned: Owned,
        distribution_policy: DistributionPolicy,
        price: Option<&'e AppPrice>,
    },
    Owned(Owned),
    DistributionPolicy(DistributionPolicy),
    Price(Option<&'e AppPrice>),
    State(PoolState),
    Removed,
    /// One seat more is held: granted by us.
    Granted,
    /// One seat more is held: seen at the store.
    Seen,
    /// One seat less is held.
    Given,
    /// A rule said no, so many times.
    Refused(u64),
    /// About the pool, and neither its counts nor its price.
    Other,
}

impl<'e> Change<'e> {
    /// Of an event that is about one pool, with the pool.
    #[must_use]
    pub fn of(event: &'e Event) -> Option<(PoolId, Self)> {
        let (pool, change) = match event {
            Event::PoolListed { pool, owned, distribution_policy, price, .. } => {
                let (owned, distribution_policy) = (*owned, *distribution_policy);
                (pool, Self::Listed { owned, distribution_policy, price: price.as_ref() })
            }
            Event::CapacityChanged { pool, owned, .. } => (pool, Self::Owned(*owned)),
            Event::DistributionPolicyChanged { pool, distribution_policy } => {
                (pool, Self::DistributionPolicy(*distribution_policy))
            }
            Event::PoolDetailsChanged { pool, price, .. } => (pool, Self::Price(price.as_ref())),
            Event::PoolDelisted { pool, .. } => (pool, Self::Removed),
            Event::PoolRelisted { pool } | Event::PoolResumed { pool } => (pool, Self::State(PoolState::Active)),
            Event::PoolSuspended { pool } => (pool, Self::State(PoolState::Suspended)),
            Event::SeatGranted { pool, .. } => (pool, Self::Granted),
            Event::ForeignSeatSeen { pool, .. } => (pool, Self::Seen),
            Event::SeatReleased { pool, .. } => (pool, Self::Given),
            // the receipt of a command that named nothing real or made no sense is no refusal
            Event::CommandRefused { pool: Some(pool), rejection, .. }
            | Event::BatchRefused { pool: Some(pool), rejection, .. } => {
                (pool, Self::Refused(u64::from(rejection.class() == RejectionClass::Conflict)))
            }
            Event::RefusalsCounted { pool: Some(pool), count, .. } => (pool, Self::Refused(*count)),

            Event::PoolNamed { pool, .. }
            | Event::PackagesListed { pool, .. }
            | Event::PrivateStoreVisibilityChanged { pool, .. }
            | Event::EntitlementDated { pool, .. }
            | Event::RefundLagSeen { pool, .. }
            | Event::RefundSettled { pool }
            | Event::ServingPaused { pool }
            | Event::ServingResumed { pool }
            | Event::StoreUsedStated { pool, .. }
            | Event::PoolPolicyChanged { pool, .. }
            | Event::DriftFound { pool, .. }
            | Event::RemovalHeld { pool, .. }
            | Event::AssignmentMade { pool, .. }
            | Event::AssignmentEnded { pool, .. }
            | Event::SeatTaken { pool, .. }
            | Event::SeatIdle { pool, .. }
            | Event::SeatReleasing { pool, .. }
            | Event::SeatReleaseSent { pool, .. }
            | Event::SeatReleaseRefused { pool, .. }
            | Event::SeatTakenBack { pool, .. }
            | Event::RegrantFlagged { pool, .. }
            | Event::SeatConfirmed { pool, .. }
            | Event::ForeignSeatAdopted { pool, .. }
            | Event::LapseEnded { pool, .. }
            | Event::Queued { pool, .. }
            | Event::Requeued { pool, .. }
            | Event::Dequeued { pool, .. }
            | Event::Installed { pool, .. }
            | Event::InstallLicensed { pool, .. }
            | Event::Uninstalled { pool, .. }
            | Event::RefundRecorded { pool, .. }
            | Event::OfflineLicenseIssued { pool, .. } => (pool, Self::Other),

            Event::CommandRefused { pool: None, .. }
            | Event::BatchRefused { pool: None, .. }
            | Event::RefusalsCounted { pool: None, .. }
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
            | Event::DriftResolved { .. }
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
            | Event::EndingsConfirmed { .. }
            | Event::MembersSkipped { .. }
            | Event::CommandUnchanged { .. }
            | Event::LogRestored { .. }
            | Event::LogKeyRotated { .. }
            | Event::ReportRead { .. }
            | Event::ReviewOpened { .. }
            | Event::ReviewDecided { .. }
            | Event::ReviewClosed { .. }
            | Event::ReviewCarriedOut { .. }
            | Event::ReviewEnded { .. }
            | Event::ReviewCancelled { .. } => return None,
        };
        Some((*pool, change))
    }
}

//! The small vocabularies that commands, events and state share: intents, modes, policies, settings.

use super::key::LicenseType;
use super::time::Day;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }
    };
}

words!(/** What an administrator wants for a target. */ Intent { Required, Available, Uninstall });
words!(/** What happens when a pool can't cover a whole target. */ Mode { AllOrNothing, Fill });
words!(/** Who holds the seats of an assignment, where the pool allows both. */ Licensing { User, Device });
words!(/** Whether the count limits anything. */ DistributionPolicy { Restricted, Open });
words!(/** What a group may hold; fixed at its creation. */ GroupKind { Users, Devices, Mixed });
words!(/** How a user left. */ DepartureCause { Deactivated, Deleted });
words!(/** What a credential may do. */ Role { Admin, Operator, Connector, Directory, Auditor });
words!(/** Who puts the app on the device. */ InstalledBy { Tool, Store });
words!(/** What becomes of a seat. */ KeepOrRelease { Keep, Release });
words!(/** What becomes of a pool that owes seats. */ DeficitPolicy { Plan, Reclaim });
words!(/** The life of a pool. */ PoolState { Active, Suspended, Removed });
words!(/** Why `owned` changed. */ CapacityCause { Purchase, Refund, Transfer, Expired, Unexplained, Delisted });
words!(/** Who may hold a seat of a pool. */ HeldBy { User, UserOrDevice });
words!(/** Why a seat was granted. */ GrantCause { Assignment, Coverage, Install, Queue, Command, Return, Regrant });
words!(
    /** Why a seat went, or is going. */
    ReleaseCause {
        Uninstalled, Unassigned, Uncovered, TimedOut, Departed, DeviceRetired, Reclaimed, DeficitPlan, RefusedByProvider,
        NotEnoughAtProvider, Lost, EndedAtStore, Reviewed, Ineligible,
    }
);

impl ReleaseCause {
    /// Ended by what a directory or a device reported: what the brake counts over an hour.
    #[must_use]
    pub fn is_counted_by_the_brake(self) -> bool {
        match self {
            Self::Uncovered | Self::Departed | Self::DeviceRetired => true,
            Self::Uninstalled
            | Self::Unassigned
            | Self::TimedOut
            | Self::Reclaimed
            | Self::DeficitPlan
            | Self::RefusedByProvider
            | Self::NotEnoughAtProvider
            | Self::Lost
            | Self::EndedAtStore
            | Self::Reviewed
            | Self::Ineligible => false,
        }
    }
}

words!(/** Why a holder left a queue without a seat. */ DequeueCause { Uncovered, Departed, Removed });
words!(/** Why an assignment ended. */ AssignmentEndCause { Unassigned, GroupDeleted, UserDeparted });
words!(/** Why a target's member got no seat. */ SkipReason { DeviceNotEligible, NoPrimaryUser, UserDeparted, DeviceRetired });
words!(/** Why an inventory item makes no pool. */ ItemSkipReason { EncryptedPackage, UnsupportedType });
words!(/** How a device is known to the organization. */ Join { Domain, Entra, Workplace, None });
words!(/** What a drift is about. */ DriftKind { OwnedFell, RefundNotSeen, StoreUsed });
words!(/** How a drift ended. */ DriftResolution { Refund, Agreed });

/// Seats that a provider says the tenant owns. Without limit is a value of its own, and 0 is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owned {
    Count(u64),
    Unlimited,
}

/// Per-pool choices of an administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub on_uninstall: KeepOrRelease,
    pub untargeted: KeepOrRelease,
    pub deficit: DeficitPolicy,
    /// As `on_uninstall` where not set.
    pub on_device_retirement: Option<KeepOrRelease>,
    pub reservation_timeout_days: Option<u32>,
}

/// What a policy command names; what it does not name stays. The inner option of the last two sets the value back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PolicyPatch {
    pub on_uninstall: Option<KeepOrRelease>,
    pub untargeted: Option<KeepOrRelease>,
    pub deficit: Option<DeficitPolicy>,
    pub on_device_retirement: Option<Option<KeepOrRelease>>,
    pub reservation_timeout_days: Option<Option<u32>>,
}

/// How many seats may end without a person's word: more than `share_percent` of those held and at least `at_least`
/// trips the brake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    pub share_percent: u32,
    pub at_least: u64,
}

/// A tenant's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub language: String,
    pub sync_enabled: bool,
    pub departure_grace_days: u32,
    pub return_window_days: u32,
    pub brake: Brake,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            language: "en-US".into(),
            sync_enabled: true,
            departure_grace_days: 0,
            return_window_days: 30,
            brake: Brake { share_percent: 20, at_least: 25 },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingsPatch {
    pub language: Option<String>,
    pub sync_enabled: Option<bool>,
    pub departure_grace_days: Option<u32>,
    pub return_window_days: Option<u32>,
    pub brake: Option<Brake>,
}

/// Money in the smallest unit of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPrice {
    pub currency: String,
    pub minor_units: u64,
}

/// What was given back for a refund.
pub type RefundAmount = AppPrice;

/// What a pool is, apart from its count and its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDetails {
    pub license_type: LicenseType,
    pub installed_by: InstalledBy,
    pub held_by: HeldBy,
    /// The provider grants seats itself: a grant is sent and confirmed, a release waits for its word.
    pub is_confirmed_by_provider: bool,
    pub is_irrevocable: bool,
    pub requires_windows_1511: bool,
    /// `true` where a Windows device must be joined to the organization and an Apple device enrolled.
    pub requires_eligible_device: bool,
    pub on_uninstall: KeepOrRelease,
    pub related_set: Option<String>,
}

impl PoolDetails {
    /// What a declared pool is where its item says nothing else.
    #[must_use]
    pub fn declared(license_type: LicenseType) -> Self {
        Self {
            license_type,
            installed_by: InstalledBy::Tool,
            held_by: HeldBy::UserOrDevice,
            is_confirmed_by_provider: false,
            is_irrevocable: false,
            requires_windows_1511: false,
            requires_eligible_device: false,
            on_uninstall: KeepOrRelease::Release,
            related_set: None,
        }
    }

    /// Whether both say the same of who is covered: who may hold, and which devices are eligible.
    #[must_use]
    pub fn covers_as(&self, other: &Self) -> bool {
        let read = |it: &Self| (it.held_by, it.requires_windows_1511, it.requires_eligible_device);
        read(self) == read(other)
    }
}

/// What decides whether a device may carry an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    pub platform: String,
    pub join: Join,
    pub is_enrolled: bool,
    pub os_build: Option<u32>,
    pub has_serial: bool,
}

/// What a sync found, in items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncCounts {
    pub listed: u32,
    pub changed: u32,
    pub delisted: u32,
    pub skipped: u32,
    pub unchanged: u32,
    pub pages: u32,
}

/// What a sync found in seats: all that the store showed, those among them that the ledger did not hold, and those of the
/// ledger's that two complete passes did not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SyncSeats {
    pub seen: u64,
    pub foreign: u64,
    pub lost: u64,
}

/// When an entitlement ends, if it does.
pub type EndsOn = Option<Day>;

//! The domain's words as the published contract lists them. A test holds them against the domain's own.

use utoipa::ToSchema;

macro_rules! words {
    ($case:tt: $($name:ident { $($word:ident),+ $(,)? })+) => {
        $(
            #[derive(Debug, serde::Serialize, serde::Deserialize, ToSchema)]
            #[serde(rename_all = $case)]
            pub(crate) enum $name { $($word),+ }
        )+
    };
}

words! { "snake_case":
    Intent { Required, Available, Uninstall }
    Mode { AllOrNothing, Fill }
    Licensing { User, Device }
    DistributionPolicy { Restricted, Open }
    GroupKind { Users, Devices, Mixed }
    DepartureCause { Deactivated, Deleted }
    Role { Admin, Operator, Connector, Directory, Auditor }
    InstalledBy { Tool, Store }
    KeepOrRelease { Keep, Release }
    DeficitPolicy { Plan, Reclaim }
    Join { Domain, Entra, Workplace, None }
    LicenseType { Online, Offline }
    SeatState { Reserved, InUse, Releasing, Foreign }
    PoolState { Active, Suspended, Removed }
    SyncState { Running, Completed, Failed }
    ReviewState { Open, Closing, Ended, Cancelled }
    DriftKind { OwnedFell, RefundNotSeen, StoreUsed }
    DriftResolution { Refund, Agreed }
    ReleaseCause {
        Uninstalled, Unassigned, Uncovered, TimedOut, Departed, DeviceRetired, Reclaimed, DeficitPlan, RefusedByProvider,
        NotEnoughAtProvider, Lost, EndedAtStore, Reviewed, Ineligible
    }
}

words! { "kebab-case":
    ItemSkipReason { EncryptedPackage, UnsupportedType }
    Provider { MicrosoftStore, AppleBusiness, Declared }
}

#[cfg(test)]
mod tests {
    use crate::domain::{facts, key, state};
    use serde::{Serialize, de::DeserializeOwned};

    fn same<Ours: Serialize, Domain: DeserializeOwned>(words: impl IntoIterator<Item = Ours>) {
        for word in words {
            let text = serde_json::to_string(&word).unwrap();
            assert!(serde_json::from_str::<Domain>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn the_contract_uses_the_domain_s_words() {
        use super::*;
        same::<_, facts::Intent>([Intent::Required, Intent::Available, Intent::Uninstall]);
        same::<_, facts::Mode>([Mode::AllOrNothing, Mode::Fill]);
        same::<_, facts::Licensing>([Licensing::User, Licensing::Device]);
        same::<_, facts::DistributionPolicy>([DistributionPolicy::Restricted, DistributionPolicy::Open]);
        same::<_, facts::GroupKind>([GroupKind::Users, GroupKind::Devices, GroupKind::Mixed]);
        same::<_, facts::DepartureCause>([DepartureCause::Deactivated, DepartureCause::Deleted]);
        same::<_, facts::Role>([Role::Admin, Role::Operator, Role::Connector, Role::Directory, Role::Auditor]);
        same::<_, facts::InstalledBy>([InstalledBy::Tool, InstalledBy::Store]);
        same::<_, facts::KeepOrRelease>([KeepOrRelease::Keep, KeepOrRelease::Release]);
        same::<_, facts::DeficitPolicy>([DeficitPolicy::Plan, DeficitPolicy::Reclaim]);
        same::<_, facts::Join>([Join::Domain, Join::Entra, Join::Workplace, Join::None]);
        same::<_, key::LicenseType>([LicenseType::Online, LicenseType::Offline]);
        same::<_, state::SeatState>([SeatState::Reserved, SeatState::InUse, SeatState::Releasing, SeatState::Foreign]);
        same::<_, facts::PoolState>([PoolState::Active, PoolState::Suspended, PoolState::Removed]);
        same::<_, state::SyncState>([SyncState::Running, SyncState::Completed, SyncState::Failed]);
        same::<_, state::ReviewState>([
            ReviewState::Open,
            ReviewState::Closing,
            ReviewState::Ended,
            ReviewState::Cancelled,
        ]);
        same::<_, facts::DriftKind>([DriftKind::OwnedFell, DriftKind::RefundNotSeen, DriftKind::StoreUsed]);
        same::<_, facts::DriftResolution>([DriftResolution::Refund, DriftResolution::Agreed]);
        same::<_, facts::ReleaseCause>([
            ReleaseCause::Uninstalled,
            ReleaseCause::Unassigned,
            ReleaseCause::Uncovered,
            ReleaseCause::TimedOut,
            ReleaseCause::Departed,
            ReleaseCause::DeviceRetired,
            ReleaseCause::Reclaimed,
            ReleaseCause::DeficitPlan,
            ReleaseCause::RefusedByProvider,
            ReleaseCause::NotEnoughAtProvider,
            ReleaseCause::Lost,
            ReleaseCause::EndedAtStore,
            ReleaseCause::Reviewed,
            ReleaseCause::Ineligible,
        ]);
        same::<_, key::Provider>([Provider::MicrosoftStore, Provider::AppleBusiness, Provider::Declared]);
    }
}

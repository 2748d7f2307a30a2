//! What kind of fact an event is, without the fact: its name outside and its number in an index.

use super::event::Event;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A text that names no kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a type of event")]
pub struct NotAnEventType;

macro_rules! event_types {
    ($($variant:ident => $name:literal,)+) => {
        /// In the order of [`Event`], so that the number of a type never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum EventType { $($variant),+ }

        impl EventType {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As in the log's JSON: `seat_granted`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        impl Event {
            #[must_use]
            pub const fn event_type(&self) -> EventType {
                match self { $(Self::$variant { .. } => EventType::$variant),+ }
            }

            #[must_use]
            pub const fn type_name(&self) -> &'static str {
                self.event_type().name()
            }
        }
    };
}

event_types! {
    TenantCreated => "tenant_created",
    TenantRenamed => "tenant_renamed",
    SettingsChanged => "settings_changed",
    TokenIssued => "token_issued",
    TokenRevoked => "token_revoked",
    StoreAccountLinked => "store_account_linked",
    StoreAccountChanged => "store_account_changed",
    ToolActivated => "tool_activated",
    ToolDeactivated => "tool_deactivated",
    SyncStarted => "sync_started",
    SyncCompleted => "sync_completed",
    SyncFailed => "sync_failed",
    ItemSkipped => "item_skipped",
    PoolListed => "pool_listed",
    PoolDetailsChanged => "pool_details_changed",
    PoolNamed => "pool_named",
    PackagesListed => "packages_listed",
    PrivateStoreVisibilityChanged => "private_store_visibility_changed",
    EntitlementDated => "entitlement_dated",
    CapacityChanged => "capacity_changed",
    RefundLagSeen => "refund_lag_seen",
    RefundSettled => "refund_settled",
    DistributionPolicyChanged => "distribution_policy_changed",
    PoolDelisted => "pool_delisted",
    PoolRelisted => "pool_relisted",
    PoolSuspended => "pool_suspended",
    PoolResumed => "pool_resumed",
    ServingPaused => "serving_paused",
    ServingResumed => "serving_resumed",
    StoreUsedStated => "store_used_stated",
    PoolPolicyChanged => "pool_policy_changed",
    DriftFound => "drift_found",
    DriftResolved => "drift_resolved",
    UserAdded => "user_added",
    UserChanged => "user_changed",
    UserDeparted => "user_departed",
    SeatsKept => "seats_kept",
    GraceEnded => "grace_ended",
    UserReturned => "user_returned",
    SeatsOffered => "seats_offered",
    DeviceAdded => "device_added",
    DeviceChanged => "device_changed",
    DeviceReincarnated => "device_reincarnated",
    DeviceRetired => "device_retired",
    DeviceReturned => "device_returned",
    GroupAdded => "group_added",
    MembersAdded => "members_added",
    MembersRemoved => "members_removed",
    GroupDeleted => "group_deleted",
    EndingsHeld => "endings_held",
    RemovalHeld => "removal_held",
    EndingsConfirmed => "endings_confirmed",
    AssignmentMade => "assignment_made",
    AssignmentEnded => "assignment_ended",
    MembersSkipped => "members_skipped",
    SeatGranted => "seat_granted",
    SeatTaken => "seat_taken",
    SeatIdle => "seat_idle",
    SeatReleasing => "seat_releasing",
    SeatReleaseSent => "seat_release_sent",
    SeatReleaseRefused => "seat_release_refused",
    SeatTakenBack => "seat_taken_back",
    RegrantFlagged => "regrant_flagged",
    SeatReleased => "seat_released",
    SeatConfirmed => "seat_confirmed",
    ForeignSeatSeen => "foreign_seat_seen",
    ForeignSeatAdopted => "foreign_seat_adopted",
    LapseEnded => "lapse_ended",
    Queued => "queued",
    Requeued => "requeued",
    Dequeued => "dequeued",
    Installed => "installed",
    InstallLicensed => "install_licensed",
    Uninstalled => "uninstalled",
    RefundRecorded => "refund_recorded",
    OfflineLicenseIssued => "offline_license_issued",
    CommandRefused => "command_refused",
    RefusalsCounted => "refusals_counted",
    CommandUnchanged => "command_unchanged",
    LogRestored => "log_restored",
    BatchRefused => "batch_refused",
    ReportRead => "report_read",
    ReviewOpened => "review_opened",
    ReviewDecided => "review_decided",
    ReviewClosed => "review_closed",
    ReviewCarriedOut => "review_carried_out",
    ReviewEnded => "review_ended",
    ReviewCancelled => "review_cancelled",
    LogKeyRotated => "log_key_rotated",
    SyncItemsTaken => "sync_items_taken",
    SyncSeatsCompared => "sync_seats_compared",
    StoreUnitLinked => "store_unit_linked",
    PoolsSeen => "pools_seen",
    NamesErased => "names_erased",
}

impl EventType {
    /// Its number in the log.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EventType {
    type Err = NotAnEventType;
    fn from_str(text: &str) -> Result<Self, NotAnEventType> {
        Self::ALL.iter().copied().find(|known| known.name() == text).ok_or(NotAnEventType)
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{PoolId, UserId};
    use serde::Deserialize as _;
    use serde::de::{self, Deserializer, Visitor};

    /// Hears which variants serde knows, and reads nothing.
    struct Variants<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Variants<'_> {
        type Error = de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("an enum was expected"))
        }

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _name: &'static str,
            variants: &'static [&'static str],
            _visitor: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = variants;
            Err(de::Error::custom("heard enough"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }

    #[test]
    fn types_are_the_tags_of_serde_in_the_order_of_the_log() {
        let mut tags: &[&str] = &[];
        assert!(Event::deserialize(Variants(&mut tags)).is_err());
        let names: Vec<_> = EventType::ALL.iter().map(|known| known.name()).collect();
        assert_eq!(names, tags);
        for (number, known) in EventType::ALL.iter().enumerate() {
            assert_eq!(usize::from(known.number()), number);
            assert_eq!(known.name().parse(), Ok(*known));
        }
        assert_eq!("seat_lent".parse::<EventType>(), Err(NotAnEventType));
        let event = Event::SeatConfirmed { pool: PoolId(1), holder: UserId(2).into() };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json.as_object().unwrap().keys().next().unwrap(), event.type_name());
    }
}

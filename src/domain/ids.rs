//! The ledger's own ids: dense integers, given in order, never used twice. In the log they are varints, for people they
//! read `user_42`. No outside name lives here.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A text that is not an id of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of this kind")
    }
}

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// What stands before the number in the form for people.
            pub const PREFIX: &'static str = $prefix;

            /// The place of this id in a vector of its kind.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The id of the entry at this place.
            #[must_use]
            pub fn at(index: usize) -> Self {
                Self(u32::try_from(index).expect("a tenant has fewer than 2^32 of a kind"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let digits = text.strip_prefix($prefix).ok_or(NotAnId)?;
                let canonical = digits == "0" || (!digits.is_empty() && !digits.starts_with('0'));
                if !canonical || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(NotAnId);
                }
                digits.parse().map(Self).map_err(|_| NotAnId)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u32(self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    let text = String::deserialize(d)?;
                    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a {}id", $prefix)))
                } else {
                    u32::deserialize(d).map(Self)
                }
            }
        }
    };
}

dense_id!(/** One organization; inside the log only. */ TenantId, "tenant_");
dense_id!(/** One counted stock of seats. */ PoolId, "pool_");
dense_id!(/** A person, whatever the directory calls them today. */ UserId, "user_");
dense_id!(/** A machine, through all its incarnations. */ DeviceId, "device_");
dense_id!(/** A set of users, of devices or of both. */ GroupId, "group_");
dense_id!(/** An administrator's statement that a target should have an app. */ AssignmentId, "assignment_");
dense_id!(/** One pass over a provider's inventory. */ SyncId, "sync_");
dense_id!(/** A difference between store and ledger. */ DriftId, "drift_");
dense_id!(/** Seat endings that wait for a person's confirmation. */ HeldId, "held_");
dense_id!(/** A credential. */ TokenId, "token_");
dense_id!(/** One entry of the app view. */ AppId, "app_");
dense_id!(/** One look at who holds what, and whether they still should. */ ReviewId, "review_");

/// A person or a device as the vault knows it: the name of an encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubjectId(pub u64);

impl SubjectId {
    /// No key has this number.
    pub const NOBODY: Self = Self(u64::MAX);
}

/// Who occupies a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    User(UserId),
    Device(DeviceId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Device(device) => write!(f, "device:{device}"),
        }
    }
}

impl FromStr for Holder {
    type Err = NotAnId;
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if let Some(user) = text.strip_prefix("user:") {
            return user.parse().map(Self::User);
        }
        text.strip_prefix("device:").ok_or(NotAnId)?.parse().map(Self::Device)
    }
}

impl Holder {
    /// Users by id, then devices by id; as one number, since maps of holders compare little else.
    pub(super) const fn rank(self) -> u64 {
        match self {
            Self::User(user) => user.0 as u64,
            Self::Device(device) => 1 << 32 | device.0 as u64,
        }
    }
}

impl Ord for Holder {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Holder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<UserId> for Holder {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<DeviceId> for Holder {
    fn from(device: DeviceId) -> Self {
        Self::Device(device)
    }
}

/// In the log: twice the id, plus one for a device, so that a common holder is one byte.
impl Serialize for Holder {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            return s.collect_str(self);
        }
        s.serialize_u64(match self {
            Self::User(user) => u64::from(user.0) * 2,
            Self::Device(device) => u64::from(device.0) * 2 + 1,
        })
    }
}

impl<'de> Deserialize<'de> for Holder {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            return text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a holder")));
        }
        let packed = u64::deserialize(d)?;
        let id = u32::try_from(packed / 2).map_err(|_| D::Error::custom("a holder's id does not fit"))?;
        Ok(if packed % 2 == 0 { Self::User(UserId(id)) } else { Self::Device(DeviceId(id)) })
    }
}

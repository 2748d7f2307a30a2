//! Whom an assignment is for, as facts name it.

use crate::domain::ids::{DeviceId, GroupId, UserId};
use serde::{Deserialize, Serialize};

/// Whom an assignment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    User(UserId),
    Device(DeviceId),
    Group { group: GroupId, exclude: Option<GroupId> },
}

impl Target {
    /// Whether both are for the same: what is excluded is part of an assignment, not of whom it is for.
    #[must_use]
    pub fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Group { group, .. }, Self::Group { group: other, .. }) => group == other,
            (Self::User(_) | Self::Device(_) | Self::Group { .. }, _) => self == other,
        }
    }
}

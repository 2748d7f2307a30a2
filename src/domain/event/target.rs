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

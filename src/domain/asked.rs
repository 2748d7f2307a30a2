//! What was asked, in few words: for the records of commands that were refused or changed nothing. Not here: commands.

use super::ids::{AssignmentId, DeviceId, GroupId, HeldId, Holder, PoolId, ReviewId, SyncId, TokenId, UserId};
use super::key::Provider;
use serde::{Deserialize, Serialize};

/// What a command was about, for the record that it changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    Tenant,
    Token(TokenId),
    Pool(PoolId),
    User(UserId),
    Device(DeviceId),
    Group(GroupId),
    Assignment(AssignmentId),
    Sync(SyncId),
    Held(HeldId),
    Seat { pool: PoolId, holder: Holder },
    Install { pool: PoolId, device: DeviceId, user: Option<UserId> },
    Tool,
    StoreAccount(Provider),
    Review(ReviewId),
}

/// The kind of a command, for refusals and counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    RenameTenant,
    ChangeSettings,
    IssueToken,
    RevokeToken,
    LinkStoreAccount,
    ActivateTool,
    DeactivateTool,
    StartSync,
    ConfirmSync,
    Assign,
    Unassign,
    Install,
    Uninstall,
    Reclaim,
    Adopt,
    Grant,
    Refund,
    IssueOfflineLicense,
    SetPolicy,
    ResolveDeficit,
    ConfirmHeld,
    Inventory,
    PutUser,
    Depart,
    Return,
    PutGroup,
    DeleteGroup,
    PutDevice,
    RetireDevice,
    Provider,
    Tick,
    ReadReport,
    OpenReview,
    DecideReview,
    EndReview,
    CancelReview,
    RotateLogKey,
    EndSync,
    LinkStoreUnit,
    Erase,
}

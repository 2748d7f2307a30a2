//! The kinds of commands and observations that HTTP takes: what each is called, who may send it, what a good answer's
//! status is. Not here: their fields.

use crate::domain::facts::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One kind of command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Assign,
    Unassign,
    Install,
    Uninstall,
    Depart,
    Return,
    Refund,
    Reclaim,
    Adopt,
    Grant,
    SetPolicy,
    ResolveDeficit,
    PutUser,
    PutGroup,
    DeleteGroup,
    PutDevice,
    RetireDevice,
    IssueOfflineLicense,
    PutInventory,
    ChangeSettings,
    LinkStoreAccount,
    PutTool,
    DeleteTool,
    StartSync,
    ConfirmSync,
    ConfirmHeld,
    RevokeToken,
}

impl Kind {
    /// The kind as it is written, if it may stand in `POST /commands`.
    #[must_use]
    pub(crate) fn of_bulk(name: &str) -> Option<Self> {
        let kind: Self = serde_json::from_value(name.into()).ok()?;
        kind.is_bulk().then_some(kind)
    }

    #[must_use]
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn is_bulk(self) -> bool {
        match self {
            Self::Assign
            | Self::Unassign
            | Self::Install
            | Self::Uninstall
            | Self::Depart
            | Self::Return
            | Self::Refund
            | Self::Reclaim
            | Self::Adopt
            | Self::Grant
            | Self::SetPolicy
            | Self::ResolveDeficit
            | Self::PutUser
            | Self::PutGroup
            | Self::DeleteGroup
            | Self::PutDevice
            | Self::RetireDevice
            | Self::IssueOfflineLicense => true,
            Self::PutInventory
            | Self::ChangeSettings
            | Self::LinkStoreAccount
            | Self::PutTool
            | Self::DeleteTool
            | Self::StartSync
            | Self::ConfirmSync
            | Self::ConfirmHeld
            | Self::RevokeToken => false,
        }
    }

    /// Who may send it, besides an admin and root.
    #[must_use]
    pub(crate) fn roles(self) -> &'static [Role] {
        match self {
            Self::Assign
            | Self::Unassign
            | Self::Refund
            | Self::Reclaim
            | Self::Adopt
            | Self::Grant
            | Self::ResolveDeficit
            | Self::IssueOfflineLicense
            | Self::StartSync
            | Self::ConfirmSync => &[Role::Operator],
            Self::Install | Self::Uninstall => &[Role::Operator, Role::Connector],
            Self::PutDevice | Self::RetireDevice | Self::PutInventory => &[Role::Connector],
            Self::Depart | Self::Return | Self::PutUser | Self::PutGroup | Self::DeleteGroup | Self::ConfirmHeld => {
                &[Role::Directory]
            }
            Self::SetPolicy
            | Self::ChangeSettings
            | Self::LinkStoreAccount
            | Self::PutTool
            | Self::DeleteTool
            | Self::RevokeToken => &[],
        }
    }

    /// Whether something that is new answers 201.
    #[must_use]
    pub(crate) fn makes_something(self) -> bool {
        match self {
            Self::Assign
            | Self::Install
            | Self::Refund
            | Self::PutUser
            | Self::PutGroup
            | Self::PutDevice
            | Self::IssueOfflineLicense
            | Self::LinkStoreAccount => true,
            Self::Unassign
            | Self::Uninstall
            | Self::Depart
            | Self::Return
            | Self::Reclaim
            | Self::Adopt
            | Self::Grant
            | Self::SetPolicy
            | Self::ResolveDeficit
            | Self::DeleteGroup
            | Self::RetireDevice
            | Self::PutInventory
            | Self::ChangeSettings
            | Self::PutTool
            | Self::DeleteTool
            | Self::StartSync
            | Self::ConfirmSync
            | Self::ConfirmHeld
            | Self::RevokeToken => false,
        }
    }
}

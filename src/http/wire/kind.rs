//! The kinds of commands and observations that HTTP takes: what each is called, who may send it, what a good answer's
//! status is. Not here: their fields.

use crate::domain::facts::Role;
use serde::de::value::BorrowedStrDeserializer;
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
    Erase,
    PutInventory,
    ChangeSettings,
    LinkStoreAccount,
    PutTool,
    DeleteTool,
    StartSync,
    ConfirmSync,
    ConfirmHeld,
    RevokeToken,
    OpenReview,
    DecideReview,
    EndReview,
    CancelReview,
}

/// What may stand in a list of commands
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BulkKind {
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
    Erase,
    DecideReview,
}

fn read<'w, T: Deserialize<'w>>(word: &'w str) -> Option<T> {
    let word: BorrowedStrDeserializer<'_, serde::de::value::Error> = BorrowedStrDeserializer::new(word);
    T::deserialize(word).ok()
}

impl Kind {
    /// The kind as it is written, if it may stand in `POST /commands`.
    #[must_use]
    pub(crate) fn of_bulk(name: &str) -> Option<Self> {
        read::<BulkKind>(name)?;
        read(name)
    }

    pub(crate) const ALL: [Self; 32] = [
        Self::Assign,
        Self::Unassign,
        Self::Install,
        Self::Uninstall,
        Self::Depart,
        Self::Return,
        Self::Refund,
        Self::Reclaim,
        Self::Adopt,
        Self::Grant,
        Self::SetPolicy,
        Self::ResolveDeficit,
        Self::PutUser,
        Self::PutGroup,
        Self::DeleteGroup,
        Self::PutDevice,
        Self::RetireDevice,
        Self::IssueOfflineLicense,
        Self::Erase,
        Self::PutInventory,
        Self::ChangeSettings,
        Self::LinkStoreAccount,
        Self::PutTool,
        Self::DeleteTool,
        Self::StartSync,
        Self::ConfirmSync,
        Self::ConfirmHeld,
        Self::RevokeToken,
        Self::OpenReview,
        Self::DecideReview,
        Self::EndReview,
        Self::CancelReview,
    ];

    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Assign => "assign",
            Self::Unassign => "unassign",
            Self::Install => "install",
            Self::Uninstall => "uninstall",
            Self::Depart => "depart",
            Self::Return => "return",
            Self::Refund => "refund",
            Self::Reclaim => "reclaim",
            Self::Adopt => "adopt",
            Self::Grant => "grant",
            Self::SetPolicy => "set_policy",
            Self::ResolveDeficit => "resolve_deficit",
            Self::PutUser => "put_user",
            Self::PutGroup => "put_group",
            Self::DeleteGroup => "delete_group",
            Self::PutDevice => "put_device",
            Self::RetireDevice => "retire_device",
            Self::IssueOfflineLicense => "issue_offline_license",
            Self::Erase => "erase",
            Self::PutInventory => "put_inventory",
            Self::ChangeSettings => "change_settings",
            Self::LinkStoreAccount => "link_store_account",
            Self::PutTool => "put_tool",
            Self::DeleteTool => "delete_tool",
            Self::StartSync => "start_sync",
            Self::ConfirmSync => "confirm_sync",
            Self::ConfirmHeld => "confirm_held",
            Self::RevokeToken => "revoke_token",
            Self::OpenReview => "open_review",
            Self::DecideReview => "decide_review",
            Self::EndReview => "end_review",
            Self::CancelReview => "cancel_review",
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
            | Self::ConfirmSync
            | Self::OpenReview
            | Self::EndReview
            | Self::CancelReview => &[Role::Operator],
            // and not each of them: see `Caller::must_review`
            Self::DecideReview => &[Role::Operator, Role::Auditor],
            Self::Install | Self::Uninstall => &[Role::Operator, Role::Connector],
            Self::PutDevice | Self::RetireDevice | Self::PutInventory => &[Role::Connector],
            Self::Depart | Self::Return | Self::PutUser | Self::PutGroup | Self::DeleteGroup | Self::ConfirmHeld => {
                &[Role::Directory]
            }
            Self::Erase
            | Self::SetPolicy
            | Self::ChangeSettings
            | Self::LinkStoreAccount
            | Self::PutTool
            | Self::DeleteTool
            | Self::RevokeToken => &[],
        }
    }

    /// Whether what it is about, where it is there, has an ETag that If-Match is compared with.
    #[must_use]
    pub(crate) fn has_etag(self) -> bool {
        match self {
            Self::Unassign
            | Self::Depart
            | Self::Return
            | Self::SetPolicy
            | Self::PutUser
            | Self::PutGroup
            | Self::DeleteGroup
            | Self::PutDevice
            | Self::RetireDevice
            | Self::Erase
            | Self::LinkStoreAccount
            | Self::EndReview
            | Self::CancelReview => true,
            Self::Assign
            | Self::Install
            | Self::Uninstall
            | Self::Refund
            | Self::Reclaim
            | Self::Adopt
            | Self::Grant
            | Self::ResolveDeficit
            | Self::IssueOfflineLicense
            | Self::PutInventory
            | Self::ChangeSettings
            | Self::PutTool
            | Self::DeleteTool
            | Self::StartSync
            | Self::ConfirmSync
            | Self::ConfirmHeld
            | Self::RevokeToken
            | Self::OpenReview
            | Self::DecideReview => false,
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
            | Self::LinkStoreAccount
            | Self::OpenReview => true,
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
            | Self::Erase
            | Self::PutInventory
            | Self::ChangeSettings
            | Self::PutTool
            | Self::DeleteTool
            | Self::StartSync
            | Self::ConfirmSync
            | Self::ConfirmHeld
            | Self::RevokeToken
            | Self::DecideReview
            | Self::EndReview
            | Self::CancelReview => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::PartialSchema as _;

    #[test]
    fn what_may_stand_in_a_list_is_a_kind_by_the_same_name() {
        let words = |schema: serde_json::Value| -> Vec<String> {
            schema["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let bulk = words(serde_json::to_value(BulkKind::schema()).unwrap());
        assert_eq!(bulk.len(), 20);
        let all = words(serde_json::to_value(Kind::schema()).unwrap());
        assert_eq!(all, Kind::ALL.map(Kind::name));
        assert!((0..).zip(Kind::ALL).all(|(place, kind)| kind as usize == place));
        for word in all {
            let kind = Kind::of_bulk(&word);
            assert_eq!(kind.map(Kind::name), bulk.contains(&word).then_some(word.as_str()));
            assert_eq!(read::<Kind>(&word).map(Kind::name), Some(word.as_str()));
        }
        assert!(bulk.iter().all(|word| Kind::of_bulk(word).is_some()));
    }
}

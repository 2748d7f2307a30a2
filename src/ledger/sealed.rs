//! What the doors have of the vault: names looked up and opened, and hashes that nobody can try guesses at.

use super::Ledger;
use crate::domain::command::{DeviceRef, UserRef};
use crate::domain::ids::{DeviceId, TenantId, UserId};
use crate::domain::personal::{AliasKind, DeviceNames, Personal, UserProfile};
use crate::vault::{read_device, read_user, user_name_blind};

impl Ledger {
    /// `user_42` is the ledger's id, anything else a user name; `name:` in front forces a name.
    #[must_use]
    pub fn user_ref(&self, tenant: TenantId, text: &str) -> UserRef {
        match (text.strip_prefix("name:"), text.parse::<UserId>()) {
            (None, Ok(id)) => UserRef::Id(id),
            (forced, _) => UserRef::Name(user_name_blind(&self.0.vault, tenant.0, forced.unwrap_or(text))),
        }
    }

    /// `device_7` is the ledger's id, anything else a serial number or device id; `name:` in front forces a name. Blanks around
    /// it are no part of it.
    #[must_use]
    pub fn device_ref(&self, tenant: TenantId, text: &str) -> DeviceRef {
        match (text.strip_prefix("name:"), text.parse::<DeviceId>()) {
            (None, Ok(id)) => DeviceRef::Id(id),
            (forced, _) => {
                let name = forced.unwrap_or(text).trim();
                let blind = |kind| self.0.vault.blind(tenant.0, kind, name);
                DeviceRef::Name { serial: blind(AliasKind::Serial), device_id: blind(AliasKind::DeviceId) }
            }
        }
    }

    /// Opens a seal; `None` once the person is erased.
    #[must_use]
    pub fn user_profile(&self, personal: &Personal) -> Option<UserProfile> {
        read_user(&self.0.vault, personal)
    }

    /// Whether a seal can't be opened because its key was destroyed.
    #[must_use]
    pub fn is_erased(&self, personal: &Personal) -> bool {
        self.0.vault.is_erased(personal.subject)
    }

    /// Rises with every erasure: what was read of names before it may hold what is gone.
    #[must_use]
    pub fn erasures(&self) -> u64 {
        self.0.vault.erasures()
    }

    #[must_use]
    pub fn device_names(&self, personal: &Personal) -> Option<DeviceNames> {
        read_device(&self.0.vault, personal)
    }

    /// Of a secret that a command brings and no record may show: enough to tell the same command from another one.
    #[must_use]
    pub fn fingerprint(&self, tenant: TenantId, secret: &[u8]) -> [u8; 32] {
        self.0.vault.fingerprint(tenant.0, secret)
    }

    /// The hash of a command's content as its records have it, of the one that the door made; and the other way round, for an
    /// export, which opens the names as well. Without an id there is none.
    #[must_use]
    pub fn masked(&self, tenant: TenantId, command_id: Option<&str>, content_hash: u64) -> u64 {
        command_id.map_or(content_hash, |id| self.0.vault.masked(tenant.0, id, content_hash))
    }
}

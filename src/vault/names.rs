//! Names into seals and back, with the hashes that look-ups go by.

use super::Vault;
use crate::domain::event::Event;
use crate::domain::ids::SubjectId;
use crate::domain::personal::{Alias, AliasKind, Blind, DeviceNames, Personal, UserProfile, normalized_user_name};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

/// What a person is called, sealed for `subject`.
#[must_use]
pub fn seal_user(vault: &Vault, tenant: u32, subject: SubjectId, profile: &UserProfile) -> Personal {
    let text = serde_json::to_vec(profile).expect("strings can be written as JSON");
    Personal { subject, sealed: vault.seal(subject, &text), aliases: user_aliases(vault, tenant, profile) }
}

/// What a device is called, sealed for `subject`.
#[must_use]
pub fn seal_device(vault: &Vault, tenant: u32, subject: SubjectId, names: &DeviceNames) -> Personal {
    let text = serde_json::to_vec(names).expect("strings can be written as JSON");
    Personal { subject, sealed: vault.seal(subject, &text), aliases: device_aliases(vault, tenant, names) }
}

/// For a trial: found by the same look-ups, equal for equal names, opened by no key.
#[must_use]
pub fn seal_user_for_nobody(vault: &Vault, tenant: u32, nobody: SubjectId, profile: &UserProfile) -> Personal {
    let text = serde_json::to_vec(profile).expect("strings can be written as JSON");
    Personal { subject: nobody, sealed: Sha256::digest(text).to_vec(), aliases: user_aliases(vault, tenant, profile) }
}

/// As [`seal_user_for_nobody`].
#[must_use]
pub fn seal_device_for_nobody(vault: &Vault, tenant: u32, nobody: SubjectId, names: &DeviceNames) -> Personal {
    let text = serde_json::to_vec(names).expect("strings can be written as JSON");
    Personal { subject: nobody, sealed: Sha256::digest(text).to_vec(), aliases: device_aliases(vault, tenant, names) }
}

/// The hash by which a user name is found.
#[must_use]
pub fn user_name_blind(vault: &Vault, tenant: u32, name: &str) -> Blind {
    vault.blind(tenant, AliasKind::UserName, &normalized_user_name(name))
}

#[must_use]
pub fn read_user(vault: &Vault, personal: &Personal) -> Option<UserProfile> {
    read(vault, personal)
}

#[must_use]
pub fn read_device(vault: &Vault, personal: &Personal) -> Option<DeviceNames> {
    read(vault, personal)
}

fn read<T: DeserializeOwned>(vault: &Vault, personal: &Personal) -> Option<T> {
    let text = vault.open_seal(personal.subject, &personal.sealed).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Finds the hashes that a stored event does not carry. An erased subject has none.
pub fn reveal(vault: &Vault, tenant: u32, event: &mut Event) {
    if let Event::UserAdded { profile, .. } | Event::UserChanged { profile, .. } = event {
        profile.aliases =
            read_user(vault, profile).map(|names| user_aliases(vault, tenant, &names)).unwrap_or_default();
    }
    if let Event::DeviceAdded { names, .. } | Event::DeviceChanged { names, .. } = event {
        names.aliases =
            read_device(vault, names).map(|names| device_aliases(vault, tenant, &names)).unwrap_or_default();
    }
}

fn user_aliases(vault: &Vault, tenant: u32, profile: &UserProfile) -> Vec<Alias> {
    vec![Alias { kind: AliasKind::UserName, blind: user_name_blind(vault, tenant, &profile.user_name) }]
}

fn device_aliases(vault: &Vault, tenant: u32, names: &DeviceNames) -> Vec<Alias> {
    let of =
        |kind, name: &Option<String>| name.as_ref().map(|name| Alias { kind, blind: vault.blind(tenant, kind, name) });
    of(AliasKind::Serial, &names.serial).into_iter().chain(of(AliasKind::DeviceId, &names.device_id)).collect()
}

//! Whose key seals the names of a submission: a known subject's, or that of somebody new. Not here: making keys.

use crate::domain::command::{Command, DeviceRef, Intake, Observation, UserRef};
use crate::domain::ids::{Holder, SubjectId, TenantId};
use crate::domain::key::Provider;
use crate::domain::personal::{AliasKind, DeviceNames, Personal, UserProfile};
use crate::domain::state::Tenant;
use crate::log::submission::Ask;
use crate::vault::{Vault, seal_device, seal_device_for_nobody, seal_user, seal_user_for_nobody};

pub(super) fn known_user(state: &Tenant, user: UserRef) -> Option<SubjectId> {
    let user = match user {
        UserRef::Id(id) => Some(id),
        UserRef::Name(name) => state.names.user(name),
    };
    user.and_then(|user| subject_of(state, user.into()))
}

/// Nobody's where the names were erased: the judge refuses to learn new ones, and no key is made for that.
fn subject_of(state: &Tenant, holder: Holder) -> Option<SubjectId> {
    state.names.of(holder).map(|stored| if stored.is_erased() { SubjectId::NOBODY } else { stored.personal.subject })
}

pub(super) fn known_device(
    vault: &Vault,
    tenant: TenantId,
    state: &Tenant,
    device: DeviceRef,
    names: &DeviceNames,
) -> Option<SubjectId> {
    let blind = |kind, name: &Option<String>| name.as_ref().map(|name| vault.blind(tenant.0, kind, name));
    let by_serial = blind(AliasKind::Serial, &names.serial).and_then(|serial| state.names.device_by_serial(serial));
    let by_path = match device {
        DeviceRef::Id(id) => Some(id).filter(|id| id.index() < state.devices.len()),
        DeviceRef::Name { serial, device_id } => {
            state.names.device_by_serial(serial).or_else(|| state.names.device_by_device_id(device_id))
        }
    };
    let by_id = || blind(AliasKind::DeviceId, &names.device_id).and_then(|id| state.names.device_by_device_id(id));
    by_serial.or(by_path).or_else(by_id).and_then(|device| subject_of(state, device.into()))
}

pub(super) fn sealed_user(vault: &Vault, tenant: TenantId, subject: SubjectId, profile: &UserProfile) -> Personal {
    let seal = if subject == SubjectId::NOBODY { seal_user_for_nobody } else { seal_user };
    seal(vault, tenant.0, subject, profile)
}

pub(super) fn sealed_device(vault: &Vault, tenant: TenantId, subject: SubjectId, names: &DeviceNames) -> Personal {
    let seal = if subject == SubjectId::NOBODY { seal_device_for_nobody } else { seal_device };
    seal(vault, tenant.0, subject, names)
}

/// What a tool reports of a device, as the judge takes it.
pub(super) fn put_device(
    device: DeviceRef,
    names: Personal,
    facts: crate::domain::facts::DeviceFacts,
    primary_user: Option<UserRef>,
) -> Intake {
    let identity = names.aliases.iter().find(|alias| alias.kind == AliasKind::DeviceId).map(|alias| alias.blind);
    Intake::Observation(Observation::PutDevice { device, names, identity, facts, primary_user })
}

/// Says of what is to be linked whether another tenant has it.
fn told_of_others(mut command: Command, is_linked: impl Fn(Provider, &str) -> bool) -> Command {
    if let Command::LinkStoreAccount { provider, account_id: name, is_linked_elsewhere, .. }
    | Command::LinkStoreUnit { provider, unit: name, is_linked_elsewhere } = &mut command
    {
        *is_linked_elsewhere = is_linked(*provider, name);
    }
    command
}

/// The same by the other tenants themselves.
pub(super) fn with_others<'t>(command: Command, others: impl Iterator<Item = &'t Tenant> + Clone) -> Command {
    told_of_others(command, |provider, name| {
        others.clone().filter_map(|other| other.accounts.get(&provider)).any(|account| account.has(provider, name))
    })
}

/// Turns a submission into what the judge takes, for a trial on a copy of the state: somebody new gets no key, and a seal
/// that nothing opens.
#[must_use]
pub fn trial_intake(
    vault: &Vault,
    tenant: TenantId,
    state: &Tenant,
    is_linked_elsewhere: impl Fn(Provider, &str) -> bool,
    ask: Ask,
) -> Intake {
    match ask {
        Ask::Intake(Intake::Command(command)) => Intake::Command(told_of_others(command, is_linked_elsewhere)),
        Ask::Intake(observation @ Intake::Observation(_)) => observation,
        Ask::PutUser { user, profile } => {
            let profile = sealed_user(vault, tenant, known_user(state, user).unwrap_or(SubjectId::NOBODY), &profile);
            Intake::Observation(Observation::PutUser { user, profile })
        }
        Ask::PutDevice { device, names, facts, primary_user } => {
            let subject = known_device(vault, tenant, state, device, &names).unwrap_or(SubjectId::NOBODY);
            let names = sealed_device(vault, tenant, subject, &names);
            put_device(device, names, facts, primary_user)
        }
    }
}

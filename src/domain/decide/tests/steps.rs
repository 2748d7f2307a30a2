//! The words in which a test says what happens. Names are those of `scenario`; where no pool is named, it is `office`.

use super::scenario::{DEVICES, PEOPLE, POOLS, Step, device, holder, user};
use crate::domain::command::{
    Command, DeviceRef, GroupRef, HolderRef, Intake, Inventory, InventoryItem, Observation, PoolRef, ProviderReport,
    RefundOrder, TargetRef, UserRef,
};
use crate::domain::facts::{
    AppPrice, DeficitPolicy, DepartureCause, DeviceFacts, DistributionPolicy, GroupKind, HeldBy, InstalledBy, Intent,
    Join, KeepOrRelease, Licensing, Mode, Owned, PolicyPatch, PoolDetails, SettingsPatch,
};
use crate::domain::ids::{AssignmentId, Holder, PoolId, SubjectId};
use crate::domain::key::{LicenseType, PoolKey, Provider};
use crate::domain::personal::{Alias, AliasKind, Blind, Personal};
use crate::domain::time::{DAY_MICROS, Day};

/// The kinds of pool of rules.md §5, with the irrevocable ones apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Online,
    Offline,
    Apple,
    Books,
    Declared,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Online, Self::Offline, Self::Apple, Self::Books, Self::Declared];

    pub(super) fn provider(self) -> Provider {
        match self {
            Self::Online | Self::Offline => Provider::MicrosoftStore,
            Self::Apple | Self::Books => Provider::AppleBusiness,
            Self::Declared => Provider::Declared,
        }
    }

    pub(super) fn is_confirmed(self) -> bool {
        match self {
            Self::Online | Self::Apple | Self::Books => true,
            Self::Offline | Self::Declared => false,
        }
    }

    fn key(self, name: &str) -> PoolKey {
        let name = name.to_owned();
        match self {
            Self::Online | Self::Offline => {
                let license_type = if self == Self::Online { LicenseType::Online } else { LicenseType::Offline };
                PoolKey::Microsoft { product_id: name, sku_id: "0016".into(), license_type }
            }
            Self::Apple | Self::Books => {
                PoolKey::Apple { unit_id: "unit".into(), adam_id: name, pricing_param: "STDQ".into() }
            }
            Self::Declared => PoolKey::Declared { sku: name },
        }
    }

    fn details(self) -> PoolDetails {
        let is_microsoft = self.provider() == Provider::MicrosoftStore;
        PoolDetails {
            license_type: if self == Self::Offline { LicenseType::Offline } else { LicenseType::Online },
            installed_by: if self == Self::Offline { InstalledBy::Tool } else { InstalledBy::Store },
            held_by: if self == Self::Online { HeldBy::User } else { HeldBy::UserOrDevice },
            is_confirmed_by_provider: self.is_confirmed(),
            is_irrevocable: self == Self::Books,
            requires_windows_1511: is_microsoft,
            requires_eligible_device: self != Self::Declared,
            on_uninstall: match self {
                Self::Apple | Self::Books => KeepOrRelease::Keep,
                Self::Online | Self::Offline | Self::Declared => KeepOrRelease::Release,
            },
            related_set: None,
        }
    }
}

pub(super) fn blind(kind: u8, name: &str) -> Blind {
    let mut bytes = [0; 16];
    bytes[0] = kind;
    for (place, byte) in bytes[1..].iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    Blind(bytes)
}

fn personal(subject: usize, aliases: Vec<Alias>) -> Personal {
    Personal { subject: SubjectId(subject as u64), sealed: vec![u8::try_from(subject).expect("few subjects")], aliases }
}

pub(super) fn command(command: Command) -> Step {
    Intake::Command(command).into()
}

pub(super) fn observed(observation: Observation) -> Step {
    Intake::Observation(observation).into()
}

/// What every scenario starts with: the people, their devices, and both store accounts.
pub(super) fn the_usual() -> Vec<Step> {
    let mut steps: Vec<Step> = [Provider::MicrosoftStore, Provider::AppleBusiness]
        .map(|provider| {
            let (account_id, settings) = (provider.name().to_owned(), "{}".to_owned());
            command(Command::LinkStoreAccount { provider, account_id, settings, is_linked_elsewhere: false })
        })
        .into();
    steps.extend(PEOPLE.iter().map(|name| person_put(UserRef::Name(blind(0, name)), name)));
    steps.extend(DEVICES.iter().map(|(name, ..)| device_put(name, |_| {})));
    steps
}

/// A person, under this name from now on.
pub(super) fn person_put(who: UserRef, name: &str) -> Step {
    let place = PEOPLE.iter().position(|known| *known == name).unwrap_or(PEOPLE.len());
    let profile = personal(place, vec![Alias { kind: AliasKind::UserName, blind: blind(0, name) }]);
    observed(Observation::PutUser { user: who, profile })
}

/// A device as the table has it, but for what is changed here.
pub(super) fn device_put(name: &str, change: impl Fn(&mut DeviceFacts)) -> Step {
    let place = device(name).index();
    let (_, primary, build) = DEVICES[place];
    let has_serial = name != "byod";
    let mut facts =
        DeviceFacts { platform: "any".into(), join: Join::Entra, is_enrolled: true, os_build: Some(build), has_serial };
    change(&mut facts);
    enrolled(name, name, facts, primary)
}

/// The same machine under the device id `identity`.
pub(super) fn enrolled(name: &str, identity: &str, facts: DeviceFacts, primary: Option<&str>) -> Step {
    let serial = Alias { kind: AliasKind::Serial, blind: blind(1, name) };
    let device_id = Alias { kind: AliasKind::DeviceId, blind: blind(2, identity) };
    let mut names = personal(100 + device(name).index(), vec![serial, device_id]);
    names.sealed.extend(identity.bytes());
    observed(Observation::PutDevice {
        device: DeviceRef::Name { serial: serial.blind, device_id: device_id.blind },
        names,
        identity: Some(device_id.blind),
        facts,
        primary_user: primary.map(|primary| UserRef::Id(user(primary))),
    })
}

/// A device wiped and enrolled again: the same serial number, another device id.
pub(super) fn wiped(name: &str) -> Step {
    let (_, primary, os_build) = DEVICES[device(name).index()];
    let (platform, os_build) = ("any".into(), Some(os_build));
    let facts = DeviceFacts { platform, join: Join::Entra, is_enrolled: true, os_build, has_serial: true };
    enrolled(name, &format!("{name}2"), facts, primary)
}

impl Step {
    pub(super) fn days_later(mut self, days: i64) -> Self {
        self.after_micros = days * DAY_MICROS;
        self
    }

    pub(super) fn minutes_later(mut self, minutes: i64) -> Self {
        self.after_micros = minutes * 60_000_000;
        self
    }

    pub(super) fn with_id(mut self, id: &str) -> Self {
        self.command_id = Some(id.to_owned());
        self
    }

    /// The same for another pool.
    pub(super) fn of(mut self, name: &str) -> Self {
        let place = POOLS.iter().position(|known| *known == name).unwrap_or_else(|| panic!("no pool is called {name}"));
        *self.pool_mut().expect("a step about a pool") = PoolRef::Id(PoolId::at(place));
        self
    }

    /// The same for another pool, where it is about one at all.
    pub(super) fn of_if_it_can(mut self, name: &str) -> Self {
        if self.pool_mut().is_some() { self.of(name) } else { self }
    }

    fn pool_mut(&mut self) -> Option<&mut PoolRef> {
        match &mut self.intake {
            Intake::Command(
                Command::Assign { pool, .. }
                | Command::Install { pool, .. }
                | Command::Uninstall { pool, .. }
                | Command::Reclaim { pool, .. }
                | Command::Adopt { pool, .. }
                | Command::Grant { pool, .. }
                | Command::Refund(RefundOrder { pool, .. })
                | Command::IssueOfflineLicense { pool, .. }
                | Command::SetPolicy { pool, .. }
                | Command::ResolveDeficit { pool }
                | Command::DecideReview { pool, .. },
            )
            | Intake::Observation(Observation::Provider { pool, .. }) => Some(pool),
            Intake::Command(_) | Intake::Observation(_) => None,
        }
    }
}

/// Time passes, and the ledger looks at its timers.
pub(super) fn days_pass(days: i64) -> Step {
    observed(Observation::Tick).days_later(days)
}

fn office() -> PoolRef {
    PoolRef::Id(PoolId(0))
}

pub(super) fn holder_ref(name: &str) -> HolderRef {
    match holder(name) {
        Holder::User(user) => HolderRef::User(UserRef::Id(user)),
        Holder::Device(device) => HolderRef::Device(DeviceRef::Id(device)),
    }
}

// What the store says.

pub(super) fn item(kind: Kind, name: &str, owned: u64) -> InventoryItem {
    InventoryItem {
        key: kind.key(name),
        details: kind.details(),
        name: name.to_owned(),
        publisher: None,
        owned: Owned::Count(owned),
        distribution_policy: DistributionPolicy::Restricted,
        price: Some(AppPrice { currency: "EUR".into(), minor_units: 900 }),
        is_encrypted: false,
        packages: Vec::new(),
        is_private_store_visible: true,
        ends_on: None,
        store_used: None,
    }
}

fn inventory(items: Vec<InventoryItem>, provider: Provider, is_complete: bool, is_dry_run: bool) -> Step {
    let language = "en-US".to_owned();
    observed(Observation::Inventory(Inventory {
        provider,
        is_complete,
        is_dry_run,
        language,
        pages: 1,
        items,
        part: None,
    }))
}

/// A part of a provider's inventory.
pub(super) fn told_of(kind: Kind, items: Vec<InventoryItem>) -> Step {
    inventory(items, kind.provider(), false, false)
}

/// All of a provider's inventory.
pub(super) fn synced(kind: Kind, items: Vec<InventoryItem>) -> Step {
    inventory(items, kind.provider(), true, false)
}

/// The same, to see what it would change.
pub(super) fn tried(kind: Kind, items: Vec<InventoryItem>) -> Step {
    inventory(items, kind.provider(), true, true)
}

pub(super) fn listed(kind: Kind, owned: u64) -> Step {
    told_of(kind, vec![item(kind, "office", owned)])
}

pub(super) fn on(ends_on: &str) -> Day {
    ends_on.parse().expect("a date")
}

pub(super) fn store(report: ProviderReport) -> Step {
    observed(Observation::Provider { pool: office(), report })
}

pub(super) fn confirmed(name: &str) -> Step {
    store(ProviderReport::GrantConfirmed { holder: holder(name) })
}

pub(super) fn grant_refused(name: &str) -> Step {
    store(ProviderReport::GrantRefused { holder: holder(name), not_enough: false })
}

pub(super) fn not_enough(name: &str) -> Step {
    store(ProviderReport::GrantRefused { holder: holder(name), not_enough: true })
}

pub(super) fn release_sent(name: &str) -> Step {
    store(ProviderReport::ReleaseSent { holder: holder(name) })
}

pub(super) fn release_confirmed(name: &str) -> Step {
    store(ProviderReport::ReleaseConfirmed { holder: holder(name) })
}

pub(super) fn release_refused(name: &str) -> Step {
    store(ProviderReport::ReleaseRefused { holder: holder(name) })
}

pub(super) fn seen(name: &str) -> Step {
    store(ProviderReport::SeatSeen { holder: holder(name) })
}

pub(super) fn absent(name: &str) -> Step {
    store(ProviderReport::SeatAbsent { holder: holder(name) })
}

// What an administrator does.

fn assigned(target: TargetRef, intent: Intent, mode: Option<Mode>) -> Step {
    command(Command::Assign { pool: office(), target, intent, mode, licensing: None })
}

fn target(name: &str) -> TargetRef {
    if PEOPLE.contains(&name) {
        TargetRef::User(UserRef::Id(user(name)))
    } else if DEVICES.iter().any(|(known, ..)| *known == name) {
        TargetRef::Device(DeviceRef::Id(device(name)))
    } else {
        TargetRef::Group { group: GroupRef::Name(name.to_owned()), exclude: None }
    }
}

/// For a person, a device or a group.
pub(super) fn required(name: &str) -> Step {
    assigned(target(name), Intent::Required, None)
}

pub(super) fn required_as_far_as_it_goes(name: &str) -> Step {
    assigned(target(name), Intent::Required, Some(Mode::Fill))
}

pub(super) fn available(name: &str) -> Step {
    assigned(target(name), Intent::Available, None)
}

pub(super) fn to_be_uninstalled(name: &str) -> Step {
    assigned(target(name), Intent::Uninstall, None)
}

pub(super) fn required_but_for(name: &str, exclude: &str) -> Step {
    let (group, exclude) = (GroupRef::Name(name.to_owned()), Some(GroupRef::Name(exclude.to_owned())));
    assigned(TargetRef::Group { group, exclude }, Intent::Required, None)
}

impl Step {
    pub(super) fn licensed_to(mut self, who: Licensing) -> Self {
        let Intake::Command(Command::Assign { licensing, .. }) = &mut self.intake else {
            panic!("not an assignment: {self:?}");
        };
        *licensing = Some(who);
        self
    }
}

/// The assignment with this number, from 0.
pub(super) fn unassigned(assignment: u32) -> Step {
    command(Command::Unassign { assignment: AssignmentId(assignment) })
}

pub(super) fn reclaimed(name: &str) -> Step {
    command(Command::Reclaim { pool: office(), holder: holder_ref(name) })
}

pub(super) fn adopted(name: &str) -> Step {
    command(Command::Adopt { pool: office(), holder: holder_ref(name) })
}

pub(super) fn granted(name: &str) -> Step {
    command(Command::Grant { pool: office(), holder: holder_ref(name) })
}

pub(super) fn deficit_resolved() -> Step {
    command(Command::ResolveDeficit { pool: office() })
}

pub(super) fn policy(patch: PolicyPatch) -> Step {
    command(Command::SetPolicy { pool: office(), patch })
}

pub(super) fn on_uninstall(policy_: KeepOrRelease) -> Step {
    policy(PolicyPatch { on_uninstall: Some(policy_), ..PolicyPatch::default() })
}

pub(super) fn untargeted(policy_: KeepOrRelease) -> Step {
    policy(PolicyPatch { untargeted: Some(policy_), ..PolicyPatch::default() })
}

pub(super) fn deficits_are_reclaimed() -> Step {
    policy(PolicyPatch { deficit: Some(DeficitPolicy::Reclaim), ..PolicyPatch::default() })
}

pub(super) fn reservations_time_out_after(days: u32) -> Step {
    policy(PolicyPatch { reservation_timeout_days: Some(Some(days)), ..PolicyPatch::default() })
}

pub(super) fn settings(patch: SettingsPatch) -> Step {
    command(Command::ChangeSettings { patch })
}

pub(super) fn grace_of(days: u32) -> Step {
    settings(SettingsPatch { departure_grace_days: Some(days), ..SettingsPatch::default() })
}

pub(super) fn refunded(order: &str, quantity: u64, ordered_on: &str) -> Step {
    let amount = AppPrice { currency: "EUR".into(), minor_units: 900 * quantity };
    let (order, ordered_on) = (order.to_owned(), on(ordered_on));
    command(Command::Refund(RefundOrder { pool: office(), order, quantity, ordered_on, amount, explains: None }))
}

// What the directory and the devices say.

pub(super) fn group(kind: GroupKind, name: &str, members: &[&str]) -> Step {
    let members = members.iter().map(|name| holder_ref(name)).collect();
    observed(Observation::PutGroup { group: GroupRef::Name(name.to_owned()), kind, members })
}

/// The people in a group, from now on.
pub(super) fn people(name: &str, members: &[&str]) -> Step {
    group(GroupKind::Users, name, members)
}

/// The devices in a group, from now on.
pub(super) fn machines(name: &str, members: &[&str]) -> Step {
    group(GroupKind::Devices, name, members)
}

pub(super) fn group_deleted(name: &str) -> Step {
    observed(Observation::DeleteGroup { group: GroupRef::Name(name.to_owned()) })
}

fn left(name: &str, cause: DepartureCause, retire_devices: bool) -> Step {
    observed(Observation::Depart { user: UserRef::Id(user(name)), cause, retire_devices })
}

pub(super) fn deactivated(name: &str) -> Step {
    left(name, DepartureCause::Deactivated, false)
}

pub(super) fn deactivated_with_devices(name: &str) -> Step {
    left(name, DepartureCause::Deactivated, true)
}

pub(super) fn deleted(name: &str) -> Step {
    left(name, DepartureCause::Deleted, false)
}

pub(super) fn returned(name: &str) -> Step {
    observed(Observation::Return { user: UserRef::Id(user(name)) })
}

pub(super) fn retired(name: &str) -> Step {
    observed(Observation::RetireDevice { device: DeviceRef::Id(device(name)) })
}

/// A person's or a device's names, for good.
pub(super) fn erased(name: &str) -> Step {
    command(Command::Erase { holder: holder_ref(name) })
}

/// `who: ""` is all users of the device.
pub(super) fn installed(machine: &str, who: &str) -> Step {
    install(machine, who, false)
}

pub(super) fn reported_installed(machine: &str, who: &str) -> Step {
    install(machine, who, true)
}

fn install(machine: &str, who: &str, is_report: bool) -> Step {
    let user = (!who.is_empty()).then(|| UserRef::Id(user(who)));
    command(Command::Install { pool: office(), device: DeviceRef::Id(device(machine)), user, is_report })
}

pub(super) fn uninstalled(machine: &str, who: &str) -> Step {
    let user = (!who.is_empty()).then(|| UserRef::Id(user(who)));
    command(Command::Uninstall { pool: office(), device: DeviceRef::Id(device(machine)), user, is_report: true })
}

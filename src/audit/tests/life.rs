//! A random life: honest and hostile steps over a few pools of every shape, people, devices and groups.

use crate::domain::command::{
    Actor, Command, Door, GroupRef, HolderRef, Intake, Inventory, InventoryItem, Observation, PoolRef, ProviderReport,
    RefundOrder, SyncEnd, TargetRef,
};
use crate::domain::facts::{
    AppPrice, DepartureCause, DeviceFacts, DistributionPolicy, GroupKind, HeldBy, InstalledBy, Intent, Join,
    KeepOrRelease, Licensing, Mode, Owned, PolicyPatch, PoolDetails, RefundAmount, SettingsPatch, SyncSeats,
};
use crate::domain::ids::{AssignmentId, DeviceId, Holder, PoolId, TenantId, TokenId, UserId};
use crate::domain::key::{LicenseType, PoolKey, Provider};
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::domain::report::{ReportAsked, ReportName};
use crate::domain::time::Time;
use crate::ledger::{Ask, Clock, Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing, Submission};
use crate::projection::View;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

pub(super) const BORN: Time = Time(1_790_000_000_000_000);

const USERS: u32 = 12;
const DEVICES: u32 = 8;
const GROUPS: u32 = 3;
const POOLS: u32 = 4;

pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) ledger: Ledger,
    pub(super) tenant: TenantId,
}

pub(super) fn open(dir: &Path) -> Ledger {
    let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
    let options = LedgerOptions {
        log,
        master_key: MasterKeySource::DataFolder,
        clock: Clock::manual(BORN),
        signing: Signing::default(),
    };
    Ledger::open(options, &NoProgress).unwrap()
}

pub(super) fn submission(id: Option<String>, ask: Ask) -> Submission {
    Submission {
        actor: Actor::Token(TokenId(0)),
        door: Door::Http,
        content_hash: id.as_deref().map_or(0, |id| id.len() as u64 + 77),
        command_id: id,
        occurred_at: None,
        reason: None,
        if_match: None,
        ask,
    }
}

/// A new tenant that has lived through so many random steps.
pub(super) async fn life(seed: u64, steps: usize) -> World {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    let mut random = SmallRng::seed_from_u64(seed);
    live(&ledger, tenant, &mut random, 0..steps).await;
    World { dir, ledger, tenant }
}

/// The same, stopped once: that archives what never changes any more.
pub(super) async fn archived_life(seed: u64, steps: usize) -> World {
    let World { dir, ledger, tenant } = life(seed, steps).await;
    ledger.stop().await;
    let ledger = open(dir.path());
    assert!(ledger.read(tenant, |view| view.archived().count()).unwrap() > 3, "seed {seed}");
    World { dir, ledger, tenant }
}

/// These steps of a life.
pub(super) async fn live(ledger: &Ledger, tenant: TenantId, random: &mut SmallRng, steps: Range<usize>) {
    let mut step = steps.start;
    while step < steps.end {
        let size = random.random_range(1..40).min(steps.end - step);
        let batch = (step..step + size).map(|n| any_submission(random, ledger, tenant, n)).collect();
        ledger.submit_all(tenant, batch, false).await.unwrap();
        step += size;
        ledger.submit(tenant, submission(None, read_report(step))).await.unwrap();
        ledger.clock().advance(Duration::from_secs(random.random_range(1..40_000)));
        ledger.tick().await;
    }
    assert_eq!(ledger.read(tenant, |view| view.state.broken_law()).unwrap(), None);
}

fn any_submission(random: &mut SmallRng, ledger: &Ledger, tenant: TenantId, step: usize) -> Submission {
    let link = Command::LinkStoreAccount {
        provider: Provider::AppleBusiness,
        account_id: "1".into(),
        settings: "{}".into(),
        is_linked_elsewhere: false,
    };
    let ask = match step {
        0 => Ask::Intake(Intake::Command(link)),
        _ => any_ask(random, ledger, tenant),
    };
    let id = random.random_bool(0.5).then(|| format!("command-{step}"));
    let reason = random.random_bool(0.1).then(|| "=because, \"of\"\nit".to_owned());
    let occurred_at = random.random_bool(0.1).then_some(Time(BORN.0 - 5_000_000));
    Submission { reason, occurred_at, ..submission(id, ask) }
}

/// Somebody looks at a report, again and again at the same ones.
fn read_report(step: usize) -> Ask {
    let report = if step.is_multiple_of(3) { ReportName::Person } else { ReportName::TrueUp };
    let (pool, user) = (step.is_multiple_of(2).then_some(PoolId(1)), step.is_multiple_of(3).then_some(UserId(2)));
    let asked = ReportAsked { as_of: step.is_multiple_of(5).then_some(7), pool, user, ..ReportAsked::default() };
    Ask::Intake(Intake::Observation(Observation::ReadReport { report, asked, position: step as u64 }))
}

fn key(pool: u32) -> PoolKey {
    let (unit_id, adam_id, pricing_param) = ("1".into(), "99".into(), "STDQ".into());
    match pool {
        0 => PoolKey::Declared { sku: "office".into() },
        1 => PoolKey::Declared { sku: "books".into() },
        2 => PoolKey::Declared { sku: "open".into() },
        _ => PoolKey::Apple { unit_id, adam_id, pricing_param },
    }
}

pub(super) fn item(random: &mut SmallRng, pool: u32) -> InventoryItem {
    let details = PoolDetails {
        license_type: LicenseType::Online,
        installed_by: InstalledBy::Tool,
        held_by: if pool == 2 { HeldBy::User } else { HeldBy::UserOrDevice },
        is_confirmed_by_provider: pool == 3,
        is_irrevocable: pool == 1,
        requires_windows_1511: false,
        requires_eligible_device: false,
        on_uninstall: if pool == 0 { KeepOrRelease::Release } else { KeepOrRelease::Keep },
        related_set: None,
    };
    let owned = if random.random_bool(0.1) { Owned::Unlimited } else { Owned::Count(random.random_range(0..8)) };
    let is_open = pool == 2 && random.random_bool(0.5);
    let price = match owned {
        Owned::Count(count) if pool != 2 => {
            Some(AppPrice { currency: "EUR".into(), minor_units: 100 + u64::from(pool) + count % 2 })
        }
        Owned::Count(_) | Owned::Unlimited => None,
    };
    InventoryItem {
        key: key(pool),
        details,
        name: format!("App {pool}"),
        publisher: Some("@Contoso".into()),
        owned,
        distribution_policy: if is_open { DistributionPolicy::Open } else { DistributionPolicy::Restricted },
        price,
        is_encrypted: false,
        packages: vec!["{\"arch\":\"x64\"}".into()],
        is_private_store_visible: random.random_bool(0.9),
        ends_on: random.random_bool(0.1).then(|| Time(BORN.0 + 20 * 86_400_000_000).day()),
        store_used: random.random_bool(0.3).then_some(3),
    }
}

fn inventory(random: &mut SmallRng) -> Ask {
    let is_apple = random.random_bool(0.4);
    let provider = if is_apple { Provider::AppleBusiness } else { Provider::Declared };
    let pools = if is_apple { 3..4 } else { 0..3 };
    let items = pools.filter(|_| random.random_bool(0.97)).collect::<Vec<_>>();
    let inventory = Inventory {
        provider,
        is_complete: random.random_bool(0.7),
        is_dry_run: random.random_bool(0.05),
        language: "en-US".into(),
        part: None,
        pages: 1,
        items: items.into_iter().map(|pool| item(random, pool)).collect(),
    };
    Ask::Intake(Intake::Observation(Observation::Inventory(inventory)))
}

/// The store of apples is read by a connector: a sync begins, or the one that runs ends, and serves whoever waited for it.
fn a_sync_of_apples(ledger: &Ledger, tenant: TenantId) -> Ask {
    let provider = Provider::AppleBusiness;
    let running = ledger.read(tenant, |view| view.state.running_sync(provider).map(|sync| sync.id)).unwrap();
    match running {
        Some(sync) => {
            let seats = SyncSeats { seen: 3, foreign: 1, lost: 0 };
            Ask::Intake(Intake::Observation(Observation::EndSync { sync, end: SyncEnd::Completed { seats } }))
        }
        None => Ask::Intake(Intake::Command(Command::StartSync {
            provider,
            is_full: true,
            is_dry_run: false,
            is_connected: true,
        })),
    }
}

fn user_name(random: &mut SmallRng) -> String {
    format!("user{}@acme.example", random.random_range(0..USERS))
}

fn any_ask(random: &mut SmallRng, ledger: &Ledger, tenant: TenantId) -> Ask {
    let pool = PoolRef::Key(key(random.random_range(0..POOLS)));
    let named = user_name(random);
    let user = ledger.user_ref(tenant, &named);
    let serial = format!("SN{}", random.random_range(0..DEVICES));
    let device = ledger.device_ref(tenant, &serial);
    let group = GroupRef::Name(format!("group{}", random.random_range(0..GROUPS)));
    let is_user = random.random_bool(0.6);
    let holder = if is_user { HolderRef::User(user) } else { HolderRef::Device(device) };
    let known = |view: &View| {
        let at_store = view.state.pools_of(Provider::AppleBusiness).flat_map(|pool| pool.seats.keys().copied());
        let people = (0..view.state.users.len()).map(|at| Holder::User(UserId::at(at)));
        let devices = (0..view.state.devices.len()).map(|at| Holder::Device(DeviceId::at(at)));
        (at_store.collect::<Vec<_>>(), people.chain(devices).collect::<Vec<_>>())
    };
    let (at_store, anybody) = ledger.read(tenant, known).unwrap();
    let from = if at_store.is_empty() || random.random_bool(0.3) { anybody } else { at_store };
    let id = (!from.is_empty()).then(|| from[random.random_range(0..from.len())]);
    let flag = random.random_bool(0.5);
    let observed = |observation| Ask::Intake(Intake::Observation(observation));
    let asked = |command| Ask::Intake(Intake::Command(command));
    match random.random_range(0..30) {
        0 | 1 => inventory(random),
        2..5 => {
            let display_name = flag.then(|| format!("Name {}", random.random_range(0..3)));
            let profile = UserProfile { user_name: named, display_name, ..UserProfile::default() };
            Ask::PutUser { user, profile }
        }
        5..7 => {
            let device_id = Some(format!("{serial}-{}", random.random_range(0..3)));
            let names = DeviceNames { serial: Some(serial), device_id };
            let facts = DeviceFacts {
                platform: "windows".into(),
                join: Join::Entra,
                is_enrolled: true,
                os_build: Some(19_045),
                has_serial: true,
            };
            Ask::PutDevice { device, names, facts, primary_user: flag.then_some(user) }
        }
        7..9 => {
            let members = (0..random.random_range(0..6)).map(|_| {
                let name = user_name(random);
                HolderRef::User(ledger.user_ref(tenant, &name))
            });
            observed(Observation::PutGroup { group, kind: GroupKind::Users, members: members.collect() })
        }
        9..13 => {
            let target = match random.random_range(0..3) {
                0 => TargetRef::Group { group, exclude: None },
                _ if is_user => TargetRef::User(user),
                _ => TargetRef::Device(device),
            };
            let intent = [Intent::Required, Intent::Required, Intent::Available, Intent::Uninstall];
            let intent = intent[random.random_range(0..4)];
            let mode = (intent != Intent::Available && flag).then_some(Mode::Fill);
            let licensing = (!is_user).then_some(Licensing::Device);
            asked(Command::Assign { pool, target, intent, mode, licensing })
        }
        13 => asked(Command::Unassign { assignment: AssignmentId(random.random_range(0..20)) }),
        14..18 => asked(Command::Install { pool, device, user: is_user.then_some(user), is_report: flag }),
        18..20 => asked(Command::Uninstall { pool, device, user: is_user.then_some(user), is_report: flag }),
        20 => observed(Observation::Depart {
            user,
            cause: if random.random_bool(0.2) { DepartureCause::Deleted } else { DepartureCause::Deactivated },
            retire_devices: flag,
        }),
        21 => observed(Observation::Return { user }),
        22 => asked(match random.random_range(0..4) {
            0 => Command::Reclaim { pool, holder },
            1 => Command::Adopt { pool, holder },
            2 => Command::ResolveDeficit { pool },
            _ => Command::Grant { pool, holder },
        }),
        23..27 => {
            let Some(id) = id else { return inventory(random) };
            let report = match random.random_range(0..11) {
                0 => ProviderReport::GrantConfirmed { holder: id },
                1 => ProviderReport::GrantRefused { holder: id, not_enough: flag },
                2 => ProviderReport::ReleaseSent { holder: id },
                3 => ProviderReport::ReleaseConfirmed { holder: id },
                4 => ProviderReport::ReleaseRefused { holder: id },
                5 | 6 => ProviderReport::SeatSeen { holder: id },
                7 => ProviderReport::SeatAbsent { holder: id },
                8 => ProviderReport::Suspended,
                9 => ProviderReport::Resumed,
                _ => return a_sync_of_apples(ledger, tenant),
            };
            observed(Observation::Provider { pool: PoolRef::Key(key(3)), report })
        }
        27 => asked(Command::Refund(RefundOrder {
            pool,
            order: format!("order-{}", random.random_range(0..9)),
            quantity: random.random_range(0..3),
            ordered_on: ledger.clock().now().day(),
            amount: RefundAmount { currency: "EUR".into(), minor_units: 100 },
            explains: None,
        })),
        28 => asked(Command::SetPolicy {
            pool,
            patch: PolicyPatch {
                on_uninstall: flag.then_some(KeepOrRelease::Release),
                reservation_timeout_days: Some(flag.then_some(2)),
                ..PolicyPatch::default()
            },
        }),
        _ if flag => observed(Observation::RetireDevice { device }),
        _ => asked(Command::ChangeSettings {
            patch: SettingsPatch { departure_grace_days: Some(random.random_range(0..3)), ..SettingsPatch::default() },
        }),
    }
}

pub(super) fn grant(pool: u32, user: u32) -> Ask {
    let pool = PoolRef::Id(PoolId(pool));
    let holder = HolderRef::User(crate::domain::command::UserRef::Id(UserId(user)));
    Ask::Intake(Intake::Command(Command::Grant { pool, holder }))
}

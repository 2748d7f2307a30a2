//! Stories of small histories, told step by step: what keeps somebody waiting, and what came through a device.

use super::life::{open, submission};
use crate::audit::hindsight::Moment;
use crate::audit::story::{Standing, Story, WaitsFor, story};
use crate::domain::command::{
    Actor, Command, Door, GroupRef, HolderRef, Intake, Inventory, InventoryItem, Observation, PoolRef, ProviderReport,
    TargetRef,
};
use crate::domain::facts::{DeviceFacts, GroupKind, HeldBy, Intent, Join, KeepOrRelease, Owned, PolicyPatch};
use crate::domain::ids::{Holder, PoolId, TenantId, UserId};
use crate::domain::key::{LicenseType, PoolKey, Provider};
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::domain::state::SeatState;
use crate::ledger::{Ask, Ledger};

const POOL: PoolId = PoolId(0);
const PEOPLE: [&str; 3] = ["ada", "bo", "cy"];

struct Told {
    _dir: tempfile::TempDir,
    ledger: Ledger,
    tenant: TenantId,
}

impl Told {
    /// People, and four seats of an app of a declared inventory, but for what is changed of it.
    async fn of(provider: Provider, change: impl FnOnce(&mut InventoryItem)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(dir.path());
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        let told = Self { _dir: dir, ledger, tenant };
        if provider != Provider::Declared {
            let (account_id, settings) = ("1".into(), "{}".into());
            let link = Command::LinkStoreAccount { provider, account_id, settings, is_linked_elsewhere: false };
            told.command(link).await;
        }
        let mut item = InventoryItem::declared("office", "Office", LicenseType::Online, Owned::Count(4));
        change(&mut item);
        let inventory = Inventory {
            provider,
            is_complete: true,
            is_dry_run: false,
            language: "en-US".into(),
            part: None,
            pages: 1,
            items: vec![item],
        };
        told.observed(Observation::Inventory(inventory)).await;
        for name in PEOPLE {
            let profile = UserProfile { user_name: name.into(), ..UserProfile::default() };
            told.ask(Ask::PutUser { user: told.ledger.user_ref(tenant, name), profile }).await;
        }
        told
    }

    async fn ask(&self, ask: Ask) {
        let outcome = self.ledger.submit(self.tenant, submission(None, ask)).await.unwrap();
        assert_eq!(outcome.answer.rejection, None);
    }

    async fn command(&self, command: Command) {
        self.ask(Ask::Intake(Intake::Command(command))).await;
    }

    async fn observed(&self, observation: Observation) {
        self.ask(Ask::Intake(Intake::Observation(observation))).await;
    }

    async fn people(&self, members: &[&str]) {
        let members = members.iter().map(|name| HolderRef::User(self.ledger.user_ref(self.tenant, name))).collect();
        let group = GroupRef::Name("everybody".into());
        self.observed(Observation::PutGroup { group, kind: GroupKind::Users, members }).await;
    }

    async fn machines(&self, members: &[&str]) {
        let members = members.iter().map(|name| HolderRef::Device(self.ledger.device_ref(self.tenant, name))).collect();
        let group = GroupRef::Name("fleet".into());
        self.observed(Observation::PutGroup { group, kind: GroupKind::Devices, members }).await;
    }

    async fn required(&self, group: &str) {
        let (pool, group) = (PoolRef::Id(POOL), GroupRef::Name(group.into()));
        let target = TargetRef::Group { group, exclude: None };
        self.command(Command::Assign { pool, target, intent: Intent::Required, mode: None, licensing: None }).await;
    }

    async fn reported(&self, report: ProviderReport) {
        self.observed(Observation::Provider { pool: PoolRef::Id(POOL), report }).await;
    }

    async fn laptop_of(&self, name: &str) {
        let facts = DeviceFacts {
            platform: "windows".into(),
            join: Join::Entra,
            is_enrolled: true,
            os_build: Some(19_045),
            has_serial: true,
        };
        let names = DeviceNames { serial: Some("laptop".into()), device_id: None };
        let device = self.ledger.device_ref(self.tenant, "laptop");
        let primary_user = Some(self.ledger.user_ref(self.tenant, name));
        self.ask(Ask::PutDevice { device, names, facts, primary_user }).await;
    }

    fn story(&self, name: &str) -> Story {
        let user = PEOPLE.iter().position(|one| *one == name).unwrap();
        let head = Moment::at(self.ledger.head(self.tenant).unwrap());
        story(&self.ledger, self.tenant, POOL, Holder::User(UserId::at(user)), head, None, 100).unwrap()
    }

    fn types(&self, name: &str) -> Vec<&'static str> {
        self.story(name).events.iter().map(|recorded| recorded.event.type_name()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_while_seats_are_free_hears_what_keeps_the_queue() {
    let told = Told::of(Provider::AppleBusiness, |item| {
        item.key = PoolKey::Apple { unit_id: "1".into(), adam_id: "99".into(), pricing_param: "STDQ".into() };
        item.details.is_confirmed_by_provider = true;
    })
    .await;
    told.people(&["ada"]).await;
    told.required("everybody").await;
    told.reported(ProviderReport::Suspended).await;
    told.people(&["ada", "bo"]).await;
    let waits = told.story("bo");
    assert_eq!(waits.standing, Standing::Waits(WaitsFor::Resumption));
    let queued_at = waits.events.last().map(|recorded| (recorded.position, recorded.event.type_name()));
    assert_eq!(queued_at, waits.since.map(|since| (since, "queued")));
    assert_eq!(told.types("bo"), ["assignment_made", "pool_suspended", "members_added", "queued"]);

    told.reported(ProviderReport::Resumed).await;
    assert_eq!(told.story("bo").standing, Standing::Holds(SeatState::Reserved));
    let served = ["assignment_made", "pool_suspended", "members_added", "queued", "pool_resumed", "seat_granted"];
    assert_eq!(told.types("bo"), served);
    assert_eq!(told.types("ada"), ["members_added", "assignment_made", "seat_granted"], "ada never waited");

    told.reported(ProviderReport::GrantRefused { holder: Holder::User(UserId(0)), not_enough: true }).await;
    assert_eq!(told.story("ada").standing, Standing::Waits(WaitsFor::Serving));
    let paused = ["members_added", "assignment_made", "seat_granted", "serving_paused", "seat_released", "requeued"];
    assert_eq!(told.types("ada"), paused);
    assert_eq!(told.types("bo"), served);
    told.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seat_that_came_through_a_device_says_so() {
    let told = Told::of(Provider::Declared, |item| item.details.held_by = HeldBy::User).await;
    let patch = PolicyPatch { untargeted: Some(KeepOrRelease::Release), ..PolicyPatch::default() };
    told.command(Command::SetPolicy { pool: PoolRef::Id(POOL), patch }).await;
    told.laptop_of("ada").await;
    assert_eq!(told.types("ada"), [""; 0], "nothing is assigned to the device");
    told.machines(&["laptop"]).await;
    told.required("fleet").await;
    let begun = ["device_added", "members_added", "assignment_made", "seat_granted"];
    assert_eq!(told.types("ada"), begun);

    told.laptop_of("bo").await;
    let ended = [&begun[..], &["device_changed", "seat_released"]].concat();
    assert_eq!(told.types("ada"), ended);
    assert_eq!(told.types("bo"), ["members_added", "assignment_made", "device_changed", "seat_granted"]);
    assert_eq!(told.types("cy"), [""; 0]);

    // whoever installs there is covered as well
    let (device, cy) = (told.ledger.device_ref(told.tenant, "laptop"), told.ledger.user_ref(told.tenant, "cy"));
    told.command(Command::Install { pool: PoolRef::Id(POOL), device, user: Some(cy), is_report: false }).await;
    assert_eq!(told.types("cy"), ["members_added", "assignment_made", "seat_granted", "installed"]);

    told.machines(&[]).await;
    let bo = ["members_added", "assignment_made", "device_changed", "seat_granted", "members_removed", "seat_released"];
    assert_eq!(told.types("bo"), bo);
    assert_eq!(told.types("ada"), ended, "the laptop is another's since");
    told.ledger.stop().await;
}

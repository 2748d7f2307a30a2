//! An organization of several units at Apple, each with a content token of its own: what is wrong with one says nothing of the
//! others, and none speaks for another.

use super::apple::plain_client;
use super::{Shop, eventually, service_for};
use crate::harness::{Answer, Service, Tenant, asked, block_on, encode, user};
use seatledger::store::simulator::apple::{
    AppleSimulator, NewAsset, NewToken, NewUnit, Options, Order, Timing, UnitSeen,
};
use seatledger::store::simulator::faults::Fault;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const BERLIN: &str = "2049025000431439";
const PARIS: &str = "2049025000431440";
const ROME: &str = "2049025000431441";
const APP: &str = "408709785";
const ACCOUNT: &str = "/store-accounts/apple-business";
const NOTIFICATIONS: &str = "/store-accounts/apple-business/notifications";

struct Organization {
    simulator: AppleSimulator,
}

impl Organization {
    /// Each unit has three seats of the same app.
    fn of(units: &[&str]) -> Self {
        let timing = Timing { event_delay: Duration::from_millis(20), ..Timing::default() };
        let options = Options { timing, client: Some(plain_client()), ..Options::default() };
        let organization = Self { simulator: block_on(AppleSimulator::start(options)).expect("a free port") };
        for uid in units {
            let unit = NewUnit { uid: Some((*uid).into()), name: (*uid).into(), ..NewUnit::default() };
            organization.place(Order::Unit(unit));
            organization.place(Order::Purchase(NewAsset::app(uid, APP, 3)));
        }
        organization
    }

    fn place(&self, order: Order) {
        self.simulator.place(order).expect("it can be done");
    }

    fn token(&self, uid: &str) -> String {
        let token = NewToken { uid: uid.into(), is_read_only: false, expires_in_days: Some(365) };
        self.simulator.place(Order::Token(token)).expect("a token").token.expect("it is shown")
    }

    fn linked(&self, service: &Arc<Service>, tokens: &[&str], more: Value) -> Shop {
        let shop = Shop::new(service, "apple-business");
        for name in ["ada", "bob", "cyd"] {
            shop.tenant.user(name);
        }
        self.put(&shop.tenant, tokens, more).created();
        shop
    }

    /// The account is Berlin's.
    fn put(&self, tenant: &Tenant, tokens: &[&str], more: Value) -> Answer {
        self.put_of(tenant, BERLIN, tokens, more)
    }

    fn put_of(&self, tenant: &Tenant, account: &str, tokens: &[&str], more: Value) -> Answer {
        let mut settings = json!({"base_url": self.simulator.base_url(), "poll_millis": 25, "patience_seconds": 5});
        settings.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let credentials = json!({"content_tokens": tokens});
        tenant.put(ACCOUNT, json!({"account_id": account, "settings": settings, "credentials": credentials}))
    }

    fn seen(&self, uid: &str) -> UnitSeen {
        self.simulator.units().into_iter().find(|unit| unit.uid == uid).expect("the unit")
    }

    fn sitting(&self, uid: &str) -> BTreeSet<String> {
        let seats = self.simulator.assignments(uid).expect("the unit");
        let name = |holder: Value| holder["clientUserId"].as_str().expect("a user").to_lowercase();
        seats.iter().map(|seat| name(json!(seat.holder))).collect()
    }
}

fn pool(uid: &str) -> String {
    format!("apple:{uid}:{APP}:STDQ")
}

/// What the store brings with what it tells of the unit of this token.
fn secret_of(token: &str) -> String {
    hex::encode(Sha256::new().chain_update(b"seatledger notifications\n").chain_update(token).finalize())
}

/// Where the first tenant of a service hears.
fn hearing(service: &Service) -> String {
    service.root().url("/v1/tenants/tenant-0/store-accounts/apple-business/notifications")
}

fn unit_of(shop: &Shop, uid: &str) -> Value {
    let units = shop.connector()["units"].as_array().cloned().unwrap_or_default();
    units.into_iter().find(|unit| unit["unit"] == uid).unwrap_or_default()
}

fn owns(shop: &Shop, uid: &str, figures: &str) {
    eventually(|| {
        let seen = shop.figures(&pool(uid));
        if seen == figures { Ok(()) } else { Err(json!([seen, shop.connector()])) }
    });
}

#[test]
fn each_unit_is_told_of_with_its_own_secret_and_none_speaks_for_another() {
    let organization = Organization::of(&[BERLIN, PARIS]);
    let service = Arc::new(service_for(&organization.simulator.base_url()));
    let (berlin, paris) = (organization.token(BERLIN), organization.token(PARIS));
    let shop = organization.linked(&service, &[&berlin, &paris], json!({"notification_url": hearing(&service)}));
    shop.synced();
    for uid in [BERLIN, PARIS] {
        owns(&shop, uid, "owned 3");
        organization.place(Order::Purchase(NewAsset::app(uid, APP, 2)));
        owns(&shop, uid, "owned 5");
    }
    eventually(|| {
        let is_running = shop.tenant.list("/syncs").iter().any(|sync| sync["state"] == "running");
        if is_running { Err(Value::Null) } else { Ok(()) }
    });
    let syncs = shop.tenant.list("/syncs").len();
    let told = |id: &str, uid: &str| {
        json!({"notificationId": id, "notificationType": "ASSET_COUNT", "uId": uid,
            "notification": {"adamId": APP, "countDelta": 1}})
    };
    let (of_berlin, of_paris) =
        (shop.tenant.with_token(&secret_of(&berlin)), shop.tenant.with_token(&secret_of(&paris)));
    of_berlin.post(NOTIFICATIONS, told("n1", PARIS)).problem("unreadable-request");
    of_paris.post(NOTIFICATIONS, told("n1", BERLIN)).problem("unreadable-request");
    let stranger = shop.tenant.with_token(&secret_of("none of them"));
    stranger.post(NOTIFICATIONS, told("n1", BERLIN)).problem("unauthorized");
    assert_eq!(shop.tenant.list("/syncs").len(), syncs, "none of these is a reason to read");
    // what was refused was not heard either, and what one unit has heard is news to the other
    for (count, unit, uid) in [(1, &of_berlin, BERLIN), (2, &of_paris, PARIS)] {
        assert_eq!(unit.post(NOTIFICATIONS, told("n1", uid)).status, 204);
        eventually(|| {
            let listed = shop.tenant.list("/syncs");
            let is_over = listed.iter().all(|sync| sync["state"] == "completed");
            if listed.len() == syncs + count && is_over { Ok(()) } else { Err(json!(listed)) }
        });
        assert_eq!(unit.post(NOTIFICATIONS, told("n1", uid)).status, 204);
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(shop.tenant.list("/syncs").len(), syncs + 2, "told twice, read once");
}

#[test]
fn where_notifications_go_is_written_when_it_is_set_changed_or_taken_away() {
    let organization = Organization::of(&[BERLIN, PARIS]);
    let service = Arc::new(service_for(&organization.simulator.base_url()));
    let (berlin, paris) = (organization.token(BERLIN), organization.token(PARIS));
    let shop = organization.linked(&service, &[&berlin, &paris], json!({}));
    shop.synced();
    for uid in [BERLIN, PARIS] {
        let seen = organization.seen(uid);
        assert!(seen.mdm_info.is_some() && seen.notification_url.is_none(), "claimed, and told of nothing: {seen:?}");
    }

    // set after the units were claimed: each is told where to, and no sync has to be begun for it
    let here = json!({"notification_url": hearing(&service)});
    organization.put(&shop.tenant, &[&berlin, &paris], here.clone()).ok();
    let tells = |uid: &str, url: &str| {
        eventually(|| {
            let seen = organization.seen(uid);
            let is_so = seen.notification_url.as_deref() == Some(url) && seen.notification_types.len() >= 4;
            if is_so { Ok(()) } else { Err(json!([seen, shop.connector()])) }
        });
    };
    tells(BERLIN, &hearing(&service));
    tells(PARIS, &hearing(&service));
    organization.place(Order::Purchase(NewAsset::app(PARIS, APP, 2)));
    owns(&shop, PARIS, "owned 5");

    // a renewed token is another secret, and the old one is no good any more
    let renewed = organization.token(PARIS);
    let told = json!({"notificationType": "TEST_NOTIFICATION", "uId": PARIS});
    assert_eq!(shop.tenant.with_token(&secret_of(&paris)).post(NOTIFICATIONS, told.clone()).status, 204);
    organization.put(&shop.tenant, &[&berlin, &renewed], here).ok();
    shop.tenant.with_token(&secret_of(&paris)).post(NOTIFICATIONS, told).problem("unauthorized");
    // what is told until the new secret is written is lost, as anything may be that Apple tells
    eventually(|| {
        organization.place(Order::Purchase(NewAsset::app(PARIS, APP, 1)));
        std::thread::sleep(Duration::from_millis(100));
        let seen = shop.figures(&pool(PARIS));
        if seen == "owned 5" { Err(json!([seen, shop.connector()])) } else { Ok(()) }
    });

    // an address that can't be reached is said, and keeps nobody from working
    let nowhere = json!({"notification_url": "http://127.0.0.1:9/"});
    organization.put(&shop.tenant, &[&berlin, &renewed], nowhere).ok();
    eventually(|| {
        let unit = unit_of(&shop, BERLIN);
        let is_told = unit["notifications"].as_str().is_some_and(|why| why.contains("9728"));
        if is_told && unit["problem"].is_null() { Ok(()) } else { Err(shop.connector()) }
    });
    assert_eq!(shop.synced()["seats"]["seen"], 0);

    // and taken away
    organization.put(&shop.tenant, &[&berlin, &renewed], json!({})).ok();
    eventually(|| {
        let seen: Vec<_> = [BERLIN, PARIS].map(|uid| organization.seen(uid)).into();
        let is_silent = seen.iter().all(|unit| unit.notification_types.is_empty());
        if is_silent { Ok(()) } else { Err(json!(seen)) }
    });
    let posted = organization.simulator.notices().posted;
    organization.place(Order::Purchase(NewAsset::app(PARIS, APP, 2)));
    assert_eq!(organization.simulator.notices().posted, posted, "nothing is told any more");
}

#[test]
fn a_unit_that_turns_us_away_suspends_its_own_pools_and_the_others_go_on() {
    let organization = Organization::of(&[BERLIN, PARIS]);
    let mut service = Arc::new(service_for(&organization.simulator.base_url()));
    let (berlin, paris) = (organization.token(BERLIN), organization.token(PARIS));
    let shop = organization.linked(&service, &[&berlin, &paris], json!({}));
    shop.synced();
    for uid in [BERLIN, PARIS] {
        shop.assign(&pool(uid), &user("ada"), "required").created();
    }
    shop.settled();
    let state_of = |uid: &str| shop.tenant.get(&format!("/pools/{}", encode(&pool(uid)))).ok()["state"].clone();

    // Paris is another tool's now, which takes everything away
    let other = json!({"id": "jamf-7", "name": "Jamf", "metadata": ""});
    organization
        .place(Order::TakeOver { uid: PARIS.into(), mdm_info: Some(serde_json::from_value(other).expect("a tool")) });
    let holder = serde_json::from_value(json!({"clientUserId": user("ada")})).expect("a holder");
    organization.place(Order::Disassociate {
        uid: PARIS.into(),
        tool: "jamf".into(),
        adam_id: APP.into(),
        pricing_param: None,
        holder,
    });
    for _ in 0..3 {
        shop.synced();
    }
    let is_shut = |uid: &str, why: &str| {
        eventually(|| {
            let unit = unit_of(&shop, uid);
            let is_so = unit["read_only"] == true && unit["problem"].as_str().is_some_and(|words| words.contains(why));
            if is_so { Ok(()) } else { Err(shop.connector()) }
        });
        assert_eq!(state_of(uid), "suspended");
    };
    is_shut(PARIS, "Jamf");
    assert_eq!(shop.figures(&pool(PARIS)), "owned 3, held 1, reserved 1", "nothing is concluded of what is not read");
    shop.assign(&pool(PARIS), &user("bob"), "required").problem("pool-suspended");

    // Berlin is synced, confirmed and released as before
    assert_eq!((state_of(BERLIN), unit_of(&shop, BERLIN)["read_only"].clone()), (json!("active"), json!(false)));
    shop.assign(&pool(BERLIN), &user("bob"), "required").created();
    eventually(|| {
        let sitting = organization.sitting(BERLIN);
        if sitting == [user("ada"), user("bob")].into() { Ok(()) } else { Err(json!([sitting, shop.connector()])) }
    });
    organization.place(Order::Purchase(NewAsset::app(BERLIN, APP, 2)));
    shop.synced();
    shop.tenant.post(&format!("/users/{}/departure", user("ada")), json!({"cause": "deactivated"})).ok();
    owns(&shop, BERLIN, "owned 5, held 1, reserved 1");
    assert_eq!(organization.sitting(BERLIN), [user("bob")].into());
    assert_eq!(shop.figures(&pool(PARIS)), "owned 3, held 1, releasing 1", "it waits until we are let in again");

    // strangers hear how many, and who may ask is told which, and why
    let ready = service.root().without_token().get("/readyz").text;
    assert!(ready.contains("1 units of store accounts can't be written to"), "{ready}");
    assert!([PARIS, BERLIN, "Jamf"].iter().all(|name| !ready.contains(name)), "{ready}");
    let figures = service.root().get("/metrics").text;
    let line = format!("provider=\"apple-business\",unit=\"{PARIS}\",reason=\"another tool");
    assert!(figures.contains(&line) && figures.contains("seatledger_store_accounts_read_only 0"), "{figures}");
    let last_sync = "seatledger_store_last_sync_seconds{tenant=\"TENANT\",provider=\"apple-business\"} ";
    assert!(figures.contains(&last_sync.replace("TENANT", &shop.tenant.name)), "{figures}");
    let url = service.root().url("");
    let (code, out, complaint) = asked(url.trim_end_matches('/'), &["stores", "--tenant", &shop.tenant.name]);
    assert!(code == Some(1) && out.contains(PARIS) && out.contains("Jamf"), "{code:?}: {out}{complaint}");

    // a token that is refused from the start is known by what is left, and a unit without one by its pools
    organization.place(Order::RevokeTokens { uid: BERLIN.into() });
    let running = Arc::get_mut(&mut service).expect("nobody else has it");
    running.kill();
    running.start_again();
    is_shut(BERLIN, "revoked");
    is_shut(PARIS, "Jamf");
    organization.place(Order::TakeOver { uid: PARIS.into(), mdm_info: None });
    let renewed = organization.token(BERLIN);
    organization.put(&shop.tenant, &[&renewed], json!({})).ok();
    is_shut(PARIS, "none that the store accepts is given");
    eventually(|| if state_of(BERLIN) == "active" { Ok(()) } else { Err(shop.connector()) });

    // let in again, it goes on where it was
    organization.put(&shop.tenant, &[&renewed, &paris], json!({})).ok();
    shop.synced();
    owns(&shop, PARIS, "owned 3");
    assert_eq!(state_of(PARIS), "active");
}

#[test]
fn an_answer_that_is_long_in_coming_keeps_no_other_unit_and_no_sync_waiting() {
    let organization = Organization::of(&[BERLIN, PARIS]);
    let service = Arc::new(service_for(&organization.simulator.base_url()));
    let (berlin, paris) = (organization.token(BERLIN), organization.token(PARIS));
    let patience = Duration::from_secs(50);
    let shop = organization.linked(&service, &[&berlin, &paris], json!({"patience_seconds": patience.as_secs()}));
    shop.synced();
    let faults = organization.simulator.faults();
    faults.next_call("event", Fault::StuckPending).expect("room");
    shop.assign(&pool(BERLIN), &user("ada"), "required").created();
    eventually(|| if faults.struck().is_empty() { Err(shop.connector()) } else { Ok(()) });

    let begun = seatledger::clock::monotonic();
    shop.assign(&pool(PARIS), &user("bob"), "required").created();
    eventually(|| {
        let sitting = organization.sitting(PARIS);
        if sitting == [user("bob")].into() { Ok(()) } else { Err(json!([sitting, shop.connector()])) }
    });
    shop.synced();
    shop.tenant.post(&format!("/users/{}/departure", user("bob")), json!({"cause": "deactivated"})).ok();
    owns(&shop, PARIS, "owned 3");
    assert!(begun.elapsed() < patience / 2, "it waited {:?} for another's answer", begun.elapsed());
}

#[test]
fn a_unit_is_one_tenant_s_and_nobody_else_s_whatever_tokens_they_have() {
    let organization = Organization::of(&[BERLIN, PARIS, ROME]);
    let service = Arc::new(service_for(&organization.simulator.base_url()));
    let (berlin, paris) = (organization.token(BERLIN), organization.token(PARIS));
    let shop = organization.linked(&service, &[&berlin, &paris], json!({}));
    shop.synced();

    // as an account, and as a unit of another one
    let neighbour = Shop::new(&service, "apple-business");
    let (stolen, rome) = (organization.token(PARIS), organization.token(ROME));
    let refused = organization.put_of(&neighbour.tenant, PARIS, &[&stolen], json!({}));
    refused.problem("store-account-already-linked");
    organization.put_of(&neighbour.tenant, ROME, &[&rome, &stolen], json!({})).created();
    neighbour.synced();
    let unit = unit_of(&neighbour, PARIS);
    let why = unit["problem"].as_str().unwrap_or_default();
    assert!(unit["read_only"] == true && why.contains("another tenant has linked"), "{unit}");
    let keys = |shop: &Shop| -> BTreeSet<String> {
        let pools = shop.tenant.list("/pools");
        pools.iter().map(|pool| pool["key"].as_str().expect("a key").to_owned()).collect()
    };
    assert_eq!(keys(&neighbour), BTreeSet::from([pool(ROME)]));

    // the other way about, and the one whose it is goes on
    organization.put(&shop.tenant, &[&berlin, &paris, &organization.token(ROME)], json!({})).ok();
    shop.synced();
    assert_eq!(keys(&shop), BTreeSet::from([pool(BERLIN), pool(PARIS)]));
    assert!(unit_of(&shop, ROME)["problem"].as_str().is_some_and(|why| why.contains("another tenant has linked")));
    shop.assign(&pool(PARIS), &user("ada"), "required").created();
    shop.settled();
    assert_eq!(organization.sitting(PARIS), BTreeSet::from([user("ada")]));
    let linked = shop.tenant.list("/events?type=store_unit_linked");
    let named: Vec<_> = linked.iter().map(|event| event["data"]["unit"].clone()).collect();
    assert_eq!(named, [json!(PARIS)], "once, and the account's own is the account");
}

#[test]
fn tokens_of_other_units_alone_are_none_of_the_account_that_is_linked() {
    let organization = Organization::of(&[BERLIN, PARIS, ROME]);
    let service = Arc::new(service_for(&organization.simulator.base_url()));
    let (paris, rome) = (organization.token(PARIS), organization.token(ROME));
    let shop = organization.linked(&service, &[&paris, &rome], json!({}));
    let failed = shop.sync();
    assert_eq!(failed["state"], "failed", "{failed}");
    assert!(shop.connector()["problem"].as_str().is_some_and(|why| why.contains("another account")), "{failed}");
    assert!(organization.simulator.units().iter().all(|unit| unit.mdm_info.is_none()), "and none of them is claimed");
}

//! Microsoft Store for Business.

use super::{Shop, eventually, service_for};
use crate::harness::{Service, block_on, grants_in};
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::LicenseType;
use seatledger::store::simulator::faults::{Fault, FaultRates, Shot};
use seatledger::store::simulator::microsoft::{MicrosoftOptions, MicrosoftSimulator, Product, ProductKey, Purchase};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(super) const OFFICE: &str = "9WZDNCRFJ364";
const NOTES: &str = "9WZDNCRD29V9";
pub(super) const POOL: &str = "9WZDNCRFJ364:0016:online";
const CARRIED: &str = "9WZDNCRD29V9:0016:offline";
const PEOPLE: [&str; 6] = ["ada", "bob", "cyd", "dee", "eve", "fay"];

pub(super) fn upn(name: &str) -> String {
    format!("{name}@contoso.example")
}

pub(super) fn key() -> ProductKey {
    ProductKey { product_id: OFFICE.into(), sku_id: "0016".into() }
}

pub(super) struct Store {
    pub(super) simulator: MicrosoftSimulator,
    pub(super) directory: String,
}

impl Store {
    pub(super) fn with_seats(seats: i64) -> Self {
        let listen = "127.0.0.1:0".parse().expect("an address");
        static MADE: AtomicU32 = AtomicU32::new(0);
        let tenant = format!("contoso{}.example", MADE.fetch_add(1, Ordering::Relaxed));
        let options = MicrosoftOptions { tenant: tenant.clone(), ..MicrosoftOptions::new(listen) };
        let simulator = block_on(MicrosoftSimulator::start(options)).expect("a free port");
        let store = Self { simulator, directory: tenant };
        for (product, name) in [(OFFICE, "Office"), (NOTES, "Notes")] {
            store.simulator.market().sell(Product::plain(product, "0016", name)).expect("a product");
        }
        store.buys(OFFICE, LicenseType::Online, seats);
        store.buys(NOTES, LicenseType::Offline, 10);
        for name in PEOPLE {
            store.simulator.market().hire(&upn(name), Duration::ZERO).expect("a user");
        }
        store
    }

    pub(super) fn buys(&self, product: &str, license_type: LicenseType, quantity: i64) -> String {
        let purchase = Purchase {
            product_id: product.into(),
            sku_id: "0016".into(),
            license_type,
            quantity,
            is_paid: true,
            distribution_policy: DistributionPolicy::Restricted,
        };
        self.simulator.market().purchase(purchase).expect("a purchase").number
    }

    pub(super) fn sitting(&self) -> BTreeSet<String> {
        let seats = self.simulator.market().all_seats();
        seats.into_iter().filter(|seat| seat.product == key()).map(|seat| seat.upn.to_lowercase()).collect()
    }

    pub(super) fn never_granted_twice(&self) {
        grants_in(self.simulator.market().journal().from(0, usize::MAX));
    }

    pub(super) fn linked(&self, service: &Arc<Service>) -> Shop {
        let shop = Shop::new(service, "microsoft-store");
        for name in PEOPLE {
            shop.tenant.put(&format!("/users/{}", upn(name)), json!({"user_name": upn(name)})).ok();
        }
        self.link(&shop);
        shop
    }

    pub(super) fn link(&self, shop: &Shop) {
        let unlinked = shop.tenant.post("/syncs", json!({"provider": "microsoft-store"}));
        unlinked.problem("store-account-not-linked");
        let settings = json!({
            "client_id": "seatledger", "base_url": self.simulator.url(),
            "authority_url": self.simulator.url(),
        });
        let account = json!({"account_id": self.directory, "settings": settings});
        shop.tenant.put("/store-accounts/microsoft-store", account.clone()).created();
        let idle = shop.tenant.post("/syncs", json!({"provider": "microsoft-store"})).problem("connector-not-running");
        assert!(idle["detail"].as_str().is_some_and(|why| why.contains("no credentials are given")), "{idle}");
        let mut with_secret = account;
        with_secret["credentials"] = json!({"client_secret": "the-simulated-secret-of-seatledger"});
        let answer = shop.tenant.put("/store-accounts/microsoft-store", with_secret);
        assert!(!answer.text.contains("secret"), "{}", answer.text);
        answer.unchanged();
        let seen = shop.tenant.get("/store-accounts/microsoft-store");
        assert!(!seen.text.contains("secret") && seen.body["connector"]["running"] == true, "{}", seen.text);
    }
}

#[test]
fn a_sync_that_no_connector_runs_says_why() {
    let store = Store::with_seats(1);
    let service = Arc::new(service_for(&store.simulator.url()));
    let tenant = service.tenant();
    let settings = json!({"client_id": "seatledger", "base_url": "http://127.0.0.1:1/elsewhere"});
    let account =
        json!({"account_id": store.directory, "settings": settings, "credentials": {"client_secret": "hush"}});
    tenant.put("/store-accounts/microsoft-store", account).created();
    let idle = tenant.post("/syncs", json!({"provider": "microsoft-store"})).problem("connector-not-running");
    assert!(
        idle["detail"].as_str().is_some_and(|why| why.contains("base_url") && why.contains("--store-url")),
        "{idle}"
    );
}

/// A store with so many seats of one app, and a tenant that is linked to it and has read it once.
fn synced(seats: i64) -> (Store, Arc<Service>, Shop) {
    let store = Store::with_seats(seats);
    let service = Arc::new(service_for(&store.simulator.url()));
    let shop = store.linked(&service);
    shop.synced();
    (store, service, shop)
}

#[test]
fn a_whole_life_ends_with_ledger_and_store_agreeing_seat_by_seat() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_for(&store.simulator.url()));
    let shop = store.linked(&service);
    let first = shop.synced();
    assert_eq!((&first["counts"]["listed"], &first["seats"]["seen"]), (&json!(2), &json!(0)), "{first}");
    let names: BTreeSet<_> = shop.tenant.list("/pools").iter().map(|pool| pool["name"].to_string()).collect();
    assert_eq!(names, ["\"Notes (Offline)\"".to_owned(), "\"Office (Online)\"".to_owned()].into());

    // sold out, each seat granted by the store
    for name in ["ada", "bob", "cyd"] {
        shop.assign(POOL, &upn(name), "required").created();
    }
    shop.assign(POOL, &upn("dee"), "required").problem("not-enough-seats");
    shop.settled();
    assert_eq!(store.sitting(), shop.holders(POOL));
    assert_eq!(shop.figures(POOL), "owned 3, held 3, reserved 3");

    // an install, an uninstall, a departure: the store takes the seats back before they are free
    let laptop = json!({"platform": "windows", "join": "entra", "enrolled": true, "os_build": 19_045, "serial": "L1"});
    shop.tenant.put("/devices/L1", laptop).ok();
    shop.tenant.post("/installs", json!({"pool": POOL, "device": "L1", "user": upn("ada")})).ok();
    assert_eq!(shop.figures(POOL), "owned 3, held 3, reserved 2, in_use 1");
    shop.tenant.post(&format!("/users/{}/departure", upn("bob")), json!({"cause": "deactivated"})).ok();
    shop.settled();
    assert_eq!(shop.figures(POOL), "owned 3, held 2, reserved 1, in_use 1");
    assert_eq!(store.sitting(), [upn("ada"), upn("cyd")].into());

    // another tool takes the seat: foreign, counted, adopted by a command
    store.simulator.market().assign("intune", &key(), &upn("eve")).expect("a seat");
    let seen = shop.synced();
    assert_eq!(seen["seats"], json!({"seen": 3, "foreign": 1, "lost": 0}));
    assert_eq!(shop.figures(POOL), "owned 3, held 3, reserved 1, in_use 1, foreign 1");
    shop.assign(POOL, &upn("dee"), "required").problem("not-enough-seats");
    let eve =
        format!("/pools/{}/seats/user:{}/adopt", crate::harness::encode(POOL), crate::harness::encode(&upn("eve")));
    shop.tenant.post(&eve, json!({})).ok();
    assert_eq!(shop.figures(POOL), "owned 3, held 3, reserved 2, in_use 1");

    // and takes one of ours away: lost after two syncs, not after one
    store.simulator.market().reclaim("intune", &key(), &upn("cyd")).expect("it was there");
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 3, held 3, reserved 2, in_use 1");
    let twice = shop.synced();
    assert_eq!(twice["seats"], json!({"seen": 2, "foreign": 0, "lost": 1}));
    assert_eq!(shop.figures(POOL), "owned 3, held 2, reserved 1, in_use 1");

    // the store owns fewer than are held: over, with a plan that one command carries out
    store.simulator.market().adjust(&entry(), 1).expect("the line");
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 1, held 2, reserved 1, in_use 1, over_by 1");
    shop.tenant.post(&format!("/pools/{}/deficit/resolve", crate::harness::encode(POOL)), json!({})).ok();
    shop.settled();
    assert_eq!(shop.figures(POOL), "owned 1, held 1, in_use 1");
    shop.synced();
    assert_eq!(store.sitting(), shop.holders(POOL));
    assert_eq!(store.sitting(), [upn("ada")].into());
    store.never_granted_twice();
    let story = shop.tenant.list("/events?type=seat_released");
    let causes: BTreeSet<_> = story.iter().map(|event| event["data"]["cause"].to_string()).collect();
    assert_eq!(causes, ["\"deficit_plan\"", "\"departed\"", "\"lost\""].map(str::to_owned).into());
    assert!(!shop.tenant.get("/export/events").text.contains("the-simulated-secret"));
}

pub(super) fn entry() -> seatledger::store::simulator::microsoft::EntryKey {
    seatledger::store::simulator::microsoft::EntryKey { product: key(), license_type: LicenseType::Online }
}

#[test]
fn who_is_renamed_and_leaves_before_the_store_has_heard_of_it_keeps_no_seat_there() {
    let (store, _service, shop) = synced(3);
    shop.assign(POOL, &upn("ada"), "required").created();
    shop.settled();
    let people = shop.tenant.list("/users").len();
    shop.tenant.put(&format!("/users/{}", upn("ada")), json!({"user_name": upn("left.ada")})).ok();
    shop.tenant.post(&format!("/users/{}/departure", upn("left.ada")), json!({"cause": "deactivated"})).ok();
    shop.settled();
    assert_eq!((store.sitting().len(), shop.figures(POOL).as_str()), (0, "owned 3"));
    for _ in 0..2 {
        assert_eq!(shop.synced()["seats"], json!({"seen": 0, "foreign": 0, "lost": 0}));
    }
    assert_eq!(shop.tenant.list("/users").len(), people, "nobody comes back under the old name");
}

#[test]
fn a_store_that_has_none_left_is_read_again_and_serves_again() {
    let (store, _service, shop) = synced(2);
    // the ledger thinks that two are free, and another tool has taken them since
    for name in ["eve", "fay"] {
        store.simulator.market().assign("intune", &key(), &upn(name)).expect("a seat");
    }
    shop.assign(POOL, &upn("ada"), "required").created();
    // refused, back in the queue, the store read again by itself, the foreign seats seen
    eventually(|| {
        let figures = shop.figures(POOL);
        if figures == "owned 2, held 2, foreign 2, queued 1" { Ok(()) } else { Err(json!(figures)) }
    });
    store.simulator.market().reclaim("intune", &key(), &upn("eve")).expect("it was there");
    shop.synced();
    shop.synced();
    shop.settled();
    assert_eq!(shop.figures(POOL), "owned 2, held 2, reserved 1, foreign 1");
    assert_eq!(store.sitting(), [upn("ada"), upn("fay")].into());
    store.never_granted_twice();
}

#[test]
fn credentials_that_are_not_accepted_suspend_the_pools_until_they_are_renewed() {
    let (store, service, shop) = synced(3);
    shop.assign(POOL, &upn("ada"), "required").created();
    shop.settled();
    let path = "/store-accounts/microsoft-store";
    let settings = shop.tenant.get(path).ok()["settings"].clone();
    let with = |secret: &str| json!({"account_id": store.directory, "credentials": {"client_secret": secret}});
    shop.tenant.put(path, with("wrong")).ok();
    let failed = shop.sync();
    assert!(failed["failure"].as_str().is_some_and(|why| why.contains("credentials")), "{failed}");
    eventually(|| {
        let (connector, pool) =
            (shop.connector(), shop.tenant.get(&format!("/pools/{}", crate::harness::encode(POOL))).ok());
        if connector["read_only"] == true && pool["state"] == "suspended" {
            Ok(())
        } else {
            Err(json!([connector, pool]))
        }
    });
    shop.assign(POOL, &upn("bob"), "required").problem("pool-suspended");
    let (ready, metrics) = (service.root().get("/readyz"), service.root().get("/metrics"));
    assert!(ready.text.contains("1 store accounts can't be written to"), "{}", ready.text);
    assert!(metrics.text.contains("seatledger_store_accounts_read_only 1"), "{}", metrics.text);
    let other = json!({"account_id": "fabrikam", "settings": settings});
    shop.tenant.put(path, other).problem("store-account-already-linked");
    shop.tenant.put(path, with("the-simulated-secret-of-seatledger")).ok();
    assert_eq!(
        shop.tenant.get(path).ok()["settings"],
        settings,
        "given alone, credentials leave the settings as they are"
    );
    shop.synced();
    shop.assign(POOL, &upn("bob"), "required").created();
    shop.settled();
    assert_eq!(store.sitting(), [upn("ada"), upn("bob")].into());
}

#[test]
fn a_store_that_lets_us_in_again_is_written_to_at_once() {
    let (store, _service, shop) = synced(3);
    assert!(store.simulator.gate().activate("seatledger", false));
    let failed = shop.sync();
    assert!(failed["failure"].as_str().is_some_and(|why| why.contains("credentials")), "{failed}");
    assert!(store.simulator.gate().activate("seatledger", true));
    shop.synced();
    let begun = seatledger::clock::monotonic();
    shop.assign(POOL, &upn("ada"), "required").created();
    shop.settled();
    assert_eq!(store.sitting(), [upn("ada")].into());
    assert!(begun.elapsed() < Duration::from_secs(15), "it waited {:?} for what it knew", begun.elapsed());
}

#[test]
fn who_is_called_as_somebody_before_waits_until_that_one_s_seat_is_back() {
    let (store, _service, shop) = synced(3);
    shop.assign(POOL, &upn("ada"), "required").created();
    shop.settled();
    let broken: FaultRates = [(Fault::CutBefore, 1000)].into_iter().collect();
    store.simulator.switches().faults.set(None, broken);
    shop.tenant.post(&format!("/users/{}/departure", upn("ada")), json!({"cause": "deleted"})).ok();
    // what became of it is not known, and it is asked for again a while later
    eventually(|| if shop.connector()["unknown"] == 1 { Ok(()) } else { Err(shop.connector()) });
    store.simulator.switches().faults.set(None, FaultRates::new());
    shop.tenant.put(&format!("/users/{}", upn("ada")), json!({"user_name": upn("ada")})).created();
    shop.assign(POOL, &upn("ada"), "required").created();
    shop.settled();
    for _ in 0..2 {
        shop.synced();
    }
    assert_eq!(store.sitting(), [upn("ada")].into(), "the seat of the one is not taken for the other's");
    assert_eq!(shop.figures(POOL), "owned 3, held 1, reserved 1");
}

#[test]
fn a_dry_run_says_what_a_sync_would_find_and_changes_nothing() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_for(&store.simulator.url()));
    let shop = store.linked(&service);
    // what the ledger has no word for, and what nobody can carry off, is told and makes no pool
    let mut coins = Product::plain("9NBLGGH4R2R6", "0016", "Coins");
    coins.product_type = "Consumable".into();
    let mut sealed = Product::plain("9NBLGGH4R2R7", "0016", "Sealed");
    sealed.skus[0].packages[0].is_encrypted = true;
    for product in [coins, sealed] {
        let bought = product.product_id.clone();
        store.simulator.market().sell(product).expect("a product");
        store.buys(&bought, LicenseType::Online, 5);
    }
    let look = shop.tenant.post("/syncs", json!({"provider": "microsoft-store", "full": true, "dry_run": true}));
    let looked = shop.ended(look.body["sync"].as_str().expect("a sync"));
    assert_eq!((&looked["state"], &looked["counts"]["listed"]), (&json!("completed"), &json!(2)), "{looked}");
    assert_eq!(shop.tenant.list("/pools").len(), 0);
    let synced = shop.synced();
    assert_eq!((&synced["counts"]["listed"], &synced["counts"]["skipped"]), (&json!(2), &json!(2)), "{synced}");
    let skipped = synced["skipped"].as_array().expect("a list").iter();
    let told: BTreeSet<_> = skipped.map(|one| format!("{} {}", one["key"], one["reason"])).collect();
    let of = |product: &str, why: &str| format!("\"{product}:0016:online\" \"{why}\"");
    let both = [of("9NBLGGH4R2R6", "unsupported-type"), of("9NBLGGH4R2R7", "encrypted-package")];
    assert_eq!(told, both.into());
    assert_eq!(shop.tenant.list("/pools").len(), 2);
    assert_eq!(shop.tenant.get(&format!("/pools/{}", crate::harness::encode(CARRIED))).ok()["installed_by"], "tool");
}

#[test]
fn what_is_read_beside_the_figures_keeps_nobody_from_reading_them() {
    let store = Store::with_seats(5);
    let mut service = Arc::new(service_for(&store.simulator.url()));
    let shop = store.linked(&service);
    shop.synced();
    let told = |shop: &Shop| {
        let pool = shop.tenant.get(&format!("/pools/{}", crate::harness::encode(POOL))).ok();
        json!([pool["name"], pool["publisher"], pool["packages"], pool["related_set"]])
    };
    let before = told(&shop);
    let faults = &store.simulator.switches().faults;
    let broken = |fault| Shot { operation: "packages".into(), fault, after: 0, times: 1000 };
    faults.next(broken(Fault::InternalError)).expect("room");
    let new = "9NBLGGH4R2R6";
    store.simulator.market().sell(Product::plain(new, "0016", "New")).expect("a product");
    store.buys(new, LicenseType::Online, 5);
    store
        .simulator
        .market()
        .assign("intune", &ProductKey { product_id: new.into(), ..key() }, &upn("eve"))
        .expect("a seat");
    for (capacity, is_first) in [(2, true), (1, false)] {
        store.simulator.market().adjust(&entry(), capacity).expect("the line");
        let synced = shop.synced();
        assert_eq!(shop.figures(POOL), format!("owned {capacity}"));
        assert_eq!(told(&shop), before);
        assert_eq!(synced["seats"], json!({"seen": 0, "foreign": 0, "lost": 0}), "what it is nobody has said");
        assert_eq!(shop.tenant.list("/pools").len(), 2);
        if is_first {
            // what the connector remembers is gone, and the ledger knows it still
            let running = Arc::get_mut(&mut service).expect("nobody else has it");
            running.kill();
            running.start_again();
        }
    }
    faults.off();
    shop.synced();
    assert_eq!(shop.tenant.list("/pools").len(), 3);
    assert_eq!(told(&shop), before);
    assert_eq!(shop.figures(&format!("{new}:0016:online")), "owned 5, held 1, foreign 1");
}

#[test]
fn cuts_and_answers_that_can_not_be_read_end_in_agreement_once_they_stop() {
    let (store, _service, shop) = synced(4);
    let rates: FaultRates =
        [(Fault::CutBefore, 60), (Fault::CutAfter, 60), (Fault::InternalError, 60), (Fault::WrongJson, 60)]
            .into_iter()
            .collect();
    store.simulator.switches().faults.set(Some(7), rates);
    for round in 0..6 {
        for name in PEOPLE {
            let path = format!("/pools/{}/seats/user:{}/reclaim", crate::harness::encode(POOL), upn(name));
            if round % 2 == 1 {
                shop.tenant.post(&path, json!({}));
            } else {
                let body = json!({"pool": POOL, "target": {"user": upn(name)}, "intent": "required"});
                let made = shop.tenant.post("/assignments", body);
                if let Some(assignment) = made.body["assignment"].as_str() {
                    shop.tenant.post(
                        &format!("/pools/{}/seats/user:{}/grant", crate::harness::encode(POOL), upn(name)),
                        json!({}),
                    );
                    if round % 4 == 2 {
                        shop.tenant.delete(&format!("/assignments/{assignment}"));
                    }
                }
            }
        }
        let held = shop.tenant.get(&format!("/pools/{}", crate::harness::encode(POOL))).ok();
        assert_eq!(held["over_by"], 0, "{held}");
    }
    store.simulator.switches().faults.set(None, FaultRates::new());
    shop.settled();
    for _ in 0..3 {
        shop.synced();
    }
    shop.settled();
    assert_eq!(store.sitting(), shop.holders(POOL));
    store.never_granted_twice();
}

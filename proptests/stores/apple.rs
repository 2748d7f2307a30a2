//! Apple Apps and Books.

use super::{Shop, eventually, service_for, service_that_waits};
use crate::harness::{Service, block_on, grants_in};
use seatledger::store::simulator::apple::{AppleSimulator, NewAsset, NewToken, NewUnit, Options, Order, Timing};
use seatledger::store::simulator::faults::{Fault, FaultRates};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) const UNIT: &str = "2049025000431439";
pub(super) const APP: &str = "408709785";
pub(super) const POOL: &str = "apple:2049025000431439:408709785:STDQ";

pub(super) struct Store {
    pub(super) simulator: AppleSimulator,
    token: String,
}

impl Store {
    pub(super) fn with_seats(seats: u32) -> Self {
        let timing = Timing { event_delay: Duration::from_millis(20), ..Timing::default() };
        let options = Options { timing, client: Some(plain_client()), ..Options::default() };
        let simulator = block_on(AppleSimulator::start(options)).expect("a free port");
        let unit = NewUnit { uid: Some(UNIT.into()), name: "Berlin".into(), org_name: "Contoso".into(), country: None };
        simulator.place(Order::Unit(unit)).expect("a unit");
        simulator.place(Order::Purchase(NewAsset::app(UNIT, APP, seats))).expect("bought");
        let token = NewToken { uid: UNIT.into(), is_read_only: false, expires_in_days: Some(365) };
        let token = simulator.place(Order::Token(token)).expect("a token").token.expect("it is shown");
        Self { simulator, token }
    }

    pub(super) fn order(&self, order: Value) {
        self.simulator.place(serde_json::from_value(order).expect("an order")).expect("it can be done");
    }

    pub(super) fn sitting(&self) -> BTreeSet<String> {
        let seats = self.simulator.assignments(UNIT).expect("the unit");
        let name = |holder: Value| {
            let named = holder.get("clientUserId").or_else(|| holder.get("serialNumber"));
            named.and_then(Value::as_str).map(str::to_lowercase).expect("a name")
        };
        seats.iter().map(|seat| name(json!(seat.holder))).collect()
    }

    pub(super) fn linked(&self, service: &Arc<Service>) -> Shop {
        self.linked_with(service, json!({}))
    }

    fn linked_with(&self, service: &Arc<Service>, more: Value) -> Shop {
        let shop = Shop::new(service, "apple-business");
        for name in ["ada", "bob", "cyd", "dee", "eve"] {
            shop.tenant.user(name);
        }
        self.linked_to(shop, more)
    }

    pub(super) fn linked_to(&self, shop: Shop, more: Value) -> Shop {
        let mut settings = json!({"base_url": self.simulator.base_url(), "poll_millis": 25, "patience_seconds": 5});
        settings.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let credentials = json!({"content_tokens": [self.token]});
        let account = json!({"account_id": UNIT, "settings": settings, "credentials": credentials});
        shop.tenant.put("/store-accounts/apple-business", account).created();
        shop
    }
}

/// Who delivers notifications: nobody whom it asks speaks TLS.
pub(super) fn plain_client() -> reqwest::Client {
    let _there = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().tls_certs_only([]).build().expect("a client")
}

fn user(name: &str) -> String {
    crate::harness::user(name)
}

#[test]
fn a_whole_life_ends_with_ledger_and_store_agreeing_seat_by_seat() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_for(&store.simulator.base_url()));
    let shop = store.linked(&service);
    assert_eq!(shop.synced()["counts"]["listed"], 1);
    for name in ["ada", "bob", "cyd"] {
        shop.assign(POOL, &user(name), "required").created();
    }
    shop.assign(POOL, &user("dee"), "required").problem("not-enough-seats");
    shop.settled();
    assert_eq!(store.sitting(), shop.holders(POOL));
    assert_eq!(shop.figures(POOL), "owned 3, held 3, reserved 3");

    // given back, and to the next one
    shop.tenant.post(&format!("/users/{}/departure", user("bob")), json!({"cause": "deactivated"})).ok();
    shop.settled();
    assert_eq!(store.sitting(), [user("ada"), user("cyd")].into());
    shop.assign(POOL, &user("dee"), "required").created();
    shop.settled();

    // another tool and the order desk
    store.order(json!({"order": "disassociate", "uid": UNIT, "tool": "other", "adam_id": APP, "holder": {"clientUserId": user("dee")}}));
    shop.synced();
    assert_eq!(shop.synced()["seats"]["lost"], 1);
    store.order(
        json!({"order": "associate", "uid": UNIT, "tool": "other", "adam_id": APP, "holder": {"serialNumber": "SN7"}}),
    );
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 3, held 3, reserved 2, foreign 1");
    store.order(json!({"order": "refund", "uid": UNIT, "adam_id": APP, "quantity": 1}));
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 2, held 3, reserved 2, foreign 1, over_by 1");
    shop.tenant.post(&format!("/pools/{}/deficit/resolve", crate::harness::encode(POOL)), json!({})).ok();
    shop.settled();
    shop.synced();
    assert_eq!(store.sitting(), shop.holders(POOL));
    assert_eq!(shop.figures(POOL), "owned 2, held 2, reserved 1, foreign 1");
    grants_in(store.simulator.journal(0, 1_000_000));
}

#[test]
fn a_seat_whose_grant_the_store_is_still_at_is_not_free_before_that_has_ended() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_for(&store.simulator.base_url()));
    let shop = store.linked_with(&service, json!({"patience_seconds": 0}));
    shop.synced();
    let serials = ["SN1", "SN2", "SN3"];
    let stuck: FaultRates = [(Fault::StuckPending, 1000)].into_iter().collect();
    store.simulator.faults().set(Some(1), stuck);
    for serial in serials {
        let device = json!({"platform": "ios", "join": "none", "enrolled": true, "serial": serial});
        shop.tenant.put(&format!("/devices/{serial}"), device).ok();
        let body = json!({"pool": POOL, "target": {"device": serial}, "intent": "required", "licensing": "device"});
        shop.tenant.post("/assignments", body).created();
    }
    std::thread::sleep(Duration::from_millis(500));
    // sent, and for all that is known done or not
    eventually(|| {
        let connector = shop.connector();
        let is_sent = connector["unconfirmed"] == connector["unknown"];
        if is_sent { Ok(()) } else { Err(connector) }
    });
    for serial in serials {
        let seat = format!("/pools/{}/seats/device:{serial}/reclaim", crate::harness::encode(POOL));
        shop.tenant.post(&seat, json!({})).ok();
    }
    store.simulator.faults().off();
    std::thread::sleep(Duration::from_secs(2));
    store.order(json!({"order": "finish_events"}));
    shop.settled();
    assert_eq!((store.sitting().len(), shop.figures(POOL).as_str()), (0, "owned 3"));
}

#[test]
fn a_unit_that_another_tool_has_taken_is_written_to_no_more() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_for(&store.simulator.base_url()));
    let shop = store.linked(&service);
    shop.synced();
    shop.assign(POOL, &user("ada"), "required").created();
    shop.settled();
    let other = json!({"id": "jamf-7", "name": "Jamf", "metadata": ""});
    store.order(json!({"order": "take_over", "uid": UNIT, "mdm_info": other}));
    let failed = shop.sync();
    assert_eq!(failed["state"], "failed", "{failed}");
    eventually(|| {
        let connector = shop.connector();
        if connector["read_only"] == true { Ok(()) } else { Err(connector) }
    });
    shop.assign(POOL, &user("bob"), "required").problem("pool-suspended");
    assert_eq!(store.sitting(), [user("ada")].into());
}

#[test]
fn a_purchase_that_apple_tells_of_is_read_and_whoever_else_tells_is_not_heard() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_for(&store.simulator.base_url()));
    // the first tenant of a service
    let address = service.root().url("/v1/tenants/tenant-0/store-accounts/apple-business/notifications");
    let shop = store.linked_with(&service, json!({"notification_url": address}));
    shop.synced();
    store.simulator.place(Order::Purchase(NewAsset::app(UNIT, APP, 2))).expect("bought");
    eventually(|| {
        let figures = shop.figures(POOL);
        if figures == "owned 5" { Ok(()) } else { Err(json!([figures, shop.connector()])) }
    });
    let syncs = shop.tenant.list("/syncs").len();
    let told = json!({"notificationType": "ASSET_COUNT", "notification": {"adamId": APP, "countDelta": 1}});
    let path = "/store-accounts/apple-business/notifications";
    shop.tenant.without_token().post(path, told.clone()).problem("unauthorized");
    shop.tenant.post(path, told.clone()).problem("unauthorized");
    shop.tenant.post("/store-accounts/microsoft-store/notifications", told.clone()).problem("unauthorized");
    service.root().post("/v1/tenants/nobody/store-accounts/apple-business/notifications", told).problem("unauthorized");
    // Apple itself, with what can't be read, and with what it has told before
    let secret = Sha256::new().chain_update(b"seatledger notifications\n").chain_update(&store.token).finalize();
    let apple = shop.tenant.with_token(&hex::encode(secret));
    apple.post(path, json!({"no": "notification"})).problem("unreadable-request");
    apple.post(path, json!({"notificationType": "TEST_NOTIFICATION", "uId": "another"})).problem("unreadable-request");
    let told = json!({"notificationId": "n1", "notificationType": "ASSET_COUNT", "uId": UNIT,
        "notification": {"adamId": APP, "countDelta": 1}});
    assert_eq!(shop.tenant.list("/syncs").len(), syncs);
    assert_eq!(apple.post(path, told.clone()).status, 204);
    eventually(|| {
        let listed = shop.tenant.list("/syncs");
        let is_over = listed.iter().all(|sync| sync["state"] == "completed");
        if listed.len() == syncs + 1 && is_over { Ok(()) } else { Err(json!(listed)) }
    });
    assert_eq!(apple.post(path, told).status, 204);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(shop.tenant.list("/syncs").len(), syncs + 1, "told twice, read once");
    assert_eq!(shop.figures(POOL), "owned 5", "what was told is not added up");
}

#[test]
fn what_an_old_list_does_not_show_is_not_lost_and_a_store_that_tells_much_is_read_seldom() {
    let store = Store::with_seats(3);
    let service = Arc::new(service_that_waits(&[store.simulator.base_url()], 600));
    // the first tenant of a service
    let address = service.root().url("/v1/tenants/tenant-0/store-accounts/apple-business/notifications");
    let shop = store.linked_with(&service, json!({"notification_url": address}));
    shop.synced();
    shop.assign(POOL, &user("ada"), "required").created();
    shop.settled();
    store.simulator.faults().set(None, [(Fault::StaleList, 1000)].into_iter().collect());
    for _ in 0..3 {
        assert_eq!(shop.synced()["seats"], json!({"seen": 0, "foreign": 0, "lost": 0}));
    }
    store.simulator.faults().off();
    assert_eq!(shop.synced()["seats"]["seen"], 1);
    assert_eq!(shop.figures(POOL), "owned 3, held 1, reserved 1");

    // the first word is acted upon at once, and the next ones once for all
    let buys = || {
        store.simulator.place(Order::Purchase(NewAsset::app(UNIT, APP, 1))).expect("bought");
    };
    buys();
    eventually(|| {
        let figures = shop.figures(POOL);
        if figures == "owned 4, held 1, reserved 1" { Ok(()) } else { Err(json!(figures)) }
    });
    shop.at_rest();
    let syncs = shop.tenant.list("/syncs").len();
    for _ in 0..3 {
        buys();
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(shop.tenant.list("/syncs").len(), syncs);
}

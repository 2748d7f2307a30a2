//! A connector that the ledger takes nothing from: it rests, says so once, and goes on by itself.

use super::apple::{APP, POOL, Store, UNIT};
use super::eventually;
use crate::harness::{Options, Service};
use crate::power_cut::mount::PowerDisk;
use seatledger::store::simulator::apple::{NewAsset, Order};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const FLOOR_BYTES: u64 = 8 << 20;
/// Several of the times after which a worker used to be begun anew.
const LOOKS: Duration = Duration::from_secs(12);

#[test]
fn a_full_disk_lets_the_worker_rest_and_room_wakes_it() {
    let Some(disk) = PowerDisk::mounted() else { return };
    let store = Store::with_seats(3);
    let environment = vec![
        ("SEATLEDGER_DISK_FLOOR_BYTES", FLOOR_BYTES.to_string()),
        ("SEATLEDGER_STORE_URLS", format!("[\"{}\"]", store.simulator.base_url())),
        ("SEATLEDGER_STORE_SYNC_SECONDS", "0".to_owned()),
    ];
    let service = Arc::new(Service::start_with(Options { environment, data: Some(disk.data()), ..Options::default() }));
    let shop = store.linked(&service);
    shop.synced();

    // the store is being read while the disk fills up
    store.simulator.place(Order::Purchase(NewAsset::app(UNIT, APP, 2))).expect("bought");
    store.simulator.faults().set_latency(Duration::from_millis(400));
    let sync = shop.tenant.post("/syncs", json!({"provider": "apple-business", "full": true}));
    assert_eq!(sync.status, 202, "{}", sync.text);
    disk.limit(disk.used_bytes() + FLOOR_BYTES / 2);
    eventually(|| {
        let connector = shop.connector();
        let is_said = connector["problem"].as_str().is_some_and(|why| why.contains("rests"));
        if is_said && connector["running"] == false { Ok(()) } else { Err(connector) }
    });
    let ready = service.root().without_token().get("/readyz").body["reasons"].clone();
    let said =
        ready.as_array().into_iter().flatten().filter_map(Value::as_str).find(|why| why.contains("accounts rest"));
    let said = said.expect("it is told that it rests");
    assert!(said.contains("1 store accounts rest") && !said.contains("disk"), "why is nothing for strangers: {said}");
    let lines = |text: &str| service.log().lines().filter(|line| line.contains(text)).count();
    let begun = lines("a store account is connected");
    std::thread::sleep(LOOKS);
    assert_eq!(lines("the worker of a store account rests"), 1, "{}", service.log());
    assert_eq!(lines("a store account is connected"), begun, "it is not begun again and again");

    disk.limit(u64::MAX);
    store.simulator.faults().set_latency(Duration::ZERO);
    eventually(|| {
        let connector = shop.connector();
        if connector["running"] == true && connector["problem"].is_null() { Ok(()) } else { Err(connector) }
    });
    let left = shop.ended(sync.body["sync"].as_str().expect("a sync"));
    assert_eq!(left["state"], "failed", "nobody went on with it: {left}");
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 5");
    assert_eq!(service.root().get("/readyz").ok()["reasons"], Value::Array(vec![]));
}

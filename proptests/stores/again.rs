//! What a pass was begun for is not forgotten when it comes to nothing, and what waits for a first look at the store does not
//! wait for a sync.

use super::apple::{POOL, Store};
use super::{eventually, service_for};
use crate::harness::{Options, Service, user};
use seatledger::store::simulator::faults::{Fault, Shot};
use serde_json::{Value, json};
use std::sync::Arc;

fn syncing(store: &Store) -> Arc<Service> {
    let environment = vec![
        ("SEATLEDGER_STORE_URLS", format!("[\"{}\"]", store.simulator.base_url())),
        ("SEATLEDGER_STORE_SYNC_SECONDS", "3600".to_owned()),
        ("SEATLEDGER_STORE_PAUSE_SECONDS", "0".to_owned()),
    ];
    Arc::new(Service::start_with(Options { environment, ..Options::default() }))
}

#[test]
fn a_sync_that_was_begun_by_itself_and_failed_is_begun_again_before_the_next_one_is_due() {
    let store = Store::with_seats(3);
    let service = syncing(&store);
    let shot = Shot { operation: "assets".into(), fault: Fault::InternalError, after: 0, times: 5 };
    store.simulator.faults().next(shot).expect("room for a fault");
    let shop = store.linked(&service);
    let states = || -> Vec<Value> { shop.tenant.list("/syncs").iter().map(|sync| sync["state"].clone()).collect() };
    eventually(|| if states().contains(&json!("failed")) { Ok(()) } else { Err(json!(states())) });
    eventually(|| {
        let problem = shop.connector()["problem"].clone();
        if problem.as_str().is_some_and(|why| why.contains("500")) { Ok(()) } else { Err(problem) }
    });
    eventually(|| if states().contains(&json!("completed")) { Ok(()) } else { Err(json!(states())) });
    assert_eq!(shop.figures(POOL), "owned 3");
    eventually(|| if shop.connector()["problem"].is_null() { Ok(()) } else { Err(shop.connector()) });
}

#[test]
fn where_nothing_is_synced_a_restart_still_looks_at_the_names_that_releases_need() {
    let store = Store::with_seats(3);
    let mut service = Arc::new(service_for(&store.simulator.base_url()));
    let shop = store.linked(&service);
    shop.synced();
    shop.assign(POOL, &user("ada"), "required").created();
    shop.settled();
    assert_eq!(store.sitting().len(), 1);
    let running = Arc::get_mut(&mut service).expect("nobody else has it");
    running.kill();
    running.start_again();
    shop.tenant.post(&format!("/users/{}/departure", user("ada")), json!({"cause": "deactivated"})).ok();
    shop.settled();
    assert!(store.sitting().is_empty(), "{:?}", store.sitting());
    let looks: Vec<_> = shop.tenant.list("/syncs").into_iter().filter(|sync| sync["dry_run"] == true).collect();
    assert_eq!(looks.len(), 1, "{looks:?}");
}

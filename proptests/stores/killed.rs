//! A service that is killed in the middle of confirmations: nothing is granted twice, and nothing is forgotten.

use super::microsoft::{POOL, Store, upn};
use super::service_for;
use crate::harness::is_budget_full;
use seatledger::store::simulator::faults::{Fault, FaultRates};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn kills_in_the_middle_of_confirmations_lose_and_double_nothing() {
    let kills = if is_budget_full() { 100 } else { 8 };
    let store = Store::with_seats(40);
    for n in 0..40 {
        store.simulator.market().hire(&upn(&format!("u{n}")), Duration::ZERO).expect("a user");
    }
    store.simulator.switches().faults.set_latency(Duration::from_millis(15));
    let mut service = Arc::new(service_for(&store.simulator.url()));
    let shop = store.linked(&service);
    shop.synced();
    let people: Vec<String> = (0..40).map(|n| upn(&format!("u{n}"))).collect();
    for name in &people {
        shop.tenant.put(&format!("/users/{name}"), json!({"user_name": name})).ok();
    }
    let rates: FaultRates = [(Fault::CutAfter, 50), (Fault::CutBefore, 50)].into_iter().collect();
    store.simulator.switches().faults.set(Some(3), rates);
    let members = |from: usize, to: usize| json!({"kind": "users", "members": people.get(from..to).expect("people")});
    shop.tenant.put("/groups/team", members(0, 20)).ok();
    shop.tenant
        .post("/assignments", json!({"pool": POOL, "target": {"group": "team"}, "intent": "required", "mode": "fill"}))
        .created();
    for kill in 0..kills {
        // others are to hold the seats from now on, and the store is still at the last ones
        let from = (kill * 7) % 20;
        shop.tenant.put("/groups/team", members(from, from + 20)).ok();
        std::thread::sleep(Duration::from_millis(20 + (kill as u64 * 37) % 160));
        let running = Arc::get_mut(&mut service).expect("nobody else has it");
        running.kill();
        running.start_again();
    }
    store.simulator.switches().faults.set(None, FaultRates::new());
    shop.settled();
    store.never_granted_twice();
    assert_eq!(store.sitting(), shop.holders(POOL));
    shop.synced();
    assert_eq!(store.sitting(), shop.holders(POOL));
}

//! What the store calls somebody, when the ledger calls them otherwise by now, or can't call them anything any more.

use super::apple::{APP, POOL, Store, UNIT};
use super::{Shop, service_for};
use crate::harness::{Service, user};
use seatledger::store::simulator::faults::{Fault, FaultRates};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn killed(service: &mut Arc<Service>, meanwhile: impl FnOnce(&Path)) {
    let running = Arc::get_mut(service).expect("nobody else has it");
    running.kill();
    meanwhile(&running.data());
    running.start_again();
}

/// Destroys the key of a subject, as an erasure does.
fn erase(data: &Path, subject: usize) {
    let path = data.join("subject.keys");
    let mut bytes = fs::read(&path).expect("the keys");
    let slot = bytes.get_mut(128 + subject * 80..128 + (subject + 1) * 80).expect("a key");
    slot.fill(0);
    slot[0] = 2;
    let sum = crc32fast::hash(&slot[..76]).to_be_bytes();
    slot[76..].copy_from_slice(&sum);
    fs::write(path, bytes).expect("the keys");
}

fn departs(shop: &Shop, id: &str) {
    shop.tenant.post(&format!("/users/{id}/departure"), json!({"cause": "deactivated"})).ok();
}

fn id_of(shop: &Shop, name: &str) -> String {
    shop.tenant.get(&format!("/users/{name}")).ok()["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_seat_given_under_an_old_name_is_given_back_after_a_rename_and_a_kill() {
    let store = Store::with_seats(3);
    let mut service = Arc::new(service_for(&store.simulator.base_url()));
    let shop = store.linked(&service);
    shop.synced();
    for name in ["ada", "bob"] {
        shop.assign(POOL, &user(name), "required").created();
    }
    shop.settled();
    let (ada, bob) = (id_of(&shop, &user("ada")), id_of(&shop, &user("bob")));
    for (id, name) in [(&ada, "ada.lovelace@contoso.example"), (&bob, "robert@contoso.example")] {
        shop.tenant.put(&format!("/users/{id}"), json!({"user_name": name})).ok();
    }
    // Ada's old name is somebody else's from now on
    shop.tenant.put(&format!("/users/{}", user("ada")), json!({"user_name": user("ada")})).ok();
    let people = shop.tenant.list("/users").len();
    departs(&shop, &ada);
    killed(&mut service, |_| ());
    shop.synced();
    shop.settled();
    assert_eq!(store.sitting(), BTreeSet::from([user("bob")]), "the store knows them by the names of then");
    assert_eq!(shop.figures(POOL), "owned 3, held 1, reserved 1");

    // and once more, for who is released only then
    killed(&mut service, |_| ());
    departs(&shop, &bob);
    shop.synced();
    shop.settled();
    shop.synced();
    assert_eq!((store.sitting().len(), shop.figures(POOL).as_str()), (0, "owned 3"));
    assert_eq!(shop.tenant.list("/users").len(), people, "nobody is introduced under a name of old");
}

/// Ada's seat is to go, the store does not answer, and then nobody can name her any more.
fn erased_while_releasing(store: &Store) -> (Arc<Service>, Shop) {
    let mut service = Arc::new(service_for(&store.simulator.base_url()));
    let shop = store.linked(&service);
    shop.synced();
    shop.assign(POOL, &user("ada"), "required").created();
    shop.settled();
    let ada = id_of(&shop, &user("ada"));
    let down: FaultRates = [(Fault::Unavailable, 1000)].into_iter().collect();
    store.simulator.faults().set(None, down);
    departs(&shop, &ada);
    killed(&mut service, |data| erase(data, 0));
    assert_eq!(shop.tenant.get(&format!("/users/{ada}")).ok()["user_name"], Value::Null);
    store.simulator.faults().off();
    assert_eq!(shop.figures(POOL), "owned 3, held 1, releasing 1");
    (service, shop)
}

#[test]
fn a_seat_of_an_erased_person_that_the_store_has_taken_back_is_gone_after_two_passes() {
    let store = Store::with_seats(3);
    let (_service, shop) = erased_while_releasing(&store);
    let holder = json!({"clientUserId": user("ada")});
    store.order(json!({"order": "disassociate", "uid": UNIT, "tool": "a person", "adam_id": APP, "holder": holder}));
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 3, held 1, releasing 1", "once is not enough");
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 3");
}

#[test]
fn a_seat_of_an_erased_person_that_the_store_still_shows_is_a_stranger_s() {
    let store = Store::with_seats(3);
    let (_service, shop) = erased_while_releasing(&store);
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 3, held 2, releasing 1, foreign 1", "counted twice until it is sure");
    shop.synced();
    assert_eq!(shop.figures(POOL), "owned 3, held 1, foreign 1");
    assert_eq!(store.sitting(), BTreeSet::from([user("ada")]), "nobody takes away what may be somebody else's");
    // a person says what becomes of it
    let seat = format!("/pools/{}/seats/user:{}", crate::harness::encode(POOL), user("ada"));
    shop.tenant.post(&format!("{seat}/adopt"), json!({})).ok();
    shop.tenant.post(&format!("{seat}/reclaim"), json!({})).ok();
    shop.settled();
    assert_eq!((store.sitting().len(), shop.figures(POOL).as_str()), (0, "owned 3"));
}

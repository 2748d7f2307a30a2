//! Random interleavings of our commands, another tool's deeds, orders, syncs and faults: the laws hold at every position, no
//! seat is granted twice at the store, and once the faults stop, three complete syncs bring ledger and store to agreement.

use super::microsoft::{OFFICE, POOL, Store, entry, key, upn};
use super::{Shop, service_for_all};
use crate::harness::{asked_number, encode, is_budget_full};
use crate::history::History;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use seatledger::domain::key::LicenseType;
use seatledger::store::simulator::faults::{Fault, FaultRates};
use serde_json::json;
use std::sync::Arc;

const STEPS: usize = 200;
const LIVES_AT_ONCE: usize = 6;
const PEOPLE: [&str; 6] = ["ada", "bob", "cyd", "dee", "eve", "fay"];
const FAULTS: [Fault; 7] = [
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::CutInAnswer,
    Fault::InternalError,
    Fault::WrongJson,
    Fault::PageDrift,
    Fault::StaleFigures,
];

#[test]
fn whatever_happens_in_whatever_order_ends_in_agreement() {
    let usual = if is_budget_full() { 2000 } else { 500 };
    let runs = asked_number("SEATLEDGER_STORE_RUNS").unwrap_or(usual);
    let first = asked_number("SEATLEDGER_STORE_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut left: Vec<u64> = (first..first + runs).collect();
    while !left.is_empty() {
        let part: Vec<u64> = left.drain(..left.len().min(50)).collect();
        let stores: Vec<Store> = part.iter().map(|_| Store::with_seats(4)).collect();
        let urls: Vec<String> = stores.iter().map(|store| store.simulator.url()).collect();
        let service = Arc::new(service_for_all(&urls));
        let work: Mutex<Vec<(u64, &Store)>> = Mutex::new(part.into_iter().zip(&stores).collect());
        let one_after_the_other = || {
            while let Some((seed, store)) = { work.lock().pop() } {
                eprintln!("seed {seed}: SEATLEDGER_STORE_SEED={seed} SEATLEDGER_STORE_RUNS=1 runs it again");
                let shop = store.linked(&service);
                shop.synced();
                live(store, &shop, &mut StdRng::seed_from_u64(seed));
                agree(store, &shop);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..LIVES_AT_ONCE {
                scope.spawn(one_after_the_other);
            }
        });
    }
}

fn live(store: &Store, shop: &Shop, random: &mut StdRng) {
    let seat = |name: &str, what: &str| format!("/pools/{}/seats/user:{}/{what}", encode(POOL), upn(name));
    let mut assignments: Vec<String> = vec![];
    for _ in 0..STEPS {
        let name = *PEOPLE.choose(random).expect("somebody");
        match random.random_range(0..20) {
            0..=4 => {
                let intent = if random.random_bool(0.7) { "required" } else { "available" };
                let target = json!({"user": upn(name)});
                let mut body = json!({"pool": POOL, "target": target, "intent": intent});
                if intent == "required" && random.random_bool(0.5) {
                    body["mode"] = json!("fill");
                }
                let made = shop.tenant.post("/assignments", body);
                assignments.extend(made.body["assignment"].as_str().map(str::to_owned));
            }
            5..=6 => {
                if let Some(assignment) = assignments.choose(random) {
                    shop.tenant.delete(&format!("/assignments/{assignment}"));
                }
            }
            7 => drop(shop.tenant.post(&seat(name, "reclaim"), json!({}))),
            8 => drop(shop.tenant.post(&seat(name, "grant"), json!({}))),
            9 => drop(shop.tenant.post(&seat(name, "adopt"), json!({}))),
            10 => drop(shop.tenant.post(&format!("/users/{}/departure", upn(name)), json!({"cause": "deactivated"}))),
            11 => drop(shop.tenant.post(&format!("/users/{}/return", upn(name)), json!({}))),
            12 => {
                let _full = store.simulator.market().assign("intune", &key(), &upn(name));
            }
            13 => {
                let _none = store.simulator.market().reclaim("intune", &key(), &upn(name));
            }
            14 => {
                let _odd = store.simulator.market().adjust(&entry(), random.random_range(0..7));
            }
            15 => drop(store.buys(OFFICE, LicenseType::Online, 1)),
            16..=17 => {
                let full = random.random_bool(0.8);
                shop.tenant.post("/syncs", json!({"provider": "microsoft-store", "full": full}));
            }
            18 => {
                let rates: FaultRates = FAULTS.iter().map(|fault| (*fault, random.random_range(0..120))).collect();
                store.simulator.switches().faults.set(Some(random.random()), rates);
            }
            _ => drop(shop.tenant.post(&format!("/pools/{}/deficit/resolve", encode(POOL)), json!({}))),
        }
        std::thread::sleep(std::time::Duration::from_micros(random.random_range(0..3000)));
    }
}

fn agree(store: &Store, shop: &Shop) {
    store.simulator.switches().faults.set(None, FaultRates::new());
    // one that was begun among the faults may still be under way, and end as it likes
    shop.sync();
    for _ in 0..3 {
        shop.synced();
        shop.settled();
    }
    assert_eq!(store.sitting(), shop.holders(POOL), "{}", shop.figures(POOL));
    store.never_granted_twice();
    // the laws, event by event
    let mut history = History::default();
    history.read_on(&shop.tenant);
    history.equals_the_figures_of(&shop.tenant);
}

//! What becomes of grants and releases, and that an outcome that is claimed is true.

use super::{Store, ask, offline, online, upn};
use crate::harness::{asked_number, block_on};
use seatledger::clock::monotonic;
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::{LicenseType, PoolKey};
use seatledger::store::simulator::faults::{Fault, FaultRates};
use seatledger::store::simulator::microsoft::Product;
use seatledger::store::terms::{Request, Settled, Sought, StoreHolder, Trouble};
use std::time::Duration;

const OFFICE: &str = "9WZDNCRFJ364";
const CARRIED: &str = "9WZDNCRD29V9";
const PRODUCTS: [&str; 2] = [OFFICE, "9WZDNCRFJ365"];
use Sought::{Grant, Release};

#[test]
fn seats_are_granted_in_order_until_none_is_left_and_given_back() {
    let store = Store::open();
    let pool = store.pool(OFFICE, 3);
    store.hire(&["ada", "bob", "cyd", "dee"]);
    let grant = |names: &[&str]| store.settle(names.iter().map(|name| ask(&pool, name, Grant)).collect());
    assert_eq!(grant(&["ada"]), [Settled::Granted]);
    assert_eq!(grant(&["ada"]), [Settled::Granted], "it is there already");
    assert_eq!(
        grant(&["bob", "ada", "BOB", "cyd", "dee"]),
        [Settled::Granted, Settled::Granted, Settled::Granted, Settled::Granted, Settled::NotEnough]
    );
    assert_eq!(grant(&["dee"]), [Settled::NotEnough]);
    // a release of the same list goes first
    let both = store.settle(vec![ask(&pool, "dee", Grant), ask(&pool, "ada", Release)]);
    assert_eq!(both, [Settled::Granted, Settled::Released]);
    let back = store.settle(["ada", "bob", "cyd"].map(|name| ask(&pool, name, Release)).into());
    assert_eq!(back, [Settled::Released, Settled::Released, Settled::Released], "one was gone before");
    assert!(store.has(OFFICE, "dee") && !store.has(OFFICE, "bob"));
    assert_eq!(store.grants().values().sum::<u32>(), 4);
}

#[test]
fn more_than_a_batch_of_several_pools_is_settled() {
    let store = Store::open();
    let pools = [store.pool(OFFICE, 60), store.pool("9WZDNCRFJ365", 10)];
    let names: Vec<String> = (0..70).map(|number| format!("u{number}")).collect();
    store.hire(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let asked = pools.iter().flat_map(|pool| names.iter().map(|name| ask(pool, name, Grant))).collect();
    let settled = store.settle(asked);
    let granted: Vec<bool> = settled.iter().map(|it| *it == Settled::Granted).collect();
    assert!(granted[..60].iter().all(|it| *it) && granted[60..70].iter().all(|it| !it));
    assert!(granted[70..80].iter().all(|it| *it) && granted[80..].iter().all(|it| !it));
    assert!(settled.iter().all(|it| matches!(it, Settled::Granted | Settled::NotEnough)));
}

#[test]
fn what_can_not_be_is_refused_and_what_may_come_is_not_sent() {
    let store = Store::open();
    let pool = store.pool(OFFICE, 9);
    store.sell(Product::plain(CARRIED, "0016", "Carried"), LicenseType::Offline, 7, DistributionPolicy::Restricted);
    store.hire(&["ada"]);
    store.simulator.market().hire(&upn("new"), Duration::from_secs(60)).expect("a user");
    let is_refused = |settled: &Settled| matches!(settled, Settled::Refused(_));
    // the store keeps no seats of an offline pool, nor of a pool that it does not have; and users alone hold any
    assert!(store.settle(vec![ask(&offline(CARRIED), "ada", Grant)]).iter().all(is_refused));
    assert!(store.settle(vec![ask(&online(CARRIED), "ada", Grant)]).iter().all(is_refused));
    assert!(store.settle(vec![ask(&online("9WZDNCRFJ399"), "ada", Grant)]).iter().all(is_refused));
    let device = Request { holder: StoreHolder::Device("MAC".into()), ..ask(&pool, "ada", Grant) };
    assert!(store.settle(vec![device]).iter().all(is_refused));
    let held = store.settle(vec![ask(&online(CARRIED), "ada", Release)]);
    assert!(matches!(held[0], Settled::ReleaseRefused(_)), "{held:?}");
    let gone = store.settle(vec![ask(&online("9WZDNCRFJ399"), "ada", Release), ask(&pool, "nobody", Release)]);
    assert_eq!(gone, [Settled::Released, Settled::Released]);
    // in bulk and alone
    let is_later = |settled: &Settled| matches!(settled, Settled::NotSent(Trouble::Refused { status: 404, .. }));
    assert!(is_later(&store.settle(vec![ask(&pool, "new", Grant)])[0]));
    let settled = store.settle(vec![ask(&pool, "new", Grant), ask(&pool, "ada", Grant)]);
    assert!(is_later(&settled[0]) && settled[1] == Settled::Granted, "{settled:?}");
    store.simulator.switches().clock.advance(Duration::from_secs(61));
    assert_eq!(store.settle(vec![ask(&pool, "new", Grant)]), [Settled::Granted]);
}

#[test]
fn who_was_renamed_and_is_not_known_so_yet_gives_the_seat_back_under_the_old_name() {
    let store = Store::open();
    let pool = store.pool(OFFICE, 9);
    store.hire(&["ada", "bob", "cyd"]);
    for name in ["ada", "bob"] {
        store.give(OFFICE, name);
    }
    let old = |name: &str| StoreHolder::User(upn(name));
    let renamed = |today: &str, names: &[&str]| Request {
        old_names: names.iter().map(|name| old(name)).collect(),
        ..ask(&pool, today, Release)
    };
    assert_eq!(store.settle(vec![renamed("left.ada", &["nobody", "ada"])]), [Settled::Released]);
    assert!(!store.has(OFFICE, "ada"));
    // whom the store knows by today's name has no other one, alone and in bulk
    let settled = store.settle(vec![renamed("cyd", &["bob"]), renamed("nobody", &[])]);
    assert_eq!(settled, [Settled::Released, Settled::Released]);
    assert!(store.has(OFFICE, "bob"));
    let settled = store.settle(vec![renamed("left.bob", &["bob"]), renamed("cyd", &[])]);
    assert_eq!(settled, [Settled::Released, Settled::Released]);
    assert!(!store.has(OFFICE, "bob"));
}

/// What is claimed of a holder, who had a seat before or not, against what is so.
fn is_true(sought: Sought, settled: &Settled, had: bool, has: bool) -> bool {
    match (sought, settled) {
        (Grant, Settled::Granted) | (Release, Settled::ReleaseRefused(_)) => has,
        (Grant, Settled::NotEnough | Settled::Refused(_)) | (Release, Settled::Released) => !has,
        (Grant | Release, Settled::NotSent(_)) => has == had,
        (Grant | Release, Settled::Unknown(_)) => true,
        (Grant, Settled::Released | Settled::ReleaseRefused(_))
        | (Release, Settled::Granted | Settled::NotEnough | Settled::Refused(_)) => false,
    }
}

#[test]
fn one_fault_of_any_kind_changes_no_outcome() {
    // of the two that say when to come again, one is enough: it takes a second each time
    for fault in Fault::OF_CALLS.into_iter().filter(|fault| *fault != Fault::TooManyRequests) {
        let store = Store::open();
        let pool = store.pool(OFFICE, 3);
        store.hire(&["ada", "bob", "cyd", "dee"]);
        for operation in ["assign", "bulk", "reclaim", "bulk"] {
            store.simulator.switches().faults.next_call(operation, fault).expect("room");
        }
        assert_eq!(store.settle(vec![ask(&pool, "ada", Grant)]), [Settled::Granted], "{fault:?}");
        let more = store.settle(["bob", "cyd", "dee"].map(|name| ask(&pool, name, Grant)).into());
        assert_eq!(more, [Settled::Granted, Settled::Granted, Settled::NotEnough], "{fault:?}");
        assert_eq!(store.settle(vec![ask(&pool, "ada", Release)]), [Settled::Released], "{fault:?}");
        let back = store.settle(["bob", "cyd"].map(|name| ask(&pool, name, Release)).into());
        assert_eq!(back, [Settled::Released, Settled::Released], "{fault:?}");
        assert_eq!(store.grants().values().copied().collect::<Vec<_>>(), [1, 1, 1], "{fault:?}");
        assert!(store.simulator.switches().faults.waiting().is_empty(), "{fault:?} did not strike");
    }
}

#[test]
fn a_store_that_is_down_is_told_apart_from_one_whose_answers_are_lost() {
    let store = Store::open();
    let pool = store.pool(OFFICE, 3);
    store.hire(&["ada", "bob"]);
    let faults = &store.simulator.switches().faults;
    let always = |fault| faults.set(None, FaultRates::from([(fault, 1000)]));
    store.settle(vec![ask(&pool, "bob", Grant)]);
    always(Fault::InternalError);
    let settled = store.settle(vec![ask(&pool, "ada", Grant)]);
    assert!(matches!(settled[0], Settled::Unknown(_)), "nothing was read either: {settled:?}");
    always(Fault::CutAfter);
    let settled = store.settle(vec![ask(&pool, "ada", Grant), ask(&pool, "bob", Release)]);
    assert!(settled.iter().all(|it| matches!(it, Settled::Unknown(_))), "{settled:?}");
    faults.off();
    let look = |name: &str| block_on(store.connector.look(&pool, &StoreHolder::User(upn(name))));
    assert_eq!((look("ada"), look("bob"), look("nobody")), (Ok(true), Ok(false), Ok(false)));
    let pool = pool.clone();
    drop(store.simulator);
    std::thread::sleep(Duration::from_millis(50));
    let asked = vec![ask(&pool, "ada", Grant)];
    let settled = block_on(store.connector.settle(asked));
    assert!(matches!(settled[0].1, Settled::NotSent(Trouble::Unreachable(_))), "{settled:?}");
}

/// `SEATLEDGER_TEST_ROUNDS` plays more of them.
#[test]
fn every_outcome_is_true_through_random_faults_and_nobody_gets_two_seats() {
    let store = Store::open();
    let pools = [store.pool(PRODUCTS[0], 4), store.pool(PRODUCTS[1], 2)];
    let names = ["ada", "bob", "cyd", "dee", "eve"];
    store.hire(&names);
    let faults = &store.simulator.switches().faults;
    let kinds = [Fault::InternalError, Fault::CutBefore, Fault::CutAfter, Fault::CutInAnswer, Fault::WrongJson];
    faults.set(Some(17), kinds.into_iter().map(|fault| (fault, 70)).chain([(Fault::HolderFails, 50)]).collect());
    let mut seen = [0_u32; 3];
    for round in 0..asked_number("SEATLEDGER_TEST_ROUNDS").unwrap_or(300) {
        let mut asked = vec![];
        for name in names {
            let (pool, what) = (faults.below("pool", 2), faults.below("what", 3));
            if what < 2 {
                let had = store.has(PRODUCTS[pool], name);
                asked.push((pool, name, had, ask(&pools[pool], name, if what == 0 { Grant } else { Release })));
            }
        }
        let settled = store.settle(asked.iter().map(|(_, _, _, request)| request.clone()).collect());
        for ((pool, name, had, request), settled) in asked.iter().zip(&settled) {
            let has = store.has(PRODUCTS[*pool], name);
            assert!(is_true(request.sought, settled, *had, has), "round {round}: {had} {has} {request:?} {settled:?}");
            match settled {
                Settled::Granted | Settled::Released => seen[0] += 1,
                Settled::Unknown(_) | Settled::NotSent(_) => seen[1] += 1,
                Settled::NotEnough | Settled::Refused(_) | Settled::ReleaseRefused(_) => seen[2] += 1,
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "done, in doubt, refused: {seen:?}");
    store.grants();
}

/// `SEATLEDGER_TEST_GRANTS=2000 SEATLEDGER_TEST_LATENCY_MS=50` measures how many a second are confirmed.
#[test]
fn many_grants_are_confirmed() {
    let count = asked_number("SEATLEDGER_TEST_GRANTS").unwrap_or(200);
    let store = Store::open();
    let products: Vec<String> = (0..8).map(|number| format!("9W{number:010}")).collect();
    let pools: Vec<PoolKey> = products.iter().map(|product| store.pool(product, 1_000_000)).collect();
    let names: Vec<String> = (0..count / 8).map(|number| format!("u{number}")).collect();
    store.hire(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let latency = asked_number("SEATLEDGER_TEST_LATENCY_MS").unwrap_or(0);
    store.simulator.switches().faults.set_latency(Duration::from_millis(latency));
    let asked: Vec<Request> = pools.iter().flat_map(|pool| names.iter().map(|name| ask(pool, name, Grant))).collect();
    let (total, start) = (asked.len(), monotonic());
    assert!(store.settle(asked).iter().all(|settled| *settled == Settled::Granted));
    println!("{total} grants in 8 pools: {:?}", start.elapsed());
}

//! What a pass reads, whole and in part, and what it makes of a store that misbehaves.

use super::{SECRET, Store, full, offline, online, sku, upn};
use crate::harness::{asked_number, block_on};
use seatledger::clock::monotonic;
use seatledger::domain::facts::{DistributionPolicy, HeldBy, Owned};
use seatledger::domain::key::{LicenseType, PoolKey};
use seatledger::store::simulator::faults::{Fault, Shot};
use seatledger::store::simulator::microsoft::{Casing, EntryKey, Localized, Product};
use seatledger::store::terms::{Pass, PassAsked, StoreHolder, Trouble};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

const OFFICE: &str = "9WZDNCRFJ364";
const CARRIED: &str = "9WZDNCRD29V9";
const FREE: &str = "9NBLGGH4R2R6";
const SECRETIVE: &str = "9NBLGGH4NNS1";

/// An on-line pool of 10 with two seats, an offline one, an open one, and one of encrypted packages.
fn stocked() -> Store {
    let store = Store::open();
    let mut office = Product::plain(OFFICE, "0016", "Office");
    office.skus[0].package_set_id = Some("set-1".into());
    let german = Localized {
        language: "de-DE".into(),
        display_name: "Büro".into(),
        description: String::new(),
        publisher_name: "Contoso GmbH".into(),
    };
    office.names.push(german);
    let restricted = DistributionPolicy::Restricted;
    store.sell(office, LicenseType::Online, 10, restricted);
    store.sell(Product::plain(CARRIED, "0016", "Carried"), LicenseType::Offline, 7, restricted);
    store.sell(Product::plain(FREE, "0016", "Free"), LicenseType::Online, 2, DistributionPolicy::Open);
    let mut secretive = Product::plain(SECRETIVE, "0016", "Secretive");
    secretive.skus[0].packages.iter_mut().for_each(|package| package.is_encrypted = true);
    store.sell(secretive, LicenseType::Online, 3, restricted);
    store.hire(&["ada", "bob", "cyd", "dee"]);
    for name in ["ada", "bob"] {
        store.give(OFFICE, name);
    }
    for name in ["ada", "cyd", "dee"] {
        store.give(FREE, name);
    }
    store
}

fn seats(pass: &Pass) -> BTreeSet<(PoolKey, StoreHolder)> {
    let seats: BTreeSet<_> = pass.seats.iter().map(|seat| (seat.pool.clone(), seat.holder.clone())).collect();
    assert_eq!(seats.len(), pass.seats.len(), "a seat stands there twice");
    seats
}

fn at_store(store: &Store) -> BTreeSet<(PoolKey, StoreHolder)> {
    let all = store.simulator.market().all_seats();
    all.into_iter().map(|seat| (online(&seat.product.product_id), StoreHolder::User(seat.upn))).collect()
}

#[test]
fn a_full_pass_reads_every_pool_and_every_seat_in_either_casing() {
    for casing in [Casing::Camel, Casing::Pascal] {
        let store = stocked();
        store.simulator.set_casing(casing);
        let pass = store.pass(&full()).expect("a pass");
        assert!(pass.is_complete && pass.unsupported.is_empty() && pass.pages >= 1);
        let item = |key: PoolKey| pass.items.iter().find(|item| item.key == key).unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(pass.items.len(), 4);
        let office = item(online(OFFICE));
        assert_eq!((office.name.as_str(), office.publisher.as_deref()), ("Office", Some("Contoso")));
        assert_eq!((office.owned, office.store_used), (Owned::Count(10), Some(2)));
        assert_eq!(office.details.related_set.as_deref(), Some("set-1"));
        let package: Value = serde_json::from_str(&office.packages[0]).expect("JSON");
        assert!(package["full_name"].is_string() && package.get("location").is_none(), "{package}");
        let carried = item(offline(CARRIED));
        assert_eq!((carried.owned, carried.details.held_by), (Owned::Count(7), HeldBy::UserOrDevice));
        let free = item(online(FREE));
        assert_eq!(
            (free.distribution_policy, free.owned, free.store_used),
            (DistributionPolicy::Open, Owned::Count(2), None)
        );
        assert!(item(online(SECRETIVE)).is_encrypted && !office.is_encrypted);
        assert_eq!(seats(&pass), at_store(&store));
        assert!(pass.seats.iter().all(|seat| seat.since == Some("2026-06-01T10:00:00Z".parse().expect("a time"))));
        let german = store.pass(&PassAsked { language: "de-DE".into(), ..full() }).expect("a pass");
        assert!(german.items.iter().any(|item| item.name == "Büro"));
        assert!(german.items.iter().any(|item| item.name == "Carried"), "a name that is missing is another language's");
    }
}

#[test]
fn many_pages_are_read_to_their_end() {
    let store = Store::open();
    let names: Vec<String> = (0..230).map(|number| format!("u{number}")).collect();
    store.hire(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for number in 0..60 {
        let product = format!("9W{number:010}");
        store.pool(&product, 300);
        for name in names.iter().take(if number == 0 { 230 } else { 1 }) {
            store.give(&product, name);
        }
    }
    let pass = store.pass(&full()).expect("a pass");
    assert_eq!((pass.items.len(), pass.seats.len(), pass.pages), (60, 230 + 59, 3 + 3 + 59));
    assert_eq!(seats(&pass), at_store(&store));
}

#[test]
fn a_pool_that_was_taken_out_is_not_listed_and_one_bought_again_is() {
    let store = stocked();
    let key = EntryKey { product: sku(CARRIED), license_type: LicenseType::Offline };
    store.simulator.market().remove(&key, false).expect("removed");
    let pass = store.pass(&full()).expect("a pass");
    assert!(!pass.items.iter().any(|item| item.key == offline(CARRIED)));
    store.sell(Product::plain(CARRIED, "0016", "Carried"), LicenseType::Offline, 9, DistributionPolicy::Restricted);
    let pass = store.pass(&full()).expect("a pass");
    assert!(pass.items.iter().any(|item| item.key == offline(CARRIED)));
}

#[test]
fn a_pass_in_part_reads_what_changed_and_details_only_when_they_may_have() {
    let store = stocked();
    let first = store.pass(&full()).expect("a pass");
    store.simulator.switches().clock.advance(Duration::from_secs(60));
    store.give(OFFICE, "cyd");
    let asked = PassAsked { is_full: false, since: first.next.clone(), ..full() };
    let part = store.pass(&asked).expect("a pass");
    assert!(!part.is_complete);
    assert!(part.seats.iter().any(|seat| seat.holder == StoreHolder::User(upn("cyd"))));
    assert!(part.next > first.next, "{:?} {:?}", part.next, first.next);
    // nothing asks for the names again: the faults for it wait for ever
    let faults = &store.simulator.switches().faults;
    for operation in ["product", "localized", "packages"] {
        faults
            .next(Shot { operation: operation.into(), fault: Fault::CutBefore, after: 0, times: 1000 })
            .expect("room");
    }
    let again = store.pass(&full()).expect("a pass");
    assert_eq!(again.items.len(), 4);
    assert!(faults.struck().is_empty(), "{:?}", faults.struck());
    // and where it is asked for in vain, what was read before stands
    let anew = store.pass(&PassAsked { rereads_details: true, ..full() }).expect("a pass");
    assert_eq!((anew.items, anew.undescribed.len()), (again.items, 0));
    assert!(!faults.struck().is_empty());
    let german = PassAsked { language: "de-DE".into(), ..full() };
    assert_eq!(store.pass(&german).expect("a pass").undescribed.len(), 4, "in this language nothing was read before");
}

#[test]
fn a_pass_is_whole_or_an_error_through_every_fault_of_a_call() {
    for fault in Fault::OF_CALLS {
        for operation in ["token", "inventory", "product", "localized", "packages", "seats"] {
            let waits = matches!(fault, Fault::TooManyRequests | Fault::Unavailable);
            if waits && operation != "inventory" {
                continue; // a second for each
            }
            let store = stocked();
            store.simulator.switches().faults.next_call(operation, fault).expect("room");
            let pass = store.pass(&full()).unwrap_or_else(|trouble| panic!("{operation} {fault:?}: {trouble}"));
            assert_eq!((pass.items.len(), seats(&pass)), (4, at_store(&store)), "{operation} {fault:?}");
            let shot = Shot { operation: operation.into(), fault, after: 0, times: 100 };
            if !waits {
                store.simulator.switches().faults.next(shot).expect("room");
                let asked = PassAsked { rereads_details: true, ..full() };
                match store.pass(&asked) {
                    Err(_) => assert!(["inventory", "seats"].contains(&operation), "{operation} {fault:?}"),
                    // the token that is there is good still, and what is read beside the figures is known
                    Ok(again) => {
                        assert!(!["inventory", "seats"].contains(&operation), "{operation} {fault:?}");
                        assert_eq!((again.items, again.undescribed.len()), (pass.items, 0), "{operation} {fault:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_page_that_drifts_is_read_again_where_the_figures_tell() {
    let store = Store::open();
    let names: Vec<String> = (0..150).map(|number| format!("u{number}")).collect();
    store.hire(&names.iter().map(String::as_str).collect::<Vec<_>>());
    store.pool(OFFICE, 300);
    names.iter().for_each(|name| store.give(OFFICE, name));
    let mut pages = BTreeSet::new();
    for _ in 0..12 {
        store.simulator.switches().faults.next_call("seats", Fault::PageDrift).expect("room");
        let pass = store.pass(&full()).expect("a pass");
        assert_eq!(seats(&pass), at_store(&store));
        assert!(store.simulator.switches().faults.waiting().is_empty());
        pages.insert(pass.pages);
    }
    assert_eq!(pages, BTreeSet::from([3, 5]), "a seat that is shown again is no reason to read again, one left out is");
}

#[test]
fn who_is_not_let_in_is_told_so_and_a_token_that_ended_is_replaced() {
    let store = stocked();
    let account = || block_on(store.connector.account());
    assert_eq!(account().expect("let in").account_id, None);
    for _ in 0..3 {
        store.simulator.switches().clock.advance(Duration::from_secs(4000));
        account().expect("another token is asked for");
    }
    store.simulator.gate().activate("seatledger", false);
    assert!(matches!(account(), Err(Trouble::Credentials(_))));
    store.simulator.gate().activate("seatledger", true);
    account().expect("let in again");
    let stranger = Store::with_secret("wrong");
    let said = block_on(stranger.connector.account()).expect_err("not let in");
    assert!(
        matches!(&said, Trouble::Credentials(words) if !words.contains("wrong") && !words.contains(SECRET)),
        "{said}"
    );
    assert!(matches!(stranger.pass(&full()), Err(Trouble::Credentials(_))));
}

#[test]
fn an_offline_license_and_a_user_s_seats_are_read_too() {
    let store = stocked();
    let client = store.connector.client();
    let key = seatledger::store::microsoft::ProductKey { product_id: CARRIED.into(), sku_id: "0016".into() };
    block_on(async {
        let set = client.packages(&key).await.expect("an answer").good().expect("packages");
        let package = &set.packages.expect("a list")[0];
        let content = package.content_id.clone().expect("an id");
        let one = client.package(&key, package.id.as_deref().expect("an id")).await.expect("an answer").good();
        assert_eq!(one.expect("the package").full_name, package.full_name);
        let license = client.offline_license(&key, &content).await.expect("an answer").good().expect("a license");
        assert!(!license.blob.is_empty() && !format!("{license:?}").contains(&license.blob));
        let seats = client.seats_of_user(&upn("ada"), None).await.expect("an answer").good().expect("seats");
        assert_eq!(seats.seats.len(), 2);
        assert!(!format!("{seats:?}").contains("ada"), "a name is shown");
    });
}

/// `SEATLEDGER_TEST_POOLS=500 SEATLEDGER_TEST_SEATS=200000 SEATLEDGER_TEST_LATENCY_MS=50` measures what a sync costs.
#[test]
fn a_large_store_is_read_in_one_pass() {
    let pools = asked_number("SEATLEDGER_TEST_POOLS").unwrap_or(20);
    let each = asked_number("SEATLEDGER_TEST_SEATS").unwrap_or(2000) / pools;
    let store = Store::open();
    let names: Vec<String> = (0..each).map(|number| format!("u{number}")).collect();
    store.hire(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for number in 0..pools {
        let product = format!("9W{number:010}");
        store.pool(&product, i64::try_from(each).expect("few") + 1);
        names.iter().for_each(|name| store.give(&product, name));
    }
    let latency = asked_number("SEATLEDGER_TEST_LATENCY_MS").unwrap_or(0);
    store.simulator.switches().faults.set_latency(Duration::from_millis(latency));
    let start = monotonic();
    let pass = store.pass(&full()).expect("a pass");
    let first = start.elapsed();
    assert_eq!((pass.items.len() as u64, pass.seats.len() as u64), (pools, pools * each));
    let start = monotonic();
    store.pass(&full()).expect("a pass");
    println!("{pools} pools, {} seats: {first:?}, then without details {:?}", pools * each, start.elapsed());
}

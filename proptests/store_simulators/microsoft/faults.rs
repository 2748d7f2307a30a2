//! What goes wrong: before the effect and after it, by a switch and by chance.

use super::{OFFICE, Store, seat_of, seats_of, upn};
use reqwest::Method;
use seatledger::store::simulator::faults::Fault;
use serde_json::{Value, json};
use std::time::Duration;

fn next(store: &Store, operation: &str, fault: Fault) {
    store.simulator.switches().faults.next_call(operation, fault).expect("room for a fault");
}

#[test]
fn a_call_fails_before_its_effect_or_after_it_as_the_switch_says() {
    let table = [
        (Fault::TooManyRequests, Some(429), false),
        (Fault::Unavailable, Some(503), false),
        (Fault::InternalError, Some(500), false),
        (Fault::CutBefore, None, false),
        (Fault::CutAfter, None, true),
        (Fault::CutInAnswer, None, true),
    ];
    for (fault, status, has_effect) in table {
        let store = Store::with_seats(3);
        next(&store, "assign", fault);
        store.tool.get(&seats_of(OFFICE)).is(200);
        let came = store.tool.try_send(Method::POST, &seat_of(OFFICE, "ada"), "");
        assert_eq!(came.as_ref().map(|c| c.status), status, "{fault:?}");
        let is_hinted = came.is_some_and(|c| c.headers.contains_key("retry-after"));
        assert_eq!(is_hinted, matches!(status, Some(429 | 503)), "{fault:?}");
        assert_eq!(store.sitting(OFFICE), if has_effect { vec!["ada"] } else { vec![] }, "{fault:?}");
        store.tool.post(&seat_of(OFFICE, "ada")).is(200);
        assert_eq!(store.sitting(OFFICE), ["ada"]);
    }
}

#[test]
fn an_answer_that_can_not_be_read_had_its_effect() {
    let store = Store::with_seats(3);
    next(&store, "assign", Fault::WrongJson);
    let came = store.tool.post(&seat_of(OFFICE, "ada")).is(200);
    assert_eq!(came.json.get("assignedTo"), None, "{}", came.text);
    assert_eq!(store.sitting(OFFICE), ["ada"]);
}

#[test]
fn tokens_fail_too() {
    let store = Store::with_seats(1);
    next(&store, "token", Fault::Unavailable);
    let came = store.raw.post_form("/contoso.example/oauth2/token", "grant_type=client_credentials").is(503);
    assert_eq!(came.json["error"], "temporarily_unavailable");
}

#[test]
fn a_page_drifts_and_shows_a_seat_twice_or_not_at_all() {
    let store = Store::with_seats(100);
    let mut market = store.simulator.market();
    for number in 0..40 {
        let name = upn(&format!("user{number:02}"));
        market.hire(&name, Duration::ZERO).expect("a user");
        market.assign("intune", &super::key(OFFICE), &name).expect("a seat");
    }
    drop(market);
    let read = || {
        let (mut seen, mut token) = (vec![], String::new());
        loop {
            let page = store.tool.get(&format!("{}?maxResults=10{token}", seats_of(OFFICE))).is(200).json;
            let of = |seat: &Value| seat["assignedTo"].as_str().expect("a name").to_owned();
            seen.extend(page["seats"].as_array().expect("seats").iter().map(of));
            match page["continuationToken"].as_str() {
                Some(next) => token = format!("&continuationToken={next}"),
                None => return seen,
            }
        }
    };
    assert_eq!(read().len(), 40);
    let mut kinds = [false, false];
    for _ in 0..20 {
        next(&store, "seats", Fault::PageDrift);
        let seen = read();
        let mut apart = seen.clone();
        apart.dedup();
        kinds[usize::from(apart.len() < 40)] |= (seen.len(), apart.len()) != (40, 40);
    }
    assert_eq!(kinds, [true, true], "each kind of drift in twenty");
}

#[test]
fn figures_can_be_a_step_late() {
    let store = Store::with_seats(3);
    store.tool.post(&seat_of(OFFICE, "ada")).is(200);
    store.tool.post(&seat_of(OFFICE, "bob")).is(200);
    let available = || {
        let came = store.tool.get("/V1/Inventory?licenseTypes=online").is(200).json;
        came["inventoryEntries"][1]["availableSeats"].clone()
    };
    next(&store, "inventory", Fault::StaleFigures);
    assert_eq!((available(), available()), (json!(2), json!(1)));
}

#[test]
fn one_user_of_several_fails_for_no_good_reason() {
    let store = Store::with_seats(3);
    next(&store, "bulk", Fault::HolderFails);
    let body = json!({"usernames": [upn("ada"), upn("bob")], "seatAction": "assign"});
    let came = store.tool.post_json(&seats_of(OFFICE), &body).is(200).json;
    assert_eq!(came["failedSeatOperations"][0]["userName"], upn("ada"));
    assert_eq!(store.sitting(OFFICE), ["bob"]);
}

#[test]
fn faults_are_set_over_http_and_struck_by_chance() {
    let store = Store::with_seats(3);
    let rates = json!({"seed": 7, "per_mille": {"internal-error": 500}}).to_string();
    store.raw.with("content-type", "application/json").send(Method::PUT, "/simulator/faults", rates).is(204);
    let failed = (0..200).filter(|_| store.tool.get("/V1/Inventory").status == 500).count();
    assert!((60..140).contains(&failed), "{failed} of 200");
    let seen = store.raw.get("/simulator/faults").is(200).json;
    assert_eq!(seen["struck"]["internal-error"], failed);
    store.raw.delete("/simulator/faults").is(204);
    assert!((0..50).all(|_| store.tool.get("/V1/Inventory").status == 200));
    let advance = json!({"seconds": 4000});
    store.raw.post_json("/simulator/clock/advance", &advance).is(200);
    store.tool.get("/V1/Inventory").is(401);
}

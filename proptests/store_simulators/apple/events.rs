//! Events: what is said at once, what later, and what becomes of each seat and user.

use super::{Apple, UID, seats};
use seatledger::store::simulator::apple::{Options, Timing};
use seatledger::store::simulator::faults::Fault;
use seatledger::store::simulator::journal::Deed;
use serde_json::{Value, json};
use std::time::Duration;

fn deeds(apple: &Apple) -> Vec<(Deed, String)> {
    apple.simulator.journal(0, 99).into_iter().map(|entry| (entry.deed, entry.holder)).collect()
}

#[test]
fn an_association_is_partial_and_the_first_in_the_list_win() {
    let apple = Apple::start();
    apple.buy("1", 2);
    apple.users(&["ada", "bob"]);
    let status = apple.associate("1", &["ada", "nobody", "bob"], &["MAC"]);
    assert_eq!(
        (&status["eventStatus"], &status["eventType"], &status["numRequested"], &status["numCompleted"]),
        (&json!("FAILED"), &json!("ASSOCIATE"), &json!(4), &json!(2))
    );
    let failures: Vec<_> = status["failures"].as_array().expect("failures").iter().collect();
    let asset = json!([{ "adamId": "1", "pricingParam": "STDQ" }]);
    assert_eq!(failures[0]["errorNumber"], 9609);
    assert_eq!(failures[0]["errorInfo"], json!({ "assets": asset, "clientUserIds": ["nobody"] }));
    assert_eq!(failures[1]["errorNumber"], 9709);
    assert_eq!(failures[1]["errorInfo"], json!({ "assets": asset, "serialNumbers": ["MAC"] }));
    assert_eq!(apple.holders(), ["1 {\"clientUserId\":\"ada\"}", "1 {\"clientUserId\":\"bob\"}"]);
    // once more takes no second license, and the journal shows that it was asked
    assert_eq!(apple.associate("1", &["ada"], &[])["eventStatus"], "COMPLETE");
    assert_eq!(apple.holders().len(), 2);
    assert_eq!(
        deeds(&apple),
        [
            (Deed::Granted, "user:ada".into()),
            (Deed::GrantRefused, "user:nobody".into()),
            (Deed::Granted, "user:bob".into()),
            (Deed::GrantRefused, "device:MAC".into()),
            (Deed::GrantedAlready, "user:ada".into()),
        ]
    );
}

#[test]
fn several_assets_go_to_several_holders() {
    let apple = Apple::start();
    apple.buy("1", 9);
    apple.buy("2", 1);
    let body = json!({ "assets": [{ "adamId": "1" }, { "adamId": "2" }], "serialNumbers": ["a", "b"] });
    let status = apple.event("/assets/associate", body);
    assert_eq!((&status["numRequested"], &status["numCompleted"]), (&json!(4), &json!(3)));
    let failure = &status["failures"][0]["errorInfo"];
    assert_eq!((&failure["assets"][0]["adamId"], &failure["serialNumbers"]), (&json!("2"), &json!(["b"])));
}

#[test]
fn what_is_given_back_is_free_and_what_is_not_there_is_so_already() {
    let apple = Apple::start();
    apple.buy("1", 1);
    apple.associate("1", &[], &["a"]);
    let back = |device: &str| apple.event("/assets/disassociate", seats("1", &[], &[device]));
    assert_eq!(back("a")["eventStatus"], "COMPLETE");
    assert_eq!(back("a")["eventStatus"], "COMPLETE");
    assert_eq!(apple.associate("1", &[], &["b"])["eventStatus"], "COMPLETE");
    assert_eq!(apple.holders(), ["1 {\"serialNumber\":\"b\"}"]);
}

#[test]
fn revoking_takes_everything_that_can_be_taken() {
    let apple = Apple::start();
    apple.buy("1", 9);
    apple.buy("2", 9);
    apple.order(json!({ "order": "purchase", "uid": UID, "adam_id": "3", "quantity": 5, "is_book": true }));
    apple.users(&["ada", "bob"]);
    for adam_id in ["1", "2", "3"] {
        apple.associate(adam_id, &["ada", "bob"], &[]);
    }
    let status = apple.event("/assets/revoke", json!({ "clientUserIds": ["ada"] }));
    assert_eq!(
        (&status["eventType"], &status["numRequested"], &status["numCompleted"]),
        (&json!("REVOKE"), &json!(2), &json!(2))
    );
    let left = apple.holders();
    assert_eq!(
        left.iter().filter(|it| it.contains("ada")).collect::<Vec<_>>(),
        [&"3 {\"clientUserId\":\"ada\"}".to_owned()]
    );
    assert_eq!(left.len(), 4);
}

#[test]
fn a_user_is_registered_associated_retired_and_registered_again() {
    let apple = Apple::start();
    apple.buy("1", 9);
    apple.users(&["ada"]);
    let users = || apple.api.get("/users?clientUserId=ada").body["users"].as_array().expect("users").clone();
    let states =
        || users().iter().map(|user| user["status"].as_str().expect("a status").to_owned()).collect::<Vec<_>>();
    assert!(users()[0]["inviteCode"].is_string() && users()[0].get("idHash").is_none());
    let again = apple.event("/users/create", json!({ "users": [{ "clientUserId": "ada" }] }));
    assert_eq!((&again["eventStatus"], &again["failures"][0]["errorNumber"]), (&json!("FAILED"), &json!(9716)));
    let changed =
        json!({ "users": [{ "clientUserId": "ada", "managedAppleId": "ada@a.example" }, { "clientUserId": "x" }] });
    let status = apple.event("/users/update", changed);
    assert_eq!((&status["numCompleted"], &status["failures"][0]["errorNumber"]), (&json!(1), &json!(9609)));
    assert!(states() == ["Associated"] && users()[0]["idHash"].is_string() && users()[0].get("inviteCode").is_none());
    apple.associate("1", &["ada"], &[]);
    apple.event("/users/retire", json!({ "users": [{ "clientUserId": "ada" }] }));
    assert!(apple.holders().is_empty(), "a retired user gives back");
    assert_eq!(apple.event("/users/retire", json!({ "users": [{ "clientUserId": "ada" }] }))["eventStatus"], "FAILED");
    apple.users(&["ada"]);
    assert_eq!(states(), ["Retired", "Registered"]);
    let active = |query: &str| apple.api.get(&format!("/users?{query}")).body["size"].clone();
    assert_eq!([active("activeOnly=true"), active("includeRetired=0"), active("includeRetired=1")], [1, 1, 2]);
}

#[test]
fn an_event_is_pending_until_it_happens_and_longer_where_it_is_stuck() {
    let apple = Apple::start();
    apple.buy("1", 9);
    let answer = apple.post("/assets/associate", seats("1", &[], &["a"])).body;
    assert!(answer.get("eventStatus").is_none() && answer["uId"] == UID, "only the id is said at once: {answer}");
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..8 {
        apple.simulator.faults().next_call("event", Fault::StuckPending).expect("room");
        let device = format!("stuck-{number}");
        let status = apple.associate("1", &[], &[&device]);
        assert_eq!((&status["eventStatus"], &status["numCompleted"]), (&json!("PENDING"), &json!(0)));
        seen.insert(apple.holders().iter().any(|it| it.contains(&device)));
    }
    assert_eq!(seen.len(), 2, "some have happened though they are pending");
    apple.simulator.clock().advance(Timing::default().stuck);
    assert_eq!(apple.holders().len(), 9);
}

#[test]
fn an_event_takes_its_time_by_the_clock() {
    let timing = Timing { stuck: Duration::from_secs(60), ..Timing::default() };
    let apple = Apple::with(Options { timing, ..Options::default() });
    apple.buy("1", 9);
    apple.simulator.faults().next_call("event", Fault::StuckPending).expect("room");
    let id =
        apple.post("/assets/associate", seats("1", &[], &["a"])).body["eventId"].as_str().expect("an id").to_owned();
    let status = || apple.api.get(&format!("/status?eventId={id}")).body["eventStatus"].clone();
    assert_eq!(status(), "PENDING");
    apple.order(json!({ "order": "finish_events" }));
    assert_eq!(status(), "COMPLETE");
    // another unit's tool does not see it
    apple.order(json!({ "order": "unit", "uid": "200" }));
    let other = apple.order(json!({ "order": "token", "uid": "200" })).token.expect("a token");
    assert_eq!(apple.api.with_token(&other).get(&format!("/status?eventId={id}")).body["errorNumber"], 9708);
}

#[test]
fn a_holder_fails_by_a_switch_or_a_fault_and_the_others_do_not() {
    let apple = Apple::start();
    apple.buy("1", 9);
    let holder = json!({ "serialNumber": "b" });
    apple.order(json!({ "order": "bar", "uid": UID, "holder": holder, "number": 9635 }));
    let numbers = |status: &Value| status["failures"][0]["errorNumber"].clone();
    assert_eq!(numbers(&apple.associate("1", &[], &["a", "b"])), 9635);
    apple.order(json!({ "order": "bar", "uid": UID, "holder": holder, "number": null }));
    apple.simulator.faults().next_call("event", Fault::HolderFails).expect("room");
    assert_eq!(numbers(&apple.associate("1", &[], &["b", "c"])), 9644);
    assert_eq!(apple.holders(), ["1 {\"serialNumber\":\"a\"}", "1 {\"serialNumber\":\"c\"}"]);
}

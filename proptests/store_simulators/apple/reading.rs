//! Lists, pages, versions, filters, and whom the unit belongs to.

use super::{Apple, UID, refused};
use seatledger::store::simulator::apple::{NewAsset, Options, Order, UNLIMITED};
use seatledger::store::simulator::faults::Fault;
use serde_json::{Value, json};
use std::time::Duration;

fn ids(answer: &Value, list: &str, name: &str) -> Vec<String> {
    let of = |it: &Value| it[name].as_str().expect("an id").to_owned();
    answer[list].as_array().unwrap_or_else(|| panic!("no {list} in {answer}")).iter().map(of).collect()
}

fn stocked() -> Apple {
    let apple = Apple::start();
    apple.buy("1", 5);
    let more = |adam_id: &str| NewAsset::app(UID, adam_id, 7);
    let orders = [
        NewAsset { pricing_param: Some("PLUS".into()), ..more("1") },
        NewAsset { is_book: true, ..more("2") },
        NewAsset { is_unlimited: true, quantity: 0, ..more("3") },
        NewAsset { is_device_assignable: false, ..more("4") },
    ];
    for order in orders {
        apple.simulator.place(Order::Purchase(order)).expect("bought");
    }
    apple.users(&["ada"]);
    apple.associate("1", &["ada"], &["MAC"]);
    apple
}

#[test]
fn assets_have_their_figures_and_every_filter_filters() {
    let apple = stocked();
    let assets = apple.api.get("/assets").body;
    let first = &assets["assets"][1];
    assert_eq!(
        *first,
        json!({ "adamId": "1", "pricingParam": "STDQ", "productType": "App", "totalCount": 5, "availableCount": 3,
            "assignedCount": 2, "retiredCount": 0, "deviceAssignable": true, "revocable": true,
            "supportedPlatforms": ["iOS", "macOS"] })
    );
    let table: [(&str, &[&str]); 14] = [
        ("adamId=1", &["1", "1"]),
        ("adamId=1&pricingParam=PLUS", &["1"]),
        ("productType=Book", &["2"]),
        ("deviceAssignable=false", &["2", "4"]),
        ("revocable=false", &["2"]),
        ("minAssignedCount=1", &["1"]),
        ("minAssignedCount=3", &[]),
        ("maxAssignedCount=0&productType=App", &["1", "3", "4"]),
        ("maxAvailableCount=3", &["1"]),
        ("minAvailableCount=4", &["1", "2", "3", "4"]),
        ("unlimited=false", &["1", "1", "2", "4"]),
        ("unlimited=true", &["1", "1", "2", "4"]),
        ("adamId=9", &[]),
        ("", &["1", "1", "2", "3", "4"]),
    ];
    for (query, found) in table {
        let answer = apple.api.get(&format!("/assets?{query}")).body;
        assert_eq!(ids(&answer, "assets", "adamId"), found, "{query}");
    }
    let without = &apple.api.get("/assets?adamId=3").body["assets"][0];
    assert_eq!((without["totalCount"].as_u64(), without["availableCount"].as_u64()), {
        let unlimited = Some(u64::from(UNLIMITED));
        (unlimited, unlimited)
    });
    let apart = apple.api.get("/assets?unlimited=true").body;
    assert_eq!(ids(&apart, "unlimitedAssets", "adamId"), ["3"]);
    assert!(apart["unlimitedAssets"][0].get("totalCount").is_none());
    apple.order(json!({ "order": "retire_licenses", "uid": UID, "adam_id": "1", "quantity": 2 }));
    let asset = &apple.api.get("/assets?adamId=1&pricingParam=STDQ").body["assets"][0];
    assert_eq!(
        (&asset["totalCount"], &asset["availableCount"], &asset["retiredCount"]),
        (&json!(5), &json!(1), &json!(2))
    );
}

#[test]
fn pages_end_where_no_next_one_is_named_and_their_number_changes_meanwhile() {
    let apple = Apple::with(Options { page_size: 2, ..Options::default() });
    apple.buy("1", 99);
    apple.associate("1", &[], &["a", "b", "c", "d", "e"]);
    let page = |index: usize| apple.api.get(&format!("/assignments?pageIndex={index}")).body;
    let figures = |page: &Value| {
        (
            page["currentPageIndex"].clone(),
            page["nextPageIndex"].clone(),
            page["size"].clone(),
            page["totalPages"].clone(),
        )
    };
    let first = page(0);
    assert_eq!(figures(&first), (json!(0), json!(1), json!(2), json!(3)));
    assert_eq!(ids(&first, "assignments", "serialNumber"), ["a", "b"]);
    apple.associate("1", &[], &["f", "g"]);
    assert_eq!(figures(&page(1)), (json!(1), json!(2), json!(2), json!(4)));
    let last = page(3);
    assert_eq!(figures(&last), (json!(3), Value::Null, json!(1), json!(4)));
    assert!(last.get("nextPageIndex").is_none());
    assert_eq!(figures(&page(4)), (json!(4), Value::Null, json!(0), json!(4)));
    assert_eq!(refused(&apple.api.get("/assignments?pageIndex=5")), (400, 9650));

    let drifted: Vec<_> = (0..8)
        .map(|_| {
            apple.simulator.faults().next_call("assignments", Fault::PageDrift).expect("room");
            ids(&page(1), "assignments", "serialNumber").join("")
        })
        .collect();
    assert!(drifted.iter().all(|it| it == "bc" || it == "de"), "{drifted:?}");
    assert!(drifted.iter().any(|it| it == "bc") && drifted.iter().any(|it| it == "de"), "{drifted:?}");
}

#[test]
fn a_version_of_the_first_page_brings_what_came_after_it_until_it_is_made_invalid() {
    let apple = Apple::start();
    apple.buy("1", 9);
    apple.users(&["ada"]);
    apple.associate("1", &["ada"], &["a"]);
    let version = apple.api.get("/assignments").body["versionId"].as_str().expect("a version").to_owned();
    let since = |list: &str| apple.api.get(&format!("/{list}?sinceVersionId={version}"));
    let nothing = since("assignments").body;
    assert_eq!((ids(&nothing, "assignments", "adamId").len(), &nothing["size"]), (0, &json!(0)));
    apple.associate("1", &[], &["b"]);
    apple.users(&["bob"]);
    assert_eq!(ids(&since("assignments").body, "assignments", "serialNumber"), ["b"]);
    assert_eq!(ids(&since("users").body, "users", "clientUserId"), ["bob"]);
    apple.order(json!({ "order": "invalidate_versions", "uid": UID }));
    assert_eq!(refused(&since("assignments")), (400, 9721));
    let good = apple.api.get("/assignments").body["versionId"].as_str().expect("a version").to_owned();
    apple.simulator.faults().next_call("assignments", Fault::VersionInvalid).expect("room");
    assert_eq!(refused(&apple.api.get(&format!("/assignments?sinceVersionId={good}"))), (400, 9721));
}

#[test]
fn assignments_are_filtered_and_show_the_state_of_users_when_asked() {
    let apple = stocked();
    apple.associate("2", &["ada"], &[]);
    let all = apple.api.get("/assignments").body;
    assert_eq!(all["assignments"][0], json!({ "adamId": "1", "pricingParam": "STDQ", "clientUserId": "ada" }));
    assert_eq!(all["assignments"][1], json!({ "adamId": "1", "pricingParam": "STDQ", "serialNumber": "MAC" }));
    for (query, count) in [
        ("clientUserId=ada", 2),
        ("serialNumber=MAC", 1),
        ("adamId=2", 1),
        ("pricingParam=PLUS", 0),
        ("clientUserId=x", 0),
    ] {
        assert_eq!(apple.api.get(&format!("/assignments?{query}")).body["size"], count, "{query}");
    }
    let state = |query: &str| apple.api.get(&format!("/assignments?includeUserState=true&{query}")).body;
    assert_eq!(state("adamId=2")["assignments"][0]["userStatus"], "Registered");
    apple.order(json!({ "order": "accept_invitation", "uid": UID, "client_user_id": "ada" }));
    assert!(state("adamId=2")["assignments"][0]["idHash"].is_string());
    // what can't be taken back stays with one who is retired
    apple.event("/users/retire", json!({ "users": [{ "clientUserId": "ada" }] }));
    let left = state("");
    assert_eq!(ids(&left, "assignments", "adamId"), ["1", "2"]);
    assert_eq!(left["assignments"][1]["userStatus"], "Retired");
    assert_eq!(ids(&state("excludeInactiveUsers=true"), "assignments", "serialNumber"), ["MAC"]);
}

#[test]
fn another_tool_that_takes_over_is_named_in_every_answer() {
    let apple = stocked();
    assert!(apple.api.get("/assets").body.get("mdmInfo").is_none());
    let ours = json!({ "id": "1", "name": "seatledger", "metadata": "m" });
    let set = apple.post("/client/config", json!({ "mdmInfo": ours }));
    assert_eq!((set.status, &set.body["mdmInfo"], &set.body["uId"]), (200, &ours, &json!(UID)));
    let config = apple.api.get("/client/config").body;
    assert_eq!((&config["locationName"], &config["countryISO2ACode"]), (&json!("Berlin"), &json!("US")));
    let theirs = json!({ "id": "2", "name": "other", "metadata": "" });
    apple.order(json!({ "order": "take_over", "uid": UID, "mdm_info": theirs }));
    for path in ["/assets", "/assignments", "/users", "/client/config"] {
        assert_eq!(apple.api.get(path).body["mdmInfo"], theirs, "{path}");
    }
    assert_eq!(apple.associate("1", &["ada"], &[])["mdmInfo"], theirs);
}

#[test]
fn no_more_than_five_pages_are_read_at_one_time() {
    let apple = Apple::with(Options { latency: Duration::from_millis(400), ..Options::default() });
    let api = &apple.api;
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8).map(|_| scope.spawn(move || api.get("/assets").status)).collect();
        asked.into_iter().map(|it| it.join().expect("an answer")).collect()
    });
    let count = |status| statuses.iter().filter(|it| **it == status).count();
    assert_eq!((count(200), count(429)), (5, 3), "{statuses:?}");
    assert_eq!(api.get("/assets").status, 200);
}

#[test]
fn licenses_move_between_units_and_a_refund_goes_below_what_is_assigned() {
    let apple = stocked();
    apple.order(json!({ "order": "unit", "uid": "200" }));
    apple.order(json!({ "order": "transfer", "from": UID, "to": "200", "adam_id": "1", "quantity": 2 }));
    let there = apple.simulator.assets("200").expect("the unit");
    assert_eq!(there.iter().map(|asset| (asset.id.adam_id.as_str(), asset.total)).collect::<Vec<_>>(), [("1", 2)]);
    apple.order(json!({ "order": "refund", "uid": UID, "adam_id": "1", "quantity": 2 }));
    let asset = &apple.api.get("/assets?adamId=1&pricingParam=STDQ").body["assets"][0];
    let figures = [&asset["totalCount"], &asset["assignedCount"], &asset["availableCount"]].map(Value::as_u64);
    assert_eq!(figures, [Some(1), Some(2), Some(0)]);
}

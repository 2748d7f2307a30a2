//! Seats: the rows of the error table, limits, pages, bulk, and a seat given once however often it is asked.

use super::{CARRIED, FREE, OFFICE, Store, UNOWNED, seat_of, seats_of, upn};
use reqwest::Method;
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::LicenseType;
use seatledger::store::simulator::journal::Deed;
use seatledger::store::simulator::microsoft::Product;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn errors_are_those_of_the_table() {
    let store = Store::with_seats(1);
    let item = |kind: &str, value: String| json!({"itemType": kind, "value": value});
    let parameter = |name: &str| json!({"parameterName": name});
    let (not_online, none) = (json!({"reason": "Not online"}), json!({}));
    let inventory = |product: &str| item("Inventory", format!("{product}/0016"));
    let nobody = || item("User", upn("nobody"));
    let no_seat = || item("Seat", format!("{OFFICE}/0016/{}", upn("ada")));
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let bad_user = format!("{}/ada", seats_of(OFFICE));
    let table = [
        (&get, seats_of(OFFICE), 200, none.clone()),
        (&get, seats_of(CARRIED), 409, not_online.clone()),
        (&get, seats_of(UNOWNED), 404, inventory(UNOWNED)),
        (&get, format!("{}?maxResults=101", seats_of(OFFICE)), 400, parameter("maxResults")),
        (&get, format!("{}?continuationToken=zzz", seats_of(OFFICE)), 400, parameter("continuationToken")),
        (&get, seats_of("9-WZ"), 400, parameter("productId")),
        (&get, seat_of(OFFICE, "ada"), 404, no_seat()),
        (&get, seat_of(OFFICE, "nobody"), 404, nobody()),
        (&get, seat_of(CARRIED, "ada"), 409, not_online.clone()),
        (&get, seat_of(UNOWNED, "ada"), 404, inventory(UNOWNED)),
        (&get, bad_user.clone(), 400, parameter("userName")),
        (&post, seat_of(OFFICE, "nobody"), 404, nobody()),
        (&post, seat_of(CARRIED, "ada"), 409, not_online.clone()),
        (&post, seat_of(UNOWNED, "ada"), 404, inventory(UNOWNED)),
        (&post, bad_user.clone(), 400, parameter("userName")),
        (&delete, seat_of(OFFICE, "ada"), 404, no_seat()),
        (&delete, seat_of(OFFICE, "nobody"), 404, nobody()),
        (&delete, seat_of(CARRIED, "ada"), 409, not_online),
        (&delete, seat_of(UNOWNED, "ada"), 404, inventory(UNOWNED)),
        (&delete, bad_user, 400, parameter("userName")),
        (&get, "/V1/Users/ada%40contoso.example/Seats".into(), 200, none),
        (&get, "/V1/Users/nobody%40contoso.example/Seats".into(), 404, nobody()),
        (&get, "/V1/Users/ada/Seats".into(), 400, parameter("userName")),
        (&get, "/V1/Users/ada%40contoso.example/Seats?maxResults=0".into(), 400, parameter("maxResults")),
    ];
    for (method, path, status, data) in table {
        let came = store.tool.send(method.clone(), &path, "");
        assert_eq!(came.status, status, "{method} {path}: {}", came.text);
        for (name, value) in data.as_object().expect("fields") {
            assert_eq!(&came.json["data"][name], value, "{method} {path}: {}", came.text);
        }
    }
    assert!(store.sitting(OFFICE).is_empty());
}

#[test]
fn a_seat_is_given_once_and_the_last_is_the_last() {
    let store = Store::with_seats(1);
    let first = store.tool.post(&seat_of(OFFICE, "ada")).is(200).json;
    let expected = json!({
        "assignedTo": upn("ada"),
        "dateAssigned": "2026-06-01T10:00:00.0000000Z",
        "state": "Active",
        "productKey": {"productId": OFFICE, "skuId": "0016"},
    });
    assert_eq!(first, expected);
    store.advance(60);
    assert_eq!(store.tool.post(&seat_of(OFFICE, "ADA")).is(200).json, expected, "asked again");
    let full = store.tool.post(&seat_of(OFFICE, "bob")).is(409).json;
    let data = json!({"reason": "NoSeatsAvailable", "seatCapacity": 1, "availableSeats": 0});
    assert_eq!(full["data"], data);
    assert_eq!(store.tool.delete(&seat_of(OFFICE, "ada")).is(200).json["state"], "Revoked");
    assert_eq!(store.tool.delete(&seat_of(OFFICE, "ada")).is(404).json["data"]["itemType"], "Seat");
    store.tool.post(&seat_of(OFFICE, "bob")).is(200);
    let deeds: Vec<_> =
        store.simulator.market().journal().from(0, 99).into_iter().map(|e| (e.deed, e.holder)).collect();
    let of = |deed, name| (deed, upn(name));
    let expected = [
        of(Deed::Granted, "ada"),
        of(Deed::GrantedAlready, "ada"),
        of(Deed::GrantRefused, "bob"),
        of(Deed::Released, "ada"),
        of(Deed::ReleasedAlready, "ada"),
        of(Deed::Granted, "bob"),
    ];
    assert_eq!(deeds, expected);
}

#[test]
fn an_open_pool_has_no_end() {
    let store = Store::with_seats(1);
    for name in ["ada", "bob", "cyd"] {
        store.tool.post(&seat_of(FREE, name)).is(200);
    }
    let came = store.tool.get("/V1/Inventory?licenseTypes=online").is(200).json;
    let entry = &came["inventoryEntries"][0];
    assert_eq!((&entry["seatCapacity"], &entry["availableSeats"]), (&json!(2), &json!(0)));
}

#[test]
fn on_line_and_offline_licenses_of_one_product_are_two_stocks() {
    let store = Store::with_seats(1);
    store.buys(OFFICE, LicenseType::Offline, 7, true, DistributionPolicy::Restricted);
    store.tool.post(&seat_of(OFFICE, "ada")).is(200);
    let came = store.tool.get("/V1/Inventory").is(200).json;
    let of = |entry: &Value| (entry["licenseType"].clone(), entry["availableSeats"].clone());
    let office: Vec<_> = came["inventoryEntries"].as_array().expect("entries")[2..].iter().map(of).collect();
    assert_eq!(office, [(json!("Online"), json!(0)), (json!("Offline"), json!(7))]);
}

#[test]
fn bulk_takes_each_user_by_itself_in_the_order_given() {
    let store = Store::with_seats(2);
    let bulk = |users: &[&str], action: &str| {
        let users: Vec<String> = users.iter().map(|name| upn(name)).collect();
        let json =
            store.tool.post_json(&seats_of(OFFICE), &json!({"usernames": users, "seatAction": action})).is(200).json;
        let done = json["seatDetails"].as_array().expect("successes").iter();
        let failed = json["failedSeatOperations"].as_array().expect("failures").iter();
        let name = |value: &Value| value.as_str().expect("a name").split('@').next().unwrap_or("").to_owned();
        let done: Vec<_> = done.map(|seat| name(&seat["assignedTo"])).collect();
        let failed: Vec<_> = failed.map(|it| (name(&it["userName"]), name(&it["failureReason"]))).collect();
        (done, failed)
    };
    let (done, failed) = bulk(&["eve", "nobody", "ada", "bob", "eve"], "ASSIGN");
    assert_eq!(done, ["eve", "ada", "eve"]);
    let reason = |name: &str, why: &str| (name.to_owned(), why.to_owned());
    assert_eq!(failed, [reason("nobody", "UserNotFound"), reason("bob", "NoSeatsAvailable")]);
    assert_eq!(store.sitting(OFFICE), ["ada", "eve"]);
    let (done, failed) = bulk(&["ada", "bob"], "Reclaim");
    assert_eq!((done, failed), (vec!["ada".to_owned()], vec![reason("bob", "SeatNotFound")]));
}

#[test]
fn bulk_refuses_what_it_is_not() {
    let store = Store::with_seats(40);
    let users = |count: usize| (0..count).map(|n| upn(&format!("u{n}"))).collect::<Vec<_>>();
    let good = json!({"usernames": [upn("ada")], "seatAction": "assign"});
    let table = [
        (json!({"usernames": users(26), "seatAction": "assign"}), "usernames"),
        (json!({"usernames": [], "seatAction": "assign"}), "usernames"),
        (json!({"usernames": ["ada"], "seatAction": "assign"}), "usernames"),
        (json!({"usernames": [upn("ada")]}), "seatAction"),
        (json!({"seatAction": "assign"}), "usernames"),
        (json!({"usernames": [upn("ada")], "seatAction": "give"}), "seatAction"),
        (json!({"usernames": [upn("ada")], "seatAction": "assign", "force": true}), "body"),
        (json!([]), "body"),
    ];
    for (body, parameter) in table {
        let came = store.tool.post_json(&seats_of(OFFICE), &body).is(400);
        assert_eq!(came.json["data"]["parameterName"], parameter, "{body}");
    }
    store.tool.post_json(&seats_of(OFFICE), &json!({"usernames": users(25), "seatAction": "assign"})).is(200);
    store.tool.post_json(&seats_of(UNOWNED), &good).is(404);
    let offline = store.tool.post_json(&seats_of(CARRIED), &good).is(200).json;
    assert_eq!(offline["failedSeatOperations"][0]["failureReason"], "Not online");
    store.tool.send(Method::POST, &seats_of(OFFICE), good.to_string()).is(415);
    store.tool.post_json(&format!("{}?seatAction=assign", seats_of(OFFICE)), &good).is(400);
    assert_eq!(store.tool.post_json(&seats_of(OFFICE), &good).is(200).json["seatDetails"][0]["assignedTo"], upn("ada"));
}

#[test]
fn pages_of_seats_go_on_where_they_ended() {
    let store = Store::with_seats(500);
    let mut market = store.simulator.market();
    for number in 0..250 {
        let name = upn(&format!("user{number:03}"));
        market.hire(&name, Duration::ZERO).expect("a user");
        market.assign("intune", &super::key(OFFICE), &name).expect("a seat");
    }
    drop(market);
    let (mut seen, mut token, mut pages) = (vec![], String::new(), 0);
    loop {
        let page = store.tool.get(&format!("{}?maxResults=100{token}", seats_of(OFFICE))).is(200).json;
        let of = |seat: &Value| seat["assignedTo"].as_str().expect("a name").to_owned();
        seen.extend(page["seats"].as_array().expect("seats").iter().map(of));
        pages += 1;
        // one before the place where the page ended comes, and one before it goes
        store.tool.post(&seat_of(OFFICE, "ada")).is(200);
        store.tool.delete(&seat_of(OFFICE, "user001"));
        match page["continuationToken"].as_str() {
            Some(next) => token = format!("&continuationToken={next}"),
            None => break,
        }
    }
    let mut apart = seen.clone();
    apart.dedup();
    assert_eq!((seen.len(), apart.len(), pages), (250, 250, 3));
    let default = store.tool.get(&seats_of(OFFICE)).is(200).json;
    assert_eq!(default["seats"].as_array().map(Vec::len), Some(25));
    let stolen =
        format!("{}?continuationToken={}", seats_of(FREE), default["continuationToken"].as_str().expect("more"));
    store.tool.get(&stolen).is(400);
}

#[test]
fn a_users_seats_are_listed_over_all_pools() {
    let store = Store::with_seats(1);
    for number in 0..5 {
        let id = format!("9MANY{number:07}");
        store.simulator.market().sell(Product::plain(&id, "0016", "Many")).expect("a product");
        store.buys(&id, LicenseType::Online, 1, true, DistributionPolicy::Restricted);
        store.tool.post(&seat_of(&id, "ada")).is(200);
    }
    let path = "/V1/Users/ADA%40contoso.example/Seats?maxResults=3";
    let first = store.tool.get(path).is(200).json;
    let token = first["continuationToken"].as_str().expect("more");
    let second = store.tool.get(&format!("{path}&continuationToken={token}")).is(200).json;
    let count = |page: &Value| page["seats"].as_array().map_or(0, Vec::len);
    assert_eq!((count(&first), count(&second), second.get("continuationToken")), (3, 2, None));
}

//! The order desk over HTTP: purchases, the three rules of refunds, the directory, other tools.

use super::{FREE, OFFICE, Store, seat_of, seats_of, upn};
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::LicenseType;
use serde_json::{Value, json};

const DAY: u64 = 86_400;

fn refund(store: &Store, order: &str) -> u16 {
    store.raw.post_json("/simulator/refunds", &json!({"order": order})).status
}

fn capacity(store: &Store, product: &str) -> (Value, Value) {
    let lines = store.raw.get("/simulator/inventory").is(200).json["lines"].clone();
    let line =
        lines.as_array().expect("lines").iter().find(|line| line["product_id"] == product).expect("there").clone();
    (line["capacity"].clone(), line["is_removed"].clone())
}

#[test]
fn an_order_goes_back_whole_within_thirty_days_and_only_when_its_seats_are_unassigned() {
    let store = Store::with_seats(1);
    let purchase = json!({
        "product_id": OFFICE, "sku_id": "0016", "license_type": "online", "quantity": 2, "is_paid": true,
    });
    let order = store.raw.post_json("/simulator/purchases", &purchase).is(201).json["number"].clone();
    let order = order.as_str().expect("a number");
    store.tool.post(&seat_of(OFFICE, "ada")).is(200);
    store.tool.post(&seat_of(OFFICE, "bob")).is(200);
    assert_eq!(refund(&store, order), 409, "one of three is unassigned, and the order is of two");
    store.tool.delete(&seat_of(OFFICE, "bob")).is(200);
    assert_eq!(refund(&store, order), 201);
    assert_eq!(capacity(&store, OFFICE), (json!(1), json!(false)));
    assert_eq!((refund(&store, order), refund(&store, "0")), (409, 404));

    let order = store.buys(OFFICE, LicenseType::Online, 1, true, DistributionPolicy::Restricted);
    // 30 June, 23:59 is within, 1 July is not
    store.advance(29 * DAY + 13 * 3600 + 59 * 60);
    let late = store.buys(OFFICE, LicenseType::Online, 1, true, DistributionPolicy::Restricted);
    assert_eq!(refund(&store, &order), 201);
    store.advance(30 * DAY + 60);
    assert_eq!(refund(&store, &late), 409);
}

#[test]
fn a_free_app_goes_with_its_refund_and_only_while_nobody_sits_there() {
    let store = Store::with_seats(1);
    let orders = store.raw.get("/simulator/orders").is(200).json["orders"].clone();
    let of_free = |order: &&Value| order["product_id"] == FREE;
    let order = orders.as_array().expect("orders").iter().find(of_free).expect("bought")["number"].clone();
    let order = order.as_str().expect("a number");
    store.tool.post(&seat_of(FREE, "ada")).is(200);
    store.advance(100 * DAY);
    assert_eq!(refund(&store, order), 409);
    let act = json!({"tool": "intune", "product_id": FREE, "sku_id": "0016", "upn": upn("ada")});
    store.raw.post_json("/simulator/seats/reclaim", &act).is(200);
    assert_eq!(refund(&store, order), 201);
    assert_eq!(capacity(&store, FREE), (json!(0), json!(true)));
    store.raw.post_json("/simulator/purchases", &json!({"product_id": FREE})).is(422);
}

#[test]
fn another_tool_acts_on_the_same_store_and_an_adjustment_asks_nobody() {
    let store = Store::with_seats(2);
    let act = json!({"tool": "intune", "product_id": OFFICE, "sku_id": "0016", "upn": upn("cyd")});
    store.raw.post_json("/simulator/seats/assign", &act).is(200);
    store.tool.post(&seat_of(OFFICE, "ada")).is(200);
    let change = json!({"product_id": OFFICE, "sku_id": "0016", "license_type": "online", "capacity": 1});
    store.raw.post_json("/simulator/inventory", &change).is(204);
    assert_eq!(store.sitting(OFFICE), ["ada", "cyd"], "more used than owned");
    store.tool.post(&seat_of(OFFICE, "bob")).is(409);
    let open = json!({
        "product_id": OFFICE, "sku_id": "0016", "license_type": "online", "distribution_policy": "open",
    });
    store.raw.post_json("/simulator/inventory", &open).is(204);
    store.tool.post(&seat_of(OFFICE, "bob")).is(200);
    let journal = store.raw.get("/simulator/journal?from=0").is(200).json;
    assert_eq!((&journal["written"], &journal["entries"][0]["by"]), (&json!(4), &json!("intune")));
    let seats = store.raw.get("/simulator/seats").is(200).json["seats"].clone();
    let by: Vec<_> = seats.as_array().expect("seats").iter().map(|seat| seat["by"].clone()).collect();
    assert_eq!(by, [json!("seatledger"), json!("seatledger"), json!("intune")]);
}

#[test]
fn a_new_user_is_unknown_for_a_while_and_a_renamed_one_keeps_the_seat() {
    let store = Store::with_seats(5);
    let new = json!({"users": [upn("new")], "lag_seconds": 60});
    store.raw.post_json("/simulator/users", &new).is(204);
    assert_eq!(store.tool.post(&seat_of(OFFICE, "new")).is(404).json["data"]["itemType"], "User");
    store.advance(60);
    store.tool.post(&seat_of(OFFICE, "new")).is(200);
    store.raw.post_json("/simulator/users", &new).is(409);

    let rename = json!({"from": upn("new"), "to": upn("Newer")});
    store.raw.post_json("/simulator/users/rename", &rename).is(204);
    assert_eq!(store.tool.get(&seat_of(OFFICE, "new")).is(404).json["data"]["itemType"], "User");
    assert_eq!(store.tool.get(&seat_of(OFFICE, "newer")).is(200).json["assignedTo"], upn("Newer"));
    assert_eq!(store.tool.get("/V1/Users/newer%40contoso.example/Seats").is(200).json["seats"][0]["state"], "Active");
    let taken = json!({"from": upn("ada"), "to": upn("bob")});
    store.raw.post_json("/simulator/users/rename", &taken).is(409);
}

#[test]
fn who_leaves_loses_the_seat_or_leaves_it_behind() {
    let store = Store::with_seats(5);
    for name in ["ada", "bob"] {
        store.tool.post(&seat_of(OFFICE, name)).is(200);
    }
    store.raw.post_json("/simulator/users/delete", &json!({"upn": upn("ada")})).is(204);
    store.raw.post_json("/simulator/users/delete", &json!({"upn": upn("bob"), "keeps_seats": true})).is(204);
    assert_eq!(store.sitting(OFFICE), ["bob"]);
    store.tool.get(&seat_of(OFFICE, "bob")).is(200);
    assert_eq!(store.tool.post(&seat_of(OFFICE, "bob")).is(404).json["data"]["itemType"], "User");
    store.tool.delete(&seat_of(OFFICE, "bob")).is(200);
    assert_eq!(store.tool.delete(&seat_of(OFFICE, "bob")).is(404).json["data"]["itemType"], "User");
    assert_eq!(store.tool.get(&seats_of(OFFICE)).is(200).json["seats"], json!([]));
}

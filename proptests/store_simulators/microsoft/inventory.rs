//! Get Inventory: what is listed, page by page, and what is refused.

use super::{CARRIED, FREE, OFFICE, Store};
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::LicenseType;
use seatledger::store::simulator::microsoft::{Casing, EntryKey, ModifiedBy, Product};
use serde_json::{Value, json};

fn listed(store: &Store, query: &str) -> Vec<String> {
    let came = store.tool.get(&format!("/V1/Inventory?{query}")).is(200).json;
    let of = |entry: &Value| entry["productKey"]["productId"].as_str().expect("a product").to_owned();
    came["inventoryEntries"].as_array().expect("entries").iter().map(of).collect()
}

#[test]
fn an_entry_has_the_fields_of_the_table() {
    let store = Store::with_seats(3);
    let came = store.tool.get("/V1/Inventory?licenseTypes=OFFLINE").is(200).json;
    let expected = json!({"inventoryEntries": [{
        "productKey": {"productId": CARRIED, "skuId": "0016"},
        "seatCapacity": 10,
        "availableSeats": 10,
        "lastModified": "2026-06-01T10:00:00.0000000Z",
        "licenseType": "Offline",
        "distributionPolicy": "Restricted",
        "status": "Active",
    }]});
    assert_eq!(came, expected);
}

#[test]
fn a_count_is_of_64_bits() {
    let store = Store::with_seats(i64::MAX - 1);
    store.buys(OFFICE, LicenseType::Online, 5, true, DistributionPolicy::Restricted);
    let came = store.tool.get("/V1/Inventory").is(200).text;
    assert!(came.contains("\"seatCapacity\":9223372036854775807"), "{came}");
}

#[test]
fn what_a_query_can_not_be_is_named() {
    let store = Store::with_seats(1);
    let table = [
        ("modifiedSince=yesterday", "modifiedSince"),
        ("modifiedSince=2026-06-01T10:00:00", "modifiedSince"),
        ("licenseTypes=Perpetual", "licenseTypes"),
        ("continuationToken=x", "continuationToken"),
        ("maxResults=-1", "maxResults"),
        ("maxResults=many", "maxResults"),
        ("includeSubscription=yes", "includeSubscription"),
        ("seats=1", "query"),
    ];
    for (query, parameter) in table {
        let data = store.tool.get(&format!("/V1/Inventory?{query}")).is(400).json["data"].clone();
        assert_eq!(data["parameterName"], parameter, "{query}");
        assert!(data["reason"].is_string() && data["details"].is_string(), "{data}");
    }
}

#[test]
fn pages_go_on_where_they_ended_whatever_is_bought_between_them() {
    let store = Store::with_seats(1);
    for number in 0..60 {
        let id = format!("9PAGE{number:07}");
        store.simulator.market().sell(Product::plain(&id, "0016", "Page")).expect("a product");
        store.buys(&id, LicenseType::Online, 1, true, DistributionPolicy::Restricted);
    }
    let first = store.tool.get("/V1/Inventory?maxResults=30&licenseTypes=Online").is(200).json;
    let token = first["continuationToken"].as_str().expect("more").to_owned();
    // before the place where the page ended, and behind it
    for id in ["9AAAAAAAAAAA", "9ZZZZZZZZZZZ"] {
        store.simulator.market().sell(Product::plain(id, "0016", "Late")).expect("a product");
        store.buys(id, LicenseType::Online, 1, true, DistributionPolicy::Restricted);
    }
    let next = |query: &str| store.tool.get(&format!("/V1/Inventory?continuationtoken={token}&{query}"));
    let second = next("MaxResults=500&licenseTypes=online").is(200).json;
    assert!(second.get("continuationToken").is_none(), "absent on the last page");
    let ids = |page: &Value| -> Vec<String> {
        let of = |entry: &Value| entry["productKey"]["productId"].as_str().expect("a product").to_owned();
        page["inventoryEntries"].as_array().expect("entries").iter().map(of).collect()
    };
    let all = [ids(&first), ids(&second)].concat();
    let (mut sorted, late) = (all.clone(), all.contains(&"9ZZZZZZZZZZZ".to_owned()));
    sorted.sort();
    sorted.dedup();
    assert_eq!((all.len(), sorted.len(), late), (63, 63, true));
    // a token belongs to its query
    assert_eq!(next("licenseTypes=offline").is(400).json["data"]["parameterName"], "continuationToken");
    assert_eq!(listed(&store, "").len(), 25, "the default");
}

#[test]
fn what_changed_since_is_what_last_modified_says() {
    let store = Store::with_seats(3);
    store.advance(60);
    let since = "modifiedSince=2026-06-01T10:00:30.1234567Z";
    assert!(listed(&store, since).is_empty());
    store.buys(FREE, LicenseType::Online, 1, false, DistributionPolicy::Open);
    assert_eq!(listed(&store, since), [FREE]);
    store.tool.post(&super::seat_of(OFFICE, "ada")).is(200);
    assert_eq!(listed(&store, since), [FREE, OFFICE], "the portal's saying: a seat is a change");
    store.simulator.market().follow(ModifiedBy { seats: false, details: false });
    store.advance(60);
    let later = "modifiedSince=2026-06-01T12:01:30%2B02:00";
    store.tool.delete(&super::seat_of(OFFICE, "ada")).is(200);
    assert!(listed(&store, later).is_empty(), "the other saying: a seat is none");
}

#[test]
fn what_was_removed_is_listed_to_who_asks_unless_it_is_gone_for_good() {
    let store = Store::with_seats(3);
    let office = EntryKey { product: super::key(OFFICE), license_type: LicenseType::Online };
    store.tool.post(&super::seat_of(OFFICE, "ada")).is(200);
    store.simulator.market().remove(&office, false).expect("there");
    assert_eq!(listed(&store, ""), [FREE, CARRIED]);
    assert_eq!(listed(&store, "IncludeRemoved=false"), [FREE, CARRIED]);
    assert_eq!(listed(&store, "includeremoved=TRUE"), [FREE, CARRIED, OFFICE]);
    let came = store.tool.get("/V1/Inventory?IncludeRemoved=true&licenseTypes=online").is(200).json;
    assert_eq!(came["inventoryEntries"][1]["status"], "Removed");
    store.tool.get(&super::seats_of(OFFICE)).is(404);
    assert!(store.sitting(OFFICE).is_empty());
    store.simulator.market().remove(&office, true).expect("there");
    assert_eq!(listed(&store, "IncludeRemoved=true"), [FREE, CARRIED]);
}

#[test]
fn names_and_words_can_be_written_otherwise() {
    let store = Store::with_seats(3);
    store.simulator.set_casing(Casing::Pascal);
    let came = store.tool.get("/V1/Inventory?licenseTypes=offline").is(200).json;
    let entry = &came["InventoryEntries"][0];
    assert_eq!((&entry["LicenseType"], &entry["ProductKey"]["SkuId"]), (&json!("offline"), &json!("0016")));
}

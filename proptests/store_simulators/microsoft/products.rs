//! Details, names, packages and offline licenses: the rows of the error table, and what an answer holds.

use super::{CARRIED, FREE, OFFICE, Store, UNOWNED};
use reqwest::Method;
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::LicenseType;
use seatledger::store::simulator::microsoft::{Localized, Product};
use serde_json::json;

/// Method, path, status, and the `data` that stands in the error.
#[test]
fn errors_are_those_of_the_table() {
    let store = Store::with_seats(1);
    let content = format!("{CARRIED}-content-neutral");
    let parameter = |name: &str| json!({"parameterName": name});
    let item = |kind: &str, value: String| json!({"itemType": kind, "value": value});
    let reason = |reason: &str| json!({"reason": reason});
    let at = |product: &str, tail: &str| format!("/V1/Products/{product}/0016{tail}");
    let nowhere = "9NOWHERE0000";
    let (get, post) = (Method::GET, Method::POST);
    let table = [
        (&get, at(OFFICE, ""), 200, json!({})),
        (&get, at(UNOWNED, ""), 200, json!({})),
        (&get, at(nowhere, ""), 404, item("Product/SKU", format!("{nowhere}/0016"))),
        (&get, format!("/V1/Products/{OFFICE}/16"), 404, item("Product/SKU", format!("{OFFICE}/16"))),
        (&get, format!("/V1/Products/{OFFICE}/00%2016"), 400, parameter("skuId")),
        (&get, at("9-WZ", ""), 400, parameter("productId")),
        (&get, at(OFFICE, "/LocalizedDetails/en-us"), 200, json!({})),
        (&get, at(OFFICE, "/LocalizedDetails/english"), 400, parameter("language")),
        (
            &get,
            at(nowhere, "/LocalizedDetails/en-us"),
            404,
            item("productId, skuId, language", format!("{nowhere}/0016/en-us")),
        ),
        (&get, at(OFFICE, "/Packages"), 200, json!({})),
        (&get, at(nowhere, "/Packages"), 404, item("Product/SKU", format!("{nowhere}/0016"))),
        (&get, at(UNOWNED, "/Packages"), 409, reason("Not owned")),
        (&get, at(OFFICE, &format!("/Packages/{OFFICE}-neutral")), 200, json!({})),
        (&get, at(UNOWNED, &format!("/Packages/{UNOWNED}-neutral")), 409, reason("Not owned")),
        (&get, at(OFFICE, "/Packages/other"), 404, item("Product/SKU", format!("{OFFICE}/0016/other"))),
        (&post, at(CARRIED, &format!("/OfflineLicense/{content}")), 200, json!({})),
        (&get, at(CARRIED, &format!("/OfflineLicense/{content}")), 405, json!({})),
        (&post, at(UNOWNED, "/OfflineLicense/x"), 409, reason("Not owned")),
        (&post, at(OFFICE, &format!("/OfflineLicense/{OFFICE}-content-neutral")), 409, reason("Not offline")),
        (&post, at(CARRIED, "/OfflineLicense/x"), 404, item("Content", format!("{CARRIED}/0016/x"))),
        (&post, at(nowhere, "/OfflineLicense/x"), 404, item("Product/SKU", format!("{nowhere}/0016"))),
    ];
    for (method, path, status, data) in table {
        let came = store.tool.send(method.clone(), &path, "");
        assert_eq!(came.status, status, "{method} {path}: {}", came.text);
        for (name, value) in data.as_object().expect("fields") {
            assert_eq!(&came.json["data"][name], value, "{method} {path}: {}", came.text);
        }
    }
}

#[test]
fn names_fall_back_to_the_tongue_and_then_to_the_first() {
    let store = Store::with_seats(1);
    let mut product = Product::plain(OFFICE, "0016", "Office");
    for (language, name) in [("fr-FR", "Bureau"), ("de-DE", "Büro")] {
        product.names.push(Localized {
            language: language.into(),
            display_name: name.into(),
            description: String::new(),
            publisher_name: "Contoso".into(),
        });
    }
    store.simulator.market().sell(product).expect("a product");
    let named = |language: &str| {
        let path = format!("/V1/Products/{OFFICE}/0016/LocalizedDetails/{language}");
        let json = store.tool.get(&path).is(200).json;
        (json["language"].as_str().unwrap_or("").to_owned(), json["displayName"].as_str().unwrap_or("").to_owned())
    };
    let pair = |language: &str, name: &str| (language.to_owned(), name.to_owned());
    assert_eq!(named("DE-de"), pair("de-DE", "Büro"));
    assert_eq!(named("fr-ca"), pair("fr-FR", "Bureau"));
    assert_eq!(named("ja-jp"), pair("en-US", "Office"));
    let details = store.tool.get(&format!("/V1/Products/{OFFICE}/0016")).is(200).json;
    assert_eq!(details["supportedLanguages"], json!(["en-US", "fr-FR", "de-DE"]));
}

#[test]
fn an_encrypted_package_and_a_related_set_say_so() {
    let store = Store::with_seats(1);
    for id in ["9SEALED00001", "9SEALED00002"] {
        let mut product = Product::plain(id, "0016", "Sealed");
        let sku = &mut product.skus[0];
        sku.package_set_id = Some("the-set".into());
        sku.packages[0].is_encrypted = id.ends_with('1');
        store.simulator.market().sell(product).expect("a product");
        store.buys(id, LicenseType::Online, 1, true, DistributionPolicy::Restricted);
    }
    let packages = |id: &str| store.tool.get(&format!("/V1/Products/{id}/0016/Packages")).is(200).json;
    let (first, second) = (packages("9SEALED00001"), packages("9SEALED00002"));
    assert_eq!((&first["packageSetId"], &second["packageSetId"]), (&json!("the-set"), &json!("the-set")));
    let package = |set: &serde_json::Value| set["productPackages"][0].clone();
    assert_eq!(package(&first)["packageFormat"], "eappxBundle");
    assert!(package(&first)["location"]["url"].as_str().expect("an address").contains(".eappxbundle?"));
    assert_eq!(package(&second)["packageFormat"], "appxBundle");
    assert_eq!(package(&second)["fileSize"], 5_000_000_000_u64);
}

#[test]
fn an_offline_license_is_the_same_for_the_whole_organization() {
    let store = Store::with_seats(1);
    let path = format!("/V1/Products/{CARRIED}/0016/OfflineLicense/{CARRIED}-content-neutral");
    let (first, second) = (store.tool.post(&path).is(200).json, store.tool.post(&path).is(200).json);
    assert_eq!(first, second);
    assert_eq!(first["requestorId"], "contoso.example");
    assert_eq!(first["productKey"], json!({"productId": CARRIED, "skuId": "0016"}));
    let with_body = store.tool.send(Method::POST, &path, "{}").is(400);
    assert_eq!(with_body.json["data"]["parameterName"], "body");
}

#[test]
fn who_writes_device_policies_asks_without_a_token() {
    let store = Store::with_seats(1);
    let path = |id: &str| format!("/v1/public/catalog/Retail/Products/{id}/applockerdata");
    let came = store.raw.get(&path(FREE)).is(200).json;
    assert_eq!(came["packageIdentityName"], format!("Contoso.{FREE}"));
    store.raw.get(&path("9NOWHERE0000")).is(404);
}

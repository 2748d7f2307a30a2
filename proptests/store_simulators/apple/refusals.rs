//! The error table (`domain.md` 4.8): status and number of everything that is turned back at once.

use super::{Apple, START, UID, refused, seats};
use reqwest::Method;
use seatledger::store::simulator::apple::Limits;
use seatledger::store::simulator::faults::Fault;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn what_is_wrong_with_a_write_has_the_number_of_the_table() {
    let apple = Apple::start();
    apple.buy("1", 5);
    apple.order(json!({ "order": "purchase", "uid": UID, "adam_id": "2", "quantity": 5, "is_book": true }));
    apple.users(&["ada"]);
    apple.order(json!({ "order": "limits",
        "maxAssets": 2, "maxClientUserIds": 2, "maxSerialNumbers": 2, "maxUsers": 2, "maxRevokeClientUserIds": 1,
        "maxRevokeSerialNumbers": 1, "maxNotificationLength": 64, "maxMdmIdLength": 3, "maxMdmNameLength": 3,
        "maxMdmMetadataLength": 3, "maxSubscriptions": 1, "maxSubscriptionClientUserIds": 1 }));
    let one = json!({ "adamId": "1" });
    let with_assets = |assets: Value| json!({ "assets": assets, "clientUserIds": ["ada"] });
    let users = |users: Value| json!({ "users": users });
    let info = |id: &str, name: &str, data: &str| json!({ "mdmInfo": { "id": id, "name": name, "metadata": data } });
    let url = |url: &str, token: &str| json!({ "notificationUrl": url, "notificationAuthToken": token });
    let table: Vec<(&str, Value, u64)> = vec![
        ("/assets/associate", with_assets(json!([])), 9718),
        ("/assets/associate", json!({ "clientUserIds": ["ada"] }), 9718),
        ("/assets/associate", json!({ "assets": [one] }), 9719),
        ("/assets/associate", with_assets(json!([{"adamId": "1"}, {"adamId": "2"}, {"adamId": "3"}])), 9700),
        ("/assets/associate", with_assets(json!([{"adamId": "1"}, {"adamId": "1", "pricingParam": "STDQ"}])), 9703),
        ("/assets/associate", with_assets(json!([{"adamId": "77"}])), 9602),
        ("/assets/associate", with_assets(json!([{"adamId": 1}])), 9602),
        ("/assets/associate", json!({ "assets": [one], "clientUserIds": ["ada"], "extra": 1 }), 9602),
        ("/assets/associate", seats("1", &["ada", "b", "c"], &[]), 9701),
        ("/assets/associate", seats("1", &[], &["a", "b", "c"]), 9702),
        ("/assets/associate", seats("1", &["ada", "ada"], &[]), 9704),
        ("/assets/associate", seats("1", &[], &["a", "a"]), 9705),
        ("/assets/associate", seats("1", &["nobody"], &[]), 9609),
        ("/assets/associate", seats("2", &[], &["a"]), 9707),
        ("/assets/disassociate", seats("2", &["ada"], &[]), 9706),
        ("/assets/disassociate", seats("1", &["ada", "b", "c"], &[]), 9701),
        ("/assets/revoke", json!({ "clientUserIds": ["ada", "b"] }), 9701),
        ("/assets/revoke", json!({ "serialNumbers": ["a", "b"] }), 9702),
        ("/assets/revoke", json!({}), 9719),
        ("/users/create", users(json!([])), 9720),
        ("/users/create", users(json!([{"clientUserId": "a"}, {"clientUserId": "b"}, {"clientUserId": "c"}])), 9714),
        ("/users/create", users(json!([{"clientUserId": "a"}, {"clientUserId": "a"}])), 9715),
        ("/users/update", users(json!([{"clientUserId": "ada", "email": "nothing"}])), 9717),
        ("/users/retire", users(json!([{"email": "ada@a.example"}])), 9602),
        ("/client/config", json!({ "mdmInfo": { "id": "a", "name": "b" } }), 9723),
        ("/client/config", info("abcd", "b", "c"), 9724),
        ("/client/config", info("a", "abcd", "c"), 9725),
        ("/client/config", info("a", "b", "abcd"), 9713),
        ("/client/config", json!({ "notificationUrl": "https://a.example" }), 9710),
        ("/client/config", json!({ "notificationTypes": ["ASSET_COUNT"] }), 9710),
        ("/client/config", json!({ "notificationTypes": ["NOTHING"] }), 9602),
        ("/client/config", url(&format!("https://a.example/{}", "x".repeat(64)), "t"), 9711),
        ("/client/config", url("http://a.example", "t"), 9712),
        ("/client/config", url("http://127.0.0.1:1", "t"), 9728),
    ];
    for (path, body, number) in table {
        assert_eq!(refused(&apple.post(path, body.clone())), (400, number), "{path} {body}");
    }
    assert!(apple.holders().is_empty(), "a call that was turned back did something");
}

#[test]
fn what_is_wrong_with_a_question_has_the_number_of_the_table() {
    let apple = Apple::start();
    let table = [
        ("/assets?pageIndex=x", 9650),
        ("/assets?pageIndex=-1", 9650),
        ("/assignments?pageIndex=2", 9650),
        ("/assets?sinceVersionId=100-0-0", 9602),
        ("/assets?productType=Film", 9602),
        ("/assets?pricingParam=FREE", 9602),
        ("/assets?revocable=yes", 9602),
        ("/assets?adamId=1&adamId=2", 9602),
        ("/assignments?unknown=1", 9602),
        ("/assignments?clientUserId=a&serialNumber=b", 9602),
        ("/assignments?sinceVersionId=nonsense", 9721),
        ("/users?sinceVersionId=100-0-999", 9721),
        ("/status", 9708),
        ("/status?eventId=17", 9708),
    ];
    for (path, number) in table {
        assert_eq!(refused(&apple.api.get(path)), (400, number), "{path}");
    }
    assert_eq!(apple.api.get("/nothing").status, 404);
}

#[test]
fn a_wrong_method_is_405_and_a_wrong_content_type_415() {
    let apple = Apple::start();
    let paths = ["/service/config", "/assets", "/assignments", "/users", "/status"];
    for path in paths {
        assert_eq!(refused(&apple.post(path, json!({}))), (405, 9726), "{path}");
    }
    for path in ["/assets/associate", "/assets/disassociate", "/assets/revoke", "/users/create", "/users/retire"] {
        assert_eq!(refused(&apple.api.get(path)), (405, 9726), "{path}");
        let plain = apple.api.call(Method::POST, path).body("text/plain", "{}").send();
        assert_eq!(refused(&plain), (415, 9727), "{path}");
    }
    assert_eq!(refused(&apple.api.delete("/client/config")), (405, 9726));
}

#[test]
fn a_token_is_missing_malformed_unknown_read_only_revoked_or_expired() {
    let apple = Apple::start();
    assert_eq!(refused(&apple.with_header(None)), (401, 9601));
    for header in ["Basic abc", "Bearer", "Bearer %%%", "Bearer aGVsbG8="] {
        assert_eq!(refused(&apple.with_header(Some(header))), (401, 9722), "{header}");
    }
    // {"token":"x"}
    assert_eq!(refused(&apple.with_header(Some("Bearer eyJ0b2tlbiI6IngifQ=="))), (401, 9601));
    assert_eq!(apple.with_header(Some(&format!("Bearer {}", apple.token))).status, 200);

    let read_only = apple.order(json!({ "order": "token", "uid": UID, "is_read_only": true })).token.expect("a token");
    let reader = apple.api.with_token(&read_only);
    for path in ["/assets", "/assignments", "/users"] {
        assert_eq!(reader.get(path).status, 200, "{path}");
    }
    assert_eq!(reader.get("/client/config").status, 401);
    assert_eq!(reader.post("/assets/revoke", json!({ "clientUserIds": ["a"] })).status, 401);

    apple.order(json!({ "order": "revoke_tokens", "uid": UID }));
    assert_eq!(refused(&apple.api.get("/assets")), (401, 9625));
    let new = apple.order(json!({ "order": "token", "uid": UID, "expires_in_days": 20 })).token.expect("a token");
    let api = apple.api.with_token(&new);
    assert!(api.get("/assets").body.get("tokenExpirationDate").is_none(), "it is far off");
    apple.simulator.clock().advance(Duration::from_secs(6 * 86_400));
    let warned = api.get("/assets").body["tokenExpirationDate"].as_str().expect("it is near").to_owned();
    assert!(warned.ends_with("+0000"), "{warned}");
    assert_eq!(warned.parse::<seatledger::domain::time::Time>().expect("a time"), START.plus_days(20));
    apple.simulator.clock().advance(Duration::from_secs(14 * 86_400));
    assert_eq!(refused(&api.get("/assets")), (401, 9621));
}

#[test]
fn limits_are_told_and_change_while_it_runs() {
    let apple = Apple::start();
    let config = apple.api.without_token().get("/service/config");
    assert_eq!(config.status, 200, "it needs no token");
    let limits: Limits = serde_json::from_value(config.body["limits"].clone()).expect("limits");
    assert_eq!((limits.max_assets, limits.max_client_user_ids, limits.max_serial_numbers), (25, 1000, 1000));
    assert_eq!(
        (limits.max_users, limits.max_revoke_client_user_ids, limits.max_revoke_serial_numbers),
        (100, 100, 100)
    );
    let codes = config.body["errorCodes"].as_array().expect("codes");
    assert!(codes.iter().any(|code| code["errorNumber"] == 9709));
    assert!(config.body["urls"]["getAssets"].as_str().is_some_and(|url| url.ends_with("/mdm/v2/assets")));

    let mut less = config.body["limits"].clone();
    less["maxClientUserIds"] = json!(1);
    less["order"] = json!("limits");
    apple.order(less);
    apple.buy("1", 5);
    apple.users(&["ada", "bob"]);
    assert_eq!(refused(&apple.post("/assets/associate", seats("1", &["ada", "bob"], &[]))), (400, 9701));
    assert_eq!(apple.api.get("/service/config").body["limits"]["maxClientUserIds"], 1);
}

#[test]
fn faults_of_a_call_are_what_the_switch_says() {
    let apple = Apple::start();
    apple.buy("1", 9);
    let faults = apple.simulator.faults();
    for (fault, answer, waits) in [
        (Fault::TooManyRequests, (429, 9646), true),
        (Fault::Unavailable, (503, 9729), true),
        (Fault::InternalError, (500, 9603), true),
    ] {
        faults.next_call("associate", fault).expect("room");
        let refusal = apple.post("/assets/associate", seats("1", &[], &["a"]));
        assert_eq!((refused(&refusal), refusal.header("retry-after").is_some()), (answer, waits));
    }
    let cut = |fault, device: &str| {
        faults.next_call("associate", fault).expect("room");
        apple.api.call(Method::POST, "/assets/associate").json(&seats("1", &[], &[device])).try_send().is_err()
    };
    assert!(cut(Fault::CutBefore, "before"));
    assert!(apple.holders().is_empty());
    assert!(cut(Fault::CutAfter, "after"));
    assert!(cut(Fault::CutInAnswer, "within"));
    assert_eq!(apple.holders(), ["1 {\"serialNumber\":\"after\"}", "1 {\"serialNumber\":\"within\"}"]);
    faults.next_call("associate", Fault::WrongJson).expect("room");
    let answer = apple.post("/assets/associate", seats("1", &[], &["unread"]));
    assert_eq!((answer.status, answer.body["eventId"].is_string()), (200, false), "{}", answer.text);
    assert_eq!(apple.holders().len(), 3);
}

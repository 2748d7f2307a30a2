//! What could be read in two ways is not carried out in either: a parameter that is none, a field that stands twice, a list in the
//! place of an object; and what can be read in one way alone is.

use super::Untouched;
use crate::harness::{Tenant, encode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

#[test]
fn a_trial_and_a_batch_that_are_asked_for_in_other_words_are_refused_and_not_carried_out() {
    let u = Untouched::new();
    let (t, root) = (&u.tenant, u.tenant.service().root());
    let tenant = format!("/v1/tenants/{}", t.name);
    let nothing = json!({"complete": true, "items": []});
    let fly = json!([{"type": "put_user", "user": "eve", "user_name": "eve"}, {"type": "fly"}]);
    for (method, path, body, name) in [
        (Method::POST, "/inventory?dry_run=true", &nothing, "dry_run"),
        (Method::POST, "/commands?Atomic=true", &fly, "Atomic"),
        (Method::POST, "/commands?atomic=true&atomic=false", &fly, "atomic"),
        (Method::POST, "/assignments?limit=1", &json!({}), "limit"),
        (Method::PUT, "/users/eve?dry_run=true", &json!({"user_name": "eve"}), "dry_run"),
        (Method::PATCH, "/settings?x=1", &json!({"sync_enabled": false}), "x"),
        (Method::DELETE, "/groups/sales?cursor=x", &json!({}), "cursor"),
    ] {
        let answer = root.call(method, &format!("{tenant}{path}")).json(body).send();
        assert_eq!(u.bad(answer, "invalid-query")["parameter"], name, "{path}");
    }
}

#[test]
fn a_field_that_stands_twice_is_refused_by_its_name() {
    let u = Untouched::new();
    let (t, root) = (&u.tenant, u.tenant.service().root());
    let call = |method: Method, path: &str, media_type: &str, body: &str| {
        let call = root.call(method, &format!("/v1/tenants/{}{path}", t.name));
        call.body(media_type, body.to_owned()).send()
    };
    let assign = r#"{"pool":"declared:office","target":{"user":"ada@example.org"},"intent":"required"#;
    for (method, path, body, name) in [
        (Method::PUT, "/users/eve", r#"{"user_name":"eve","user_name":"eva"}"#.to_owned(), "user_name"),
        (Method::POST, "/assignments", format!(r#"{assign}","intent":"available"}}"#), "intent"),
        (Method::PATCH, "/settings", r#"{"brake":{"share":100,"at_least":1000000,"share":1}}"#.to_owned(), "share"),
        (Method::POST, "/inventory", r#"{"items":[],"complete":false,"complete":true}"#.to_owned(), "complete"),
    ] {
        let problem = u.bad(call(method, path, "application/json", &body), "unreadable-request");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("the field `{name}` stands there twice")), "{path}: {detail}");
    }
    let line = format!(r#"{{"type":"assign",{}","pool":"declared:other"}}"#, &assign[1..]);
    for (media_type, body) in [("application/json", format!("[{line}]")), ("application/x-ndjson", line.clone())] {
        let told = call(Method::POST, "/commands", media_type, &body);
        assert!(told.text.contains("the field `pool` stands there twice"), "{}", told.text);
    }
}

#[test]
fn a_list_is_no_object_and_an_object_is_no_word() {
    let u = Untouched::new();
    let t = &u.tenant;
    let assign = |target: Value, intent: Value| json!({"pool": "declared:office", "target": target, "intent": intent});
    let ada = json!({"user": "ada@example.org"});
    let refund = json!({"order": "A", "quantity": 1, "ordered_on": "2026-01-01", "amount": ["EUR", 5]});
    let item = json!(["office", "offline", "Office", null, 1, "restricted"]);
    for (answer, place) in [
        (t.patch("/settings", json!({"brake": [100, 7]})), "brake"),
        (t.post("/pools/declared:office/refunds", refund), "amount"),
        (t.post("/assignments", assign(json!(["ada@example.org", null, null, null]), json!("required"))), "target"),
        (t.post("/assignments", assign(ada, json!({"required": null}))), "intent"),
        (t.put("/groups/sales", json!({"kind": {"users": null}})), "kind"),
        (t.post("/inventory", json!({"items": [item]})), "items[0]"),
        (
            t.put("/store-accounts/microsoft-store", json!({"account_id": "a", "credentials": ["secret"]})),
            "credentials",
        ),
    ] {
        let name = if place == "credentials" { "meaningless-request" } else { "unreadable-request" };
        assert_eq!(u.bad(answer, name)["field"], place);
    }
}

#[test]
fn a_mark_in_front_of_a_body_is_no_part_of_it() {
    let t = Tenant::shared();
    let root = t.service().root();
    let call = |method: Method, path: &str, media_type: &str, body: &str| {
        root.call(method, &format!("/v1/tenants/{}{path}", t.name)).body(media_type, body.to_owned()).send()
    };
    let json = "application/json";
    call(Method::PUT, "/users/ada", json, "\u{feff}{\"user_name\":\"ada\"}").created();
    let line = r#"{"type":"put_user","user":"bob","user_name":"bob"}"#;
    for (media_type, body) in [
        ("application/x-ndjson", format!("\u{feff}{line}\n")),
        (json, format!("\u{feff}[{line}]")),
        (json, format!("\u{feff}{{\"commands\":[{line}]}}")),
    ] {
        let told = call(Method::POST, "/commands", media_type, &body);
        assert!(told.status == 200 && !told.text.contains("refused"), "{body}: {}", told.text);
    }
    // there is one
    let twice = call(Method::PUT, "/users/ada", json, "\u{feff}\u{feff}{\"user_name\":\"ada\"}");
    twice.problem("unreadable-request");
}

/// The same cursor with another number in it: at 8 stands the position, at 17 the one that is known.
fn bent(cursor: &Value, at: usize, number: u64) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor.as_str().expect("a second page")).expect("as it was written");
    bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A tenant whose lists have more than one item.
fn with_lists() -> Tenant {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.owns("visio", 1);
    for name in ["ada", "bob", "eve"] {
        t.user(name);
        let target = json!({"user": format!("{name}@example.org")});
        t.post("/assignments", json!({"pool": "declared:office", "target": target, "intent": "required"}));
    }
    t
}

#[test]
fn a_cursor_leads_no_further_than_the_history() {
    let t = with_lists();
    let head = t.head();
    for list in ["/users", "/events", "/refusals", "/reports/license-position"] {
        let now = t.get(&format!("{list}?limit=1")).ok();
        let position = now["position"].as_u64().expect("a position");
        t.get(&format!("{list}?cursor={}", bent(&now["next_cursor"], 8, position))).ok();
        for beyond in [t.head() + 1, u64::MAX - 1, u64::MAX] {
            let cursor = bent(&now["next_cursor"], 8, beyond);
            t.get(&format!("{list}?cursor={cursor}")).problem("position-not-reached");
        }
    }
    let known = t.get(&format!("/users?limit=1&as_of={head}&as_known_at={head}")).ok();
    t.get(&format!("/users?cursor={}", bent(&known["next_cursor"], 17, u64::MAX))).problem("position-not-reached");
}

#[test]
fn a_page_goes_on_at_the_moment_of_the_first_and_at_no_other() {
    let t = with_lists();
    let then = t.head();
    let time = encode(t.get(&format!("/events/{then}")).ok()["recorded_at"].as_str().expect("a time"));
    t.user("zoe");
    let now = t.head();
    for list in ["/users", "/events", "/reports/license-position"] {
        let page = |asked: &str| t.get(&format!("{list}?limit=1&{asked}"));
        let first = page(&format!("as_of={then}")).ok();
        let cursor = first["next_cursor"].as_str().expect("a second page");
        let more = |asked: &str| page(&format!("cursor={cursor}&{asked}"));
        let second = more("").ok();
        assert_eq!(second["position"], then, "{list}");
        for same in [format!("as_of={then}"), format!("as_of={time}")] {
            assert_eq!(more(&same).ok()["items"], second["items"], "{list} {same}");
        }
        for (other, name) in [
            ("as_of=garbage".to_owned(), "as_of"),
            (format!("as_of={}", then - 1), "as_of"),
            (format!("as_of={now}"), "as_of"),
            ("as_known_at=garbage".to_owned(), "as_known_at"),
            (format!("as_known_at={then}"), "as_known_at"),
            (format!("as_of={then}&as_known_at={now}"), "as_known_at"),
        ] {
            assert_eq!(more(&other).problem("invalid-query")["parameter"], name, "{list} {other}");
        }
    }
    // what is known of an instant goes on as it was asked for
    let asked = format!("as_of={now}&as_known_at={then}");
    let first = t.get(&format!("/users?limit=1&{asked}")).ok();
    let cursor = first["next_cursor"].as_str().expect("a second page");
    let second = t.get(&format!("/users?limit=1&cursor={cursor}&{asked}")).ok();
    assert_eq!(second, t.get(&format!("/users?limit=1&cursor={cursor}")).ok());
    let other = t.get(&format!("/users?limit=1&cursor={cursor}&as_of={now}&as_known_at={now}"));
    assert_eq!(other.problem("invalid-query")["parameter"], "as_known_at");
}

#[test]
fn blanks_around_a_name_make_no_other_thing() {
    let t = Tenant::shared();
    t.owns("other", 3);
    let complete = t.inventory(true, &[json!({"sku": " other ", "owned": 3})]).ok();
    assert!(complete["position"].is_u64(), "{complete}");
    let pools = t.list("/pools");
    assert_eq!((pools.len(), pools[0]["state"].as_str()), (1, Some("active")), "{pools:?}");
    for path in ["/pools/%20declared:other", "/pools/declared:%20other%20", "/pools/name:%20declared:other"] {
        assert_eq!(t.get(path).ok()["id"], pools[0]["id"], "{path}");
    }
    let twice = [json!({"sku": "new", "owned": 1}), json!({"sku": "new\u{a0}", "owned": 1})];
    t.inventory(false, &twice).problem("inventory-repeats-key");

    t.refund("other", json!({"order": "A-1"})).created();
    t.refund("other", json!({"order": "A-1 "})).problem("order-already-refunded");

    let device = t.device("D1");
    assert_eq!(t.device(" D1 "), device);
    let facts = json!({"platform": "windows", "join": "entra", "enrolled": true, "os_build": 19_045, "serial": "D1 "});
    t.put("/devices/name:%20D1", facts).unchanged();
    for path in ["/devices/D1%20".to_owned(), "/devices/name:%20D1".to_owned(), format!("/devices/%20{device}")] {
        assert_eq!(t.get(&path).ok()["id"], device.as_str(), "{path}");
    }
    t.get("/devices/d1").problem("device-not-found");
    assert_eq!(t.list("/devices").len(), 1);

    t.group("sales", "users", &[]);
    t.put("/groups/%20sales%20", json!({"kind": "users"})).ok();
    assert_eq!(t.list("/groups").len(), 1);

    let head = t.head();
    for path in [
        "/users/%20",
        "/devices/name:%20",
        "/groups/name:",
        "/pools/%20/seats/user:%20",
        "/pools/declared:other/seats/user:%20",
    ] {
        t.get(path).problem("meaningless-request");
    }
    t.get("/pools/declared:%20").problem("pool-not-found");
    t.refund("other", json!({"order": " "})).problem("unreadable-request");
    t.put("/groups/name:%20", json!({"kind": "users"})).problem("meaningless-request");
    assert_eq!(t.head(), head);
}

//! What could be read in two ways is not carried out in either: a parameter that is none, a field that stands twice, a list in the
//! place of an object; and what can be read in one way alone is.

use super::Untouched;
use crate::harness::Tenant;
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

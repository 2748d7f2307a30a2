//! Conditions that a change is sent under: one that does not hold, or that nobody can judge, is never taken for met.

use super::{Untouched, calls_with_a_body};
use reqwest::Method;
use serde_json::{Value, json};

#[test]
fn a_precondition_that_does_not_hold_changes_nothing() {
    let u = Untouched::new();
    let t = &u.tenant;
    let put = |tag: &str| {
        t.call(Method::PUT, "/groups/sales")
            .header("if-match", tag)
            .json(&json!({"kind": "users", "members": []}))
            .send()
    };
    u.bad(put("\"1\""), "precondition-failed");
    u.bad(put("\"18446744073709551615\""), "precondition-failed");
    for tag in ["1", "W/\"1\"", "\"one\"", "\"-1\"", "\"18446744073709551616\"", "\"1\", \"2\""] {
        u.bad(put(tag), "unreadable-request");
    }
}

#[test]
fn a_precondition_on_what_is_not_there_or_has_no_tag_is_never_taken_for_met() {
    let u = Untouched::new();
    let asked = |method: Method, path: &str, tag: &str, body: &Value| {
        u.tenant.call(method, path).header("if-match", tag).json(body).send()
    };
    let user = json!({"user_name": "new@example.org"});
    let device = json!({"platform": "windows", "join": "entra", "enrolled": true, "serial": "new"});
    let account = json!({"account_id": format!("of-{}", u.tenant.name)});
    for tag in ["*", "\"0\"", "\"77777\""] {
        u.bad(asked(Method::PUT, "/users/new@example.org", tag, &user), "precondition-failed");
        u.bad(asked(Method::PUT, "/groups/new", tag, &json!({"kind": "users"})), "precondition-failed");
        u.bad(asked(Method::PUT, "/devices/new", tag, &device), "precondition-failed");
        u.bad(asked(Method::PUT, "/store-accounts/apple-business", tag, &account), "precondition-failed");
        let assignment =
            json!({"pool": "declared:office", "target": {"user": "ada@example.org"}, "intent": "required"});
        for (method, path, body) in [
            (Method::PATCH, "/settings", json!({"language": "de-DE"})),
            (Method::POST, "/assignments", assignment),
            (Method::POST, "/inventory", json!({"items": []})),
            (Method::PUT, "/tools/new", json!({"name": "New"})),
            (Method::POST, "/tokens", json!({"name": "new", "role": "auditor"})),
            (Method::PUT, "", json!({"name": "Another name"})),
            (Method::POST, "/commands", json!([])),
        ] {
            let problem = u.bad(asked(method, path, tag, &body), "unreadable-request");
            assert_eq!(problem["header"], "If-Match", "{path}");
        }
    }
    let gone = json!({"cause": "deleted"});
    u.bad(asked(Method::POST, "/users/ada@example.org/departure", "\"77777\"", &gone), "precondition-failed");
    u.bad(asked(Method::POST, "/devices/laptop/retirement", "\"77777\"", &json!({})), "precondition-failed");
}

#[test]
fn what_is_to_happen_only_where_there_is_nothing_never_happens() {
    let u = Untouched::new();
    let root = u.tenant.service().root();
    let more = ["/groups/sales", "/assignments/assignment_0", "/tokens/token_0"].map(|path| (Method::DELETE, path));
    let more = more.into_iter().chain([(Method::POST, "/commands"), (Method::POST, "/simulations")]);
    let more = more.map(|(method, path)| (method, format!("/v1/tenants/{}{path}", u.tenant.name)));
    let clock = (Method::POST, "/v1/clock/confirm".to_owned());
    let calls: Vec<_> = calls_with_a_body(&u.tenant).into_iter().chain(more).chain([clock]).collect();
    assert!(calls.len() >= 20, "{calls:?}");
    for tag in ["*", "\"42\""] {
        for (method, path) in &calls {
            let problem = root.call(method.clone(), path).header("if-none-match", tag).json(&json!({})).send();
            let problem = u.bad(problem, "unreadable-request");
            assert_eq!(problem["header"], "If-None-Match", "{method} {path}");
        }
    }
}

//! Bad input of every kind: each is a problem of its own type with a page behind it, nothing changed, and nothing was logged
//! that should not be. Not here: refusals by a rule (`seed.rs`, `museum.rs`), connections that misbehave (`hostile.rs`).

mod access;
mod conditions;
mod doubtful;
mod evidence;
mod streams;

use crate::harness::{Answer, Service, Tenant, encode};
use reqwest::Method;
use serde_json::{Value, json};

/// A tenant with something in it, and the promise that the tests below add nothing.
struct Untouched {
    tenant: Tenant,
    head: u64,
}

impl Untouched {
    fn new() -> Self {
        let tenant = Tenant::shared();
        tenant.owns("office", 2);
        tenant.user("ada");
        tenant.device("laptop");
        tenant.group("sales", "users", &["ada"]);
        tenant.assign_to_group("office", "sales", "required").created();
        Self { head: tenant.head(), tenant }
    }

    /// The answer is the problem of this name, whose type is a page.
    #[track_caller]
    fn bad(&self, answer: Answer, name: &str) -> Value {
        let problem = answer.problem(name);
        let page = self.tenant.service().root().without_token().get(problem["type"].as_str().expect("a type"));
        assert_eq!(page.status, 200, "the page of {name}");
        assert!(page.text.contains(name), "the page of {name}");
        problem
    }
}

impl Drop for Untouched {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.tenant.head(), self.head, "something was recorded");
        }
    }
}

/// Every call of the contract that takes a JSON object, with places filled in that name something.
fn calls_with_a_body(t: &Tenant) -> Vec<(Method, String)> {
    let root = t.service().root();
    let contract = root.get("/openapi.json").ok();
    let mut calls = Vec::new();
    for (path, methods) in contract["paths"].as_object().expect("paths") {
        let places = [
            ("{tenant}", t.name.as_str()),
            ("{provider}", "microsoft-store"),
            ("{holder}", "user:ada@example.org"),
            ("{pool}", "declared:office"),
            ("{user}", "ada@example.org"),
            ("{device}", "laptop"),
            ("{group}", "sales"),
        ];
        let filled = places.iter().fold(path.clone(), |path, (place, value)| path.replace(place, value));
        for (method, operation) in methods.as_object().expect("methods") {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            if body.is_object()
                && body["type"] != "array"
                && !path.ends_with("/commands")
                && !path.ends_with("/simulations")
                // rows of a review, which is looked for first; `reviews.rs` has its own
                && !path.ends_with("/decisions")
                // what a store says with a secret of its own: `stores::apple`
                && !path.ends_with("/notifications")
            {
                calls.push((method.to_uppercase().parse().expect("a method"), filled.replace(['{', '}'], "")));
            }
        }
    }
    assert!(calls.len() >= 15, "{calls:?}");
    calls
}

#[test]
fn an_unknown_field_is_an_error_that_names_it() {
    let u = Untouched::new();
    let root = u.tenant.service().root();
    for (method, path) in calls_with_a_body(&u.tenant) {
        let body = json!({"no_such_field": 1});
        let problem = u.bad(root.call(method, &path).json(&body).send(), "unreadable-request");
        assert!(problem["detail"].as_str().unwrap().contains("no_such_field"), "{path}: {problem}");
    }
    let nested =
        json!({"pool": "declared:office", "target": {"user": "ada@example.org", "usr": 1}, "intent": "required"});
    let problem = u.bad(u.tenant.post("/assignments", nested), "unreadable-request");
    assert!(problem["detail"].as_str().unwrap().starts_with("target"), "{problem}");
}

#[test]
fn a_body_that_is_no_json_object_is_an_error() {
    let u = Untouched::new();
    let root = u.tenant.service().root();
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 10] = [
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\"text\"",
        b"{\"a\":1}}",
        b"\xff\xfe{}",
        b"{\"a\":\"\xc3\x28\"}",
        b"{'a':1}",
        deep.as_bytes(),
    ];
    for (method, path) in calls_with_a_body(&u.tenant) {
        for body in bodies {
            let call = root.call(method.clone(), &path).body("application/json", body.to_vec());
            u.bad(call.send(), "unreadable-request");
        }
        let call = root.call(method.clone(), &path).body("text/xml", "<a/>");
        u.bad(call.send(), "unsupported-media-type");
    }
}

#[test]
fn wrong_types_and_missing_fields_are_errors_that_name_the_place() {
    let u = Untouched::new();
    let t = &u.tenant;
    let ada = "/users/ada%40example.org";
    let cases = [
        (t.put(ada, json!({"user_name": 7})), "user_name"),
        (t.put(ada, json!({"user_name": ["a"]})), "user_name"),
        (t.put(ada, json!({})), "user_name"),
        (t.put(ada, json!({"user_name": "a", "emails": "a@b"})), "emails"),
        (t.put("/groups/sales", json!({"kind": "people"})), "kind"),
        (t.put("/groups/sales", json!({"kind": "users", "members": [7]})), "members[0]"),
        (t.put("/devices/laptop", json!({"platform": "windows", "join": "entra", "enrolled": "yes"})), "enrolled"),
        (
            t.put(
                "/devices/laptop",
                json!({"platform": "windows", "join": "entra", "enrolled": true, "os_build": "10.0"}),
            ),
            "os_build",
        ),
        (t.post(&format!("{ada}/departure"), json!({"cause": "retired"})), "cause"),
        (t.post("/installs", json!({"pool": "declared:office", "user": "ada@example.org"})), "device"),
        (
            t.post("/assignments", json!({"pool": "declared:office", "target": {"user": "a"}, "intent": "wanted"})),
            "intent",
        ),
        (t.post("/inventory", json!({"items": [{"sku": "x"}]})), "items[0]"),
        (t.patch("/settings", json!({"sync_enabled": "yes"})), "sync_enabled"),
        (t.patch("/pools/declared:office/policy", json!({"untargeted": "maybe"})), "untargeted"),
        (t.post("/tokens", json!({"name": "x", "role": "king"})), "role"),
        (t.post("/tokens", json!({"name": "x", "role": "auditor", "expires_at": "tomorrow"})), "expires_at"),
        (t.put(ada, json!({"user_name": "ada@example.org", "occurred_at": "24.11.2026"})), "occurred_at"),
    ];
    for (answer, place) in cases {
        let problem = u.bad(answer, "unreadable-request");
        assert!(problem["detail"].as_str().unwrap().contains(place), "{place}: {problem}");
    }
}

#[test]
fn what_reads_well_and_means_nothing_is_said_to_mean_nothing() {
    let u = Untouched::new();
    let t = &u.tenant;
    let assign = |target: Value, more: Value| t.assign("office", target, "available", more);
    u.bad(assign(json!({}), json!({})), "meaningless-request");
    u.bad(assign(json!({"user": "ada@example.org", "device": "laptop"}), json!({})), "meaningless-request");
    u.bad(assign(json!({"user": "ada@example.org", "exclude": "sales"}), json!({})), "meaningless-request");
    u.bad(t.post("/installs", json!({"pool": "declared:office", "device": "laptop"})), "meaningless-request");
    u.bad(
        t.post(
            "/installs",
            json!({"pool": "declared:office", "device": "laptop", "user": "ada@example.org", "all_users": true}),
        ),
        "meaningless-request",
    );
    u.bad(t.post("/pools/declared:office/seats/ada/reclaim", json!({})), "meaningless-request");
    u.bad(t.patch("/settings", json!({"language": "../../etc"})), "meaningless-request");
    u.bad(t.put("/store-accounts/cornershop", json!({"account_id": "x"})), "meaningless-request");
    u.bad(t.refund("office", json!({"amount": {"currency": "euro", "minor_units": 1}})), "meaningless-request");
}

#[test]
fn huge_and_broken_numbers_are_errors() {
    let u = Untouched::new();
    let t = &u.tenant;
    for owned in ["-1", "1.5", "1e30", "18446744073709551616", "1000000000001", "\"many\"", "null", "NaN"] {
        let item = format!(
            r#"{{"items": [{{"sku": "x", "name": "x", "license_type": "online", "distribution_policy": "open", "owned": {owned}}}]}}"#
        );
        u.bad(t.call(Method::POST, "/inventory").body("application/json", item).send(), "unreadable-request");
    }
    let device = |build: Value| json!({"platform": "windows", "join": "entra", "enrolled": true, "os_build": build});
    for build in [json!(-1), json!(4_294_967_296_u64), json!(10_586.5), json!(1e300)] {
        u.bad(t.put("/devices/laptop", device(build)), "unreadable-request");
    }
    for days in [json!(-1), json!(4_294_967_296_u64)] {
        u.bad(t.patch("/settings", json!({"departure_grace_days": days})), "unreadable-request");
    }
    u.bad(t.patch("/settings", json!({"departure_grace_days": 3651})), "meaningless-request");
    u.bad(t.patch("/pools/declared:office/policy", json!({"reservation_timeout_days": 0})), "meaningless-request");
    let root = t.service().root();
    u.bad(root.post("/v1/clock", json!({"advance_seconds": u64::MAX})), "meaningless-request");
    u.bad(root.post("/v1/clock", json!({"advance_seconds": -1})), "unreadable-request");
    for query in ["limit=0", "limit=1001", "limit=-1", "limit=99999999999999999999", "limit=ten"] {
        u.bad(t.get(&format!("/pools?{query}")), "invalid-query");
    }
    for query in ["at_least=-1", "at_least=18446744073709551616", "at_least=soon"] {
        u.bad(t.get(&format!("/pools?{query}")), "invalid-query");
    }
}

#[test]
fn names_that_are_no_text_are_errors() {
    let u = Untouched::new();
    let t = &u.tenant;
    let long = "n".repeat(257);
    for name in ["", " ", "a\0b", "a\nb", "\u{1b}[2J", "a\u{85}b", &long] {
        u.bad(t.put("/users/new", json!({"user_name": name})), "unreadable-request");
        if !name.trim().is_empty() {
            // a description without a word in it is none
            let described = json!({"user_name": "new", "display_name": name});
            u.bad(t.put("/users/new", described), "unreadable-request");
        }
        u.bad(t.inventory(false, &[json!({"sku": "x", "name": name})]), "unreadable-request");
    }
    // lone surrogates are no Unicode
    let lone = r#"{"user_name": "\ud800"}"#;
    u.bad(t.call(Method::PUT, "/users/new").body("application/json", lone).send(), "unreadable-request");
    // in paths
    u.bad(t.put("/users/a%00b", json!({"user_name": "a"})), "meaningless-request");
    u.bad(t.put("/users/%ff%fe", json!({"user_name": "a"})), "unreadable-request");
    u.bad(t.put(&format!("/users/{}", "x".repeat(600)), json!({"user_name": "a"})), "meaningless-request");
    u.bad(t.get("/pools/%00"), "pool-not-found");
    u.bad(t.get(&format!("/pools/{}", "p".repeat(2000))), "meaningless-request");
    u.bad(t.service().root().put("/v1/tenants/Not%20A%20Slug!", json!({"name": "x"})), "meaningless-request");
}

#[test]
fn odd_names_are_kept_as_they_are() {
    let t = Tenant::shared();
    t.owns("office", 20);
    let names = [
        "Zoë",
        "Zoe\u{308}",
        "😀",
        "\u{202e}eda",
        "a\u{200b}b",
        "user_7",
        "../../etc/passwd",
        "a/b?c#d%41",
        "' OR 1=1 --",
        "<script>",
        "{{7*7}}",
        "{0}",
    ];
    for (count, name) in (1..).zip(names) {
        let place = format!("/users/{}", encode(&format!("name:{name}")));
        t.put(&place, json!({"user_name": name, "display_name": name})).created();
        let target = json!({"user": format!("name:{name}")});
        t.assign("office", target, "required", json!({})).created();
        assert_eq!(t.pool("office")["held"], count, "{name:?} is another person");
        let user = t.get(&place).ok();
        assert_eq!((&user["user_name"], &user["display_name"]), (&json!(name), &json!(name)));
    }
}

#[test]
fn what_belongs_to_another_tenant_is_not_there() {
    let u = Untouched::new();
    let other = u.tenant.neighbour();
    let head = other.head();
    other.get("/pools/pool_0").problem("pool-not-found");
    other.get("/pools/declared:office").problem("pool-not-found");
    other.assign("office", json!({"user": "user_0"}), "required", json!({})).problem("pool-not-found");
    other.delete("/assignments/assignment_0").problem("assignment-not-found");
    other.post("/users/user_0/departure", json!({"cause": "deleted"})).problem("user-not-found");
    other.post("/devices/laptop/retirement", json!({})).problem("device-not-found");
    other.delete("/groups/sales").problem("group-not-found");
    other.post("/pools/pool_0/seats/user_0/reclaim", json!({})).problem("pool-not-found");
    other.post("/directory/held/held_0/confirm", json!({})).problem("held-not-found");
    let problem = other
        .put("/groups/sales", json!({"kind": "users", "members": ["ada@example.org", "user_0"]}))
        .problem("unknown-members");
    assert_eq!(problem["unknown"], json!(["ada@example.org", "user_0"]));
    other.delete("/tokens/token_0").problem("token-not-found");
    // refusals for lack of the thing named are no events
    assert_eq!(other.head(), head);
}

#[test]
fn cursors_are_good_for_their_own_list_alone() {
    let u = Untouched::new();
    let t = &u.tenant;
    let other = t.neighbour();
    for list in [&**t, &*other] {
        list.get("/pools?cursor=AAAA").problem("invalid-cursor");
    }
    let other_tenants = t.service().root();
    let page = other_tenants.get("/v1/tenants?limit=1").ok();
    let foreign = page["next_cursor"].as_str().expect("more than one tenant").to_owned();
    u.bad(t.get(&format!("/pools?cursor={foreign}")), "invalid-cursor");
    for cursor in ["", "%00", "!!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", &"A".repeat(5000)] {
        u.bad(t.get(&format!("/pools?cursor={cursor}")), "invalid-cursor");
    }
}

#[test]
fn a_point_that_is_not_in_the_history_is_an_error() {
    let u = Untouched::new();
    let t = &u.tenant;
    for text in ["yesterday", "-1", "1.5", "", "2026-02-30T00:00:00Z", "2026-11-24", "99999999999999999999"] {
        u.bad(t.get(&format!("/pools?as_of={text}")), "invalid-query");
    }
    u.bad(t.get(&format!("/pools?as_of={}", u.head + 1)), "position-not-reached");
    u.bad(t.get("/pools?as_of=2999-01-01T00:00:00Z"), "position-not-reached");
    u.bad(t.get("/pools?as_of=1999-01-01T00:00:00Z"), "before-history");
    // a cursor cannot reach what is not there either
    t.get(&format!("/pools?as_of={}", u.head)).ok();
}

#[test]
fn what_a_read_does_not_know_is_named_and_never_passed_over() {
    let u = Untouched::new();
    let t = &u.tenant;
    for (path, name) in [
        ("/pools/declared:office?asof=3", "asof"),
        ("/events?holder=user:user_1", "holder"),
        ("/events/stream?as_of=0", "as_of"),
        ("/events/stream?order=newest", "order"),
        ("/pools?as_of=1&as_of=2", "as_of"),
        ("/reports/certificate?format=csv", "format"),
    ] {
        assert_eq!(u.bad(t.get(path), "invalid-query")["parameter"], name, "{path}");
    }
    u.bad(t.post("/pools/declared:office/deficit/plan?asof=3", json!({})), "invalid-query");
    let contract = t.service().root().get("/openapi.json").ok();
    let paths = contract["paths"].as_object().expect("paths");
    let reads = paths.iter().filter(|(_, methods)| methods.get("get").is_some());
    let reads: Vec<&str> = reads.filter_map(|(path, _)| path.strip_prefix("/v1/tenants/{tenant}")).collect();
    assert!(reads.len() > 40, "{reads:?}");
    for path in reads {
        let problem = u.bad(t.get(&format!("{}?moon=full", path.replace(['{', '}'], ""))), "invalid-query");
        assert_eq!(problem["parameter"], "moon", "{path}");
    }
    assert_eq!(t.service().root().get("/v1/tenants?moon=full").problem("invalid-query")["parameter"], "moon");
    assert_eq!(t.service().root().without_token().get("/livez?moon=full").status, 200);
}

#[test]
fn the_history_is_not_asked_for_what_is_none() {
    let u = Untouched::new();
    let t = &u.tenant;
    for query in ["type=nothing", "actor=king", "command=", "from=soon", "to=-1", "order=best", "limit=0"] {
        u.bad(
            t.get(&format!("/events?{query}")),
            if query == "command=" { "idempotency-key-invalid" } else { "invalid-query" },
        );
    }
    u.bad(t.get("/events?pool=declared:none"), "pool-not-found");
    u.bad(t.get("/events?user=nobody"), "user-not-found");
    u.bad(t.get(&format!("/events/{}", u.head + 1)), "position-not-reached");
    u.bad(t.get("/events/first"), "unreadable-request");
    u.bad(t.get("/export/events?format=pdf"), "not-acceptable");
    u.bad(t.call(Method::GET, "/events/stream").header("last-event-id", "x").send(), "invalid-query");
    u.bad(t.get("/pools/declared:office/explain?figure=luck"), "invalid-query");
    u.bad(t.get("/pools/declared:office/timeline?bucket=decade"), "invalid-query");
    let cursor = t.get("/events?limit=2").ok()["next_cursor"].as_str().unwrap().to_owned();
    for list in ["/events?type=user_added&", "/refusals?", "/pools?"] {
        u.bad(t.get(&format!("{list}cursor={cursor}")), "invalid-cursor");
    }
}

#[test]
fn an_idempotency_key_has_its_shape_and_one_content() {
    let t = Tenant::shared();
    t.owns("office", 5);
    t.user("ada");
    let assign = |key: &str, intent: &str| {
        let body = json!({"pool": "declared:office", "target": {"user": "ada@example.org"}, "intent": intent});
        t.call(Method::POST, "/assignments").key(key).json(&body).send()
    };
    let head = t.head();
    for key in ["", &"k".repeat(65), "k\u{e9}y"] {
        assign(key, "required").problem("idempotency-key-invalid");
    }
    assert_eq!(t.head(), head);
    assign("a key", "required").created();
    let head = t.head();
    assign("a key", "available").problem("idempotency-key-reused");
    t.call(Method::DELETE, "/assignments/assignment_0").key("a key").send().problem("idempotency-key-reused");
    t.call(Method::POST, "/tokens")
        .key("k")
        .json(&json!({"name": "x", "role": "auditor"}))
        .send()
        .problem("idempotency-key-invalid");
    t.call(Method::PUT, "").key("k").json(&json!({"name": "Another name"})).send().problem("idempotency-key-invalid");
    for (path, body) in [("/v1/clock", json!({"advance_seconds": 1})), ("/v1/clock/confirm", json!({}))] {
        let call = t.service().root().call(Method::POST, path).key("k").json(&body);
        call.send().problem("idempotency-key-invalid");
    }
    assert_eq!(t.head(), head);
    // another tenant's keys are its own
    let other = t.neighbour();
    other.owns("office", 5);
    let user = other.call(Method::PUT, "/users/ada").key("a key").json(&json!({"user_name": "ada"}));
    user.send().created();
}

#[test]
fn paths_and_methods_that_are_none_are_told() {
    let u = Untouched::new();
    let root = u.tenant.service().root();
    u.bad(root.get("/v1/nothing"), "not-found");
    u.bad(root.get("/problems/no-such-problem"), "problem-not-found");
    u.bad(u.tenant.delete("/pools"), "method-not-allowed");
    u.bad(u.tenant.post("/livez", json!({})), "not-found");
    u.bad(root.get("/v1/tenants/nobody/pools"), "tenant-not-found");
    for (path, named) in
        [(format!("/v1/tenants/{}/users/%ff", u.tenant.name), "user"), ("/v1/tenants/%ff".into(), "tenant")]
    {
        let problem = u.bad(root.get(&path), "unreadable-request");
        assert!(problem["detail"].as_str().is_some_and(|why| why.contains(&format!("`{named}`"))), "{path}: {problem}");
    }
}

#[test]
fn every_problem_has_a_page() {
    let service = Service::shared();
    let root = service.root().without_token();
    let list = root.get("/problems");
    assert_eq!(list.status, 200);
    let names: Vec<&str> =
        list.text.split("/problems/").skip(1).filter_map(|rest| rest.split(['"', ')', '<', ' ']).next()).collect();
    assert!(names.len() > 60, "{names:?}");
    for name in names {
        let page = root.get(&format!("/problems/{name}"));
        assert_eq!(page.status, 200, "{name}");
        assert!(page.text.contains("application/problem+json") || page.text.contains("status"), "{name}");
    }
}

#[test]
fn a_directory_is_one_however_it_is_spelled() {
    let t = Tenant::shared();
    let (path, directory) = ("/store-accounts/microsoft-store", format!("{}.example", t.name.to_lowercase()));
    t.put(path, json!({"account_id": directory.to_uppercase()})).created();
    assert_eq!(t.get(path).ok()["account_id"], directory);
    let other = t.neighbour();
    for spelled in [directory.clone(), directory.to_uppercase(), format!(" {directory}. ")] {
        t.put(path, json!({"account_id": spelled})).unchanged();
        other.put(path, json!({"account_id": spelled})).problem("store-account-already-linked");
    }
    t.put(path, json!({"account_id": "."})).problem("meaningless-request");
}

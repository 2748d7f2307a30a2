//! What holds for every call: commands happen once however often they are sent, answers name their position, reads can wait
//! for one, resources have tags, lists stand still while they are paged, batches are all or each. Not here: bad input.

mod pages;

use crate::harness::{ROOT_TOKEN, Service, Tenant, block_on, encode};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// An answer is the first one, but the request is another.
fn without_request_id(mut body: Value) -> Value {
    match &mut body {
        Value::Object(fields) => {
            fields.remove("request_id");
            fields.values_mut().for_each(|value| *value = without_request_id(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = without_request_id(value.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    body
}

/// Three commands and how they end: done, unchanged, refused. A repeat says that it is one, and is the first answer else.
fn sent_three_ways(t: &Tenant, is_repeat: bool) -> Vec<(u16, Value)> {
    let assign = |name: &str| json!({"pool": "declared:office", "target": {"user": format!("{name}@example.org")}, "intent": "required"});
    [("k-done", "ada"), ("k-unchanged", "ada"), ("k-refused", "bob")]
        .map(|(key, name)| {
            let answer = t.call(Method::POST, "/assignments").key(key).json(&assign(name)).send();
            assert_eq!(answer.header("idempotent-replayed"), is_repeat.then_some("true"), "{key}");
            (answer.status, without_request_id(answer.body))
        })
        .to_vec()
}

#[test]
fn a_command_sent_again_gets_its_first_answer_single_or_in_bulk_and_across_restarts() {
    let mut service = Service::start();
    let t = service.tenant();
    t.owns("office", 1);
    t.user("ada");
    t.user("bob");
    let first = sent_three_ways(&t, false);
    let statuses: Vec<u16> = first.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [201, 200, 409]);
    let head = t.head();
    assert_eq!(sent_three_ways(&t, true), first);
    // much happens in between: seats are there now, and the answer is still the first
    t.owns("office", 10);
    let head_after = t.head();
    assert!(head_after > head);
    assert_eq!(sent_three_ways(&t, true), first);
    let bulk = |name: &str, key: &str| json!({"id": key, "type": "assign", "pool": "declared:office", "target": {"user": format!("{name}@example.org")}, "intent": "required"});
    let batch = || {
        let lines = json!([bulk("ada", "k-done"), bulk("ada", "k-unchanged"), bulk("bob", "k-refused")]);
        without_request_id(t.post("/commands", lines).ok())
    };
    let in_bulk = batch();
    let words: Vec<&str> =
        in_bulk["results"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(words, ["done", "unchanged", "refused"]);
    for (one, (_, single)) in in_bulk["results"].as_array().unwrap().iter().zip(&first) {
        assert_eq!((&one["position"], &one["repeated"]), (&single["position"], &json!(true)));
        assert_eq!(one["assignment"], single["assignment"]);
    }
    assert_eq!(in_bulk["results"][2]["problem"]["type"], first[2].1["type"]);
    assert_eq!(in_bulk["results"][2]["problem"]["short_by"], first[2].1["short_by"]);
    assert_eq!(t.head(), head_after);
    service.stop();
    service.start_again();
    assert_eq!(sent_three_ways(&t, true), first);
    assert_eq!(batch()["results"], in_bulk["results"]);
    service.kill();
    service.start_again();
    assert_eq!(sent_three_ways(&t, true), first);
    assert_eq!(batch()["results"], in_bulk["results"]);
    assert_eq!(t.head(), head_after, "repeats leave nothing behind");
    assert_eq!(t.figures("office"), "owned 10: reserved 1, free 9");
}

#[test]
fn a_receipt_is_looked_at_before_the_precondition() {
    let t = Tenant::shared();
    t.user("ada");
    t.group("sales", "users", &[]);
    let etag = t.get("/groups/sales").header("etag").unwrap().to_owned();
    let put = || {
        let call = t.call(Method::PUT, "/groups/sales").key("put").header("if-match", &etag);
        call.json(&json!({"kind": "users", "members": ["ada@example.org"]})).send()
    };
    let first = put().ok();
    assert_ne!(t.get("/groups/sales").header("etag").unwrap(), etag);
    assert_eq!(put().ok(), first);
}

#[test]
fn positions_of_a_tenant_begin_at_0_and_leave_no_gap() {
    let t = Tenant::shared();
    assert_eq!(t.head(), 0);
    t.user("ada");
    assert_eq!(t.head(), 1);
    let other = t.neighbour();
    assert_eq!((other.head(), t.head()), (0, 1));
}

#[test]
fn a_read_waits_until_a_position_is_there_or_says_that_it_is_not() {
    let t = Tenant::shared();
    let head = t.head();
    assert_eq!(t.get(&format!("/pools?at_least={head}")).ok()["position"], head);
    let waiting = {
        let t = t.clone();
        std::thread::spawn(move || t.get(&format!("/users?at_least={}", head + 1)).ok())
    };
    let late = {
        let t = t.clone();
        std::thread::spawn(move || t.get(&format!("/users?at_least={}", head + 1000)))
    };
    t.user("ada");
    let seen = waiting.join().unwrap();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1, "whoever waited reads what they waited for");
    late.join().unwrap().problem("position-timeout");
}

#[test]
fn a_tag_changes_with_settings_and_capacity_and_not_with_figures() {
    let t = Tenant::shared();
    t.owns("office", 3);
    t.user("ada");
    let tag = || t.get("/pools/declared:office").header("etag").expect("a tag").to_owned();
    let first = tag();
    t.assign_to_user("office", "ada", "required").created();
    assert_eq!(tag(), first, "a seat is no setting");
    // so who has the tag does not have the figures
    let shown = t.call(Method::GET, "/pools/declared:office").header("if-none-match", &first).send();
    assert_eq!(shown.header("etag"), Some(first.as_str()));
    let shown = shown.ok();
    assert_eq!((&shown["held"], &shown["free"]), (&json!(1), &json!(2)));
    let policy = |tag: &str, word: &str| {
        let call = t.call(Method::PATCH, "/pools/declared:office/policy").header("if-match", tag);
        call.json(&json!({"untargeted": word})).send()
    };
    policy(&first, "release").ok();
    let second = tag();
    assert_ne!(second, first);
    policy(&first, "keep").problem("precondition-failed");
    policy("*", "keep").ok();
    t.owns("office", 4);
    assert_ne!(tag(), second);
}

#[test]
fn a_list_stands_still_while_it_is_paged() {
    let t = Tenant::shared();
    for number in 0..7 {
        t.user(&format!("early-{number}"));
    }
    let mut page = t.get("/users?limit=3");
    let (position, mut names) = (page.body["position"].clone(), Vec::new());
    for round in 0..10 {
        let body = page.clone().ok();
        assert_eq!(body["position"], position, "every page shows the position of the first");
        names.extend(
            body["items"].as_array().unwrap().iter().map(|user| user["user_name"].as_str().unwrap().to_owned()),
        );
        // the world goes on between two pages
        t.user(&format!("late-{round}"));
        t.departs(&format!("early-{round}"), json!({"cause": "deleted"}));
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        let path = format!("/users?limit=3&cursor={}", encode(cursor));
        let link = format!("</v1/tenants/{}/users?limit=3&cursor={cursor}>; rel=\"next\"", t.name);
        assert_eq!(page.header("link"), Some(link.as_str()));
        page = t.get(&path);
    }
    let expected: Vec<String> = (0..7).map(|number| format!("early-{number}@example.org")).collect();
    assert_eq!(names, expected);
    assert_eq!(page.header("link"), None);
}

#[test]
fn the_list_of_tenants_is_of_no_position() {
    let service = Service::start();
    let names: Vec<String> = (0..3).map(|_| service.tenant().name.clone()).collect();
    let (mut path, mut seen) = ("/v1/tenants?limit=2".to_owned(), vec![]);
    for has_more in [true, false] {
        let page = service.root().get(&path);
        assert_eq!((page.header("seatledger-position"), page.header("link").is_some()), (None, has_more));
        let page = page.ok();
        assert!(page.get("position").is_none(), "{page}");
        seen.extend(page["items"].as_array().unwrap().iter().map(|one| one["tenant"].as_str().unwrap().to_owned()));
        path = format!("/v1/tenants?cursor={}", page["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!(seen, names);
}

#[test]
fn a_read_of_the_past_shows_the_past() {
    let t = Tenant::shared();
    t.owns("office", 3);
    t.user("ada");
    let before = t.head();
    t.assign_to_user("office", "ada", "required").created();
    assert_eq!(t.get(&format!("/pools/declared:office?as_of={before}")).ok()["reserved"], 0);
    assert_eq!(t.list("/pools/declared:office/seats").len(), 1);
    assert_eq!(t.get(&format!("/pools/declared:office/seats?as_of={before}")).ok()["items"], json!([]));
    t.get("/pools/declared:office?as_of=0").problem("pool-not-found");
}

fn put_user(name: &str) -> Value {
    json!({"type": "put_user", "user": name, "user_name": name})
}

fn statuses(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().expect("results");
    let name = |problem: &Value| problem["type"].as_str().unwrap_or("").trim_start_matches("/problems/").to_owned();
    let word = |one: &Value| format!("{} {}", one["status"].as_str().unwrap_or("?"), name(&one["problem"]));
    results.iter().map(|one| word(one).trim().to_owned()).collect()
}

#[test]
fn a_line_that_is_refused_or_unreadable_leaves_the_others_alone() {
    let t = Tenant::shared();
    let lines = json!([put_user("ada"), put_user("ada"), {"type": "put_user", "user": "x"}, {"type": "fly"}, 7,
        {"type": "install", "pool": "declared:none", "device": "none", "user": "ada"}, put_user("bob")]);
    let answer = t.post("/commands", lines.clone()).ok();
    let expected = [
        "done",
        "unchanged",
        "refused unreadable-request",
        "refused unreadable-request",
        "refused unreadable-request",
        "refused pool-not-found",
        "done",
    ];
    assert_eq!(statuses(&answer), expected);
    assert!(answer["results"].as_array().unwrap().iter().all(|one| one["repeated"].is_null()), "{answer}");
    assert_eq!(t.list("/users").len(), 2);
    // the same as lines of text
    let t = t.neighbour();
    let text: String = lines.as_array().unwrap().iter().map(|line| format!("{line}\n")).collect();
    let answer = t.call(Method::POST, "/commands").body("application/x-ndjson", text + "{broken\n").send();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    let results: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut expected = expected.to_vec();
    expected.push("refused unreadable-request");
    assert_eq!(statuses(&json!({"results": results})), expected);
    assert_eq!(t.list("/users").len(), 2);
}

#[test]
fn each_of_thousands_of_lines_has_its_own_result() {
    let t = Tenant::shared();
    let names: Vec<String> = (0..4_500).map(|n| format!("u{n}")).collect();
    let is_bad = |n: usize| [0, 1_999, 2_000, 2_001, 4_499].contains(&n) || n % 7 == 3;
    let line = |(n, name): (usize, &String)| {
        let mut line = if is_bad(n) { json!({"type": "fly"}) } else { put_user(name) };
        line["id"] = format!("line{n}").into();
        line
    };
    let lines: Vec<Value> = names.iter().enumerate().map(line).collect();
    let head = t.head();
    for repeated in [Value::Null, json!(true)] {
        let answer = t.post("/commands", json!(lines)).ok();
        let results = answer["results"].as_array().unwrap();
        assert_eq!(results.len(), lines.len());
        for (n, one) in results.iter().enumerate() {
            let expected = if is_bad(n) { ("refused", &Value::Null) } else { ("done", &repeated) };
            assert_eq!((one["status"].as_str().unwrap(), &one["repeated"]), expected, "{one}");
            assert_eq!(one["id"], json!(format!("line{n}")), "{one}");
        }
    }
    let good = (0..names.len()).filter(|n| !is_bad(*n)).count();
    assert_eq!(t.head(), head + good as u64, "each user once");
}

#[test]
fn an_atomic_batch_is_all_or_nothing() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    let assign = |name: &str| json!({"type": "assign", "pool": "declared:office", "target": {"user": name}, "intent": "required"});
    let head = t.head();
    let answer = t
        .post(
            "/commands?atomic=true",
            json!([put_user("eve"), assign("ada@example.org"), assign("eve"), put_user("cy")]),
        )
        .ok();
    assert_eq!(
        statuses(&answer),
        ["refused batch-refused", "refused batch-refused", "refused not-enough-seats", "refused batch-refused"]
    );
    assert_eq!(t.head(), head + 1, "the refusal itself is recorded, and nothing else");
    assert_eq!(answer["results"][2]["position"], head + 1);
    assert_eq!(t.figures("office"), "owned 1: free 1");
    assert_eq!(t.list("/users").len(), 1);
    let answer = t.post("/commands?atomic=true", json!([put_user("eve"), {"type": "fly"}])).ok();
    assert_eq!(statuses(&answer), ["refused batch-refused", "refused unreadable-request"]);
    let answer = t.post("/commands?atomic=true", json!([put_user("eve"), assign("eve")])).ok();
    assert_eq!(statuses(&answer), ["done", "done"]);
    assert_eq!(t.figures("office"), "owned 1: reserved 1, free 0");
}

#[test]
fn what_stopped_an_atomic_batch_is_data_and_has_a_receipt() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    let with_id = |id: &str, mut command: Value| {
        command["id"] = id.into();
        command
    };
    let assign = |name: &str| json!({"type": "assign", "pool": "declared:office", "target": {"user": name}, "intent": "required"});
    let batch = json!([
        with_id("b1", put_user("eve")),
        with_id("b2", assign("ada@example.org")),
        with_id("b3", assign("eve")),
        with_id("b4", assign("eve")),
        assign("eve"),
    ]);
    let first = t.post("/commands?atomic=true", batch.clone()).ok();
    let refused = ["batch-refused", "batch-refused", "not-enough-seats", "batch-refused", "batch-refused"];
    assert_eq!(statuses(&first), refused.map(|name| format!("refused {name}")));
    let refusals = t.list("/refusals");
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0]["batch"], json!({"place": 2, "commands": 5}));
    assert_eq!(refusals[0]["figures"]["held"], 1, "as the batch had left it");
    assert_eq!(refusals[0]["holder"], Value::Null, "eve went with the batch");

    // the seats are there now, but b3 was judged and keeps its first answer: nothing of the batch is done
    t.owns("office", 3);
    let head = t.head();
    let again = t.post("/commands?atomic=true", batch).ok();
    assert_eq!(statuses(&again)[..4], statuses(&first)[..4]);
    assert_eq!(again["results"][2]["position"], first["results"][2]["position"]);
    assert_eq!(t.head(), head);
    assert_eq!(t.list("/users").len(), 1);

    // without ids an equal refusal is counted
    t.owns("office", 1);
    let nameless = json!([assign("ada@example.org"), {"type": "refund", "pool": "declared:office", "order": "O1", "quantity": 1,
        "ordered_on": "2026-11-24", "amount": {"currency": "EUR", "minor_units": 1}}]);
    let before = t.head();
    for _ in 0..3 {
        assert_eq!(
            t.post("/commands?atomic=true", nameless.clone()).ok()["results"][0]["problem"]["type"],
            "/problems/batch-refused"
        );
    }
    assert_eq!(t.head(), before + 1);

    // what was not judged is free to be sent again, and what was done before stays done beside a refusal
    let done = t.post(
        "/commands?atomic=true",
        json!([with_id("b1", put_user("eve")), with_id("b2", assign("ada@example.org"))]),
    );
    assert_eq!(statuses(&done.ok()), ["done", "done"]);
    let beside = json!([with_id("b1", put_user("eve")), with_id("b5", put_user("cy")), with_id("b3", assign("eve"))]);
    let answer = t.post("/commands?atomic=true", beside).ok();
    assert_eq!(statuses(&answer), ["done", "refused batch-refused", "refused not-enough-seats"]);
    assert_eq!(t.list("/users").len(), 2);
}

#[test]
fn a_trial_says_what_would_be_and_writes_nothing() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.user("bob");
    let assign = |name: &str| json!({"type": "assign", "pool": "declared:office", "target": {"user": format!("{name}@example.org")}, "intent": "required"});
    let head = t.head();
    let trial = t.post("/simulations", json!([assign("ada"), assign("bob")])).ok();
    assert_eq!(statuses(&trial), ["done", "refused not-enough-seats"]);
    assert_eq!(t.head(), head);
    assert_eq!(t.figures("office"), "owned 1: free 1");
}

#[test]
fn a_request_is_named_in_its_answer_its_problem_and_the_log() {
    let t = Tenant::shared();
    let answer = t.call(Method::GET, "/pools/none").header("x-request-id", "trace-me-1").send();
    assert_eq!(answer.header("x-request-id"), Some("trace-me-1"));
    assert_eq!(answer.problem("pool-not-found")["request_id"], "trace-me-1");
    let call =
        t.call(Method::PUT, "/users/ada").header("x-request-id", "trace-me-2").json(&json!({"user_name": "ada"}));
    let position = call.send().created()["position"].clone();
    let log = t.service().log_with("trace-me-2");
    let line = log.lines().find(|line| line.contains("trace-me-2")).expect("a line for the command");
    assert!(line.contains(&format!("position={position}")), "{line}");
    let odd = t.call(Method::GET, "/pools").header("x-request-id", "a b\"c").send();
    assert_ne!(odd.header("x-request-id"), Some("a b\"c"));
}

/// The events of a stream until so many have come: `id type`, and what the client would name to go on.
fn streamed(t: &Tenant, query: &str, last_event_id: Option<u64>, count: usize) -> Vec<String> {
    let mut request = reqwest::Client::new().get(t.url(&format!("/events/stream{query}"))).bearer_auth(ROOT_TOKEN);
    if let Some(position) = last_event_id {
        request = request.header("last-event-id", position);
    }
    let read = async {
        let mut response = request.send().await.expect("a stream");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        while text.matches("\n\n").count() < count {
            let chunk = response.chunk().await.expect("the stream goes on").expect("the stream goes on");
            text += std::str::from_utf8(&chunk).expect("text");
        }
        text
    };
    let text = block_on(async { tokio::time::timeout(Duration::from_secs(20), read).await }).expect("events in time");
    let field = |block: &str, name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|text| text.trim_start_matches(':').trim().to_owned())
    };
    let blocks = text.split("\n\n").filter_map(|block| {
        let (id, kind) = (field(block, "id")?, field(block, "event")?);
        let event: Value = serde_json::from_str(&field(block, "data")?).expect("an event");
        assert_eq!((event["position"].to_string(), event["type"].as_str()), (id.clone(), Some(kind.as_str())));
        Some(format!("{id} {kind}"))
    });
    blocks.take(count).collect()
}

#[test]
fn a_stream_of_events_goes_on_where_it_broke_off_across_a_restart() {
    let mut service = Service::start();
    let t = service.tenant();
    for name in ["ada", "bob", "cy"] {
        t.user(name);
    }
    assert_eq!(streamed(&t, "?from=0", None, 4), ["0 tenant_created", "1 user_added", "2 user_added", "3 user_added"]);
    assert_eq!(streamed(&t, "", Some(1), 2), ["2 user_added", "3 user_added"]);
    service.stop();
    service.start_again();
    let reader = {
        let t = t.clone();
        std::thread::spawn(move || streamed(&t, "", Some(2), 3))
    };
    t.user("dan");
    t.departs("dan", json!({"cause": "deleted"})).ok();
    assert_eq!(reader.join().unwrap(), ["3 user_added", "4 user_added", "5 user_departed"]);
    t.get("/events/stream?from=999").problem("position-not-reached");
}

#[test]
fn every_event_is_listed_streamed_and_exported_alike() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.assign_to_user("office", "ada", "required").created();
    let events = t.list("/events");
    let positions: Vec<u64> = events.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (0..=t.head()).collect::<Vec<u64>>());
    let expected: Vec<String> =
        events.iter().map(|event| format!("{} {}", event["position"], event["type"].as_str().unwrap())).collect();
    assert_eq!(streamed(&t, "?from=0", None, events.len()), expected);
    let exported = t.get("/export/events");
    assert_eq!((exported.status, exported.text.lines().count()), (200, events.len()));
    let ended = t.get("/export/events?end=true").text;
    let (lines, end) = ended.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(lines, exported.text.trim_end());
    let end: Value = serde_json::from_str(end).unwrap();
    assert_eq!((&end["type"], &end["data"]["from"]), (&json!("seatledger.export.ended"), &json!(0)));
    assert_eq!(end["data"]["next_position"], events.len());
    for (line, event) in exported.text.lines().zip(&events) {
        let cloud: Value = serde_json::from_str(line).unwrap();
        assert_eq!(cloud["specversion"], "1.0");
        assert_eq!(cloud["type"], format!("seatledger.{}", event["type"].as_str().unwrap()));
        assert_eq!(cloud["data"], event["data"]);
    }
}

#[test]
fn the_digest_is_of_the_history_and_nothing_else() {
    let mut service = Service::start();
    let t = service.tenant();
    t.owns("office", 1);
    t.user("ada");
    let then = t.get("/digest").ok();
    t.assign_to_user("office", "ada", "required").created();
    let now = t.get("/digest").ok();
    assert_ne!(now["digest"], then["digest"]);
    assert_eq!(t.get(&format!("/digest?as_of={}", then["position"])).ok(), then);
    service.kill();
    service.start_again();
    assert_eq!(t.get("/digest").ok(), now);
}

//! The auditor's reports through the real service: each on a small organization whose answers a person can count, as JSON and
//! as CSV, and everything that is asked wrongly refused by its name.

mod changes;

use crate::harness::{Answer, Options, Service, Tenant, asked, encode, replay};
use serde_json::{Value, json};

/// Three editors for four people; a viewer that nobody installs. Two days.
fn office(service: &Service) -> Tenant {
    let t = service.tenant();
    t.inventory(true, &[json!({"sku": "editor", "owned": 3}), json!({"sku": "viewer", "owned": 5})]).ok();
    for name in ["ada", "bob", "carl", "dora"] {
        t.user(name);
    }
    t.device("D1");
    t.assign_to_user("viewer", "ada", "required").created();
    for name in ["ada", "bob", "carl"] {
        t.assign_to_user("editor", name, "required").created();
    }
    t.install("editor", "D1", "ada").created();
    assert_eq!(t.assign_to_user("editor", "dora", "required").status, 409);
    service.advance_days(2);
    t
}

fn report(t: &Tenant, query: &str) -> Vec<Value> {
    let items = t.list(&format!("/reports/{query}"));
    for item in &items {
        for position in item["evidence"].as_array().expect("a row has its evidence") {
            assert!(position.as_u64().is_some_and(|position| position <= t.head()), "{item}");
        }
    }
    items
}

#[track_caller]
fn said(items: &[Value], columns: &[&str]) -> Vec<String> {
    let cell = |item: &Value, column: &&str| match &item[*column] {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            item[*column].to_string()
        }
    };
    items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect::<Vec<_>>().join(" ")).collect()
}

/// A day's date, so many days behind the service's beginning.
fn day(t: &Tenant, days: i64) -> String {
    let first: jiff::civil::Date = t.today().parse().expect("a date");
    (first + jiff::Span::new().days(days)).to_string()
}

#[test]
fn the_license_position_has_counts_and_costs_at_any_point() {
    let service = Service::start();
    let t = office(&service);
    let before = t.head();
    t.inventory(false, &[json!({"sku": "editor", "owned": 2, "price": {"currency": "EUR", "minor_units": 1200}})]).ok();
    let columns = ["pool_key", "owned", "held", "free", "over_by", "currency", "price", "owned_cost", "over_cost"];
    let now = ["declared:editor 2 3 0 1 EUR 1200 2400 1200", "declared:viewer 5 1 4 0 EUR 1000 5000 0"];
    assert_eq!(said(&report(&t, "license-position"), &columns), now);
    let then = ["declared:editor 3 3 0 0 EUR 1000 3000 0", "declared:viewer 5 1 4 0 EUR 1000 5000 0"];
    assert_eq!(said(&report(&t, &format!("license-position?as_of={before}")), &columns), then);
    let body = t.get(&format!("/reports/license-position?as_of={before}&pool=declared:viewer")).ok();
    assert_eq!((&body["position"], &body["report"]), (&json!(before), &json!("license-position")));
    assert_eq!(body["items"].as_array().expect("rows").len(), 1);
    let to_buy = report(&t, "true-up");
    let columns = ["pool_key", "to_buy", "could_give_back", "to_buy_cost", "saving"];
    assert_eq!(said(&to_buy, &columns), ["declared:editor 1 0 1200 0", "declared:viewer 0 4 0 4000"]);
    assert_eq!(said(&report(&t, &format!("true-up?as_of={before}")), &columns)[0], "declared:editor 0 0 0 0");
}

#[test]
fn who_held_what_is_told_of_an_app_and_of_a_person() {
    let service = Service::start();
    let t = office(&service);
    let (before, ada) = (t.head(), t.get(&format!("/users/{}", encode("ada@example.org"))).ok()["id"].clone());
    let ada = ada.as_str().expect("an id");
    t.departs("ada", json!({"cause": "deactivated"})).ok();
    let holders = |query: &str| report(&t, &format!("holders?pool=declared:editor{query}"));
    assert_eq!((holders("").len(), holders(&format!("&as_of={before}")).len()), (2, 3));
    let held = said(&holders(&format!("&as_of={before}")), &["holder", "state"]);
    assert_eq!(held[0], format!("user:{ada} in_use"));

    let ever = report(&t, &format!("person?user={}", encode("ada@example.org")));
    let columns = ["pool_key", "began_because", "ended_because", "days"];
    let both = ["declared:viewer assignment departed 2", "declared:editor assignment departed 2"];
    assert_eq!(said(&ever, &columns), both);
    assert!(ever[0]["first_used_at"].is_null() && ever[1]["first_used_at"].is_string(), "{ever:?}");
    let open = report(&t, &format!("person?user={ada}&as_of={before}&pool=declared:editor"));
    assert_eq!(said(&open, &["pool_key", "ended_at", "days"]), ["declared:editor null 0"]);
    let kinds: Vec<_> = ever[1]["evidence"]
        .as_array()
        .expect("positions")
        .iter()
        .map(|at| t.get(&format!("/events/{at}")).ok()["type"].as_str().expect("a type").to_owned())
        .collect();
    assert_eq!(kinds, ["seat_granted", "seat_taken", "seat_released"]);
}

#[test]
fn periods_know_their_peak_their_sell_outs_and_the_days_over_the_cap() {
    let service = Service::start();
    let t = office(&service);
    // over the cap for three days, then within it again
    t.inventory(false, &[json!({"sku": "editor", "owned": 2})]).ok();
    service.advance_days(2);
    t.departs("bob", json!({"cause": "deactivated"})).ok();
    service.advance_days(1);
    t.departs("carl", json!({"cause": "deactivated"})).ok();
    let days = report(&t, "days-over-cap?pool=declared:editor");
    let expected: Vec<String> = (2..=4).map(|at| format!("{} 1 2 3", day(&t, at))).collect();
    assert_eq!(said(&days, &["day", "over_by_max", "owned_then", "held_then"]), expected);
    let one_day = format!("days-over-cap?from={}T00:00:00Z&to={}T00:00:00Z", day(&t, 3), day(&t, 4));
    assert_eq!(said(&report(&t, &one_day), &["day"]), [day(&t, 3)]);

    let peak = report(&t, "peak-use");
    let columns = ["pool_key", "held_at_start", "held_max", "owned_then", "held_at_end", "owned_min"];
    assert_eq!(said(&peak, &columns), ["declared:editor null 3 3 1 2", "declared:viewer null 1 5 1 5"]);
    let late = report(&t, &format!("peak-use?from={}T00:00:00Z&pool=declared:editor", day(&t, 5)));
    assert_eq!(said(&late, &columns), ["declared:editor 2 2 2 1 2"]);

    let sold_out = report(&t, "sell-outs");
    let columns = ["pool_key", "over_by_max", "waiting_count", "refused", "seconds"];
    assert_eq!(said(&sold_out, &columns), [format!("declared:editor 1 1 1 {}", 5 * 86_400)]);
    assert!(sold_out[0]["last_seat_to"].is_string() && sold_out[0]["ended_at"].is_string(), "{sold_out:?}");
}

#[test]
fn a_timeline_by_days_ends_on_the_day_on_which_it_was_to_end() {
    let service = Service::start();
    let t = office(&service);
    let path = "/pools/declared:editor/timeline?bucket=day";
    let days = |body: &Value| said(body["items"].as_array().expect("days"), &["day"]);
    let first = t.get(&format!("{path}&limit=2")).ok();
    assert_eq!(days(&first), [day(&t, 0), day(&t, 1)]);
    // what comes meanwhile takes no page away and adds none
    service.advance_days(1);
    t.user("eve");
    let cursor = encode(first["next_cursor"].as_str().expect("a second page"));
    let second = t.get(&format!("{path}&limit=2&cursor={cursor}")).ok();
    assert_eq!((days(&second), &second["next_cursor"]), (vec![day(&t, 2)], &Value::Null));
    // a time is of its own day, also where nothing happened on it; a position is of the day of its event
    let ends = |query: &str| days(&t.get(&format!("{path}{query}")).ok()).pop().expect("a day");
    let (noon, refused) = (|at| format!("{}T12:00:00Z", day(&t, at)), t.head() - 1);
    for (query, last) in [
        (String::new(), 3),
        (format!("&as_of={}", noon(1)), 1),
        (format!("&as_of={}", noon(2)), 2),
        (format!("&as_of={refused}"), 0),
        (format!("&as_known_at={}", noon(1)), 1),
        (format!("&as_of={}&as_known_at={}", noon(1), noon(2)), 1),
        (format!("&as_of={}&as_known_at={refused}", noon(2)), 0),
    ] {
        assert_eq!(ends(&query), day(&t, last), "{query}");
    }
}

#[test]
fn a_seat_that_goes_to_who_waits_for_it_ends_no_sell_out() {
    let service = Service::start();
    let t = service.tenant();
    t.owns("editor", 2);
    let team = ["ada", "bob", "carl", "dora"];
    let ids = team.map(|name| format!("user:{}", t.user(name)));
    t.group("team", "users", &team);
    t.assign("editor", json!({"group": "team"}), "required", json!({"mode": "fill"})).created();
    service.advance_days(1);
    t.departs("ada", json!({"cause": "deactivated"})).ok();
    service.advance_days(1);
    let columns = ["waiting_count", "refused", "seconds", "ended_at", "waiting"];
    let waited = |seconds: u64, waiting: &[String]| [format!("{} 0 {seconds} null {}", waiting.len(), json!(waiting))];
    assert_eq!(said(&report(&t, "sell-outs"), &columns), waited(2 * 86_400, &ids[2..]));
    // who waits as a period begins has waited in it
    t.user("eve");
    let late = report(&t, &format!("sell-outs?from={}", t.head()));
    assert_eq!(said(&late, &columns), waited(2 * 86_400, &ids[3..]));
    // one more than go to who waits is free
    t.owns("editor", 4);
    let over = report(&t, "sell-outs");
    assert_eq!((over.len(), over[0]["ended_at"].is_string()), (1, true), "{over:?}");
}

#[test]
fn seats_that_nobody_uses_or_targets_are_found() {
    let service = Service::start();
    let t = office(&service);
    let columns = ["pool_key", "holder", "days"];
    let idle = said(&report(&t, "idle-seats?days=2"), &columns);
    assert_eq!(idle.len(), 3, "ada's viewer and the editors of bob and carl: {idle:?}");
    assert!(idle.iter().all(|row| row.ends_with(" 2")), "{idle:?}");
    assert_eq!(report(&t, "idle-seats?days=3").len(), 0);
    assert_eq!(report(&t, "idle-seats?days=2&pool=declared:viewer").len(), 1);

    assert_eq!(report(&t, "untargeted-seats").len(), 0);
    t.uninstall("editor", "D1", "nobody").problem("user-not-found");
    let assignments = t.list("/assignments");
    let installed = assignments.iter().find(|made| made["target"]["user"] == "user_0" && made["pool"] == "pool_0");
    let installed = installed.unwrap_or_else(|| panic!("ada's assignment of the editor: {assignments:?}"));
    t.delete(&format!("/assignments/{}", installed["id"].as_str().expect("an id"))).ok();
    let untargeted = said(&report(&t, "untargeted-seats"), &["pool_key", "holder", "state", "policy"]);
    assert_eq!(untargeted, ["declared:editor user:user_0 in_use keep"]);
}

#[test]
fn refunds_and_drift_are_told_with_their_proof() {
    let service = Service::start();
    let t = office(&service);
    t.refund(
        "viewer",
        json!({"order": "=HYPERLINK(1)", "quantity": 2, "ordered_on": day(&t, 1),
        "amount": {"currency": "EUR", "minor_units": 2000}}),
    )
    .created();
    t.refund("viewer", json!({"order": "order-2", "ordered_on": day(&t, 1)})).created();
    let columns = ["pool_key", "order", "quantity", "amount", "actor"];
    let both = ["declared:viewer =HYPERLINK(1) 2 2000 root", "declared:viewer order-2 1 1000 root"];
    assert_eq!(said(&report(&t, "refunds"), &columns), both);
    let second = report(&t, "refunds")[1]["evidence"][0].clone();
    assert_eq!(report(&t, &format!("refunds?from={second}")).len(), 1);

    assert_eq!(report(&t, "drift").len(), 0);
    // the store says less than the ledger, and no refund says why
    for _ in 0..2 {
        t.inventory(true, &[json!({"sku": "editor", "owned": 3}), json!({"sku": "viewer", "owned": 1})]).ok();
    }
    service.advance_days(1);
    let drift = report(&t, "drift");
    assert_eq!(
        said(&drift, &["drift", "pool_key", "kind", "difference", "days"]),
        ["drift_0 declared:viewer owned_fell -1 1"]
    );

    // in the past it was as old as it was then, in the list and in the report, on the first page and on the second
    for _ in 0..2 {
        t.inventory(true, &[json!({"sku": "editor", "owned": 2}), json!({"sku": "viewer", "owned": 1})]).ok();
    }
    service.advance_days(3);
    let found_at: jiff::Timestamp =
        t.list("/drift")[1]["found_at"].as_str().and_then(|time| time.parse().ok()).expect("a time");
    let then = encode(&(found_at + jiff::SignedDuration::from_hours(24)).to_string());
    let first = t.get(&format!("/drift?limit=1&as_of={then}")).ok();
    let cursor = encode(first["next_cursor"].as_str().expect("a second page"));
    let second = t.get(&format!("/drift?limit=1&cursor={cursor}")).ok();
    let ages = [first, second].map(|page| page["items"][0]["age_seconds"].clone());
    assert_eq!(ages, [json!(2 * 86_400), json!(86_400)]);
    assert_eq!(said(&report(&t, &format!("drift?as_of={then}")), &["days"]), ["2", "1"]);
}

#[test]
fn a_form_that_weighs_nothing_is_not_given() {
    let t = Tenant::shared();
    for (path, other) in [("/export/events", "application/x-ndjson"), ("/reports/refunds", "application/json")] {
        let accepts = |accept: &str| t.call(reqwest::Method::GET, path).header("accept", accept).send();
        assert_eq!(accepts(&format!("text/csv;q=0, {other}")).header("content-type"), Some(other), "{path}");
        let csv = accepts(&format!("{other};q=0.1, text/csv;q=0.9"));
        assert!(csv.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")), "{path}");
        accepts("text/csv;q=0").problem("not-acceptable");
    }
}

fn csv(answer: Answer) -> Vec<csv::StringRecord> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(answer.header("seatledger-position").is_some_and(|position| position.parse::<u64>().is_ok()));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(answer.text.as_bytes());
    reader.records().map(|record| record.expect("RFC 4180")).collect()
}

#[test]
fn a_csv_has_the_rows_of_the_list_and_no_formula() {
    let service = Service::start();
    let t = office(&service);
    t.refund("viewer", json!({"order": "=HYPERLINK(1)", "ordered_on": day(&t, 1)})).created();
    let listed = t.get("/reports").ok()["items"].as_array().expect("reports").clone();
    assert_eq!(listed.len(), 15);
    for about in &listed {
        let name = about["name"].as_str().expect("a name");
        // what is read of the log of reads stands still only up to a position
        let up_to = (name == "access-log").then(|| format!("to={}", t.head()));
        let required = about["parameters"].as_array().expect("parameters").iter().filter(|p| p["required"] == true);
        let asked: Vec<String> = required
            .map(|parameter| match parameter["name"].as_str() {
                Some("pool") => "pool=declared:editor".to_owned(),
                Some("user") => "user=user_0".to_owned(),
                Some("days") => "days=1".to_owned(),
                Some("from") => "from=1".to_owned(),
                Some("to") => format!("to={}", t.head()),
                other => panic!("{name} needs {other:?}"),
            })
            .chain(up_to)
            .collect();
        let query = format!("{name}?{}", asked.join("&"));
        let columns: Vec<&str> =
            about["columns"].as_array().expect("columns").iter().filter_map(|column| column["name"].as_str()).collect();
        let rows = report(&t, &query);
        let records = csv(t.get(&format!("/reports/{query}&format=csv")));
        assert_eq!(records[0].iter().collect::<Vec<_>>(), columns, "{name}");
        assert_eq!(records.len(), rows.len() + 1, "{name}");
        for (record, row) in records[1..].iter().zip(&rows) {
            assert_eq!(row.as_object().expect("an object").len(), columns.len());
            for (cell, column) in record.iter().zip(&columns) {
                let expected = match &row[*column] {
                    Value::Null => String::new(),
                    Value::String(text) if text.starts_with('=') => format!("'{text}"),
                    Value::String(text) => text.clone(),
                    Value::Array(list) => {
                        list.iter().map(|one| one.to_string().replace('"', "")).collect::<Vec<_>>().join(" ")
                    }
                    Value::Bool(_) | Value::Number(_) | Value::Object(_) => row[*column].to_string(),
                };
                assert_eq!(cell, expected, "{name}, {column}");
            }
        }
    }
    let accepted = t.call(reqwest::Method::GET, "/reports/refunds").header("accept", "text/csv").send();
    assert_eq!(csv(accepted).len(), 2);
}

#[test]
fn parquet_is_written_by_a_program_that_is_built_with_it_and_any_other_names_the_feature() {
    let service = Service::start();
    let t = office(&service);
    let parquet = "application/vnd.apache.parquet";
    for (path, name) in
        [("/reports/refunds", "-refunds-"), ("/export/events", "-events-"), ("/diff?from=1&to=9", "-diff-")]
    {
        let accepting = |accept: &str| t.call(reqwest::Method::GET, path).header("accept", accept).send();
        let and = if path.contains('?') { '&' } else { '?' };
        for answer in [t.get(&format!("{path}{and}format=parquet")), accepting(parquet)] {
            if cfg!(feature = "parquet") {
                assert_eq!((answer.status, answer.header("content-type")), (200, Some(parquet)), "{}", answer.text);
                let named = answer.header("content-disposition").expect("a file has a name");
                assert!(named.contains(name) && named.ends_with(".parquet\""), "{named}");
                assert!(answer.bytes.starts_with(b"PAR1") && answer.bytes.ends_with(b"PAR1"), "{path}");
            } else {
                let problem = answer.problem("not-acceptable");
                assert!(problem["detail"].as_str().is_some_and(|why| why.contains("--features parquet")), "{problem}");
            }
        }
        let either = accepting(&format!("{parquet}, text/csv"));
        let first = if cfg!(feature = "parquet") { parquet } else { "text/csv; charset=utf-8" };
        assert_eq!((either.status, either.header("content-type")), (200, Some(first)), "{path}");
    }
}

#[test]
fn a_list_is_stable_while_it_is_paged_and_every_role_may_read_it() {
    let service = Service::start();
    let t = office(&service);
    let auditor = t.as_role("auditor");
    let first = auditor.get("/reports/license-position?limit=1").ok();
    t.inventory(false, &[json!({"sku": "viewer", "owned": 50})]).ok();
    let cursor = encode(first["next_cursor"].as_str().expect("a second page"));
    let second = auditor.get(&format!("/reports/license-position?limit=1&cursor={cursor}")).ok();
    assert_eq!((&second["position"], &second["until"]), (&first["position"], &first["until"]));
    assert_eq!(said(second["items"].as_array().expect("rows"), &["pool_key", "owned"]), ["declared:viewer 5"]);
    assert!(second["next_cursor"].is_null());
    // a cursor is good for its own list
    auditor.get(&format!("/reports/true-up?cursor={cursor}")).problem("invalid-cursor");
    auditor.get("/reports/license-position?cursor=AAAA").problem("invalid-cursor");
    auditor.asking(&service.tenant()).get("/reports").problem("unauthorized");
}

#[test]
fn what_is_asked_wrongly_is_refused_by_its_name() {
    let service = Service::start();
    let t = office(&service);
    let parameter = |path: &str| t.get(&format!("/reports/{path}")).problem("invalid-query")["parameter"].clone();
    t.get("/reports/shoe-size").problem("report-not-found");
    for (path, name) in [
        ("license-position?from=3", "from"),
        ("license-position?color=red", "color"),
        ("peak-use?as_of=3", "as_of"),
        ("refunds?user=user_0", "user"),
        ("holders", "pool"),
        ("person", "user"),
        ("idle-seats", "days"),
        ("idle-seats?days=36501", "days"),
        ("peak-use?from=yesterday", "from"),
        ("peak-use?to=2026-13-01T00:00:00Z", "to"),
        ("refunds?format=csv&limit=3", "limit"),
    ] {
        assert_eq!(parameter(path), name, "{path}");
    }
    for path in ["idle-seats?days=-1", "idle-seats?days=x", "peak-use?from=1&from=2", "license-position?as_of=soon"] {
        t.get(&format!("/reports/{path}")).problem("invalid-query");
    }
    let (yesterday, today) = (format!("{}T00:00:00Z", day(&t, 1)), format!("{}T00:00:00Z", day(&t, 2)));
    for range in ["from=5&to=4".to_owned(), format!("from={today}&to={yesterday}"), format!("from={today}&to=3")] {
        for name in ["peak-use", "days-over-cap", "refunds", "sell-outs"] {
            t.get(&format!("/reports/{name}?{range}")).problem("range-reversed");
        }
    }
    assert_eq!(t.get(&format!("/reports/peak-use?from={yesterday}&to={yesterday}")).status, 200);
    t.get("/reports/peak-use?to=2999-01-01T00:00:00Z").problem("position-not-reached");
    t.get("/reports/peak-use?from=99999").problem("position-not-reached");
    t.get("/reports/license-position?as_of=1971-01-01T00:00:00Z").problem("before-history");
    t.get("/reports/license-position?as_of=0&pool=declared:editor").problem("pool-not-found");
    t.get("/reports/holders?pool=declared:nothing").problem("pool-not-found");
    t.get("/reports/person?user=nobody@example.org").problem("user-not-found");
    t.get("/reports/refunds?format=pdf").problem("not-acceptable");
    let strange = t.call(reqwest::Method::GET, "/reports/refunds").header("accept", "image/png").send();
    strange.problem("not-acceptable");
    t.get("/reports/peak-use?as_known_at=3").problem("invalid-query");
    t.get("/reports/license-position?limit=0").problem("invalid-query");
}

#[test]
fn who_reads_a_report_leaves_a_trace_once_an_hour() {
    let mut service = Service::start();
    let t = office(&service);
    let auditor = t.as_role("auditor");
    let before = t.head();
    auditor.get("/reports").ok();
    assert_eq!(t.head(), before, "the list of reports is no report");
    for _ in 0..3 {
        auditor.get("/reports/license-position").ok();
        let page = auditor.get("/reports/license-position?limit=1").ok();
        let cursor = encode(page["next_cursor"].as_str().expect("a second page"));
        auditor.get(&format!("/reports/license-position?limit=1&cursor={cursor}")).ok();
        csv(auditor.get("/reports/license-position?format=csv"));
    }
    assert_eq!(t.head(), before + 1, "the same read is told once");
    auditor.get(&format!("/reports/license-position?as_of={before}&pool=declared:editor")).ok();
    auditor.get("/reports/person?user=ada@example.org").ok();
    auditor.get("/reports/person?user=user_0").ok();
    auditor.get("/reports/person").problem("invalid-query");
    t.as_role("connector").get("/reports/license-position").ok();
    service.advance_seconds(3600);
    auditor.get("/reports/license-position").ok();
    let log = t.list("/reports/access-log");
    let columns = ["actor", "report", "as_of", "pool", "user"];
    let expected = [
        "token_0 license-position null null null".to_owned(),
        format!("token_0 license-position {before} pool_0 null"),
        "token_0 person null null user_0".to_owned(),
        "token_1 license-position null null null".to_owned(),
        "token_0 license-position null null null".to_owned(),
        "root access-log null null null".to_owned(),
    ];
    assert_eq!(said(&log, &columns), expected);
    // the name that was asked with stands nowhere, and who reads the log of reads is in it
    let about_ada = ["token_0 person null null user_0", "root access-log null null user_0"];
    assert_eq!(said(&t.list("/reports/access-log?user=user_0"), &columns), about_ada);
    let event = t.get(&format!("/events/{}", log[2]["evidence"][0])).ok();
    assert!(!event.to_string().contains("ada"), "{event}");
    let digest = t.get("/digest").ok();
    service.stop();
    let (position, replayed) = &replay(&service.data())[&t.name];
    assert_eq!((&digest["position"], &digest["digest"]), (&json!(position), &json!(replayed)));
    // nothing of it is lost by a start
    service.start_again();
    auditor.get("/reports/license-position").ok();
    assert_eq!(t.head(), *position, "still told within the hour");
}

#[test]
fn a_disk_that_is_nearly_full_does_not_stop_reads() {
    let all_of_it = ("SEATLEDGER_DISK_FLOOR_BYTES", u64::MAX.to_string());
    let mut service = Service::start();
    let t = office(&service);
    let auditor = t.as_role("auditor");
    let before = t.head();
    service.stop();
    service.change(Options { environment: vec![all_of_it], ..Options::default() });
    service.start_again();
    t.put("/users/eve", json!({"user_name": "eve"})).problem("disk-low");
    assert_eq!(auditor.get("/reports/license-position").ok()["items"].as_array().expect("rows").len(), 2);
    assert_eq!(t.head(), before);
    service.log_with("without a trace");
}

#[test]
fn the_command_line_asks_for_reports() {
    let service = Service::start();
    let t = office(&service);
    let url = service.root().url("");
    let run = |args: &[&str]| asked(&url, &[&["report", "--tenant", t.name.as_str()], args].concat());
    let (code, list, _) = run(&[]);
    assert_eq!(code, Some(0));
    let holders = list.lines().find(|line| line.trim_start().starts_with("holders")).expect("holders is listed");
    assert!(holders.contains("--pool [--as-of]"), "{list}");

    let (code, json, _) = run(&["holders", "--pool", "declared:editor"]);
    let body: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, body["items"].as_array().map(Vec::len)), (Some(0), Some(3)));
    assert!(body["position"].is_u64() && body["next_cursor"].is_null(), "{body}");
    let (code, csv, _) = run(&["holders", "--pool", "declared:editor", "--format", "csv"]);
    assert_eq!((code, csv.lines().count()), (Some(0), 4));
    assert!(csv.starts_with("pool,pool_key,holder,"), "{csv}");

    let (code, out, said) = run(&["holders"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(said.contains("pool is missing"), "{said}");
    assert!(run(&["shoe-size"]).2.contains("report-not-found"));
}

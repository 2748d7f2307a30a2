//! What changed between two points, and whether the cap held, through the real service and from the command line.

use super::{csv, office, report, said};
use crate::harness::{Service, asked};
use serde_json::{Value, json};

#[test]
fn a_diff_tells_figures_by_pool_and_seats_by_person() {
    let service = Service::start();
    let t = office(&service);
    let before = t.head();
    t.departs("ada", json!({"cause": "deactivated"})).ok();
    t.inventory(false, &[json!({"sku": "viewer", "owned": 9})]).ok();
    t.assign_to_user("editor", "dora", "required").created();
    t.device("D2");
    t.install("editor", "D2", "bob").created();
    let after = t.head();

    let rows = t.list(&format!("/diff?from={before}&to={after}"));
    let pools: Vec<Value> = rows.iter().filter(|row| row["what"] == "pool").cloned().collect();
    let columns = ["pool_key", "owned_before", "owned_after", "held_before", "held_after", "free_before", "free_after"];
    // an editor came and an editor went: its figures are the same
    assert_eq!(said(&pools, &columns), ["declared:viewer 5 9 1 0 4 9"]);
    let seats: Vec<Value> = rows.iter().filter(|row| row["what"] == "seat").cloned().collect();
    let columns = ["pool_key", "holder", "state_before", "state_after", "changed_by", "cause"];
    let expected = [
        "declared:editor user:user_0 in_use null seat_released departed",
        "declared:editor user:user_1 reserved in_use seat_taken null",
        "declared:editor user:user_3 null reserved seat_granted assignment",
        "declared:viewer user:user_0 reserved null seat_released departed",
    ];
    assert_eq!(said(&seats, &columns), expected);
    for seat in &seats {
        let event = t.get(&format!("/events/{}", seat["cause_position"])).ok();
        assert_eq!(event["type"], seat["changed_by"]);
        assert!(seat["evidence"].as_array().expect("positions").contains(&seat["cause_position"]), "{seat}");
    }

    let people = t.list(&format!("/diff?from={before}&to={after}&by=person"));
    let columns = ["what", "holder", "pool_key", "held_before", "held_after"];
    let expected = [
        "person user:user_0 null 2 0",
        "seat user:user_0 declared:viewer null null",
        "seat user:user_0 declared:editor null null",
        "person user:user_1 null 1 1",
        "seat user:user_1 declared:editor null null",
        "person user:user_3 null 0 1",
        "seat user:user_3 declared:editor null null",
    ];
    let mut found = said(&people, &columns);
    found.sort_by_key(|row| row.split(' ').nth(1).map(str::to_owned));
    let mut sorted = expected.map(str::to_owned).to_vec();
    sorted[1..3].sort();
    found[1..3].sort();
    assert_eq!(found, sorted);
    let of_ada = t.list(&format!("/diff?from={before}&to={after}&by=person&user=user_0&pool=declared:viewer"));
    assert_eq!(said(&of_ada, &["what", "held_before"]), ["person 1", "seat null"]);
    assert_eq!(t.list(&format!("/diff?from={after}&to={after}")).len(), 0, "a point is the same as itself");

    let records = csv(t.get(&format!("/diff?from={before}&to={after}&format=csv")));
    assert_eq!(records.len(), rows.len() + 1);
    // one row a page makes the same list
    let (mut paged, mut cursor): (Vec<Value>, Option<String>) = (Vec::new(), None);
    loop {
        let more = cursor.map(|cursor| format!("&cursor={}", crate::harness::encode(&cursor))).unwrap_or_default();
        let page = t.get(&format!("/diff?from={before}&to={after}&limit=1{more}")).ok();
        assert_eq!(page["position"], after);
        paged.extend(page["items"].as_array().expect("rows").clone());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, rows);
    let url = service.root().url("");
    let run = |args: &[&str]| asked(&url, &[&["diff", "--tenant", t.name.as_str()], args].concat());
    let (from, to) = (before.to_string(), after.to_string());
    let (code, json, _) = run(&["--at", &from, "--at", &to]);
    let body: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &body["items"], &body["position"]), (Some(0), &json!(rows), &json!(after)));
    let (code, text, _) = run(&["--at", &from, "--at", &to, "--by", "person", "--format", "csv"]);
    assert_eq!((code, text.lines().count()), (Some(0), people.len() + 1));
    assert_eq!(run(&["--at", &from]).0, Some(2));
    assert!(run(&["--at", &to, "--at", &from]).2.contains("range-reversed"));
}

#[test]
fn a_diff_that_is_asked_wrongly_is_refused_by_its_name() {
    let service = Service::start();
    let t = office(&service);
    let parameter = |path: &str| t.get(&format!("/diff?{path}")).problem("invalid-query")["parameter"].clone();
    for (query, name) in [
        ("to=3", "from"),
        ("from=3", "to"),
        ("", "from"),
        ("from=1&to=2&by=moon", "by"),
        ("from=1&to=2&user=user_0", "user"),
        ("from=1&to=2&as_of=2", "as_of"),
        ("from=1&to=later", "to"),
    ] {
        assert_eq!(parameter(query), name, "{query}");
    }
    t.get("/diff?from=2&to=1").problem("range-reversed");
    t.get("/diff?from=2&to=999999").problem("position-not-reached");
    t.get("/diff?from=1970-01-01T00:00:00Z&to=3").problem("before-history");
    t.get("/diff?from=1&to=2&pool=declared:nothing").problem("pool-not-found");
    t.get("/diff?from=1&to=2&by=person&user=nobody").problem("user-not-found");
}

#[test]
fn whether_the_cap_held_is_told_with_every_time_that_it_did_not() {
    let service = Service::start();
    let t = office(&service);
    t.inventory(false, &[json!({"sku": "editor", "owned": 2})]).ok();
    service.advance_days(1);
    t.departs("bob", json!({"cause": "deactivated"})).ok();
    let rows = report(&t, "cap?pool=declared:editor");
    let columns = ["what", "held_max", "owned_min", "refusals", "began_by", "seconds", "over_by_max"];
    assert_eq!(said(&rows, &columns), ["pool 3 2 1 null null null", "over null null null capacity_changed 86400 1"]);
    let (began, ended) = (rows[1]["evidence"][0].clone(), rows[1]["evidence"][1].clone());
    let kinds = [began, ended].map(|at| t.get(&format!("/events/{at}")).ok()["type"].clone());
    assert_eq!(kinds, ["capacity_changed", "seat_released"]);
    assert!(rows[1]["cause"].is_string());
    let early = report(&t, &format!("cap?to={}", rows[1]["evidence"][0].as_u64().expect("a position") - 1));
    assert_eq!(said(&early, &["what", "pool_key", "owned_min"]), ["pool declared:editor 3", "pool declared:viewer 5"]);
}

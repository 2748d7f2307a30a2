//! Ways around the cap, and commands that should have been refused, or understood.

use crate::harness::Tenant;
use serde_json::{Value, json};

/// 1, snipe-it#3765: two browsers check out the last seat; the second overwrites the first holder.
#[test]
fn of_many_who_race_for_the_last_seat_one_gets_it() {
    let t = Tenant::shared();
    t.owns("office", 1);
    let names: Vec<String> = (0..16).map(|number| format!("racer-{number}")).collect();
    for name in &names {
        t.user(name);
    }
    let racers = names.iter().cloned().map(|name| {
        let t = t.clone();
        std::thread::spawn(move || t.assign_to_user("office", &name, "required"))
    });
    let answers: Vec<_> = racers.collect::<Vec<_>>().into_iter().map(|racer| racer.join().unwrap()).collect();
    let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(won.len(), 1);
    for answer in lost {
        answer.problem("not-enough-seats");
    }
    assert_eq!(t.figures("office"), "owned 1: reserved 1, free 0");
    assert_eq!(t.list("/pools/declared:office/seats").len(), 1);
}

/// 2, snipe-it#19037: the accessory API skips the quantity check.
#[test]
fn no_route_hands_out_a_seat_that_is_not_there() {
    let t = Tenant::shared();
    t.owns("office", 1);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
    }
    t.device("laptop");
    t.group("sales", "users", &["ada"]);
    t.group("machines", "devices", &["laptop"]);
    // Bob may have a seat, if there is one
    t.group("guests", "users", &["bob"]);
    t.assign_to_group("office", "guests", "available").created();
    t.assign_to_group("office", "sales", "required").created();
    let full = "owned 1: reserved 1, free 0";
    t.assign_to_user("office", "bob", "required").problem("not-enough-seats");
    t.assign_to_user("office", "cy", "available").problem("not-enough-seats");
    t.assign("office", json!({"device": "laptop"}), "required", json!({})).problem("not-enough-seats");
    t.assign_to_group("office", "machines", "required").problem("not-enough-seats");
    t.install("office", "laptop", "bob").problem("no-seat-available");
    t.post("/pools/declared:office/seats/user:bob@example.org/grant", json!({})).problem("no-seat-available");
    let bulk = json!([{"type": "assign", "pool": "declared:office", "target": {"user": "bob@example.org"}, "intent": "required"},
        {"type": "grant", "pool": "declared:office", "holder": "user:bob@example.org"}]);
    let answer = t.post("/commands", bulk).ok();
    let results = answer["results"].as_array().unwrap();
    let why: Vec<&str> = results.iter().map(|one| one["problem"]["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(why, ["/problems/not-enough-seats", "/problems/no-seat-available"], "{answer}");
    assert_eq!(t.figures("office"), full);
    // a report is a fact: it is taken down, and takes no seat
    let found = json!({"pool": "declared:office", "device": "laptop", "user": "bob@example.org", "report": true});
    assert_eq!(t.post("/installs", found).created()["licensed"], false);
    assert_eq!(t.figures("office"), format!("{full}, unlicensed 1"));
    // so is a change of membership: who finds no seat waits
    t.group("sales", "users", &["ada", "cy"]);
    assert_eq!(t.figures("office"), format!("{full}, queued 1, unlicensed 1"));
    let filled = t.assign("office", json!({"user": "bob@example.org"}), "required", json!({"mode": "fill"})).created();
    assert_eq!((&filled["reserved"], &filled["queued"]), (&json!(0), &json!(1)));
    assert_eq!(t.figures("office"), format!("{full}, queued 2, unlicensed 1"));
}

/// 7, snipe-it#11827: seats are taken away while the form is open, and checking out gives an exception.
#[test]
fn a_command_on_figures_of_yesterday_is_refused_with_those_of_today() {
    let t = Tenant::shared();
    t.owns("office", 5);
    for name in ["ada", "bob"] {
        t.user(name);
    }
    t.group("sales", "users", &["ada", "bob"]);
    assert_eq!(t.pool("office")["free"], 5);
    t.owns("office", 1);
    let refused = t.assign_to_group("office", "sales", "required").problem("not-enough-seats");
    assert_eq!((&refused["owned"], &refused["free"], &refused["short_by"]), (&json!(1), &json!(1), &json!(1)));
}

/// 9, snipe-it#7932: an import of many holders gives one license per row, or no holders.
#[test]
fn an_import_of_many_holders_fills_one_pool() {
    let t = Tenant::shared();
    t.owns("office", 60);
    let rows = (0..50).flat_map(|number| {
        let name = format!("person-{number}@example.org");
        [
            json!({"type": "put_user", "user": name, "user_name": name}),
            json!({"type": "assign", "pool": "declared:office", "target": {"user": name}, "intent": "required"}),
        ]
    });
    let answer = t.post("/commands", rows.collect()).ok();
    assert!(answer["results"].as_array().unwrap().iter().all(|one| one["status"] == "done"), "{answer}");
    assert_eq!(t.list("/pools").len(), 1);
    assert_eq!(t.figures("office"), "owned 60: reserved 50, free 10");
    let mut holders: Vec<Value> =
        t.list("/pools/declared:office/seats").iter().map(|seat| seat["holder"].clone()).collect();
    holders.sort_by_key(ToString::to_string);
    holders.dedup();
    assert_eq!(holders.len(), 50);
}

/// 10, snipe-it#19644: no summary of what an import took, changed and left out.
#[test]
fn an_import_says_of_each_row_what_became_of_it() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.user("bob");
    let assign = |id: &str, name: &str| json!({"id": id, "type": "assign", "pool": "declared:office", "target": {"user": name}, "intent": "required"});
    let answer = t
        .post(
            "/commands",
            json!([
                assign("row-1", "ada@example.org"),
                assign("row-2", "ada@example.org"),
                assign("row-3", "bob@example.org"),
                assign("row-4", "nobody")
            ]),
        )
        .ok();
    let rows: Vec<String> = answer["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            format!(
                "{} {} {}",
                row["id"].as_str().unwrap(),
                row["status"].as_str().unwrap(),
                row["problem"]["type"].as_str().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            "row-1 done -",
            "row-2 unchanged -",
            "row-3 refused /problems/not-enough-seats",
            "row-4 refused /problems/user-not-found"
        ]
    );
}

/// 17, snipe-it#11846: 72 seats must be taken one by one for one host.
#[test]
fn one_assignment_takes_72_seats() {
    let t = Tenant::shared();
    t.owns("cores", 72);
    let machines: Vec<String> = (0..72).map(|number| format!("vm-{number}")).collect();
    let rows = machines.iter().map(|serial| json!({"type": "put_device", "device": serial, "serial": serial, "platform": "windows", "join": "domain", "enrolled": true, "os_build": 19045}));
    t.post("/commands", rows.collect()).ok();
    let machines: Vec<&str> = machines.iter().map(String::as_str).collect();
    t.group("cluster", "devices", &machines);
    assert_eq!(t.assign_to_group("cores", "cluster", "required").created()["reserved"], 72);
    assert_eq!(t.figures("cores"), "owned 72: reserved 72, free 0");
}

/// 18, glpi#22231: "over-quota: no" is bypassed by starting from the user's page.
#[test]
fn both_doors_to_a_seat_are_shut_when_none_is_free() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.user("bob");
    t.assign_to_user("office", "ada", "required").created();
    t.assign_to_user("office", "bob", "required").problem("not-enough-seats");
    // Bob is made a candidate, and the pool's own door is tried
    t.assign("office", json!({"user": "bob@example.org"}), "required", json!({"mode": "fill"})).created();
    let granted = t.post("/pools/declared:office/seats/user:bob@example.org/grant", json!({}));
    assert!(granted.status == 409 || granted.body["reserved"] == 0, "{}", granted.text);
    assert_eq!(t.figures("office"), "owned 1: reserved 1, free 0, queued 1");
}

/// 26, fleet#20449: the store accepts a holder who makes no sense, and says success.
#[test]
fn a_holder_nobody_knows_is_refused_by_name() {
    let t = Tenant::shared();
    t.owns("office", 5);
    t.user("ada");
    t.assign_to_user("office", "nobody", "required").problem("user-not-found");
    t.assign("office", json!({"device": "none"}), "required", json!({})).problem("device-not-found");
    t.assign_to_group("office", "none", "required").problem("group-not-found");
    let refused = t
        .put("/groups/sales", json!({"kind": "users", "members": ["ada@example.org", "ghost"]}))
        .problem("unknown-members");
    assert_eq!(refused["unknown"], json!(["ghost"]));
    t.get("/groups/sales").problem("group-not-found");
    assert_eq!(t.figures("office"), "owned 5: free 5");
}

/// 27, fleet#26345: no free seat blocks the set-up of a device for ever, with no message.
#[test]
fn an_install_without_a_seat_fails_at_once_and_says_why() {
    let t = Tenant::shared();
    t.owns("office", 1);
    for (name, device) in [("ada", "laptop"), ("bob", "tablet")] {
        t.user(name);
        t.device(device);
        t.assign_to_user("office", name, "available").created();
    }
    t.install("office", "laptop", "ada").created();
    let refused = t.install("office", "tablet", "bob").problem("no-seat-available");
    assert!(refused["detail"].as_str().unwrap().contains("no seat is free"), "{refused}");
    // and nothing is blocked: the next try succeeds as soon as there is a seat
    t.uninstall("office", "laptop", "ada").ok();
    t.install("office", "tablet", "bob").created();
}

/// 35, openedx/license-manager#653: a revocation fails when one mail address holds two licenses.
#[test]
fn who_holds_two_licenses_loses_the_one_that_is_named() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.owns("draw", 1);
    let mail = json!(["shared@example.org"]);
    for name in ["ada@example.org", "bob@example.org"] {
        t.put(&format!("/users/{name}"), json!({"user_name": name, "emails": mail})).created();
    }
    t.assign_to_user("office", "ada", "required").created();
    t.assign_to_user("draw", "ada", "required").created();
    t.post("/pools/declared:office/seats/user:ada@example.org/reclaim", json!({})).ok();
    assert_eq!(t.figures("office"), "owned 1: free 1");
    assert_eq!(t.figures("draw"), "owned 1: reserved 1, free 0");
    t.post("/pools/declared:draw/seats/user:bob@example.org/reclaim", json!({})).problem("seat-not-found");
}

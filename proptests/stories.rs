//! Why somebody has a seat or has none, and why a command was refused: asked over HTTP, answered in sentences and events.

use crate::harness::Tenant;
use serde_json::{Value, json};

fn types(story: &Value) -> Vec<&str> {
    let items = story["items"].as_array().expect("items");
    items.iter().map(|item| item["type"].as_str().expect("a type")).collect()
}

fn story(t: &Tenant, of: &str, query: &str) -> Value {
    t.get(&format!("/pools/declared:office/seats/user:{of}@example.org/explain{query}")).ok()
}

#[test]
fn the_story_of_a_seat_begins_with_the_group_and_ends_with_the_departure() {
    let t = Tenant::shared();
    t.owns("office", 1);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
    }
    t.device("laptop");
    t.group("sales", "users", &["ada", "bob"]);
    t.group("others", "users", &["ada"]);
    t.assign("office", json!({"group": "sales"}), "required", json!({"mode": "fill"})).created();
    let reserved = story(&t, "ada", "");
    assert_eq!((&reserved["standing"], &reserved["seat"]), (&json!("holds"), &json!("reserved")));
    t.install("office", "laptop", "ada").created();
    let waits = story(&t, "bob", "");
    assert_eq!((&waits["standing"], &waits["seat"]), (&json!("waits"), &Value::Null));
    assert_eq!(types(&waits), ["members_added", "assignment_made", "queued"]);
    assert!(waits["sentence"].as_str().expect("a sentence").contains("waits for a seat"));
    let never = story(&t, "cy", "");
    assert_eq!((&never["standing"], &never["since_position"]), (&json!("never"), &Value::Null));

    let before = t.head();
    t.post("/users/ada@example.org/departure", json!({"cause": "deactivated"})).ok();
    let gone = story(&t, "ada", "");
    assert_eq!(gone["standing"], "gave_back");
    assert_eq!(
        types(&gone),
        [
            "members_added",
            "assignment_made",
            "seat_granted",
            "seat_taken",
            "installed",
            "user_departed",
            "seat_released"
        ]
    );
    assert!(gone["items"].as_array().expect("items").iter().all(|item| item["sentence"].is_string()));
    assert_eq!(story(&t, "bob", "")["standing"], "holds", "the queue was served");
    // as it was told before
    let then = story(&t, "ada", &format!("?as_of={before}"));
    assert_eq!((&then["standing"], &then["seat"]), (&json!("holds"), &json!("in_use")));
    // page by page
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = story(&t, "ada", &format!("?limit=2{cursor}"));
        paged.extend(page["items"].as_array().expect("items").clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(Value::from(paged), gone["items"]);

    t.get("/pools/declared:office/seats/user:nobody/explain").problem("user-not-found");
    t.get("/pools/declared:none/seats/user:ada@example.org/explain").problem("pool-not-found");
    t.get("/pools/declared:office/seats/ada/explain").problem("meaningless-request");
}

#[test]
fn a_name_means_who_bore_it_at_the_moment_that_is_asked_for() {
    let t = Tenant::shared();
    t.owns("office", 3);
    let (ada, bob, laptop) = (t.user("ada"), t.user("bob"), t.device("laptop"));
    for name in ["ada", "bob"] {
        t.assign_to_user("office", name, "required").created();
        t.assign_to_user("office", name, "available").problem("assignment-exists");
    }
    t.install("office", "laptop", "ada").created();
    let then = t.head();
    let began = t.get("/events?user=ada@example.org&limit=1").ok();
    t.put(&format!("/users/{ada}"), json!({"user_name": "ada.old@example.org", "display_name": "ada"})).ok();
    t.device_with(&laptop, json!({"serial": "laptop.old"}));
    let (other_ada, other_laptop) = (t.user("ada"), t.device("laptop"));
    assert!(other_ada != ada && other_laptop != laptop, "{other_ada} {other_laptop}");
    t.departs("bob", json!({"cause": "deleted"})).ok();

    for (name, id) in [("ada", &ada), ("bob", &bob)] {
        let name_then = format!("{name}@example.org");
        assert_eq!(t.get(&format!("/users/{name_then}?as_of={then}")).ok()["id"], **id);
        let told = story(&t, name, &format!("?as_of={then}"));
        assert_eq!((&told["holder"], &told["standing"]), (&json!(format!("user:{id}")), &json!("holds")));
        for list in ["/events", "/refusals", "/reports/person"] {
            let [by_name, by_id] =
                [name_then.as_str(), id].map(|user| t.list(&format!("{list}?user={user}&as_of={then}")));
            assert!(!by_name.is_empty() && by_name == by_id, "{list} of {name}: {by_name:?}");
        }
    }
    let on = |device: &str| t.list(&format!("/events?device={device}&as_of={then}"));
    assert!(!on("laptop").is_empty() && on("laptop") == on(&laptop), "{:?}", on("laptop"));

    // now it is whoever bears it now, and nobody where nobody does
    assert_eq!(t.list("/events?user=ada@example.org"), t.list(&format!("/events?user={other_ada}")));
    assert_eq!(t.list("/events?device=laptop"), t.list(&format!("/events?device={other_laptop}")));
    for path in
        ["/events?user=bob@example.org", "/refusals?user=bob@example.org", "/reports/person?user=bob@example.org"]
    {
        t.get(path).problem("user-not-found");
    }
    t.get(&format!("/events?user=ada.old@example.org&as_of={then}")).problem("user-not-found");
    // a list goes on with the one that it began with
    let cursor = began["next_cursor"].as_str().expect("a second page");
    let rest = t.get(&format!("/events?user=ada@example.org&cursor={cursor}")).ok();
    let mut paged = began["items"].as_array().expect("items").clone();
    paged.extend(rest["items"].as_array().expect("items").clone());
    assert_eq!(paged, t.list(&format!("/events?user={ada}&as_of={then}")));
}

#[test]
fn a_refusal_names_the_event_that_took_the_last_seat() {
    let t = Tenant::shared();
    t.owns("office", 2);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
    }
    t.assign_to_user("office", "ada", "required").created();
    t.assign_to_user("office", "bob", "required").created();
    let taken_by = t.list("/events?pool=declared:office&type=seat_granted").pop().expect("a grant")["position"].clone();
    t.user("dan");
    t.assign_to_user("office", "cy", "required").problem("not-enough-seats");
    let refusal = t.list("/refusals").pop().expect("a refusal");
    assert_eq!(refusal["target"], json!({"user": t.get("/users/cy@example.org").ok()["id"]}));
    let refused_at = refusal["position"].as_u64().expect("a position");
    let why = t.get(&format!("/refusals/{refused_at}/explain")).ok();
    assert_eq!(why["last_seat"]["position"], taken_by);
    assert_eq!(why["last_seat"]["type"], "seat_granted");
    assert_eq!(why["refusal"]["reason"], "not-enough-seats");
    assert_eq!(
        (&why["figures"]["owned"], &why["figures"]["held"], &why["figures"]["free"]),
        (&json!(2), &json!(2), &json!(0))
    );
    assert!(why["fix"].as_str().is_some_and(|fix| !fix.is_empty()));
    assert_eq!(story(&t, "cy", "")["refused_at"], refused_at);

    // seats come later: the past stays explained as it was
    t.owns("office", 5);
    let again = t.get(&format!("/refusals/{refused_at}/explain")).ok();
    assert_eq!((&again["last_seat"], &again["figures"]), (&why["last_seat"], &why["figures"]));

    t.post("/users/cy@example.org/departure", json!({"cause": "deactivated"})).ok();
    t.assign_to_user("office", "cy", "required").problem("user-departed");
    let refused = t.list("/refusals").pop().expect("a refusal")["position"].as_u64().expect("a position");
    let why = t.get(&format!("/refusals/{refused}/explain")).ok();
    assert_eq!(why["because"]["type"], "user_departed");
    assert_eq!(why["last_seat"], Value::Null);

    // the assignment that is in the way, though another one of the pool is newer
    let made = t.assign_to_user("office", "dan", "required").created()["position"].clone();
    t.user("eve");
    t.assign_to_user("office", "eve", "required").created();
    t.assign_to_user("office", "dan", "available").problem("assignment-exists");
    let in_the_way = t.list("/refusals").pop().expect("a refusal")["position"].as_u64().expect("a position");
    let because = t.get(&format!("/refusals/{in_the_way}/explain")).ok()["because"].clone();
    assert_eq!(because["type"], "assignment_made");
    assert!(because["position"].as_u64() <= made.as_u64(), "{because}");
    assert_eq!(because["data"]["target"], json!({"user": t.get("/users/dan@example.org").ok()["id"]}));

    t.get("/refusals/0/explain").problem("not-a-refusal");
    t.get("/refusals/100000/explain").problem("position-not-reached");
    t.get("/refusals/none/explain").problem("unreadable-request");
    t.get(&format!("/refusals/{refused}/explain?as_of={refused_at}")).problem("position-not-reached");
}

#[test]
fn a_batch_is_explained_by_nothing_that_was_over_before_it() {
    let t = Tenant::shared();
    t.owns("office", 5);
    t.user("ada");
    t.user("bob");
    let assign = |id: &str, name: &str, intent: &str| {
        json!({"id": id, "type": "assign", "pool": "declared:office", "target": {"user": format!("{name}@example.org")},
            "intent": intent})
    };
    let refused = |commands: Value| {
        t.post("/commands?atomic=true", commands).ok();
        let refused = t.list("/refusals").pop().expect("a refusal");
        let why = t.get(&format!("/refusals/{}/explain", refused["position"])).ok();
        (refused["reason"].as_str().expect("a reason").to_owned(), why["because"]["type"].clone())
    };
    let (departed, exists) = ("user-departed".to_owned(), "assignment-exists".to_owned());
    let depart = json!({"type": "depart", "user": "bob@example.org", "cause": "deactivated"});
    t.departs("bob", json!({"cause": "deactivated"})).ok();
    assert_eq!(refused(json!([assign("b1", "bob", "required")])), (departed.clone(), json!("user_departed")));
    t.post("/users/bob@example.org/return", json!({})).ok();
    assert_eq!(refused(json!([depart, assign("b2", "bob", "required")])), (departed, Value::Null));

    let made = t.assign_to_user("office", "ada", "required").created();
    assert_eq!(refused(json!([assign("b3", "ada", "available")])), (exists.clone(), json!("assignment_made")));
    t.delete(&format!("/assignments/{}", made["assignment"].as_str().expect("an id"))).ok();
    let both = json!([assign("b4", "ada", "required"), assign("b5", "ada", "available")]);
    assert_eq!(refused(both), (exists, Value::Null));
}

#[test]
fn what_is_refused_for_a_group_is_explained_by_the_assignment_in_force_whatever_it_excludes() {
    let t = Tenant::shared();
    t.owns("office", 5);
    t.group("sales", "users", &[]);
    t.group("interns", "users", &[]);
    let old = t.assign_to_group("office", "sales", "required").created();
    t.delete(&format!("/assignments/{}", old["assignment"].as_str().expect("an id"))).ok();
    let but_for = json!({"group": "sales", "exclude": "interns"});
    let made = t.assign("office", but_for, "required", json!({})).created();
    t.assign_to_group("office", "sales", "available").problem("assignment-exists");
    let refused = t.list("/refusals").pop().expect("a refusal");
    let why = t.get(&format!("/refusals/{}/explain", refused["position"])).ok();
    assert_eq!(why["because"]["data"]["assignment"], made["assignment"], "{why}");
}

#[test]
fn whom_an_assignment_leaves_out_is_told_why_also_who_joins_later() {
    let t = Tenant::shared();
    let draw = |owned: u64| json!({"sku": "draw", "owned": owned, "requires_windows_1511": true});
    t.inventory(false, &[draw(5)]).ok();
    t.owns("office", 5);
    let none = json!({"join": "none", "os_build": 9600});
    t.device_with("old", none.clone());
    t.device_with("older", none);
    t.device("new");
    t.group("fleet", "devices", &["old", "new"]);
    t.assign_to_group("draw", "fleet", "required").created();
    let of = |device: &str| t.get(&format!("/pools/declared:draw/seats/device:{device}/explain")).ok();
    let left_out = of("old");
    assert_eq!(left_out["standing"], "never");
    assert_eq!(types(&left_out), ["members_added", "assignment_made", "members_skipped"]);
    let put = t.group("fleet", "devices", &["old", "new", "older"]);
    assert_eq!(put["skipped"], json!([{"holder": "device:device_1", "reason": "device_not_eligible"}]), "{put}");
    assert_eq!(types(&of("older")), ["assignment_made", "members_added", "members_skipped"]);
    assert_eq!(types(&of("old")), types(&left_out));
    let head = t.head();
    t.group("fleet", "devices", &["old", "new", "older"]);
    assert_eq!(t.head(), head, "who is there already is listed once");

    // what is about a pool through an assignment or a drift is found with the pool
    t.inventory(false, &[draw(4)]).ok();
    t.refund("draw", json!({"explains": "drift_0"})).created();
    for order in ["oldest", "newest"] {
        let of_pool = |pool: &str| t.list(&format!("/events?pool=declared:{pool}&order={order}"));
        let count = |pool: &str, kind: &str| of_pool(pool).iter().filter(|event| event["type"] == kind).count();
        assert_eq!((count("draw", "members_skipped"), count("draw", "drift_resolved")), (2, 1));
        assert_eq!((count("office", "members_skipped"), count("office", "drift_resolved")), (0, 0));
    }
    assert_eq!(t.list("/events?pool=declared:draw&type=members_skipped&device=older").len(), 1);
}

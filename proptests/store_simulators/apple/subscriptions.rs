//! Subscriptions: declared, bought, listed by cursor, given to users for a while, and what the end of a period does.

use super::notices::with_notices;
use super::{Apple, UID, refused};
use serde_json::{Value, json};

const DAY: u64 = 86_400;
const PARENT: u64 = 54321;

fn change(apple: &Apple, adam_id: u64, change: Value) {
    apple.order(json!({ "order": "subscription", "uid": UID, "adam_id": adam_id, "change": change }));
}

fn buys(apple: &Apple, adam_id: u64, renewing: u32, expiring: u32) {
    let bought = json!({ "parent_adam_id": PARENT, "renewing": renewing, "expiring": expiring });
    change(apple, adam_id, json!({ "buy": bought }));
}

/// With three users who have accepted, and one who has not.
fn subscribed(apple: &Apple, renewing: u32, expiring: u32) {
    let users: Vec<_> = ["ada", "bob", "cyd"]
        .iter()
        .map(|id| json!({ "clientUserId": id, "managedAppleId": format!("{id}@a.example") }))
        .collect();
    assert_eq!(apple.event("/users/create", json!({ "users": users }))["eventStatus"], "COMPLETE");
    apple.users(&["invited"]);
    assert_eq!(apple.post_nothing("/subscriptions/enable").body["subscriptionManagement"], "ENABLED");
    buys(apple, 7, renewing, expiring);
}

fn associate(apple: &Apple, users: &[&str], renewing: bool) -> Value {
    let body = json!({ "adamIds": [7], "clientUserIds": users, "renewing": renewing });
    apple.event("/subscriptions/associate", body)
}

/// Assigned, available and total, renewing before expiring; status, and the last day.
fn figures(apple: &Apple) -> (String, Value, Value) {
    let said = apple.api.get("/subscriptions?adamId=7").body["subscriptions"][0].clone();
    assert_eq!((&said["adamId"], &said["parentAdamId"]), (&json!(7), &json!(PARENT)));
    let both = |name: &str| format!("{}+{}", said["counts"][name]["renewing"], said["counts"][name]["expiring"]);
    let text = ["assigned", "available", "total"].map(both).join(" ");
    (text, said["status"].clone(), said["periodEndDate"].clone())
}

fn assigned(apple: &Apple) -> Vec<String> {
    let said = apple.api.get("/subscriptions/assignments").body;
    let list = said["assignments"].as_array().expect("a list").iter();
    list.map(|it| format!("{} {}", it["clientUserId"], it["renewing"]).replace('"', "")).collect()
}

#[test]
fn only_a_tool_that_says_so_has_subscriptions_bought_for_it() {
    let apple = Apple::start();
    let order = json!({ "order": "subscription", "uid": UID, "adam_id": 7,
        "change": { "buy": { "parent_adam_id": PARENT, "renewing": 1 } } });
    let order = || serde_json::from_value(order.clone()).expect("an order");
    assert!(apple.simulator.place(order()).is_err());
    assert_eq!(apple.post_nothing("/subscriptions/disable").body["subscriptionManagement"], "DISABLED");
    assert!(apple.simulator.place(order()).is_err());
    for _ in 0..2 {
        let said = apple.post_nothing("/subscriptions/enable");
        assert_eq!((said.status, &said.body["uId"]), (200, &json!(UID)));
    }
    assert!(apple.simulator.place(order()).is_ok());
    assert_eq!(refused(&apple.post_nothing("/subscriptions/disable")), (400, 9818));
    assert_eq!(refused(&apple.post("/subscriptions/enable", json!({ "any": 1 }))), (400, 9602));
    assert_eq!(refused(&apple.api.get("/subscriptions/enable")), (405, 9726));
}

#[test]
fn lists_go_by_cursors_of_their_own() {
    let apple = Apple::start();
    subscribed(&apple, 5, 0);
    for adam_id in [8, 9, 1000] {
        buys(&apple, adam_id, 1, 0);
    }
    apple.order(json!({ "order": "page_size", "size": 3 }));
    let first = apple.api.get("/subscriptions").body;
    let ids = |page: &Value| -> Vec<u64> {
        page["subscriptions"].as_array().expect("a list").iter().filter_map(|it| it["adamId"].as_u64()).collect()
    };
    assert_eq!(ids(&first), [7, 8, 9]);
    let cursor = first["nextCursor"].as_str().expect("more").to_owned();
    let last = apple.api.get(&format!("/subscriptions?cursor={cursor}")).body;
    assert_eq!((ids(&last), last.get("nextCursor")), (vec![1000], None));
    // one of another list, of another query, and none at all
    for wrong in
        ["/subscriptions/assignments?cursor=", "/subscriptions/admins?cursor=", "/subscriptions?adamId=7&cursor="]
    {
        assert_eq!(refused(&apple.api.get(&format!("{wrong}{cursor}"))), (400, 9812), "{wrong}");
    }
    assert_eq!(refused(&apple.api.get("/subscriptions?cursor=nonsense")), (400, 9812));
    assert_eq!(refused(&apple.api.get("/subscriptions?adamId=seven")), (400, 9813));
    assert_eq!(refused(&apple.api.get("/subscriptions?pageIndex=0")), (400, 9602));
    assert_eq!(ids(&apple.api.get("/subscriptions?parentAdamId=1").body), Vec::<u64>::new());
    // whoever goes between two pages moves nothing else
    associate(&apple, &["ada", "bob", "cyd"], true);
    apple.order(json!({ "order": "page_size", "size": 2 }));
    let first = apple.api.get("/subscriptions/assignments?adamId=7").body;
    let cursor = first["nextCursor"].as_str().expect("more").to_owned();
    apple.event("/subscriptions/disassociate", json!({ "adamIds": [7], "clientUserIds": ["ada"] }));
    let last = apple.api.get(&format!("/subscriptions/assignments?adamId=7&cursor={cursor}")).body;
    assert_eq!(last["assignments"], json!([{ "adamId": 7, "clientUserId": "cyd", "renewing": true }]));
    // administrators
    for who in ["ada", "invited"] {
        change(&apple, 7, json!({ "administer": { "client_user_id": who, "is_admin": true } }));
    }
    let admins = apple.api.get("/subscriptions/admins?adamId=7").body["admins"].clone();
    assert_eq!(admins, json!([{ "adamId": 7, "clientUserId": "ada" }, { "adamId": 7, "clientUserId": "invited" }]));
    let with_state = apple.api.get("/subscriptions/admins?clientUserId=ada&includeUserState=true").body;
    assert_eq!(with_state["admins"][0]["userStatus"], "Associated");
    assert!(with_state["admins"][0]["idHash"].is_string());
}

#[test]
fn an_association_fails_for_each_user_by_a_number_of_its_own() {
    let apple = Apple::start();
    subscribed(&apple, 1, 1);
    change(&apple, 7, json!({ "give_by_group": { "client_user_id": "cyd", "is_member": true } }));
    let status = associate(&apple, &["ada", "nobody", "invited", "cyd", "bob"], true);
    assert_eq!((&status["eventStatus"], &status["eventType"]), (&json!("FAILED"), &json!("ASSOCIATE")));
    assert_eq!((&status["numRequested"], &status["numCompleted"]), (&json!(5), &json!(2)));
    let failures: Vec<_> = status["failures"]
        .as_array()
        .expect("failures")
        .iter()
        .map(|it| (it["errorNumber"].clone(), it["errorInfo"].clone()))
        .collect();
    let of = |number: u64, who: &str| (json!(number), json!({ "adamIds": [7], "clientUserIds": [who] }));
    assert_eq!(failures, [of(9609, "nobody"), of(9814, "invited"), of(9817, "cyd")]);
    assert_eq!(figures(&apple), ("2+0 0+0 1+1".into(), json!("ACTIVE"), json!("2026-10-21")));
    change(&apple, 7, json!({ "give_by_group": { "client_user_id": "cyd", "is_member": false } }));
    assert_eq!(associate(&apple, &["cyd"], true)["failures"][0]["errorNumber"], 9816);
    let back =
        |user: &str| apple.event("/subscriptions/disassociate", json!({ "adamIds": [7], "clientUserIds": [user] }));
    assert_eq!(back("cyd")["failures"][0]["errorNumber"], 9815);
    assert_eq!(back("ada")["eventStatus"], "COMPLETE");
    change(&apple, 7, json!({ "pause": { "is_paused": true } }));
    assert_eq!(associate(&apple, &["cyd"], true)["failures"][0]["errorNumber"], 9811);
    assert_eq!(figures(&apple).1, "PAUSED");
}

#[test]
fn what_is_wrong_with_a_whole_call_is_said_at_once() {
    let apple = Apple::start();
    subscribed(&apple, 1, 0);
    let many: Vec<u64> = (0..26).collect();
    let table = [
        (json!({ "clientUserIds": ["ada"] }), 9718),
        (json!({ "adamIds": [7] }), 9719),
        (json!({ "adamIds": many, "clientUserIds": ["ada"] }), 9700),
        (json!({ "adamIds": [7], "clientUserIds": (0..1001).map(|n| n.to_string()).collect::<Vec<_>>() }), 9701),
        (json!({ "adamIds": [7, 7], "clientUserIds": ["ada"] }), 9703),
        (json!({ "adamIds": [7], "clientUserIds": ["ada", "ada"] }), 9704),
        (json!({ "adamIds": [99], "clientUserIds": ["ada"] }), 9813),
        (json!({ "adamIds": ["7"], "clientUserIds": ["ada"] }), 9602),
        (json!({ "adamIds": [7], "clientUserIds": [""] }), 9602),
        (json!({ "adamIds": [7], "serialNumbers": ["MAC"] }), 9602),
    ];
    for (body, number) in table {
        for path in ["/subscriptions/associate", "/subscriptions/disassociate"] {
            assert_eq!(refused(&apple.post(path, body.clone())), (400, number), "{path} {body}");
        }
    }
    // each word belongs to one of the two
    let both = json!({ "adamIds": [7], "clientUserIds": ["ada"], "renewing": true, "deferred": true });
    assert_eq!(refused(&apple.post("/subscriptions/associate", both.clone())), (400, 9602));
    assert_eq!(refused(&apple.post("/subscriptions/disassociate", both)), (400, 9602));
    assert_eq!(assigned(&apple), Vec::<String>::new(), "a call that is turned back has queued nothing");
}

#[test]
fn what_is_deferred_ends_with_the_period_and_is_told_of_then() {
    let (apple, ear) = with_notices();
    subscribed(&apple, 3, 0);
    assert_eq!(ear.configure(&apple, &["SUBSCRIPTION_COUNT", "SUBSCRIPTION_MANAGEMENT"]).status, 200);
    associate(&apple, &["ada", "bob"], true);
    let given = ear.heard(2).pop().expect("the test is the first");
    assert_eq!(
        (&given["notificationType"], &given["notification"]["type"]),
        (&json!("SUBSCRIPTION_MANAGEMENT"), &json!("ASSOCIATE"))
    );
    let put_off = json!({ "adamIds": [7], "clientUserIds": ["ada", "cyd"], "deferred": true });
    let answer = apple.post("/subscriptions/disassociate", put_off).body;
    let event = answer["eventId"].as_str().expect("an event").to_owned();
    let status = || apple.api.get(&format!("/status?eventId={event}")).body["eventStatus"].clone();
    assert_eq!(status(), "PENDING");
    apple.order(json!({ "order": "finish_events" }));
    assert_eq!(status(), "PENDING", "nobody can hurry the end of a period");
    assert_eq!(assigned(&apple), ["ada false", "bob true"]);
    // that cyd has none is told at once
    let failed = ear.heard(3).pop().expect("a failure");
    assert_eq!(
        (&failed["notification"]["result"], &failed["notification"]["error"]["errorNumber"]),
        (&json!("FAILURE"), &json!(9815))
    );
    change(&apple, 7, json!({ "let_expire": { "quantity": 2 } }));
    let count = ear.heard(4).pop().expect("a count");
    let counts = json!({ "available": { "renewing": 0, "expiring": 1 }, "total": { "renewing": 1, "expiring": 2 } });
    assert_eq!(count["notification"], json!({ "parentAdamId": PARENT, "adamId": 7, "counts": counts }));
    apple.simulator.clock().advance(std::time::Duration::from_secs(29 * DAY));
    assert_eq!((status(), assigned(&apple).len()), (json!("PENDING"), 2));
    apple.simulator.clock().advance(std::time::Duration::from_secs(2 * DAY));
    assert_eq!((status(), assigned(&apple)), (json!("FAILED"), vec!["bob true".to_owned()]));
    assert_eq!(figures(&apple), ("1+0 0+0 1+0".into(), json!("ACTIVE"), json!("2026-11-20")));
    let told: Vec<_> = ear.heard(6).split_off(4).into_iter().map(|it| it["notification"].clone()).collect();
    let ended = told.iter().find(|it| it["eventId"] == *event).expect("it is told");
    assert_eq!((&ended["type"], &ended["result"]), (&json!("DISASSOCIATE"), &json!("SUCCESS")));
    assert_eq!(ended["assignments"], json!([{ "adamId": 7, "clientUserId": "ada", "renewing": false }]));
    // with the last license goes the period, and the entry stays
    change(&apple, 7, json!({ "let_expire": { "quantity": 1 } }));
    apple.simulator.clock().advance(std::time::Duration::from_secs(30 * DAY));
    assert_eq!(figures(&apple), ("0+0 0+0 0+0".into(), json!("INACTIVE"), Value::Null));
    assert_eq!(assigned(&apple), Vec::<String>::new());
}

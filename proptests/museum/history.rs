//! What could not be said afterwards: who held what, since when, who was refused, and why a count is what it is.

use crate::harness::Tenant;
use serde_json::{Value, json};

/// 3, snipe-it#9223: deleting a user returns the seats and leaves no rows in the history.
#[test]
fn a_departure_leaves_one_event_per_seat() {
    let t = Tenant::shared();
    let skus = ["office", "draw", "writer"];
    t.user("ada");
    for sku in skus {
        t.owns(sku, 2);
        t.assign_to_user(sku, "ada", "required").created();
    }
    t.departs("ada", json!({"cause": "deleted", "reason": "left the company"})).ok();
    let released = t.list("/events?type=seat_released");
    assert_eq!(released.len(), 3);
    for event in &released {
        assert_eq!((&event["data"]["cause"], &event["data"]["holder"]), (&json!("departed"), &json!("user:user_0")));
        assert_eq!((&event["reason"], &event["actor"]), (&json!("left the company"), &json!("root")));
    }
}

/// 14, snipe-it#7846: who has which license, since when, at what cost?
#[test]
fn who_has_what_since_when_and_at_what_cost_is_one_read() {
    let t = Tenant::shared();
    t.inventory(true, &[json!({"sku": "office", "owned": 2, "price": {"currency": "EUR", "minor_units": 12_900}})])
        .ok();
    t.user("ada");
    let granted = t.assign_to_user("office", "ada", "required").created();
    let seats = t.list("/users/ada@example.org/seats");
    assert_eq!(seats.len(), 1);
    assert_eq!((&seats[0]["pool_key"], &seats[0]["state"]), (&json!("declared:office"), &json!("reserved")));
    assert!(seats[0]["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(seats[0]["since_position"], granted["position"]);
    assert_eq!(seats[0]["assignments"], json!([granted["assignment"]]));
    assert_eq!(t.pool("office")["price"], json!({"currency": "EUR", "minor_units": 12_900}));
}

/// 15, snipe-it#19212: a snapshot of the holders, a decision for each, and the decisions carried out.
#[test]
fn holders_are_frozen_for_a_review_and_decided_one_by_one() {
    let t = Tenant::shared();
    t.owns("office", 3);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
        t.assign_to_user("office", name, "required").created();
    }
    let frozen = t.head();
    t.departs("cy", json!({"cause": "deactivated"})).ok();
    let holders: Vec<Value> = t
        .list(&format!("/pools/declared:office/seats?as_of={frozen}"))
        .iter()
        .map(|seat| seat["holder"].clone())
        .collect();
    assert_eq!(holders, ["user:user_0", "user:user_1", "user:user_2"]);
    let decisions = json!([{"id": "review-1", "type": "reclaim", "pool": "declared:office", "holder": "user:user_1", "reason": "not used"},
        {"id": "review-2", "type": "reclaim", "pool": "declared:office", "holder": "user:user_2", "reason": "not used"}]);
    let done = t.post("/commands", decisions).ok();
    assert_eq!(
        (&done["results"][0]["status"], &done["results"][1]["problem"]["type"]),
        (&json!("done"), &json!("/problems/seat-not-found"))
    );
    let events = t.list("/events?command=review-1");
    assert!(events.iter().any(|event| event["type"] == "seat_released" && event["reason"] == "not used"), "{events:?}");
    assert_eq!(t.figures("office"), "owned 3: reserved 1, free 2");
}

/// 16, snipe-it#18146: the whole history of each change; archive, never delete.
#[test]
fn what_is_deleted_stays_in_the_history() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.user("ada");
    t.group("sales", "users", &["ada"]);
    t.assign_to_group("office", "sales", "required").created();
    let then = t.head();
    t.delete("/groups/sales").ok();
    t.departs("ada", json!({"cause": "deleted"})).ok();
    t.refund("office", json!({"quantity": 2})).created();
    assert_eq!(t.get(&format!("/pools/declared:office?as_of={then}")).ok()["held"], 1);
    assert_eq!(t.get(&format!("/groups/sales?as_of={then}")).ok()["members"], json!(["user:user_0"]));
    let kinds: Vec<Value> = t.list("/events?pool=declared:office").iter().map(|event| event["type"].clone()).collect();
    for kind in ["pool_listed", "assignment_made", "seat_granted", "seat_released", "refund_recorded", "pool_delisted"]
    {
        assert!(kinds.contains(&json!(kind)), "{kind} in {kinds:?}");
    }
    assert_eq!(t.list("/events?type=assignment_ended").len(), 1);
}

/// 37, keygen-api#244: no event when the limit is hit.
#[test]
fn a_refusal_is_an_event_with_who_what_and_why() {
    let t = Tenant::shared();
    t.owns("office", 0);
    t.user("ada");
    let operator = t.as_role("operator");
    operator.assign_to_user("office", "ada", "required").problem("not-enough-seats");
    let refused = t.list("/events?type=command_refused");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["actor"], "token_0");
    let text = refused[0]["data"].to_string();
    assert!(text.contains("not_enough_seats") || text.contains("not-enough-seats"), "{text}");
    assert_eq!(t.pool("office")["refused"], 1);
    let listed = t.list("/refusals");
    assert_eq!(listed.len(), 1, "{listed:?}");
}

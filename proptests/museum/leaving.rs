//! Seats that stuck to people and devices who had gone, or went without anybody's word.

use crate::harness::{Service, Tenant};
use serde_json::{Value, json};

/// 4, snipe-it#445: a deleted license is still held by a user, and neither can be deleted.
#[test]
fn what_is_held_can_be_taken_back_and_then_given_up() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.assign_to_user("office", "ada", "required").created();
    // the license can't go while it is held
    t.refund("office", json!({})).problem("refund-exceeds-free-seats");
    t.departs("ada", json!({"cause": "deleted"})).ok();
    t.refund("office", json!({})).created();
    assert_eq!(t.pool("office")["state"], "removed");
    assert_eq!(t.list("/pools/declared:office/seats").len(), 0);
}

/// 8, snipe-it#6529: the seat sticks to the old user when the device moves or comes back.
#[test]
fn a_device_that_changes_hands_leaves_no_seat_behind() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.user("bob");
    t.device_with("laptop", json!({"primary_user": "ada@example.org"}));
    t.group("users-of-the-laptop", "users", &["ada"]);
    t.assign_to_group("office", "users-of-the-laptop", "required").created();
    t.install("office", "laptop", "ada").created();
    t.uninstall("office", "laptop", "ada").ok();
    t.group("users-of-the-laptop", "users", &["bob"]);
    t.device_with("laptop", json!({"primary_user": "bob@example.org"}));
    t.install("office", "laptop", "bob").created();
    let seats = t.list("/pools/declared:office/seats");
    assert_eq!(seats.len(), 1);
    assert_eq!(seats[0]["holder"], "user:user_1");
}

/// 12, snipe-it#830: the seats of one who leaves must be given back by hand.
#[test]
fn all_seats_of_one_who_leaves_come_back_at_once() {
    let t = Tenant::shared();
    let skus: Vec<String> = (0..50).map(|number| format!("app-{number}")).collect();
    let items: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku, "owned": 1})).collect();
    t.inventory(true, &items).ok();
    t.user("ada");
    let rows = skus.iter().map(|sku| json!({"type": "assign", "pool": format!("declared:{sku}"), "target": {"user": "ada@example.org"}, "intent": "required"}));
    t.post("/commands", rows.collect()).ok();
    assert_eq!(t.list("/users/ada@example.org/seats").len(), 50);
    let leaving =
        t.call(reqwest::Method::POST, "/users/ada@example.org/departure").within(std::time::Duration::from_secs(1));
    assert_eq!(leaving.json(&json!({"cause": "deleted"})).send().ok()["seats_released"], 50);
    assert!(t.list("/pools").iter().all(|pool| pool["held"] == 0 && pool["free"] == 1));
}

/// 22, fleet#25077: an app is deleted or a host unenrolled, and its seats are not revoked.
#[test]
fn seats_come_back_from_a_retired_device_and_a_removed_app() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.owns("draw", 2);
    t.user("ada");
    t.device("laptop");
    t.assign("office", json!({"device": "laptop"}), "required", json!({})).created();
    t.install_for_all("office", "laptop").created();
    t.assign_to_user("draw", "ada", "required").created();
    t.install("draw", "laptop", "ada").created();
    t.post("/devices/laptop/retirement", json!({})).ok();
    assert_eq!(t.figures("office"), "owned 2: free 2");
    assert_eq!(t.figures("draw"), "owned 2: free 2");
    assert_eq!(t.list("/devices/laptop/installs").len(), 0);
    t.inventory(true, &[json!({"sku": "draw", "owned": 2})]).ok();
    assert_eq!((&t.pool("office")["state"], &t.pool("office")["owned"]), (&json!("removed"), &json!(0)));
}

/// 23, fleet#25525: after an install there may be no way to get the seat back.
#[test]
fn a_seat_in_use_is_taken_back_and_the_install_is_shown_without_one() {
    let t = Tenant::shared();
    t.owns("office", 1);
    t.user("ada");
    t.device("laptop");
    t.assign_to_user("office", "ada", "required").created();
    t.install("office", "laptop", "ada").created();
    t.post("/pools/declared:office/seats/user:ada@example.org/reclaim", json!({})).ok();
    assert_eq!(t.figures("office"), "owned 1: free 1, unlicensed 1");
    // whoever lost a seat is not given it again by itself, but by a command
    t.post("/pools/declared:office/seats/user:ada@example.org/grant", json!({})).ok();
    assert_eq!(t.figures("office"), "owned 1: in_use 1, free 0");
}

/// 30, memdocs#1421: taking a group's assignment away neither revokes nor uninstalls.
#[test]
fn an_assignment_that_ends_does_what_the_policy_says() {
    for (untargeted, figures) in [("keep", "owned 3: in_use 1, free 2"), ("release", "owned 3: free 3, unlicensed 1")] {
        let t = Tenant::shared();
        t.owns("office", 3);
        t.patch("/pools/declared:office/policy", json!({"untargeted": untargeted})).ok();
        t.user("ada");
        t.user("bob");
        t.device("laptop");
        t.group("sales", "users", &["ada", "bob"]);
        let made = t.assign_to_group("office", "sales", "required").created();
        t.install("office", "laptop", "ada").created();
        t.delete(&format!("/assignments/{}", made["assignment"].as_str().unwrap())).ok();
        assert_eq!(t.figures("office"), figures);
        let flags: Vec<Value> =
            t.list("/pools/declared:office/seats").iter().map(|seat| seat["flags"].clone()).collect();
        assert!(flags.iter().all(|flags| flags == &json!(["untargeted"])), "{flags:?}");
    }
}

/// 32, memdocs#1392: does "leaves" mean deleted, or out of the group?
#[test]
fn out_of_the_group_is_not_out_of_the_organization() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.owns("draw", 2);
    t.user("ada");
    t.group("sales", "users", &["ada"]);
    t.assign_to_group("office", "sales", "required").created();
    t.assign_to_user("draw", "ada", "required").created();
    t.group("sales", "users", &[]);
    assert_eq!(t.figures("office"), "owned 2: free 2");
    assert_eq!(t.figures("draw"), "owned 2: reserved 1, free 1");
    assert_eq!(t.get("/users/ada@example.org").ok()["departed"], Value::Null);
    t.departs("ada", json!({"cause": "deactivated"})).ok();
    assert_eq!(t.figures("draw"), "owned 2: free 2");
    assert_eq!(t.get("/users/ada@example.org").ok()["departed"]["cause"], "deactivated");
}

/// 34, microsoft-365-docs#12629: seats that were claimed and never used are never released.
#[test]
fn a_reservation_nobody_uses_times_out() {
    let service = Service::start();
    let t = service.tenant();
    t.owns("office", 2);
    t.patch("/pools/declared:office/policy", json!({"reservation_timeout_days": 30})).ok();
    t.user("ada");
    t.user("bob");
    t.device("laptop");
    for name in ["ada", "bob"] {
        t.assign_to_user("office", name, "required").created();
    }
    t.install("office", "laptop", "ada").created();
    service.advance_days(29);
    assert_eq!(t.figures("office"), "owned 2: reserved 1, in_use 1, free 0");
    service.advance_days(1);
    assert_eq!(t.figures("office"), "owned 2: in_use 1, free 1");
    let events = t.list("/events?type=seat_released");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["data"]["cause"], "timed_out");
}

/// 36, iomad#508: deleting a user loses the seat for ever.
#[test]
fn a_deleted_users_seat_is_there_for_the_next() {
    let t = Tenant::shared();
    t.owns("office", 1);
    for round in 0..5 {
        let name = format!("person-{round}");
        t.user(&name);
        t.assign_to_user("office", &name, "required").created();
        t.departs(&name, json!({"cause": "deleted"})).ok();
    }
    assert_eq!(t.figures("office"), "owned 1: free 1");
}

/// 38, keygen-api#998: machines vanish by a heartbeat although the heartbeat is off.
#[test]
fn no_seat_goes_because_time_passes() {
    let service = Service::start();
    let t = service.tenant();
    t.owns("office", 2);
    t.user("ada");
    t.user("bob");
    t.device("laptop");
    for name in ["ada", "bob"] {
        t.assign_to_user("office", name, "required").created();
    }
    t.install("office", "laptop", "ada").created();
    let head = t.head();
    service.advance_days(3650);
    assert_eq!(t.figures("office"), "owned 2: reserved 1, in_use 1, free 0");
    assert_eq!(t.head(), head, "time alone is no event");
}

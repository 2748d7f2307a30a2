//! Figures that were wrong somewhere, and holders that were not counted.

use crate::harness::{Service, Tenant};
use serde_json::{Value, json};

/// A pool in every state at once: of four covered, two hold, one of these uses, and one found without a seat.
fn busy() -> Tenant {
    let t = Tenant::shared();
    t.owns("office", 2);
    for name in ["ada", "bob", "cy", "dan"] {
        t.user(name);
    }
    t.device("laptop");
    t.group("sales", "users", &["ada", "bob", "cy"]);
    t.assign("office", json!({"group": "sales"}), "required", json!({"mode": "fill"})).created();
    t.install("office", "laptop", "ada").created();
    t.post(
        "/installs",
        json!({"pool": "declared:office", "device": "laptop", "user": "dan@example.org", "report": true}),
    )
    .created();
    t
}

/// 5, snipe-it#9012: the list shows 15 of 15 free while the history shows open checkouts.
#[test]
fn counts_are_the_fold_of_the_history() {
    let t = busy();
    assert_eq!(t.figures("office"), "owned 2: reserved 1, in_use 1, free 0, queued 1, unlicensed 1");
    let events = t.list("/events?pool=declared:office");
    let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((count("seat_granted"), count("seat_released"), count("seat_taken")), (2, 0, 1));
    let seats = t.list("/pools/declared:office/seats");
    let in_state = |state: &str| seats.iter().filter(|seat| seat["state"] == state).count();
    assert_eq!((in_state("reserved"), in_state("in_use")), (1, 1));
    assert_eq!(t.list("/pools/declared:office/queue").len(), 1);
}

/// 6 and 21, snipe-it#2925, glpi#5969: a count is wrong in the list or the API, and right in the detail.
#[test]
fn the_list_and_the_detail_say_the_same() {
    let t = busy();
    t.owns("draw", 3);
    for listed in t.list("/pools") {
        let mut detail = t.get(&format!("/pools/{}", listed["id"].as_str().unwrap())).ok();
        detail.as_object_mut().unwrap().remove("position");
        let mut listed = listed;
        listed.as_object_mut().unwrap().remove("position");
        assert_eq!(listed, detail);
    }
}

/// 13, snipe-it#3376: over-use shown as what it is, in figures.
#[test]
fn more_held_than_owned_is_a_figure_and_not_a_negative_count() {
    let t = Tenant::shared();
    t.owns("office", 3);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
        t.assign_to_user("office", name, "required").created();
    }
    t.owns("office", 1);
    assert_eq!(t.figures("office"), "owned 1: reserved 3, free 0, over_by 2");
}

/// 33, microsoft-graph-docs#3560: 6 consumed of 5 paid, and nobody knows how.
#[test]
fn six_of_five_is_explained_and_there_is_a_way_back() {
    let t = Tenant::shared();
    t.owns("office", 6);
    for name in ["a", "b", "c", "d", "e", "f"] {
        t.user(name);
        t.assign_to_user("office", name, "required").created();
    }
    t.owns("office", 5);
    assert_eq!(t.figures("office"), "owned 5: reserved 6, free 0, over_by 1");
    let why = t.get("/pools/declared:office/explain?figure=over_by").ok();
    assert_eq!((&why["value"], why["items"].as_array().unwrap().len()), (&json!(1), 2), "{why}");
    let step = &why["items"][1];
    assert_eq!(
        (&step["delta"], &step["value"], &step["actor"], &step["door"]),
        (&json!(1), &json!(1), &json!("root"), &json!("http"))
    );
    let plan = t.post("/pools/declared:office/deficit/plan", json!({})).ok();
    assert_eq!((plan["seats"].as_array().unwrap().len(), &plan["uncovered_by"]), (1, &json!(0)));
    t.post("/pools/declared:office/deficit/resolve", json!({})).ok();
    assert_eq!(t.figures("office"), "owned 5: reserved 5, free 0");
}

/// 19, glpi#6733: expired licenses are counted, and when all have expired it shows "unlimited".
#[test]
fn what_has_expired_is_not_owned_and_nothing_is_not_unlimited() {
    let service = Service::start();
    let t = service.tenant();
    t.user("ada");
    let day: jiff::civil::Date = t.today().parse().unwrap();
    let last = day.checked_add(jiff::Span::new().days(3)).unwrap();
    t.inventory(true, &[json!({"sku": "office", "owned": 5, "ends_on": last.to_string()})]).ok();
    t.assign_to_user("office", "ada", "required").created();
    service.advance_days(2);
    assert_eq!(t.figures("office"), "owned 5: reserved 1, free 4");
    service.advance_days(2);
    assert_eq!(t.figures("office"), "owned 0: reserved 1, free 0, over_by 1");
}

/// 20, glpi#20422: users are not counted, only computers.
#[test]
fn users_and_devices_are_both_counted() {
    let t = Tenant::shared();
    t.owns("office", 5);
    t.user("ada");
    t.device("laptop");
    t.group("all", "mixed", &["user:ada", "device:laptop"]);
    t.assign_to_group("office", "all", "required").created();
    let holders: Vec<Value> =
        t.list("/pools/declared:office/seats").iter().map(|seat| seat["holder"].clone()).collect();
    assert_eq!(holders.len(), 2);
    assert_eq!(t.figures("office"), "owned 5: reserved 2, free 3");
}

/// 24, fleet#39571: purchased, used and free of each app.
#[test]
fn purchased_used_and_free_stand_side_by_side() {
    let t = busy();
    let pool = t.pool("office");
    for (field, value) in [
        ("owned", 2),
        ("held", 2),
        ("in_use", 1),
        ("reserved", 1),
        ("free", 0),
        ("installed", 2),
        ("queued", 1),
        ("unlicensed", 1),
    ] {
        assert_eq!(pool[field], value, "{field}");
    }
}

/// 25, fleet#44009: a user's license covers five devices; a user has several locations.
#[test]
fn a_license_covers_five_devices_and_each_location_has_its_pool() {
    let t = Tenant::shared();
    t.owns("office-berlin", 2);
    t.owns("office-oslo", 2);
    t.user("ada");
    for sku in ["office-berlin", "office-oslo"] {
        t.assign_to_user(sku, "ada", "required").created();
    }
    for number in 0..5 {
        let device = format!("device-{number}");
        t.device(&device);
        t.install("office-berlin", &device, "ada").created();
    }
    assert_eq!(t.figures("office-berlin"), "owned 2: in_use 1, free 1");
    assert_eq!(t.figures("office-oslo"), "owned 2: reserved 1, free 1");
    assert_eq!(t.list("/users/ada@example.org/seats").len(), 2);
}

/// 29, fleet#21013: the count is wrong for an app on three platforms.
#[test]
fn one_license_serves_three_platforms() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.user("ada");
    t.assign_to_user("office", "ada", "required").created();
    for platform in ["ios", "macos", "ipados"] {
        t.device_with(platform, json!({"platform": platform, "join": "none", "os_build": null}));
        t.install("office", platform, "ada").created();
    }
    assert_eq!(t.figures("office"), "owned 2: in_use 1, free 1");
    assert_eq!(t.pool("office")["installed"], 3);
}

/// 31, memdocs#1590: each wipe adds licenses to a "no user" with the same serial number.
#[test]
fn a_device_that_is_wiped_five_times_is_one_holder_with_one_seat() {
    let t = Tenant::shared();
    t.owns("office", 10);
    let mut ids = Vec::new();
    for wipe in 0..5 {
        ids.push(t.device_with("F2LXK", json!({"device_id": format!("enrolment-{wipe}")})));
        t.assign("office", json!({"device": "F2LXK"}), "required", json!({})).ok();
        t.install_for_all("office", "F2LXK").ok();
        assert_eq!(t.figures("office"), "owned 10: in_use 1, free 9", "after {wipe} wipes");
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(t.list("/devices").len(), 1);
    assert_eq!(t.pool("office")["installed"], 1, "installs ended with the wipes");
}

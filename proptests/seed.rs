//! The seed suite: one test per line of the table in the rules' last chapter, named after the promise, through HTTP, seeing
//! what the table's last column says. Lines that need a real provider are marked: the suite of the stores runs them against
//! one; here stands what a declared inventory shows of them.

use crate::harness::{Service, Tenant};
use serde_json::{Value, json};

/// The field of every item, sorted.
fn texts(items: &[Value], field: &str) -> Vec<String> {
    let mut texts: Vec<String> = items.iter().map(|item| item[field].as_str().unwrap_or("").to_owned()).collect();
    texts.sort();
    texts
}

/// The ways out that a refusal offers, as `uninstall 1, narrow_target 2, buy_more 3`.
fn remedies(problem: &Value) -> String {
    let remedies = problem["remedies"].as_array().expect("ways out");
    let one = |remedy: &Value| format!("{} {}", remedy["action"].as_str().unwrap_or("?"), remedy["would_free"]);
    remedies.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn free_of_charge() -> Value {
    json!({"currency": "EUR", "minor_units": 0})
}

/// For the stores: the same list out of a real provider's pages.
#[test]
fn purchased_and_free_apps_are_synced_with_their_counts() {
    let t = Tenant::shared();
    let sync = t
        .inventory(
            true,
            &[
                json!({"sku": "paid", "owned": 100}),
                json!({"sku": "free", "owned": "unlimited", "distribution_policy": "open", "price": free_of_charge()}),
            ],
        )
        .ok();
    assert_eq!((&sync["state"], &sync["counts"]["listed"]), (&json!("completed"), &json!(2)));
    assert_eq!(t.figures("paid"), "owned 100: free 100");
    assert_eq!(t.figures("free"), "owned unlimited: free unlimited");
    assert_eq!(texts(&t.list("/pools"), "key"), ["declared:free", "declared:paid"]);
}

#[test]
fn synced_apps_appear_and_are_assigned_like_any_other_app() {
    let t = Tenant::shared();
    let kinds = [
        json!({"sku": "paid", "owned": 1}),
        json!({"sku": "paid-offline", "owned": 1, "license_type": "offline"}),
        json!({"sku": "free", "owned": "unlimited", "price": free_of_charge()}),
        json!({"sku": "open", "owned": 0, "distribution_policy": "open"}),
        json!({"sku": "book", "owned": 1, "irrevocable": true}),
    ];
    t.inventory(true, &kinds).ok();
    t.user("ada");
    assert_eq!(t.list("/apps").len(), kinds.len());
    for kind in kinds {
        let sku = kind["sku"].as_str().unwrap();
        assert_eq!(t.assign_to_user(sku, "ada", "required").created()["reserved"], 1, "{sku}");
        assert_eq!(t.pool(sku)["held"], 1, "{sku}");
    }
}

#[test]
fn online_and_offline_versions_are_synced_and_named_so() {
    let t = Tenant::shared();
    t.inventory(
        true,
        &[
            json!({"sku": "draw-1", "name": "Draw", "license_type": "online"}),
            json!({"sku": "draw-2", "name": "Draw", "license_type": "offline"}),
        ],
    )
    .ok();
    assert_eq!(texts(&t.list("/pools"), "name"), ["Draw (Offline)", "Draw (Online)"]);
}

#[test]
fn how_many_licenses_are_available_and_used_is_tracked_through_a_life() {
    let t = Tenant::shared();
    t.owns("office", 3);
    assert_eq!(t.figures("office"), "owned 3: free 3");
    t.user("ada");
    t.device("laptop");
    t.assign_to_user("office", "ada", "required").created();
    assert_eq!(t.figures("office"), "owned 3: reserved 1, free 2");
    t.install("office", "laptop", "ada").created();
    assert_eq!(t.figures("office"), "owned 3: in_use 1, free 2");
    t.uninstall("office", "laptop", "ada").ok();
    assert_eq!(t.figures("office"), "owned 3: free 3");
    t.inventory(true, &[json!({"sku": "office", "owned": 5})]).ok();
    assert_eq!(t.figures("office"), "owned 5: free 5");
    t.install("office", "laptop", "ada").created();
    t.departs("ada", json!({"cause": "deleted"})).ok();
    assert_eq!(t.figures("office"), "owned 5: free 5, unlicensed 1");
}

#[test]
fn assignment_and_installation_are_blocked_without_enough_licenses() {
    let t = Tenant::shared();
    t.owns("office", 2);
    for name in ["ada", "bob", "cy", "dan"] {
        t.user(name);
    }
    t.device("laptop");
    t.group("sales", "users", &["ada", "bob", "cy"]);
    let refused = t.assign_to_group("office", "sales", "required").problem("not-enough-seats");
    assert_eq!((&refused["owned"], &refused["free"], &refused["short_by"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(remedies(&refused), "uninstall 0, narrow_target 0, buy_more 1");
    assert_eq!(t.figures("office"), "owned 2: free 2");
    // one seat for whoever installs first, of three who may
    t.assign_to_user("office", "dan", "required").created();
    t.assign_to_group("office", "sales", "available").created();
    t.install("office", "laptop", "ada").created();
    let refused = t.install("office", "laptop", "bob").problem("no-seat-available");
    assert_eq!((&refused["owned"], &refused["held"], &refused["free"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(remedies(&refused), "uninstall 1, narrow_target 1, buy_more 1");
    t.assign_to_user("office", "cy", "available").problem("not-enough-seats");
    assert_eq!(t.figures("office"), "owned 2: reserved 1, in_use 1, free 0");
    assert_eq!(t.pool("office")["refused"], 3);
}

#[test]
fn licenses_are_revoked_when_a_user_leaves() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.owns("draw", 2);
    t.user("ada");
    t.device_with("laptop", json!({"primary_user": "ada@example.org"}));
    t.assign("draw", json!({"device": "laptop"}), "required", json!({})).created();
    t.assign_to_user("office", "ada", "required").created();
    t.install("office", "laptop", "ada").created();
    let left = t.departs("ada", json!({"cause": "deactivated"})).ok();
    assert_eq!((&left["seats_released"], &left["kept"]), (&json!(1), &json!([])));
    assert_eq!(t.figures("office"), "owned 2: free 2, unlicensed 1");
    // the device stays, and so does its seat
    assert_eq!(t.figures("draw"), "owned 2: reserved 1, free 1");
}

#[test]
fn licenses_are_revoked_when_the_administrator_removes_the_user_and_the_devices() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.owns("draw", 2);
    t.user("ada");
    t.device_with("laptop", json!({"primary_user": "ada@example.org"}));
    t.assign("draw", json!({"device": "laptop"}), "required", json!({})).created();
    t.assign_to_user("office", "ada", "required").created();
    t.install("office", "laptop", "ada").created();
    t.departs("ada", json!({"cause": "deleted", "retire_devices": true})).ok();
    assert_eq!(t.figures("office"), "owned 2: free 2");
    assert_eq!(t.figures("draw"), "owned 2: free 2");
    assert_eq!(t.get("/devices/laptop").ok()["retired"], true);
}

/// For the stores: the sync that runs once the account is linked.
#[test]
fn nothing_is_synced_before_the_account_is_linked_and_the_language_is_chosen() {
    let t = Tenant::shared();
    t.post("/syncs", json!({"provider": "microsoft-store"})).problem("store-account-not-linked");
    t.put("/store-accounts/microsoft-store", json!({"account_id": format!("{}.example.com", t.name)})).created();
    // the link is there, so what is missing now is something else
    t.post("/syncs", json!({"provider": "microsoft-store"})).problem("connector-not-running");
    t.patch("/settings", json!({"sync_enabled": false})).ok();
    t.post("/syncs", json!({"provider": "microsoft-store"})).problem("sync-disabled");
    t.inventory(true, &[json!({"sku": "draw"})]).problem("sync-disabled");
    t.patch("/settings", json!({"sync_enabled": true})).ok();
    let in_language = |language: &str, name: &str| {
        let item = json!({"sku": "draw", "license_type": "online", "name": name, "owned": 1, "distribution_policy": "restricted"});
        t.post("/inventory", json!({"complete": true, "language": language, "items": [item]})).ok()
    };
    in_language("en-US", "Draw");
    assert_eq!(in_language("de-DE", "Zeichnen")["language"], "de-DE");
    assert_eq!(t.pool("draw")["name"], "Draw (Online)");
    t.patch("/settings", json!({"language": "de-DE"})).ok();
    assert_eq!(t.pool("draw")["name"], "Zeichnen (Online)");
}

#[test]
fn an_account_once_associated_cannot_be_changed() {
    let t = Tenant::shared();
    let (path, account) = ("/store-accounts/apple-business", format!("org-of-{}", t.name));
    t.put(path, json!({"account_id": account})).created();
    t.put(path, json!({"account_id": account})).unchanged();
    t.put(path, json!({"account_id": "another"})).problem("store-account-already-linked");
    let other = t.neighbour();
    other.put(path, json!({"account_id": account})).problem("store-account-already-linked");
    other.put(path, json!({"account_id": format!("org-of-{}", other.name)})).created();
    assert_eq!(t.get(path).ok()["account_id"], account);
}

#[test]
fn purchased_apps_cannot_be_added_or_removed_by_hand() {
    let t = Tenant::shared();
    t.owns("office", 2);
    let contract = t.service().root().get("/openapi.json").ok();
    let operations = contract["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (path.as_str(), method.as_str()))
    });
    let changes: Vec<(&str, &str)> = operations
        .filter(|(path, method)| {
            *method != "get" && (path.contains("/apps") || path.ends_with("/pools") || path.ends_with("/pools/{pool}"))
        })
        .collect();
    assert!(changes.is_empty(), "apps are changed by hand: {changes:?}");
    t.put("/pools/declared:new", json!({"owned": 5})).problem("method-not-allowed");
    t.post("/pools", json!({"sku": "new", "owned": 5})).problem("method-not-allowed");
    t.delete("/pools/declared:office").problem("method-not-allowed");
    assert_eq!(texts(&t.list("/pools"), "key"), ["declared:office"]);
}

/// For the stores: the provider's own pools, where online is the store's and offline the tool's.
#[test]
fn online_installs_are_the_stores_and_offline_ones_the_tools() {
    let t = Tenant::shared();
    t.inventory(
        true,
        &[
            json!({"sku": "draw-1", "license_type": "online", "installed_by": "store"}),
            json!({"sku": "draw-2", "license_type": "offline", "installed_by": "tool"}),
        ],
    )
    .ok();
    assert_eq!(t.pool("draw-1")["installed_by"], "store");
    assert_eq!(t.pool("draw-2")["installed_by"], "tool");
}

#[test]
fn purchased_offline_and_free_offline_apps_are_synced() {
    let t = Tenant::shared();
    t.inventory(
        true,
        &[
            json!({"sku": "paid", "license_type": "offline", "owned": 7}),
            json!({"sku": "free", "license_type": "offline", "owned": "unlimited", "price": free_of_charge()}),
        ],
    )
    .ok();
    assert_eq!(t.figures("paid"), "owned 7: free 7");
    assert_eq!(t.figures("free"), "owned unlimited: free unlimited");
    t.user("ada");
    for sku in ["paid", "free"] {
        t.post(&format!("/pools/declared:{sku}/offline-licenses"), json!({"user": "ada@example.org"})).created();
    }
    t.owns("online", 1);
    t.post("/pools/declared:online/offline-licenses", json!({"user": "ada@example.org"}))
        .problem("not-an-offline-pool");
}

#[test]
fn devices_meet_the_stores_requirements_before_they_get_an_app() {
    let t = Tenant::shared();
    t.inventory(true, &[json!({"sku": "draw", "requires_windows_1511": true})]).ok();
    t.user("ada");
    t.assign_to_user("draw", "ada", "required").created();
    let cases = [
        ("domain", 10_586, true),
        ("entra", 10_586, true),
        ("workplace", 22_631, true),
        ("none", 10_586, false),
        ("domain", 10_585, false),
        ("entra", 10_240, false),
        ("workplace", 0, false),
    ];
    for (join, build, is_eligible) in cases {
        let device = format!("{join}-{build}");
        t.device_with(&device, json!({"join": join, "os_build": build}));
        let answer = t.install("draw", &device, "ada");
        if is_eligible {
            answer.created()
        } else {
            answer.problem("device-not-eligible")
        };
    }
    t.device_with("no-build", json!({"os_build": null}));
    t.install("draw", "no-build", "ada").problem("device-not-eligible");
    // in a group they are skipped and listed, and no shortage
    t.group("machines", "devices", &["domain-10586", "domain-10585", "none-10586"]);
    let assigned = t.assign_to_group("draw", "machines", "required").created();
    assert_eq!((&assigned["reserved"], assigned["skipped"].as_array().unwrap().len()), (&json!(1), 2));
    assert_eq!(texts(assigned["skipped"].as_array().unwrap(), "reason"), ["device_not_eligible"; 2]);
}

#[test]
fn related_sets_and_offline_apps_are_one_entry_and_package_details_are_kept() {
    let t = Tenant::shared();
    let packages =
        json!([{"id": "writer-x64", "architecture": "x64"}, {"id": "writer-arm64", "architecture": "arm64"}]);
    t.inventory(
        true,
        &[
            json!({"sku": "writer", "name": "Writer", "related_set": "suite", "packages": packages}),
            json!({"sku": "writer-offline", "name": "Writer", "license_type": "offline", "related_set": "suite"}),
            json!({"sku": "calc", "name": "Calc", "related_set": "suite"}),
            json!({"sku": "draw", "name": "Draw"}),
        ],
    )
    .ok();
    let apps = t.list("/apps");
    assert_eq!(apps.len(), 2, "{apps:?}");
    let suite = apps.iter().find(|app| app["pools"].as_array().unwrap().len() == 3).expect("the set is one entry");
    let suite = t.get(&format!("/apps/{}", suite["id"].as_str().unwrap())).ok();
    let text = suite.to_string();
    assert!(text.contains("writer-x64") && text.contains("arm64"), "{text}");
    // the pools stay what is counted
    assert_eq!(t.list("/pools").len(), 4);
}

#[test]
fn several_management_tools_act_and_each_is_named_in_the_events() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.user("ada");
    t.put("/tools/intune", json!({"name": "Microsoft Intune"})).ok();
    t.put("/tools/configmgr", json!({"name": "Configuration Manager"})).ok();
    assert_eq!(texts(&t.list("/tools"), "name"), ["Configuration Manager", "Microsoft Intune"]);
    let (one, other) = (t.as_role("connector"), t.as_role("connector"));
    one.device("laptop");
    other.device("tablet");
    t.assign_to_user("office", "ada", "required").created();
    one.install("office", "laptop", "ada").created();
    other.install("office", "tablet", "ada").created();
    assert_eq!(t.figures("office"), "owned 2: in_use 1, free 1");
    let installed = t.list("/events?type=installed");
    let actors = texts(&installed, "actor");
    assert_eq!(actors.len(), 2);
    assert_ne!(actors[0], actors[1], "{installed:?}");
    let named: Vec<Value> = t.list("/events?type=tool_activated").iter().map(|event| event["data"].clone()).collect();
    assert_eq!(texts(&named, "tool"), ["configmgr", "intune"]);
}

#[test]
fn encrypted_packages_are_not_synced_and_the_reason_is_told() {
    let t = Tenant::shared();
    let sync = t.inventory(true, &[json!({"sku": "game", "encrypted": true}), json!({"sku": "draw"})]).ok();
    assert_eq!(sync["skipped"], json!([{"key": "declared:game", "reason": "encrypted-package"}]));
    assert_eq!(sync["counts"]["skipped"], 1);
    t.get("/pools/declared:game").problem("pool-not-found");
}

#[test]
fn users_device_and_mixed_groups_are_targets_per_user_or_for_all_users_of_a_device() {
    let t = Tenant::shared();
    t.owns("office", 10);
    t.owns("draw", 10);
    t.owns("writer", 10);
    for name in ["ada", "bob"] {
        t.user(name);
    }
    for serial in ["laptop", "kiosk"] {
        t.device(serial);
    }
    t.group("people", "users", &["ada", "bob"]);
    t.group("machines", "devices", &["laptop", "kiosk"]);
    t.group("both", "mixed", &["user:ada", "device:kiosk"]);
    assert_eq!(t.assign_to_group("office", "people", "required").created()["reserved"], 2);
    assert_eq!(t.assign_to_group("draw", "machines", "required").created()["reserved"], 2);
    assert_eq!(t.assign_to_group("writer", "both", "required").created()["reserved"], 2);
    // for one user: only that user's seat is used
    t.install("office", "kiosk", "ada").created();
    assert_eq!(t.figures("office"), "owned 10: reserved 1, in_use 1, free 8");
    // for all users of a device: the device's seat is used, and serves whoever works there
    assert_eq!(t.install_for_all("draw", "kiosk").created()["user"], Value::Null);
    t.install("draw", "kiosk", "bob").created();
    assert_eq!(t.figures("draw"), "owned 10: reserved 1, in_use 1, free 8");
    t.install("writer", "laptop", "ada").created();
    t.install_for_all("writer", "kiosk").created();
    assert_eq!(t.figures("writer"), "owned 10: in_use 2, free 8");
    t.group("people", "users", &["ada"]);
    assert_eq!(t.figures("office"), "owned 10: in_use 1, free 9");
}

#[test]
fn a_user_who_installs_on_three_devices_uses_one_seat() {
    let t = Tenant::shared();
    t.owns("office", 2);
    t.user("ada");
    t.assign_to_user("office", "ada", "available").created();
    for serial in ["laptop", "tablet", "desktop"] {
        t.device(serial);
        t.install("office", serial, "ada").created();
        assert_eq!(t.figures("office"), "owned 2: in_use 1, free 1");
    }
    assert_eq!(t.pool("office")["installed"], 3);
    for serial in ["laptop", "tablet"] {
        t.uninstall("office", serial, "ada").ok();
        assert_eq!(t.figures("office"), "owned 2: in_use 1, free 1");
    }
    t.uninstall("office", "desktop", "ada").ok();
    assert_eq!(t.figures("office"), "owned 2: free 2");
}

/// Two of two seats are used, by an install of Ada's and by a place in a group.
fn sold_out() -> Tenant {
    let t = Tenant::shared();
    t.owns("office", 2);
    for name in ["ada", "bob", "cy"] {
        t.user(name);
    }
    t.device("laptop");
    t.group("sales", "users", &["bob"]);
    t.assign_to_user("office", "ada", "available").created();
    t.install("office", "laptop", "ada").created();
    t.assign_to_group("office", "sales", "required").created();
    let refused = t.assign_to_user("office", "cy", "required").problem("not-enough-seats");
    assert_eq!(remedies(&refused), "uninstall 1, narrow_target 1, buy_more 1");
    t
}

#[test]
fn when_all_are_used_an_uninstall_frees_a_seat() {
    let t = sold_out();
    t.uninstall("office", "laptop", "ada").ok();
    t.assign_to_user("office", "cy", "required").created();
    assert_eq!(t.figures("office"), "owned 2: reserved 2, free 0");
}

#[test]
fn when_all_are_used_a_narrower_target_frees_a_seat() {
    let t = sold_out();
    t.group("sales", "users", &[]);
    t.assign_to_user("office", "cy", "required").created();
    assert_eq!(t.figures("office"), "owned 2: reserved 1, in_use 1, free 0");
}

#[test]
fn when_all_are_used_more_are_bought() {
    let t = sold_out();
    t.owns("office", 3);
    t.assign_to_user("office", "cy", "required").created();
    assert_eq!(t.figures("office"), "owned 3: reserved 2, in_use 1, free 0");
}

#[test]
fn a_refund_gives_seats_back_and_removes_the_app_with_the_last() {
    let t = Tenant::shared();
    t.owns("office", 5);
    t.user("ada");
    let seat = t.assign_to_user("office", "ada", "required").created();
    t.refund("office", json!({"order": "o-1", "quantity": 5})).problem("refund-exceeds-free-seats");
    t.refund("office", json!({"order": "o-1", "quantity": 3})).created();
    assert_eq!(t.figures("office"), "owned 2: reserved 1, free 1");
    t.refund("office", json!({"order": "o-1", "quantity": 1})).problem("order-already-refunded");
    t.delete(&format!("/assignments/{}", seat["assignment"].as_str().unwrap())).ok();
    t.refund("office", json!({"order": "o-2", "quantity": 2})).created();
    assert_eq!(t.pool("office")["state"], "removed");
    t.assign_to_user("office", "ada", "required").problem("pool-removed");
}

#[test]
fn a_paid_order_is_refunded_until_the_29th_day_after_it() {
    let service = Service::start();
    let t = service.tenant();
    t.owns("office", 5);
    let day = t.today();
    t.refund("office", json!({"order": "o-0", "ordered_on": "2999-01-01"})).problem("ordered-in-future");
    service.advance_days(29);
    t.refund("office", json!({"order": "o-1", "ordered_on": day})).created();
    service.advance_days(1);
    t.refund("office", json!({"order": "o-2", "ordered_on": day})).problem("refund-window-closed");
    assert_eq!(t.figures("office"), "owned 4: free 4");
}

#[test]
fn a_free_app_is_refunded_for_nothing_and_removed() {
    let t = Tenant::shared();
    t.inventory(true, &[json!({"sku": "free", "owned": "unlimited", "price": free_of_charge()})]).ok();
    t.user("ada");
    let seat = t.assign_to_user("free", "ada", "required").created();
    let zero = json!({"currency": "EUR", "minor_units": 0});
    let order = |amount: &Value| json!({"order": "o-1", "quantity": 9, "ordered_on": "2001-01-01", "amount": amount});
    t.refund("free", order(&json!({"currency": "EUR", "minor_units": 1}))).problem("amount-not-zero");
    assert_eq!(t.refund("free", order(&zero)).problem("seats-still-held")["held"], 1);
    t.delete(&format!("/assignments/{}", seat["assignment"].as_str().unwrap())).ok();
    t.refund("free", order(&zero)).created();
    assert_eq!((&t.pool("free")["state"], &t.pool("free")["owned"]), (&json!("removed"), &json!(0)));
}

#[test]
fn an_app_hidden_in_the_private_store_is_synced_and_counted_as_before() {
    let t = Tenant::shared();
    t.inventory(true, &[json!({"sku": "office", "owned": 2})]).ok();
    t.user("ada");
    t.assign_to_user("office", "ada", "required").created();
    let hidden = t.inventory(true, &[json!({"sku": "office", "owned": 3, "private_store_visible": false})]).ok();
    assert_eq!(hidden["counts"]["delisted"], 0);
    let pool = t.pool("office");
    assert_eq!((&pool["private_store_visible"], &pool["state"]), (&json!(false), &json!("active")));
    assert_eq!(t.figures("office"), "owned 3: reserved 1, free 2");
}

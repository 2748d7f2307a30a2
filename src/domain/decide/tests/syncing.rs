//! rules.md §6, as a declared inventory needs it: what is listed, changed, gone or skipped, and drift.

use super::scenario::{Scenario, Step, check};
use super::steps::*;
use crate::domain::command::InventoryItem;
use crate::domain::facts::{DistributionPolicy, Owned, SettingsPatch};
use crate::domain::ids::PoolId;
use expect_test::expect;

const D: Kind = Kind::Declared;

fn of_all(items: Vec<InventoryItem>) -> Step {
    synced(D, items)
}

fn office_and_visio() -> Vec<InventoryItem> {
    vec![item(D, "office", 5), item(D, "visio", 5)]
}

#[test]
fn a_sync_says_what_is_new_what_changed_and_what_is_skipped() {
    let mut encrypted = item(D, "notes", 1);
    encrypted.is_encrypted = true;
    let mut hidden = item(D, "visio", 5);
    hidden.is_private_store_visible = false;
    check(
        &[of_all(office_and_visio())],
        of_all(vec![item(D, "office", 7), hidden, encrypted]),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_1
        capacity_changed purchase owned count 7
        private_store_visibility_changed visio
        item_skipped reason encrypted_package sync sync_1
        sync_completed changed 2 delisted 0 listed 0 pages 1 skipped 1 sync sync_1 unchanged 0
        = office: 0 of 7
        = visio: 0 of 5
    "#]],
    );
}

#[test]
fn a_dry_run_counts_what_would_change_and_names_what_would_be_left_out() {
    let mut encrypted = item(D, "notes", 1);
    encrypted.is_encrypted = true;
    check(
        &[of_all(office_and_visio())],
        tried(D, vec![item(D, "office", 7), item(D, "teams", 1), encrypted]),
        expect![[r#"
        sync_started is_dry_run is_full language en-US provider declared sync sync_1
        item_skipped reason encrypted_package sync sync_1
        sync_completed changed 1 delisted 1 listed 1 pages 1 skipped 1 sync sync_1 unchanged 0
        = office: 0 of 5
        = visio: 0 of 5
    "#]],
    );
}

#[test]
fn the_same_again_changes_nothing() {
    check(
        &[of_all(office_and_visio())],
        of_all(office_and_visio()),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_1
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 2
        = office: 0 of 5
        = visio: 0 of 5
    "#]],
    );
}

#[test]
fn a_drop_is_unexplained_and_a_drift_with_its_counts() {
    check(
        &[listed(D, 5)],
        listed(D, 3),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        capacity_changed unexplained owned count 3
        drift_found after count 3 before count 5 drift drift_0 kind owned_fell
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 0 of 3
    "#]],
    );
    let mut unlimited = item(D, "office", 0);
    unlimited.owned = Owned::Unlimited;
    check(
        &[told_of(D, vec![unlimited.clone()])],
        listed(D, 3),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        capacity_changed unexplained owned count 3
        drift_found after count 3 before unlimited drift drift_0 kind owned_fell
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 0 of 3
    "#]],
    );
    check(
        &[listed(D, 3)],
        told_of(D, vec![unlimited]),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        capacity_changed purchase owned unlimited
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 0 of unlimited
    "#]],
    );
}

#[test]
fn fewer_than_are_held_is_taken_as_it_is_and_grants_wait() {
    let given = [listed(D, 2), required("ada"), required("bob")];
    check(
        &given,
        listed(D, 1),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        capacity_changed unexplained owned count 1
        drift_found after count 1 before count 2 drift drift_0 kind owned_fell
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 2 of 1, 2 reserved, over 1
    "#]],
    );
    let given = [&given[..], &[listed(D, 1), required_as_far_as_it_goes("cy")]].concat();
    check(
        &given,
        unassigned(0),
        expect![[r#"
            assignment_ended assignment_0 user ada unassigned
            seat_released ada unassigned
            = office: 1 of 1, 1 reserved, waiting: cy
        "#]],
    );
    let given = [&given[..], &[unassigned(0)]].concat();
    check(
        &given,
        unassigned(1),
        expect![[r#"
            assignment_ended assignment_1 user bob unassigned
            seat_released bob unassigned
            seat_granted cy queue
            = office: 1 of 1, 1 reserved
        "#]],
    );
}

#[test]
fn a_switch_to_restricted_while_over_is_a_deficit_not_a_failure() {
    let mut open = item(D, "office", 1);
    open.distribution_policy = DistributionPolicy::Open;
    check(
        &[told_of(D, vec![open]), required("ada"), required("bob")],
        listed(D, 1),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        distribution_policy_changed distribution_policy restricted
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 2 of 1, 2 reserved, over 1
    "#]],
    );
}

#[test]
fn what_a_complete_inventory_does_not_name_is_gone_and_a_part_removes_nothing() {
    let given = [of_all(office_and_visio()), required("ada"), people("staff", &["bob"])];
    check(
        &given,
        of_all(vec![item(D, "visio", 5)]),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_1
        pool_delisted delisted
        sync_completed changed 0 delisted 1 listed 0 pages 1 skipped 0 sync sync_1 unchanged 1
        = office: 1 of 0, 1 reserved, over 1
        = visio: 0 of 5
    "#]],
    );
    check(
        &given,
        told_of(D, vec![item(D, "visio", 5)]),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        pools_seen pools [visio] sync sync_1
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 1
        = office: 1 of 5, 1 reserved
        = visio: 0 of 5
    "#]],
    );
}

#[test]
fn a_removed_pool_grants_nothing_and_provides_again_when_it_is_back() {
    let given =
        [of_all(office_and_visio()), people("staff", &["ada"]), required("staff"), of_all(vec![item(D, "visio", 5)])];
    check(
        &given,
        required("bob"),
        expect![[r#"
        command_refused assign user bob pool_removed
        = office: 1 of 0, 1 reserved, over 1
        = visio: 0 of 5
    "#]],
    );
    let given = [&given[..], &[people("staff", &["ada", "cy"])]].concat();
    check(
        &given,
        of_all(office_and_visio()),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_2
        pool_relisted
        capacity_changed purchase owned count 5
        seat_granted cy coverage
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 1
        = office: 2 of 5, 2 reserved
        = visio: 0 of 5
    "#]],
    );
}

#[test]
fn an_entitlement_ends_after_its_last_day() {
    let mut dated = item(D, "office", 2);
    dated.ends_on = Some(on("2026-06-20"));
    let given = [told_of(D, vec![dated]), required("ada"), deficits_are_reclaimed()];
    // Nine o'clock on the 20th, and a day later.
    check(
        &given,
        days_pass(19),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &given,
        days_pass(20),
        expect![[r#"
        capacity_changed expired owned count 0
        seat_released ada deficit_plan lapsed
        = office: 0 of 0, lapsed: ada
    "#]],
    );
}

#[test]
fn what_the_store_says_is_used_is_a_drift_once_two_complete_syncs_agree() {
    let saying = |used: u64| {
        let mut said = item(D, "office", 5);
        said.store_used = Some(used);
        of_all(vec![said])
    };
    let given = [listed(D, 5), required("ada"), saying(3)];
    check(
        &given,
        saying(3),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_2
        drift_found after count 3 before count 1 drift drift_0 kind store_used
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 1
        = office: 1 of 5, 1 reserved
    "#]],
    );
    check(
        &given,
        saying(1),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_2
        store_used_stated used 1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 1 of 5, 1 reserved
    "#]],
    );
    check(
        &[&given[..], &[saying(3)]].concat(),
        saying(1),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_3
        store_used_stated used 1
        drift_resolved drift drift_0 resolution agreed
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_3 unchanged 0
        = office: 1 of 5, 1 reserved
    "#]],
    );
}

#[test]
fn an_inventory_of_some_pools_says_nothing_of_how_old_the_others_are() {
    let mut scenario = Scenario::after(&[of_all(office_and_visio())]);
    let before = scenario.now;
    scenario.play(&told_of(D, vec![item(D, "visio", 5), item(D, "notes", 1)]));
    let seen_at = [0, 1, 2].map(|pool| scenario.tenant.pool(PoolId(pool)).store_seen_at);
    assert_eq!(seen_at, [Some(before), Some(scenario.now), Some(scenario.now)]);
    scenario.assert_the_fold_is_the_state();
}

#[test]
fn a_sync_needs_a_link_and_to_be_enabled() {
    let off = settings(SettingsPatch { sync_enabled: Some(false), ..SettingsPatch::default() });
    check(
        &[off],
        of_all(office_and_visio()),
        expect![[r#"
        command_refused inventory sync_disabled
    "#]],
    );
}

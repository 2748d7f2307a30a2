//! rules.md §4 *Leaving and giving back*: devices retired, reservations timed out, deficits planned and reclaimed.

use super::scenario::check;
use super::steps::*;
use crate::domain::facts::{KeepOrRelease, PolicyPatch};
use expect_test::expect;

#[test]
fn a_retired_device_frees_its_seat_and_counts_as_uninstalled() {
    let given = [
        listed(Kind::Declared, 5),
        required("laptop"),
        installed("laptop", ""),
        told_of(Kind::Declared, vec![item(Kind::Declared, "visio", 5)]),
        required("ada").of("visio"),
        installed("laptop", "ada").of("visio"),
    ];
    check(
        &given,
        retired("laptop"),
        expect![[r#"
        device_retired laptop
        uninstalled laptop
        uninstalled visio ada laptop
        seat_released laptop device_retired
        seat_released visio ada device_retired lapsed
        = office: 0 of 5
        = visio: 0 of 5, lapsed: ada
    "#]],
    );
    let keep = PolicyPatch { on_device_retirement: Some(Some(KeepOrRelease::Keep)), ..PolicyPatch::default() };
    let given = [&given[..], &[policy(keep).of("visio")]].concat();
    check(
        &given,
        retired("laptop"),
        expect![[r#"
        device_retired laptop
        uninstalled laptop
        uninstalled visio ada laptop
        seat_idle visio ada
        seat_released laptop device_retired
        = office: 0 of 5
        = visio: 1 of 5, 1 reserved
    "#]],
    );
}

#[test]
fn a_retired_device_waits_no_more_before_its_own_retirement_frees_a_seat() {
    let given = [
        listed(Kind::Declared, 1),
        required("ada"),
        installed("laptop", "ada"),
        required_as_far_as_it_goes("laptop"),
        required_as_far_as_it_goes("bob"),
    ];
    check(
        &given,
        retired("laptop"),
        expect![[r#"
        device_retired laptop
        dequeued laptop uncovered
        uninstalled ada laptop
        seat_released ada device_retired lapsed
        seat_granted bob queue
        = office: 1 of 1, 1 reserved, lapsed: ada
    "#]],
    );
}

#[test]
fn a_wiped_device_is_the_same_holder_and_keeps_its_seat() {
    let given = [listed(Kind::Declared, 5), required("laptop"), installed("laptop", "")];
    check(
        &given,
        wiped("laptop"),
        expect![[r#"
        device_changed laptop primary_user ada
        device_reincarnated laptop
        uninstalled laptop
        seat_idle laptop
        = office: 1 of 5, 1 reserved
    "#]],
    );
}

#[test]
fn a_timeout_counts_from_the_last_entry_and_from_the_policy() {
    let timeout = reservations_time_out_after(7);
    // Set three days after the reservation: seven days from then.
    let given = [listed(Kind::Declared, 1), required("ada"), timeout.clone().days_later(3)];
    check(
        &given,
        days_pass(6),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 1 of 1, 1 reserved
    "#]],
    );
    check(
        &given,
        days_pass(7),
        expect![[r#"
        seat_released ada timed_out lapsed
        = office: 0 of 1, lapsed: ada
    "#]],
    );
    // Another policy set later does not start it anew.
    let given = [&given[..], &[untargeted(KeepOrRelease::Release).days_later(5)]].concat();
    check(
        &given,
        days_pass(2),
        expect![[r#"
        seat_released ada timed_out lapsed
        = office: 0 of 1, lapsed: ada
    "#]],
    );
    // Back to reserved by an uninstall: from there.
    let given = [
        listed(Kind::Declared, 1),
        on_uninstall(KeepOrRelease::Keep),
        timeout,
        required("ada"),
        installed("laptop", "ada"),
        uninstalled("laptop", "ada").days_later(5),
    ];
    check(
        &given,
        days_pass(6),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 1 of 1, 1 reserved
    "#]],
    );
    check(
        &given,
        days_pass(7),
        expect![[r#"
        seat_released ada timed_out lapsed
        = office: 0 of 1, lapsed: ada
    "#]],
    );
}

#[test]
fn a_timeout_does_not_run_while_unconfirmed() {
    let given = [listed(Kind::Apple, 1), reservations_time_out_after(7), required("ada")];
    check(
        &given,
        days_pass(30),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 1 of 1, 1 reserved
    "#]],
    );
    let given = [&given[..], &[confirmed("ada").days_later(30)]].concat();
    check(
        &given,
        days_pass(6),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 1 of 1, 1 reserved
    "#]],
    );
    check(
        &given,
        days_pass(7),
        expect![[r#"
        seat_releasing ada timed_out lapsed
        = office: 1 of 1, 1 releasing, lapsed: ada
    "#]],
    );
}

#[test]
fn seats_already_untargeted_stay_when_the_policy_is_set() {
    let given = [listed(Kind::Declared, 1), required("ada"), installed("laptop", "ada"), unassigned(0)];
    check(
        &given,
        untargeted(KeepOrRelease::Release),
        expect![[r#"
        pool_policy_changed policy (deficit plan on_uninstall release untargeted release)
        = office: 1 of 1, 1 in use
    "#]],
    );
}

/// One of every rank: eve departed in grace, dee reserved and cy in use untargeted, bob reserved, ada in use; the
/// desk's seat is foreign.
fn every_rank() -> Vec<super::scenario::Step> {
    vec![
        listed(Kind::Apple, 9),
        required("ada"),
        required("bob"),
        required("cy"),
        required("eve"),
        installed("laptop", "ada"),
        installed("old", "cy"),
        unassigned(2),
        grace_of(7),
        deactivated("eve"),
        seen("desk"),
        seen("dee"),
        adopted("dee"),
    ]
}

#[test]
fn a_deficit_is_planned_in_order_and_says_what_it_does_not_reach() {
    use crate::domain::ids::PoolId;
    let scenario = super::scenario::Scenario::after(&[every_rank(), vec![listed(Kind::Apple, 0)]].concat());
    let plan = scenario.tenant.deficit_plan(PoolId(0));
    let told: Vec<_> =
        plan.seats.iter().map(|(holder, rank)| format!("{} {rank:?}", super::scenario::name(*holder))).collect();
    expect![[r#"
        eve DepartedInGrace
        dee ReservedUntargeted
        cy InUseUntargeted
        bob Reserved
        ada InUse
        uncovered by 1"#]]
    .assert_eq(&format!("{}\nuncovered by {}", told.join("\n"), plan.uncovered_by));
}

#[test]
fn a_deficit_plan_takes_as_many_as_are_over_less_those_releasing() {
    let given = [every_rank(), vec![reclaimed("bob"), listed(Kind::Apple, 3)]].concat();
    check(
        &given,
        deficit_resolved(),
        expect![[r#"
        seat_releasing eve deficit_plan
        seat_releasing dee deficit_plan
        = office: 6 of 3, 2 in use, 3 releasing, 1 foreign, lapsed: bob, over 3
    "#]],
    );
    let given = [given, vec![deficit_resolved()]].concat();
    check(
        &given,
        deficit_resolved(),
        expect![[r#"
        command_unchanged resolve_deficit about pool office
        = office: 6 of 3, 2 in use, 3 releasing, 1 foreign, lapsed: bob, over 3
    "#]],
    );
}

#[test]
fn within_a_rank_the_newest_grant_goes_first() {
    let given =
        [listed(Kind::Declared, 3), required("cy"), required("ada"), required("bob"), listed(Kind::Declared, 2)];
    check(
        &given,
        deficit_resolved(),
        expect![[r#"
        seat_released bob deficit_plan lapsed
        = office: 2 of 2, 2 reserved, lapsed: bob
    "#]],
    );
}

#[test]
fn a_pool_that_reclaims_does_so_in_the_same_batch() {
    let given = [listed(Kind::Declared, 2), required("ada"), required("bob"), deficits_are_reclaimed()];
    check(
        &given,
        listed(Kind::Declared, 1),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        capacity_changed unexplained owned count 1
        drift_found after count 1 before count 2 drift drift_0 kind owned_fell
        seat_released bob deficit_plan lapsed
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 1 of 1, 1 reserved, lapsed: bob
    "#]],
    );
    // Set on while over: at once. A foreign seat that brings it over: in the same batch.
    let given = [listed(Kind::Declared, 2), required("ada"), required("bob"), listed(Kind::Declared, 1)];
    check(
        &given,
        deficits_are_reclaimed(),
        expect![[r#"
        pool_policy_changed policy (deficit reclaim on_uninstall release untargeted keep)
        seat_released bob deficit_plan lapsed
        = office: 1 of 1, 1 reserved, lapsed: bob
    "#]],
    );
    let given = [listed(Kind::Apple, 1), deficits_are_reclaimed(), required("ada")];
    check(
        &given,
        seen("bob"),
        expect![[r#"
        foreign_seat_seen bob
        seat_releasing ada deficit_plan lapsed
        = office: 2 of 1, 1 releasing, 1 foreign, lapsed: ada, over 1
    "#]],
    );
}

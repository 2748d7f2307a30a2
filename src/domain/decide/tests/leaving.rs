//! rules.md §4 *Leaving and giving back*: departures, grace, returns, retirements, timeouts, deficits.

use super::scenario::check;
use super::steps::*;
use crate::domain::facts::{KeepOrRelease, PolicyPatch};
use expect_test::expect;

/// Two pools: ada holds both, one in use.
fn two_pools(kind: Kind) -> Vec<super::scenario::Step> {
    vec![
        told_of(kind, vec![item(kind, "office", 2), item(kind, "visio", 2)]),
        people("staff", &["ada", "bob"]),
        required("staff"),
        required("ada").of("visio"),
        installed("laptop", "ada").of("visio"),
    ]
}

#[test]
fn departure_releases_every_seat_in_one_batch_and_keeps_the_memberships() {
    check(&two_pools(Kind::Declared), deactivated("ada"), expect![[""]]);
}

#[test]
fn departure_takes_the_user_out_of_every_queue_and_ends_a_lapse() {
    let given = [
        listed(Kind::Declared, 1),
        people("staff", &["bob", "ada"]),
        required_as_far_as_it_goes("staff"),
        reclaimed("bob"),
    ];
    check(&given, deactivated("bob"), expect![[""]]);
    let given = [listed(Kind::Declared, 1), people("staff", &["bob", "ada"]), required_as_far_as_it_goes("staff")];
    check(&given, deactivated("ada"), expect![[""]]);
}

#[test]
fn a_departure_serves_who_waits() {
    let given = [listed(Kind::Declared, 1), people("staff", &["bob", "ada"]), required_as_far_as_it_goes("staff")];
    check(&given, deactivated("bob"), expect![[""]]);
}

#[test]
fn devices_keep_their_seats_unless_they_are_retired_with_the_user() {
    let given = [
        listed(Kind::Declared, 5),
        required("laptop"),
        installed("laptop", ""),
        required("ada"),
        installed("tablet", "ada"),
    ];
    check(&given, deactivated("ada"), expect![[""]]);
    check(&given, deactivated_with_devices("ada"), expect![[""]]);
}

#[test]
fn a_departed_user_who_is_deleted_later_frees_the_name_and_does_not_return() {
    let given = [listed(Kind::Declared, 2), required("ada"), deactivated("ada")];
    check(&given, deleted("ada"), expect![[""]]);
    check(&given, deactivated("ada"), expect![[""]]);
    let given = [&given[..], &[deleted("ada")]].concat();
    check(&given, returned("ada"), expect![[""]]);
    check(&given, deleted("ada"), expect![[""]]);
}

#[test]
fn a_grace_postpones_the_release_and_ends_queue_places_and_own_assignments() {
    let given = [
        told_of(Kind::Declared, vec![item(Kind::Declared, "office", 1), item(Kind::Declared, "visio", 0)]),
        required("ada"),
        required_as_far_as_it_goes("ada").of("visio"),
        grace_of(7),
    ];
    check(&given, deactivated("ada"), expect![[""]]);
    let given = [&given[..], &[deactivated("ada")]].concat();
    check(&given, days_pass(6), expect![[""]]);
    check(&given, days_pass(7), expect![[""]]);
}

#[test]
fn in_grace_no_loss_of_coverage_releases_and_installs_take_no_new_seat() {
    let given = [
        listed(Kind::Declared, 2),
        people("staff", &["ada"]),
        required("staff"),
        grace_of(7),
        deactivated("ada"),
    ];
    check(&given, people("staff", &[]), expect![[""]]);
    check(&given, installed("laptop", "ada"), expect![[""]]);
    let seatless = [listed(Kind::Declared, 2), people("staff", &["ada"]), available("staff"), grace_of(7), deactivated("ada")];
    check(&seatless, installed("laptop", "ada"), expect![[""]]);
}

#[test]
fn a_return_within_the_grace_changes_no_seat() {
    let given = [listed(Kind::Declared, 2), required("ada"), grace_of(7), deactivated("ada")];
    check(&given, returned("ada").days_later(3), expect![[""]]);
    let given = [&given[..], &[returned("ada")]].concat();
    check(&given, days_pass(30), expect![[""]]);
}

#[test]
fn a_return_within_the_window_is_covered_by_groups_again_and_offered_the_rest() {
    let given = [two_pools(Kind::Declared), vec![deactivated("ada")]].concat();
    check(&given, returned("ada").days_later(30), expect![[""]]);
    let given = [given, vec![returned("ada")]].concat();
    check(&given, granted("ada").of("visio"), expect![[""]]);
}

#[test]
fn a_later_return_is_offered_nothing() {
    let given = [two_pools(Kind::Declared), vec![deactivated("ada")]].concat();
    check(&given, returned("ada").days_later(31), expect![[""]]);
    let given = [given, vec![returned("ada").days_later(31)]].concat();
    check(&given, granted("ada").of("visio"), expect![[""]]);
}

#[test]
fn a_return_is_offered_a_seat_that_is_still_releasing() {
    let given = [listed(Kind::Apple, 1), required("ada"), confirmed("ada"), deactivated("ada")];
    check(&given, returned("ada"), expect![[""]]);
    let given = [&given[..], &[returned("ada")]].concat();
    check(&given, granted("ada"), expect![[""]]);
    // Only what was ours is offered.
    let given = [listed(Kind::Apple, 1), seen("ada"), deactivated("ada"), absent("ada")];
    check(&given, returned("ada"), expect![[""]]);
}

#[test]
fn a_flagged_regrant_does_not_outlive_its_coverage() {
    let given = [
        listed(Kind::Apple, 1),
        people("staff", &["ada"]),
        required("staff"),
        confirmed("ada"),
        reclaimed("ada"),
        release_sent("ada"),
        granted("ada"),
        deactivated("ada"),
    ];
    check(&given, release_confirmed("ada"), expect![[""]]);
}

#[test]
fn one_who_has_not_departed_does_not_return() {
    check(&[], returned("ada"), expect![[""]]);
}

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
    check(&given, retired("laptop"), expect![[""]]);
    let keep = PolicyPatch { on_device_retirement: Some(Some(KeepOrRelease::Keep)), ..PolicyPatch::default() };
    let given = [&given[..], &[policy(keep).of("visio")]].concat();
    check(&given, retired("laptop"), expect![[""]]);
}

#[test]
fn a_wiped_device_is_the_same_holder_and_keeps_its_seat() {
    let given = [listed(Kind::Declared, 5), required("laptop"), installed("laptop", "")];
    check(&given, wiped("laptop"), expect![[""]]);
}

#[test]
fn a_timeout_counts_from_the_last_entry_and_from_the_policy() {
    let timeout = reservations_time_out_after(7);
    // Set three days after the reservation: seven days from then.
    let given = [listed(Kind::Declared, 1), required("ada"), timeout.clone().days_later(3)];
    check(&given, days_pass(6), expect![[""]]);
    check(&given, days_pass(7), expect![[""]]);
    // Another policy set later does not start it anew.
    let given = [&given[..], &[untargeted(KeepOrRelease::Release).days_later(5)]].concat();
    check(&given, days_pass(2), expect![[""]]);
    // Back to reserved by an uninstall: from there.
    let given = [
        listed(Kind::Declared, 1),
        on_uninstall(KeepOrRelease::Keep),
        timeout,
        required("ada"),
        installed("laptop", "ada"),
        uninstalled("laptop", "ada").days_later(5),
    ];
    check(&given, days_pass(6), expect![[""]]);
    check(&given, days_pass(7), expect![[""]]);
}

#[test]
fn a_timeout_does_not_run_while_unconfirmed() {
    let given = [listed(Kind::Apple, 1), reservations_time_out_after(7), required("ada")];
    check(&given, days_pass(30), expect![[""]]);
    let given = [&given[..], &[confirmed("ada").days_later(30)]].concat();
    check(&given, days_pass(6), expect![[""]]);
    check(&given, days_pass(7), expect![[""]]);
}

#[test]
fn seats_already_untargeted_stay_when_the_policy_is_set() {
    let given = [listed(Kind::Declared, 1), required("ada"), installed("laptop", "ada"), unassigned(0)];
    check(&given, untargeted(KeepOrRelease::Release), expect![[""]]);
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
    let told: Vec<_> = plan.seats.iter().map(|(holder, rank)| format!("{} {rank:?}", super::scenario::name(*holder))).collect();
    expect![[""]].assert_eq(&format!("{}\nuncovered by {}", told.join("\n"), plan.uncovered_by));
}

#[test]
fn a_deficit_plan_takes_as_many_as_are_over_less_those_releasing() {
    let given = [every_rank(), vec![reclaimed("bob"), listed(Kind::Apple, 3)]].concat();
    check(&given, deficit_resolved(), expect![[""]]);
    let given = [given, vec![deficit_resolved()]].concat();
    check(&given, deficit_resolved(), expect![[""]]);
}

#[test]
fn within_a_rank_the_newest_grant_goes_first() {
    let given = [listed(Kind::Declared, 3), required("cy"), required("ada"), required("bob"), listed(Kind::Declared, 2)];
    check(&given, deficit_resolved(), expect![[""]]);
}

#[test]
fn a_pool_that_reclaims_does_so_in_the_same_batch() {
    let given = [listed(Kind::Declared, 2), required("ada"), required("bob"), deficits_are_reclaimed()];
    check(&given, listed(Kind::Declared, 1), expect![[""]]);
    // Set on while over: at once. A foreign seat that brings it over: in the same batch.
    let given = [listed(Kind::Declared, 2), required("ada"), required("bob"), listed(Kind::Declared, 1)];
    check(&given, deficits_are_reclaimed(), expect![[""]]);
    let given = [listed(Kind::Apple, 1), deficits_are_reclaimed(), required("ada")];
    check(&given, seen("bob"), expect![[""]]);
}

//! rules.md §4 *Assigning*: intents, modes, the queue, who holds, who is eligible, changes of groups.

use super::scenario::{Step, check, check_each};
use super::steps::*;
use crate::domain::command::ProviderReport;
use crate::domain::facts::{DistributionPolicy, GroupKind, KeepOrRelease, Licensing};
use expect_test::expect;

#[test]
fn one_seat_per_holder_however_many_assignments() {
    check(
        &[listed(Kind::Declared, 2), required("ada"), people("staff", &["ada"])],
        required("staff"),
        expect![[""]],
    );
}

#[test]
fn the_same_assignment_again_is_unchanged() {
    check(&[listed(Kind::Declared, 2), required("ada")], required("ada"), expect![[""]]);
}

#[test]
fn the_same_target_with_another_intent_or_mode_is_refused() {
    let given = [listed(Kind::Declared, 2), required("ada")];
    check(&given, available("ada"), expect![[""]]);
    check(&given, required_as_far_as_it_goes("ada"), expect![[""]]);
}

#[test]
fn a_mode_goes_only_with_required() {
    let mut step = available("ada");
    let Step { intake: crate::domain::command::Intake::Command(crate::domain::command::Command::Assign { mode, .. }), .. } =
        &mut step
    else {
        panic!("an assignment")
    };
    *mode = Some(crate::domain::facts::Mode::Fill);
    check(&[listed(Kind::Declared, 2)], step, expect![[""]]);
}

#[test]
fn all_or_nothing_is_refused_with_what_is_short_and_the_ways_out() {
    // ada's reservation could go by narrowing, bob's install by an uninstall.
    check(
        &[
            listed(Kind::Declared, 3),
            required("ada"),
            required("bob"),
            installed("desk", "bob"),
            people("staff", &["bob", "cy", "dee", "eve"]),
        ],
        required("staff"),
        expect![[""]],
    );
}

#[test]
fn the_ways_out_are_honest_where_they_free_nothing() {
    // Apple keeps at an uninstall what is covered, and by default what is no longer targeted; books never come back.
    let given = |kind| vec![listed(kind, 1), required("ada"), installed("laptop", "ada")];
    check_each(&[Kind::Online, Kind::Apple, Kind::Books], given, required("bob"), expect![[""]]);
    // A seat that nothing targets is freed by an uninstall, not by narrowing.
    check(
        &[listed(Kind::Apple, 1), required("ada"), installed("laptop", "ada"), unassigned(0)],
        required("bob"),
        expect![[""]],
    );
}

#[test]
fn fill_grants_in_the_order_of_joining_and_queues_the_rest() {
    check(
        &[
            listed(Kind::Declared, 2),
            people("staff", &["dee", "bob"]),
            people("staff", &["ada", "bob", "cy", "dee"]),
        ],
        required_as_far_as_it_goes("staff"),
        expect![[""]],
    );
}

#[test]
fn the_mode_binds_at_the_assignment_and_later_members_are_granted_or_queued() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada"]), required("staff")],
        people("staff", &["ada", "cy", "bob"]),
        expect![[""]],
    );
}

#[test]
fn available_reserves_nothing_and_needs_a_free_seat() {
    check(&[listed(Kind::Declared, 1)], available("ada"), expect![[""]]);
    check(&[listed(Kind::Declared, 1), required("bob")], available("ada"), expect![[""]]);
}

#[test]
fn uninstall_is_never_refused_and_releases_reservations_only() {
    check(
        &[
            listed(Kind::Declared, 2),
            people("staff", &["ada", "bob"]),
            available("staff"),
            granted("ada"),
            installed("desk", "bob"),
            people("leavers", &["ada", "bob"]),
        ],
        to_be_uninstalled("leavers"),
        expect![[""]],
    );
}

#[test]
fn an_uninstall_that_was_asked_for_releases_whatever_the_policy() {
    check(
        &[
            listed(Kind::Declared, 2),
            on_uninstall(KeepOrRelease::Keep),
            people("staff", &["ada"]),
            available("staff"),
            installed("laptop", "ada"),
            to_be_uninstalled("ada"),
        ],
        uninstalled("laptop", "ada"),
        expect![[""]],
    );
}

#[test]
fn required_prevails_over_uninstall() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada"]), required("staff")],
        to_be_uninstalled("ada"),
        expect![[""]],
    );
}

#[test]
fn uninstall_prevails_over_available() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada"]), available("staff"), to_be_uninstalled("ada")],
        installed("laptop", "ada"),
        expect![[""]],
    );
}

#[test]
fn what_is_available_to_the_user_prevails_over_an_uninstall_on_the_device() {
    check(
        &[listed(Kind::Online, 2), available("ada"), to_be_uninstalled("laptop")],
        installed("laptop", "ada"),
        expect![[""]],
    );
}

#[test]
fn a_released_seat_serves_the_queue_in_its_order() {
    check(
        &[
            listed(Kind::Declared, 1),
            required("ada"),
            required_as_far_as_it_goes("dee"),
            required_as_far_as_it_goes("bob"),
        ],
        reclaimed("ada"),
        expect![[""]],
    );
}

#[test]
fn a_purchase_and_a_switch_to_open_serve_the_queue() {
    let given = [listed(Kind::Declared, 0), people("staff", &["cy", "bob", "ada"]), required_as_far_as_it_goes("staff")];
    check(&given, listed(Kind::Declared, 2), expect![[""]]);
    let mut open = item(Kind::Declared, "office", 0);
    open.distribution_policy = DistributionPolicy::Open;
    check(&given, told_of(Kind::Declared, vec![open]), expect![[""]]);
}

#[test]
fn a_suspended_pool_refuses_grants_and_serves_nobody() {
    let given = [listed(Kind::Apple, 1), required("ada"), required_as_far_as_it_goes("bob"), store(ProviderReport::Suspended)];
    check(&given, required("cy"), expect![[""]]);
    check(&given, unassigned(0), expect![[""]]);
    let released = [&given[..], &[unassigned(0), release_confirmed("ada")]].concat();
    check(&released, store(ProviderReport::Resumed), expect![[""]]);
}

#[test]
fn after_not_enough_nobody_is_served_until_a_complete_sync() {
    let given = [listed(Kind::Apple, 3), required("ada"), required("bob"), not_enough("bob")];
    check(&given, required_as_far_as_it_goes("cy"), expect![[""]]);
    check(&given, installed("desk", "bob"), expect![[""]]);
    let given = [&given[..], &[required_as_far_as_it_goes("cy")]].concat();
    check(&given, store(ProviderReport::SyncedWhole), expect![[""]]);
}

#[test]
fn a_holder_who_departs_or_need_not_have_it_any_more_leaves_the_queue() {
    let given = [listed(Kind::Declared, 0), people("staff", &["ada", "bob"]), required_as_far_as_it_goes("staff")];
    check(&given, deactivated("ada"), expect![[""]]);
    check(&given, people("staff", &["bob"]), expect![[""]]);
}

#[test]
fn a_device_target_of_an_online_pool_reserves_for_its_primary_user() {
    check(
        &[listed(Kind::Online, 5), machines("fleet", &["kiosk", "tablet", "laptop", "desk", "old"])],
        required("fleet"),
        expect![[""]],
    );
}

#[test]
fn a_device_target_of_an_online_pool_covers_whoever_installs_there() {
    check(&[listed(Kind::Online, 2), available("kiosk")], installed("kiosk", "eve"), expect![[""]]);
}

#[test]
fn a_device_target_of_other_pools_reserves_for_the_device() {
    check_each(&[Kind::Offline, Kind::Apple, Kind::Declared], |kind| vec![listed(kind, 2)], required("kiosk"), expect![[""]]);
}

#[test]
fn apple_licensing_says_who_holds() {
    let given = [listed(Kind::Apple, 2)];
    check(&given, required("laptop").licensed_to(Licensing::User), expect![[""]]);
    check(&given, required("laptop").licensed_to(Licensing::Device), expect![[""]]);
    check(&given, required("ada").licensed_to(Licensing::Device), expect![[""]]);
    check(&[listed(Kind::Declared, 2)], required("laptop").licensed_to(Licensing::User), expect![[""]]);
}

#[test]
fn a_user_and_a_device_of_a_mixed_group_are_two_holders() {
    check(
        &[listed(Kind::Declared, 2), group(GroupKind::Mixed, "all", &["ada", "laptop"])],
        required("all"),
        expect![[""]],
    );
}

#[test]
fn an_exclusion_counts_only_against_its_own_kind() {
    check(
        &[
            listed(Kind::Declared, 5),
            group(GroupKind::Mixed, "all", &["ada", "bob", "laptop", "desk"]),
            people("managers", &["ada", "bob"]),
        ],
        required_but_for("all", "managers"),
        expect![[""]],
    );
}

#[test]
fn a_change_of_the_exclusion_is_judged_and_its_deletion_excludes_nobody() {
    let given = [
        listed(Kind::Declared, 5),
        people("staff", &["ada", "bob"]),
        people("managers", &["ada"]),
        required_but_for("staff", "managers"),
    ];
    check(&given, people("managers", &["bob"]), expect![[""]]);
    check(&given, group_deleted("managers"), expect![[""]]);
}

#[test]
fn a_holder_in_two_targeted_groups_stays_covered() {
    check(
        &[
            listed(Kind::Declared, 2),
            people("staff", &["ada"]),
            people("sales", &["ada"]),
            required("staff"),
            required("sales"),
        ],
        people("staff", &[]),
        expect![[""]],
    );
}

#[test]
fn deleting_a_group_ends_what_targets_it() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada", "bob"]), required("staff"), installed("desk", "bob")],
        group_deleted("staff"),
        expect![[""]],
    );
}

#[test]
fn windows_devices_are_eligible_from_build_10586_and_when_joined() {
    let given = [listed(Kind::Offline, 9)];
    check(&given, required("tablet"), expect![[""]]);
    check(&given, required("old"), expect![[""]]);
    use crate::domain::facts::Join;
    for (join, build, is_eligible) in [
        (Join::Domain, Some(10_586), true),
        (Join::Entra, Some(10_586), true),
        (Join::Workplace, Some(10_586), true),
        (Join::None, Some(10_586), false),
        (Join::Domain, Some(10_585), false),
        (Join::Domain, None, false),
    ] {
        let put = device_put("kiosk", |facts| (facts.join, facts.os_build) = (join, build));
        let mut scenario = super::scenario::Scenario::after(&[listed(Kind::Offline, 9), put]);
        let answer = scenario.play(&required("kiosk")).answer();
        assert_eq!((answer.reserved == 1, answer.skipped.is_empty()), (is_eligible, is_eligible), "{join:?} {build:?}");
    }
}

#[test]
fn an_apple_device_needs_a_serial_number_only_for_a_seat_of_its_own() {
    let given = [listed(Kind::Apple, 9)];
    check(&given, required("byod"), expect![[""]]);
    check(&given, required("byod").licensed_to(Licensing::User), expect![[""]]);
    check(&[listed(Kind::Apple, 9), available("eve")], installed("byod", "eve"), expect![[""]]);
}

#[test]
fn ineligible_devices_are_skipped_and_not_short() {
    check(
        &[listed(Kind::Offline, 1), machines("fleet", &["old", "kiosk"])],
        required("fleet"),
        expect![[""]],
    );
}

#[test]
fn a_device_that_is_no_longer_eligible_loses_its_reservation_and_one_that_becomes_so_gets_it() {
    let given = [listed(Kind::Offline, 1), machines("fleet", &["old", "kiosk"]), required("fleet")];
    check(&given, device_put("kiosk", |facts| facts.os_build = Some(10_240)), expect![[""]]);
    let given = [listed(Kind::Offline, 2), machines("fleet", &["old"]), required("fleet")];
    check(&given, device_put("old", |facts| facts.os_build = Some(19_045)), expect![[""]]);
}

#[test]
fn a_lapsed_holder_is_not_reserved_again_by_itself() {
    let lapsed = [
        listed(Kind::Declared, 2),
        people("staff", &["ada"]),
        required("staff"),
        reclaimed("ada"),
        people("sales", &["ada"]),
        available("sales"),
    ];
    // Coverage that joins the first does not wake it; a new assignment, a grant and an install do.
    let given = [&lapsed[..], &[people("late", &[]), required("late")]].concat();
    check(&given, people("late", &["ada"]), expect![[""]]);
    check(&lapsed, required("ada"), expect![[""]]);
    check(&lapsed, granted("ada"), expect![[""]]);
    check(&lapsed, installed("laptop", "ada"), expect![[""]]);
}

#[test]
fn a_lapse_ends_with_its_coverage() {
    let given = [listed(Kind::Declared, 2), people("staff", &["ada"]), required("staff"), reclaimed("ada")];
    check(&given, people("staff", &[]), expect![[""]]);
    let given = [&given[..], &[people("staff", &[])]].concat();
    check(&given, people("staff", &["ada"]), expect![[""]]);
}

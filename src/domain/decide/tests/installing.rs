//! rules.md §4 *Installing*: which seat an install uses, what is refused, what a report records.

use super::scenario::{check, check_each};
use super::steps::*;
use crate::domain::facts::{GroupKind, KeepOrRelease};
use expect_test::expect;

#[test]
fn a_covered_holder_takes_a_free_seat_and_finds_none_when_all_are_held() {
    check(
        &[listed(Kind::Declared, 1), available("ada")],
        installed("laptop", "ada"),
        expect![[r#"
        seat_granted ada install in_use
        installed ada laptop ada
        = office: 1 of 1, 1 in use
    "#]],
    );
    check(
        &[listed(Kind::Declared, 1), available("ada"), required("bob")],
        installed("laptop", "ada"),
        expect![[r#"
        command_refused install ada no_seat_available figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 1 uninstall_would_free 0)
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn a_queued_holder_finds_none_and_keeps_its_place() {
    check(
        &[listed(Kind::Declared, 1), required("bob"), required_as_far_as_it_goes("ada")],
        installed("laptop", "ada"),
        expect![[r#"
            command_refused install ada no_seat_available figures (held 1 owned count 1 queued 1) remedies (buy_would_free 1 narrow_would_free 1 uninstall_would_free 0)
            = office: 1 of 1, 1 reserved, waiting: ada
        "#]],
    );
}

#[test]
fn an_uncovered_install_is_refused_unless_it_holds_the_seat() {
    check(
        &[listed(Kind::Declared, 1)],
        installed("laptop", "ada"),
        expect![[r#"
        command_refused install ada not_assigned
        = office: 0 of 1
    "#]],
    );
    check(
        &[listed(Kind::Declared, 1), required("ada"), installed("laptop", "ada"), unassigned(0)],
        installed("tablet", "ada"),
        expect![[r#"
            installed ada tablet ada
            = office: 1 of 1, 1 in use
        "#]],
    );
}

#[test]
fn three_devices_are_one_seat() {
    check(
        &[listed(Kind::Online, 1), available("ada"), installed("laptop", "ada"), installed("tablet", "ada")],
        installed("desk", "ada"),
        expect![[r#"
            installed ada desk ada
            = office: 1 of 1, 1 in use
        "#]],
    );
}

#[test]
fn a_report_that_would_be_refused_is_an_unlicensed_install() {
    check(
        &[listed(Kind::Declared, 1)],
        reported_installed("laptop", "ada"),
        expect![[r#"
        installed ada laptop is_report
        = office: 0 of 1, 1 unlicensed
    "#]],
    );
    check(
        &[listed(Kind::Declared, 2), available("ada"), required("bob"), required("cy")],
        reported_installed("laptop", "ada"),
        expect![[r#"
            installed ada laptop is_report
            = office: 2 of 2, 2 reserved, 1 unlicensed
        "#]],
    );
    check(
        &[listed(Kind::Offline, 1), required("ada")],
        reported_installed("old", "ada"),
        expect![[r#"
        installed ada old is_report
        = office: 1 of 1, 1 reserved, 1 unlicensed
    "#]],
    );
}

#[test]
fn a_report_of_what_may_be_is_like_the_command() {
    check(
        &[listed(Kind::Declared, 1), available("ada")],
        reported_installed("laptop", "ada"),
        expect![[r#"
        seat_granted ada install in_use
        installed ada laptop ada is_report
        = office: 1 of 1, 1 in use
    "#]],
    );
}

#[test]
fn an_unlicensed_install_is_in_use_once_it_must_be_there() {
    let given =
        [listed(Kind::Declared, 1), reported_installed("laptop", "ada"), people("staff", &[]), required("staff")];
    check(
        &given,
        people("staff", &["ada"]),
        expect![[r#"
        members_added group_0 [ada]
        seat_granted ada coverage in_use
        = office: 1 of 1, 1 in use
    "#]],
    );
    // What is only available to it leaves it as it is, until it is installed again.
    let given = [listed(Kind::Declared, 1), reported_installed("laptop", "ada"), available("ada")];
    check(
        &given,
        installed("laptop", "ada"),
        expect![[r#"
        seat_granted ada install in_use
        install_licensed ada laptop ada
        = office: 1 of 1, 1 in use
    "#]],
    );
}

#[test]
fn an_ineligible_device_is_refused() {
    check(
        &[listed(Kind::Online, 1), required("cy")],
        installed("old", "cy"),
        expect![[r#"
        command_refused install cy device_not_eligible
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn an_install_for_all_users_needs_a_pool_that_devices_hold() {
    check(
        &[listed(Kind::Online, 1)],
        installed("laptop", ""),
        expect![[r#"
        command_refused install laptop all_users_not_allowed
        = office: 0 of 1
    "#]],
    );
    check_each(
        &[Kind::Offline, Kind::Apple, Kind::Declared],
        |kind| vec![listed(kind, 1), required("laptop")],
        installed("laptop", ""),
        expect![[r#"
            -- Offline Apple Declared
            seat_taken laptop
            installed laptop laptop
            = office: 1 of 1, 1 in use
        "#]],
    );
}

#[test]
fn per_user_installs_attach_to_the_seat_of_the_device() {
    check(
        &[listed(Kind::Declared, 2), required("laptop"), installed("laptop", ""), available("eve")],
        installed("laptop", "eve"),
        expect![[r#"
            installed eve laptop laptop
            = office: 1 of 2, 1 in use
        "#]],
    );
}

#[test]
fn an_install_prefers_a_held_device_seat_then_a_held_user_seat_then_device_coverage_then_user_coverage() {
    let two = group(GroupKind::Mixed, "all", &["ada", "laptop"]);
    // Both held: the device's.
    check(
        &[listed(Kind::Declared, 2), two.clone(), required("all")],
        installed("laptop", "ada"),
        expect![[r#"
        seat_taken laptop
        installed ada laptop laptop
        = office: 2 of 2, 1 reserved, 1 in use
    "#]],
    );
    // Only the user's held, the device covered: the user's.
    check(
        &[listed(Kind::Declared, 2), required("ada"), available("laptop")],
        installed("laptop", "ada"),
        expect![[r#"
            seat_taken ada
            installed ada laptop ada
            = office: 1 of 2, 1 in use
        "#]],
    );
    // None held, both covered: the device takes one.
    check(
        &[listed(Kind::Declared, 2), two, available("all")],
        installed("laptop", "ada"),
        expect![[r#"
        seat_granted laptop install in_use
        installed ada laptop laptop
        = office: 1 of 2, 1 in use
    "#]],
    );
    // Only the user covered.
    check(
        &[listed(Kind::Declared, 2), available("ada")],
        installed("laptop", "ada"),
        expect![[r#"
        seat_granted ada install in_use
        installed ada laptop ada
        = office: 1 of 2, 1 in use
    "#]],
    );
}

#[test]
fn across_kinds_required_prevails_and_then_what_is_available_to_the_user() {
    // The user must have it, the device must not: the user's seat.
    check(
        &[listed(Kind::Declared, 2), required("ada"), to_be_uninstalled("laptop")],
        installed("laptop", "ada"),
        expect![[r#"
            seat_taken ada
            installed ada laptop ada
            = office: 1 of 2, 1 in use
        "#]],
    );
    // The user must not have it, the device must: the device's seat.
    check(
        &[listed(Kind::Declared, 2), to_be_uninstalled("ada"), required("laptop")],
        installed("laptop", "ada"),
        expect![[r#"
            seat_taken laptop
            installed ada laptop laptop
            = office: 1 of 2, 1 in use
        "#]],
    );
    // Available to the user, uninstalled from the device: available.
    check(
        &[listed(Kind::Declared, 2), available("ada"), to_be_uninstalled("laptop")],
        installed("laptop", "ada"),
        expect![[r#"
            seat_granted ada install in_use
            installed ada laptop ada
            = office: 1 of 2, 1 in use
        "#]],
    );
}

#[test]
fn a_foreign_seat_is_taken_by_an_install_of_its_holder() {
    check(
        &[listed(Kind::Online, 1), available("ada"), seen("ada")],
        installed("laptop", "ada"),
        expect![[r#"
        foreign_seat_adopted ada in_use
        installed ada laptop ada
        = office: 1 of 1, 1 in use
    "#]],
    );
}

#[test]
fn what_is_unknown_is_not_found_and_leaves_no_refusal() {
    use crate::domain::command::{Command, DeviceRef, Intake, PoolRef, UserRef};
    use crate::domain::ids::{DeviceId, PoolId, UserId};
    let given = [listed(Kind::Declared, 1)];
    let install = |pool: u32, device: u32, user: u32| {
        let (pool, device) = (PoolRef::Id(PoolId(pool)), DeviceRef::Id(DeviceId(device)));
        Intake::Command(Command::Install { pool, device, user: Some(UserRef::Id(UserId(user))), is_report: false })
    };
    for (step, rule) in [
        (install(9, 0, 0), "pool-not-found"),
        (install(0, 99, 0), "device-not-found"),
        (install(0, 0, 99), "user-not-found"),
    ] {
        let mut scenario = super::scenario::Scenario::after(&given);
        let judged = scenario.play(&step.clone().into());
        assert_eq!(judged.answer().rejection.map(|rejection| rejection.name()), Some(rule));
        assert_eq!((judged.events.len(), scenario.tenant.pool(PoolId(0)).refused), (0, 0), "{rule}");
        // With an id it leaves the receipt, and still counts as no refusal.
        let judged = scenario.play(&super::scenario::Step::from(step).with_id("once"));
        assert_eq!((judged.events.len(), scenario.tenant.pool(PoolId(0)).refused), (1, 0), "{rule}");
    }
}

#[test]
fn what_a_devices_seat_leaves_behind_is_licensed_by_its_users() {
    let fleet = || group(GroupKind::Mixed, "all", &["ada", "laptop"]);
    let given = [listed(Kind::Declared, 3), fleet(), required("all"), installed("laptop", "ada")];
    check(
        &given,
        reclaimed("laptop"),
        expect![[r#"
        seat_released laptop reclaimed lapsed
        seat_taken ada
        install_licensed ada laptop ada
        = office: 1 of 3, 1 in use, lapsed: laptop
    "#]],
    );
    // At whichever end, and only where a seat is left.
    check(
        &given,
        group(GroupKind::Mixed, "all", &["ada"]),
        expect![[r#"
        members_removed group_0 [laptop]
        = office: 2 of 3, 1 reserved, 1 in use
    "#]],
    );
    let released = [&given[..], &[untargeted(KeepOrRelease::Release)]].concat();
    check(
        &released,
        group(GroupKind::Mixed, "all", &["ada"]),
        expect![[r#"
        members_removed group_0 [laptop]
        seat_released laptop uncovered
        seat_taken ada
        install_licensed ada laptop ada
        = office: 1 of 3, 1 in use
    "#]],
    );
    check(
        &released,
        unassigned(0),
        expect![[r#"
        assignment_ended assignment_0 group group_0 unassigned
        seat_released ada unassigned
        seat_released laptop unassigned
        = office: 0 of 3, 1 unlicensed
    "#]],
    );
}

#[test]
fn no_seat_licenses_what_no_install_may_be() {
    // On a device that is retired, by whichever seat, alone or beside another.
    let given = [listed(Kind::Declared, 2), retired("laptop"), reported_installed("laptop", "ada")];
    check(
        &given,
        required("ada"),
        expect![[r#"
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        seat_granted ada assignment
        = office: 1 of 2, 1 reserved, 1 unlicensed
    "#]],
    );
    let beside = [&given[..], &[reported_installed("desk", "ada")]].concat();
    check(
        &beside,
        required("ada"),
        expect![[r#"
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        seat_granted ada assignment
        seat_taken ada
        install_licensed ada desk ada
        = office: 1 of 2, 1 in use, 1 unlicensed
    "#]],
    );
    check(
        &[&given[..], &[available("ada")]].concat(),
        installed("desk", "ada"),
        expect![[r#"
        seat_granted ada install
        seat_taken ada
        installed ada desk ada
        = office: 1 of 2, 1 in use, 1 unlicensed
    "#]],
    );
    // Or that may not carry the app.
    check(
        &[listed(Kind::Offline, 2), reported_installed("old", "ada")],
        required("ada"),
        expect![[r#"
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        seat_granted ada assignment
        = office: 1 of 2, 1 reserved, 1 unlicensed
    "#]],
    );
    check(
        &[listed(Kind::Online, 2), reported_installed("old", "ada"), seen("ada")],
        adopted("ada"),
        expect![[r#"
        foreign_seat_adopted ada
        = office: 1 of 2, 1 reserved, 1 unlicensed
    "#]],
    );
}

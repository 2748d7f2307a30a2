//! rules.md §4 *Assigning*: who holds, who is eligible, exclusions, changes of groups, and who has lapsed.

use super::scenario::{Step, check, check_each};
use super::steps::*;
use crate::domain::facts::{GroupKind, HeldBy, Licensing, PoolDetails};
use expect_test::expect;

#[test]
fn a_device_target_of_an_online_pool_reserves_for_its_primary_user() {
    check(
        &[listed(Kind::Online, 5), machines("fleet", &["kiosk", "tablet", "laptop", "desk", "old"])],
        required("fleet"),
        expect![[r#"
            assignment_made assignment_0 group group_0 intent required mode all_or_nothing
            members_skipped assignment_0 [[kiosk no_primary_user] [old device_not_eligible]]
            seat_granted ada assignment
            seat_granted bob assignment
            = office: 2 of 5, 2 reserved
        "#]],
    );
}

#[test]
fn a_device_target_of_an_online_pool_covers_whoever_installs_there() {
    check(
        &[listed(Kind::Online, 2), available("kiosk")],
        installed("kiosk", "eve"),
        expect![[r#"
        seat_granted eve install in_use
        installed eve kiosk eve
        = office: 1 of 2, 1 in use
    "#]],
    );
}

#[test]
fn a_device_target_of_other_pools_reserves_for_the_device() {
    check_each(
        &[Kind::Offline, Kind::Apple, Kind::Declared],
        |kind| vec![listed(kind, 2)],
        required("kiosk"),
        expect![[r#"
            -- Offline Apple Declared
            assignment_made assignment_0 device kiosk intent required mode all_or_nothing
            seat_granted kiosk assignment
            = office: 1 of 2, 1 reserved
        "#]],
    );
}

#[test]
fn apple_licensing_says_who_holds() {
    let given = [listed(Kind::Apple, 2)];
    check(
        &given,
        required("laptop").licensed_to(Licensing::User),
        expect![[r#"
        assignment_made assignment_0 device laptop intent required licensing user mode all_or_nothing
        seat_granted ada assignment
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &given,
        required("laptop").licensed_to(Licensing::Device),
        expect![[r#"
        assignment_made assignment_0 device laptop intent required licensing device mode all_or_nothing
        seat_granted laptop assignment
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &given,
        required("ada").licensed_to(Licensing::Device),
        expect![[r#"
        command_refused assign user ada licensing_not_allowed
        = office: 0 of 2
    "#]],
    );
    check(
        &[listed(Kind::Declared, 2)],
        required("laptop").licensed_to(Licensing::User),
        expect![[r#"
        command_refused assign device laptop licensing_not_allowed
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn a_user_and_a_device_of_a_mixed_group_are_two_holders() {
    check(
        &[listed(Kind::Declared, 2), group(GroupKind::Mixed, "all", &["ada", "laptop"])],
        required("all"),
        expect![[r#"
            assignment_made assignment_0 group group_0 intent required mode all_or_nothing
            seat_granted ada assignment
            seat_granted laptop assignment
            = office: 2 of 2, 2 reserved
        "#]],
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
        expect![[r#"
            assignment_made assignment_0 group group_0 exclude group_1 intent required mode all_or_nothing
            seat_granted laptop assignment
            seat_granted desk assignment
            = office: 2 of 5, 2 reserved
        "#]],
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
    check(
        &given,
        people("managers", &["bob"]),
        expect![[r#"
        members_removed group_1 [ada]
        members_added group_1 [bob]
        seat_released bob uncovered
        seat_granted ada coverage
        = office: 1 of 5, 1 reserved
    "#]],
    );
    check(
        &given,
        group_deleted("managers"),
        expect![[r#"
        members_removed group_1 [ada]
        group_deleted group_1
        seat_granted ada coverage
        = office: 2 of 5, 2 reserved
    "#]],
    );
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
        expect![[r#"
            members_removed group_0 [ada]
            = office: 1 of 2, 1 reserved
        "#]],
    );
}

#[test]
fn deleting_a_group_ends_what_targets_it() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada", "bob"]), required("staff"), installed("desk", "bob")],
        group_deleted("staff"),
        expect![[r#"
            members_removed group_0 [ada bob]
            assignment_ended assignment_0 group group_0 group_deleted
            group_deleted group_0
            seat_released ada uncovered
            = office: 1 of 2, 1 in use
        "#]],
    );
}

#[test]
fn windows_devices_are_eligible_from_build_10586_and_when_joined() {
    let given = [listed(Kind::Offline, 9)];
    check(
        &given,
        required("tablet"),
        expect![[r#"
        assignment_made assignment_0 device tablet intent required mode all_or_nothing
        seat_granted tablet assignment
        = office: 1 of 9, 1 reserved
    "#]],
    );
    check(
        &given,
        required("old"),
        expect![[r#"
        assignment_made assignment_0 device old intent required mode all_or_nothing
        members_skipped assignment_0 [[old device_not_eligible]]
        = office: 0 of 9
    "#]],
    );
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
    check(
        &given,
        required("byod"),
        expect![[r#"
        assignment_made assignment_0 device byod intent required mode all_or_nothing
        members_skipped assignment_0 [[byod device_not_eligible]]
        = office: 0 of 9
    "#]],
    );
    check(
        &given,
        required("byod").licensed_to(Licensing::User),
        expect![[r#"
        assignment_made assignment_0 device byod intent required licensing user mode all_or_nothing
        seat_granted eve assignment
        = office: 1 of 9, 1 reserved
    "#]],
    );
    check(
        &[listed(Kind::Apple, 9), available("eve")],
        installed("byod", "eve"),
        expect![[r#"
        seat_granted eve install in_use
        installed eve byod eve
        = office: 1 of 9, 1 in use
    "#]],
    );
}

#[test]
fn ineligible_devices_are_skipped_and_not_short() {
    check(
        &[listed(Kind::Offline, 1), machines("fleet", &["old", "kiosk"])],
        required("fleet"),
        expect![[r#"
        assignment_made assignment_0 group group_0 intent required mode all_or_nothing
        members_skipped assignment_0 [[old device_not_eligible]]
        seat_granted kiosk assignment
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn who_comes_into_a_target_later_and_gets_no_seat_of_it_is_listed() {
    check(
        &[listed(Kind::Offline, 2), machines("fleet", &["kiosk"]), required("fleet")],
        machines("fleet", &["kiosk", "old", "desk"]),
        expect![[r#"
        members_added group_0 [old desk]
        members_skipped assignment_0 [[old device_not_eligible]]
        seat_granted desk coverage
        = office: 2 of 2, 2 reserved
    "#]],
    );
    let machines_but_for = [machines("fleet", &["kiosk", "old"]), machines("spare", &["old"])];
    check(
        &[&[listed(Kind::Offline, 2)], &machines_but_for[..], &[required_but_for("fleet", "spare")]].concat(),
        machines("spare", &[]),
        expect![[r#"
        members_removed group_1 [old]
        members_skipped assignment_0 [[old device_not_eligible]]
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

#[test]
fn a_device_that_is_no_longer_eligible_loses_its_reservation_and_one_that_becomes_so_gets_it() {
    let given = [listed(Kind::Offline, 1), machines("fleet", &["old", "kiosk"]), required("fleet")];
    check(
        &given,
        device_put("kiosk", |facts| facts.os_build = Some(10_240)),
        expect![[r#"
        device_changed kiosk
        seat_released kiosk uncovered
        = office: 0 of 1
    "#]],
    );
    let given = [listed(Kind::Offline, 2), machines("fleet", &["old"]), required("fleet")];
    check(
        &given,
        device_put("old", |facts| facts.os_build = Some(19_045)),
        expect![[r#"
        device_changed old primary_user cy
        seat_granted old coverage
        = office: 1 of 2, 1 reserved
    "#]],
    );
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
    check(
        &given,
        people("late", &["ada"]),
        expect![[r#"
        members_added group_2 [ada]
        = office: 0 of 2, lapsed: ada
    "#]],
    );
    check(
        &lapsed,
        required("ada"),
        expect![[r#"
        assignment_made assignment_2 user ada intent required mode all_or_nothing
        seat_granted ada assignment
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &lapsed,
        granted("ada"),
        expect![[r#"
        seat_granted ada command
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &lapsed,
        installed("laptop", "ada"),
        expect![[r#"
        seat_granted ada install in_use
        installed ada laptop ada
        = office: 1 of 2, 1 in use
    "#]],
    );
}

#[test]
fn a_lapse_ends_with_its_coverage() {
    let given = [listed(Kind::Declared, 2), people("staff", &["ada"]), required("staff"), reclaimed("ada")];
    check(
        &given,
        people("staff", &[]),
        expect![[r#"
        members_removed group_0 [ada]
        lapse_ended ada
        = office: 0 of 2
    "#]],
    );
    let given = [&given[..], &[people("staff", &[])]].concat();
    check(
        &given,
        people("staff", &["ada"]),
        expect![[r#"
        members_added group_0 [ada]
        seat_granted ada coverage
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

/// An inventory that says of `office` what is changed here.
fn told(kind: Kind, owned: u64, change: impl Fn(&mut PoolDetails)) -> Step {
    let mut item = item(kind, "office", owned);
    change(&mut item.details);
    told_of(kind, vec![item])
}

#[test]
fn an_inventory_that_changes_which_devices_are_eligible_is_judged() {
    let strict = |owned| told(Kind::Declared, owned, |details| details.requires_windows_1511 = true);
    // The place in the queue goes before a purchase of the same inventory is handed out.
    check(
        &[listed(Kind::Declared, 1), required("ada"), required_as_far_as_it_goes("old")],
        strict(2),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        pool_details_changed
        dequeued old uncovered
        capacity_changed purchase owned count 2
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &[listed(Kind::Declared, 1), required("old"), required_as_far_as_it_goes("desk")],
        strict(1),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        pool_details_changed
        seat_released old ineligible
        seat_granted desk queue
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 1 of 1, 1 reserved
    "#]],
    );
    check(
        &[strict(1), required("old")],
        listed(Kind::Declared, 1),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        pool_details_changed
        seat_granted old coverage
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn an_inventory_that_changes_who_holds_is_judged() {
    let for_people = told(Kind::Apple, 1, |details| details.held_by = HeldBy::User);
    check(
        &[listed(Kind::Apple, 1), required("laptop")],
        for_people.clone(),
        expect![[r#"
        sync_started language en-US provider apple-business sync sync_1
        pool_details_changed
        seat_releasing laptop ineligible
        queued ada
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 1 of 1, 1 releasing, waiting: ada
    "#]],
    );
    check(
        &[for_people, required("laptop")],
        listed(Kind::Apple, 2),
        expect![[r#"
        sync_started language en-US provider apple-business sync sync_1
        pool_details_changed
        capacity_changed purchase owned count 2
        seat_releasing ada ineligible
        seat_granted laptop coverage
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 2 of 2, 1 reserved, 1 releasing
    "#]],
    );
}

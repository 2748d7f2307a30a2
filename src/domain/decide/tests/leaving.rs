//! rules.md §4 *Leaving and giving back*: departures, graces, returns.

use super::scenario::{Scenario, check};
use super::steps::*;
use crate::domain::command::{Command, HolderRef, PoolRef, UserRef};
use crate::domain::ids::PoolId;
use crate::domain::rejection::Rejection;
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
    check(
        &two_pools(Kind::Declared),
        deactivated("ada"),
        expect![[r#"
            user_departed ada deactivated
            assignment_ended assignment_1 visio user ada user_departed
            seat_released ada departed
            seat_released visio ada departed
            = office: 1 of 2, 1 reserved
            = visio: 0 of 2, 1 unlicensed
        "#]],
    );
}

#[test]
fn departure_takes_the_user_out_of_every_queue_and_ends_a_lapse() {
    let given = [
        listed(Kind::Declared, 1),
        people("staff", &["bob", "ada"]),
        required_as_far_as_it_goes("staff"),
        reclaimed("bob"),
    ];
    check(
        &given,
        deactivated("bob"),
        expect![[r#"
        user_departed bob deactivated
        lapse_ended bob
        = office: 1 of 1, 1 reserved
    "#]],
    );
    let given = [listed(Kind::Declared, 1), people("staff", &["bob", "ada"]), required_as_far_as_it_goes("staff")];
    check(
        &given,
        deactivated("ada"),
        expect![[r#"
        user_departed ada deactivated
        dequeued ada departed
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn a_departure_serves_who_waits() {
    let given = [listed(Kind::Declared, 1), people("staff", &["bob", "ada"]), required_as_far_as_it_goes("staff")];
    check(
        &given,
        deactivated("bob"),
        expect![[r#"
        user_departed bob deactivated
        seat_released bob departed
        seat_granted ada queue
        = office: 1 of 1, 1 reserved
    "#]],
    );
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
    check(
        &given,
        deactivated("ada"),
        expect![[r#"
            user_departed ada deactivated
            assignment_ended assignment_1 user ada user_departed
            seat_released ada departed
            = office: 1 of 5, 1 in use, 1 unlicensed
        "#]],
    );
    check(
        &given,
        deactivated_with_devices("ada"),
        expect![[r#"
            user_departed ada deactivated
            assignment_ended assignment_1 user ada user_departed
            device_retired laptop
            uninstalled laptop
            device_retired tablet
            uninstalled ada tablet
            seat_released ada departed
            seat_released laptop device_retired
            = office: 0 of 5
        "#]],
    );
}

#[test]
fn a_departed_user_who_is_deleted_later_frees_the_name_and_does_not_return() {
    let given = [listed(Kind::Declared, 2), required("ada"), deactivated("ada")];
    check(
        &given,
        deleted("ada"),
        expect![[r#"
        user_departed ada deleted
        = office: 0 of 2
    "#]],
    );
    check(
        &given,
        deactivated("ada"),
        expect![[r#"
        command_unchanged depart about user ada
        = office: 0 of 2
    "#]],
    );
    let given = [&given[..], &[deleted("ada")]].concat();
    check(
        &given,
        returned("ada"),
        expect![[r#"
        command_refused return user_not_found
        = office: 0 of 2
    "#]],
    );
    check(
        &given,
        deleted("ada"),
        expect![[r#"
        command_refused depart user_not_found
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn what_a_deleted_user_still_holds_or_has_installed_can_be_ended_by_id() {
    let in_grace = [
        listed(Kind::Declared, 1),
        required("bob"),
        installed("desk", "bob"),
        grace_of(30),
        deactivated("bob"),
        deleted("bob"),
    ];
    check(
        &in_grace,
        reclaimed("bob"),
        expect![[r#"
        seat_released bob reclaimed
        = office: 0 of 1, 1 unlicensed
    "#]],
    );
    check(
        &in_grace,
        uninstalled("desk", "bob"),
        expect![[r#"
        uninstalled bob desk
        seat_released bob uninstalled
        = office: 0 of 1
    "#]],
    );
    let unlicensed = [listed(Kind::Declared, 1), required("bob"), installed("desk", "bob"), deleted("bob")];
    check(
        &unlicensed,
        uninstalled("desk", "bob"),
        expect![[r#"
        uninstalled bob desk
        = office: 0 of 1
    "#]],
    );
    let foreign = [listed(Kind::Apple, 1), seen("ada"), deleted("ada")];
    check(
        &foreign,
        adopted("ada"),
        expect![[r#"
        foreign_seat_adopted ada
        = office: 1 of 1, 1 reserved
    "#]],
    );
    let book = [listed(Kind::Books, 1), required("ada"), deleted("ada")];
    check(
        &book,
        reclaimed("ada"),
        expect![[r#"
        command_refused reclaim ada seat_not_revocable
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn a_deleted_user_is_given_nothing_and_is_not_found_by_name() {
    let given = [listed(Kind::Declared, 2), available("cy"), required("ada"), grace_of(30), deleted("ada")];
    let by_name = HolderRef::User(UserRef::Name(blind(0, "ada")));
    let steps = [
        required("ada"),
        granted("ada"),
        installed("laptop", "ada"),
        reported_installed("laptop", "ada"),
        command(Command::Reclaim { pool: PoolRef::Id(PoolId(0)), holder: by_name }),
    ];
    for step in steps {
        let judged = Scenario::after(&given).play(&step);
        assert_eq!(judged.answer().rejection.as_deref(), Some(&Rejection::UserNotFound), "{step:?}");
    }
}

#[test]
fn a_grace_postpones_the_release_and_ends_queue_places_and_own_assignments() {
    let given = [
        told_of(Kind::Declared, vec![item(Kind::Declared, "office", 1), item(Kind::Declared, "visio", 0)]),
        required("ada"),
        required_as_far_as_it_goes("ada").of("visio"),
        grace_of(7),
    ];
    check(
        &given,
        deactivated("ada"),
        expect![[r#"
            user_departed ada deactivated grace_until 2026-06-08T09:00:18.000000Z
            dequeued visio ada departed
            assignment_ended assignment_0 user ada user_departed
            assignment_ended assignment_1 visio user ada user_departed
            = office: 1 of 1, 1 reserved
            = visio: 0 of 0
        "#]],
    );
    let given = [&given[..], &[deactivated("ada")]].concat();
    check(
        &given,
        days_pass(6),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 1 of 1, 1 reserved
        = visio: 0 of 0
    "#]],
    );
    check(
        &given,
        days_pass(7),
        expect![[r#"
        grace_ended ada
        seat_released ada departed
        = office: 0 of 1
        = visio: 0 of 0
    "#]],
    );
}

#[test]
fn in_grace_no_loss_of_coverage_releases_and_installs_take_no_new_seat() {
    let given =
        [listed(Kind::Declared, 2), people("staff", &["ada"]), required("staff"), grace_of(7), deactivated("ada")];
    check(
        &given,
        people("staff", &[]),
        expect![[r#"
        members_removed group_0 [ada]
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &given,
        installed("laptop", "ada"),
        expect![[r#"
        seat_taken ada
        installed ada laptop ada
        = office: 1 of 2, 1 in use
    "#]],
    );
    let seatless =
        [listed(Kind::Declared, 2), people("staff", &["ada"]), available("staff"), grace_of(7), deactivated("ada")];
    check(
        &seatless,
        installed("laptop", "ada"),
        expect![[r#"
        command_refused install ada not_assigned
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn a_return_within_the_grace_changes_no_seat() {
    let given = [listed(Kind::Declared, 2), required("ada"), grace_of(7), deactivated("ada")];
    check(
        &given,
        returned("ada").days_later(3),
        expect![[r#"
        user_returned ada
        = office: 1 of 2, 1 reserved
    "#]],
    );
    let given = [&given[..], &[returned("ada")]].concat();
    check(
        &given,
        days_pass(30),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

#[test]
fn a_return_within_the_window_is_covered_by_groups_again_and_offered_the_rest() {
    let given = [two_pools(Kind::Declared), vec![deactivated("ada")]].concat();
    check(
        &given,
        returned("ada").days_later(30),
        expect![[r#"
        user_returned ada
        seat_granted ada return
        seats_offered ada pools [visio]
        = office: 2 of 2, 2 reserved
        = visio: 0 of 2, 1 unlicensed
    "#]],
    );
    let given = [given, vec![returned("ada")]].concat();
    check(
        &given,
        granted("ada").of("visio"),
        expect![[r#"
        seat_granted visio ada command in_use
        = office: 2 of 2, 2 reserved
        = visio: 1 of 2, 1 in use
    "#]],
    );
}

#[test]
fn a_later_return_is_offered_nothing() {
    let given = [two_pools(Kind::Declared), vec![deactivated("ada")]].concat();
    check(
        &given,
        returned("ada").days_later(31),
        expect![[r#"
        user_returned ada
        seat_granted ada return
        = office: 2 of 2, 2 reserved
        = visio: 0 of 2, 1 unlicensed
    "#]],
    );
    let given = [given, vec![returned("ada").days_later(31)]].concat();
    check(
        &given,
        granted("ada").of("visio"),
        expect![[r#"
        command_refused grant visio ada not_assigned
        = office: 2 of 2, 2 reserved
        = visio: 0 of 2, 1 unlicensed
    "#]],
    );
}

#[test]
fn a_return_is_offered_a_seat_that_is_still_releasing() {
    let given = [listed(Kind::Apple, 1), required("ada"), confirmed("ada"), deactivated("ada")];
    check(
        &given,
        returned("ada"),
        expect![[r#"
        user_returned ada
        seats_offered ada pools [office]
        = office: 1 of 1, 1 releasing
    "#]],
    );
    let given = [&given[..], &[returned("ada")]].concat();
    check(
        &given,
        granted("ada"),
        expect![[r#"
        seat_taken_back ada
        = office: 1 of 1, 1 reserved
    "#]],
    );
    // Only what was ours is offered.
    let given = [listed(Kind::Apple, 1), seen("ada"), deactivated("ada"), absent("ada")];
    check(
        &given,
        returned("ada"),
        expect![[r#"
        user_returned ada
        = office: 0 of 1
    "#]],
    );
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
    check(
        &given,
        release_confirmed("ada"),
        expect![[r#"
        seat_released ada reclaimed
        = office: 0 of 1
    "#]],
    );
}

#[test]
fn one_who_has_not_departed_does_not_return() {
    check(
        &[],
        returned("ada"),
        expect![[r#"
        command_unchanged return about user ada
    "#]],
    );
}

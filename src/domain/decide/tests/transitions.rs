//! The table of transitions (rules.md §4), row by row, for every kind of pool: what people and policies bring about. What
//! a store brings about is told in `at_the_store`, the whole table as data in `every_pair`.

use super::scenario::{Step, check_each};
use super::steps::{
    Kind, absent, confirmed, days_pass, deactivated, deficit_resolved, installed, item, listed, on_uninstall,
    reclaimed, reported_installed, required, reservations_time_out_after, seen, told_of, unassigned, uninstalled,
    untargeted,
};
use crate::domain::facts::KeepOrRelease;
use expect_test::expect;

pub(super) const REVOCABLE: [Kind; 4] = [Kind::Online, Kind::Offline, Kind::Apple, Kind::Declared];
pub(super) const CONFIRMING: [Kind; 3] = [Kind::Online, Kind::Apple, Kind::Books];
pub(super) const CONFIRMING_REVOCABLE: [Kind; 2] = [Kind::Online, Kind::Apple];

/// A pool of two, and what comes then.
pub(super) fn office(kind: Kind, then: &[Step]) -> Vec<Step> {
    let mut steps = vec![listed(kind, 2)];
    steps.extend_from_slice(then);
    steps
}

/// The provider's word, where it gives one.
pub(super) fn said_yes(kind: Kind) -> Vec<Step> {
    if kind.is_confirmed() { vec![confirmed("ada")] } else { Vec::new() }
}

pub(super) fn reserved(kind: Kind) -> Vec<Step> {
    [office(kind, &[required("ada")]), said_yes(kind)].concat()
}

pub(super) fn in_use(kind: Kind) -> Vec<Step> {
    [reserved(kind), vec![installed("laptop", "ada")]].concat()
}

pub(super) fn releasing(kind: Kind) -> Vec<Step> {
    [in_use(kind), vec![reclaimed("ada")]].concat()
}

pub(super) fn foreign(kind: Kind) -> Vec<Step> {
    office(kind, &[seen("ada")])
}

#[test]
fn a_grant_reserves_a_seat() {
    check_each(
        &Kind::ALL,
        |kind| office(kind, &[]),
        required("ada"),
        expect![[r#"
        -- Online Offline Apple Books Declared
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        seat_granted ada assignment
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

#[test]
fn a_grant_to_one_who_has_the_app_already_is_in_use_at_once() {
    check_each(
        &Kind::ALL,
        |kind| office(kind, &[reported_installed("laptop", "ada")]),
        required("ada"),
        expect![[r#"
        -- Online Offline Apple Books Declared
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        seat_granted ada assignment in_use
        = office: 1 of 2, 1 in use
    "#]],
    );
}

#[test]
fn the_first_install_takes_the_reserved_seat() {
    check_each(
        &Kind::ALL,
        reserved,
        installed("laptop", "ada"),
        expect![[r#"
        -- Online Offline Apple Books Declared
        seat_taken ada
        installed ada laptop ada
        = office: 1 of 2, 1 in use
    "#]],
    );
}

#[test]
fn the_last_uninstall_releases_where_the_policy_says_so() {
    check_each(
        &REVOCABLE,
        |kind| {
            let mut given = in_use(kind);
            if kind == Kind::Apple {
                given.push(on_uninstall(KeepOrRelease::Release));
            }
            given
        },
        uninstalled("laptop", "ada"),
        expect![[r#"
            -- Online Apple
            uninstalled ada laptop
            seat_releasing ada uninstalled lapsed
            = office: 1 of 2, 1 releasing, lapsed: ada
            -- Offline Declared
            uninstalled ada laptop
            seat_released ada uninstalled lapsed
            = office: 0 of 2, lapsed: ada
        "#]],
    );
}

#[test]
fn the_last_uninstall_releases_whatever_the_policy_once_nobody_is_covered() {
    check_each(
        &REVOCABLE,
        |kind| {
            let mut given = in_use(kind);
            if kind != Kind::Apple {
                given.push(on_uninstall(KeepOrRelease::Keep));
            }
            given.push(unassigned(0));
            given
        },
        uninstalled("laptop", "ada"),
        expect![[r#"
            -- Online Apple
            uninstalled ada laptop
            seat_releasing ada uninstalled
            = office: 1 of 2, 1 releasing
            -- Offline Declared
            uninstalled ada laptop
            seat_released ada uninstalled
            = office: 0 of 2
        "#]],
    );
}

#[test]
fn the_last_uninstall_leaves_a_covered_reservation_where_the_policy_keeps() {
    check_each(
        &REVOCABLE,
        |kind| {
            let mut given = in_use(kind);
            if kind != Kind::Apple {
                given.push(on_uninstall(KeepOrRelease::Keep));
            }
            given
        },
        uninstalled("laptop", "ada"),
        expect![[r#"
            -- Online Offline Apple Declared
            uninstalled ada laptop
            seat_idle ada
            = office: 1 of 2, 1 reserved
        "#]],
    );
}

#[test]
fn an_uninstall_from_another_device_than_the_last_changes_no_seat() {
    check_each(
        &Kind::ALL,
        |kind| [in_use(kind), vec![installed("tablet", "ada")]].concat(),
        uninstalled("laptop", "ada"),
        expect![[r#"
            -- Online Offline Apple Books Declared
            uninstalled ada laptop
            = office: 1 of 2, 1 in use
        "#]],
    );
}

#[test]
fn a_reservation_without_coverage_is_released() {
    check_each(
        &REVOCABLE,
        reserved,
        unassigned(0),
        expect![[r#"
        -- Online Apple
        assignment_ended assignment_0 user ada unassigned
        seat_releasing ada unassigned
        = office: 1 of 2, 1 releasing
        -- Offline Declared
        assignment_ended assignment_0 user ada unassigned
        seat_released ada unassigned
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn a_reservation_times_out() {
    check_each(
        &REVOCABLE,
        |kind| [reserved(kind), vec![reservations_time_out_after(7)]].concat(),
        days_pass(7),
        expect![[r#"
            -- Online Apple
            seat_releasing ada timed_out lapsed
            = office: 1 of 2, 1 releasing, lapsed: ada
            -- Offline Declared
            seat_released ada timed_out lapsed
            = office: 0 of 2, lapsed: ada
        "#]],
    );
}

#[test]
fn a_seat_in_use_without_coverage_stays_by_default() {
    check_each(
        &Kind::ALL,
        in_use,
        unassigned(0),
        expect![[r#"
        -- Online Offline Apple Books Declared
        assignment_ended assignment_0 user ada unassigned
        = office: 1 of 2, 1 in use
    "#]],
    );
}

#[test]
fn a_seat_in_use_without_coverage_goes_where_the_policy_says_so() {
    check_each(
        &REVOCABLE,
        |kind| [in_use(kind), vec![untargeted(KeepOrRelease::Release)]].concat(),
        unassigned(0),
        expect![[r#"
            -- Online Apple
            assignment_ended assignment_0 user ada unassigned
            seat_releasing ada unassigned
            = office: 1 of 2, 1 releasing, 1 unlicensed
            -- Offline Declared
            assignment_ended assignment_0 user ada unassigned
            seat_released ada unassigned
            = office: 0 of 2, 1 unlicensed
        "#]],
    );
}

#[test]
fn a_departure_releases_a_reserved_seat() {
    check_each(
        &REVOCABLE,
        reserved,
        deactivated("ada"),
        expect![[r#"
            -- Online Apple
            user_departed ada deactivated
            assignment_ended assignment_0 user ada user_departed
            seat_releasing ada departed
            = office: 1 of 2, 1 releasing
            -- Offline Declared
            user_departed ada deactivated
            assignment_ended assignment_0 user ada user_departed
            seat_released ada departed
            = office: 0 of 2
        "#]],
    );
}

#[test]
fn a_departure_releases_a_seat_in_use() {
    check_each(
        &REVOCABLE,
        in_use,
        deactivated("ada"),
        expect![[r#"
            -- Online Apple
            user_departed ada deactivated
            assignment_ended assignment_0 user ada user_departed
            seat_releasing ada departed
            = office: 1 of 2, 1 releasing, 1 unlicensed
            -- Offline Declared
            user_departed ada deactivated
            assignment_ended assignment_0 user ada user_departed
            seat_released ada departed
            = office: 0 of 2, 1 unlicensed
        "#]],
    );
}

#[test]
fn a_reclaim_releases_a_reserved_seat() {
    check_each(
        &REVOCABLE,
        reserved,
        reclaimed("ada"),
        expect![[r#"
        -- Online Apple
        seat_releasing ada reclaimed lapsed
        = office: 1 of 2, 1 releasing, lapsed: ada
        -- Offline Declared
        seat_released ada reclaimed lapsed
        = office: 0 of 2, lapsed: ada
    "#]],
    );
}

#[test]
fn a_reclaim_releases_a_seat_in_use_and_leaves_the_install_unlicensed() {
    check_each(
        &REVOCABLE,
        in_use,
        reclaimed("ada"),
        expect![[r#"
        -- Online Apple
        seat_releasing ada reclaimed lapsed
        = office: 1 of 2, 1 releasing, 1 unlicensed, lapsed: ada
        -- Offline Declared
        seat_released ada reclaimed lapsed
        = office: 0 of 2, 1 unlicensed, lapsed: ada
    "#]],
    );
}

#[test]
fn a_deficit_plan_releases() {
    check_each(
        &REVOCABLE,
        |kind| [in_use(kind), vec![told_of(kind, vec![item(kind, "office", 0)])]].concat(),
        deficit_resolved(),
        expect![[r#"
            -- Online Apple
            seat_releasing ada deficit_plan lapsed
            = office: 1 of 0, 1 releasing, 1 unlicensed, lapsed: ada, over 1
            -- Offline Declared
            seat_released ada deficit_plan lapsed
            = office: 0 of 0, 1 unlicensed, lapsed: ada
        "#]],
    );
}

#[test]
fn an_irrevocable_seat_only_moves_between_reserved_and_in_use() {
    let books = [Kind::Books];
    check_each(
        &books,
        in_use,
        uninstalled("laptop", "ada"),
        expect![[r#"
        -- Books
        uninstalled ada laptop
        seat_idle ada
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check_each(
        &books,
        reserved,
        unassigned(0),
        expect![[r#"
            -- Books
            assignment_ended assignment_0 user ada unassigned
            = office: 1 of 2, 1 reserved
        "#]],
    );
    check_each(
        &books,
        |kind| [reserved(kind), vec![reservations_time_out_after(7)]].concat(),
        days_pass(7),
        expect![[r#"
            -- Books
            command_unchanged tick about tenant
            = office: 1 of 2, 1 reserved
        "#]],
    );
    check_each(
        &books,
        in_use,
        deactivated("ada"),
        expect![[r#"
            -- Books
            user_departed ada deactivated
            assignment_ended assignment_0 user ada user_departed
            seats_kept ada pools [office]
            = office: 1 of 2, 1 in use
        "#]],
    );
    check_each(
        &books,
        in_use,
        reclaimed("ada"),
        expect![[r#"
        -- Books
        command_refused reclaim ada seat_not_revocable
        = office: 1 of 2, 1 in use
    "#]],
    );
    check_each(
        &books,
        in_use,
        absent("ada"),
        expect![[r#"
            -- Books
            command_unchanged provider about pool office
            = office: 1 of 2, 1 in use
        "#]],
    );
    check_each(
        &books,
        |kind| [in_use(kind), vec![told_of(kind, vec![item(kind, "office", 0)])]].concat(),
        deficit_resolved(),
        expect![[r#"
            -- Books
            command_unchanged resolve_deficit about pool office
            = office: 1 of 0, 1 in use, over 1
        "#]],
    );
}

#[test]
fn a_reclaim_without_a_seat_finds_none() {
    check_each(
        &Kind::ALL,
        |kind| office(kind, &[]),
        reclaimed("ada"),
        expect![[r#"
        -- Online Offline Apple Books Declared
        command_refused reclaim ada seat_not_found
        = office: 0 of 2
    "#]],
    );
}

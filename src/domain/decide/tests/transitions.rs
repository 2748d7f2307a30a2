//! Every row of the table of transitions (rules.md §4), for every kind of pool in which it can happen. `exhaustive`
//! holds the whole table as data.

use super::scenario::{Step, check_each};
use super::steps::{
    Kind, absent, adopted, available, confirmed, days_pass, deactivated, deficit_resolved, grant_refused, granted,
    installed, item, listed, not_enough, on_uninstall, people, reclaimed, release_confirmed, release_refused,
    release_sent, reported_installed, required, reservations_time_out_after, seen, told_of, unassigned, uninstalled,
    untargeted,
};
use crate::domain::facts::KeepOrRelease;
use expect_test::expect;

const REVOCABLE: [Kind; 4] = [Kind::Online, Kind::Offline, Kind::Apple, Kind::Declared];
const CONFIRMING: [Kind; 3] = [Kind::Online, Kind::Apple, Kind::Books];
const CONFIRMING_REVOCABLE: [Kind; 2] = [Kind::Online, Kind::Apple];

/// A pool of two, and what comes then.
fn office(kind: Kind, then: &[Step]) -> Vec<Step> {
    let mut steps = vec![listed(kind, 2)];
    steps.extend_from_slice(then);
    steps
}

/// The provider's word, where it gives one.
fn said_yes(kind: Kind) -> Vec<Step> {
    if kind.is_confirmed() { vec![confirmed("ada")] } else { Vec::new() }
}

fn reserved(kind: Kind) -> Vec<Step> {
    [office(kind, &[required("ada")]), said_yes(kind)].concat()
}

fn in_use(kind: Kind) -> Vec<Step> {
    [reserved(kind), vec![installed("laptop", "ada")]].concat()
}

fn releasing(kind: Kind) -> Vec<Step> {
    [in_use(kind), vec![reclaimed("ada")]].concat()
}

fn foreign(kind: Kind) -> Vec<Step> {
    office(kind, &[seen("ada")])
}

#[test]
fn a_grant_reserves_a_seat() {
    check_each(&Kind::ALL, |kind| office(kind, &[]), required("ada"), expect![[r#"
        -- Online Offline Apple Books Declared
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        seat_granted ada assignment
        = office: 1 of 2, 1 reserved
    "#]]);
}

#[test]
fn a_grant_to_one_who_has_the_app_already_is_in_use_at_once() {
    check_each(&Kind::ALL, |kind| office(kind, &[reported_installed("laptop", "ada")]), required("ada"), expect![[r#"
        -- Online Offline Apple Books Declared
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        seat_granted ada assignment in_use
        = office: 1 of 2, 1 in use
    "#]]);
}

#[test]
fn the_first_install_takes_the_reserved_seat() {
    check_each(&Kind::ALL, reserved, installed("laptop", "ada"), expect![[r#"
        -- Online Offline Apple Books Declared
        seat_taken ada
        installed ada laptop ada
        = office: 1 of 2, 1 in use
    "#]]);
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
    check_each(&REVOCABLE, reserved, unassigned(0), expect![[r#"
        -- Online Apple
        assignment_ended assignment_0 unassigned
        seat_releasing ada unassigned
        = office: 1 of 2, 1 releasing
        -- Offline Declared
        assignment_ended assignment_0 unassigned
        seat_released ada unassigned
        = office: 0 of 2
    "#]]);
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
    check_each(&Kind::ALL, in_use, unassigned(0), expect![[r#"
        -- Online Offline Apple Books Declared
        assignment_ended assignment_0 unassigned
        = office: 1 of 2, 1 in use
    "#]]);
}

#[test]
fn a_seat_in_use_without_coverage_goes_where_the_policy_says_so() {
    check_each(
        &REVOCABLE,
        |kind| [in_use(kind), vec![untargeted(KeepOrRelease::Release)]].concat(),
        unassigned(0),
        expect![[r#"
            -- Online Apple
            assignment_ended assignment_0 unassigned
            seat_releasing ada unassigned
            = office: 1 of 2, 1 releasing, 1 unlicensed
            -- Offline Declared
            assignment_ended assignment_0 unassigned
            seat_released ada unassigned
            = office: 0 of 2, 1 unlicensed
        "#]],
    );
}

#[test]
fn a_departure_releases_a_reserved_seat() {
    check_each(&REVOCABLE, reserved, deactivated("ada"), expect![[r#"
        -- Online Apple
        user_departed ada deactivated
        assignment_ended assignment_0 user_departed
        seat_releasing ada departed
        = office: 1 of 2, 1 releasing
        -- Offline Declared
        user_departed ada deactivated
        assignment_ended assignment_0 user_departed
        seat_released ada departed
        = office: 0 of 2
    "#]]);
}

#[test]
fn a_departure_releases_a_seat_in_use() {
    check_each(&REVOCABLE, in_use, deactivated("ada"), expect![[r#"
        -- Online Apple
        user_departed ada deactivated
        assignment_ended assignment_0 user_departed
        seat_releasing ada departed
        = office: 1 of 2, 1 releasing, 1 unlicensed
        -- Offline Declared
        user_departed ada deactivated
        assignment_ended assignment_0 user_departed
        seat_released ada departed
        = office: 0 of 2, 1 unlicensed
    "#]]);
}

#[test]
fn a_reclaim_releases_a_reserved_seat() {
    check_each(&REVOCABLE, reserved, reclaimed("ada"), expect![[r#"
        -- Online Apple
        seat_releasing ada reclaimed lapsed
        = office: 1 of 2, 1 releasing, lapsed: ada
        -- Offline Declared
        seat_released ada reclaimed lapsed
        = office: 0 of 2, lapsed: ada
    "#]]);
}

#[test]
fn a_reclaim_releases_a_seat_in_use_and_leaves_the_install_unlicensed() {
    check_each(&REVOCABLE, in_use, reclaimed("ada"), expect![[r#"
        -- Online Apple
        seat_releasing ada reclaimed lapsed
        = office: 1 of 2, 1 releasing, 1 unlicensed, lapsed: ada
        -- Offline Declared
        seat_released ada reclaimed lapsed
        = office: 0 of 2, 1 unlicensed, lapsed: ada
    "#]]);
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
fn a_grant_that_the_provider_refuses_is_gone_and_its_install_unlicensed() {
    check_each(
        &CONFIRMING,
        |kind| office(kind, &[required("ada"), installed("laptop", "ada")]),
        grant_refused("ada"),
        expect![[r#"
            -- Online Apple Books
            seat_released ada refused_by_provider lapsed
            = office: 0 of 2, 1 unlicensed, lapsed: ada
        "#]],
    );
}

#[test]
fn a_grant_that_the_provider_refuses_for_lack_of_seats_waits_again() {
    check_each(&CONFIRMING, |kind| office(kind, &[required("ada"), required("bob")]), not_enough("ada"), expect![[r#"
        -- Online Apple Books
        serving_paused
        seat_released ada not_enough_at_provider
        requeued ada place 19
        = office: 1 of 2, 1 reserved, waiting: ada
    "#]]);
}

#[test]
fn a_releasing_seat_is_gone_when_the_provider_confirms() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| [releasing(kind), vec![release_sent("ada")]].concat(),
        release_confirmed("ada"),
        expect![[r#"
            -- Online Apple
            seat_released ada reclaimed
            = office: 0 of 2, 1 unlicensed, lapsed: ada
        "#]],
    );
}

#[test]
fn a_releasing_seat_is_gone_when_the_provider_does_not_know_it() {
    check_each(&CONFIRMING_REVOCABLE, releasing, absent("ada"), expect![[r#"
        -- Online Apple
        seat_released ada reclaimed
        = office: 0 of 2, 1 unlicensed, lapsed: ada
    "#]]);
}

#[test]
fn a_release_that_the_provider_refuses_leaves_the_seat_as_it_was() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| [releasing(kind), vec![release_sent("ada")]].concat(),
        release_refused("ada"),
        expect![[r#"
            -- Online Apple
            seat_release_refused ada
            = office: 1 of 2, 1 in use
        "#]],
    );
}

#[test]
fn a_new_grant_takes_an_unsent_release_back() {
    check_each(&CONFIRMING_REVOCABLE, releasing, granted("ada"), expect![[r#"
        -- Online Apple
        seat_taken_back ada
        = office: 1 of 2, 1 in use
    "#]]);
}

#[test]
fn a_new_grant_after_the_release_was_sent_waits_for_the_provider() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| [releasing(kind), vec![release_sent("ada")]].concat(),
        granted("ada"),
        expect![[r#"
            -- Online Apple
            regrant_flagged ada
            = office: 1 of 2, 1 releasing, 1 unlicensed
        "#]],
    );
}

#[test]
fn a_regrant_takes_the_same_unit_before_the_queue() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| {
            let queue = [required("bob"), people("rest", &["cy"]), super::steps::required_as_far_as_it_goes("rest")];
            [releasing(kind), vec![release_sent("ada")], queue.into(), vec![granted("ada")]].concat()
        },
        release_confirmed("ada"),
        expect![[r#"
            -- Online Apple
            seat_released ada reclaimed
            seat_granted ada regrant in_use
            = office: 2 of 2, 1 reserved, 1 in use, waiting: cy
        "#]],
    );
}

#[test]
fn a_regrant_without_a_free_unit_stands_first_in_the_queue() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| {
            let queue = [required("bob"), people("rest", &["cy"]), super::steps::required_as_far_as_it_goes("rest")];
            let shrunk = vec![told_of(kind, vec![item(kind, "office", 1)])];
            [releasing(kind), vec![release_sent("ada")], queue.into(), vec![granted("ada")], shrunk].concat()
        },
        release_confirmed("ada"),
        expect![[r#"
            -- Online Apple
            seat_released ada reclaimed
            requeued ada place 29
            = office: 1 of 1, 1 reserved, 1 unlicensed, waiting: ada cy
        "#]],
    );
}

#[test]
fn a_seat_that_the_store_shows_is_foreign_where_we_hold_none() {
    check_each(&CONFIRMING, |kind| office(kind, &[]), seen("ada"), expect![[r#"
        -- Online Apple Books
        foreign_seat_seen ada
        = office: 1 of 2, 1 foreign
    "#]]);
}

#[test]
fn a_foreign_seat_is_adopted() {
    check_each(&CONFIRMING, foreign, adopted("ada"), expect![[r#"
        -- Online Apple Books
        foreign_seat_adopted ada
        = office: 1 of 2, 1 reserved
    "#]]);
}

#[test]
fn a_foreign_seat_is_adopted_in_use_where_the_app_is_installed() {
    check_each(
        &CONFIRMING,
        |kind| office(kind, &[reported_installed("laptop", "ada"), seen("ada")]),
        adopted("ada"),
        expect![[r#"
            -- Online Apple Books
            foreign_seat_adopted ada in_use
            = office: 1 of 2, 1 in use
        "#]],
    );
}

#[test]
fn a_grant_to_the_holder_of_a_foreign_seat_makes_it_ours() {
    check_each(&CONFIRMING, foreign, required("ada"), expect![[r#"
        -- Online Apple Books
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        foreign_seat_adopted ada
        = office: 1 of 2, 1 reserved
    "#]]);
    check_each(&CONFIRMING, foreign, granted("ada"), expect![[r#"
        -- Online Apple Books
        foreign_seat_adopted ada
        = office: 1 of 2, 1 reserved
    "#]]);
}

#[test]
fn a_confirmed_seat_that_the_store_does_not_show_is_lost() {
    check_each(&CONFIRMING_REVOCABLE, reserved, absent("ada"), expect![[r#"
        -- Online Apple
        seat_released ada lost lapsed
        = office: 0 of 2, lapsed: ada
    "#]]);
    check_each(&CONFIRMING_REVOCABLE, in_use, absent("ada"), expect![[r#"
        -- Online Apple
        seat_released ada lost lapsed
        = office: 0 of 2, 1 unlicensed, lapsed: ada
    "#]]);
}

#[test]
fn a_foreign_seat_that_the_store_does_not_show_has_ended_there() {
    check_each(&CONFIRMING, foreign, absent("ada"), expect![[r#"
        -- Online Apple Books
        seat_released ada ended_at_store
        = office: 0 of 2
    "#]]);
}

#[test]
fn an_unconfirmed_seat_is_not_lost_but_waits_for_its_answer() {
    check_each(&CONFIRMING, |kind| office(kind, &[required("ada")]), absent("ada"), expect![[r#"
        -- Online Apple Books
        command_unchanged provider about pool office
        = office: 1 of 2, 1 reserved
    "#]]);
    check_each(&CONFIRMING, |kind| office(kind, &[required("ada")]), seen("ada"), expect![[r#"
        -- Online Apple Books
        command_unchanged provider about pool office
        = office: 1 of 2, 1 reserved
    "#]]);
}

#[test]
fn an_irrevocable_seat_only_moves_between_reserved_and_in_use() {
    let books = [Kind::Books];
    check_each(&books, in_use, uninstalled("laptop", "ada"), expect![[r#"
        -- Books
        uninstalled ada laptop
        seat_idle ada
        = office: 1 of 2, 1 reserved
    "#]]);
    check_each(&books, reserved, unassigned(0), expect![[r#"
        -- Books
        assignment_ended assignment_0 unassigned
        = office: 1 of 2, 1 reserved
    "#]]);
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
    check_each(&books, in_use, deactivated("ada"), expect![[r#"
        -- Books
        user_departed ada deactivated
        assignment_ended assignment_0 user_departed
        seats_kept ada pools [office]
        = office: 1 of 2, 1 in use
    "#]]);
    check_each(&books, in_use, reclaimed("ada"), expect![[r#"
        -- Books
        command_refused reclaim ada seat_not_revocable
        = office: 1 of 2, 1 in use
    "#]]);
    check_each(&books, in_use, absent("ada"), expect![[r#"
        -- Books
        seat_released ada lost lapsed
        = office: 0 of 2, 1 unlicensed, lapsed: ada
    "#]]);
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
fn a_foreign_seat_is_not_taken_from_its_holder() {
    check_each(&CONFIRMING, foreign, reclaimed("ada"), expect![[r#"
        -- Online Apple Books
        command_refused reclaim ada seat_not_revocable
        = office: 1 of 2, 1 foreign
    "#]]);
    check_each(&CONFIRMING, foreign, deactivated("ada"), expect![[r#"
        -- Online Apple Books
        user_departed ada deactivated
        seats_kept ada pools [office]
        = office: 1 of 2, 1 foreign
    "#]]);
}

#[test]
fn a_reclaim_without_a_seat_finds_none() {
    check_each(&Kind::ALL, |kind| office(kind, &[]), reclaimed("ada"), expect![[r#"
        -- Online Offline Apple Books Declared
        command_refused reclaim ada seat_not_found
        = office: 0 of 2
    "#]]);
}

#[test]
fn an_uncovered_install_does_not_take_a_releasing_seat_back() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| office(kind, &[available("ada"), installed("laptop", "ada"), unassigned(0), reclaimed("ada")]),
        installed("tablet", "ada"),
        expect![[r#"
            -- Online Apple
            command_refused install ada not_assigned
            = office: 1 of 2, 1 releasing, 1 unlicensed
        "#]],
    );
}

#[test]
fn a_covered_install_takes_a_releasing_seat_back() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| office(kind, &[available("ada"), installed("laptop", "ada"), reclaimed("ada")]),
        installed("tablet", "ada"),
        expect![[r#"
            -- Online Apple
            seat_taken_back ada
            installed ada tablet ada
            = office: 1 of 2, 1 in use
        "#]],
    );
}

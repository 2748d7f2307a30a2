//! The table of transitions (rules.md §4), row by row: what a provider that grants seats itself brings about.

use super::scenario::check_each;
use super::steps::{
    absent, adopted, available, deactivated, grant_refused, granted, installed, item, not_enough, people, reclaimed,
    release_confirmed, release_refused, release_sent, reported_installed, required, required_as_far_as_it_goes,
    returned, seen, told_of, unassigned,
};
use super::transitions::{CONFIRMING, CONFIRMING_REVOCABLE, foreign, in_use, office, releasing, reserved};
use expect_test::expect;

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
    check_each(
        &CONFIRMING,
        |kind| office(kind, &[required("ada"), required("bob")]),
        not_enough("ada"),
        expect![[r#"
        -- Online Apple Books
        serving_paused
        seat_released ada not_enough_at_provider
        requeued ada place 19
        = office: 1 of 2, 1 reserved, waiting: ada
    "#]],
    );
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
    check_each(
        &CONFIRMING_REVOCABLE,
        releasing,
        absent("ada"),
        expect![[r#"
        -- Online Apple
        seat_released ada reclaimed
        = office: 0 of 2, 1 unlicensed, lapsed: ada
    "#]],
    );
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
    check_each(
        &CONFIRMING_REVOCABLE,
        releasing,
        granted("ada"),
        expect![[r#"
        -- Online Apple
        seat_taken_back ada
        = office: 1 of 2, 1 in use
    "#]],
    );
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
            let queue = [required("bob"), people("rest", &["cy"]), required_as_far_as_it_goes("rest")];
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
            let queue = [required("bob"), people("rest", &["cy"]), required_as_far_as_it_goes("rest")];
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
fn a_regrant_that_waits_keeps_its_place_while_it_is_covered() {
    let given = |kind| {
        let pool = vec![told_of(kind, vec![item(kind, "office", 3)]), people("other", &["dee"])];
        let seats = vec![available("ada"), available("other"), granted("ada"), required("bob"), required("cy")];
        let shrunk = vec![told_of(kind, vec![item(kind, "office", 2)])];
        let again = vec![reclaimed("ada"), release_sent("ada"), granted("ada"), release_confirmed("ada")];
        [pool, seats, shrunk, again].concat()
    };
    check_each(
        &CONFIRMING_REVOCABLE,
        given,
        people("other", &["dee", "ada"]),
        expect![[r#"
            -- Online Apple
            members_added group_0 [ada]
            = office: 2 of 2, 2 reserved, waiting: ada
        "#]],
    );
    check_each(
        &CONFIRMING_REVOCABLE,
        given,
        unassigned(0),
        expect![[r#"
            -- Online Apple
            assignment_ended assignment_0 user ada unassigned
            dequeued ada uncovered
            = office: 2 of 2, 2 reserved
        "#]],
    );
}

#[test]
fn a_regrant_that_waits_keeps_its_place_while_it_is_offered() {
    check_each(
        &CONFIRMING_REVOCABLE,
        |kind| {
            let pool =
                vec![told_of(kind, vec![item(kind, "office", 2)]), people("other", &["dee"]), available("other")];
            let left = vec![required("ada"), deactivated("ada"), release_sent("ada"), returned("ada"), granted("ada")];
            let shrunk = vec![told_of(kind, vec![item(kind, "office", 0)]), release_confirmed("ada")];
            [pool, left, shrunk, vec![people("other", &["dee", "ada"])]].concat()
        },
        people("other", &["dee"]),
        expect![[r#"
            -- Online Apple
            members_removed group_0 [ada]
            = office: 0 of 0, waiting: ada
        "#]],
    );
}

#[test]
fn a_seat_that_the_store_shows_is_foreign_where_we_hold_none() {
    check_each(
        &CONFIRMING,
        |kind| office(kind, &[]),
        seen("ada"),
        expect![[r#"
        -- Online Apple Books
        foreign_seat_seen ada
        = office: 1 of 2, 1 foreign
    "#]],
    );
}

#[test]
fn a_foreign_seat_is_adopted() {
    check_each(
        &CONFIRMING,
        foreign,
        adopted("ada"),
        expect![[r#"
        -- Online Apple Books
        foreign_seat_adopted ada
        = office: 1 of 2, 1 reserved
    "#]],
    );
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
    check_each(
        &CONFIRMING,
        foreign,
        required("ada"),
        expect![[r#"
        -- Online Apple Books
        assignment_made assignment_0 user ada intent required mode all_or_nothing
        foreign_seat_adopted ada
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check_each(
        &CONFIRMING,
        foreign,
        granted("ada"),
        expect![[r#"
        -- Online Apple Books
        foreign_seat_adopted ada
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

#[test]
fn a_confirmed_seat_that_the_store_does_not_show_is_lost() {
    check_each(
        &CONFIRMING_REVOCABLE,
        reserved,
        absent("ada"),
        expect![[r#"
        -- Online Apple
        seat_released ada lost lapsed
        = office: 0 of 2, lapsed: ada
    "#]],
    );
    check_each(
        &CONFIRMING_REVOCABLE,
        in_use,
        absent("ada"),
        expect![[r#"
        -- Online Apple
        seat_released ada lost lapsed
        = office: 0 of 2, 1 unlicensed, lapsed: ada
    "#]],
    );
}

#[test]
fn a_foreign_seat_that_the_store_does_not_show_has_ended_there() {
    check_each(
        &CONFIRMING,
        foreign,
        absent("ada"),
        expect![[r#"
        -- Online Apple Books
        seat_released ada ended_at_store
        = office: 0 of 2
    "#]],
    );
}

#[test]
fn an_unconfirmed_seat_is_not_lost_but_waits_for_its_answer() {
    check_each(
        &CONFIRMING,
        |kind| office(kind, &[required("ada")]),
        absent("ada"),
        expect![[r#"
        -- Online Apple Books
        command_unchanged provider about pool office
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check_each(
        &CONFIRMING,
        |kind| office(kind, &[required("ada")]),
        seen("ada"),
        expect![[r#"
            -- Online Apple Books
            seat_confirmed ada
            = office: 1 of 2, 1 reserved
        "#]],
    );
}

#[test]
fn a_foreign_seat_is_not_taken_from_its_holder() {
    check_each(
        &CONFIRMING,
        foreign,
        reclaimed("ada"),
        expect![[r#"
        -- Online Apple Books
        command_refused reclaim ada seat_not_revocable
        = office: 1 of 2, 1 foreign
    "#]],
    );
    check_each(
        &CONFIRMING,
        foreign,
        deactivated("ada"),
        expect![[r#"
        -- Online Apple Books
        user_departed ada deactivated
        seats_kept ada pools [office]
        = office: 1 of 2, 1 foreign
    "#]],
    );
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

//! rules.md §4 *Assigning*: what a refusal for lack of seats says is short, and what each way out would free.

use super::scenario::check;
use super::steps::*;
use crate::domain::facts::KeepOrRelease;
use expect_test::expect;

#[test]
fn those_who_wait_are_served_first() {
    let given = [
        listed(Kind::Declared, 1),
        required("ada"),
        installed("laptop", "ada"),
        required_as_far_as_it_goes("bob"),
        required_as_far_as_it_goes("cy"),
    ];
    check(
        &given,
        required("dee"),
        expect![[r#"
        command_refused assign user dee not_enough_seats figures (held 1 owned count 1 queued 2) remedies (buy_would_free 3 narrow_would_free 0 uninstall_would_free 0) short_by 3
        = office: 1 of 1, 1 in use, waiting: bob cy
    "#]],
    );
    // Nothing is reserved by it, and the rules say what is short: one.
    check(
        &given,
        available("dee"),
        expect![[r#"
        command_refused assign user dee not_enough_seats figures (held 1 owned count 1 queued 2) remedies (buy_would_free 3 narrow_would_free 0 uninstall_would_free 0) short_by 1
        = office: 1 of 1, 1 in use, waiting: bob cy
    "#]],
    );
    // One who waits is served in its place.
    check(
        &given,
        installed("desk", "bob"),
        expect![[r#"
        command_refused install bob no_seat_available figures (held 1 owned count 1 queued 2) remedies (buy_would_free 1 narrow_would_free 0 uninstall_would_free 1)
        = office: 1 of 1, 1 in use, waiting: bob cy
    "#]],
    );
    check(
        &given,
        granted("cy"),
        expect![[r#"
        command_refused grant cy no_seat_available figures (held 1 owned count 1 queued 2) remedies (buy_would_free 2 narrow_would_free 0 uninstall_would_free 0)
        = office: 1 of 1, 1 in use, waiting: bob cy
    "#]],
    );
    // And is not counted twice.
    check(
        &[&given[..], &[people("staff", &["bob", "dee"])]].concat(),
        required("staff"),
        expect![[r#"
        command_refused assign group group_0 not_enough_seats figures (held 1 owned count 1 queued 2) remedies (buy_would_free 3 narrow_would_free 0 uninstall_would_free 0) short_by 3
        = office: 1 of 1, 1 in use, waiting: bob cy
    "#]],
    );
}

#[test]
fn what_is_above_the_cap_comes_first() {
    check(
        &[
            listed(Kind::Declared, 3),
            required("ada"),
            required("bob"),
            required("cy"),
            installed("laptop", "ada"),
            installed("desk", "bob"),
            listed(Kind::Declared, 2),
        ],
        required("dee"),
        expect![[r#"
        command_refused assign user dee not_enough_seats figures (held 3 owned count 2 queued 0) remedies (buy_would_free 2 narrow_would_free 0 uninstall_would_free 1) short_by 2
        = office: 3 of 2, 1 reserved, 2 in use, over 1
    "#]],
    );
}

#[test]
fn an_uninstall_in_grace_frees_nothing_where_seats_are_kept() {
    let given = [
        listed(Kind::Declared, 1),
        on_uninstall(KeepOrRelease::Keep),
        grace_of(7),
        required("ada"),
        installed("laptop", "ada"),
        deactivated("ada"),
    ];
    check(
        &given,
        required("bob"),
        expect![[r#"
        command_refused assign user bob not_enough_seats figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 0 uninstall_would_free 0) short_by 1
        = office: 1 of 1, 1 in use
    "#]],
    );
}

//! rules.md §4 *Assigning*: intents, modes, the queue. Who is covered is told in `covering`.

use super::connector_steps::{begun, ended_well, read};
use super::scenario::{Step, check, check_each};
use super::steps::*;
use crate::domain::command::ProviderReport;
use crate::domain::facts::{DistributionPolicy, KeepOrRelease};
use expect_test::expect;

#[test]
fn one_seat_per_holder_however_many_assignments() {
    check(
        &[listed(Kind::Declared, 2), required("ada"), people("staff", &["ada"])],
        required("staff"),
        expect![[r#"
        assignment_made assignment_1 group group_0 intent required mode all_or_nothing
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

#[test]
fn the_same_assignment_again_is_unchanged() {
    check(
        &[listed(Kind::Declared, 2), required("ada")],
        required("ada"),
        expect![[r#"
        command_unchanged assign about assignment assignment_0
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

#[test]
fn the_same_target_with_another_intent_or_mode_is_refused() {
    let given = [listed(Kind::Declared, 2), required("ada")];
    check(
        &given,
        available("ada"),
        expect![[r#"
        command_refused assign user ada assignment_exists
        = office: 1 of 2, 1 reserved
    "#]],
    );
    check(
        &given,
        required_as_far_as_it_goes("ada"),
        expect![[r#"
        command_refused assign user ada assignment_exists
        = office: 1 of 2, 1 reserved
    "#]],
    );
}

#[test]
fn a_mode_goes_only_with_required() {
    let mut step = available("ada");
    let Step {
        intake: crate::domain::command::Intake::Command(crate::domain::command::Command::Assign { mode, .. }),
        ..
    } = &mut step
    else {
        panic!("an assignment")
    };
    *mode = Some(crate::domain::facts::Mode::Fill);
    check(
        &[listed(Kind::Declared, 2)],
        step,
        expect![[r#"
        command_refused assign user ada mode_not_allowed
        = office: 0 of 2
    "#]],
    );
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
        expect![[r#"
            command_refused assign group group_0 not_enough_seats figures (held 2 owned count 3 queued 0) remedies (buy_would_free 2 narrow_would_free 1 uninstall_would_free 1) short_by 2
            = office: 2 of 3, 1 reserved, 1 in use
        "#]],
    );
}

#[test]
fn the_ways_out_are_honest_where_they_free_nothing() {
    // Apple keeps at an uninstall what is covered, and by default what is no longer targeted; books never come back.
    let given = |kind| vec![listed(kind, 1), required("ada"), installed("laptop", "ada")];
    check_each(
        &[Kind::Online, Kind::Apple, Kind::Books],
        given,
        required("bob"),
        expect![[r#"
        -- Online
        command_refused assign user bob not_enough_seats figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 0 uninstall_would_free 1) short_by 1
        = office: 1 of 1, 1 in use
        -- Apple Books
        command_refused assign user bob not_enough_seats figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 0 uninstall_would_free 0) short_by 1
        = office: 1 of 1, 1 in use
    "#]],
    );
    // A seat that nothing targets is freed by an uninstall, not by narrowing.
    check(
        &[listed(Kind::Apple, 1), required("ada"), installed("laptop", "ada"), unassigned(0)],
        required("bob"),
        expect![[r#"
            command_refused assign user bob not_enough_seats figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 0 uninstall_would_free 1) short_by 1
            = office: 1 of 1, 1 in use
        "#]],
    );
}

#[test]
fn fill_grants_in_the_order_of_joining_and_queues_the_rest() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["dee", "bob"]), people("staff", &["ada", "bob", "cy", "dee"])],
        required_as_far_as_it_goes("staff"),
        expect![[r#"
            assignment_made assignment_0 group group_0 intent required mode fill
            seat_granted dee assignment
            seat_granted bob assignment
            queued ada
            queued cy
            = office: 2 of 2, 2 reserved, waiting: ada cy
        "#]],
    );
}

#[test]
fn the_mode_binds_at_the_assignment_and_later_members_are_granted_or_queued() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada"]), required("staff")],
        people("staff", &["ada", "cy", "bob"]),
        expect![[r#"
            members_added group_0 [cy bob]
            seat_granted cy coverage
            queued bob
            = office: 2 of 2, 2 reserved, waiting: bob
        "#]],
    );
}

#[test]
fn available_reserves_nothing_and_needs_a_free_seat() {
    check(
        &[listed(Kind::Declared, 1)],
        available("ada"),
        expect![[r#"
        assignment_made assignment_0 user ada intent available mode all_or_nothing
        = office: 0 of 1
    "#]],
    );
    check(
        &[listed(Kind::Declared, 1), required("bob")],
        available("ada"),
        expect![[r#"
        command_refused assign user ada not_enough_seats figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 1 uninstall_would_free 0) short_by 1
        = office: 1 of 1, 1 reserved
    "#]],
    );
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
        expect![[r#"
            assignment_made assignment_1 group group_1 intent uninstall mode all_or_nothing
            seat_released ada unassigned
            = office: 1 of 2, 1 in use
        "#]],
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
        expect![[r#"
            uninstalled ada laptop
            seat_released ada uninstalled
            = office: 0 of 2
        "#]],
    );
}

#[test]
fn required_prevails_over_uninstall() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada"]), required("staff")],
        to_be_uninstalled("ada"),
        expect![[r#"
            assignment_made assignment_1 user ada intent uninstall mode all_or_nothing
            = office: 1 of 2, 1 reserved
        "#]],
    );
}

#[test]
fn uninstall_prevails_over_available() {
    check(
        &[listed(Kind::Declared, 2), people("staff", &["ada"]), available("staff"), to_be_uninstalled("ada")],
        installed("laptop", "ada"),
        expect![[r#"
            command_refused install ada not_assigned
            = office: 0 of 2
        "#]],
    );
}

#[test]
fn what_is_available_to_the_user_prevails_over_an_uninstall_on_the_device() {
    check(
        &[listed(Kind::Online, 2), available("ada"), to_be_uninstalled("laptop")],
        installed("laptop", "ada"),
        expect![[r#"
            seat_granted ada install in_use
            installed ada laptop ada
            = office: 1 of 2, 1 in use
        "#]],
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
        expect![[r#"
            seat_released ada reclaimed lapsed
            seat_granted dee queue
            = office: 1 of 1, 1 reserved, waiting: bob, lapsed: ada
        "#]],
    );
}

#[test]
fn a_purchase_and_a_switch_to_open_serve_the_queue() {
    let given =
        [listed(Kind::Declared, 0), people("staff", &["cy", "bob", "ada"]), required_as_far_as_it_goes("staff")];
    check(
        &given,
        listed(Kind::Declared, 2),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        capacity_changed purchase owned count 2
        seat_granted cy queue
        seat_granted bob queue
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 2 of 2, 2 reserved, waiting: ada
    "#]],
    );
    let mut open = item(Kind::Declared, "office", 0);
    open.distribution_policy = DistributionPolicy::Open;
    check(
        &given,
        told_of(Kind::Declared, vec![open]),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        distribution_policy_changed distribution_policy open
        seat_granted cy queue
        seat_granted bob queue
        seat_granted ada queue
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 3 of unlimited, 3 reserved
    "#]],
    );
}

#[test]
fn a_suspended_pool_refuses_grants_and_serves_nobody() {
    let given =
        [listed(Kind::Apple, 1), required("ada"), required_as_far_as_it_goes("bob"), store(ProviderReport::Suspended)];
    check(
        &given,
        required("cy"),
        expect![[r#"
        command_refused assign user cy pool_suspended
        = office: 1 of 1, 1 reserved, waiting: bob
    "#]],
    );
    check(
        &given,
        unassigned(0),
        expect![[r#"
            assignment_ended assignment_0 user ada unassigned
            seat_releasing ada unassigned
            = office: 1 of 1, 1 releasing, waiting: bob
        "#]],
    );
    let released = [&given[..], &[unassigned(0), release_confirmed("ada")]].concat();
    check(
        &released,
        store(ProviderReport::Resumed),
        expect![[r#"
        pool_resumed
        seat_granted bob queue
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn after_not_enough_nobody_is_served_until_a_complete_sync() {
    let given = [listed(Kind::Apple, 3), required("ada"), required("bob"), not_enough("bob")];
    check(
        &given,
        required_as_far_as_it_goes("cy"),
        expect![[r#"
        assignment_made assignment_2 user cy intent required mode fill
        queued cy
        = office: 1 of 3, 1 reserved, waiting: bob cy
    "#]],
    );
    check(
        &given,
        installed("desk", "bob"),
        expect![[r#"
        command_refused install bob no_seat_available figures (held 1 owned count 3 queued 1) remedies (buy_would_free 1 narrow_would_free 1 uninstall_would_free 0)
        = office: 1 of 3, 1 reserved, waiting: bob
    "#]],
    );
    let read_whole = [begun(Kind::Apple, true), read(Kind::Apple, vec![item(Kind::Apple, "office", 3)], &[], &[])];
    let given = [&given[..], &[required_as_far_as_it_goes("cy")], &read_whole].concat();
    check(
        &given,
        ended_well(),
        expect![[r#"
            sync_seats_compared seats (foreign 1 lost 2 seen 5) sync sync_1
            sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 1
            serving_resumed
            seat_granted bob queue
            seat_granted cy queue
            = office: 3 of 3, 3 reserved
        "#]],
    );
}

#[test]
fn a_holder_who_departs_or_need_not_have_it_any_more_leaves_the_queue() {
    let given = [listed(Kind::Declared, 0), people("staff", &["ada", "bob"]), required_as_far_as_it_goes("staff")];
    check(
        &given,
        deactivated("ada"),
        expect![[r#"
        user_departed ada deactivated
        dequeued ada departed
        = office: 0 of 0, waiting: bob
    "#]],
    );
    check(
        &given,
        people("staff", &["bob"]),
        expect![[r#"
        members_removed group_0 [ada]
        dequeued ada uncovered
        = office: 0 of 0, waiting: bob
    "#]],
    );
}

//! rules.md §4 *Refund*: the window, what is refused, what a lagging store may say, what a drift explains.

use super::scenario::{Step, check};
use super::steps::*;
use crate::domain::command::{Command, Intake};
use crate::domain::facts::{AppPrice, DistributionPolicy};
use crate::domain::ids::DriftId;
use expect_test::expect;

/// A free app, of which anything may be given back.
fn free_of_charge(owned: u64) -> Step {
    for_price(owned, Some(0))
}

fn for_price(owned: u64, minor_units: Option<u64>) -> Step {
    let mut item = item(Kind::Online, "office", owned);
    item.price = minor_units.map(|minor_units| AppPrice { currency: "EUR".into(), minor_units });
    told_of(Kind::Online, vec![item])
}

fn for_nothing(mut refund: Step) -> Step {
    if let Intake::Command(Command::Refund(order)) = &mut refund.intake {
        order.amount.minor_units = 0;
    }
    refund
}

fn explaining(mut refund: Step, drift: u32) -> Step {
    if let Intake::Command(Command::Refund(order)) = &mut refund.intake {
        order.explains = Some(DriftId(drift));
    }
    refund
}

#[test]
fn a_paid_order_can_be_refunded_from_its_day_to_the_29th_after_it() {
    // The scenario begins on 1 June.
    let given = [listed(Kind::Online, 5)];
    check(
        &given,
        refunded("a", 2, "2026-06-01"),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 1800) order a ordered_on 2026-06-01 quantity 2
        capacity_changed refund owned count 3
        = office: 0 of 3
    "#]],
    );
    check(
        &given,
        refunded("a", 2, "2026-06-01").days_later(29),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 1800) order a ordered_on 2026-06-01 quantity 2
        capacity_changed refund owned count 3
        = office: 0 of 3
    "#]],
    );
    check(
        &given,
        refunded("a", 2, "2026-06-01").days_later(30),
        expect![[r#"
        command_refused refund refund_window_closed
        = office: 0 of 5
    "#]],
    );
    check(
        &given,
        refunded("a", 2, "2026-06-02"),
        expect![[r#"
        command_refused refund ordered_in_future
        = office: 0 of 5
    "#]],
    );
}

#[test]
fn an_order_is_refunded_once() {
    check(
        &[listed(Kind::Online, 5), refunded("a", 2, "2026-06-01")],
        refunded("a", 1, "2026-06-01"),
        expect![[r#"
        command_refused refund order_already_refunded
        = office: 0 of 3
    "#]],
    );
}

#[test]
fn a_refund_is_refused_while_its_seats_are_held() {
    let given = [listed(Kind::Online, 5), required("ada"), required("bob")];
    check(
        &given,
        refunded("a", 4, "2026-06-01"),
        expect![[r#"
        command_refused refund refund_exceeds_free_seats figures (held 2 owned count 5 queued 0) quantity 4
        = office: 2 of 5, 2 reserved
    "#]],
    );
    check(
        &given,
        refunded("a", 3, "2026-06-01"),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 2700) order a ordered_on 2026-06-01 quantity 3
        capacity_changed refund owned count 2
        = office: 2 of 2, 2 reserved
    "#]],
    );
}

#[test]
fn an_open_pool_gives_back_no_more_than_it_owns_and_not_all_while_seats_are_held() {
    let mut open = item(Kind::Online, "office", 5);
    open.distribution_policy = DistributionPolicy::Open;
    let given = [told_of(Kind::Online, vec![open]), required("ada")];
    check(
        &given,
        refunded("a", 6, "2026-06-01"),
        expect![[r#"
        command_refused refund refund_exceeds_free_seats figures (held 1 owned unlimited queued 0) quantity 6
        = office: 1 of unlimited, 1 reserved
    "#]],
    );
    check(
        &given,
        refunded("a", 5, "2026-06-01"),
        expect![[r#"
        command_refused refund seats_still_held held 1
        = office: 1 of unlimited, 1 reserved
    "#]],
    );
    check(
        &given,
        refunded("a", 4, "2026-06-01"),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 3600) order a ordered_on 2026-06-01 quantity 4
        capacity_changed refund owned count 1
        = office: 1 of unlimited, 1 reserved
    "#]],
    );
}

#[test]
fn a_refund_of_everything_removes_the_pool() {
    check(
        &[listed(Kind::Online, 5)],
        refunded("a", 5, "2026-06-01"),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 4500) order a ordered_on 2026-06-01 quantity 5
        capacity_changed refund owned count 0
        pool_delisted refund
        = office: 0 of 0
    "#]],
    );
}

#[test]
fn where_no_price_is_known_an_order_for_nothing_can_be_given_back_at_any_time() {
    check(
        &[for_price(5, None)],
        for_nothing(refunded("a", 5, "2026-06-01")).days_later(300),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 0) order a ordered_on 2026-06-01 quantity 5
        capacity_changed refund owned count 0
        pool_delisted refund
        = office: 0 of 0
    "#]],
    );
    // and is not more than that: what is held stays
    check(
        &[for_price(5, None), required("ada")],
        for_nothing(refunded("a", 2, "2026-06-01")).days_later(300),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 0) order a ordered_on 2026-06-01 quantity 2
        capacity_changed refund owned count 3
        = office: 1 of 3, 1 reserved
    "#]],
    );
}

#[test]
fn a_free_app_is_refunded_for_nothing_at_any_time_in_any_quantity() {
    let given = [free_of_charge(5)];
    check(
        &given,
        for_nothing(refunded("a", 500, "2026-06-01")).days_later(300),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 0) order a ordered_on 2026-06-01 quantity 500
        capacity_changed refund owned count 0
        pool_delisted refund
        = office: 0 of 0
    "#]],
    );
    check(
        &given,
        refunded("a", 1, "2026-06-01"),
        expect![[r#"
        command_refused refund amount_not_zero
        = office: 0 of 5
    "#]],
    );
    check(
        &[free_of_charge(5), required("ada")],
        for_nothing(refunded("a", 1, "2026-06-01")),
        expect![[r#"
        command_refused refund seats_still_held held 1
        = office: 1 of 5, 1 reserved
    "#]],
    );
}

#[test]
fn a_lagging_store_is_not_believed_until_two_complete_syncs_agree() {
    let old_count = || synced(Kind::Online, vec![item(Kind::Online, "office", 10)]);
    let given = [listed(Kind::Online, 10), refunded("a", 2, "2026-06-01"), refunded("b", 3, "2026-06-01")];
    check(
        &given,
        old_count(),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_1
        refund_lag_seen stated count 10
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 0 of 5
    "#]],
    );
    let seen_once = [&given[..], &[old_count()]].concat();
    check(
        &seen_once,
        old_count(),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        capacity_changed unexplained owned count 10
        drift_found after count 10 before count 5 drift drift_0 kind refund_not_seen
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 0 of 10
    "#]],
    );
    // A part of an inventory is no complete sync, and another number does not agree.
    check(
        &seen_once,
        listed(Kind::Online, 10),
        expect![[r#"
        sync_started language en-US provider microsoft-store sync sync_2
        pools_seen pools [office] sync sync_2
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 1
        = office: 0 of 5
    "#]],
    );
    check(
        &seen_once,
        synced(Kind::Online, vec![item(Kind::Online, "office", 8)]),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        refund_lag_seen stated count 8
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 0 of 5
    "#]],
    );
    // The store shows the refunds.
    check(
        &seen_once,
        synced(Kind::Online, vec![item(Kind::Online, "office", 5)]),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        refund_settled
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 0 of 5
    "#]],
    );
    // More than there ever was may be a purchase on top of what it does not show yet.
    let more = || synced(Kind::Online, vec![item(Kind::Online, "office", 12)]);
    check(
        &seen_once,
        more(),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        refund_lag_seen stated count 12
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 0 of 5
    "#]],
    );
    check(
        &[&seen_once[..], &[more()]].concat(),
        more(),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_3
        capacity_changed purchase owned count 12
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_3 unchanged 0
        = office: 0 of 12
    "#]],
    );
}

#[test]
fn a_removed_pool_is_not_listed_again_by_a_store_that_lags() {
    let old_count = || synced(Kind::Online, vec![item(Kind::Online, "office", 5)]);
    let given = [listed(Kind::Online, 5), refunded("a", 5, "2026-06-01")];
    check(
        &given,
        old_count(),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_1
        refund_lag_seen stated count 5
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 1
        = office: 0 of 0
    "#]],
    );
    check(
        &[&given[..], &[old_count()]].concat(),
        old_count(),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        pool_relisted
        capacity_changed unexplained owned count 5
        drift_found after count 5 before count 0 drift drift_0 kind refund_not_seen
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 0 of 5
    "#]],
    );
}

#[test]
fn a_store_that_lists_the_pool_no_more_has_shown_the_refund() {
    let all = |owned| synced(Kind::Online, vec![item(Kind::Online, "office", owned)]);
    let nothing = || synced(Kind::Online, vec![]);
    let given = [listed(Kind::Online, 5), refunded("a", 5, "2026-06-01")];
    check(
        &given,
        nothing(),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_1
        refund_settled
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 0 of 0
    "#]],
    );
    // What is listed after that was bought.
    check(
        &[&given[..], &[nothing()]].concat(),
        all(5),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        pool_relisted
        capacity_changed purchase owned count 5
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 0 of 5
    "#]],
    );
    // A part that does not name it says nothing.
    check(
        &[&given[..], &[told_of(Kind::Online, vec![])]].concat(),
        all(5),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        refund_lag_seen stated count 5
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 1
        = office: 0 of 0
    "#]],
    );
    // A refund that left seats, and the pool gone and back with them.
    let given = [listed(Kind::Online, 10), refunded("a", 3, "2026-06-01"), nothing()];
    check(
        &given,
        all(7),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_2
        pool_relisted
        capacity_changed purchase owned count 7
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 0
        = office: 0 of 7
    "#]],
    );
}

#[test]
fn a_refund_that_explains_a_drop_changes_nothing() {
    let given = [listed(Kind::Online, 5), listed(Kind::Online, 3)];
    check(
        &given,
        explaining(refunded("a", 2, "2026-06-01"), 0),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 1800) explains drift_0 order a ordered_on 2026-06-01 quantity 2
        drift_resolved drift drift_0 resolution refund
        = office: 0 of 3
    "#]],
    );
    check(
        &given,
        explaining(refunded("a", 2, "2026-06-01"), 7),
        expect![[r#"
        command_refused refund drift_not_found
        = office: 0 of 3
    "#]],
    );
    let given = [&given[..], &[explaining(refunded("a", 2, "2026-06-01"), 0)]].concat();
    check(
        &given,
        explaining(refunded("b", 2, "2026-06-01"), 0),
        expect![[r#"
        command_refused refund drift_already_resolved
        = office: 0 of 3
    "#]],
    );
}

#[test]
fn a_refund_explains_no_more_than_a_drop() {
    let fell = [listed(Kind::Online, 5), listed(Kind::Online, 3)];
    check(
        &fell,
        explaining(refunded("a", 3, "2026-06-01"), 0),
        expect![[r#"
        command_refused refund refund_exceeds_free_seats figures (held 0 owned count 3 queued 0) quantity 3
        = office: 0 of 3
    "#]],
    );
    // A store that denied a refund has raised the count, and one that says what is used has said nothing of it.
    let all = |owned| synced(Kind::Online, vec![item(Kind::Online, "office", owned)]);
    let rose = [listed(Kind::Online, 5), refunded("a", 2, "2026-06-01"), all(5), all(5)];
    check(
        &rose,
        explaining(refunded("b", 2, "2026-06-01"), 0),
        expect![[r#"
        command_refused refund refund_exceeds_free_seats figures (held 0 owned count 5 queued 0) quantity 2
        = office: 0 of 5
    "#]],
    );
    let used = || {
        let mut said = item(Kind::Online, "office", 5);
        said.store_used = Some(3);
        synced(Kind::Online, vec![said])
    };
    check(
        &[used(), used()],
        explaining(refunded("a", 1, "2026-06-01"), 0),
        expect![[r#"
        command_refused refund refund_exceeds_free_seats figures (held 0 owned count 5 queued 0) quantity 1
        = office: 0 of 5
    "#]],
    );
    // Of a free app anything may be given back, where there was a drop.
    check(
        &[free_of_charge(5), free_of_charge(3)],
        for_nothing(explaining(refunded("a", 0, "2026-06-01"), 0)),
        expect![[r#"
        refund_recorded amount (currency EUR minor_units 0) explains drift_0 order a ordered_on 2026-06-01 quantity 0
        drift_resolved drift drift_0 resolution refund
        = office: 0 of 3
    "#]],
    );
}

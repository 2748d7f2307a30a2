//! Syncs that a connector runs (rules.md §6): begun, gone on with, ended, and what they conclude from what is missing.

use super::connector_steps::{begun, begun_so, ended_sync, ended_well, read};
use super::scenario::{Scenario, Step, check};
use super::steps::{
    Kind, confirmed, item, listed, not_enough, people, refunded, required, required_as_far_as_it_goes, seen, settings,
    store, told_of,
};
use crate::domain::command::{Command, ProviderReport, SyncEnd};
use crate::domain::facts::{Brake, SettingsPatch, SyncCounts, SyncSeats};
use crate::domain::ids::{PoolId, SyncId};
use crate::domain::key::Provider;
use crate::domain::state::SyncState;
use expect_test::expect;

const ONLINE: Kind = Kind::Online;

/// Ada and Bob hold confirmed seats, Cy a foreign one.
fn three_seats() -> Vec<Step> {
    let steps = [listed(ONLINE, 4), required("ada"), required("bob"), confirmed("ada"), confirmed("bob"), seen("cy")];
    [steps.to_vec(), vec![begun(ONLINE, true)]].concat()
}

fn the_brake_from(at_least: u64) -> Step {
    settings(SettingsPatch { brake: Some(Brake { share_percent: 20, at_least }), ..SettingsPatch::default() })
}

#[test]
fn one_sync_of_an_account_runs_at_a_time() {
    let given = [begun(ONLINE, true)];
    check(
        &given,
        begun(ONLINE, false),
        expect![[r#"
        command_unchanged start_sync about sync sync_0
    "#]],
    );
    check(
        &given,
        begun(Kind::Apple, true),
        expect![[r#"
        sync_started is_full language en-US provider apple-business sync sync_1
    "#]],
    );
    check(
        &[begun(ONLINE, false)],
        begun(ONLINE, true),
        expect![[r#"
        command_refused start_sync sync_running sync sync_0
    "#]],
    );
    let ended = [begun(ONLINE, false), read_first(), ended_first()];
    check(
        &ended,
        begun(ONLINE, true),
        expect![[r#"
        sync_started is_full language en-US provider microsoft-store sync sync_1
        = office: 0 of 3
    "#]],
    );
}

fn read_first() -> Step {
    with_sync(read(ONLINE, vec![item(ONLINE, "office", 3)], &[], &[]), 0)
}

fn ended_first() -> Step {
    with_sync(ended_well(), 0)
}

/// The same of another sync than the second.
fn with_sync(mut step: Step, number: u32) -> Step {
    use crate::domain::command::{Intake, Observation};
    match &mut step.intake {
        Intake::Observation(Observation::EndSync { sync, .. }) => *sync = SyncId(number),
        Intake::Observation(Observation::Inventory(inventory)) => {
            inventory.part.as_mut().expect("a part").sync = SyncId(number);
        }
        other @ (Intake::Command(_) | Intake::Observation(_)) => panic!("not of a sync: {other:?}"),
    }
    step
}

#[test]
fn a_sync_without_a_connector_is_refused_and_one_that_does_not_run_is_not_gone_on_with() {
    let unconnected = Command::StartSync {
        provider: Provider::MicrosoftStore,
        is_full: true,
        is_dry_run: false,
        is_connected: false,
    };
    check(
        &[],
        super::steps::command(unconnected),
        expect![[r#"
        command_refused start_sync connector_not_running
    "#]],
    );
    check(
        &[listed(ONLINE, 4)],
        ended_well(),
        expect![[r#"
        command_refused end_sync sync_not_found
        = office: 0 of 4
    "#]],
    );
    check(
        &[listed(ONLINE, 4)],
        read_first(),
        expect![[r#"
        command_refused inventory sync_not_found
        = office: 0 of 4
    "#]],
    );
    let over = [begun(ONLINE, true), with_sync(ended_sync(SyncEnd::Failed { reason: "cut".into() }), 0)];
    check(
        &over,
        ended_first(),
        expect![[r#"
        command_refused end_sync sync_not_found
    "#]],
    );
}

#[test]
fn what_two_passes_did_not_show_goes_and_a_pool_that_is_not_among_it_stays() {
    check(
        &three_seats(),
        read(ONLINE, vec![item(ONLINE, "office", 4)], &[], &["bob", "cy"]),
        expect![[r#"
        seat_released bob lost lapsed
        seat_released cy ended_at_store
        sync_items_taken counts (changed 0 delisted 0 listed 0 pages 1 skipped 0 unchanged 1) sync sync_1
        = office: 1 of 4, 1 reserved, lapsed: bob
    "#]],
    );
    // it is not listed, and nobody says that it is gone
    check(
        &three_seats(),
        read(ONLINE, vec![], &[], &[]),
        expect![[r#"
        sync_items_taken counts (changed 0 delisted 0 listed 0 pages 1 skipped 0 unchanged 0) sync sync_1
        = office: 3 of 4, 2 reserved, 1 foreign
    "#]],
    );
    check(
        &three_seats(),
        read(ONLINE, vec![], &[PoolId(0)], &[]),
        expect![[r#"
        pool_delisted delisted
        sync_items_taken counts (changed 0 delisted 1 listed 0 pages 1 skipped 0 unchanged 0) sync sync_1
        = office: 3 of 0, 2 reserved, 1 foreign, over 3
    "#]],
    );
    // it was removed by a refund, which the store has taken in
    check(
        &[listed(ONLINE, 4), refunded("a", 4, "2026-06-01"), begun(ONLINE, true)],
        read(ONLINE, vec![], &[PoolId(0)], &[]),
        expect![[r#"
        refund_settled
        sync_items_taken counts (changed 0 delisted 0 listed 0 pages 1 skipped 0 unchanged 0) sync sync_1
        = office: 0 of 0
    "#]],
    );
}

#[test]
fn the_brake_holds_what_a_sync_would_end_and_a_person_lets_it_go() {
    let given = [vec![the_brake_from(2)], three_seats()].concat();
    let lost = read(ONLINE, vec![item(ONLINE, "office", 4)], &[], &["ada", "cy"]);
    check(
        &given,
        lost.clone(),
        expect![[r#"
        endings_held lost held held_0 seats [[office ada]] sync sync_1
        endings_held ended_at_store held held_0 seats [[office cy]] sync sync_1
        sync_items_taken counts (changed 0 delisted 0 listed 0 pages 1 skipped 0 unchanged 1) sync sync_1
        = office: 3 of 4, 2 reserved, 1 foreign
    "#]],
    );
    let confirm = super::steps::command(Command::ConfirmSync { sync: SyncId(1) });
    check(
        &[given.clone(), vec![lost.clone(), ended_well()]].concat(),
        confirm.clone(),
        expect![[r#"
        seat_released ada lost lapsed
        seat_released cy ended_at_store
        endings_confirmed held held_0
        = office: 1 of 4, 1 reserved, lapsed: ada
    "#]],
    );
    // what has ended meanwhile does not end twice
    let again = [given, vec![lost, super::steps::absent("cy"), ended_well()]].concat();
    check(
        &again,
        confirm,
        expect![[r#"
        seat_released ada lost lapsed
        endings_confirmed held held_0
        = office: 1 of 4, 1 reserved, lapsed: ada
    "#]],
    );
}

#[test]
fn what_was_given_anew_since_a_sync_missed_it_is_another_seat() {
    let lost = read(ONLINE, vec![item(ONLINE, "office", 4)], &[], &["ada", "cy"]);
    let anew = |name: &str| vec![super::steps::absent(name), super::steps::granted(name), confirmed(name)];
    // while it was held for a person
    let held = [vec![the_brake_from(2)], three_seats(), vec![lost.clone(), ended_well()], anew("ada")].concat();
    check(
        &held,
        super::steps::command(Command::ConfirmSync { sync: SyncId(1) }),
        expect![[r#"
        seat_released cy ended_at_store
        endings_confirmed held held_0
        = office: 2 of 4, 2 reserved
    "#]],
    );
    // and while the sync was under way
    check(
        &[three_seats(), anew("ada")].concat(),
        lost,
        expect![[r#"
        seat_released cy ended_at_store
        sync_items_taken counts (changed 0 delisted 0 listed 0 pages 1 skipped 0 unchanged 1) sync sync_1
        = office: 2 of 4, 2 reserved
    "#]],
    );
}

#[test]
fn a_seat_that_is_not_confirmed_is_not_lost_and_a_book_never_is() {
    let given = [listed(ONLINE, 4), required("ada"), begun(ONLINE, true)];
    check(
        &given,
        read(ONLINE, vec![item(ONLINE, "office", 4)], &[], &["ada", "bob"]),
        expect![[r#"
        sync_items_taken counts (changed 0 delisted 0 listed 0 pages 1 skipped 0 unchanged 1) sync sync_1
        = office: 1 of 4, 1 reserved
    "#]],
    );
    let book = [listed(Kind::Books, 4), required("ada"), confirmed("ada"), begun(Kind::Books, true)];
    check(
        &book,
        read(Kind::Books, vec![item(Kind::Books, "office", 4)], &[], &["ada"]),
        expect![[r#"
        sync_items_taken counts (changed 0 delisted 0 listed 0 pages 1 skipped 0 unchanged 1) sync sync_1
        = office: 1 of 4, 1 reserved
    "#]],
    );
}

#[test]
fn a_complete_sync_serves_those_whom_the_store_had_nothing_for() {
    let given = vec![
        listed(ONLINE, 1),
        people("team", &["ada", "bob"]),
        required_as_far_as_it_goes("team"),
        not_enough("ada"),
        begun(ONLINE, true),
    ];
    let taken = [given, vec![read(ONLINE, vec![item(ONLINE, "office", 1)], &[], &[])]].concat();
    check(
        &taken,
        ended_well(),
        expect![[r#"
        sync_seats_compared seats (foreign 1 lost 2 seen 5) sync sync_1
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 1
        serving_resumed
        seat_granted ada queue
        = office: 1 of 1, 1 reserved, waiting: bob
    "#]],
    );
    let partly = Scenario::after(&[listed(ONLINE, 1), required("ada"), not_enough("ada"), begun(ONLINE, false)]);
    assert!(partly.tenant.pool(PoolId(0)).is_serving_paused);
}

#[test]
fn a_pass_leaves_a_suspended_pool_as_old_as_it_is_and_agrees_on_nothing_of_it() {
    let mut used = item(Kind::Apple, "office", 5);
    used.store_used = Some(3);
    let begun_with = [told_of(Kind::Apple, vec![used.clone()]), store(ProviderReport::Suspended)];
    let mut scenario = Scenario::after(&begun_with);
    let seen_at = |scenario: &Scenario| scenario.tenant.pool(PoolId(0)).store_seen_at;
    let read_at = seen_at(&scenario);
    let pass = |scenario: &mut Scenario, number, items| {
        scenario.play(&begun(Kind::Apple, true));
        scenario.play(&with_sync(read(Kind::Apple, items, &[], &[]), number));
        scenario.play(&with_sync(ended_well(), number));
        (seen_at(scenario), scenario.tenant.drifts.len())
    };
    assert_eq!(pass(&mut scenario, 1, vec![]), (read_at, 0));
    scenario.play(&store(ProviderReport::Resumed));
    let read_again = pass(&mut scenario, 2, vec![used.clone()]);
    assert_eq!(read_again, (Some(scenario.now), 0), "one reading is not two that agree");
    assert_eq!(pass(&mut scenario, 3, vec![used]).1, 1);
    // what is unchanged since a pass was looked at too
    scenario.play(&begun(Kind::Apple, false));
    scenario.play(&with_sync(read(Kind::Apple, vec![], &[], &[]), 4));
    scenario.play(&with_sync(ended_well(), 4));
    assert_eq!(seen_at(&scenario), Some(scenario.now));
    scenario.assert_the_fold_is_the_state();
}

#[test]
fn a_sync_keeps_what_it_counted_and_one_that_only_looks_counts_what_it_would_do() {
    let mut scenario = Scenario::after(&three_seats());
    scenario.play(&read(ONLINE, vec![item(ONLINE, "office", 5), item(ONLINE, "visio", 1)], &[], &["bob"]));
    scenario.play(&ended_well());
    let counted = SyncCounts { listed: 1, changed: 1, delisted: 0, skipped: 0, unchanged: 0, pages: 1 };
    let sync = scenario.tenant.syncs.get(1).unwrap();
    assert_eq!((sync.state, sync.counts), (SyncState::Completed, counted));
    assert_eq!(sync.seats, Some(SyncSeats { seen: 5, foreign: 1, lost: 2 }));
    scenario.play(&begun_so(ONLINE, true, true));
    let more = ["office", "visio", "notes"].map(|name| item(ONLINE, name, 9)).to_vec();
    let judged = scenario.play(&with_sync(read(ONLINE, more, &[], &["ada"]), 2));
    assert_eq!(judged.events.len(), 1, "it only counts: {:?}", judged.events);
    scenario.play(&with_sync(ended_well(), 2));
    let would_be = SyncCounts { listed: 1, changed: 2, delisted: 0, skipped: 0, unchanged: 0, pages: 1 };
    let looked = scenario.tenant.syncs.get(2).unwrap();
    assert_eq!((looked.state, looked.counts), (SyncState::Completed, would_be));
    assert_eq!(scenario.tenant.pools.len(), 2, "it only looked");
}

#[test]
fn what_a_sync_shows_is_judged_by_the_brake_all_together() {
    let given = [
        vec![the_brake_from(2), listed(ONLINE, 3), super::steps::deficits_are_reclaimed()],
        ["ada", "bob", "cy"].map(required).to_vec(),
        ["ada", "bob", "cy"].map(confirmed).to_vec(),
        vec![begun(ONLINE, true), read(ONLINE, vec![item(ONLINE, "office", 3)], &[], &[]), seen("dee")],
    ]
    .concat();
    check(
        &given,
        seen("eve"),
        expect![[r#"
        foreign_seat_seen eve
        = office: 5 of 3, 3 reserved, 2 foreign, over 2
    "#]],
    );
    check(
        &[given, vec![seen("eve")]].concat(),
        ended_well(),
        expect![[r#"
        sync_seats_compared seats (foreign 1 lost 2 seen 5) sync sync_1
        endings_held deficit_plan held held_0 seats [[office cy] [office bob]] sync sync_1
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 1
        = office: 5 of 3, 3 reserved, 2 foreign, over 2
    "#]],
    );
}

/// So many of the five hold confirmed seats of a pool that reclaims by itself, and a sync begins.
fn reclaiming(people: &[&str]) -> Vec<Step> {
    let pool = vec![the_brake_from(2), listed(ONLINE, people.len() as u64), super::steps::deficits_are_reclaimed()];
    let seats = people.iter().copied().map(required).chain(people.iter().copied().map(confirmed));
    [pool, seats.collect(), vec![begun(ONLINE, true)]].concat()
}

#[test]
fn a_pool_is_not_reclaimed_from_for_what_a_sync_has_lost_and_the_brake_holds() {
    let lost = read(ONLINE, vec![item(ONLINE, "office", 4)], &[], &["ada", "bob"]);
    let given = reclaiming(&["ada", "bob", "cy", "dee", "eve"]);
    check(
        &given,
        lost.clone(),
        expect![[r#"
        capacity_changed unexplained owned count 4
        drift_found after count 4 before count 5 drift drift_0 kind owned_fell
        endings_held lost held held_0 seats [[office ada] [office bob]] sync sync_1
        sync_items_taken counts (changed 1 delisted 0 listed 0 pages 1 skipped 0 unchanged 0) sync sync_1
        = office: 5 of 4, 5 reserved, over 1
    "#]],
    );
    let given = [given, vec![lost]].concat();
    check(
        &given,
        ended_well(),
        expect![[r#"
        sync_seats_compared seats (foreign 1 lost 2 seen 5) sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 5 of 4, 5 reserved, over 1
    "#]],
    );
    check(
        &[given, vec![ended_well()]].concat(),
        super::steps::command(Command::ConfirmSync { sync: SyncId(1) }),
        expect![[r#"
        seat_released ada lost lapsed
        seat_released bob lost lapsed
        endings_confirmed held held_0
        = office: 3 of 4, 3 reserved, lapsed: ada bob
    "#]],
    );
}

#[test]
fn a_reclaim_that_the_brake_holds_is_held_once_and_what_a_sync_adds_waits_with_it() {
    let given = reclaiming(&["ada", "bob", "cy", "dee"]);
    let two_are_owned = read(ONLINE, vec![item(ONLINE, "office", 2)], &[], &[]);
    check(
        &given,
        two_are_owned.clone(),
        expect![[r#"
        capacity_changed unexplained owned count 2
        drift_found after count 2 before count 4 drift drift_0 kind owned_fell
        endings_held deficit_plan held held_0 seats [[office dee] [office cy]] sync sync_1
        sync_items_taken counts (changed 1 delisted 0 listed 0 pages 1 skipped 0 unchanged 0) sync sync_1
        = office: 4 of 2, 4 reserved, over 2
    "#]],
    );
    let given = [given, vec![two_are_owned]].concat();
    check(
        &given,
        ended_well(),
        expect![[r#"
        sync_seats_compared seats (foreign 1 lost 2 seen 5) sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 4 of 2, 4 reserved, over 2
    "#]],
    );
    // One seat of five alone would not cross.
    let given = [given, vec![seen("eve")]].concat();
    check(
        &given,
        ended_well(),
        expect![[r#"
        sync_seats_compared seats (foreign 1 lost 2 seen 5) sync sync_1
        endings_held deficit_plan held held_1 seats [[office bob]] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 5 of 2, 4 reserved, 1 foreign, over 3
    "#]],
    );
    check(
        &[given, vec![ended_well()]].concat(),
        super::steps::command(Command::ConfirmSync { sync: SyncId(1) }),
        expect![[r#"
        seat_releasing dee deficit_plan lapsed
        seat_releasing cy deficit_plan lapsed
        endings_confirmed held held_0
        seat_releasing bob deficit_plan lapsed
        endings_confirmed held held_1
        = office: 5 of 2, 1 reserved, 3 releasing, 1 foreign, lapsed: bob cy dee, over 3
    "#]],
    );
}

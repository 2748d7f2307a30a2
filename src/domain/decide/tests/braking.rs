//! rules.md §6 *Brake*: what a person has to confirm before it ends seats.

use super::scenario::{Scenario, Step, check};
use super::steps::*;
use crate::domain::command::{Command, Intake, InventoryItem};
use crate::domain::event::Event;
use crate::domain::facts::{Brake, GroupKind, SettingsPatch};
use crate::domain::ids::{HeldId, SyncId};
use expect_test::expect;

const D: Kind = Kind::Declared;

fn of_all(items: Vec<InventoryItem>) -> Step {
    synced(D, items)
}

fn office_and_visio() -> Vec<InventoryItem> {
    vec![item(D, "office", 5), item(D, "visio", 5)]
}

/// The brake for a company of five: more than `percent` of the seats, and at least so many.
fn brake(share_percent: u32, at_least: u64) -> Step {
    settings(SettingsPatch { brake: Some(Brake { share_percent, at_least }), ..SettingsPatch::default() })
}

fn held_confirmed(held: u32) -> Step {
    Intake::Command(Command::ConfirmHeld { held: HeldId(held) }).into()
}

fn sync_confirmed(sync: u32) -> Step {
    Intake::Command(Command::ConfirmSync { sync: SyncId(sync) }).into()
}

#[test]
fn the_brake_holds_more_than_the_share_and_at_least_the_number() {
    // Five seats held. Two of them are 40 %: over the share, and at the number or below it.
    let given = |percent, at_least| {
        vec![
            listed(D, 9),
            people("staff", &["ada", "bob", "cy", "dee", "eve"]),
            required("staff"),
            brake(percent, at_least),
        ]
    };
    let two_leave = || people("staff", &["ada", "bob", "cy"]);
    check(
        &given(20, 2),
        two_leave(),
        expect![[r#"
        members_removed group_0 [dee eve]
        endings_held uncovered held held_0 seats [[office dee] [office eve]]
        = office: 5 of 9, 5 reserved
    "#]],
    );
    check(
        &given(20, 3),
        two_leave(),
        expect![[r#"
        members_removed group_0 [dee eve]
        seat_released dee uncovered
        seat_released eve uncovered
        = office: 3 of 9, 3 reserved
    "#]],
    );
    // Exactly the share is not more than the share.
    check(
        &given(40, 2),
        two_leave(),
        expect![[r#"
        members_removed group_0 [dee eve]
        seat_released dee uncovered
        seat_released eve uncovered
        = office: 3 of 9, 3 reserved
    "#]],
    );
}

#[test]
fn the_default_brake_is_a_fifth_and_twenty_five() {
    let Brake { share_percent, at_least } = Scenario::new().tenant.settings.brake;
    assert_eq!((share_percent, at_least), (20, 25));
}

#[test]
fn what_crosses_waits_whole_and_so_does_all_after_it_until_confirmed() {
    let given = vec![
        listed(D, 9),
        people("staff", &["ada", "bob", "cy", "dee", "eve"]),
        required("staff"),
        brake(20, 2),
        people("staff", &["ada", "bob", "cy"]),
    ];
    check(
        &given,
        deactivated("ada"),
        expect![[r#"
        user_departed ada deactivated
        endings_held departed held held_1 seats [[office ada]]
        = office: 5 of 9, 5 reserved
    "#]],
    );
    check(
        &given,
        held_confirmed(0),
        expect![[r#"
        seat_released dee uncovered
        seat_released eve uncovered
        endings_confirmed held held_0
        = office: 3 of 9, 3 reserved
    "#]],
    );
    // One who is wanted again by then keeps the seat.
    let back = [given.clone(), vec![people("staff", &["ada", "bob", "cy", "dee"])]].concat();
    check(
        &back,
        held_confirmed(0),
        expect![[r#"
        seat_released eve uncovered
        endings_confirmed held held_0
        = office: 4 of 9, 4 reserved
    "#]],
    );
    // What a person has confirmed does not count against the next.
    let confirmed = [given, vec![held_confirmed(0)]].concat();
    check(
        &confirmed,
        people("staff", &["ada", "bob"]),
        expect![[r#"
        members_removed group_0 [cy]
        seat_released cy uncovered
        = office: 2 of 9, 2 reserved
    "#]],
    );
}

#[test]
fn the_brake_adds_up_over_an_hour() {
    let given = [
        listed(D, 9),
        people("staff", &["ada", "bob", "cy", "dee", "eve"]),
        required("staff"),
        brake(20, 2),
        people("staff", &["ada", "bob", "cy", "dee"]),
    ];
    check(
        &given,
        people("staff", &["ada", "bob", "cy"]).minutes_later(59),
        expect![[r#"
        members_removed group_0 [dee]
        endings_held uncovered held held_0 seats [[office dee]]
        = office: 4 of 9, 4 reserved
    "#]],
    );
    check(
        &given,
        people("staff", &["ada", "bob", "cy"]).minutes_later(60),
        expect![[r#"
        members_removed group_0 [dee]
        seat_released dee uncovered
        = office: 3 of 9, 3 reserved
    "#]],
    );
}

#[test]
fn the_brake_does_not_judge_an_operator_nor_one_departure_alone() {
    let given = [
        listed(D, 9),
        group(GroupKind::Mixed, "all", &["ada", "bob", "laptop", "tablet"]),
        required("all"),
        brake(20, 1),
    ];
    check(
        &given,
        unassigned(0),
        expect![[r#"
            assignment_ended assignment_0 group group_0 unassigned
            seat_released ada unassigned
            seat_released bob unassigned
            seat_released laptop unassigned
            seat_released tablet unassigned
            = office: 0 of 9
        "#]],
    );
    check(
        &given,
        deactivated_with_devices("ada"),
        expect![[r#"
        user_departed ada deactivated
        device_retired laptop
        device_retired tablet
        seat_released ada departed
        seat_released laptop device_retired
        seat_released tablet device_retired
        = office: 1 of 9, 1 reserved
    "#]],
    );
    let given = [&given[..], &[deactivated_with_devices("ada")]].concat();
    check(
        &given,
        deactivated("bob"),
        expect![[r#"
        user_departed bob deactivated
        endings_held departed held held_0 seats [[office bob]]
        = office: 1 of 9, 1 reserved
    "#]],
    );
}

#[test]
fn the_seat_of_a_retired_device_is_held_once() {
    let given = [listed(D, 9), required("laptop"), required("ada"), brake(20, 1)];
    check(
        &given,
        retired("laptop"),
        expect![[r#"
        device_retired laptop
        endings_held device_retired held held_0 seats [[office laptop]]
        = office: 2 of 9, 2 reserved
    "#]],
    );
}

#[test]
fn a_retirement_leaves_the_seats_that_the_brake_holds() {
    let fleet = ["laptop", "tablet", "desk", "kiosk", "byod"];
    let given = [
        vec![listed(D, 9), machines("fleet", &fleet), required("fleet")],
        fleet.map(|machine| installed(machine, "")).to_vec(),
        vec![brake(20, 2), retired("laptop")],
    ]
    .concat();
    check(
        &given,
        retired("tablet"),
        expect![[r#"
        device_retired tablet
        uninstalled tablet
        seat_idle tablet
        endings_held device_retired held held_0 seats [[office tablet]]
        = office: 4 of 9, 1 reserved, 3 in use
    "#]],
    );
    check(
        &[given, vec![retired("tablet")]].concat(),
        held_confirmed(0),
        expect![[r#"
        seat_released tablet device_retired
        endings_confirmed held held_0
        = office: 3 of 9, 3 in use
    "#]],
    );
}

#[test]
fn people_keep_the_seats_that_the_brake_holds_when_their_devices_retire() {
    let given = [
        listed(D, 9),
        people("staff", &["ada", "bob", "cy", "dee", "eve"]),
        required("staff"),
        installed("laptop", "ada"),
        installed("desk", "bob"),
        brake(20, 2),
        retired("laptop"),
    ];
    check(
        &given,
        retired("desk"),
        expect![[r#"
        device_retired desk
        uninstalled bob desk
        seat_idle bob
        endings_held device_retired held held_0 seats [[office bob]]
        = office: 4 of 9, 4 reserved, lapsed: ada
    "#]],
    );
    let given = [&given[..], &[retired("desk")]].concat();
    check(
        &given,
        held_confirmed(0),
        expect![[r#"
        seat_released bob device_retired lapsed
        endings_confirmed held held_0
        = office: 3 of 9, 3 reserved, lapsed: ada bob
    "#]],
    );
    // Installed elsewhere meanwhile, it is in use.
    check(
        &[given, vec![installed("kiosk", "bob")]].concat(),
        held_confirmed(0),
        expect![[r#"
        endings_confirmed held held_0
        = office: 4 of 9, 3 reserved, 1 in use, lapsed: ada
    "#]],
    );
}

#[test]
fn a_departure_with_devices_is_one_change_before_the_brake() {
    let given = [
        listed(D, 9),
        people("staff", &["ada", "bob", "cy", "dee", "eve"]),
        required("staff"),
        installed("laptop", "ada"),
        brake(20, 2),
        people("staff", &["ada", "bob", "cy"]),
    ];
    check(
        &given,
        deactivated_with_devices("ada"),
        expect![[r#"
        user_departed ada deactivated
        device_retired laptop
        uninstalled ada laptop
        device_retired tablet
        seat_idle ada
        endings_held departed held held_1 seats [[office ada]]
        = office: 5 of 9, 5 reserved
    "#]],
    );
}

#[test]
fn the_brake_holds_what_a_wiped_device_ends() {
    // Cy is reached through what is installed on the device, and through nothing else.
    let given = [listed(Kind::Online, 9), required("laptop"), installed("laptop", "cy"), brake(20, 1)];
    check(
        &given,
        wiped("laptop"),
        expect![[r#"
        device_changed laptop primary_user ada
        device_reincarnated laptop
        uninstalled cy laptop
        seat_idle cy
        endings_held uncovered held held_0 seats [[office cy]]
        = office: 2 of 9, 2 reserved
    "#]],
    );
}

#[test]
fn the_brake_holds_a_removal_and_capacity_applies_at_once() {
    let given = [of_all(office_and_visio()), required("ada"), required("bob"), brake(20, 1)];
    check(
        &given,
        of_all(vec![item(D, "visio", 4)]),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_1
        capacity_changed visio unexplained owned count 4
        drift_found visio after count 4 before count 5 drift drift_0 kind owned_fell
        removal_held held held_0 sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 2 of 5, 2 reserved
        = visio: 0 of 4
    "#]],
    );
    let held = [&given[..], &[of_all(vec![item(D, "visio", 4)])]].concat();
    check(
        &held,
        sync_confirmed(1),
        expect![[r#"
        pool_delisted delisted
        endings_confirmed held held_0
        = office: 2 of 0, 2 reserved, over 2
        = visio: 0 of 4
    "#]],
    );
    // A later complete sync that names it again makes that moot.
    let back = [&held[..], &[of_all(office_and_visio())]].concat();
    check(
        &back,
        sync_confirmed(1),
        expect![[r#"
        command_refused confirm_sync nothing_held
        = office: 2 of 5, 2 reserved
        = visio: 0 of 5
    "#]],
    );
}

#[test]
fn a_sync_that_is_confirmed_leaves_the_hour_of_the_directory_as_it_is() {
    // Eight seats held, of which one ended a moment ago.
    let given = [
        of_all(vec![item(D, "office", 9), item(D, "visio", 3)]),
        people("staff", &["ada", "bob", "cy", "dee", "eve"]),
        required("staff"),
        required("ada").of("visio"),
        required("bob").of("visio"),
        required("cy").of("visio"),
        brake(20, 2),
        people("staff", &["ada", "bob", "cy", "dee"]),
        of_all(vec![item(D, "office", 9)]),
        sync_confirmed(1),
    ];
    check(
        &given,
        people("staff", &["ada", "bob", "cy"]),
        expect![[r#"
        members_removed group_0 [dee]
        endings_held uncovered held held_1 seats [[office dee]]
        = office: 4 of 9, 4 reserved
        = visio: 3 of 0, 3 reserved, over 3
    "#]],
    );
}

#[test]
fn the_brake_holds_automatic_reclaims() {
    let given = [listed(D, 2), required("ada"), required("bob"), deficits_are_reclaimed(), brake(20, 1)];
    check(
        &given,
        listed(D, 1),
        expect![[r#"
        sync_started language en-US provider declared sync sync_1
        capacity_changed unexplained owned count 1
        drift_found after count 1 before count 2 drift drift_0 kind owned_fell
        endings_held deficit_plan held held_0 seats [[office bob]] sync sync_1
        pools_seen pools [office] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 2 of 1, 2 reserved, over 1
    "#]],
    );
    let given = [&given[..], &[listed(D, 1)]].concat();
    check(
        &given,
        sync_confirmed(1),
        expect![[r#"
        seat_released bob deficit_plan lapsed
        endings_confirmed held held_0
        = office: 1 of 1, 1 reserved, lapsed: bob
    "#]],
    );
    // Held by a sync, not by the directory: a change of membership is judged as ever.
    check(
        &given,
        deactivated("ada"),
        expect![[r#"
            user_departed ada deactivated
            assignment_ended assignment_0 user ada user_departed
            seat_released ada departed
            = office: 1 of 1, 1 reserved
        "#]],
    );
}

#[test]
fn what_a_change_of_details_uncovers_is_judged_with_the_rest_of_the_sync() {
    let mut strict = item(D, "office", 5);
    strict.details.requires_windows_1511 = true;
    let given = [of_all(office_and_visio()), required("old"), required("ada").of("visio"), brake(20, 2)];
    // One seat that nothing covers any more and one whose app is gone are two of two.
    check(
        &given,
        of_all(vec![strict.clone()]),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_1
        pool_details_changed
        removal_held visio held held_0 sync sync_1
        endings_held ineligible held held_0 seats [[office old]] sync sync_1
        sync_completed changed 1 delisted 0 listed 0 pages 1 skipped 0 sync sync_1 unchanged 0
        = office: 1 of 5, 1 reserved
        = visio: 1 of 5, 1 reserved
    "#]],
    );
    let given = [&given[..], &[of_all(vec![strict.clone()])]].concat();
    // The next complete sync judges them again: the same details tell of no seat.
    check(
        &given,
        of_all(vec![strict]),
        expect![[r#"
        sync_started is_full language en-US provider declared sync sync_2
        removal_held visio held held_1 sync sync_2
        endings_held ineligible held held_1 seats [[office old]] sync sync_2
        sync_completed changed 0 delisted 0 listed 0 pages 1 skipped 0 sync sync_2 unchanged 1
        = office: 1 of 5, 1 reserved
        = visio: 1 of 5, 1 reserved
    "#]],
    );
    check(
        &given,
        sync_confirmed(1),
        expect![[r#"
        pool_delisted visio delisted
        seat_released old ineligible
        endings_confirmed held held_0
        = office: 0 of 5
        = visio: 1 of 0, 1 reserved, over 1
    "#]],
    );
    // What a sync has ended is not the directory's: one person's departure alone is never held.
    let given = [&given[..], &[sync_confirmed(1), required("bob")]].concat();
    let judged = Scenario::after(&given).play(&deactivated("bob"));
    assert!(!judged.events.iter().any(|event| matches!(event, Event::EndingsHeld { .. })), "{:?}", judged.events);
    assert!(judged.events.iter().any(|event| matches!(event, Event::SeatReleased { .. })), "{:?}", judged.events);
}

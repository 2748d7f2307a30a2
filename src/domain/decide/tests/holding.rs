//! rules.md §6 *Brake*: what was held and has come to nothing since holds nobody.

use super::scenario::{START, Scenario, Step, check, holder};
use super::steps::*;
use crate::domain::command::{Command, Intake};
use crate::domain::facts::{Brake, ReleaseCause, SettingsPatch};
use crate::domain::ids::{HeldId, PoolId};
use crate::domain::state::HeldEndings;
use expect_test::expect;

/// Of five, three were dropped at once, and are back.
fn back_again() -> Vec<Step> {
    let brake = Brake { share_percent: 20, at_least: 2 };
    vec![
        listed(Kind::Declared, 9),
        people("staff", &["ada", "bob", "cy", "dee", "eve"]),
        required("staff"),
        settings(SettingsPatch { brake: Some(brake), ..SettingsPatch::default() }),
        people("staff", &["ada", "bob"]),
        people("staff", &["ada", "bob", "cy", "dee", "eve"]),
    ]
}

fn held_confirmed(held: u32) -> Step {
    Intake::Command(Command::ConfirmHeld { held: HeldId(held) }).into()
}

fn waiting(steps: &[Step]) -> Vec<(HeldId, usize)> {
    let tenant = Scenario::after(steps).tenant;
    let waiting = tenant.held.values().filter(|held| tenant.still_waits(held));
    waiting.map(|held| (held.id, tenant.seats_held_by(held).count())).collect()
}

#[test]
fn what_has_come_to_nothing_holds_nobody() {
    assert_eq!(waiting(&back_again()[..5]), [(HeldId(0), 3)]);
    assert!(waiting(&back_again()).is_empty());
    // Of those who were held, and of the others.
    for (who, of) in [("eve", "ada bob cy dee"), ("ada", "bob cy dee eve")] {
        let given = [back_again(), vec![deactivated(who).minutes_later(120)]].concat();
        let tenant = Scenario::after(&given).tenant;
        assert_eq!((tenant.seats_held, waiting(&given)), (4, vec![]), "{who} has left {of}");
    }
    check(
        &back_again(),
        people("staff", &["ada", "bob", "cy", "dee"]).minutes_later(120),
        expect![[r#"
        members_removed group_0 [eve]
        seat_released eve uncovered
        = office: 4 of 9, 4 reserved
    "#]],
    );
}

#[test]
fn whether_anything_waits_is_known_without_looking_through_it() {
    let mut scenario = Scenario::after(&back_again());
    for step in [
        deactivated("eve").minutes_later(120),
        returned("eve"),
        machines("fleet", &["laptop"]),
        wiped("laptop"),
        people("staff", &["ada", "bob", "cy", "dee"]).minutes_later(120),
        people("staff", &["ada", "bob"]).minutes_later(120),
        people("staff", &["ada", "bob", "cy"]),
    ] {
        // that it is right is asserted wherever a step is played
        scenario.play(&step);
        let tenant = &scenario.tenant;
        for held in tenant.held.values() {
            assert_eq!(tenant.counted_of(held), Some(tenant.seats_held_by(held).count() as u64), "after {step:?}");
        }
    }
}

#[test]
fn what_waits_at_the_stores_is_looked_at_where_a_pool_owes_alone() {
    let mut scenario = Scenario::after(&[listed(Kind::Declared, 9), required("ada")]);
    // of a pool that is not there: whoever looks stops
    let seats = vec![(PoolId(99), holder("ada"), ReleaseCause::DeficitPlan)];
    let held = HeldEndings { id: HeldId(0), sync: None, at: START, position: 0, seats, removals: Vec::new() };
    scenario.tenant.held.insert(held.id, held.into());
    for step in [deficits_are_reclaimed(), listed(Kind::Declared, 8)] {
        assert_eq!(scenario.play(&step).answer().rejection, None, "{step:?}");
    }
}

#[test]
fn as_long_as_one_of_them_waits_so_do_all_who_follow() {
    let some_back = [&back_again()[..5], &[people("staff", &["ada", "bob", "cy", "dee"])]].concat();
    assert_eq!(waiting(&some_back), [(HeldId(0), 1)]);
    check(
        &some_back,
        deactivated("dee").minutes_later(120),
        expect![[r#"
        user_departed dee deactivated
        endings_held departed held held_1 seats [[office dee]]
        = office: 5 of 9, 5 reserved
    "#]],
    );
}

#[test]
fn a_persons_word_lays_aside_what_has_come_to_nothing_beside_it() {
    let again = [back_again(), vec![people("staff", &["ada", "bob"]).minutes_later(120)]].concat();
    check(
        &[&again[..], &[people("staff", &["ada", "bob", "cy"])]].concat(),
        held_confirmed(1),
        expect![[r#"
        seat_released dee uncovered
        seat_released eve uncovered
        endings_confirmed held held_0
        endings_confirmed held held_1
        = office: 3 of 9, 3 reserved
    "#]],
    );
}

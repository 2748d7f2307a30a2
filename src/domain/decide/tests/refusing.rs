//! Law 8: refusals are facts, and equal ones are counted. And what is refused before any rule: a precondition that does not
//! hold.

use super::scenario::{Scenario, Step, check};
use super::steps::*;
use crate::domain::command::IfMatch;
use crate::domain::ids::PoolId;
use crate::domain::rejection::{NO_ETAG, Rejection};
use expect_test::expect;

#[test]
fn a_refusal_is_a_fact_with_the_figures() {
    check(
        &[listed(Kind::Declared, 1), required("ada")],
        required("bob"),
        expect![[r#"
        command_refused assign user bob not_enough_seats figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 1 uninstall_would_free 0) short_by 1
        = office: 1 of 1, 1 reserved
    "#]],
    );
}

#[test]
fn an_equal_refusal_for_lack_of_seats_is_counted_until_a_seat_was_free() {
    let mut scenario = Scenario::after(&[listed(Kind::Declared, 1), required("ada")]);
    let first = scenario.play(&required("bob"));
    assert_eq!((first.events.len(), first.counts_at.is_some()), (1, false));
    let second = scenario.play(&required("bob").days_later(3));
    assert_eq!((second.events.len(), second.counts_at.is_some()), (0, true));
    let other = scenario.play(&required("cy"));
    assert_eq!((other.events.len(), other.counts_at.is_some()), (1, false));
    // A seat was free for a moment.
    scenario.play(&unassigned(0));
    scenario.play(&required("ada"));
    let third = scenario.play(&required("bob"));
    assert_eq!((third.events.len(), third.counts_at.is_some()), (1, false));
    assert_eq!(scenario.tenant.pool(PoolId(0)).refused, 3);
}

#[test]
fn the_ways_out_stay_counted_whatever_happens_to_single_seats_or_elsewhere() {
    let items = vec![item(Kind::Declared, "office", 1), item(Kind::Declared, "visio", 9)];
    let mut scenario = Scenario::after(&[told_of(Kind::Declared, items), available("laptop"), required("ada")]);
    assert!(scenario.play(&required("bob")).answer().rejection.is_some());
    for step in [
        required("bob").of("visio"),
        installed("laptop", "bob").of("visio"),
        installed("laptop", "ada"),
        people("staff", &["ada", "cy"]),
        required("staff").of("visio"),
        deactivated("ada"),
        returned("ada"),
        device_put("laptop", |facts| facts.os_build = None),
        retired("laptop"),
        required_as_far_as_it_goes("dee"),
    ] {
        // what it finds is asserted wherever a step is played
        let refused = scenario.play(&step).answer().rejection;
        assert_eq!(refused, None, "{step:?}");
        assert!(scenario.tenant.known_ways_out(PoolId(0)).is_some(), "counted anew after {step:?}");
    }
    scenario.play(&to_be_uninstalled("staff"));
    assert_eq!(scenario.tenant.known_ways_out(PoolId(0)), None, "who is in the group is not looked through");
}

#[test]
fn another_equal_refusal_is_counted_for_an_hour() {
    let mut scenario = Scenario::after(&[listed(Kind::Declared, 1)]);
    for (minutes, is_counted) in [(0, false), (59, true), (1, false)] {
        let judged = scenario.play(&installed("laptop", "ada").minutes_later(minutes));
        assert_eq!(judged.counts_at.is_some(), is_counted, "after {minutes} minutes more");
    }
}

#[test]
fn with_an_id_every_refusal_and_every_unchanged_is_a_record() {
    let given = [listed(Kind::Declared, 1), required("ada")];
    check(
        &given,
        required("bob").with_id("a"),
        expect![[r#"
        command_refused assign user bob not_enough_seats figures (held 1 owned count 1 queued 0) remedies (buy_would_free 1 narrow_would_free 1 uninstall_would_free 0) short_by 1
        = office: 1 of 1, 1 reserved
    "#]],
    );
    check(
        &given,
        required("ada").with_id("b"),
        expect![[r#"
        command_unchanged assign about assignment assignment_0
        = office: 1 of 1, 1 reserved
    "#]],
    );
    let mut scenario = Scenario::after(&given);
    for id in ["a", "b"] {
        assert_eq!(scenario.play(&required("bob").with_id(id)).events.len(), 1);
    }
}

fn refusal(scenario: &mut Scenario, step: &Step, if_match: Option<IfMatch>) -> Option<Rejection> {
    let step = Step { if_match, ..step.clone() };
    scenario.play(&step).answer().rejection.map(|rejection| *rejection)
}

#[test]
fn no_precondition_holds_where_there_is_nothing_but_that_there_is_nothing() {
    let mut scenario = Scenario::empty();
    for step in the_usual().into_iter().chain([people("sales", &[])]) {
        for if_match in [IfMatch::Any, IfMatch::Tag(NO_ETAG), IfMatch::Tag(1)] {
            let refused = refusal(&mut scenario, &step, Some(if_match));
            assert_eq!(refused, Some(Rejection::PreconditionFailed { etag: NO_ETAG }), "{if_match:?}: {step:?}");
        }
        assert_eq!(refusal(&mut scenario, &step, Some(IfMatch::Nothing)), None, "{step:?}");
        assert_eq!(refusal(&mut scenario, &step, Some(IfMatch::Any)), None, "it is there now: {step:?}");
        for if_match in [IfMatch::Nothing, IfMatch::Tag(NO_ETAG), IfMatch::Tag(u64::MAX)] {
            let Some(Rejection::PreconditionFailed { etag }) = refusal(&mut scenario, &step, Some(if_match)) else {
                panic!("{if_match:?} holds: {step:?}");
            };
            assert_ne!(etag, NO_ETAG);
        }
    }
}

#[test]
fn who_leaves_returns_or_is_retired_is_as_the_precondition_says() {
    for step in [deactivated("ada"), returned("ada"), retired("laptop")] {
        let mut scenario = Scenario::new();
        let refused = refusal(&mut scenario, &step, Some(IfMatch::Tag(u64::MAX)));
        let Some(Rejection::PreconditionFailed { etag }) = refused else { panic!("{refused:?}: {step:?}") };
        assert_eq!(refusal(&mut scenario, &step, Some(IfMatch::Tag(etag))), None, "{step:?}");
    }
}

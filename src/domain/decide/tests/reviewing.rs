//! rules.md §4 *Access reviews*: who is frozen, what is decided, what the end takes and what it leaves.

use super::scenario::{POOLS, START, Step, check, crowd, user};
use super::steps::*;
use crate::domain::command::{
    Actor, Command, Door, Envelope, HolderRef, Intake, NewReview, Observation, PoolRef, UserRef,
};
use crate::domain::decide::decide;
use crate::domain::event::Event;
use crate::domain::facts::{Brake, KeepOrRelease, Role, SettingsPatch};
use crate::domain::ids::{PoolId, ReviewId, TokenId, UserId};
use crate::domain::state::{ReviewState, Tenant};
use crate::domain::time::{DAY_MICROS, Time};
use KeepOrRelease::{Keep, Release};
use expect_test::expect;

fn new(undecided: KeepOrRelease, pools: &[&str]) -> NewReview {
    let place = |name: &&str| POOLS.iter().position(|known| known == name).expect("a pool of this name");
    let pools = pools.iter().map(|name| PoolRef::Id(PoolId::at(place(name)))).collect();
    NewReview { name: "autumn".into(), pools, undecided, ends_at: None, reviewers: Vec::new() }
}

pub(super) fn opened(undecided: KeepOrRelease, pools: &[&str]) -> Step {
    command(Command::OpenReview(new(undecided, pools)))
}

/// So many days after the first of all steps.
pub(super) fn opened_until(undecided: KeepOrRelease, days: i64, pools: &[&str]) -> Step {
    let ends_at = Some(Time(START.0 + days * DAY_MICROS));
    command(Command::OpenReview(NewReview { ends_at, ..new(undecided, pools) }))
}

pub(super) fn decided(name: &str, decision: KeepOrRelease) -> Step {
    let (review, pool, holder) = (ReviewId(0), PoolRef::Id(PoolId(0)), holder_ref(name));
    command(Command::DecideReview { review, pool, holder, decision, comment: None })
}

pub(super) fn ended() -> Step {
    command(Command::EndReview { review: ReviewId(0) })
}

pub(super) fn cancelled() -> Step {
    command(Command::CancelReview { review: ReviewId(0) })
}

/// The same of another review than the first one.
pub(super) fn in_review(which: u32, mut step: Step) -> Step {
    match &mut step.intake {
        Intake::Command(
            Command::DecideReview { review, .. } | Command::EndReview { review } | Command::CancelReview { review },
        ) => *review = ReviewId(which),
        Intake::Command(_) | Intake::Observation(_) => panic!("not about a review: {step:?}"),
    }
    step
}

/// Three hold, one waits.
fn full(kind: Kind) -> Vec<Step> {
    vec![listed(kind, 3), people("staff", &["ada", "bob", "cy", "dee"]), required_as_far_as_it_goes("staff")]
}

fn and(given: Vec<Step>, more: &[Step]) -> Vec<Step> {
    [given, more.to_vec()].concat()
}

#[test]
fn the_end_releases_what_was_decided_so_and_serves_who_waits() {
    check(
        &full(Kind::Declared),
        opened(Keep, &["office"]),
        expect![[r#"
            review_opened name autumn pools [office] review review_0 reviewers [] undecided keep
            = office: 3 of 3, 3 reserved, waiting: dee
        "#]],
    );
    let given = [opened(Keep, &["office"]), decided("ada", Release), decided("bob", Keep)];
    check(
        &and(full(Kind::Declared), &given),
        ended(),
        expect![[r#"
        review_closed review review_0
        seat_released ada reviewed lapsed
        seat_granted dee queue
        review_ended gone 0 kept 2 released 1 review review_0
        = office: 3 of 3, 3 reserved, lapsed: ada
    "#]],
    );
}

#[test]
fn undecided_seats_follow_the_rule() {
    let given = [opened(Release, &["office"]), decided("bob", Keep)];
    check(
        &and(full(Kind::Declared), &given),
        ended(),
        expect![[r#"
        review_closed review review_0
        seat_released ada reviewed lapsed
        seat_released cy reviewed lapsed
        seat_granted dee queue
        review_ended gone 0 kept 1 released 2 review review_0
        = office: 2 of 3, 2 reserved, lapsed: ada cy
    "#]],
    );
}

#[test]
fn the_last_decision_counts_and_the_same_again_changes_nothing() {
    let given = and(full(Kind::Declared), &[opened(Keep, &["office"]), decided("ada", Release)]);
    check(
        &given,
        decided("ada", Release),
        expect![[r#"
        command_unchanged decide_review about seat ada
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    check(
        &and(given, &[decided("ada", Keep)]),
        ended(),
        expect![[r#"
        review_closed review review_0
        review_ended gone 0 kept 3 released 0 review review_0
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
}

#[test]
fn what_can_t_be_released_is_kept() {
    let given = and(full(Kind::Books), &[opened(Release, &["office"]), decided("ada", Release)]);
    check(
        &given,
        ended(),
        expect![[r#"
        review_closed review review_0
        review_ended gone 0 kept 3 released 0 review review_0
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    let foreign = [listed(Kind::Online, 3), seen("ada"), required("bob"), opened(Release, &["office"])];
    check(
        &foreign,
        ended(),
        expect![[r#"
        review_closed review review_0
        seat_releasing bob reviewed lapsed
        review_ended gone 0 kept 1 released 1 review review_0
        = office: 2 of 3, 1 releasing, 1 foreign, lapsed: bob
    "#]],
    );
}

#[test]
fn where_the_provider_confirms_the_release_is_asked_for() {
    let given = and(full(Kind::Online), &[opened(Keep, &["office"]), decided("ada", Release)]);
    check(
        &given,
        ended(),
        expect![[r#"
        review_closed review review_0
        seat_releasing ada reviewed lapsed
        review_ended gone 0 kept 2 released 1 review review_0
        = office: 3 of 3, 2 reserved, 1 releasing, waiting: dee, lapsed: ada
    "#]],
    );
    check(
        &and(given, &[ended(), release_sent("ada")]),
        release_confirmed("ada"),
        expect![[r#"
        seat_released ada reviewed
        seat_granted dee queue
        = office: 3 of 3, 3 reserved, lapsed: ada
    "#]],
    );
}

#[test]
fn a_seat_that_is_going_already_is_left_to_go() {
    let given = [listed(Kind::Online, 3), required("ada"), reclaimed("ada"), opened(Release, &["office"])];
    check(
        &given,
        ended(),
        expect![[r#"
        review_closed review review_0
        review_ended gone 0 kept 1 released 0 review review_0
        = office: 1 of 3, 1 releasing, lapsed: ada
    "#]],
    );
}

#[test]
fn a_seat_that_ended_meanwhile_is_not_the_one_that_came_after_it() {
    let given = [opened(Release, &["office"]), decided("ada", Release), reclaimed("ada"), reclaimed("bob")];
    let given = and(full(Kind::Declared), &given);
    check(
        &given,
        decided("ada", Keep),
        expect![[r#"
        command_refused decide_review ada review_seat_gone
        = office: 2 of 3, 2 reserved, lapsed: ada bob
    "#]],
    );
    let given = and(given, &[reclaimed("dee"), granted("ada")]);
    check(
        &given,
        decided("ada", Keep),
        expect![[r#"
        command_refused decide_review ada review_seat_gone
        = office: 2 of 3, 2 reserved, lapsed: bob dee
    "#]],
    );
    check(
        &given,
        decided("dee", Keep),
        expect![[r#"
        command_refused decide_review dee seat_not_in_review
        = office: 2 of 3, 2 reserved, lapsed: bob dee
    "#]],
    );
    check(
        &given,
        ended(),
        expect![[r#"
        review_closed review review_0
        seat_released cy reviewed lapsed
        review_ended gone 2 kept 0 released 1 review review_0
        = office: 1 of 3, 1 reserved, lapsed: bob cy dee
    "#]],
    );
}

#[test]
fn a_foreign_seat_that_was_adopted_is_another_one() {
    let given = [listed(Kind::Online, 3), seen("ada"), opened(Release, &["office"]), adopted("ada")];
    check(
        &given,
        ended(),
        expect![[r#"
        review_closed review review_0
        review_ended gone 1 kept 0 released 0 review review_0
        = office: 1 of 3, 1 reserved
    "#]],
    );
}

#[test]
fn a_seat_that_was_taken_back_is_still_the_same() {
    let given =
        [listed(Kind::Online, 3), required("ada"), opened(Release, &["office"]), reclaimed("ada"), granted("ada")];
    check(
        &given,
        ended(),
        expect![[r#"
        review_closed review review_0
        seat_releasing ada reviewed lapsed
        review_ended gone 0 kept 0 released 1 review review_0
        = office: 1 of 3, 1 releasing, lapsed: ada
    "#]],
    );
}

#[test]
fn a_seat_is_released_by_one_review_and_gone_for_another() {
    let given =
        [opened(Release, &["office"]), opened(Release, &["office"]), in_review(1, decided("bob", Keep)), ended()];
    check(
        &and(full(Kind::Declared), &given),
        in_review(1, ended()),
        expect![[r#"
        review_closed review review_1
        review_ended gone 3 kept 0 released 0 review review_1
        = office: 1 of 3, 1 reserved, lapsed: ada bob cy
    "#]],
    );
}

#[test]
fn the_brake_does_not_hold_what_people_decided() {
    let patch = SettingsPatch { brake: Some(Brake { share_percent: 0, at_least: 0 }), ..SettingsPatch::default() };
    let given = and(full(Kind::Declared), &[settings(patch), opened_until(Release, 20, &["office"])]);
    check(
        &given,
        days_pass(21),
        expect![[r#"
        review_closed review review_0
        seat_released ada reviewed lapsed
        seat_released bob reviewed lapsed
        seat_released cy reviewed lapsed
        seat_granted dee queue
        review_ended gone 0 kept 0 released 3 review review_0
        = office: 1 of 3, 1 reserved, lapsed: ada bob cy
    "#]],
    );
}

#[test]
fn a_review_without_an_end_waits_for_a_person() {
    let given = and(full(Kind::Declared), &[opened(Release, &["office"])]);
    check(
        &given,
        days_pass(400),
        expect![[r#"
        command_unchanged tick about tenant
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
}

#[test]
fn what_is_over_takes_no_decision() {
    let given = and(full(Kind::Declared), &[opened(Release, &["office"]), cancelled()]);
    check(
        &given,
        decided("ada", Keep),
        expect![[r#"
        command_refused decide_review review_not_open
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    check(
        &given,
        ended().with_id("again"),
        expect![[r#"
        command_refused end_review review_not_open
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    check(
        &given,
        cancelled().with_id("again"),
        expect![[r#"
        command_unchanged cancel_review about review review_0
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    let given = and(full(Kind::Declared), &[opened(Keep, &["office"]), ended()]);
    check(
        &given,
        cancelled(),
        expect![[r#"
        command_refused cancel_review review_not_open
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    check(
        &given,
        ended(),
        expect![[r#"
        command_unchanged end_review about review review_0
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
}

#[test]
fn a_review_names_what_is_there() {
    let given = full(Kind::Declared);
    let of = |review: NewReview| command(Command::OpenReview(review));
    check(
        &given,
        of(NewReview { pools: vec![PoolRef::Id(PoolId(7))], ..new(Keep, &[]) }),
        expect![[r#"
        command_refused open_review pool_not_found
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    check(
        &given,
        of(NewReview { reviewers: vec![TokenId(7)], ..new(Keep, &["office"]) }),
        expect![[r#"
        command_refused open_review token_not_found
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    check(
        &given,
        opened_until(Keep, 0, &["office"]),
        expect![[r#"
        command_refused open_review ends_in_past
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    check(
        &given,
        ended(),
        expect![[r#"
        command_refused end_review review_not_found
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    let until = |role, expires_at| command(Command::IssueToken { name: "t".into(), role, hash: [0; 32], expires_at });
    check(
        &given,
        until(Role::Auditor, Some(Time(1))),
        expect![[r#"
        command_refused issue_token ends_in_past
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    let token = |role| until(role, None);
    let given = and(given, &[token(Role::Connector)]);
    check(
        &given,
        of(NewReview { reviewers: vec![TokenId(0)], ..new(Keep, &["office"]) }),
        expect![[r#"
        command_refused open_review reviewer_not_allowed token token_0
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
}

#[test]
fn a_seat_of_another_pool_is_not_in_the_review() {
    let given = and(full(Kind::Declared), &[opened(Keep, &["office"])]);
    check(
        &given,
        decided("eve", Keep).with_id("nobody"),
        expect![[r#"
        command_refused decide_review eve seat_not_in_review
        = office: 3 of 3, 3 reserved, waiting: dee
    "#]],
    );
    let both = told_of(Kind::Declared, vec![item(Kind::Declared, "visio", 3)]);
    let given = and(given, &[both, required("ada").of("visio")]);
    check(
        &given,
        decided("ada", Keep).of("visio").with_id("elsewhere"),
        expect![[r#"
        command_refused decide_review visio ada seat_not_in_review
        = office: 3 of 3, 3 reserved, waiting: dee
        = visio: 1 of 3, 1 reserved
    "#]],
    );
}

#[test]
fn many_seats_are_carried_out_in_parts_and_others_come_between() {
    let mut tenant = crowd(&["office"], 9001);
    let mut play = |step: Step| {
        let envelope = Envelope {
            recorded_at: tenant.last_recorded_at,
            occurred_at: None,
            actor: Actor::Root,
            door: Door::Http,
            command_id: None,
            content_hash: 0,
            reason: None,
        };
        let judged = decide(&mut tenant, &step.intake, &envelope, None);
        (judged.events, tenant.review_state())
    };
    let tick = || Step::from(Intake::Observation(Observation::Tick));
    play(opened(Release, &["office"]));
    play(decided("ada", Keep));
    let (first, state) = play(ended());
    assert_eq!((first.len(), state), (4001, ReviewState::Closing), "closed, 3,999 released, one kept, and the mark");
    assert!(matches!(first.last(), Some(Event::ReviewCarriedOut { holder, .. }) if *holder == UserId(3999).into()));
    // between two parts a seat that was still to be released goes for another cause
    let (pool, holder) = (PoolRef::Id(PoolId(0)), HolderRef::User(UserRef::Id(UserId(9000))));
    play(command(Command::Reclaim { pool, holder }));
    assert_eq!(play(tick()).0.len(), 4001);
    let (last, state) = play(tick());
    assert_eq!(
        (last.len(), last.last(), state),
        (1001, Some(&Event::ReviewEnded { review: ReviewId(0), kept: 1, released: 8999, gone: 1 }), ReviewState::Ended)
    );
    assert_eq!(tenant.pool(PoolId(0)).held(), 1);
    assert!(tenant.pool(PoolId(0)).seats.contains_key(&user("ada").into()));
    assert_eq!(tenant.broken_law(), None);
    assert!(!tenant.is_due(tenant.last_recorded_at));
}

impl Tenant {
    fn review_state(&self) -> ReviewState {
        self.review(ReviewId(0)).state
    }
}

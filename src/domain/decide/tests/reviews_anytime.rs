//! A review somewhere in any life: its end releases exactly those of the frozen seats that are still the same, can be
//! released, and are to be released by a decision or by the rule. Told apart from the code under test by a plain copy of
//! who held what at the freeze.

use super::anything::{anyone, config, step};
use super::reviewing::{decided, ended, opened};
use super::scenario::{POOLS, Scenario, Step};
use super::steps::*;
use crate::domain::event::Event;
use crate::domain::facts::{GroupKind, KeepOrRelease, ReleaseCause};
use crate::domain::ids::{Holder, PoolId};
use crate::domain::state::{ReviewState, SeatState};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

type Place = (PoolId, Holder);

/// What a reviewer does, or what life does meanwhile.
#[derive(Debug, Clone)]
enum Then {
    Decides(&'static str, &'static str, KeepOrRelease),
    Happens(Step),
}

fn then(kind: Kind) -> impl Strategy<Value = Then> {
    let word = select(vec![KeepOrRelease::Keep, KeepOrRelease::Release]);
    prop_oneof![
        2 => (anyone(), select(POOLS[..2].to_vec()), word).prop_map(|(who, pool, word)| Then::Decides(who, pool, word)),
        3 => step(kind).prop_filter("one review at a time", |step| !is_of_reviews(step)).prop_map(Then::Happens),
    ]
}

fn is_of_reviews(step: &Step) -> bool {
    format!("{step:?}").contains("Review")
}

type Life = (Kind, Vec<Step>, KeepOrRelease, Vec<Then>);

fn life() -> impl Strategy<Value = Life> {
    let rule = select(vec![KeepOrRelease::Keep, KeepOrRelease::Release]);
    (select(Kind::ALL.to_vec()), rule).prop_flat_map(|(kind, rule)| {
        let before = step(kind).prop_filter("one review at a time", |step| !is_of_reviews(step));
        (Just(kind), prop::collection::vec(before, 0..=60), Just(rule), prop::collection::vec(then(kind), 0..=60))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_end_releases_the_frozen_seats_that_are_to_go_and_no_other((kind, before, rule, meanwhile) in life()) {
        let mut scenario = Scenario::after(&[
            told_of(kind, vec![item(kind, "office", 4), item(kind, "visio", 2)]),
            people("staff", &["ada", "bob"]),
            machines("fleet", &["laptop", "desk"]),
            group(GroupKind::Mixed, "all", &["cy", "kiosk"]),
            required_as_far_as_it_goes("staff"),
        ]);
        for step in &before {
            scenario.play(step);
        }
        scenario.play(&opened(rule, &POOLS[..2]));
        let pools = || POOLS[..2].iter().enumerate().map(|(place, _)| PoolId::at(place));
        let frozen: BTreeMap<Place, u64> = pools()
            .flat_map(|id| scenario.tenant.pool(id).seats.iter().map(move |(holder, seat)| ((id, *holder), seat.granted_at)))
            .collect();
        let mut wishes: BTreeMap<Place, KeepOrRelease> = BTreeMap::new();
        for then in &meanwhile {
            match then {
                Then::Happens(step) => {
                    scenario.play(step);
                }
                Then::Decides(who, pool, word) => {
                    let judged = scenario.play(&decided(who, *word).of(pool));
                    for event in &judged.events {
                        if let Event::ReviewDecided { pool, holder, decision, .. } = event {
                            prop_assert!(frozen.contains_key(&(*pool, *holder)), "decided, but not frozen");
                            wishes.insert((*pool, *holder), *decision);
                        }
                    }
                }
            }
        }
        let (mut to_go, mut gone) = (Vec::new(), 0);
        for ((pool, holder), granted_at) in &frozen {
            let entry = scenario.tenant.pool(*pool);
            let Some(seat) = entry.seats.get(holder).filter(|seat| seat.granted_at == *granted_at) else {
                gone += 1;
                continue;
            };
            let is_held = matches!(seat.state, SeatState::Reserved | SeatState::InUse);
            let wish = wishes.get(&(*pool, *holder)).copied().unwrap_or(rule);
            if wish == KeepOrRelease::Release && is_held && !entry.details.is_irrevocable {
                to_go.push((*pool, *holder));
            }
        }
        let judged = scenario.play(&ended());
        let released: Vec<Place> = judged
            .events
            .iter()
            .filter_map(|event| {
                let (Event::SeatReleased { pool, holder, cause, .. } | Event::SeatReleasing { pool, holder, cause, .. }) =
                    event
                else {
                    return None;
                };
                (*cause == ReleaseCause::Reviewed).then_some((*pool, *holder))
            })
            .collect();
        prop_assert_eq!(&released, &to_go);
        let review = &scenario.tenant.reviews[0];
        prop_assert_eq!(review.state, ReviewState::Ended);
        let counts = (review.seats, review.released, review.gone, review.kept);
        let all = frozen.len() as u64;
        prop_assert_eq!(counts, (all, to_go.len() as u64, gone, all - gone - to_go.len() as u64));
        scenario.assert_the_fold_is_the_state();
    }
}

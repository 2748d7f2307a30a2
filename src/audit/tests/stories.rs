//! Where a holder stands, and why a command was refused, against the whole state at every position.

use super::life::life;
use crate::audit::hindsight::Moment;
use crate::audit::story::{Standing, WaitsFor, story};
use crate::audit::why_not::why_not;
use crate::domain::event::Event;
use crate::domain::facts::{Owned, PoolState};
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use crate::domain::rejection::RejectionClass;
use crate::domain::state::Tenant;
use crate::projection::View;
use crate::projection::figures::Figures;
use std::collections::BTreeMap;

fn holders(state: &Tenant) -> Vec<Holder> {
    let users = (0..state.users.len()).map(|user| Holder::User(UserId::at(user)));
    users.chain((0..state.devices.len()).map(|device| Holder::Device(DeviceId::at(device)))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_holder_stands_is_what_the_state_says() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..4 {
        let world = life(300 + seed, 500).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let events = ledger.events(tenant, 0, usize::MAX).unwrap();
        let head = events.len() as u64 - 1;
        let mut view = View::new();
        for recorded in &events {
            view.take(recorded);
            let to = recorded.position;
            if to != head && to % 97 != 0 {
                continue;
            }
            let state = &view.state;
            for (pool, holder) in
                state.pools.iter().flat_map(|pool| holders(state).into_iter().map(move |one| (pool, one)))
            {
                let told = story(ledger, tenant, pool.id, holder, Moment::at(to), None, 1000).unwrap();
                let truth = pool.seats.get(&holder).map(|seat| seat.state);
                let said = if let Standing::Holds(state) = told.standing { Some(state) } else { None };
                assert_eq!(said, truth, "seed {seed}: {holder} and {} at {to}: {:?}", pool.id, told.standing);
                let waits = pool.queued.contains_key(&holder);
                let waits_for = if let Standing::Waits(waits_for) = told.standing { Some(waits_for) } else { None };
                let keeps = match (pool.state, pool.is_serving_paused) {
                    (PoolState::Suspended, _) => WaitsFor::Resumption,
                    (PoolState::Active | PoolState::Removed, true) => WaitsFor::Serving,
                    (PoolState::Active | PoolState::Removed, false) => WaitsFor::Seat,
                };
                let keeps = waits.then_some(keeps);
                assert_eq!(waits_for, keeps, "seed {seed}: {holder} and {} at {to}", pool.id);
                let is_lapsed = matches!(told.standing, Standing::Lapsed(_));
                assert_eq!(
                    is_lapsed,
                    truth.is_none() && !waits && state.is_lapsed(pool.id, holder),
                    "{holder} at {to}"
                );
                assert!(told.events.is_sorted_by_key(|recorded| recorded.position));
                assert!(told.events.iter().all(|recorded| recorded.position <= to));
                let since = told.since.map(|since| told.events.iter().any(|recorded| recorded.position == since));
                assert!(since != Some(false), "what it stands on is told");
                *seen.entry(format!("{:?}", told.standing).split('(').next().unwrap().into()).or_default() += 1;
            }
        }
        world.ledger.stop().await;
    }
    for standing in ["Never", "Holds", "Waits", "Lapsed", "GaveBack", "LeftTheQueue"] {
        assert!(seen.contains_key(standing), "{standing} never happened: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_is_the_same_whatever_its_pages() {
    let world = life(11, 400).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let head = ledger.head(tenant).unwrap();
    let (pool, holder) = (PoolId(0), Holder::User(UserId(0)));
    let whole = story(ledger, tenant, pool, holder, Moment::at(head), None, usize::MAX).unwrap();
    assert!(whole.events.len() > 7, "{}", whole.events.len());
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = story(ledger, tenant, pool, holder, Moment::at(head), after, 3).unwrap();
        assert!(page.events.len() <= 3);
        assert_eq!((page.standing, page.since), (whole.standing, whole.since));
        paged.extend(page.events);
        after = page.next_after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(paged, whole.events);
    assert!(story(ledger, tenant, pool, holder, Moment::at(head + 1), None, 3).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_explained_by_the_state_that_it_met() {
    let (mut for_lack, mut because) = (0, BTreeMap::new());
    for seed in 0..8 {
        let world = life(500 + seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let mut view = View::new();
        // of every pool: since when none of its seats was free
        let mut full_since: BTreeMap<PoolId, u64> = BTreeMap::new();
        for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
            let before_assignments: Vec<bool> = view.state.assignments.iter().map(|one| !one.is_ended).collect();
            let before: Vec<Figures> = view.state.pools.iter().map(|pool| Figures::of(pool)).collect();
            view.take(&recorded);
            for pool in &view.state.pools {
                if Figures::of(pool).free == Owned::Count(0) {
                    full_since.entry(pool.id).or_insert(recorded.position);
                } else {
                    full_since.remove(&pool.id);
                }
            }
            let why = why_not(ledger, tenant, recorded.position).unwrap();
            let Event::CommandRefused { pool, target, rejection, .. } = &recorded.event else {
                assert_eq!(why, None);
                continue;
            };
            if rejection.class() != RejectionClass::Conflict {
                assert_eq!(why, None);
                continue;
            }
            let why = why.expect("an explanation");
            assert_eq!((&why.refusal, &why.rejection), (&recorded, rejection));
            let then = why.figures.map(|figures| Figures { refused: figures.refused - 1, ..figures });
            assert_eq!(then, pool.map(|pool| before[pool.index()]), "seed {seed}: {recorded:?}");
            let taken_at = why.last_seat.map(|last| last.position);
            if rejection.is_for_lack_of_seats() && pool.is_some_and(|pool| full_since.contains_key(&pool)) {
                assert_eq!(taken_at, pool.and_then(|pool| full_since.get(&pool).copied()), "seed {seed}: {recorded:?}");
                for_lack += 1;
            } else {
                assert_eq!(taken_at, None);
            }
            if let Some(cause) = why.because {
                assert!(cause.position < recorded.position);
                if let Event::AssignmentMade { assignment, target: of, .. } = &cause.event {
                    assert_eq!(Some(*of), *target, "the assignment is for the same target");
                    assert!(before_assignments[assignment.index()], "and was in force: {recorded:?}");
                }
                *because.entry((rejection.name(), cause.event.type_name())).or_insert(0) += 1;
            }
        }
        world.ledger.stop().await;
    }
    assert!(for_lack > 10, "{for_lack}");
    for told in [("user-departed", "user_departed"), ("assignment-exists", "assignment_made")] {
        assert!(because.contains_key(&told), "{told:?} was never told: {because:?}");
    }
}

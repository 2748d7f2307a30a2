//! Counts, the events behind them, and their course over time, against the whole state at every position.

use super::life::{World, archived_life};
use crate::audit::explain::{Figure, Step, explain};
use crate::audit::hindsight::Moment;
use crate::audit::timeline::{days, points};
use crate::domain::event::Event;
use crate::domain::facts::Owned;
use crate::domain::ids::PoolId;
use crate::domain::time::Day;
use crate::projection::View;
use crate::projection::figures::{Figures, PoolFigures};
use std::collections::BTreeSet;

/// The figures of every pool after each position; `None` where it was not listed yet.
fn course(world: &World) -> Vec<Vec<Figures>> {
    let mut view = View::new();
    let events = world.ledger.events(world.tenant, 0, usize::MAX).unwrap();
    let after = |recorded| {
        view.take(recorded);
        view.state.pools.iter().map(|pool| Figures::of(pool)).collect()
    };
    events.iter().map(after).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pools_own_events_say_as_much_of_its_counts_as_the_whole_state() {
    let mut kinds = BTreeSet::new();
    for seed in 0..12 {
        let world = archived_life(100 + seed, 700).await;
        let course = course(&world);
        let events = world.ledger.events(world.tenant, 0, usize::MAX).unwrap();
        let mut folds: Vec<_> = (0..4).map(|pool| PoolFigures::new(PoolId(pool))).collect();
        for (recorded, expected) in events.iter().zip(&course) {
            for (fold, expected) in folds.iter_mut().zip(expected) {
                fold.take(&recorded.event);
                assert_eq!(fold.figures(), *expected, "seed {seed}, after {recorded:?}");
            }
            kinds.insert(format!("{:?}", recorded.event).split(' ').next().unwrap().to_owned());
        }
        world.ledger.stop().await;
    }
    // the lives are rich enough to mean something
    for kind in ["SeatTakenBack", "SeatReleaseRefused", "ForeignSeatAdopted", "InstallLicensed", "Requeued", "SeatIdle"]
    {
        assert!(kinds.contains(kind), "{kind} never happened: {kinds:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_running_value_is_the_figure_whatever_the_page_and_the_position() {
    let world = archived_life(7, 500).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let course = course(&world);
    let head = course.len() as u64 - 1;
    for (n, figure) in Figure::ALL.into_iter().enumerate() {
        let places = [head, head / 2, head / 3, 1, 0];
        for (pool, limit) in [(0, 7), (1, 7), (2, 7), (3, 7), (0, 1), (1, 1000)] {
            let to = places[(n + limit) % 5];
            let truth = course[usize::try_from(to).unwrap()].get(pool as usize);
            let truth = truth.map_or(Owned::Count(0), |figures| figure.of(figures));
            let mut steps: Vec<Step> = Vec::new();
            let mut after = None;
            loop {
                let page = explain(ledger, tenant, PoolId(pool), figure, Moment::at(to), after, limit).unwrap();
                assert!(page.steps.len() <= limit);
                assert_eq!(page.value, truth, "{figure} of pool {pool} at {to}, on every page");
                steps.extend(page.steps);
                after = page.next_after;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(steps.last().map_or(Owned::Count(0), |step| step.value), truth);
            let mut running = Owned::Count(0);
            for step in &steps {
                if let (Owned::Count(before), Owned::Count(after)) = (running, step.value) {
                    assert_eq!(step.delta, Some(after as i64 - before as i64), "{step:?}");
                }
                running = step.value;
            }
            let value_at = |at: usize| course[at].get(pool as usize).map(|figures| figure.of(figures));
            let changes = (1..=usize::try_from(to).unwrap()).filter(|at| value_at(*at) != value_at(at - 1));
            assert!(steps.iter().map(|step| step.position).eq(changes.map(|at| at as u64)), "{figure} of pool {pool}");
        }
    }
    assert_eq!("in_use".parse(), Ok(Figure::InUse));
    assert!("held ".parse::<Figure>().is_err());
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tally_says_the_figures_from_any_position_on() {
    let world = archived_life(10, 500).await;
    let course = course(&world);
    for pool in 0..4 {
        let of = |at: usize| course[at].get(pool).copied();
        let id = PoolId(u32::try_from(pool).unwrap());
        let Some(tally) = world.ledger.read(world.tenant, |view| view.tallies.pool(id).cloned()).unwrap() else {
            continue;
        };
        let past = world.ledger.past();
        let held_changed = |at: &usize| of(*at).map(|it| it.held) != at.checked_sub(1).and_then(of).map(|it| it.held);
        for first in (0..course.len()).step_by(7) {
            assert_eq!(tally.figures_at(first as u64, &past), of(first), "{id} at {first}");
            let mut now = first.checked_sub(1).and_then(of);
            let mut found = tally.figures_from(first as u64, &past).peekable();
            for at in first..course.len() {
                now = found.next_if(|(next, _)| *next == at as u64).map(|(_, figures)| figures).or(now);
                assert_eq!(now, of(at), "{id} at {at}, from {first} on");
            }
            assert_eq!(found.next(), None);
            let last = (0..=first).rev().find(held_changed).map(|at| at as u64);
            assert_eq!(tally.changed_last(first as u64, |figures| figures.held, &past), last, "{id} up to {first}");
        }
    }
    world.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_shows_every_change_and_every_day() {
    let world = archived_life(8, 500).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let course = course(&world);
    let events = ledger.events(tenant, 0, usize::MAX).unwrap();
    let head = course.len() - 1;
    for (pool, to, limit) in
        [(0, head, 11), (1, head, 11), (2, head, 11), (3, head, 11), (0, head / 2, 1), (1, head / 2, 1), (2, head, 1)]
    {
        let shown = |at: usize| course[at].get(pool).map(|f: &Figures| (f.owned, f.held, f.free));
        let expected: Vec<_> = (0..=to)
            .filter(|at| shown(*at).is_some() && (*at == 0 || shown(*at) != shown(*at - 1)))
            .map(|at| (at as u64, shown(at).unwrap()))
            .collect();
        let id = PoolId(u32::try_from(pool).unwrap());
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = points(ledger, tenant, id, to as u64, after, limit).unwrap();
            found.extend(page.points.into_iter().map(|p| (p.position, (p.owned, p.held, p.free))));
            after = page.next_after;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);

        let Some(first) = expected.first() else { continue };
        let day_of = |at: u64| events[usize::try_from(at).unwrap()].envelope.recorded_at.day();
        // one that ends some days behind its last event, too
        let last = Day(day_of(to as u64).0 + i32::from(limit == 1) * 3);
        let mut by_day = Vec::new();
        let mut after = None;
        loop {
            let page = days(ledger, tenant, id, to as u64, last, after, limit.div_ceil(2)).unwrap();
            by_day.extend(page.points);
            after = page.next_after;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(by_day.len(), usize::try_from(last.0 - day_of(first.0).0 + 1).unwrap());
        for point in by_day {
            let until: Vec<_> = expected.iter().filter(|(at, _)| day_of(*at) <= point.day).collect();
            let (position, at_end) = *until.last().unwrap();
            assert_eq!((*position, *at_end), (point.position, (point.owned, point.held, point.free)));
            let begun = until.iter().rev().find(|(at, _)| day_of(*at) < point.day).map_or(0, |(_, shown)| shown.1);
            let today = until.iter().filter(|(at, _)| day_of(*at) == point.day).map(|(_, shown)| shown.1).max();
            assert_eq!(point.held_max, begun.max(today.unwrap_or(0)));
        }
    }
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_names_who_and_why() {
    let world = archived_life(9, 400).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let head = ledger.head(tenant).unwrap();
    for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
        let Event::SeatGranted { pool, holder, .. } = &recorded.event else { continue };
        let page =
            explain(ledger, tenant, *pool, Figure::Held, Moment::at(head), Some(recorded.position - 1), 1).unwrap();
        let step = &page.steps[0];
        assert_eq!((step.position, step.delta), (recorded.position, Some(1)));
        assert_eq!(step.command_id, recorded.envelope.command_id);
        assert_eq!(step.reason, recorded.envelope.reason);
        let (_, id) = holder.to_string().split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(step.sentence.starts_with(&format!("{id} was granted a seat of {pool} (")), "{}", step.sentence);
        assert!(["token_0", "ledger"].contains(&step.actor.as_str()));
    }
    ledger.stop().await;
}

//! States as they were, and trials.

use super::life::{BORN, life, open, submission};
use crate::audit::as_of::{AsOf, AsOfError, At};
use crate::audit::simulate::{SUBMISSIONS_MAX, SimulateError, simulate};
use crate::domain::answer::Status;
use crate::domain::command::{Actor, Command, Door, Intake, Observation};
use crate::domain::personal::UserProfile;
use crate::domain::time::Time;
use crate::ledger::{Ask, ReadError};
use crate::projection::View;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_the_fold_of_a_prefix_in_whatever_order_it_is_asked_for() {
    let world = life(1, 300).await;
    let head = world.ledger.head(world.tenant).unwrap();
    let mut folded = Vec::new();
    let mut view = View::new();
    for recorded in world.ledger.events(world.tenant, 0, usize::MAX).unwrap() {
        view.take(&recorded);
        folded.push(format!("{:?}", view.state));
    }
    let as_of = AsOf::new();
    for n in 0..40 {
        let position = (n * 7919) % (head + 1);
        let asked = as_of.view_at(&world.ledger, world.tenant, At::Position(position)).unwrap();
        assert_eq!(asked.state.next_position, position + 1);
        assert_eq!(format!("{:?}", asked.state), folded[usize::try_from(position).unwrap()], "position {position}");
    }
    let beyond = as_of.view_at(&world.ledger, world.tenant, At::Position(head + 1));
    assert!(matches!(beyond, Err(AsOfError::Read(ReadError::NotReached(position))) if position == head + 1));
    world.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_means_the_last_event_recorded_by_then() {
    let world = life(2, 200).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let times: Vec<Time> =
        ledger.events(tenant, 0, usize::MAX).unwrap().iter().map(|event| event.envelope.recorded_at).collect();
    for asked in times.iter().flat_map(|time| [Time(time.0 - 1), *time, Time(time.0 + 1)]) {
        let expected = times.iter().rposition(|time| *time <= asked);
        match At::Time(asked).position(ledger, tenant) {
            Ok(position) => assert_eq!(usize::try_from(position).ok(), expected, "{asked}"),
            Err(AsOfError::BeforeFirst { first }) => assert_eq!((first, expected), (BORN, None)),
            Err(other) => panic!("{asked}: {other}"),
        }
    }
    ledger.clock().advance(Duration::from_secs(100));
    let now = ledger.clock().now();
    assert_eq!(At::Time(now).position(ledger, tenant), Ok(times.len() as u64 - 1));
    let asked = Time(now.0 + 1);
    assert_eq!(At::Time(asked).position(ledger, tenant), Err(AsOfError::InFuture { asked, now }));
    ledger.stop().await;
}

#[test]
fn a_point_is_a_position_or_a_time_and_nothing_else() {
    assert_eq!("17".parse(), Ok(At::Position(17)));
    assert_eq!("2026-09-21T14:13:20Z".parse(), Ok(At::Time(BORN)));
    for text in ["", "-1", "1.5", "99999999999999999999999", "yesterday", "0x10", " 1", "2026-13-01T00:00:00Z"] {
        assert!(text.parse::<At>().is_err(), "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_says_what_then_happens_and_leaves_nothing_behind() {
    let world = life(3, 250).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let keys = world.dir.path().join("subject.keys");
    let before = (ledger.digest(tenant).unwrap(), std::fs::read(&keys).unwrap());
    // new people, the same people again, seats for them, and a departure
    let mut asks = Vec::new();
    for n in [0, 1, 0, 1, 2] {
        let profile = UserProfile { user_name: format!("new{n}"), ..UserProfile::default() };
        asks.push(Ask::PutUser { user: ledger.user_ref(tenant, &profile.user_name), profile });
    }
    asks.extend((0..4).flat_map(|pool| (0..8).map(move |user| super::life::grant(pool, user))));
    let user = ledger.user_ref(tenant, "user1@acme.example");
    let cause = crate::domain::facts::DepartureCause::Deactivated;
    asks.push(Ask::Intake(Intake::Observation(Observation::Depart { user, cause, retire_devices: true })));
    let batch: Vec<_> = asks.into_iter().map(|ask| submission(None, ask)).collect();

    let trial = simulate(ledger, tenant, batch.clone()).unwrap();
    assert_eq!((ledger.digest(tenant).unwrap(), std::fs::read(&keys).unwrap()), before);
    assert_eq!(trial.position, ledger.head(tenant).unwrap());

    let figures = |ledger: &crate::ledger::Ledger| {
        let all = |view: &View| view.state.pools.iter().map(|p| crate::projection::figures::Figures::of(p)).collect();
        ledger.read::<Vec<_>>(tenant, all).unwrap()
    };
    let was = figures(ledger);
    let real = ledger.submit_all(tenant, batch, false).await.unwrap();
    let is = figures(ledger);
    let real: Vec<_> = real.into_iter().map(|outcome| outcome.unwrap().answer).collect();
    assert_eq!(trial.answers, real);
    assert_eq!(real[2].status, Status::Unchanged);
    for at in 0..is.len() {
        let told = trial.pools.iter().find(|outlook| outlook.pool.index() == at);
        assert_eq!(told.map_or(was[at], |outlook| outlook.before.unwrap()), was[at]);
        assert_eq!(told.map_or(is[at], |outlook| outlook.after), is[at]);
    }
    assert!(trial.pools.iter().any(|outlook| outlook.before != Some(outlook.after)));
    let head = ledger.head(tenant).unwrap();
    ledger.stop().await;
    // the writer, which may be busy with anything, has no part in it
    assert_eq!(simulate(ledger, tenant, vec![]).unwrap().position, head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_of_too_much_is_refused_and_other_tenants_accounts_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let link = || {
        let settings = "{}".into();
        let provider = crate::domain::key::Provider::AppleBusiness;
        let link = Command::LinkStoreAccount { provider, account_id: "1".into(), settings, is_linked_elsewhere: false };
        submission(None, Ask::Intake(Intake::Command(link)))
    };
    let (first, _) = ledger.create_tenant(Actor::Root, Door::Http, "a", "A").await.unwrap();
    let (second, _) = ledger.create_tenant(Actor::Root, Door::Http, "b", "B").await.unwrap();
    ledger.submit(first, link()).await.unwrap();
    let trial = simulate(&ledger, second, vec![link()]).unwrap();
    assert_eq!(
        trial.answers[0].rejection,
        Some(Box::new(crate::domain::rejection::Rejection::StoreAccountAlreadyLinked))
    );
    let too_many = vec![link(); SUBMISSIONS_MAX + 1];
    assert_eq!(simulate(&ledger, first, too_many), Err(SimulateError::TooMany(SUBMISSIONS_MAX + 1)));
    ledger.stop().await;
}

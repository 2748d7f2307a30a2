//! Names that were erased: gone wherever they stood, with everything else as it was.

use super::import::{exported, imported, open_at};
use super::life::{World, life, submission};
use crate::audit::as_of::{AsOf, At};
use crate::audit::events::EventView;
use crate::domain::answer::Status;
use crate::domain::command::{Command, HolderRef, Intake, Observation, UserRef};
use crate::domain::event::Event;
use crate::domain::facts::DepartureCause;
use crate::domain::ids::{Holder, UserId};
use crate::domain::personal::UserProfile;
use crate::ledger::replay::{ReplayOptions, replay};
use crate::ledger::{Ask, Ledger, NoProgress};

const NAME: &str = "grace.hopper@acme.example";

fn named(ledger: &Ledger, world: &World) -> UserRef {
    ledger.user_ref(world.tenant, NAME)
}

async fn done(ledger: &Ledger, world: &World, ask: Ask) -> Option<UserId> {
    let outcome = ledger.submit(world.tenant, submission(None, ask)).await.unwrap();
    assert_eq!(outcome.answer.status, Status::Done, "{:?}", outcome.answer.rejection);
    outcome.answer.user
}

fn put(ledger: &Ledger, world: &World) -> Ask {
    let profile = UserProfile { user_name: NAME.into(), ..UserProfile::default() };
    Ask::PutUser { user: named(ledger, world), profile }
}

fn erase(user: UserId) -> Ask {
    Ask::Intake(Intake::Command(Command::Erase { holder: HolderRef::User(UserRef::Id(user)) }))
}

/// A life in which somebody came and went: who, and where they came.
async fn with_a_leaver() -> (World, UserId, u64) {
    let world = life(41, 200).await;
    let ledger = world.ledger.clone();
    let user = done(&ledger, &world, put(&ledger, &world)).await.expect("somebody new");
    let came = ledger.head(world.tenant).unwrap();
    let depart =
        Observation::Depart { user: UserRef::Id(user), cause: DepartureCause::Deactivated, retire_devices: false };
    done(&ledger, &world, Ask::Intake(Intake::Observation(depart))).await;
    (world, user, came)
}

fn found(ledger: &Ledger, world: &World, as_of: &AsOf, position: u64) -> Option<UserId> {
    let UserRef::Name(blind) = named(ledger, world) else { panic!("a name") };
    as_of.view_at(ledger, world.tenant, At::Position(position)).unwrap().state.names.user(blind)
}

fn profiles(ledger: &Ledger, world: &World, user: UserId) -> Vec<serde_json::Value> {
    let events = ledger.events(world.tenant, 0, usize::MAX).unwrap();
    let of = |event: &Event| matches!(event, Event::UserAdded { user: whose, .. } | Event::UserChanged { user: whose, .. } if *whose == user);
    let views = events.iter().filter(|recorded| of(&recorded.event)).map(|recorded| EventView::of(ledger, recorded));
    views.map(|view| view.data["profile"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_name_is_nowhere_and_the_state_is_what_it_was() {
    let (world, user, came) = with_a_leaver().await;
    let (ledger, as_of) = (world.ledger.clone(), AsOf::new());
    assert_eq!(found(&ledger, &world, &as_of, came), Some(user), "a view that is kept at hand");
    assert_eq!(profiles(&ledger, &world, user)[0]["user_name"], NAME);
    let before = ledger.head(world.tenant).unwrap();
    done(&ledger, &world, erase(user)).await;
    assert_eq!(found(&ledger, &world, &as_of, came), None, "nor in views from before it");
    assert_eq!(found(&ledger, &world, &AsOf::new(), before), None);
    assert_eq!(profiles(&ledger, &world, user), [serde_json::Value::Null]);
    // the name is somebody else's to have
    let other = done(&ledger, &world, put(&ledger, &world)).await.expect("somebody new");
    assert_ne!(other, user);
    assert_eq!(found(&ledger, &world, &as_of, ledger.head(world.tenant).unwrap()), Some(other));
    let digest = ledger.digest(world.tenant).unwrap();
    ledger.stop().await;
    let dir = world.dir.path().to_owned();
    let replayed = replay(&dir, &ReplayOptions::default(), &NoProgress).unwrap();
    assert_eq!(replayed.iter().map(|one| (one.state.next_position - 1, one.digest)).collect::<Vec<_>>(), [digest]);
    for without in ["", "snapshots", "archive"] {
        if !without.is_empty() {
            std::fs::remove_dir_all(dir.join(without)).unwrap();
        }
        let ledger = super::life::open(&dir);
        assert_eq!(ledger.digest(world.tenant).unwrap(), digest);
        assert_eq!(profiles(&ledger, &world, user), [serde_json::Value::Null]);
        assert_eq!(found(&ledger, &world, &AsOf::new(), came), None, "also from a snapshot");
        let is_erased = |holder| ledger.read(world.tenant, |view| view.state.names.is_erased(holder)).unwrap();
        assert!(is_erased(Holder::User(user)) && !is_erased(Holder::User(other)));
        ledger.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_says_nothing_of_it_and_is_taken_back_as_it_is() {
    let (world, user, _) = with_a_leaver().await;
    done(&world.ledger, &world, erase(user)).await;
    let text = exported(&world);
    assert!(!text.contains("grace.hopper") && text.contains("seatledger.names_erased"));
    let hashes = text.lines().filter(|line| line.contains("\"contenthash\"")).count();
    let silent = text.lines().filter(|line| line.contains("\"contenthash\":\"0000000000000000\"")).count();
    assert!(hashes > 50 && silent == hashes, "{silent} of {hashes}");
    let dir = tempfile::tempdir().unwrap();
    let (copy, taken) = imported(dir.path(), text.clone()).await;
    let digest = world.ledger.digest(world.tenant).unwrap();
    assert_eq!(taken.unwrap().digest, digest.1);
    copy.stop().await;
    let copy = open_at(dir.path(), world.ledger.clock().now());
    let tenant = copy.tenant("acme").unwrap();
    assert_eq!(copy.digest(tenant).unwrap(), digest);
    let again = World { dir, ledger: copy, tenant };
    assert_eq!(exported(&again), text);
    assert!(again.ledger.erasures() > 0);
    again.ledger.stop().await;
    world.ledger.stop().await;
}

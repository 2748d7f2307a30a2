//! A key and the fact that it is gone: whichever of the two a start finds without the other, it makes good.

use super::{open, submission, user};
use crate::domain::command::{Command, HolderRef, Intake, Observation, UserRef};
use crate::domain::event::Event;
use crate::domain::facts::DepartureCause;
use crate::domain::ids::{SubjectId, TenantId, UserId};
use crate::ledger::{Actor, Ask, Door, Ledger};
use crate::vault::{KEYS_FILE, MasterKeySource, Vault};
use std::path::Path;

const ADA: UserId = UserId(0);

/// A folder with ada, who has left, and bob; where the log ends.
async fn with_a_leaver(dir: &Path) -> u64 {
    let ledger = open(dir);
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    for name in ["ada", "bob"] {
        ledger.submit(tenant, submission(None, user(&ledger, tenant, name))).await.unwrap();
    }
    let cause = DepartureCause::Deactivated;
    let depart = Observation::Depart { user: UserRef::Id(ADA), cause, retire_devices: false };
    ledger.submit(tenant, submission(None, Ask::Intake(Intake::Observation(depart)))).await.unwrap();
    let head = ledger.head(tenant).unwrap();
    ledger.stop().await;
    head
}

fn told_of(ledger: &Ledger, after: u64) -> Vec<Event> {
    ledger.events(TenantId(0), after + 1, 10).unwrap().into_iter().map(|recorded| recorded.event).collect()
}

fn names_are_there(ledger: &Ledger) -> [bool; 2] {
    [ADA, UserId(1)].map(|user| {
        let stored = ledger.read(TenantId(0), |view| view.state.names.of(user.into()).cloned()).unwrap().unwrap();
        ledger.user_profile(&stored.personal).is_some()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_cut_left_goes_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join(KEYS_FILE);
    let head = with_a_leaver(dir.path()).await;
    let whole = std::fs::read(&keys).unwrap();
    let ledger = open(dir.path());
    assert_eq!((names_are_there(&ledger), ledger.erasures()), ([true, true], 0));
    let erase = Ask::Intake(Intake::Command(Command::Erase { holder: HolderRef::User(UserRef::Id(ADA)) }));
    ledger.submit(TenantId(0), submission(None, erase)).await.unwrap();
    assert_eq!((names_are_there(&ledger), ledger.erasures()), ([false, true], 1));
    ledger.stop().await;
    let struck = std::fs::read(&keys).unwrap();
    assert_ne!(struck, whole);
    // killed between the fact and the key, and in the midst of the key
    let half = [&whole[..128], &[2], &whole[129..]].concat();
    for left in [whole, half, struck.clone()] {
        std::fs::write(&keys, &left).unwrap();
        let ledger = open(dir.path());
        assert_eq!(std::fs::read(&keys).unwrap(), struck);
        assert_eq!((names_are_there(&ledger), ledger.erasures()), ([false, true], 1));
        assert_eq!(told_of(&ledger, head).len(), 1, "told once");
        ledger.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_newer_than_the_log_tell_it_whose_names_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let head = with_a_leaver(dir.path()).await;
    let vault = Vault::open(dir.path(), &MasterKeySource::DataFolder).unwrap();
    vault.erase(&[SubjectId(0)]).unwrap();
    drop(vault);
    let fact = Event::NamesErased { holder: ADA.into(), subject: SubjectId(0) };
    for start in ["first", "second"] {
        let ledger = open(dir.path());
        assert_eq!(told_of(&ledger, head), std::slice::from_ref(&fact), "told once ({start} start)");
        assert_eq!(names_are_there(&ledger), [false, true]);
        ledger.stop().await;
    }
    let ledger = open(dir.path());
    let outcome = ledger.submit(TenantId(0), submission(None, user(&ledger, TenantId(0), "ada"))).await.unwrap();
    assert_eq!(outcome.answer.user, Some(UserId(2)), "somebody new");
    ledger.stop().await;
}

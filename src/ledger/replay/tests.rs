//! Replays of real folders against what the ledger itself said.

use super::*;
use crate::domain::command::{Actor, Door};
use crate::ledger::NoProgress;
use crate::ledger::tests::{inventory, lived_in, open, submission};

fn told(dir: &Path, tenant: Option<&str>, to: To) -> Result<Vec<(String, u64, [u8; 32])>, ReplayError> {
    let options = ReplayOptions { tenant: tenant.map(str::to_owned), to, ..ReplayOptions::default() };
    let replayed = replay(dir, &options, &NoProgress)?;
    Ok(replayed.into_iter().map(|r| (r.state.slug.clone(), r.state.next_position - 1, r.digest)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_from_nothing_has_the_digest_of_the_service() {
    let dir = tempfile::tempdir().unwrap();
    let expected = lived_in(dir.path()).await;
    for cache in ["snapshots", "archive", "receipts", "sled"] {
        std::fs::remove_dir_all(dir.path().join(cache)).unwrap();
    }
    assert_eq!(told(dir.path(), None, To::End).unwrap(), expected);
    assert_eq!(told(dir.path(), Some("umbra"), To::End).unwrap(), expected[1..]);
    assert!(matches!(told(dir.path(), Some("nobody"), To::End), Err(ReplayError::NoTenant(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_history_is_hashed_into_the_trees_that_the_service_shows() {
    let dir = tempfile::tempdir().unwrap();
    let expected = lived_in(dir.path()).await;
    let replayed = replay(dir.path(), &ReplayOptions::default(), &NoProgress).unwrap();
    let ledger = open(dir.path());
    assert_eq!(replayed.len(), expected.len());
    for (replayed, (slug, position, _)) in replayed.iter().zip(&expected) {
        let (tenant, reader) = (replayed.tenant.0, ledger.0.writer.reader());
        assert!(reader.reach_tree(tenant, position + 1, std::time::Duration::from_secs(20)));
        assert_eq!((position + 1, replayed.root.unwrap()), reader.tree(tenant).head(), "{slug}");
    }
    ledger.stop().await;
    let part = ReplayOptions { to: To::Position(0), ..ReplayOptions::default() };
    let roots = replay(dir.path(), &part, &NoProgress).unwrap().into_iter().map(|replayed| replayed.root);
    assert!(roots.len() > 0 && roots.into_iter().all(|root| root.is_none()), "of a part there is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_ends_before_its_checkpoint_is_not_taken_for_a_shorter_history() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let segments = std::fs::read_dir(dir.path().join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let last = segments.filter(|path| path.extension().is_some_and(|of| of == "segment")).max().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2..].fill(0);
    std::fs::write(last, bytes).unwrap();
    for to in [To::End, To::Position(1)] {
        assert!(matches!(told(dir.path(), None, to), Err(ReplayError::Log(OpenError::LostTail { .. }))), "{to:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_to_a_position_or_an_instant_shows_what_was_true_there() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "late", "Late").await.unwrap();
    let at = ledger.digest(tenant).unwrap();
    let now = ledger.clock().now();
    ledger.clock().advance(std::time::Duration::from_secs(60)).unwrap();
    ledger.submit(tenant, submission(None, inventory(3))).await.unwrap();
    let end = ledger.digest(tenant).unwrap();
    ledger.stop().await;
    assert_ne!(at, end);
    let late = |(position, digest)| vec![("late".to_owned(), position, digest)];
    assert_eq!(told(dir.path(), Some("late"), To::Position(at.0)).unwrap(), late(at));
    assert_eq!(told(dir.path(), Some("late"), To::Time(now)).unwrap(), late(at));
    assert_eq!(told(dir.path(), Some("late"), To::Position(end.0)).unwrap(), late(end));
    let beyond = told(dir.path(), Some("late"), To::Position(end.0 + 1));
    assert!(matches!(beyond, Err(ReplayError::NotReached { last, .. }) if last == end.0));
}

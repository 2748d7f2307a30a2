//! States of the past that go on from a kept snapshot.

use super::life::{live, open};
use crate::audit::as_of::{AsOf, At};
use crate::audit::part::Wanted;
use crate::audit::timeline::points;
use crate::domain::command::{Actor, Door, HolderRef, UserRef};
use crate::domain::ids::{PoolId, TenantId, UserId};
use crate::ledger::Ledger;
use crate::projection::View;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use std::path::{Path, PathBuf};

const STARTS: usize = 6;

/// A life that was stopped so often, each time leaving a snapshot; and where it stood then.
async fn often_stopped(dir: &Path, seed: u64) -> (Ledger, TenantId, Vec<u64>) {
    let mut ends = Vec::new();
    let mut random = SmallRng::seed_from_u64(seed);
    for part in 0..STARTS {
        let ledger = open(dir);
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        live(&ledger, tenant, &mut random, part * 60..(part + 1) * 60).await;
        ledger.stop().await;
        ends.push(ledger.head(tenant).unwrap() + 1);
    }
    let ledger = open(dir);
    let tenant = ledger.tenant("acme").unwrap();
    (ledger, tenant, ends)
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir.join("snapshots")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn digests(ledger: &Ledger, tenant: TenantId) -> Vec<(u64, [u8; 32])> {
    let mut view = View::new();
    let events = ledger.events(tenant, 0, usize::MAX).unwrap();
    let digest = |recorded| {
        view.take(&recorded);
        ledger.digest_of(&view.state)
    };
    events.into_iter().map(digest).collect()
}

fn agrees_everywhere(ledger: &Ledger, tenant: TenantId, expected: &[(u64, [u8; 32])]) {
    for (position, _) in expected {
        // nothing is at hand, so that every one of them begins with what was kept
        let view = AsOf::new().view_at(ledger, tenant, At::Position(*position)).unwrap();
        assert_eq!(Some(&ledger.digest_of(&view.state)), expected.get(usize::try_from(*position).unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_the_past_goes_on_from_the_last_kept_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tenant, ends) = often_stopped(dir.path(), 5).await;
    let expected = digests(&ledger, tenant);
    assert_eq!(snapshots(dir.path()).len(), STARTS);
    for position in [ends[0] - 2, ends[0] - 1, ends[0], ends[3] - 2, ends[3] - 1, ends[4] + 1] {
        let found = ledger.kept_view(tenant, &(1..=position + 1)).map(|view| view.state.next_position);
        assert_eq!(found, ends.iter().rfind(|end| **end <= position + 1).copied());
    }
    agrees_everywhere(&ledger, tenant, &expected);
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_state_that_is_damaged_goes_and_one_of_another_log_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tenant, _) = often_stopped(dir.path(), 6).await;
    let expected = digests(&ledger, tenant);
    let kept = snapshots(dir.path());
    let mut bytes = std::fs::read(&kept[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&kept[1], bytes).unwrap();
    let other = tempfile::tempdir().unwrap();
    let (theirs, ..) = often_stopped(other.path(), 7).await;
    theirs.stop().await;
    std::fs::copy(&snapshots(other.path())[2], &kept[2]).unwrap();
    agrees_everywhere(&ledger, tenant, &expected);
    let left = snapshots(dir.path());
    assert!(!left.contains(&kept[1]) && left.contains(&kept[2]));
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_index_is_damaged_the_whole_is_folded_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tenant, ends) = often_stopped(dir.path(), 8).await;
    ledger.stop().await;
    drop(ledger);
    for entry in std::fs::read_dir(dir.path().join("subjects")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        // in the first block, which nothing looks at before it is asked
        bytes[4096 + 50] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let ledger = open(dir.path());
    let (position, user) = (ends[3], UserId(2));
    let mut whole = View::new();
    for recorded in ledger.events(tenant, 0, usize::try_from(position).unwrap() + 1).unwrap() {
        whole.take(&recorded);
    }
    let as_of = AsOf::new();
    let wanted = Wanted::Holder(HolderRef::User(UserRef::Id(user)));
    let found = as_of.part_at(&ledger, tenant, At::Position(position), &wanted).unwrap();
    assert_eq!(ledger.digest_of(&found.state), ledger.digest_of(&whole.state));
    assert_eq!(as_of.folds(), (1, 1));
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_the_past_are_read_from_the_archive_and_made_anew_where_that_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, tenant, ends) = often_stopped(dir.path(), 5).await;
    let archived = ledger.read(tenant, |view| view.archived().count()).unwrap();
    assert!(archived > 0);
    let head = ledger.head(tenant).unwrap();
    let all = |ledger: &Ledger| (0..4).map(|pool| points(ledger, tenant, PoolId(pool), head, None, 10_000)).collect();
    let expected: Vec<_> = all(&ledger);
    assert!(expected.iter().all(Result::is_ok));
    ledger.stop().await;

    let path = dir.path().join("archive").join("1.archive");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, whole.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at > 8)).collect::<Vec<u8>>())
        .unwrap();
    let ledger = open(dir.path());
    assert!(ledger.is_archive_whole(), "nobody asked yet");
    let found: Vec<_> = all(&ledger);
    assert!(!ledger.is_archive_whole() && found.iter().any(Result::is_err), "{found:?}");
    assert!(found.iter().zip(&expected).all(|(found, expected)| found.is_err() || found == expected));
    // what is true today needs none of it, and nothing is lost
    live(&ledger, tenant, &mut SmallRng::seed_from_u64(1), 1000..1060).await;
    ledger.stop().await;

    let ledger = open(dir.path());
    assert!(ledger.is_archive_whole());
    assert_eq!(all(&ledger), expected);
    assert!(snapshots(dir.path()).is_empty(), "none of those that pointed into it");
    ledger.stop().await;
    let (ledger, left) = (open(dir.path()), snapshots(dir.path()).len());
    assert!(left == 1 && ledger.read(tenant, |view| view.archived().count()).unwrap() >= archived);
    assert_eq!(all(&ledger), expected);
    assert!(ledger.kept_view(tenant, &(1..=ends[0])).is_none());
    ledger.stop().await;
}

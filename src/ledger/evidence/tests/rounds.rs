//! Heads of many tenants in one file: through starts and stops, with files that are left by a cut, damaged or older.

use super::super::heads::HEADS;
use super::super::rounds::ROUND_HEADS_MIN;
use super::super::*;
use super::{copy, open_with, refused};
use crate::domain::command::{Actor, Door};
use crate::ledger::NoProgress;
use crate::ledger::verify::{Verification, verify};
use crate::merkle::Checkpoint;
use std::collections::BTreeSet;
use std::fs;

const TENANTS: u32 = 40;

/// Signs at a stop, and never meanwhile.
fn open(dir: &Path) -> Ledger {
    open_with(dir, Signing { every: Duration::from_secs(3600), ..Signing::default() }).unwrap()
}

/// An event in each of these tenants.
async fn live(ledger: &Ledger, tenants: impl Iterator<Item = u32>) {
    for n in tenants {
        let (slug, name) = (
            format!("t{n}"),
            format!("The name at {}", ledger.tenant(&format!("t{n}")).map_or(0, |t| ledger.head(t).unwrap() + 1)),
        );
        ledger.create_tenant(Actor::Root, Door::Http, &slug, &name).await.unwrap();
    }
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir.join(HEADS)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn look(dir: &Path) -> Verification {
    verify(dir, Some(&crate::ledger::MasterKeySource::DataFolder), false, &NoProgress)
}

/// How many records the last head of each tenant covers.
fn sizes(ledger: &Ledger) -> Vec<u64> {
    (0..TENANTS).map(|n| ledger.last_head(TenantId(n)).unwrap().size).collect()
}

#[tokio::test]
async fn many_heads_are_one_file_and_the_newest_of_each_counts() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let ledger = open(dir);
    live(&ledger, 0..TENANTS).await;
    ledger.stop().await;
    assert_eq!(names(dir), BTreeSet::from(["round-0".to_owned()]));
    let found = look(dir);
    assert_eq!((found.findings, found.log.heads_contained, found.notes), (vec![], u64::from(TENANTS), vec![]));
    let ledger = open(dir);
    assert_eq!(sizes(&ledger), [1; 40]);
    // some go on: their heads are in another file, and those of the others stay where they are
    live(&ledger, 0..20).await;
    ledger.stop().await;
    assert_eq!(names(dir).len(), 2);
    let ledger = open(dir);
    assert_eq!(sizes(&ledger), [[2; 20], [1; 20]].concat());
    // one that is asked for alone has a file of its own
    live(&ledger, 7..8).await;
    let head = ledger.signed_over(TenantId(7), 3).unwrap();
    let key = ledger.verifier_key(TenantId(7)).unwrap();
    assert_eq!(Checkpoint::open(head.note.as_bytes(), &key).unwrap().0.size, 3);
    assert!(names(dir).contains("7"));
    // once all have gone on, nothing of before is left but that
    live(&ledger, 0..TENANTS).await;
    ledger.stop().await;
    assert_eq!(names(dir), ["7", "round-2"].map(str::to_owned).into());
    let ledger = open(dir);
    assert_eq!(sizes(&ledger)[6..9], [3, 4, 3]);
    ledger.stop().await;
    assert_eq!(look(dir).findings, []);
}

#[tokio::test]
async fn files_of_rounds_do_not_gather_whoever_stands_still() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let ledger = open(dir);
    live(&ledger, 0..TENANTS).await;
    ledger.stop().await;
    let least = u32::try_from(ROUND_HEADS_MIN).unwrap();
    for round in 0..14 {
        let ledger = open(dir);
        // each leaves another one behind
        live(&ledger, round..round + least).await;
        ledger.stop().await;
        assert!(names(dir).len() <= 9, "{:?}", names(dir));
    }
    let ledger = open(dir);
    let heads: Vec<u64> = (0..TENANTS).map(|n| ledger.head(TenantId(n)).unwrap() + 1).collect();
    assert_eq!(sizes(&ledger), heads);
    ledger.stop().await;
    assert_eq!(look(dir).findings, []);
}

#[tokio::test]
async fn whatever_a_cut_leaves_of_a_round_the_newest_whole_one_counts_and_damage_is_named() {
    let place = tempfile::tempdir().unwrap();
    let (dir, older) = (place.path().join("data"), place.path().join("older"));
    let ledger = open(&dir);
    live(&ledger, 0..TENANTS).await;
    ledger.stop().await;
    copy(&dir, &older);
    let ledger = open(&dir);
    live(&ledger, 0..TENANTS).await;
    ledger.stop().await;
    assert_eq!(names(&dir), BTreeSet::from(["round-1".to_owned()]));
    let round = dir.join(HEADS).join("round-1");
    let whole = fs::read(&round).unwrap();
    // the older file was not removed yet, and the next one was not whole yet
    fs::copy(older.join(HEADS).join("round-0"), dir.join(HEADS).join("round-0")).unwrap();
    fs::write(dir.join(HEADS).join("round-2.tmp"), &whole[..whole.len() / 2]).unwrap();
    let ledger = open(&dir);
    assert_eq!(sizes(&ledger), [2; 40]);
    ledger.stop().await;
    assert_eq!(look(&dir).findings, []);
    // a bit of it is another one: named by both, with the file
    for at in (0..whole.len()).step_by(199) {
        let mut bad = whole.clone();
        bad[at] ^= 2;
        fs::write(&round, &bad).unwrap();
        let found = look(&dir);
        assert!(
            found.findings.iter().any(|finding| finding.file.ends_with("heads/round-1")),
            "byte {at}: {:?}",
            found.findings
        );
    }
    fs::write(&round, &whole[..whole.len() - 1]).unwrap();
    assert!(refused(&dir).contains("heads/round-1 is not the signed head that was written"), "{}", refused(&dir));
    // without it the older heads are there to compare with, and are as good
    fs::remove_file(&round).unwrap();
    let ledger = open_with(&dir, Signing { every: Duration::ZERO, ..Signing::default() }).unwrap();
    assert_eq!(sizes(&ledger), [1; 40]);
    ledger.stop().await;
    // a log that does not have them is refused, and both are named
    for entry in fs::read_dir(&older).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() == "heads") {
        fs::remove_dir_all(entry.path()).unwrap();
    }
    copy(&dir.join(HEADS), &older.join(HEADS));
    fs::write(older.join(HEADS).join("round-1"), &whole).unwrap();
    let why = refused(&older);
    assert!(why.contains("does not contain what was signed") && why.contains("heads/round-1"), "{why}");
}

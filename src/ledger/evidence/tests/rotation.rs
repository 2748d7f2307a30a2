//! Another key for the log: every state in which a cut can leave the change, keys that are lost or not the right ones, and
//! logs that go on under another id.

use super::super::heads::HEADS;
use super::super::rotation::ROTATIONS;
use super::super::*;
use super::{copy, live, open, open_with};
use crate::ledger::{NoProgress, OpenLedgerError};
use crate::merkle::Checkpoint;
use std::fs;
use std::path::PathBuf;

fn rotated(dir: &Path, rotation: Rotation) -> Result<Ledger, OpenLedgerError> {
    open_with(dir, Signing { rotation: Some(rotation), ..Signing::default() })
}

async fn stop(ledger: Ledger) {
    ledger.stop().await;
}

fn secret(dir: &Path) -> String {
    fs::read_to_string(dir.join(LOG_KEY_FILE)).unwrap()
}

fn findings(dir: &Path) -> Vec<String> {
    let found =
        crate::ledger::verify::verify(dir, Some(&crate::ledger::MasterKeySource::DataFolder), false, &NoProgress);
    found.findings.iter().map(ToString::to_string).collect()
}

/// The kinds of a tenant's events.
fn count(ledger: &Ledger, tenant: u32) -> usize {
    let events = ledger.events(TenantId(tenant), 0, 10_000).unwrap();
    events.iter().filter(|recorded| recorded.event.type_name() == "log_key_rotated").count()
}

#[tokio::test]
async fn a_change_of_the_key_is_told_signed_by_both_and_every_old_head_stays_good() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ledger = open(dir);
    live(&ledger, 20).await;
    let old = ledger.verifier_key(TenantId(1)).unwrap();
    let old_head = ledger.signed_over(TenantId(1), 20).unwrap();
    let (old_proof, _) = ledger.proof(TenantId(1), 7).unwrap();
    stop(ledger).await;
    let old_secret = secret(dir);
    let ledger = rotated(dir, Rotation::SignedByOld).unwrap();
    let new = ledger.verifier_key(TenantId(1)).unwrap();
    assert_ne!((&old, old_secret), (&new, secret(dir)));
    live(&ledger, 5).await;
    let keys = ledger.log_keys(TenantId(1)).unwrap();
    let sizes: Vec<_> = keys.ranges().iter().map(|range| (&range.key, range.from_size, range.to_size)).collect();
    assert_eq!(sizes, [(&old, 1, Some(21)), (&new, 21, None)]);
    let newest = ledger.signed_over(TenantId(1), 26).unwrap();
    for trusted in [&old, &new] {
        let keys = keys.trusted_from(trusted).unwrap();
        assert_eq!(keys.open(old_head.note.as_bytes()).unwrap().0.size, 20);
        assert_eq!(keys.open(newest.note.as_bytes()).unwrap().0.size, 26);
        assert_eq!(keys.open(old_proof.checkpoint.as_bytes()).unwrap().0.size, 20);
    }
    assert!(old_proof.check(&old).is_ok(), "a file that was taken away is good as it was");
    // the history, the head and the folder say the same
    assert_eq!((count(&ledger, 0), count(&ledger, 1)), (1, 1));
    let grown = ledger.consistency(TenantId(1), 20, Some(26)).unwrap();
    assert_eq!((grown.from_root, grown.to_root), (old_head.root, newest.root));
    stop(ledger).await;
    assert_eq!(findings(dir), [""; 0]);
    // and once more
    let ledger = rotated(dir, Rotation::SignedByOld).unwrap();
    let keys = ledger.log_keys(TenantId(1)).unwrap().trusted_from(&old).unwrap();
    assert_eq!(keys.ranges().len(), 3);
    let third = ledger.verifier_key(TenantId(1)).unwrap();
    assert_eq!(keys.ranges().last().map(|range| &range.key), Some(&third));
    stop(ledger).await;
    // a tenant that came later has the key of today alone
    let ledger = open(dir);
    ledger
        .create_tenant(crate::domain::command::Actor::Root, crate::domain::command::Door::Http, "late", "Late")
        .await
        .unwrap();
    assert_eq!(ledger.log_keys(TenantId(2)).unwrap().ranges().len(), 1);
    stop(ledger).await;
    // what hands over says so, and no head that is published does
    let is_handover = |file: PathBuf| fs::read_to_string(file).unwrap().contains("\nkey-change ");
    assert!(is_handover(dir.join(ROTATIONS).join("1-21")) && !is_handover(dir.join(HEADS).join("1")));
    // what hands over is missed, and its rot is seen
    let handover = dir.join(ROTATIONS).join("1-21");
    let good = fs::read(&handover).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&handover, bytes).unwrap();
        assert!(findings(dir).iter().any(|found| found.contains("rotations/1-21")), "byte {at}");
    }
    fs::remove_file(&handover).unwrap();
    assert!(findings(dir).iter().any(|found| found.contains("rotations/1-21")));
}

/// Once both keys signed a head like any other; the head that is published when the key is changed is one.
#[tokio::test]
async fn a_head_that_names_no_keys_is_refused_as_what_hands_over_and_the_service_starts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ledger = open(dir);
    live(&ledger, 20).await;
    let old = ledger.verifier_key(TenantId(1)).unwrap();
    stop(ledger).await;
    stop(rotated(dir, Rotation::SignedByOld).unwrap()).await;
    let published = dir.join(HEADS).join("1");
    assert!(Checkpoint::open(&fs::read(&published).unwrap(), &old).is_ok(), "the old key has signed it, too");
    fs::copy(published, dir.join(ROTATIONS).join("1-21")).unwrap();
    let found = findings(dir);
    assert!(found.len() == 1 && found[0].contains("rotations/1-21") && found[0].contains("names no keys"), "{found:?}");
    let ledger = open(dir);
    let said = ledger.log_keys(TenantId(1)).unwrap().trusted_from(&old).unwrap_err().to_string();
    assert!(said.contains("names no keys") && said.contains("has to be given the one behind it"), "{said}");
    stop(ledger).await;
}

/// Where a change was cut, and how a folder comes to be so.
type Stage<'s> = (&'s str, &'s dyn Fn(&Path));

#[tokio::test]
async fn wherever_the_change_is_cut_one_of_the_keys_is_in_force_and_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (before, after): (PathBuf, PathBuf) = (dir.path().join("before"), dir.path().join("after"));
    let ledger = open(&before);
    live(&ledger, 20).await;
    let old = ledger.verifier_key(TenantId(0)).unwrap();
    stop(ledger).await;
    copy(&before, &after);
    let ledger = rotated(&after, Rotation::SignedByOld).unwrap();
    let new = ledger.verifier_key(TenantId(0)).unwrap();
    stop(ledger).await;
    let next = "log.key.next";
    let stages: [Stage<'_>; 6] = [
        ("the next key is drawn", &|at| {
            copy(&before, at);
            fs::copy(after.join(LOG_KEY_FILE), at.join(next)).unwrap();
        }),
        ("the histories have it", &|at| {
            copy(&after, at);
            fs::remove_dir_all(at.join(ROTATIONS)).unwrap();
            fs::remove_dir_all(at.join(HEADS)).unwrap();
            copy(&before.join(HEADS), &at.join(HEADS));
        }),
        ("one head hands over", &|at| {
            copy(&after, at);
            fs::remove_file(at.join(ROTATIONS).join("1-21")).unwrap();
            fs::copy(before.join(HEADS).join("1"), at.join(HEADS).join("1")).unwrap();
        }),
        ("one head hands over, and is not published", &|at| {
            copy(&after, at);
            fs::copy(before.join(HEADS).join("0"), at.join(HEADS).join("0")).unwrap();
            fs::copy(before.join(HEADS).join("1"), at.join(HEADS).join("1")).unwrap();
        }),
        ("all heads hand over", &|at| copy(&after, at)),
        ("it is through", &|at| copy(&after, at)),
    ];
    for (place, (stage, make)) in stages.iter().enumerate() {
        let at = dir.path().join(place.to_string());
        make(&at);
        if (1..5).contains(&place) {
            fs::rename(at.join(LOG_KEY_FILE), at.join(next)).unwrap();
            fs::copy(before.join(LOG_KEY_FILE), at.join(LOG_KEY_FILE)).unwrap();
        }
        assert_eq!(findings(&at), [""; 0], "{stage}");
        let ledger = open(&at);
        assert_eq!(ledger.verifier_key(TenantId(0)).unwrap(), new, "{stage}");
        assert!(!at.join(next).exists(), "{stage}");
        for tenant in [0, 1] {
            assert_eq!(count(&ledger, tenant), 1, "{stage}");
            let keys = ledger.log_keys(TenantId(tenant)).unwrap();
            let first = keys.ranges()[0].key.clone();
            assert_eq!(first.public_key(), old.public_key(), "{stage}");
            assert_eq!(keys.trusted_from(&first).unwrap().ranges().len(), 2, "{stage}");
        }
        stop(ledger).await;
        assert_eq!(findings(&at), [""; 0], "{stage}");
    }
    // the next key is thrown away when the histories have it
    let at = dir.path().join("thrown");
    copy(&after, &at);
    fs::copy(before.join(LOG_KEY_FILE), at.join(LOG_KEY_FILE)).unwrap();
    let said = open_with(&at, Signing::default()).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("contoso says at position 20") && said.contains(&new.to_string()), "{said}");
    assert!(said.contains("--old-key-lost"), "{said}");
}

#[tokio::test]
async fn a_lost_key_is_named_and_another_one_is_taken_only_when_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ledger = open(dir);
    live(&ledger, 20).await;
    let old = ledger.verifier_key(TenantId(0)).unwrap();
    stop(ledger).await;
    let good = secret(dir);
    fs::remove_file(dir.join(LOG_KEY_FILE)).unwrap();
    for signing in [Signing::default(), Signing { rotation: Some(Rotation::SignedByOld), ..Signing::default() }] {
        let said = open_with(dir, signing).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("log.key is not there") && said.contains("rotate-log-key --old-key-lost"), "{said}");
        let is_made = |name: &str| dir.join(name).exists();
        assert!(!is_made(LOG_KEY_FILE) && !is_made("log.key.next"), "none is made");
    }
    // another one in its place
    fs::write(dir.join(LOG_KEY_FILE), hex::encode([7; 32])).unwrap();
    let said = open_with(dir, Signing::default()).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("another key") && said.contains("heads/0"), "{said}");
    // who signs nothing is not asked
    open_with(dir, Signing::never()).unwrap().stop().await;
    // the right one is found again
    fs::write(dir.join(LOG_KEY_FILE), &good).unwrap();
    stop(open(dir)).await;
    // or it is not
    fs::remove_file(dir.join(LOG_KEY_FILE)).unwrap();
    let ledger = rotated(dir, Rotation::OldIsLost).unwrap();
    let keys = ledger.log_keys(TenantId(0)).unwrap();
    let new = ledger.verifier_key(TenantId(0)).unwrap();
    assert_eq!(keys.ranges().iter().map(|range| (&range.key, range.from_size)).collect::<Vec<_>>(), [(&new, 21)]);
    assert!(keys.trusted_from(&old).is_err(), "nobody vouches for it");
    let head = ledger.signed_head(TenantId(0)).unwrap();
    assert_eq!(Checkpoint::open(head.note.as_bytes(), &new).unwrap().0.size, 21);
    stop(ledger).await;
    assert_eq!(findings(dir), [""; 0]);
    // lost again: by now the history knows which one
    fs::write(dir.join(LOG_KEY_FILE), hex::encode([7; 32])).unwrap();
    let ledger = rotated(dir, Rotation::OldIsLost).unwrap();
    let keys = ledger.log_keys(TenantId(0)).unwrap();
    let sizes: Vec<_> = keys.ranges().iter().map(|range| (range.from_size, range.to_size)).collect();
    assert_eq!(sizes, [(21, Some(22)), (22, None)]);
    assert_eq!(keys.trusted_from(&new).unwrap().ranges().len(), 1);
    stop(ledger).await;
    assert_eq!(findings(dir), [""; 0]);
}

/// As the message says that a lost key is given up: whatever was begun with it.
#[tokio::test]
async fn a_change_that_was_begun_with_a_key_that_is_lost_since_is_given_up_where_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ledger = open(dir);
    live(&ledger, 20).await;
    let old = ledger.verifier_key(TenantId(0)).unwrap();
    stop(ledger).await;
    fs::remove_file(dir.join(LOG_KEY_FILE)).unwrap();
    let (next, next_of_lost, aside) = ("log.key.next", "log.key.next-of-lost", "log.key.next-given-up");
    let begun = hex::encode([5; 32]);
    fs::write(dir.join(next), &begun).unwrap();
    for signing in [Signing::default(), Signing { rotation: Some(Rotation::SignedByOld), ..Signing::default() }] {
        let said = open_with(dir, signing).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains("rotate-log-key --old-key-lost"), "{said}");
        assert_eq!(fs::read_to_string(dir.join(next)).unwrap(), begun, "nothing is given up unasked");
    }
    let ledger = rotated(dir, Rotation::OldIsLost).unwrap();
    assert_eq!(fs::read_to_string(dir.join(aside)).unwrap(), begun);
    assert!(!dir.join(next).exists() && !dir.join(next_of_lost).exists());
    assert_ne!(secret(dir).trim(), begun);
    let new = ledger.verifier_key(TenantId(0)).unwrap();
    let keys = ledger.log_keys(TenantId(0)).unwrap();
    assert_eq!(keys.ranges().iter().map(|range| &range.key).collect::<Vec<_>>(), [&new]);
    assert!(keys.trusted_from(&old).is_err(), "nobody vouches for it");
    stop(ledger).await;
    assert_eq!(findings(dir), [""; 0]);
    stop(open(dir)).await;
}

#[tokio::test]
async fn a_key_of_the_environment_is_not_changed_here() {
    let dir = tempfile::tempdir().unwrap();
    let key = LogKeySource::Text(hex::encode([3; 32]).into());
    let signing = Signing { key, rotation: Some(Rotation::SignedByOld), ..Signing::default() };
    let said = open_with(dir.path(), signing).map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("environment") && said.contains("log_key_file"), "{said}");
}

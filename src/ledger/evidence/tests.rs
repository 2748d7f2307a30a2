//! Heads through starts and stops, and every way in which a log may not contain what was signed.

mod cosigning;
mod look;
mod rotation;
mod rounds;

use super::heads::HEADS;
use super::*;
use crate::domain::command::{Actor, Door};
use crate::ledger::{Clock, LedgerOptions, LogOptions, MasterKeySource, NoProgress, OpenLedgerError};
use crate::merkle::{Checkpoint, Note, Signer};
use std::fs;
use std::path::PathBuf;

fn open_with(dir: &Path, signing: Signing) -> Result<Ledger, OpenLedgerError> {
    let log = LogOptions { segment_bytes: 64 << 10, disk_floor_bytes: 0, ..LogOptions::new(dir) };
    let (master_key, clock) = (MasterKeySource::DataFolder, Clock::system());
    Ledger::open(LedgerOptions { log, master_key, clock, signing }, &NoProgress)
}

fn open(dir: &Path) -> Ledger {
    open_with(dir, Signing::default()).unwrap()
}

/// So many events in each of two tenants: names that change.
async fn live(ledger: &Ledger, events: u64) {
    for slug in ["contoso", "fabrikam"] {
        for n in 0..events {
            let next = ledger.tenant(slug).map_or(0, |tenant| ledger.head(tenant).unwrap() + 1);
            ledger.create_tenant(Actor::Root, Door::Http, slug, &format!("The name at {next} of {n}")).await.unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn refused(dir: &Path) -> String {
    open_with(dir, Signing::default()).map(|_| ()).unwrap_err().to_string()
}

#[tokio::test]
async fn heads_are_signed_over_what_is_durable_and_every_record_is_in_them() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    live(&ledger, 300).await;
    let tenant = ledger.tenant("fabrikam").unwrap();
    let key = ledger.verifier_key(tenant).unwrap();
    let log_id = hex::encode(ledger.open_report().log_id);
    assert_eq!(key.name(), format!("seatledger.local/{log_id}/fabrikam"));
    let first = ledger.signed_over(tenant, 10).unwrap();
    live(&ledger, 5).await;
    for position in [0, 7, 255, 256, 299, 304] {
        let (proof, size) = ledger.proof(tenant, position).unwrap();
        let parsed = ProofFile::parse(proof.to_string().as_bytes()).unwrap();
        let (record, checkpoint) = parsed.check(&key).unwrap();
        assert_eq!((checkpoint.size, parsed.index), (size, position));
        assert!(!record.is_empty());
        let other = ledger.verifier_key(ledger.tenant("contoso").unwrap()).unwrap();
        assert!(parsed.check(&other).is_err(), "one tenant's key says nothing of another's");
    }
    let grown = ledger.consistency(tenant, first.size, None).unwrap();
    assert_eq!((grown.from_root, grown.to), (first.root, 305));
    assert_eq!(ledger.signed_over(tenant, 306), Err(ReadError::NotReached(305)));
    assert_eq!(ledger.proof(tenant, u64::MAX).unwrap_err(), ReadError::NotReached(u64::MAX));
    assert_eq!(ledger.tile(tenant, &TileAddress::hashes(0, 1, 50)).unwrap(), None);
    assert_eq!(ledger.tile(tenant, &TileAddress::hashes(1, 0, 1)).unwrap().unwrap().len(), 32);
    let secret = fs::metadata(dir.path().join(LOG_KEY_FILE)).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&secret.permissions()) & 0o777, 0o600);
}

#[tokio::test]
async fn a_stop_signs_and_a_start_goes_on_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    live(&ledger, 3).await;
    let key = ledger.verifier_key(TenantId(0)).unwrap();
    ledger.stop().await;
    // from here on the folder may be another's
    assert_eq!(ledger.timestamps_due(TenantId(0)).unwrap_err().to_string(), "the log is closed");
    drop(ledger);
    let note = fs::read(dir.path().join(HEADS).join("0")).unwrap();
    let (head, _) = Checkpoint::open(&note, &key).unwrap();
    assert_eq!(head.size, 3);
    let ledger = open(dir.path());
    assert_eq!(ledger.signed_head(TenantId(0)).unwrap().note.as_bytes(), note);
    ledger.stop().await;
    drop(ledger);
    // another name for the same log: the head is the same, and said anew
    let signing = Signing { log_name: "ledger.example".into(), ..Signing::default() };
    let ledger = open_with(dir.path(), signing).unwrap();
    let said = ledger.signed_head(TenantId(0)).unwrap();
    let (renamed, _) = Checkpoint::open(said.note.as_bytes(), &ledger.verifier_key(TenantId(0)).unwrap()).unwrap();
    assert_eq!((renamed.size, renamed.root), (head.size, head.root));
    assert!(renamed.origin.starts_with("ledger.example/"));
    ledger.stop().await;
}

#[tokio::test]
async fn a_log_without_what_was_signed_is_refused_and_both_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (data, older): (PathBuf, PathBuf) = (dir.path().join("data"), dir.path().join("older"));
    let ledger = open(&data);
    live(&ledger, 20).await;
    ledger.stop().await;
    drop(ledger);
    copy(&data, &older);
    let ledger = open(&data);
    live(&ledger, 7).await;
    ledger.stop().await;
    drop(ledger);
    let newest = fs::read(data.join(HEADS).join("1")).unwrap();
    let root = newest_root(&newest);
    // an older folder under a newer head
    fs::write(older.join(HEADS).join("1"), &newest).unwrap();
    let said = refused(&older);
    assert!(said.contains("tenant 1") && said.contains("27 records") && said.contains("has 20 records"), "{said}");
    assert!(said.contains(&hex::encode(root)), "{said}");
    // a history that went another way, from the same beginning
    fs::copy(dir.path().join("data/log.key"), older.join(LOG_KEY_FILE)).unwrap();
    fs::remove_file(older.join(HEADS).join("1")).unwrap();
    let ledger = open(&older);
    live(&ledger, 9).await;
    ledger.stop().await;
    drop(ledger);
    fs::write(older.join(HEADS).join("1"), &newest).unwrap();
    let said = refused(&older);
    assert!(said.contains("27 records") && said.contains("with as many"), "{said}");
    // the head itself spoiled
    let head = data.join(HEADS).join("0");
    let good = fs::read(&head).unwrap();
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[at] ^= 4;
        fs::write(&head, &bytes).unwrap();
        match open_with(&data, Signing::default()) {
            Err(error) => assert!(error.to_string().contains("heads/0"), "byte {at}: {error}"),
            Ok(_) => panic!("byte {at}"),
        }
    }
    fs::write(&head, &good).unwrap();
    open(&data).stop().await;
    // of another log
    let other = String::from_utf8(good).unwrap().replace("/contoso", "/ff/contoso");
    fs::write(&head, other).unwrap();
    assert!(refused(&data).contains("heads/0"));
}

fn newest_root(note: &[u8]) -> Hash {
    crate::merkle::Note::parse(note).unwrap().text.parse::<Checkpoint>().unwrap().root
}

#[tokio::test]
async fn bad_names_and_keys_are_named_and_no_secret_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["", "two words", "a+b", "ledger.example/", &"x".repeat(129)] {
        let signing = Signing { log_name: name.into(), ..Signing::default() };
        let error = open_with(dir.path(), signing).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("can't be the log's name"), "{error}");
    }
    let signing = Signing { key: LogKeySource::Text("hush".to_owned().into()), ..Signing::default() };
    assert!(!format!("{signing:?}").contains("hush"));
    let error = open_with(dir.path(), signing).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("64 hexadecimal digits") && !error.contains("hush"), "{error}");
    let ledger = open_with(dir.path(), Signing::never()).unwrap();
    live(&ledger, 2).await;
    ledger.stop().await;
    assert!(!dir.path().join(LOG_KEY_FILE).exists() && !dir.path().join(HEADS).exists());
}

#[tokio::test]
async fn a_head_with_a_changed_bit_is_damaged_and_not_said_to_be_another_keys() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    live(&ledger, 3).await;
    ledger.stop().await;
    drop(ledger);
    let path = dir.path().join(HEADS).join("1");
    let head = fs::read_to_string(&path).unwrap();
    let line = head.find('\u{2014}').unwrap();
    let name = line + '\u{2014}'.len_utf8() + 1;
    // in the name of the key; in the signature; and a signature that ends early
    let flip = |at: usize, bit: u8| {
        let mut bytes = head.clone().into_bytes();
        bytes[at] ^= 1 << bit;
        bytes
    };
    let end = head.trim_end().len();
    let cut = [&head.as_bytes()[..end - 8], b"\n"].concat();
    for bytes in [flip(name, 0), flip(name + 5, 1), flip(end - 12, 0), cut] {
        fs::write(&path, bytes).unwrap();
        let said = refused(dir.path());
        assert!(said.contains("heads/1 is not the signed head that was written"), "{said}");
        assert!(!said.contains("--old-key-lost"), "{said}");
    }
    // under the same name, and whole
    let mut note = Note::parse(head.as_bytes()).unwrap();
    note.signatures = vec![Signer::new(&note.signatures[0].name, &[7; 32]).unwrap().sign(&note.text)];
    fs::write(&path, note.to_string()).unwrap();
    assert!(refused(dir.path()).contains("another key than the log's of now"));
    fs::write(&path, &head).unwrap();
    open(dir.path()).stop().await;
}

#[tokio::test]
async fn a_key_that_is_gone_is_missed_whatever_is_left_of_what_it_signed() {
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let ledger = open(&whole);
    live(&ledger, 3).await;
    ledger.stop().await;
    drop(ledger);
    let head = fs::read(whole.join(HEADS).join("1")).unwrap();
    let with = |name: &str| {
        let dir = place.path().join(name.replace('/', "-"));
        copy(&whole, &dir);
        fs::remove_dir_all(dir.join(HEADS)).unwrap();
        fs::remove_file(dir.join(LOG_KEY_FILE)).unwrap();
        fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
        fs::write(dir.join(name), &head).unwrap();
        dir
    };
    // the last of these can't be listed, so nobody knows what was in it
    for name in
        ["heads/1", "heads/round-0", "cosigned/1", "timestamps/1/2026-11-28.checkpoint", "rotations/1-3", "cosigned"]
    {
        let dir = with(name);
        let said = refused(&dir);
        assert!(said.contains("log.key is not there") && said.contains("--old-key-lost"), "{name}: {said}");
        assert!(!dir.join(LOG_KEY_FILE).exists(), "{name}: no other key was made");
    }
    // where nothing tells of a head, none was signed
    open(&with("elsewhere")).stop().await;
}

#[tokio::test]
async fn that_the_thread_that_signs_has_panicked_is_told_and_the_folder_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    assert!(!ledger.health().is_signing_fallen);
    ledger.let_signing_fall();
    assert!(ledger.health().is_signing_fallen);
    ledger.stop().await;
    open(dir.path()).stop().await;
}

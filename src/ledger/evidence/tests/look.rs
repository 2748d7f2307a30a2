//! Everything in a folder that is signed, bit by bit, and what is missing of it: named, or noted where nothing else tells.

use super::super::cosigned::{COSIGNED, WITNESS_KEYS};
use super::super::heads::HEADS;
use super::super::look::{Owner, Signed, look_at_signed};
use super::super::timestamp::tests::{answered, authority, dated_back};
use super::super::*;
use super::{copy, live, open_with};
use crate::ledger::NoProgress;
use crate::ledger::verify::{Verification, verify};
use crate::merkle::{KeyKind, Note, Signer};
use std::fs;
use std::path::PathBuf;

/// Bits between those that are flipped: each place of a byte has its turn.
const STEP_BITS: usize = 7;

fn witness(name: &str) -> Signer {
    Signer::new(&format!("witness.example/{name}"), &[9; 32]).unwrap()
}

fn witnessed() -> Signing {
    let witnesses = vec![witness("w").verifier_key(KeyKind::Cosigner)];
    Signing { witnessing: Witnessing { witnesses, quorum: 1 }, every: Duration::ZERO, ..Signing::default() }
}

/// A head of each of two tenants, cosigned, and set aside to be stamped; `true` if an authority stamped it.
async fn signed_folder(dir: &Path) -> bool {
    let ledger = open_with(dir, witnessed()).unwrap();
    live(&ledger, 20).await;
    let key = witness("w").verifier_key(KeyKind::Cosigner);
    let authority = authority(false);
    for tenant in [0, 1].map(TenantId) {
        ledger.signed_over(tenant, 20).unwrap();
        let head = ledger.ask_to_cosign(tenant).unwrap();
        let text = Note::parse(head.note.as_bytes()).unwrap().text;
        assert_eq!(ledger.add_cosignature(tenant, head.size, &key, witness("w").cosign(&text, 7)), Ok(true));
        for due in ledger.timestamps_due(tenant).unwrap() {
            let request = TimestampRequest::new(due.note.as_bytes(), [3; 8]).unwrap();
            if let Some(authority) = &authority {
                ledger.keep_timestamp(tenant, due.date, &answered(authority.path(), &request)).unwrap();
            }
        }
    }
    ledger.stop().await;
    authority.is_some()
}

fn look(dir: &Path) -> Verification {
    verify(dir, Some(&crate::ledger::MasterKeySource::DataFolder), false, &NoProgress)
}

/// The look at what is signed alone.
fn look_alone(dir: &Path, log_id: &[u8; 16]) -> Signed {
    let owner = |tenant, slug| Owner { tenant: TenantId(tenant), slug, log_keys: &[], events: 20 };
    look_at_signed(dir, Some(log_id), &[owner(0, "contoso"), owner(1, "fabrikam")], false)
}

fn stamped_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("timestamps/1")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_flipped_bit_of_anything_signed_is_named() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    let is_stamped = signed_folder(dir).await;
    let whole = look(dir);
    assert_eq!(whole.findings, []);
    // the last head, the cosigned one and the one set aside of each tenant
    assert_eq!((whole.cosignatures, whole.timestamps), (6, if is_stamped { 2 } else { 0 }));
    assert_eq!((whole.log.heads_contained, whole.log.heads_aside_contained), (2, 4));
    let log_id = whole.log.log_id.unwrap();
    let mut files: Vec<PathBuf> = [HEADS, COSIGNED]
        .iter()
        .map(|folder| dir.join(folder).join("1"))
        .chain([dir.join(COSIGNED).join(WITNESS_KEYS)])
        .collect();
    files.extend(stamped_files(dir));
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let is_response = file.extension().is_some_and(|kind| kind == "tsr");
        let mut unseen = 0;
        for bit in (0..bytes.len() * 8).step_by(STEP_BITS) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&file, &bad).unwrap();
            let name = file.display().to_string();
            let seen = look_alone(dir, &log_id);
            // what is no note at all is for the walk to name
            let is_note = is_response
                || Note::parse(&bad).is_ok_and(|note| note.text.parse::<crate::merkle::Checkpoint>().is_ok());
            let is_list = file.ends_with(WITNESS_KEYS);
            if (is_note || is_list) && !seen.findings.iter().any(|finding| finding.file == name) {
                unseen += 1;
                // parts of the answer that nobody signs, as other certificates
                assert!(is_response, "bit {bit} of {name}: {:?}", seen.findings);
                let read = check_kept(&bad, &fs::read(file.with_extension("checkpoint")).unwrap(), None).unwrap();
                let good = check_kept(&bytes, &fs::read(file.with_extension("checkpoint")).unwrap(), None).unwrap();
                assert_eq!(read, good, "bit {bit}");
            }
        }
        assert!(unseen * 2 * STEP_BITS < bytes.len() * 8, "{unseen} bits of {} are signed by nobody", file.display());
        // the walk names what is none
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        let found = look(dir);
        assert!(
            found.findings.iter().any(|finding| finding.file == file.display().to_string()),
            "{:?}",
            found.findings
        );
        fs::write(&file, &bytes).unwrap();
    }
    assert_eq!(look(dir).findings, []);
}

#[tokio::test]
async fn what_is_missing_is_named_where_the_rest_of_the_folder_tells_of_it_and_else_noted() {
    let place = tempfile::tempdir().unwrap();
    let is_stamped = signed_folder(&place.path().join("whole")).await;
    let without = |gone: &[&str]| {
        let dir = place.path().join("copy");
        copy(&place.path().join("whole"), &dir);
        for name in gone {
            let path = dir.join(name);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
        let found = look(&dir);
        fs::remove_dir_all(&dir).unwrap();
        found
    };
    let named = |gone: &[&str], place: &str, words: &str| {
        let found = without(gone);
        let finding =
            found.findings.iter().find(|finding| finding.file.ends_with(place) && finding.what.contains(words));
        assert!(finding.is_some(), "{gone:?}: {:?}", found.findings);
        finding.unwrap().clone()
    };
    let finding = named(&["heads/1"], "heads/1", "cosigned/1 tells of a head over 20 records");
    assert_eq!((finding.tenant, finding.position), (Some(1), Some(19)));
    named(&["heads"], "heads/0", "tells of a head");
    named(&["heads", "cosigned/0", "cosigned/1"], "heads/1", ".checkpoint tells of a head");
    named(&["cosigned"], "cosigned/keys", "it is missing");
    named(&["cosigned/keys"], "cosigned/keys", "it is missing");
    let noted = |gone: &[&str], words: &str| {
        let found = without(gone);
        assert_eq!(found.findings, [], "{gone:?}");
        assert!(found.notes.iter().any(|note| note.contains(words)), "{gone:?}: {:?}", found.notes);
    };
    noted(&["heads", "cosigned", "timestamps"], "no head of 2 of the tenants, the first of them contoso");
    noted(&["cosigned/1"], "no head of 1 of the tenants");
    noted(&["log.key"], "the signatures of 6 heads were not checked");
    if is_stamped {
        let day = stamped_files(&place.path().join("whole"));
        let name = |kind: &str| {
            let file = day.iter().find(|file| file.extension().is_some_and(|found| found == kind)).unwrap();
            format!("timestamps/1/{}", file.file_name().unwrap().to_string_lossy())
        };
        named(&[&name("checkpoint")], &name("checkpoint"), "the timestamp over it is there");
        noted(&[&name("tsr")], "1 heads in timestamps have no timestamp yet");
    }
}

#[tokio::test]
async fn a_head_in_the_place_of_another_and_a_signature_of_nobody_are_named() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    signed_folder(dir).await;
    let named = |file: &str, bytes: &[u8], words: &str| {
        let path = dir.join(file);
        let before = fs::read(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let found = look(dir);
        fs::write(&path, before).unwrap();
        let is_named =
            found.findings.iter().any(|finding| finding.file.ends_with(file) && finding.what.contains(words));
        assert!(is_named, "{file} {words}: {:?}", found.findings);
    };
    for folder in [HEADS, COSIGNED] {
        let others = fs::read(dir.join(folder).join("0")).unwrap();
        named(&format!("{folder}/1"), &others, "it is a head of seatledger.local/");
    }
    let mut note = Note::parse(&fs::read(dir.join("cosigned/1")).unwrap()).unwrap();
    let stranger = witness("stranger").cosign(&note.text, 7);
    note.signatures.push(stranger);
    named("cosigned/1", note.to_string().as_bytes(), "a signature of witness.example/stranger is of no key of");
    note.signatures.truncate(1);
    named("cosigned/1", note.to_string().as_bytes(), "no witness that was asked has signed it");
    let other = Signer::new(note.text.lines().next().unwrap(), &[4; 32]).unwrap();
    note.signatures = vec![other.sign(&note.text)];
    named("heads/1", note.to_string().as_bytes(), "its signature is not that of log.key");
    // a list that is damaged keeps the next start from making another one of it
    fs::write(dir.join("cosigned/keys"), "no key\n").unwrap();
    let refused = open_with(dir, witnessed()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("cosigned/keys is not the list of witnesses' keys"), "{refused}");
}

#[tokio::test]
async fn heads_of_a_key_that_was_changed_stay_good_and_are_that_keys_alone() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    signed_folder(dir).await;
    let old = fs::read(dir.join("cosigned/1")).unwrap();
    let ledger = open_with(dir, Signing { rotation: Some(Rotation::SignedByOld), ..witnessed() }).unwrap();
    live(&ledger, 3).await;
    let newest = ledger.signed_over(TenantId(1), 24).unwrap();
    ledger.stop().await;
    let found = look(dir);
    assert_eq!(found.findings, []);
    assert_eq!(found.cosignatures, 4, "the cosigned ones and those that were set aside are the old key's");
    // the new key may not sign for the old one's time
    let secret = LogKeySource::DataFolder.load(dir).unwrap();
    let mut note = Note::parse(&old).unwrap();
    let signer = Signer::new(note.text.lines().next().unwrap(), &secret).unwrap();
    note.signatures[0] = signer.sign(&note.text);
    fs::write(dir.join("cosigned/1"), note.to_string()).unwrap();
    let found = look(dir);
    assert!(
        found.findings.iter().any(|finding| finding.what.contains("the key up to position 20")),
        "{:?}",
        found.findings
    );
    fs::write(dir.join("cosigned/1"), old).unwrap();
    // and a key that the history does not name is named as that
    fs::write(dir.join(LOG_KEY_FILE), hex::encode([5; 32])).unwrap();
    let found = look(dir);
    let named = found
        .findings
        .iter()
        .any(|finding| finding.file.ends_with(LOG_KEY_FILE) && finding.what.contains("position 20"));
    assert!(named && newest.size == 24, "{:?}", found.findings);
}

#[tokio::test]
async fn a_timestamp_without_a_signature_that_can_be_checked_is_named_and_not_shown() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    signed_folder(dir).await;
    let Some(authority) = authority(false) else { return };
    let files = stamped_files(dir);
    let [note, response] = files.as_slice() else { panic!("{files:?}") };
    fs::write(response, dated_back(authority.path(), &fs::read(note).unwrap())).unwrap();
    let found = look(dir);
    let [finding] = found.findings.as_slice() else { panic!("{:?}", found.findings) };
    assert!(finding.file == response.display().to_string() && finding.what.contains("no certificate"), "{finding}");
    assert_eq!((finding.tenant, found.timestamps), (Some(1), 1), "the other tenant's is good");
    let ledger = open_with(dir, witnessed()).unwrap();
    assert!(ledger.timestamps(TenantId(0), None).unwrap()[0].response.is_some());
    let refused = ledger.timestamps(TenantId(1), None).unwrap_err();
    assert!(format!("{refused:?}").contains("no certificate came with it"), "{refused:?}");
    ledger.stop().await;
}

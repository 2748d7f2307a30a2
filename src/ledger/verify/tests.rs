//! Real folders, whole and spoiled: every kind of file is looked at, and nothing is changed by looking.

use super::*;
use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::facts::GrantCause;
use crate::domain::ids::{Holder, PoolId, UserId};
use crate::domain::time::Time;
use crate::ledger::tests::{lived_in, open};
use crate::ledger::{Clock, Ledger, LedgerOptions, NoProgress, Signing};
use crate::log::{Group, Log, LogOptions};
use crate::merkle::NOTE_BYTES_MAX;
use crate::vault::MASTER_KEY_FILE;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

fn look(dir: &Path) -> Verification {
    verify(dir, Some(&MasterKeySource::DataFolder), false, &NoProgress)
}

/// Every file below a folder with its content.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_folder_is_found_whole_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let told = lived_in(dir.path()).await;
    let before = contents(dir.path());
    let found = look(dir.path());
    assert_eq!(found.findings, []);
    let seen: Vec<_> = found.tenants.iter().map(|t| (t.slug.clone(), t.events - 1, t.digest)).collect();
    assert_eq!(seen, told);
    assert_eq!((found.receipts, found.snapshots), (33, 1));
    assert!(found.positions > 2 * told.iter().map(|(_, head, _)| head).sum::<u64>(), "an actor and a type an event");
    assert_eq!(found.keys, Some(KeyFileReport { subjects: 33, erased: 0, torn_bytes: 0, generation: 0 }));
    assert!(found.are_seals_opened && found.log.sled_frames_equal > 0);
    let without_key = verify(dir.path(), None, false, &NoProgress);
    assert_eq!((without_key.findings, without_key.are_seals_opened), (vec![], false));
    assert!(contents(dir.path()) == before, "looking changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_key_that_does_not_fit_is_no_damage_wherever_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let master = dir.path().join(MASTER_KEY_FILE);
    let text = |text: &str| MasterKeySource::Text(text.to_owned().into());
    let right = std::fs::read_to_string(&master).unwrap();
    let refused = |source: &MasterKeySource| check_keys(dir.path(), Some(source)).unwrap_err().to_string();
    assert!(refused(&text(&"11".repeat(32))).contains("the master key is not the one that"));
    assert!(refused(&text("")).contains("not 64 hexadecimal digits"));
    assert!(refused(&MasterKeySource::File(dir.path().join("nowhere"))).contains("nowhere failed"));
    for source in [text(&right), MasterKeySource::DataFolder, MasterKeySource::File(master.clone())] {
        check_keys(dir.path(), Some(&source)).unwrap();
    }
    check_keys(dir.path(), None).unwrap();
    for (wrong, why) in [("11".repeat(32), "not the one that"), (String::new(), "not 64 hexadecimal digits")] {
        std::fs::write(&master, wrong).unwrap();
        assert!(refused(&MasterKeySource::DataFolder).contains(why));
        // who verifies all the same is told of it
        let found = look(dir.path());
        assert_eq!(found.findings.len(), 1, "{:?}", found.findings);
        assert_eq!(found.findings[0].file, master.display().to_string());
        assert_eq!(found.keys, Some(KeyFileReport { subjects: 33, erased: 0, torn_bytes: 0, generation: 0 }));
    }
    std::fs::write(&master, &right).unwrap();
    // a file that can't be opened, as by another account
    for name in [KEYS_FILE, crate::ledger::evidence::LOG_KEY_FILE] {
        let path = dir.path().join(name);
        std::fs::rename(&path, path.with_extension("away")).unwrap();
        std::os::unix::fs::symlink(name, &path).unwrap();
        assert!(refused(&MasterKeySource::DataFolder).contains(name));
        std::fs::rename(path.with_extension("away"), &path).unwrap();
    }
    // what is damaged is for the verification to say
    std::fs::write(dir.path().join(KEYS_FILE), "no keys").unwrap();
    check_keys(dir.path(), Some(&text(&right))).unwrap();
    assert!(look(dir.path()).findings[0].to_string().contains("subject.keys is damaged"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_version_of_the_program_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    for run in std::fs::read_dir(dir.path().join("subjects")).unwrap().map(|found| found.unwrap().path()) {
        let mut bytes = std::fs::read(&run).unwrap();
        bytes[7] = b'5';
        let crc = crc32fast::hash(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_be_bytes());
        std::fs::write(run, bytes).unwrap();
    }
    let found = look(dir.path());
    assert_eq!(found.findings, []);
    assert!(
        found.notes.iter().any(|note| note.contains("subjects/") && note.contains("another version")),
        "{:?}",
        found.notes
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_any_kind_of_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let whole = contents(dir.path());
    let kinds = [
        "journal/",
        "sled/db",
        "anchor",
        "manifest-",
        "READY",
        "snapshots/",
        "archive/",
        "receipts/",
        "subjects/",
        KEYS_FILE,
    ];
    for kind in kinds {
        let path = whole.keys().find(|path| path.strip_prefix(dir.path()).unwrap().to_string_lossy().starts_with(kind));
        let path = path.unwrap_or_else(|| panic!("no file of the kind {kind}"));
        let bytes = &whole[path];
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        // sled keeps old pages that nobody reads again, so there every place is not used
        let places: Vec<usize> = if kind == "sled/db" { vec![] } else { (1..12).map(|n| used * n / 12).collect() };
        for at in places {
            let mut bad = bytes.clone();
            bad[at] ^= 8;
            std::fs::write(path, &bad).unwrap();
            let found = look(dir.path());
            assert!(!found.is_whole(), "{}, byte {at} of {used}: nobody noticed", path.display());
            assert!(found.findings[0].to_string().contains(kind.trim_end_matches('/')), "{}", found.findings[0]);
        }
        if kind == "sled/db" {
            std::fs::write(path, vec![7; bytes.len()]).unwrap();
            assert!(look(dir.path()).findings[0].to_string().contains("sled"));
        }
        std::fs::write(path, bytes).unwrap();
    }
    assert_eq!(look(dir.path()).findings, []);
}

/// A service on the folder that makes no checkpoint while it runs.
fn without_checkpoints(dir: &Path) -> Ledger {
    let log = LogOptions { disk_floor_bytes: 0, checkpoint_seconds: u32::MAX, ..LogOptions::new(dir) };
    let (master_key, clock) = (MasterKeySource::DataFolder, Clock::manual(Time(1_790_000_000_000_000)));
    Ledger::open(LedgerOptions { log, master_key, clock, signing: Signing::default() }, &NoProgress).unwrap()
}

/// Heads are signed every few seconds, and a checkpoint is made twice a minute.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_service_a_head_of_what_is_newer_than_the_last_checkpoint_is_no_finding() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let ledger = without_checkpoints(dir.path());
    // one tenant goes on, and another one comes
    for slug in ["acme", "later"] {
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, slug, "A new name").await.unwrap();
        ledger.signed_over(tenant, ledger.head(tenant).unwrap() + 1).unwrap();
    }
    assert!(dir.path().join("heads/2").exists());
    let found = verify(dir.path(), Some(&MasterKeySource::DataFolder), true, &NoProgress);
    assert_eq!(found.findings, []);
    let is_noted = |words: &str| found.notes.iter().any(|note| note.contains(words));
    assert!(is_noted("walked up to its last checkpoint"), "{:?}", found.notes);
    assert!(is_noted("tenants with signed heads that are ahead of what was walked: 1"), "{:?}", found.notes);
    // the signature is looked at all the same
    let head = dir.path().join("heads/2");
    let good = std::fs::read_to_string(&head).unwrap();
    std::fs::write(&head, good.replacen("/later\n", "/other\n", 1)).unwrap();
    let found = verify(dir.path(), Some(&MasterKeySource::DataFolder), true, &NoProgress);
    assert!(found.findings.iter().any(|finding| finding.file.ends_with("heads/2")), "{:?}", found.findings);
    std::fs::write(&head, good).unwrap();
    ledger.stop().await;
    drop(ledger);
    assert_eq!(look(dir.path()).findings, []);
    // a history without the tenant is the older one, once nobody goes on with it
    std::fs::rename(&head, head.with_file_name("7")).unwrap();
    let said = look(dir.path()).findings.iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("heads/7") && said.contains("knows no such tenant"), "{said}");
}

/// A folder of yesterday under a running service looks no different.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_service_a_kept_head_that_is_ahead_of_the_last_checkpoint_is_no_success() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let ledger = without_checkpoints(dir.path());
    let tenant = ledger.tenant("acme").unwrap();
    let covered = ledger.head(tenant).unwrap() + 1;
    let before = ledger.signed_over(tenant, covered).unwrap();
    ledger.create_tenant(Actor::Root, Door::Http, "acme", "A new name").await.unwrap();
    let newer = ledger.signed_over(tenant, covered + 1).unwrap();
    let against = |note: &str, is_beside_service| {
        let kept = [Kept::parse("kept", note.as_bytes()).unwrap()];
        let found =
            verify_against(&kept, dir.path(), Some(&MasterKeySource::DataFolder), is_beside_service, &NoProgress);
        let said: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
        (found.is_whole(), found.kept_contained, said.join("\n"))
    };
    assert_eq!(against(&before.note, true), (true, 1, String::new()));
    let (is_whole, contained, said) = against(&newer.note, true);
    assert_eq!((is_whole, contained), (false, 0), "{said}");
    for words in [
        "kept is damaged: ",
        "it could not be compared",
        &format!("covers {covered}"),
        "every 30 seconds",
        "stop the service",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let nobodys = newer.note.replace("/acme\n", "/nobody\n");
    assert!(!against(&nobodys, true).0, "a tenant that nobody knows yet");
    ledger.stop().await;
    drop(ledger);
    assert_eq!(against(&newer.note, false), (true, 1, String::new()));
    assert_eq!(against(&newer.note, true), (true, 1, String::new()), "the last checkpoint is the stop's");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let segment = contents(dir.path()).into_keys().find(|path| path.to_string_lossy().contains("journal/")).unwrap();
    for path in [dir.path().join(KEYS_FILE), dir.path().join("READY"), dir.path().join("anchor"), segment] {
        let aside = path.with_extension("away");
        std::fs::rename(&path, &aside).unwrap();
        let found = look(dir.path());
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(found.findings.iter().any(|finding| finding.to_string().contains(&*name)), "{:?}", found.findings);
        std::fs::rename(&aside, &path).unwrap();
    }
    // caches may be missing
    for folder in ["sled", "snapshots", "archive", "receipts", "subjects"] {
        std::fs::remove_dir_all(dir.path().join(folder)).unwrap();
    }
    assert_eq!(look(dir.path()).findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_hands_out_a_seat_that_is_not_there_is_named_by_its_position() {
    let dir = tempfile::tempdir().unwrap();
    let told = lived_in(dir.path()).await;
    let position = told[0].1 + 1;
    {
        let options = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir.path()) };
        let (mut log, _) = Log::open(options, &NoProgress).unwrap();
        let envelope = Envelope {
            recorded_at: Time(i64::MAX),
            occurred_at: None,
            actor: Actor::Root,
            door: Door::Http,
            command_id: None,
            content_hash: 0,
            reason: None,
        };
        // user25 was refused: the pool has 20 seats
        let holder = Holder::User(UserId(25));
        let event = Event::SeatGranted { pool: PoolId(0), holder, cause: GrantCause::Assignment, in_use: false };
        let (mut bytes, mut group) = (vec![], Group::new());
        record::encode(&envelope, &event, &mut bytes).unwrap();
        group.push(0, &bytes);
        log.append(&group).unwrap();
        log.close().unwrap();
    }
    let found = look(dir.path());
    let finding = &found.findings[0];
    assert_eq!((finding.tenant, finding.position), (Some(0), Some(position)), "{finding}");
    assert!(finding.to_string().contains("breaks a law") && finding.to_string().contains("acme"), "{finding}");
    assert_eq!(found.tenants[1].digest, told[1].2, "the other tenant is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_as_a_kill_leaves_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let ledger = open(dir.path());
    let copy = tempfile::tempdir().unwrap();
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "late", "Late").await.unwrap();
    let digest = ledger.digest(tenant).unwrap().1;
    for (path, bytes) in contents(dir.path()) {
        let to = copy.path().join(path.strip_prefix(dir.path()).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, bytes).unwrap();
    }
    ledger.stop().await;
    let found = look(copy.path());
    let others: Vec<_> = found.findings.iter().filter(|finding| !finding.file.contains("sled")).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(found.tenants[2].digest, digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_was_kept_elsewhere_is_in_the_log_or_named() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    let ledger = open(dir.path());
    let tenant = ledger.tenant("acme").unwrap();
    let size = ledger.head(tenant).unwrap() + 1;
    let note = ledger.signed_over(tenant, size).unwrap().note.clone();
    let root_at = |of: u64| BASE64_STANDARD.encode(ledger.consistency(tenant, of, None).unwrap().from_root);
    let heads_before = [1, 2, size / 2, size - 1].map(|of| (of, root_at(of)));
    ledger.stop().await;
    let against_all = |notes: &[&str]| {
        let kept: Vec<_> = notes.iter().map(|note| Kept::parse("kept", note.as_bytes()).unwrap()).collect();
        verify_against(&kept, dir.path(), Some(&MasterKeySource::DataFolder), false, &NoProgress)
    };
    let against = |note: &str| against_all(&[note]);
    let named = |note: String, words: &str, position: Option<u64>| {
        let found = against(&note);
        let [finding] = found.findings.as_slice() else { panic!("{:?}", found.findings) };
        assert!(finding.file == "kept" && finding.what.contains(words), "{finding}");
        assert_eq!((finding.position, found.kept_contained), (position, 0), "{finding}");
    };
    let found = against(&note);
    assert_eq!((found.findings, found.kept_contained), (vec![], 1));
    // many at once, in no order, one of them twice, one of other records
    let head = |of: u64, root: &str| {
        let mut lines: Vec<&str> = note.lines().collect();
        let of = of.to_string();
        (lines[1], lines[2]) = (&of, root);
        lines.join("\n") + "\n"
    };
    let mut notes: Vec<String> = heads_before.iter().rev().map(|(of, root)| head(*of, root)).collect();
    notes.push(note.clone());
    notes.push(notes[1].clone());
    notes.push(head(size / 2 + 1, &heads_before[2].1));
    let found = against_all(&notes.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((found.findings.len(), found.kept_contained), (1, 6), "{:?}", found.findings);
    assert_eq!(found.findings[0].position, Some(size / 2));
    // a head ahead of the log, as an older folder has it; one of other records; one of another log; of nobody
    named(note.replace(&format!("\n{size}\n"), &format!("\n{}\n", size + 7)), "its end is missing", Some(size));
    named(
        note.replace(&format!("\n{size}\n"), &format!("\n{}\n", size - 1)),
        "one of them was changed",
        Some(size - 2),
    );
    let origin = note.lines().next().unwrap().to_owned();
    let log_id = origin.rsplit('/').nth(1).unwrap().to_owned();
    named(note.replace(&log_id, &"0".repeat(32)), "it was kept of the log 0000", None);
    let found = against(&note.replace(&origin, &origin.replace("acme", "nobody")));
    assert!(found.findings.iter().any(|finding| finding.what.contains("the log has 0")), "{:?}", found.findings);
    for bad in [
        "",
        "x",
        &note.replace(&format!("\n{size}\n"), "\n\n"),
        &note.replace('\n', ""),
        &"a".repeat(NOTE_BYTES_MAX + 1),
    ] {
        assert!(Kept::parse("kept", bad.as_bytes()).is_err(), "{bad}");
    }
}

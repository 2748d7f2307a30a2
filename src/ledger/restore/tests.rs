//! Backups of real folders, stopped and running, there and back; and what is no backup.

use super::*;
use crate::domain::command::{Actor, Command, Door, Intake};
use crate::domain::event::Event;
use crate::domain::facts::Role;
use crate::domain::ids::{SubjectId, TenantId, TokenId, UserId};
use crate::domain::time::Time;
use crate::ledger::backup::{BackupError, backup_folder};
use crate::ledger::replay::{ReplayOptions, replay};
use crate::ledger::tests::{inventory, lived_in, open, submission, try_open, user};
use crate::ledger::{Ask, Ledger, NoProgress};
use crate::vault::{OpenSealError, Vault, rotate_master_key};
use std::sync::atomic::{AtomicUsize, Ordering};

fn backup(dir: &Path, master_key: Option<&Path>) -> Result<Vec<u8>, BackupError> {
    let mut bytes = vec![];
    backup_folder(dir, master_key, &mut bytes, &NoProgress).map(|_| bytes)
}

fn put_back(bytes: &[u8], dir: &Path) -> Result<Restored, RestoreError> {
    restore(&mut &bytes[..], bytes.len() as u64, dir, None, &NoProgress)
}

fn told(dir: &Path) -> Vec<(String, u64, [u8; 32])> {
    let replayed = replay(dir, &ReplayOptions::default(), &NoProgress).unwrap();
    replayed.into_iter().map(|r| (r.state.slug.clone(), r.state.next_position - 1, r.digest)).collect()
}

fn said(ledger: &Ledger) -> Vec<(String, u64, [u8; 32])> {
    let of = |(tenant, slug)| {
        let (position, digest) = ledger.digest(tenant).unwrap();
        (slug, position, digest)
    };
    ledger.tenants().into_iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_is_a_new_log_with_the_same_history() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = lived_in(dir.path()).await;
    let bytes = backup(dir.path(), None).unwrap();
    assert_eq!(backup(dir.path(), None).unwrap(), bytes, "the same folder gives the same backup");
    let to = parent.path().join("new");
    let restored = put_back(&bytes, &to).unwrap();
    assert_eq!(check(&mut &bytes[..], 0, &NoProgress).unwrap(), restored.about);
    assert_ne!(hex::encode(restored.log_id), restored.about.log_id);
    assert!(!restored.seen.are_seals_opened);
    assert_eq!(told(&to), expected);
    let mark = RestoredMark::read(&to).unwrap().unwrap();
    assert_eq!((mark.log_id, &hex::encode(mark.log_id_before)), (restored.log_id, &restored.about.log_id));
    assert_eq!(mark.heads, [(0, expected[0].1 + 1), (1, expected[1].1 + 1)].into());
    assert!(!to.join(MASTER_KEY_FILE).exists() && !to.join(RESTORING).exists());
    // with the master key, which is kept apart, the names are there again
    std::fs::copy(dir.path().join(MASTER_KEY_FILE), to.join(MASTER_KEY_FILE)).unwrap();
    let ledger = open(&to);
    for (tenant, (_, position, _)) in (0..).map(TenantId).zip(&expected) {
        let events = ledger.events(tenant, position + 1, 10).unwrap();
        let [first] = &events[..] else { panic!("the restore is the only news: {events:?}") };
        let (log_id_before, log_id) = (restored.about.log_id.clone(), hex::encode(restored.log_id));
        assert_eq!(first.event, Event::LogRestored { log_id_before, log_id });
    }
    let name = ledger.read(TenantId(0), |view| {
        let stored = view.state.names.user_profile(UserId(7)).unwrap();
        ledger.user_profile(&stored.personal).unwrap().user_name
    });
    assert_eq!(name.unwrap(), "user7");
    ledger.stop().await;
    // once
    let noted = told(&to);
    open(&to).stop().await;
    assert_eq!(told(&to), noted);
    assert_eq!(verify(&to, Some(&MasterKeySource::DataFolder), false, &NoProgress).findings, []);
    // also if the kill came before the file was removed
    mark.write(&to).unwrap();
    open(&to).stop().await;
    assert_eq!((told(&to), RestoredMark::read(&to).unwrap()), (noted, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_not_called_bad_for_a_key_that_does_not_fit() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lived_in(dir.path()).await;
    let to = parent.path().join("new");
    let put_back_with =
        |bytes: &[u8], key: &MasterKeySource| restore(&mut &bytes[..], bytes.len() as u64, &to, Some(key), &NoProgress);
    let bytes = backup(dir.path(), None).unwrap();
    let wrong = MasterKeySource::Text("11".repeat(32).into());
    assert!(matches!(put_back_with(&bytes, &wrong), Err(RestoreError::Key(VaultError::WrongMasterKey { .. }))));
    let nowhere = MasterKeySource::File(dir.path().join("nowhere"));
    assert!(matches!(put_back_with(&bytes, &nowhere), Err(RestoreError::Key(VaultError::Io { .. }))));
    assert!(!to.exists());
    put_back_with(&bytes, &MasterKeySource::File(dir.path().join(MASTER_KEY_FILE))).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_tells_which_tokens_open_what_it_restored() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    let now = ledger.clock().now();
    let asked = async |command| {
        ledger.submit(tenant, submission(None, Ask::Intake(Intake::Command(command)))).await.unwrap();
    };
    // the last one is as an import leaves them
    for (name, expires_at, hash) in
        [("old", None, 1), ("kept", None, 2), ("ended", Some(Time(now.0 + 1)), 3), ("lost", None, 4), ("no", None, 0)]
    {
        asked(Command::IssueToken { name: name.into(), role: Role::Admin, hash: [hash; 32], expires_at }).await;
    }
    asked(Command::RevokeToken { token: TokenId(0) }).await;
    let mut bytes = vec![];
    ledger.backup(&mut bytes, &NoProgress).unwrap();
    asked(Command::RevokeToken { token: TokenId(3) }).await;
    ledger.stop().await;
    let restored = put_back(&bytes, &parent.path().join("new")).unwrap();
    let told: Vec<&str> = restored.tokens_at(Time(now.0 + 1)).map(|(_, token)| token.name.as_str()).collect();
    assert_eq!(told, ["kept", "lost"]);
    assert!(restored.tokens_at(now).all(|(slug, token)| slug == "acme" && token.since == now));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_ledger_is_backed_up_while_it_goes_on() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lived_in(dir.path()).await;
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "busy", "Busy").await.unwrap();
    ledger.submit(tenant, submission(None, inventory(5))).await.unwrap();
    let working = tokio::spawn({
        let ledger = ledger.clone();
        async move {
            for n in 0.. {
                let name = format!("busy{n}");
                ledger.submit(tenant, submission(None, user(&ledger, tenant, &name))).await.unwrap();
            }
        }
    });
    for round in 0..5 {
        let before = said(&ledger);
        let mut bytes = vec![];
        let about = ledger.backup(&mut bytes, &NoProgress).unwrap();
        // what is durable is in a backup a moment before it is shown: the writer's next word is behind that moment
        ledger.tick().await;
        let after = said(&ledger);
        let to = parent.path().join(round.to_string());
        let restored = put_back(&bytes, &to).unwrap();
        assert_eq!(restored.about, about);
        for ((found, before), after) in told(&to).into_iter().zip(before).zip(after) {
            assert!(before.1 <= found.1 && found.1 <= after.1, "{found:?} is not between {before:?} and {after:?}");
        }
    }
    working.abort();
    let _aborted = working.await;
    // what it had asked last may still be with the writer
    ledger.tick().await;
    let end = said(&ledger);
    let mut bytes = vec![];
    ledger.backup(&mut bytes, &NoProgress).unwrap();
    ledger.stop().await;
    let to = parent.path().join("end");
    put_back(&bytes, &to).unwrap();
    assert_eq!(told(&to), end);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_master_key_is_in_a_backup_only_if_it_was_asked_for() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lived_in(dir.path()).await;
    let key = std::fs::read(dir.path().join(MASTER_KEY_FILE)).unwrap();
    let holds_key = |bytes: &[u8]| bytes.windows(key.len()).any(|part| part == key);
    assert!(!holds_key(&backup(dir.path(), None).unwrap()));
    let bytes = backup(dir.path(), Some(&dir.path().join(MASTER_KEY_FILE))).unwrap();
    assert!(holds_key(&bytes));
    let to = parent.path().join("new");
    assert!(put_back(&bytes, &to).unwrap().seen.are_seals_opened);
    assert_eq!(std::fs::read(to.join(MASTER_KEY_FILE)).unwrap(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_cut_off_or_changed_is_refused_and_leaves_nothing() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = lived_in(dir.path()).await;
    let bytes = backup(dir.path(), None).unwrap();
    let to = parent.path().join("new");
    let mut cuts: Vec<usize> = (0..40).map(|n| bytes.len() * n / 40).collect();
    cuts.extend((1..6).map(|blocks| bytes.len() - 512 * blocks - 700));
    for cut in cuts {
        let outcome = put_back(&bytes[..cut], &to);
        assert!(matches!(outcome, Err(RestoreError::Unusable(_))), "cut at {cut} of {}: {outcome:?}", bytes.len());
        assert!(!to.exists(), "cut at {cut}");
    }
    let mut harmless = 0;
    for n in 0..60 {
        let mut bad = bytes.clone();
        let at = bad.len() * n / 60 + 40;
        bad[at] ^= 1;
        match put_back(&bad, &to) {
            Err(_) => assert!(!to.exists(), "flip at {at}"),
            Ok(_) => {
                // between two files nothing counts
                assert_eq!(told(&to), expected, "flip at {at}");
                std::fs::remove_dir_all(&to).unwrap();
                harmless += 1;
            }
        }
    }
    assert!(harmless < 30, "{harmless}");
    std::fs::create_dir(&to).unwrap();
    assert!(put_back(b"no tar at all", &to).is_err());
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0, "a folder that was there stays, empty");
}

/// Counts the files in a folder that this process has open, whenever a file of a backup was read.
struct Open {
    below: PathBuf,
    files_read: AtomicUsize,
    most: AtomicUsize,
}

impl Progress for Open {
    fn step(&self, what: &str, _: u64, _: u64) {
        if what != "reading the backup" {
            return;
        }
        let entries = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
        let open = targets.filter(|target| target.starts_with(&self.below)).count();
        self.files_read.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(open, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_restored_is_not_kept_open() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lived_in(dir.path()).await;
    let bytes = backup(dir.path(), None).unwrap();
    let to = parent.path().canonicalize().unwrap().join("new");
    let (files_read, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let open = Open { below: to.join(RESTORING), files_read, most };
    restore(&mut &bytes[..], bytes.len() as u64, &to, None, &open).unwrap();
    // the anchor, its manifest, READY, a segment, the keys, and what tells of the backup
    assert!(open.files_read.into_inner() >= 6);
    assert_eq!(open.most.into_inner(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_something_in_it_is_left_alone() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lived_in(dir.path()).await;
    let bytes = backup(dir.path(), None).unwrap();
    std::fs::write(to.path().join("letter"), b"dear").unwrap();
    assert!(matches!(put_back(&bytes, to.path()), Err(RestoreError::NotEmpty { found, .. }) if found == "letter"));
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 1);
    std::fs::remove_file(to.path().join("letter")).unwrap();
    // what a cut restore left is no content
    std::fs::create_dir_all(to.path().join(RESTORING).join("journal")).unwrap();
    put_back(&bytes, to.path()).unwrap();
    assert!(matches!(put_back(&bytes, to.path()), Err(RestoreError::NotEmpty { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_between_its_renames_is_begun_again() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = lived_in(dir.path()).await;
    let bytes = backup(dir.path(), None).unwrap();
    put_back(&bytes, to.path()).unwrap();
    // as it was before the last rename
    let aside = to.path().join(RESTORING);
    std::fs::create_dir(&aside).unwrap();
    std::fs::rename(to.path().join("READY"), aside.join("READY")).unwrap();
    // nobody serves an empty ledger in its place, or makes keys in it
    let refused = try_open(to.path()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("did not end") && refused.contains("it left restoring"), "{refused}");
    assert!(!to.path().join(MASTER_KEY_FILE).exists() && !to.path().join("READY").exists());
    put_back(&bytes, to.path()).unwrap();
    assert!(!aside.exists());
    assert_eq!(told(to.path()), expected);
    // a key that somebody put beside it is not ours to take away
    std::fs::create_dir(&aside).unwrap();
    std::fs::rename(to.path().join("READY"), aside.join("READY")).unwrap();
    std::fs::write(to.path().join(MASTER_KEY_FILE), b"k").unwrap();
    let refused = put_back(&bytes, to.path());
    assert!(matches!(refused, Err(RestoreError::NotEmpty { found, .. }) if found == MASTER_KEY_FILE));
    assert!(to.path().join(MASTER_KEY_FILE).exists() && to.path().join("journal").exists());
}

/// Killed while it still reads the backup, it leaves nothing but its own folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_before_its_renames_is_no_empty_ledger() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = lived_in(dir.path()).await;
    let bytes = backup(dir.path(), None).unwrap();
    std::fs::create_dir_all(to.path().join(RESTORING).join("journal")).unwrap();
    let refused = try_open(to.path()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("did not end"), "{refused}");
    put_back(&bytes, to.path()).unwrap();
    assert_eq!(told(to.path()), expected);
    // without the folder it can't be told what is missing
    std::fs::remove_file(to.path().join("READY")).unwrap();
    let refused = try_open(to.path()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("it left restored.json"), "{refused}");
}

#[test]
fn an_archive_with_foreign_names_is_refused() {
    let to = tempfile::tempdir().unwrap();
    for name in ["../escaped", "/tmp/escaped", "journal/../../escaped", "sled/db", "root.token"] {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(3);
        header.set_cksum();
        let mut builder = tar::Builder::new(vec![]);
        builder.append(&header, &b"bad"[..]).unwrap();
        let outcome = put_back(&builder.into_inner().unwrap(), &to.path().join("new"));
        assert!(
            matches!(&outcome, Err(RestoreError::Unusable(what)) if what.contains("belong")),
            "{name}: {outcome:?}"
        );
    }
    let mut header = tar::Header::new_ustar();
    header.set_path("READY").unwrap();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_link_name("/etc/passwd").unwrap();
    header.set_size(0);
    header.set_cksum();
    let mut builder = tar::Builder::new(vec![]);
    builder.append(&header, io::empty()).unwrap();
    assert!(put_back(&builder.into_inner().unwrap(), &to.path().join("new")).is_err());
    assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 0);
}

/// Strikes the key of a subject, as an erasure does, and gives the folder another master key.
fn erase_and_rotate(dir: &Path, subject: usize) {
    let path = dir.join(KEYS_FILE);
    let mut keys = std::fs::read(&path).unwrap();
    let slot = &mut keys[128 + subject * 80..][..80];
    slot.fill(0);
    slot[0] = 2;
    let sum = crc32fast::hash(&slot[..76]).to_be_bytes();
    slot[76..].copy_from_slice(&sum);
    std::fs::write(&path, keys).unwrap();
    rotate_master_key(dir, &MasterKeySource::DataFolder, None).unwrap();
}

fn put_back_with_keys(
    bytes: &[u8],
    keys: &[u8],
    dir: &Path,
    master_key: Option<&Path>,
) -> Result<Restored, RestoreError> {
    let master_key = master_key.map(|path| MasterKeySource::File(path.to_owned()));
    let keys_from = KeysFrom { from: &mut &keys[..], bytes: keys.len() as u64 };
    restore_with(&mut &bytes[..], bytes.len() as u64, Some(keys_from), dir, master_key.as_ref(), &NoProgress)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_comes_back_with_the_keys_of_a_newer_one_and_without_who_was_erased() {
    let (dir, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let expected = lived_in(dir.path()).await;
    let master = dir.path().join(MASTER_KEY_FILE);
    let old_master = std::fs::read(&master).unwrap();
    let old = backup(dir.path(), Some(&master)).unwrap();
    let old_without = backup(dir.path(), None).unwrap();
    erase_and_rotate(dir.path(), 7);
    let ledger = open(dir.path());
    ledger.submit(TenantId(0), submission(None, user(&ledger, TenantId(0), "newcomer"))).await.unwrap();
    ledger.stop().await;
    let new = backup(dir.path(), None).unwrap();
    let new_with = backup(dir.path(), Some(&master)).unwrap();
    let to = parent.path().join("new");
    let source = MasterKeySource::File(master.clone());
    let alone = restore(&mut &old_without[..], old_without.len() as u64, &to, Some(&source), &NoProgress);
    assert!(matches!(alone, Err(RestoreError::Key(VaultError::WrongMasterKey { .. }))));
    for (old, new, named) in [(&old, &new, Some(&*master)), (&old_without, &new_with, None), (&old, &new_with, None)] {
        let restored = put_back_with_keys(old, new, &to, named).unwrap();
        assert!(restored.seen.are_seals_opened);
        assert_eq!(restored.seen.keys.map(|keys| (keys.erased, keys.generation)), Some((1, 1)));
        assert_eq!(restored.is_master_key_inside(), named.is_none());
        assert!(restored.keys_from.unwrap().last_group > restored.about.last_group);
        assert_eq!(told(&to), expected);
        let inside = std::fs::read(to.join(MASTER_KEY_FILE)).ok();
        assert_eq!(inside, named.is_none().then(|| std::fs::read(&master).unwrap()), "never the old one");
        assert_ne!(inside.as_ref(), Some(&old_master));
        std::fs::remove_dir_all(&to).unwrap();
    }
    put_back_with_keys(&old, &new_with, &to, None).unwrap();
    let (vault, _) = Vault::inspect(&to, &MasterKeySource::DataFolder).unwrap();
    for subject in [6, 7] {
        let opened = vault.open_seal(SubjectId(subject), &[0; 64]).unwrap_err();
        assert_eq!(opened == OpenSealError::Erased, subject == 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_not_fit_a_backup_restore_nothing() {
    let (dir, other, parent) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ledger = open(dir.path());
    ledger.create_tenant(Actor::Root, Door::Http, "early", "Early").await.unwrap();
    ledger.stop().await;
    let master = dir.path().join(MASTER_KEY_FILE);
    let early = backup(dir.path(), None).unwrap();
    lived_in(dir.path()).await;
    let old = backup(dir.path(), Some(&master)).unwrap();
    let old_master = parent.path().join("old.key");
    std::fs::copy(&master, &old_master).unwrap();
    lived_in(other.path()).await;
    let foreign = backup(other.path(), Some(&other.path().join(MASTER_KEY_FILE))).unwrap();
    let to = parent.path().join("new");
    let refused = |keys: &[u8], named: Option<&Path>| {
        let error = put_back_with_keys(&old, keys, &to, named).unwrap_err();
        assert!(!to.exists(), "{error}");
        error
    };
    let says = |error: RestoreError, words: &str| {
        assert!(matches!(&error, RestoreError::OthersKeys(what) if what.contains(words)), "{error}");
    };
    says(refused(&foreign, None), "does not open with its key");
    says(refused(&early, Some(&*master)), "is older");
    says(refused(b"no tar at all", Some(&*master)), "not usable");
    erase_and_rotate(dir.path(), 3);
    let new = backup(dir.path(), None).unwrap();
    says(refused(&new[..new.len() - 2000], Some(&*master)), "not usable");
    assert!(matches!(refused(&new, None), RestoreError::NoMasterKey));
    let wrong = other.path().join(MASTER_KEY_FILE);
    assert!(matches!(refused(&new, Some(&*wrong)), RestoreError::Key(VaultError::WrongMasterKey { .. })));
    let nowhere = dir.path().join("nowhere");
    assert!(matches!(refused(&new, Some(&*nowhere)), RestoreError::Key(VaultError::Io { .. })));
    // a log of another id and with fewer keys, as a restored backup's is
    let restored = parent.path().join("early");
    put_back(&early, &restored).unwrap();
    let fewer = backup(&restored, None).unwrap();
    std::fs::remove_dir_all(&restored).unwrap();
    says(refused(&fewer, Some(&*old_master)), "the history needs");
    put_back_with_keys(&old, &new, &to, Some(&*master)).unwrap();
}

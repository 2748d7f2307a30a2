//! The vault on real files: what comes back, what is refused, what a torn end costs.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn vault(dir: &Path) -> Vault {
    Vault::open(dir, &MasterKeySource::DataFolder).unwrap()
}

#[test]
fn a_seal_opens_after_a_restart_and_is_the_same_for_the_same_text() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, sealed) = {
        let vault = vault(dir.path());
        let (first, second) = (vault.create().unwrap(), vault.create().unwrap());
        vault.sync().unwrap();
        (first, second, vault.seal(first, b"ada@example.org"))
    };
    let vault = vault(dir.path());
    assert_eq!(vault.open_seal(first, &sealed).unwrap().as_slice(), b"ada@example.org");
    assert_eq!(vault.seal(first, b"ada@example.org"), sealed);
    assert_ne!(vault.seal(second, b"ada@example.org"), sealed);
    assert_eq!(vault.open_seal(second, &sealed).unwrap_err(), OpenSealError::Damaged);
}

#[test]
fn a_mask_is_one_command_s_and_comes_off_again() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (vault(dir.path()), vault(elsewhere.path()));
    let masked = here.masked(0, "a", 7);
    assert_eq!(here.masked(0, "a", masked), 7);
    let others = [7, here.masked(0, "b", 7), here.masked(1, "a", 7), here.masked(0, "a", 8), there.masked(0, "a", 7)];
    assert!(!others.contains(&masked), "{masked:x} {others:x?}");
    drop(here);
    assert_eq!(vault(dir.path()).masked(0, "a", 7), masked);
}

#[test]
fn keys_are_for_the_service_alone() {
    let dir = tempfile::tempdir().unwrap();
    vault(dir.path());
    for name in ["master.key", keys::FILE_NAME] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn many_who_make_a_key_file_at_once_go_on_with_one_key() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let source = MasterKeySource::File(dir.path().join("elsewhere.key"));
        let begin = std::sync::Barrier::new(8);
        let load = || {
            begin.wait();
            source.load(dir.path(), true).unwrap()
        };
        let keys: Vec<Secret> = std::thread::scope(|scope| {
            let loading: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            loading.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let stored = source.load(dir.path(), false).unwrap();
        assert!(keys.iter().all(|key| **key == *stored));
        // what a cut left beside it is no hindrance
        std::fs::remove_file(dir.path().join("elsewhere.key")).unwrap();
        std::fs::write(dir.path().join("elsewhere.key.new"), "half a key").unwrap();
        let again = source.load(dir.path(), true).unwrap();
        assert_eq!(*again, *source.load(dir.path(), false).unwrap());
        assert!(!dir.path().join("elsewhere.key.new").exists());
    }
}

#[test]
fn another_master_key_is_named_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    vault(dir.path());
    let before = std::fs::read(dir.path().join(keys::FILE_NAME)).unwrap();
    let wrong = MasterKeySource::Text(Zeroizing::new("11".repeat(32)));
    assert!(matches!(Vault::open(dir.path(), &wrong), Err(VaultError::WrongMasterKey { .. })));
    assert_eq!(std::fs::read(dir.path().join(keys::FILE_NAME)).unwrap(), before);
}

#[test]
fn torn_keys_that_no_event_used_go_and_any_other_bad_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    {
        let vault = vault(dir.path());
        for _ in 0..3 {
            vault.create().unwrap();
        }
        vault.sync().unwrap();
    }
    let path = dir.path().join(keys::FILE_NAME);
    let whole = std::fs::read(&path).unwrap();
    // a cut leaves an unsynced end short, or with holes in any place
    let hole = |at: usize| [&whole[..at], &[0; 80][..], &whole[at + 80..]].concat();
    for (torn, used) in [(whole[..whole.len() - 7].to_vec(), 2), (hole(208), 1), (hole(128), 0)] {
        std::fs::write(&path, &torn).unwrap();
        let error = vault(dir.path()).settle(used + 1, &[]).unwrap_err();
        assert!(error.to_string().contains("the history needs"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), torn, "what is damaged is left as it is");
        let vault = vault(dir.path());
        vault.settle(used, &[]).unwrap();
        assert_eq!(vault.create().unwrap(), SubjectId(used));
        vault.sync().unwrap();
        let report = Vault::verify(dir.path(), &MasterKeySource::DataFolder).unwrap();
        assert_eq!((report.subjects, report.torn_bytes), (used + 1, 0));
    }
    for (at, whole_keys) in
        [(0, 0), (20, 0), (60, 0), (106, 0), (120, 0), (128, 0), (140, 0), (180, 0), (205, 0), (210, 1)]
    {
        let mut bad = whole.clone();
        bad[at] ^= 4;
        std::fs::write(&path, &bad).unwrap();
        match Vault::verify(dir.path(), &MasterKeySource::DataFolder) {
            Ok(report) => assert!(at >= 128 && report.subjects == whole_keys && report.torn_bytes > 0, "byte {at}"),
            Err(error) => assert!(at < 128, "byte {at}: {error}"),
        }
    }
}

/// A vault of three, with what each was called.
fn of_three(dir: &Path) -> (Vault, [Vec<u8>; 3]) {
    let vault = vault(dir);
    let sealed = ["ada", "bob", "eve"].map(|name| {
        let subject = vault.create().unwrap();
        vault.seal(subject, name.as_bytes())
    });
    vault.sync().unwrap();
    (vault, sealed)
}

#[test]
fn an_erased_key_opens_nothing_any_more_and_the_others_do() {
    let dir = tempfile::tempdir().unwrap();
    let (vault, sealed) = of_three(dir.path());
    let path = dir.path().join(keys::FILE_NAME);
    let before = std::fs::read(&path).unwrap();
    assert_eq!(vault.erasures(), 0);
    vault.erase(&[SubjectId(1), SubjectId(1), SubjectId(77)]).unwrap();
    vault.erase(&[SubjectId(1)]).unwrap();
    assert_eq!(vault.erasures(), 1);
    drop(vault);
    let after = std::fs::read(&path).unwrap();
    assert_eq!((&after[..208], &after[288..]), (&before[..208], &before[288..]));
    assert!(!after.windows(24).any(|part| before[208..288].windows(24).any(|was| was == part && part != [0; 24])));
    let vault = self::vault(dir.path());
    vault.settle(3, &[]).unwrap();
    let opened = [0, 1, 2].map(|at| vault.open_seal(SubjectId(at as u64), &sealed[at]));
    assert_eq!(opened[1], Err(OpenSealError::Erased));
    assert!(opened[0].is_ok() && opened[2].is_ok() && vault.erasures() == 1);
    assert_eq!([0, 1, 2, 3].map(|at| vault.is_erased(SubjectId(at))), [false, true, false, false]);
    // its number is nobody else's
    assert_eq!(vault.create().unwrap(), SubjectId(3));
    vault.sync().unwrap();
    let report = Vault::verify(dir.path(), &MasterKeySource::DataFolder).unwrap();
    assert_eq!((report.subjects, report.erased, report.torn_bytes), (4, 1, 0));
}

#[test]
fn a_cut_in_an_erasure_leaves_a_key_that_the_next_start_makes_an_end_of() {
    let dir = tempfile::tempdir().unwrap();
    let (vault, sealed) = of_three(dir.path());
    let path = dir.path().join(keys::FILE_NAME);
    let before = std::fs::read(&path).unwrap();
    vault.erase(&[SubjectId(1)]).unwrap();
    drop(vault);
    let after = std::fs::read(&path).unwrap();
    // the status is durable before anything else is written; of the rest any part may be
    let mut cuts = vec![(before.clone(), true)];
    for at in [209, 220, 256, 284] {
        let first = [&before[..208], &[2], &after[209..at], &before[at..]].concat();
        let last = [&before[..208], &[2], &before[209..at], &after[at..]].concat();
        cuts.extend([(first, false), (last, false)]);
    }
    for (cut, is_before) in cuts {
        std::fs::write(&path, &cut).unwrap();
        let vault = self::vault(dir.path());
        assert_eq!(vault.open_seal(SubjectId(1), &sealed[1]).is_ok(), is_before);
        assert!(vault.open_seal(SubjectId(2), &sealed[2]).is_ok(), "the keys behind it are whole");
        let unsaid = vault.settle(3, &[]);
        assert_eq!(unsaid.is_ok(), is_before || cut == after, "{unsaid:?}");
        vault.settle(3, &[SubjectId(1)]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), after);
    }
}

#[test]
fn a_copy_of_the_durable_keys_is_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    // more than one part of it
    for _ in 0..2000 {
        vault.create().unwrap();
    }
    vault.sync().unwrap();
    vault.erase(&[SubjectId(0), SubjectId(999), SubjectId(1999)]).unwrap();
    vault.create().unwrap();
    let (mut keys, bytes) = vault.durable_keys();
    let mut copy = Vec::new();
    keys.read_to_end(&mut copy).unwrap();
    assert_eq!((copy.len() as u64, &copy), (bytes, &std::fs::read(dir.path().join(keys::FILE_NAME)).unwrap()));
}

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
fn keys_are_for_the_service_alone() {
    let dir = tempfile::tempdir().unwrap();
    vault(dir.path());
    for name in ["master.key", keys::FILE_NAME] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
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
fn a_torn_last_slot_is_dropped_and_a_flip_in_the_middle_is_named() {
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
    std::fs::write(&path, &whole[..whole.len() - 7]).unwrap();
    assert_eq!(vault(dir.path()).create().unwrap(), SubjectId(2));
    for at in [0, 20, 60, 106, 120, 128, 140, 180, 205] {
        let mut bad = whole.clone();
        bad[at] ^= 4;
        std::fs::write(&path, &bad).unwrap();
        assert!(Vault::verify(dir.path(), &MasterKeySource::DataFolder).is_err(), "byte {at}");
    }
}

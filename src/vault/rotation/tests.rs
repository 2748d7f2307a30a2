//! Another master key on real folders: what opens before and after, every state that a cut leaves, and what is refused.

use super::*;
use crate::domain::ids::SubjectId;
use crate::vault::{OpenSealError, Vault};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

type Files = BTreeMap<String, Vec<u8>>;
/// What a cut left, and what is there after an opening.
type Cut<'c> = (&'c [(&'c str, &'c [u8])], &'c Files);

const OWN: MasterKeySource = MasterKeySource::DataFolder;

fn files(dir: &Path) -> Files {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

fn put(dir: &Path, content: &[(&str, &[u8])]) {
    for name in files(dir).keys() {
        fs::remove_file(dir.join(name)).unwrap();
    }
    for (name, bytes) in content {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

/// Two people with a seal each; the third is erased.
fn lived_in(dir: &Path, source: &MasterKeySource) -> [Vec<u8>; 3] {
    let vault = Vault::open(dir, source).unwrap();
    let seals = ["ada", "bob", "eve"].map(|name| vault.seal(vault.create().unwrap(), name.as_bytes()));
    vault.sync().unwrap();
    drop(vault);
    let path = dir.join(FILE_NAME);
    let mut bytes = fs::read(&path).unwrap();
    bytes[128 + 160..].copy_from_slice(&struck());
    fs::write(path, bytes).unwrap();
    seals
}

fn struck() -> [u8; 80] {
    let mut slot = [0; 80];
    slot[0] = 2;
    let sum = crc32fast::hash(&slot[..76]).to_be_bytes();
    slot[76..].copy_from_slice(&sum);
    slot
}

fn assert_opens(vault: &Vault, seals: &[Vec<u8>; 3]) {
    for (subject, name) in [(0, "ada"), (1, "bob")] {
        let seal = &seals[usize::try_from(subject).unwrap()];
        assert_eq!(vault.open_seal(SubjectId(subject), seal).unwrap().as_slice(), name.as_bytes());
        assert_eq!(&vault.seal(SubjectId(subject), name.as_bytes()), seal);
    }
    assert_eq!(vault.open_seal(SubjectId(2), &seals[2]).unwrap_err(), OpenSealError::Erased);
}

fn open(dir: &Path) -> Result<Vault, VaultError> {
    Vault::open(dir, &OWN)
}

fn rotate(dir: &Path) -> Result<Rotated, RotationError> {
    rotate_master_key(dir, &OWN, None)
}

#[test]
fn another_master_key_opens_what_the_old_one_opened_and_the_old_one_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let seals = lived_in(dir.path(), &OWN);
    let blind = |vault: &Vault| vault.blind(0, crate::domain::personal::AliasKind::UserName, "ada");
    let (before, before_blind) = (files(dir.path()), blind(&open(dir.path()).unwrap()));
    let rotated = rotate(dir.path()).unwrap();
    assert_eq!((rotated.generation, rotated.subjects, rotated.erased), (1, 3, 1));
    assert_eq!(rotated.at, dir.path().canonicalize().unwrap().join("master.key"));
    let after = files(dir.path());
    assert_eq!(after.keys().collect::<Vec<_>>(), ["master.key", "subject.keys"]);
    for name in after.keys() {
        assert_ne!(before[name], after[name], "{name}");
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(after["subject.keys"].len(), before["subject.keys"].len());
    assert_eq!(after["subject.keys"][128 + 160..], struck());
    let vault = open(dir.path()).unwrap();
    assert_opens(&vault, &seals);
    assert_eq!(blind(&vault), before_blind, "the index key is the same one");
    assert_eq!(vault.create().unwrap(), SubjectId(3));
    vault.sync().unwrap();
    let (vault, report) = Vault::inspect(dir.path(), &OWN).unwrap();
    assert_opens(&vault, &seals);
    assert_eq!((report.subjects, report.erased, report.generation), (4, 1, 1));
    assert_eq!(Vault::inspect_wrapped(dir.path()).unwrap(), report);
    assert_eq!(rotate(dir.path()).unwrap().generation, 2);
    // the pair of before is one still, as a backup has it
    put(dir.path(), &[("subject.keys", &before["subject.keys"]), ("master.key", &after["master.key"])]);
    assert!(matches!(open(dir.path()), Err(VaultError::WrongMasterKey { .. })));
    put(dir.path(), &[("subject.keys", &before["subject.keys"]), ("master.key", &before["master.key"])]);
    assert_opens(&open(dir.path()).unwrap(), &seals);
}

#[test]
fn a_cut_leaves_the_old_pair_or_the_new_one_and_an_opening_makes_an_end_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let seals = lived_in(dir.path(), &OWN);
    let old = files(dir.path());
    rotate(dir.path()).unwrap();
    let new = files(dir.path());
    let (old_keys, old_master) = (&old["subject.keys"][..], &old["master.key"][..]);
    let (new_keys, new_master) = (&new["subject.keys"][..], &new["master.key"][..]);
    let (keys, master) = (("subject.keys", old_keys), ("master.key", old_master));
    let (keys_next, master_next) = (("subject.keys.next", new_keys), ("master.key.next", new_master));
    let cuts: &[Cut<'_>] = &[
        (&[keys, master], &old),
        (&[keys, master, ("subject.keys.next", b"")], &old),
        (&[keys, master, ("subject.keys.next", &new_keys[..150])], &old),
        (&[keys, master, keys_next], &old),
        (&[keys, master, keys_next, ("master.key.next", b"")], &old),
        (&[keys, master, keys_next, ("master.key.next", &new_master[..20])], &old),
        (&[keys, master, keys_next, master_next], &old),
        (&[("subject.keys", new_keys), master, master_next], &new),
        (&[("subject.keys", new_keys), ("master.key", new_master)], &new),
    ];
    for (step, (cut, expected)) in cuts.iter().enumerate() {
        put(dir.path(), cut);
        let before = files(dir.path());
        assert_opens(&Vault::inspect(dir.path(), &OWN).unwrap().0, &seals);
        Vault::check_master_key(dir.path(), &OWN).unwrap();
        assert_eq!(fs::read(master_key_file(dir.path())).unwrap(), expected["master.key"], "step {step}");
        assert_eq!(files(dir.path()), before, "looking changes nothing, step {step}");
        assert_opens(&open(dir.path()).unwrap(), &seals);
        assert_eq!(&files(dir.path()), *expected, "step {step}");
        // who changes the key again instead
        put(dir.path(), cut);
        rotate(dir.path()).unwrap();
        assert_opens(&open(dir.path()).unwrap(), &seals);
        assert_eq!(files(dir.path()).len(), 2, "step {step}");
    }
}

#[test]
fn keys_that_do_not_belong_together_stay_refused_and_nothing_is_changed() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    lived_in(dir.path(), &OWN);
    lived_in(elsewhere.path(), &OWN);
    let (old, foreign) = (files(dir.path()), files(elsewhere.path()));
    rotate(dir.path()).unwrap();
    let new = files(dir.path());
    let pairs: &[&[(&str, &[u8])]] = &[
        &[("subject.keys", &new["subject.keys"]), ("master.key", &old["master.key"])],
        &[("subject.keys", &old["subject.keys"]), ("master.key", &new["master.key"])],
        &[
            ("subject.keys", &new["subject.keys"]),
            ("master.key", &old["master.key"]),
            ("master.key.next", &foreign["master.key"]),
        ],
        &[
            ("subject.keys", &new["subject.keys"]),
            ("master.key", &foreign["master.key"]),
            ("subject.keys.next", &foreign["subject.keys"]),
            ("master.key.next", &foreign["master.key"]),
        ],
    ];
    for pair in pairs {
        put(dir.path(), pair);
        let before = files(dir.path());
        assert!(matches!(open(dir.path()), Err(VaultError::WrongMasterKey { .. })));
        assert!(matches!(Vault::inspect(dir.path(), &OWN), Err(VaultError::WrongMasterKey { .. })));
        assert!(matches!(rotate(dir.path()), Err(RotationError::Vault(VaultError::WrongMasterKey { .. }))));
        assert_eq!(files(dir.path()), before);
    }
}

/// Two folders whose master key is one file: the change of one was cut, and its next key is the only one that opens it.
#[test]
fn the_next_key_of_another_folder_is_left_where_it_is() {
    let (dir, other, place) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = place.path().join("key");
    let source = MasterKeySource::File(file.clone());
    let seals = [lived_in(dir.path(), &source), lived_in(other.path(), &source)];
    let old_master = fs::read(&file).unwrap();
    let old_keys = fs::read(dir.path().join(FILE_NAME)).unwrap();
    rotate_master_key(other.path(), &source, None).unwrap();
    fs::rename(&file, place.path().join("key.next")).unwrap();
    fs::write(&file, &old_master).unwrap();
    // what our own cut left is no reason to take the other's
    let abandoned =
        KeyFile::rewrapped(&dir.path().join(FILE_NAME), source.load(dir.path(), false).unwrap(), &draw().unwrap());
    for left in [None, Some(abandoned.unwrap().0)] {
        if let Some(left) = left {
            fs::write(dir.path().join("subject.keys.next"), left).unwrap();
        }
        assert_opens(&Vault::open(dir.path(), &source).unwrap(), &seals[0]);
        assert!(place.path().join("key.next").exists() && !dir.path().join("subject.keys.next").exists());
    }
    let refused = rotate_master_key(dir.path(), &source, None);
    assert!(matches!(refused, Err(RotationError::OthersNext { .. })));
    assert_eq!(files(dir.path()), [(FILE_NAME.to_owned(), old_keys)].into());
    assert_opens(&Vault::open(other.path(), &source).unwrap(), &seals[1]);
    assert_eq!(files(place.path()).keys().collect::<Vec<_>>(), ["key"]);
}

#[test]
fn a_key_that_is_in_no_file_needs_one_for_the_next() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = MasterKeySource::Text("11".repeat(32).into());
    let seals = lived_in(dir.path(), &source);
    let before = files(dir.path());
    let to = place.path().join("next");
    assert!(matches!(rotate_master_key(dir.path(), &source, None), Err(RotationError::NoPlace)));
    fs::write(&to, "a letter").unwrap();
    assert!(matches!(rotate_master_key(dir.path(), &source, Some(&to)), Err(RotationError::Taken { .. })));
    assert_eq!(fs::read(&to).unwrap(), b"a letter");
    fs::remove_file(&to).unwrap();
    let nowhere = place.path().join("no/folder");
    assert!(matches!(rotate_master_key(dir.path(), &source, Some(&nowhere)), Err(RotationError::Unwritten { .. })));
    assert_eq!(files(dir.path()), before);
    assert_eq!(rotate_master_key(dir.path(), &source, Some(&to)).unwrap().at, to);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(Vault::open(dir.path(), &source), Err(VaultError::WrongMasterKey { .. })));
    let new = MasterKeySource::Text(fs::read_to_string(&to).unwrap().into());
    assert_opens(&Vault::open(dir.path(), &new).unwrap(), &seals);
    let two = rotate_master_key(dir.path(), &MasterKeySource::File(to.clone()), Some(&place.path().join("other")));
    assert!(matches!(two, Err(RotationError::TwoPlaces { .. })));
    // cut before the change: the old key is in force, and the file that was named keeps a key of no use
    put(dir.path(), &[(FILE_NAME, &before[FILE_NAME]), ("subject.keys.next", &before[FILE_NAME])]);
    assert_opens(&Vault::open(dir.path(), &source).unwrap(), &seals);
    assert_eq!(files(dir.path()), before);
}

#[test]
fn a_link_to_the_master_key_stays_one() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, link) = (place.path().join("key"), dir.path().join("master.key"));
    let seals = lived_in(dir.path(), &MasterKeySource::File(file.clone()));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let old = fs::read(&file).unwrap();
    rotate(dir.path()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::read(&file).unwrap(), old, "the old one is gone from where it was");
    assert_eq!(files(place.path()).len(), 1);
    assert_opens(&open(dir.path()).unwrap(), &seals);
}

#[test]
fn a_key_file_that_is_damaged_or_torn_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path(), &OWN);
    let whole = files(dir.path());
    let spoiled = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut keys = whole["subject.keys"].clone();
        change(&mut keys);
        put(dir.path(), &[("subject.keys", &keys), ("master.key", &whole["master.key"])]);
        let before = files(dir.path());
        let refused = rotate(dir.path()).unwrap_err();
        assert_eq!(files(dir.path()), before, "{refused}");
        refused
    };
    // a key that is whole by its sum and was wrapped by another master key
    let damaged = spoiled(&|keys| {
        keys[130 + 40] ^= 1;
        let sum = crc32fast::hash(&keys[128..128 + 76]).to_be_bytes();
        keys[128 + 76..128 + 80].copy_from_slice(&sum);
    });
    assert!(damaged.to_string().contains("the key of subject 0 does not open"), "{damaged}");
    assert!(matches!(spoiled(&|keys| keys[60] ^= 1), RotationError::Vault(VaultError::Damaged { .. })));
    // rot in the middle can't be told from an end that a cut tore
    assert!(matches!(spoiled(&|keys| keys[128 + 80] ^= 1), RotationError::Torn { bytes: 160, .. }));
    // an erasure that was cut
    assert!(matches!(spoiled(&|keys| keys[128] = 2), RotationError::Torn { .. }));
    assert!(matches!(spoiled(&|keys| keys.extend([0; 7])), RotationError::Torn { bytes: 7, .. }));
}

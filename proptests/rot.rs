//! Rotten bits in every kind of file of a data folder, as an operator meets them: `verify` names the place, or nothing that
//! counts was hit and the service opens with the same records and the same state.

use crate::crowd::{Crowd, Town};
use crate::harness::{Options, Said, Service, Tenant, call_of, is_budget_full, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// People enough for a full tile.
const TOWN: Town = Town { people: 300, devices: 5, pools: 2, seats: 4 };
/// How the path of each kind of file begins, below the data folder.
const KINDS: &[&str] = &[
    "journal",
    "anchor",
    "manifest",
    "snapshots",
    "archive",
    "sled",
    "subject.keys",
    "receipts",
    "subjects",
    "READY",
    "master",
    "heads",
    "log.key",
];

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// Each file of a kind that has something in it, with where that ends: a prepared file ends with zeros.
fn used(data: &Path, kind: &str) -> Vec<(PathBuf, usize)> {
    let is_of_kind =
        |path: &PathBuf| path.strip_prefix(data).is_ok_and(|below| below.to_string_lossy().starts_with(kind));
    let files = files_below(data).into_iter().filter(is_of_kind);
    files
        .filter_map(|path| {
            let last = fs::read(&path).expect("a file").iter().rposition(|byte| *byte != 0)?;
            Some((path, last + 1))
        })
        .collect()
}

fn flip(file: &Path, at: usize, bit: u8) {
    let mut bytes = fs::read(file).expect("a file");
    bytes[at] ^= 1 << bit;
    fs::write(file, bytes).expect("written back");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for file in files_below(from) {
        let copied = to.join(file.strip_prefix(from).expect("below it"));
        fs::create_dir_all(copied.parent().expect("a folder")).expect("a folder");
        fs::copy(&file, copied).expect("copied");
    }
}

fn everything(t: &Tenant) -> (Vec<Value>, Value, Vec<Value>) {
    (t.list("/events"), t.get("/digest").ok(), t.list("/pools"))
}

#[test]
fn a_rotten_bit_is_named_or_was_of_no_account() {
    let flips = if is_budget_full() { 100 } else { 8 };
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let environment = vec![
        ("SEATLEDGER_CHECKPOINT_SECONDS", "1".to_owned()),
        ("SEATLEDGER_SEGMENT_BYTES", "16384".to_owned()),
        ("SEATLEDGER_LOG", "warn".to_owned()),
    ];
    let mut service = Service::start_with(Options { environment, ..Options::default() });
    let t = service.tenant();
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    for n in 0..200 {
        let command = crowd.act();
        let said = Said::of(&call_of(&t, &command).send()).expect("judged");
        crowd.heard(&command, &said);
        if n % 60 == 59 {
            // a start makes checkpoints, and so more files of each kind
            service.stop();
            service.start_again();
        }
    }
    let before = everything(&t);
    service.stop();
    let data = service.data();
    let kept = tempfile::tempdir().expect("a folder for the copy");
    copy(&data, kept.path());
    let (is_whole, words) = verify(&data);
    assert!(is_whole, "{words}");
    for kind in KINDS {
        let files = used(&data, kind);
        assert!(!files.is_empty(), "there is a file of each kind: {kind}");
        let mut named = 0;
        for _ in 0..flips {
            let (file, end) = &files[random.random_range(0..files.len())];
            let (at, bit) = (random.random_range(0..*end), random.random_range(0..8));
            let place = format!("bit {bit} of byte {at} of {}", file.display());
            flip(file, at, bit);
            let (is_whole, words) = verify(&data);
            assert!(!words.contains("panicked"), "{place}: {words}");
            if is_whole {
                service.start_again();
                assert_eq!(everything(&t), before, "{place} was of no account");
                service.kill();
                fs::remove_dir_all(&data).expect("removed");
                copy(kept.path(), &data);
            } else {
                let mut findings =
                    words.lines().filter(|line| line.starts_with("first: ") || line.starts_with("then: "));
                // a key that is not the folder's says nothing of the rest
                let is_key = *kind == "master" && words.contains("not verified: the master key");
                assert!(is_key || findings.any(|finding| finding.contains(kind)), "{place} is named: {words}");
                named += 1;
                flip(file, at, bit);
            }
        }
        eprintln!("{kind}: {named} of {flips} named");
    }
}

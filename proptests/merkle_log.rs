//! The log as a stranger meets it, through the real service: heads, tiles and proofs are checked offline, by our own
//! checks and by those of others; through kills and starts the tree stays one; and what is put back in its place that is
//! older, or rotten, is healed or named.

use crate::crowd::{Crowd, Town};
use crate::harness::{Client, Options, ROOT_TOKEN, Said, Service, Tenant, call_of, refused_to_serve, verify};
use crate::strangers::{accepts_consistency, accepts_inclusion, accepts_note, head_of, openssl_accepts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seatledger::merkle::{
    Checkpoint, Hash, Peaks, ProofFile, TileAddress, VerifierKey, check_consistency, entries_in_bundle, leaf,
    tile_hashes,
};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// More than two full tiles.
const TOWN: Town = Town { people: 600, devices: 5, pools: 2, seats: 4 };

/// A head that was taken away, as it was.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) note: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

pub(crate) fn service() -> Service {
    let environment = vec![
        ("SEATLEDGER_SIGN_SECONDS", "1".to_owned()),
        ("SEATLEDGER_CHECKPOINT_SECONDS", "1".to_owned()),
        ("SEATLEDGER_LOG_NAME", "ledger.example/seats".to_owned()),
    ];
    Service::start_with(Options { environment, ..Options::default() })
}

pub(crate) fn key(t: &Client) -> VerifierKey {
    let answer = t.get("/log/key");
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.header("seatledger-position").is_some(), "{}", answer.text);
    answer.text.trim_end().parse().expect("a verifier key")
}

/// A head that covers the newest event, found good by everybody.
pub(crate) fn head(t: &Tenant) -> Head {
    let answer = t.get(&format!("/log/checkpoint?at_least={}", t.head()));
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{}", answer.text);
    let key = key(t);
    let (checkpoint, _) = Checkpoint::open(answer.text.as_bytes(), &key).expect("a checkpoint");
    assert!(accepts_note(&key.to_string(), answer.text.as_bytes()), "{}", answer.text);
    let head = Head { note: answer.text, size: checkpoint.size, root: checkpoint.root };
    assert_eq!(head_of(head.note.as_bytes()), (key.name().to_owned(), head.size, head.root));
    assert!(head.size > t.head(), "it covers the newest event");
    head
}

fn tile(t: &Client, address: &TileAddress) -> Vec<u8> {
    let answer = t.get(&format!("/log/{address}"));
    assert_eq!(answer.status, 200, "{address}: {}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
    assert_eq!(answer.header("cache-control"), Some("private, max-age=31536000, immutable"));
    answer.bytes
}

/// The tiles of a level in a tree of this size, each with its width.
fn tiles(size: u64, level: u32) -> impl Iterator<Item = (u64, u16)> {
    let hashes = size >> (8 * level);
    (0..hashes.div_ceil(256)).map(move |index| (index, u16::try_from((hashes - index * 256).min(256)).expect("small")))
}

/// Reads every record and every tile, as a stranger who trusts nothing but the head, and answers the records.
fn read_all(t: &Tenant, head: &Head) -> Vec<Vec<u8>> {
    let (mut records, mut peaks) = (vec![], Peaks::default());
    for (index, width) in tiles(head.size, 0) {
        let bundle = tile(t, &TileAddress::entries(index, width));
        let hashes = tile_hashes(&tile(t, &TileAddress::hashes(0, index, width)), width).expect("a tile");
        for (record, hash) in entries_in_bundle(&bundle, width).expect("a bundle").into_iter().zip(hashes) {
            assert_eq!(leaf(record), hash, "record {}", records.len());
            peaks.push(record);
            records.push(record.to_vec());
        }
    }
    assert_eq!((peaks.leaves(), peaks.root()), (head.size, head.root));
    for (index, width) in tiles(head.size, 1) {
        let hashes = tile_hashes(&tile(t, &TileAddress::hashes(1, index, width)), width).expect("a tile");
        for (below, hash) in (index * 256..).zip(hashes) {
            let mut peaks = Peaks::default();
            records[usize::try_from(below * 256).expect("small")..][..256].iter().for_each(|record| peaks.push(record));
            assert_eq!(peaks.root(), hash, "tile 0/{below}");
        }
    }
    records
}

fn proof(t: &Tenant, position: u64) -> String {
    let answer = t.get(&format!("/log/proofs/{position}"));
    assert_eq!(answer.status, 200, "{position}: {}", answer.text);
    answer.text
}

/// Checks a proof with nothing but the file and the key.
fn check_proof(text: &str, key: &VerifierKey, position: u64, record: &[u8]) {
    let file = ProofFile::parse(text.as_bytes()).expect("a proof");
    let (proven, checkpoint) = file.check(key).expect("a good proof");
    assert_eq!((proven, file.index), (record, position));
    let (_, size, root) = head_of(file.checkpoint.as_bytes());
    assert!(accepts_inclusion(record, position, size, &file.path, &root), "{position} of {size}");
    assert_eq!((size, root), (checkpoint.size, checkpoint.root));
}

/// Checks that the later head goes on from the earlier one.
fn check_grown(t: &Tenant, old: &Head, new: &Head) {
    let body = t.get(&format!("/log/consistency?from={}&to={}", old.size, new.size)).ok();
    let decoded = |text: &serde_json::Value| -> Hash {
        STANDARD.decode(text.as_str().expect("a text")).expect("base64").try_into().expect("32 bytes")
    };
    let path: Vec<Hash> = body["hashes"].as_array().expect("hashes").iter().map(decoded).collect();
    assert_eq!((decoded(&body["from_root"]), decoded(&body["to_root"])), (old.root, new.root), "the kept heads");
    check_consistency(old.size, new.size, &path, &old.root, &new.root).expect("it goes on");
    if old.size < new.size {
        assert!(accepts_consistency((old.size, old.root), (new.size, new.root), &path), "{} {}", old.size, new.size);
    }
}

pub(crate) fn act(t: &Tenant, crowd: &mut Crowd, times: u32) {
    for _ in 0..times {
        let command = crowd.act();
        let said = Said::of(&call_of(t, &command).send()).expect("judged");
        crowd.heard(&command, &said);
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Grows the tree until a tile on the second level is full, the lowest that is kept in a file: so many apps that everybody of a group gets.
fn fill_a_kept_tile(t: &Tenant) {
    let apps = (1 << 16) / (TOWN.people / 2);
    let items: Vec<Value> = (0..apps).map(|n| json!({"sku": format!("more-{n}"), "owned": TOWN.people})).collect();
    t.inventory(false, &items).ok();
    let of_half = |n: u32| json!({"type": "assign", "pool": format!("declared:more-{n}"), "target": {"group": "half"}, "intent": "required"});
    let results = t.post("/commands", (0..apps).map(of_half).collect()).ok();
    assert!(results["results"].as_array().expect("results").iter().all(|one| one["status"] == "done"), "{results}");
}

/// Our other reader, which knows the documents alone.
fn python_accepts(t: &Tenant) {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, ROOT_TOKEN).expect("written");
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/reader/seatledger_log.py")).arg("check");
    python.arg(t.url("/log")).arg("--token-file").arg(token);
    match python.output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => eprintln!("there is no python3 here: {error}"),
    }
}

#[test]
fn a_stranger_checks_a_life_offline_and_through_kills_it_stays_one_history() {
    let mut service = service();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut heads = vec![head(&t)];
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    let key = key(&t);
    assert!(key.name().starts_with("ledger.example/seats/") && key.name().ends_with(&format!("/{}", t.name)));
    for round in 0..4 {
        act(&t, &mut crowd, 40);
        heads.push(head(&t));
        // a tile begins before a start and is full behind it
        match round {
            0 => service.kill(),
            1 => service.stop(),
            2 => service.kill(),
            _ => continue,
        }
        service.start_again();
        act(&t, &mut crowd, 40);
        heads.push(head(&t));
    }
    let last = heads.last().expect("a head").clone();
    let records = read_all(&t, &last);
    assert!(records.len() > 600, "more than two tiles");
    for (position, record) in (0..).zip(&records).step_by(7) {
        check_proof(&proof(&t, position), &key, position, record);
    }
    for pair in heads.windows(2) {
        check_grown(&t, &pair[0], &pair[1]);
        check_grown(&t, &pair[0], &last);
    }
    if let Some(is_accepted) = openssl_accepts(&key.to_string(), &last.note) {
        assert!(is_accepted, "{}", last.note);
    }
    python_accepts(&t);
    // an auditor reads all of it, a stranger nothing
    let auditor = t.as_role("auditor");
    assert_eq!(auditor.get("/log/proofs/3").status, 200);
    assert_eq!(auditor.get("/log/tile/0/000.p/5").bytes.len(), 160);
    t.without_token().get("/log/checkpoint").problem("unauthorized");
    service.tenant().as_role("auditor").asking(&t).get("/log/checkpoint").problem("unauthorized");
}

#[test]
fn tiles_that_rot_are_healed_and_every_proof_stays_good() {
    let mut service = service();
    let t = service.tenant();
    TOWN.build(&t);
    fill_a_kept_tile(&t);
    let (key, before) = (key(&t), head(&t));
    let records = read_all(&t, &before);
    service.stop();
    let full = files_below(&service.data().join("tiles"));
    let kept: Vec<Vec<u8>> = full.iter().map(|file| fs::read(file).expect("a tile")).collect();
    assert_eq!(full.len(), 1, "{full:?}");
    for spoil in [0, 1, 2, 3_u8] {
        for file in &full {
            let mut bytes = fs::read(file).expect("a tile");
            match spoil {
                0 => bytes[3_000] ^= 16,
                1 => bytes.truncate(8_000),
                _ => bytes.fill(0),
            }
            fs::write(file, bytes).expect("written");
        }
        if spoil == 3 {
            fs::remove_dir_all(service.data().join("tiles")).expect("removed");
        }
        let (is_whole, words) = verify(&service.data());
        // what is cut off, empty or gone is what a power cut leaves of a file that nobody synced
        assert!(if spoil == 0 { !is_whole && words.contains("/tiles/") } else { is_whole }, "{words}");
        service.start_again();
        let now = head(&t);
        check_grown(&t, &before, &now);
        assert_eq!(read_all(&t, &now)[..records.len()], records);
        for position in [0, 255, 256, 511, 65_535, 65_536, before.size - 1] {
            let at = usize::try_from(position).expect("small");
            check_proof(&proof(&t, position), &key, position, &records[at]);
        }
        service.stop();
        for (file, kept) in full.iter().zip(&kept) {
            assert_eq!(fs::read(file).expect("a tile"), *kept, "{}", file.display());
        }
    }
    assert!(service.log().contains("tiles are damaged"), "it is said: {}", service.log());
}

#[test]
fn an_older_folder_under_a_newer_head_is_not_served() {
    let mut service = service();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let town = Town { people: 20, ..TOWN };
    town.build(&t);
    let mut crowd = Crowd::new(town, "asker".to_owned(), seed);
    head(&t);
    service.stop();
    let place = tempfile::tempdir().expect("a folder");
    let older = place.path().join("older");
    copy(&service.data(), &older);
    service.start_again();
    act(&t, &mut crowd, 30);
    let newest = head(&t);
    service.kill();
    fs::remove_dir_all(older.join("heads")).expect("removed");
    copy(&service.data().join("heads"), &older.join("heads"));
    let said = refused_to_serve(&older);
    let (is_whole, words) = verify(&older);
    assert!(!is_whole && words.contains("heads/0") && words.contains("its end is missing"), "{words}");
    for word in [&format!("{} records", newest.size), &hex::encode(newest.root), "heads/0", "seatledger restore"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // the folder that the head is of goes on
    service.start_again();
    check_grown(&t, &newest, &head(&t));
}

#[test]
fn what_can_not_be_asked_of_the_log_is_named() {
    let t = Tenant::shared();
    let size = t.head() + 1;
    for path in [
        "0/1",
        "00/000",
        "64/000",
        "0/x000/001",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/x",
        "0/001/",
        "entries/1",
        "data/000",
    ] {
        t.get(&format!("/log/tile/{path}")).problem("unreadable-request");
    }
    for path in
        ["0/000", "0/001.p/1", "1/000.p/1", "63/000.p/1", "7/x999/999", "entries/000", "0/x999/x999/x999/x999/x999/999"]
    {
        t.get(&format!("/log/tile/{path}")).problem("tile-not-found");
    }
    t.get("/log/proofs/100000").problem("position-not-reached");
    t.get(&format!("/log/proofs/{}", u64::MAX)).problem("position-not-reached");
    t.get("/log/proofs/-1").problem("unreadable-request");
    t.get("/log/proofs/18446744073709551616").problem("unreadable-request");
    t.get("/log/consistency").problem("invalid-query");
    t.get("/log/consistency?from=x").problem("invalid-query");
    t.get("/log/consistency?from=2&to=1").problem("meaningless-request");
    t.get("/log/consistency?from=1&to=100000").problem("position-not-reached");
    t.get("/log/consistency?from=100000").problem("position-not-reached");
    assert_eq!(t.get(&format!("/log/consistency?from=0&to={size}")).ok()["hashes"], serde_json::json!([]));
    assert_eq!(t.get("/log/consistency?from=0&to=0").status, 200);
    t.get("/log").problem("not-found");
}

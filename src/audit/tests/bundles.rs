//! Evidence bundles of random histories: good ones, every byte of one flipped, and forged ones whose sums were made anew.

use super::life::{World, life};
use crate::audit::bundle::{BUNDLE_EVENTS_MAX, BundleError, GatherError, VerifiedBundle, gather, verify};
use crate::domain::event_type::EventType;
use crate::domain::ids::{PoolId, UserId};
use crate::ledger::EventQuery;
use crate::ledger::evidence::{ProofFile, VerifierKey};
use crate::merkle::{Checkpoint, KeyKind, Signer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::Read as _;

fn key(world: &World) -> VerifierKey {
    world.ledger.verifier_key(world.tenant).unwrap()
}

fn bundle(world: &World, query: EventQuery) -> Vec<u8> {
    let mut out = Vec::new();
    let gathered = gather(&world.ledger, world.tenant, query).unwrap();
    gathered.write(&world.ledger, &mut out).unwrap();
    out
}

/// A few events of several kinds, people among them.
fn small(world: &World) -> Vec<u8> {
    let types =
        vec![EventType::UserAdded, EventType::SeatGranted, EventType::CommandRefused, EventType::CapacityChanged];
    let all = world.ledger.events(world.tenant, 0, usize::MAX).unwrap();
    let chosen = all.iter().filter(|recorded| types.contains(&recorded.event.event_type()));
    let last = chosen.take(7).last().unwrap().position;
    bundle(world, EventQuery { types, to: Some(last + 1), ..EventQuery::default() })
}

fn check(bytes: &[u8], keys: &[VerifierKey]) -> Result<VerifiedBundle, BundleError> {
    verify(&mut &*bytes, keys, &|_, _| {})
}

type Files = Vec<(String, Vec<u8>)>;

fn unpacked(bytes: &[u8]) -> Files {
    let mut archive = tar::Archive::new(bytes);
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let (name, mut bytes) = (entry.path().unwrap().to_string_lossy().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    files.collect()
}

/// The same files in a tar, with their sums made anew.
fn packed(files: &Files) -> Vec<u8> {
    let sums: String = files
        .iter()
        .filter(|(name, _)| name != "SHA256SUMS")
        .map(|(name, bytes)| format!("{}  {name}\n", hex::encode(Sha256::digest(bytes))))
        .collect();
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let bytes = if name == "SHA256SUMS" { sums.as_bytes() } else { bytes.as_slice() };
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        builder.append(&header, bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn at(files: &Files, name: &str) -> usize {
    files.iter().position(|(found, _)| found.starts_with(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_holds_the_events_that_are_asked_for_and_proves_each() {
    let world = life(900, 300).await;
    let head = world.ledger.head(world.tenant).unwrap();
    let all = world.ledger.events(world.tenant, 0, usize::MAX).unwrap();
    let queries = [
        EventQuery { to: Some(60), ..EventQuery::default() },
        EventQuery { from: 40, to: Some(90), pool: Some(PoolId(0)), ..EventQuery::default() },
        EventQuery { user: Some(UserId(1)), ..EventQuery::default() },
        EventQuery { types: vec![EventType::UserAdded, EventType::DeviceAdded], ..EventQuery::default() },
        EventQuery { from: head + 1, ..EventQuery::default() },
    ];
    for query in queries {
        let page = world.ledger.query(world.tenant, &EventQuery { limit: 1000, ..query.clone() }).unwrap();
        let expected: Vec<u64> = page.events.iter().map(|recorded| recorded.position).collect();
        assert!(expected.len() < all.len());
        let bytes = bundle(&world, query);
        let checked = check(&bytes, &[key(&world)]).unwrap();
        assert_eq!((checked.about.events, checked.is_key_its_own), (expected.len() as u64, false));
        assert!(checked.about.size > expected.last().copied().unwrap_or(0) && checked.other_files.is_empty());
        let files = unpacked(&bytes);
        let proofs = files.iter().filter_map(|(name, _)| name.strip_prefix("proofs/")?.strip_suffix(".tlog-proof"));
        assert_eq!(proofs.map(|position| position.parse().unwrap()).collect::<Vec<u64>>(), expected);
        for (name, proof) in files.iter().filter(|(name, _)| name.starts_with("proofs/")) {
            assert!(ProofFile::parse(proof).unwrap().check(&key(&world)).is_ok(), "{name}");
        }
    }
    let all = gather(&world.ledger, world.tenant, EventQuery::default());
    assert!(matches!(all, Err(GatherError::TooMany)), "at most {BUNDLE_EVENTS_MAX}");
    world.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_in_a_bundle_is_found() {
    let world = life(901, 120).await;
    let good = small(&world);
    let keys = [key(&world)];
    check(&good, &keys).unwrap();
    let documents = good.windows(8).position(|window| window == b"schemas/").unwrap();
    let sums = good.windows(10).rposition(|window| window == b"SHA256SUMS").unwrap();
    let mut bytes = good.clone();
    // all but the published documents byte by byte, of those every eleventh
    for place in (0..documents).chain((documents..sums).step_by(11)).chain(sums..good.len()) {
        let bit = 1 << (place % 8);
        bytes[place] ^= bit;
        assert!(check(&bytes, &keys).is_err(), "byte {place} of {}", good.len());
        bytes[place] ^= bit;
    }
    for length in (0..good.len()).step_by(97) {
        assert!(check(&good[..length], &keys).is_err(), "cut off at {length}");
    }
    assert_eq!(check(&[good.as_slice(), b"\0"].concat(), &keys), Err(BundleError::Behind));
    world.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_bundle_with_sums_of_its_own_is_named() {
    let world = life(902, 200).await;
    let files = unpacked(&small(&world));
    let keys = [key(&world)];
    let with = |forge: &dyn Fn(&mut Files)| {
        let mut forged = files.clone();
        forge(&mut forged);
        check(&packed(&forged), &keys)
    };
    assert_eq!(with(&|_| {}).unwrap().about.events, 7);
    let (events, first) = (at(&files, "events"), at(&files, "proofs/"));
    let text = String::from_utf8(files[events].1.clone()).unwrap();
    let lines = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        change(&mut lines);
        with(&|files| files[events].1 = lines.concat().into_bytes())
    };
    // every field of every event, said otherwise
    for (number, line) in text.lines().enumerate() {
        let Value::Object(event) = serde_json::from_str(line).unwrap() else { panic!("{line}") };
        for (field, value) in event {
            let told = serde_json::to_string(&field).unwrap() + ":" + &value.to_string();
            assert!(line.contains(&told), "{told} in {line}");
            let lie = if field == "data" { "{}" } else { "\"9999999\"" };
            let forged = line.replacen(&told, &format!("\"{field}\":{lie}"), 1) + "\n";
            let error = lines(&|lines| lines[number] = forged.clone()).unwrap_err();
            let is_named = if let BundleError::Event { line, what } = &error {
                *line == number + 1 && (what.starts_with(&field) || field == "position")
            } else {
                field == "position" && matches!(error, BundleError::OtherFile { .. })
            };
            assert!(is_named, "{field} of {line}: {error}");
        }
        let twice = line.replacen('{', "{\"actor\":\"root\",", 1) + "\n";
        assert!(lines(&|lines| lines[number] = twice.clone()).is_err(), "a field that is said twice");
    }
    // what no event can say is not read at all: as values it takes a hundred times the memory
    let long = format!("{{\"position\":\"0\",\"data\":[{}0]}}\n", "[0],".repeat(70_000));
    let error = lines(&|lines| lines[0].clone_from(&long)).unwrap_err();
    assert!(matches!(&error, BundleError::Event { line: 1, what } if what.contains("is longer than")), "{error}");
    let empty = lines(&|lines| lines[0] = "\n".repeat(1 << 20)).unwrap_err();
    assert_eq!(empty, BundleError::Count { said: 7, found: (1 << 20) + 6 });
    let swapped = lines(&|lines| lines.swap(0, 1)).unwrap_err();
    assert!(matches!(swapped, BundleError::OtherFile { .. }), "{swapped}");
    let fewer = lines(&|lines| drop(lines.pop())).unwrap_err();
    assert_eq!(fewer, BundleError::Count { said: 7, found: 6 });

    let other = |expected: usize, found: usize| {
        let name = |at: usize| files[at].0.clone();
        Err(BundleError::OtherFile { expected: name(expected), found: name(found) })
    };
    assert_eq!(with(&|files| drop(files.remove(first))), other(first, first + 1), "a proof is missing");
    assert_eq!(with(&|files| files.swap(first, first + 1)), other(first, first + 1), "two files are swapped");
    assert_eq!(
        with(&|files| files.insert(first, ("more".into(), vec![1]))).unwrap_err().to_string(),
        format!("more stands where {} should be", files[first].0)
    );
    let contents = with(&|files| {
        let second = files[first + 1].1.clone();
        files[first + 1].1 = std::mem::replace(&mut files[first].1, second);
    });
    assert!(matches!(contents, Err(BundleError::OtherPosition { .. })), "{contents:?}");
    assert!(
        matches!(with(&|files| files.truncate(files.len() - 1)), Err(BundleError::Missing(name)) if name == "SHA256SUMS")
    );
    for (name, from, to, why) in [
        ("bundle.json", "\"events\": 7", "\"events\": 8", "has 7 lines"),
        ("bundle.json", "\"format\": 1", "\"format\": 2", "not one that this program reads"),
        ("bundle.json", "\"events\": 7", "\"events\": 70000", "at most"),
        ("bundle.json", "\"log\": \"", "\"log\": \"x", "the bundle has none of the log"),
        ("keys", "+", "-", "no verifier key"),
        ("proofs/", "index ", "index 0", "no line with the index"),
        ("proofs/", "extra ", "extro ", "index"),
    ] {
        let error = with(&|files| {
            let place = at(files, name);
            let changed = String::from_utf8(files[place].1.clone()).unwrap().replacen(from, to, 1);
            assert_ne!(changed.as_bytes(), files[place].1.as_slice(), "{name}: {from}");
            files[place].1 = changed.into_bytes();
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    // a record that was never there, and another head over it
    let forged = with(&|files| {
        let mut proof: ProofFile = String::from_utf8(files[first].1.clone()).unwrap().parse().unwrap();
        proof.extra.as_mut().unwrap()[3] ^= 1;
        files[first].1 = proof.to_string().into_bytes();
    });
    assert!(matches!(forged, Err(BundleError::Proof { .. })), "{forged:?}");
    let stranger = Signer::new(key(&world).name(), &[9; 32]).unwrap();
    let head = Checkpoint::new(stranger.name(), 1_000, [1; 32]).signed(&stranger).to_string();
    let place = at(&files, "checkpoint");
    assert!(matches!(with(&|files| files[place].1 = head.clone().into_bytes()), Err(BundleError::Checkpoint(_))));
    let other = stranger.verifier_key(KeyKind::Plain);
    assert!(matches!(check(&packed(&files), &[other]), Err(BundleError::Checkpoint(_))));
    let own = check(&packed(&files), &[]).unwrap();
    assert!(own.is_key_its_own);
    // anybody cosigns the head under a good name, and puts a key of his own beside the log's
    let witness = Signer::new("witness.example/w1", &[8; 32]).unwrap();
    let its_key = witness.verifier_key(KeyKind::Cosigner);
    let note = String::from_utf8(files[place].1.clone()).unwrap();
    let signed = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let cosigned = format!("{note}{}\n", witness.cosign(&signed, 1_790_000_000));
    let mut forged = files.clone();
    for (name, bytes) in &mut forged {
        let said = String::from_utf8(bytes.clone()).unwrap();
        match name.as_str() {
            "checkpoint" => *bytes = cosigned.clone().into_bytes(),
            "keys" => *bytes = format!("{said}{its_key}\n").into_bytes(),
            proof if proof.starts_with("proofs/") => *bytes = said.replacen(&note, &cosigned, 1).into_bytes(),
            _ => {}
        }
    }
    let name = vec![its_key.name().to_owned()];
    for (known, witnesses, claimed) in [
        (vec![key(&world)], vec![], name.clone()),
        (vec![], vec![], name.clone()),
        (vec![key(&world), its_key], name, vec![]),
    ] {
        let checked = check(&packed(&forged), &known).unwrap();
        assert_eq!((checked.witnesses, checked.claimed_witnesses), (witnesses, claimed), "{known:?}");
    }
    // what tells the auditor what to do is ours, or it is said that it is not
    for name in
        ["README.txt", "schemas/log-format.md", "schemas/events/v1/types.json", "schemas/reader/seatledger_log.py"]
    {
        let swap = |files: &mut Files| {
            let place = at(files, name);
            files[place].1 = b"print('all good')\n".to_vec();
        };
        assert_eq!(with(&swap), Err(BundleError::Replaced(name.into())));
        let by_another = with(&|files| {
            swap(files);
            let about = String::from_utf8(files[0].1.clone()).unwrap();
            files[0].1 = about.replacen("\"version\": \"", "\"version\": \"9", 1).into_bytes();
        });
        assert_eq!(by_another.unwrap().other_files, [name]);
    }
    // what no record says in plain, nobody proves: a name is the service's word
    let renamed = text.replacen("@acme.example", "@other.example", 1);
    assert_ne!(renamed, text);
    assert!(with(&|files| files[events].1 = renamed.clone().into_bytes()).is_ok());
    world.ledger.stop().await;
}

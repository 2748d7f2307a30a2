//! Another key for the log, through the real program: killed at whatever moment, one of both keys is in force; strangers
//! who have the old key check what they took away and come to the new one; witnesses go on once they are told.

use crate::crowd::{Crowd, Town};
use crate::harness::{Service, Tenant, verify};
use crate::merkle_log::{act, head, key, service};
use crate::strangers::accepts_note;
use crate::witness::{Witness, cosigned, submission};
use seatledger::merkle::{KeyRange, KeysError, LogKeys};
use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

const TOWN: Town = Town { people: 20, devices: 5, pools: 2, seats: 4 };

fn rotation(service: &Service) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().arg("rotate-log-key").arg("--data").arg(service.data());
    program
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn rotate(service: &Service) -> String {
    let output = rotation(service).output().expect("the program runs");
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// The keys that the service publishes.
fn keys(t: &Tenant) -> LogKeys {
    let body = t.get("/log/keys").ok();
    let of = |entry: &serde_json::Value| KeyRange {
        key: entry["key"].as_str().expect("a key").parse().expect("a verifier key"),
        from_size: entry["from_size"].as_u64().expect("a size"),
        to_size: entry["to_size"].as_u64(),
        handover: entry["handover"].as_str().map(str::to_owned),
    };
    LogKeys::new(body["keys"].as_array().expect("keys").iter().map(of).collect()).expect("a list of keys")
}

#[test]
fn the_key_is_changed_under_kills_and_old_heads_stay_good() {
    let mut service = service();
    let (t, other) = (service.tenant(), service.tenant());
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    let (first, first_of_other) = (key(&t), key(&other));
    let mut heads = vec![(head(&t), first.clone())];
    let busy = said(&rotation(&service).output().expect("the program runs"));
    assert!(busy.contains("stop it first"), "{busy}");
    service.stop();
    let mut changes = 0;
    for round in 0..12_u64 {
        let mut child = rotation(&service).spawn().expect("the program runs");
        std::thread::sleep(Duration::from_millis(seed.wrapping_mul(round + 1) % 120));
        child.kill().expect("a child of ours");
        child.wait().expect("it ends");
        let (is_whole, words) = verify(&service.data());
        assert!(is_whole, "round {round}: {words}");
        if round % 3 == 0 {
            service.start_again();
            act(&t, &mut crowd, 5);
            let today = key(&t);
            changes += u32::from(today != heads.last().expect("a head").1);
            heads.push((head(&t), today));
            service.kill();
        }
    }
    rotate(&service);
    service.start_again();
    act(&t, &mut crowd, 5);
    heads.push((head(&t), key(&t)));
    eprintln!("{changes} changes of {} were cut late enough to be seen", keys(&t).ranges().len());
    for (t, first) in [(&t, &first), (&other, &first_of_other)] {
        let trusted = keys(t).trusted_from(first).expect("the first key leads to all of them");
        assert_eq!(trusted.ranges().len(), keys(t).ranges().len());
    }
    let trusted = keys(&t).trusted_from(&first).expect("a list");
    for (head, key) in &heads {
        assert_eq!(trusted.open(head.note.as_bytes()).expect("a good head").0.size, head.size);
        assert!(accepts_note(&key.to_string(), head.note.as_bytes()), "{}", head.note);
    }
    for pair in heads.windows(2) {
        let (from, to) = (pair[0].0.size, pair[1].0.size);
        assert_eq!(t.get(&format!("/log/consistency?from={from}&to={to}")).status, 200);
    }
    // a stranger accepts what hands over by either key
    for pair in keys(&t).ranges().windows(2) {
        let handover = pair[0].handover.as_ref().expect("a head");
        for key in [&pair[0].key, &pair[1].key] {
            assert!(accepts_note(&key.to_string(), handover.as_bytes()), "{handover}");
        }
    }
}

#[test]
fn witnesses_go_on_once_they_are_told_and_never_back() {
    let mut service = service();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    let old = key(&t);
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("logs"), format!("{old}\n")).expect("written");
    let mut witness = Witness::start(place.path(), "127.0.0.1:0");
    let (address, its_key) = (witness.url.trim_start_matches("http://").to_owned(), witness.key());
    service.set("SEATLEDGER_WITNESSES", serde_json::json!([format!("{} {its_key}", witness.url)]).to_string());
    service.stop();
    service.start_again();
    let size = cosigned(&t, &its_key, t.head() + 1);
    service.stop();
    let place_of_key = service.data().join("log.key");
    let old_secret = fs::read(&place_of_key).expect("a key");
    let said = rotate(&service);
    service.start_again();
    let new = key(&t);
    assert!(said.contains(&new.to_string()), "{said}");
    act(&t, &mut crowd, 5);
    head(&t);
    let submitted = submission(&t, size).to_string();
    let (status, why) = witness.ask(&submitted);
    assert_eq!(status, 403, "it knows nothing of the new key: {why}");
    drop(witness);
    fs::write(place.path().join("logs"), format!("{old}\n{new}\n")).expect("written");
    witness = Witness::start(place.path(), &address);
    let size = cosigned(&t, &its_key, t.head() + 1);
    assert!(keys(&t).ranges().len() == 2 && size > 0);
    // a thief of the old key forks nothing: neither with who has the list of keys, nor with the witness
    let newest = head(&t);
    let secret: [u8; 32] =
        hex::decode(String::from_utf8(old_secret).expect("text").trim()).expect("hex").try_into().expect("32 bytes");
    let thief = seatledger::merkle::Signer::new(old.name(), &secret).expect("a name");
    let forged = seatledger::merkle::Checkpoint::new(old.name(), newest.size, newest.root).signed(&thief).to_string();
    assert!(accepts_note(&old.to_string(), forged.as_bytes()), "by the old key alone it looks good");
    let refused = keys(&t).trusted_from(&old).expect("a list").open(forged.as_bytes()).expect_err("it is refused");
    assert!(matches!(refused, KeysError::NotInForce { .. }), "{refused}");
    let again = seatledger::merkle::Submission { checkpoint: forged, ..submission(&t, newest.size) };
    let (status, why) = witness.ask(&again.to_string());
    assert_eq!(status, 403, "{why}");
    assert!(why.contains("newer key"), "{why}");
}

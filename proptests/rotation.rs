//! Another key for the log, through the real program: killed at whatever moment, one of both keys is in force; strangers
//! who have the old key check what they took away and come to the new one; witnesses go on once they are told.

use crate::crowd::{Crowd, Town};
use crate::harness::{ROOT_TOKEN, Service, Tenant, asked, run_program, verify};
use crate::merkle_log::{act, head, key, service};
use crate::reader::reader;
use crate::strangers::accepts_note;
use crate::witness::{Witness, cosigned, submission};
use seatledger::merkle::{Checkpoint, KeyKind, KeyRange, KeysError, LogKeys, Policy, Signer, sign_certificate};
use std::fs;
use std::path::Path;
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

/// A mirror is taken away after two changes of the key, by somebody who knows the first key only.
#[test]
fn a_mirror_is_checked_alone_by_who_kept_the_first_key() {
    let mut service = service();
    let t = service.tenant();
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), 3);
    let first = key(&t);
    let published = head(&t);
    service.stop();
    let secret = fs::read_to_string(service.data().join("log.key")).expect("a key");
    for _ in 0..2 {
        rotate(&service);
        service.start_again();
        act(&t, &mut crowd, 5);
        head(&t);
        service.stop();
    }
    service.start_again();
    let newest_key = key(&t);
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    fs::write(path("token"), ROOT_TOKEN).expect("written");
    fs::write(path("policy"), Policy::text(std::slice::from_ref(&first), &[], 0)).expect("written");
    let certificate = path("certificate");
    let url = t.url("").split("/v1").next().expect("an address").to_owned();
    let (code, _, why) = asked(&url, &["certificate", "--tenant", &t.name, "--out", &certificate]);
    assert_eq!(code, Some(0), "{why}");
    let mirror = path("mirror");
    let Some(mirrored) = reader(&["mirror", "--token-file", &path("token"), &t.url("/log"), &mirror]) else { return };
    assert!(mirrored.status.success(), "{}", self::said(&mirrored));
    service.stop();
    let listed = fs::read_to_string(Path::new(&mirror).join("keys")).expect("the mirror has it");
    let told = |is_good: bool, words: &str| {
        let checked = reader(&["check", "--policy", &path("policy"), &mirror]).expect("it ran before");
        let text = self::said(&checked);
        assert!(checked.status.success() == is_good && text.contains(words), "{text}");
        let (code, out, complaint) =
            run_program(&["verify-certificate", &certificate, "--tiles", &mirror, "--key", &first.to_string()]);
        assert_eq!(code == Some(0), is_good, "{out}{complaint}");
    };
    told(true, "make the tree of the checkpoint");
    // a thief of the first key certifies what came after it, to somebody who trusts the newest alone
    let secret: [u8; 32] = hex::decode(secret.trim()).expect("hex").try_into().expect("32 bytes");
    let thief = Signer::new(first.name(), &secret).expect("a name");
    let good = fs::read_to_string(&certificate).expect("a text");
    let (text, _) = good.rsplit_once("\n\n").expect("a note");
    let scope: serde_json::Value = serde_json::from_str(text.lines().nth(1).expect("lines")).expect("JSON");
    let carried = scope["checkpoint"].as_str().expect("a head");
    let head = carried.split("\n\n").next().expect("a text").to_owned() + "\n";
    let head = head.parse::<Checkpoint>().expect("a checkpoint").signed(&thief).to_string();
    let (_, lines) = text.split_once('\n').expect("lines");
    let quoted = |head: &str| serde_json::Value::from(head).to_string();
    let lines = lines.replacen(&quoted(carried), &quoted(&head), 1) + "\n";
    let stolen = path("stolen");
    fs::write(&stolen, sign_certificate(&thief, &lines).expect("a text").to_string()).expect("written");
    let (code, out, complaint) =
        run_program(&["verify-certificate", &stolen, "--tiles", &mirror, "--key", &newest_key.to_string()]);
    assert!(code == Some(1) && complaint.contains("signs heads over at most"), "{out}{complaint}");
    let checkpoint = path("mirror/checkpoint");
    let alone = reader(&["head", &checkpoint, "--policy", &path("policy")]).expect("it ran before");
    assert!(!alone.status.success(), "the first key alone says nothing of it");
    let led = reader(&["head", &checkpoint, "--policy", &path("policy"), "--keys", &path("mirror/keys")]);
    assert!(led.is_some_and(|led| led.status.success()));
    // without the list, with a list of somebody's own making, and with one that is cut
    let keys = Path::new(&mirror).join("keys");
    fs::remove_file(&keys).expect("removed");
    told(false, "no log of the policy has signed the head");
    let mut forged: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let handover = forged["keys"][0]["handover"].as_str().expect("a head").to_owned();
    forged["keys"][0]["handover"] = handover.lines().take(6).map(|line| format!("{line}\n")).collect::<String>().into();
    fs::write(&keys, forged.to_string()).expect("written");
    told(false, "is not signed by both");
    forged["keys"][0]["handover"] = serde_json::Value::Null;
    fs::write(&keys, forged.to_string()).expect("written");
    told(false, "no log of the policy has signed the head");
    // a stranger signs under a head that was published, or under what hands over to another
    let stranger = Signer::new(first.name(), &[9; 32]).expect("a name");
    for (note, why) in [(published.note, "names no keys"), (handover, "names other keys")] {
        let text = note.split("\n\n").next().expect("a text").to_owned() + "\n";
        let size = text.parse::<Checkpoint>().expect("a checkpoint").size;
        forged["keys"] = serde_json::json!([
            {"key": first.to_string(), "from_size": 1, "to_size": size, "handover": format!("{note}{}\n", stranger.sign(&text))},
            {"key": stranger.verifier_key(KeyKind::Plain).to_string(), "from_size": size, "to_size": null, "handover": null},
        ]);
        fs::write(&keys, forged.to_string()).expect("written");
        told(false, why);
    }
    fs::write(&keys, &listed).expect("written");
    // a thief of the first key signs the newest head: the list says that it does so no more
    let newest = fs::read_to_string(&checkpoint).expect("a head");
    let text = newest.split("\n\n").next().expect("a text");
    let newest: Checkpoint = format!("{text}\n").parse().expect("a checkpoint");
    fs::write(&checkpoint, newest.signed(&thief).to_string()).expect("written");
    let checked = reader(&["check", "--policy", &path("policy"), &mirror]).expect("it ran before");
    assert!(self::said(&checked).contains("no log of the policy has signed the head"), "{}", self::said(&checked));
}

//! A witness, as a process of its own, asked by the real service: it cosigns what goes on, through kills of either, and
//! nothing that forks, whoever's key has signed it.

use crate::crowd::{Crowd, Town};
use crate::harness::{Client, Service, Tenant, run_program};
use crate::merkle_log::{act, copy, head, key, service};
use parking_lot::RwLock;
use reqwest::Method;
use seatledger::merkle::{Hash, Note, SIGNATURES_MAX, Submission, VerifierKey};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const TOWN: Town = Town { people: 20, devices: 5, pools: 2, seats: 4 };

/// A running witness. Dropped, it is killed.
pub(crate) struct Witness {
    child: Child,
    pub(crate) url: String,
}

impl Witness {
    pub(crate) fn start(folder: &Path, listen: &str) -> Self {
        Self::named(folder, listen, "witness.example/w1")
    }

    pub(crate) fn named(folder: &Path, listen: &str, name: &str) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
        program.env_clear().arg("witness").arg("--data").arg(folder.join("witness")).args(["--name", name]);
        program.arg("--logs").arg(folder.join("logs")).args(["--listen", listen]);
        let log = fs::File::options().create(true).append(true).open(folder.join("witness.log")).expect("its log");
        let mut child = program.stdout(Stdio::piped()).stderr(log).spawn().expect("the witness starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("it can be read");
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("it does not come up: {line}"));
        Self { url: url.to_owned(), child }
    }

    fn client(&self) -> Client {
        Client::new(Arc::new(RwLock::new(self.url.clone())), "nobody")
    }

    pub(crate) fn key(&self) -> VerifierKey {
        self.client().get("/key").text.trim_end().parse().expect("a verifier key")
    }

    /// The status and the text of its answer.
    pub(crate) fn ask(&self, body: &str) -> (u16, String) {
        let answer = self.client().call(Method::POST, "/add-checkpoint").body("text/plain", body.to_owned()).send();
        (answer.status, answer.text)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // an error means that it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a head that covers so many records and that the witness has cosigned; answers its size.
pub(crate) fn cosigned(t: &Tenant, witness: &VerifierKey, size: u64) -> u64 {
    for _ in 0..300 {
        let note = t.get("/log/checkpoint").text;
        let covers = note.lines().nth(1).and_then(|line| line.parse::<u64>().ok()).expect("a size");
        let parsed = Note::parse(note.as_bytes()).expect("a note");
        if covers >= size && parsed.open(std::slice::from_ref(witness)).is_ok_and(|signed| signed[0].1.is_some()) {
            return covers;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no head over {size} records is cosigned: {}", t.get("/log/checkpoint").text);
}

/// What the log itself says to go on from `old` to its newest head.
pub(crate) fn submission(t: &Tenant, old: u64) -> Submission {
    let head = head(t);
    let body = t.get(&format!("/log/consistency?from={old}&to={}", head.size)).ok();
    let path = body["hashes"].as_array().expect("hashes").iter().map(|hash| {
        let bytes = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, hash.as_str().expect("a text"));
        Hash::try_from(bytes.expect("base64")).expect("32 bytes")
    });
    Submission { old, path: path.collect(), checkpoint: head.note }
}

#[test]
fn a_witness_cosigns_one_history_and_a_fork_is_refused_for_good() {
    let mut service = service();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    head(&t);
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("logs"), format!("# the log of the tests\n{}\n", key(&t))).expect("written");
    let mut witness = Witness::start(place.path(), "127.0.0.1:0");
    let (address, its_key) = (witness.url.trim_start_matches("http://").to_owned(), witness.key());
    let asked = serde_json::json!([format!("{} {its_key}", witness.url)]).to_string();
    service.stop();
    let older = place.path().join("older");
    copy(&service.data(), &older);
    service.set("SEATLEDGER_WITNESSES", asked.clone());
    service.start_again();
    act(&t, &mut crowd, 20);
    cosigned(&t, &its_key, t.head() + 1);
    // either is killed, and it goes on
    service.kill();
    drop(witness);
    service.start_again();
    act(&t, &mut crowd, 20);
    witness = Witness::start(place.path(), &address);
    let size = cosigned(&t, &its_key, t.head() + 1);
    // what is taken away now has the cosignature with it, and the key that checks it
    let bundle = place.path().join("bundle.tar");
    fs::write(&bundle, t.get("/export/events?proof=true&to=9").bytes).expect("written");
    let (bundle, log_key) = (bundle.to_string_lossy(), key(&t).to_string());
    let (code, words, complaint) =
        run_program(&["verify-bundle", &bundle, "--key", &log_key, "--key", &its_key.to_string()]);
    assert_eq!(code, Some(0), "{complaint}");
    assert!(words.contains("10 events are in") && words.contains("cosigned by witness.example/w1"), "{words}");
    let (code, words, complaint) = run_program(&["verify-bundle", &bundle, "--key", &log_key]);
    assert!(code == Some(0) && !words.contains("cosigned") && complaint.contains("not trusted: witness.example/w1"));
    // who does not know where the witness is, is told
    assert_eq!(witness.ask(&submission(&t, 0).to_string()), (409, format!("{size}\n")));
    assert_eq!(witness.ask(&submission(&t, size).to_string()).0, 200, "the same head once more");
    // lines of strangers under it, as many as are read: it comes up again below
    let mut filled = submission(&t, size);
    let lines = Note::parse(filled.checkpoint.as_bytes()).expect("a note").signatures.len();
    filled.checkpoint.extend((lines..SIGNATURES_MAX).map(|n| format!("\u{2014} stranger{n} AAAAAAAA\n")));
    assert_eq!(witness.ask(&filled.to_string()).0, 200);
    assert_eq!(witness.ask("old 1\n").0, 400);
    assert_eq!(witness.ask(&"x".repeat(200_000)).0, 413);
    // the older folder, whole, with the log's own key, goes another way
    let mut fork = Service::start();
    fork.stop();
    fs::remove_dir_all(fork.data()).expect("removed");
    copy(&older, &fork.data());
    for (name, value) in
        [("SEATLEDGER_SIGN_SECONDS", "1".to_owned()), ("SEATLEDGER_LOG_NAME", "ledger.example/seats".to_owned())]
    {
        fork.set(name, value);
    }
    fork.set("SEATLEDGER_WITNESSES", asked);
    fork.start_again();
    let other = Tenant::new(&fork.root(), &t.name);
    assert_eq!(key(&other), key(&t), "the very same log, by its name and key");
    // as it was put back it ends before what was cosigned: the witness says so, and so does whoever kept a head
    assert!(head(&other).size < size, "it is older");
    assert_eq!(witness.ask(&submission(&other, 0).to_string()), (409, format!("{size}\n")));
    other.get(&format!("/log/consistency?from={size}")).problem("position-not-reached");
    let mut crowd = Crowd::new(TOWN, "another".to_owned(), seed.wrapping_add(1));
    while other.head() < size {
        act(&other, &mut crowd, 20);
    }
    for _ in 0..100 {
        if fork.log().contains("not cosigned") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(fork.log().contains("not cosigned"), "it is said: {}", fork.log());
    let (status, said) = witness.ask(&submission(&other, size).to_string());
    assert_eq!(status, 422, "{said}");
    assert!(!head(&other).note.contains("witness.example"), "no head of the fork is cosigned");
    drop(witness);
    let witness = Witness::start(place.path(), &address);
    assert_eq!(witness.ask(&submission(&other, size).to_string()).0, 422, "it does not forget");
    act(&t, &mut Crowd::new(TOWN, "third".to_owned(), seed.wrapping_add(2)), 5);
    cosigned(&t, &its_key, size + 1);
    let seen = fs::read_to_string(place.path().join("witness.log")).expect("its log");
    assert!(seen.contains("a log shows another history than it did"), "{seen}");
}

//! Bad input to what a stranger checks the history with: paths below the log, requests of a witness, and names, keys and
//! lists of keys that a service or a witness is started with. Each is named, and none is an error of ours. Not here: the
//! parsers one by one (`merkle`), and what can't be asked of the log by number (`merkle_log.rs`).

use crate::harness::{ROOT_TOKEN, Service, asked, run_program};
use crate::merkle_log::key;
use crate::witness::{Witness, submission};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

const PIECES: &[&str] = &[
    "tile",
    "0",
    "1",
    "63",
    "64",
    "255",
    "000",
    "001",
    "x000",
    "x001",
    "999",
    "000.p",
    "001.p",
    "entries",
    "data",
    "proofs",
    "checkpoint",
    "consistency",
    "key",
    "keys",
    "-1",
    "+0",
    "%00",
    "%2e%2e",
    "%2F",
    "..",
    "0x1",
    "1e3",
    "18446744073709551615",
    "18446744073709551616",
    "\u{660}",
    "NaN",
    "",
];
const QUERIES: &[&str] = &[
    "",
    "?from=",
    "?from=0&to=",
    "?from=1&from=2",
    "?at_least=-1",
    "?at_least=1e9",
    "?from=5&to=4",
    "?to=1",
    "?%ff=1",
];

fn some<'p>(random: &mut StdRng, of: &'p [&'p str]) -> &'p str {
    of[random.random_range(0..of.len())]
}

#[test]
fn whatever_path_comes_below_the_log_is_answered_or_named() {
    let service = Service::shared();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (head, mut named) = (t.head(), 0);
    for _ in 0..800 {
        let mut path = "/log".to_owned();
        for _ in 0..random.random_range(1..6) {
            path = format!("{path}/{}", some(&mut random, PIECES));
        }
        path += some(&mut random, QUERIES);
        let answer = t.get(&path);
        if answer.status != 200 {
            assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
            let kind = answer.body["type"].as_str().unwrap_or_else(|| panic!("{path}: {}", answer.text)).to_owned();
            answer.problem(kind.trim_start_matches("/problems/"));
            named += 1;
        }
    }
    assert!(named > 400, "{named}");
    assert_eq!(t.head(), head, "nothing was recorded");
}

#[test]
fn whatever_is_sent_to_a_witness_is_refused_unless_it_is_one_history() {
    let service = Service::shared();
    let t = service.tenant();
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("logs"), format!("{}\n", key(&t))).expect("written");
    let witness = Witness::start(place.path(), "127.0.0.1:0");
    let good = submission(&t, 0).to_string();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..400 {
        let mut bytes = good.clone().into_bytes();
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => bytes[at] ^= 1 << random.random_range(0..7_u8),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, bytes[(at * 7) % bytes.len()]),
            _ => drop(bytes.remove(at)),
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text == good {
            continue;
        }
        let (status, said) = witness.ask(&text);
        assert!((400..500).contains(&status) && !said.is_empty(), "{status} {said}: {text}");
    }
    assert_eq!(witness.ask(&good).0, 200, "and what is good still is");
}

/// Starts it with something that must not do, and answers what it says.
fn refused(command: &str, data: &Path, args: &[&str], environment: &[(&str, &str)]) -> String {
    ended(command, data, args, environment).1
}

/// The same, with the number that it ends with.
fn ended(command: &str, data: &Path, args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("SEATLEDGER_ROOT_TOKEN", ROOT_TOKEN).envs(environment.iter().copied());
    program.arg(command).arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]).args(args);
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let (mut first, mut said) = ([0; 1], String::new());
    let is_serving = child.stdout.take().expect("its output").read(&mut first).expect("it can be read") > 0;
    if is_serving {
        child.kill().expect("a child of ours");
    }
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    let status = child.wait().expect("it ends");
    assert!(!is_serving && status.code().is_some_and(|code| code != 0), "{args:?} {environment:?}: {said}");
    assert!(!said.contains("panicked"), "{args:?} {environment:?}: {said}");
    (status.code(), said)
}

#[test]
fn what_makes_no_sense_ends_with_2_and_what_can_not_be_read_with_5() {
    let place = tempfile::tempdir().expect("a folder");
    let (data, text) = (place.path().join("data"), place.path().join("text"));
    fs::write(&text, "no certificate").expect("written");
    let (text, nothing): (_, &[&str]) = (text.to_str().expect("a path"), &[]);
    for (args, environment, code, why) in [
        (nothing, &[("SEATLEDGER_MASTER_KEY", "zz")][..], 2, "the master key is not 64 hexadecimal digits"),
        (&[], &[("SEATLEDGER_LOG_KEY", "zz")], 2, "the log's key is not 64 hexadecimal digits"),
        (&["--log-name", "http://a/b"], &[], 2, "without its scheme"),
        (&["--store-url", "foo"], &[], 2, "foo"),
        (&["--store-url", "ftp://a"], &[], 2, "ftp://a"),
        (&["--store-ca", "/nosuch"], &[], 5, "/nosuch"),
        (&["--store-ca", text], &[], 5, "certificates"),
    ] {
        let (number, said) = ended("serve", &data, args, environment);
        assert!(number == Some(code) && said.contains(why), "{args:?} {environment:?}: {number:?} {said}");
    }
    let folder = data.to_str().expect("a path");
    for listen in ["foo", ":1", "127.0.0.1:99999"] {
        let (code, _, said) = run_program(&["serve", "--data", folder, "--listen", listen]);
        assert!(code == Some(2) && said.contains(listen), "{listen}: {code:?} {said}");
    }
    for url in ["foo", "ftp://x", "http://"] {
        let (code, out, said) = asked(url, &["drift", "--tenant", "contoso"]);
        assert!(code == Some(2) && out.is_empty() && said.lines().count() == 1, "{url}: {code:?} {said}");
    }
    // nothing of it has made a ledger
    assert!(!data.join("READY").exists());
}

#[test]
fn keys_and_names_that_are_none_keep_a_service_from_starting_and_are_named() {
    let place = tempfile::tempdir().expect("a folder");
    let (data, key) = (place.path().join("data"), place.path().join("key"));
    let serve = |name, value: &str| refused("serve", &data, &[], &[(name, value)]);
    let long = "n".repeat(300);
    for name in ["", "with space", "with+plus", "ends/", &long] {
        let said = serve("SEATLEDGER_LOG_NAME", name);
        assert!(said.contains("log's name") || said.contains("log_name"), "{name}: {said}");
    }
    for text in ["", "xyz", &"0".repeat(63), &"g".repeat(64), &"0".repeat(66)] {
        let said = serve("SEATLEDGER_LOG_KEY", text);
        assert!(said.contains("64 hexadecimal digits"), "{text}: {said}");
        assert!(text.is_empty() || !said.contains(text), "a key is not shown: {said}");
        fs::write(&key, text).expect("written");
        let said = serve("SEATLEDGER_LOG_KEY_FILE", key.to_str().expect("a path"));
        assert!(said.contains("64 hexadecimal digits") && said.contains("key"), "{said}");
    }
    for witness in
        ["[\"\"]", "[\"http://127.0.0.1:1\"]", "[\"http://127.0.0.1:1 w+00000000+AAAA\"]", "[\"nowhere w\"]", "7"]
    {
        let said = serve("SEATLEDGER_WITNESSES", witness);
        assert!(said.to_lowercase().contains("witness"), "{witness}: {said}");
    }
}

#[test]
fn a_list_of_logs_that_is_none_keeps_a_witness_from_starting_and_is_named() {
    let place = tempfile::tempdir().expect("a folder");
    let (data, logs) = (place.path().join("data"), place.path().join("logs"));
    let path = logs.to_str().expect("a path").to_owned();
    let start = |name: &str, text: &[u8]| {
        fs::write(&logs, text).expect("written");
        refused("witness", &data, &["--name", name, "--logs", &path], &[])
    };
    let texts: [&[u8]; 5] = [b"no key\n", b"a+00000000+AAAA\n", b"\xff\xfe\n", b"a+b+c+d\n", b"+00000000+AAAA\n"];
    for text in texts {
        let said = start("witness.example/w1", text);
        assert!(said.contains(&path), "{said}");
    }
    for name in ["", "with space", "a+b"] {
        assert!(!start(name, b"").is_empty(), "{name}");
    }
    let nowhere = place.path().join("nowhere");
    let said = refused("witness", &data, &["--name", "w", "--logs", nowhere.to_str().expect("a path")], &[]);
    assert!(said.contains("nowhere"), "{said}");
    // a name is no URL, and is for good
    assert!(start("http://witness.example/w1", b"").contains("without its scheme"));
    fs::write(&logs, "").expect("written");
    drop(crate::witness::Witness::named(place.path(), "127.0.0.1:0", "witness.example/w1"));
    let folder = place.path().join("witness");
    let said = refused("witness", &folder, &["--name", "witness.example/w2", "--logs", &path], &[]);
    assert!(said.contains("witness.example/w1") && said.contains("can't become"), "{said}");
    drop(crate::witness::Witness::named(place.path(), "127.0.0.1:0", "witness.example/w1"));
}

//! The reader in `schemas/reader/`, which knows nothing of ours but the documents: it takes a busy log from the service, finds
//! it good, counts what the service counts, and refuses every piece of it that somebody touched.

use crate::crowd::{Crowd, Town};
use crate::harness::{ROOT_TOKEN, Said, Service, Tenant};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// More than one full tile.
const TOWN: Town = Town { people: 120, devices: 20, pools: 4, seats: 15 };

/// Runs it; `None` where there is no Python.
pub(crate) fn reader(arguments: &[&str]) -> Option<Output> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/reader/seatledger_log.py");
    let output = Command::new("python3").arg(program).args(arguments).output();
    if output.is_err() {
        eprintln!("there is no python3 here: the reader is not tried");
    }
    output.ok()
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A town after a busy day: grants, refusals, queues, departures, purchases and a deficit.
pub(crate) fn busy(t: &Tenant) {
    TOWN.build(t);
    let mut crowd = Crowd::new(TOWN, "crowd".into(), 7);
    for day in 0..6 {
        let commands: Vec<Value> = (0..150).map(|_| crowd.act()).collect();
        let results = t.post("/commands", commands.clone().into()).ok();
        for (command, result) in commands.iter().zip(results["results"].as_array().expect("results")) {
            if let Some(said) = Said::of_result(result) {
                crowd.heard(command, &said);
            }
        }
        t.owns("app-0", [15, 9, 20, 3, 3, 15][day]);
    }
    t.owns("app-1", "unlimited");
}

struct Mirror {
    folder: tempfile::TempDir,
}

impl Mirror {
    fn of(t: &Tenant) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let token = folder.path().join("token");
        fs::write(&token, ROOT_TOKEN).expect("written");
        t.get(&format!("/log/checkpoint?at_least={}", t.head()));
        let (log, token) = (t.url("/log"), token.to_string_lossy().into_owned());
        let whole = reader(&["check", "--json", "--token-file", &token, &log])?;
        assert!(whole.status.success(), "{}", said(&whole));
        let mirrored = reader(&["mirror", "--token-file", &token, &log, &folder.path().join("log").to_string_lossy()])?;
        assert!(mirrored.status.success(), "{}", said(&mirrored));
        Some(Self { folder })
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn check(&self) -> Output {
        reader(&["check", "--json", &self.log().to_string_lossy()]).expect("it ran before")
    }

    fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() { walk(&entry, into) } else { into.push(entry) }
            }
        }
        let mut files = Vec::new();
        walk(&self.log(), &mut files);
        // keys are for who has a policy: `rotation.rs`
        files.retain(|file| !["key", "keys", "policy"].iter().any(|beside| file.ends_with(beside)));
        files.sort();
        files
    }

    /// What was done to the log is refused, and by a sentence, not by a crash.
    fn refuses(&self, what: &str) {
        let output = self.check();
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{what}: {text}");
        assert!(text.contains("it does not hold: ") && !text.contains("Traceback"), "{what}: {text}");
    }
}

#[test]
fn a_reader_that_knows_only_the_documents_finds_what_the_service_says() {
    let service = Service::start();
    let t = service.tenant();
    busy(&t);
    let Some(mirror) = Mirror::of(&t) else { return };
    let output = mirror.check();
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["size"], t.head() + 1);
    assert_eq!(report["cap_ever_broken"], false);
    let found: BTreeMap<&str, &Value> = report["pools"]
        .as_array()
        .expect("pools")
        .iter()
        .map(|pool| (pool["pool"].as_str().expect("an id"), pool))
        .collect();
    let pools = t.list("/pools");
    assert_eq!(pools.len(), found.len());
    for pool in &pools {
        let theirs = found[pool["id"].as_str().expect("an id")];
        assert_eq!((&theirs["owned"], &theirs["held"]), (&pool["owned"], &pool["held"]), "{theirs}");
    }
    let app_0 = found[pools[0]["id"].as_str().expect("an id")];
    assert!(app_0["over"].as_array().is_some_and(|over| !over.is_empty()), "the deficit is seen: {app_0}");
    // every record in words is the event that the service shows
    let told = reader(&["events", &mirror.log().to_string_lossy()]).expect("it ran before");
    let told: Vec<Value> =
        told.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let events = t.list("/events");
    assert_eq!(told.len(), events.len());
    for (told, event) in told.iter().zip(&events) {
        let kind = told["event"].as_object().and_then(|event| event.keys().next()).expect("a kind");
        assert_eq!((&told["position"], Some(kind.as_str())), (&event["position"], event["type"].as_str()));
        assert_eq!(told["recorded_at"], event["recorded_at"]);
    }
}

#[test]
fn a_reader_that_knows_only_the_documents_refuses_what_was_touched() {
    let service = Service::start();
    let t = service.tenant();
    busy(&t);
    let Some(mirror) = Mirror::of(&t) else { return };
    let files = mirror.files();
    assert!(files.len() > 8, "{files:?}");
    for (n, file) in files.iter().enumerate() {
        let good = fs::read(file).expect("a file");
        let is_checkpoint = file.ends_with("checkpoint");
        // of the checkpoint, what the signature covers: the signature itself is for others to check
        let text =
            if is_checkpoint { good.windows(2).position(|pair| pair == b"\n\n").expect("a note") } else { good.len() };
        let origin = if is_checkpoint { good.iter().position(|byte| *byte == b'\n').expect("lines") + 1 } else { 0 };
        for place in 0..4 {
            let at = origin + (place * 977 + n * 31) % (text - origin);
            let mut bad = good.clone();
            bad[at] ^= 1 << (place % 7);
            fs::write(file, &bad).expect("written");
            mirror.refuses(&format!("bit {} of byte {at} of {}", place % 7, file.display()));
        }
        fs::write(file, &good[..good.len() / 2]).expect("written");
        mirror.refuses(&format!("half of {}", file.display()));
        fs::remove_file(file).expect("removed");
        mirror.refuses(&format!("without {}", file.display()));
        fs::write(file, &good).expect("written");
    }
    // a bundle in the place of another
    let bundle = |n: usize| mirror.log().join(format!("tile/entries/{n:03}"));
    let (first, second) = (fs::read(bundle(0)).expect("a bundle"), fs::read(bundle(1)).expect("a bundle"));
    fs::write(bundle(0), &second).expect("written");
    fs::write(bundle(1), &first).expect("written");
    mirror.refuses("two bundles swapped");
    fs::write(bundle(0), &first).expect("written");
    fs::write(bundle(1), &second).expect("written");
    assert!(mirror.check().status.success());
}

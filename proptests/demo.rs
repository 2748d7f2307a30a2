//! A small demo, as anybody would run it: its report, the service and the stores that it leaves up, and what becomes of all of it
//! when it is told to stop. Not here: the laws (`ledger_machine`) and the stores' protocols (`store_simulators`).

use crate::harness::{Client, block_on, encode, run_program};
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const SMALL: [&str; 8] = ["demo", "--people", "60", "--years", "1", "--seed", "5", "--json"];

/// A demo that stays up; killed where a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill();
    }
}

fn program(folder: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("RUST_BACKTRACE", "1").env("TMPDIR", folder);
    program
}

/// Its report, and itself.
fn lived(folder: &Path) -> (Value, Running) {
    let mut program = program(folder);
    let child = program.args(SMALL).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut running = Running(child.expect("the program runs"));
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
    (serde_json::from_str(&line).expect("the report is JSON"), running)
}

/// What is the same whenever the seed is: everything but times, and positions and what hangs on them.
fn life(report: &Value) -> Value {
    let figures = |pool: &Value| {
        let parts =
            ["key", "owned", "held", "reserved", "in_use", "foreign", "free", "queued", "installed", "unlicensed"];
        parts.iter().map(|part| pool[*part].clone()).collect::<Vec<_>>()
    };
    let words = |line: &Value| line.as_str().expect("a line").split_once("  ").expect("a day").1.to_owned();
    let parts =
        ["refused", "surprises", "departures", "seats_released", "returns", "joined", "seats_bought", "seats_refunded"];
    json!([
        report["pools"].as_array().expect("pools").iter().map(figures).collect::<Vec<_>>(),
        report["chronicle"]
            .as_array()
            .expect("lines")
            .iter()
            .map(words)
            .filter(|line| !line.contains("bad month"))
            .collect::<Vec<_>>(),
        report["commands"]["by_type"],
        parts.map(|part| report[part].clone()),
    ])
}

/// What a store answers at its back door.
fn at_store(url: &str) -> Value {
    block_on(async {
        let _there = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        client.get(url).send().await.expect("it answers").json().await.expect("JSON")
    })
}

/// Every seat by the stores' own books: pool and holder.
fn seats_there(places: &Value) -> BTreeSet<(String, String)> {
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
    let of_microsoft = at_store(&format!("{}/simulator/seats", word(&places["microsoft"])));
    let unit = word(&places["apple_unit"]);
    let of_apple = at_store(&format!("{}/simulator/units/{unit}/assignments", word(&places["apple"])));
    let windows = of_microsoft["seats"].as_array().expect("seats").iter().map(|seat| {
        (format!("{}:{}:online", word(&seat["product_id"]), word(&seat["sku_id"])), word(&seat["upn"]).to_lowercase())
    });
    let tablets = of_apple.as_array().expect("seats").iter().map(|seat| {
        let holder = seat["holder"].as_object().expect("a holder").values().next().expect("one");
        let pool = format!("apple:{unit}:{}:{}", word(&seat["adamId"]), word(&seat["pricingParam"]));
        (pool, word(holder).to_lowercase())
    });
    windows.chain(tablets).collect()
}

/// Every seat that a store has to know of, by the ledger.
fn seats_here(tenant: &Client) -> BTreeSet<(String, String)> {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for (kind, list, field) in [("user", "/users", "user_name"), ("device", "/devices", "serial")] {
        for one in tenant.list(list) {
            let id = format!("{kind}:{}", one["id"].as_str().expect("an id"));
            names.insert(id, one[field].as_str().unwrap_or_default().to_lowercase());
        }
    }
    let keys = tenant.list("/pools").into_iter().map(|pool| pool["key"].as_str().expect("a key").to_owned());
    let seats = |key: String| {
        let seats = tenant.list(&format!("/pools/{}/seats", encode(&key)));
        let name = |seat: &Value| names[seat["holder"].as_str().expect("a holder")].clone();
        seats.iter().map(|seat| (key.clone(), name(seat))).collect::<Vec<_>>()
    };
    keys.filter(|key| !key.ends_with(":offline")).flat_map(seats).collect()
}

#[test]
fn a_small_demo_ends_with_ledger_and_stores_agreeing_and_lives_the_same_life_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (report, mut running) = lived(folder.path());
    assert_eq!(report["agreement"]["agrees"], true, "{}", report["agreement"]);
    assert_eq!((&report["proof"]["agrees"], &report["surprises"]), (&json!(true), &json!([])), "{report}");
    assert_eq!(report["lawless_pools"], json!([]));
    for (provider, deed) in [
        ("microsoft-store", "granted"),
        ("microsoft-store", "released"),
        ("microsoft-store", "grant_refused"),
        ("microsoft-store", "granted_by_another_tool"),
        ("microsoft-store", "released_by_another_tool"),
        ("apple-business", "granted"),
        ("apple-business", "released"),
        ("apple-business", "granted_by_another_tool"),
    ] {
        assert!(report["stores"][provider][deed].as_u64() > Some(0), "{provider} {deed}: {}", report["stores"]);
    }
    let story = report["chronicle"].to_string();
    for part in [
        "adopted",
        "gone after one sync",
        "bad month",
        "token for Apple's store has ended",
        "refunded under",
        "explains it",
    ] {
        assert!(story.contains(part), "nothing of {part:?}: {story}");
    }

    // asked, and not told: the stores by their back doors, the ledger by its contract
    let places = &report["places"];
    let place = |name: &str| places[name].as_str().expect("a place").to_owned();
    let token = std::fs::read_to_string(place("token_file")).expect("a token");
    let root = Client::new(Arc::new(RwLock::new(place("service"))), token.trim());
    let tenant = root.below(&format!("/v1/tenants/{}", place("tenant")));
    let (there, here) = (seats_there(places), seats_here(&tenant));
    assert!(there.len() > 500, "{} seats", there.len());
    let apart: Vec<_> = there.symmetric_difference(&here).collect();
    assert!(apart.is_empty(), "{apart:?}");

    // told to stop, nothing is left of it
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.0.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert!(running.0.wait().expect("it ends").success());
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);

    let again = program(folder.path()).args(SMALL).arg("--exit").stderr(Stdio::inherit()).output().expect("it runs");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    let again: Value = serde_json::from_slice(&again.stdout).expect("the report is JSON");
    assert_eq!(life(&report), life(&again));
    assert_eq!(again["places"], Value::Null);
}

#[test]
fn a_demo_that_can_not_have_its_port_says_which() {
    let holding = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = holding.local_addr().expect("its address").to_string();
    for flag in ["--listen", "--microsoft-listen", "--apple-listen"] {
        let (code, out, complaint) = run_program(&["demo", "--people", "50", "--exit", flag, &taken]);
        assert_eq!((code, out.as_str()), (Some(5), ""), "{complaint}");
        assert!(complaint.contains(&taken) && complaint.contains("in use"), "{flag}: {complaint}");
    }
}

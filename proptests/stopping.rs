//! Commands that are told to stop while they work: they end, nothing of theirs goes on, and nothing half-made is left. Not here:
//! the service (`crash`, `seed`).

use crate::harness::{ROOT_TOKEN, verify};
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

fn begin(args: &[&str]) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("SEATLEDGER_TOKEN", ROOT_TOKEN).args(args);
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program runs")
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("it runs");
}

/// Waits for half a minute at most.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("after half a minute still not: {what}");
}

fn ended(child: &mut Child) -> ExitStatus {
    until("the command has ended", || child.try_wait().expect("a child of ours").is_some());
    child.wait().expect("a child of ours")
}

fn words(child: &mut Child) -> String {
    std::io::read_to_string(child.stderr.take().expect("its errors")).expect("text")
}

/// Takes calls and never answers one.
fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    (listener, url)
}

fn entries(folder: &Path) -> Vec<String> {
    let listed = std::fs::read_dir(folder).expect("a folder");
    listed.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_sync_again_and_again_ends_within_a_call_and_says_once_that_its_file_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mute, url) = mute();
    mute.set_nonblocking(true).expect("a socket");
    let file = folder.path().join("bought.json");
    let path = file.to_str().expect("a plain path");
    let mut sync = begin(&["sync", "--file", path, "--every", "1", "--tenant", "acme", "--url", &url]);
    std::thread::sleep(Duration::from_millis(2500));
    std::fs::write(&file, r#"{"complete": true, "items": []}"#).expect("written");
    let mut call = None;
    until("it calls", || {
        call = mute.accept().ok();
        call.is_some()
    });
    send(&sync, Signal::TERM);
    assert!(ended(&mut sync).success());
    let words = words(&mut sync);
    assert_eq!(words.matches("can't be read").count(), 1, "{words}");
    assert_eq!(words.matches("can be read again").count(), 1, "{words}");
}

/// A `load` that takes its time, once its service is up.
fn loading(folder: &Path) -> Child {
    let list: String = (0..20_000).map(|n| format!("Item {},1000,user{n}\n", n % 50)).collect();
    let path = folder.join("licenses.csv");
    std::fs::write(&path, format!("Item name,seats,Username\n{list}")).expect("written");
    let data = folder.join("data");
    let [path, data] = [&path, &data].map(|path| path.to_str().expect("a plain path"));
    let load = begin(&["load", "--licenses", path, "--data", data, "--create"]);
    until("the service is up", || folder.join("data/service.json").exists());
    load
}

#[test]
fn a_load_that_is_stopped_or_killed_leaves_no_service_behind() {
    for (signal, code) in [(Signal::TERM, Some(143)), (Signal::INT, Some(130)), (Signal::KILL, None)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut load = loading(folder.path());
        send(&load, signal);
        assert_eq!(ended(&mut load).code(), code, "{signal:?}");
        if code.is_none() {
            until("the service has ended", || !folder.path().join("data/service.json").exists());
        }
        // the folder is free, at once where the load could wait for it
        let mut verified = (false, String::new());
        until("the folder is free and whole", || {
            verified = verify(&folder.path().join("data"));
            verified.0 || code.is_some()
        });
        assert!(verified.0, "{signal:?}: {}", verified.1);
    }
}

#[test]
fn a_backup_that_is_stopped_leaves_no_file_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_mute, url) = mute();
    let to = folder.path().join("ledger.tar");
    let token = folder.path().join("token");
    std::fs::write(&token, ROOT_TOKEN).expect("written");
    let [to, token] = [&to, &token].map(|path| path.to_str().expect("a plain path"));
    let mut backup = begin(&["backup", "--url", &url, "--token-file", token, "--to", to]);
    until("a file is begun", || entries(folder.path()).len() > 1);
    // the signals are listened for a moment after the file is there
    std::thread::sleep(Duration::from_millis(500));
    send(&backup, Signal::TERM);
    assert_eq!(ended(&mut backup).code(), Some(143));
    assert_eq!(entries(folder.path()), ["token"]);
}

#[test]
fn a_bench_that_is_stopped_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a plain path");
    let mut bench = begin(&["bench", "--rows", "singles", "--rounds", "1", "--users", "1000", "--folder", path]);
    until("its service is up", || {
        entries(folder.path()).iter().any(|run| folder.path().join(run).join("ledger/service.json").exists())
    });
    send(&bench, Signal::TERM);
    assert_eq!(ended(&mut bench).code(), Some(143));
    assert_eq!(entries(folder.path()), [""; 0]);
}

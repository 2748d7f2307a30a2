//! A service whose words nobody reads serves on and ends when it is told to; who asks a service over TLS, or again and again,
//! is told how it stands.

use super::harness::{Client, ROOT_TOKEN, Service, asked};
use super::quorum::{Front, certificates};
use parking_lot::RwLock;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// `serve` with pipes on which nobody has read anything yet.
struct Unread(Child);

impl Unread {
    fn start(data: &Path, filter: &str) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
        program.env_clear().env("SEATLEDGER_ROOT_TOKEN", ROOT_TOKEN).arg("serve").arg("--data").arg(data);
        program.args(["--listen", "127.0.0.1:0", "--clock", "manual", "--log", filter]);
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(program.spawn().expect("the service starts"))
    }

    /// Root's calls, once the service has noted where it listens.
    fn root(&self, data: &Path) -> Client {
        for _ in 0..6000 {
            if let Ok(text) = std::fs::read_to_string(data.join("service.json")) {
                let noted: Value = serde_json::from_str(&text).expect("JSON");
                let url = noted["url"].as_str().expect("a URL").to_owned();
                return Client::new(Arc::new(RwLock::new(url)), ROOT_TOKEN);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not come up");
    }

    fn told_to_stop(&mut self) -> ExitStatus {
        let pid = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        for _ in 0..6000 {
            if let Some(status) = self.0.try_wait().expect("a child of ours") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // an error means that it is gone already
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_service_whose_log_nobody_reads_answers_on_and_ends_when_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut service = Unread::start(&data, "trace");
    let root = service.root(&data);
    root.put("/v1/tenants/acme", json!({"name": "Acme"})).created();
    let is_dropping = || root.get("/metrics").text.contains("seatledger_log_lines_dropped_total");
    let mut asked = 0;
    while !is_dropping() {
        for _ in 0..200 {
            root.put(&format!("/v1/tenants/acme/users/u{asked}"), json!({"user_name": format!("u{asked}")})).created();
            asked += 1;
        }
        assert!(asked < 50_000, "a full pipe and a full room for lines were awaited");
    }
    let status = service.told_to_stop();
    assert!(status.success(), "it ended with {status}");
}

#[test]
fn a_service_serves_though_nobody_hears_where() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let mut service = Unread::start(&data, "info");
    drop(service.0.stdout.take());
    let root = service.root(&data);
    root.put("/v1/tenants/acme", json!({"name": "Acme"})).created();
    assert!(service.told_to_stop().success());
    let mut said = String::new();
    service.0.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    assert!(said.contains("standard output does not take where the service listens"), "{said}");
}

#[test]
fn a_command_asks_over_tls_and_only_where_the_certificate_is_trusted() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("there is no openssl here");
        return;
    }
    let service = Service::shared();
    let t = service.tenant();
    let place = tempfile::tempdir().expect("a folder");
    let (ca, certificate, its_key) = certificates(&place.path().join("right"));
    let (other_ca, _, _) = certificates(&place.path().join("wrong"));
    let front = Front::start(&service.root().url(""), &certificate, &its_key);
    let reports = |ca: &Path| {
        let ca = ca.to_str().expect("a plain path");
        asked(&front.url, &["report", "--tenant", &t.name, "--ca", ca])
    };
    let (code, _, complained) = reports(&other_ca);
    assert!(code == Some(3) && complained.contains("certificate"), "{code:?}: {complained}");
    let (code, printed, complained) = reports(&ca);
    assert!(code == Some(0) && printed.contains("license-position"), "{code:?}: {complained}");
}

#[test]
fn whoever_is_asked_to_come_again_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answering = std::thread::spawn(move || {
        let low = r#"{"type":"/problems/disk-low","title":"Disk low","status":503,"detail":"too little is free"}"#;
        for (status, body) in [("503 Service Unavailable", low), ("200 OK", r#"{"items":[]}"#)] {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request's head");
                asked.extend(byte);
            }
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status}\r\nRetry-After: 0\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            stream.write_all(format!("{head}{body}").as_bytes()).expect("it is read");
        }
    });
    let (code, _, complained) = asked(&url, &["report", "--tenant", "acme"]);
    answering.join().expect("both were asked for");
    assert_eq!(code, Some(0), "{complained}");
    assert!(complained.contains("disk-low") && complained.contains("is asked again"), "{complained}");
}

//! How many witnesses must have cosigned, with real ones: one goes away, one has seen another history, one is slow, one is
//! behind TLS. A head without its quorum is never called cosigned; offline, ours and the reader in Python refuse it, too.

use crate::crowd::{Crowd, Town};
use crate::harness::{Service, Tenant};
use crate::merkle_log::{act, copy, head, key, service};
use crate::witness::Witness;
use seatledger::merkle::{Note, Policy, ProofFile, VerifierKey};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const TOWN: Town = Town { people: 20, devices: 5, pools: 2, seats: 4 };

/// So many witnesses that know the tenant's log, each in a folder of its own.
fn witnesses(place: &Path, t: &Tenant, names: &[&str]) -> Vec<Witness> {
    let start = |name: &&str| {
        let folder = place.join(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("logs"), format!("{}\n", key(t))).expect("written");
        Witness::named(&folder, "127.0.0.1:0", &format!("witness.example/{name}"))
    };
    names.iter().map(start).collect()
}

fn set(service: &mut Service, asked: &[(String, VerifierKey)], quorum: usize) {
    let asked: Vec<String> = asked.iter().map(|(url, key)| format!("{url} {key}")).collect();
    service.set("SEATLEDGER_WITNESSES", serde_json::json!(asked).to_string());
    service.set("SEATLEDGER_WITNESS_QUORUM", quorum.to_string());
    service.set("SEATLEDGER_QUORUM_SECONDS_MAX", "2".to_owned());
}

fn of(witnesses: &[Witness]) -> Vec<(String, VerifierKey)> {
    witnesses.iter().map(|witness| (witness.url.clone(), witness.key())).collect()
}

/// Waits for a cosigned head that covers the newest event.
fn cosigned(t: &Tenant) -> String {
    let path = format!("/log/checkpoint?cosigned=true&at_least={}", t.head());
    for _ in 0..300 {
        let answer = t.get(&path);
        if answer.status == 200 {
            return answer.text;
        }
        answer.problem("head-not-cosigned");
        thread::sleep(Duration::from_millis(100));
    }
    panic!("no head is cosigned: {}", t.get("/log/witnesses").text);
}

fn state(t: &Tenant, witness: &str) -> String {
    let body = t.get("/log/witnesses").ok();
    let found = body["witnesses"].as_array().expect("witnesses").iter().find(|one| one["name"] == witness);
    found.expect("it is known")["state"].as_str().expect("a word").to_owned()
}

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..300 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("it does not come to this: {what}");
}

/// `seatledger check` and the reader in Python, each with the policy: whether they accept the head.
fn accepted(folder: &Path, note: &str, policy: &str) -> (bool, Option<bool>) {
    let path = |name: &str| folder.join(name);
    fs::write(path("checkpoint"), note).expect("written");
    fs::write(path("policy"), policy).expect("written");
    let mut ours = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    ours.env_clear().arg("check").arg(path("checkpoint")).arg("--policy").arg(path("policy"));
    let ours = ours.output().expect("the program runs");
    assert!([Some(0), Some(1)].contains(&ours.status.code()), "{ours:?}");
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/reader/seatledger_log.py")).arg("head");
    python.arg(path("checkpoint")).arg("--policy").arg(path("policy"));
    let python = python.output().ok().map(|output| {
        assert!([Some(0), Some(1)].contains(&output.status.code()), "{output:?}");
        output.status.success()
    });
    (ours.status.success(), python)
}

#[track_caller]
fn check(folder: &Path, note: &str, policy: &str, is_good: bool) {
    let (ours, python) = accepted(folder, note, policy);
    assert_eq!((ours, python.unwrap_or(is_good)), (is_good, is_good), "{note}\n{policy}");
}

#[test]
fn a_head_is_cosigned_by_enough_or_by_nobody_and_whoever_checks_sees_it() {
    let mut service = service();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    let place = tempfile::tempdir().expect("a folder");
    let mut three = witnesses(place.path(), &t, &["w1", "w2", "w3"]);
    let keys: Vec<VerifierKey> = three.iter().map(Witness::key).collect();
    let addresses: Vec<String> = three.iter().map(|one| one.url.trim_start_matches("http://").to_owned()).collect();
    t.get("/log/checkpoint?cosigned=true").problem("head-not-cosigned");
    service.stop();
    set(&mut service, &of(&three), 2);
    service.start_again();
    // all of them
    let note = cosigned(&t);
    let policy = t.get("/log/policy");
    assert_eq!(policy.header("seatledger-position"), Some(t.head().to_string().as_str()));
    let policy = policy.text;
    let strict = Policy::text(&[key(&t)], &keys, 3);
    check(place.path(), &note, &policy, true);
    check(place.path(), &head_by_nobody(&note), &policy, false);
    let proof = t.get("/log/proofs/3?cosigned=true").text;
    let proof = ProofFile::parse(proof.as_bytes()).expect("a proof");
    Policy::parse(policy.as_bytes()).expect("a policy").open(proof.checkpoint.as_bytes(), None).expect("a quorum");
    // one is down: two are enough, and not for who wants three
    let down = three.remove(0);
    drop(down);
    act(&t, &mut crowd, 5);
    let note = cosigned(&t);
    check(place.path(), &note, &policy, true);
    check(place.path(), &note, &strict, false);
    until("it is said that one is silent", || state(&t, "witness.example/w1") == "silent");
    assert!(service.root().get("/readyz").text.contains("witness.example/w1 does not answer"));
    // two are down: the last cosigned head stays, and the newest is none
    three.remove(0);
    act(&t, &mut crowd, 5);
    let newest = head(&t);
    thread::sleep(Duration::from_secs(3));
    t.get(&format!("/log/checkpoint?cosigned=true&at_least={}", t.head())).problem("head-not-cosigned");
    assert_eq!(t.get("/log/checkpoint?cosigned=true").text, note);
    check(place.path(), &t.get("/log/checkpoint").text, &policy, false);
    t.get(&format!("/log/proofs/{}?cosigned=true", newest.size - 1)).problem("head-not-cosigned");
    until("a head waits", || service.root().get("/readyz").text.contains("wait for their quorum"));
    let metrics = service.root().get("/metrics").text;
    assert!(metrics.contains("seatledger_quorums_waiting 1"), "{metrics}");
    // through a kill the last cosigned head stays
    service.kill();
    service.start_again();
    assert_eq!(t.get("/log/checkpoint?cosigned=true").text, note);
    // the second comes back
    three.push(Witness::named(&place.path().join("w2"), &addresses[1], "witness.example/w2"));
    let note = cosigned(&t);
    check(place.path(), &note, &policy, true);
}

/// The note with the log's signature alone.
fn head_by_nobody(note: &str) -> String {
    let mut note = Note::parse(note.as_bytes()).expect("a note");
    note.signatures.retain(|signature| !signature.name.starts_with("witness"));
    note.to_string()
}

/// A witness at the end of a slow line: every answer takes so long.
fn slow_line(to: &str, delay: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let to = to.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        for mut caller in listener.incoming().map_while(Result::ok) {
            let to = to.clone();
            thread::spawn(move || {
                let mut witness = TcpStream::connect(to).expect("the witness");
                let mut back = (witness.try_clone().expect("a socket"), caller.try_clone().expect("a socket"));
                thread::spawn(move || std::io::copy(&mut caller, &mut witness));
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = back.0.read(&mut bytes) {
                    thread::sleep(delay);
                    if back.1.write_all(&bytes[..read]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn one_that_refuses_is_told_and_a_slow_one_holds_nobody_back_from_a_quorum() {
    let mut service = service();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    TOWN.build(&t);
    head(&t);
    let place = tempfile::tempdir().expect("a folder");
    let three = witnesses(place.path(), &t, &["w1", "w2", "w3"]);
    let mut asked = of(&three);
    // w2 has seen another end of this history
    service.stop();
    let older = place.path().join("older");
    copy(&service.data(), &older);
    set(&mut service, &asked[1..2], 1);
    service.start_again();
    act(&t, &mut Crowd::new(TOWN, "another".to_owned(), seed), 30);
    cosigned(&t);
    service.stop();
    fs::remove_dir_all(service.data()).expect("removed");
    copy(&older, &service.data());
    asked[2].0 = slow_line(&asked[2].0, Duration::from_millis(2500));
    set(&mut service, &asked, 2);
    service.start_again();
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed.wrapping_add(1));
    // heads come faster than the slow one signs
    for _ in 0..10 {
        act(&t, &mut crowd, 8);
        thread::sleep(Duration::from_millis(400));
    }
    let note = cosigned(&t);
    let parsed = Note::parse(note.as_bytes()).expect("a note");
    let signed: Vec<&str> = parsed.signatures.iter().map(|line| line.name.as_str()).collect();
    assert!(signed.contains(&"witness.example/w1") && signed.contains(&"witness.example/w3"), "{note}");
    assert!(!signed.contains(&"witness.example/w2"), "{note}");
    until("it is said that one refuses", || state(&t, "witness.example/w2") == "refuses");
    let ready = service.root().get("/readyz");
    assert_eq!(ready.status, 200, "commands are taken all the same");
    assert!(ready.text.contains("witness.example/w2 refuses the heads of 1 tenants"), "{}", ready.text);
    assert!(!ready.text.contains(&t.name), "strangers read it: {}", ready.text);
    assert!(service.root().get("/metrics").text.contains("seatledger_witness_refusals 1"));
}

/// A TLS server in front of a witness or a service: Python's, which is another implementation than ours.
pub(crate) struct Front {
    child: Child,
    pub(crate) url: String,
}

const FRONT: &str = r#"
import http.client, http.server, ssl, sys
to, certificate, key = sys.argv[1:4]
class Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        asked = http.client.HTTPConnection(to)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        passed = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        asked.request(self.command, self.path, body or None, passed)
        answer = asked.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

impl Front {
    pub(crate) fn start(behind: &str, certificate: &Path, key: &Path) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", FRONT, behind.trim_start_matches("http://")]).arg(certificate).arg(key);
        let mut child = python.stdout(Stdio::piped()).spawn().expect("python runs");
        let mut port = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().expect("its output"));
        std::io::BufRead::read_line(&mut output, &mut port).expect("it can be read");
        Self { child, url: format!("https://localhost:{}", port.trim()) }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // an error means that it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn openssl(folder: &Path, args: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(args).output().expect("openssl runs");
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A CA and a certificate for localhost: the CA's, the certificate's and the key's file.
pub(crate) fn certificates(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
    fs::create_dir_all(folder).expect("a folder");
    let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(
        folder,
        &[&new[..], &["-x509", "-days", "2", "-subj", "/CN=ours", "-keyout", "ca.key", "-out", "ca.pem"]].concat(),
    );
    openssl(folder, &[&new[..], &["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request"]].concat());
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("written");
    let sign = ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    openssl(folder, &[&sign[..], &["-extfile", "names", "-out", "certificate.pem"]].concat());
    (folder.join("ca.pem"), folder.join("certificate.pem"), folder.join("key.pem"))
}

#[test]
fn a_witness_behind_tls_is_asked_and_only_where_its_certificate_is_trusted() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("there is no openssl here");
        return;
    }
    let mut service = service();
    let t = service.tenant();
    TOWN.build(&t);
    let place = tempfile::tempdir().expect("a folder");
    let one = witnesses(place.path(), &t, &["w1"]).remove(0);
    let (ca, certificate, its_key) = certificates(&place.path().join("right"));
    let (other_ca, _, _) = certificates(&place.path().join("wrong"));
    let front = Front::start(&one.url, &certificate, &its_key);
    service.stop();
    set(&mut service, &[(front.url.clone(), one.key())], 1);
    // neither by the machine's own, if it has any, nor by those of another CA
    service.set("SEATLEDGER_WITNESS_CA", other_ca.display().to_string());
    service.start_again();
    until("it is not trusted", || state(&t, "witness.example/w1") == "silent");
    let why = t.get("/log/witnesses").text;
    assert!(why.contains("certificate"), "{why}");
    t.get("/log/checkpoint?cosigned=true").problem("head-not-cosigned");
    service.stop();
    service.set("SEATLEDGER_WITNESS_CA", ca.display().to_string());
    service.start_again();
    let note = cosigned(&t);
    assert!(note.contains("witness.example/w1"), "{note}");
    assert_eq!(state(&t, "witness.example/w1"), "well");
}

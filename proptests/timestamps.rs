//! Timestamps of each day's head from a real authority: `openssl ts -reply` behind HTTP. What it stamped `openssl ts -verify`
//! takes; an outage is caught up; and what is no good answer is named and not kept.

use crate::crowd::{Crowd, Town};
use crate::harness::{Service, Tenant, run_program};
use crate::merkle_log::{act, head, service};
use crate::quorum::{openssl, until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TOWN: Town = Town { people: 10, devices: 2, pools: 2, seats: 4 };

/// Does what the file `mood` says; `well` is what an authority does.
const AUTHORITY: &str = r#"
import http.server, os, subprocess, sys
os.chdir(sys.argv[1])
class Authority(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"]))
        mood = open("mood").read().strip()
        if mood == "another nonce":
            query = bytes(query[:-4]) + bytes([query[-4] ^ 1]) + query[-3:]
        if mood == "another imprint":
            at = query.index(b"\x04\x20") + 2
            query = query[:at] + bytes(32) + query[at + 32:]
        open("query", "wb").write(query)
        config = "no.config" if mood == "rejected" else "config"
        subprocess.run(["openssl", "ts", "-reply", "-config", config, "-queryfile", "query", "-out", "reply"], check=True, stderr=subprocess.DEVNULL)
        body = open("reply", "rb").read()
        body = {"garbage": b"<html>", "oversized": bytes(1 << 20), "cut": body[:-9]}.get(mood, body)
        open("moods", "a").write(mood + "\n")
        self.send_response(503 if mood == "down" else 200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Authority)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

const CONFIG: &str = "\
[tsa]
default_tsa = ours
[ours]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
tsa_name = yes
certs = ca.pem
";

/// A running authority. Dropped, it is killed.
pub(crate) struct Authority {
    child: Child,
    pub(crate) url: String,
    folder: tempfile::TempDir,
}

impl Authority {
    /// `None` without openssl or python.
    pub(crate) fn start() -> Option<Self> {
        Command::new("openssl").arg("version").output().ok()?;
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        let new = ["req", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        openssl(
            at,
            &[&new[..], &["-x509", "-days", "999", "-subj", "/CN=root", "-keyout", "ca.key", "-out", "ca.pem"]]
                .concat(),
        );
        openssl(at, &[&new[..], &["-subj", "/CN=tsa", "-keyout", "tsa.key", "-out", "request"]].concat());
        fs::write(at.join("usage"), "extendedKeyUsage=critical,timeStamping\n").expect("written");
        let sign =
            ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "999"];
        openssl(at, &[&sign[..], &["-extfile", "usage", "-out", "tsa.pem"]].concat());
        fs::write(at.join("serial"), "01\n").expect("written");
        fs::write(at.join("config"), CONFIG).expect("written");
        fs::write(at.join("no.config"), CONFIG.replace("digests = sha256", "digests = sha512")).expect("written");
        fs::write(at.join("mood"), "well").expect("written");
        let mut python = Command::new("python3");
        python.args(["-c", AUTHORITY]).arg(at).stdout(Stdio::piped());
        let mut child = python.spawn().ok()?;
        let mut port = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        output.read_line(&mut port).expect("it can be read");
        Some(Self { child, url: format!("http://127.0.0.1:{}/", port.trim()), folder })
    }

    fn is(&self, mood: &str) {
        fs::write(self.folder.path().join("mood"), mood).expect("written");
    }

    /// How often it has answered so.
    fn answered(&self, mood: &str) -> usize {
        let moods = fs::read_to_string(self.folder.path().join("moods")).unwrap_or_default();
        moods.lines().filter(|line| *line == mood).count()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // an error means that it is gone already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority's answer for these bytes, and its CA. `None` without openssl.
pub(crate) fn a_timestamp(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let authority = Authority::start()?;
    let at = authority.folder.path();
    fs::write(at.join("data"), bytes).expect("written");
    openssl(at, &["ts", "-query", "-data", "data", "-sha256", "-cert", "-out", "query"]);
    openssl(at, &["ts", "-reply", "-config", "config", "-queryfile", "query", "-out", "reply"]);
    Some((fs::read(at.join("reply")).expect("an answer"), fs::read(at.join("ca.pem")).expect("a certificate")))
}

fn ask(service: &mut Service, authority: &Authority, ca: &Path) {
    service.stop();
    service.set("SEATLEDGER_TIMESTAMP_URL", authority.url.clone());
    service.set("SEATLEDGER_TIMESTAMP_CA", ca.display().to_string());
    service.start_again();
}

pub(crate) fn stamps(t: &Tenant) -> Vec<Value> {
    t.get("/log/timestamps").ok()["timestamps"].as_array().expect("timestamps").clone()
}

pub(crate) fn is_stamped(stamp: &Value) -> bool {
    stamp["response"].is_string()
}

/// Whether openssl, which is a stranger, takes what was kept.
fn openssl_takes(stamp: &Value, ca: &Path) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("head"), stamp["checkpoint"].as_str().expect("a head")).expect("written");
    let response = STANDARD.decode(stamp["response"].as_str().expect("an answer")).expect("base64");
    fs::write(path("head.tsr"), response).expect("written");
    let mut openssl = Command::new("openssl");
    openssl.args(["ts", "-verify", "-data"]).arg(path("head")).arg("-in").arg(path("head.tsr")).arg("-CAfile").arg(ca);
    openssl.output().expect("openssl runs").status.success()
}

/// `seatledger verify-timestamp` on what somebody took away: good as it is, and named where it is not.
fn taken_away(t: &Tenant, stamp: &Value, ca: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let note = stamp["checkpoint"].as_str().expect("a head");
    let response = STANDARD.decode(stamp["response"].as_str().expect("an answer")).expect("base64");
    let listed = t.get("/log/timestamps").text;
    fs::write(path("list"), &listed).expect("written");
    fs::write(path("head"), note).expect("written");
    fs::write(path("tsr"), &response).expect("written");
    let trusted = ca.to_string_lossy().into_owned();
    let says = |args: &[&str], code: i32, words: &str| {
        let (found, out, complaint) = run_program(&[&["verify-timestamp"], args].concat());
        assert!(
            found == Some(code) && format!("{out}{complaint}").contains(words),
            "{args:?}: {found:?} {out}{complaint}"
        );
    };
    let (head, tsr, list) = (path("head"), path("tsr"), path("list"));
    says(&[&head, &tsr, "--trust", &trusted], 0, &format!("over {} records was there at 20", stamp["size"]));
    says(&["--list", &list, "--trust", &trusted, "--json"], 0, "\"is_stamped\":true");
    // another head, an answer that is another, one that is still waited for, and another authority
    fs::write(path("other"), note.replacen(&format!("\n{}\n", stamp["size"]), "\n7\n", 1)).expect("written");
    says(&[&path("other"), &tsr, "--trust", &trusted], 1, "a timestamp of something else");
    fs::write(path("cut"), &response[..response.len() - 1]).expect("written");
    says(&[&head, &path("cut"), "--trust", &trusted], 1, "not the DER of a TimeStampResp");
    fs::write(path("waits"), listed.replacen(stamp["response"].as_str().expect("an answer"), "", 1)).expect("written");
    says(&["--list", &path("waits"), "--trust", &trusted], 1, "IT IS NOT STAMPED");
    let Some((_, theirs)) = a_timestamp(b"something else") else { return };
    fs::write(path("theirs"), theirs).expect("written");
    says(&[&head, &tsr, "--trust", &path("theirs")], 1, "its certificate is not trusted");
    says(&[&head, &tsr, "--trust", &path("theirs"), "--trust", &trusted], 0, "was there at");
    // what is none of these files
    says(&[&tsr, &tsr, "--trust", &trusted], 1, "it is no head");
    says(&[&head, &tsr, "--trust", &head], 5, "the certificates of the authority can't be read");
    says(&[&head, &path("nowhere"), "--trust", &trusted], 5, "nowhere");
    says(&["--list", &head, "--trust", &trusted], 5, "is no answer of GET /log/timestamps");
    says(&[&head, "--trust", &trusted], 2, "RESPONSE");
    says(&[&head, &tsr], 2, "--trust");
}

#[test]
fn each_days_head_is_stamped_and_an_outage_is_caught_up() {
    let Some(authority) = Authority::start() else { return eprintln!("there is no openssl here") };
    let ca = authority.folder.path().join("ca.pem");
    let mut service = service();
    let t = service.tenant();
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    TOWN.build(&t);
    let mut crowd = Crowd::new(TOWN, "asker".to_owned(), seed);
    head(&t);
    assert_eq!(stamps(&t).len(), 0, "nobody is asked");
    ask(&mut service, &authority, &ca);
    until("the first day is stamped", || stamps(&t).iter().any(is_stamped));
    assert!(openssl_takes(&stamps(&t)[0], &ca));
    // more on the same day, and a day on which nothing comes: nothing more is stamped
    act(&t, &mut crowd, 5);
    head(&t);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(stamps(&t).len(), 1);
    // days without the authority, a kill between them, are caught up when it is back
    authority.is("down");
    for _ in 0..3 {
        service.advance_days(1);
        act(&t, &mut crowd, 5);
        head(&t);
        let so_far = stamps(&t).len();
        until("the day's head is set aside", || stamps(&t).len() > so_far);
        service.kill();
        service.start_again();
    }
    let waiting = stamps(&t);
    assert_eq!((waiting.len(), waiting.iter().filter(|stamp| is_stamped(stamp)).count()), (4, 1));
    until("it is said", || service.root().get("/readyz").text.contains("3 heads wait for a timestamp"));
    authority.is("well");
    until("all of them are stamped", || stamps(&t).iter().all(is_stamped));
    let all = stamps(&t);
    assert_eq!(all.len(), 4);
    for (stamp, waited) in all.iter().zip(&waiting) {
        assert_eq!(stamp["checkpoint"], waited["checkpoint"], "the head of the day, and no later one");
        assert!(openssl_takes(stamp, &ca), "{stamp}");
    }
    taken_away(&t, &all[0], &ca);
    let sizes: Vec<u64> = all.iter().map(|stamp| stamp["size"].as_u64().expect("a size")).collect();
    assert!(sizes.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {sizes:?}");
    let second = all[2]["date"].as_str().expect("a date");
    let older = t.get(&format!("/log/timestamps?to={second}")).ok();
    assert_eq!(older["timestamps"].as_array().expect("timestamps").len(), 2);
    t.get("/log/timestamps?to=yesterday").problem("invalid-query");
    assert!(!service.root().get("/readyz").text.contains("wait for a timestamp"));
}

#[test]
fn what_is_no_good_answer_is_named_and_not_kept() {
    let Some(authority) = Authority::start() else { return eprintln!("there is no openssl here") };
    let Some(another) = Authority::start() else { return };
    let mut service = service();
    let t = service.tenant();
    TOWN.build(&t);
    head(&t);
    let moods = [
        ("another nonce", "nonce is another one"),
        ("another imprint", "imprint is another one"),
        ("garbage", "not the DER of a TimeStampResp"),
        ("cut", "not the DER of a TimeStampResp"),
        ("oversized", "more than 65536 bytes"),
        ("rejected", "the authority says no (status 2)"),
        ("down", "503"),
    ];
    for (mood, named) in moods {
        authority.is(mood);
        // a start asks at once, however long the last pause was
        ask(&mut service, &authority, &authority.folder.path().join("ca.pem"));
        // asked twice: the first answer was not kept
        until(mood, || authority.answered(mood) > 1 && service.log().contains(named));
        assert!(stamps(&t).iter().all(|stamp| stamp["response"].is_null()), "{mood}");
    }
    // somebody else's signature
    authority.is("well");
    ask(&mut service, &authority, &another.folder.path().join("ca.pem"));
    until("it is not trusted", || service.log().contains("its certificate is not trusted"));
    assert!(stamps(&t).iter().all(|stamp| stamp["response"].is_null()));
    ask(&mut service, &authority, &authority.folder.path().join("ca.pem"));
    until("it is stamped", || stamps(&t).iter().all(is_stamped));
}

//! Connections that misbehave: bodies that are too large or never end, heads and bodies that trickle, calls without a token
//! in masses. Each meets a bound, and the service goes on serving others. Not here: bodies that are merely wrong.

use crate::harness::{Options, ROOT_TOKEN, Service};
use reqwest::Method;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// A connection without a client's manners. What the service says is read beside, so that a reset does not eat it.
struct Wire {
    stream: TcpStream,
    said: Receiver<String>,
}

impl Wire {
    fn open(service: &Service, head: &str) -> Self {
        let url = service.root().url("");
        let stream = TcpStream::connect(url.trim_start_matches("http://")).expect("a connection");
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let (mut reader, (send, said)) = (stream.try_clone().expect("a second handle"), sync_channel(1));
        std::thread::spawn(move || {
            let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                text.extend_from_slice(buffer.get(..read).unwrap_or_default());
            }
            // nobody listens any more when the test is over
            let _ = send.send(String::from_utf8_lossy(&text).into_owned());
        });
        let mut wire = Self { stream, said };
        assert!(wire.write(head.as_bytes()), "the head is taken");
        wire
    }

    /// Whether the other side still takes bytes.
    fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Everything that was said until the service closed the connection.
    #[track_caller]
    fn until_closed(self) -> String {
        self.said.recv_timeout(Duration::from_secs(20)).expect("the service closes the connection")
    }
}

fn head(service: &Service, tenant: &str, more: &str) -> String {
    let host = service.root().url("").trim_start_matches("http://").to_owned();
    format!(
        "PUT /v1/tenants/{tenant}/users/eve HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {ROOT_TOKEN}\r\nContent-Type: application/json\r\n{more}"
    )
}

fn quick() -> Service {
    let environment = [
        ("SEATLEDGER_REQUEST_SECONDS_MAX", "2"),
        ("SEATLEDGER_HEAD_SECONDS_MAX", "1"),
        ("SEATLEDGER_STRANGER_REQUESTS_PER_SECOND", "5"),
    ];
    let environment = environment.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Service::start_with(Options { environment, ..Options::default() })
}

#[test]
fn a_body_of_10_megabytes_is_too_large_declared_or_not() {
    let service = Service::shared();
    let t = service.tenant();
    let head = t.head();
    let large = format!(r#"{{"user_name": "{}"}}"#, "e".repeat(10 << 20));
    t.call(Method::PUT, "/users/eve").body("application/json", large.clone()).send().problem("too-large");
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        large.into_bytes().chunks(64 << 10).map(|chunk| Ok(chunk.to_vec())).collect();
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    t.call(Method::PUT, "/users/eve").body("application/json", body).send().problem("too-large");
    assert_eq!(t.head(), head);
}

#[test]
fn what_can_not_be_cut_into_parts_may_be_as_large_as_many_commands() {
    let environment = vec![("SEATLEDGER_BODY_BYTES_MAX", "2000".to_owned())];
    let service = Service::start_with(Options { environment, ..Options::default() });
    let t = service.tenant();
    let item = |number: u32| {
        json!({
            "sku": format!("app-{number}"), "license_type": "offline", "name": format!("App {number}"), "owned": 1,
            "distribution_policy": "restricted",
        })
    };
    let whole = json!({"complete": true, "items": (0..50).map(item).collect::<Vec<_>>()});
    assert!(whole.to_string().len() > 2000);
    t.post("/inventory", whole).ok();
    assert_eq!(t.list("/pools").len(), 50);
    t.put("/users/ada", json!({"user_name": "ada"})).created();
    let many = json!({"kind": "users", "members": vec!["ada"; 1000]});
    t.put("/groups/all", many.clone()).created();
    t.as_role("auditor").put("/groups/all", many).problem("forbidden");
    t.put("/users/eve", json!({"user_name": "e".repeat(3000)})).problem("too-large");
}

/// A client that sends all it has before it listens. Closed on with some of it unread, it would see a reset and no answer.
#[test]
fn who_is_refused_while_still_sending_hears_why() {
    let service = Service::shared();
    let t = service.tenant();
    let lines = vec![b' '; 6 << 20];
    let auditor = t.post("/tokens", json!({"name": "the auditor", "role": "auditor"})).created();
    for (token, status) in [("no-such-token", "401"), (auditor["token"].as_str().expect("a token"), "403")] {
        let url = service.root().url("");
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        write!(
            stream,
            "POST /v1/tenants/{}/commands HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
            t.name,
            url.trim_start_matches("http://"),
            lines.len(),
        )
        .expect("the head is taken");
        stream.write_all(&lines).expect("all is taken");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an answer and an end");
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
    }
}

#[test]
fn a_body_that_never_ends_is_cut_off() {
    let service = Service::shared();
    let t = service.tenant();
    let before = t.head();
    let mut wire = Wire::open(&service, &head(&service, &t.name, "Transfer-Encoding: chunked\r\n\r\n"));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let taken = (0..1600).take_while(|_| wire.write(chunk.as_bytes())).count();
    assert!(taken < 1600, "the service took {taken} chunks of 64 KiB and still does");
    let said = wire.until_closed();
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    assert!(said.contains("/problems/too-large"), "{said}");
    assert_eq!(t.head(), before);
}

#[test]
fn a_declared_length_beyond_the_bound_is_refused_before_the_body() {
    let service = Service::shared();
    let t = service.tenant();
    let wire = Wire::open(&service, &head(&service, &t.name, "Content-Length: 10000000000\r\n\r\n"));
    let said = wire.until_closed();
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
}

#[test]
fn what_trickles_is_given_up_and_others_are_served_meanwhile() {
    let service = quick();
    let t = service.tenant();
    let before = t.head();
    let mut slow_head = Wire::open(&service, "GET /v1/tenants HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    let slow_body = Wire::open(&service, &head(&service, &t.name, "Content-Length: 100\r\n\r\n{\"user_name\""));
    let broken = Wire::open(&service, "\x16\x03\x01 this is no HTTP\r\n\r\n");
    let silent = Wire::open(&service, "");
    let idle = Wire::open(&service, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
    let preface = Wire::open(&service, "PRI * HTTP/2.0\r\n");
    assert!(slow_head.write(b"still"));
    t.user("ada");
    assert!(broken.until_closed().starts_with("HTTP/1.1 400 "));
    assert_eq!(silent.until_closed(), "");
    assert!(idle.until_closed().starts_with("HTTP/1.1 200 "));
    preface.until_closed();
    let said = slow_head.until_closed();
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408 "), "{said}");
    let said = slow_body.until_closed();
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("/problems/request-timeout"), "{said}");
    assert_eq!(t.head(), before + 1, "nothing but Ada");
}

#[test]
fn heads_are_bounded() {
    let service = Service::shared();
    let t = service.tenant();
    let many: String = (0..200).map(|number| format!("X-Header-{number}: x\r\n")).collect();
    let said = Wire::open(&service, &head(&service, &t.name, &format!("{many}\r\n"))).until_closed();
    assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000));
    let said = Wire::open(&service, &path).until_closed();
    assert!(said.starts_with("HTTP/1.1 414 ") || said.starts_with("HTTP/1.1 431 "), "{said}");
}

#[test]
fn a_head_that_another_may_read_otherwise_is_refused_and_does_nothing() {
    let service = Service::shared();
    let t = service.tenant();
    let before = t.head();
    let body = "Connection: close\r\nContent-Length: 19\r\n\r\n{\"user_name\":\"eve\"}";
    let whole = head(&service, &t.name, body);
    let without_host: Vec<&str> = whole.split_inclusive("\r\n").filter(|line| !line.starts_with("Host:")).collect();
    let twice = |header: &str| head(&service, &t.name, &format!("{header}\r\n{body}"));
    for sent in [without_host.concat(), twice("Host: elsewhere"), twice("Authorization: Bearer another")] {
        let said = Wire::open(&service, &sent).until_closed();
        assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("/problems/unreadable-request"), "{said}");
        assert_eq!(t.head(), before);
    }
    let said = Wire::open(&service, &whole).until_closed();
    assert!(said.starts_with("HTTP/1.1 201 ") || said.starts_with("HTTP/1.1 200 "), "{said}");
    assert_eq!(t.head(), before + 1);
}

#[test]
fn strangers_are_turned_away_at_a_rate_and_those_who_are_known_are_not() {
    let service = quick();
    let t = service.tenant();
    let stranger = t.with_token("guess");
    let answers: Vec<_> = (0..30).map(|_| stranger.get("/pools")).collect();
    let turned_away = answers.iter().filter(|answer| answer.status == 429).count();
    assert!((10..30).contains(&turned_away), "{turned_away} of 30");
    let late = answers.into_iter().rfind(|answer| answer.status == 429).unwrap();
    assert_eq!(late.header("retry-after"), Some("1"));
    late.problem("too-many-requests");
    t.get("/pools").ok();
    t.post("/inventory", json!({"items": []})).ok();
}

/// What the log opens for a checkpoint is not for connections, however few files may be open.
#[test]
fn strangers_who_say_nothing_leave_the_log_its_file_descriptors() {
    let environment = vec![("SEATLEDGER_CHECKPOINT_SECONDS", "1".to_owned())];
    let options = Options { environment, files_max: Some(200), ..Options::default() };
    let mut service = Service::start_with(options);
    let body = r#"{"name":"Acme"}"#;
    let head = format!(
        "PUT /v1/tenants/acme HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {ROOT_TOKEN}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // it has its place before the strangers come
    let mut known = Wire::open(&service, &head);
    let address = service.root().url("").trim_start_matches("http://").to_owned();
    let strangers: Vec<_> = (0..300).map(|_| TcpStream::connect(&address).expect("a connection")).collect();
    let open_files = format!("/proc/{}/fd", service.pid());
    let eventually = |what: &str, is_so: &dyn Fn() -> bool| {
        for _ in 0..400 {
            if is_so() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{what}");
    };
    eventually("the strangers are taken", &|| std::fs::read_dir(&open_files).is_ok_and(|open| open.count() > 100));
    // for as many more as it would take
    std::thread::sleep(Duration::from_millis(500));
    assert!(known.write(body.as_bytes()), "the body is taken");
    let answer = known.until_closed();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let manifest = service.data().join("manifest-0000000000000002");
    eventually("a checkpoint is made while they are there", &|| manifest.exists());
    drop(strangers);
    service.stop();
}

/// Whoever asks about the past and hangs up leaves a few folds behind, and no wait for its turn on a thread each.
#[test]
fn reads_of_the_past_that_nobody_waits_for_stop_nobody_else() {
    let mut service = Service::start();
    let (t, other) = (service.tenant(), service.tenant());
    let user = |n: u64| json!({"type": "put_user", "user": format!("user{n}"), "user_name": format!("user{n}")});
    for thousands in 0..5 {
        let lines: Vec<_> = (thousands * 4000..(thousands + 1) * 4000).map(user).collect();
        t.post("/commands", json!(lines)).ok();
    }
    let head = t.head();
    let (url, root) = (service.root().url(""), ROOT_TOKEN);
    let place = t.url("/digest").strip_prefix(&url).expect("below the service").to_owned();
    for n in 0..1500 {
        // from anywhere: no state at hand is near
        let position = head / 2 + n * 7919 % (head / 2);
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("a connection");
        let asked = format!("GET {place}?as_of={position} HTTP/1.1\r\nhost: s\r\nauthorization: Bearer {root}\r\n\r\n");
        stream.write_all(asked.as_bytes()).expect("the call is taken");
    }
    let patience = Duration::from_secs(10);
    for n in 0..5 {
        let users = other.call(Method::GET, "/users").within(patience).send().ok();
        assert_eq!(users["items"].as_array().map(Vec::len), Some(n));
        let bulk = other.call(Method::POST, "/commands").json(&json!([user(n as u64)]));
        assert_eq!(bulk.within(patience).send().ok()["results"][0]["status"], "done");
    }
    t.call(Method::GET, "/users").within(patience).send().ok();
    // and those that are still waiting do not hold up its end
    service.stop();
}

//! The certificate that the cap held, as an auditor meets it: taken from the service by its command, checked without the service
//! by our command, by the reader in Python and by tools that we did not write; and everything that must not pass for one.

use crate::harness::{ROOT_TOKEN, Service, Tenant, asked, run_program};
use crate::reader::{busy, reader, said};
use crate::strangers::{accepts_note, openssl_accepts};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// A service after a busy day, and a folder for what is taken away from it.
pub(crate) struct Audit {
    _service: Service,
    pub(crate) tenant: Tenant,
    folder: tempfile::TempDir,
}

impl Audit {
    pub(crate) fn begin() -> Self {
        let service = Service::start();
        let tenant = service.tenant();
        busy(&tenant);
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("token"), ROOT_TOKEN).expect("written");
        fs::write(folder.path().join("key"), tenant.get("/log/key").text).expect("written");
        Self { _service: service, tenant, folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn log_url(&self) -> String {
        self.tenant.url("/log")
    }

    /// Takes something by a command that writes it into a file.
    pub(crate) fn take(&self, command: &str, name: &str, to: &str, more: &[&str]) -> PathBuf {
        let url = self.tenant.url("");
        let (base, tenant) = url.split_once("/v1/tenants/").expect("a tenant's path");
        let out = self.path(name);
        let (code, _, complaint) = asked(base, &[&[command, "--tenant", tenant, to, &out], more].concat());
        assert_eq!(code, Some(0), "{complaint}");
        PathBuf::from(out)
    }

    fn certificate(&self, name: &str, more: &[&str]) -> PathBuf {
        self.take("certificate", name, "--out", more)
    }

    /// Checks one by the command: with which number it ended, and everything that it said.
    fn verify(&self, file: &Path, more: &[&str]) -> (Option<i32>, String) {
        let file = file.to_string_lossy();
        let (code, out, complaint) = run_program(&[&["verify-certificate", &file], more].concat());
        (code, format!("{out}{complaint}"))
    }

    /// With the key that was kept and the service's tiles.
    fn verify_there(&self, file: &Path) -> (Option<i32>, String) {
        let (url, token, key) = (self.log_url(), self.path("token"), self.path("key"));
        self.verify(file, &["--tiles", &url, "--token-file", &token, "--key", &key])
    }
}

/// The verifier key of certificates, made of the log's by the document alone.
fn certificates_key(log: &str) -> String {
    let parts: Vec<&str> = log.trim().splitn(3, '+').collect();
    let name = format!("{}/certificate", parts[0]);
    let key = STANDARD.decode(parts[2]).expect("base64");
    let id = Sha256::new().chain_update(&name).chain_update("\n").chain_update(&key).finalize();
    format!("{name}+{}+{}", hex::encode(&id[..4]), parts[2])
}

#[test]
fn a_certificate_is_checked_without_the_service_by_us_and_by_strangers() {
    let audit = Audit::begin();
    let t = &audit.tenant;
    let middle = t.head() / 2;
    let whole = audit.certificate("whole", &[]);
    let half = audit.certificate("half", &["--from", &middle.to_string()]);
    let pool = audit.certificate("pool", &["--to", &middle.to_string(), "--pool", "pool_0"]);
    let text = fs::read_to_string(&whole).expect("a text");
    let scope: Value = serde_json::from_str(text.lines().nth(1).expect("lines")).expect("JSON");
    assert!(scope["times_over"].as_u64() > Some(0), "the deficit is in it: {scope}");
    assert_eq!(scope["pools"], 4);
    for line in text.lines().filter(|line| line.starts_with("{\"pool\":")) {
        let pool: Value = serde_json::from_str(line).expect("JSON");
        let shown = t
            .get(&format!(
                "/reports/cap?to={}&pool={}",
                scope["to"]["size"].as_u64().expect("a size") - 1,
                pool["pool"].as_str().expect("an id")
            ))
            .ok();
        let row = &shown["items"][0];
        let owned = if pool["owned_min"].is_null() { Value::from("unlimited") } else { pool["owned_min"].clone() };
        assert_eq!(
            (&pool["held_max"], &owned, &pool["refusals"]),
            (&row["held_max"], &row["owned_min"], &row["refusals"])
        );
        assert_eq!(pool["grants_above_cap"], 0);
        assert!(pool["grants"].as_u64() > Some(0), "{pool}");
    }
    // strangers find the signature good, under the name that the document gives the key
    let log_key = fs::read_to_string(audit.path("key")).expect("a key");
    let key = certificates_key(&log_key);
    assert!(accepts_note(&key, text.as_bytes()));
    assert!(!accepts_note(log_key.trim(), text.as_bytes()), "and it is none of the key of heads");
    assert!(!accepts_note(&key, text.replacen("\"grants\":", "\"grants\":1", 1).as_bytes()));
    if let Some(is_accepted) = openssl_accepts(&key, &text) {
        assert!(is_accepted);
        assert_eq!(openssl_accepts(&key, &text.replacen("\"pools\":4", "\"pools\":5", 1)), Some(false));
    }
    // the log goes on; what was certified stays true of it
    t.owns("app-2", 1);
    for file in [&whole, &half, &pool] {
        let (code, words) = audit.verify_there(file);
        assert_eq!(code, Some(0), "{words}");
        assert!(words.contains("is true of") && words.contains("0 of them without a free seat"), "{words}");
    }
    let (code, words) =
        audit.verify(&whole, &["--json", "--tiles", &audit.log_url(), "--token-file", &audit.path("token")]);
    assert_eq!(code, Some(0), "{words}");
    assert!(
        words.contains("\"is_true\":true") && words.contains("the key is taken from where the tiles are"),
        "{words}"
    );
    let mirror = audit.path("mirror");
    let mirrored = reader(&["mirror", "--token-file", &audit.path("token"), &audit.log_url(), &mirror]);
    let Some(mirrored) = mirrored else { return };
    assert!(mirrored.status.success(), "{}", said(&mirrored));
    for file in [&whole, &half, &pool] {
        let (code, words) = audit.verify(file, &["--tiles", &mirror, "--key", log_key.trim()]);
        assert_eq!(code, Some(0), "{words}");
        let theirs = reader(&["certificate", &file.to_string_lossy(), &mirror]).expect("it ran before");
        assert!(theirs.status.success(), "{}", said(&theirs));
    }
    // whoever reads is read
    let reads = t.list("/reports/access-log");
    let of_certificates: Vec<&Value> = reads.iter().filter(|read| read["report"] == "certificate").collect();
    assert_eq!(of_certificates.len(), 3, "{reads:?}");
    assert_eq!(
        (&of_certificates[1]["from"], &of_certificates[2]["pool"]),
        (&Value::from(middle), &Value::from("pool_0"))
    );
}

#[test]
fn what_was_touched_is_refused_by_us_and_by_the_reader() {
    let audit = Audit::begin();
    let good = audit.certificate("good", &[]);
    let text = fs::read_to_string(&good).expect("a text");
    let mirror = audit.path("mirror");
    let mirrored = reader(&["mirror", "--token-file", &audit.path("token"), &audit.log_url(), &mirror]);
    let bad = PathBuf::from(audit.path("bad"));
    // every number of every line, one higher
    let mut changed = 0;
    for (at, _) in text.match_indices(|c: char| c.is_ascii_digit()) {
        let is_figure = text[..at].ends_with(':') && !text[..at].ends_with("size\":");
        if !is_figure || text[at..].starts_with("1790") {
            continue;
        }
        let end = at + text[at..].find(|c: char| !c.is_ascii_digit()).expect("an end");
        let number: u64 = text[at..end].parse().expect("a number");
        let touched = format!("{}{}{}", &text[..at], number + 1, &text[end..]);
        fs::write(&bad, &touched).expect("written");
        changed += 1;
        if changed % 5 == 1 {
            let (code, words) = audit.verify_there(&bad);
            assert_eq!(code, Some(1), "{words}");
            assert!(words.contains("is not over this text"), "{words}");
        }
        // the reader looks at no signature: it finds the figure
        if mirrored.is_some() {
            let theirs = reader(&["certificate", &bad.to_string_lossy(), &mirror]).expect("it ran before");
            assert_eq!(theirs.status.code(), Some(1), "{touched}\n{}", said(&theirs));
            assert!(said(&theirs).contains("it does not hold"), "{}", said(&theirs));
        }
    }
    assert!(changed > 30, "{changed} figures were changed");
    if mirrored.is_some() {
        let bundle = Path::new(&mirror).join("tile/entries/001");
        let mut bytes = fs::read(&bundle).expect("a bundle");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&bundle, &bytes).expect("written");
        let (code, words) = audit.verify(&good, &["--tiles", &mirror, "--key", &audit.path("key")]);
        assert_eq!(code, Some(1), "{words}");
        let theirs = reader(&["certificate", &good.to_string_lossy(), &mirror]).expect("it ran before");
        assert_eq!(theirs.status.code(), Some(1), "{}", said(&theirs));
        fs::remove_file(&bundle).expect("removed");
        let (code, words) = audit.verify(&good, &["--tiles", &mirror, "--key", &audit.path("key")]);
        assert_eq!(code, Some(3), "{words}");
        assert!(words.contains("tile/entries/001 is not there"), "{words}");
    }
}

#[test]
fn bad_questions_and_bad_files_are_named() {
    let audit = Audit::begin();
    let t = &audit.tenant;
    let good = audit.certificate("good", &[]);
    for (query, problem) in [
        ("?from=9&to=3", "range-reversed"),
        ("?to=99999999", "position-not-reached"),
        ("?from=99999999", "position-not-reached"),
        ("?from=yesterday", "invalid-query"),
        ("?pool=declared:nothing", "pool-not-found"),
        ("?as_of=3", "invalid-query"),
        ("?user=user_1", "invalid-query"),
        ("?format=csv", "invalid-query"),
        ("?at_least=-1", "invalid-query"),
    ] {
        t.get(&format!("/reports/certificate{query}")).problem(problem);
    }
    t.without_token().get("/reports/certificate").problem("unauthorized");
    let other = "other.example/log+d1b5dc5c+AbDl5cfFXUZ8ekW6KGLYvzCPdW5eCLYFuQVTzMOTdNrT";
    let text = fs::read_to_string(&good).expect("a text");
    let file = |content: &str| {
        let path = PathBuf::from(audit.path("file"));
        fs::write(&path, content).expect("written");
        path
    };
    let head = t.get("/log/checkpoint").text;
    for (content, why) in [
        ("", "empty line"),
        ("nothing\n", "empty line"),
        (&text[..text.len() / 2], "empty line"),
        (head.as_str(), "no key that is known"),
        (&text.replace("/certificate ", " "), "no key that is known"),
        ("\u{0}\n\n\u{2014} a AAAAAAAA\n", "control characters"),
        (&"x".repeat(9 << 20), "neither signed nor read"),
    ] {
        let (code, words) = audit.verify_there(&file(content));
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains(why), "{why}: {words}");
    }
    let tiles = audit.log_url();
    let (token, wrong) = (audit.path("token"), audit.path("wrong"));
    fs::write(&wrong, "nobody").expect("written");
    for (arguments, code, why) in [
        (vec!["--tiles", &tiles, "--token-file", &token, "--key", other], 5, "no verifier key and no file"),
        (vec!["--tiles", &tiles, "--token-file", &token, "--key", "/nowhere"], 5, "no verifier key and no file"),
        (vec!["--tiles", "/nowhere", "--key", "/nowhere"], 5, "no such folder"),
        (vec!["--tiles", "/", "--token-file", &token], 2, "--key is missing"),
        (vec!["--tiles", &tiles], 4, "401"),
        (vec!["--tiles", &tiles, "--token-file", &wrong], 4, "401"),
        (vec!["--tiles", &tiles, "--token-file", &wrong, "--key", &audit.path("key")], 4, "401"),
        (vec!["--tiles", "http://127.0.0.1:1/log"], 3, "key"),
    ] {
        let (ended, words) = audit.verify(&good, &arguments);
        assert!(words.contains(why), "{why}: {words}");
        assert_eq!(ended, Some(code), "{words}");
    }
    // another log's key, and a good one of another name
    let another = audit._service.tenant();
    fs::write(audit.path("key"), another.get("/log/key").text).expect("written");
    let (code, words) = audit.verify_there(&good);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("no key that is known"), "{words}");
}

//! An evidence bundle as who receives it meets it: taken by the command, checked by our command, by the reader in Python, by
//! `sha256sum` and by tools that we did not write; and refused when somebody touched it.

use crate::certificates::Audit;
use crate::harness::{asked, encode, run_program};
use crate::reader::{reader, said};
use crate::strangers::{accepts_inclusion, accepts_note, head_of};
use reqwest::Method;
use seatledger::merkle::ProofFile;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn verify(file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let file = file.to_string_lossy();
    let (code, out, complaint) = run_program(&[&["verify-bundle", &file], more].concat());
    (code, format!("{out}{complaint}"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn a_bundle_is_checked_by_us_and_by_strangers_with_nothing_else() {
    let audit = Audit::begin();
    let bundle = audit.take("export", "bundle.tar", "--to", &["--proof", "--pool", "pool_0"]);
    let key = audit.path("key");
    let (code, words) = verify(&bundle, &["--key", &key]);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("and say what is said") && !words.contains("the bundle's own"), "{words}");
    assert!(words.contains("no proof covers the names") && !words.contains("WARNING"), "{words}");
    let (code, words) = verify(&bundle, &["--json"]);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("\"is_proven\":true") && words.contains("\"is_key_its_own\":true"), "{words}");
    assert!(words.contains("\"are_names_proven\":false"), "{words}");
    // everything that is about the pool is in it
    let folder = PathBuf::from(audit.path("unpacked"));
    let mut archive = tar::Archive::new(fs::File::open(&bundle).expect("a file"));
    archive.unpack(&folder).expect("a tar");
    let expected = audit.tenant.list("/events?pool=pool_0");
    let words = fs::read_to_string(folder.join("events.ndjson")).expect("words");
    let told: Vec<Value> = words.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(told.len(), expected.len());
    assert!(told.len() > 100);
    for (told, event) in told.iter().zip(&expected) {
        assert_eq!(
            (&told["data"], told["position"].as_str()),
            (&event["data"], Some(event["position"].to_string().as_str()))
        );
    }
    // strangers: the head's signature, and each record's way to it
    let note = fs::read(folder.join("checkpoint")).expect("a head");
    let log_key = fs::read_to_string(&key).expect("a key");
    assert!(accepts_note(log_key.trim(), &note));
    let (_, size, root) = head_of(&note);
    let proofs = files(&folder.join("proofs"));
    assert_eq!(proofs.len(), told.len());
    for path in &proofs {
        let proof = ProofFile::parse(&fs::read(path).expect("a proof")).expect("a proof");
        let record = proof.extra.expect("its record");
        assert!(accepts_inclusion(&record, proof.index, size, &proof.path, &root), "{}", path.display());
    }
    let sums = Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(&folder).status();
    assert!(sums.is_ok_and(|status| status.success()), "sha256sum finds every file as it was");
    // the reader that is in the bundle checks the bundle, with the types that are in it
    let Some(theirs) = reader(&["bundle", &bundle.to_string_lossy()]) else { return };
    assert!(theirs.status.success(), "{}", said(&theirs));
    let inside = folder.join("schemas/reader/seatledger_log.py");
    let own = Command::new("python3").arg(inside).arg("bundle").arg(&bundle).output().expect("it ran before");
    assert!(own.status.success(), "{}", said(&own));
    // and both refuse it touched: a figure, a proof, a head
    let good = fs::read(&bundle).expect("a file");
    let bad = PathBuf::from(audit.path("bad.tar"));
    for mark in ["\"data\":{", "index ", "extra ", "\"events\": ", "proofs/", "c2sp.org"] {
        let mut bytes = good.clone();
        let at = bytes.windows(mark.len()).position(|window| window == mark.as_bytes()).expect("it is there");
        bytes[at + mark.len() + 2] ^= 1;
        fs::write(&bad, &bytes).expect("written");
        let (code, words) = verify(&bad, &["--key", &key]);
        assert_eq!(code, Some(1), "{mark}: {words}");
        let theirs = reader(&["bundle", &bad.to_string_lossy()]).expect("it ran before");
        assert!(
            matches!(theirs.status.code(), Some(1 | 2)) && !said(&theirs).contains("Traceback"),
            "{mark}: {}",
            said(&theirs)
        );
    }
}

/// A command with an id leaves a hash of its content, and names are in that.
#[test]
fn who_has_a_bundle_and_no_vault_can_t_try_names_until_one_fits() {
    let audit = Audit::begin();
    let t = &audit.tenant;
    let name = "grace@example.org";
    let put = json!({"user_name": name});
    t.call(Method::PUT, &format!("/users/{}", encode(name))).key("grace-1").json(&put).send().created();
    let assign = json!({"pool": "declared:app-1", "target": {"user": name}, "intent": "available"});
    let mut line = assign.clone();
    (line["id"], line["type"]) = ("grace-2".into(), "assign".into());
    let results = t.post("/commands", json!([line])).ok();
    assert_eq!(results["results"][0]["status"], "done", "{results:#}");
    let guess = |kind: &str, content: Value| Sha256::digest(json!([kind, content]).to_string())[..8].to_vec();
    let guesses = [guess("put_user", json!({"user": name, "user_name": name})), guess("assign", assign)];
    let bundle = audit.take("export", "bundle.tar", "--to", &["--proof", "--user", name]);
    let folder = PathBuf::from(audit.path("unpacked"));
    tar::Archive::new(fs::File::open(&bundle).expect("a file")).unpack(&folder).expect("a tar");
    let words = fs::read_to_string(folder.join("events.ndjson")).expect("words");
    assert!(words.contains("grace-1") && words.contains("grace-2"), "{words}");
    let proofs = files(&folder.join("proofs"));
    assert!(proofs.len() >= 2);
    // an export is for another ledger, whose vault puts its own mask on: it has the names in words, and these hashes
    let export = t.get("/export/events?format=ndjson").text;
    for guess in &guesses {
        let hex = hex::encode(guess);
        assert!(export.contains(&hex) && !words.contains(&hex), "{hex}: {words}");
        for path in &proofs {
            let proof = ProofFile::parse(&fs::read(path).expect("a proof")).expect("a proof");
            let record = proof.extra.expect("its record");
            assert!(!record.windows(guess.len()).any(|part| part == guess), "{hex} in {}", path.display());
        }
    }
}

/// The same files with their sums made anew, each changed by this.
fn forged(bundle: &Path, change: impl Fn(&str, String) -> String) -> Vec<u8> {
    let (mut builder, mut sums) = (tar::Builder::new(Vec::new()), String::new());
    for entry in tar::Archive::new(fs::File::open(bundle).expect("a file")).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let (name, mut text) = (entry.path().expect("a name").to_string_lossy().into_owned(), String::new());
        entry.read_to_string(&mut text).expect("a text");
        let text = if name == "SHA256SUMS" { sums.clone() } else { change(&name, text) };
        sums += &format!("{}  {name}\n", hex::encode(Sha256::digest(&text)));
        let mut header = entry.header().clone();
        header.set_size(text.len() as u64);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).expect("a tar");
    }
    builder.into_inner().expect("a tar")
}

#[test]
fn what_somebody_else_says_of_an_event_is_refused_by_us_and_by_the_reader() {
    let audit = Audit::begin();
    let bundle = audit.take("export", "bundle.tar", "--to", &["--proof", "--pool", "pool_0"]);
    let bad = PathBuf::from(audit.path("bad.tar"));
    let refused = |bytes: Vec<u8>, why: &str| {
        fs::write(&bad, bytes).expect("written");
        let (code, words) = verify(&bad, &["--key", &audit.path("key")]);
        assert_eq!(code, Some(1), "{why}: {words}");
        let Some(theirs) = reader(&["bundle", &bad.to_string_lossy()]) else { return };
        assert!(theirs.status.code() == Some(1) && said(&theirs).contains(why), "{why}: {}", said(&theirs));
    };
    for (from, to, why) in [
        ("\"actor\":\"root\"", "\"actor\":\"token_7\"", "actor is said to be"),
        ("\"door\":\"http\"", "\"door\":\"cli\"", "door is said to be"),
        ("\"eventversion\":1", "\"eventversion\":2", "eventversion is said to be"),
        ("\"eventversion\":1", "\"eventversion\":true", "eventversion is said to be"),
        ("\"contenthash\":\"", "\"contenthash\":\"0", "contenthash is said to be"),
        (",\"actor\":", ",\"actor\":\"token_7\",\"actor\":", "a name stands twice"),
    ] {
        let bytes = forged(&bundle, |name, text| {
            let changed = if name == "events.ndjson" { text.replacen(from, to, 1) } else { text.clone() };
            assert!(name != "events.ndjson" || changed != text, "{from} is in it");
            changed
        });
        refused(bytes, why);
    }
    let long = forged(&bundle, |name, text| {
        let first = format!("{{\"position\":\"0\",\"x\":[{}0]}}\n", "[],".repeat(1 << 20));
        if name == "events.ndjson" { first + text.split_once('\n').expect("lines").1 } else { text }
    });
    refused(long, "longer than");
    // 64 MiB out of half a KiB: a file of holes
    let mut header = tar::Header::new_gnu();
    header.set_path("bundle.json").expect("a short name");
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    if let Some(sparse) = header.as_gnu_mut() {
        sparse.realsize = *b"00400000000\0";
        sparse.sparse[0].offset = *b"00400000000\0";
        sparse.sparse[0].numbytes = *b"00000000000\0";
    }
    header.set_cksum();
    refused([header.as_bytes().as_slice(), &[0; 1024]].concat(), "no plain file");
}

#[test]
fn what_no_bundle_can_be_made_of_or_taken_for_is_named() {
    let audit = Audit::begin();
    let t = &audit.tenant;
    for (query, problem) in [
        ("?proof=true&format=csv", "invalid-query"),
        ("?proof=true&order=newest", "invalid-query"),
        ("?proof=true&pool=declared:nothing", "pool-not-found"),
        ("?proof=true&type=nothing", "invalid-query"),
        ("?proof=true&from=99999999", "position-not-reached"),
        ("?proof=perhaps", "invalid-query"),
        ("?pool=pool_0", "invalid-query"),
    ] {
        t.get(&format!("/export/events{query}")).problem(problem);
    }
    let file = |content: &[u8]| {
        let path = PathBuf::from(audit.path("file"));
        fs::write(&path, content).expect("written");
        path
    };
    for (content, why) in [
        (b"".as_slice(), "ends before bundle.json"),
        (&[0; 4096], "bundle.json is missing"),
        (&[7; 4096], "its header is damaged"),
        (b"{}", "ends before bundle.json"),
    ] {
        let (code, words) = verify(&file(content), &[]);
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains(why), "{why}: {words}");
    }
    let (code, words) = verify(Path::new("/nowhere"), &[]);
    assert_eq!(code, Some(5), "{words}");
}

#[test]
fn a_bundle_that_could_not_be_had_leaves_no_file_behind() {
    let audit = Audit::begin();
    let url = audit.tenant.url("");
    let (base, tenant) = url.split_once("/v1/tenants/").expect("a tenant's path");
    let out = audit.path("nothing.tar");
    let (code, _, complaint) =
        asked(base, &["export", "--tenant", tenant, "--proof", "--pool", "pool_99", "--to", &out]);
    assert!(code == Some(1) && complaint.contains("pool-not-found"), "{complaint}");
    assert!(!Path::new(&out).exists());
}

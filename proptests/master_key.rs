//! Another master key through the real program: killed at whatever moment, the names can be read; and an old backup gives back no
//! name that was erased since. Not here: every state that a cut leaves (`src/vault/rotation/tests.rs`).

use crate::harness::{Service, run_program, user, verify};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn run(arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = run_program(arguments);
    (code.expect("an exit code"), out + &err)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Strikes the key of a subject, as an erasure does.
fn strike(data: &Path, subject: usize) {
    let path = data.join("subject.keys");
    let mut keys = fs::read(&path).expect("the keys");
    let slot = &mut keys[128 + subject * 80..][..80];
    slot.fill(0);
    slot[0] = 2;
    let sum = crc32fast::hash(&slot[..76]).to_be_bytes();
    slot[76..].copy_from_slice(&sum);
    fs::write(path, keys).expect("written");
}

#[test]
fn an_old_backup_gives_back_no_name_that_was_erased_since() {
    let mut service = Service::start();
    let tenant = service.tenant();
    for name in ["ada", "bob"] {
        tenant.user(name);
    }
    let data = service.data();
    let place = |name: &str| data.with_file_name(name);
    let (old, new, old_key) = (place("old.tar"), place("new.tar"), place("old.key"));
    let (code, busy) = run(&["rotate-master-key", "--data", text(&data)]);
    assert!(code == 5 && busy.contains("stop it first"), "{code} {busy}");
    service.stop();
    let (code, said) = run(&["backup", "--data", text(&data), "--to", text(&old), "--with-master-key"]);
    assert_eq!(code, 0, "{said}");
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    for round in 0..12_u64 {
        let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
        program.env_clear().args(["rotate-master-key", "--data", text(&data)]);
        let mut child = program.spawn().expect("the program runs");
        std::thread::sleep(Duration::from_millis(seed.wrapping_mul(round + 1) % 40));
        child.kill().expect("a child of ours");
        child.wait().expect("it ends");
        let (is_whole, words) = verify(&data);
        assert!(is_whole && words.contains("every seal with its own"), "round {round}: {words}");
    }
    service.start_again();
    assert_eq!(tenant.get(&format!("/users/{}", user("bob"))).ok()["user_name"], "bob@example.org");
    service.stop();
    // the erasure, and what makes it good for backups
    fs::copy(data.join("master.key"), &old_key).expect("the old key");
    strike(&data, 1);
    let between = place("between.tar");
    let (code, said) = run(&["backup", "--data", text(&data), "--to", text(&between)]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = run(&["rotate-master-key", "--data", text(&data)]);
    assert!(code == 0 && said.contains("1 of them erased") && said.contains("Destroy every copy"), "{code} {said}");
    service.start_again();
    assert_eq!(tenant.get(&format!("/users/{}", user("ada"))).ok()["user_name"], "ada@example.org");
    tenant.user("eve");
    service.stop();
    let (code, said) = run(&["backup", "--data", text(&data), "--to", text(&new)]);
    assert_eq!(code, 0, "{said}");
    let (lost, key) = (place("lost"), place("lost/master.key"));
    fs::rename(&data, &lost).expect("the folder is lost");
    let restore = |more: &[&str]| run(&[&["restore", "--data", text(&data)], more].concat());
    let (code, said) = restore(&["--from", text(&between), "--master-key-file", text(&key)]);
    assert!(code == 5 && said.contains("--keys-from") && !data.exists(), "{code} {said}");
    let (code, said) = restore(&["--from", text(&old), "--keys-from", text(&new)]);
    assert!(code == 5 && said.contains("master key") && !data.exists(), "{code} {said}");
    let with_old = ["--from", text(&old), "--keys-from", text(&new), "--master-key-file", text(&old_key)];
    let (code, said) = restore(&with_old);
    assert!(code == 5 && !data.exists(), "{code} {said}");
    let (code, said) = restore(&["--from", text(&old), "--keys-from", text(&new), "--master-key-file", text(&key)]);
    assert!(code == 0 && said.contains("newer backup"), "{code} {said}");
    assert!(!data.join("master.key").exists(), "the old backup's is left out");
    fs::copy(&key, data.join("master.key")).expect("the copy of the master key");
    let (is_whole, words) = verify(&data);
    assert!(is_whole && words.contains("1 erased"), "{words}");
    service.start_again();
    assert_eq!(tenant.get(&format!("/users/{}", user("ada"))).ok()["user_name"], "ada@example.org");
    let listed = tenant.get("/users").text;
    assert!(!listed.contains("bob@example.org"), "{listed}");
}

#[test]
fn a_key_of_the_environment_is_changed_into_a_file() {
    let mut service = Service::start();
    let tenant = service.tenant();
    tenant.user("ada");
    service.stop();
    let data = service.data();
    let key = data.join("master.key");
    let old = fs::read_to_string(&key).expect("a key");
    fs::remove_file(&key).expect("removed");
    let to = data.with_file_name("next.key");
    let rotate = |more: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
        program.env_clear().env("SEATLEDGER_MASTER_KEY", old.trim()).args(["rotate-master-key", "--data", text(&data)]);
        let output = program.args(more).output().expect("the program runs");
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8(said).expect("text"))
    };
    let (code, said) = rotate(&[]);
    assert!(code == Some(2) && said.contains("--to"), "{code:?} {said}");
    let (code, said) = rotate(&["--to", text(&data.join("next.key"))]);
    assert!(code == Some(2) && said.contains("elsewhere"), "{code:?} {said}");
    let (code, said) = rotate(&["--to", text(&to), "--json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{code:?} {said}"));
    assert_eq!((code, &said["generation"]), (Some(0), &1.into()), "{said:#}");
    let (code, said) = rotate(&["--to", text(&data.with_file_name("another.key"))]);
    assert!(code == Some(5) && said.contains("the master key is not the one"), "{code:?} {said}");
    let new = fs::read_to_string(&to).expect("the new key");
    service.set("SEATLEDGER_MASTER_KEY", new.trim().to_owned());
    service.start_again();
    assert_eq!(tenant.get(&format!("/users/{}", user("ada"))).ok()["user_name"], "ada@example.org");
}

//! The program's own look at a data folder, against what the running service said: verify, replay, backup and restore as
//! an operator runs them. Not here: every way in which bytes can rot (`src/ledger/verify/tests.rs`).

use crate::harness::{Service, Tenant};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    let output = command.args(arguments).env_clear().output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

fn json(arguments: &[&str]) -> (i32, Value) {
    let (code, out, err) = run(&[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{arguments:?}: {code}\n{out}\n{err}")))
}

fn verified(data: &Path) -> Value {
    let (code, found) = json(&["verify", "--data", data.to_str().expect("a path")]);
    assert_eq!((code, &found["is_whole"]), (0, &Value::Bool(true)), "{found:#}");
    found
}

/// A life with holders, a queue and a refusal.
fn live(tenant: &Tenant) {
    tenant.owns("office", 2);
    for name in ["ada", "bob", "eve"] {
        tenant.user(name);
        tenant.assign_to_user("office", name, "required");
    }
    tenant.owns("visio", "unlimited");
    tenant.assign_to_user("visio", "eve", "available").ok();
}

/// What a replay says of the only tenant's pools, beside what the service said of them.
fn assert_replayed(data: &Path, tenant: &str, position: u64, pools: &[Value]) -> Value {
    let (code, replayed) = json(&["replay", "--data", data.to_str().expect("a path"), "--tenant", tenant]);
    assert_eq!(code, 0, "{replayed:#}");
    let replayed = replayed["tenants"][0].clone();
    assert_eq!(replayed["position"], position);
    for (replayed, said) in replayed["pools"].as_array().expect("pools").iter().zip(pools) {
        for figure in ["key", "owned", "held", "reserved", "in_use", "free", "over_by", "queued"] {
            assert_eq!(replayed[figure], said[figure], "{figure} of {replayed:#} and {said:#}");
        }
    }
    assert_eq!(replayed["pools"].as_array().map(Vec::len), Some(pools.len()));
    replayed
}

#[test]
fn a_folder_is_verified_replayed_backed_up_and_restored_to_the_same_figures() {
    let mut service = Service::start();
    let tenant = service.tenant();
    live(&tenant);
    let (head, pools) = (tenant.head(), tenant.list("/pools"));
    assert!(pools.iter().any(|pool| pool["held"] == 2), "{pools:?}");
    let beside = verified(&service.data());
    assert!(beside["notes"].to_string().contains("a service is running"), "{beside:#}");
    let data = service.data();
    let file = data.with_file_name("backup.tar");
    let (data, to) = (data.to_str().expect("a path"), file.to_str().expect("a path"));

    service.kill();
    verified(&service.data());
    service.start_again();
    service.stop();
    let found = verified(&service.data());
    assert_eq!(found["tenants"][0]["position"], head);
    assert!(found["are_seals_opened"] == true && found["subjects"] == 3, "{found:#}");
    let replayed = assert_replayed(&service.data(), &tenant.name, head, &pools);
    assert_eq!(replayed["digest"], found["tenants"][0]["digest"]);

    let (code, _, err) = run(&["backup", "--data", data, "--to", to]);
    assert_eq!(code, 0, "{err}");
    let lost = service.data().with_file_name("lost");
    std::fs::rename(service.data(), &lost).expect("the folder is lost");
    let (code, out, err) = run(&["restore", "--from", to, "--data", data]);
    assert!(code == 0 && out.contains("This is a new log") && out.contains("master.key"), "{code} {out} {err}");
    let again = assert_replayed(&service.data(), &tenant.name, head, &pools);
    assert_eq!(again["digest"], replayed["digest"]);

    std::fs::copy(lost.join("master.key"), service.data().join("master.key")).expect("the copy of the master key");
    service.start_again();
    assert_eq!(tenant.list("/pools"), pools);
    assert_eq!(tenant.get("/users/name:ada%40example.org").ok()["user_name"], "ada@example.org");
    service.stop();
    let events = verified(&service.data());
    assert_eq!(events["tenants"][0]["position"], head + 1, "one event says that this log was restored");
}

#[test]
fn a_restore_says_which_tokens_are_good_again() {
    let mut service = Service::start();
    let tenant = service.tenant();
    live(&tenant);
    let (early, late) = (tenant.as_role("admin"), tenant.as_role("operator"));
    let ids: Vec<Value> = tenant.list("/tokens").iter().map(|token| token["token_id"].clone()).collect();
    let revoke = |id: &Value| tenant.delete(&format!("/tokens/{}", id.as_str().expect("an id"))).ok();
    revoke(&ids[0]);
    let data = service.data();
    let file = data.with_file_name("backup.tar");
    let (folder, to) = (data.to_str().expect("a path"), file.to_str().expect("a path"));
    service.stop();
    let (code, _, err) = run(&["backup", "--data", folder, "--to", to]);
    assert_eq!(code, 0, "{err}");
    service.start_again();
    revoke(&ids[1]);
    assert_eq!((early.get("/pools").status, late.get("/pools").status), (401, 401));
    service.stop();
    let lost = data.with_file_name("lost");
    std::fs::rename(&data, &lost).expect("the folder is lost");
    let trial = data.with_file_name("trial");
    let (code, out, err) = run(&["restore", "--from", to, "--data", trial.to_str().expect("a path")]);
    assert!(code == 0 && out.contains("the operator") && out.contains("revoked after the backup"), "{out} {err}");
    assert!(!out.contains("the admin"), "{out}");
    let (code, said) = json(&["restore", "--from", to, "--data", folder]);
    let [token] = &said["tokens"].as_array().expect("tokens")[..] else { panic!("one is good: {said:#}") };
    assert_eq!((code, &token["tenant"], &token["token_id"]), (0, &Value::from(tenant.name.as_str()), &ids[1]));
    assert_eq!((&token["name"], &token["role"]), (&Value::from("the operator"), &Value::from("operator")));
    assert!(
        token["since"].is_string() && token["expires_at"].is_null() && !token.to_string().contains("sl_"),
        "{token:#}"
    );
    std::fs::copy(lost.join("master.key"), data.join("master.key")).expect("the copy of the master key");
    service.start_again();
    assert_eq!((early.get("/pools").status, late.get("/pools").status), (401, 200), "as it was said");
}

#[test]
fn the_first_bad_byte_is_named_and_the_exit_code_says_so() {
    let mut service = Service::start();
    live(&service.tenant());
    service.stop();
    let path = service.data().join("journal/0000000001.segment");
    let mut bytes = std::fs::read(&path).expect("a segment");
    bytes[600] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let data = service.data();
    let data = data.to_str().expect("a path");
    let (code, out, err) = run(&["verify", "--data", data]);
    assert!(code == 1 && out.contains("IS NOT WHOLE") && out.contains("position"), "{code} {out} {err}");
    assert!(!out.contains("panicked") && !err.contains("panicked"), "{out} {err}");
    let (code, found) = json(&["verify", "--data", data]);
    assert!(code == 1 && found["findings"][0]["file"].as_str().expect("a file").contains("journal/"), "{found:#}");
    let (code, _, err) = run(&["replay", "--data", data]);
    assert!(code == 5 && err.contains("journal/"), "{code} {err}");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let (code, _, err) = run(&["verify", "--data", elsewhere.path().to_str().expect("a path")]);
    assert!(code == 5 && err.contains("no ledger"), "{code} {err}");
}

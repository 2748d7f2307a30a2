//! The program's other commands, run on a data folder: what they print and how they end.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(command: &str, data: &Path, more: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("RUST_BACKTRACE", "1").arg(command).arg("--data").arg(data).args(more);
    program.output().expect("the program runs")
}

fn words(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

/// `seatledger verify`: whether everything is as it was written, and what was printed.
pub(crate) fn verify(data: &Path) -> (bool, String) {
    let output = run("verify", data, &[]);
    (output.status.success(), words(&output))
}

/// The same with heads that were kept elsewhere: with which number it ended, and what was printed.
pub(crate) fn verify_against(data: &Path, kept_heads: &[&Path]) -> (Option<i32>, String) {
    let heads = kept_heads.iter().flat_map(|file| ["--kept-head", file.to_str().expect("a plain path")]);
    let output = run("verify", data, &heads.collect::<Vec<_>>());
    (output.status.code(), words(&output))
}

/// `seatledger serve` on a folder that it must not serve: what it says instead.
///
/// # Panics
/// When it serves it.
pub(crate) fn refused_to_serve(data: &Path) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().arg("serve").arg("--data").arg(data).args(["--listen", "127.0.0.1:0", "--clock", "manual"]);
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let (mut first, mut said) = ([0; 1], String::new());
    // it ends without a word on its output, or says where it listens
    let is_serving = child.stdout.take().expect("its output").read(&mut first).expect("it can be read") > 0;
    if is_serving {
        child.kill().expect("a child of ours");
    }
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    let status = child.wait().expect("it ends");
    assert!(!is_serving && !status.success(), "it serves {}: {said}", data.display());
    said
}

/// `seatledger replay`: by tenant, the last position and the digest of the state that the journal alone comes to.
///
/// # Panics
/// When it does not come to anything.
pub(crate) fn replay(data: &Path) -> BTreeMap<String, (u64, String)> {
    let output = run("replay", data, &["--json"]);
    assert!(output.status.success(), "replay: {}", words(&output));
    let replayed: Value = serde_json::from_slice(&output.stdout).expect("replay prints JSON");
    let tenants = replayed["tenants"].as_array().expect("tenants").iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    tenants
        .map(|one| (text(&one["tenant"]), (one["position"].as_u64().expect("a position"), text(&one["digest"]))))
        .collect()
}

/// `seatledger load` into the folder of a stopped service: the totals and the receipts.
///
/// # Panics
/// When a row was refused, or a figure differs.
pub(crate) fn load(data: &Path, lists: &[(&str, &Path)], more: &[&str]) -> Value {
    let lists: Vec<&str> =
        lists.iter().flat_map(|(list, file)| [*list, file.to_str().expect("a plain path")]).collect();
    let output = run("load", data, &[&lists, more, &["--json"]].concat());
    assert!(output.status.success(), "load: {}", words(&output));
    serde_json::from_slice(&output.stdout).expect("load prints JSON")
}

/// Any command: with which number it ended, and what it printed and complained of.
pub(crate) fn run_program(args: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    let output = program.env_clear().env("RUST_BACKTRACE", "1").args(args).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A command that asks the service at `url` as root: with which number it ended, and what it printed and complained of.
pub(crate) fn asked(url: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("RUST_BACKTRACE", "1").env("SEATLEDGER_TOKEN", super::ROOT_TOKEN).args(args);
    let output = program.args(["--url", url]).output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

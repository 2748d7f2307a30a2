//! Access reviews by the command line, on the real service: opened, shown, decided seat by seat and by a spreadsheet that goes
//! out and comes back, ended and cancelled; and with which number each ends.

use crate::harness::{ROOT_TOKEN, Tenant, user};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The number it ended with, and what it printed and complained of.
struct Ended {
    code: Option<i32>,
    out: String,
    complaint: String,
}

impl Ended {
    #[track_caller]
    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.complaint);
        self.out
    }

    #[track_caller]
    fn with(self, code: i32, words: &str) -> String {
        let said = format!("{}{}", self.out, self.complaint);
        assert!(self.code == Some(code) && said.contains(words), "{:?} {words}: {said}", self.code);
        said
    }
}

fn url(t: &Tenant) -> String {
    t.url("").split("/v1").next().expect("an address").to_owned()
}

fn review_as(t: &Tenant, token: &str, before: &[&str], args: &[&str]) -> Ended {
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("SEATLEDGER_TOKEN", token).env("SEATLEDGER_URL", url(t));
    program.args(["review", "--tenant", &t.name]).args(before).args(args);
    let output = program.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), complaint: text(&output.stderr) }
}

fn review(t: &Tenant, args: &[&str]) -> Ended {
    review_as(t, ROOT_TOKEN, &[], args)
}

fn json_of(t: &Tenant, args: &[&str]) -> Value {
    serde_json::from_str(&review_as(t, ROOT_TOKEN, &["--json"], args).well()).expect("JSON")
}

/// A new token of a role: its id and its secret.
fn token(t: &Tenant, role: &str) -> (String, String) {
    let made = t.post("/tokens", json!({"name": format!("the {role}"), "role": role})).created();
    let text = |field: &str| made[field].as_str().expect("a text").to_owned();
    (text("token_id"), text("token"))
}

/// A pool of five seats that four people hold; a name among them begins like a formula.
fn organization() -> Tenant {
    let t = Tenant::shared();
    t.owns("office", 5);
    let names = ["ada", "bob", "carl", "=2+3@example.org"];
    for name in names {
        t.user(name);
        t.assign_to_user("office", name, "required").created();
    }
    t
}

/// The sheet with this decision in every row whose line has the word, and nothing else changed.
fn filled(sheet: &str, decisions: &[(&str, &str)]) -> String {
    let mut reader = csv::Reader::from_reader(sheet.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let at = header.iter().position(|column| column == "decision").expect("a column");
    let mut out = csv::Writer::from_writer(vec![]);
    out.write_record(&header).expect("written");
    for record in reader.records() {
        let record = record.expect("a row");
        let decision = decisions.iter().find(|(word, _)| record.iter().any(|cell| cell.contains(word)));
        let cells = record.iter().enumerate().map(|(n, cell)| match decision {
            Some((_, decision)) if n == at => *decision,
            Some(_) | None => cell,
        });
        out.write_record(cells).expect("written");
    }
    String::from_utf8(out.into_inner().expect("rows")).expect("text")
}

#[test]
fn a_review_goes_from_opening_to_its_end_by_the_command_line() {
    let t = organization();
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let opened = review(&t, &["open", "--name", "autumn", "--pool", "declared:office", "--undecided", "keep"]).well();
    let id = opened.trim();
    assert_eq!(id, "review_0");
    let shown = review(&t, &["show", id]).well();
    for words in [
        "review_0: autumn, open",
        "reviewers  admins and operators",
        "4 seats, 0 kept, 0 released, 4 undecided, 0 gone",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // the sheet goes out, and comes back with two decisions and a row of nonsense
    review(&t, &["sheet", id, "--out", &path("out.csv")]).well();
    let sheet = fs::read_to_string(path("out.csv")).expect("a sheet");
    assert_eq!(review(&t, &["sheet", id, "--out", "-"]).well(), sheet);
    let told = json_of(&t, &["sheet", id, "--out", &path("again.csv")]);
    assert_eq!(told, json!({"review": id, "file": path("again.csv"), "bytes": sheet.len()}));
    review_as(&t, ROOT_TOKEN, &["--json"], &["sheet", id, "--out", "-"]).with(2, "--json");
    fs::write(path("in.csv"), filled(&sheet, &[("ada", "release"), ("=2+3", "release"), ("bob", "perhaps")]))
        .expect("written");
    let said = review(&t, &["sheet", id, "--in", &path("in.csv")]).with(1, "2 taken, 1 unchanged, 1 refused");
    assert!(said.contains("bob") || said.contains("(pool_0 user:"), "the row is named: {said}");
    let again = filled(&sheet, &[("ada", "release"), ("=2+3", "release")]);
    fs::write(path("in.csv"), &again).expect("written");
    review(&t, &["sheet", id, "--in", &path("in.csv")]).with(0, "0 taken, 4 unchanged, 0 refused");
    // and one seat by itself, by its names
    let bob = format!("user:{}", user("bob"));
    let decide = ["decide", id, "--pool", "declared:office", "--holder", &bob, "keep", "--comment", "still needs it"];
    review(&t, &decide).with(0, "1 taken, 0 unchanged, 0 refused");
    let listed = json_of(&t, &["list"]);
    assert_eq!(listed[0]["progress"], json!({"seats": 4, "kept": 1, "released": 2, "undecided": 1, "gone": 0}));
    let table = review(&t, &["list"]).well();
    assert!(
        table.lines().nth(1).is_some_and(|row| row.trim_start().starts_with("review_0") && row.contains("open")),
        "{table}"
    );
    // its end takes two seats back
    let ended = review(&t, &["end", id]).well();
    assert!(ended.starts_with("review_0: ended; 4 seats, 2 kept, 2 released, 0 undecided, 0 gone"), "{ended}");
    assert_eq!(t.figures("office"), "owned 5: reserved 2, free 3");
    review(&t, &["end", id]).with(0, "review_0: ended");
    review(&t, &["cancel", id]).with(1, "review");
    review(&t, &decide).with(1, "refused");
    // a second one is cancelled, and changes nothing
    let second =
        review(&t, &["open", "--name", "winter", "--pool", "declared:office", "--undecided", "release"]).well();
    let cancelled = review(&t, &["cancel", second.trim()]).well();
    assert!(cancelled.contains("cancelled, nothing of it is carried out"), "{cancelled}");
    assert_eq!(t.figures("office"), "owned 5: reserved 2, free 3");
}

#[test]
fn a_key_opens_one_review_and_who_may_not_is_told_so() {
    let t = organization();
    let open = ["open", "--name", "autumn", "--pool", "declared:office", "--undecided", "release"];
    let first = review_as(&t, ROOT_TOKEN, &["--key", "autumn-1"], &open).well();
    let again = review_as(&t, ROOT_TOKEN, &["--key", "autumn-1"], &open).well();
    assert_eq!((first.trim(), again.trim()), ("review_0", "review_0"));
    assert_eq!(json_of(&t, &["list"]).as_array().map(Vec::len), Some(1));
    let auditor = token(&t, "auditor").1;
    review_as(&t, &auditor, &[], &["show", "review_0"]).well();
    review_as(&t, &auditor, &[], &open).with(4, "forbidden");
    review_as(&t, "nobody-0123456789abcdef0123456789abcdef", &[], &["list"]).with(4, "");
    // one that names its reviewers is for them alone
    let (token_id, secret) = token(&t, "auditor");
    let second = review(&t, &[&open[..], &["--reviewer", &token_id]].concat()).well();
    let ada = format!("user:{}", user("ada"));
    let decide = ["decide", second.trim(), "--pool", "declared:office", "--holder", &ada, "keep"];
    review_as(&t, &secret, &[], &decide).with(0, "1 taken");
    review_as(&t, &auditor, &[], &decide).with(4, "names its reviewers");
}

#[test]
fn what_makes_no_sense_is_told_with_its_number() {
    let t = organization();
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str| place.path().join(name).to_string_lossy().into_owned();
    let help = review(&t, &["--help"]).well();
    for words in ["sheet --out", "Exit codes", "open", "cancel"] {
        assert!(help.contains(words), "{help}");
    }
    review(&t, &["show", "review_7"]).with(1, "review-not-found");
    review(&t, &["open", "--name", "x", "--pool", "declared:nothing", "--undecided", "keep"]).with(1, "pool-not-found");
    review(&t, &["open", "--name", "x", "--undecided", "keep"]).with(2, "--pool");
    review(&t, &["open", "--name", "x", "--pool", "declared:office", "--undecided", "maybe"]).with(2, "maybe");
    let id = review(&t, &["open", "--name", "x", "--pool", "declared:office", "--undecided", "keep"]).well();
    review(&t, &["sheet", id.trim()]).with(2, "--out");
    review(&t, &["sheet", id.trim(), "--in", "a", "--out", "b"]).with(2, "cannot be used with");
    review(&t, &["sheet", id.trim(), "--in", &path("nowhere.csv")]).with(5, "nowhere.csv");
    fs::write(path("taken.csv"), "mine").expect("written");
    review(&t, &["sheet", id.trim(), "--out", &path("taken.csv")]).with(5, "can't be made");
    assert_eq!(fs::read_to_string(path("taken.csv")).expect("a file"), "mine");
    fs::write(path("odd.csv"), "name,colour\nada,red\n").expect("written");
    review(&t, &["sheet", id.trim(), "--in", &path("odd.csv")]).with(1, "no column is called");
    review(&t, &["sheet", "review_7", "--out", &path("left.csv")]).with(1, "review-not-found");
    assert!(!Path::new(&path("left.csv")).exists(), "nothing is left behind");
    let mut away = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    away.env_clear().env("SEATLEDGER_TOKEN", "x").args([
        "review",
        "--tenant",
        "t",
        "--url",
        "http://127.0.0.1:9",
        "list",
    ]);
    assert_eq!(away.output().expect("the program runs").status.code(), Some(3));
}

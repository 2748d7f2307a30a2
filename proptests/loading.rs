//! `seatledger load` as an administrator runs it: lists into a data folder, and the same lists once more. Not here: how a
//! list is read (`src/cli/load/tests.rs`).

use crate::harness::{load, replay};
use serde_json::{Value, json};

const PEOPLE: &str = "Username,First Name,Last Name,Email,Activated\n\
    ada,Ada,Byron,ada@example.org,true\nbob,Bob,,bob@example.org,true\ncy,Cy,,,false\n";
const LICENSES: &str = "Item name,serial number,seats,Username,Email,Full Name\n\
    Paint,K1,2,ada,ada@example.org,Ada Byron\nPaint,K1,2,bob,bob@example.org,Bob\nDraw,K2,1,,,\n\
    Write,K3,5,dee,dee@example.org,Dee\n";
const DEVICES: &str =
    "Asset Tag,Model,Checkout Type,Checked Out To: Username\nT1,Surface,User,ada\nT2,Macbook,Location,\n";

fn rows(loaded: &Value) -> [&Value; 5] {
    ["rows", "taken", "unchanged", "refused", "blank"].map(|outcome| &loaded["total"][outcome])
}

#[test]
fn the_same_lists_loaded_again_are_unchanged_row_by_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let [people, licenses, devices] =
        [("people", PEOPLE), ("licenses", LICENSES), ("devices", DEVICES)].map(|(name, text)| {
            let path = folder.path().join(format!("{name}.csv"));
            std::fs::write(&path, text).expect("written");
            path
        });
    let lists = [("--people", people.as_path()), ("--licenses", &licenses), ("--devices", &devices)];
    let first = load(&data, &lists, &["--create"]);
    assert_eq!(rows(&first), [9, 9, 0, 0, 0]);
    let after_first = replay(&data);
    let second = load(&data, &lists, &[]);
    assert_eq!(rows(&second), [9, 0, 9, 0, 0]);
    for receipt in second["receipts"].as_array().expect("receipts") {
        assert_eq!((&receipt["outcome"], &receipt["taken"]), (&json!("unchanged"), &json!([])), "{receipt}");
    }
    assert_eq!(second["figures"], first["figures"]);
    // an inventory is stated anew each time; nothing else is left in the log
    let positions = |replayed: &std::collections::BTreeMap<String, (u64, String)>| replayed["default"].0;
    assert_eq!(positions(&replay(&data)), positions(&after_first) + 2, "a sync's start and its end");
    // under another name everything is judged anew, and nothing changes either
    let third = load(&data, &lists, &["--run", "another"]);
    assert_eq!(rows(&third), [9, 0, 9, 0, 0]);
    // one more row is one more taken
    std::fs::write(&people, format!("{PEOPLE}eve,Eve,,,true\n")).expect("written");
    assert_eq!(rows(&load(&data, &lists, &[])), [10, 1, 9, 0, 0]);
}

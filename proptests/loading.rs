//! `seatledger load` as an administrator runs it: lists into a data folder, and the same lists once more. Not here: how a
//! list is read (`src/cli/load/tests.rs`).

use crate::harness::{Tenant, asked, load, replay, run_program};
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
    assert_eq!(positions(&replay(&data)), positions(&after_first) + 3, "a sync's start, what it saw and its end");
    // under another name everything is judged anew, and nothing changes either
    let third = load(&data, &lists, &["--run", "another"]);
    assert_eq!(rows(&third), [9, 0, 9, 0, 0]);
    // one more row is one more taken
    std::fs::write(&people, format!("{PEOPLE}eve,Eve,,,true\n")).expect("written");
    assert_eq!(rows(&load(&data, &lists, &[])), [10, 1, 9, 0, 0]);
}

#[test]
fn what_was_refused_is_asked_anew_and_what_was_answered_before_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let list =
        |seats: u32| format!("Item name,serial number,seats,Username\nPaint,K1,{seats},ada\nPaint,K1,{seats},bob\n");
    let first = load_with_refusals(&data, "generic", &[("licenses", &list(1))], &["--create"]);
    assert_eq!(rows(&first), [2, 1, 0, 1, 0]);
    let still = load_with_refusals(&data, "generic", &[("licenses", &list(1))], &[]);
    assert_eq!(rows(&still), [2, 0, 1, 1, 0]);
    let path = folder.path().join("licenses.csv");
    std::fs::write(&path, list(2)).expect("written");
    let lists = [("--licenses", path.as_path())];
    // two seats are there by now: both rows bring something
    let second = load(&data, &lists, &[]);
    assert_eq!(rows(&second), [2, 2, 0, 0, 0]);
    assert_eq!([&second["figures"]["seats_held"], &second["figures"]["seats_free"]], [2, 0]);
    let third = load(&data, &lists, &[]);
    assert_eq!(rows(&third), [2, 0, 2, 0, 0]);
    assert!(!third["receipts"].to_string().contains("earlier load"), "what was answered before is so");
    // a seat that was lost since is told, and is a difference
    let people = folder.path().join("people.csv");
    std::fs::write(&people, "Username,Active\nada,no\n").expect("written");
    assert_eq!(rows(&load(&data, &[("--people", people.as_path())], &[])), [1, 1, 0, 0, 0]);
    let fourth = load_with_refusals(&data, "generic", &[("licenses", &list(2))], &[]);
    assert_eq!(rows(&fourth), [2, 0, 2, 0, 0]);
    let [ada, bob] = [0, 1].map(|row| fourth["receipts"][row]["notes"].to_string());
    assert!(ada.contains("in an earlier load, and lost since"), "{ada}");
    assert!(!bob.contains("earlier load"), "{bob}");
    let differences = fourth["figures"]["differences"].to_string();
    assert!(differences.contains("2 holders stated, 1 of them hold a seat, 1 seats held"), "{differences}");
    // a folder that is named prevails over a service that the environment names
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().env("SEATLEDGER_URL", "http://127.0.0.1:1").env("SEATLEDGER_TOKEN_FILE", "none");
    program.arg("load").arg("--data").arg(&data).arg("--licenses").arg(&path);
    let output = program.output().expect("the program runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && printed.contains("--run NAME"), "{output:?}");
}

#[test]
fn a_report_that_can_not_be_written_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let path = folder.path().join("people.csv");
    std::fs::write(&path, PEOPLE).expect("written");
    let [data, path] = [&data, &path].map(|path| path.to_str().expect("a plain path"));
    let said = |report: &str| run_program(&["load", "--data", data, "--people", path, "--create", "--report", report]);
    let (code, printed, complaint) = said(&format!("{data}/nowhere/r.csv"));
    assert!(code == Some(5) && complaint.contains("r.csv"), "{printed}{complaint}");
    assert!(!std::path::Path::new(data).exists(), "nothing was begun");
    // one that fails at the end: the totals are there
    let (code, printed, complaint) = said("/dev/full");
    assert!(code == Some(5) && complaint.contains("/dev/full"), "{complaint}");
    assert!(printed.lines().any(|line| line.trim_start().starts_with("total")), "{printed}");
}

#[test]
fn an_export_that_can_not_be_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let path = folder.path().join("people.csv");
    std::fs::write(&path, PEOPLE).expect("written");
    load(&data, &[("--people", &path)], &["--create"]);
    let head = replay(&data)["default"].0;
    let to = folder.path().join("history.csv");
    let [data, to] = [&data, &to].map(|path| path.to_str().expect("a plain path"));
    let export = |more: &[&str]| {
        let whole = ["export", "--data", data, "--tenant", "default", "--format", "csv"];
        run_program(&[&whole, more].concat())
    };
    let (next, behind) = ((head + 1).to_string(), (head + 2).to_string());
    for (code, more) in [(2, ["--from", "5", "--until", "3"]), (1, ["--to", to, "--from", &behind])] {
        let (ended, printed, complaint) = export(&more);
        assert!(ended == Some(code) && printed.is_empty(), "{more:?}: {printed}{complaint}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "the data and the list");
    assert_eq!(export(&["--from", &next]).0, Some(0), "an export that has all goes on with nothing");
    assert_eq!(export(&["--to", to]).0, Some(0));
    let lines = std::fs::read_to_string(to).expect("an export").lines().count();
    assert_eq!(lines as u64, head + 2, "a header, and a line for each position");
    let (ended, _, complaint) = export(&["--to", to]);
    assert!(ended == Some(5) && complaint.contains("it exists"), "{complaint}");
}

/// `load` of lists with a row that is refused: it ends with 1, and everything else is in the ledger.
fn load_with_refusals(data: &std::path::Path, preset: &str, lists: &[(&str, &str)], more: &[&str]) -> Value {
    let folder = data.parent().expect("a folder around it");
    let mut args = vec!["load".to_owned(), "--data".into(), data.to_str().expect("a plain path").into()];
    args.extend(["--preset".into(), preset.into(), "--json".into()]);
    for (list, text) in lists {
        let path = folder.join(format!("{preset}-{list}.csv"));
        std::fs::write(&path, text).expect("written");
        args.extend([format!("--{list}"), path.to_str().expect("a plain path").to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    let (code, printed, complaints) = run_program(&args);
    assert_eq!(code, Some(1), "{printed}{complaints}");
    serde_json::from_str(&printed).expect("load prints JSON")
}

/// Row, outcome, reasons and notes of the receipts of one list.
fn receipts(loaded: &Value, list: &str) -> Vec<String> {
    let of_list = loaded["receipts"].as_array().expect("receipts").iter().filter(|receipt| receipt["list"] == list);
    of_list
        .map(|receipt| format!("{} {} {} {}", receipt["row"], receipt["outcome"], receipt["why"], receipt["notes"]))
        .collect()
}

const INTUNE_APPS: &str = "id,displayName,publisher,usedLicenseCount,totalLicenseCount,bundleId,vppTokenId\n\
    1,Paint,Contoso,3,5,com.contoso.paint,t1\n2,Paint,Contoso,1,2,com.contoso.paint,t2\n3,Portal,Microsoft,,,,\n";
const INTUNE_DEVICES: &str = "Device ID,Device name,OS,Serial number,Model,Primary user UPN\n\
    d1,PC1,Windows,S1,X1,ada@example.org\n,No one's,Windows,,X1,\n";

#[test]
fn lists_of_intune_come_in_with_counts_as_notes_and_without_what_they_do_not_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let lists = [("licenses", INTUNE_APPS), ("devices", INTUNE_DEVICES)];
    let first = load_with_refusals(&data, "intune", &lists, &["--create"]);
    assert_eq!(rows(&first), [5, 3, 0, 2, 0]);
    assert_eq!(
        receipts(&first, "licenses"),
        [
            r#"2 "taken" [] ["the list counts 3 of 5 as used: no seat is given"]"#,
            r#"3 "taken" [] ["the list counts 1 of 2 as used: no seat is given"]"#,
            r#"4 "refused" ["pool: it says no number of seats"] []"#,
        ]
    );
    assert_eq!(
        receipts(&first, "devices").last().map(String::as_str),
        Some(r#"3 "refused" ["device: it has neither a tag nor a serial number"] []"#)
    );
    let figures = &first["figures"];
    assert_eq!([&figures["pools_found"], &figures["seats_owned"], &figures["seats_held"]], [2, 7, 0]);
    assert_eq!(figures["differences"], json!([]));
    let second = load_with_refusals(&data, "intune", &lists, &[]);
    assert_eq!(rows(&second), [5, 0, 3, 2, 0]);
    assert_eq!(second["figures"], first["figures"]);
}

const JAMF_CONTENT: &str = "name,licenseCountTotal,licenseCountInUse,contentType,pricingParam,adamId\n\
    Paint,5,3,IOS_APP,STDQ,361\nDraw,some,0,MAC_APP,STDQ,409\nWrite,2,4,MAC_APP,STDQ,410\n";
const JAMF_PEOPLE: &str = "Username,Full Name,Email Address\nada,Ada Byron,ada@example.org\n";
const JAMF_DEVICES: &str = "Computer Name,Asset Tag,Serial Number,Model,Operating System,Username,Full Name\n\
    Ada's,T1,C02A,Mac Studio,macOS 14.5,ada,Ada Byron\nBob's,,C02B,MacBook Air,macOS 14.5,bob,Bob Roe\n";

#[test]
fn lists_of_jamf_come_in_with_counts_as_notes_and_without_what_is_no_number() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let lists = [("licenses", JAMF_CONTENT), ("people", JAMF_PEOPLE), ("devices", JAMF_DEVICES)];
    let first = load_with_refusals(&data, "jamf", &lists, &["--create"]);
    assert_eq!(rows(&first), [6, 5, 0, 1, 0]);
    assert_eq!(
        receipts(&first, "licenses"),
        [
            r#"2 "taken" [] ["the list counts 3 of 5 as used: no seat is given"]"#,
            r#"3 "refused" ["pool: \"some\" is no number of seats"] ["the list counts 0 as used: no seat is given"]"#,
            r#"4 "taken" [] ["used: the list counts 4 as used, more than the 2 owned"]"#,
        ]
    );
    let figures = &first["figures"];
    assert_eq!([&figures["pools_found"], &figures["seats_owned"], &figures["seats_held"]], [2, 7, 0]);
    let second = load_with_refusals(&data, "jamf", &lists, &[]);
    assert_eq!(rows(&second), [6, 0, 5, 1, 0]);
}

#[test]
fn a_list_with_other_columns_is_read_with_a_preset_and_a_map_and_help_names_the_presets() {
    let (_, help, _) = run_program(&["load", "--help"]);
    for preset in ["snipe-it", "generic", "intune", "jamf"] {
        assert!(help.contains(&format!("- {preset}")), "{help}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let list = folder.path().join("portal.csv");
    std::fs::write(&list, "App name,Total,Used\nPaint,5,3\n").expect("written");
    let list = list.to_str().expect("a plain path");
    let (code, _, complaint) = run_program(&["load", "--preset", "intune", "--licenses", list, "--dry-run"]);
    assert_eq!(code, Some(2), "{complaint}");
    assert!(complaint.contains("no column for \"item\"") && complaint.contains("App name"), "{complaint}");
    let maps = ["--map", "item=App name", "--map", "licenses.seats=Total", "--map", "used=Used"];
    let (code, printed, complaint) = run_program(
        &[&["load", "--preset", "intune", "--licenses", list, "--dry-run", "--json"], maps.as_slice()].concat(),
    );
    assert_eq!(code, Some(0), "{complaint}");
    let loaded: Value = serde_json::from_str(&printed).expect("load prints JSON");
    assert_eq!(receipts(&loaded, "licenses"), [r#"2 "taken" [] ["the list counts 3 of 5 as used: no seat is given"]"#]);
}

/// `load` of lists into a tenant of a running service: with which number it ended, and what it printed.
fn loaded_into(tenant: &Tenant, lists: &[(&str, &str)]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut args = vec!["load".to_owned(), "--tenant".into(), tenant.name.clone(), "--json".into()];
    for (list, text) in lists {
        let path = folder.path().join(format!("{list}.csv"));
        std::fs::write(&path, text).expect("written");
        args.extend([format!("--{list}"), path.to_str().expect("a plain path").to_owned()]);
    }
    let url = tenant.service().root().url("");
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (code, printed, complaints) = asked(url.trim_end_matches('/'), &args);
    let loaded = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}{complaints}"));
    (code, loaded)
}

fn fields(body: &Value, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| body[name].clone()).collect()
}

#[test]
fn what_lists_do_not_say_of_people_and_devices_stays_and_ends_no_seat() {
    let t = Tenant::shared();
    let ada =
        json!({"user_name": "ada", "display_name": "Ada Byron", "external_id": "e1", "emails": ["ada@example.org"]});
    t.put("/users/ada", ada).created();
    t.device_with("S2", json!({"device_id": "D2", "os_build": 22631, "primary_user": "ada"}));
    t.owns("draw", 2);
    t.group("machines", "devices", &["S2"]);
    t.assign_to_group("draw", "machines", "required").created();
    let look = || {
        let device = t.get("/devices/S2").ok();
        let facts =
            ["serial", "device_id", "platform", "join", "enrolled", "os_build", "primary_user", "incarnation", "seats"];
        let ada = t.get("/users/ada").ok();
        (fields(&device, &facts), fields(&ada, &["display_name", "external_id", "emails"]), t.figures("draw"))
    };
    let before = look();
    assert_eq!(before.2, "owned 2: reserved 1, free 1");
    for devices in ["Asset Tag,Serial Number\nD2,S2\n", "Asset Tag,Model,OS build\nD2,Macbook,14.5\n"] {
        let (code, loaded) = loaded_into(&t, &[("devices", devices)]);
        assert_eq!(code, Some(0), "{loaded}");
        assert_eq!(rows(&loaded), [1, 0, 1, 0, 0], "{loaded}");
        assert_eq!(look(), before, "{devices}");
    }
    // who has the address is the holder, and stays who they are
    for holder in ["ada,,", ",ADA@example.org,Somebody"] {
        let licenses = format!("Item name,serial number,seats,Username,Email,Full Name\nPaint,K1,2,{holder}\n");
        let (code, loaded) = loaded_into(&t, &[("licenses", &licenses)]);
        assert_eq!((code, &loaded["figures"]["seats_held"]), (Some(0), &json!(1)), "{loaded}");
        assert_eq!(look(), before, "{holder}");
    }
    assert_eq!(loaded_into(&t, &[("people", "Username,First Name\nada,Augusta\n")]).0, Some(0));
    assert_eq!(look().1, [json!("Augusta"), json!("e1"), json!(["ada@example.org"])]);
    assert_eq!(t.list("/users").len(), 1);
    // of two with one address it is nobody
    t.put("/users/eve", json!({"user_name": "eve", "emails": ["ada@example.org"]})).created();
    let licenses = "Item name,serial number,seats,Email\nPaint,K1,2,ada@example.org\n";
    let (code, loaded) = loaded_into(&t, &[("licenses", licenses)]);
    let why = loaded["receipts"][0]["why"].to_string();
    assert!(
        code == Some(1) && why.contains("in the ledger ada@example.org is the address of ada and of eve"),
        "{loaded}"
    );
    // whose user is deleted has none from then on, since nothing can name that one
    t.post("/users/ada/departure", json!({"cause": "deleted"})).ok();
    let (code, loaded) = loaded_into(&t, &[("devices", "Asset Tag,Serial Number\nD2,S2\n")]);
    assert_eq!((code, &t.get("/devices/S2").ok()["primary_user"]), (Some(0), &Value::Null), "{loaded}");
    assert_eq!(t.figures("draw"), before.2);
}

#[test]
fn a_list_that_goes_back_to_an_earlier_state_is_loaded() {
    let t = Tenant::shared();
    let lists = |is_active: bool, user: &str| {
        let active = if is_active { "yes" } else { "no" };
        let people = format!("Username,Email,Active\nada,ada@example.org,yes\nbob,{user}@example.org,{active}\n");
        (people, format!("Asset Tag,User\nX,{user}\n"))
    };
    let states = [(true, "ada"), (false, "bob"), (true, "ada"), (false, "bob"), (true, "ada")];
    for (turn, (is_active, user)) in states.into_iter().enumerate() {
        let (people, devices) = lists(is_active, user);
        let (code, loaded) = loaded_into(&t, &[("people", &people), ("devices", &devices)]);
        let taken = if turn == 0 { 3 } else { 2 };
        assert_eq!((code, &loaded["total"]["taken"]), (Some(0), &json!(taken)), "{turn}: {loaded}");
        let bob = t.get("/users/bob").ok();
        assert_eq!(
            (bob["departed"].is_null(), &bob["emails"][0]),
            (is_active, &json!(format!("{user}@example.org"))),
            "{turn}"
        );
        let owner = t.get(&format!("/users/{user}")).ok()["id"].clone();
        assert_eq!(t.get("/devices/X").ok()["primary_user"], owner, "{turn}");
        let (code, again) = loaded_into(&t, &[("people", &people), ("devices", &devices)]);
        assert_eq!(code, Some(0), "{turn}: {again}");
        assert_eq!(rows(&again), [3, 0, 3, 0, 0], "{turn}: {again}");
    }
}

#[test]
fn who_is_stated_and_holds_no_seat_is_a_difference() {
    let t = Tenant::shared();
    let licenses = "Item name,serial number,seats,Username\nPaint,K1,2,ada\nPaint,K1,2,bob\n";
    assert_eq!(loaded_into(&t, &[("licenses", licenses)]).0, Some(0));
    let pool = t.list("/pools").first().expect("a pool")["key"].as_str().expect("a key").to_owned();
    t.post("/users/bob/departure", json!({"cause": "deactivated"})).ok();
    let (code, loaded) = loaded_into(&t, &[("licenses", licenses)]);
    let figures = &loaded["figures"];
    assert_eq!((code, &figures["holders_stated"], &figures["seats_held"]), (Some(1), &json!(2), &json!(1)), "{loaded}");
    let words = format!("{pool}: 2 holders stated, 1 of them hold a seat, 1 seats held");
    assert_eq!(figures["differences"], json!([words]));
    // whom no row names, and a list that names nobody
    let fewer = "Item name,serial number,seats,Username\nPaint,K1,2,\n";
    assert_eq!(loaded_into(&t, &[("licenses", fewer)]).0, Some(1));
    assert_eq!(loaded_into(&t, &[("licenses", "Item name,serial number,seats\nPaint,K1,2\n")]).0, Some(0));
}

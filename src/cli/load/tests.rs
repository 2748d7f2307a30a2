//! Small made-up lists, read into plans and receipts. Not here: a service.

use super::columns::{Columns, List, Preset};
use super::plan::{Plan, Reading};
use super::receipt::{Count, Outcome};
use super::source;
use super::values::DateOrder;
use expect_test::{Expect, expect};

fn plan(people: &str, licenses: &str, devices: &str) -> Plan {
    let reading =
        Reading { dates: DateOrder::Mdy, currency: "USD".into(), license_type: "offline", applies_end_dates: false };
    let mut plan = Plan::default();
    let open = |list: List, text: &str| {
        let sheet = source::parse(&format!("{}.csv", list.name()), text.as_bytes()).expect("a list");
        let columns = Columns::find(list, &sheet, Preset::SnipeIt, &[]).expect("the columns are there");
        (sheet, columns)
    };
    if !people.is_empty() {
        let (sheet, columns) = open(List::People, people);
        plan.read_people(&sheet, &columns, &reading);
    }
    if !licenses.is_empty() {
        let (sheet, columns) = open(List::Licenses, licenses);
        plan.read_licenses(&sheet, &columns, &reading);
    }
    if !devices.is_empty() {
        let (sheet, columns) = open(List::Devices, devices);
        plan.read_devices(&sheet, &columns);
    }
    plan.foresee();
    plan
}

fn check(plan: &Plan, expected: &Expect) {
    let mut text = String::new();
    for receipt in &plan.receipts {
        let words: Vec<String> = receipt
            .whys()
            .into_iter()
            .chain(receipt.notes.clone())
            .chain(receipt.remarks.iter().map(|(_, words)| words.clone()))
            .collect();
        text.push_str(&format!(
            "{} {} {}: {}\n",
            receipt.list.name(),
            receipt.row,
            receipt.outcome().name(),
            words.join("; ")
        ));
    }
    expected.assert_eq(&text);
}

const PEOPLE: &str = "First Name,Last Name,Email,Username,Activated,Start Date,End Date\n";
const LICENSES: &str =
    "Full Name,Email,Username,Item name,serial number,purchase cost,purchase date,expiration date,reassignable,seats\n";
const DEVICES: &str = "Asset Tag,Model,Checkout Type,Checked Out To: Username,Checked Out To: First Name,Checked Out To: Last Name,Checked Out To: Email\n";

#[test]
fn every_row_of_a_people_list_has_its_receipt() {
    let rows = "Ada,Byron,ada@x.example,ada,true,2022-03-18,\nBob,,,bob,false,,2022-12-04\nAda,Byron,ada@x.example,ada,true,,\nAda,Other,,ADA,true,,\n,,,,,,\nCy,,nomail,cy,maybe,soon,2020-01-01\nDi,Doe,,,true,,\n";
    let plan = plan(&format!("{PEOPLE}{rows}"), "", "");
    check(
        &plan,
        &expect![[r#"
            people 2 taken: 
            people 3 taken: 
            people 4 unchanged: the same as row 2
            people 5 refused: person: row 2 has the same user name and says something else; that row stands
            people 6 blank: 
            people 7 taken: active: "maybe" is neither yes nor no: taken as yes; started_on: "soon" is no date; ended on 2020-01-01, but is active: taken as active; "nomail" is no mail address: not taken
            people 8 refused: person: it has neither a user name nor a mail address
        "#]],
    );
    assert_eq!((plan.people.len(), plan.departures.len()), (3, 1));
    let departure = plan.departures.first().map(|wish| wish.command.to_string());
    assert_eq!(
        departure.as_deref(),
        Some(r#"{"cause":"deactivated","occurred_at":"2022-12-04T00:00:00Z","type":"depart","user":"name:bob"}"#)
    );
}

#[test]
fn rows_that_share_item_and_serial_share_a_pool() {
    let rows = "Ada B,ada@x.example,ada,Paint,K1,$12.58,11/24/2008,02/26/2016,yes,3\n\
                Bob C,bob@x.example,bob,Paint,K1,,,,,3\n\
                Cy D,cy@x.example,cy,Paint,K1,,,,,4\n\
                ,,,Paint,K2,$1.5,,,no,1\n\
                Ada B,ada@x.example,ada,Paint,K1,,,,,3\n\
                Di E,,,Draw,,free,,,sometimes,unlimited\n\
                ,,,Write,,,13/13/13,1/1/20,,none\n\
                ,,,,,,,,,5\n";
    let plan = plan("", &format!("{LICENSES}{rows}"), "");
    check(
        &plan,
        &expect![[r#"
            licenses 2 taken: expires on 2016-02-26: not applied; ada is not in the people file: taken from this row
            licenses 3 taken: bob is not in the people file: taken from this row
            licenses 4 refused: pool: "4" seats here, another number in row 2, which stands; cy is not in the people file: taken from this row
            licenses 5 taken: 
            licenses 6 unchanged: an earlier row gives this holder the same seat
            licenses 7 refused: seat: its holder has a name, but neither a user name nor a mail address; reassignable: "sometimes" is neither yes nor no: taken as yes
            licenses 8 refused: pool: "none" is no number of seats
            licenses 9 refused: pool: it names no item
        "#]],
    );
    let pools: Vec<String> = plan
        .pools
        .iter()
        .map(|wish| {
            format!("{} {} {}", wish.key.starts_with("declared:"), wish.item["owned"], wish.item["irrevocable"])
        })
        .collect();
    assert_eq!(pools, ["true 3 false", "true 1 true", "true \"unlimited\" false"]);
    assert_eq!((plan.people.len(), plan.seats.len()), (3, 3));
    let count = Count::of(plan.receipts.iter());
    assert_eq!(Outcome::ALL.map(|outcome| count.of_outcome(outcome)).iter().sum::<u64>(), 8);
}

#[test]
fn devices_bring_their_people_unless_they_stand_somewhere() {
    let rows = "T1,\"Macbook Pro 13\"\"\",User,ada,Ada,Byron,ada@x.example\nT2,Robby,Location,,,,\nT2,Robby,Location,,,,\nT3,Surface,,,,,\n,,,,,,\n";
    let plan = plan("", "", &format!("{DEVICES}{rows}"));
    check(
        &plan,
        &expect![[r#"
            devices 2 taken: ada is not in the people file: taken from this row
            devices 3 taken: checked out to a location: no primary user
            devices 4 unchanged: the same as row 3; checked out to a location: no primary user
            devices 5 taken: 
            devices 6 blank: 
        "#]],
    );
    let platforms: Vec<_> =
        plan.devices.iter().map(|wish| wish.command["platform"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(platforms, ["macos", "other", "windows"]);
}

#[test]
fn no_product_key_gets_into_the_ledger() {
    let plan = plan("", &format!("{LICENSES},,,Paint,AAAA-BBBB-CCCC,,,,,3\n"), "");
    let asked = format!("{:?} {:?} {:?}", plan.pools, plan.seats, plan.people);
    assert!(!asked.contains("AAAA") && !asked.contains("aaaa"), "{asked}");
}

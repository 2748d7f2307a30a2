//! Small made-up lists, read into plans and receipts. Not here: a service.

use super::columns::{Columns, List, Preset};
use super::plan::{Plan, Reading};
use super::receipt::{Count, Outcome};
use super::source;
use super::values::DateOrder;
use expect_test::{Expect, expect};

fn plan(people: &str, licenses: &str, devices: &str) -> Plan {
    plan_by(Preset::SnipeIt, people, licenses, devices)
}

fn plan_by(preset: Preset, people: &str, licenses: &str, devices: &str) -> Plan {
    let reading =
        Reading { dates: DateOrder::Mdy, currency: "USD".into(), license_type: "offline", applies_end_dates: false };
    let mut plan = Plan::default();
    let open = |list: List, text: &str| {
        let sheet = source::parse(&format!("{}.csv", list.name()), text.as_bytes()).expect("a list");
        let columns = Columns::find(list, &sheet, preset, &[]).expect("the columns are there");
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
            licenses 2 taken: expires on 2016-02-26: not applied; ada is not in the people file: taken from this row if new to the ledger
            licenses 3 taken: bob is not in the people file: taken from this row if new to the ledger
            licenses 4 refused: pool: "4" seats here, another number in row 2, which stands; cy is not in the people file: taken from this row if new to the ledger
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
    assert_eq!((plan.named.len(), plan.seats.len()), (3, 3));
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
            devices 2 taken: ada is not in the people file: taken from this row if new to the ledger
            devices 3 taken: checked out to a location: no primary user
            devices 4 unchanged: the same as row 3; checked out to a location: no primary user
            devices 5 taken: 
            devices 6 blank: 
        "#]],
    );
    let platforms: Vec<_> =
        plan.devices.iter().map(|wish| wish.complete(None)["platform"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(platforms, ["macos", "other", "windows"]);
}

#[test]
fn no_product_key_gets_into_the_ledger() {
    let plan = plan("", &format!("{LICENSES},,,Paint,AAAA-BBBB-CCCC,,,,,3\n"), "");
    let asked = format!("{:?} {:?} {:?}", plan.pools, plan.seats, plan.named);
    assert!(!asked.contains("AAAA") && !asked.contains("aaaa"), "{asked}");
}

const INTUNE_APPS: &str =
    "id,displayName,publisher,usedLicenseCount,totalLicenseCount,bundleId,vppTokenAppleId,vppTokenId\n";

#[test]
fn apps_of_intune_are_pools_by_app_and_token_and_what_is_used_is_noted() {
    let rows = "1,Paint,Contoso,3,5,com.contoso.paint,a@x.example,t1\n\
                2,Paint,Contoso,3,5,com.contoso.paint,a@x.example,t1\n\
                3,Paint,Contoso,3,5,com.contoso.paint,b@x.example,t2\n\
                4,Draw,Fabrikam,9,8,com.fabrikam.draw,a@x.example,t1\n\
                5,Portal,Microsoft,,,,,\n\
                6,Write,,many,2,com.x.write,a@x.example,t1\n\
                7,Paint,Contoso,3,6,com.contoso.paint,a@x.example,t1\n";
    let plan = plan_by(Preset::Intune, "", &format!("{INTUNE_APPS}{rows}"), "");
    check(
        &plan,
        &expect![[r#"
        licenses 2 taken: the list counts 3 of 5 as used: no seat is given
        licenses 3 unchanged: the list counts 3 of 5 as used: no seat is given
        licenses 4 taken: the list counts 3 of 5 as used: no seat is given
        licenses 5 taken: used: the list counts 9 as used, more than the 8 owned
        licenses 6 refused: pool: it says no number of seats
        licenses 7 taken: used: "many" is no number of seats: not noted
        licenses 8 refused: pool: "6" seats here, another number in row 2, which stands; the list counts 3 of 6 as used: no seat is given
    "#]],
    );
    let pools: Vec<String> =
        plan.pools.iter().map(|wish| format!("{} {}", wish.item["name"], wish.item["owned"])).collect();
    assert_eq!(pools, ["\"Paint\" 5", "\"Paint\" 5", "\"Draw\" 8", "\"Write\" 2"]);
    assert!(plan.seats.is_empty() && plan.named.is_empty());
}

#[test]
fn people_and_devices_of_intune_are_read_from_both_of_its_exports() {
    let people = "userPrincipalName,displayName,surname,mail,givenName,objectId,userType,accountEnabled\n\
                  ada@x.example,Ada Byron,Byron,ada@x.example,Ada,o1,Member,True\n\
                  bob@x.example,Bob,,,,o2,Member,False\n";
    let by_report = "DeviceId,DeviceName,Manufacturer,Model,SerialNumber,OS,OSVersion,JoinType,UPN,UserEmail\n\
                     d1,PC1,Contoso,X1,S1,Windows,10.0.19045.3693,AzureADJoin,ada@x.example,ada@x.example\n";
    let by_portal = "Device ID,Device name,OS,OS version,Serial number,Model,Primary user UPN,Primary user email address,Primary user display name\n\
                     d2,iPad,iPadOS,17.1,S2,iPad,cy@x.example,cy@x.example,Cy Doe\nd3,Shared,macOS,14.5,S3,Mac Studio,,,\n,,,,,,eve@x.example,,\n";
    let mut text = String::new();
    for devices in [by_report, by_portal] {
        let plan = plan_by(Preset::Intune, people, "", devices);
        for wish in plan.people.iter().chain(&plan.named).chain(&plan.departures).chain(&plan.devices) {
            text.push_str(&format!("{}\n", wish.complete(None)));
        }
        assert_eq!(Count::of(plan.receipts.iter()).of_outcome(Outcome::Refused), u64::from(devices == by_portal));
    }
    expect![[r#"
        {"display_name":"Ada Byron","emails":["ada@x.example"],"external_id":"o1","type":"put_user","user":"name:ada@x.example","user_name":"ada@x.example"}
        {"display_name":"Bob","external_id":"o2","type":"put_user","user":"name:bob@x.example","user_name":"bob@x.example"}
        {"cause":"deactivated","type":"depart","user":"name:bob@x.example"}
        {"device":"name:S1","device_id":"d1","enrolled":false,"join":"none","platform":"windows","primary_user":"name:ada@x.example","serial":"S1","type":"put_device"}
        {"display_name":"Ada Byron","emails":["ada@x.example"],"external_id":"o1","type":"put_user","user":"name:ada@x.example","user_name":"ada@x.example"}
        {"display_name":"Bob","external_id":"o2","type":"put_user","user":"name:bob@x.example","user_name":"bob@x.example"}
        {"display_name":"Cy Doe","emails":["cy@x.example"],"type":"put_user","user":"name:cy@x.example","user_name":"cy@x.example"}
        {"cause":"deactivated","type":"depart","user":"name:bob@x.example"}
        {"device":"name:S2","device_id":"d2","enrolled":false,"join":"none","platform":"ios","primary_user":"name:cy@x.example","serial":"S2","type":"put_device"}
        {"device":"name:S3","device_id":"d3","enrolled":false,"join":"none","platform":"macos","serial":"S3","type":"put_device"}
    "#]].assert_eq(&text);
}

#[test]
fn content_users_and_inventory_of_jamf_are_read() {
    let people = "Username,Full Name,Email Address,Position\nada,Ada Byron,ada@x.example,Head\n,No Name,,\n";
    let content = "name,licenseCountTotal,licenseCountInUse,licenseCountReported,contentType,pricingParam,adamId\n\
                   Paint,5,3,3,IOS_APP,STDQ,361\nPaint,2,0,0,IOS_APP,PLUS,361\nDraw,some,0,0,MAC_APP,STDQ,409\n";
    let computers = "Computer Name,Asset Tag,Serial Number,Model,Operating System,Operating System Build,Username,Full Name,Email Address\n\
                     Ada's Mac,T1,C02A,\"Mac Studio (2022)\",macOS 14.5,23F79,ada,Ada Byron,ada@x.example\n\
                     Bob's Mac,,C02B,\"MacBook Air\",macOS 14.5,23F79,bob,Bob Roe,\nNobody's,,,,,,,,\n";
    let plan = plan_by(Preset::Jamf, people, content, computers);
    check(
        &plan,
        &expect![[r#"
        people 2 taken: 
        people 3 refused: person: it has neither a user name nor a mail address
        licenses 2 taken: the list counts 3 of 5 as used: no seat is given
        licenses 3 taken: the list counts 0 of 2 as used: no seat is given
        licenses 4 refused: pool: "some" is no number of seats; the list counts 0 as used: no seat is given
        devices 2 taken: 
        devices 3 taken: bob is not in the people file: taken from this row if new to the ledger
        devices 4 refused: device: it has neither a tag nor a serial number
    "#]],
    );
    let devices: Vec<String> = plan.devices.iter().map(|wish| format!("{}\n", wish.complete(None))).collect();
    expect![[r#"
        {"device":"name:C02A","device_id":"T1","enrolled":false,"join":"none","platform":"macos","primary_user":"name:ada","serial":"C02A","type":"put_device"}
        {"device":"name:C02B","enrolled":false,"join":"none","platform":"macos","primary_user":"name:bob","serial":"C02B","type":"put_device"}
    "#]].assert_eq(&devices.concat());
    let mobile = "Display Name,JSS Mobile Device ID,Serial Number,Model,OS Version,Username\niPad 7,7,DMP1,iPad (9th generation),17.1,ada\n";
    let plan = plan_by(Preset::Jamf, "", "", mobile);
    let device = plan.devices.first().map(|wish| wish.complete(None).to_string());
    expect![[r#"{"device":"name:DMP1","enrolled":false,"join":"none","platform":"ios","primary_user":"name:ada","serial":"DMP1","type":"put_device"}"#]].assert_eq(&device.unwrap_or_default());
}

#[test]
fn what_a_list_does_not_say_is_what_the_ledger_has() {
    let assets = "Asset Tag,Serial Number\nD2,S2\n";
    let plan_of = |text: &str| plan_by(Preset::Generic, "", "", text);
    let there = serde_json::json!({"serial": "S2", "device_id": "D2", "platform": "windows", "join": "entra", "enrolled": true,
        "os_build": 22631, "primary_user": "u3", "id": "d1"});
    let command =
        |plan: &Plan| plan.devices.first().map(|wish| wish.complete(Some(&there)).to_string()).unwrap_or_default();
    expect![[r#"{"device":"name:S2","device_id":"D2","enrolled":true,"join":"entra","os_build":22631,"platform":"windows","primary_user":"u3","serial":"S2","type":"put_device"}"#]]
        .assert_eq(&command(&plan_of(assets)));
    // a blank cell says that there is none, and what can't be read says nothing
    let more = "Asset Tag,Serial Number,OS,OS build,User\nD2,N/A,Linux,14.5,\n";
    expect![[r#"{"device":"name:D2","device_id":"D2","enrolled":true,"join":"entra","os_build":22631,"platform":"other","serial":"S2","type":"put_device"}"#]]
        .assert_eq(&command(&plan_of(more)));
}

#[test]
fn no_two_devices_become_one_by_what_stands_for_a_serial_number() {
    let rows = "Asset Tag,Serial Number,Model\nA1,N/A,\nA2,n/a,\nA3,To be filled by O.E.M.,\nA4,S1,\nA5,S1,\nA6,S2,Acer Predator Helios\n\
                ,S2,Acer Predator Helios\n,Default string,\n";
    let plan = plan_by(Preset::Generic, "", "", rows);
    check(
        &plan,
        &expect![[r#"
            devices 2 taken: "N/A" is no serial number: read as blank
            devices 3 taken: "n/a" is no serial number: read as blank
            devices 4 taken: "To be filled by O.E.M." is no serial number: read as blank
            devices 5 refused: device: rows with another tag have the serial number "S1" as well: none of them is taken
            devices 6 refused: device: rows with another tag have the serial number "S1" as well: none of them is taken
            devices 7 taken: 
            devices 8 refused: device: row 7 has the same tag or serial number and says something else; that row stands
            devices 9 refused: device: it has neither a tag nor a serial number; "Default string" is no serial number: read as blank
        "#]],
    );
    let names: Vec<_> = plan.devices.iter().map(|wish| wish.command["device"].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["name:A1", "name:A2", "name:A3", "name:S2"]);
}

#[test]
fn a_holder_with_an_address_of_the_people_file_is_that_person() {
    let people = "Ada,Byron,ada@x.example,ada,true,,\nBob,,BOB@x.example,bob,false,,\nCy,,info@x.example,cy,true,,\nDi,,info@x.example,di,true,,\n";
    let rows = ",ada@x.example,,Paint,K1,,,,,5\n,bob@x.example,,Paint,K1,,,,,5\n,info@x.example,,Paint,K1,,,,,5\n,eve@x.example,,Paint,K1,,,,,5\n";
    let plan = plan(&format!("{PEOPLE}{people}"), &format!("{LICENSES}{rows}"), "");
    let mut licenses = plan.receipts.iter().filter(|receipt| receipt.list == List::Licenses);
    let words =
        |receipt: &super::receipt::Receipt| receipt.remarks.iter().map(|(_, words)| words.clone()).collect::<String>();
    assert_eq!(licenses.next().map(words).as_deref(), Some("ada@x.example is the address of ada in the people file"));
    assert_eq!(licenses.next().map(words).as_deref(), Some("bob@x.example is the address of bob in the people file"));
    let refused = licenses.next().map(super::receipt::Receipt::whys).unwrap_or_default();
    assert_eq!(refused, ["person: in the people file info@x.example is the address of cy and of di"]);
    assert_eq!(plan.named.len(), 1, "nobody has the last one's");
    let holders: Vec<_> = plan.seats.iter().map(|wish| wish.command["target"]["user"].as_str().unwrap_or("")).collect();
    assert_eq!(holders, ["name:ada", "name:bob", "name:eve@x.example"]);
}

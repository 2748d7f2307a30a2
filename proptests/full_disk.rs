//! The ledger on a disk that fills up, at every step: `disk-low` comes before the disk is full, nothing acknowledged is
//! lost, and with room again the folder opens. On the disk of `power_cut`, which can be given any size and is cut off
//! here too. Where no FUSE file system can be mounted the tests say so and return.
#![cfg(test)]

use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::harness::{Options, Service, verify};
use crate::power_cut::cuts::last_boot;
use crate::power_cut::mount::PowerDisk;
use crate::power_cut::process::{Known, Process};
use crate::power_cut::workload::Order;

const PATIENCE: Duration = Duration::from_secs(60);
const BLOCK: u64 = 4096;

fn order(disk: &PowerDisk, boot: u64, close_after: u64, disk_floor_bytes: u64) -> Order {
    let dir = disk.data().to_str().expect("a plain path").to_owned();
    Order { dir, boot, close_after, is_last: true, disk_floor_bytes }
}

/// A folder in good order on a disk without bounds, and what was acknowledged on it.
fn lived_in(label: &str) -> Option<(PowerDisk, Known)> {
    let disk = PowerDisk::mounted()?;
    let mut known = Known::default();
    let mut process = Process::start(&order(&disk, 0, 200, 0), &known, label.into());
    if !process.read_until(&disk, &mut known, PATIENCE, |seen| seen.is_closed) || process.end(&mut known) != Some(0) {
        process.fail("it did not live");
    }
    Some((disk, known))
}

#[test]
fn disk_low_is_said_before_the_disk_is_full_and_the_service_goes_on() {
    let Some((disk, mut known)) = lived_in("before") else { return };
    let floor = 4 << 20;
    disk.limit(disk.used_bytes() + floor + (256 << 10));
    let mut process = Process::start(&order(&disk, 1, u64::MAX, floor), &known, "filling up".into());
    if !process.read_until(&disk, &mut known, PATIENCE, |seen| seen.low > 50) {
        process.fail("no command was refused for lack of room");
    }
    let before = process.seen.acknowledged;
    assert!(before > 0, "it took commands while there was room");
    // somebody makes room: within a second or two it takes commands again, without a restart
    disk.limit(u64::MAX);
    if !process.read_until(&disk, &mut known, PATIENCE, |seen| seen.acknowledged > before + 50) {
        process.fail("with room again it did not go on");
    }
    process.kill(&mut known);
    last_boot(&disk, &mut known, "after the floor");
}

/// Waits until the service says that it is ready, or that it is not.
fn wait_until_ready(service: &Service, is_ready: bool) {
    for _ in 0..600 {
        let said = service.root().without_token().get("/readyz");
        if (said.status == 200) == is_ready {
            assert!(is_ready || said.text.contains("disk"), "{}", said.text);
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not notice the disk: ready {is_ready} was awaited\n{}", service.log());
}

/// A service on a disk, with so much of it below the floor.
fn with_floor(disk: &PowerDisk, floor: u64) -> Service {
    let environment = vec![("SEATLEDGER_DISK_FLOOR_BYTES", floor.to_string())];
    Service::start_with(Options { environment, data: Some(disk.data()), ..Options::default() })
}

/// A departure needs little room and gives seats back: the space below the floor is for those, and for opening.
#[test]
fn while_the_disk_is_low_people_depart_and_nothing_else_is_taken() {
    let Some(disk) = PowerDisk::mounted() else { return };
    let floor: u64 = 8 << 20;
    let mut service = with_floor(&disk, floor);
    let t = service.tenant();
    t.owns("office", 2);
    ["ada", "bob", "cy", "dee"].iter().for_each(|name| drop(t.user(name)));
    t.group("staff", "users", &["ada", "bob", "cy", "dee"]);
    t.assign("office", json!({"group": "staff"}), "required", json!({"mode": "fill"})).created();
    assert_eq!(t.figures("office"), "owned 2: reserved 2, free 0, queued 2");

    disk.limit(disk.used_bytes() + floor / 2);
    wait_until_ready(&service, false);
    let metrics = service.root().get("/metrics").text;
    let free = metrics.lines().find_map(|line| line.strip_prefix("seatledger_disk_free_bytes ")?.parse::<u64>().ok());
    assert!(free.is_some_and(|free| free < floor), "{metrics}");
    let head = t.head();
    let low = t.put("/users/eve@example.org", json!({"user_name": "eve@example.org"}));
    assert!(low.header("retry-after").is_some());
    low.problem("disk-low");
    t.assign_to_user("office", "ada", "available").problem("disk-low");
    assert_eq!(t.head(), head);
    // a departure is taken, and with it what it brings about: the next in the queue is served
    let departs = || {
        let call = t.call(Method::POST, "/users/ada@example.org/departure").key("ada-left");
        call.json(&json!({"cause": "deactivated"})).send()
    };
    let departed = departs().ok();
    assert_eq!(departed["seats_released"], 1);
    assert_eq!(t.figures("office"), "owned 2: reserved 2, free 0, queued 1");
    let again = departs();
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.ok(), departed);
    let mixed = |more: &str| {
        let bob = json!({"type": "depart", "user": "bob@example.org", "cause": "deactivated"});
        t.post(&format!("/commands{more}"), json!([bob, {"type": "return", "user": "ada@example.org"}])).ok()
    };
    let statuses = |body: &serde_json::Value| [0, 1].map(|at| body["results"][at]["status"].clone());
    assert_eq!(statuses(&mixed("?atomic=true")), ["refused", "refused"]);
    assert_eq!(t.head(), departed["position"], "all or nothing was nothing");
    let taken = mixed("");
    assert_eq!(statuses(&taken), ["done", "refused"]);
    assert_eq!(taken["results"][1]["problem"]["type"], "/problems/disk-low");
    assert_eq!(t.figures("office"), "owned 2: reserved 2, free 0");

    // there is room enough to open in, too
    service.kill();
    service.start_again();
    wait_until_ready(&service, false);
    assert_eq!(departs().ok(), departed);
    t.departs("cy", json!({"cause": "deactivated"})).ok();
    t.put("/users/eve@example.org", json!({"user_name": "eve@example.org"})).problem("disk-low");
    disk.limit(u64::MAX);
    wait_until_ready(&service, true);
    t.user("eve");
    assert_eq!(t.figures("office"), "owned 2: reserved 1, free 1");
    service.stop();
    let (is_whole, words) = verify(&service.data());
    assert!(is_whole, "{words}");
}

fn free_bytes(service: &Service) -> u64 {
    let metrics = service.root().get("/metrics").text;
    let mut figures = metrics.lines().filter_map(|line| line.strip_prefix("seatledger_disk_free_bytes ")?.parse().ok());
    figures.next().expect("the figure is there")
}

fn sizes(folder: &Path) -> BTreeMap<String, u64> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.metadata().expect("a size").len()))
        .collect()
}

/// What lies below the floor is the journal's: a cache does not take it.
#[test]
fn a_snapshot_for_which_there_is_no_room_above_the_floor_is_not_written() {
    let Some(disk) = PowerDisk::mounted() else { return };
    let floor: u64 = 8 << 20;
    let mut service = with_floor(&disk, floor);
    let t = service.tenant();
    let users = |n: u32| json!({"type": "put_user", "user": format!("user{n}"), "user_name": format!("user{n}")});
    t.post("/commands", json!((0..3000).map(users).collect::<Vec<_>>())).ok();
    service.stop();
    let folder = service.data().join("snapshots");
    let before = sizes(&folder);
    assert_eq!(before.len(), 1, "{before:?}");
    let bytes = *before.values().next().expect("one");

    service.start_again();
    t.user("eve");
    disk.limit(disk.used_bytes() + floor + bytes / 2);
    for tries in 0.. {
        if free_bytes(&service) < floor + bytes {
            break;
        }
        assert!(tries < 600, "it did not notice the disk");
        std::thread::sleep(Duration::from_millis(50));
    }
    service.stop();
    service.log_with("no room for a snapshot");
    assert_eq!(sizes(&folder), before);
    // what is missing of it is folded
    service.start_again();
    assert_eq!(t.list("/users").len(), 3001);
    disk.limit(u64::MAX);
    wait_until_ready(&service, true);
    service.stop();
    assert!(sizes(&folder).keys().all(|name| name.ends_with(".snapshot")));
}

#[test]
fn the_half_of_a_snapshot_that_fills_the_disk_does_not_keep_it_from_opening() {
    let Some(disk) = PowerDisk::mounted() else { return };
    let environment = vec![("SEATLEDGER_DISK_FLOOR_BYTES", "0".to_owned())];
    let mut service = Service::start_with(Options { environment, data: Some(disk.data()), ..Options::default() });
    let t = service.tenant();
    t.user("ada");
    service.kill();
    let folder = service.data().join("snapshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    disk.limit(disk.used_bytes() + (16 << 20));
    let half = folder.join("00000000000000000099.new");
    let mut file = std::fs::File::create(&half).expect("a file");
    let mut written = 0;
    while file.write_all(&[7; 4096]).is_ok() {
        written += 4096;
    }
    assert!(written > 8 << 20, "{written}");
    drop(file);
    service.start_again();
    assert!(!half.exists());
    t.user("bob");
    service.stop();
    let (is_whole, words) = verify(&service.data());
    assert!(is_whole, "{words}");
}

/// Without a floor, so that the disk is really full: the n-th block that is asked for is the first that is not there.
#[test]
fn full_at_every_step_it_stops_loses_nothing_and_opens_when_there_is_room() {
    let Some((mut disk, mut known)) = lived_in("before") else { return };
    let (mut refused, mut stopped_at_work) = (0, 0);
    for step in 0..24u64 {
        // the first steps are full while opening; the later ones while a segment is made or sled grows
        let room = if step < 12 { step } else { 12 + (step - 12) * 9 };
        disk.limit(disk.used_bytes() + room * BLOCK);
        let label = format!("room for {room} blocks");
        let mut process = Process::start(&order(&disk, step + 1, 300, 0), &known, label);
        process.read_until(&disk, &mut known, PATIENCE, |seen| seen.is_closed);
        let status = process.end(&mut known);
        let seen = &process.seen;
        match (status, &seen.refused) {
            // what is refused names the cause
            (Some(3), Some(why)) if why.contains("No space left") || why.contains("disk is full") => refused += 1,
            (Some(70), None) => stopped_at_work += u64::from(seen.is_verified),
            (Some(0), None) if seen.is_closed => {}
            _ => process.fail(&format!("it ended with {status:?}")),
        }
        disk.limit(u64::MAX);
        if step < 6 {
            // no power was cut yet, and a full disk is no damage: nothing is made anew
            let entries = std::fs::read_dir(disk.data()).expect("the folder");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            let is_of_damage = |name: &str| name == "sled.doubt" || name.starts_with("sled.aside");
            let noted: Vec<_> = names.filter(|name| is_of_damage(&name.to_string_lossy())).collect();
            assert!(noted.is_empty(), "room for {room} blocks: {noted:?}");
        }
        if step % 6 == 5 {
            disk.cut(50, step);
        }
    }
    eprintln!("full at the opening: {refused}, at work: {stopped_at_work}");
    assert!(refused > 2 && stopped_at_work > 2, "full at the opening: {refused}, at work: {stopped_at_work}");
    last_boot(&disk, &mut known, "after every step");
}

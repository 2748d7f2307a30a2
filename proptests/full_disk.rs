//! The ledger on a disk that fills up, at every step: `disk-low` comes before the disk is full, nothing acknowledged is
//! lost, and with room again the folder opens. On the disk of `power_cut`, which can be given any size and is cut off
//! here too. Where no FUSE file system can be mounted the tests say so and return.
#![cfg(test)]

use std::time::Duration;

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
        if step % 6 == 5 {
            disk.cut(50, step);
        }
    }
    eprintln!("full at the opening: {refused}, at work: {stopped_at_work}");
    assert!(refused > 2 && stopped_at_work > 2, "full at the opening: {refused}, at work: {stopped_at_work}");
    last_boot(&disk, &mut known, "after every step");
}

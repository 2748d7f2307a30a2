//! The edges that only a disk in memory can show at will: no room, a sled that breaks while it is open, a journal that
//! lies. Not here: the step-by-step table (`both_ways.rs`).

use super::super::memory::{Failure, Faults, MemoryDisk, Step};
use super::super::*;
use super::both_ways::{Machine, Told, append, record, recovered};
use crate::clock::monotonic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn machine() -> (Machine, Log, Told) {
    let machine = Machine::new(&Faults::default());
    let (mut log, _) = machine.open().expect("fresh");
    let mut told = Told::default();
    for n in 0..20 {
        assert!(append(&mut log, 1 + n % 6, &mut told));
    }
    (machine, log, told)
}

fn again(machine: &Machine) -> Machine {
    machine.killed(99, &Faults::default())
}

#[test]
fn a_disk_without_room_says_so_and_says_when_there_is_room_again() {
    let disk = MemoryDisk::new(Faults::default());
    let place = super::super::memory::MemoryReadLogPlace::new(Faults::default());
    let options = LogOptions { segment_bytes: 4 << 10, disk_floor_bytes: 1_000_000, ..LogOptions::new("") };
    disk.set_free_bytes(2_000_000);
    let (mut log, _) = Log::open_on(Arc::new(disk.clone()), &place, &options, &NoProgress).expect("fresh");
    let mut group = Group::new();
    group.push(1, &record(1, 0));
    log.append(&group).expect("room");
    assert_eq!(log.reader().room(), Room::Ample);
    for (free, room) in [(999_999, Room::Low), (249_999, Room::None), (250_000, Room::Low), (1_000_000, Room::Ample)] {
        disk.set_free_bytes(free);
        log.shared.look_at_disk();
        assert_eq!(log.reader().room(), room, "{free}");
        // what was judged while there was room is written, whatever the figure says meanwhile
        log.append(&group).expect("room");
    }
}

/// An appender looks whether the log stopped, and then waits for sled. What stops the log in between must wake it, and not
/// before it waits.
#[test]
fn a_log_that_stops_wakes_an_appender_that_is_about_to_wait_for_sled() {
    let (_machine, log, _) = machine();
    let shared = &log.shared;
    let is_woken = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // the appender, between its look and its wait
        let window = shared.window.lock();
        scope.spawn(|| {
            shared.fail("sled did not take it".into());
            is_woken.store(true, Ordering::SeqCst);
        });
        while shared.failure().is_none() {
            std::thread::yield_now();
        }
        std::thread::sleep(Duration::from_millis(100));
        assert!(!is_woken.load(Ordering::SeqCst), "it was woken before it waited");
        drop(window);
    });
    assert!(is_woken.load(Ordering::SeqCst));
}

#[test]
fn sled_that_can_not_be_opened_is_set_aside_and_made_anew() {
    let (machine, log, told) = machine();
    drop(log);
    let broken = again(&machine);
    broken.place.break_it();
    let (log, report) = broken.open().expect("sled is disposable");
    assert_eq!(report.sled_rebuilt.as_deref(), Some("scribbled over"));
    assert_eq!(broken.place.set_aside_count(), 1);
    assert_eq!(log.reader().read(3, 0, usize::MAX).expect("readable").len() as u64, told.acknowledged[&3]);
    drop(log);
    drop(recovered(&again(&broken), &told, "after the rebuild"));
}

#[test]
fn a_read_that_sled_can_not_answer_is_answered_by_the_journal() {
    type Spoil = fn(&mut std::collections::BTreeMap<Vec<u8>, Vec<u8>>);
    let ways: [(&str, Spoil); 3] = [
        ("a hole", |table| drop(table.pop_first())),
        ("a flipped bit in a record", |table| {
            let value = table.values_mut().nth(4).expect("frames");
            let middle = value.len() - 40;
            value[middle] ^= 1;
        }),
        ("another frame in its place", |table| {
            let values: Vec<Vec<u8>> = table.values().take(2).cloned().collect();
            table.values_mut().take(2).zip(values.into_iter().rev()).for_each(|(place, other)| *place = other);
        }),
    ];
    for (way, spoil) in ways {
        let (machine, log, told) = machine();
        log.close().expect("closed");
        let (log, report) = machine.open().expect("opened");
        assert_eq!(report.sled_rebuilt, None, "{way}");
        machine.place.spoil(spoil);
        let records = log.reader().read(3, 0, usize::MAX).expect("the journal has them");
        let expected: Vec<(u64, Vec<u8>)> = (0..told.acknowledged[&3]).map(|n| (n, record(3, n))).collect();
        assert!(records == expected, "{way}");
        assert_eq!(log.reader().reads_from_journal(), 1, "{way}");
        drop(log);
        let next = again(&machine);
        let (log, report) = next.open().expect("opened");
        assert!(report.sled_rebuilt.is_some(), "{way}: what was seen is repaired");
        log.close().expect("closed");
        drop(recovered(&next, &told, way));
    }
}

#[test]
fn sled_that_breaks_while_it_is_brought_level_is_made_anew() {
    for step in ["change", "self-test"] {
        let (machine, log, told) = machine();
        drop(log);
        let broken = machine.killed(0, &Faults::default());
        broken.place.break_at(step);
        let (log, report) = broken.open().unwrap_or_else(|error| panic!("{step}: {error}"));
        assert_eq!(report.sled_rebuilt.as_deref(), Some("scribbled over"), "{step}");
        drop(log);
        drop(recovered(&again(&broken), &told, step));
    }
}

#[test]
fn sled_that_breaks_at_work_is_made_anew_by_the_next_start() {
    for step in ["change", "flush"] {
        let (machine, mut log, mut told) = machine();
        machine.place.break_at(step);
        append(&mut log, 2, &mut told);
        log.checkpoint_now().expect_err("sled is broken");
        assert!(log.failure().is_some_and(|why| why.contains("scribbled over")), "{step}");
        drop(log);
        let next = again(&machine);
        let (log, report) = next.open().unwrap_or_else(|error| panic!("{step}: {error}"));
        assert!(report.sled_rebuilt.is_some_and(|why| why.contains("scribbled over")), "{step}");
        drop(log);
        drop(recovered(&again(&next), &told, step));
    }
}

#[test]
fn a_scrub_that_finds_sled_damaged_has_the_next_start_make_it_anew() {
    let (machine, mut log, told) = machine();
    log.checkpoint_now().expect("a checkpoint");
    // of the first frame, which nobody reads and no start looks at
    machine.place.spoil(|table| *table.values_mut().next().and_then(|value| value.last_mut()).expect("a byte") ^= 1);
    let scrubber = Scrubber::start(&log.reader(), Duration::from_millis(1)).expect("a thread").expect("not never");
    let begun = monotonic();
    while log.reader().scrubbed().walks == 0 {
        assert!(begun.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(log.reader().scrubbed().damages > 0);
    scrubber.close();
    drop(log);
    let next = again(&machine);
    let (log, report) = next.open().expect("opened");
    assert!(report.sled_rebuilt.is_some());
    drop(log);
    drop(recovered(&again(&next), &told, "scrubbed"));
}

#[test]
fn a_segment_that_went_missing_is_named() {
    let (machine, log, _) = machine();
    log.close().expect("closed");
    let segments: Vec<String> = machine.disk.names().into_iter().filter(|n| n.starts_with("journal/0")).collect();
    assert!(segments.len() >= 3, "{segments:?}");
    for segment in &segments {
        let short = again(&machine);
        short.disk.take_away(segment);
        let error = short.open().map(|_| ()).expect_err("a segment is missing").to_string();
        let is_last = Some(segment) == segments.last();
        assert!(error.contains(segment.as_str()) || is_last && error.contains("missing"), "{segment}: {error}");
    }
}

#[test]
fn a_whole_group_behind_a_broken_one_is_damage_and_no_torn_end() {
    let machine = Machine::new(&Faults::default());
    let (mut log, _) = machine.open().expect("fresh");
    let mut told = Told::default();
    (0..3).for_each(|_| assert!(append(&mut log, 2, &mut told)));
    drop(log);
    let spoiled = again(&machine);
    spoiled.disk.spoil("journal/0000000001.segment", |bytes| bytes[520] ^= 1);
    let error = spoiled.open().map(|_| ()).expect_err("group 1 was whole once");
    let OpenError::Corrupt(damage) = error else { panic!("{error}") };
    assert_eq!((damage.tenant, damage.position, damage.group), (Some(3), Some(0), Some(1)), "{damage}");
}

#[test]
fn a_group_larger_than_a_segment_gets_one_of_its_size() {
    let machine = Machine::new(&Faults::default());
    let (mut log, _) = machine.open().expect("fresh");
    let mut told = Told::default();
    assert!(append(&mut log, 2, &mut told));
    assert!(append(&mut log, 400, &mut told));
    assert!(append(&mut log, 2, &mut told));
    drop(log);
    drop(recovered(&again(&machine), &told, "a large group"));
}

#[test]
fn the_longest_records_are_kept_whole() {
    let machine = Machine::new(&Faults::default());
    let (mut log, _) = machine.open().expect("fresh");
    let mut group = Group::new();
    let longest = vec![0xab; RECORD_BYTES_MAX];
    (0..3).for_each(|_| group.push(u32::MAX, &longest));
    group.push(u32::MAX, b"");
    log.append(&group).expect("appended");
    log.close().expect("closed");
    let (log, _) = machine.open().expect("opened");
    let records = log.reader().read(u32::MAX, 0, usize::MAX).expect("readable");
    assert_eq!(
        records.iter().map(|(_, r)| r.len()).collect::<Vec<_>>(),
        [RECORD_BYTES_MAX, RECORD_BYTES_MAX, RECORD_BYTES_MAX, 0]
    );
}

/// A checkpoint that could not begin leaves the one before it in force, and comes when it can: nobody has to ask.
#[test]
fn a_checkpoint_without_a_descriptor_or_room_for_its_manifest_is_made_later() {
    let step = Step { what: "create", name: "manifest-0000000000000002.tmp".into(), nth: 0 };
    for failure in [Failure::NoDescriptor, Failure::NoRoom] {
        let faults = Faults::at(&step, failure);
        let machine = Machine::new(&faults);
        let (mut log, _) = machine.open().expect("fresh");
        let mut told = Told::default();
        assert!(append(&mut log, 3, &mut told));
        log.checkpoint_now().expect_err("it can't be made now");
        assert_eq!((faults.fired(), log.failure()), (Some(step.clone()), None), "{failure:?}");
        assert!(append(&mut log, 3, &mut told), "the log goes on");
        let is_made = || machine.disk.names().iter().any(|name| name == "manifest-0000000000000002");
        for _ in 0..600 {
            if is_made() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert!(is_made(), "{failure:?}: it is made by itself");
        assert_eq!(log.checkpoint_now().expect("the next one").group, 2, "{failure:?}");
        drop(log);
        drop(recovered(&again(&machine), &told, "a checkpoint was late"));
    }
}

#[test]
fn a_segment_that_finds_no_descriptor_waits_for_one() {
    // the folder is synced once when it is made
    for (what, name, nth) in [("create", "journal/prepared-large.tmp", 0), ("sync folder", "journal", 1)] {
        let faults = Faults::at(&Step { what, name: name.into(), nth }, Failure::NoDescriptor);
        let machine = Machine::new(&faults);
        let (mut log, _) = machine.open().expect("fresh");
        let mut told = Told::default();
        [6, 400, 6, 6].into_iter().for_each(|each| assert!(append(&mut log, each, &mut told), "{name}"));
        assert!(faults.fired().is_some(), "{name}: segments were changed");
        drop(log);
        drop(recovered(&again(&machine), &told, name));
    }
}

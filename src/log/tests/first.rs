//! The plain life of a log on real files: fresh, append, read, reopen.

use std::ops::ControlFlow;

use super::super::*;

fn options(dir: &std::path::Path) -> LogOptions {
    LogOptions { disk_floor_bytes: 0, sled_cache_bytes: 4 << 20, ..LogOptions::new(dir) }
}

fn record(tenant: u32, n: u64) -> Vec<u8> {
    format!("tenant {tenant} record {n}").into_bytes()
}

fn append(log: &mut Log, tenants: &[u32], each: u64) {
    let mut group = Group::new();
    for tenant in tenants {
        let next = log.head(*tenant).next_position;
        (next..next + each).for_each(|n| group.push(*tenant, &record(*tenant, n)));
    }
    log.append(&group).expect("room and a good disk");
}

fn assert_holds(reader: &LogReader, tenant: u32, until: u64) {
    let records = reader.read(tenant, 0, usize::MAX).expect("readable");
    let expected: Vec<(u64, Vec<u8>)> = (0..until).map(|n| (n, record(tenant, n))).collect();
    assert_eq!(records, expected);
}

#[test]
fn a_log_that_is_closed_leaves_little_for_sled_to_go_through_at_the_next_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let notes = || {
        let names =
            std::fs::read_dir(dir.path().join("sled")).expect("sled").map(|found| found.expect("a file").file_name());
        let mut notes: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("snap.")).collect();
        notes.sort();
        notes
    };
    let (mut log, _) = Log::open(options(dir.path()), &NoProgress).expect("fresh");
    let before = notes();
    for _ in 0..20 {
        append(&mut log, &[7, 3], 30);
    }
    log.checkpoint_now().expect("a checkpoint");
    assert_eq!(notes(), before, "a checkpoint notes nothing down");
    log.close().expect("closed");
    assert_ne!(notes(), before);
}

#[test]
fn sled_is_opened_anew_while_little_is_written_and_readers_see_what_they_saw() {
    let dir = tempfile::tempdir().expect("a folder");
    let noted = || {
        std::fs::read_dir(dir.path().join("sled")).expect("sled").any(|found| {
            let found = found.expect("a file");
            found.file_name().to_string_lossy().starts_with("snap.")
                && found.metadata().expect("its length").len() > 500
        })
    };
    let reach = |what: &str, is_reached: &dyn Fn() -> bool| {
        let end = crate::clock::monotonic() + std::time::Duration::from_secs(60);
        while !is_reached() {
            assert!(crate::clock::monotonic() < end, "{what}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    let small = LogOptions { memory_bytes: 0, ..options(dir.path()) };
    let (mut log, _) = Log::open(small.clone(), &NoProgress).expect("fresh");
    for _ in 0..100 {
        append(&mut log, &[7, 3], 30);
    }
    let held = log.shared.read_log().expect("open");
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(!noted(), "somebody reads from it");
    drop(held);
    reach("it is opened anew", &noted);
    reach("its marker goes", &|| !dir.path().join("sled.opening").exists());
    assert_holds(&log.reader(), 3, 3000);
    for _ in 0..5 {
        append(&mut log, &[7, 3], 30);
    }
    log.checkpoint_now().expect("a checkpoint");
    assert_holds(&log.reader(), 7, 3150);
    assert_eq!(log.reader().reads_from_journal(), 0);
    // as a kill leaves it
    let copy = tempfile::tempdir().expect("a folder");
    copy_of(dir.path(), copy.path());
    log.close().expect("closed");
    let (log, report) = Log::open(LogOptions { dir: copy.path().to_owned(), ..small }, &NoProgress).expect("again");
    assert_eq!(report.sled_rebuilt, None);
    assert_holds(&log.reader(), 3, 3150);
    assert_eq!(log.reader().reads_from_journal(), 0);
}

fn copy_of(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for found in std::fs::read_dir(from).expect("a folder") {
        let (path, name) = found.map(|found| (found.path(), found.file_name())).expect("an entry");
        if path.is_dir() {
            copy_of(&path, &to.join(name))
        } else {
            std::fs::copy(&path, to.join(name)).map(|_| ()).expect("copied")
        }
    }
}

#[test]
fn what_was_appended_is_read_back_before_and_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut log, report) = Log::open(options(dir.path()), &NoProgress).expect("fresh");
    assert!(report.fresh);
    for _ in 0..20 {
        append(&mut log, &[7, 3], 30);
    }
    assert_holds(&log.reader(), 3, 600);
    let heads = log.heads();
    log.close().expect("closed");

    let (mut log, report) = Log::open(options(dir.path()), &NoProgress).expect("again");
    assert!(!report.fresh);
    assert_eq!((report.last_group, report.groups_replayed), (20, 0));
    assert_eq!(report.sled_rebuilt, None);
    assert_eq!(log.heads(), heads);
    assert_holds(&log.reader(), 3, 600);
    append(&mut log, &[3, 9], 5);
    assert_holds(&log.reader(), 3, 605);
    let middle = log.reader().read(3, 590, 60).expect("readable");
    assert_eq!(middle.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [590, 591, 592, 593]);
    drop(log); // no checkpoint: as after a kill

    let (log, report) = Log::open(options(dir.path()), &NoProgress).expect("a third time");
    assert_eq!((report.last_group, report.groups_replayed, report.torn), (21, 1, None));
    assert_holds(&log.reader(), 3, 605);
    assert_holds(&log.reader(), 9, 5);
    let mut groups = vec![];
    let end = replay_groups(dir.path(), 20, &mut |group| {
        groups.push((group.number, group.frames().map(|f| (f.tenant, f.records.count())).collect::<Vec<_>>()));
        ControlFlow::Continue(())
    });
    assert_eq!(end.expect("a whole journal").last_group, 21);
    assert_eq!(groups, [(20, vec![(3, 30), (7, 30)]), (21, vec![(3, 5), (9, 5)])]);
    let now = log.heads();
    let stood = |group, heads: &BTreeMap<u32, Head>| stood_at(dir.path(), group, heads, &now).expect("readable");
    assert!(stood(20, &heads) && stood(21, &now), "tenant 9 came with the last group, and tenant 7 is not in it");
    let mut other = heads.clone();
    other.insert(3, Head { next_position: 600, chain: [1; 32] });
    let mut fewer = heads.clone();
    fewer.remove(&7);
    let mut more = heads.clone();
    more.insert(11, Head { next_position: 1, chain: [1; 32] });
    for (group, heads) in [(20, &now), (20, &other), (20, &fewer), (20, &more), (19, &heads), (21, &heads), (22, &now)]
    {
        assert!(!stood(group, heads), "group {group}: {heads:?}");
    }
}

#[test]
fn a_folder_in_use_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_log, _) = Log::open(options(dir.path()), &NoProgress).expect("fresh");
    assert!(matches!(Log::open(options(dir.path()), &NoProgress), Err(OpenError::Locked { .. })));
}

#[test]
fn segments_change_when_they_are_full_and_keep_the_order() {
    let dir = tempfile::tempdir().expect("a folder");
    let small = || LogOptions { segment_bytes: 16 << 10, ..options(dir.path()) };
    let (mut log, _) = Log::open(small(), &NoProgress).expect("fresh");
    for n in 0..60 {
        append(&mut log, &[1], if n == 30 { 2_000 } else { 40 });
    }
    drop(log);
    let (log, report) = Log::open(small(), &NoProgress).expect("again");
    assert_eq!(report.last_group, 60);
    assert_holds(&log.reader(), 1, 59 * 40 + 2_000);
}

#[test]
fn halves_of_caches_that_a_kill_left_are_gone_before_a_log_is_made_or_opened() {
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        for folder in ["snapshots", "receipts", "subjects"] {
            std::fs::create_dir_all(dir.path().join(folder)).expect("a folder");
            for file in ["1.new", "1.whole"] {
                std::fs::write(dir.path().join(folder).join(file), "half").expect("a file");
            }
        }
        let (log, _) = Log::open(options(dir.path()), &NoProgress).expect("it opens");
        for folder in ["snapshots", "receipts", "subjects"] {
            let is_there = |file: &str| dir.path().join(folder).join(file).exists();
            assert_eq!((is_there("1.new"), is_there("1.whole")), (false, true), "{folder}");
        }
        log.close().expect("closed");
    }
}

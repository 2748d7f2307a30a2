//! Rotten bits and spoiled folders on real files: opening or `walk` names them, or nothing that counts was hit. Damage to
//! sled costs a rebuild and nothing else. Seeds are printed on failure.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::*;
use crate::clock::monotonic;

type Contents = BTreeMap<u32, Vec<(u64, Vec<u8>)>>;

fn options(dir: &Path) -> LogOptions {
    LogOptions {
        segment_bytes: 64 << 10,
        disk_floor_bytes: 0,
        sled_cache_bytes: 4 << 20,
        memory_bytes: 0,
        ..LogOptions::new(dir)
    }
}

fn open(dir: &Path) -> Result<(Log, OpenReport), OpenError> {
    Log::open(options(dir), &NoProgress)
}

fn grow(log: &mut Log, groups: u64) {
    let mut group = Group::new();
    for n in 0..groups {
        group.clear();
        for tenant in [1, 6] {
            let next = log.head(tenant).next_position;
            for at in next..next + 1 + n % 9 {
                group.push(tenant, format!("{tenant}: {at} {}", "x".repeat((at % 60) as usize)).as_bytes());
            }
        }
        log.append(&group).expect("appended");
    }
}

fn contents(reader: &LogReader) -> Contents {
    let all = |tenant: u32| reader.read(tenant, 0, usize::MAX).map(|records| (tenant, records));
    reader.tenants().into_iter().map(all).collect::<Result<_, _>>().expect("readable")
}

/// A folder with several segments, checkpoints, and an end that no checkpoint covers if `is_clean` is false.
fn folder(is_clean: bool) -> (tempfile::TempDir, Contents) {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut log, _) = open(dir.path()).expect("fresh");
    grow(&mut log, 80);
    log.checkpoint_now().expect("a checkpoint");
    grow(&mut log, 160);
    log.checkpoint_now().expect("a checkpoint");
    if !is_clean {
        grow(&mut log, 40);
    }
    let contents = contents(&log.reader());
    if is_clean {
        log.close().expect("closed");
    }
    (dir, contents)
}

fn copy(from: &Path) -> tempfile::TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                all(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).expect("copied");
            }
        }
    }
    let to = tempfile::tempdir().expect("a folder");
    all(from, to.path());
    to
}

fn files(dir: &Path, is_wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(dir).expect("inside").to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if is_wanted(&name) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Flips one bit in the used bytes (all up to the last that is not zero) of one of the files.
fn flip(rng: &mut StdRng, files: &[PathBuf]) -> String {
    let used: Vec<usize> = files
        .iter()
        .map(|file| fs::read(file).expect("a file").iter().rposition(|b| *b != 0).map_or(0, |at| at + 1))
        .collect();
    let mut at = rng.random_range(0..used.iter().sum::<usize>());
    let mut file = 0;
    while at >= used[file] {
        at -= used[file];
        file += 1;
    }
    let mut bytes = fs::read(&files[file]).expect("a file");
    let bit = rng.random_range(0..8);
    bytes[at] ^= 1 << bit;
    fs::write(&files[file], bytes).expect("written");
    format!("{}, byte {at}, bit {bit}", files[file].display())
}

fn is_named(report: &WalkReport) -> bool {
    !report.is_whole() || report.notes.iter().any(|note| note.contains("slot"))
}

/// A hundred flips: each is named by the walk or by opening, or everything is as before.
fn rot(kind: &str, is_clean: bool, seed: u64, is_wanted: impl Fn(&str) -> bool) {
    let (dir, before) = folder(is_clean);
    let (mut named_by_walk, mut named_by_open, mut harmless) = (0, 0, 0);
    for round in 0..100 {
        let rotten = copy(dir.path());
        let mut rng = StdRng::seed_from_u64(seed + round);
        let place = flip(&mut rng, &files(rotten.path(), &is_wanted));
        let context = format!("{kind}, seed {}, {place}", seed + round);
        let walked = walk(rotten.path(), &NoProgress, &mut |_| ControlFlow::Continue(()));
        named_by_walk += u32::from(is_named(&walked));
        let message = match open(rotten.path()) {
            Err(error) => error.to_string(),
            Ok((log, report)) => {
                let is_suspicious = report.sled_rebuilt.is_some()
                    || report.bad_anchor_slot.is_some()
                    || report.bad_manifest.is_some()
                    || report.sled_frames_removed > 0;
                let is_found_later = is_named(&walked);
                if let Ok(now) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| contents(&log.reader()))) {
                    assert!(now == before || is_found_later, "{context}: records changed and nobody said so");
                } else {
                    assert!(is_found_later, "{context}: records can't be read and the walk did not say so");
                }
                harmless += u32::from(!is_suspicious && !is_found_later);
                named_by_open += u32::from(is_suspicious);
                continue;
            }
        };
        named_by_open += 1;
        assert!(!message.contains("panicked") && !message.contains("unwrap"), "{context}: not for a person: {message}");
    }
    println!(
        "{kind}: {named_by_walk} named by the walk, {named_by_open} by opening, {harmless} hit nothing that counts"
    );
}

#[test]
fn a_flipped_bit_in_the_journal_is_named() {
    rot("journal", true, 1_000, |name| name.starts_with("journal/0"));
}

#[test]
fn rot_in_the_last_group_is_named_with_its_place_where_a_checkpoint_covers_it() {
    let (dir, before) = folder(true);
    let last = files(dir.path(), |name| name.starts_with("journal/0")).pop().expect("a segment");
    let mut bytes = fs::read(&last).expect("a segment");
    // the last record of the last frame stands before its chain
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("used") + 1;
    bytes[end - 40] ^= 1;
    fs::write(&last, &bytes).expect("written");
    let report = walk(dir.path(), &NoProgress, &mut |_| ControlFlow::Continue(()));
    let first = report.damages.first().expect("it is found");
    assert_eq!(first.file, last.display().to_string());
    assert_eq!(first.group, Some(report.last_group + 1));
    let (tenant, position) = (first.tenant.expect("a tenant"), first.position.expect("a position"));
    assert!(before[&tenant].iter().any(|(at, _)| *at == position), "{first}");
    assert!(first.offset.is_some_and(|offset| offset < end as u64), "{first}");
    assert!(report.damages.iter().any(|damage| damage.to_string().contains("the anchor says")), "{report:?}");
}

#[test]
fn a_flipped_bit_in_the_journal_of_a_killed_service_is_named() {
    rot("journal after a kill", false, 2_000, |name| name.starts_with("journal/0"));
}

#[test]
fn a_flipped_bit_in_the_anchor_is_named() {
    rot("anchor", true, 3_000, |name| name == "anchor");
}

#[test]
fn a_flipped_bit_in_a_manifest_is_named() {
    rot("manifest", true, 4_000, |name| name.starts_with("manifest-"));
}

#[test]
fn a_flipped_bit_in_ready_is_named() {
    rot("READY", true, 5_000, |name| name == "READY");
}

#[test]
fn a_flipped_bit_in_sled_costs_a_rebuild_at_most() {
    rot("sled", true, 6_000, |name| name.starts_with("sled/"));
}

#[test]
fn a_flipped_bit_in_sled_of_a_killed_service_costs_a_rebuild_at_most() {
    rot("sled after a kill", false, 7_000, |name| name.starts_with("sled/"));
}

#[test]
fn a_walk_of_a_whole_folder_finds_everything_and_changes_nothing() {
    for is_clean in [true, false] {
        let (dir, before) = folder(is_clean);
        let bytes = |dir: &Path| {
            files(dir, |_| true).into_iter().map(|f| (f.clone(), fs::read(f).expect("a file"))).collect::<Vec<_>>()
        };
        let untouched = bytes(dir.path());
        let mut groups = 0;
        let report = walk(dir.path(), &NoProgress, &mut |_| {
            groups += 1;
            ControlFlow::Continue(())
        });
        assert!(report.is_whole(), "{report:?}");
        assert_eq!(report.notes, Vec::<String>::new());
        assert_eq!(report.records, before.values().map(|records| records.len() as u64).sum::<u64>());
        assert_eq!((report.groups, report.last_group), (groups, groups));
        assert_eq!(report.sled_frames_equal + report.sled_frames_lacking, report.frames);
        assert!(bytes(dir.path()) == untouched, "verify wrote into the folder");
    }
}

/// Every way to spoil the sled folder, after a clean end and after a kill.
#[test]
fn without_its_sled_folder_a_log_costs_a_rebuild_and_nothing_else() {
    type Spoil = fn(&Path);
    let ways: [(&str, Spoil); 8] = [
        ("deleted", |sled| fs::remove_dir_all(sled).expect("deleted")),
        ("emptied", |sled| {
            fs::remove_dir_all(sled).expect("deleted");
            fs::create_dir(sled).expect("made");
        }),
        ("without db", |sled| fs::remove_file(sled.join("db")).expect("deleted")),
        ("without conf", |sled| fs::remove_file(sled.join("conf")).expect("deleted")),
        ("db cut in half", |sled| {
            let bytes = fs::read(sled.join("db")).expect("a file");
            let used = bytes.iter().rposition(|byte| *byte != 0).expect("something");
            fs::write(sled.join("db"), &bytes[..used / 2 + 77]).expect("cut");
        }),
        ("db emptied", |sled| fs::write(sled.join("db"), b"").expect("written")),
        ("scribbled over", |sled| {
            for file in files(sled, |_| true) {
                let mut bytes = fs::read(&file).expect("a file");
                bytes.iter_mut().step_by(97).for_each(|b| *b ^= 0x5a);
                fs::write(file, bytes).expect("written");
            }
        }),
        ("a file in its place", |sled| {
            fs::remove_dir_all(sled).expect("deleted");
            fs::write(sled, b"not a folder").expect("written");
        }),
    ];
    for is_clean in [true, false] {
        let (dir, before) = folder(is_clean);
        for (way, spoil) in ways {
            let spoiled = copy(dir.path());
            spoil(&spoiled.path().join("sled"));
            let steps = Steps::default();
            let (log, report) =
                Log::open(options(spoiled.path()), &steps).unwrap_or_else(|e| panic!("{way} ({is_clean}): {e}"));
            // without conf sled makes a new one and finds everything
            assert!(report.sled_rebuilt.is_some() || way == "without conf", "{way} ({is_clean}): {report:?}");
            assert!(steps.0.load(std::sync::atomic::Ordering::SeqCst) > 0 || report.sled_rebuilt.is_none());
            assert!(contents(&log.reader()) == before, "{way} ({is_clean}): other records");
            assert_eq!(log.reader().reads_from_journal(), 0, "{way}");
            log.close().expect("closed");
            let left = fs::read_dir(spoiled.path()).expect("a folder").map(|e| e.expect("an entry").file_name());
            assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("aside")), "the old one is gone");
            let report = walk(spoiled.path(), &NoProgress, &mut |_| ControlFlow::Continue(()));
            assert!(report.is_whole() && report.sled_frames_equal == report.frames, "{way}: {report:?}");
        }
    }
}

#[derive(Default)]
struct Steps(std::sync::atomic::AtomicU64);

impl Progress for Steps {
    fn step(&self, _what: &str, _done: u64, _total: u64) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

#[test]
fn a_shortened_journal_is_refused_and_says_how_to_restore() {
    let (dir, _) = folder(true);
    let segments = files(dir.path(), |name| name.starts_with("journal/0"));
    let last = segments.last().expect("segments");
    for (way, spoil) in [
        ("last segment deleted", Box::new(|| fs::remove_file(last).expect("deleted")) as Box<dyn Fn()>),
        ("first segment deleted", Box::new(|| fs::remove_file(&segments[0]).expect("deleted"))),
        ("middle segment deleted", Box::new(|| fs::remove_file(&segments[1]).expect("deleted"))),
        (
            "last segment without groups",
            Box::new(|| {
                fs::OpenOptions::new().write(true).open(last).expect("opened").set_len(512).expect("cut");
            }),
        ),
        ("anchor deleted", Box::new(|| fs::remove_file(dir.path().join("anchor")).expect("deleted"))),
        ("READY deleted", Box::new(|| fs::remove_file(dir.path().join("READY")).expect("deleted"))),
    ] {
        let kept = copy(dir.path());
        spoil();
        let error = open(dir.path()).map(|_| ()).expect_err(way).to_string();
        assert!(error.contains("restore"), "{way}: {error}");
        assert!(!walk(dir.path(), &NoProgress, &mut |_| ControlFlow::Continue(())).is_whole(), "{way}");
        fs::remove_dir_all(dir.path()).expect("deleted");
        fs::rename(kept.keep(), dir.path()).expect("put back");
    }
    open(dir.path()).expect("put back, it opens");
}

#[test]
fn a_sled_that_knows_more_than_the_journal_is_a_lost_tail() {
    let (dir, _) = folder(true);
    let short = copy(dir.path());
    let (mut log, _) = open(dir.path()).expect("opened");
    grow(&mut log, 5);
    log.close().expect("closed");
    fs::remove_dir_all(short.path().join("sled")).expect("deleted");
    fs::rename(dir.path().join("sled"), short.path().join("sled")).expect("moved");
    let error = open(short.path()).map(|_| ()).expect_err("groups are missing");
    assert!(matches!(&error, OpenError::LostTail { .. }), "{error}");
    assert!(error.to_string().contains("groups 241 to 245"), "{error}");
    // and it stays refused
    assert!(matches!(open(short.path()), Err(OpenError::LostTail { .. })));
}

#[test]
fn a_scrubber_walks_again_and_again_beside_the_log_and_finds_what_rots() {
    let (dir, _) = folder(false);
    let (mut log, _) = open(dir.path()).expect("opened");
    let scrubber = Scrubber::start(&log.reader(), Duration::from_millis(1)).expect("a thread").expect("not never");
    let walked = |reader: &LogReader, more: u64| {
        let (begun, from) = (monotonic(), reader.scrubbed().walks);
        while reader.scrubbed().walks < from + more {
            assert!(begun.elapsed() < Duration::from_secs(120), "{:?}", reader.scrubbed());
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    grow(&mut log, 100);
    walked(&log.reader(), 2);
    grow(&mut log, 100);
    log.checkpoint_now().expect("a checkpoint");
    walked(&log.reader(), 2);
    assert_eq!(log.reader().scrubbed().damages, 0);
    // of the first group, which nobody reads any more
    let segment = fs::OpenOptions::new().read(true).write(true).open(dir.path().join("journal/0000000001.segment"));
    let (segment, mut byte) = (segment.expect("a segment"), [0]);
    segment.read_exact_at(&mut byte, 520).expect("read");
    segment.write_all_at(&[byte[0] ^ 1], 520).expect("written");
    walked(&log.reader(), 2);
    assert!(log.reader().scrubbed().damages > 0);
    assert!(!dir.path().join("sled.doubt").exists(), "sled is whole");
    scrubber.close();
    log.close().expect("closed");
}

#[test]
fn a_running_log_can_be_backed_up_and_scrubbed() {
    let (dir, _) = folder(false);
    let (mut log, _) = open(dir.path()).expect("opened");
    grow(&mut log, 50);
    let plan = log.reader().backup_files().expect("a plan");
    let expected = contents(&log.reader());
    grow(&mut log, 50);
    let scrubbed = log.reader().scrub(&NoProgress, &mut |_| ControlFlow::Continue(()));
    assert!(scrubbed.is_whole(), "{scrubbed:?}");
    assert_eq!(scrubbed.last_group, log.last_group());
    let check = |plan: BackupPlan, expected: &Contents| {
        let to = tempfile::tempdir().expect("a folder");
        fs::create_dir(to.path().join("journal")).expect("a folder");
        for (name, bytes) in plan.small {
            fs::write(to.path().join(name), bytes).expect("written");
        }
        for segment in plan.segments {
            let bytes = fs::read(&segment.path).expect("a segment");
            fs::write(to.path().join(segment.name), &bytes[..super::super::bytes::size(segment.bytes)])
                .expect("written");
        }
        let origin = start_new_origin(to.path()).expect("a new id");
        let (mut restored, report) = open(to.path()).expect("a backup opens");
        assert_eq!((report.log_id, report.last_group), (origin, plan.last_group));
        assert!(contents(&restored.reader()) == *expected, "the backup holds what was durable when it was planned");
        grow(&mut restored, 10);
    };
    check(plan, &expected);
    let expected = contents(&log.reader());
    log.close().expect("closed");
    check(backup_files(dir.path()).expect("a plan"), &expected);
}

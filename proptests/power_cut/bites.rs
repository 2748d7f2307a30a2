//! The forgetful disk itself: who forgets a sync loses data on it, who syncs as one must never does.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::mount::{Fuse, PowerDisk};

const SEEDS: u64 = 20;

fn patterned(seed: u64) -> Vec<u8> {
    (0..20_000u64).map(|at| (at * 31 + seed + 1) as u8 | 1).collect()
}

/// Writes a file the right way, but for the steps that are left out.
fn write(path: &Path, bytes: &[u8], is_synced: bool, is_folder_synced: bool) {
    let aside = path.with_extension("tmp");
    let file = File::create(&aside).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    if is_synced {
        file.sync_data().unwrap();
    }
    fs::rename(&aside, path).unwrap();
    if is_folder_synced {
        File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
    }
}

/// How often of [`SEEDS`] what a writer wrote is not there whole after a cut.
fn losses(survival: u32, writer: impl Fn(&Path, &[u8])) -> Option<u64> {
    let mut losses = 0;
    for seed in 0..SEEDS {
        let mut disk = PowerDisk::mounted()?;
        let path = disk.path().join("file");
        let bytes = patterned(seed);
        writer(&path, &bytes);
        assert_eq!(fs::read(&path).unwrap(), bytes, "before the cut everything is seen");
        disk.cut(survival, seed);
        losses += u64::from(fs::read(&path).ok() != Some(bytes));
    }
    Some(losses)
}

#[test]
fn a_forgotten_sync_of_the_file_loses_its_bytes() {
    for (survival, at_least) in [(0, SEEDS), (50, SEEDS - 2), (90, 5)] {
        let Some(lost) = losses(survival, |path, bytes| write(path, bytes, false, true)) else { return };
        assert!(lost >= at_least, "only {lost} of {SEEDS} at {survival} %");
    }
}

#[test]
fn a_forgotten_sync_of_the_folder_loses_the_name() {
    for (survival, at_least) in [(0, SEEDS), (50, 5), (90, 1)] {
        let Some(lost) = losses(survival, |path, bytes| write(path, bytes, true, false)) else { return };
        assert!(lost >= at_least, "only {lost} of {SEEDS} at {survival} %");
    }
}

#[test]
fn what_is_synced_in_full_is_never_lost() {
    for survival in [0, 50, 90] {
        let Some(lost) = losses(survival, |path, bytes| write(path, bytes, true, true)) else { return };
        assert_eq!(lost, 0, "at {survival} %");
    }
}

/// As sled does where nobody replaces its call: `sync_file_range` only starts the writing, and no file system hears of it.
#[test]
fn an_overwrite_in_place_comes_out_old_new_or_torn() {
    let (mut old, mut new, mut mixed, mut torn) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let Some(mut disk) = PowerDisk::mounted() else { return };
        let path = disk.path().join("db");
        write(&path, &vec![1; 8 * 4096], true, true);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for version in 2..=3 {
            file.write_all_at(&vec![version; 8 * 4096], 0).unwrap();
        }
        drop(file);
        disk.cut(50, seed);
        for block in fs::read(&path).unwrap().chunks(4096) {
            match (block[0], block.iter().all(|byte| *byte == block[0])) {
                (1, true) => old += 1,
                (3, true) => new += 1,
                (_, true) => mixed += 1,
                (_, false) => torn += 1,
            }
            assert!(block.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "a sector is whole");
        }
    }
    assert!(old > 10 && new > 40 && mixed > 10 && torn > 5, "old {old}, new {new}, in between {mixed}, torn {torn}");
}

#[test]
fn a_removed_name_may_come_back_and_a_cut_size_too() {
    let mut back = 0;
    for seed in 0..SEEDS {
        let Some(mut disk) = PowerDisk::mounted() else { return };
        let (gone, short) = (disk.path().join("gone"), disk.path().join("short"));
        write(&gone, b"x", true, true);
        write(&short, &patterned(seed), true, true);
        fs::remove_file(&gone).unwrap();
        fs::OpenOptions::new().write(true).open(&short).unwrap().set_len(5000).unwrap();
        assert!(!gone.exists());
        disk.cut(50, seed);
        back += u64::from(gone.exists());
        let bytes = fs::read(&short).unwrap();
        assert!([5000, 20_000].contains(&bytes.len()), "{} bytes", bytes.len());
        assert_eq!(bytes[..4096], patterned(seed)[..4096]);
    }
    assert!((3..SEEDS - 3).contains(&back), "{back}");
}

#[test]
fn a_dark_disk_answers_nothing_and_keeps_the_last_change_or_not() {
    for is_last_done in [true, false] {
        let Some(mut disk) = PowerDisk::mounted() else { return };
        let path = disk.path().join("file");
        write(&path, b"old", true, true);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        disk.arm(Fuse { changes: 1, is_last_done });
        assert!(file.sync_data().is_err() && disk.is_dark());
        assert!(fs::read(&path).is_err() && file.write_all_at(b"xxx", 0).is_err());
        drop(file);
        disk.cut(0, 1);
        assert_eq!(fs::read(&path).unwrap(), if is_last_done { b"new" } else { b"old" });
    }
}

#[test]
fn a_full_disk_says_so_and_takes_what_fits() {
    let Some(disk) = PowerDisk::mounted() else { return };
    disk.limit(disk.used_bytes() + 4 * 4096);
    let path = disk.path().join("file");
    let file = File::create(&path).unwrap();
    let error = file.write_all_at(&[7; 5 * 4096], 0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(fs::read(&path).unwrap(), [7; 3 * 4096]);
    file.write_all_at(&[8; 4096], 0).unwrap();
    disk.limit(disk.used_bytes() + 4096);
    file.write_all_at(&[9; 4096], 3 * 4096).unwrap();
}

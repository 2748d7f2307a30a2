//! The ledger through one power cut after the other: each data folder lives through ten, at any change of the disk, also
//! while it is made or opened. After each, everything acknowledged is there. Not here: the disk, the process.

use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use seatledger::ledger::{MasterKeySource, NoProgress};
use seatledger::vault::Vault;

use super::mount::{Fuse, PowerDisk};
use super::process::{Known, Process};
use super::workload::Order;

const CUTS_PER_FOLDER: u64 = 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// About so many changes does it take to make a folder, or to open one.
const CHANGES_OF_OPENING: u64 = 60;
const CHANGES_OF_WORK: u64 = 700;

/// What happened in all lives together.
#[derive(Default, Debug)]
struct Tally {
    cuts: u64,
    cut_while_opening: u64,
    cut_by_kill: u64,
    acknowledged: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// At one of the first changes, mostly before anything is served.
    WhileOpening,
    /// At a change of the disk while commands come in, or while it stops in good order or opens again.
    AtWork,
    /// At a moment of the clock, between two changes.
    Killed,
}

#[test]
fn forty_cuts_lose_nothing_acknowledged_and_leave_every_folder_open_to_its_owner() {
    let folders = if is_full_budget() { 40 } else { 4 };
    let mut tally = Tally::default();
    for seed in 0..folders {
        let survival = [0, 50, 90, 50][seed as usize % 4];
        if life(seed, survival, &mut tally).is_none() {
            return;
        }
    }
    eprintln!("{tally:?}");
    assert_eq!(tally.cuts, folders * CUTS_PER_FOLDER);
    assert!(tally.cut_while_opening * 5 >= tally.cuts && tally.cut_by_kill > 0, "{tally:?}");
    assert!(tally.acknowledged as u64 > tally.cuts * 20, "{tally:?}");
}

#[expect(clippy::disallowed_methods, reason = "the budget of the tests is told by the environment")]
fn is_full_budget() -> bool {
    std::env::var("SEATLEDGER_TEST_BUDGET").is_ok_and(|budget| budget == "full")
}

/// A folder from its making through all its cuts. `None` where there is no FUSE.
fn life(seed: u64, survival: u32, tally: &mut Tally) -> Option<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut disk = PowerDisk::mounted()?;
    let mut known = Known::default();
    let dir = disk.data().to_str().expect("a plain path").to_owned();
    for boot in 0..CUTS_PER_FOLDER {
        let close_after = if rng.random_range(0..3) == 0 { rng.random_range(50..600) } else { u64::MAX };
        let order = Order { dir: dir.clone(), boot, close_after, is_last: false, disk_floor_bytes: 0 };
        let label = format!("seed {seed}, {survival} %, boot {boot}");
        let how = match rng.random_range(0..10) {
            _ if boot == 0 => How::WhileOpening,
            0..4 => How::WhileOpening,
            4..8 => How::AtWork,
            _ => How::Killed,
        };
        let fuse =
            |most: u64, rng: &mut StdRng| Fuse { changes: rng.random_range(1..=most), is_last_done: rng.random() };
        if how == How::WhileOpening {
            disk.arm(fuse(CHANGES_OF_OPENING, &mut rng));
        }
        let mut process = Process::start(&order, &known, label);
        if how != How::WhileOpening && !process.read_until(&disk, &mut known, PATIENCE, |seen| seen.is_verified) {
            process.fail("it did not open, or not everything was there");
        }
        if how == How::Killed {
            tally.cut_by_kill += 1;
            process.read_until(&disk, &mut known, Duration::from_millis(rng.random_range(0..400)), |_| false);
        } else {
            if how == How::AtWork {
                disk.arm(fuse(CHANGES_OF_WORK, &mut rng));
            }
            process.read_until(&disk, &mut known, PATIENCE, |_| false);
            if !disk.is_dark() {
                process.fail("it ended, or stood still, with the power on");
            }
            // time for an answer that must not be given
            std::thread::sleep(Duration::from_millis(rng.random_range(0..10)));
        }
        process.kill(&mut known);
        if how == How::Killed && (process.seen.fault.is_some() || process.seen.refused.is_some()) {
            process.fail("it found fault with the power on");
        }
        tally.cuts += 1;
        tally.cut_while_opening += u64::from(!process.seen.is_verified);
        disk.cut(survival, seed << 32 | boot);
    }
    last_boot(&disk, &mut known, &format!("seed {seed}, {survival} %, at the end"));
    tally.acknowledged += known.len();
    Some(())
}

/// Opens, works on and stops in good order; then without its caches; then everything is walked byte for byte.
pub(crate) fn last_boot(disk: &PowerDisk, known: &mut Known, label: &str) {
    let dir = disk.data().to_str().expect("a plain path").to_owned();
    let mut digests = None;
    for boot in [1000, 1001] {
        let order = Order { dir: dir.clone(), boot, close_after: 100, is_last: true, disk_floor_bytes: 0 };
        let mut process = Process::start(&order, known, format!("{label}, boot {boot}"));
        if !process.read_until(disk, known, PATIENCE, |seen| seen.is_verified) {
            process.fail("it did not open, or not everything was there");
        }
        if digests.is_some_and(|before| before != process.seen.digests) {
            process.fail("the state folded from the whole log is another one");
        }
        if !process.read_until(disk, known, PATIENCE, |seen| seen.is_closed) || process.end(known) != Some(0) {
            process.fail("it did not stop in good order");
        }
        digests = Some(process.seen.digests.clone());
        for cache in ["snapshots", "archive", "receipts"] {
            std::fs::remove_dir_all(disk.data().join(cache)).expect("a cache of a ledger that was stopped");
        }
    }
    let walked = seatledger::log::walk(&disk.data(), &NoProgress, &mut |_| ControlFlow::Continue(()));
    assert!(walked.is_whole(), "{label}: {walked:?}");
    let keys = Vault::verify(&disk.data(), &MasterKeySource::DataFolder);
    assert!(keys.as_ref().is_ok_and(|keys| keys.torn_bytes == 0), "{label}: {keys:?}");
}

/// Who has read it once uses it from then on.
#[test]
fn the_root_token_that_a_first_start_wrote_is_there_after_a_cut() {
    let Some(mut disk) = PowerDisk::mounted() else { return };
    let path = disk.data().join("root.token");
    let mut program = Command::new(env!("CARGO_BIN_EXE_seatledger"));
    program.env_clear().arg("serve").arg("--data").arg(disk.data()).args(["--listen", "127.0.0.1:0"]);
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program runs");
    let mut line = String::new();
    let told = BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line);
    let token = std::fs::read_to_string(&path);
    child.kill().and_then(|()| child.wait()).expect("a child of ours");
    assert!(told.is_ok() && line.starts_with("listening on "), "{line}");
    disk.cut(0, 7);
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), token.expect("it was there"));
}

//! Every step of opening, commit, rotation and checkpoint fails once, both ways ("it did not happen", "it happened and
//! the answer was lost", a write also half-way). The log must stop, and a start after a kill or a power cut must find
//! acknowledged ⊆ recovered ⊆ submitted. The code under test is the one that runs on real files.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::super::memory::{Cut, Failure, Faults, MemoryDisk, MemoryReadLogPlace, Step};
use super::super::replay::replay_on;
use super::super::*;

const TENANTS: [u32; 2] = [3, 8];

/// A machine that can be switched off.
pub(super) struct Machine {
    pub(super) disk: MemoryDisk,
    pub(super) place: MemoryReadLogPlace,
}

impl Machine {
    pub(super) fn new(faults: &Faults) -> Machine {
        Machine { disk: MemoryDisk::new(faults.clone()), place: MemoryReadLogPlace::new(faults.clone()) }
    }

    pub(super) fn killed(&self, kept: usize, faults: &Faults) -> Machine {
        let place = self.place.after_kill(kept, faults.clone());
        Machine { disk: self.disk.after_kill(faults.clone()), place }
    }

    pub(super) fn cut(&self, cut: Cut, faults: &Faults) -> Machine {
        let place = self.place.after_kill(0, faults.clone());
        Machine { disk: self.disk.after_power_cut(cut, faults.clone()), place }
    }

    pub(super) fn open(&self) -> Result<(Log, OpenReport), OpenError> {
        let options = LogOptions {
            segment_bytes: 4 << 10,
            disk_floor_bytes: 0,
            memory_bytes: 2_000,
            checkpoint_bytes: u64::MAX,
            ..LogOptions::new("")
        };
        Log::open_on(Arc::new(self.disk.clone()), &self.place, &options, &NoProgress)
    }
}

/// How many records of each tenant were submitted, and how many of them acknowledged. A record says which it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) submitted: BTreeMap<u32, u64>,
    pub(super) acknowledged: BTreeMap<u32, u64>,
}

pub(super) fn record(tenant: u32, n: u64) -> Vec<u8> {
    let mut record = format!("{tenant}/{n}/").into_bytes();
    record.resize(20 + usize::try_from(n % 7).expect("small") * 30, b'.');
    record
}

/// Appends a group with `each` records for every tenant. `false` if the log has stopped.
pub(super) fn append(log: &mut Log, each: u64, told: &mut Told) -> bool {
    let mut group = Group::new();
    for tenant in TENANTS {
        let next = log.head(tenant).next_position;
        (next..next + each).for_each(|n| group.push(tenant, &record(tenant, n)));
        told.submitted.insert(tenant, next + each);
    }
    match log.append(&group) {
        Ok(committed) => {
            told.acknowledged.extend(committed.heads.iter().map(|(tenant, head)| (*tenant, head.next_position)));
            true
        }
        Err(_) => false,
    }
}

/// A short life with commits, rotations and checkpoints. Stops at the first error.
fn live(machine: &Machine, told: &mut Told) {
    let Ok((mut log, _)) = machine.open() else { return };
    for n in 0..14u64 {
        if !append(&mut log, 1 + n % 5, told) {
            assert!(matches!(log.append(&one_record()), Err(AppendError::Fatal(_))), "a log that stopped goes on");
            return;
        }
        if n % 5 == 4 && log.checkpoint_now().is_err() && log.failure().is_some() {
            assert!(matches!(log.append(&one_record()), Err(AppendError::Fatal(_))), "a log that stopped goes on");
            return;
        }
    }
    log.close().ok();
}

fn one_record() -> Group {
    let mut group = Group::new();
    group.push(TENANTS[0], b"never to be acknowledged");
    group
}

/// Opens the machine and checks what is there against what was told; leaves the log open.
#[track_caller]
pub(super) fn recovered(machine: &Machine, told: &Told, context: &str) -> Log {
    let (log, report) = machine.open().unwrap_or_else(|error| panic!("{context}: refused: {error}"));
    assert_eq!(report.sled_rebuilt, None, "{context}: a kill or a cut alone costs no rebuild");
    let mut replayed: BTreeMap<u32, u64> = BTreeMap::new();
    let replay = replay_on(&machine.disk, 1, u64::MAX, &mut |group| {
        for frame in group.frames() {
            *replayed.entry(frame.tenant).or_default() += frame.records.count() as u64;
        }
        ControlFlow::Continue(())
    });
    replay.unwrap_or_else(|error| panic!("{context}: no replay: {error}"));
    for tenant in TENANTS {
        let found = log.head(tenant).next_position;
        let of = |told: &BTreeMap<u32, u64>| told.get(&tenant).copied().unwrap_or(0);
        let (least, most) = (of(&told.acknowledged), of(&told.submitted));
        assert!(least <= found && found <= most, "{context}: tenant {tenant}: {least} <= {found} <= {most}");
        let records = log.reader().read(tenant, 0, usize::MAX).unwrap_or_else(|e| panic!("{context}: {e}"));
        let expected: Vec<(u64, Vec<u8>)> = (0..found).map(|n| (n, record(tenant, n))).collect();
        assert!(records == expected, "{context}: tenant {tenant} reads other records than were written");
        assert_eq!(replayed.get(&tenant).copied().unwrap_or(0), found, "{context}: the journal replays as many");
    }
    assert_eq!(log.reader().reads_from_journal(), 0, "{context}: sled could not answer");
    log
}

/// The steps of a life without faults.
fn steps() -> Vec<Step> {
    let faults = Faults::default();
    let mut told = Told::default();
    live(&Machine::new(&faults), &mut told);
    assert_eq!(told.submitted, told.acknowledged);
    faults.steps()
}

/// The machine works again: what was recovered stays, more can be appended, and a clean end leaves nothing to do.
fn go_on(machine: &Machine, mut log: Log, context: &str) {
    let mut told = Told::default();
    assert!(append(&mut log, 3, &mut told), "{context}: can't go on");
    log.close().unwrap_or_else(|error| panic!("{context}: {error}"));
    let log = recovered(machine, &told, context);
    assert_eq!(log.shared.files.lock().segments.last().map(|s| s.id), Some(log.journal_segment()), "{context}");
    drop(log);
}

fn check(step: &Step, failure: Failure) {
    let faults = Faults::at(step, failure);
    let machine = Machine::new(&faults);
    let mut told = Told::default();
    live(&machine, &mut told);
    let Some(fired) = faults.fired() else { return };
    let is_vital = |step: &Step| step.name.starts_with("journal/0") || step.name == "anchor" || step.name == "READY";
    let retried = faults
        .after()
        .into_iter()
        .find(|after| is_vital(&fired) && after.name == fired.name && after.what == fired.what);
    assert_eq!(retried, None, "{fired:?} failed and was tried again");
    let context = format!("{step:?} {failure:?}");
    let none = Faults::default();
    for kept in [0, 1, 99] {
        let after = machine.killed(kept, &none);
        let log = recovered(&after, &told, &format!("{context}, kill"));
        // what this start has served must not depend on the page cache of the process before it
        let served = TENANTS.map(|tenant| (tenant, log.head(tenant).next_position));
        let served = Told { acknowledged: served.into(), submitted: told.submitted.clone() };
        let powerless = after.cut(Cut { seed: 1, percent: 0 }, &none);
        drop(recovered(&powerless, &served, &format!("{context}, kill, power cut")));
        go_on(&after, log, &format!("{context}, kill"));
    }
    for (seed, percent) in (0..).zip([0, 0, 50, 50, 90, 90]) {
        let after = machine.cut(Cut { seed, percent }, &none);
        let context = format!("{context}, power cut {seed} with {percent} %");
        let log = recovered(&after, &told, &context);
        go_on(&after, log, &context);
    }
}

#[test]
fn every_step_may_not_happen() {
    steps().iter().for_each(|step| check(step, Failure::DidNotHappen));
}

#[test]
fn every_step_may_happen_and_lose_its_answer() {
    steps().iter().for_each(|step| check(step, Failure::HappenedAndTheAnswerWasLost));
}

#[test]
fn every_write_may_stop_half_way() {
    steps().iter().filter(|step| step.what == "write").for_each(|step| check(step, Failure::HalfHappened));
}

#[test]
fn a_full_disk_at_any_step_loses_nothing() {
    steps().iter().for_each(|step| check(step, Failure::NoRoom));
}

#[test]
fn a_lack_of_descriptors_at_any_step_that_needs_one_loses_nothing() {
    let needs_one = |step: &&Step| ["create", "sync folder"].contains(&step.what);
    steps().iter().filter(needs_one).for_each(|step| check(step, Failure::NoDescriptor));
}

/// Cuts in a row on one machine, also in the middle of opening.
#[test]
fn power_cuts_in_a_row_lose_nothing_that_was_acknowledged() {
    let mut cuts = 0;
    for seed in 0..60u64 {
        let mut machine = Machine::new(&Faults::default());
        let mut told = Told::default();
        for life in 0..6u64 {
            let number = seed * 31 + life * 7;
            let faults = Faults::at_count(3 + number * 13 % 97, Failure::DidNotHappen);
            machine = machine.cut(Cut { seed: number, percent: [0, 50, 90][size_of_choice(number)] }, &faults);
            if let Ok((mut log, _)) = machine.open() {
                for tenant in TENANTS {
                    let found = log.head(tenant).next_position;
                    let least = told.acknowledged.get(&tenant).copied().unwrap_or(0);
                    assert!(found >= least, "seed {seed} life {life}: tenant {tenant} has {found} of {least}");
                }
                for n in 0..8 {
                    if !append(&mut log, 1 + n % 4, &mut told) {
                        break;
                    }
                    if n % 3 == 2 && log.checkpoint_now().is_err() {
                        break;
                    }
                }
            } else {
                assert!(faults.fired().is_some(), "seed {seed} life {life}: refused without a fault");
            }
            cuts += 1;
        }
        let last = machine.cut(Cut { seed, percent: 50 }, &Faults::default());
        drop(recovered(&last, &told, &format!("seed {seed}")));
    }
    assert_eq!(cuts, 360);
}

fn size_of_choice(number: u64) -> usize {
    usize::try_from(number % 3).expect("small")
}

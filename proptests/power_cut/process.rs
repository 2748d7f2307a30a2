//! The other side of the process whose power goes: it is started on a folder, its lines are read and held against what
//! was acknowledged before. Not here: the lines' making (`workload.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use seatledger::clock::monotonic;

use super::mount::PowerDisk;
use super::workload::Order;

const LINES_MAX: usize = 1 << 16;

/// What was acknowledged on a folder, by all processes so far.
#[derive(Default)]
pub(crate) struct Known {
    tenants: BTreeSet<String>,
    /// Tenant and id, and the first answer with its position.
    answers: BTreeMap<(String, String), String>,
}

impl Known {
    pub(crate) fn len(&self) -> usize {
        self.answers.len()
    }
}

/// How far a process came.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) is_opened: bool,
    pub(crate) is_verified: bool,
    pub(crate) is_closed: bool,
    pub(crate) acknowledged: u64,
    pub(crate) low: u64,
    pub(crate) refused: Option<String>,
    pub(crate) fault: Option<String>,
    pub(crate) digests: BTreeMap<String, String>,
    again: u64,
}

pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    errors: File,
    pub(crate) seen: Seen,
    /// What a failure says first: which seed, which boot.
    label: String,
}

impl Process {
    pub(crate) fn start(order: &Order, known: &Known, label: String) -> Process {
        let errors = tempfile::tempfile().expect("a file");
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["power_cut::workload::the_process_whose_power_goes", "--exact", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone().expect("a handle"))
            .spawn()
            .expect("started");
        let mut input = order.text();
        known.answers.keys().for_each(|(tenant, id)| input.push_str(&format!("{tenant} {id}\n")));
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it listens");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (give, lines) = bounded(LINES_MAX);
        std::thread::spawn(move || {
            // the last line may be cut: without its end it says nothing
            let mut out = out;
            let mut line = String::new();
            while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) && line.ends_with('\n') {
                if give.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        Process { child, lines, errors, seen: Seen::default(), label }
    }

    /// Reads until `is_enough`, until the power is gone, or until the process has ended. Says whether it was enough.
    pub(crate) fn read_until(
        &mut self,
        disk: &PowerDisk,
        known: &mut Known,
        wait: Duration,
        is_enough: impl Fn(&Seen) -> bool,
    ) -> bool {
        let end = monotonic() + wait;
        loop {
            if is_enough(&self.seen) {
                return true;
            }
            if disk.is_dark() || monotonic() > end {
                return false;
            }
            match self.lines.recv_timeout(Duration::from_millis(2)) {
                Ok(line) => self.take(line.trim_end(), known),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Ends it, whatever it does, and reads what it still said.
    pub(crate) fn kill(&mut self, known: &mut Known) {
        self.child.kill().expect("killed");
        self.end(known);
    }

    /// Waits for its end and reads what it still said.
    pub(crate) fn end(&mut self, known: &mut Known) -> Option<i32> {
        while let Ok(line) = self.lines.recv() {
            self.take(line.trim_end(), known);
        }
        self.child.wait().expect("ended").code()
    }

    fn take(&mut self, line: &str, known: &mut Known) {
        let Some((word, rest)) = line.split_once(' ').or(Some((line, ""))) else { return };
        let seen = &mut self.seen;
        match word {
            "opened" => seen.is_opened = true,
            "tenants" => {
                let found: BTreeSet<String> = rest.split_whitespace().map(str::to_owned).collect();
                assert!(
                    found.is_superset(&known.tenants),
                    "{}: tenants {:?}, found {rest:?}",
                    self.label,
                    known.tenants
                );
            }
            "tenant" => {
                known.tenants.insert(rest.to_owned());
            }
            "ack" | "again" => {
                let mut parts = rest.splitn(3, ' ');
                let (Some(tenant), Some(id), Some(answer)) = (parts.next(), parts.next(), parts.next()) else {
                    panic!("{}: {line}", self.label)
                };
                let first = known.answers.entry((tenant.into(), id.into())).or_insert_with(|| answer.to_owned());
                assert_eq!(first, answer, "{}: {tenant} {id} was answered otherwise before", self.label);
                if word == "ack" {
                    seen.acknowledged += 1;
                } else {
                    seen.again += 1;
                }
            }
            "verified" => {
                assert_eq!(rest, seen.again.to_string(), "{}: not every command was asked again", self.label);
                seen.is_verified = true;
            }
            "digest" => {
                let (tenant, digest) = rest.split_once(' ').expect("a tenant and its digest");
                seen.digests.insert(tenant.to_owned(), digest.to_owned());
            }
            "low" => seen.low += 1,
            "closed" => seen.is_closed = true,
            "refused" => seen.refused = Some(rest.to_owned()),
            "fault" => seen.fault = Some(rest.to_owned()),
            // what the test runner itself prints
            _ => {}
        }
    }

    /// Panics with all that is known about the process.
    pub(crate) fn fail(&mut self, what: &str) -> ! {
        self.child.kill().ok();
        let mut errors = String::new();
        self.errors.rewind().and_then(|()| self.errors.read_to_string(&mut errors)).ok();
        panic!("{}: {what}\n{:?}\n{errors}", self.label, self.seen)
    }
}

impl Drop for Process {
    /// Nothing may hold the mount when a failed test takes it away.
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

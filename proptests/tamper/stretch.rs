//! Many flips in short-lived processes of this program, as many at a time as there are processors: a flip that makes a
//! library panic leaks what the library held, and one that kills the process is a finding like any other. Not here: the judge.

use super::flips::{Choice, Flips};
use super::look::{Judged, Look};
use super::store::{Store, scratch};
use parking_lot::Mutex;
use seatledger::clock::monotonic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Flips of one process.
const STRETCH_FLIPS_MAX: u64 = 2_000;
const MISSES_TOLD_MAX: usize = 20;
const SAID: &str = "judged: ";

/// What came of the flips of one kind of file.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Row {
    flips: u64,
    named: u64,
    with_position: u64,
    without_effect: u64,
    opened: u64,
    missed: u64,
}

/// What came of all flips.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    rows: BTreeMap<String, Row>,
    misses: Vec<String>,
}

impl Table {
    fn note(&mut self, flips: &Flips, n: u64, judged: &Judged) {
        let flip = flips.get(n);
        let row = self.rows.entry(flip.kind()).or_default();
        row.flips += 1;
        match judged {
            Judged::Named { has_position } => {
                row.named += 1;
                row.with_position += u64::from(*has_position);
            }
            Judged::WithoutEffect { is_opened } => {
                row.without_effect += 1;
                row.opened += u64::from(*is_opened);
            }
            Judged::Missed(why) => {
                row.missed += 1;
                if self.misses.len() < MISSES_TOLD_MAX {
                    let (file, at, mask) = (flip.file.display(), flip.at, flip.mask);
                    self.misses.push(format!("flip {n}: byte {at} of {file} by {mask:#04x}: {why}"));
                }
            }
        }
    }

    fn add(&mut self, other: Table) {
        for (kind, row) in other.rows {
            let sum = self.rows.entry(kind).or_default();
            sum.flips += row.flips;
            sum.named += row.named;
            sum.with_position += row.with_position;
            sum.without_effect += row.without_effect;
            sum.opened += row.opened;
            sum.missed += row.missed;
        }
        self.misses.extend(other.misses);
    }

    /// # Panics
    /// When something was missed.
    pub(crate) fn holds(&self) {
        eprintln!(
            "| file | flips | named | with a position | without effect | opened | missed |\n|---|---|---|---|---|---|---|"
        );
        let mut sum = Row::default();
        for (kind, row) in &self.rows {
            let Row { flips, named, with_position, without_effect, opened, missed } = row;
            eprintln!("| {kind} | {flips} | {named} | {with_position} | {without_effect} | {opened} | {missed} |");
            sum.flips += flips;
            sum.missed += missed;
        }
        assert_eq!(sum.missed, 0, "of {} flips:\n{}", sum.flips, self.misses.join("\n"));
    }
}

/// What one process does.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Order {
    data: PathBuf,
    /// `None`: every byte.
    random: Option<u64>,
    seed: u64,
    from: u64,
    to: u64,
    /// Says which flip is being judged, should the process not come back.
    at: PathBuf,
}

fn choice(random: Option<u64>) -> Choice {
    random.map_or(Choice::Every, Choice::Random)
}

/// Judges all flips of a choice.
pub(crate) fn run(store: &Store, chosen: Choice, seed: u64) -> Table {
    let random = if let Choice::Random(flips) = chosen { Some(flips) } else { None };
    let flips = Flips::of(&store.data, chosen, seed);
    let (all, next, done) = (flips.len(), AtomicU64::new(0), AtomicU64::new(0));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let stretch = all.div_ceil(workers as u64).clamp(1, STRETCH_FLIPS_MAX);
    eprintln!("{all} flips, seed {seed}");
    let (table, begun, scratch) = (Mutex::new(Table::default()), monotonic(), scratch());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let at = scratch.path().join(format!("at-{worker}"));
            let (next, done, flips, table, data) = (&next, &done, &flips, &table, &store.data);
            scope.spawn(move || {
                loop {
                    let from = next.fetch_add(stretch, Ordering::Relaxed);
                    if from >= all {
                        return;
                    }
                    let to = (from + stretch).min(all);
                    let order = Order { data: data.clone(), random, seed, from, to, at: at.clone() };
                    let found = judged(flips, order);
                    table.lock().add(found);
                    let done = done.fetch_add(to - from, Ordering::Relaxed) + (to - from);
                    if (done / stretch).is_multiple_of(20) {
                        eprintln!("{done} of {all} flips in {} s", begun.elapsed().as_secs());
                    }
                }
            });
        }
    });
    eprintln!("{all} flips took {} s with {workers} processes at a time", begun.elapsed().as_secs());
    table.into_inner()
}

/// Lets processes judge a stretch. One that dies leaves the rest to another.
fn judged(flips: &Flips, mut order: Order) -> Table {
    let mut table = Table::default();
    while order.from < order.to {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["tamper::stretch::the_process_that_judges", "--exact", "--nocapture"])
            .env("TMPDIR", order.at.parent().expect("a folder"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let text = serde_json::to_string(&order).expect("text");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it listens");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        if let Some(found) = said.lines().find_map(|line| line.split_once(SAID).map(|(_, found)| found)) {
            table.add(serde_json::from_str(found).expect("a table"));
            return table;
        }
        let progress = fs::read_to_string(&order.at).expect("it began");
        let (at, found) = progress.split_once('\n').expect("a line");
        let at = at.parse().expect("a number");
        table.add(serde_json::from_str(found).expect("a table"));
        let words = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = words.lines().rev().take(8).collect();
        table.note(flips, at, &Judged::Missed(format!("the process ended with {}: {last:?}", output.status)));
        order.from = at + 1;
    }
    table
}

/// Run as any other test it has no input, and nothing to do.
#[test]
fn the_process_that_judges() {
    let mut input = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().read_to_string(&mut input).expect("readable");
    }
    let Ok(order) = serde_json::from_str::<Order>(&input) else { return };
    let flips = Flips::of(&order.data, choice(order.random), order.seed);
    let (mut look, mut table) = (Look::at(&order.data), Table::default());
    for n in order.from..order.to {
        keep(&order.at, n, &table);
        let judged = look.judge(n, &flips.get(n));
        table.note(&flips, n, &judged);
    }
    let mut out = std::io::stdout().lock();
    let text = serde_json::to_string(&table).expect("text");
    out.write_all(format!("\n{SAID}{text}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

fn keep(at: &Path, n: u64, table: &Table) {
    fs::write(at, format!("{n}\n{}", serde_json::to_string(table).expect("text"))).expect("written");
}

//! `kill -9` of a real process on real files, at random moments, also while it opens, one after the other on the same
//! folder: what it acknowledged on its output is there after each. The seed is printed on failure.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::*;

const KILLS: u64 = 40;

fn options(dir: &str) -> LogOptions {
    LogOptions {
        segment_bytes: 32 << 10,
        disk_floor_bytes: 0,
        checkpoint_bytes: 10 << 10,
        sled_cache_bytes: 4 << 20,
        ..LogOptions::new(dir)
    }
}

fn record(tenant: u32, n: u64) -> Vec<u8> {
    format!("{tenant} {n} {}", "y".repeat(usize::try_from(n % 50).expect("small"))).into_bytes()
}

/// The process that is killed: the test below starts it with a folder on its input. Appends and says so until it ends.
/// Run as any other test it has no input, and nothing to do.
#[test]
fn the_process_that_is_killed() {
    let mut dir = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().read_line(&mut dir).expect("readable");
    }
    if dir.is_empty() {
        return;
    }
    let dir = dir.trim_end().to_owned();
    let (mut log, _) = Log::open(options(&dir), &NoProgress).unwrap_or_else(|error| {
        println!("\nrefused {error}");
        std::process::exit(3)
    });
    let mut out = std::io::stdout().lock();
    let mut group = Group::new();
    for n in 0..100_000u64 {
        group.clear();
        for tenant in [2, 5] {
            let next = log.head(tenant).next_position;
            (next..next + 1 + n % 11).for_each(|at| group.push(tenant, &record(tenant, at)));
        }
        let heads = log.append(&group).expect("appended").heads;
        let line: Vec<String> = heads.iter().map(|(tenant, head)| format!("{tenant}={}", head.next_position)).collect();
        writeln!(out, "\nacknowledged {}", line.join(" ")).and_then(|()| out.flush()).expect("the parent listens");
    }
}

#[test]
fn killed_again_and_again_it_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_str().expect("a plain path");
    let mut acknowledged: BTreeMap<u32, u64> = BTreeMap::new();
    for seed in 0..KILLS {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args(["log::tests::kill::the_process_that_is_killed", "--exact", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        writeln!(process.stdin.take().expect("piped"), "{path}").expect("it listens");
        let mut lines = BufReader::new(process.stdout.take().expect("piped"));
        // every third is killed while it starts, the others after some answers
        if seed % 3 > 0 {
            let mut wanted = rng.random_range(1..200);
            let mut line = String::new();
            while wanted > 0 && lines.read_line(&mut line).expect("readable") > 0 {
                wanted -= u32::from(line.starts_with("acknowledged"));
                take(&line, &mut acknowledged);
                line.clear();
            }
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        process.kill().expect("killed");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("readable");
        assert!(!rest.contains("refused"), "seed {seed}: {rest}");
        // the last line may be cut
        rest.split_inclusive('\n').filter(|line| line.ends_with('\n')).for_each(|line| take(line, &mut acknowledged));
        process.wait().expect("ended");
        if seed % 4 == 0 {
            check(path, &acknowledged, seed);
        }
    }
    check(path, &acknowledged, KILLS);
    assert!(acknowledged.values().all(|count| *count > 1_000), "{acknowledged:?}");
}

fn take(line: &str, acknowledged: &mut BTreeMap<u32, u64>) {
    let Some(heads) = line.strip_prefix("acknowledged ") else { return };
    for head in heads.split_whitespace() {
        let (tenant, next) = head.split_once('=').expect("tenant=next");
        acknowledged.insert(tenant.parse().expect("a tenant"), next.parse().expect("a position"));
    }
}

fn check(path: &str, acknowledged: &BTreeMap<u32, u64>, seed: u64) {
    let walked = walk(path.as_ref(), &NoProgress, &mut |_| ControlFlow::Continue(()));
    if acknowledged.is_empty() && !walked.is_whole() {
        return; // killed before there was anything
    }
    assert!(walked.is_whole(), "seed {seed}: {walked:?}");
    let (log, _) = Log::open(options(path), &NoProgress).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    for (tenant, count) in acknowledged {
        let records = log.reader().read(*tenant, 0, usize::MAX).expect("readable");
        assert!(records.len() as u64 >= *count, "seed {seed}: {} of {count}", records.len());
        assert!(records.iter().all(|(n, bytes)| *bytes == record(*tenant, *n)), "seed {seed}: other records");
    }
    log.close().expect("closed");
}

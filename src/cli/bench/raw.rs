//! What the machine is, what its disk alone allows, and what a process takes of it.

use super::super::exit::Failure;
use super::report::Row;
use crate::clock::monotonic;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

const BLOCK: [u8; 4096] = [7; 4096];
const BLOCKS: u64 = 2048;
const ROUND: Duration = Duration::from_millis(500);

/// The machine's facts, as far as the system tells them.
pub(super) fn machine() -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let first = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.split(':').nth(1).map(|value| value.trim().to_owned()))
    };
    vec![
        ("processor", first(&read("/proc/cpuinfo"), "model name").unwrap_or_default()),
        ("cores", std::thread::available_parallelism().map_or(0, std::num::NonZero::get).to_string()),
        ("memory", first(&read("/proc/meminfo"), "MemTotal").unwrap_or_default()),
        ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("load", read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")),
    ]
}

/// Processor time that a process has taken so far, its threads together; none of one that is gone.
pub(super) fn cpu(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // behind the name, which may hold anything: state is the first, user and system time the twelfth and thirteenth
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

/// What the process takes of memory, as the system counts it.
pub(super) fn resident_mib(process: u32) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.map_err(|error| Failure::File(format!("process {process}: {error}")))?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    Ok(kib.unwrap_or(0.0) / 1024.0)
}

/// How often 4 KiB, written into preallocated space, are on the disk: `fdatasync`, one after the other.
pub(super) fn syncs_per_second(folder: &Path) -> Result<f64, Failure> {
    let path = folder.join("raw");
    let failed = |error: std::io::Error| super::super::exit::file(&path, "can't be written", error);
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path).map_err(failed)?;
    for at in 0..BLOCKS {
        file.write_all_at(&[0; 4096], at * 4096).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let (begun, mut syncs) = (monotonic(), 0_u64);
    while begun.elapsed() < ROUND {
        file.write_all_at(&BLOCK, (syncs % BLOCKS) * 4096).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        syncs += 1;
    }
    let rate = syncs as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(&path).map_err(failed)?;
    Ok(rate)
}

pub(super) fn sync_row(folder: &Path, rounds: u32) -> Result<Row, Failure> {
    let rates: Result<Vec<f64>, Failure> = (0..rounds).map(|_| syncs_per_second(folder)).collect();
    Ok(Row::of("fdatasync of 4 KiB into preallocated space, one after the other", "/s", rates?))
}

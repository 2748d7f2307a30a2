//! What an event takes on the disk: the demo's years, loaded in bulk into a folder of their own. Not here: speed.

use super::Bench;
use super::report::Row;
use crate::cli::exit::{self, Failure};
use crate::log::replay_groups;
use serde_json::Value;
use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::path::Path;

/// Enough people for a mix of all that happens, in a few seconds.
const PEOPLE: &str = "2000";

impl Bench {
    pub(super) async fn disk(&self, folder: &Path) -> Result<Vec<Row>, Failure> {
        let (lived, file, loaded) = (folder.join("demo"), folder.join("demo.ndjson"), folder.join("loaded"));
        let (lived, file, loaded) = (lived.as_path(), file.as_path(), loaded.as_path());
        ours(["demo", "--people", PEOPLE, "--years", "1", "--exit", "--json", "--data"], &[lived.as_os_str()]).await?;
        let data = lived.join("ledger");
        let told: Value = serde_json::from_slice(&ours(["replay", "--json", "--data"], &[data.as_os_str()]).await?)
            .map_err(|error| Failure::File(format!("the replay of the demo can't be read: {error}")))?;
        let tenant = told.pointer("/tenants/0/tenant").and_then(Value::as_str).unwrap_or_default();
        let export = [data.as_os_str(), "--tenant".as_ref(), tenant.as_ref(), "--to".as_ref(), file.as_os_str()];
        ours(["export", "--data"], &export).await?;
        ours(["import", "--data"], &[loaded.as_os_str(), "--from".as_ref(), file.as_os_str()]).await?;
        let (mut events, mut bytes) = (0_u64, 0_u64);
        let read = replay_groups(loaded, 1, &mut |group| {
            for record in group.frames().flat_map(|frame| frame.records) {
                events += 1;
                bytes += record.len() as u64;
            }
            ControlFlow::Continue(())
        });
        read.map_err(|error| Failure::File(error.to_string()))?;
        let each = |bytes: u64| bytes as f64 / (events as f64).max(1.0);
        let files = written(loaded).map_err(|error| exit::file(loaded, "can't be read", error))?;
        Ok(vec![
            Row::once("an event's record, of the demo's years", "bytes", each(bytes)).goal("96 bytes"),
            Row::once("an event in files, loaded in bulk", "bytes", each(files))
                .beside(&[each(bytes)], "the record")
                .goal("4 of the record"),
        ])
    }
}

/// Runs this program, and gives back what it printed.
pub(super) async fn ours<const N: usize>(command: [&str; N], more: &[&OsStr]) -> Result<Vec<u8>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::File(format!("seatledger {}: {error}", command.join(" ")));
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let mut asked = tokio::process::Command::new(program);
    asked.args(command).args(more).kill_on_drop(true);
    let output = asked.output().await.map_err(|error| failed(&error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(failed(&String::from_utf8_lossy(&output.stderr).trim()))
}

/// The bytes of all files below, without the zeros at the end of a segment that waits to be filled.
fn written(folder: &Path) -> std::io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            sum += written(&path)?;
        } else if folder.ends_with("journal") {
            let bytes = std::fs::read(&path)?;
            sum += bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        } else {
            sum += std::fs::metadata(&path)?.len();
        }
    }
    Ok(sum)
}

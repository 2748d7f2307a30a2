//! `seatledger verify`: the words and figures for what a verification saw. Not here: the looking (`ledger::verify`).

use super::exit::{self, Failure, Finished};
use super::folder::{self, MasterKey};
use super::output::{self, grouped};
use super::progress::Steps;
use crate::ledger::verify::{Kept, Verification, check_keys, verify_against};
use crate::log::Damage;
use crate::merkle::NOTE_BYTES_MAX;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Findings that are listed for people; `--json` has them all.
const FINDINGS_SHOWN_MAX: usize = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Compares every byte of the log with its checksums, chains, tree heads, anchor and manifests; sled, tiles and the signed
heads (the last ones, cosigned and stamped ones) with the journal, their signatures with the keys in the folder; folds the
whole history by the laws; compares keys, receipts and snapshots with it. Changes nothing in the folder. A whole folder of
yesterday is whole: only a head that was kept elsewhere (--kept-head) shows that it was put back.

Keeps the folder locked, so that no service starts on it before this has ended. Beside a service that runs already everything
is compared up to its last checkpoint, and sled is left alone; a kept head that is ahead of it can't be compared and is a
finding: verify again after the next checkpoint, or stop the service.

Exit codes: 0 everything is as it was written, 1 it is not (the first bad place is named), 5 there is no such folder, or a
key of it can't be had or is another folder's.")]
pub(crate) struct Args {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    master_key: MasterKey,
    /// A signed head that was kept elsewhere, as `GET /v1/tenants/{tenant}/log/checkpoint` answers it: the log must contain
    /// it. May be given many times
    #[arg(long, value_name = "FILE")]
    kept_head: Vec<PathBuf>,
    /// Print one JSON object instead of a text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    let still = folder::hold(&args.data)?;
    let master_key = args.master_key.source(&args.data);
    check_keys(&args.data, master_key.as_ref())
        .map_err(|error| Failure::File(format!("{}: not verified: {error}", args.data.display())))?;
    let kept = args.kept_head.iter().map(|file| kept(file)).collect::<Result<Vec<_>, _>>()?;
    let found = {
        let steps = Steps::default();
        verify_against(&kept, &args.data, master_key.as_ref(), still.is_none(), &steps)
    };
    if args.json {
        output::json(&as_json(&found))?;
    } else {
        output::line(text(&args.data, &found).trim_end())?;
    }
    Ok(Finished::well_if(found.is_whole()))
}

fn kept(file: &Path) -> Result<Kept, Failure> {
    let mut note = vec![];
    let read = File::open(file).and_then(|file| file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut note));
    read.map_err(|error| exit::file(file, "the head that was kept can't be read", error))?;
    let name = file.display().to_string();
    Kept::parse(&name, &note).map_err(|error| Failure::File(format!("{name} is no signed head: {error}")))
}

fn text(dir: &Path, found: &Verification) -> String {
    let mut out = String::new();
    let (log, dir) = (&found.log, dir.display());
    let extent = format!("{} events in {} groups", grouped(log.records), grouped(log.groups));
    // writing to a string can't fail
    let _ = match found.findings.split_first() {
        None => writeln!(out, "{dir} is whole: {extent}"),
        Some((first, others)) => {
            let mut lines = format!("{dir} IS NOT WHOLE ({extent} were walked)\nfirst: {first}\n");
            for other in others.iter().take(FINDINGS_SHOWN_MAX - 1) {
                let _ = writeln!(lines, "then:  {other}");
            }
            if others.len() >= FINDINGS_SHOWN_MAX {
                let _ = writeln!(lines, "and {} more", others.len() + 1 - FINDINGS_SHOWN_MAX);
            }
            writeln!(out, "{lines}")
        }
    };
    let figures = found.tenants.iter().map(|tenant| {
        let count = |number: usize| grouped(u64::try_from(number).unwrap_or(u64::MAX));
        vec![
            tenant.slug.clone(),
            grouped(tenant.events),
            count(tenant.pools),
            grouped(tenant.seats_held),
            hex::encode(tenant.digest),
        ]
    });
    let _ =
        writeln!(out, "\n{}\n", output::table(&["tenant", "events", "pools", "held", "digest"], figures.collect(), 1));
    let _ = writeln!(out, "journal: groups 1 to {}, checkpoint at group {}", log.last_group, log.anchor_group);
    let _ = writeln!(out, "{}", log.sled_words());
    let (equal, lacking) = (grouped(log.tiles_equal), grouped(log.tiles_lacking));
    let _ = writeln!(out, "tiles: {equal} equal to the records, {lacking} not on disk, or left unwritten by a cut");
    let _ = writeln!(out, "signed heads: {} of the last ones are in the log", grouped(log.heads_contained));
    if log.heads_aside_contained > 0 {
        let aside = grouped(log.heads_aside_contained);
        let _ = writeln!(out, "cosigned, stamped and handing-over heads: {aside} are in the log");
    }
    if found.cosignatures + found.timestamps > 0 {
        let (cosignatures, timestamps) = (grouped(found.cosignatures), grouped(found.timestamps));
        let _ =
            writeln!(out, "signatures of witnesses: {cosignatures} good; timestamps: {timestamps} over their heads");
    }
    if found.kept_contained > 0 {
        let _ = writeln!(out, "kept heads: {} are in the log", grouped(found.kept_contained));
    }
    let _ = writeln!(out, "snapshots: {} equal to the history", found.snapshots);
    let _ = writeln!(out, "command ids on disk: {}, each in the history", grouped(found.receipts));
    let _ = writeln!(out, "positions of subjects on disk: {}, each in the history", grouped(found.positions));
    if let Some(keys) = found.keys {
        let how = if found.are_seals_opened { "opened, and every seal with its own" } else { "not opened" };
        let (subjects, erased, generation) = (grouped(keys.subjects), grouped(keys.erased), keys.generation);
        let _ = writeln!(out, "keys: {subjects} subjects, {erased} erased, generation {generation}; {how}");
    }
    for note in &found.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

fn as_json(found: &Verification) -> Value {
    let log = &found.log;
    let tenants: Vec<Value> = found
        .tenants
        .iter()
        .map(|tenant| {
            json!({
                "tenant": tenant.slug,
                "position": tenant.events.checked_sub(1),
                "pools": tenant.pools,
                "held": tenant.seats_held,
                "digest": hex::encode(tenant.digest),
                "tree_head": hex::encode(tenant.tree_head),
            })
        })
        .collect();
    json!({
        "is_whole": found.is_whole(),
        "findings": found.findings.iter().map(finding).collect::<Vec<_>>(),
        "notes": found.notes,
        "log_id": log.log_id.map(hex::encode),
        "events": log.records,
        "groups": log.groups,
        "last_group": log.last_group,
        "checkpoint_group": log.anchor_group,
        "sled_frames_equal": log.sled_frames_equal,
        "sled_frames_lacking": log.sled_frames_lacking,
        "tiles_equal": log.tiles_equal,
        "tiles_lacking": log.tiles_lacking,
        "heads_contained": log.heads_contained,
        "heads_aside_contained": log.heads_aside_contained,
        "cosignatures": found.cosignatures,
        "timestamps": found.timestamps,
        "kept_heads_contained": found.kept_contained,
        "snapshots_equal": found.snapshots,
        "command_ids": found.receipts,
        "subject_positions": found.positions,
        "subjects": found.keys.map(|keys| keys.subjects),
        "subjects_erased": found.keys.map(|keys| keys.erased),
        "keys_generation": found.keys.map(|keys| keys.generation),
        "are_seals_opened": found.are_seals_opened,
        "tenants": tenants,
    })
}

fn finding(damage: &Damage) -> Value {
    json!({
        "text": damage.to_string(),
        "file": damage.file,
        "offset": damage.offset,
        "group": damage.group,
        "tenant": damage.tenant,
        "position": damage.position,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::ledger::{Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing};
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Verify {
        #[command(flatten)]
        args: Args,
    }

    /// As at night: which of these is a reason to restore a backup?
    #[tokio::test(flavor = "multi_thread")]
    async fn what_can_not_be_told_ends_with_another_number_than_damage() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir.path()) };
            let (master_key, clock, signing) = (MasterKeySource::DataFolder, Clock::system(), Signing::default());
            Ledger::open(LedgerOptions { log, master_key, clock, signing }, &NoProgress)
        };
        open().unwrap().stop().await;
        let verified = |more: &[&str]| {
            let arguments = [&["verify", "--data", dir.path().to_str().unwrap()], more].concat();
            run(&Verify::try_parse_from(arguments).unwrap().args)
        };
        assert_eq!(verified(&[]).unwrap(), Finished::Well);
        assert_eq!(verified(&["--master-key-file", "/nowhere"]).unwrap_err().code(), exit::FILE);
        let key = dir.path().join(crate::vault::MASTER_KEY_FILE);
        let right = std::fs::read(&key).unwrap();
        std::fs::write(&key, "11".repeat(32)).unwrap();
        assert_eq!(verified(&["--master-key-file", key.to_str().unwrap()]).unwrap_err().code(), exit::FILE);
        assert_eq!(verified(&[]).unwrap_err().code(), exit::FILE, "the folder's own");
        std::fs::write(&key, right).unwrap();
        // a folder of tomorrow's version
        let (ready, words) = (dir.path().join("READY"), format!("seatledger-log 2 {}", "07".repeat(16)));
        let before = std::fs::read(&ready).unwrap();
        std::fs::write(&ready, format!("{words} {:08x}\n", crc32fast::hash(words.as_bytes()))).unwrap();
        let error = verified(&[]).unwrap_err();
        assert!(error.code() == exit::FILE && error.to_string().contains("another version"), "{error}");
        let error = open().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("another version") && !error.contains("restore"), "{error}");
        std::fs::write(&ready, before).unwrap();
        assert_eq!(verified(&[]).unwrap(), Finished::Well);
    }
}

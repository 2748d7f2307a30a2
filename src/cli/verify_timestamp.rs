//! `seatledger verify-timestamp`: whether an authority has stamped a head (RFC 3161), from files that were taken away and without
//! a service. Not here: what an answer must be (`ledger::evidence`), and asking for one (`timestamp.rs`).

use super::exit::{self, Failure, Finished};
use super::output;
use crate::ledger::evidence::{Authorities, RESPONSE_BYTES_MAX, check_kept};
use crate::merkle::{Checkpoint, NOTE_BYTES_MAX, Note};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A hundred days, each with the longest head and the longest answer in base64.
const LIST_BYTES_MAX: usize = 100 * 2 * (NOTE_BYTES_MAX + RESPONSE_BYTES_MAX);
const TRUSTED_BYTES_MAX: usize = 1 << 20;

const AFTER_HELP: &str = "\
HEAD is the checkpoint to the byte as it was stamped, RESPONSE the authority's answer in DER (.tsr). Both lie in the data folder,
below timestamps/, and GET /v1/tenants/TENANT/log/timestamps answers them: --list takes that answer as it is, and checks every
day in it. What is checked: the answer is over exactly this head; a certificate below one of --trust, which is for timestamps and
was valid at that time, has signed it. Who signed the head itself, and that a record is in it: seatledger check.

The certificates come from the authority's own publication. One that lies beside the timestamp says nothing.

Exit codes: 0 every head was stamped, 1 one was not (and why), 2 the command line makes no sense, 5 a file can't be read.

Examples:
  seatledger verify-timestamp 2026-11-25.checkpoint 2026-11-25.tsr --trust authority-root.pem
  seatledger verify-timestamp --list contoso-timestamps.json --trust authority-root.pem";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The head that was stamped
    #[arg(value_name = "HEAD", required_unless_present = "list", requires = "response")]
    head: Option<PathBuf>,
    /// The authority's answer
    #[arg(value_name = "RESPONSE")]
    response: Option<PathBuf>,
    /// The answer of GET /log/timestamps, instead of the two
    #[arg(long, value_name = "FILE", conflicts_with_all = ["head", "response"])]
    list: Option<PathBuf>,
    /// A file with certificates in PEM of those whose timestamps are trusted. May be given many times
    #[arg(long, value_name = "FILE", required = true)]
    trust: Vec<PathBuf>,
    /// Print one JSON object a head
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Listed {
    timestamps: Vec<ListedStamp>,
}

#[derive(Deserialize)]
struct ListedStamp {
    date: String,
    checkpoint: String,
    /// Base64; null while it is waited for.
    response: Option<String>,
}

/// A head and what should be its timestamp.
struct Stamped {
    name: String,
    head: Vec<u8>,
    response: Option<Vec<u8>>,
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    let mut pem = vec![];
    for file in &args.trust {
        pem.extend(read(file, TRUSTED_BYTES_MAX)?);
        pem.push(b'\n');
    }
    let trusted = Authorities::from_pem(&pem).map_err(|error| {
        let files: Vec<_> = args.trust.iter().map(|file| file.display().to_string()).collect();
        Failure::File(format!("{}: {error}", files.join(", ")))
    })?;
    let stamped = match (&args.list, &args.head, &args.response) {
        (Some(list), _, _) => listed(list)?,
        (None, Some(head), Some(response)) => {
            let name = head.display().to_string();
            let response = Some(read(response, RESPONSE_BYTES_MAX)?);
            vec![Stamped { name, head: read(head, NOTE_BYTES_MAX)?, response }]
        }
        (None, _, _) => return Err(Failure::Usage("HEAD and RESPONSE are needed, or --list".into())),
    };
    if stamped.is_empty() {
        return Err(Failure::Refused("there are no timestamps in the list".into()));
    }
    let mut are_all_good = true;
    for one in &stamped {
        are_all_good &= say(one, &trusted, args.json)?;
    }
    Ok(Finished::well_if(are_all_good))
}

fn read(file: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![];
    let read = File::open(file).and_then(|file| file.take(bytes_max as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| exit::file(file, "can't be read", error))?;
    if bytes.len() > bytes_max {
        return Err(exit::file(file, "can't be read", format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn listed(file: &Path) -> Result<Vec<Stamped>, Failure> {
    let refused = |error: &dyn std::fmt::Display| exit::file(file, "is no answer of GET /log/timestamps", error);
    let listed: Listed = serde_json::from_slice(&read(file, LIST_BYTES_MAX)?).map_err(|error| refused(&error))?;
    let stamped = listed.timestamps.into_iter().map(|stamp| {
        let response = stamp.response.map(|text| STANDARD.decode(text)).transpose().map_err(|error| refused(&error))?;
        Ok(Stamped { name: stamp.date, head: stamp.checkpoint.into_bytes(), response })
    });
    stamped.collect()
}

/// Answers whether it is good.
fn say(stamped: &Stamped, trusted: &Authorities, is_json: bool) -> Result<bool, Failure> {
    let name = &stamped.name;
    match checked(stamped, trusted) {
        Ok((head, time)) if is_json => {
            let root = hex::encode(head.root);
            let shown = json!({"file": name, "is_stamped": true, "time": time, "origin": head.origin, "size": head.size, "root": root});
            output::json(&shown).map(|()| true)
        }
        Ok((head, time)) => {
            let (origin, size) = (head.origin, head.size);
            output::line(&format!("{name}: the head of {origin} over {size} records was there at {time}"))
                .map(|()| true)
        }
        Err(why) if is_json => output::json(&json!({"file": name, "is_stamped": false, "why": why})).map(|()| false),
        Err(why) => output::line(&format!("{name}: IT IS NOT STAMPED: {why}")).map(|()| false),
    }
}

fn checked(stamped: &Stamped, trusted: &Authorities) -> Result<(Checkpoint, String), String> {
    let note = Note::parse(&stamped.head).map_err(|error| format!("it is no head: {error}"))?;
    let head: Checkpoint = note.text.parse().map_err(|error| format!("it is no head: {error}"))?;
    let response = stamped.response.as_ref().ok_or("the authority has not answered yet")?;
    let time = check_kept(response, &stamped.head, Some(trusted)).map_err(|error| error.to_string())?;
    Ok((head, time.to_string()))
}

//! `seatledger check`: a head or a proof that was taken away, against keys and a policy, without any service. Not here: the
//! mathematics and the formats (`merkle`).

use super::exit::{self, Failure, Finished};
use super::output;
use crate::merkle::{
    Checkpoint, KeyRange, LogKeys, Note, POLICY_BYTES_MAX, PROOF_FILE_BYTES_MAX, Policy, ProofFile, Unmet, VerifierKey,
};
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub(super) const KEYS_BYTES_MAX: usize = 16 << 20;

const AFTER_HELP: &str = "\
The policy is a file as C2SP tlog-policy has it: which logs, which witnesses, how many of them must have cosigned. GET
.../log/policy writes down what the service asks of its own heads; the keys in yours should come from who has them.

With --keys, the answer of GET .../log/keys, heads that older or newer keys of the log have signed count as well, each within
the sizes that its key signed, and only where a head signed by both leads from a log's key in the policy to that key.

Exit codes: 0 every file counts, 1 one does not (and why), 5 a file can't be read.

Examples:
  seatledger check contoso-17.tlog-proof --policy contoso.policy
  seatledger check head-of-may --policy contoso.policy --keys contoso.keys";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Heads (tlog-checkpoint) and proofs (tlog-proof)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which log, which witnesses and how many of them
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The keys that the log has had
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Print one JSON object a file
    #[arg(long)]
    json: bool,
}

/// As GET /log/keys answers.
#[derive(Deserialize)]
struct PublishedKeys {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    key: String,
    from_size: u64,
    to_size: Option<u64>,
    handover: Option<String>,
}

/// What a file shows.
struct Shown {
    head: Checkpoint,
    note: Note,
    /// The position of the record that is proven.
    position: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    let policy = Policy::parse(&read(&args.policy, POLICY_BYTES_MAX)?)
        .map_err(|error| exit::file(&args.policy, "is no policy", error))?;
    let keys = args.keys.as_deref().map(read_keys).transpose()?;
    let mut all_count = true;
    for file in &args.files {
        let shown = shown(&read(file, PROOF_FILE_BYTES_MAX)?, &policy, keys.as_ref());
        all_count &= shown.is_ok();
        say(file, &policy, shown, args.json)?;
    }
    Ok(Finished::well_if(all_count))
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

fn read_keys(file: &Path) -> Result<LogKeys, Failure> {
    log_keys(&read(file, KEYS_BYTES_MAX)?).map_err(|error| exit::file(file, "is no list of a log's keys", error))
}

/// The list of a log's keys, as GET /log/keys answers it.
pub(super) fn log_keys(bytes: &[u8]) -> Result<LogKeys, String> {
    let published: PublishedKeys = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let ranges = published.keys.into_iter().map(|published| {
        let PublishedKey { key, from_size, to_size, handover } = published;
        let key: VerifierKey = key.parse().map_err(|error: crate::merkle::KeyError| error.to_string())?;
        Ok(KeyRange { key, from_size, to_size, handover })
    });
    LogKeys::new(ranges.collect::<Result<_, String>>()?).map_err(|error| error.to_string())
}

fn shown(bytes: &[u8], policy: &Policy, keys: Option<&LogKeys>) -> Result<Shown, String> {
    let words = |error: Unmet| error.to_string();
    if !bytes.starts_with(b"c2sp.org/tlog-proof@") {
        let (head, note) = policy.open(bytes, keys).map_err(words)?;
        return Ok(Shown { head, note, position: None });
    }
    let proof = ProofFile::parse(bytes).map_err(|error| error.to_string())?;
    let (head, note) = policy.open(proof.checkpoint.as_bytes(), keys).map_err(words)?;
    proof.check_in(&head).map_err(|error| error.to_string())?;
    Ok(Shown { head, note, position: Some(proof.index) })
}

fn say(file: &Path, policy: &Policy, shown: Result<Shown, String>, is_json: bool) -> Result<(), Failure> {
    let name = file.display().to_string();
    match shown {
        Ok(Shown { head, note, position }) => {
            let witnesses: Vec<_> = policy.witnesses().filter(|key| note.open(&[(*key).clone()]).is_ok()).collect();
            let names: Vec<_> = witnesses.iter().map(|key| key.name()).collect();
            if is_json {
                let root = hex::encode(head.root);
                return output::json(&json!({
                    "file": name, "counts": true, "origin": head.origin, "size": head.size, "root": root,
                    "position": position, "cosigned_by": names,
                }));
            }
            let what =
                position.map_or_else(String::new, |position| format!("the record at position {position} is in "));
            let by = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
            output::line(&format!(
                "{name}: {what}the head of {} over {} records, cosigned by {by}",
                head.origin, head.size
            ))
        }
        Err(why) if is_json => output::json(&json!({ "file": name, "counts": false, "why": why })),
        Err(why) => output::line(&format!("{name}: IT DOES NOT COUNT: {why}")),
    }
}

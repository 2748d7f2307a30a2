//! `seatledger rotate-log-key`: gives a stopped log another key for its heads. Not here: what that takes
//! (`ledger::evidence`).

use super::exit::{self, Failure, Finished};
use super::folder::{self, MasterKey};
use super::output;
use super::progress::Steps;
use crate::ledger::evidence::log_name_in;
use crate::ledger::{Clock, Ledger, LedgerOptions, LogKeySource, LogOptions, Rotation, Signing};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
Stop the service first. Every tenant's history says that the key was changed, and the head that ends with that record is
signed with both keys, which it names: GET .../log/keys hands it out, so that who has the old key comes to trust the new one.
Old heads and proofs stay good by the old key, up to that head; a head over more records that the old key signs is refused by
who knows. Then the new key takes the old one's place in its file, and the old one is gone. If this is cut anywhere, the old key stays
in force, and the next start of the service, or of this, goes on.

Witnesses know a log by its keys: add the new line to the file of each before you start the service. `seatledger witness`
does not go back to a key that stands above another one in its file once that one has signed.

Keep a copy of the new key apart from the data folder: it is in no backup.

Example:
  seatledger rotate-log-key --data ledger-data";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where the key that signs heads is, where it is not log.key in the data folder
    #[arg(long, env = "SEATLEDGER_LOG_KEY_FILE", value_name = "FILE")]
    log_key_file: Option<PathBuf>,
    /// Whose log it is, as the service is told [default: what the last heads say]
    #[arg(long, env = "SEATLEDGER_LOG_NAME", value_name = "NAME")]
    log_name: Option<String>,
    /// The old key is gone and can't vouch for the new one: whoever checks heads has to be given that one
    #[arg(long)]
    old_key_lost: bool,
    #[command(flatten)]
    master_key: MasterKey,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    if folder::hold(&args.data)?.is_none() {
        return Err(Failure::File(format!("{}: a service runs on it; stop it first", args.data.display())));
    }
    let rotation = if args.old_key_lost { Rotation::OldIsLost } else { Rotation::SignedByOld };
    let key = args.log_key_file.clone().map_or(LogKeySource::DataFolder, LogKeySource::File);
    let mut signing = Signing { key, every: Duration::ZERO, rotation: Some(rotation), ..Signing::default() };
    if let Some(name) = args.log_name.as_ref().filter(|name| name.contains("://")) {
        return Err(Failure::Usage(format!("{name:?}: a log's name is a URL without its scheme")));
    }
    if let Some(name) = args.log_name.or_else(|| log_name_in(&args.data)) {
        signing.log_name = name;
    }
    let master_key = args.master_key.source(&args.data).unwrap_or_default();
    let options = LedgerOptions { log: LogOptions::new(&args.data), master_key, clock: Clock::system(), signing };
    let opened = tokio::task::spawn_blocking(move || Ledger::open(options, &Steps::default())).await;
    let ledger = opened
        .map_err(|error| Failure::File(error.to_string()))?
        .map_err(|error| Failure::File(format!("{}: {error}", args.data.display())))?;
    let mut keys = vec![];
    for (tenant, slug) in ledger.tenants() {
        let key = ledger.verifier_key(tenant).map_err(|error| Failure::File(error.to_string()))?;
        keys.push((slug, key.to_string()));
    }
    let log_key = ledger.log_key().to_string();
    let closed = exit::close(&ledger).await;
    if args.json {
        let tenants: serde_json::Map<_, _> = keys.into_iter().map(|(slug, key)| (slug, key.into())).collect();
        output::json(&json!({ "log_key": log_key, "tenants": tenants }))?;
    } else {
        output::line("the log has another key; add these lines to the file of every witness:")?;
        keys.iter().try_for_each(|(_, key)| output::line(key))?;
    }
    closed.map(|()| Finished::Well)
}

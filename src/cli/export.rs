//! `seatledger export`: a tenant's history as a file, from a stopped service's folder or a running service. Not here: its
//! form (`audit::export`).

use super::aside::Aside;
use super::client::{self, Access};
use super::exit::{self, Failure, Finished};
use super::folder::{self, MasterKey};
use super::output;
use super::progress::Steps;
use crate::audit::columns;
use crate::audit::export::{ExportError, Format, export};
use crate::ledger::{Clock, Ledger, LedgerOptions, LogOptions, Signing};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
NDJSON is one CloudEvents 1.0 object a line, which `seatledger import` reads back; names of people and devices are in it in
plain text. Its last line says up to where it goes and has the SHA-256 of the lines before it: without it the file was cut. CSV is for a spreadsheet, Parquet for tools that read columns. Without --data the running service is asked.

Examples:
  seatledger export --data ledger-data --tenant contoso --to contoso.ndjson
  seatledger export --url http://127.0.0.1:8080 --token-file auditor.token --tenant contoso --format csv --to contoso.csv
  seatledger export --data ledger-data --tenant contoso --from 4711 >> contoso.ndjson
  seatledger export --proof --token-file auditor.token --tenant contoso --pool declared:editor --to editor.tar")]
pub(crate) struct Args {
    /// The data folder of a service that does not run now
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    master_key: MasterKey,
    /// Whose history
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "TENANT")]
    tenant: String,
    /// ndjson, csv, or parquet of a program that is built with it
    #[arg(long, default_value = "ndjson", value_name = "FORMAT")]
    format: Format,
    /// The first position
    #[arg(long, default_value_t = 0, value_name = "POSITION")]
    from: u64,
    /// The last position; without it, the newest
    #[arg(long, value_name = "POSITION")]
    until: Option<u64>,
    /// An evidence bundle of a running service: the events with all that proves them, for seatledger verify-bundle
    #[arg(long, conflicts_with_all = ["data", "format"])]
    proof: bool,
    /// In a bundle: events of these types, with commas between them
    #[arg(long = "type", requires = "proof", conflicts_with_all = ["data", "format"], value_name = "TYPES")]
    types: Option<String>,
    /// In a bundle: events about this pool
    #[arg(long, requires = "proof", conflicts_with_all = ["data", "format"], value_name = "POOL")]
    pool: Option<String>,
    /// In a bundle: events about this user
    #[arg(long, requires = "proof", conflicts_with_all = ["data", "format"], value_name = "USER")]
    user: Option<String>,
    /// In a bundle: events about this device
    #[arg(long, requires = "proof", conflicts_with_all = ["data", "format"], value_name = "DEVICE")]
    device: Option<String>,
    /// Where to; it must not exist yet. Without it, standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    if args.data.is_some() && args.format == Format::Parquet && !columns::ARE_BUILT_IN {
        return Err(Failure::Usage(columns::NOT_BUILT_IN.to_owned()));
    }
    if let Some(until) = args.until.filter(|until| *until < args.from) {
        return Err(Failure::Usage(format!("--until {until} lies before --from {}", args.from)));
    }
    let Some(to) = &args.to else {
        return written(args, Box::new(BufWriter::new(std::io::stdout()))).await;
    };
    let aside = Aside::of(to)?;
    // lines that broke off can be gone on with
    let is_of_lines = args.format == Format::Ndjson && !args.proof;
    match written(args, aside.writer()?).await {
        Ok(finished) => aside.publish().map(|()| finished),
        Err(failure) => {
            if let Some(part) = is_of_lines.then(|| aside.keep_part()).flatten() {
                output::note(&format!("{} has what came until then; --from goes on behind it", part.display()));
            }
            Err(failure)
        }
    }
}

async fn written(args: Args, mut out: Box<dyn Write + Send>) -> Result<Finished, Failure> {
    match &args.data {
        Some(dir) => from_folder(dir.clone(), args, out).await,
        None => from_service(args, &mut out).await,
    }
}

async fn from_service(args: Args, out: &mut (dyn Write + Send)) -> Result<Finished, Failure> {
    let format = args.format.name();
    let form = if args.proof { "proof=true".to_owned() } else { format!("format={format}&end=true") };
    let until = args.until.map(|until| until.to_string());
    let asked =
        [("to", &until), ("type", &args.types), ("pool", &args.pool), ("user", &args.user), ("device", &args.device)];
    let given = asked.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let given: String = given.map(|(name, value)| format!("&{name}={}", client::encode(value))).collect();
    let tenant = client::encode(&args.tenant);
    let path = format!("/v1/tenants/{tenant}/export/events?{form}&from={}{given}", args.from);
    args.access.client()?.download(&path, out).await?;
    Ok(Finished::Well)
}

async fn from_folder(dir: PathBuf, args: Args, mut out: Box<dyn Write + Send>) -> Result<Finished, Failure> {
    let work = tokio::task::spawn_blocking(move || {
        let ledger = open_stopped(&dir, &args.master_key)?;
        let told = match ledger.tenant(&args.tenant) {
            None => Err(Failure::Refused(format!("there is no tenant {:?}", args.tenant))),
            Some(tenant) => {
                let head = ledger.head(tenant).map_err(|error| Failure::File(error.to_string()))?;
                let last = args.until.map_or(head, |until| until.min(head));
                // one behind the last is where an export goes on that has them all
                if args.from > head + 1 {
                    let why = format!("the export is to begin at {}; the last position is {head}", args.from);
                    return Ok((ledger, Err(Failure::Refused(why))));
                }
                // lines end with their end, a table begins with its head but where it goes on with another
                let is_framed = args.format != Format::Csv || args.from == 0;
                export(&ledger, tenant, args.from, last, args.format, is_framed, &mut out).map_err(Failure::from)
            }
        };
        Ok::<_, Failure>((ledger, told))
    });
    let (ledger, told): (Ledger, _) = work.await.map_err(|error| Failure::File(error.to_string()))??;
    let closed = exit::close(&ledger).await;
    told.and_then(|_| closed.map(|()| Finished::Well))
}

fn open_stopped(dir: &Path, master_key: &MasterKey) -> Result<Ledger, Failure> {
    // held for the look alone: opening takes the lock itself
    if folder::hold(dir)?.is_none() {
        let what = "a service is running on this folder; use --url, or stop it";
        return Err(Failure::File(format!("{}: {what}", dir.display())));
    }
    let source = master_key.source(dir).unwrap_or_default();
    // a clock that stands before every event: no timer may write
    let clock = Clock::manual(crate::domain::time::Time(0));
    let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
    Ledger::open(LedgerOptions { log, master_key: source, clock, signing: Signing::never() }, &Steps::default())
        .map_err(|error| Failure::File(format!("{} can't be opened: {error}", dir.display())))
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Read(error) => Self::Refused(error.to_string()),
            ExportError::Write(error) => output::gone(&error),
        }
    }
}

//! `seatledger certificate`: a signed certificate of a running service, as a file. Not here: checking one
//! (`verify_certificate.rs`).

use super::aside::Aside;
use super::client::{self, Access};
use super::exit::{Failure, Finished};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file names two heads of the log and says, for every pool, the most that was held between them, the fewest that were
owned, grants and refusals, and every time above the cap with its cause. It is signed by the log's key and can be counted
again from the log's tiles: seatledger verify-certificate. Points are positions (4711) or times (2026-11-24T19:00:00Z).

Examples:
  seatledger certificate --tenant contoso --token-file auditor.token --out contoso.certificate
  seatledger certificate --tenant contoso --from 2026-01-01T00:00:00Z --to 2026-07-01T00:00:00Z > half-year.certificate")]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    /// Whose history
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "TENANT")]
    tenant: String,
    /// Where the period begins
    #[arg(long, value_name = "POINT")]
    from: Option<String>,
    /// Where it ends
    #[arg(long, value_name = "POINT")]
    to: Option<String>,
    /// A pool's id or key: of that pool alone
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// Where to; it must not exist yet. Without it, standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let client = args.access.client()?;
    let asked = [("from", &args.from), ("to", &args.to), ("pool", &args.pool)];
    let given = asked.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", client::encode(value))).collect();
    let path = format!("/v1/tenants/{}/reports/certificate?{}", client::encode(&args.tenant), query.join("&"));
    let mut file = Vec::new();
    client.download(&path, &mut file).await?;
    // nothing is left behind of one that could not be had
    match &args.out {
        Some(path) => Aside::of(path)?.write(&file)?,
        None => super::output::write(&file)?,
    }
    Ok(Finished::Well)
}

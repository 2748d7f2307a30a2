//! `seatledger drift`: where the store and the ledger differ, and since when. Not here: how that is found.

use super::client::{self, Access};
use super::exit::{Failure, Finished};
use super::output;
use serde_json::Value;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A difference that two complete syncs agree on is a drift, until they agree on none. Ends with 1 while one is open.

Examples:
  seatledger drift --tenant contoso --token-file auditor.token
  seatledger drift --all --json --tenant contoso")]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    /// Whose stores
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "TENANT")]
    tenant: String,
    /// Also what was resolved
    #[arg(long)]
    all: bool,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let client = args.access.client()?;
    let mut drifts = client.list(&format!("/v1/tenants/{}/drift", client::encode(&args.tenant))).await?;
    let is_open = |drift: &Value| drift["resolution"].is_null();
    let open = drifts.iter().filter(|drift| is_open(drift)).count();
    drifts.retain(|drift| args.all || is_open(drift));
    if args.json {
        output::json(&Value::Array(drifts))?;
        return Ok(Finished::well_if(open == 0));
    }
    if drifts.is_empty() {
        output::line("the stores and the ledger agree")?;
        return Ok(Finished::Well);
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => other.to_string(),
    };
    let fields = ["id", "pool", "kind", "found_at", "resolution", "before", "after"];
    let rows = drifts.iter().map(|drift| fields.iter().map(|field| text(&drift[field])).collect()).collect();
    let header = ["drift", "pool", "kind", "found at", "resolved by", "before", "after"];
    output::line(&output::table(&header, rows, 5))?;
    Ok(Finished::well_if(open == 0))
}

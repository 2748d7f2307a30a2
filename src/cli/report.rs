//! `seatledger report`: the auditor's reports of a running service, as any other program would ask for them. Not here: what a
//! report says.

use super::client::{self, Access, CallError, Client};
use super::exit::{Failure, Finished};
use super::output;
use serde_json::Value;
use std::io::BufWriter;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without a name the reports are listed, with what each is asked with. Points are positions (4711) or times
(2026-11-24T19:00:00Z). A row names the positions of the events that prove it.

Examples:
  seatledger report --tenant contoso --token-file auditor.token
  seatledger report license-position --tenant contoso --as-of 2026-07-01T00:00:00Z --format csv > position.csv
  seatledger report holders --tenant contoso --pool declared:office --as-of 2026-07-01T00:00:00Z --as-known-at 2026-07-31T00:00:00Z
  seatledger report person --tenant contoso --user ada@contoso.example
  seatledger report peak-use --tenant contoso --from 2026-01-01T00:00:00Z --to 2026-07-01T00:00:00Z")]
pub(crate) struct Args {
    /// The report's name; without one, the list of them
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    access: Access,
    /// Whose history
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "TENANT")]
    tenant: String,
    /// Everything as it was at this point
    #[arg(long, value_name = "POINT")]
    as_of: Option<String>,
    /// What was known up to this point of --as-of
    #[arg(long, value_name = "POINT")]
    as_known_at: Option<String>,
    /// Where a period begins
    #[arg(long, value_name = "POINT")]
    from: Option<String>,
    /// Where it ends
    #[arg(long, value_name = "POINT")]
    to: Option<String>,
    /// A pool's id or key
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// A user's id or user name
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// A number of days
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    #[arg(long, value_enum, default_value_t = Form::Json)]
    format: Form,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// One object with all rows
    Json,
    /// A line a row, for a spreadsheet
    Csv,
    /// A file of columns; of a service that is built with it
    Parquet,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let client = args.access.client()?;
    let tenant = client::encode(&args.tenant);
    let Some(name) = &args.name else {
        return list(&client, &tenant).await;
    };
    let days = args.days.map(|days| days.to_string());
    let asked = [
        ("as_of", &args.as_of),
        ("as_known_at", &args.as_known_at),
        ("from", &args.from),
        ("to", &args.to),
        ("pool", &args.pool),
        ("user", &args.user),
        ("days", &days),
    ];
    let given: Vec<_> = asked.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    let path = format!("/v1/tenants/{tenant}/reports/{}", client::encode(name));
    print(&client, &path, &given, args.format).await
}

async fn list(client: &Client, tenant: &str) -> Result<Finished, Failure> {
    // all of them are on one page
    let listed = client.get(&format!("/v1/tenants/{tenant}/reports")).await?;
    let reports = listed.get("items").and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = reports.map(|report| {
        let parameters = report["parameters"].as_array().into_iter().flatten();
        let named = parameters.map(|parameter| {
            let name = text(&parameter["name"]).replace('_', "-");
            if parameter["required"] == true { format!("--{name}") } else { format!("[--{name}]") }
        });
        vec![text(&report["name"]), named.collect::<Vec<_>>().join(" "), text(&report["about"])]
    });
    output::line(&output::table(&["report", "asked with", "what it says"], rows.collect(), 3))?;
    Ok(Finished::Well)
}

/// Prints a list of the service: whole, whatever the size of its pages.
pub(super) async fn print(
    client: &Client,
    path: &str,
    given: &[(&str, &str)],
    form: Form,
) -> Result<Finished, Failure> {
    let query: String = given.iter().map(|(name, value)| format!("{name}={}&", client::encode(value))).collect();
    match form {
        Form::Csv | Form::Parquet => {
            let word = if form == Form::Csv { "csv" } else { "parquet" };
            let mut out = BufWriter::new(std::io::stdout());
            client.download(&format!("{path}?{query}format={word}"), &mut out).await?;
        }
        Form::Json => {
            let mut whole = client.get(&format!("{path}?{query}limit=1000")).await?;
            while let Some(cursor) = whole.get("next_cursor").and_then(Value::as_str) {
                let cursor = client::encode(cursor);
                let mut page = client.get(&format!("{path}?{query}limit=1000&cursor={cursor}")).await?;
                let more = page.get_mut("items").and_then(Value::as_array_mut).map(std::mem::take);
                let (Some(rows), Some(more)) = (whole.get_mut("items").and_then(Value::as_array_mut), more) else {
                    return Err(CallError::Unreadable(format!("GET {path} answered no list")).into());
                };
                rows.extend(more);
                client::put(&mut whole, "next_cursor", page.get("next_cursor").cloned().unwrap_or_default());
            }
            output::json(&whole)?;
        }
    }
    Ok(Finished::Well)
}

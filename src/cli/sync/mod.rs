//! `seatledger sync`: has a store read by the running service and waits for the result, or sends a declared inventory from a
//! file, once or again and again. Not here: how a store is read.

pub(super) mod changes;
mod file;
mod sheet;

use super::client::{self, Access, CallError, Client};
use super::exit::{Failure, Finished};
use super::output;
use super::progress::Progress;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

const ASK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A file is JSON as POST /inventory takes it, or CSV with a row for each item and the columns sku, name, owned (a number, or
unlimited), license_type (online or offline), publisher, distribution_policy (restricted or open); --map names others. Each row
has a receipt: imported, changed, unchanged, or refused and why; a file with a refused row is not sent. What a CSV has no column for
stays as it is. With --dry-run the service counts what the file would change, names what it would leave out and why, and takes nothing.

Examples:
  seatledger sync microsoft-store --tenant contoso --token-file operator.token
  seatledger sync apple-business --full --dry-run --tenant contoso
  seatledger sync --confirm sync_17 --tenant contoso
  seatledger sync --file bought.csv --map owned=Quantity --map sku=Article --complete --dry-run --tenant contoso
  seatledger sync --file /srv/inventory.json --every 3600 --tenant contoso")]
pub(crate) struct Args {
    /// The store: microsoft-store or apple-business
    #[arg(value_name = "PROVIDER", required_unless_present_any = ["file", "confirm"], conflicts_with_all = ["file", "confirm"])]
    provider: Option<String>,
    /// Read everything, also what did not change since the last sync
    #[arg(long, conflicts_with_all = ["file", "confirm"])]
    full: bool,
    /// Say what a sync, or a file, would change, and change nothing
    #[arg(long, conflicts_with_all = ["confirm", "every"])]
    dry_run: bool,
    /// Don't wait for the end
    #[arg(long, conflicts_with_all = ["file", "confirm"])]
    no_wait: bool,
    /// Let happen what the brake holds back of this sync
    #[arg(long, value_name = "SYNC", conflicts_with = "file")]
    confirm: Option<String>,
    /// A declared inventory: .json or .csv
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A column for a field, as in owned=Quantity
    #[arg(long = "map", value_name = "FIELD=COLUMN", requires = "file", conflicts_with_all = ["provider", "confirm", "full", "no_wait"], value_parser = sheet::mapping)]
    maps: Vec<sheet::Mapping>,
    /// A CSV file lists everything: what is not in it is gone
    #[arg(long, requires = "file", conflicts_with_all = ["provider", "confirm", "full", "no_wait"])]
    complete: bool,
    /// Send the file again after so many seconds, if it has changed, until told to stop
    #[arg(long, value_name = "SECONDS", requires = "file", conflicts_with_all = ["provider", "confirm", "full", "no_wait"],
        value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    #[command(flatten)]
    access: Access,
    /// Whose store
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "TENANT")]
    tenant: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    if let Some(file) = args.file.as_ref().filter(|file| !file::is_csv(file)) {
        // a JSON file says both by itself
        let given = [("--map", !args.maps.is_empty()), ("--complete", args.complete)];
        if let Some((flag, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            return Err(Failure::Usage(format!("{flag} is for a CSV file, and {} is none", file.display())));
        }
    }
    let client = args.access.client()?;
    let tenant = client::encode(&args.tenant);
    if let Some(file) = &args.file {
        let sending = file::Sending {
            file,
            maps: &args.maps,
            is_complete: args.complete,
            is_dry_run: args.dry_run,
            is_json: args.json,
        };
        return file::run(&client, &tenant, &sending, args.every.map(Duration::from_secs)).await;
    }
    if let Some(sync) = &args.confirm {
        let path = format!("/v1/tenants/{tenant}/syncs/{}/confirm", client::encode(sync));
        let answer = &client.post(&path, json!({}), None).await?;
        if args.json {
            output::json(answer)?;
        } else {
            output::line(&format!("confirmed: {} seats released", answer["released"].as_u64().unwrap_or(0)))?;
        }
        return Ok(Finished::Well);
    }
    let body = json!({"provider": args.provider, "full": args.full, "dry_run": args.dry_run});
    let begun = &client.post(&format!("/v1/tenants/{tenant}/syncs"), body, None).await?;
    let sync = begun["sync"].as_str().ok_or_else(|| CallError::Unreadable("POST /syncs named no sync".into()))?;
    if args.no_wait {
        if args.json {
            output::json(begun)?;
        } else {
            output::line(sync)?;
        }
        return Ok(Finished::Well);
    }
    let ended = &wait(&client, &tenant, sync).await?;
    tell(ended, args.json)?;
    Ok(Finished::well_if(ended["state"] == "completed"))
}

/// Shows how far it is, until it has ended.
async fn wait(client: &Client, tenant: &str, sync: &str) -> Result<Value, Failure> {
    let path = format!("/v1/tenants/{tenant}/syncs/{}", client::encode(sync));
    let progress = Progress::new(sync, 0);
    loop {
        let seen = client.get(&path).await?;
        if seen.get("state").is_none_or(|state| state != "running") {
            progress.finish();
            return Ok(seen);
        }
        let count = |path: &str| seen.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let (pages, items, seats) = (count("/progress/pages"), count("/progress/items"), count("/progress/seats"));
        progress.reach(pages, pages);
        progress.message(&format!("{pages} pages, {items} items, {seats} seats"));
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn tell(sync: &Value, is_json: bool) -> Result<(), Failure> {
    if is_json {
        return output::json(sync);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if sync["state"] == "failed" {
        return output::line(&format!("{} failed: {}", text(&sync["id"]), text(&sync["failure"])));
    }
    let count = |part: &str, name: &str| {
        output::grouped(sync.pointer(&format!("/{part}/{name}")).and_then(Value::as_u64).unwrap_or(0))
    };
    let items = ["listed", "changed", "delisted", "skipped", "unchanged"]
        .map(|name| format!("{} {name}", count("counts", name)));
    let ended = if sync["dry_run"] == true { "would do, and nothing was changed" } else { "completed" };
    output::line(&format!("{} {ended}: {}", text(&sync["id"]), items.join(", ")))?;
    if sync["seats"].is_object() {
        let (seen, foreign, lost) = (count("seats", "seen"), count("seats", "foreign"), count("seats", "lost"));
        output::line(&format!("seats: {seen} at the store, {foreign} of them foreign, {lost} lost"))?;
    }
    for skipped in sync["skipped"].as_array().into_iter().flatten() {
        output::line(&format!("skipped: {}: {}", text(&skipped["key"]), text(&skipped["reason"])))?;
    }
    for held in sync["held"].as_array().into_iter().flatten() {
        let seats = output::grouped(held["seats_count"].as_u64().unwrap_or(0));
        output::line(&format!(
            "held by the brake until a person confirms: {seats} seats; seatledger sync --confirm {}",
            text(&sync["id"])
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    fn refused(line: &str) -> Option<ErrorKind> {
        let words = format!("seatledger sync --tenant contoso {line}");
        Cli::command().try_get_matches_from(words.split_whitespace()).err().map(|error| error.kind())
    }

    #[test]
    fn what_makes_no_sense_together_is_refused() {
        for line in [
            "microsoft-store --full --dry-run --no-wait --json",
            "--confirm sync_1",
            "--file f.csv --map owned=Quantity --complete --dry-run",
            "--file f.csv --map owned=Quantity --complete --every 60",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
        let (of_store, of_file) = (["--full", "--no-wait"], ["--map owned=Quantity", "--complete", "--every 60"]);
        let mut pairs = [
            "microsoft-store --file f",
            "microsoft-store --confirm s",
            "--file f --confirm s",
            "--confirm s --dry-run",
            "--file f --every 60 --dry-run",
        ]
        .map(str::to_owned)
        .to_vec();
        for flag in of_store {
            pairs.extend([format!("--file f {flag}"), format!("--confirm s {flag}")]);
        }
        for flag in of_file {
            pairs.extend([format!("microsoft-store {flag}"), format!("--confirm s {flag}")]);
        }
        for line in &pairs {
            assert_eq!(refused(line), Some(ErrorKind::ArgumentConflict), "{line}");
        }
        for line in ["", "--dry-run", "--full", "--complete"] {
            assert_eq!(refused(line), Some(ErrorKind::MissingRequiredArgument), "{line}");
        }
    }
}

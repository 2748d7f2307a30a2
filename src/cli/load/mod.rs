//! `load`: an organization's existing lists, as CSV, through the public API into pools, people, devices and seats, with a
//! receipt for every row.
//!
//! What is decided here: one pool per distinct item and serial number (`plan`); who holds a seat and is not in the people
//! file is taken from the row that names them; who is inactive departs (`deactivated`) before seats are given; a license
//! that is not reassignable is irrevocable; a date of expiry is noted and not applied unless asked for, since lists count
//! such seats on; what a list counts as used stands on the receipt, since a seat has a holder; what it has no column for stays as it
//! is in pools, people and devices that are there, and of whom another list than the people file names everything does. Command
//! ids come from the content, so a second run is all `unchanged`; what was refused, and what is otherwise by now, is asked anew
//! under an id of the run's own. But a seat that was lost since is told and not given again.

mod apply;
mod columns;
mod plan;
mod receipt;
pub(super) mod source;
mod standing;
mod values;
mod vendors;

use super::client::Access;
use super::exit::{Failure, Finished};
use super::output;
use super::stopping::Stop;
use columns::{Columns, List, Mapping, Preset};
use plan::{Plan, Reading};
use receipt::{Count, Outcome};
use serde_json::json;
use std::path::PathBuf;
use values::DateOrder;

const AFTER_HELP: &str = "\
Examples:
  seatledger load --licenses licenses.csv --people users.csv --devices assets.csv --tenant contoso --token-file root.token
  seatledger load --licenses bought.csv --map licenses.item=Product --map licenses.seats=Quantity --dry-run
  seatledger load --licenses licenses.csv --people users.csv --data ledger-data --create --report receipts.csv
  seatledger load --preset intune --licenses apps.csv --people users.csv --devices devices.csv --dry-run
  seatledger load --preset jamf --licenses content.csv --devices inventory.csv --token-file root.token
  seatledger load --preset intune --licenses portal.csv --map item='App name' --map seats=Total --map used=Used

Fields for --map:
  licenses: item, serial, account, seats, used, publisher, cost, purchased_on, order, expires_on, reassignable, user_name, full_name, email
  people:   user_name, first_name, last_name, full_name, email, active, started_on, ended_on, external_id
  devices:  device_id, serial, model, platform, os_build, join, purchased_on, checkout, user_name, first_name, last_name, full_name, email

Rows that share item, serial number and account share a pool. Ends with 1 when a row was refused or a figure differs.";

/// What becomes of a date of expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum EndDates {
    /// It stands on the receipt; the seats count on, as they do in the list
    Note,
    /// The seats end with that day
    Apply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LicenseType {
    Online,
    Offline,
}

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// What was bought: an item, its seats and its holder per row
    #[arg(long, value_name = "FILE", required_unless_present_any = ["people", "devices"])]
    licenses: Option<PathBuf>,
    /// Who is there
    #[arg(long, value_name = "FILE")]
    people: Option<PathBuf>,
    /// What they work on
    #[arg(long, value_name = "FILE")]
    devices: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
    /// The tenant to load into
    #[arg(long, env = "SEATLEDGER_TENANT", default_value = "default", value_name = "TENANT")]
    tenant: String,
    /// Make the tenant if it is not there (needs the root token)
    #[arg(long)]
    create: bool,
    /// Load into the data folder of a stopped service, which is started for as long as it takes
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A column for a field, as in licenses.seats=Quantity
    #[arg(long = "map", value_name = "FIELD=COLUMN", value_parser = columns::mapping)]
    maps: Vec<Mapping>,
    /// Which names of columns are known
    #[arg(long, value_enum, default_value_t = Preset::Generic)]
    preset: Preset,
    /// How 3/4/23 is meant
    #[arg(long, value_enum, default_value_t = DateOrder::Mdy)]
    dates: DateOrder,
    /// The currency where none stands
    #[arg(long, default_value = "USD", value_name = "CODE")]
    currency: String,
    /// What kind of licenses these are; without it, offline where a pool is new
    #[arg(long, value_enum)]
    license_type: Option<LicenseType>,
    /// What becomes of a date of expiry
    #[arg(long, value_enum, default_value_t = EndDates::Note)]
    end_dates: EndDates,
    /// The language of the items' names
    #[arg(long, default_value = "en-US", value_name = "TAG")]
    language: String,
    /// Another name makes everything be asked anew, as seats that were lost since; without one, what was refused is and what is
    /// otherwise by now
    #[arg(long, default_value = "", value_name = "NAME")]
    run: String,
    /// Read and judge the lists, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Write every receipt into a file: .csv, .json or .ndjson
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print totals and receipts as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let mut plan = read(&args)?;
    let report = args.report.as_deref().map(|path| receipt::open_report(path).map(|file| (path, file))).transpose()?;
    let figures = if args.dry_run { None } else { Some(send(&args, &mut plan).await?) };
    // told after the totals, which are had once as well
    let reported = report.map_or(Ok(()), |(path, file)| receipt::write_report(path, file, &plan.receipts));
    let total = Count::of(plan.receipts.iter());
    let is_equal = figures.as_ref().is_none_or(|figures| figures.differences.is_empty());
    if args.json {
        let receipts: Vec<_> = plan.receipts.iter().map(receipt::Receipt::to_json).collect();
        let figures = figures.as_ref().map(apply::Figures::to_json);
        output::json(
            &json!({"dry_run": args.dry_run, "total": total.to_json(), "figures": figures, "receipts": receipts}),
        )?;
    } else {
        if args.dry_run {
            output::line("dry run: nothing is sent, and taken means that it would be asked for")?;
        }
        output::line(&receipt::summary(&plan.receipts))?;
        if let Some(figures) = &figures {
            output::line(&format!("\n{}", compare(figures)))?;
        }
    }
    reported.map(|()| Finished::well_if(total.of_outcome(Outcome::Refused) == 0 && is_equal))
}

fn read(args: &Args) -> Result<Plan, Failure> {
    let reading = Reading {
        dates: args.dates,
        currency: args.currency.clone(),
        license_type: match args.license_type {
            Some(LicenseType::Online) => "online",
            Some(LicenseType::Offline) | None => "offline",
        },
        applies_end_dates: args.end_dates == EndDates::Apply,
    };
    let mut plan = Plan::default();
    let open = |list: List, path: &PathBuf| -> Result<_, Failure> {
        let sheet = source::read(path)?;
        let columns = Columns::find(list, &sheet, args.preset, &args.maps)?;
        output::note(&format!("{}: {} rows, {}", sheet.name, sheet.rows.len(), sheet.encoding));
        Ok((sheet, columns))
    };
    let mut lists = Vec::new();
    if let Some(path) = &args.people {
        let (sheet, columns) = open(List::People, path)?;
        plan.read_people(&sheet, &columns, &reading);
        lists.push((List::People, sheet));
    }
    if let Some(path) = &args.licenses {
        let (sheet, columns) = open(List::Licenses, path)?;
        plan.keep = unsaid(&columns, args);
        plan.read_licenses(&sheet, &columns, &reading);
        lists.push((List::Licenses, sheet));
    }
    if let Some(path) = &args.devices {
        let (sheet, columns) = open(List::Devices, path)?;
        plan.read_devices(&sheet, &columns);
        lists.push((List::Devices, sheet));
    }
    columns::all_found(&args.maps, &lists)?;
    if args.dry_run {
        plan.foresee();
    }
    Ok(plan)
}

/// What a list of licenses does not say of its items, so that it stays as it is in pools that are there.
fn unsaid(columns: &Columns, args: &Args) -> Vec<&'static str> {
    let by_column = [
        ("license_type", args.license_type.is_some()),
        ("publisher", columns.have("publisher")),
        ("price", columns.have("cost")),
        ("irrevocable", columns.have("reassignable")),
        ("ends_on", columns.have("expires_on") && args.end_dates == EndDates::Apply),
    ];
    let without_column = [
        "distribution_policy",
        "related_set",
        "packages",
        "installed_by",
        "requires_windows_1511",
        "private_store_visible",
    ];
    by_column.into_iter().filter(|(_, is_said)| !is_said).map(|(field, _)| field).chain(without_column).collect()
}

async fn send(args: &Args, plan: &mut Plan) -> Result<apply::Figures, Failure> {
    let Some(folder) = &args.data else {
        return apply_to(args, plan, &args.access.client()?).await;
    };
    let options = super::spawned::Options::default();
    let mut stop = Stop::listen()?;
    let service = stop.or(super::spawned::Spawned::start(folder, &options)).await?;
    let figures = stop.or(apply_to(args, plan, service.client())).await;
    service.stop().await?;
    figures
}

async fn apply_to(args: &Args, plan: &mut Plan, client: &super::client::Client) -> Result<apply::Figures, Failure> {
    if args.create {
        let path = format!("/v1/tenants/{}", super::client::encode(&args.tenant));
        client.put(&path, json!({"name": args.tenant}), None).await?;
    }
    let apply = apply::Apply { client, tenant: &args.tenant, run: &args.run, language: &args.language };
    apply.all(plan).await.map_err(|error| match error.problem() {
        Some(problem) if problem.name == "tenant-not-found" => {
            Failure::Refused(format!("there is no tenant {:?} at {}; --create makes it", args.tenant, client.url()))
        }
        Some(_) | None => error.into(),
    })
}

fn compare(figures: &apply::Figures) -> String {
    let number = |number: u64| output::grouped(number);
    let row = |name: &str, files: u64, ledger: u64| vec![name.to_owned(), number(files), number(ledger)];
    let rows = vec![
        row("pools", figures.pools_stated, figures.pools_found),
        row("seats owned", figures.seats_stated, figures.seats_owned),
        row("seats held", figures.holders_stated, figures.seats_held),
        row("seats free", figures.seats_stated.saturating_sub(figures.holders_stated), figures.seats_free),
    ];
    let mut text = output::table(&["figure", "lists", "ledger"], rows, 1);
    for difference in &figures.differences {
        text.push_str(&format!("\ndiffers: {difference}"));
    }
    text
}

#[cfg(test)]
mod tests;

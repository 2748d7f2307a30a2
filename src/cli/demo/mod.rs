//! `demo`: the product at its main job. One command starts the service on a folder of its own, gives it a seeded organization,
//! lives through its years through the public HTTP API with a manual clock, and prints what happened, with the proof that
//! a replay of the log agrees. Then it stays up to be looked at.

mod company;
mod life;
mod random;
mod report;
mod teller;

use super::exit::{self, Failure, Finished};
use super::output;
use super::progress::Progress;
use super::spawned::{Options, Spawned};
use company::Company;
use life::{Life, number};
use report::Proof;
use serde_json::Value;
use std::path::{Path, PathBuf};
use teller::{TENANT, Teller};

const AFTER_HELP: &str = "\
Examples:
  seatledger demo
  seatledger demo --people 200 --years 1 --exit
  seatledger demo --data demo-data --listen 127.0.0.1:8080 --seed 7";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// A folder to keep the ledger in; without it a temporary one that goes away at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the service listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    listen: String,
    /// The same seed makes the same life
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many people there are on the first day
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(50..=100_000))]
    people: u32,
    /// How many years to live through
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
    years: u32,
    /// Let every month last at least so many seconds, to look on
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    month_lasts: f64,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// End after the report
    #[arg(long)]
    exit: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let temporary = if args.data.is_some() { None } else { Some(folder()?) };
    let folder = match (&args.data, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => return Err(Failure::File("there is no folder to work in".into())),
    };
    let data = folder.join("ledger");
    if data.exists() {
        return Err(Failure::Usage(format!(
            "{} is there already; name a folder that is empty, or none",
            data.display()
        )));
    }
    std::fs::create_dir_all(&folder).map_err(|error| exit::file(&folder, "can't be made", error))?;
    let options =
        Options { listen: args.listen.clone(), has_manual_clock: true, log: Some(folder.join("service.log")) };
    let service = Spawned::start(&data, &options).await?;
    let people = usize::try_from(args.people).unwrap_or(usize::MAX);
    let company = Company::new(args.seed, people);
    output::note(&format!(
        "{} people, {} devices, {} pools, seed {}; {}",
        output::grouped(args.people.into()),
        company.devices_made(),
        company.pools.len(),
        args.seed,
        service.url()
    ));
    let mut life = Life::new(company, Teller::new(service.client().clone()));
    let elapsed_s = tokio::select! {
        lived = live(&mut life, &args) => lived?,
        _ = tokio::signal::ctrl_c() => {
            output::note("stopped");
            return service.stop().await.map(|()| Finished::Well);
        }
    };
    let (proof, service) = prove(&life, service, &data, &options).await?;
    if args.json {
        output::json(&report::json_of(&life, &proof, elapsed_s))?;
    } else {
        output::line(&format!("\n{}", report::text(&life, &proof, elapsed_s)))?;
    }
    let is_well = proof.agrees() && report::lawless(&life.pools).is_empty() && life.teller.tally.surprises.is_empty();
    if !args.exit {
        stay(service, &data).await?;
    } else {
        service.stop().await?;
    }
    Ok(Finished::well_if(is_well))
}

fn folder() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("seatledger-demo-")
        .tempdir()
        .map_err(|error| Failure::File(format!("no temporary folder can be made: {error}")))
}

/// The whole life; how long it took.
async fn live(life: &mut Life, args: &Args) -> Result<f64, Failure> {
    let months = usize::try_from(args.years).unwrap_or(1) * 12;
    let progress = Progress::new("months", months as u64);
    life.found().await?;
    say(life, &progress, "founded").await?;
    for month in 0..months {
        let begun = progress.elapsed();
        life.month(month).await?;
        progress.advance(1);
        say(life, &progress, &format!("month {}", month + 1)).await?;
        let rest = args.month_lasts - (progress.elapsed() - begun).as_secs_f64();
        if rest > 0.0 {
            tokio::time::sleep(std::time::Duration::from_secs_f64(rest.min(3600.0))).await;
        }
    }
    let elapsed = progress.elapsed().as_secs_f64();
    progress.finish();
    Ok(elapsed)
}

async fn say(life: &Life, progress: &Progress, what: &str) -> Result<(), Failure> {
    let sum = |field: &str| output::grouped(life.pools.values().map(|pool| number(pool, field)).sum());
    let position = life.teller.get("/digest").await?.get("position").and_then(Value::as_u64).unwrap_or(0);
    let people = life.company.here(|_| true).len() as u64;
    progress.say(&format!(
        "{}  {what:<9} {:>6} people  {:>7} held of {:>7} owned  {:>4} queued  {:>6} refused  {:>9} events",
        life.today(),
        output::grouped(people),
        sum("held"),
        sum("owned"),
        sum("queued"),
        output::grouped(life.teller.tally.refused.values().sum()),
        output::grouped(position + 1)
    ));
    Ok(())
}

/// Asks the running service for its digest, stops it, lets another process replay its folder, and starts it again.
async fn prove(life: &Life, service: Spawned, data: &Path, options: &Options) -> Result<(Proof, Spawned), Failure> {
    let digest = life.teller.get("/digest").await?;
    let word = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    let (running, position) = (word(&digest, "digest"), number(&digest, "position"));
    service.stop().await?;
    output::note("the service is stopped; replaying its log from nothing");
    let program =
        std::env::current_exe().map_err(|error| Failure::File(format!("this program can't find itself: {error}")))?;
    let replay = tokio::process::Command::new(program)
        .args(["replay", "--json", "--tenant", TENANT, "--data"])
        .arg(data)
        .output()
        .await;
    let replay = replay.map_err(|error| Failure::File(format!("the replay can't be started: {error}")))?;
    if !replay.status.success() {
        return Err(Failure::Refused(format!("the replay failed: {}", String::from_utf8_lossy(&replay.stderr).trim())));
    }
    let replay: Value = serde_json::from_slice(&replay.stdout)
        .map_err(|error| Failure::File(format!("the replay's answer can't be read: {error}")))?;
    let tenant = replay.get("tenants").and_then(|tenants| tenants.get(0)).cloned().unwrap_or(Value::Null);
    let proof = Proof {
        position,
        running,
        replayed_position: number(&tenant, "position"),
        replayed: word(&tenant, "digest"),
        replay_events_per_s: number(&replay, "events_per_s"),
    };
    let service = Spawned::start(data, options).await?;
    Ok((proof, service))
}

/// Keeps the service up and says how to look at it, until somebody says stop.
async fn stay(mut service: Spawned, data: &Path) -> Result<(), Failure> {
    let url = service.url().to_owned();
    let token = data.join("root.token");
    output::line(&format!(
        "\nIt stays up at {url}; Ctrl-C stops it. The token is in {token}. To look at it:\n\n\
         \x20 T=\"Authorization: Bearer $(cat {token})\"; U={url}/v1/tenants/{TENANT}\n\
         \x20 curl -sH \"$T\" \"$U/pools?limit=3\"\n\
         \x20 curl -sH \"$T\" \"$U/pools/pool_5/timeline?bucket=day\"\n\
         \x20 curl -sH \"$T\" \"$U/pools/pool_5/explain?figure=held&limit=5\"\n\
         \x20 curl -sH \"$T\" \"$U/pools/pool_5?as_of=20000\"\n\
         \x20 curl -sH \"$T\" \"$U/users/user_42/seats\"\n\
         \x20 curl -sH \"$T\" \"$U/refusals?limit=3\"\n\
         \x20 curl -sH \"$T\" \"$U/events?from=1000&limit=3\"\n\
         \x20 curl -sH \"$T\" \"$U/digest\"\n\
         \x20 open {url}/docs",
        token = token.display()
    ))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
        why = service.ended() => return Err(Failure::Unreachable(why)),
    }
    output::note("stopping");
    service.stop().await
}

/// Ends when the process is asked to.
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

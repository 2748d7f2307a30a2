//! `demo`: the product at its main job. One command starts both simulated stores and the service on a folder of its own, gives
//! it a seeded organization, links the stores, lives through its years through the public HTTP API with a manual clock, and
//! prints what happened, with the proof that the stores and a replay of the log agree. Then all of it stays up to be looked at.

mod agreement;
mod company;
mod life;
mod random;
mod report;
mod stock;
mod stores;
mod teller;

use super::exit::{self, Failure, Finished};
use super::output;
use super::progress::Progress;
use super::serve::stop_signals;
use super::spawned::{Options, Spawned};
use company::Company;
use life::{Life, number};
use report::{Proof, Told};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use stores::{Stores, UNIT};
use teller::{TENANT, Teller};

/// How often the stores are read while somebody looks on.
const LOOK_ON_SECONDS: u64 = 10;

const AFTER_HELP: &str = "\
The apps are bought at two simulated stores, Microsoft's and Apple's, which run inside this command. The service is linked to
both as it would be to the real ones: syncs, seats granted and given back there one by one, other tools that act on the same
accounts, a month of broken connections, a token that ends. The same seed makes the same life: the same people, orders, commands
and figures. Only where in the log the stores' answers stand, and so the digest, is up to how fast they come.

Ends with 1 when a law is broken, a replay or a store disagrees with the ledger, or something was refused that should not be.

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
    /// Where Microsoft's simulated store listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    microsoft_listen: SocketAddr,
    /// Where Apple's simulated store listens
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    apple_listen: SocketAddr,
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
    let Some(folder) = args.data.clone() else {
        let temporary = folder()?;
        let ended = run_in(&args, temporary.path()).await;
        if let Err(Failure::Unreachable(_) | Failure::Refused(_)) = &ended {
            // the service's log says more
            output::note(&format!("what there is of it stays in {}", temporary.keep().display()));
        }
        return ended;
    };
    run_in(&args, &folder).await
}

async fn run_in(args: &Args, folder: &Path) -> Result<Finished, Failure> {
    let data = folder.join("ledger");
    if data.exists() {
        return Err(Failure::Usage(format!(
            "{} is there already; name a folder that is empty, or none",
            data.display()
        )));
    }
    std::fs::create_dir_all(folder).map_err(|error| exit::file(folder, "can't be made", error))?;
    // the service would say it in its log alone
    std::net::TcpListener::bind(&args.listen)
        .map_err(|error| Failure::File(format!("{} can't be listened at: {error}", args.listen)))?;
    let stop = stop_signals().map_err(|error| Failure::File(format!("signals can't be listened for: {error}")))?;
    tokio::pin!(stop);
    let stores = Stores::open(args.seed, args.microsoft_listen, args.apple_listen).await?;
    let options = Options {
        listen: args.listen.clone(),
        has_manual_clock: true,
        log: Some(folder.join("service.log")),
        store_urls: vec![stores.microsoft_url(), stores.apple_url()],
        store_sync_seconds: Some(0),
        agrees_at_once: true,
    };
    let mut service = Spawned::start(&data, &options).await?;
    let company = Company::new(args.seed, usize::try_from(args.people).unwrap_or(usize::MAX));
    output::note(&format!(
        "{} people, {} devices, {} pools at two stores, seed {}; {}, the stores at {} and {}",
        output::grouped(args.people.into()),
        company.devices_made(),
        company.pools.len(),
        args.seed,
        service.url(),
        stores.microsoft_url(),
        stores.apple_url()
    ));
    let mut life = Life::new(args.seed, company, stores, Teller::new(service.client().clone()));
    let lived = tokio::select! {
        biased;
        // Ctrl-C in a terminal reaches the service as well
        _ = &mut stop => None,
        lived = live(&mut life, args) => Some(lived?),
        why = service.ended() => {
            let log = folder.join("service.log");
            return Err(Failure::Unreachable(format!("{why}; see {}", log.display())));
        }
    };
    let Some(elapsed_s) = lived else {
        output::note("stopped");
        return service.stop().await.map(|()| Finished::Well);
    };
    let proving = async {
        let agreement = agreement::compare(&life).await?;
        Ok::<_, Failure>((agreement, prove(&life, service, &data).await?))
    };
    let proved = tokio::select! {
        biased;
        _ = &mut stop => None,
        proved = proving => Some(proved?),
    };
    let Some((agreement, proof)) = proved else {
        output::note("stopped");
        return Ok(Finished::Well);
    };
    let staying = if args.exit {
        None
    } else {
        let sync_seconds = Some(LOOK_ON_SECONDS);
        Some(Spawned::start(&data, &Options { store_sync_seconds: sync_seconds, ..options }).await?)
    };
    let places = staying.as_ref().map_or(Value::Null, |service| places(service, &life, &data));
    let told = Told { life: &life, agreement: &agreement, proof: &proof, elapsed_s, places };
    if args.json {
        output::json(&report::json_of(&told))?;
    } else {
        output::line(&format!("\n{}", report::text(&told)))?;
    }
    if let Some(service) = staying {
        if args.json {
            output::note("it stays up at the places named; Ctrl-C stops all");
        } else {
            how_to_look(&service, &life, &data)?;
        }
        stay(service, stop).await?;
    }
    let is_lawful = report::lawless(&life.pools).is_empty() && life.teller.tally.surprises.is_empty();
    Ok(Finished::well_if(proof.agrees() && agreement.agrees() && is_lawful))
}

/// Where all of it can be looked at.
fn places(service: &Spawned, life: &Life, data: &Path) -> Value {
    json!({
        "service": service.url(), "tenant": TENANT, "token_file": data.join("root.token").to_string_lossy(),
        "microsoft": life.stores.microsoft_url(), "apple": life.stores.apple_url(), "apple_unit": UNIT,
    })
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
    life.close().await?;
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

/// Asks the running service for its digest, stops it, and lets another process replay its folder.
async fn prove(life: &Life, service: Spawned, data: &Path) -> Result<Proof, Failure> {
    let digest = life.teller.get("/digest").await?;
    let word = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    let (running, position) = (word(&digest, "digest"), number(&digest, "position"));
    service.stop().await?;
    output::note("the service is stopped; replaying its log from nothing");
    let program =
        std::env::current_exe().map_err(|error| Failure::File(format!("this program can't find itself: {error}")))?;
    let replay = tokio::process::Command::new(program)
        // what is recorded behind the digest, as repeats of a refusal are at a stop, is none of it
        .args(["replay", "--json", "--tenant", TENANT, "--to", &position.to_string(), "--data"])
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
    Ok(Proof {
        position,
        running,
        replayed_position: number(&tenant, "position"),
        replayed: word(&tenant, "digest"),
        replay_events_per_s: number(&replay, "events_per_s"),
    })
}

fn how_to_look(service: &Spawned, life: &Life, data: &Path) -> Result<(), Failure> {
    let (url, token) = (service.url(), data.join("root.token"));
    let pool = life.company.pools.get(2).map_or_else(String::new, stock::Pool::key);
    output::line(&format!(
        "\nIt stays up at {url}, and the stores with it; Ctrl-C stops all. The token is in {token}. To look at it:\n\n\
         \x20 T=\"Authorization: Bearer $(cat {token})\"; U={url}/v1/tenants/{TENANT}; P=$U/pools/{pool}\n\
         \x20 curl -sH \"$T\" \"$U/pools?limit=3\"\n\
         \x20 curl -sH \"$T\" \"$P/timeline?bucket=day\"\n\
         \x20 curl -sH \"$T\" \"$P/explain?figure=held&limit=5\"\n\
         \x20 curl -sH \"$T\" \"$P?as_of=20000\"\n\
         \x20 curl -sH \"$T\" \"$U/users/user_42/seats\"\n\
         \x20 curl -sH \"$T\" \"$U/refusals?limit=3\"\n\
         \x20 curl -sH \"$T\" \"$U/store-accounts\"\n\
         \x20 curl -sH \"$T\" \"$U/drift?limit=3\"\n\
         \x20 curl -sH \"$T\" \"$U/digest\"\n\
         \x20 open {url}/docs\n\n\
         The stores by their own books, and a purchase that the ledger learns of within {LOOK_ON_SECONDS} s:\n\n\
         \x20 M={microsoft}/simulator; A={apple}/simulator; J='Content-Type: application/json'\n\
         \x20 curl -s \"$M/inventory\"; curl -s \"$M/seats\"; curl -s \"$A/units/{UNIT}/assignments\"\n\
         \x20 curl -sH \"$J\" \"$A/orders\" -d '{{\"order\": \"purchase\", \"uid\": \"{UNIT}\", \"adam_id\": \"1451685025\", \"quantity\": 10}}'",
        token = token.display(),
        microsoft = life.stores.microsoft_url(),
        apple = life.stores.apple_url()
    ))
}

/// Keeps the service up until somebody says stop.
async fn stay(mut service: Spawned, stop: impl Future<Output = &'static str>) -> Result<(), Failure> {
    tokio::select! {
        biased;
        _ = stop => {}
        why = service.ended() => return Err(Failure::Unreachable(why)),
    }
    output::note("stopping");
    service.stop().await
}

//! `bench`: how fast this machine lets the service be, beside what HTTP and the disk alone allow, in one run. Figures are
//! medians of rounds that are interleaved with the no-op's, since the machines are shared. Not here: the load itself.

mod load;
mod noop;
mod raw;
mod report;

use super::exit::{Failure, Finished};
use super::output;
use super::progress::Progress;
use super::spawned::{Options, Spawned};
use crate::clock::monotonic;
use load::{Run, To};
use report::{Figures, Row};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};

const TENANT: &str = "bench";
const POOLS: usize = 200;
const AFTER_HELP: &str = "\
Each figure is the median of --rounds rounds, with the lowest and the highest beside it. The no-op is an axum handler in a
process of its own that parses the same JSON and answers as much; rounds of both take turns. ops/bench/README.md says how
each row is taken.

Examples:
  cargo run --release -- bench
  cargo run --release -- bench --seconds 1 --rounds 3 --users 20000 --json figures.json";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// How long one round lasts
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    seconds: f64,
    /// How many rounds a row has
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Connections, one row each
    #[arg(long, default_value = "1,16,64,256", value_delimiter = ',')]
    connections: Vec<usize>,
    /// People of the organization; every one can be given each of 200 apps once
    #[arg(long, default_value_t = 20_000)]
    users: usize,
    /// Seats that are held when memory and restart are measured
    #[arg(long, default_value_t = 1_000_000)]
    seats: u64,
    /// Where the folder of the run is made
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Write the figures to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be the no-op
    #[arg(long, hide = true)]
    noop_server: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    if args.noop_server {
        return noop::serve().await;
    }
    let folder = match &args.folder {
        Some(parent) => std::fs::create_dir_all(parent).and_then(|()| tempfile::tempdir_in(parent)),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(|error| Failure::File(format!("no folder can be made: {error}")))?;
    let bench = Bench { args, data: folder.path().join("ledger") };
    let figures = bench.all(folder.path()).await?;
    output::line(&figures.text())?;
    if let Some(file) = &bench.args.json {
        let text = format!("{:#}\n", figures.json());
        std::fs::write(file, text).map_err(|error| super::exit::file(file, "can't be written", error))?;
    }
    Ok(Finished::Well)
}

struct Bench {
    args: Args,
    data: PathBuf,
}

impl Bench {
    async fn all(&self, folder: &Path) -> Result<Figures, Failure> {
        let mut figures = Figures::new(raw::machine());
        figures.push(raw::sync_row(folder, self.args.rounds)?);
        let options = Options { log: Some(folder.join("service.log")), ..Options::default() };
        let service = Spawned::start(&self.data, &options).await?;
        self.found(&service).await?;
        let noop = Noop::start().await?;
        let mut next = 0;
        for connections in &self.args.connections {
            let (ours, theirs) = self.singles(&service, &noop, *connections, &mut next).await?;
            figures.push(ours);
            figures.push(theirs);
        }
        figures.push(self.bulk(&service, &mut next).await?);
        self.fill(&service, &mut next).await?;
        figures.push(memory(&service)?);
        service.stop().await?;
        let begun = monotonic();
        let service = Spawned::start(&self.data, &options).await?;
        figures.push(Row::once(
            "restart after a clean stop, ready to serve",
            "ms",
            begun.elapsed().as_secs_f64() * 1e3,
        ));
        let digest = service.client().get(&format!("/v1/tenants/{TENANT}/digest")).await?;
        let events = digest.get("position").and_then(Value::as_u64).unwrap_or(0) + 1;
        service.kill().await?;
        let begun = monotonic();
        let service = Spawned::start(&self.data, &options).await?;
        figures.push(Row::once("restart after kill -9, ready to serve", "ms", begun.elapsed().as_secs_f64() * 1e3));
        service.stop().await?;
        figures.push(Row::once("events in the log", "events", events as f64));
        figures.push(self.replay().await?);
        Ok(figures)
    }

    fn path(rest: &str) -> String {
        format!("/v1/tenants/{TENANT}{rest}")
    }

    /// An organization: people, and apps with more seats than will be asked for.
    async fn found(&self, service: &Spawned) -> Result<(), Failure> {
        let client = service.client();
        client.put(&Self::path(""), json!({"name": "Bench"}), None).await?;
        let items: Vec<Value> = (0..POOLS).map(item).collect();
        client.post(&Self::path("/inventory"), json!({"complete": true, "items": items}), None).await?;
        let progress = Progress::new("people", self.args.users as u64);
        let users: Vec<usize> = (0..self.args.users).collect();
        for part in users.chunks(5000) {
            let commands: Vec<Value> = part
                .iter()
                .map(|user| json!({"type": "put_user", "user": format!("u{user}"), "user_name": format!("u{user}")}))
                .collect();
            client.commands(TENANT, &commands).await?;
            progress.advance(part.len() as u64);
        }
        progress.finish();
        Ok(())
    }

    /// Rounds of single calls, ours and the no-op's in turn.
    async fn singles(
        &self,
        service: &Spawned,
        noop: &Noop,
        connections: usize,
        next: &mut u64,
    ) -> Result<(Row, Row), Failure> {
        let lasts = Duration::from_secs_f64(self.args.seconds);
        let ours = To {
            address: address(service.url())?,
            path: Self::path("/assignments"),
            token: service.token().to_owned(),
            content_type: "application/json",
        };
        let theirs = To { address: noop.address, path: "/noop".into(), ..ours.clone() };
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let progress = Progress::new(&format!("{connections} connections"), u64::from(self.args.rounds));
        for _ in 0..self.args.rounds {
            let users = self.args.users as u64;
            let begin = *next;
            let body = move |connection: usize, number: u64| {
                Some(assign_body(pair(users, begin + number * connections as u64 + connection as u64)))
            };
            let ours = load::run(&ours, connections, lasts, body).await?;
            *next += (ours.answers / connections as u64 + 2) * connections as u64;
            a.push(ours);
            b.push(load::run(&theirs, connections, lasts, body).await?);
            progress.advance(1);
        }
        progress.finish();
        let ours = row_of(&format!("durable assign over HTTP, {connections} connections"), &mut a, Some(&b));
        Ok((ours, row_of(&format!("no-op handler, {connections} connections"), &mut b, None)))
    }

    async fn bulk(&self, service: &Spawned, next: &mut u64) -> Result<Row, Failure> {
        const LINES: u64 = 2000;
        const CONNECTIONS: usize = 8;
        let to = To {
            address: address(service.url())?,
            path: Self::path("/commands"),
            token: service.token().to_owned(),
            content_type: "application/x-ndjson",
        };
        let lasts = Duration::from_secs_f64(self.args.seconds);
        let mut runs = Vec::new();
        for _ in 0..self.args.rounds {
            let (users, begin) = (self.args.users as u64, *next);
            let body = move |connection: usize, number: u64| {
                let first = begin + (number * CONNECTIONS as u64 + connection as u64) * LINES;
                Some((first..first + LINES).map(|at| line(pair(users, at))).collect::<String>())
            };
            let run = load::run(&to, CONNECTIONS, lasts, body).await?;
            *next += (run.answers / CONNECTIONS as u64 + 2) * CONNECTIONS as u64 * LINES;
            runs.push(Run { answers: run.answers * LINES, ..run });
        }
        Ok(row_of(&format!("durable assign in bulk, NDJSON of {LINES}, {CONNECTIONS} connections"), &mut runs, None))
    }

    /// Until so many seats are held.
    async fn fill(&self, service: &Spawned, next: &mut u64) -> Result<(), Failure> {
        let held = |pools: &[Value]| pools.iter().filter_map(|pool| pool.get("held")?.as_u64()).sum::<u64>();
        let client = service.client();
        let before = held(&client.list(&Self::path("/pools")).await?);
        let most = POOLS as u64 * self.args.users as u64;
        let progress = Progress::new("seats", self.args.seats.saturating_sub(before));
        let mut left = self.args.seats.saturating_sub(before).min(most.saturating_sub(*next));
        while left > 0 {
            let part = left.min(50_000);
            let commands: Vec<Value> = (*next..*next + part)
                .map(|at| { let (pool, user) = pair(self.args.users as u64, at); json!({"type": "assign", "pool": format!("declared:app{pool}"), "target": {"user": format!("u{user}")}, "intent": "required"}) })
                .collect();
            client.commands(TENANT, &commands).await?;
            *next += part;
            left -= part;
            progress.advance(part);
        }
        progress.finish();
        Ok(())
    }

    /// A process of its own reads the whole log from nothing.
    async fn replay(&self) -> Result<Row, Failure> {
        let mut rates = Vec::new();
        for _ in 0..self.args.rounds.min(3) {
            let program = std::env::current_exe().map_err(|error| Failure::File(error.to_string()))?;
            let output = tokio::process::Command::new(program)
                .args(["replay", "--json", "--data"])
                .arg(&self.data)
                .output()
                .await;
            let output = output.map_err(|error| Failure::File(format!("the replay can't be started: {error}")))?;
            let said: Value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
            rates.extend(said.get("events_per_s").and_then(Value::as_f64));
        }
        Ok(Row::of("replay: decode, check, fold", "events/s", rates))
    }
}

fn item(at: usize) -> Value {
    json!({
        "sku": format!("app{at}"), "license_type": "offline", "name": format!("App {at}"), "publisher": "Bench", "owned": 1_000_000_000,
        "distribution_policy": "restricted", "price": {"currency": "EUR", "minor_units": 100}, "encrypted": false, "related_set": null,
    })
}

/// The pool and the user of the n-th assignment: every pair once.
fn pair(users: u64, at: u64) -> (u64, u64) {
    ((at / users + at) % POOLS as u64, at % users)
}

fn assign_body((pool, user): (u64, u64)) -> String {
    format!("{{\"pool\":\"declared:app{pool}\",\"target\":{{\"user\":\"u{user}\"}},\"intent\":\"required\"}}")
}

fn line((pool, user): (u64, u64)) -> String {
    format!(
        "{{\"type\":\"assign\",\"pool\":\"declared:app{pool}\",\"target\":{{\"user\":\"u{user}\"}},\"intent\":\"required\"}}\n"
    )
}

fn address(url: &str) -> Result<SocketAddr, Failure> {
    url.trim_start_matches("http://").parse().map_err(|error| Failure::Unreachable(format!("{url}: {error}")))
}

fn row_of(name: &str, runs: &mut [Run], beside: Option<&[Run]>) -> Row {
    let mut row = Row::of(name, "/s", runs.iter().map(Run::per_second).collect());
    let p99: Vec<f64> = runs.iter_mut().map(|run| run.percentile_ms(0.99)).collect();
    row.p99_ms = Some(report::median(p99));
    row.not_2xx = runs.iter().map(|run| run.not_2xx).sum();
    row.ratio = beside.map(|other| {
        report::median(runs.iter().zip(other).map(|(ours, theirs)| ours.per_second() / theirs.per_second()).collect())
    });
    row
}

/// What the process takes, as the system counts it.
fn memory(service: &Spawned) -> Result<Row, Failure> {
    let pid = service.id().ok_or_else(|| Failure::Unreachable("the service is gone".into()))?;
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| Failure::File(error.to_string()))?;
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse::<f64>().ok());
    Ok(Row::once("memory of the process with the seats held", "MiB", kib.unwrap_or(0.0) / 1024.0))
}

/// The no-op in a process of its own.
struct Noop {
    address: SocketAddr,
    _child: tokio::process::Child,
}

impl Noop {
    async fn start() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::File(format!("the no-op can't be started: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = tokio::process::Command::new(program);
        command.args(["bench", "--noop-server"]).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(failed)?;
        let out = child.stdout.take().ok_or_else(|| Failure::File("the no-op has no output".into()))?;
        let line = BufReader::new(out).lines().next_line().await.map_err(failed)?.unwrap_or_default();
        Ok(Self { address: address(line.trim_start_matches("listening on "))?, _child: child })
    }
}

//! `bench`: how fast this machine lets the service be, beside what HTTP and the disk alone allow, in one run. Figures are
//! medians of rounds that are interleaved with the no-op's, since the machines are shared. Not here: the load itself.

mod disk;
mod held;
mod inside;
mod load;
mod noop;
mod organization;
mod raw;
mod report;
mod serving;

use super::exit::{Failure, Finished};
use super::output;
use super::progress::Progress;
use super::spawned::{Options, Spawned};
use super::stopping::{Stop, end_with};
use crate::clock::monotonic;
use noop::Noop;
use organization::{Pairs, TENANT, path};
use report::{Figures, Row};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

const AFTER_HELP: &str = "\
Each figure is the median of --rounds rounds, with the lowest and the highest beside it. The no-op is an axum handler in a
process of its own that parses the same JSON and answers as much; rounds of both take turns. ops/bench/README.md says how
each row is taken.

Examples:
  cargo run --release -- bench
  cargo run --release -- bench --rows bulk,inside --rounds 3
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
    /// Which rows to take; all of them without it
    #[arg(long, value_delimiter = ',', value_enum)]
    rows: Vec<Rows>,
    /// Commands in a call of the bulk row
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    lines: u64,
    /// Where the folder of the run is made
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Write the figures to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Be the no-op, of this process if one is named
    #[arg(long, hide = true, value_name = "PID")]
    noop_server: Option<Option<i32>>,
    /// Be the process whose memory is measured, and hold the seats in this
    #[arg(long, hide = true, value_enum, requires = "held_by")]
    held_in: Option<held::HeldIn>,
    /// How it comes to hold them
    #[arg(long, hide = true, value_enum, requires = "held_in")]
    held_by: Option<held::HeldBy>,
}

/// What can be taken by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Rows {
    /// Single calls over HTTP, beside the no-op
    Singles,
    /// Everybody wants one app
    OneApp,
    /// Many commands a call
    Bulk,
    /// Reads of a pool beside a full load of commands
    Reads,
    /// A change of a group of 50,000
    Group,
    /// The ledger in process, without HTTP
    Inside,
    /// Memory, restarts and replay with the seats held
    Restart,
    /// What an event takes on the disk
    Disk,
    /// What a held seat takes in memory
    Held,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    if let Some(parent) = args.noop_server {
        parent.map_or(Ok(()), end_with)?;
        return noop::serve().await;
    }
    if let (Some(held_in), Some(held_by)) = (args.held_in, args.held_by) {
        return held::measured(held_in, held_by, args.users, args.seats);
    }
    let folder = match &args.folder {
        Some(parent) => std::fs::create_dir_all(parent).and_then(|()| tempfile::tempdir_in(parent)),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(|error| Failure::File(format!("no folder can be made: {error}")))?;
    let bench = Bench { args, data: folder.path().join("ledger") };
    let figures = Stop::listen()?.or(bench.all(folder.path())).await?;
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
        let needs_service = [Rows::Singles, Rows::OneApp, Rows::Bulk, Rows::Reads, Rows::Group, Rows::Restart]
            .map(|rows| self.has(rows));
        if needs_service.contains(&true) {
            let service = Spawned::start(&self.data, &options).await?;
            organization::found(service.client(), TENANT, self.args.users).await?;
            let pairs = Pairs::new(self.args.users);
            self.serving(&service, folder, &pairs, &mut figures).await?;
            if self.has(Rows::Restart) {
                self.fill(&service, &pairs).await?;
                self.restarts(service, &options, &mut figures).await?;
            }
        }
        if self.has(Rows::Inside) {
            self.inside(folder).await?.into_iter().for_each(|row| figures.push(row));
        }
        if self.has(Rows::Disk) {
            self.disk(folder).await?.into_iter().for_each(|row| figures.push(row));
        }
        if self.has(Rows::Held) {
            self.held().await?.into_iter().for_each(|row| figures.push(row));
        }
        Ok(figures)
    }

    fn has(&self, rows: Rows) -> bool {
        self.args.rows.is_empty() || self.args.rows.contains(&rows)
    }

    fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.args.seconds)
    }

    /// The rows that ask a running service.
    async fn serving(
        &self,
        service: &Spawned,
        folder: &Path,
        pairs: &Pairs,
        figures: &mut Figures,
    ) -> Result<(), Failure> {
        let noop = Noop::start().await?;
        if self.has(Rows::Singles) {
            for connections in &self.args.connections {
                let rows = self.singles(service, &noop, *connections, folder, pairs).await?;
                rows.into_iter().for_each(|row| figures.push(row));
            }
        }
        if self.has(Rows::OneApp) {
            figures.push(self.one_app(service).await?);
        }
        if self.has(Rows::Reads) {
            self.reads(service, &noop, pairs).await?.into_iter().for_each(|row| figures.push(row));
        }
        if self.has(Rows::Bulk) {
            figures.push(self.bulk(service, self.args.lines, pairs).await?);
        }
        if self.has(Rows::Group) {
            self.group(service, pairs).await?.into_iter().for_each(|row| figures.push(row));
        }
        Ok(())
    }

    /// Memory with the seats held, then what a start takes after a clean stop and after a kill, a replay of it all, and a start
    /// without snapshots.
    async fn restarts(&self, service: Spawned, options: &Options, figures: &mut Figures) -> Result<(), Failure> {
        let process = service.id().ok_or_else(|| Failure::Unreachable("the service is gone".into()))?;
        let memory = raw::resident_mib(process)?;
        figures.push(Row::once("memory of the process with the seats held", "MiB", memory));
        service.stop().await?;
        let (service, ready) = self.started(options).await?;
        let row = Row::once("restart after a clean stop, ready to serve", "ms", ready * 1e3);
        figures.push(row.goal("150 ms at 1 M events"));
        let digest = service.client().get(&path("/digest")).await?;
        let events = digest.get("position").and_then(Value::as_u64).unwrap_or(0) + 1;
        service.kill().await?;
        let (service, ready) = self.started(options).await?;
        figures
            .push(Row::once("restart after kill -9, ready to serve", "ms", ready * 1e3).goal("150 ms at 1 M events"));
        service.stop().await?;
        figures.push(Row::once("events in the log", "events", events as f64));
        figures.push(self.replay().await?);
        figures.push(self.start_from_nothing(options, events).await?);
        Ok(())
    }

    /// A service and how many seconds it took until it was ready.
    async fn started(&self, options: &Options) -> Result<(Spawned, f64), Failure> {
        let begun = monotonic();
        let service = Spawned::start(&self.data, options).await?;
        Ok((service, begun.elapsed().as_secs_f64()))
    }

    /// A start that finds no snapshot folds projections as well as the state.
    async fn start_from_nothing(&self, options: &Options, events: u64) -> Result<Row, Failure> {
        let snapshots = self.data.join("snapshots");
        let mut rates = Vec::new();
        for _ in 0..self.args.rounds.min(3) {
            std::fs::remove_dir_all(&snapshots).map_err(|error| {
                Failure::File(format!("the snapshots in {} can't be removed: {error}", snapshots.display()))
            })?;
            let (service, ready) = self.started(options).await?;
            rates.push(events as f64 / ready);
            service.stop().await?;
        }
        let name = "start without a snapshot: decode, check, fold state and projections";
        Ok(Row::of(name, "events/s", rates).goal("5,000,000/s"))
    }

    /// Until so many seats are held.
    async fn fill(&self, service: &Spawned, pairs: &Pairs) -> Result<(), Failure> {
        const PART: u64 = 50_000;
        let held = |pools: &[Value]| pools.iter().filter_map(|pool| pool.get("held")?.as_u64()).sum::<u64>();
        let client = service.client();
        let before = held(&client.list(&path("/pools")).await?);
        let left = self.args.seats.saturating_sub(before);
        let progress = Progress::new("seats", left);
        let mut made = 0;
        while made < left {
            let Some(part) = pairs.take(PART.min(left - made)) else { break };
            made += part.end - part.start;
            let commands: Vec<Value> = part.map(|at| pairs.command(at)).collect();
            client.commands(TENANT, &commands).await?;
            progress.set(made);
        }
        progress.finish();
        Ok(())
    }

    /// A process of its own reads the whole log from nothing.
    async fn replay(&self) -> Result<Row, Failure> {
        let mut rates = Vec::new();
        for _ in 0..self.args.rounds.min(3) {
            let said: Value =
                serde_json::from_slice(&disk::ours(["replay", "--json", "--data"], &[self.data.as_os_str()]).await?)
                    .map_err(|error| Failure::File(format!("the replay can't be read: {error}")))?;
            rates.extend(said.get("events_per_s").and_then(Value::as_f64));
        }
        Ok(Row::of("replay: decode, check, hash, fold", "events/s", rates).goal("5,000,000/s"))
    }
}

//! `serve`: the composition root. Opens the ledger, says where it listens, serves until it is told to stop, and lets go of
//! everything in order. Not here: what any of the parts does.

use super::cosign::{self, Witness};
use super::exit::{self, Failure, Finished};
use super::outside;
use super::timestamp::{self, Authority};
use super::{connect, descriptors, output};
use crate::clock::Clock;
use crate::config::{self, ClockKind, Config, LogFormat};
use crate::http::{ListenerLimits, RateLimits, RequestLimits, Service};
use crate::ledger::evidence::Authorities;
use crate::ledger::{
    Ledger, LedgerOptions, LogKeySource, LogOptions, MasterKeySource, Progress, Signing, TornEnd, Witnessing,
};
use crate::log::{EXIT_LOG_STOPPED, say_last_words_by};
use crate::telemetry;
use serde::Serialize;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const AFTER_HELP: &str = "\
Settings come from defaults, then --config FILE (TOML), then SEATLEDGER_<NAME> in the environment, then these flags.
In the environment a text stands as it is, without quotes; a list (SEATLEDGER_WITNESSES, SEATLEDGER_STORE_URLS) is one entry as
it is, or [\"first\", \"second\"]. A SEATLEDGER_<NAME> that no command knows is told in the log, and refused where it
speaks of keys or credentials.
The root token comes from SEATLEDGER_ROOT_TOKEN; without it the first start writes one to root.token in the data folder.
The master key comes from SEATLEDGER_MASTER_KEY (64 hexadecimal digits), master_key_file or master_key_command;
without any of them the first start writes one to master.key in the data folder. Back it up apart from the log.
The key that signs heads comes from SEATLEDGER_LOG_KEY or log_key_file, likewise; else it is made as log.key.
Credentials of store accounts come from PUT /store-accounts/{provider}, which keeps them in the data folder with mode 0600;
from SEATLEDGER_STORE_CREDENTIALS, JSON by \"<tenant>/<provider>\"; or from store_credentials_command (a list, in the file),
which is run with the tenant and the provider behind its arguments and prints JSON.

Examples:
  seatledger serve --data ledger-data --listen 127.0.0.1:8080
  seatledger serve --data ledger-data --listen 127.0.0.1:0 --log-format json
  seatledger serve --config /etc/seatledger.toml";

#[derive(Debug, clap::Args, Serialize)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The data folder; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    /// Whose time is told; manual is for demos and tests [default: system]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockKind>,
    /// For people, or for programs [default: human]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
    /// What is logged, as in info or warn,seatledger=debug [default: info]
    #[arg(long, value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Connections at once [default: 4096]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_max: Option<usize>,
    /// Requests of one caller each second; 0 is without limit [default: 0]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<u32>,
    /// Free disk space below which commands are refused [default: 268435456]
    #[arg(long, value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_floor_bytes: Option<u64>,
    /// Whose log it is: a URL without its scheme, stands in every signed head [default: seatledger.local]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_name: Option<String>,
    /// Where the key that signs heads is; it is made if it is not there [default: log.key in the data folder]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_key_file: Option<PathBuf>,
    /// A head is signed so often at most while something changes [default: 5]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    sign_seconds: Option<u64>,
    /// A witness to cosign heads: its URL and its verifier key, with a blank between them; may be said more than once
    #[arg(long = "witness", value_name = "URL KEY")]
    #[serde(rename = "witnesses", skip_serializing_if = "Vec::is_empty")]
    witness: Vec<String>,
    /// So many of the witnesses make a head a cosigned one [default: 0, which asks for none]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_quorum: Option<usize>,
    /// Certificates (PEM) by which witnesses with https:// are trusted [default: those of the machine]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    witness_ca: Option<PathBuf>,
    /// /readyz says when a head waits longer for its quorum [default: 300]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    quorum_seconds_max: Option<u64>,
    /// Who stamps a head of each day (RFC 3161): its URL
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_url: Option<String>,
    /// Certificates (PEM) that must stand behind a timestamp [default: none, it may be anybody's]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_ca: Option<PathBuf>,
    /// Certificates (PEM) by which stores with https:// are trusted [default: those of the machine]
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    store_ca: Option<PathBuf>,
    /// A URL besides the stores' own below which an account's settings may lead, as that of a simulator; may be said more
    /// than once
    #[arg(long = "store-url", value_name = "URL")]
    #[serde(rename = "store_urls", skip_serializing_if = "Vec::is_empty")]
    store_url: Vec<String>,
    /// A sync of each linked store account is begun by itself so often; 0 is never [default: 14400]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    store_sync_seconds: Option<u64>,
    /// So much lies at least between two syncs that are begun by themselves, however much a store tells [default: 30]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    store_pause_seconds: Option<u64>,
    /// What a complete sync misses is gone when another one misses it that begins so much later [default: 300]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    store_agree_seconds: Option<u64>,
    /// The process that started this one, and with whose end it is to stop
    #[arg(long, hide = true, value_name = "PID")]
    #[serde(skip)]
    end_with: Option<i32>,
    /// A file with settings
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    config: Option<PathBuf>,
}

/// Accounts of stores are opened before anybody is served, unless what gives their credentials takes longer.
const STORES_OPENED_MAX: Duration = Duration::from_secs(2);

/// The allocator asks for pages of 2 MiB, and the one read that touches a new one first waits until the kernel has found and
/// cleared it: 4 to 9 ms each were seen, where a read takes 4 altogether. A start is quicker with them.
fn without_huge_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages could not be switched off; some reads will take longer");
    }
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let config = config::load(args.config.as_deref(), &args).map_err(Failure::Usage)?;
    args.end_with.map_or(Ok(()), super::stopping::end_with)?;
    telemetry::start_log(config.log_format, &config.log, crate::http::request_id::current).map_err(Failure::Usage)?;
    say_last_words_by(telemetry::say_last);
    for why in &config.ignored {
        tracing::warn!("{why}");
    }
    let connections_max = descriptors::connections(config.connections_max);
    let metrics = telemetry::start_metrics().map_err(Failure::File)?;
    // taken before anything is touched: a port in use is found out at once
    let listener = tokio::net::TcpListener::bind(&config.listen)
        .await
        .map_err(|error| Failure::File(format!("{} can't be listened at: {error}", config.listen)))?;
    let address = listener.local_addr().map_err(|error| Failure::File(error.to_string()))?;
    let witnesses = config.witnesses.iter().map(|text| Witness::parse(text)).collect::<Result<Vec<_>, _>>();
    let witnesses = witnesses.map_err(Failure::Usage)?;
    let outside =
        outside::client(witnesses.iter().map(Witness::url), config.witness_ca.as_deref(), cosign::ANSWER_MAX)?;
    let authority = authority(&config)?;
    connect::checked(&config)?;
    let ledger = open(&config, &witnesses).await?;
    let watching = tokio::spawn(end_with_the_log(ledger.clone()));
    without_huge_pages();
    let root_token = root_token(&config)?;
    let limits = RequestLimits {
        body_bytes_max: config.body_bytes_max,
        bulk_bytes_max: config.bulk_bytes_max,
        pause_max: Duration::from_secs(config.head_seconds_max),
        request_max: Duration::from_secs(config.request_seconds_max),
    };
    let rate =
        RateLimits { requests_per_s: config.requests_per_second, strangers_per_s: config.stranger_requests_per_second };
    let quorum_max = Duration::from_secs(config.quorum_seconds_max);
    let stores = connect::desk(&config, &ledger);
    let service = Service::new(ledger.clone(), stores.clone(), &root_token, limits, rate, Some(metrics), quorum_max);
    let front = crate::http::front(std::sync::Arc::clone(&service));
    let url = format!("http://{address}");
    // whoever reads that we listen may tell us to stop
    let asked_to_stop =
        stop_signals().map_err(|error| Failure::File(format!("signals can't be listened for: {error}")))?;
    if tokio::time::timeout(STORES_OPENED_MAX, stores.open_all()).await.is_err() {
        tracing::warn!("opening the store accounts takes long; they are opened beside serving");
    }
    let address_file = AddressFile::write(&config.data, &url)?;
    output::say_listening(&url);
    tracing::info!(%url, data = %config.data.display(), clock = ?config.clock, "ready");
    let stop = {
        let service = std::sync::Arc::clone(&service);
        async move {
            let signal = asked_to_stop.await;
            tracing::info!(signal, "stopping: no new work is taken");
            service.begin_stop();
        }
    };
    let cosigning = (!witnesses.is_empty()).then(|| {
        tokio::spawn(cosign::run(ledger.clone(), witnesses, outside, Duration::from_secs(config.sign_seconds)))
    });
    let stamping = authority.map(|(authority, outside)| {
        tokio::spawn(timestamp::run(ledger.clone(), authority, outside, Duration::from_secs(config.sign_seconds)))
    });
    let stores_stop = CancellationToken::new();
    let selling = tokio::spawn({
        let stop = stores_stop.clone();
        async move { stores.run(stop).await }
    });
    let limits = ListenerLimits {
        connections_max,
        head_max: Duration::from_secs(config.head_seconds_max),
        drain_max: Duration::from_secs(config.drain_seconds_max),
    };
    crate::http::serve(listener, front, limits, stop).await;
    drop(address_file);
    for asking in [cosigning, stamping].into_iter().flatten() {
        asking.abort();
    }
    // what a store has done is told to the ledger before that closes
    stores_stop.cancel();
    if tokio::time::timeout(limits.drain_max, selling).await.is_err() {
        tracing::warn!(
            "a store account's worker did not end in time; what it asked for is looked up at the next start"
        );
    }
    // how the closing went is told below
    watching.abort();
    exit::close(&ledger).await.map(|()| Finished::Well)
}

/// A log that has stopped acknowledges nothing more. It may do so while nobody asks for anything; the next start finds out
/// what is there.
async fn end_with_the_log(ledger: Ledger) {
    let why = ledger.stopped().await;
    tracing::error!(why, "the log has stopped; nothing more is acknowledged, the process ends");
    output::complain(&format!("the log has stopped: {why}"));
    std::process::exit(EXIT_LOG_STOPPED.into());
}

/// Who is asked for timestamps, and by whom.
fn authority(config: &Config) -> Result<Option<(Authority, reqwest::Client)>, Failure> {
    let Some(url) = &config.timestamp_url else { return Ok(None) };
    if !outside::is_url(url) {
        return Err(Failure::Usage(format!("{url}: a timestamp authority is asked over https:// or http://")));
    }
    let client = outside::client([url.as_str()].into_iter(), None, timestamp::ANSWER_MAX)?;
    let trusted = config.timestamp_ca.as_ref().map(|path| {
        let pem = outside::read_certificates(path)?;
        Authorities::from_pem(&pem).map_err(|error| exit::file(path, "timestamps can't be checked by it", error))
    });
    Ok(Some((Authority { url: url.clone(), trusted: trusted.transpose()? }, client)))
}

async fn open(config: &Config, witnesses: &[Witness]) -> Result<Ledger, Failure> {
    let clock = match config.clock {
        ClockKind::System => Clock::system(),
        // a manual clock of an old folder goes on from its last record
        ClockKind::Manual => Clock::manual(Clock::system().now()),
    };
    let master_key = match (&config.master_key, &config.master_key_file, &config.master_key_command) {
        (Some(text), _, _) => MasterKeySource::Text(text.clone().into()),
        (None, Some(file), _) => MasterKeySource::File(file.clone()),
        (None, None, Some(argv)) => MasterKeySource::Command(argv.clone()),
        (None, None, None) => MasterKeySource::DataFolder,
    };
    let log = LogOptions {
        segment_bytes: config.segment_bytes,
        disk_floor_bytes: config.disk_floor_bytes,
        sled_cache_bytes: config.sled_cache_bytes,
        checkpoint_seconds: config.checkpoint_seconds,
        scrub_seconds: config.scrub_seconds,
        ..LogOptions::new(&config.data)
    };
    let key = match (&config.log_key, &config.log_key_file) {
        (Some(text), _) => LogKeySource::Text(text.clone().into()),
        (None, Some(file)) => LogKeySource::File(file.clone()),
        (None, None) => LogKeySource::DataFolder,
    };
    let witnesses = witnesses.iter().map(|witness| witness.key().clone()).collect();
    let signing = Signing {
        key,
        log_name: config.log_name.clone(),
        every: Duration::from_secs(config.sign_seconds),
        rotation: None,
        witnessing: Witnessing { witnesses, quorum: config.witness_quorum },
    };
    let options = LedgerOptions { log, master_key, clock, signing };
    let opened = tokio::task::spawn_blocking(move || Ledger::open(options, &Steps::default())).await;
    let ledger = opened
        .map_err(|error| Failure::File(error.to_string()))?
        .map_err(|error| Failure::File(format!("{} can't be served: {error}", config.data.display())))?;
    say_open(&ledger);
    Ok(ledger)
}

/// What is out of the ordinary has a line of its own.
fn say_open(ledger: &Ledger) {
    let report = ledger.open_report();
    let took = report.took;
    tracing::info!(
        log_key = %ledger.log_key(),
        is_new = report.fresh,
        groups = report.last_group,
        groups_behind_checkpoint = report.groups_replayed,
        records_folded = report.records_folded,
        log_ms = took.log.as_millis(),
        snapshot_ms = took.snapshot.as_millis(),
        fold_ms = took.fold.as_millis(),
        "the ledger is open"
    );
    if let Some(TornEnd { segment, offset, bytes, put_aside }) = &report.torn {
        tracing::info!(segment, offset, bytes, put_aside, "the journal ended within a group that nobody was told of");
    }
    if let Some(slot) = report.bad_anchor_slot {
        tracing::info!(slot, "one of the two anchors can't be read, as after a cut of power; the other one was used");
    }
    if let Some(why) = &report.bad_manifest {
        tracing::warn!(why, "the newest manifest can't be read; the one before it was used");
    }
    let (fed, removed) = (report.sled_frames_fed, report.sled_frames_removed);
    if fed + removed > 0 {
        tracing::info!(fed, removed, "sled was brought level with the journal");
    }
}

/// Long steps of opening, a line every few seconds.
#[derive(Default)]
struct Steps(Mutex<Option<std::time::Instant>>);

impl Progress for Steps {
    fn step(&self, what: &str, done: u64, total: u64) {
        let Ok(mut said) = self.0.lock() else { return };
        if said.is_none_or(|at| at.elapsed() > Duration::from_secs(2)) {
            *said = Some(crate::clock::monotonic());
            tracing::info!(done, total, "{what}");
        }
    }
}

/// The root token as it was configured, or the one in the data folder, made at the first start.
fn root_token(config: &Config) -> Result<String, Failure> {
    if let Some(token) = &config.root_token {
        return Ok(token.clone());
    }
    let path = config.data.join("root.token");
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(exit::file(&path, "the root token can't be read", error)),
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Failure::File(format!("no random bytes can be had: {error}")))?;
    let token = hex::encode(secret);
    let written = write_aside(&path, &format!("{token}\n"), 0o600);
    written.map_err(|error| exit::file(&path, "the root token can't be written", error))?;
    tracing::info!(path = %path.display(), "a root token was made");
    Ok(token)
}

/// Writes a file of the data folder, whole or not at all, so that it is still there after a cut of power.
fn write_aside(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let aside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// Where the service can be reached, for commands on the same machine; gone once it stops.
struct AddressFile(PathBuf);

impl AddressFile {
    fn write(data: &Path, url: &str) -> Result<Self, Failure> {
        let path = data.join("service.json");
        let text = format!("{}\n", serde_json::json!({"url": url}));
        write_aside(&path, &text, 0o644).map_err(|error| exit::file(&path, "can't be written", error))?;
        Ok(Self(path))
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        // left behind it names a service that is not there, which whoever reads it finds out
        let _gone = std::fs::remove_file(&self.0);
    }
}

/// Listens for the signals from now on: one that comes before anybody waits for it is not lost.
pub(super) fn stop_signals() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

//! `seatledger store-simulator`: a server that speaks as a real store does, to try things out against. Not here: the
//! protocols (`store::simulator`).

use super::exit::{Failure, Finished};
use super::output;
use super::outside;
use super::serve::stop_signals;
use crate::clock::Clock;
use crate::config::LogFormat;
use crate::store::simulator::apple::{AppleSimulator, Options, Timing};
use crate::store::simulator::faults::{Fault, FaultRates};
use crate::store::simulator::microsoft::{MicrosoftOptions, MicrosoftSimulator};
use crate::telemetry;
use std::net::SocketAddr;
use std::time::Duration;

const NOTICE_MAX: Duration = Duration::from_secs(10);
const EVENT_DELAY_MS: u64 = 500;

const AFTER_HELP: &str = "\
The server keeps everything in memory and forgets it at the end. Below /simulator/ are the order desk (POST orders), dumps of
every seat and of every grant ever made, and the switches: what goes wrong, and what time it is.

Microsoft's has the tenant contoso.example and the tools seatledger and intune, whose secrets are the-simulated-secret-of-
and the tool's name. An account that is linked to it is told both where the store is and where tokens are asked for: base_url and
authority_url. Apple's waits --event-delay-ms before a grant takes effect; Microsoft's grants at once.

Examples:
  seatledger store-simulator apple --listen 127.0.0.1:8091 --latency-ms 50 --fault cut-after=20
  curl http://127.0.0.1:8091/simulator/orders -H 'content-type: application/json' -d '{\"order\": \"unit\", \"uid\": \"1\"}'

With a store of its own, where secret.json is {\"client_secret\": \"the-simulated-secret-of-seatledger\"}:
  seatledger store-simulator microsoft
  seatledger serve --store-url http://127.0.0.1:8091
  seatledger stores --tenant contoso --link microsoft-store --account contoso.example --set client_id=seatledger --set base_url=http://127.0.0.1:8091 --set authority_url=http://127.0.0.1:8091 --credentials secret.json";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Which store's protocol
    store: Store,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8091")]
    listen: SocketAddr,
    /// Of ids, tokens and faults
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// What every call takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// From the call to the effect, where the store works behind the caller's back
    #[arg(long, value_name = "MS", default_value_t = EVENT_DELAY_MS)]
    event_delay_ms: u64,
    /// What goes wrong, and how often in a thousand calls; can be given several times
    #[arg(long = "fault", value_name = "FAULT=PER_MILLE", value_parser = fault)]
    faults: Vec<(Fault, u16)>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Store {
    /// App and Book Management API v2
    Apple,
    /// Store for Business, management-tool API
    Microsoft,
}

fn fault(text: &str) -> Result<(Fault, u16), String> {
    let (name, rate) = text.split_once('=').ok_or("write it as cut-after=20")?;
    let fault = serde_json::from_value(name.into()).map_err(|error| error.to_string())?;
    let rate = rate.parse().ok().filter(|rate| *rate <= 1000).ok_or_else(|| format!("{rate:?} is not 0 to 1000"))?;
    Ok((fault, rate))
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    telemetry::start_log(LogFormat::Human, "info", || None).map_err(Failure::Usage)?;
    let stop = stop_signals().map_err(|error| Failure::File(format!("signals can't be listened for: {error}")))?;
    let faults: FaultRates = args.faults.iter().copied().collect();
    let latency = Duration::from_millis(args.latency_ms);
    match args.store {
        Store::Apple => {
            // what it gives notice to is tried out beside it
            let client = outside::client(std::iter::once("http://localhost"), None, NOTICE_MAX)?;
            let timing = Timing { event_delay: Duration::from_millis(args.event_delay_ms), ..Timing::default() };
            let options = Options {
                listen: args.listen,
                seed: args.seed,
                clock: Clock::system(),
                faults,
                latency,
                timing,
                client: Some(client),
                ..Options::default()
            };
            let started = AppleSimulator::start(options).await;
            let simulator = started.map_err(|error| cant_listen(args.listen, &error))?;
            output::say_listening(&format!("http://{}", simulator.address()));
            stop.await;
        }
        Store::Microsoft => {
            let options = MicrosoftOptions { seed: args.seed, faults, ..MicrosoftOptions::new(args.listen) };
            let started = MicrosoftSimulator::start(options).await;
            let simulator = started.map_err(|error| cant_listen(args.listen, &error))?;
            simulator.switches().faults.set_latency(latency);
            output::say_listening(&simulator.url());
            stop.await;
        }
    }
    Ok(Finished::Well)
}

fn cant_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::File(format!("{address} can't be listened at: {error}"))
}

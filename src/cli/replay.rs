//! `seatledger replay`: the history folded from nothing, as figures and digest. Not here: the folding (`ledger::replay`).

use super::exit::{Failure, Finished};
use super::folder;
use super::output::{self, grouped};
use super::progress::Steps;
use crate::clock::monotonic;
use crate::domain::facts::Owned;
use crate::domain::state::{Pool, Tenant};
use crate::domain::time::Time;
use crate::ledger::replay::{ReplayError, ReplayOptions, Replayed, To, replay};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the journal only: no snapshot, no sled, no key. The digest is the one that GET /v1/tenants/TENANT/digest answers at
the same position; the root, of a whole history, is the one that signed heads of its size name (GET
/v1/tenants/TENANT/log/checkpoint has it in base64). Changes nothing; beside a running service it reads up to the last checkpoint.

Examples:
  seatledger replay --data ledger-data
  seatledger replay --data ledger-data --tenant contoso --to 4711
  seatledger replay --data ledger-data --to 2026-09-30T00:00:00Z --json")]
pub(crate) struct Args {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// One tenant only
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// The last position that counts, or an instant (RFC 3339) up to which events were recorded; without it everything
    #[arg(long, value_name = "POSITION|TIME", value_parser = parse_to)]
    to: Option<To>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    json: bool,
}

fn parse_to(text: &str) -> Result<To, String> {
    if let Ok(position) = text.parse() {
        return Ok(To::Position(position));
    }
    let time: Result<Time, String> = text.parse();
    time.map(To::Time).map_err(|_| "a position (4711) or an instant (2026-09-30T00:00:00Z) is needed".into())
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    let still = folder::hold(&args.data)?;
    if still.is_none() {
        output::note("a service is running on this folder: replayed up to its last checkpoint");
    }
    let (tenant, to) = (args.tenant.clone(), args.to.unwrap_or_default());
    let options = ReplayOptions { tenant, to, is_beside_service: still.is_none() };
    let begun = monotonic();
    let tenants = {
        let steps = Steps::default();
        replay(&args.data, &options, &steps)?
    };
    let events: u64 = tenants.iter().map(|replayed| replayed.state.next_position).sum();
    let elapsed = begun.elapsed();
    let per_second = u128::from(events) * 1_000_000 / elapsed.as_micros().max(1);
    let events_per_s = u64::try_from(per_second).unwrap_or(u64::MAX);
    if args.json {
        let tenants: Vec<Value> = tenants.iter().map(as_json).collect();
        let whole = json!({"tenants": tenants, "events": events, "elapsed_s": elapsed.as_secs_f64(), "events_per_s": events_per_s});
        output::json(&whole)?;
    } else {
        let texts: Vec<String> = tenants.iter().map(text).collect();
        output::line(&if texts.is_empty() { "no tenant yet".to_owned() } else { texts.join("\n\n") })?;
    }
    Ok(Finished::Well)
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Log(_) | ReplayError::Misfit { .. } | ReplayError::OtherTree { .. } => {
                Self::File(error.to_string())
            }
            ReplayError::NoTenant(_) | ReplayError::NotReached { .. } => Self::Refused(error.to_string()),
        }
    }
}

fn position(state: &Tenant) -> u64 {
    state.next_position.saturating_sub(1)
}

fn number_json(owned: Owned) -> Value {
    match owned {
        Owned::Count(count) => json!(count),
        Owned::Unlimited => json!("unlimited"),
    }
}

fn number(owned: Owned) -> String {
    match owned {
        Owned::Count(count) => grouped(count),
        Owned::Unlimited => "unlimited".into(),
    }
}

fn text(replayed: &Replayed) -> String {
    let state = &replayed.state;
    let row = |pool: &Pool| {
        let mut row = vec![pool.key.to_string(), number(pool.owned)];
        row.extend([pool.held(), pool.reserved, pool.in_use].map(grouped));
        row.push(number(pool.free()));
        row.extend([pool.over_by(), pool.queued.len() as u64].map(grouped));
        row
    };
    let rows = state.pools.iter().map(|pool| row(pool)).collect();
    let header = ["pool", "owned", "held", "reserved", "in use", "free", "over by", "queued"];
    format!(
        "{}: {} events, position {}, last recorded at {}\n{}\ndigest {}{}",
        state.slug,
        grouped(state.next_position),
        position(state),
        state.last_recorded_at,
        output::table(&header, rows, 1),
        hex::encode(replayed.digest),
        replayed.root.map(|root| format!("\nroot   {}", hex::encode(root))).unwrap_or_default()
    )
}

fn as_json(replayed: &Replayed) -> Value {
    let state = &replayed.state;
    let pool = |pool: &Pool| {
        json!({
            "pool": pool.id.to_string(),
            "key": pool.key.to_string(),
            "owned": number_json(pool.owned),
            "held": pool.held(),
            "reserved": pool.reserved,
            "in_use": pool.in_use,
            "releasing": pool.releasing,
            "foreign": pool.foreign,
            "free": number_json(pool.free()),
            "over_by": pool.over_by(),
            "queued": pool.queued.len(),
        })
    };
    json!({
        "tenant": state.slug,
        "position": position(state),
        "events": state.next_position,
        "last_recorded_at": state.last_recorded_at,
        "held": state.seats_held,
        "pools": state.pools.iter().map(|each| pool(each)).collect::<Vec<_>>(),
        "digest": hex::encode(replayed.digest),
        "root": replayed.root.map(hex::encode),
    })
}

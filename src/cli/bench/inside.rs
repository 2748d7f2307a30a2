//! The ledger in this very process, without HTTP: what judging, the log and its sync take by themselves. Not here: sockets.

use super::Bench;
use super::load::Run;
use super::organization::{POOLS, Pairs, TENANT};
use super::raw;
use super::report::Row;
use crate::cli::exit::Failure;
use crate::clock::{Clock, monotonic};
use crate::domain::answer::Status;
use crate::domain::command::{
    Actor, Command, Door, Intake, Inventory, InventoryItem, Observation, PoolRef, TargetRef, UserRef,
};
use crate::domain::facts::{Intent, Owned};
use crate::domain::ids::{PoolId, TenantId, UserId};
use crate::domain::key::{LicenseType, Provider};
use crate::domain::personal::UserProfile;
use crate::ledger::{Ask, Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing, Submission};
use std::path::Path;
use std::time::{Duration, Instant};

const IN_FLIGHT: usize = 1024;
const PEOPLE_A_CALL: usize = 2000;

impl Bench {
    pub(super) async fn inside(&self, folder: &Path) -> Result<Vec<Row>, Failure> {
        let (ledger, tenant) = opened(&folder.join("inside"), self.args.users).await?;
        let pairs = Pairs::new(self.args.users);
        let (mut many, mut one, mut disk) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.args.rounds {
            one.push(run(&ledger, tenant, 1, self.lasts(), &pairs).await?);
            disk.push(raw::syncs_per_second(folder)?);
            many.push(run(&ledger, tenant, IN_FLIGHT, self.lasts(), &pairs).await?);
        }
        ledger.stop().await;
        Ok(vec![
            Row::of_runs("durable assign in process, 1 in flight", &one)
                .beside(&disk, "fdatasync")
                .goal("0.95 of fdatasync"),
            Row::of_runs(&format!("durable assign in process, {IN_FLIGHT} in flight"), &many)
                .goal("1,000,000/s, no gap over 50 ms"),
        ])
    }
}

fn wrong(error: &dyn std::fmt::Display) -> Failure {
    Failure::Unreachable(format!("the ledger in this process: {error}"))
}

async fn opened(data: &Path, users: usize) -> Result<(Ledger, TenantId), Failure> {
    let options = LedgerOptions {
        log: LogOptions::new(data),
        master_key: MasterKeySource::DataFolder,
        clock: Clock::system(),
        signing: Signing::default(),
    };
    let opening = tokio::task::spawn_blocking(move || Ledger::open(options, &NoProgress)).await;
    let ledger = opening.map_err(|error| wrong(&error))?.map_err(|error| wrong(&error))?;
    let made = ledger.create_tenant(Actor::Root, Door::Http, TENANT, "Bench").await;
    let (tenant, _) = made.map_err(|error| wrong(&error))?;
    let item = |at| InventoryItem::declared(&format!("app{at}"), "App", LicenseType::Offline, Owned::Unlimited);
    let inventory = Inventory {
        provider: Provider::Declared,
        is_complete: true,
        is_dry_run: false,
        language: "en".into(),
        pages: 1,
        items: (0..POOLS).map(item).collect(),
        part: None,
    };
    let asks = Ask::Intake(Intake::Observation(Observation::Inventory(inventory)));
    ledger.submit(tenant, asked(asks)).await.map_err(|error| wrong(&error))?;
    let names: Vec<String> = (0..users).map(|user| format!("u{user}")).collect();
    for part in names.chunks(PEOPLE_A_CALL) {
        let person = |name: &String| {
            let profile =
                UserProfile { user_name: name.clone(), external_id: None, display_name: None, emails: vec![] };
            asked(Ask::PutUser { user: ledger.user_ref(tenant, name), profile })
        };
        ledger.submit_all(tenant, part.iter().map(person).collect(), false).await.map_err(|error| wrong(&error))?;
    }
    Ok((ledger, tenant))
}

fn asked(ask: Ask) -> Submission {
    Submission {
        actor: Actor::Root,
        door: Door::Http,
        command_id: None,
        content_hash: 0,
        occurred_at: None,
        reason: None,
        if_match: None,
        ask,
    }
}

/// So many callers, each with one command at a time, for so long.
async fn run(
    ledger: &Ledger,
    tenant: TenantId,
    in_flight: usize,
    lasts: Duration,
    pairs: &Pairs,
) -> Result<Run, Failure> {
    let (before, begun) = (raw::cpu(std::process::id()), monotonic());
    let callers: Vec<_> =
        (0..in_flight).map(|_| tokio::spawn(calling(ledger.clone(), tenant, begun, lasts, pairs.clone()))).collect();
    let mut ends = Vec::new();
    for caller in callers {
        ends.extend(caller.await.map_err(|error| wrong(&error))??);
    }
    let elapsed = begun.elapsed();
    let cpu = raw::cpu(std::process::id()).saturating_sub(before);
    Ok(Run::new(elapsed, ends, (cpu, Duration::ZERO)))
}

async fn calling(
    ledger: Ledger,
    tenant: TenantId,
    begun: Instant,
    lasts: Duration,
    pairs: Pairs,
) -> Result<Vec<(u32, u32)>, Failure> {
    let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    let mut ends = Vec::new();
    loop {
        let sent = begun.elapsed();
        if sent >= lasts {
            return Ok(ends);
        }
        let Some(at) = pairs.take(1) else { return Ok(ends) };
        let (pool, user) = pairs.at(at.start);
        let command = Command::Assign {
            pool: PoolRef::Id(PoolId(u32::try_from(pool).unwrap_or(0))),
            target: TargetRef::User(UserRef::Id(UserId(u32::try_from(user).unwrap_or(0)))),
            intent: Intent::Required,
            mode: None,
            licensing: None,
        };
        let outcome = ledger.submit(tenant, asked(Ask::Intake(Intake::Command(command)))).await;
        let outcome = outcome.map_err(|error| wrong(&error))?;
        if outcome.answer.status != Status::Done {
            return Err(wrong(&format!("an assignment was not taken: {:?}", outcome.answer)));
        }
        let ended = begun.elapsed();
        ends.push((micros(ended), micros(ended.saturating_sub(sent))));
    }
}

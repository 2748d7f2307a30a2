//! The process whose power goes: the ledger below HTTP on the data folder that it is told, submitting from several tasks
//! at once and saying each acknowledged command on its output; first it says what it finds of what was acknowledged
//! before. Not here: when the power goes, or whether what it says is right (`process.rs`, `cuts.rs`).

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seatledger::clock::Clock;
use seatledger::domain::command::{
    Actor, Command, Door, Intake, Inventory, InventoryItem, Observation, PoolRef, TargetRef,
};
use seatledger::domain::facts::{DepartureCause, Intent, Owned};
use seatledger::domain::ids::TenantId;
use seatledger::domain::key::{LicenseType, PoolKey, Provider};
use seatledger::domain::personal::UserProfile;
use seatledger::domain::time::Time;
use seatledger::ledger::{
    Ask, Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Outcome, Signing, Submission, SubmitError,
};

pub(crate) const SLUGS: [&str; 2] = ["acme", "globex"];
/// Tasks submit one command after the other, but for the last two, which submit batches.
const TASKS: u64 = 8;
const BATCH: u64 = 60;

/// What the process is told on its input.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) dir: String,
    /// Tells the commands of this process from those of others on the folder.
    pub(crate) boot: u64,
    /// After so many commands it stops in good order, and opens again.
    pub(crate) close_after: u64,
    /// It ends when it has stopped for the first time.
    pub(crate) is_last: bool,
    pub(crate) disk_floor_bytes: u64,
}

impl Order {
    pub(crate) fn text(&self) -> String {
        let Order { dir, boot, close_after, is_last, disk_floor_bytes } = self;
        format!("{dir}\n{boot} {close_after} {} {disk_floor_bytes}\n", u64::from(*is_last))
    }

    fn read(text: &str) -> Option<(Order, Vec<(usize, String)>)> {
        let mut lines = text.lines();
        let dir = lines.next()?.to_owned();
        let numbers: Vec<u64> = lines.next()?.split(' ').map(|n| n.parse().expect("a number")).collect();
        let [boot, close_after, is_last, disk_floor_bytes] = numbers[..] else { panic!("four numbers") };
        let known = lines.map(|line| {
            let (slug, id) = line.split_once(' ').expect("a tenant and an id");
            (SLUGS.iter().position(|known| *known == slug).expect("a tenant of ours"), id.to_owned())
        });
        Some((Order { dir, boot, close_after, is_last: is_last == 1, disk_floor_bytes }, known.collect()))
    }
}

/// Run as any other test it has no input, and nothing to do.
#[test]
fn the_process_whose_power_goes() {
    let mut input = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().read_to_string(&mut input).expect("readable");
    }
    let Some((order, known)) = Order::read(&input) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(live(order, known));
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

async fn live(order: Order, known: Vec<(usize, String)>) {
    let number = AtomicU64::new(0);
    for round in 0u64.. {
        let ledger = tokio::task::block_in_place(|| open(&order)).unwrap_or_else(|error| {
            say(&format!("refused {error}"));
            std::process::exit(3)
        });
        say(&format!("opened {:?}", ledger.open_report()));
        let found: Vec<String> = ledger.tenants().into_iter().map(|(_, slug)| slug).collect();
        say(&format!("tenants {}", found.join(" ")));
        let mut tenants = vec![];
        for slug in SLUGS {
            match ledger.create_tenant(Actor::Root, Door::Http, slug, slug).await {
                Ok((tenant, _)) => {
                    say(&format!("tenant {slug}"));
                    tenants.push(tenant);
                }
                Err(SubmitError::DiskLow) => return low(&ledger).await,
                Err(error) => fault(&format!("tenant {slug}: {error}")),
            }
        }
        if round == 0 {
            verify(&ledger, &tenants, &known).await;
        }
        digests(&ledger, &tenants);
        say(&format!("verified {}", known.len()));
        let work = (0..TASKS).map(|task| {
            let tenant = at(&tenants, task);
            run(ledger.clone(), tenant, task, &order, order.close_after.saturating_mul(round + 1), &number)
        });
        futures::future::join_all(work).await;
        digests(&ledger, &tenants);
        ledger.stop().await;
        say("closed");
        if order.is_last {
            return;
        }
    }
}

/// Not even the tenants fit.
async fn low(ledger: &Ledger) {
    say("low");
    ledger.stop().await;
    say("closed");
}

fn at(tenants: &[TenantId], task: u64) -> TenantId {
    tenants[task as usize % SLUGS.len()]
}

fn fault(what: &str) -> ! {
    say(&format!("fault {what}"));
    std::process::exit(4)
}

fn open(order: &Order) -> Result<Ledger, String> {
    let log = LogOptions {
        segment_bytes: 32 << 10,
        disk_floor_bytes: order.disk_floor_bytes,
        checkpoint_bytes: 12 << 10,
        sled_cache_bytes: 4 << 20,
        ..LogOptions::new(&order.dir)
    };
    let clock = Clock::manual(Time(1_790_000_000_000_000));
    let options = LedgerOptions { log, master_key: MasterKeySource::DataFolder, clock, signing: Signing::default() };
    Ledger::open(options, &NoProgress).map_err(|error| error.to_string())
}

/// Says again what was acknowledged, and looks at everything that must hold whatever was.
async fn verify(ledger: &Ledger, tenants: &[TenantId], known: &[(usize, String)]) {
    let mut by_tenant: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    known.iter().for_each(|(tenant, id)| by_tenant.entry(*tenant).or_default().push(id));
    for (index, ids) in by_tenant {
        for ids in ids.chunks(500) {
            let batch = ids.iter().map(|id| submission(ledger, tenants[index], id)).collect();
            let outcomes = ledger.submit_all(tenants[index], batch, false).await;
            let outcomes = outcomes.unwrap_or_else(|error| fault(&format!("asking again: {error}")));
            for (id, outcome) in ids.iter().zip(outcomes) {
                match outcome {
                    Ok(outcome) => say(&format!("again {} {} {}", SLUGS[index], id, text(&outcome, true))),
                    Err(error) => fault(&format!("asking {id} again: {error}")),
                }
            }
        }
    }
    for tenant in tenants {
        let events = tokio::task::block_in_place(|| ledger.events(*tenant, 0, usize::MAX));
        let events = events.unwrap_or_else(|error| fault(&format!("reading {tenant:?}: {error}")));
        if let Some((at, event)) = (0u64..).zip(&events).find(|(at, event)| *at != event.position) {
            fault(&format!("position {} stands where {at} belongs", event.position));
        }
        let head = ledger.head(*tenant);
        let broken = ledger.read(*tenant, |view| {
            let nameless = view.state.users.iter().find(|user| {
                let profile = view.state.names.user_profile(user.id);
                profile.is_none_or(|profile| ledger.user_profile(&profile.personal).is_none())
            });
            (view.state.broken_law().map(|law| format!("{law:?}")), nameless.map(|user| user.id))
        });
        if head != Ok(events.len() as u64 - 1) || broken != Ok((None, None)) {
            fault(&format!("{} events, head {head:?}, broken {broken:?}", events.len()));
        }
    }
}

fn digests(ledger: &Ledger, tenants: &[TenantId]) {
    for (tenant, slug) in tenants.iter().zip(SLUGS) {
        match ledger.digest(*tenant) {
            Ok((position, digest)) => say(&format!("digest {slug} {position} {}", hex::encode(digest))),
            Err(error) => fault(&format!("the digest of {slug}: {error}")),
        }
    }
}

/// What an answer says, and the word that tells a first one from a repeat.
fn text(outcome: &Outcome, is_again: bool) -> String {
    let was_first = if is_again && !outcome.is_repeat { " NOT KNOWN" } else { "" };
    format!("{} {:?}{was_first}", outcome.position, outcome.answer)
}

/// One task: commands one after the other, or batches, until all tasks together have submitted enough or the log stops.
async fn run(ledger: Ledger, tenant: TenantId, task: u64, order: &Order, until: u64, number: &AtomicU64) {
    let slug = SLUGS[task as usize % SLUGS.len()];
    let step = if task + 2 < TASKS { 1 } else { BATCH };
    // what is acknowledged is asked for again after every cut: many changes of the disk are wanted, not many commands
    let pause = Duration::from_millis(if step == 1 { 3 } else { 120 });
    // beyond every number that a task has used before in this process
    let mut first = number.load(Ordering::Relaxed).next_multiple_of(20);
    while number.fetch_add(step, Ordering::Relaxed) < until {
        let ids: Vec<String> = (first..first + step).map(|n| format!("{}.{task}.{n}", order.boot)).collect();
        first += step;
        tokio::time::sleep(pause).await;
        let batch = ids.iter().map(|id| submission(&ledger, tenant, id)).collect();
        let outcomes = match ids.as_slice() {
            [id] => vec![ledger.submit(tenant, submission(&ledger, tenant, id)).await],
            _ => ledger.submit_all(tenant, batch, false).await.unwrap_or_else(|error| vec![Err(error)]),
        };
        for (id, outcome) in ids.iter().zip(outcomes) {
            match outcome {
                Ok(outcome) => say(&format!("ack {slug} {id} {}", text(&outcome, false))),
                Err(SubmitError::Stopped) => return,
                Err(SubmitError::DiskLow) => say("low"),
                Err(error) => fault(&format!("{id}: {error}")),
            }
        }
    }
}

fn submission(ledger: &Ledger, tenant: TenantId, id: &str) -> Submission {
    Submission {
        actor: Actor::Root,
        door: Door::Http,
        command_id: Some(id.to_owned()),
        content_hash: u64::from(crc32fast::hash(id.as_bytes())),
        occurred_at: None,
        reason: None,
        if_match: None,
        ask: ask(ledger, tenant, id),
    }
}

/// The command of an id: a function of the id alone, so that it can be sent again.
fn ask(ledger: &Ledger, tenant: TenantId, id: &str) -> Ask {
    let parts: Vec<u64> = id.split('.').map(|part| part.parse().expect("a number")).collect();
    let [boot, task, n] = parts[..] else { panic!("three numbers, not {id}") };
    let name = |n: u64| format!("u{boot}-{n}");
    let assign = |name: &str| {
        Ask::Intake(Intake::Command(Command::Assign {
            pool: PoolRef::Key(PoolKey::Declared { sku: "office".into() }),
            target: TargetRef::User(ledger.user_ref(tenant, name)),
            intent: Intent::Required,
            mode: None,
            licensing: None,
        }))
    };
    if task + 2 >= TASKS || n % 5 == 0 {
        let profile = UserProfile { user_name: name(n), ..UserProfile::default() };
        return Ask::PutUser { user: ledger.user_ref(tenant, &name(n)), profile };
    }
    match n % 20 {
        3 => inventory(10 + 20 * boot),
        7 | 8 => assign("nobody"),
        13 => Ask::Intake(Intake::Observation(Observation::Depart {
            user: ledger.user_ref(tenant, &name(n - 13)),
            cause: DepartureCause::Deactivated,
            retire_devices: false,
        })),
        // granted, unchanged, or refused when the seats are gone or the other task's user is not there yet
        _ => assign(&name(n - n % 5)),
    }
}

fn inventory(owned: u64) -> Ask {
    let item = InventoryItem::declared("office", "Office", LicenseType::Offline, Owned::Count(owned));
    Ask::Intake(Intake::Observation(Observation::Inventory(Inventory {
        provider: Provider::Declared,
        is_complete: true,
        is_dry_run: false,
        language: "en-US".into(),
        part: None,
        pages: 1,
        items: vec![item],
    })))
}

//! The inner pieces of a command by themselves, each on a ledger of 1,000 people and 200 apps: `cargo bench --bench pieces`. Criterion keeps the
//! last run below the target folder and says what changed since. Not here: the pieces together, and the machine's limits (`bench`).

#![expect(clippy::expect_used, reason = "a measurement that can't be prepared ends right there")]

use criterion::{Criterion, criterion_group, criterion_main};
use seatledger::domain::command::{
    Actor, Command, Door, Envelope, Intake, Inventory, InventoryItem, Observation, PoolRef, TargetRef, UserRef,
};
use seatledger::domain::decide::decide;
use seatledger::domain::event::{Event, Recorded};
use seatledger::domain::facts::{Intent, Owned, Settings};
use seatledger::domain::ids::{PoolId, SubjectId, UserId};
use seatledger::domain::key::{LicenseType, Provider};
use seatledger::domain::personal::{Blind, Personal};
use seatledger::domain::state::{Meta, Tenant};
use seatledger::domain::time::Time;
use seatledger::log::record::{decode, encode};
use seatledger::merkle::{Hash, Peaks, leaf, node};
use seatledger::projection::View;
use std::hint::black_box;
use std::time::{Duration, Instant};

const POOLS: u32 = 200;
const USERS: u32 = 1_000;

fn envelope() -> Envelope {
    Envelope {
        recorded_at: Time(1_790_000_000_000_000),
        occurred_at: None,
        actor: Actor::Root,
        door: Door::Bulk,
        command_id: Some("0b7e2c1a-0000-4000-8000-00000000abcd".into()),
        content_hash: 7,
        reason: None,
    }
}

/// A ledger with its people and apps, and nothing assigned; as the judge has it and as readers see it.
fn organization() -> (Tenant, View) {
    let (mut state, mut view) = (Tenant::default(), View::new());
    let founded = Event::TenantCreated { slug: "bench".into(), name: "Bench".into(), settings: Settings::default() };
    state.evolve(&founded, &Meta { position: 0, recorded_at: envelope().recorded_at, actor: Actor::Root });
    view.take(&Recorded { position: 0, envelope: envelope(), event: founded });
    let declared = |at| InventoryItem::declared(&format!("app{at}"), "App", LicenseType::Offline, Owned::Unlimited);
    let inventory = Inventory {
        provider: Provider::Declared,
        is_complete: true,
        is_dry_run: false,
        language: "en".into(),
        pages: 1,
        items: (0..POOLS).map(declared).collect(),
        part: None,
    };
    let person = |user: u32| {
        let name = Blind([u8::try_from(user % 251).expect("small"); 16]);
        let profile = Personal { subject: SubjectId(user.into()), sealed: vec![7; 64], aliases: Vec::new() };
        Observation::PutUser { user: UserRef::Name(name), profile }
    };
    let _listed = judged(&mut state, &mut view, &Intake::Observation(Observation::Inventory(inventory)));
    for user in 0..USERS {
        let _known = judged(&mut state, &mut view, &Intake::Observation(person(user)));
    }
    assert_eq!(state.pools.len(), POOLS as usize);
    (state, view)
}

fn judged(state: &mut Tenant, view: &mut View, intake: &Intake) -> Vec<Recorded> {
    let first = state.next_position;
    let events = decide(state, intake, &envelope(), None).events;
    let recorded = |(position, event)| Recorded { position, envelope: envelope(), event };
    let recorded: Vec<Recorded> = (first..).zip(events).map(recorded).collect();
    recorded.iter().for_each(|one| view.take(one));
    recorded
}

/// Every pair of a person and an app once.
fn assignments() -> Vec<Intake> {
    let assign = |at: u32| {
        let (pool, user) = ((at / USERS + at) % POOLS, at % USERS);
        Intake::Command(Command::Assign {
            pool: PoolRef::Id(PoolId(pool)),
            target: TargetRef::User(UserRef::Id(UserId(user))),
            intent: Intent::Required,
            mode: None,
            licensing: None,
        })
    };
    (0..POOLS * USERS).map(assign).collect()
}

/// Times `work` over as many items as are asked for; whenever there are no more, `anew` makes what it works on, untimed.
fn through<T, W>(count: u64, items: &[T], anew: impl Fn() -> W, mut work: impl FnMut(&mut W, &T)) -> Duration {
    let (mut left, mut took) = (count, Duration::ZERO);
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(items.len());
        let mut on = anew();
        #[expect(clippy::disallowed_methods, reason = "what a benchmark is for")]
        let begun = Instant::now();
        items.iter().take(part).for_each(|item| work(&mut on, item));
        took += begun.elapsed();
        left -= part as u64;
    }
    took
}

fn pieces(criterion: &mut Criterion) {
    let (state, view) = organization();
    let commands = assignments();
    let mut events = Vec::new();
    {
        let (mut state, mut view) = (state.clone(), view.clone());
        for command in &commands {
            events.extend(judged(&mut state, &mut view, command));
        }
    }
    assert_eq!(events.len(), 2 * commands.len(), "an assignment and a seat each");
    let bytes: Vec<Vec<u8>> = events
        .iter()
        .map(|one| {
            let mut bytes = Vec::new();
            encode(&one.envelope, &one.event, &mut bytes).expect("a small record");
            bytes
        })
        .collect();
    let asked = envelope();
    criterion.bench_function("decide: a command, judged and taken into the state", |bench| {
        bench.iter_custom(|count| {
            through(
                count,
                &commands,
                || state.clone(),
                |state, command| {
                    black_box(decide(state, command, &asked, None));
                },
            )
        });
    });
    criterion.bench_function("evolve: an event, taken into a state", |bench| {
        bench.iter_custom(|count| {
            through(
                count,
                &events,
                || state.clone(),
                |state, one| {
                    let (recorded_at, actor) = (one.envelope.recorded_at, one.envelope.actor);
                    state.evolve(&one.event, &Meta { position: one.position, recorded_at, actor });
                },
            )
        });
    });
    criterion.bench_function("publish: an event, taken by what readers see", |bench| {
        bench.iter_custom(|count| through(count, &events, || view.clone(), |view, one| view.take(one)));
    });
    criterion.bench_function("encode: an event, as a record", |bench| {
        bench.iter_custom(|count| {
            through(
                count,
                &events,
                || Vec::with_capacity(128),
                |into, one| {
                    into.clear();
                    encode(&one.envelope, &one.event, into).expect("a small record");
                    black_box(&into);
                },
            )
        });
    });
    criterion.bench_function("decode: a record, as an event", |bench| {
        bench.iter_custom(|count| {
            through(
                count,
                &bytes,
                || (),
                |(), record| {
                    black_box(decode(0, record).expect("written above"));
                },
            )
        });
    });
    criterion.bench_function("hash: a record's leaf, and a node for each", |bench| {
        bench.iter_custom(|count| {
            through(count, &bytes, || leaf(b""), |last, record| *last = node(last, &leaf(record)))
        });
    });
    let groups: Vec<&[Vec<u8>]> = bytes.chunks_exact(64).collect();
    criterion.bench_function("hash: 64 records into a tree", |bench| {
        bench.iter_custom(|count| {
            let whole = |_: u32, _: u64, _: &[Hash]| {};
            through(count, &groups, Peaks::default, |tree, group| tree.extend(group.iter().map(Vec::as_slice), whole))
        });
    });
}

criterion_group!(all, pieces);
criterion_main!(all);

//! Random interleavings of our commands, other tools' deeds, orders, refunds, notifications, syncs and faults: the laws hold at
//! every position, no seat is granted twice at the store, and once the faults stop, three complete syncs bring ledger and
//! store to agreement.
//!
//! Here: a life and its judges, whichever the store is. Not here: what others do at a store (`apple`, `microsoft`).

mod apple;
mod judges;
mod microsoft;

use super::{Shop, service_for_all};
use crate::harness::{Answer, Service, asked_number, encode, is_budget_full};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use seatledger::store::simulator::faults::{Fault, FaultRates};
use seatledger::store::simulator::journal::Entry;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

const STEPS: usize = 200;
/// Of one store; both together are the 2,000 that the contract asks for.
const RUNS_CI: u64 = 1000;
const RUNS_FULL: u64 = 5000;
/// A life waits more than it works: on back-offs, on what the store asks it to wait, on events.
const LIVES_AT_ONCE: usize = 16;
/// A service is told at its start which stores it may ask, so lives come in parts. One part begins while the last lives of the one
/// before it still wait: a store that turned writes away is left alone for a minute.
const LIVES_OF_A_SERVICE: usize = 160;
const PEOPLE: [&str; 6] = ["ada", "bob", "cyd", "dee", "eve", "fay"];
const DEVICES: [&str; 3] = ["SN1", "SN2", "SN3"];
const GROUP: &str = "team";

/// A store for one life, and all who act on it besides us.
trait StoreSide: Send + Sync + Sized {
    const PROVIDER: &'static str;
    /// What differs from one life to another is drawn.
    fn open(random: &mut StdRng) -> Self;
    fn url(&self) -> String;
    /// The user's name here, of one of `PEOPLE`.
    fn user(name: &str) -> String;
    /// What a device is, whose serial number and primary user are added.
    fn device() -> Value;
    /// By which it can be assigned, in the words of an assignment; empty where the pool leaves no choice.
    fn licensing(pool: &str, is_device: bool) -> Value;
    fn link(&self, shop: &Shop);
    /// The pools' keys. All of them are listed once the store is calm.
    fn pools(&self) -> Vec<String>;
    /// Somebody else does something; answers what.
    fn deed(&self, shop: &Shop, random: &mut StdRng) -> String;
    /// From now on other things go wrong, or fewer.
    fn fault(&self, random: &mut StdRng) -> String;
    /// Nothing goes wrong any more, and what was on its way has arrived.
    fn calm(&self, shop: &Shop);
    /// Who has a seat of a pool at the store, in lower case.
    fn sitting(&self, pool: &str) -> BTreeSet<String>;
    fn journal(&self) -> Vec<Entry>;
    /// Who stands in the journal for us.
    fn our_name() -> &'static str;
    /// How often what went wrong, and what else must happen in the course of many lives.
    fn happened(&self) -> BTreeMap<String, u64>;
    /// Without which many lives prove little.
    fn must_happen() -> Vec<String>;
    /// Whether the store may do long after what it was asked once: then it may give more often than it was asked to.
    fn is_late(&self) -> bool;
}

/// Some of a store's faults, each with how many of a thousand calls it strikes; some of them seldom.
fn drawn(random: &mut StdRng, faults: &[Fault], seldom: &[Fault], share: f64) -> FaultRates {
    let mut rates = FaultRates::new();
    for fault in faults {
        let most = if seldom.contains(fault) { 15 } else { 120 };
        if random.random_bool(share) {
            rates.insert(*fault, random.random_range(0..most));
        }
    }
    rates
}

#[test]
fn whatever_happens_at_microsoft_in_whatever_order_ends_in_agreement() {
    walk::<microsoft::Side>();
}

#[test]
fn whatever_happens_at_apple_in_whatever_order_ends_in_agreement() {
    walk::<apple::Side>();
}

fn walk<S: StoreSide>() {
    let usual = if is_budget_full() { RUNS_FULL } else { RUNS_CI };
    let runs = asked_number("SEATLEDGER_STORE_RUNS").unwrap_or(usual);
    let first = asked_number("SEATLEDGER_STORE_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    eprintln!("{runs} lives at {} from seed {first} on", S::PROVIDER);
    let (lives, failed) =
        (Mutex::new(Lives::<S> { seeds: first..first + runs, next: Vec::new() }), Mutex::new(Vec::new()));
    let seen: Mutex<BTreeMap<String, u64>> = Mutex::default();
    let one_after_the_other = || {
        while let Some((seed, mut random, side, part)) = { lives.lock().next() } {
            let lived = catch_unwind(AssertUnwindSafe(|| live(&part.service, &side, &mut random)));
            part.ended.lock().push(side);
            match lived {
                Ok(recorded) => {
                    let mut seen = seen.lock();
                    recorded.into_iter().for_each(|(kind, count)| *seen.entry(kind).or_default() += count);
                }
                Err(_) => {
                    eprintln!("seed {seed}: SEATLEDGER_STORE_SEED={seed} SEATLEDGER_STORE_RUNS=1 runs it again");
                    failed.lock().push(seed);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..LIVES_AT_ONCE {
            scope.spawn(one_after_the_other);
        }
    });
    let failed = failed.into_inner();
    assert!(failed.is_empty(), "lives at {} that did not end in agreement: {failed:?}", S::PROVIDER);
    let seen = seen.into_inner();
    eprintln!("seen at {}: {seen:?}", S::PROVIDER);
    if runs >= RUNS_CI {
        judges::saw_it_all(&seen, &S::must_happen());
    }
}

/// What some lives have together.
struct Part<S> {
    service: Arc<Service>,
    /// Stores stay for as long as the service that may ask them, or another store might come to be where it asks.
    ended: Mutex<Vec<S>>,
}

/// Lives that have not begun.
struct Lives<S> {
    seeds: Range<u64>,
    next: Vec<(u64, StdRng, S, Arc<Part<S>>)>,
}

impl<S: StoreSide> Lives<S> {
    fn next(&mut self) -> Option<(u64, StdRng, S, Arc<Part<S>>)> {
        if self.next.is_empty() {
            self.begin_part();
        }
        self.next.pop()
    }

    fn begin_part(&mut self) {
        let made = self.seeds.by_ref().take(LIVES_OF_A_SERVICE).map(|seed| {
            let mut random = StdRng::seed_from_u64(seed);
            let side = S::open(&mut random);
            (seed, random, side)
        });
        let made: Vec<(u64, StdRng, S)> = made.collect();
        if !made.is_empty() {
            let urls: Vec<String> = made.iter().map(|(_, _, side)| side.url()).collect();
            let part = Arc::new(Part { service: Arc::new(service_for_all(&urls)), ended: Mutex::default() });
            self.next.extend(made.into_iter().map(|(seed, random, side)| (seed, random, side, Arc::clone(&part))));
        }
    }
}

fn live<S: StoreSide>(service: &Arc<Service>, side: &S, random: &mut StdRng) -> BTreeMap<String, u64> {
    let mut life = Life { side, shop: Shop::new(service, S::PROVIDER), assignments: vec![], trail: vec![] };
    life.begin(random);
    for _ in 0..STEPS {
        life.step(random);
        std::thread::sleep(Duration::from_micros(random.random_range(0..2500)));
    }
    let recorded = life.agree();
    if asked_number("SEATLEDGER_STORE_TRAIL").is_some() {
        eprintln!("--- {}, what was done\n{}", life.shop.tenant.name, life.trail.join("\n"));
    }
    recorded
}

struct Life<'s, S> {
    side: &'s S,
    shop: Shop,
    assignments: Vec<String>,
    /// What was done, for who has to find out why it went wrong.
    trail: Vec<String>,
}

impl<S> Drop for Life<'_, S> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}, what was done\n{}", self.shop.tenant.name, self.trail.join("\n"));
        }
    }
}

impl<S: StoreSide> Life<'_, S> {
    fn begin(&mut self, random: &mut StdRng) {
        for name in PEOPLE {
            let user = S::user(name);
            self.shop.tenant.put(&format!("/users/{}", encode(&user)), json!({"user_name": user})).ok();
        }
        for (serial, name) in DEVICES.iter().zip(PEOPLE) {
            self.puts_device(serial, name);
        }
        self.side.link(&self.shop);
        self.shop.synced();
        for pool in self.side.pools() {
            let deficit = if random.random_bool(0.3) { "reclaim" } else { "plan" };
            let on_uninstall = if random.random_bool(0.5) { "release" } else { "keep" };
            let policy = json!({"deficit": deficit, "on_uninstall": on_uninstall});
            self.told("policy", self.shop.tenant.patch(&format!("/pools/{}/policy", encode(&pool)), policy));
        }
    }

    /// Whatever the ledger says, it has understood the question.
    fn told(&mut self, what: &str, answer: Answer) -> Value {
        self.trail.push(format!("{what}: {} {}", answer.status, answer.body["type"].as_str().unwrap_or_default()));
        assert!(answer.status < 500 || answer.status == 503, "{what}: {} {}", answer.status, answer.text);
        answer.body
    }

    fn posts(&mut self, path: &str, body: Value) -> Value {
        let (what, answer) = (format!("POST {path} {body}"), self.shop.tenant.post(path, body));
        self.told(&what, answer)
    }

    fn puts(&mut self, path: &str, body: Value) {
        let (what, answer) = (format!("PUT {path} {body}"), self.shop.tenant.put(path, body));
        self.told(&what, answer);
    }

    fn puts_device(&mut self, serial: &str, name: &str) {
        let mut body = S::device();
        body["serial"] = json!(serial);
        body["primary_user"] = json!(S::user(name));
        self.puts(&format!("/devices/{serial}"), body);
    }

    fn step(&mut self, random: &mut StdRng) {
        let pools = self.side.pools();
        let pool = pools.choose(random).expect("a pool");
        let (name, serial) = (*PEOPLE.choose(random).expect("somebody"), *DEVICES.choose(random).expect("a device"));
        let user = S::user(name);
        let holder = if random.random_bool(0.75) { format!("user:{user}") } else { format!("device:{serial}") };
        let seat = |what: &str| format!("/pools/{}/seats/{}/{what}", encode(pool), encode(&holder));
        match random.random_range(0..100) {
            0..=21 => self.assigns(pool, &user, serial, random),
            22..=29 => {
                if let Some(assignment) = self.assignments.choose(random).cloned() {
                    let answer = self.shop.tenant.delete(&format!("/assignments/{assignment}"));
                    self.told(&format!("DELETE {assignment}"), answer);
                }
            }
            30..=33 => drop(self.posts(&seat("reclaim"), json!({}))),
            34..=37 => drop(self.posts(&seat("grant"), json!({}))),
            38..=40 => drop(self.posts(&seat("adopt"), json!({}))),
            41..=42 => {
                let body = json!({"cause": "deactivated", "retire_devices": random.random_bool(0.2)});
                self.posts(&format!("/users/{}/departure", encode(&user)), body);
            }
            43..=47 => drop(self.posts(&format!("/users/{}/return", encode(&user)), json!({}))),
            48..=53 => {
                let mut body = json!({"pool": pool, "device": serial, "report": random.random_bool(0.3)});
                if random.random_bool(0.8) {
                    body["user"] = json!(user);
                } else {
                    body["all_users"] = json!(true);
                }
                self.posts(if random.random_bool(0.6) { "/installs" } else { "/uninstalls" }, body);
            }
            54 => drop(self.posts(&format!("/devices/{serial}/retirement"), json!({}))),
            55..=57 => self.puts_device(serial, name),
            58..=60 => {
                let people =
                    PEOPLE.iter().filter(|_| random.random_bool(0.4)).map(|name| format!("user:{}", S::user(name)));
                let mut members: Vec<String> = people.collect();
                members.extend(
                    DEVICES.iter().filter(|_| random.random_bool(0.4)).map(|serial| format!("device:{serial}")),
                );
                self.puts(&format!("/groups/{GROUP}"), json!({"kind": "mixed", "members": members}));
            }
            61..=62 => drop(self.posts(&format!("/pools/{}/deficit/resolve", encode(pool)), json!({}))),
            63..=69 => {
                let body = json!({"provider": S::PROVIDER, "full": random.random_bool(0.8)});
                self.posts("/syncs", body);
            }
            70..=74 => {
                let fault = self.side.fault(random);
                self.trail.push(fault);
            }
            _ => {
                let deed = self.side.deed(&self.shop, random);
                self.trail.push(deed);
            }
        }
    }

    fn assigns(&mut self, pool: &str, user: &str, serial: &str, random: &mut StdRng) {
        let (target, is_device) = match random.random_range(0..10) {
            0..=6 => (json!({"user": user}), false),
            7..=8 => (json!({"device": serial}), true),
            _ => (json!({"group": GROUP}), random.random_bool(0.5)),
        };
        let intent = *["required", "required", "required", "available", "uninstall"].choose(random).expect("an intent");
        let mut body = json!({"pool": pool, "target": target, "intent": intent});
        if let (Some(body), Value::Object(licensing)) = (body.as_object_mut(), S::licensing(pool, is_device)) {
            body.extend(licensing);
        }
        if intent == "required" && random.random_bool(0.5) {
            body["mode"] = json!("fill");
        }
        let made = self.posts("/assignments", body);
        self.assignments.extend(made["assignment"].as_str().map(str::to_owned));
    }

    /// Answers how often what was recorded and what happened in this life.
    fn agree(&mut self) -> BTreeMap<String, u64> {
        self.side.calm(&self.shop);
        self.trail.push("--- calm".to_owned());
        // one that was begun among the faults may still be under way, and end as it likes
        self.shop.at_rest();
        for _ in 0..3 {
            let sync = self.shop.synced();
            self.trail.push(sync.to_string());
            self.shop.settled();
        }
        for pool in self.side.pools() {
            judges::agree_on(&self.shop, &pool, &self.side.sitting(&pool));
        }
        let mut seen = judges::kept_the_laws(&self.shop, self.side.journal(), S::our_name(), self.side.is_late());
        seen.extend(self.side.happened());
        seen
    }
}

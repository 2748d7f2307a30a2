//! Random histories of two tenants through the real service, honest steps and hostile ones, with restarts in the middle.
//! After each step the laws hold in every pool, and two pools of each tenant are exactly what the model says: one tenant
//! has wild pools beside them, the other a brake that bites. At the end the service's memory, a snapshot with its tail,
//! and a replay of the journal are the same to the bit.

use crate::harness::{Said, Service, Tenant, call_of, is_budget_full, replay, verify};
use crate::history::History;
use crate::model::{Act, Holder, Install, Intent, Model, Target};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const USERS: u32 = 7;
const DEVICES: u32 = 3;
const GROUPS: u32 = 3;
/// The first of a tenant's pools are the model's; the others take what it does not know.
const POOLS: u32 = 2;
const STEPS: usize = 300;
const OWNED: u64 = 4;
/// Of the kinds of steps, the first of those that are wild.
const WILD: u32 = 90;
const KINDS: u32 = 126;

/// One step, in numbers that shrink; what they mean is said in [`Machine::step`].
#[derive(Debug, Clone)]
struct Step {
    tenant: bool,
    kind: u32,
    pool: u32,
    user: u32,
    other: u32,
    flag: bool,
    members: Vec<u32>,
}

fn step() -> impl Strategy<Value = Step> {
    let members = prop::collection::vec(0..USERS + DEVICES, 0..6);
    (any::<bool>(), 0..KINDS, 0..POOLS, 0..USERS, 0..1000_u32, any::<bool>(), members).prop_map(
        |(tenant, kind, pool, user, other, flag, members)| Step { tenant, kind, pool, user, other, flag, members },
    )
}

/// A tenant, what was recorded of it, what the model says, and what was said to it.
struct Side {
    t: Tenant,
    /// It has pools that the model does not know, and no brake, which would count their seats.
    is_wild: bool,
    history: History,
    model: Model,
    /// By pool and target: the living assignment's id.
    assignments: BTreeMap<(usize, Target), String>,
    /// Those whom a return may have offered seats: what a grant says to them is not predicted.
    returned: BTreeSet<Holder>,
    said: Vec<(Value, u16, Said)>,
}

struct Machine {
    service: Service,
    sides: [Side; 2],
    ids: u64,
}

fn name(user: u32) -> String {
    format!("u{user}@example.org")
}

fn sku(pool: usize) -> String {
    format!("declared:app-{pool}")
}

/// A holder as commands write it.
fn called(holder: Holder) -> String {
    match holder {
        Holder::User(user) => format!("user:{}", name(user)),
        Holder::Device(device) => format!("device:d{device}"),
    }
}

/// A holder by the ledger's own id.
fn id_of(holder: Holder) -> String {
    match holder {
        Holder::User(user) => format!("user:user_{user}"),
        Holder::Device(device) => format!("device:device_{device}"),
    }
}

/// Mostly one of those that are there; now and then, and where there is none, another.
fn mostly<'a, T: Copy + 'a>(there: impl Iterator<Item = &'a T>, other: u32, another: T) -> T {
    let there: Vec<T> = there.copied().collect();
    let place = (other as usize / 5).checked_rem(there.len());
    place.filter(|_| !other.is_multiple_of(5)).map_or(another, |place| there[place])
}

/// A command about an install.
fn about((device, user): Install, kind: &str, pool: usize) -> Value {
    let mut command = json!({"type": kind, "pool": sku(pool), "device": format!("d{device}")});
    match user {
        Some(user) => command["user"] = name(user).into(),
        None => command["all_users"] = true.into(),
    }
    command
}

impl Side {
    fn new(service: &Service, is_wild: bool) -> Self {
        let t = service.tenant();
        let brake = if is_wild { (100, 1_000_000) } else { (20, 2) };
        t.patch("/settings", json!({"brake": {"share": brake.0, "at_least": brake.1}})).ok();
        let pools = if is_wild { 2 * POOLS } else { POOLS };
        let items: Vec<Value> = (0..pools).map(|n| json!({"sku": format!("app-{n}"), "owned": OWNED})).collect();
        t.inventory(true, &items).ok();
        (0..USERS).for_each(|n| drop(t.user(&format!("u{n}"))));
        (0..DEVICES).for_each(|n| drop(t.device(&format!("d{n}"))));
        (0..GROUPS).for_each(|n| drop(t.group(&format!("g{n}"), "mixed", &[])));
        let model = Model::new(POOLS as usize, OWNED, GROUPS as usize, brake);
        let (history, assignments, returned) = (History::default(), BTreeMap::new(), BTreeSet::new());
        Self { t, is_wild, history, model, assignments, returned, said: Vec::new() }
    }

    /// An act of the model as a command.
    fn command(&self, act: &Act) -> Value {
        match act {
            Act::Assign(pool, target, intent) => {
                let target = match target {
                    Target::One(Holder::User(user)) => json!({"user": name(*user)}),
                    Target::One(Holder::Device(device)) => json!({"device": format!("d{device}")}),
                    Target::Group(group) => json!({"group": format!("g{group}")}),
                };
                let (intent, mode) = match intent {
                    Intent::Required { is_fill: true } => ("required", json!("fill")),
                    Intent::Required { is_fill: false } => ("required", json!("all_or_nothing")),
                    Intent::Available => ("available", Value::Null),
                    Intent::Uninstall => ("uninstall", Value::Null),
                };
                json!({"type": "assign", "pool": sku(*pool), "target": target, "intent": intent, "mode": mode})
            }
            Act::Unassign(pool, target) => {
                let id = self.assignments.get(&(*pool, *target)).map_or("assignment_9999", String::as_str);
                json!({"type": "unassign", "assignment": id})
            }
            Act::Install { pool, install, is_report } => {
                let mut command = about(*install, "install", *pool);
                command["report"] = (*is_report).into();
                command
            }
            Act::Uninstall(pool, install) => about(*install, "uninstall", *pool),
            Act::Leave(Holder::User(user)) => json!({"type": "depart", "user": name(*user), "cause": "deactivated"}),
            Act::Leave(Holder::Device(device)) => json!({"type": "retire_device", "device": format!("d{device}")}),
            Act::Return(Holder::User(user)) => json!({"type": "return", "user": name(*user)}),
            Act::Return(Holder::Device(device)) => json!({"type": "put_device", "device": format!("d{device}"),
                "serial": format!("d{device}"), "platform": "windows", "join": "entra", "enrolled": true,
                "os_build": 19_045}),
            Act::Members(group, members) => json!({"type": "put_group", "group": format!("g{group}"), "kind": "mixed",
                "members": members.iter().copied().map(called).collect::<Vec<_>>()}),
            Act::Owns(pool, owned) => inventory(*pool, json!(owned), "restricted"),
            Act::KeepOnUninstall(pool, is_kept) => json!({"type": "set_policy", "pool": sku(*pool),
                "on_uninstall": if *is_kept { "keep" } else { "release" }}),
            Act::Reclaim(pool, holder) => json!({"type": "reclaim", "pool": sku(*pool), "holder": called(*holder)}),
            Act::Grant(pool, holder) => json!({"type": "grant", "pool": sku(*pool), "holder": called(*holder)}),
            Act::ResolveDeficit(pool) => json!({"type": "resolve_deficit", "pool": sku(*pool)}),
            Act::GraceDays(days) => json!({"type": "change_settings", "departure_grace_days": days}),
            Act::Confirm => {
                let waiting = self.t.list("/directory/held");
                let id = waiting.first().map_or("held_9999", |held| held["id"].as_str().expect("an id"));
                json!({"type": "confirm_held", "held": id})
            }
        }
    }

    fn send(&mut self, mut command: Value, id: u64) -> Said {
        command["id"] = format!("step-{id}").into();
        let answer = call_of(&self.t, &command).send();
        let said = Said::of(&answer).expect("judged");
        self.said.push((command, answer.status, said.clone()));
        said
    }

    fn act(&mut self, act: &Act, id: u64) {
        let said = self.send(self.command(act), id);
        self.model.take(act);
        match (act, said.status.as_str()) {
            (Act::Assign(pool, target, _), "done") => {
                let assignment = said.body["assignment"].as_str().expect("an assignment").to_owned();
                self.assignments.insert((*pool, *target), assignment);
            }
            (Act::Return(holder), "done") => drop(self.returned.insert(*holder)),
            _ => {}
        }
    }

    /// The laws in every pool, and the model's pools as it says.
    fn check(&mut self, is_thorough: bool) {
        self.history.read_on(&self.t);
        for (place, model) in self.model.pools.iter().enumerate() {
            let told = &self.history.pools[&format!("pool_{place}")];
            let seats: BTreeMap<_, bool> = model.seats.iter().map(|(holder, seat)| (id_of(*holder), seat.0)).collect();
            let queue: Vec<String> = model.queue.iter().copied().map(id_of).collect();
            let waiting = queue.iter().cloned().collect();
            assert_eq!((&told.seats, &told.queue, told.owned), (&seats, &waiting, Some(model.owned)), "pool {place}");
            if is_thorough {
                let waiting = self.t.list(&format!("/pools/pool_{place}/queue"));
                let waiting: Vec<&str> = waiting.iter().filter_map(|one| one["holder"].as_str()).collect();
                assert_eq!(waiting, queue, "the queue's order");
                let installs = self.t.list(&format!("/pools/pool_{place}/installs"));
                let installs: Vec<_> =
                    installs.iter().map(|one| json!([one["device"], one["user"], one["seat"]])).collect();
                let expected = model.installs.iter().map(|((device, user), seat)| {
                    json!([format!("device_{device}"), user.map(|user| format!("user_{user}")), seat.map(id_of)])
                });
                assert_eq!(installs, expected.collect::<Vec<_>>(), "who licenses what");
            }
        }
        if is_thorough {
            let held = self.t.list("/directory/held");
            let held: Vec<_> = held.iter().map(|one| one["seats_count"].clone()).collect();
            assert_eq!(json!(held), json!(self.model.waiting()), "what the brake holds");
            self.history.equals_the_figures_of(&self.t);
        }
    }
}

fn inventory(pool: usize, owned: Value, policy: &str) -> Value {
    let sku = format!("app-{pool}");
    json!({"type": "inventory", "complete": false, "items": [{"sku": sku, "name": sku, "license_type": "online",
        "owned": owned, "distribution_policy": policy, "publisher": "Contoso",
        "price": {"currency": "EUR", "minor_units": 1000}}]})
}

impl Machine {
    fn new() -> Self {
        let service = Service::start();
        let sides = [Side::new(&service, true), Side::new(&service, false)];
        let mut machine = Self { service, sides, ids: 0 };
        machine.advance(0);
        for side in &mut machine.sides {
            let all: Vec<Holder> = (0..USERS).map(Holder::User).chain((0..DEVICES).map(Holder::Device)).collect();
            let groups = all.chunks(4).enumerate().map(|(group, members)| Act::Members(group, members.to_vec()));
            let settings = [Act::GraceDays(if side.is_wild { 2 } else { 0 }), Act::KeepOnUninstall(1, true)];
            for act in groups.chain(settings) {
                machine.ids += 1;
                side.act(&act, machine.ids);
            }
        }
        machine
    }

    fn advance(&mut self, seconds: u64) {
        let shown = self.service.root().post("/v1/clock", json!({"advance_seconds": seconds})).body;
        let now: jiff::Timestamp = shown["now"].as_str().and_then(|now| now.parse().ok()).expect("a time");
        let now = u64::try_from(now.as_microsecond()).expect("after 1970");
        self.sides.iter_mut().for_each(|side| side.model.is_now(now));
    }

    fn step(&mut self, step: &Step) {
        self.ids += 1;
        let (id, other) = (self.ids, step.other);
        let theirs = self.sides[usize::from(!step.tenant)].assignments.values().next().cloned();
        let side = &mut self.sides[usize::from(step.tenant)];
        let (pool, device) = (step.pool as usize, other % DEVICES);
        let (user, group) = (Holder::User(step.user), (other % GROUPS) as usize);
        let holder = if other % 3 == 0 { Holder::Device(device) } else { user };
        let target = if step.flag { Target::Group(group) } else { Target::One(holder) };
        let install = (device, (other % 5 > 0).then_some(step.user));
        let members = || {
            let mut members: Vec<Holder> = vec![];
            for member in &step.members {
                let member = member.checked_sub(USERS).map_or(Holder::User(*member), Holder::Device);
                if !members.contains(&member) {
                    members.push(member);
                }
            }
            members
        };
        let known = &side.model.pools[pool];
        let act = match step.kind {
            0..19 => Act::Assign(pool, target, Intent::Required { is_fill: other % 3 > 0 }),
            19..22 => Act::Assign(pool, target, Intent::Available),
            22..24 => Act::Assign(pool, target, Intent::Uninstall),
            24..28 => {
                let (pool, target) = mostly(side.assignments.keys(), other, (pool, target));
                Act::Unassign(pool, target)
            }
            28..42 => Act::Install { pool, install, is_report: step.flag },
            42..50 => Act::Uninstall(pool, mostly(known.installs.keys(), other, install)),
            50..56 => Act::Leave(holder),
            56..61 => Act::Return(mostly(side.model.gone.iter(), other, holder)),
            61..69 => Act::Members(group, members()),
            69..75 => Act::Owns(pool, u64::from(2 + other % 7)),
            75..77 => Act::KeepOnUninstall(pool, step.flag),
            77..80 => Act::Reclaim(pool, mostly(known.seats.keys(), other, holder)),
            80..83 if !side.returned.contains(&holder) => Act::Grant(pool, holder),
            83..87 => {
                self.ids += 1;
                side.act(&Act::Owns(pool, u64::from(other % 3)), self.ids);
                Act::ResolveDeficit(pool)
            }
            87..89 => Act::GraceDays(u64::from(other % 3)),
            89..90 => Act::Confirm,
            WILD..108 if side.is_wild => {
                side.send(wild(step), id);
                return side.check(id % 8 == 0);
            }
            // the other side has what the brake is about instead
            WILD..97 => Act::Members(group, members()),
            97..102 => Act::Leave(user),
            102..105 => Act::Return(mostly(side.model.gone.iter(), other, user)),
            105..108 => Act::Confirm,
            108..112 => return hostile(side, step, theirs),
            112..117 => return again(side, other),
            117..122 => {
                let seconds = [600, 2400, 90_000, u64::from(other) * 1000][other as usize % 4];
                self.advance(seconds);
                return self.sides.iter_mut().for_each(|side| side.check(true));
            }
            122..124 => return self.restart(step.flag),
            _ => return side.check(true),
        };
        side.act(&act, id);
        side.check(id % 8 == 0);
    }

    fn restart(&mut self, is_killed: bool) {
        let before = self.digests();
        if is_killed {
            self.service.kill()
        } else {
            self.service.stop()
        }
        self.service.start_again();
        assert_eq!(self.digests(), before, "memory, and a snapshot with its tail");
        // a manual clock goes on from the newest record
        self.advance(0);
        self.sides.iter_mut().for_each(|side| side.check(true));
    }

    fn digests(&self) -> [Value; 2] {
        self.sides.each_ref().map(|side| {
            let shown = side.t.get("/digest").ok();
            json!([shown["position"], shown["digest"]])
        })
    }

    fn end(mut self) {
        self.restart(true);
        let shown = self.digests();
        self.service.stop();
        let replayed = replay(&self.service.data());
        let replayed = self.sides.each_ref().map(|side| json!(replayed[&side.t.name]));
        assert_eq!(replayed, shown, "a replay and memory");
        let (is_whole, words) = verify(&self.service.data());
        assert!(is_whole, "{words}");
    }
}

/// What the model does not know, in pools of its own: exclusions, open and unlimited pools, policies that take back by
/// themselves, timers, refunds.
fn wild(step: &Step) -> Value {
    let (pool, device, user) = (sku(2 + step.pool as usize), format!("d{}", step.other % DEVICES), name(step.user));
    let word = |words: [&str; 2]| words[usize::from(step.flag)].to_owned();
    match step.kind - WILD {
        0 | 1 => json!({"type": "assign", "pool": pool, "target": {"device": device}, "intent": "required"}),
        2 | 3 => json!({"type": "assign", "pool": pool, "target": {"user": user}, "intent": "required"}),
        4 => json!({"type": "assign", "pool": pool, "target": {"group": "g0", "exclude": "g1"}, "intent": "required",
            "mode": "fill"}),
        5 => json!({"type": "install", "pool": pool, "device": device, "all_users": true, "report": step.flag}),
        6 => json!({"type": "install", "pool": pool, "device": device, "user": user, "report": step.flag}),
        7 => json!({"type": "uninstall", "pool": pool, "device": device, "user": user}),
        8 => json!({"type": "set_policy", "pool": pool, "deficit": word(["plan", "reclaim"])}),
        9 => json!({"type": "set_policy", "pool": pool, "untargeted": word(["keep", "release"])}),
        10 => json!({"type": "set_policy", "pool": pool, "reservation_timeout_days": 1 + step.other % 9}),
        11 => inventory(2 + step.pool as usize, json!("unlimited"), "restricted"),
        12 => inventory(2 + step.pool as usize, json!(step.other % 5), &word(["restricted", "open"])),
        13 | 14 => inventory(2 + step.pool as usize, json!(1 + step.other % 5), "restricted"),
        15 => json!({"type": "refund", "pool": pool, "order": format!("order-{}", step.other), "quantity": 1,
            "ordered_on": "2020-01-01", "amount": {"currency": "EUR", "minor_units": 1000}}),
        16 => json!({"type": "grant", "pool": pool, "holder": format!("device:{device}")}),
        _ => json!({"type": "reclaim", "pool": pool, "holder": format!("user:{user}")}),
    }
}

/// Asks for what must not be had: nothing is recorded.
fn hostile(side: &mut Side, step: &Step, theirs: Option<String>) {
    let head = side.t.head();
    let body = json!({"pool": sku(0), "target": {"user": name(step.user)}, "intent": "required"});
    let with = |field: &str, value: Value| {
        let mut body = body.clone();
        body[field] = value;
        side.t.post("/assignments", body).status
    };
    let status = match step.other % 6 {
        0 => with("seats", json!(1)),
        1 => with("pool", json!("declared:another's")),
        2 => with("target", json!({"user": "nobody@example.org"})),
        3 => with("intent", json!(-1)),
        4 => match side.said.first() {
            Some((command, _, _)) => {
                let id = command["id"].as_str().expect("an id");
                side.t
                    .call(reqwest::Method::POST, "/assignments")
                    .json(&body)
                    .header("idempotency-key", id)
                    .send()
                    .status
            }
            None => 422,
        },
        // an id of the other tenant means nothing here, or something of our own: then it is not asked for
        _ => match theirs {
            Some(id) if !side.is_wild && side.assignments.is_empty() => {
                side.t.delete(&format!("/assignments/{id}")).status
            }
            _ => 404,
        },
    };
    assert!((400..500).contains(&status), "{step:?}: {status}");
    assert_eq!(side.t.head(), head, "{step:?}");
}

/// Law 6: an earlier command, sent once more, gets its first answer, and leaves nothing.
fn again(side: &mut Side, other: u32) {
    let Some(place) = (other as usize).checked_rem(side.said.len()) else { return };
    let (command, status, said) = &side.said[place];
    let head = side.t.head();
    let answer = call_of(&side.t, command).send();
    assert_eq!((answer.status, Said::of(&answer).as_ref()), (*status, Some(said)), "{command}");
    assert_eq!(side.t.head(), head, "{command}");
}

/// A history takes 1.8 s in a debug build on two cores: this is 6 s in the ci budget and 90 s in the full one, whose
/// 200 histories are four tests because a test's limit is a quarter of an hour (`ops/lint/nextest.toml`).
fn random_histories() {
    let config = ProptestConfig {
        cases: if is_budget_full() { 50 } else { 3 },
        max_shrink_iters: 100,
        max_shrink_time: 60_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        source_file: Some(file!()),
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(step(), STEPS..STEPS + 20), |steps| {
        let mut machine = Machine::new();
        steps.iter().for_each(|step| machine.step(step));
        machine.end();
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn random_histories_keep_the_laws_first_quarter() {
    random_histories();
}

#[test]
fn random_histories_keep_the_laws_second_quarter() {
    random_histories();
}

#[test]
fn random_histories_keep_the_laws_third_quarter() {
    random_histories();
}

#[test]
fn random_histories_keep_the_laws_fourth_quarter() {
    random_histories();
}

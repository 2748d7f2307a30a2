//! Random histories of two tenants through the real service, honest steps and hostile ones, with restarts in the middle.
//! After each step the laws hold in every pool, and two pools of each tenant are exactly what the model says; at the end
//! the service's memory, a snapshot with its tail, and a replay of the journal are the same to the bit.

use crate::harness::{Said, Service, Tenant, call_of, is_budget_full, replay, verify};
use crate::history::History;
use crate::model::{Act, Intent, Model, Pool, Target};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const USERS: u32 = 10;
const DEVICES: u32 = 4;
const GROUPS: u32 = 3;
/// The first of a tenant's pools are the model's; the others take what it does not know.
const POOLS: u32 = 2;
const STEPS: usize = 200;

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
    let members = prop::collection::vec(0..USERS, 0..6);
    (any::<bool>(), 0..120_u32, 0..POOLS, 0..USERS, 0..1000_u32, any::<bool>(), members).prop_map(
        |(tenant, kind, pool, user, other, flag, members)| Step { tenant, kind, pool, user, other, flag, members },
    )
}

/// A tenant, what was recorded of it, what the model says, and what was said to it.
struct Side {
    t: Tenant,
    history: History,
    model: Model,
    /// By pool and target: the living assignment's id.
    assignments: BTreeMap<(usize, Target), String>,
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

impl Side {
    fn new(service: &Service) -> Self {
        let t = service.tenant();
        t.patch("/settings", json!({"brake": {"share": 100, "at_least": 1_000_000}})).ok();
        let items: Vec<Value> = (0..4).map(|n| json!({"sku": format!("app-{n}"), "owned": 3})).collect();
        t.inventory(true, &items).ok();
        (0..USERS).for_each(|n| drop(t.user(&format!("u{n}"))));
        (0..DEVICES).for_each(|n| drop(t.device(&format!("d{n}"))));
        (0..GROUPS).for_each(|n| drop(t.group(&format!("g{n}"), "users", &[])));
        let model =
            Model { pools: vec![Pool::owning(3); 2], groups: vec![vec![]; GROUPS as usize], ..Model::default() };
        Self { t, history: History::default(), model, assignments: BTreeMap::new(), said: Vec::new() }
    }

    /// An act of the model as a command.
    fn command(&self, act: &Act) -> Value {
        let of_target = |target: &Target| match target {
            Target::User(user) => json!({"user": name(*user)}),
            Target::Group(group) => json!({"group": format!("g{group}")}),
        };
        match act {
            Act::Assign(pool, target, intent) => {
                let (intent, mode) = match intent {
                    Intent::Required { is_fill: true } => ("required", json!("fill")),
                    Intent::Required { is_fill: false } => ("required", json!("all_or_nothing")),
                    Intent::Available => ("available", Value::Null),
                    Intent::Uninstall => ("uninstall", Value::Null),
                };
                json!({"type": "assign", "pool": sku(*pool), "target": of_target(target), "intent": intent, "mode": mode})
            }
            Act::Unassign(pool, target) => {
                let id = self.assignments.get(&(*pool, *target)).map_or("assignment_9999", String::as_str);
                json!({"type": "unassign", "assignment": id})
            }
            Act::Install { pool, device, user, is_report } => json!({"type": "install", "pool": sku(*pool),
                "device": format!("d{device}"), "user": name(*user), "report": is_report}),
            Act::Uninstall { pool, device, user } => json!({"type": "uninstall", "pool": sku(*pool),
                "device": format!("d{device}"), "user": name(*user)}),
            Act::Depart(user) => json!({"type": "depart", "user": name(*user), "cause": "deactivated"}),
            Act::Return(user) => json!({"type": "return", "user": name(*user)}),
            Act::Members(group, members) => json!({"type": "put_group", "group": format!("g{group}"), "kind": "users",
                "members": members.iter().map(|user| name(*user)).collect::<Vec<_>>()}),
            Act::Retire(device) => json!({"type": "retire_device", "device": format!("d{device}")}),
            Act::Enroll(device) => json!({"type": "put_device", "device": format!("d{device}"),
                "serial": format!("d{device}"), "platform": "windows", "join": "entra", "enrolled": true,
                "os_build": 19_045}),
            Act::Owns(pool, owned) => inventory(*pool, json!(owned), "restricted"),
            Act::KeepOnUninstall(pool, is_kept) => json!({"type": "set_policy", "pool": sku(*pool),
                "on_uninstall": if *is_kept { "keep" } else { "release" }}),
            Act::Reclaim(pool, user) => json!({"type": "reclaim", "pool": sku(*pool),
                "holder": format!("user:{}", name(*user))}),
            Act::Grant(pool, user) => json!({"type": "grant", "pool": sku(*pool),
                "holder": format!("user:{}", name(*user))}),
            Act::ResolveDeficit(pool) => json!({"type": "resolve_deficit", "pool": sku(*pool)}),
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
        if let (Act::Assign(pool, target, _), "done") = (act, said.status.as_str()) {
            let assignment = said.body["assignment"].as_str().expect("an assignment").to_owned();
            self.assignments.insert((*pool, *target), assignment);
        }
    }

    /// The laws in every pool, and the model's pools as it says.
    fn check(&mut self, is_thorough: bool) {
        self.history.read_on(&self.t);
        for (place, model) in self.model.pools.iter().enumerate() {
            let told = &self.history.pools[&format!("pool_{place}")];
            let holder = |user: &u32| format!("user:user_{user}");
            let seats: BTreeMap<String, bool> = model.seats.iter().map(|(user, seat)| (holder(user), seat.0)).collect();
            let queue = model.queue.iter().map(holder).collect();
            assert_eq!((&told.seats, &told.queue, told.owned), (&seats, &queue, Some(model.owned)), "pool {place}");
            if is_thorough {
                let waiting = self.t.list(&format!("/pools/pool_{place}/queue"));
                let waiting: Vec<&str> = waiting.iter().filter_map(|one| one["holder"].as_str()).collect();
                assert_eq!(waiting, model.queue.iter().map(holder).collect::<Vec<_>>(), "the queue's order");
                let installs = self.t.list(&format!("/pools/pool_{place}/installs"));
                let text = |value: &Value| value.as_str().expect("an id").to_owned();
                let installs: BTreeMap<_, bool> = installs
                    .iter()
                    .map(|one| ((text(&one["device"]), text(&one["user"])), one["licensed"] == true))
                    .collect();
                let named = |(device, user): &(u32, u32)| (format!("device_{device}"), format!("user_{user}"));
                assert_eq!(installs, model.installs.iter().map(|(key, licensed)| (named(key), *licensed)).collect());
            }
        }
        if is_thorough {
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
        let sides = [Side::new(&service), Side::new(&service)];
        Self { service, sides, ids: 0 }
    }

    fn step(&mut self, step: &Step) {
        self.ids += 1;
        let (id, other) = (self.ids, step.other);
        let theirs = self.sides[usize::from(!step.tenant)].assignments.values().next().cloned();
        let side = &mut self.sides[usize::from(step.tenant)];
        let (pool, user, device) = (step.pool as usize, step.user, other % DEVICES);
        let group = (other % GROUPS) as usize;
        let target = if step.flag { Target::Group(group) } else { Target::User(user) };
        let act = match step.kind {
            0..14 => Act::Assign(pool, target, Intent::Required { is_fill: other % 2 == 0 }),
            14..18 => Act::Assign(pool, target, Intent::Available),
            18..20 => Act::Assign(pool, target, Intent::Uninstall),
            20..28 => Act::Unassign(pool, target),
            28..42 => Act::Install { pool, device, user, is_report: step.flag },
            42..50 => Act::Uninstall { pool, device, user },
            50..54 => Act::Depart(user),
            54..58 => Act::Return(user),
            58..66 => Act::Members(
                group,
                step.members.iter().fold(vec![], |mut members, user| {
                    if !members.contains(user) {
                        members.push(*user);
                    }
                    members
                }),
            ),
            66..68 => Act::Retire(device),
            68..70 => Act::Enroll(device),
            70..76 => Act::Owns(pool, u64::from(1 + other % 6)),
            76..78 => Act::KeepOnUninstall(pool, step.flag),
            78..81 => Act::Reclaim(pool, user),
            81..84 if !side.model.returned.contains(&user) => Act::Grant(pool, user),
            84..86 => Act::ResolveDeficit(pool),
            86..104 => {
                side.send(wild(step), id);
                return side.check(id % 8 == 0);
            }
            104..108 => return hostile(side, step, theirs),
            108..113 => return again(side, other),
            113..116 => return self.service.advance_seconds(u64::from(other) * 1000),
            116..118 => return self.restart(step.flag),
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

/// What the model does not know, in pools of its own: seats of devices, exclusions, open and unlimited pools, policies that
/// take back by themselves, timers, refunds.
fn wild(step: &Step) -> Value {
    let (pool, device, user) = (sku(2 + step.pool as usize), format!("d{}", step.other % DEVICES), name(step.user));
    let word = |words: [&str; 2]| words[usize::from(step.flag)].to_owned();
    match step.kind {
        86 | 87 => json!({"type": "assign", "pool": pool, "target": {"device": device}, "intent": "required"}),
        88 | 89 => json!({"type": "assign", "pool": pool, "target": {"user": user}, "intent": "required"}),
        90 => json!({"type": "assign", "pool": pool, "target": {"group": "g0", "exclude": "g1"}, "intent": "required",
            "mode": "fill"}),
        91 => json!({"type": "install", "pool": pool, "device": device, "all_users": true, "report": step.flag}),
        92 => json!({"type": "install", "pool": pool, "device": device, "user": user, "report": step.flag}),
        93 => json!({"type": "uninstall", "pool": pool, "device": device, "user": user}),
        94 => json!({"type": "set_policy", "pool": pool, "deficit": word(["plan", "reclaim"])}),
        95 => json!({"type": "set_policy", "pool": pool, "untargeted": word(["keep", "release"])}),
        96 => json!({"type": "set_policy", "pool": pool, "reservation_timeout_days": 1 + step.other % 9}),
        97 => inventory(2 + step.pool as usize, json!("unlimited"), "restricted"),
        98 => inventory(2 + step.pool as usize, json!(step.other % 5), &word(["restricted", "open"])),
        99 | 100 => inventory(2 + step.pool as usize, json!(1 + step.other % 5), "restricted"),
        101 => json!({"type": "refund", "pool": pool, "order": format!("order-{}", step.other), "quantity": 1,
            "ordered_on": "2020-01-01", "amount": {"currency": "EUR", "minor_units": 1000}}),
        102 => json!({"type": "grant", "pool": pool, "holder": format!("device:{device}")}),
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
            Some(id) if !side.assignments.values().any(|ours| *ours == id) && side.assignments.is_empty() => {
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

#[test]
fn random_histories_keep_the_laws() {
    let cases = if is_budget_full() { 200 } else { 6 };
    let config = ProptestConfig {
        cases,
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

//! A small organization with a life: five people, their devices, pools of every kind. Plays steps through `decide`, and
//! says what came of the last one in a few lines. After every step the laws are asked, and at the end the history is
//! folded again from nothing.

use super::steps::{Kind, item, told_of};
use crate::domain::command::{Actor, Door, Envelope, IfMatch, Intake};
use crate::domain::decide::{Judged, decide};
use crate::domain::event::Event;
use crate::domain::facts::{GrantCause, Owned, Settings};
use crate::domain::ids::{DeviceId, Holder, PoolId, SubjectId, UserId};
use crate::domain::personal::Personal;
use crate::domain::state::{Meta, Pool, Tenant};
use crate::domain::time::Time;
use expect_test::Expect;
use serde_json::Value;
use std::fmt;

pub(super) const PEOPLE: [&str; 5] = ["ada", "bob", "cy", "dee", "eve"];

/// A device, who mostly uses it, its build.
pub(super) const DEVICES: [(&str, Option<&str>, u32); 6] = [
    ("laptop", Some("ada"), 22_631),
    ("tablet", Some("ada"), 10_586),
    ("desk", Some("bob"), 19_045),
    ("kiosk", None, 19_045),
    ("old", Some("cy"), 10_240),
    ("byod", Some("eve"), 19_045),
];

pub(super) const POOLS: [&str; 3] = ["office", "visio", "notes"];

/// 1 June 2026, nine o'clock UTC.
pub(super) const START: Time = Time(1_780_304_400_000_000);

/// One thing that happens, some time after the one before.
#[derive(Clone)]
pub(super) struct Step {
    pub(super) intake: Intake,
    pub(super) after_micros: i64,
    pub(super) command_id: Option<String>,
    pub(super) if_match: Option<IfMatch>,
}

/// On one line, however it is asked for: a hundred of them must fit a screen.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} s: {:?}", self.after_micros / 1_000_000, self.intake)
    }
}

impl From<Intake> for Step {
    fn from(intake: Intake) -> Self {
        Self { intake, after_micros: 1_000_000, command_id: None, if_match: None }
    }
}

pub(super) struct Scenario {
    pub(super) tenant: Tenant,
    pub(super) now: Time,
    history: Vec<(Event, Meta)>,
}

impl Scenario {
    pub(super) fn new() -> Self {
        let mut scenario = Self::empty();
        for step in super::steps::the_usual() {
            scenario.play(&step);
        }
        scenario
    }

    /// A tenant with nothing in it.
    pub(super) fn empty() -> Self {
        let mut scenario = Self { tenant: Tenant::default(), now: START, history: Vec::new() };
        let (slug, name) = ("acme".to_owned(), "Acme".to_owned());
        let created = Event::TenantCreated { slug, name, settings: Settings::default() };
        let meta = Meta { position: 0, recorded_at: START, actor: Actor::Root };
        scenario.tenant.evolve(&created, &meta);
        scenario.history.push((created, meta));
        scenario
    }

    pub(super) fn after(given: &[Step]) -> Self {
        let mut scenario = Self::new();
        for step in given {
            let judged = scenario.play(step);
            assert!(judged.answer().rejection.is_none(), "given, but refused: {step:?}: {:?}", judged.answer());
        }
        scenario
    }

    pub(super) fn play(&mut self, step: &Step) -> Judged {
        self.now = Time(self.now.0 + step.after_micros);
        let envelope = Envelope {
            recorded_at: self.now,
            occurred_at: None,
            actor: Actor::Root,
            door: Door::Http,
            command_id: step.command_id.clone(),
            content_hash: 0,
            reason: None,
        };
        let first = self.tenant.next_position;
        self.count_everything();
        let judged = decide(&mut self.tenant, &step.intake, &envelope, step.if_match);
        for (position, event) in (first..).zip(&judged.events) {
            let meta = Meta { position, recorded_at: self.now, actor: Actor::Root };
            self.history.push((event.clone(), meta));
        }
        assert_eq!(self.tenant.broken_law(), None, "after {step:?}");
        self.assert_counts_are_right(step);
        judged
    }

    /// So that every fact has counts to keep right.
    fn count_everything(&mut self) {
        for pool in 0..self.tenant.pools.len() {
            self.tenant.ways_out(PoolId::at(pool));
        }
        self.tenant.directory_waits();
    }

    fn assert_counts_are_right(&self, step: &Step) {
        for pool in self.tenant.pools.iter().map(|pool| pool.id) {
            if let Some(known) = self.tenant.known_ways_out(pool) {
                assert_eq!(known, self.tenant.count_ways_out(pool), "{pool} after {step:?}");
            }
        }
        if let Some(waiting) = &self.tenant.waiting {
            assert_eq!(**waiting, self.tenant.count_waiting(), "after {step:?}");
        }
    }

    /// Law 3: the history alone leads to the same state.
    pub(super) fn assert_the_fold_is_the_state(&self) {
        let mut folded = Tenant::default();
        for (event, meta) in &self.history {
            folded.evolve(event, meta);
        }
        assert_eq!(text(&folded), text(&self.tenant));
    }

    /// What a judgement left, a line a fact, and how the pools stand then.
    pub(super) fn told(&self, judged: &Judged) -> String {
        let mut lines: Vec<String> = judged.events.iter().map(told_event).collect();
        if let Some(last_word) = &judged.unrecorded {
            let counted = if judged.counts_at.is_some() { " (counted)" } else { "" };
            lines.push(format!("{}{counted}", told_event(last_word)));
        }
        lines.extend(self.tenant.pools.iter().map(|pool| told_pool(&self.tenant, pool)));
        lines.join("\n") + "\n"
    }
}

/// A tenant with these pools, each held by so many.
pub(super) fn crowd(pools: &[&str], holders: u32) -> Tenant {
    let items = pools.iter().map(|pool| item(Kind::Declared, pool, u64::from(holders))).collect();
    let mut tenant = Scenario::after(&[told_of(Kind::Declared, items)]).tenant;
    let mut take = |event: Event| {
        let meta = Meta { position: tenant.next_position, recorded_at: tenant.last_recorded_at, actor: Actor::Root };
        tenant.evolve(&event, &meta);
    };
    for id in 5..holders {
        let profile = Personal { subject: SubjectId(u64::from(id)), sealed: Vec::new(), aliases: Vec::new() };
        take(Event::UserAdded { user: UserId(id), profile });
    }
    for pool in (0..pools.len()).map(PoolId::at) {
        for id in 0..holders {
            let holder = UserId(id).into();
            take(Event::SeatGranted { pool, holder, cause: GrantCause::Command, in_use: false });
        }
    }
    tenant
}

/// A state as text, without outside names and without caches.
fn text(tenant: &Tenant) -> String {
    let mut bare = tenant.without_names();
    bare.ways_out_counted.clear();
    bare.waiting = None;
    for pool in &tenant.pools {
        bare.pool_mut(pool.id).next_timeout = None;
    }
    format!("{bare:#?}")
}

/// Plays what is given, then the step in question, and compares what came of it.
#[track_caller]
pub(super) fn check(given: &[Step], when: impl Into<Step>, then: Expect) {
    let mut scenario = Scenario::after(given);
    let judged = scenario.play(&when.into());
    scenario.assert_the_fold_is_the_state();
    then.assert_eq(&scenario.told(&judged));
}

/// The same for several kinds of pool; kinds that end alike are told together.
#[track_caller]
pub(super) fn check_each(kinds: &[Kind], given: impl Fn(Kind) -> Vec<Step>, when: impl Into<Step>, then: Expect) {
    let when = when.into();
    let mut told: Vec<(String, String)> = Vec::new();
    for kind in kinds {
        let mut scenario = Scenario::after(&given(*kind));
        let judged = scenario.play(&when);
        scenario.assert_the_fold_is_the_state();
        let outcome = scenario.told(&judged);
        match told.iter_mut().find(|(_, known)| *known == outcome) {
            Some((kinds, _)) => *kinds += &format!(" {kind:?}"),
            None => told.push((format!("{kind:?}"), outcome)),
        }
    }
    let told: Vec<String> = told.into_iter().map(|(kinds, outcome)| format!("-- {kinds}\n{outcome}")).collect();
    then.assert_eq(&told.concat());
}

pub(super) fn name(holder: Holder) -> &'static str {
    match holder {
        Holder::User(user) => PEOPLE[user.index()],
        Holder::Device(device) => DEVICES[device.index()].0,
    }
}

pub(super) fn user(name: &str) -> UserId {
    UserId::at(PEOPLE.iter().position(|known| *known == name).unwrap_or_else(|| panic!("nobody is called {name}")))
}

pub(super) fn device(name: &str) -> DeviceId {
    let place = DEVICES.iter().position(|(known, ..)| *known == name);
    DeviceId::at(place.unwrap_or_else(|| panic!("no device is called {name}")))
}

/// A person or a device, whichever has this name.
pub(super) fn holder(name: &str) -> Holder {
    if PEOPLE.contains(&name) { user(name).into() } else { device(name).into() }
}

fn told_pool(tenant: &Tenant, pool: &Pool) -> String {
    let mut line = format!("= {}: {} of ", POOLS[pool.id.index()], pool.held());
    match pool.cap() {
        Some(cap) => line += &cap.to_string(),
        None => line += "unlimited",
    }
    let states = [
        (pool.reserved, "reserved"),
        (pool.in_use, "in use"),
        (pool.releasing, "releasing"),
        (pool.foreign, "foreign"),
        (pool.unlicensed, "unlicensed"),
    ];
    for (count, what) in states.into_iter().filter(|(count, _)| *count > 0) {
        line += &format!(", {count} {what}");
    }
    let names = |holders: Vec<Holder>| holders.into_iter().map(name).collect::<Vec<_>>().join(" ");
    if !pool.queue.is_empty() {
        line += &format!(", waiting: {}", names(pool.queue.values().copied().collect()));
    }
    let users = tenant.users.iter().map(|user| Holder::User(user.id));
    let everyone = users.chain(tenant.devices.iter().map(|device| Holder::Device(device.id)));
    let lapsed: Vec<Holder> = everyone.filter(|holder| tenant.is_lapsed(pool.id, *holder)).collect();
    if !lapsed.is_empty() {
        line += &format!(", lapsed: {}", names(lapsed));
    }
    if pool.owned == Owned::Unlimited || pool.over_by() == 0 {
        line
    } else {
        format!("{line}, over {}", pool.over_by())
    }
}

fn told_event(event: &Event) -> String {
    let Value::Object(tagged) = serde_json::to_value(event).expect("a fact can be told") else {
        panic!("a fact is a tagged object: {event:?}");
    };
    let (tag, fields) = tagged.into_iter().next().expect("a tag");
    format!("{tag}{}", told_fields(&fields))
}

/// Fields that a reader of a test can do without.
const LEFT_OUT: [&str; 10] =
    ["profile", "names", "facts", "details", "price", "key", "packages", "hash", "position", "actor"];
/// Fields whose value needs no name, in the order in which they are told.
const BARE: [&str; 12] = [
    "command",
    "assignment",
    "group",
    "pool",
    "holder",
    "user",
    "device",
    "target",
    "members",
    "cause",
    "seat",
    "rejection",
];

fn told_fields(fields: &Value) -> String {
    let Value::Object(fields) = fields else {
        return format!(" {}", told_value(fields));
    };
    let mut line = String::new();
    for key in BARE {
        match fields.get(key) {
            None | Some(Value::Null) => {}
            Some(Value::String(pool)) if key == "pool" && pool == "pool_0" => {}
            Some(value) => line += &format!(" {}", told_value(value)),
        }
    }
    for (key, value) in
        fields.iter().filter(|(key, _)| !BARE.contains(&key.as_str()) && !LEFT_OUT.contains(&key.as_str()))
    {
        match value {
            Value::Null | Value::Bool(false) => {}
            Value::Bool(true) => line += &format!(" {key}"),
            Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                line += &format!(" {key} {}", told_value(value));
            }
        }
    }
    line
}

fn told_value(value: &Value) -> String {
    match value {
        Value::String(text) => told_text(text),
        Value::Array(values) => format!("[{}]", values.iter().map(told_value).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) if fields.len() == 1 => {
            fields.iter().map(|(key, value)| format!("{key}{}", told_fields(value))).collect()
        }
        Value::Object(_) => format!("({})", told_fields(value).trim()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn told_text(text: &str) -> String {
    if let Ok(holder) = text.parse::<Holder>() {
        return name(holder).to_owned();
    }
    if let Ok(user) = text.parse::<UserId>() {
        return PEOPLE[user.index()].to_owned();
    }
    if let Ok(device) = text.parse::<DeviceId>() {
        return DEVICES[device.index()].0.to_owned();
    }
    if let Some(pool) = text.strip_prefix("pool_").and_then(|digits| digits.parse::<usize>().ok()) {
        return POOLS[pool].to_owned();
    }
    text.to_owned()
}

//! What Apple does behind the caller's back: an event is queued, carried out a while later seat by seat, and tells what became
//! of it, by its status and by notifications. Not here: the checks before it is queued (`writes`).

use super::notice::{ELEMENTS_MAX, Notice};
use super::refusal::ErrorCode;
use super::subscriptions::AdamId;
use super::world::{AssetId, By, EVENTS_MAX, Failed, Holder, Unit, UserAsked, World};
use super::{Shared, Timing};
use crate::domain::time::Time;
use crate::store::simulator::clock::later;
use crate::store::simulator::faults::{Fault, Faults};
use crate::store::simulator::journal::Journal;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The name under which faults ask about events.
const OPERATION: &str = "event";
/// What a holder fails with for no good reason.
const UNDER_MAINTENANCE: Failed = 9644;

#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Assets in the order given, and for each the holders in theirs.
    Associate(Vec<AssetId>, Vec<Holder>),
    Disassociate(Vec<AssetId>, Vec<Holder>),
    Revoke(Vec<Holder>),
    Create(Vec<UserAsked>),
    Update(Vec<UserAsked>),
    Retire(Vec<UserAsked>),
    /// Whether it renews.
    Subscribe(Vec<AdamId>, Vec<String>, bool),
    /// Whether only with the end of the period.
    Unsubscribe(Vec<AdamId>, Vec<String>, bool),
}

impl Work {
    fn kind(&self) -> &'static str {
        match self {
            Self::Associate(..) | Self::Subscribe(..) => "ASSOCIATE",
            Self::Disassociate(..) | Self::Unsubscribe(..) => "DISASSOCIATE",
            Self::Revoke(_) => "REVOKE",
            Self::Create(_) => "CREATE",
            Self::Update(_) => "UPDATE",
            Self::Retire(_) => "RETIRE",
        }
    }

    fn requested(&self, unit: &Unit) -> usize {
        match self {
            Self::Associate(assets, holders) | Self::Disassociate(assets, holders) => assets.len() * holders.len(),
            Self::Revoke(holders) => holders.iter().map(|holder| unit.revocable_of(holder).len()).sum(),
            Self::Create(users) | Self::Update(users) | Self::Retire(users) => users.len(),
            Self::Subscribe(ids, users, _) | Self::Unsubscribe(ids, users, _) => ids.len() * users.len(),
        }
    }
}

pub(super) struct Event {
    uid: String,
    kind: &'static str,
    /// Until it is carried out.
    work: Option<Work>,
    requested: usize,
    completed: usize,
    failures: Vec<Failure>,
    /// Until then its status is `PENDING`, whatever has happened.
    shown_from: Time,
    /// Shown from the end of a period on, whoever has it hurry.
    is_deferred: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    #[serde(flatten)]
    code: ErrorCode,
    #[serde(skip_serializing_if = "Value::is_null")]
    error_info: Value,
}

/// What an outcome is about, besides who.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    User,
    Asset(AssetId),
    Subscription { adam_id: AdamId, is_renewing: bool },
}

/// What became of one seat or one user.
struct Outcome {
    of: Of,
    holder: Holder,
    result: Result<(), Failed>,
}

impl Event {
    /// As the call for an event's status answers it.
    pub(super) fn status(&self, now: Time) -> Map<String, Value> {
        let is_pending = self.work.is_some() || now < self.shown_from;
        let status = match (is_pending, self.failures.is_empty()) {
            (true, _) => "PENDING",
            (false, true) => "COMPLETE",
            (false, false) => "FAILED",
        };
        let mut said = Map::new();
        said.insert("eventStatus".into(), json!(status));
        said.insert("eventType".into(), json!(self.kind));
        said.insert("numRequested".into(), json!(self.requested));
        said.insert("numCompleted".into(), json!(if is_pending { 0 } else { self.completed }));
        if !is_pending && !self.failures.is_empty() {
            said.insert("failures".into(), json!(self.failures));
        }
        said
    }

    pub(super) fn is_of(&self, uid: &str) -> bool {
        self.uid == uid
    }
}

/// Queues work of a unit; answers the event's id.
pub(super) fn queue(shared: &Shared, world: &mut World, uid: &str, work: Work) -> String {
    let (now, timing) = (shared.clock.now(), &shared.timing);
    let (due, shown_from) = when(now, timing, &shared.faults);
    let id = world.uuid();
    let requested = world.units.get(uid).map_or(0, |unit| work.requested(unit));
    let kind = work.kind();
    let event = Event {
        uid: uid.to_owned(),
        kind,
        work: Some(work),
        requested,
        completed: 0,
        failures: vec![],
        shown_from,
        is_deferred: false,
    };
    world.events.insert(id.clone(), event);
    world.event_order.push_back(id.clone());
    if world.event_order.len() > EVENTS_MAX
        && let Some(oldest) = world.event_order.pop_front()
    {
        world.events.remove(&oldest);
    }
    let number = world.next();
    world.due.insert((due, number), id.clone());
    id
}

fn when(now: Time, timing: &Timing, faults: &Faults) -> (Time, Time) {
    let soon = later(now, timing.event_delay);
    if !faults.strikes(OPERATION, Fault::StuckPending) {
        return (soon, soon);
    }
    let at_last = later(now, timing.stuck);
    if faults.below(OPERATION, 2) == 0 { (soon, at_last) } else { (at_last, at_last) }
}

/// Carries out what is due, in the order in which it became so.
pub(super) fn run_due(shared: &Shared, world: &mut World) {
    let now = shared.clock.now();
    while let Some(entry) = world.due.first_entry().filter(|entry| entry.key().0 <= now) {
        let id = entry.remove();
        carry_out(shared, world, &id, now);
    }
}

/// Carries out everything that waits, and shows what became of it.
pub(super) fn finish_all(shared: &Shared, world: &mut World) {
    let now = shared.clock.now();
    while let Some((_, id)) = world.due.pop_first() {
        carry_out(shared, world, &id, now);
    }
    let waiting = world.events.values_mut().filter(|event| !event.is_deferred);
    waiting.for_each(|event| event.shown_from = event.shown_from.min(now));
}

fn carry_out(shared: &Shared, world: &mut World, id: &str, now: Time) {
    let World { units, events, journal, .. } = world;
    let Some(event) = events.get_mut(id) else { return };
    let (Some(unit), Some(work)) = (units.get_mut(&event.uid), event.work.take()) else { return };
    let is_deferred = matches!(work, Work::Unsubscribe(_, _, true));
    let mut outcomes = perform(unit, work, journal, now, id, &shared.faults);
    if let Some(ends) = unit.subscriptions.end_of_deferred(id).filter(|_| is_deferred) {
        (event.shown_from, event.is_deferred) = (event.shown_from.max(ends), true);
    }
    event.completed = outcomes.iter().filter(|outcome| outcome.result.is_ok()).count();
    event.failures = failures(&outcomes);
    if !event.failures.is_empty() && shared.faults.strikes(OPERATION, Fault::UnnamedFailure) {
        event.failures.iter_mut().for_each(|failure| failure.error_info = Value::Null);
    }
    let (uid, kind) = (event.uid.clone(), event.kind);
    if is_deferred {
        // of those the end of the period tells
        outcomes.retain(|outcome| outcome.result.is_err());
    }
    for notice in notices(&outcomes, id, kind) {
        super::notice::post(shared, world, &uid, notice);
    }
}

fn perform(unit: &mut Unit, work: Work, journal: &mut Journal, at: Time, event: &str, faults: &Faults) -> Vec<Outcome> {
    let mut by = By { journal, at, who: "api", event };
    let mut outcomes = vec![];
    let mut each = |of: Of, holder: Holder, act: &mut dyn FnMut() -> Result<(), Failed>| {
        let fails = faults.strikes(OPERATION, Fault::HolderFails);
        let result = if fails { Err(UNDER_MAINTENANCE) } else { act() };
        outcomes.push(Outcome { of, holder, result });
    };
    let user = |asked: &UserAsked| Holder::User(asked.client_user_id.clone());
    match work {
        Work::Associate(assets, holders) => {
            for (asset, holder) in pairs(&assets, &holders) {
                each(Of::Asset(asset.clone()), holder.clone(), &mut || unit.associate(asset, holder, &mut by));
            }
        }
        Work::Disassociate(assets, holders) => {
            for (asset, holder) in pairs(&assets, &holders) {
                each(Of::Asset(asset.clone()), holder.clone(), &mut || unit.disassociate(asset, holder, &mut by));
            }
        }
        Work::Revoke(holders) => {
            for holder in &holders {
                for asset in unit.revocable_of(holder) {
                    each(Of::Asset(asset.clone()), holder.clone(), &mut || unit.disassociate(&asset, holder, &mut by));
                }
            }
        }
        Work::Create(users) => {
            for asked in &users {
                each(Of::User, user(asked), &mut || unit.create_user(asked));
            }
        }
        Work::Update(users) => {
            for asked in &users {
                each(Of::User, user(asked), &mut || unit.update_user(asked));
            }
        }
        Work::Retire(users) => {
            for asked in &users {
                each(Of::User, user(asked), &mut || unit.retire_user(&asked.client_user_id, &mut by));
            }
        }
        Work::Subscribe(ids, users, is_renewing) => {
            for (id, user) in pairs(&ids, &users) {
                let of = Of::Subscription { adam_id: *id, is_renewing };
                each(of, Holder::User(user.clone()), &mut || unit.subscribe(*id, user, is_renewing));
            }
        }
        Work::Unsubscribe(ids, users, is_deferred) => {
            for (id, user) in pairs(&ids, &users) {
                let is_renewing = unit.subscriptions.is_renewing(*id, user);
                let of = Of::Subscription { adam_id: *id, is_renewing };
                let deferred_by = is_deferred.then_some(event);
                each(of, Holder::User(user.clone()), &mut || unit.unsubscribe(*id, user, deferred_by));
            }
        }
    }
    outcomes
}

fn pairs<'a, A, H>(things: &'a [A], holders: &'a [H]) -> impl Iterator<Item = (&'a A, &'a H)> {
    things.iter().flat_map(move |thing| holders.iter().map(move |holder| (thing, holder)))
}

/// By number and title, so that each holder's fate can be told.
fn failures(outcomes: &[Outcome]) -> Vec<Failure> {
    let mut grouped: BTreeMap<(Failed, &Of), Vec<&Holder>> = BTreeMap::new();
    for outcome in outcomes {
        if let Err(number) = outcome.result {
            grouped.entry((number, &outcome.of)).or_default().push(&outcome.holder);
        }
    }
    let failure = |((number, of), holders): ((Failed, &Of), Vec<&Holder>)| {
        let (mut users, mut devices) = (vec![], vec![]);
        for holder in holders {
            match holder {
                Holder::User(id) => users.push(id),
                Holder::Device(serial) => devices.push(serial),
            }
        }
        let mut info = Map::new();
        match of {
            Of::User => {}
            Of::Asset(asset) => drop(info.insert("assets".into(), json!([asset]))),
            Of::Subscription { adam_id, .. } => drop(info.insert("adamIds".into(), json!([adam_id]))),
        }
        if !users.is_empty() {
            info.insert("clientUserIds".into(), json!(users));
        }
        if !devices.is_empty() {
            info.insert("serialNumbers".into(), json!(devices));
        }
        Failure { code: ErrorCode::of(number), error_info: Value::Object(info) }
    };
    grouped.into_iter().map(failure).collect()
}

/// One for every 100 of a result.
fn notices(outcomes: &[Outcome], event: &str, kind: &str) -> Vec<Notice> {
    let mut grouped: BTreeMap<Option<Failed>, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        grouped.entry(outcome.result.err()).or_default().push(outcome);
    }
    let mut notices = vec![];
    for (failed, outcomes) in grouped {
        for chunk in outcomes.chunks(ELEMENTS_MAX) {
            let elements: Vec<Value> = chunk.iter().map(|outcome| element(outcome)).collect();
            let (name, list) = match chunk.first().map(|outcome| &outcome.of) {
                Some(Of::Asset(_)) => ("ASSET_MANAGEMENT", "assignments"),
                Some(Of::Subscription { .. }) => ("SUBSCRIPTION_MANAGEMENT", "assignments"),
                Some(Of::User) | None => ("USER_MANAGEMENT", "users"),
            };
            let result = if failed.is_some() { "FAILURE" } else { "SUCCESS" };
            let mut body = json!({ list: elements, "eventId": event, "type": kind, "result": result });
            if let (Some(body), Some(number)) = (body.as_object_mut(), failed) {
                body.insert("error".into(), json!(ErrorCode::of(number)));
            }
            notices.push(Notice { name, body });
        }
    }
    notices
}

fn element(outcome: &Outcome) -> Value {
    let (name, id) = match &outcome.holder {
        Holder::User(id) => ("clientUserId", id),
        Holder::Device(serial) => ("serialNumber", serial),
    };
    match &outcome.of {
        Of::Asset(asset) => json!({ "adamId": asset.adam_id, "pricingParam": asset.pricing_param, name: id }),
        Of::Subscription { adam_id, is_renewing } => json!({ "adamId": adam_id, name: id, "renewing": is_renewing }),
        Of::User => json!({ name: id }),
    }
}

/// Of disassociations that were put off until the period's end, which it is now: who had each, and the event that asked.
pub(super) fn notices_of_deferred(adam_id: AdamId, ended: Vec<(String, String)>) -> Vec<Notice> {
    let mut by_event: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
    for (event, user) in ended {
        let of = Of::Subscription { adam_id, is_renewing: false };
        by_event.entry(event).or_default().push(Outcome { of, holder: Holder::User(user), result: Ok(()) });
    }
    by_event.iter().flat_map(|(event, outcomes)| notices(outcomes, event, "DISASSOCIATE")).collect()
}

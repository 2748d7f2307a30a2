//! Notifications: what is told to the unit's tool, on a channel that tries three times and then forgets. Not here: what is
//! worth telling.

use super::Shared;
use super::world::World;
use crate::domain::time::Time;
use crate::store::simulator::clock::later;
use crate::store::simulator::faults::Fault;
use futures::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// In one notification.
pub(super) const ELEMENTS_MAX: usize = 100;
/// What can be subscribed to.
pub(super) const TYPES: [&str; 6] = [
    "ASSET_COUNT",
    "ASSET_MANAGEMENT",
    "USER_MANAGEMENT",
    "USER_ASSOCIATED",
    "SUBSCRIPTION_COUNT",
    "SUBSCRIPTION_MANAGEMENT",
];
const OPERATION: &str = "notification";
const ATTEMPTS_MAX: usize = 3;
const WAITING_MAX: usize = 100_000;
/// Sent at one time.
const PARALLEL: usize = 8;
const AT_ONCE: usize = 64;
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) struct Notice {
    pub(super) name: &'static str,
    pub(super) body: Value,
}

#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    url: String,
    token: String,
    body: Value,
    attempts: usize,
}

/// Since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NoticeCounts {
    pub posted: u64,
    pub delivered: u64,
    /// By a fault, or because too many waited.
    pub lost: u64,
    /// After the last attempt.
    pub given_up: u64,
    pub waiting: usize,
}

#[derive(Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<(Time, u64), Outgoing>,
    numbered: u64,
    counts: NoticeCounts,
}

impl Outbox {
    pub(super) fn counts(&self) -> NoticeCounts {
        NoticeCounts { waiting: self.waiting.len(), ..self.counts }
    }

    fn put(&mut self, at: Time, outgoing: Outgoing) {
        if self.waiting.len() >= WAITING_MAX {
            self.counts.lost += 1;
            return;
        }
        self.numbered += 1;
        self.waiting.insert((at, self.numbered), outgoing);
    }

    fn take_due(&mut self, now: Time) -> Vec<Outgoing> {
        let mut due = vec![];
        while due.len() < AT_ONCE
            && let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now)
        {
            due.push(entry.remove());
        }
        due
    }
}

fn envelope(id: &str, name: &str, uid: &str, body: &Value) -> Value {
    json!({ "notificationId": id, "notificationType": name, "notification": body, "uId": uid })
}

/// Puts it on its way, if the unit's tool wants to hear of such things.
pub(super) fn post(shared: &Shared, world: &mut World, uid: &str, notice: Notice) {
    let Some(unit) = world.units.get(uid) else { return };
    let (Some(url), Some(token)) = (&unit.config.notification_url, &unit.config.notification_auth_token) else {
        return;
    };
    if !unit.config.notification_types.iter().any(|name| name == notice.name) {
        return;
    }
    let (url, token) = (url.clone(), token.clone());
    world.outbox.counts.posted += 1;
    if shared.faults.strikes(OPERATION, Fault::LostNotification) {
        world.outbox.counts.lost += 1;
        return;
    }
    let body = envelope(&world.uuid(), notice.name, uid, &notice.body);
    let outgoing = Outgoing { url, token, body, attempts: 0 };
    let now = shared.clock.now();
    let is_late = shared.faults.strikes(OPERATION, Fault::LateNotification);
    let wait = if is_late { shared.timing.notification_late } else { Duration::ZERO };
    if shared.faults.strikes(OPERATION, Fault::RepeatedNotification) {
        world.outbox.put(later(now, shared.timing.notification_late / 2), outgoing.clone());
    }
    world.outbox.put(later(now, wait), outgoing);
}

/// Sends what is due; answers whether there was anything.
pub(super) async fn deliver(shared: &Shared) -> bool {
    let due = shared.locked().outbox.take_due(shared.clock.now());
    let was_any = !due.is_empty();
    let sent = stream::iter(due).map(|outgoing| async move {
        let is_taken = send(shared, &outgoing.url, &outgoing.token, &outgoing.body).await;
        (outgoing, is_taken)
    });
    let sent: Vec<_> = sent.buffer_unordered(PARALLEL).collect().await;
    let mut world = shared.locked();
    for (mut outgoing, is_taken) in sent {
        outgoing.attempts += 1;
        if is_taken {
            world.outbox.counts.delivered += 1;
        } else if outgoing.attempts >= ATTEMPTS_MAX {
            world.outbox.counts.given_up += 1;
        } else {
            let wait = if outgoing.attempts == 1 { shared.timing.first_retry } else { shared.timing.second_retry };
            world.outbox.put(shared.clock.after(wait), outgoing);
        }
    }
    was_any
}

/// Sent while the unit is configured: whether the tool can be reached there.
pub(super) async fn test(shared: &Shared, url: &str, token: &str, uid: &str) -> bool {
    let id = shared.locked().uuid();
    send(shared, url, token, &envelope(&id, "TEST_NOTIFICATION", uid, &json!({}))).await
}

async fn send(shared: &Shared, url: &str, token: &str, body: &Value) -> bool {
    let Some(client) = &shared.client else { return false };
    let answer = client.post(url).bearer_auth(token).timeout(ANSWER_MAX).json(body).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

//! What Apple tells by itself: best effort, so it may come three times, late, out of order or never. Nothing here is a fact to
//! count with; it says what to read again, and what an event did to which seats.
//!
//! Here: the bearer, the shapes, and a bounded memory of what was heard. Not here: the route (`http`), and the reading.

use super::super::secret::StoreSecret;
use super::super::terms::{Settled, Sought, StoreHolder};
use super::errors::AppleError;
use super::pass::{holder, pool_key};
use super::wire::{AssetKey, Assignment, STANDARD_QUALITY, list, number, some_text, text};
use crate::domain::key::PoolKey;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeSet, VecDeque};
use subtle::ConstantTimeEq as _;

/// Of one notification, which has at most 100 elements.
pub const NOTIFICATION_BYTES_MAX: usize = 256 << 10;
/// Remembered; the oldest are forgotten first. Apple repeats within minutes.
const HEARD_MAX: usize = 20_000;
const ID_BYTES_MAX: usize = 200;
const ELEMENTS_MAX: usize = 1000;

/// What is to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// The figures of an asset: a purchase, a refund, a transfer. By how much is evidence and not to be added.
    Figures {
        pool: PoolKey,
        count_delta: i64,
    },
    /// Seats, as `Heard::seats` says.
    Seats,
    Users,
    Subscriptions,
    /// The store asks whether anybody listens.
    Nothing,
    /// A kind that is not known yet.
    Unknown(String),
}

/// What an event did to a seat, as it was told. An older event's word may come after a newer one's: who acts on it looks first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatTold {
    pub pool: PoolKey,
    pub holder: StoreHolder,
    pub sought: Sought,
    pub settled: Settled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Apple's own; empty where it gave none.
    pub id: String,
    pub unit_id: String,
    pub event_id: Option<String>,
    /// Heard before: nothing is to be done.
    pub is_repeated: bool,
    pub hint: Hint,
    pub seats: Vec<SeatTold>,
}

/// Why a notification is not taken. It holds nothing of what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHeard {
    #[error("the bearer token is not the one that Apple was given")]
    Unauthorized,
    #[error("a notification has at most {NOTIFICATION_BYTES_MAX} bytes")]
    TooLong,
    #[error("this is no notification")]
    Malformed,
    #[error("the notification is of another unit")]
    OtherUnit,
}

/// Hears for one unit, which has a secret of its own.
#[derive(Debug)]
pub struct Ear {
    bearer: StoreSecret,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    ids: BTreeSet<String>,
    order: VecDeque<String>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({})", self.order.len())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default, deserialize_with = "text")]
    notification_id: String,
    notification_type: String,
    #[serde(default)]
    notification: Value,
    #[serde(default, deserialize_with = "text")]
    u_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssetCount {
    #[serde(deserialize_with = "text")]
    adam_id: String,
    #[serde(default, deserialize_with = "some_text")]
    pricing_param: Option<String>,
    #[serde(default, deserialize_with = "number")]
    count_delta: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssetManagement {
    #[serde(default, deserialize_with = "list")]
    assignments: Vec<Assignment>,
    #[serde(default, deserialize_with = "some_text")]
    event_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    result: String,
    #[serde(default)]
    error: Option<ErrorTold>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ErrorTold {
    #[serde(default, deserialize_with = "number")]
    error_number: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfEvent {
    #[serde(default, deserialize_with = "some_text")]
    event_id: Option<String>,
}

impl Ear {
    #[must_use]
    pub fn new(bearer: StoreSecret) -> Self {
        Self { bearer, memory: Mutex::default() }
    }

    /// Whether whoever sends this header has the unit's secret.
    #[must_use]
    pub fn knows(&self, authorization: Option<&str>) -> bool {
        let given = authorization.and_then(|header| header.strip_prefix("Bearer "));
        given.is_some_and(|given| given.as_bytes().ct_eq(self.bearer.reveal().as_bytes()).into())
    }

    /// Takes one notification with its `Authorization` header, for the unit whose ear this is. What comes back as repeated was
    /// taken before.
    ///
    /// # Errors
    /// When it does not come from Apple, is of another unit, or is none.
    pub fn hear(&self, unit_id: &str, authorization: Option<&str>, body: &[u8]) -> Result<Heard, NotHeard> {
        if !self.knows(authorization) {
            return Err(NotHeard::Unauthorized);
        }
        if body.len() > NOTIFICATION_BYTES_MAX {
            return Err(NotHeard::TooLong);
        }
        let envelope: Envelope = serde_json::from_slice(body).map_err(|_| NotHeard::Malformed)?;
        if envelope.notification_id.len() > ID_BYTES_MAX {
            return Err(NotHeard::Malformed);
        }
        if !envelope.u_id.is_empty() && envelope.u_id != unit_id {
            return Err(NotHeard::OtherUnit);
        }
        let mut heard = understood(unit_id, envelope)?;
        heard.is_repeated = !self.memory.lock().is_new(&heard.id);
        Ok(heard)
    }

    /// Takes back that it was heard, for who could do nothing with it: Apple sends it again when it is not answered with 2xx.
    pub fn forget(&self, id: &str) {
        self.memory.lock().ids.remove(id);
    }
}

fn understood(unit_id: &str, envelope: Envelope) -> Result<Heard, NotHeard> {
    let Envelope { notification_id: id, notification_type, notification: told, .. } = envelope;
    let (mut event_id, mut seats) = (None, vec![]);
    let hint = match notification_type.as_str() {
        "TEST_NOTIFICATION" => Hint::Nothing,
        "ASSET_COUNT" => {
            let count: AssetCount = serde_json::from_value(told).map_err(|_| NotHeard::Malformed)?;
            let pricing_param = count.pricing_param.unwrap_or_else(|| STANDARD_QUALITY.to_owned());
            let key = AssetKey { adam_id: count.adam_id, pricing_param };
            Hint::Figures { pool: pool_key(unit_id, &key), count_delta: count.count_delta }
        }
        "ASSET_MANAGEMENT" => {
            let managed: AssetManagement = serde_json::from_value(told).map_err(|_| NotHeard::Malformed)?;
            if managed.assignments.len() > ELEMENTS_MAX {
                return Err(NotHeard::Malformed);
            }
            event_id.clone_from(&managed.event_id);
            seats = seats_of(unit_id, managed);
            Hint::Seats
        }
        "USER_MANAGEMENT" | "USER_ASSOCIATED" => {
            event_id = event_of(told);
            Hint::Users
        }
        "SUBSCRIPTION_COUNT" | "SUBSCRIPTION_MANAGEMENT" => {
            event_id = event_of(told);
            Hint::Subscriptions
        }
        other => Hint::Unknown(other.chars().filter(|c| !c.is_control()).take(60).collect()),
    };
    Ok(Heard { id, unit_id: unit_id.to_owned(), event_id, is_repeated: false, hint, seats })
}

fn seats_of(unit_id: &str, managed: AssetManagement) -> Vec<SeatTold> {
    let sought = if managed.kind.eq_ignore_ascii_case("ASSOCIATE") {
        Sought::Grant
    } else if ["DISASSOCIATE", "REVOKE"].iter().any(|word| managed.kind.eq_ignore_ascii_case(word)) {
        Sought::Release
    } else {
        return vec![];
    };
    let settled = if managed.result.eq_ignore_ascii_case("SUCCESS") {
        match sought {
            Sought::Grant => Settled::Granted,
            Sought::Release => Settled::Released,
        }
    } else {
        AppleError::in_event(managed.error.map_or(9603, |error| error.error_number)).settled(sought)
    };
    let told = |assignment: Assignment| {
        let holder = holder(&assignment)?;
        Some(SeatTold { pool: pool_key(unit_id, &assignment.key), holder, sought, settled: settled.clone() })
    };
    managed.assignments.into_iter().filter_map(told).collect()
}

impl Memory {
    /// What has no id can't be known again.
    fn is_new(&mut self, id: &str) -> bool {
        if id.is_empty() {
            return true;
        }
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > HEARD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

fn event_of(told: Value) -> Option<String> {
    serde_json::from_value::<OfEvent>(told).ok().and_then(|of| of.event_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ear() -> Ear {
        Ear::new(StoreSecret::from("hunter2".to_owned()))
    }

    fn hear(ear: &Ear, body: &Value) -> Result<Heard, NotHeard> {
        ear.hear("unit", Some("Bearer hunter2"), body.to_string().as_bytes())
    }

    fn told(id: &str, kind: &str, notification: &Value) -> Value {
        json!({"notificationId": id, "notificationType": kind, "notification": notification, "uId": "unit"})
    }

    fn pool(adam_id: &str) -> PoolKey {
        PoolKey::Apple { unit_id: "unit".into(), adam_id: adam_id.into(), pricing_param: "STDQ".into() }
    }

    #[test]
    fn only_apple_is_heard() {
        let ear = ear();
        let body = told("1", "TEST_NOTIFICATION", &json!({})).to_string();
        for wrong in [None, Some(""), Some("Bearer "), Some("Bearer hunter"), Some("Bearer hunter22"), Some("hunter2")]
        {
            assert_eq!(ear.hear("unit", wrong, body.as_bytes()), Err(NotHeard::Unauthorized), "{wrong:?}");
        }
        assert_eq!(hear(&ear, &json!({"notificationType": "ASSET_COUNT", "uId": "other"})), Err(NotHeard::OtherUnit));
        assert_eq!(hear(&ear, &json!([])), Err(NotHeard::Malformed));
        assert_eq!(hear(&ear, &told(&"x".repeat(201), "ASSET_COUNT", &json!({}))), Err(NotHeard::Malformed));
        let long = format!("{}{body}", " ".repeat(NOTIFICATION_BYTES_MAX));
        assert_eq!(ear.hear("unit", Some("Bearer hunter2"), long.as_bytes()), Err(NotHeard::TooLong));
    }

    #[test]
    fn each_kind_says_what_to_read_again() {
        let ear = ear();
        let figures = |adam_id, count_delta| Hint::Figures { pool: pool(adam_id), count_delta };
        let table = [
            ("TEST_NOTIFICATION", json!({}), Hint::Nothing, None),
            ("TEST_NOTIFICATION", Value::Null, Hint::Nothing, None),
            ("ASSET_COUNT", json!({"adamId": "1", "pricingParam": "STDQ", "countDelta": -5}), figures("1", -5), None),
            ("ASSET_COUNT", json!({"adamId": 1}), figures("1", 0), None),
            ("USER_MANAGEMENT", json!({"users": [], "eventId": "e", "type": "CREATE"}), Hint::Users, Some("e")),
            ("USER_ASSOCIATED", json!({"associatedUsers": [{"clientUserId": "ada"}]}), Hint::Users, None),
            ("SUBSCRIPTION_COUNT", json!({"adamId": 17, "counts": {"total": 3}}), Hint::Subscriptions, None),
            ("SUBSCRIPTION_MANAGEMENT", json!({"eventId": "s"}), Hint::Subscriptions, Some("s")),
            ("ASSET_TRANSFER\n", json!({"x": 1}), Hint::Unknown("ASSET_TRANSFER".into()), None),
        ];
        for (at, (kind, notification, hint, event)) in table.into_iter().enumerate() {
            let heard = hear(&ear, &told(&at.to_string(), kind, &notification)).expect("heard");
            assert_eq!((heard.hint, heard.event_id.as_deref(), heard.seats), (hint, event, vec![]), "{kind}");
        }
    }

    #[test]
    fn an_event_says_what_it_did_to_each_seat() {
        let ear = ear();
        let assignments =
            json!([{"adamId": "1", "clientUserId": "ada"}, {"adamId": "1", "serialNumber": "C02"}, {"adamId": "1"}]);
        let said = |kind: &str, result: &str, error: Value| {
            let event =
                json!({"assignments": assignments, "eventId": "e", "type": kind, "result": result, "error": error});
            let heard = hear(&ear, &told("", "ASSET_MANAGEMENT", &event)).expect("heard");
            assert_eq!((heard.event_id.as_deref(), &heard.hint), (Some("e"), &Hint::Seats));
            let holders: Vec<_> = heard.seats.iter().map(|seat| seat.holder.clone()).collect();
            assert_eq!(holders, [StoreHolder::User("ada".into()), StoreHolder::Device("C02".into())]);
            heard.seats[0].settled.clone()
        };
        assert_eq!(said("ASSOCIATE", "SUCCESS", Value::Null), Settled::Granted);
        assert_eq!(said("DISASSOCIATE", "SUCCESS", Value::Null), Settled::Released);
        assert_eq!(said("REVOKE", "success", Value::Null), Settled::Released);
        assert_eq!(said("ASSOCIATE", "FAILURE", json!({"errorNumber": 9709})), Settled::NotEnough);
        let kept = Settled::ReleaseRefused("9706: the asset is not revocable".into());
        assert_eq!(said("DISASSOCIATE", "FAILURE", json!({"errorNumber": 9706})), kept);
        assert!(matches!(said("ASSOCIATE", "FAILURE", Value::Null), Settled::NotSent(_)));
    }

    #[test]
    fn what_was_heard_is_known_again_for_a_long_while_and_not_for_ever() {
        let ear = ear();
        let once = told("first", "TEST_NOTIFICATION", &json!({}));
        let is_repeated = |body: &Value| hear(&ear, body).expect("heard").is_repeated;
        assert!(!is_repeated(&once) && is_repeated(&once) && is_repeated(&once));
        ear.forget("first");
        assert!(!is_repeated(&once) && is_repeated(&once));
        for at in 0..=HEARD_MAX {
            is_repeated(&told(&at.to_string(), "TEST_NOTIFICATION", &json!({})));
        }
        assert!(!is_repeated(&once), "the memory is bounded");
        assert!(ear.memory.lock().ids.len() <= HEARD_MAX);
    }
}

//! Apple's simulator: a unit with a token, and how the tests speak to it. Not here: what is tested.

mod events;
mod notices;
mod reading;
mod refusals;
mod subscriptions;

use crate::harness::{Answer, Client, block_on};
use parking_lot::RwLock;
use reqwest::Method;
use seatledger::clock::Clock;
use seatledger::domain::time::Time;
use seatledger::store::simulator::apple::{
    AppleSimulator, NewAsset, NewToken, NewUnit, Options, Order, Placed, Timing,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

pub(super) const START: Time = Time(1_790_000_000_000_000);
pub(super) const UID: &str = "100";

/// One simulator whose clock stands still and whose events happen at once, with the unit 100 and its token.
pub(super) struct Apple {
    pub(super) simulator: AppleSimulator,
    pub(super) api: Client,
    pub(super) token: String,
}

impl Apple {
    pub(super) fn start() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let timing = Timing { event_delay: Duration::ZERO, ..options.timing };
        let options = Options { clock: Clock::manual(START), timing, ..options };
        let simulator = block_on(AppleSimulator::start(options)).expect("a free port");
        let unit = NewUnit { uid: Some(UID.into()), name: "Berlin".into(), org_name: "Contoso".into(), country: None };
        simulator.place(Order::Unit(unit)).expect("a unit");
        let new = NewToken { uid: UID.into(), is_read_only: false, expires_in_days: Some(365) };
        let token = simulator.place(Order::Token(new)).expect("a token").token.expect("it is shown");
        let api = Client::new(Arc::new(RwLock::new(simulator.base_url())), &token);
        Self { simulator, api, token }
    }

    pub(super) fn order(&self, order: Value) -> Placed {
        let order = serde_json::from_value(order).expect("an order");
        self.simulator.place(order).expect("it can be done")
    }

    pub(super) fn buy(&self, adam_id: &str, quantity: u32) {
        self.simulator.place(Order::Purchase(NewAsset::app(UID, adam_id, quantity))).expect("bought");
    }

    pub(super) fn post(&self, path: &str, body: Value) -> Answer {
        self.api.post(path, body)
    }

    /// Two calls take no body.
    pub(super) fn post_nothing(&self, path: &str) -> Answer {
        self.api.call(Method::POST, path).send()
    }

    /// What came of an event, once it did.
    pub(super) fn event(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{}", answer.text);
        let id = answer.body["eventId"].as_str().expect("an event").to_owned();
        self.api.get(&format!("/status?eventId={id}")).body
    }

    pub(super) fn users(&self, ids: &[&str]) {
        let users: Vec<_> =
            ids.iter().map(|id| json!({ "clientUserId": id, "email": format!("{id}@a.example") })).collect();
        assert_eq!(self.event("/users/create", json!({ "users": users }))["eventStatus"], "COMPLETE");
    }

    pub(super) fn associate(&self, adam_id: &str, users: &[&str], devices: &[&str]) -> Value {
        self.event("/assets/associate", seats(adam_id, users, devices))
    }

    /// Holders of a title at the back door, in the order of assignment.
    pub(super) fn holders(&self) -> Vec<String> {
        let seats = self.simulator.assignments(UID).expect("the unit");
        seats.iter().map(|seat| format!("{} {}", seat.asset.adam_id, json!(seat.holder))).collect()
    }

    /// Asks with another header, or none.
    pub(super) fn with_header(&self, authorization: Option<&str>) -> Answer {
        let call = self.api.without_token().call(Method::GET, "/assets");
        match authorization {
            Some(text) => call.header("authorization", text).send(),
            None => call.send(),
        }
    }
}

pub(super) fn seats(adam_id: &str, users: &[&str], devices: &[&str]) -> Value {
    json!({
        "assets": [{ "adamId": adam_id, "pricingParam": "STDQ" }],
        "clientUserIds": users,
        "serialNumbers": devices,
    })
}

/// Status and number of a refusal.
pub(super) fn refused(answer: &Answer) -> (u16, u64) {
    assert!(answer.body["errorMessage"].is_string(), "{}", answer.text);
    (answer.status, answer.body["errorNumber"].as_u64().expect("a number"))
}

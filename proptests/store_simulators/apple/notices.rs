//! Notifications: to whom, of what, how often, and what may go wrong with them.

use super::{Apple, UID, refused};
use crate::harness::{Answer, block_on};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use parking_lot::Mutex;
use seatledger::store::simulator::apple::Options;
use seatledger::store::simulator::faults::Fault;
use seatledger::store::simulator::listener::Listening;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A tool that listens.
pub(super) struct Ear {
    heard: Arc<Heard>,
    listening: Listening,
}

#[derive(Default)]
struct Heard {
    all: Mutex<Vec<Value>>,
    is_deaf: AtomicBool,
}

impl Ear {
    fn open() -> Self {
        async fn hear(State(heard): State<Arc<Heard>>, headers: HeaderMap, Json(said): Json<Value>) -> StatusCode {
            assert_eq!(headers["authorization"], "Bearer ear");
            heard.all.lock().push(said);
            if heard.is_deaf.load(Ordering::SeqCst) { StatusCode::BAD_GATEWAY } else { StatusCode::NO_CONTENT }
        }
        let heard = Arc::new(Heard::default());
        let router = Router::new().route("/n", post(hear)).with_state(Arc::clone(&heard));
        let listening = block_on(Listening::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router));
        Self { heard, listening: listening.expect("a free port") }
    }

    pub(super) fn configure(&self, apple: &Apple, types: &[&str]) -> Answer {
        let url = format!("{}/n", self.listening.url());
        let body = json!({ "notificationUrl": url, "notificationAuthToken": "ear", "notificationTypes": types });
        apple.post("/client/config", body)
    }

    /// What was heard, once there is so much of it and no more comes.
    pub(super) fn heard(&self, count: usize) -> Vec<Value> {
        for _ in 0..200 {
            if self.heard.all.lock().len() >= count {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(50));
        let heard = self.heard.all.lock().clone();
        assert_eq!(heard.len(), count, "{heard:?}");
        heard
    }
}

pub(super) fn with_notices() -> (Apple, Ear) {
    // an error means that another test was here before
    let _there = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
    (Apple::with(Options { client: Some(client), ..Options::default() }), Ear::open())
}

#[test]
fn a_tool_that_can_not_be_reached_is_not_configured() {
    let (apple, ear) = with_notices();
    ear.heard.is_deaf.store(true, Ordering::SeqCst);
    assert_eq!(refused(&ear.configure(&apple, &["ASSET_COUNT"])), (400, 9728));
    assert_eq!(apple.api.get("/client/config").body["subscribedNotificationTypes"], json!([]));
    ear.heard.is_deaf.store(false, Ordering::SeqCst);
    let set = ear.configure(&apple, &["ASSET_COUNT"]);
    assert_eq!((set.status, &set.body["subscribedNotificationTypes"]), (200, &json!(["ASSET_COUNT"])));
    assert!(!set.text.contains("\"ear\""), "the token is not shown");
    let heard = ear.heard(2);
    assert_eq!((&heard[1]["notificationType"], &heard[1]["notification"]), (&json!("TEST_NOTIFICATION"), &json!({})));
    assert_eq!(heard[1]["uId"], UID);
    assert_ne!(heard[0]["notificationId"], heard[1]["notificationId"]);
}

#[test]
fn counts_and_outcomes_are_told_to_who_asked_for_them() {
    let (apple, ear) = with_notices();
    assert_eq!(
        ear.configure(&apple, &["ASSET_COUNT", "ASSET_MANAGEMENT", "USER_MANAGEMENT", "USER_ASSOCIATED"]).status,
        200
    );
    apple.buy("1", 250);
    apple.order(json!({ "order": "refund", "uid": UID, "adam_id": "1", "quantity": 49 }));
    let devices: Vec<String> = (0..203).map(|number| format!("d{number}")).collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    let event = apple.associate("1", &[], &devices);
    assert_eq!(event["numCompleted"], 201);
    apple.users(&["ada"]);
    apple.order(json!({ "order": "accept_invitation", "uid": UID, "client_user_id": "ada" }));
    let heard = ear.heard(1 + 2 + 4 + 2);
    let of = |name: &str| {
        heard.iter().filter(|it| it["notificationType"] == name).map(|it| &it["notification"]).collect::<Vec<_>>()
    };
    let mut deltas: Vec<_> = of("ASSET_COUNT").iter().map(|it| it["countDelta"].as_i64().expect("a number")).collect();
    deltas.sort_unstable();
    assert_eq!(deltas, [-49, 250]);
    let mut outcomes: Vec<_> = of("ASSET_MANAGEMENT")
        .iter()
        .map(|it| {
            (
                it["result"].as_str().expect("it"),
                it["assignments"].as_array().expect("a list").len(),
                it["error"]["errorNumber"].as_u64(),
            )
        })
        .collect();
    outcomes.sort_unstable();
    assert_eq!(
        outcomes,
        [("FAILURE", 2, Some(9709)), ("SUCCESS", 1, None), ("SUCCESS", 100, None), ("SUCCESS", 100, None)]
    );
    assert_eq!(
        (&of("USER_MANAGEMENT")[0]["type"], &of("USER_MANAGEMENT")[0]["users"][0]["clientUserId"]),
        (&json!("CREATE"), &json!("ada"))
    );
    assert_eq!(of("USER_ASSOCIATED")[0]["associatedUsers"][0]["clientUserId"], "ada");
    let ids: std::collections::BTreeSet<_> =
        heard.iter().map(|it| it["notificationId"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), heard.len());
}

#[test]
fn what_is_not_taken_is_sent_three_times_and_then_forgotten() {
    let (apple, ear) = with_notices();
    ear.configure(&apple, &["ASSET_COUNT"]);
    ear.heard.is_deaf.store(true, Ordering::SeqCst);
    apple.buy("1", 1);
    ear.heard(2);
    apple.simulator.clock().advance(Duration::from_secs(60));
    ear.heard(3);
    apple.simulator.clock().advance(Duration::from_secs(180));
    let heard = ear.heard(4);
    assert!(
        heard[1..].iter().all(|it| it["notificationId"] == heard[1]["notificationId"]),
        "it is one, however often sent"
    );
    apple.simulator.clock().advance(Duration::from_secs(3600));
    ear.heard(4);
    let counts = apple.simulator.notices();
    assert_eq!((counts.posted, counts.delivered, counts.given_up, counts.waiting), (1, 0, 1, 0));
}

#[test]
fn notifications_are_lost_repeated_and_overtaken() {
    let (apple, ear) = with_notices();
    ear.configure(&apple, &["ASSET_COUNT"]);
    let faults = apple.simulator.faults();
    faults.next_call("notification", Fault::LostNotification).expect("room");
    apple.buy("1", 1);
    faults.next_call("notification", Fault::LateNotification).expect("room");
    apple.buy("2", 1);
    faults.next_call("notification", Fault::RepeatedNotification).expect("room");
    apple.buy("3", 1);
    ear.heard(2);
    apple.simulator.clock().advance(Duration::from_secs(10));
    let heard = ear.heard(4);
    let titles: Vec<_> = heard[1..].iter().map(|it| it["notification"]["adamId"].as_str().expect("an id")).collect();
    assert_eq!((titles[0], titles.iter().filter(|it| **it == "3").count()), ("3", 2), "{titles:?}");
    let ids: Vec<_> =
        heard.iter().filter(|it| it["notification"]["adamId"] == "3").map(|it| &it["notificationId"]).collect();
    assert_eq!(ids[0], ids[1], "a repeat has the same id");
    assert_eq!(apple.simulator.notices().lost, 1);
}

//! The list of subscriptions, which is read by cursor, as Apple's pages show it.

use super::{UNIT, connector};
use crate::harness::block_on;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use parking_lot::Mutex;
use seatledger::store::simulator::apple::{AppleSimulator, NewUnit, Options, Order};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Answers by the cursor that is sent, and remembers each; what it has no answer to is a cursor that it does not know.
#[derive(Clone)]
struct Pages {
    by_cursor: Arc<BTreeMap<String, Value>>,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn page(State(pages): State<Pages>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let cursor = query.get("cursor").cloned().unwrap_or_default();
    pages.asked.lock().push(cursor.clone());
    match pages.by_cursor.get(&cursor) {
        Some(page) => axum::Json(page.clone()).into_response(),
        None => (StatusCode::BAD_REQUEST, axum::Json(json!({"errorNumber": 9812}))).into_response(),
    }
}

/// What is read of a store with these pages, and with which cursors it was asked.
fn read(pages: &[(&str, Value)]) -> (Result<Vec<String>, String>, Vec<String>) {
    let by_cursor = pages.iter().map(|(cursor, page)| ((*cursor).to_owned(), page.clone())).collect();
    let pages = Pages { by_cursor: Arc::new(by_cursor), asked: Arc::default() };
    let router = Router::new().route("/subscriptions", get(page)).with_state(pages.clone());
    let listener = block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (done, stop) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        block_on(async { axum::serve(listener, router).with_graceful_shutdown(async { drop(stop.await) }).await })
    });
    let simulator = block_on(AppleSimulator::start(Options::default())).expect("a free port");
    let unit = NewUnit { uid: Some(UNIT.into()), ..NewUnit::default() };
    simulator.place(Order::Unit(unit)).expect("a unit");
    let connector = connector(&simulator, "seatledger", |settings| settings.url = url);
    let listed = block_on(connector.client().subscriptions(|_| ()));
    drop(done);
    let ids = |listed: Vec<seatledger::store::apple::wire::Subscription>| {
        listed.into_iter().map(|subscription| subscription.adam_id).collect()
    };
    let asked = pages.asked.lock().clone();
    (listed.map(ids).map_err(|trouble| trouble.to_string()), asked)
}

fn subscription(adam_id: u64) -> Value {
    let split = json!({"renewing": 1, "expiring": 0});
    json!({"parentAdamId": 54321, "adamId": adam_id, "status": "ACTIVE", "periodEndDate": "2026-12-31",
        "counts": {"assigned": split, "available": split, "total": {"renewing": 2, "expiring": 0}}})
}

#[test]
fn pages_are_read_one_after_the_other_each_with_the_cursor_of_the_last() {
    for end in [json!({}), json!({"nextCursor": null}), json!({"nextCursor": ""})] {
        let mut last = json!({"subscriptions": [subscription(3), subscription(1)], "uId": UNIT, "new": [1]});
        last.as_object_mut().expect("an object").extend(end.as_object().expect("an object").clone());
        let (listed, asked) = read(&[
            ("", json!({"subscriptions": [subscription(1), subscription(2)], "nextCursor": "a&b=1", "uId": UNIT})),
            ("a&b=1", json!({"subscriptions": null, "nextCursor": "c"})),
            ("c", last),
        ]);
        assert_eq!(listed, Ok(vec!["1".into(), "2".into(), "3".into()]), "each once");
        assert_eq!(asked, ["", "a&b=1", "c"]);
    }
}

#[test]
fn a_cursor_that_is_good_no_more_begins_the_list_anew_and_a_circle_is_no_list() {
    let (listed, asked) = read(&[("", json!({"subscriptions": [subscription(1)], "nextCursor": "old"}))]);
    assert!(listed.is_err_and(|why| why.contains("cursor")), "three times are enough");
    assert_eq!(asked, ["", "old", "", "old", "", "old"]);
    let (listed, _) = read(&[("", json!({"nextCursor": "a"})), ("a", json!({"nextCursor": "a"}))]);
    assert!(listed.is_err_and(|why| why.contains("no end")));
}

//! Notifications from the simulated store to our ear.

use super::{PAGES, UNIT, Unit, grant, pool, user};
use crate::harness::block_on;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use seatledger::store::apple::{Ear, Heard, Hint, NotificationSettings};
use seatledger::store::secret::StoreSecret;
use seatledger::store::simulator::apple::{NewAsset, Order};
use seatledger::store::simulator::faults::Fault;
use seatledger::store::terms::{Settled, Sought};
use std::sync::Arc;
use std::time::Duration;

const BEARER: &str = "a-bearer-of-the-tests";

#[test]
fn what_the_store_tells_is_heard_once_and_says_what_to_read() {
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let ear = Arc::new(Ear::new(StoreSecret::from(BEARER.to_owned())));
    let (into, of) = (Arc::clone(&heard), Arc::clone(&ear));
    let route = post(move |headers: HeaderMap, body: Bytes| async move {
        let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
        match of.hear(UNIT, authorization, &body) {
            Ok(told) => {
                into.lock().push(told);
                StatusCode::NO_CONTENT
            }
            Err(_) => StatusCode::UNAUTHORIZED,
        }
    });
    let listener = block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port");
    let url = format!("http://{}/told", listener.local_addr().expect("an address"));
    let router = Router::new().route("/told", route);
    let (done, stop) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        block_on(async { axum::serve(listener, router).with_graceful_shutdown(async { drop(stop.await) }).await })
    });
    let _there = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().tls_certs_only([]).build().expect("an HTTP client");
    let notify = NotificationSettings { url, bearer: StoreSecret::from(BEARER.to_owned()), types: vec![] };
    let unit =
        Unit::start_with(|options| options.client = Some(client), |settings| settings.notifications = Some(notify));
    block_on(unit.connector.enter()).expect("the unit is claimed, and the store has tried the address");
    unit.fault("*", Fault::RepeatedNotification, 1);
    unit.place(Order::Purchase(NewAsset::app(UNIT, PAGES, 2)));
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted);

    let is_heard = |what: &dyn Fn(&Heard) -> bool| {
        for _ in 0..300 {
            if heard.lock().iter().any(what) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    };
    assert!(is_heard(&|told| told.hint == Hint::Nothing), "the test notification");
    assert!(is_heard(&|told| told.hint == Hint::Figures { pool: pool(PAGES), count_delta: 2 }));
    assert!(is_heard(&|told| told.hint == Hint::Users));
    let of_seat = |told: &Heard| {
        told.event_id.is_some()
            && told.seats.iter().any(|seat| {
                let is_done = (seat.sought, &seat.settled) == (Sought::Grant, &Settled::Granted);
                is_done && seat.holder == user("ada") && seat.pool == pool(PAGES)
            })
    };
    assert!(is_heard(&of_seat));
    assert!(is_heard(&|told| told.is_repeated), "the repeated one is known again");
    drop(done);
}

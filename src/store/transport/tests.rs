//! Retries and bounds, against a server whose connections are cut where a fault says so.

use super::*;
use crate::store::simulator::faults::{Fault, FaultRates, Faults, Shot};
use crate::store::simulator::listener::Listening;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response as Said};
use axum::routing::any;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Town {
    faults: Faults,
    done: AtomicU64,
}

async fn act(State(town): State<Arc<Town>>) -> Said {
    let work = async {
        let count = town.done.fetch_add(1, Ordering::SeqCst) + 1;
        axum::Json(serde_json::json!({ "done": count, "name": "ada@contoso.example" })).into_response()
    };
    town.faults.around("act", axum::response::IntoResponse::into_response, work).await
}

async fn started() -> (Arc<Town>, Listening, Transport) {
    let town = Arc::new(Town { faults: Faults::new(1, FaultRates::new()), done: AtomicU64::new(0) });
    town.faults.set_slow(Duration::from_millis(600));
    let router = Router::new().route("/", any(act)).with_state(Arc::clone(&town));
    let listening = Listening::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router).await.expect("a free port");
    let limits = TransportLimits {
        call_max: Duration::from_secs(5),
        attempt_max: Duration::from_millis(300),
        body_bytes_max: 1000,
        attempts_max: 3,
        back_off_first: Duration::from_millis(5),
        ..TransportLimits::default()
    };
    // an error means that another test was here before
    let _there = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().tls_certs_only([]).build().expect("a client");
    (town, listening, Transport::new(http, limits))
}

async fn ask(transport: &Transport, url: &str, repeat: Repeat) -> Result<u64, Failed> {
    let read = |answer: &Answer| {
        let said: serde_json::Map<String, serde_json::Value> = answer.json()?;
        said.get("done").and_then(serde_json::Value::as_u64).ok_or(Trouble::Malformed("no count".into()))
    };
    transport.call(repeat, |http| http.post(url), read).await
}

#[tokio::test]
async fn what_passes_is_asked_again_and_only_where_that_is_harmless() {
    // the fault, how often the deed is done when it may be repeated, and whether it is in doubt when it may not
    let table = [
        (Fault::TooManyRequests, 1, None),
        (Fault::Unavailable, 1, None),
        (Fault::InternalError, 1, Some(true)),
        (Fault::CutBefore, 1, Some(true)),
        (Fault::CutAfter, 2, Some(true)),
        (Fault::CutInAnswer, 2, Some(true)),
        (Fault::WrongJson, 2, Some(true)),
        (Fault::SlowAnswer, 2, Some(true)),
    ];
    for (fault, done, doubt) in table {
        let (town, listening, transport) = started().await;
        town.faults.next_call("act", fault).expect("room");
        assert_eq!(ask(&transport, &listening.url(), Repeat::Always).await, Ok(done), "{fault:?}");
        town.faults.next_call("act", fault).expect("room");
        let once = ask(&transport, &listening.url(), Repeat::IfNotDone).await;
        assert_eq!(once.as_ref().err().map(|failed| failed.may_have_happened), doubt, "{fault:?}: {once:?}");
        if let Err(failed) = once {
            assert!(failed.trouble.passes(), "{failed:?}");
            assert!(!failed.trouble.to_string().contains("ada"), "{failed:?}");
            assert!(!failed.trouble.to_string().contains("127.0.0.1"), "{failed:?}");
        }
    }
}

#[tokio::test]
async fn attempts_end_and_a_doubt_of_an_earlier_one_stays() {
    let (town, listening, transport) = started().await;
    let shot = |fault, after, times| Shot { operation: "act".into(), fault, after, times };
    town.faults.next(shot(Fault::CutAfter, 0, 1)).expect("room");
    town.faults.next(shot(Fault::TooManyRequests, 0, 9)).expect("room");
    let failed = ask(&transport, &listening.url(), Repeat::Always).await.expect_err("it gives up");
    assert!(failed.may_have_happened);
    assert_eq!(failed.trouble, Trouble::Throttled { retry_after_seconds: Some(1) });
    assert_eq!(town.done.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_that_asks_for_more_time_than_there_is_gets_it_from_the_caller() {
    let far = || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", u64::MAX.to_string())]).into_response();
    let router = Router::new().route("/", any(async move || far()));
    let listening = Listening::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router).await.expect("a free port");
    let (_town, _other, transport) = started().await;
    let failed = ask(&transport, &listening.url(), Repeat::Always).await.expect_err("it does not wait");
    assert_eq!(failed.trouble, Trouble::Throttled { retry_after_seconds: Some(u64::MAX) });
}

#[tokio::test]
async fn who_calls_before_the_time_that_a_store_asked_for_hears_so_without_a_call() {
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY] {
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        let answer = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let dates = [("date", "Sat, 28 Nov 2026 23:30:00 GMT"), ("retry-after", "Sun, 29 Nov 2026 00:30:00 GMT")];
            (status, dates).into_response()
        };
        let router = Router::new().route("/", any(answer));
        let listening =
            Listening::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), router).await.expect("a free port");
        let (_town, _other, transport) = started().await;
        for turn in 0..5 {
            let failed = ask(&transport, &listening.url(), Repeat::Always).await.expect_err("it does not wait");
            let is_throttled = matches!(failed.trouble, Trouble::Throttled { retry_after_seconds: Some(3590..=3600) });
            assert!(is_throttled || (turn == 0 && status == StatusCode::BAD_GATEWAY), "{turn}: {failed:?}");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 1, "{status}");
    }
}

#[test]
fn when_to_come_back_is_said_in_seconds_or_as_a_date_of_the_stores_clock() {
    let told = |after: &str, date: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, after.parse().expect("a value"));
        if let Some(date) = date {
            headers.insert(header::DATE, date.parse().expect("a value"));
        }
        retry_after(&headers)
    };
    let (at, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT");
    assert_eq!(told(" 120 ", None), Some(120));
    assert_eq!(told(later, Some(at)), Some(30));
    assert_eq!(told(at, Some(later)), Some(0), "it is over");
    assert_eq!(told(later, None), None, "by no clock");
    for not_a_time in ["", "soon", "-1", "1.5"] {
        assert_eq!(told(not_a_time, Some(at)), None, "{not_a_time}");
    }
}

#[tokio::test]
async fn nobody_there_is_no_doubt_and_a_long_answer_is_not_read() {
    let (_town, listening, transport) = started().await;
    let url = listening.url();
    let long = TransportLimits { body_bytes_max: 5, ..*transport.limits() };
    let short = Transport::new(transport.http.clone(), long);
    let failed = ask(&short, &url, Repeat::IfNotDone).await.expect_err("too long");
    assert!(matches!(failed.trouble, Trouble::Malformed(_)) && failed.may_have_happened, "{failed:?}");
    drop((short, listening));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let failed = ask(&transport, "http://127.0.0.1:1", Repeat::Always).await.expect_err("nobody listens there");
    assert!(matches!(failed.trouble, Trouble::Unreachable(_)) && !failed.may_have_happened, "{failed:?}");
}

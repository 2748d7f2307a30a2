//! Streams of events that go on for too long, and too many of them.

use super::access::service_time_after;
use crate::harness::{Client, ROOT_TOKEN, Service, block_on};
use reqwest::{Response, StatusCode};
use serde_json::json;
use std::time::Duration;

fn stream(of: &Client, token: &str) -> Response {
    let asked = reqwest::Client::new().get(of.url("/events/stream")).bearer_auth(token);
    block_on(asked.send()).expect("an answer")
}

#[test]
fn a_stream_ends_with_its_token_though_nothing_happens() {
    let service = Service::start();
    let t = service.tenant();
    let soon = service_time_after(&service, 3600);
    let made = t.post("/tokens", json!({"name": "for an hour", "role": "auditor", "expires_at": soon})).created();
    let mut stream = stream(&t, made["token"].as_str().expect("a token"));
    assert_eq!(stream.status(), StatusCode::OK);
    service.advance_seconds(3600);
    let head = t.head();
    let read = async { while stream.chunk().await.expect("it ends well").is_some() {} };
    block_on(async { tokio::time::timeout(Duration::from_secs(30), read).await }).expect("it ends");
    assert_eq!(t.head(), head, "nothing happened");
}

#[test]
fn nobody_takes_the_streams_of_all() {
    let service = Service::start();
    let (t, other) = (service.tenant(), service.tenant());
    let held: Vec<Response> = (0..64).map(|_| stream(&t, ROOT_TOKEN)).collect();
    assert!(held.iter().all(|one| one.status() == StatusCode::OK));
    t.get("/events/stream").problem("overloaded");
    assert_eq!(stream(&other, ROOT_TOKEN).status(), StatusCode::OK);
}

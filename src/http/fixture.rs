//! A service on a folder of its own, for the tests of this room: its root token is `root`, nobody is asked for anything. And what
//! they ask it for, of every kind.

use super::{RateLimits, RequestLimits, Service, calls, parameters};
use crate::clock::Clock;
use crate::domain::time::Time;
use crate::ledger::{Ledger, LedgerOptions, LogOptions, MasterKeySource, NoProgress, Signing};
use crate::store::credentials::CredentialSource;
use crate::store::desk::{StoreOptions, Stores};
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::{Extension, Router};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt as _;

pub(super) fn service(dir: &Path, body_bytes_max: usize) -> Arc<Service> {
    let patience = Duration::from_secs(60);
    service_within(dir, body_bytes_max, patience, patience)
}

pub(super) fn service_within(
    dir: &Path,
    body_bytes_max: usize,
    pause_max: Duration,
    request_max: Duration,
) -> Arc<Service> {
    let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
    let clock = Clock::manual(Time(1_790_000_000_000_000));
    let options = LedgerOptions { log, master_key: MasterKeySource::DataFolder, clock, signing: Signing::default() };
    let ledger = Ledger::open(options, &NoProgress).unwrap();
    let limits = RequestLimits { body_bytes_max, bulk_bytes_max: 1 << 20, pause_max, request_max };
    let rate = RateLimits { requests_per_s: 0, strangers_per_s: 0 };
    let credentials = CredentialSource { folder: dir.join("credentials"), given: None, command: None };
    let client = Box::new(|_: &str| Err("nobody is asked".to_owned()));
    let zero = Duration::ZERO;
    let options =
        StoreOptions { credentials, client, urls: vec![], sync_every: zero, sync_pause: zero, agree_after: zero };
    let stores = Stores::new(ledger.clone(), options);
    Service::new(ledger, stores, "root", limits, rate, None, Duration::from_secs(9))
}

/// Every call, without what stands around it.
pub(super) fn router(service: &Arc<Service>) -> Router {
    let (router, document) = calls().split_for_parts();
    let parameters = Arc::new(parameters::Parameters::of(&document));
    router.layer(Extension(parameters)).with_state(Arc::clone(service))
}

/// Asks for something of the tenant `acme` that is done; with the body that answers it.
pub(super) async fn done(router: &Router, method: &str, path: &str, body: Value) -> Value {
    let request = Request::builder().method(method).uri(format!("/v1/tenants/acme/{path}"));
    let request = request.header("authorization", "Bearer root").header("content-type", "application/json");
    let mut request = request.body(Body::from(body.to_string())).unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body: Value = serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap();
    assert!(parts.status.is_success(), "{body}");
    body
}

pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

/// Method, path, headers, body.
type Written<'a> = (&'static str, &'static str, &'a [(&'static str, &'a str)], &'a str);

/// Calls that go past the router with whatever can be wrong with them, and others, in an order in which they make sense to a
/// service whose bodies have at most 2000 bytes.
pub(super) fn asked() -> Vec<Asked> {
    let root = ("authorization", "Bearer root");
    let json = ("content-type", "application/json");
    let assign = r#"{"pool":"declared:office","target":{"user":"ada"},"intent":"required"}"#;
    let install = r#"{"pool":"declared:office","device":"d1","user":"ada"}"#;
    let other = r#"{"pool":"declared:office","target":{"user":"ada"},"intent":"available"}"#;
    let bob = r#"{"pool":"declared:office","target":{"user":"bob"},"intent":"required"}"#;
    let large = format!("{{\"pool\":\"{}\"}}", "x".repeat(3000));
    let any = (1..40).map(|tag| format!("\"{tag}\"")).collect::<Vec<_>>().join(", ");
    let all: &[Written<'_>] = &[
        ("PUT", "/v1/tenants/acme", &[root, json], r#"{"name":"Acme"}"#),
        ("PUT", "/v1/tenants/acme/users/ada", &[root, json], r#"{"user_name":"ada"}"#),
        (
            "PUT",
            "/v1/tenants/acme/devices/d1",
            &[root, json],
            r#"{"serial":"d1","platform":"windows","join":"entra","os_build":20348}"#,
        ),
        (
            "POST",
            "/v1/tenants/acme/inventory",
            &[root, json],
            r#"{"complete":true,"items":[{"sku":"office","license_type":"offline","name":"Office","owned":1,"distribution_policy":"restricted"}]}"#,
        ),
        ("POST", "/v1/tenants/acme/assignments", &[root, json, ("idempotency-key", "a")], assign),
        ("POST", "/v1/tenants/acme/assignments", &[root, json, ("idempotency-key", "a")], assign),
        ("POST", "/v1/tenants/acme/assignments", &[root, json, ("idempotency-key", "a")], other),
        ("PUT", "/v1/tenants/acme/users/bob", &[root, json], r#"{"user_name":"bob"}"#),
        ("POST", "/v1/tenants/acme/assignments", &[root, json], bob),
        ("POST", "/v1/tenants/acme/assignments?x=1", &[root], assign),
        ("POST", "/v1/tenants/acm%65/assignments", &[root, json], assign),
        ("POST", "/v1/tenants/acme/assignments", &[json], assign),
        ("POST", "/v1/tenants/acme/assignments", &[("authorization", "Bearer no"), json], assign),
        ("POST", "/v1/tenants/none/assignments", &[root, json], assign),
        ("POST", "/v1/tenants/acme/assignments", &[root, json, ("if-match", "x")], assign),
        ("POST", "/v1/tenants/acme/assignments", &[root, json, ("if-none-match", "*")], assign),
        ("POST", "/v1/tenants/acme/assignments", &[root, json, ("idempotency-key", "ä")], assign),
        ("POST", "/v1/tenants/acme/assignments", &[root, ("content-type", "text/plain")], assign),
        ("POST", "/v1/tenants/acme/assignments", &[root, json], &large),
        ("POST", "/v1/tenants/acme/assignments", &[root, json, ("content-length", "9999")], "{}"),
        ("POST", "/v1/tenants/acme/assignments", &[root, json], "{"),
        ("POST", "/v1/tenants/acme/assignments", &[root, json], "[]"),
        ("POST", "/v1/tenants/acme/assignments/", &[root, json], assign),
        ("POST", "/v1/tenants//assignments", &[root, json], assign),
        ("DELETE", "/v1/tenants/acme/assignments", &[root], ""),
        ("GET", "/v1/tenants/acme/assignments", &[root], ""),
        ("HEAD", "/v1/tenants/acme/assignments", &[root], ""),
        ("POST", "/v1/tenants/acme/installs", &[root, json], install),
        ("POST", "/v1/tenants/acme/installs", &[root, json], r#"{"pool":"declared:office","device":"d1"}"#),
        ("POST", "/v1/tenants/acme/uninstalls", &[root, json], install),
        ("GET", "/v1/tenants/acme/installs", &[root], ""),
        ("GET", "/v1/tenants/acme/pools/declared:office", &[root], ""),
        ("GET", "/v1/tenants/acme/pools/pool_0", &[root, ("if-none-match", "\"0\", x")], ""),
        ("GET", "/v1/tenants/acme/pools/pool_0", &[root, ("if-none-match", &any)], ""),
        ("GET", "/v1/tenants/acme/pools/declared:none", &[root], ""),
        ("GET", "/v1/tenants/acme/pools/pool_0", &[], ""),
        ("GET", "/v1/tenants/acme/pools/pool_0?at_least=1", &[root], ""),
        ("HEAD", "/v1/tenants/acme/pools/pool_0", &[root], ""),
        ("POST", "/nowhere", &[root], ""),
    ];
    let owned = |(method, path, headers, body): &Written<'_>| Asked {
        method,
        path,
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body: (*body).to_owned(),
    };
    all.iter().map(owned).collect()
}

//! Whom the rows are about: people, and apps with more seats than will be asked for; and the calls, each for another pair of
//! a person and an app. Not here: sending them.

use super::super::client::Client;
use super::super::exit::Failure;
use super::super::progress::Progress;
use super::super::spawned::Spawned;
use super::load::To;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) const TENANT: &str = "bench";
pub(super) const POOLS: usize = 200;
/// Without a limit that anybody meets.
const OWNED: u64 = 1_000_000_000;

pub(super) fn path(rest: &str) -> String {
    path_in(TENANT, rest)
}

pub(super) fn path_in(tenant: &str, rest: &str) -> String {
    format!("/v1/tenants/{tenant}{rest}")
}

pub(super) fn address(url: &str) -> Result<SocketAddr, Failure> {
    url.trim_start_matches("http://").parse().map_err(|error| Failure::Unreachable(format!("{url}: {error}")))
}

/// A request to the service.
pub(super) fn to(service: &Spawned, method: &'static str, path: String, type_: &'static str) -> Result<To, Failure> {
    Ok(To {
        process: service.id().ok_or_else(|| Failure::Unreachable("the service is gone".into()))?,
        address: address(service.url())?,
        method,
        path,
        token: service.token().to_owned(),
        content_type: type_,
    })
}

/// A tenant with its apps and its people.
pub(super) async fn found(client: &Client, tenant: &str, users: usize) -> Result<(), Failure> {
    client.put(&path_in(tenant, ""), json!({"name": "Bench"}), None).await?;
    let items: Vec<Value> = (0..POOLS).map(item).collect();
    client.post(&path_in(tenant, "/inventory"), json!({"complete": true, "items": items}), None).await?;
    let progress = Progress::new("people", users as u64);
    let users: Vec<usize> = (0..users).collect();
    for part in users.chunks(5000) {
        let person = |user| json!({"type": "put_user", "user": format!("u{user}"), "user_name": format!("u{user}")});
        let commands: Vec<Value> = part.iter().map(person).collect();
        client.commands(tenant, &commands).await?;
        progress.advance(part.len() as u64);
    }
    progress.finish();
    Ok(())
}

fn item(at: usize) -> Value {
    json!({
        "sku": format!("app{at}"), "license_type": "offline", "name": format!("App {at}"), "publisher": "Bench", "owned": OWNED,
        "distribution_policy": "restricted", "price": {"currency": "EUR", "minor_units": 100}, "encrypted": false, "related_set": null,
    })
}

/// Assignments that were not asked for yet: each pair of a person and an app comes once, to whoever asks. Clones are one.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    users: u64,
    next: Arc<AtomicU64>,
}

impl Pairs {
    pub(super) fn new(users: usize) -> Self {
        Self { users: users as u64, next: Arc::default() }
    }

    /// The next so many; `None` when there are no more.
    pub(super) fn take(&self, count: u64) -> Option<Range<u64>> {
        let begin = self.next.fetch_add(count, Ordering::Relaxed);
        let end = begin + count;
        (end <= POOLS as u64 * self.users).then_some(begin..end)
    }

    /// The app and the person of one of them.
    pub(super) fn at(&self, at: u64) -> (u64, u64) {
        ((at / self.users + at) % POOLS as u64, at % self.users)
    }

    /// One of them for a client that writes JSON itself.
    pub(super) fn command(&self, at: u64) -> Value {
        let (pool, user) = self.at(at);
        let target = json!({"user": format!("u{user}")});
        json!({"type": "assign", "pool": format!("declared:app{pool}"), "target": target, "intent": "required"})
    }

    /// The body of a call for the next one.
    pub(super) fn call(&self) -> Option<String> {
        self.take(1).map(|one| format!("{{{}}}", fields(self.at(one.start))))
    }

    /// The body of a call for the next so many.
    pub(super) fn lines(&self, count: u64) -> Option<String> {
        let line = |at| format!("{{\"type\":\"assign\",{}}}\n", fields(self.at(at)));
        Some(self.take(count)?.map(line).collect())
    }
}

fn fields((pool, user): (u64, u64)) -> String {
    format!("\"pool\":\"declared:app{pool}\",\"target\":{{\"user\":\"u{user}\"}},\"intent\":\"required\"")
}

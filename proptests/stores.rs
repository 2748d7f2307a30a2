//! Lives of an organization against simulated stores, through the public contract and over real sockets: linked, synced,
//! confirmed, sold out, refunded, drifted, and in the end the ledger and the store agree seat by seat.

mod again;
mod apple;
mod both;
mod console;
mod interleavings;
mod killed;
mod microsoft;
mod names;
mod rests;
mod units;

use crate::harness::{Options, Service, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A store that has turned writes away twice is left alone for a minute, and nothing is settled before.
const PATIENCE: Duration = Duration::from_secs(150);

fn service_for(url: &str) -> Service {
    service_for_all(&[url.to_owned()])
}

/// A service that may ask the stores at these URLs, begins no sync by itself, and waits for nothing between two of them.
fn service_for_all(urls: &[String]) -> Service {
    service_that_waits(urls, 0)
}

/// One that does: between syncs of its own, and for two that agree.
fn service_that_waits(urls: &[String], seconds: u32) -> Service {
    let urls: Vec<_> = urls.iter().map(|url| format!("\"{url}\"")).collect();
    let urls = format!("[{}]", urls.join(", "));
    let environment = vec![
        ("SEATLEDGER_STORE_URLS", urls),
        ("SEATLEDGER_STORE_SYNC_SECONDS", "0".to_owned()),
        ("SEATLEDGER_STORE_PAUSE_SECONDS", seconds.to_string()),
        ("SEATLEDGER_STORE_AGREE_SECONDS", seconds.to_string()),
    ];
    Service::start_with(Options { environment, ..Options::default() })
}

/// One tenant with its store.
struct Shop {
    tenant: Tenant,
    provider: &'static str,
}

impl Shop {
    fn new(service: &Arc<Service>, provider: &'static str) -> Self {
        Self { tenant: service.tenant(), provider }
    }

    /// A full sync, to its end.
    fn sync(&self) -> Value {
        let begun = eventually(|| {
            let begun = self.tenant.post("/syncs", json!({"provider": self.provider, "full": true}));
            // one that does less may be under way
            let is_running = begun.body["type"] == "/problems/sync-running";
            assert!(begun.status == 202 || is_running, "{}", begun.text);
            if begun.status == 202 { Ok(begun.body) } else { Err(begun.body) }
        });
        self.ended(begun["sync"].as_str().expect("a sync"))
    }

    fn ended(&self, sync: &str) -> Value {
        eventually(|| {
            let seen = self.tenant.get(&format!("/syncs/{sync}")).ok();
            if seen["state"] == "running" { Err(seen) } else { Ok(seen) }
        })
    }

    fn synced(&self) -> Value {
        let sync = self.sync();
        assert_eq!(sync["state"], "completed", "{sync}");
        sync
    }

    /// No sync is under way.
    fn at_rest(&self) {
        eventually(|| {
            let mut syncs = self.tenant.list("/syncs");
            syncs.retain(|sync| sync["state"] == "running");
            if syncs.is_empty() { Ok(()) } else { Err(json!(syncs)) }
        });
    }

    fn connector(&self) -> Value {
        self.tenant.get(&format!("/store-accounts/{}", self.provider)).ok()["connector"].clone()
    }

    /// Nothing waits for the store's word any more.
    fn settled(&self) {
        eventually(|| {
            let pools = self.tenant.list("/pools");
            let seats = |pool: &Value| {
                let seats = self.tenant.list(&format!("/pools/{}/seats", pool["id"].as_str().expect("an id")));
                let is_waiting = |seat: &Value| {
                    let flags = seat["flags"].as_array().expect("flags");
                    seat["state"] == "releasing" || flags.iter().any(|flag| flag == "unconfirmed")
                };
                seats.into_iter().filter(is_waiting).collect::<Vec<_>>()
            };
            let waiting: Vec<Value> = pools.iter().flat_map(seats).collect();
            if waiting.is_empty() { Ok(()) } else { Err(json!([self.connector(), waiting])) }
        });
    }

    /// A pool's figures by its key.
    fn figures(&self, key: &str) -> String {
        let pool = self.tenant.get(&format!("/pools/{}", crate::harness::encode(key))).ok();
        let parts = ["owned", "held", "reserved", "in_use", "releasing", "foreign", "over_by", "queued"];
        let shown = parts.iter().filter(|part| pool[**part] != 0).map(|part| format!("{part} {}", pool[*part]));
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Who holds a seat of a pool here, by the name that the store has for them.
    fn holders(&self, key: &str) -> BTreeSet<String> {
        let seats = self.tenant.list(&format!("/pools/{}/seats", crate::harness::encode(key)));
        seats.iter().map(|seat| self.name_of(seat["holder"].as_str().expect("a holder")).to_lowercase()).collect()
    }

    /// The user name, or the serial number.
    fn name_of(&self, holder: &str) -> String {
        let name = match holder.split_once(':').expect("a kind") {
            ("user", id) => self.tenant.get(&format!("/users/{id}")).ok()["user_name"].clone(),
            (_, id) => self.tenant.get(&format!("/devices/{id}")).ok()["serial"].clone(),
        };
        name.as_str().expect("a name").to_owned()
    }

    fn assign(&self, key: &str, user: &str, intent: &str) -> crate::harness::Answer {
        self.tenant.post("/assignments", json!({"pool": key, "target": {"user": user}, "intent": intent}))
    }
}

/// Asks again and again until it is so.
///
/// # Panics
/// With what was seen last, when it is never so.
fn eventually<T>(mut look: impl FnMut() -> Result<T, Value>) -> T {
    let begun = seatledger::clock::monotonic();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) => assert!(begun.elapsed() < PATIENCE, "it never came to it: {seen}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

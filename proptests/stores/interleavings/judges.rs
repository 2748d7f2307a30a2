//! Who judges a life that has ended: the store and the ledger side by side, the store's journal, and the history event by
//! event.

use crate::harness::{encode, grants_in};
use crate::history::History;
use crate::stores::Shop;
use seatledger::store::simulator::journal::{Deed, Entry};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Who has a seat of a pool has it at the store, and the other way round.
pub(super) fn agree_on(shop: &Shop, pool: &str, sitting: &BTreeSet<String>) {
    let shown = shop.tenant.get(&format!("/pools/{}", encode(pool))).ok();
    let here = shop.holders(pool);
    assert_eq!(*sitting, here, "the store's on the left; {pool}: {shown}");
    assert_eq!(shown["held"], sitting.len(), "{pool}: {shown}");
    assert_eq!(shown["state"], "active", "{pool}: {shown}");
}

/// The laws at every position; and at the store nobody was given a second seat, nor one that the ledger had not granted.
/// Answers how often what was recorded.
pub(super) fn kept_the_laws(shop: &Shop, journal: Vec<Entry>, we: &str, is_late: bool) -> BTreeMap<String, u64> {
    let mut history = History::default();
    let events = history.read_on(&shop.tenant);
    history.equals_the_figures_of(&shop.tenant);
    if !is_late {
        never_more_than_was_granted(shop, &events, &journal, we);
    }
    grants_in(journal);
    let mut recorded = BTreeMap::new();
    for event in &events {
        *recorded.entry(text(&event["type"])).or_default() += 1;
    }
    recorded
}

/// What a store can make of a seat, and an account of a day: a walk that misses one of these proves little.
const MUST_BE_SEEN: [&str; 23] = [
    "assignment_made",
    "assignment_ended",
    "seat_granted",
    "seat_taken",
    "seat_idle",
    "seat_confirmed",
    "seat_releasing",
    "seat_release_sent",
    "seat_taken_back",
    "regrant_flagged",
    "seat_released",
    "foreign_seat_seen",
    "foreign_seat_adopted",
    "queued",
    "requeued",
    "serving_paused",
    "serving_resumed",
    "capacity_changed",
    "pool_suspended",
    "pool_resumed",
    "sync_started",
    "sync_completed",
    "sync_failed",
];

/// Over many lives.
pub(super) fn saw_it_all(seen: &BTreeMap<String, u64>, must_happen: &[String]) {
    let all = MUST_BE_SEEN.iter().copied().chain(must_happen.iter().map(String::as_str));
    let missing: Vec<_> = all.filter(|kind| seen.get(*kind).is_none_or(|count| *count == 0)).collect();
    assert!(missing.is_empty(), "the walk never came to {missing:?}; it saw {seen:?}");
}

/// A seat that we had the store give was granted here, or had been taken by somebody before it was confirmed: then it may
/// have been asked for once more.
fn never_more_than_was_granted(shop: &Shop, events: &[Value], journal: &[Entry], we: &str) {
    let mut balance: BTreeMap<(String, String), i64> = BTreeMap::new();
    for Entry { pool, holder, deed, by, .. } in journal {
        let holder = holder.split_once(':').map_or(holder.as_str(), |(_, name)| name).to_lowercase();
        let given = balance.entry((pool.replace('/', ":"), holder)).or_default();
        match deed {
            Deed::Granted if by == we => *given += 1,
            Deed::Released if by != we => *given -= 1,
            Deed::Granted
            | Deed::Released
            | Deed::GrantedAlready
            | Deed::GrantRefused
            | Deed::ReleasedAlready
            | Deed::ReleaseRefused => {}
        }
    }
    let keys: BTreeMap<String, String> = shop
        .tenant
        .list("/pools")
        .iter()
        .map(|pool| (text(&pool["id"]), text(&pool["key"]).trim_end_matches(":online").to_owned()))
        .collect();
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for granted in events.iter().filter(|event| event["type"] == "seat_granted") {
        let holder = text(&granted["data"]["holder"]);
        let name = names.entry(holder).or_insert_with_key(|holder| shop.name_of(holder).to_lowercase()).clone();
        let pool = keys[&text(&granted["data"]["pool"])].clone();
        *balance.entry((pool, name)).or_default() -= 1;
    }
    let too_many: Vec<_> = balance.into_iter().filter(|(_, given)| *given > 0).collect();
    assert!(too_many.is_empty(), "given at the store more often than granted here: {too_many:?}");
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

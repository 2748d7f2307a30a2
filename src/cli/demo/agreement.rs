//! Whether the ledger and the stores say the same, pool by pool and seat by seat: the stores by their own books, read past the
//! protocol and past our client; the ledger by its public answers. Not here: what is done about a difference.

use super::life::{Life, number};
use super::stores::Seat;
use crate::cli::client::encode;
use crate::cli::exit::Failure;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Differences that are shown.
const SHOWN_MAX: usize = 20;

/// What was compared, and where the two differ.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    pub(super) pools: u64,
    /// At the stores.
    pub(super) seats: u64,
    /// Among them, those that another tool gave and nobody adopted.
    pub(super) foreign: u64,
    pub(super) only_at_store: Vec<Seat>,
    pub(super) only_in_ledger: Vec<Seat>,
    /// Seats here of which the store has not said its word yet.
    pub(super) waiting: Vec<Seat>,
    /// Pools of which the two count another number of seats as owned: key, store, ledger.
    pub(super) owned_differs: Vec<(String, Value, Value)>,
    pub(super) drifts: u64,
    pub(super) drifts_open: u64,
}

impl Agreement {
    pub(super) fn agrees(&self) -> bool {
        let lists = [&self.only_at_store, &self.only_in_ledger, &self.waiting];
        lists.into_iter().all(Vec::is_empty) && self.owned_differs.is_empty() && self.seats > 0
    }

    pub(super) fn json(&self) -> Value {
        let shown = |seats: &[Seat]| -> Vec<Value> {
            seats.iter().take(SHOWN_MAX).map(|(pool, holder)| json!({"pool": pool, "holder": holder})).collect()
        };
        json!({
            "agrees": self.agrees(), "pools": self.pools, "seats": self.seats, "foreign": self.foreign,
            "only_at_store": shown(&self.only_at_store), "only_in_ledger": shown(&self.only_in_ledger), "waiting": shown(&self.waiting),
            "owned_differs": self.owned_differs, "drifts": self.drifts, "drifts_open": self.drifts_open,
        })
    }
}

/// Reads both sides and compares them.
pub(super) async fn compare(life: &Life) -> Result<Agreement, Failure> {
    let mut agreement = Agreement::default();
    let names = names(life).await?;
    let mut ours: BTreeSet<Seat> = BTreeSet::new();
    for pool in &life.company.pools {
        let key = pool.key();
        agreement.pools += 1;
        let here = life.pools.get(&key).and_then(|figures| figures.get("owned")).cloned().unwrap_or(Value::Null);
        let there = life.stores.owned(pool)?.map_or_else(|| json!("unlimited"), Value::from);
        if here != there {
            agreement.owned_differs.push((key.clone(), there, here));
        }
        // who holds a license that was carried off, no store knows
        if !pool.is_apple() && !pool.is_online() {
            continue;
        }
        agreement.foreign += life.pools.get(&key).map_or(0, |figures| number(figures, "foreign"));
        for seat in life.teller.list(&format!("/pools/{}/seats", encode(&key))).await? {
            let holder = seat.get("holder").and_then(Value::as_str).unwrap_or_default();
            let name = names.get(holder).cloned().unwrap_or_else(|| holder.to_owned());
            let is_unconfirmed = seat
                .get("flags")
                .and_then(Value::as_array)
                .is_some_and(|flags| flags.iter().any(|flag| flag.as_str() == Some("unconfirmed")));
            if is_unconfirmed || seat.get("state").and_then(Value::as_str) == Some("releasing") {
                agreement.waiting.push((key.clone(), name.clone()));
            }
            ours.insert((key.clone(), name));
        }
    }
    let theirs = life.stores.seats()?;
    agreement.seats = theirs.len() as u64;
    agreement.only_at_store = theirs.difference(&ours).cloned().collect();
    agreement.only_in_ledger = ours.difference(&theirs).cloned().collect();
    let drifts = life.teller.list("/drift").await?;
    agreement.drifts = drifts.len() as u64;
    agreement.drifts_open =
        drifts.iter().filter(|drift| drift.get("resolution").is_none_or(Value::is_null)).count() as u64;
    Ok(agreement)
}

/// By holder, as the stores name them: people by user name, devices by serial number.
async fn names(life: &Life) -> Result<BTreeMap<String, String>, Failure> {
    let mut names = BTreeMap::new();
    for (kind, list, field) in [("user", "/users", "user_name"), ("device", "/devices", "serial")] {
        for one in life.teller.list(list).await? {
            let word = |field: &str| one.get(field).and_then(Value::as_str);
            if let (Some(id), Some(name)) = (word("id"), word(field)) {
                names.insert(format!("{kind}:{id}"), name.to_lowercase());
            }
        }
    }
    Ok(names)
}

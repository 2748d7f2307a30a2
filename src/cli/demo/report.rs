//! What the demo prints at its end: figures, sell-outs, refusals, departures, the stores, the proof. Not here: how any of it came
//! about.

use super::agreement::Agreement;
use super::life::{Life, number};
use crate::cli::output::{grouped, table};
use serde_json::{Value, json};

const POOLS_SHOWN: usize = 15;
const SELL_OUTS_SHOWN: usize = 12;

/// The digest of the running service beside that of a replay of its folder.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) position: u64,
    pub(super) running: String,
    pub(super) replayed_position: u64,
    pub(super) replayed: String,
    pub(super) replay_events_per_s: u64,
}

impl Proof {
    pub(super) fn agrees(&self) -> bool {
        self.position == self.replayed_position && self.running == self.replayed && !self.running.is_empty()
    }
}

/// Pools whose figures contradict the law of conservation: none, ever.
pub(super) fn lawless(pools: &std::collections::BTreeMap<String, Value>) -> Vec<String> {
    let breaks = |pool: &Value| {
        let held = number(pool, "held");
        let parts =
            number(pool, "reserved") + number(pool, "in_use") + number(pool, "releasing") + number(pool, "foreign");
        let is_capped = pool.get("owned").is_some_and(Value::is_u64) && pool.get("free").is_some_and(Value::is_u64);
        held != parts || (is_capped && number(pool, "owned") + number(pool, "over_by") != held + number(pool, "free"))
    };
    pools.iter().filter(|(_, pool)| breaks(pool)).map(|(key, _)| key.clone()).collect()
}

/// What the report is made of.
pub(super) struct Told<'t> {
    pub(super) life: &'t Life,
    pub(super) agreement: &'t Agreement,
    pub(super) proof: &'t Proof,
    pub(super) elapsed_s: f64,
    /// Where the service and the stores can be looked at; null once they are gone.
    pub(super) places: Value,
}

pub(super) fn text(told: &Told<'_>) -> String {
    let Told { life, agreement, proof, elapsed_s, places: _ } = told;
    let figure = |pool: &Value, field: &str| match pool.get(field) {
        Some(Value::String(word)) => word.clone(),
        Some(other) => other.as_u64().map_or_else(String::new, grouped),
        None => String::new(),
    };
    let name = |pool: &Value| {
        let key = pool.get("key").and_then(Value::as_str).unwrap_or("");
        life.company.name_of(key).unwrap_or_else(|| key.to_owned())
    };
    let mut busiest: Vec<&Value> = life.pools.values().collect();
    busiest.sort_by_key(|pool| std::cmp::Reverse((number(pool, "held") + number(pool, "refused") * 4, name(pool))));
    let fields = ["owned", "held", "reserved", "in_use", "free", "over_by", "queued", "refused"];
    let rows = busiest
        .iter()
        .take(POOLS_SHOWN)
        .map(|pool| std::iter::once(name(pool)).chain(fields.map(|field| figure(pool, field))).collect())
        .collect();
    let header: Vec<&str> = std::iter::once("pool").chain(fields).collect();
    let mut text = format!(
        "The busiest {} of {} pools\n{}\n",
        POOLS_SHOWN.min(life.pools.len()),
        life.pools.len(),
        table(&header, rows, 1)
    );

    text.push_str(&format!("\nSold out {} times\n", life.sell_outs.len()));
    let mut sell_outs: Vec<_> = life.sell_outs.iter().collect();
    sell_outs.sort_by_key(|sell_out| std::cmp::Reverse(sell_out.queued_most));
    let row = |sell_out: &&super::life::SellOut| {
        let until = sell_out.until.clone().unwrap_or_else(|| "now".into());
        vec![
            sell_out.name.clone(),
            sell_out.from.clone(),
            until,
            grouped(sell_out.owned),
            grouped(sell_out.queued_most),
        ]
    };
    let rows = sell_outs.iter().take(SELL_OUTS_SHOWN).map(row).collect();
    text.push_str(&table(&["pool", "from", "until", "owned", "queued"], rows, 3));

    text.push_str("\n\nRefused, by reason\n");
    let mut refused: Vec<_> = life.teller.tally.refused.iter().collect();
    refused.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    text.push_str(&table(
        &["reason", "times"],
        refused.iter().map(|(reason, count)| vec![(*reason).clone(), grouped(**count)]).collect(),
        1,
    ));
    for surprise in &life.teller.tally.surprises {
        text.push_str(&format!("\n  not foreseen: {surprise}"));
    }

    text.push_str("\n\nWhat an administrator would remember\n");
    for line in &life.chronicle {
        text.push_str(&format!("  {line}\n"));
    }
    let tally = &life.teller.tally;
    text.push_str(&format!(
        "\nPeople      {} joined, {} departed ({} seats released or on their way to the store), {} returned\n",
        grouped(life.joined),
        grouped(life.departures),
        grouped(life.seats_released),
        grouped(life.returns)
    ));
    text.push_str(&format!(
        "Seats       {} bought later on, {} refunded\n",
        grouped(life.seats_bought),
        grouped(life.seats_refunded)
    ));
    let events = proof.position + 1;
    text.push_str(&format!(
        "Commands    {} asked over HTTP: {} done, {} unchanged, {} refused\n",
        grouped(tally.asked),
        grouped(tally.done),
        grouped(tally.unchanged),
        grouped(tally.refused.values().sum())
    ));
    text.push_str(&format!(
        "Events      {} in {elapsed_s:.1} s: {}/s; replay {}/s\n",
        grouped(events),
        per_second(events, *elapsed_s),
        grouped(proof.replay_events_per_s)
    ));
    text.push_str(&stores(life, agreement));
    let lawless = lawless(&life.pools);
    text.push_str(&if lawless.is_empty() {
        format!("Laws        held = reserved + in_use + releasing + foreign, owned + over_by = held + free: in all {} pools\n", life.pools.len())
    } else {
        format!("Laws        BROKEN in {lawless:?}\n")
    });
    let verdict = if proof.agrees() { "the same" } else { "NOT THE SAME" };
    text.push_str(&format!(
        "Proof       digest of the running service at position {}: {}\n            digest of a replay of its folder to position {}: {}\n            {verdict}",
        proof.position, proof.running, proof.replayed_position, proof.replayed
    ));
    text
}

fn stores(life: &Life, agreement: &Agreement) -> String {
    let mut text = String::new();
    let tally = &life.teller.tally;
    for (provider, deeds) in life.stores.deeds() {
        let deeds: Vec<String> =
            deeds.iter().map(|(deed, times)| format!("{} {}", grouped(*times), deed.replace('_', " "))).collect();
        text.push_str(&format!("Store       {provider} by its own books: {}\n", deeds.join(", ")));
    }
    text.push_str(&format!(
        "Syncs       {}; {} seats lost to other tools, {} differences found, {} of them open\n",
        grouped(tally.syncs),
        grouped(tally.seats_lost),
        grouped(agreement.drifts),
        grouped(agreement.drifts_open)
    ));
    let (pools, seats) = (grouped(agreement.pools), grouped(agreement.seats));
    if agreement.agrees() {
        text.push_str(&format!(
            "Agreement   ledger and stores agree in what is owned of {pools} pools and in all {seats} seats, one by one ({} foreign)\n",
            grouped(agreement.foreign)
        ));
    } else {
        text.push_str(&format!("Agreement   LEDGER AND STORES DIFFER: {}\n", agreement.json()));
    }
    text
}

fn per_second(count: u64, elapsed_s: f64) -> String {
    format!("{:.0}", count as f64 / elapsed_s.max(0.001))
}

pub(super) fn json_of(told: &Told<'_>) -> Value {
    let Told { life, agreement, proof, elapsed_s, places } = told;
    let tally = &life.teller.tally;
    let sell_outs: Vec<Value> = life
        .sell_outs
        .iter()
        .map(|out| json!({"pool": out.pool, "name": out.name, "from": out.from, "until": out.until, "owned": out.owned, "queued_most": out.queued_most}))
        .collect();
    json!({
        "pools": life.pools.values().collect::<Vec<_>>(), "sell_outs": sell_outs, "refused": tally.refused, "surprises": tally.surprises,
        "commands": {"asked": tally.asked, "done": tally.done, "unchanged": tally.unchanged, "by_type": tally.by_type},
        "joined": life.joined, "departures": life.departures, "seats_released": life.seats_released, "returns": life.returns,
        "seats_bought": life.seats_bought, "seats_refunded": life.seats_refunded, "chronicle": life.chronicle,
        "syncs": tally.syncs, "seats_lost": tally.seats_lost, "stores": life.stores.deeds(), "agreement": agreement.json(), "places": places,
        "events": proof.position + 1, "elapsed_s": elapsed_s, "lawless_pools": lawless(&life.pools),
        "proof": {
            "position": proof.position, "running": proof.running, "replayed_position": proof.replayed_position, "replayed": proof.replayed,
            "agrees": proof.agrees(), "replay_events_per_s": proof.replay_events_per_s,
        },
    })
}

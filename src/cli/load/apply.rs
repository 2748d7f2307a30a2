//! Carries a plan out through the public API, and writes what became of it onto the receipts. Not here: reading lists.

use super::plan::{Plan, Wish, with_id};
use super::receipt::Part;
use super::values::Seats;
use crate::cli::client::{BATCH_COMMANDS_MAX, CallError, Client, Problem, encode};
use crate::cli::progress::Progress;
use crate::cli::sync::changes::taken;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Items in one inventory.
const ITEMS_MAX: usize = 200;

/// The files' figures beside the ledger's, after the load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) pools_stated: u64,
    pub(super) pools_found: u64,
    pub(super) seats_stated: u64,
    pub(super) seats_owned: u64,
    pub(super) holders_stated: u64,
    pub(super) seats_held: u64,
    pub(super) seats_free: u64,
    /// Pools whose number differs, with both numbers.
    pub(super) differences: Vec<String>,
}

impl Figures {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "pools_stated": self.pools_stated, "pools_found": self.pools_found, "seats_stated": self.seats_stated, "seats_owned": self.seats_owned,
            "holders_stated": self.holders_stated, "seats_held": self.seats_held, "seats_free": self.seats_free, "differences": self.differences,
        })
    }
}

/// Under this a row stands whose answer is not about what is now.
const EARLIER: &str = "answered as in an earlier load, whatever has changed since; --run NAME asks anew";

/// Whether the id was known before this run, so that the answer is the one of then.
fn is_of_an_earlier_load(result: &Value, begun_at: u64) -> bool {
    let position = result.get("position").and_then(Value::as_u64);
    result.get("repeated").is_some_and(|repeated| repeated == true) && position.is_some_and(|at| at <= begun_at)
}

pub(super) struct Apply<'a> {
    pub(super) client: &'a Client,
    pub(super) tenant: &'a str,
    pub(super) run: &'a str,
    pub(super) language: &'a str,
}

impl Apply<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/v1/tenants/{}{rest}", encode(self.tenant))
    }

    /// Everything in the order in which one thing needs another.
    pub(super) async fn all(&self, plan: &mut Plan) -> Result<Figures, CallError> {
        let digest = self.client.get(&self.path("/digest")).await?;
        // an answer from before this run is the answer to an earlier one
        let begun_at = digest.get("position").and_then(Value::as_u64).unwrap_or(0);
        let total =
            plan.pools.len() + plan.people.len() + plan.departures.len() + plan.devices.len() + plan.seats.len();
        let progress = Progress::new("loading", total as u64);
        self.inventory(plan, begun_at, &progress).await?;
        let lists = [
            std::mem::take(&mut plan.people),
            std::mem::take(&mut plan.departures),
            std::mem::take(&mut plan.devices),
            std::mem::take(&mut plan.seats),
        ];
        for (wishes, label) in lists.iter().zip(["people", "departures", "devices", "seats"]) {
            progress.message(label);
            self.commands(plan, wishes, begun_at, &progress).await?;
        }
        progress.finish();
        let [.., seats] = &lists;
        self.figures(plan, seats.len() as u64).await
    }

    async fn commands(
        &self,
        plan: &mut Plan,
        wishes: &[Wish],
        begun_at: u64,
        progress: &Progress,
    ) -> Result<(), CallError> {
        for batch in wishes.chunks(BATCH_COMMANDS_MAX) {
            let commands: Vec<Value> = batch.iter().map(|wish| with_id(&wish.command, self.tenant, self.run)).collect();
            let mut results = self.client.commands(self.tenant, &commands).await?;
            self.ask_anew(batch, &mut results, begun_at).await?;
            for (wish, result) in batch.iter().zip(results) {
                if is_of_an_earlier_load(&result, begun_at) {
                    let position = result.get("position").and_then(Value::as_u64).unwrap_or(0);
                    for at in &wish.rows {
                        plan.remark(*at, EARLIER, format!("{}: answered at {position}, in an earlier load", wish.what));
                    }
                }
                let status = result.get("status").and_then(Value::as_str).unwrap_or("refused");
                let position = result.get("position").and_then(Value::as_u64).unwrap_or(0);
                let part = match status {
                    "done" if position > begun_at => Part::Taken(wish.what),
                    "done" | "unchanged" => Part::Unchanged(wish.what),
                    _ => {
                        let why = Problem::of_line(&result)
                            .map_or_else(|| "the service says no more".to_owned(), |problem| problem.to_string());
                        Part::Refused { what: wish.what, why }
                    }
                };
                for at in &wish.rows {
                    plan.part(*at, part.clone());
                }
            }
            progress.advance(batch.len() as u64);
        }
        Ok(())
    }

    /// What an earlier load was refused may be possible by now: so it is asked under an id that is this run's alone.
    async fn ask_anew(&self, batch: &[Wish], results: &mut [Value], begun_at: u64) -> Result<(), CallError> {
        let run = format!("{}\0{begun_at}", self.run);
        let is_old_refusal = |result: &Value| {
            result.get("status").is_some_and(|status| status == "refused") && is_of_an_earlier_load(result, begun_at)
        };
        let (open, commands): (Vec<&mut Value>, Vec<Value>) = results
            .iter_mut()
            .zip(batch)
            .filter(|(result, _)| is_old_refusal(result))
            .map(|(result, wish)| (result, with_id(&wish.command, self.tenant, &run)))
            .unzip();
        let answers = self.client.commands(self.tenant, &commands).await?;
        for (result, answer) in open.into_iter().zip(answers) {
            *result = answer;
        }
        Ok(())
    }

    async fn pools(&self) -> Result<BTreeMap<String, Value>, CallError> {
        let pools = self.client.list(&self.path("/pools")).await?;
        Ok(pools.into_iter().filter_map(|pool| Some((pool.get("key")?.as_str()?.to_owned(), pool))).collect())
    }

    async fn inventory(&self, plan: &mut Plan, begun_at: u64, progress: &Progress) -> Result<(), CallError> {
        progress.message("pools");
        let mut changed: BTreeSet<String> = BTreeSet::new();
        let items: Vec<Value> = plan.pools.iter().map(|wish| wish.item.clone()).collect();
        let mut refused: BTreeMap<usize, String> = BTreeMap::new();
        let all: Vec<usize> = (0..items.len()).collect();
        for chunk in all.chunks(ITEMS_MAX) {
            match self.send(&items, chunk, &plan.keep, begun_at).await {
                Ok(pools) => changed.extend(pools),
                // one of them spoils the rest: ask for each
                Err(CallError::Problem(problem)) if matches!(problem.status, 400 | 409 | 413 | 422) => {
                    for at in chunk {
                        match self.send(&items, &[*at], &plan.keep, begun_at).await {
                            Ok(pools) => changed.extend(pools),
                            Err(CallError::Problem(problem)) if matches!(problem.status, 400 | 409 | 413 | 422) => {
                                refused.insert(*at, problem.to_string());
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
            progress.advance(chunk.len() as u64);
        }
        let after = self.pools().await?;
        let parts: Vec<(usize, Part)> = plan
            .pools
            .iter()
            .enumerate()
            .flat_map(|(at, wish)| {
                let pool = after.get(&wish.key).and_then(|pool| pool.get("id")).and_then(Value::as_str);
                let part = match (refused.get(&at), pool) {
                    (Some(why), _) => Part::Refused { what: "pool", why: why.clone() },
                    (None, None) => Part::Refused {
                        what: "pool",
                        why: "the service took the inventory and skipped this item".into(),
                    },
                    (None, Some(pool)) if changed.contains(pool) => Part::Taken("pool"),
                    (None, Some(_)) => Part::Unchanged("pool"),
                };
                let first = wish.rows.first().copied();
                wish.rows
                    .iter()
                    .map(move |row| (*row, if Some(*row) == first { part.clone() } else { Part::Unchanged("pool") }))
            })
            .collect();
        for (at, part) in parts {
            plan.part(at, part);
        }
        Ok(())
    }

    /// The pools that it changed. An inventory states what is; so its key is good for this run's retries only, and a later run
    /// states it again.
    async fn send(
        &self,
        items: &[Value],
        chunk: &[usize],
        keep: &[&str],
        begun_at: u64,
    ) -> Result<BTreeSet<String>, CallError> {
        let items: Vec<&Value> = chunk.iter().filter_map(|at| items.get(*at)).collect();
        let body = json!({"complete": false, "language": self.language, "items": items, "keep": keep});
        let key: String = hex::encode(Sha256::digest(format!("{begun_at}\0{body}"))).chars().take(40).collect();
        let answer = self.client.post(&self.path("/inventory"), body, Some(&key)).await?;
        Ok(taken(self.client, &self.path(""), &answer).await?.changed)
    }

    async fn figures(&self, plan: &Plan, holders_stated: u64) -> Result<Figures, CallError> {
        let after = self.pools().await?;
        let mut figures = Figures { pools_stated: plan.pools.len() as u64, holders_stated, ..Figures::default() };
        for wish in &plan.pools {
            let stated = match wish.seats {
                Seats::Count(count) => Value::from(count),
                Seats::Unlimited => "unlimited".into(),
            };
            figures.seats_stated += stated.as_u64().unwrap_or(0);
            let Some(pool) = after.get(&wish.key) else {
                figures.differences.push(format!("{}: {stated} stated, no such pool found", wish.key));
                continue;
            };
            let number = |field: &str| pool.get(field).and_then(Value::as_u64).unwrap_or(0);
            figures.pools_found += 1;
            figures.seats_owned += number("owned");
            figures.seats_held += number("held");
            figures.seats_free += number("free");
            let owned = pool.get("owned").cloned().unwrap_or(Value::Null);
            if owned != stated {
                figures.differences.push(format!("{}: {stated} stated, {owned} owned", wish.key));
            }
        }
        Ok(figures)
    }
}

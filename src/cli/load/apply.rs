//! Carries a plan out through the public API, and writes what became of it onto the receipts. Not here: reading lists.

use super::plan::{Plan, Wish, by_name, plain, with_id};
use super::receipt::Part;
use super::standing::{Standing, name_in};
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

/// Under this a row stands whose seat was given in an earlier load and is not there now.
const EARLIER: &str = "answered as in an earlier load, and the seat was lost since; --run NAME asks anew";

/// Why an answer is no yes, and what a person may do about it.
fn why(result: &Value) -> String {
    let Some(problem) = Problem::of_line(result) else { return "the service says no more".to_owned() };
    match problem.name.as_str() {
        "idempotency-key-reused" => {
            format!(
                "{problem}; what was asked under this id before an import or an erasure is not known any more: --run NAME asks anew"
            )
        }
        _ => problem.to_string(),
    }
}

/// Puts another name into every reference to a person whom the ledger calls otherwise.
fn rename(command: &mut Value, names: &BTreeMap<String, String>) {
    for place in ["/target/user", "/primary_user"] {
        let name = name_in(command.pointer(place)).and_then(|name| names.get(&plain(name)));
        if let (Some(name), Some(slot)) = (name, command.pointer_mut(place)) {
            *slot = by_name(name).into();
        }
    }
}

/// Whether the id was known before this run, so that the answer is the one of then.
fn is_of_an_earlier_load(result: &Value, begun_at: u64) -> bool {
    let position = result.get("position").and_then(Value::as_u64);
    result.get("repeated").is_some_and(|repeated| repeated == true) && position.is_some_and(|at| at <= begun_at)
}

/// The holders that the lists state of one pool, and those of them who hold a seat of it.
#[derive(Default)]
struct Holders {
    stated: BTreeSet<String>,
    found: BTreeSet<String>,
}

/// Whom another list than the people file names and the ledger has nobody so named for; and under which name it has those whose
/// address that is.
fn who_is_new(plan: &mut Plan, standing: &Standing) -> (Vec<Wish>, BTreeMap<String, String>) {
    let (mut open, mut names) = (Vec::new(), BTreeMap::new());
    for wish in std::mem::take(&mut plan.named) {
        let name = name_in(wish.command.get("user")).unwrap_or_default().to_owned();
        let owners = standing.at_address(&name);
        let is_known = standing.person(&name).is_some();
        if !is_known && owners.is_empty() {
            open.push(wish);
            continue;
        }
        for at in wish.rows {
            if is_known {
                plan.part(at, Part::Unchanged("person"));
            } else if let Some(owner) = plan.owner(at, &name, owners.iter().map(String::as_str), "the ledger") {
                names.insert(plain(&name), owner.to_owned());
                plan.part(at, Part::Unchanged("person"));
            }
        }
    }
    (open, names)
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
        let mut standing = Standing::read(self.client, &self.path(""), plan).await?;
        self.inventory(plan, begun_at, &progress).await?;
        let (named, names) = who_is_new(plan, &standing);
        let mut lists = [
            std::mem::take(&mut plan.people),
            named,
            std::mem::take(&mut plan.returns),
            std::mem::take(&mut plan.departures),
            std::mem::take(&mut plan.devices),
            std::mem::take(&mut plan.seats),
        ];
        let [_, _, returns, ..] = &mut lists;
        returns.retain(|wish| standing.has_left(&wish.command));
        for wish in lists.iter_mut().flatten() {
            rename(&mut wish.command, &names);
            wish.command = wish.complete(standing.subject(&wish.command));
        }
        let mut answered_before = BTreeMap::new();
        let labels = ["people", "people", "returns", "departures", "devices", "seats"];
        for (wishes, label) in lists.iter().zip(labels) {
            progress.message(label);
            // seats are the last
            answered_before = self.commands(plan, wishes, &standing, begun_at, &progress).await?;
        }
        progress.finish();
        let [.., seats] = &lists;
        if !seats.is_empty() {
            standing = Standing::read(self.client, &self.path(""), plan).await?;
        }
        self.figures(plan, seats, &standing, &answered_before).await
    }

    /// By row, where the answer was an earlier load's.
    async fn commands(
        &self,
        plan: &mut Plan,
        wishes: &[Wish],
        standing: &Standing,
        begun_at: u64,
        progress: &Progress,
    ) -> Result<BTreeMap<usize, u64>, CallError> {
        let mut answered_before = BTreeMap::new();
        for batch in wishes.chunks(BATCH_COMMANDS_MAX) {
            let commands: Vec<Value> = batch.iter().map(|wish| with_id(&wish.command, self.tenant, self.run)).collect();
            let mut results = self.client.commands(self.tenant, &commands).await?;
            self.ask_anew(batch, &mut results, standing, begun_at).await?;
            for (wish, result) in batch.iter().zip(results) {
                let status = result.get("status").and_then(Value::as_str).unwrap_or("refused");
                let position = result.get("position").and_then(Value::as_u64).unwrap_or(0);
                if is_of_an_earlier_load(&result, begun_at) {
                    answered_before.extend(wish.rows.iter().map(|at| (*at, position)));
                }
                let part = match status {
                    "done" if position > begun_at => Part::Taken(wish.what),
                    "done" | "unchanged" => Part::Unchanged(wish.what),
                    _ => Part::Refused { what: wish.what, why: why(&result) },
                };
                for at in &wish.rows {
                    plan.part(*at, part.clone());
                }
            }
            progress.advance(batch.len() as u64);
        }
        Ok(answered_before)
    }

    /// What an earlier load was refused may be possible by now, and what it was granted may be otherwise by now: so it is asked
    /// under an id that is this run's alone.
    async fn ask_anew(
        &self,
        batch: &[Wish],
        results: &mut [Value],
        standing: &Standing,
        begun_at: u64,
    ) -> Result<(), CallError> {
        let run = format!("{}\0{begun_at}", self.run);
        let is_past = |result: &Value, wish: &Wish| {
            let is_refused = result.get("status").is_some_and(|status| status == "refused");
            is_of_an_earlier_load(result, begun_at) && (is_refused || !standing.has(&wish.command))
        };
        let (open, commands): (Vec<&mut Value>, Vec<Value>) = results
            .iter_mut()
            .zip(batch)
            .filter(|(result, wish)| is_past(result, wish))
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

    async fn figures(
        &self,
        plan: &mut Plan,
        seats: &[Wish],
        standing: &Standing,
        answered_before: &BTreeMap<usize, u64>,
    ) -> Result<Figures, CallError> {
        let after = self.pools().await?;
        let id = |key: &str| after.get(key).and_then(|pool| pool.get("id")).and_then(Value::as_str);
        let mut holders: BTreeMap<&str, Holders> = BTreeMap::new();
        for wish in seats {
            let pool = wish.command.get("pool").and_then(Value::as_str).unwrap_or_default();
            let name = name_in(wish.command.pointer("/target/user")).unwrap_or_default();
            let (is_held, waits) = id(pool).map_or((false, false), |pool| standing.seat_of(name, pool));
            let holders = holders.entry(pool).or_default();
            holders.stated.insert(plain(name));
            if is_held {
                holders.found.insert(plain(name));
                continue;
            }
            for at in &wish.rows {
                let is_told = |part: &Part| matches!(part, Part::Refused { what: "seat" | "person", .. });
                let is_told = plan.receipts.get(*at).is_some_and(|receipt| receipt.parts.iter().any(is_told));
                match (answered_before.get(at), waits) {
                    (Some(_) | None, _) if is_told => {}
                    (Some(_) | None, true) => plan.note(*at, "the holder waits for a seat and holds none"),
                    (Some(position), false) => plan.remark(
                        *at,
                        EARLIER,
                        format!("seat: given at {position}, in an earlier load, and lost since"),
                    ),
                    (None, false) => plan.note(*at, "the holder holds no seat after the load"),
                }
            }
        }
        let holders_stated = seats.len() as u64;
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
            // a list without a column for holders says nothing of them
            if plan.states_holders {
                let (stated, found) = holders
                    .get(wish.key.as_str())
                    .map_or((0, 0), |holders| (holders.stated.len(), holders.found.len()));
                let held = number("held");
                if stated != found || held != found as u64 {
                    let words = format!(
                        "{}: {stated} holders stated, {found} of them hold a seat, {held} seats held",
                        wish.key
                    );
                    figures.differences.push(words);
                }
            }
        }
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_known_from_before_names_the_way_out() {
        let line = |name: &str| json!({"problem": {"type": format!("https://x.example/problems/{name}"), "status": 422, "detail": "no"}});
        assert!(why(&line("idempotency-key-reused")).contains("--run NAME"));
        assert_eq!(why(&line("user-departed")), "user-departed: no");
    }
}

//! Between the story and the service: sends what happens, in order, waits for the stores' answers where the story does, and
//! keeps count of what the ledger said. Not here: what happens.

use crate::cli::client::{CallError, Client, Problem, put};
use crate::clock::monotonic;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Between two looks at what the service does by itself.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The stores answer at once; when nothing has changed for so long, something is wrong.
const PATIENCE: Duration = Duration::from_secs(180);

pub(super) const TENANT: &str = "contoso";

/// What the ledger said, counted.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) asked: u64,
    pub(super) done: u64,
    pub(super) unchanged: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) by_type: BTreeMap<String, u64>,
    pub(super) syncs: u64,
    /// Seats that two syncs in a row did not find.
    pub(super) seats_lost: u64,
    /// Refusals that the story did not foresee, the first few.
    pub(super) surprises: Vec<String>,
}

/// Refusals that belong to a life: seats run out, and people try.
const FORESEEN: [&str; 9] = [
    "no-seat-available",
    "not-enough-seats",
    "not-assigned",
    "seats-still-held",
    "refund-exceeds-free-seats",
    "refund-window-closed",
    "order-already-refunded",
    "user-departed",
    "pool-suspended",
];

/// How far the service is with one store.
#[derive(Debug, PartialEq)]
struct Standing {
    followed_to: u64,
    waiting: u64,
    lets_nobody_in: bool,
}

impl Standing {
    fn of(connector: &Value) -> Self {
        let number = |field: &str| connector.get(field).and_then(Value::as_u64).unwrap_or(0);
        Self {
            followed_to: number("followed_to"),
            waiting: number("unconfirmed") + number("releasing"),
            lets_nobody_in: connector.get("read_only").and_then(Value::as_bool) == Some(true),
        }
    }

    fn has_answered(&self, recorded: u64) -> bool {
        self.followed_to >= recorded && (self.waiting == 0 || self.lets_nobody_in)
    }
}

#[derive(Debug)]
pub(super) struct Teller {
    pub(super) client: Client,
    pub(super) tally: Tally,
    next_id: u64,
    waiting: Vec<Value>,
}

impl Teller {
    pub(super) fn new(client: Client) -> Self {
        Self { client, tally: Tally::default(), next_id: 0, waiting: Vec::new() }
    }

    pub(super) fn path(rest: &str) -> String {
        format!("/v1/tenants/{TENANT}{rest}")
    }

    fn id(&mut self) -> String {
        self.next_id += 1;
        format!("demo-{}", self.next_id)
    }

    /// Puts a command into the stream that the next [`Teller::flush`] sends.
    pub(super) fn add(&mut self, mut command: Value) {
        put(&mut command, "id", self.id());
        self.waiting.push(command);
    }

    /// Sends what waits; the results stand in its order.
    pub(super) async fn flush(&mut self) -> Result<Vec<Value>, CallError> {
        let commands = std::mem::take(&mut self.waiting);
        let results = self.client.commands(TENANT, &commands).await?;
        for (command, result) in commands.iter().zip(&results) {
            let kind = command.get("type").and_then(Value::as_str).unwrap_or("");
            let status = result.get("status").and_then(Value::as_str).unwrap_or("refused");
            self.count(kind, status, Problem::of_line(result).as_ref());
        }
        Ok(results)
    }

    fn count(&mut self, kind: &str, status: &str, problem: Option<&Problem>) {
        self.tally.asked += 1;
        *self.tally.by_type.entry(kind.to_owned()).or_default() += 1;
        match (status, problem) {
            ("done", _) => self.tally.done += 1,
            ("unchanged", _) => self.tally.unchanged += 1,
            (_, problem) => {
                let name = problem.map_or("no reason given", |problem| problem.name.as_str());
                *self.tally.refused.entry(name.to_owned()).or_default() += 1;
                if !FORESEEN.contains(&name) && self.tally.surprises.len() < 10 {
                    let detail = problem.map_or(String::new(), ToString::to_string);
                    self.tally.surprises.push(format!("{kind}: {detail}"));
                }
            }
        }
    }

    /// A call of its own, as an administrator at a screen would make it. A refusal is counted and is no error.
    pub(super) async fn post(&mut self, kind: &str, path: &str, body: Value) -> Result<Option<Value>, CallError> {
        let key = self.id();
        match self.client.post(&Self::path(path), body, Some(&key)).await {
            Ok(answer) => {
                let status = answer
                    .get("status")
                    .and_then(Value::as_str)
                    .filter(|status| *status == "unchanged")
                    .unwrap_or("done");
                self.count(kind, status, None);
                Ok(Some(answer))
            }
            Err(CallError::Problem(problem)) if problem.status < 500 && !matches!(problem.status, 400 | 401 | 403) => {
                self.count(kind, "refused", Some(&problem));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Links a store account, or renews what it is opened with.
    pub(super) async fn link(&self, provider: &str, account: Value) -> Result<(), CallError> {
        self.client.put(&Self::path(&format!("/store-accounts/{provider}")), account, None).await.map(drop)
    }

    /// Has a store read whole, and waits for the end: the sync, as it is then.
    pub(super) async fn sync(&mut self, provider: &str) -> Result<Value, CallError> {
        loop {
            let body = json!({"provider": provider, "full": true});
            let begun = match self.client.post(&Self::path("/syncs"), body, None).await {
                Err(CallError::Problem(problem)) if problem.name == "sync-running" => {
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
                begun => begun?,
            };
            let word = |field: &str| begun.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
            let ended = self.ended(&word("sync")).await?;
            // one that ran already may have begun too early
            if word("status") == "unchanged" {
                continue;
            }
            self.tally.syncs += 1;
            self.tally.seats_lost += ended.pointer("/seats/lost").and_then(Value::as_u64).unwrap_or(0);
            return Ok(ended);
        }
    }

    async fn ended(&self, sync: &str) -> Result<Value, CallError> {
        loop {
            let seen = self.get(&format!("/syncs/{sync}")).await?;
            if seen.get("state").and_then(Value::as_str) != Some("running") {
                return Ok(seen);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the stores have answered all that was recorded until now. One that lets nobody in is not waited for.
    pub(super) async fn settle(&self) -> Result<(), CallError> {
        let recorded = self.get("/pools?limit=1").await?.get("position").and_then(Value::as_u64).unwrap_or(0);
        let (mut last, mut since) = (Vec::new(), monotonic());
        loop {
            let accounts = self.list("/store-accounts").await?;
            let standing: Vec<Standing> =
                accounts.iter().filter_map(|account| account.get("connector")).map(Standing::of).collect();
            if standing.iter().all(|one| one.has_answered(recorded)) {
                return Ok(());
            }
            if standing != last {
                (last, since) = (standing, monotonic());
            } else if since.elapsed() > PATIENCE {
                return Err(CallError::Unreachable(format!("the stores' answers do not come: {last:?}")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, CallError> {
        self.client.get(&Self::path(path)).await
    }

    pub(super) async fn list(&self, path: &str) -> Result<Vec<Value>, CallError> {
        self.client.list(&Self::path(path)).await
    }

    /// Lets time pass, and says what time it then is.
    pub(super) async fn pass(&mut self, days: u64) -> Result<String, CallError> {
        let answer = self.client.post("/v1/clock", json!({"advance_seconds": days * 86_400}), None).await?;
        let now = ["now", "time", "clock"].iter().find_map(|field| answer.get(field).and_then(Value::as_str));
        now.map(str::to_owned)
            .ok_or_else(|| CallError::Unreadable(format!("the clock did not say what time it is: {answer}")))
    }
}

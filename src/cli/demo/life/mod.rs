//! Years of the organization, month by month: what happens when, and what is remembered of it. Not here: how people come and
//! go (`people`), what they install (`apps`), what is bought (`buying`), what others do at the stores (`others`), and the
//! report.

mod apps;
mod buying;
mod others;
mod people;

use super::company::{Company, DEPARTMENTS, SITES};
use super::stock::{For, Pool};
use super::stores::Stores;
use super::teller::{TENANT, Teller};
use crate::cli::client::put;
use crate::cli::exit::Failure;
use buying::Ordered;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) const PROVIDERS: [&str; 2] = ["microsoft-store", "apple-business"];
/// Into the tenth month.
const FIRST_TOKEN_DAYS: u32 = 275;
const TOKEN_DAYS: u32 = 365;

/// How long one pool had no seat left.
#[derive(Debug, Clone)]
pub(super) struct SellOut {
    pub(super) pool: String,
    pub(super) name: String,
    pub(super) owned: u64,
    pub(super) from: String,
    pub(super) until: Option<String>,
    pub(super) queued_most: u64,
}

/// The company, its stores, its ledger, and what happened between them.
pub(super) struct Life {
    pub(super) company: Company,
    pub(super) stores: Stores,
    pub(super) teller: Teller,
    pub(super) now: String,
    pub(super) sell_outs: Vec<SellOut>,
    /// What an administrator would remember, with its day.
    pub(super) chronicle: Vec<String>,
    pub(super) departures: u64,
    pub(super) seats_released: u64,
    pub(super) returns: u64,
    pub(super) joined: u64,
    pub(super) seats_bought: u64,
    pub(super) seats_refunded: u64,
    pub(super) pools: BTreeMap<String, Value>,
    seed: u64,
    founded_on: String,
    /// Of each pool at Microsoft's store, the order of the first day.
    first_orders: BTreeMap<String, String>,
    ordered: Option<Ordered>,
    /// Pools, and who got a seat of each from another tool: adopted, and not.
    given_by_others: Vec<(Pool, String, String)>,
    installs: Vec<(usize, usize, String)>,
    left_lately: Vec<usize>,
    coming_back: Vec<usize>,
    /// New devices, with whose they are.
    arriving: Vec<(String, String)>,
    is_sell_out_open: bool,
}

pub(super) fn number(pool: &Value, field: &str) -> u64 {
    pool.get(field).and_then(Value::as_u64).unwrap_or(0)
}

impl Life {
    pub(super) fn new(seed: u64, company: Company, stores: Stores, teller: Teller) -> Self {
        Self {
            company,
            stores,
            teller,
            now: String::new(),
            sell_outs: Vec::new(),
            chronicle: Vec::new(),
            departures: 0,
            seats_released: 0,
            returns: 0,
            joined: 0,
            seats_bought: 0,
            seats_refunded: 0,
            pools: BTreeMap::new(),
            seed,
            founded_on: String::new(),
            first_orders: BTreeMap::new(),
            ordered: None,
            given_by_others: Vec::new(),
            installs: Vec::new(),
            left_lately: Vec::new(),
            coming_back: Vec::new(),
            arriving: Vec::new(),
            is_sell_out_open: false,
        }
    }

    pub(super) fn today(&self) -> &str {
        self.now.split('T').next().unwrap_or("")
    }

    fn remember(&mut self, text: impl AsRef<str>) {
        let line = format!("{}  {}", self.today(), text.as_ref());
        self.chronicle.push(line);
    }

    async fn pass(&mut self, days: u64) -> Result<(), Failure> {
        self.now = self.teller.pass(days).await?;
        self.stores.it_is(&self.now)
    }

    /// The organization as it stands on the first day: what it has bought, who is there, what everybody must have.
    pub(super) async fn found(&mut self) -> Result<(), Failure> {
        self.teller.client.put(&format!("/v1/tenants/{TENANT}"), json!({"name": "Contoso"}), None).await?;
        self.pass(1).await?;
        self.founded_on = self.today().to_owned();
        for pool in &self.company.pools {
            self.stores.sell(pool)?;
        }
        for pool in &self.company.pools {
            let order = self.stores.buy(pool, pool.owned)?;
            self.first_orders.extend(order.map(|order| (pool.key(), order)));
        }
        self.teller.link("microsoft-store", self.stores.microsoft_account()).await?;
        self.teller.link("apple-business", self.stores.apple_account(FIRST_TOKEN_DAYS)?).await?;
        self.read_both().await?;
        for at in 0..self.company.people.len() {
            self.introduce(at)?;
        }
        self.teller.flush().await?;
        for department in 0..DEPARTMENTS.len() {
            self.regroup_department(department);
        }
        for site in 0..SITES.len() {
            self.regroup_site(site);
        }
        self.regroup_everyone();
        self.teller.flush().await?;
        for at in 0..self.company.pools.len() {
            self.require(at).await?;
        }
        self.teller.settle().await?;
        self.look().await
    }

    /// Gives a pool to those for whom it was bought.
    async fn require(&mut self, at: usize) -> Result<(), Failure> {
        let Some(pool) = self.company.pools.get(at) else { return Ok(()) };
        let (group, intent) = match pool.purpose {
            For::Everyone => ("everyone".to_owned(), "required"),
            For::Tablets => ("tablets".to_owned(), "required"),
            For::Department(at) => (department(at), "required"),
            For::Site(at) => (site(at), "available"),
            For::Few(at) => (department(at), "available"),
            For::SellOut(_) => return Ok(()),
        };
        let mut body = json!({"pool": pool.key(), "target": {"group": group}, "intent": intent});
        if intent == "required" {
            put(&mut body, "mode", "fill");
        }
        if pool.is_apple() {
            put(&mut body, "licensing", if pool.purpose == For::Tablets { "device" } else { "user" });
        }
        self.teller.post("assign", "/assignments", body).await?;
        Ok(())
    }

    /// One month: four weeks and a bit, with what only happens once.
    pub(super) async fn month(&mut self, month: usize) -> Result<(), Failure> {
        if month == 6 {
            self.stores.turn_bad(self.seed);
        }
        for week in 0..4 {
            self.pass(if week == 3 { 9 } else { 7 }).await?;
            self.week().await?;
            if week == 0 && month % 6 == 4 {
                self.order(month).await?;
            }
        }
        match month {
            6 => self.turn_well(),
            9 => self.renew_what_has_lapsed().await?,
            _ if month > 9 && month % 12 == 8 => self.renew_in_time().await?,
            _ => {}
        }
        self.read_both().await?;
        self.look().await?;
        match month {
            3 => self.sell_out().await?,
            5 => self.serve_the_queue().await?,
            7 => self.run_dry().await?,
            8 => self.deficit().await?,
            10 => self.buy_back().await?,
            _ => {}
        }
        match month % 12 {
            1 => self.others_give().await?,
            2 => self.others_take().await?,
            _ => {}
        }
        if month % 6 == 4 {
            self.refund(month).await?;
        }
        if month % 3 == 2 {
            self.buy_more().await?;
        }
        self.teller.settle().await?;
        self.look().await
    }

    /// What gives seats back goes before what asks for some, and the stores answer in between: so it does not hang on how fast
    /// they are who gets which seat.
    async fn week(&mut self) -> Result<(), Failure> {
        let people = self.company.people.len();
        let gone = self.people_go(people);
        for _ in 0..people / 12 {
            self.uninstall_something();
        }
        for _ in 0..people / 300 {
            self.retire_a_device();
        }
        for result in self.act().await? {
            self.seats_released += number(&result, "seats_released");
        }
        for user_name in gone {
            self.stores.dismiss(&user_name)?;
        }
        self.people_come(people)?;
        for _ in 0..people / 5 {
            self.install_something();
        }
        self.act().await?;
        Ok(())
    }

    /// Sends what waits to be sent while the stores wait, and then waits for the stores.
    async fn act(&mut self) -> Result<Vec<Value>, Failure> {
        self.stores.hold();
        let results = self.teller.flush().await;
        self.stores.let_go();
        let results = results?;
        self.teller.settle().await?;
        Ok(results)
    }

    /// Has a store read whole, and waits for what comes of it.
    async fn read(&mut self, provider: &str) -> Result<(), Failure> {
        let sync = self.teller.sync(provider).await?;
        if sync.get("state").and_then(Value::as_str) != Some("completed") {
            return Err(Failure::Refused(format!("a sync of {provider} came to nothing: {sync}")));
        }
        self.teller.settle().await?;
        Ok(())
    }

    async fn read_both(&mut self) -> Result<(), Failure> {
        for provider in PROVIDERS {
            self.read(provider).await?;
        }
        Ok(())
    }

    /// The last day: two readings of each store, so that what they agree on is concluded.
    pub(super) async fn close(&mut self) -> Result<(), Failure> {
        self.read_both().await?;
        self.read_both().await?;
        self.look().await
    }

    /// Reads the figures of all pools, and notices which of them have no seat left.
    async fn look(&mut self) -> Result<(), Failure> {
        let pools = self.teller.list("/pools").await?;
        self.pools = pools.into_iter().filter_map(|pool| Some((pool.get("key")?.as_str()?.to_owned(), pool))).collect();
        let today = self.today().to_owned();
        for (key, pool) in &self.pools {
            let is_out = pool.get("free").and_then(Value::as_u64) == Some(0) && number(pool, "held") > 0;
            let open = self.sell_outs.iter_mut().find(|sell_out| sell_out.pool == *key && sell_out.until.is_none());
            match (open, is_out) {
                (None, true) => self.sell_outs.push(SellOut {
                    pool: key.clone(),
                    name: self.company.name_of(key).unwrap_or_default(),
                    owned: number(pool, "owned"),
                    from: today.clone(),
                    until: None,
                    queued_most: number(pool, "queued"),
                }),
                (Some(open), true) => open.queued_most = open.queued_most.max(number(pool, "queued")),
                (Some(open), false) => open.until = Some(today.clone()),
                (None, false) => {}
            }
        }
        Ok(())
    }

    /// What the ledger last said of a pool.
    fn figure(&self, pool: &Pool, field: &str) -> u64 {
        self.pools.get(&pool.key()).map_or(0, |figures| number(figures, field))
    }
}

fn department(at: usize) -> String {
    format!("department-{}", DEPARTMENTS.get(at).copied().unwrap_or("none"))
}

fn site(at: usize) -> String {
    format!("site-{}", SITES.get(at).copied().unwrap_or("none"))
}

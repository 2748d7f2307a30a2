//! Two years of the organization, month by month: people join, leave and come back, apps are installed and removed, seats are
//! bought, refunded, sold out and cut. Not here: how it is told to the service, and the report.

use super::company::{Company, DEPARTMENTS, For, SITES};
use super::teller::{TENANT, Teller};
use crate::cli::client::{CallError, encode, put};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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

/// The company, its ledger, and what happened between them.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) company: Company,
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
    installs: Vec<(usize, usize, String)>,
    left_lately: Vec<usize>,
    is_sell_out_open: bool,
}

pub(super) fn number(pool: &Value, field: &str) -> u64 {
    pool.get(field).and_then(Value::as_u64).unwrap_or(0)
}

impl Life {
    pub(super) fn new(company: Company, teller: Teller) -> Self {
        Self {
            company,
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
            installs: Vec::new(),
            left_lately: Vec::new(),
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

    /// The organization as it stands on the first day: what it owns, who is there, what everybody must have.
    pub(super) async fn found(&mut self) -> Result<(), CallError> {
        self.teller.client.put(&format!("/v1/tenants/{TENANT}"), json!({"name": "Contoso"}), None).await?;
        self.now = self.teller.pass(1).await?;
        let items: Vec<Value> = self.company.pools.iter().map(super::company::Pool::item).collect();
        self.teller
            .post("inventory", "/inventory", json!({"complete": true, "language": "en-US", "items": items}))
            .await?;
        for at in 0..self.company.people.len() {
            self.introduce(at);
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
        let pools: Vec<(String, For)> = self.company.pools.iter().map(|pool| (pool.key(), pool.purpose)).collect();
        for (pool, purpose) in pools {
            let (group, intent) = match purpose {
                For::Everyone => ("everyone".to_owned(), "required"),
                For::Department(at) => (department(at), "required"),
                For::Site(at) => (site(at), "available"),
                For::Few(at) => (department(at), "available"),
                For::SellOut(_) => continue,
            };
            let mut body = json!({"pool": pool, "target": {"group": group}, "intent": intent});
            if intent == "required" {
                put(&mut body, "mode", "fill");
            }
            self.teller.post("assign", "/assignments", body).await?;
        }
        self.look().await
    }

    fn introduce(&mut self, at: usize) {
        let Some(person) = self.company.people.get(at).cloned() else { return };
        self.teller.add(json!({
            "type": "put_user", "user": format!("name:{}", person.user_name), "user_name": person.user_name, "display_name": person.display_name,
            "emails": [person.user_name],
        }));
        for device in &person.devices {
            self.enroll(device, &person.user_name);
        }
    }

    fn enroll(&mut self, device: &str, user_name: &str) {
        self.teller.add(json!({
            "type": "put_device", "device": format!("name:{device}"), "platform": "windows", "join": "entra", "enrolled": true, "os_build": 22631,
            "serial": device, "device_id": format!("id-{device}"), "primary_user": format!("name:{user_name}"),
        }));
    }

    fn regroup(&mut self, group: &str, members: &[usize]) {
        let members: Vec<String> = members
            .iter()
            .filter_map(|at| self.company.people.get(*at))
            .map(|person| format!("user:name:{}", person.user_name))
            .collect();
        self.teller.add(json!({"type": "put_group", "group": group, "kind": "users", "members": members}));
    }

    fn regroup_department(&mut self, at: usize) {
        let members = self.company.in_department(at);
        self.regroup(&department(at), &members);
    }

    fn regroup_site(&mut self, at: usize) {
        let members = self.company.here(|person| person.site == at);
        self.regroup(&site(at), &members);
    }

    fn regroup_everyone(&mut self) {
        let members = self.company.here(|_| true);
        self.regroup("everyone", &members);
    }

    /// One month: four weeks and a bit, with what only happens once.
    pub(super) async fn month(&mut self, month: usize) -> Result<(), CallError> {
        for week in 0..4 {
            self.now = self.teller.pass(if week == 3 { 9 } else { 7 }).await?;
            self.week().await?;
        }
        self.look().await?;
        match month {
            3 => self.sell_out().await?,
            5 => self.serve_the_queue().await?,
            8 => self.deficit().await?,
            10 => self.buy_back().await?,
            _ => {}
        }
        if month % 6 == 4 {
            self.refund(month).await?;
        }
        if month % 3 == 2 {
            self.buy_more().await?;
        }
        self.look().await
    }

    async fn week(&mut self) -> Result<(), CallError> {
        let people = self.company.people.len();
        self.people_come_and_go(people);
        for _ in 0..people / 5 {
            self.install_something();
        }
        for _ in 0..people / 12 {
            self.uninstall_something();
        }
        for _ in 0..people / 300 {
            self.replace_a_device();
        }
        let sent = self.teller.waiting();
        let results = self.teller.flush().await?;
        debug_assert_eq!(sent, results.len());
        for result in &results {
            self.seats_released += number(result, "seats_released");
        }
        Ok(())
    }

    fn people_come_and_go(&mut self, people: usize) {
        let mut touched = std::mem::take(&mut self.left_lately);
        // some who left last month are back before their desk is cold
        for at in std::mem::take(&mut touched) {
            if self.company.random.is(8)
                && let Some(person) = self.company.people.get_mut(at)
            {
                person.is_here = true;
                let user = format!("name:{}", person.user_name);
                self.returns += 1;
                self.teller.add(json!({"type": "return", "user": user}));
            }
        }
        for _ in 0..(people / 450).max(1) {
            let Some(at) = self.company.somebody() else { continue };
            let is_final = self.company.random.is(15);
            let Some(person) = self.company.people.get_mut(at) else { continue };
            person.is_here = false;
            let user = format!("name:{}", person.user_name);
            self.departures += 1;
            self.installs.retain(|(_, person, _)| *person != at);
            if is_final {
                self.teller.add(json!({"type": "depart", "user": user, "cause": "deleted", "retire_devices": true}));
            } else {
                self.left_lately.push(at);
                self.teller.add(json!({"type": "depart", "user": user, "cause": "deactivated"}));
            }
        }
        let mut joined = Vec::new();
        for _ in 0..(people / 420).max(1) {
            let at = self.company.hire();
            self.joined += 1;
            self.introduce(at);
            joined.push(at);
        }
        let groups: Vec<(usize, usize)> = joined
            .iter()
            .filter_map(|at| self.company.people.get(*at))
            .map(|person| (person.department, person.site))
            .collect();
        let mut departments: Vec<usize> = groups.iter().map(|(department, _)| *department).collect();
        let mut sites: Vec<usize> = groups.iter().map(|(_, site)| *site).collect();
        for list in [&mut departments, &mut sites] {
            list.sort_unstable();
            list.dedup();
        }
        for at in departments {
            self.regroup_department(at);
        }
        for at in sites {
            self.regroup_site(at);
        }
        self.regroup_everyone();
    }

    fn install_something(&mut self) {
        let Some(at) = self.company.somebody() else { return };
        let Some(person) = self.company.people.get(at).cloned() else { return };
        let is_open = self.is_sell_out_open;
        let is_meant = |purpose: For| match purpose {
            For::Everyone => true,
            For::Department(of) | For::Few(of) => of == person.department,
            For::Site(of) => of == person.site,
            For::SellOut(of) => is_open && of == person.department,
        };
        let strays = self.company.random.is(1);
        let meant: Vec<usize> = self
            .company
            .pools
            .iter()
            .enumerate()
            .filter(|(_, pool)| is_meant(pool.purpose) != strays)
            .map(|(at, _)| at)
            .collect();
        let Some(pool) = self.company.random.pick(&meant).copied() else { return };
        let Some(device) = self.company.random.pick(&person.devices).cloned() else { return };
        let Some(key) = self.company.pools.get(pool).map(super::company::Pool::key) else { return };
        let mut command = json!({"type": "install", "pool": key, "device": format!("name:{device}"), "user": format!("name:{}", person.user_name)});
        if strays && self.company.random.is(30) {
            put(&mut command, "report", true);
        }
        self.teller.add(command);
        self.installs.push((pool, at, device));
    }

    fn uninstall_something(&mut self) {
        if self.installs.is_empty() {
            return;
        }
        let at = self.company.random.below(self.installs.len());
        let (pool, person, device) = self.installs.swap_remove(at);
        let Some(key) = self.company.pools.get(pool).map(super::company::Pool::key) else { return };
        let Some(user_name) = self.company.people.get(person).map(|person| person.user_name.clone()) else { return };
        self.teller.add(json!({"type": "uninstall", "pool": key, "device": format!("name:{device}"), "user": format!("name:{user_name}")}));
    }

    fn replace_a_device(&mut self) {
        let Some(at) = self.company.somebody() else { return };
        let new = self.company.device();
        let Some(person) = self.company.people.get_mut(at) else { return };
        let user_name = person.user_name.clone();
        let old = person.devices.first_mut().map(|device| std::mem::replace(device, new.clone()));
        let Some(old) = old else { return };
        self.installs.retain(|(_, _, device)| *device != old);
        self.teller.add(json!({"type": "retire_device", "device": format!("name:{old}")}));
        self.enroll(&new, &user_name);
    }

    /// Reads the figures of all pools, and notices which of them have no seat left.
    pub(super) async fn look(&mut self) -> Result<(), CallError> {
        let pools = self.teller.list("/pools").await?;
        self.pools = pools.into_iter().filter_map(|pool| Some((pool.get("key")?.as_str()?.to_owned(), pool))).collect();
        let today = self.today().to_owned();
        for (key, pool) in &self.pools {
            let is_out = pool.get("free").and_then(Value::as_u64) == Some(0) && number(pool, "held") > 0;
            let open = self.sell_outs.iter_mut().find(|sell_out| sell_out.pool == *key && sell_out.until.is_none());
            match (open, is_out) {
                (None, true) => self.sell_outs.push(SellOut {
                    pool: key.clone(),
                    name: pool.get("name").and_then(Value::as_str).unwrap_or("").to_owned(),
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

    fn the_sell_out(&self) -> Option<(usize, String, String, usize)> {
        self.company.pools.iter().enumerate().find_map(|(at, pool)| match pool.purpose {
            For::SellOut(department) => Some((at, pool.key(), pool.name.clone(), department)),
            For::Everyone | For::Department(_) | For::Site(_) | For::Few(_) => None,
        })
    }

    /// A department wants an app of which too few seats were bought: first refused as a whole, then given as far as it goes.
    async fn sell_out(&mut self) -> Result<(), CallError> {
        let Some((_, key, name, at)) = self.the_sell_out() else { return Ok(()) };
        let target = json!({"group": department(at)});
        let whole = self
            .teller
            .post("assign", "/assignments", json!({"pool": key, "target": target, "intent": "required"}))
            .await?;
        let part = self
            .teller
            .post(
                "assign",
                "/assignments",
                json!({"pool": key, "target": target, "intent": "required", "mode": "fill"}),
            )
            .await?;
        self.is_sell_out_open = true;
        let part = part.unwrap_or(Value::Null);
        let first = if whole.is_none() { "refused for want of seats; then, as far as they go: " } else { "" };
        let (reserved, queued) = (count(&part, "reserved"), count(&part, "queued"));
        self.remember(format!("{name} required for {}: {first}{reserved} reserved, {queued} queued", department(at)));
        Ok(())
    }

    async fn serve_the_queue(&mut self) -> Result<(), CallError> {
        let Some((at, key, name, of)) = self.the_sell_out() else { return Ok(()) };
        let before = self.pools.get(&key).map_or(0, |pool| number(pool, "queued"));
        let size = self.company.in_department(of).len() as u64;
        self.own(at, size + size / 4).await?;
        self.look().await?;
        let after = self.pools.get(&key).map_or(0, |pool| number(pool, "queued"));
        self.remember(format!("{name}: seats bought, the queue of {before} served, {after} left"));
        Ok(())
    }

    /// States a new number of seats for a pool, as the vendor's inventory would.
    async fn own(&mut self, at: usize, owned: u64) -> Result<(), CallError> {
        let Some(pool) = self.company.pools.get_mut(at) else { return Ok(()) };
        self.seats_bought += owned.saturating_sub(pool.owned.unwrap_or(owned));
        pool.owned = Some(owned);
        let item = pool.item();
        self.teller
            .post("inventory", "/inventory", json!({"complete": false, "language": "en-US", "items": [item]}))
            .await?;
        Ok(())
    }

    /// The vendor counts fewer seats than are held: the ledger says so, and one command carries its plan out.
    async fn deficit(&mut self) -> Result<(), CallError> {
        let Some((at, key, name)) =
            self.company.pools.iter().enumerate().nth(2).map(|(at, pool)| (at, pool.key(), pool.name.clone()))
        else {
            return Ok(());
        };
        let held = self.pools.get(&key).map_or(0, |pool| number(pool, "held"));
        self.own(at, held - held / 10).await?;
        let path = format!("/pools/{}", encode(&key));
        let over_by = number(&self.teller.get(&path).await?, "over_by");
        let plan =
            self.teller.post("plan_deficit", &format!("{path}/deficit/plan"), json!({})).await?.unwrap_or(Value::Null);
        let planned =
            ["seats", "plan", "items"].iter().find_map(|field| plan.get(field)?.as_array()).map_or(0, Vec::len);
        self.teller.post("resolve_deficit", &format!("{path}/deficit/resolve"), json!({})).await?;
        let left = number(&self.teller.get(&path).await?, "over_by");
        self.remember(format!("{name}: cut to {} of {held} held seats, over by {over_by}; plan of {planned} seats carried out, over by {left}", held - held / 10));
        Ok(())
    }

    async fn buy_back(&mut self) -> Result<(), CallError> {
        let here = self.company.here(|_| true).len() as u64;
        self.own(2, here + here / 8).await?;
        let name = self.company.pools.get(2).map_or(String::new(), |pool| pool.name.clone());
        self.remember(format!("{name}: bought back to {} seats", here + here / 8));
        Ok(())
    }

    /// Seats given back to the store: in time, twice, and too late.
    async fn refund(&mut self, month: usize) -> Result<(), CallError> {
        let ripe = |pool: &&super::company::Pool| {
            matches!(pool.purpose, For::Department(_))
                && self.pools.get(&pool.key()).is_some_and(|figures| number(figures, "free") > 3)
        };
        let Some((key, name, cents)) =
            self.company.pools.iter().find(ripe).map(|pool| (pool.key(), pool.name.clone(), pool.minor_units))
        else {
            return Ok(());
        };
        let today: jiff::civil::Date =
            self.today().parse().map_err(|error| CallError::Unreadable(format!("no date: {error}")))?;
        let day = |days: i64| today.checked_sub(jiff::Span::new().days(days)).unwrap_or(today).to_string();
        let quantity = self.pools.get(&key).map_or(0, |pool| number(pool, "free") / 2);
        let path = format!("/pools/{}/refunds", encode(&key));
        let body = |order: String, ordered_on: String| json!({"order": order, "quantity": quantity, "ordered_on": ordered_on, "amount": {"currency": "EUR", "minor_units": cents * quantity}});
        let order = format!("ORD-{month:03}");
        let (in_time, too_late) = (body(order.clone(), day(10)), body(format!("{order}-late"), day(45)));
        if self.teller.post("refund", &path, in_time.clone()).await?.is_some() {
            self.seats_refunded += quantity;
            if let Some(owned) =
                self.company.pools.iter_mut().find(|pool| pool.key() == key).and_then(|pool| pool.owned.as_mut())
            {
                *owned = owned.saturating_sub(quantity);
            }
            self.remember(format!("{name}: {quantity} seats refunded under {order}"));
        }
        self.teller.post("refund", &path, in_time).await?;
        self.teller.post("refund", &path, too_late).await?;
        Ok(())
    }

    /// Every quarter the pools that ran out get more seats.
    async fn buy_more(&mut self) -> Result<(), CallError> {
        let mut items = Vec::new();
        let mut bought = 0;
        for pool in &mut self.company.pools {
            let Some(figures) = self.pools.get(&pool.key()) else { continue };
            let is_short = figures.get("free").and_then(Value::as_u64).is_some_and(|free| free == 0)
                || number(figures, "queued") > 0;
            let may_grow = !matches!(pool.purpose, For::SellOut(_));
            if let (true, true, Some(owned)) = (is_short, may_grow, pool.owned.as_mut()) {
                let more = (*owned / 4).max(2);
                *owned += more;
                bought += more;
                items.push(pool.item());
            }
        }
        if items.is_empty() {
            return Ok(());
        }
        let pools = items.len();
        self.seats_bought += bought;
        self.teller
            .post("inventory", "/inventory", json!({"complete": false, "language": "en-US", "items": items}))
            .await?;
        self.remember(format!("{bought} seats bought for {pools} pools that had run out"));
        Ok(())
    }
}

fn department(at: usize) -> String {
    format!("department-{}", DEPARTMENTS.get(at).copied().unwrap_or("none"))
}

fn site(at: usize) -> String {
    format!("site-{}", SITES.get(at).copied().unwrap_or("none"))
}

/// A count, or the length of a list, whichever the answer has.
fn count(answer: &Value, field: &str) -> u64 {
    answer
        .get(field)
        .map_or(0, |value| value.as_u64().or_else(|| value.as_array().map(|list| list.len() as u64)).unwrap_or(0))
}

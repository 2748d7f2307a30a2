//! Seats bought, sold out, cut and given back, always at the stores' order desks: the ledger learns of it by reading the store.
//! Not here: what other tools do there.

use super::{Life, department, number};
use crate::cli::client::encode;
use crate::cli::demo::stock::{For, Pool};
use crate::cli::exit::Failure;
use serde_json::{Value, json};

/// An order that will be given back.
#[derive(Debug, Clone)]
pub(super) struct Ordered {
    pool: Pool,
    order: String,
    quantity: u64,
    on: String,
}

impl Life {
    fn the_sell_out(&self) -> Option<(Pool, usize)> {
        self.company.pools.iter().find_map(|pool| match pool.purpose {
            For::SellOut(department) => Some((pool.clone(), department)),
            For::Everyone | For::Department(_) | For::Site(_) | For::Few(_) | For::Tablets => None,
        })
    }

    /// A department wants an app of which too few seats were bought: first refused as a whole, then given as far as it goes.
    pub(super) async fn sell_out(&mut self) -> Result<(), Failure> {
        let Some((pool, at)) = self.the_sell_out() else { return Ok(()) };
        let (key, name) = (pool.key(), pool.name);
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
        self.teller.settle().await?;
        self.is_sell_out_open = true;
        let part = part.unwrap_or(Value::Null);
        let first = if whole.is_none() { "refused for want of seats; then, as far as they go: " } else { "" };
        let (reserved, queued) = (count(&part, "reserved"), count(&part, "queued"));
        self.remember(format!("{name} required for {}: {first}{reserved} reserved, {queued} queued", department(at)));
        Ok(())
    }

    pub(super) async fn serve_the_queue(&mut self) -> Result<(), Failure> {
        let Some((pool, of)) = self.the_sell_out() else { return Ok(()) };
        let before = self.figure(&pool, "queued");
        let size = self.company.in_department(of).len() as u64;
        self.own(&pool, size + size / 4).await?;
        self.look().await?;
        let after = self.figure(&pool, "queued");
        self.remember(format!("{}: seats bought, the queue of {before} served, {after} left", pool.name));
        Ok(())
    }

    /// Buys at the desk, or has the store cut, until so many are owned; then the store is read.
    async fn own(&mut self, pool: &Pool, owned: u64) -> Result<(), Failure> {
        let before = self.stores.owned(pool)?.unwrap_or(owned);
        if owned > before {
            self.seats_bought += owned - before;
            self.stores.buy(pool, Some(owned - before))?;
        } else {
            self.stores.cut(pool, before - owned)?;
        }
        self.read(pool.provider()).await
    }

    /// The store counts fewer seats than are held: the ledger says so, and one command carries its plan out.
    pub(super) async fn deficit(&mut self) -> Result<(), Failure> {
        let Some(pool) = self.company.pools.get(2).cloned() else { return Ok(()) };
        let held = self.figure(&pool, "held");
        self.own(&pool, held - held / 10).await?;
        let path = format!("/pools/{}", encode(&pool.key()));
        let over_by = number(&self.teller.get(&path).await?, "over_by");
        let plan =
            self.teller.post("plan_deficit", &format!("{path}/deficit/plan"), json!({})).await?.unwrap_or(Value::Null);
        let planned =
            ["seats", "plan", "items"].iter().find_map(|field| plan.get(field)?.as_array()).map_or(0, Vec::len);
        self.teller.post("resolve_deficit", &format!("{path}/deficit/resolve"), json!({})).await?;
        self.teller.settle().await?;
        let left = number(&self.teller.get(&path).await?, "over_by");
        self.remember(format!("{}: cut to {} of {held} held seats, over by {over_by}; plan of {planned} seats carried out at the store, over by {left}", pool.name, held - held / 10));
        Ok(())
    }

    pub(super) async fn buy_back(&mut self) -> Result<(), Failure> {
        let Some(pool) = self.company.pools.get(2).cloned() else { return Ok(()) };
        let here = self.company.here(|_| true).len() as u64;
        self.own(&pool, here + here / 8).await?;
        self.remember(format!("{}: bought back to {} seats", pool.name, here + here / 8));
        Ok(())
    }

    /// An order of a few seats more than are needed.
    pub(super) async fn order(&mut self, month: usize) -> Result<(), Failure> {
        let of = month / 6 % 4;
        let is_it = |pool: &&Pool| pool.is_online() && matches!(pool.purpose, For::Department(_));
        let Some(pool) = self.company.pools.iter().filter(is_it).nth(of).cloned() else { return Ok(()) };
        let quantity = 5;
        self.seats_bought += quantity;
        let order = self.stores.buy(&pool, Some(quantity))?;
        self.read(pool.provider()).await?;
        let on = self.today().to_owned();
        self.ordered = order.map(|order| Ordered { pool, order, quantity, on });
        Ok(())
    }

    /// Seats given back to Microsoft's store, and the ledger told: in time, twice, and another order too late. Then some to
    /// Apple's, of which nobody tells the ledger until it has found the difference.
    pub(super) async fn refund(&mut self, month: usize) -> Result<(), Failure> {
        if let Some(Ordered { pool, order, quantity, on }) = self.ordered.take() {
            let path = format!("/pools/{}/refunds", encode(&pool.key()));
            let body = |order: &str, on: &str| json!({"order": order, "quantity": quantity, "ordered_on": on, "amount": {"currency": "EUR", "minor_units": pool.minor_units * quantity}});
            if self.figure(&pool, "free") >= quantity {
                self.stores.give_back(&order).map_err(Failure::Refused)?;
                if self.teller.post("refund", &path, body(&order, &on)).await?.is_some() {
                    self.seats_refunded += quantity;
                }
                self.teller.post("refund", &path, body(&order, &on)).await?;
                let twice = self.stores.give_back(&order).err().unwrap_or_default();
                self.remember(format!("{}: {quantity} seats refunded under {order}; again: {twice:?}", pool.name));
            }
            if let Some(first) = self.first_orders.get(&pool.key()).cloned() {
                let too_late = body(&first, &self.founded_on);
                self.teller.post("refund", &path, too_late).await?;
                let desk = self.stores.give_back(&first).err().unwrap_or_default();
                self.remember(format!("{}: the first order {first} can't be refunded any more: {desk:?}", pool.name));
            }
            self.read(pool.provider()).await?;
        }
        self.look().await?;
        self.refund_in_silence(month).await
    }

    async fn refund_in_silence(&mut self, month: usize) -> Result<(), Failure> {
        let quantity = 2;
        let pools = self.company.pools.iter().filter(|pool| pool.is_apple());
        let Some(pool) = pools.max_by_key(|pool| self.figure(pool, "free")).cloned() else { return Ok(()) };
        if self.figure(&pool, "free") < quantity {
            return Ok(());
        }
        self.stores.cut(&pool, quantity)?;
        self.read(pool.provider()).await?;
        let key = pool.key();
        let is_drop = |drift: &Value| drift["kind"] == "owned_fell" && drift["resolution"].is_null();
        let is_it = |drift: &&Value| drift["pool_key"] == key.as_str() && is_drop(drift);
        let drifts = self.teller.list("/drift").await?;
        let Some(drift) = drifts.iter().find(is_it) else {
            return Err(Failure::Refused(format!("the drop of {key} is no drift: {drifts:?}")));
        };
        let body = json!({
            "order": format!("APPLE-{month:03}"), "quantity": quantity, "ordered_on": self.today(), "explains": drift["id"],
            "amount": {"currency": "EUR", "minor_units": pool.minor_units * quantity},
        });
        self.teller.post("refund", &format!("/pools/{}/refunds", encode(&key)), body).await?;
        self.seats_refunded += quantity;
        self.remember(format!(
            "{}: a sync finds {quantity} seats fewer at Apple's; a refund recorded later explains it",
            pool.name
        ));
        Ok(())
    }

    /// Every quarter the pools that ran out get more seats.
    pub(super) async fn buy_more(&mut self) -> Result<(), Failure> {
        let (mut pools, mut bought) = (0, 0);
        for pool in &self.company.pools {
            let Some(figures) = self.pools.get(&pool.key()) else { continue };
            let is_short = figures.get("free").and_then(Value::as_u64).is_some_and(|free| free == 0)
                || number(figures, "queued") > 0;
            let may_grow = !matches!(pool.purpose, For::SellOut(_));
            if is_short && may_grow {
                let more = (number(figures, "owned") / 4).max(2);
                self.stores.buy(pool, Some(more))?;
                bought += more;
                pools += 1;
            }
        }
        if pools == 0 {
            return Ok(());
        }
        self.seats_bought += bought;
        self.read_both().await?;
        self.remember(format!("{bought} seats bought for {pools} pools that had run out"));
        Ok(())
    }
}

/// A count, or the length of a list, whichever the answer has.
fn count(answer: &Value, field: &str) -> u64 {
    answer
        .get(field)
        .map_or(0, |value| value.as_u64().or_else(|| value.as_array().map(|list| list.len() as u64)).unwrap_or(0))
}

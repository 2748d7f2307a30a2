//! What happens at the stores without the ledger: another tool gives and takes seats, connections break, a token ends. Not
//! here: what is bought and given back.

use super::{Life, TOKEN_DAYS};
use crate::cli::client::encode;
use crate::cli::demo::stock::{For, Pool};
use crate::cli::exit::Failure;
use serde_json::{Value, json};

/// Of these the last ones are taken by another tool in one go.
const FREE_MAX: u64 = 200;

fn seat(pool: &Pool, user_name: &str, deed: &str) -> String {
    format!("/pools/{}/seats/user:{}/{deed}", encode(&pool.key()), encode(&format!("name:{user_name}")))
}

impl Life {
    /// People who are here, of another department than the pool is for, and have no seat of it.
    fn strangers(&self, pool: &Pool, count: u64) -> Result<Vec<String>, Failure> {
        let holders = self.stores.holders(pool)?;
        let is_of = |department: usize| match pool.purpose {
            For::Department(of) | For::Few(of) | For::SellOut(of) => of == department,
            For::Everyone | For::Site(_) | For::Tablets => true,
        };
        let people = self.company.people.iter().filter(|person| person.is_here && !is_of(person.department));
        let names = people.map(|person| person.user_name.clone()).filter(|name| !holders.contains(name));
        Ok(names.take(usize::try_from(count).unwrap_or(usize::MAX)).collect())
    }

    /// At either store another tool gives two people a seat; one of the seats is adopted, the other stays foreign.
    pub(super) async fn others_give(&mut self) -> Result<(), Failure> {
        for is_apple in [false, true] {
            let is_it = |pool: &&Pool| {
                let is_there = if is_apple { pool.is_apple() } else { pool.is_online() };
                is_there && matches!(pool.purpose, For::Department(_)) && self.figure(pool, "free") >= 2
            };
            let Some(pool) = self.company.pools.iter().find(is_it).cloned() else { continue };
            let Ok([first, second]) = <[String; 2]>::try_from(self.strangers(&pool, 2)?) else { continue };
            for user_name in [&first, &second] {
                self.stores.other_gives(&pool, user_name)?;
            }
            self.read(pool.provider()).await?;
            self.look().await?;
            let foreign = self.figure(&pool, "foreign");
            self.teller.post("adopt", &seat(&pool, &first, "adopt"), json!({})).await?;
            self.remember(format!("{}: another tool gave 2 seats, {foreign} foreign; one is adopted", pool.name));
            self.given_by_others.push((pool, first, second));
        }
        Ok(())
    }

    /// It takes one of its seats back, and one of ours: after two readings of the store the ledger takes both for gone.
    pub(super) async fn others_take(&mut self) -> Result<(), Failure> {
        for (pool, adopted, foreign) in std::mem::take(&mut self.given_by_others) {
            let holders = self.stores.holders(&pool)?;
            let is_ours = |name: &&String| {
                let is_here = self.company.people.iter().any(|person| person.is_here && person.user_name == **name);
                is_here && **name != adopted && **name != foreign
            };
            let Some(ours) = holders.iter().find(is_ours).cloned() else { continue };
            for user_name in [&ours, &foreign].into_iter().filter(|name| holders.contains(*name)) {
                self.stores.other_takes(&pool, user_name)?;
            }
            let before = self.teller.tally.seats_lost;
            self.read(pool.provider()).await?;
            let once = self.teller.tally.seats_lost - before;
            self.read(pool.provider()).await?;
            let twice = self.teller.tally.seats_lost - before;
            self.teller.post("grant", &seat(&pool, &ours, "grant"), json!({})).await?;
            self.teller.settle().await?;
            self.remember(format!(
                "{}: another tool took seats away; {once} gone after one sync, {twice} after two; ours granted anew",
                pool.name
            ));
        }
        Ok(())
    }

    /// Another tool takes the last seats of a pool before the ledger has read of it: the store refuses what the ledger granted,
    /// and who was granted it waits until seats are bought.
    pub(super) async fn run_dry(&mut self) -> Result<(), Failure> {
        let is_it = |pool: &&Pool| {
            let free = self.figure(pool, "free");
            pool.is_online() && matches!(pool.purpose, For::Few(_)) && (1..=FREE_MAX).contains(&free)
        };
        let few_free = self.company.pools.iter().filter(is_it);
        let Some(pool) = few_free.min_by_key(|pool| self.figure(pool, "free")).cloned() else { return Ok(()) };
        let free = self.figure(&pool, "free");
        let mut strangers = self.strangers(&pool, free + 1)?;
        let Some(late) = strangers.pop() else { return Ok(()) };
        for user_name in &strangers {
            self.stores.other_gives(&pool, user_name)?;
        }
        let target = json!({"user": format!("name:{late}")});
        let body = json!({"pool": pool.key(), "target": target, "intent": "required", "mode": "fill"});
        self.teller.post("assign", "/assignments", body).await?;
        self.teller.settle().await?;
        self.read(pool.provider()).await?;
        self.look().await?;
        let (foreign, queued) = (self.figure(&pool, "foreign"), self.figure(&pool, "queued"));
        self.stores.buy(&pool, Some(3))?;
        self.seats_bought += 3;
        self.read(pool.provider()).await?;
        self.look().await?;
        let left = self.figure(&pool, "queued");
        self.remember(format!(
            "{}: another tool took the last {foreign} seats, the store refuses a grant, {queued} queued; 3 bought, {left} queued",
            pool.name
        ));
        Ok(())
    }

    pub(super) fn turn_well(&mut self) {
        let times = self.stores.turn_well();
        self.remember(format!("the stores had a bad month: {times} calls were cut or failed, and all was settled"));
    }

    /// The token for Apple's store has ended: the account is read only, and what was given back since waits. A new one is
    /// downloaded, and all of it goes on.
    pub(super) async fn renew_what_has_lapsed(&mut self) -> Result<(), Failure> {
        let failed = self.teller.sync("apple-business").await?;
        let why = failed.get("failure").and_then(Value::as_str).unwrap_or("nothing failed").to_owned();
        self.teller.link("apple-business", self.stores.apple_account(TOKEN_DAYS)?).await?;
        self.remember(format!("the token for Apple's store has ended ({why}); a new one is given"));
        self.read("apple-business").await
    }

    pub(super) async fn renew_in_time(&mut self) -> Result<(), Failure> {
        self.teller.link("apple-business", self.stores.apple_account(TOKEN_DAYS)?).await?;
        self.remember("the token for Apple's store is renewed in time");
        self.read("apple-business").await
    }
}

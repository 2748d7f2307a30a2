//! The two simulated stores from behind: what is bought and given back at their order desks, whom they know, what another
//! tool does there, and who sits where by their own books. Not here: the ledger, and the stores' protocols.

use super::stock::{Pool, Sold};
use crate::cli::exit::Failure;
use crate::clock::Clock;
use crate::domain::facts::DistributionPolicy;
use crate::domain::time::Time;
use crate::store::simulator::apple::{
    AppleSimulator, Holder, NewAsset, NewToken, NewUnit, Options as AppleOptions, Order, Timing,
};
use crate::store::simulator::faults::{Fault, FaultRates, Faults};
use crate::store::simulator::journal::{Deed, Entry};
use crate::store::simulator::microsoft::{Market, MicrosoftOptions, MicrosoftSimulator, Product, Purchase, Sku};
use parking_lot::MutexGuard;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

/// The organization at Microsoft's store.
pub(super) const DIRECTORY: &str = "contoso.example";
/// The organization at Apple's.
pub(super) const UNIT: &str = "2049025000431439";
const OTHER_TOOL: &str = "intune";
/// How a store writes that there is no limit.
const UNLIMITED: i64 = 2_147_483_647;
/// In a bad month, of a thousand calls each.
const BAD: [(Fault, u16); 4] =
    [(Fault::CutBefore, 5), (Fault::CutAfter, 5), (Fault::InternalError, 5), (Fault::WrongJson, 5)];

/// One seat by a store's own books: the ledger's name of the pool, and the holder in lower case.
pub(super) type Seat = (String, String);

pub(super) struct Stores {
    /// Of both, moved along with the service's.
    clock: Clock,
    microsoft: MicrosoftSimulator,
    apple: AppleSimulator,
}

fn no(what: impl Display) -> Failure {
    Failure::Refused(format!("a store's order desk says: {what}"))
}

fn cant_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::File(format!("a simulated store can't listen at {address}: {error}"))
}

impl Stores {
    /// Starts both. They run until this is dropped.
    pub(super) async fn open(seed: u64, microsoft: SocketAddr, apple: SocketAddr) -> Result<Self, Failure> {
        let clock = Clock::manual(Clock::system().now());
        let options = MicrosoftOptions { seed, clock: clock.clone(), ..MicrosoftOptions::new(microsoft) };
        let options = MicrosoftOptions { tenant: DIRECTORY.to_owned(), ..options };
        let selling = MicrosoftSimulator::start(options).await.map_err(|error| cant_listen(microsoft, &error))?;
        // its clock stands still, so that nothing may wait for it
        let timing = Timing { event_delay: Duration::ZERO, ..Timing::default() };
        let options = AppleOptions { listen: apple, seed, clock: clock.clone(), timing, ..AppleOptions::default() };
        let apple = AppleSimulator::start(options).await.map_err(|error| cant_listen(apple, &error))?;
        let unit = NewUnit {
            uid: Some(UNIT.to_owned()),
            name: "Contoso".into(),
            org_name: "Contoso".into(),
            country: Some("DE".into()),
        };
        apple.place(Order::Unit(unit)).map_err(no)?;
        Ok(Self { clock, microsoft: selling, apple })
    }

    pub(super) fn microsoft_url(&self) -> String {
        self.microsoft.url()
    }

    pub(super) fn apple_url(&self) -> String {
        format!("http://{}", self.apple.address())
    }

    /// What the ledger's account of Microsoft's store is linked with.
    pub(super) fn microsoft_account(&self) -> Value {
        let url = self.microsoft_url();
        json!({
            "account_id": DIRECTORY,
            "settings": {"client_id": "seatledger", "base_url": url, "authority_url": url},
            "credentials": {"client_secret": "the-simulated-secret-of-seatledger"},
        })
    }

    /// What the ledger's account of Apple's store is linked with, good for so many days.
    pub(super) fn apple_account(&self, days: u32) -> Result<Value, Failure> {
        let token = NewToken { uid: UNIT.to_owned(), is_read_only: false, expires_in_days: Some(days) };
        let token = self.apple.place(Order::Token(token)).map_err(no)?.token;
        let settings = json!({"base_url": self.apple.base_url(), "poll_millis": 5, "patience_seconds": 30});
        Ok(json!({"account_id": UNIT, "settings": settings, "credentials": {"content_tokens": [token]}}))
    }

    /// The stores' clocks go to where the service's is.
    pub(super) fn it_is(&self, now: &str) -> Result<(), Failure> {
        let now: Time = now.parse().map_err(|_| Failure::Unreachable(format!("{now:?} is no time")))?;
        let by = now.0.saturating_sub(self.clock.now().0);
        self.clock.advance(Duration::from_micros(u64::try_from(by).unwrap_or(0)));
        Ok(())
    }

    /// Whatever the service asks of them waits until `let_go`.
    pub(super) fn hold(&self) {
        self.faults().into_iter().for_each(Faults::hold);
    }

    pub(super) fn let_go(&self) {
        self.faults().into_iter().for_each(Faults::let_go);
    }

    /// From now on connections break and answers can't be read, now and then.
    pub(super) fn turn_bad(&self, seed: u64) {
        for faults in self.faults() {
            faults.set(Some(seed), FaultRates::from(BAD));
        }
    }

    /// How often something went wrong while they were bad.
    pub(super) fn turn_well(&self) -> u64 {
        let faults = self.faults();
        faults.into_iter().for_each(Faults::off);
        faults.into_iter().map(|faults| faults.struck().values().sum::<u64>()).sum()
    }

    fn faults(&self) -> [&Faults; 2] {
        [&self.microsoft.switches().faults, self.apple.faults()]
    }

    fn market(&self) -> MutexGuard<'_, Market> {
        self.microsoft.market()
    }

    /// Puts a pool's product on sale, with all editions of it.
    pub(super) fn sell(&self, pool: &Pool) -> Result<(), Failure> {
        let Sold::Microsoft(key) = &pool.sold else { return Ok(()) };
        let mut product = Product::plain(&key.product.product_id, &key.product.sku_id, &pool.name);
        let known = self.market().product(&key.product.product_id).map_or_else(Vec::new, |known| known.skus.clone());
        let is_new = |sku: &Sku| !known.iter().any(|known| known.sku_id == sku.sku_id);
        product.skus.retain(is_new);
        product.skus.extend(known);
        self.market().sell(product).map_err(no)
    }

    /// Buys seats of a pool; without a quantity, without limit. The order's number, where the store has one.
    pub(super) fn buy(&self, pool: &Pool, quantity: Option<u64>) -> Result<Option<String>, Failure> {
        match &pool.sold {
            Sold::Microsoft(key) => {
                let purchase = Purchase {
                    product_id: key.product.product_id.clone(),
                    sku_id: key.product.sku_id.clone(),
                    license_type: key.license_type,
                    quantity: quantity.map_or(Ok(UNLIMITED), i64::try_from).map_err(no)?,
                    is_paid: quantity.is_some(),
                    distribution_policy: DistributionPolicy::Restricted,
                };
                Ok(Some(self.market().purchase(purchase).map_err(no)?.number))
            }
            Sold::Apple { adam_id, pricing_param } => {
                let count = quantity.map_or(Ok(0), u32::try_from).map_err(no)?;
                let pricing_param = Some((*pricing_param).to_owned());
                let is_unlimited = quantity.is_none();
                let asset = NewAsset { pricing_param, is_unlimited, ..NewAsset::app(UNIT, adam_id, count) };
                self.apple.place(Order::Purchase(asset)).map_err(no)?;
                Ok(None)
            }
        }
    }

    /// Gives an order back: at Microsoft's store by its number and under its rules.
    ///
    /// # Errors
    /// The desk's reason.
    pub(super) fn give_back(&self, order: &str) -> Result<(), String> {
        self.market().refund(order).map(drop).map_err(|refusal| refusal.to_string())
    }

    /// The store owns fewer seats of a pool than before, however many are used.
    pub(super) fn cut(&self, pool: &Pool, by: u64) -> Result<(), Failure> {
        match &pool.sold {
            Sold::Microsoft(key) => {
                let capacity = self.market().entry(key).map_or(0, |entry| entry.capacity);
                let by = i64::try_from(by).map_err(no)?;
                self.market().adjust(key, capacity.saturating_sub(by)).map_err(no)
            }
            Sold::Apple { adam_id, pricing_param } => {
                let refund = Order::Refund {
                    uid: UNIT.to_owned(),
                    adam_id: adam_id.clone(),
                    pricing_param: Some((*pricing_param).to_owned()),
                    quantity: u32::try_from(by).map_err(no)?,
                };
                self.apple.place(refund).map(drop).map_err(no)
            }
        }
    }

    /// Microsoft's store knows whom the directory has; Apple's, whom a tool has named to it.
    pub(super) fn hire(&self, user_name: &str) -> Result<(), Failure> {
        self.market().hire(user_name, Duration::ZERO).map_err(no)
    }

    pub(super) fn dismiss(&self, user_name: &str) -> Result<(), Failure> {
        self.market().delete(user_name, false).map_err(no)
    }

    /// Another tool gives somebody a seat.
    pub(super) fn other_gives(&self, pool: &Pool, user_name: &str) -> Result<(), Failure> {
        match &pool.sold {
            Sold::Microsoft(key) => self.market().assign(OTHER_TOOL, &key.product, user_name).map(drop).map_err(no),
            Sold::Apple { adam_id, pricing_param } => {
                let order = Order::Associate {
                    uid: UNIT.to_owned(),
                    tool: OTHER_TOOL.to_owned(),
                    adam_id: adam_id.clone(),
                    pricing_param: Some((*pricing_param).to_owned()),
                    holder: Holder::User(user_name.to_owned()),
                };
                self.apple.place(order).map(drop).map_err(no)
            }
        }
    }

    /// Another tool takes somebody's seat, whoever gave it.
    pub(super) fn other_takes(&self, pool: &Pool, user_name: &str) -> Result<(), Failure> {
        match &pool.sold {
            Sold::Microsoft(key) => self.market().reclaim(OTHER_TOOL, &key.product, user_name).map(drop).map_err(no),
            Sold::Apple { adam_id, pricing_param } => {
                let order = Order::Disassociate {
                    uid: UNIT.to_owned(),
                    tool: OTHER_TOOL.to_owned(),
                    adam_id: adam_id.clone(),
                    pricing_param: Some((*pricing_param).to_owned()),
                    holder: Holder::User(user_name.to_owned()),
                };
                self.apple.place(order).map(drop).map_err(no)
            }
        }
    }

    /// Every seat that a store knows of, by its own books.
    pub(super) fn seats(&self) -> Result<BTreeSet<Seat>, Failure> {
        let windows = self.market().all_seats();
        let windows = windows.into_iter().map(|seat| {
            (format!("{}:{}:online", seat.product.product_id, seat.product.sku_id), seat.upn.to_lowercase())
        });
        let tablets = self.apple.assignments(UNIT).map_err(no)?;
        let tablets = tablets.into_iter().map(|seat| {
            let holder = match &seat.holder {
                Holder::User(name) | Holder::Device(name) => name.to_lowercase(),
            };
            (format!("apple:{UNIT}:{}:{}", seat.asset.adam_id, seat.asset.pricing_param), holder)
        });
        Ok(windows.chain(tablets).collect())
    }

    /// Who has a seat of one pool, in the order of names.
    pub(super) fn holders(&self, pool: &Pool) -> Result<BTreeSet<String>, Failure> {
        let key = pool.key();
        Ok(self.seats()?.into_iter().filter(|(of, _)| *of == key).map(|(_, holder)| holder).collect())
    }

    /// What a store says is owned of a pool; `None` without limit.
    pub(super) fn owned(&self, pool: &Pool) -> Result<Option<u64>, Failure> {
        let count = match &pool.sold {
            Sold::Microsoft(key) => {
                let capacity = self.market().entry(key).map_or(0, |entry| entry.capacity);
                if capacity >= UNLIMITED { None } else { u64::try_from(capacity).ok() }
            }
            Sold::Apple { adam_id, pricing_param } => {
                let assets = self.apple.assets(UNIT).map_err(no)?;
                let is_it = |id: &crate::store::simulator::apple::AssetId| {
                    id.adam_id == *adam_id && id.pricing_param == *pricing_param
                };
                let asset = assets.into_iter().find(|asset| is_it(&asset.id));
                asset.filter(|asset| !asset.is_unlimited).map(|asset| u64::from(asset.total - asset.retired))
            }
        };
        Ok(count)
    }

    /// How often each thing was done to a seat at either store, by who asked for it.
    pub(super) fn deeds(&self) -> BTreeMap<&'static str, BTreeMap<String, u64>> {
        let mut counted: BTreeMap<_, BTreeMap<String, u64>> = BTreeMap::new();
        let apple = self.apple.journal(0, usize::MAX);
        let microsoft = self.market().journal().from(0, usize::MAX);
        let all = [("apple-business", apple), ("microsoft-store", microsoft)];
        for (provider, entries) in all {
            for Entry { deed, by, .. } in entries {
                let who = if by == OTHER_TOOL { "_by_another_tool" } else { "" };
                let what = match deed {
                    Deed::Granted => "granted",
                    Deed::GrantedAlready => "granted_already",
                    Deed::GrantRefused => "grant_refused",
                    Deed::Released => "released",
                    Deed::ReleasedAlready => "released_already",
                    Deed::ReleaseRefused => "release_refused",
                };
                *counted.entry(provider).or_default().entry(format!("{what}{who}")).or_default() += 1;
            }
        }
        counted
    }
}

//! Microsoft Store for Business, and who acts there besides us: Intune, the order desk, the directory.

use super::{PEOPLE, StoreSide, drawn};
use crate::stores::Shop;
use crate::stores::microsoft::{OFFICE, POOL, Store, upn};
use parking_lot::Mutex;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::LicenseType;
use seatledger::store::simulator::faults::Fault;
use seatledger::store::simulator::journal::Entry;
use seatledger::store::simulator::microsoft::{EntryKey, Product, ProductKey};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const DRAWING: &str = "9WZDNCRFJ365";
const DRAWING_POOL: &str = "9WZDNCRFJ365:0016:online";
const FAULTS: [Fault; 11] = [
    Fault::TooManyRequests,
    Fault::Unavailable,
    Fault::InternalError,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::CutInAnswer,
    Fault::WrongJson,
    Fault::HolderFails,
    Fault::PageDrift,
    Fault::StaleFigures,
    Fault::SlowAnswer,
];
/// Their waits are of whole seconds.
const SELDOM: [Fault; 2] = [Fault::TooManyRequests, Fault::Unavailable];

pub(super) struct Side {
    store: Store,
    orders: Mutex<Vec<String>>,
}

fn key(pool: &str) -> ProductKey {
    let product = if pool == POOL { OFFICE } else { DRAWING };
    ProductKey { product_id: product.into(), sku_id: "0016".into() }
}

fn entry(pool: &str) -> EntryKey {
    EntryKey { product: key(pool), license_type: LicenseType::Online }
}

impl Side {
    fn buys(&self, pool: &str, quantity: i64) {
        self.orders.lock().push(self.store.buys(&key(pool).product_id, LicenseType::Online, quantity));
    }
}

impl StoreSide for Side {
    const PROVIDER: &'static str = "microsoft-store";

    fn open(random: &mut StdRng) -> Self {
        let store = Store::with_seats(4);
        store.simulator.market().sell(Product::plain(DRAWING, "0016", "Drawing")).expect("a product");
        store.simulator.set_page_max(random.random_range(2..5));
        store.simulator.switches().faults.set_slow(std::time::Duration::from_millis(30));
        let side = Self { store, orders: Mutex::default() };
        side.buys(DRAWING_POOL, 2);
        side
    }

    fn url(&self) -> String {
        self.store.simulator.url()
    }

    fn user(name: &str) -> String {
        upn(name)
    }

    fn device() -> Value {
        json!({"platform": "windows", "join": "entra", "enrolled": true, "os_build": 19_045})
    }

    fn licensing(_pool: &str, _is_device: bool) -> Value {
        json!({})
    }

    fn link(&self, shop: &Shop) {
        self.store.link(shop);
    }

    fn pools(&self) -> Vec<String> {
        [POOL, DRAWING_POOL].map(str::to_owned).to_vec()
    }

    fn deed(&self, _shop: &Shop, random: &mut StdRng) -> String {
        let pool = *[POOL, POOL, DRAWING_POOL].choose(random).expect("a pool");
        let name = upn(PEOPLE.choose(random).expect("somebody"));
        let quantity = random.random_range(0..7);
        let simulator = &self.store.simulator;
        let (what, came) = match random.random_range(0..43) {
            0..=9 => ("assigns", simulator.market().assign("intune", &key(pool), &name).is_ok()),
            10..=19 => ("reclaims", simulator.market().reclaim("intune", &key(pool), &name).is_ok()),
            20..=24 => ("adjusts", simulator.market().adjust(&entry(pool), quantity).is_ok()),
            25..=28 => {
                self.buys(pool, 1 + quantity % 2);
                ("buys", true)
            }
            29..=32 => {
                let order = self.orders.lock().choose(random).cloned().unwrap_or_default();
                ("refunds", simulator.market().refund(&order).is_ok())
            }
            33..=34 => {
                let policies =
                    [DistributionPolicy::Open, DistributionPolicy::Restricted, DistributionPolicy::Restricted];
                let policy = *policies.choose(random).expect("a policy");
                ("changes the policy", simulator.market().change_policy(&entry(pool), policy).is_ok())
            }
            35 => ("removes", simulator.market().remove(&entry(pool), random.random_bool(0.5)).is_ok()),
            36..=37 => {
                let now = simulator.switches().clock.now();
                simulator.gate().expire_tokens(now);
                ("expires tokens", true)
            }
            38 => ("shuts us out", simulator.gate().activate("seatledger", false)),
            _ => ("lets us in", simulator.gate().activate("seatledger", true)),
        };
        format!("another {what} {pool} {name} {quantity}: {came}")
    }

    fn fault(&self, random: &mut StdRng) -> String {
        let rates = drawn(random, &FAULTS, &SELDOM, 0.5);
        let said = format!("faults {rates:?}");
        self.store.simulator.switches().faults.set(Some(random.random()), rates);
        said
    }

    fn calm(&self, _shop: &Shop) {
        self.store.simulator.switches().faults.off();
        self.store.simulator.gate().activate("seatledger", true);
        for pool in [POOL, DRAWING_POOL] {
            let is_listed = self.store.simulator.market().entry(&entry(pool)).is_some_and(|entry| entry.is_listed());
            if !is_listed {
                self.buys(pool, 1);
            }
        }
    }

    fn sitting(&self, pool: &str) -> BTreeSet<String> {
        let seats = self.store.simulator.market().all_seats();
        seats.into_iter().filter(|seat| seat.product == key(pool)).map(|seat| seat.upn.to_lowercase()).collect()
    }

    fn journal(&self) -> Vec<Entry> {
        self.store.simulator.market().journal().from(0, usize::MAX)
    }

    fn happened(&self) -> BTreeMap<String, u64> {
        let struck = self.store.simulator.switches().faults.struck();
        struck.into_iter().map(|(fault, count)| (format!("{fault:?}"), count)).collect()
    }

    fn must_happen() -> Vec<String> {
        FAULTS.iter().map(|fault| format!("{fault:?}")).collect()
    }

    fn our_name() -> &'static str {
        "seatledger"
    }

    fn is_late(&self) -> bool {
        false
    }
}

//! Our client of the Microsoft Store for Business against the simulator of it: what a pass reads, what becomes of grants and
//! releases, and that both stay true through every fault. Here: a store and a connector to it. Not here: the ledger.

mod passes;
mod settling;

use crate::harness::{block_on, grants_in};
use seatledger::clock::Clock;
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::{LicenseType, PoolKey};
use seatledger::store::microsoft::{MicrosoftConnector, MicrosoftSettings};
use seatledger::store::simulator::microsoft::{MicrosoftOptions, MicrosoftSimulator, Product, ProductKey, Purchase};
use seatledger::store::terms::{Pass, PassAsked, PassProgress, Request, Settled, Sought, StoreHolder, Trouble};
use seatledger::store::transport::{Transport, TransportLimits};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const SECRET: &str = "the-simulated-secret-of-seatledger";

pub(super) struct Store {
    pub(super) simulator: MicrosoftSimulator,
    pub(super) connector: MicrosoftConnector,
}

impl Store {
    pub(super) fn open() -> Self {
        Self::with_secret(SECRET)
    }

    pub(super) fn with_secret(secret: &str) -> Self {
        let clock = Clock::manual("2026-06-01T10:00:00Z".parse().expect("a time"));
        let options = MicrosoftOptions { clock, ..MicrosoftOptions::new("127.0.0.1:0".parse().expect("an address")) };
        let simulator = block_on(MicrosoftSimulator::start(options)).expect("a simulator");
        simulator.switches().faults.set_slow(Duration::from_millis(600));
        let mut settings = MicrosoftSettings::new("contoso.example", "seatledger");
        (settings.base_url, settings.authority_url) = (simulator.url(), simulator.url());
        // an error means that another test was here before
        let _there = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().tls_certs_only([]).build().expect("a client");
        let limits = TransportLimits {
            attempt_max: Duration::from_millis(400),
            attempts_max: 3,
            back_off_first: Duration::from_millis(4),
            ..TransportLimits::default()
        };
        let connector = MicrosoftConnector::new(&settings, secret.to_owned().into(), Transport::new(http, limits));
        Self { simulator, connector }
    }

    pub(super) fn sell(
        &self,
        product: Product,
        license_type: LicenseType,
        quantity: i64,
        policy: DistributionPolicy,
    ) -> String {
        let (product_id, sku_id) = (product.product_id.clone(), product.skus[0].sku_id.clone());
        let mut market = self.simulator.market();
        market.sell(product).expect("a product");
        let purchase =
            Purchase { product_id, sku_id, license_type, quantity, is_paid: true, distribution_policy: policy };
        market.purchase(purchase).expect("a purchase").number
    }

    /// A plain restricted pool of the SKU 0016.
    pub(super) fn pool(&self, product: &str, seats: i64) -> PoolKey {
        let policy = DistributionPolicy::Restricted;
        self.sell(Product::plain(product, "0016", product), LicenseType::Online, seats, policy);
        online(product)
    }

    pub(super) fn hire(&self, names: &[&str]) {
        for name in names {
            self.simulator.market().hire(&upn(name), Duration::ZERO).expect("a user");
        }
    }

    pub(super) fn give(&self, product: &str, name: &str) {
        self.simulator.market().assign("intune", &sku(product), &upn(name)).expect("a seat");
    }

    pub(super) fn pass(&self, asked: &PassAsked) -> Result<Pass, Trouble> {
        block_on(self.connector.pass(asked, &PassProgress::default()))
    }

    pub(super) fn settle(&self, requests: Vec<Request>) -> Vec<Settled> {
        let asked = requests.clone();
        let settled = block_on(self.connector.settle(requests));
        assert!(settled.iter().map(|(request, _)| request).eq(&asked), "answers come in the order of the requests");
        settled.into_iter().map(|(_, settled)| settled).collect()
    }

    pub(super) fn has(&self, product: &str, name: &str) -> bool {
        self.simulator.market().seat(&sku(product), &upn(name)).is_ok()
    }

    /// How often a seat was given to each, as `pool holder`, and fails where one was given twice without having been taken.
    pub(super) fn grants(&self) -> BTreeMap<String, u32> {
        let grants = grants_in(self.simulator.market().journal().from(0, usize::MAX));
        grants.into_iter().map(|((pool, holder), times)| (format!("{pool} {holder}"), times)).collect()
    }
}

pub(super) fn full() -> PassAsked {
    PassAsked { is_full: true, since: None, language: "en-US".into(), rereads_details: false }
}

pub(super) fn upn(name: &str) -> String {
    format!("{name}@contoso.example")
}

pub(super) fn sku(product: &str) -> ProductKey {
    ProductKey { product_id: product.to_owned(), sku_id: "0016".into() }
}

pub(super) fn online(product: &str) -> PoolKey {
    PoolKey::Microsoft { product_id: product.to_owned(), sku_id: "0016".into(), license_type: LicenseType::Online }
}

pub(super) fn offline(product: &str) -> PoolKey {
    PoolKey::Microsoft { product_id: product.to_owned(), sku_id: "0016".into(), license_type: LicenseType::Offline }
}

pub(super) fn ask(pool: &PoolKey, name: &str, sought: Sought) -> Request {
    Request::new(pool.clone(), StoreHolder::User(upn(name)), sought)
}

//! The simulated Microsoft Store for Business against the documents' tables. Here: a store with something in it.

mod desk;
mod door;
mod faults;
mod inventory;
mod products;
mod seats;

use super::raw::Raw;
use crate::harness::block_on;
use seatledger::clock::Clock;
use seatledger::domain::facts::DistributionPolicy;
use seatledger::domain::key::LicenseType;
use seatledger::domain::time::Time;
use seatledger::store::simulator::microsoft::{MicrosoftOptions, MicrosoftSimulator, Product, ProductKey, Purchase};
use std::time::Duration;

const OFFICE: &str = "9WZDNCRFJ364";
const CARRIED: &str = "9WZDNCRD29V9";
const FREE: &str = "9NBLGGH4R2R6";
const UNOWNED: &str = "CFQ7TTC0K5DM";

/// A store at 1 June 2026, 10:00 UTC, with an on-line pool of `seats` seats, an offline one, an open one, a product that
/// nobody bought, and five users.
struct Store {
    simulator: MicrosoftSimulator,
    /// Without a token.
    raw: Raw,
    /// With one.
    tool: Raw,
}

impl Store {
    fn with_seats(seats: i64) -> Self {
        let start: Time = "2026-06-01T10:00:00Z".parse().expect("a time");
        let clock = Clock::manual(start);
        let listen = "127.0.0.1:0".parse().expect("an address");
        let options = MicrosoftOptions { clock, ..MicrosoftOptions::new(listen) };
        let simulator = block_on(MicrosoftSimulator::start(options)).expect("a simulator");
        let raw = Raw::new(&simulator.url());
        let tool = raw.with("authorization", &format!("Bearer {}", token(&raw)));
        let store = Self { simulator, raw, tool };
        for (product, name) in [(OFFICE, "Office"), (CARRIED, "Carried"), (FREE, "Free"), (UNOWNED, "Unowned")] {
            store.simulator.market().sell(Product::plain(product, "0016", name)).expect("a product");
        }
        store.buys(OFFICE, LicenseType::Online, seats, true, DistributionPolicy::Restricted);
        store.buys(CARRIED, LicenseType::Offline, 10, true, DistributionPolicy::Restricted);
        store.buys(FREE, LicenseType::Online, 2, false, DistributionPolicy::Open);
        for user in ["ada", "bob", "cyd", "dee", "eve"] {
            store.simulator.market().hire(&upn(user), Duration::ZERO).expect("a user");
        }
        store
    }

    fn buys(
        &self,
        product: &str,
        license_type: LicenseType,
        quantity: i64,
        is_paid: bool,
        distribution_policy: DistributionPolicy,
    ) -> String {
        let (product_id, sku_id) = (product.to_owned(), "0016".to_owned());
        let purchase = Purchase { product_id, sku_id, license_type, quantity, is_paid, distribution_policy };
        self.simulator.market().purchase(purchase).expect("a purchase").number
    }

    fn advance(&self, seconds: u64) {
        self.simulator.switches().clock.advance(Duration::from_secs(seconds));
    }

    /// Who sits in a pool, from inside.
    fn sitting(&self, product: &str) -> Vec<String> {
        let seats = self.simulator.market().all_seats();
        let of = seats.into_iter().filter(|seat| seat.product == key(product));
        of.map(|seat| seat.upn.split('@').next().unwrap_or_default().to_owned()).collect()
    }
}

fn token(raw: &Raw) -> String {
    let form = "grant_type=client_credentials&client_id=seatledger&client_secret=the-simulated-secret-of-seatledger\
                &resource=https%3A%2F%2Fonestore.microsoft.com";
    let came = raw.post_form("/contoso.example/oauth2/token", form).is(200);
    came.json["access_token"].as_str().expect("a token").to_owned()
}

fn key(product: &str) -> ProductKey {
    ProductKey { product_id: product.to_owned(), sku_id: "0016".to_owned() }
}

fn upn(name: &str) -> String {
    format!("{name}@contoso.example")
}

/// The path of a pool's seats.
fn seats_of(product: &str) -> String {
    format!("/V1/Inventory/{product}/0016/Seats")
}

fn seat_of(product: &str, name: &str) -> String {
    format!("{}/{name}%40contoso.example", seats_of(product))
}

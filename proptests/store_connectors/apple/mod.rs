//! The Apple connector against the simulated App and Book Management API. Here: a unit, its connector, and who sits there.

mod notices;
mod reading;
mod settling;
mod subscriptions;

use crate::harness::{block_on, grants_in};
use seatledger::domain::key::PoolKey;
use seatledger::store::apple::wire::MdmInfo;
use seatledger::store::apple::{AppleConnector, AppleSettings, ContentToken};
use seatledger::store::simulator::apple::{
    AppleSimulator, Holder, NewAsset, NewToken, NewUnit, Options, Order, Timing,
};
use seatledger::store::simulator::faults::{Fault, Shot};
use seatledger::store::terms::{Pass, PassAsked, PassProgress, Request, Settled, Sought, StoreHolder};
use seatledger::store::transport::TransportLimits;
use std::time::Duration;
use zeroize::Zeroizing;

const UNIT: &str = "100";
const PAGES: &str = "361309726";
const KEYNOTE: &str = "361285480";
const BOOK: &str = "432012345";

/// A unit that owns 3 of one app, 5 of another and 2 of a book, and our connector to it.
struct Unit {
    simulator: AppleSimulator,
    connector: AppleConnector,
}

impl Unit {
    fn start() -> Self {
        Self::start_with(|_| (), |_| ())
    }

    fn start_with(options: impl FnOnce(&mut Options), settings: impl FnOnce(&mut AppleSettings)) -> Self {
        let timing = Timing { event_delay: Duration::from_millis(5), ..Timing::default() };
        let mut chosen = Options { timing, ..Options::default() };
        options(&mut chosen);
        let simulator = block_on(AppleSimulator::start(chosen)).expect("a simulator");
        let place = |order| simulator.place(order).expect("an order");
        place(Order::Unit(NewUnit { uid: Some(UNIT.into()), name: "Berlin".into(), ..NewUnit::default() }));
        place(Order::Purchase(NewAsset::app(UNIT, PAGES, 3)));
        place(Order::Purchase(NewAsset::app(UNIT, KEYNOTE, 5)));
        place(Order::Purchase(NewAsset { is_book: true, ..NewAsset::app(UNIT, BOOK, 2) }));
        let connector = connector(&simulator, "seatledger", settings);
        Self { simulator, connector }
    }

    fn place(&self, order: Order) {
        self.simulator.place(order).expect("an order");
    }

    fn settle(&self, requests: Vec<Request>) -> Vec<Settled> {
        block_on(self.connector.settle(requests)).into_iter().map(|(_, settled)| settled).collect()
    }

    fn one(&self, request: Request) -> Settled {
        self.settle(vec![request]).remove(0)
    }

    fn pass(&self, is_full: bool, since: Option<String>) -> Pass {
        let asked = PassAsked { is_full, since, language: "en-US".into(), rereads_details: false };
        block_on(self.connector.pass(&asked, &PassProgress::new())).expect("a pass")
    }

    /// `asset/holder` of every seat, from inside.
    fn sitting(&self) -> Vec<String> {
        let seats = self.simulator.assignments(UNIT).expect("the unit").into_iter();
        let mut sitting: Vec<_> = seats
            .map(|seat| match seat.holder {
                Holder::User(id) | Holder::Device(id) => format!("{}/{id}", seat.asset.adam_id),
            })
            .collect();
        sitting.sort();
        sitting
    }

    fn fault(&self, operation: &str, fault: Fault, times: u32) {
        let shot = Shot { operation: operation.into(), fault, after: 0, times };
        self.simulator.faults().next(shot).expect("room for a fault");
    }

    /// Nobody was given a seat that was given already and not taken back.
    fn no_seat_was_given_twice(&self) {
        grants_in(self.simulator.journal(0, 1_000_000));
    }
}

fn connector(simulator: &AppleSimulator, tool: &str, settings: impl FnOnce(&mut AppleSettings)) -> AppleConnector {
    // an error means that another test was here before
    let _there = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().tls_certs_only([]).build().expect("an HTTP client");
    let order = Order::Token(NewToken { uid: UNIT.into(), is_read_only: false, expires_in_days: Some(100) });
    let token = simulator.place(order).expect("a token").token.expect("a token");
    let token = ContentToken::parse(&Zeroizing::new(token)).expect("a content token");
    let mdm_info = MdmInfo { id: tool.into(), name: tool.into(), metadata: "test".into() };
    let mut chosen = AppleSettings::new(token, mdm_info);
    chosen.url = simulator.base_url();
    chosen.poll_interval = Duration::from_millis(10);
    chosen.patience = Duration::from_secs(5);
    settings(&mut chosen);
    let limits = TransportLimits {
        call_max: Duration::from_secs(10),
        attempt_max: Duration::from_secs(5),
        back_off_first: Duration::from_millis(5),
        back_off_max: Duration::from_millis(50),
        ..TransportLimits::default()
    };
    AppleConnector::new(http, limits, chosen)
}

fn pool(adam_id: &str) -> PoolKey {
    PoolKey::Apple { unit_id: UNIT.into(), adam_id: adam_id.into(), pricing_param: "STDQ".into() }
}

fn user(id: &str) -> StoreHolder {
    StoreHolder::User(id.into())
}

fn request(sought: Sought, adam_id: &str, holder: StoreHolder) -> Request {
    Request::new(pool(adam_id), holder, sought)
}

fn grant(adam_id: &str, id: &str) -> Request {
    request(Sought::Grant, adam_id, user(id))
}

fn release(adam_id: &str, id: &str) -> Request {
    request(Sought::Release, adam_id, user(id))
}

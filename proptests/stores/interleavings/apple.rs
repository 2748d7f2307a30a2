//! Apple Apps and Books, and who acts there besides us: another tool, the order desk, Apple itself.

use super::{DEVICES, PEOPLE, StoreSide, drawn};
use crate::harness::{block_on, user};
use crate::stores::Shop;
use crate::stores::apple::plain_client;
use parking_lot::Mutex;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use seatledger::store::simulator::apple::{
    AppleSimulator, Holder, MdmInfo, NewAsset, NewToken, NewUnit, Options, Order, Timing,
};
use seatledger::store::simulator::faults::Fault;
use seatledger::store::simulator::journal::Entry;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const APP: &str = "408709785";
const BOOK: &str = "377298193";
const FOR_USERS: &str = "361309726";
const FAULTS: [Fault; 16] = [
    Fault::TooManyRequests,
    Fault::Unavailable,
    Fault::InternalError,
    Fault::CutBefore,
    Fault::CutAfter,
    Fault::CutInAnswer,
    Fault::WrongJson,
    Fault::StuckPending,
    Fault::HolderFails,
    Fault::UnnamedFailure,
    Fault::LostNotification,
    Fault::RepeatedNotification,
    Fault::LateNotification,
    Fault::PageDrift,
    Fault::VersionInvalid,
    Fault::SlowAnswer,
];
/// Their waits are of whole seconds.
const SELDOM: [Fault; 2] = [Fault::TooManyRequests, Fault::Unavailable];
/// What a barred holder fails with: maintenance, an account that can't be had, one that another has.
const REASONS: [u16; 3] = [9644, 9635, 9641];

pub(super) struct Side {
    simulator: AppleSimulator,
    /// The first is the account. The second belongs to it, or is somebody else's.
    units: [String; 2],
    has_both: bool,
    is_told: bool,
    patience_seconds: u64,
    tokens: Mutex<Vec<String>>,
}

impl Side {
    fn unit(&self) -> &str {
        let [unit, _] = &self.units;
        unit
    }

    fn ours(&self) -> &[String] {
        if self.has_both { &self.units } else { &self.units[..1] }
    }

    fn order(&self, order: Order) -> &'static str {
        match self.simulator.place(order) {
            Ok(_) => "done",
            Err(_) => "in vain",
        }
    }

    fn new_tokens(&self) {
        let token = |unit: &String| {
            let new = NewToken { uid: unit.clone(), is_read_only: false, expires_in_days: Some(365) };
            self.simulator.place(Order::Token(new)).expect("a token").token.expect("it is shown")
        };
        *self.tokens.lock() = self.ours().iter().map(token).collect();
    }

    fn account(&self, shop: &Shop) -> Value {
        let mut settings = json!({
            "base_url": self.simulator.base_url(), "poll_millis": 4, "patience_seconds": self.patience_seconds,
        });
        if self.is_told {
            settings["notification_url"] = json!(shop.tenant.url("/store-accounts/apple-business/notifications"));
        }
        let credentials = json!({"content_tokens": *self.tokens.lock()});
        json!({"account_id": self.unit(), "settings": settings, "credentials": credentials})
    }

    /// New tokens, and the ledger has them.
    fn renews(&self, shop: &Shop) {
        self.new_tokens();
        shop.tenant.put("/store-accounts/apple-business", self.account(shop)).ok();
    }
}

fn title(key: &str) -> (&str, &str) {
    let parts: Vec<&str> = key.split(':').collect();
    match parts.as_slice() {
        [_, unit, adam_id, _] => (unit, adam_id),
        other => panic!("{other:?} is no key"),
    }
}

impl StoreSide for Side {
    const PROVIDER: &'static str = "apple-business";

    fn open(random: &mut StdRng) -> Self {
        let millis = Duration::from_millis;
        let timing = Timing {
            event_delay: millis(random.random_range(0..6)),
            stuck: millis(*[60, 1500].choose(random).expect("one")),
            notification_late: millis(80),
            first_retry: millis(40),
            second_retry: millis(80),
        };
        let options =
            Options { timing, page_size: 2, seed: random.random(), client: Some(plain_client()), ..Options::default() };
        let simulator = block_on(AppleSimulator::start(options)).expect("a free port");
        simulator.faults().set_slow(millis(30));
        static MADE: AtomicU32 = AtomicU32::new(0);
        let units = [(); 2].map(|()| format!("20490250{:08}", MADE.fetch_add(1, Ordering::Relaxed)));
        for unit in &units {
            let new =
                NewUnit { uid: Some(unit.clone()), name: "Berlin".into(), org_name: "Contoso".into(), country: None };
            simulator.place(Order::Unit(new)).expect("a unit");
            let books = NewAsset { is_book: true, ..NewAsset::app(unit, BOOK, 2) };
            let for_users = NewAsset { is_device_assignable: false, ..NewAsset::app(unit, FOR_USERS, 2) };
            for asset in [NewAsset::app(unit, APP, 4), books, for_users] {
                simulator.place(Order::Purchase(asset)).expect("bought");
            }
        }
        let has_both = random.random_bool(0.3);
        let side = Self {
            simulator,
            units,
            has_both,
            is_told: !has_both && random.random_bool(0.7),
            patience_seconds: random.random_range(0..2),
            tokens: Mutex::default(),
        };
        side.new_tokens();
        side
    }

    fn url(&self) -> String {
        self.simulator.base_url()
    }

    fn user(name: &str) -> String {
        user(name)
    }

    fn device() -> Value {
        json!({"platform": "ios", "join": "none", "enrolled": true})
    }

    fn licensing(pool: &str, is_device: bool) -> Value {
        match title(pool).1 {
            APP => json!({"licensing": if is_device { "device" } else { "user" }}),
            _ => json!({}),
        }
    }

    fn link(&self, shop: &Shop) {
        shop.tenant.put("/store-accounts/apple-business", self.account(shop)).created();
    }

    fn pools(&self) -> Vec<String> {
        let of = |unit: &String| [APP, BOOK, FOR_USERS].map(|adam_id| format!("apple:{unit}:{adam_id}:STDQ"));
        self.ours().iter().flat_map(of).collect()
    }

    fn deed(&self, shop: &Shop, random: &mut StdRng) -> String {
        let uid = self.ours().choose(random).expect("a unit").clone();
        let adam_id = (*[APP, APP, APP, FOR_USERS, BOOK].choose(random).expect("a title")).to_owned();
        let holder = match random.random_range(0..8) {
            0..=4 => Holder::User(user(PEOPLE.choose(random).expect("somebody"))),
            5..=6 => Holder::Device((*DEVICES.choose(random).expect("a device")).to_owned()),
            _ if random.random_bool(0.5) => Holder::User("stranger@example.org".to_owned()),
            _ => Holder::Device("SN9".to_owned()),
        };
        let (tool, pricing_param, quantity) = ("other".to_owned(), None, random.random_range(1..3));
        let at = format!("{adam_id} of {uid} {holder:?}");
        let (what, came) = match random.random_range(0..56) {
            0..=10 => ("associates", self.order(Order::Associate { uid, tool, adam_id, pricing_param, holder })),
            11..=21 => ("disassociates", self.order(Order::Disassociate { uid, tool, adam_id, pricing_param, holder })),
            22..=26 => {
                let is_book = adam_id == BOOK;
                ("buys", self.order(Order::Purchase(NewAsset { is_book, ..NewAsset::app(&uid, &adam_id, quantity) })))
            }
            27..=31 => ("refunds", self.order(Order::Refund { uid, adam_id, pricing_param, quantity })),
            32..=34 => {
                let [one, other] = self.units.clone();
                let (from, to) = if random.random_bool(0.5) { (one, other) } else { (other, one) };
                ("transfers", self.order(Order::Transfer { from, to, adam_id, pricing_param, quantity }))
            }
            35 => ("retires", self.order(Order::RetireLicenses { uid, adam_id, pricing_param, quantity: 1 })),
            36..=38 => {
                let number = random.random_bool(0.5).then(|| *REASONS.choose(random).expect("a reason"));
                ("bars", self.order(Order::Bar { uid, holder, number }))
            }
            39..=40 => ("finishes events", self.order(Order::FinishEvents)),
            41 => ("makes versions invalid", self.order(Order::InvalidateVersions { uid })),
            42 => {
                let client_user_id = user(PEOPLE.choose(random).expect("somebody"));
                ("accepts", self.order(Order::AcceptInvitation { uid, client_user_id }))
            }
            43 => {
                let ends =
                    if random.random_bool(0.5) { Order::ExpireTokens { uid } } else { Order::RevokeTokens { uid } };
                ("ends tokens", self.order(ends))
            }
            44..=48 => {
                self.renews(shop);
                ("renews tokens", "done")
            }
            49 => {
                let other = MdmInfo { id: "jamf-7".into(), name: "Jamf".into(), metadata: String::new() };
                ("takes over", self.order(Order::TakeOver { uid, mdm_info: Some(other) }))
            }
            _ => ("gives back", self.order(Order::TakeOver { uid, mdm_info: None })),
        };
        format!("another {what} {at} {quantity}: {came}")
    }

    fn fault(&self, random: &mut StdRng) -> String {
        let rates = drawn(random, &FAULTS, &SELDOM, 0.4);
        let said = format!("faults {rates:?}");
        self.simulator.faults().set(Some(random.random()), rates);
        said
    }

    fn calm(&self, shop: &Shop) {
        self.simulator.faults().off();
        for unit in &self.units {
            self.order(Order::TakeOver { uid: unit.clone(), mdm_info: None });
            let people = PEOPLE.iter().copied().chain(["stranger"]).map(|name| Holder::User(user(name)));
            let devices = DEVICES.iter().chain(&["SN9"]).map(|serial| Holder::Device((*serial).to_owned()));
            for holder in people.chain(devices) {
                self.order(Order::Bar { uid: unit.clone(), holder, number: None });
            }
        }
        self.renews(shop);
        self.order(Order::FinishEvents);
    }

    fn sitting(&self, pool: &str) -> BTreeSet<String> {
        let (unit, adam_id) = title(pool);
        let seats = self.simulator.assignments(unit).expect("the unit");
        let of_title = seats.into_iter().filter(|seat| seat.asset.adam_id == adam_id);
        let name = |holder| match holder {
            Holder::User(name) | Holder::Device(name) => name.to_lowercase(),
        };
        of_title.map(|seat| name(seat.holder)).collect()
    }

    fn journal(&self) -> Vec<Entry> {
        self.simulator.journal(0, usize::MAX)
    }

    fn happened(&self) -> BTreeMap<String, u64> {
        let struck = self.simulator.faults().struck().into_iter().map(|(fault, count)| (format!("{fault:?}"), count));
        struck.chain([("told".to_owned(), self.simulator.notices().delivered)]).collect()
    }

    fn must_happen() -> Vec<String> {
        FAULTS.iter().map(|fault| format!("{fault:?}")).chain(["told".to_owned()]).collect()
    }

    fn our_name() -> &'static str {
        "api"
    }

    fn is_late(&self) -> bool {
        self.simulator.faults().struck().contains_key(&Fault::StuckPending)
    }
}

//! Whom the store takes us for, and what a pass reads.

use super::{BOOK, KEYNOTE, PAGES, UNIT, Unit, connector, grant, pool, user};
use crate::harness::block_on;
use seatledger::domain::facts::{HeldBy, Owned};
use seatledger::store::simulator::apple::{Holder, NewAsset, Order};
use seatledger::store::simulator::faults::Fault;
use seatledger::store::terms::{Settled, StoreHolder, Trouble};

#[test]
fn a_unit_that_nobody_claimed_is_ours_and_one_that_another_took_is_left_alone() {
    let unit = Unit::start();
    block_on(unit.connector.enter()).expect("nobody has it");
    let account = block_on(unit.connector.account()).expect("an account");
    assert_eq!((account.account_id.as_deref(), account.taken_over_by), (Some(UNIT), None));
    assert!(account.token_expires_at.is_some());

    let other = connector(&unit.simulator, "othertool", |_| ());
    let seen = block_on(other.account()).expect("an account");
    assert_eq!(seen.taken_over_by.as_deref(), Some("seatledger"), "to the other it is we who have it");
    assert_eq!(block_on(other.enter()), Err(Trouble::TakenOver("seatledger".into())));
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted);

    block_on(other.claim()).expect("a deliberate word");
    // every answer says so, and from the first one on nothing is written
    unit.pass(true, None);
    assert_eq!(unit.one(grant(PAGES, "bob")), Settled::NotSent(Trouble::TakenOver("othertool".into())));
    assert_eq!(unit.sitting(), [format!("{PAGES}/ada")]);
    let account = block_on(unit.connector.account()).expect("an account");
    assert_eq!(account.taken_over_by.as_deref(), Some("othertool"));
    block_on(unit.connector.claim()).expect("ours again");
    assert_eq!(unit.one(grant(PAGES, "bob")), Settled::Granted);

    // the next version of us is no other tool, and writes what it is
    let newer = connector(&unit.simulator, "seatledger", |settings| settings.mdm_info.metadata = "newer".into());
    assert_eq!(block_on(newer.account()).map(|account| account.taken_over_by), Ok(None));
    block_on(newer.enter()).expect("ours");
    let info = unit.simulator.units().into_iter().find_map(|it| it.mdm_info).expect("claimed");
    assert_eq!((info.id.as_str(), info.metadata.as_str()), ("seatledger", "newer"));
    assert_eq!(block_on(unit.connector.account()).map(|account| account.taken_over_by), Ok(None));
}

#[test]
fn a_token_that_is_no_good_is_said_to_be_so() {
    let unit = Unit::start();
    block_on(unit.connector.account()).expect("good at first");
    unit.place(Order::RevokeTokens { uid: UNIT.into() });
    assert!(matches!(block_on(unit.connector.account()), Err(Trouble::Credentials(_))));
    assert!(matches!(unit.one(grant(PAGES, "ada")), Settled::NotSent(Trouble::Credentials(_))));
    let elsewhere = connector(&unit.simulator, "seatledger", |settings| settings.unit_id = Some("200".into()));
    assert!(
        matches!(block_on(elsewhere.account()), Err(Trouble::Credentials(words)) if words.contains("another unit"))
    );
}

#[test]
fn a_pass_reads_everything_page_by_page() {
    let unit = Unit::start_with(|options| options.page_size = 4, |_| ());
    unit.place(Order::Purchase(NewAsset { is_unlimited: true, ..NewAsset::app(UNIT, "1", 1) }));
    unit.place(Order::Purchase(NewAsset { is_device_assignable: false, ..NewAsset::app(UNIT, "2", 200) }));
    unit.place(Order::RetireLicenses { uid: UNIT.into(), adam_id: "2".into(), pricing_param: None, quantity: 50 });
    let seat = |adam_id: &str, holder| Order::Associate {
        uid: UNIT.into(),
        tool: "othertool".into(),
        adam_id: adam_id.into(),
        pricing_param: None,
        holder,
    };
    for number in 0..30 {
        unit.place(seat("2", Holder::User(format!("user{number:02}"))));
    }
    unit.place(seat(PAGES, Holder::Device("C02".into())));
    let pass = unit.pass(true, None);
    let of = |adam_id: &str| pass.items.iter().find(|item| item.key == pool(adam_id)).expect("an item");
    assert_eq!((of("1").owned, of("2").owned, of(PAGES).owned), (Owned::Unlimited, Owned::Count(150), Owned::Count(3)));
    assert_eq!((of(PAGES).details.held_by, of("2").details.held_by), (HeldBy::UserOrDevice, HeldBy::User));
    assert_eq!((of(BOOK).details.is_irrevocable, of(PAGES).details.is_irrevocable), (true, false));
    assert_eq!((of("2").store_used, of(BOOK).store_used), (Some(30), Some(0)));
    assert_eq!((pass.items.len(), pass.seats.len(), pass.is_complete), (5, 31, true));
    assert!(pass.seats.iter().any(|seat| seat.pool == pool(PAGES) && seat.holder == StoreHolder::Device("C02".into())));
    assert_eq!(pass.pages, 2 + 8);
}

#[test]
fn what_was_added_since_is_told_and_an_old_version_reads_all() {
    let unit = Unit::start();
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted);
    let first = unit.pass(true, None);
    assert_eq!(unit.one(grant(KEYNOTE, "ada")), Settled::Granted);
    let added = unit.pass(false, first.next.clone());
    assert!(!added.is_complete && added.seats.iter().any(|seat| seat.pool == pool(KEYNOTE)));
    unit.place(Order::InvalidateVersions { uid: UNIT.into() });
    let all = unit.pass(false, first.next);
    assert_eq!((all.is_complete, all.seats.len()), (true, 2));
}

#[test]
fn a_pass_bears_throttling_cut_connections_and_pages_that_drift() {
    let unit = Unit::start_with(|options| options.page_size = 10, |_| ());
    unit.place(Order::Purchase(NewAsset::app(UNIT, "2", 500)));
    for number in 0..100 {
        unit.place(Order::Associate {
            uid: UNIT.into(),
            tool: "othertool".into(),
            adam_id: "2".into(),
            pricing_param: None,
            holder: Holder::User(format!("user{number:03}")),
        });
    }
    for fault in [Fault::CutBefore, Fault::CutInAnswer, Fault::WrongJson, Fault::InternalError] {
        unit.fault("*", fault, 1);
        assert_eq!(unit.pass(true, None).seats.len(), 100, "{fault:?}");
    }
    unit.fault("*", Fault::PageDrift, 3);
    let seats = unit.pass(true, None).seats;
    let mut apart: Vec<_> = seats.iter().map(|seat| (seat.pool.clone(), seat.holder.clone())).collect();
    apart.dedup();
    assert_eq!(apart.len(), seats.len(), "no seat twice, whatever the pages show");
}

#[test]
fn subscriptions_that_can_not_be_read_keep_nobody_from_reading_what_is_counted() {
    let unit = Unit::start();
    let before = unit.pass(true, None);
    unit.fault("subscriptions", Fault::InternalError, 1000);
    let pass = unit.pass(true, None);
    assert_eq!((pass.items, pass.is_complete), (before.items, true));
}

#[test]
fn one_seat_is_looked_at_as_it_is_now() {
    let unit = Unit::start();
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted);
    let look = |adam_id: &str, id: &str| block_on(unit.connector.look(&pool(adam_id), &user(id)));
    assert_eq!((look(PAGES, "ada"), look(KEYNOTE, "ada"), look(PAGES, "bob")), (Ok(true), Ok(false), Ok(false)));
    let device = block_on(unit.connector.look(&pool(PAGES), &StoreHolder::Device("ada".into())));
    assert_eq!(device, Ok(false), "a device of that name is another holder");
}

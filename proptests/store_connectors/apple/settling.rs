//! Seats granted and given back, with everything that can go wrong on the way.

use super::{BOOK, KEYNOTE, PAGES, UNIT, Unit, connector, grant, release, request, user};
use crate::harness::block_on;
use seatledger::store::apple::AppleSettings;
use seatledger::store::simulator::apple::{Holder, Limits, NewAsset, Order};
use seatledger::store::simulator::faults::{Fault, FaultRates};
use seatledger::store::terms::{Request, Settled, Sought, StoreHolder, Trouble};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn users_are_made_and_seats_are_given_and_taken_back() {
    let unit = Unit::start();
    let with_mail = Request { email: Some("ada@contoso.example".into()), ..grant(PAGES, "ada") };
    let device = request(Sought::Grant, PAGES, StoreHolder::Device("C02".into()));
    let settled = unit.settle(vec![with_mail, grant(KEYNOTE, "ada"), device, grant(KEYNOTE, "bob")]);
    assert_eq!(settled, vec![Settled::Granted; 4]);
    let expected = [format!("{KEYNOTE}/ada"), format!("{KEYNOTE}/bob"), format!("{PAGES}/C02"), format!("{PAGES}/ada")];
    assert_eq!(unit.sitting(), expected);
    // asked again it is as it was, and what is gone is gone
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted);
    assert_eq!(unit.settle(vec![release(PAGES, "ada"), release(KEYNOTE, "bob")]), vec![Settled::Released; 2]);
    assert_eq!(unit.one(release(PAGES, "ada")), Settled::Released);
    assert_eq!(unit.sitting(), [format!("{KEYNOTE}/ada"), format!("{PAGES}/C02")]);
    unit.no_seat_was_given_twice();
}

#[test]
fn the_last_license_is_the_last_and_each_holder_is_settled_alone() {
    let unit = Unit::start();
    let settled = unit.settle((0..5).map(|n| grant(PAGES, &format!("user{n}"))).collect());
    let count = |of: &Settled| settled.iter().filter(|it| *it == of).count();
    assert_eq!((count(&Settled::Granted), count(&Settled::NotEnough)), (3, 2));
    assert_eq!(unit.sitting().len(), 3);
}

#[test]
fn what_is_given_back_first_is_given_again() {
    let unit = Unit::start();
    unit.settle((0..3).map(|n| grant(PAGES, &format!("user{n}"))).collect());
    let settled = unit.settle(vec![grant(PAGES, "ada"), release(PAGES, "user0")]);
    assert_eq!(settled, [Settled::Granted, Settled::Released]);
}

#[test]
fn a_book_stays_and_is_for_nobodys_device() {
    let unit = Unit::start();
    assert_eq!(unit.one(grant(BOOK, "ada")), Settled::Granted);
    // beside an app that can be taken back
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted);
    let settled = unit.settle(vec![release(BOOK, "ada"), release(PAGES, "ada")]);
    let kept = Settled::ReleaseRefused("9706: the asset is not revocable".into());
    assert_eq!(settled, [kept, Settled::Released]);
    let device = request(Sought::Grant, BOOK, StoreHolder::Device("C02".into()));
    let settled = unit.settle(vec![device, request(Sought::Grant, PAGES, StoreHolder::Device("C02".into()))]);
    assert_eq!(settled, [Settled::Refused("9707: the asset is not for devices".into()), Settled::Granted]);
}

#[test]
fn a_holder_whom_the_store_bars_is_refused_and_the_others_are_not() {
    let unit = Unit::start();
    for id in ["ada", "bob"] {
        assert_eq!(unit.one(grant(KEYNOTE, id)), Settled::Granted);
    }
    unit.place(Order::Bar { uid: UNIT.into(), holder: Holder::User("bob".into()), number: Some(9641) });
    let settled = unit.settle(vec![grant(PAGES, "ada"), grant(PAGES, "bob")]);
    let barred = Settled::Refused("9641: the Apple Account is another user's already".into());
    assert_eq!(settled, [Settled::Granted, barred]);
}

#[test]
fn a_user_who_can_not_be_made_and_is_not_named_is_refused_alone() {
    let unit = Unit::start();
    unit.place(Order::Bar { uid: UNIT.into(), holder: Holder::User("user3".into()), number: Some(9635) });
    unit.fault("event", Fault::UnnamedFailure, 1);
    let settled = unit.settle((0..5).map(|n| grant(KEYNOTE, &format!("user{n}"))).collect());
    for (n, settled) in settled.into_iter().enumerate() {
        let refused = Settled::Refused("9635: the Apple Account can't be associated".into());
        assert_eq!(settled, if n == 3 { refused } else { Settled::Granted }, "user{n}");
    }
    assert_eq!(unit.sitting().len(), 4);
}

#[test]
fn calls_keep_within_the_limits_of_the_service_config() {
    let unit = Unit::start();
    unit.place(Order::Purchase(NewAsset::app(UNIT, "2", 100)));
    unit.place(Order::Limits(Limits { max_client_user_ids: 7, max_users: 3, max_assets: 1, ..Limits::default() }));
    let requests = (0..20).map(|n| grant("2", &format!("user{n:02}"))).collect();
    assert_eq!(unit.settle(requests), vec![Settled::Granted; 20]);
    // the store's limits fall while the old ones are still believed
    unit.place(Order::Limits(Limits { max_client_user_ids: 2, max_assets: 1, ..Limits::default() }));
    let requests = (0..20).map(|n| release("2", &format!("user{n:02}"))).collect();
    assert_eq!(unit.settle(requests), vec![Settled::Released; 20]);
}

#[test]
fn an_answer_that_was_lost_is_unknown_and_a_request_that_did_not_leave_is_not_sent() {
    let unit = Unit::start();
    assert_eq!(unit.one(grant(KEYNOTE, "ada")), Settled::Granted);
    for fault in [Fault::CutAfter, Fault::CutInAnswer, Fault::WrongJson] {
        unit.fault("associate", fault, 1);
        assert!(matches!(unit.one(grant(PAGES, "ada")), Settled::Unknown(_)), "{fault:?}");
        unit.place(Order::FinishEvents);
        let look = block_on(unit.connector.look(&super::pool(PAGES), &user("ada")));
        assert_eq!(look, Ok(true), "{fault:?}");
        assert_eq!(unit.one(release(PAGES, "ada")), Settled::Released);
    }
    unit.fault("associate", Fault::TooManyRequests, 1);
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted, "after the wait");
    unit.no_seat_was_given_twice();
}

#[test]
fn an_event_that_never_ends_is_unknown() {
    let unit = Unit::start_with(|_| (), |settings| settings.patience = Duration::from_millis(100));
    assert_eq!(unit.one(grant(KEYNOTE, "ada")), Settled::Granted);
    unit.fault("*", Fault::StuckPending, 1);
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Unknown("the store is still at it".into()));
}

#[test]
fn what_is_given_back_while_the_store_is_still_at_the_grant_is_gone_only_once_that_has_ended() {
    // carried out at once and shown late, or late altogether: that is by chance
    for seed in 0..6 {
        let short = |settings: &mut AppleSettings| settings.patience = Duration::from_millis(300);
        let unit = Unit::start_with(|options| options.seed = seed, short);
        assert_eq!(unit.one(grant(KEYNOTE, "ada")), Settled::Granted);
        unit.fault("event", Fault::StuckPending, 1);
        assert!(matches!(unit.one(grant(PAGES, "ada")), Settled::Unknown(_)), "seed {seed}");
        let requests = vec![release(PAGES, "ada"), release(KEYNOTE, "ada")];
        let settled = unit.settle(requests.clone());
        assert!(matches!(settled[0], Settled::Unknown(_)), "seed {seed}: {settled:?}");
        assert_eq!(settled[1], Settled::Released, "seed {seed}: of another seat nothing is open");
        unit.place(Order::FinishEvents);
        assert_eq!(unit.settle(requests), vec![Settled::Released; 2], "seed {seed}");
        assert!(unit.sitting().is_empty(), "seed {seed}: {:?}", unit.sitting());
    }
}

#[test]
fn what_a_run_before_may_have_asked_for_is_gone_only_after_the_time_of_an_event() {
    let patience = Duration::from_millis(800);
    let unit = Unit::start_with(|_| (), |settings| settings.patience = patience);
    let from_before = Request { is_from_before: true, ..release(PAGES, "ada") };
    assert!(matches!(unit.one(from_before.clone()), Settled::Unknown(_)));
    assert_eq!(unit.one(release(KEYNOTE, "ada")), Settled::Released);
    std::thread::sleep(patience);
    assert_eq!(unit.one(from_before), Settled::Released);
}

#[test]
fn a_user_whom_another_tool_retired_is_made_again() {
    let unit = Unit::start();
    assert_eq!(unit.one(grant(KEYNOTE, "ada")), Settled::Granted);
    let body = seatledger::store::apple::wire::UsersBody {
        users: vec![seatledger::store::apple::wire::UserBody {
            client_user_id: "ada".into(),
            email: None,
            managed_apple_id: None,
        }],
    };
    let retired = block_on(unit.connector.client().retire_users(&body));
    assert!(matches!(retired, Ok(Ok(_))), "{retired:?}");
    unit.place(Order::FinishEvents);
    assert_eq!(unit.one(grant(PAGES, "ada")), Settled::Granted);
}

#[test]
fn two_who_ask_at_the_same_time_do_not_share_a_license() {
    let unit = Unit::start();
    let connector = Arc::new(connector(&unit.simulator, "seatledger", |_| ()));
    let settle = |names: [&str; 2]| {
        let (connector, requests) = (Arc::clone(&connector), names.map(|id| grant(PAGES, id)).to_vec());
        async move { connector.settle(requests).await }
    };
    let settled = block_on(async {
        let (one, other) = (tokio::spawn(settle(["ada", "bob"])), tokio::spawn(settle(["cyd", "ada"])));
        [one.await.expect("no panic"), other.await.expect("no panic")].concat()
    });
    assert!(settled.iter().all(|(_, it)| *it == Settled::Granted), "{settled:?}");
    assert_eq!(unit.sitting().len(), 3, "ada has one seat");
    unit.no_seat_was_given_twice();
}

#[test]
fn a_pool_that_is_not_of_the_unit_is_not_asked_for() {
    let unit = Unit::start();
    let mut other = grant(PAGES, "ada");
    other.pool = "apple:200:361309726:STDQ".parse().expect("a key");
    let settled = unit.settle(vec![other, grant(PAGES, "ada")]);
    assert!(matches!(&settled[0], Settled::NotSent(Trouble::Refused { status: 400, .. })), "{settled:?}");
    assert_eq!(settled[1], Settled::Granted);
}

#[test]
fn whatever_goes_wrong_what_is_said_is_so_and_in_the_end_all_is_as_sought() {
    for seed in 0..3 {
        let patience = Duration::from_millis(400);
        let unit = Unit::start_with(|options| options.seed = seed, |settings| settings.patience = patience);
        unit.place(Order::Purchase(NewAsset::app(UNIT, "2", 100)));
        let rates = [
            Fault::TooManyRequests,
            Fault::InternalError,
            Fault::CutBefore,
            Fault::CutAfter,
            Fault::CutInAnswer,
            Fault::WrongJson,
            Fault::HolderFails,
        ];
        unit.simulator.faults().set(Some(seed), rates.into_iter().map(|fault| (fault, 60)).collect::<FaultRates>());
        let (mut wanted, mut is_calm) = (vec![Sought::Grant; 12], false);
        let mut open: Vec<usize> = (0..12).collect();
        for round in 0..12 {
            if round == 6 {
                // everybody changes their mind, and then the store is well
                wanted = (0..12).map(|n| if n % 2 == 0 { Sought::Release } else { Sought::Grant }).collect();
                open = (0..12).collect();
            }
            if round == 8 {
                unit.simulator.faults().off();
                is_calm = true;
                // grants whose answers were lost are not waited for any more
                std::thread::sleep(patience);
            }
            let ask = |n: &usize| request(wanted[*n], "2", user(&format!("user{n:02}")));
            let settled = unit.settle(open.iter().map(ask).collect());
            unit.place(Order::FinishEvents);
            let sitting = unit.sitting();
            let mut left = vec![];
            for (n, settled) in open.iter().copied().zip(settled) {
                let is_there = sitting.contains(&format!("2/user{n:02}"));
                match settled {
                    Settled::Granted => assert!(is_there, "seed {seed}: {n} was said to have a seat"),
                    Settled::Released => assert!(!is_there, "seed {seed}: {n} was said to have none"),
                    Settled::Unknown(_) | Settled::NotSent(_) => left.push(n),
                    refused @ (Settled::NotEnough | Settled::Refused(_) | Settled::ReleaseRefused(_)) => {
                        panic!("seed {seed}, calm {is_calm}: {n} {refused:?}")
                    }
                }
            }
            open = left;
        }
        assert!(open.is_empty(), "seed {seed}: {open:?} are not settled");
        let expected: Vec<_> = (0..12).filter(|n| n % 2 == 1).map(|n| format!("2/user{n:02}")).collect();
        assert_eq!(unit.sitting(), expected, "seed {seed}");
        unit.no_seat_was_given_twice();
    }
}

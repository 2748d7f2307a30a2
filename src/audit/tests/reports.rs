//! Every report at random points of random histories, whole and page by page, against what a fold over all events says.

use super::life::{BORN, World, archived_life, item, life, submission};
use super::naive::{Look, Naive, Rows};
use crate::audit::as_of::AsOf;
use crate::audit::reports::{Asked, Asking, Cell, CsvRows, Key, Output, REPORTS, Report, Row, Rows as _, Source};
use crate::domain::command::{
    Command, Intake, Inventory, InventoryItem, Observation, PoolRef, ProviderReport, TargetRef, UserRef,
};
use crate::domain::facts::{Intent, Mode, Owned};
use crate::domain::ids::{AssignmentId, Holder, PoolId, UserId};
use crate::domain::key::Provider;
use crate::domain::personal::UserProfile;
use crate::domain::report::ReportName;
use crate::domain::time::Time;
use crate::ledger::Ask;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

pub(super) fn whole(report: &Report, source: &Source<'_>, asked: &Asked) -> Rows {
    let mut rows = Rows::new();
    let mut sink = |row: crate::audit::reports::Row| {
        assert_eq!(row.0.len(), report.columns.len(), "{} has as many cells as columns", report.name);
        rows.push(row.0);
        Ok(())
    };
    report.read(source, asked, &mut Output::all(&mut sink)).unwrap();
    rows
}

pub(super) fn paged(report: &Report, source: &Source<'_>, asked: &Asked, limit: usize) -> Rows {
    let (mut rows, mut after): (Rows, Option<Key>) = (Rows::new(), None);
    loop {
        let before = rows.len();
        let mut sink = |row: crate::audit::reports::Row| {
            rows.push(row.0);
            Ok(())
        };
        let mut out = Output::page(after, limit, &mut sink);
        report.read(source, asked, &mut out).unwrap();
        let next = out.next_after();
        assert!(rows.len() - before <= limit);
        let Some(next) = next else { return rows };
        assert!(Some(next) > after, "{}: a page goes on behind the one before", report.name);
        after = Some(next);
    }
}

/// All rows as a file has them, which goes out in several pieces.
pub(super) fn file(report: &Report, source: &Source<'_>, asked: &Asked) -> String {
    let mut bytes = Vec::new();
    report.read(source, asked, &mut Output::all(&mut CsvRows(&mut bytes))).unwrap();
    String::from_utf8(bytes).unwrap()
}

pub(super) fn csv_of(report: &Report, rows: &Rows) -> String {
    let mut bytes = Vec::new();
    for row in rows {
        assert_eq!(row.len(), report.columns.len());
        CsvRows(&mut bytes).row(Row(row.clone())).unwrap();
    }
    String::from_utf8(bytes).unwrap()
}

fn expected(naive: &Naive, report: &Report, look: &Look) -> Rows {
    match report.name {
        ReportName::LicensePosition => naive.license_position(look),
        ReportName::Holders => naive.holders(look),
        ReportName::Person => naive.person(look, look.asked.user.unwrap()),
        ReportName::PeakUse => naive.peak_use(look),
        ReportName::DaysOverCap => naive.days_over_cap(look),
        ReportName::Refunds => naive.refunds(look),
        ReportName::SellOuts => naive.sell_outs(look),
        ReportName::IdleSeats => naive.idle_seats(look),
        ReportName::UntargetedSeats => naive.untargeted_seats(look),
        ReportName::Drift => naive.drift(look),
        ReportName::TrueUp => naive.true_up(look),
        ReportName::AccessLog => naive.access_log(look),
        ReportName::Diff => naive.diff(look),
        ReportName::DiffByPerson => naive.diff_by_person(look),
        ReportName::Cap => naive.cap(look),
        ReportName::Certificate => panic!("a certificate is no list: certificates.rs"),
        ReportName::Review => panic!("the seats of a review have a route of their own: reviews.rs"),
    }
}

/// A random point and period, asked of a report in one of the ways in which it can be.
pub(super) fn any_look(random: &mut SmallRng, naive: &Naive, report: &Report) -> Look {
    let head = naive.events.len() - 1;
    let at = if random.random_bool(0.3) { head } else { random.random_range(1..=head) };
    let recorded_at = |at: usize| naive.events[at].envelope.recorded_at;
    let next = naive.events.get(at + 1).map_or(recorded_at(at).0 + 9_000_000_000, |next| next.envelope.recorded_at.0);
    let until = Time(random.random_range(recorded_at(at).0..=next.max(recorded_at(at).0)));
    let is_between = usize::from(report.takes(Asking::FromPoint));
    let first = is_between + if random.random_bool(0.3) { 0 } else { random.random_range(0..=at) };
    // the instant lies behind the event before
    let since = recorded_at(first.min(at));
    let pools = naive.views[at].state.pools.len();
    let users = naive.views[head].state.users.len();
    let id = |index: usize| u32::try_from(index).unwrap();
    let has_pool = report.parameters.iter().find(|p| p.asking == Asking::Pool);
    let is_pool_asked = has_pool.is_some_and(|p| p.is_required || random.random_bool(0.4)) && pools > 0;
    let has_user = report.parameters.iter().find(|p| p.asking == Asking::User);
    let is_user_asked = has_user.is_some_and(|p| p.is_required || random.random_bool(0.2));
    let is_period = report.takes(Asking::From) || report.takes(Asking::FromPoint);
    let asked = Asked {
        first: if is_period { first as u64 } else { 0 },
        since: if is_period { since } else { recorded_at(0) },
        pool: is_pool_asked.then(|| PoolId(id(random.random_range(0..pools)))),
        user: is_user_asked.then(|| UserId(id(random.random_range(0..users)))),
        days: report.takes(Asking::Days).then(|| random.random_range(0..6)),
    };
    Look { at, until, asked }
}

fn check(
    world: &World,
    random: &mut SmallRng,
    seen: &mut BTreeMap<ReportName, usize>,
    in_parts: &mut BTreeMap<ReportName, usize>,
) {
    let naive = Naive::of(world.ledger.events(world.tenant, 0, usize::MAX).unwrap());
    let as_of = AsOf::new();
    for report in REPORTS {
        for _ in 0..14 {
            let look = any_look(random, &naive, report);
            if look.asked.pool.is_none() && report.missing(|asking| asking != Asking::Pool).next().is_some() {
                continue;
            }
            let source = Source {
                ledger: &world.ledger,
                as_of: &as_of,
                tenant: world.tenant,
                position: look.at as u64,
                until: look.until,
                pinned: None,
                hindsight: None,
                work: std::cell::Cell::new(0),
            };
            let truth = expected(&naive, report, &look);
            let found = whole(report, &source, &look.asked);
            let what = format!("{} at {} until {}, {:?}", report.name, look.at, look.until, look.asked);
            assert_eq!(found.len(), truth.len(), "{what}\nfound {found:#?}\nexpected {truth:#?}");
            for (found, truth) in found.iter().zip(&truth) {
                assert_eq!(found, truth, "{what}");
            }
            let limit = random.random_range(1..5);
            // nothing is at hand: the past is told in parts, a page as a file
            let nothing = AsOf::new();
            let source = Source { as_of: &nothing, ..source };
            assert_eq!(paged(report, &source, &look.asked, limit), truth, "{what}, {limit} rows a page");
            assert_eq!(file(report, &source, &look.asked), csv_of(report, &truth), "{what}, as a file");
            if look.at + 1 < naive.events.len() {
                assert_eq!(nothing.folds(), (0, 0), "{what}: a whole state was made");
                *in_parts.entry(report.name).or_default() += truth.len();
            }
            *seen.entry(report.name).or_default() += truth.len();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_report_says_what_a_fold_over_all_events_says() {
    let (mut seen, mut in_parts, mut random) = (BTreeMap::new(), BTreeMap::new(), SmallRng::seed_from_u64(20));
    for seed in 0..8 {
        let world = archived_life(500 + seed, 500).await;
        check(&world, &mut random, &mut seen, &mut in_parts);
        world.ledger.stop().await;
    }
    // the lives are rich enough to mean something
    for report in REPORTS {
        assert!(in_parts.get(&report.name).is_some_and(|rows| *rows > 5), "{}: {in_parts:?}", report.name);
        assert!(
            seen.get(&report.name).is_some_and(|rows| *rows > 10),
            "{} said next to nothing: {seen:?}",
            report.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_a_seat_back_that_is_being_released_needs_one() {
    // the account is linked
    let World { ledger, tenant, dir: _dir } = life(1, 1).await;
    let asked = |intake| ledger.submit(tenant, submission(None, Ask::Intake(intake)));
    let one = InventoryItem {
        owned: Owned::Count(1),
        ends_on: None,
        store_used: None,
        ..item(&mut SmallRng::seed_from_u64(1), 3)
    };
    let inventory = Inventory {
        provider: Provider::AppleBusiness,
        is_complete: true,
        is_dry_run: false,
        language: "en-US".into(),
        part: None,
        pages: 1,
        items: vec![one],
    };
    asked(Intake::Observation(Observation::Inventory(inventory))).await.unwrap();
    let put = async |name: &str| {
        let profile = UserProfile { user_name: name.to_owned(), ..UserProfile::default() };
        let user = ledger.user_ref(tenant, name);
        ledger.submit(tenant, submission(None, Ask::PutUser { user, profile })).await.unwrap();
    };
    put("al").await;
    put("bo").await;
    let pool = || PoolRef::Id(PoolId(0));
    let assign = |user, mode| {
        let target = TargetRef::User(UserRef::Id(UserId(user)));
        Intake::Command(Command::Assign { pool: pool(), target, intent: Intent::Required, mode, licensing: None })
    };
    let holder = Holder::User(UserId(0));
    let told = |report| Intake::Observation(Observation::Provider { pool: pool(), report });
    for step in [
        assign(0, None),
        told(ProviderReport::GrantConfirmed { holder }),
        Intake::Command(Command::Unassign { assignment: AssignmentId(0) }),
        told(ProviderReport::ReleaseSent { holder }),
        assign(0, Some(Mode::Fill)),
        assign(1, Some(Mode::Fill)),
    ] {
        asked(step).await.unwrap();
    }
    let then = ledger.head(tenant).unwrap();
    put("cy").await;
    let report = Report::find(ReportName::TrueUp).unwrap();
    let at = |name| report.columns.iter().position(|column| column.name == name).unwrap();
    for position in [then, then + 1] {
        let source = Source {
            ledger: &ledger,
            as_of: &AsOf::new(),
            tenant,
            position,
            until: BORN,
            pinned: None,
            hindsight: None,
            work: std::cell::Cell::new(0),
        };
        let rows = whole(report, &source, &Asked { first: 0, since: BORN, pool: None, user: None, days: None });
        let counts = ["held", "releasing", "queued", "to_buy", "could_give_back"].map(|name| rows[0][at(name)].clone());
        assert_eq!(counts, [1, 1, 1, 1, 0].map(Cell::Count), "at {position}");
    }
    ledger.stop().await;
}

#[test]
fn every_report_is_in_the_table_once_and_says_what_it_is() {
    let names: Vec<_> = REPORTS.iter().map(|report| report.name).collect();
    let elsewhere = [ReportName::Certificate, ReportName::Review];
    let listed = ReportName::ALL.iter().copied().filter(|name| !elsewhere.contains(name));
    assert_eq!(names, listed.collect::<Vec<_>>());
    for report in REPORTS {
        assert_eq!(report.name.name().parse(), Ok(report.name));
        assert_eq!(report.columns.last().map(|column| column.name), Some("evidence"), "{}", report.name);
        assert!(!report.about.is_empty() && report.about.ends_with('.'));
    }
}

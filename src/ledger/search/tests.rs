//! Every way of finding events against a plain scan of all of them, over random histories, restarts and spoiled caches.

use super::super::tests::{inventory, lived_in, open, submission};
use super::*;
use crate::domain::command::{
    Command, DeviceRef, Door, GroupRef, HolderRef, Intake, Observation, PoolRef, TargetRef, UserRef,
};
use crate::domain::facts::{DepartureCause, DeviceFacts, GroupKind, Intent, Join, Mode};
use crate::domain::ids::{GroupId, Holder};
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::ledger::{Ask, SubmitError};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const USERS: u32 = 6;
const DEVICES: u32 = 4;
const TYPES: [EventType; 3] = [EventType::SeatGranted, EventType::Installed, EventType::CommandRefused];

type Step = (u8, u32, u32, bool);

fn user(n: u32) -> UserRef {
    UserRef::Id(UserId(n % USERS))
}

fn device(n: u32) -> DeviceRef {
    DeviceRef::Id(DeviceId(n % DEVICES))
}

/// One of everything that events with a holder, a member or a target come of.
fn asked((what, a, b, flag): Step) -> Ask {
    let pool = PoolRef::Id(PoolId(0));
    let holder = if flag { HolderRef::User(user(a)) } else { HolderRef::Device(device(a)) };
    let group = GroupRef::Name(format!("group {}", b % 2));
    let install_user = flag.then(|| user(b));
    let assign =
        |target, mode| Command::Assign { pool: pool.clone(), target, intent: Intent::Required, mode, licensing: None };
    let command = match what % 9 {
        0 => assign(TargetRef::User(user(a)), None),
        1 => assign(TargetRef::Group { group, exclude: None }, Some(Mode::Fill)),
        2 => Command::Install { pool, device: device(a), user: install_user, is_report: b % 3 == 0 },
        3 => Command::Uninstall { pool, device: device(a), user: install_user, is_report: b % 3 == 0 },
        4 => Command::Reclaim { pool, holder },
        5 => Command::Grant { pool, holder },
        6 => {
            let members =
                (0..a % 4).map(|n| HolderRef::User(user(n + b))).chain([HolderRef::Device(device(b))]).collect();
            return Ask::Intake(Intake::Observation(Observation::PutGroup { group, kind: GroupKind::Mixed, members }));
        }
        7 => {
            let depart =
                Observation::Depart { user: user(a), cause: DepartureCause::Deactivated, retire_devices: flag };
            return Ask::Intake(Intake::Observation(depart));
        }
        _ => return Ask::Intake(Intake::Observation(Observation::Return { user: user(a) })),
    };
    Ask::Intake(Intake::Command(command))
}

fn people_and_machines(ledger: &Ledger, tenant: TenantId) -> Vec<Ask> {
    let user = |n| {
        let profile = UserProfile { user_name: format!("user{n}"), ..UserProfile::default() };
        Ask::PutUser { user: ledger.user_ref(tenant, &profile.user_name), profile }
    };
    let device = |n| Ask::PutDevice {
        device: ledger.device_ref(tenant, &format!("serial{n}")),
        names: DeviceNames { serial: Some(format!("serial{n}")), device_id: None },
        facts: DeviceFacts {
            platform: "windows".into(),
            join: Join::Entra,
            is_enrolled: true,
            os_build: Some(20_000),
            has_serial: true,
        },
        primary_user: Some(UserRef::Id(UserId(n % USERS))),
    };
    (0..USERS).map(user).chain((0..DEVICES).map(device)).collect()
}

async fn live(ledger: &Ledger, tenant: TenantId, steps: &[Step], round: &str) {
    for (n, step) in steps.iter().enumerate() {
        let id = format!("{round} {n}");
        ledger
            .submit(tenant, submission(Some(&id).filter(|_| n % 3 > 0).map(String::as_str), asked(*step)))
            .await
            .unwrap();
    }
}

/// All pages of a query, one after the other.
fn pages(ledger: &Ledger, tenant: TenantId, query: &EventQuery) -> Vec<u64> {
    let (mut query, mut found) = (query.clone(), Vec::new());
    loop {
        let page = ledger.query(tenant, &query).unwrap();
        assert!(page.events.len() <= query.limit);
        found.extend(page.events.iter().map(|recorded| recorded.position));
        match page.next {
            Some(next) if query.newest_first => query.to = Some(next),
            Some(next) => query.from = next,
            None => return found,
        }
    }
}

/// What every subject and every query should find, without any index. Of a damaged index every answer that it gives is
/// right, and queries do without it.
fn check(ledger: &Ledger, tenant: TenantId, is_damaged: bool) {
    let all = ledger.events(tenant, 0, 100_000).unwrap();
    let positions = |wanted: &dyn Fn(&Recorded) -> bool| -> Vec<u64> {
        all.iter().filter(|recorded| wanted(recorded)).map(|recorded| recorded.position).collect()
    };
    let mut subjects: BTreeSet<_> = all.iter().flat_map(subjects_of).collect();
    subjects.extend([Subject::Pool(PoolId(77)), Subject::Group(GroupId(77)), Subject::Refusals]);
    let mut pools = BTreeMap::new();
    for recorded in &all {
        if let Event::AssignmentMade { assignment, pool, .. } = &recorded.event {
            pools.insert(*assignment, *pool);
        }
    }
    let pool_of = |event: &Event| {
        if let Event::MembersSkipped { assignment, .. } = event { pools.get(assignment).copied() } else { None }
    };
    let middle = all.len() as u64 / 3..all.len() as u64 * 2 / 3;
    for subject in subjects {
        let all_of_it = positions(&|recorded| subjects_of(recorded).contains(&subject));
        let within: Vec<_> = all_of_it.iter().copied().filter(|position| middle.contains(position)).collect();
        if is_damaged && ledger.positions(tenant, subject, 0..u64::MAX, usize::MAX, false).is_err() {
            continue;
        }
        let ask = |range, max, newest_first| ledger.positions(tenant, subject, range, max, newest_first).unwrap();
        assert_eq!(ask(0..u64::MAX, usize::MAX, false), all_of_it, "{subject:?}");
        assert_eq!(ask(middle.clone(), usize::MAX, false), within, "{subject:?} within {middle:?}");
        let newest: Vec<_> = within.iter().copied().rev().take(5).collect();
        assert_eq!(ask(middle.clone(), 5, true), newest, "the newest of {subject:?}");
        let events = ledger.events_at(tenant, &newest).unwrap();
        assert!(newest.iter().zip(&events).all(|(position, event)| all[usize::try_from(*position).unwrap()] == *event));
        assert_eq!(events.len(), newest.len());
    }
    for id in all.iter().filter_map(|recorded| recorded.envelope.command_id.as_ref()).collect::<BTreeSet<_>>() {
        let of_command = all.iter().filter(|recorded| recorded.envelope.command_id.as_ref() == Some(id)).cloned();
        assert_eq!(ledger.command_events(tenant, id).unwrap(), of_command.collect::<Vec<_>>());
        let query =
            EventQuery { command_id: Some(id.clone()), user: Some(UserId(1)), limit: 2, ..EventQuery::default() };
        let named = |recorded: &Recorded| {
            recorded.envelope.command_id.as_ref() == Some(id)
                && subjects_of(recorded).contains(&Subject::User(UserId(1)))
        };
        assert_eq!(pages(ledger, tenant, &query), positions(&named));
    }
    assert_eq!(ledger.command_events(tenant, "never sent").unwrap(), []);
    for newest_first in [false, true] {
        for (limit, types, user, pool, group) in [
            (1000, &[][..], None, None, None),
            (3, &TYPES[..], None, None, None),
            (7, &TYPES[..2], Some(UserId(2)), None, None),
            (1, &[], Some(UserId(0)), Some(PoolId(0)), None),
            (5, &TYPES[2..], None, Some(PoolId(77)), None),
            (4, &[], None, Some(PoolId(0)), None),
            (4, &[EventType::MembersSkipped, EventType::Queued], None, Some(PoolId(0)), None),
            (2, &[], None, Some(PoolId(0)), Some(GroupId(1))),
        ] {
            let types = types.to_vec();
            let base = EventQuery { types, user, pool, group, limit, newest_first, ..EventQuery::default() };
            for query in [base.clone(), EventQuery { from: middle.start, to: Some(middle.end), ..base }] {
                let mut plain = positions(&|recorded| {
                    recorded.position >= query.from
                        && query.to.is_none_or(|to| recorded.position < to)
                        && query.is_met_by(recorded, pool_of)
                });
                if newest_first {
                    plain.reverse();
                }
                assert_eq!(pages(ledger, tenant, &query), plain, "{query:?}");
            }
        }
    }
}

fn flip(folder: &std::path::Path, which: prop::sample::Index, at: prop::sample::Index) {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|found| found.unwrap().path()).collect();
    paths.sort();
    let path = which.get(&paths);
    let mut bytes = std::fs::read(path).unwrap();
    let at = at.index(bytes.len());
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_index_finds_what_a_scan_finds(
        rounds in prop::collection::vec(prop::collection::vec(any::<Step>(), 0..50), 5),
        (which, at) in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let mut tenants = Vec::new();
            for (round, steps) in rounds.iter().enumerate() {
                // whole, without its folder, with a flipped bit, and made anew after that
                match round {
                    2 => std::fs::remove_dir_all(dir.path().join("subjects")).unwrap(),
                    3 => flip(&dir.path().join("subjects"), which, at),
                    _ => {}
                }
                let ledger = open(dir.path());
                if round == 0 {
                    for slug in ["acme", "globex"] {
                        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, slug, slug).await.unwrap();
                        for ask in [inventory(4)].into_iter().chain(people_and_machines(&ledger, tenant)) {
                            ledger.submit(tenant, submission(None, ask)).await.unwrap();
                        }
                        tenants.push(tenant);
                    }
                }
                let (mine, theirs) = steps.split_at(steps.len() / 2);
                live(&ledger, tenants[0], mine, &format!("round {round}")).await;
                live(&ledger, tenants[1], theirs, &format!("round {round}")).await;
                tenants.iter().for_each(|tenant| check(&ledger, *tenant, round == 3));
                ledger.stop().await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_beyond_the_head_and_unknown_tenants_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    let head = ledger.head(tenant).unwrap();
    assert_eq!(ledger.events_at(tenant, &[head, head + 3]), Err(ReadError::NotReached(head + 3)));
    assert_eq!(ledger.query(TenantId(9), &EventQuery::default()), Err(ReadError::TenantNotFound));
    let beyond = EventQuery { from: head + 1, limit: 10, ..EventQuery::default() };
    assert_eq!(ledger.query(tenant, &beyond), Ok(EventPage::default()));
    let holder = Subject::from(Holder::User(UserId(0)));
    assert_eq!(ledger.positions(tenant, holder, 0..u64::MAX, 10, true), Ok(vec![]));
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_long_records_ends_early_and_all_pages_are_everything() {
    const USERS: usize = 600;
    const NAME_CHARS: usize = 4500;
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    let long = |n| super::super::tests::user(&ledger, tenant, &format!("{n:0>NAME_CHARS$}"));
    for users in (0..USERS).collect::<Vec<_>>().chunks(20) {
        let batch = users.iter().map(|n| submission(None, long(*n))).collect();
        for outcome in ledger.submit_all(tenant, batch, false).await.unwrap() {
            outcome.unwrap();
        }
    }
    for newest_first in [false, true] {
        let types = vec![EventType::UserAdded];
        let query = EventQuery { types, limit: PAGE_EVENTS_MAX, newest_first, ..EventQuery::default() };
        let first = ledger.query(tenant, &query).unwrap();
        let fit = PAGE_BYTES_MAX / NAME_CHARS;
        assert!((1..=fit + 1).contains(&first.events.len()) && first.next.is_some(), "{}", first.events.len());
        let mut found = pages(&ledger, tenant, &query);
        if newest_first {
            found.reverse();
        }
        assert_eq!(found.len(), USERS);
        assert!(found.is_sorted_by(|one, next| one < next));
    }
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_is_told_once_it_is_met_and_a_start_makes_it_anew() {
    let dir = tempfile::tempdir().unwrap();
    lived_in(dir.path()).await;
    for folder in ["receipts", "subjects"] {
        let run = std::fs::read_dir(dir.path().join(folder)).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&run).unwrap();
        bytes[4096 + 30] ^= 1;
        std::fs::write(&run, bytes).unwrap();
    }
    let (ledger, acme) = (open(dir.path()), TenantId(0));
    let of_pool = |ledger: &Ledger| ledger.positions(acme, Subject::Pool(PoolId(0)), 0..9, 9, false);
    assert!(ledger.is_receipts_whole() && ledger.is_subjects_whole(), "nobody has looked there");
    assert!(ledger.command_range(acme, "user3").is_err());
    assert!(!ledger.is_receipts_whole() && ledger.is_subjects_whole());
    assert!(of_pool(&ledger).is_err());
    assert!(!ledger.is_subjects_whole());
    let fresh = ledger.submit(acme, submission(Some("fresh"), inventory(21))).await;
    assert!(matches!(fresh, Err(SubmitError::ReceiptsNotWhole)));
    ledger.submit(acme, submission(None, inventory(21))).await.unwrap();
    ledger.stop().await;
    let ledger = open(dir.path());
    assert!(ledger.command_range(acme, "user3").unwrap().is_some());
    assert!(!of_pool(&ledger).unwrap().is_empty());
    ledger.submit(acme, submission(Some("fresh"), inventory(22))).await.unwrap();
    assert!(ledger.is_receipts_whole() && ledger.is_subjects_whole());
    ledger.stop().await;
}

//! The whole way down and back on real files: submit, restart, ask again.

mod erased;

use super::*;
use crate::domain::answer::Status;
use crate::domain::command::{Command, Intake, Inventory, InventoryItem, Observation, PoolRef, TargetRef};
use crate::domain::facts::{Intent, Owned};
use crate::domain::ids::AssignmentId;
use crate::domain::key::{LicenseType, PoolKey, Provider};
use crate::domain::personal::UserProfile;
use crate::domain::rejection::Rejection;
use crate::domain::time::Time;
use crate::log::OpenError;
use crate::log::writer::QUEUE_JOBS_MAX;

pub(super) fn open(dir: &std::path::Path) -> Ledger {
    try_open(dir).unwrap()
}

pub(super) fn try_open(dir: &std::path::Path) -> Result<Ledger, OpenLedgerError> {
    let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
    let clock = Clock::manual(Time(1_790_000_000_000_000));
    Ledger::open(
        LedgerOptions { log, master_key: MasterKeySource::DataFolder, clock, signing: super::Signing::default() },
        &NoProgress,
    )
}

pub(super) fn submission(id: Option<&str>, ask: Ask) -> Submission {
    Submission {
        actor: Actor::Root,
        door: Door::Http,
        command_id: id.map(str::to_owned),
        content_hash: 7,
        occurred_at: None,
        reason: None,
        if_match: None,
        ask,
    }
}

pub(super) fn inventory(owned: u64) -> Ask {
    let item = InventoryItem::declared("office", "Office", LicenseType::Offline, Owned::Count(owned));
    let inventory = Inventory {
        provider: Provider::Declared,
        is_complete: true,
        is_dry_run: false,
        language: "en-US".into(),
        part: None,
        pages: 1,
        items: vec![item],
    };
    Ask::Intake(Intake::Observation(Observation::Inventory(inventory)))
}

pub(super) fn user(ledger: &Ledger, tenant: TenantId, name: &str) -> Ask {
    let profile = UserProfile { user_name: name.into(), ..UserProfile::default() };
    Ask::PutUser { user: ledger.user_ref(tenant, name), profile }
}

pub(super) fn assign(ledger: &Ledger, tenant: TenantId, name: &str) -> Ask {
    Ask::Intake(Intake::Command(Command::Assign {
        pool: PoolRef::Key(PoolKey::Declared { sku: "office".into() }),
        target: TargetRef::User(ledger.user_ref(tenant, name)),
        intent: Intent::Required,
        mode: None,
        licensing: None,
    }))
}

/// A ledger of two tenants with people, seats, refusals and command ids; and what was true when it was closed.
pub(super) async fn lived_in(dir: &std::path::Path) -> Vec<(String, u64, [u8; 32])> {
    let ledger = open(dir);
    for (slug, people) in [("acme", 30), ("umbra", 3)] {
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, slug, slug).await.unwrap();
        ledger.submit(tenant, submission(None, inventory(20))).await.unwrap();
        for n in 0..people {
            let name = format!("user{n}");
            ledger.submit(tenant, submission(None, user(&ledger, tenant, &name))).await.unwrap();
            ledger.submit(tenant, submission(Some(&name), assign(&ledger, tenant, &name))).await.unwrap();
        }
    }
    let of = |(tenant, slug): (TenantId, String)| {
        let (position, digest) = ledger.digest(tenant).unwrap();
        (slug, position, digest)
    };
    let told = ledger.tenants().into_iter().map(of).collect();
    ledger.stop().await;
    told
}

/// Two first starts on one folder: a key that the second one made would be on the disk, and another one in the first's memory.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_got_the_folder_makes_no_key_in_it() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("new");
    let first = FolderLock::take(&dir).unwrap();
    let second = try_open(&dir);
    assert!(matches!(second, Err(OpenLedgerError::Start(StartError::Log(OpenError::Locked { .. })))));
    let files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["LOCK"]);
    drop(first);
    let ledger = open(&dir);
    assert!(matches!(try_open(&dir), Err(OpenLedgerError::Start(StartError::Log(OpenError::Locked { .. })))));
    ledger.stop().await;
    // a ledger that was stopped lets go of the folder, whoever still has a clone of it
    open(&dir).stop().await;
}

/// Calls that were given up leave their commands behind, and a stop is to wait for a place among them.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_log_without_its_keys_none_are_made() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).stop().await;
    let keys = [KEYS_FILE, crate::vault::MASTER_KEY_FILE].map(|name| dir.path().join(name));
    keys.iter().for_each(|key| std::fs::remove_file(key).unwrap());
    let error = try_open(dir.path()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(KEYS_FILE) && error.contains("it is missing"), "{error}");
    assert!(keys.iter().all(|key| !key.exists()), "what a copy of the keys would take for the right one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finds_its_place_behind_a_full_queue() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    let put = |job| ledger.0.writer.send(job);
    let tick = || put(Job::Tick { reply: oneshot::channel().0 });
    let mut is_full = false;
    for round in 0..50 {
        // takes longer to judge than the queue takes to fill
        let batch = (0..5000).map(|number| submission(None, user(&ledger, tenant, &format!("{round}-{number}"))));
        let (batch, reply) = (batch.collect(), oneshot::channel().0);
        let _first = put(Job::SubmitAll { tenant, batch, is_atomic: true, reply });
        is_full = (0..=QUEUE_JOBS_MAX).any(|_| matches!(tick(), Err(SubmitError::Busy)));
        if is_full {
            break;
        }
    }
    assert!(is_full);
    ledger.stop().await;
    assert!(matches!(tick(), Err(SubmitError::Stopped)), "the writer has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_seat_is_handed_out_once_and_a_restart_remembers_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (tenant, first, refused, digest) = {
        let ledger = open(dir.path());
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        ledger.submit(tenant, submission(None, inventory(1))).await.unwrap();
        for name in ["ada", "bob"] {
            ledger.submit(tenant, submission(None, user(&ledger, tenant, name))).await.unwrap();
        }
        let first = ledger.submit(tenant, submission(Some("a"), assign(&ledger, tenant, "ada"))).await.unwrap();
        assert_eq!((first.answer.status, first.answer.reserved), (Status::Done, 1));
        let refused = ledger.submit(tenant, submission(Some("b"), assign(&ledger, tenant, "bob"))).await.unwrap();
        assert!(matches!(refused.answer.rejection.as_deref(), Some(Rejection::NotEnoughSeats { short_by: 1, .. })));
        let digest = ledger.digest(tenant).unwrap();
        ledger.stop().await;
        (tenant, first, refused, digest)
    };
    let ledger = open(dir.path());
    assert_eq!(ledger.digest(tenant).unwrap(), digest);
    for (id, name, before) in [("a", "ada", first), ("b", "bob", refused)] {
        let again = ledger.submit(tenant, submission(Some(id), assign(&ledger, tenant, name))).await.unwrap();
        assert_eq!(again, Outcome { is_repeat: true, ..before });
    }
    let other = Submission { content_hash: 8, ..submission(Some("a"), assign(&ledger, tenant, "bob")) };
    assert_eq!(ledger.submit(tenant, other).await, Err(SubmitError::IdReused));
    let names: Vec<_> = ledger
        .read(tenant, |view| {
            view.state
                .users
                .iter()
                .map(|user| {
                    ledger.user_profile(&view.state.names.user_profile(user.id).unwrap().personal).unwrap().user_name
                })
                .collect()
        })
        .unwrap();
    assert_eq!(names, ["ada", "bob"]);
    assert_eq!(ledger.read(tenant, |view| view.state.broken_law()).unwrap(), None);
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_vault_a_record_tells_no_hash_of_its_content_and_repeats_are_known_all_the_same() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut recorded = Vec::new();
    for dir in [dir.path(), elsewhere.path()] {
        let ledger = open(dir);
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        ledger.submit(tenant, submission(Some("a"), user(&ledger, tenant, "ada"))).await.unwrap();
        let batch = ["b", "c"].map(|id| submission(Some(id), user(&ledger, tenant, id))).to_vec();
        ledger.submit_all(tenant, batch, false).await.unwrap();
        for Recorded { envelope, .. } in ledger.events(tenant, 0, usize::MAX).unwrap() {
            match &envelope.command_id {
                Some(_) => recorded.push(envelope.content_hash),
                None => assert_eq!(envelope.content_hash, 0),
            }
        }
        ledger.stop().await;
    }
    assert_eq!(recorded.len(), 6);
    // the same content each time: the same hash neither under another id nor in another ledger, and nowhere the plain one
    let different: std::collections::BTreeSet<u64> = recorded.iter().copied().chain([7]).collect();
    assert_eq!(different.len(), 7, "{recorded:?}");
    let ledger = open(dir.path());
    let tenant = ledger.tenant("acme").unwrap();
    // what a record says is what an earlier program left of a content that had this hash
    for (id, before) in ["a", "b", "c"].into_iter().zip(&recorded) {
        for (content_hash, is_known) in [(7, true), (*before, true), (8, false)] {
            let again = Submission { content_hash, ..submission(Some(id), user(&ledger, tenant, "ada")) };
            let alone = ledger.submit(tenant, again.clone()).await;
            let in_a_list = ledger.submit_all(tenant, vec![again], false).await.unwrap().remove(0);
            for said in [alone, in_a_list] {
                match said {
                    Ok(outcome) => assert!(is_known && outcome.is_repeat, "{id} {content_hash:x}"),
                    Err(error) => {
                        assert!(!is_known && error == SubmitError::IdReused, "{id} {content_hash:x}: {error}")
                    }
                }
            }
        }
    }
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_receipt_runs_are_caches_that_a_start_can_do_without() {
    let dir = tempfile::tempdir().unwrap();
    let (tenant, mut digest, mut head) = {
        let ledger = open(dir.path());
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
        ledger.submit(tenant, submission(None, inventory(40))).await.unwrap();
        for n in 0..50 {
            let name = format!("user{n}");
            ledger.submit(tenant, submission(None, user(&ledger, tenant, &name))).await.unwrap();
            ledger.submit(tenant, submission(Some(&name), assign(&ledger, tenant, &name))).await.unwrap();
        }
        ledger.stop().await;
        (tenant, ledger.digest(tenant).unwrap(), ledger.head(tenant).unwrap())
    };
    for spoiled in ["", "snapshots", "archive", "receipts", "archive snapshots receipts sled", "flip"] {
        for folder in spoiled.split_whitespace().filter(|folder| *folder != "flip") {
            std::fs::remove_dir_all(dir.path().join(folder)).unwrap();
        }
        if spoiled == "flip" {
            let path = crate::log::snapshot::list(dir.path()).unwrap().pop().unwrap();
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
        let ledger = open(dir.path());
        assert_eq!(ledger.digest(tenant).unwrap(), digest, "{spoiled:?}");
        assert_eq!(ledger.head(tenant).unwrap(), head);
        let again = ledger.submit(tenant, submission(Some("user7"), assign(&ledger, tenant, "user7"))).await.unwrap();
        assert!(again.is_repeat && again.answer.reserved == 1, "{spoiled:?}");
        // Something new, so that the stop writes its caches again.
        let unchanged = submission(Some(&format!("again {spoiled}")), assign(&ledger, tenant, "user7"));
        assert_eq!(ledger.submit(tenant, unchanged).await.unwrap().answer.status, Status::Unchanged);
        (digest, head) = (ledger.digest(tenant).unwrap(), ledger.head(tenant).unwrap());
        ledger.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_is_alone_is_the_writer_for_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    ledger.submit(tenant, submission(None, inventory(1))).await.unwrap();
    let names: Vec<String> = (0..20).map(|at| format!("user{at}")).collect();
    for name in &names {
        ledger.submit(tenant, submission(None, user(&ledger, tenant, name))).await.unwrap();
    }
    let alone = |asked: Submission| {
        // the disk may be slow here, and the writer's thread not yet asleep
        ledger.0.writer.gauges().last_sync_micros.store(0, Ordering::Relaxed);
        ledger.0.writer.judge_alone(tenant, Box::new(asked))
    };
    let mut verdicts = vec![];
    for name in &names {
        let asked = submission(Some(name), assign(&ledger, tenant, name));
        let judged = (0..20_000).find_map(|_| {
            let judged = alone(asked.clone()).ok();
            if judged.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            judged
        });
        verdicts.push(judged.expect("nobody else asks for anything").unwrap());
    }
    assert!(alone(submission(None, user(&ledger, tenant, "zoe"))).is_err(), "a person may be of any size");
    let asked = || submission(Some("user0"), assign(&ledger, tenant, "user0"));
    let is_refused_in_company = || {
        ledger.in_company();
        alone(asked()).is_err()
    };
    // once may be after a long while
    assert!((0..9).any(|_| is_refused_in_company()), "somebody else asked for something just now");
    std::thread::sleep(Duration::from_millis(110));
    assert!(alone(asked()).is_ok());
    let digest = ledger.digest(tenant).unwrap();
    ledger.stop().await;
    drop(ledger);

    let ledger = open(dir.path());
    assert_eq!(ledger.digest(tenant).unwrap(), digest);
    for (name, verdict) in names.iter().zip(verdicts) {
        let Verdict::Judged { position, answer } = verdict else { panic!("{name} was not judged before") };
        let again = ledger.submit(tenant, submission(Some(name), assign(&ledger, tenant, name))).await.unwrap();
        assert_eq!(again, Outcome { position, answer, is_repeat: true });
    }
}

/// Enough people for a snapshot beside the work, far more than seats.
#[tokio::test(flavor = "multi_thread")]
async fn a_judge_goes_on_from_the_published_states_as_from_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    ledger.submit(tenant, submission(None, inventory(20))).await.unwrap();
    let seat = |name: String| submission(Some(&name), assign(&ledger, tenant, &name));
    let person = |name: String| submission(None, user(&ledger, tenant, &name));
    let mut people = (0..).map(|n| format!("user{n}"));
    let snapshots = || crate::log::snapshot::look(dir.path()).unwrap().len();
    let begun = crate::clock::monotonic();
    let (mut asked, mut granted) = (0, 0);
    // two snapshots: whoever judges behind them has gone on twice
    while snapshots() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{asked} people and no second snapshot");
        let names: Vec<String> = people.by_ref().take(200).collect();
        let batch: Vec<_> = names.iter().flat_map(|name| [person(name.clone()), seat(name.clone())]).collect();
        let outcomes = ledger.submit_all(tenant, batch, false).await.unwrap();
        granted += outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().answer.reserved == 1).count();
        asked += names.len();
    }
    assert_eq!((granted, ledger.read(tenant, |view| view.state.seats_held).unwrap()), (20, 20));
    // the first one's seat is free again and goes to the next who asks, and to nobody else
    let first = AssignmentId(0);
    let back = submission(None, Ask::Intake(Intake::Command(Command::Unassign { assignment: first })));
    assert_eq!(ledger.submit(tenant, back).await.unwrap().answer.status, Status::Done);
    for (name, reserved) in [("zoe", 1), ("zac", 0)] {
        ledger.submit(tenant, person(name.into())).await.unwrap();
        assert_eq!(ledger.submit(tenant, seat(name.into())).await.unwrap().answer.reserved, reserved, "{name}");
    }
    assert_eq!(ledger.read(tenant, |view| view.state.broken_law()).unwrap(), None);
    let (digest, again) = (ledger.digest(tenant).unwrap(), ledger.submit(tenant, seat("user3".into())).await.unwrap());
    assert!(again.is_repeat && again.answer.reserved == 1);
    ledger.stop().await;
    let replayed = replay::replay(dir.path(), &replay::ReplayOptions::default(), &NoProgress).unwrap();
    let told: Vec<_> = replayed.iter().map(|one| (one.state.next_position - 1, one.digest)).collect();
    assert_eq!(told, [digest]);
}

/// Groups large enough to be made durable on another thread while the next one is judged.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_judged_behind_a_group_that_is_on_its_way_is_judged_as_behind_a_durable_one() {
    const CALLERS: usize = 48;
    const ROUNDS: usize = 200;
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    ledger.submit(tenant, submission(None, inventory(10))).await.unwrap();
    for n in 0..CALLERS {
        ledger.submit(tenant, submission(None, user(&ledger, tenant, &format!("user{n}")))).await.unwrap();
    }
    let callers = (0..CALLERS).map(|caller| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let mut heard = vec![];
            for round in 0..ROUNDS {
                // three callers have each id between them, in the same group or in neighbouring ones
                for _ in 0..(caller + round) % 5 {
                    tokio::task::yield_now().await;
                }
                let (name, id) = (format!("user{}", caller / 3), format!("{}-{round}", caller / 3));
                let asked = submission(Some(&id), assign(&ledger, tenant, &name));
                let outcome = if caller % 16 == 0 {
                    ledger.submit_all(tenant, vec![asked], true).await.unwrap().remove(0)
                } else {
                    ledger.submit(tenant, asked).await
                };
                let outcome = outcome.unwrap_or_else(|error| panic!("{id}: {error}"));
                let head = ledger.head(tenant).unwrap();
                assert!(outcome.position <= head, "{id} is answered at {}, readers see {head}", outcome.position);
                heard.push((id, outcome));
            }
            heard
        })
    });
    let mut first = std::collections::BTreeMap::new();
    let (mut heard, mut repeats) = (0, 0);
    for caller in callers.collect::<Vec<_>>() {
        for (id, Outcome { position, answer, is_repeat }) in caller.await.unwrap() {
            assert_eq!(*first.entry(id.clone()).or_insert((position, answer.clone())), (position, answer), "{id}");
            heard += 1;
            repeats += usize::from(is_repeat);
        }
    }
    assert_eq!((heard, repeats), (CALLERS * ROUNDS, CALLERS * ROUNDS / 3 * 2), "each id is judged once");
    assert!(ledger.0.writer.gauges().group_commands_max.load(Ordering::Relaxed) >= 8, "groups were small");
    assert_eq!(ledger.read(tenant, |view| view.state.seats_held).unwrap(), 10);
    assert_eq!(ledger.read(tenant, |view| view.state.broken_law()).unwrap(), None);
    let digest = ledger.digest(tenant).unwrap();
    ledger.stop().await;
    let replayed = replay::replay(dir.path(), &replay::ReplayOptions::default(), &NoProgress).unwrap();
    let told: Vec<_> = replayed.iter().map(|one| (one.state.next_position - 1, one.digest)).collect();
    assert_eq!(told, [digest]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_batch_lets_others_come_between_and_keeps_its_order() {
    const PEOPLE: usize = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    let batch = (0..PEOPLE).map(|n| submission(None, user(&ledger, tenant, &format!("user{n}")))).collect();
    let mut head = ledger.follow(tenant).unwrap();
    let long = {
        let ledger = ledger.clone();
        tokio::spawn(async move { ledger.submit_all(tenant, batch, false).await })
    };
    head.wait_for(|at| *at > 0).await.unwrap();
    let between = ledger.submit(tenant, submission(None, user(&ledger, tenant, "zoe"))).await.unwrap().position;
    let long = long.await.unwrap().unwrap();
    let positions: Vec<u64> = long.into_iter().map(|outcome| outcome.unwrap().position).collect();
    assert!(positions.is_sorted());
    let expected: Vec<u64> = (1..=PEOPLE as u64 + 1).filter(|at| *at != between).collect();
    assert_eq!(positions, expected);
    assert!(between < PEOPLE as u64, "{between} is behind the whole batch");
    assert_eq!(ledger.health().jobs_waiting, 0);
    ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stops_behind_the_last_command_is_heard_of() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    assert_eq!((ledger.health().is_stopped, ledger.failure()), (false, None));
    std::fs::remove_file(dir.path().join("anchor")).unwrap();
    let why = ledger.checkpoint().await.unwrap_err();
    assert!(why.contains("writing the anchor"), "{why}");
    assert!(ledger.health().is_stopped);
    assert_eq!(ledger.stopped().await, why);
    ledger.stop().await;
    assert_eq!(ledger.failure(), Some(why));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_can_not_be_closed_well_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path());
    ledger.create_tenant(Actor::Root, Door::Http, "acme", "Acme").await.unwrap();
    std::fs::remove_file(dir.path().join("anchor")).unwrap();
    ledger.stop().await;
    assert!(ledger.failure().is_some_and(|why| why.contains("writing the anchor")));
}

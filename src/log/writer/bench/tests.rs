//! The bench alone, under a wall clock that is set back. Not here: groups, answers, restarts (`ledger::tests`).

use super::*;
use crate::clock::monotonic;
use crate::domain::command::{Inventory, InventoryItem, PoolRef, TargetRef, UserRef};
use crate::domain::facts::{DepartureCause, Intent, Owned};
use crate::domain::ids::UserId;
use crate::domain::key::{LicenseType, PoolKey, Provider};
use crate::domain::personal::UserProfile;
use crate::log::writer::batches::COMMANDS_MAX;
use crate::vault::{MasterKeySource, user_name_blind};
use tokio::sync::oneshot;

fn submission(ask: Ask) -> Submission {
    Submission {
        actor: Actor::Root,
        door: Door::Http,
        command_id: None,
        content_hash: 0,
        occurred_at: None,
        reason: None,
        if_match: None,
        ask,
    }
}

fn one_seat() -> Ask {
    let item = InventoryItem::declared("office", "Office", LicenseType::Offline, Owned::Count(1));
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

fn put(user: UserRef, name: &str) -> Ask {
    Ask::PutUser { user, profile: UserProfile { user_name: name.into(), ..UserProfile::default() } }
}

fn assign(user: UserRef) -> Ask {
    Ask::Intake(Intake::Command(Command::Assign {
        pool: PoolRef::Key(PoolKey::Declared { sku: "office".into() }),
        target: TargetRef::User(user),
        intent: Intent::Required,
        mode: None,
        licensing: None,
    }))
}

fn counted(bench: &Bench) -> Vec<u64> {
    let counted = |event: &Event| if let Event::RefusalsCounted { count, .. } = event { Some(*count) } else { None };
    bench.draft.records.iter().filter_map(|(_, recorded)| counted(&recorded.event)).collect()
}

fn bench(dir: &tempfile::TempDir, tenants: Vec<Tenant>, clock: &Clock) -> Bench {
    let vault = Arc::new(Vault::open(dir.path(), &MasterKeySource::DataFolder).unwrap());
    Bench::new(tenants, Receipts::open(dir.path(), 0).unwrap(), vault, clock.clone())
}

/// A tenant of so many whose grace ends at once.
fn leaving(users: u32, grace_until: Time) -> Tenant {
    let mut tenant = Tenant::default();
    let mut take = |event: Event| {
        let meta = Meta { position: tenant.next_position, recorded_at: Time(0), actor: Actor::Root };
        tenant.evolve(&event, &meta);
    };
    take(Event::TenantCreated { slug: "acme".into(), name: "Acme".into(), settings: Settings::default() });
    for user in (0..users).map(UserId) {
        let profile = Personal { subject: SubjectId(u64::from(user.0)), sealed: Vec::new(), aliases: Vec::new() };
        take(Event::UserAdded { user, profile });
        take(Event::UserDeparted { user, cause: DepartureCause::Deactivated, grace_until: Some(grace_until) });
    }
    tenant
}

#[test]
fn a_tick_ends_a_part_of_what_is_due_and_every_tenant_has_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let noon = Time(1_790_000_000_000_000);
    let tenants = Vec::from([5000, 3000, 3000].map(|users| leaving(users, noon)));
    let mut bench = bench(&dir, tenants, &Clock::manual(noon));
    let mut tick = || {
        let before = bench.draft.records.len();
        let is_left = bench.tick(noon, true);
        let ended = &bench.draft.records[before..];
        let first = ended.first().map(|(tenant, _)| tenant.0);
        (first, ended.len(), is_left)
    };
    assert_eq!(tick(), (Some(0), 4000, true));
    assert_eq!(tick(), (Some(1), 6000, true));
    assert_eq!(tick(), (Some(0), 1000, false));
    assert_eq!(tick(), (None, 0, false));
}

type Answers = oneshot::Receiver<Vec<Result<Verdict, SubmitError>>>;

/// A bench with one tenant, and nothing in the group.
fn at_work(dir: &tempfile::TempDir) -> (Bench, TenantId) {
    let noon = Time(1_790_000_000_000_000);
    let mut bench = bench(dir, vec![], &Clock::manual(noon));
    let (tenant, _) = bench.create_tenant(Actor::Root, Door::Http, "acme", "Acme", noon).unwrap();
    bench.seal(Draft::default());
    (bench, tenant)
}

/// Gives the tenant so many names, one after the other.
fn put_batch(bench: &mut Bench, tenant: TenantId, what: &str, commands: usize) -> Answers {
    let (reply, answers) = oneshot::channel();
    let rename = |at| submission(Ask::Intake(Intake::Command(Command::RenameTenant { name: format!("{what}{at}") })));
    bench.batches.push_back(Batch::new(tenant, (0..commands).map(rename).collect(), reply));
    answers
}

fn go_on(bench: &mut Bench, commands_max: usize) -> usize {
    let far = monotonic() + Duration::from_secs(600);
    bench.judge_batches(commands_max, far, Time(1_790_000_000_000_000), Room::Ample)
}

fn names(bench: &Bench) -> Vec<String> {
    let name = |event: &Event| if let Event::TenantRenamed { name } = event { Some(name.clone()) } else { None };
    bench.draft.records.iter().filter_map(|(_, recorded)| name(&recorded.event)).collect()
}

#[test]
fn batches_are_judged_in_parts_one_after_the_other_and_answered_behind_their_last_one() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bench, tenant) = at_work(&dir);
    let mut long = put_batch(&mut bench, tenant, "a", 5);
    let mut short = put_batch(&mut bench, tenant, "b", 2);
    let now = Time(1_790_000_000_000_000);
    assert_eq!(bench.judge_batches(9, monotonic(), now, Room::Ample), 0, "the time is over");
    assert!(bench.draft.is_clear());
    assert_eq!((go_on(&mut bench, 3), names(&bench)), (0, ["a0", "a1", "a2"].map(str::to_owned).to_vec()));
    assert!(bench.draft.owed.is_empty(), "nobody hears of a part");
    bench.seal(Draft::default());
    assert_eq!((go_on(&mut bench, 3), names(&bench)), (1, ["a3", "a4", "b0"].map(str::to_owned).to_vec()));
    bench.draft.answer();
    assert_eq!((long.try_recv().unwrap().len(), short.try_recv().is_err()), (5, true));
    bench.seal(Draft::default());
    assert_eq!((go_on(&mut bench, 3), names(&bench)), (1, vec!["b1".to_owned()]));
    bench.draft.answer();
    let position = |verdict| if let Ok(Verdict::Judged { position, .. }) = verdict { position } else { 0 };
    let positions: Vec<u64> = short.try_recv().unwrap().into_iter().map(position).collect();
    assert_eq!(positions, [6_u64, 7]);
}

#[test]
fn a_batch_ends_its_part_where_the_group_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bench, tenant) = at_work(&dir);
    let _answers = put_batch(&mut bench, tenant, "a", COMMANDS_MAX + 10);
    assert_eq!((go_on(&mut bench, COMMANDS_MAX), bench.draft.commands), (0, COMMANDS_MAX));
    bench.seal(Draft::default());
    // and no other is taken up
    let _answers = put_batch(&mut bench, tenant, "b", GROUP_COMMANDS_MAX);
    let _more = put_batch(&mut bench, tenant, "c", 1);
    assert_eq!((go_on(&mut bench, COMMANDS_MAX), bench.draft.commands), (2, 10 + GROUP_COMMANDS_MAX));
    bench.seal(Draft::default());
    assert_eq!(go_on(&mut bench, COMMANDS_MAX), 1);
    bench.seal(Draft::default());
    // fewer commands, and more bytes than a group takes
    let _answers = put_batch(&mut bench, tenant, &"x".repeat(5000), 1000);
    assert_eq!(go_on(&mut bench, COMMANDS_MAX), 0);
    assert!(bench.is_full() && bench.draft.commands < 1000, "{}", bench.draft.commands);
}

#[test]
fn at_a_stop_the_rest_of_a_batch_is_answered_as_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bench, tenant) = at_work(&dir);
    let mut begun = put_batch(&mut bench, tenant, "a", 5);
    let mut waiting = put_batch(&mut bench, tenant, "b", 5);
    go_on(&mut bench, 3);
    bench.leave_batches();
    bench.draft.answer();
    let answers = begun.try_recv().unwrap();
    assert!(answers.iter().take(3).all(Result::is_ok));
    assert_eq!(answers.into_iter().skip(3).collect::<Vec<_>>(), vec![Err(SubmitError::Stopped); 2]);
    assert_eq!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed), "it can be sent again as a whole");
}

#[test]
fn repeats_of_a_refusal_are_written_down_in_time_though_the_wall_clock_was_set_back() {
    let dir = tempfile::tempdir().unwrap();
    let vault = Arc::new(Vault::open(dir.path(), &MasterKeySource::DataFolder).unwrap());
    let noon = Time(1_790_000_000_000_000);
    let clock = Clock::manual(noon);
    let receipts = Receipts::open(dir.path(), 0).unwrap();
    let mut bench = Bench::new(vec![], receipts, Arc::clone(&vault), clock.clone());
    let (tenant, _) = bench.create_tenant(Actor::Root, Door::Http, "acme", "Acme", noon).unwrap();
    let user = |name| UserRef::Name(user_name_blind(&vault, tenant.0, name));
    let (ada, bob) = (user("ada"), user("bob"));
    // the seat is ada's: bob is refused once, and twice more
    let asks = [one_seat(), put(ada, "ada"), put(bob, "bob"), assign(ada), assign(bob), assign(bob), assign(bob)];
    for ask in asks {
        bench.judge(tenant, submission(ask), noon, Room::Ample).unwrap();
    }
    assert!(counted(&bench).is_empty());
    for second in 1..=10 {
        clock.advance(Duration::from_secs(1));
        let now = Time(noon.0 + (second - 30 * 60) * 1_000_000);
        bench.tick(now, true);
        let expected: &[u64] = if second < 5 { &[] } else { &[2] };
        assert_eq!(counted(&bench).as_slice(), expected, "after {second} seconds");
    }
}

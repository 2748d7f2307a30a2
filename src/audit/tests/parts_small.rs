//! A part about small things is equal to the same part of the whole, at every position of a life that is full of them.

use super::life::{World, life, live, submission};
use crate::audit::as_of::{AsOf, At};
use crate::audit::part::Wanted;
use crate::domain::command::{
    Command, DeviceRef, GroupRef, HolderRef, Intake, Inventory, NewReview, Observation, PoolRef, SyncEnd, SyncPart,
    UserRef,
};
use crate::domain::facts::{Brake, GroupKind, KeepOrRelease, Role, SettingsPatch, SyncSeats};
use crate::domain::ids::{AppId, DeviceId, GroupId, HeldId, Holder, PoolId, ReviewId, SyncId, TokenId, UserId};
use crate::domain::key::Provider;
use crate::domain::review::{ReviewSeat, Standing};
use crate::domain::state::{Group, Review, ReviewState, SyncState, Tenant};
use crate::domain::time::Time;
use crate::ledger::Ask;
use crate::projection::View;
use crate::projection::apps::Apps;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

fn anything_small(random: &mut SmallRng, frozen: Option<(ReviewId, PoolId, HolderRef)>) -> Intake {
    let one_of = |random: &mut SmallRng, count: u32| random.random_range(0..count);
    let group = GroupRef::Name(format!("group{}", one_of(random, 4)));
    let (pool, review) = (PoolRef::Id(PoolId(one_of(random, 4))), ReviewId(one_of(random, 12)));
    let tool = format!("tool{}", one_of(random, 3));
    let flag = random.random_bool(0.5);
    let rule = if flag { KeepOrRelease::Keep } else { KeepOrRelease::Release };
    Intake::Command(match one_of(random, 20) {
        0 => {
            let name = format!("Token {}", one_of(random, 100));
            Command::IssueToken { name, role: Role::Auditor, hash: [7; 32], expires_at: None }
        }
        1 => Command::RevokeToken { token: TokenId(one_of(random, 6)) },
        2 => Command::ActivateTool { tool, name: format!("Tool {}", one_of(random, 3)) },
        3 => Command::DeactivateTool { tool },
        4 => Command::RenameTenant { name: format!("Acme {}", one_of(random, 3)) },
        5 => Command::StartSync {
            provider: if flag { Provider::Declared } else { Provider::AppleBusiness },
            is_full: random.random_bool(0.5),
            is_dry_run: random.random_bool(0.3),
            is_connected: random.random_bool(0.9),
        },
        6 => Command::ConfirmHeld { held: HeldId(one_of(random, 12)) },
        7 => Command::ConfirmSync { sync: SyncId(one_of(random, 12)) },
        8 => Command::LinkStoreAccount {
            provider: Provider::AppleBusiness,
            account_id: "1".into(),
            settings: format!("{{\"n\":{}}}", one_of(random, 3)),
            is_linked_elsewhere: false,
        },
        9 => Command::ChangeSettings {
            patch: SettingsPatch {
                language: Some(if flag { "de-DE" } else { "en-US" }.into()),
                ..SettingsPatch::default()
            },
        },
        10 => return Intake::Observation(Observation::DeleteGroup { group }),
        11..=13 => {
            let users =
                (0..8).filter(|_| random.random_bool(0.5)).map(|user| HolderRef::User(UserRef::Id(UserId(user))));
            let members = users.collect::<Vec<_>>().into_iter();
            let devices = (0..4).filter(|_| random.random_bool(0.3));
            let devices = devices.map(|device| HolderRef::Device(DeviceRef::Id(DeviceId(device))));
            let members = members.chain(devices).collect();
            return Intake::Observation(Observation::PutGroup { group, kind: GroupKind::Mixed, members });
        }
        14 => Command::OpenReview(NewReview {
            name: format!("Review {}", one_of(random, 3)),
            pools: vec![pool, PoolRef::Id(PoolId(3))],
            undecided: rule,
            ends_at: None,
            reviewers: Vec::new(),
        }),
        15..=17 => {
            let Some((review, pool, holder)) = frozen else { return anything_small(random, None) };
            let comment = flag.then(|| "why".into());
            Command::DecideReview { review, pool: PoolRef::Id(pool), holder, decision: rule, comment }
        }
        18 => Command::EndReview { review },
        _ => Command::CancelReview { review },
    })
}

/// What a connector tells of the sync that it runs, if it runs one.
fn of_a_connector(random: &mut SmallRng, state: &Tenant) -> Option<Observation> {
    let running = state.syncs.iter().find(|sync| sync.state == SyncState::Running)?;
    let sync = running.id;
    Some(match random.random_range(0..5) {
        0 => Observation::EndSync { sync, end: SyncEnd::Failed { reason: "cut".into() } },
        1 => {
            let seats = SyncSeats { seen: random.random_range(0..9), foreign: 1, lost: 0 };
            Observation::EndSync { sync, end: SyncEnd::Completed { seats } }
        }
        2 => Observation::Inventory(Inventory {
            provider: running.provider,
            is_complete: running.is_full,
            is_dry_run: running.is_dry_run,
            language: running.language.clone(),
            pages: random.random_range(0..9),
            items: Vec::new(),
            part: Some(SyncPart { sync, unsupported: Vec::new(), gone: Vec::new(), lost: Vec::new() }),
        }),
        _ => return None,
    })
}

/// A seat that can be decided on.
fn frozen(random: &mut SmallRng, state: &Tenant) -> Option<(ReviewId, PoolId, HolderRef)> {
    let open = state.reviews.iter().filter(|review| review.state == ReviewState::Open);
    let seats =
        open.flat_map(|review| state.seats_of_review(review, None).map(|seat| (review.id, seat.pool, seat.holder)));
    let seats: Vec<_> = seats.collect();
    let (review, pool, holder) = *seats.get(random.random_range(0..seats.len().max(1)))?;
    let holder = match holder {
        Holder::User(user) => HolderRef::User(UserRef::Id(user)),
        Holder::Device(device) => HolderRef::Device(DeviceRef::Id(device)),
    };
    Some((review, pool, holder))
}

async fn life_of_small_things(seed: u64) -> World {
    let world = life(seed, 40).await;
    let (ledger, tenant) = (&world.ledger, world.tenant);
    let mut random = SmallRng::seed_from_u64(seed);
    let patch = SettingsPatch { brake: Some(Brake { share_percent: 10, at_least: 1 }), ..SettingsPatch::default() };
    let brake = Ask::Intake(Intake::Command(Command::ChangeSettings { patch }));
    ledger.submit(tenant, submission(None, brake)).await.unwrap();
    for part in 1..16 {
        live(ledger, tenant, &mut random, part * 40..(part + 1) * 40).await;
        for _ in 0..20 {
            let frozen = ledger.read(tenant, |view| frozen(&mut random, &view.state)).unwrap();
            let small = anything_small(&mut random, frozen);
            ledger.submit(tenant, submission(None, Ask::Intake(small))).await.unwrap();
            let heard = ledger.read(tenant, |view| of_a_connector(&mut random, &view.state)).unwrap();
            if let Some(heard) = heard {
                ledger.submit(tenant, submission(None, Ask::Intake(Intake::Observation(heard)))).await.unwrap();
            }
        }
        ledger.tick().await;
    }
    world
}

fn of_tenant(state: &Tenant) -> String {
    let Tenant { slug, name, created_at, settings, tokens, accounts, tools, .. } = state;
    format!("{slug} {name} {created_at:?} {settings:?} {tokens:?} {accounts:?} {tools:?}")
}

fn of_syncs(state: &Tenant) -> String {
    let Tenant { syncs, drifts, held, last_recorded_at, .. } = state;
    let keys: Vec<_> = state.pools.iter().map(|pool| &pool.key).collect();
    format!("{syncs:?} {drifts:?} {held:?} {last_recorded_at:?} {keys:?}")
}

fn of_reviews(state: &Tenant) -> Vec<Review> {
    let shown = |review: &Review| Review {
        through: None,
        decisions: BTreeMap::new(),
        settled: BTreeMap::new(),
        ..review.clone()
    };
    state.reviews.iter().map(|review| shown(review)).collect()
}

/// A page of a review's seats with everything that is shown of them.
fn of_review_seats(state: &Tenant, id: ReviewId, after: Option<(PoolId, Holder)>, limit: usize) -> Vec<String> {
    let Some(review) = state.reviews.get(id.index()) else { return Vec::new() };
    let shown = |seat: ReviewSeat<'_>| {
        let (pool, place) = (state.pool(seat.pool), (seat.pool, seat.holder));
        let installs: Vec<_> = pool.installs_of(seat.holder).iter().map(|key| pool.installs.get(key)).collect();
        let fate = match seat.now {
            Standing::Held(held) => Some(review.fate_of(pool, seat.holder, held)),
            Standing::Settled(_) => None,
        };
        let names = match seat.holder {
            Holder::User(user) => state.names.user_profile(user),
            Holder::Device(device) => state.names.device_names(device),
        };
        let (decision, assignments) = (review.decisions.get(&place), state.assignments_of(seat.pool, seat.holder));
        format!("{place:?} {:?} {decision:?} {fate:?} {installs:?} {assignments:?} {names:?}", seat.now)
    };
    state.seats_of_review(review, after).take(limit + 1).map(shown).collect()
}

fn of_assignments(state: &Tenant) -> String {
    let living: Vec<_> = state.pools.iter().map(|pool| pool.assignments.iter().collect::<Vec<_>>()).collect();
    format!("{:?} {:?} {living:?}", state.assignments, state.pool_keys)
}

pub(super) fn of_apps(view: &View, from: AppId, count: usize) -> String {
    let apps = Apps::of(&view.state.pools);
    let pool = |id: &PoolId| {
        let pool = view.state.pool(*id);
        format!("{:?} {:?} {:?}", pool.without_holders(), pool.packages, view.figures(pool))
    };
    let app = |(app, pools): (AppId, &[PoolId])| (app, pools.iter().map(pool).collect::<Vec<_>>());
    format!("{apps:?} {:?}", apps.iter_from(from).take(count).map(app).collect::<Vec<_>>())
}

fn of_group(group: &Group) -> String {
    let Group { id, external_id, kind, is_deleted, targeted_by, excluded_by, .. } = group;
    format!("{id} {external_id} {kind:?} {is_deleted} {targeted_by:?} {excluded_by:?}")
}

fn of_groups(view: &View, from: usize, count: usize) -> String {
    let all: Vec<_> = view.state.groups.iter().map(|group| of_group(group)).collect();
    let living = view.state.groups.iter().skip(from).filter(|group| !group.is_deleted).take(count);
    format!("{all:?} {:?}", living.map(|group| (group.etag, view.members_count(group))).collect::<Vec<_>>())
}

fn of_members(view: &View, id: GroupId) -> Option<String> {
    let group = view.state.groups.get(id.index())?;
    let members: Vec<_> = group.members.iter_from(0).collect();
    let names: Vec<_> = view.state.group_names.iter().collect();
    Some(format!("{} {} {members:?} {names:?}", of_group(group), group.etag))
}

#[tokio::test(flavor = "multi_thread")]
async fn small_things_are_what_they_were_at_every_position() {
    let (mut seen, mut folded_groups, mut review_seats) = (BTreeMap::new(), 0, 0);
    let mut planned = BTreeMap::new();
    for seed in [51, 52, 53] {
        let world = life_of_small_things(seed).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        let mut whole = View::new();
        for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
            whole.take(&recorded);
            let position = recorded.position;
            if position == head {
                break;
            }
            let of = |wanted: Wanted| AsOf::new().part_at(ledger, tenant, At::Position(position), &wanted).unwrap();
            let part = of(Wanted::Tenant);
            assert_eq!(part.state.next_position, whole.state.next_position);
            assert_eq!(of_tenant(&part.state), of_tenant(&whole.state), "at {position}");
            assert_eq!(of_syncs(&of(Wanted::Syncs).state), of_syncs(&whole.state), "at {position}");
            assert_eq!(of_reviews(&of(Wanted::Reviews).state), of_reviews(&whole.state), "at {position}");
            assert_eq!(of_assignments(&of(Wanted::Assignments).state), of_assignments(&whole.state), "at {position}");

            let review = ReviewId(random.random_range(0..12));
            if whole.state.reviews.get(review.index()).is_some_and(|review| review.is_under_way()) {
                let holder = Holder::User(UserId(random.random_range(0..6)));
                let after = random.random_bool(0.3).then_some((PoolId(random.random_range(0..4)), holder));
                let limit = random.random_range(1..4);
                let part = of(Wanted::ReviewSeats { review, after, limit });
                let page = |state: &Tenant| of_review_seats(state, review, after, limit);
                assert_eq!(page(&part.state), page(&whole.state), "{review} behind {after:?} at {position}");
                review_seats += page(&part.state).len();
            }

            let (app, count) = (AppId(random.random_range(0..4)), random.random_range(1..4));
            let part = of(Wanted::Apps { from: app, count });
            assert_eq!(of_apps(&part, app, count), of_apps(&whole, app, count), "from {app} at {position}");
            if let Some(entry) = Apps::of(&whole.state.pools).entry(app) {
                assert_eq!(of_apps(&of(Wanted::App(app)), entry, 1), of_apps(&whole, entry, 1), "{app} at {position}");
            }

            let (from, count) = (random.random_range(0..4), random.random_range(1..4));
            let part = of(Wanted::Groups { from, count });
            assert_eq!(of_groups(&part, from, count), of_groups(&whole, from, count), "{from} at {position}");
            let group = GroupId(random.random_range(0..8));
            let part = of(Wanted::Group(GroupRef::Id(group)));
            assert_eq!(of_members(&part, group), of_members(&whole, group), "{group} at {position}");
            let name = format!("group{}", random.random_range(0..4));
            let part = of(Wanted::Group(GroupRef::Name(name.clone())));
            let found = whole.state.group_names.get(&name);
            assert_eq!(part.state.group_names.get(&name), found);
            if let Some(group) = found {
                assert_eq!(of_members(&part, *group), of_members(&whole, *group), "{name} at {position}");
                folded_groups += u32::from(part.state.users.is_empty() && !whole.state.users.is_empty());
            }

            let pool = PoolId(random.random_range(0..4));
            if pool.index() < whole.state.pools.len() {
                let part = of(Wanted::DeficitPlan(PoolRef::Id(pool)));
                assert_eq!(part.state.deficit_plan(pool), whole.state.deficit_plan(pool), "{pool} at {position}");
                assert_eq!(part.state.pool(pool).over_by(), whole.state.pool(pool).over_by());
                let is_by_steps = part.state.pool(pool).seats.values().any(|seat| seat.since == Time(0));
                let is_by_installs = part.state.pool(pool).is_user_only();
                *planned.entry((is_by_steps, is_by_installs)).or_insert(0) += part.state.deficit_plan(pool).seats.len();
            }
            let refusal = random.random_range(0..=position);
            let counted = ledger.read(tenant, |now| now.refusal_repeats.of(refusal, position)).unwrap();
            assert_eq!(counted, whole.refusal_repeats.of(refusal, u64::MAX), "of {refusal} at {position}");
            *seen.entry(recorded.event.type_name()).or_insert(0) += 1;
        }
        ledger.stop().await;
    }
    let must = [
        "tenant_renamed",
        "token_revoked",
        "tool_deactivated",
        "store_account_changed",
        "sync_completed",
        "drift_resolved",
        "endings_held",
        "endings_confirmed",
        "packages_listed",
        "members_removed",
        "group_deleted",
        "assignment_ended",
        "refusals_counted",
        "review_decided",
        "review_ended",
        "review_cancelled",
    ];
    let missing: Vec<_> = must.into_iter().filter(|name| !seen.contains_key(name)).collect();
    assert!(missing.is_empty(), "nothing was told of {missing:?}");
    assert!(review_seats > 300, "only {review_seats} seats of reviews were told");
    let planned = |is_by_installs| planned.get(&(true, is_by_installs)).copied().unwrap_or(0);
    assert!(planned(false) > 20 && planned(true) > 20, "{} and {} seats planned", planned(false), planned(true));
    assert!(folded_groups > 50, "only {folded_groups} groups were made from a part");
}

//! A part of the past is equal to the same part of the whole, at every position of a life.

use super::life::archived_life;
use crate::audit::as_of::{AsOf, At};
use crate::audit::part::Wanted;
use crate::domain::command::{DeviceRef, HolderRef, PoolRef, UserRef};
use crate::domain::ids::{AssignmentId, DeviceId, Holder, PoolId, UserId};
use crate::domain::state::{Flat, InstallKey, Pool, User};
use crate::projection::View;
use crate::projection::figures::{Figures, holders_without_seat};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::fmt::Write as _;

pub(super) fn shown(view: &View, pool: &Pool) -> String {
    let stated = (pool.store_used, pool.store_seen_at);
    format!("{:?} {:?} {stated:?}", pool.without_holders(), view.figures(pool))
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_what_they_were_at_every_position() {
    let mut stranded = 0;
    for seed in [21, 22, 23] {
        let world = archived_life(seed, 500).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut whole = View::new();
        for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
            whole.take(&recorded);
            if recorded.position == head {
                break;
            }
            let at = At::Position(recorded.position);
            let of = |wanted| AsOf::new().part_at(ledger, tenant, at, &wanted).unwrap();
            let all = of(Wanted::Pools);
            assert_eq!(all.state.next_position, whole.state.next_position);
            assert_eq!(all.state.settings, whole.state.settings);
            assert_eq!(all.state.pool_keys, whole.state.pool_keys);
            let expected: Vec<_> = whole.state.pools.iter().map(|pool| shown(&whole, pool)).collect();
            assert_eq!(all.state.pools.iter().map(|pool| shown(&all, pool)).collect::<Vec<_>>(), expected);
            assert!(whole.state.pools.iter().all(|pool| whole.figures(pool) == Figures::of(pool)));
            let without_seat: Vec<_> = whole.state.pools.iter().map(|pool| holders_without_seat(pool)).collect();
            let looked_up = ledger.read(tenant, |now| {
                let tallies = now.tallies.listed_by(recorded.position).iter();
                tallies.map(|tally| tally.without_seat_at(recorded.position, &ledger.past())).collect::<Vec<_>>()
            });
            assert_eq!(looked_up.unwrap(), without_seat, "at {}", recorded.position);
            let regrants: Vec<_> = whole.state.pools.iter().map(|pool| pool.regrants.len() as u64).collect();
            let looked_up = ledger.read(tenant, |now| {
                let tallies = now.tallies.listed_by(recorded.position).iter();
                tallies.map(|tally| tally.regrants_at(recorded.position, &ledger.past())).collect::<Vec<_>>()
            });
            assert_eq!(looked_up.unwrap(), regrants, "at {}", recorded.position);
            stranded += without_seat.iter().sum::<u64>();
            for n in 0..4 {
                let by_id = of(Wanted::Pool(PoolRef::Id(PoolId(n))));
                assert_eq!(by_id.state.pools.len(), whole.state.pools.len());
                let Some(pool) = whole.state.pools.get(n as usize) else { continue };
                let by_key = of(Wanted::Pool(PoolRef::Key(pool.key.clone())));
                assert_eq!(by_key.state.pool_keys.get(&pool.key), Some(pool.id));
                for part in [&by_id, &by_key] {
                    assert_eq!(Some(&shown(part, part.state.pool(pool.id))), expected.get(n as usize));
                }
            }
        }
        ledger.stop().await;
    }
    assert!(stranded > 100, "only {stranded} were without a seat");
}

/// Everything that reads show of a holder.
pub(super) fn told(view: &View, holder: Holder) -> String {
    let state = &view.state;
    let mut told = match holder {
        Holder::User(user) => {
            let remembered = Flat::default();
            let names = state.names.user_profile(user);
            format!("{:?} {names:?}", User { remembered, ..state.user(user).clone() })
        }
        Holder::Device(device) => format!("{:?} {:?}", state.device(device), state.names.device_names(device)),
    };
    for pool in &state.pools {
        let installs = match holder {
            Holder::User(_) => pool.installs_of(holder),
            Holder::Device(device) => pool.installs_on(device),
        };
        let seen: Vec<_> = installs.iter().map(|key| (key, pool.installs.get(key))).collect();
        let (coverage, assignments) = (state.coverage(pool.id, holder), state.assignments_of(pool.id, holder));
        let waits = (pool.queued.get(&holder), state.is_lapsed(pool.id, holder));
        let seat = pool.seats.get(&holder);
        write!(told, "\n{} {:?} {seat:?} {waits:?} {seen:?}", pool.key, pool.details).unwrap();
        write!(told, " {coverage:?} {assignments:?}").unwrap();
        assert!(assignments.iter().all(|id| state.assignment(*id).id == *id));
    }
    told
}

/// Everything that reads show of one seat; nothing of whom nobody knows.
pub(super) fn told_of_seat(view: &View, id: PoolId, holder: Holder) -> Option<String> {
    let (state, pool) = (&view.state, view.state.pool(id));
    let is_in_grace = match holder {
        Holder::User(user) => state.users.get(user.index())?.is_in_grace(),
        Holder::Device(device) => state.devices.get(device.index()).map(|_| false)?,
    };
    let installs = pool.installs_of(holder).into_iter();
    let licensed: Vec<_> = installs.filter(|key| pool.installs.get(key).unwrap().seat == Some(holder)).collect();
    let (coverage, assignments) = (state.coverage(id, holder), state.assignments_of(id, holder));
    let (seat, lapsed) = (pool.seats.get(&holder), state.is_lapsed(id, holder));
    Some(format!("{seat:?} {lapsed} {is_in_grace} {licensed:?} {coverage:?} {assignments:?} {:?}", pool.details))
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_what_they_were_at_every_position() {
    let mut parts = 0;
    for seed in [31, 32, 33] {
        let world = archived_life(seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        let mut whole = View::new();
        for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
            whole.take(&recorded);
            if recorded.position == head {
                break;
            }
            let of = |wanted: Wanted| {
                let view = AsOf::new().part_at(ledger, tenant, At::Position(recorded.position), &wanted).unwrap();
                assert_eq!(view.state.next_position, whole.state.next_position);
                view
            };
            let (user, device) = (UserId(random.random_range(0..13)), DeviceId(random.random_range(0..9)));
            let part = of(Wanted::Holder(HolderRef::User(UserRef::Id(user))));
            let is_there = user.index() < whole.state.users.len();
            assert_eq!(user.index() < part.state.users.len(), is_there);
            if is_there {
                assert_eq!(told(&part, user.into()), told(&whole, user.into()), "{user} at {}", recorded.position);
                parts += u32::from(part.state.users.len() < whole.state.users.len());
            }
            for holder in [Holder::User(user), Holder::Device(device)] {
                let pool = PoolId(random.random_range(0..4));
                let asked = match holder {
                    Holder::User(user) => HolderRef::User(UserRef::Id(user)),
                    Holder::Device(device) => HolderRef::Device(DeviceRef::Id(device)),
                };
                let part = of(Wanted::Seat(PoolRef::Id(pool), asked));
                assert_eq!(part.state.pools.len(), whole.state.pools.len());
                if pool.index() < whole.state.pools.len() {
                    let (told, truth) = (told_of_seat(&part, pool, holder), told_of_seat(&whole, pool, holder));
                    assert_eq!(told, truth, "{holder} in {pool} at {}", recorded.position);
                }
            }
            // names as they were then
            let serial = format!("SN{}", random.random_range(0..8));
            for (user, device) in [(format!("user{}@acme.example", random.random_range(0..12)), serial)] {
                let (user, device) = (ledger.user_ref(tenant, &user), ledger.device_ref(tenant, &device));
                let (UserRef::Name(name), DeviceRef::Name { serial, .. }) = (user, device) else { continue };
                let part = of(Wanted::Holder(HolderRef::User(user)));
                assert_eq!(part.state.names.user(name), whole.state.names.user(name));
                let part = of(Wanted::Holder(HolderRef::Device(device)));
                assert_eq!(part.state.names.device_by_serial(serial), whole.state.names.device_by_serial(serial));
            }
            let assignment = AssignmentId(random.random_range(0..30));
            let part = of(Wanted::Assignment(assignment));
            let of_view =
                |view: &View| view.state.assignments.get(assignment.index()).map(|found| format!("{found:?}"));
            assert_eq!(of_view(&part), of_view(&whole));
        }
        ledger.stop().await;
    }
    assert!(parts > 100, "only {parts} answers were made from a part");
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_of_a_pool_are_what_they_were_at_every_position() {
    for seed in [41, 42, 43] {
        let world = archived_life(seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        let mut whole = View::new();
        for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
            whole.take(&recorded);
            if recorded.position == head {
                break;
            }
            let (id, limit) = (PoolId(random.random_range(0..5)), random.random_range(1..6));
            let any = random.random_range(0..14);
            let behind: [Option<Holder>; 4] = [None, None, Some(UserId(any).into()), Some(DeviceId(any / 2).into())];
            let after = behind[random.random_range(0..4)];
            let wanted = Wanted::Seats { pool: PoolRef::Id(id), after: None, limit: 0 };
            let wanted = wanted.on_page(after.map(|after| after.to_string()).as_deref(), limit);
            let part = AsOf::new().part_at(ledger, tenant, At::Position(recorded.position), &wanted).unwrap();
            assert_eq!(part.state.next_position, whole.state.next_position);
            assert_eq!(part.state.pools.len(), whole.state.pools.len());
            let Some(pool) = whole.state.pools.get(id.index()) else { continue };
            let page = |view: &View| page_of_seats(view, id, after, limit);
            assert_eq!(page(&part), page(&whole), "{id} behind {after:?} at {}", recorded.position);
            let is_more = |view: &View| {
                let seats = view.state.pool(id).seats.keys();
                seats.filter(|holder| after.is_none_or(|after| **holder > after)).count() > limit
            };
            assert_eq!(is_more(&part), is_more(&whole));
            assert_eq!(shown_terms(&part, id), pool.without_holders().key.to_string());
        }
        ledger.stop().await;
    }
}

/// Seats behind one with everything that is shown of them.
pub(super) fn page_of_seats(view: &View, id: PoolId, after: Option<Holder>, limit: usize) -> Vec<(Holder, String)> {
    let pool = view.state.pool(id);
    let seats = pool.seats.iter().filter(|(holder, _)| after.is_none_or(|after| **holder > after));
    let shown = seats.take(limit).map(|(holder, seat)| {
        let devices: Vec<_> = pool
            .installs_of(*holder)
            .into_iter()
            .filter(|key| pool.installs.get(key).unwrap().seat == Some(*holder))
            .collect();
        let is_in_grace = matches!(holder, Holder::User(user) if view.state.user(*user).is_in_grace());
        let coverage = view.state.coverage(id, *holder);
        let assignments = view.state.assignments_of(id, *holder);
        let lapsed = view.state.is_lapsed(id, *holder);
        (*holder, format!("{seat:?} {devices:?} {is_in_grace} {coverage:?} {assignments:?} {lapsed}"))
    });
    shown.collect()
}

pub(super) fn page_of_queue(view: &View, id: PoolId, after: Option<u64>, limit: usize) -> Vec<String> {
    let pool = view.state.pool(id);
    let rest = pool.queue.iter().filter(|(place, _)| after.is_none_or(|after| **place > after));
    let shown = rest.take(limit).map(|(place, holder)| {
        let (installs, lapsed) = (pool.installs_of(*holder), view.state.is_lapsed(id, *holder));
        format!("{place} {holder} {installs:?} {lapsed} {:?}", view.state.assignments_of(id, *holder))
    });
    shown.collect()
}

pub(super) fn page_of_installs(view: &View, id: PoolId, after: Option<InstallKey>, limit: usize) -> Vec<String> {
    let installs = view.state.pool(id).installs.iter();
    let rest = installs.filter(|(key, _)| after.is_none_or(|after| **key > after));
    rest.take(limit).map(|shown| format!("{shown:?}")).collect()
}

pub(super) fn page_of_users(view: &View, from: usize, limit: usize) -> Vec<String> {
    let users = view.state.users.iter().take(view.users_known()).skip(from).take(limit);
    let user = |user: &User| User { remembered: Flat::default(), ..user.clone() };
    let name = |user: &User| format!("{:?}", view.state.names.user_profile(user.id));
    users.map(|found| format!("{:?} {}", user(found), name(found))).collect()
}

pub(super) fn page_of_devices(view: &View, from: usize, limit: usize) -> Vec<String> {
    let devices = view.state.devices.iter().take(view.devices_known()).skip(from).take(limit);
    devices.map(|found| format!("{found:?} {:?}", view.state.names.device_names(found.id))).collect()
}

fn shown_terms(view: &View, pool: PoolId) -> String {
    let key = &view.state.pool(pool).key;
    assert_eq!(view.state.pool_keys.get(key), Some(pool));
    key.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_and_installs_of_a_pool_are_what_they_were_at_every_position() {
    let mut seen = [0, 0];
    for seed in [61, 62, 63] {
        let world = archived_life(seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        let mut whole = View::new();
        for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
            whole.take(&recorded);
            if recorded.position == head {
                break;
            }
            let (id, limit) = (PoolId(random.random_range(0..5)), random.random_range(1..4));
            let Some(now) = whole.state.pools.get(id.index()) else { continue };
            let of = |wanted: Wanted, after: Option<&str>| {
                let wanted = wanted.on_page(after, limit);
                AsOf::new().part_at(ledger, tenant, At::Position(recorded.position), &wanted).unwrap()
            };
            let after = random.random_bool(0.4).then(|| now.queue.iter().next().map(|(place, _)| *place)).flatten();
            let queue = |view: &View| page_of_queue(view, id, after, limit + 1);
            let wanted = Wanted::Queue { pool: PoolRef::Id(id), after: None, limit: 0 };
            let part = of(wanted, after.map(|after| format!("{after}:1")).as_deref());
            assert_eq!(queue(&part), queue(&whole), "{id} at {}", recorded.position);
            seen[0] += queue(&part).len();

            let keys: Vec<_> = now.installs.iter().map(|(key, _)| *key).collect();
            let after = random.random_bool(0.5).then(|| keys.get(random.random_range(0..6)).copied()).flatten();
            let installs = |view: &View| page_of_installs(view, id, after, limit + 1);
            let wanted = Wanted::Installs { pool: PoolRef::Id(id), from: DeviceId(0), limit: 0 };
            let part = of(wanted, after.map(|after| format!("{} -", after.device)).as_deref());
            assert_eq!(installs(&part), installs(&whole), "{id} at {}", recorded.position);
            seen[1] += installs(&part).len();
        }
        ledger.stop().await;
    }
    assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_people_and_devices_are_what_they_were_at_every_position() {
    for seed in [71, 72, 73] {
        let world = archived_life(seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        let mut whole = View::new();
        for recorded in ledger.events(tenant, 0, usize::MAX).unwrap() {
            whole.take(&recorded);
            if recorded.position == head {
                break;
            }
            let (after, limit) = (random.random_range(0..8_usize), random.random_range(1..4));
            let (after, from) = if after == 0 { (None, 0) } else { (Some(after.to_string()), after + 1) };
            let of = |wanted: Wanted| {
                let wanted = wanted.on_page(after.as_deref(), limit);
                AsOf::new().part_at(ledger, tenant, At::Position(recorded.position), &wanted).unwrap()
            };
            let users = |view: &View| page_of_users(view, from, limit + 1);
            let part = of(Wanted::Users { from: 0, limit: 0 });
            assert_eq!(users(&part), users(&whole), "from {from} at {}", recorded.position);
            let devices = |view: &View| page_of_devices(view, from, limit + 1);
            let part = of(Wanted::Devices { from: 0, limit: 0 });
            assert_eq!(devices(&part), devices(&whole), "from {from} at {}", recorded.position);
        }
        ledger.stop().await;
    }
}

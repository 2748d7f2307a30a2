//! What was known later of a moment, made from a part, against the same out of a whole state.

use super::life::life;
use super::parts::{
    page_of_devices, page_of_installs, page_of_queue, page_of_seats, page_of_users, shown, told, told_of_seat,
};
use super::parts_small::of_apps;
use crate::audit::as_of::{AsOf, At};
use crate::audit::hindsight::Moment;
use crate::audit::part::Wanted;
use crate::domain::command::{DeviceRef, HolderRef, PoolRef, UserRef};
use crate::domain::ids::{AppId, DeviceId, Holder, PoolId, UserId};
use crate::domain::state::InstallKey;
use crate::projection::View;
use crate::projection::apps::Apps;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

/// Something that can be looked at, and everything that is shown of it.
type Look = (Wanted, Box<dyn Fn(&View) -> String>);

fn any_holder(random: &mut SmallRng) -> (Holder, HolderRef) {
    if random.random_bool(0.5) {
        let user = UserId(random.random_range(0..13));
        (user.into(), HolderRef::User(UserRef::Id(user)))
    } else {
        let device = DeviceId(random.random_range(0..9));
        (device.into(), HolderRef::Device(DeviceRef::Id(device)))
    }
}

/// Everything of somebody who was known, and what a seat or an install tells of somebody who was not.
fn shown_of(view: &View, holder: Holder) -> String {
    let is_known = match holder {
        Holder::User(user) => user.index() < view.users_known(),
        Holder::Device(device) => device.index() < view.devices_known(),
    };
    let is_told_of = match holder {
        Holder::User(user) => view.tells_of_user(user),
        Holder::Device(device) => view.tells_of_device(device),
    };
    let of_pool = |pool: &PoolId| (view.state.pool(*pool).seats.get(&holder), told_of_seat(view, *pool, holder));
    match (is_known, is_told_of) {
        (true, _) => told(view, holder),
        (false, true) => {
            let pools: Vec<PoolId> = view.state.pools.iter().map(|pool| pool.id).collect();
            format!("{:?}", pools.iter().map(of_pool).collect::<Vec<_>>())
        }
        (false, false) => String::new(),
    }
}

fn any_look(random: &mut SmallRng, whole: &View, kind: usize) -> Option<Look> {
    let (id, limit) = (PoolId(random.random_range(0..5)), random.random_range(1..6));
    let (pool, any) = (PoolRef::Id(id), random.random_range(0..14));
    let now = whole.state.pools.get(id.index());
    Some(match kind {
        0 => {
            let behind: [Option<Holder>; 4] = [None, None, Some(UserId(any).into()), Some(DeviceId(any / 2).into())];
            let after = behind[random.random_range(0..4)];
            now?;
            // with what says whether there is more
            let page = move |view: &View| format!("{:?}", page_of_seats(view, id, after, limit + 1));
            (Wanted::Seats { pool, after, limit }, Box::new(page))
        }
        1 => {
            let (holder, asked) = any_holder(random);
            now?;
            (
                Wanted::Seat(pool, asked),
                Box::new(move |view| {
                    format!("{:?}", view.state.pool(id).seats.get(&holder).map(|_| told_of_seat(view, id, holder)))
                }),
            )
        }
        2 => {
            let (holder, asked) = any_holder(random);
            (Wanted::Holder(asked), Box::new(move |view| shown_of(view, holder)))
        }
        3 => {
            let first = now?.queue.keys().next().copied();
            let after = first.filter(|_| random.random_bool(0.4));
            let page = move |view: &View| format!("{:?}", page_of_queue(view, id, after, limit + 1));
            (Wanted::Queue { pool, after, limit }, Box::new(page))
        }
        4 => {
            let keys: Vec<InstallKey> = now?.installs.iter().map(|(key, _)| *key).collect();
            let after = random.random_bool(0.5).then(|| keys.get(random.random_range(0..6)).copied()).flatten();
            let from = after.map_or(DeviceId(0), |after| after.device);
            let page = move |view: &View| format!("{:?}", page_of_installs(view, id, after, limit + 1));
            (Wanted::Installs { pool, from, limit }, Box::new(page))
        }
        5 => {
            let from = random.random_range(0..8);
            (Wanted::Users { from, limit }, Box::new(move |view| format!("{:?}", page_of_users(view, from, limit + 1))))
        }
        6 => {
            let from = random.random_range(0..8);
            let page = move |view: &View| format!("{:?}", page_of_devices(view, from, limit + 1));
            (Wanted::Devices { from, limit }, Box::new(page))
        }
        7 => {
            let all = |view: &View| view.state.pools.iter().map(|pool| shown(view, pool)).collect::<Vec<_>>();
            (Wanted::Pools, Box::new(move |view| format!("{:?}", all(view))))
        }
        8 => {
            now?;
            (Wanted::Pool(pool), Box::new(move |view| shown(view, view.state.pool(id))))
        }
        9 => {
            let (from, count) = (AppId(random.random_range(0..4)), random.random_range(1..4));
            (Wanted::Apps { from, count }, Box::new(move |view| of_apps(view, from, count)))
        }
        10 => {
            let app = Apps::of(&whole.state.pools).entry(AppId(id.0))?;
            (Wanted::App(app), Box::new(move |view| of_apps(view, app, 1)))
        }
        _ => {
            now?;
            let plan =
                move |view: &View| format!("{} {:?}", view.state.pool(id).over_by(), view.state.deficit_plan(id));
            (Wanted::DeficitPlan(pool), Box::new(plan))
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_later_of_a_part_is_that_of_the_whole() {
    let mut changed: BTreeMap<usize, usize> = BTreeMap::new();
    for seed in [81, 82, 83, 84] {
        let world = life(seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..160 {
            let position = random.random_range(0..head);
            let known = random.random_range(position..=head);
            let moment = Moment::of(ledger, tenant, Some(At::Position(position)), Some(known)).unwrap();
            let whole = AsOf::new().moment(ledger, tenant, moment, &Wanted::Everything).unwrap();
            let plain = AsOf::new().view_at(ledger, tenant, At::Position(moment.position)).unwrap();
            // what is seldom changed is asked for more often
            for kind in (0..12).chain([1, 1, 1, 3, 3, 3, 3, 3, 11]) {
                let Some((wanted, shown)) = any_look(&mut random, &whole, kind) else { continue };
                let asked = AsOf::new();
                let part = asked.moment(ledger, tenant, moment, &wanted).unwrap();
                let what = format!("{wanted:?} at {position}, known at {known}");
                assert_eq!(asked.folds(), (0, 0), "a whole state was made: {what}");
                assert_eq!(part.state.next_position, whole.state.next_position);
                assert!(part.hindsight.is_some());
                assert_eq!(shown(&part), shown(&whole), "{what}");
                *changed.entry(kind).or_default() += usize::from(shown(&plain) != shown(&whole));
            }
        }
        ledger.stop().await;
    }
    let must = |kind: &usize| if matches!(kind, 1 | 3) { 2 } else { 20 };
    assert!(changed.len() == 12 && changed.iter().all(|(kind, count)| *count > must(kind)), "{changed:?}");
}

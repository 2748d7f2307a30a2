//! Which pools are one app.

use super::{Apps, View};
use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::{Event, Recorded};
use crate::domain::facts::{CapacityCause, DistributionPolicy, Owned, PoolDetails, Settings};
use crate::domain::ids::{AppId, PoolId};
use crate::domain::key::{LicenseType, PoolKey};
use crate::domain::state::{Meta, Tenant};
use crate::domain::time::Time;
use proptest::prelude::*;

/// Key, related set and name of each pool, in order; what comes back are the entries with the indexes of their pools.
fn entries(pools: &[(&str, LicenseType, Option<&str>, &str)]) -> (Apps, Vec<(u32, Vec<u32>)>) {
    let mut state = Tenant::default();
    let mut take = |event: Event| {
        let meta = Meta { position: state.next_position, recorded_at: Time(0), actor: Actor::Root };
        state.evolve(&event, &meta);
    };
    take(Event::TenantCreated { slug: "t".into(), name: "T".into(), settings: Settings::default() });
    for (index, (key, license_type, related_set, name)) in pools.iter().enumerate() {
        let pool = PoolId::at(index);
        let key: PoolKey = key.parse().unwrap();
        let details =
            PoolDetails { related_set: related_set.map(str::to_owned), ..PoolDetails::declared(*license_type) };
        let (owned, distribution_policy) = (Owned::Count(1), DistributionPolicy::Restricted);
        take(Event::PoolListed { pool, key: Box::new(key), details, owned, distribution_policy, price: None });
        take(Event::PoolNamed { pool, language: "en-US".into(), name: (*name).into(), publisher: None });
    }
    let apps = Apps::of(&state.pools);
    let shown =
        apps.iter_from(AppId(0)).map(|(app, pools)| (app.0, pools.iter().map(|pool| pool.0).collect())).collect();
    (apps, shown)
}

use LicenseType::{Offline, Online};

#[test]
fn online_and_offline_of_one_name_are_one_app_and_two_online_ones_are_two() {
    let (_, shown) = entries(&[
        ("declared:a", Online, None, "Office"),
        ("declared:b", Online, None, "Office"),
        ("declared:c", Offline, None, "Office"),
        ("declared:d", Offline, None, "Draw"),
    ]);
    assert_eq!(shown, [(0, vec![0, 2]), (1, vec![1]), (3, vec![3])]);
}

#[test]
fn microsoft_s_product_and_apple_s_app_gather_their_pools() {
    let (_, shown) = entries(&[
        ("9NBLGGH4TNMP:0010:online", Online, None, "A"),
        ("apple:u1:42:STDQ", Online, None, "A"),
        ("9NBLGGH4TNMP:0016:offline", Offline, None, "A"),
        ("apple:u1:42:PLUS", Online, None, "A"),
        ("apple:u2:42:STDQ", Online, None, "A"),
    ]);
    assert_eq!(shown, [(0, vec![0, 2]), (1, vec![1, 3]), (4, vec![4])]);
}

#[test]
fn when_a_related_set_merges_entries_the_older_id_stays_and_the_others_lead_to_it() {
    let (apps, shown) = entries(&[
        ("declared:x", Online, None, "X"),
        ("declared:a", Online, Some("suite"), "A"),
        ("declared:b", Online, None, "B"),
        ("declared:b2", Offline, Some("suite"), "B"),
    ]);
    assert_eq!(shown, [(0, vec![0]), (1, vec![1, 2, 3])]);
    assert_eq!(apps.entry(AppId(3)), Some(AppId(1)));
    assert_eq!(apps.entry(AppId(2)), Some(AppId(1)));
    assert_eq!(apps.entry(AppId(4)), None);
    assert_eq!(apps.pools(AppId(1)), [PoolId(1), PoolId(2), PoolId(3)]);
}

/// The next event of a random inventory: a pool is listed, called something, described anew, or counted.
fn event(view: &View, (what, pool, text, is_online): (u8, usize, u8, bool)) -> Event {
    let pools = view.state.pools.len();
    let license_type = if is_online { Online } else { Offline };
    let related_set = (text > 3).then(|| format!("set {text}"));
    let details = PoolDetails { related_set, ..PoolDetails::declared(license_type) };
    let listed = PoolId::at(pool % pools.max(1));
    let kind = what % 4;
    match kind {
        _ if pools == 0 || (kind == 0 && pools < 12) => {
            let key = if text == 0 { format!("apple:u1:4{pools}:STDQ") } else { format!("declared:{pools}") };
            let (owned, distribution_policy) = (Owned::Count(1), DistributionPolicy::Restricted);
            let (pool, key) = (PoolId::at(pools), Box::new(key.parse().unwrap()));
            Event::PoolListed { pool, key, details, owned, distribution_policy, price: None }
        }
        1 => {
            let name = format!("name {}", text % 3);
            Event::PoolNamed { pool: listed, language: "en-US".into(), name, publisher: None }
        }
        2 => Event::PoolDetailsChanged { pool: listed, details, price: None },
        _ => {
            let (owned, cause) = (Owned::Count(text.into()), CapacityCause::Unexplained);
            Event::CapacityChanged { pool: listed, owned, cause }
        }
    }
}

proptest! {
    #[test]
    fn what_was_grouped_is_what_would_be_grouped_anew(
        steps in prop::collection::vec((any::<(u8, usize, bool)>(), 0..6_u8, 0..4_u8), 1..60),
    ) {
        let mut view = View::new();
        let (mut older, mut pending) = (Vec::new(), Vec::new());
        let take = |view: &mut View, event: Event| {
            let (actor, door) = (Actor::Root, Door::Http);
            let envelope = Envelope {
                recorded_at: Time(0), occurred_at: None, actor, door, command_id: None, content_hash: 0, reason: None,
            };
            view.take(&Recorded { position: view.state.next_position, envelope, event });
        };
        take(&mut view, Event::TenantCreated { slug: "t".into(), name: "T".into(), settings: Settings::default() });
        for ((what, pool, is_online), text, asked) in steps {
            let next = event(&view, (what, pool, text, is_online));
            take(&mut view, next);
            match asked {
                0 => prop_assert_eq!(view.apps(), &Apps::of(&view.state.pools)),
                // a copy, which is asked when its view has gone on
                1 => older.push(view.clone()),
                // pools that are grouped when they have changed
                2 => pending.extend(view.ungrouped()),
                _ => pending.drain(..).for_each(super::Ungrouped::group),
            }
        }
        for view in older.iter().chain([&view]) {
            prop_assert_eq!(view.apps(), &Apps::of(&view.state.pools));
        }
    }
}

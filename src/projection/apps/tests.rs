//! Which pools are one app.

use super::Apps;
use crate::domain::command::Actor;
use crate::domain::event::Event;
use crate::domain::facts::{DistributionPolicy, Owned, PoolDetails, Settings};
use crate::domain::ids::{AppId, PoolId};
use crate::domain::key::{LicenseType, PoolKey};
use crate::domain::state::{Meta, Tenant};
use crate::domain::time::Time;

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
    let apps = Apps::of(&state);
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

//! A part of the past is equal to the same part of the whole, at every position of a life.

use super::life::life;
use crate::audit::as_of::{AsOf, At};
use crate::audit::part::Wanted;
use crate::domain::command::PoolRef;
use crate::domain::ids::PoolId;
use crate::domain::state::Pool;
use crate::projection::View;
use crate::projection::figures::Figures;

fn shown(view: &View, pool: &Pool) -> String {
    let stated = (pool.store_used, pool.store_seen_at);
    format!("{:?} {:?} {stated:?}", pool.without_holders(), view.figures(pool))
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_are_what_they_were_at_every_position() {
    for seed in [21, 22, 23] {
        let world = life(seed, 500).await;
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
            for n in 0..4 {
                let by_id = of(Wanted::Pool(PoolRef::Id(PoolId(n))));
                assert_eq!(by_id.state.pools.len(), whole.state.pools.len());
                let Some(pool) = whole.state.pools.get(n as usize) else { continue };
                let by_key = of(Wanted::Pool(PoolRef::Key(pool.key.clone())));
                assert_eq!(by_key.state.pool_keys.get(&pool.key), Some(&pool.id));
                for part in [&by_id, &by_key] {
                    assert_eq!(Some(&shown(part, part.state.pool(pool.id))), expected.get(n as usize));
                }
            }
        }
        ledger.stop().await;
    }
}

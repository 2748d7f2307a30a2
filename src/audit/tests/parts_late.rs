//! A page of seats as it was known later, made from its part, against the same out of a whole state.

use super::life::life;
use super::parts::page_of_seats;
use crate::audit::as_of::{AsOf, At};
use crate::audit::hindsight::{Moment, late};
use crate::audit::part::Wanted;
use crate::domain::command::PoolRef;
use crate::domain::ids::{DeviceId, Holder, PoolId, UserId};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_seats_in_hindsight_is_that_of_the_whole() {
    let (mut seen, mut parts) = (0, 0);
    for seed in [81, 82, 83, 84] {
        let world = life(seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..250 {
            let position = random.random_range(0..head);
            let known = random.random_range(position..=head);
            let moment = Moment::of(ledger, tenant, Some(At::Position(position)), Some(known)).unwrap();
            let count = late(ledger, tenant, moment, None).unwrap().len();
            let whole = AsOf::new().moment(ledger, tenant, moment, &Wanted::Everything).unwrap();
            let (id, limit) = (PoolId(random.random_range(0..5)), random.random_range(1..6));
            let any = random.random_range(0..14);
            let behind: [Option<Holder>; 4] = [None, None, Some(UserId(any).into()), Some(DeviceId(any / 2).into())];
            let after = behind[random.random_range(0..4)];
            let asked = AsOf::new();
            let part = asked.moment(ledger, tenant, moment, &Wanted::Seats { pool: PoolRef::Id(id), after, limit });
            let part = part.unwrap();
            assert_eq!(asked.folds(), (0, 0), "a whole state was made");
            assert_eq!(part.state.next_position, whole.state.next_position);
            assert_eq!(part.hindsight.is_some(), whole.hindsight.is_some());
            if id.index() >= whole.state.pools.len() {
                assert_eq!(part.state.pools.len(), whole.state.pools.len());
                continue;
            }
            // with what says whether there is more
            let page = |view| page_of_seats(view, id, after, limit + 1);
            assert_eq!(page(&part), page(&whole), "{id} behind {after:?} at {position}, known at {known}");
            (seen, parts) = (seen + page(&part).len(), parts + usize::from(count > 0));
        }
        ledger.stop().await;
    }
    assert!(seen > 300 && parts > 300, "{seen} seats, {parts} pages with late facts");
}

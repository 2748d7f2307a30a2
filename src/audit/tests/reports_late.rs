//! Reports of a moment as it was known later, told in parts, page by page and as a file, against the same out of a whole state.

use super::life::life;
use super::reports::{csv_of, file, paged, whole};
use crate::audit::as_of::{AsOf, At};
use crate::audit::hindsight::{Moment, late};
use crate::audit::part::Wanted;
use crate::audit::reports::{Asked, Asking, Hindsight, REPORTS, Source};
use crate::domain::ids::PoolId;
use crate::domain::report::ReportName;
use crate::domain::time::Time;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_report_says_of_what_was_known_later_is_what_the_whole_state_says() {
    let (mut seen, mut random) = (BTreeMap::<ReportName, [usize; 2]>::new(), SmallRng::seed_from_u64(21));
    for seed in 0..4 {
        let world = life(900 + seed, 600).await;
        let (ledger, tenant) = (&world.ledger, world.tenant);
        let head = ledger.head(tenant).unwrap();
        for _ in 0..120 {
            let position = random.random_range(1..head);
            let known = random.random_range(position..=head);
            let moment = Moment::of(ledger, tenant, Some(At::Position(position)), Some(known)).unwrap();
            let view = AsOf::new().moment(ledger, tenant, moment, &Wanted::Everything).unwrap();
            let plain = AsOf::new().view_at(ledger, tenant, At::Position(position)).unwrap();
            for report in REPORTS.iter().filter(|report| report.takes(Asking::AsKnownAt)) {
                let pools = u32::try_from(view.state.pools.len()).unwrap();
                let is_one = report.parameters.iter().any(|it| it.asking == Asking::Pool && it.is_required);
                let pool = (pools > 0 && (is_one || random.random_bool(0.3)))
                    .then(|| PoolId(random.random_range(0..pools.max(1))));
                if is_one && pool.is_none() {
                    continue;
                }
                let late = late(ledger, tenant, moment, pool).unwrap().into();
                let asked = Asked { first: 0, since: Time(0), pool, user: None, days: None };
                let source = |as_of, pinned, hindsight| Source {
                    ledger,
                    as_of,
                    tenant,
                    position,
                    until: Time(i64::MAX),
                    pinned,
                    hindsight,
                    work: std::cell::Cell::new(0),
                };
                let (any, nothing) = (AsOf::new(), AsOf::new());
                let hindsight = Some(Hindsight { moment, late });
                let truth = whole(report, &source(&any, Some(view.clone()), hindsight.clone()), &asked);
                let unaware = whole(report, &source(&any, Some(plain.clone()), None), &asked);
                let in_parts = source(&nothing, None, hindsight);
                let what = format!("{} at {position}, known at {known}, {asked:?}", report.name);
                assert_eq!(paged(report, &in_parts, &asked, random.random_range(1..5)), truth, "{what}");
                assert_eq!(file(report, &in_parts, &asked), csv_of(report, &truth), "{what}, as a file");
                assert_eq!(nothing.folds(), (0, 0), "{what}: a whole state was made");
                let [rows, changed] = seen.entry(report.name).or_default();
                *rows += truth.len();
                *changed += usize::from(truth != unaware);
            }
        }
        ledger.stop().await;
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.values().all(|[rows, changed]| *rows > 50 && *changed > 10), "{seen:?}");
}

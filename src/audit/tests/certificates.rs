//! Certificates of random histories: what they say against what a fold over all events says, counted again from the tiles; and
//! wrong ones, also where the log's own key has signed them.

use super::life::{World, life};
use super::naive::{Look, Naive, text};
use super::reports::any_look;
use crate::audit::as_of::AsOf;
use crate::audit::certificate::{
    Bundles, Certificate, Over, PoolFigures, TilesError, Verified, VerifyError, certificate, verify,
};
use crate::audit::reports::{Cell, Report, Source};
use crate::domain::event::Event;
use crate::domain::facts::Owned;
use crate::domain::ids::PoolId;
use crate::domain::report::ReportName;
use crate::domain::time::Time;
use crate::ledger::evidence::TileAddress;
use crate::merkle::{KeyKind, KeyRange, LogKeys, Signer, VerifierKey, open_certificate, sign_certificate};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// Bundles as they are served, perhaps with one bit of one record flipped.
struct Tiles<'w> {
    world: &'w World,
    flipped: Option<(u64, usize)>,
}

impl Bundles for Tiles<'_> {
    fn bundle(&mut self, index: u64, width: u16) -> Result<(Vec<u8>, u16), TilesError> {
        let tile = self.world.ledger.tile(self.world.tenant, &TileAddress::entries(index, width)).unwrap();
        let mut bytes = tile.ok_or_else(|| TilesError("there are not so many records".into()))?;
        if let Some((_, bit)) = self.flipped.filter(|(flipped, _)| *flipped == index) {
            let at = bit / 8 % bytes.len();
            bytes[at] ^= 1 << (bit % 8);
        }
        Ok((bytes, width))
    }
}

fn key(world: &World) -> VerifierKey {
    world.ledger.verifier_key(world.tenant).unwrap()
}

/// The key, for all sizes.
fn keys(world: &World) -> Vec<KeyRange> {
    LogKeys::only(key(world)).ranges().to_vec()
}

/// The log itself, with its secret.
fn signer(world: &World) -> Signer {
    let secret = std::fs::read_to_string(world.dir.path().join("log.key")).unwrap();
    Signer::new(key(world).name(), &hex::decode(secret.trim()).unwrap().try_into().unwrap()).unwrap()
}

fn check(world: &World, note: &str) -> Result<Verified, VerifyError> {
    verify(note.as_bytes(), &keys(world), &mut Tiles { world, flipped: None }, &|_, _| {})
}

fn made(world: &World, look: &Look) -> String {
    let as_of = AsOf::new();
    let source = Source {
        ledger: &world.ledger,
        as_of: &as_of,
        tenant: world.tenant,
        position: look.at as u64,
        until: look.until,
        pinned: None,
        hindsight: None,
        work: std::cell::Cell::new(0),
    };
    certificate(&source, &look.asked).unwrap().to_string()
}

fn any(random: &mut SmallRng, naive: &Naive) -> Look {
    any_look(random, naive, Report::find(ReportName::Cap).unwrap())
}

fn certified(world: &World, note: &str) -> Certificate {
    Certificate::parse(&open_certificate(note.as_bytes(), &[key(world)]).unwrap().0).unwrap()
}

/// The rows of the list of the same figures, without what a certificate does not say.
fn rows_of(certificate: &Certificate, naive: &Naive) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for pool in &certificate.pools {
        rows.push(vec![
            text(pool.pool),
            text(&pool.key),
            Cell::Count(pool.held_max),
            Cell::Owned(pool.owned_min.map_or(Owned::Unlimited, Owned::Count)),
            Cell::Count(pool.refusals),
            Cell::Positions(vec![pool.held_max_position]),
        ]);
        for over in &pool.over {
            assert_eq!(over.began_at, naive.time(usize::try_from(over.began_position).unwrap()));
            rows.push(vec![
                text(over.pool),
                Cell::Time(over.began_at),
                text(&over.began_by),
                over.cause.clone().map_or(Cell::Nothing, Cell::Text),
                over.ended_at.map_or(Cell::Nothing, Cell::Time),
                Cell::Count(over.over_by_max),
                Cell::Positions([over.began_position].into_iter().chain(over.ended_position).collect()),
            ]);
        }
    }
    rows
}

fn expected_rows(naive: &Naive, look: &Look) -> Vec<Vec<Cell>> {
    let kept: [&[usize]; 2] = [&[1, 2, 3, 5, 6, 13], &[1, 7, 8, 9, 10, 12, 13]];
    let told = |row: Vec<Cell>| {
        let is_time = row[0] == Cell::Word("over");
        let plain = |cell: &Cell| if let Cell::Word(word) = cell { text(word) } else { cell.clone() };
        kept[usize::from(is_time)].iter().map(|at| plain(&row[*at])).collect()
    };
    naive.cap(look).into_iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_what_a_fold_over_all_events_says_and_counts_out() {
    let (mut random, mut times, mut grants) = (SmallRng::seed_from_u64(21), 0, 0);
    for seed in 0..6 {
        let world = life(700 + seed, 500).await;
        let naive = Naive::of(world.ledger.events(world.tenant, 0, usize::MAX).unwrap());
        for _ in 0..12 {
            let look = any(&mut random, &naive);
            let note = made(&world, &look);
            let counted = check(&world, &note).unwrap();
            let what = format!("from {} to {}, {:?}\n{note}", look.asked.first, look.at, look.asked.pool);
            assert!(counted.is_true(), "{what}\n{:#?}", counted.differences);
            let Certificate { scope, pools } = &counted.certificate;
            assert_eq!(rows_of(&counted.certificate, &naive), expected_rows(&naive, &look), "{what}");
            assert_eq!((scope.from.size, scope.to.size), (look.asked.first, look.at as u64 + 1));
            let first = usize::try_from(look.asked.first).unwrap();
            for pool in pools {
                let granted = |event: &Event| matches!(event, Event::SeatGranted { pool: of, .. } if *of == pool.pool);
                let granted = naive.events[first..=look.at].iter().filter(|recorded| granted(&recorded.event)).count();
                assert_eq!((pool.grants, pool.grants_above_cap), (granted as u64, 0), "{what}");
                grants += pool.grants;
            }
            times += scope.times_over;
        }
        world.ledger.stop().await;
    }
    assert!(times > 20 && grants > 100, "the lives are rich enough to mean something: {times}, {grants}");
}

/// A certificate of everything, of a life in which a pool was above its cap.
async fn rich() -> (World, Certificate) {
    let (mut seed, mut random) = (800, SmallRng::seed_from_u64(22));
    loop {
        let world = life(seed, 400).await;
        let naive = Naive::of(world.ledger.events(world.tenant, 0, usize::MAX).unwrap());
        let mut look = any(&mut random, &naive);
        look.at = naive.events.len() - 1;
        look.asked.pool = None;
        look.asked.first = 40;
        let certificate = certified(&world, &made(&world, &look));
        if certificate.pools.iter().any(|pool| pool.over.iter().any(|over| over.ended_at.is_some())) {
            return (world, certificate);
        }
        world.ledger.stop().await;
        seed += 1;
    }
}

type Wrong<T> = (&'static str, fn(&mut T));

const WRONG_OF_POOL: &[Wrong<PoolFigures>] = &[
    ("key", |pool| pool.key.push('x')),
    ("held_max", |pool| pool.held_max += 1),
    ("held_max_position", |pool| pool.held_max_position += 1),
    ("owned_min", |pool| pool.owned_min = Some(pool.owned_min.map_or(0, |owned| owned + 1))),
    ("grants", |pool| pool.grants += 1),
    ("grants_above_cap", |pool| pool.grants_above_cap += 1),
    ("refusals", |pool| pool.refusals += 1),
    ("times_over", |pool| pool.times_over += 1),
];

const WRONG_OF_TIME: &[Wrong<Over>] = &[
    ("over_by_max", |over| over.over_by_max += 1),
    ("began_position", |over| over.began_position += 1),
    ("began_at", |over| over.began_at = Time(over.began_at.0 + 1)),
    ("began_by", |over| over.began_by.push('x')),
    ("cause", |over| over.cause = Some("another".into())),
    ("ended_position", |over| over.ended_position = over.ended_position.map_or(Some(9), |at| Some(at + 1))),
    ("ended_at", |over| over.ended_at = None),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_figure_that_the_log_itself_signs_is_named() {
    let (world, good) = rich().await;
    let signer = signer(&world);
    let found = |wrong: &Certificate| {
        let note = sign_certificate(&signer, &wrong.to_lines()).unwrap().to_string();
        check(&world, &note).map(|counted| {
            let named = counted.differences.iter().map(|difference| format!("{} {}", difference.of, difference.figure));
            named.collect::<Vec<_>>()
        })
    };
    assert!(found(&good).unwrap().is_empty());
    for place in 0..good.pools.len() {
        for (figure, change) in WRONG_OF_POOL {
            let mut wrong = good.clone();
            change(&mut wrong.pools[place]);
            let named = format!("{} {figure}", good.pools[place].pool);
            assert!(found(&wrong).unwrap().contains(&named), "{named}");
        }
        for time in 0..good.pools[place].over.len() {
            for (figure, change) in WRONG_OF_TIME {
                let mut wrong = good.clone();
                change(&mut wrong.pools[place].over[time]);
                if wrong == good {
                    continue;
                }
                let named = format!("{}, time {} above its cap {figure}", good.pools[place].pool, time + 1);
                assert!(found(&wrong).unwrap().contains(&named), "{named}: {:?}", found(&wrong));
            }
            let mut wrong = good.clone();
            wrong.pools[place].over.remove(time);
            assert_eq!(found(&wrong).unwrap().last().map(|named| named.ends_with("lines of times_over")), Some(true));
        }
        let mut wrong = good.clone();
        let left_out = wrong.pools.remove(place).pool;
        assert!(found(&wrong).unwrap().contains(&format!("{left_out} pool")));
    }
    let of_all: [Wrong<Certificate>; 5] = [
        (" pools", |c| c.scope.pools += 1),
        (" times_over", |c| c.scope.times_over -= 1),
        (" from.recorded_at", |c| c.scope.from.recorded_at = None),
        (" to.recorded_at", |c| c.scope.to.recorded_at = Some(Time(0))),
        ("pool_0 pool", |c| c.scope.pool = Some(PoolId(1))),
    ];
    for (named, change) in of_all {
        let mut wrong = good.clone();
        change(&mut wrong);
        assert!(found(&wrong).unwrap().contains(&named.to_owned()), "{named}: {:?}", found(&wrong));
    }
    // from the beginning on, before which no record was ever made
    let naive = Naive::of(world.ledger.events(world.tenant, 0, usize::MAX).unwrap());
    let mut look = any(&mut SmallRng::seed_from_u64(24), &naive);
    look.at = naive.events.len() - 1;
    (look.asked.pool, look.asked.first) = (None, 0);
    let mut from_nothing = certified(&world, &made(&world, &look));
    assert!(from_nothing.scope.from.recorded_at.is_none() && found(&from_nothing).unwrap().is_empty());
    from_nothing.scope.from.recorded_at = Some(Time(1_577_836_800_000_000));
    assert_eq!(found(&from_nothing).unwrap(), [" from.recorded_at"]);
    let refused: [Wrong<Certificate>; 7] = [
        ("the key is that of", |c| c.scope.log.push('x')),
        ("ends before it begins", |c| c.scope.from.size = c.scope.to.size + 1),
        ("does not go on", |c| c.scope.from.size += 1),
        ("does not go on", |c| c.scope.from.root = c.scope.to.root.clone()),
        ("or their roots differ", |c| c.scope.to.root = c.scope.from.root.clone()),
        ("the head that the certificate carries", |c| c.scope.checkpoint.push('x')),
        ("does not go on", |c| drop(c.scope.consistency.pop())),
    ];
    for (why, change) in refused {
        let mut wrong = good.clone();
        change(&mut wrong);
        let error = found(&wrong).unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    world.ledger.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn touched_files_touched_tiles_and_other_keys_are_refused() {
    let (world, good) = rich().await;
    let note = sign_certificate(&signer(&world), &good.to_lines()).unwrap().to_string();
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1 << (at % 7);
        let error = verify(&bytes, &keys(&world), &mut Tiles { world: &world, flipped: None }, &|_, _| {}).unwrap_err();
        assert!(matches!(error, VerifyError::Signature(_)), "byte {at}: {error}");
    }
    let bundles = good.scope.to.size.div_ceil(256);
    let mut random = SmallRng::seed_from_u64(23);
    for _ in 0..200 {
        let flipped = Some((random.random_range(0..bundles), random.random_range(0..1 << 20)));
        let counted = verify(note.as_bytes(), &keys(&world), &mut Tiles { world: &world, flipped }, &|_, _| {});
        assert!(counted.is_err(), "{flipped:?}");
    }
    let other = Signer::new(key(&world).name(), &[9; 32]).unwrap().verifier_key(KeyKind::Plain);
    let other = LogKeys::only(other);
    let counted = verify(note.as_bytes(), other.ranges(), &mut Tiles { world: &world, flipped: None }, &|_, _| {});
    assert!(counted.unwrap_err().to_string().contains("no key that is known"));
    // of a key that was changed since: it signs no more records than it did, and one that came later may sign fewer
    let size = good.scope.to.size;
    let signed_by = |from_size: u64, to_size: Option<u64>| {
        let range = KeyRange { key: key(&world), from_size, to_size, handover: None };
        verify(note.as_bytes(), &[range], &mut Tiles { world: &world, flipped: None }, &|_, _| {})
    };
    for (from_size, to_size) in [(1, Some(size)), (1, Some(size + 1)), (size + 1, None), (size + 1, Some(size + 9))] {
        assert!(signed_by(from_size, to_size).unwrap().is_true(), "from {from_size} to {to_size:?}");
    }
    let ended = signed_by(1, Some(size - 1)).unwrap_err();
    assert!(
        matches!(ended, VerifyError::KeyEnded { size: of, to_size } if of == size && to_size == size - 1),
        "{ended}"
    );
    // lines in another order, or written in another way, are none of ours
    let lines = good.to_lines();
    for (from, to) in
        [("{\"pool\":\"pool_0\"", "{ \"pool\":\"pool_0\""), ("\"held_max\":", "\"held\":"), ("\n{", "\n\n{")]
    {
        let changed = lines.replacen(from, to, 1);
        assert_ne!(changed, lines);
        assert!(Certificate::parse(&changed).is_err(), "{from} to {to}");
    }
    assert!(Certificate::parse("").is_err() && Certificate::parse("{}\n").is_err());
    world.ledger.stop().await;
}

//! The index against a plain table, over flushes, merges, restarts, damage and kills between steps.

use super::*;
use crate::domain::command::{Actor, Door, Envelope};
use crate::domain::event::Event;
use crate::domain::ids::{DeviceId, PoolId, TokenId, UserId};
use crate::domain::time::Time;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

type Plain = BTreeMap<(TenantId, Subject), Vec<u64>>;

/// Some came late, each by another time.
fn occurred_at(position: u64) -> Option<Time> {
    let late = i64::try_from(position).unwrap().checked_pow(3)?;
    position.is_multiple_of(7).then_some(Time(-late))
}

fn recorded(position: u64, pool: u32, user: u32) -> Recorded {
    let envelope = Envelope {
        recorded_at: Time(0),
        occurred_at: occurred_at(position),
        actor: Actor::Token(TokenId(pool % 2)),
        door: Door::Http,
        command_id: None,
        content_hash: 0,
        reason: None,
    };
    Recorded { position, envelope, event: Event::SeatTaken { pool: PoolId(pool), holder: UserId(user).into() } }
}

/// A group of records for two tenants, into both tables.
fn take(subjects: &Subjects, plain: &mut Plain, next: &mut [u64; 2], seats: &[(u32, u32)]) {
    let mut records = Vec::new();
    for (pool, user) in seats {
        let tenant = pool % 3 % 2;
        let position = &mut next[tenant as usize];
        // other events lie between, so that steps of more than a byte occur
        *position += u64::from(pool * user % 300) + 1;
        records.push((TenantId(tenant), recorded(*position, *pool, *user)));
    }
    for (tenant, recorded) in &records {
        for subject in subjects_of(recorded) {
            plain.entry((*tenant, subject)).or_default().push(recorded.position);
        }
    }
    subjects.take(&records);
}

fn flush(subjects: &Subjects, group: u64) {
    let flush = subjects.begin_flush(group).unwrap();
    subjects.end_flush(Some(flush.run().unwrap()));
}

fn tally(plain: &Plain) -> Tally {
    let mut tally = Tally::default();
    for ((tenant, subject), positions) in plain {
        let code = code(*subject);
        let stamp = |position| stamp(code, position, Marks::of(&recorded(position, 0, 0)));
        positions.iter().for_each(|position| tally.add_position((tenant.0, code), stamp(*position)));
    }
    tally
}

/// Whatever is recorded of a seat here is that it was taken.
fn steps(positions: &[u64], until: u64) -> Vec<(u64, SeatStep)> {
    positions.iter().filter(|position| **position <= until).map(|position| (*position, SeatStep::Taken)).collect()
}

fn compare(subjects: &Subjects, plain: &Plain, range: &Range<u64>, max: usize) {
    for (tenant, pool) in (0..2).flat_map(|tenant| (0..8).map(move |pool| (TenantId(tenant), PoolId(pool)))) {
        let (first, last) = (UserId(u32::try_from(range.start % 5).unwrap()), DeviceId(u32::MAX));
        let found = subjects.seats(tenant, pool, (first.into(), last.into()), range.end, max).unwrap();
        let of_pool = plain.iter().filter_map(|((of, subject), positions)| {
            let Subject::Seat(found, holder) = subject else { return None };
            let is_asked_for = *of == tenant && *found == pool && *holder >= first.into();
            let until = is_asked_for.then(|| steps(positions, range.end)).filter(|steps| !steps.is_empty());
            Some((*holder, until?))
        });
        assert_eq!(found, of_pool.take(max).collect::<Vec<_>>());
    }
    for (tenant, user) in (0..2).flat_map(|tenant| (0..60).map(move |user| (TenantId(tenant), UserId(user)))) {
        let last = UserId(user.0 + u32::try_from(max % 9).unwrap());
        let found = subjects.held(tenant, (user.into(), last.into()), range.end).unwrap();
        let of_holder = plain.iter().filter_map(|((of, subject), positions)| {
            let Subject::Held(holder, pool) = subject else { return None };
            let is_asked_for = *of == tenant && (user.into()..=last.into()).contains(holder);
            let until = is_asked_for.then(|| steps(positions, range.end)).filter(|steps| !steps.is_empty());
            Some((*holder, *pool, until?))
        });
        assert_eq!(found, of_holder.collect::<Vec<_>>());
    }
    let is_some = |of: &TenantId, user: UserId| (user.0 + of.0) % 5 != 1;
    for tenant in [TenantId(0), TenantId(1)] {
        let users = (0..70).map(UserId).filter(|user| is_some(&tenant, *user));
        let asked: BTreeSet<_> = users.flat_map(|user| (0..9).map(move |pool| (PoolId(pool), user.into()))).collect();
        let found = subjects.seats_of(tenant, &asked, range.end).unwrap();
        let of_seat = plain.iter().filter_map(|((of, subject), positions)| {
            let Subject::Seat(pool, holder) = subject else { return None };
            let is_asked_for = *of == tenant && asked.contains(&(*pool, *holder));
            let until = is_asked_for.then(|| steps(positions, range.end)).filter(|steps| !steps.is_empty());
            Some(((*pool, *holder), until?))
        });
        assert_eq!(found, of_seat.collect::<Vec<_>>());
        assert_eq!(subjects.seats_of(tenant, &BTreeSet::new(), range.end), Ok(vec![]));
        let pools = (0..8).step_by(3).map(|pool| Some(PoolId(pool))).chain([None]);
        for (pool, step) in pools.flat_map(|pool| LateStep::ALL.map(|step| (pool, step))) {
            let subject = pool.map_or(Subject::Late(step), |pool| Subject::LateOf(pool, step));
            let within = plain.get(&(tenant, subject)).into_iter().flatten().copied();
            let late = |at| (at, Lateness::of(&recorded(at, 0, 0)).unwrap());
            let within = within.filter(|at| range.contains(at)).map(late).take(max);
            let found = subjects.late(tenant, (pool, step), range, max).unwrap();
            assert!(found.iter().all(|(_, lateness)| lateness.step == step));
            assert_eq!(found, within.collect::<Vec<_>>());
        }
    }
    for ((tenant, subject), positions) in plain {
        let within: Vec<u64> = positions.iter().copied().filter(|position| range.contains(position)).collect();
        let ask = |newest_first| subjects.positions(*tenant, *subject, range.clone(), max, newest_first).unwrap();
        assert_eq!(ask(false), within.iter().copied().take(max).collect::<Vec<_>>(), "{subject:?} in {range:?}");
        assert_eq!(ask(true), within.iter().copied().rev().take(max).collect::<Vec<_>>(), "{subject:?} in {range:?}");
    }
    let nobody = subjects.positions(TenantId(7), Subject::Pool(PoolId(0)), 0..u64::MAX, max, false);
    assert_eq!(nobody, Ok(vec![]));
}

/// An index with a run a group, and what it should say.
fn filled(dir: &Path, groups: u64) -> (Subjects, Plain) {
    let (subjects, mut plain, mut next) = (Subjects::open(dir, groups).unwrap(), Plain::new(), [0; 2]);
    for group in 1..=groups {
        let seats: Vec<_> = (0..2500).map(|n| (n % 7, n * 31 % 60)).collect();
        take(&subjects, &mut plain, &mut next, &seats);
        flush(&subjects, group);
    }
    (subjects, plain)
}

fn run_files(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(dir.join(FOLDER)).unwrap().map(|found| found.unwrap().path()).collect();
    paths.sort();
    paths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_like_a_plain_table(
        groups in prop::collection::vec((prop::collection::vec((0_u32..6, 0_u32..20), 0..250), 0_u8..4), 1..20),
        range in (0_u64..5_000, 0_u64..20_000),
        max in 1_usize..50,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut subjects, mut plain, mut next) = (Subjects::open(dir.path(), 100).unwrap(), Plain::new(), [0; 2]);
        let mut on_disk = (0, Tally::default());
        for (group, (seats, then)) in (1_u64..).zip(&groups) {
            take(&subjects, &mut plain, &mut next, seats);
            match then {
                0 => {}
                // a disk that said no, while more came in
                1 => {
                    let _lost = subjects.begin_flush(group).unwrap();
                    take(&subjects, &mut plain, &mut next, seats);
                    compare(&subjects, &plain, &(range.0..range.1), max);
                    subjects.end_flush(None);
                }
                _ => {
                    flush(&subjects, group);
                    on_disk = (group, tally(&plain));
                }
            }
            if *then == 3 {
                subjects = Subjects::open(dir.path(), 100).unwrap();
                prop_assert_eq!(subjects.covered_group(), group);
            }
        }
        compare(&subjects, &plain, &(range.0..range.1), max);
        compare(&subjects, &plain, &(0..u64::MAX), usize::MAX);
        prop_assert!(run_files(dir.path()).len() <= runs::RUNS_MAX);
        prop_assert_eq!(verify(dir.path()).unwrap(), Ok(on_disk));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_in_a_row_take_one_entry_and_are_found_one_by_one(
        // one step after the other: see `take`
        groups in prop::collection::vec(
            prop::collection::vec(prop_oneof![4 => Just((0_u32, 0_u32)), 1 => (Just(0), 0..3_u32), 1 => Just((3, 0))], 0..200),
            1..4,
        ),
        range in (0_u64..300, 0_u64..200).prop_map(|(from, count)| from..from + count),
        max in 1_usize..20,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (subjects, mut plain, mut next) = (Subjects::open(dir.path(), 100).unwrap(), Plain::new(), [0; 2]);
        for (group, seats) in (1..).zip(&groups) {
            take(&subjects, &mut plain, &mut next, seats);
            compare(&subjects, &plain, &range, max);
            if group == 1 {
                flush(&subjects, group);
                prop_assert_eq!(verify(dir.path()).unwrap(), Ok((group, tally(&plain))));
            }
        }
        compare(&subjects, &plain, &range, max);
        compare(&subjects, &plain, &(0..u64::MAX), usize::MAX);
    }
}

#[test]
fn of_a_thousand_events_of_one_caller_about_one_seat_few_entries_are_made() {
    let dir = tempfile::tempdir().unwrap();
    let (subjects, mut plain, mut next) = (Subjects::open(dir.path(), 9).unwrap(), Plain::new(), [0; 2]);
    take(&subjects, &mut plain, &mut next, &[(0, 0); 1000]);
    // a type, the seat under pool and holder, each a thousand times; whoever did it, pool and user in rows
    let rows = 1000_usize.div_ceil(32) + 2 * 1000_usize.div_ceil(4);
    let named: usize = plain
        .iter()
        .filter(|((_, subject), _)| matches!(subject, Subject::Late(_) | Subject::LateOf(..)))
        .map(|(_, at)| at.len())
        .sum();
    assert_eq!(subjects.fresh(), 3 * 1000 + rows + named);
}

#[test]
fn an_entry_costs_few_bytes_and_many_blocks_are_searched_from_both_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (subjects, plain) = filled(dir.path(), 3);
    for range in [0..u64::MAX, 5_000..5_001, 50_000..150_000] {
        compare(&subjects, &plain, &range, 700);
    }
    let entries: usize = plain.values().map(Vec::len).sum();
    let bytes: u64 = run_files(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(bytes < entries as u64 * 3, "{bytes} bytes for {entries} entries");
}

#[test]
fn an_empty_run_covers_its_groups() {
    let dir = tempfile::tempdir().unwrap();
    let subjects = Subjects::open(dir.path(), 9).unwrap();
    assert!(subjects.begin_flush(0).is_none());
    flush(&subjects, 4);
    assert!(subjects.begin_flush(4).is_none());
    let subjects = Subjects::open(dir.path(), 9).unwrap();
    assert_eq!(subjects.covered_group(), 4);
    assert_eq!(subjects.positions(TenantId(0), Subject::Refusals, 0..9, 9, true), Ok(vec![]));
    let (pool, holder) = (PoolId(0), Holder::User(UserId(0)));
    assert_eq!(subjects.seats(TenantId(0), pool, (holder, holder), 9, 9), Ok(vec![]));
    assert_eq!(subjects.held(TenantId(0), (holder, holder), 9), Ok(vec![]));
    assert_eq!(subjects.seats_of(TenantId(0), &BTreeSet::from([(pool, holder)]), 9), Ok(vec![]));
    assert_eq!(subjects.own_facts(TenantId(0), &BTreeSet::from([holder]), 9), Ok(vec![]));
    let late = subjects.late(TenantId(0), (None, LateStep::ALL[0]), &(0..9), 9);
    assert_eq!(late, Ok(vec![]));
    assert_eq!(verify(dir.path()).unwrap(), Ok((4, Tally::default())));
}

#[test]
fn a_damaged_block_is_noticed_and_the_next_start_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    let path = run_files(dir.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(verify(dir.path()).unwrap().is_err());
    let subjects = Subjects::open(dir.path(), 2).unwrap();
    assert_eq!(subjects.covered_group(), 2);
    let ask = |subject| subjects.positions(TenantId(0), subject, 0..u64::MAX, 9, false);
    assert_eq!(ask(Subject::Pool(PoolId(0))), Err(NotWhole));
    assert_eq!(ask(Subject::Refusals), Err(NotWhole), "not whole is not whole for any subject");
    assert!(!subjects.is_whole(), "and that is told");
    subjects.take(&[(TenantId(0), recorded(1, 1, 1))]);
    assert_eq!((subjects.fresh(), subjects.begin_flush(3).is_none()), (0, true));
    let subjects = Subjects::open(dir.path(), 2).unwrap();
    assert_eq!((subjects.covered_group(), run_files(dir.path()).len()), (0, 0));
}

#[test]
fn runs_of_another_version_are_no_damage_and_the_next_start_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2);
    for path in run_files(dir.path()) {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[7] = b'5';
        let crc = crc32fast::hash(&bytes[..48]);
        bytes[48..52].copy_from_slice(&crc.to_be_bytes());
        std::fs::write(path, bytes).unwrap();
    }
    let error = verify(dir.path()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().ends_with(": it is of another version of the program"), "{error}");
    assert_eq!(Subjects::open(dir.path(), 2).unwrap().covered_group(), 0);
    assert_eq!(verify(dir.path()).unwrap(), Ok((0, Tally::default())));
}

#[test]
fn whatever_bit_flips_and_whichever_run_is_missing_no_wrong_position_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let (_, plain) = filled(dir.path(), 2);
    let paths = run_files(dir.path());
    let whole: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let restore = || {
        let _gone = std::fs::remove_dir_all(dir.path().join(FOLDER));
        std::fs::create_dir_all(dir.path().join(FOLDER)).unwrap();
        paths.iter().zip(&whole).for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    };
    for at in (0..whole[0].len()).step_by(611).chain(0..60) {
        restore();
        let mut bad = whole[0].clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&paths[0], bad).unwrap();
        let subjects = Subjects::open(dir.path(), 2).unwrap();
        let mut is_noticed = subjects.covered_group() == 0;
        for ((tenant, subject), positions) in plain.iter().filter(|_| subjects.covered_group() > 0) {
            match subjects.positions(*tenant, *subject, 0..u64::MAX, usize::MAX, false) {
                Ok(found) => assert_eq!(found, *positions, "byte {at}"),
                Err(NotWhole) => is_noticed = true,
            }
        }
        assert!(is_noticed, "byte {at}");
    }
    for missing in &paths {
        restore();
        std::fs::remove_file(missing).unwrap();
        let covered = Subjects::open(dir.path(), 2).unwrap().covered_group();
        assert_eq!(covered, u64::from(missing == &paths[1]), "what is behind a hole is of no use");
    }
    restore();
    assert_eq!(Subjects::open(dir.path(), 1).unwrap().covered_group(), 0, "runs of a longer log");
}

#[test]
fn a_kill_between_a_merge_and_its_clean_up_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (subjects, plain) = filled(dir.path(), 2);
    let runs = Arc::clone(&subjects.held.read().runs);
    Run::merge(&dir.path().join(FOLDER), &runs[0], &runs[1]).unwrap();
    std::fs::write(dir.path().join(FOLDER).join("x.new"), b"half a run").unwrap();
    let subjects = Subjects::open(dir.path(), 2).unwrap();
    assert_eq!((subjects.covered_group(), run_files(dir.path()).len()), (2, 1));
    compare(&subjects, &plain, &(0..u64::MAX), usize::MAX);
}

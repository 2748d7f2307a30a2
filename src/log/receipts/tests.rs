//! The index against a plain table, over flushes, merges, restarts, damage and kills between steps.

use super::*;
use proptest::prelude::*;

fn receipt(n: u64) -> Receipt {
    Receipt { first_position: n, records: 1, content_hash: n ^ 5 }
}

fn key(n: u64) -> ReceiptKey {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    ((n % 3) as u32, id)
}

fn flush(receipts: &Receipts, group: u64) {
    let flush = receipts.begin_flush(group).unwrap();
    let flushed = flush.run().unwrap();
    receipts.end_flush(Some(flushed));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_answers_like_a_plain_table(batches in prop::collection::vec(prop::collection::vec(0_u64..5000, 0..400), 1..14)) {
        let dir = tempfile::tempdir().unwrap();
        let mut receipts = Receipts::open(dir.path(), 100).unwrap();
        let mut plain = std::collections::BTreeMap::new();
        for (group, batch) in (1_u64..).zip(batches) {
            for n in batch {
                if plain.insert(key(n), receipt(n)).is_none() {
                    receipts.insert([(key(n), receipt(n))]);
                }
            }
            flush(&receipts, group);
            if group % 4 == 0 {
                receipts = Receipts::open(dir.path(), 100).unwrap();
            }
            prop_assert_eq!(receipts.covered_group(), group);
        }
        prop_assert_eq!(receipts.len(), plain.len() as u64);
        for n in 0..5000 {
            prop_assert_eq!(receipts.get(key(n)).unwrap(), plain.get(&key(n)).copied());
        }
        let mut tally = Tally::default();
        plain.iter().for_each(|(key, receipt)| tally.add(*key, *receipt));
        prop_assert_eq!(verify(dir.path()).unwrap(), Ok((receipts.covered_group(), tally)));
    }
}

#[test]
fn a_damaged_block_is_noticed_and_the_next_start_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let receipts = Receipts::open(dir.path(), 100).unwrap();
    for n in 0..500 {
        receipts.insert([(key(n), receipt(n))]);
    }
    flush(&receipts, 1);
    let path = std::fs::read_dir(dir.path().join(FOLDER)).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(verify(dir.path()).unwrap().is_err());
    let receipts = Receipts::open(dir.path(), 100).unwrap();
    assert_eq!(receipts.get(key(0)), Err(NotWhole));
    assert_eq!(receipts.get(key(499)), Err(NotWhole), "not whole is not whole for any id");
    assert!(!receipts.is_whole(), "and that is told");
    let receipts = Receipts::open(dir.path(), 100).unwrap();
    assert_eq!((receipts.covered_group(), receipts.len()), (0, 0));
}

#[test]
fn a_kill_between_a_merge_and_its_clean_up_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let receipts = Receipts::open(dir.path(), 100).unwrap();
    for group in 1..=2 {
        receipts.insert([(key(group), receipt(group))]);
        flush(&receipts, group);
    }
    let runs = Arc::clone(&receipts.held.read().runs);
    Run::merge(&dir.path().join(FOLDER), &runs[0], &runs[1]).unwrap();
    std::fs::write(dir.path().join(FOLDER).join("x.new"), b"half a run").unwrap();
    let receipts = Receipts::open(dir.path(), 100).unwrap();
    assert_eq!((receipts.len(), receipts.covered_group(), receipts.held.read().runs.len()), (2, 2, 1));
    assert_eq!(receipts.get(key(2)).unwrap(), Some(receipt(2)));
}

#[test]
fn a_run_that_could_not_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    Receipts::open(dir.path(), 100).unwrap();
    let folder = dir.path().join(FOLDER);
    let sorted =
        (0..5000).map(|n| if n < 4000 { Ok((key(n), receipt(n))) } else { Err(io::Error::other("the disk is full")) });
    assert!(run::write(&folder, 1, 2, 5000, sorted).is_err());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    let written = run::write(&folder, 1, 2, 0, std::iter::empty()).unwrap();
    assert_eq!((written.file().last_group, std::fs::read_dir(&folder).unwrap().count()), (2, 1));
}

#[test]
fn what_a_flush_writes_is_told_before() {
    let dir = tempfile::tempdir().unwrap();
    let receipts = Receipts::open(dir.path(), 100).unwrap();
    let on_disk = || -> u64 {
        let found = std::fs::read_dir(dir.path().join(FOLDER)).unwrap();
        found.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    for group in 1..=12 {
        receipts.insert((0..20_000).map(|n| (key(group * 100_000 + n), receipt(n))));
        let (told, before) = (receipts.flush_bytes(), on_disk());
        flush(&receipts, group);
        assert!(told >= on_disk() - before, "{told} for {} at {group}", on_disk() - before);
        assert!(told < 6 * 20_000 * 48, "{told} at {group}");
    }
}

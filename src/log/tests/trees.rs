//! A tree that grows through starts and kills is the one of the definition at every node, and tiles that are gone or
//! wrong are made anew from the log.

use super::super::memory::Faults;
use super::super::*;
use super::both_ways::Machine;
use crate::merkle::{
    Hash, Nodes, TileAddress, check_consistency, check_inclusion, consistency, entries_in_bundle, inclusion, leaf,
    node, root_at, tile_hashes,
};
use std::time::Duration;

const TENANT: u32 = 3;

fn record(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(1 + usize::try_from(n % 3).unwrap())
}

/// Every row of full subtrees over so many leaves.
fn rows(leaves: u64) -> Vec<Vec<Hash>> {
    let mut rows = vec![(0..leaves).map(|n| leaf(&record(n))).collect::<Vec<Hash>>()];
    while let Some(row) = rows.last().filter(|row| row.len() > 1) {
        rows.push(row.chunks_exact(2).map(|pair| node(&pair[0], &pair[1])).collect());
    }
    rows
}

fn append(log: &mut Log, count: u64) {
    let next = log.head(TENANT).next_position;
    let mut group = Group::new();
    (next..next + count).for_each(|n| group.push(TENANT, &record(n)));
    // another tenant's records in between
    group.push(TENANT + 1, b"elsewhere");
    log.append(&group).unwrap();
}

fn grown(log: &Log) -> LogReader {
    let reader = log.reader();
    assert!(reader.reach_tree(TENANT, log.head(TENANT).next_position, Duration::from_secs(20)));
    reader
}

#[track_caller]
fn is_that_of_the_definition(log: &Log) {
    let reader = grown(log);
    let tree = reader.tree(TENANT);
    let (leaves, root) = tree.head();
    let rows = rows(leaves);
    for (height, row) in (0..).zip(&rows) {
        let step = if row.len() > 2_000 { 97 } else { 1 };
        for (index, hash) in (0..).zip(row).step_by(step) {
            assert_eq!(tree.node(height, index).unwrap(), *hash, "height {height}, index {index} of {leaves}");
        }
    }
    assert_eq!(root_at(&tree, leaves).unwrap(), root);
    for level in 0..3u8 {
        let row = rows.get(usize::from(level) * 8).map(Vec::as_slice).unwrap_or_default();
        for (index, hashes) in (0..).zip(row.chunks(256)) {
            let width = u16::try_from(hashes.len()).unwrap();
            let bytes = tree.tile(&TileAddress::hashes(level, index, width)).unwrap().unwrap();
            assert_eq!(tile_hashes(&bytes, width).unwrap(), hashes, "tile {level}/{index}");
        }
        let behind = TileAddress::hashes(level, row.len() as u64 / 256, u16::try_from(row.len() % 256).unwrap() + 1);
        assert_eq!(tree.tile(&behind).unwrap(), None, "the tree has not grown so far");
    }
    let last = (leaves - 1) / 256;
    for (index, width) in [(0, leaves.min(256)), (last, leaves - last * 256)] {
        let bytes = tree.tile(&TileAddress::entries(index, u16::try_from(width).unwrap())).unwrap().unwrap();
        let records: Vec<Vec<u8>> = (index * 256..index * 256 + width).map(record).collect();
        assert_eq!(entries_in_bundle(&bytes, u16::try_from(width).unwrap()).unwrap(), records);
    }
    for at in [0, leaves / 3, leaves - 1] {
        let path = inclusion(&tree, at, leaves).unwrap();
        check_inclusion(&leaf(&record(at)), at, leaves, &path, &root).unwrap();
        let path = consistency(&tree, at, leaves).unwrap();
        check_consistency(at, leaves, &path, &root_at(&tree, at).unwrap(), &root).unwrap();
    }
}

/// What is at every start: an unfinished tile from before, on more than one level.
#[test]
fn a_tree_that_grew_through_starts_and_kills_is_that_of_the_definition() {
    let faults = Faults::default();
    let mut machine = Machine::new(&faults);
    for (round, counts) in
        [[1, 2], [250, 3], [1, 255], [4_000, 77], [61_000, 10], [600, 300], [255, 1]].iter().enumerate()
    {
        let (mut log, _) = machine.open().unwrap();
        for count in counts {
            append(&mut log, *count);
            if round % 2 == 0 {
                is_that_of_the_definition(&log);
            }
        }
        if round % 3 == 0 {
            log.close().unwrap();
            machine = machine.killed(usize::MAX, &faults);
        } else {
            grown(&log);
            machine = machine.killed(usize::MAX, &faults);
            drop(log);
        }
    }
    let (log, _) = machine.open().unwrap();
    assert!(log.head(TENANT).next_position > 65_536, "three levels of tiles");
    is_that_of_the_definition(&log);
}

#[test]
fn who_waits_for_a_tree_ends_the_sleep_of_who_makes_it_grow() {
    let disk = Machine::new(&Faults::default()).disk;
    let trees = trees::Trees::new(Arc::new(disk), &BTreeMap::new());
    assert!(!trees.reach(TENANT, 1, Duration::ZERO));
    // longer than any test may take
    trees.linger(Duration::from_secs(86_400));
}

/// What happens to a tile's file.
type Spoil = fn(&Machine, &str);

#[test]
fn tiles_that_are_gone_or_wrong_are_made_anew_from_the_log() {
    let faults = Faults::default();
    let mut machine = Machine::new(&faults);
    let (mut log, _) = machine.open().unwrap();
    append(&mut log, 66_000);
    is_that_of_the_definition(&log);
    log.close().unwrap();
    let tiles = |machine: &Machine| -> Vec<String> {
        machine.disk.names().into_iter().filter(|name| name.starts_with("tiles/3/")).collect()
    };
    let before = tiles(&machine);
    assert_eq!(before, ["tiles/3/1/000"], "no hashes of records");
    let spoils: [Spoil; 4] = [
        |machine, name| machine.disk.take_away(name),
        |machine, name| machine.disk.spoil(name, |bytes| bytes[4_097] ^= 1),
        |machine, name| machine.disk.spoil(name, |bytes| bytes.truncate(100)),
        |machine, name| machine.disk.spoil(name, |bytes| bytes.reverse()),
    ];
    for (at, spoil) in spoils.iter().enumerate() {
        machine = machine.killed(usize::MAX, &faults);
        tiles(&machine).iter().for_each(|name| spoil(&machine, name));
        let (log, _) = machine.open().unwrap();
        is_that_of_the_definition(&log);
        log.close().unwrap();
        assert_eq!(tiles(&machine), before, "spoil {at}");
        let (log, _) = machine.open().unwrap();
        is_that_of_the_definition(&log);
    }
}

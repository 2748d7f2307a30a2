//! The same for what an auditor took away: the tiles of a tenant's log in a folder, a head that was kept, and the log's key.
//! Every byte of every file is flipped, and the check names the file. Not here: the reader in Python (`reader.rs`).

use super::store::{Store, copy, scratch};
use crate::harness::{Options, Service, Tenant};
use seatledger::merkle::{
    Checkpoint, Hash, Peaks, TILE_WIDTH, TileAddress, VerifierKey, entries_in_bundle, leaf, subtree_root, tile_bytes,
};
use std::collections::BTreeMap;
use std::fs;

const WIDTH: u64 = TILE_WIDTH as u64;

/// A mirror in memory, found good, and what its files must hash to.
pub(crate) struct Mirror {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    key: VerifierKey,
    /// Whose cosignatures stand under the head, and are looked at, too.
    witnesses: Vec<VerifierKey>,
    kept: (u64, Hash),
    bundles: BTreeMap<String, (u16, Vec<Hash>)>,
    tiles: BTreeMap<String, Vec<u8>>,
}

fn widths(count: u64) -> impl Iterator<Item = (u64, u16)> {
    (0..count.div_ceil(WIDTH)).map(move |n| (n, u16::try_from((count - n * WIDTH).min(WIDTH)).expect("small")))
}

impl Mirror {
    /// Asks the real service for everything, as the reader does.
    pub(crate) fn of(store: &Store) -> Self {
        let folder = scratch();
        let data = folder.path().join("data");
        copy(&store.data, &data);
        let service = Service::start_with(Options { data: Some(data), ..Options::default() });
        let listed = fs::read_to_string(store.data.join("cosigned/keys")).expect("witnesses' keys");
        let witnesses = listed.lines().map(|line| line.parse().expect("a key")).collect();
        Self::of_tenant(&Tenant::new(&service.root(), "tenant-0"), witnesses)
    }

    fn of_tenant(t: &Tenant, witnesses: Vec<VerifierKey>) -> Self {
        let key: VerifierKey = t.get("/log/key").text.trim_end().parse().expect("a key");
        let note = t.get(&format!("/log/checkpoint?at_least={}", t.head())).bytes;
        let (head, _) = Checkpoint::open(&note, &key).expect("a head");
        let mut mirror = Self {
            files: BTreeMap::from([("checkpoint".to_owned(), note)]),
            key,
            witnesses,
            kept: (head.size, head.root),
            bundles: BTreeMap::new(),
            tiles: BTreeMap::new(),
        };
        let mut get = |address: TileAddress| {
            let name = address.to_string();
            let answer = t.get(&format!("/log/{name}"));
            assert_eq!(answer.status, 200, "{name}: {}", answer.text);
            mirror.files.insert(name.clone(), answer.bytes.clone());
            (name, answer.bytes)
        };
        let (mut peaks, mut row) = (Peaks::default(), vec![]);
        for (index, width) in widths(head.size) {
            let (name, bytes) = get(TileAddress::entries(index, width));
            let records = entries_in_bundle(&bytes, width).expect("a bundle");
            records.iter().for_each(|record| peaks.push(record));
            let leaves: Vec<Hash> = records.iter().map(|record| leaf(record)).collect();
            row.extend_from_slice(&leaves);
            mirror.bundles.insert(name, (width, leaves));
        }
        assert_eq!((peaks.leaves(), peaks.root()), mirror.kept, "the records are those of the head that was kept");
        for level in 0.. {
            if row.is_empty() {
                break;
            }
            for (index, width) in widths(row.len() as u64) {
                let (name, _) = get(TileAddress::hashes(level, index, width));
                let at = usize::try_from(index * WIDTH).expect("small");
                mirror.tiles.insert(name, tile_bytes(&row[at..at + usize::from(width)]));
            }
            row = row.chunks_exact(usize::from(TILE_WIDTH)).filter_map(subtree_root).collect();
        }
        for (name, bytes) in &mirror.files {
            mirror.check(name, bytes).expect("a good mirror");
        }
        mirror
    }

    /// What an auditor's check says of one file, everything else being as it was taken: records hash into the head that was
    /// kept, tiles are those of the records, and the checkpoint is signed and says what was kept.
    pub(crate) fn check(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        if let Some((width, leaves)) = self.bundles.get(name) {
            let records = entries_in_bundle(bytes, *width).map_err(|error| format!("{name}: {error}"))?;
            return match records.iter().zip(leaves).position(|(record, hash)| leaf(record) != *hash) {
                Some(at) => Err(format!("{name}: record {at} is another")),
                None => Ok(()),
            };
        }
        if let Some(tile) = self.tiles.get(name) {
            return if tile == bytes { Ok(()) } else { Err(format!("{name} is not the tile of its records")) };
        }
        match Checkpoint::open(bytes, &self.key) {
            Ok((head, note)) if (head.size, head.root) == self.kept => match note.open(&self.witnesses) {
                Ok(signed) if signed.len() + 1 == note.signatures.len() => Ok(()),
                Ok(_) => Err(format!("{name} is signed by somebody who is not known")),
                Err(error) => Err(format!("{name}: {error}")),
            },
            Ok(_) => Err(format!("{name} is another head than the one that was kept")),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }

    /// Flips every `step`th byte of every file by one change that follows from its place, and of the checkpoint every bit.
    /// Answers how many flips there were, and those that the check did not see.
    pub(crate) fn flipped(&self, step: usize) -> (u64, Vec<String>) {
        let (mut flips, mut unseen) = (0, vec![]);
        for (name, good) in &self.files {
            let mut bytes = good.clone();
            let is_head = name == "checkpoint";
            for at in (0..bytes.len()).step_by(if is_head { 1 } else { step }) {
                let masks: Vec<u8> = if is_head {
                    (0..8).map(|bit| 1 << bit).collect()
                } else {
                    vec![u8::try_from(at % 255).expect("below 255") + 1]
                };
                for mask in masks {
                    bytes[at] ^= mask;
                    flips += 1;
                    if self.check(name, &bytes).is_ok() {
                        unseen.push(format!("byte {at} of {name} by {mask:#04x}"));
                    }
                    bytes[at] ^= mask;
                }
            }
        }
        (flips, unseen)
    }

    /// Files cut, swapped, doubled and left out, and records swapped: how often, and what was not seen.
    pub(crate) fn pieces(&self) -> (u64, Vec<String>) {
        let (mut times, mut unseen) = (0, vec![]);
        let mut see = |what: String, found: Result<(), String>| {
            times += 1;
            if found.is_ok() {
                unseen.push(what);
            }
        };
        for (name, good) in &self.files {
            for to in [0, good.len() / 3, good.len() / 2, good.len() - 1] {
                see(format!("{name} cut to {to}"), self.check(name, &good[..to]));
            }
            see(format!("{name} doubled"), self.check(name, &[good.as_slice(), good].concat()));
            for (other, bytes) in self.files.iter().filter(|(_, bytes)| *bytes != good).take(200) {
                see(format!("{other} as {name}"), self.check(name, bytes));
            }
            let Some((width, _)) = self.bundles.get(name) else { continue };
            let records = entries_in_bundle(good, *width).expect("a bundle");
            for at in 1..records.len() {
                let mut swapped = records.clone();
                swapped.swap(at - 1, at);
                let mut bundle = vec![];
                for record in swapped {
                    seatledger::merkle::put_into_bundle(&mut bundle, record).expect("it fits");
                }
                if bundle != *good {
                    see(format!("records {at} and the one before it swapped in {name}"), self.check(name, &bundle));
                }
            }
        }
        (times, unseen)
    }
}

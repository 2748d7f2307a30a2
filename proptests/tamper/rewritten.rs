//! Who knows the format and edits a stored event by hand, and puts right whatever stands in the way: the checksum, the
//! chain, the manifests, the anchor, the signed heads. Each step alone is seen by the next thing that `verify` compares;
//! who takes them all, the log's own key included, is seen by a head that was kept elsewhere. Not here: clumsier hands
//! (`pieces.rs`).

use super::journal::{Frame, frames};
use super::pieces::Tally;
use super::rounds;
use super::store::{Store, copy, files_below, scratch};
use rand::RngExt as _;
use seatledger::ledger::replay::{ReplayError, ReplayOptions, replay};
use seatledger::ledger::verify::{Kept, verify_against};
use seatledger::ledger::{MasterKeySource, NoProgress};
use seatledger::merkle::{Checkpoint, Note, Peaks, Signer};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What is put right besides the record, each with all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hand {
    Checksum,
    Chain,
    Chains,
    Manifests,
    Heads,
    /// What witnesses and authorities have signed is gone: nobody here can sign that anew.
    Witnesses,
}

/// What stands in every record that can be edited: the beginning of a command's id.
const WORD: &[u8] = b"asker-";
const TENANT: u64 = 0;

/// The tenant's stream as it is now: its tree and its chain after every frame, by position.
#[derive(Default)]
struct Stream {
    after: BTreeMap<u64, ([u8; 32], Peaks)>,
}

struct Segments {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Segments {
    fn read(data: &Path) -> Self {
        let files = files_below(&data.join("journal"))
            .into_iter()
            .filter(|file| file.extension().is_some_and(|e| e == "segment"));
        Self { files: files.map(|file| (file.clone(), fs::read(&file).expect("a segment"))).collect() }
    }

    /// The frames of the tenant, in order, each with the place of its segment.
    fn frames(&self) -> Vec<(usize, Frame)> {
        let all =
            self.files.iter().enumerate().flat_map(|(at, (_, bytes))| frames(bytes).into_iter().map(move |f| (at, f)));
        all.filter(|(_, frame)| frame.tenant == TENANT).collect()
    }

    fn write(&self) {
        self.files.iter().for_each(|(file, bytes)| fs::write(file, bytes).expect("written"));
    }
}

/// Edits one record that is drawn, as far as the hand goes.
fn edit(data: &Path, hand: Hand) {
    let mut segments = Segments::read(data);
    let all = segments.frames();
    let has_word: Vec<(usize, usize)> = all
        .iter()
        .enumerate()
        .flat_map(|(n, (at, frame))| {
            let bytes = &segments.files[*at].1;
            let found = frame.records(bytes).into_iter().filter_map(|record| {
                let word = bytes[record.clone()].windows(WORD.len()).position(|window| window == WORD)?;
                Some((n, record.start + word))
            });
            found.collect::<Vec<_>>()
        })
        .collect();
    let (edited, byte) = has_word[rand::rng().random_range(0..has_word.len())];
    let (at, frame) = &all[edited];
    segments.files[*at].1[byte] ^= 3;
    if hand == Hand::Checksum {
        frame.checksum(&mut segments.files[*at].1);
    }
    if hand >= Hand::Chain {
        let last = if hand == Hand::Chain { edited + 1 } else { all.len() };
        let mut chain = frame.previous(&segments.files[*at].1);
        for (at, frame) in &all[edited..last] {
            chain = frame.seal(&mut segments.files[*at].1, chain);
        }
    }
    segments.write();
    if hand >= Hand::Manifests {
        let mut stream = Stream::default();
        let mut peaks = Peaks::default();
        for (at, frame) in &all {
            let bytes = &segments.files[*at].1;
            frame.payloads(bytes).into_iter().for_each(|record| peaks.push(&bytes[record]));
            stream.after.insert(peaks.leaves(), (frame.chain(bytes), peaks.clone()));
        }
        stream.put_into_manifests(data);
        // whatever would tell is a cache, and goes
        for folder in ["sled", "snapshots", "archive", "receipts", "subjects"] {
            fs::remove_dir_all(data.join(folder)).expect("removed");
        }
        // which only a large store has
        fs::remove_dir_all(data.join("tiles")).or_else(there_is_none).expect("removed");
        if hand >= Hand::Heads {
            stream.put_into_heads(data);
        }
    }
}

impl Stream {
    /// Writes the tenant's marks into every manifest, and the manifests' hashes into the anchor.
    fn put_into_manifests(&self, data: &Path) {
        let mut anchor = fs::read(data.join("anchor")).expect("an anchor");
        for slot in anchor.chunks_exact_mut(4096) {
            let number = u64::from_le_bytes(slot[24..32].try_into().expect("8 bytes"));
            let file = data.join(format!("manifest-{number:016}"));
            let mut bytes = fs::read(&file).expect("a manifest");
            // the first tenant stands first, behind the segments that exist and the count of those that were dropped
            let live = u32::from_le_bytes(bytes[40..44].try_into().expect("4 bytes"));
            let at = 44 + 12 * usize::try_from(live).expect("small") + 4 + 4;
            let next = u64::from_le_bytes(bytes[at + 4..at + 12].try_into().expect("8 bytes"));
            let (chain, peaks) = &self.after[&next];
            let marks = [chain.as_slice(), &peaks.root(), &peaks.peaks().concat()].concat();
            bytes[at + 12..at + 12 + marks.len()].copy_from_slice(&marks);
            fs::write(&file, &bytes).expect("written");
            slot[32..64].copy_from_slice(&Sha256::digest(&bytes));
            let crc = crc32fast::hash(&slot[..4092]).to_le_bytes();
            slot[4092..].copy_from_slice(&crc);
        }
        fs::write(data.join("anchor"), anchor).expect("written");
    }

    /// Signs the tenant's heads anew, with the key that lies there: the one in its own file, and those beside others'.
    fn put_into_heads(&self, data: &Path) {
        let mut secret = [0; 32];
        let text = fs::read_to_string(data.join("log.key")).expect("a key");
        hex::decode_to_slice(text.trim(), &mut secret).expect("64 digits");
        let anew = |note: &str| {
            let note = Note::parse(note.as_bytes()).expect("a note");
            let head: Checkpoint = note.text.parse().expect("a head");
            let signer = Signer::new(&head.origin, &secret).expect("a key");
            let (_, (_, peaks)) =
                self.after.iter().find(|(leaves, _)| **leaves == head.size).expect("a head between frames");
            Checkpoint::new(&head.origin, head.size, peaks.root()).signed(&signer).to_string()
        };
        let file = data.join(format!("heads/{TENANT}"));
        fs::write(&file, anew(&fs::read_to_string(&file).expect("a head"))).expect("written");
        for (file, mut notes) in rounds::below(data) {
            let ours = notes.iter_mut().filter(|(tenant, _)| u64::from(*tenant) == TENANT);
            ours.for_each(|(_, note)| *note = anew(note));
            fs::write(data.join(file), rounds::text(&notes)).expect("written");
        }
    }
}

/// Without an authority there are no timestamps, and in a small store no tiles.
fn there_is_none(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Edits so many times as far as each hand goes.
pub(crate) fn edits(store: &Store, times: usize) -> Tally {
    let mut tally = Tally::default();
    let kept =
        Kept::parse("a head that was kept", &fs::read(store.data.join(format!("heads/{TENANT}"))).expect("a head"))
            .expect("a head");
    let words = [
        (Hand::Checksum, "edited, checksum right", "a chain hash is not that of its records"),
        (Hand::Chain, "edited, chain of its frame right", "journal"),
        (Hand::Chains, "edited, all chains right", "manifest-"),
        (Hand::Manifests, "edited, manifests and anchor right", "heads/0"),
        (Hand::Heads, "edited, heads signed anew", "cosigned/0"),
        (Hand::Witnesses, "edited, heads signed anew, others' gone", ""),
    ];
    for (hand, word, names) in words {
        for _ in 0..times {
            let place = scratch();
            let data = place.path().join("data");
            copy(&store.data, &data);
            edit(&data, hand);
            let look =
                |kept: &[Kept]| verify_against(kept, &data, Some(&MasterKeySource::DataFolder), false, &NoProgress);
            let is_named = |names: &str, kept: &[Kept]| {
                let found = look(kept);
                (found.findings.iter().any(|damage| damage.to_string().contains(names)), found)
            };
            if hand == Hand::Witnesses {
                fs::remove_file(data.join(format!("cosigned/{TENANT}"))).expect("removed");
                fs::remove_dir_all(data.join(format!("timestamps/{TENANT}"))).or_else(there_is_none).expect("removed");
                // nothing in the folder is against it
                let found = look(&[]);
                assert!(found.is_whole(), "{:?}", found.findings);
            }
            let (is_seen, found) = match hand {
                Hand::Witnesses => is_named("that was kept", std::slice::from_ref(&kept)),
                Hand::Checksum | Hand::Chain | Hand::Chains | Hand::Manifests | Hand::Heads => is_named(names, &[]),
            };
            tally.seen(word, is_seen, &format!("{:?}", found.findings));
            if hand == Hand::Chains {
                let replayed = replay(&data, &ReplayOptions::default(), &NoProgress);
                assert!(matches!(replayed, Err(ReplayError::OtherTree { .. })), "{word}: {:?}", replayed.map(|_| ()));
            }
        }
    }
    tally
}

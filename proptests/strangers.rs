//! Verifiers that we did not write, held against what `merkle` makes: the crates `tlog_tiles` and `signed_note` (ports of
//! Go's checksum database) and the program `openssl`. Each must accept what is good and refuse it with a bit flipped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use seatledger::merkle::{
    Checkpoint, Hash, KeyKind, Nodes, Peaks, Signer, VerifierKey, consistency, inclusion, root_at, tile_bytes,
};
use signed_note::{NoteError, StandardVerifier, VerifierList};
use std::process::Command;
use tlog_tiles::{Tile, TileHashReader, TileReader};

/// Whether a stranger finds the key's signature under the note.
pub(crate) fn accepts_note(verifier_key: &str, note: &[u8]) -> bool {
    let Ok(verifier) = StandardVerifier::new(verifier_key) else { return false };
    let known = VerifierList::new(vec![Box::new(verifier)]);
    signed_note::Note::from_bytes(note).and_then(|note| note.verify(&known).map(|_| ())).is_ok()
}

/// A head as a stranger reads it out of a note: origin, size, root.
pub(crate) fn head_of(note: &[u8]) -> (String, u64, Hash) {
    let note = signed_note::Note::from_bytes(note).expect("a note");
    let head = tlog_tiles::Checkpoint::from_bytes(note.text()).expect("a checkpoint");
    (head.origin().to_owned(), head.size(), head.hash().0)
}

/// Whether a stranger finds that the record is at this place of the tree.
pub(crate) fn accepts_inclusion(record: &[u8], index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    let path = path.iter().map(|hash| tlog_tiles::Hash(*hash)).collect();
    tlog_tiles::check_record(&path, size, tlog_tiles::Hash(*root), index, tlog_tiles::record_hash(record)).is_ok()
}

/// Whether a stranger finds that the second tree goes on from the first.
pub(crate) fn accepts_consistency(from: (u64, Hash), to: (u64, Hash), path: &[Hash]) -> bool {
    let path = path.iter().map(|hash| tlog_tiles::Hash(*hash)).collect();
    tlog_tiles::check_tree(&path, to.0, tlog_tiles::Hash(to.1), from.0, tlog_tiles::Hash(from.1)).is_ok()
}

/// Whether `openssl` finds the signature in the note's last line good. `None` without that program.
pub(crate) fn openssl_accepts(verifier_key: &str, note: &str) -> Option<bool> {
    Command::new("openssl").arg("version").output().ok()?;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let (text, signature) = note.rsplit_once("\n\n").expect("a note");
    let encoded = signature.trim_end().rsplit(' ').next().expect("a signature");
    let signature = STANDARD.decode(encoded).expect("base64");
    let key = STANDARD.decode(verifier_key.splitn(3, '+').nth(2).expect("a key")).expect("base64");
    // RFC 8410: what stands before an Ed25519 key in an SPKI
    let spki = [hex::decode("302a300506032b6570032100").expect("hex"), key[1..].to_vec()].concat();
    std::fs::write(path("key.der"), spki).expect("written");
    std::fs::write(path("text"), format!("{text}\n")).expect("written");
    std::fs::write(path("signature"), &signature[4..]).expect("written");
    let mut openssl = Command::new("openssl");
    openssl.args(["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin", "-inkey"]).arg(path("key.der"));
    openssl.arg("-in").arg(path("text")).arg("-sigfile").arg(path("signature"));
    let output = openssl.output().expect("openssl runs");
    Some(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("Verified Successfully"))
}

/// Every full subtree of a log of ours.
#[derive(Default)]
struct Ours {
    peaks: Peaks,
    rows: Vec<Vec<Hash>>,
}

impl Ours {
    fn of(records: u64) -> Self {
        let mut ours = Self::default();
        let records: Vec<Vec<u8>> = (0..records).map(record).collect();
        let rows = &mut ours.rows;
        ours.peaks.extend(records.iter().map(Vec::as_slice), |height, _, hashes| {
            rows.resize(rows.len().max(height as usize + 1), vec![]);
            rows[height as usize].extend_from_slice(hashes);
        });
        ours
    }

    fn head(&self, size: u64) -> (u64, Hash) {
        (size, root_at(self, size).expect("its nodes"))
    }
}

fn narrow(n: u64) -> usize {
    usize::try_from(n).expect("a small number")
}

fn record(n: u64) -> Vec<u8> {
    n.to_be_bytes().repeat(narrow(n % 20))
}

impl Nodes for Ours {
    type Error = ();

    fn node(&self, height: u32, index: u64) -> Result<Hash, ()> {
        self.rows.get(height as usize).and_then(|row| row.get(narrow(index))).copied().ok_or(())
    }
}

/// Tiles as we cut them, for the stranger's own way of making hashes of them.
struct OurTiles<'o>(&'o Ours);

impl TileReader for OurTiles<'_> {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let bytes = tiles.iter().map(|tile| {
            let row = &self.0.rows[usize::from(tile.level()) * 8];
            let first = narrow(tile.level_index()) * 256;
            tile_bytes(&row[first..first + tile.width() as usize])
        });
        Ok(bytes.collect())
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

fn flipped(hash: &Hash, bit: usize) -> Hash {
    let mut hash = *hash;
    hash[bit / 8 % 32] ^= 1 << (bit % 8);
    hash
}

#[test]
fn strangers_accept_our_proofs_and_refuse_changed_ones() {
    let ours = Ours::of(1_000);
    for size in [1, 2, 3, 255, 256, 257, 600, 999, 1_000_u64] {
        let (_, root) = ours.head(size);
        for index in (0..size).step_by(41).chain([size - 1]) {
            let record = record(index);
            let path = inclusion(&ours, index, size).expect("a path");
            assert!(accepts_inclusion(&record, index, size, &path, &root), "{index} of {size}");
            assert!(!accepts_inclusion(&record, index, size, &path, &flipped(&root, narrow(index))));
            assert!(!accepts_inclusion(&[record.as_slice(), &[0]].concat(), index, size, &path, &root));
            for place in 0..path.len() {
                let mut path = path.clone();
                path[place] = flipped(&path[place], place * 31);
                assert!(!accepts_inclusion(&record, index, size, &path, &root), "{index} of {size}");
            }
        }
        for from in (1..size).step_by(41) {
            let path = consistency(&ours, from, size).expect("a path");
            let (old, new) = (ours.head(from), ours.head(size));
            assert!(accepts_consistency(old, new, &path), "{from} to {size}");
            assert!(!accepts_consistency((from, flipped(&old.1, 9)), new, &path));
            for place in 0..path.len() {
                let mut path = path.clone();
                path[place] = flipped(&path[place], place * 31);
                assert!(!accepts_consistency(old, new, &path), "{from} to {size}");
            }
        }
    }
}

#[test]
fn a_stranger_makes_his_own_proofs_of_our_tiles() {
    let ours = Ours::of(70_000);
    let (size, root) = ours.head(70_000);
    let tiles = OurTiles(&ours);
    let theirs = TileHashReader::new(size, tlog_tiles::Hash(root), &tiles);
    for index in [0, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let made = tlog_tiles::prove_record(size, index, &theirs).expect("a proof of our tiles");
        let made: Vec<Hash> = made.iter().map(|hash| hash.0).collect();
        assert_eq!(made, inclusion(&ours, index, size).expect("a path"), "leaf {index}");
    }
    for from in [1, 256, 65_536, 69_999] {
        let made = tlog_tiles::prove_tree(size, from, &theirs).expect("a proof of our tiles");
        let made: Vec<Hash> = made.iter().map(|hash| hash.0).collect();
        assert_eq!(made, consistency(&ours, from, size).expect("a path"), "from {from}");
    }
    let other = TileHashReader::new(size, tlog_tiles::Hash(flipped(&root, 3)), &tiles);
    assert!(tlog_tiles::prove_record(size, 5, &other).is_err(), "tiles of another tree are refused");
}

#[test]
fn strangers_accept_our_signature_and_no_other() {
    let signer = Signer::new("ledger.example/00ff/contoso", &[7; 32]).expect("a key");
    let key = signer.verifier_key(KeyKind::Plain).to_string();
    let note = Checkpoint::new(signer.name(), 1_000, [5; 32]).signed(&signer).to_string();
    assert!(accepts_note(&key, note.as_bytes()));
    assert_eq!(head_of(note.as_bytes()), (signer.name().to_owned(), 1_000, [5; 32]));
    for bit in 0..note.len() * 8 {
        let mut bytes = note.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepts_note(&key, &bytes), "bit {bit}");
    }
    match openssl_accepts(&key, &note) {
        None => eprintln!("there is no openssl here"),
        Some(is_accepted) => {
            assert!(is_accepted, "{note}");
            assert_eq!(openssl_accepts(&key, &note.replace("1000", "1001")), Some(false));
        }
    }
}

#[test]
fn keys_and_notes_of_strangers_are_ours_too() {
    let name = "other.example/log";
    let theirs = signed_note::StandardSigner::new(&format!(
        "PRIVATE+KEY+{name}+{:08x}+{}",
        key_id(name, &[9; 32]),
        STANDARD.encode([&[1], [9; 32].as_slice()].concat())
    ));
    let theirs = theirs.unwrap_or_else(|error| panic!("{error}"));
    let mut note = signed_note::Note::new(b"other.example/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", &[])
        .expect("a text");
    note.add_sigs(&[&theirs]).unwrap_or_else(|error: NoteError| panic!("{error}"));
    let key: VerifierKey = Signer::new(name, &[9; 32]).expect("a key").verifier_key(KeyKind::Plain);
    let (head, ours) = Checkpoint::open(&note.to_bytes(), &key).expect("a note of theirs");
    assert_eq!((head.size, head.root, ours.to_string().into_bytes()), (3, [0; 32], note.to_bytes()));
}

/// Of the public key that belongs to this secret.
fn key_id(name: &str, secret: &[u8; 32]) -> u32 {
    Signer::new(name, secret).expect("a key").verifier_key(KeyKind::Plain).key_id()
}

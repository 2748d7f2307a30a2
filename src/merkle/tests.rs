//! Every size up to 600 against the definitions, every bit of every proof, and every form of hostile text.

mod keys;
mod policy;

use super::*;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const SIZES: usize = 600;

/// The definition in RFC 6962 section 2.1, word by word.
fn by_definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [one] => *one,
        many => {
            let k = many.len().next_power_of_two() / 2;
            node(&by_definition(&many[..k]), &by_definition(&many[k..]))
        }
    }
}

/// `PATH(m, D[n])` of section 2.1.1, word by word.
fn path_by_definition(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut path, other) =
        if m < k { (path_by_definition(m, left), right) } else { (path_by_definition(m - k, right), left) };
    path.push(by_definition(other));
    path
}

/// `SUBPROOF(m, D[n], b)` of section 2.1.2, word by word.
fn subproof_by_definition(m: usize, leaves: &[Hash], is_known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if is_known { vec![] } else { vec![by_definition(leaves)] };
    }
    let k = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(k);
    let (mut path, other) = if m <= k {
        (subproof_by_definition(m, left, is_known), right)
    } else {
        (subproof_by_definition(m - k, right, false), left)
    };
    path.push(by_definition(other));
    path
}

fn record(n: usize) -> Vec<u8> {
    format!("record {n}").into_bytes()
}

/// Every full subtree, as `Peaks` said that it became full.
#[derive(Default)]
struct Forest {
    peaks: Peaks,
    rows: Vec<Vec<Hash>>,
}

impl Forest {
    fn of(size: usize) -> Self {
        let mut forest = Self::default();
        forest.take(&(0..size).map(record).collect::<Vec<_>>());
        forest
    }

    fn take(&mut self, records: &[Vec<u8>]) {
        let rows = &mut self.rows;
        self.peaks.extend(records.iter().map(Vec::as_slice), |height, first, hashes| {
            let height = height as usize;
            rows.resize(rows.len().max(height + 1), vec![]);
            assert_eq!(rows[height].len() as u64, first, "height {height}");
            rows[height].extend_from_slice(hashes);
        });
    }
}

impl Nodes for Forest {
    type Error = std::convert::Infallible;

    fn node(&self, height: u32, index: u64) -> Result<Hash, Self::Error> {
        Ok(self.rows[height as usize][usize::try_from(index).unwrap()])
    }
}

fn ok<T>(result: Result<T, std::convert::Infallible>) -> T {
    result.unwrap()
}

fn flipped(hash: &Hash, bit: usize) -> Hash {
    let mut hash = *hash;
    hash[bit / 8] ^= 1 << (bit % 8);
    hash
}

#[test]
fn roots_and_proofs_are_those_of_the_definition_at_every_size() {
    let leaves: Vec<Hash> = (0..SIZES).map(|n| leaf(&record(n))).collect();
    let forest = Forest::of(SIZES);
    let mut peaks = Peaks::default();
    let mut roots = vec![];
    for size in 0..=SIZES {
        let root = by_definition(&leaves[..size]);
        assert_eq!((peaks.root(), ok(root_at(&forest, size as u64))), (root, root), "{size} leaves");
        assert_eq!(Peaks::from_parts(peaks.leaves(), peaks.peaks().to_vec()), Some(peaks.clone()));
        for (height, index, hash) in peaks.subtrees() {
            assert_eq!(ok(forest.node(height, index)), *hash);
        }
        roots.push(root);
        if size < SIZES {
            peaks.push(&record(size));
        }
    }
    for size in 1..=SIZES {
        // all of the small ones, and around every edge of the large ones
        let step = if size < 70 { 1 } else { 37 };
        for at in (0..size).step_by(step).chain([size - 1]) {
            let path = ok(inclusion(&forest, at as u64, size as u64));
            assert_eq!(path, path_by_definition(at, &leaves[..size]), "leaf {at} of {size}");
            assert_eq!(check_inclusion(&leaves[at], at as u64, size as u64, &path, &roots[size]), Ok(()));
        }
        for from in (0..=size).step_by(step) {
            let path = ok(consistency(&forest, from as u64, size as u64));
            if from > 0 {
                assert_eq!(path, subproof_by_definition(from, &leaves[..size], true), "from {from} to {size}");
            }
            assert_eq!(check_consistency(from as u64, size as u64, &path, &roots[from], &roots[size]), Ok(()));
        }
    }
}

proptest! {
    #[test]
    fn a_tree_is_the_same_in_whatever_parts_it_grows(parts in prop::collection::vec(0..1_200_usize, 1..6)) {
        let records: Vec<Vec<u8>> = (0..parts.iter().sum()).map(record).collect();
        let (mut forest, mut rest) = (Forest::default(), records.as_slice());
        let mut one_by_one = Peaks::default();
        for part in parts {
            let (now, behind) = rest.split_at(part);
            forest.take(now);
            now.iter().for_each(|record| one_by_one.push(record));
            prop_assert_eq!(&forest.peaks, &one_by_one);
            rest = behind;
        }
        let leaves: Vec<Hash> = records.iter().map(|record| leaf(record)).collect();
        if !leaves.is_empty() {
            prop_assert_eq!(forest.peaks.root(), by_definition(&leaves));
        }
        for (height, row) in forest.rows.iter().enumerate() {
            let whole: Vec<Hash> = leaves.chunks_exact(1 << height).map(by_definition).collect();
            prop_assert_eq!(row, &whole, "height {}", height);
        }
    }
}

#[test]
fn a_proof_with_any_bit_flipped_is_refused() {
    let forest = Forest::of(80);
    let root = |size: u64| ok(root_at(&forest, size));
    for size in [1, 2, 3, 7, 8, 9, 63, 64, 65, 80_u64] {
        for at in (0..size).step_by(5) {
            let (hash, path) = (leaf(&record(usize::try_from(at).unwrap())), ok(inclusion(&forest, at, size)));
            for bit in 0..256 {
                assert!(check_inclusion(&flipped(&hash, bit), at, size, &path, &root(size)).is_err());
                assert!(check_inclusion(&hash, at, size, &path, &flipped(&root(size), bit)).is_err());
                for place in 0..path.len() {
                    let mut path = path.clone();
                    path[place] = flipped(&path[place], bit);
                    assert!(check_inclusion(&hash, at, size, &path, &root(size)).is_err(), "{at} of {size}");
                }
            }
            assert!(check_inclusion(&hash, size, size, &path, &root(size)).is_err());
        }
        for from in (1..size).step_by(5) {
            let path = ok(consistency(&forest, from, size));
            for bit in 0..256 {
                assert!(check_consistency(from, size, &path, &flipped(&root(from), bit), &root(size)).is_err());
                assert!(check_consistency(from, size, &path, &root(from), &flipped(&root(size), bit)).is_err());
                for place in 0..path.len() {
                    let mut path = path.clone();
                    path[place] = flipped(&path[place], bit);
                    assert!(check_consistency(from, size, &path, &root(from), &root(size)).is_err(), "{from} {size}");
                }
            }
            assert!(check_consistency(size, from, &path, &root(size), &root(from)).is_err());
        }
    }
    assert!(check_consistency(0, 5, &[], &root(1), &root(5)).is_err(), "the empty tree has its own root");
    assert!(check_consistency(5, 5, &[], &root(4), &root(5)).is_err());
}

fn signer() -> Signer {
    Signer::new("ledger.example/00ff/contoso", &[7; 32]).unwrap()
}

fn proof_file() -> (ProofFile, VerifierKey) {
    let forest = Forest::of(11);
    let checkpoint = Checkpoint::new(signer().name(), 11, ok(root_at(&forest, 11)));
    let path = ok(inclusion(&forest, 4, 11));
    let checkpoint = checkpoint.signed(&signer()).to_string();
    (ProofFile { extra: Some(record(4)), index: 4, path, checkpoint }, signer().verifier_key(KeyKind::Plain))
}

#[test]
fn a_proof_in_a_file_comes_back_and_any_flipped_bit_is_refused() {
    let (file, key) = proof_file();
    let text = file.to_string();
    assert_eq!(ProofFile::parse(text.as_bytes()).unwrap(), file);
    let (record_in_it, checkpoint) = file.check(&key).unwrap();
    assert_eq!((record_in_it, checkpoint.size), (record(4).as_slice(), 11));
    for bit in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refused = ProofFile::parse(&bytes).and_then(|file| file.check(&key).map(|_| ()));
        assert!(refused.is_err(), "bit {bit} of\n{text}");
    }
    for cut in 0..text.len() {
        let refused = ProofFile::parse(&text.as_bytes()[..cut]).and_then(|file| file.check(&key).map(|_| ()));
        assert!(refused.is_err(), "cut to {cut} bytes");
    }
    let other = Signer::new(signer().name(), &[8; 32]).unwrap().verifier_key(KeyKind::Plain);
    assert_eq!(file.check(&other), Err(ProofFileError::Checkpoint(NoteError::NoKnownKey.into())));
}

#[test]
fn verifier_keys_come_back_and_no_other_text_is_one() {
    for kind in [KeyKind::Plain, KeyKind::Cosigner] {
        let key = signer().verifier_key(kind);
        let text = key.to_string();
        assert_eq!(text.parse(), Ok(key));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = String::from_utf8(bytes).ok().and_then(|text| text.parse::<VerifierKey>().ok());
            assert_eq!(flipped, None, "bit {bit} of {text}");
        }
    }
    assert_eq!("a+b".parse::<VerifierKey>(), Err(KeyError::Form));
    assert!(Signer::new("two words", &[7; 32]).is_err());
    assert_eq!(format!("{:?}", signer()), "Signer(ledger.example/00ff/contoso)", "a secret is not shown");
}

#[test]
fn the_example_of_the_cosignature_document_is_read() {
    let note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        — witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let parsed = Note::parse(note.as_bytes()).unwrap();
    assert_eq!(parsed.to_string(), note);
    let checkpoint: Checkpoint = parsed.text.parse().unwrap();
    assert_eq!((checkpoint.size, checkpoint.to_string()), (20_852_163, parsed.text.clone()));
    assert_eq!(parsed.signatures[1].key_id, 0x8d66_cf3f);
    assert_eq!(parsed.signatures[1].bytes.len(), 72);
}

#[test]
fn a_witness_signs_with_its_time_and_only_over_this_head() {
    let witness = Signer::new("witness.example", &[9; 32]).unwrap();
    let mut note = Checkpoint::new(signer().name(), 11, [3; 32]).signed(&signer());
    note.signatures.push(witness.cosign(&note.text, 1_700_000_000));
    let keys = [witness.verifier_key(KeyKind::Cosigner), signer().verifier_key(KeyKind::Plain)];
    let signed: Vec<_> = note.open(&keys).unwrap().into_iter().map(|(key, time)| (key.name(), time)).collect();
    assert_eq!(signed, [(signer().name(), None), ("witness.example", Some(1_700_000_000))]);
    note.signatures[1].bytes[7] ^= 1;
    assert_eq!(note.open(&keys), Err(NoteError::WrongSignature("witness.example".into())), "another time");
    assert!(note.open(&keys[1..]).is_ok(), "who does not know the witness passes it over");
}

#[test]
fn the_paths_of_the_tiles_document_and_no_others() {
    let partial = TileAddress::hashes(0, 1_234_067, 112);
    for (path, tile) in [
        ("tile/0/x001/x234/067.p/112", partial),
        ("tile/3/000", TileAddress::hashes(3, 0, 256)),
        ("tile/entries/x001/000", TileAddress::entries(1000, 256)),
        ("tile/entries/999.p/1", TileAddress::entries(999, 1)),
    ] {
        assert_eq!((path.parse(), tile.to_string()), (Ok(tile), path.to_owned()));
    }
    for path in [
        "tile/00/000",
        "tile/64/000",
        "tile/+1/000",
        "tile/0/1",
        "tile/0/0000",
        "tile/0/x000/001",
        "tile/0/000/001",
        "tile/0/x001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/0/001.p/1/2",
        "tile/0/",
        "tile/0",
        "tile//000",
        "tile/data/000",
        "0/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "tile/0/-01",
        "tile/0/ 01",
        "tile/0/001 ",
    ] {
        assert!(path.parse::<TileAddress>().is_err(), "{path}");
    }
    assert_eq!(TileAddress::hashes(2, 0, 1).leaves_needed(), Some(65_536));
    assert_eq!(TileAddress::hashes(8, 0, 1).leaves_needed(), None);
    assert_eq!(TileAddress::entries(u64::MAX, 1).leaves_needed(), None);
}

#[test]
fn bundles_come_back_and_no_shorter_or_longer_ones() {
    let records: Vec<Vec<u8>> = (0..5).map(|n| vec![7; n * 100]).collect();
    let mut bundle = vec![];
    records.iter().for_each(|record| put_into_bundle(&mut bundle, record).unwrap());
    assert_eq!(entries_in_bundle(&bundle, 5).unwrap(), records);
    assert!((0..bundle.len()).all(|cut| entries_in_bundle(&bundle[..cut], 5).is_err()));
    assert!(entries_in_bundle(&bundle, 4).is_err() && entries_in_bundle(&bundle, 6).is_err());
    assert!(put_into_bundle(&mut bundle, &[0; 65_536]).is_err());
}

proptest! {
    #[test]
    fn whatever_bytes_come_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), a: u64, b: u64) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _asked = Submission::parse(&bytes);
        let _read = (ProofFile::parse(&bytes), Note::parse(&bytes), text.parse::<VerifierKey>(), text.parse::<TileAddress>());
        let _more = (text.parse::<Checkpoint>(), entries_in_bundle(&bytes, 256), TileAddress::parse(&text, &text));
        let (hashes, _) = bytes.as_chunks::<32>();
        prop_assert!(check_inclusion(&[0; 32], a, b, hashes, &[1; 32]).is_err());
        prop_assert!(check_consistency(a, b, hashes, &[0; 32], &[1; 32]).is_err());
    }

    #[test]
    fn whatever_lines_come_nothing_panics(lines in "(c2sp.org/tlog-proof@v1\n|extra [a-zA-Z0-9+/=]{0,8}\n|index [0-9]{1,21}\n|old [0-9]{1,21}\n|\n|[a-zA-Z0-9+/]{43}=\n|— [a-z+ ]{1,3} [A-Za-z0-9+/=]{0,12}\n){0,12}") {
        let _read = (ProofFile::parse(lines.as_bytes()), Note::parse(lines.as_bytes()), Submission::parse(lines.as_bytes()));
        if let Ok(note) = Note::parse(lines.as_bytes()) {
            prop_assert_eq!(note.to_string(), lines);
        }
    }

    #[test]
    fn every_tile_has_one_path(level in 0_u8..64, index: u64, width in 1_u16..=256, is_hashes: bool) {
        let kind = if is_hashes { TileKind::Hashes { level } } else { TileKind::Entries };
        let tile = TileAddress { kind, index, width };
        prop_assert_eq!(tile.to_string().parse(), Ok(tile));
    }
}

/// A log that a witness knows, and one head of it with the proof from another.
fn submission(forest: &Forest, old: u64, new: u64) -> Submission {
    let checkpoint = Checkpoint::new(signer().name(), new, ok(root_at(forest, new))).signed(&signer()).to_string();
    Submission { old, path: ok(consistency(forest, old.min(new), new)), checkpoint }
}

#[test]
fn a_witness_cosigns_one_history_and_names_every_other() {
    let (forest, known) = (Forest::of(40), [signer().verifier_key(KeyKind::Plain)]);
    let cosigned = |size, root| Some(Cosigned { origin: signer().name().to_owned(), size, root, key: Some(0) });
    let last = |size: u64| cosigned(size, ok(root_at(&forest, size)));
    let judged =
        |asked: &Submission, last: Option<Cosigned>| asked.judge(&known, last.as_ref()).map(|(head, _)| head.size);
    assert_eq!(judged(&submission(&forest, 0, 7), None), Ok(7));
    assert_eq!(judged(&submission(&forest, 7, 40), last(7)), Ok(40));
    assert_eq!(judged(&submission(&forest, 7, 7), last(7)), Ok(7), "the same once more");
    assert_eq!(judged(&submission(&forest, 5, 40), last(7)), Err(Refusal::OtherSize(7)));
    assert_eq!(judged(&submission(&forest, 0, 40), last(7)), Err(Refusal::OtherSize(7)));
    assert_eq!(judged(&submission(&forest, 8, 7), last(8)), Err(Refusal::Backwards { old: 8, new: 7 }));
    let mut fork = Forest::of(7);
    fork.peaks = Peaks::default();
    fork.rows.iter_mut().for_each(|row| row.iter_mut().for_each(|hash| *hash = flipped(hash, 9)));
    let refused = judged(&submission(&fork, 7, 7), last(7)).unwrap_err();
    assert_eq!((refused.status(), matches!(refused, Refusal::Fork { size: 7, .. })), (409, true));
    let refused = judged(&submission(&forest, 7, 40), cosigned(7, [9; 32])).unwrap_err();
    assert_eq!((refused.status(), refused), (422, Refusal::NotConsistent(ProofError::WrongOldRoot)));
    let strangers = [Signer::new("other.example", &[7; 32]).unwrap().verifier_key(KeyKind::Plain)];
    assert_eq!(submission(&forest, 0, 7).judge(&strangers, None).unwrap_err().status(), 404);
    let thieves = [Signer::new(signer().name(), &[8; 32]).unwrap().verifier_key(KeyKind::Plain)];
    assert_eq!(submission(&forest, 0, 7).judge(&thieves, None).unwrap_err().status(), 403);
    // any bit of what is sent
    let text = submission(&forest, 7, 11).to_string();
    assert_eq!(Submission::parse(text.as_bytes()), Ok(submission(&forest, 7, 11)));
    for bit in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let refused = Submission::parse(&bytes).and_then(|asked| asked.judge(&known, last(7).as_ref()).map(|_| ()));
        assert!(refused.is_err(), "bit {bit} of\n{text}");
    }
}

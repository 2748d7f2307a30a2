//! Whatever comes from outside as a note, a head, a key, a proof, a tile, a policy, a witness's request or a timestamp: sound
//! samples of each, cut, spliced and bent at random (bolero). Nothing panics, what is refused is refused by name, and what is
//! taken is written again as it came. A moment each in CI; `BOLERO_RANDOM_TEST_TIME_MS` makes it longer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bolero::check;
use seatledger::ledger::evidence::{Authorities, TimestampRequest, check_kept};
use seatledger::merkle::{
    Checkpoint, Hash, KeyKind, KeyRange, LogKeys, Note, Policy, ProofFile, Signature, Signer, Submission, TileAddress,
    VerifierKey, check_consistency, check_inclusion, entries_in_bundle, key_change, leaf, node, put_into_bundle,
    tile_hashes,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const LOG: &str = "ledger.example/seats/00ff/contoso";
const CI_TIME: Duration = Duration::from_secs(2);

fn log() -> Signer {
    Signer::new(LOG, &[1; 32]).expect("a name")
}

fn witness() -> Signer {
    Signer::new("witness.example/w1", &[2; 32]).expect("a name")
}

/// A tree of two records.
fn root() -> Hash {
    node(&leaf(b"one"), &leaf(b"two"))
}

fn head() -> Note {
    let mut note = Checkpoint::new(LOG, 2, root()).signed(&log());
    note.signatures.push(witness().cosign(&note.text, 1_800_000_000));
    note
}

fn proof() -> String {
    let (extra, path) = (Some(b"one".to_vec()), vec![leaf(b"two")]);
    ProofFile { extra, index: 0, path, checkpoint: head().to_string() }.to_string()
}

/// Where, what, how much.
type Edit = (u16, u8, u8);

/// Bends a sample, one edit after the other.
fn bent(sample: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for (place, kind, value) in edits.iter().take(24) {
        let at = if bytes.is_empty() { 0 } else { usize::from(*place) % bytes.len() };
        let end = (at + usize::from(*value)).min(bytes.len());
        match kind % 10 {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (value % 8)),
            1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = *value),
            2 => bytes.insert(at, *value),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            5 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            6 => bytes.insert(at, b'\n'),
            7 => {
                let other = &sample[at.min(sample.len())..end.min(sample.len()).max(at.min(sample.len()))];
                bytes.extend_from_slice(other);
            }
            8 => bytes.splice(at..end, *b"18446744073709551615").for_each(drop),
            _ => bytes.splice(at..at, "\u{2014} ".bytes()).for_each(drop),
        }
    }
    bytes
}

/// Bends samples until the time is over, and says how often.
fn fuzz(name: &str, samples: &[Vec<u8>], look: impl Fn(&[u8]) + std::panic::RefUnwindSafe) {
    let count = AtomicU64::new(0);
    check!().with_test_time(CI_TIME).with_iterations(usize::MAX).with_type::<(u8, Vec<Edit>)>().for_each(
        |(which, edits)| {
            count.fetch_add(1, Ordering::Relaxed);
            let sample = &samples[usize::from(*which) % samples.len()];
            look(&bent(sample, edits));
        },
    );
    eprintln!("{name}: {} executions", count.load(Ordering::Relaxed));
}

#[test]
fn notes_and_heads() {
    let (log, witness) = (log().verifier_key(KeyKind::Plain), witness().verifier_key(KeyKind::Cosigner));
    let keys = [log.clone(), witness];
    let good = head().to_string().into_bytes();
    fuzz("notes and heads", &[good.clone(), b"x\n1\n\n\xe2\x80\x94 a AAAAAAAA\n".to_vec()], |bytes| {
        if let Ok(note) = Note::parse(bytes) {
            assert_eq!(note.to_string().as_bytes(), bytes);
            let _signed = note.open(&keys);
            if let Ok(head) = note.text.parse::<Checkpoint>() {
                assert_eq!(head.to_string(), note.text);
            }
        }
        // whatever is opened says what was signed
        if let Ok((head, _)) = Checkpoint::open(bytes, &log) {
            assert_eq!((head.size, head.root), (2, root()));
        }
    });
}

#[test]
fn keys_and_signature_lines() {
    let samples = [
        log().verifier_key(KeyKind::Plain).to_string(),
        witness().verifier_key(KeyKind::Cosigner).to_string(),
        head().signatures[0].to_string(),
    ];
    fuzz("keys and signature lines", &samples.map(String::into_bytes), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string(), text);
        }
        if let Ok(signature) = text.parse::<Signature>() {
            assert_eq!(signature.to_string(), text);
        }
    });
}

#[test]
fn lists_of_keys() {
    let (first, second) = (log(), Signer::new(LOG, &[3; 32]).expect("a name"));
    let (key, next) = (first.verifier_key(KeyKind::Plain), second.verifier_key(KeyKind::Plain));
    let good = Checkpoint { extensions: vec![key_change(&key, &next)], ..Checkpoint::new(LOG, 2, root()) };
    let mut handover = good.signed(&first);
    handover.signatures.push(second.sign(&handover.text));
    fuzz("lists of keys", &[handover.to_string().into_bytes()], |bytes| {
        let handover = String::from_utf8_lossy(bytes).into_owned();
        let ranges = vec![
            KeyRange { key: key.clone(), from_size: 1, to_size: Some(2), handover: Some(handover.clone()) },
            KeyRange { key: next.clone(), from_size: 2, to_size: None, handover: None },
        ];
        let trusted = LogKeys::new(ranges).and_then(|keys| keys.trusted_from(&key));
        if trusted.is_ok() {
            let note = Note::parse(handover.as_bytes()).expect("it was opened");
            assert_eq!(note.text, good.to_string());
        }
    });
}

#[test]
fn proofs_in_files() {
    let key = log().verifier_key(KeyKind::Plain);
    fuzz("proofs in files", &[proof().into_bytes()], |bytes| {
        let Ok(file) = ProofFile::parse(bytes) else { return };
        if let Ok((record, head)) = file.check(&key) {
            assert_eq!((record, file.index, head.size), (&b"one"[..], 0, 2));
        }
        let _checked = check_inclusion(&leaf(b"one"), file.index, u64::MAX, &file.path, &root());
        let _checked = check_consistency(file.index, u64::MAX, &file.path, &root(), &root());
    });
}

#[test]
fn tiles_and_bundles() {
    let mut bundle = vec![];
    for record in [&b""[..], b"one", &[7; 300]] {
        put_into_bundle(&mut bundle, record).expect("short enough");
    }
    let samples = [b"tile/0/x001/x234/067.p/17".to_vec(), b"tile/entries/000".to_vec(), bundle, vec![9; 96]];
    fuzz("tiles and bundles", &samples, |bytes| {
        if let Ok(Ok(address)) = std::str::from_utf8(bytes).map(str::parse::<TileAddress>) {
            assert_eq!(address.to_string().as_bytes(), bytes);
            let _needed = address.leaves_needed();
        }
        for width in [0, 1, 3, 256] {
            let _hashes = tile_hashes(bytes, width);
            if let Ok(records) = entries_in_bundle(bytes, width) {
                let mut again = vec![];
                records.iter().for_each(|record| put_into_bundle(&mut again, record).expect("it was one"));
                assert_eq!(again, bytes);
            }
        }
    });
}

#[test]
fn policies() {
    let (log, witness) = (log().verifier_key(KeyKind::Plain), witness().verifier_key(KeyKind::Cosigner));
    let good = Policy::text(std::slice::from_ref(&log), std::slice::from_ref(&witness), 1);
    let groups = format!("log {log}\nwitness w {witness}\ngroup a any w\ngroup b all a\nquorum b\n");
    let (signed, alone) = (head(), Checkpoint::new(LOG, 2, root()).signed(&self::log()).to_string());
    let signed = signed.to_string();
    fuzz("policies", &[good.into_bytes(), groups.into_bytes()], |bytes| {
        let Ok(policy) = Policy::parse(bytes) else { return };
        let is_met = policy.open(signed.as_bytes(), None).is_ok();
        assert!(is_met || policy.open(alone.as_bytes(), None).is_err(), "fewer signatures are no more");
    });
}

#[test]
fn requests_to_a_witness() {
    let known = [log().verifier_key(KeyKind::Plain)];
    let good = Submission { old: 0, path: vec![], checkpoint: head().to_string() }.to_string();
    let path = Submission { old: 1, path: vec![leaf(b"two")], checkpoint: head().to_string() }.to_string();
    fuzz("requests to a witness", &[good.into_bytes(), path.into_bytes()], |bytes| {
        let Ok(asked) = Submission::parse(bytes) else { return };
        assert_eq!(asked.to_string().as_bytes(), bytes);
        let _origin = asked.origin();
        if let Ok((head, _)) = asked.judge(&known, None) {
            assert_eq!((head.size, head.root), (2, root()));
        }
    });
}

#[test]
fn answers_of_a_timestamp_authority() {
    let Some((response, ca)) = crate::timestamps::a_timestamp(b"a head") else { return };
    let authorities = Authorities::from_pem(&ca).expect("a certificate");
    let request = TimestampRequest::new(b"a head", [3; 8]).expect("a request");
    let time = check_kept(&response, b"a head", Some(&authorities)).expect("a good one");
    let pem = String::from_utf8(ca.clone()).expect("text");
    let der = STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).expect("base64");
    fuzz("answers of a timestamp authority", &[response, ca, der], |bytes| {
        if let Ok(then) = check_kept(bytes, b"a head", Some(&authorities)) {
            assert_eq!(then, time);
        }
        let _other_nonce = request.check(bytes, None);
        let _pem = Authorities::from_pem(bytes);
    });
}

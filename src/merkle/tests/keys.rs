//! A log that changes its key: who trusts one key comes to trust the others by what both have signed, every head is good by
//! the key that was in force, and a witness does not go back.

use super::super::*;
use super::{Forest, ok};

const NAME: &str = "ledger.example/seats/00ff/contoso";

fn signer(n: u8) -> Signer {
    Signer::new(NAME, &[n; 32]).unwrap()
}

fn key(n: u8) -> VerifierKey {
    signer(n).verifier_key(KeyKind::Plain)
}

/// A head over so many records, signed by these.
fn head(forest: &Forest, size: u64, signers: &[u8]) -> String {
    let text = Checkpoint::new(NAME, size, ok(root_at(forest, size))).to_string();
    let signatures = signers.iter().map(|n| signer(*n).sign(&text)).collect();
    Note { text, signatures }.to_string()
}

/// A head that hands over between two keys, signed by these.
fn handover(forest: &Forest, size: u64, (old, new): (u8, u8), signers: &[u8]) -> String {
    let head = Checkpoint::new(NAME, size, ok(root_at(forest, size)));
    let text = Checkpoint { extensions: vec![key_change(&key(old), &key(new))], ..head }.to_string();
    let signatures = signers.iter().map(|n| signer(*n).sign(&text)).collect();
    Note { text, signatures }.to_string()
}

fn range(n: u8, from_size: u64, to_size: Option<u64>, handover: Option<String>) -> KeyRange {
    KeyRange { key: key(n), from_size, to_size, handover }
}

/// Key 1 up to 10 records, key 2 up to 20, key 3 up to 30, where it was lost, and key 4 from there.
fn four(forest: &Forest) -> Vec<KeyRange> {
    vec![
        range(1, 1, Some(10), Some(handover(forest, 10, (1, 2), &[1, 2]))),
        range(2, 10, Some(20), Some(handover(forest, 20, (2, 3), &[2, 3]))),
        range(3, 20, Some(30), None),
        range(4, 30, None, None),
    ]
}

fn trusted(keys: &LogKeys, n: u8) -> Vec<VerifierKey> {
    keys.trusted_from(&key(n)).unwrap().ranges().iter().map(|range| range.key.clone()).collect()
}

#[test]
fn who_trusts_one_key_trusts_those_that_it_hands_over_to_and_no_other() {
    let forest = Forest::of(40);
    let keys = LogKeys::new(four(&forest)).unwrap();
    for n in [1, 2, 3] {
        assert_eq!(trusted(&keys, n), [key(1), key(2), key(3)], "from key {n}");
    }
    assert_eq!(trusted(&keys, 4), [key(4)], "nobody vouches for it");
    assert_eq!(keys.trusted_from(&key(9)), Err(KeysError::NotListed));
    let keys = keys.trusted_from(&key(1)).unwrap();
    for (size, signers) in [(5, vec![1]), (10, vec![1]), (10, vec![1, 2]), (10, vec![2]), (15, vec![2]), (30, vec![3])]
    {
        assert_eq!(keys.open(head(&forest, size, &signers).as_bytes()).unwrap().0.size, size, "{signers:?}");
    }
    for (size, n, from_size, to_size) in [(11, 1, 1, 10), (9, 2, 10, 20), (31, 3, 20, 30)] {
        let (to_size, note) = (Some(to_size), head(&forest, size, &[n]));
        assert_eq!(keys.open(note.as_bytes()), Err(KeysError::NotInForce { size, from_size, to_size }));
    }
    // both keys under it: the one in force counts
    assert_eq!(keys.open(head(&forest, 12, &[1, 2]).as_bytes()).unwrap().0.size, 12);
    let stranger = keys.open(head(&forest, 35, &[4]).as_bytes());
    assert_eq!(stranger, Err(KeysError::Checkpoint(CheckpointError::Note(NoteError::NoKnownKey))));
    assert!(LogKeys::only(key(1)).open(head(&forest, 35, &[1]).as_bytes()).is_ok(), "who knows of no other key");
}

#[test]
fn lists_of_keys_that_are_none_are_named() {
    let forest = Forest::of(40);
    let changed = |change: &dyn Fn(&mut Vec<KeyRange>)| {
        let mut ranges = four(&forest);
        change(&mut ranges);
        LogKeys::new(ranges).and_then(|keys| keys.trusted_from(&key(1)).map(|_| ()))
    };
    assert_eq!(changed(&|_| ()), Ok(()));
    assert_eq!(changed(&|ranges| ranges.clear()), Err(KeysError::Count));
    assert_eq!(changed(&|ranges| *ranges = vec![range(1, 0, None, None); LOG_KEYS_MAX + 1]), Err(KeysError::Count));
    assert_eq!(changed(&|ranges| ranges[1].from_size = 9), Err(KeysError::Order(1)));
    assert_eq!(changed(&|ranges| ranges[1].to_size = Some(9)), Err(KeysError::Order(1)));
    assert_eq!(changed(&|ranges| ranges[1].to_size = None), Err(KeysError::NoEnd));
    assert_eq!(changed(&|ranges| drop(ranges.pop())), Err(KeysError::NoEnd));
    let witness = Signer::new(NAME, &[2; 32]).unwrap().verifier_key(KeyKind::Cosigner);
    assert_eq!(changed(&|ranges| ranges[1].key = witness.clone()), Err(KeysError::NotOfTheLog(1)));
    let other = Signer::new("ledger.example/seats/00ff/fabrikam", &[2; 32]).unwrap().verifier_key(KeyKind::Plain);
    assert_eq!(changed(&|ranges| ranges[1].key = other.clone()), Err(KeysError::NotOfTheLog(1)));
    let not_both = |signers: &[u8]| {
        let handover = handover(&forest, 10, (1, 2), signers);
        changed(&|ranges| ranges[0].handover = Some(handover.clone()))
    };
    assert_eq!(not_both(&[1, 2]), Ok(()));
    for signers in [[1].as_slice(), &[2], &[3], &[1, 3]] {
        assert!(matches!(not_both(signers), Err(KeysError::Handover { place: 0, .. })), "{signers:?}");
    }
    let elsewhere = handover(&forest, 11, (1, 2), &[1, 2]);
    assert_eq!(changed(&|ranges| ranges[0].handover = Some(elsewhere.clone())), Err(KeysError::HandoverSize(0)));
    // any bit of what hands over
    let good = handover(&forest, 10, (1, 2), &[1, 2]);
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(spoiled) = String::from_utf8(bytes) else { continue };
        assert!(changed(&|ranges| ranges[0].handover = Some(spoiled.clone())).is_err(), "bit {bit}");
    }
    // a log that has got another name since
    let renamed = signer(2).named("elsewhere.example/00ff/contoso").unwrap().verifier_key(KeyKind::Plain);
    let two = vec![four(&forest).remove(0), KeyRange { key: renamed, ..range(2, 10, None, None) }];
    assert_eq!(LogKeys::new(two).unwrap().trusted_from(&key(1)).unwrap().ranges().len(), 2);
}

#[test]
fn a_head_that_a_stranger_signs_too_hands_over_nothing() {
    let forest = Forest::of(40);
    // key 1 is the log's, 2 the next one of it, and 9 anybody's
    let led = |old: u8, new: u8, handover: &str| {
        let ranges = vec![range(old, 1, Some(10), Some(handover.to_owned())), range(new, 10, None, None)];
        LogKeys::new(ranges).unwrap().trusted_from(&key(1)).map(|led| led.ranges().len())
    };
    let refused = |error| Err(KeysError::Handover { place: 0, error });
    let genuine = handover(&forest, 10, (1, 2), &[1, 2]);
    assert_eq!(led(1, 2, &genuine), Ok(2));
    let cosigned = handover(&forest, 10, (1, 2), &[1, 2, 9]);
    assert_eq!(led(1, 2, &cosigned), Ok(2), "witnesses may sign it as well");
    for (old, new) in [(1, 9), (9, 1)] {
        let published = head(&forest, 10, &[1, 9]);
        assert_eq!(led(old, new, &published), refused(HandoverError::NamesNone), "from {old} to {new}");
        assert_eq!(led(old, new, &cosigned), refused(HandoverError::NamesOthers), "from {old} to {new}");
    }
    assert_eq!(led(2, 1, &genuine), refused(HandoverError::NamesOthers), "it leads one way");
    assert_eq!(led(1, 2, &head(&forest, 10, &[1, 2])), refused(HandoverError::NamesNone), "as it was once written");
    // a second line beside the one that is meant
    let mut more: Checkpoint = Note::parse(genuine.as_bytes()).unwrap().text.parse().unwrap();
    more.extensions.push(key_change(&key(1), &key(9)));
    let text = more.to_string();
    let signatures = [1, 2, 9].map(|n| signer(n).sign(&text)).to_vec();
    let more = Note { text, signatures }.to_string();
    assert_eq!(led(1, 2, &more), refused(HandoverError::NamesOthers));
    assert_eq!(led(1, 9, &more), refused(HandoverError::NamesOthers));
}

#[test]
fn a_witness_does_not_go_back_to_an_older_key() {
    let forest = Forest::of(40);
    let known = [key(1), key(2)];
    let asked = |old: u64, new: u64, signers: &[u8]| Submission {
        old,
        path: ok(consistency(&forest, old, new)),
        checkpoint: head(&forest, new, signers),
    };
    let (first, _) = asked(0, 9, &[1]).judge(&known, None).unwrap();
    assert_eq!(first.key, Some(0));
    assert_eq!(
        asked(9, 12, &[1]).judge(&known, Some(&first)).unwrap().0.key,
        Some(0),
        "the old one is good until then"
    );
    let (second, note) = asked(9, 12, &[1, 2]).judge(&known, Some(&first)).unwrap();
    assert_eq!(second.key, Some(1));
    assert_eq!(Cosigned::of(&note, &known), Ok(second.clone()), "after a start");
    let refused = asked(12, 15, &[1]).judge(&known, Some(&second)).unwrap_err();
    assert_eq!((refused.status(), &refused), (403, &Refusal::OldKey(key(2).to_string())));
    assert_eq!(asked(12, 15, &[2]).judge(&known, Some(&second)).unwrap().0.size, 15);
    // who is not told of the new one
    assert_eq!(asked(9, 12, &[2]).judge(&known[..1], Some(&first)).unwrap_err().status(), 403);
    assert_eq!(asked(9, 12, &[1, 2]).judge(&known[..1], Some(&first)).unwrap().0.key, Some(0));
}

//! Tampering with what lies on disk, byte by byte and piece by piece. On a stopped copy of a data folder and on exported
//! tiles every flip is judged by the code of `seatledger verify`: it is named with its place, or it is without effect, which
//! is shown: records, heads and digests are those of before. Anything else is a miss, and there must be none.
//!
//! A small budget by default; `SEATLEDGER_TEST_BUDGET=full` flips every byte of a store of 1 MiB in turn, and 100,000
//! random ones (or `SEATLEDGER_TAMPER_FLIPS`) in a store of 100,000 events. `ops/tamper/README.md` has the commands and the figures.
//!
//! Here: what is flipped, and that nothing is missed. Not here: random rot as an operator meets it, through the program
//! (`rot.rs`), and who goes on after damage (`crash.rs`, `power_cut`).

mod flips;
mod journal;
mod look;
mod mirror;
mod pieces;
mod rewritten;
mod rounds;
mod store;
mod stretch;

use crate::harness::{asked_number, is_budget_full, verify_against};
use flips::Choice;
use mirror::Mirror;
use pieces::Hands;
use std::fs;
use std::path::Path;
use store::Store;
use stretch::run;

/// Bytes of everything in the folder of the small store.
const STORE_BYTES: u64 = 1 << 20;
const EVENTS: u64 = 100_000;
/// A mirror of so many is one of a megabyte.
const MIRROR_EVENTS: u64 = 10_000;

#[test]
fn a_flipped_byte_of_a_small_store_is_named_or_without_effect() {
    let store = Store::of_bytes(STORE_BYTES);
    let seed: u64 = rand::random();
    let choice = if is_budget_full() { Choice::Every } else { Choice::Random(2_000) };
    run(&store, choice, seed).holds();
}

#[test]
fn a_random_flip_in_a_large_store_is_named_or_without_effect() {
    if !is_budget_full() {
        eprintln!("a store of {EVENTS} events is for the full budget");
        return;
    }
    let store = Store::of_events(EVENTS);
    let flips = asked_number("SEATLEDGER_TAMPER_FLIPS").unwrap_or(100_000);
    run(&store, Choice::Random(flips), rand::random()).holds();
}

#[test]
fn pieces_that_are_cut_swapped_doubled_or_older_are_named_or_without_effect() {
    let store = Store::of_bytes(STORE_BYTES);
    let mut hands = Hands::on(&store);
    hands.replay();
    hands.double();
    hands.cut();
    hands.swap();
    hands.rounds();
    hands.tally.holds();
}

#[test]
fn an_event_that_was_edited_by_hand_is_seen_however_much_is_put_right_after_it() {
    let store = Store::of_bytes(STORE_BYTES);
    rewritten::edits(&store, if is_budget_full() { 200 } else { 5 }).holds();
}

#[test]
fn exported_tiles_that_were_touched_are_seen_by_who_kept_a_head() {
    let is_full = is_budget_full();
    let store = if is_full { Store::of_events(MIRROR_EVENTS) } else { Store::of_bytes(STORE_BYTES) };
    let mirror = Mirror::of(&store);
    let bytes: usize = mirror.files.values().map(Vec::len).sum();
    let (flips, unseen) = mirror.flipped(if is_full { 1 } else { 7 });
    eprintln!("{flips} flips in {} files of {bytes} bytes, {} not seen", mirror.files.len(), unseen.len());
    assert!(unseen.is_empty(), "{unseen:?}");
    let (times, unseen) = mirror.pieces();
    eprintln!("{times} pieces cut, swapped or doubled, {} not seen", unseen.len());
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn a_whole_folder_of_yesterday_is_seen_by_who_kept_a_head_of_today() {
    let store = Store::of_bytes(STORE_BYTES);
    let place = tempfile::tempdir().expect("a folder");
    let kept = |name: &str, folder: &Path, tenant: u32| {
        let file = place.path().join(name);
        fs::copy(folder.join(format!("heads/{tenant}")), &file).expect("copied");
        file
    };
    let (today, yesterday) = (kept("today", &store.data, 0), kept("yesterday", &store.older, 0));
    let neighbour = kept("neighbour", &store.data, 1);
    // what was signed yesterday is in the log of today, and the neighbour stood still
    let (code, words) = verify_against(&store.data, &[&today, &yesterday, &neighbour]);
    assert!(code == Some(0) && words.contains("kept heads: 3 are in the log"), "{words}");
    // the older folder is whole by itself
    let (code, words) = verify_against(&store.older, &[&yesterday, &neighbour]);
    assert!(code == Some(0) && words.contains("kept heads: 2 are in the log"), "{words}");
    let (code, words) = verify_against(&store.older, &[&yesterday, &today]);
    assert_eq!(code, Some(1), "{words}");
    let finding = words.lines().find(|line| line.starts_with("first: ")).expect("a finding");
    for word in [today.to_str().expect("a path"), "its end is missing", "position"] {
        assert!(finding.contains(word), "{word}: {words}");
    }
    // what is no head is said to be none, before anything is walked
    let bad = place.path().join("bad");
    for text in ["", "no head\n", "a/b/c\n1\nAAAA\n\n\u{2014} x AAAA\n", &"x".repeat(200_000)] {
        fs::write(&bad, text).expect("written");
        let (code, words) = verify_against(&store.data, &[&bad]);
        assert!(code == Some(5) && words.contains("is no signed head"), "{words}");
    }
    let (code, words) = verify_against(&store.data, &[&place.path().join("nowhere")]);
    assert!(code == Some(5) && words.contains("nowhere"), "{words}");
}

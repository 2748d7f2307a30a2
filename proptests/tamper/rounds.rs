//! The files with the heads of many tenants (`heads/round-<n>`): how they come into the store, and what a hand does inside of
//! one: notes cut out, swapped, doubled, under another's number, and as they were in an earlier file. Not here: their bits
//! (`flips.rs`), and such files as a whole (`pieces.rs`).

use super::flips::{ROUNDS, kind};
use super::pieces::{Hands, drawn};
use super::store::files_below;
use crate::harness::Tenant;
use crate::quorum::until;
use seatledger::merkle::{parse_round, round_text};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tenths of a second; where the heads went into several files they come together the next time.
const SIGNED_WITHIN: u32 = 30;

/// Each with its tenant's number.
pub(super) type Notes = Vec<(u32, String)>;

/// The rounds of a data folder, below it, in the order of their numbers.
pub(super) fn below(data: &Path) -> Vec<(PathBuf, Notes)> {
    if !data.join("heads").is_dir() {
        return vec![];
    }
    let files = files_below(&data.join("heads")).into_iter();
    let files = files.map(|file| file.strip_prefix(data).expect("below it").to_owned());
    let mut rounds: Vec<(PathBuf, Notes)> = files
        .filter(|file| kind(file) == ROUNDS && file.extension().is_none())
        .filter_map(|file| {
            // one that is replaced meanwhile is gone
            let notes = parse_round(&fs::read(data.join(&file)).ok()?).expect("a round");
            Some((file, notes.into_iter().map(|(tenant, note)| (tenant, note.to_string())).collect()))
        })
        .collect();
    rounds.sort_by_key(|(file, _)| number(file));
    rounds
}

pub(super) fn text(notes: &[(u32, String)]) -> String {
    round_text(notes.iter().map(|(tenant, note)| (*tenant, note.as_str())))
}

fn number(file: &Path) -> u64 {
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    name.trim_start_matches("round-").parse().expect("a number")
}

/// Lets something happen in each of these tenants at one moment, until one file has the new heads of all of them.
pub(super) fn sign_together(data: &Path, tenants: &[&Tenant]) {
    let newest = || below(data).pop().map(|(file, notes)| (number(&file), notes.len()));
    until("their heads are signed in one file", || {
        let before = newest();
        // one after the other they may take longer than it is from one signing to the next
        std::thread::scope(|scope| {
            for tenant in tenants {
                scope.spawn(|| tenant.owns("app", tenant.head() + 1));
            }
        });
        let is_signed = (0..SIGNED_WITHIN).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            newest() > before
        });
        is_signed && newest().is_some_and(|(_, heads)| heads >= tenants.len())
    });
}

impl Hands<'_> {
    /// Notes of a round cut out, swapped, doubled, put under another's number, and put back as they were.
    pub(crate) fn rounds(&mut self) {
        let (rounds, earlier) = (below(&self.store.data), below(&self.store.older));
        assert!(rounds.len() > 1 && !earlier.is_empty(), "{rounds:?}");
        let earlier: Notes = earlier.into_iter().flat_map(|(_, notes)| notes).collect();
        for (file, notes) in &rounds {
            let name = file.display();
            let places: Vec<usize> = (0..notes.len()).collect();
            for at in drawn(&places) {
                let (tenant, note) = notes[at].clone();
                let without: Notes = notes.iter().filter(|(of, _)| *of != tenant).cloned().collect();
                self.put(
                    "note cut out, count right",
                    &format!("of {tenant} in {name}"),
                    file,
                    text(&without).as_bytes(),
                );
                let count = |count: usize| format!("seatledger heads {count}\n");
                let miscounted = text(&without).replacen(&count(without.len()), &count(notes.len()), 1);
                self.put("note cut out", &format!("of {tenant} in {name}"), file, miscounted.as_bytes());
                let mut twice = notes.clone();
                twice.insert(at, notes[at].clone());
                self.put("note doubled", &format!("of {tenant} in {name}"), file, text(&twice).as_bytes());
                for (word, other) in [("note under its neighbour's number", tenant + 1), ("note under no number", 1000)]
                {
                    let mut renamed = without.clone();
                    renamed.retain(|(of, _)| *of != other);
                    renamed.push((other, note.clone()));
                    renamed.sort();
                    self.put(word, &format!("of {tenant} in {name}"), file, text(&renamed).as_bytes());
                }
                if let Some(next) = notes.get(at + 1) {
                    let mut swapped = notes.clone();
                    (swapped[at].1, swapped[at + 1].1) = (next.1.clone(), note.clone());
                    self.put(
                        "notes swapped",
                        &format!("{tenant} and {} in {name}", next.0),
                        file,
                        text(&swapped).as_bytes(),
                    );
                    let mut moved = notes.clone();
                    moved.swap(at, at + 1);
                    self.put(
                        "notes in another order",
                        &format!("{tenant} and {} in {name}", next.0),
                        file,
                        text(&moved).as_bytes(),
                    );
                }
                for (_, old) in earlier.iter().filter(|(of, _)| *of == tenant) {
                    let mut replayed = notes.clone();
                    replayed[at].1 = old.clone();
                    self.put(
                        "older note put back",
                        &format!("of {tenant} in {name}"),
                        file,
                        text(&replayed).as_bytes(),
                    );
                }
            }
            // a whole one of earlier, under the name of this
            for (old, _) in below(&self.store.older) {
                let bytes = fs::read(self.store.older.join(&old)).expect("a file");
                self.put("older round under this name", &format!("{} as {name}", old.display()), file, &bytes);
            }
        }
    }
}

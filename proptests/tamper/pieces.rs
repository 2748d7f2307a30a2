//! What a hand does to files rather than rot: pieces cut off, taken away, swapped, doubled, and put back as they were earlier,
//! each alone on a copy of the store and judged by the whole of `verify`. Not here: who recomputes checksums
//! (`rewritten.rs`), and a whole older folder (`rollback.rs`).

use super::flips::kind;
use super::journal::{Frame, frames, groups};
use super::look::{Judged, Look};
use super::store::{Store, copy, files_below};
use crate::harness::is_budget_full;
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Of pairs and places that are drawn, so many of each.
fn drawn_max() -> usize {
    if is_budget_full() { 200 } else { 8 }
}

/// What is done, by its word, and what came of it.
#[derive(Default)]
pub(crate) struct Tally {
    rows: BTreeMap<&'static str, [u64; 4]>,
    misses: Vec<String>,
}

impl Tally {
    pub(super) fn note(&mut self, word: &'static str, what: &str, judged: Judged) {
        let row = self.rows.entry(word).or_default();
        row[0] += 1;
        match judged {
            Judged::Named { .. } => row[1] += 1,
            Judged::WithoutEffect { .. } => row[2] += 1,
            Judged::Missed(why) => {
                row[3] += 1;
                self.misses.push(format!("{word}: {what}: {why}"));
            }
        }
    }

    /// Something that is named, or missed.
    pub(super) fn seen(&mut self, word: &'static str, is_seen: bool, otherwise: &str) {
        let missed = || Judged::Missed(format!("it is not named: {otherwise}"));
        self.note(word, "", if is_seen { Judged::Named { has_position: false } } else { missed() });
    }

    /// # Panics
    /// When something was missed.
    pub(crate) fn holds(&self) {
        eprintln!("| piece | times | named | without effect | missed |\n|---|---|---|---|---|");
        for (word, [times, named, without, missed]) in &self.rows {
            eprintln!("| {word} | {times} | {named} | {without} | {missed} |");
        }
        assert!(self.misses.is_empty(), "{}", self.misses.join("\n"));
    }
}

/// A store that is tampered with and made good again.
pub(crate) struct Hands<'s> {
    pub(super) store: &'s Store,
    pub(super) look: Look,
    pub(super) tally: Tally,
}

impl<'s> Hands<'s> {
    pub(crate) fn on(store: &'s Store) -> Self {
        Self { store, look: Look::at(&store.data), tally: Tally::default() }
    }

    /// All files below the data folder that mean something.
    fn files(&self) -> Vec<PathBuf> {
        let below = |file: PathBuf| file.strip_prefix(&self.store.data).expect("below it").to_owned();
        let files = files_below(&self.store.data).into_iter().map(below);
        files.filter(|file| kind(file) != "journal (made ahead)").collect()
    }

    fn read(&self, file: &Path) -> Vec<u8> {
        fs::read(self.store.data.join(file)).expect("a file")
    }

    /// Does it to the copy, judges, and puts the copy right. `places`: one of them must be named.
    fn try_it(&mut self, word: &'static str, what: &str, places: &[&Path], act: impl FnOnce(&Path)) {
        let data = self.look.whole();
        act(&data);
        let judged = self.look.pieces(places);
        self.tally.note(word, what, judged);
        fs::remove_dir_all(&data).expect("removed");
        copy(&self.store.data, &data);
    }

    pub(super) fn put(&mut self, word: &'static str, what: &str, file: &Path, bytes: &[u8]) {
        self.try_it(word, what, &[file], |data| {
            let file = data.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, bytes).expect("written");
        });
    }

    /// Every file shorter, at places that are drawn and at those that are none; and every file gone.
    pub(crate) fn cut(&mut self) {
        for file in self.files() {
            let bytes = self.read(&file);
            let drawn = (0..if is_budget_full() { 40 } else { 1 }).map(|_| rand::rng().random_range(0..bytes.len()));
            let fixed =
                if is_budget_full() { vec![0, bytes.len() / 2, bytes.len() - 1] } else { vec![bytes.len() - 1] };
            for to in fixed.into_iter().chain(drawn) {
                let what = format!("{} to {to} of {} bytes", file.display(), bytes.len());
                self.put("cut off", &what, &file, &bytes[..to]);
            }
            self.try_it("taken away", &file.display().to_string(), &[&file], |data| {
                fs::remove_file(data.join(&file)).expect("removed");
            });
        }
        for folder in [
            "journal",
            "sled",
            "receipts",
            "subjects",
            "snapshots",
            "archive",
            "tiles",
            "heads",
            "cosigned",
            "timestamps",
        ] {
            if !self.store.data.join(folder).is_dir() {
                continue;
            }
            self.try_it("folder taken away", folder, &[Path::new(folder)], |data| {
                fs::remove_dir_all(data.join(folder)).expect("removed");
            });
        }
        // a piece out of the middle, and what follows moved up
        for (file, groups) in self.groups() {
            let bytes = self.read(&file);
            for group in drawn(&groups) {
                let without = [&bytes[..group.start], &bytes[group.end..]].concat();
                self.put("group cut out", &format!("{group:?} of {}", file.display()), &file, &without);
            }
        }
    }

    /// Files of one kind change places; so do records, frames and groups of the journal.
    pub(crate) fn swap(&mut self) {
        let files = self.files();
        let mut pairs = vec![];
        for (n, left) in files.iter().enumerate() {
            for right in &files[n + 1..] {
                if kind(left) == kind(right) && self.read(left) != self.read(right) {
                    pairs.push((left.clone(), right.clone()));
                }
            }
        }
        for (left, right) in drawn(&pairs) {
            let what = format!("{} and {}", left.display(), right.display());
            let (a, b) = (self.read(&left), self.read(&right));
            self.try_it("files swapped", &what, &[&left, &right], |data| {
                fs::write(data.join(&left), b).expect("written");
                fs::write(data.join(&right), a).expect("written");
            });
        }
        for (file, groups) in self.groups() {
            let bytes = self.read(&file);
            let frames = frames(&bytes);
            let records: Vec<Range<usize>> = frames.iter().flat_map(|frame| frame.records(&bytes)).collect();
            let frames: Vec<Range<usize>> = frames.into_iter().map(|Frame { at, .. }| at).collect();
            for (word, spans) in [("groups swapped", groups), ("frames swapped", frames), ("records swapped", records)]
            {
                let neighbours: Vec<_> = spans.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
                for (left, right) in drawn(&neighbours) {
                    if bytes[left.clone()] == bytes[right.clone()] {
                        continue;
                    }
                    let (l, m, r) = (&bytes[left.clone()], &bytes[left.end..right.start], &bytes[right.clone()]);
                    let swapped = [&bytes[..left.start], r, m, l, &bytes[right.end..]].concat();
                    self.put(word, &format!("{left:?} and {right:?} of {}", file.display()), &file, &swapped);
                }
            }
        }
    }

    /// Files once more under the name that comes next; frames and groups once more behind themselves.
    pub(crate) fn double(&mut self) {
        for file in self.files() {
            let Some(next) = next_name(&file) else { continue };
            let bytes = self.read(&file);
            if self.store.data.join(&next).exists() {
                continue;
            }
            let what = format!("{} as {}", file.display(), next.display());
            self.put("file doubled", &what, &next, &bytes);
        }
        for (file, groups) in self.groups() {
            let bytes = self.read(&file);
            let frames: Vec<Range<usize>> = frames(&bytes).into_iter().map(|Frame { at, .. }| at).collect();
            let end = groups.last().map_or(0, |group| group.end);
            for (word, spans) in [("group doubled", groups), ("frame doubled", frames)] {
                for span in drawn(&spans) {
                    let what = format!("{span:?} of {}", file.display());
                    let behind = [&bytes[..span.end], &bytes[span.clone()], &bytes[span.end..]].concat();
                    self.put(word, &what, &file, &behind);
                    // at the end, where zeros are, as if it came next
                    let at_end = [&bytes[..end], &bytes[span.clone()]].concat();
                    self.put(word, &format!("{what} at the end"), &file, &at_end);
                }
            }
        }
    }

    /// Files and folders as they were at an earlier stop, under everything else as it is.
    pub(crate) fn replay(&mut self) {
        let older = self.store.older.clone();
        for file in files_below(&older) {
            let below = file.strip_prefix(&older).expect("below it").to_owned();
            let (now, bytes) = (self.store.data.join(&below), fs::read(&file).expect("a file"));
            if fs::read(&now).is_ok_and(|now| now == bytes) {
                continue;
            }
            let word = if now.exists() { "older file put back" } else { "older file added" };
            self.put(word, &below.display().to_string(), &below, &bytes);
        }
        let manifests = |folder: &Path| {
            let all =
                files_below(folder).into_iter().map(|file| file.strip_prefix(folder).expect("below it").to_owned());
            all.filter(|file| kind(file) == "manifest").collect::<Vec<_>>()
        };
        let top = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let mut parts: Vec<Vec<PathBuf>> =
            ["journal", "sled", "receipts", "subjects", "snapshots", "archive", "tiles", "heads", "cosigned"]
                .map(|name| top(&[name]))
                .into();
        let anchor: Vec<PathBuf> = top(&["anchor"]).into_iter().chain(manifests(&older)).collect();
        parts.push([anchor.clone(), top(&["journal"])].concat());
        parts.push([anchor.clone(), top(&["journal", "sled"])].concat());
        parts
            .push([anchor.clone(), top(&["journal", "sled", "receipts", "subjects", "snapshots", "archive"])].concat());
        parts.push(anchor);
        parts.push(top(&["receipts", "subjects", "snapshots", "archive", "tiles"]));
        // a small store has no tiles
        parts.iter_mut().for_each(|part| part.retain(|name| name != Path::new("tiles") || older.join(name).exists()));
        parts.retain(|part| !part.is_empty());
        for part in parts {
            let what = part.iter().map(|name| name.display().to_string()).collect::<Vec<_>>().join(", ");
            let places = [part.clone(), vec!["heads".into(), "sled".into(), "journal".into()]].concat();
            let places: Vec<&Path> = places.iter().map(PathBuf::as_path).collect();
            self.try_it("older part put back", &what, &places, |data| {
                for name in &part {
                    let (from, to) = (older.join(name), data.join(name));
                    if from.is_dir() {
                        fs::remove_dir_all(&to).expect("removed");
                        copy(&from, &to);
                    } else {
                        fs::copy(from, to).expect("copied");
                    }
                }
            });
        }
    }

    /// The groups of every segment, or of one that is drawn where time is short.
    fn groups(&self) -> Vec<(PathBuf, Vec<Range<usize>>)> {
        let segments = self.files().into_iter().filter(|file| kind(file) == "journal");
        let all: Vec<_> = segments
            .map(|file| {
                let groups = groups(&frames(&self.read(&file)));
                (file, groups)
            })
            .filter(|(_, groups)| !groups.is_empty())
            .collect();
        if is_budget_full() {
            return all;
        }
        let drawn = rand::rng().random_range(0..all.len());
        all.into_iter().skip(drawn).take(1).collect()
    }
}

/// Some of them, or all where there are few.
pub(super) fn drawn<T: Clone>(of: &[T]) -> Vec<T> {
    let share = of.len().div_ceil(drawn_max()).max(1);
    let from = rand::rng().random_range(0..share);
    of.iter().skip(from.min(of.len().saturating_sub(1))).step_by(share).cloned().collect()
}

/// The name with its last number, but for those in the folder, raised by one.
fn next_name(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let digits = &name[start..end];
    let next = digits.parse::<u128>().ok()? + 1;
    Some(file.with_file_name(format!("{}{next:0width$}{}", &name[..start], &name[end..], width = digits.len())))
}

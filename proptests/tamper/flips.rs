//! Which byte is flipped, and how: a list that is the same in every process. Not here: what comes of it.

use super::store::files_below;
use crate::harness::asked_words;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Of smaller files every bit is flipped in turn, and of those with the heads of many.
const SMALL_BYTES: u64 = 2048;
pub(crate) const ROUNDS: &str = "rounds";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Every byte of every file: all eight bits in turn where the file is small or a round of heads, else one drawn change of the byte.
    Every,
    /// So many flips of single bits, drawn over all bytes but those of the segment that is made ahead and means nothing.
    Random(u64),
}

/// One byte, and what it is changed by.
#[derive(Debug, Clone)]
pub(crate) struct Flip {
    /// Below the data folder.
    pub(crate) file: PathBuf,
    pub(crate) at: u64,
    pub(crate) mask: u8,
}

impl Flip {
    /// The kind of file, by the beginning of its path.
    pub(crate) fn kind(&self) -> String {
        kind(&self.file)
    }

    /// Flips it; and again, and it is as before.
    pub(crate) fn make(&self, data: &Path) {
        let file = fs::File::options().read(true).write(true).open(data.join(&self.file)).expect("a file");
        let mut byte = [0];
        file.read_exact_at(&mut byte, self.at).expect("it has this byte");
        file.write_all_at(&[byte[0] ^ self.mask], self.at).expect("written");
    }
}

pub(crate) fn kind(file: &Path) -> String {
    let top = file.iter().next().expect("a path").to_string_lossy();
    let name = file.file_name().expect("a file").to_string_lossy();
    if name.starts_with("prepared-") {
        return "journal (made ahead)".into();
    }
    if top == "heads" && name.starts_with("round-") {
        return ROUNDS.into();
    }
    top.split('-').next().unwrap_or_default().to_owned()
}

/// All flips of a store; of the kinds alone that `SEATLEDGER_TAMPER_KINDS` names, if it does.
pub(crate) struct Flips {
    files: Vec<(PathBuf, u64)>,
    choice: Choice,
    seed: u64,
}

impl Flips {
    pub(crate) fn of(data: &Path, choice: Choice, seed: u64) -> Self {
        let mut files: Vec<(PathBuf, u64)> = files_below(data)
            .into_iter()
            .map(|file| {
                let bytes = file.metadata().expect("a file").len();
                (file.strip_prefix(data).expect("below it").to_owned(), bytes)
            })
            .filter(|(file, bytes)| *bytes > 0 && (choice == Choice::Every || kind(file) != "journal (made ahead)"))
            .collect();
        if let Some(kinds) = asked_words("SEATLEDGER_TAMPER_KINDS") {
            files.retain(|(file, _)| kinds.contains(&kind(file)));
        }
        files.sort();
        Self { files, choice, seed }
    }

    fn bits_each(file: &Path, bytes: u64) -> u64 {
        if bytes <= SMALL_BYTES || kind(file) == ROUNDS { 8 } else { 1 }
    }

    pub(crate) fn len(&self) -> u64 {
        match self.choice {
            Choice::Every => self.files.iter().map(|(file, bytes)| bytes * Self::bits_each(file, *bytes)).sum(),
            Choice::Random(flips) => flips,
        }
    }

    pub(crate) fn get(&self, n: u64) -> Flip {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        match self.choice {
            Choice::Every => {
                let mut left = n;
                for (file, bytes) in &self.files {
                    let bits = Self::bits_each(file, *bytes);
                    if left < bytes * bits {
                        let mask = if bits == 1 { random.random_range(1..=u8::MAX) } else { 1 << (left % 8) };
                        return Flip { file: file.clone(), at: left / bits, mask };
                    }
                    left -= bytes * bits;
                }
                panic!("there is no flip {n}")
            }
            Choice::Random(_) => {
                let all: u64 = self.files.iter().map(|(_, bytes)| bytes).sum();
                let (mut at, mask) = (random.random_range(0..all), 1 << random.random_range(0..8_u8));
                for (file, bytes) in &self.files {
                    if at < *bytes {
                        return Flip { file: file.clone(), at, mask };
                    }
                    at -= bytes;
                }
                panic!("there is no flip {n}")
            }
        }
    }
}

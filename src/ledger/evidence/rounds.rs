//! Heads of many tenants that are signed at once, in one file with one sync: `heads/round-<n>`. A head that is signed alone has the
//! file `heads/<tenant>`; the one over more records counts. Not here: signing (`heads.rs`), and what such a file looks like
//! (`merkle`).

use super::heads::{self, SignedHead};
use crate::merkle::{ROUND_BYTES_MAX, round_text};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file in the folder of heads: this, and a number that only grows.
pub(super) const ROUND: &str = "round-";
/// Fewer heads get a file each.
pub(super) const ROUND_HEADS_MIN: usize = 16;
/// More are signed in another round.
pub(super) const ROUND_HEADS_MAX: usize = 4096;
/// With more files than this, the next round takes over what the others are still needed for.
const ROUND_FILES_MAX: usize = 8;
/// Of notes with many cosignatures; what does not fit stays where it is.
const CARRIED_BYTES_MAX: usize = ROUND_BYTES_MAX / 2;

/// The files that are there, each with the tenants whose last head is in it and nowhere else.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    files: BTreeMap<u64, BTreeSet<u32>>,
    next: u64,
}

/// The rounds in a folder of heads, by number.
pub(super) fn rounds_in(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    let mut rounds = vec![];
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let number = name.strip_prefix(ROUND).and_then(|number| number.parse::<u64>().ok());
        // whatever else stands there is none of ours, or was left aside by a cut
        rounds.extend(number.filter(|number| round_name(*number) == name).map(|number| (number, entry.path())));
    }
    rounds.sort_unstable();
    Ok(rounds)
}

/// The bytes of a round, as far as one is read.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    File::open(path)?.take(ROUND_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn round_name(number: u64) -> String {
    format!("{ROUND}{number}")
}

impl Rounds {
    /// A file that was read.
    pub(super) fn found(&mut self, number: u64) {
        self.files.entry(number).or_default();
        self.next = self.next.max(number + 1);
    }

    /// A tenant's last head is in this file.
    pub(super) fn holds(&mut self, number: u64, tenant: u32) {
        self.stands_elsewhere(tenant);
        self.files.entry(number).or_default().insert(tenant);
    }

    /// A tenant's last head has a file of its own.
    pub(super) fn stands_elsewhere(&mut self, tenant: u32) {
        self.files.values_mut().for_each(|tenants| {
            tenants.remove(&tenant);
        });
    }

    /// Writes a round. With too many files, the last heads in the others come along. When this answers, the heads are on
    /// stable storage under the file's name, and so is every name that was given before; only then files go.
    pub(super) fn write(
        &mut self,
        dir: &Path,
        signed: &BTreeMap<u32, Arc<SignedHead>>,
        last: impl Fn(u32) -> Option<Arc<SignedHead>>,
    ) -> io::Result<()> {
        let mut round = signed.clone();
        if self.files.len() >= ROUND_FILES_MAX {
            let mut bytes = 0;
            for tenant in self.files.values().flatten().filter(|tenant| !signed.contains_key(tenant)) {
                let Some(head) = last(*tenant) else { continue };
                bytes += head.note.len();
                if bytes <= CARRIED_BYTES_MAX {
                    round.insert(*tenant, head);
                }
            }
        }
        let text = round_text(round.iter().map(|(tenant, head)| (*tenant, head.note.as_str())));
        let number = self.next;
        // a new name, so its folder is synced
        heads::write(dir, &round_name(number), text.as_bytes())?;
        self.next += 1;
        for tenant in round.keys() {
            self.stands_elsewhere(*tenant);
        }
        self.files.insert(number, round.into_keys().collect());
        let empty: Vec<u64> =
            self.files.iter().filter(|(_, tenants)| tenants.is_empty()).map(|(number, _)| *number).collect();
        for number in empty {
            match fs::remove_file(dir.join(round_name(number))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, number, "heads that newer ones have replaced could not be removed");
                }
                Ok(()) | Err(_) => {
                    self.files.remove(&number);
                }
            }
        }
        Ok(())
    }
}

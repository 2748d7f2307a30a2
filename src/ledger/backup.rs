//! A backup: one tar file with the log as it was at one durable group, the wrapped keys of all subjects, and the SHA-256
//! of every file behind them, in the form that `sha256sum -c` reads. Never the root token, and the master key only if it
//! is asked for. Not here: reading one (`restore.rs`).
//!
//! ```text
//! backup.json  READY  anchor  manifest-*  journal/*.segment  subject.keys  [master.key]  SHA256SUMS
//! ```

use super::Ledger;
use crate::log::{BackupPlan, OpenError, Progress, backup_files};
use crate::vault::{KEYS_FILE, MASTER_KEY_FILE};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// What the backup says of itself: its first file.
pub const ABOUT: &str = "backup.json";
/// The last file: a backup without it is cut off.
pub const SUMS: &str = "SHA256SUMS";
/// Changes when an older program could not read the backup.
pub const FORMAT: u32 = 1;

/// The content of [`ABOUT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    pub format: u32,
    /// The program that wrote it.
    pub version: String,
    /// The log that it is a copy of, in hexadecimal digits.
    pub log_id: String,
    pub last_group: u64,
    pub is_master_key_inside: bool,
}

/// Why no backup was written.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Log(#[from] OpenError),
    #[error("{doing} failed: {error}")]
    Io { doing: String, error: io::Error },
    #[error("{file} became shorter while it was copied; the backup is not usable")]
    Shrank { file: String },
}

impl BackupError {
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Io { doing, error }
    }
}

impl Ledger {
    /// Writes a backup of everything that is durable now, while the service goes on. Blocking. What was written is whole
    /// only if this answers `Ok`.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub fn backup(&self, out: &mut dyn Write, progress: &dyn Progress) -> Result<About, BackupError> {
        let plan = self.0.writer.reader().backup_files()?;
        // a key is durable before the event that needs it, so after the plan there are enough of them
        let (mut keys, bytes) = self.0.vault.durable_keys();
        write(&plan, (&mut keys, bytes), None, out, progress)
    }
}

/// Writes a backup of a stopped folder, which the caller keeps from being served ([`crate::log::hold_still`]).
///
/// # Errors
/// See [`BackupError`].
pub fn backup_folder(
    dir: &Path,
    master_key: Option<&Path>,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<About, BackupError> {
    let plan = backup_files(dir)?;
    let path = dir.join(KEYS_FILE);
    let mut keys = File::open(&path).map_err(BackupError::io(format!("opening {}", path.display())))?;
    let bytes = keys.metadata().map_err(BackupError::io(format!("looking at {}", path.display())))?.len();
    write(&plan, (&mut keys, bytes), master_key, out, progress)
}

fn write(
    plan: &BackupPlan,
    (keys, keys_bytes): (&mut dyn Read, u64),
    master_key: Option<&Path>,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<About, BackupError> {
    let about = About {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        log_id: hex::encode(plan.log_id),
        last_group: plan.last_group,
        is_master_key_inside: master_key.is_some(),
    };
    let total = plan.segments.iter().map(|segment| segment.bytes).sum::<u64>() + keys_bytes;
    let mut archive = Archive { tar: tar::Builder::new(out), sums: String::new(), done: 0, total, progress };
    archive.add_small(ABOUT, &serde_json::to_vec_pretty(&about).expect("words and numbers can be written as JSON"))?;
    for (name, bytes) in &plan.small {
        archive.add_small(name, bytes)?;
    }
    for segment in &plan.segments {
        archive.add_file(&segment.name, &segment.path, segment.bytes)?;
    }
    archive.add_large(KEYS_FILE, keys, keys_bytes)?;
    if let Some(path) = master_key {
        let bytes = std::fs::read(path).map_err(BackupError::io(format!("reading {}", path.display())))?;
        archive.add_small(MASTER_KEY_FILE, &zeroize::Zeroizing::new(bytes))?;
    }
    let sums = std::mem::take(&mut archive.sums);
    archive.add_small(SUMS, sums.as_bytes())?;
    let finished = archive.tar.into_inner().and_then(Write::flush);
    finished.map_err(BackupError::io("writing the end of the backup"))?;
    Ok(about)
}

struct Archive<'a> {
    tar: tar::Builder<&'a mut dyn Write>,
    sums: String,
    done: u64,
    total: u64,
    progress: &'a dyn Progress,
}

impl Archive<'_> {
    fn add_small(&mut self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        self.add(name, bytes, bytes.len() as u64)
    }

    fn add_file(&mut self, name: &str, path: &Path, bytes: u64) -> Result<(), BackupError> {
        let mut file = File::open(path).map_err(BackupError::io(format!("opening {}", path.display())))?;
        self.add_large(name, &mut file, bytes)
    }

    fn add_large(&mut self, name: &str, from: &mut dyn Read, bytes: u64) -> Result<(), BackupError> {
        self.add(name, from.take(bytes), bytes)?;
        self.done += bytes;
        self.progress.step("writing the backup", self.done, self.total);
        Ok(())
    }

    fn add(&mut self, name: &str, from: impl Read, bytes: u64) -> Result<(), BackupError> {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes);
        header.set_mode(0o600);
        let mut from = Hashing { from, hash: Sha256::new(), bytes: 0 };
        let added = header.set_path(name).and_then(|()| {
            header.set_cksum();
            self.tar.append(&header, &mut from)
        });
        added.map_err(BackupError::io(format!("writing {name} into the backup")))?;
        if from.bytes != bytes {
            return Err(BackupError::Shrank { file: name.to_owned() });
        }
        self.sums.push_str(&format!("{}  {name}\n", hex::encode(from.hash.finalize())));
        Ok(())
    }
}

/// Hashes what is read through it.
pub(super) struct Hashing<R> {
    pub(super) from: R,
    pub(super) hash: Sha256,
    pub(super) bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(into)?;
        self.hash.update(into.get(..got).unwrap_or_default());
        self.bytes += got as u64;
        Ok(got)
    }
}

//! Timestamps of an authority outside (RFC 3161): each day on which a tenant's history grew, one of its signed heads is set
//! aside, and the authority's answer is kept beside it, so that not even who has all keys can date it back. A day whose answer
//! did not come is asked for until it does. `timestamps/<tenant>/<date>.checkpoint` and `.tsr`. Not here: the asking
//! (`cli::timestamp`).

mod protocol;
#[cfg(test)]
pub(super) mod tests;

pub use protocol::{Authorities, RESPONSE_BYTES_MAX, TimestampError, TimestampRequest, check_kept};

use super::heads;
use crate::domain::ids::TenantId;
use crate::ledger::{Ledger, ReadError};
use crate::merkle::{Checkpoint, NOTE_BYTES_MAX, Note};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The folder below the data folder.
pub(super) const TIMESTAMPS: &str = "timestamps";
pub(super) const CHECKPOINT: &str = "checkpoint";
pub(super) const RESPONSE: &str = "tsr";
/// So many days are handed out at once.
const DAYS_MAX: usize = 100;
/// Older days without an answer are given up: every later one covers them.
const WAITING_MAX: usize = 31;

/// A head that waits for its timestamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub date: Date,
    /// The checkpoint with its signatures: these bytes are stamped.
    pub note: String,
}

/// A head that was set aside, and the authority's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub date: Date,
    pub size: u64,
    pub note: String,
    /// The answer as it came, and the time that it names. `None` while it is waited for.
    pub response: Option<(Vec<u8>, Timestamp)>,
}

/// The days of one tenant, each with whether its answer is there; and how many records the last of its heads covers.
#[derive(Default)]
struct Book {
    days: BTreeMap<Date, bool>,
    last_size: u64,
}

pub(super) struct Timestamps {
    dir: PathBuf,
    books: Mutex<BTreeMap<u32, Book>>,
    /// Whether the authority's last answer was none.
    is_refused: AtomicBool,
}

impl Timestamps {
    /// Sees what is there; the files themselves are read when somebody asks.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let dir = dir.join(TIMESTAMPS);
        let mut books = BTreeMap::new();
        for tenant in tenants_in(&dir)? {
            let days = kept_in(&folder(&dir, tenant))?.into_iter().map(|(date, kept)| (date, kept.has_response));
            let mut book = Book { days: days.collect(), last_size: 0 };
            let last = book.days.last_key_value().map(|(date, _)| read_note(&dir, tenant, *date));
            book.last_size = last.transpose()?.map_or(0, |(size, _)| size);
            books.insert(tenant, book);
        }
        Ok(Self { dir, books: Mutex::new(books), is_refused: AtomicBool::new(false) })
    }

    /// How many heads wait for their timestamp.
    fn waiting(&self) -> usize {
        self.books.lock().values().map(|book| book.days.values().filter(|is_stamped| !**is_stamped).count()).sum()
    }
}

/// What is kept of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) has_note: bool,
    pub(super) has_response: bool,
}

/// The tenants that have a folder of timestamps.
pub(super) fn tenants_in(dir: &Path) -> io::Result<Vec<u32>> {
    let mut tenants: Vec<u32> =
        listed(dir)?.iter().filter_map(|name| name.parse().ok().filter(|n: &u32| n.to_string() == *name)).collect();
    tenants.sort_unstable();
    Ok(tenants)
}

/// The days in a tenant's folder; whatever else lies there is none of ours, or was left aside by a cut.
pub(super) fn kept_in(folder: &Path) -> io::Result<BTreeMap<Date, Kept>> {
    let mut days: BTreeMap<Date, Kept> = BTreeMap::new();
    for name in listed(folder)? {
        let Some((text, kind)) = name.split_once('.') else { continue };
        let Some(date) = text.parse::<Date>().ok().filter(|date| date.to_string() == text) else { continue };
        match kind {
            CHECKPOINT => days.entry(date).or_default().has_note = true,
            RESPONSE => days.entry(date).or_default().has_response = true,
            _ => {}
        }
    }
    Ok(days)
}

/// The names in a folder; none where there is no such folder.
pub(super) fn listed(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries?,
    };
    entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect()
}

fn folder(dir: &Path, tenant: u32) -> PathBuf {
    dir.join(tenant.to_string())
}

fn file(dir: &Path, tenant: u32, date: Date, kind: &str) -> PathBuf {
    folder(dir, tenant).join(format!("{date}.{kind}"))
}

fn read_note(dir: &Path, tenant: u32, date: Date) -> io::Result<(u64, String)> {
    let path = file(dir, tenant, date, CHECKPOINT);
    let mut text = String::new();
    File::open(&path)?.take(NOTE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    let damaged =
        |what: String| io::Error::other(format!("{} is not the head that was set aside: {what}", path.display()));
    let note = Note::parse(text.as_bytes()).map_err(|error| damaged(error.to_string()))?;
    let head = note.text.parse::<Checkpoint>().map_err(|error| damaged(error.to_string()))?;
    Ok((head.size, text))
}

impl Ledger {
    /// The heads of a tenant that have to be stamped, oldest first; sets today's aside if the history grew since the last.
    /// Blocking.
    ///
    /// # Errors
    /// What the disk said.
    pub fn timestamps_due(&self, tenant: TenantId) -> io::Result<Vec<Due>> {
        let stamps = &self.0.evidence.timestamps;
        let Some(head) = self.last_head(tenant) else { return Ok(vec![]) };
        let _held = self.0.evidence.held()?;
        let now = Timestamp::from_microsecond(self.0.clock.now().0).map_err(io::Error::other)?;
        let today = now.to_zoned(TimeZone::UTC).date();
        let mut books = stamps.books.lock();
        let book = books.entry(tenant.0).or_default();
        if head.size > book.last_size && book.days.last_key_value().is_none_or(|(last, _)| *last < today) {
            heads::write(&folder(&stamps.dir, tenant.0), &format!("{today}.{CHECKPOINT}"), head.note.as_bytes())?;
            book.days.insert(today, false);
            book.last_size = head.size;
        }
        let waiting = book.days.iter().rev().filter(|(_, is_stamped)| !**is_stamped).take(WAITING_MAX);
        let waiting: Vec<Date> = waiting.map(|(date, _)| *date).collect();
        drop(books);
        let due = waiting.into_iter().rev().map(|date| {
            let (_, note) = read_note(&stamps.dir, tenant.0, date)?;
            Ok(Due { date, note })
        });
        due.collect()
    }

    /// Keeps an answer that was found good. Blocking.
    ///
    /// # Errors
    /// What the disk said.
    pub fn keep_timestamp(&self, tenant: TenantId, date: Date, response: &[u8]) -> io::Result<()> {
        let stamps = &self.0.evidence.timestamps;
        let _held = self.0.evidence.held()?;
        heads::write(&folder(&stamps.dir, tenant.0), &format!("{date}.{RESPONSE}"), response)?;
        stamps.books.lock().entry(tenant.0).or_default().days.insert(date, true);
        stamps.is_refused.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Remembers that the authority's answer was none.
    pub fn no_timestamp_came(&self) {
        self.0.evidence.timestamps.is_refused.store(true, Ordering::Relaxed);
    }

    /// How many heads wait for their timestamp, if the authority's last answer was none.
    #[must_use]
    pub fn timestamps_waiting(&self) -> Option<usize> {
        let stamps = &self.0.evidence.timestamps;
        stamps.is_refused.load(Ordering::Relaxed).then(|| stamps.waiting())
    }

    /// The last days up to a date, newest first, at most 100. Blocking.
    ///
    /// # Errors
    /// When there is no such tenant, or a file is not what was kept.
    pub fn timestamps(&self, tenant: TenantId, to: Option<Date>) -> Result<Vec<Stamp>, ReadError> {
        self.head(tenant)?;
        let stamps = &self.0.evidence.timestamps;
        let days: Vec<(Date, bool)> = {
            let books = stamps.books.lock();
            let days = books.get(&tenant.0).map(|book| &book.days).into_iter().flatten();
            let days = days.map(|(date, is_stamped)| (*date, *is_stamped)).rev();
            days.filter(|(date, _)| to.is_none_or(|to| *date <= to)).take(DAYS_MAX).collect()
        };
        let broken = |error: &dyn std::fmt::Display| ReadError::Log(format!("a timestamp: {error}"));
        let read = days.into_iter().map(|(date, is_stamped)| {
            let (size, note) = read_note(&stamps.dir, tenant.0, date).map_err(|error| broken(&error))?;
            let path = file(&stamps.dir, tenant.0, date, RESPONSE);
            let response = is_stamped.then(|| fs::read(path)).transpose().map_err(|error| broken(&error))?;
            let timed = response.map(|response| {
                let time = check_kept(&response, note.as_bytes(), None).map_err(|error| broken(&error))?;
                Ok((response, time))
            });
            Ok(Stamp { date, size, response: timed.transpose()?, note })
        });
        read.collect()
    }
}

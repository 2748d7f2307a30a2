//! A backup back into a data folder, or only looked at. Everything in it is checked before it stands under a name that a
//! service would open, and a refusal leaves nothing behind. What is restored may be older than what was acknowledged, so
//! it is a new log: it gets an id of its own, and a file that tells the next start to say so in its first events.

use super::backup::{ABOUT, About, FORMAT, Hashing, SUMS};
use super::verify::{Verification, check_keys, verify};
use crate::domain::state::Token;
use crate::domain::time::Time;
use crate::log::{
    Damage, OpenError, Progress, RESTORING, RestoredMark, check_version, is_in_backups, start_new_origin,
};
use crate::vault::{KEYS_FILE, MASTER_KEY_FILE, MasterKeySource, VaultError};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What may stand in a folder that is called empty: our lock, what a cut restore left, and what a file system makes.
const NOTHING: &[&str] = &["LOCK", RESTORING, "lost+found"];
/// `backup.json` and the sums are read into memory: a sum takes about a hundred bytes a segment.
const SMALL_BYTES_MAX: u64 = 16 << 20;

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(
        "{dir} is not empty (it holds {found}). Restore into a folder of its own, or take away what stands in it if that is \
         not needed; nothing was changed"
    )]
    NotEmpty { dir: String, found: String },
    #[error("{dir} is in use by another seatledger; nothing was changed")]
    InUse { dir: String },
    /// What was read is no whole backup.
    #[error("the backup is not usable: {0}")]
    Unusable(String),
    /// Every file is what was written, and what was written is no sound ledger.
    #[error("the backup holds a log that is not whole: {0}")]
    NotWhole(Box<Damage>),
    #[error("{0}")]
    OtherVersion(OpenError),
    /// The backup may be good: who asks has to give another key, or none.
    #[error("whether what the backup holds is whole can't be told: {0}")]
    Key(VaultError),
    /// That the keys of another backup are this ledger's shows when they open its seals.
    #[error("keys of another backup are taken only with their master key, which is not in it and was not named")]
    NoMasterKey,
    /// What was to give its keys gives none that fit.
    #[error("the backup that the keys are to come from {0}")]
    OthersKeys(String),
    #[error("{doing} failed: {error}")]
    Io { doing: String, error: io::Error },
}

impl RestoreError {
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |error| Self::Io { doing, error }
    }
}

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    pub about: About,
    /// The id of the new log.
    pub log_id: [u8; 16],
    pub seen: Verification,
    /// The backup that the keys are from, where they are not from the same one.
    pub keys_from: Option<About>,
}

impl Restored {
    /// Whether the folder has a master key of its own.
    #[must_use]
    pub fn is_master_key_inside(&self) -> bool {
        self.keys_from.as_ref().unwrap_or(&self.about).is_master_key_inside
    }

    /// What opens the restored ledger at this instant, with the tenant that it opens: also what was revoked after the backup.
    pub fn tokens_at(&self, now: Time) -> impl Iterator<Item = (&str, &Token)> {
        let tokens =
            self.seen.tenants.iter().flat_map(|tenant| tenant.tokens.iter().map(move |token| (&*tenant.slug, token)));
        tokens.filter(move |(_, token)| token.is_good_at(now))
    }
}

/// Reads a backup to its end and compares every file with its sum. Writes nothing.
///
/// # Errors
/// When it is not whole.
pub fn check(from: &mut dyn Read, bytes: u64, progress: &dyn Progress) -> Result<About, RestoreError> {
    read_archive(from, bytes, progress, &mut |_, content| io::copy(content, &mut io::sink()).map(|_| ()))
}

/// Restores a backup of so many bytes into a folder that is empty or not there yet. With a master key the seals are
/// opened, too.
///
/// # Errors
/// See [`RestoreError`]; the folder is as it was then.
pub fn restore(
    from: &mut dyn Read,
    bytes: u64,
    dir: &Path,
    master_key: Option<&MasterKeySource>,
    progress: &dyn Progress,
) -> Result<Restored, RestoreError> {
    restore_with(from, bytes, None, dir, master_key, progress)
}

/// A later backup of the same ledger, of so many bytes.
pub struct KeysFrom<'r> {
    pub from: &'r mut dyn Read,
    pub bytes: u64,
}

/// The same, with all keys from another backup if there is one: after a change of the master key that one's can be opened, and who
/// was erased between the two has no name in it. No key of the older one reaches the folder.
///
/// # Errors
/// See [`RestoreError`]; the folder is as it was then.
pub fn restore_with(
    from: &mut dyn Read,
    bytes: u64,
    keys_from: Option<KeysFrom<'_>>,
    dir: &Path,
    master_key: Option<&MasterKeySource>,
    progress: &dyn Progress,
) -> Result<Restored, RestoreError> {
    let mut place = Place::take(dir)?;
    let aside = dir.join(RESTORING);
    std::fs::create_dir_all(aside.join("journal")).map_err(RestoreError::io(format!("making {}", aside.display())))?;
    // one after the other: a log may have more segments than a process may have files open
    let copy = |name: &str, content: &mut dyn Read| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside.join(name))?;
        io::copy(content, &mut file)?;
        file.sync_all()
    };
    let skip = |content: &mut dyn Read| io::copy(content, &mut io::sink()).map(|_| ());
    let is_key = |name: &str| [KEYS_FILE, MASTER_KEY_FILE].contains(&name);
    let are_keys_elsewhere = keys_from.is_some();
    let about = read_archive(from, bytes, progress, &mut |name, content| {
        if are_keys_elsewhere && is_key(name) { skip(content) } else { copy(name, content) }
    })?;
    let keys_from = keys_from.map(|keys| {
        let read = read_archive(keys.from, keys.bytes, progress, &mut |name, content| {
            if is_key(name) { copy(name, content) } else { skip(content) }
        });
        judge_keys(read, &about, master_key.is_some())
    });
    let keys_from = keys_from.transpose()?;
    let has_own = keys_from.as_ref().unwrap_or(&about).is_master_key_inside;
    let inside = has_own.then_some(MasterKeySource::DataFolder);
    let master_key = inside.as_ref().or(master_key);
    check_version(&aside).map_err(RestoreError::OtherVersion)?;
    check_keys(&aside, master_key).map_err(RestoreError::Key)?;
    let seen = verify(&aside, master_key, false, progress);
    if let Some(first) = seen.findings.first() {
        if are_keys_elsewhere {
            let what = format!("is no later one of the same ledger, or one of both is damaged; with its keys: {first}");
            return Err(RestoreError::OthersKeys(what));
        }
        return Err(RestoreError::NotWhole(Box::new(first.clone())));
    }
    if hex::encode(seen.log.log_id.unwrap_or_default()) != about.log_id || seen.log.last_group != about.last_group {
        return Err(RestoreError::Unusable(format!("{ABOUT} speaks of another log than the one in it")));
    }
    let log_id = begin_anew(&aside, &seen).map_err(RestoreError::io("beginning the new log"))?;
    move_up(&aside, dir).map_err(RestoreError::io(format!("moving the files into {}", dir.display())))?;
    place.is_taken = true;
    Ok(Restored { about, log_id, seen, keys_from })
}

/// Whether another backup's keys may be tried. A restored ledger has an id of its own, so another one is not another ledger.
fn judge_keys(read: Result<About, RestoreError>, about: &About, is_key_named: bool) -> Result<About, RestoreError> {
    let keys = match read {
        Err(RestoreError::Unusable(what)) => return Err(RestoreError::OthersKeys(format!("is not usable: {what}"))),
        read => read?,
    };
    if keys.log_id == about.log_id && keys.last_group < about.last_group {
        let what =
            format!("is older: it ends with group {}, and the other one with {}", keys.last_group, about.last_group);
        return Err(RestoreError::OthersKeys(what));
    }
    if !keys.is_master_key_inside && !is_key_named {
        return Err(RestoreError::NoMasterKey);
    }
    Ok(keys)
}

/// Draws the id of the new log, and notes what its first events have to say.
fn begin_anew(aside: &Path, seen: &Verification) -> io::Result<[u8; 16]> {
    let log_id_before = seen.log.log_id.unwrap_or_default();
    let log_id = start_new_origin(aside)?;
    let heads = seen.log.tenants.iter().map(|(tenant, (head, _))| (*tenant, head.next_position)).collect();
    RestoredMark { log_id_before, log_id, heads }.write(aside)?;
    Ok(log_id)
}

/// `READY` comes last: a folder without it is never served.
fn move_up(aside: &Path, dir: &Path) -> io::Result<()> {
    File::open(aside.join("journal"))?.sync_all()?;
    File::open(aside)?.sync_all()?;
    let mut names = vec![];
    for entry in std::fs::read_dir(aside)? {
        names.push(entry?.file_name());
    }
    names.sort_by_key(|name| name == "READY");
    for name in names {
        if name == "READY" {
            File::open(dir)?.sync_all()?;
        }
        std::fs::rename(aside.join(&name), dir.join(&name))?;
    }
    std::fs::remove_dir(aside)?;
    File::open(dir)?.sync_all()?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(parent).and_then(|parent| parent.sync_all()) {
        // somebody else made the folder for us, in a place that we may not look at
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome,
    }
}

/// Whether a restore puts something of this name into the folder. The master key is told of instead: it may be a copy that
/// somebody put there.
fn is_of_a_log(name: &str) -> bool {
    is_in_backups(name) || ["journal", "restored.json", KEYS_FILE].contains(&name)
}

/// The folder to restore into, kept from others while this is held, and emptied again if it comes to nothing.
struct Place {
    dir: PathBuf,
    was_there: bool,
    is_taken: bool,
    _lock: File,
}

impl Place {
    fn take(dir: &Path) -> Result<Self, RestoreError> {
        let was_there = dir.exists();
        let io = || RestoreError::io(format!("making {}", dir.display()));
        std::fs::create_dir_all(dir).map_err(io())?;
        // between a restore's first rename and its last one
        let is_half = dir.join(RESTORING).is_dir() && !dir.join("READY").exists();
        for entry in std::fs::read_dir(dir).map_err(io())? {
            let name = entry.map_err(io())?.file_name();
            let is_ours = is_half && name.to_str().is_some_and(is_of_a_log);
            if !is_ours && !NOTHING.iter().any(|nothing| name == **nothing) {
                let (dir, found) = (dir.display().to_string(), name.to_string_lossy().into_owned());
                return Err(RestoreError::NotEmpty { dir, found });
            }
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("LOCK")).map_err(io())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RestoreError::InUse { dir: dir.display().to_string() }),
            Err(TryLockError::Error(error)) => return Err(io()(error)),
        }
        let place = Self { dir: dir.to_path_buf(), was_there, is_taken: false, _lock: lock };
        place.clear().map_err(io())?;
        Ok(place)
    }

    /// Takes away what stands there: it was found empty, so all of it is ours.
    fn clear(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if ["LOCK", "lost+found"].iter().any(|kept| entry.file_name() == *kept) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let cleared = self
            .clear()
            .and_then(|()| std::fs::remove_file(self.dir.join("LOCK")))
            .and_then(|()| if self.was_there { Ok(()) } else { std::fs::remove_dir(&self.dir) });
        if let Err(error) = cleared {
            tracing::warn!(%error, dir = %self.dir.display(), "what a restore left behind could not be removed");
        }
    }
}

/// Takes a file's name and all of its content.
type Sink<'s> = dyn FnMut(&str, &mut dyn Read) -> io::Result<()> + 's;

/// Reads the archive; every file goes to `sink`, and its sum is compared at the end.
fn read_archive(
    from: &mut dyn Read,
    total: u64,
    progress: &dyn Progress,
    sink: &mut Sink<'_>,
) -> Result<About, RestoreError> {
    let unusable = |what: String| RestoreError::Unusable(what);
    let unreadable = |error: io::Error| RestoreError::Unusable(format!("it can't be read: {error}"));
    let mut archive = tar::Archive::new(from);
    let (mut seen, mut small): (BTreeMap<String, String>, BTreeMap<String, Vec<u8>>) = Default::default();
    let mut done = 0;
    // raw: no long names, links or attributes; a backup has none of them
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_known = is_in_backups(&name) || [ABOUT, SUMS, KEYS_FILE, MASTER_KEY_FILE].contains(&name.as_str());
        if !is_known || !entry.header().entry_type().is_file() {
            return Err(unusable(format!("{name:?} does not belong into a backup")));
        }
        if small.contains_key(SUMS) || seen.contains_key(&name) {
            return Err(unusable(format!("{name} stands in it twice, or behind the sums")));
        }
        let size = entry.size();
        let is_small = [ABOUT, SUMS].contains(&name.as_str());
        if is_small && size > SMALL_BYTES_MAX {
            return Err(unusable(format!("{name} has {size} bytes, which is too much")));
        }
        let mut kept = vec![];
        let mut from = Hashing { from: &mut entry, hash: Sha256::new(), bytes: 0 };
        if is_small {
            from.read_to_end(&mut kept).map_err(unreadable)?;
        } else {
            sink(&name, &mut from).map_err(RestoreError::io(format!("copying {name} out of the backup")))?;
        }
        if from.bytes != size {
            return Err(unusable(format!("it is cut off in {name}")));
        }
        done += size;
        progress.step("reading the backup", done, total.max(done));
        let sum = hex::encode(from.hash.finalize());
        if is_small {
            small.insert(name.clone(), kept);
        }
        if name != SUMS {
            seen.insert(name, sum);
        }
    }
    let sums = small.get(SUMS).ok_or_else(|| unusable(format!("it is cut off: {SUMS} is missing")))?;
    compare(sums, &seen).map_err(RestoreError::Unusable)?;
    let about = small.get(ABOUT).ok_or_else(|| unusable(format!("{ABOUT} is missing")))?;
    let about: About = serde_json::from_slice(about).map_err(|error| unusable(format!("{ABOUT}: {error}")))?;
    if about.format != FORMAT {
        return Err(unusable(format!("it has format {}, and this program reads {FORMAT}", about.format)));
    }
    Ok(about)
}

/// What is listed must be there as it is listed, and nothing else.
fn compare(sums: &[u8], seen: &BTreeMap<String, String>) -> Result<(), String> {
    let text = std::str::from_utf8(sums).map_err(|_| format!("{SUMS} is no text"))?;
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let (sum, name) = line.split_once("  ").ok_or_else(|| format!("{SUMS} has a line that is none"))?;
        listed.insert(name.to_owned(), sum.to_owned());
    }
    for (name, sum) in &listed {
        match seen.get(name) {
            None => return Err(format!("{name} is missing")),
            Some(found) if found != sum => return Err(format!("{name} is not what was written")),
            Some(_) => {}
        }
    }
    match seen.keys().find(|name| !listed.contains_key(*name)) {
        Some(name) => Err(format!("{name} has no sum in {SUMS}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;

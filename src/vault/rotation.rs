//! Another master key for a stopped data folder: every subject's key is wrapped anew, so that the old master key opens nothing but
//! old backups, and nothing at all once it is destroyed. Not here: the form of the key file (`keys.rs`).
//!
//! ```text
//! 1  subject.keys.next, durable        2  master.key.next, durable (or the file that was named for it)
//! 3  subject.keys.next becomes subject.keys        4  master.key.next becomes master.key
//! ```
//! The third step is the change: before it the old pair is in force, and an opening takes away what stands beside it; behind it the
//! new one is, and an opening makes the fourth step.

use super::keys::{FILE_NAME, KeyFile};
use super::master::{FILE_NAME as MASTER_KEY_FILE, draw, from_file, text};
use super::once::sync_folder_of;
use super::{MasterKeySource, Secret, VaultError};
use std::ffi::OsString;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

/// Why the master key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(
        "{bytes} bytes of {path} are not whole. A start of the service tells whether a cut left them or they are damaged: start it \
         once, stop it, and change the key then. Nothing was changed"
    )]
    Torn { path: PathBuf, bytes: u64 },
    #[error(
        "the master key comes from the environment or from a command, where a new one can't be put: name a file for it (--to). \
         Nothing was changed"
    )]
    NoPlace,
    #[error(
        "the new master key takes the place of the old one in {path}; --to is for one that is in no file. Nothing was changed"
    )]
    TwoPlaces { path: PathBuf },
    #[error("{path} is there already; name another file for the new master key. Nothing was changed")]
    Taken { path: PathBuf },
    #[error(
        "{path} is there: a change of the master key that was cut left it, and a data folder may need it. Start the service of every \
         folder that has its master key there, and change the key then. Nothing was changed"
    )]
    OthersNext { path: PathBuf },
    #[error("the new keys can't be written: {doing} failed: {error}. The old ones are in force")]
    Unwritten { doing: String, error: io::Error },
    #[error(
        "{doing} failed: {error}. The new keys may be in force already, and the new master key is in {at}: keep it as well as the \
         old one until the service has started"
    )]
    Unfinished { doing: String, error: io::Error, at: PathBuf },
}

/// What a change of the master key has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The file with the new key.
    pub at: PathBuf,
    /// How often the master key was changed by now.
    pub generation: u32,
    pub subjects: u64,
    pub erased: u64,
}

/// The master key that a folder's key file was wrapped with, and whether it waits beside its file still. If none fits, it is the
/// one in its place, and whoever reads the key file says that.
pub(super) fn in_force(dir: &Path, source: &MasterKeySource) -> Result<(Secret, bool), VaultError> {
    let master = source.load(dir, false)?;
    let fits = |key: &Secret| KeyFile::check_master(&dir.join(FILE_NAME), key);
    if let (Err(VaultError::WrongMasterKey { .. }), Some(file)) = (fits(&master), source.file(dir))
        && let Ok(next) = from_file(&next_to(&file), false)
        && fits(&next).is_ok()
    {
        return Ok((next, true));
    }
    Ok((master, false))
}

/// The file with the folder's own master key, as a copy of the folder needs it.
#[must_use]
pub fn master_key_file(dir: &Path) -> PathBuf {
    let file = dir.join(MASTER_KEY_FILE);
    match in_force(dir, &MasterKeySource::DataFolder) {
        Ok((_, true)) => MasterKeySource::DataFolder.file(dir).map_or(file, |file| next_to(&file)),
        // what is wrong with it says whoever reads it
        Ok((_, false)) | Err(_) => file,
    }
}

/// The master key in force, in a folder that the caller has locked: makes an end of a change that was cut.
pub(super) fn settled(dir: &Path, source: &MasterKeySource) -> Result<Secret, VaultError> {
    let (master, is_beside) = in_force(dir, source)?;
    let keys = dir.join(FILE_NAME);
    let file = source.file(dir);
    match &file {
        Some(file) if is_beside => match take_place(&next_to(file), file) {
            Ok(()) => tracing::warn!(at = %file.display(), "a change of the master key was cut; it is finished now"),
            // the names can be read all the same
            Err(error) => {
                tracing::warn!(%error, at = %file.display(), "the new master key can't take the old one's place");
            }
        },
        Some(_) | None => {}
    }
    if !is_beside && KeyFile::check_master(&keys, &master).is_ok() {
        let io = |error| VaultError::Io { doing: format!("removing what a cut left beside {}", keys.display()), error };
        take_back(&keys, file.as_deref()).map_err(io)?;
    }
    Ok(master)
}

/// Removes what a change left that came to nothing. It holds keys of people who may be erased later, so it must not stay. A key
/// file may serve several folders: a next key is taken away only if it was made for the keys here.
fn take_back(keys: &Path, file: Option<&Path>) -> io::Result<()> {
    let keys_next = next_to(keys);
    if !keys_next.try_exists()? {
        return Ok(());
    }
    if let Some(master_next) = file.map(next_to)
        && master_next.try_exists()?
        && from_file(&master_next, false).map_or(true, |next| KeyFile::check_master(&keys_next, &next).is_ok())
    {
        remove(&master_next)?;
    }
    remove(&keys_next)?;
    tracing::warn!(path = %keys.display(), "a change of the master key was cut before it was made; the old one is in force");
    Ok(())
}

/// Gives a stopped folder another master key. It takes the old one's place in its file, or goes to `to` where the old one is in
/// none. The caller has locked the folder.
///
/// # Errors
/// See [`RotationError`].
pub fn rotate_master_key(dir: &Path, source: &MasterKeySource, to: Option<&Path>) -> Result<Rotated, RotationError> {
    let keys = dir.join(FILE_NAME);
    let file = source.file(dir);
    let at = match (&file, to) {
        (Some(file), None) => next_to(file),
        (None, Some(to)) => to.to_owned(),
        (Some(path), Some(_)) => return Err(RotationError::TwoPlaces { path: path.clone() }),
        (None, None) => return Err(RotationError::NoPlace),
    };
    let master = settled(dir, source)?;
    let next = draw()?;
    let (bytes, report) = KeyFile::rewrapped(&keys, master, &next)?;
    if report.torn_bytes > 0 {
        return Err(RotationError::Torn { path: keys, bytes: report.torn_bytes });
    }
    may_make(&at, file.is_some())?;
    let old = |path: &Path| fs::metadata(path).map_err(unwritten(path));
    let (owner_of_keys, owner) = (old(&keys)?, file.as_deref().map(old).transpose()?);
    let keys_next = next_to(&keys);
    write(&keys_next, &bytes, Some(&owner_of_keys)).map_err(unwritten(&keys_next))?;
    if let Err(error) = write(&at, text(&next).as_bytes(), owner.as_ref()) {
        given_up(&[&keys_next]);
        return Err(unwritten(&at)(error));
    }
    // as the next start would
    let read = from_file(&at, false).and_then(|stored| KeyFile::inspect(&keys_next, stored));
    match read {
        Ok((_, _, found)) if found == report => {}
        Ok(_) | Err(_) => {
            given_up(&[&at, &keys_next]);
            let doing = "reading them back".to_owned();
            let error = io::Error::other("they are not what was written");
            return Err(RotationError::Unwritten { doing, error });
        }
    }
    let unfinished = |path: &Path| {
        let doing = format!("putting {} into its place", path.display());
        let at = at.clone();
        move |error| RotationError::Unfinished { doing, error, at }
    };
    take_place(&keys_next, &keys).map_err(unfinished(&keys_next))?;
    if let Some(file) = &file {
        take_place(&at, file).map_err(unfinished(&at))?;
    }
    tracing::warn!(generation = report.generation, "the master key was changed");
    let at = file.unwrap_or(at);
    Ok(Rotated { at, generation: report.generation, subjects: report.subjects, erased: report.erased })
}

fn next_to(path: &Path) -> PathBuf {
    let mut next = OsString::from(path);
    next.push(".next");
    next.into()
}

/// That nothing stands where the new master key goes, but for one that a cut tore: nobody needs that.
fn may_make(at: &Path, is_beside_a_key: bool) -> Result<(), RotationError> {
    match fs::symlink_metadata(at) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(_) if is_beside_a_key && from_file(at, false).is_err() => fs::remove_file(at).map_err(unwritten(at)),
        Ok(_) if is_beside_a_key => Err(RotationError::OthersNext { path: at.to_owned() }),
        Ok(_) => Err(RotationError::Taken { path: at.to_owned() }),
        Err(error) => Err(unwritten(at)(error)),
    }
}

fn unwritten(path: &Path) -> impl FnOnce(io::Error) -> RotationError {
    let doing = format!("writing {}", path.display());
    move |error| RotationError::Unwritten { doing, error }
}

/// Makes a file for its owner alone, durable; nothing is left of one that could not be written. The owner is that of the file
/// whose place it takes: root may run this, and the service must be able to read it.
fn write(path: &Path, content: &[u8], like: Option<&Metadata>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let own = file.metadata()?;
    let written = match like.filter(|like| (like.uid(), like.gid()) != (own.uid(), own.gid())) {
        Some(like) => fchown(&file, Some(like.uid()), Some(like.gid())),
        None => Ok(()),
    };
    let written = written
        .and_then(|()| file.write_all(content))
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_folder_of(path));
    if written.is_err() {
        given_up(&[path]);
    }
    written
}

/// What can't be removed an opening removes.
fn given_up(paths: &[&Path]) {
    for path in paths {
        if let Err(error) = remove(path) {
            tracing::warn!(%error, path = %path.display(), "a key that came to nothing can't be removed");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_folder_of(path)
}

fn take_place(next: &Path, path: &Path) -> io::Result<()> {
    fs::rename(next, path)?;
    sync_folder_of(path)
}

#[cfg(test)]
mod tests;

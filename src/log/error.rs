//! What can go wrong with the log, in words for the person who is called at night: what is wrong, where, what it means
//! for the data, and what to do. Not here: finding it out.

use std::fmt;
use std::io;
use std::path::Path;

/// Why the log can't be opened or read as a whole. Nothing was changed or deleted on the way to such an error, unless
/// its text says so.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the data folder {dir} is in use by another seatledger (its file LOCK is locked). Stop the other one, or give \
         this one a folder of its own"
    )]
    Locked { dir: String },

    /// What was acknowledged is not there any more: serving on would take it back without anybody noticing.
    #[error(
        "the end of the log is missing: {missing}. Everything up to group {journal_group} is there and was left as it \
         is, but later groups were acknowledged, so the service does not start. Put the missing files of {dir} back, \
         or run `seatledger restore` with the newest backup into an empty folder"
    )]
    LostTail { dir: String, missing: String, journal_group: u64 },

    #[error(
        "the journal has a hole: {missing} missing. Put the file back from where it went, or run `seatledger restore` \
         with a backup that holds it into an empty folder; the other segments are left as they are"
    )]
    MissingSegment { missing: String },

    #[error(
        "{file} names no finished checkpoint: {what}. Without it nobody can tell whether the journal is whole. Run \
         `seatledger verify` to see what is there, and `seatledger restore` with the newest backup into an empty folder"
    )]
    NoAnchor { file: String, what: String },

    /// Nothing of the backup is served yet, so nothing is lost.
    #[error(
        "a restore into {dir} did not end: it left {found}, and the folder is not ready. Nothing was changed. Run `seatledger \
         restore` again, into this folder or an empty one"
    )]
    HalfRestored { dir: String, found: String },

    /// Whoever restores a backup instead loses what was acknowledged since.
    #[error(
        "{file} was written by another version of seatledger ({version}; this one reads {reads}). Nothing is damaged, and \
         nothing was changed: use a version that reads it"
    )]
    OtherVersion { file: String, version: String, reads: String },

    /// Bytes that were whole once are not what was written.
    #[error(
        "{0}. The disk or another program changed bytes that were written whole. Keep a copy of the folder, check the \
         disk, and run `seatledger restore` with the newest backup into an empty folder"
    )]
    Corrupt(Damage),

    /// Nothing of a ledger was looked at yet.
    #[error(
        "{dir} can't be a data folder: {error}. Nothing was read or written: name a folder that is there, or a place where one can \
         be made"
    )]
    NoFolder { dir: String, error: io::Error },

    /// The disk said no. That is no damage: the same folder opens when the cause is gone.
    #[error("{doing} failed: {error}. {}", advice(.error))]
    Io { doing: String, error: io::Error },

    #[error(
        "the read log (folder sled) has to be rebuilt because {why}, but the journal's segments {dropped} were dropped \
         by the retention setting. Restore the backup that holds them; nothing was removed"
    )]
    RebuildNeedsBackup { why: String, dropped: String },

    #[error(
        "the self-test of the read log failed: {what}. This build does not sync sled's writes to the disk, so it must \
         not serve"
    )]
    SelfTest { what: String },
}

fn advice(error: &io::Error) -> &'static str {
    if is_no_room(error) {
        "The disk is full: nothing is damaged. Make room (never by deleting files of this folder) and start again"
    } else if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) {
        "The service's account must be able to read and write the data folder. Nothing is damaged"
    } else {
        "Nothing was acknowledged after that. Look at the machine's own log for the disk, then start again"
    }
}

pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Neither the process nor the machine has a file descriptor left: nothing was opened, so nothing was written.
pub(crate) fn is_no_descriptor(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

impl OpenError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> OpenError {
        let doing = doing.into();
        move |error| OpenError::Io { doing, error }
    }

    /// Why a folder can't be taken, before anything is looked at: a wrong path is none of the disk's faults.
    pub(crate) fn folder(dir: &Path, error: io::Error) -> OpenError {
        use io::ErrorKind::{AlreadyExists, InvalidFilename, InvalidInput, NotADirectory, NotFound};
        let dir = dir.display().to_string();
        if matches!(error.kind(), AlreadyExists | InvalidFilename | InvalidInput | NotADirectory | NotFound) {
            return OpenError::NoFolder { dir, error };
        }
        OpenError::Io { doing: format!("making {dir}"), error }
    }

    pub(crate) fn corrupt(file: impl Into<String>, what: impl Into<String>) -> OpenError {
        OpenError::Corrupt(Damage { file: file.into(), what: what.into(), ..Damage::default() })
    }
}

/// One place where stored bytes are not what was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    pub file: String,
    /// Where in the file, in bytes.
    pub offset: Option<u64>,
    pub group: Option<u64>,
    /// The first record that can't be trusted, as far as it can be told.
    pub tenant: Option<u32>,
    pub position: Option<u64>,
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is damaged", self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.what)?;
        if let (Some(tenant), Some(position)) = (self.tenant, self.position) {
            write!(f, "; the first bad record is position {position} of tenant {tenant}")?;
        }
        if let Some(group) = self.group {
            write!(f, " (group {group})")?;
        }
        Ok(())
    }
}

/// How much may be written to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Ample,
    /// Below the floor: what gives seats back is taken, the rest waits.
    Low,
    /// Below a quarter of the floor: nothing is taken. What is left is for one segment and for opening sled.
    None,
}

/// Why a group was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was written. The same group may be tried again when there is room.
    #[error("too little free disk space: {free_bytes} bytes are left")]
    DiskLow { free_bytes: u64 },
    /// Whether the group is on the disk is not known. Nothing may be acknowledged any more; the process must end, and a
    /// start finds out.
    #[error("the log stopped: {0}")]
    Fatal(String),
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Neither sled nor the journal has the records in one piece.
    #[error("{0}")]
    Damaged(Damage),
    #[error("reading the log failed: {0}")]
    Io(String),
}

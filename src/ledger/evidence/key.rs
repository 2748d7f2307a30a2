//! The key with which the log signs its heads: 32 bytes of an Ed25519 secret. It comes from a file or the environment, is
//! written nowhere else, and is never shown. While it is being changed, the next one stands beside it. Not here: signing,
//! and what a change has to do (`rotation.rs`).

use crate::vault::make_once;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file in the data folder, where nothing else is configured.
pub const LOG_KEY_FILE: &str = "log.key";
/// A key file is read this far.
const FILE_BYTES_MAX: u64 = 4096;

/// Behind the key file's name while the key is being changed.
const NEXT: &str = ".next";
/// The same, where the old key can sign nothing any more.
const NEXT_OF_LOST: &str = ".next-of-lost";
/// Behind the name of a next key of which nothing came: the current one was lost before it could sign that it takes its place.
const GIVEN_UP: &str = ".next-given-up";
/// Behind the name while it is being changed, either way.
pub(super) const NEXTS: [&str; 2] = [NEXT, NEXT_OF_LOST];

pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// How the key is to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The old key signs that the new one takes its place.
    SignedByOld,
    /// The old key is gone, so nobody can show that the new one is the same log's.
    OldIsLost,
}

/// What a ledger signs with.
pub(super) struct LogKey {
    /// `None` only where the old key is lost.
    pub(super) current: Option<Secret>,
    pub(super) next: Option<NextKey>,
}

/// The key that is to take the place of the current one. It does once its file has the name of that one.
pub(super) struct NextKey {
    pub(super) secret: Secret,
    pub(super) is_old_lost: bool,
    file: PathBuf,
    becomes: PathBuf,
}

impl NextKey {
    /// From here on it is the log's key, and the old one is gone.
    pub(super) fn take_its_place(&self) -> io::Result<()> {
        std::fs::rename(&self.file, &self.becomes)?;
        sync_folder_of(&self.becomes)
    }
}

/// Where to get the key from. It is written as 64 hexadecimal digits.
#[derive(Clone, Default)]
pub enum LogKeySource {
    /// `log.key` in the data folder, made at the first start with mode 0600.
    #[default]
    DataFolder,
    /// A file elsewhere; made at the first start likewise.
    File(PathBuf),
    /// The text itself, as config read it from the environment.
    Text(Zeroizing<String>),
    /// One that is drawn and forgotten, for who opens a ledger and signs nothing.
    Passing,
}

impl std::fmt::Debug for LogKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DataFolder => f.write_str("DataFolder"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Text(_) => f.write_str("Text(..)"),
            Self::Passing => f.write_str("Passing"),
        }
    }
}

impl LogKeySource {
    /// The error is in words, and names no secret.
    pub(crate) fn load(&self, dir: &Path) -> Result<Secret, String> {
        match self {
            Self::DataFolder => from_file(&dir.join(LOG_KEY_FILE)),
            Self::File(path) => from_file(path),
            Self::Text(text) => parse(text).ok_or_else(|| "the log's key is not 64 hexadecimal digits".into()),
            Self::Passing => draw().map_err(|error| format!("no random bytes can be had: {error}")),
        }
    }

    /// The key of a ledger, and the next one where a change was begun or is asked for. A key is made only for a log that has
    /// signed nothing yet.
    pub(super) fn open(&self, dir: &Path, has_signed: bool, asked: Option<Rotation>) -> Result<LogKey, String> {
        let becomes = match self {
            Self::DataFolder => dir.join(LOG_KEY_FILE),
            Self::File(path) => path.clone(),
            Self::Text(_) if asked.is_some() => {
                return Err(
                    "the log's key comes from the environment, where it can't be changed: write it to a file with \
                            mode 0600, name that with log_key_file, and change it then"
                        .into(),
                );
            }
            Self::Text(_) | Self::Passing => return Ok(LogKey { current: Some(self.load(dir)?), next: None }),
        };
        if has_signed && !becomes.exists() {
            // before anything is made that stands for a change that nobody can sign
            if asked != Some(Rotation::OldIsLost) && !beside(&becomes, NEXT_OF_LOST).exists() {
                return Err(lost(&becomes));
            }
            give_up_next(&becomes)?;
        }
        let next = begun_or_asked(&becomes, asked)?;
        let is_old_lost = next.as_ref().is_some_and(|next| next.is_old_lost);
        let current = match (becomes.exists(), has_signed) {
            (false, _) if is_old_lost => None,
            (false, true) => return Err(lost(&becomes)),
            (true, _) | (false, false) => Some(from_file(&becomes)?),
        };
        Ok(LogKey { current, next })
    }
}

fn lost(path: &Path) -> String {
    format!(
        "the log's key {} is not there, and the log has signed heads with it. Put it back from where it is kept: it is in no \
         backup. If it is lost for good, `seatledger rotate-log-key --old-key-lost` makes another one and says so in the \
         history; whoever checks heads has to be given that one",
        path.display()
    )
}

fn beside(becomes: &Path, suffix: &str) -> PathBuf {
    let mut name = becomes.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Sets a next key aside that the lost one was to vouch for, if there is one. Histories may name it already, so it is not the
/// one that is taken now.
fn give_up_next(becomes: &Path) -> Result<(), String> {
    let (next, aside) = (beside(becomes, NEXT), beside(becomes, GIVEN_UP));
    let moved = std::fs::rename(&next, &aside).and_then(|()| sync_folder_of(&aside));
    match moved {
        Ok(()) => {
            tracing::warn!(aside = %aside.display(), "a change of the log's key that was begun with the lost key is given up");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("{} can't be set aside: {error}", next.display())),
    }
}

/// A change that was begun goes on, and no other one begins meanwhile.
fn begun_or_asked(becomes: &Path, asked: Option<Rotation>) -> Result<Option<NextKey>, String> {
    let files = [(beside(becomes, NEXT), false), (beside(becomes, NEXT_OF_LOST), true)];
    let begun = files.iter().find(|(file, _)| file.exists());
    let asked = asked.map(|asked| asked == Rotation::OldIsLost);
    let Some((file, is_old_lost)) = begun.or_else(|| files.iter().find(|(_, lost)| Some(*lost) == asked)) else {
        return Ok(None);
    };
    let (file, is_old_lost, becomes) = (file.clone(), *is_old_lost, becomes.to_path_buf());
    Ok(Some(NextKey { secret: from_file(&file)?, is_old_lost, file, becomes }))
}

fn from_file(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    match File::open(path) {
        Ok(file) => {
            let mut text = Zeroizing::new(String::new());
            let read = file.take(FILE_BYTES_MAX).read_to_string(&mut text);
            read.map_err(|error| format!("the log's key {shown} can't be read: {error}"))?;
            parse(&text).ok_or_else(|| format!("the log's key {shown} is not 64 hexadecimal digits"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path).map_err(|error| format!("the log's key {shown} can't be made: {error}"))?;
            // what stands there, also where somebody else has just made it
            from_file(path)
        }
        Err(error) => Err(format!("the log's key {shown} can't be opened: {error}")),
    }
}

fn create(path: &Path) -> io::Result<()> {
    let secret = draw()?;
    make_once(path, Zeroizing::new(format!("{}\n", hex::encode(&secret[..]))).as_bytes())?;
    tracing::info!(path = %path.display(), "a key for signing the log was made");
    Ok(())
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn draw() -> io::Result<Secret> {
    let mut secret = Secret::default();
    getrandom::fill(&mut secret[..]).map_err(io::Error::other)?;
    Ok(secret)
}

fn parse(text: &str) -> Option<Secret> {
    let mut secret = Secret::default();
    hex::decode_to_slice(text.trim(), &mut secret[..]).ok()?;
    Some(secret)
}

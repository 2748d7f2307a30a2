//! The key with which the log signs its heads: 32 bytes of an Ed25519 secret. It comes from a file or the environment, is
//! written nowhere else, and is never shown. Not here: signing.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The file in the data folder, where nothing else is configured.
pub const LOG_KEY_FILE: &str = "log.key";
/// A key file is read this far.
const FILE_BYTES_MAX: u64 = 4096;

pub(crate) type Secret = Zeroizing<[u8; 32]>;

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
            create(path).map_err(|error| format!("the log's key {shown} can't be made: {error}"))
        }
        Err(error) => Err(format!("the log's key {shown} can't be opened: {error}")),
    }
}

fn create(path: &Path) -> io::Result<Secret> {
    let secret = draw()?;
    let aside = path.with_extension("key.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(Zeroizing::new(format!("{}\n", hex::encode(&secret[..]))).as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    tracing::info!(path = %path.display(), "a key for signing the log was made");
    Ok(secret)
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

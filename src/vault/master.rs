//! Where the master key comes from: a file of its own, the environment, or a command. It is never written anywhere else.

use super::{Secret, VaultError, make_once};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// The file in the data folder, where nothing else is configured.
pub const FILE_NAME: &str = "master.key";
/// A command's answer is read this far.
const COMMAND_BYTES_MAX: u64 = 4096;

/// Where to get the master key from. It is 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Default)]
pub enum MasterKeySource {
    /// `master.key` in the data folder, made at the first start with mode 0600.
    #[default]
    DataFolder,
    /// A file elsewhere; made at the first start likewise.
    File(PathBuf),
    /// The text itself, as config read it from the environment.
    Text(Zeroizing<String>),
    /// What a command prints, for a key service.
    Command(Vec<String>),
}

impl std::fmt::Debug for MasterKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DataFolder => f.write_str("DataFolder"),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Text(_) => f.write_str("Text(..)"),
            Self::Command(argv) => write!(f, "Command({:?})", argv.first()),
        }
    }
}

impl MasterKeySource {
    pub(super) fn load(&self, dir: &Path, may_create: bool) -> Result<Secret, VaultError> {
        match self {
            Self::DataFolder => from_file(&dir.join(FILE_NAME), may_create),
            Self::File(path) => from_file(path, may_create),
            Self::Text(text) => parse(text.as_bytes(), "from the environment"),
            Self::Command(argv) => from_command(argv),
        }
    }

    /// The file that it is in, behind links: what takes its place must not take a link's.
    pub(super) fn file(&self, dir: &Path) -> Option<PathBuf> {
        let path = match self {
            Self::DataFolder => dir.join(FILE_NAME),
            Self::File(path) => path.clone(),
            Self::Text(_) | Self::Command(_) => return None,
        };
        Some(path.canonicalize().unwrap_or(path))
    }
}

pub(super) fn from_file(path: &Path, may_create: bool) -> Result<Secret, VaultError> {
    let shown = format!("in {}", path.display());
    match File::open(path) {
        Ok(file) => {
            let mut text = Zeroizing::new(vec![]);
            let read = file.take(COMMAND_BYTES_MAX).read_to_end(&mut text);
            read.map_err(|error| VaultError::Io { doing: format!("reading {}", path.display()), error })?;
            parse(&text, &shown)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_create => {
            create(path)?;
            // what stands there, also where somebody else has just made it
            from_file(path, false)
        }
        Err(error) => Err(VaultError::Io { doing: format!("opening the master key {}", path.display()), error }),
    }
}

fn create(path: &Path) -> Result<(), VaultError> {
    let io = |error| VaultError::Io { doing: format!("making the master key {}", path.display()), error };
    make_once(path, text(&draw()?).as_bytes()).map_err(io)
}

pub(super) fn draw() -> Result<Secret, VaultError> {
    let mut key: Secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut key[..])
        .map_err(|error| VaultError::MasterKey { what: format!("could not be drawn: {error}") })?;
    Ok(key)
}

/// As it stands in a file.
pub(super) fn text(key: &Secret) -> Zeroizing<String> {
    let mut line = Zeroizing::new(hex::encode(&key[..]));
    line.push('\n');
    line
}

fn from_command(argv: &[String]) -> Result<Secret, VaultError> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| VaultError::MasterKey { what: "command is empty".into() })?;
    let io = |error| VaultError::Io { doing: format!("running the master key command {program}"), error };
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(io)?;
    let mut text = Zeroizing::new(vec![]);
    if let Some(stdout) = child.stdout.take() {
        stdout.take(COMMAND_BYTES_MAX).read_to_end(&mut text).map_err(io)?;
    }
    let status = child.wait().map_err(io)?;
    if !status.success() {
        return Err(VaultError::MasterKey { what: format!("command {program} ended with {status}") });
    }
    parse(&text, &format!("that {program} printed"))
}

fn parse(text: &[u8], shown: &str) -> Result<Secret, VaultError> {
    let mut key: Secret = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim_ascii(), &mut key[..])
        .map_err(|_| VaultError::MasterKey { what: format!("{shown} is not 64 hexadecimal digits") })?;
    Ok(key)
}

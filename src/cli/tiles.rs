//! A log's tiles for who checks something against them: from a folder that mirrors them, or over HTTP from whoever serves them.
//! What comes is bounded and believed by nobody. Not here: what is checked.

use super::check::{self, KEYS_BYTES_MAX};
use super::client;
use super::exit::{self, Failure};
use super::outside;
use crate::audit::certificate::{Bundles, TilesError};
use crate::merkle::{LogKeys, NOTE_BYTES_MAX, TILE_WIDTH, TileAddress, VerifierKey};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;

/// 256 of the longest records with their lengths.
const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + 65_535);
/// The list of a log's keys, beside its tiles.
const KEYS: &str = "keys";
const KEY_FILE_BYTES_MAX: usize = 64 << 10;
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Where tiles are.
pub(super) enum Tiles {
    Folder(PathBuf),
    /// The prefix, which ends with a slash.
    Url {
        http: reqwest::Client,
        prefix: String,
        token: Option<String>,
    },
}

impl Tiles {
    /// # Errors
    /// When the folder is not there, or no token can be read.
    pub(super) fn open(place: &str, token_file: Option<&Path>) -> Result<Self, Failure> {
        if !place.starts_with("http://") && !place.starts_with("https://") {
            let folder = PathBuf::from(place);
            return if folder.is_dir() {
                Ok(Self::Folder(folder))
            } else {
                Err(Failure::File(format!("{place}: there is no such folder, and it is no http:// address")))
            };
        }
        let http = outside::client([place].into_iter(), None, ANSWER_MAX)?;
        let token = token_file.map(client::read_token).transpose()?;
        Ok(Self::Url { http, prefix: format!("{}/", place.trim_end_matches('/')), token })
    }

    /// The log's key as who serves the tiles says it; a folder has none.
    pub(super) async fn key(&self) -> Result<Option<VerifierKey>, Failure> {
        let Self::Url { http, prefix, token } = self else { return Ok(None) };
        let bytes = fetched(http, prefix, token.as_deref(), "key", NOTE_BYTES_MAX).await?;
        let bytes = bytes.ok_or_else(|| Failure::Unreachable(format!("{prefix}key is not there")))?;
        keys_in(&String::from_utf8_lossy(&bytes)).map(|keys| keys.into_iter().next())
    }

    /// The keys that the log has had, as the mirror or the service says them; `None` where it has no such list. They lead from
    /// a key that is trusted to others, and are trusted for nothing else.
    pub(super) async fn log_keys(&self) -> Result<Option<LogKeys>, Failure> {
        let bytes = match self {
            Self::Folder(folder) => read_file(&folder.join(KEYS), KEYS_BYTES_MAX)
                .map_err(|error: TilesError| Failure::Unreachable(error.to_string()))?,
            Self::Url { http, prefix, token } => fetched(http, prefix, token.as_deref(), KEYS, KEYS_BYTES_MAX).await?,
        };
        let read = bytes.map(|bytes| check::log_keys(&bytes)).transpose();
        read.map_err(|error| {
            Failure::Refused(format!("what the tiles have as {KEYS} is no list of a log's keys: {error}"))
        })
    }

    fn read(&self, address: &TileAddress) -> Result<Option<Vec<u8>>, TilesError> {
        match self {
            Self::Folder(folder) => read_file(&folder.join(address.to_string()), BUNDLE_BYTES_MAX),
            Self::Url { http, prefix, token } => {
                let name = address.to_string();
                let fetched = fetched(http, prefix, token.as_deref(), &name, BUNDLE_BYTES_MAX);
                Handle::current().block_on(fetched).map_err(|failure| TilesError(failure.to_string()))
            }
        }
    }
}

impl Bundles for Tiles {
    fn bundle(&mut self, index: u64, width: u16) -> Result<(Vec<u8>, u16), TilesError> {
        // a log that has grown since may keep the wider ones alone
        let wider: Box<dyn Iterator<Item = u16>> = match self {
            Self::Folder(_) => Box::new(width..=TILE_WIDTH),
            Self::Url { .. } => Box::new([width, TILE_WIDTH].into_iter()),
        };
        for width in wider {
            if let Some(bytes) = self.read(&TileAddress::entries(index, width))? {
                return Ok((bytes, width));
            }
        }
        Err(TilesError(format!("{} is not there", TileAddress::entries(index, width))))
    }
}

fn read_file(path: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, TilesError> {
    let failed = |error: std::io::Error| TilesError(format!("{}: {error}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    within(&path.display(), bytes, bytes_max).map(Some)
}

async fn fetched(
    http: &reqwest::Client,
    prefix: &str,
    token: Option<&str>,
    name: &str,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, Failure> {
    let failed = |error: reqwest::Error| Failure::Unreachable(format!("{prefix}{name}: {error}"));
    let mut request = http.get(format!("{prefix}{name}"));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let mut response = request.send().await.map_err(failed)?;
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    if !response.status().is_success() {
        let said = format!("{prefix}{name}: the answer is {}", response.status());
        let is_of_the_token = matches!(response.status().as_u16(), 401 | 403);
        return Err(if is_of_the_token { Failure::NotAllowed(said) } else { Failure::Unreachable(said) });
    }
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&part);
        if bytes.len() > bytes_max {
            break;
        }
    }
    let read = within(&format!("{prefix}{name}"), bytes, bytes_max);
    read.map(Some).map_err(|error| Failure::Unreachable(error.to_string()))
}

fn within(name: &dyn std::fmt::Display, bytes: Vec<u8>, bytes_max: usize) -> Result<Vec<u8>, TilesError> {
    if bytes.len() > bytes_max { Err(TilesError(format!("{name} has more than {bytes_max} bytes"))) } else { Ok(bytes) }
}

/// Verifier keys: each written out, or a file that has one a line.
///
/// # Errors
/// What is neither.
pub(super) fn keys(texts: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    let mut keys = Vec::new();
    for text in texts {
        if let Ok(key) = text.parse() {
            keys.push(key);
            continue;
        }
        let path = Path::new(text);
        let file =
            File::open(path).map_err(|error| exit::file(path, "is no verifier key and no file of them", error))?;
        let mut read = String::new();
        let whole = file.take(KEY_FILE_BYTES_MAX as u64).read_to_string(&mut read);
        whole.map_err(|error| exit::file(path, "can't be read", error))?;
        keys.extend(keys_in(&read)?);
    }
    Ok(keys)
}

fn keys_in(text: &str) -> Result<Vec<VerifierKey>, Failure> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.parse().map_err(|error| Failure::Usage(format!("{line:?} is no verifier key: {error}"))))
        .collect()
}

//! What the service may be told: defaults, then a file, then the environment, then flags; the last word counts. The only
//! reader of the environment. Not here: what any of it does.

mod environment;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::Dict;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What `serve` runs with.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: PathBuf,
    pub listen: String,
    pub clock: ClockKind,
    pub log_format: LogFormat,
    /// Why names of the environment that look like settings are none.
    #[serde(skip)]
    pub ignored: Vec<String>,
    /// What is logged, as in `info` or `warn,seatledger=debug`.
    pub log: String,
    /// Without one, the first start makes it and writes it to `root.token` in the data folder.
    pub root_token: Option<String>,
    pub master_key: Option<String>,
    pub master_key_file: Option<PathBuf>,
    pub master_key_command: Option<Vec<String>>,
    pub connections_max: usize,
    /// Of one caller, each second; 0 is without limit.
    pub requests_per_second: u32,
    pub stranger_requests_per_second: u32,
    pub body_bytes_max: usize,
    pub bulk_bytes_max: usize,
    /// For the head of a request, and for a connection that says nothing.
    pub head_seconds_max: u64,
    pub request_seconds_max: u64,
    pub drain_seconds_max: u64,
    pub disk_floor_bytes: u64,
    pub segment_bytes: u64,
    pub sled_cache_bytes: u64,
    pub checkpoint_seconds: u32,
    /// The whole log is walked so often while the service goes on, at a tenth of a core; 0 is never.
    pub scrub_seconds: u64,
    /// Stands in every signed head: a URL of whose log it is, without the scheme.
    pub log_name: String,
    pub log_key: Option<String>,
    pub log_key_file: Option<PathBuf>,
    /// A head is signed so often at most while something changes.
    pub sign_seconds: u64,
    /// Who is asked to cosign heads, each a URL and a verifier key with a blank between them.
    pub witnesses: Vec<String>,
    /// So many of them make a head a cosigned one.
    pub witness_quorum: usize,
    /// Certificates by which witnesses with https:// are trusted.
    pub witness_ca: Option<PathBuf>,
    /// A head that waits longer for its quorum is told of.
    pub quorum_seconds_max: u64,
    /// Who stamps a head of each day (RFC 3161).
    pub timestamp_url: Option<String>,
    /// Certificates that must stand behind a timestamp.
    pub timestamp_ca: Option<PathBuf>,
    /// Of store accounts, as JSON by `<tenant>/<provider>`; otherwise they come from the command, or from the data folder.
    pub store_credentials: Option<String>,
    pub store_credentials_command: Option<Vec<String>>,
    /// Certificates by which stores with https:// are trusted.
    pub store_ca: Option<PathBuf>,
    /// Where besides the stores' own addresses an account's settings may lead.
    pub store_urls: Vec<String>,
    /// A sync of each store account is begun by itself so often; 0 is never.
    pub store_sync_seconds: u64,
    /// And no sooner than so long after the last one that was begun by itself, however much a store tells.
    pub store_pause_seconds: u64,
    /// Two complete passes agree on what is gone when so much lies between them: stores answer from copies that are some
    /// minutes old at times, and Apple's word of a change takes up to five.
    pub store_agree_seconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ClockKind {
    System,
    /// Stands still until `POST /v1/clock` advances it: for demos and tests.
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Human,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "ledger-data".into(),
            listen: "127.0.0.1:8080".into(),
            clock: ClockKind::System,
            log_format: LogFormat::Human,
            ignored: vec![],
            log: "info".into(),
            root_token: None,
            master_key: None,
            master_key_file: None,
            master_key_command: None,
            connections_max: 4096,
            requests_per_second: 0,
            stranger_requests_per_second: 20,
            body_bytes_max: 2 << 20,
            bulk_bytes_max: 32 << 20,
            head_seconds_max: 30,
            request_seconds_max: 60,
            drain_seconds_max: 30,
            disk_floor_bytes: 256 << 20,
            segment_bytes: 64 << 20,
            sled_cache_bytes: 16 << 20,
            checkpoint_seconds: 30,
            scrub_seconds: 24 * 3600,
            log_name: "seatledger.local".into(),
            log_key: None,
            log_key_file: None,
            sign_seconds: 5,
            witnesses: vec![],
            witness_quorum: 0,
            witness_ca: None,
            quorum_seconds_max: 300,
            timestamp_url: None,
            timestamp_ca: None,
            store_credentials: None,
            store_credentials_command: None,
            store_ca: None,
            store_urls: vec![],
            store_sync_seconds: 4 * 3600,
            store_pause_seconds: 30,
            store_agree_seconds: 5 * 60,
        }
    }
}

/// An error must not show one.
const SECRETS: &[&str] = &["root_token", "master_key", "log_key", "store_credentials"];

/// Puts the layers together; `flags` holds only what was said on the command line.
///
/// # Errors
/// What is wrong, and where it was said; never a secret's value.
pub fn load(file: Option<&Path>, flags: impl Serialize) -> Result<Config, String> {
    let mut layers = Figment::from(Serialized::defaults(Config::default()));
    if let Some(file) = file {
        if !file.is_file() {
            return Err(format!("{}: there is no such file", file.display()));
        }
        let text =
            std::fs::read_to_string(file).map_err(|error| format!("{} can't be read: {error}", file.display()))?;
        is_toml(&text).map_err(|why| format!("{}: {why}", file.display()))?;
        layers = layers.merge(Toml::file_exact(file));
    }
    #[expect(clippy::disallowed_methods, reason = "this module is the reader of the environment")]
    let environment = environment::read(std::env::vars_os())?;
    let ignored = environment.ignored.clone();
    layers = layers.merge(environment);
    let mut config: Config = layers.merge(Serialized::defaults(flags)).extract().map_err(|error| {
        // an error of a secret would show it, and a command may have one among its words
        let is_secret = |part: &&String| SECRETS.contains(&part.as_str()) || part.ends_with("_command");
        match error.path.iter().find(is_secret) {
            Some(name) => format!("{name} can't be used"),
            None => error.to_string(),
        }
    })?;
    config.ignored = ignored;
    config.checked()
}

/// Whether a text is a host and a port; whether there is such a host is found out by listening there.
pub(crate) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

/// Says where a file is no TOML, and nothing that stands there: the line may hold a secret.
fn is_toml(text: &str) -> Result<(), String> {
    let Err(error) = Toml::from_str::<Dict>(text) else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, start) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |at| at + 1));
    let column = before.get(start..).unwrap_or_default().chars().count() + 1;
    let quoted = |(n, part): (usize, &str)| {
        let is_of_file = |word: &str| word.chars().count() > 1 && text.contains(word);
        if n % 2 == 1 && part.split('.').any(is_of_file) { "...".to_owned() } else { part.to_owned() }
    };
    let what: Vec<String> = error.message().split('`').enumerate().map(quoted).collect();
    Err(format!("line {line}, column {column}: {}", what.join("`").replace('\n', ", ")))
}

impl Config {
    fn checked(self) -> Result<Self, String> {
        const ROOT_TOKEN_CHARS_MIN: usize = 16;
        if self.root_token.as_ref().is_some_and(|token| token.len() < ROOT_TOKEN_CHARS_MIN || !token.is_ascii()) {
            return Err(format!("the root token has fewer than {ROOT_TOKEN_CHARS_MIN} characters, or odd ones"));
        }
        let sources = [self.master_key.is_some(), self.master_key_file.is_some(), self.master_key_command.is_some()];
        if sources.iter().filter(|is_there| **is_there).count() > 1 {
            return Err("give the master key in one way: master_key, master_key_file or master_key_command".into());
        }
        if self.log_name.contains("://") {
            return Err(format!("log_name: {:?}: a log's name is a URL without its scheme", self.log_name));
        }
        if !is_address(&self.listen) {
            return Err(format!("listen: {:?} is no address with a port, as in 127.0.0.1:8080", self.listen));
        }
        if self.log_key.is_some() && self.log_key_file.is_some() {
            return Err("give the log's key in one way: log_key or log_key_file".into());
        }
        for (name, key) in [("master key", &self.master_key), ("log's key", &self.log_key)] {
            let is_key = |key: &&str| key.len() == 64 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
            if key.is_some() && key.as_deref().map(str::trim).filter(is_key).is_none() {
                return Err(format!("the {name} is not 64 hexadecimal digits"));
            }
        }
        if self.witness_quorum > self.witnesses.len() {
            let (quorum, known) = (self.witness_quorum, self.witnesses.len());
            return Err(format!("witness_quorum is {quorum}, and there are {known} witnesses"));
        }
        if self.timestamp_ca.is_some() && self.timestamp_url.is_none() {
            return Err("timestamp_ca is of no use without timestamp_url".into());
        }
        for (name, value) in [
            ("sign_seconds", self.sign_seconds),
            ("connections_max", self.connections_max as u64),
            ("body_bytes_max", self.body_bytes_max as u64),
            ("bulk_bytes_max", self.bulk_bytes_max as u64),
            ("request_seconds_max", self.request_seconds_max),
        ] {
            if value == 0 {
                return Err(format!("{name} is 0, so nothing could be served or signed"));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_prevail_over_a_file_and_a_file_over_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("seatledger.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nconnections_max = 7\n").unwrap();
        let config = load(Some(&file), serde_json::json!({"listen": "127.0.0.1:2"})).ok().unwrap();
        assert_eq!((config.listen.as_str(), config.connections_max, config.drain_seconds_max), ("127.0.0.1:2", 7, 30));
    }

    #[test]
    fn what_makes_no_sense_is_named_and_no_secret_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("seatledger.toml");
        for (text, named) in [
            ("connections_max = \"many\"", "connections_max"),
            ("colour = 1", "colour"),
            ("root_token = \"hush\"", "root token"),
            ("master_key = \"a\"\nmaster_key_file = \"b\"", "one way"),
            ("master_key = \"hush\"", "the master key is not 64 hexadecimal digits"),
            ("log_key = \"hush\"", "the log's key is not 64 hexadecimal digits"),
            ("log_name = \"http://a/b\"", "without its scheme"),
            ("listen = \"foo\"", "foo"),
            ("listen = \":8080\"", "no address"),
            ("listen = \"localhost:99999\"", "no address"),
            ("body_bytes_max = 0", "body_bytes_max"),
            ("log_key = \"hush\"\nlog_key_file = \"b\"", "one way"),
            ("sign_seconds = 0", "sign_seconds"),
            ("witness_quorum = 1", "there are 0 witnesses"),
            ("timestamp_ca = \"a\"", "timestamp_url"),
            ("log_key = \"a\"\n  log_key = \"hush\"", ": duplicate key `...`"),
            ("root_token = \"hush", "line 1"),
            ("listen = \"a\"\nroot_token = \"hush\\q\"", "line 2, column "),
            ("root_token hush", "line 1"),
            ("hush = 1\nhush = 2", "line 2"),
            ("root_token.hush = 1\nroot_token.hush.hush = 2", "line 2"),
            ("master_key_command = \"hush\"", "master_key_command can't be used"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = load(Some(&file), serde_json::json!({})).err().unwrap();
            assert!(error.contains(named) && !error.contains("hush"), "{text}: {error}");
        }
    }
}

//! A policy (C2SP tlog-policy): which logs are accepted, which witnesses are known, and which of them must have cosigned a
//! head before it counts. Not here: where the file comes from, and URLs, which are nothing to who checks.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::key::{KeyError, KeyKind, VerifierKey};
use super::keys::{KeysError, LogKeys};
use super::note::{Note, NoteError};
use std::collections::{BTreeMap, BTreeSet};

/// A longer policy is not read.
pub const POLICY_BYTES_MAX: usize = 256 << 10;
/// Logs, witnesses and groups, each; the document wants at least 32.
const ENTRIES_MAX: usize = 256;
/// The name that needs nobody.
const NOBODY: &str = "none";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Without any, who checks must know the log's key from elsewhere.
    logs: Vec<VerifierKey>,
    /// Names in the file, each with its key or its group.
    names: BTreeMap<String, Member>,
    /// `None` needs no cosignature.
    quorum: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    Witness(VerifierKey),
    /// So many of them.
    Group(usize, Vec<String>),
}

/// Why a text is no policy; lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("a policy of more than {POLICY_BYTES_MAX} bytes is not read")]
    TooLong,
    #[error("a policy is text in UTF-8 without control characters other than tabs and line feeds")]
    NotText,
    #[error("line {0} is none of: log KEY, witness NAME KEY, group NAME COUNT NAMES, quorum NAME")]
    Line(usize),
    #[error("line {line}: {error}")]
    Key { line: usize, error: KeyError },
    #[error("line {0}: a log signs with a key of type 1, and a witness with one of type 4")]
    Kind(usize),
    #[error("line {0}: the same key stands in it twice")]
    SameKey(usize),
    #[error("line {0}: the name is there already, or is none")]
    SameName(usize),
    #[error("line {line}: nothing above it is called {name}, or it is a member of a group already")]
    Unknown { line: usize, name: String },
    #[error("line {0}: a group's count is all, any, or a number from 1 to as many as it has members")]
    GroupCount(usize),
    #[error("a policy has one line that begins with quorum")]
    Quorum,
    #[error("a policy of more than {ENTRIES_MAX} logs, witnesses or groups is not read")]
    TooMany,
}

/// Why a head does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    #[error(transparent)]
    Log(#[from] KeysError),
    #[error("the policy names no log, so the log's key must be known from elsewhere")]
    NoLog,
    #[error("a witness's signature is wrong: {0}")]
    Cosignature(NoteError),
    #[error("of {known} witnesses {cosigned} have cosigned it, and that is not the quorum")]
    Quorum { cosigned: usize, known: usize },
}

impl Policy {
    /// A policy's text: so many of these witnesses, each under its key's name.
    #[must_use]
    pub fn text(logs: &[VerifierKey], witnesses: &[VerifierKey], needed: usize) -> String {
        let mut text = String::new();
        logs.iter().for_each(|key| text.push_str(&format!("log {key}\n")));
        witnesses.iter().for_each(|key| text.push_str(&format!("witness {} {key}\n", key.name())));
        let quorum = if needed == 0 { NOBODY } else { "enough-witnesses" };
        if needed > 0 {
            let names: String = witnesses.iter().map(|key| format!(" {}", key.name())).collect();
            text.push_str(&format!("group {quorum} {needed}{names}\n"));
        }
        text + &format!("quorum {quorum}\n")
    }

    /// # Errors
    /// What is wrong with the bytes, and in which line.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PolicyError::NotText)?;
        if text.chars().any(|c| (c < ' ' && c != '\n' && c != '\t') || c == '\x7f') {
            return Err(PolicyError::NotText);
        }
        let mut reading = Reading::default();
        for (line, text) in (1..).zip(text.split('\n')) {
            let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if words.first().is_some_and(|word| !word.starts_with('#')) {
                reading.take(line, &words)?;
            }
        }
        let Reading { logs, names, quorum, .. } = reading;
        let quorum = quorum.ok_or(PolicyError::Quorum)?;
        Ok(Self { logs, names, quorum: Some(quorum).filter(|name| name != NOBODY) })
    }

    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    pub fn witnesses(&self) -> impl Iterator<Item = &VerifierKey> {
        self.names.values().filter_map(|member| match member {
            Member::Witness(key) => Some(key),
            Member::Group(..) => None,
        })
    }

    /// The head in a note, if the policy counts it: signed by one of its logs, of `keys` if there are any, while its key was
    /// in force, and cosigned by the quorum.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn open(&self, note: &[u8], keys: Option<&LogKeys>) -> Result<(Checkpoint, Note), Unmet> {
        if self.logs.is_empty() && keys.is_none() {
            return Err(Unmet::NoLog);
        }
        let mut opened = Err(KeysError::Checkpoint(CheckpointError::Note(NoteError::NoKnownKey)));
        for log in &self.logs {
            if opened.is_ok() {
                break;
            }
            opened = match keys.map(|keys| keys.trusted_from(log)) {
                Some(Ok(keys)) => keys.open(note),
                Some(Err(error)) => Err(error),
                None => LogKeys::only(log.clone()).open(note),
            };
        }
        if let (true, Some(keys)) = (self.logs.is_empty(), keys) {
            opened = keys.open(note);
        }
        let (checkpoint, note) = opened?;
        self.check_quorum(&note)?;
        Ok((checkpoint, note))
    }

    /// Whether those who must have cosigned it have. Whether the log has signed it is not asked.
    ///
    /// # Errors
    /// When they have not, or a cosignature of theirs is wrong.
    pub fn check_quorum(&self, note: &Note) -> Result<(), Unmet> {
        let known: Vec<VerifierKey> = self.witnesses().cloned().collect();
        let signed = match note.open(&known) {
            Ok(signed) => signed.into_iter().map(|(key, _)| *key.public_key()).collect(),
            Err(NoteError::NoKnownKey) => BTreeSet::new(),
            Err(error) => return Err(Unmet::Cosignature(error)),
        };
        match &self.quorum {
            Some(name) if !self.has_signed(name, &signed) => {
                Err(Unmet::Quorum { cosigned: signed.len(), known: known.len() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A group names nothing but what stands above it, so this ends; and nothing is in two groups, so it ends soon.
    fn has_signed(&self, name: &str, signed: &BTreeSet<[u8; 32]>) -> bool {
        match self.names.get(name) {
            Some(Member::Witness(key)) => signed.contains(key.public_key()),
            Some(Member::Group(needed, members)) => {
                members.iter().filter(|member| self.has_signed(member, signed)).count() >= *needed
            }
            None => false,
        }
    }
}

#[derive(Default)]
struct Reading {
    logs: Vec<VerifierKey>,
    names: BTreeMap<String, Member>,
    witnesses: Vec<[u8; 32]>,
    /// What is in a group.
    members: BTreeSet<String>,
    quorum: Option<String>,
}

impl Reading {
    fn take(&mut self, line: usize, words: &[&str]) -> Result<(), PolicyError> {
        match words {
            ["log", key] | ["log", key, _] => {
                let key = self.key(line, key, KeyKind::Plain)?;
                if self.logs.iter().any(|known| known.public_key() == key.public_key()) {
                    return Err(PolicyError::SameKey(line));
                }
                self.logs.push(key);
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                let key = self.key(line, key, KeyKind::Cosigner)?;
                if self.witnesses.contains(key.public_key()) {
                    return Err(PolicyError::SameKey(line));
                }
                self.witnesses.push(*key.public_key());
                self.name(line, name, Member::Witness(key))?;
            }
            ["group", name, count, members @ ..] => {
                let count = match *count {
                    "all" => members.len(),
                    "any" => 1,
                    count => count.parse().ok().filter(|n: &usize| n.to_string() == count).unwrap_or(0),
                };
                if count < 1 || count > members.len() {
                    return Err(PolicyError::GroupCount(line));
                }
                for member in members {
                    if !self.names.contains_key(*member) || !self.members.insert((*member).to_owned()) {
                        return Err(PolicyError::Unknown { line, name: (*member).to_owned() });
                    }
                }
                let members = members.iter().map(|member| (*member).to_owned()).collect();
                self.name(line, name, Member::Group(count, members))?;
            }
            ["quorum", _] if self.quorum.is_some() => return Err(PolicyError::Quorum),
            ["quorum", name] if *name == NOBODY || self.names.contains_key(*name) => {
                self.quorum = Some((*name).to_owned());
            }
            ["quorum", name] => return Err(PolicyError::Unknown { line, name: (*name).to_owned() }),
            _ => return Err(PolicyError::Line(line)),
        }
        if self.logs.len().max(self.names.len()) > ENTRIES_MAX { Err(PolicyError::TooMany) } else { Ok(()) }
    }

    fn key(&self, line: usize, text: &str, kind: KeyKind) -> Result<VerifierKey, PolicyError> {
        let key: VerifierKey = text.parse().map_err(|error| PolicyError::Key { line, error })?;
        if key.kind() == kind { Ok(key) } else { Err(PolicyError::Kind(line)) }
    }

    fn name(&mut self, line: usize, name: &str, member: Member) -> Result<(), PolicyError> {
        let is_new = name != NOBODY && self.names.insert(name.to_owned(), member).is_none();
        if is_new { Ok(()) } else { Err(PolicyError::SameName(line)) }
    }
}

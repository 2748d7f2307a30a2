//! Heads that enough witnesses have cosigned, and how the witnesses are. A head is put before all of them at once and waits for
//! their signatures, also when a newer one is signed meanwhile; the last one that has its quorum is kept as
//! `cosigned/<tenant>`, and the keys of all witnesses that were ever asked as `cosigned/keys`. Not here: asking (`cli::cosign`), and what a quorum is (`merkle::Policy`).

use super::heads::{self, HeadsError, SignedHead};
use crate::clock::monotonic;
use crate::domain::ids::TenantId;
use crate::log::LogReader;
use crate::merkle::{KeyKind, Note, Policy, Signature, VerifierKey};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The folder below the data folder.
pub(super) const COSIGNED: &str = "cosigned";
/// In it, one verifier key a line: whoever looks at cosignatures later needs no configuration of then.
pub(super) const WITNESS_KEYS: &str = "keys";
/// Of witnesses that come and go.
const WITNESS_KEYS_MAX: usize = 1024;
const WITNESS_KEYS_BYTES_MAX: u64 = 1 << 20;

/// Who is asked to cosign, and how many of them must.
#[derive(Debug, Clone, Default)]
pub struct Witnessing {
    pub witnesses: Vec<VerifierKey>,
    /// 0 asks for no signature: then no head is called cosigned.
    pub quorum: usize,
}

impl Witnessing {
    /// The policy as C2SP tlog-policy writes it, for logs of these keys.
    pub(super) fn policy_text(&self, logs: &[VerifierKey]) -> String {
        Policy::text(logs, &self.witnesses, self.quorum)
    }
}

/// Why a witness has not cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessTrouble {
    /// Nobody answers, or not in time.
    Silent(String),
    /// It answers, and does not cosign.
    Refuses(String),
}

/// How a witness is with one tenant's heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessState {
    pub key: VerifierKey,
    /// The last size that it cosigned since the service started.
    pub cosigned_size: Option<u64>,
    /// What became of the last time that it was asked, if that was no cosignature.
    pub trouble: Option<WitnessTrouble>,
}

/// How it is with all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WitnessHealth {
    /// Witnesses that refuse heads, each with of how many tenants.
    pub refusing: Vec<(String, usize)>,
    pub silent: Vec<String>,
    /// Tenants whose newest head has no quorum yet; none where none is asked for.
    pub waiting: usize,
    /// How long the first of them has been waiting.
    pub waits: Duration,
}

#[derive(Default)]
struct Progress {
    /// What lies before the witnesses.
    asked: Option<SignedHead>,
    /// The last head with a quorum.
    cosigned: Option<Arc<SignedHead>>,
    waits_since: Option<Instant>,
    /// By the witness's place.
    witnesses: BTreeMap<usize, (Option<u64>, Option<WitnessTrouble>)>,
}

pub(super) struct Cosigned {
    dir: PathBuf,
    witnessing: Witnessing,
    policy: Policy,
    by_tenant: Mutex<BTreeMap<u32, Progress>>,
}

impl Cosigned {
    /// Reads what was cosigned, and compares it with the log; what no quorum of now has signed is passed over.
    pub(super) fn open(dir: &Path, witnessing: Witnessing, reader: &LogReader) -> Result<Self, HeadsError> {
        let quorum = |error: crate::merkle::PolicyError| HeadsError::Witnesses(error.to_string());
        let policy = Policy::parse(witnessing.policy_text(&[]).as_bytes()).map_err(quorum)?;
        let (dir, mut by_tenant) = (dir.join(COSIGNED), BTreeMap::new());
        keep_witness_keys(&dir, &witnessing.witnesses)?;
        if witnessing.quorum > 0 {
            for (tenant, path, note) in heads::notes_in(&dir)? {
                if policy.check_quorum(&note).is_err() {
                    continue;
                }
                let head = heads::compared(reader, tenant, &path, &note)?;
                let cosigned = Some(Arc::new(head));
                by_tenant.insert(tenant, Progress { cosigned, ..Progress::default() });
            }
        }
        Ok(Self { dir, witnessing, policy, by_tenant: Mutex::new(by_tenant) })
    }

    pub(super) fn witnessing(&self) -> &Witnessing {
        &self.witnessing
    }

    /// Puts a head before the witnesses.
    pub(super) fn ask(&self, tenant: u32, head: &SignedHead) {
        let mut by_tenant = self.by_tenant.lock();
        let progress = by_tenant.entry(tenant).or_default();
        let is_new = progress.asked.as_ref().is_none_or(|asked| asked.size < head.size);
        if is_new {
            progress.asked = Some(head.clone());
        }
        let is_cosigned = progress.cosigned.as_ref().is_some_and(|cosigned| cosigned.size >= head.size);
        if self.witnessing.quorum > 0 && !is_cosigned && progress.waits_since.is_none() {
            progress.waits_since = Some(monotonic());
        }
    }

    /// Adds a signature to the head that lies before the witnesses, over whose text it must be, however many newer heads there
    /// are by now; publishes it once it has its quorum.
    pub(super) fn add(&self, tenant: u32, size: u64, key: &VerifierKey, signature: Signature) -> Result<(), String> {
        let mut by_tenant = self.by_tenant.lock();
        let progress = by_tenant.entry(tenant).or_default();
        let asked = progress.asked.as_mut().filter(|asked| asked.size == size);
        let asked = asked.ok_or_else(|| format!("no head over {size} records lies before the witnesses"))?;
        let mut note = Note::parse(asked.note.as_bytes()).map_err(|error| error.to_string())?;
        note.add(key, signature).map_err(|error| error.to_string())?;
        asked.note = note.to_string();
        if self.witnessing.quorum == 0 || self.policy.check_quorum(&note).is_err() {
            return Ok(());
        }
        write(&self.dir, tenant, &asked.note).map_err(|error| error.to_string())?;
        progress.cosigned = Some(Arc::new(asked.clone()));
        progress.waits_since = None;
        Ok(())
    }

    pub(super) fn last(&self, tenant: u32) -> Option<Arc<SignedHead>> {
        self.by_tenant.lock().get(&tenant)?.cosigned.clone()
    }

    /// Remembers what became of asking.
    pub(super) fn tell(&self, tenant: u32, key: &VerifierKey, outcome: Result<u64, WitnessTrouble>) {
        let Some(place) = self.witnessing.witnesses.iter().position(|known| known == key) else { return };
        let mut by_tenant = self.by_tenant.lock();
        let state = by_tenant.entry(tenant).or_default().witnesses.entry(place).or_default();
        match outcome {
            Ok(size) => *state = (Some(size), None),
            Err(trouble) => state.1 = Some(trouble),
        }
    }

    pub(super) fn states(&self, tenant: u32) -> Vec<WitnessState> {
        let by_tenant = self.by_tenant.lock();
        let of = |place| by_tenant.get(&tenant).and_then(|progress| progress.witnesses.get(&place).cloned());
        let keys = self.witnessing.witnesses.iter().enumerate();
        let states = keys.map(|(place, key)| {
            let (cosigned_size, trouble) = of(place).unwrap_or_default();
            WitnessState { key: key.clone(), cosigned_size, trouble }
        });
        states.collect()
    }

    pub(super) fn health(&self) -> WitnessHealth {
        let by_tenant = self.by_tenant.lock();
        let mut health = WitnessHealth::default();
        for (place, key) in self.witnessing.witnesses.iter().enumerate() {
            let troubles = by_tenant.values().filter_map(|progress| progress.witnesses.get(&place)?.1.as_ref());
            let (refuses, silent): (Vec<_>, Vec<_>) =
                troubles.partition(|trouble| matches!(trouble, WitnessTrouble::Refuses(_)));
            if !refuses.is_empty() {
                health.refusing.push((key.name().to_owned(), refuses.len()));
            }
            if !silent.is_empty() {
                health.silent.push(key.name().to_owned());
            }
        }
        for since in by_tenant.values().filter_map(|progress| progress.waits_since) {
            health.waiting += 1;
            health.waits = health.waits.max(since.elapsed());
        }
        health
    }
}

/// The keys in a list of witnesses, or `None` if there is no such file.
pub(super) fn read_witness_keys(path: &Path) -> Result<Option<Vec<VerifierKey>>, String> {
    let mut text = String::new();
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| error.to_string())?,
    };
    file.take(WITNESS_KEYS_BYTES_MAX).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let mut keys = vec![];
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let line = line.strip_suffix('\n').ok_or("its end is missing")?;
        let key: VerifierKey = line.parse().map_err(|error| format!("line {number}: {error}"))?;
        if key.kind() != KeyKind::Cosigner || number > WITNESS_KEYS_MAX {
            return Err(format!("line {number} is no witness's key, or one too many"));
        }
        keys.push(key);
    }
    if keys.is_empty() { Err("there are none in it".into()) } else { Ok(Some(keys)) }
}

/// Adds those that are asked now.
fn keep_witness_keys(dir: &Path, asked: &[VerifierKey]) -> Result<(), HeadsError> {
    let path = dir.join(WITNESS_KEYS);
    let file = path.display().to_string();
    let read = read_witness_keys(&path).map_err(|what| HeadsError::WitnessKeys { file: file.clone(), what })?;
    let mut keys = read.unwrap_or_default();
    let known = keys.len();
    for key in asked {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    if keys.len() == known {
        return Ok(());
    }
    let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
    let doing = format!("writing {file}");
    heads::write(dir, WITNESS_KEYS, text.as_bytes()).map_err(|error| HeadsError::Io { doing, error })
}

fn write(dir: &Path, tenant: u32, note: &str) -> io::Result<()> {
    heads::write(dir, &tenant.to_string(), note.as_bytes())
}

impl super::Evidence {
    pub(super) fn cosigned(&self) -> &Cosigned {
        &self.cosigned
    }
}

impl crate::ledger::Ledger {
    /// The last head, put before the witnesses: what they sign of it from now on is kept until a newer one is.
    #[must_use]
    pub fn ask_to_cosign(&self, tenant: TenantId) -> Option<Arc<SignedHead>> {
        let head = self.last_head(tenant)?;
        self.0.evidence.cosigned().ask(tenant.0, &head);
        Some(head)
    }

    /// Remembers what became of asking a witness.
    pub fn tell_of_witness(&self, tenant: TenantId, key: &VerifierKey, outcome: Result<u64, WitnessTrouble>) {
        self.0.evidence.cosigned().tell(tenant.0, key, outcome);
    }

    /// The last head that has its quorum, if one is asked for and there is such a head.
    #[must_use]
    pub fn cosigned_head(&self, tenant: TenantId) -> Option<Arc<SignedHead>> {
        self.0.evidence.cosigned().last(tenant.0)
    }

    /// How the witnesses are with a tenant's heads.
    #[must_use]
    pub fn witness_states(&self, tenant: TenantId) -> Vec<WitnessState> {
        self.0.evidence.cosigned().states(tenant.0)
    }

    #[must_use]
    pub fn witness_health(&self) -> WitnessHealth {
        self.0.evidence.cosigned().health()
    }

    /// Who must have cosigned here, as C2SP tlog-policy writes it, with every key of the tenant's heads. Blocking.
    ///
    /// # Errors
    /// See [`Self::log_keys`].
    pub fn witness_policy(&self, tenant: TenantId) -> Result<String, crate::ledger::ReadError> {
        let keys: Vec<VerifierKey> = self.log_keys(tenant)?.ranges().iter().map(|range| range.key.clone()).collect();
        Ok(self.0.evidence.cosigned().witnessing().policy_text(&keys))
    }
}

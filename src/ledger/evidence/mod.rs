//! What a stranger needs to check the history without us: signed heads, tiles, the records as they are stored, proofs.
//! Heads are signed on a thread of their own, over what is durable alone, and at most every few seconds while something
//! changes; a proof that needs a newer one has it signed at once. Not here: the formats and the mathematics (`merkle`).

mod certify;
mod cosigned;
mod heads;
mod key;
mod look;
mod rotation;
mod rounds;
mod timestamp;

#[cfg(test)]
mod tests;

pub use crate::merkle::{Hash, ProofFile, TileAddress, TileError, TileKind, VerifierKey};
pub use crate::merkle::{KeyRange, LogKeys};
pub use cosigned::{WitnessHealth, WitnessState, WitnessTrouble, Witnessing};
pub use heads::{HeadsError, SignedHead, log_name_in};
pub use key::{LOG_KEY_FILE, LogKeySource, Rotation};
pub(super) use look::{Owner, look_at_signed};
pub(super) use rotation::look_at_handovers;
pub use timestamp::{Authorities, Due, RESPONSE_BYTES_MAX, Stamp, TimestampError, TimestampRequest, check_kept};

use super::{Ledger, ReadError, Shelf};
use crate::clock::monotonic;
use crate::domain::ids::TenantId;
use crate::log::panics::Fallen;
use crate::log::writer::WriterHandle;
use crate::log::{FolderLock, LogReader};
use crate::merkle::{Signature, check_consistency, check_inclusion, consistency, inclusion, leaf, root_at};
use cosigned::Cosigned;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use heads::Heads;
use key::NextKey;
use parking_lot::Mutex;
use rounds::{ROUND_HEADS_MAX, ROUND_HEADS_MIN};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use timestamp::Timestamps;

/// The tree follows what is durable by moments; longer than this nobody waits for it.
const BEHIND_MAX: Duration = Duration::from_secs(5);

/// How the log signs its heads.
#[derive(Debug, Clone)]
pub struct Signing {
    pub key: LogKeySource,
    /// Whose log it is, as a URL without its scheme: origins are `<log name>/<log id>/<tenant>`.
    pub log_name: String,
    /// So often at most while something changes; never by itself if zero.
    pub every: Duration,
    /// Another key takes the place of the log's, before anything else is signed.
    pub rotation: Option<Rotation>,
    pub witnessing: Witnessing,
}

impl Default for Signing {
    fn default() -> Self {
        let every = Duration::from_secs(5);
        let (key, log_name) = (LogKeySource::DataFolder, "seatledger.local".into());
        Self { key, log_name, every, rotation: None, witnessing: Witnessing::default() }
    }
}

impl Signing {
    /// For who opens a ledger and signs nothing: no key is made, no head written.
    #[must_use]
    pub fn never() -> Self {
        Self { key: LogKeySource::Passing, every: Duration::ZERO, ..Self::default() }
    }

    pub(super) fn check(&self) -> Result<(), HeadsError> {
        heads::check_log_name(&self.log_name)
    }
}

/// What a log signs with, before its history is known.
pub(super) struct Unsettled {
    heads: Heads,
    next: Option<NextKey>,
}

impl Unsettled {
    /// Has the key ready, and compares what was signed with the log.
    pub(super) fn open(
        dir: &Path,
        signing: &Signing,
        log_id: &[u8; 16],
        reader: LogReader,
    ) -> Result<Self, HeadsError> {
        let key = signing.key.open(dir, heads::has_signed(dir), signing.rotation).map_err(HeadsError::Key)?;
        let is_old_lost = key.next.as_ref().is_some_and(|next| next.is_old_lost);
        let signs_with = if is_old_lost { key.next.as_ref().map(|next| &next.secret) } else { key.current.as_ref() };
        let secret = signs_with.ok_or_else(|| HeadsError::Key("there is no key".into()))?;
        let only_ours = !is_old_lost && !matches!(signing.key, LogKeySource::Passing);
        let heads = Heads::open(dir, &signing.log_name, log_id, secret, reader, only_ours)?;
        Ok(Self { heads, next: key.next })
    }

    /// Once the history is known: finishes a change of the key, and sees that the key is the one that the history names.
    pub(super) fn settle(
        self,
        dir: &Path,
        signing: &Signing,
        shelf: &Shelf,
        writer: &WriterHandle,
    ) -> Result<Heads, HeadsError> {
        let Self { mut heads, next } = self;
        if let Some(next) = next {
            rotation::finish(dir, &next, &mut heads, shelf, writer)?;
        }
        if !matches!(signing.key, LogKeySource::Passing) {
            rotation::check(&heads, shelf)?;
        }
        Ok(heads)
    }
}

/// Two heads and the proof between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consistency {
    pub from: u64,
    pub to: u64,
    pub from_root: Hash,
    pub to_root: Hash,
    pub path: Vec<Hash>,
}

pub(super) struct Evidence {
    heads: Arc<Heads>,
    cosigned: Cosigned,
    timestamps: Timestamps,
    shelf: Arc<Shelf>,
    every: Duration,
    /// Whether the thread that signs is.
    fallen: Fallen,
    /// Until it is closed.
    at_work: Mutex<Option<AtWork>>,
}

/// What goes with the ledger.
struct AtWork {
    stop: Sender<()>,
    /// `None` where nothing is signed by itself.
    thread: Option<JoinHandle<()>>,
    lock: Arc<FolderLock>,
}

impl Evidence {
    /// Starts to sign.
    pub(super) fn start(
        dir: &Path,
        heads: Heads,
        signing: &Signing,
        shelf: Arc<Shelf>,
        lock: Arc<FolderLock>,
    ) -> Result<Self, HeadsError> {
        let every = signing.every;
        let cosigned = Cosigned::open(dir, signing.witnessing.clone(), heads.reader())?;
        let timestamps =
            Timestamps::open(dir).map_err(|error| HeadsError::Io { doing: "listing timestamps".into(), error })?;
        let heads = Arc::new(heads);
        let (stop, stopped) = bounded::<()>(1);
        let (mut thread, fallen) = (None, Fallen::default());
        if every > Duration::ZERO {
            let (heads, shelf, held) = (Arc::clone(&heads), Arc::clone(&shelf), Arc::clone(&lock));
            let sign = move || {
                let _held = &held;
                sign_all(&heads, &shelf);
            };
            let started = sign_every(every, stopped, &fallen, sign);
            let started =
                started.map_err(|error| HeadsError::Io { doing: "starting the thread that signs".into(), error });
            thread = Some(started?);
        }
        let at_work = Mutex::new(Some(AtWork { stop, thread, lock }));
        Ok(Self { heads, cosigned, timestamps, shelf, every, fallen, at_work })
    }

    /// Signs what came since the last heads, once more at the end, and lets go of the folder. Blocking.
    pub(super) fn close(&self) {
        let Some(AtWork { stop, thread, lock }) = self.at_work.lock().take() else { return };
        drop(stop);
        if let Some(thread) = thread {
            // one that panicked has ended, too
            let _ended = thread.join();
        }
        // it would panic again
        if self.every > Duration::ZERO && !self.fallen.is_so() {
            sign_all(&self.heads, &self.shelf);
        }
        drop(lock);
    }

    /// Whether nothing is signed by itself any more, though it should be.
    pub(super) fn is_signing_fallen(&self) -> bool {
        self.fallen.is_so()
    }

    /// What is held while something is written below the folder: no other seatledger has it meanwhile.
    fn held(&self) -> io::Result<Arc<FolderLock>> {
        let at_work = self.at_work.lock();
        at_work.as_ref().map(|at_work| Arc::clone(&at_work.lock)).ok_or_else(|| io::Error::other("the log is closed"))
    }
}

/// A thread that does it again and again until it is stopped.
fn sign_every(
    every: Duration,
    stopped: Receiver<()>,
    fallen: &Fallen,
    mut sign: impl FnMut() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let standing = fallen.standing("signs heads");
    let run = move || {
        let _standing = standing;
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
            sign();
        }
    };
    std::thread::Builder::new().name("log-heads".into()).spawn(run)
}

fn sign_all(heads: &Heads, shelf: &Shelf) {
    let begun = monotonic();
    // a tenant whose first event is not published yet has its turn in the next round
    let slug = |tenant| Some((tenant, shelf.slug(TenantId(tenant))?));
    let behind: Vec<(u32, String)> = heads.behind().into_iter().filter_map(slug).collect();
    let signed = if behind.len() < ROUND_HEADS_MIN {
        behind.iter().try_for_each(|(tenant, slug)| heads.sign(*tenant, slug).map(|_| ()))
    } else {
        behind.chunks(ROUND_HEADS_MAX).try_for_each(|some| heads.sign_round(some))
    };
    if let Err(error) = signed {
        return tracing::warn!(%error, "heads could not be signed; the last ones stand");
    }
    if !behind.is_empty() {
        metrics::histogram!("seatledger_sign_round_seconds").record(begun.elapsed().as_secs_f64());
    }
}

impl Shelf {
    /// In the order in which they were created; one whose first event is not published yet is left out.
    fn tenants_with_names(&self) -> Vec<(TenantId, String)> {
        let tenants = (0..).map(TenantId).take(self.tenants.read().len());
        tenants.filter_map(|tenant| Some((tenant, self.slug(tenant)?))).collect()
    }

    fn slug(&self, tenant: TenantId) -> Option<String> {
        let desk = self.desk(tenant).ok()?;
        let view = desk.view.read();
        (!view.state.slug.is_empty()).then(|| view.state.slug.clone())
    }
}

impl Ledger {
    /// As if the thread that signs had panicked.
    #[cfg(test)]
    pub(crate) fn let_signing_fall(&self) {
        let (_stop, stopped) = bounded(1);
        let panics = || panic!("as a test wants it");
        let thread = sign_every(Duration::from_millis(1), stopped, &self.0.evidence.fallen, panics).unwrap();
        assert!(thread.join().is_err());
    }

    /// The key under which the log signs as a whole, for people: each tenant's has the tenant's name in it.
    #[must_use]
    pub fn log_key(&self) -> VerifierKey {
        self.0.evidence.heads.log_key()
    }

    /// What checks the tenant's heads.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn verifier_key(&self, tenant: TenantId) -> Result<VerifierKey, ReadError> {
        let slug = self.0.shelf.slug(tenant).ok_or(ReadError::TenantNotFound)?;
        self.0.evidence.heads.verifier_key(&slug).ok_or(ReadError::TenantNotFound)
    }

    /// Every key that signed the tenant's heads, with the sizes that each of them signs. Blocking.
    ///
    /// # Errors
    /// When there is no such tenant, or what hands over from one key to the next can't be read.
    pub fn log_keys(&self, tenant: TenantId) -> Result<LogKeys, ReadError> {
        let today = self.verifier_key(tenant)?;
        let rotations = self.read(tenant, |view| view.state.log_keys.clone())?;
        rotation::keys(&self.0.dir, tenant, &rotations, today)
    }

    /// The last head that was signed; the first one is signed when it is asked for. Blocking.
    ///
    /// # Errors
    /// When there is no such tenant, or the disk said no.
    pub fn signed_head(&self, tenant: TenantId) -> Result<Arc<SignedHead>, ReadError> {
        self.signed_over(tenant, 1)
    }

    /// The last head that was signed, if there is one.
    #[must_use]
    pub fn last_head(&self, tenant: TenantId) -> Option<Arc<SignedHead>> {
        self.0.evidence.heads.last(tenant.0)
    }

    /// Publishes a witness's signature with the head of so many records: with the last one, if it is still that, and with the
    /// one that lies before the witnesses. Blocking.
    ///
    /// # Errors
    /// When it is not the key's signature over that head, nobody was asked to sign it ([`Self::ask_to_cosign`]), or the disk
    /// said no.
    pub fn add_cosignature(
        &self,
        tenant: TenantId,
        size: u64,
        key: &VerifierKey,
        signature: Signature,
    ) -> Result<bool, String> {
        let evidence = &self.0.evidence;
        let _held = evidence.held().map_err(|error| error.to_string())?;
        let is_last = evidence.heads.add(tenant.0, size, key, signature.clone())?;
        evidence.cosigned.add(tenant.0, size, key, signature)?;
        Ok(is_last)
    }

    /// A head over at least so many records, signed now if the last one covers fewer. Blocking.
    ///
    /// # Errors
    /// When there are not so many, or the disk said no.
    pub fn signed_over(&self, tenant: TenantId, size: u64) -> Result<Arc<SignedHead>, ReadError> {
        let slug = self.0.shelf.slug(tenant).ok_or(ReadError::TenantNotFound)?;
        if size > self.head(tenant)? + 1 {
            return Err(ReadError::NotReached(size - 1));
        }
        let heads = &self.0.evidence.heads;
        if let Some(last) = heads.last(tenant.0).filter(|last| last.size >= size) {
            return Ok(last);
        }
        if !self.0.writer.reader().reach_tree(tenant.0, size, BEHIND_MAX) {
            return Err(ReadError::NotSigned("the tree is behind the log".into()));
        }
        let signed = self.0.evidence.held().and_then(|_held| heads.sign(tenant.0, &slug));
        signed.map_err(|error| ReadError::NotSigned(error.to_string()))
    }

    /// A tile of hashes or a bundle of records. `None` if there are not so many yet. Blocking.
    ///
    /// # Errors
    /// When there is no such tenant, or the log can't be read.
    pub fn tile(&self, tenant: TenantId, address: &TileAddress) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(needed) = address.leaves_needed().filter(|needed| *needed > 0) else { return Ok(None) };
        if needed > self.head(tenant)? + 1 {
            return Ok(None);
        }
        let reader = self.0.writer.reader();
        if !reader.reach_tree(tenant.0, needed, BEHIND_MAX) {
            return Err(ReadError::NotSigned("the tree is behind the log".into()));
        }
        reader.tree(tenant.0).tile(address).map_err(|error| ReadError::Log(error.to_string()))
    }

    /// The record at a position with the proof that it is in a signed head. Blocking.
    ///
    /// # Errors
    /// When the position is not reached, the log can't be read, or no head can be signed.
    pub fn proof(&self, tenant: TenantId, position: u64) -> Result<(ProofFile, u64), ReadError> {
        let size = position.checked_add(1).ok_or(ReadError::NotReached(position))?;
        let head = self.signed_over(tenant, size)?;
        self.proof_in(tenant, position, &head)
    }

    /// The same in a head that was signed over more records than the position. Blocking.
    ///
    /// # Errors
    /// When the log can't be read.
    pub fn proof_in(&self, tenant: TenantId, position: u64, head: &SignedHead) -> Result<(ProofFile, u64), ReadError> {
        let broken =
            |error: &dyn std::fmt::Display| ReadError::Log(format!("the proof of position {position}: {error}"));
        let reader = self.0.writer.reader();
        let tree = reader.tree(tenant.0);
        let path = inclusion(&tree, position, head.size).map_err(|error| broken(&error))?;
        let records = reader.read(tenant.0, position, 1).map_err(|error| broken(&error))?;
        let (_, record) = records.into_iter().next().ok_or(ReadError::NotReached(position))?;
        // nothing leaves that a stranger would refuse
        check_inclusion(&leaf(&record), position, head.size, &path, &head.root).map_err(|error| broken(&error))?;
        Ok((ProofFile { extra: Some(record), index: position, path, checkpoint: head.note.clone() }, head.size))
    }

    /// The proof that the history of `to` records goes on from that of `from`; without a `to`, to the last signed head.
    /// Blocking.
    ///
    /// # Errors
    /// When there are not so many records, the log can't be read, or no head can be signed.
    ///
    /// # Panics
    /// If `from` is above a `to` that is given.
    pub fn consistency(&self, tenant: TenantId, from: u64, to: Option<u64>) -> Result<Consistency, ReadError> {
        let broken = |error: &dyn std::fmt::Display| ReadError::Log(format!("the proof from {from} records: {error}"));
        let head = self.signed_over(tenant, to.unwrap_or(from).max(1))?;
        let to = to.unwrap_or(head.size);
        let tree = self.0.writer.reader().tree(tenant.0);
        let root = |size| root_at(&tree, size).map_err(|error| broken(&error));
        let (from_root, to_root) = (root(from)?, root(to)?);
        let path = consistency(&tree, from, to).map_err(|error| broken(&error))?;
        check_consistency(from, to, &path, &from_root, &to_root).map_err(|error| broken(&error))?;
        Ok(Consistency { from, to, from_root, to_root, path })
    }
}

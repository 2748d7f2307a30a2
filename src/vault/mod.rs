//! Personal data, sealed: one key per subject, kept apart from the log, wrapped by a master key. Destroying a subject's
//! key erases the person everywhere at once, old backups of the log included.
//!
//! Sealing is deterministic under a subject's key: the nonce is a keyed hash of the text, so that the same names give the
//! same bytes and a rule can see "unchanged" without opening anything.

mod keys;
mod master;
mod names;
mod once;
mod rotation;

pub use keys::{FILE_NAME as KEYS_FILE, KeyFileReport};
pub use master::{FILE_NAME as MASTER_KEY_FILE, MasterKeySource};
pub use names::{
    read_device, read_user, reveal, seal_device, seal_device_for_nobody, seal_user, seal_user_for_nobody,
    user_name_blind,
};
pub(crate) use once::make_once;
pub use rotation::{Rotated, RotationError, master_key_file, rotate_master_key};

use crate::domain::ids::SubjectId;
use crate::domain::personal::{AliasKind, Blind};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use keys::KeyFile;
use parking_lot::RwLock;
use sha2::Sha256;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

/// A key of 256 bits that is wiped when it goes.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

const NONCE_BYTES: usize = 24;

/// Why the vault can't be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("{doing} failed: {error}")]
    Io { doing: String, error: io::Error },
    #[error(
        "the key file {path} is damaged: {what}. Put back a copy of it; without it the names of people and devices can't be read"
    )]
    Damaged { path: PathBuf, what: String },
    #[error("the master key is not the one that {path} was made with. Give the right one; nothing was changed")]
    WrongMasterKey { path: PathBuf },
    #[error("the master key {what}")]
    MasterKey { what: String },
}

/// Why sealed text can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenSealError {
    #[error("the subject was erased")]
    Erased,
    #[error("the sealed text is damaged")]
    Damaged,
}

/// The keys of all subjects. Any thread seals, opens and hashes; the writer alone creates.
pub struct Vault {
    file: RwLock<KeyFile>,
    /// Has taken its key and no name yet: half of the work of a short name.
    index: Hmac<Sha256>,
    erasures: AtomicU64,
}

impl Vault {
    /// Opens the vault in a data folder that the caller has locked, or makes it there.
    pub fn open(dir: &Path, source: &MasterKeySource) -> Result<Self, VaultError> {
        let path = dir.join(keys::FILE_NAME);
        let master = if path.exists() { rotation::settled(dir, source)? } else { source.load(dir, true)? };
        let (file, index_key) = KeyFile::open(&path, master)?;
        Ok(Self::of(file, &index_key))
    }

    /// Judges the end of the key file, once the history has said how many subjects it knows: torn keys that no event used
    /// go, and keys of whom the history says that they were erased. Comes before the first [`Self::create`].
    ///
    /// # Errors
    /// When a key that the history needs is not whole.
    pub fn settle(&self, subjects_used: u64, erased: &[SubjectId]) -> Result<(), VaultError> {
        let mut file = self.file.write();
        file.settle(subjects_used)?;
        let erased = file.erase(erased)?;
        self.erasures.fetch_add(erased, Ordering::Release);
        file.check_erased()
    }

    /// Walks a key file without changing anything, and names the first bad entry. Whether its torn bytes matter depends on how
    /// many subjects the history knows.
    pub fn verify(dir: &Path, source: &MasterKeySource) -> Result<KeyFileReport, VaultError> {
        Self::inspect(dir, source).map(|(_, report)| report)
    }

    /// The same, with a vault that opens seals and never changes the file.
    pub fn inspect(dir: &Path, source: &MasterKeySource) -> Result<(Self, KeyFileReport), VaultError> {
        let (master, _) = rotation::in_force(dir, source)?;
        let (file, index_key, report) = KeyFile::inspect(&dir.join(keys::FILE_NAME), master)?;
        Ok((Self::of(file, &index_key), report))
    }

    fn of(file: KeyFile, index_key: &Secret) -> Self {
        let erasures = AtomicU64::new(file.erased());
        Self { file: RwLock::new(file), index: keyed(index_key), erasures }
    }

    /// That the master key can be had and is the one of the key file in a folder.
    pub fn check_master_key(dir: &Path, source: &MasterKeySource) -> Result<(), VaultError> {
        KeyFile::check_master(&dir.join(keys::FILE_NAME), &rotation::in_force(dir, source)?.0)
    }

    /// What shows of a key file without its master key: the checksums of its slots.
    pub fn inspect_wrapped(dir: &Path) -> Result<KeyFileReport, VaultError> {
        KeyFile::inspect_wrapped(&dir.join(keys::FILE_NAME))
    }

    /// The durable part of the key file, and how many bytes that is: what a backup copies while the service goes on.
    #[must_use]
    pub fn durable_keys(&self) -> (DurableKeys<'_>, u64) {
        let bytes = self.file.read().durable_bytes();
        (DurableKeys { vault: self, next: 0, end: bytes, part: io::Cursor::default() }, bytes)
    }

    /// A key for a new subject. It is durable after the next [`Self::sync`], which must come before the subject's first
    /// event is written.
    pub fn create(&self) -> Result<SubjectId, VaultError> {
        self.file.write().create()
    }

    /// One write and one sync for every subject created since the last time.
    pub fn sync(&self) -> Result<(), VaultError> {
        self.file.write().sync()
    }

    /// Destroys the keys of subjects: what was sealed for them can't be opened any more, wherever it stands. Durable when this
    /// returns.
    pub fn erase(&self, subjects: &[SubjectId]) -> Result<(), VaultError> {
        let mut file = self.file.write();
        let erased = file.erase(subjects)?;
        self.erasures.fetch_add(erased, Ordering::Release);
        Ok(())
    }

    #[must_use]
    pub fn is_erased(&self, subject: SubjectId) -> bool {
        self.file.read().is_erased(subject)
    }

    /// How many keys are destroyed.
    #[must_use]
    pub fn erasures(&self) -> u64 {
        self.erasures.load(Ordering::Acquire)
    }

    /// # Panics
    /// If the subject's key was never made or is erased: the writer seals for subjects that it knows to be alive.
    #[must_use]
    pub fn seal(&self, subject: SubjectId, text: &[u8]) -> Vec<u8> {
        let key = self.file.read().key(subject).expect("a subject that is sealed for has a key");
        let nonce: [u8; NONCE_BYTES] = truncated(&mac(&derived(&key, b"nonce"), &[text]));
        let sealed = cipher(&derived(&key, b"seal"))
            .encrypt(&XNonce::from(nonce), Payload { msg: text, aad: &subject.0.to_be_bytes() })
            .expect("a few hundred bytes can be sealed");
        [&nonce[..], &sealed].concat()
    }

    pub fn open_seal(&self, subject: SubjectId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenSealError> {
        let key = self.file.read().key(subject)?;
        let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(OpenSealError::Damaged)?;
        let payload = Payload { msg: body, aad: &subject.0.to_be_bytes() };
        let text = cipher(&derived(&key, b"seal")).decrypt(&XNonce::from(*nonce), payload);
        text.map(Zeroizing::new).map_err(|_| OpenSealError::Damaged)
    }

    /// A keyed hash to find a subject by. Names are normalized by the caller.
    #[must_use]
    pub fn blind(&self, tenant: u32, kind: AliasKind, name: &str) -> Blind {
        let kind = match kind {
            AliasKind::UserName => 1_u8,
            AliasKind::Serial => 2,
            AliasKind::DeviceId => 3,
        };
        Blind(truncated(&finished(self.index.clone(), &[&tenant.to_be_bytes(), &[kind], name.as_bytes()])))
    }

    /// What tells a secret from another one, for as long as the vault is there: without its key nobody can try guesses at it.
    #[must_use]
    pub fn fingerprint(&self, tenant: u32, secret: &[u8]) -> [u8; 32] {
        // apart from every kind of name above
        const SECRET: u8 = 0;
        finished(self.index.clone(), &[&tenant.to_be_bytes(), &[SECRET], secret])
    }

    /// The hash of a command's content under a mask that is this command's alone; masked twice it is what it was. A plain one in
    /// a record would let anybody try names until one fits. An id is used once in a log, and so is its mask.
    #[must_use]
    pub fn masked(&self, tenant: u32, command_id: &str, content_hash: u64) -> u64 {
        // apart from secrets and every kind of name above
        const COMMAND: u8 = 4;
        let mask = finished(self.index.clone(), &[&tenant.to_be_bytes(), &[COMMAND], command_id.as_bytes()]);
        content_hash ^ u64::from_be_bytes(truncated(&mask))
    }
}

/// Reads the key file beside whoever erases in it.
pub struct DurableKeys<'v> {
    vault: &'v Vault,
    next: u64,
    end: u64,
    part: io::Cursor<Vec<u8>>,
}

impl Read for DurableKeys<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        const PART_BYTES: usize = 64 << 10;
        if self.part.position() == self.part.get_ref().len() as u64 && self.next < self.end {
            let part = self.vault.file.read().durable_part(self.next, PART_BYTES).map_err(io::Error::other)?;
            self.next += part.len() as u64;
            self.part = io::Cursor::new(part);
        }
        self.part.read(into)
    }
}

fn cipher(key: &Secret) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(**key))
}

fn derived(key: &Secret, purpose: &[u8]) -> Secret {
    Zeroizing::new(mac(key, &[b"seatledger ", purpose]))
}

fn mac(key: &Secret, parts: &[&[u8]]) -> [u8; 32] {
    finished(keyed(key), parts)
}

fn keyed(key: &Secret) -> Hmac<Sha256> {
    <Hmac<Sha256> as KeyInit>::new_from_slice(&key[..]).expect("HMAC takes a key of any length")
}

fn finished(mut mac: Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn truncated<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    *hash.first_chunk::<N>().expect("a truncation is shorter than the hash")
}

#[cfg(test)]
mod tests;

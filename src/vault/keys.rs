//! The key file: a header and one slot of fixed size per subject, so that a slot can be overwritten by an erasure.
//!
//! ```text
//! header  "SLKEYS01" generation:u32 0:u32 master-key-id:16 nonce:24 wrapped index key:48 crc32:4  = 108, padded to 128
//! slot    status:1 0:3 nonce:24 wrapped key:48 crc32:4                                             = 80
//! ```
//! Numbers are big-endian; status is 1 for a key and 2 for an erased one, whose other bytes are zero. What is torn at the end was never used by any event.

use super::{NONCE_BYTES, OpenSealError, Secret, VaultError, cipher, derived, mac, make_once, truncated};
use crate::domain::ids::SubjectId;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::{Aead, Payload};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub const FILE_NAME: &str = "subject.keys";

const MAGIC: &[u8; 8] = b"SLKEYS01";
const HEADER_BYTES: usize = 128;
const HEADER_USED: usize = 104;
const SLOT_BYTES: usize = 80;
const SLOT_USED: usize = 76;
const WRAPPED_BYTES: usize = 48;
const LIVE: u8 = 1;
const ERASED: u8 = 2;

type Slot = [u8; SLOT_BYTES];

/// What a walk over a key file saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyFileReport {
    pub subjects: u64,
    pub erased: u64,
    pub torn_bytes: u64,
    /// How often the master key was changed.
    pub generation: u32,
}

pub(super) struct KeyFile {
    path: PathBuf,
    file: File,
    master: Secret,
    /// As on disk: a key is unwrapped when it is used.
    slots: Vec<Slot>,
    synced: usize,
    /// Bytes behind the last slot of the unbroken run from the beginning.
    torn_bytes: u64,
}

impl KeyFile {
    /// Changes nothing in a file that is there: whether its end is torn or damaged, [`Self::settle`] says.
    pub(super) fn open(path: &Path, master: Secret) -> Result<(Self, Secret), VaultError> {
        let io = |error| VaultError::Io { doing: format!("opening the key file {}", path.display()), error };
        if !path.exists() {
            create(path, &master)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (index_key, slots, torn_bytes) = read(path, &bytes, &master)?;
        let synced = slots.len();
        Ok((Self { path: path.to_owned(), file, master, slots, synced, torn_bytes }, index_key))
    }

    /// A key is durable before an event uses it, and keys are written in their order. So what is not whole behind the
    /// last used key is the end of a write that a cut tore, some of whose slots may have survived beyond a bad one; a
    /// used key that is not whole was whole once.
    pub(super) fn settle(&mut self, subjects_used: u64) -> Result<(), VaultError> {
        let whole = self.slots.len() as u64;
        if whole < subjects_used {
            let what = format!("it holds {whole} whole keys in a row, and the history needs {subjects_used}");
            return Err(VaultError::Damaged { path: self.path.clone(), what });
        }
        if self.torn_bytes > 0 {
            tracing::warn!(bytes = self.torn_bytes, "the end of the key file was torn; no event used those keys");
            let io = |error| VaultError::Io { doing: format!("cutting the key file {}", self.path.display()), error };
            self.file.set_len((HEADER_BYTES + self.slots.len() * SLOT_BYTES) as u64).map_err(io)?;
            self.file.sync_all().map_err(io)?;
            self.torn_bytes = 0;
        }
        Ok(())
    }

    /// Reads the file and changes nothing; every key is opened once. What comes back can't make new keys.
    pub(super) fn inspect(path: &Path, master: Secret) -> Result<(Self, Secret, KeyFileReport), VaultError> {
        let io = |error| VaultError::Io { doing: format!("reading the key file {}", path.display()), error };
        let mut file = File::open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (index_key, slots, torn_bytes) = read(path, &bytes, &master)?;
        let (subjects, generation) = (slots.len() as u64, generation(&bytes));
        let mut report = KeyFileReport { subjects, erased: 0, torn_bytes, generation };
        for (subject, slot) in (0_u64..).zip(&slots) {
            match unwrap_slot(slot, SubjectId(subject), &master) {
                Ok(_) => {}
                Err(OpenSealError::Erased) => report.erased += 1,
                Err(OpenSealError::Damaged) => {
                    let what = format!("the key of subject {subject} does not open");
                    return Err(VaultError::Damaged { path: path.to_owned(), what });
                }
            }
        }
        let synced = slots.len();
        Ok((Self { path: path.to_owned(), file, master, slots, synced, torn_bytes }, index_key, report))
    }

    /// That the master key is the one that the file was made with. Reads the header and no key.
    pub(super) fn check_master(path: &Path, master: &Secret) -> Result<(), VaultError> {
        let io = |error| VaultError::Io { doing: format!("opening the key file {}", path.display()), error };
        let mut header = Vec::new();
        File::open(path).and_then(|file| file.take(HEADER_BYTES as u64).read_to_end(&mut header)).map_err(io)?;
        read(path, &header, master).map(|_| ())
    }

    /// The same as [`Self::inspect`] without a master key: checksums only.
    pub(super) fn inspect_wrapped(path: &Path) -> Result<KeyFileReport, VaultError> {
        let bytes = std::fs::read(path)
            .map_err(|error| VaultError::Io { doing: format!("reading the key file {}", path.display()), error })?;
        let (_, slots, torn_bytes) = read_slots(path, &bytes)?;
        let erased = slots.iter().filter(|slot| slot[0] == ERASED).count() as u64;
        Ok(KeyFileReport { subjects: slots.len() as u64, erased, torn_bytes, generation: generation(&bytes) })
    }

    /// What the file is to hold under another master key; every key in it is opened for that. Erased slots stay as they are; one
    /// that is erased in part counts as torn, since the history alone says whether it was to be.
    pub(super) fn rewrapped(
        path: &Path,
        master: Secret,
        next: &Secret,
    ) -> Result<(Vec<u8>, KeyFileReport), VaultError> {
        let (file, index_key, mut report) = Self::inspect(path, master)?;
        report.generation = report.generation.saturating_add(1);
        let mut bytes = header(next, &index_key, report.generation)?.to_vec();
        for (subject, slot) in (0..).map(SubjectId).zip(&file.slots) {
            match unwrap_slot(slot, subject, &file.master) {
                Ok(key) => bytes.extend(live_slot(next, &key, subject)?),
                // none is damaged: each was opened by the look above
                Err(OpenSealError::Erased | OpenSealError::Damaged) => {
                    if slot[SLOT_USED..] != crc32fast::hash(&slot[..SLOT_USED]).to_be_bytes() {
                        report.torn_bytes += SLOT_BYTES as u64;
                    }
                    bytes.extend(slot);
                }
            }
        }
        Ok((bytes, report))
    }

    /// How many bytes of the file, from the beginning, are durable.
    pub(super) fn durable_bytes(&self) -> u64 {
        (HEADER_BYTES + self.synced * SLOT_BYTES) as u64
    }

    /// # Panics
    /// If the file is not settled: a key made now could stand behind torn ones.
    pub(super) fn create(&mut self) -> Result<SubjectId, VaultError> {
        assert_eq!(self.torn_bytes, 0, "keys are made behind whole ones");
        let subject = SubjectId(self.slots.len() as u64);
        let slot = live_slot(&self.master, &random()?, subject)?;
        self.slots.push(slot);
        Ok(subject)
    }

    pub(super) fn sync(&mut self) -> Result<(), VaultError> {
        let Some(fresh) = self.slots.get(self.synced..).filter(|fresh| !fresh.is_empty()) else {
            return Ok(());
        };
        let io = |error| VaultError::Io { doing: format!("writing the key file {}", self.path.display()), error };
        let at = HEADER_BYTES + self.synced * SLOT_BYTES;
        self.file.write_all_at(&fresh.concat(), at as u64).map_err(io)?;
        self.file.sync_data().map_err(io)?;
        self.synced = self.slots.len();
        Ok(())
    }

    /// Destroys keys: what they sealed is lost. Durable when this returns. The status goes first and by itself, one byte that no cut
    /// can tear, so that whatever a cut leaves of the rest is a key that is going. Says how many keys were there.
    pub(super) fn erase(&mut self, subjects: &[SubjectId]) -> Result<u64, VaultError> {
        let io = |error| VaultError::Io { doing: format!("erasing in the key file {}", self.path.display()), error };
        let place_of = |subject: &SubjectId| usize::try_from(subject.0).ok();
        let is_whole = |place: &usize| self.slots.get(*place).is_some_and(|slot| *slot != erased_slot());
        let places: BTreeSet<usize> = subjects.iter().filter_map(place_of).filter(is_whole).collect();
        if places.is_empty() {
            return Ok(0);
        }
        let at = |place: usize| (HEADER_BYTES + place * SLOT_BYTES) as u64;
        for part in [&[ERASED][..], &erased_slot()[..]] {
            for place in &places {
                self.file.write_all_at(part, at(*place)).map_err(io)?;
            }
            self.file.sync_data().map_err(io)?;
        }
        let mut erased = 0;
        for place in places {
            if let Some(slot) = self.slots.get_mut(place) {
                erased += u64::from(slot[0] != ERASED);
                *slot = erased_slot();
            }
        }
        Ok(erased)
    }

    /// Where a key is neither there nor gone, and nothing said that it was to go.
    pub(super) fn check_erased(&self) -> Result<(), VaultError> {
        match self.slots.iter().position(|slot| slot[0] == ERASED && *slot != erased_slot()) {
            None => Ok(()),
            Some(subject) => {
                let what = format!("the key of subject {subject} is neither whole nor erased");
                Err(VaultError::Damaged { path: self.path.clone(), what })
            }
        }
    }

    /// Of the durable part of the file, from a byte on, as it is in memory: a slot that is being erased is never seen half. At
    /// most so many bytes.
    pub(super) fn durable_part(&self, from: u64, max: usize) -> Result<Vec<u8>, VaultError> {
        let io = |error| VaultError::Io { doing: format!("reading the key file {}", self.path.display()), error };
        let Some(body) = from.checked_sub(HEADER_BYTES as u64).and_then(|at| usize::try_from(at).ok()) else {
            let mut header = vec![0; HEADER_BYTES];
            self.file.read_exact_at(&mut header, 0).map_err(io)?;
            return Ok(header.get(usize::try_from(from).unwrap_or(HEADER_BYTES)..).unwrap_or_default().to_vec());
        };
        let slots = self.slots.get(..self.synced).unwrap_or_default().iter().skip(body / SLOT_BYTES);
        let mut part: Vec<u8> = slots.take(max / SLOT_BYTES).flatten().copied().collect();
        part.drain(..(body % SLOT_BYTES).min(part.len()));
        Ok(part)
    }

    pub(super) fn is_erased(&self, subject: SubjectId) -> bool {
        usize::try_from(subject.0).ok().and_then(|place| self.slots.get(place)).is_some_and(|slot| slot[0] == ERASED)
    }

    pub(super) fn erased(&self) -> u64 {
        self.slots.iter().filter(|slot| slot[0] == ERASED).count() as u64
    }

    pub(super) fn key(&self, subject: SubjectId) -> Result<Secret, OpenSealError> {
        let index = usize::try_from(subject.0).map_err(|_| OpenSealError::Damaged)?;
        unwrap_slot(self.slots.get(index).ok_or(OpenSealError::Damaged)?, subject, &self.master)
    }
}

/// Nothing of the key is left.
fn erased_slot() -> Slot {
    let mut slot = [0; SLOT_BYTES];
    slot[0] = ERASED;
    let crc = crc32fast::hash(&slot[..SLOT_USED]).to_be_bytes();
    slot[SLOT_USED..].copy_from_slice(&crc);
    slot
}

fn create(path: &Path, master: &Secret) -> Result<(), VaultError> {
    let io = |error| VaultError::Io { doing: format!("making the key file {}", path.display()), error };
    make_once(path, &header(master, &random::<32>()?, 0)?).map_err(io)
}

fn header(master: &Secret, index_key: &Secret, generation: u32) -> Result<[u8; HEADER_BYTES], VaultError> {
    let nonce = *random::<NONCE_BYTES>()?;
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&generation.to_be_bytes());
    header[16..32].copy_from_slice(&master_id(master));
    header[32..56].copy_from_slice(&nonce);
    header[56..HEADER_USED].copy_from_slice(&wrap(master, index_key, &nonce, MAGIC));
    let crc = crc32fast::hash(&header[..HEADER_USED]).to_be_bytes();
    header[HEADER_USED..HEADER_USED + 4].copy_from_slice(&crc);
    Ok(header)
}

fn live_slot(master: &Secret, key: &Secret, subject: SubjectId) -> Result<Slot, VaultError> {
    let nonce = *random::<NONCE_BYTES>()?;
    let mut slot = [0; SLOT_BYTES];
    slot[0] = LIVE;
    slot[4..28].copy_from_slice(&nonce);
    slot[28..SLOT_USED].copy_from_slice(&wrap(master, key, &nonce, &subject.0.to_be_bytes()));
    let crc = crc32fast::hash(&slot[..SLOT_USED]).to_be_bytes();
    slot[SLOT_USED..].copy_from_slice(&crc);
    Ok(slot)
}

fn read(path: &Path, bytes: &[u8], master: &Secret) -> Result<(Secret, Vec<Slot>, u64), VaultError> {
    let (header, slots, torn) = read_slots(path, bytes)?;
    if header[16..32] != master_id(master) {
        return Err(VaultError::WrongMasterKey { path: path.to_owned() });
    }
    let nonce: [u8; NONCE_BYTES] = header[32..56].try_into().expect("24 bytes");
    let index_key = unwrap(master, &header[56..HEADER_USED], &nonce, MAGIC)
        .ok_or_else(|| VaultError::Damaged { path: path.to_owned(), what: "the index key does not open".into() })?;
    Ok((index_key, slots, torn))
}

/// Of a file whose header was read.
fn generation(bytes: &[u8]) -> u32 {
    bytes.get(8..12).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// The header, the slots, and how many bytes behind them are torn: everything that shows without a master key.
fn read_slots<'b>(path: &Path, bytes: &'b [u8]) -> Result<(&'b [u8; HEADER_BYTES], Vec<Slot>, u64), VaultError> {
    let damaged = |what: String| VaultError::Damaged { path: path.to_owned(), what };
    let (header, body) =
        bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| damaged("it is shorter than its header".into()))?;
    let crc = crc32fast::hash(&header[..HEADER_USED]).to_be_bytes();
    if &header[..8] != MAGIC
        || header[HEADER_USED..HEADER_USED + 4] != crc
        || header[HEADER_USED + 4..].iter().any(|b| *b != 0)
    {
        return Err(damaged("its header is not what was written".into()));
    }
    let (written, rest) = body.as_chunks::<SLOT_BYTES>();
    // a key that is going is whole enough: the next start makes an end of it
    let is_whole =
        |slot: &&Slot| slot[0] == ERASED || slot[SLOT_USED..] == crc32fast::hash(&slot[..SLOT_USED]).to_be_bytes();
    let slots: Vec<Slot> = written.iter().take_while(is_whole).copied().collect();
    let torn = ((written.len() - slots.len()) * SLOT_BYTES + rest.len()) as u64;
    Ok((header, slots, torn))
}

fn unwrap_slot(slot: &Slot, subject: SubjectId, master: &Secret) -> Result<Secret, OpenSealError> {
    match slot[0] {
        LIVE => {
            let nonce: [u8; NONCE_BYTES] = slot[4..28].try_into().expect("24 bytes");
            unwrap(master, &slot[28..SLOT_USED], &nonce, &subject.0.to_be_bytes()).ok_or(OpenSealError::Damaged)
        }
        ERASED => Err(OpenSealError::Erased),
        _other => Err(OpenSealError::Damaged),
    }
}

fn wrap(master: &Secret, key: &Secret, nonce: &[u8; NONCE_BYTES], aad: &[u8]) -> [u8; WRAPPED_BYTES] {
    let payload = Payload { msg: &key[..], aad };
    let wrapped =
        cipher(&derived(master, b"wrap")).encrypt(&XNonce::from(*nonce), payload).expect("32 bytes can be sealed");
    wrapped.try_into().expect("a wrapped key has 48 bytes")
}

fn unwrap(master: &Secret, wrapped: &[u8], nonce: &[u8; NONCE_BYTES], aad: &[u8]) -> Option<Secret> {
    let key = cipher(&derived(master, b"wrap")).decrypt(&XNonce::from(*nonce), Payload { msg: wrapped, aad }).ok()?;
    let key = Zeroizing::new(key);
    Some(Zeroizing::new(key.as_slice().try_into().ok()?))
}

/// Tells a wrong master key from a damaged file.
fn master_id(master: &Secret) -> [u8; 16] {
    truncated(&mac(master, &[b"seatledger master key id"]))
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut bytes[..])
        .map_err(|error| VaultError::MasterKey { what: format!("can't be used: no randomness: {error}") })?;
    Ok(bytes)
}

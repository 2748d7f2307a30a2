//! Signed heads: `heads/<tenant>` holds the last one of each tenant, as it was published, or `heads/round-<n>` those of many that
//! were signed at once. It is on stable storage before anybody sees it, so that a later start can compare: a log that does not
//! contain it was shortened or rewritten. Not here: when one is signed, and which files of rounds are needed (`rounds.rs`).

use super::cosigned::COSIGNED;
use super::key::Secret;
use super::rotation::ROTATIONS;
use super::rounds::{self, Rounds, rounds_in};
use super::timestamp::{TIMESTAMPS, listed, tenants_in};
use crate::log::LogReader;
use crate::merkle::{
    Checkpoint, Hash, KeyKind, NOTE_BYTES_MAX, Note, NoteError, Signature, Signer, VerifierKey, is_key_name,
    parse_round, root_at, sign_certificate,
};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder below the data folder.
pub(super) const HEADS: &str = "heads";
const LOG_NAME_CHARS_MAX: usize = 128;

/// A head that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHead {
    /// How many records it covers.
    pub size: u64,
    pub root: Hash,
    /// The checkpoint with its signatures.
    pub note: String,
}

/// Why the signed heads keep the ledger from opening.
#[derive(Debug, thiserror::Error)]
pub enum HeadsError {
    #[error("{0}")]
    Key(String),
    #[error(
        "{name:?} can't be the log's name: it stands in every signed head, so it has 1 to {LOG_NAME_CHARS_MAX} characters, no spaces, no + and no / at its end"
    )]
    Name { name: String },
    #[error("{doing} failed: {error}")]
    Io { doing: String, error: io::Error },
    /// Somebody put another key in the place of the log's.
    #[error(
        "{file} was signed with another key than the log's of now. Put the key back that signed it; if it is lost for good, \
         `seatledger rotate-log-key --old-key-lost` says so in the history and signs with another one from then on"
    )]
    OtherKey { file: String },
    #[error(
        "the history of tenant {tenant} says at position {position} that heads are signed with {key}, and the log's key is \
         another one. Put that one back; if it is lost for good, `seatledger rotate-log-key --old-key-lost` says so in the \
         history and signs with another one from then on"
    )]
    NotTheHistorys { tenant: String, position: u64, key: String },
    #[error("the witnesses can't be asked as it is said: {0}")]
    Witnesses(String),
    #[error(
        "{file} is not the list of witnesses' keys that was written: {what}. Put it back from a copy; if there is none, move \
         it away, and the next start writes the keys of its configuration"
    )]
    WitnessKeys { file: String, what: String },
    #[error("the log's key could not be changed: {0}. The old one stays in force; the next start tries again")]
    NotRotated(String),
    /// What is in the file was never signed.
    #[error(
        "{file} is not the signed head that was written: {what}. Without it nobody can tell whether the log still \
         contains what was signed. Put the file back from a copy; if there is none and `seatledger verify` finds the log \
         whole, move the file away, and the next start signs a new head"
    )]
    Damaged { file: String, what: String },
    #[error(
        "the log of tenant {tenant} does not contain what was signed: {file} names {signed_size} records with root \
         {signed_root}, and the log {found}. It was shortened or rewritten, as when an older data folder is put back. Put \
         the newer one back, or run `seatledger restore` with the newest backup into an empty folder, which begins a new log"
    )]
    NotContained { tenant: u32, file: String, signed_size: u64, signed_root: String, found: String },
}

/// The heads of one log.
pub(in crate::ledger) struct Heads {
    dir: PathBuf,
    /// Log name and log id: the origins of tenants go on from here.
    signer: Signer,
    reader: LogReader,
    published: RwLock<BTreeMap<u32, Arc<SignedHead>>>,
    /// One at a time, so that no head is older than the one before it.
    signing: Mutex<Rounds>,
}

/// What can stand in every origin of the log.
pub(super) fn check_log_name(log_name: &str) -> Result<(), HeadsError> {
    let is_name = log_name.len() <= LOG_NAME_CHARS_MAX && is_key_name(log_name) && !log_name.ends_with('/');
    if is_name { Ok(()) } else { Err(HeadsError::Name { name: log_name.to_owned() }) }
}

/// Whether any head was signed in this folder, as anything tells that is kept of one: a key that has signed is not made anew
/// because some of it was taken away. What can't be listed may have been signed, too.
pub(super) fn has_signed(dir: &Path) -> bool {
    let heads = dir.join(HEADS);
    let told = [
        tenants_with_heads(&heads).map(|tenants| tenants.is_empty()),
        rounds_in(&heads).map(|rounds| rounds.is_empty()),
        tenants_with_heads(&dir.join(COSIGNED)).map(|tenants| tenants.is_empty()),
        tenants_in(&dir.join(TIMESTAMPS)).map(|tenants| tenants.is_empty()),
        listed(&dir.join(ROTATIONS)).map(|names| names.is_empty()),
    ];
    !told.into_iter().all(|is_empty| is_empty.is_ok_and(|is_empty| is_empty))
}

/// The notes in a folder of heads, by tenant, each with its file.
pub(super) fn notes_in(dir: &Path) -> Result<Vec<(u32, PathBuf, Note)>, HeadsError> {
    let mut notes = vec![];
    for tenant in tenants_with_heads(dir).map_err(|error| io_error("listing", dir, error))? {
        let path = dir.join(tenant.to_string());
        let damaged = |what: String| HeadsError::Damaged { file: path.display().to_string(), what };
        let bytes = read_bytes(&path)?;
        let note = Note::parse(&bytes).map_err(|error| damaged(error.to_string()))?;
        notes.push((tenant, path, note));
    }
    Ok(notes)
}

/// The head in a note, if the log contains it.
pub(super) fn compared(reader: &LogReader, tenant: u32, path: &Path, note: &Note) -> Result<SignedHead, HeadsError> {
    let damaged = |what: String| HeadsError::Damaged { file: path.display().to_string(), what };
    let head: Checkpoint =
        note.text.parse().map_err(|error: crate::merkle::CheckpointError| damaged(error.to_string()))?;
    let head = SignedHead { size: head.size, root: head.root, note: note.to_string() };
    compare(reader, tenant, path, &head)?;
    Ok(head)
}

pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, HeadsError> {
    let mut bytes = vec![];
    let file = File::open(path).and_then(|file| file.take(NOTE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    file.map_err(|error| io_error("reading", path, error))?;
    Ok(bytes)
}

/// Every head in a folder that is one, with its tenant, those signed alone first.
fn checkpoints_in(dir: &Path) -> impl Iterator<Item = (u32, Checkpoint)> {
    let heads = dir.join(HEADS);
    let alone = tenants_with_heads(&heads).unwrap_or_default().into_iter();
    let file = heads.clone();
    let alone = alone
        .filter_map(move |tenant| Some((tenant, Note::parse(&fs::read(file.join(tenant.to_string())).ok()?).ok()?)));
    let rounds = rounds_in(&heads).unwrap_or_default().into_iter();
    let rounds = rounds.filter_map(|(_, path)| parse_round(&rounds::read(&path).ok()?).ok()).flatten();
    alone.chain(rounds).filter_map(|(tenant, note)| Some((tenant, note.text.parse().ok()?)))
}

/// Whose log it is, as the heads in a folder say.
pub fn log_name_in(dir: &Path) -> Option<String> {
    let (_, head) = checkpoints_in(dir).next()?;
    head.origin.rsplitn(3, '/').nth(2).map(str::to_owned)
}

/// How many records the last head of the tenant in this folder covers, whoever signed it.
pub(super) fn last_size(dir: &Path, tenant: u32) -> Option<u64> {
    checkpoints_in(dir).filter(|(of, _)| *of == tenant).map(|(_, head)| head.size).max()
}

impl Heads {
    /// Reads every last head and compares it with the log, and, if `only_ours`, its signature with the key.
    pub(super) fn open(
        dir: &Path,
        log_name: &str,
        log_id: &[u8; 16],
        secret: &Secret,
        reader: LogReader,
        only_ours: bool,
    ) -> Result<Heads, HeadsError> {
        let name = format!("{log_name}/{}", hex::encode(log_id));
        let signer = Signer::new(&name, secret).map_err(|_| HeadsError::Name { name })?;
        let dir = dir.join(HEADS);
        let listing = |error| io_error("listing", &dir, error);
        let (mut last, mut rounds) = (BTreeMap::new(), Rounds::default());
        // of two heads of a tenant the one over more records counts, and the one that was signed alone has the cosignatures
        for (number, path) in rounds_in(&dir).map_err(listing)? {
            rounds.found(number);
            let damaged = |what: String| HeadsError::Damaged { file: path.display().to_string(), what };
            let bytes = rounds::read(&path).map_err(|error| io_error("reading", &path, error))?;
            for (tenant, note) in parse_round(&bytes).map_err(|error| damaged(error.to_string()))? {
                let (head, is_ours) = read(&path, note, &signer)?;
                if last.get(&tenant).is_none_or(|(known, _, _): &(SignedHead, _, _)| known.size <= head.size) {
                    rounds.holds(number, tenant);
                    last.insert(tenant, (head, is_ours, path.clone()));
                }
            }
        }
        for tenant in tenants_with_heads(&dir).map_err(listing)? {
            let path = dir.join(tenant.to_string());
            let damaged = |what: String| HeadsError::Damaged { file: path.display().to_string(), what };
            let note = Note::parse(&read_bytes(&path)?).map_err(|error| damaged(error.to_string()))?;
            let (head, is_ours) = read(&path, note, &signer)?;
            if last.get(&tenant).is_none_or(|(known, _, _)| known.size <= head.size) {
                rounds.stands_elsewhere(tenant);
                last.insert(tenant, (head, is_ours, path));
            }
        }
        let mut published = BTreeMap::new();
        for (tenant, (head, is_ours, path)) in last {
            compare(&reader, tenant, &path, &head)?;
            if only_ours && !is_ours {
                return Err(HeadsError::OtherKey { file: path.display().to_string() });
            }
            published.insert(tenant, Arc::new(head));
        }
        let (published, signing) = (RwLock::new(published), Mutex::new(rounds));
        Ok(Heads { dir, signer, reader, published, signing })
    }

    pub(super) fn reader(&self) -> &LogReader {
        &self.reader
    }

    /// Log name and log id, and the key in force.
    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// From here on this key signs.
    pub(super) fn sign_with(&mut self, signer: Signer) {
        self.signer = signer;
    }

    /// Publishes a head that was signed elsewhere, unless one over more records stands already.
    pub(super) fn publish(&self, tenant: u32, head: SignedHead) -> io::Result<()> {
        let mut rounds = self.signing.lock();
        if self.last(tenant).is_some_and(|last| last.size > head.size) {
            return Ok(());
        }
        write(&self.dir, &tenant.to_string(), head.note.as_bytes())?;
        rounds.stands_elsewhere(tenant);
        self.published.write().insert(tenant, Arc::new(head));
        Ok(())
    }

    /// What checks this tenant's heads.
    pub(super) fn verifier_key(&self, slug: &str) -> Option<VerifierKey> {
        self.signer_of(slug).map(|signer| signer.verifier_key(KeyKind::Plain))
    }

    /// The same for the log as a whole; it signs nothing under this name.
    pub(super) fn log_key(&self) -> VerifierKey {
        self.signer.verifier_key(KeyKind::Plain)
    }

    fn signer_of(&self, slug: &str) -> Option<Signer> {
        self.signer.named(&format!("{}/{slug}", self.signer.name())).ok()
    }

    /// Signs an older size of the tree, which the last head covers: a part of what was published.
    pub(super) fn sign_older(&self, slug: &str, size: u64, root: Hash) -> io::Result<String> {
        let signer = self.signer_of(slug).ok_or_else(unnameable)?;
        Ok(Checkpoint::new(signer.name(), size, root).signed(&signer).to_string())
    }

    /// Signs a certificate of the tenant.
    pub(super) fn certify(&self, slug: &str, lines: &str) -> io::Result<Note> {
        let signer = self.signer_of(slug).ok_or_else(unnameable)?;
        sign_certificate(&signer, lines).map_err(io::Error::other)
    }

    pub(super) fn last(&self, tenant: u32) -> Option<Arc<SignedHead>> {
        self.published.read().get(&tenant).cloned()
    }

    /// Tenants whose trees have grown since their last head.
    pub(super) fn behind(&self) -> Vec<u32> {
        let sizes = self.reader.tree_sizes();
        let published = self.published.read();
        let is_behind = |(tenant, size): &(u32, u64)| published.get(tenant).is_none_or(|head| head.size < *size);
        sizes.into_iter().filter(|one| one.1 > 0 && is_behind(one)).map(|(tenant, _)| tenant).collect()
    }

    /// Adds a witness's signature to the last head. `false` if there is a newer head by now.
    pub(super) fn add(&self, tenant: u32, size: u64, key: &VerifierKey, signature: Signature) -> Result<bool, String> {
        let mut rounds = self.signing.lock();
        let Some(last) = self.last(tenant).filter(|last| last.size == size) else { return Ok(false) };
        let mut note = Note::parse(last.note.as_bytes()).map_err(|error| error.to_string())?;
        note.add(key, signature).map_err(|error| error.to_string())?;
        let note = note.to_string();
        write(&self.dir, &tenant.to_string(), note.as_bytes()).map_err(|error| error.to_string())?;
        rounds.stands_elsewhere(tenant);
        self.published.write().insert(tenant, Arc::new(SignedHead { note, ..(*last).clone() }));
        Ok(true)
    }

    /// Signs the tree as it is now, unless that was done.
    pub(super) fn sign(&self, tenant: u32, slug: &str) -> io::Result<Arc<SignedHead>> {
        let mut rounds = self.signing.lock();
        let head = match self.newest(tenant, slug)? {
            Newest::Published(last) => return Ok(last),
            Newest::Signed(head) => Arc::new(head),
        };
        write(&self.dir, &tenant.to_string(), head.note.as_bytes())?;
        rounds.stands_elsewhere(tenant);
        self.published.write().insert(tenant, Arc::clone(&head));
        Ok(head)
    }

    /// The same for many tenants, in one file.
    pub(super) fn sign_round(&self, tenants: &[(u32, String)]) -> io::Result<()> {
        let mut rounds = self.signing.lock();
        let mut signed = BTreeMap::new();
        for (tenant, slug) in tenants {
            if let Newest::Signed(head) = self.newest(*tenant, slug)? {
                signed.insert(*tenant, Arc::new(head));
            }
        }
        rounds.write(&self.dir, &signed, |tenant| self.last(tenant))?;
        self.published.write().extend(signed);
        Ok(())
    }

    fn newest(&self, tenant: u32, slug: &str) -> io::Result<Newest> {
        let (size, root) = self.reader.tree(tenant).head();
        if let Some(last) = self.last(tenant).filter(|last| last.size >= size) {
            assert!(last.size > size || last.root == root, "tenant {tenant} has two roots at {size} records");
            return Ok(Newest::Published(last));
        }
        let signer = self.signer_of(slug).ok_or_else(unnameable)?;
        let note = Checkpoint::new(signer.name(), size, root).signed(&signer).to_string();
        Ok(Newest::Signed(SignedHead { size, root, note }))
    }
}

/// The head over a tree as it is now.
enum Newest {
    Published(Arc<SignedHead>),
    /// Not written yet, and nobody has seen it.
    Signed(SignedHead),
}

fn unnameable() -> io::Error {
    io::Error::other("a tenant's name that no key can have")
}

fn io_error(doing: &str, path: &Path, error: io::Error) -> HeadsError {
    HeadsError::Io { doing: format!("{doing} {}", path.display()), error }
}

/// The tenants that have a head in this folder, in order.
pub(super) fn tenants_with_heads(dir: &Path) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(error),
    };
    let mut tenants = vec![];
    for entry in entries {
        let name = entry?.file_name();
        // whatever else stands there is none of ours, or was left aside by a cut
        tenants.extend(name.to_str().and_then(|name| name.parse::<u32>().ok().filter(|n| n.to_string() == name)));
    }
    tenants.sort_unstable();
    Ok(tenants)
}

/// The head in a note of a file, and whether it is signed with our key.
fn read(path: &Path, note: Note, signer: &Signer) -> Result<(SignedHead, bool), HeadsError> {
    let damaged = |what: String| HeadsError::Damaged { file: path.display().to_string(), what };
    let checkpoint: Checkpoint =
        note.text.parse().map_err(|error: crate::merkle::CheckpointError| damaged(error.to_string()))?;
    let key =
        signer.named(&checkpoint.origin).map_err(|error| damaged(error.to_string()))?.verifier_key(KeyKind::Plain);
    let is_ours = match note.open(std::slice::from_ref(&key)) {
        Ok(_) => true,
        // a line of which a bit has changed is no other key's
        Err(NoteError::NoKnownKey) if note.signatures.iter().any(|line| key.is_anothers(line)) => false,
        Err(error) => return Err(damaged(error.to_string())),
    };
    // the name before the log's id may have been changed; the id may not
    let mut parts = checkpoint.origin.rsplit('/');
    let (slug, log_id) = (parts.next().unwrap_or_default(), parts.next());
    if log_id != signer.name().rsplit('/').next() {
        return Err(damaged(format!("it is of {}, which is another log", checkpoint.origin)));
    }
    let (size, root) = (checkpoint.size, checkpoint.root);
    let signer = signer.named(&format!("{}/{slug}", signer.name())).map_err(|error| damaged(error.to_string()))?;
    // the same head, said by the key and the name of today
    let note = if is_ours && checkpoint.origin == signer.name() {
        note
    } else {
        Checkpoint::new(signer.name(), size, root).signed(&signer)
    };
    Ok((SignedHead { size, root, note: note.to_string() }, is_ours))
}

/// Whether the log contains the head.
fn compare(reader: &LogReader, tenant: u32, path: &Path, head: &SignedHead) -> Result<(), HeadsError> {
    let tree = reader.tree(tenant);
    let (size, root) = tree.head();
    let found = if head.size > size {
        format!("has {size} records with root {}", hex::encode(root))
    } else {
        let then = if head.size == size { Ok(root) } else { root_at(&tree, head.size) };
        match then {
            Ok(then) if then == head.root => return Ok(()),
            Ok(then) => format!("has root {} with as many", hex::encode(then)),
            Err(error) => format!("can't be read: {error}"),
        }
    };
    Err(HeadsError::NotContained {
        tenant,
        file: path.display().to_string(),
        signed_size: head.size,
        signed_root: hex::encode(head.root),
        found,
    })
}

/// Whole or not at all. That the name goes to the new content is not waited for: an older head is as good to compare with.
/// That there is one of the name at all is, so that what is missing was taken away.
pub(super) fn write(dir: &Path, name: &str, note: &[u8]) -> io::Result<()> {
    let (aside, file) = (dir.join(format!("{name}.tmp")), dir.join(name));
    let mut made = match File::create(&aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(dir)?;
            File::create(&aside)?
        }
        made => made?,
    };
    made.write_all(note)?;
    made.sync_data()?;
    let is_new = !file.exists();
    fs::rename(&aside, file)?;
    if is_new { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// With those above it that are not there.
fn make_folder(dir: &Path) -> io::Result<()> {
    let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty()) else { return Ok(()) };
    if !above.is_dir() {
        make_folder(above)?;
    }
    fs::create_dir_all(dir)?;
    File::open(above)?.sync_all()
}

//! Another key for the log. The next key lies beside the old one until every tenant's history says so and a head that names
//! both, signed by both, hands over to it; then it gets the old one's name. Whatever cuts this in between, the old key is in
//! force, and the next start goes on. `rotations/<tenant>-<size>` keeps those heads, and nothing else is ever signed with both
//! names in it. Not here: the files of the secrets (`key.rs`).

use super::heads::{self, Heads, HeadsError, SignedHead};
use super::key::NextKey;
use crate::domain::command::{Actor, Door, Intake, Observation};
use crate::domain::ids::TenantId;
use crate::domain::state::LogKeyRotation;
use crate::ledger::{Ask, ReadError, Shelf, Submission};
use crate::log::writer::{Job, WriterHandle};
use crate::merkle::{
    Checkpoint, Hash, KeyError, KeyKind, KeyRange, LogKeys, NOTE_BYTES_MAX, Note, Signer, VerifierKey, key_change,
    open_handover, root_at,
};
use futures::executor::block_on;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;

/// The folder below the data folder.
pub(super) const ROTATIONS: &str = "rotations";
/// So many tenants are told at once; the writer's queue takes more.
const TOLD_AT_ONCE: usize = 4096;
/// The trees follow the log by moments.
const TREE_MAX: Duration = Duration::from_secs(60);

fn failed(error: impl std::fmt::Display) -> HeadsError {
    HeadsError::NotRotated(error.to_string())
}

fn plain(signer: &Signer, slug: &str) -> Result<(Signer, VerifierKey), HeadsError> {
    let signer = signer.named(&format!("{}/{slug}", signer.name())).map_err(failed)?;
    let key = signer.verifier_key(KeyKind::Plain);
    Ok((signer, key))
}

/// Changes of the key that are of this log, and not of one before a restore or an import. `log` ends with the log's id.
pub(super) fn of_this_log<'r>(rotations: &'r [LogKeyRotation], log: &str) -> impl Iterator<Item = &'r LogKeyRotation> {
    let log_id = log.rsplit('/').next().unwrap_or_default().to_owned();
    rotations.iter().filter(move |rotation| log_id_in(&rotation.new_key) == Some(&log_id))
}

/// `<log name>/<log id>/<slug>+...`
fn log_id_in(key: &str) -> Option<&str> {
    key.split('+').next()?.rsplit('/').nth(1)
}

/// The public key in a change of the history.
fn new_key(rotation: &LogKeyRotation) -> Result<VerifierKey, HeadsError> {
    rotation.new_key.parse().map_err(failed)
}

/// The one before it, where that one could sign.
fn old_key(rotation: &LogKeyRotation) -> Result<Option<VerifierKey>, KeyError> {
    rotation.old_key.as_deref().filter(|_| !rotation.is_old_key_lost).map(str::parse).transpose()
}

/// Finishes a change of the key that was begun.
pub(super) fn finish(
    dir: &Path,
    next: &NextKey,
    heads: &mut Heads,
    shelf: &Shelf,
    writer: &WriterHandle,
) -> Result<(), HeadsError> {
    let old = heads.signer().clone();
    let new = Signer::new(old.name(), &next.secret).map_err(failed)?;
    let tenants = shelf.tenants_with_names();
    for some in tenants.chunks(TOLD_AT_ONCE) {
        tell(some, (&old, &new), next.is_old_lost, shelf, writer)?;
    }
    let folder = dir.join(ROTATIONS);
    fs::create_dir_all(&folder).map_err(failed)?;
    for (tenant, slug) in &tenants {
        let last = last_of_this_log(shelf, *tenant, new.name())?;
        let last = last.ok_or_else(|| failed(format!("the history of {slug} does not have it")))?;
        let size = last.position + 1;
        if !heads.reader().reach_tree(tenant.0, size, TREE_MAX) {
            return Err(failed("the tree is behind the log"));
        }
        let root = root_at(&heads.reader().tree(tenant.0), size).map_err(failed)?;
        let signers: Vec<&Signer> = (!next.is_old_lost).then_some(&old).into_iter().chain([&new]).collect();
        let handover = signed(&handover_head(&last, size, root)?, &signers)?;
        heads::write(&folder, &handover_name(*tenant, size), handover.as_bytes()).map_err(failed)?;
        // until the next key is in force, a start looks for the signature of the old one
        let note = signed(&Checkpoint::new(&format!("{}/{slug}", new.name()), size, root), &signers)?;
        heads.publish(tenant.0, SignedHead { size, root, note }).map_err(failed)?;
    }
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
    next.take_its_place().map_err(failed)?;
    heads.sign_with(new);
    tracing::warn!(log_key = %heads.log_key(), "the key that signs heads was changed; witnesses and auditors need the new one");
    Ok(())
}

/// Under the names that the history says: the log may be called otherwise since the change began.
fn handover_head(rotation: &LogKeyRotation, size: u64, root: Hash) -> Result<Checkpoint, HeadsError> {
    let new = new_key(rotation)?;
    let line = old_key(rotation).map_err(failed)?.map(|old| key_change(&old, &new));
    Ok(Checkpoint { extensions: line.into_iter().collect(), ..Checkpoint::new(new.name(), size, root) })
}

fn signed(head: &Checkpoint, signers: &[&Signer]) -> Result<String, HeadsError> {
    let text = head.to_string();
    let signatures = signers.iter().map(|signer| Ok(signer.named(&head.origin)?.sign(&text)));
    let signatures = signatures.collect::<Result<_, KeyError>>().map_err(failed)?;
    Ok(Note { text, signatures }.to_string())
}

/// Has the histories of these tenants say it, where they do not already.
fn tell(
    tenants: &[(TenantId, String)],
    (old, new): (&Signer, &Signer),
    is_old_key_lost: bool,
    shelf: &Shelf,
    writer: &WriterHandle,
) -> Result<(), HeadsError> {
    let mut answers = vec![];
    for (tenant, slug) in tenants {
        let (_, new_key) = plain(new, slug)?;
        let last = last_of_this_log(shelf, *tenant, new.name())?;
        let last = last.map(|last| self::new_key(&last)).transpose()?;
        if last.as_ref().is_some_and(|last| last.public_key() == new_key.public_key()) {
            continue;
        }
        let old_key = if is_old_key_lost { last } else { Some(plain(old, slug)?.1) };
        let old_key = old_key.map(|key| key.to_string());
        let observation = Observation::RotateLogKey { old_key, new_key: new_key.to_string(), is_old_key_lost };
        let submission = Box::new(Submission {
            actor: Actor::Ledger,
            door: Door::Cli,
            command_id: None,
            content_hash: 0,
            occurred_at: None,
            reason: None,
            if_match: None,
            ask: Ask::Intake(Intake::Observation(observation)),
        });
        let (reply, answer) = oneshot::channel();
        writer.send(Job::Submit { tenant: *tenant, submission, reply }).map_err(failed)?;
        answers.push(answer);
    }
    for answer in answers {
        block_on(answer).map_err(failed)?.map_err(failed)?;
    }
    Ok(())
}

fn last_of_this_log(shelf: &Shelf, tenant: TenantId, log: &str) -> Result<Option<LogKeyRotation>, HeadsError> {
    let desk = shelf.desk(tenant).map_err(failed)?;
    let view = desk.view.read();
    Ok(of_this_log(&view.state.log_keys, log).last().cloned())
}

/// Whether the key in force is the one that every history names last.
pub(super) fn check(heads: &Heads, shelf: &Shelf) -> Result<(), HeadsError> {
    let log = heads.log_key();
    for (tenant, slug) in shelf.tenants_with_names() {
        let Some(last) = last_of_this_log(shelf, tenant, log.name())? else { continue };
        if new_key(&last)?.public_key() != log.public_key() {
            return Err(HeadsError::NotTheHistorys { tenant: slug, position: last.position, key: last.new_key });
        }
    }
    Ok(())
}

fn handover_name(tenant: TenantId, size: u64) -> String {
    format!("{}-{size}", tenant.0)
}

fn handover_file(dir: &Path, tenant: TenantId, size: u64) -> PathBuf {
    dir.join(ROTATIONS).join(handover_name(tenant, size))
}

pub(super) fn has_handover(dir: &Path, tenant: TenantId, size: u64) -> bool {
    handover_file(dir, tenant, size).exists()
}

fn read_handover(dir: &Path, tenant: TenantId, size: u64) -> io::Result<String> {
    let mut text = String::new();
    let file = File::open(handover_file(dir, tenant, size))?;
    file.take(NOTE_BYTES_MAX as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// Every key of a tenant's heads, with what hands over from one to the next.
pub(super) fn keys(
    dir: &Path,
    tenant: TenantId,
    rotations: &[LogKeyRotation],
    today: VerifierKey,
) -> Result<LogKeys, ReadError> {
    let broken = |error: &dyn std::fmt::Display| ReadError::Log(format!("the list of the log's keys: {error}"));
    let log = today.name().rsplit_once('/').map_or("", |(log, _)| log).to_owned();
    let (mut ranges, mut from_size) = (vec![], 1);
    for rotation in of_this_log(rotations, &log) {
        let to_size = rotation.position + 1;
        if let Some(key) = &rotation.old_key {
            let handover = (!rotation.is_old_key_lost).then(|| read_handover(dir, tenant, to_size)).transpose();
            let handover = handover.map_err(|error| broken(&error))?;
            let key = key.parse().map_err(|error| broken(&error))?;
            ranges.push(KeyRange { key, from_size, to_size: Some(to_size), handover });
        }
        from_size = to_size;
    }
    ranges.push(KeyRange { key: today, from_size, to_size: None, handover: None });
    LogKeys::new(ranges).map_err(|error| broken(&error))
}

/// What is wrong with the heads that hand over from key to key in a folder, each with its file, or, as an `Ok`, what is still
/// to come. Whether the log contains them is not asked.
pub(in crate::ledger) fn look_at_handovers(
    dir: &Path,
    tenant: TenantId,
    log_id: &[u8; 16],
    rotations: &[LogKeyRotation],
) -> Vec<(PathBuf, Result<String, String>)> {
    let mut said = vec![];
    for rotation in of_this_log(rotations, &hex::encode(log_id)) {
        let size = rotation.position + 1;
        let file = handover_file(dir, tenant, size);
        let what = match read_handover(dir, tenant, size) {
            Ok(text) => look_at(&text, rotation, size).map(|()| None),
            // the last head is signed once this one is written
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && heads::last_size(dir, tenant.0).unwrap_or(0) < size =>
            {
                Ok(Some(format!(
                    "the key's change at position {} is not through: the next start goes on",
                    rotation.position
                )))
            }
            Err(error) => Err(error.to_string()),
        };
        let named = |what| format!("it should hand over to the key of position {}: {what}", rotation.position);
        said.extend(what.map_err(named).transpose().map(|what| (file, what)));
    }
    said
}

fn look_at(text: &str, rotation: &LogKeyRotation, size: u64) -> Result<(), String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let new_key: VerifierKey = rotation.new_key.parse().map_err(|error: KeyError| words(&error))?;
    let (head, note) = match old_key(rotation).map_err(|error| words(&error))? {
        Some(old_key) => open_handover(text.as_bytes(), &old_key, &new_key).map_err(|error| words(&error))?,
        None => Checkpoint::open(text.as_bytes(), &new_key).map_err(|error| words(&error))?,
    };
    let signers = if rotation.is_old_key_lost { 1 } else { 2 };
    if note.signatures.len() != signers {
        return Err(format!("it has {} signatures and not {signers}", note.signatures.len()));
    }
    if head.size == size { Ok(()) } else { Err(format!("it is a head over {} records, and not {size}", head.size)) }
}

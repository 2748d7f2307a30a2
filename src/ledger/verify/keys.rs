//! The keys of a data folder in a verification: what is damaged in them, and what only means that nobody can tell.

use super::{Verification, damage};
use crate::ledger::evidence::LOG_KEY_FILE;
use crate::log::Damage;
use crate::vault::{KEYS_FILE, MASTER_KEY_FILE, MasterKeySource, Vault, VaultError};
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

/// That the key files of a folder can be read, and that the master key can be had and is theirs. Comes before a verification:
/// where this fails nothing is known to be damaged, wherever the master key comes from.
///
/// # Errors
/// When a key can't be had, or the master key is not the folder's.
pub fn check_keys(dir: &Path, master_key: Option<&MasterKeySource>) -> Result<(), VaultError> {
    for path in [dir.join(LOG_KEY_FILE), dir.join(KEYS_FILE)] {
        match File::open(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(VaultError::Io { doing: format!("opening {}", path.display()), error });
            }
            Ok(_) | Err(_) => {}
        }
    }
    let Some(source) = master_key.filter(|_| dir.join(KEYS_FILE).exists()) else { return Ok(()) };
    match Vault::check_master_key(dir, source) {
        Ok(()) | Err(VaultError::Damaged { .. }) => Ok(()),
        Err(error @ (VaultError::Io { .. } | VaultError::WrongMasterKey { .. } | VaultError::MasterKey { .. })) => {
            Err(error)
        }
    }
}

pub(super) fn look_at_keys(
    dir: &Path,
    master_key: Option<&MasterKeySource>,
    found: &mut Verification,
    findings: &mut Vec<Damage>,
) -> Option<Vault> {
    let path = dir.join(KEYS_FILE);
    if !path.exists() {
        return None; // a finding if the history names subjects
    }
    let (vault, report) = match master_key.map(|source| Vault::inspect(dir, source)) {
        Some(Ok((vault, report))) => (Some(vault), Ok(report)),
        Some(Err(error @ (VaultError::WrongMasterKey { .. } | VaultError::MasterKey { .. }))) => {
            findings.push(damage(&dir.join(MASTER_KEY_FILE), error.to_string()));
            (None, Vault::inspect_wrapped(dir))
        }
        Some(Err(error)) => (None, Err(error)),
        None => {
            found.notes.push("no master key was given: keys and seals were not opened, only their checksums".into());
            (None, Vault::inspect_wrapped(dir))
        }
    };
    match report {
        Ok(report) => {
            if report.torn_bytes > 0 {
                found.notes.push(format!("{} bytes at the end of {KEYS_FILE} were never used", report.torn_bytes));
            }
            found.keys = Some(report);
        }
        Err(VaultError::Damaged { what, .. }) => findings.push(damage(&path, what)),
        Err(error) => findings.push(damage(&path, error.to_string())),
    }
    found.are_seals_opened = vault.is_some();
    vault
}

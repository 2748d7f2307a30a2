//! What the subcommands on a data folder have in common: which folder, whether a service runs on it, which master key.

use super::exit::{self, Failure};
use crate::ledger::MasterKeySource;
use crate::log::{Still, check_version, hold_still};
use crate::vault::MASTER_KEY_FILE;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where the master key is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct MasterKey {
    /// The file with the master key, where it is not master.key in the data folder
    #[arg(long, env = "SEATLEDGER_MASTER_KEY_FILE", value_name = "FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// The key itself, by the environment only: a command line can be read by everybody on the machine
    #[arg(long, env = "SEATLEDGER_MASTER_KEY", hide = true, hide_env_values = true)]
    master_key: Option<String>,
}

impl MasterKey {
    /// `None` where no master key was named and none lies in the folder.
    pub(crate) fn source(&self, dir: &Path) -> Option<MasterKeySource> {
        if let Some(file) = &self.master_key_file {
            return Some(MasterKeySource::File(file.clone()));
        }
        if let Some(text) = &self.master_key {
            return Some(MasterKeySource::Text(Zeroizing::new(text.clone())));
        }
        dir.join(MASTER_KEY_FILE).exists().then_some(MasterKeySource::DataFolder)
    }
}

/// The folder of a ledger, kept from being served while this is held; `None` if a service runs on it now.
pub(crate) fn hold(dir: &Path) -> Result<Option<Still>, Failure> {
    let listed = std::fs::read_dir(dir).map_err(|error| exit::file(dir, "the data folder can't be read", error))?;
    let is_a_ledgers = listed.flatten().any(|entry| {
        ["READY", "anchor", "journal", "sled"].iter().any(|name| entry.file_name() == std::ffi::OsStr::new(name))
    });
    if !is_a_ledgers {
        return Err(Failure::File(format!("{}: this is no data folder: it holds no ledger", dir.display())));
    }
    check_version(dir).map_err(|error| Failure::File(error.to_string()))?;
    hold_still(dir).map_err(|error| exit::file(dir, "whether a service runs on it can't be told", error))
}

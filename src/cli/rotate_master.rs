//! `seatledger rotate-master-key`: gives a stopped folder another master key, and says what there is to do then. Not here: the
//! changing (`vault::rotation`).

use super::exit::{self, Failure, Finished};
use super::folder::{self, MasterKey};
use super::output::{self, grouped};
use crate::log::FolderLock;
use crate::vault::{Rotated, RotationError, rotate_master_key};
use serde_json::json;
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "\
Stop the service first. Draws a new master key and wraps the key of every person and device anew with it. Names, history, seals and
digests stay as they are, and who was erased stays erased. The new key takes the old one's place in its file (mode 0600), and the
old one is gone from there. If that file serves several data folders, give each one a file of its own before.

Where the key comes from the environment (SEATLEDGER_MASTER_KEY) or from a command, it can't be put back there: it is written to the
file that --to names, and the service starts once you have given the new key to the environment or the key service. For a key that a
command prints: SEATLEDGER_MASTER_KEY=$(COMMAND) seatledger rotate-master-key ...

This is how a name leaves old backups. A backup has the keys of everybody as they were, wrapped by the master key of its day: once
the last copy of that one is destroyed, the backup opens only with the keys of a newer backup (`seatledger restore --keys-from`), in
which whoever was erased since has none. So afterwards: copy the new master key to a safe place apart from the backups, make a
new backup, and destroy every copy of the old master key, and every backup that was made with --with-master-key.

If this is cut anywhere, either the old key is in force or the new one, and the next start of the service, or of this, finds out and
tidies up. With --to try the old one, and if it is refused the one in FILE. A damaged key file is refused, and stays.

Exit codes: 0 changed, 2 --to is missing, or is not for this folder, 5 nothing was changed, or, where the message says so, perhaps.

Examples:
  seatledger rotate-master-key --data ledger-data
  seatledger rotate-master-key --data ledger-data --master-key-file /etc/seatledger/master.key
  seatledger rotate-master-key --data ledger-data --to new-master.key";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    master_key: MasterKey,
    /// The file for the new key, where the old one is in none: outside the data folder, and not there yet
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    let dir = args.data.display();
    if folder::hold(&args.data)?.is_none() {
        return Err(Failure::File(format!("{dir}: a service runs on it; stop it first")));
    }
    args.to.as_deref().map_or(Ok(()), |to| lies_outside(&args.data, to))?;
    let source = args.master_key.source(&args.data).ok_or_else(|| {
        Failure::File(format!("{dir}: it has no master key of its own; name the file with it: --master-key-file"))
    })?;
    // a backup or a verification that reads the keys now is not to see them change either
    let _lock = FolderLock::take(&args.data).map_err(|error| Failure::File(error.to_string()))?;
    let rotated = rotate_master_key(&args.data, &source, args.to.as_deref()).map_err(|error| match error {
        RotationError::NoPlace | RotationError::TwoPlaces { .. } => Failure::Usage(error.to_string()),
        RotationError::Vault(_)
        | RotationError::Torn { .. }
        | RotationError::Taken { .. }
        | RotationError::OthersNext { .. }
        | RotationError::Unwritten { .. }
        | RotationError::Unfinished { .. } => Failure::File(format!("{dir}: {error}")),
    })?;
    tell(args, &rotated)?;
    Ok(Finished::Well)
}

/// Who copies the folder is not to get the key that was kept out of it.
fn lies_outside(data: &Path, to: &Path) -> Result<(), Failure> {
    let failed = |error| exit::file(to, "the new master key can't be written", error);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.canonicalize().map_err(failed)?.starts_with(data.canonicalize().map_err(failed)?) {
        return Err(Failure::Usage(
            "the new master key must not lie in the data folder: --to names a file elsewhere".into(),
        ));
    }
    Ok(())
}

fn tell(args: &Args, rotated: &Rotated) -> Result<(), Failure> {
    let Rotated { at, generation, subjects, erased } = rotated;
    if args.json {
        return output::json(&json!({
            "data": args.data.display().to_string(),
            "master_key_file": at.display().to_string(),
            "generation": generation,
            "subjects": subjects,
            "subjects_erased": erased,
        }));
    }
    let place = if args.to.is_some() {
        format!(
            "The new master key is in {} and nowhere else. Give it to the environment or the key service now: without it the service \
             does not start.",
            at.display()
        )
    } else {
        format!("The new master key is in {}, in the old one's place.", at.display())
    };
    output::line(&format!(
        "{} has another master key (generation {generation}): {} subjects, {} of them erased.\n{place}\n\nNow:\n\
         1. Copy the new master key to a safe place, apart from the backups.\n\
         2. Make a new backup.\n\
         3. Destroy every copy of the old master key, and every backup with one inside.\n\n\
         Backups from before open only with the old master key, or with the keys of a newer backup:\n\
         `seatledger restore --from OLD --keys-from NEWER --data DIR`.",
        args.data.display(),
        grouped(*subjects),
        grouped(*erased),
    ))
}

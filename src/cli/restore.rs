//! `seatledger restore`: a backup into an empty folder, and what there is to do then. Not here: the restoring
//! (`ledger::restore`).

use super::exit::{self, Failure, Finished};
use super::folder::MasterKey;
use super::output::{self, grouped};
use super::progress::Steps;
use crate::clock::wall;
use crate::ledger::restore::{KeysFrom, RestoreError, Restored, restore_with};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Compares every file of the backup with its SHA-256, verifies the log in it as `seatledger verify` does, and only then puts
it into the folder. A backup that is cut off or changed is refused, and nothing is left behind.

What was acknowledged after the backup is not in it. So that nobody takes the restored log for the old one, it gets an id
of its own and says so in its first events.

Tokens are as they were: one that was revoked after the backup opens the restored ledger again. What opens it is listed at the
end; revoke what is not to.

A backup that was made before the master key was changed (`rotate-master-key`) opens only with that key, or with the keys of a
newer backup of the same ledger (--keys-from): the log is the old one's, all keys are the newer one's. Who was erased between the two has
no name then. The newer backup's master key has to be named, or to be in it; the seals of the log have to open with it. A master
key in the old backup is left out.

Examples:
  seatledger restore --from ledger-2026-11-24.tar --data new
  seatledger restore --from ledger-2026-11-24.tar --keys-from ledger-2026-12-01.tar --data new --master-key-file master.key

Exit codes: 0 restored, 1 the backup is not usable, 5 the file or the folder can't be read or written, the folder
is not empty, or the master key can't be had or is another ledger's.")]
pub(crate) struct Args {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// A later backup of the same ledger, from which all keys are taken
    #[arg(long, value_name = "FILE")]
    keys_from: Option<PathBuf>,
    /// The folder to restore into: empty, or not there yet
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    master_key: MasterKey,
    /// Print one JSON object instead of a text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    let (mut from, bytes) = opened(&args.from)?;
    let mut keys = args.keys_from.as_deref().map(opened).transpose()?;
    let keys = keys.as_mut().map(|(from, bytes)| KeysFrom { from, bytes: *bytes });
    let master_key = args.master_key.source(&args.data);
    let restored = {
        let steps = Steps::default();
        restore_with(&mut from, bytes, keys, &args.data, master_key.as_ref(), &steps)
    };
    let restored = restored.map_err(|error| failure(args, &error))?;
    tell(args, &restored)?;
    Ok(Finished::Well)
}

fn opened(path: &Path) -> Result<(BufReader<File>, u64), Failure> {
    let unreadable = |error| exit::file(path, "the backup can't be read", error);
    let file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    Ok((BufReader::with_capacity(1 << 20, file), bytes))
}

fn failure(args: &Args, error: &RestoreError) -> Failure {
    let nothing = |path: &Path, more: &str| format!("{}: {error}.{more} Nothing was restored", path.display());
    let keys_from = args.keys_from.as_ref().unwrap_or(&args.from);
    match error {
        RestoreError::Unusable(_) | RestoreError::NotWhole(_) => Failure::Refused(nothing(&args.from, "")),
        RestoreError::OthersKeys(_) => Failure::Refused(nothing(keys_from, "")),
        RestoreError::NotEmpty { .. } | RestoreError::InUse { .. } => Failure::File(error.to_string()),
        RestoreError::NoMasterKey => Failure::File(nothing(keys_from, " Name the file with it: --master-key-file.")),
        RestoreError::Key(_) if args.keys_from.is_some() => {
            Failure::File(nothing(keys_from, " Name the master key that this backup was made with."))
        }
        RestoreError::Key(_) => Failure::File(nothing(
            &args.from,
            " Name the right master key, or none: then seals are not opened. If the master key was changed since, take the keys of \
             a newer backup (--keys-from).",
        )),
        RestoreError::OtherVersion(_) | RestoreError::Io { .. } => Failure::File(nothing(&args.from, "")),
    }
}

fn tell(args: &Args, restored: &Restored) -> Result<(), Failure> {
    let Restored { about, log_id, seen, keys_from } = restored;
    let (log_id, has_own_key) = (hex::encode(log_id), restored.is_master_key_inside());
    let tokens: Vec<Value> = restored
        .tokens_at(wall())
        .map(|(tenant, token)| {
            json!({
                "tenant": tenant,
                "token_id": token.id.to_string(),
                "name": token.name,
                "role": token.role,
                "since": token.since,
                "expires_at": token.expires_at,
            })
        })
        .collect();
    if args.json {
        let tenants: Vec<Value> = seen
            .tenants
            .iter()
            .map(|tenant| {
                json!({
                    "tenant": tenant.slug,
                    "position": tenant.events.checked_sub(1),
                    "digest": hex::encode(tenant.digest),
                })
            })
            .collect();
        return output::json(&json!({
            "data": args.data.display().to_string(),
            "log_id": log_id,
            "log_id_before": about.log_id,
            "last_group": about.last_group,
            "is_master_key_inside": has_own_key,
            "keys_of_group": keys_from.as_ref().map(|about| about.last_group),
            "are_seals_opened": seen.are_seals_opened,
            "tenants": tenants,
            "tokens": tokens,
        }));
    }
    let rows = seen.tenants.iter().map(|tenant| {
        vec![tenant.slug.clone(), grouped(tenant.events), grouped(tenant.seats_held), hex::encode(tenant.digest)]
    });
    let key = match (has_own_key, seen.are_seals_opened) {
        (true, _) => "The master key was in the backup and is in the folder.".to_owned(),
        (false, true) => {
            "The master key that you named opens every name in it; start the service with the same one.".into()
        }
        (false, false) => format!(
            "The master key is not in the backup. Put your copy at {} (mode 0600), or name it to the service, before you \
             start it; without the key it does not start.",
            args.data.join(crate::vault::MASTER_KEY_FILE).display()
        ),
    };
    let key = match keys_from {
        Some(newer) => {
            format!(
                "The keys are those of the newer backup, which ends with group {}. {key}",
                grouped(newer.last_group)
            )
        }
        None => key,
    };
    let fields = ["tenant", "token_id", "name", "role", "since", "expires_at"];
    let cell = |token: &Value, field: &str| token.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let opens = if tokens.is_empty() {
        "No token opens it.".to_owned()
    } else {
        let rows = tokens.iter().map(|token| fields.map(|field| cell(token, field)).to_vec()).collect();
        format!(
            "These tokens open it. One that was revoked after the backup opens it again: revoke what is not to, with \
             `seatledger token --tenant TENANT revoke TOKEN`.\n{}",
            output::table(&fields, rows, fields.len())
        )
    };
    output::line(&format!(
        "{} holds what the backup held, every byte compared:\n{}\n\nThis is a new log: {log_id}. It goes on from group {} of \
         log {}, and its first events say so. Whatever was acknowledged after the backup is not in it.\n{key}\nThe first \
         start makes a new root token.\n\n{opens}",
        args.data.display(),
        output::table(&["tenant", "events", "held", "digest"], rows.collect(), 1),
        grouped(about.last_group),
        about.log_id,
    ))
}

//! `seatledger restore`: a backup into an empty folder, and what there is to do then. Not here: the restoring
//! (`ledger::restore`).

use super::exit::{self, Failure, Finished};
use super::folder::MasterKey;
use super::output::{self, grouped};
use super::progress::Steps;
use crate::clock::wall;
use crate::ledger::restore::{RestoreError, Restored, restore};
use serde_json::{Value, json};
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Compares every file of the backup with its SHA-256, verifies the log in it as `seatledger verify` does, and only then puts
it into the folder. A backup that is cut off or changed is refused, and nothing is left behind.

What was acknowledged after the backup is not in it. So that nobody takes the restored log for the old one, it gets an id
of its own and says so in its first events.

Tokens are as they were: one that was revoked after the backup opens the restored ledger again. What opens it is listed at the
end; revoke what is not to.

Exit codes: 0 restored, 1 the backup is not usable, 5 the file or the folder can't be read or written, the folder
is not empty, or the master key can't be had or is another ledger's.")]
pub(crate) struct Args {
    /// The backup
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
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
    let unreadable = |error| exit::file(&args.from, "the backup can't be read", error);
    let file = File::open(&args.from).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let mut from = BufReader::with_capacity(1 << 20, file);
    let master_key = args.master_key.source(&args.data);
    let restored = {
        let steps = Steps::default();
        restore(&mut from, bytes, &args.data, master_key.as_ref(), &steps)
    };
    let restored = restored.map_err(|error| match error {
        RestoreError::Unusable(_) | RestoreError::NotWhole(_) => {
            Failure::Refused(format!("{}: {error}. Nothing was restored", args.from.display()))
        }
        RestoreError::NotEmpty { .. } | RestoreError::InUse { .. } => Failure::File(error.to_string()),
        RestoreError::Key(_) => Failure::File(format!(
            "{}: {error}. Name the right master key, or none: then seals are not opened. Nothing was restored",
            args.from.display()
        )),
        RestoreError::OtherVersion(_) | RestoreError::Io { .. } => {
            Failure::File(format!("{}: {error}. Nothing was restored", args.from.display()))
        }
    })?;
    tell(args, &restored)?;
    Ok(Finished::Well)
}

fn tell(args: &Args, restored: &Restored) -> Result<(), Failure> {
    let Restored { about, log_id, seen } = restored;
    let log_id = hex::encode(log_id);
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
            "is_master_key_inside": about.is_master_key_inside,
            "are_seals_opened": seen.are_seals_opened,
            "tenants": tenants,
            "tokens": tokens,
        }));
    }
    let rows = seen.tenants.iter().map(|tenant| {
        vec![tenant.slug.clone(), grouped(tenant.events), grouped(tenant.seats_held), hex::encode(tenant.digest)]
    });
    let key = match (about.is_master_key_inside, seen.are_seals_opened) {
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

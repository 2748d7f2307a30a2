//! `seatledger backup`: of a stopped folder by itself, of a running service by asking it. Not here: what a backup consists
//! of (`ledger::backup`).

use super::client::{CallError, Client, read_token};
use super::exit::{self, Failure, Finished};
use super::folder;
use super::output::{self, grouped};
use super::progress::{Progress, Steps};
use super::stopping::remove_when_stopped;
use crate::ledger::backup::{About, backup_folder};
use crate::ledger::restore::check;
use crate::vault::master_key_file;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::NamedTempFile;

/// A service that sends nothing for so long sends nothing any more.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The backup is one tar file: the log up to one durable group, the wrapped keys of all people and devices, and SHA256SUMS. It
is written aside, read back and compared, and only then gets its name. The root token is never in it, and the master key
only with --with-master-key: keep a copy of master.key in another place than the backups, for without it no name in them can
be read.

A backup keeps the keys of people who are erased later. `seatledger rotate-master-key` and the end of the old master key close it:
from then on it comes back by `restore --keys-from` a newer backup, without those names. With --with-master-key the old master key
is in it: such a backup is to be destroyed.

A stopped folder is copied as it is; a service can't start on it meanwhile. If a service is running on the folder, it is
asked for the backup (DIR/service.json says where it listens, DIR/root.token holds its token).

Examples:
  seatledger backup --data ledger-data --to ledger-2026-11-24.tar
  seatledger backup --url https://ledger.example --token-file root.token --to ledger-2026-11-24.tar")]
pub(crate) struct Args {
    /// The data folder, stopped or with a service running on it
    #[arg(long, value_name = "DIR", required_unless_present = "url")]
    data: Option<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Write over the file if there is one
    #[arg(long)]
    force: bool,
    /// Put DIR/master.key into the backup, too: whoever has the backup can then read every name
    #[arg(long, conflicts_with = "url", requires = "data")]
    with_master_key: bool,
    /// Ask this service, as in `https://ledger.example`
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Certificates (PEM) by which a service with https:// is trusted [default: those of the machine]
    #[arg(long, env = "SEATLEDGER_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A file that holds the root token; without one SEATLEDGER_ROOT_TOKEN or DIR/root.token is used
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The token itself, by the environment only: a command line can be read by everybody on the machine
    #[arg(long, env = "SEATLEDGER_ROOT_TOKEN", hide = true, hide_env_values = true)]
    token: Option<String>,
    /// Print one JSON object instead of a text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    may_take(&args.to, args.force)?;
    let mut file = aside(args)?;
    let still = match (&args.url, &args.data) {
        (None, Some(dir)) => folder::hold(dir)?,
        (Some(_), _) | (None, None) => None,
    };
    match (&args.data, still) {
        (Some(dir), Some(still)) => {
            write(dir, args.with_master_key, &mut file, &args.to)?;
            drop(still);
        }
        (_, None) => download(args, &mut file)?,
        (None, Some(_)) => return Err(Failure::Usage("--data or --url is needed".into())),
    }
    let (about, bytes) = read_back(&mut file, &args.to)?;
    let failed = |error: std::io::Error| exit::file(&args.to, "the backup can't be written", error);
    file.as_file().sync_all().map_err(failed)?;
    may_take(&args.to, args.force)?;
    if args.force {
        file.persist(&args.to).map_err(|error| failed(error.error))?;
    } else {
        file.persist_noclobber(&args.to).map_err(|error| failed(error.error))?;
    }
    File::open(parent(&args.to)).and_then(|folder| folder.sync_all()).map_err(failed)?;
    tell(args, &about, bytes)?;
    Ok(Finished::Well)
}

/// Whether a backup may get this name: a folder, a device or a link never gives way to it.
fn may_take(to: &Path, is_forced: bool) -> Result<(), Failure> {
    match std::fs::symlink_metadata(to) {
        Ok(there) if !there.is_file() => {
            Err(Failure::File(format!("{}: it is there and no regular file; give another name", to.display())))
        }
        Ok(_) if !is_forced => Err(Failure::File(format!("{}: the file exists; --force writes over it", to.display()))),
        // what can't be looked at can't be written beside either
        Ok(_) | Err(_) => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file beside the one to be, for nobody else to read; it goes if it comes to nothing.
fn aside(args: &Args) -> Result<NamedTempFile, Failure> {
    let failed = |error: std::io::Error| exit::file(&args.to, "the backup can't be written", error);
    let folder = parent(&args.to).canonicalize().map_err(failed)?;
    let is_inside =
        args.data.as_ref().and_then(|dir| dir.canonicalize().ok()).is_some_and(|dir| folder.starts_with(dir));
    if is_inside {
        return Err(Failure::Usage("a backup must not lie in the folder that it is a backup of".into()));
    }
    let file = tempfile::Builder::new().prefix(".seatledger-backup-").tempfile_in(folder).map_err(failed)?;
    remove_when_stopped(file.path())?;
    Ok(file)
}

fn write(dir: &Path, with_master_key: bool, file: &mut NamedTempFile, to: &Path) -> Result<(), Failure> {
    let steps = Steps::default();
    let master_key = with_master_key.then(|| master_key_file(dir));
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file.as_file_mut());
    backup_folder(dir, master_key.as_deref(), &mut out, &steps).map_err(|error| Failure::File(error.to_string()))?;
    out.flush().map_err(|error| exit::file(to, "the backup can't be written", error))
}

fn download(args: &Args, file: &mut NamedTempFile) -> Result<(), Failure> {
    if args.with_master_key {
        return Err(Failure::Usage(
            "a running service never sends its master key: copy the file, or stop the service first".into(),
        ));
    }
    let url = match (&args.url, &args.data) {
        (Some(url), _) => url.clone(),
        (None, Some(dir)) => url_in(dir)?,
        (None, None) => return Err(Failure::Usage("--data or --url is needed".into())),
    };
    let token = match (&args.token_file, &args.token, &args.data) {
        (Some(file), _, _) => read_token(file)?,
        (None, Some(token), _) => token.trim().to_owned(),
        (None, None, Some(dir)) => read_token(&dir.join("root.token"))?,
        (None, None, None) => {
            return Err(Failure::Usage("the root token is needed: --token-file FILE, or SEATLEDGER_ROOT_TOKEN".into()));
        }
    };
    super::wait_for(receive(Client::trusting(args.ca.as_deref(), &url, &token)?, file, &args.to))
}

/// Where the service that runs on this folder listens, as it noted itself.
fn url_in(dir: &Path) -> Result<String, Failure> {
    let path = dir.join("service.json");
    let unknown = "a service runs on this folder, and where it listens is not known (give --url)";
    let text = std::fs::read_to_string(&path).map_err(|error| exit::file(&path, unknown, error))?;
    let noted: Value = serde_json::from_str(&text).map_err(|error| exit::file(&path, unknown, error))?;
    let url = noted.get("url").and_then(Value::as_str).map(str::to_owned);
    url.ok_or_else(|| exit::file(&path, unknown, "there is no url in it"))
}

async fn receive(client: Client, file: &mut NamedTempFile, to: &Path) -> Result<(), Failure> {
    let response = client.stream("/v1/backup", "application/x-tar").await?;
    let progress = Progress::new("receiving the backup", response.content_length().unwrap_or(0));
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file.as_file_mut());
    let mut parts = response.bytes_stream();
    loop {
        let part = tokio::time::timeout(SILENCE_MAX, parts.try_next()).await;
        let broke_off = |why: String| CallError::Unreachable(format!("the backup broke off: {why}"));
        let part = part.map_err(|_| broke_off(format!("nothing came for {} s", SILENCE_MAX.as_secs())))?;
        let Some(part) = part.map_err(|error| broke_off(error.to_string()))? else { break };
        out.write_all(&part).map_err(|error| exit::file(to, "the backup can't be written", error))?;
        progress.advance(part.len() as u64);
    }
    progress.finish();
    out.flush().map_err(|error| exit::file(to, "the backup can't be written", error))
}

fn read_back(file: &mut NamedTempFile, to: &Path) -> Result<(About, u64), Failure> {
    let unread = |error: std::io::Error| exit::file(to, "the backup can't be read back", error);
    let bytes = file.as_file().metadata().map_err(unread)?.len();
    file.as_file_mut().rewind().map_err(unread)?;
    let steps = Steps::default();
    let mut from = BufReader::with_capacity(BUFFER_BYTES, file.as_file());
    let about = check(&mut from, bytes, &steps);
    about.map(|about| (about, bytes)).map_err(|error| Failure::File(format!("{error}; no backup was made")))
}

fn tell(args: &Args, about: &About, bytes: u64) -> Result<(), Failure> {
    if args.json {
        return output::json(&json!({
            "file": args.to.display().to_string(),
            "bytes": bytes,
            "log_id": about.log_id,
            "last_group": about.last_group,
            "is_master_key_inside": about.is_master_key_inside,
        }));
    }
    let key = if about.is_master_key_inside {
        "The master key is inside: keep this file as you keep the key."
    } else {
        "The master key is not inside: keep a copy of it in another place. Without it no name in the backup can be read."
    };
    output::line(&format!(
        "{}: {} bytes, the log {} up to group {}, read back and equal\n{key}",
        args.to.display(),
        grouped(bytes),
        about.log_id,
        grouped(about.last_group),
    ))
}

#[cfg(test)]
mod tests;

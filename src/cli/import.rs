//! `seatledger import`: an export becomes a data folder. It is made aside and gets its name when it is whole, so that an
//! import that was cut leaves no ledger behind. Not here: what may be imported (`audit::import`).

use super::exit::{self, Failure, Finished};
use super::folder::MasterKey;
use super::output;
use super::progress::Steps;
use crate::audit::import::{ImportError, Imported, import};
use crate::domain::time::Time;
use crate::ledger::{Clock, Ledger, LedgerOptions, LogOptions, Signing};
use serde_json::json;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Takes every event as it was: times, actors, doors, command ids and reasons. Names of people and devices are sealed under new
keys; tokens are on record without their secrets, so new ones must be issued. The digest is that of the exported ledger.
An export that was cut, so that its last line is missing, is refused; over HTTP it has one with end=true. One in parts is taken if they go on one from another.

Examples:
  seatledger import --data new-ledger-data --from contoso.ndjson
  seatledger export --data old --tenant contoso | seatledger import --data new --from -")]
pub(crate) struct Args {
    /// The data folder to make; it must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// An export as NDJSON; - is standard input
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    master_key: MasterKey,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    // until the end: what lies aside is whose claim it is
    let _claim = Claim::take(&args.data)?;
    let is_taken = std::fs::read_dir(&args.data).is_ok_and(|mut entries| entries.next().is_some());
    if is_taken || args.data.is_file() {
        let what = "it exists and is not empty; an import makes a new folder";
        return Err(Failure::File(format!("{}: {what}", args.data.display())));
    }
    let aside = beside(&args.data, ".importing")?;
    // what an import left that was cut; its name is ours
    clear(&aside)?;
    let taken = fill(&aside, &args).await;
    let taken = match taken {
        Ok(taken) => taken,
        Err(failure) => {
            clear(&aside)?;
            return Err(failure);
        }
    };
    publish(&aside, &args.data).map_err(|error| exit::file(&args.data, "can't get its name", error))?;
    if args.json {
        let digest = hex::encode(taken.digest);
        output::json(&json!({ "tenant": taken.slug, "events": taken.events, "digest": digest }))?;
    } else {
        let events = output::grouped(taken.events);
        output::line(&format!("{}: {events} events, digest {}", taken.slug, hex::encode(taken.digest)))?;
    }
    Ok(Finished::Well)
}

fn beside(data: &Path, ending: &str) -> Result<PathBuf, Failure> {
    let name = data.file_name().ok_or_else(|| Failure::Usage(format!("{} names no folder", data.display())))?;
    let mut aside = OsString::from(name);
    aside.push(ending);
    Ok(data.with_file_name(aside))
}

fn parent(data: &Path) -> &Path {
    data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Only one import into a name may run: another would clear what this one has written aside, and publish what the other writes.
/// A lock beside the folder, which goes with the process, however that ends.
struct Claim {
    path: PathBuf,
    #[expect(dead_code, reason = "held for its lock")]
    file: File,
}

impl Claim {
    fn take(data: &Path) -> Result<Self, Failure> {
        let path = beside(data, ".importing.lock")?;
        let failed = |error: std::io::Error| exit::file(&path, "can't be locked", error);
        std::fs::create_dir_all(parent(data)).map_err(failed)?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        let is_ours = match file.try_lock() {
            // whoever had it took the file away with him, and the next one has made another
            Ok(()) => match (file.metadata(), path.metadata()) {
                (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
                (Err(_), _) | (_, Err(_)) => false,
            },
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        };
        if is_ours {
            return Ok(Self { path, file });
        }
        Err(Failure::File(format!("{}: another import into this name is running", data.display())))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // while it is locked; a file that stays is locked again by the next one
        let _left = std::fs::remove_file(&self.path);
    }
}

fn clear(aside: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(exit::file(aside, "what an import left can't be removed", error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn fill(aside: &Path, args: &Args) -> Result<Imported, Failure> {
    let mut source: Box<dyn BufRead + Send> = if args.from.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = File::open(&args.from).map_err(|error| exit::file(&args.from, "can't be read", error))?;
        Box::new(BufReader::with_capacity(1 << 20, file))
    };
    // a clock that stands before every event: no timer may write between them
    let clock = Clock::manual(Time(0));
    let master_key = args.master_key.source(aside).unwrap_or_default();
    let options = LedgerOptions { log: LogOptions::new(aside), master_key, clock, signing: Signing::never() };
    let place = aside.display().to_string();
    let work = tokio::task::spawn_blocking(move || {
        let steps = Steps::default();
        let ledger = Ledger::open(options, &steps).map_err(|error| Failure::File(format!("{place}: {error}")))?;
        // a law that a history breaks is told as an error; the panic behind it is no message for anybody
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let taken = import(&ledger, &mut source, &steps);
        std::panic::set_hook(hook);
        Ok::<_, Failure>((ledger, taken))
    });
    let (ledger, taken): (Ledger, _) = work.await.map_err(|error| Failure::File(error.to_string()))??;
    let closed = exit::close(&ledger).await;
    let taken = taken.map_err(|error| match error {
        ImportError::Unreadable { .. }
        | ImportError::Cut { .. }
        | ImportError::Broken { .. }
        | ImportError::Nothing
        | ImportError::Io(_) => exit::file(&args.from, "can't be imported, and nothing of it was kept", error),
        ImportError::NotEmpty | ImportError::Submit(_) | ImportError::Read(_) => Failure::File(error.to_string()),
    })?;
    closed.map(|()| taken)
}

/// Gives the folder its name, durably.
fn publish(aside: &Path, data: &Path) -> std::io::Result<()> {
    File::open(aside)?.sync_all()?;
    if data.is_dir() {
        std::fs::remove_dir(data)?;
    }
    std::fs::rename(aside, data)?;
    File::open(parent(data))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{Actor, Door};
    use crate::ledger::NoProgress;

    fn open(dir: &Path) -> Ledger {
        let log = LogOptions { disk_floor_bytes: 0, ..LogOptions::new(dir) };
        let options = LedgerOptions {
            log,
            master_key: Default::default(),
            clock: Clock::manual(Time(1_000_000)),
            signing: Signing::default(),
        };
        Ledger::open(options, &NoProgress).unwrap()
    }

    fn args(data: &Path, from: &Path) -> Args {
        Args { data: data.into(), from: from.into(), master_key: MasterKey::default(), json: false }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_import_leaves_a_whole_folder_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = open(&dir.path().join("old"));
        let (tenant, _) = ledger.create_tenant(Actor::Root, Door::Cli, "acme", "Acme").await.unwrap();
        ledger.create_tenant(Actor::Root, Door::Cli, "acme", "Acme again").await.unwrap();
        let digest = ledger.digest(tenant).unwrap();
        let mut text = Vec::new();
        let format = crate::audit::export::Format::Ndjson;
        crate::audit::export::export(&ledger, tenant, 0, 1, format, true, &mut text).unwrap();
        ledger.stop().await;
        let (good, bad) = (dir.path().join("good.ndjson"), dir.path().join("bad.ndjson"));
        // with what an editor puts before and behind it
        std::fs::write(&good, [b"\xef\xbb\xbf", &text[..], b"\n\r\n"].concat()).unwrap();
        std::fs::write(&bad, [&text[..], b"{}\n"].concat()).unwrap();
        let new = dir.path().join("new");
        // what an import left that was killed
        std::fs::create_dir_all(dir.path().join("new.importing/sled")).unwrap();

        let other = Claim::take(&new).ok().unwrap();
        assert!(matches!(run(args(&new, &good)).await, Err(Failure::File(why)) if why.contains("another import")));
        assert!(dir.path().join("new.importing/sled").exists(), "what the other one writes is left alone");
        drop(other);
        assert!(matches!(run(args(&new, &bad)).await, Err(Failure::File(why)) if why.contains("line 4")));
        assert!(!new.exists() && !dir.path().join("new.importing").exists());
        assert!(!dir.path().join("new.importing.lock").exists());
        assert_eq!(run(args(&new, &good)).await.unwrap(), Finished::Well);
        assert!(!dir.path().join("new.importing").exists());
        assert!(matches!(run(args(&new, &good)).await, Err(Failure::File(why)) if why.contains("not empty")));
        let ledger = open(&new);
        assert_eq!(ledger.digest(ledger.tenant("acme").unwrap()).unwrap(), digest);
        ledger.stop().await;
    }
}

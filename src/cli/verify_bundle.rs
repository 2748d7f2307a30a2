//! `seatledger verify-bundle`: the words for what an evidence bundle proves. Not here: the checking (`audit::bundle`).

use super::exit::{self, Failure, Finished};
use super::output::{self, grouped};
use super::progress::Progress;
use super::tiles;
use crate::audit::bundle::{BundleError, verify};
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Checks every byte of the file: the log's signature under the head, that each record is in it, and that the words of each event
are what its record says. Names of people and devices are sealed in the records: their words are the service's alone. What
stands beside the evidence, the README, the documents and the reader, must be this program's; of a bundle that another version
made, what differs is named and nothing is said of it.

The key is what GET /v1/tenants/TENANT/log/key answers. Keep it apart from what it checks: without --key the one in the bundle
is taken, and then the file only agrees with itself. Of witnesses only those count whose keys are given.

Exit codes: 0 all of it is proven, 1 something is not and is named, 5 the file can't be read.

Example:
  seatledger verify-bundle editor.tar --key log.key.pub")]
pub(crate) struct Args {
    /// The bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Verifier keys of the log and of witnesses, or files with one or several
    #[arg(long, value_name = "KEY|FILE")]
    key: Vec<String>,
    /// Print one JSON object instead of a text
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Finished, Failure> {
    let path = args.file.display();
    let file = File::open(&args.file).map_err(|error| exit::file(&args.file, "can't be opened", error))?;
    let keys = tiles::keys(&args.key)?;
    let bar = Progress::new("events", 0);
    let verified = verify(&mut BufReader::new(file), &keys, &|done, total| bar.reach(done, total));
    bar.finish();
    let verified = match verified {
        Ok(verified) => verified,
        Err(error @ BundleError::Io(_)) => return Err(Failure::File(format!("{path}: {error}"))),
        Err(error) if args.json => {
            output::json(&json!({"is_proven": false, "error": error.to_string()}))?;
            return Ok(Finished::WithRefusals);
        }
        Err(error) => return Err(Failure::Refused(format!("{path}: {error}"))),
    };
    let about = &verified.about;
    if args.json {
        output::json(&json!({
            "is_proven": true,
            "log": about.log,
            "size": about.size,
            "events": about.events,
            "witnesses": verified.witnesses,
            "claimed_witnesses": verified.claimed_witnesses,
            "is_key_its_own": verified.is_key_its_own,
            "other_files": verified.other_files,
            "are_names_proven": false,
        }))?;
        warn_of(&verified.other_files);
        return Ok(Finished::Well);
    }
    let (events, size) = (grouped(about.events), grouped(about.size));
    output::line(&format!("{path}: {events} events are in the {size} records of {}, and say what is said", about.log))?;
    if verified.is_key_its_own {
        output::note("the key is the bundle's own: whose log it is, only a key that was kept apart can show (--key)");
    }
    for witness in &verified.witnesses {
        output::line(&format!("cosigned by {witness}"))?;
    }
    for claimed in &verified.claimed_witnesses {
        output::note(&format!(
            "not trusted: {claimed} is said to have cosigned it, by a key that is named in the file itself and nowhere else \
             (--key takes keys of witnesses, too)"
        ));
    }
    output::note("no proof covers the names of people and devices in it: they are the word of who made it");
    warn_of(&verified.other_files);
    Ok(Finished::Well)
}

/// Also beside JSON: whoever unpacks the bundle may run what is in it.
fn warn_of(other_files: &[String]) {
    if !other_files.is_empty() {
        output::note(&format!(
            "WARNING: the bundle says that another version made it, and these files in it are not this program's: {}. Neither \
             believe nor run them",
            other_files.join(", ")
        ));
    }
}

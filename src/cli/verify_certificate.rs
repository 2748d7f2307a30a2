//! `seatledger verify-certificate`: the words and figures for what counting again found. Not here: the counting
//! (`audit::certificate`), and where tiles are read (`tiles.rs`).

use super::exit::{self, Failure, Finished};
use super::output::{self, grouped};
use super::progress::Progress;
use super::tiles::{self, Tiles};
use crate::audit::certificate::{Verified, VerifyError, verify};
use crate::merkle::{CERTIFICATE_BYTES_MAX, KeyRange, KeysError, LogKeys, VerifierKey};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Checks the signature, hashes every record of the tiles up to the certificate's heads, counts the pools again from those
records, and names every figure that differs. The tiles are a folder that mirrors them (schemas/reader/seatledger_log.py
mirror), or the address of a tlog-tiles log; of a service, http://HOST/v1/tenants/TENANT/log with a token.

The key is what GET /v1/tenants/TENANT/log/key answers. Keep it apart from what it checks: without --key it is taken from
the address of the tiles, and then says only that both are of one hand. Where the log's key was changed since, the list of its
keys beside the tiles leads from that key to the others, over heads that name two keys and that both have signed; a certificate of
more records than its key signs by that list is refused.

Exit codes: 0 everything is so, 1 something is not and is named, 2 no key, 3 the tiles can't be reached, 4 the token is not good for them,
5 a file can't be read.

Examples:
  seatledger verify-certificate contoso.certificate --tiles contoso-log --key log.key.pub
  seatledger verify-certificate contoso.certificate --tiles http://127.0.0.1:8080/v1/tenants/contoso/log --token-file auditor.token")]
pub(crate) struct Args {
    /// The certificate
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the log's tiles are
    #[arg(long, value_name = "DIR|URL")]
    tiles: String,
    /// A file with the token for that address
    #[arg(long, env = "SEATLEDGER_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The log's verifier key, or a file with one or several
    #[arg(long, value_name = "KEY|FILE")]
    key: Vec<String>,
    /// Print one JSON object instead of a text
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let file = read(&args.file)?;
    let mut tiles = Tiles::open(&args.tiles, args.token_file.as_deref())?;
    let mut keys = tiles::keys(&args.key)?;
    if keys.is_empty() {
        let missing =
            || Failure::Usage("--key is missing: a folder of tiles says nothing of who signs for its log".into());
        keys.push(tiles.key().await?.ok_or_else(missing)?);
        output::note("the key is taken from where the tiles are; one that was kept apart says more (--key)");
    }
    let ranges = ranges(keys, tiles.log_keys().await?.as_ref())
        .map_err(|error| Failure::Refused(format!("the list of the log's keys beside the tiles: {error}")))?;
    let counted = tokio::task::spawn_blocking(move || {
        let bar = Progress::new("records", 0);
        let verified = verify(&file, &ranges, &mut tiles, &|done, total| bar.reach(done, total));
        bar.finish();
        verified
    });
    let verified = match counted.await.map_err(|error| Failure::File(error.to_string()))? {
        Ok(verified) => verified,
        Err(VerifyError::Tiles(error)) => return Err(Failure::Unreachable(error.to_string())),
        Err(error) if args.json => {
            output::json(&json!({"is_true": false, "error": error.to_string()}))?;
            return Ok(Finished::WithRefusals);
        }
        Err(error) => return Err(Failure::Refused(format!("{}: {error}", args.file.display()))),
    };
    if args.json {
        output::json(&as_json(&verified))?;
    } else {
        output::line(text(&args.file, &verified).trim_end())?;
    }
    Ok(Finished::well_if(verified.is_true()))
}

/// The keys for which those that are trusted vouch, and which sizes each signs. What is not in the list signs all of them.
fn ranges(trusted: Vec<VerifierKey>, listed: Option<&LogKeys>) -> Result<Vec<KeyRange>, KeysError> {
    let mut ranges = vec![];
    for key in trusted {
        let led_to = match listed.map(|listed| listed.trusted_from(&key)) {
            Some(Ok(led_to)) => led_to,
            Some(Err(KeysError::NotListed)) | None => LogKeys::only(key),
            Some(Err(error)) => return Err(error),
        };
        ranges.extend_from_slice(led_to.ranges());
    }
    Ok(ranges)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| exit::file(path, "can't be opened", error))?;
    let whole = file.take(CERTIFICATE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    whole.map_err(|error| exit::file(path, "can't be read", error))?;
    Ok(bytes)
}

fn text(path: &Path, verified: &Verified) -> String {
    let scope = &verified.certificate.scope;
    let mut out = String::new();
    let (from, to) = (grouped(scope.from.size), grouped(scope.to.size));
    // writing to a string can't fail
    let _ = if verified.is_true() {
        writeln!(out, "{} is true of {}, from {from} to {to} records:", path.display(), scope.log)
    } else {
        writeln!(out, "{} IS NOT TRUE of {}, from {from} to {to} records:", path.display(), scope.log)
    };
    for difference in &verified.differences {
        let _ = writeln!(out, "{difference}");
    }
    let grants: u64 = verified.certificate.pools.iter().map(|pool| pool.grants).sum();
    let above: u64 = verified.certificate.pools.iter().map(|pool| pool.grants_above_cap).sum();
    let said = if verified.is_true() { "" } else { "it says: " };
    let (pools, times) = (grouped(scope.pools), grouped(scope.times_over));
    let _ = writeln!(
        out,
        "{said}{pools} pools, {} grants, {} of them without a free seat, {times} times above a cap",
        grouped(grants),
        grouped(above)
    );
    out
}

fn as_json(verified: &Verified) -> Value {
    let scope = &verified.certificate.scope;
    json!({
        "is_true": verified.is_true(),
        "log": scope.log,
        "from_size": scope.from.size,
        "to_size": scope.to.size,
        "pools": scope.pools,
        "times_over": scope.times_over,
        "differences": verified.differences,
    })
}

//! The command line: what the program can be asked to do, and with which number it ends.
//!
//! Here: the list of subcommands and the way into each. Not here: what a subcommand does; each has a file of its own.

mod aside;
mod backup;
mod bench;
mod certificate;
mod check;
mod client;
mod connect;
mod cosign;
mod demo;
mod descriptors;
mod diff;
mod drift;
mod exit;
mod export;
mod folder;
mod help;
mod import;
mod load;
mod output;
mod outside;
mod progress;
mod replay;
mod report;
mod restore;
mod review;
mod rotate;
mod rotate_master;
mod serve;
mod spawned;
mod stopping;
mod store_simulator;
mod stores;
mod sync;
mod tiles;
mod timestamp;
mod token;
mod verify;
mod verify_bundle;
mod verify_certificate;
mod verify_timestamp;
mod witness;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::{Failure, Finished};
use std::process::ExitCode;
use std::time::Duration;

const AFTER_HELP: &str = "\
Exit codes:
  0  done; every check passed
  1  done, and something was refused or a check failed
  2  the command line makes no sense
  3  the service can't be reached, or went away
  4  the token is not good for this
  5  a file or the data folder can't be read, written or trusted
  70 the log has stopped: what was acknowledged is kept, and the next start finds out the rest
  130, 143  stopped by Ctrl-C, by SIGTERM; serve, demo, witness and sync --every end with 0 then

Examples:
  seatledger serve --data ledger-data --listen 127.0.0.1:8080
  seatledger load --licenses licenses.csv --people people.csv --url http://127.0.0.1:8080 --tenant contoso --token-file root.token
  seatledger demo
  seatledger verify --data ledger-data
  seatledger backup --data ledger-data --to ledger.tar";

#[derive(Debug, Parser)]
#[command(name = "seatledger", version, about, after_help = AFTER_HELP, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the ledger over HTTP until SIGTERM or SIGINT
    Serve(Box<serve::Args>),
    /// Two years of an organization in fast motion on a service of its own, with figures and proof
    Demo(demo::Args),
    /// Bring an organization's existing lists (CSV) into the ledger, with a receipt for every row
    Load(Box<load::Args>),
    /// Walk everything in a data folder, compare it, and name the first bad place
    Verify(verify::Args),
    /// Fold the history from nothing and print its figures and digest
    Replay(replay::Args),
    /// Copy everything into one file, of a stopped folder or of a running service
    Backup(backup::Args),
    /// Put a backup into an empty folder
    Restore(restore::Args),
    /// Make, list and revoke the tokens of a tenant
    Token(token::Args),
    /// Measure this machine's service beside what HTTP and the disk alone allow
    Bench(bench::Args),
    /// Print the published contract, as schemas/openapi.json keeps it
    #[command(hide = true)]
    Openapi,
    /// Write a tenant's history as NDJSON, CSV or Parquet
    Export(Box<export::Args>),
    /// Ask a running service what changed between two points
    Diff(Box<diff::Args>),
    /// Have a store read by a running service, or send a declared inventory from a file
    Sync(Box<sync::Args>),
    /// Show the linked store accounts of a running service, or link one
    Stores(Box<stores::Args>),
    /// Ask a running service where the stores and the ledger differ
    Drift(drift::Args),
    /// Ask a running service for one of the auditor's reports, or for their list
    Report(Box<report::Args>),
    /// Access reviews of a running service: open, show, decide, by hand or by spreadsheet, end, cancel
    Review(Box<review::Args>),
    /// Ask a running service for a signed certificate that the cap held
    Certificate(Box<certificate::Args>),
    /// Count a certificate again from the log's tiles, without the service
    VerifyCertificate(verify_certificate::Args),
    /// Check an evidence bundle, without the service
    VerifyBundle(verify_bundle::Args),
    /// Check an authority's timestamp of a head that was taken away, without the service
    VerifyTimestamp(verify_timestamp::Args),
    /// Make a data folder of an export
    Import(import::Args),
    /// Cosign the heads of logs, each as one history, and refuse every fork
    Witness(witness::Args),
    /// Check heads and proofs that were taken away, with keys and a policy and without a service
    Check(check::Args),
    /// Speak as a real store does, for trying things out
    StoreSimulator(store_simulator::Args),
    /// Give a stopped log another key, which the old one vouches for
    RotateLogKey(rotate::Args),
    /// Give a stopped folder another master key, so that the old one opens nothing but old backups
    RotateMasterKey(rotate_master::Args),
    /// Print the completions for a shell
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
}

/// Reads the command line, does what it says, and answers with the number to end with.
#[must_use]
pub fn run() -> ExitCode {
    let mut command = help::laid_out(Cli::command());
    let read = command.try_get_matches_from_mut(std::env::args_os());
    let read = read.and_then(|found| {
        contradiction(&found).map_or(Ok(()), Err)?;
        Cli::from_arg_matches(&found)
    });
    let cli = match read {
        Ok(cli) => cli,
        Err(error) => {
            let error = error.format(&mut command);
            let code = if error.use_stderr() { exit::USAGE } else { exit::DONE };
            // a closed pipe is the reader's choice
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let finished = dispatch(cli.command);
    // whoever reads has had the time that a last line leaves
    let _is_read = crate::telemetry::flush();
    match finished {
        Ok(Finished::Well) => ExitCode::from(exit::DONE),
        Ok(Finished::WithRefusals) => ExitCode::from(exit::REFUSED),
        Err(Failure::ReaderGone) => ExitCode::from(exit::DONE),
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(failure.code())
        }
    }
}

/// A folder and a service, both on the command line. Where the service stands in the environment alone, the folder prevails, so
/// that clap can't judge it.
fn contradiction(found: &ArgMatches) -> Option<clap::Error> {
    let (_, found) = found.subcommand().filter(|(name, _)| ["load", "export"].contains(name))?;
    let is_said = |argument: &str| found.value_source(argument) == Some(ValueSource::CommandLine);
    let service = ["url", "token_file"].into_iter().find(|argument| is_said(argument)).filter(|_| is_said("data"))?;
    let words = format!("the argument '--data <DIR>' cannot be used with '--{}'\n", service.replace('_', "-"));
    Some(clap::Error::raw(ErrorKind::ArgumentConflict, words))
}

fn dispatch(command: Command) -> Result<Finished, Failure> {
    match command {
        Command::Serve(args) => wait_for(serve::run(*args)),
        Command::Token(args) => wait_for(token::run(args)),
        Command::Bench(args) => wait_for(bench::run(args)),
        Command::Demo(args) => wait_for(demo::run(args)),
        Command::Load(args) => wait_for(load::run(*args)),
        Command::Verify(args) => verify::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Openapi => {
            let text = crate::http::openapi_text().map_err(|error| Failure::File(error.to_string()))?;
            output::write(text.as_bytes())?;
            Ok(Finished::Well)
        }
        Command::Export(args) => wait_for(export::run(*args)),
        Command::Diff(args) => wait_for(diff::run(*args)),
        Command::Sync(args) => wait_for(sync::run(*args)),
        Command::Stores(args) => wait_for(stores::run(*args)),
        Command::Drift(args) => wait_for(drift::run(args)),
        Command::Report(args) => wait_for(report::run(*args)),
        Command::Review(args) => wait_for(review::run(*args)),
        Command::Certificate(args) => wait_for(certificate::run(*args)),
        Command::VerifyCertificate(args) => wait_for(verify_certificate::run(args)),
        Command::VerifyBundle(args) => verify_bundle::run(&args),
        Command::VerifyTimestamp(args) => verify_timestamp::run(&args),
        Command::Import(args) => wait_for(import::run(args)),
        Command::Witness(args) => wait_for(witness::run(args)),
        Command::Check(args) => check::run(&args),
        Command::StoreSimulator(args) => wait_for(store_simulator::run(args)),
        Command::RotateLogKey(args) => wait_for(rotate::run(args)),
        Command::RotateMasterKey(args) => rotate_master::run(&args),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "seatledger", &mut text);
            output::write(&text)?;
            Ok(Finished::Well)
        }
    }
}

/// So long threads of the runtime are waited for when all is done.
const ENDING_MAX: Duration = Duration::from_secs(2);

/// Runs what talks to a service until it is through.
fn wait_for<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::File(format!("no runtime can be made: {error}")))?;
    let ended = runtime.block_on(work);
    // whoever looks something up that nobody waits for any more does not hold up the end
    runtime.shutdown_timeout(ENDING_MAX);
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    /// The ids of what an argument requires. clap tells them to nobody but a programmer who looks for faults.
    fn required_by(argument: &clap::Arg) -> Vec<String> {
        let told = format!("{argument:?}");
        let (_, behind) = told.split_once(", requires: [").expect("clap tells it");
        let (list, _) = behind.split_once("], r_ifs: ").expect("clap tells it");
        list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// With how many requirements, and which of them can be dropped.
    fn dropped(command: &clap::Command) -> (usize, Vec<String>) {
        let excludes = |one: &clap::Arg, other: &clap::Arg| {
            let says = |one: &clap::Arg, other: &clap::Arg| {
                command.get_arg_conflicts_with(one).iter().any(|conflicting| conflicting.get_id() == other.get_id())
            };
            says(one, other) || says(other, one)
        };
        let (mut found, mut holes) = (0, vec![]);
        for argument in command.get_arguments() {
            for id in required_by(argument) {
                let required =
                    command.get_arguments().find(|other| other.get_id() == id.as_str()).expect("it is there");
                found += 1;
                let breaks = |other: &&clap::Arg| excludes(other, required) && !excludes(other, argument);
                holes.extend(command.get_arguments().filter(breaks).map(|other| {
                    format!("{}: {} without {id}, with {}", command.get_name(), argument.get_id(), other.get_id())
                }));
            }
        }
        for below in command.get_subcommands() {
            let (more, of_those) = dropped(below);
            found += more;
            holes.extend(of_those);
        }
        (found, holes)
    }

    /// clap lets a requirement go that something else on the line conflicts with: that has to conflict with who requires it, too.
    #[test]
    fn what_an_argument_requires_is_never_dropped() {
        let (found, holes) = dropped(&Cli::command());
        assert_eq!(holes, [""; 0]);
        assert!(found >= 8, "only {found} requirements are seen; clap tells of them in another way by now");
    }

    #[test]
    fn a_bundle_s_choice_makes_no_sense_without_a_bundle() {
        let read = |line: &str| {
            let words = format!("seatledger export --tenant t {line}");
            Cli::command().try_get_matches_from(words.split(' ')).err().map(|error| error.kind())
        };
        for choice in ["--type seat_granted", "--pool p", "--user u", "--device d"] {
            assert_eq!(read(&format!("--proof {choice}")), None, "{choice}");
            assert_eq!(read(choice), Some(ErrorKind::MissingRequiredArgument), "{choice}");
            for other in ["--data d", "--format csv"] {
                assert_eq!(read(&format!("{other} {choice}")), Some(ErrorKind::ArgumentConflict), "{other} {choice}");
            }
        }
    }

    #[test]
    fn a_folder_and_a_service_are_not_both_said() {
        let judged = |line: &str| {
            let found = Cli::command().try_get_matches_from(line.split(' ')).unwrap();
            contradiction(&found).map(|error| error.to_string())
        };
        for line in ["load --people p --data d", "load --people p --url u", "export --tenant t --data d --to f"] {
            assert_eq!(judged(&format!("seatledger {line}")), None, "{line}");
        }
        for line in ["load --people p --data d --token-file f", "export --tenant t --url u --data d"] {
            assert!(judged(&format!("seatledger {line}")).is_some_and(|said| said.contains("--data")), "{line}");
        }
    }
}

//! The program `seatledger`. Here: the way into the command line. Not here: anything that a test would want to call.

use std::process::ExitCode;

fn main() -> ExitCode {
    seatledger::cli::run()
}

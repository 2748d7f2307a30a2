//! The program `seatledger`. Here: the way into the command line. Not here: anything that a test would want to call.

use std::process::ExitCode;

/// Requests come and go on several threads, each with some dozens of small allocations that another thread frees. The
/// system's allocator spent about a tenth of the service's time on them, in a profile at 64 connections.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    seatledger::cli::run()
}

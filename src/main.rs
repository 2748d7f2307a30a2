//! The program `seatledger`. Here: the way into the command line. Not here: anything that a test would want to call.

use std::process::ExitCode;

/// Requests come and go on several threads, each with some dozens of small allocations that another thread frees: what the
/// system's allocator spends a seventh of the service's time on (`ops/bench/README.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    seatledger::cli::run()
}

//! The program `seatledger`. Here: the way into the command line, and the allocator. Not here: what anything else does.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// Requests come and go on several threads, each with some dozens of small allocations that another thread frees. The
/// system's allocator spent about a tenth of the service's time on them, in a profile at 64 connections.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Options of mimalloc: the number of each in `mimalloc.h` (the bindings leave these out), what it is by itself, and here.
/// Under load a twentieth less is resident so, and a bulk load takes some 5 % more of the processor. A shorter delay costs it
/// more; without pages of 2 MiB it would be another twentieth, and starts would take two fifths longer (`ops/decisions/0016`).
const OPTIONS: [(c_int, c_long, c_long); 2] = [
    // `mi_option_purge_delay`: what was let go goes back to the system after so many milliseconds
    (15, 1000, 200),
    // `mi_option_page_full_retain`: so many empty pages of each size stay with a thread
    (36, 2, 0),
];

#[expect(unsafe_code, reason = "an option of the allocator is a number in its C interface")]
fn set_options() {
    for (option, _, value) in OPTIONS {
        // SAFETY: no other thread runs yet. What the environment says of an option (`MIMALLOC_PURGE_DELAY`) holds.
        unsafe { libmimalloc_sys::mi_option_set_default(option, value) };
    }
}

fn main() -> ExitCode {
    set_options();
    seatledger::cli::run()
}

#[cfg(test)]
mod tests {
    #[test]
    #[expect(unsafe_code, reason = "as where they are set")]
    fn the_numbers_are_those_of_the_options_which_take_what_is_set() {
        // SAFETY: it reads a number
        let found = || super::OPTIONS.map(|(option, ..)| unsafe { libmimalloc_sys::mi_option_get(option) });
        assert_eq!(found(), super::OPTIONS.map(|(_, own, _)| own), "unless the environment says another");
        super::set_options();
        assert_eq!(found(), super::OPTIONS.map(|(.., value)| value));
    }
}

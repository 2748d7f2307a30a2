//! One of two unsafe files: the C function that sled calls to make its writes durable, replaced by one that does.
//!
//! sled 0.34.7 on Linux calls `sync_file_range`, which starts writing back and promises nothing. With it, simulated power
//! cuts destroyed 17 of 17 databases (`design.md` §4). The linker takes a symbol of the program before that of the C
//! library, so this definition is the one that sled reaches; the self-test at every start looks at the counter.
//! Not here: anything else.

use std::ffi::c_int;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};

static CALLS: AtomicU64 = AtomicU64::new(0);

/// How often sled has asked for its writes to be made durable, in this process.
pub(crate) fn calls() -> u64 {
    CALLS.load(Ordering::SeqCst)
}

#[expect(unsafe_code, reason = "replaces a C symbol that sled links to; there is no safe way to define one")]
#[unsafe(no_mangle)]
extern "C" fn sync_file_range(fd: c_int, _offset: i64, _bytes: i64, _flags: u32) -> c_int {
    // SAFETY: the caller passes a descriptor that it keeps open during the call, as the C function demands.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    let outcome = rustix::fs::fdatasync(file);
    CALLS.fetch_add(1, Ordering::SeqCst);
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            // SAFETY: errno of this thread may always be written; the caller reads it after -1.
            unsafe { *libc::__errno_location() = error.raw_os_error() };
            -1
        }
    }
}

//! The second implementation of what the log stands on: a disk and a read log in memory that fail on demand, at any step
//! and both ways, and that can be looked at after a kill or a power cut. For tests of the real code; nothing here is
//! used in a running service.

mod disk;
mod faults;
mod read_log;

pub(crate) use disk::{Cut, MemoryDisk};
pub(crate) use faults::{Failure, Faults, Step};
pub(crate) use read_log::MemoryReadLogPlace;

//! Power cuts: a file system of our own that forgets what was not synced, and the ledger living on it through cut after
//! cut. Here: the file system (`disk`, `mount`), that it bites (`bites`), the process whose power goes (`workload`), and
//! the chain of cuts (`cuts`). Where no FUSE file system can be mounted the tests say so and return.
#![cfg(test)]
#![expect(clippy::cast_possible_truncation, reason = "the disk lies in memory: offsets, sizes and seeds are small")]

mod bites;
pub(crate) mod cuts;
mod disk;
pub(crate) mod mount;
pub(crate) mod process;
pub(crate) mod workload;

//! seatledger: who holds which seat, since when, and proof that no seat was handed out twice.
//!
//! Here: the list of modules, in the order of the house plan (`README.md`, "For programmers"): each may import only
//! what stands above it, which `tidy` tests. Not here: any code.

pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod http;
pub mod ledger;
pub mod log;
pub mod merkle;
pub mod projection;
pub mod store;
pub mod telemetry;
pub mod vault;

#[cfg(test)]
mod tidy;

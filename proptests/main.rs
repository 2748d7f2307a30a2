//! The integration and property tests, one target. Here: the list of suites. Not here: tests.

mod bad_input;
mod conventions;
mod harness;
mod hostile;
mod museum;
mod offline;
mod power_cut;
mod seed;

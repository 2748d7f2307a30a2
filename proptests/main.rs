//! The integration and property tests, one target. Here: the list of suites. Not here: tests.

mod harness;
mod power_cut;
mod seed;

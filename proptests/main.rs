//! The integration and property tests, one target. Here: the list of suites, and what several of them share. Not here: tests.

#![expect(clippy::indexing_slicing, reason = "what is not as a test expects it ends the test right there")]

mod bad_input;
mod bundles;
mod certificates;
mod conventions;
mod crash;
mod crowd;
mod demo;
mod erasure;
mod full_disk;
mod fuzz;
mod harness;
mod hindsight;
mod history;
mod hostile;
mod ledger_machine;
mod loading;
mod master_key;
mod merkle_log;
mod model;
mod museum;
mod offline;
mod power_cut;
mod proofs;
mod quorum;
mod race;
mod ranges;
mod reader;
mod reports;
mod review_commands;
mod reviews;
mod rot;
mod rotation;
mod seed;
mod stopping;
mod store_connectors;
mod store_simulators;
mod stores;
mod stories;
mod strangers;
mod tamper;
mod timestamps;
mod unread;
mod without_sled;
mod witness;

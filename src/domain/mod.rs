//! The functional core: facts, intents, and the rules between them.
//!
//! ```text
//! Intake ──decide(&mut Tenant)──▶ Vec<Event>, each evolved into the tenant as it is emitted
//! ```
//!
//! **Invariant:** nothing here reads a clock, draws a random number, does I/O or awaits. Whatever varies between two
//! runs arrives inside the command or its [`command::Envelope`]; that is what makes replay produce the same state
//! every time.
//!
//! **Invariant:** this module imports nothing else from this crate.

pub mod answer;
pub mod asked;
pub mod command;
pub mod coverage;
pub mod decide;
pub mod event;
pub mod event_type;
pub mod evolve;
pub mod facts;
pub mod holding;
pub mod ids;
pub mod key;
pub mod laws;
pub mod personal;
pub mod placing;
pub mod plan;
pub mod rejection;
pub mod report;
pub mod review;
pub mod seat_step;
pub mod state;
pub mod subject;
pub mod time;
pub mod ways_out;

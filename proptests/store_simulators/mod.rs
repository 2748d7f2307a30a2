//! The simulators of stores against the tables of the protocols, by requests that our clients do not make. Here: a client
//! that sends what it is told and looks at nothing. Not here: what a ledger makes of a store.

mod apple;
mod microsoft;
mod raw;

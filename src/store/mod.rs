//! The stores that seats are bought from, as they really speak: what one of them lists, who sits there, and what it is
//! asked to grant and to take back.
//!
//! Here: the words that every store's connector answers in (`terms`), how a store is asked over HTTP (`transport`), each
//! store's client (`microsoft`), and servers that speak as the stores do (`simulator`). Not here: what the ledger makes of
//! an answer (`domain`), or who calls when.

pub mod microsoft;
//! Here: the words that every store's connector answers in (`terms`), how a store is asked over HTTP (`transport`), the
//! connectors themselves (`apple`), and servers that speak as the stores do (`simulator`). Not here: what the ledger makes of an answer (`domain`), or who calls when.

pub mod apple;
pub mod secret;
pub mod simulator;
pub mod terms;
pub mod transport;

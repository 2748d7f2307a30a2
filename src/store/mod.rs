//! The stores that seats are bought from, as they really speak, and the engine that keeps the ledger true to them.
//!
//! Here: the words that every connector answers in (`terms`, `connector`), how a store is asked over HTTP (`transport`) and
//! with what it lets us in (`secret`, `credentials`); how each of them speaks (`microsoft`, `apple`) and who speaks for an
//! account (`connect`); what a pass tells that the ledger does not know (`compare`), syncs
//! (`sync`), what the store still has to be asked (`worklist`), the worker of one account (`worker`), the desk that knows all
//! of them (`desk`); and servers that speak as the stores do (`simulator`). Not here: what the ledger makes of an observation
//! (`domain`).

pub mod apple;
pub mod compare;
pub mod connect;
pub mod connector;
pub mod credentials;
pub mod desk;
pub mod microsoft;
pub mod names;
pub mod secret;
pub mod simulator;
pub mod submit;
pub mod sync;
pub mod terms;
pub mod transport;
pub mod worker;
pub mod worklist;

//! Every call of the contract, one file per room of it. Handlers parse, submit and render; nothing is decided here.

pub(super) mod assignments;
pub(super) mod certificate;
pub(in crate::http) mod commands;
pub(super) mod devices;
pub(super) mod directory;
pub(super) mod events;
pub(super) mod figures;
pub(super) mod inventory;
pub(super) mod log;
pub(super) mod people;
pub(super) mod pools;
pub(super) mod reports;
pub(super) mod reviews;
pub(super) mod seats;
pub(super) mod stores;
pub(super) mod stories;
pub(super) mod streams;
pub(super) mod tenants;
pub(super) mod timestamps;
pub(super) mod witnesses;

//! The Microsoft Store for Business, asked as a management tool asks it (`domain.md` §2): the wire's words (`wire`), tokens
//! (`auth`), every operation (`client`), and what the ledger's engine calls (`connector`).
//!
//! No live service is left to compare with: where the documents are silent or contradict each other, this reads whatever
//! comes, and where an answer does not settle what happened it says `Unknown` or asks the store again. Not here: what the
//! ledger makes of it.

mod auth;
mod client;
mod connector;
mod mapping;
mod pass;
mod settle;
mod wire;

pub use client::{Answered, InventoryAsked, MicrosoftClient, Missing};
pub use connector::MicrosoftConnector;
pub use wire::{
    BulkResult, FailedSeat, InventoryEntry, InventoryPage, Localized, OfflineLicense, Package, PackageSet, Product,
    ProductKey, Seat, SeatAction, SeatsPage,
};

/// Where the store and its directory are, and who asks. The secret is apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicrosoftSettings {
    /// Before `/V1`.
    pub base_url: String,
    /// Before the tenant.
    pub authority_url: String,
    /// The directory's id, or a domain of it.
    pub tenant: String,
    pub client_id: String,
}

impl MicrosoftSettings {
    /// The store as it was on the Internet.
    #[must_use]
    pub fn new(tenant: &str, client_id: &str) -> Self {
        Self {
            base_url: "https://bspmts.mp.microsoft.com".into(),
            authority_url: "https://login.windows.net".into(),
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
        }
    }
}

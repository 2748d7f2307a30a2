//! Where the first answer to a command id stands: tenant and id to the command's records.

use std::collections::HashMap;

/// Where a command's records are, and what was asked under its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    pub first_position: u64,
    pub records: u32,
    pub content_hash: u64,
}

/// Receipts by tenant and by the 16 bytes that an id has in the index.
#[derive(Default)]
pub struct Receipts {
    entries: HashMap<(u32, [u8; 16]), Receipt, foldhash::quality::RandomState>,
}

impl Receipts {
    #[must_use]
    pub fn get(&self, tenant: u32, key: [u8; 16]) -> Option<Receipt> {
        self.entries.get(&(tenant, key)).copied()
    }

    pub fn insert(&mut self, tenant: u32, key: [u8; 16], receipt: Receipt) {
        self.entries.insert((tenant, key), receipt);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

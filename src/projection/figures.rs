//! A pool's counts, as reads show them. Not here: who holds what.

use crate::domain::facts::Owned;
use crate::domain::state::Pool;
use serde::Serialize;

/// The counts of a pool at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub owned: Owned,
    pub held: u64,
    pub reserved: u64,
    pub in_use: u64,
    pub releasing: u64,
    pub foreign: u64,
    pub free: Owned,
    pub over_by: u64,
    pub queued: u64,
    pub installed: u64,
    pub unlicensed: u64,
    pub refused: u64,
}

impl Figures {
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        Self {
            owned: pool.owned,
            held: pool.held(),
            reserved: pool.reserved,
            in_use: pool.in_use,
            releasing: pool.releasing,
            foreign: pool.foreign,
            free: pool.free(),
            over_by: pool.over_by(),
            queued: pool.queued.len() as u64,
            installed: pool.installs.len() as u64,
            unlicensed: pool.unlicensed,
            refused: pool.refused,
        }
    }
}

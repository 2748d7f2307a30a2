//! A fact in its place in the log. Not here: the facts.

use super::Event;
use crate::domain::command::Envelope;
use crate::domain::state::Meta;
use serde::{Deserialize, Serialize};

/// Most commands leave two of them, which go through several hands: ops/decisions/0016.
const _: () = assert!(size_of::<Event>() <= 112);

/// A fact in its place: what the log holds, and all that anything outside the writer sees of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    pub position: u64,
    pub envelope: Envelope,
    pub event: Event,
}

impl Recorded {
    /// What `evolve` may know of it.
    #[must_use]
    pub fn meta(&self) -> Meta {
        Meta { position: self.position, recorded_at: self.envelope.recorded_at, actor: self.envelope.actor }
    }
}

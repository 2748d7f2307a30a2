//! A fact in its place in the log. Not here: the facts.

use super::Event;
use crate::domain::command::Envelope;
use crate::domain::state::Meta;
use serde::{Deserialize, Serialize};

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

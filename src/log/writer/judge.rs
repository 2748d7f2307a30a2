//! What a judged command comes to for its caller: an answer, or the place of the answer that was given first.

use crate::domain::answer::Answer;
use crate::log::receipts::Receipt;

/// What the writer tells the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Judged now; durable.
    Judged { position: u64, answer: Box<Answer> },
    /// Judged before, under the same id.
    Repeat(Box<Repeat>),
}

/// Where a command's first answer stands: it is a function of these records, if they are of this id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    pub receipt: Receipt,
    pub command_id: String,
}

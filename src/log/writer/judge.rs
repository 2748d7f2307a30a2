//! What a judged command comes to for its caller: an answer, or the place of the answer that was given first.

use crate::domain::answer::Answer;
use crate::log::receipts::Receipt;

/// What the writer tells the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Judged now; durable.
    Judged { position: u64, answer: Box<Answer> },
    /// Judged before, under the same id: the answer is a function of these records.
    Repeat(Receipt),
}

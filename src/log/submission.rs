//! What may be asked of the writer, and what it answers. Here: types. Not here: judging, waiting.

use crate::domain::answer::Answer;
use crate::domain::command::{Actor, DeviceRef, Door, Envelope, IfMatch, Intake, UserRef};
use crate::domain::event::Event;
use crate::domain::facts::DeviceFacts;
use crate::domain::personal::{DeviceNames, UserProfile};
use crate::domain::time::Time;

/// One thing asked of the ledger, with everything about it that the door knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub actor: Actor,
    pub door: Door,
    pub command_id: Option<String>,
    /// Of the canonical content: tells the same command sent again from another one under the same id. The ledger masks what
    /// the door made, before the writer sees it.
    pub content_hash: u64,
    pub occurred_at: Option<Time>,
    pub reason: Option<String>,
    pub if_match: Option<IfMatch>,
    pub ask: Ask,
}

/// What is asked. Names in plain text go no further than the writer, which seals them just before it judges.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    Intake(Intake),
    PutUser { user: UserRef, profile: UserProfile },
    PutDevice { device: DeviceRef, names: DeviceNames, facts: DeviceFacts, primary_user: Option<UserRef> },
}

/// A command of another log, with the facts that it led to there: they are taken as they are. Its content's hash comes plain,
/// as doors make it.
#[derive(Debug, Clone, PartialEq)]
pub struct PastCommand {
    pub envelope: Envelope,
    pub events: Vec<PastEvent>,
}

/// A fact of another log. Names come beside it in plain text: they are sealed anew, and whatever the event holds in their
/// place is left out.
#[derive(Debug, Clone, PartialEq)]
pub struct PastEvent {
    pub event: Event,
    pub names: PastNames,
}

/// What was left of the names: `None` once the subject was erased.
#[derive(Debug, Clone, PartialEq)]
pub enum PastNames {
    NotPersonal,
    User(Option<UserProfile>),
    Device(Option<DeviceNames>),
}

/// How a judged command ended. It was on stable storage before anybody saw this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The last position of the command's events; the head where it left none.
    pub position: u64,
    pub answer: Box<Answer>,
    /// An earlier answer to the same id was found.
    pub is_repeat: bool,
}

/// Why there is no judgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    #[error("there is no such tenant")]
    TenantNotFound,
    #[error("the queue of commands is full")]
    Busy,
    #[error("the log has stopped; the command may or may not have been recorded")]
    Stopped,
    #[error("the disk is nearly full")]
    DiskLow,
    #[error("the index of command ids is damaged; the next start of the service makes it anew")]
    ReceiptsNotWhole,
    #[error("this command id was used for another command")]
    IdReused,
    #[error("another command of the batch was refused")]
    BatchRefused,
    #[error("the command is larger than the log can hold: {0}")]
    TooLarge(String),
    #[error("tenant slug is taken by another name")]
    TenantExists,
}

//! How a subcommand ends: well, with refusals, or not at all, and with which number the process then exits.
//! Not here: what is printed before.

use super::client::CallError;
use crate::ledger::Ledger;
use crate::log::EXIT_LOG_STOPPED;

pub(crate) const DONE: u8 = 0;
pub(crate) const REFUSED: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const UNREACHABLE: u8 = 3;
pub(crate) const NOT_ALLOWED: u8 = 4;
pub(crate) const FILE: u8 = 5;

/// The subcommand did all that it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finished {
    Well,
    /// Something was refused, or a check failed; the output says what.
    WithRefusals,
}

impl Finished {
    pub(crate) fn well_if(is_well: bool) -> Self {
        if is_well { Self::Well } else { Self::WithRefusals }
    }
}

/// The subcommand could not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    File(String),
    /// Something was refused without which the rest makes no sense.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unreachable(String),
    #[error("{0}")]
    NotAllowed(String),
    /// What was acknowledged is in the journal; what the log could not do at its end the next start does.
    #[error("the log has stopped: {0}")]
    LogStopped(String),
    /// By the signal of this name.
    #[error("stopped by {0}")]
    Stopped(&'static str),
    /// Whoever read our output has closed it. No fault, and nothing to say.
    #[error("the reader of the output is gone")]
    ReaderGone,
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::ReaderGone => DONE,
            Self::Refused(_) => REFUSED,
            Self::Usage(_) => USAGE,
            Self::Unreachable(_) => UNREACHABLE,
            Self::NotAllowed(_) => NOT_ALLOWED,
            Self::File(_) => FILE,
            Self::LogStopped(_) => EXIT_LOG_STOPPED,
            // as a shell tells of a process that a signal ended
            Self::Stopped("SIGINT") => 130,
            Self::Stopped(_) => 143,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Problem(problem) if matches!(problem.status, 401 | 403) => Self::NotAllowed(problem.to_string()),
            CallError::Problem(problem) => Self::Refused(problem.to_string()),
            CallError::Unreachable(text) | CallError::Unreadable(text) => Self::Unreachable(text),
        }
    }
}

/// Closes the ledger, and says when that did not go well.
pub(crate) async fn close(ledger: &Ledger) -> Result<(), Failure> {
    ledger.stop().await;
    ledger.failure().map_or(Ok(()), |why| Err(Failure::LogStopped(why)))
}

/// What went wrong with a file, and with which.
pub(crate) fn file(path: &std::path::Path, what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::File(format!("{}: {what}: {error}", path.display()))
}

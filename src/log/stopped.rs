//! Whether the log has stopped, and why: whoever waits for that hears of it at once. Not here: what stops it.

use std::sync::OnceLock;

use tokio_util::sync::CancellationToken;

#[derive(Default)]
pub(crate) struct Stopped {
    why: OnceLock<String>,
    told: CancellationToken,
}

impl Stopped {
    /// The first reason is the one that counts; a later one is given back.
    pub(crate) fn set(&self, why: String) -> Result<(), String> {
        let first = self.why.set(why);
        self.told.cancel();
        first
    }

    pub(crate) fn get(&self) -> Option<&String> {
        self.why.get()
    }

    /// Ends once there is a reason.
    pub(crate) fn told(&self) -> CancellationToken {
        self.told.clone()
    }
}

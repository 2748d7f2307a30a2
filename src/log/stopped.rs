//! Whether the log has stopped, and why: whoever waits for that hears of it at once; and the end of a process that can't go
//! on. Not here: what stops it.

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

static LAST_WORDS: OnceLock<fn(&str)> = OnceLock::new();

/// Who says the last line of a process whose log has stopped. It must come back though nobody listens. Once a process.
pub fn say_last_words_by(say: fn(&str)) {
    // a second one says the same
    let _there = LAST_WORDS.set(say);
}

/// What was acknowledged is in the journal, and nothing more may be.
pub(crate) fn end_process(why: &str) -> ! {
    let words = format!("seatledger: {why}");
    match LAST_WORDS.get() {
        Some(say) => say(&words),
        None => eprintln!("{words}"),
    }
    std::process::exit(super::EXIT_LOG_STOPPED.into())
}

//! Panics that are expected, because something is asked about bytes that may be damaged: caught, kept off the screen, and
//! turned into a sentence. Not here: what follows from one.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; a panic in it is an error with the first line of what it said. What `work` was changing when it panicked
/// is half changed: the caller lets go of it.
///
/// # Errors
/// When `work` panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    silence_expected();
    let outcome = EXPECTED.with(|expected| {
        let before = expected.replace(true);
        let outcome = catch_unwind(AssertUnwindSafe(work));
        expected.set(before);
        outcome
    });
    outcome.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.and_then(|text| text.lines().next()).unwrap_or("no reason given").to_owned()
    })
}

fn silence_expected() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_sleds = std::thread::current().name().is_some_and(|name| name.starts_with("sled-io-"));
            if EXPECTED.with(Cell::get) || is_sleds {
                tracing::debug!(%info, "a panic was caught");
            } else {
                others(info);
            }
        }));
    });
}

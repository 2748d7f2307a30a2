//! Panics that are expected, because something is asked about bytes that may be damaged: caught, kept off the screen, and
//! turned into a sentence. And threads that nobody waits for: that one ended by a panic is told. Not here: what follows from it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once};

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

/// Whether a thread ended by a panic. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Fallen(Arc<AtomicBool>);

/// Held by the thread while it works.
pub struct Standing {
    thread: &'static str,
    fallen: Fallen,
}

impl Fallen {
    /// For a thread, by what it does.
    #[must_use]
    pub fn standing(&self, thread: &'static str) -> Standing {
        Standing { thread, fallen: self.clone() }
    }

    #[must_use]
    pub fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fallen.0.store(true, Ordering::Relaxed);
            tracing::error!("the thread that {} panicked; it is gone until the next start", self.thread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_told_of_and_one_that_ends_is_not() {
        for panics in [false, true] {
            let fallen = Fallen::default();
            let standing = fallen.standing("does something");
            let ended = std::thread::spawn(move || {
                let _standing = standing;
                assert!(!panics, "as a test wants it");
            });
            assert_eq!((ended.join().is_err(), fallen.is_so()), (panics, panics));
        }
    }
}
